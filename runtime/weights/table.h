/* The contents of a Keras weights file, whatever its layout: an ordered list of layers with the names, shapes
 * and places of their weights.  Knows nothing of a Model: the compiler reads files with it too.
 *
 * Layouts (see Keras's legacy_h5_format.py and saving_lib.py for who writes them):
 *   legacy .h5          attribute layer_names, per layer attribute weight_names; whole models nest it in
 * /model_weights Keras 3 .weights.h5 /layers/<class>[_N]/vars/0,1,... with the layer's own name as attribute
 * `name` of vars .keras              a zip with the latter as model.weights.h5 */
#ifndef NETC_WEIGHTS_TABLE_H
#define NETC_WEIGHTS_TABLE_H
#include "archive.h"
#include "h5.h"

typedef enum TableKind { TABLE_LEGACY, TABLE_KERAS3 } TableKind;

typedef struct TableWeight {
  char *name; /* as the file says: "dense/kernel:0", "0" */
  char *path; /* of the dataset */
  int rank;
  int64_t dim[8];
  bool is_float;
} TableWeight;

typedef struct TableLayer {
  char *name; /* the layer's own; "" where a Keras 3 file does not say */
  char *key;  /* Keras 3: "conv2d_1"; legacy: same as name */
  int nest;   /* 0, or the number of the nested model it belongs to */
  TableWeight *weights;
  int weight_count;
} TableLayer;

typedef struct WeightsTable {
  char *path; /* of the file */
  hid_t file;
  TableKind kind;
  char *root; /* legacy: "" or "model_weights" */
  TableLayer *layers;
  int layer_count;
  int nest_count;
  unsigned char *image; /* the unpacked file, while a .keras archive is opened */
} WeightsTable;

static void table_free_layer(TableLayer *layer) {
  for (int w = 0; w < layer->weight_count; w++) {
    free(layer->weights[w].name);
    free(layer->weights[w].path);
  }
  free(layer->weights);
  free(layer->name);
  free(layer->key);
}

static void table_close(WeightsTable *table) {
  for (int i = 0; i < table->layer_count; i++)
    table_free_layer(&table->layers[i]);
  free(table->layers);
  if (table->file >= 0)
    H5Fclose(table->file);
  free(table->root);
  free(table->path);
  free(table->image);
  *table = (WeightsTable){.file = -1};
}

static TableLayer *table_add_layer(WeightsTable *table, const char *name, const char *key, int nest,
                                   int weight_count) {
  size_t count = (size_t)table->layer_count + 1;
  TableLayer *grown = system_allocate(count * sizeof *grown);
  if (table->layers)
    memcpy(grown, table->layers, (count - 1) * sizeof *grown);
  free(table->layers);
  table->layers = grown;
  TableLayer *layer = &grown[table->layer_count++];
  *layer = (TableLayer){system_copy_text(name), system_copy_text(key), nest,
                        system_allocate((size_t)weight_count * sizeof(TableWeight)), 0};
  return layer;
}

static bool table_add_weight(WeightsTable *table, TableLayer *layer, const char *name, const char *path,
                             Fault *fault) {
  H5Shape shape = h5_shape(table->file, path);
  if (shape.rank < 0)
    return fault_set(fault, "%s: has no dataset %s, which layer `%s` names", table->path, path, layer->name);
  TableWeight *weight = &layer->weights[layer->weight_count++];
  *weight = (TableWeight){
      system_copy_text(name), system_copy_text(path), shape.rank, {0}, shape.type_class == H5T_FLOAT};
  for (int d = 0; d < shape.rank; d++)
    weight->dim[d] = (int64_t)shape.dim[d];
  return true;
}

static bool table_read_legacy(WeightsTable *table, Fault *fault) {
  H5Texts names;
  bool good = true;
  hid_t root = H5Gopen2(table->file, *table->root ? table->root : "/", H5P_DEFAULT);
  if (root < 0 || !h5_read_texts(root, "layer_names", &names)) {
    if (root >= 0)
      H5Gclose(root);
    return fault_set(fault, "%s: its attribute layer_names cannot be read", table->path);
  }
  for (int i = 0; good && i < names.count; i++) {
    const char *name = names.texts[i];
    H5Texts weights;
    if (!*name)
      continue;
    hid_t group = h5_is_group(root, name) ? H5Gopen2(root, name, H5P_DEFAULT) : -1;
    if (group < 0) {
      good = fault_set(fault, "%s: has no group for its layer `%s`", table->path, name);
      break;
    }
    if (!h5_read_texts(group, "weight_names", &weights))
      weights = (H5Texts){NULL, 0};
    TableLayer *layer = table_add_layer(table, name, name, 0, weights.count);
    for (int w = 0; good && w < weights.count; w++) {
      char *path = system_allocate(strlen(table->root) + strlen(name) + strlen(weights.texts[w]) + 4);
      sprintf(path, "%s/%s/%s", table->root, name, weights.texts[w]);
      good = table_add_weight(table, layer, weights.texts[w], path, fault);
      free(path);
    }
    h5_texts_free(&weights);
    H5Gclose(group);
  }
  h5_texts_free(&names);
  H5Gclose(root);
  return good;
}

/* Splits "conv2d_12" into its base length and its number (0 where there is none). */
static size_t table_base(const char *key, long *number) {
  size_t length = strlen(key), base = length;
  while (base && key[base - 1] >= '0' && key[base - 1] <= '9')
    base--;
  if (base == length || base < 2 || key[base - 1] != '_') {
    *number = 0;
    return length;
  }
  *number = strtol(key + base, NULL, 10);
  return base - 1;
}

