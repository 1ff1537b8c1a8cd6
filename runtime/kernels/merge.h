/* Merges of k values of one shape, broadcasting, and their gradients.  Plain loops that compilers vectorise;
 * they are bound by memory. */
#ifndef NETC_KERNELS_MERGE_H
#define NETC_KERNELS_MERGE_H
#include "vec.h"
#include "work.h"
#include <stdint.h>
#include <string.h>

enum { MERGE_BLOCK_FLOATS = 4096 }; /* one block of every input stays in the first-level cache */

typedef enum MergeKind { MERGE_ADD, MERGE_MULTIPLY, MERGE_MAXIMUM, MERGE_MINIMUM } MergeKind;

VEC_INLINE float merge_two(MergeKind kind, float a, float b) {
  switch (kind) {
  case MERGE_ADD:
    return a + b;
  case MERGE_MULTIPLY:
    return a * b;
  case MERGE_MAXIMUM:
    return b > a ? b : a;
  default:
    return b < a ? b : a;
  }
}

/* y = x[0], x[1], ... merged in this order, each [count], of which one block is done.  y may be x[0].  kind
 * is a constant where this is called. */
VEC_INLINE void merge_block(MergeKind kind, int64_t block, int64_t count, int k, const float *const *x,
                            float *y) {
  int64_t begin = block * MERGE_BLOCK_FLOATS,
          end = begin + MERGE_BLOCK_FLOATS < count ? begin + MERGE_BLOCK_FLOATS : count;
  for (int64_t i = begin; i < end; i++)
    y[i] = merge_two(kind, x[0][i], x[1][i]);
  for (int j = 2; j < k; j++)
    for (int64_t i = begin; i < end; i++)
      y[i] = merge_two(kind, y[i], x[j][i]);
}

static inline int64_t merge_blocks(int64_t count) {
  return (count + MERGE_BLOCK_FLOATS - 1) / MERGE_BLOCK_FLOATS;
}

/* y = x[0] + x[1] + ..., each [count], k at least 2.  So are the next three.  y may be x[0]. */
static void merge_add_fwd(int64_t count, int k, const float *const *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t block = 0; block < merge_blocks(count); block++)
    merge_block(MERGE_ADD, block, count, k, x, y);
}

static void merge_multiply_fwd(int64_t count, int k, const float *const *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t block = 0; block < merge_blocks(count); block++)
    merge_block(MERGE_MULTIPLY, block, count, k, x, y);
}

static void merge_maximum_fwd(int64_t count, int k, const float *const *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t block = 0; block < merge_blocks(count); block++)
    merge_block(MERGE_MAXIMUM, block, count, k, x, y);
}

static void merge_minimum_fwd(int64_t count, int k, const float *const *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t block = 0; block < merge_blocks(count); block++)
    merge_block(MERGE_MINIMUM, block, count, k, x, y);
}

/* y = (x[0] + x[1] + ...) / k */
static void merge_average_fwd(int64_t count, int k, const float *const *x, float *y, const Work *work) {
  merge_add_fwd(count, k, x, y, work);
  float share = 1.0f / (float)k;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++)
    y[i] *= share;
}

static void merge_subtract_fwd(int64_t count, int k, const float *const *x, float *y, const Work *work) {
  (void)work;
  (void)k;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++)
    y[i] = x[0][i] - x[1][i];
}

/* The gradient of a maximum or minimum by input `which`: all of dy goes to the first input that equals the
 * result. */
static void merge_extreme_bwd(int64_t count, int which, const float *const *x, const float *y,
                              const float *dy, float *dx, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++) {
    int first = 0;
    while (first < which && x[first][i] != y[i])
      first++;
    dx[i] = first == which && x[which][i] == y[i] ? dy[i] : 0;
  }
}

/* dx = dy * factor */
static void merge_scale(int64_t count, float factor, const float *dy, float *dx, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++)
    dx[i] = dy[i] * factor;
}

/* y [n, d0, d1, d2] from x [n, e0, e1, e2] where each e is d or 1. */
static void broadcast_fwd(int n, const int *d, const int *e, const float *x, float *y, const Work *work) {
  (void)work;
  int64_t s2 = e[2] > 1, s1 = e[1] > 1 ? e[2] : 0, s0 = e[0] > 1 ? (int64_t)e[1] * e[2] : 0;
  int64_t each = (int64_t)e[0] * e[1] * e[2];
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < (int64_t)n * d[0] * d[1]; row++) {
    int64_t j = row % d[1], i = row / d[1] % d[0], image = row / d[1] / d[0];
    const float *from = x + image * each + i * s0 + j * s1;
    float *to = y + row * d[2];
    for (int c = 0; c < d[2]; c++)
      to[c] = from[c * s2];
  }
}

/* The gradient of broadcast_fwd: dx [n, e0, e1, e2] sums dy [n, d0, d1, d2] over the axes where e is 1. */
static void broadcast_bwd(int n, const int *d, const int *e, const float *dy, float *dx, const Work *work) {
  (void)work;
  int64_t s2 = e[2] > 1, s1 = e[1] > 1 ? e[2] : 0, s0 = e[0] > 1 ? (int64_t)e[1] * e[2] : 0;
  int64_t each = (int64_t)e[0] * e[1] * e[2], whole = (int64_t)d[0] * d[1] * d[2];
  WORK_PARALLEL_FOR(work)
  for (int64_t image = 0; image < n; image++) {
    float *to = dx + image * each;
    memset(to, 0, (size_t)each * sizeof(float));
    for (int i = 0; i < d[0]; i++)
      for (int j = 0; j < d[1]; j++) {
        const float *from = dy + image * whole + ((int64_t)i * d[1] + j) * d[2];
        float *sum = to + i * s0 + j * s1;
        for (int c = 0; c < d[2]; c++)
          sum[c * s2] += from[c];
      }
  }
}
#endif
