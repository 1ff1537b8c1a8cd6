/* random_flip, random_rotation, ...: Keras's augmentation layers; nothing while predicting. */
#include "infer.h"
#include "lowering.h"
#include "random.h"
#include "../show.h"
#include <math.h>
#include <string.h>

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

/* Images are changed before anything is trained on them: no gradient goes back through these layers. */
static bool stands_first(const Layer *layer, Diag *diag) {
  enum { LOOKED_AT = 64 };
  const Layer *seen[LOOKED_AT] = {layer};
  int count = 1;
  for (int i = 0; i < count; i++)
    for (int k = 0; k < seen[i]->input_count; k++) {
      const Layer *before = seen[i]->inputs[k];
      int at = 0;
      while (at < count && seen[at] != before)
        at++;
      if (before->weight_count || (at == count && count == LOOKED_AT)) {
        diag_error(diag, layer->span, "`%s` stands before the first layer with weights", layer->op->name);
        diag_note(diag, before->span, "`%s` stands before it", before->name);
        return false;
      }
      if (at == count)
        seen[count++] = before;
    }
  return true;
}

static bool augment_infer(Layer *layer, Arena *arena, Diag *diag) {
  return infer_image(layer, arena, diag) && stands_first(layer, diag) && infer_keep(layer, arena, diag);
}

/* A factor is one number f, meaning from -|f| to |f|, or the two ends, in any order. */
static bool check_factor(const Layer *layer, const char *name, double least, double most, Diag *diag) {
  const Attr *factor = call_attr(&layer->call, name);
  if (factor->kind == ATTR_NONE)
    return true;
  bool right = factor->count == 1 || factor->count == 2;
  for (int i = 0; right && i < factor->count; i++)
    right = factor->floats[i] >= least && factor->floats[i] <= most;
  if (!right)
    diag_error(diag, infer_span(layer, name), "`%s` is a number from %g to %g, or two of them: from, to",
               name, least, most);
  return right;
}

static bool random_rotation_infer(Layer *layer, Arena *arena, Diag *diag) {
  return check_factor(layer, "factor", -1, 1, diag) && augment_infer(layer, arena, diag);
}

static bool random_zoom_infer(Layer *layer, Arena *arena, Diag *diag) {
  static const char *const names[] = {"height_factor", "width_factor"};
  for (int i = 0; i < 2; i++) {
    const Attr *factor = call_attr(&layer->call, names[i]);
    if (!check_factor(layer, names[i], -1, 10, diag))
      return false;
    for (int k = 0; factor->kind != ATTR_NONE && k < factor->count; k++)
      if (factor->floats[k] == -1 || (factor->count == 1 && fabs(factor->floats[k]) >= 1)) {
        diag_error(diag, infer_span(layer, names[i]), "a zoom by -1 shows nothing: `%s` stays above it",
                   names[i]);
        return false;
      }
  }
  return augment_infer(layer, arena, diag);
}

static bool random_translation_infer(Layer *layer, Arena *arena, Diag *diag) {
  return check_factor(layer, "height_factor", -1, 1, diag) &&
         check_factor(layer, "width_factor", -1, 1, diag) && augment_infer(layer, arena, diag);
}

static bool check_range(const Layer *layer, Diag *diag) {
  const Attr *range = call_attr(&layer->call, "value_range");
  if (range->count == 2 && range->floats[0] != range->floats[1])
    return true;
  diag_error(diag, infer_span(layer, "value_range"), "`value_range` is two numbers, least and most");
  return false;
}

static bool random_contrast_infer(Layer *layer, Arena *arena, Diag *diag) {
  return check_range(layer, diag) && check_factor(layer, "factor", 0, 1, diag) &&
         augment_infer(layer, arena, diag);
}

static bool random_brightness_infer(Layer *layer, Arena *arena, Diag *diag) {
  return check_range(layer, diag) && check_factor(layer, "factor", -1, 1, diag) &&
         augment_infer(layer, arena, diag);
}

static bool random_crop_infer(Layer *layer, Arena *arena, Diag *diag) {
  if (!infer_image(layer, arena, diag) || !infer_at_least(layer, "height", 1, diag) ||
      !infer_at_least(layer, "width", 1, diag) || !stands_first(layer, diag))
    return false;
  Shape in = layer->inputs[0]->shape;
  int64_t height = call_int(&layer->call, "height"), width = call_int(&layer->call, "width");
  return infer_set(layer, 3, (int64_t[]){height, width, in.dim[2]}, arena, diag);
}

/* ---- IR: one node while training, nothing (or the middle of the image) while predicting ----
 * A crop of an image that is too small for it is its middle while training too. */

