#include "infer.h"
#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"

/* Keras: MaxPooling2D, AveragePooling2D.  `same` average pooling divides by the count of valid pixels. */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  if (!infer_image(layer, arena, diag) || !infer_at_least(layer, "pool_size", 1, diag) ||
      !infer_at_least(layer, "strides", 1, diag))
    return false;
  int64_t out[3];
  if (!infer_window(layer, "pool_size", infer_pool_strides(layer), NULL, arena, diag, out))
    return false;
  out[2] = layer->inputs[0]->shape.dim[2];
  return infer_set(layer, 3, out, arena, diag);
}

/* Keras: GlobalMaxPooling2D, GlobalAveragePooling2D. */
static bool infer_global(Layer *layer, Arena *arena, Diag *diag) {
  if (!infer_image(layer, arena, diag))
    return false;
  int64_t channels = layer->inputs[0]->shape.dim[2];
  if (call_bool(&layer->call, "keepdims"))
    return infer_set(layer, 3, (int64_t[]){1, 1, channels}, arena, diag);
  return infer_set(layer, 1, &channels, arena, diag);
}

#define POOL_PARAMS                                                                                          \
  {                                                                                                          \
    {"pool_size", P_PAIR, "2", .doc = "height and width of the window", .range = "> 0"},                     \
        {"strides", P_PAIR, "none", .doc = "step of the window; none: the window's size", .range = "> 0"},   \
        PARAM_PADDING("valid"), PARAM_DATA_FORMAT,                                                           \
  }
#define GLOBAL_PARAMS                                                                                        \
  { PARAM_DATA_FORMAT, {"keepdims", P_BOOL, "false", .doc = "keep height and width as 1x1"}, }

/* ---- IR: maxpool, avgpool, global pools, and their gradients ---- */

/* Whether no value is below zero, by what made it. */
static bool never_negative(const Value *x) {
  if (!node_is(x->def, OP_activation))
    return false;
  const Act *act = &x->def->attr.act;
  return act->kind == ACT_RELU6 || act->kind == ACT_SIGMOID ||
         (act->kind == ACT_RELU && act->b == 0 && act->c == 0);
}

/* maxpool(zero_padding(x)), x never negative: pads itself, since a zero outside is never above the largest
 * value inside.  Where the two are equal the gradient may go to another zero; an activation's gradient is 0
 * there. */
static Value *take_padding(const Layer *layer, Value *x, Pool2d *g) {
  const Node *pad = x->def;
  if (layer->op->kind != OP_maxpool || !node_is(pad, OP_zero_padding) || !never_negative(pad->in[0]))
    return x;
  Pool2d taken = *g;
  if (!lower_take_axis(pad, 0, g->out_h, g->pool_h, g->stride_h, &taken.in_h, &taken.pad_top) ||
      !lower_take_axis(pad, 1, g->out_w, g->pool_w, g->stride_w, &taken.in_w, &taken.pad_left))
    return x;
  *g = taken;
  return pad->in[0];
}

static Value *pool_lower(Builder *builder, const Layer *layer, Value **inputs) {
  const int64_t *size = call_ints(&layer->call, "pool_size"), *stride = infer_pool_strides(layer);
  Shape in = inputs[0]->shape, out = layer->shape;
  Pool2d g = {.in_h = in.dim[0],
              .in_w = in.dim[1],
              .channels = in.dim[2],
              .out_h = out.dim[0],
              .out_w = out.dim[1],
              .pool_h = (int)size[0],
              .pool_w = (int)size[1],
              .stride_h = (int)stride[0],
              .stride_w = (int)stride[1],
              .in_ld = in.dim[2],
              .out_ld = out.dim[2]};
  g.pad_top = lower_padding(layer, g.in_h, g.out_h, g.pool_h, g.stride_h);
  g.pad_left = lower_padding(layer, g.in_w, g.out_w, g.pool_w, g.stride_w);
  Value *y = ir_unary(builder, layer->op->kind, take_padding(layer, inputs[0], &g), out);
  y->def->attr.pool = g;
  return y;
}

static void pool_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)needed;
  bool max = node_is(node, OP_maxpool);
  Value *in[3] = {dy[0], node->in[0], node->out[0]};
  Node *grad = ir_node(builder, max ? OP_maxpool_bwd : OP_avgpool_bwd, max ? 3 : 1, in);
  grad->attr.pool = node->attr.pool;
  dx[0] = ir_output(grad, node->in[0]->shape, true, node->in[0]->name);
}

