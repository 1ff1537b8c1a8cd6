/* Early stopping and reduce-on-plateau, as keras.callbacks.EarlyStopping and ReduceLROnPlateau. */
#ifndef NETC_TRAIN_CALLBACKS_H
#define NETC_TRAIN_CALLBACKS_H
#include <math.h>

#include "../model.h"

/* Plain numbers, so that a checkpoint can keep them. */
typedef struct EarlyState {
  double best;
  int64_t wait, best_epoch; /* best_epoch from 0; -1: none yet */
} EarlyState;

typedef struct PlateauState {
  double best;
  int64_t wait, cooldown;
} PlateauState;

static EarlyState early_begin(const ModelEarlyStopping *early) {
  return (EarlyState){early->maximize ? -INFINITY : INFINITY, 0, -1};
}

static PlateauState plateau_begin(const ModelReduceOnPlateau *plateau) {
  return (PlateauState){plateau->maximize ? -INFINITY : INFINITY, 0, 0};
}

static bool callback_improved(bool maximize, double min_delta, double value, double best) {
  return maximize ? value - fabs(min_delta) > best : value + fabs(min_delta) < best;
}

typedef struct EarlyVerdict {
  bool keep; /* the weights of this epoch are the best so far */
  bool stop;
} EarlyVerdict;

/* After epoch `epoch` (from 0 within the phase) with the monitored value.  Like Keras, the first epoch's
 * weights are kept even where a baseline is not reached; only an improvement on the best and on the baseline
 * ends the waiting. */
static EarlyVerdict early_epoch(const ModelEarlyStopping *early, EarlyState *state, int64_t epoch,
                                double value) {
  EarlyVerdict verdict = {false, false};
  if (epoch < early->start_from_epoch)
    return verdict;
  if (state->best_epoch < 0) {
    verdict.keep = true;
    state->best_epoch = epoch;
  }
  state->wait++;
  if (callback_improved(early->maximize, early->min_delta, value, state->best)) {
    state->best = value;
    state->best_epoch = epoch;
    verdict.keep = true;
    if (!early->has_baseline || callback_improved(early->maximize, early->min_delta, value, early->baseline))
      state->wait = 0;
    return verdict;
  }
  verdict.stop = state->wait >= early->patience && epoch > 0;
  return verdict;
}

/* The factor that the learning rate of the coming epochs takes; `rate` is the present one.  1: leave it. */
static double plateau_epoch(const ModelReduceOnPlateau *plateau, PlateauState *state, double value,
                            double rate) {
  if (state->cooldown > 0) {
    state->cooldown--;
    state->wait = 0;
  }
  if (callback_improved(plateau->maximize, plateau->min_delta, value, state->best)) {
    state->best = value;
    state->wait = 0;
    return 1;
  }
  if (state->cooldown > 0)
    return 1;
  state->wait++;
  if (state->wait < plateau->patience || !((float)rate > (float)plateau->min_lr))
    return 1;
  double reduced = rate * plateau->factor;
  if (reduced < plateau->min_lr)
    reduced = plateau->min_lr;
  state->cooldown = plateau->cooldown;
  state->wait = 0;
  return reduced / rate;
}
#endif
