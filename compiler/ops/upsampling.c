#include "infer.h"

/* Keras: UpSampling2D. */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  if (!infer_image(layer, arena, diag) || !infer_at_least(layer, "size", 1, diag))
    return false;
  Shape in = layer->inputs[0]->shape;
  const int64_t *size = call_ints(&layer->call, "size");
  return infer_set(layer, 3, (int64_t[]){in.dim[0] * size[0], in.dim[1] * size[1], in.dim[2]}, arena, diag);
}

const OpDef op_upsampling = {
    .kind = OP_upsampling,
    .name = "upsampling",
    .signature =
        {.kind = SIG_LAYER,
         .name = "upsampling",
         .aliases = "up_sampling2d upsampling2d",
         .keras_class = "UpSampling2D",
         .doc = "repeats or interpolates pixels",
         .formula = "nearest: y[i, j, c] = x[i // size, j // size, c]; bilinear: between half-pixel centres",
         .params = {{"size", P_PAIR, "2", NULL, "factors of height and width"},
                    {"interpolation", P_CHOICE, "nearest", "nearest bilinear", "how new pixels are made"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .samples = (const OpSample[]){{"upsampling(2)", "3x4x5"},
                                  {"upsampling(2x3)", "3x2x4"},
                                  {"upsampling(2, bilinear)", "3x4x2"},
                                  {NULL, NULL}},
};
