/* The seeds of random layers: the training seed, or one that the layer was given. */
#ifndef NETC_OPS_RANDOM_H
#define NETC_OPS_RANDOM_H
#include "../emit/emit.h"
#include "../graph.h"
#include "../ir.h"

/* NodeAttr.ints of random nodes that these functions use. */
enum { RANDOM_LAYER = 0, RANDOM_SEEDED = 6, RANDOM_SEED = 7 };

/* Layers with the same seed of their own draw the same, whatever their place in the network. */
static inline void random_mark(Value *y, const Layer *layer) {
  const Attr *seed = call_attr(&layer->call, "seed");
  NodeAttr *attr = &y->def->attr;
  attr->ints[RANDOM_LAYER] = seed->kind == ATTR_NONE ? layer->index : 0;
  attr->ints[RANDOM_SEEDED] = seed->kind != ATTR_NONE;
  attr->ints[RANDOM_SEED] = seed->kind == ATTR_NONE ? 0 : seed->integer;
}

/* "SEED, DRAW, LAYER": the arguments that kernels draw from. */
static inline const char *random_arguments(Emitter *e, const Node *node) {
  const int64_t *ints = node->attr.ints;
  const char *seed = ints[RANDOM_SEEDED]
                         ? arena_printf(e->arena, "%lluu", (unsigned long long)ints[RANDOM_SEED])
                         : "m->state.seed";
  return arena_printf(e->arena, "%s, %s, %lld", seed, emit_draw(e), (long long)ints[RANDOM_LAYER]);
}
#endif
