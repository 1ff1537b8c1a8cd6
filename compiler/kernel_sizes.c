#include "kernel_sizes.h"
#include "../runtime/kernels/act.h"
#include "../runtime/kernels/batchnorm.h"
#include "../runtime/kernels/conv2d_direct.h"
#include "../runtime/kernels/conv2d_direct_w.h"
#include "../runtime/kernels/conv2d_winograd2.h"
#include "../runtime/kernels/conv2d_winograd4.h"
#include "../runtime/kernels/conv2d_winograd6.h"
#include "../runtime/kernels/dense.h"
#include "../runtime/kernels/depthwise.h"
#include "../runtime/kernels/depthwise_pointwise.h"
#include "../runtime/kernels/pool.h"

typedef size_t SizeOf(const Conv2d *);

/* One row per algorithm: packed weights, scratch, and the shared workspace of the gradient of w. */
static const struct {
  SizeOf *fwd_packed, *bwd_x_packed, *fwd_scratch, *bwd_x_scratch, *bwd_w_scratch, *bwd_w_workspace;
} algorithms[] = {
    [CONV_UNCHOSEN] = {conv2d_fwd_direct_packed_floats, conv2d_bwd_x_direct_packed_floats,
                       conv2d_fwd_direct_scratch_floats, conv2d_bwd_x_direct_scratch_floats,
                       conv2d_bwd_w_direct_scratch_floats, conv2d_bwd_w_direct_workspace_floats},
    [CONV_DIRECT] = {conv2d_fwd_direct_packed_floats, conv2d_bwd_x_direct_packed_floats,
                     conv2d_fwd_direct_scratch_floats, conv2d_bwd_x_direct_scratch_floats,
                     conv2d_bwd_w_direct_scratch_floats, conv2d_bwd_w_direct_workspace_floats},
    [CONV_WINOGRAD2] = {conv2d_fwd_winograd2_packed_floats, NULL, conv2d_fwd_winograd2_scratch_floats, NULL,
                        NULL, NULL},
    [CONV_WINOGRAD4] = {conv2d_fwd_winograd4_packed_floats, conv2d_bwd_x_winograd4_packed_floats,
                        conv2d_fwd_winograd4_scratch_floats, conv2d_bwd_x_winograd4_scratch_floats,
                        conv2d_bwd_w_winograd4_scratch_floats, conv2d_bwd_w_winograd4_workspace_floats},
    [CONV_WINOGRAD4_RAW] = {NULL, NULL, conv2d_fwd_winograd4_raw_scratch_floats,
                            conv2d_bwd_x_winograd4_raw_scratch_floats, NULL, NULL},
    [CONV_WINOGRAD6] = {conv2d_fwd_winograd6_packed_floats, conv2d_bwd_x_winograd6_packed_floats,
                        conv2d_fwd_winograd6_scratch_floats, conv2d_bwd_x_winograd6_scratch_floats,
                        conv2d_bwd_w_winograd6_scratch_floats, conv2d_bwd_w_winograd6_workspace_floats},
    [CONV_WINOGRAD6_RAW] = {NULL, NULL, conv2d_fwd_winograd6_raw_scratch_floats,
                            conv2d_bwd_x_winograd6_raw_scratch_floats, NULL, NULL},
};

int64_t kernel_conv2d_packed_floats(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op) {
  return (int64_t)(op == OP_conv2d ? algorithms[algorithm].fwd_packed
                                   : algorithms[algorithm].bwd_x_packed)(conv);
}

int64_t kernel_conv2d_scratch_floats(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op) {
  switch (op) {
  case OP_conv2d:
    return (int64_t)algorithms[algorithm].fwd_scratch(conv);
  case OP_conv2d_bwd_x:
    return (int64_t)algorithms[algorithm].bwd_x_scratch(conv);
  case OP_conv2d_bwd_w:
    return (int64_t)algorithms[algorithm].bwd_w_scratch(conv);
  case OP_depthwise_conv2d:
    return (int64_t)depthwise_conv2d_fwd_scratch_floats(conv);
  case OP_depthwise_conv2d_bwd_x:
    return (int64_t)depthwise_conv2d_bwd_x_scratch_floats(conv);
  case OP_depthwise_conv2d_bwd_w:
    return (int64_t)depthwise_conv2d_bwd_w_scratch_floats(conv);
  default:
    return 0;
  }
}

int64_t kernel_depthwise_pointwise_scratch_floats(const Conv2d *depthwise, bool expands) {
  return (int64_t)depthwise_pointwise_fwd_scratch_floats(depthwise, expands);
}

bool kernel_depthwise_expansion_fits(const Conv2d *expand, const Conv2d *depthwise) {
  return depthwise_expansion_fits(expand, depthwise);
}

bool kernel_depthwise_pointwise_fits(const Conv2d *depthwise, const Conv2d *pointwise) {
  return depthwise_pointwise_fits(depthwise, pointwise);
}

int64_t kernel_conv2d_workspace_floats(const Conv2d *conv, ConvAlgorithm algorithm) {
  return (int64_t)algorithms[algorithm].bwd_w_workspace(conv);
}

int64_t kernel_dense_scratch_floats(int64_t rows, int in, int out, OpKind op) {
  return (int64_t)(op == OP_dense ? dense_fwd_scratch_floats((int)rows, in, out)
                                  : dense_bwd_scratch_floats((int)rows, in, out));
}

int64_t kernel_batchnorm_scratch_floats(int channels) {
  return (int64_t)batchnorm_scratch_floats(channels);
}

bool kernel_conv2d_fits(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op) {
  switch (conv_tile(algorithm)) {
  case 2:
    return op == OP_conv2d && conv2d_winograd2_fits(conv);
  case 4:
    return conv2d_winograd4_fits(conv);
  case 6:
    return conv2d_winograd6_fits(conv);
  default:
    return true;
  }
}

ConvAlgorithm kernel_conv2d_raw(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op) {
  if (algorithm == CONV_WINOGRAD4 &&
      (op == OP_conv2d ? conv2d_fwd_winograd4_takes_raw(conv) : conv2d_bwd_x_winograd4_takes_raw(conv)))
    return CONV_WINOGRAD4_RAW;
  if (algorithm == CONV_WINOGRAD6 &&
      (op == OP_conv2d ? conv2d_fwd_winograd6_takes_raw(conv) : conv2d_bwd_x_winograd6_takes_raw(conv)))
    return CONV_WINOGRAD6_RAW;
  return algorithm;
}

int kernel_winograd_shared_tiles(int tile) {
  return winograd_shared_tiles(tile);
}

bool kernel_act_is_clamp(Act act) {
  float low, high;
  return act_is_clamp(&act, &low, &high);
}

bool kernel_pool_windows_apart(const Pool2d *pool) {
  return pool_windows_apart(pool);
}

bool kernel_act_bwd_needs_x(Act act) {
  return act_bwd_needs_x(act);
}
