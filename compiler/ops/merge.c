#include "infer.h"
#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"
#include <string.h>

/* Keras's merging layers: entry by entry, an axis of length 1 is repeated (a lower rank gets axes of length 1
 * in front). */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  Shape out = layer->inputs[0]->shape;
  for (int i = 1; i < layer->input_count; i++) {
    Shape in = layer->inputs[i]->shape;
    bool good = in.rank == out.rank;
    for (int k = 0; good && k < in.rank; k++) {
      good = in.dim[k] == out.dim[k] || in.dim[k] == 1 || out.dim[k] == 1;
      if (out.dim[k] == 1)
        out.dim[k] = in.dim[k];
    }
    if (!good) {
      diag_error(diag, layer->span, "`%s` of different shapes: %s and %s", layer->op->signature.name,
                 infer_shape_text(arena, layer->inputs[0]->shape), infer_shape_text(arena, in));
      infer_note_input(layer, 0, arena, diag);
      infer_note_input(layer, i, arena, diag);
      return false;
    }
  }
  layer->shape = out;
  return true;
}

/* ---- IR: merges of values of one shape; smaller inputs are broadcast first ---- */

/* x as a value of `shape`, repeated along axes where it has 1. */
static Value *broadcast_to(Builder *builder, Value *x, Shape shape) {
  if (shape_equal(x->shape, shape))
    return x;
  Shape padded = {shape.rank, {1, 1, 1, 1}};
  for (int i = 0; i < x->shape.rank; i++)
    padded.dim[shape.rank - x->shape.rank + i] = x->shape.dim[i];
  return ir_unary(builder, OP_broadcast, lower_reshape(builder, x, padded), shape);
}

/* Which of the two inputs of a product is one factor for each channel of the other, as in squeeze and
 * excitation; or -1. */
static int channel_factors(const Layer *layer, Value **inputs) {
  Shape out = layer->shape, factors = {3, {1, 1, out.dim[2]}};
  for (int i = 0; i < 2; i++)
    if (layer->op->kind == OP_multiply && layer->input_count == 2 && out.rank == 3 &&
        shape_equal(inputs[i]->shape, factors) && shape_equal(inputs[1 - i]->shape, out))
      return i;
  return -1;
}

static Value *merge_lower(Builder *builder, const Layer *layer, Value **inputs) {
  int factors = channel_factors(layer, inputs);
  if (factors >= 0) {
    Value *y = ir_binary(builder, OP_scale_channels, inputs[1 - factors], inputs[factors], layer->shape);
    y->name = layer->name;
    return y;
  }
  Value **same = arena_array(builder->module->arena, Value *, layer->input_count + 1);
  for (int i = 0; i < layer->input_count; i++)
    same[i] = broadcast_to(builder, inputs[i], layer->shape);
  Node *node = ir_node(builder, layer->op->kind, layer->input_count, same);
  return ir_output(node, layer->shape, true, layer->name);
}

/* "(int64_t)n * 123" for batched values, "123" for fixed ones. */
static const char *count_text(Emitter *e, const Value *value) {
  return arena_printf(e->arena, "%s%lld", value->batched ? "(int64_t)n * " : "",
                      (long long)value_floats(value));
}

/* "(const float *const[]){a, b}" of inputs [first, end) but `without` */
static const char *list_text(Emitter *e, const Node *node, int first, int end, int without) {
  StrBuf text = {0};
  for (int i = first; i < end; i++)
    if (i != without)
      strbuf_printf(&text, "%s%s", text.length ? ", " : "", emit_value(e, node->in[i]));
  const char *list = arena_printf(e->arena, "(const float *const[]){%s}", text.text);
  strbuf_free(&text);
  return list;
}

static void merge_emit(Emitter *e, const Node *node) {
  emit_line(e, "merge_%s_fwd(%s, %d, %s, %s, &m->work);", node->op->name, count_text(e, node->out[0]),
            node->in_count, list_text(e, node, 0, node->in_count, -1), emit_value(e, node->out[0]));
}

static void add_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)builder;
  for (int i = 0; i < node->in_count; i++)
    if (needed[i])
      dx[i] = dy[0];
}

