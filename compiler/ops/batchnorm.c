#include "infer.h"

/* y = gamma (x - mean) / sqrt(variance + epsilon) + beta, per entry of `axis`.  Keras: BatchNormalization.
 * Batch statistics only where the step trains and the layer is not frozen; moving ones otherwise. */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  const Call *call = &layer->call;
  Shape in = layer->inputs[0]->shape;
  int axis = infer_axis(layer, "axis", call_int(call, "axis"), arena, diag);
  if (axis < 0)
    return false;
  if (axis != in.rank - 1) {
    diag_error(diag, infer_span(layer, "axis"), "`batchnorm` normalizes the last axis (channels) only");
    return false;
  }
  if (!infer_between(layer, "momentum", 0, 1.0000001, diag) || !infer_between(layer, "epsilon", 0, 1, diag))
    return false;
  layer->shape = in;
  Shape shape = {1, {in.dim[axis]}};
  if (call_bool(call, "scale"))
    layer_add_weight(layer, "gamma", shape, true, call_call(call, "gamma_initializer"),
                     call_call(call, "gamma_regularizer"), call_call(call, "gamma_constraint"));
  if (call_bool(call, "center"))
    layer_add_weight(layer, "beta", shape, true, call_call(call, "beta_initializer"),
                     call_call(call, "beta_regularizer"), call_call(call, "beta_constraint"));
  layer_add_weight(layer, "moving_mean", shape, false, call_call(call, "moving_mean_initializer"), NULL,
                   NULL);
  layer_add_weight(layer, "moving_variance", shape, false, call_call(call, "moving_variance_initializer"),
                   NULL, NULL);
  return true;
}

const OpDef op_batchnorm = {
    .kind = OP_batchnorm,
    .name = "batchnorm",
    .signature =
        {
            .kind = SIG_LAYER,
            .name = "batchnorm",
            .aliases = "batch_normalization batch_norm",
            .keras_class = "BatchNormalization",
            .doc = "normalizes each channel by the batch's mean and variance while it trains, by moving ones "
                   "otherwise",
            .formula = "y = gamma * (x - mean) / sqrt(variance + epsilon) + beta",
            .params =
                {
                    {"axis", P_INT, "-1", NULL, "what is normalized by itself; only the last axis"},
                    {"momentum", P_FLOAT, "0.99", NULL,
                     "moving = momentum * moving + (1 - momentum) * batch"},
                    {"epsilon", P_FLOAT, "0.001", NULL, "added to the variance"},
                    {"center", P_BOOL, "true", NULL, "add beta"},
                    {"scale", P_BOOL, "true", NULL, "multiply by gamma"},
                    PARAM_INITIALIZER("beta", "zeros"),
                    PARAM_INITIALIZER("gamma", "ones"),
                    PARAM_INITIALIZER("moving_mean", "zeros"),
                    PARAM_INITIALIZER("moving_variance", "ones"),
                    PARAM_REGULARIZER("beta"),
                    PARAM_REGULARIZER("gamma"),
                    PARAM_CONSTRAINT("beta"),
                    PARAM_CONSTRAINT("gamma"),
                },
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .samples =
        (const OpSample[]){
            {"batchnorm()", "4x5x3"},
            {"batchnorm(momentum = 0.9, epsilon = 1e-5)", "3x3x6"},
            {"batchnorm(scale = false)", "4x4x2"},
            {"batchnorm(center = false)", "7"},
            {NULL, NULL},
        },
};
