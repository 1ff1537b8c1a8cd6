/* Keras (ops.function, map_graph): a layer's depth is its longest way to the output; layers are listed by
 * falling depth, those of one depth in the order in which a depth-first walk from the output enters them. */
#include "order.h"
#include <stdlib.h>

typedef struct Visit {
  Layer *layer;
  int entered; /* place in the walk */
  int depth;
} Visit;

typedef struct Frame {
  int visit, next_input;
} Frame;

typedef struct Walk {
  Arena *arena;
  Visit *visits;
  int count, capacity;
  int *by_layer; /* open hash table: visit + 1, or 0 */
  int table_size;
} Walk;

static unsigned hash_pointer(const void *pointer) {
  uintptr_t x = (uintptr_t)pointer;
  return (unsigned)((x >> 4) * 2654435761u);
}

static int *slot_of(const Walk *walk, const Layer *layer) {
  unsigned at = hash_pointer(layer) & (unsigned)(walk->table_size - 1);
  while (walk->by_layer[at] && walk->visits[walk->by_layer[at] - 1].layer != layer)
    at = (at + 1) & (unsigned)(walk->table_size - 1);
  return &walk->by_layer[at];
}

static void grow_table(Walk *walk) {
  walk->table_size = walk->table_size ? 2 * walk->table_size : 256;
  walk->by_layer = arena_array(walk->arena, int, walk->table_size);
  for (int i = 0; i < walk->count; i++)
    *slot_of(walk, walk->visits[i].layer) = i + 1;
}

/* The visit of a layer; `*first` where it is entered only now. */
static int enter(Walk *walk, Layer *layer, bool *first) {
  if (2 * (walk->count + 1) > walk->table_size)
    grow_table(walk);
  int *slot = slot_of(walk, layer);
  *first = !*slot;
  if (*first) {
    Visit visit = {.layer = layer, .entered = walk->count};
    *slot = walk->count + 1;
    arena_push(walk->arena, walk->visits, walk->count, walk->capacity, visit);
  }
  return *slot - 1;
}

static int compare(const void *left, const void *right) {
  const Visit *a = left, *b = right;
  return a->depth != b->depth ? (a->depth < b->depth) - (a->depth > b->depth)
                              : (a->entered > b->entered) - (a->entered < b->entered);
}

int order_layers(Arena *arena, Layer *input, Layer *output, Layer ***sorted) {
  Walk walk = {.arena = arena};
  Frame *stack = NULL;
  int depth = 0, capacity = 0, *finished = NULL, finished_count = 0, finished_capacity = 0;
  bool first;
  Frame frame = {enter(&walk, output, &first), 0};
  arena_push(arena, stack, depth, capacity, frame);
  while (depth) {
    Frame *top = &stack[depth - 1];
    Layer *layer = walk.visits[top->visit].layer;
    if (layer == input || top->next_input == layer->input_count) {
      arena_push(arena, finished, finished_count, finished_capacity, top->visit);
      depth--;
      continue;
    }
    Frame next = {enter(&walk, layer->inputs[top->next_input++], &first), 0};
    if (first)
      arena_push(arena, stack, depth, capacity, next);
  }
  for (int i = finished_count - 1; i >= 0; i--) {
    Visit *visit = &walk.visits[finished[i]];
    for (int k = 0; visit->layer != input && k < visit->layer->input_count; k++) {
      Visit *before = &walk.visits[*slot_of(&walk, visit->layer->inputs[k]) - 1];
      if (before->depth <= visit->depth)
        before->depth = visit->depth + 1;
    }
  }
  qsort(walk.visits, (size_t)walk.count, sizeof *walk.visits, compare);
  *sorted = arena_array(arena, Layer *, walk.count);
  for (int i = 0; i < walk.count; i++)
    (*sorted)[i] = walk.visits[i].layer;
  return walk.count;
}
