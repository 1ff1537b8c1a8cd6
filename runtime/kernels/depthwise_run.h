/* The inner loops of depthwise convolutions: a run of pixels of one output row, vector of channels by vector.
 *
 * All pixels of a run see the same rows x columns of taps (a row is cut where the window begins to hang over
 * an edge, or the run says which columns are there), so that the taps' weights, or their gradients, stay in
 * registers.  Steps and strides are in floats and may be negative: a gradient by x is a run over dy with the
 * weights turned round. */
#ifndef NETC_KERNELS_DEPTHWISE_RUN_H
#define NETC_KERNELS_DEPTHWISE_RUN_H
#include "act.h"
#include "conv2d.h"
#include <limits.h>
#include <stddef.h>

/* The most rows and columns of taps that have loops of their own.  Emitted programs in which no window is
 * larger than 3x3 say so (DEPTHWISE_ONLY), and compile no others. */
#ifdef DEPTHWISE_ONLY
#define DEPTHWISE_TAPS DEPTHWISE_ONLY
#else
#define DEPTHWISE_TAPS 5
#endif
enum { DEPTHWISE_PIXELS = 4 }; /* sums that run side by side */

typedef struct DepthwiseRun {
  const float *x; /* of the first pixel at its first tap */
  ptrdiff_t x_row, x_column, x_step;
  const float *w; /* of the first tap, or the gradient's place */
  ptrdiff_t w_row, w_column;
  ptrdiff_t y_step;
  int pixels, rows, columns, channels;
  int first, end; /* columns [first, end), counted from x, are there; all are: 0, INT_MAX */
  bool two;       /* the run below as well: it sees x from x_row on, and its y lies y_row further */
  ptrdiff_t y_row;
  const float *next; /* what is asked for meanwhile: like x, first of the next rows that come from memory; or
                        NULL */
} DepthwiseRun;

/* What follows the sum: a clamp, for the activations that are one. */
typedef struct DepthwiseEnd {
  const float *bias;     /* of the first channel, or NULL */
  const float *residual; /* of the first pixel, or NULL */
  float low, high;
  bool far; /* y outgrows the caches: it is streamed, in whole lines */
} DepthwiseEnd;

VEC_INLINE void depthwise_store(const DepthwiseEnd *end, bool late, float *to, Vec v) {
  if (late && end->far)
    vec_stream(to, v);
  else
    vec_store(to, v);
}

VEC_INLINE Vec depthwise_end(const DepthwiseEnd *end, Vec sum, ptrdiff_t at, int count) {
  if (end->residual)
    sum = vec_add(sum, vec_load_upto(end->residual + at, count));
  return vec_min(vec_set(end->high), vec_max(vec_set(end->low), sum));
}

/* Asks for so many rows of run->next, of `pixels` pixels from `at` floats on.  pixels, lines and stride (1 or
 * 2) are constants where this is called. */
VEC_INLINE void depthwise_ask(const DepthwiseRun *run, ptrdiff_t at, int pixels, int lines, int stride) {
  const float *next = run->next + at;
  VEC_UNROLL
  for (int r = 0; r < lines; r++, next += run->x_row) {
    VEC_UNROLL
    for (int j = 0; j < pixels * stride; j++)
      VEC_FETCH_FAR(next + j * run->x_column);
  }
}

/* `pixels` sums side by side for channels from k on, with `two` as many of the run below: pixels, rows,
 * columns, stride and two are constants where this is called, so that sum[], weight[] and line[] are
 * registers.  stride: x_step / x_column where that is 1 or 2: then pixels see the same columns of x, and each
 * is loaded once; 0 otherwise. Rows that two runs see are loaded once. */
