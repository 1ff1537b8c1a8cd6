/* The feature cache: what the frozen prefix of a phase makes of each image, computed once and used by every
 * later epoch, by validation, and (in a file) by later runs.
 *
 * File: a head of FEATURES_HEAD bytes (FeaturesHead), then records of equal size, each FeaturesRecord and a
 * row of floats, both padded to 64 bytes.  The head holds the key (prefix structure and weights); a record
 * holds the hash of its image's content and a checksum of its row.  A file of another key or with a damaged
 * head is started anew; a damaged or half-written record is as good as missing.  Rows are used where the file
 * is mapped. */
#ifndef NETC_TRAIN_FEATURES_H
#define NETC_TRAIN_FEATURES_H
#include <sys/mman.h>

#include "../data/loader.h"
#include "forward.h"
#include "progress.h"
#include "stop.h"

enum { FEATURES_HEAD = 64, FEATURES_RECORD = 64, FEATURES_VERSION = 1 };

typedef struct FeaturesHead {
  char magic[8];
  uint32_t version, head_bytes;
  uint64_t floats, key, checksum;
} FeaturesHead;

typedef struct FeaturesRecord {
  uint64_t image, checksum;
} FeaturesRecord;

typedef struct Features {
  size_t floats;
  const float **rows; /* [dataset count]; NULL: not asked for */
  int64_t count, computed, found, damaged;
  float *memory; /* where the rows live, or NULL */
  void *map;     /* or here */
  size_t map_bytes;
  int file;       /* stays open and locked while it is mapped; -1: none */
  char note[512]; /* where they are kept, for the person */
} Features;

static void features_free(Features *features) {
  if (features->map)
    munmap(features->map, features->map_bytes);
  if (features->rows && features->file >= 0)
    close(features->file);
  free(features->rows);
  free(features->memory);
  *features = (Features){0};
}

/* Everything the features depend on besides the image: structure, constants and the bits of the weights. */
static uint64_t features_key(const ModelInfo *info, int phase, const float *params) {
  const ModelPhase *own = &info->phases[phase];
  uint64_t key = own->prefix_hash ? own->prefix_hash : info->prefix_hash;
  uint64_t sizes[4] = {(uint64_t)info->height, (uint64_t)info->width, (uint64_t)info->channels,
                       own->feature_floats};
  key = hash_bytes(sizes, sizeof sizes, key);
  key = hash_bytes(info->preprocess.scale, sizeof info->preprocess.scale, key + info->preprocess.reverse);
  key = hash_bytes(info->preprocess.offset, sizeof info->preprocess.offset, key);
  int count = own->prefix_weights ? own->prefix_weight_count : info->weight_count;
  for (int i = 0; i < count; i++) {
    const ModelWeight *weight = &info->weights[own->prefix_weights ? own->prefix_weights[i] : i];
    if (!own->prefix_weights && weight->phases >> phase & 1)
      continue;
    key = hash_bytes(params + weight->offset, weight->count * sizeof *params, key);
  }
  return key;
}

static size_t features_stride(size_t floats) {
  return FEATURES_RECORD + (floats * sizeof(float) + 63) / 64 * 64;
}

static uint64_t features_checksum(uint64_t image, const float *row, size_t floats) {
  return hash_bytes(row, floats * sizeof *row, image ^ 0x6e657463u);
}

static bool features_write(int file, const void *bytes, size_t length, size_t at) {
  const char *from = bytes;
  while (length) {
    ssize_t done = pwrite(file, from, length, (off_t)at);
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return false;
    from += done;
    at += (size_t)done;
    length -= (size_t)done;
  }
  return true;
}

static FeaturesHead features_head(size_t floats, uint64_t key) {
  FeaturesHead head = {"netcfea", FEATURES_VERSION, FEATURES_HEAD, floats, key, 0};
  head.checksum = hash_bytes(&head, offsetof(FeaturesHead, checksum), 0);
  return head;
}

/* One more process at work on the same file keeps its rows in memory instead. */
static bool features_lock(int file) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  return fcntl(file, F_SETLK, &lock) != -1;
}

/* Opens or starts the file; *records: how many whole ones it holds.  -1: it cannot be used. */
static int features_open(const char *path, size_t floats, uint64_t key, int64_t *records) {
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  FeaturesHead head, wanted = features_head(floats, key);
  struct stat status;
  *records = 0;
  if (file < 0)
    return -1;
  if (!features_lock(file) || fstat(file, &status)) {
    close(file);
    return -1;
  }
  if (pread(file, &head, sizeof head, 0) == (ssize_t)sizeof head && !memcmp(&head, &wanted, sizeof head)) {
    *records = (int64_t)(((size_t)status.st_size - FEATURES_HEAD) / features_stride(floats));
    return file;
  }
  char blank[FEATURES_HEAD] = "";
  memcpy(blank, &wanted, sizeof wanted);
  if (ftruncate(file, 0) || !features_write(file, blank, sizeof blank, 0)) {
    close(file);
    return -1;
  }
  return file;
}

