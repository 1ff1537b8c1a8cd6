/* Training steps as a library: public_train.h. */
#ifndef NETC_API_TRAIN_H
#define NETC_API_TRAIN_H
#include <math.h>

#include "api.h"
#include "public_train.h"

int model_phase_count(void) {
  return model_info.phase_count;
}

ModelStatus model_begin_phase(Model *model, int phase, uint64_t seed) {
  if (!model)
    return MODEL_ERROR_NULL;
  if (phase < 0 || phase >= model_info.phase_count)
    return MODEL_ERROR_RANGE;
  ModelState *state = model_state(model);
  state->phase = phase;
  state->seed = seed;
  state->step = 0;
  state->rate_scale = 1;
  if (model_info.phases[phase].begin)
    model_info.phases[phase].begin(model);
  else if (model_info.slot_count && model_info.slot_floats)
    memset(model_slots(model), 0, (size_t)model_info.slot_count * model_info.slot_floats * sizeof(float));
  return MODEL_OK;
}

ModelStatus model_end_phase(Model *model) {
  if (!model)
    return MODEL_ERROR_NULL;
  const ModelPhase *phase = &model_info.phases[model_state(model)->phase];
  if (phase->finish)
    phase->finish(model);
  return MODEL_OK;
}

static ModelStatus api_step_call(const Model *model, int n, const void *x, const float *target) {
  if (!model || !x || !target)
    return MODEL_ERROR_NULL;
  return n < 1 || n > model_batch(model) ? MODEL_ERROR_RANGE : MODEL_OK;
}

ModelStatus model_train_step_features(Model *model, int n, const float *features, const float *target,
                                      const float *sample_weight, float *loss) {
  ModelStatus status = api_step_call(model, n, features, target);
  if (status != MODEL_OK)
    return status;
  const ModelPhase *phase = &model_info.phases[model_state(model)->phase];
  const float *y_pred;
  float value = phase->step(model, n, features, target, sample_weight, &y_pred);
  if (loss)
    *loss = value;
  return isfinite(value) ? MODEL_OK : MODEL_ERROR_NOT_FINITE;
}

ModelStatus model_train_step(Model *model, int n, const float *x, const float *target,
                             const float *sample_weight, float *loss) {
  ModelStatus status = api_step_call(model, n, x, target);
  if (status != MODEL_OK)
    return status;
  const ModelPhase *phase = &model_info.phases[model_state(model)->phase];
  if (phase->feature_floats) {
    forward_fresh(model, &model_info, phase, n, x, api_features(model));
    x = api_features(model);
  }
  return model_train_step_features(model, n, x, target, sample_weight, loss);
}

ModelStatus model_train_step_pixels(Model *model, int n, const uint8_t *pixels, const float *target,
                                    const float *sample_weight, float *loss) {
  ModelStatus status = api_step_call(model, n, pixels, target);
  if (status != MODEL_OK)
    return status;
  model_preprocess(n, pixels, api_input(model));
  return model_train_step(model, n, api_input(model), target, sample_weight, loss);
}

size_t model_feature_floats(int phase) {
  return phase >= 0 && phase < model_info.phase_count ? model_info.phases[phase].feature_floats : 0;
}

ModelStatus model_extract_features(Model *model, int n, const float *x, float *features) {
  if (!model || !x || !features)
    return MODEL_ERROR_NULL;
  const ModelPhase *phase = &model_info.phases[model_state(model)->phase];
  if (n < 0 || !phase->feature_floats)
    return MODEL_ERROR_RANGE;
  forward_features(model, &model_info, phase, n, x, features);
  return MODEL_OK;
}

ModelStatus model_evaluate(Model *model, int n, const float *y, const float *target,
                           const float *sample_weight, float *loss) {
  if (!model || !y || !target || !loss)
    return MODEL_ERROR_NULL;
  if (n < 1)
    return MODEL_ERROR_RANGE;
  *loss = model_loss(model, n, y, target, sample_weight) + model_regularization(model);
  return MODEL_OK;
}

double model_learning_rate(Model *model) {
  if (!model)
    return 0;
  const ModelState *state = model_state(model);
  return model_info.phases[state->phase].learning_rate(state->step) * state->rate_scale;
}

ModelStatus model_scale_learning_rate(Model *model, double factor) {
  if (!model)
    return MODEL_ERROR_NULL;
  if (!(factor >= 0))
    return MODEL_ERROR_RANGE;
  model_state(model)->rate_scale = factor;
  return MODEL_OK;
}
#endif
