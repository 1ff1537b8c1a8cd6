/* The gradient of a 2 x 2 pooling between Winograd convolutions in a training step goes into those that read
 * it: tiles are read from the pooling's gradient and the places of the maxima, so that the gradient of the
 * convolution's output, four times as large, is never made. */
#include "passes.h"

bool pool_is_pairs(const Pool2d *g) {
  return g->pool_h == 2 && g->pool_w == 2 && g->stride_h == 2 && g->stride_w == 2 && !g->pad_top &&
         !g->pad_left && g->out_h == g->in_h / 2 && g->out_w == g->in_w / 2;
}

/* Whether `user` can read the pooling's gradient in place of dy. */
static bool reads_through(const Node *user, const Value *dy) {
  if (node_is(user, OP_channel_sum))
    return true;
  return ((node_is(user, OP_conv2d_bwd_w) && user->in[1] == dy && user->in[0] != dy) ||
          (node_is(user, OP_conv2d_bwd_x) && user->in[0] == dy)) &&
         conv_tile(user->attr.algorithm) && !user->attr.max_pool;
}

static bool read_through_pool(Function *function, Node *pool) {
  Value *dy = pool->out[0];
  if (pool->in_count != 2 || !pool_is_pairs(&pool->attr.pool) || ir_is_result(function, dy))
    return false;
  for (int i = 0; i < dy->use_count; i++)
    if (!reads_through(dy->uses[i], dy))
      return false;
  for (int i = 0; i < dy->use_count; i++) {
    Node *user = dy->uses[i];
    user->in[node_is(user, OP_conv2d_bwd_w)] = pool->in[0];
    if (node_is(user, OP_channel_sum)) /* all of it goes somewhere, unless its window is empty */
      continue;
    ir_insert_input(user, 2, pool->in[1]);
    user->attr.max_pool = true;
  }
  ir_remove(pool);
  return true;
}

void select_through(Function *function) {
  ir_count_uses(function);
  for (Node *node = function->first, *next; node; node = next) {
    next = node->next;
    if (node_is(node, OP_maxpool_bwd) && read_through_pool(function, node))
      ir_count_uses(function);
  }
}
