#include "infer.h"
#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"
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

/* ---- IR: affine_channels(x): y[c] = x[c'] * scale[c] + offset[c], c' = channels - 1 - c where ints[0] is
 * set ---- Scales and offsets are constants of the file, kept as text-free numbers in the call. */

typedef struct Affine {
  int count; /* 1: the same for all channels */
  const double *scale, *offset;
  int scales, offsets; /* entries: 1 or count */
  bool reverse;
} Affine;

static double affine_scale(const Affine *a, int channel) {
  return a->scale[a->scales == 1 ? 0 : channel];
}

static double affine_offset(const Affine *a, int channel) {
  return a->offset[a->offsets == 1 ? 0 : channel];
}

/* keras.applications.imagenet_utils.preprocess_input by mode, and Rescaling. */
static Affine affine_of(const Call *call) {
  static const double one[] = {1}, caffe[] = {-103.939, -116.779, -123.68}, tf_scale[] = {1 / 127.5},
                      tf[] = {-1};
  static const double torch_scale[] = {1 / (255 * .229), 1 / (255 * .224), 1 / (255 * .225)};
  static const double torch[] = {-.485 / .229, -.456 / .224, -.406 / .225};
  const char *mode = !strcmp(call->signature->name, "preprocess") ? call_text(call, "mode") : NULL;
  if (!mode) {
    const Attr *scale = call_attr(call, "scale"), *offset = call_attr(call, "offset");
    int count = scale->count > offset->count ? scale->count : offset->count;
    return (Affine){count, scale->floats, offset->floats, scale->count, offset->count, false};
  }
  if (!strcmp(mode, "caffe"))
    return (Affine){3, one, caffe, 1, 3, true};
  if (!strcmp(mode, "tf"))
    return (Affine){1, tf_scale, tf, 1, 1, false};
  return (Affine){3, torch_scale, torch, 3, 3, false};
}

static Value *affine_lower(Builder *builder, const Layer *layer, Value **inputs) {
  Value *y = ir_unary(builder, OP_affine_channels, inputs[0], layer->shape);
  y->def->attr.call = &layer->call;
  return y;
}

static void affine_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)needed;
  dx[0] = ir_unary(builder, OP_affine_channels, dy[0], node->in[0]->shape);
  dx[0]->name = node->in[0]->name;
  dx[0]->def->attr.call = node->attr.call;
  dx[0]->def->attr.ints[1] = 1; /* the transpose: scale only */
}

static void affine_emit(Emitter *e, const Node *node) {
  if (node->attr.ints[2]) { /* a plain factor: gradients of merges */
    emit_line(e, "merge_scale((int64_t)n * %lld, %s, %s, %s, &m->work);",
              (long long)value_floats(node->in[0]), emit_float(e, node->attr.floats[0]),
              emit_value(e, node->in[0]), emit_value(e, node->out[0]));
    return;
  }
  Affine a = affine_of(node->attr.call);
  bool transpose = node->attr.ints[1];
  const char *x = emit_value(e, node->in[0]), *y = emit_value(e, node->out[0]);
  if (a.count == 1) {
    emit_line(e, "rescale_fwd((int64_t)n * %lld, %s, %s, %s, %s, &m->work);",
              (long long)value_floats(node->in[0]), emit_float(e, affine_scale(&a, 0)),
              emit_float(e, transpose ? 0 : affine_offset(&a, 0)), x, y);
    return;
  }
  int channels = node->in[0]->shape.dim[node->in[0]->shape.rank - 1];
  StrBuf scale = {0}, offset = {0};
  for (int c = 0; c < channels; c++) {
    int from = transpose && a.reverse ? channels - 1 - c : c;
    strbuf_printf(&scale, "%s%s", c ? ", " : "", emit_float(e, affine_scale(&a, from)));
    strbuf_printf(&offset, "%s%s", c ? ", " : "", emit_float(e, transpose ? 0 : affine_offset(&a, c)));
  }
  emit_line(e,
            "affine_channels_fwd((int64_t)n * %lld, %d, (const float[]){%s}, (const float[]){%s}, %s, %s, "
            "%s, &m->work);",
            (long long)(value_floats(node->in[0]) / channels), channels, scale.text, offset.text,
            a.reverse ? "true" : "false", x, y);
  strbuf_free(&scale);
  strbuf_free(&offset);
}

static void affine_print(const Node *node, void *out) {
  if (node->attr.ints[2]) {
    strbuf_printf(out, "%g x", node->attr.floats[0]);
    return;
  }
  Affine a = affine_of(node->attr.call);
  for (int c = 0; c < a.count; c++)
    strbuf_printf(out, "%s%.9g x + %.9g", c ? ", " : "", affine_scale(&a, c), affine_offset(&a, c));
  if (a.reverse)
    strbuf_puts(out, ", channels reversed");
}

const OpDef op_rescaling = {
    .kind = OP_rescaling,
    .name = "rescaling",
    .signature = {.kind = SIG_LAYER,
                  .name = "rescaling",
                  .keras_class = "Rescaling",
                  .doc = "multiplies and shifts all values, as 1/255 for pixels",
                  .formula = "y = x * scale + offset",
                  .params = {{"scale", P_FLOATS, NULL, .doc = "factor, or one per channel"},
                             {"offset", P_FLOATS, "0.0", .doc = "added after, or one per channel"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_rescaling,
    .lower = affine_lower,
    .not_differentiable = true /* lowered to affine_channels */,
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
                  .params = {{"mode", P_CHOICE, NULL, "caffe tf torch", .doc = "which one"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_preprocess,
    .lower = affine_lower,
    .not_differentiable = true /* lowered to affine_channels */,
    .samples = (const OpSample[]){{"preprocess(caffe)", "4x4x3"},
                                  {"preprocess(tf)", "3x3x3"},
                                  {"preprocess(torch)", "4x5x3"},
                                  {NULL, NULL}},
};

const OpDef op_affine_channels = {
    .kind = OP_affine_channels,
    .name = "affine_channels",
    .gradient = affine_gradient,
    .in_place = false, /* channels may be reversed */
    .emit = affine_emit,
    .print_attrs = affine_print,
};
