/* Pooling over windows (NHWC) and over whole images.  Geometry in pool2d.h; pixels outside the image do not
 * count: never the maximum, not in the mean's divisor (as TensorFlow's `same`). */
#ifndef NETC_KERNELS_POOL_H
#define NETC_KERNELS_POOL_H
#include "pool2d.h"
#include "vec.h"
#include "work.h"
#include <stddef.h>

/* The part of a window that lies inside: rows [top, bottom), columns [left, right) of x. */
typedef struct PoolWindow {
  int top, bottom, left, right;
} PoolWindow;

static inline PoolWindow pool_window(const Pool2d *g, int p, int q) {
  PoolWindow at = {.top = p * g->stride_h - g->pad_top, .left = q * g->stride_w - g->pad_left};
  at.bottom = at.top + g->pool_h < g->in_h ? at.top + g->pool_h : g->in_h;
  at.right = at.left + g->pool_w < g->in_w ? at.left + g->pool_w : g->in_w;
  at.top = at.top > 0 ? at.top : 0;
  at.left = at.left > 0 ? at.left : 0;
  return at;
}

VEC_INLINE Vec pool_join(bool average, Vec a, Vec b) {
  return average ? vec_add(a, b) : vec_max(a, b);
}

/* The mean of `rows` x `columns` pixels from `from` on, or the largest, over whole vectors of channels: which
 * of them, and the window, are constant where this is inlined with constants. */
VEC_INLINE void pool_join_window(bool average, const float *from, ptrdiff_t line, ptrdiff_t pixel, int rows,
                                 int columns, int channels, float *to) {
  Vec share = vec_set(average ? 1.0f / (float)(rows * columns) : 1.0f);
  int c = 0;
  for (; c + VEC_WIDTH <= channels; c += VEC_WIDTH) {
    Vec all = average ? vec_zero() : vec_load(from + c);
    for (int i = 0; i < rows; i++)
      for (int j = 0; j < columns; j++)
        all = pool_join(average, all, vec_load(from + i * line + j * pixel + c));
    vec_store(to + c, average ? vec_mul(all, share) : all);
  }
  if (c < channels) {
    int left = channels - c;
    Vec all = average ? vec_zero() : vec_load_part(from + c, left);
    for (int i = 0; i < rows; i++)
      for (int j = 0; j < columns; j++)
        all = pool_join(average, all, vec_load_part(from + i * line + j * pixel + c, left));
    vec_store_part(to + c, average ? vec_mul(all, share) : all, left);
  }
}

/* Output row `row` of the flat list of n * out_h; `average` is constant where this is inlined. */
VEC_INLINE void pool_join_row(bool average, const Pool2d *g, int64_t row, const float *x, float *y) {
  const float *image = x + row / g->out_h * g->in_h * g->in_w * g->in_ld;
  ptrdiff_t pixel = g->in_ld, line = g->in_w * pixel;
  for (int q = 0; q < g->out_w; q++) {
    PoolWindow at = pool_window(g, (int)(row % g->out_h), q);
    const float *from = image + at.top * line + at.left * pixel;
    float *to = y + (row * g->out_w + q) * g->out_ld;
    int rows = at.bottom - at.top, columns = at.right - at.left;
    if (rows == 2 && columns == 2)
      pool_join_window(average, from, line, pixel, 2, 2, g->channels, to);
    else if (rows == 3 && columns == 3)
      pool_join_window(average, from, line, pixel, 3, 3, g->channels, to);
    else
      pool_join_window(average, from, line, pixel, rows, columns, g->channels, to);
  }
}

/* x [n, in_h, in_w, channels], y [n, out_h, out_w, channels]: the largest of each window.  A NaN in a window
 * gives NaN where it is seen last; windows are never empty. */
static void maxpool_fwd(const Pool2d *g, int n, const float *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < (int64_t)n * g->out_h; row++)
    pool_join_row(false, g, row, x, y);
}

/* y = the mean of each window's pixels that lie inside. */
static void avgpool_fwd(const Pool2d *g, int n, const float *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < (int64_t)n * g->out_h; row++)
    pool_join_row(true, g, row, x, y);
}

static inline void pool_clear_image(const Pool2d *g, float *dx) {
  for (int64_t pixel = 0; pixel < (int64_t)g->in_h * g->in_w; pixel++)
    memset(dx + pixel * g->in_ld, 0, (size_t)g->channels * sizeof(float));
}

/* One window of maxpool_bwd over `count` channels (VEC_WIDTH: all of a vector).  `alone`: no other window
 * reaches these pixels, so dx is only written, and may be x. */
