/* random_flip, random_rotation, ...: Keras's augmentation layers; nothing while predicting. */
#include "infer.h"

#define PARAM_FILL                                                                                           \
  {"fill_mode", P_CHOICE, "reflect", "reflect constant wrap nearest",                                        \
   .doc = "what stands outside the image"},                                                                  \
  {                                                                                                          \
    "interpolation", P_CHOICE, "bilinear", "bilinear nearest", .doc = "how pixels between pixels are made"   \
  }
#define PARAM_SEED                                                                                           \
  { "seed", P_INT, "none", .doc = "a seed of its own; none: from the train section's" }
#define PARAM_FILL_VALUE                                                                                     \
  { "fill_value", P_FLOAT, "0.0", .doc = "the value outside for `constant`" }

static bool augment_infer(Layer *layer, Arena *arena, Diag *diag) {
  return infer_image(layer, arena, diag) && infer_keep(layer, arena, diag);
}

/* A factor is one number f, meaning [-f, f] (at most `most` of it), or two: from, to. */
static bool check_factor(const Layer *layer, const char *name, double least, double most, Diag *diag) {
  const Attr *factor = call_attr(&layer->call, name);
  if (factor->kind == ATTR_NONE)
    return true;
  bool right = factor->count == 1 || factor->count == 2;
  for (int i = 0; right && i < factor->count; i++)
    right = factor->floats[i] >= (factor->count == 1 ? 0 : least) && factor->floats[i] <= most;
  if (!right || (factor->count == 2 && factor->floats[0] > factor->floats[1])) {
    diag_error(diag, infer_span(layer, name),
               "`%s` is one number from 0 to %g, or two, from and to, between %g and %g", name, most, least,
               most);
    return false;
  }
  return true;
}

static bool random_rotation_infer(Layer *layer, Arena *arena, Diag *diag) {
  return check_factor(layer, "factor", -1, 1, diag) && augment_infer(layer, arena, diag);
}

static bool random_zoom_infer(Layer *layer, Arena *arena, Diag *diag) {
  return check_factor(layer, "height_factor", -1, 10, diag) &&
         check_factor(layer, "width_factor", -1, 10, diag) && augment_infer(layer, arena, diag);
}

static bool random_translation_infer(Layer *layer, Arena *arena, Diag *diag) {
  return check_factor(layer, "height_factor", -1, 1, diag) &&
         check_factor(layer, "width_factor", -1, 1, diag) && augment_infer(layer, arena, diag);
}

static bool random_contrast_infer(Layer *layer, Arena *arena, Diag *diag) {
  return check_factor(layer, "factor", 0, 1, diag) && augment_infer(layer, arena, diag);
}

static bool random_brightness_infer(Layer *layer, Arena *arena, Diag *diag) {
  const Attr *range = call_attr(&layer->call, "value_range");
  if (range->count != 2 || range->floats[0] >= range->floats[1]) {
    diag_error(diag, infer_span(layer, "value_range"), "`value_range` is two numbers, least and most");
    return false;
  }
  return check_factor(layer, "factor", -1, 1, diag) && augment_infer(layer, arena, diag);
}

static bool random_crop_infer(Layer *layer, Arena *arena, Diag *diag) {
  if (!infer_image(layer, arena, diag) || !infer_at_least(layer, "height", 1, diag) ||
      !infer_at_least(layer, "width", 1, diag))
    return false;
  Shape in = layer->inputs[0]->shape;
  int64_t height = call_int(&layer->call, "height"), width = call_int(&layer->call, "width");
  if (height > in.dim[0] || width > in.dim[1]) {
    diag_error(diag, infer_span(layer, height > in.dim[0] ? "height" : "width"),
               "a crop of %lldx%lld does not fit into %dx%d pixels", (long long)height, (long long)width,
               in.dim[0], in.dim[1]);
    infer_note_input(layer, 0, arena, diag);
    return false;
  }
  return infer_set(layer, 3, (int64_t[]){height, width, in.dim[2]}, arena, diag);
}

