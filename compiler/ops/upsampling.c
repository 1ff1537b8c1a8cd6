#include "infer.h"
#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"
#include <string.h>

/* Keras: UpSampling2D. */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  if (!infer_image(layer, arena, diag) || !infer_at_least(layer, "size", 1, diag))
    return false;
  Shape in = layer->inputs[0]->shape;
  const int64_t *size = call_ints(&layer->call, "size");
  return infer_set(layer, 3, (int64_t[]){in.dim[0] * size[0], in.dim[1] * size[1], in.dim[2]}, arena, diag);
}

/* ---- IR: upsampling(x) and its gradient; ints[0..1]: factors, ints[2]: bilinear ---- */

static Value *upsampling_lower(Builder *builder, const Layer *layer, Value **inputs) {
  const int64_t *size = call_ints(&layer->call, "size");
  Value *y = ir_unary(builder, OP_upsampling, inputs[0], layer->shape);
  y->def->attr.ints[0] = size[0];
  y->def->attr.ints[1] = size[1];
  y->def->attr.ints[2] = !strcmp(call_text(&layer->call, "interpolation"), "bilinear");
  return y;
}

static void upsampling_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)needed;
  dx[0] = ir_unary(builder, OP_upsampling_bwd, dy[0], node->in[0]->shape);
  dx[0]->name = node->in[0]->name;
  dx[0]->def->attr = node->attr;
}

static void upsampling_emit(Emitter *e, const Node *node) {
  bool forward = node_is(node, OP_upsampling);
  Shape small = forward ? node->in[0]->shape : node->out[0]->shape;
  emit_line(e, "upsample_%s_%s(n, %d, %d, %d, %lld, %lld, %s, %s, &m->work);",
            node->attr.ints[2] ? "bilinear" : "nearest", forward ? "fwd" : "bwd", small.dim[0], small.dim[1],
            small.dim[2], (long long)node->attr.ints[0], (long long)node->attr.ints[1],
            emit_value(e, node->in[0]), emit_value(e, node->out[0]));
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
         .params = {{"size", P_PAIR, "2", .doc = "factors of height and width", .range = "> 0"},
                    PARAM_DATA_FORMAT,
                    {"interpolation", P_CHOICE, "nearest", "nearest bilinear",
                     .doc = "how new pixels are made"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .lower = upsampling_lower,
    .gradient = upsampling_gradient,
    .emit = upsampling_emit,
    .samples = (const OpSample[]){{"upsampling(2)", "3x4x5"},
                                  {"upsampling(2x3)", "3x2x4"},
                                  {"upsampling(2, bilinear)", "3x4x2"},
                                  {NULL, NULL}},
};

const OpDef op_upsampling_bwd = {
    .kind = OP_upsampling_bwd,
    .name = "upsampling_bwd",
    .not_differentiable = true,
    .emit = upsampling_emit,
};
