/* Images with their labels: a folder with one sub-folder per class, a list of files, or an HDF5 file.
 *
 * A folder is looked through before use (every file's structure is checked and hashed); pixels are decoded
 * when they are first asked for and kept while memory allows. */
#ifndef NETC_DATA_DATASET_H
#define NETC_DATA_DATASET_H
#include <dirent.h>

#include "../cli/console.h"
#include "../hash.h"
#include "../model.h"
#include "picture.h"
#include "resize.h"

typedef struct DatasetItem {
  char *path;         /* of the image file, NULL in an HDF5 file */
  int label;          /* -1: unknown */
  bool decoded, gray; /* looked at; one channel in the file */
  bool damaged;       /* a JPEG file of which the decoder had to guess a part */
  uint64_t hash;
  /* Kept pixels, or NULL: 8-bit [height][width][channels] of the file, or the resized floats where those are
   * smaller. */
  void *kept;
  int kept_height, kept_width; /* 0: `kept` are the resized floats */
} DatasetItem;

typedef struct Dataset {
  char *path;
  int height, width, channels; /* as the network wants them; height 0: flat floats */
  size_t input_floats;
  ModelResize resize;         /* of 8-bit pixels */
  ModelPreprocess preprocess; /* after it */
  DatasetItem *items;
  int64_t count, capacity;
  char **class_names; /* sorted; NULL where unknown (HDF5 without names) */
  int class_count;
  float *targets;        /* [count][target_floats] where the file gives them as floats, else NULL */
  float *sample_weights; /* [count], or NULL */
  bool shuffled_split;   /* folders are sorted by class: shuffle before a part is split off */
  /* HDF5 pixels: one of the two, rows of row_floats. */
  uint8_t *bytes;
  float *floats;
  int row_height, row_width, row_channels;
  size_t row_floats;
  size_t kept_bytes, kept_limit; /* of decoded pixels */
  int64_t skipped;               /* files left out with a warning */
} Dataset;

static void dataset_start(Dataset *dataset, const ModelInfo *info, const char *path) {
  *dataset = (Dataset){.path = system_copy_text(path),
                       .height = info->height,
                       .width = info->width,
                       .channels = info->channels,
                       .input_floats = info->input_floats,
                       .resize = info->resize,
                       .preprocess = info->preprocess};
  size_t memory = system_memory_bytes();
  dataset->kept_limit = memory ? memory / 4 : (size_t)1 << 30;
}

static void dataset_free(Dataset *dataset) {
  for (int64_t i = 0; i < dataset->count; i++) {
    free(dataset->items[i].path);
    free(dataset->items[i].kept);
  }
  for (int c = 0; dataset->class_names && c < dataset->class_count; c++)
    free(dataset->class_names[c]);
  free(dataset->class_names);
  free(dataset->items);
  free(dataset->targets);
  free(dataset->sample_weights);
  free(dataset->bytes);
  free(dataset->floats);
  free(dataset->path);
  *dataset = (Dataset){0};
}

static DatasetItem *dataset_add(Dataset *dataset, char *path, int label) {
  if (dataset->count == dataset->capacity) {
    dataset->capacity = dataset->capacity ? 2 * dataset->capacity : 1024;
    DatasetItem *grown = system_allocate((size_t)dataset->capacity * sizeof *grown);
    if (dataset->items)
      memcpy(grown, dataset->items, (size_t)dataset->count * sizeof *grown);
    free(dataset->items);
    dataset->items = grown;
  }
  DatasetItem *item = &dataset->items[dataset->count++];
  *item = (DatasetItem){.path = path, .label = label};
  return item;
}

/* What stands for item i in messages, in the caller's buffer. */
static const char *dataset_item_name(const Dataset *dataset, int64_t i, char *text, size_t size) {
  if (dataset->items[i].path)
    return dataset->items[i].path;
  snprintf(text, size, "%s[%lld]", dataset->path, (long long)i);
  return text;
}

/* Several threads may do this for different items. */
static void dataset_keep(Dataset *dataset, DatasetItem *item, Image *image, const float *x) {
  size_t pixels = (size_t)image->width * (size_t)image->height * (size_t)image->channels;
  size_t resized = dataset->input_floats * sizeof(float), smaller = pixels < resized ? pixels : resized;
  bool room;
#ifdef _OPENMP
#pragma omp critical(dataset_kept)
#endif
  {
    room = dataset->kept_bytes + smaller <= dataset->kept_limit;
    dataset->kept_bytes += room ? smaller : 0;
  }
  if (!room)
    return;
  if (pixels <= resized) {
    item->kept_height = image->height;
    item->kept_width = image->width;
    item->kept = image->pixels;
    image->pixels = NULL;
  } else {
    item->kept_height = item->kept_width = 0;
    item->kept = malloc(resized);
    if (item->kept)
      memcpy(item->kept, x, resized);
  }
}

