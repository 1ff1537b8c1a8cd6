/* Winograd's minimal filtering for 3x3 convolutions of stride 1: F(m x m, 3 x 3) with m = 4 or 6.
 *
 *   Y = A' [ (G g G') . (B' d B) ] A       (Lavin and Gray, "Fast Algorithms for Convolutional Neural
 * Networks")
 *
 * for an input tile d of (m + 2)^2 pixels and an output tile of m^2: (m + 2)^2 products instead of 9 m^2. The
 * interpolation points are 0, 1, -1, 2, -2 (and 1/2, -1/2 for m = 6) and infinity.
 *
 * The functions here take m as a constant and are inlined into the two families conv2d_*_winograd4 and
 * _winograd6. Each of the (m + 2)^2 positions is a product of [tiles][channels in] with [channels
 * in][channels out], done by the register tile; the transforms work on vectors of channels. */
#ifndef NETC_KERNELS_WINOGRAD_H
#define NETC_KERNELS_WINOGRAD_H
#include "conv2d_grid.h"

#define WINOGRAD_MOST     64      /* positions of m = 6 */
#define WINOGRAD_CHANNELS 256     /* output channels transformed back at once */
#define WINOGRAD_FLOATS   262144  /* of transforms that a thread keeps in cache for tiles of its own */
#define WINOGRAD_OWN      2500000 /* threads share the tiles where packed weights have more floats */

/* A convolution as seen from its output: the gradient of the input has the roles of x and y swapped. */
typedef struct Winograd {
  int in_h, in_w, in_c, in_ld;
  int out_h, out_w, out_c, out_ld;
  int pad_top, pad_left;
} Winograd;

static Winograd winograd_fwd(const Conv2d *g) {
  return (Winograd){g->in_h,  g->in_w,  g->in_c,   g->in_ld,   g->out_h,
                    g->out_w, g->out_c, g->out_ld, g->pad_top, g->pad_left};
}
static Winograd winograd_bwd_x(const Conv2d *g) {
  return (Winograd){g->out_h, g->out_w, g->out_c, g->out_ld,      g->in_h,
                    g->in_w,  g->in_c,  g->in_ld, 2 - g->pad_top, 2 - g->pad_left};
}

static bool winograd_fits(const Conv2d *g) {
  return g->kernel_h == 3 && g->kernel_w == 3 && g->stride_h == 1 && g->stride_w == 1 && g->dilation_h == 1 &&
         g->dilation_w == 1 && g->groups == 1 && g->in_c >= TILE_BLOCK && g->out_c >= TILE_BLOCK;
}

static inline int winograd_line(int channels) {
  return conv_ceil(channels, TILE_BLOCK) * TILE_BLOCK + TILE_BLOCK; /* off the powers of two, for the cache */
}

static inline int winograd_chunk(int out_c) {
  return out_c < WINOGRAD_CHANNELS ? conv_ceil(out_c, TILE_BLOCK) * TILE_BLOCK : WINOGRAD_CHANNELS;
}

static size_t winograd_packed_floats(int m, const Winograd *g) {
  return (size_t)((m + 2) * (m + 2)) * (size_t)(conv_ceil(g->out_c, TILE_BLOCK) * TILE_BLOCK) *
         (size_t)g->in_c;
}

/* Where weights are small, threads take runs of tiles of their own, few enough to stay in cache.  Large
 * weights come from further away: threads share the transforms of many tiles and each takes some of the
 * positions, so that a weight is read once for all of them. */
static inline bool winograd_own_tiles(int m, const Winograd *g) {
  return winograd_packed_floats(m, g) <= WINOGRAD_OWN;
}

/* Tiles per thread whose transforms are kept, in whole register tiles. */
static inline int winograd_tiles(int m, const Winograd *g) {
  if (!winograd_own_tiles(m, g))
    return m == 4 ? 84 : 56;
  int line = winograd_line(g->in_c) + winograd_line(winograd_chunk(g->out_c));
  int tiles = WINOGRAD_FLOATS / ((m + 2) * (m + 2) * line) / 14 * 14;
  return tiles < 14 ? 14 : (tiles > 84 ? 84 : tiles);
}

