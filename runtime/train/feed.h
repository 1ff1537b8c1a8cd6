/* Batches for a step: images by the loader, or rows of the feature cache; targets and weights beside them. */
#ifndef NETC_TRAIN_FEED_H
#define NETC_TRAIN_FEED_H
#include "features.h"

typedef struct Feed {
  const ModelInfo *info;
  Dataset *dataset;
  const Features *features; /* or NULL */
  const int64_t *order;
  int64_t count, at;
  int batch;
  bool class_weights;
  /* Of features with variants: which one of an image comes. */
  const ModelPhase *phase;
  uint64_t seed;
  int64_t epoch;
  Loader loader;
  float *x, *target, *weight; /* of the batch at hand; weight may be NULL in feed_next's result */
} Feed;

typedef struct FeedBatch {
  int n;
  const float *x, *target, *weight;
  const int64_t *items;
} FeedBatch;

/* Images order[at..count), `batch` at a time.  With `class_weights` those of the network apply. */
static bool feed_start(Feed *feed, const ModelInfo *info, Dataset *dataset, const Features *features,
                       const int64_t *order, int64_t at, int64_t count, int batch, bool class_weights,
                       Fault *fault) {
  *feed = (Feed){.info = info,
                 .dataset = dataset,
                 .features = features,
                 .order = order,
                 .count = count,
                 .at = at,
                 .batch = batch};
  feed->class_weights = class_weights && info->class_weights;
  feed->target = system_allocate((size_t)batch * info->target_floats * sizeof(float));
  feed->weight = system_allocate((size_t)batch * sizeof(float));
  if (features)
    feed->x = system_allocate((size_t)batch * features->floats * sizeof(float));
  if (features || loader_start(&feed->loader, dataset, order + at, count - at, batch, fault))
    return true;
  free(feed->target);
  free(feed->weight);
  return false;
}

static void feed_stop(Feed *feed) {
  if (!feed->features)
    loader_stop(&feed->loader);
  free(feed->x);
  free(feed->target);
  free(feed->weight);
}

/* The weight of item i in the loss: its own (dataset sample_weight) times its class's. */
static float feed_weight(const Feed *feed, int64_t i) {
  float weight = feed->dataset->sample_weights ? feed->dataset->sample_weights[i] : 1;
  int label = feed->dataset->items[i].label;
  if (feed->class_weights && label >= 0 && label < feed->info->class_weight_count)
    weight *= (float)feed->info->class_weights[label];
  return weight;
}

/* The next batch, valid until the next call.  False at the end (fault untouched) and where an image failed.
 */
static bool feed_next(Feed *feed, FeedBatch *batch, Fault *fault) {
  if (feed->at >= feed->count)
    return false;
  if (feed->features) {
    int64_t left = feed->count - feed->at;
    *batch = (FeedBatch){
        .n = left < feed->batch ? (int)left : feed->batch, .x = feed->x, .items = feed->order + feed->at};
    size_t floats = feed->features->floats;
    for (int i = 0; i < batch->n; i++) {
      int64_t row = batch->items[i] * feed->features->variants;
      if (feed->features->variants > 1)
        row += features_variant(feed->phase, feed->seed, feed->dataset->items[batch->items[i]].hash,
                                feed->epoch);
      memcpy(feed->x + (size_t)i * floats, feed->features->rows[row], floats * sizeof(float));
    }
  } else {
    const LoaderBatch *loaded = loader_next(&feed->loader, fault);
    if (!loaded)
      return false;
    *batch = (FeedBatch){.n = loaded->n, .x = loaded->x, .items = loaded->items};
  }
  for (int i = 0; i < batch->n; i++) {
    dataset_target(feed->dataset, feed->info, batch->items[i],
                   feed->target + (size_t)i * feed->info->target_floats);
    feed->weight[i] = feed_weight(feed, batch->items[i]);
  }
  batch->target = feed->target;
  batch->weight = feed->class_weights || feed->dataset->sample_weights ? feed->weight : NULL;
  feed->at += batch->n;
  return true;
}
#endif
