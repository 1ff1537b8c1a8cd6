#include "infer.h"
#include "../ir.h"
#include <string.h>

/* What is said of image files must have images to do it with. */
static bool check_pixels(const Layer *layer, const Attr *shape, Diag *diag) {
  const Call *call = &layer->call;
  const char *asked = strcmp(call_text(call, "interpolation"), "bilinear") ? "interpolation"
                      : call_bool(call, "crop_to_aspect_ratio")            ? "crop_to_aspect_ratio"
                      : call_bool(call, "pad_to_aspect_ratio")             ? "pad_to_aspect_ratio"
                                                                           : NULL;
  if (asked && shape->count != 3) {
    diag_error(diag, infer_span(layer, asked), "`%s` is for images, the input is flat", asked);
    return false;
  }
  if (strcmp(call_text(call, "grayscale"), "pillow") && (shape->count != 3 || shape->ints[2] != 1)) {
    diag_error(diag, infer_span(layer, "grayscale"), "`grayscale` is for images of one channel");
    return false;
  }
  if (call_bool(&layer->call, "crop_to_aspect_ratio") && call_bool(&layer->call, "pad_to_aspect_ratio")) {
    diag_error(diag, infer_span(layer, "pad_to_aspect_ratio"),
               "`crop_to_aspect_ratio` and `pad_to_aspect_ratio` exclude each other");
    return false;
  }
  return true;
}

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
  return check_pixels(layer, shape, diag) && infer_set(layer, shape->count, shape->ints, arena, diag);
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
         .aliases = "input_layer Input",
         .keras_class = "InputLayer",
         .doc = "where images enter: pixels from 0 to 255, or flat values",
         .params = {{"shape", P_SHAPE, NULL, .doc = "height x width x channels, or a number of values"},
                    {"preprocess", P_CHOICE, "none", "none unit tf caffe torch",
                     .doc = "what 8-bit pixels go through: unit is x / 255, the others are what Keras's "
                            "pretrained networks expect; float data go in as they are"},
                    {"interpolation", P_CHOICE, "bilinear",
                     "bilinear nearest bicubic area lanczos3 lanczos5 gaussian mitchellcubic pillow_nearest "
                     "pillow_box pillow_bilinear pillow_hamming pillow_bicubic pillow_lanczos opencv_nearest "
                     "opencv_linear opencv_area opencv_cubic",
                     .doc = "how images of another size are resized: as image_dataset_from_directory does it "
                            "under this name, as load_img and flow_from_directory do (pillow_...; their own "
                            "default is pillow_nearest), or as cv2.resize does (opencv_...)"},
                    {"crop_to_aspect_ratio", P_BOOL, "false",
                     .doc = "the middle of the image that has the input's aspect ratio is taken first; "
                            "load_img calls it keep_aspect_ratio"},
                    {"pad_to_aspect_ratio", P_BOOL, "false",
                     .doc = "zeros are put around the image first, up to the input's aspect ratio"},
                    {"grayscale", P_CHOICE, "pillow", "pillow opencv",
                     .doc = "whose rounding is used where colour becomes one channel"}}},
    .min_inputs = 0,
    .max_inputs = 0,
    .infer = infer,
    .lower = input_lower,
    .not_differentiable = true, /* images are not trained */
    .samples = (const OpSample[]){{NULL, NULL}},
};