VEC_INLINE void depthwise_sum_pixels(const DepthwiseRun *run, const Vec *weight, Vec start,
                                     const DepthwiseEnd *end, float *y, int k, int pixel, int pixels,
                                     int rows, int columns, int stride, bool two, bool late) {
  const float *x = run->x + pixel * run->x_step + k;
  ptrdiff_t x_column = run->x_column, x_step = run->x_step, y_step = run->y_step, at = pixel * y_step + k;
  Vec sum[2 * DEPTHWISE_PIXELS];
  if (late && run->next && stride)
    depthwise_ask(run, pixel * x_step + k, pixels, two || stride == 2 ? 2 : 1, stride);
  VEC_UNROLL
  for (int i = 0; i < (1 + two) * pixels; i++)
    sum[i] = start;
  VEC_UNROLL
  for (int r = 0; r < rows + two; r++) {
    const float *row = x + r * run->x_row, *place = row;
    Vec line[(DEPTHWISE_PIXELS - 1) * 2 + DEPTHWISE_TAPS];
    int seen = stride ? (pixels - 1) * stride + columns : 0;
    VEC_UNROLL
    for (int j = 0; j < seen; j++) {
      line[j] = vec_load(place);
      place += x_column;
      VEC_ADDED(place);
    }
    VEC_UNROLL
    for (int below = 0; below <= two; below++) {
      if (r - below < 0 || r - below >= rows)
        continue;
      VEC_UNROLL
      for (int s = 0; s < columns; s++)
        VEC_UNROLL
      for (int i = 0; i < pixels; i++)
        sum[below * pixels + i] =
            vec_fma(stride ? line[i * stride + s] : vec_load(row + i * x_step + s * x_column),
                    weight[(r - below) * columns + s], sum[below * pixels + i]);
    }
  }
  VEC_UNROLL
  for (int i = 0; i < pixels; i++, at += y_step) {
    depthwise_store(end, late, y + at, depthwise_end(end, sum[i], at, VEC_WIDTH));
    if (two)
      depthwise_store(end, late, y + at + run->y_row,
                      depthwise_end(end, sum[pixels + i], at + run->y_row, VEC_WIDTH));
    VEC_ADDED(at);
  }
}

/* One sum, or two, for the channels from k on, of the taps that are there. */
VEC_INLINE void depthwise_sum_edge(const DepthwiseRun *run, Vec start, const DepthwiseEnd *end, float *y,
                                   int k, int pixel, int count, bool two) {
  ptrdiff_t from = run->x_column ? pixel * (run->x_step / run->x_column) : 0, at = pixel * run->y_step + k;
  int s0 = from < run->first ? (int)(run->first - from) : 0,
      s1 = from + run->columns > run->end ? (int)(run->end - from) : run->columns;
  const float *x = run->x + pixel * run->x_step + k;
  for (int below = 0; below <= two; below++, x += run->x_row, at += run->y_row) {
    Vec sum = start;
    for (int r = 0; r < run->rows; r++)
      for (int s = s0; s < s1; s++)
        sum = vec_fma(vec_load_upto(x + r * run->x_row + s * run->x_column, count),
                      vec_load_upto(run->w + r * run->w_row + s * run->w_column + k, count), sum);
    vec_store_upto(y + at, depthwise_end(end, sum, at, count), count);
  }
}

/* The same where all is there but the first column of taps or the last: rows, columns, first and last are
 * constants where this is called. */
VEC_INLINE void depthwise_sum_but_one(const DepthwiseRun *run, const Vec *weight, Vec start,
                                      const DepthwiseEnd *end, float *y, int k, int pixel, int rows,
                                      int columns, int first, int last, bool two) {
  const float *x = run->x + pixel * run->x_step + k;
  ptrdiff_t at = pixel * run->y_step + k;
  VEC_UNROLL
  for (int below = 0; below <= two; below++, x += run->x_row, at += run->y_row) {
    Vec sum = start;
    VEC_UNROLL
    for (int r = 0; r < rows; r++)
      VEC_UNROLL
    for (int s = first; s < last; s++)
      sum = vec_fma(vec_load(x + r * run->x_row + s * run->x_column), weight[r * columns + s], sum);
    vec_store(y + at, depthwise_end(end, sum, at, VEC_WIDTH));
  }
}

/* Whole vectors of channels; rows, columns, stride and two are constants where this is called.  The loop over
 * channels is in here: a run that is changed for each is read while what was written to it is on its way. */
