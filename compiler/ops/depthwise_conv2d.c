#include "infer.h"

/* Each channel has its own depth_multiplier filters; channel c's k-th result is output channel c * multiplier
 * + k. Keras: DepthwiseConv2D.  kernel (kh, kw, channels, multiplier). */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  if (!infer_image(layer, arena, diag) || !infer_at_least(layer, "kernel_size", 1, diag) ||
      !infer_at_least(layer, "strides", 1, diag) || !infer_at_least(layer, "depth_multiplier", 1, diag) ||
      !infer_at_least(layer, "dilation_rate", 1, diag))
    return false;
  const Call *call = &layer->call;
  const int64_t *kernel = call_ints(call, "kernel_size"), *stride = call_ints(call, "strides");
  const int64_t *dilation = call_ints(call, "dilation_rate");
  int64_t multiplier = call_int(call, "depth_multiplier");
  int channels = layer->inputs[0]->shape.dim[2];
  if ((stride[0] > 1 || stride[1] > 1) && (dilation[0] > 1 || dilation[1] > 1)) {
    diag_error(diag, infer_span(layer, "dilation_rate"),
               "strides and dilation cannot both be above 1, as in Keras");
    return false;
  }
  if (stride[0] != stride[1]) {
    diag_error(diag, infer_span(layer, "strides"),
               "a depthwise convolution steps equally in both directions");
    return false;
  }
  int64_t out[3];
  if (!infer_window(layer, "kernel_size", stride, dilation, arena, diag, out))
    return false;
  out[2] = channels * multiplier;
  if (!infer_set(layer, 3, out, arena, diag))
    return false;
  Shape shape = {4, {(int)kernel[0], (int)kernel[1], channels, (int)multiplier}};
  layer_add_weight(layer, "kernel", shape, true, call_call(call, "depthwise_initializer"),
                   call_call(call, "depthwise_regularizer"), call_call(call, "depthwise_constraint"));
  if (call_bool(call, "use_bias"))
    layer_add_weight(layer, "bias", (Shape){1, {(int)out[2]}}, true, call_call(call, "bias_initializer"),
                     call_call(call, "bias_regularizer"), call_call(call, "bias_constraint"));
  return true;
}

const OpDef op_depthwise_conv2d = {
    .kind = OP_depthwise_conv2d,
    .name = "depthwise_conv2d",
    .signature =
        {
            .kind = SIG_LAYER,
            .name = "depthwise_conv2d",
            .keras_class = "DepthwiseConv2D",
            .doc = "convolution of each channel by itself",
            .formula = "y[i, j, c*m + k] = activation(bias + sum over u, v of "
                       "x[i*stride + u, j*stride + v, c] * kernel[u, v, c, k])",
            .params =
                {
                    PARAM_KERNEL_SIZE,
                    PARAM_STRIDES,
                    PARAM_PADDING("valid"),
                    {"depth_multiplier", P_INT, "1", NULL, "output channels per input channel"},
                    PARAM_DILATION,
                    PARAM_ACTIVATION,
                    PARAM_USE_BIAS,
                    PARAM_INITIALIZER("depthwise", "glorot_uniform"),
                    PARAM_INITIALIZER("bias", "zeros"),
                    PARAM_REGULARIZER("depthwise"),
                    PARAM_REGULARIZER("bias"),
                    PARAM_ACTIVITY_REGULARIZER,
                    PARAM_CONSTRAINT("depthwise"),
                    PARAM_CONSTRAINT("bias"),
                },
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .samples =
        (const OpSample[]){
            {"depthwise_conv2d(3x3)", "6x7x4"},
            {"depthwise_conv2d(3x3, same, strides = 2)", "7x6x3"},
            {"depthwise_conv2d(5x5, same, use_bias = false)", "6x6x5"},
            {"depthwise_conv2d(3x3, depth_multiplier = 2, activation = relu6)", "5x5x3"},
            {NULL, NULL},
        },
};
