/* The loop that the direct convolutions share: forward, and each phase of the gradient of the input.
 *
 * A ConvGrid says: grid point (i, j) of an image, one of rows x columns, is the sum over taps (u, v) of input
 * pixel (i * step_h + tap_h + u * tap_step_h,  j * step_w + tap_w + v * tap_step_w)   (zero outside the
 * image) times that tap's weights, and is stored at output pixel (i * out_step_h + out_h0, j * out_step_w +
 * out_w0).
 *
 * Weights: [blocks of TILE_BLOCK output channels][taps][depth][TILE_BLOCK], the last block filled with zeros.
 */
#ifndef NETC_KERNELS_CONV2D_GRID_H
#define NETC_KERNELS_CONV2D_GRID_H
#include "channel_map.h"
#include "conv2d.h"
#include "epilogue.h"
#include "tile.h"
#include "work.h"
#include <string.h>

typedef struct ConvGrid {
  int rows, columns;
  int in_h, in_w, in_ld, depth; /* depth: channels read per tap */
  int step_h, step_w;
  int taps_h, taps_w, tap_h, tap_w, tap_step_h, tap_step_w;
  int out_h, out_w, out_ld, channels; /* channels: computed per pixel */
  int out_h0, out_w0, out_step_h, out_step_w;
  const ChannelMap *map; /* what becomes of x as it is read, or NULL; flat grids only */
} ConvGrid;

#define CONV_CACHE_FLOATS 98304 /* of the second-level cache that one of x, weights may fill: 384 KiB */
#define CONV_AHEAD_TILES  64    /* of pixels: up to so many, fresh weights are asked for ahead */
#define CONV_SHORT_SUM    64    /* products: sums of no more are stored faster than their lines come */
#define CONV_NARROW_DEPTH 16    /* fewer channels than this: kernel rows are read as one tap each */

static inline int conv_ceil(int a, int b) {
  return (a + b - 1) / b;
}

/* Few channels: pixels under a kernel row lie side by side, so the row is one tap of taps_w * depth floats
 * once the image rows have been copied with their padding. */
static inline bool conv_grid_narrow(const ConvGrid *c) {
  return c->depth < CONV_NARROW_DEPTH && c->taps_w > 1 && c->tap_step_w == 1;
}

static inline int conv_narrow_width(const ConvGrid *c) {
  return (c->columns - 1) * c->step_w + c->taps_w;
}

/* Grid rows that one task of the narrow path takes. */
static inline int conv_narrow_rows(const ConvGrid *c) {
  int rows = conv_ceil(448, c->columns > 0 ? c->columns : 1);
  return rows < c->rows ? rows : (c->rows > 0 ? c->rows : 1);
}

static inline int conv_narrow_input_rows(const ConvGrid *c) {
  return (conv_narrow_rows(c) - 1) * c->step_h + (c->taps_h - 1) * c->tap_step_h + 1;
}

static size_t conv_grid_scratch_floats(const ConvGrid *c) {
  if (conv_grid_narrow(c))
    return ((size_t)conv_narrow_input_rows(c) * (size_t)conv_narrow_width(c) * (size_t)c->depth + 31) / 16 *
           16;
  return (size_t)(c->depth + 15) / 16 * 16; /* a pixel of zeros, for what lies outside the image */
}

/* Pointers of `taps` taps from `first` for the pixel (i, j): a[t * TILE_ROWS] each. */
static inline void conv_grid_pointers(const ConvGrid *c, const float *image, const float *zero, int i, int j,
                                      int first, int taps, const float **a) {
  int h0 = i * c->step_h + c->tap_h, w0 = j * c->step_w + c->tap_w;
  int h1 = h0 + (c->taps_h - 1) * c->tap_step_h, w1 = w0 + (c->taps_w - 1) * c->tap_step_w;
  bool inside = h0 >= 0 && w0 >= 0 && h1 < c->in_h && w1 < c->in_w;
  int u = first > 0 ? first / c->taps_w : 0, v = first - u * c->taps_w;
  for (int t = 0; t < taps; t++) {
    int h = h0 + u * c->tap_step_h, w = w0 + v * c->tap_step_w;
    if (inside || (h >= 0 && h < c->in_h && w >= 0 && w < c->in_w))
      a[t * TILE_ROWS] = image + ((ptrdiff_t)h * c->in_w + w) * c->in_ld;
    else
      a[t * TILE_ROWS] = zero;
    if (++v == c->taps_w) {
      v = 0;
      u++;
    }
  }
}

