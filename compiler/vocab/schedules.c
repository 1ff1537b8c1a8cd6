/* Learning rate schedules; t is the optimizer's step from 0.  Keras: optimizers.schedules. */
#include "vocab.h"

#define INITIAL                                                                                              \
  { "initial_learning_rate", P_FLOAT, NULL, NULL, "rate at step 0" }
#define STEPS                                                                                                \
  { "decay_steps", P_FLOAT, NULL, NULL, "steps" }
#define STAIRCASE                                                                                            \
  { "staircase", P_BOOL, "false", NULL, "only whole multiples of decay_steps count" }

static const Signature table[] = {
    {.kind = SIG_SCHEDULE,
     .name = "exponential_decay",
     .keras_class = "ExponentialDecay",
     .doc = "the same factor every decay_steps",
     .formula = "initial * decay_rate^(t / decay_steps)",
     .params = {INITIAL, STEPS, {"decay_rate", P_FLOAT, NULL, NULL, "factor per decay_steps"}, STAIRCASE}},
    {.kind = SIG_SCHEDULE,
     .name = "inverse_time_decay",
     .keras_class = "InverseTimeDecay",
     .doc = "divided by a growing number",
     .formula = "initial / (1 + decay_rate * t / decay_steps)",
     .params = {INITIAL, STEPS, {"decay_rate", P_FLOAT, NULL, NULL, "growth per decay_steps"}, STAIRCASE}},
    {.kind = SIG_SCHEDULE,
     .name = "polynomial_decay",
     .keras_class = "PolynomialDecay",
     .doc = "down to an end rate along a power of the time left",
     .formula = "(initial - end) * (1 - min(t, decay_steps) / decay_steps)^power + end",
     .params = {INITIAL,
                STEPS,
                {"end_learning_rate", P_FLOAT, "0.0001", NULL, "rate at the end"},
                {"power", P_FLOAT, "1.0", NULL, "1: a straight line"},
                {"cycle", P_BOOL, "false", NULL, "begin again after the end, over a longer time"}}},
    {.kind = SIG_SCHEDULE,
     .name = "piecewise_constant_decay",
     .keras_class = "PiecewiseConstantDecay",
     .doc = "one rate up to each boundary",
     .formula = "values[i] for t <= boundaries[i], the last value after",
     .params = {{"boundaries", P_FLOATS, NULL, NULL, "steps, growing"},
                {"values", P_FLOATS, NULL, NULL, "one more than boundaries"}}},
    {.kind = SIG_SCHEDULE,
     .name = "cosine_decay",
     .keras_class = "CosineDecay",
     .doc = "half a cosine wave down, after an optional linear rise",
     .formula = "initial * ((1 - alpha) * (1 + cos(pi * t / decay_steps)) / 2 + alpha)",
     .params = {INITIAL,
                STEPS,
                {"alpha", P_FLOAT, "0.0", NULL, "part of the rate that is left at the end"},
                {"warmup_target", P_FLOAT, "none", NULL, "rate after the rise"},
                {"warmup_steps", P_FLOAT, "0.0", NULL, "steps of the rise"}}},
    {.kind = SIG_SCHEDULE,
     .name = "cosine_decay_restarts",
     .keras_class = "CosineDecayRestarts",
     .doc = "half cosine waves one after another",
     .params = {INITIAL,
                {"first_decay_steps", P_FLOAT, NULL, NULL, "steps of the first wave"},
                {"t_mul", P_FLOAT, "2.0", NULL, "each wave is longer by this factor"},
                {"m_mul", P_FLOAT, "1.0", NULL, "each wave is higher by this factor"},
                {"alpha", P_FLOAT, "0.0", NULL, "part of the rate that is left at the end"}}},
};

const Signature *vocab_schedules(int *count) {
  VOCAB_END(table);
}
