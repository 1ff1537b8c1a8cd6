/* Winograd's minimal filtering for 3x3 convolutions of stride 1: F(m x m, 3 x 3) with m = 2, 4, 5 or 6.
 *
 *   Y = A' [ (G g G') . (B' d B) ] A       (Lavin and Gray, "Fast Algorithms for Convolutional Neural
 * Networks")
 *
 * for an input tile d of (m + 2)^2 pixels and an output tile of m^2: (m + 2)^2 products instead of 9 m^2. The
 * interpolation points are 0, 1, -1 (and 2, -2 from m = 4 on, -1/2 for m = 5, 1/2, -1/2 for m = 6) and
 * infinity.
 *
 * Each of the (m + 2)^2 positions is a product of [tiles][channels in] with [channels in][channels out], done
 * by the register tile; the transforms work on vectors of channels and take m as a constant. */
#ifndef NETC_KERNELS_WINOGRAD_H
#define NETC_KERNELS_WINOGRAD_H
#include "conv2d_grid.h"
#include "pool2d.h"
#include <string.h>

#define WINOGRAD_MOST 64 /* positions of m = 6 */

/* Bit m: tiles of m x m pixels are in use.  Emitted programs say which are (WINOGRAD_ONLY), so that they
 * compile no others.
 */
#ifdef WINOGRAD_ONLY
#define WINOGRAD_TILES WINOGRAD_ONLY
#else
#define WINOGRAD_TILES (1 << 2 | 1 << 4 | 1 << 5 | 1 << 6)
#endif
#define WINOGRAD_IS(m, tile) ((WINOGRAD_TILES & 1 << (tile)) && (m) == (tile))
/* f(m, ...) with m as a constant, also in the body of a loop that threads share: that is compiled apart, and
 * there m is none.  LARGE: m > 2. */
#define WINOGRAD_LARGE(m, f, ...)                                                                            \
  do {                                                                                                       \
    if (WINOGRAD_IS(m, 4))                                                                                   \
      f(4, __VA_ARGS__);                                                                                     \
    else if (WINOGRAD_IS(m, 5))                                                                              \
      f(5, __VA_ARGS__);                                                                                     \
    else if (WINOGRAD_IS(m, 6))                                                                              \
      f(6, __VA_ARGS__);                                                                                     \
  } while (0)
#define WINOGRAD_ANY(m, f, ...)                                                                              \
  do {                                                                                                       \
    if (WINOGRAD_IS(m, 2))                                                                                   \
      f(2, __VA_ARGS__);                                                                                     \
    else                                                                                                     \
      WINOGRAD_LARGE(m, f, __VA_ARGS__);                                                                     \
  } while (0)

/* A convolution as seen from its output: the gradient of the input has the roles of x and y swapped. */
typedef struct Winograd {
  int in_h, in_w, in_c, in_ld;
  int out_h, out_w, out_c, out_ld;
  int pad_top, pad_left;
  const unsigned char *places; /* the gradient that is read is one of 2 x 2 maxima, which were at these
                                  places of their blocks: see winograd_unpooled; or NULL */
} Winograd;

static Winograd winograd_fwd(const Conv2d *g) {
  return (Winograd){g->in_h,  g->in_w,   g->in_c,    g->in_ld,    g->out_h, g->out_w,
                    g->out_c, g->out_ld, g->pad_top, g->pad_left, NULL};
}
static Winograd winograd_bwd_x(const Conv2d *g) {
  return (Winograd){g->out_h, g->out_w, g->out_c,       g->out_ld,       g->in_h, g->in_w,
                    g->in_c,  g->in_ld, 2 - g->pad_top, 2 - g->pad_left, NULL};
}

/* Whether the geometry is one that these kernels compute. */
static bool conv2d_winograd_fits(const Conv2d *g) {
  return g->kernel_h == 3 && g->kernel_w == 3 && g->stride_h == 1 && g->stride_w == 1 && g->dilation_h == 1 &&
         g->dilation_w == 1 && g->groups == 1 && g->in_c >= TILE_BLOCK && g->out_c >= TILE_BLOCK;
}

