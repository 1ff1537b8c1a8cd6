/* Activations and their derivatives on one vector.  Formulas: Keras's keras.activations. */
#ifndef NETC_KERNELS_ACT_H
#define NETC_KERNELS_ACT_H
#include "activation.h"
#include "vec_math.h"
#include <stdbool.h>

#define ACT_SELU_SCALE 1.05070098735548f
#define ACT_SELU_ALPHA 1.67326324235438f
#define ACT_ROOT_2_PI  0.797884560802865f /* sqrt(2 / pi) */
#define ACT_GAUSS_PEAK 0.398942280401433f /* 1 / sqrt(2 pi) */

/* Keras's general relu: x over the threshold c, else the slope b times (x - c), never over a.  NaN stays NaN.
 */
VEC_FUNCTION Vec act_relu(const Act *act, Vec x) {
  Vec threshold = vec_set(act->c);
  Vec below = vec_mul(vec_set(act->b), vec_sub(x, threshold));
  Vec y = vec_select_gt(threshold, x, below, x);
  return vec_min(vec_set(act->a), y);
}

VEC_FUNCTION Vec act_gelu_tanh_inner(Vec x) {
  Vec cube = vec_mul(vec_mul(x, x), x);
  return vec_mul(vec_set(ACT_ROOT_2_PI), vec_fma(vec_set(0.044715f), cube, x));
}

/* x clipped to [low, high]; NaN stays NaN. */
VEC_FUNCTION Vec act_clip(Vec x, float low, float high) {
  return vec_min(vec_set(high), vec_max(vec_set(low), x));
}

/* (x + 3) / 6 clipped to [0, 1]. */
VEC_FUNCTION Vec act_hard_sigmoid(Vec x) {
  return vec_mul(act_clip(vec_add(x, vec_set(3.0f)), 0.0f, 6.0f), vec_set(1.0f / 6.0f));
}

/* tanh(softplus(x)) = (e^2 + 2e) / (e^2 + 2e + 2) with e = exp(x), saturated where e^2 would overflow. */
VEC_FUNCTION Vec act_mish_gate(Vec x) {
  Vec e = vec_exp(vec_min(vec_set(20.0f), x));
  Vec n = vec_fma(e, e, vec_add(e, e));
  return vec_div(n, vec_add(n, vec_set(2.0f)));
}

/* act(x) */
VEC_FUNCTION Vec act_vec(const Act *act, Vec x) {
  Vec zero = vec_zero(), one = vec_set(1.0f);
  switch (act->kind) {
  case ACT_LINEAR:
    return x;
  case ACT_RELU:
    return act_relu(act, x);
  case ACT_RELU6:
    return act_clip(x, 0.0f, 6.0f);
  case ACT_SIGMOID:
    return vec_sigmoid(x);
  case ACT_TANH:
    return vec_tanh(x);
  case ACT_SWISH:
    return vec_mul(x, vec_sigmoid(x));
  case ACT_ELU:
    return vec_select_gt(x, zero, x, vec_mul(vec_set(act->a), vec_expm1(x)));
  case ACT_SELU:
    return vec_mul(vec_set(ACT_SELU_SCALE),
                   vec_select_gt(x, zero, x, vec_mul(vec_set(ACT_SELU_ALPHA), vec_expm1(x))));
  case ACT_GELU:
    return vec_gelu(x);
  case ACT_GELU_TANH: /* x/2 (1 + tanh(u)) = x sigmoid(2u) */
    return vec_gelu_tanh(x);
  case ACT_SOFTPLUS:
    return vec_softplus(x);
  case ACT_SOFTSIGN:
    return vec_div(x, vec_add(one, vec_abs(x)));
  case ACT_HARD_SIGMOID:
    return act_hard_sigmoid(x);
  case ACT_HARD_SWISH:
    return vec_mul(x, act_hard_sigmoid(x));
  case ACT_EXPONENTIAL:
    return vec_exp(x);
  case ACT_MISH:
    return vec_mul(x, act_mish_gate(x));
  }
  return x;
}

/* Whether the activation is a clamp; *low and *high are set either way (to no clamp where it is not). */
static inline bool act_is_clamp(const Act *act, float *low, float *high) {
  *low = -INFINITY;
  *high = INFINITY;
  if (act->kind == ACT_LINEAR)
    return true;
  if (act->kind == ACT_RELU && act->b == 0.0f && act->c == 0.0f) {
    *low = 0.0f;
    *high = act->a;
    return true;
  }
  if (act->kind == ACT_RELU6) {
    *low = 0.0f;
    *high = 6.0f;
    return true;
  }
  return false;
}

/* Whether the derivative is taken from the input x; else from the output y (ACT_LINEAR needs neither).  A
 * relu with a negative slope or a threshold does not show in y on which side of it x was. */
static inline bool act_bwd_needs_x(Act act) {
  switch (act.kind) {
  case ACT_RELU:
    return act.b != 0.0f || act.c != 0.0f;
  case ACT_LINEAR:
  case ACT_RELU6:
  case ACT_SIGMOID:
  case ACT_TANH:
  case ACT_SELU:
  case ACT_SOFTPLUS:
  case ACT_EXPONENTIAL:
    return false;
  case ACT_ELU:
    return act.a <= 0.0f;
  default:
    return true;
  }
}

static inline bool act_bwd_needs_y(Act act) {
  return act.kind != ACT_LINEAR && !act_bwd_needs_x(act);
}