/* Whether grid points are the input's pixels, in their order: 1x1 with stride 1. */
static inline bool conv_grid_flat(const ConvGrid *c) {
  return c->taps_h == 1 && c->taps_w == 1 && c->step_h == 1 && c->step_w == 1 && !c->tap_h && !c->tap_w &&
         c->rows == c->in_h && c->columns == c->in_w && c->rows == c->out_h && c->columns == c->out_w &&
         c->out_step_h == 1 && c->out_step_w == 1 && !c->out_h0 && !c->out_w0;
}

/* A part of a convolution that one thread does: grid points [begin, end) of the flat list of n * rows *
 * columns, channels [k0, k1). */
typedef struct ConvTask {
  int64_t begin, end;
  int k0, k1;
  bool fresh;        /* no task before has read these weights: they come from far away */
  const float *then; /* fresh weights of the task that the thread is likely to take next, or NULL */
  const float *soon; /* of a flat grid: other values that the thread reads after this task, asked for */
  int soon_floats;   /* meanwhile; or NULL */
} ConvTask;

/* Where pixels of a tile would push each other out of the first-level cache, or become something else, they
 * are copied, so many channels at a time. */
#define CONV_FLAT_DEPTH 512

static inline bool conv_flat_copies(const ConvGrid *c) {
  return c->map || c->in_ld % CONV_SAME_SET_FLOATS == 0;
}

/* Channels of the input that the tiles of a task on a flat grid take before the next ones.  Where they are
 * copied, so many that their weights stay in cache for a group of channels that is worth the copies; fresh
 * weights come once, in their order. */
static inline int conv_flat_depth(const ConvGrid *c, const ConvTask *task) {
  return conv_flat_copies(c) && !task->fresh && c->depth > CONV_FLAT_DEPTH ? CONV_FLAT_DEPTH : c->depth;
}

/* Channels of a group, whose weights stay in cache while the tiles of a range pass over them. */
static inline int conv_channel_group(const ConvGrid *c, const ConvTask *task) {
  int64_t lines =
      conv_grid_flat(c) ? conv_flat_depth(c, task) : (int64_t)(c->taps_h * c->taps_w + 1) * c->depth;
  int64_t group = CONV_CACHE_FLOATS / (lines * TILE_COLUMNS) * TILE_COLUMNS;
  return group < TILE_COLUMNS ? TILE_COLUMNS : (int)group;
}

/* Fresh weights are asked for bit by bit while a thread multiplies with those before, else they would be
 * waited for: what the first tile of the task asks for while it takes channels [k, k_end), `lines` lines of
 * weights; the next tile goes on where it ended.  place is NULL where nothing is asked for: also where no tap
 * reaches the grid. */
static TileFetch conv_ahead(const ConvGrid *c, const ConvTask *task, int k_end, int lines,
                            const float *packed) {
  int64_t tiles = (task->end - task->begin + TILE_ROWS - 1) / TILE_ROWS;
  if (!task->fresh || tiles > CONV_AHEAD_TILES || tiles < 1 || lines < 1)
    return (TileFetch){NULL, 0};
  /* The next group of channels; after the last that of the next task. */
  int group = conv_channel_group(c, task), taps = c->taps_h * c->taps_w;
  int left = k_end < task->k1 ? task->k1 - k_end : task->k1 - task->k0,
      channels = left < group ? left : group;
  return tile_fetch(k_end < task->k1 ? packed + (ptrdiff_t)k_end * taps * c->depth : task->then,
                    channels * taps * c->depth, (int)tiles * lines);
}