static size_t winograd_scratch_floats(int m, const Winograd *g) {
  size_t tiles = (size_t)((m + 2) * (m + 2)) * (size_t)winograd_tiles(m, g);
  return tiles * (size_t)(winograd_line(g->in_c) + winograd_line(winograd_chunk(g->out_c)));
}

/* ---- transforms of one line; in and out may be strided ---- */

/* B' d */
VEC_INLINE void winograd_input_line(int m, const Vec *d, int step, Vec *t, int t_step) {
  Vec d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
  if (m == 4) {
    Vec four = vec_set(4.0f), five = vec_set(5.0f);
    t[0] = vec_fma(four, d[0], vec_fnma(five, d2, d4));
    Vec a = vec_fnma(four, d2, d4), b = vec_fnma(four, d1, d3);
    t[t_step] = vec_add(a, b);
    t[2 * t_step] = vec_sub(a, b);
    Vec c = vec_sub(d4, d2), e = vec_sub(d3, d1);
    e = vec_add(e, e);
    t[3 * t_step] = vec_add(c, e);
    t[4 * t_step] = vec_sub(c, e);
    t[5 * t_step] = vec_fma(four, d1, vec_fnma(five, d3, d5));
    return;
  }
  Vec d6 = d[6 * step], d7 = d[7 * step];
  t[0] = vec_fma(vec_set(5.25f), vec_sub(d4, d2), vec_sub(d[0], d6));
  t[7 * t_step] = vec_fma(vec_set(5.25f), vec_sub(d3, d5), vec_sub(d7, d1));
  Vec a = vec_fnma(vec_set(4.25f), d4, vec_add(d2, d6)), b = vec_fnma(vec_set(4.25f), d3, vec_add(d1, d5));
  t[t_step] = vec_add(a, b);
  t[2 * t_step] = vec_sub(a, b);
  a = vec_fma(vec_set(0.25f), d2, vec_fnma(vec_set(1.25f), d4, d6));
  b = vec_fma(vec_set(0.5f), d1, vec_fma(vec_set(2.0f), d5, vec_mul(vec_set(-2.5f), d3)));
  t[3 * t_step] = vec_add(a, b);
  t[4 * t_step] = vec_sub(a, b);
  a = vec_fma(vec_set(4.0f), d2, vec_fnma(vec_set(5.0f), d4, d6));
  b = vec_fma(vec_set(2.0f), d1, vec_fma(vec_set(0.5f), d5, vec_mul(vec_set(-2.5f), d3)));
  t[5 * t_step] = vec_add(a, b);
  t[6 * t_step] = vec_sub(a, b);
}

/* A' t */
VEC_INLINE void winograd_output_line(int m, const Vec *t, int step, Vec *y, int y_step) {
  Vec s1 = vec_add(t[step], t[2 * step]), d1 = vec_sub(t[step], t[2 * step]);
  Vec s2 = vec_add(t[3 * step], t[4 * step]), d2 = vec_sub(t[3 * step], t[4 * step]);
  if (m == 4) {
    y[0] = vec_add(t[0], vec_add(s1, s2));
    y[y_step] = vec_fma(vec_set(2.0f), d2, d1);
    y[2 * y_step] = vec_fma(vec_set(4.0f), s2, s1);
    y[3 * y_step] = vec_add(vec_fma(vec_set(8.0f), d2, d1), t[5 * step]);
    return;
  }
  Vec s3 = vec_add(t[5 * step], t[6 * step]), d3 = vec_sub(t[5 * step], t[6 * step]);
  y[0] = vec_add(vec_add(t[0], s1), vec_add(s2, s3));
  y[y_step] = vec_fma(vec_set(2.0f), d2, vec_fma(vec_set(0.5f), d3, d1));
  y[2 * y_step] = vec_fma(vec_set(4.0f), s2, vec_fma(vec_set(0.25f), s3, s1));
  y[3 * y_step] = vec_fma(vec_set(8.0f), d2, vec_fma(vec_set(0.125f), d3, d1));
  y[4 * y_step] = vec_fma(vec_set(16.0f), s2, vec_fma(vec_set(0.0625f), s3, s1));
  y[5 * y_step] = vec_add(vec_fma(vec_set(32.0f), d2, vec_fma(vec_set(0.03125f), d3, d1)), t[7 * step]);
}

