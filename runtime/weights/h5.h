/* Small helpers over the HDF5 C library: string attributes as Keras writes them, numbers, float datasets.
 * All HDF5 calls are made from one thread. */
#ifndef NETC_WEIGHTS_H5_H
#define NETC_WEIGHTS_H5_H
#include <hdf5.h>
#include <stdint.h>

#include "../system.h"

typedef struct H5Texts {
  char **texts;
  int count;
} H5Texts;

/* Keras cuts attributes that would pass this many bytes into pieces name0, name1, ... (its
 * HDF5_OBJECT_HEADER_LIMIT). */
enum { H5_ATTRIBUTE_LIMIT = 64512 };

/* The library prints no error stacks of its own: we say what was wrong.  Nor does it tidy up at exit: after a
 * write that failed (a full disk) it would crash there. */
static void h5_quiet(void) {
  H5dont_atexit();
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* Whether every part of the path "a/b/c" exists under `place`. */
static bool h5_has(hid_t place, const char *path) {
  char *part = system_copy_text(path);
  bool found = true;
  for (char *slash = part + (*part == '/'); found && *slash;) {
    slash += strcspn(slash, "/");
    char kept = *slash;
    *slash = 0;
    found = H5Lexists(place, part, H5P_DEFAULT) > 0 && H5Oexists_by_name(place, part, H5P_DEFAULT) > 0;
    *slash = kept;
    slash += kept == '/';
  }
  free(part);
  return found;
}

static bool h5_is_group(hid_t place, const char *path) {
  hid_t object = h5_has(place, path) ? H5Oopen(place, path, H5P_DEFAULT) : -1;
  bool group = object >= 0 && H5Iget_type(object) == H5I_GROUP;
  if (object >= 0)
    H5Oclose(object);
  return group;
}

static void h5_texts_free(H5Texts *texts) {
  for (int i = 0; i < texts->count; i++)
    free(texts->texts[i]);
  free(texts->texts);
  *texts = (H5Texts){NULL, 0};
}

static void h5_texts_add(H5Texts *texts, const char *text, size_t length) {
  char **grown = system_allocate(((size_t)texts->count + 1) * sizeof *grown);
  if (texts->count)
    memcpy(grown, texts->texts, (size_t)texts->count * sizeof *grown);
  free(texts->texts);
  texts->texts = grown;
  char *copy = system_allocate(length + 1);
  memcpy(copy, text, length);
  grown[texts->count++] = copy;
}

/* Appends the strings of one attribute, of fixed or variable length; an empty array of numbers adds nothing.
 */
static bool h5_read_piece(hid_t place, const char *name, H5Texts *texts) {
  hid_t attribute = H5Aopen(place, name, H5P_DEFAULT);
  if (attribute < 0)
    return false;
  hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
  hssize_t count = H5Sget_simple_extent_npoints(space);
  bool good = true;
  if (H5Tget_class(type) == H5T_STRING && count > 0) {
    if (H5Tis_variable_str(type) > 0) {
      char **rows = system_allocate((size_t)count * sizeof *rows);
      good = H5Aread(attribute, type, rows) >= 0;
      for (hssize_t i = 0; good && i < count; i++)
        h5_texts_add(texts, rows[i] ? rows[i] : "", rows[i] ? strlen(rows[i]) : 0);
      if (good)
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, rows);
      free(rows);
    } else {
      size_t size = H5Tget_size(type);
      char *rows = system_allocate((size_t)count * size);
      good = H5Aread(attribute, type, rows) >= 0;
      for (hssize_t i = 0; good && i < count; i++) {
        const char *row = rows + (size_t)i * size, *end = memchr(row, 0, size);
        h5_texts_add(texts, row, end ? (size_t)(end - row) : size);
      }
      free(rows);
    }
  }
  H5Sclose(space);
  H5Tclose(type);
  H5Aclose(attribute);
  return good;
}

/* All strings of the attribute `name`, or of its pieces name0, name1, ...  False where there is none. */
static bool h5_read_texts(hid_t place, const char *name, H5Texts *texts) {
  *texts = (H5Texts){NULL, 0};
  if (H5Aexists(place, name) > 0)
    return h5_read_piece(place, name, texts);
  for (int piece = 0;; piece++) {
    char full[128];
    snprintf(full, sizeof full, "%s%d", name, piece);
    if (H5Aexists(place, full) <= 0)
      return piece > 0;
    if (!h5_read_piece(place, full, texts))
      return false;
  }
}

/* The attribute as one string in fresh memory, or NULL. */
static char *h5_read_text(hid_t place, const char *name) {
  H5Texts texts = {NULL, 0};
  char *text = NULL;
  if (H5Aexists(place, name) > 0 && h5_read_piece(place, name, &texts) && texts.count == 1)
    text = system_copy_text(texts.texts[0]);
  h5_texts_free(&texts);
  return text;
}

static hid_t h5_text_type(H5T_cset_t characters) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, characters);
  return type;
}

