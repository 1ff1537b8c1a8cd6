/* One-line docs, formulas and parameters of the activation functions: shared by the functions
 * (vocab/activations.c) and the layers of the same name (ops/activation.c).  Formulas: Keras's
 * keras.activations. */
#ifndef NETC_VOCAB_ACTIVATIONS_H
#define NETC_VOCAB_ACTIVATIONS_H

#define DOC_RELU "rectified linear unit"
#define RULE_RELU                                                                                            \
  "y = max_value where x >= max_value; x where threshold <= x; else negative_slope * (x - threshold)"
#define DOC_RELU6       "relu with max_value 6"
#define RULE_RELU6      "y = min(max(x, 0), 6)"
#define DOC_SIGMOID     "logistic function"
#define RULE_SIGMOID    "y = 1 / (1 + exp(-x))"
#define DOC_TANH        "hyperbolic tangent"
#define RULE_TANH       "y = tanh(x)"
#define DOC_LINEAR      "nothing"
#define RULE_LINEAR     "y = x"
#define DOC_SWISH       "x times its sigmoid"
#define RULE_SWISH      "y = x / (1 + exp(-x))"
#define DOC_LEAKY_RELU  "relu that lets a part of negative values through"
#define RULE_LEAKY_RELU "y = x where x > 0, else negative_slope * x"
#define DOC_ELU         "exponential linear unit"
#define RULE_ELU        "y = x where x > 0, else alpha * (exp(x) - 1)"
#define DOC_SELU        "scaled elu, for lecun_normal weights"
#define RULE_SELU       "y = 1.0507009873554805 * elu(x, alpha = 1.6732632423543772)"
#define DOC_GELU        "Gaussian error linear unit"
#define RULE_GELU                                                                                            \
  "y = x * (1 + erf(x / sqrt(2))) / 2; approximate: x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2"
#define DOC_MISH          "self-regularised smooth unit"
#define RULE_MISH         "y = x * tanh(log(1 + exp(x)))"
#define DOC_HARD_SIGMOID  "piecewise linear sigmoid"
#define RULE_HARD_SIGMOID "y = min(max(x + 3, 0), 6) / 6"
#define DOC_HARD_SWISH    "x times its hard sigmoid"
#define RULE_HARD_SWISH   "y = x * min(max(x + 3, 0), 6) / 6"
#define DOC_SOFTPLUS      "smooth relu"
#define RULE_SOFTPLUS     "y = log(1 + exp(x))"
#define DOC_SOFTSIGN      "x over its size plus 1"
#define RULE_SOFTSIGN     "y = x / (1 + |x|)"
#define DOC_EXPONENTIAL   "exponential function"
#define RULE_EXPONENTIAL  "y = exp(x)"
#define DOC_SOFTMAX       "probabilities: positive, sum 1 along the last axis"
#define RULE_SOFTMAX      "y[k] = exp(x[k]) / sum_j exp(x[j])"
#define DOC_LOG_SOFTMAX   "logarithm of softmax"
#define RULE_LOG_SOFTMAX  "y[k] = x[k] - log(sum_j exp(x[j]))"

#define PARAM_SLOPE(initial)                                                                                 \
  { "negative_slope", P_FLOAT, initial, .doc = "factor of negative values", .range = ">= 0" }
#define PARAM_ALPHA                                                                                          \
  { "alpha", P_FLOAT, "1.0", .doc = "the limit for very negative x is -alpha" }
#define PARAM_APPROXIMATE                                                                                    \
  { "approximate", P_BOOL, "false", .doc = "the form with tanh" }
#define PARAMS_RELU                                                                                          \
  {"max_value", P_FLOAT, "none", .doc = "results are cut here", .range = ">= 0"},                            \
      {"negative_slope", P_FLOAT, "0.0", .doc = "factor below the threshold", .range = ">= 0"}, {            \
    "threshold", P_FLOAT, "0.0", .doc = "values below it count as negative", .range = ">= 0"                 \
  }
#endif
