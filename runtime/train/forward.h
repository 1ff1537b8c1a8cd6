/* The calls of an emitted network that may take fewer images than a training step: done in parts. */
#ifndef NETC_TRAIN_FORWARD_H
#define NETC_TRAIN_FORWARD_H
#include "../model.h"
#include "../random.h"

/* The most images of one call of features or model_forward. */
static int forward_part(const ModelInfo *info, const Model *model) {
  int most = model_batch(model);
  return info->forward_batch > 0 && info->forward_batch < most ? info->forward_batch : most;
}

/* x [n][input_floats] -> y_pred [n][output_floats], any n. */
static void forward_all(Model *model, const ModelInfo *info, int n, const float *x, float *y_pred) {
  int part = forward_part(info, model);
  for (int at = 0; at < n; at += part)
    model_forward(model, n - at < part ? n - at : part, x + (size_t)at * info->input_floats,
                  y_pred + (size_t)at * info->output_floats);
}

/* x [n][input_floats] -> features [n][phase->feature_floats], any n. */
static void forward_features(Model *model, const ModelInfo *info, const ModelPhase *phase, int n,
                             const float *x, float *features) {
  int part = forward_part(info, model);
  for (int at = 0; at < n; at += part)
    phase->features(model, n - at < part ? n - at : part, x + (size_t)at * info->input_floats,
                    features + (size_t)at * phase->feature_floats);
}

/* The same with the prefix's random layers at work, image i by draws[i]. */
static void forward_varied(Model *model, const ModelInfo *info, const ModelPhase *phase, int n,
                           const float *x, const int64_t *draws, float *features) {
  int part = forward_part(info, model);
  for (int at = 0; at < n; at += part) {
    model_state(model)->draws = draws + at;
    phase->varied(model, n - at < part ? n - at : part, x + (size_t)at * info->input_floats,
                  features + (size_t)at * phase->feature_floats);
  }
  model_state(model)->draws = NULL;
}

/* The same with fresh draws, for a step that keeps nothing: `features` where the prefix is not random. */
static void forward_fresh(Model *model, const ModelInfo *info, const ModelPhase *phase, int n, const float *x,
                          float *features) {
  enum { PART = 64 };
  if (!phase->variants) {
    forward_features(model, info, phase, n, x, features);
    return;
  }
  for (int at = 0; at < n; at += PART) {
    int64_t draws[PART];
    int part = n - at < PART ? n - at : PART;
    for (int i = 0; i < part; i++)
      draws[i] = (int64_t)random_bits((uint64_t)model_state(model)->draw, 0x6672657368u, (uint64_t)(at + i));
    forward_varied(model, info, phase, part, x + (size_t)at * info->input_floats, draws,
                   features + (size_t)at * phase->feature_floats);
  }
}
#endif