/* Orders "conv2d", "conv2d_2", "conv2d_10", "dense". */
static int table_compare_keys(const void *left, const void *right) {
  const char *a = *(char *const *)left, *b = *(char *const *)right;
  long m, n;
  size_t i = table_base(a, &m), j = table_base(b, &n);
  int order = strncmp(a, b, i < j ? i : j);
  if (order || i != j)
    return order ? order : i < j ? -1 : 1;
  return (m > n) - (m < n);
}

static herr_t table_collect_link(hid_t group, const char *name, const H5L_info_t *info, void *names) {
  (void)group;
  (void)info;
  h5_texts_add(names, name, strlen(name));
  return 0;
}

/* One level of a Keras 3 file: the groups under `path`, nested models after it. */
static bool table_read_keras3(WeightsTable *table, const char *path, int nest, Fault *fault) {
  H5Texts keys = {NULL, 0};
  bool good = true;
  hid_t group = H5Gopen2(table->file, path, H5P_DEFAULT);
  if (group < 0)
    return fault_set(fault, "%s: %s cannot be read", table->path, path);
  H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, table_collect_link, &keys);
  if (keys.count)
    qsort(keys.texts, (size_t)keys.count, sizeof *keys.texts, table_compare_keys);
  for (int i = 0; good && i < keys.count; i++) {
    char *place = system_allocate(strlen(path) + strlen(keys.texts[i]) + 64), number[16];
    size_t stem = (size_t)sprintf(place, "%s/%s", path, keys.texts[i]);
    strcpy(place + stem, "/layers");
    if (h5_is_group(table->file, place)) {
      good = table_read_keras3(table, place, ++table->nest_count, fault);
      free(place);
      continue;
    }
    strcpy(place + stem, "/vars");
    hid_t vars = h5_is_group(table->file, place) ? H5Gopen2(table->file, place, H5P_DEFAULT) : -1;
    if (vars >= 0) {
      int count = 0;
      while (snprintf(number, sizeof number, "%d", count), h5_has(vars, number))
        count++;
      char *name = h5_read_text(vars, "name");
      TableLayer *layer = table_add_layer(table, name ? name : "", keys.texts[i], nest, count);
      for (int w = 0; good && w < count; w++) {
        sprintf(place + stem, "/vars/%d", w);
        good = table_add_weight(table, layer, place + stem + 6, place, fault);
      }
      free(name);
      H5Gclose(vars);
    }
    free(place);
  }
  h5_texts_free(&keys);
  H5Gclose(group);
  return good;
}

/* Opens the HDF5 file, or the one inside a .keras archive. */
static bool table_open_file(WeightsTable *table, Fault *fault) {
  const char *path = table->path;
  size_t size;
  unsigned char start[8] = {0};
  FILE *file = fopen(path, "rb");
  if (!file)
    return fault_set(fault, "%s: %s", path, strerror(errno));
  size_t got = fread(start, 1, sizeof start, file);
  fclose(file);
  if (system_is_folder(path))
    return fault_set(fault, "%s: is a folder, not a weights file", path);
  if (got >= 4 && !memcmp(start, "PK\3\4", 4)) {
    table->image = archive_read(path, "model.weights.h5", &size, fault);
    if (!table->image)
      return false;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 1 << 16, 0);
    H5Pset_file_image(access, table->image, size);
    /* The library wants a name that no file has. */
    char *name = system_allocate(strlen(path) + 32);
    sprintf(name, "%s!model.weights.h5", path);
    table->file = H5Fopen(name, H5F_ACC_RDONLY, access);
    free(name);
    H5Pclose(access);
    free(table->image); /* it has its own copy */
    table->image = NULL;
    return table->file >= 0 || fault_set(fault, "%s: its model.weights.h5 is not an HDF5 file", path);
  }
  table->file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (table->file >= 0)
    return true;
  if (!got)
    return fault_set(fault, "%s: is empty", path);
  return H5Fis_hdf5(path) > 0 ? fault_set(fault, "%s: is a damaged or truncated HDF5 file", path)
                              : fault_set(fault, "%s: is not an HDF5 file", path);
}

/* Reads the file's table.  On success the file stays open for table_read_weight until table_close. */
static bool table_open(WeightsTable *table, const char *path, Fault *fault) {
  *table = (WeightsTable){.path = system_copy_text(path), .file = -1};
  h5_quiet();
  if (!table_open_file(table, fault)) {
    table_close(table);
    return false;
  }
  H5Texts names;
  const char *root = NULL;
  bool good;
  if (h5_read_texts(table->file, "layer_names", &names)) {
    root = "";
    h5_texts_free(&names);
  } else if (h5_is_group(table->file, "model_weights")) {
    root = "model_weights";
  }
  if (root) {
    table->root = system_copy_text(root);
    good = table_read_legacy(table, fault);
  } else if (h5_is_group(table->file, "layers") ||
             h5_is_group(table->file, "_layer_checkpoint_dependencies")) {
    table->kind = TABLE_KERAS3;
    good = table_read_keras3(
        table, h5_is_group(table->file, "layers") ? "layers" : "_layer_checkpoint_dependencies", 0, fault);
  } else {
    good =
        fault_set(fault, "%s: is an HDF5 file without Keras weights (no layer_names and no /layers)", path);
  }
  if (!good)
    table_close(table);
  return good;
}

/* Reads one weight into `data`, converted to float; its floats are the product of its dimensions. */
static bool table_read_weight(const WeightsTable *table, const TableWeight *weight, float *data,
                              Fault *fault) {
  return h5_read_dataset(table->file, weight->path, H5T_NATIVE_FLOAT, data) ||
         fault_set(fault, "%s: its dataset %s cannot be read", table->path, weight->path);
}
#endif
