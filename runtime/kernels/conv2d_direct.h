/* Direct convolution of any geometry: forward and gradient of the input.  (Weights: conv2d_direct_w.h.)
 *
 * Layouts: x [n, in_h, in_w, in_ld], y [n, out_h, out_w, out_ld], w [kernel_h, kernel_w, in_c / groups,
 * out_c]. */
#ifndef NETC_KERNELS_CONV2D_DIRECT_H
#define NETC_KERNELS_CONV2D_DIRECT_H
#include "conv2d_direct_w.h"
#include "conv2d_grid.h"

/* ---- forward ---- */

static ConvGrid conv2d_fwd_grid(const Conv2d *g) {
  return (ConvGrid){.rows = g->out_h,
                    .columns = g->out_w,
                    .in_h = g->in_h,
                    .in_w = g->in_w,
                    .in_ld = g->in_ld,
                    .depth = g->in_c / g->groups,
                    .step_h = g->stride_h,
                    .step_w = g->stride_w,
                    .taps_h = g->kernel_h,
                    .taps_w = g->kernel_w,
                    .tap_h = -g->pad_top,
                    .tap_w = -g->pad_left,
                    .tap_step_h = g->dilation_h,
                    .tap_step_w = g->dilation_w,
                    .out_h = g->out_h,
                    .out_w = g->out_w,
                    .out_ld = g->out_ld,
                    .channels = g->out_c / g->groups,
                    .out_step_h = 1,
                    .out_step_w = 1};
}

/* Floats of the packed weights: [groups][blocks of 16 output channels][kernel_h][kernel_w][in_c /
 * groups][16]. */
static size_t conv2d_fwd_direct_packed_floats(const Conv2d *g) {
  ConvGrid grid = conv2d_fwd_grid(g);
  return (size_t)g->groups * conv_grid_packed_floats(&grid);
}

static void conv2d_fwd_direct_pack(const Conv2d *g, const float *w, float *packed, const Work *work) {
  (void)work;
  int channels = g->out_c / g->groups, blocks = conv_ceil(channels, TILE_BLOCK);
  ptrdiff_t lines = (ptrdiff_t)g->kernel_h * g->kernel_w * (g->in_c / g->groups);
  WORK_PARALLEL_FOR(work)
  for (int task = 0; task < g->groups * blocks; task++) {
    int k = task % blocks * TILE_BLOCK, left = channels - k < TILE_BLOCK ? channels - k : TILE_BLOCK;
    const float *from = w + task / blocks * channels + k;
    float *to = packed + task * lines * TILE_BLOCK;
    for (ptrdiff_t line = 0; line < lines; line++, from += g->out_c, to += TILE_BLOCK)
      for (int i = 0; i < TILE_BLOCK; i++)
        to[i] = i < left ? from[i] : 0.0f;
  }
}

/* Scratch per thread. */
static size_t conv2d_fwd_direct_scratch_floats(const Conv2d *g) {
  ConvGrid grid = conv2d_fwd_grid(g);
  return conv_grid_scratch_floats(&grid);
}

/* Whether x can be read through a ChannelMap: 1x1, pixels as they lie. */
static bool conv2d_fwd_direct_maps(const Conv2d *g) {
  ConvGrid grid = conv2d_fwd_grid(g);
  return g->groups == 1 && conv_grid_flat(&grid);
}

/* y = act(map(x) * w + bias + residual), y overwritten; `map` and `e` may be NULL.  y may be e->residual. */
static void conv2d_fwd_direct_mapped(const Conv2d *g, int n, const float *x, const ChannelMap *map,
                                     const float *packed, const Epilogue *e, float *y, const Work *work) {
  ConvGrid grid = conv2d_fwd_grid(g);
  grid.map = map;
  conv_grid_groups(&grid, g->groups, n, x, packed, e, y, work);
}

static void conv2d_fwd_direct(const Conv2d *g, int n, const float *x, const float *packed, const Epilogue *e,
                              float *y, const Work *work) {
  conv2d_fwd_direct_mapped(g, n, x, NULL, packed, e, y, work);
}

/* ---- gradient of the input ---- */

/* One axis of a phase: pixels h = phase + i * stride of dx read dy at i + tap + u, and tap u comes from
 * kernel index last - u * index_step, so that taps go forward in dy. */
typedef struct ConvPhase {
  int count; /* pixels of dx in the phase */
  int taps, tap, tap_step;
  int last, index_step; /* kernel index of tap 0, and what is taken away per tap */
} ConvPhase;

static ConvPhase conv_phase(int phase, int in, int kernel, int stride, int pad, int dilation) {
  ConvPhase p = {
      .count = phase < in ? (in - phase + stride - 1) / stride : 0, .tap_step = 1, .index_step = 1};
  int second = -1;
  for (int r = kernel - 1; r >= 0; r--) {
    int offset = phase + pad - r * dilation;
    if (offset % stride != 0)
      continue;
    if (p.taps == 0) {
      p.last = r;
      p.tap = offset / stride;
    } else if (second < 0) {
      second = r;
      p.index_step = p.last - r;
      p.tap_step = offset / stride - p.tap;
    }
    p.taps++;
  }
  return p;
}

