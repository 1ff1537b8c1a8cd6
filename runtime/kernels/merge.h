/* Merges of k values of one shape, broadcasting, and their gradients.  Plain loops that compilers vectorise;
 * they are bound by memory. */
#ifndef NETC_KERNELS_MERGE_H
#define NETC_KERNELS_MERGE_H
#include "work.h"
#include <stdint.h>
#include <string.h>

enum { MERGE_BLOCK_FLOATS = 4096 }; /* one block of every input stays in the first-level cache */

/* y = x[0] + x[1] + ..., each [count].  y may be x[0]. */
static void merge_add_fwd(int64_t count, int k, const float *const *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t block = 0; block < (count + MERGE_BLOCK_FLOATS - 1) / MERGE_BLOCK_FLOATS; block++) {
    int64_t begin = block * MERGE_BLOCK_FLOATS,
            end = begin + MERGE_BLOCK_FLOATS < count ? begin + MERGE_BLOCK_FLOATS : count;
    for (int64_t i = begin; i < end; i++)
      y[i] = x[0][i] + x[1][i];
    for (int j = 2; j < k; j++)
      for (int64_t i = begin; i < end; i++)
        y[i] += x[j][i];
  }
}

/* y = (x[0] + x[1] + ...) / k */
static void merge_average_fwd(int64_t count, int k, const float *const *x, float *y, const Work *work) {
  merge_add_fwd(count, k, x, y, work);
  float share = 1.0f / (float)k;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++)
    y[i] *= share;
}

static void merge_multiply_fwd(int64_t count, int k, const float *const *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++) {
    float product = x[0][i];
    for (int j = 1; j < k; j++)
      product *= x[j][i];
    y[i] = product;
  }
}

/* dx = dy * (product of the k others) */
static void merge_multiply_bwd(int64_t count, int k, const float *const *others, const float *dy, float *dx,
                               const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++) {
    float product = dy[i];
    for (int j = 0; j < k; j++)
      product *= others[j][i];
    dx[i] = product;
  }
}

static void merge_subtract_fwd(int64_t count, int k, const float *const *x, float *y, const Work *work) {
  (void)work;
  (void)k;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++)
    y[i] = x[0][i] - x[1][i];
}

static void merge_maximum_fwd(int64_t count, int k, const float *const *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++) {
    float most = x[0][i];
    for (int j = 1; j < k; j++)
      most = x[j][i] > most ? x[j][i] : most;
    y[i] = most;
  }
}

static void merge_minimum_fwd(int64_t count, int k, const float *const *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++) {
    float least = x[0][i];
    for (int j = 1; j < k; j++)
      least = x[j][i] < least ? x[j][i] : least;
    y[i] = least;
  }
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
