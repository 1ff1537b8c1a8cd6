/* The memory plan: every value of a function gets its place in one arena before the program runs.
 *
 * The arena has three pools, so that one plan serves every batch size: in the batch pool offsets and sizes
 * count floats per image (place = n * offset), in the micro pool the same for the images at work, in
 * the fixed pool plain floats.  Values whose lives overlap never overlap in memory, but for those that
 * storage.c lets share it.
 *
 * A run of micro-batches goes through its nodes many times.  What lives in the run alone needs room for the
 * images at work; anything else that is alive in it is so from its first node to its last.
 *
 * Packing: greedy first fit over several orders (largest first, longest-lived first, ...), the best kept;
 * where it is above the lower bound (the most floats alive at any node), what sticks out at the top is moved
 * forward in the order and packed again.  The 2-dimensional strip packing behind it is NP-hard; on real
 * networks the bound is reached. */
#include "passes.h"
#include "storage.h"
#include <stdlib.h>
#include <string.h>

typedef struct Buffer {
  Value *value; /* the root whose memory this is */
  int64_t floats, offset;
  int begin, end; /* node positions, both inclusive */
} Buffer;

enum { ALIGN_FLOATS = 16, REPACK_ROUNDS = 200, REPACK_WORK = 20000000 };

static int64_t padded(int64_t floats) {
  return (floats + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
}

/* The runs of micro-batches: by position the first and the last node of the one that a node stands in; where
 * it stands in none, itself. */
typedef struct Runs {
  int *first, *last;
} Runs;

static Runs find_runs(const Function *function, int positions) {
  size_t size = (size_t)positions + 1;
  Runs runs = {malloc(sizeof(int) * size), malloc(sizeof(int) * size)};
  runs.first[positions] = runs.last[positions] = positions;
  for (const Node *node = function->first; node; node = node->next) {
    bool goes_on = node->microbatch && node->prev && node->prev->microbatch;
    runs.first[node->position] = goes_on ? runs.first[node->position - 1] : node->position;
  }
  for (const Node *node = function->last; node; node = node->prev) {
    bool goes_on = node->microbatch && node->next && node->next->microbatch;
    runs.last[node->position] = goes_on ? runs.last[node->position + 1] : node->position;
  }
  return runs;
}

typedef enum Pool { POOL_BATCH, POOL_MICRO, POOL_FIXED, POOL_COUNT } Pool;

/* The roots that lie in a pool, with the nodes between which they do. */
static int collect(Function *function, Pool pool, const Runs *runs, const int *born, const int *last,
                   Buffer *buffers) {
  int count = 0;
  for (Node *node = function->first; node; node = node->next)
    for (int i = 0; i < node->out_count; i++) {
      Value *value = node->out[i];
      if (value->storage != value || storage_is_outside(function, value))
        continue;
      int begin = born[value->id], end = last[value->id] < node->position ? node->position : last[value->id];
      value->micro = value->batched && node->microbatch && runs->first[begin] == runs->first[end];
      if (!value->micro) {
        begin = runs->first[begin];
        end = runs->last[end];
      }
      if (pool == (!value->batched ? POOL_FIXED : value->micro ? POOL_MICRO : POOL_BATCH))
        buffers[count++] = (Buffer){value, padded(value_memory_floats(value)), 0, begin, end};
    }
  return count;
}

static bool overlap_in_time(const Buffer *a, const Buffer *b) {
  return a->begin <= b->end && b->begin <= a->end;
}

static int by_offset(const void *a, const void *b) {
  const Buffer *x = *(Buffer *const *)a, *y = *(Buffer *const *)b;
  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Places buffers in the given order, each at the lowest place that is free for its whole life. */
static int64_t place(Buffer **order, int count) {
  int64_t top = 0;
  Buffer **busy = malloc(sizeof *busy * (size_t)(count + 1));
  for (int i = 0; i < count; i++) {
    int conflicts = 0;
    for (int k = 0; k < i; k++)
      if (overlap_in_time(order[i], order[k]))
        busy[conflicts++] = order[k];
    qsort(busy, (size_t)conflicts, sizeof *busy, by_offset);
    int64_t at = 0;
    for (int k = 0; k < conflicts; k++) {
      if (busy[k]->offset - at >= order[i]->floats)
        break;
      if (busy[k]->offset + busy[k]->floats > at)
        at = busy[k]->offset + busy[k]->floats;
    }
    order[i]->offset = at;
    if (at + order[i]->floats > top)
      top = at + order[i]->floats;
  }
  free(busy);
  return top;
}

static int64_t span_of(const Buffer *buffer) {
  return buffer->end - buffer->begin + 1;
}

static int larger_first(const void *a, const void *b) {
  const Buffer *x = *(Buffer *const *)a, *y = *(Buffer *const *)b;
  if (x->floats != y->floats)
    return x->floats < y->floats ? 1 : -1;
  return x->begin - y->begin;
}

static int longer_first(const void *a, const void *b) {
  const Buffer *x = *(Buffer *const *)a, *y = *(Buffer *const *)b;
  if (span_of(x) != span_of(y))
    return span_of(x) < span_of(y) ? 1 : -1;
  return larger_first(a, b);
}

static int area_first(const void *a, const void *b) {
  const Buffer *x = *(Buffer *const *)a, *y = *(Buffer *const *)b;
  int64_t p = x->floats * span_of(x), q = y->floats * span_of(y);
  return p != q ? (p < q ? 1 : -1) : larger_first(a, b);
}

static int earlier_first(const void *a, const void *b) {
  const Buffer *x = *(Buffer *const *)a, *y = *(Buffer *const *)b;
  return x->begin != y->begin ? x->begin - y->begin : larger_first(a, b);
}

static void keep_offsets(const Buffer *buffers, int count) {
  for (int i = 0; i < count; i++)
    buffers[i].value->offset = buffers[i].offset;
}

/* Moves what reaches the top forward in the order and packs again. */
static int64_t repack(Buffer *buffers, int count, Buffer **order, int64_t best, int64_t bound) {
  Buffer **trial = malloc(sizeof *trial * (size_t)(count + 1));
  uint32_t draw = 1;
  int64_t top = place(order, count);
  int64_t rounds = REPACK_WORK / ((int64_t)count * count + 1), enough = bound + bound / 200;
  rounds = rounds < REPACK_ROUNDS ? rounds : REPACK_ROUNDS;
  for (int64_t round = 0; round < rounds && best > enough; round++) {
    memcpy(trial, order, sizeof *trial * (size_t)count);
    for (int i = 0; i < count; i++) {
      draw = draw * 1664525u + 1013904223u; /* Numerical Recipes' generator: the same plan every time */
      if (trial[i]->offset + trial[i]->floats != top && draw >> 24)
        continue;
      Buffer *moved = trial[i];
      int to = (int)((draw >> 8) % (uint32_t)(i + 1));
      memmove(trial + to + 1, trial + to, sizeof *trial * (size_t)(i - to));
      trial[to] = moved;
    }
    int64_t other = place(trial, count);
    if (other > top) {
      place(order, count);
      continue;
    }
    top = other;
    memcpy(order, trial, sizeof *trial * (size_t)count);
    if (top < best) {
      best = top;
      keep_offsets(buffers, count);
    }
  }
  free(trial);
  return best;
}

static int64_t pack(Buffer *buffers, int count, int64_t bound) {
  int (*const orders[])(const void *, const void *) = {larger_first, longer_first, area_first, earlier_first};
  Buffer **order = malloc(sizeof *order * (size_t)(count + 1)),
         **best_order = malloc(sizeof *order * (size_t)(count + 1));
  int64_t best = -1;
  for (size_t o = 0; o < sizeof orders / sizeof *orders && best != bound; o++) {
    for (int i = 0; i < count; i++)
      order[i] = &buffers[i];
    qsort(order, (size_t)count, sizeof *order, orders[o]);
    int64_t top = place(order, count);
    if (best >= 0 && top >= best)
      continue;
    best = top;
    memcpy(best_order, order, sizeof *order * (size_t)count);
    keep_offsets(buffers, count);
  }
  if (best > bound)
    best = repack(buffers, count, best_order, best, bound);
  free(order);
  free(best_order);
  return best < 0 ? 0 : best;
}

/* The most floats alive at any node. */
static int64_t most_alive(const Buffer *buffers, int count, int positions) {
  int64_t *change = calloc((size_t)positions + 3, sizeof *change), live = 0, most = 0;
  for (int i = 0; i < count; i++) {
    change[buffers[i].begin] += buffers[i].floats;
    change[buffers[i].end + 1] -= buffers[i].floats;
  }
  for (int p = 0; p <= positions; p++) {
    live += change[p];
    most = live > most ? live : most;
  }
  free(change);
  return most;
}

static int64_t side_by_side(Buffer *buffers, int count) {
  int64_t top = 0;
  for (int i = 0; i < count; i++) {
    buffers[i].value->offset = top;
    top += buffers[i].floats;
  }
  return top;
}

typedef enum PlanMode { PLAN_SIDE_BY_SIDE, PLAN_BOUND, PLAN_PACK } PlanMode;

static void plan_values(Function *function, PlanMode mode) {
  ir_number(function);
  int positions = function->last ? function->last->position + 1 : 0;
  int *last = malloc(sizeof *last * ((size_t)function->value_count + 1));
  int *born = malloc(sizeof *born * ((size_t)function->value_count + 1));
  storage_share(function, mode != PLAN_SIDE_BY_SIDE, born, last);
  Buffer *buffers = calloc((size_t)function->value_count + 1, sizeof *buffers);
  Runs runs = find_runs(function, positions);
  int64_t *floats[POOL_COUNT] = {&function->batch_floats, &function->micro_floats, &function->fixed_floats};
  int64_t *bounds[POOL_COUNT] = {&function->batch_bound, &function->micro_bound, &function->fixed_bound};
  for (int pool = 0; pool < POOL_COUNT; pool++) {
    int count = collect(function, (Pool)pool, &runs, born, last, buffers);
    int64_t bound = most_alive(buffers, count, positions);
    *bounds[pool] = bound;
    *floats[pool] = mode == PLAN_BOUND  ? bound
                    : mode == PLAN_PACK ? pack(buffers, count, bound)
                                        : side_by_side(buffers, count);
  }
  free(runs.first);
  free(runs.last);
  free(buffers);
  free(born);
  free(last);
}

static void plan_scratch(Function *function) {
  function->scratch_floats = function->scratch_batch_floats = 0;
  for (Node *node = function->first; node; node = node->next) {
    if (!node->op->scratch_floats)
      continue;
    int64_t at_16 = node->op->scratch_floats(node, 16), at_32 = node->op->scratch_floats(node, 32);
    int64_t per_image = (at_32 - at_16 + 15) / 16,
            fixed = padded(at_16 - 16 * per_image > 0 ? at_16 - 16 * per_image : at_16);
    function->scratch_floats = fixed > function->scratch_floats ? fixed : function->scratch_floats;
    function->scratch_batch_floats =
        per_image > function->scratch_batch_floats ? per_image : function->scratch_batch_floats;
  }
}

void plan_bounds(Function *function) {
  plan_values(function, PLAN_BOUND);
}

void plan_function(Function *function) {
  plan_values(function, PLAN_PACK);
  plan_scratch(function);
}

/* Constants live as long as the weights: side by side in a block of their own. */
void plan_constants(Module *module) {
  Function *prepare = module->prepare;
  module->constant_floats = 0;
  for (int i = 0; i < prepare->result_count; i++) {
    prepare->results[i]->offset = module->constant_floats;
    module->constant_floats += padded(value_floats(prepare->results[i]));
  }
}

void pass_plan(Module *module) {
  for (int f = 0; f < module->function_count; f++)
    plan_function(module->functions[f]);
  plan_constants(module);
}

void plan_without_reuse(Module *module) {
  for (int f = 0; f < module->function_count; f++) {
    plan_values(module->functions[f], PLAN_SIDE_BY_SIDE);
    plan_scratch(module->functions[f]);
  }
  plan_constants(module);
}
