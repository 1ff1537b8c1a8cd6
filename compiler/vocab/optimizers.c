/* Optimizers; g is the gradient, lr the learning rate, w the weight, t the step from 1.  Keras: optimizers.
 */
#include "vocab.h"

#define LEARNING_RATE(value)                                                                                 \
  { "learning_rate", P_SCHEDULE, value, .doc = "a number or a schedule", .range = ">= 0" }
#define WEIGHT_DECAY(value)                                                                                  \
  { "weight_decay", P_FLOAT, value, .doc = "w -= lr * weight_decay * w, before the update", .range = ">= 0" }
#define COMMON                                                                                               \
  {"clipnorm", P_FLOAT, "none", .doc = "each weight's gradient is scaled to at most this norm",              \
   .range = "> 0"},                                                                                          \
      {"clipvalue", P_FLOAT, "none", .doc = "each entry of the gradient is clipped to this size",            \
       .range = "> 0"},                                                                                      \
      {"global_clipnorm", P_FLOAT, "none", .doc = "all gradients together are scaled to at most this norm",  \
       .range = "> 0"},                                                                                      \
      {"use_ema", P_BOOL, "false", .doc = "keep a moving average of the weights and end with it"},           \
      {"ema_momentum", P_FLOAT, "0.99", .doc = "of that average", .range = "[0, 1]"},                        \
      {"ema_overwrite_frequency", P_INT, "none",                                                             \
       .doc = "updates after which the average takes the weights' place; none: at the end only",             \
       .range = "> 0"},                                                                                      \
      {"loss_scale_factor", P_FLOAT, "none",                                                                 \
       .doc = "for half precision: nothing changes with 32-bit floats", .range = "> 0"},                     \
  {                                                                                                          \
    "gradient_accumulation_steps", P_INT, "none", .doc = "steps whose mean gradient makes one update",       \
                                                  .range = "> 0"                                             \
  }
#define BETAS(one, two)                                                                                      \
  {"beta_1", P_FLOAT, one, .doc = "decay of the first moment", .range = "[0, 1)"}, {                         \
    "beta_2", P_FLOAT, two, .doc = "decay of the second moment", .range = "[0, 1)"                           \
  }
#define EPSILON                                                                                              \
  { "epsilon", P_FLOAT, "1e-7", .doc = "keeps the division finite", .range = ">= 0" }

