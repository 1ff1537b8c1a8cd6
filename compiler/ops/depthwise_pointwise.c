#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"

/* ---- IR: depthwise_pointwise(x, depthwise weights, packed 1x1 weights [, packed weights of the expansion [,
 * its bias]] [, bias of the depthwise convolution] [, bias] [, residual]), made by pass_pair of two or three
 * convolutions: attr.expand, attr.depthwise, attr.conv ---- */

static int64_t pointwise_flops(const Conv2d *g) {
  return (int64_t)2 * g->out_h * g->out_w * g->in_c * g->out_c;
}

int64_t depthwise_pointwise_flops(const Node *node, const Layer *layer) {
  const NodeAttr *attr = &node->attr;
  const Conv2d *g = &attr->depthwise;
  int64_t sum = 0;
  if (!layer || layer == node->layer)
    sum += pointwise_flops(&attr->conv);
  if (!layer || layer == attr->depthwise_layer)
    sum += (int64_t)2 * g->out_h * g->out_w * g->out_c * g->kernel_h * g->kernel_w;
  if (attr->expands && (!layer || layer == attr->expand_layer))
    sum += pointwise_flops(&attr->expand);
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
  const Conv2d *g = &node->attr.depthwise;
  if (node->attr.expands)
    strbuf_printf(out, "1x1, act %d, then ", node->attr.expand_act.kind);
  strbuf_printf(out, "%dx%d, stride %dx%d, pad %d,%d, dilation %dx%d, act %d, then 1x1%s%s, act %d",
                g->kernel_h, g->kernel_w, g->stride_h, g->stride_w, g->pad_top, g->pad_left, g->dilation_h,
                g->dilation_w, node->attr.depthwise_act.kind, node->attr.has_bias ? ", bias" : "",
                node->attr.has_residual ? ", residual" : "", node->attr.act.kind);
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