VEC_INLINE void depthwise_sum_strided(const DepthwiseRun *run, const DepthwiseEnd *end, float *y, int rows,
                                      int columns, int stride, bool two, bool late) {
  DepthwiseRun own = *run; /* its own copy, so that storing y cannot change it */
  DepthwiseEnd last = *end;
  int step = stride ? stride : 1, inner = (own.first + step - 1) / step;
  int outer = own.end < own.pixels * step + columns ? (own.end - columns + step) / step : own.pixels;
  inner = inner < own.pixels ? inner : own.pixels;
  outer = outer < own.pixels ? outer : own.pixels;
  outer = outer > inner ? outer : inner;
  /* Whether the last pixel at the left, and the first at the right, miss but one column. */
  bool left = inner > 0 && own.first - (inner - 1) * step == 1 && (inner - 1) * step + columns <= own.end,
       right = outer * step + columns - own.end == 1 && outer * step >= own.first;
  for (int k = 0; k + VEC_WIDTH <= own.channels; k += VEC_WIDTH) {
    Vec weight[DEPTHWISE_TAPS * DEPTHWISE_TAPS];
    VEC_UNROLL
    for (int r = 0; r < rows; r++)
      VEC_UNROLL
    for (int s = 0; s < columns; s++)
      weight[r * columns + s] = vec_load(own.w + r * own.w_row + s * own.w_column + k);
    Vec start = last.bias ? vec_load(last.bias + k) : vec_zero();
    int pixel = 0;
    for (; pixel + 1 < inner; pixel++)
      depthwise_sum_edge(&own, start, &last, y, k, pixel, VEC_WIDTH, two);
    if (pixel < inner && left)
      depthwise_sum_but_one(&own, weight, start, &last, y, k, pixel++, rows, columns, 1, columns, two);
    else if (pixel < inner)
      depthwise_sum_edge(&own, start, &last, y, k, pixel++, VEC_WIDTH, two);
    for (; pixel + DEPTHWISE_PIXELS <= outer; pixel += DEPTHWISE_PIXELS)
      depthwise_sum_pixels(&own, weight, start, &last, y, k, pixel, DEPTHWISE_PIXELS, rows, columns, stride,
                           two, late);
    for (; pixel < outer; pixel++)
      depthwise_sum_pixels(&own, weight, start, &last, y, k, pixel, 1, rows, columns, stride, two, late);
    if (pixel < own.pixels && right)
      depthwise_sum_but_one(&own, weight, start, &last, y, k, pixel++, rows, columns, 0, columns - 1, two);
    for (; pixel < own.pixels; pixel++)
      depthwise_sum_edge(&own, start, &last, y, k, pixel, VEC_WIDTH, two);
  }
}

/* rows and columns are constants where this is called. */
VEC_INLINE void depthwise_sum_fixed(const DepthwiseRun *run, const DepthwiseEnd *end, float *y, int rows,
                                    int columns, bool late) {
  if (run->x_step == run->x_column)
    depthwise_sum_strided(run, end, y, rows, columns, 1, false, late);
  else if (run->x_step == 2 * run->x_column)
    depthwise_sum_strided(run, end, y, rows, columns, 2, false, late);
  else
    depthwise_sum_strided(run, end, y, rows, columns, 0, false, late);
}

/* Channels from k on, any number of taps. */
static void depthwise_sum_any(const DepthwiseRun *run, const DepthwiseEnd *end, int k, float *y) {
  for (; k < run->channels; k += VEC_WIDTH)
    for (int pixel = 0; pixel < run->pixels; pixel++) {
      int count = run->channels - k;
      Vec start = end->bias ? vec_load_upto(end->bias + k, count) : vec_zero();
      depthwise_sum_edge(run, start, end, y, k, pixel, count, run->two);
    }
}

/* y[pixel] = end(sum over the taps of x times w).  Two runs: 3 x 3 taps, x_step = x_column > 0. */
VEC_INLINE void depthwise_sum_as(const DepthwiseRun *run, const DepthwiseEnd *end, float *y, bool late) {
  bool small = VEC_NATIVE && run->rows <= DEPTHWISE_TAPS && run->columns <= DEPTHWISE_TAPS;
  int done = run->channels / VEC_WIDTH * VEC_WIDTH;
  if (run->two) {
    depthwise_sum_strided(run, end, y, 3, 3, 1, true, late);
    depthwise_sum_any(run, end, done, y);
    return;
  }
  switch (small ? run->rows * 8 + run->columns : 0) {
#define DEPTHWISE_CASE(rows, columns)                                                                        \
  case rows * 8 + columns:                                                                                   \
    if (rows <= DEPTHWISE_TAPS && columns <= DEPTHWISE_TAPS)                                                 \
      depthwise_sum_fixed(run, end, y, rows, columns, late);                                                 \
    break;
    DEPTHWISE_CASE(1, 1)
    DEPTHWISE_CASE(1, 2)
    DEPTHWISE_CASE(2, 1)
    DEPTHWISE_CASE(2, 2)
    DEPTHWISE_CASE(2, 3)
    DEPTHWISE_CASE(3, 2)
    DEPTHWISE_CASE(3, 3)
    DEPTHWISE_CASE(3, 5)
    DEPTHWISE_CASE(4, 5)
    DEPTHWISE_CASE(5, 5)
#undef DEPTHWISE_CASE
  default:
    done = 0;
  }
  depthwise_sum_any(run, end, done, y);
}