static Value *scaled(Builder *builder, Value *dy, double factor, const char *name) {
  Value *dx = ir_unary(builder, OP_affine_channels, dy, dy->shape);
  dx->name = name;
  dx->def->attr.floats[0] = factor;
  dx->def->attr.ints[2] = 1; /* a plain factor, see preprocess.c */
  return dx;
}

static void subtract_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  if (needed[0])
    dx[0] = dy[0];
  if (needed[1])
    dx[1] = scaled(builder, dy[0], -1, node->in[1]->name);
}

static void average_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  for (int i = 0; i < node->in_count; i++)
    if (needed[i])
      dx[i] = scaled(builder, dy[0], 1.0 / node->in_count, node->in[i]->name);
}

/* By each input dy times all others. */
static void multiply_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  for (int i = 0; i < node->in_count; i++) {
    if (!needed[i])
      continue;
    Value **in = arena_array(builder->module->arena, Value *, node->in_count + 2);
    int count = 1;
    in[0] = dy[0];
    for (int k = 0; k < node->in_count; k++)
      if (k != i)
        in[count++] = node->in[k];
    Node *grad = ir_node(builder, OP_multiply, count, in);
    dx[i] = ir_output(grad, node->in[i]->shape, true, node->in[i]->name);
  }
}

/* scale_channels(x, factors): each channel of an image times a factor of its own; scale_channels_bwd(x, dy):
 * the gradient of the factors. */
static void scale_channels_gradient(Builder *builder, Node *node, Value **dy, const bool *needed,
                                    Value **dx) {
  Value *x = node->in[0], *factors = node->in[1];
  if (needed[0]) {
    dx[0] = ir_binary(builder, OP_scale_channels, dy[0], factors, x->shape);
    dx[0]->name = x->name;
  }
  if (needed[1]) {
    dx[1] = ir_binary(builder, OP_scale_channels_bwd, x, dy[0], factors->shape);
    dx[1]->name = factors->name;
  }
}

static void scale_channels_emit(Emitter *e, const Node *node) {
  Shape x = node->in[0]->shape;
  int pixels = x.dim[0] * x.dim[1];
  emit_line(e, "%s((int64_t)n * %d, %d, %d, %s, %s, %s, &m->work);",
            node_is(node, OP_scale_channels) ? "scale_channels_fwd" : "scale_channels_bwd_scale", pixels,
            pixels, x.dim[2], emit_value(e, node->in[0]), emit_value(e, node->in[1]),
            emit_value(e, node->out[0]));
}

/* maximum and minimum: extreme_bwd(dy, y, x...), ints[0]: which input */
static void extreme_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  for (int i = 0; i < node->in_count; i++) {
    if (!needed[i])
      continue;
    Value **in = arena_array(builder->module->arena, Value *, node->in_count + 3);
    in[0] = dy[0];
    in[1] = node->out[0];
    for (int k = 0; k < node->in_count; k++)
      in[2 + k] = node->in[k];
    Node *grad = ir_node(builder, OP_extreme_bwd, 2 + node->in_count, in);
    grad->attr.ints[0] = i;
    dx[i] = ir_output(grad, node->in[i]->shape, true, node->in[i]->name);
  }
}

static void extreme_bwd_emit(Emitter *e, const Node *node) {
  emit_line(e, "merge_extreme_bwd(%s, %lld, %s, %s, %s, %s, &m->work);", count_text(e, node->out[0]),
            (long long)node->attr.ints[0], list_text(e, node, 2, node->in_count, -1),
            emit_value(e, node->in[1]), emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

static const char *dims_text(Emitter *e, Shape s) {
  int d[3] = {1, 1, 1};
  for (int i = 0; i < s.rank; i++)
    d[3 - s.rank + i] = s.dim[i];
  return arena_printf(e->arena, "(const int[]){%d, %d, %d}", d[0], d[1], d[2]);
}

static void broadcast_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)needed;
  dx[0] = ir_unary(builder, OP_broadcast_bwd, dy[0], node->in[0]->shape);
  dx[0]->name = node->in[0]->name;
}

