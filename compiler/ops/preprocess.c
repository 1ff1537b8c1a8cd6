#include "infer.h"
#include <string.h>

/* Keras: Rescaling; scale and offset may be lists, one entry per channel. */
static bool infer_rescaling(Layer *layer, Arena *arena, Diag *diag) {
  Shape in = layer->inputs[0]->shape;
  static const char *const names[] = {"scale", "offset"};
  for (int i = 0; i < 2; i++) {
    int count = call_attr(&layer->call, names[i])->count;
    if (count == 1 || count == in.dim[in.rank - 1])
      continue;
    diag_error(diag, infer_span(layer, names[i]), "`%s` wants one number or one per channel (%d), got %d",
               names[i], in.dim[in.rank - 1], count);
    infer_note_input(layer, 0, arena, diag);
    return false;
  }
  return infer_keep(layer, arena, diag);
}

/* The preprocessing that a pretrained base was trained with; Keras:
 * applications.imagenet_utils.preprocess_input. */
static bool infer_preprocess(Layer *layer, Arena *arena, Diag *diag) {
  Shape in = layer->inputs[0]->shape;
  const char *mode = call_text(&layer->call, "mode");
  if (strcmp(mode, "tf") && (in.rank != 3 || in.dim[2] != 3)) {
    diag_error(diag, infer_span(layer, "mode"), "preprocessing `%s` is for images of 3 channels, got %s",
               mode, infer_shape_text(arena, in));
    infer_note_input(layer, 0, arena, diag);
    return false;
  }
  return infer_keep(layer, arena, diag);
}

const OpDef op_rescaling = {
    .kind = OP_rescaling,
    .name = "rescaling",
    .signature = {.kind = SIG_LAYER,
                  .name = "rescaling",
                  .keras_class = "Rescaling",
                  .doc = "multiplies and shifts all values, as 1/255 for pixels",
                  .formula = "y = x * scale + offset",
                  .params = {{"scale", P_FLOATS, NULL, NULL, "factor, or one per channel"},
                             {"offset", P_FLOATS, "0.0", NULL, "added after, or one per channel"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_rescaling,
    .samples = (const OpSample[]){{"rescaling(0.00784, -1.0)", "4x4x3"},
                                  {"rescaling([0.1, 0.2], [1.0, 2.0])", "3x3x2"},
                                  {NULL, NULL}},
};

const OpDef op_preprocess = {
    .kind = OP_preprocess,
    .name = "preprocess",
    .signature = {.kind = SIG_LAYER,
                  .name = "preprocess",
                  .aliases = "preprocess_input",
                  .keras_class = "Preprocess",
                  .doc = "the preprocessing of Keras's pretrained networks",
                  .formula = "caffe: RGB to BGR, minus (103.939, 116.779, 123.68); tf: x / 127.5 - 1; "
                             "torch: (x / 255 - (.485, .456, .406)) / (.229, .224, .225)",
                  .params = {{"mode", P_CHOICE, NULL, "caffe tf torch", "which one"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_preprocess,
    .samples = (const OpSample[]){{"preprocess(caffe)", "4x4x3"},
                                  {"preprocess(tf)", "3x3x3"},
                                  {"preprocess(torch)", "4x5x3"},
                                  {NULL, NULL}},
};
