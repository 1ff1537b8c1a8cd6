/* Vector functions against the C library in long double, in units of the last place, and at the odd values.
 */
#include "kernels/act.h"
#include "kernels/reference.h"
#include "kernel_test.h"
#include <stdbool.h>

typedef Vec VecFunction(Vec x);
typedef long double Function(long double x);

static Vec vec_exp_of(Vec x) {
  return vec_exp(x);
}
static Vec vec_expm1_of(Vec x) {
  return vec_expm1(x);
}
static Vec vec_log_of(Vec x) {
  return vec_log(x);
}
static Vec vec_tanh_of(Vec x) {
  return vec_tanh(x);
}
static Vec vec_sigmoid_of(Vec x) {
  return vec_sigmoid(x);
}
static Vec vec_softplus_of(Vec x) {
  return vec_softplus(x);
}
static Vec vec_erf_of(Vec x) {
  return vec_erf(x);
}
static Vec vec_normal_cdf_of(Vec x) {
  return vec_normal_cdf(x);
}
static Vec gelu_fast(Vec x) {
  return act_vec(&(Act){.kind = ACT_GELU}, x);
}
static Vec gelu_tanh_fast(Vec x) {
  return act_vec(&(Act){.kind = ACT_GELU_TANH}, x);
}
static long double normal_cdf_of(long double x) {
  return erfcl(-x * 0.70710678118654752440L) / 2;
}
static long double gelu_of(long double x) {
  return x * normal_cdf_of(x);
}
static long double gelu_tanh_of(long double x) {
  return x / (1 + expl(-2 * 0.79788456080286535588L * (x + 0.044715L * x * x * x)));
}
static long double sigmoid_of(long double x) {
  return 1 / (1 + expl(-x));
}
static long double softplus_of(long double x) {
  return x > 0 ? x + log1pl(expl(-x)) : log1pl(expl(x));
}

/* Distance from `want` in units of the last place of the float nearest to it; results below the normal range
 * are taken in units of the smallest normal's last place. */
static double ulps(float got, long double want) {
  float near = fabsf((float)want);
  near = near > 1.17549435e-38f ? near : 1.17549435e-38f;
  return (double)(fabsl((long double)got - want) /
                  ((long double)nextafterf(near, INFINITY) - (long double)near));
}

/* Floats of all magnitudes and both signs between low and high, evenly through their bit patterns: `stride`
 * apart, which is odd, so that mantissas differ from one power of two to the next. */
static void sweep(const char *name, VecFunction *fast, Function *exact, float low, float high) {
  enum { STRIDE = 4001 };
  for (int sign = 0; sign < 2; sign++)
    for (uint32_t bits = 0; bits < 0x7f800000u - STRIDE * VEC_WIDTH; bits += STRIDE * VEC_WIDTH) {
      float x[VEC_WIDTH], y[VEC_WIDTH];
      bool inside = false;
      for (int k = 0; k < VEC_WIDTH; k++) {
        uint32_t pattern = (bits + (uint32_t)k * STRIDE) | (uint32_t)sign << 31;
        memcpy(&x[k], &pattern, sizeof x[k]);
        inside = inside || (x[k] >= low && x[k] <= high);
      }
      if (!inside)
        continue;
      vec_store(y, fast(vec_load(x)));
      for (int k = 0; k < VEC_WIDTH; k++) {
        long double want = x[k] >= low && x[k] <= high ? exact((long double)x[k]) : (long double)INFINITY;
        if (fabsl(want) < 3.4e38L)
          cr_assert(ulps(y[k], want) <= 2, "%s(%.9g) = %.9g, not %.9Lg: %.2f ulp", name, (double)x[k],
                    (double)y[k], want, ulps(y[k], want));
      }
    }
}

Test(vec_math, within_two_ulp) {
  sweep("exp", vec_exp_of, expl, -104, 88.7f);
  sweep("expm1", vec_expm1_of, expm1l, -1e30f, 87);
  sweep("log", vec_log_of, logl, 1e-44f, 3e38f);
  sweep("tanh", vec_tanh_of, tanhl, -1e30f, 1e30f);
  sweep("sigmoid", vec_sigmoid_of, sigmoid_of, -1e30f, 1e30f);
  sweep("softplus", vec_softplus_of, softplus_of, -1e30f, 1e30f);
  sweep("erf", vec_erf_of, erfl, -1e30f, 1e30f);
  sweep("normal cdf", vec_normal_cdf_of, normal_cdf_of, -1e30f, 1e30f);
  sweep("gelu", gelu_fast, gelu_of, -1e4f, 1e30f);
  sweep("gelu by tanh", gelu_tanh_fast, gelu_tanh_of, -1e4f, 1e30f);
}

