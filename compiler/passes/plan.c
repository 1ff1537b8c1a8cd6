/* The memory plan: every value of a function gets its place in one arena before the program runs.
 *
 * The arena has two pools, so that one plan serves every batch size: in the batch pool offsets and sizes
 * count floats per image (place = n * offset), in the fixed pool plain floats.  Values whose lives overlap
 * never overlap in memory; a view lies where its source lies, an in-place result where an input dies.
 *
 * Packing: greedy first fit over several orders (largest first, longest-lived first, ...), the best kept; the
 * lower bound is the most floats alive at any node. */
#include "passes.h"
#include <stdlib.h>
#include <string.h>

typedef struct Buffer {
  Value *value; /* the root whose memory this is */
  int64_t floats, offset;
  int begin, end; /* node positions, both inclusive */
} Buffer;

enum { ALIGN_FLOATS = 16 };

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

static int last_use(const Function *function, const Value *root, int positions) {
  int last = -1;
  for (int i = 0; i < function->result_count; i++)
    if (root_of(function->results[i]) == root)
      return positions;
  for (const Node *node = function->first; node; node = node->next) {
    for (int i = 0; i < node->in_count; i++)
      if (root_of(node->in[i]) == root)
        last = node->position;
    for (int i = 0; i < node->out_count; i++)
      if (root_of(node->out[i]) == root && node->position > last)
        last = node->position;
  }
  return last;
}

/* Views share their source's memory; in-place operators that of an input which dies there. */
static void share_storage(Function *function, int positions, bool in_place) {
  for (Node *node = function->first; node; node = node->next)
    for (int i = 0; i < node->out_count; i++)
      node->out[i]->storage = node->out[i];
  for (Node *node = function->first; node; node = node->next) {
    if (node->op->view)
      node->out[0]->storage = node->in[0];
    else if (in_place && node->op->in_place && node->in_count &&
             value_floats(node->in[0]) == value_floats(node->out[0]) &&
             node->in[0]->batched == node->out[0]->batched) {
      Value *root = root_of(node->in[0]);
      bool twice = false;
      for (int i = 1; i < node->in_count; i++)
        twice = twice || root_of(node->in[i]) == root;
      if (!outside(function, root) && !twice && last_use(function, root, positions) == node->position)
        node->out[0]->storage = node->in[0];
    }
  }
}

static int collect(Function *function, int positions, bool batched, Buffer *buffers) {
  int count = 0;
  for (Node *node = function->first; node; node = node->next)
    for (int i = 0; i < node->out_count; i++) {
      Value *value = node->out[i];
      if (value->storage != value || value->batched != batched || outside(function, value))
        continue;
      int end = last_use(function, value, positions);
      buffers[count++] = (Buffer){value, padded(value_floats(value)), 0, node->position,
                                  end < node->position ? node->position : end};
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

static int64_t pack(Buffer *buffers, int count) {
  int (*const orders[])(const void *, const void *) = {larger_first, longer_first, area_first, earlier_first};
  Buffer **order = malloc(sizeof *order * (size_t)(count + 1));
  int64_t best = -1;
  for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
    for (int i = 0; i < count; i++)
      order[i] = &buffers[i];
    qsort(order, (size_t)count, sizeof *order, orders[o]);
    int64_t top = place(order, count);
    if (best >= 0 && top >= best)
      continue;
    best = top;
    for (int i = 0; i < count; i++)
      buffers[i].value->offset = buffers[i].offset;
  }
  free(order);
  return best < 0 ? 0 : best;
}

static int64_t bound(const Buffer *buffers, int count, int positions) {
  int64_t most = 0;
  for (int p = 0; p <= positions; p++) {
    int64_t live = 0;
    for (int i = 0; i < count; i++)
      if (buffers[i].begin <= p && p <= buffers[i].end)
        live += buffers[i].floats;
    most = live > most ? live : most;
  }
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

static void plan_function(Function *function, bool reuse) {
  ir_number(function);
  int positions = function->last ? function->last->position + 1 : 0;
  share_storage(function, positions, reuse);
  Buffer *buffers = calloc((size_t)function->value_count + 1, sizeof *buffers);
  for (int batched = 0; batched < 2; batched++) {
    int count = collect(function, positions, batched, buffers);
    int64_t floats = reuse ? pack(buffers, count) : side_by_side(buffers, count);
    *(batched ? &function->batch_floats : &function->fixed_floats) = floats;
    *(batched ? &function->batch_bound : &function->fixed_bound) = bound(buffers, count, positions);
  }
  free(buffers);
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

/* Constants live as long as the weights: side by side in a block of their own. */
static void plan_constants(Module *module) {
  Function *prepare = module->prepare;
  module->constant_floats = 0;
  for (int i = 0; i < prepare->result_count; i++) {
    prepare->results[i]->offset = module->constant_floats;
    module->constant_floats += padded(value_floats(prepare->results[i]));
  }
}

static void plan_all(Module *module, bool reuse) {
  for (int f = 0; f < module->function_count; f++)
    plan_function(module->functions[f], reuse);
  plan_constants(module);
}

void pass_plan(Module *module) {
  plan_all(module, true);
}

void plan_without_reuse(Module *module) {
  plan_all(module, false);
}
