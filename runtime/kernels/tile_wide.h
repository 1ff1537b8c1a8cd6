/* The register tile of tile.h for rows that lie a constant distance apart and many columns side by side: one
 * call for all of them.  What stands around the sums of a tile, the pointers to its rows above all, takes as
 * long as 10 to 15 of their steps (AVX2), and a 1x1 convolution of 16 to 64 channels has no more steps than
 * that a few times over. */
#ifndef NETC_KERNELS_TILE_WIDE_H
#define NETC_KERNELS_TILE_WIDE_H
#include "tile.h"

/* `tiles` tiles of TILE_ROWS rows, a_row floats apart, `taps` times `depth` floats each, a_tap floats from
 * tap to tap, times `columns` columns, a multiple of TILE_COLUMNS.  b and block: as of tile_multiply.  y,
 * residual and bias: of the first row and column, rows y_row floats apart; otherwise as of TileOut. */
typedef struct TileWide {
  const float *a, *b;
  ptrdiff_t a_row, a_tap, block, y_row;
  int tiles, taps, depth, columns;
  float *y;
  const float *residual, *bias;
  bool accumulate, streamed;
  bool asks; /* for lines of y before they are stored to */
  float low, high;
} TileWide;

enum { TILE_REACH = 3 }; /* rows that one pointer reaches: its own, a_row and 2 * a_row further on */
/* Lines of y are asked for so many tiles of rows ahead where sums are shorter than this: memory takes longer
 * to answer than a tile of them to be done. */
enum { TILE_WIDE_AHEAD = 4, TILE_WIDE_SHORT = 64 };

/* Asks for the lines that a tile of columns is of, in TILE_ROWS rows. */
VEC_INLINE void tile_wide_ask(const TileWide *p, int vecs, ptrdiff_t at) {
  VEC_UNROLL
  for (int r = 0; r < TILE_ROWS; r++)
    VEC_UNROLL
  for (int column = 0; column < vecs * VEC_WIDTH; column += TILE_BLOCK)
    VEC_FETCH_TO_WRITE(p->y + at + r * p->y_row + column);
}

VEC_INLINE void tile_wide_start(const TileWide *p, int column, int vecs, int left, ptrdiff_t at,
                                Vec (*sum)[TILE_VECS]) {
  VEC_UNROLL
  for (int v = 0; v < vecs; v++) {
    Vec start = p->bias ? tile_load_columns(p->bias + column, v, left) : vec_zero();
    VEC_UNROLL
    for (int r = 0; r < TILE_ROWS; r++)
      sum[r][v] = start;
  }
  if (p->accumulate) {
    VEC_UNROLL
    for (int r = 0; r < TILE_ROWS; r++)
      VEC_UNROLL
    for (int v = 0; v < vecs; v++)
      sum[r][v] = tile_load_columns(p->y + at + r * p->y_row, v, left);
  } else if (p->residual) {
    VEC_UNROLL
    for (int r = 0; r < TILE_ROWS; r++)
      VEC_UNROLL
    for (int v = 0; v < vecs; v++)
      sum[r][v] = vec_add(sum[r][v], tile_load_columns(p->residual + at + r * p->y_row, v, left));
  }
}

VEC_INLINE void tile_wide_end(const TileWide *p, int vecs, int left, ptrdiff_t at, Vec (*sum)[TILE_VECS]) {
  Vec low = vec_set(p->low), high = vec_set(p->high);
  /* max and min hand on their second operand where it is not a number. */
  VEC_UNROLL
  for (int r = 0; r < TILE_ROWS; r++) {
    VEC_UNROLL
    for (int v = 0; v < vecs; v++)
      sum[r][v] = vec_min(high, vec_max(low, sum[r][v]));
  }
  if (p->streamed) {
    VEC_UNROLL
    for (int r = 0; r < TILE_ROWS; r++)
      VEC_UNROLL
    for (int v = 0; v < vecs; v++)
      vec_stream(p->y + at + r * p->y_row + v * VEC_WIDTH, sum[r][v]);
  } else {
    VEC_UNROLL
    for (int r = 0; r < TILE_ROWS; r++)
      VEC_UNROLL
    for (int v = 0; v < vecs; v++)
      vec_store_upto(p->y + at + r * p->y_row + v * VEC_WIDTH, sum[r][v], left - v * VEC_WIDTH);
  }
}