/* G g */
VEC_INLINE void winograd_filter_line(int m, const Vec *g, int step, Vec *u, int u_step) {
  Vec g0 = g[0], g1 = g[step], g2 = g[2 * step];
  if (m == 4) {
    u[0] = vec_mul(vec_set(0.25f), g0);
    Vec sum = vec_mul(vec_set(-1.0f / 6.0f), vec_add(g0, g2)), odd = vec_mul(vec_set(1.0f / 6.0f), g1);
    u[u_step] = vec_sub(sum, odd);
    u[2 * u_step] = vec_add(sum, odd);
    sum = vec_fma(vec_set(1.0f / 24.0f), g0, vec_mul(vec_set(1.0f / 6.0f), g2));
    odd = vec_mul(vec_set(1.0f / 12.0f), g1);
    u[3 * u_step] = vec_add(sum, odd);
    u[4 * u_step] = vec_sub(sum, odd);
    u[5 * u_step] = g2;
    return;
  }
  u[0] = g0;
  Vec sum = vec_mul(vec_set(-2.0f / 9.0f), vec_add(g0, g2)), odd = vec_mul(vec_set(2.0f / 9.0f), g1);
  u[u_step] = vec_sub(sum, odd);
  u[2 * u_step] = vec_add(sum, odd);
  sum = vec_fma(vec_set(1.0f / 90.0f), g0, vec_mul(vec_set(2.0f / 45.0f), g2));
  odd = vec_mul(vec_set(1.0f / 45.0f), g1);
  u[3 * u_step] = vec_add(sum, odd);
  u[4 * u_step] = vec_sub(sum, odd);
  sum = vec_fma(vec_set(32.0f / 45.0f), g0, vec_mul(vec_set(8.0f / 45.0f), g2));
  odd = vec_mul(vec_set(16.0f / 45.0f), g1);
  u[5 * u_step] = vec_add(sum, odd);
  u[6 * u_step] = vec_sub(sum, odd);
  u[7 * u_step] = g2;
}

/* ---- weights ---- */

/* packed: [position][blocks of 16 output channels][input channels][16].
 * `w` is Keras's [3][3][c][k]; input channel i and output channel o are at w[tap][i * in_step + o *
 * out_step], taps backwards for the gradient of the input. */
VEC_INLINE void winograd_pack_lines(int m, const Winograd *g, const float *w, ptrdiff_t in_step,
                                    ptrdiff_t out_step, bool backwards, int block, int first, int last,
                                    float *packed) {
  int alpha = m + 2;
  ptrdiff_t position = (ptrdiff_t)conv_ceil(g->out_c, TILE_BLOCK) * g->in_c * TILE_BLOCK;
  ptrdiff_t tap_step = (ptrdiff_t)g->in_c * g->out_c;
  for (int i = first; i < last; i++) {
    float lines[9][TILE_BLOCK];
    for (int tap = 0; tap < 9; tap++)
      for (int k = 0; k < TILE_BLOCK; k++) {
        int o = block * TILE_BLOCK + k;
        lines[backwards ? 8 - tap : tap][k] =
            o < g->out_c ? w[tap * tap_step + i * in_step + o * out_step] : 0.0f;
      }
    for (int k = 0; k < TILE_BLOCK; k += VEC_WIDTH) {
      Vec filter[9], half[8 * 3], whole[WINOGRAD_MOST];
      for (int tap = 0; tap < 9; tap++)
        filter[tap] = vec_load(lines[tap] + k);
      for (int s = 0; s < 3; s++)
        winograd_filter_line(m, filter + s, 3, half + s, 3);
      for (int r = 0; r < alpha; r++)
        winograd_filter_line(m, half + r * 3, 1, whole + r * alpha, 1);
      float *to = packed + ((ptrdiff_t)block * g->in_c + i) * TILE_BLOCK + k;
      for (int p = 0; p < alpha * alpha; p++)
        vec_store(to + p * position, whole[p]);
    }
  }
}

