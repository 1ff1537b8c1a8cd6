#include "infer.h"
#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"

/* Each channel has its own depth_multiplier filters; channel c's k-th result is output channel c * multiplier
 * + k. Keras: DepthwiseConv2D.  kernel (kh, kw, channels, multiplier). */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  if (!infer_image(layer, arena, diag) || !infer_at_least(layer, "kernel_size", 1, diag) ||
      !infer_at_least(layer, "strides", 1, diag) || !infer_at_least(layer, "depth_multiplier", 1, diag) ||
      !infer_at_least(layer, "dilation_rate", 1, diag))
    return false;
  const Call *call = &layer->call;
  const int64_t *kernel = call_ints(call, "kernel_size"), *stride = call_ints(call, "strides");
  const int64_t *dilation = call_ints(call, "dilation_rate");
  int64_t multiplier = call_int(call, "depth_multiplier");
  int channels = layer->inputs[0]->shape.dim[2];
  if (!infer_steps(layer, diag))
    return false;
  if (stride[0] != stride[1]) {
    diag_error(diag, infer_span(layer, "strides"),
               "a depthwise convolution steps equally in both directions");
    return false;
  }
  int64_t out[3];
  if (!infer_window(layer, "kernel_size", stride, dilation, arena, diag, out))
    return false;
  out[2] = channels * multiplier;
  if (!infer_set(layer, 3, out, arena, diag))
    return false;
  Shape shape = {4, {(int)kernel[0], (int)kernel[1], channels, (int)multiplier}};
  layer_add_weight(layer, "kernel", shape, true, call_call(call, "depthwise_initializer"),
                   call_call(call, "depthwise_regularizer"), call_call(call, "depthwise_constraint"));
  if (call_bool(call, "use_bias"))
    layer_add_weight(layer, "bias", (Shape){1, {(int)out[2]}}, true, call_call(call, "bias_initializer"),
                     call_call(call, "bias_regularizer"), call_call(call, "bias_constraint"));
  return true;
}

/* ---- IR: depthwise_conv2d(x, w [, bias]) and its gradients, mapped as those of conv2d.c; w is (R, S, C, M),
 * output channel c * M + m
 * ---- */

Value *lower_depthwise(Builder *builder, const Layer *layer, Value *x, Value *weight) {
  Shape out = layer->shape;
  out.dim[2] = weight->shape.dim[2] * weight->shape.dim[3];
  Conv2d g = lower_conv(layer, x->shape, out, x->shape.dim[2]);
  x = lower_take_padding(x, &g);
  Value *y = ir_binary(builder, OP_depthwise_conv2d, x, weight, out);
  y->def->attr.conv = g;
  return y;
}

static Value *depthwise_lower(Builder *builder, const Layer *layer, Value **inputs) {
  Value *y = lower_depthwise(builder, layer, inputs[0], ir_weight(builder, layer, "kernel"));
  return lower_activation(builder, layer, lower_bias(builder, layer, y));
}

static void depthwise_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  if (needed[1]) {
    Node *grad = ir_node(builder, OP_depthwise_conv2d_bwd_w, 2, (Value *[]){node->in[0], dy[0]});
    grad->attr.conv = node->attr.conv;
    dx[1] = ir_output(grad, node->in[1]->shape, false, node->in[1]->name);
  }
  if (needed[0]) {
    dx[0] = ir_binary(builder, OP_depthwise_conv2d_bwd_x, dy[0], node->in[1], node->in[0]->shape);
    dx[0]->name = node->in[0]->name;
    dx[0]->def->attr.conv = node->attr.conv;
  }
}

static int64_t depthwise_flops(const Node *node) {
  return conv_flops(&node->attr.conv);
}

static void depthwise_emit(Emitter *e, const Node *node) {
  emit_line(e, "depthwise_conv2d_fwd%s(%s, n, %s%s, %s, %s, %s, &m->work);", emit_mapped(node),
            emit_conv2d(e, &node->attr.conv), emit_value(e, node->in[0]), emit_channel_map(e, node),
            emit_value(e, node->in[1]), emit_epilogue(e, node, 2), emit_value(e, node->out[0]));
}

