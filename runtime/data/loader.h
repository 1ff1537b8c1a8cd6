/* Batches made beside the training step: a thread decodes and resizes a few batches ahead (bounded by a
 * ring), in an order that is given, so that results do not depend on timing. */
#ifndef NETC_DATA_LOADER_H
#define NETC_DATA_LOADER_H
#include <pthread.h>

#include "dataset.h"

enum { LOADER_SLOTS = 3 };

typedef struct LoaderBatch {
  int n;
  const int64_t *items; /* [n], numbers in the dataset */
  float *x;             /* [n][input_floats] */
} LoaderBatch;

typedef struct Loader {
  Dataset *dataset;
  const int64_t *order; /* [count] */
  int64_t count;
  int batch;
  LoaderBatch slots[LOADER_SLOTS];
  int64_t made, taken, given_back; /* batches so far */
  bool failed, stop, running;
  Fault fault;
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
} Loader;

static bool loader_fill(Loader *loader, LoaderBatch *slot, int64_t first) {
  int64_t left = loader->count - first;
  slot->n = left < loader->batch ? (int)left : loader->batch;
  slot->items = loader->order + first;
  for (int i = 0; i < slot->n; i++)
    if (!dataset_read(loader->dataset, slot->items[i], slot->x + (size_t)i * loader->dataset->input_floats,
                      &loader->fault))
      return false;
  return true;
}

static void *loader_run(void *argument) {
  Loader *loader = argument;
  for (int64_t first = 0; first < loader->count; first += loader->batch) {
    pthread_mutex_lock(&loader->mutex);
    while (!loader->stop && loader->made - loader->given_back == LOADER_SLOTS)
      pthread_cond_wait(&loader->changed, &loader->mutex);
    bool stop = loader->stop;
    LoaderBatch *slot = &loader->slots[loader->made % LOADER_SLOTS];
    pthread_mutex_unlock(&loader->mutex);
    if (stop)
      return NULL;
    bool good = loader_fill(loader, slot, first);
    pthread_mutex_lock(&loader->mutex);
    loader->failed = !good;
    loader->made += good;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->mutex);
    if (!good)
      return NULL;
  }
  return NULL;
}

/* Starts on the images order[0..count), `batch` at a time; `order` must outlive the loader. */
static bool loader_start(Loader *loader, Dataset *dataset, const int64_t *order, int64_t count, int batch,
                         Fault *fault) {
  *loader = (Loader){.dataset = dataset, .order = order, .count = count, .batch = batch};
  for (int i = 0; i < LOADER_SLOTS; i++) {
    loader->slots[i].x = malloc((size_t)batch * dataset->input_floats * sizeof(float));
    if (!loader->slots[i].x) {
      while (i--)
        free(loader->slots[i].x);
      return fault_set(fault, "no memory for %d batches of %d images", LOADER_SLOTS, batch);
    }
  }
  pthread_mutex_init(&loader->mutex, NULL);
  pthread_cond_init(&loader->changed, NULL);
  loader->running = !pthread_create(&loader->thread, NULL, loader_run, loader);
  return loader->running || fault_set(fault, "cannot start a thread");
}

/* The next batch, valid until the next call; NULL at the end (fault untouched) or where an image failed. */
static const LoaderBatch *loader_next(Loader *loader, Fault *fault) {
  int64_t batches = (loader->count + loader->batch - 1) / loader->batch;
  pthread_mutex_lock(&loader->mutex);
  loader->given_back = loader->taken;
  pthread_cond_broadcast(&loader->changed);
  while (loader->taken < batches && loader->made == loader->taken && !loader->failed)
    pthread_cond_wait(&loader->changed, &loader->mutex);
  const LoaderBatch *slot = NULL;
  if (loader->made > loader->taken)
    slot = &loader->slots[loader->taken++ % LOADER_SLOTS];
  else if (loader->failed)
    *fault = loader->fault;
  pthread_mutex_unlock(&loader->mutex);
  return slot;
}

static void loader_stop(Loader *loader) {
  pthread_mutex_lock(&loader->mutex);
  loader->stop = true;
  pthread_cond_broadcast(&loader->changed);
  pthread_mutex_unlock(&loader->mutex);
  if (loader->running)
    pthread_join(loader->thread, NULL);
  pthread_mutex_destroy(&loader->mutex);
  pthread_cond_destroy(&loader->changed);
  for (int i = 0; i < LOADER_SLOTS; i++)
    free(loader->slots[i].x);
}
#endif
