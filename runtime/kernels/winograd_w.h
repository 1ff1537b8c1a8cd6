/* Gradient of a 3x3 convolution's weights by the transposed Winograd algorithm:
 *
 *   dw = G' [ sum over tiles of (B' d B) . (A dy A') ] G
 *
 * with the tiles and matrices of winograd.h.  Tiles go in chunks: first their transforms are made, then each
 * position is a product [channels in][tiles] x [tiles][channels out] that is added to the position's sums.
 *
 * Sums are kept for a group of output channels.  Threads with chunks of their own work at several groups and
 * several sets of sums of each, which are added up at the end: a fixed number, so that results do not depend
 * on the number of threads.  Where sums are too many for that or tiles too few, threads share chunks and
 * sums, a group after the other. */
#ifndef NETC_KERNELS_WINOGRAD_W_H
#define NETC_KERNELS_WINOGRAD_W_H
#include "winograd_run.h"

#define WINOGRAD_W_TASKS    8       /* groups times sets, of threads with chunks of their own */
#define WINOGRAD_W_SET      1200000 /* floats of sums that such a thread has, at most */
#define WINOGRAD_W_CHANNELS 128     /* output channels of a group of threads that share chunks */
/* So many floats of sums stay in a thread's cache from chunk to chunk if transforms are few; more go to
 * memory and back once per chunk, which then has many tiles. */
#define WINOGRAD_W_NEAR  600000
#define WINOGRAD_W_TILES 128

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

/* How sums are kept. */
typedef struct WinogradSums {
  int channels, groups, sets; /* output channels of a group */
  ptrdiff_t position, set;    /* floats of a position's sums and of all, for a group */
} WinogradSums;

/* Sums of a position: [panels of TILE_COLUMNS output channels][in_c][TILE_COLUMNS], in the order in which
 * they are added to; off the powers of two, for the cache.  As large for any TILE_COLUMNS. */
static inline WinogradSums winograd_w_sums(int m, const Winograd *g, int channels, int tasks) {
  enum { MOST_COLUMNS = 32 };
  WinogradSums s = {.channels = channels, .groups = conv_ceil(g->out_c, channels)};
  s.sets = tasks > s.groups ? tasks / s.groups : 1;
  s.position = (ptrdiff_t)conv_ceil(channels, MOST_COLUMNS) * MOST_COLUMNS * g->in_c + TILE_BLOCK;
  s.set = (m + 2) * (m + 2) * s.position;
  return s;
}

/* Of threads that share chunks.  Each group transforms the tiles of x anew, a few percent of the time for a
 * part of the memory. */
static inline WinogradSums winograd_w_shared_sums(int m, const Winograd *g) {
  bool all = !winograd_shares_tiles(m, g) || g->out_c <= WINOGRAD_W_CHANNELS;
  return winograd_w_sums(m, g, all ? g->out_c : WINOGRAD_W_CHANNELS, 1);
}

/* Of threads with chunks of their own: as few groups as WINOGRAD_W_SET allows; 0 where it allows none. */
static inline WinogradSums winograd_w_own_sums(int m, const Winograd *g) {
  for (int groups = 1; groups <= WINOGRAD_W_TASKS; groups++) {
    int channels = groups == 1 ? g->out_c : conv_ceil(g->out_c, groups * TILE_BLOCK) * TILE_BLOCK;
    WinogradSums s = winograd_w_sums(m, g, channels, WINOGRAD_W_TASKS);
    if (s.set <= WINOGRAD_W_SET)
      return s;
  }
  return (WinogradSums){0};
}

/* Floats of both transforms of a tile. */
static inline size_t winograd_w_tile_floats(int m, const Winograd *g, const WinogradSums *s) {
  return (size_t)((m + 2) * (m + 2)) * (size_t)(winograd_line(g->in_c) + winograd_line(s->channels));
}

