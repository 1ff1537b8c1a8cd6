/* The feature cache: what the frozen prefix of a phase makes of each image, computed once and used by every
 * later epoch, by validation, and (in a file) by later runs.  Where the phase keeps variants, the prefix
 * draws: training images have a row for each variant that the epochs ahead use.  A draw is a function of
 * seed, image and variant, and so is the variant of an epoch: the cache changes no result.
 *
 * File: a head of FEATURES_HEAD bytes (FeaturesHead), then records of equal size, each FeaturesRecord and a
 * row of floats, both padded to 64 bytes.  The head holds the key (prefix structure and weights); a record
 * holds its id (the hash of the image's content, of a variant that and its number), its group (0, of variants
 * what the draws depend on: settings and seed) and a checksum of its row.  A file of another key or with a
 * damaged head is started anew; a damaged or half-written record is as good as missing, and one of another
 * group is written over where room is needed.  Rows are used where the file is mapped. */
#ifndef NETC_TRAIN_FEATURES_H
#define NETC_TRAIN_FEATURES_H
#include <sys/mman.h>

#include "../data/loader.h"
#include "../random.h"
#include "forward.h"
#include "progress.h"
#include "stop.h"

enum { FEATURES_HEAD = 64, FEATURES_RECORD = 64, FEATURES_VERSION = 2 };

typedef struct FeaturesHead {
  char magic[8];
  uint32_t version, head_bytes;
  uint64_t floats, key, checksum;
} FeaturesHead;

typedef struct FeaturesRecord {
  uint64_t id, group, checksum;
} FeaturesRecord;

/* A row of the cache: an image, or one of its variants. */
typedef struct FeaturesRow {
  int64_t item;
  int variant;
  uint64_t id;
} FeaturesRow;

typedef struct Features {
  size_t floats;
  int variants;       /* 1: no draws */
  const float **rows; /* [dataset count][variants]; NULL: not asked for */
  int64_t computed, found, damaged;
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
  if (info->resize.method || info->resize.crop || info->resize.pad || info->resize.opencv_gray) {
    uint8_t ways[3] = {info->resize.crop, info->resize.pad, info->resize.opencv_gray};
    key = hash_bytes(ways, sizeof ways, key);
    if (info->resize.method)
      key = hash_bytes(info->resize.method, strlen(info->resize.method), key);
  }
  int count = own->prefix_weights ? own->prefix_weight_count : info->weight_count;
  for (int i = 0; i < count; i++) {
    const ModelWeight *weight = &info->weights[own->prefix_weights ? own->prefix_weights[i] : i];
    if (!own->prefix_weights && weight->phases >> phase & 1)
      continue;
    key = hash_bytes(params + weight->offset, weight->count * sizeof *params, key);
  }
  return key;
}

/* What the variants of a phase depend on besides the rest: settings of the random layers and the seed. */
static uint64_t features_group(const ModelPhase *phase, uint64_t seed) {
  return phase->variants ? hash_bytes(&seed, sizeof seed, phase->varied_hash) | 1 : 0;
}

/* The variant of an image that an epoch (of the whole training, from 0) uses: each in turn, from one that
 * differs between images. */
static int features_variant(const ModelPhase *phase, uint64_t seed, uint64_t image, int64_t epoch) {
  if (!phase->variants)
    return 0;
  uint64_t variants = (uint64_t)phase->variants;
  return (int)((random_bits(seed, 0x76617279u, image) % variants + (uint64_t)epoch) % variants);
}

/* The draw that makes a variant of an image. */
static int64_t features_draw(uint64_t image, int variant) {
  return (int64_t)hash_finish(image + ((uint64_t)variant + 1) * 0x9fb21c651e98df25u);
}

static size_t features_stride(size_t floats) {
  return FEATURES_RECORD + (floats * sizeof(float) + 63) / 64 * 64;
}

