/* layer_normalization, group_normalization: normalised within each image. */
#include "infer.h"

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
  int axis = infer_axis(layer, "axis", call_int(&layer->call, "axis"), arena, diag);
  if (axis < 0)
    return false;
  Shape in = layer->inputs[0]->shape;
  if (axis != in.rank - 1) {
    diag_error(diag, infer_span(layer, "axis"), "`layer_normalization` works on the last axis");
    return false;
  }
  if (!infer_keep(layer, arena, diag))
    return false;
  add_gamma_beta(layer, (Shape){1, {in.dim[axis]}});
  return true;
}

static bool group_normalization_infer(Layer *layer, Arena *arena, Diag *diag) {
  int axis = infer_axis(layer, "axis", call_int(&layer->call, "axis"), arena, diag);
  if (axis < 0)
    return false;
  Shape in = layer->inputs[0]->shape;
  int64_t groups = call_int(&layer->call, "groups");
  if (axis != in.rank - 1) {
    diag_error(diag, infer_span(layer, "axis"), "`group_normalization` works on the last axis");
    return false;
  }
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

#define GAMMA_BETA_PARAMS                                                                                    \
  {"center", P_BOOL, "true", .doc = "add beta"}, {"scale", P_BOOL, "true", .doc = "multiply by gamma"},      \
      PARAM_INITIALIZER("beta", "zeros"), PARAM_INITIALIZER("gamma", "ones"), PARAM_REGULARIZER("beta"),     \
      PARAM_REGULARIZER("gamma"), PARAM_CONSTRAINT("beta"), PARAM_CONSTRAINT("gamma")

const OpDef op_layer_normalization = {
    .kind = OP_layer_normalization,
    .name = "layer_normalization",
    .signature = {SIG_LAYER,
                  "layer_normalization",
                  "layernorm layer_norm",
                  "LayerNormalization",
                  "the numbers of the last axis to mean 0 and variance 1",
                  "y = gamma * (x - mean) / sqrt(variance + epsilon) + beta",
                  {{"axis", P_INT, "-1", NULL, "the axis that is normalised: the last"},
                   {"epsilon", P_FLOAT, "0.001", .doc = "added to the variance", .range = ">= 0"},
                   GAMMA_BETA_PARAMS}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = layer_normalization_infer,
    .samples = (const OpSample[]){{"layer_normalization()", "4x5x6"},
                                  {"layer_normalization(epsilon = 1e-5)", "8"},
                                  {0}},
};

const OpDef op_group_normalization = {
    .kind = OP_group_normalization,
    .name = "group_normalization",
    .signature =
        {SIG_LAYER,
         "group_normalization",
         "groupnorm group_norm",
         "GroupNormalization",
         "each group of channels of an image to mean 0 and variance 1",
         "y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, statistics over height, width and group",
         {{"groups", P_INT, "32", .doc = "into so many groups the channels are split; -1: each its own"},
          {"axis", P_INT, "-1", NULL, "the channels: the last"},
          {"epsilon", P_FLOAT, "0.001", .doc = "added to the variance", .range = ">= 0"},
          GAMMA_BETA_PARAMS}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = group_normalization_infer,
    .samples =
        (const OpSample[]){{"group_normalization(2)", "4x5x6"}, {"group_normalization(-1)", "3x3x4"}, {0}},
};
