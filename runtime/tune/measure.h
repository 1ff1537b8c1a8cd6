/* The program that `netc tune` compiles and runs: times every candidate algorithm of every distinct piece of
 * convolution work of a network.
 *
 * Rounds over all pieces, all candidates of a piece in each, so that what slows the machine down for a while
 * slows all of them.  Before each call as many bytes are read as the rest of the network goes through between
 * two calls of a layer (no more than push everything out of the caches), then the input is written, as the
 * layer before would: weights are as cold and inputs as warm as they are in a run of the network.
 *
 * Writes to stdout, for netc to read: `progress PERCENT` from time to time, at the end for each candidate and
 * number of images that was timed `time CANDIDATE INDEX SECONDS`, and `rounds N`. */
#ifndef NETC_TUNE_MEASURE_H
#define NETC_TUNE_MEASURE_H
#include "../kernels/conv2d.h"
#include "../kernels/isa.h"
#include "../kernels/pages.h"
#include "../kernels/pool2d.h"
#include "../kernels/work.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TUNE_IMAGES = 3, TUNE_ROUNDS = 25, TUNE_BLOCK = 1 << 14 };

/* One algorithm for one kind of work: the kernel that is not NULL says which kind. */
typedef struct TuneKernel {
  void (*forward)(const Conv2d *g, int n, const float *x, const float *w, const Epilogue *e, float *y,
                  const Work *work);
  void (*input_gradient)(const Conv2d *g, int n, const float *dy, const float *w, const unsigned char *places,
                         const Epilogue *e, float *dx, const Work *work);
  void (*weight_gradient)(const Conv2d *g, int n, const float *x, const float *dy,
                          const unsigned char *places, float *dw, float *workspace, const Work *work);
  bool through; /* gradients take a pooling on the way (`places`); else that is NULL */
  void (*pack)(const Conv2d *g, const float *w, float *packed, const Work *work); /* NULL: takes w itself */
} TuneKernel;

typedef struct TuneCandidate {
  int kernel;     /* in TunePlan.kernels */
  bool fused;     /* the kernel does the pooling */
  bool may_leave; /* false: timed in every round */
} TuneCandidate;

typedef struct TunePiece {
  Conv2d conv;
  Act act; /* of the convolution, or the clamp whose gradient is done on the way */
  bool residual, pool;
  bool reads_pool;  /* dy is to be made of that of 2 x 2 maxima, or the kernel reads those */
  bool masks;       /* by what the clamp made */
  bool packs;       /* weights change between calls: packing is part of the work */
  int first, count; /* candidates */
  int images[TUNE_IMAGES], image_count;
  long long rest_bytes[TUNE_IMAGES]; /* that the rest of the network goes through at that many images */
} TunePiece;

/* All of it; buffers in floats, each the largest that a piece wants. */
typedef struct TunePlan {
  const TuneKernel *kernels;
  const TuneCandidate *candidates;
  const TunePiece *pieces;
  int candidate_count, piece_count, isa;
  long long input, second, output, apart, weights, packed, workspace, scratch, flush;
  void (*pool)(const Pool2d *g, int n, const float *x, float *y, const Work *work);
  void (*unpool)(const Pool2d *g, int n, const unsigned char *places, const float *dy, float *dx,
                 const Work *work);
} TunePlan;

typedef struct TuneTimes {
  float seconds[TUNE_IMAGES][TUNE_ROUNDS];
  int count;
  bool out;
} TuneTimes;

typedef struct TuneRun {
  const TunePlan *plan;
  Work work;
  float *input, *second, *output, *apart, *weights, *packed, *workspace, *bias, *flush, *block;
  unsigned char *places;
  TuneTimes *times;
  double begin, budget;
  int shown;
} TuneRun;

static double tune_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* `count` numbers in [-1, 1) on a cache line; pages are there when it returns. */
static float *tune_floats(long long count) {
  size_t bytes = ((size_t)count * sizeof(float) + 127) / 64 * 64;
  float *p = aligned_alloc(64, bytes);
  uint32_t state = 1;
  if (!p) {
    fprintf(stderr, "out of memory\n");
    exit(1);
  }
  pages_prefer_large(p, bytes);
  for (size_t i = 0; i < bytes / sizeof *p; i++) {
    state = state * 1664525u + 1013904223u;
    p[i] = (float)(state >> 8) * (1.0f / 8388608.0f) - 1.0f;
  }
  return p;
}

static void tune_copy_block(const TuneRun *run, float *to, long long at, long long end) {
  memcpy(to + at, run->block, (size_t)(end - at < TUNE_BLOCK ? end - at : TUNE_BLOCK) * sizeof *to);
}

