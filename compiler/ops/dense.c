#include "infer.h"

/* y = activation(x kernel + bias) along the last axis.  Keras: Dense.  kernel (features, units). */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  if (!infer_at_least(layer, "units", 1, diag))
    return false;
  const Call *call = &layer->call;
  Shape in = layer->inputs[0]->shape;
  int64_t units = call_int(call, "units"), out[SHAPE_MAX_RANK];
  for (int i = 0; i < in.rank; i++)
    out[i] = in.dim[i];
  out[in.rank - 1] = units;
  if (!infer_set(layer, in.rank, out, arena, diag))
    return false;
  int features = in.dim[in.rank - 1];
  if (features > INT32_MAX / units) {
    diag_error(diag, layer->span, "the kernel of `dense` would be %d x %lld: too large", features,
               (long long)units);
    infer_note_input(layer, 0, arena, diag);
    return false;
  }
  layer_add_weight(layer, "kernel", (Shape){2, {features, (int)units}}, true,
                   call_call(call, "kernel_initializer"), call_call(call, "kernel_regularizer"),
                   call_call(call, "kernel_constraint"));
  if (call_bool(call, "use_bias"))
    layer_add_weight(layer, "bias", (Shape){1, {(int)units}}, true, call_call(call, "bias_initializer"),
                     call_call(call, "bias_regularizer"), call_call(call, "bias_constraint"));
  return true;
}

const OpDef op_dense = {
    .kind = OP_dense,
    .name = "dense",
    .signature =
        {
            .kind = SIG_LAYER,
            .name = "dense",
            .keras_class = "Dense",
            .doc = "fully connected layer, along the last axis",
            .formula = "y[u] = activation(bias[u] + sum over k of x[k] * kernel[k, u])",
            .params =
                {
                    {"units", P_INT, NULL, NULL, "number of outputs"},
                    PARAM_ACTIVATION,
                    PARAM_USE_BIAS,
                    PARAM_INITIALIZER("kernel", "glorot_uniform"),
                    PARAM_INITIALIZER("bias", "zeros"),
                    PARAM_REGULARIZER("kernel"),
                    PARAM_REGULARIZER("bias"),
                    PARAM_ACTIVITY_REGULARIZER,
                    PARAM_CONSTRAINT("kernel"),
                    PARAM_CONSTRAINT("bias"),
                },
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .samples =
        (const OpSample[]){
            {"dense(5)", "7"},
            {"dense(3, relu)", "10"},
            {"dense(4, use_bias = false)", "3x3x6"},
            {"dense(3, softmax)", "5"},
            {NULL, NULL},
        },
};