static bool h5_write_text(hid_t place, const char *name, const char *text, H5T_cset_t characters) {
  hid_t type = h5_text_type(characters), space = H5Screate(H5S_SCALAR);
  hid_t attribute = H5Acreate2(place, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  bool good = attribute >= 0 && H5Awrite(attribute, type, &text) >= 0;
  if (attribute >= 0)
    H5Aclose(attribute);
  H5Sclose(space);
  H5Tclose(type);
  return good;
}

/* An array of strings; none at all is written as Keras does, as an empty array of doubles. */
static bool h5_write_texts(hid_t place, const char *name, char *const *texts, int count) {
  const int most =
      H5_ATTRIBUTE_LIMIT / 16; /* HDF5 keeps 16 bytes per string of variable length in the header */
  if (!count) {
    hsize_t none = 0;
    hid_t space = H5Screate_simple(1, &none, NULL);
    hid_t attribute = H5Acreate2(place, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0)
      H5Aclose(attribute);
    H5Sclose(space);
    return attribute >= 0;
  }
  bool good = true;
  hid_t type = h5_text_type(H5T_CSET_ASCII);
  for (int at = 0, piece = 0; good && at < count; at += most, piece++) {
    char full[128];
    hsize_t size = (hsize_t)(count - at < most ? count - at : most);
    snprintf(full, sizeof full, count > most ? "%s%d" : "%s", name, piece);
    hid_t space = H5Screate_simple(1, &size, NULL);
    hid_t attribute = H5Acreate2(place, full, type, space, H5P_DEFAULT, H5P_DEFAULT);
    good = attribute >= 0 && H5Awrite(attribute, type, texts + at) >= 0;
    if (attribute >= 0)
      H5Aclose(attribute);
    H5Sclose(space);
  }
  H5Tclose(type);
  return good;
}

static bool h5_write_attribute(hid_t place, const char *name, hid_t file_type, hid_t memory_type,
                               const void *value) {
  hid_t space = H5Screate(H5S_SCALAR);
  hid_t attribute = H5Acreate2(place, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
  bool good = attribute >= 0 && H5Awrite(attribute, memory_type, value) >= 0;
  if (attribute >= 0)
    H5Aclose(attribute);
  H5Sclose(space);
  return good;
}

static bool h5_write_integer(hid_t place, const char *name, int64_t value) {
  return h5_write_attribute(place, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

static bool h5_write_double(hid_t place, const char *name, double value) {
  return h5_write_attribute(place, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

static bool h5_read_attribute(hid_t place, const char *name, hid_t memory_type, void *value) {
  if (H5Aexists(place, name) <= 0)
    return false;
  hid_t attribute = H5Aopen(place, name, H5P_DEFAULT);
  if (attribute < 0)
    return false;
  hid_t space = H5Aget_space(attribute);
  bool good = H5Sget_simple_extent_npoints(space) == 1 && H5Aread(attribute, memory_type, value) >= 0;
  H5Sclose(space);
  H5Aclose(attribute);
  return good;
}

static bool h5_read_integer(hid_t place, const char *name, int64_t *value) {
  return h5_read_attribute(place, name, H5T_NATIVE_INT64, value);
}

static bool h5_read_double(hid_t place, const char *name, double *value) {
  return h5_read_attribute(place, name, H5T_NATIVE_DOUBLE, value);
}

/* Writes a whole dataset; groups on the way to `path` are made.  No time stamps: equal contents, equal files.
 */
static bool h5_write_dataset(hid_t place, const char *path, hid_t file_type, hid_t memory_type, int rank,
                             const hsize_t *dim, const void *data) {
  hid_t links = H5Pcreate(H5P_LINK_CREATE),
        space = rank ? H5Screate_simple(rank, dim, NULL) : H5Screate(H5S_SCALAR);
  H5Pset_create_intermediate_group(links, 1);
  hid_t create = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_obj_track_times(create, false);
  hid_t dataset = H5Dcreate2(place, path, file_type, space, links, create, H5P_DEFAULT);
  bool good = dataset >= 0 && H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
  if (dataset >= 0 && H5Dclose(dataset) < 0)
    good = false;
  H5Sclose(space);
  H5Pclose(create);
  H5Pclose(links);
  return good;
}

static bool h5_write_floats(hid_t place, const char *path, int rank, const hsize_t *dim, const float *data) {
  return h5_write_dataset(place, path, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, rank, dim, data);
}

typedef struct H5Shape {
  int rank; /* -1: no such dataset */
  hsize_t dim[8];
  H5T_class_t type_class;
  size_t type_size; /* bytes of one element */
  bool is_signed;
} H5Shape;

static H5Shape h5_shape(hid_t place, const char *path) {
  H5Shape shape = {.rank = -1};
  hid_t dataset = h5_has(place, path) ? H5Dopen2(place, path, H5P_DEFAULT) : -1;
  if (dataset < 0)
    return shape;
  hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
  int rank = H5Sget_simple_extent_ndims(space);
  if (rank >= 0 && rank <= 8) {
    shape.rank = rank;
    H5Sget_simple_extent_dims(space, shape.dim, NULL);
    shape.type_class = H5Tget_class(type);
    shape.type_size = H5Tget_size(type);
    shape.is_signed = shape.type_class == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_2;
  }
  H5Tclose(type);
  H5Sclose(space);
  H5Dclose(dataset);
  return shape;
}

/* Reads a whole dataset, converted to the memory type. */
static bool h5_read_dataset(hid_t place, const char *path, hid_t memory_type, void *data) {
  hid_t dataset = H5Dopen2(place, path, H5P_DEFAULT);
  if (dataset < 0)
    return false;
  bool good = H5Dread(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
  H5Dclose(dataset);
  return good;
}
#endif
