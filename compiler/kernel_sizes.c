#include "kernel_sizes.h"
#include "../runtime/kernels/act.h"
#include "../runtime/kernels/batchnorm.h"
#include "../runtime/kernels/channel_sum.h"
#include "../runtime/kernels/conv2d_direct.h"
#include "../runtime/kernels/conv2d_direct_w.h"
#include "../runtime/kernels/conv2d_winograd.h"
#include "../runtime/kernels/dense.h"
#include "../runtime/kernels/depthwise.h"
#include "../runtime/kernels/depthwise_pointwise.h"
#include "../runtime/kernels/norm.h"
#include "../runtime/kernels/pool.h"

int64_t kernel_conv2d_packed_floats(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op) {
  int m = conv_tile(algorithm);
  if (op == OP_conv2d)
    return (int64_t)(m ? conv2d_fwd_winograd_packed_floats(m, conv) : conv2d_fwd_direct_packed_floats(conv));
  return (int64_t)(m ? conv2d_bwd_x_winograd_packed_floats(m, conv)
                     : conv2d_bwd_x_direct_packed_floats(conv));
}

bool kernel_conv2d_pack_pays(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op, int n) {
  if (op == OP_conv2d_bwd_w || conv_is_raw(algorithm) ||
      (algorithm != CONV_WINOGRAD2 && kernel_conv2d_raw(conv, algorithm, op) == algorithm))
    return true;
  int64_t x = (int64_t)conv->in_h * conv->in_w * conv->in_c,
          y = (int64_t)conv->out_h * conv->out_w * conv->out_c;
  return kernel_conv2d_packed_floats(conv, algorithm, op) <= n * (x + y);
}

static size_t winograd_scratch(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op) {
  int m = conv_tile(algorithm);
  if (op == OP_conv2d_bwd_w)
    return conv2d_bwd_w_winograd_scratch_floats(m, conv);
  return op == OP_conv2d ? conv2d_fwd_winograd_scratch_floats(m, conv, conv_is_raw(algorithm))
                         : conv2d_bwd_x_winograd_scratch_floats(m, conv, conv_is_raw(algorithm));
}

int64_t kernel_conv2d_scratch_floats(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op) {
  if (conv_tile(algorithm))
    return (int64_t)winograd_scratch(conv, algorithm, op);
  switch (op) {
  case OP_conv2d:
    return (int64_t)conv2d_fwd_direct_scratch_floats(conv);
  case OP_conv2d_bwd_x:
    return (int64_t)conv2d_bwd_x_direct_scratch_floats(conv);
  case OP_conv2d_bwd_w:
    return (int64_t)conv2d_bwd_w_direct_scratch_floats(conv);
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

bool kernel_conv2d_maps(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op) {
  switch (op) {
  case OP_conv2d:
    return algorithm == CONV_DIRECT && conv2d_fwd_direct_maps(conv);
  case OP_conv2d_bwd_w:
    return algorithm == CONV_DIRECT && conv->groups == 1;
  case OP_depthwise_conv2d:
  case OP_depthwise_conv2d_bwd_w:
    return depthwise_conv2d_maps(conv);
  default:
    return false;
  }
}

int64_t kernel_conv2d_mapped_scratch_floats(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op) {
  switch (op) {
  case OP_depthwise_conv2d:
    return (int64_t)depthwise_conv2d_fwd_mapped_scratch_floats(conv);
  case OP_depthwise_conv2d_bwd_w:
    return (int64_t)depthwise_conv2d_bwd_w_mapped_scratch_floats(conv);
  default:
    return kernel_conv2d_scratch_floats(conv, algorithm, op);
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
  int m = conv_tile(algorithm);
  return (int64_t)(m ? conv2d_bwd_w_winograd_workspace_floats(m, conv)
                     : conv2d_bwd_w_direct_workspace_floats(conv));
}

int64_t kernel_dense_scratch_floats(int64_t rows, int in, int out, OpKind op) {
  return (int64_t)(op == OP_dense ? dense_fwd_scratch_floats((int)rows, in, out)
                                  : dense_bwd_scratch_floats((int)rows, in, out));
}

int64_t kernel_batchnorm_scratch_floats(int channels) {
  return (int64_t)batchnorm_scratch_floats(channels);
}

int64_t kernel_group_norm_scratch_floats(int channels) {
  return (int64_t)group_norm_scratch_floats(channels);
}

int64_t kernel_channel_sum_scratch_floats(int channels) {
  return (int64_t)channel_sum_scratch_floats(channels);
}

bool kernel_conv2d_fits(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op) {
  int m = conv_tile(algorithm);
  return !m || ((m > 2 || op == OP_conv2d) && conv2d_winograd_fits(conv));
}

ConvAlgorithm kernel_conv2d_raw(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op) {
  ConvAlgorithm raw = conv_raw(algorithm);
  int m = conv_tile(algorithm);
  bool pays =
      raw != algorithm && kernel_conv2d_fits(conv, algorithm, op) &&
      (op == OP_conv2d ? conv2d_fwd_winograd_takes_raw(m, conv) : conv2d_bwd_x_winograd_takes_raw(m, conv));
  return pays ? raw : algorithm;
}

bool kernel_conv2d_pools(ConvAlgorithm algorithm) {
  int m = conv_tile(algorithm);
  return m && conv2d_fwd_winograd_pools(m);
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
