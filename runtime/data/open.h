/* DATA of the command line: which kind it is, and its parts for training and validation. */
#ifndef NETC_DATA_OPEN_H
#define NETC_DATA_OPEN_H
#include "../shuffle.h"
#include "folder.h"
#include "table_file.h"

/* A folder of class folders or an HDF5 file, with labels. */
static bool open_labelled(Dataset *dataset, const ModelInfo *info, const char *path, char *const *known,
                          int known_count, bool strict, Fault *fault) {
  struct stat status;
  *dataset = (Dataset){0};
  if (stat(path, &status))
    return fault_set(fault, "%s: %s", path, strerror(errno));
  if (S_ISDIR(status.st_mode))
    return folder_open(dataset, info, path, known, known_count, strict, fault);
  return table_file_open(dataset, info, path, true, fault);
}

/* Numbers of the images to train on and to validate with. */
typedef struct OpenSplit {
  int64_t *train, *validation;
  int64_t train_count, validation_count;
} OpenSplit;

static void open_split_free(OpenSplit *split) {
  free(split->train);
  free(split->validation);
}

/* Keras's fit: validation is the last part, from floor(N * (1 - part)) on.  Stratified: the last part of
 * every class, by the same rule.  Images of a folder, which come sorted by class, are shuffled by the seed
 * first, as image_dataset_from_directory does, unless `shuffle` is off. */
static void open_split(const Dataset *dataset, double part, bool stratified, bool shuffle, uint64_t seed,
                       OpenSplit *split) {
  int64_t count = dataset->count;
  int64_t *order = system_allocate((size_t)count * sizeof *order);
  bool *held = system_allocate((size_t)count * sizeof *held);
  for (int64_t i = 0; i < count; i++)
    order[i] = i;
  if (part > 0 && shuffle && dataset->shuffled_split)
    random_shuffle(order, count, seed, 0x73706c6974u);
  if (part > 0 && stratified) {
    for (int c = 0; c < dataset->class_count; c++) {
      int64_t size = 0, seen = 0;
      for (int64_t i = 0; i < count; i++)
        size += dataset->items[i].label == c;
      for (int64_t i = 0; i < count; i++)
        if (dataset->items[order[i]].label == c)
          held[order[i]] = seen++ >= (int64_t)floor((double)size * (1 - part));
    }
  } else if (part > 0) {
    for (int64_t i = (int64_t)floor((double)count * (1 - part)); i < count; i++)
      held[order[i]] = true;
  }
  *split = (OpenSplit){system_allocate((size_t)count * sizeof(int64_t)),
                       system_allocate((size_t)count * sizeof(int64_t)), 0, 0};
  for (int64_t i = 0; i < count; i++) {
    if (held[i])
      split->validation[split->validation_count++] = i;
    else
      split->train[split->train_count++] = i;
  }
  free(held);
  free(order);
}
#endif
