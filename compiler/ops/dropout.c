#include "infer.h"
#include "lowering.h"
#include "random.h"
#include "../kernel_sizes.h"
#include <string.h>

/* While training, each value is zero with probability `rate`, else divided by 1 - rate.  Keras: Dropout. */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  return infer_between(layer, "rate", 0, 1, diag) && infer_keep(layer, arena, diag);
}

/* Numbers of one image that share a draw: noise_shape without the batch is 1 in every axis (all of them), or
 * 1 in all axes but the last (a channel's). */
static bool infer_dropout(Layer *layer, Arena *arena, Diag *diag) {
  const Attr *noise = call_attr(&layer->call, "noise_shape");
  Shape in = layer->inputs[0]->shape;
  bool good = noise->kind == ATTR_NONE || noise->count == in.rank;
  for (int i = 0; good && i < noise->count; i++)
    good = noise->ints[i] == 1 || (i == in.rank - 1 && noise->ints[i] == in.dim[i]);
  if (!good) {
    diag_error(diag, infer_span(layer, "noise_shape"),
               "`noise_shape` is 1 in each axis of %s, the last may be whole", infer_shape_text(arena, in));
    return false;
  }
  return infer(layer, arena, diag);
}

/* ---- IR: dropout(x) and its gradient, which draws the same mask again from the same counter ---- */

static Value *dropout_lower(Builder *builder, const Layer *layer, Value **inputs) {
  double rate = call_float(&layer->call, "rate");
  if (!builder->training || rate == 0)
    return inputs[0];
  Value *y = ir_unary(builder, OP_dropout, inputs[0], layer->shape);
  y->def->attr.floats[0] = rate;
  random_mark(y, layer);
  if (layer->op->kind == OP_dropout && call_ints(&layer->call, "noise_shape"))
    y->def->attr.ints[1] = call_ints(&layer->call, "noise_shape")[layer->shape.rank - 1];
  return y;
}

static void dropout_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)needed;
  dx[0] = ir_unary(builder, OP_dropout_bwd, dy[0], node->in[0]->shape);
  dx[0]->def->attr = node->attr;
}

