#include "infer.h"

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

const OpDef op_concat = {
    .kind = OP_concat,
    .name = "concat",
    .signature = {.kind = SIG_LAYER,
                  .name = "concat",
                  .aliases = "concatenate",
                  .keras_class = "Concatenate",
                  .doc = "puts the inputs one after another along an axis",
                  .params = {{"axis", P_INT, "-1", NULL, "0 is the batch, -1 the channels"}}},
    .min_inputs = 2,
    .max_inputs = -1,
    .infer = infer,
    .samples = (const OpSample[]){{"concat()", "3x4x2 3x4x5"},
                                  {"concat(axis = 1)", "3x4x2 2x4x2"},
                                  {"concat()", "3 4 5"},
                                  {NULL, NULL}},
};
