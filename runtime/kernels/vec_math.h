/* Elementary functions on vectors, within 2 units in the last place over the whole range (tested against
 * double).
 *
 * The polynomials are minimax fits of our own (iteratively reweighted least squares over Chebyshev nodes);
 * the argument reductions are the usual ones, named at each function. */
#ifndef NETC_KERNELS_VEC_MATH_H
#define NETC_KERNELS_VEC_MATH_H
#include "vec.h"

/* exp(x) = 2^k exp(r), r = x - k ln 2 in two pieces, |r| <= ln 2 / 2.  Overflows to infinity, underflows to
 * zero. */
VEC_INLINE Vec vec_exp(Vec x) {
  x = vec_min(vec_set(89.0f), vec_max(vec_set(-104.0f), x));
  Vec k = vec_round(vec_mul(x, vec_set(1.44269504f)));
  Vec r = vec_fnma(k, vec_set(-2.12194440e-4f), vec_fnma(k, vec_set(0.693359375f), x));
  Vec p = vec_set(0.00139504764f);
  p = vec_fma(p, r, vec_set(0.00836888235f));
  p = vec_fma(p, r, vec_set(0.0416662060f));
  p = vec_fma(p, r, vec_set(0.166665182f));
  p = vec_fma(p, r, vec_set(0.5f));
  p = vec_fma(p, vec_mul(r, r), r);
  p = vec_add(p, vec_set(1.0f));
  /* In two steps, for k of 128 and for results below the normal range. */
  Vec half = vec_round(vec_mul(k, vec_set(0.5f)));
  return vec_mul(vec_mul(p, vec_exp2_whole(half)), vec_exp2_whole(vec_sub(k, half)));
}

/* exp(x) - 1 without cancellation, for x up to 88: 2^k (exp(r) - 1) + (2^k - 1). */
VEC_INLINE Vec vec_expm1(Vec x) {
  x = vec_min(vec_set(88.0f), vec_max(vec_set(-30.0f), x));
  Vec k = vec_round(vec_mul(x, vec_set(1.44269504f)));
  Vec r = vec_fnma(k, vec_set(-2.12194440e-4f), vec_fnma(k, vec_set(0.693359375f), x));
  Vec p = vec_set(0.00139504764f);
  p = vec_fma(p, r, vec_set(0.00836888235f));
  p = vec_fma(p, r, vec_set(0.0416662060f));
  p = vec_fma(p, r, vec_set(0.166665182f));
  p = vec_fma(p, r, vec_set(0.5f));
  p = vec_fma(p, vec_mul(r, r), r);
  Vec power = vec_exp2_whole(k);
  return vec_fma(p, power, vec_sub(power, vec_set(1.0f)));
}

/* log(1 + f) for f in [sqrt(1/2) - 1, sqrt(2) - 1] = f - f^2/2 + f^3 P(f), plus e ln 2 in two pieces. */
VEC_INLINE Vec vec_log_sum(Vec f, Vec e) {
  Vec p = vec_set(0.0691514686f);
  p = vec_fma(p, f, vec_set(-0.117896959f));
  p = vec_fma(p, f, vec_set(0.118730165f));
  p = vec_fma(p, f, vec_set(-0.123843700f));
  p = vec_fma(p, f, vec_set(0.142186552f));
  p = vec_fma(p, f, vec_set(-0.166692495f));
  p = vec_fma(p, f, vec_set(0.200022265f));
  p = vec_fma(p, f, vec_set(-0.249999866f));
  p = vec_fma(p, f, vec_set(0.333333105f));
  Vec square = vec_mul(f, f);
  Vec tail = vec_mul(vec_mul(p, f), square);
  tail = vec_fma(e, vec_set(-2.12194440e-4f), tail);
  tail = vec_fma(square, vec_set(-0.5f), tail);
  return vec_fma(e, vec_set(0.693359375f), vec_add(f, tail));
}

/* log(x) = e ln 2 + log(m).  log(0) = -infinity, of a negative number or NaN: NaN. */
VEC_INLINE Vec vec_log(Vec x) {
  Vec tiny = vec_set(1.17549435e-38f);
  Vec scaled = vec_select_gt(tiny, x, vec_mul(x, vec_set(8388608.0f)), x);
  Vec m;
  Vec e = vec_split_exponent(scaled, &m);
  e = vec_select_gt(tiny, x, vec_sub(e, vec_set(23.0f)), e);
  Vec root2 = vec_set(1.41421356f);
  e = vec_select_gt(m, root2, vec_add(e, vec_set(1.0f)), e);
  m = vec_select_gt(m, root2, vec_mul(m, vec_set(0.5f)), m);
  Vec y = vec_log_sum(vec_sub(m, vec_set(1.0f)), e);
  y = vec_select_gt(x, vec_set(3.40282347e38f), x, y);
  y = vec_select_eq(x, vec_zero(), vec_set(-INFINITY), y);
  return vec_select_ge(x, vec_zero(), y, vec_set(NAN));
}

