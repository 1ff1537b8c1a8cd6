#include "kernel_sizes.h"
#include "../runtime/kernels/act.h"
#include "../runtime/kernels/batchnorm.h"
#include "../runtime/kernels/conv2d_direct.h"
#include "../runtime/kernels/conv2d_direct_w.h"
#include "../runtime/kernels/dense.h"
#include "../runtime/kernels/depthwise.h"

int64_t kernel_conv2d_packed_floats(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op) {
  (void)algorithm;
  return (int64_t)(op == OP_conv2d ? conv2d_fwd_direct_packed_floats(conv) : conv2d_bwd_x_direct_packed_floats(conv));
}

int64_t kernel_conv2d_scratch_floats(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op) {
  (void)algorithm;
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

int64_t kernel_conv2d_workspace_floats(const Conv2d *conv) {
  return (int64_t)conv2d_bwd_w_direct_workspace_floats(conv);
}

int64_t kernel_dense_scratch_floats(int64_t rows, int in, int out, OpKind op) {
  return (int64_t)(op == OP_dense ? dense_fwd_scratch_floats((int)rows, in, out)
                                  : dense_bwd_scratch_floats((int)rows, in, out));
}

int64_t kernel_batchnorm_scratch_floats(int channels) {
  return (int64_t)batchnorm_scratch_floats(channels);
}

bool kernel_conv2d_fits(const Conv2d *conv, ConvAlgorithm algorithm) {
  (void)conv;
  return algorithm == CONV_DIRECT;
}

bool kernel_act_bwd_needs_x(Act act) {
  return act_bwd_needs_x(act);
}
