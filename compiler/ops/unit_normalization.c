/* unit_normalization: the values along one axis, or several, as a vector of length 1. */
#include "axes.h"
#include "../emit/emit.h"

static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  Axes axes;
  return axes_of(layer, "axis", arena, diag, &axes) && infer_keep(layer, arena, diag);
}

/* ---- IR: unit_norm(x) of rows, and its gradient from x ---- */

static Value *unit_lower(Builder *builder, const Layer *layer, Value **inputs) {
  Axes axes = axes_checked(layer, "axis");
  Value *x = axes_to_end(builder, inputs[0], axes);
  return axes_restore(builder, ir_unary(builder, OP_unit_norm, x, x->shape), axes, layer->shape);
}

static void unit_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)needed;
  dx[0] = ir_binary(builder, OP_unit_norm_bwd, dy[0], node->in[0], node->in[0]->shape);
}

static void unit_emit(Emitter *e, const Node *node) {
  const Value *x = node->in[0];
  int size = x->shape.dim[x->shape.rank - 1];
  emit_line(e, "unit_norm_fwd((int64_t)n * %lld, %d, %s, %s, &m->work);", (long long)(value_floats(x) / size),
            size, emit_value(e, x), emit_value(e, node->out[0]));
}

static void unit_bwd_emit(Emitter *e, const Node *node) {
  const Value *x = node->in[1];
  int size = x->shape.dim[x->shape.rank - 1];
  emit_line(e, "unit_norm_bwd((int64_t)n * %lld, %d, %s, %s, %s, &m->work);",
            (long long)(value_floats(x) / size), size, emit_value(e, x), emit_value(e, node->in[0]),
            emit_value(e, node->out[0]));
}

const OpDef op_unit_normalization = {
    .kind = OP_unit_normalization,
    .name = "unit_normalization",
    .signature =
        {.kind = SIG_LAYER,
         .name = "unit_normalization",
         .aliases = "unit_norm",
         .keras_class = "UnitNormalization",
         .doc = "the numbers along an axis, or several, to a vector of length 1",
         .formula = "y = x / max(sqrt(sum of x^2), 1e-12)",
         .params = {{"axis", P_INTS, "-1",
                     .doc =
                         "the axis, or axes, over which the length is taken: 1 is the first, -1 the last"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .lower = unit_lower,
    .not_differentiable = true /* lowered to unit_norm */,
    .samples = (const OpSample[]){{"unit_normalization()", "7"},
                                  {"unit_normalization(axis = 1)", "3x4x5"},
                                  {"unit_normalization((1, 3))", "3x4x5"},
                                  {NULL, NULL}},
};

const OpDef op_unit_norm = {
    .kind = OP_unit_norm,
    .name = "unit_norm",
    .gradient = unit_gradient,
    .in_place = true,
    .emit = unit_emit,
};

const OpDef op_unit_norm_bwd = {
    .kind = OP_unit_norm_bwd,
    .name = "unit_norm_bwd",
    .not_differentiable = true,
    .in_place = true,
    .emit = unit_bwd_emit,
};