static void dropout_emit(Emitter *e, const Node *node) {
  if (node->attr.ints[1]) {
    emit_line(e, "spatial_dropout_fwd(%s, %lld, %lld, %s, %s, %s, %s, &m->work);", emit_images(e),
              (long long)(value_floats(node->in[0]) / node->attr.ints[1]), (long long)node->attr.ints[1],
              emit_float(e, node->attr.floats[0]), random_arguments(e, node), emit_value(e, node->in[0]),
              emit_value(e, node->out[0]));
    return;
  }
  emit_line(e, "%s((int64_t)%s * %lld, %s, %s, %s, %s, &m->work);",
            node_is(node, OP_dropout) ? "dropout_fwd" : "dropout_bwd", emit_images(e),
            (long long)value_floats(node->in[0]), emit_float(e, node->attr.floats[0]),
            random_arguments(e, node), emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

static void dropout_print(const Node *node, void *out) {
  strbuf_printf(out, "rate %g", node->attr.floats[0]);
}

static Value *spatial_dropout_lower(Builder *builder, const Layer *layer, Value **inputs) {
  Value *y = dropout_lower(builder, layer, inputs);
  if (y == inputs[0])
    return y;
  y->def->attr.ints[1] = layer->shape.dim[2]; /* channels: whole ones are dropped */
  return y;
}

static Value *gaussian_noise_lower(Builder *builder, const Layer *layer, Value **inputs) {
  double deviation = call_float(&layer->call, "stddev");
  if (!builder->training || deviation == 0)
    return inputs[0];
  Value *y = ir_unary(builder, OP_gaussian_noise, inputs[0], layer->shape);
  y->def->attr.floats[0] = deviation;
  random_mark(y, layer);
  return y;
}

static void gaussian_noise_gradient(Builder *builder, Node *node, Value **dy, const bool *needed,
                                    Value **dx) {
  (void)builder;
  (void)node;
  (void)needed;
  dx[0] = dy[0];
}

static void gaussian_noise_emit(Emitter *e, const Node *node) {
  emit_line(e, "gaussian_noise_fwd((int64_t)%s * %lld, %s, %s, %s, %s, &m->work);", emit_images(e),
            (long long)value_floats(node->in[0]), emit_float(e, node->attr.floats[0]),
            random_arguments(e, node), emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

const OpDef op_dropout = {
    .kind = OP_dropout,
    .name = "dropout",
    .signature =
        {
            .kind = SIG_LAYER,
            .name = "dropout",
            .keras_class = "Dropout",
            .doc = "while training, sets a random part of the values to zero",
            .formula = "y = x * keep / (1 - rate), keep is 0 with probability rate; prediction: y = x",
            .params = {{"rate", P_FLOAT, NULL, .doc = "part that is dropped, 0 <= rate < 1"},
                       {"noise_shape", P_INTS, "none",
                        .doc = "shape of the draws without the batch: (1, 1, 1) drops whole images"},
                       {"seed", P_INT, "none", .doc = "own random draws; none: from the training seed"}},
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_dropout,
    .lower = dropout_lower,
    .gradient = dropout_gradient,
    .in_place = true,
    .emit = dropout_emit,
    .print_attrs = dropout_print,
    .random = true,
    .samples = (const OpSample[]){{"dropout(0.25)", "10"}, {"dropout(0.5)", "4x4x3"}, {NULL, NULL}},
};

/* Keras: SpatialDropout2D: whole channels at once. */
static bool infer_spatial(Layer *layer, Arena *arena, Diag *diag) {
  return infer_image(layer, arena, diag) && infer(layer, arena, diag);
}

const OpDef op_spatial_dropout = {
    .kind = OP_spatial_dropout,
    .name = "spatial_dropout",
    .signature =
        {
            .kind = SIG_LAYER,
            .name = "spatial_dropout",
            .aliases = "spatial_dropout2d",
            .keras_class = "SpatialDropout2D",
            .doc = "dropout of whole channels of an image",
            .formula = "y = x * keep[channel] / (1 - rate); prediction: y = x",
            .params = {{"rate", P_FLOAT, NULL, .doc = "part that is dropped", .range = "[0, 1)"},
                       {"seed", P_INT, "none", .doc = "own random draws; none: from the training seed"},
                       PARAM_DATA_FORMAT},
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_spatial,
    .lower = spatial_dropout_lower,
    .not_differentiable = true /* lowered to dropout */,
    .random = true,
    .samples = (const OpSample[]){{"spatial_dropout(0.5)", "4x4x8"}, {NULL, NULL}},
};

/* Keras: GaussianNoise. */
const OpDef op_gaussian_noise = {
    .kind = OP_gaussian_noise,
    .name = "gaussian_noise",
    .signature =
        {
            .kind = SIG_LAYER,
            .name = "gaussian_noise",
            .keras_class = "GaussianNoise",
            .doc = "while training, adds normal noise",
            .formula = "y = x + stddev * noise; prediction: y = x",
            .params = {{"stddev", P_FLOAT, NULL, .doc = "standard deviation of the noise", .range = ">= 0"},
                       {"seed", P_INT, "none", .doc = "own random draws; none: from the training seed"}},
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_keep,
    .lower = gaussian_noise_lower,
    .gradient = gaussian_noise_gradient,
    .emit = gaussian_noise_emit,
    .random = true,
    .samples = (const OpSample[]){{"gaussian_noise(0.1)", "4x4x3"}, {NULL, NULL}},
};

const OpDef op_dropout_bwd = {
    .kind = OP_dropout_bwd,
    .name = "dropout_bwd",
    .not_differentiable = true,
    .random = true,
    .in_place = true,
    .emit = dropout_emit,
    .print_attrs = dropout_print,
};