/* Input channels [first, last) of one block of output channels. */
static void winograd_pack_block(int m, const Winograd *g, const float *w, ptrdiff_t in_step,
                                ptrdiff_t out_step, bool backwards, int block, int first, int last,
                                float *packed) {
  if (m == 4)
    winograd_pack_lines(4, g, w, in_step, out_step, backwards, block, first, last, packed);
  else
    winograd_pack_lines(6, g, w, in_step, out_step, backwards, block, first, last, packed);
}

static void winograd_pack(int m, const Winograd *g, const float *w, ptrdiff_t in_step, ptrdiff_t out_step,
                          bool backwards, float *packed, const Work *work) {
  (void)work;
  int blocks = conv_ceil(g->out_c, TILE_BLOCK);
  WORK_PARALLEL_FOR(work)
  for (int block = 0; block < blocks; block++)
    winograd_pack_block(m, g, w, in_step, out_step, backwards, block, 0, g->in_c, packed);
}

/* What a line does not use; the compiler cannot tell that nothing reads it. */
VEC_INLINE void winograd_clear(int alpha, Vec *line) {
  for (int i = alpha; i < 8; i++)
    line[i] = vec_zero();
}

/* ---- tiles ---- */

/* B' d B of one tile, all channels: to[position * step + channel]. */
VEC_INLINE void winograd_input_tile(int m, const Winograd *g, const float *image, int h0, int w0,
                                    ptrdiff_t step, float *to) {
  int alpha = m + 2;
  bool inside = h0 >= 0 && w0 >= 0 && h0 + alpha <= g->in_h && w0 + alpha <= g->in_w;
  for (int c = 0; c < g->in_c; c += VEC_WIDTH) {
    Vec half[WINOGRAD_MOST], line[8], column[8];
    winograd_clear(alpha, line);
    winograd_clear(alpha, column);
    bool whole = inside && c + VEC_WIDTH <= g->in_c;
    for (int i = 0; i < alpha; i++) {
      const float *from = image + ((ptrdiff_t)(h0 + i) * g->in_w + w0) * g->in_ld + c;
      if (whole) {
        VEC_UNROLL
        for (int j = 0; j < alpha; j++)
          line[j] = vec_load(from + (ptrdiff_t)j * g->in_ld);
      } else {
        bool row_inside = h0 + i >= 0 && h0 + i < g->in_h;
        VEC_UNROLL
        for (int j = 0; j < alpha; j++)
          line[j] = row_inside && w0 + j >= 0 && w0 + j < g->in_w
                        ? vec_load_upto(from + (ptrdiff_t)j * g->in_ld, g->in_c - c)
                        : vec_zero();
      }
      winograd_input_line(m, line, 1, half + i * alpha, 1);
    }
    for (int j = 0; j < alpha; j++) {
      winograd_input_line(m, half + j, alpha, column, 1);
      VEC_UNROLL
      for (int i = 0; i < alpha; i++)
        vec_store(to + (i * alpha + j) * step + c, column[i]);
    }
  }
}

/* A' t A of one tile for channels [k0, k1), with the epilogue: from[position * step + channel - k0] -> y. */
VEC_INLINE void winograd_output_tile(int m, const Winograd *g, const float *from, ptrdiff_t step, int h0,
                                     int w0, int k0, int k1, const Epilogue *e, bool clamp, float low,
                                     float high, const float *residual, float *y) {
  int alpha = m + 2;
  int rows = g->out_h - h0 < m ? g->out_h - h0 : m, columns = g->out_w - w0 < m ? g->out_w - w0 : m;
  Vec low_vec = vec_set(low), high_vec = vec_set(high);
  for (int k = k0; k < k1; k += VEC_WIDTH) {
    Vec half[48], line[8];
    winograd_clear(alpha, line);
    int width = k1 - k;
    Vec bias = e && e->bias ? vec_load_upto(e->bias + k, width) : vec_zero();
    for (int i = 0; i < alpha; i++) {
      VEC_UNROLL
      for (int j = 0; j < alpha; j++)
        line[j] = vec_load(from + (i * alpha + j) * step + (k - k0));
      winograd_output_line(m, line, 1, half + i * m, 1);
    }
    for (int j = 0; j < columns; j++) {
      winograd_output_line(m, half + j, m, line, 1);
      for (int i = 0; i < rows; i++) {
        ptrdiff_t at = ((ptrdiff_t)(h0 + i) * g->out_w + w0 + j) * g->out_ld + k;
        Vec sum = vec_add(line[i], bias);
        if (residual)
          sum = vec_add(sum, vec_load_upto(residual + at, width));
        vec_store_upto(y + at, vec_min(high_vec, vec_max(low_vec, sum)), width);
        if (!clamp)
          epilogue_activate(&e->act, y, &at, 1, width < VEC_WIDTH ? width : VEC_WIDTH);
      }
    }
  }
}

