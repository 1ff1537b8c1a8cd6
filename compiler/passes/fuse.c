/* Puts bias, residual addition and activation into the epilogue of the convolution or dense layer they
 * follow, the sum with another gradient and the gradient of a clamp into that of a convolution's input, and a
 * dense layer's update into its weight gradient, so that each value moves through memory once; takes
 * gradients of activations before those of a pooling.
 *
 * Convolutions add the bias after the sum, as the separate operations do; dense layers start their sums from
 * it, which rounds differently. */
#include "passes.h"
#include "fuse.h"
#include "../kernel_sizes.h"

static bool has_epilogue(const Node *node) {
  return node_is(node, OP_conv2d) || node_is(node, OP_conv2d_bwd_x) || node_is(node, OP_dense) ||
         node_is(node, OP_depthwise_conv2d);
}

/* The node whose only user is `user`, through its input `index`, if it can take on more work. */
static Node *feeding(const Function *function, const Node *user, int index) {
  Value *value = user->in[index];
  if (value->use_count != 1 || ir_is_result(function, value) || !has_epilogue(value->def))
    return NULL;
  return value->def->attr.act.kind == ACT_LINEAR ? value->def : NULL;
}

void fuse_take_over(Function *function, Node *producer, Node *user) {
  Value *out = producer->out[0], *old = user->out[0];
  ir_remove(producer);
  producer->prev = user->prev;
  producer->next = user;
  *(user->prev ? &user->prev->next : &function->first) = producer;
  user->prev = producer;
  out->name = old->name;
  ir_replace(function, old, out);
  out->shape = old->shape;
  ir_remove(user);
}

static bool fuse_bias(Function *function, Node *bias) {
  Node *producer = feeding(function, bias, 0);
  if (!producer || producer->attr.has_bias || producer->attr.has_residual)
    return false;
  ir_add_input(producer, bias->in[1]);
  producer->attr.has_bias = true;
  fuse_take_over(function, producer, bias);
  return true;
}

static bool fuse_residual(Function *function, Node *add) {
  if (add->in_count != 2 || add->in[0] == add->in[1] || !shape_equal(add->in[0]->shape, add->in[1]->shape))
    return false;
  for (int i = 1; i >= 0; i--) {
    Node *producer = feeding(function, add, i);
    if (!producer || node_is(producer, OP_depthwise_conv2d) || producer->attr.has_residual)
      continue;
    ir_add_input(producer, add->in[1 - i]);
    producer->attr.has_residual = true;
    fuse_take_over(function, producer, add);
    return true;
  }
  return false;
}

static bool fuse_activation(Function *function, Node *activation) {
  Node *producer = feeding(function, activation, 0);
  if (!producer)
    return false;
  producer->attr.act = activation->attr.act;
  fuse_take_over(function, producer, activation);
  return true;
}

/* activation_bwd(conv2d_bwd_x(dy, w), y) where the activation is a clamp: a mask. */
static bool fuse_mask(Function *function, Node *activation) {
  Node *producer = feeding(function, activation, 0);
  if (!node_is(producer, OP_conv2d_bwd_x) || !producer->backward || activation->attr.ints[0] ||
      !kernel_act_is_clamp(activation->attr.act))
    return false;
  ir_add_input(producer, activation->in[1]);
  producer->attr.masked = true;
  producer->attr.act = activation->attr.act;
  fuse_take_over(function, producer, activation);
  return true;
}

/* The gradient of the layer's input reads the same weights just before they change: one pass over them serves
 * both. */
static void fuse_data_gradient(Function *function, Node *update) {
  Node *data = NULL;
  for (Node *node = function->first; node != update; node = node->next)
    for (int i = 0; i < node->in_count; i++)
      if (node->in[i] == update->in[0])
        data = node;
  if (!node_is(data, OP_dense_bwd_x) || data->in[0] != update->in[2])
    return;
  Builder builder = ir_builder_before(data);
  builder.layer = update->layer;
  Node *both = ir_node(&builder, OP_dense_update, 3, update->in);
  both->attr = update->attr;
  Value *dx = ir_output(both, data->out[0]->shape, true, data->out[0]->name);
  ir_replace(function, data->out[0], dx);
  ir_remove(update);
  ir_remove(data);
}

