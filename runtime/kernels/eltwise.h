/* Element by element: activations, channel-wise affine maps, copies, padding, random layers.  Bound by
 * memory. */
#ifndef NETC_KERNELS_ELTWISE_H
#define NETC_KERNELS_ELTWISE_H
#include "act.h"
#include "work.h"
#include <string.h>

enum { ELTWISE_BLOCK = 4096 }; /* floats that a thread takes at a time, a multiple of VEC_WIDTH */

static inline int64_t eltwise_blocks(int64_t count) {
  return (count + ELTWISE_BLOCK - 1) / ELTWISE_BLOCK;
}
static inline int64_t eltwise_end(int64_t block, int64_t count) {
  int64_t end = (block + 1) * ELTWISE_BLOCK;
  return end < count ? end : count;
}

/* y = act(x), both [count].  In place allowed. */
static void act_fwd(const Act *act, int64_t count, const float *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t block = 0; block < eltwise_blocks(count); block++) {
    int64_t i = block * ELTWISE_BLOCK;
    act_run(act, eltwise_end(block, count) - i, x + i, y + i);
  }
}

/* dx = dy * act'(x), all [count]; of x and y only the one that act_bwd_needs_* names is read, the other may
 * be NULL. dx may be dy. */
static void act_bwd(const Act *act, int64_t count, const float *x, const float *y, const float *dy, float *dx,
                    const Work *work) {
  (void)work;
  const float *from_x = act_bwd_needs_x(*act) ? x : dy, *from_y = act_bwd_needs_y(*act) ? y : dy;
  WORK_PARALLEL_FOR(work)
  for (int64_t block = 0; block < eltwise_blocks(count); block++) {
    int64_t i = block * ELTWISE_BLOCK;
    act_run_bwd(act, eltwise_end(block, count) - i, from_x + i, from_y + i, dy + i, dx + i);
  }
}

/* y[row][c] = act(x[row][c] + bias[c]), x and y dense [rows][channels].  bias may be NULL.  In place allowed.
 */
static void bias_act_fwd(int64_t rows, int channels, const float *x, const float *bias, const Act *act,
                         float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < rows; row++) {
    const float *from = x + row * channels;
    float *to = y + row * channels;
    for (int c = 0; c < channels; c++)
      to[c] = bias ? from[c] + bias[c] : from[c];
    if (act->kind != ACT_LINEAR)
      act_run(act, channels, to, to);
  }
}

/* y = x * scale + offset, [count].  In place allowed. */
static void rescale_fwd(int64_t count, float scale, float offset, const float *x, float *y,
                        const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++)
    y[i] = x[i] * scale + offset;
}

/* y[row][c] = x[row][reverse ? channels - 1 - c : c] * scale[c] + offset[c]; scale and offset in the order of
 * y.  In place allowed where `reverse` is false. */
static void affine_channels_fwd(int64_t rows, int channels, const float *scale, const float *offset,
                                bool reverse, const float *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < rows; row++) {
    const float *from = x + row * channels;
    float *to = y + row * channels;
    if (reverse)
      for (int c = 0; c < channels; c++)
        to[c] = from[channels - 1 - c] * scale[c] + offset[c];
    else
      for (int c = 0; c < channels; c++)
        to[c] = from[c] * scale[c] + offset[c];
  }
}

/* dx[row][reverse ? channels - 1 - c : c] = dy[row][c] * scale[c]. */
static void affine_channels_bwd(int64_t rows, int channels, const float *scale, bool reverse, const float *dy,
                                float *dx, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < rows; row++) {
    const float *from = dy + row * channels;
    float *to = dx + row * channels;
    for (int c = 0; c < channels; c++)
      to[reverse ? channels - 1 - c : c] = from[c] * scale[c];
  }
}

/* y[row][c] = x[row][c] * scale[row / group][c]: multiplies [n, group, channels] by [n, channels] (squeeze
 * and excitation).  x and y dense, in place allowed. */