/* maxpool has a second output in steps: where in their windows the maxima were, in bytes. */
static void pool_emit(Emitter *e, const Node *node) {
  if (node->out_count > 1) {
    emit_line(e, "maxpool_fwd_places(%s, n, %s, %s, (unsigned char *)%s, &m->work);",
              emit_pool2d(e, &node->attr.pool), emit_value(e, node->in[0]), emit_value(e, node->out[0]),
              emit_value(e, node->out[1]));
    return;
  }
  emit_line(e, "%s_fwd(%s, n, %s, %s, &m->work);", node->op->name, emit_pool2d(e, &node->attr.pool),
            emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

/* maxpool_bwd(dy, x, y) or maxpool_bwd(dy, places) */
static void maxpool_bwd_emit(Emitter *e, const Node *node) {
  if (node->in_count == 2) {
    emit_line(e, "maxpool_bwd_places(%s, n, (const unsigned char *)%s, %s, %s, &m->work);",
              emit_pool2d(e, &node->attr.pool), emit_value(e, node->in[1]), emit_value(e, node->in[0]),
              emit_value(e, node->out[0]));
    return;
  }
  emit_line(e, "maxpool_bwd(%s, n, %s, %s, %s, %s, &m->work);", emit_pool2d(e, &node->attr.pool),
            emit_value(e, node->in[1]), emit_value(e, node->in[2]), emit_value(e, node->in[0]),
            emit_value(e, node->out[0]));
}

static void avgpool_bwd_emit(Emitter *e, const Node *node) {
  emit_line(e, "avgpool_bwd(%s, n, %s, %s, &m->work);", emit_pool2d(e, &node->attr.pool),
            emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

static void pool_print(const Node *node, void *out) {
  const Pool2d *g = &node->attr.pool;
  strbuf_printf(out, "%dx%d, stride %dx%d, pad %d,%d", g->pool_h, g->pool_w, g->stride_h, g->stride_w,
                g->pad_top, g->pad_left);
}

static Value *global_lower(Builder *builder, const Layer *layer, Value **inputs) {
  return ir_unary(builder, layer->op->kind, inputs[0], layer->shape);
}

static void global_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)needed;
  bool max = node_is(node, OP_global_maxpool);
  Value *in[3] = {dy[0], node->in[0], node->out[0]};
  Node *grad = ir_node(builder, max ? OP_global_maxpool_bwd : OP_global_avgpool_bwd, max ? 3 : 1, in);
  dx[0] = ir_output(grad, node->in[0]->shape, true, node->in[0]->name);
}

static void global_avgpool_emit(Emitter *e, const Node *node) {
  Shape in = node->in[0]->shape;
  emit_line(e, "global_avgpool_fwd(n, %d, %d, %d, %s, %s, &m->work);", in.dim[0] * in.dim[1], in.dim[2],
            value_row_floats(node->in[0]), emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

static void global_maxpool_emit(Emitter *e, const Node *node) {
  Shape in = node->in[0]->shape;
  emit_line(e, "global_maxpool_fwd(n, %d, %d, %s, %s, &m->work);", in.dim[0] * in.dim[1], in.dim[2],
            emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

static void global_avgpool_bwd_emit(Emitter *e, const Node *node) {
  Shape out = node->out[0]->shape;
  emit_line(e, "global_avgpool_bwd(n, %d, %d, %s, %s, &m->work);", out.dim[0] * out.dim[1], out.dim[2],
            emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

static void global_maxpool_bwd_emit(Emitter *e, const Node *node) {
  Shape out = node->out[0]->shape;
  emit_line(e, "global_maxpool_bwd(n, %d, %d, %s, %s, %s, %s, &m->work);", out.dim[0] * out.dim[1],
            out.dim[2], emit_value(e, node->in[1]), emit_value(e, node->in[2]), emit_value(e, node->in[0]),
            emit_value(e, node->out[0]));
}

const OpDef op_maxpool = {
    .kind = OP_maxpool,
    .name = "maxpool",
    .signature = {.kind = SIG_LAYER,
                  .name = "maxpool",
                  .aliases = "max_pooling2d maxpool2d maxpooling2d",
                  .keras_class = "MaxPooling2D",
                  .doc = "largest value of each window",
                  .formula = "y[i, j, c] = max over u, v of x[i*stride + u, j*stride + v, c]",
                  .params = POOL_PARAMS},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .lower = pool_lower,
    .gradient = pool_gradient,
    .emit = pool_emit,
    .print_attrs = pool_print,
    .samples =
        (const OpSample[]){
            {"maxpool(2x2)", "6x8x3"},
            {"maxpool(3x3, strides = 2, padding = same)", "7x6x2"},
            {"maxpool(3x3, strides = 1)", "5x6x4"},
            {NULL, NULL},
        },
};

const OpDef op_avgpool = {
    .kind = OP_avgpool,
    .name = "avgpool",
    .signature = {.kind = SIG_LAYER,
                  .name = "avgpool",
                  .aliases = "average_pooling2d avgpool2d averagepooling2d avg_pooling2d",
                  .keras_class = "AveragePooling2D",
                  .doc = "mean of each window; padding is not counted",
                  .formula = "y[i, j, c] = mean over the valid u, v of x[i*stride + u, j*stride + v, c]",
                  .params = POOL_PARAMS},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .lower = pool_lower,
    .gradient = pool_gradient,
    .emit = pool_emit,
    .print_attrs = pool_print,
    .samples =
        (const OpSample[]){
            {"avgpool(2x2)", "6x8x3"},
            {"avgpool(3x3, strides = 1, padding = same)", "5x6x2"},
            {"avgpool(3x3, strides = 2)", "7x7x4"},
            {NULL, NULL},
        },
};

const OpDef op_global_avgpool = {
    .kind = OP_global_avgpool,
    .name = "global_avgpool",
    .signature = {.kind = SIG_LAYER,
                  .name = "global_avgpool",
                  .aliases = "global_average_pooling2d global_avgpool2d globalaveragepooling2d",
                  .keras_class = "GlobalAveragePooling2D",
                  .doc = "mean over all pixels of each channel",
                  .formula = "y[c] = mean over i, j of x[i, j, c]",
                  .params = GLOBAL_PARAMS},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_global,
    .lower = global_lower,
    .gradient = global_gradient,
    .emit = global_avgpool_emit,
    .samples = (const OpSample[]){{"global_avgpool()", "5x6x3"},
                                  {"global_avgpool(keepdims = true)", "4x3x2"},
                                  {NULL, NULL}},
};

const OpDef op_global_maxpool = {
    .kind = OP_global_maxpool,
    .name = "global_maxpool",
    .signature = {.kind = SIG_LAYER,
                  .name = "global_maxpool",
                  .aliases = "global_max_pooling2d global_maxpool2d globalmaxpooling2d",
                  .keras_class = "GlobalMaxPooling2D",
                  .doc = "largest value of each channel over all pixels",
                  .formula = "y[c] = max over i, j of x[i, j, c]",
                  .params = GLOBAL_PARAMS},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_global,
    .lower = global_lower,
    .gradient = global_gradient,
    .emit = global_maxpool_emit,
    .samples = (const OpSample[]){{"global_maxpool()", "5x6x3"},
                                  {"global_maxpool(keepdims = true)", "4x3x2"},
                                  {NULL, NULL}},
};

const OpDef op_maxpool_bwd = {
    .kind = OP_maxpool_bwd,
    .name = "maxpool_bwd",
    .not_differentiable = true,
    .emit = maxpool_bwd_emit,
    .print_attrs = pool_print,
};

const OpDef op_avgpool_bwd = {
    .kind = OP_avgpool_bwd,
    .name = "avgpool_bwd",
    .not_differentiable = true,
    .emit = avgpool_bwd_emit,
    .print_attrs = pool_print,
};

const OpDef op_global_avgpool_bwd = {
    .kind = OP_global_avgpool_bwd,
    .name = "global_avgpool_bwd",
    .not_differentiable = true,
    .emit = global_avgpool_bwd_emit,
};

const OpDef op_global_maxpool_bwd = {
    .kind = OP_global_maxpool_bwd,
    .name = "global_maxpool_bwd",
    .not_differentiable = true,
    .emit = global_maxpool_bwd_emit,
};