/* An open-addressing table from image hash to a number. */
typedef struct FeaturesIndex {
  uint64_t *keys;
  int64_t *values; /* -1: free */
  size_t size;     /* a power of two */
} FeaturesIndex;

static FeaturesIndex features_index_new(size_t count) {
  FeaturesIndex index = {NULL, NULL, 64};
  while (index.size < 2 * count)
    index.size *= 2;
  index.keys = system_allocate(index.size * sizeof *index.keys);
  index.values = system_allocate(index.size * sizeof *index.values);
  for (size_t i = 0; i < index.size; i++)
    index.values[i] = -1;
  return index;
}

static void features_index_free(FeaturesIndex *index) {
  free(index->keys);
  free(index->values);
}

/* The place of a key's value; *place < 0 where the key is new (its key is set then). */
static int64_t *features_index_at(FeaturesIndex *index, uint64_t key) {
  size_t at = hash_finish(key) & (index->size - 1);
  while (index->values[at] >= 0 && index->keys[at] != key)
    at = (at + 1) & (index->size - 1);
  index->keys[at] = key;
  return &index->values[at];
}

typedef struct FeaturesWork {
  Model *model;
  const ModelInfo *info;
  const ModelPhase *phase;
  Dataset *dataset;
  int batch;
  FILE *progress;
  const volatile sig_atomic_t *stop; /* set: give up */
} FeaturesWork;

/* Computes the rows of the images wanted[0..count) and hands each to `store`. */
static bool features_compute(const FeaturesWork *work, const int64_t *wanted, int64_t count,
                             bool (*store)(void *context, int64_t which, const float *row), void *context,
                             Fault *fault) {
  size_t floats = work->phase->feature_floats;
  float *rows = malloc((size_t)work->batch * floats * sizeof *rows);
  Loader loader;
  Progress progress;
  if (!rows)
    return fault_set(fault, "no memory for a batch of features");
  if (!loader_start(&loader, work->dataset, wanted, count, work->batch, fault)) {
    free(rows);
    return false;
  }
  progress_begin(&progress, work->progress, count, 0, "features");
  bool good = true;
  int64_t done = 0;
  while (good && done < count) {
    const LoaderBatch *batch = loader_next(&loader, fault);
    if (!batch) {
      good = false;
      break;
    }
    forward_features(work->model, work->info, work->phase, batch->n, batch->x, rows);
    for (int i = 0; good && i < batch->n; i++)
      good = store(context, done + i, rows + (size_t)i * floats) ||
             fault_set(fault, "features cannot be stored");
    done += batch->n;
    progress_show(&progress, done, "");
    if (good && work->stop && *work->stop)
      good = fault_set(fault, "stopped while computing features");
  }
  loader_stop(&loader);
  if (good)
    progress_end(&progress, done, "");
  free(rows);
  return good;
}

typedef struct FeaturesMemory {
  float *rows;
  size_t floats;
} FeaturesMemory;

static bool features_store_memory(void *context, int64_t which, const float *row) {
  FeaturesMemory *memory = context;
  memcpy(memory->rows + (size_t)which * memory->floats, row, memory->floats * sizeof *row);
  return true;
}

/* Keeps all rows in memory. */
static bool features_in_memory(Features *features, const FeaturesWork *work, const int64_t *wanted,
                               int64_t count, Fault *fault) {
  features->memory = malloc((size_t)count * features->floats * sizeof(float) + 1);
  if (!features->memory)
    return fault_set(fault, "no memory for the features of %lld images (try --cache file or --cache off)",
                     (long long)count);
  FeaturesMemory memory = {features->memory, features->floats};
  if (!features_compute(work, wanted, count, features_store_memory, &memory, fault))
    return false;
  for (int64_t i = 0; i < count; i++)
    features->rows[wanted[i]] = features->memory + (size_t)i * features->floats;
  features->computed = count;
  snprintf(features->note, sizeof features->note, "in memory");
  return true;
}

typedef struct FeaturesFile {
  int file;
  size_t floats, stride;
  const uint64_t *images; /* of the rows to compute */
  const int64_t *records; /* where they go */
  char *buffer;           /* one record */
} FeaturesFile;

static bool features_store_file(void *context, int64_t which, const float *row) {
  FeaturesFile *own = context;
  FeaturesRecord record = {own->images[which], features_checksum(own->images[which], row, own->floats)};
  memset(own->buffer, 0, own->stride);
  memcpy(own->buffer, &record, sizeof record);
  memcpy(own->buffer + FEATURES_RECORD, row, own->floats * sizeof *row);
  return features_write(own->file, own->buffer, own->stride,
                        FEATURES_HEAD + (size_t)own->records[which] * own->stride);
}

