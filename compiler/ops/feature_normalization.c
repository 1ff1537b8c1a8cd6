#include "infer.h"
#include "lowering.h"

/* Keras: Normalization, with the statistics as weights: they come from a file, nothing here adapts them.
 * `count` is how many values they were taken from; it is only stored. */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  int axis = infer_axis(layer, "axis", call_int(&layer->call, "axis"), arena, diag);
  if (axis < 0)
    return false;
  Shape in = layer->inputs[0]->shape, channels = {1, {in.dim[in.rank - 1]}};
  if (axis != in.rank - 1) {
    diag_error(diag, infer_span(layer, "axis"), "`normalization` works on the last axis, the channels");
    return false;
  }
  layer_add_weight(layer, "mean", channels, false, call_builtin("zeros"), NULL, NULL);
  layer_add_weight(layer, "variance", channels, false, call_builtin("ones"), NULL, NULL);
  layer_add_weight(layer, "count", (Shape){.rank = 0}, false, call_builtin("zeros"), NULL, NULL);
  return infer_keep(layer, arena, diag);
}

/* Keras divides by max(sqrt(variance), 1e-7); a batch normalisation on fixed statistics with epsilon 1e-14
 * agrees with it to rounding wherever the variance is not that small. */
static Value *lower(Builder *builder, const Layer *layer, Value **inputs) {
  Value *in[3] = {inputs[0], ir_weight(builder, layer, "mean"), ir_weight(builder, layer, "variance")};
  Node *node = ir_node(builder, OP_batchnorm_infer, 3, in);
  node->attr.floats[0] = 1e-14;
  return ir_output(node, layer->shape, true, layer->name);
}

const OpDef op_normalization = {
    .kind = OP_normalization,
    .name = "normalization",
    .signature = {.kind = SIG_LAYER,
                  .name = "normalization",
                  .keras_class = "Normalization",
                  .doc = "shifts and scales each channel by statistics that a weights file holds",
                  .formula = "y = (x - mean) / max(sqrt(variance), 1e-7)",
                  .params = {{"axis", P_INT, "-1",
                              .doc = "the axis that keeps its own statistics: the last"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .lower = lower,
    .not_differentiable = true /* lowered to batchnorm_infer */,
    .samples = (const OpSample[]){{"normalization()", "4x5x3"}, {"normalization()", "7"}, {NULL, NULL}},
};
