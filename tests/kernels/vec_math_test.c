/* Vector functions against the C library in double, in units of the last place, and at the odd values. */
#include "kernels/act.h"
#include "kernels/reference.h"
#include "kernel_test.h"

typedef Vec VecFunction(Vec x);
typedef double Function(double x);

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
static Vec vec_erfc_of(Vec x) {
  return vec_erfc(x);
}
static Vec vec_normal_cdf_of(Vec x) {
  return vec_normal_cdf(x);
}
static Vec gelu_fast(Vec x) {
  return act_vec(&(Act){.kind = ACT_GELU}, x);
}
static double normal_cdf_of(double x) {
  return erfc(-x * 0.70710678118654752) / 2;
}
static double gelu_of(double x) {
  return x * normal_cdf_of(x);
}
static double sigmoid_of(double x) {
  return 1 / (1 + exp(-x));
}
static double softplus_of(double x) {
  return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* Distance from `want` in units of the last place of the float nearest to it; results below the normal range
 * are taken in units of the smallest normal's last place. */
static double ulps(float got, double want) {
  float near = fabsf((float)want);
  near = near > 1.17549435e-38f ? near : 1.17549435e-38f;
  return fabs((double)got - want) / ((double)nextafterf(near, INFINITY) - (double)near);
}

/* Half of the arguments spread evenly over [low, high], half over all magnitudes below. */
static void check(const char *name, VecFunction *fast, Function *exact, float low, float high, double limit) {
  for (int i = 0; i < 20000; i++) {
    float x[VEC_WIDTH], y[VEC_WIDTH];
    for (int k = 0; k < VEC_WIDTH; k++) {
      x[k] = low + (high - low) * (test_uniform() + 1) / 2;
      x[k] = i % 2 ? x[k] * expf(-10 * (test_uniform() + 1)) : x[k];
    }
    vec_store(y, fast(vec_load(x)));
    for (int k = 0; k < VEC_WIDTH; k++) {
      double want = exact((double)x[k]);
      if (fabs(want) < 3.4e38)
        cr_assert(ulps(y[k], want) <= limit, "%s(%.9g) = %.9g, not %.9g: %.2f ulp", name, (double)x[k],
                  (double)y[k], want, ulps(y[k], want));
    }
  }
}

Test(vec_math, within_two_ulp) {
  check("exp", vec_exp_of, exp, -104, 88.7f, 2);
  check("expm1", vec_expm1_of, expm1, -20, 87, 2);
  check("log", vec_log_of, log, 0, 4, 2);
  check("log", vec_log_of, log, 0, 3e38f, 2);
  check("tanh", vec_tanh_of, tanh, -12, 12, 2);
  check("sigmoid", vec_sigmoid_of, sigmoid_of, -85, 85, 2);
  check("softplus", vec_softplus_of, softplus_of, -85, 85, 2);
  check("erf", vec_erf_of, erf, -6, 6, 2);
}

/* Tails, where exp(-x^2) is a small number: they have as many good digits. */
Test(vec_math, tails_within_five_ulp) {
  check("erfc", vec_erfc_of, erfc, -6, 9, 5);
  check("normal cdf", vec_normal_cdf_of, normal_cdf_of, -12, 9, 5);
  check("gelu", gelu_fast, gelu_of, -12, 9, 5);
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
  VecFunction *const all[] = {vec_exp_of,      vec_expm1_of, vec_log_of,  vec_tanh_of,      vec_sigmoid_of,
                              vec_softplus_of, vec_erf_of,   vec_erfc_of, vec_normal_cdf_of};
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