/* update(w, dense_bwd_w(x, dy)) -> dense_update(w, x, dy): the gradient never leaves the cache.
 * The weight is written while it is made, so every reader of w must stand before it. */
static bool fuse_update(Function *function, Node *update) {
  Node *grad = update->in[1]->def;
  if (!node_is(grad, OP_dense_bwd_w) || update->in[1]->use_count != 1 || update->in_count != 2)
    return false;
  Builder builder = ir_builder_before(update);
  Node *fused = ir_node(&builder, OP_dense_update, 3, (Value *[]){update->in[0], grad->in[0], grad->in[1]});
  fused->attr = update->attr;
  ir_remove(update);
  ir_remove(grad);
  fuse_data_gradient(function, fused);
  return true;
}

/* f'(x) where x = f(...) and f never falls, so that the largest of f is f of the largest. */
static bool never_falls(const Node *node) {
  const Act *act = &node->attr.act;
  return !node->attr.ints[0] &&
         (act->kind == ACT_SIGMOID || act->kind == ACT_TANH || act->kind == ACT_RELU6 ||
          (act->kind == ACT_RELU && act->b == 0 && act->c == 0));
}

/* activation_bwd(maxpool_bwd(dy, x, y), x) -> maxpool_bwd(activation_bwd(dy, y), x, y): the gradient reaches
 * only pixels where x = y.  A quarter of the work for windows of 2 x 2, and x is not needed afterwards. */
static bool exchange_pool(Function *function, Node *activation) {
  Value *through = activation->in[0];
  Node *pool = through->kind == VALUE_TEMP ? through->def : NULL;
  if (!node_is(pool, OP_maxpool_bwd) || through->use_count != 1 || ir_is_result(function, through) ||
      activation->in[1] != pool->in[1] || !never_falls(activation))
    return false;
  Builder builder = ir_builder_before(pool);
  builder.layer = activation->layer;
  Node *earlier = ir_node(&builder, OP_activation_bwd, 2, (Value *[]){pool->in[0], pool->in[2]});
  earlier->attr = activation->attr;
  pool->in[0] = ir_output(earlier, pool->in[0]->shape, true, activation->out[0]->name);
  ir_replace(function, activation->out[0], through);
  ir_remove(activation);
  return true;
}

static bool fuse_node(Function *function, Node *node) {
  switch (node->op->kind) {
  case OP_bias_add:
    return fuse_bias(function, node);
  case OP_add:
    return fuse_residual(function, node) || fuse_norm_residual(function, node);
  case OP_activation:
    return fuse_activation(function, node) || fuse_norm_activation(function, node);
  case OP_activation_bwd:
    return exchange_pool(function, node) || fuse_loss(function, node);
  case OP_softmax_bwd:
    return fuse_loss(function, node);
  case OP_channel_sum:
    return fuse_norm_bias(function, node);
  case OP_update:
    return fuse_update(function, node);
  default:
    return false;
  }
}

void pass_fuse(Module *module) {
  for (int f = 0; f < module->function_count; f++) {
    Function *function = module->functions[f];
    ir_count_uses(function);
    for (Node *node = function->first, *next; node; node = next) {
      next = node->next;
      if (fuse_node(function, node))
        ir_count_uses(function);
    }
    for (Node *node = function->first, *next; node; node = next) { /* now that they stand where they stay */
      next = node->next;
      if (node_is(node, OP_activation_bwd) && fuse_mask(function, node))
        ir_count_uses(function);
    }
    fuse_pool_places(function);
  }
}
