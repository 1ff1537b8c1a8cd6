/* Winograd convolutions: how tiles and weights are divided among threads and caches.
 *
 * Where weights are small, threads take runs of tiles of their own, few enough for their transforms to stay
 * in cache; where there are too few tiles for that, each transforms them all and takes some of the output
 * channels: what threads pass to each other costs more than doing it twice.  Large weights come from further
 * away: there threads share the transforms of many tiles, so that a weight is read, or made from Keras's,
 * once for all those tiles.  Each then takes some of the positions where weights are packed, and reads them
 * from one end to the other; of weights that are made it takes some of the output channels, for all positions
 * come of the same taps. */
#ifndef NETC_KERNELS_WINOGRAD_RUN_H
#define NETC_KERNELS_WINOGRAD_RUN_H
#include "winograd.h"

/* Threads share tiles where packed weights have more floats than this. */
#define WINOGRAD_OWN_WEIGHTS  2500000
#define WINOGRAD_OWN_CHANNELS 256    /* output channels transformed back at once by a thread with own tiles */
#define WINOGRAD_OWN_FLOATS   262144 /* of transforms that such a thread keeps in cache */
#define WINOGRAD_GROUP        64     /* output channels of a task where weights are made */
#define WINOGRAD_GROUP_TILES  168    /* tiles that such a task multiplies at once */
/* Output channels that are worth each further thread's own transforms of all tiles, and groups of them for
 * each of the threads. */
#define WINOGRAD_CHANNELS       48
#define WINOGRAD_CHANNEL_GROUPS 2
#define WINOGRAD_PARTS          4 /* of the packed weights, for each of the threads */
/* Weights are made of so many input channels at a time; Keras's are asked for so many input channels ahead.
 */
#define WINOGRAD_MADE_DEPTH 256
#define WINOGRAD_AHEAD      32

static inline bool winograd_shares_tiles(int m, const Winograd *g) {
  return winograd_packed_floats(m, g) > WINOGRAD_OWN_WEIGHTS;
}

static inline int winograd_own_channels(const Winograd *g) {
  return g->out_c < WINOGRAD_OWN_CHANNELS ? conv_ceil(g->out_c, TILE_BLOCK) * TILE_BLOCK
                                          : WINOGRAD_OWN_CHANNELS;
}

/* Tiles of a thread of its own; multiples of 14, the rows of the largest register tile. */
static inline int winograd_own_tiles(int m, const Winograd *g) {
  int line = winograd_line(g->in_c) + winograd_line(winograd_own_channels(g));
  int tiles = WINOGRAD_OWN_FLOATS / ((m + 2) * (m + 2) * line) / 14 * 14;
  return tiles < 14 ? 14 : (tiles > 84 ? 84 : tiles);
}

/* Shared tiles for each of the threads. */
static inline int winograd_shared_tiles(int m) {
  return m == 2 ? 168 : m == 4 ? 84 : m == 5 ? 70 : 56;
}

/* Whether each thread transforms all tiles itself: the inputs of a transform are worth some six products a
 * position, of which there are out_c. */
static inline bool winograd_splits_channels(int m, const Winograd *g, int64_t tiles, const Work *work) {
  return tiles <= winograd_shared_tiles(m) && work->threads > 1 &&
         (work->threads - 1) * WINOGRAD_CHANNELS <= g->out_c;
}

/* Floats between the positions of weights that a task makes at once. */
static inline ptrdiff_t winograd_made_position(void) {
  return WINOGRAD_GROUP * WINOGRAD_MADE_DEPTH + TILE_BLOCK; /* off the powers of two, as packed ones */
}

/* Scratch per thread: transforms of tiles, sums, and with `from_raw` the weights that a task makes at once.
 */
static size_t winograd_scratch_floats(int m, const Winograd *g, bool from_raw) {
  size_t positions = (size_t)((m + 2) * (m + 2)), in_line = (size_t)winograd_line(g->in_c);
  size_t shared = (size_t)winograd_shared_tiles(m) * in_line;
  if (from_raw) {
    return positions * (shared + (size_t)WINOGRAD_GROUP_TILES * (size_t)winograd_line(WINOGRAD_GROUP)) +
           (size_t)(9 + m + 2) * (size_t)winograd_made_position();
  }
  shared += (size_t)winograd_shared_tiles(m) * (size_t)winograd_line(g->out_c);
  size_t own = (size_t)winograd_own_tiles(m, g) * (in_line + (size_t)winograd_line(winograd_own_channels(g)));
  return positions * (own > shared && !winograd_shares_tiles(m, g) ? own : shared);
}

