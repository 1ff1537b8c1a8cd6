#include "infer.h"

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

#define MERGE(op, least, most, class, text, what)                                                            \
  const OpDef op_##op = {                                                                                    \
      .kind = OP_##op,                                                                                       \
      .name = #op,                                                                                           \
      .signature = {.kind = SIG_LAYER, .name = #op, .keras_class = class, .doc = text, .formula = what},     \
      .min_inputs = least,                                                                                   \
      .max_inputs = most,                                                                                    \
      .infer = infer,                                                                                        \
      .samples = (const OpSample[]){{#op "()", "3x4x2 3x4x2"}, {#op "()", "3x4x2 1x1x2"}, {NULL, NULL}},     \
  }

MERGE(subtract, 2, 2, "Subtract", "difference of two inputs", "y = a - b");
MERGE(average, 2, -1, "Average", "mean of the inputs, entry by entry", "y = (a + b + ...) / count");
MERGE(maximum, 2, -1, "Maximum", "largest of the inputs, entry by entry", "y = max(a, b, ...)");
MERGE(minimum, 2, -1, "Minimum", "smallest of the inputs, entry by entry", "y = min(a, b, ...)");

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
    .samples = (const OpSample[]){{"multiply()", "3x4x2 3x4x2"},
                                  {"multiply()", "4x4x3 1x1x3"},
                                  {"multiply()", "5 5 5"},
                                  {NULL, NULL}},
};