/* A run of tiles of the flat list of n * tile rows * tile columns, and where its transforms are. */
typedef struct WinogradRun {
  int64_t begin;
  int tiles;
  float *v;       /* [position][tiles][line of in_c] */
  float *product; /* [position][tiles][line of a chunk of out_c] */
} WinogradRun;

static inline WinogradRun winograd_place(int m, const Winograd *g, int64_t begin, int64_t end,
                                         float *scratch) {
  int tiles = (int)(end - begin);
  return (WinogradRun){begin, tiles, scratch,
                       scratch + (ptrdiff_t)((m + 2) * (m + 2)) * tiles * winograd_line(g->in_c)};
}

VEC_INLINE void winograd_input_run(int m, const Winograd *g, const WinogradRun *run, int first, int last,
                                   const float *x) {
  int columns = conv_ceil(g->out_w, m), rows = conv_ceil(g->out_h, m), line = winograd_line(g->in_c);
  for (int t = first; t < last; t++) {
    int64_t flat = run->begin + t, image = flat / (rows * columns);
    int h = (int)(flat / columns % rows) * m, w = (int)(flat % columns) * m;
    winograd_input_tile(m, g, x + image * g->in_h * g->in_w * g->in_ld, h - g->pad_top, w - g->pad_left,
                        (ptrdiff_t)run->tiles * line, run->v + (ptrdiff_t)t * line);
  }
}

/* B' d B of tiles [first, last) of the run.  Like the next two a function of its own for each m, since a loop
 * that threads share is compiled apart from its surroundings, where m is no constant. */
static void winograd_input(int m, const Winograd *g, const WinogradRun *run, int first, int last,
                           const float *x) {
  if (m == 4)
    winograd_input_run(4, g, run, first, last, x);
  else
    winograd_input_run(6, g, run, first, last, x);
}

/* The products of one position with output channels [k, k_end) of a chunk. */
static void winograd_multiply(const Winograd *g, const WinogradRun *run, int position, int k, int k_end,
                              const float *packed) {
  ptrdiff_t position_floats = (ptrdiff_t)conv_ceil(g->out_c, TILE_BLOCK) * g->in_c * TILE_BLOCK;
  int in_line = winograd_line(g->in_c), out_line = winograd_line(winograd_chunk(g->out_c));
  const float *weights = packed + position * position_floats;
  for (int column = k; column < k_end; column += TILE_COLUMNS)
    for (int t = 0, rows; t < run->tiles; t += rows) {
      const float *a[TILE_ROWS];
      ptrdiff_t at[TILE_ROWS];
      rows = tile_share(run->tiles - t);
      for (int r = 0; r < TILE_ROWS; r++) {
        ptrdiff_t line = (ptrdiff_t)position * run->tiles + t + (r < rows ? r : 0);
        a[r] = run->v + line * in_line;
        at[r] = line * out_line;
      }
      TileOut out = {.y = run->product + column - k,
                     .at = at,
                     .columns = k_end - column < TILE_COLUMNS ? k_end - column : TILE_COLUMNS,
                     .low = -INFINITY,
                     .high = INFINITY};
      tile_multiply(rows, 1, g->in_c, a, weights + (ptrdiff_t)column * g->in_c, TILE_BLOCK,
                    (ptrdiff_t)g->in_c * TILE_BLOCK, &out);
    }
}

