/* Lets the gradient of a maximum pooling read where in their windows the maxima were, a byte each that the
 * forward pass notes, instead of looking for them again: what was pooled, the largest values of many
 * networks, need not be kept for it. */
#include "passes.h"
#include "fuse.h"

enum { MOST_PLACES = 256 };

/* Whether gradients need x apart from `pool`'s. */
static bool needed_besides(const Value *x, const Node *gradient) {
  for (int i = 0; i < x->use_count; i++)
    if (x->uses[i]->backward && x->uses[i] != gradient)
      return true;
  return false;
}

void fuse_pool_places(Function *function) {
  ir_count_uses(function);
  for (Node *node = function->first; node; node = node->next) {
    if (!node_is(node, OP_maxpool_bwd) || node->in_count != 3)
      continue;
    Value *x = node->in[1];
    Node *pool = node->in[2]->def;
    const Pool2d *window = &node->attr.pool;
    if (node->in[2]->kind != VALUE_TEMP || !node_is(pool, OP_maxpool) || pool->in[0] != x ||
        pool->out_count > 1 || window->pool_h * window->pool_w > MOST_PLACES || needed_besides(x, node))
      continue;
    int floats = (int)(pool_places_bytes(window->out_h, window->out_w, window->channels) / sizeof(float));
    node->in[1] = ir_output(pool, (Shape){1, {floats}}, true, "places");
    node->in_count = 2;
  }
}
