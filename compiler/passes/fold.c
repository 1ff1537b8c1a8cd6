/* Folds BatchNorm on moving statistics into the convolution or dense layer before it, inside training steps
 * too where both are frozen:
 *
 *   batchnorm(conv(x, w) + b) = conv(x, w') + b'     with   s = gamma / sqrt(variance + epsilon)
 *   w' = w * s   (per output channel)                       b' = (b - mean) * s + beta
 *
 * The gradient that passes through the pair on its way to an earlier layer is folded the same way. */
#include "passes.h"

static bool folds_into(const Node *node) {
  return node_is(node, OP_conv2d) || node_is(node, OP_dense) || node_is(node, OP_depthwise_conv2d);
}

/* dx = conv_bwd_x(batchnorm_bwd(dy), w)  ->  conv_bwd_x(dy, w') */
static void fold_backward(Function *function, const Node *norm, const Value *weight, Value *folded) {
  for (Node *node = function->first; node; node = node->next) {
    bool data_gradient = node_is(node, OP_conv2d_bwd_x) || node_is(node, OP_dense_bwd_x) ||
                         node_is(node, OP_depthwise_conv2d_bwd_x);
    if (!data_gradient || node->in[1] != weight || node->layer != norm->layer->inputs[0])
      continue;
    Node *scaled = node->in[0]->def;
    if (node_is(scaled, OP_batchnorm_infer_bwd) && scaled->layer == norm->layer) {
      node->in[0] = scaled->in[0];
      node->in[1] = folded;
    }
  }
}

static void fold_one(Function *function, Node *norm) {
  Node *bias = NULL, *producer = norm->in[0]->def;
  if (norm->in[0]->use_count != 1)
    return;
  if (node_is(producer, OP_bias_add)) {
    bias = producer;
    producer = bias->in[0]->def;
    if (bias->in[0]->use_count != 1 || !ir_unchanging(function, bias->in[1]))
      return;
  }
  if (!folds_into(producer) || !ir_unchanging(function, producer->in[1]))
    return;
  for (int i = 1; i < norm->in_count; i++)
    if (!ir_unchanging(function, norm->in[i]))
      return;
  Builder builder = {
      .module = function->module, .function = function, .layer = norm->layer, .before = producer};
  Value *in[8] = {producer->in[1]};
  int count = 1;
  if (bias)
    in[count++] = bias->in[1];
  for (int i = 1; i < norm->in_count; i++)
    in[count++] = norm->in[i];
  Node *fold = ir_node(&builder, OP_fold_batchnorm, count, in);
  fold->attr = norm->attr; /* ints[0..1]: gamma, beta present; floats[0]: epsilon */
  fold->attr.ints[2] = bias != NULL;
  fold->attr.ints[3] = node_is(producer, OP_depthwise_conv2d);
  int channels = norm->in[norm->in_count - 1]->shape.dim[0];
  const char *name = producer->layer->name;
  Value *weight = ir_output(fold, producer->in[1]->shape, false,
                            arena_printf(function->module->arena, "%s.folded", name));
  Value *shift = ir_output(fold, (Shape){1, {channels}}, false,
                           arena_printf(function->module->arena, "%s.folded_bias", name));
  fold_backward(function, norm, producer->in[1], weight);
  producer->in[1] = weight;
  builder.before = norm;
  builder.layer = producer->layer;
  Node *add = ir_node(&builder, OP_bias_add, 2, (Value *[]){producer->out[0], shift});
  Value *out = ir_output(add, norm->out[0]->shape, true, norm->out[0]->name);
  ir_replace(function, norm->out[0], out);
  if (bias)
    ir_remove(bias);
  ir_remove(norm);
}

void pass_fold(Module *module) {
  for (int f = 0; f < module->function_count; f++) {
    Function *function = module->functions[f];
    for (Node *node = function->first, *next; node; node = next) {
      next = node->next;
      if (node_is(node, OP_batchnorm_infer)) {
        ir_count_uses(function);
        fold_one(function, node);
      }
    }
  }
}