/* A run of tiles of the flat list of n * tile rows * tile columns, and their transforms
 * [position][tiles][winograd_line(in_c)]. */
typedef struct WinogradRun {
  int64_t begin;
  int tiles;
  float *v;
} WinogradRun;

/* Products of some tiles of a run with some output channels, over input channels [depth, depth_end): sums
 * [position][tiles][line]; weights are [position, `position` floats apart][channels / 16][depth_end -
 * depth][16]. */
typedef struct WinogradProduct {
  int first, last;      /* tiles of the run */
  int k, k_end;         /* output channels, k a multiple of 16 */
  int depth, depth_end; /* from above 0 on, products are added to the sums */
  ptrdiff_t position;
  float *sums;
  int line;
} WinogradProduct;

VEC_INLINE void winograd_input_tiles(int m, const Winograd *g, const WinogradRun *run, int first, int last,
                                     const float *x) {
  int columns = conv_ceil(g->out_w, m), rows = conv_ceil(g->out_h, m), line = winograd_line(g->in_c);
  for (int t = first; t < last; t++) {
    int64_t flat = run->begin + t, image = flat / (rows * columns);
    int h = (int)(flat / columns % rows) * m, w = (int)(flat % columns) * m;
    ptrdiff_t step = (ptrdiff_t)run->tiles * line;
    float *to = run->v + (ptrdiff_t)t * line;
    if (g->places) {
      const WinogradPooled pooled = winograd_pooled(x, g->places, image, g->in_h, g->in_w, g->in_c, g->in_ld);
      winograd_input_tile(m, g, NULL, &pooled, h - g->pad_top, w - g->pad_left, step, to);
    } else {
      winograd_input_tile(m, g, x + image * g->in_h * g->in_w * g->in_ld, NULL, h - g->pad_top,
                          w - g->pad_left, step, to);
    }
  }
}

/* B' d B of tiles [first, last) of the run. */
static void winograd_input(int m, const Winograd *g, const WinogradRun *run, int first, int last,
                           const float *x) {
  WINOGRAD_ANY(m, winograd_input_tiles, g, run, first, last, x);
}

/* With packed weights: all tiles of the run with output channels [k, k_end), the sums behind the transforms.
 */
static inline WinogradProduct winograd_packed_product(int m, const Winograd *g, const WinogradRun *run, int k,
                                                      int k_end) {
  ptrdiff_t v_floats = (ptrdiff_t)((m + 2) * (m + 2)) * run->tiles * winograd_line(g->in_c);
  return (WinogradProduct){.last = run->tiles,
                           .k = k,
                           .k_end = k_end,
                           .depth_end = g->in_c,
                           .position = winograd_position_floats(g, g->out_c),
                           .sums = run->v + v_floats,
                           .line = winograd_line(k_end - k)};
}

static inline int winograd_panels(const WinogradProduct *p) {
  return conv_ceil(p->k_end - p->k, TILE_COLUMNS);
}

/* Panels [begin, end) of the flat list of positions * winograd_panels(p); weights as of begin's position. */
static void winograd_multiply(int begin, int end, const Winograd *g, const WinogradRun *run,
                              const WinogradProduct *p, const float *weights) {
  int in_line = winograd_line(g->in_c), tiles = p->last - p->first, panels = winograd_panels(p);
  int depth = p->depth_end - p->depth, first = begin / panels;
  /* The last calls of a panel ask for the panel that comes next. */
  int calls = tile_calls(tiles), sharers = calls < 4 ? calls : 4;
  for (int panel = begin; panel < end; panel++) {
    int position = panel / panels, k = panel % panels * TILE_COLUMNS, left = p->k_end - p->k - k;
    const float *v = run->v + ((ptrdiff_t)position * run->tiles + p->first) * in_line + p->depth;
    const float *b = weights + (position - first) * p->position + (ptrdiff_t)k * depth;
    float *sums = p->sums + (ptrdiff_t)position * tiles * p->line;
    const float *next = left > TILE_COLUMNS ? b + (ptrdiff_t)TILE_COLUMNS * depth
                                            : weights + (position + 1 - first) * p->position;
    TileFetch fetch = tile_fetch(next, TILE_COLUMNS * depth, sharers * depth);
    for (int t = 0, rows, call = 0; t < tiles; t += rows, call++) {
      const float *a[TILE_ROWS];
      ptrdiff_t at[TILE_ROWS];
      rows = tile_share(tiles - t);
      for (int r = 0; r < TILE_ROWS; r++) {
        ptrdiff_t row = t + (r < rows ? r : 0);
        a[r] = v + row * in_line;
        at[r] = row * p->line;
      }
      TileOut out = {.y = sums + k,
                     .at = at,
                     .columns = left < TILE_COLUMNS ? left : TILE_COLUMNS,
                     .accumulate = p->depth > 0,
                     .low = -INFINITY,
                     .high = INFINITY};
      bool asks = calls > 1 && panel + 1 < end && call >= calls - sharers;
      tile_multiply(rows, 1, depth, a, b, (ptrdiff_t)depth * TILE_BLOCK, asks ? &fetch : NULL, &out);
      if (asks)
        fetch.place += depth * fetch.step;
    }
  }
}