static void depthwise_sum(const DepthwiseRun *run, const DepthwiseEnd *end, float *y) {
  depthwise_sum_as(run, end, y, false);
}

/* The same with what run->next and end->far ask for: a loop of its own, for it slows down the other. */
static void depthwise_sum_late(const DepthwiseRun *run, const DepthwiseEnd *end, float *y) {
  depthwise_sum_as(run, end, y, true);
}

/* dw[tap] += sum over the run's pixels of x times dy, whole vectors of channels; dw lies as run->w says. */
VEC_INLINE void depthwise_gather_fixed(const DepthwiseRun *run, const float *dy, float *dw, int rows,
                                       int columns) {
  DepthwiseRun own = *run;
  for (int k = 0; k + VEC_WIDTH <= own.channels; k += VEC_WIDTH) {
    Vec sum[DEPTHWISE_TAPS * DEPTHWISE_TAPS];
    VEC_UNROLL
    for (int r = 0; r < rows; r++)
      VEC_UNROLL
    for (int s = 0; s < columns; s++)
      sum[r * columns + s] = vec_load(dw + r * own.w_row + s * own.w_column + k);
    const float *x = own.x + k, *slopes = dy + k, *next = own.next ? own.next + k : NULL;
    for (int pixel = 0; pixel < own.pixels; pixel++, x += own.x_step, slopes += own.y_step) {
      Vec slope = vec_load(slopes);
      if (own.next) {
        VEC_FETCH_FAR(slopes + own.y_row);
        VEC_FETCH_FAR(next);
        next += own.x_step;
      }
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
      vec_store(dw + r * own.w_row + s * own.w_column + k, sum[r * columns + s]);
  }
}

/* Channels from k on. */
static void depthwise_gather_any(const DepthwiseRun *run, const float *dy, int k, float *dw) {
  for (; k < run->channels; k += VEC_WIDTH)
    for (int r = 0; r < run->rows; r++)
      for (int s = 0; s < run->columns; s++) {
        int count = run->channels - k;
        float *to = dw + r * run->w_row + s * run->w_column + k;
        const float *x = run->x + r * run->x_row + s * run->x_column + k;
        Vec sum = vec_load_upto(to, count);
        for (int pixel = 0; pixel < run->pixels; pixel++)
          sum = vec_fma(vec_load_upto(x + pixel * run->x_step, count),
                        vec_load_upto(dy + pixel * run->y_step + k, count), sum);
        vec_store_upto(to, sum, count);
      }
}

static void depthwise_gather(const DepthwiseRun *run, const float *dy, float *dw) {
  bool small = VEC_NATIVE && run->rows <= DEPTHWISE_TAPS && run->columns <= DEPTHWISE_TAPS;
  int done = run->channels / VEC_WIDTH * VEC_WIDTH;
  switch (small ? run->rows * 8 + run->columns : 0) {
#define DEPTHWISE_CASE(rows, columns)                                                                        \
  case rows * 8 + columns:                                                                                   \
    if (rows <= DEPTHWISE_TAPS && columns <= DEPTHWISE_TAPS)                                                 \
      depthwise_gather_fixed(run, dy, dw, rows, columns);                                                    \
    break;
    DEPTHWISE_CASE(2, 2)
    DEPTHWISE_CASE(2, 3)
    DEPTHWISE_CASE(3, 2)
    DEPTHWISE_CASE(3, 3)
    DEPTHWISE_CASE(5, 5)
#undef DEPTHWISE_CASE
  default:
    done = 0;
  }
  depthwise_gather_any(run, dy, done, dw);
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
