#include "infer.h"

/* out[h, w, f] = sum over the window and the group's channels of in * kernel[., ., c, f], plus bias[f].
 * Keras: Conv2D.  kernel (kh, kw, channels / groups, filters). */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  if (!infer_image(layer, arena, diag) || !infer_at_least(layer, "filters", 1, diag) ||
      !infer_at_least(layer, "kernel_size", 1, diag) || !infer_at_least(layer, "strides", 1, diag) ||
      !infer_at_least(layer, "dilation_rate", 1, diag) || !infer_at_least(layer, "groups", 1, diag))
    return false;
  const Call *call = &layer->call;
  const int64_t *kernel = call_ints(call, "kernel_size"), *stride = call_ints(call, "strides");
  const int64_t *dilation = call_ints(call, "dilation_rate");
  int64_t filters = call_int(call, "filters"), groups = call_int(call, "groups");
  int channels = layer->inputs[0]->shape.dim[2];
  if (channels % groups || filters % groups) {
    diag_error(diag, infer_span(layer, "groups"), "%lld groups do not divide %s", (long long)groups,
               channels % groups ? arena_printf(arena, "%d input channels", channels)
                                 : arena_printf(arena, "%lld filters", (long long)filters));
    if (channels % groups)
      infer_note_input(layer, 0, arena, diag);
    return false;
  }
  if ((stride[0] > 1 || stride[1] > 1) && (dilation[0] > 1 || dilation[1] > 1)) {
    diag_error(diag, infer_span(layer, "dilation_rate"),
               "strides and dilation cannot both be above 1, as in Keras");
    return false;
  }
  int64_t out[3];
  if (!infer_window(layer, "kernel_size", stride, dilation, arena, diag, out))
    return false;
  out[2] = filters;
  if (!infer_set(layer, 3, out, arena, diag))
    return false;
  Shape shape = {4, {(int)kernel[0], (int)kernel[1], (int)(channels / groups), (int)filters}};
  layer_add_weight(layer, "kernel", shape, true, call_call(call, "kernel_initializer"),
                   call_call(call, "kernel_regularizer"), call_call(call, "kernel_constraint"));
  if (call_bool(call, "use_bias"))
    layer_add_weight(layer, "bias", (Shape){1, {(int)filters}}, true, call_call(call, "bias_initializer"),
                     call_call(call, "bias_regularizer"), call_call(call, "bias_constraint"));
  return true;
}

const OpDef op_conv2d = {
    .kind = OP_conv2d,
    .name = "conv2d",
    .signature =
        {
            .kind = SIG_LAYER,
            .name = "conv2d",
            .aliases = "convolution2d",
            .keras_class = "Conv2D",
            .doc = "two-dimensional convolution",
            .formula = "y[i, j, f] = activation(bias[f] + sum over u, v, c of "
                       "x[i*stride + u*dilation, j*stride + v*dilation, c] * kernel[u, v, c, f])",
            .params =
                {
                    PARAM_FILTERS,
                    PARAM_KERNEL_SIZE,
                    PARAM_STRIDES,
                    PARAM_PADDING("valid"),
                    PARAM_DILATION,
                    {"groups", P_INT, "1", NULL,
                     "channels are split into this many independent convolutions"},
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
            {"conv2d(5, 3x3)", "7x8x3"},
            {"conv2d(4, 3x3, same)", "6x5x2"},
            {"conv2d(5, 3x3, same, strides = 2, activation = relu)", "7x8x3"},
            {"conv2d(3, 1x1, use_bias = false)", "4x4x6"},
            {"conv2d(4, 3x3, same, dilation_rate = 2)", "9x7x3"},
            {"conv2d(6, 3x3, groups = 2)", "6x6x4"},
            {"conv2d(2, 2x3, strides = 2x1)", "5x6x3"},
            {NULL, NULL},
        },
};
