/* What the lowering rules of several operators share. */
#ifndef NETC_OPS_LOWERING_H
#define NETC_OPS_LOWERING_H
#include "../ir.h"

/* x under another shape of as many floats (no copy). */
Value *lower_reshape(Builder *builder, Value *x, Shape shape);
/* Joins values along `axis` of the shape (0: the first after the batch). */
Value *lower_concat(Builder *builder, Value **parts, int count, int axis);
/* `count` entries of `axis`, from `begin`. */
Value *lower_slice(Builder *builder, Value *x, int axis, int begin, int count);
/* The layer's `activation` argument applied to x, or x itself. */
Value *lower_activation(Builder *builder, const Layer *layer, Value *x);
Value *lower_activation_call(Builder *builder, const Call *activation, Value *x);
/* Kind and parameters of an elementwise activation's call. */
Act lower_act_of(const Call *activation);
/* What the layer's `padding` puts before the first pixel of an axis: for `same` half of what is missing,
 * rounded down (Keras puts the odd one after). */
int lower_padding(const Layer *layer, int in, int out, int reach, int stride);
/* The convolution from `in` to `out` of a layer with kernel_size, strides, dilation_rate and padding. */
Conv2d lower_conv(const Layer *layer, Shape in, Shape out, int groups);
/* 1x1, pixel by pixel. */
Conv2d lower_pointwise(Shape in, Shape out);
/* Moves what a zero padding puts before axis 0 or 1 into windows over it: *in becomes the size of what is
 * padded, *before grows.  False where some window would then see nothing but padding: kernels are not made
 * for that. */
bool lower_take_axis(const Node *pad, int axis, int out, int reach, int stride, int *in, int *before);
/* Where x is a zero padding, gives back what it pads and adds its rows and columns to those of `g`, whose
 * in_h and in_w become those of that image: a convolution sees zeros outside of it anyway. */
Value *lower_take_padding(Value *x, Conv2d *g);
/* The depthwise convolution of a layer with kernel_size, strides, dilation_rate and padding; weight (R, S, C,
 * M). */
Value *lower_depthwise(Builder *builder, const Layer *layer, Value *x, Value *weight);
/* One activation by kind and parameters. */
Value *lower_act(Builder *builder, Value *x, Act act);
/* x plus the layer's weight "bias" along the last axis, or x where the layer has none. */
Value *lower_bias(Builder *builder, const Layer *layer, Value *x);
/* Sum of values of one shape. */
Value *lower_add(Builder *builder, Value **terms, int count);
/* Ends a training step: regularization, clipping and the optimizer's update of each weight.  `grads` by
 * Value.id. */
void lower_updates(Builder *builder, Value **weights, Value **grads, int count);
#endif