VEC_INLINE void winograd_output_tiles(int m, const Winograd *g, const WinogradRun *run,
                                      const WinogradProduct *p, int first, int last, const Epilogue *e,
                                      float *y) {
  int columns = conv_ceil(g->out_w, m), rows = conv_ceil(g->out_h, m), tiles = p->last - p->first;
  WinogradOut out = {.e = e, .low = -INFINITY, .high = INFINITY};
  out.clamp = e ? act_is_clamp(&e->act, &out.low, &out.high) : true;
  int pool = e && e->max_pool ? 2 : 1;
  for (int t = first; t < last; t++) {
    int64_t flat = run->begin + p->first + t, image = flat / (rows * columns);
    int h = (int)(flat / columns % rows) * m, w = (int)(flat % columns) * m;
    ptrdiff_t at = (ptrdiff_t)image * (g->out_h / pool) * (g->out_w / pool) * g->out_ld;
    out.y = y + at;
    out.residual = e && e->residual ? e->residual + at : NULL;
    out.mask = e && e->mask ? e->mask + at : NULL;
    out.places = e && e->places
                     ? e->places + image * (int64_t)pool_places_bytes(g->out_h / 2, g->out_w / 2, g->out_c)
                     : NULL;
    winograd_output_tile(m, g, p->sums + (ptrdiff_t)t * p->line, (ptrdiff_t)tiles * p->line, h, w, p->k,
                         p->k_end, &out);
  }
}

/* A' t A with the epilogue, of tiles [first, last) of the product's. */
static void winograd_output(int m, const Winograd *g, const WinogradRun *run, const WinogradProduct *p,
                            int first, int last, const Epilogue *e, float *y) {
  WINOGRAD_ANY(m, winograd_output_tiles, g, run, p, first, last, e, y);
}

/* One thread: tiles [begin, end) from input to output. */
static void winograd_own_run(int m, const Winograd *g, int64_t begin, int64_t end, const float *x,
                             const float *packed, const Epilogue *e, float *y, float *scratch) {
  int positions = (m + 2) * (m + 2), channels = winograd_own_channels(g);
  WinogradRun run = {begin, (int)(end - begin), scratch};
  winograd_input(m, g, &run, 0, run.tiles, x);
  for (int k = 0; k < g->out_c; k += channels) {
    WinogradProduct product =
        winograd_packed_product(m, g, &run, k, k + channels < g->out_c ? k + channels : g->out_c);
    winograd_multiply(0, positions * winograd_panels(&product), g, &run, &product,
                      packed + (ptrdiff_t)k * g->in_c);
    winograd_output(m, g, &run, &product, 0, run.tiles, e, y);
  }
}

/* Asks for the taps of input channel i: they come from memory in pieces too short for the processor to
 * foresee. */
static inline void winograd_fetch(const Winograd *g, const WinogradWeights *from, int i, int k, int k_end) {
  ptrdiff_t tap_step = (ptrdiff_t)g->in_c * g->out_c;
  for (int tap = 0; from->out_step == 1 && tap < 9; tap++)
    for (int at = k; at < k_end; at += TILE_BLOCK)
      VEC_FETCH(from->w + tap * tap_step + i * from->in_step + at);
}

/* The products of a group of output channels with weights that are made for them: some input channels at a
 * time, of whose taps a row of positions after the other is made and multiplied, so that taps, weights and
 * what they meet are in the second-level cache together.  `taps` has room for both: 9 + m + 2 times
 * winograd_made_position(). */
