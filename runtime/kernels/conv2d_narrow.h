/* The path of direct convolutions of few channels, first layers above all: the pixels under a kernel row lie
 * side by side, so the row is one tap of taps_w * depth floats once the rows of the image have been copied
 * with their padding. */
#ifndef NETC_KERNELS_CONV2D_NARROW_H
#define NETC_KERNELS_CONV2D_NARROW_H
#include "conv2d_task.h"
#include <string.h>

static inline bool conv_takes_narrow(const ConvGrid *c) {
  return c->depth < CONV_NARROW_DEPTH && c->taps_w > 1 && c->tap_step_w == 1;
}

static inline int conv_narrow_width(const ConvGrid *c) {
  return (c->columns - 1) * c->step_w + c->taps_w;
}

/* Grid rows of a task. */
static inline int conv_narrow_rows(const ConvGrid *c) {
  int rows = conv_ceil(448, c->columns > 0 ? c->columns : 1);
  return rows < c->rows ? rows : (c->rows > 0 ? c->rows : 1);
}

static inline int conv_narrow_input_rows(const ConvGrid *c) {
  return (conv_narrow_rows(c) - 1) * c->step_h + (c->taps_h - 1) * c->tap_step_h + 1;
}

static inline size_t conv_narrow_scratch_floats(const ConvGrid *c) {
  return ((size_t)conv_narrow_input_rows(c) * (size_t)conv_narrow_width(c) * (size_t)c->depth + 31) / 16 * 16;
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

/* What a task multiplies: grid rows [i0, i0 + rows) of one image, whose input is copied. */
typedef struct ConvNarrow {
  const ConvTiles *tiles; /* of the image; its grid: kernel rows as taps */
  const float *copy;
  int i0, rows;
  int row, column, tap; /* floats of the copy from one grid row, column, kernel row to the next */
} ConvNarrow;

/* Where the output of grid point (i, j) lies. */
static inline ptrdiff_t conv_narrow_at(const ConvNarrow *p, int i, int j) {
  const ConvGrid *c = p->tiles->grid;
  return ((ptrdiff_t)((p->i0 + i) * c->out_step_h + c->out_h0) * c->out_w + j * c->out_step_w + c->out_w0) *
         c->out_ld;
}

/* Columns [0, columns) of all rows, whole tiles. */
static void conv_narrow_whole(const ConvNarrow *p, int columns) {
  const ConvTiles *t = p->tiles;
  const ConvGrid *c = t->grid;
  int whole = c->channels / TILE_COLUMNS * TILE_COLUMNS;
  ptrdiff_t block = (ptrdiff_t)c->taps_h * c->depth * TILE_BLOCK;
  TileFetch none = {NULL, 0};
  for (int i = 0; i < p->rows; i++) {
    ConvWide wide = {.a = p->copy + (ptrdiff_t)i * p->row,
                     .a_row = p->column,
                     .a_tap = p->tap,
                     .tiles = columns / TILE_ROWS,
                     .taps = c->taps_h,
                     .depth = c->depth,
                     .y = conv_narrow_at(p, i, 0),
                     .k_end = whole,
                     .first = true,
                     .last = true};
    if (whole)
      conv_wide_sums(t, &wide, t->packed, block, &none);
    wide.k = whole;
    wide.k_end = c->channels;
    if (whole < c->channels)
      conv_wide_sums(t, &wide, t->packed + whole / TILE_BLOCK * block, block, &none);
  }
}

/* Columns from j0 on of all rows, a tile of any of them at a time. */
static void conv_narrow_rest(const ConvNarrow *p, int j0) {
  const ConvGrid *c = p->tiles->grid;
  const float *a[TILE_TAPS * TILE_ROWS], *place[TILE_ROWS];
  ptrdiff_t at[TILE_ROWS];
  int pixels = p->rows * (c->columns - j0), i = 0, j = j0;
  ptrdiff_t y = conv_narrow_at(p, 0, j0);
  bool asks = c->taps_h * c->depth <= CONV_SHORT_SUM && c->out_step_w == 1 && c->columns == c->out_w && !j0;
  for (int tile = 0; tile < pixels; tile += TILE_ROWS) {
    int used = pixels - tile < TILE_ROWS ? pixels - tile : TILE_ROWS;
    for (int r = 0; r < used; r++) {
      place[r] = p->copy + (ptrdiff_t)i * p->row + (ptrdiff_t)j * p->column;
      at[r] = y;
      y += (ptrdiff_t)c->out_step_w * c->out_ld;
      if (++j == c->columns) {
        j = j0;
        y = conv_narrow_at(p, ++i, j0);
      }
    }
    for (int r = used; r < TILE_ROWS; r++)
      place[r] = place[0];
    if (asks && !p->tiles->far) {
      int left = pixels - tile - used;
      conv_ask_to_write(c, left < TILE_ROWS ? left : TILE_ROWS,
                        p->tiles->y + at[0] + (ptrdiff_t)used * c->out_ld);
    }
    ConvPixels now = {
        .a = a, .at = at, .pixels = used, .depth = c->depth, .first = true, .asks = conv_asks(c)};
    int first = 0;
    do { /* once even where no tap reaches the grid */
      now.taps = c->taps_h - first < TILE_TAPS ? c->taps_h - first : TILE_TAPS;
      now.last = first + now.taps == c->taps_h;
      for (int u = 0; u < now.taps; u++)
        for (int r = 0; r < TILE_ROWS; r++)
          a[u * TILE_ROWS + r] = place[r] + (ptrdiff_t)(first + u) * p->tap;
      conv_taps_sums(p->tiles, &now, first, 0, c->channels, NULL);
      now.first = now.asks = false;
      first += now.taps;
    } while (!now.last);
  }
}

/* Grid rows [i0, i1) of one image, which t->x and t->y are of.  `copy` has conv_narrow_scratch_floats. */
static void conv_narrow_task(const ConvTiles *t, int i0, int i1, float *copy) {
  const ConvGrid *c = t->grid;
  int width = conv_narrow_width(c), line = width * c->depth;
  int h0 = i0 * c->step_h + c->tap_h;
  int input_rows = (i1 - i0 - 1) * c->step_h + (c->taps_h - 1) * c->tap_step_h + 1;
  for (int h = 0; h < input_rows; h++) {
    bool outside = h0 + h < 0 || h0 + h >= c->in_h;
    conv_narrow_copy(c, outside ? NULL : t->x + (ptrdiff_t)(h0 + h) * c->in_w * c->in_ld, c->tap_w, width,
                     copy + (ptrdiff_t)h * line);
  }
  ConvGrid rows = *c;
  rows.depth = c->taps_w * c->depth;
  rows.taps_w = 1;
  ConvTiles tiles = *t;
  tiles.grid = &rows;
  const ConvNarrow all = {.tiles = &tiles,
                          .copy = copy,
                          .i0 = i0,
                          .rows = i1 - i0,
                          .row = c->step_h * line,
                          .column = c->step_w * c->depth,
                          .tap = c->tap_step_h * line};
  bool wide = c->out_step_w == 1 && conv_takes_wide(t);
  int whole = wide ? c->columns / TILE_ROWS * TILE_ROWS : 0;
  if (whole)
    conv_narrow_whole(&all, whole);
  if (whole < c->columns)
    conv_narrow_rest(&all, whole);
}
#endif