/* Whether so many tiles pay for several sets: those are memory that is gone through once more. */
static inline bool winograd_w_own(int m, const Winograd *g, const WinogradSums *own, int64_t tiles) {
  return own->groups > 0 &&
         (double)tiles * (double)winograd_w_tile_floats(m, g, own) > own->sets * (double)own->set;
}

/* The most tiles of a thread's own chunk. */
static inline int winograd_w_own_tiles(int m, const Winograd *g, const WinogradSums *own) {
  size_t few = WINOGRAD_OWN_FLOATS / winograd_w_tile_floats(m, g, own);
  return own->set <= WINOGRAD_W_NEAR && few < WINOGRAD_W_TILES ? (int)few : WINOGRAD_W_TILES;
}

/* The workspace: the sets of all groups; or the sums of a group, then both transforms of a shared chunk. */
static size_t winograd_w_workspace_floats(int m, const Winograd *g) {
  const WinogradSums own = winograd_w_own_sums(m, g), shared = winograd_w_shared_sums(m, g);
  size_t own_floats = (size_t)(own.groups * own.sets * own.set);
  size_t shared_floats = (size_t)shared.set + WINOGRAD_W_TILES * winograd_w_tile_floats(m, g, &shared);
  return (own_floats > shared_floats ? own_floats : shared_floats) + 16;
}

/* Scratch per thread: both transforms of a chunk of its own. */
static size_t winograd_w_scratch_floats(int m, const Winograd *g) {
  const WinogradSums own = winograd_w_own_sums(m, g);
  return own.groups ? (size_t)winograd_w_own_tiles(m, g, &own) * winograd_w_tile_floats(m, g, &own) : 0;
}

/* A dy A' of one tile, channels [k0, k_end) in whole blocks of 16: to[position * step + channel - k0]; zero
 * beyond the image and the last channel.  Of the image, or of `pooled`. */
