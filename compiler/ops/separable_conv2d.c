/* separable_conv2d: depthwise, then 1x1, Keras's SeparableConv2D. */
#include "infer.h"
#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"

static bool separable_conv2d_infer(Layer *layer, Arena *arena, Diag *diag) {
  const Call *call = &layer->call;
  if (!infer_image(layer, arena, diag) || !infer_at_least(layer, "filters", 1, diag) ||
      !infer_at_least(layer, "kernel_size", 1, diag) || !infer_at_least(layer, "strides", 1, diag) ||
      !infer_at_least(layer, "dilation_rate", 1, diag) || !infer_at_least(layer, "depth_multiplier", 1, diag))
    return false;
  int channels = layer->inputs[0]->shape.dim[2];
  int64_t filters = call_int(call, "filters"), multiplier = call_int(call, "depth_multiplier");
  const int64_t *kernel = call_ints(call, "kernel_size"), *strides = call_ints(call, "strides");
  if (strides[0] != strides[1]) {
    diag_error(diag, infer_span(layer, "strides"),
               "separable convolution takes the same stride in both directions, as in Keras");
    return false;
  }
  if (multiplier > (1 << 24) / channels) {
    diag_error(diag, infer_span(layer, "depth_multiplier"), "a multiplier of %lld is not possible",
               (long long)multiplier);
    return false;
  }
  int64_t out[3];
  if (!infer_steps(layer, diag) ||
      !infer_window(layer, "kernel_size", strides, call_ints(call, "dilation_rate"), arena, diag, out))
    return false;
  out[2] = filters;
  if (!infer_set(layer, 3, out, arena, diag))
    return false;
  layer_add_weight(layer, "depthwise_kernel",
                   (Shape){4, {(int)kernel[0], (int)kernel[1], channels, (int)multiplier}}, true,
                   call_call(call, "depthwise_initializer"), call_call(call, "depthwise_regularizer"),
                   call_call(call, "depthwise_constraint"));
  layer_add_weight(layer, "pointwise_kernel", (Shape){4, {1, 1, channels * (int)multiplier, (int)filters}},
                   true, call_call(call, "pointwise_initializer"), call_call(call, "pointwise_regularizer"),
                   call_call(call, "pointwise_constraint"));
  if (call_bool(call, "use_bias"))
    layer_add_weight(layer, "bias", (Shape){1, {(int)filters}}, true, call_call(call, "bias_initializer"),
                     call_call(call, "bias_regularizer"), call_call(call, "bias_constraint"));
  return true;
}

/* ---- lowering: depthwise_conv2d, then conv2d of 1x1 ---- */

static Value *separable_conv2d_lower(Builder *builder, const Layer *layer, Value **inputs) {
  Value *wide = lower_depthwise(builder, layer, inputs[0], ir_weight(builder, layer, "depthwise_kernel"));
  Value *y = ir_binary(builder, OP_conv2d, wide, ir_weight(builder, layer, "pointwise_kernel"), layer->shape);
  y->def->attr.conv = lower_pointwise(wide->shape, layer->shape);
  return lower_activation(builder, layer, lower_bias(builder, layer, y));
}

const OpDef op_separable_conv2d = {
    .kind = OP_separable_conv2d,
    .name = "separable_conv2d",
    .signature = {.kind = SIG_LAYER,
                  .name = "separable_conv2d",
                  .aliases = NULL,
                  .keras_class = "SeparableConv2D",
                  .doc = "depthwise convolution, then one of 1x1",
                  "y = act(bias + conv2d(depthwise_conv2d(x, depthwise_kernel), pointwise_kernel))",
                  {PARAM_FILTERS,
                   PARAM_KERNEL_SIZE,
                   PARAM_STRIDES,
                   PARAM_PADDING("valid"),
                   PARAM_DATA_FORMAT,
                   PARAM_DILATION,
                   {"depth_multiplier", P_INT, "1", .doc = "depthwise outputs per input channel",
                    .range = "> 0"},
                   PARAM_ACTIVATION,
                   PARAM_USE_BIAS,
                   PARAM_INITIALIZER("depthwise", "glorot_uniform"),
                   PARAM_INITIALIZER("pointwise", "glorot_uniform"),
                   PARAM_INITIALIZER("bias", "zeros"),
                   PARAM_REGULARIZER("depthwise"),
                   PARAM_REGULARIZER("pointwise"),
                   PARAM_REGULARIZER("bias"),
                   PARAM_ACTIVITY_REGULARIZER,
                   PARAM_CONSTRAINT("depthwise"),
                   PARAM_CONSTRAINT("pointwise"),
                   PARAM_CONSTRAINT("bias")}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = separable_conv2d_infer,
    .lower = separable_conv2d_lower,
    .not_differentiable = true /* lowered to depthwise_conv2d and conv2d */,
    .samples = (const OpSample[]){{"separable_conv2d(5, 3x3, same)", "6x7x3"},
                                  {"separable_conv2d(4, 3x3, 2, relu)", "7x7x4"},
                                  {"separable_conv2d(5, 3x3, same, depth_multiplier = 2, use_bias = false)",
                                   "5x6x3"},
                                  {0}},
};
