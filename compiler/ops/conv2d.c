#include "infer.h"
#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"

/* out[h, w, f] = sum over the window and the group's channels of in * kernel[., ., c, f], plus bias[f].
 * Keras: Conv2D.  kernel (kh, kw, channels / groups, filters). */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  if (!infer_image(layer, arena, diag) || !infer_at_least(layer, "filters", 1, diag) ||
      !infer_at_least(layer, "kernel_size", 1, diag) || !infer_at_least(layer, "strides", 1, diag) ||
      !infer_at_least(layer, "dilation_rate", 1, diag) || !infer_at_least(layer, "groups", 1, diag))
    return false;
  const Call *call = &layer->call;
  const int64_t *kernel = call_ints(call, "kernel_size"), *stride = call_ints(call, "strides");
  const int64_t *dilation = call_ints(call, "dilation_rate");
  int64_t filters = call_int(call, "filters"), groups = call_int(call, "groups");
  int channels = layer->inputs[0]->shape.dim[2];
  if (channels % groups || filters % groups) {
    diag_error(diag, infer_span(layer, "groups"), "%lld groups do not divide %s", (long long)groups,
               channels % groups ? arena_printf(arena, "%d input channels", channels)
                                 : arena_printf(arena, "%lld filters", (long long)filters));
    if (channels % groups)
      infer_note_input(layer, 0, arena, diag);
    return false;
  }
  int64_t out[3];
  if (!infer_steps(layer, diag) || !infer_window(layer, "kernel_size", stride, dilation, arena, diag, out))
    return false;
  out[2] = filters;
  if (!infer_set(layer, 3, out, arena, diag))
    return false;
  Shape shape = {4, {(int)kernel[0], (int)kernel[1], (int)(channels / groups), (int)filters}};
  layer_add_weight(layer, "kernel", shape, true, call_call(call, "kernel_initializer"),
                   call_call(call, "kernel_regularizer"), call_call(call, "kernel_constraint"));
  if (call_bool(call, "use_bias"))
    layer_add_weight(layer, "bias", (Shape){1, {(int)filters}}, true, call_call(call, "bias_initializer"),
                     call_call(call, "bias_regularizer"), call_call(call, "bias_constraint"));
  return true;
}

/* ---- IR: conv2d(x, w [, bias] [, residual]), its two gradients, and packing.  conv2d_bwd_x(dy, w [, places]
 * [, bias] [, residual] [, mask]), conv2d_bwd_w(x, dy [, places]).  Mapped (passes/defer.c), conv2d and
 * conv2d_bwd_w end with scale and offset. ---- */

static Value *conv2d_lower(Builder *builder, const Layer *layer, Value **inputs) {
  Conv2d g = lower_conv(layer, inputs[0]->shape, layer->shape, (int)call_int(&layer->call, "groups"));
  Value *x = lower_take_padding(inputs[0], &g);
  Value *y = ir_binary(builder, OP_conv2d, x, ir_weight(builder, layer, "kernel"), layer->shape);
  y->def->attr.conv = g;
  return lower_activation(builder, layer, lower_bias(builder, layer, y));
}

static void conv2d_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  if (needed[1]) {
    Node *grad = ir_node(builder, OP_conv2d_bwd_w, 2, (Value *[]){node->in[0], dy[0]});
    grad->attr.conv = node->attr.conv;
    dx[1] = ir_output(grad, node->in[1]->shape, false, node->in[1]->name);
  }
  if (needed[0]) {
    dx[0] = ir_binary(builder, OP_conv2d_bwd_x, dy[0], node->in[1], node->in[0]->shape);
    dx[0]->name = node->in[0]->name;
    dx[0]->def->attr.conv = node->attr.conv;
  }
}

/* conv2d_bwd_x(x, w) as a layer (conv2d_transpose): the convolution itself leads back. */
static void conv2d_bwd_x_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  if (needed[1]) {
    Node *grad = ir_node(builder, OP_conv2d_bwd_w, 2, (Value *[]){dy[0], node->in[0]});
    grad->attr.conv = node->attr.conv;
    dx[1] = ir_output(grad, node->in[1]->shape, false, node->in[1]->name);
  }
  if (needed[0]) {
    dx[0] = ir_binary(builder, OP_conv2d, dy[0], node->in[1], node->in[0]->shape);
    dx[0]->name = node->in[0]->name;
    dx[0]->def->attr.conv = node->attr.conv;
  }
}

