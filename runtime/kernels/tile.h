/* The register tile that convolutions and dense layers share: a small matrix product whose sums stay in
 * registers.
 *
 *   y[row][column] = clamp(start + sum over taps t and depth d of a[t][row][d] * b[t][d][column])
 *
 * Rows are pixels (or images), columns are output channels.  tile_multiply takes one pointer per row and tap,
 * so any window, stride or padding is a matter of pointers; tile_multiply_panel takes rows that lie side by
 * side, which is what sums over pixels (gradients of weights) look like; tile_multiply_strided takes pointers
 * to such rows, for pixels of few channels.  Every sum is one chain of multiply-adds in the order of (t, d),
 * so that its bits depend neither on the tile it falls into nor on threads.
 *
 * b comes in blocks of TILE_BLOCK columns, whatever the vector width, so that packed sizes are the same
 * everywhere. */
#ifndef NETC_KERNELS_TILE_H
#define NETC_KERNELS_TILE_H
#include "vec.h"
#include <stdbool.h>
#include <stddef.h>

#define TILE_BLOCK 16
#if VEC_WIDTH == 16
#define TILE_ROWS 14
#define TILE_VECS 2
#elif VEC_WIDTH == 4
#define TILE_ROWS 6
#define TILE_VECS 4
#elif VEC_ISA == ISA_AVX2
#define TILE_ROWS 6
#define TILE_VECS 2
#else
#define TILE_ROWS 4
#define TILE_VECS 2
#endif
/* Before the loops over depth.  The 12 multiply-adds of a step keep both units of an AVX2 processor busy, and
 * the additions of a loop around each step take turns from them: longer steps lose fewer (7 % measured). */
#define TILE_PRAGMA(text) _Pragma(#text)
#if VEC_ISA == ISA_AVX2 && defined(__clang__)
#define TILE_UNROLL(steps) TILE_PRAGMA(clang loop unroll_count(steps))
#elif VEC_ISA == ISA_AVX2 && defined(__GNUC__)
#define TILE_UNROLL(steps) TILE_PRAGMA(GCC unroll steps)
#else
#define TILE_UNROLL(steps)
#endif
#define TILE_COLUMNS (TILE_VECS * VEC_WIDTH)
#define TILE_MIDDLE  (TILE_ROWS > 8 ? 8 : TILE_ROWS) /* rows of the next smaller tile that is compiled */
/* Weights are asked for so many lines ahead: those of a layer come from memory where each is read once. */
#define TILE_AHEAD 32
/* So many floats ahead the panel form asks for the rows of the next calls, which lie beside these. */
#define TILE_PANEL_AHEAD 32
/* The most taps of one call of tile_multiply. */
#define TILE_TAPS 32

#define TILE_STREAMED (TILE_COLUMNS + 1)

/* Where sums start and end.  `at[row]` is the offset of a row's first column from y and residual. */
typedef struct TileOut {
  float *y;
  const float *residual; /* added to the start, or NULL */
  const float *bias;     /* [columns] added to the start, or NULL */
  const ptrdiff_t *at;
  int columns;     /* valid ones, at most TILE_COLUMNS; or TILE_STREAMED: all, to lines that are streamed */
  bool accumulate; /* start from what y holds; then bias and residual are not looked at */
  float low,
      high; /* sums are clamped to this range before they are stored (-INFINITY, INFINITY: not at all) */
} TileOut;

/* Length of the next tile of rows out of `left`: whole tiles, then two of similar size. */
static inline int tile_share(int left) {
  if (left >= TILE_ROWS + 8 || left == TILE_ROWS)
    return TILE_ROWS;
  if (left <= TILE_ROWS)
    return left;
  int half = (left / 2 + 1) / 2 * 2;
  return half < TILE_ROWS ? half : TILE_ROWS;
}

/* tile(height, vectors of columns, rows, ...) of the smallest tile that is compiled for so many rows and
 * columns. */
