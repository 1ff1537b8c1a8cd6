#include "axes.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"
#include <string.h>

static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  Axes axes;
  return axes_of(layer, "axis", arena, diag, &axes) && infer_keep(layer, arena, diag);
}

/* ---- IR: softmax(x), log_softmax(x) over the last axis, and their gradients from y; other axes
 * are brought there ---- */

static Value *softmax_lower(Builder *builder, const Layer *layer, Value **inputs) {
  Axes axes = axes_checked(layer, "axis");
  Value *x = axes_to_end(builder, inputs[0], axes);
  return axes_restore(builder, ir_unary(builder, layer->op->kind, x, x->shape), axes, layer->shape);
}

static void softmax_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)needed;
  OpKind kind = node_is(node, OP_softmax) ? OP_softmax_bwd : OP_log_softmax_bwd;
  dx[0] = ir_binary(builder, kind, dy[0], node->out[0], node->in[0]->shape);
}

static int last_axis(const Value *value) {
  return value->shape.dim[value->shape.rank - 1];
}

static void softmax_emit(Emitter *e, const Node *node) {
  int channels = last_axis(node->in[0]);
  emit_line(e, "%s_fwd((int64_t)n * %lld, %d, %s, %s, &m->work);", node->op->name,
            (long long)(value_floats(node->in[0]) / channels), channels, emit_value(e, node->in[0]),
            emit_value(e, node->out[0]));
}

static void softmax_bwd_emit(Emitter *e, const Node *node) {
  int channels = last_axis(node->in[0]);
  emit_line(e, "%s((int64_t)n * %lld, %d, %s, %s, %s, &m->work);", node->op->name,
            (long long)(value_floats(node->in[0]) / channels), channels, emit_value(e, node->in[1]),
            emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

const OpDef op_softmax = {
    .kind = OP_softmax,
    .name = "softmax",
    .signature = {.kind = SIG_LAYER,
                  .name = "softmax",
                  .keras_class = "Softmax",
                  .doc = "probabilities that sum to one along an axis, or several",
                  .formula = "y[k] = exp(x[k]) / sum over j of exp(x[j])",
                  .params = {{"axis", P_INTS, "-1",
                              .doc = "the axis, or axes, that sum to one: 1 is the first, -1 the last"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .lower = softmax_lower,
    .gradient = softmax_gradient,
    .emit = softmax_emit,
    .samples = (const OpSample[]){{"softmax()", "5"},
                                  {"softmax()", "3x3x4"},
                                  {"softmax(axis = 1)", "3x5x4"},
                                  {"softmax((1, -1))", "3x5x4"},
                                  {NULL, NULL}},
};

const OpDef op_log_softmax = {
    .kind = OP_log_softmax,
    .name = "log_softmax",
    .signature =
        {.kind = SIG_LAYER,
         .name = "log_softmax",
         .keras_class = "Activation",
         .doc = "logarithm of the softmax along an axis, or several",
         .formula = "y[k] = x[k] - log(sum over j of exp(x[j]))",
         .params = {{"axis", P_INTS, "-1",
                     .doc =
                         "the axis, or axes, whose exponentials sum to one: 1 is the first, -1 the last"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .lower = softmax_lower,
    .gradient = softmax_gradient,
    .emit = softmax_emit,
    .samples =
        (const OpSample[]){
            {"log_softmax()", "5"}, {"log_softmax()", "2x3x4"}, {"log_softmax(2)", "2x5x4"}, {NULL, NULL}},
};

const OpDef op_softmax_bwd = {
    .kind = OP_softmax_bwd,
    .name = "softmax_bwd",
    .not_differentiable = true,
    .in_place = true,
    .emit = softmax_bwd_emit,
};

const OpDef op_log_softmax_bwd = {
    .kind = OP_log_softmax_bwd,
    .name = "log_softmax_bwd",
    .not_differentiable = true,
    .in_place = true,
    .emit = softmax_bwd_emit,
};
