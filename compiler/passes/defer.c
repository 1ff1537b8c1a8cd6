/* Leaves the values that a BatchNorm of a training step makes, and the clamp after it, unmade where every
 * reader can make them as it reads: convolutions, forward and for their weights' gradients, then take what
 * the BatchNorm took, with its scale and offset per channel (runtime/kernels/channel_map.h).  That saves
 * writing and reading them, and their memory until the backward part. */
#include "passes.h"
#include "../kernel_sizes.h"

/* Whether the node can read `y` through a ChannelMap: as its first input, and no other. */
static bool can_map(const Node *node, const Value *y) {
  for (int i = 1; i < node->in_count; i++)
    if (node->in[i] == y)
      return false;
  return !node->attr.mapped && kernel_conv2d_maps(&node->attr.conv, node->attr.algorithm, node->op->kind);
}

static bool can_defer(const Function *function, const Node *norm) {
  const Value *y = norm->out[0];
  if (norm->attr.has_residual || !kernel_act_is_clamp(norm->attr.act) || ir_is_result(function, y) ||
      !y->use_count || !shape_equal(y->shape, norm->in[0]->shape))
    return false;
  for (int i = 0; i < y->use_count; i++)
    if (!can_map(y->uses[i], y))
      return false;
  return true;
}

static void defer(Function *function, Node *norm) {
  Builder builder = ir_builder_before(norm);
  Node *deferred = ir_node(&builder, OP_batchnorm_deferred, norm->in_count, norm->in);
  deferred->attr = norm->attr;
  const Value *mean = norm->out[1];
  for (int i = 1; i < norm->out_count; i++)
    ir_replace(function, norm->out[i], ir_output(deferred, mean->shape, false, norm->out[i]->name));
  const Value *y = norm->out[0];
  Value *scale = ir_output(deferred, mean->shape, false, "scale"),
        *offset = ir_output(deferred, mean->shape, false, "offset");
  for (int i = 0; i < y->use_count; i++) {
    Node *reader = y->uses[i];
    reader->in[0] = norm->in[0];
    reader->attr.mapped = true;
    reader->attr.map_act = norm->attr.act;
    ir_add_input(reader, scale);
    ir_add_input(reader, offset);
  }
  ir_remove(norm);
}

void pass_defer(Module *module) {
  for (int f = 0; f < module->function_count; f++) {
    Function *function = module->functions[f];
    ir_count_uses(function);
    for (Node *node = function->first, *next; node; node = next) {
      next = node->next;
      if (node_is(node, OP_batchnorm_train) && can_defer(function, node)) {
        defer(function, node);
        ir_count_uses(function);
      }
    }
  }
}
