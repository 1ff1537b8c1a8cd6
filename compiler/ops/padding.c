#include "infer.h"
#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"
#include <string.h>

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

/* ---- IR: zero_padding(x) and crop(x), each the other's gradient; ints[0..1]: top, left ---- */

static Value *pad_lower(Builder *builder, const Layer *layer, Value **inputs) {
  const int64_t *sizes = call_ints(&layer->call, "padding");
  Value *y = ir_unary(builder, OP_zero_padding, inputs[0], layer->shape);
  y->def->attr.ints[0] = sizes[0];
  y->def->attr.ints[1] = sizes[2];
  return y;
}

static Value *crop_lower(Builder *builder, const Layer *layer, Value **inputs) {
  const int64_t *sizes = call_ints(&layer->call, "cropping");
  Value *y = ir_unary(builder, OP_crop, inputs[0], layer->shape);
  y->def->attr.ints[0] = sizes[0];
  y->def->attr.ints[1] = sizes[2];
  return y;
}

static void pad_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)needed;
  dx[0] = ir_unary(builder, node_is(node, OP_zero_padding) ? OP_crop : OP_zero_padding, dy[0],
                   node->in[0]->shape);
  dx[0]->name = node->in[0]->name;
  dx[0]->def->attr = node->attr;
}

static void pad_emit(Emitter *e, const Node *node) {
  bool pad = node_is(node, OP_zero_padding);
  Shape in = node->in[0]->shape, out = node->out[0]->shape;
  emit_line(e, "%s(n, %d, %d, %d, %lld, %lld, %d, %d, %s, %s, &m->work);", pad ? "pad_fwd" : "crop_fwd",
            in.dim[0], in.dim[1], in.dim[2], (long long)node->attr.ints[0], (long long)node->attr.ints[1],
            out.dim[0], out.dim[1], emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

static void pad_print(const Node *node, void *out) {
  strbuf_printf(out, "top %lld, left %lld", (long long)node->attr.ints[0], (long long)node->attr.ints[1]);
}

const OpDef op_zero_padding = {
    .kind = OP_zero_padding,
    .name = "zero_padding",
    .signature = {.kind = SIG_LAYER,
                  .name = "zero_padding",
                  .aliases = "zero_padding2d zeropadding2d",
                  .keras_class = "ZeroPadding2D",
                  .doc = "adds rows and columns of zeros around an image",
                  .params = {{"padding", P_PADDING_SIZES, "1",
                              .doc = "n, (rows, columns) or ((top, bottom), (left, right))"},
                             PARAM_DATA_FORMAT}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_padding,
    .lower = pad_lower,
    .gradient = pad_gradient,
    .emit = pad_emit,
    .print_attrs = pad_print,
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
                  .params = {{"cropping", P_PADDING_SIZES, "0",
                              .doc = "n, (rows, columns) or ((top, bottom), (left, right))"},
                             PARAM_DATA_FORMAT}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_cropping,
    .lower = crop_lower,
    .not_differentiable = true /* lowered to crop */,
    .samples =
        (const OpSample[]){{"cropping(1)", "5x6x2"}, {"cropping(((1, 0), (2, 1)))", "4x6x3"}, {NULL, NULL}},
};

const OpDef op_crop = {
    .kind = OP_crop,
    .name = "crop",
    .gradient = pad_gradient,
    .emit = pad_emit,
    .print_attrs = pad_print,
};