static Value *augment_lower(Builder *builder, const Layer *layer, Value **inputs) {
  bool crop = layer->op->kind == OP_random_crop;
  if (!builder->training && (!crop || shape_equal(layer->shape, inputs[0]->shape)))
    return inputs[0];
  Value *y = ir_unary(builder, layer->op->kind, inputs[0], layer->shape);
  Shape in = inputs[0]->shape;
  bool small = crop && (layer->shape.dim[0] > in.dim[0] || layer->shape.dim[1] > in.dim[1]);
  random_mark(y, layer);
  y->def->attr.ints[1] = !builder->training || small;
  y->def->attr.call = &layer->call;
  return y;
}

/* The last arguments of every kernel: draws, operands, threads. */
static const char *rest_arguments(Emitter *e, const Node *node) {
  return arena_printf(e->arena, "%s, %s, %s, &m->work", random_arguments(e, node), emit_value(e, node->in[0]),
                      emit_value(e, node->out[0]));
}

/* "height, width, channels" of the input. */
static const char *image_arguments(Emitter *e, const Node *node) {
  Shape in = node->in[0]->shape;
  return arena_printf(e->arena, "%d, %d, %d", in.dim[0], in.dim[1], in.dim[2]);
}

static void random_flip_emit(Emitter *e, const Node *node) {
  const char *mode = call_text(node->attr.call, "mode");
  emit_line(e, "random_flip_fwd(%s, %s, %s, %s, %s);", emit_images(e), image_arguments(e, node),
            strcmp(mode, "vertical") ? "true" : "false", strcmp(mode, "horizontal") ? "true" : "false",
            rest_arguments(e, node));
}

/* A factor as two float literals, the smaller one first: f means from -|f| to |f|. */
static const char *range_arguments(Emitter *e, const Call *call, const char *name) {
  const Attr *factor = call_attr(call, name);
  double first = factor->count == 1 ? -factor->floats[0] : factor->floats[0],
         second = factor->floats[factor->count - 1];
  return arena_printf(e->arena, "%s, %s", emit_float(e, fmin(first, second)),
                      emit_float(e, fmax(first, second)));
}

static void random_affine_emit(Emitter *e, const Node *node) {
  static const char *const fills[] = {"reflect", "AUGMENT_REFLECT", "constant", "AUGMENT_CONSTANT",
                                      "wrap",    "AUGMENT_WRAP",    "nearest",  "AUGMENT_NEAREST"};
  const Call *call = node->attr.call;
  bool rotation = node_is(node, OP_random_rotation), zoom = node_is(node, OP_random_zoom);
  bool square = !rotation && call_attr(call, "width_factor")->kind == ATTR_NONE;
  const char *fill = fills[1];
  for (int i = 0; i < 8; i += 2)
    if (!strcmp(fills[i], call_text(call, "fill_mode")))
      fill = fills[i + 1];
  emit_line(e, "const AugmentAffine affine_%lld = {%s, %s, %s, %s, %s, %s, %s};",
            (long long)node->attr.ints[0],
            rotation ? "AUGMENT_ROTATION"
            : zoom   ? "AUGMENT_ZOOM"
                     : "AUGMENT_TRANSLATION",
            range_arguments(e, call, rotation ? "factor" : "height_factor"),
            rotation || square ? "0, 0" : range_arguments(e, call, "width_factor"), square ? "true" : "false",
            fill, strcmp(call_text(call, "interpolation"), "nearest") ? "false" : "true",
            emit_float(e, call_float(call, "fill_value")));
  emit_line(e, "random_affine_fwd(%s, %s, &affine_%lld, %s);", emit_images(e), image_arguments(e, node),
            (long long)node->attr.ints[0], rest_arguments(e, node));
}

static const char *clip_arguments(Emitter *e, const Call *call) {
  const Attr *range = call_attr(call, "value_range");
  return arena_printf(e->arena, "%s, %s", emit_float(e, fmin(range->floats[0], range->floats[1])),
                      emit_float(e, fmax(range->floats[0], range->floats[1])));
}

/* (lower, upper) are sizes: from 1 - lower to 1 + upper. */
static void random_contrast_emit(Emitter *e, const Node *node) {
  Shape in = node->in[0]->shape;
  const Attr *factor = call_attr(node->attr.call, "factor");
  emit_line(e, "random_contrast_fwd(%s, %d, %d, %s, %s, %s, %s);", emit_images(e), in.dim[0] * in.dim[1],
            in.dim[2], emit_float(e, -factor->floats[0]), emit_float(e, factor->floats[factor->count - 1]),
            clip_arguments(e, node->attr.call), rest_arguments(e, node));
}

static void random_brightness_emit(Emitter *e, const Node *node) {
  emit_line(e, "random_brightness_fwd(%s, %lld, %s, %s, %s);", emit_images(e),
            (long long)value_floats(node->in[0]), range_arguments(e, node->attr.call, "factor"),
            clip_arguments(e, node->attr.call), rest_arguments(e, node));
}