/* Writes `count` floats, as the layer before would, by all threads. */
static void tune_fill(const TuneRun *run, float *to, long long count) {
  WORK_PARALLEL_CALLS(&run->work)
  for (long long at = 0; at < count; at += TUNE_BLOCK)
    tune_copy_block(run, to, at, count);
}

static float tune_read_block(const float *from, long long at, long long end) {
  float sum = 0;
  for (end = end - at < TUNE_BLOCK ? end : at + TUNE_BLOCK; at < end; at += 16) /* a number per cache line */
    sum += from[at];
  return sum;
}

static void tune_sink(const float *from, long long at, long long end) {
  volatile float sink = tune_read_block(from, at, end);
  (void)sink;
}

/* Takes caches with `bytes` of something else. */
static void tune_push_out(const TuneRun *run, long long bytes) {
  long long count = bytes / 4 < run->plan->flush ? bytes / 4 : run->plan->flush;
  WORK_PARALLEL_CALLS(&run->work)
  for (long long at = 0; at < count; at += TUNE_BLOCK)
    tune_sink(run->flush, at, count);
}

/* ---- one call ---- */

static void tune_prepare(TuneRun *run, const TunePiece *piece, const TuneKernel *kernel, int index) {
  const Conv2d *g = &piece->conv;
  long long n = piece->images[index];
  long long x = (long long)g->in_h * g->in_w * g->in_c, y = (long long)g->out_h * g->out_w;
  y = g->out_c * (piece->reads_pool ? (long long)(g->out_h / 2) * (g->out_w / 2) : y);
  tune_push_out(run, piece->rest_bytes[index]);
  tune_fill(run, run->input, n * (kernel->forward ? x : y));
}

static Pool2d tune_pool(const Conv2d *g) {
  return (Pool2d){.in_h = g->out_h,
                  .in_w = g->out_w,
                  .channels = g->out_c,
                  .out_h = g->out_h / 2,
                  .out_w = g->out_w / 2,
                  .pool_h = 2,
                  .pool_w = 2,
                  .stride_h = 2,
                  .stride_w = 2,
                  .in_ld = g->out_c,
                  .out_ld = g->out_c};
}

static void tune_forward(TuneRun *run, const TunePiece *piece, const TuneCandidate *candidate, int n,
                         const float *weights) {
  const Pool2d pool = tune_pool(&piece->conv);
  Epilogue e = {.bias = run->bias,
                .residual = piece->residual ? run->second : NULL,
                .act = piece->act,
                .max_pool = candidate->fused};
  run->plan->kernels[candidate->kernel].forward(&piece->conv, n, run->input, weights, &e, run->output,
                                                &run->work);
  if (piece->pool && !candidate->fused)
    run->plan->pool(&pool, n, run->output, run->apart, &run->work);
}

static void tune_gradient(TuneRun *run, const TunePiece *piece, const TuneKernel *kernel, int n,
                          const float *weights) {
  const Conv2d *g = &piece->conv;
  const Pool2d pool = tune_pool(g);
  const unsigned char *places = piece->reads_pool ? run->places : NULL;
  const float *dy = run->input;
  Epilogue e = {.residual = piece->residual ? run->output : NULL,
                .mask = piece->masks ? run->second : NULL,
                .act = piece->act};
  if (places && !kernel->through) {
    run->plan->unpool(&pool, n, places, dy, run->apart, &run->work);
    dy = run->apart;
    places = NULL;
  }
  if (kernel->weight_gradient)
    kernel->weight_gradient(g, n, run->second, dy, places, run->output, run->workspace, &run->work);
  else
    kernel->input_gradient(g, n, dy, weights, places, &e, run->output, &run->work);
}

static void tune_call(TuneRun *run, const TunePiece *piece, const TuneCandidate *candidate, int n) {
  const TuneKernel *kernel = &run->plan->kernels[candidate->kernel];
  if (kernel->pack && piece->packs)
    kernel->pack(&piece->conv, run->weights, run->packed, &run->work);
  const float *weights = kernel->pack ? run->packed : run->weights;
  if (kernel->forward)
    tune_forward(run, piece, candidate, n, weights);
  else
    tune_gradient(run, piece, kernel, n, weights);
}

static void tune_progress(TuneRun *run, double part) {
  int percent = (int)(100 * part);
  if (percent > run->shown) {
    printf("progress %d\n", run->shown = percent < 99 ? percent : 99);
    fflush(stdout);
  }
}

