/* The memory plan: every value of a function gets its place in one arena before the program runs.
 *
 * The arena has three pools, so that one plan serves every batch size: in the batch pool offsets and sizes
 * count floats per image (place = n * offset), in the micro pool the same for the images of a micro-batch, in
 * the fixed pool plain floats.  Values whose lives overlap never overlap in memory; a view lies where its
 * source lies, an in-place result where an input dies, a branch that is concatenated in its channels of the
 * concatenation; and pixels that would meet in the same sets of a cache are set apart.
 *
 * A run of micro-batches goes through its nodes many times.  What lives in the run alone needs room for the
 * images at work; anything else that is alive in it is so from its first node to its last.
 *
 * Packing: greedy first fit over several orders (largest first, longest-lived first, ...), the best kept;
 * where it is above the lower bound (the most floats alive at any node), what sticks out at the top is moved
 * forward in the order and packed again.  The 2-dimensional strip packing behind it is NP-hard; on real
 * networks the bound is reached. */
#include "passes.h"
#include "../kernel_sizes.h"
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

static Value *root_of(Value *value) {
  while (value->storage != value)
    value = value->storage;
  return value;
}

static bool is_argument(const Value *value) {
  return value->kind != VALUE_TEMP;
}

/* Values that live outside the arena: arguments, and what the caller gives memory for. */
static bool outside(const Function *function, const Value *root) {
  if (is_argument(root))
    return true;
  if (function->kind == FUNCTION_STEP)
    return false;
  for (int i = 0; i < function->result_count; i++)
    if (root_of(function->results[i]) == root)
      return true;
  return false;
}

/* last[id]: the position of the last node that reads or makes a value; `positions` for results. */
static void find_last_uses(const Function *function, int positions, int *last) {
  for (int i = 0; i < function->value_count; i++)
    last[i] = -1;
  for (const Node *node = function->first; node; node = node->next) {
    for (int i = 0; i < node->in_count; i++)
      last[node->in[i]->id] = node->position;
    for (int i = 0; i < node->out_count; i++)
      last[node->out[i]->id] = node->position;
  }
  for (int i = 0; i < function->result_count; i++)
    last[function->results[i]->id] = positions;
}

/* `value` takes the memory of `source`, which lives as long as both. */
static void share(Value *value, Value *source, int *last) {
  Value *root = root_of(source);
  value->storage = source;
  if (last[value->id] > last[root->id])
    last[root->id] = last[value->id];
}

/* ---- concatenations: branches write straight into their run of channels ---- */

/* Operators that read input 0 with any distance between pixels, and write so. */
static bool takes_rows(const Node *node) {
  return node_is(node, OP_conv2d) || node_is(node, OP_depthwise_conv2d) ||
         node_is(node, OP_depthwise_pointwise) || node_is(node, OP_maxpool) || node_is(node, OP_avgpool) ||
         node_is(node, OP_concat);
}

static bool of_images(const Node *concat) {
  return node_is(concat, OP_concat) && concat->out[0]->shape.rank == 3 && concat->attr.ints[0] == 2;
}

/* Whether input k of a concatenation may be written where the concatenation stands. */
static bool may_slice(const Function *function, const Node *concat, int k) {
  const Value *value = concat->in[k];
  if (value->kind != VALUE_TEMP || value->storage != value || !value->batched || !takes_rows(value->def) ||
      value->def->attr.has_residual || (node_is(value->def, OP_concat) && !of_images(value->def)))
    return false;
  for (int i = 0; i < function->result_count; i++)
    if (function->results[i] == value)
      return false;
  for (const Node *node = value->def->next; node; node = node->next)
    for (int i = 0; i < node->in_count; i++)
      if (node->in[i] == value && (node == concat ? i != k
                                                  : !takes_rows(node) || (i && !node_is(node, OP_concat)) ||
                                                        (node_is(node, OP_concat) && !of_images(node))))
        return false;
  return true;
}

/* Only where most of the copying goes: the concatenation's memory is taken as soon as its first branch is
 * made. */
static bool worth_slicing(const Function *function, const Node *concat) {
  int there = 0;
  for (int k = 0; k < concat->in_count; k++)
    there += may_slice(function, concat, k) ? concat->in[k]->shape.dim[2] : 0;
  return 2 * there >= concat->out[0]->shape.dim[2];
}

static void share_slices(Function *function, int *born, int *last) {
  for (Node *node = function->last; node; node = node->prev) { /* outer concatenations first */
    int begin = 0;
    if (!of_images(node) || !worth_slicing(function, node))
      continue;
    for (int k = 0; k < node->in_count; begin += node->in[k++]->shape.dim[2]) {
      Value *value = node->in[k];
      if (!may_slice(function, node, k))
        continue;
      const Value *root = root_of(node->out[0]);
      share(value, node->out[0], last);
      value->sliced = true;
      value->slice = begin;
      if (value->def->position < born[root->id])
        born[root->id] = value->def->position;
    }
  }
}

/* ---- pixels of 1024 channels, or multiples of that, are set apart ---- */

/* Floats that are a multiple of this apart share a set of a first-level cache, which holds fewer lines than a
 * register tile has pixels: then each would push out the other. */
enum { SAME_SET_FLOATS = 1024, LINE_FLOATS = 16 };

