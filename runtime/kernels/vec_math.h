/* Elementary functions on vectors, within 2 units in the last place over the whole range (tested against long
 * double).
 *
 * The polynomials are minimax fits of our own (iteratively reweighted least squares over Chebyshev nodes);
 * the argument reductions are the usual ones, named at each function. */
#ifndef NETC_KERNELS_VEC_MATH_H
#define NETC_KERNELS_VEC_MATH_H
#include "vec.h"

/* c - a b with one rounding, where the vectors' own multiply-add has two as well. */
VEC_FUNCTION Vec vec_fnma_once(Vec a, Vec b, Vec c) {
  if (VEC_NATIVE)
    return vec_fnma(a, b, c);
  float x[VEC_WIDTH], y[VEC_WIDTH], z[VEC_WIDTH];
  vec_store(x, a);
  vec_store(y, b);
  vec_store(z, c);
  for (int i = 0; i < VEC_WIDTH; i++)
    z[i] = (float)((double)z[i] - (double)x[i] * (double)y[i]);
  return vec_load(z);
}

/* a + b, and what its rounding loses. */
VEC_FUNCTION Vec vec_add_lost(Vec a, Vec b, Vec *lost) {
  Vec sum = vec_add(a, b), part = vec_sub(sum, a);
  *lost = vec_add(vec_sub(a, vec_sub(sum, part)), vec_sub(b, part));
  return sum;
}

/* a b, and what its rounding loses. */
VEC_FUNCTION Vec vec_mul_lost(Vec a, Vec b, Vec *lost) {
  Vec product = vec_mul(a, b);
  *lost = vec_sub(vec_zero(), vec_fnma_once(a, b, product));
  return product;
}

/* exp(x + low) = 2^k exp(r), r = x + low - k ln 2 with ln 2 in two pieces, |r| <= ln 2 / 2.  `low` is what x
 * lost to rounding.  Overflows to infinity, underflows to zero. */
VEC_FUNCTION Vec vec_exp_sum(Vec x, Vec low) {
  x = vec_min(vec_set(89.0f), vec_max(vec_set(-104.0f), x));
  Vec k = vec_round(vec_mul(x, vec_set(1.44269504f)));
  Vec exact = vec_fnma(k, vec_set(0.693359375f), x), rest = vec_fnma(k, vec_set(-2.12194440e-4f), low);
  Vec r = vec_add(exact, rest);
  Vec p = vec_set(0.00139504764f);
  p = vec_fma(p, r, vec_set(0.00836888235f));
  p = vec_fma(p, r, vec_set(0.0416662060f));
  p = vec_fma(p, r, vec_set(0.166665182f));
  p = vec_fma(p, r, vec_set(0.5f));
  /* 1 + r, and what these two sums round away goes back in with the rest. */
  Vec one = vec_set(1.0f), sum = vec_add(one, r);
  Vec lost = vec_add(vec_sub(r, vec_sub(sum, one)), vec_sub(rest, vec_sub(r, exact)));
  p = vec_add(sum, vec_fma(p, vec_mul(r, r), lost));
  /* In two steps, for k of 128 and for results below the normal range. */
  Vec half = vec_round(vec_mul(k, vec_set(0.5f)));
  return vec_mul(vec_mul(p, vec_exp2_whole(half)), vec_exp2_whole(vec_sub(k, half)));
}

VEC_FUNCTION Vec vec_exp(Vec x) {
  return vec_exp_sum(x, vec_zero());
}

