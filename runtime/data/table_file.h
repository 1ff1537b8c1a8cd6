/* Datasets from an HDF5 file: `x` (N, H, W, C) as uint8 (raw pixels) or float32 (as they are), `y` (N)
 * integers or (N, K) floats, and if present `sample_weight` (N). */
#ifndef NETC_DATA_TABLE_FILE_H
#define NETC_DATA_TABLE_FILE_H
#include "../weights/h5.h"
#include "dataset.h"

static void table_file_shape_text(const H5Shape *shape, char *text, size_t size) {
  size_t used = (size_t)snprintf(text, size, "(");
  for (int d = 0; d < shape->rank && used < size; d++)
    used += (size_t)snprintf(text + used, size - used, "%s%llu", d ? ", " : "",
                             (unsigned long long)shape->dim[d]);
  if (used < size)
    snprintf(text + used, size - used, ")");
}

static bool table_file_bad_x(const Dataset *dataset, const H5Shape *shape, const char *wanted, Fault *fault) {
  char have[160];
  table_file_shape_text(shape, have, sizeof have);
  return fault_set(fault, "%s: dataset x has shape %s, wanted is %s", dataset->path, have, wanted);
}

/* Checks the shape of x and notes how its rows look. */
static bool table_file_shape(Dataset *dataset, const H5Shape *shape, bool bytes, Fault *fault) {
  char wanted[96];
  uint64_t h = shape->rank > 1 ? shape->dim[1] : 1, w = shape->rank > 2 ? shape->dim[2] : 1;
  uint64_t c = shape->rank > 3 ? shape->dim[3] : 1;
  if (shape->rank < 2 || shape->rank > 4)
    return table_file_bad_x(dataset, shape, "(N, height, width, channels)", fault);
  if (!dataset->height || (!bytes && shape->rank == 2)) {
    snprintf(wanted, sizeof wanted, "(N, %zu)", dataset->input_floats);
    if (h * w * c != dataset->input_floats)
      return table_file_bad_x(dataset, shape, wanted, fault);
  } else if (bytes) {
    if (shape->rank < 3 || (c != 1 && c != 3))
      return table_file_bad_x(dataset, shape, "(N, height, width, 1 or 3) for 8-bit pixels", fault);
    if (!image_size_good(w, h, fault)) {
      Fault reason = *fault;
      return fault_set(fault, "%s: dataset x: each image %.1000s", dataset->path, reason.text);
    }
  } else {
    snprintf(wanted, sizeof wanted, "(N, %d, %d, %d) for floats, which go in as they are", dataset->height,
             dataset->width, dataset->channels);
    if (h != (uint64_t)dataset->height || w != (uint64_t)dataset->width || c != (uint64_t)dataset->channels)
      return table_file_bad_x(dataset, shape, wanted, fault);
  }
  dataset->row_height = (int)h;
  dataset->row_width = (int)w;
  dataset->row_channels = (int)c;
  dataset->row_floats = (size_t)(h * w * c);
  return true;
}

static bool table_file_read_x(Dataset *dataset, hid_t file, Fault *fault) {
  H5Shape shape = h5_shape(file, "x");
  if (shape.rank < 0)
    return fault_set(fault, "%s: has no dataset x", dataset->path);
  bool bytes = shape.type_class == H5T_INTEGER && shape.type_size == 1 && !shape.is_signed;
  if (!bytes && shape.type_class != H5T_FLOAT)
    return fault_set(fault, "%s: dataset x must be uint8 (pixels) or float32, it is %s of %zu bytes",
                     dataset->path, shape.type_class == H5T_INTEGER ? "an integer" : "something else",
                     shape.type_size);
  if (shape.rank < 1 || !shape.dim[0])
    return fault_set(fault, "%s: dataset x holds no images", dataset->path);
  if (bytes && !dataset->height)
    bytes = false; /* a flat network takes the numbers as they are */
  if (!table_file_shape(dataset, &shape, bytes, fault))
    return false;
  size_t count = (size_t)shape.dim[0] * dataset->row_floats;
  if (bytes)
    dataset->bytes = malloc(count);
  else
    dataset->floats = malloc(count * sizeof(float));
  if (!dataset->bytes && !dataset->floats)
    return fault_set(fault, "%s: no memory for dataset x (%zu numbers)", dataset->path, count);
  if (!h5_read_dataset(file, "x", bytes ? H5T_NATIVE_UINT8 : H5T_NATIVE_FLOAT,
                       bytes ? (void *)dataset->bytes : (void *)dataset->floats))
    return fault_set(fault, "%s: dataset x cannot be read", dataset->path);
  for (hsize_t i = 0; i < shape.dim[0]; i++) {
    DatasetItem *item = dataset_add(dataset, NULL, -1);
    size_t size = dataset->row_floats * (bytes ? 1 : sizeof(float));
    item->hash = hash_bytes(bytes ? (const void *)(dataset->bytes + i * size)
                                  : (const void *)(dataset->floats + i * dataset->row_floats),
                            size, bytes ? 1 : 2);
  }
  return true;
}