/* Pixels [height][width][dataset->channels] to the network's size: x [input_floats]. */
static bool dataset_resize(const Dataset *dataset, const uint8_t *pixels, int height, int width, float *x,
                           Fault *fault) {
  size_t size =
      resize_image_bytes(&dataset->resize, height, width, dataset->channels, dataset->height, dataset->width);
  void *scratch = size ? malloc(size) : NULL;
  if (size && !scratch)
    return fault_set(fault, "no memory to resize it");
  resize_image(&dataset->resize, pixels, height, width, dataset->channels, dataset->height, dataset->width,
               scratch, x);
  free(scratch);
  return true;
}

/* Pixels out of a file's bytes: x [input_floats]; kept for later while there is room.  `fault` gets the
 * reason only. */
static bool dataset_decode(Dataset *dataset, DatasetItem *item, const unsigned char *bytes, size_t length,
                           float *x, Fault *fault) {
  Image image = {0};
  bool damaged = false;
  bool good = picture_decode(bytes, length, &image, &damaged, fault);
  item->decoded = good;
  item->gray = good && image.channels == 1;
  good = good && image_set_channels(&image, dataset->channels, dataset->resize.opencv_gray, fault);
  good = good && dataset_resize(dataset, image.pixels, image.height, image.width, x, fault);
  if (good) {
    dataset_keep(dataset, item, &image, x);
    item->damaged = damaged;
  }
  image_free(&image);
  return good;
}

/* One row of an HDF5 file: floats as they are, 8-bit pixels resized and with their channels changed. */
static bool dataset_read_row(const Dataset *dataset, int64_t i, float *x, Fault *fault) {
  if (dataset->floats) {
    memcpy(x, dataset->floats + (size_t)i * dataset->row_floats, dataset->row_floats * sizeof *x);
    return true;
  }
  Image image;
  if (!image_allocate(&image, (uint64_t)dataset->row_width, (uint64_t)dataset->row_height,
                      dataset->row_channels, fault))
    return false;
  memcpy(image.pixels, dataset->bytes + (size_t)i * dataset->row_floats, dataset->row_floats);
  bool good = image_set_channels(&image, dataset->channels, dataset->resize.opencv_gray, fault);
  good = good && dataset_resize(dataset, image.pixels, image.height, image.width, x, fault);
  image_free(&image);
  return good;
}

/* The pixels of an image file, resized. */
static bool dataset_read_file(Dataset *dataset, DatasetItem *item, float *x, Fault *fault) {
  if (item->kept && item->kept_height)
    return dataset_resize(dataset, item->kept, item->kept_height, item->kept_width, x, fault);
  if (item->kept) {
    memcpy(x, item->kept, dataset->input_floats * sizeof *x);
    return true;
  }
  Fault reason;
  size_t length;
  unsigned char *bytes = system_read_file(item->path, &length, fault);
  bool good = bytes && dataset_decode(dataset, item, bytes, length, x, &reason);
  if (bytes && !good)
    fault_set(fault, "%s: %.1000s", item->path, reason.text);
  free(bytes);
  return good;
}

/* The network's input for item i: x [height][width][channels].  One thread at a time. */
static bool dataset_read(Dataset *dataset, int64_t i, float *x, Fault *fault) {
  DatasetItem *item = &dataset->items[i];
  if (!(item->path ? dataset_read_file(dataset, item, x, fault) : dataset_read_row(dataset, i, x, fault)))
    return false;
  if (!dataset->floats)
    pixels_preprocess(&dataset->preprocess, dataset->channels, dataset->input_floats, x);
  return true;
}

/* The loss's target for item i: target [info->target_floats]. */
static void dataset_target(const Dataset *dataset, const ModelInfo *info, int64_t i, float *target) {
  int label = dataset->items[i].label;
  size_t count = info->target_floats;
  if (dataset->targets) {
    memcpy(target, dataset->targets + (size_t)i * count, count * sizeof *target);
  } else if (info->target == MODEL_TARGET_ONE_HOT) {
    memset(target, 0, count * sizeof *target);
    if (label >= 0 && (size_t)label < count)
      target[label] = 1;
  } else {
    for (size_t k = 0; k < count; k++)
      target[k] = (float)label;
  }
}

/* The number of classes the network's head tells apart; 0 where it is not a classifier of images. */
static int dataset_head_classes(const ModelInfo *info) {
  return info->target == MODEL_TARGET_BINARY ? 2 : (int)info->output_floats;
}

static const char *dataset_class_name(const Dataset *dataset, int label, char *text, size_t size) {
  if (dataset->class_names && label >= 0 && label < dataset->class_count)
    return dataset->class_names[label];
  snprintf(text, size, "%d", label);
  return text;
}
#endif