VEC_INLINE void maxpool_give(const PoolWindow *at, bool alone, ptrdiff_t line, ptrdiff_t pixel,
                             const float *x, const float *y, const float *dy, float *dx, int count) {
  Vec most = vec_load_upto(y, count), give = vec_load_upto(dy, count), zero = vec_zero();
  for (int i = at->top; i < at->bottom; i++)
    for (int j = at->left; j < at->right; j++) {
      ptrdiff_t k = i * line + j * pixel;
      Vec value = vec_load_upto(x + k, count);
      Vec taken = vec_select_eq(value, most, give, zero);
      vec_store_upto(dx + k, alone ? taken : vec_add(vec_load_upto(dx + k, count), taken), count);
      give = vec_select_eq(value, most, zero, give);
    }
}

/* Whether each pixel belongs to one window at most, and those of no window lie behind the others. */
static inline bool pool_windows_apart(const Pool2d *g) {
  return g->stride_h == g->pool_h && g->stride_w == g->pool_w && !g->pad_top && !g->pad_left;
}

/* With windows apart: zeros for the pixels of no window at the end of output row p, and below the last. */
static inline void pool_clear_rest(const Pool2d *g, int p, float *dx) {
  ptrdiff_t pixel = g->in_ld, line = g->in_w * pixel;
  int top = p * g->stride_h, bottom = p + 1 < g->out_h ? top + g->stride_h : g->in_h;
  for (int i = top; i < bottom; i++)
    for (int j = i < top + g->stride_h ? g->out_w * g->stride_w : 0; j < g->in_w; j++)
      memset(dx + i * line + j * pixel, 0, (size_t)g->channels * sizeof(float));
}

/* Output row p of an image, all pointers to the image.  With windows apart the pixels of no window at the
 * row's end, and below the last row, become zero. */
static void maxpool_bwd_row(const Pool2d *g, bool alone, int p, const float *x, const float *y,
                            const float *dy, float *dx) {
  ptrdiff_t pixel = g->in_ld, line = g->in_w * pixel;
  for (int q = 0; q < g->out_w; q++) {
    PoolWindow at = pool_window(g, p, q);
    ptrdiff_t o = ((ptrdiff_t)p * g->out_w + q) * g->out_ld;
    int c = 0;
    for (; c + VEC_WIDTH <= g->channels; c += VEC_WIDTH)
      maxpool_give(&at, alone, line, pixel, x + c, y + o + c, dy + o + c, dx + c, VEC_WIDTH);
    if (c < g->channels)
      maxpool_give(&at, alone, line, pixel, x + c, y + o + c, dy + o + c, dx + c, g->channels - c);
  }
  if (alone)
    pool_clear_rest(g, p, dx);
}

/* dx (overwritten): dy goes to the first pixel of the window, row by row, that equals the maximum y.  Where
 * windows lie side by side without padding (stride = size), dx may be x. */
static void maxpool_bwd(const Pool2d *g, int n, const float *x, const float *y, const float *dy, float *dx,
                        const Work *work) {
  (void)work;
  ptrdiff_t in = (ptrdiff_t)g->in_h * g->in_w * g->in_ld, out = (ptrdiff_t)g->out_h * g->out_w * g->out_ld;
  if (pool_windows_apart(g)) {
    WORK_PARALLEL_FOR(work)
    for (int64_t row = 0; row < (int64_t)n * g->out_h; row++) {
      ptrdiff_t image = row / g->out_h;
      maxpool_bwd_row(g, true, (int)(row % g->out_h), x + image * in, y + image * out, dy + image * out,
                      dx + image * in);
    }
    return;
  }
  WORK_PARALLEL_FOR(work)
  for (int64_t image = 0; image < n; image++) {
    pool_clear_image(g, dx + image * in);
    for (int p = 0; p < g->out_h; p++)
      maxpool_bwd_row(g, false, p, x + image * in, y + image * out, dy + image * out, dx + image * in);
  }
}

/* The largest of a window over `count` channels, and which pixel of it the first of them is, row by row. */
VEC_INLINE void maxpool_find(const PoolWindow *at, ptrdiff_t line, ptrdiff_t pixel, const Pool2d *g,
                             int first, const float *x, float *y, unsigned char *places, int count) {
  Vec most = vec_load_upto(x + at->top * line + at->left * pixel, count), place = vec_set((float)first);
  int number = first, step = g->pool_w - (at->right - at->left);
  for (int i = at->top; i < at->bottom; i++, number += step)
    for (int j = at->left; j < at->right; j++, number++) {
      Vec value = vec_load_upto(x + i * line + j * pixel, count);
      place = vec_select_gt(value, most, vec_set((float)number), place);
      most = vec_max(most, value);
    }
  vec_store_upto(y, most, count);
  vec_store_bytes(places, place, count);
}

