#include "lowering.h"
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

Value *lower_take_padding(Value *x, Conv2d *g) {
  const Node *pad = x->def;
  if (!node_is(pad, OP_zero_padding))
    return x;
  Conv2d taken = *g;
  taken.in_h = pad->in[0]->shape.dim[0];
  taken.in_w = pad->in[0]->shape.dim[1];
  taken.pad_top += (int)pad->attr.ints[0];
  taken.pad_left += (int)pad->attr.ints[1];
  int window_h = (g->kernel_h - 1) * g->dilation_h + 1, window_w = (g->kernel_w - 1) * g->dilation_w + 1;
  int pad_bottom = (g->out_h - 1) * g->stride_h + window_h - taken.in_h - taken.pad_top;
  int pad_right = (g->out_w - 1) * g->stride_w + window_w - taken.in_w - taken.pad_left;
  /* Windows that see nothing but padding are not what the kernels are made for. */
  if (taken.pad_top >= window_h || taken.pad_left >= window_w || pad_bottom >= window_h ||
      pad_right >= window_w)
    return x;
  *g = taken;
  return pad->in[0];
}

int lower_same_padding(int in, int out, int window, int stride, int dilation) {
  int total = (out - 1) * stride + (window - 1) * dilation + 1 - in;
  return total > 0 ? total / 2 : 0;
}
