/* The inner loops of depthwise convolutions: a run of pixels of one output row over one vector of channels.
 *
 * All pixels of a run see the same rows x columns of taps (a row is cut where the window begins to hang over
 * an edge), so that the taps' weights, or their gradients, stay in registers.  Steps and strides are in
 * floats and may be negative: a gradient by x is a run over dy with the weights turned round. */
#ifndef NETC_KERNELS_DEPTHWISE_RUN_H
#define NETC_KERNELS_DEPTHWISE_RUN_H
#include "act.h"
#include "conv2d.h"
#include <stddef.h>

enum {
  DEPTHWISE_TAPS = 5,  /* the most rows and columns of taps that have loops of their own */
  DEPTHWISE_PIXELS = 4 /* sums that run side by side */
};

typedef struct DepthwiseRun {
  const float *x; /* of the first pixel at its first tap */
  ptrdiff_t x_row, x_column, x_step;
  const float *w; /* of the first tap, or the gradient's place */
  ptrdiff_t w_row, w_column;
  ptrdiff_t y_step;
  int pixels, rows, columns, count; /* count: channels, at most VEC_WIDTH of them matter */
} DepthwiseRun;

/* What follows the sum: a clamp, for the activations that are one. */
typedef struct DepthwiseEnd {
  const float *bias;     /* of the first channel, or NULL */
  const float *residual; /* of the first pixel, or NULL */
  float low, high;
} DepthwiseEnd;

VEC_INLINE Vec depthwise_end(const DepthwiseEnd *end, Vec sum, ptrdiff_t at, int count) {
  if (end->residual)
    sum = vec_add(sum, vec_load_upto(end->residual + at, count));
  return vec_min(vec_set(end->high), vec_max(vec_set(end->low), sum));
}

/* `pixels` sums side by side: pixels, rows and columns are constants where this is called, so that sum[] and
 * weight[] are registers. */
VEC_INLINE void depthwise_sum_pixels(const float *x, const DepthwiseRun *run, const Vec *weight, Vec start,
                                     const DepthwiseEnd *end, float *y, ptrdiff_t at, int pixels, int rows,
                                     int columns) {
  ptrdiff_t x_row = run->x_row, x_column = run->x_column, x_step = run->x_step, y_step = run->y_step;
  Vec sum[DEPTHWISE_PIXELS];
  VEC_UNROLL
  for (int i = 0; i < pixels; i++)
    sum[i] = start;
  VEC_UNROLL
  for (int r = 0; r < rows; r++)
    VEC_UNROLL
  for (int s = 0; s < columns; s++)
    VEC_UNROLL
  for (int i = 0; i < pixels; i++)
    sum[i] = vec_fma(vec_load(x + i * x_step + r * x_row + s * x_column), weight[r * columns + s], sum[i]);
  VEC_UNROLL
  for (int i = 0; i < pixels; i++)
    vec_store(y + at + i * y_step, depthwise_end(end, sum[i], at + i * y_step, VEC_WIDTH));
}

/* rows and columns are constants where this is called. */
VEC_INLINE void depthwise_sum_fixed(const DepthwiseRun *run, const DepthwiseEnd *end, float *y, int rows,
                                    int columns) {
  DepthwiseRun own = *run; /* its own copy, so that storing y cannot change it */
  DepthwiseEnd last = *end;
  Vec weight[DEPTHWISE_TAPS * DEPTHWISE_TAPS];
  VEC_UNROLL
  for (int r = 0; r < rows; r++)
    VEC_UNROLL
  for (int s = 0; s < columns; s++)
    weight[r * columns + s] = vec_load(own.w + r * own.w_row + s * own.w_column);
  Vec start = last.bias ? vec_load(last.bias) : vec_zero();
  int pixel = 0;
  for (; pixel + DEPTHWISE_PIXELS <= own.pixels; pixel += DEPTHWISE_PIXELS)
    depthwise_sum_pixels(own.x + pixel * own.x_step, &own, weight, start, &last, y, pixel * own.y_step,
                         DEPTHWISE_PIXELS, rows, columns);
  for (; pixel < own.pixels; pixel++)
    depthwise_sum_pixels(own.x + pixel * own.x_step, &own, weight, start, &last, y, pixel * own.y_step, 1,
                         rows, columns);
}

/* Any number of taps, any count of channels. */
static void depthwise_sum_any(const DepthwiseRun *run, const DepthwiseEnd *end, float *y) {
  for (int pixel = 0; pixel < run->pixels; pixel++) {
    const float *x = run->x + pixel * run->x_step;
    Vec sum = end->bias ? vec_load_upto(end->bias, run->count) : vec_zero();
    for (int r = 0; r < run->rows; r++)
      for (int s = 0; s < run->columns; s++)
        sum = vec_fma(vec_load_upto(x + r * run->x_row + s * run->x_column, run->count),
                      vec_load_upto(run->w + r * run->w_row + s * run->w_column, run->count), sum);
    sum = depthwise_end(end, sum, pixel * run->y_step, run->count);
    vec_store_upto(y + pixel * run->y_step, sum, run->count);
  }
}

