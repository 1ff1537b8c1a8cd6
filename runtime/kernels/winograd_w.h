/* Gradient of a 3x3 convolution's weights by the transposed Winograd algorithm:
 *
 *   dw = G' [ sum over tiles of (B' d B) . (A dy A') ] G
 *
 * with the tiles and matrices of winograd.h.  Tiles go in chunks: first their transforms are made, then each
 * position is a product [channels in][tiles] x [tiles][channels out] that is added to the position's sums. */
#ifndef NETC_KERNELS_WINOGRAD_W_H
#define NETC_KERNELS_WINOGRAD_W_H
#include "winograd_run.h"

#define WINOGRAD_W_TILES                                                                                     \
  112 /* of a chunk: sums go to memory and back once per chunk, transforms should stay in cache */

/* A y, for a line of m outputs. */
VEC_INLINE void winograd_gradient_line(int m, const Vec *y, int step, Vec *t, int t_step) {
  Vec y1 = y[step], y2 = y[2 * step], y3 = y[3 * step];
  if (m == 4) {
    Vec even = vec_add(y[0], y2), odd = vec_add(y1, y3);
    t[0] = y[0];
    t[t_step] = vec_add(even, odd);
    t[2 * t_step] = vec_sub(even, odd);
    even = vec_fma(vec_set(4.0f), y2, y[0]);
    odd = vec_fma(vec_set(8.0f), y3, vec_add(y1, y1));
    t[3 * t_step] = vec_add(even, odd);
    t[4 * t_step] = vec_sub(even, odd);
    t[5 * t_step] = y3;
    return;
  }
  Vec y4 = y[4 * step], y5 = y[5 * step];
  Vec even = vec_add(y[0], vec_add(y2, y4)), odd = vec_add(y1, vec_add(y3, y5));
  t[0] = y[0];
  t[t_step] = vec_add(even, odd);
  t[2 * t_step] = vec_sub(even, odd);
  even = vec_fma(vec_set(16.0f), y4, vec_fma(vec_set(4.0f), y2, y[0]));
  odd = vec_fma(vec_set(32.0f), y5, vec_fma(vec_set(8.0f), y3, vec_add(y1, y1)));
  t[3 * t_step] = vec_add(even, odd);
  t[4 * t_step] = vec_sub(even, odd);
  even = vec_fma(vec_set(0.0625f), y4, vec_fma(vec_set(0.25f), y2, y[0]));
  odd = vec_fma(vec_set(0.03125f), y5, vec_fma(vec_set(0.125f), y3, vec_mul(vec_set(0.5f), y1)));
  t[5 * t_step] = vec_add(even, odd);
  t[6 * t_step] = vec_sub(even, odd);
  t[7 * t_step] = y5;
}

/* G' u */
VEC_INLINE void winograd_weight_line(int m, const Vec *u, int step, Vec *g, int g_step) {
  Vec s1 = vec_add(u[step], u[2 * step]), d1 = vec_sub(u[2 * step], u[step]);
  Vec s2 = vec_add(u[3 * step], u[4 * step]), d2 = vec_sub(u[3 * step], u[4 * step]);
  if (m == 4) {
    Vec sixth = vec_set(1.0f / 6.0f);
    g[0] =
        vec_fma(vec_set(0.25f), u[0], vec_fma(vec_set(1.0f / 24.0f), s2, vec_mul(vec_set(-1.0f / 6.0f), s1)));
    g[g_step] = vec_fma(vec_set(1.0f / 12.0f), d2, vec_mul(sixth, d1));
    g[2 * g_step] = vec_fma(sixth, vec_sub(s2, s1), u[5 * step]);
    return;
  }
  Vec s3 = vec_add(u[5 * step], u[6 * step]), d3 = vec_sub(u[5 * step], u[6 * step]);
  Vec first = vec_mul(vec_set(-2.0f / 9.0f), s1);
  g[0] = vec_add(u[0], vec_fma(vec_set(32.0f / 45.0f), s3, vec_fma(vec_set(1.0f / 90.0f), s2, first)));
  g[g_step] = vec_fma(vec_set(16.0f / 45.0f), d3,
                      vec_fma(vec_set(1.0f / 45.0f), d2, vec_mul(vec_set(2.0f / 9.0f), d1)));
  g[2 * g_step] =
      vec_add(u[7 * step], vec_fma(vec_set(8.0f / 45.0f), s3, vec_fma(vec_set(2.0f / 45.0f), s2, first)));
}