/* All tiles of rows with `vecs` vectors of columns from `column` on, of which `left` are there; vecs and
 * fetches are constants where this is called, left where all are. */
VEC_INLINE void tile_wide_columns(const TileWide *p, int column, int vecs, int left, bool fetches,
                                  TileFetch *fetch) {
  enum { POINTERS = (TILE_ROWS + TILE_REACH - 1) / TILE_REACH };
  ptrdiff_t ahead = p->taps * p->depth < TILE_WIDE_SHORT ? TILE_WIDE_AHEAD * TILE_ROWS * p->y_row : 0;
  const float *rows = p->a;
  ptrdiff_t at = column;
  for (int tile = 0; tile < p->tiles; tile++, rows += TILE_ROWS * p->a_row, at += TILE_ROWS * p->y_row) {
    Vec sum[TILE_ROWS][TILE_VECS];
    const float *b = p->b + column / TILE_BLOCK * p->block;
    if (p->asks)
      tile_wide_ask(p, vecs, at + ahead);
    tile_wide_start(p, column, vecs, left, at, sum);
    for (int tap = 0; tap < p->taps; tap++) {
      const float *a[POINTERS];
      VEC_UNROLL
      for (int i = 0; i < POINTERS; i++)
        a[i] = rows + tap * p->a_tap + i * TILE_REACH * p->a_row;
      TILE_UNROLL(4)
      for (int d = 0; d < p->depth; d++, b += TILE_BLOCK) {
        Vec line[TILE_VECS];
        VEC_UNROLL
        for (int v = 0; v < vecs; v++)
          line[v] = vec_load(b + tile_offset(v, p->block));
        VEC_UNROLL
        for (int block = 0; block < (vecs * VEC_WIDTH + TILE_BLOCK - 1) / TILE_BLOCK; block++)
          VEC_FETCH(b + block * p->block + TILE_AHEAD * TILE_BLOCK);
        if (fetches) {
          VEC_FETCH_FAR(fetch->place);
          fetch->place += fetch->step;
        }
        VEC_UNROLL
        for (int r = 0; r < TILE_ROWS; r++) {
          Vec pixel = vec_set(a[r / TILE_REACH][r % TILE_REACH * p->a_row]);
          VEC_UNROLL
          for (int v = 0; v < vecs; v++)
            sum[r][v] = vec_fma(pixel, line[v], sum[r][v]);
        }
        VEC_UNROLL
        for (int i = 0; i < POINTERS; i++)
          a[i]++;
      }
    }
    tile_wide_end(p, vecs, left, at, sum);
  }
}

VEC_INLINE void tile_wide(const TileWide *wide, bool fetches, TileFetch fetch) {
  const TileWide p = *wide; /* its own copy, so that storing y cannot change it */
  for (int column = 0; column < p.columns; column += TILE_COLUMNS)
    tile_wide_columns(&p, column, TILE_VECS, TILE_COLUMNS, fetches, &fetch);
}

/* Each sum is that of tile_multiply, to the bit.  A tile of columns meets all rows before the next does.
 * `fetch`: what is asked for meanwhile, left where it ended; place may be NULL. */
static void tile_multiply_wide(const TileWide *wide, TileFetch *fetch) {
  if (!fetch->place) {
    tile_wide(wide, false, *fetch);
    return;
  }
  tile_wide(wide, true, *fetch);
  fetch->place +=
      (ptrdiff_t)wide->tiles * (wide->columns / TILE_COLUMNS) * wide->taps * wide->depth * fetch->step;
}
/* The same for fewer than TILE_COLUMNS columns. */
static void tile_multiply_wide_part(const TileWide *wide) {
  const TileWide p = *wide;
  TileFetch none = {NULL, 0};
  if (p.columns <= VEC_WIDTH)
    tile_wide_columns(&p, 0, 1, p.columns, false, &none);
  else
    tile_wide_columns(&p, 0, TILE_VECS, p.columns, false, &none);
}
#endif