/* What the tiles of a convolution share. */
typedef struct ConvTiles {
  const ConvGrid *grid;
  const float *x, *packed;
  EpilogueEnd end;
  float *y;
  bool far; /* y outgrows the caches: sums that are stored once are streamed */
} ConvTiles;

/* What a tile of channels [k, k_end), at most TILE_COLUMNS of them, does with its sums.  first, last: its
 * products are the first and the last of these sums. */
static inline TileOut conv_tile_out(const ConvTiles *t, const ptrdiff_t *at, int k, int k_end, bool first,
                                    bool last) {
  const Epilogue *e = t->end.e;
  return (TileOut){.at = at,
                   .y = t->y + k,
                   .columns = t->far && first && last    ? TILE_STREAMED
                              : k_end - k < TILE_COLUMNS ? k_end - k
                                                         : TILE_COLUMNS,
                   .bias = e && e->bias ? e->bias + k : NULL,
                   .residual = e && e->residual ? e->residual + k : NULL,
                   .accumulate = !first,
                   .low = last ? t->end.low : -INFINITY,
                   .high = last ? t->end.high : INFINITY};
}

/* One tile of pixels times channels [first_channel, last_channel), first_channel a multiple of TILE_COLUMNS.
 */
static void conv_grid_tile(const ConvTiles *t, int pixels, int first_tap, int taps, const float *const *a,
                           const ptrdiff_t *at, TileFetch *fetch, int first_channel, int last_channel) {
  int depth = t->grid->depth, all_taps = t->grid->taps_h * t->grid->taps_w;
  ptrdiff_t block = (ptrdiff_t)all_taps * depth * TILE_BLOCK;
  bool first = first_tap == 0, last = first_tap + taps == all_taps, asks = fetch && fetch->place;
  for (int k = first_channel; k < last_channel; k += TILE_COLUMNS) {
    TileOut out = conv_tile_out(t, at, k, last_channel, first, last);
    const float *b = t->packed + k / TILE_BLOCK * block + (ptrdiff_t)first_tap * depth * TILE_BLOCK;
    if (first && all_taps * depth > CONV_SHORT_SUM)
      tile_ask_to_write(&out, pixels);
    if (last)
      epilogue_ask(&t->end, k, at, pixels, out.columns);
    tile_multiply(pixels, taps, depth, a, b, block, asks ? fetch : NULL, &out);
    if (asks)
      fetch->place += taps * depth * fetch->step;
    if (last && t->end.rest)
      epilogue_rest(t->end.e, t->y, k, at, pixels, out.columns);
  }
}

/* The tile of `pixels` rows from pixel `first` on, channels [d0, d1) of the input and [k, k_end) of the
 * output, in a flat grid; fetch.place may be NULL. */
static void conv_flat_tile(const ConvTiles *t, int64_t first, int pixels, int d0, int d1, int k, int k_end,
                           TileFetch fetch) {
  const ConvGrid *c = t->grid;
  float copy[TILE_ROWS * (CONV_FLAT_DEPTH + TILE_BLOCK)];
  bool copies = conv_flat_copies(c);
  int step = copies ? CONV_FLAT_DEPTH : d1 - d0;
  const float *a[TILE_ROWS];
  ptrdiff_t at[TILE_ROWS], block = (ptrdiff_t)c->depth * TILE_BLOCK;
  for (int d = d0; d < d1; d += step) {
    int depth = d1 - d < step ? d1 - d : step;
    bool last = d + depth == c->depth;
    if (c->map) {
      ChannelMap map = channel_map_from(c->map, d);
      channel_map_pixels(&map, pixels, depth, t->x + (ptrdiff_t)first * c->in_ld + d, c->in_ld, copy,
                         CONV_FLAT_DEPTH + TILE_BLOCK);
    }
    for (int r = 0; r < TILE_ROWS; r++) {
      ptrdiff_t pixel = (ptrdiff_t)first + (r < pixels ? r : 0);
      a[r] = t->x + pixel * c->in_ld + d;
      at[r] = pixel * c->out_ld;
      if (c->map)
        a[r] = copy + (ptrdiff_t)(r < pixels ? r : 0) * (CONV_FLAT_DEPTH + TILE_BLOCK);
      else if (copies && r < pixels)
        a[r] =
            memcpy(copy + (ptrdiff_t)r * (CONV_FLAT_DEPTH + TILE_BLOCK), a[r], (size_t)depth * sizeof *t->x);
      else if (copies)
        a[r] = copy;
    }
    for (int column = k; column < k_end; column += TILE_COLUMNS) {
      TileOut out = conv_tile_out(t, at, column, k_end, d == 0, last);
      if (d == 0)
        tile_ask_to_write(&out, pixels);
      if (last)
        epilogue_ask(&t->end, column, at, pixels, out.columns);
      tile_multiply(pixels, 1, depth, a, t->packed + column / TILE_BLOCK * block + (ptrdiff_t)d * TILE_BLOCK,
                    block, fetch.place ? &fetch : NULL, &out);
      if (fetch.place)
        fetch.place += depth * fetch.step;
      if (last && t->end.rest)
        epilogue_rest(t->end.e, t->y, column, at, pixels, out.columns);
    }
  }
}

