/* Chooses an algorithm for each convolution and lets it read packed weights: conv2d(x, conv2d_pack(w)).  Packing of
 * weights that do not change is moved to `prepare` by the next pass. */
#include "passes.h"
#include "../kernel_sizes.h"

/* Winograd pays where the multiplications saved outweigh the transforms: enough channels on both sides and few wasted
 * pixels in the last tiles. */
static ConvAlgorithm choose(const Module *module, const Conv2d *conv) {
  if (module->exact || !kernel_conv2d_fits(conv, CONV_WINOGRAD4) || conv->in_c < 32 || conv->out_c < 32)
    return CONV_DIRECT;
  int rows = (conv->out_h + 3) / 4 * 4, columns = (conv->out_w + 3) / 4 * 4;
  double used = (double)conv->out_h * conv->out_w / ((double)rows * columns);
  return used > .5 ? CONV_WINOGRAD4 : CONV_DIRECT;
}

static void select_node(Module *module, Node *node) {
  if (node_is(node, OP_conv2d_bwd_w)) {
    node->attr.algorithm = CONV_DIRECT;
    int64_t workspace = kernel_conv2d_workspace_floats(&node->attr.conv);
    if (workspace)
      ir_output(node, (Shape){1, {(int)workspace}}, false, "workspace");
    return;
  }
  node->attr.algorithm = choose(module, &node->attr.conv);
  Builder builder = {.module = module, .function = node->function, .layer = node->layer, .backward = node->backward,
                     .before = node};
  Node *pack = ir_node(&builder, OP_conv2d_pack, 1, &node->in[1]);
  pack->attr.conv = node->attr.conv;
  pack->attr.algorithm = node->attr.algorithm;
  pack->attr.ints[0] = node_is(node, OP_conv2d_bwd_x);
  int64_t floats = kernel_conv2d_packed_floats(&node->attr.conv, node->attr.algorithm, node->op->kind);
  node->in[1] = ir_output(pack, (Shape){1, {(int)floats}}, false,
                          arena_printf(module->arena, "%s.packed", node->layer ? node->layer->name : "conv"));
}

void pass_select(Module *module) {
  for (int f = 0; f < module->function_count; f++)
    for (Node *node = module->functions[f]->first; node; node = node->next)
      if (node_is(node, OP_conv2d) || node_is(node, OP_conv2d_bwd_x) || node_is(node, OP_conv2d_bwd_w))
        select_node(module, node);
}