#define TILE_CHOOSE(rows, columns, tile, ...)                                                                \
  do {                                                                                                       \
    if (VEC_WIDTH == 16 && (columns) <= TILE_BLOCK) {                                                        \
      if (rows > 4)                                                                                          \
        tile(TILE_ROWS, 1, rows, __VA_ARGS__);                                                               \
      else if (rows > 1)                                                                                     \
        tile(4, 1, rows, __VA_ARGS__);                                                                       \
      else                                                                                                   \
        tile(1, 1, rows, __VA_ARGS__);                                                                       \
    } else if (VEC_WIDTH == 16 && rows > TILE_MIDDLE && rows <= 10)                                          \
      tile(10, TILE_VECS, rows, __VA_ARGS__);                                                                \
    else if (rows > TILE_MIDDLE)                                                                             \
      tile(TILE_ROWS, TILE_VECS, rows, __VA_ARGS__);                                                         \
    else if (rows > 4)                                                                                       \
      tile(TILE_MIDDLE, TILE_VECS, rows, __VA_ARGS__);                                                       \
    else if (rows > 2)                                                                                       \
      tile(4, TILE_VECS, rows, __VA_ARGS__);                                                                 \
    else if (rows > 1)                                                                                       \
      tile(2, TILE_VECS, rows, __VA_ARGS__);                                                                 \
    else                                                                                                     \
      tile(1, TILE_VECS, rows, __VA_ARGS__);                                                                 \
  } while (0)

/* Rows of that tile. */
static inline int tile_height(int rows, int columns) {
  int height = 0;
#define TILE_HEIGHT(tile_rows, vecs, used, result) *(result) = (tile_rows)
  TILE_CHOOSE(rows, columns, TILE_HEIGHT, &height);
#undef TILE_HEIGHT
  return height;
}

/* Length of the next tile where no row beyond `left` may be read: the height of one, without leaving a last
 * one of few rows. */
static inline int tile_share_exact(int left, int columns) {
  int height = left < TILE_ROWS ? left : TILE_ROWS;
  if (VEC_WIDTH == 16 && columns > TILE_BLOCK && left > TILE_ROWS && left < TILE_ROWS + TILE_MIDDLE)
    return left >= TILE_MIDDLE + 10 ? 10 : TILE_MIDDLE;
  while (tile_height(height, columns) != height)
    height--;
  return height;
}

/* Number of tiles that `rows` rows make. */
static inline int tile_calls(int rows) {
  int calls = 0;
  for (int row = 0; row < rows; row += tile_share(rows - row))
    calls++;
  return calls;
}

/* Asks for the lines that `rows` rows will be stored to, before their sums are begun: a store waits for its
 * line, and those behind it wait in turn. */
static inline void tile_ask_to_write(const TileOut *out, int rows) {
  if (out->columns == TILE_STREAMED)
    return;
  for (int r = 0; r < rows; r++)
    for (int column = 0; column < out->columns; column += TILE_BLOCK)
      VEC_FETCH_TO_WRITE(out->y + out->at[r] + column);
}

/* What later calls read, asked for meanwhile: `step` floats further on with each line of b.  No field of
 * TileOut, for compilers clear several of its fields with one store: a load of what two such stores wrote
 * waits until all stores before, the sums of the last tile, are in the cache. */
typedef struct TileFetch {
  const float *place;
  ptrdiff_t step;
} TileFetch;

/* `floats` floats from `next` on over `lines` lines of b; where those are of several calls, each goes on
 * where the one before ended. */
static inline TileFetch tile_fetch(const float *next, int floats, int lines) {
  return (TileFetch){next, (floats + lines - 1) / lines};
}

/* A run of products of the panel form: `count` steps, the first with rows a[0..] and a line of b at these
 * offsets. */
typedef struct TileSegment {
  ptrdiff_t a, b;
  int count;
} TileSegment;

/* What the panel form multiplies: step d of a segment has row r at a[segment.a + d * a_line + r] and its line
 * of b at b + segment.b + d * line, blocks of columns `block` floats apart. */
typedef struct TilePanel {
  const float *a, *b;
  ptrdiff_t a_line, line, block;
  int segments;
  const TileSegment *segment;
  ptrdiff_t ahead; /* what lies so many floats from each step's rows is asked for meanwhile, */
  TileFetch fetch; /* and this; place may be NULL */
} TilePanel;

/* Offset of vector v inside a line of b whose blocks are `block` floats apart. */
VEC_INLINE ptrdiff_t tile_offset(int v, ptrdiff_t block) {
  return (v * VEC_WIDTH / TILE_BLOCK) * block + v * VEC_WIDTH % TILE_BLOCK;
}

VEC_INLINE Vec tile_load_columns(const float *from, int v, int columns) {
  int left = columns - v * VEC_WIDTH;
  return left >= VEC_WIDTH ? vec_load(from + v * VEC_WIDTH)
                           : (left > 0 ? vec_load_part(from + v * VEC_WIDTH, left) : vec_zero());
}

