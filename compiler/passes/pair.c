/* Makes one operation of a depthwise convolution, the 1x1 convolution that alone reads it and, where it alone
 * reads one, the 1x1 convolution before it, so that the values in between stay in cache: depthwise_pointwise
 * (runtime/kernels/depthwise_pointwise.h). */
#include "passes.h"
#include "../kernel_sizes.h"

/* The node that makes input 0 of `reader` for it alone and adds nothing else to it. */
static Node *made_for(const Function *function, const Node *reader, OpKind op) {
  const Value *between = reader->in[0];
  Node *maker = between->kind == VALUE_TEMP ? between->def : NULL;
  return node_is(maker, op) && between->use_count == 1 && !ir_is_result(function, between) &&
                 !maker->attr.has_residual && !maker->attr.few_below
             ? maker
             : NULL;
}

static void pair(Function *function, Node *expand, Node *depthwise, Node *pointwise) {
  Builder builder = ir_builder_before(pointwise);
  Value *in[8] = {expand ? expand->in[0] : depthwise->in[0], depthwise->in[1], pointwise->in[1]};
  int count = 3;
  for (int i = 1; expand && i < expand->in_count; i++)
    in[count++] = expand->in[i];
  if (depthwise->attr.has_bias)
    in[count++] = depthwise->in[2];
  for (int i = 2; i < pointwise->in_count; i++)
    in[count++] = pointwise->in[i];
  Node *all = ir_node(&builder, OP_depthwise_pointwise, count, in);
  all->attr = pointwise->attr;
  all->attr.depthwise = depthwise->attr.conv;
  all->attr.depthwise_act = depthwise->attr.act;
  all->attr.depthwise_bias = depthwise->attr.has_bias;
  all->attr.depthwise_layer = depthwise->layer;
  if (expand) {
    all->attr.expands = true;
    all->attr.expand = expand->attr.conv;
    all->attr.expand_act = expand->attr.act;
    all->attr.expand_bias = expand->attr.has_bias;
    all->attr.expand_layer = expand->layer;
  }
  Value *y = pointwise->out[0];
  ir_replace(function, y, ir_output(all, y->shape, y->batched, y->name));
  ir_remove(pointwise);
  ir_remove(depthwise);
  if (expand)
    ir_remove(expand);
}

static void pair_node(Function *function, Node *pointwise) {
  Node *depthwise = made_for(function, pointwise, OP_depthwise_conv2d);
  if (!depthwise || !kernel_depthwise_pointwise_fits(&depthwise->attr.conv, &pointwise->attr.conv))
    return;
  Node *expand = made_for(function, depthwise, OP_conv2d);
  if (expand && !kernel_depthwise_expansion_fits(&expand->attr.conv, &depthwise->attr.conv))
    expand = NULL;
  pair(function, expand, depthwise, pointwise);
}

void pass_pair(Module *module) {
  for (int f = 0; f < module->function_count; f++) {
    Function *function = module->functions[f];
    ir_count_uses(function);
    for (Node *node = function->first, *next; node; node = next) {
      next = node->next;
      if (node_is(node, OP_conv2d))
        pair_node(function, node);
    }
  }
}