static inline size_t winograd_w_sum_floats(int m, const Winograd *g) {
  return (size_t)((m + 2) * (m + 2)) * (size_t)g->in_c * (size_t)winograd_line(g->out_c);
}

/* The workspace: sums [position][in_c][line of out_c], then both transforms of a chunk. */
static size_t winograd_w_workspace_floats(int m, const Winograd *g) {
  size_t tiles = (size_t)((m + 2) * (m + 2)) * WINOGRAD_W_TILES;
  return winograd_w_sum_floats(m, g) + tiles * (size_t)(winograd_line(g->in_c) + winograd_line(g->out_c)) +
         16;
}

/* A dy A' of one tile, all channels: to[position * step + channel]; zero beyond the image and the last
 * channel. */
VEC_INLINE void winograd_gradient_tile(int m, const Winograd *g, const float *image, int h0, int w0,
                                       ptrdiff_t step, float *to) {
  int alpha = m + 2, channels = conv_ceil(g->out_c, TILE_BLOCK) * TILE_BLOCK;
  for (int k = 0; k < channels; k += VEC_WIDTH) {
    Vec half[48], line[8], column[8];
    winograd_clear(m, line);
    winograd_clear(alpha, column);
    for (int i = 0; i < m; i++) {
      VEC_UNROLL
      for (int j = 0; j < m; j++) {
        bool inside = h0 + i < g->out_h && w0 + j < g->out_w && k < g->out_c;
        ptrdiff_t at = ((ptrdiff_t)(h0 + i) * g->out_w + w0 + j) * g->out_ld + k;
        line[j] = inside ? vec_load_upto(image + at, g->out_c - k) : vec_zero();
      }
      winograd_gradient_line(m, line, 1, half + i * alpha, 1);
    }
    for (int j = 0; j < alpha; j++) {
      winograd_gradient_line(m, half + j, alpha, column, 1);
      VEC_UNROLL
      for (int i = 0; i < alpha; i++)
        vec_store(to + (i * alpha + j) * step + k, column[i]);
    }
  }
}

/* dw for input channel c from the sums. */
VEC_INLINE void winograd_weight_channel(int m, const Winograd *g, int c, const float *sums, float *dw) {
  int alpha = m + 2, line_floats = winograd_line(g->out_c);
  ptrdiff_t position = (ptrdiff_t)g->in_c * line_floats;
  for (int k = 0; k < g->out_c; k += VEC_WIDTH) {
    Vec line[8], half[24], whole[9];
    winograd_clear(alpha, line);
    for (int i = 0; i < alpha; i++) {
      VEC_UNROLL
      for (int j = 0; j < alpha; j++)
        line[j] = vec_load(sums + (i * alpha + j) * position + (ptrdiff_t)c * line_floats + k);
      winograd_weight_line(m, line, 1, half + i * 3, 1);
    }
    for (int s = 0; s < 3; s++)
      winograd_weight_line(m, half + s, 3, whole + s, 3);
    for (int tap = 0; tap < 9; tap++)
      vec_store_upto(dw + ((ptrdiff_t)tap * g->in_c + c) * g->out_c + k, whole[tap], g->out_c - k);
  }
}