VEC_INLINE void tile_start(int rows, int vecs, int used, const TileOut *out, Vec (*sum)[TILE_VECS]) {
  VEC_UNROLL
  for (int r = 0; r < rows; r++) {
    VEC_UNROLL
    for (int v = 0; v < vecs; v++)
      sum[r][v] = vec_zero();
  }
  if (out->accumulate) {
    VEC_UNROLL
    for (int r = 0; r < rows; r++) {
      if (r < used) {
        VEC_UNROLL
        for (int v = 0; v < vecs; v++)
          sum[r][v] = tile_load_columns(out->y + out->at[r], v, out->columns);
      }
    }
    return;
  }
  if (out->bias) {
    VEC_UNROLL
    for (int v = 0; v < vecs; v++) {
      Vec bias = tile_load_columns(out->bias, v, out->columns);
      VEC_UNROLL
      for (int r = 0; r < rows; r++)
        sum[r][v] = bias;
    }
  }
  if (out->residual) {
    VEC_UNROLL
    for (int r = 0; r < rows; r++) {
      if (r < used) {
        VEC_UNROLL
        for (int v = 0; v < vecs; v++)
          sum[r][v] = vec_add(sum[r][v], tile_load_columns(out->residual + out->at[r], v, out->columns));
      }
    }
  }
}

VEC_INLINE void tile_end(int rows, int vecs, int used, const TileOut *out, Vec (*sum)[TILE_VECS]) {
  Vec low = vec_set(out->low), high = vec_set(out->high);
  /* max and min hand on their second operand where it is not a number. */
  VEC_UNROLL
  for (int r = 0; r < rows; r++) {
    VEC_UNROLL
    for (int v = 0; v < vecs; v++)
      sum[r][v] = vec_min(high, vec_max(low, sum[r][v]));
  }
  if (out->columns == TILE_STREAMED) {
    VEC_UNROLL
    for (int r = 0; r < rows; r++) {
      if (r < used) {
        VEC_UNROLL
        for (int v = 0; v < vecs; v++)
          vec_stream(out->y + out->at[r] + v * VEC_WIDTH, sum[r][v]);
      }
    }
    return;
  }
  bool whole = out->columns >= vecs * VEC_WIDTH;
  VEC_UNROLL
  for (int r = 0; r < rows; r++) {
    if (r < used) {
      float *y = out->y + out->at[r];
      if (whole) {
        VEC_UNROLL
        for (int v = 0; v < vecs; v++)
          vec_store(y + v * VEC_WIDTH, sum[r][v]);
      } else {
        VEC_UNROLL
        for (int v = 0; v < vecs; v++)
          if (out->columns > v * VEC_WIDTH)
            vec_store_upto(y + v * VEC_WIDTH, sum[r][v], out->columns - v * VEC_WIDTH);
      }
    }
  }
}

/* Row r's pointer.  14 rows have more pointers than there are registers; compilers keep what is left over in
 * vector registers, and the way back takes the place of a multiply-add in every step (3 % of a tile of 14 x
 * 32, 15 % of one of 14 x 16).  All but the first `kept` are read from memory instead. */
VEC_INLINE const float *tile_row(const float *const *a, int r, int kept) {
  return TILE_ROWS > 8 && r >= kept ? *(const float *const volatile *)(a + r) : a[r];
}

/* `step`: floats from one of a row's depth to the next. */
VEC_INLINE void tile_rows(int kept, int rows, int vecs, int used, const TileFetch *fetch, int taps, int depth,
                          const float *const *a, ptrdiff_t step, const float *b, ptrdiff_t line,
                          ptrdiff_t block, const TileOut *out) {
  Vec sum[TILE_ROWS][TILE_VECS];
  const float *next = fetch ? fetch->place : b;
  ptrdiff_t next_step = fetch ? fetch->step : 0;
  tile_start(rows, vecs, used, out, sum);
  for (int t = 0; t < taps; t++, a += TILE_ROWS) {
    TILE_UNROLL(4)
    for (int d = 0; d < depth; d++, b += line, next += next_step) {
      Vec line_b[TILE_VECS];
      VEC_UNROLL
      for (int v = 0; v < vecs; v++)
        line_b[v] = vec_load(b + tile_offset(v, block));
      VEC_UNROLL
      for (int v = 0; v < vecs; v++)
        if (v * VEC_WIDTH % TILE_BLOCK == 0) /* a block is a line of the cache */
          VEC_FETCH(b + tile_offset(v, block) + TILE_AHEAD * line);
      if (fetch)
        VEC_FETCH_FAR(next);
      VEC_UNROLL
      for (int r = 0; r < rows; r++) {
        Vec pixel = vec_set(tile_row(a, r, kept)[d * step]);
        VEC_UNROLL
        for (int v = 0; v < vecs; v++)
          sum[r][v] = vec_fma(pixel, line_b[v], sum[r][v]);
      }
    }
  }
  tile_end(rows, vecs, used, out, sum);
}

