/* Sizes that the runtime's kernels ask for, as pure functions of the geometry: kernel_sizes.c calls the
 * kernels' own `_packed_floats` and `_scratch_floats`, so that plan and program cannot differ.  All in
 * floats. */
#ifndef NETC_KERNEL_SIZES_H
#define NETC_KERNEL_SIZES_H
#include "ir.h"

/* Of the packed weights for `op` (OP_conv2d or OP_conv2d_bwd_x). */
int64_t kernel_conv2d_packed_floats(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op);
/* Whether they are worth their memory where it counts: no variant does without them (beside 2x2 tiles others
 * do), or they are no more than what a call with n images reads and writes.  True of what packs nothing. */
bool kernel_conv2d_pack_pays(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op, int n);
/* Per thread; also for the depthwise operators. */
int64_t kernel_conv2d_scratch_floats(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op);
/* Whether a convolution or a gradient of weights, also depthwise, can read x through a ChannelMap; and its
 * scratch, per thread, when it does. */
bool kernel_conv2d_maps(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op);
int64_t kernel_conv2d_mapped_scratch_floats(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op);
/* Of a depthwise convolution and the 1x1 convolution after it, together, and the one before it if `expands`.
 */
int64_t kernel_depthwise_pointwise_scratch_floats(const Conv2d *depthwise, bool expands);
/* Whether they can be computed together, and should. */
bool kernel_depthwise_pointwise_fits(const Conv2d *depthwise, const Conv2d *pointwise);
bool kernel_depthwise_expansion_fits(const Conv2d *expand, const Conv2d *depthwise);
/* The buffer that conv2d_bwd_w shares among threads; 0: none. */
int64_t kernel_conv2d_workspace_floats(const Conv2d *conv, ConvAlgorithm algorithm);
/* `rows`: of x; the result grows linearly over multiples of 16 rows. */
int64_t kernel_dense_scratch_floats(int64_t rows, int in, int out, OpKind op);
int64_t kernel_batchnorm_scratch_floats(int channels);
int64_t kernel_channel_sum_scratch_floats(int channels);
int64_t kernel_group_norm_scratch_floats(int channels);
bool kernel_conv2d_fits(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op);
/* The variant of a Winograd algorithm that takes unpacked weights, where they are large enough for it to pay;
 * else the algorithm itself.  `op` as above. */
ConvAlgorithm kernel_conv2d_raw(const Conv2d *conv, ConvAlgorithm algorithm, OpKind op);
/* Whether a 2 x 2 pooling that follows can be worked in. */
bool kernel_conv2d_pools(ConvAlgorithm algorithm);
/* How many Winograd tiles of so many pixels a side there are to each of the threads that share them. */
int kernel_winograd_shared_tiles(int tile);
/* Whether an activation is a clamp of its input, which kernels do before they store. */
bool kernel_act_is_clamp(Act act);
/* Whether the gradient of a pooling may be written over the pooled values. */
bool kernel_pool_windows_apart(const Pool2d *pool);
/* Whether an activation's gradient is taken from its input rather than its output. */
bool kernel_act_bwd_needs_x(Act act);
#endif