/* dy * act'(x).  Only the one of x and y that act_bwd_needs_* names is looked at.  At the corners the
 * derivative is the one TensorFlow and torch take: relu'(0) = 0, and 0 at both ends of a clip. */
VEC_FUNCTION Vec act_vec_bwd(const Act *act, Vec x, Vec y, Vec dy) {
  Vec zero = vec_zero(), one = vec_set(1.0f);
  switch (act->kind) {
  case ACT_LINEAR:
    return dy;
  case ACT_RELU: {
    if (!act_bwd_needs_x(*act)) {
      Vec inside = vec_select_gt(vec_set(act->a), y, dy, zero);
      return vec_select_gt(y, zero, inside, zero);
    }
    Vec threshold = vec_set(act->c);
    Vec inside = vec_select_gt(vec_set(act->a), x, dy, zero);
    return vec_select_gt(x, threshold, inside, vec_mul(vec_set(act->b), dy));
  }
  case ACT_RELU6:
    return vec_select_gt(y, zero, vec_select_gt(vec_set(6.0f), y, dy, zero), zero);
  case ACT_SIGMOID:
    return vec_mul(dy, vec_mul(y, vec_sub(one, y)));
  case ACT_TANH:
    return vec_mul(dy, vec_fnma(y, y, one));
  case ACT_SWISH: { /* s + x s (1 - s) */
    Vec s = vec_sigmoid(x);
    return vec_mul(dy, vec_fma(vec_mul(x, s), vec_sub(one, s), s));
  }
  case ACT_ELU: /* y + a where x < 0 */
    if (act->a > 0.0f)
      return vec_select_gt(y, zero, dy, vec_mul(dy, vec_add(y, vec_set(act->a))));
    return vec_select_gt(x, zero, dy, vec_mul(dy, vec_mul(vec_set(act->a), vec_exp(x))));
  case ACT_SELU: {
    Vec below = vec_add(y, vec_set(ACT_SELU_SCALE * ACT_SELU_ALPHA));
    return vec_mul(dy, vec_select_gt(y, zero, vec_set(ACT_SELU_SCALE), below));
  }
  case ACT_GELU: { /* Phi(x) + x phi(x) */
    Vec phi = vec_mul(vec_set(ACT_GAUSS_PEAK), vec_exp(vec_mul(vec_set(-0.5f), vec_mul(x, x))));
    return vec_mul(dy, vec_fma(x, phi, vec_normal_cdf(x)));
  }
  case ACT_GELU_TANH: { /* s + x s (1 - s) 2u' */
    Vec s = vec_sigmoid(vec_mul(vec_set(2.0f), act_gelu_tanh_inner(x)));
    Vec slope = vec_mul(vec_set(2.0f * ACT_ROOT_2_PI), vec_fma(vec_set(0.134145f), vec_mul(x, x), one));
    return vec_mul(dy, vec_fma(vec_mul(x, s), vec_mul(vec_sub(one, s), slope), s));
  }
  case ACT_SOFTPLUS: /* sigmoid(x) = 1 - exp(-y) */
    return vec_mul(dy, vec_sub(zero, vec_expm1(vec_sub(zero, y))));
  case ACT_SOFTSIGN: {
    Vec size = vec_add(one, vec_abs(x));
    return vec_div(dy, vec_mul(size, size));
  }
  case ACT_HARD_SIGMOID: {
    Vec inside = vec_mul(dy, vec_set(1.0f / 6.0f));
    return vec_select_gt(vec_set(3.0f), vec_abs(x), inside, zero);
  }
  case ACT_HARD_SWISH: { /* x/3 + 1/2 between -3 and 3 */
    Vec inside = vec_mul(dy, vec_fma(x, vec_set(1.0f / 3.0f), vec_set(0.5f)));
    Vec outside = vec_select_gt(x, zero, dy, zero);
    return vec_select_gt(vec_set(3.0f), vec_abs(x), inside, outside);
  }
  case ACT_EXPONENTIAL:
    return vec_mul(dy, y);
  case ACT_MISH: { /* t + x (1 - t^2) sigmoid(x) */
    Vec t = act_mish_gate(x);
    return vec_mul(dy, vec_fma(vec_mul(x, vec_sigmoid(x)), vec_fnma(t, t, one), t));
  }
  }
  return dy;
}

/* y = act(x) for `count` floats, by one thread: the one copy of act_vec that convolutions, dense layers and
 * element-wise kernels share.  In place allowed. */
static void act_run(const Act *act, int64_t count, const float *x, float *y) {
  for (int64_t i = 0; i < count; i += VEC_WIDTH)
    vec_store_upto(y + i, act_vec(act, vec_load_upto(x + i, count - i)), count - i);
}

/* dx = dy * act'(x) for `count` floats, by one thread; x and y as act_vec_bwd.  dx may be dy. */
static void act_run_bwd(const Act *act, int64_t count, const float *x, const float *y, const float *dy,
                        float *dx) {
  for (int64_t i = 0; i < count; i += VEC_WIDTH) {
    int64_t left = count - i;
    VEC_ASK(x, i);
    VEC_ASK(y, i);
    VEC_ASK(dy, i);
    Vec slope =
        act_vec_bwd(act, vec_load_upto(x + i, left), vec_load_upto(y + i, left), vec_load_upto(dy + i, left));
    vec_store_upto(dx + i, slope, left);
  }
}
#endif
