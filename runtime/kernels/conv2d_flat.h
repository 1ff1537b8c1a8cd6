/* The loop of 1x1 convolutions that read all pixels as they lie: a flat grid. */
#ifndef NETC_KERNELS_CONV2D_FLAT_H
#define NETC_KERNELS_CONV2D_FLAT_H
#include "conv2d_task.h"
#include <string.h>

/* Whole tiles meet a tile of weights in blocks of so many floats (16 KiB, 8 KiB), which the first-level cache
 * holds beside it. */
#define CONV_FLAT_FLOATS (VEC_WIDTH == 16 ? 4096 : 2048)
/* The copy of a block of pixels. */
#define CONV_FLAT_COPY (TILE_ROWS * (CONV_FLAT_DEPTH + TILE_BLOCK))

/* Floats from one copied pixel to the next: an odd number of cache lines. */
static inline int conv_flat_copy_ld(int depth) {
  return (conv_ceil(depth, TILE_BLOCK) | 1) * TILE_BLOCK;
}

/* Tiles of a block. */
static inline int conv_flat_tiles(const ConvGrid *c, int depth) {
  int tiles = CONV_FLAT_FLOATS / (TILE_ROWS * (conv_flat_copies(c) ? conv_flat_copy_ld(depth) : depth));
  return tiles < 1 ? 1 : tiles;
}

/* Where pixels [first, first + pixels), channels [d, d + depth), are read, *ld floats apart. */
static const float *conv_flat_pixels(const ConvTiles *t, int64_t first, int pixels, int d, int depth,
                                     float *copy, ptrdiff_t *ld) {
  const ConvGrid *c = t->grid;
  const float *x = t->x + (ptrdiff_t)first * c->in_ld + d;
  *ld = c->in_ld;
  if (!conv_flat_copies(c))
    return x;
  *ld = conv_flat_copy_ld(depth);
  if (c->map) {
    ChannelMap map = channel_map_from(c->map, d);
    channel_map_pixels(&map, pixels, depth, x, c->in_ld, copy, *ld);
  } else {
    for (int r = 0; r < pixels; r++)
      memcpy(copy + r * *ld, x + (ptrdiff_t)r * c->in_ld, (size_t)depth * sizeof *x);
  }
  return copy;
}

/* What the products of a block are of: `pixels` from `first` on, a ld floats apart, channels [d, d + depth)
 * of the input and [k, k_end) of the output. */
typedef struct ConvFlatPart {
  int64_t first;
  int pixels, d, depth, k, k_end;
  const float *a;
  ptrdiff_t ld;
} ConvFlatPart;

static inline const float *conv_flat_weights(const ConvTiles *t, const ConvFlatPart *p) {
  return t->packed + (ptrdiff_t)p->k * t->grid->depth + (ptrdiff_t)p->d * TILE_BLOCK;
}

/* A number of whole tiles, of rows and of columns. */
static void conv_flat_whole(const ConvTiles *t, const ConvFlatPart *p, TileFetch *fetch) {
  const ConvGrid *c = t->grid;
  const ConvWide wide = {.a = p->a,
                         .a_row = p->ld,
                         .tiles = p->pixels / TILE_ROWS,
                         .taps = 1,
                         .depth = p->depth,
                         .y = (ptrdiff_t)p->first * c->out_ld,
                         .k = p->k,
                         .k_end = p->k_end,
                         .first = p->d == 0,
                         .last = p->d + p->depth == c->depth};
  conv_wide_sums(t, &wide, conv_flat_weights(t, p), (ptrdiff_t)c->depth * TILE_BLOCK, fetch);
}

/* At most one tile of rows, any number of columns. */
static void conv_flat_edge(const ConvTiles *t, const ConvFlatPart *p, TileFetch *fetch) {
  const ConvGrid *c = t->grid;
  const float *a[TILE_ROWS];
  ptrdiff_t at[TILE_ROWS];
  for (int r = 0; r < TILE_ROWS; r++) {
    int pixel = r < p->pixels ? r : 0;
    a[r] = p->a + pixel * p->ld;
    at[r] = ((ptrdiff_t)p->first + pixel) * c->out_ld;
  }
  const ConvPixels pixels = {.a = a,
                             .at = at,
                             .pixels = p->pixels,
                             .taps = 1,
                             .depth = p->depth,
                             .first = p->d == 0,
                             .last = p->d + p->depth == c->depth,
                             .asks = p->d == 0};
  conv_tile_sums(t, &pixels, p->k, p->k_end, conv_flat_weights(t, p), (ptrdiff_t)c->depth * TILE_BLOCK,
                 fetch);
}

/* Pixels [first, first + pixels), whole tiles or a part of one, channels [d0, d1) of the input and [k, k_end)
 * of the output. */
static void conv_flat_block(const ConvTiles *t, int64_t first, int pixels, int d0, int d1, int k, int k_end,
                            TileFetch *fetch) {
  const ConvGrid *c = t->grid;
  float copy[CONV_FLAT_COPY];
  int step = conv_flat_copies(c) ? CONV_FLAT_DEPTH : d1 - d0;
  int whole = pixels < TILE_ROWS || !conv_takes_wide(t) ? 0 : (k_end - k) / TILE_COLUMNS * TILE_COLUMNS;
  for (int d = d0; d < d1; d += step) {
    ConvFlatPart part = {.first = first, .pixels = pixels, .d = d, .k = k, .k_end = k + whole};
    part.depth = d1 - d < step ? d1 - d : step;
    part.a = conv_flat_pixels(t, first, pixels, d, part.depth, copy, &part.ld);
    if (whole)
      conv_flat_whole(t, &part, fetch);
    part.k = k + whole;
    part.k_end = k_end;
    for (int row = 0; part.k < k_end && row < pixels; row += TILE_ROWS) {
      ConvFlatPart edge = part;
      edge.first += row;
      edge.a += row * part.ld;
      edge.pixels = pixels - row < TILE_ROWS ? pixels - row : TILE_ROWS;
      conv_flat_edge(t, &edge, fetch);
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
    /* Where weights need not be asked for, what the next block reads. */
    const float *rows = e && e->residual ? e->residual : !near && c->in_ld < 2 * c->depth ? t->x : NULL;
    int ld = e && e->residual ? c->out_ld : c->in_ld;
    TileFetch next = tile_fetch(NULL, TILE_ROWS * ld, lines);
    for (int d = 0; d < c->depth; d += part) {
      int d_end = c->depth - d < part ? c->depth : d + part;
      int most = conv_flat_tiles(c, d_end - d) * TILE_ROWS;
      for (int64_t first = task->begin, pixels; first < task->end; first += pixels) {
        int64_t left = task->end - first;
        pixels = left < TILE_ROWS ? left : left < most ? left / TILE_ROWS * TILE_ROWS : most;
        next.place = rows && !d && left > pixels ? rows + (ptrdiff_t)(first + pixels) * ld : NULL;
        conv_flat_block(t, first, (int)pixels, d, d_end, k, k_end,
                        ahead.place  ? &ahead
                        : soon.place ? &soon
                                     : &next);
      }
    }
  }
}
#endif