static void winograd_multiply_made(int m, const Winograd *g, const WinogradRun *run, WinogradProduct *product,
                                   const WinogradWeights *weights, float *taps) {
  int panels = (m + 2) * winograd_panels(product);
  float *made = taps + 9 * winograd_made_position();
  product->position = winograd_made_position();
  for (int depth = 0; depth < g->in_c; depth += WINOGRAD_MADE_DEPTH) {
    product->depth = depth;
    product->depth_end = depth + WINOGRAD_MADE_DEPTH < g->in_c ? depth + WINOGRAD_MADE_DEPTH : g->in_c;
    ptrdiff_t block = (ptrdiff_t)(product->depth_end - depth) * TILE_BLOCK;
    for (int i = depth; i < product->depth_end; i++) {
      if (i + WINOGRAD_AHEAD < g->in_c)
        winograd_fetch(g, weights, i + WINOGRAD_AHEAD, product->k, product->k_end);
      for (int k = product->k; k < product->k_end; k += TILE_BLOCK)
        winograd_taps(g, weights, i, k, product->position,
                      taps + (k - product->k) / TILE_BLOCK * block + (ptrdiff_t)(i - depth) * TILE_BLOCK);
    }
    ptrdiff_t count = conv_ceil(product->k_end - product->k, TILE_BLOCK) * block;
    for (int row = 0; row < m + 2; row++) {
      for (ptrdiff_t at = 0; at < count; at += TILE_BLOCK)
        winograd_filter_row(m, row, taps + at, product->position, product->position, made + at);
      winograd_multiply(row * panels, (row + 1) * panels, g, run, product, made);
    }
  }
}

/* One task where weights are made: output channels from k on, tiles [first, last). */
static void winograd_group(int m, const Winograd *g, const WinogradRun *run, int k, int first, int last,
                           const WinogradWeights *weights, const Epilogue *e, float *y, float *scratch) {
  int positions = (m + 2) * (m + 2), line = winograd_line(WINOGRAD_GROUP);
  int parts = conv_ceil(last - first, WINOGRAD_GROUP_TILES);
  WinogradProduct product = {.k = k,
                             .k_end = k + WINOGRAD_GROUP < g->out_c ? k + WINOGRAD_GROUP : g->out_c,
                             .depth_end = g->in_c,
                             .sums = scratch,
                             .line = line};
  for (int part = 0; part < parts; part++) {
    product.first = first + (last - first) * part / parts;
    product.last = first + (last - first) * (part + 1) / parts;
    float *taps = scratch + (ptrdiff_t)positions * WINOGRAD_GROUP_TILES * line;
    winograd_multiply_made(m, g, run, &product, weights, taps);
    winograd_output(m, g, run, &product, 0, product.last - product.first, e, y);
  }
}

/* B' d B of a run, by all threads. */
static void winograd_shared_input(int m, const Winograd *g, const WinogradRun *run, const float *x,
                                  const Work *work) {
  (void)work;
  enum { STEP = 4 };
  WORK_TASKS(work, turn, conv_ceil(run->tiles, STEP)) {
    int first = (int)turn.task * STEP;
    winograd_input(m, g, run, first, first + STEP < run->tiles ? first + STEP : run->tiles, x);
  }
}

/* All threads, packed weights: tiles [begin, end). */
static void winograd_packed_run(int m, const Winograd *g, int64_t begin, int64_t end, const float *x,
                                const float *packed, const Epilogue *e, float *y, const Work *work) {
  WinogradRun run = {begin, (int)(end - begin), work->scratch};
  WinogradProduct product = winograd_packed_product(m, g, &run, 0, g->out_c);
  int64_t panels = (int64_t)((m + 2) * (m + 2)) * winograd_panels(&product);
  int64_t tasks = work->threads == 1 ? 1 : (int64_t)WINOGRAD_PARTS * work->threads;
  winograd_shared_input(m, g, &run, x, work);
  WORK_TASKS(work, turn, tasks) {
    int first = (int)(panels * turn.task / tasks), last = (int)(panels * (turn.task + 1) / tasks);
    winograd_multiply(first, last, g, &run, &product,
                      packed + first / winograd_panels(&product) * product.position);
  }
  WORK_TASKS(work, tile, run.tiles)
    winograd_output(m, g, &run, &product, (int)tile.task, (int)tile.task + 1, e, y);
}

