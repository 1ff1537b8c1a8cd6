/* First values of weights; fans as Keras counts them.  Keras: initializers. */
#include "vocab.h"

#define SEED                                                                                                 \
  { "seed", P_INT, "none", .doc = "own random draws; none: from the training seed" }
#define SCALED(label, class, text, what)                                                                     \
  {                                                                                                          \
    .kind = SIG_INITIALIZER, .name = label, .keras_class = class, .doc = text, .formula = what, .params = {  \
      SEED                                                                                                   \
    }                                                                                                        \
  }
#define GAIN                                                                                                 \
  { "gain", P_FLOAT, "1.0", .doc = "factor on all values" }

static const Signature table[] = {
    {.kind = SIG_INITIALIZER, .name = "zeros", .aliases = "zero", .keras_class = "Zeros", .doc = "all 0"},
    {.kind = SIG_INITIALIZER, .name = "ones", .aliases = "one", .keras_class = "Ones", .doc = "all 1"},
    {.kind = SIG_INITIALIZER,
     .name = "constant",
     .keras_class = "Constant",
     .doc = "all the same",
     .params = {{"value", P_FLOAT, "0.0", .doc = "that value"}}},
    SCALED("glorot_uniform", "GlorotUniform", "uniform, by both fans", "limit sqrt(6 / (fan_in + fan_out))"),
    SCALED("glorot_normal", "GlorotNormal", "truncated normal, by both fans",
           "deviation sqrt(2 / (fan_in + fan_out))"),
    SCALED("he_uniform", "HeUniform", "uniform, by the inputs", "limit sqrt(6 / fan_in)"),
    SCALED("he_normal", "HeNormal", "truncated normal, by the inputs", "deviation sqrt(2 / fan_in)"),
    SCALED("lecun_uniform", "LecunUniform", "uniform, by the inputs", "limit sqrt(3 / fan_in)"),
    SCALED("lecun_normal", "LecunNormal", "truncated normal, by the inputs", "deviation sqrt(1 / fan_in)"),
    {.kind = SIG_INITIALIZER,
     .name = "variance_scaling",
     .keras_class = "VarianceScaling",
     .doc = "variance scale / fan",
     .params = {{"scale", P_FLOAT, "1.0", .doc = "factor on the variance", .range = "> 0"},
                {"mode", P_CHOICE, "fan_in", "fan_in fan_out fan_avg", .doc = "which fan"},
                {"distribution", P_CHOICE, "truncated_normal", "truncated_normal untruncated_normal uniform",
                 .doc = "its form"},
                SEED}},
    {.kind = SIG_INITIALIZER,
     .name = "random_uniform",
     .keras_class = "RandomUniform",
     .doc = "uniform between two numbers",
     .params = {{"minval", P_FLOAT, "-0.05", .doc = "least"},
                {"maxval", P_FLOAT, "0.05", .doc = "largest"},
                SEED}},
    {.kind = SIG_INITIALIZER,
     .name = "random_normal",
     .keras_class = "RandomNormal",
     .doc = "normal",
     .params = {{"mean", P_FLOAT, "0.0", .doc = "mean"},
                {"stddev", P_FLOAT, "0.05", .doc = "standard deviation", .range = ">= 0"},
                SEED}},
    {.kind = SIG_INITIALIZER,
     .name = "truncated_normal",
     .keras_class = "TruncatedNormal",
     .doc = "normal, drawn again beyond two deviations",
     .params = {{"mean", P_FLOAT, "0.0", .doc = "mean"},
                {"stddev", P_FLOAT, "0.05", .doc = "standard deviation", .range = ">= 0"},
                SEED}},
    {.kind = SIG_INITIALIZER,
     .name = "orthogonal",
     .aliases = "orthogonal_initializer",
     .keras_class = "Orthogonal",
     .doc = "orthonormal rows or columns",
     .params = {GAIN, SEED}},
    {.kind = SIG_INITIALIZER,
     .name = "identity",
     .keras_class = "Identity",
     .doc = "the identity matrix",
     .params = {GAIN}},
};

const Signature *vocab_initializers(int *count) {
  VOCAB_END(table);
}