static void random_crop_emit(Emitter *e, const Node *node) {
  Shape out = node->out[0]->shape;
  if (node->attr.ints[1])
    emit_line(e, "center_crop_fwd(n, %s, %d, %d, %s, %s, &m->work);", image_arguments(e, node), out.dim[0],
              out.dim[1], emit_value(e, node->in[0]), emit_value(e, node->out[0]));
  else
    emit_line(e, "random_crop_fwd(%s, %s, %d, %d, %s);", emit_images(e), image_arguments(e, node), out.dim[0],
              out.dim[1], rest_arguments(e, node));
}

static void augment_print(const Node *node, void *out) {
  show_call(node->attr.call, true, out);
}

#define AUGMENT(op, class, text, rule, rules, cases, print, ...)                                             \
  const OpDef op_##op = {                                                                                    \
      .kind = OP_##op,                                                                                       \
      .name = #op,                                                                                           \
      .signature = {.kind = SIG_LAYER,                                                                       \
                    .name = #op,                                                                             \
                    .aliases = NULL,                                                                         \
                    .keras_class = class,                                                                    \
                    .doc = text,                                                                             \
                    rule,                                                                                    \
                    {__VA_ARGS__}},                                                                          \
      .min_inputs = 1,                                                                                       \
      .max_inputs = 1,                                                                                       \
      .infer = rules,                                                                                        \
      .lower = augment_lower,                                                                                \
      .not_differentiable = true,                                                                            \
      .emit = print,                                                                                         \
      .print_attrs = augment_print,                                                                          \
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

AUGMENT(random_flip, "RandomFlip", "mirrors half of the images", NULL, augment_infer, flip_samples,
        random_flip_emit,
        {"mode", P_CHOICE, "horizontal_and_vertical", "horizontal vertical horizontal_and_vertical",
         .doc = "along which axes half of the images are mirrored; both: along both at once"},
        PARAM_SEED, PARAM_DATA_FORMAT);
AUGMENT(random_rotation, "RandomRotation", "turns by a random angle",
        "angle = 2 pi * factor, factor drawn uniformly", random_rotation_infer, rotation_samples,
        random_affine_emit,
        {"factor", P_FLOATS, NULL, .doc = "part of a full turn: f for -f to f, or (from, to)"}, PARAM_FILL,
        PARAM_SEED, PARAM_FILL_VALUE, PARAM_DATA_FORMAT);
AUGMENT(random_zoom, "RandomZoom", "enlarges or shrinks at random",
        "a factor of -0.2 enlarges, 0.2 shrinks by 20 %", random_zoom_infer, zoom_samples, random_affine_emit,
        {"height_factor", P_FLOATS, NULL, .doc = "f for -f to f, or (from, to)"},
        {"width_factor", P_FLOATS, "none", .doc = "the same of the width; none: as the height"}, PARAM_FILL,
        PARAM_SEED, PARAM_FILL_VALUE, PARAM_DATA_FORMAT);
AUGMENT(random_translation, "RandomTranslation", "shifts at random", NULL, random_translation_infer,
        translation_samples, random_affine_emit,
        {"height_factor", P_FLOATS, NULL, .doc = "part of the height: f for -f to f, or (from, to)"},
        {"width_factor", P_FLOATS, NULL, .doc = "part of the width: f for -f to f, or (from, to)"},
        PARAM_FILL, PARAM_SEED, PARAM_FILL_VALUE, PARAM_DATA_FORMAT);
AUGMENT(random_contrast, "RandomContrast", "changes the contrast at random",
        "y = (x - mean) * f + mean, mean per channel, f from 1 - factor to 1 + factor", random_contrast_infer,
        contrast_samples, random_contrast_emit,
        {"factor", P_FLOATS, NULL, .doc = "f for 1 - f to 1 + f, or (lower, upper)"},
        {"value_range", P_FLOATS, "(0, 255)", .doc = "least and most value of a pixel"}, PARAM_SEED,
        PARAM_DATA_FORMAT);
AUGMENT(random_brightness, "RandomBrightness", "makes lighter or darker at random",
        "y = x + f * (most - least), cut to value_range", random_brightness_infer, brightness_samples,
        random_brightness_emit, {"factor", P_FLOATS, NULL, .doc = "f for -f to f, or (from, to)"},
        {"value_range", P_FLOATS, "(0, 255)", .doc = "least and most value of a pixel"}, PARAM_SEED,
        PARAM_DATA_FORMAT);
AUGMENT(random_crop, "RandomCrop", "cuts out a random window; the middle while predicting",
        "prediction, and images smaller than the window: the largest window in the middle with the aspect "
        "height : width, resized bilinearly",
        random_crop_infer, crop_samples, random_crop_emit,
        {"height", P_INT, NULL, .doc = "of the window", .range = "> 0"},
        {"width", P_INT, NULL, .doc = "of the window", .range = "> 0"}, PARAM_SEED, PARAM_DATA_FORMAT);