static void depthwise_bwd_emit(Emitter *e, const Node *node) {
  emit_line(e, "%s%s(%s, n, %s%s, %s, %s, &m->work);", node->op->name, emit_mapped(node),
            emit_conv2d(e, &node->attr.conv), emit_value(e, node->in[0]), emit_channel_map(e, node),
            emit_value(e, node->in[1]), emit_value(e, node->out[0]));
}

static int64_t depthwise_scratch(const Node *node, int batch) {
  (void)batch;
  return node->attr.mapped
             ? kernel_conv2d_mapped_scratch_floats(&node->attr.conv, CONV_DIRECT, node->op->kind)
             : kernel_conv2d_scratch_floats(&node->attr.conv, CONV_DIRECT, node->op->kind);
}

static void depthwise_print(const Node *node, void *out) {
  conv_print(&node->attr.conv, out);
  strbuf_printf(out, ", act %d%s", node->attr.act.kind, node->attr.mapped ? ", mapped" : "");
}

const OpDef op_depthwise_conv2d = {
    .kind = OP_depthwise_conv2d,
    .name = "depthwise_conv2d",
    .signature =
        {
            .kind = SIG_LAYER,
            .name = "depthwise_conv2d",
            .keras_class = "DepthwiseConv2D",
            .doc = "convolution of each channel by itself",
            .formula = "y[i, j, c*m + k] = activation(bias + sum over u, v of "
                       "x[i*stride + u, j*stride + v, c] * kernel[u, v, c, k])",
            .params =
                {
                    PARAM_KERNEL_SIZE,
                    PARAM_STRIDES,
                    PARAM_PADDING("valid"),
                    PARAM_DATA_FORMAT,
                    {"depth_multiplier", P_INT, "1", .doc = "output channels per input channel",
                     .range = "> 0"},
                    PARAM_DILATION,
                    PARAM_ACTIVATION,
                    PARAM_USE_BIAS,
                    PARAM_INITIALIZER("depthwise", "glorot_uniform"),
                    PARAM_INITIALIZER("bias", "zeros"),
                    PARAM_REGULARIZER("depthwise"),
                    PARAM_REGULARIZER("bias"),
                    PARAM_ACTIVITY_REGULARIZER,
                    PARAM_CONSTRAINT("depthwise"),
                    PARAM_CONSTRAINT("bias"),
                },
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .lower = depthwise_lower,
    .gradient = depthwise_gradient,
    .flops = depthwise_flops,
    .scratch_floats = depthwise_scratch,
    .emit = depthwise_emit,
    .print_attrs = depthwise_print,
    .samples =
        (const OpSample[]){
            {"depthwise_conv2d(3x3)", "6x7x4"},
            {"depthwise_conv2d(3x3, same, strides = 2)", "7x6x3"},
            {"depthwise_conv2d(5x5, same, use_bias = false)", "6x6x5"},
            {"depthwise_conv2d(3x3, depth_multiplier = 2, activation = relu6)", "5x5x3"},
            {NULL, NULL},
        },
};

const OpDef op_depthwise_conv2d_bwd_x = {
    .kind = OP_depthwise_conv2d_bwd_x,
    .name = "depthwise_conv2d_bwd_x",
    .not_differentiable = true,
    .flops = depthwise_flops,
    .scratch_floats = depthwise_scratch,
    .emit = depthwise_bwd_emit,
    .print_attrs = depthwise_print,
};

const OpDef op_depthwise_conv2d_bwd_w = {
    .kind = OP_depthwise_conv2d_bwd_w,
    .name = "depthwise_conv2d_bwd_w",
    .not_differentiable = true,
    .flops = depthwise_flops,
    .scratch_floats = depthwise_scratch,
    .emit = depthwise_bwd_emit,
    .print_attrs = depthwise_print,
};
