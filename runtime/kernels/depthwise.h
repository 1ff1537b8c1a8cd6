/* Depthwise convolution: out_c = in_c * m, output channel c * m + j = sum over the window of x channel c
 * times w[r][s][c][j].  Conv2d.groups is not looked at.  w is Keras's (R, S, C, M); x, y and gradients NHWC.
 */
#ifndef NETC_KERNELS_DEPTHWISE_H
#define NETC_KERNELS_DEPTHWISE_H
#include "act.h"
#include "conv2d.h"
#include <string.h>

/* Taps r in [*begin, *end) of a window that starts at `start` lie inside [0, size). */
static inline void depthwise_taps(int start, int dilation, int taps, int size, int *begin, int *end) {
  int low = start < 0 ? (-start + dilation - 1) / dilation : 0;
  int high = size - 1 - start < 0 ? 0 : (size - 1 - start) / dilation + 1;
  *begin = low < taps ? low : taps;
  *end = high < taps ? high : taps;
}

/* Up to VEC_WIDTH values x[c / m] for consecutive output channels c = first, first + 1, ... */
VEC_INLINE Vec depthwise_spread(const float *x, int first, int multiplier, int count) {
  if (multiplier == 1)
    return vec_load_upto(x + first, count);
  float lanes[VEC_WIDTH] = {0};
  for (int i = 0; i < VEC_WIDTH && i < count; i++)
    lanes[i] = x[(first + i) / multiplier];
  return vec_load(lanes);
}

static inline size_t depthwise_conv2d_fwd_scratch_floats(const Conv2d *g) {
  (void)g;
  return 0;
}
static inline size_t depthwise_conv2d_bwd_x_scratch_floats(const Conv2d *g) {
  (void)g;
  return 0;
}
static inline size_t depthwise_conv2d_bwd_w_scratch_floats(const Conv2d *g) {
  (void)g;
  return 0;
}

VEC_INLINE Vec depthwise_epilogue(const Epilogue *e, Vec sum, int64_t at, int k, int count) {
  if (e->bias)
    sum = vec_add(sum, vec_load_upto(e->bias + k, count));
  if (e->residual)
    sum = vec_add(sum, vec_load_upto(e->residual + at + k, count));
  return act_vec(&e->act, sum);
}

/* y [n, out_h, out_w, out_c] = act(depthwise(x, w) + bias + residual). */
static void depthwise_conv2d_fwd(const Conv2d *g, int n, const float *x, const float *w, const Epilogue *e,
                                 float *y, const Work *work) {
  (void)work;
  int multiplier = g->out_c / g->in_c;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < (int64_t)n * g->out_h; row++) {
    const float *image = x + row / g->out_h * g->in_h * g->in_w * g->in_ld;
    int top = (int)(row % g->out_h) * g->stride_h - g->pad_top, r0, r1;
    depthwise_taps(top, g->dilation_h, g->kernel_h, g->in_h, &r0, &r1);
    for (int q = 0; q < g->out_w; q++) {
      int left = q * g->stride_w - g->pad_left, s0, s1;
      depthwise_taps(left, g->dilation_w, g->kernel_w, g->in_w, &s0, &s1);
      int64_t at = (row * g->out_w + q) * g->out_ld;
      for (int k = 0; k < g->out_c; k += VEC_WIDTH) {
        int count = g->out_c - k;
        Vec sum = vec_zero();
        for (int r = r0; r < r1; r++)
          for (int s = s0; s < s1; s++) {
            const float *from =
                image + ((int64_t)(top + r * g->dilation_h) * g->in_w + left + s * g->dilation_w) * g->in_ld;
            Vec weight = vec_load_upto(w + (int64_t)(r * g->kernel_w + s) * g->out_c + k, count);
            sum = vec_fma(depthwise_spread(from, k, multiplier, count), weight, sum);
          }
        vec_store_upto(y + at + k, depthwise_epilogue(e, sum, at, k, count), count);
      }
    }
  }
}

/* dx [n, in_h, in_w, in_c] (overwritten) from dy [n, out_h, out_w, out_c]: each input pixel gathers from the
 * windows that hold it. */
static void depthwise_conv2d_bwd_x(const Conv2d *g, int n, const float *dy, const float *w, float *dx,
                                   const Work *work) {
  (void)work;
  int multiplier = g->out_c / g->in_c;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < (int64_t)n * g->in_h; row++) {
    int64_t image = row / g->in_h * g->out_h;
    for (int j = 0; j < g->in_w; j++) {
      float *to = dx + (row * g->in_w + j) * g->in_ld;
      memset(to, 0, (size_t)g->in_c * sizeof(float));
      for (int r = 0; r < g->kernel_h; r++) {
        int p = (int)(row % g->in_h) + g->pad_top - r * g->dilation_h;
        if (p < 0 || p % g->stride_h || p / g->stride_h >= g->out_h)
          continue;
        for (int s = 0; s < g->kernel_w; s++) {
          int q = j + g->pad_left - s * g->dilation_w;
          if (q < 0 || q % g->stride_w || q / g->stride_w >= g->out_w)
            continue;
          const float *from = dy + ((image + p / g->stride_h) * g->out_w + q / g->stride_w) * g->out_ld;
          const float *weight = w + (int64_t)(r * g->kernel_w + s) * g->out_c;
          if (multiplier == 1) {
            for (int c = 0; c < g->in_c; c += VEC_WIDTH) {
              int count = g->in_c - c;
              Vec sum = vec_load_upto(to + c, count);
              sum = vec_fma(vec_load_upto(from + c, count), vec_load_upto(weight + c, count), sum);
              vec_store_upto(to + c, sum, count);
            }
          } else {
            for (int k = 0; k < g->out_c; k++)
              to[k / multiplier] += from[k] * weight[k];
          }
        }
      }
    }
  }
}

/* dw (R, S, C, M), overwritten: one tap and a stretch of channels is summed by one thread, image by image. */
static void depthwise_conv2d_bwd_w(const Conv2d *g, int n, const float *x, const float *dy, float *dw,
                                   const Work *work) {
  (void)work;
  int multiplier = g->out_c / g->in_c, blocks = (g->out_c + VEC_WIDTH - 1) / VEC_WIDTH;
  WORK_PARALLEL_FOR(work)
  for (int64_t unit = 0; unit < (int64_t)g->kernel_h * g->kernel_w * blocks; unit++) {
    int tap = (int)(unit / blocks), k = (int)(unit % blocks) * VEC_WIDTH, count = g->out_c - k;
    int r = tap / g->kernel_w, s = tap % g->kernel_w;
    Vec total = vec_zero();
    for (int64_t row = 0; row < (int64_t)n * g->out_h; row++) {
      int i = (int)(row % g->out_h) * g->stride_h - g->pad_top + r * g->dilation_h;
      if (i < 0 || i >= g->in_h)
        continue;
      const float *line = x + (row / g->out_h * g->in_h + i) * g->in_w * g->in_ld;
      Vec sum = vec_zero();
      for (int q = 0; q < g->out_w; q++) {
        int j = q * g->stride_w - g->pad_left + s * g->dilation_w;
        if (j < 0 || j >= g->in_w)
          continue;
        Vec value = depthwise_spread(line + (int64_t)j * g->in_ld, k, multiplier, count);
        sum = vec_fma(value, vec_load_upto(dy + (row * g->out_w + q) * g->out_ld + k, count), sum);
      }
      total = vec_add(total, sum);
    }
    vec_store_upto(dw + (int64_t)tap * g->out_c + k, total, count);
  }
}
#endif
