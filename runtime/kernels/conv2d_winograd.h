/* 3x3 convolutions of stride 1 by Winograd's F(m x m, 3x3), output tiles of m x m pixels: see winograd.h
 * (which also says what geometry fits), winograd_run.h and winograd_w.h.
 *
 *   m   products  packed weights  error
 *   2     0.44         1.8        5e-6    forward only: for a few small images through many channels
 *   4     0.25         4          2e-5
 *   5     0.22         5.4        3e-5    pools nothing in passing: its tiles do not hold whole 2 x 2 blocks
 *   6     0.20         7.1        4e-5
 *
 * Products are per output pixel and pair of channels as a part of the direct nine, where tiles are whole;
 * packed weights as a multiple of the layer's own.  The error is against double sums of inputs in [-1, 1], as
 * a part of the largest output, where direct sums stay below 2e-6; tests/kernels checks it.
 *
 * Layouts: x [n, in_h, in_w, in_ld], y [n, out_h, out_w, out_ld], w [3, 3, in_c, out_c].  Sizes are floats;
 * scratch is per thread. */
#ifndef NETC_KERNELS_CONV2D_WINOGRAD_H
#define NETC_KERNELS_CONV2D_WINOGRAD_H
#include "winograd_w.h"

/* Whether Epilogue.max_pool is possible. */
static bool conv2d_fwd_winograd_pools(int m) {
  return m % 2 == 0;
}

static size_t conv2d_fwd_winograd_packed_floats(int m, const Conv2d *g) {
  Winograd shape = winograd_fwd(g);
  return winograd_packed_floats(m, &shape);
}

static void conv2d_fwd_winograd_pack(int m, const Conv2d *g, const float *w, float *packed,
                                     const Work *work) {
  Winograd shape = winograd_fwd(g);
  WinogradWeights weights = winograd_fwd_weights(g, w);
  winograd_pack(m, &shape, &weights, packed, work);
}

static size_t conv2d_fwd_winograd_scratch_floats(int m, const Conv2d *g, bool raw) {
  Winograd shape = winograd_fwd(g);
  return winograd_scratch_floats(m, &shape, raw);
}

/* y = act(x * w + bias + residual), y overwritten; `e` may be NULL.  y may be e->residual. */
static void conv2d_fwd_winograd(int m, const Conv2d *g, int n, const float *x, const float *packed,
                                const Epilogue *e, float *y, const Work *work) {
  Winograd shape = winograd_fwd(g);
  winograd_run(m, &shape, n, x, &(const WinogradWeights){.packed = packed}, e, y, work);
}

/* The same, to the bit, from Keras's weights w (m > 2); worth it where weights are large and used for many
 * images. */
static bool conv2d_fwd_winograd_takes_raw(int m, const Conv2d *g) {
  Winograd shape = winograd_fwd(g);
  return winograd_shares_tiles(m, &shape);
}

static void conv2d_fwd_winograd_raw(int m, const Conv2d *g, int n, const float *x, const float *w,
                                    const Epilogue *e, float *y, const Work *work) {
  Winograd shape = winograd_fwd(g);
  WinogradWeights weights = winograd_fwd_weights(g, w);
  winograd_run(m, &shape, n, x, &weights, e, y, work);
}

/* ---- gradients, m > 2 ---- */

static size_t conv2d_bwd_x_winograd_packed_floats(int m, const Conv2d *g) {
  Winograd shape = winograd_bwd_x(g);
  return winograd_packed_floats(m, &shape);
}

static void conv2d_bwd_x_winograd_pack(int m, const Conv2d *g, const float *w, float *packed,
                                       const Work *work) {
  Winograd shape = winograd_bwd_x(g);
  WinogradWeights weights = winograd_bwd_x_weights(g, w);
  winograd_pack(m, &shape, &weights, packed, work);
}

static size_t conv2d_bwd_x_winograd_scratch_floats(int m, const Conv2d *g, bool raw) {
  Winograd shape = winograd_bwd_x(g);
  return winograd_scratch_floats(m, &shape, raw);
}

/* dx = gradient of x for dy, dx overwritten.  `places` (or NULL): dy is that of the 2 x 2 maxima of the
 * convolution's output, [n, out_h / 2, out_w / 2, out_ld], which were at these places (Epilogue.places). With
 * an epilogue `e` (or NULL) what that makes of the gradient, in channels of x. */
static void conv2d_bwd_x_winograd(int m, const Conv2d *g, int n, const float *dy, const float *packed,
                                  const unsigned char *places, const Epilogue *e, float *dx,
                                  const Work *work) {
  Winograd shape = winograd_bwd_x(g);
  shape.places = places;
  winograd_run(m, &shape, n, dy, &(const WinogradWeights){.packed = packed}, e, dx, work);
}

/* As for the forward convolution. */
static bool conv2d_bwd_x_winograd_takes_raw(int m, const Conv2d *g) {
  Winograd shape = winograd_bwd_x(g);
  return winograd_shares_tiles(m, &shape);
}

static void conv2d_bwd_x_winograd_raw(int m, const Conv2d *g, int n, const float *dy, const float *w,
                                      const unsigned char *places, const Epilogue *e, float *dx,
                                      const Work *work) {
  Winograd shape = winograd_bwd_x(g);
  WinogradWeights weights = winograd_bwd_x_weights(g, w);
  shape.places = places;
  winograd_run(m, &shape, n, dy, &weights, e, dx, work);
}

/* Shared by all threads. */
static size_t conv2d_bwd_w_winograd_workspace_floats(int m, const Conv2d *g) {
  Winograd shape = winograd_fwd(g);
  return winograd_w_workspace_floats(m, &shape);
}

static size_t conv2d_bwd_w_winograd_scratch_floats(int m, const Conv2d *g) {
  Winograd shape = winograd_fwd(g);
  return winograd_w_scratch_floats(m, &shape);
}

/* dw = gradient of w in Keras's layout, overwritten; `places` as above. */
static void conv2d_bwd_w_winograd(int m, const Conv2d *g, int n, const float *x, const float *dy,
                                  const unsigned char *places, float *dw, float *workspace,
                                  const Work *work) {
  Winograd shape = winograd_fwd(g);
  shape.places = places;
  winograd_w_run(m, &shape, n, x, dy, dw, workspace, work);
}
#endif