/* log(1 + x) for x in [0, 1]: what the rounding of 1 + x loses is given back to first order. */
VEC_INLINE Vec vec_log1p_unit(Vec x) {
  Vec one = vec_set(1.0f);
  Vec sum = vec_add(one, x);
  Vec lost = vec_sub(x, vec_sub(sum, one));
  return vec_add(vec_log(sum), vec_div(lost, sum));
}

/* tanh(x) = x + x^3 P(x^2) for |x| < 0.625, else 1 - 2 / (exp(2 |x|) + 1) with x's sign. */
VEC_INLINE Vec vec_tanh(Vec x) {
  Vec size = vec_abs(x);
  Vec square = vec_mul(x, x);
  Vec p = vec_set(0.00214753696f);
  p = vec_fma(p, square, vec_set(-0.00818267372f));
  p = vec_fma(p, square, vec_set(0.0217029676f));
  p = vec_fma(p, square, vec_set(-0.0539472029f));
  p = vec_fma(p, square, vec_set(0.133332103f));
  p = vec_fma(p, square, vec_set(-0.333333313f));
  Vec near = vec_fma(vec_mul(p, square), x, x);
  Vec one = vec_set(1.0f);
  Vec power = vec_exp(vec_add(size, size));
  Vec far = vec_sub(one, vec_div(vec_set(2.0f), vec_add(power, one)));
  return vec_select_gt(vec_set(0.625f), size, near, vec_copysign(far, x));
}

/* 1 / (1 + exp(-x)), for negative x as exp(x) / (1 + exp(x)). */
VEC_INLINE Vec vec_sigmoid(Vec x) {
  Vec one = vec_set(1.0f);
  Vec power = vec_exp(vec_sub(vec_zero(), vec_abs(x)));
  Vec right = vec_div(one, vec_add(one, power));
  return vec_select_gt(vec_zero(), x, vec_mul(power, right), right);
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)). */
VEC_INLINE Vec vec_softplus(Vec x) {
  Vec small = vec_log1p_unit(vec_exp(vec_sub(vec_zero(), vec_abs(x))));
  return vec_add(vec_max(vec_zero(), x), small);
}

/* erf(x) = x + x P(x^2) for |x| < 1. */
VEC_INLINE Vec vec_erf_near(Vec x) {
  Vec square = vec_mul(x, x);
  Vec p = vec_set(-9.68013683e-06f);
  p = vec_fma(p, square, vec_set(0.000112705449f));
  p = vec_fma(p, square, vec_set(-0.000848471129f));
  p = vec_fma(p, square, vec_set(0.00522107491f));
  p = vec_fma(p, square, vec_set(-0.0268654451f));
  p = vec_fma(p, square, vec_set(0.112837829f));
  p = vec_fma(p, square, vec_set(-0.376126379f));
  p = vec_fma(p, square, vec_set(0.128379166f));
  return vec_fma(p, x, x);
}

/* erfc(x) for x >= 1 = exp(-x^2) q P(q) with q = 1 / (x + 1).  x^2 is split so that exp sees no rounding of
 * it. */
VEC_INLINE Vec vec_erfc_far(Vec x) {
  Vec q = vec_div(vec_set(1.0f), vec_add(x, vec_set(1.0f)));
  Vec p = vec_set(-2.96752238f);
  p = vec_fma(p, q, vec_set(9.92923260f));
  p = vec_fma(p, q, vec_set(-13.7025137f));
  p = vec_fma(p, q, vec_set(9.27331638f));
  p = vec_fma(p, q, vec_set(-2.35454679f));
  p = vec_fma(p, q, vec_set(-0.291291177f));
  p = vec_fma(p, q, vec_set(-0.332645476f));
  p = vec_fma(p, q, vec_set(0.285984308f));
  p = vec_fma(p, q, vec_set(0.564018846f));
  p = vec_fma(p, q, vec_set(0.564192832f));
  Vec high = vec_mul(vec_round(vec_mul(x, vec_set(256.0f))), vec_set(1.0f / 256.0f));
  Vec low = vec_mul(vec_sub(high, x), vec_add(high, x)); /* high^2 - x^2 */
  Vec gauss = vec_exp(vec_sub(vec_zero(), vec_mul(high, high)));
  return vec_mul(vec_fma(gauss, vec_expm1(low), gauss), vec_mul(p, q));
}

VEC_INLINE Vec vec_erf(Vec x) {
  Vec size = vec_abs(x);
  Vec far = vec_sub(vec_set(1.0f), vec_erfc_far(vec_max(vec_set(1.0f), vec_min(vec_set(10.0f), size))));
  return vec_select_ge(size, vec_set(1.0f), vec_copysign(far, x), vec_erf_near(x));
}

/* erfc(x) = 1 - erf(x), exact in the tail. */
VEC_INLINE Vec vec_erfc(Vec x) {
  Vec size = vec_abs(x);
  Vec far = vec_erfc_far(vec_max(vec_set(1.0f), vec_min(vec_set(10.5f), size)));
  far = vec_select_gt(x, vec_zero(), far, vec_sub(vec_set(2.0f), far));
  return vec_select_ge(size, vec_set(1.0f), far, vec_sub(vec_set(1.0f), vec_erf_near(x)));
}
#endif
