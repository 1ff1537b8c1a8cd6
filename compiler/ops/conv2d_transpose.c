/* conv2d_transpose: the gradient of a convolution as a layer, Keras's Conv2DTranspose. */
#include "infer.h"
#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"

static bool conv2d_transpose_infer(Layer *layer, Arena *arena, Diag *diag) {
  const Call *call = &layer->call;
  if (!infer_image(layer, arena, diag) || !infer_at_least(layer, "filters", 1, diag) ||
      !infer_at_least(layer, "kernel_size", 1, diag) || !infer_at_least(layer, "strides", 1, diag) ||
      !infer_at_least(layer, "dilation_rate", 1, diag))
    return false;
  Shape in = layer->inputs[0]->shape;
  int64_t out[3] = {0, 0, call_int(call, "filters")};
  const int64_t *kernel = call_ints(call, "kernel_size"), *strides = call_ints(call, "strides");
  const int64_t *dilation = call_ints(call, "dilation_rate"), *extra = call_ints(call, "output_padding");
  bool same = infer_same(layer);
  for (int i = 0; i < 2; i++) {
    int64_t window = conv_reach(kernel[i], dilation[i]), size;
    if (extra && extra[i] >= strides[i]) {
      diag_error(diag, infer_span(layer, "output_padding"), "`output_padding` must be less than the stride");
      return false;
    }
    if (dilation[i] > 1 && strides[i] > 1) {
      diag_error(diag, infer_span(layer, "dilation_rate"),
                 "strides and dilation cannot both be above 1, as in Keras");
      return false;
    }
    if (!extra)
      size = same ? in.dim[i] * strides[i]
                  : in.dim[i] * strides[i] + (window > strides[i] ? window - strides[i] : 0);
    else
      size = (in.dim[i] - 1) * strides[i] + window - (same ? 2 * (window / 2) : 0) + extra[i];
    out[i] = size;
  }
  if (!infer_set(layer, 3, out, arena, diag))
    return false;
  layer_add_weight(layer, "kernel", (Shape){4, {(int)kernel[0], (int)kernel[1], (int)out[2], in.dim[2]}},
                   true, call_call(call, "kernel_initializer"), call_call(call, "kernel_regularizer"),
                   call_call(call, "kernel_constraint"));
  if (call_bool(call, "use_bias"))
    layer_add_weight(layer, "bias", (Shape){1, {(int)out[2]}}, true, call_call(call, "bias_initializer"),
                     call_call(call, "bias_regularizer"), call_call(call, "bias_constraint"));
  return true;
}

/* ---- lowering: the data gradient of the convolution that leads back from y to x, whose kernel (R, S, out,
 * in) this is ---- */

static Value *conv2d_transpose_lower(Builder *builder, const Layer *layer, Value **inputs) {
  Value *out =
      ir_binary(builder, OP_conv2d_bwd_x, inputs[0], ir_weight(builder, layer, "kernel"), layer->shape);
  Conv2d g = lower_conv(layer, layer->shape, inputs[0]->shape, 1);
  if (infer_same(layer) && call_ints(&layer->call, "output_padding")) { /* then the size does not say */
    g.pad_top = (int)(conv_reach(g.kernel_h, g.dilation_h) / 2);
    g.pad_left = (int)(conv_reach(g.kernel_w, g.dilation_w) / 2);
  }
  out->def->attr.conv = g;
  return lower_activation(builder, layer, lower_bias(builder, layer, out));
}

const OpDef op_conv2d_transpose = {
    .kind = OP_conv2d_transpose,
    .name = "conv2d_transpose",
    .signature =
        {.kind = SIG_LAYER,
         .name = "conv2d_transpose",
         .aliases = "deconv2d",
         .keras_class = "Conv2DTranspose",
         .doc = "transposed convolution: every input pixel spreads a window over the output",
         "y[p*stride + r, q*stride + s, k] += x[p,q,c] * kernel[r,s,k,c], cut as padding says; + bias[k]",
         {PARAM_FILTERS,
          PARAM_KERNEL_SIZE,
          PARAM_STRIDES,
          PARAM_PADDING("valid"),
          {"output_padding", P_PAIR, "none", .doc = "extra pixels of the output; none: from the padding",
           .range = ">= 0"},
          PARAM_DATA_FORMAT,
          PARAM_DILATION,
          PARAM_ACTIVATION,
          PARAM_USE_BIAS,
          PARAM_INITIALIZER("kernel", "glorot_uniform"),
          PARAM_INITIALIZER("bias", "zeros"),
          PARAM_REGULARIZER("kernel"),
          PARAM_REGULARIZER("bias"),
          PARAM_ACTIVITY_REGULARIZER,
          PARAM_CONSTRAINT("kernel"),
          PARAM_CONSTRAINT("bias")}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = conv2d_transpose_infer,
    .lower = conv2d_transpose_lower,
    .not_differentiable = true /* lowered to conv2d_bwd_x */,
    .samples = (const OpSample[]){{"conv2d_transpose(4, 3x3, 2, same)", "4x5x3"},
                                  {"conv2d_transpose(4, 3x3, 2)", "4x5x3"},
                                  {"conv2d_transpose(4, 2x2, 2, same, relu, use_bias = false)", "3x4x2"},
                                  {0}},
};