/* Whether the node reads input i, a value whose root is `root`, with any distance between pixels.  A residual
 * is read by the distance of the output. */
static bool reads_apart(const Node *node, int i, const Value *root) {
  if (node_is(node, OP_concat))
    return of_images(node);
  if (i == 0)
    return takes_rows(node) || node_is(node, OP_global_avgpool);
  return takes_rows(node) && node->attr.has_residual && node->in[i]->batched &&
         root_of(node->out[0])->row == root->row && !node->out[0]->sliced && !node->in[i]->sliced;
}

/* Whether a value is written with any distance between pixels, and lies nowhere else. */
static bool may_set_apart(const Function *function, const Node *node, const Value *value) {
  return value->storage == value && value->batched && value->shape.rank == 3 && node->out_count == 1 &&
         value->shape.dim[2] % SAME_SET_FLOATS == 0 && !outside(function, value) &&
         (node_is(node, OP_concat) ? of_images(node) : takes_rows(node));
}

/* The root whose pixels cannot be apart because of this node, or NULL. */
static Value *not_apart(const Node *node) {
  Value *y = node->out_count ? root_of(node->out[0]) : NULL;
  for (int i = 0; i < node->in_count; i++) {
    Value *root = root_of(node->in[i]);
    if (root->row && !reads_apart(node, i, root))
      return root;
    if (i && y && y->row && takes_rows(node) && !node_is(node, OP_concat) && node->in[i]->batched &&
        root->row != y->row)
      return y;
  }
  return NULL;
}

static void set_pixels_apart(Function *function) {
  for (Node *node = function->first; node; node = node->next)
    for (int i = 0; i < node->out_count; i++) {
      Value *value = node->out[i];
      if (may_set_apart(function, node, value))
        value->row = value->shape.dim[2] + LINE_FLOATS;
    }
  for (Node *node = function->first; node;) {
    Value *root = not_apart(node);
    if (root)
      root->row = 0;
    node = root ? function->first : node->next;
  }
}

/* Tells the operators how far pixels lie apart. */
static void set_rows(Function *function) {
  for (Node *node = function->first; node; node = node->next) {
    if (!takes_rows(node) || node_is(node, OP_concat))
      continue;
    bool pool = node_is(node, OP_maxpool) || node_is(node, OP_avgpool);
    Conv2d *reader = node->attr.expands                      ? &node->attr.expand
                     : node_is(node, OP_depthwise_pointwise) ? &node->attr.depthwise
                                                             : &node->attr.conv;
    *(pool ? &node->attr.pool.in_ld : &reader->in_ld) = value_row_floats(node->in[0]);
    *(pool ? &node->attr.pool.out_ld : &node->attr.conv.out_ld) = value_row_floats(node->out[0]);
  }
}

/* Whether input k may become the output's memory: it dies here, and no other input lies in it. */
static bool dies_into(const Function *function, const Node *node, int k, const int *last) {
  const Value *root = root_of(node->in[k]);
  if (value_floats(node->in[k]) != value_floats(node->out[0]) ||
      node->in[k]->batched != node->out[0]->batched || outside(function, root) ||
      last[root->id] != node->position)
    return false;
  for (int i = 0; i < node->in_count; i++)
    if (i != k && root_of(node->in[i]) == root)
      return false;
  return true;
}

/* Views share their source's memory; in-place operators that of an input which dies there.  The two inputs of
 * a sum or product may change places for it: the result is the same. */
static void share_storage(Function *function, bool in_place, int *born, int *last) {
  for (Node *node = function->first; node; node = node->next)
    for (int i = 0; i < node->out_count; i++) {
      node->out[i]->storage = node->out[i];
      node->out[i]->sliced = false;
      node->out[i]->row = 0;
      born[node->out[i]->id] = node->position;
    }
  for (Node *node = function->last; node;
       node = node->prev) /* users first: lives reach back through chains */
    if (node->op->view)
      share(node->out[0], node->in[0], last);
  if (in_place)
    share_slices(function, born, last);
  if (in_place)
    set_pixels_apart(function);
  set_rows(function);
  for (Node *node = function->first; in_place && node; node = node->next) {
    if (!node->op->in_place || !node->in_count)
      continue;
    if (node->in_count == 2 && (node_is(node, OP_add) || node_is(node, OP_multiply)) &&
        !dies_into(function, node, 0, last) && dies_into(function, node, 1, last)) {
      Value *first = node->in[0];
      node->in[0] = node->in[1];
      node->in[1] = first;
    }
    if (dies_into(function, node, 0, last))
      share(node->out[0], node->in[0], last);
  }
  for (Node *node = function->first; in_place && node; node = node->next)
    if (node_is(node, OP_maxpool_bwd) && node->in_count == 3 && kernel_pool_windows_apart(&node->attr.pool) &&
        dies_into(function, node, 1, last))
      share(node->out[0], node->in[1], last);
  for (Node *node = function->first; in_place && node; node = node->next)
    if (node_is(node, OP_conv2d_bwd_x) && node->attr.masked &&
        dies_into(function, node, node->in_count - 1, last))
      share(node->out[0], node->in[node->in_count - 1], last);
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
      if (value->storage != value || outside(function, value))
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
  find_last_uses(function, positions, last);
  share_storage(function, mode != PLAN_SIDE_BY_SIDE, born, last);
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