/* What the tiles of a task on a flat grid ask for besides, each where the one before ended. */
static inline TileFetch conv_soon(const ConvGrid *c, const ConvTask *task) {
  int64_t tiles = (task->end - task->begin + TILE_ROWS - 1) / TILE_ROWS;
  int64_t lines = tiles * conv_ceil(task->k1 - task->k0, TILE_COLUMNS) * c->depth;
  if (!task->soon || lines <= 0)
    return (TileFetch){NULL, 0};
  return (TileFetch){task->soon, (ptrdiff_t)((task->soon_floats + lines - 1) / lines)};
}

/* conv_grid_task for a flat grid, where pixels need not be looked for; near: x is in a cache that is not
 * shared. */
static void conv_flat_task(const ConvTiles *t, const ConvTask *task, bool near) {
  const ConvGrid *c = t->grid;
  const Epilogue *e = t->end.e;
  int group = conv_channel_group(c, task);
  int part = conv_flat_depth(c, task);
  TileFetch soon = conv_soon(c, task);
  for (int k = task->k0; k < task->k1; k += group) {
    int k_end = k + group < task->k1 ? k + group : task->k1;
    int lines = part * conv_ceil(k_end - k, TILE_COLUMNS);
    TileFetch ahead = conv_ahead(c, task, k_end, lines, t->packed);
    /* Where weights need not be asked for, what the next tile reads. */
    const float *rows = e && e->residual ? e->residual : !near && c->in_ld < 2 * c->depth ? t->x : NULL;
    int ld = e && e->residual ? c->out_ld : c->in_ld;
    TileFetch pixels = tile_fetch(NULL, TILE_ROWS * ld, lines);
    for (int d = 0; d < c->depth; d += part) {
      int d_end = c->depth - d < part ? c->depth : d + part;
      for (int64_t tile = task->begin; tile < task->end; tile += TILE_ROWS) {
        int64_t left = task->end - tile;
        pixels.place = rows && !d && left > TILE_ROWS ? rows + (ptrdiff_t)(tile + TILE_ROWS) * ld : NULL;
        conv_flat_tile(t, tile, left < TILE_ROWS ? (int)left : TILE_ROWS, d, d_end, k, k_end,
                       ahead.place ? ahead : (soon.place ? soon : pixels));
        if (ahead.place)
          ahead.place += lines * ahead.step;
        else if (soon.place)
          soon.place += lines * soon.step;
      }
    }
  }
}