/* Which records of the file are whole: fills the index, and `spare` with the numbers of those that are not.
 */
static int64_t features_scan(int file, size_t floats, int64_t records, FeaturesIndex *index, int64_t *spare) {
  size_t stride = features_stride(floats), bytes = FEATURES_HEAD + (size_t)records * stride;
  int64_t spares = 0;
  char *map = records ? mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0) : MAP_FAILED;
  for (int64_t r = 0; r < records; r++) {
    FeaturesRecord record = {0, 0};
    bool whole = map != MAP_FAILED;
    if (whole) {
      const char *at = map + FEATURES_HEAD + (size_t)r * stride;
      memcpy(&record, at, sizeof record);
      whole = record.checksum ==
              features_checksum(record.image, (const float *)(const void *)(at + FEATURES_RECORD), floats);
    }
    int64_t *place = whole ? features_index_at(index, record.image) : NULL;
    if (place && *place < 0)
      *place = r;
    else
      spare[spares++] = r;
  }
  if (map != MAP_FAILED)
    munmap(map, bytes);
  return spares;
}

/* Keeps the rows in the file `path`; false without a message where the file cannot be used. */
static bool features_in_file(Features *features, const FeaturesWork *work, const char *path, uint64_t key,
                             const int64_t *wanted, int64_t count, bool *failed, Fault *fault) {
  int64_t records = 0, missing = 0;
  int file = features_open(path, features->floats, key, &records);
  if (file < 0)
    return false;
  FeaturesIndex index = features_index_new((size_t)(records + count));
  int64_t *spare = system_allocate(((size_t)records + 1) * sizeof *spare);
  int64_t *record_of = system_allocate((size_t)count * sizeof *record_of), *compute = NULL, *place_of = NULL;
  uint64_t *images = system_allocate((size_t)count * sizeof *images);
  int64_t spares = features_scan(file, features->floats, records, &index, spare), used = 0;
  compute = system_allocate((size_t)count * sizeof *compute);
  place_of = system_allocate((size_t)count * sizeof *place_of);
  features->damaged = spares;
  for (int64_t i = 0; i < count; i++) {
    uint64_t image = work->dataset->items[wanted[i]].hash;
    int64_t *place = features_index_at(&index, image);
    if (*place < 0) {
      *place = used < spares ? spare[used++] : records++;
      images[missing] = image;
      place_of[missing] = *place;
      compute[missing++] = wanted[i];
    }
    record_of[i] = *place;
  }
  size_t stride = features_stride(features->floats), bytes = FEATURES_HEAD + (size_t)records * stride;
  FeaturesFile own = {file, features->floats, stride, images, place_of, system_allocate(stride)};
  bool good = true;
  if (missing)
    good = features_compute(work, compute, missing, features_store_file, &own, fault);
  *failed = !good;
  if (good) {
    features->map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0);
    good = features->map != MAP_FAILED;
    features->map = good ? features->map : NULL;
    features->map_bytes = bytes;
  }
  for (int64_t i = 0; good && i < count; i++) {
    const char *at =
        (const char *)features->map + FEATURES_HEAD + (size_t)record_of[i] * stride + FEATURES_RECORD;
    features->rows[wanted[i]] = (const float *)(const void *)at;
  }
  features->computed = missing;
  features->found = count - missing;
  snprintf(features->note, sizeof features->note, "in %.400s", path);
  features->file = file;
  free(own.buffer);
  free(images);
  free(compute);
  free(place_of);
  free(record_of);
  free(spare);
  features_index_free(&index);
  return good;
}

/* Makes the features of the images wanted[0..count) of a dataset ready.  mode: auto | memory | file; `path`:
 * the file for the last and, where it can be written, for auto. */
static bool features_prepare(Features *features, const FeaturesWork *work, const char *mode, const char *path,
                             uint64_t key, const int64_t *wanted, int64_t count, Fault *fault) {
  bool failed = false;
  *features = (Features){.floats = work->phase->feature_floats, .count = work->dataset->count, .file = -1};
  features->rows = system_allocate((size_t)features->count * sizeof *features->rows);
  if (strcmp(mode, "memory") && path) {
    if (features_in_file(features, work, path, key, wanted, count, &failed, fault))
      return true;
    if (failed && strcmp(mode, "auto"))
      return false;
    if (failed && work->stop && *work->stop)
      return false;
    if (!strcmp(mode, "file"))
      return fault_set(fault, "%s: the feature cache cannot be written (%s)", path, strerror(errno));
  }
  return features_in_memory(features, work, wanted, count, fault);
}
#endif