/* More of the middle, where most values lie. */
Test(vec_math, dense_middle) {
  Function *const exact[] = {gelu_of, gelu_tanh_of, normal_cdf_of, sigmoid_of, tanhl, erfl, expl};
  VecFunction *const fast[] = {gelu_fast,   gelu_tanh_fast, vec_normal_cdf_of, vec_sigmoid_of,
                               vec_tanh_of, vec_erf_of,     vec_exp_of};
  for (size_t i = 0; i < sizeof fast / sizeof *fast; i++)
    for (int at = -60000; at < 60000; at++) {
      float x[VEC_WIDTH], y[VEC_WIDTH];
      vec_store(x, vec_set((float)at * 2.7182e-4f));
      vec_store(y, fast[i](vec_load(x)));
      cr_assert(ulps(y[0], exact[i]((long double)x[0])) <= 2, "function %d at %.9g: %.9g", (int)i,
                (double)x[0], (double)y[0]);
    }
}

static float at(VecFunction *fast, float x) {
  float lanes[VEC_WIDTH];
  vec_store(lanes, fast(vec_set(x)));
  return lanes[0];
}

Test(vec_math, odd_values) {
  cr_assert(at(vec_exp_of, 0) == 1 && at(vec_exp_of, -INFINITY) == 0 && isinf(at(vec_exp_of, 89)));
  cr_assert(isinf(at(vec_log_of, 0)) && isnan(at(vec_log_of, -1)) && isinf(at(vec_log_of, INFINITY)));
  cr_assert(at(vec_log_of, 1) == 0 && at(vec_tanh_of, INFINITY) == 1 && at(vec_tanh_of, -INFINITY) == -1);
  cr_assert(at(vec_sigmoid_of, 0) == 0.5f && at(vec_sigmoid_of, -INFINITY) == 0 &&
            at(vec_sigmoid_of, INFINITY) == 1);
  cr_assert(signbit(at(vec_tanh_of, -0.0f)) && signbit(at(vec_erf_of, -0.0f)));
  VecFunction *const all[] = {vec_exp_of,      vec_expm1_of, vec_log_of, vec_tanh_of,       vec_sigmoid_of,
                              vec_softplus_of, vec_erf_of,   gelu_fast,  vec_normal_cdf_of, gelu_tanh_fast};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    cr_assert(isnan(at(all[i], NAN)), "function %d of NaN", (int)i);
}

static const Act acts[] = {
    {.kind = ACT_LINEAR},
    {.kind = ACT_RELU, .a = INFINITY},
    {.kind = ACT_RELU, .a = 2, .b = 0.1f, .c = 0.5f},
    {.kind = ACT_RELU, .a = INFINITY, .b = 0.3f},
    {.kind = ACT_RELU, .a = 6},
    {.kind = ACT_RELU6},
    {.kind = ACT_SIGMOID},
    {.kind = ACT_TANH},
    {.kind = ACT_SWISH},
    {.kind = ACT_ELU, .a = 1},
    {.kind = ACT_ELU, .a = 0.5f},
    {.kind = ACT_ELU, .a = -0.5f},
    {.kind = ACT_SELU},
    {.kind = ACT_GELU},
    {.kind = ACT_GELU_TANH},
    {.kind = ACT_SOFTPLUS},
    {.kind = ACT_SOFTSIGN},
    {.kind = ACT_HARD_SIGMOID},
    {.kind = ACT_HARD_SWISH},
    {.kind = ACT_EXPONENTIAL},
    {.kind = ACT_MISH},
};

/* Values near 1 to 1e-6; derivatives against central differences of the reference in double. */
Test(vec_math, activations) {
  for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
    for (float x = -9.03f; x < 9; x += 0.0731f) {
      float y[VEC_WIDTH], dx[VEC_WIDTH];
      Vec value = act_vec(&acts[i], vec_set(x));
      vec_store(y, value);
      double want = reference_act(&acts[i], (double)x), step = 1e-4;
      cr_assert(fabs((double)y[0] - want) <= 1e-6 * (1e-3 + fabs(want)), "act %d at %g: %g not %g",
                (int)acts[i].kind, (double)x, (double)y[0], want);
      vec_store(dx, act_vec_bwd(&acts[i], vec_set(act_bwd_needs_x(acts[i]) ? x : NAN),
                                act_bwd_needs_y(acts[i]) ? value : vec_set(NAN), vec_set(2)));
      double up = reference_act(&acts[i], (double)x + step), down = reference_act(&acts[i], (double)x - step);
      double slope = (up - down) / step;
      cr_assert(fabs((double)dx[0] - slope) <= 2e-5 * (1 + fabs(slope)), "act' %d at %g: %g not %g",
                (int)acts[i].kind, (double)x, (double)dx[0], slope);
    }
}
