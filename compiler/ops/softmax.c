#include "infer.h"

static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  int axis = infer_axis(layer, "axis", call_int(&layer->call, "axis"), arena, diag);
  if (axis < 0)
    return false;
  if (axis != layer->inputs[0]->shape.rank - 1) {
    diag_error(diag, infer_span(layer, "axis"), "`%s` works along the last axis only",
               layer->op->signature.name);
    diag_help(diag, "bring the axis to the end with `permute`");
    return false;
  }
  return infer_keep(layer, arena, diag);
}

const OpDef op_softmax = {
    .kind = OP_softmax,
    .name = "softmax",
    .signature = {.kind = SIG_LAYER,
                  .name = "softmax",
                  .keras_class = "Softmax",
                  .doc = "probabilities that sum to one along the last axis",
                  .formula = "y[k] = exp(x[k]) / sum over j of exp(x[j])",
                  .params = {{"axis", P_INT, "-1", NULL, "the axis that sums to one; only the last"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .samples = (const OpSample[]){{"softmax()", "5"}, {"softmax()", "3x3x4"}, {NULL, NULL}},
};

const OpDef op_log_softmax = {
    .kind = OP_log_softmax,
    .name = "log_softmax",
    .signature = {.kind = SIG_LAYER,
                  .name = "log_softmax",
                  .keras_class = "Activation",
                  .doc = "logarithm of the softmax along the last axis",
                  .formula = "y[k] = x[k] - log(sum over j of exp(x[j]))",
                  .params = {{"axis", P_INT, "-1", NULL, "the axis that sums to one; only the last"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .samples = (const OpSample[]){{"log_softmax()", "5"}, {"log_softmax()", "2x3x4"}, {NULL, NULL}},
};
