#include "infer.h"
#include "../ir.h"
#include <string.h>

/* The network's input: pixels 0..255 of an image, or flat values.  Keras: InputLayer. */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  const Attr *shape = call_attr(&layer->call, "shape");
  if (shape->count != 1 && shape->count != 3) {
    diag_error(diag, shape->span,
               "an input is an image (height x width x channels) or flat, got %d dimensions", shape->count);
    diag_help(diag, "write `input(100x100x3)` for images, `input(784)` for flat values");
    return false;
  }
  const char *preprocess = call_text(&layer->call, "preprocess");
  bool colour = preprocess && (!strcmp(preprocess, "caffe") || !strcmp(preprocess, "torch"));
  if (colour && (shape->count != 3 || shape->ints[2] != 3)) {
    diag_error(diag, infer_span(layer, "preprocess"), "`%s` is made for three channels, got %lld", preprocess,
               (long long)shape->ints[shape->count - 1]);
    return false;
  }
  return infer_set(layer, shape->count, shape->ints, arena, diag);
}

/* The function's argument stands for it; preprocessing belongs to the 8-bit path of the data, before the
 * network. */
static Value *input_lower(Builder *builder, const Layer *layer, Value **inputs) {
  (void)layer;
  (void)inputs;
  return builder->function->input;
}

const OpDef op_input = {
    .kind = OP_input,
    .name = "input",
    .signature =
        {.kind = SIG_LAYER,
         .name = "input",
         .aliases = "input_layer",
         .keras_class = "InputLayer",
         .doc = "where images enter: pixels from 0 to 255, or flat values",
         .params = {{"shape", P_SHAPE, NULL, .doc = "height x width x channels, or a number of values"},
                    {"preprocess", P_CHOICE, "none", "none unit tf caffe torch",
                     .doc = "what 8-bit pixels go through: unit is x / 255, the others are what Keras's "
                            "pretrained networks expect; float data go in as they are"}}},
    .min_inputs = 0,
    .max_inputs = 0,
    .infer = infer,
    .lower = input_lower,
    .not_differentiable = true, /* images are not trained */
    .samples = (const OpSample[]){{NULL, NULL}},
};
