/* Gradient of a 3x3 convolution's weights by the transposed Winograd algorithm:
 *
 *   dw = G' [ sum over tiles of (B' d B) . (A dy A') ] G
 *
 * with the tiles and matrices of winograd.h.  Tiles go in chunks: first their transforms are made, then each
 * position is a product [channels in][tiles] x [tiles][channels out] that is added to the position's sums.
 *
 * Threads share chunks and sums where sums are many or tiles are few; each has the same positions from chunk
 * to chunk, so that their sums stay in its cache.  Otherwise each works through chunks of its own, small
 * enough for the second-level cache, into one of several sets of sums (a fixed number, so that results do not
 * depend on the number of threads), which are added up at the end. */
#ifndef NETC_KERNELS_WINOGRAD_W_H
#define NETC_KERNELS_WINOGRAD_W_H
#include "winograd_run.h"

/* Tiles of a shared chunk: sums go to memory and back once per chunk, transforms should stay in cache. */
#define WINOGRAD_W_TILES    128
#define WINOGRAD_W_SETS     8      /* of sums */
#define WINOGRAD_W_OWN      600000 /* floats of sums up to which there are several sets */
#define WINOGRAD_W_CHANNELS 128    /* output channels of a group */

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
  Vec y4 = y[4 * step];
  if (m == 5) {
    Vec even = vec_add(y[0], vec_add(y2, y4)), odd = vec_add(y1, y3);
    t[0] = y[0];
    t[t_step] = vec_add(even, odd);
    t[2 * t_step] = vec_sub(even, odd);
    even = vec_fma(vec_set(16.0f), y4, vec_fma(vec_set(4.0f), y2, y[0]));
    odd = vec_fma(vec_set(8.0f), y3, vec_add(y1, y1));
    t[3 * t_step] = vec_add(even, odd);
    t[4 * t_step] = vec_sub(even, odd);
    even = vec_fma(vec_set(0.0625f), y4, vec_fma(vec_set(0.25f), y2, y[0]));
    odd = vec_fma(vec_set(0.125f), y3, vec_mul(vec_set(0.5f), y1));
    t[5 * t_step] = vec_sub(even, odd);
    t[6 * t_step] = y4;
    return;
  }
  Vec y5 = y[5 * step];
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
  if (m == 5) {
    Vec u1 = vec_mul(vec_set(-1.0f / 9.0f), u[step]), u2 = vec_mul(vec_set(1.0f / 3.0f), u[2 * step]);
    Vec u3 = vec_mul(vec_set(1.0f / 60.0f), u[3 * step]), u4 = vec_mul(vec_set(-1.0f / 36.0f), u[4 * step]);
    Vec u5 = vec_mul(vec_set(-32.0f / 45.0f), u[5 * step]);
    Vec near = vec_add(u1, u2), far = vec_add(u3, u4);
    g[0] = vec_add(vec_fma(vec_set(0.5f), u[0], near), vec_add(far, u5));
    g[g_step] = vec_fma(vec_set(2.0f), vec_sub(u3, u4), vec_fma(vec_set(-0.5f), u5, vec_sub(u1, u2)));
    g[2 * g_step] = vec_add(vec_fma(vec_set(4.0f), far, vec_fma(vec_set(0.25f), u5, near)), u[6 * step]);
    return;
  }
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

/* Output channels whose sums are kept at once: all where they are few; else a group, for which the tiles of x
 * are transformed anew, a few percent of the time for a third of the memory. */
static inline int winograd_w_group(int m, const Winograd *g) {
  return winograd_shares_tiles(m, g) && g->out_c > WINOGRAD_W_CHANNELS ? WINOGRAD_W_CHANNELS : g->out_c;
}

/* Sums of a position: [panels of TILE_COLUMNS output channels][in_c][TILE_COLUMNS], in the order in which
 * they are added to; off the powers of two, for the cache.  As large for any TILE_COLUMNS. */
static inline ptrdiff_t winograd_w_position_floats(int m, const Winograd *g) {
  enum { MOST_COLUMNS = 32 };
  return (ptrdiff_t)conv_ceil(winograd_w_group(m, g), MOST_COLUMNS) * MOST_COLUMNS * g->in_c + TILE_BLOCK;
}

static inline size_t winograd_w_sum_floats(int m, const Winograd *g) {
  return (size_t)((m + 2) * (m + 2)) * (size_t)winograd_w_position_floats(m, g);
}

/* Floats of both transforms of a tile. */
static inline size_t winograd_w_tile_floats(int m, const Winograd *g) {
  return (size_t)((m + 2) * (m + 2)) *
         (size_t)(winograd_line(g->in_c) + winograd_line(winograd_w_group(m, g)));
}

static inline bool winograd_w_several_sets(int m, const Winograd *g) {
  return winograd_w_sum_floats(m, g) <= WINOGRAD_W_OWN;
}

