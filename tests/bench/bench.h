/* Timing for the kernel benchmarks: medians of rounds, and the machine's own multiply-add rate to compare
 * with. */
#ifndef NETC_TESTS_BENCH_H
#define NETC_TESTS_BENCH_H
#include "../../runtime/kernels/pages.h"
#include "../../runtime/kernels/vec.h"
#include "../../runtime/kernels/work.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BENCH_ROUNDS 64

static clockid_t bench_clock = CLOCK_MONOTONIC; /* CLOCK_THREAD_CPUTIME_ID: one thread on a busy machine */

static inline double bench_now(void) {
  struct timespec t;
  clock_gettime(bench_clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int bench_compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static inline double bench_median(double *times, int count) {
  qsort(times, (size_t)count, sizeof *times, bench_compare);
  return times[count / 2];
}

/* The multiply-adds per second (as two operations each) that `threads` threads reach on registers alone, all
 * of which but a few are sums, as in the register tiles of the kernels: processors clock the lower the more
 * of themselves they use. */
static double bench_peak(int threads) {
  enum { CHAINS = VEC_REGISTERS - 4, STEPS = 100000 };
  volatile float sink = 0.0f;
  Work work = {.threads = threads};
  double t = bench_now();
  WORK_PARALLEL_FOR(&work)
  for (int thread = 0; thread < threads; thread++) {
    Vec sum[CHAINS], factor = vec_set(0.999f), one = vec_set(0.001f);
    VEC_UNROLL
    for (int i = 0; i < CHAINS; i++)
      sum[i] = vec_set((float)i);
    for (int step = 0; step < STEPS; step++) {
      VEC_UNROLL
      for (int i = 0; i < CHAINS; i++)
        sum[i] = vec_fma(sum[i], factor, one);
    }
    for (int i = 1; i < CHAINS; i++)
      sum[0] = vec_add(sum[0], sum[i]);
    sink = vec_sum(sum[0]);
  }
  (void)sink;
  return 2.0 * CHAINS * STEPS * VEC_WIDTH * threads / (bench_now() - t);
}

typedef struct BenchTime {
  double median, least; /* seconds of a call */
  double peak;          /* what bench_peak was meanwhile, the median */
} BenchTime;

/* Times body(context) and bench_peak in turn: at least 3 calls after one to warm up, about `budget` seconds
 * in all. */
static BenchTime bench_run(void (*body)(void *), void *context, int threads, double budget) {
  double times[BENCH_ROUNDS], peaks[BENCH_ROUNDS], begin;
  int count = 0;
  body(context);
  begin = bench_now();
  while (count < BENCH_ROUNDS && (count < 3 || bench_now() - begin < budget)) {
    double t = bench_now();
    body(context);
    times[count] = bench_now() - t;
    peaks[count++] = bench_peak(threads);
  }
  BenchTime time = {.median = bench_median(times, count), .peak = bench_median(peaks, count)};
  time.least = times[0];
  return time;
}

/* `count` floats in [-1, 1), 64-byte aligned. */
static float *bench_floats(size_t count) {
  float *p = aligned_alloc(64, (count * sizeof *p + 63) / 64 * 64);
  unsigned state = 1;
  if (!p) {
    fprintf(stderr, "out of memory\n");
    exit(1);
  }
  pages_prefer_large(p, count * sizeof *p);
  for (size_t i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    p[i] = (float)(state >> 8) * (1.0f / 8388608.0f) - 1.0f;
  }
  return p;
}
#endif
