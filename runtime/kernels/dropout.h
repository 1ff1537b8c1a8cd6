/* Layers that are random while training.  Draws come from a counter-based generator: value i of a layer in
 * step `draw` is a pure function of (seed, draw, layer, i), so nothing is stored for the gradient and threads
 * do not matter. */
#ifndef NETC_KERNELS_DROPOUT_H
#define NETC_KERNELS_DROPOUT_H
#include "work.h"
#include <math.h>
#include <stdint.h>

/* Mixes 64 bits so that every input bit reaches every output bit (the finalizer of Steele, Lea and Flood's
 * SplitMix). */
static inline uint64_t dropout_mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static inline uint64_t dropout_key(uint64_t seed, int64_t draw, int layer) {
  uint64_t z = dropout_mix(seed + 0x9e3779b97f4a7c15u);
  z = dropout_mix(z ^ ((uint64_t)draw + 0x9e3779b97f4a7c15u));
  return dropout_mix(z ^ ((uint64_t)(uint32_t)layer * 0xd1b54a32d192ed03u + 1));
}

/* 64 random bits for the pair of values 2 i and 2 i + 1. */
static inline uint64_t dropout_bits(uint64_t key, int64_t pair) {
  return dropout_mix(key + (uint64_t)pair * 0x9e3779b97f4a7c15u);
}

enum { DROPOUT_RUN = 256 }; /* draws made at a time, an even number */

/* Draws of the values from `first` (even) on: DROPOUT_RUN of them. */
static inline void dropout_draws(uint64_t key, int64_t first, uint32_t *draws) {
  for (int i = 0; i < DROPOUT_RUN / 2; i++) {
    uint64_t bits = dropout_bits(key, first / 2 + i);
    draws[2 * i] = (uint32_t)bits;
    draws[2 * i + 1] = (uint32_t)(bits >> 32);
  }
}

/* y = x / (1 - rate) where kept, else 0, [count]; each value is dropped with probability `rate` on its own.
 * In place allowed.  Its gradient is the same map: dx from dy. */
static void dropout_fwd(int64_t count, float rate, uint64_t seed, int64_t draw, int layer, const float *x,
                        float *y, const Work *work) {
  (void)work;
  uint64_t key = dropout_key(seed, draw, layer);
  double limit = (double)rate * 4294967296.0;
  uint32_t drop_below = limit >= 4294967295.0 ? UINT32_MAX : (uint32_t)limit;
  float scale = rate < 1 ? 1 / (1 - rate) : 0;
  WORK_PARALLEL_FOR(work)
  for (int64_t run = 0; run < (count + DROPOUT_RUN - 1) / DROPOUT_RUN; run++) {
    uint32_t draws[DROPOUT_RUN];
    int64_t first = run * DROPOUT_RUN, left = count - first < DROPOUT_RUN ? count - first : DROPOUT_RUN;
    const float *from = x + first;
    float *to = y + first;
    dropout_draws(key, first, draws);
    for (int64_t i = 0; i < left; i++) {
      float kept = from[i] * scale;
      to[i] = draws[i] >= drop_below ? kept : 0;
    }
  }
}

static void dropout_bwd(int64_t count, float rate, uint64_t seed, int64_t draw, int layer, const float *dy,
                        float *dx, const Work *work) {
  dropout_fwd(count, rate, seed, draw, layer, dy, dx, work);
}

/* SpatialDropout2D: whole channels of x [n, pixels, channels] are dropped. */
static void spatial_dropout_fwd(int n, int64_t pixels, int channels, float rate, uint64_t seed, int64_t draw,
                                int layer, const float *x, float *y, const Work *work) {
  (void)work;
  uint64_t key = dropout_key(seed, draw, layer);
  double limit = (double)rate * 4294967296.0;
  uint32_t drop_below = limit >= 4294967295.0 ? UINT32_MAX : (uint32_t)limit;
  float scale = rate < 1 ? 1 / (1 - rate) : 0;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < n * pixels; row++)
    for (int c = 0; c < channels; c++) {
      uint64_t bits = dropout_bits(key, row / pixels * channels + c);
      y[row * channels + c] = (uint32_t)bits >= drop_below ? x[row * channels + c] * scale : 0;
    }
}

/* The two standard normal values of pair `pair`, by Box and Muller. */
static inline void dropout_normal_pair(uint64_t key, int64_t pair, float *first, float *second) {
  uint64_t bits = dropout_bits(key, pair);
  double u = ((double)(uint32_t)bits + 0.5) * (1.0 / 4294967296.0),
         v = (double)(bits >> 32) * (1.0 / 4294967296.0);
  double radius = sqrt(-2 * log(u)), angle = 6.28318530717958648 * v;
  *first = (float)(radius * cos(angle));
  *second = (float)(radius * sin(angle));
}

/* y = x + deviation * normal, [count]; its gradient is the identity.  In place allowed. */
static void gaussian_noise_fwd(int64_t count, float deviation, uint64_t seed, int64_t draw, int layer,
                               const float *x, float *y, const Work *work) {
  (void)work;
  uint64_t key = dropout_key(seed, draw, layer);
  WORK_PARALLEL_FOR(work)
  for (int64_t pair = 0; pair < (count + 1) / 2; pair++) {
    float first, second;
    dropout_normal_pair(key, pair, &first, &second);
    y[2 * pair] = x[2 * pair] + deviation * first;
    if (2 * pair + 1 < count)
      y[2 * pair + 1] = x[2 * pair + 1] + deviation * second;
  }
}

/* GaussianDropout: y = x * (1 + sqrt(rate / (1 - rate)) * normal); its gradient is the same map.  In place
 * allowed. */
static void gaussian_dropout_fwd(int64_t count, float rate, uint64_t seed, int64_t draw, int layer,
                                 const float *x, float *y, const Work *work) {
  (void)work;
  uint64_t key = dropout_key(seed, draw, layer);
  float deviation = sqrtf(rate / (1 - rate));
  WORK_PARALLEL_FOR(work)
  for (int64_t pair = 0; pair < (count + 1) / 2; pair++) {
    float first, second;
    dropout_normal_pair(key, pair, &first, &second);
    y[2 * pair] = x[2 * pair] * (1 + deviation * first);
    if (2 * pair + 1 < count)
      y[2 * pair + 1] = x[2 * pair + 1] * (1 + deviation * second);
  }
}
#endif