/* Whether so many tiles pay for several sets: those are memory that is gone through once more. */
static inline bool winograd_w_own(int m, const Winograd *g, int64_t tiles) {
  return winograd_w_several_sets(m, g) && 2 * (double)tiles * (double)winograd_w_tile_floats(m, g) >
                                              WINOGRAD_W_SETS * (double)winograd_w_sum_floats(m, g);
}

/* The most tiles of a thread's own chunk. */
static inline int winograd_w_own_tiles(int m, const Winograd *g) {
  size_t tiles = WINOGRAD_OWN_FLOATS / winograd_w_tile_floats(m, g);
  return tiles < WINOGRAD_W_TILES ? (int)tiles : WINOGRAD_W_TILES;
}

/* The workspace: sums of a group by position, then both transforms of a chunk; or the sets of sums. */
static size_t winograd_w_workspace_floats(int m, const Winograd *g) {
  size_t sums = winograd_w_sum_floats(m, g), shared = sums + WINOGRAD_W_TILES * winograd_w_tile_floats(m, g);
  size_t own = winograd_w_several_sets(m, g) ? WINOGRAD_W_SETS * sums : 0;
  return (own > shared ? own : shared) + 16;
}

/* Scratch per thread: both transforms of a chunk of its own. */
static size_t winograd_w_scratch_floats(int m, const Winograd *g) {
  return winograd_w_several_sets(m, g) ? (size_t)winograd_w_own_tiles(m, g) * winograd_w_tile_floats(m, g)
                                       : 0;
}

/* A dy A' of one tile, channels [k0, k_end) in whole blocks of 16: to[position * step + channel - k0]; zero
 * beyond the image and the last channel.  Of the image, or of `pooled`.  Asks for the next tile: the one
 * beside it, or the first of the row of tiles below. */