static inline int winograd_line(int channels) {
  return conv_ceil(channels, TILE_BLOCK) * TILE_BLOCK + TILE_BLOCK; /* off the powers of two, for the cache */
}

/* Packed weights: [position][blocks of 16 output channels][input channels][16], positions 16 floats further
 * apart than that takes, so that the lines which a transform writes at once do not fall into one set of the
 * cache. */
static inline ptrdiff_t winograd_position_floats(const Winograd *g, int out_c) {
  return (ptrdiff_t)conv_ceil(out_c, TILE_BLOCK) * TILE_BLOCK * g->in_c + TILE_BLOCK;
}

static size_t winograd_packed_floats(int m, const Winograd *g) {
  return (size_t)((m + 2) * (m + 2)) * (size_t)winograd_position_floats(g, g->out_c);
}

/* ---- transforms of one line; in and out may be strided ---- */

/* B' d */
VEC_INLINE void winograd_input_line(int m, const Vec *d, int step, Vec *t, int t_step) {
  Vec d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
  if (m == 2) {
    t[0] = vec_sub(d[0], d2);
    t[t_step] = vec_add(d1, d2);
    t[2 * t_step] = vec_sub(d2, d1);
    t[3 * t_step] = vec_sub(d1, d3);
    return;
  }
  Vec d4 = d[4 * step], d5 = d[5 * step];
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
  Vec d6 = d[6 * step];
  if (m == 5) { /* e: the factor (x + 1/2) that all rows but the last but one have */
    Vec half = vec_set(0.5f), four = vec_set(4.0f), five = vec_set(5.0f);
    Vec e0 = vec_fma(half, d[0], d1), e1 = vec_fma(half, d1, d2), e2 = vec_fma(half, d2, d3);
    Vec e3 = vec_fma(half, d3, d4), e4 = vec_fma(half, d4, d5), e5 = vec_fma(half, d5, d6);
    t[0] = vec_fma(four, e0, vec_fnma(five, e2, e4));
    Vec a = vec_fnma(four, e2, e4), b = vec_fnma(four, e1, e3);
    t[t_step] = vec_add(a, b);
    t[2 * t_step] = vec_sub(a, b);
    a = vec_sub(e4, e2);
    b = vec_sub(e3, e1);
    b = vec_add(b, b);
    t[3 * t_step] = vec_add(a, b);
    t[4 * t_step] = vec_sub(a, b);
    t[5 * t_step] = vec_fma(four, d1, vec_fnma(five, d3, d5));
    t[6 * t_step] = vec_fma(four, e1, vec_fnma(five, e3, e5));
    return;
  }
  Vec d7 = d[7 * step];
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
  if (m == 2) {
    y[0] = vec_add(t[0], s1);
    y[y_step] = vec_sub(d1, t[3 * step]);
    return;
  }
  Vec s2 = vec_add(t[3 * step], t[4 * step]), d2 = vec_sub(t[3 * step], t[4 * step]);
  if (m == 4) {
    y[0] = vec_add(t[0], vec_add(s1, s2));
    y[y_step] = vec_fma(vec_set(2.0f), d2, d1);
    y[2 * y_step] = vec_fma(vec_set(4.0f), s2, s1);
    y[3 * y_step] = vec_add(vec_fma(vec_set(8.0f), d2, d1), t[5 * step]);
    return;
  }
  if (m == 5) {
    Vec t5 = t[5 * step];
    y[0] = vec_add(vec_add(t[0], s1), vec_add(s2, t5));
    y[y_step] = vec_fma(vec_set(2.0f), d2, vec_fma(vec_set(-0.5f), t5, d1));
    y[2 * y_step] = vec_fma(vec_set(4.0f), s2, vec_fma(vec_set(0.25f), t5, s1));
    y[3 * y_step] = vec_fma(vec_set(8.0f), d2, vec_fma(vec_set(-0.125f), t5, d1));
    y[4 * y_step] = vec_add(vec_fma(vec_set(16.0f), s2, vec_fma(vec_set(0.0625f), t5, s1)), t[6 * step]);
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
  if (m == 2) {
    u[0] = g0;
    Vec sum = vec_mul(vec_set(0.5f), vec_add(g0, g2)), odd = vec_mul(vec_set(0.5f), g1);
    u[u_step] = vec_add(sum, odd);
    u[2 * u_step] = vec_sub(sum, odd);
    u[3 * u_step] = g2;
    return;
  }
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
  if (m == 5) {
    u[0] = vec_mul(vec_set(0.5f), g0);
    Vec even = vec_add(g0, g2);
    u[u_step] = vec_mul(vec_set(-1.0f / 9.0f), vec_add(even, g1));
    u[2 * u_step] = vec_mul(vec_set(1.0f / 3.0f), vec_sub(even, g1));
    even = vec_fma(vec_set(4.0f), g2, g0);
    Vec odd = vec_add(g1, g1);
    u[3 * u_step] = vec_mul(vec_set(1.0f / 60.0f), vec_add(even, odd));
    u[4 * u_step] = vec_mul(vec_set(-1.0f / 36.0f), vec_sub(even, odd));
    u[5 * u_step] =
        vec_mul(vec_set(-32.0f / 45.0f), vec_fma(vec_set(0.25f), g2, vec_fma(vec_set(-0.5f), g1, g0)));
    u[6 * u_step] = g2;
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

/* Where weights come from: packed, or Keras's [3][3][c][k] as they are: input channel i and output channel o
 * are at w[tap][i * in_step + o * out_step], taps backwards for the gradient of the input. */
typedef struct WinogradWeights {
  const float *packed; /* or NULL */
  const float *w;
  ptrdiff_t in_step, out_step;
  bool backwards;
} WinogradWeights;

static WinogradWeights winograd_fwd_weights(const Conv2d *g, const float *w) {
  return (WinogradWeights){NULL, w, g->out_c, 1, false};
}
static WinogradWeights winograd_bwd_x_weights(const Conv2d *g, const float *w) {
  return (WinogradWeights){NULL, w, 1, g->out_c, true};
}

/* The 16 output channels from `first` on of input channel i: taps [9], `tap_step` floats apart; zero beyond
 * the last channel. */
static inline void winograd_taps(const Winograd *g, const WinogradWeights *from, int i, int first,
                                 ptrdiff_t tap_step, float *taps) {
  int width = g->out_c - first < TILE_BLOCK ? g->out_c - first : TILE_BLOCK;
  ptrdiff_t step = (ptrdiff_t)g->in_c * g->out_c;
  const float *w = from->w + i * from->in_step + first * from->out_step;
  for (int tap = 0; tap < 9; tap++, w += step) {
    float *to = taps + (from->backwards ? 8 - tap : tap) * tap_step;
    for (int k = 0; k < width; k++)
      to[k] = w[k * from->out_step];
    for (int k = width; k < TILE_BLOCK; k++)
      to[k] = 0;
  }
}

/* Rows [row, row_end) of G g G' for 16 output channels; to: positions of these rows, `position` floats apart.
 */
VEC_INLINE void winograd_filter(int m, int row, int row_end, const float *taps, ptrdiff_t tap_step,
                                ptrdiff_t position, float *to) {
  int alpha = m + 2;
  for (int k = 0; k < TILE_BLOCK; k += VEC_WIDTH) {
    Vec filter[9], half[8 * 3], column[8];
    VEC_UNROLL
    for (int tap = 0; tap < 9; tap++)
      filter[tap] = vec_load(taps + tap * tap_step + k);
    VEC_UNROLL
    for (int s = 0; s < 3; s++)
      winograd_filter_line(m, filter + s, 3, half + s, 3);
    VEC_UNROLL
    for (int r = row; r < row_end; r++) {
      winograd_filter_line(m, half + r * 3, 1, column, 1);
      VEC_UNROLL
      for (int c = 0; c < alpha; c++)
        vec_store(to + ((r - row) * alpha + c) * position + k, column[c]);
    }
  }
}

VEC_INLINE void winograd_filter_rows(int m, const float *taps, ptrdiff_t tap_step, ptrdiff_t position,
                                     float *to) {
  winograd_filter(m, 0, m + 2, taps, tap_step, position, to);
}

/* One row of positions. */
static void winograd_filter_row(int m, int row, const float *taps, ptrdiff_t tap_step, ptrdiff_t position,
                                float *to) {
  switch (8 * m + row) {
#define WINOGRAD_ROW(m, row)                                                                                 \
  case 8 * m + row:                                                                                          \
    if (WINOGRAD_IS(m, m))                                                                                   \
      winograd_filter(m, row, row + 1, taps, tap_step, position, to);                                        \
    return;
    WINOGRAD_ROW(4, 0)
    WINOGRAD_ROW(4, 1)
    WINOGRAD_ROW(4, 2)
    WINOGRAD_ROW(4, 3)
    WINOGRAD_ROW(4, 4)
    WINOGRAD_ROW(4, 5)
    WINOGRAD_ROW(5, 0)
    WINOGRAD_ROW(5, 1)
    WINOGRAD_ROW(5, 2)
    WINOGRAD_ROW(5, 3)
    WINOGRAD_ROW(5, 4)
    WINOGRAD_ROW(5, 5)
    WINOGRAD_ROW(5, 6)
    WINOGRAD_ROW(6, 0)
    WINOGRAD_ROW(6, 1)
    WINOGRAD_ROW(6, 2)
    WINOGRAD_ROW(6, 3)
    WINOGRAD_ROW(6, 4)
    WINOGRAD_ROW(6, 5)
    WINOGRAD_ROW(6, 6)
    WINOGRAD_ROW(6, 7)
#undef WINOGRAD_ROW
  }
}

/* The same of input channel i and the output channels from `first` on, from Keras's weights where they lie if
 * they lie side by side.  Here as below m is a constant for the loops, which it is not in the body of a loop
 * that threads share: that is compiled apart. */
static void winograd_filter_taps(int m, const Winograd *g, const WinogradWeights *from, int i, int first,
                                 ptrdiff_t position, float *to) {
  float copy[9 * TILE_BLOCK];
  const float *taps = from->w + i * from->in_step + first;
  ptrdiff_t tap_step = (ptrdiff_t)g->in_c * g->out_c;
  if (from->out_step != 1 || from->backwards || g->out_c - first < TILE_BLOCK) {
    winograd_taps(g, from, i, first, TILE_BLOCK, copy);
    taps = copy;
    tap_step = TILE_BLOCK;
  }
  WINOGRAD_ANY(m, winograd_filter_rows, taps, tap_step, position, to);
}

static void winograd_pack_block(int m, const Winograd *g, const WinogradWeights *from, int block,
                                float *packed) {
  float *to = packed + (ptrdiff_t)block * TILE_BLOCK * g->in_c;
  for (int i = 0; i < g->in_c; i++, to += TILE_BLOCK)
    winograd_filter_taps(m, g, from, i, block * TILE_BLOCK, winograd_position_floats(g, g->out_c), to);
}

static void winograd_pack(int m, const Winograd *g, const WinogradWeights *from, float *packed,
                          const Work *work) {
  (void)work;
  int blocks = conv_ceil(g->out_c, TILE_BLOCK);
  WORK_PARALLEL_FOR(work)
  for (int block = 0; block < blocks; block++)
    winograd_pack_block(m, g, from, block, packed);
}

/* What a line does not use; the compiler cannot tell that nothing reads it. */
VEC_INLINE void winograd_clear(int alpha, Vec *line) {
  for (int i = alpha; i < 8; i++)
    line[i] = vec_zero();
}

/* ---- tiles ---- */

/* A gradient of h x w pixels that is kept as that of its 2 x 2 maxima. */
typedef struct WinogradPooled {
  const float *dy;             /* of the image, [h / 2, w / 2, ld] */
  const unsigned char *places; /* of the image, [h / 2, w / 2, c] */
  int h, w, c, ld;
} WinogradPooled;

/* Image number `image` of gradients dy of that kind. */
static inline WinogradPooled winograd_pooled(const float *dy, const unsigned char *places, int64_t image,
                                             int h, int w, int c, int ld) {
  return (WinogradPooled){dy + image * (h / 2) * (w / 2) * ld,
                          places + image * (int64_t)pool_places_bytes(h / 2, w / 2, c),
                          h,
                          w,
                          c,
                          ld};
}

/* Channels from c on of pixel (i, j): zero where it was no maximum, or outside. */
VEC_INLINE Vec winograd_unpooled(const WinogradPooled *p, int i, int j, int c) {
  if (i < 0 || j < 0 || i >= p->h / 2 * 2 || j >= p->w / 2 * 2)
    return vec_zero();
  ptrdiff_t at = (ptrdiff_t)(i / 2) * (p->w / 2) + j / 2;
  Vec place = vec_load_bytes(p->places + at * p->c + c, p->c - c);
  return vec_select_eq(place, vec_set((float)(i % 2 * 2 + j % 2)),
                       vec_load_upto(p->dy + at * p->ld + c, p->c - c), vec_zero());
}

/* Asks for what the block of pixel (i, j) holds from channel c on; it may lie outside the image. */
VEC_INLINE void winograd_ask_pooled(const WinogradPooled *p, int i, int j, int c) {
  ptrdiff_t at = (ptrdiff_t)(i / 2) * (p->w / 2) + j / 2;
  VEC_FETCH(p->dy + at * p->ld + c);
  VEC_FETCH(p->places + at * p->c + c);
}

/* B' d B of one tile, all channels: to[position * step + channel]; of the image, or of `pooled`.  Asks for
 * what the next tile reads and this does not: the one beside it, or the first of the row of tiles below. */
VEC_INLINE void winograd_input_tile(int m, const Winograd *g, const float *image,
                                    const WinogradPooled *pooled, int h0, int w0, ptrdiff_t step, float *to) {
  int alpha = m + 2;
  bool inside = h0 >= 0 && w0 >= 0 && h0 + alpha <= g->in_h && w0 + alpha <= g->in_w;
  bool last = w0 + g->pad_left + m >= g->out_w; /* of its row */
  int next_h = last ? h0 + m : h0, next_w = last ? 0 : w0 + alpha;
  for (int c = 0; c < g->in_c; c += VEC_WIDTH) {
    Vec half[WINOGRAD_MOST], line[8], column[8];
    winograd_clear(alpha, line);
    winograd_clear(alpha, column);
    bool whole = inside && c + VEC_WIDTH <= g->in_c;
    for (int i = 0; i < alpha; i++) {
      if (pooled) {
        VEC_UNROLL
        for (int j = 0; j < alpha; j++)
          line[j] = winograd_unpooled(pooled, h0 + i, w0 + j, c);
        if ((next_h + i) % 2 == 0) {
          VEC_UNROLL
          for (int j = 0; j < m; j += 2)
            winograd_ask_pooled(pooled, next_h + i, next_w + j, c);
        }
      } else {
        const float *from = image + ((ptrdiff_t)(h0 + i) * g->in_w + w0) * g->in_ld + c;
        const float *next = image + ((ptrdiff_t)(next_h + i) * g->in_w + next_w) * g->in_ld + c;
        bool row_inside = h0 + i >= 0 && h0 + i < g->in_h;
        if (whole) {
          VEC_UNROLL
          for (int j = 0; j < alpha; j++)
            line[j] = vec_load(from + (ptrdiff_t)j * g->in_ld);
        } else {
          VEC_UNROLL
          for (int j = 0; j < alpha; j++)
            line[j] = row_inside && w0 + j >= 0 && w0 + j < g->in_w
                          ? vec_load_upto(from + (ptrdiff_t)j * g->in_ld, g->in_c - c)
                          : vec_zero();
        }
        VEC_UNROLL
        for (int j = 0; j < m; j++)
          VEC_FETCH(next + (ptrdiff_t)j * g->in_ld);
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

/* Where a tile of outputs goes. */
typedef struct WinogradOut {
  const Epilogue *e; /* or NULL */
  bool clamp;        /* the activation is one, by low and high */
  float low, high;
  const float *residual; /* of the image, or NULL */
  const float *mask;     /* of the image, or NULL: the sum passes where low < mask < high */
  float *y;              /* of the image */
  unsigned char *places; /* of the image, or NULL */
} WinogradOut;

/* A' t A of one tile, as far as lines go: half[i * m + j]. */
VEC_INLINE void winograd_output_half(int m, const float *from, ptrdiff_t step, Vec *half) {
  int alpha = m + 2;
  Vec line[8];
  winograd_clear(alpha, line);
  VEC_UNROLL
  for (int i = 0; i < alpha; i++) {
    VEC_UNROLL
    for (int j = 0; j < alpha; j++)
      line[j] = vec_load(from + (i * alpha + j) * step);
    winograd_output_line(m, line, 1, half + i * m, 1);
  }
}

/* The sum where low < mask < high. */
VEC_INLINE Vec winograd_masked(Vec mask, Vec low, Vec high, Vec sum) {
  return vec_select_gt(mask, low, vec_select_gt(high, mask, sum, vec_zero()), vec_zero());
}

/* The rest, for a tile inside the image whose activation is a clamp: channels [k, k + VEC_WIDTH) to y, its
 * first pixel, as are residual and mask, which may be NULL. */
VEC_INLINE void winograd_output_whole(int m, const Winograd *g, const Vec *half, Vec bias, Vec low, Vec high,
                                      const float *residual, const float *mask, float *y) {
  Vec line[8];
  VEC_UNROLL
  for (int j = 0; j < m; j++) {
    winograd_output_line(m, half + j, m, line, 1);
    VEC_UNROLL
    for (int i = 0; i < m; i++) {
      ptrdiff_t at = ((ptrdiff_t)i * g->out_w + j) * g->out_ld, beside = at + (ptrdiff_t)m * g->out_ld;
      Vec sum = vec_add(line[i], bias);
      VEC_FETCH_TO_WRITE(y + beside); /* of the tile beside it */
      if (residual) {
        VEC_FETCH(residual + beside);
        sum = vec_add(sum, vec_load(residual + at));
      }
      if (mask)
        VEC_FETCH(mask + beside);
      vec_store(y + at, mask ? winograd_masked(vec_load(mask + at), low, high, sum)
                             : vec_min(high, vec_max(low, sum)));
    }
  }
}

/* Which of a 2 x 2 block is the first of its maxima: 0 and 1 in the first row, 2 and 3 in the second. */
VEC_INLINE Vec winograd_place(Vec a, Vec b, Vec c, Vec d) {
  Vec place = vec_select_gt(b, a, vec_set(1.0f), vec_zero()), most = vec_max(a, b);
  place = vec_select_gt(c, most, vec_set(2.0f), place);
  return vec_select_gt(d, vec_max(most, c), vec_set(3.0f), place);
}

/* The same, of which y gets the maxima of 2 x 2 blocks and `places` (or NULL) where in them they were; `rows`
 * and `columns` are those inside the image. */
VEC_INLINE void winograd_output_pooled(int m, const Winograd *g, const Vec *half, Vec bias, Vec low, Vec high,
                                       int rows, int columns, int width, float *y, unsigned char *places) {
  Vec line[8], next[8];
  for (int j = 0; j + 1 < columns; j += 2) {
    winograd_output_line(m, half + j, m, line, 1);
    winograd_output_line(m, half + j + 1, m, next, 1);
    VEC_UNROLL
    for (int i = 0; i < m; i += 2)
      if (i + 1 < rows) {
        Vec most = vec_max(vec_max(line[i], line[i + 1]), vec_max(next[i], next[i + 1]));
        vec_store_upto(y + ((ptrdiff_t)(i / 2) * (g->out_w / 2) + j / 2) * g->out_ld,
                       vec_min(high, vec_max(low, vec_add(most, bias))), width);
        if (places)
          vec_store_bytes(places + ((ptrdiff_t)(i / 2) * (g->out_w / 2) + j / 2) * g->out_c,
                          winograd_place(line[i], next[i], line[i + 1], next[i + 1]), width);
      }
  }
}

/* A' t A of one tile for channels [k0, k1), with the epilogue: from[position * step + channel - k0] -> y. */
VEC_INLINE void winograd_output_tile(int m, const Winograd *g, const float *from, ptrdiff_t step, int h0,
                                     int w0, int k0, int k1, const WinogradOut *out) {
  const Epilogue *e = out->e;
  int rows = g->out_h - h0 < m ? g->out_h - h0 : m, columns = g->out_w - w0 < m ? g->out_w - w0 : m;
  bool whole = rows == m && columns == m && (out->clamp || out->mask);
  Vec low = vec_set(out->low), high = vec_set(out->high);
  for (int k = k0; k < k1; k += VEC_WIDTH) {
    Vec half[48], line[8];
    int width = k1 - k;
    Vec bias = e && e->bias ? vec_load_upto(e->bias + k, width) : vec_zero();
    winograd_output_half(m, from + (k - k0), step, half);
    if (e && e->max_pool) {
      ptrdiff_t block = (ptrdiff_t)(h0 / 2) * (g->out_w / 2) + w0 / 2;
      winograd_output_pooled(m, g, half, bias, low, high, rows, columns, width,
                             out->y + block * g->out_ld + k,
                             out->places ? out->places + block * g->out_c + k : NULL);
      continue;
    }
    if (whole && width >= VEC_WIDTH) {
      ptrdiff_t at = ((ptrdiff_t)h0 * g->out_w + w0) * g->out_ld + k;
      const float *residual = out->residual ? out->residual + at : NULL;
      if (out->mask)
        winograd_output_whole(m, g, half, bias, low, high, residual, out->mask + at, out->y + at);
      else if (residual)
        winograd_output_whole(m, g, half, bias, low, high, residual, NULL, out->y + at);
      else
        winograd_output_whole(m, g, half, bias, low, high, NULL, NULL, out->y + at);
      continue;
    }
    for (int j = 0; j < columns; j++) {
      winograd_output_line(m, half + j, m, line, 1);
      for (int i = 0; i < rows; i++) {
        ptrdiff_t at = ((ptrdiff_t)(h0 + i) * g->out_w + w0 + j) * g->out_ld + k;
        Vec sum = vec_add(line[i], bias);
        if (out->residual)
          sum = vec_add(sum, vec_load_upto(out->residual + at, width));
        if (out->mask) {
          vec_store_upto(out->y + at, winograd_masked(vec_load_upto(out->mask + at, width), low, high, sum),
                         width);
          continue;
        }
        vec_store_upto(out->y + at, vec_min(high, vec_max(low, sum)), width);
        if (!out->clamp)
          epilogue_activate(&e->act, out->y, &at, 1, width < VEC_WIDTH ? width : VEC_WIDTH);
      }
    }
  }
}
#endif