VEC_INLINE void tile_panel(int rows, int vecs, int used, const TilePanel *p, const TileOut *out) {
  Vec sum[TILE_ROWS][TILE_VECS];
  ptrdiff_t a_line = p->a_line, line = p->line, block = p->block;
  ptrdiff_t ahead = p->ahead, step = p->fetch.place ? p->fetch.step : 0;
  const float *next = p->fetch.place ? p->fetch.place : p->b;
  tile_start(rows, vecs, used, out, sum);
  for (int s = 0; s < p->segments; s++) {
    const float *a = p->a + p->segment[s].a, *b = p->b + p->segment[s].b;
    TILE_UNROLL(2)
    for (int d = p->segment[s].count; d > 0; d--, a += a_line, b += line, next += step) {
      Vec line_b[TILE_VECS];
      VEC_UNROLL
      for (int v = 0; v < vecs; v++)
        line_b[v] = vec_load(b + tile_offset(v, block));
      VEC_FETCH(a + ahead);
      VEC_FETCH(next);
      VEC_UNROLL
      for (int r = 0; r < rows; r++) {
        Vec pixel = vec_set(a[r]);
        VEC_UNROLL
        for (int v = 0; v < vecs; v++)
          sum[r][v] = vec_fma(pixel, line_b[v], sum[r][v]);
      }
    }
  }
  tile_end(rows, vecs, used, out, sum);
}

/* One loop for calls that ask ahead, one for the others. */
VEC_INLINE void tile_call(int rows, int vecs, int used, const TileFetch *fetch, int taps, int depth,
                          const float *const *a, const float *b, ptrdiff_t line, ptrdiff_t block,
                          const TileOut *out) {
  if (fetch)
    tile_rows(7, rows, vecs, used, fetch, taps, depth, a, 1, b, line, block, out);
  else
    tile_rows(7, rows, vecs, used, NULL, taps, depth, a, 1, b, line, block, out);
}

/* Two registers more stand for steps. */
VEC_INLINE void tile_call_strided(int rows, int vecs, int used, const TileFetch *fetch, int taps, int depth,
                                  const float *const *a, ptrdiff_t step, const float *b, ptrdiff_t line,
                                  const TileOut *out) {
  if (fetch)
    tile_rows(3, rows, vecs, used, fetch, taps, depth, a, step, b, line, TILE_BLOCK, out);
  else
    tile_rows(3, rows, vecs, used, NULL, taps, depth, a, step, b, line, TILE_BLOCK, out);
}

/* rows pixels (1 to TILE_ROWS) times out->columns channels.
 * a: [taps][TILE_ROWS] pointers, each to `depth` floats; those from `rows` on must point somewhere readable
 * too. b: [taps * depth] lines of TILE_BLOCK columns side by side, further blocks `block` floats apart; whole
 * blocks are read. `fetch` may be NULL. */
static void tile_multiply(int rows, int taps, int depth, const float *const *a, const float *b,
                          ptrdiff_t block, const TileFetch *fetch, const TileOut *out) {
  TILE_CHOOSE(rows, out->columns, tile_call, fetch, taps, depth, a, b, TILE_BLOCK, block, out);
}

/* The same where lines of b are `line` floats apart: weights that are not packed. */
static void tile_multiply_lines(int rows, int taps, int depth, const float *const *a, const float *b,
                                ptrdiff_t line, ptrdiff_t block, const TileFetch *fetch, const TileOut *out) {
  TILE_CHOOSE(rows, out->columns, tile_call, fetch, taps, depth, a, b, line, block, out);
}

/* The same where what a row has is `step` floats apart, and blocks of b's columns lie side by side. */
static void tile_multiply_strided(int rows, int taps, int depth, const float *const *a, ptrdiff_t step,
                                  const float *b, ptrdiff_t line, const TileFetch *fetch,
                                  const TileOut *out) {
  TILE_CHOOSE(rows, out->columns, tile_call_strided, fetch, taps, depth, a, step, b, line, out);
}

/* The same over the segments of a panel.  `rows` floats of each step are read if tile_share_exact said so
 * many, up to TILE_ROWS otherwise. */
static void tile_multiply_panel(int rows, const TilePanel *panel, const TileOut *out) {
  TILE_CHOOSE(rows, out->columns, tile_panel, panel, out);
}
#endif
