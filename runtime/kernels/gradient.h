/* What may happen to a gradient or a weight around the optimizer's update: regularizers, clipping,
 * constraints. Formulas: Keras's regularizers, optimizers and constraints. */
#ifndef NETC_KERNELS_GRADIENT_H
#define NETC_KERNELS_GRADIENT_H
#include "work.h"
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* out = grad + l1 * sign(w) + 2 * l2 * w: the gradient of l1 * sum|w| + l2 * sum w^2 joined.  In place
 * allowed. */
static void regularize_l1_l2(int64_t count, float l1, float l2, const float *w, const float *grad, float *out,
                             const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++)
    out[i] = grad[i] + l1 * (float)((w[i] > 0) - (w[i] < 0)) + 2 * l2 * w[i];
}

static float penalty_l1_l2(int64_t count, float l1, float l2, const float *w) {
  double sum_abs = 0, sum_squares = 0;
  for (int64_t i = 0; i < count; i++) {
    sum_abs += fabs((double)w[i]);
    sum_squares += (double)w[i] * (double)w[i];
  }
  return (float)((double)l1 * sum_abs + (double)l2 * sum_squares);
}

/* penalty_l1_l2 of the activations y and its gradient by them. */
static float activity_l1_l2(int64_t count, float l1, float l2, const float *y, float *dy) {
  for (int64_t i = 0; i < count; i++)
    dy[i] = l1 * (float)((y[i] > 0) - (y[i] < 0)) + 2 * l2 * y[i];
  return penalty_l1_l2(count, l1, l2, y);
}

/* Rows (or columns) of a [rows][columns] matrix at unit length: reciprocal norms, with Keras's epsilon of
 * 1e-12 in the square. */
static double orthogonal_invnorm(int rows, int columns, bool by_rows, const float *w, int which) {
  double sum = 0;
  for (int i = 0; i < (by_rows ? columns : rows); i++) {
    double v = (double)(by_rows ? w[which * columns + i] : w[i * columns + which]);
    sum += v * v;
  }
  return 1 / sqrt(sum > 1e-12 ? sum : 1e-12);
}

static double orthogonal_dot(int rows, int columns, bool by_rows, const float *w, int a, int b) {
  double sum = 0;
  for (int i = 0; i < (by_rows ? columns : rows); i++)
    sum += by_rows ? (double)w[a * columns + i] * (double)w[b * columns + i]
                   : (double)w[i * columns + a] * (double)w[i * columns + b];
  return sum;
}

/* factor * sum_{a<b} |cos(v_a, v_b)| / pairs over the rows or columns v of w. */
static float penalty_orthogonal(int64_t rows, int columns, float factor, bool by_rows, const float *w) {
  int count = by_rows ? (int)rows : columns;
  double sum = 0, pairs = count * (count - 1.0) / 2;
  for (int a = 0; a < count; a++)
    for (int b = a + 1; b < count; b++)
      sum += fabs(orthogonal_dot((int)rows, columns, by_rows, w, a, b) *
                  orthogonal_invnorm((int)rows, columns, by_rows, w, a) *
                  orthogonal_invnorm((int)rows, columns, by_rows, w, b));
  return pairs > 0 ? (float)((double)factor * sum / pairs) : 0;
}

/* out = grad + d penalty_orthogonal / dw. */
static void regularize_orthogonal(int64_t rows, int columns, float factor, bool by_rows, const float *w,
                                  const float *grad, float *out) {
  int count = by_rows ? (int)rows : columns, length = by_rows ? columns : (int)rows;
  double pairs = count * (count - 1.0) / 2;
  for (int a = 0; a < count; a++) {
    double na = orthogonal_invnorm((int)rows, columns, by_rows, w, a);
    for (int i = 0; i < length; i++) {
      int64_t at = by_rows ? (int64_t)a * columns + i : (int64_t)i * columns + a;
      double sum = 0;
      for (int b = 0; b < count; b++) {
        if (b == a)
          continue;
        double nb = orthogonal_invnorm((int)rows, columns, by_rows, w, b);
        double cosine = orthogonal_dot((int)rows, columns, by_rows, w, a, b) * na * nb;
        double vb = (double)(by_rows ? w[b * columns + i] : w[i * columns + b]) * nb, va = (double)w[at] * na;
        sum += ((cosine > 0) - (cosine < 0)) * (vb - cosine * va) * na;
      }
      out[at] = grad[at] + (float)((double)factor * sum / pairs);
    }
  }
}

static double gradient_sum_squares(int64_t count, const float *grad) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++)
    sum += (double)grad[i] * (double)grad[i];
  return sum;
}

/* min(1, limit / sqrt(squares)): what every gradient is multiplied with so that their norm is at most
 * `limit`. */
static float gradient_clip_scale(double squares, float limit) {
  double norm = sqrt(squares);
  return norm > (double)limit ? (float)((double)limit / norm) : 1;
}

static void gradient_scale(int64_t count, float scale, const float *grad, float *out, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++)
    out[i] = grad[i] * scale;
}

static void gradient_clip_norm(int64_t count, float limit, const float *grad, float *out, const Work *work) {
  gradient_scale(count, gradient_clip_scale(gradient_sum_squares(count, grad), limit), grad, out, work);
}

static void gradient_clip_value(int64_t count, float limit, const float *grad, float *out, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++)
    out[i] = grad[i] > limit ? limit : grad[i] < -limit ? -limit : grad[i];
}

static void constrain_non_negative(int64_t count, float *w) {
  for (int64_t i = 0; i < count; i++)
    w[i] = w[i] > 0 ? w[i] : 0;
}

/* Brings norms along the middle axis of w [outer][length][inner] into [low, high]: Keras's MaxNorm (low 0,
 * rate 1), UnitNorm (both 1) and MinMaxNorm (rate: how much of the way).  Epsilon 1e-7 as Keras. */
static void constrain_norm(int64_t outer, int64_t length, int64_t inner, float low, float high, float rate,
                           float *w) {
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < inner; i++) {
      float *v = w + o * length * inner + i;
      double squares = 0;
      for (int64_t k = 0; k < length; k++)
        squares += (double)v[k * inner] * (double)v[k * inner];
      double norm = sqrt(squares), wanted = norm < (double)low    ? (double)low
                                            : norm > (double)high ? (double)high
                                                                  : norm;
      wanted = (double)rate * wanted + (1 - (double)rate) * norm;
      float scale = (float)(wanted / (norm + 1e-7));
      for (int64_t k = 0; k < length; k++)
        v[k * inner] *= scale;
    }
}
#endif
