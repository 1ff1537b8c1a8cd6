/* 3x3 convolutions of stride 1 by Winograd's F(2x2, 3x3): see winograd.h.  Forward only: it saves less than
 * half of the products, but its weights are half as many as those of 4x4 tiles, which is what counts where a
 * few small images go through many channels.
 *
 * Against double sums of inputs in [-1, 1] errors stay below 5e-6 of the largest output where direct sums
 * stay below 2e-6; tests/kernels checks it.
 *
 * Layouts: x [n, in_h, in_w, in_ld], y [n, out_h, out_w, out_ld], w [3, 3, in_c, out_c]. */
#ifndef NETC_KERNELS_CONV2D_WINOGRAD2_H
#define NETC_KERNELS_CONV2D_WINOGRAD2_H
#include "winograd_run.h"

/* Whether the geometry is one that this family computes (3x3, stride 1, no dilation, one group, 16 channels
 * or more). */
static bool conv2d_winograd2_fits(const Conv2d *g) {
  return winograd_fits(g);
}

static size_t conv2d_fwd_winograd2_packed_floats(const Conv2d *g) {
  Winograd shape = winograd_fwd(g);
  return winograd_packed_floats(2, &shape);
}

static void conv2d_fwd_winograd2_pack(const Conv2d *g, const float *w, float *packed, const Work *work) {
  Winograd shape = winograd_fwd(g);
  WinogradWeights weights = winograd_fwd_weights(g, w);
  winograd_pack(2, &shape, &weights, packed, work);
}

/* Scratch per thread. */
static size_t conv2d_fwd_winograd2_scratch_floats(const Conv2d *g) {
  Winograd shape = winograd_fwd(g);
  return winograd_scratch_floats(2, &shape, false);
}

/* y = act(x * w + bias + residual), y overwritten; `e` may be NULL.  y may be e->residual. */
static void conv2d_fwd_winograd2(const Conv2d *g, int n, const float *x, const float *packed,
                                 const Epilogue *e, float *y, const Work *work) {
  Winograd shape = winograd_fwd(g);
  winograd_run(2, &shape, n, x, &(const WinogradWeights){.packed = packed}, e, y, work);
}
#endif
