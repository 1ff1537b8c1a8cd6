/* Timing for the kernel benchmarks: medians of rounds, beside what the machine itself reaches and, where one
 * is installed, beside a peer, all in turn. */
#ifndef NETC_TESTS_BENCH_H
#define NETC_TESTS_BENCH_H
#include "../../runtime/kernels/conv2d.h"
#include "../../runtime/kernels/pages.h"
#include "../../runtime/kernels/vec.h"
#include "../../runtime/kernels/work.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_ROUNDS 64

typedef struct BenchOptions {
  int threads, images; /* images: 0 for each layer's own number */
  double budget;       /* seconds for each kernel of a layer */
  const char *only;    /* the one kernel to run, or NULL */
  int sets;            /* names of sets to run; 0: all */
  char **set;
} BenchOptions;

static inline bool bench_wants_set(const BenchOptions *o, const char *set) {
  for (int i = 0; i < o->sets; i++)
    if (strcmp(o->set[i], set) == 0)
      return true;
  return o->sets == 0;
}

static inline bool bench_wants_kernel(const BenchOptions *o, const char *kernel) {
  return !o->only || strcmp(o->only, kernel) == 0;
}

/* Each prints a line per layer and kernel of its sets. */
void bench_convolutions(const BenchOptions *options); /* bench_conv.c */
void bench_depthwise(const BenchOptions *options);    /* bench_depthwise.c */
void bench_dense(const BenchOptions *options);        /* bench_dense.c */
void bench_streams(const BenchOptions *options);      /* bench_streams.c */

extern int bench_rows;        /* printed so far */
extern clockid_t bench_clock; /* CLOCK_THREAD_CPUTIME_ID: one thread on a busy machine */

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

/* `count` floats in [-1, 1), 64-byte aligned. */
static float *bench_floats(size_t count) {
  float *p = aligned_alloc(64, (count * sizeof *p + 63) / 64 * 64 + 64);
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

/* A square convolution of square images, packed; `valid`: without padding, else Keras's same. */
static inline Conv2d bench_geometry(int size, int in_c, int out_c, int kernel, int stride, int dilation,
                                    int groups, bool valid) {
  int span = (kernel - 1) * dilation + 1;
  int out = valid ? (size - span) / stride + 1 : (size + stride - 1) / stride;
  int padding = valid ? 0 : (out - 1) * stride + span - size;
  padding = padding > 0 ? padding / 2 : 0;
  return (Conv2d){.in_h = size,
                  .in_w = size,
                  .in_c = in_c,
                  .out_h = out,
                  .out_w = out,
                  .out_c = out_c,
                  .kernel_h = kernel,
                  .kernel_w = kernel,
                  .stride_h = stride,
                  .stride_w = stride,
                  .pad_top = padding,
                  .pad_left = padding,
                  .dilation_h = dilation,
                  .dilation_w = dilation,
                  .groups = groups,
                  .in_ld = in_c,
                  .out_ld = out_c};
}

/* `scratch_floats` per thread; bench_work_end frees them. */
static inline Work bench_work(int threads, size_t scratch_floats) {
  Work work = {.threads = threads, .scratch_floats = (scratch_floats + 31) / 16 * 16};
  work.scratch = bench_floats(work.scratch_floats * (size_t)threads);
  return work;
}

static inline void bench_work_end(Work *work) {
  free(work->scratch);
  work->scratch = NULL;
}

/* What the processor reaches by itself: per second. */
typedef double BenchMachine(int threads);

/* The multiply-adds per second (as two operations each) that `threads` threads reach on registers alone, all
 * of which but a few are sums, as in the register tiles of the kernels: processors clock the lower the more
 * of themselves they use. */
static double bench_multiply_adds(int threads) {
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

/* Bytes per second that a loop reads which only adds up 256 MiB of memory, asking ahead. */
static double bench_reads(int threads) {
  enum { FLOATS = 1 << 26, BLOCK = 1 << 16, SUMS = 8 };
  static float *memory;
  volatile float sink = 0.0f;
  Work work = {.threads = threads};
  if (!memory)
    memory = bench_floats(FLOATS);
  double t = bench_now();
  WORK_PARALLEL_FOR(&work)
  for (int block = 0; block < FLOATS / BLOCK; block++) {
    const float *from = memory + (ptrdiff_t)block * BLOCK;
    Vec sum[SUMS];
    VEC_UNROLL
    for (int i = 0; i < SUMS; i++)
      sum[i] = vec_zero();
    for (int at = 0; at < BLOCK; at += SUMS * VEC_WIDTH) {
      VEC_UNROLL
      for (int i = 0; i < SUMS; i++) {
        VEC_ASK(from, at + i * VEC_WIDTH);
        sum[i] = vec_add(sum[i], vec_load(from + at + i * VEC_WIDTH));
      }
    }
    for (int i = 1; i < SUMS; i++)
      sum[0] = vec_add(sum[0], sum[i]);
    sink = vec_sum(sum[0]);
  }
  (void)sink;
  return (double)FLOATS * sizeof(float) / (bench_now() - t);
}

typedef struct BenchTask {
  void (*run)(void *context);
  void *context;
} BenchTask;

typedef struct BenchTime {
  double median, least; /* seconds of a call */
  double machine;       /* what `machine` was meanwhile, the median */
  double peer;          /* the median over rounds of the peer's time as a multiple of ours; 0 without one */
} BenchTime;

static inline double bench_call(const BenchTask *task) {
  double t = bench_now();
  task->run(task->context);
  return bench_now() - t;
}

/* Runs task, machine and peer (or NULL) in turn: at least 3 rounds after one to warm up, about `budget`
 * seconds in all. */
static BenchTime bench_run(const BenchTask *task, const BenchTask *peer, BenchMachine *machine, int threads,
                           double budget) {
  double times[BENCH_ROUNDS], peaks[BENCH_ROUNDS], peers[BENCH_ROUNDS], begin;
  int count = 0;
  bench_call(task);
  if (peer)
    bench_call(peer);
  begin = bench_now();
  for (; count < BENCH_ROUNDS && (count < 3 || bench_now() - begin < budget); count++) {
    times[count] = bench_call(task);
    peers[count] = peer ? bench_call(peer) / times[count] : 0;
    peaks[count] = machine(threads);
  }
  BenchTime time = {.median = bench_median(times, count),
                    .machine = bench_median(peaks, count),
                    .peer = bench_median(peers, count)};
  time.least = times[0];
  return time;
}

/* One line: operations by the direct count and bytes that must move, per second; either may be 0. */
static inline void bench_print(const char *set, const char *layer, const char *kernel, const BenchTime *time,
                               double operations, double bytes, double part) {
  printf("%-10s%-17s%-12s%9.3f ms", set, layer, kernel, time->median * 1e3);
  if (operations > 0)
    printf("%8.1f GFLOP/s", operations / time->median * 1e-9);
  if (bytes > 0)
    printf("%8.1f GB/s", bytes / time->median * 1e-9);
  printf("%6.0f %%", 100.0 * part / time->median / time->machine);
  if (time->peer > 0)
    printf("   oneDNN %5.2f", time->peer);
  printf("\n");
  fflush(stdout);
  bench_rows++;
}
#endif
