#include "infer.h"
#include "axes.h"
#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"
#include <string.h>

static bool infer_flatten(Layer *layer, Arena *arena, Diag *diag) {
  int64_t count = shape_count(layer->inputs[0]->shape);
  return infer_set(layer, 1, &count, arena, diag);
}

/* Keras: Reshape.  One dimension may be -1: what is left. */
static bool infer_reshape(Layer *layer, Arena *arena, Diag *diag) {
  const Attr *target = call_attr(&layer->call, "target_shape");
  int64_t count = shape_count(layer->inputs[0]->shape), known = 1, dims[SHAPE_MAX_RANK];
  int open = -1;
  if (target->count < 1 || target->count > SHAPE_MAX_RANK) {
    diag_error(diag, infer_span(layer, "target_shape"), "a shape has 1 to %d dimensions, got %d",
               (int)SHAPE_MAX_RANK, target->count);
    return false;
  }
  for (int i = 0; i < target->count; i++) {
    dims[i] = target->ints[i];
    if (dims[i] == -1 && open < 0) {
      open = i;
    } else if (dims[i] < 1) {
      diag_error(diag, infer_span(layer, "target_shape"),
                 "dimension %lld: each must be at least 1, one may be -1", (long long)dims[i]);
      return false;
    } else {
      known = known > count / dims[i] ? count + 1 : known * dims[i];
    }
  }
  if (open >= 0 && known <= count && count % known == 0)
    dims[open] = count / known;
  else if (open >= 0 || known != count) {
    diag_error(diag, infer_span(layer, "target_shape"), "%lld values do not fit into this shape",
               (long long)count);
    infer_note_input(layer, 0, arena, diag);
    return false;
  }
  return infer_set(layer, target->count, dims, arena, diag);
}

/* Keras: Permute.  Dimensions count from 1. */
static bool infer_permute(Layer *layer, Arena *arena, Diag *diag) {
  const Attr *order = call_attr(&layer->call, "dims");
  Shape in = layer->inputs[0]->shape;
  int64_t dims[SHAPE_MAX_RANK];
  bool seen[SHAPE_MAX_RANK + 1] = {false};
  bool good = order->count == in.rank;
  for (int i = 0; good && i < order->count; i++) {
    int64_t from = order->ints[i];
    good = from >= 1 && from <= in.rank && !seen[from];
    if (good) {
      seen[from] = true;
      dims[i] = in.dim[from - 1];
    }
  }
  if (!good) {
    diag_error(diag, infer_span(layer, "dims"), "`dims` must name each of 1 to %d once", in.rank);
    infer_note_input(layer, 0, arena, diag);
    return false;
  }
  return infer_set(layer, in.rank, dims, arena, diag);
}

/* ---- IR: reshape(x), a view ---- */

static Value *reshape_lower(Builder *builder, const Layer *layer, Value **inputs) {
  return lower_reshape(builder, inputs[0], layer->shape);
}

static void reshape_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)needed;
  dx[0] = lower_reshape(builder, dy[0], node->in[0]->shape);
}

static void reshape_emit(Emitter *e, const Node *node) {
  (void)e;
  (void)node; /* the same memory under another shape */
}

/* ---- IR: permute(x); ints[a]: the input's axis that becomes axis a, over four axes ---- */

static Value *permute_lower(Builder *builder, const Layer *layer, Value **inputs) {
  const Attr *dims = call_attr(&layer->call, "dims");
  int order[SHAPE_MAX_RANK];
  for (int a = 0; a < dims->count; a++)
    order[a] = (int)dims->ints[a] - 1;
  return axes_permute(builder, inputs[0], order);
}

static void permute_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)needed;
  dx[0] = ir_unary(builder, OP_permute, dy[0], node->in[0]->shape);
  dx[0]->name = node->in[0]->name;
  for (int a = 0; a < SHAPE_MAX_RANK; a++)
    dx[0]->def->attr.ints[node->attr.ints[a]] = a;
}

static void permute_emit(Emitter *e, const Node *node) {
  Shape in = node->in[0]->shape;
  int d[SHAPE_MAX_RANK] = {1, 1, 1, 1};
  const int64_t *order = node->attr.ints;
  for (int i = 0; i < in.rank; i++)
    d[SHAPE_MAX_RANK - in.rank + i] = in.dim[i];
  emit_line(
      e,
      "permute4(n, (const int[]){%d, %d, %d, %d}, (const int[]){%lld, %lld, %lld, %lld}, %s, %s, &m->work);",
      d[0], d[1], d[2], d[3], (long long)order[0], (long long)order[1], (long long)order[2],
      (long long)order[3], emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

const OpDef op_flatten = {
    .kind = OP_flatten,
    .name = "flatten",
    .signature = {.kind = SIG_LAYER,
                  .name = "flatten",
                  .keras_class = "Flatten",
                  .doc = "all values in a row: row by row, pixel by pixel, channels innermost",
                  .params = {PARAM_DATA_FORMAT}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_flatten,
    .lower = reshape_lower,
    .not_differentiable = true /* lowered to reshape */,
    .samples = (const OpSample[]){{"flatten()", "3x4x2"}, {"flatten()", "5"}, {NULL, NULL}},
};

const OpDef op_reshape = {
    .kind = OP_reshape,
    .name = "reshape",
    .signature = {.kind = SIG_LAYER,
                  .name = "reshape",
                  .keras_class = "Reshape",
                  .doc = "the same values under another shape",
                  .params = {{"target_shape", P_SHAPE, NULL,
                              .doc = "the new shape; one dimension may be -1"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_reshape,
    .lower = reshape_lower,
    .view = true,
    .gradient = reshape_gradient,
    .emit = reshape_emit,
    .samples = (const OpSample[]){{"reshape(4x6)", "2x3x4"}, {"reshape((2, -1))", "8"}, {NULL, NULL}},
};

const OpDef op_permute = {
    .kind = OP_permute,
    .name = "permute",
    .signature = {.kind = SIG_LAYER,
                  .name = "permute",
                  .keras_class = "Permute",
                  .doc = "exchanges axes",
                  .formula = "axis k of the output is axis dims[k] of the input",
                  .params = {{"dims", P_INTS, NULL, .doc = "the new order, counted from 1"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_permute,
    .lower = permute_lower,
    .gradient = permute_gradient,
    .emit = permute_emit,
    .samples = (const OpSample[]){{"permute((3, 1, 2))", "2x3x4"},
                                  {"permute((4, 1, 3, 2))", "2x3x4x5"},
                                  {"permute((2, 1))", "3x5"},
                                  {NULL, NULL}},
};
