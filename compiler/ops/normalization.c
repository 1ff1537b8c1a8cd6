/* layer_normalization, group_normalization: normalised within each image. */
#include "axes.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"
#include <string.h>

/* gamma and beta as [size], each only where it is wanted. */
static void add_gamma_beta(Layer *layer, Shape shape) {
  const Call *call = &layer->call;
  if (call_bool(call, "scale"))
    layer_add_weight(layer, "gamma", shape, true, call_call(call, "gamma_initializer"),
                     call_call(call, "gamma_regularizer"), call_call(call, "gamma_constraint"));
  if (call_bool(call, "center"))
    layer_add_weight(layer, "beta", shape, true, call_call(call, "beta_initializer"),
                     call_call(call, "beta_regularizer"), call_call(call, "beta_constraint"));
}

static bool layer_normalization_infer(Layer *layer, Arena *arena, Diag *diag) {
  Axes axes;
  if (!axes_of(layer, "axis", arena, diag, &axes) || !infer_keep(layer, arena, diag))
    return false;
  const Attr *order = call_attr(&layer->call, "axis");
  Shape shape = {.rank = axes.count}; /* in the order in which the axes are named, as Keras stores it */
  for (int i = 0; i < axes.count; i++)
    shape.dim[i] = layer->shape.dim[infer_axis(layer, "axis", order->ints[i], arena, diag)];
  add_gamma_beta(layer, shape);
  return true;
}

static bool group_normalization_infer(Layer *layer, Arena *arena, Diag *diag) {
  int axis = infer_axis(layer, "axis", call_int(&layer->call, "axis"), arena, diag);
  if (axis < 0)
    return false;
  Shape in = layer->inputs[0]->shape;
  int64_t groups = call_int(&layer->call, "groups");
  if (groups != -1 && (groups < 1 || in.dim[axis] % groups)) {
    diag_error(diag, infer_span(layer, "groups"), "%lld groups do not divide %d channels", (long long)groups,
               in.dim[axis]);
    infer_note_input(layer, 0, arena, diag);
    return false;
  }
  if (!infer_keep(layer, arena, diag))
    return false;
  add_gamma_beta(layer, (Shape){1, {in.dim[axis]}});
  return true;
}

/* ---- IR: group_norm(x [, gamma] [, beta]) -> y, mean, 1 / deviation of each group; and its gradient ----
 * Layer normalization is the same with every row of the last axis as an image of one pixel and one group.
 * Axes that do not stand last are brought there; gamma and beta are [channels] in memory, whatever their
 * shape. ints[0..1]: gamma, beta present; ints[2]: groups, ints[3]: rows per image (1 for group
 * normalization). */

static Value *norm_lower(Builder *builder, const Layer *layer, Value **inputs) {
  Axes axes = axes_checked(layer, "axis");
  Value *in[3] = {axes_to_end(builder, inputs[0], axes)}, *gamma = ir_weight(builder, layer, "gamma"),
        *beta = ir_weight(builder, layer, "beta");
  Shape shape = in[0]->shape;
  int count = 1, channels = shape.dim[shape.rank - 1];
  if (gamma)
    in[count++] = gamma;
  if (beta)
    in[count++] = beta;
  bool by_layer = layer->op->kind == OP_layer_normalization;
  int64_t groups = by_layer ? 1 : call_int(&layer->call, "groups");
  Node *node = ir_node(builder, OP_group_norm, count, in);
  node->attr.ints[0] = gamma != NULL;
  node->attr.ints[1] = beta != NULL;
  node->attr.ints[2] = groups == -1 ? channels : groups;
  node->attr.ints[3] = by_layer ? shape_count(shape) / channels : 1;
  node->attr.floats[0] = call_float(&layer->call, "epsilon");
  Value *y = ir_output(node, shape, true, layer->name);
  Shape groups_shape = {1, {(int)(node->attr.ints[2] * node->attr.ints[3])}};
  ir_output(node, groups_shape, true, arena_printf(builder->module->arena, "%s.mean", layer->name));
  ir_output(node, groups_shape, true, arena_printf(builder->module->arena, "%s.invstd", layer->name));
  return axes_restore(builder, y, axes, layer->shape);
}

/* "n * 4, 1, 12, 1": images, pixels, channels, groups as group_norm_fwd wants them. */
static const char *norm_sizes(Emitter *e, const Node *node, const Value *x) {
  int channels = x->shape.dim[x->shape.rank - 1];
  int64_t rows = node->attr.ints[3], pixels = value_floats(x) / channels / rows;
  return arena_printf(e->arena, "n * %lld, %lld, %d, %lld", (long long)rows, (long long)pixels, channels,
                      (long long)node->attr.ints[2]);
}

static void norm_emit(Emitter *e, const Node *node) {
  int gamma = (int)node->attr.ints[0], beta = (int)node->attr.ints[1];
  emit_line(e, "group_norm_fwd(%s, %s, %s, %s, %s, %s, %s, %s, &m->work);", norm_sizes(e, node, node->in[0]),
            emit_value(e, node->in[0]), emit_optional(e, node, gamma, 1),
            emit_optional(e, node, beta, 1 + gamma), emit_float(e, node->attr.floats[0]),
            emit_value(e, node->out[1]), emit_value(e, node->out[2]), emit_value(e, node->out[0]));
}