#define AUGMENT(op, class, text, rule, rules, cases, ...)                                                    \
  const OpDef op_##op = {                                                                                    \
      .kind = OP_##op,                                                                                       \
      .name = #op,                                                                                           \
      .signature = {SIG_LAYER, #op, NULL, class, text, rule, {__VA_ARGS__}},                                 \
      .min_inputs = 1,                                                                                       \
      .max_inputs = 1,                                                                                       \
      .infer = rules,                                                                                        \
      .random = true,                                                                                        \
      .samples = cases,                                                                                      \
  }

static const OpSample flip_samples[] = {
    {"random_flip()", "6x5x3"}, {"random_flip(horizontal)", "6x5x1"}, {0}};
static const OpSample rotation_samples[] = {{"random_rotation(0.2)", "6x5x3"}, {0}};
static const OpSample zoom_samples[] = {
    {"random_zoom(0.2)", "6x5x3"}, {"random_zoom((-0.1, 0.3), 0.1)", "6x5x3"}, {0}};
static const OpSample translation_samples[] = {{"random_translation(0.1, 0.2)", "6x5x3"}, {0}};
static const OpSample contrast_samples[] = {{"random_contrast(0.2)", "6x5x3"}, {0}};
static const OpSample brightness_samples[] = {{"random_brightness(0.2)", "6x5x3"}, {0}};
static const OpSample crop_samples[] = {{"random_crop(4, 3)", "6x5x3"}, {0}};

AUGMENT(random_flip, "RandomFlip", "mirrors at random", NULL, augment_infer, flip_samples,
        {"mode", P_CHOICE, "horizontal_and_vertical", "horizontal vertical horizontal_and_vertical",
         .doc = "the directions in which it may mirror"},
        PARAM_SEED);
AUGMENT(random_rotation, "RandomRotation", "turns by a random angle",
        "angle = 2 pi * factor, factor drawn uniformly", random_rotation_infer, rotation_samples,
        {"factor", P_FLOATS, NULL, .doc = "part of a full turn: f for -f to f, or (from, to)"}, PARAM_FILL,
        PARAM_SEED, PARAM_FILL_VALUE);
AUGMENT(random_zoom, "RandomZoom", "enlarges or shrinks at random",
        "a factor of -0.2 enlarges, 0.2 shrinks by 20 %", random_zoom_infer, zoom_samples,
        {"height_factor", P_FLOATS, NULL, .doc = "f for -f to f, or (from, to)"},
        {"width_factor", P_FLOATS, "none", .doc = "the same of the width; none: as the height"}, PARAM_FILL,
        PARAM_SEED, PARAM_FILL_VALUE);
AUGMENT(random_translation, "RandomTranslation", "shifts at random", NULL, random_translation_infer,
        translation_samples,
        {"height_factor", P_FLOATS, NULL, .doc = "part of the height: f for -f to f, or (from, to)"},
        {"width_factor", P_FLOATS, NULL, .doc = "part of the width: f for -f to f, or (from, to)"},
        PARAM_FILL, PARAM_SEED, PARAM_FILL_VALUE);
AUGMENT(random_contrast, "RandomContrast", "changes the contrast at random",
        "y = (x - mean) * f + mean, mean per channel, f from 1 - factor to 1 + factor", random_contrast_infer,
        contrast_samples, {"factor", P_FLOATS, NULL, .doc = "f for 1 - f to 1 + f, or (lower, upper)"},
        PARAM_SEED);
AUGMENT(random_brightness, "RandomBrightness", "makes lighter or darker at random",
        "y = x + f * (most - least), cut to value_range", random_brightness_infer, brightness_samples,
        {"factor", P_FLOATS, NULL, .doc = "f for -f to f, or (from, to)"},
        {"value_range", P_FLOATS, "(0, 255)", .doc = "least and most value of a pixel"}, PARAM_SEED);
AUGMENT(random_crop, "RandomCrop", "cuts out a random window; the middle while predicting", NULL,
        random_crop_infer, crop_samples, {"height", P_INT, NULL, .doc = "of the window", .range = "> 0"},
        {"width", P_INT, NULL, .doc = "of the window", .range = "> 0"}, PARAM_SEED);