/* zero: a pixel of zeros. */
static void conv_grid_task(const ConvTiles *t, const ConvTask *task, const float *zero) {
  const ConvGrid *c = t->grid;
  int all_taps = c->taps_h * c->taps_w;
  if (conv_grid_flat(c)) {
    conv_flat_task(t, task, false);
    return;
  }
  const float *a[TILE_TAPS * TILE_ROWS];
  ptrdiff_t at[TILE_ROWS];
  int group = conv_channel_group(c, task);
  for (int k = task->k0; k < task->k1; k += group) {
    int k_end = k + group < task->k1 ? k + group : task->k1;
    TileFetch ahead =
        conv_ahead(c, task, k_end, all_taps * c->depth * conv_ceil(k_end - k, TILE_COLUMNS), t->packed);
    for (int64_t tile = task->begin; tile < task->end; tile += TILE_ROWS) {
      int pixels = task->end - tile < TILE_ROWS ? (int)(task->end - tile) : TILE_ROWS;
      int64_t row = tile / c->columns;
      int j = (int)(tile % c->columns), i = (int)(row % c->rows);
      ptrdiff_t image = (ptrdiff_t)(row / c->rows);
      int first = 0;
      do { /* once even where no tap reaches the grid (a stride larger than the kernel) */
        int taps = all_taps - first < TILE_TAPS ? all_taps - first : TILE_TAPS;
        int i2 = i, j2 = j;
        ptrdiff_t image2 = image;
        for (int r = 0; r < TILE_ROWS; r++) {
          if (r >= pixels) {
            for (int u = 0; u < taps; u++)
              a[u * TILE_ROWS + r] = a[u * TILE_ROWS];
            continue;
          }
          const float *from = t->x + image2 * c->in_h * c->in_w * c->in_ld;
          conv_grid_pointers(c, from, zero, i2, j2, first, taps, a + r);
          at[r] = ((image2 * c->out_h + i2 * c->out_step_h + c->out_h0) * c->out_w + j2 * c->out_step_w +
                   c->out_w0) *
                  c->out_ld;
          if (++j2 == c->columns) {
            j2 = 0;
            if (++i2 == c->rows) {
              i2 = 0;
              image2++;
            }
          }
        }
        conv_grid_tile(t, pixels, first, taps, a, at, &ahead, k, k_end);
        first += TILE_TAPS;
      } while (first < all_taps);
    }
  }
}

/* One input row with its padding: `width` pixels from column `first` on, which may lie outside the image
 * (then, or where `from` is NULL, zeros). */
static void conv_narrow_copy(const ConvGrid *c, const float *from, int first, int width, float *to) {
  int depth = c->depth, begin = first < 0 ? -first : 0, end = c->in_w - first;
  begin = !from || begin > width ? width : begin;
  end = end > width ? width : (end < begin ? begin : end);
  memset(to, 0, (size_t)begin * (size_t)depth * sizeof *to);
  if (c->in_ld == depth && end > begin)
    memcpy(to + (ptrdiff_t)begin * depth, from + (ptrdiff_t)(first + begin) * depth,
           (size_t)(end - begin) * (size_t)depth * sizeof *to);
  else
    for (int w = begin; w < end; w++)
      memcpy(to + (ptrdiff_t)w * depth, from + (ptrdiff_t)(first + w) * c->in_ld, (size_t)depth * sizeof *to);
  memset(to + (ptrdiff_t)end * depth, 0, (size_t)(width - end) * (size_t)depth * sizeof *to);
}

/* Asks for the lines that the next tile stores to, pixels side by side. */
static inline void conv_ask_to_write(const ConvGrid *c, int pixels, const float *y) {
  for (int r = 0; r < pixels; r++)
    for (int k = 0; k < c->channels; k += TILE_BLOCK)
      VEC_FETCH_TO_WRITE(y + (ptrdiff_t)r * c->out_ld + k);
}

/* The narrow path: copies the rows under grid rows [i0, i1) of one image, which t->x and t->y are of, with
 * their padding, then takes each kernel row as one tap.  `copy` has conv_grid_scratch_floats. */