static void norm_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)needed;
  int gamma = (int)node->attr.ints[0], beta = (int)node->attr.ints[1];
  Value *in[5] = {dy[0], node->in[0], node->out[1], node->out[2], gamma ? node->in[1] : NULL};
  Node *grad = ir_node(builder, OP_group_norm_bwd, 4 + gamma, in);
  grad->attr = node->attr;
  Shape channels = {1, {node->in[0]->shape.dim[node->in[0]->shape.rank - 1]}};
  dx[0] = ir_output(grad, node->in[0]->shape, true, node->in[0]->name);
  Value *dgamma = ir_output(grad, gamma ? node->in[1]->shape : channels, false, "gamma"),
        *dbeta = ir_output(grad, beta ? node->in[1 + gamma]->shape : channels, false, "beta");
  if (gamma)
    dx[1] = dgamma;
  if (beta)
    dx[1 + gamma] = dbeta;
}

static void norm_bwd_emit(Emitter *e, const Node *node) {
  emit_line(e, "group_norm_bwd(%s, %s, %s, %s, %s, %s, %s, %s, %s, &m->work);",
            norm_sizes(e, node, node->in[1]), emit_value(e, node->in[1]),
            emit_optional(e, node, node->attr.ints[0], 4), emit_value(e, node->in[2]),
            emit_value(e, node->in[3]), emit_value(e, node->in[0]), emit_value(e, node->out[0]),
            emit_value(e, node->out[1]), emit_value(e, node->out[2]));
}

static int64_t norm_bwd_scratch(const Node *node, int batch) {
  (void)batch;
  const Shape *shape = &node->in[1]->shape;
  return kernel_group_norm_scratch_floats(shape->dim[shape->rank - 1]);
}

#define GAMMA_BETA_PARAMS                                                                                    \
  {"center", P_BOOL, "true", .doc = "add beta"}, {"scale", P_BOOL, "true", .doc = "multiply by gamma"},      \
      PARAM_INITIALIZER("beta", "zeros"), PARAM_INITIALIZER("gamma", "ones"), PARAM_REGULARIZER("beta"),     \
      PARAM_REGULARIZER("gamma"), PARAM_CONSTRAINT("beta"), PARAM_CONSTRAINT("gamma")

const OpDef op_layer_normalization = {
    .kind = OP_layer_normalization,
    .name = "layer_normalization",
    .signature = {.kind = SIG_LAYER,
                  .name = "layer_normalization",
                  .aliases = "layernorm layer_norm",
                  .keras_class = "LayerNormalization",
                  .doc = "the numbers along an axis, or several, to mean 0 and variance 1",
                  "y = gamma * (x - mean) / sqrt(variance + epsilon) + beta",
                  {{"axis", P_INTS, "-1",
                    .doc = "the axis, or axes, over which it is done: 1 is the first, -1 the last"},
                   {"epsilon", P_FLOAT, "0.001", .doc = "added to the variance", .range = ">= 0"},
                   GAMMA_BETA_PARAMS}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = layer_normalization_infer,
    .lower = norm_lower,
    .not_differentiable = true /* lowered to group_norm */,
    .samples = (const OpSample[]){{"layer_normalization()", "4x5x6"},
                                  {"layer_normalization(epsilon = 1e-5)", "8"},
                                  {"layer_normalization((1, 2, 3))", "4x3x5"},
                                  {"layer_normalization(axis = 2)", "4x3x5"},
                                  {0}},
};

const OpDef op_group_normalization = {
    .kind = OP_group_normalization,
    .name = "group_normalization",
    .signature =
        {.kind = SIG_LAYER,
         .name = "group_normalization",
         .aliases = "groupnorm group_norm",
         .keras_class = "GroupNormalization",
         .doc = "each group of channels of an image to mean 0 and variance 1",
         "y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, statistics over height, width and group",
         {{"groups", P_INT, "32", .doc = "into so many groups the channels are split; -1: each its own"},
          {"axis", P_INT, "-1", .doc = "the channels: 1 is the first axis, -1 the last"},
          {"epsilon", P_FLOAT, "0.001", .doc = "added to the variance", .range = ">= 0"},
          GAMMA_BETA_PARAMS}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = group_normalization_infer,
    .lower = norm_lower,
    .not_differentiable = true /* lowered to group_norm */,
    .samples = (const OpSample[]){{"group_normalization(2)", "4x5x6"},
                                  {"group_normalization(-1)", "3x3x4"},
                                  {"group_normalization(2, axis = 1)", "4x3x2"},
                                  {0}},
};

const OpDef op_group_norm = {
    .kind = OP_group_norm,
    .name = "group_norm",
    .gradient = norm_gradient,
    .emit = norm_emit,
};

const OpDef op_group_norm_bwd = {
    .kind = OP_group_norm_bwd,
    .name = "group_norm_bwd",
    .not_differentiable = true,
    .scratch_floats = norm_bwd_scratch,
    .emit = norm_bwd_emit,
};