static uint64_t features_checksum(uint64_t id, uint64_t group, const float *row, size_t floats) {
  return hash_bytes(row, floats * sizeof *row, id ^ 3 * group ^ 0x6e657463u);
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

/* An open-addressing table from ids to numbers. */
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
  bool varied;                       /* rows are variants: the random layers of the prefix draw */
  uint64_t group;                    /* of the phase's variants, see above */
} FeaturesWork;

/* The rows of n images, which are those of rows[0..n). */
static void features_forward(const FeaturesWork *work, int n, const float *x, const FeaturesRow *rows,
                             float *features) {
  if (!work->varied) {
    forward_features(work->model, work->info, work->phase, n, x, features);
    return;
  }
  int64_t *draws = system_allocate((size_t)n * sizeof *draws);
  for (int i = 0; i < n; i++)
    draws[i] = features_draw(work->dataset->items[rows[i].item].hash, rows[i].variant);
  forward_varied(work->model, work->info, work->phase, n, x, draws, features);
  free(draws);
}

typedef bool (*FeaturesStore)(void *context, int64_t which, const float *row);

typedef struct FeaturesBatch {
  const FeaturesRow *wanted;
  int64_t done, count;
  float *x, *rows; /* images of a batch of rows, and what the prefix makes of them */
  int filled;
} FeaturesBatch;

/* Computes the rows whose images are gathered and hands each to `store`. */
static bool features_flush(const FeaturesWork *work, FeaturesBatch *batch, const float *x,
                           FeaturesStore store, void *context) {
  size_t floats = work->phase->feature_floats;
  bool good = true;
  features_forward(work, batch->filled, x, batch->wanted + batch->done, batch->rows);
  for (int i = 0; good && i < batch->filled; i++)
    good = store(context, batch->done + i, batch->rows + (size_t)i * floats);
  batch->done += batch->filled;
  batch->filled = 0;
  return good;
}

/* All rows of the images that a batch of the loader holds; rows of one image stand together. */
static bool features_take(const FeaturesWork *work, FeaturesBatch *batch, const LoaderBatch *loaded,
                          FeaturesStore store, void *context) {
  size_t floats = work->info->input_floats;
  if (!work->varied) {
    batch->filled = loaded->n;
    return features_flush(work, batch, loaded->x, store, context);
  }
  for (int i = 0; i < loaded->n; i++)
    for (int64_t at = batch->done + batch->filled;
         at < batch->count && batch->wanted[at].item == loaded->items[i]; at++) {
      memcpy(batch->x + (size_t)batch->filled++ * floats, loaded->x + (size_t)i * floats,
             floats * sizeof *batch->x);
      if (batch->filled == work->batch && !features_flush(work, batch, batch->x, store, context))
        return false;
    }
  return !batch->filled || features_flush(work, batch, batch->x, store, context);
}

