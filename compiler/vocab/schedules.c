/* Learning rate schedules; t is the optimizer's step from 0.  Keras: optimizers.schedules. */
#include "vocab.h"

#define INITIAL                                                                                              \
  { "initial_learning_rate", P_FLOAT, NULL, .doc = "rate at step 0", .range = ">= 0" }
#define STEPS                                                                                                \
  { "decay_steps", P_FLOAT, NULL, .doc = "steps", .range = "> 0" }
#define STAIRCASE                                                                                            \
  { "staircase", P_BOOL, "false", .doc = "only whole multiples of decay_steps count" }

static bool check_piecewise(const Call *call, Diag *diag) {
  const Attr *boundaries = call_attr(call, "boundaries"), *values = call_attr(call, "values");
  for (int i = 1; i < boundaries->count; i++)
    if (boundaries->floats[i] <= boundaries->floats[i - 1]) {
      diag_error(diag, boundaries->span, "boundaries grow: %g does not follow %g", boundaries->floats[i],
                 boundaries->floats[i - 1]);
      return false;
    }
  if (values->count == boundaries->count + 1)
    return true;
  diag_error(diag, values->span, "%d boundaries want %d values, got %d", boundaries->count,
             boundaries->count + 1, values->count);
  return false;
}

static const Signature table[] = {
    {.kind = SIG_SCHEDULE,
     .name = "exponential_decay",
     .keras_class = "ExponentialDecay",
     .doc = "the same factor every decay_steps",
     .formula = "initial * decay_rate^(t / decay_steps)",
     .params = {INITIAL,
                STEPS,
                {"decay_rate", P_FLOAT, NULL, .doc = "factor per decay_steps", .range = ">= 0"},
                STAIRCASE}},
    {.kind = SIG_SCHEDULE,
     .name = "inverse_time_decay",
     .keras_class = "InverseTimeDecay",
     .doc = "divided by a growing number",
     .formula = "initial / (1 + decay_rate * t / decay_steps)",
     .params = {INITIAL,
                STEPS,
                {"decay_rate", P_FLOAT, NULL, .doc = "growth per decay_steps", .range = ">= 0"},
                STAIRCASE}},
    {.kind = SIG_SCHEDULE,
     .name = "polynomial_decay",
     .keras_class = "PolynomialDecay",
     .doc = "down to an end rate along a power of the time left",
     .formula = "(initial - end) * (1 - min(t, decay_steps) / decay_steps)^power + end",
     .params = {INITIAL,
                STEPS,
                {"end_learning_rate", P_FLOAT, "0.0001", .doc = "rate at the end", .range = ">= 0"},
                {"power", P_FLOAT, "1.0", .doc = "1: a straight line", .range = "> 0"},
                {"cycle", P_BOOL, "false", .doc = "begin again after the end, over a longer time"}}},
    {.kind = SIG_SCHEDULE,
     .name = "piecewise_constant_decay",
     .check = check_piecewise,
     .keras_class = "PiecewiseConstantDecay",
     .doc = "one rate up to each boundary",
     .formula = "values[i] for t <= boundaries[i], the last value after",
     .params = {{"boundaries", P_FLOATS, NULL, .doc = "steps, growing"},
                {"values", P_FLOATS, NULL, .doc = "one more than boundaries"}}},
    {.kind = SIG_SCHEDULE,
     .name = "cosine_decay",
     .keras_class = "CosineDecay",
     .doc = "half a cosine wave down, after an optional linear rise",
     .formula = "initial * ((1 - alpha) * (1 + cos(pi * t / decay_steps)) / 2 + alpha)",
     .params = {INITIAL,
                STEPS,
                {"alpha", P_FLOAT, "0.0", .doc = "part of the rate that is left at the end", .range = ">= 0"},
                {"warmup_target", P_FLOAT, "none", .doc = "rate after the rise", .range = ">= 0"},
                {"warmup_steps", P_FLOAT, "0.0", .doc = "steps of the rise", .range = ">= 0"}}},
    {.kind = SIG_SCHEDULE,
     .name = "cosine_decay_restarts",
     .keras_class = "CosineDecayRestarts",
     .doc = "half cosine waves one after another",
     .params = {INITIAL,
                {"first_decay_steps", P_FLOAT, NULL, .doc = "steps of the first wave", .range = "> 0"},
                {"t_mul", P_FLOAT, "2.0", .doc = "each wave is longer by this factor", .range = ">= 1"},
                {"m_mul", P_FLOAT, "1.0", .doc = "each wave is higher by this factor", .range = ">= 0"},
                {"alpha", P_FLOAT, "0.0", .doc = "part of the rate that is left at the end",
                 .range = ">= 0"}}},
};

const Signature *vocab_schedules(int *count) {
  VOCAB_END(table);
}