VEC_INLINE void winograd_output_run(int m, const Winograd *g, const WinogradRun *run, int first, int last,
                                    int k, int k_end, const Epilogue *e, float *y) {
  int columns = conv_ceil(g->out_w, m), rows = conv_ceil(g->out_h, m);
  int line = winograd_line(winograd_chunk(g->out_c));
  float low = -INFINITY, high = INFINITY;
  bool clamp = e ? epilogue_is_clamp(&e->act, &low, &high) : true;
  for (int t = first; t < last; t++) {
    int64_t flat = run->begin + t, image = flat / (rows * columns);
    int h = (int)(flat / columns % rows) * m, w = (int)(flat % columns) * m;
    ptrdiff_t y_image = (ptrdiff_t)image * g->out_h * g->out_w * g->out_ld;
    winograd_output_tile(m, g, run->product + (ptrdiff_t)t * line, (ptrdiff_t)run->tiles * line, h, w, k,
                         k_end, e, clamp, low, high, e && e->residual ? e->residual + y_image : NULL,
                         y + y_image);
  }
}

/* A' t A of tiles [first, last) of the run, output channels [k, k_end), with the epilogue. */
static void winograd_output(int m, const Winograd *g, const WinogradRun *run, int first, int last, int k,
                            int k_end, const Epilogue *e, float *y) {
  if (m == 4)
    winograd_output_run(4, g, run, first, last, k, k_end, e, y);
  else
    winograd_output_run(6, g, run, first, last, k, k_end, e, y);
}

/* One thread: tiles [begin, end) from input to output. */
static void winograd_own_run(int m, const Winograd *g, int64_t begin, int64_t end, const float *x,
                             const float *packed, const Epilogue *e, float *y, float *scratch) {
  WinogradRun run = winograd_place(m, g, begin, end, scratch);
  int chunk = winograd_chunk(g->out_c);
  winograd_input(m, g, &run, 0, run.tiles, x);
  for (int k = 0; k < g->out_c; k += chunk) {
    int k_end = k + chunk < g->out_c ? k + chunk : g->out_c;
    for (int p = 0; p < (m + 2) * (m + 2); p++)
      winograd_multiply(g, &run, p, k, k_end, packed);
    winograd_output(m, g, &run, 0, run.tiles, k, k_end, e, y);
  }
}

/* All threads: tiles [begin, end). */
static void winograd_shared_run(int m, const Winograd *g, int64_t begin, int64_t end, const float *x,
                                const float *packed, const Epilogue *e, float *y, const Work *work) {
  WinogradRun run = winograd_place(m, g, begin, end, work->scratch);
  int chunk = winograd_chunk(g->out_c), positions = (m + 2) * (m + 2);
  enum { STEP = 4 };
  WORK_PARALLEL_FOR_DYNAMIC(work)
  for (int t = 0; t < run.tiles; t += STEP)
    winograd_input(m, g, &run, t, t + STEP < run.tiles ? t + STEP : run.tiles, x);
  for (int k = 0; k < g->out_c; k += chunk) {
    int k_end = k + chunk < g->out_c ? k + chunk : g->out_c;
    WORK_PARALLEL_FOR_DYNAMIC(work)
    for (int p = 0; p < positions; p++)
      winograd_multiply(g, &run, p, k, k_end, packed);
    WORK_PARALLEL_FOR_DYNAMIC(work)
    for (int t = 0; t < run.tiles; t += STEP)
      winograd_output(m, g, &run, t, t + STEP < run.tiles ? t + STEP : run.tiles, k, k_end, e, y);
  }
}

static void winograd_run(int m, const Winograd *g, int n, const float *x, const float *packed,
                         const Epilogue *e, float *y, const Work *work) {
  int64_t tiles = (int64_t)n * conv_ceil(g->out_h, m) * conv_ceil(g->out_w, m);
  int64_t range = winograd_tiles(m, g);
  if (winograd_own_tiles(m, g) && tiles >= 2 * range * work->threads) {
    WORK_PARALLEL_FOR_DYNAMIC(work)
    for (int64_t begin = 0; begin < tiles; begin += range)
      winograd_own_run(m, g, begin, begin + range < tiles ? begin + range : tiles, x, packed, e, y,
                       work_scratch(work));
    return;
  }
  /* Runs of similar length, so that the last is not a short one. */
  int64_t most = range * work->threads, runs = (tiles + most - 1) / most;
  for (int64_t i = 0; i < runs; i++)
    winograd_shared_run(m, g, tiles * i / runs, tiles * (i + 1) / runs, x, packed, e, y, work);
}
#endif