/* The number in its window of the first pixel that lies inside. */
static inline int maxpool_first_place(const Pool2d *g, const PoolWindow *at, int p, int q) {
  return (at->top - (p * g->stride_h - g->pad_top)) * g->pool_w + at->left - (q * g->stride_w - g->pad_left);
}

static void maxpool_places_row(const Pool2d *g, int p, const float *image, float *y, unsigned char *places) {
  ptrdiff_t pixel = g->in_ld, line = g->in_w * pixel;
  for (int q = 0; q < g->out_w; q++) {
    PoolWindow at = pool_window(g, p, q);
    int first = maxpool_first_place(g, &at, p, q), c = 0;
    ptrdiff_t o = (ptrdiff_t)q * g->out_ld, b = (ptrdiff_t)q * g->channels;
    for (; c + VEC_WIDTH <= g->channels; c += VEC_WIDTH)
      maxpool_find(&at, line, pixel, g, first, image + c, y + o + c, places + b + c, VEC_WIDTH);
    if (c < g->channels)
      maxpool_find(&at, line, pixel, g, first, image + c, y + o + c, places + b + c, g->channels - c);
  }
}

/* maxpool_fwd, which also notes which pixel of its window each maximum is: the first of them, numbered row by
 * row.  Windows of at most 256 pixels; places: pool_places_bytes per image. */
static void maxpool_fwd_places(const Pool2d *g, int n, const float *x, float *y, unsigned char *places,
                               const Work *work) {
  (void)work;
  WORK_PARALLEL_CALLS(work)
  for (int64_t row = 0; row < (int64_t)n * g->out_h; row++) {
    int64_t image = row / g->out_h, p = row % g->out_h;
    maxpool_places_row(g, (int)p, x + image * g->in_h * g->in_w * g->in_ld, y + row * g->out_w * g->out_ld,
                       places + (size_t)image * pool_places_bytes(g->out_h, g->out_w, g->channels) +
                           (size_t)p * (size_t)g->out_w * (size_t)g->channels);
  }
}

/* One window of maxpool_bwd_places; `alone` as for maxpool_give. */
VEC_INLINE void maxpool_give_places(const PoolWindow *at, bool alone, ptrdiff_t line, ptrdiff_t pixel,
                                    const Pool2d *g, int first, const unsigned char *places, const float *dy,
                                    float *dx, int count) {
  Vec place = vec_load_bytes(places, count), give = vec_load_upto(dy, count), zero = vec_zero();
  int number = first, step = g->pool_w - (at->right - at->left);
  for (int i = at->top; i < at->bottom; i++, number += step)
    for (int j = at->left; j < at->right; j++, number++) {
      float *to = dx + i * line + j * pixel;
      Vec taken = vec_select_eq(place, vec_set((float)number), give, zero);
      vec_store_upto(to, alone ? taken : vec_add(vec_load_upto(to, count), taken), count);
    }
}

static void maxpool_bwd_places_row(const Pool2d *g, bool alone, int p, const unsigned char *places,
                                   const float *dy, float *dx) {
  ptrdiff_t pixel = g->in_ld, line = g->in_w * pixel;
  for (int q = 0; q < g->out_w; q++) {
    PoolWindow at = pool_window(g, p, q);
    int first = maxpool_first_place(g, &at, p, q);
    ptrdiff_t o = ((ptrdiff_t)p * g->out_w + q) * g->out_ld, b = ((ptrdiff_t)p * g->out_w + q) * g->channels;
    for (int c = 0; c < g->channels; c += VEC_WIDTH)
      maxpool_give_places(&at, alone, line, pixel, g, first, places + b + c, dy + o + c, dx + c,
                          g->channels - c);
  }
  if (alone)
    pool_clear_rest(g, p, dx);
}

/* An image of maxpool_bwd_places. */
static void maxpool_bwd_places_image(const Pool2d *g, const unsigned char *places, const float *dy,
                                     float *dx) {
  bool alone = pool_windows_apart(g);
  if (!alone)
    pool_clear_image(g, dx);
  for (int p = 0; p < g->out_h; p++)
    maxpool_bwd_places_row(g, alone, p, places, dy, dx);
}

