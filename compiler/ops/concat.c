#include "infer.h"
#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"
#include <string.h>

/* Keras: Concatenate.  All axes but one agree. */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  int axis = infer_axis(layer, "axis", call_int(&layer->call, "axis"), arena, diag);
  if (axis < 0)
    return false;
  Shape first = layer->inputs[0]->shape;
  int64_t dims[SHAPE_MAX_RANK] = {0};
  for (int i = 0; i < layer->input_count; i++) {
    Shape in = layer->inputs[i]->shape;
    bool good = in.rank == first.rank;
    for (int k = 0; good && k < in.rank; k++)
      good = k == axis || in.dim[k] == first.dim[k];
    if (!good) {
      diag_error(diag, layer->span, "`concat` of %s and %s along axis %d: the other axes differ",
                 infer_shape_text(arena, first), infer_shape_text(arena, in), axis + 1);
      infer_note_input(layer, 0, arena, diag);
      infer_note_input(layer, i, arena, diag);
      return false;
    }
    for (int k = 0; k < in.rank; k++)
      dims[k] = k == axis ? dims[k] + in.dim[k] : in.dim[k];
  }
  return infer_set(layer, first.rank, dims, arena, diag);
}

/* ---- IR: concat(x...) and slice(x) along an axis; ints[0]: axis (0 = the first after the batch), ints[1]:
 * begin ----
 *
 * Seen as rows: everything before the axis, times the batch, are rows; a part is a run of floats in each. */

static int64_t run_floats(const Value *value, int axis) {
  int64_t run = 1;
  for (int i = axis; i < value->shape.rank; i++)
    run *= value->shape.dim[i];
  return run;
}

static int64_t rows_before(const Value *value, int axis) {
  return value_floats(value) / run_floats(value, axis);
}

static Value *concat_lower(Builder *builder, const Layer *layer, Value **inputs) {
  int axis = (int)call_int(&layer->call, "axis");
  /* Keras counts the batch as axis 0. */
  return lower_concat(builder, inputs, layer->input_count, axis < 0 ? axis + layer->shape.rank : axis - 1);
}

static void concat_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  int axis = (int)node->attr.ints[0], begin = 0;
  for (int i = 0; i < node->in_count; i++) {
    int count = node->in[i]->shape.dim[axis];
    if (needed[i]) {
      dx[i] = lower_slice(builder, dy[0], axis, begin, count);
      dx[i]->name = node->in[i]->name;
    }
    begin += count;
  }
}

static void concat_emit(Emitter *e, const Node *node) {
  int axis = (int)node->attr.ints[0];
  bool channels = axis == node->out[0]->shape.rank - 1; /* which may lie in a wider concatenation */
  int64_t whole = channels ? value_row_floats(node->out[0]) : run_floats(node->out[0], axis), at = 0;
  for (int i = 0; i < node->in_count; i++) {
    const Value *in = node->in[i];
    int64_t run = run_floats(in, axis), from = channels ? value_row_floats(in) : run;
    if (!in->sliced || in->storage != node->out[0]) /* else it is there already */
      emit_line(e, "copy_rows((int64_t)n * %lld, %lld, %s, %lld, %s + %lld, %lld, &m->work);",
                (long long)rows_before(in, axis), (long long)run, emit_value(e, in), (long long)from,
                emit_value(e, node->out[0]), (long long)at, (long long)whole);
    at += run;
  }
}

/* The gradient of a slice is zero outside it: only feature records are sliced before gradients are taken, and
 * those need none. */
static void slice_emit(Emitter *e, const Node *node) {
  int axis = (int)node->attr.ints[0];
  int64_t whole = run_floats(node->in[0], axis), run = run_floats(node->out[0], axis);
  int64_t unit = whole / node->in[0]->shape.dim[axis];
  emit_line(e, "copy_rows((int64_t)n * %lld, %lld, %s + %lld, %lld, %s, %lld, &m->work);",
            (long long)rows_before(node->in[0], axis), (long long)run, emit_value(e, node->in[0]),
            (long long)(unit * node->attr.ints[1]), (long long)whole, emit_value(e, node->out[0]),
            (long long)run);
}

static void concat_print(const Node *node, void *out) {
  strbuf_printf(out, "axis %lld, begin %lld", (long long)node->attr.ints[0], (long long)node->attr.ints[1]);
}

const OpDef op_concat = {
    .kind = OP_concat,
    .name = "concat",
    .signature = {.kind = SIG_LAYER,
                  .name = "concat",
                  .aliases = "concatenate",
                  .keras_class = "Concatenate",
                  .doc = "puts the inputs one after another along an axis",
                  .params = {{"axis", P_INT, "-1", .doc = "0 is the batch, -1 the channels"}}},
    .min_inputs = 2,
    .max_inputs = -1,
    .infer = infer,
    .lower = concat_lower,
    .gradient = concat_gradient,
    .emit = concat_emit,
    .print_attrs = concat_print,
    .samples = (const OpSample[]){{"concat()", "3x4x2 3x4x5"},
                                  {"concat(axis = 1)", "3x4x2 2x4x2"},
                                  {"concat()", "3 4 5"},
                                  {NULL, NULL}},
};

const OpDef op_slice = {
    .kind = OP_slice,
    .name = "slice",
    .not_differentiable = true,
    .emit = slice_emit,
    .print_attrs = concat_print,
};