/* Computes wanted[0..count) and hands each to `store`; every image is read once. */
static bool features_compute(const FeaturesWork *work, const FeaturesRow *wanted, int64_t count,
                             FeaturesStore store, void *context, Fault *fault) {
  FeaturesBatch own = {.wanted = wanted, .count = count};
  int64_t *items = system_allocate((size_t)count * sizeof *items), images = 0;
  for (int64_t i = 0; i < count; i++)
    if (!i || wanted[i].item != wanted[i - 1].item)
      items[images++] = wanted[i].item;
  own.rows = malloc((size_t)work->batch * work->phase->feature_floats * sizeof(float));
  own.x = malloc(work->varied ? (size_t)work->batch * work->info->input_floats * sizeof(float) : 1);
  Loader loader;
  Progress progress;
  bool good = own.rows && own.x;
  if (!good)
    fault_set(fault, "no memory for a batch of features");
  else
    good = loader_start(&loader, work->dataset, items, images, work->batch, fault);
  if (good) {
    progress_begin(&progress, work->progress, count, 0, "features");
    while (good && own.done < count) {
      const LoaderBatch *loaded = loader_next(&loader, fault);
      good = loaded != NULL;
      if (loaded && !features_take(work, &own, loaded, store, context))
        good = fault_set(fault, "features cannot be stored");
      progress_show(&progress, own.done, "");
      if (good && work->stop && *work->stop)
        good = fault_set(fault, "stopped while computing features");
    }
    loader_stop(&loader);
    if (good)
      progress_end(&progress, own.done, "");
  }
  free(own.rows);
  free(own.x);
  free(items);
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

static void features_set(Features *features, const FeaturesRow *row, const float *values) {
  features->rows[row->item * features->variants + row->variant] = values;
}

/* Keeps all rows in memory. */
static bool features_in_memory(Features *features, const FeaturesWork *work, const FeaturesRow *wanted,
                               int64_t count, Fault *fault) {
  features->memory = malloc((size_t)count * features->floats * sizeof(float) + 1);
  if (!features->memory)
    return fault_set(fault, "no memory for the features of %lld images (try --cache file or --cache off)",
                     (long long)count);
  FeaturesMemory memory = {features->memory, features->floats};
  if (!features_compute(work, wanted, count, features_store_memory, &memory, fault))
    return false;
  for (int64_t i = 0; i < count; i++)
    features_set(features, &wanted[i], features->memory + (size_t)i * features->floats);
  features->computed = count;
  snprintf(features->note, sizeof features->note, "in memory");
  return true;
}

typedef struct FeaturesFile {
  int file;
  size_t floats, stride;
  const FeaturesRow *rows; /* to compute */
  const int64_t *records;  /* where they go */
  uint64_t group;
  char *buffer; /* one record */
} FeaturesFile;

static bool features_store_file(void *context, int64_t which, const float *row) {
  FeaturesFile *own = context;
  uint64_t id = own->rows[which].id;
  FeaturesRecord record = {id, own->group, features_checksum(id, own->group, row, own->floats)};
  memset(own->buffer, 0, own->stride);
  memcpy(own->buffer, &record, sizeof record);
  memcpy(own->buffer + FEATURES_RECORD, row, own->floats * sizeof *row);
  return features_write(own->file, own->buffer, own->stride,
                        FEATURES_HEAD + (size_t)own->records[which] * own->stride);
}

/* The key of a row in the index. */
static uint64_t features_index_key(uint64_t id, uint64_t group) {
  return group ? hash_finish(id ^ group) : id;
}

/* Which records of the file are whole: fills the index, and `spare` with the numbers of those that are not
 * (*damaged: how many) and then of those of a group that is neither 0 nor `group`. */
static int64_t features_scan(int file, size_t floats, uint64_t group, int64_t records, FeaturesIndex *index,
                             int64_t *spare, int64_t *damaged) {
  size_t stride = features_stride(floats), bytes = FEATURES_HEAD + (size_t)records * stride;
  int64_t spares = 0, others = 0;
  char *map = records ? mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0) : MAP_FAILED;
  for (int64_t r = 0; r < records; r++) {
    FeaturesRecord record = {0, 0, 0};
    bool whole = map != MAP_FAILED;
    if (whole) {
      const char *at = map + FEATURES_HEAD + (size_t)r * stride;
      memcpy(&record, at, sizeof record);
      whole =
          record.checksum == features_checksum(record.id, record.group,
                                               (const float *)(const void *)(at + FEATURES_RECORD), floats);
    }
    bool other = whole && record.group && record.group != group;
    int64_t *place =
        whole && !other ? features_index_at(index, features_index_key(record.id, record.group)) : NULL;
    if (place && *place < 0)
      *place = r;
    else if (other)
      spare[records - ++others] = r; /* from the end on, moved below */
    else
      spare[spares++] = r;
  }
  if (map != MAP_FAILED)
    munmap(map, bytes);
  *damaged = spares;
  memmove(spare + spares, spare + records - others, (size_t)others * sizeof *spare);
  return spares + others;
}

/* Finds the record of every row: record_of[i].  Rows that the file lacks are copied to `missing` with their
 * places in `place_of`; returns how many. */
