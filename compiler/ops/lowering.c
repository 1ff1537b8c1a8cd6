#include "lowering.h"
#include "infer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Value *lower_reshape(Builder *builder, Value *x, Shape shape) {
  if (shape_equal(x->shape, shape))
    return x;
  return ir_unary(builder, OP_reshape, x, shape);
}

Value *lower_concat(Builder *builder, Value **parts, int count, int axis) {
  Shape shape = parts[0]->shape;
  shape.dim[axis] = 0;
  for (int i = 0; i < count; i++)
    shape.dim[axis] += parts[i]->shape.dim[axis];
  Node *node = ir_node(builder, OP_concat, count, parts);
  node->attr.ints[0] = axis;
  return ir_output(node, shape, true, builder->layer ? builder->layer->name : "features");
}

Value *lower_slice(Builder *builder, Value *x, int axis, int begin, int count) {
  Shape shape = x->shape;
  shape.dim[axis] = count;
  Node *node = ir_node(builder, OP_slice, 1, &x);
  node->attr.ints[0] = axis;
  node->attr.ints[1] = begin;
  return ir_output(node, shape, true, builder->layer ? builder->layer->name : "slice");
}

Value *lower_act(Builder *builder, Value *x, Act act) {
  if (act.kind == ACT_LINEAR)
    return x;
  Value *y = ir_unary(builder, OP_activation, x, x->shape);
  y->def->attr.act = act;
  return y;
}

Value *lower_bias(Builder *builder, const Layer *layer, Value *x) {
  Value *bias = ir_weight(builder, layer, "bias");
  return bias ? ir_binary(builder, OP_bias_add, x, bias, x->shape) : x;
}

Value *lower_add(Builder *builder, Value **terms, int count) {
  Node *node = ir_node(builder, OP_add, count, terms);
  return ir_output(node, terms[0]->shape, terms[0]->batched,
                   terms[0]->name   ? terms[0]->name
                   : builder->layer ? builder->layer->name
                                    : NULL);
}

static float number(const Call *call, const char *name, float none) {
  const Attr *attr = call_attr(call, name);
  return attr->kind == ATTR_NONE ? none : attr->kind == ATTR_INT ? (float)attr->integer : (float)attr->number;
}

Act lower_act_of(const Call *call) {
  static const struct {
    const char *name;
    ActKind kind;
  } plain[] = {
      {"linear", ACT_LINEAR},
      {"relu6", ACT_RELU6},
      {"sigmoid", ACT_SIGMOID},
      {"tanh", ACT_TANH},
      {"swish", ACT_SWISH},
      {"silu", ACT_SWISH},
      {"selu", ACT_SELU},
      {"softplus", ACT_SOFTPLUS},
      {"softsign", ACT_SOFTSIGN},
      {"mish", ACT_MISH},
      {"hard_sigmoid", ACT_HARD_SIGMOID},
      {"hard_swish", ACT_HARD_SWISH},
      {"hard_silu", ACT_HARD_SWISH},
      {"exponential", ACT_EXPONENTIAL},
  };
  const char *name = call->signature->name;
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
    if (!strcmp(plain[i].name, name))
      return (Act){.kind = plain[i].kind};
  const float none = __builtin_inff();
  if (!strcmp(name, "relu"))
    return (Act){ACT_RELU, number(call, "max_value", none), number(call, "negative_slope", 0),
                 number(call, "threshold", 0)};
  if (!strcmp(name, "leaky_relu"))
    return (Act){ACT_RELU, none, number(call, "negative_slope", .2f), 0};
  if (!strcmp(name, "elu"))
    return (Act){ACT_ELU, number(call, "alpha", 1), 0, 0};
  if (!strcmp(name, "gelu"))
    return (Act){.kind = call_bool(call, "approximate") ? ACT_GELU_TANH : ACT_GELU};
  fprintf(stderr, "netc: bug: activation `%s` cannot be lowered\n", name);
  abort();
}