static void conv_grid_narrow_rows(const ConvTiles *t, int i0, int i1, float *copy) {
  const ConvGrid *c = t->grid;
  int width = conv_narrow_width(c), depth = c->depth;
  int h0 = i0 * c->step_h + c->tap_h;
  int input_rows = (i1 - i0 - 1) * c->step_h + (c->taps_h - 1) * c->tap_step_h + 1;
  for (int h = 0; h < input_rows; h++) {
    bool outside = h0 + h < 0 || h0 + h >= c->in_h;
    conv_narrow_copy(c, outside ? NULL : t->x + (ptrdiff_t)(h0 + h) * c->in_w * c->in_ld, c->tap_w, width,
                     copy + (ptrdiff_t)h * width * depth);
  }
  ConvGrid rows = *c;
  rows.depth = c->taps_w * depth;
  rows.taps_w = 1;
  ConvTiles tiles = *t;
  tiles.grid = &rows;
  const float *a[TILE_TAPS * TILE_ROWS];
  ptrdiff_t at[TILE_ROWS], line = (ptrdiff_t)c->tap_step_h * width * depth;
  int pixels = (i1 - i0) * c->columns, i = 0, j = 0;
  bool asks = c->taps_h * rows.depth <= CONV_SHORT_SUM && c->out_step_w == 1 && c->columns == c->out_w;
  for (int tile = 0; tile < pixels; tile += TILE_ROWS) {
    int used = pixels - tile < TILE_ROWS ? pixels - tile : TILE_ROWS;
    const float *place[TILE_ROWS];
    for (int r = 0; r < used; r++) {
      place[r] = copy + ((ptrdiff_t)i * c->step_h * width + (ptrdiff_t)j * c->step_w) * depth;
      at[r] = ((ptrdiff_t)((i0 + i) * c->out_step_h + c->out_h0) * c->out_w + j * c->out_step_w + c->out_w0) *
              c->out_ld;
      if (++j == c->columns) {
        j = 0;
        i++;
      }
    }
    for (int r = used; r < TILE_ROWS; r++)
      place[r] = place[0];
    if (asks && !t->far) {
      int left = pixels - tile - used;
      conv_ask_to_write(c, left < TILE_ROWS ? left : TILE_ROWS, t->y + at[0] + (ptrdiff_t)used * c->out_ld);
    }
    int first = 0;
    do { /* once even where no tap reaches the grid */
      int taps = c->taps_h - first < TILE_TAPS ? c->taps_h - first : TILE_TAPS;
      for (int u = 0; u < taps; u++)
        for (int r = 0; r < TILE_ROWS; r++)
          a[u * TILE_ROWS + r] = place[r] + (first + u) * line;
      conv_grid_tile(&tiles, used, first, taps, a, at, NULL, 0, c->channels);
      first += TILE_TAPS;
    } while (first < c->taps_h);
  }
}

/* Into how many ranges of tiles, and how many parts of the channels, the work is split. */
typedef struct ConvSplit {
  int64_t ranges;
  int parts;
} ConvSplit;

/* The split whose busiest thread is done first, in units of the products of a register tile. A task prepares
 * each tile of pixels once for all its channels (copies cost more than pointers), waits for its weights as
 * they come, and the fewer tasks there are the longer may one thread wait for the other.  Pixels beyond its
 * own share a thread reads from the cache of another. */
static ConvSplit conv_grid_split(const ConvGrid *c, int64_t tiles, int column_tiles, int threads) {
  const double preparing = conv_grid_flat(c) && conv_flat_copies(c) ? 0.15 : 0.02, weights = 0.4,
               waiting = 0.1, foreign = (double)(c->step_h * c->step_w) / (c->taps_h * c->taps_w);
  ConvSplit best = {1, column_tiles};
  double least = INFINITY;
  for (int width = 1; width <= 4; width++)
    for (int ranges = 1; ranges <= 2 * threads && ranges <= tiles; ranges++) {
      int64_t range = (tiles + ranges - 1) / ranges;
      int parts = conv_ceil(column_tiles, width), rounds = conv_ceil(parts * ranges, threads);
      double task = width * ((double)range + weights) + (double)range * preparing;
      double read = (double)range * conv_ceil(rounds, parts), share = (double)tiles / threads;
      double time =
          rounds * task + waiting * width * (double)range + (read > share ? (read - share) * foreign : 0);
      if (time < least) {
        least = time;
        best = (ConvSplit){ranges, parts};
      }
    }
  return best;
}