/* dx (overwritten): dy goes to the pixel of its window that was noted. */
static void maxpool_bwd_places(const Pool2d *g, int n, const unsigned char *places, const float *dy,
                               float *dx, const Work *work) {
  (void)work;
  ptrdiff_t in = (ptrdiff_t)g->in_h * g->in_w * g->in_ld, out = (ptrdiff_t)g->out_h * g->out_w * g->out_ld;
  WORK_PARALLEL_CALLS(work)
  for (int64_t image = 0; image < n; image++)
    maxpool_bwd_places_image(g, places + (size_t)image * pool_places_bytes(g->out_h, g->out_w, g->channels),
                             dy + image * out, dx + image * in);
}

/* dx (overwritten): each window's dy spread evenly over its pixels that lie inside. */
static void avgpool_bwd(const Pool2d *g, int n, const float *dy, float *dx, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t image = 0; image < n; image++) {
    int64_t in = image * g->in_h * g->in_w * g->in_ld, out = image * g->out_h * g->out_w * g->out_ld;
    pool_clear_image(g, dx + in);
    for (int64_t at_out = 0; at_out < (int64_t)g->out_h * g->out_w; at_out++) {
      PoolWindow at = pool_window(g, (int)(at_out / g->out_w), (int)(at_out % g->out_w));
      Vec share = vec_set(1.0f / (float)((at.bottom - at.top) * (at.right - at.left)));
      for (int c = 0; c < g->channels; c += VEC_WIDTH) {
        int left = g->channels - c;
        Vec give = vec_mul(vec_load_upto(dy + out + at_out * g->out_ld + c, left), share);
        for (int i = at.top; i < at.bottom; i++)
          for (int j = at.left; j < at.right; j++) {
            float *to = dx + in + ((int64_t)i * g->in_w + j) * g->in_ld + c;
            vec_store_upto(to, vec_add(vec_load_upto(to, left), give), left);
          }
      }
    }
  }
}

/* y[n][c] = mean over `pixels` of x [n, pixels, in_ld], of which `channels`; y dense. */
static void global_avgpool_fwd(int n, int pixels, int channels, int in_ld, const float *x, float *y,
                               const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t image = 0; image < n; image++)
    for (int c = 0; c < channels; c += VEC_WIDTH) {
      const float *from = x + image * pixels * in_ld + c;
      Vec sum = vec_zero();
      for (int i = 0; i < pixels; i++)
        sum = vec_add(sum, vec_load_upto(from + (int64_t)i * in_ld, channels - c));
      vec_store_upto(y + image * channels + c, vec_mul(sum, vec_set(1.0f / (float)pixels)), channels - c);
    }
}

static void global_avgpool_bwd(int n, int pixels, int channels, const float *dy, float *dx,
                               const Work *work) {
  (void)work;
  float share = 1.0f / (float)pixels;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < (int64_t)n * pixels; row++) {
    const float *from = dy + row / pixels * channels;
    for (int c = 0; c < channels; c++)
      dx[row * channels + c] = from[c] * share;
  }
}

/* y[n][c] = the largest over `pixels` of x [n, pixels, channels], dense. */
static void global_maxpool_fwd(int n, int pixels, int channels, const float *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t image = 0; image < n; image++)
    for (int c = 0; c < channels; c += VEC_WIDTH) {
      const float *from = x + image * pixels * channels + c;
      Vec most = vec_load_upto(from, channels - c);
      for (int i = 1; i < pixels; i++)
        most = vec_max(most, vec_load_upto(from + (int64_t)i * channels, channels - c));
      vec_store_upto(y + image * channels + c, most, channels - c);
    }
}

/* dx (overwritten): dy in equal shares to all pixels that are the maximum. */
static void global_maxpool_bwd(int n, int pixels, int channels, const float *x, const float *y,
                               const float *dy, float *dx, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t image = 0; image < n; image++)
    for (int c = 0; c < channels; c += VEC_WIDTH) {
      int left = channels - c;
      int64_t at = image * pixels * channels + c;
      Vec most = vec_load_upto(y + image * channels + c, left), ties = vec_zero(), one = vec_set(1.0f);
      for (int i = 0; i < pixels; i++) {
        Vec value = vec_load_upto(x + at + (int64_t)i * channels, left);
        ties = vec_add(ties, vec_select_eq(value, most, one, vec_zero()));
      }
      Vec share = vec_div(vec_load_upto(dy + image * channels + c, left), vec_max(one, ties));
      for (int i = 0; i < pixels; i++) {
        Vec value = vec_load_upto(x + at + (int64_t)i * channels, left);
        vec_store_upto(dx + at + (int64_t)i * channels, vec_select_eq(value, most, share, vec_zero()), left);
      }
    }
}
#endif