Value *lower_activation_call(Builder *builder, const Call *call, Value *x) {
  if (!call)
    return x;
  if (!strcmp(call->signature->name, "softmax"))
    return ir_unary(builder, OP_softmax, x, x->shape);
  if (!strcmp(call->signature->name, "log_softmax"))
    return ir_unary(builder, OP_log_softmax, x, x->shape);
  return lower_act(builder, x, lower_act_of(call));
}

/* The penalty on a layer's output, which autodiff adds to the loss (Keras: the sum over the whole batch). */
static void lower_activity_penalty(Builder *builder, const Layer *layer, Value *y) {
  const Call *regularizer = call_call(&layer->call, "activity_regularizer");
  if (!builder->training || !regularizer)
    return;
  Node *node = ir_node(builder, OP_activity_penalty, 1, &y);
  node->attr.call = regularizer;
  ir_output(node, (Shape){1, {1}}, false, "activity_penalty");
  ir_output(node, y->shape, true, "d_activity");
}

Value *lower_activation(Builder *builder, const Layer *layer, Value *x) {
  Value *y = lower_activation_call(builder, call_call(&layer->call, "activation"), x);
  lower_activity_penalty(builder, layer, y);
  return y;
}

int lower_padding(const Layer *layer, int in, int out, int reach, int stride) {
  int total = (out - 1) * stride + reach - in;
  return infer_same(layer) && total > 0 ? total / 2 : 0;
}

static Conv2d geometry(Shape in, Shape out, const int64_t *kernel, const int64_t *stride,
                       const int64_t *dilation, int groups) {
  return (Conv2d){.in_h = in.dim[0],
                  .in_w = in.dim[1],
                  .in_c = in.dim[2],
                  .out_h = out.dim[0],
                  .out_w = out.dim[1],
                  .out_c = out.dim[2],
                  .kernel_h = (int)kernel[0],
                  .kernel_w = (int)kernel[1],
                  .stride_h = (int)stride[0],
                  .stride_w = (int)stride[1],
                  .dilation_h = (int)dilation[0],
                  .dilation_w = (int)dilation[1],
                  .groups = groups,
                  .in_ld = in.dim[2],
                  .out_ld = out.dim[2]};
}

Conv2d lower_conv(const Layer *layer, Shape in, Shape out, int groups) {
  const Call *call = &layer->call;
  Conv2d g = geometry(in, out, call_ints(call, "kernel_size"), call_ints(call, "strides"),
                      call_ints(call, "dilation_rate"), groups);
  g.pad_top = lower_padding(layer, g.in_h, g.out_h, (int)conv_reach(g.kernel_h, g.dilation_h), g.stride_h);
  g.pad_left = lower_padding(layer, g.in_w, g.out_w, (int)conv_reach(g.kernel_w, g.dilation_w), g.stride_w);
  return g;
}

Conv2d lower_pointwise(Shape in, Shape out) {
  static const int64_t one[2] = {1, 1};
  return geometry(in, out, one, one, one, 1);
}

bool lower_take_axis(const Node *pad, int axis, int out, int reach, int stride, int *in, int *before) {
  *in = pad->in[0]->shape.dim[axis];
  *before += (int)pad->attr.ints[axis];
  int after = (out - 1) * stride + reach - *in - *before;
  return *before < reach && after < reach;
}

Value *lower_take_padding(Value *x, Conv2d *g) {
  const Node *pad = x->def;
  if (!node_is(pad, OP_zero_padding))
    return x;
  Conv2d taken = *g;
  int reach_h = (int)conv_reach(g->kernel_h, g->dilation_h),
      reach_w = (int)conv_reach(g->kernel_w, g->dilation_w);
  if (!lower_take_axis(pad, 0, g->out_h, reach_h, g->stride_h, &taken.in_h, &taken.pad_top) ||
      !lower_take_axis(pad, 1, g->out_w, reach_w, g->stride_w, &taken.in_w, &taken.pad_left))
    return x;
  *g = taken;
  return pad->in[0];
}