/* n images.  x, y and what `e` names point at the first channel of the group. */
static void conv_grid_run(const ConvGrid *c, int n, const float *x, const float *packed, const Epilogue *e,
                          float *y, const Work *work) {
  if (c->rows <= 0 || c->columns <= 0)
    return;
  ConvTiles whole = {.grid = c, .x = x, .packed = packed, .end = epilogue_end(e), .y = y};
  whole.far = (int64_t)n * c->out_h * c->out_w * c->out_ld >= VEC_FAR_FLOATS && vec_streams(y, c->out_ld) &&
              c->channels % TILE_COLUMNS == 0 && !whole.end.rest && !(e && (e->residual == y || !e->late));
  if (conv_grid_narrow(c)) {
    int task_rows = conv_narrow_rows(c), tasks = conv_ceil(c->rows, task_rows);
    WORK_TASKS(work, turn, (int64_t)n * tasks) {
      ptrdiff_t image = (ptrdiff_t)(turn.task / tasks);
      int i0 = (int)(turn.task % tasks) * task_rows, i1 = i0 + task_rows < c->rows ? i0 + task_rows : c->rows;
      ptrdiff_t y_image = image * c->out_h * c->out_w * c->out_ld;
      Epilogue own;
      ConvTiles of_image = whole;
      of_image.x += image * c->in_h * c->in_w * c->in_ld;
      of_image.y += y_image;
      if (e) {
        own = epilogue_from(e, y_image, 0);
        of_image.end.e = &own;
      }
      conv_grid_narrow_rows(&of_image, i0, i1, work_scratch(work));
      if (whole.far)
        vec_stream_end();
    }
    return;
  }
  /* Ranges of pixels that fit the cache, enough of them for the threads; where there are few pixels, channels
   * are split as well, so that weights are read by one thread each. */
  int64_t pixels = (int64_t)n * c->rows * c->columns, tiles = (pixels + TILE_ROWS - 1) / TILE_ROWS;
  int64_t range = CONV_CACHE_FLOATS / ((int64_t)c->depth * c->step_h * c->step_w * TILE_ROWS);
  int column_tiles = conv_ceil(c->channels, TILE_COLUMNS);
  if (range * 4 * work->threads > tiles)
    range = tiles / (4 * work->threads);
  if (range < 4)
    range = 4;
  ConvSplit split = {(tiles + range - 1) / range, 1};
  if (split.ranges < 4 * work->threads && work->threads > 1)
    split = conv_grid_split(c, tiles, column_tiles, work->threads);
  else
    split.ranges = work_even(work, split.ranges);
  int64_t ranges = split.ranges < tiles ? split.ranges : tiles;
  int parts = split.parts;
  WORK_TASKS(work, turn, ranges * parts) {
    float *zero = work_scratch(work);
    for (int d = 0; d < c->depth; d++)
      zero[d] = 0.0f;
    int64_t place = turn.task / parts, begin = tiles * place / ranges * TILE_ROWS,
            end = tiles * (place + 1) / ranges * TILE_ROWS;
    int part = (int)(turn.task % parts), k0 = column_tiles * part / parts * TILE_COLUMNS,
        k1 = column_tiles * (part + 1) / parts * TILE_COLUMNS;
    ptrdiff_t weights = (ptrdiff_t)c->taps_h * c->taps_w * c->depth;
    ConvTask own = {.begin = begin,
                    .end = end < pixels ? end : pixels,
                    .k0 = k0,
                    .k1 = k1 < c->channels ? k1 : c->channels,
                    .fresh = turn.task - turn.first < parts};
    if (turn.task + 1 - turn.first < parts)
      own.then = packed + column_tiles * ((part + 1) % parts) / parts * TILE_COLUMNS * weights;
    conv_grid_task(&whole, &own, zero);
    if (whole.far)
      vec_stream_end();
  }
}
#endif
