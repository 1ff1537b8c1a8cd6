/* 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3): see winograd.h and winograd_w.h.
 *
 * Rounding errors grow with the interpolation points: against double sums of inputs in [-1, 1] they stay
 * below 2e-5 of the largest output where direct sums stay below 2e-6; tests/kernels checks it.
 *
 * Layouts: x [n, in_h, in_w, in_ld], y [n, out_h, out_w, out_ld], w [3, 3, in_c, out_c]. */
#ifndef NETC_KERNELS_CONV2D_WINOGRAD4_H
#define NETC_KERNELS_CONV2D_WINOGRAD4_H
#include "winograd_w.h"

/* Whether the geometry is one that this family computes (3x3, stride 1, no dilation, one group, 16 channels
 * or more). */
static bool conv2d_winograd4_fits(const Conv2d *g) {
  return winograd_fits(g);
}

static size_t conv2d_fwd_winograd4_packed_floats(const Conv2d *g) {
  Winograd shape = winograd_fwd(g);
  return winograd_packed_floats(4, &shape);
}

static void conv2d_fwd_winograd4_pack(const Conv2d *g, const float *w, float *packed, const Work *work) {
  Winograd shape = winograd_fwd(g);
  WinogradWeights weights = winograd_fwd_weights(g, w);
  winograd_pack(4, &shape, &weights, packed, work);
}

/* Scratch per thread. */
static size_t conv2d_fwd_winograd4_scratch_floats(const Conv2d *g) {
  Winograd shape = winograd_fwd(g);
  return winograd_scratch_floats(4, &shape, false);
}

/* y = act(x * w + bias + residual), y overwritten; `e` may be NULL.  y may be e->residual. */
static void conv2d_fwd_winograd4(const Conv2d *g, int n, const float *x, const float *packed,
                                 const Epilogue *e, float *y, const Work *work) {
  Winograd shape = winograd_fwd(g);
  winograd_run(4, &shape, n, x, &(const WinogradWeights){.packed = packed}, e, y, work);
}

/* The same, to the bit, from Keras's weights w; worth it where weights are large and used for many images. */
static bool conv2d_fwd_winograd4_takes_raw(const Conv2d *g) {
  Winograd shape = winograd_fwd(g);
  return winograd_fits(g) && winograd_shares_tiles(4, &shape);
}

static size_t conv2d_fwd_winograd4_raw_scratch_floats(const Conv2d *g) {
  Winograd shape = winograd_fwd(g);
  return winograd_scratch_floats(4, &shape, true);
}

static void conv2d_fwd_winograd4_raw(const Conv2d *g, int n, const float *x, const float *w,
                                     const Epilogue *e, float *y, const Work *work) {
  Winograd shape = winograd_fwd(g);
  WinogradWeights weights = winograd_fwd_weights(g, w);
  winograd_run(4, &shape, n, x, &weights, e, y, work);
}

static size_t conv2d_bwd_x_winograd4_packed_floats(const Conv2d *g) {
  Winograd shape = winograd_bwd_x(g);
  return winograd_packed_floats(4, &shape);
}

static void conv2d_bwd_x_winograd4_pack(const Conv2d *g, const float *w, float *packed, const Work *work) {
  Winograd shape = winograd_bwd_x(g);
  WinogradWeights weights = winograd_bwd_x_weights(g, w);
  winograd_pack(4, &shape, &weights, packed, work);
}

/* Scratch per thread. */
static size_t conv2d_bwd_x_winograd4_scratch_floats(const Conv2d *g) {
  Winograd shape = winograd_bwd_x(g);
  return winograd_scratch_floats(4, &shape, false);
}

/* What a gradient by x may do besides: `places` (or NULL): dy is that of the 2 x 2 maxima of the
 * convolution's output, [n, out_h / 2, out_w / 2, out_ld], which were at these places (Epilogue.places);
 * e->mask: only what passes the activation that made x.  dx overwritten. */
static void conv2d_bwd_x_winograd4_through(const Conv2d *g, int n, const float *dy, const float *packed,
                                           const unsigned char *places, const Epilogue *e, float *dx,
                                           const Work *work) {
  Winograd shape = winograd_bwd_x(g);
  shape.places = places;
  winograd_run(4, &shape, n, dy, &(const WinogradWeights){.packed = packed}, e, dx, work);
}

/* dx = gradient of x for dy, dx overwritten. */
static void conv2d_bwd_x_winograd4(const Conv2d *g, int n, const float *dy, const float *packed, float *dx,
                                   const Work *work) {
  Winograd shape = winograd_bwd_x(g);
  winograd_run(4, &shape, n, dy, &(const WinogradWeights){.packed = packed}, NULL, dx, work);
}

/* As for the forward convolution. */
static bool conv2d_bwd_x_winograd4_takes_raw(const Conv2d *g) {
  Winograd shape = winograd_bwd_x(g);
  return winograd_fits(g) && winograd_shares_tiles(4, &shape);
}

static size_t conv2d_bwd_x_winograd4_raw_scratch_floats(const Conv2d *g) {
  Winograd shape = winograd_bwd_x(g);
  return winograd_scratch_floats(4, &shape, true);
}

static void conv2d_bwd_x_winograd4_raw(const Conv2d *g, int n, const float *dy, const float *w, float *dx,
                                       const Work *work) {
  Winograd shape = winograd_bwd_x(g);
  WinogradWeights weights = winograd_bwd_x_weights(g, w);
  winograd_run(4, &shape, n, dy, &weights, NULL, dx, work);
}

static void conv2d_bwd_x_winograd4_raw_through(const Conv2d *g, int n, const float *dy, const float *w,
                                               const unsigned char *places, const Epilogue *e, float *dx,
                                               const Work *work) {
  Winograd shape = winograd_bwd_x(g);
  WinogradWeights weights = winograd_bwd_x_weights(g, w);
  shape.places = places;
  winograd_run(4, &shape, n, dy, &weights, e, dx, work);
}

/* Shared by all threads. */
static size_t conv2d_bwd_w_winograd4_workspace_floats(const Conv2d *g) {
  Winograd shape = winograd_fwd(g);
  return winograd_w_workspace_floats(4, &shape);
}

static size_t conv2d_bwd_w_winograd4_scratch_floats(const Conv2d *g) {
  Winograd shape = winograd_fwd(g);
  return winograd_w_scratch_floats(4, &shape);
}

/* dw overwritten, in Keras's layout. */
static void conv2d_bwd_w_winograd4(const Conv2d *g, int n, const float *x, const float *dy, float *dw,
                                   float *workspace, const Work *work) {
  Winograd shape = winograd_fwd(g);
  winograd_w_run(4, &shape, n, x, dy, dw, workspace, work);
}

/* The same where dy is the gradient of the 2 x 2 maxima of the convolution's output, which were at `places`.
 */
static void conv2d_bwd_w_winograd4_through(const Conv2d *g, int n, const float *x, const float *dy,
                                           const unsigned char *places, float *dw, float *workspace,
                                           const Work *work) {
  Winograd shape = winograd_fwd(g);
  shape.places = places;
  winograd_w_run(4, &shape, n, x, dy, dw, workspace, work);
}
#endif