static int64_t conv2d_flops(const Node *node) {
  return conv_flops(&node->attr.conv);
}

static const char *kernel(Emitter *e, const Node *node, const char *what) {
  return conv_call(node->attr.algorithm, what, e->arena);
}

static void forward_emit(Emitter *e, const Node *node, const char *indent, ConvAlgorithm algorithm,
                         const Value *weights) {
  emit_line(e, "%sconv2d_fwd_%s%s, n, %s%s, %s, %s, %s, &m->work);", indent,
            conv_call(algorithm, emit_mapped(node), e->arena), emit_conv2d(e, &node->attr.conv),
            emit_value(e, node->in[0]), emit_channel_map(e, node), emit_value(e, weights),
            emit_epilogue(e, node, 2), emit_value(e, node->out[0]));
}

static void conv2d_emit(Emitter *e, const Node *node) {
  const NodeAttr *attr = &node->attr;
  if (attr->few_below) {
    /* In micro-batches, whose sizes depend on the threads, by the images of the call: bits do not. */
    emit_line(e, "if (%s < %d)", e->microbatch ? "m->images" : "n", attr->few_below);
    forward_emit(e, node, "  ", attr->few, node->in[node->in_count - 1]);
    emit_line(e, "else");
  }
  forward_emit(e, node, attr->few_below ? "  " : "", attr->algorithm, node->in[1]);
}

/* Where the maxima of a pooling that was worked in were (see select_pool.c). */
static const char *places_text(Emitter *e, const Node *node) {
  return node->attr.max_pool ? arena_printf(e->arena, "(const unsigned char *)%s", emit_value(e, node->in[2]))
                             : "NULL";
}

static void conv2d_bwd_x_emit(Emitter *e, const Node *node) {
  const NodeAttr *attr = &node->attr;
  bool ends = attr->has_bias || attr->has_residual || attr->masked || attr->act.kind != ACT_LINEAR;
  emit_line(e, "conv2d_bwd_x_%s%s, n, %s, %s%s, %s, %s, &m->work);", kernel(e, node, ""),
            emit_conv2d(e, &attr->conv), emit_value(e, node->in[0]), emit_value(e, node->in[1]),
            conv_tile(attr->algorithm) ? arena_printf(e->arena, ", %s", places_text(e, node)) : "",
            ends ? emit_epilogue(e, node, node_trailing(node)) : "NULL", emit_value(e, node->out[0]));
}

static void conv2d_bwd_w_emit(Emitter *e, const Node *node) {
  const char *winograds =
      conv_tile(node->attr.algorithm) ? arena_printf(e->arena, ", %s", places_text(e, node)) : "";
  emit_line(e, "conv2d_bwd_w_%s%s, n, %s%s, %s%s, %s, %s, &m->work);", kernel(e, node, emit_mapped(node)),
            emit_conv2d(e, &node->attr.conv), emit_value(e, node->in[0]), emit_channel_map(e, node),
            emit_value(e, node->in[1]), winograds, emit_value(e, node->out[0]),
            node->out_count > 1 ? emit_value(e, node->out[1]) : "NULL");
}

/* conv2d_pack(w): the layout that the chosen kernel wants; ints[0] = 1 for the data gradient. */
static void conv2d_pack_emit(Emitter *e, const Node *node) {
  emit_line(e, "conv2d_%s_%s%s, %s, %s, &m->work);", node->attr.ints[0] ? "bwd_x" : "fwd",
            kernel(e, node, "_pack"), emit_conv2d(e, &node->attr.conv), emit_value(e, node->in[0]),
            emit_value(e, node->out[0]));
}

static int64_t conv2d_scratch(const Node *node, int batch) {
  (void)batch;
  int64_t scratch = kernel_conv2d_scratch_floats(&node->attr.conv, node->attr.algorithm, node->op->kind);
  int64_t few = node->attr.few_below
                    ? kernel_conv2d_scratch_floats(&node->attr.conv, node->attr.few, node->op->kind)
                    : 0;
  return scratch > few ? scratch : few;
}

