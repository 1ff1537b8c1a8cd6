#include "infer.h"

/* Keras: ZeroPadding2D, Cropping2D.  Sizes are top, bottom, left, right. */
static bool infer_sign(Layer *layer, const char *param, int sign, Arena *arena, Diag *diag) {
  if (!infer_image(layer, arena, diag) || !infer_at_least(layer, param, 0, diag))
    return false;
  const int64_t *size = call_ints(&layer->call, param);
  Shape in = layer->inputs[0]->shape;
  return infer_set(
      layer, 3,
      (int64_t[]){in.dim[0] + sign * (size[0] + size[1]), in.dim[1] + sign * (size[2] + size[3]), in.dim[2]},
      arena, diag);
}

static bool infer_padding(Layer *layer, Arena *arena, Diag *diag) {
  return infer_sign(layer, "padding", 1, arena, diag);
}

static bool infer_cropping(Layer *layer, Arena *arena, Diag *diag) {
  return infer_sign(layer, "cropping", -1, arena, diag);
}

const OpDef op_zero_padding = {
    .kind = OP_zero_padding,
    .name = "zero_padding",
    .signature = {.kind = SIG_LAYER,
                  .name = "zero_padding",
                  .aliases = "zero_padding2d zeropadding2d",
                  .keras_class = "ZeroPadding2D",
                  .doc = "adds rows and columns of zeros around an image",
                  .params = {{"padding", P_PADDING_SIZES, "1", NULL,
                              "n, (rows, columns) or ((top, bottom), (left, right))"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_padding,
    .samples = (const OpSample[]){{"zero_padding(1)", "3x4x2"},
                                  {"zero_padding(((0, 1), (2, 3)))", "3x3x2"},
                                  {NULL, NULL}},
};

const OpDef op_cropping = {
    .kind = OP_cropping,
    .name = "cropping",
    .signature = {.kind = SIG_LAYER,
                  .name = "cropping",
                  .aliases = "cropping2d",
                  .keras_class = "Cropping2D",
                  .doc = "cuts rows and columns off the edges of an image",
                  .params = {{"cropping", P_PADDING_SIZES, "0", NULL,
                              "n, (rows, columns) or ((top, bottom), (left, right))"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_cropping,
    .samples =
        (const OpSample[]){{"cropping(1)", "5x6x2"}, {"cropping(((1, 0), (2, 1)))", "4x6x3"}, {NULL, NULL}},
};