VEC_INLINE void winograd_gradient_tile(int m, const Winograd *g, const float *image,
                                       const WinogradPooled *pooled, int h0, int w0, int k0, int k_end,
                                       ptrdiff_t step, float *to) {
  int alpha = m + 2, last = k0 + conv_ceil(k_end - k0, TILE_BLOCK) * TILE_BLOCK;
  bool ends = w0 + m >= g->out_w; /* its row of tiles */
  int next_h = ends ? h0 + m : h0, next_w = ends ? 0 : w0 + m;
  to -= k0;
  for (int k = k0; k < last; k += VEC_WIDTH) {
    Vec half[48], line[8], column[8];
    winograd_clear(m, line);
    winograd_clear(alpha, column);
    for (int i = 0; i < m; i++) {
      VEC_UNROLL
      for (int j = 0; j < m; j++) {
        bool inside = h0 + i < g->out_h && w0 + j < g->out_w && k < g->out_c;
        ptrdiff_t at = ((ptrdiff_t)(h0 + i) * g->out_w + w0 + j) * g->out_ld + k;
        if (pooled)
          line[j] = k < g->out_c ? winograd_unpooled(pooled, h0 + i, w0 + j, k) : vec_zero();
        else
          line[j] = inside ? vec_load_upto(image + at, g->out_c - k) : vec_zero();
        if (!pooled)
          VEC_FETCH(image + ((ptrdiff_t)(next_h + i) * g->out_w + next_w + j) * g->out_ld + k);
        else if (i % 2 == 0 && j % 2 == 0)
          winograd_ask_pooled(pooled, next_h + i, next_w + j, k);
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

/* dw for input channel c and output channels [k0, k_end) from their sums. */
VEC_INLINE void winograd_weight_channel(int m, const Winograd *g, int c, int k0, int k_end, const float *sums,
                                        float *dw) {
  int alpha = m + 2;
  ptrdiff_t position = winograd_w_position_floats(m, g);
  for (int k = k0; k < k_end; k += VEC_WIDTH) {
    int panel = (k - k0) / TILE_COLUMNS;
    const float *from = sums + ((ptrdiff_t)panel * g->in_c + c) * TILE_COLUMNS + (k - k0) % TILE_COLUMNS;
    Vec line[8], half[24], whole[9];
    winograd_clear(alpha, line);
    for (int i = 0; i < alpha; i++) {
      VEC_UNROLL
      for (int j = 0; j < alpha; j++)
        line[j] = vec_load(from + (i * alpha + j) * position);
      winograd_weight_line(m, line, 1, half + i * 3, 1);
    }
    for (int s = 0; s < 3; s++)
      winograd_weight_line(m, half + s, 3, whole + s, 3);
    for (int tap = 0; tap < 9; tap++)
      vec_store_upto(dw + ((ptrdiff_t)tap * g->in_c + c) * g->out_c + k, whole[tap], k_end - k);
  }
}

/* A run of the gradient: tiles [begin, begin + count) and output channels [k, k_end). */
typedef struct WinogradChunk {
  int64_t begin;
  int count, most; /* tiles, and for how many there is room */
  bool adds;       /* to the sums; else they are overwritten */
  int k, k_end;
  float *sums, *v, *z; /* see winograd_w_position_floats; [position][most][v_line], z_line */
  int v_line, z_line;
} WinogradChunk;

/* A chunk of no tiles yet, of all output channels: its sums and, for `most` tiles in `room`, transforms. */
static WinogradChunk winograd_w_chunk(int m, const Winograd *g, int most, float *sums, float *room) {
  WinogradChunk chunk = {.most = most,
                         .k_end = g->out_c,
                         .sums = sums,
                         .v = room,
                         .v_line = winograd_line(g->in_c),
                         .z_line = winograd_line(winograd_w_group(m, g))};
  chunk.z = chunk.v + (ptrdiff_t)((m + 2) * (m + 2)) * chunk.most * chunk.v_line;
  return chunk;
}

/* Both transforms of tile t of a chunk. */
VEC_INLINE void winograd_w_tile(int m, const Winograd *g, const WinogradChunk *chunk, int t, const float *x,
                                const float *dy) {
  int rows = conv_ceil(g->out_h, m), columns = conv_ceil(g->out_w, m);
  int64_t flat = chunk->begin + t, image = flat / (rows * columns);
  int h = (int)(flat / columns % rows) * m, w = (int)(flat % columns) * m;
  winograd_input_tile(m, g, x + image * g->in_h * g->in_w * g->in_ld, NULL, h - g->pad_top, w - g->pad_left,
                      (ptrdiff_t)chunk->most * chunk->v_line, chunk->v + (ptrdiff_t)t * chunk->v_line);
  ptrdiff_t step = (ptrdiff_t)chunk->most * chunk->z_line;
  float *to = chunk->z + (ptrdiff_t)t * chunk->z_line;
  if (g->places) {
    const WinogradPooled pooled =
        winograd_pooled(dy, g->places, image, g->out_h, g->out_w, g->out_c, g->out_ld);
    winograd_gradient_tile(m, g, NULL, &pooled, h, w, chunk->k, chunk->k_end, step, to);
  } else {
    winograd_gradient_tile(m, g, dy + image * g->out_h * g->out_w * g->out_ld, NULL, h, w, chunk->k,
                           chunk->k_end, step, to);
  }
}

static void winograd_w_transform(int m, const Winograd *g, const WinogradChunk *chunk, int t, const float *x,
                                 const float *dy) {
  WINOGRAD_LARGE(m, winograd_w_tile, g, chunk, t, x, dy);
}

static void winograd_w_finish(int m, const Winograd *g, const WinogradChunk *chunk, int c, float *dw) {
  WINOGRAD_LARGE(m, winograd_weight_channel, g, c, chunk->k, chunk->k_end, chunk->sums, dw);
}

/* The products of position p with a panel of output channels, into the position's sums. */
static void winograd_w_multiply(const Winograd *g, const WinogradChunk *chunk, int p, int panel,
                                float *sums) {
  ptrdiff_t at[TILE_ROWS];
  for (int r = 0; r < TILE_ROWS; r++)
    at[r] = (ptrdiff_t)r * TILE_COLUMNS;
  int first = panel * TILE_COLUMNS, left = chunk->k_end - chunk->k - first;
  TileOut out = {.y = sums + (ptrdiff_t)panel * g->in_c * TILE_COLUMNS,
                 .at = at,
                 .columns = left < TILE_COLUMNS ? left : TILE_COLUMNS,
                 .accumulate = chunk->adds,
                 .low = -INFINITY,
                 .high = INFINITY};
  const float *v = chunk->v + (ptrdiff_t)p * chunk->most * chunk->v_line;
  TileSegment all = {0, 0, chunk->count};
  TilePanel products = {.b = chunk->z + (ptrdiff_t)p * chunk->most * chunk->z_line + first,
                        .a_line = chunk->v_line,
                        .line = chunk->z_line,
                        .block = TILE_BLOCK,
                        .segments = 1,
                        .segment = &all,
                        .ahead = TILE_PANEL_AHEAD};
  for (int c = 0, size; c < g->in_c; c += size, out.y += size * TILE_COLUMNS) {
    size = tile_share(g->in_c - c);
    products.a = v + c;
    if (out.accumulate)
      products.fetch = tile_fetch(out.y + size * TILE_COLUMNS, TILE_ROWS * TILE_COLUMNS,
                                  chunk->count); /* sums of the next */
    tile_multiply_panel(size, &products, &out);
  }
}

/* One thread: tiles [begin, end), a chunk after the other, into the sums of `chunk`. */
static void winograd_w_set(int m, const Winograd *g, WinogradChunk *chunk, int64_t begin, int64_t end,
                           const float *x, const float *dy) {
  int panels = conv_ceil(g->out_c, TILE_COLUMNS), tasks = (m + 2) * (m + 2) * panels;
  int64_t tiles = end - begin, chunks = (tiles + chunk->most - 1) / chunk->most;
  for (int64_t i = 0; i < chunks; i++) {
    chunk->begin = begin + tiles * i / chunks;
    chunk->count = (int)(begin + tiles * (i + 1) / chunks - chunk->begin);
    chunk->adds = i > 0;
    for (int t = 0; t < chunk->count; t++)
      winograd_w_transform(m, g, chunk, t, x, dy);
    for (int task = 0; task < tasks; task++)
      winograd_w_multiply(g, chunk, task / panels, task % panels,
                          chunk->sums + task / panels * winograd_w_position_floats(m, g));
  }
}

/* The sums of all sets into those of the first: floats [begin, end). */
static void winograd_w_join(ptrdiff_t set_floats, ptrdiff_t begin, ptrdiff_t end, float *sums) {
  for (ptrdiff_t i = begin; i < end; i += VEC_WIDTH) {
    Vec sum = vec_load(sums + i);
    for (int set = 1; set < WINOGRAD_W_SETS; set++)
      sum = vec_add(sum, vec_load(sums + set * set_floats + i));
    vec_store(sums + i, sum);
  }
}

static void winograd_w_run_own(int m, const Winograd *g, int64_t tiles, const float *x, const float *dy,
                               float *dw, float *workspace, const Work *work) {
  ptrdiff_t position = winograd_w_position_floats(m, g), set_floats = (ptrdiff_t)winograd_w_sum_floats(m, g);
  int positions = (m + 2) * (m + 2);
  WORK_TASKS(work, turn, WINOGRAD_W_SETS) {
    int set = (int)turn.task;
    WinogradChunk chunk =
        winograd_w_chunk(m, g, winograd_w_own_tiles(m, g), workspace + set * set_floats, work_scratch(work));
    winograd_w_set(m, g, &chunk, tiles * set / WINOGRAD_W_SETS, tiles * (set + 1) / WINOGRAD_W_SETS, x, dy);
  }
  WORK_PARALLEL_CALLS(work)
  for (int p = 0; p < positions; p++)
    winograd_w_join(set_floats, p * position, (p + 1) * position, workspace);
  WinogradChunk all = winograd_w_chunk(m, g, 0, workspace, work->scratch);
  WORK_PARALLEL_CALLS(work)
  for (int c = 0; c < g->in_c; c++)
    winograd_w_finish(m, g, &all, c, dw);
}

static void winograd_w_run_shared(int m, const Winograd *g, int64_t tiles, const float *x, const float *dy,
                                  float *dw, float *workspace, const Work *work) {
  (void)work;
  int positions = (m + 2) * (m + 2), group = winograd_w_group(m, g);
  int64_t chunks = (tiles + WINOGRAD_W_TILES - 1) / WINOGRAD_W_TILES; /* of similar length */
  WinogradChunk chunk =
      winograd_w_chunk(m, g, WINOGRAD_W_TILES, workspace, workspace + winograd_w_sum_floats(m, g));
  for (chunk.k = 0; chunk.k < g->out_c; chunk.k += group) {
    chunk.k_end = chunk.k + group < g->out_c ? chunk.k + group : g->out_c;
    int panels = conv_ceil(chunk.k_end - chunk.k, TILE_COLUMNS);
    for (int64_t i = 0; i < chunks; i++) {
      chunk.begin = tiles * i / chunks;
      chunk.count = (int)(tiles * (i + 1) / chunks - chunk.begin);
      chunk.adds = i > 0;
      WORK_PARALLEL_CALLS(work)
      for (int t = 0; t < chunk.count; t++)
        winograd_w_transform(m, g, &chunk, t, x, dy);
      WORK_TASKS(work, turn, positions * panels) {
        int p = (int)turn.task / panels, panel = (int)turn.task % panels;
        winograd_w_multiply(g, &chunk, p, panel, chunk.sums + p * winograd_w_position_floats(m, g));
      }
    }
    WORK_PARALLEL_CALLS(work)
    for (int c = 0; c < g->in_c; c++)
      winograd_w_finish(m, g, &chunk, c, dw);
  }
}

static void winograd_w_run(int m, const Winograd *g, int n, const float *x, const float *dy, float *dw,
                           float *workspace, const Work *work) {
  int64_t tiles = (int64_t)n * conv_ceil(g->out_h, m) * conv_ceil(g->out_w, m);
  if (winograd_w_own(m, g, tiles))
    winograd_w_run_own(m, g, tiles, x, dy, dw, workspace, work);
  else
    winograd_w_run_shared(m, g, tiles, x, dy, dw, workspace, work);
}
#endif
