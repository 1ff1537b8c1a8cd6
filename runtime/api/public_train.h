/* Training steps. */
#ifndef NETC_API_PUBLIC_TRAIN_H
#define NETC_API_PUBLIC_TRAIN_H
#include "public.h"

int model_phase_count(void);

/* Starts phase `phase` (from 0) of the .net file: fresh optimizer state, step 0.  model_create starts phase
 * 0. */
ModelStatus model_begin_phase(Model *model, int phase, uint64_t seed);
/* After a phase's last step: averaged weights take their place where the optimizer keeps such. */
ModelStatus model_end_phase(Model *model);

/* One step on n images (n at most the batch): forward, loss, backward, update.  x as for model_predict;
 * target [n] [targets] as the loss takes them (one-hot rows, class numbers, or 0 and 1); sample_weight [n] or
 * NULL; *loss, the loss before the update, may be NULL. */
ModelStatus model_train_step(Model *model, int n, const float *x, const float *target,
                             const float *sample_weight, float *loss);
ModelStatus model_train_step_pixels(Model *model, int n, const uint8_t *pixels, const float *target,
                                    const float *sample_weight, float *loss);

/* What the frozen part makes of n images: computed once, it can be handed to model_train_step_features again
 * and again.  The floats per image are 0 where the phase has no frozen part worth keeping. */
size_t model_feature_floats(int phase);
ModelStatus model_extract_features(Model *model, int n, const float *x, float *features);
ModelStatus model_train_step_features(Model *model, int n, const float *features, const float *target,
                                      const float *sample_weight, float *loss);

/* The loss of n outputs y [n][outputs] of model_predict, regularization included, without a step. */
ModelStatus model_evaluate(Model *model, int n, const float *y, const float *target,
                           const float *sample_weight, float *loss);

/* The learning rate of the coming step, and a factor on what the .net file says. */
double model_learning_rate(Model *model);
ModelStatus model_scale_learning_rate(Model *model, double factor);
#endif
