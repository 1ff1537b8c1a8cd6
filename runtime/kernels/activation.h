/* Activation functions, as Keras defines them.  (ActKind is shared with the compiler.) */
#ifndef NETC_KERNELS_ACTIVATION_H
#define NETC_KERNELS_ACTIVATION_H

typedef enum ActKind {
  ACT_LINEAR,
  ACT_RELU, /* general: max_value = a (infinity: none), negative_slope = b, threshold = c */
  ACT_RELU6,
  ACT_SIGMOID,
  ACT_TANH,
  ACT_SWISH, /* = silu */
  ACT_ELU,   /* a: alpha */
  ACT_SELU,
  ACT_GELU,
  ACT_GELU_TANH,
  ACT_SOFTPLUS,
  ACT_SOFTSIGN,
  ACT_HARD_SIGMOID,
  ACT_HARD_SWISH,
  ACT_EXPONENTIAL,
  ACT_MISH,
} ActKind;

typedef struct Act {
  ActKind kind;
  float a, b, c;
} Act;
#endif