static void broadcast_emit(Emitter *e, const Node *node) {
  bool forward = node_is(node, OP_broadcast);
  const Value *wide = forward ? node->out[0] : node->in[0], *narrow = forward ? node->in[0] : node->out[0];
  emit_line(e, "%s(n, %s, %s, %s, %s, &m->work);", forward ? "broadcast_fwd" : "broadcast_bwd",
            dims_text(e, wide->shape), dims_text(e, narrow->shape), emit_value(e, node->in[0]),
            emit_value(e, node->out[0]));
}

#define MERGE(op, least, most, class, text, what, rule)                                                      \
  const OpDef op_##op = {                                                                                    \
      .kind = OP_##op,                                                                                       \
      .name = #op,                                                                                           \
      .signature = {.kind = SIG_LAYER, .name = #op, .keras_class = class, .doc = text, .formula = what},     \
      .min_inputs = least,                                                                                   \
      .max_inputs = most,                                                                                    \
      .infer = infer,                                                                                        \
      .lower = merge_lower,                                                                                  \
      .gradient = rule,                                                                                      \
      .emit = merge_emit,                                                                                    \
      .samples = (const OpSample[]){{#op "()", "3x4x2 3x4x2"}, {#op "()", "3x4x2 1x1x2"}, {NULL, NULL}},     \
  }

MERGE(subtract, 2, 2, "Subtract", "difference of two inputs", "y = a - b", subtract_gradient);
MERGE(average, 2, -1, "Average", "mean of the inputs, entry by entry", "y = (a + b + ...) / count",
      average_gradient);
MERGE(maximum, 2, -1, "Maximum", "largest of the inputs, entry by entry", "y = max(a, b, ...)",
      extreme_gradient);
MERGE(minimum, 2, -1, "Minimum", "smallest of the inputs, entry by entry", "y = min(a, b, ...)",
      extreme_gradient);

const OpDef op_add = {
    .kind = OP_add,
    .name = "add",
    .signature = {.kind = SIG_LAYER,
                  .name = "add",
                  .keras_class = "Add",
                  .doc = "sum of the inputs, entry by entry",
                  .formula = "y = a + b + ..."},
    .min_inputs = 2,
    .max_inputs = -1,
    .infer = infer,
    .lower = merge_lower,
    .gradient = add_gradient,
    .emit = merge_emit,
    .in_place = true,
    .samples =
        (const OpSample[]){
            {"add()", "3x4x2 3x4x2"}, {"add()", "5 5 5"}, {"add()", "3x4x2 1x1x2"}, {NULL, NULL}},
};

const OpDef op_multiply = {
    .kind = OP_multiply,
    .name = "multiply",
    .signature = {.kind = SIG_LAYER,
                  .name = "multiply",
                  .keras_class = "Multiply",
                  .doc = "product of the inputs, entry by entry",
                  .formula = "y = a * b * ..."},
    .min_inputs = 2,
    .max_inputs = -1,
    .infer = infer,
    .lower = merge_lower,
    .gradient = multiply_gradient,
    .emit = merge_emit,
    .in_place = true,
    .samples = (const OpSample[]){{"multiply()", "3x4x2 3x4x2"},
                                  {"multiply()", "4x4x3 1x1x3"},
                                  {"multiply()", "1x1x5 3x7x5"},
                                  {"multiply()", "5 5 5"},
                                  {NULL, NULL}},
};

const OpDef op_scale_channels = {
    .kind = OP_scale_channels,
    .name = "scale_channels",
    .in_place = true,
    .gradient = scale_channels_gradient,
    .emit = scale_channels_emit,
};

const OpDef op_scale_channels_bwd = {
    .kind = OP_scale_channels_bwd,
    .name = "scale_channels_bwd",
    .not_differentiable = true,
    .emit = scale_channels_emit,
};

const OpDef op_extreme_bwd = {
    .kind = OP_extreme_bwd,
    .name = "extreme_bwd",
    .not_differentiable = true,
    .emit = extreme_bwd_emit,
};

const OpDef op_broadcast = {
    .kind = OP_broadcast,
    .name = "broadcast",
    .gradient = broadcast_gradient,
    .emit = broadcast_emit,
};

const OpDef op_broadcast_bwd = {
    .kind = OP_broadcast_bwd,
    .name = "broadcast_bwd",
    .not_differentiable = true,
    .emit = broadcast_emit,
};