/* exp(x) - 1 without cancellation, for x up to 88: 2^k (exp(r) - 1) + (2^k - 1). */
VEC_FUNCTION Vec vec_expm1(Vec x) {
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
VEC_FUNCTION Vec vec_log_sum(Vec f, Vec e) {
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
VEC_FUNCTION Vec vec_log(Vec x) {
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
VEC_FUNCTION Vec vec_log1p_unit(Vec x) {
  Vec one = vec_set(1.0f);
  Vec sum = vec_add(one, x);
  Vec lost = vec_sub(x, vec_sub(sum, one));
  return vec_add(vec_log(sum), vec_div(lost, sum));
}

/* tanh(x) = x + x^3 P(x^2) for |x| < 0.625, else 1 - 2 / (exp(2 |x|) + 1) with x's sign. */
VEC_FUNCTION Vec vec_tanh(Vec x) {
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
  return vec_copysign(vec_select_gt(vec_set(0.625f), size, near, far), x);
}

/* 1 / (1 + exp(-x - low)), for negative x as exp(x) / (1 + exp(x)); `low` is what x lost to rounding.  What
 * the rounding of 1 + exp loses is taken off again to first order (1 / d is near 1.457 - 0.486 d for d in [1,
 * 2]). */
VEC_FUNCTION Vec vec_sigmoid_sum(Vec x, Vec low) {
  Vec one = vec_set(1.0f), zero = vec_zero();
  Vec power = vec_exp_sum(vec_sub(zero, vec_abs(x)), vec_select_gt(x, zero, vec_sub(zero, low), low));
  Vec whole = vec_add(one, power), lost = vec_sub(power, vec_sub(whole, one));
  Vec y = vec_div(vec_select_gt(zero, x, power, one), whole);
  Vec share = vec_fma(whole, vec_set(-0.486f), vec_set(1.457f));
  return vec_fnma(vec_mul(y, lost), share, y);
}

VEC_FUNCTION Vec vec_sigmoid(Vec x) {
  return vec_sigmoid_sum(x, vec_zero());
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)). */
VEC_FUNCTION Vec vec_softplus(Vec x) {
  Vec small = vec_log1p_unit(vec_exp(vec_sub(vec_zero(), vec_abs(x))));
  return vec_add(vec_max(vec_zero(), x), small);
}

/* erf(x) = x + x P(x^2) for |x| < 1. */
VEC_FUNCTION Vec vec_erf_near(Vec x) {
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

/* erfc(x) (2 x + 1) exp(x^2) for x >= 1, as a polynomial in t = (x - 2.5) / (x + 2.5); it is nearly
 * constant. */
VEC_FUNCTION Vec vec_erfc_tail(Vec t) {
  Vec p = vec_set(0.000531077909f);
  p = vec_fma(p, t, vec_set(0.000408146298f));
  p = vec_fma(p, t, vec_set(-0.00434598373f));
  p = vec_fma(p, t, vec_set(0.00096070196f));
  p = vec_fma(p, t, vec_set(0.032754913f));
  p = vec_fma(p, t, vec_set(-0.102971144f));
  p = vec_fma(p, t, vec_set(0.157630354f));
  p = vec_fma(p, t, vec_set(-0.0990243331f));
  p = vec_fma(p, t, vec_set(-0.122356772f));
  return vec_fma(p, t, vec_set(1.26483822f));
}

/* erfc(x) for x >= 1, good enough to be taken from 1: exp sees -x^2 in two pieces. */
VEC_FUNCTION Vec vec_erfc_far(Vec x) {
  Vec middle = vec_set(2.5f), t = vec_div(vec_sub(x, middle), vec_add(x, middle));
  Vec high = vec_mul(vec_round(vec_mul(x, vec_set(256.0f))), vec_set(1.0f / 256.0f));
  Vec low = vec_mul(vec_sub(high, x), vec_add(high, x));
  Vec bell = vec_exp_sum(vec_sub(vec_zero(), vec_mul(high, high)), low);
  return vec_div(vec_mul(bell, vec_erfc_tail(t)), vec_fma(vec_set(2.0f), x, vec_set(1.0f)));
}

VEC_FUNCTION Vec vec_erf(Vec x) {
  Vec size = vec_abs(x), one = vec_set(1.0f);
  Vec far = vec_sub(one, vec_erfc_far(vec_max(one, vec_min(vec_set(10.0f), size))));
  return vec_copysign(vec_select_ge(size, one, far, vec_erf_near(size)), x);
}

/* The normal distribution function erfc(z / sqrt 2) / 2 at -z, z > 0.7, times a factor:
 * exp(-z^2 / 2) P(t) / (z + sqrt(1/2)), t = (z - 3.54) / (z + 3.54).  What P, the products and the
 * quotient round away is put back into the exponent, so that only exp and one product round. */
VEC_FUNCTION Vec vec_normal_tail(Vec z, Vec factor) {
  Vec middle = vec_set(3.53553391f), first = vec_set(0.44718784f), root = vec_set(0.707106769f);
  Vec t = vec_div(vec_sub(z, middle), vec_add(z, middle));
  Vec p = vec_set(0.000187282061f);
  p = vec_fma(p, t, vec_set(0.000144643108f));
  p = vec_fma(p, t, vec_set(-0.00153611727f));
  p = vec_fma(p, t, vec_set(0.000339402447f));
  p = vec_fma(p, t, vec_set(0.0115804967f));
  p = vec_fma(p, t, vec_set(-0.0364057391f));
  p = vec_fma(p, t, vec_set(0.0557307575f));
  p = vec_fma(p, t, vec_set(-0.0350103955f));
  p = vec_fma(p, t, vec_set(-0.0432596499f));
  p = vec_mul(p, t);
  Vec top = vec_add(first, p), top_lost = vec_sub(p, vec_sub(top, first)), product_lost;
  top_lost = vec_mul(vec_add(top_lost, vec_set(-1.40987e-08f)), factor);
  top = vec_mul_lost(top, factor, &product_lost);
  Vec under = vec_add(z, root), under_lost = vec_sub(root, vec_sub(under, z));
  Vec ratio = vec_div(top, under);
  Vec lost = vec_add(vec_fnma_once(ratio, under, top), vec_fnma(ratio, under_lost, top_lost));
  lost = vec_div(vec_add(lost, product_lost), top);
  Vec high = vec_mul(vec_round(vec_mul(z, vec_set(256.0f))), vec_set(1.0f / 256.0f));
  Vec low = vec_mul(vec_mul(vec_sub(high, z), vec_set(0.5f)), vec_add(high, z));
  return vec_mul(vec_exp_sum(vec_mul(vec_mul(high, high), vec_set(-0.5f)), vec_add(low, lost)), ratio);
}

/* The same for |x| < 0.7: 1/2 + x (q + x^2 R(x^2)), q = 1 / sqrt(2 pi) in two pieces. */
VEC_FUNCTION Vec vec_normal_near(Vec x) {
  Vec square = vec_mul(x, x), q = vec_set(0.398942292f), half = vec_set(0.5f);
  Vec p = vec_set(-8.65093959e-06f);
  p = vec_fma(p, square, vec_set(0.000115092051f));
  p = vec_fma(p, square, vec_set(-0.00118726725f));
  p = vec_fma(p, square, vec_set(0.00997355319f));
  p = vec_fma(p, square, vec_set(-0.06649038f));
  p = vec_mul(vec_fma(p, square, vec_set(-1.13351701e-08f)), x);
  Vec line = vec_fma(x, q, half), lost = vec_fma(x, q, vec_sub(half, line));
  return vec_add(line, vec_add(p, lost));
}

VEC_FUNCTION Vec vec_normal_cdf(Vec x) {
  Vec size = vec_abs(x), split = vec_set(0.7f), one = vec_set(1.0f);
  Vec far = vec_normal_tail(vec_max(split, vec_min(vec_set(14.8f), size)), one);
  far = vec_select_gt(x, vec_zero(), vec_sub(one, far), far);
  return vec_select_ge(size, split, far, vec_normal_near(x));
}

/* x times the normal distribution function.  The tail is multiplied before it falls below the normal range.
 */
VEC_FUNCTION Vec vec_gelu(Vec x) {
  Vec size = vec_abs(x), split = vec_set(0.7f), one = vec_set(1.0f), zero = vec_zero();
  Vec z = vec_max(split, vec_min(vec_set(14.8f), size));
  Vec far = vec_normal_tail(z, vec_select_gt(x, zero, one, vec_sub(zero, z)));
  far = vec_select_gt(x, zero, vec_mul(x, vec_sub(one, far)), far);
  return vec_select_ge(size, split, far, vec_mul(x, vec_normal_near(x)));
}

/* x / (1 + exp(-2 u)), 2 u = x (a + b x^2): the gelu of the hyperbolic tangent.  2 u is kept in two pieces,
 * exp is taken 2^16 times as large so that it does not fall below the normal range before x is multiplied. */
VEC_FUNCTION Vec vec_gelu_tanh(Vec x) {
  Vec zero = vec_zero(), a = vec_set(1.59576917f), b = vec_set(0.0713548139f), shift = vec_set(11.0903549f);
  Vec inside = vec_max(vec_set(-15.0f), vec_min(vec_set(15.0f), x)), lost, more;
  Vec square = vec_mul_lost(inside, inside, &lost), low = vec_mul(b, lost);
  Vec slope = vec_mul_lost(b, square, &lost);
  low = vec_add(low, vec_fma(square, vec_set(2.39883e-9f), lost));
  slope = vec_add_lost(a, slope, &lost);
  low = vec_add(low, vec_add(lost, vec_set(-4.53407e-8f)));
  Vec twice = vec_mul_lost(inside, slope, &lost);
  low = vec_fma(inside, low, lost);
  low = vec_select_gt(x, zero, vec_sub(zero, low), low);
  Vec exponent = vec_add_lost(shift, vec_sub(zero, vec_abs(twice)), &more);
  Vec power = vec_exp_sum(exponent, vec_add(low, vec_add(more, vec_set(-3.04745e-8f))));
  Vec scale = vec_set(65536.0f), whole = vec_add_lost(scale, power, &lost);
  Vec top = vec_mul_lost(inside, vec_select_gt(zero, x, power, scale), &more);
  Vec y = vec_div(top, whole);
  lost = vec_add(vec_fnma_once(y, whole, top), vec_fnma(y, lost, more));
  y = vec_add(y, vec_div(lost, whole));
  return vec_select_ge(vec_set(15.0f), x, y, x);
}
#endif