static ConvGrid conv2d_bwd_x_grid(const Conv2d *g, int phase_h, int phase_w, ConvPhase *h, ConvPhase *w) {
  *h = conv_phase(phase_h, g->in_h, g->kernel_h, g->stride_h, g->pad_top, g->dilation_h);
  *w = conv_phase(phase_w, g->in_w, g->kernel_w, g->stride_w, g->pad_left, g->dilation_w);
  return (ConvGrid){.rows = h->count,
                    .columns = w->count,
                    .in_h = g->out_h,
                    .in_w = g->out_w,
                    .in_ld = g->out_ld,
                    .depth = g->out_c / g->groups,
                    .step_h = 1,
                    .step_w = 1,
                    .taps_h = h->taps,
                    .taps_w = w->taps,
                    .tap_h = h->tap,
                    .tap_w = w->tap,
                    .tap_step_h = h->tap_step,
                    .tap_step_w = w->tap_step,
                    .out_h = g->in_h,
                    .out_w = g->in_w,
                    .out_ld = g->in_ld,
                    .channels = g->in_c / g->groups,
                    .out_h0 = phase_h,
                    .out_w0 = phase_w,
                    .out_step_h = g->stride_h,
                    .out_step_w = g->stride_w};
}

/* Floats of the packed weights: [phases][groups][blocks of 16 input channels][taps of the phase][out_c /
 * groups][16]. */
static size_t conv2d_bwd_x_direct_packed_floats(const Conv2d *g) {
  return (size_t)g->groups * conv_packed_channels(g->in_c / g->groups) * (size_t)(g->kernel_h * g->kernel_w) *
         (size_t)(g->out_c / g->groups);
}

static void conv2d_bwd_x_direct_pack(const Conv2d *g, const float *w, float *packed, const Work *work) {
  (void)work;
  int in = g->in_c / g->groups, out = g->out_c / g->groups, blocks = conv_ceil(in, TILE_BLOCK);
  for (int phase = 0; phase < g->stride_h * g->stride_w; phase++) {
    ConvPhase ph, pw;
    conv2d_bwd_x_grid(g, phase / g->stride_w, phase % g->stride_w, &ph, &pw);
    ptrdiff_t block_floats = (ptrdiff_t)ph.taps * pw.taps * out * TILE_BLOCK;
    WORK_PARALLEL_FOR(work)
    for (int task = 0; task < g->groups * blocks; task++) {
      int group = task / blocks, c0 = task % blocks * TILE_BLOCK;
      float *to = packed + task * block_floats;
      for (int u = 0; u < ph.taps; u++)
        for (int v = 0; v < pw.taps; v++) {
          int r = ph.last - u * ph.index_step, s = pw.last - v * pw.index_step;
          const float *from = w + ((ptrdiff_t)(r * g->kernel_w + s) * in + c0) * g->out_c + group * out;
          for (int k = 0; k < out; k++, to += TILE_BLOCK)
            for (int i = 0; i < TILE_BLOCK; i++)
              to[i] = c0 + i < in ? from[(ptrdiff_t)i * g->out_c + k] : 0.0f;
        }
    }
    packed += g->groups * blocks * block_floats;
  }
}

static size_t conv2d_bwd_x_direct_scratch_floats(const Conv2d *g) {
  size_t most = 16;
  for (int phase = 0; phase < g->stride_h * g->stride_w; phase++) {
    ConvPhase h, w;
    ConvGrid grid = conv2d_bwd_x_grid(g, phase / g->stride_w, phase % g->stride_w, &h, &w);
    size_t floats = grid.columns > 0 && grid.rows > 0 ? conv_grid_scratch_floats(&grid) : 0;
    most = floats > most ? floats : most;
  }
  return most;
}

/* dx = gradient of x for dy, dx overwritten; with an epilogue `e` (or NULL) what that makes of it, in
 * channels of x; dx may be e->residual.  With a stride, the pixels of dx fall into stride_h *
 * stride_w phases, each a convolution of dy with the taps that reach it. */
static void conv2d_bwd_x_direct(const Conv2d *g, int n, const float *dy, const float *packed,
                                const Epilogue *e, float *dx, const Work *work) {
  /* Pixels that no tap reaches become what they are. */
  bool stays = e && e->residual == dx && !e->bias && !e->mask && e->act.kind == ACT_LINEAR;
  for (int phase = 0; phase < g->stride_h * g->stride_w; phase++) {
    ConvPhase h, w;
    ConvGrid grid = conv2d_bwd_x_grid(g, phase / g->stride_w, phase % g->stride_w, &h, &w);
    if (!(stays && h.taps * w.taps == 0))
      conv_grid_groups(&grid, g->groups, n, dy, packed, e, dx, work);
    packed += (size_t)g->groups * conv_grid_packed_floats(&grid);
  }
}
#endif