static void tune_candidate(TuneRun *run, const TunePiece *piece, int c) {
  const TuneCandidate *candidate = &run->plan->candidates[c];
  const TuneKernel *kernel = &run->plan->kernels[candidate->kernel];
  TuneTimes *times = &run->times[c];
  if (times->out || times->count == TUNE_ROUNDS)
    return;
  if (kernel->pack && !piece->packs)
    kernel->pack(&piece->conv, run->weights, run->packed, &run->work);
  for (int i = 0; i < piece->image_count; i++) {
    tune_prepare(run, piece, kernel, i);
    double t = tune_now();
    tune_call(run, piece, candidate, piece->images[i]);
    times->seconds[i][times->count] = (float)(tune_now() - t);
  }
  times->count++;
}

/* ---- rounds ---- */

static int tune_compare(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* What one call in eight does not exceed: interruptions only ever make a call longer.  The first round is
 * left out where there are others: it meets code and pages for the first time. */
static float tune_typical(const TuneTimes *times, int index) {
  float sorted[TUNE_ROUNDS];
  int skip = times->count > 2, count = times->count - skip;
  memcpy(sorted, times->seconds[index] + skip, (size_t)count * sizeof *sorted);
  qsort(sorted, (size_t)count, sizeof *sorted, tune_compare);
  return sorted[count / 8];
}

/* Candidates that are far from the best of their piece at every number of images leave: time is for the
 * others. */
static void tune_drop(TuneRun *run, const TunePiece *piece, float slack) {
  float best[TUNE_IMAGES];
  for (int i = 0; i < piece->image_count; i++) {
    best[i] = 1e30f;
    for (int c = piece->first; c < piece->first + piece->count; c++) {
      float t = run->times[c].count ? tune_typical(&run->times[c], i) : 1e30f;
      best[i] = t < best[i] ? t : best[i];
    }
  }
  for (int c = piece->first; c < piece->first + piece->count; c++) {
    bool near = !run->times[c].count || !run->plan->candidates[c].may_leave;
    for (int i = 0; i < piece->image_count && !near; i++)
      near = tune_typical(&run->times[c], i) < slack * best[i];
    run->times[c].out = run->times[c].out || !near;
  }
}

static int tune_rounds(TuneRun *run) {
  for (int round = 0; round < TUNE_ROUNDS; round++) {
    for (int p = 0; p < run->plan->piece_count; p++) {
      const TunePiece *piece = &run->plan->pieces[p];
      if (piece->count == 1 && round > 11) /* nothing to decide, it only counts in the sum */
        continue;
      for (int c = piece->first; c < piece->first + piece->count; c++)
        tune_candidate(run, piece, c);
      tune_drop(run, piece, round < 2 ? 1.5f : round < 5 ? 1.2f : 1.1f);
      double part = (tune_now() - run->begin) / run->budget;
      tune_progress(run, part);
      if (part >= 1 && round) /* all pieces are timed once, however long it takes */
        return round;
    }
    tune_progress(run, (round + 1.0) / TUNE_ROUNDS);
    if (tune_now() - run->begin > run->budget)
      return round + 1;
  }
  return TUNE_ROUNDS;
}

/* PROGRAM THREADS SECONDS */
static int tune_main(const TunePlan *plan, int argc, char **argv) {
  TuneRun run = {.plan = plan, .begin = tune_now()};
  if (argc != 3 || !isa_here(plan->isa)) {
    fprintf(stderr, "this processor does not have the instruction set %s\n", isa_name(plan->isa));
    return 1;
  }
  run.work.threads = atoi(argv[1]);
  run.budget = atof(argv[2]);
  run.work.scratch_floats = (size_t)(plan->scratch + 31) / 16 * 16;
  run.work.scratch = tune_floats((long long)run.work.scratch_floats * run.work.threads);
  run.input = tune_floats(plan->input);
  run.second = tune_floats(plan->second);
  run.output = tune_floats(plan->output);
  run.apart = tune_floats(plan->apart);
  run.places = calloc((size_t)plan->apart / 4 + 64, 1);
  run.weights = tune_floats(plan->weights);
  run.packed = tune_floats(plan->packed);
  run.workspace = tune_floats(plan->workspace);
  run.flush = tune_floats(plan->flush);
  run.block = tune_floats(TUNE_BLOCK);
  run.bias = run.weights;
  run.times = calloc((size_t)plan->candidate_count + 1, sizeof *run.times);
  if (!run.times || !run.places) {
    fprintf(stderr, "out of memory\n");
    return 1;
  }
  int rounds = tune_rounds(&run);
  for (int p = 0; p < plan->piece_count; p++)
    for (int c = plan->pieces[p].first; c < plan->pieces[p].first + plan->pieces[p].count; c++)
      for (int i = 0; i < plan->pieces[p].image_count && run.times[c].count; i++)
        printf("time %d %d %.9f\n", c, i, (double)tune_typical(&run.times[c], i));
  printf("rounds %d\n", rounds);
  return fflush(stdout) != 0;
}
#endif
