/* Softmax and its logarithm over the last axis, and their gradients.  All [rows][c], dense; in place allowed.
 */
#ifndef NETC_KERNELS_SOFTMAX_H
#define NETC_KERNELS_SOFTMAX_H
#include "vec_math.h"
#include "work.h"

/* The largest of c values (NaN where it comes last; softmax then is NaN anyway). */
static inline float softmax_max(int c, const float *x) {
  Vec most = vec_set(x[0]);
  int i = 0;
  for (; i + VEC_WIDTH <= c; i += VEC_WIDTH)
    most = vec_max(vec_load(x + i), most);
  float result = vec_max_lane(most);
  for (; i < c; i++)
    result = x[i] > result ? x[i] : result;
  return result;
}

/* y = exp(x - most), returns the sum of y. */
static inline float softmax_exp_sum(int c, float most, const float *x, float *y) {
  Vec shift = vec_set(most), sum = vec_zero();
  int i = 0;
  for (; i + VEC_WIDTH <= c; i += VEC_WIDTH) {
    Vec e = vec_exp(vec_sub(vec_load(x + i), shift));
    vec_store(y + i, e);
    sum = vec_add(sum, e);
  }
  float total = vec_sum(sum);
  if (i < c) {
    float part[VEC_WIDTH];
    vec_store(part, vec_exp(vec_sub(vec_load_part(x + i, c - i), shift)));
    for (int k = 0; i < c && k < VEC_WIDTH; i++, k++) {
      y[i] = part[k];
      total += part[k];
    }
  }
  return total;
}

/* y = exp(x - max) / sum exp(x - max) */
static void softmax_fwd(int64_t rows, int c, const float *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < rows; row++) {
    const float *from = x + row * c;
    float *to = y + row * c;
    float scale = 1.0f / softmax_exp_sum(c, softmax_max(c, from), from, to);
    for (int i = 0; i < c; i++)
      to[i] *= scale;
  }
}

/* dx = y * (dy - sum y dy) */
static void softmax_bwd(int64_t rows, int c, const float *y, const float *dy, float *dx, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < rows; row++) {
    const float *probability = y + row * c, *gradient = dy + row * c;
    float dot = 0;
    for (int i = 0; i < c; i++)
      dot += probability[i] * gradient[i];
    for (int i = 0; i < c; i++)
      dx[row * c + i] = probability[i] * (gradient[i] - dot);
  }
}

/* y = x - max - log sum exp(x - max) */
static void log_softmax_fwd(int64_t rows, int c, const float *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < rows; row++) {
    const float *from = x + row * c;
    float most = softmax_max(c, from), sum = 0, part[VEC_WIDTH];
    for (int i = 0; i < c; i += VEC_WIDTH) {
      vec_store(part, vec_exp(vec_sub(vec_load_upto(from + i, c - i), vec_set(most))));
      for (int k = 0; k < VEC_WIDTH && i + k < c; k++)
        sum += part[k];
    }
    float shift = most + logf(sum);
    for (int i = 0; i < c; i++)
      y[row * c + i] = from[i] - shift;
  }
}

/* dx = dy - exp(y) sum dy */
static void log_softmax_bwd(int64_t rows, int c, const float *y, const float *dy, float *dx,
                            const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < rows; row++) {
    float sum = 0;
    for (int i = 0; i < c; i++)
      sum += dy[row * c + i];
    for (int i = 0; i < c; i += VEC_WIDTH) {
      int64_t at = row * c + i;
      Vec e = vec_exp(vec_load_upto(y + at, c - i));
      vec_store_upto(dx + at, vec_fnma(e, vec_set(sum), vec_load_upto(dy + at, c - i)), c - i);
    }
  }
}
#endif