static const Signature table[] = {
    {.kind = SIG_OPTIMIZER,
     .name = "sgd",
     .keras_class = "SGD",
     .doc = "gradient descent, with or without momentum",
     .formula = "m = momentum * m - lr * g; w += m; nesterov: w += momentum * m - lr * g",
     .params = {LEARNING_RATE("0.01"),
                {"momentum", P_FLOAT, "0.0", .doc = "part of the last step that is kept", .range = "[0, 1]"},
                {"nesterov", P_BOOL, "false", .doc = "look ahead along the momentum"},
                WEIGHT_DECAY("none"),
                COMMON}},
    {.kind = SIG_OPTIMIZER,
     .name = "rmsprop",
     .keras_class = "RMSprop",
     .doc = "steps divided by a moving root mean square of the gradient",
     .formula = "v = rho * v + (1 - rho) * g^2; w -= lr * g / sqrt(v + epsilon)",
     .params = {LEARNING_RATE("0.001"),
                {"rho", P_FLOAT, "0.9", .doc = "decay of the mean square", .range = "[0, 1]"},
                {"momentum", P_FLOAT, "0.0", .doc = "part of the last step that is kept", .range = "[0, 1]"},
                EPSILON,
                {"centered", P_BOOL, "false", .doc = "subtract the mean gradient's square"},
                WEIGHT_DECAY("none"),
                COMMON}},
    {.kind = SIG_OPTIMIZER,
     .name = "adam",
     .keras_class = "Adam",
     .doc = "momentum and root mean square together",
     .formula = "w -= lr * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)",
     .params = {LEARNING_RATE("0.001"),
                BETAS("0.9", "0.999"),
                EPSILON,
                {"amsgrad", P_BOOL, "false", .doc = "divide by the largest v so far"},
                WEIGHT_DECAY("none"),
                COMMON}},
    {.kind = SIG_OPTIMIZER,
     .name = "adamw",
     .aliases = "adam_w",
     .keras_class = "AdamW",
     .doc = "adam with weight decay apart from the gradient",
     .formula = "w -= lr * weight_decay * w; then as adam",
     .params = {LEARNING_RATE("0.001"),
                WEIGHT_DECAY("0.004"),
                BETAS("0.9", "0.999"),
                EPSILON,
                {"amsgrad", P_BOOL, "false", .doc = "divide by the largest v so far"},
                COMMON}},
    {.kind = SIG_OPTIMIZER,
     .name = "adagrad",
     .keras_class = "Adagrad",
     .doc = "steps divided by the root of all squares so far",
     .formula = "v += g^2; w -= lr * g / sqrt(v + epsilon)",
     .params = {LEARNING_RATE("0.001"),
                {"initial_accumulator_value", P_FLOAT, "0.1", .doc = "first value of v", .range = ">= 0"},
                EPSILON,
                WEIGHT_DECAY("none"),
                COMMON}},
    {.kind = SIG_OPTIMIZER,
     .name = "adadelta",
     .keras_class = "Adadelta",
     .doc = "steps in the units of the last steps",
     .formula = "v = rho * v + (1 - rho) * g^2; d = sqrt(u + epsilon) / sqrt(v + epsilon) * g; "
                "u = rho * u + (1 - rho) * d^2; w -= lr * d",
     .params = {LEARNING_RATE("0.001"),
                {"rho", P_FLOAT, "0.95", .doc = "decay of both means", .range = "[0, 1]"},
                EPSILON,
                WEIGHT_DECAY("none"),
                COMMON}},
    {.kind = SIG_OPTIMIZER,
     .name = "adamax",
     .keras_class = "Adamax",
     .doc = "adam with the largest gradient in place of the root mean square",
     .formula = "u = max(beta_2 * u, |g|); w -= lr / (1 - beta_1^t) * m / (u + epsilon)",
     .params = {LEARNING_RATE("0.001"), BETAS("0.9", "0.999"), EPSILON, WEIGHT_DECAY("none"), COMMON}},
    {.kind = SIG_OPTIMIZER,
     .name = "nadam",
     .keras_class = "Nadam",
     .doc = "adam with nesterov momentum",
     .params = {LEARNING_RATE("0.001"), BETAS("0.9", "0.999"), EPSILON, WEIGHT_DECAY("none"), COMMON}},
    {.kind = SIG_OPTIMIZER,
     .name = "lion",
     .keras_class = "Lion",
     .doc = "steps of one size along the sign of the momentum",
     .formula = "w -= lr * sign(beta_1 * m + (1 - beta_1) * g); m = beta_2 * m + (1 - beta_2) * g",
     .params = {LEARNING_RATE("0.001"), BETAS("0.9", "0.99"), WEIGHT_DECAY("none"), COMMON}},
    {.kind = SIG_OPTIMIZER,
     .name = "ftrl",
     .keras_class = "Ftrl",
     .doc = "follow the regularized leader",
     .params = {LEARNING_RATE("0.001"),
                {"learning_rate_power", P_FLOAT, "-0.5", .doc = "at most 0", .range = "<= 0"},
                {"initial_accumulator_value", P_FLOAT, "0.1", .doc = "first value of the squares' sum",
                 .range = ">= 0"},
                {"l1_regularization_strength", P_FLOAT, "0.0", .doc = "penalty on sizes", .range = ">= 0"},
                {"l2_regularization_strength", P_FLOAT, "0.0", .doc = "penalty on squares", .range = ">= 0"},
                {"l2_shrinkage_regularization_strength", P_FLOAT, "0.0",
                 .doc = "penalty added to the gradient", .range = ">= 0"},
                {"beta", P_FLOAT, "0.0", .doc = "added to the root", .range = ">= 0"},
                WEIGHT_DECAY("none"),
                COMMON}},
};

const Signature *vocab_optimizers(int *count) {
  VOCAB_END(table);
}
