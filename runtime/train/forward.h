/* The calls of an emitted network that may take fewer images than a training step: done in parts. */
#ifndef NETC_TRAIN_FORWARD_H
#define NETC_TRAIN_FORWARD_H
#include "../model.h"

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
#endif