/* Few tiles, few threads: each transforms all tiles for itself and takes some of the output channels, so that
 * nothing is passed from one to the other. */
static void winograd_channels_run(int m, const Winograd *g, int tiles, const float *x, const float *packed,
                                  const Epilogue *e, float *y, const Work *work) {
  int panels = conv_ceil(g->out_c, TILE_COLUMNS), groups = WINOGRAD_CHANNEL_GROUPS * work->threads;
  groups = groups < panels ? groups : panels;
  WORK_TASKS(work, turn, groups) {
    WinogradRun run = {0, tiles, work_scratch(work)};
    if (turn.taken == 1)
      winograd_input(m, g, &run, 0, tiles, x);
    int first = (int)(panels * turn.task / groups), last = (int)(panels * (turn.task + 1) / groups);
    WinogradProduct product = winograd_packed_product(m, g, &run, first * TILE_COLUMNS,
                                                      last < panels ? last * TILE_COLUMNS : g->out_c);
    winograd_multiply(0, (m + 2) * (m + 2) * (last - first), g, &run, &product,
                      packed + (ptrdiff_t)product.k * g->in_c);
    winograd_output(m, g, &run, &product, 0, tiles, e, y);
  }
}

/* All threads, weights that are made: tiles [begin, end). */
static void winograd_raw_run(int m, const Winograd *g, int64_t begin, int64_t end, const float *x,
                             const WinogradWeights *weights, const Epilogue *e, float *y, const Work *work) {
  ptrdiff_t v_floats = (ptrdiff_t)((m + 2) * (m + 2)) * winograd_shared_tiles(m) * winograd_line(g->in_c);
  WinogradRun run = {begin, (int)(end - begin), work->scratch};
  /* The threads' transforms lie side by side at the start of all scratch, what a thread has for itself
   * behind. */
  float *own = work->scratch + work->threads * v_floats;
  ptrdiff_t own_floats = (ptrdiff_t)work->scratch_floats - v_floats;
  int groups = conv_ceil(g->out_c, WINOGRAD_GROUP);
  int parts = groups < 2 * work->threads && work->threads > 1 ? conv_ceil(2 * work->threads, groups) : 1;
  if (parts > conv_ceil(run.tiles, 14))
    parts = conv_ceil(run.tiles, 14);
  winograd_shared_input(m, g, &run, x, work);
  WORK_TASKS(work, turn, groups * parts) {
    int group = (int)turn.task / parts, part = (int)turn.task % parts;
    winograd_group(m, g, &run, group * WINOGRAD_GROUP, run.tiles * part / parts,
                   run.tiles * (part + 1) / parts, weights, e, y, own + work_thread(work) * own_floats);
  }
}

/* y = epilogue(x * w) of n images.  The bits are the same whether weights were packed before or not. */
static void winograd_run(int m, const Winograd *g, int n, const float *x, const WinogradWeights *weights,
                         const Epilogue *e, float *y, const Work *work) {
  int64_t tiles = (int64_t)n * conv_ceil(g->out_h, m) * conv_ceil(g->out_w, m);
  if (weights->packed && !winograd_shares_tiles(m, g)) {
    int64_t range = winograd_own_tiles(m, g);
    if (tiles >= 2 * range * work->threads) {
      int64_t ranges = work_even(work, (tiles + range - 1) / range);
      WORK_TASKS(work, turn, ranges)
        winograd_own_run(m, g, tiles * turn.task / ranges, tiles * (turn.task + 1) / ranges, x,
                         weights->packed, e, y, work_scratch(work));
      return;
    }
    if (winograd_splits_channels(m, g, tiles, work)) {
      winograd_channels_run(m, g, (int)tiles, x, weights->packed, e, y, work);
      return;
    }
  }
  /* Runs of similar length, so that the last is not a short one. */
  int64_t most = (int64_t)winograd_shared_tiles(m) * work->threads, runs = (tiles + most - 1) / most;
  for (int64_t i = 0; i < runs; i++)
    if (weights->packed)
      winograd_packed_run(m, g, tiles * i / runs, tiles * (i + 1) / runs, x, weights->packed, e, y, work);
    else
      winograd_raw_run(m, g, tiles * i / runs, tiles * (i + 1) / runs, x, weights, e, y, work);
}
#endif