static void conv2d_print(const Node *node, void *out) {
  conv_print(&node->attr.conv, out);
  strbuf_printf(out, ", groups %d, %s", node->attr.conv.groups, conv_algorithm_names[node->attr.algorithm]);
  if (node->attr.has_bias || node->attr.has_residual || node->attr.act.kind)
    strbuf_printf(out, "%s%s, act %d", node->attr.has_bias ? ", bias" : "",
                  node->attr.has_residual ? ", residual" : "", node->attr.act.kind);
  if (node->attr.max_pool)
    strbuf_puts(out, ", max pool 2x2");
  if (node->attr.masked)
    strbuf_puts(out, ", masked");
  if (node->attr.mapped)
    strbuf_puts(out, ", mapped");
  if (node->attr.few_below)
    strbuf_printf(out, ", %s below %d images", conv_algorithm_names[node->attr.few], node->attr.few_below);
}

const OpDef op_conv2d = {
    .kind = OP_conv2d,
    .name = "conv2d",
    .signature =
        {
            .kind = SIG_LAYER,
            .name = "conv2d",
            .aliases = "convolution2d",
            .keras_class = "Conv2D",
            .doc = "two-dimensional convolution",
            .formula = "y[i, j, f] = activation(bias[f] + sum over u, v, c of "
                       "x[i*stride + u*dilation, j*stride + v*dilation, c] * kernel[u, v, c, f])",
            .params =
                {
                    PARAM_FILTERS,
                    PARAM_KERNEL_SIZE,
                    PARAM_STRIDES,
                    PARAM_PADDING("valid"),
                    PARAM_DATA_FORMAT,
                    PARAM_DILATION,
                    {"groups", P_INT, "1",
                     .doc = "channels are split into this many independent convolutions"},
                    PARAM_ACTIVATION,
                    PARAM_USE_BIAS,
                    PARAM_INITIALIZER("kernel", "glorot_uniform"),
                    PARAM_INITIALIZER("bias", "zeros"),
                    PARAM_REGULARIZER("kernel"),
                    PARAM_REGULARIZER("bias"),
                    PARAM_ACTIVITY_REGULARIZER,
                    PARAM_CONSTRAINT("kernel"),
                    PARAM_CONSTRAINT("bias"),
                },
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .lower = conv2d_lower,
    .gradient = conv2d_gradient,
    .flops = conv2d_flops,
    .scratch_floats = conv2d_scratch,
    .emit = conv2d_emit,
    .print_attrs = conv2d_print,
    .samples =
        (const OpSample[]){
            {"conv2d(5, 3x3)", "7x8x3"},
            {"conv2d(4, 3x3, same)", "6x5x2"},
            {"conv2d(5, 3x3, same, strides = 2, activation = relu)", "7x8x3"},
            {"conv2d(3, 1x1, use_bias = false)", "4x4x6"},
            {"conv2d(4, 3x3, same, dilation_rate = 2)", "9x7x3"},
            {"conv2d(6, 3x3, groups = 2)", "6x6x4"},
            {"conv2d(2, 2x3, strides = 2x1)", "5x6x3"},
            {NULL, NULL},
        },
};

const OpDef op_conv2d_bwd_x = {
    .kind = OP_conv2d_bwd_x,
    .name = "conv2d_bwd_x",
    .gradient = conv2d_bwd_x_gradient,
    .flops = conv2d_flops,
    .scratch_floats = conv2d_scratch,
    .emit = conv2d_bwd_x_emit,
    .print_attrs = conv2d_print,
};

const OpDef op_conv2d_bwd_w = {
    .kind = OP_conv2d_bwd_w,
    .name = "conv2d_bwd_w",
    .not_differentiable = true,
    .flops = conv2d_flops,
    .scratch_floats = conv2d_scratch,
    .emit = conv2d_bwd_w_emit,
    .print_attrs = conv2d_print,
};

const OpDef op_conv2d_pack = {
    .kind = OP_conv2d_pack,
    .name = "conv2d_pack",
    .not_differentiable = true,
    .emit = conv2d_pack_emit,
    .print_attrs = conv2d_print,
};
