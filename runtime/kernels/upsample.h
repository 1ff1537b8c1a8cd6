/* UpSampling2D: whole factors, nearest or bilinear (half-pixel centres, edges clamped, as Keras). */
#ifndef NETC_KERNELS_UPSAMPLE_H
#define NETC_KERNELS_UPSAMPLE_H
#include "work.h"
#include <stdint.h>
#include <string.h>

/* y [n, h * factor_h, w * factor_w, c] from x [n, h, w, c]: every pixel repeated. */
static void upsample_nearest_fwd(int n, int h, int w, int c, int factor_h, int factor_w, const float *x,
                                 float *y, const Work *work) {
  (void)work;
  int64_t out_h = (int64_t)h * factor_h, out_w = (int64_t)w * factor_w;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < n * out_h; row++) {
    const float *from = x + (row / out_h * h + row % out_h / factor_h) * w * c;
    for (int64_t j = 0; j < out_w; j++)
      memcpy(y + (row * out_w + j) * c, from + j / factor_w * c, (size_t)c * sizeof(float));
  }
}

/* dx (overwritten): the sum over each pixel's copies. */
static void upsample_nearest_bwd(int n, int h, int w, int c, int factor_h, int factor_w, const float *dy,
                                 float *dx, const Work *work) {
  (void)work;
  int64_t out_w = (int64_t)w * factor_w;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < (int64_t)n * h; row++)
    for (int64_t j = 0; j < w; j++) {
      float *to = dx + (row * w + j) * c;
      memset(to, 0, (size_t)c * sizeof(float));
      for (int i = 0; i < factor_h; i++)
        for (int k = 0; k < factor_w; k++) {
          const float *from = dy + ((row * factor_h + i) * out_w + j * factor_w + k) * c;
          for (int channel = 0; channel < c; channel++)
            to[channel] += from[channel];
        }
    }
}

/* Where output position `at` of a whole factor reads: between `low` and `high`, `share` of the way. */
typedef struct UpsampleTap {
  int low, high;
  float share;
} UpsampleTap;

static inline UpsampleTap upsample_tap(int64_t at, int factor, int size) {
  float place = ((float)at + 0.5f) / (float)factor - 0.5f;
  place = place > 0 ? place : 0;
  UpsampleTap tap = {.low = (int)place};
  tap.high = tap.low + 1 < size ? tap.low + 1 : size - 1;
  tap.share = place - (float)tap.low;
  return tap;
}

static void upsample_bilinear_fwd(int n, int h, int w, int c, int factor_h, int factor_w, const float *x,
                                  float *y, const Work *work) {
  (void)work;
  int64_t out_h = (int64_t)h * factor_h, out_w = (int64_t)w * factor_w;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < n * out_h; row++) {
    UpsampleTap v = upsample_tap(row % out_h, factor_h, h);
    const float *top = x + (row / out_h * h + v.low) * w * c,
                *bottom = x + (row / out_h * h + v.high) * w * c;
    for (int64_t j = 0; j < out_w; j++) {
      UpsampleTap u = upsample_tap(j, factor_w, w);
      int64_t low = (int64_t)u.low * c, high = (int64_t)u.high * c;
      for (int i = 0; i < c; i++) {
        float above = top[low + i] + (top[high + i] - top[low + i]) * u.share;
        float below = bottom[low + i] + (bottom[high + i] - bottom[low + i]) * u.share;
        y[(row * out_w + j) * c + i] = above + (below - above) * v.share;
      }
    }
  }
}

static void upsample_bilinear_bwd(int n, int h, int w, int c, int factor_h, int factor_w, const float *dy,
                                  float *dx, const Work *work) {
  (void)work;
  int64_t out_h = (int64_t)h * factor_h, out_w = (int64_t)w * factor_w;
  WORK_PARALLEL_FOR(work)
  for (int64_t image = 0; image < n; image++) {
    float *to = dx + image * h * w * c;
    memset(to, 0, (size_t)h * (size_t)w * (size_t)c * sizeof(float));
    for (int64_t at = 0; at < out_h * out_w; at++) {
      UpsampleTap v = upsample_tap(at / out_w, factor_h, h), u = upsample_tap(at % out_w, factor_w, w);
      float *corner[4] = {to + ((int64_t)v.low * w + u.low) * c, to + ((int64_t)v.low * w + u.high) * c,
                          to + ((int64_t)v.high * w + u.low) * c, to + ((int64_t)v.high * w + u.high) * c};
      float share[4] = {(1 - v.share) * (1 - u.share), (1 - v.share) * u.share, v.share * (1 - u.share),
                        v.share * u.share};
      for (int k = 0; k < 4; k++)
        for (int i = 0; i < c; i++)
          corner[k][i] += dy[(image * out_h * out_w + at) * c + i] * share[k];
    }
  }
}
#endif