/* y as class numbers, one per image. */
static bool table_file_read_numbers(Dataset *dataset, hid_t file, const ModelInfo *info, Fault *fault) {
  int64_t *numbers = system_allocate((size_t)dataset->count * sizeof *numbers);
  int classes = dataset_head_classes(info);
  bool good = h5_read_dataset(file, "y", H5T_NATIVE_INT64, numbers) ||
              fault_set(fault, "%s: dataset y cannot be read", dataset->path);
  for (int64_t i = 0; good && i < dataset->count; i++) {
    if (numbers[i] < 0 || numbers[i] >= classes)
      good = fault_set(fault, "%s: y[%lld] is class %lld, the network's head has classes 0 to %d",
                       dataset->path, (long long)i, (long long)numbers[i], classes - 1);
    dataset->items[i].label = (int)numbers[i];
  }
  dataset->class_count = classes;
  free(numbers);
  return good;
}

/* y as the loss's targets, floats. */
static bool table_file_read_targets(Dataset *dataset, hid_t file, const ModelInfo *info, const H5Shape *shape,
                                    Fault *fault) {
  size_t width = shape->rank > 1 ? (size_t)shape->dim[1] : 1, wanted = info->target_floats;
  if (width != wanted || shape->rank > 2)
    return fault_set(fault, "%s: dataset y has %zu floats per image, the network's loss takes %zu",
                     dataset->path, width, wanted);
  dataset->targets = system_allocate((size_t)dataset->count * wanted * sizeof(float));
  if (!h5_read_dataset(file, "y", H5T_NATIVE_FLOAT, dataset->targets))
    return fault_set(fault, "%s: dataset y cannot be read", dataset->path);
  dataset->class_count = dataset_head_classes(info);
  for (int64_t i = 0; i < dataset->count; i++) {
    const float *row = dataset->targets + (size_t)i * wanted;
    size_t best = 0;
    for (size_t k = 1; k < wanted; k++)
      best = row[k] > row[best] ? k : best;
    for (size_t k = 0; k < wanted; k++)
      if (!(row[k] - row[k] == 0))
        return fault_set(fault, "%s: y[%lld] is not a finite number", dataset->path, (long long)i);
    if (info->target == MODEL_TARGET_INDEX && (row[0] < 0 || row[0] >= (float)dataset->class_count))
      return fault_set(fault, "%s: y[%lld] is class %g, the network's head has classes 0 to %d",
                       dataset->path, (long long)i, (double)row[0], dataset->class_count - 1);
    dataset->items[i].label = info->target == MODEL_TARGET_ONE_HOT ? (int)best
                              : info->target == MODEL_TARGET_INDEX ? (int)row[0]
                                                                   : row[0] > .5f;
  }
  return true;
}

static bool table_file_read_y(Dataset *dataset, hid_t file, const ModelInfo *info, Fault *fault) {
  H5Shape shape = h5_shape(file, "y");
  char have[160];
  table_file_shape_text(&shape, have, sizeof have);
  if (shape.rank < 0)
    return fault_set(fault, "%s: has no dataset y", dataset->path);
  if (shape.rank < 1 || shape.dim[0] != (hsize_t)dataset->count)
    return fault_set(fault, "%s: dataset y has shape %s, but x holds %lld images", dataset->path, have,
                     (long long)dataset->count);
  bool column = shape.rank == 1 || (shape.rank == 2 && shape.dim[1] == 1);
  if (shape.type_class == H5T_INTEGER && column)
    return table_file_read_numbers(dataset, file, info, fault);
  if (shape.type_class == H5T_FLOAT || shape.type_class == H5T_INTEGER)
    return table_file_read_targets(dataset, file, info, &shape, fault);
  return fault_set(fault, "%s: dataset y must be integers (N) or floats (N, %zu)", dataset->path,
                   info->target_floats);
}

static bool table_file_read_weights(Dataset *dataset, hid_t file, Fault *fault) {
  H5Shape shape = h5_shape(file, "sample_weight");
  if (shape.rank < 0)
    return true;
  if (shape.rank != 1 || shape.dim[0] != (hsize_t)dataset->count)
    return fault_set(fault, "%s: dataset sample_weight must hold one number per image", dataset->path);
  dataset->sample_weights = system_allocate((size_t)dataset->count * sizeof(float));
  return h5_read_dataset(file, "sample_weight", H5T_NATIVE_FLOAT, dataset->sample_weights) ||
         fault_set(fault, "%s: dataset sample_weight cannot be read", dataset->path);
}

/* `labelled`: y must be there (training, evaluation). */
static bool table_file_open(Dataset *dataset, const ModelInfo *info, const char *path, bool labelled,
                            Fault *fault) {
  dataset_start(dataset, info, path);
  h5_quiet();
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file < 0)
    return H5Fis_hdf5(path) > 0 ? fault_set(fault, "%s: is a damaged or truncated HDF5 file", path)
                                : fault_set(fault, "%s: is neither a folder nor an HDF5 file", path);
  bool good = table_file_read_x(dataset, file, fault) &&
              (!labelled || (table_file_read_y(dataset, file, info, fault) &&
                             table_file_read_weights(dataset, file, fault)));
  H5Texts names;
  if (good && h5_read_texts(file, "class_names", &names)) {
    if (names.count == dataset_head_classes(info)) {
      dataset->class_names = names.texts;
      dataset->class_count = names.count;
    } else {
      h5_texts_free(&names);
    }
  }
  H5Fclose(file);
  return good;
}
#endif
