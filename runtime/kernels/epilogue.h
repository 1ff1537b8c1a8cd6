/* How a convolution or dense layer ends: what its tiles do as they store their sums, and what is left to do
 * to a tile once it is stored. */
#ifndef NETC_KERNELS_EPILOGUE_H
#define NETC_KERNELS_EPILOGUE_H
#include "act.h"
#include "conv2d.h"
#include "tile.h"

/* Applies an activation that is no clamp, in place, to `columns` floats of each of `rows` rows of a stored
 * tile. */
static void epilogue_activate(const Act *act, float *y, const ptrdiff_t *at, int rows, int columns) {
  for (int r = 0; r < rows; r++)
    act_run(act, columns, y + at[r], y + at[r]);
}

/* How every tile of a convolution ends. */
typedef struct EpilogueEnd {
  const Epilogue *e; /* or NULL */
  float low, high;   /* sums are clamped to this range as they are stored */
  bool rest;         /* epilogue_rest follows */
} EpilogueEnd;

static inline EpilogueEnd epilogue_end(const Epilogue *e) {
  EpilogueEnd end = {.e = e, .low = -INFINITY, .high = INFINITY, .rest = e && e->mask};
  if (e && !e->mask)
    end.rest = !act_is_clamp(&e->act, &end.low, &end.high);
  return end;
}

/* Asks for what epilogue_rest will read, before the sums of a tile are begun. */
static inline void epilogue_ask(const EpilogueEnd *end, int column, const ptrdiff_t *at, int rows,
                                int columns) {
  if (!end->e || !end->e->mask)
    return;
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < columns; c += TILE_BLOCK)
      VEC_FETCH(end->e->mask + at[r] + column + c);
}

/* To a stored tile, whose first column is number `column` of y: the activation that is no clamp, or the mask.
 * (Masks in the tile itself, before it is stored, slow down those without: 2 to 8 % measured.) */
static void epilogue_rest(const Epilogue *e, float *y, int column, const ptrdiff_t *at, int rows,
                          int columns) {
  float low, high;
  act_is_clamp(&e->act, &low, &high);
  if (!e->mask) {
    epilogue_activate(&e->act, y + column, at, rows, columns);
    return;
  }
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < columns; c += VEC_WIDTH) {
      ptrdiff_t i = at[r] + column + c;
      Vec mask = vec_loaded(vec_load_upto(e->mask + i, columns - c)),
          sum = vec_loaded(vec_load_upto(y + i, columns - c));
      sum = vec_select_gt(vec_set(high), mask, sum, vec_zero());
      vec_store_upto(y + i, vec_select_gt(mask, vec_set(low), sum, vec_zero()), columns - c);
    }
}

/* The epilogue of what begins `floats` floats further on in y, at a pixel's channel number `channel`. */
static inline Epilogue epilogue_from(const Epilogue *e, ptrdiff_t floats, int channel) {
  Epilogue from = *e;
  from.bias = e->bias ? e->bias + channel : NULL;
  from.residual = e->residual ? e->residual + floats + channel : NULL;
  from.mask = e->mask ? e->mask + floats + channel : NULL;
  return from;
}
#endif
