/* Losses; y is the target, p the prediction.  Keras: losses. */
#include "vocab.h"

#define REDUCTION                                                                                            \
  {                                                                                                          \
    "reduction", P_CHOICE, "sum_over_batch_size", "sum_over_batch_size sum mean_with_sample_weight",         \
        .doc = "how the images' losses become one number"                                                    \
  }
#define FROM_LOGITS                                                                                          \
  { "from_logits", P_BOOL, "false", .doc = "the prediction is before softmax or sigmoid" }
#define LABEL_SMOOTHING                                                                                      \
  {                                                                                                          \
    "label_smoothing", P_FLOAT, "0.0", .doc = "part of each target spread over all classes",                 \
                                       .range = "[0, 1]"                                                     \
  }
#define PLAIN(label, other, class, text, what)                                                               \
  {                                                                                                          \
    .kind = SIG_LOSS, .name = label, .aliases = other, .keras_class = class, .doc = text, .formula = what,   \
    .params = {                                                                                              \
      REDUCTION                                                                                              \
    }                                                                                                        \
  }

/* Predictions are taken as vectors along their last axis. */
static bool check_axis(const Call *call, Diag *diag) {
  const Attr *axis = call_attr(call, "axis");
  if (axis->integer == -1)
    return true;
  diag_error(diag, axis->span, "`axis` must be -1: the last axis holds the classes, got %lld",
             (long long)axis->integer);
  diag_help(diag, "`permute` brings another axis to the end");
  return false;
}

#define AXIS                                                                                                 \
  { "axis", P_INT, "-1", .doc = "the axis of the classes: the last" }

static const Signature table[] = {
    {.kind = SIG_LOSS,
     .name = "categorical_crossentropy",
     .keras_class = "CategoricalCrossentropy",
     .doc = "for one of several classes, softmax output",
     .formula = "-sum over k of y[k] * log(p[k]), p clipped to [1e-7, 1 - 1e-7]",
     .params = {FROM_LOGITS, LABEL_SMOOTHING, AXIS, REDUCTION},
     .check = check_axis},
    {.kind = SIG_LOSS,
     .name = "sparse_categorical_crossentropy",
     .keras_class = "SparseCategoricalCrossentropy",
     .doc = "the same with class numbers as targets",
     .formula = "-log(p[y])",
     .params = {FROM_LOGITS, AXIS, REDUCTION},
     .check = check_axis},
    {.kind = SIG_LOSS,
     .name = "binary_crossentropy",
     .keras_class = "BinaryCrossentropy",
     .doc = "for yes or no, one sigmoid output, or several independent ones",
     .formula = "mean over k of -(y[k] * log(p[k]) + (1 - y[k]) * log(1 - p[k]))",
     .params = {FROM_LOGITS, LABEL_SMOOTHING, AXIS, REDUCTION},
     .check = check_axis},
    {.kind = SIG_LOSS,
     .name = "binary_focal_crossentropy",
     .keras_class = "BinaryFocalCrossentropy",
     .doc = "binary cross-entropy that weighs hard examples more",
     .formula = "(1 - p_t)^gamma * crossentropy, p_t = p where y = 1, else 1 - p; times alpha or 1 - alpha "
                "if balanced",
     .params = {{"apply_class_balancing", P_BOOL, "false", .doc = "weigh the classes by alpha and 1 - alpha"},
                {"alpha", P_FLOAT, "0.25", .doc = "weight of class 1", .range = "[0, 1]"},
                {"gamma", P_FLOAT, "2.0", .doc = "how much easy examples count less", .range = ">= 0"},
                FROM_LOGITS,
                LABEL_SMOOTHING,
                AXIS,
                REDUCTION},
     .check = check_axis},
    {.kind = SIG_LOSS,
     .name = "categorical_focal_crossentropy",
     .keras_class = "CategoricalFocalCrossentropy",
     .doc = "categorical cross-entropy that weighs hard examples more",
     .formula = "sum over k of -alpha * (1 - p[k])^gamma * y[k] * log(p[k])",
     .params = {{"alpha", P_FLOAT, "0.25", .doc = "weight of all classes", .range = "[0, 1]"},
                {"gamma", P_FLOAT, "2.0", .doc = "how much easy examples count less", .range = ">= 0"},
                FROM_LOGITS,
                LABEL_SMOOTHING,
                AXIS,
                REDUCTION},
     .check = check_axis},
    PLAIN("mean_squared_error", "mse", "MeanSquaredError", "mean of squared differences",
          "mean over k of (y[k] - p[k])^2"),
    PLAIN("mean_absolute_error", "mae", "MeanAbsoluteError", "mean of differences' sizes",
          "mean over k of |y[k] - p[k]|"),
    PLAIN("mean_absolute_percentage_error", "mape", "MeanAbsolutePercentageError",
          "difference in per cent of the target", "100 * mean over k of |y[k] - p[k]| / max(|y[k]|, 1e-7)"),
    PLAIN("mean_squared_logarithmic_error", "msle", "MeanSquaredLogarithmicError",
          "squared difference of logarithms",
          "mean over k of (log(1 + y[k]) - log(1 + p[k]))^2, both at least 1e-7"),
    {.kind = SIG_LOSS,
     .name = "huber",
     .keras_class = "Huber",
     .doc = "squared for small differences, linear for large ones",
     .formula = "mean of e^2 / 2 for |e| <= delta, else delta * |e| - delta^2 / 2",
     .params = {{"delta", P_FLOAT, "1.0", .doc = "where the linear part begins", .range = "> 0"}, REDUCTION}},
    PLAIN("log_cosh", "logcosh", "LogCosh", "logarithm of the hyperbolic cosine of the difference",
          "mean over k of log(cosh(p[k] - y[k]))"),
    PLAIN("kl_divergence", "kld kullback_leibler_divergence", "KLDivergence", "Kullback-Leibler divergence",
          "sum over k of y[k] * log(y[k] / p[k]), both clipped to [1e-7, 1]"),
    PLAIN("poisson", NULL, "Poisson", "for counts", "mean over k of p[k] - y[k] * log(p[k] + 1e-7)"),
    PLAIN("hinge", NULL, "Hinge", "for targets -1 and 1 (0 becomes -1)",
          "mean over k of max(1 - y[k] * p[k], 0)"),
    PLAIN("squared_hinge", NULL, "SquaredHinge", "the square of `hinge`",
          "mean over k of max(1 - y[k] * p[k], 0)^2"),
    PLAIN("categorical_hinge", NULL, "CategoricalHinge", "the right class against the best wrong one",
          "max(max over k of (1 - y[k]) * p[k] - sum over k of y[k] * p[k] + 1, 0)"),
    {.kind = SIG_LOSS,
     .name = "cosine_similarity",
     .keras_class = "CosineSimilarity",
     .doc = "minus the cosine between target and prediction",
     .formula = "-sum over k of y[k] * p[k] / (|y| * |p|)",
     .params = {AXIS, REDUCTION},
     .check = check_axis},
};

const Signature *vocab_losses(int *count) {
  VOCAB_END(table);
}