/* Both transforms of tile t of a chunk that begins at tile `begin`. */
VEC_INLINE void winograd_w_tile(int m, const Winograd *g, int64_t begin, int t, const float *x,
                                const float *dy, float *v, float *z) {
  int rows = conv_ceil(g->out_h, m), columns = conv_ceil(g->out_w, m);
  int in_line = winograd_line(g->in_c), out_line = winograd_line(g->out_c);
  int64_t flat = begin + t, image = flat / (rows * columns);
  int h = (int)(flat / columns % rows) * m, w = (int)(flat % columns) * m;
  winograd_input_tile(m, g, x + image * g->in_h * g->in_w * g->in_ld, h - g->pad_top, w - g->pad_left,
                      (ptrdiff_t)WINOGRAD_W_TILES * in_line, v + (ptrdiff_t)t * in_line);
  winograd_gradient_tile(m, g, dy + image * g->out_h * g->out_w * g->out_ld, h, w,
                         (ptrdiff_t)WINOGRAD_W_TILES * out_line, z + (ptrdiff_t)t * out_line);
}

/* Functions of their own for each m, as in winograd.h. */
static void winograd_w_transform(int m, const Winograd *g, int64_t begin, int t, const float *x,
                                 const float *dy, float *v, float *z) {
  if (m == 4)
    winograd_w_tile(4, g, begin, t, x, dy, v, z);
  else
    winograd_w_tile(6, g, begin, t, x, dy, v, z);
}

static void winograd_w_finish(int m, const Winograd *g, int c, const float *sums, float *dw) {
  if (m == 4)
    winograd_weight_channel(4, g, c, sums, dw);
  else
    winograd_weight_channel(6, g, c, sums, dw);
}

static void winograd_w_run(int m, const Winograd *g, int n, const float *x, const float *dy, float *dw,
                           float *workspace, const Work *work) {
  (void)work;
  int alpha = m + 2, positions = alpha * alpha;
  int tile_rows = conv_ceil(g->out_h, m), tile_columns = conv_ceil(g->out_w, m);
  int64_t tiles = (int64_t)n * tile_rows * tile_columns;
  int in_line = winograd_line(g->in_c), out_line = winograd_line(g->out_c), chunk = WINOGRAD_W_TILES;
  float *sums = workspace, *v = sums + winograd_w_sum_floats(m, g),
        *z = v + (ptrdiff_t)positions * chunk * in_line;
  int column_tiles = conv_ceil(g->out_c, TILE_COLUMNS);
  for (int64_t begin = 0; begin < tiles; begin += chunk) {
    int count = tiles - begin < chunk ? (int)(tiles - begin) : chunk;
    WORK_PARALLEL_CALLS(work)
    for (int t = 0; t < count; t++)
      winograd_w_transform(m, g, begin, t, x, dy, v, z);
    WORK_PARALLEL_CALLS_DYNAMIC(work)
    for (int task = 0; task < positions * column_tiles; task++) {
      int p = task / column_tiles, k = task % column_tiles * TILE_COLUMNS;
      ptrdiff_t at[TILE_ROWS];
      for (int r = 0; r < TILE_ROWS; r++)
        at[r] = (ptrdiff_t)r * out_line;
      TileOut out = {.at = at,
                     .columns = g->out_c - k < TILE_COLUMNS ? g->out_c - k : TILE_COLUMNS,
                     .accumulate = begin > 0,
                     .low = -INFINITY,
                     .high = INFINITY};
      for (int c = 0, size; c < g->in_c; c += size) {
        size = tile_share(g->in_c - c);
        TileSegment segment = {v + (ptrdiff_t)p * chunk * in_line + c,
                               z + (ptrdiff_t)p * chunk * out_line + k, count};
        out.y = sums + ((ptrdiff_t)p * g->in_c + c) * out_line + k;
        tile_multiply_panel(size, 1, &segment, in_line, out_line, TILE_BLOCK, &out);
      }
    }
  }
  WORK_PARALLEL_CALLS(work)
  for (int c = 0; c < g->in_c; c++)
    winograd_w_finish(m, g, c, sums, dw);
}
#endif