/* y[pixel] = end(sum over the taps of x times w). */
static void depthwise_sum(const DepthwiseRun *run, const DepthwiseEnd *end, float *y) {
  bool listed =
      VEC_NATIVE && run->count >= VEC_WIDTH && run->rows <= DEPTHWISE_TAPS && run->columns <= DEPTHWISE_TAPS;
  switch (listed ? run->rows * 8 + run->columns : 0) {
  case 1 * 8 + 1:
    depthwise_sum_fixed(run, end, y, 1, 1);
    break;
  case 1 * 8 + 2:
    depthwise_sum_fixed(run, end, y, 1, 2);
    break;
  case 2 * 8 + 1:
    depthwise_sum_fixed(run, end, y, 2, 1);
    break;
  case 2 * 8 + 2:
    depthwise_sum_fixed(run, end, y, 2, 2);
    break;
  case 2 * 8 + 3:
    depthwise_sum_fixed(run, end, y, 2, 3);
    break;
  case 3 * 8 + 2:
    depthwise_sum_fixed(run, end, y, 3, 2);
    break;
  case 3 * 8 + 3:
    depthwise_sum_fixed(run, end, y, 3, 3);
    break;
  case 5 * 8 + 5:
    depthwise_sum_fixed(run, end, y, 5, 5);
    break;
  default:
    depthwise_sum_any(run, end, y);
  }
}

/* dw[tap] += sum over the run's pixels of x times dy; dw lies as run->w says. */
VEC_INLINE void depthwise_gather_fixed(const DepthwiseRun *run, const float *dy, float *dw, int rows,
                                       int columns) {
  DepthwiseRun own = *run;
  Vec sum[DEPTHWISE_TAPS * DEPTHWISE_TAPS];
  VEC_UNROLL
  for (int r = 0; r < rows; r++)
    VEC_UNROLL
  for (int s = 0; s < columns; s++)
    sum[r * columns + s] = vec_load(dw + r * own.w_row + s * own.w_column);
  const float *x = own.x;
  for (int pixel = 0; pixel < own.pixels; pixel++, x += own.x_step, dy += own.y_step) {
    Vec slope = vec_load(dy);
    VEC_UNROLL
    for (int r = 0; r < rows; r++)
      VEC_UNROLL
    for (int s = 0; s < columns; s++)
      sum[r * columns + s] =
          vec_fma(vec_load(x + r * own.x_row + s * own.x_column), slope, sum[r * columns + s]);
  }
  VEC_UNROLL
  for (int r = 0; r < rows; r++)
    VEC_UNROLL
  for (int s = 0; s < columns; s++)
    vec_store(dw + r * own.w_row + s * own.w_column, sum[r * columns + s]);
}

static void depthwise_gather_any(const DepthwiseRun *run, const float *dy, float *dw) {
  for (int r = 0; r < run->rows; r++)
    for (int s = 0; s < run->columns; s++) {
      float *to = dw + r * run->w_row + s * run->w_column;
      const float *x = run->x + r * run->x_row + s * run->x_column;
      Vec sum = vec_load_upto(to, run->count);
      for (int pixel = 0; pixel < run->pixels; pixel++)
        sum = vec_fma(vec_load_upto(x + pixel * run->x_step, run->count),
                      vec_load_upto(dy + pixel * run->y_step, run->count), sum);
      vec_store_upto(to, sum, run->count);
    }
}

static void depthwise_gather(const DepthwiseRun *run, const float *dy, float *dw) {
  bool listed =
      VEC_NATIVE && run->count >= VEC_WIDTH && run->rows <= DEPTHWISE_TAPS && run->columns <= DEPTHWISE_TAPS;
  switch (listed ? run->rows * 8 + run->columns : 0) {
  case 2 * 8 + 2:
    depthwise_gather_fixed(run, dy, dw, 2, 2);
    break;
  case 2 * 8 + 3:
    depthwise_gather_fixed(run, dy, dw, 2, 3);
    break;
  case 3 * 8 + 2:
    depthwise_gather_fixed(run, dy, dw, 3, 2);
    break;
  case 3 * 8 + 3:
    depthwise_gather_fixed(run, dy, dw, 3, 3);
    break;
  case 5 * 8 + 5:
    depthwise_gather_fixed(run, dy, dw, 5, 5);
    break;
  default:
    depthwise_gather_any(run, dy, dw);
  }
}

/* Taps t in [*begin, *end) of `taps` for which start + t * step lies inside [0, size); step > 0. */
static inline void depthwise_taps(int start, int step, int taps, int size, int *begin, int *end) {
  int low = start < 0 ? (-start + step - 1) / step : 0;
  int high = size - 1 - start < 0 ? 0 : (size - 1 - start) / step + 1;
  *begin = low < taps ? low : taps;
  *end = high < taps ? high : taps;
  *end = *end > *begin ? *end : *begin;
}

/* The first position after `at` (below `end`) whose taps differ from those of `at`; positions are `stride`
 * apart in x. */
static inline int depthwise_same_taps(int at, int end, int stride, int pad, int step, int taps, int size,
                                      int *begin, int *finish) {
  depthwise_taps(at * stride - pad, step, taps, size, begin, finish);
  if (*begin == 0 && *finish == taps) { /* all, up to the last window that ends inside */
    int last = (size - 1 - (taps - 1) * step + pad) / stride;
    return last + 1 < end ? last + 1 : end;
  }
  while (++at < end) {
    int low, high;
    depthwise_taps(at * stride - pad, step, taps, size, &low, &high);
    if (low != *begin || high != *finish)
      break;
  }
  return at;
}
#endif