static int64_t features_assign(FeaturesIndex *index, uint64_t group, const FeaturesRow *wanted, int64_t count,
                               const int64_t *spare, int64_t spares, int64_t *records, int64_t *record_of,
                               FeaturesRow *missing, int64_t *place_of) {
  int64_t used = 0, lacking = 0;
  for (int64_t i = 0; i < count; i++) {
    int64_t *place = features_index_at(index, features_index_key(wanted[i].id, group));
    if (*place < 0) {
      *place = used < spares ? spare[used++] : (*records)++;
      place_of[lacking] = *place;
      missing[lacking++] = wanted[i];
    }
    record_of[i] = *place;
  }
  return lacking;
}

/* Keeps the rows in the file `path`; false without a message where the file cannot be used. */
static bool features_in_file(Features *features, const FeaturesWork *work, const char *path, uint64_t key,
                             const FeaturesRow *wanted, int64_t count, bool *failed, Fault *fault) {
  int64_t records = 0;
  int file = features_open(path, features->floats, key, &records);
  if (file < 0)
    return false;
  FeaturesIndex index = features_index_new((size_t)(records + count));
  size_t size = (size_t)count + 1;
  int64_t *spare = system_allocate(((size_t)records + 1) * sizeof *spare);
  int64_t *record_of = system_allocate(size * sizeof *record_of);
  int64_t *place_of = system_allocate(size * sizeof *place_of);
  FeaturesRow *rows = system_allocate(size * sizeof *rows);
  uint64_t group = work->varied ? work->group : 0;
  int64_t spares =
      features_scan(file, features->floats, work->group, records, &index, spare, &features->damaged);
  int64_t missing =
      features_assign(&index, group, wanted, count, spare, spares, &records, record_of, rows, place_of);
  size_t stride = features_stride(features->floats), bytes = FEATURES_HEAD + (size_t)records * stride;
  FeaturesFile own = {file, features->floats, stride, rows, place_of, group, system_allocate(stride)};
  bool good = !missing || features_compute(work, rows, missing, features_store_file, &own, fault);
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
    features_set(features, &wanted[i], (const float *)(const void *)at);
  }
  features->computed = missing;
  features->found = count - missing;
  snprintf(features->note, sizeof features->note, "in %.400s", path);
  features->file = file;
  free(own.buffer);
  free(rows);
  free(place_of);
  free(record_of);
  free(spare);
  features_index_free(&index);
  return good;
}

/* The rows that `epochs` epochs from `first` on use of the images wanted[0..count): a list of *rows entries.
 */
static FeaturesRow *features_rows(const FeaturesWork *work, uint64_t seed, int64_t first, int64_t epochs,
                                  const int64_t *wanted, int64_t count, int64_t *rows) {
  int64_t each = !work->varied ? 1 : epochs < work->phase->variants ? epochs : work->phase->variants;
  FeaturesRow *list = system_allocate((size_t)(count * each + 1) * sizeof *list);
  *rows = 0;
  for (int64_t i = 0; i < count; i++)
    for (int64_t k = 0; k < each; k++) {
      uint64_t image = work->dataset->items[wanted[i]].hash;
      int variant = work->varied ? features_variant(work->phase, seed, image, first + k) : 0;
      uint64_t number = (uint64_t)variant;
      list[(*rows)++] =
          (FeaturesRow){wanted[i], variant, work->varied ? hash_bytes(&number, sizeof number, image) : image};
    }
  return list;
}

/* Makes the rows wanted[0..count) ready.  mode: auto | memory | file; `path`: the file for the last and,
 * where it can be written, for auto. */
static bool features_prepare(Features *features, const FeaturesWork *work, const char *mode, const char *path,
                             uint64_t key, const FeaturesRow *wanted, int64_t count, Fault *fault) {
  bool failed = false;
  *features = (Features){.floats = work->phase->feature_floats,
                         .variants = work->varied ? work->phase->variants : 1,
                         .file = -1};
  features->rows =
      system_allocate((size_t)work->dataset->count * (size_t)features->variants * sizeof *features->rows);
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
