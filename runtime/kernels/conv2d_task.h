/* What the loops of the direct convolutions share: the grid that they compute, a task of it, and how its
 * tiles of pixels and channels begin and end.
 *
 * A ConvGrid says: grid point (i, j) of an image, one of rows x columns, is the sum over taps (u, v) of input
 * pixel (i * step_h + tap_h + u * tap_step_h,  j * step_w + tap_w + v * tap_step_w)   (zero outside the
 * image) times that tap's weights, and is stored at output pixel (i * out_step_h + out_h0, j * out_step_w +
 * out_w0).
 *
 * Weights: [blocks of TILE_BLOCK output channels][taps][depth][TILE_BLOCK], the last block filled with zeros.
 */
#ifndef NETC_KERNELS_CONV2D_TASK_H
#define NETC_KERNELS_CONV2D_TASK_H
#include "channel_map.h"
#include "conv2d.h"
#include "epilogue.h"
#include "tile_wide.h"

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

/* At most TILE_ROWS pixels, and the taps of theirs whose products are added now. */
typedef struct ConvPixels {
  const float *const *a; /* [taps][TILE_ROWS]: where `depth` channels of the input are read */
  const ptrdiff_t *at;   /* [TILE_ROWS]: of the outputs, from y on */
  int pixels, taps, depth;
  bool first, last; /* these are the first and the last products of their sums */
  bool asks;        /* for the lines of y, before the sums */
} ConvPixels;

/* Their sums for channels [k, k_end) of the output, k a multiple of TILE_COLUMNS.  b: the weights of channel
 * k that the first of these products takes; those of the next TILE_BLOCK channels are `block` floats on. */
static void conv_tile_sums(const ConvTiles *t, const ConvPixels *p, int k, int k_end, const float *b,
                           ptrdiff_t block, TileFetch *fetch) {
  bool fetches = fetch && fetch->place;
  for (; k < k_end; k += TILE_COLUMNS, b += TILE_COLUMNS / TILE_BLOCK * block) {
    TileOut out = conv_tile_out(t, p->at, k, k_end, p->first, p->last);
    if (p->asks)
      tile_ask_to_write(&out, p->pixels);
    if (p->last)
      epilogue_ask(&t->end, k, p->at, p->pixels, out.columns);
    tile_multiply(p->pixels, p->taps, p->depth, p->a, b, block, fetches ? fetch : NULL, &out);
    if (fetches)
      fetch->place += p->taps * p->depth * fetch->step;
    if (p->last && t->end.rest)
      epilogue_rest(t->end.e, t->y, k, p->at, p->pixels, out.columns);
  }
}

/* Whether sums of all taps of a grid are so long that their lines of y are asked for before. */
static inline bool conv_asks(const ConvGrid *c) {
  return c->taps_h * c->taps_w * c->depth > CONV_SHORT_SUM;
}

/* The same where these are a grid's taps from first_tap on. */
static void conv_taps_sums(const ConvTiles *t, const ConvPixels *p, int first_tap, int k, int k_end,
                           TileFetch *fetch) {
  int depth = t->grid->depth, taps = t->grid->taps_h * t->grid->taps_w;
  ptrdiff_t block = (ptrdiff_t)taps * depth * TILE_BLOCK;
  conv_tile_sums(t, p, k, k_end,
                 t->packed + k / TILE_BLOCK * block + (ptrdiff_t)first_tap * depth * TILE_BLOCK, block,
                 fetch);
}

/* Whole tiles of pixels whose inputs lie side by side, as their outputs do, and of channels [k, k_end): whole
 * tiles, or fewer than one. */
typedef struct ConvWide {
  const float *a;         /* of the first pixel; the next is a_row floats on, */
  ptrdiff_t a_row, a_tap; /* the next tap a_tap */
  int tiles, taps, depth;
  ptrdiff_t y; /* the first pixel's output is so many floats from t->y, the next one's t->grid->out_ld on */
  int k, k_end;
  bool first, last; /* these are the first and the last products of their sums */
} ConvWide;

/* Whether tiles may be multiplied many in a call.  Not where a mask decides which sums pass: it is asked for
 * before the sums of a tile and read after them, while its lines and theirs are near (1.1 to 1.3 times as
 * fast with AVX-512 where they come from memory, up to 1.08 with AVX2; there not where a residual comes
 * besides). */
static inline bool conv_takes_wide(const ConvTiles *t) {
  const Epilogue *e = t->end.e;
  return !(e && e->mask) || (e->residual && VEC_WIDTH < 16);
}

/* b and block: as of conv_tile_sums. */
static void conv_wide_sums(const ConvTiles *t, const ConvWide *w, const float *b, ptrdiff_t block,
                           TileFetch *fetch) {
  ptrdiff_t at[TILE_ROWS], y_row = t->grid->out_ld;
  TileOut out = conv_tile_out(t, NULL, w->k, w->k_end, w->first, w->last);
  const TileWide wide = {.a = w->a,
                         .b = b,
                         .a_row = w->a_row,
                         .a_tap = w->a_tap,
                         .block = block,
                         .y_row = y_row,
                         .tiles = w->tiles,
                         .taps = w->taps,
                         .depth = w->depth,
                         .columns = w->k_end - w->k,
                         .y = out.y + w->y,
                         .residual = out.residual ? out.residual + w->y : NULL,
                         .bias = out.bias,
                         .accumulate = out.accumulate,
                         .streamed = out.columns == TILE_STREAMED,
                         .asks = w->first && out.columns != TILE_STREAMED,
                         .low = out.low,
                         .high = out.high};
  if (wide.columns < TILE_COLUMNS)
    tile_multiply_wide_part(&wide);
  else
    tile_multiply_wide(&wide, fetch);
  for (int tile = 0; w->last && t->end.rest && tile < w->tiles; tile++) {
    for (int r = 0; r < TILE_ROWS; r++)
      at[r] = w->y + (tile * TILE_ROWS + r) * y_row;
    epilogue_rest(t->end.e, t->y, w->k, at, TILE_ROWS, w->k_end - w->k);
  }
}
#endif