static void scale_channels_fwd(int64_t rows, int64_t group, int channels, const float *x, const float *scale,
                               float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < rows; row++) {
    const float *factor = scale + row / group * channels;
    for (int c = 0; c < channels; c++)
      y[row * channels + c] = x[row * channels + c] * factor[c];
  }
}

/* dscale[n][c] = sum over the group of dy * x. */
static void scale_channels_bwd_scale(int64_t rows, int64_t group, int channels, const float *x,
                                     const float *dy, float *dscale, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t image = 0; image < rows / group; image++) {
    float *sum = dscale + image * channels;
    memset(sum, 0, (size_t)channels * sizeof(float));
    for (int64_t row = image * group; row < (image + 1) * group; row++)
      for (int c = 0; c < channels; c++)
        sum[c] += x[row * channels + c] * dy[row * channels + c];
  }
}

/* y += alpha * x, [count]. */
static void axpy(int64_t count, float alpha, const float *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++)
    y[i] += alpha * x[i];
}

/* out = a + b, [count]: gradients that meet.  out may be a or b. */
static void add_into(int64_t count, const float *a, const float *b, float *out, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++)
    out[i] = a[i] + b[i];
}

static void fill(int64_t count, float value, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++)
    y[i] = value;
}

/* Rows of `width` floats from x (row stride x_ld) to y (row stride y_ld): concatenation and slicing. */
static void copy_rows(int64_t rows, int64_t width, const float *x, int64_t x_ld, float *y, int64_t y_ld,
                      const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < rows; row++)
    memcpy(y + row * y_ld, x + row * x_ld, (size_t)width * sizeof(float));
}

/* y [n, out_h, out_w, c] = x [n, h, w, c] with `top` rows and `left` columns of zeros before it (and as many
 * after as out_h and out_w ask for). */
static void pad_fwd(int n, int h, int w, int c, int top, int left, int out_h, int out_w, const float *x,
                    float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < (int64_t)n * out_h; row++) {
    int64_t image = row / out_h, from = row % out_h - top;
    float *to = y + row * out_w * c;
    if (from < 0 || from >= h) {
      memset(to, 0, (size_t)out_w * (size_t)c * sizeof(float));
      continue;
    }
    size_t before = (size_t)left * (size_t)c, inside = (size_t)w * (size_t)c;
    memset(to, 0, before * sizeof(float));
    memcpy(to + before, x + (image * h + from) * w * c, inside * sizeof(float));
    memset(to + before + inside, 0, ((size_t)out_w * (size_t)c - before - inside) * sizeof(float));
  }
}

/* y [n, out_h, out_w, c] = the window of x [n, h, w, c] that begins at (top, left).  Gradient of pad_fwd; the
 * gradient of a crop is pad_fwd. */
static void crop_fwd(int n, int h, int w, int c, int top, int left, int out_h, int out_w, const float *x,
                     float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < (int64_t)n * out_h; row++) {
    int64_t image = row / out_h, from = row % out_h + top;
    memcpy(y + row * out_w * c, x + ((image * h + from) * w + left) * c,
           (size_t)out_w * (size_t)c * sizeof(float));
  }
}

/* y, its dimensions d[order[0..3]], from x [n, d[0], d[1], d[2], d[3]]: y's axis a is x's axis order[a] (from
 * 0). */
static void permute4(int n, const int *d, const int *order, const float *x, float *y, const Work *work) {
  (void)work;
  int64_t stride[4] = {(int64_t)d[1] * d[2] * d[3], (int64_t)d[2] * d[3], d[3], 1}, whole = d[0] * stride[0];
  int64_t e1 = d[order[1]], e2 = d[order[2]], e3 = d[order[3]], e012 = d[order[0]] * e1 * e2;
  int64_t s0 = stride[order[0]], s1 = stride[order[1]], s2 = stride[order[2]], s3 = stride[order[3]];
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < n * e012; row++) {
    const float *from =
        x + row / e012 * whole + row % e012 / (e1 * e2) * s0 + row / e2 % e1 * s1 + row % e2 * s2;
    for (int64_t k = 0; k < e3; k++)
      y[row * e3 + k] = from[k * s3];
  }
}
#endif
