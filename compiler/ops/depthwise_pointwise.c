#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"

/* ---- IR: depthwise_pointwise(x, depthwise weights, packed 1x1 weights [, packed weights of the expansion [,
 * its bias]] [, bias of the depthwise convolution] [, bias] [, residual]), made by pass_pair of two or three
 * convolutions: attr.expand, attr.depthwise, attr.conv ---- */

int64_t depthwise_pointwise_flops(const Node *node, const Layer *layer) {
  const NodeAttr *attr = &node->attr;
  int64_t sum = 0;
  if (!layer || layer == node->layer)
    sum += conv_flops(&attr->conv);
  if (!layer || layer == attr->depthwise_layer)
    sum += conv_flops(&attr->depthwise);
  if (attr->expands && (!layer || layer == attr->expand_layer))
    sum += conv_flops(&attr->expand);
  return sum;
}

static int64_t flops(const Node *node) {
  return depthwise_pointwise_flops(node, NULL);
}

static int64_t scratch(const Node *node, int batch) {
  (void)batch;
  return kernel_depthwise_pointwise_scratch_floats(&node->attr.depthwise, node->attr.expands);
}

static void emit(Emitter *e, const Node *node) {
  const NodeAttr *attr = &node->attr;
  int next = 3 + attr->expands;
  const char *expansion = "NULL";
  if (attr->expands)
    expansion = arena_printf(e->arena, "&(const Expansion){%s, %s, %s}", emit_conv2d(e, &attr->expand),
                             emit_value(e, node->in[3]),
                             emit_bias_and_act(e, node, attr->expand_bias, next, attr->expand_act));
  next += attr->expand_bias;
  const char *between = emit_bias_and_act(e, node, attr->depthwise_bias, next, attr->depthwise_act);
  emit_line(e, "depthwise_pointwise_fwd(%s, %s, n, %s, %s, %s, %s, %s, %s, %s, &m->work);",
            emit_conv2d(e, &attr->depthwise), emit_conv2d(e, &attr->conv), emit_value(e, node->in[0]),
            expansion, emit_value(e, node->in[1]), between, emit_value(e, node->in[2]),
            emit_epilogue(e, node, next + attr->depthwise_bias), emit_value(e, node->out[0]));
}

static void print(const Node *node, void *out) {
  if (node->attr.expands)
    strbuf_printf(out, "1x1, act %d, then ", node->attr.expand_act.kind);
  conv_print(&node->attr.depthwise, out);
  strbuf_printf(out, ", act %d, then 1x1%s%s, act %d", node->attr.depthwise_act.kind,
                node->attr.has_bias ? ", bias" : "", node->attr.has_residual ? ", residual" : "",
                node->attr.act.kind);
}

const OpDef op_depthwise_pointwise = {
    .kind = OP_depthwise_pointwise,
    .name = "depthwise_pointwise",
    .not_differentiable = true,
    .flops = flops,
    .scratch_floats = scratch,
    .emit = emit,
    .print_attrs = print,
};