VEC_INLINE void winograd_gradient_tile(int m, const Winograd *g, const float *image,
                                       const WinogradPooled *pooled, int h0, int w0, int k0, int k_end,
                                       ptrdiff_t step, float *to) {
  int alpha = m + 2, last = k0 + conv_ceil(k_end - k0, TILE_BLOCK) * TILE_BLOCK;
  bool inside = h0 + m <= g->out_h && w0 + m <= g->out_w;
  to -= k0;
  for (int k = k0; k < last; k += VEC_WIDTH) {
    Vec half[48], line[8], column[8];
    winograd_clear(m, line);
    winograd_clear(alpha, column);
    bool whole = inside && k + VEC_WIDTH <= g->out_c;
    for (int i = 0; i < m; i++) {
      const float *from = pooled ? NULL : image + ((ptrdiff_t)(h0 + i) * g->out_w + w0) * g->out_ld + k;
      if (pooled) {
        VEC_UNROLL
        for (int j = 0; j < m; j++)
          line[j] = k < g->out_c ? winograd_unpooled(pooled, h0 + i, w0 + j, k) : vec_zero();
      } else if (whole) {
        VEC_UNROLL
        for (int j = 0; j < m; j++)
          line[j] = vec_load(from + (ptrdiff_t)j * g->out_ld);
        VEC_UNROLL
        for (int j = m; j < 2 * m; j++) /* the tile beside it */
          VEC_FETCH(from + (ptrdiff_t)j * g->out_ld);
      } else {
        bool row_inside = h0 + i < g->out_h && k < g->out_c;
        VEC_UNROLL
        for (int j = 0; j < m; j++)
          line[j] = row_inside && w0 + j < g->out_w
                        ? vec_load_upto(from + (ptrdiff_t)j * g->out_ld, g->out_c - k)
                        : vec_zero();
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
                                        ptrdiff_t position, float *dw) {
  int alpha = m + 2;
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
  float *sums, *v, *z; /* see winograd_w_sums; [position][most][v_line], z_line */
  ptrdiff_t position;  /* floats between the sums of two positions */
  int v_line, z_line;
} WinogradChunk;

/* A chunk of no tiles yet, of the output channels of a group: its sums and, for `most` tiles in `room`,
 * transforms. */
static WinogradChunk winograd_w_chunk(int m, const Winograd *g, const WinogradSums *s, int group, int most,
                                      float *sums, float *room) {
  int k = group * s->channels;
  WinogradChunk chunk = {.most = most,
                         .k = k,
                         .k_end = k + s->channels < g->out_c ? k + s->channels : g->out_c,
                         .sums = sums,
                         .v = room,
                         .position = s->position,
                         .v_line = winograd_line(g->in_c),
                         .z_line = winograd_line(s->channels)};
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

/* Functions of their own for each m, as in winograd.h. */
static void winograd_w_transform(int m, const Winograd *g, const WinogradChunk *chunk, int t, const float *x,
                                 const float *dy) {
  if (m == 4)
    winograd_w_tile(4, g, chunk, t, x, dy);
  else
    winograd_w_tile(6, g, chunk, t, x, dy);
}

static void winograd_w_finish(int m, const Winograd *g, const WinogradChunk *chunk, int c, float *dw) {
  if (m == 4)
    winograd_weight_channel(4, g, c, chunk->k, chunk->k_end, chunk->sums, chunk->position, dw);
  else
    winograd_weight_channel(6, g, c, chunk->k, chunk->k_end, chunk->sums, chunk->position, dw);
}

/* The products of position p with a panel of output channels, into the position's sums. */
static void winograd_w_multiply(const Winograd *g, const WinogradChunk *chunk, int p, int panel) {
  ptrdiff_t at[TILE_ROWS];
  for (int r = 0; r < TILE_ROWS; r++)
    at[r] = (ptrdiff_t)r * TILE_COLUMNS;
  int first = panel * TILE_COLUMNS, left = chunk->k_end - chunk->k - first;
  TileOut out = {.y = chunk->sums + p * chunk->position + (ptrdiff_t)panel * g->in_c * TILE_COLUMNS,
                 .at = at,
                 .columns = left < TILE_COLUMNS ? left : TILE_COLUMNS,
                 .accumulate = chunk->adds,
                 .low = -INFINITY,
                 .high = INFINITY};
  TileFetch fetch = tile_fetch(out.y, TILE_ROWS * TILE_COLUMNS, chunk->count);
  for (int c = 0, size; c < g->in_c; c += size, out.y += size * TILE_COLUMNS) {
    size = tile_share(g->in_c - c);
    fetch.place = out.y + size * TILE_COLUMNS; /* the sums that the next call starts from */
    TileSegment segment = {chunk->v + (ptrdiff_t)p * chunk->most * chunk->v_line + c,
                           chunk->z + (ptrdiff_t)p * chunk->most * chunk->z_line + first, chunk->count};
    tile_multiply_panel(size, 1, &segment, chunk->v_line, chunk->z_line, TILE_BLOCK,
                        out.accumulate ? &fetch : NULL, &out);
  }
}

/* One thread: tiles [begin, end), a chunk after the other, into the sums of `chunk`. */
static void winograd_w_set(int m, const Winograd *g, WinogradChunk *chunk, int64_t begin, int64_t end,
                           const float *x, const float *dy) {
  int panels = conv_ceil(chunk->k_end - chunk->k, TILE_COLUMNS), tasks = (m + 2) * (m + 2) * panels;
  int64_t tiles = end - begin, chunks = (tiles + chunk->most - 1) / chunk->most;
  for (int64_t i = 0; i < chunks; i++) {
    chunk->begin = begin + tiles * i / chunks;
    chunk->count = (int)(begin + tiles * (i + 1) / chunks - chunk->begin);
    chunk->adds = i > 0;
    for (int t = 0; t < chunk->count; t++)
      winograd_w_transform(m, g, chunk, t, x, dy);
    for (int task = 0; task < tasks; task++)
      winograd_w_multiply(g, chunk, task / panels, task % panels);
  }
}

/* The sums of all sets of a group into those of the first: floats [begin, end). */
static void winograd_w_join(const WinogradSums *s, ptrdiff_t begin, ptrdiff_t end, float *sums) {
  for (ptrdiff_t i = begin; i < end; i += VEC_WIDTH) {
    Vec sum = vec_load(sums + i);
    for (int set = 1; set < s->sets; set++)
      sum = vec_add(sum, vec_load(sums + set * s->set + i));
    vec_store(sums + i, sum);
  }
}

static void winograd_w_run_own(int m, const Winograd *g, const WinogradSums *s, int64_t tiles, const float *x,
                               const float *dy, float *dw, float *workspace, const Work *work) {
  int positions = (m + 2) * (m + 2);
  ptrdiff_t group_floats = s->sets * s->set;
  WORK_TASKS (work, turn, s->groups * s->sets) {
    int task = (int)turn.task, group = task / s->sets, set = task % s->sets;
    WinogradChunk chunk = winograd_w_chunk(m, g, s, group, winograd_w_own_tiles(m, g, s),
                                           workspace + task * s->set, work_scratch(work));
    winograd_w_set(m, g, &chunk, tiles * set / s->sets, tiles * (set + 1) / s->sets, x, dy);
  }
  if (s->sets > 1) {
    WORK_PARALLEL_CALLS(work)
    for (int task = 0; task < s->groups * positions; task++) {
      ptrdiff_t begin = task % positions * s->position;
      winograd_w_join(s, begin, begin + s->position, workspace + task / positions * group_floats);
    }
  }
  WORK_PARALLEL_CALLS(work)
  for (int task = 0; task < s->groups * g->in_c; task++) {
    int group = task / g->in_c;
    WinogradChunk all = winograd_w_chunk(m, g, s, group, 0, workspace + group * group_floats, work->scratch);
    winograd_w_finish(m, g, &all, task % g->in_c, dw);
  }
}

static void winograd_w_run_shared(int m, const Winograd *g, int64_t tiles, const float *x, const float *dy,
                                  float *dw, float *workspace, const Work *work) {
  (void)work;
  const WinogradSums s = winograd_w_shared_sums(m, g);
  int positions = (m + 2) * (m + 2);
  int64_t chunks = (tiles + WINOGRAD_W_TILES - 1) / WINOGRAD_W_TILES; /* of similar length */
  for (int group = 0; group < s.groups; group++) {
    WinogradChunk chunk = winograd_w_chunk(m, g, &s, group, WINOGRAD_W_TILES, workspace, workspace + s.set);
    int panels = conv_ceil(chunk.k_end - chunk.k, TILE_COLUMNS);
    for (int64_t i = 0; i < chunks; i++) {
      chunk.begin = tiles * i / chunks;
      chunk.count = (int)(tiles * (i + 1) / chunks - chunk.begin);
      chunk.adds = i > 0;
      WORK_PARALLEL_CALLS(work)
      for (int t = 0; t < chunk.count; t++)
        winograd_w_transform(m, g, &chunk, t, x, dy);
      WORK_TASKS (work, turn, positions * panels)
        winograd_w_multiply(g, &chunk, (int)turn.task / panels, (int)turn.task % panels);
    }
    WORK_PARALLEL_CALLS(work)
    for (int c = 0; c < g->in_c; c++)
      winograd_w_finish(m, g, &chunk, c, dw);
  }
}

static void winograd_w_run(int m, const Winograd *g, int n, const float *x, const float *dy, float *dw,
                           float *workspace, const Work *work) {
  int64_t tiles = (int64_t)n * conv_ceil(g->out_h, m) * conv_ceil(g->out_w, m);
  const WinogradSums own = winograd_w_own_sums(m, g);
  if (winograd_w_own(m, g, &own, tiles))
    winograd_w_run_own(m, g, &own, tiles, x, dy, dw, workspace, work);
  else
    winograd_w_run_shared(m, g, tiles, x, dy, dw, workspace, work);
}
#endif
