/* The loop of direct convolutions of any geometry.  Pixels at the edges of an image see only some of the
 * kernel's taps; those that see the same ones share tiles, and what lies outside the image is not multiplied:
 * a fifth of the products of a 3x3 kernel on 6x6 pixels. */
#ifndef NETC_KERNELS_CONV2D_TAPS_H
#define NETC_KERNELS_CONV2D_TAPS_H
#include "conv2d_task.h"

/* Taps [u0, u1) x [v0, v1) of a kernel. */
typedef struct ConvReach {
  int u0, u1, v0, v1;
} ConvReach;

/* Pixels that are sorted together. */
#define CONV_SORTED (TILE_ROWS * 16)

/* The pixels to compute, in their order. */
typedef struct ConvPlaces {
  int count;
  uintptr_t
      x[CONV_SORTED]; /* the address that tap (0, 0) reads: it may lie outside the image, no pointer may */
  ptrdiff_t at[CONV_SORTED];    /* where it is stored, floats from y */
  uint64_t misses[CONV_SORTED]; /* the taps that lie outside: conv_axis_misses of rows, then of columns */
} ConvPlaces;

/* The address so many floats on. */
static inline uintptr_t conv_address(uintptr_t from, ptrdiff_t floats) {
  return from + (uintptr_t)floats * sizeof(float);
}

static inline void conv_places_add(ConvPlaces *p, uintptr_t x, ptrdiff_t at, uint64_t misses) {
  p->x[p->count] = x;
  p->at[p->count] = at;
  p->misses[p->count++] = misses;
}

/* Of `taps` taps, `step` apart from `first` on, how many lie before and how many behind [0, size): 16 bits
 * each. */
static inline uint64_t conv_axis_misses(int first, int step, int taps, int size) {
  if (first >= 0 && first + (taps - 1) * step < size)
    return 0;
  int before = first < 0 ? conv_ceil(-first, step) : 0,
      end = first < size ? (size - 1 - first) / step + 1 : 0;
  before = before < taps ? before : taps;
  end = end < before ? before : end < taps ? end : taps;
  return (uint64_t)before << 16 | (uint64_t)(taps - end);
}

static inline ConvReach conv_tap_reach(const ConvGrid *c, uint64_t misses) {
  return (ConvReach){(int)(misses >> 48), c->taps_h - (int)(misses >> 32 & 0xffff),
                     (int)(misses >> 16 & 0xffff), c->taps_w - (int)(misses & 0xffff)};
}

static inline int conv_reach_taps(const ConvReach *reach) {
  return (reach->u1 - reach->u0) * (reach->v1 - reach->v0);
}

/* What of the misses the pixels of a task are sorted by.  Few are not sorted: more tiles would read the
 * weights more often, which may come from memory.  Pixels one below the other are not put into a tile where
 * they would push each other out of the first-level cache. */
static inline uint64_t conv_sorted_by(const ConvGrid *c, const ConvTask *task) {
  enum { FEW = 4 * TILE_ROWS };
  if (task->end - task->begin < FEW)
    return 0;
  return conv_rows_share_sets((int64_t)c->in_w * c->in_ld) ? UINT64_MAX << 32 : UINT64_MAX;
}

/* Grid points [begin, end), at most CONV_SORTED: those that see all taps as they lie, then the others, alike
 * in what `by` shows of their misses next to each other. */
static void conv_places_find(const ConvTiles *t, int64_t begin, int64_t end, uint64_t by,
                             ConvPlaces *places) {
  const ConvGrid *c = t->grid;
  ConvPlaces edge;
  edge.count = places->count = 0;
  for (int64_t point = begin; point < end;) {
    int64_t row = point / c->columns;
    int j = (int)(point - row * c->columns), i = (int)(row % c->rows);
    ptrdiff_t image = (ptrdiff_t)(row / c->rows);
    int h = i * c->step_h + c->tap_h, w = j * c->step_w + c->tap_w;
    int64_t row_end = (row + 1) * c->columns < end ? (row + 1) * c->columns : end;
    uint64_t above = conv_axis_misses(h, c->tap_step_h, c->taps_h, c->in_h) << 32;
    uintptr_t x = conv_address((uintptr_t)t->x, ((image * c->in_h + h) * c->in_w + w) * c->in_ld);
    ptrdiff_t at =
        ((image * c->out_h + i * c->out_step_h + c->out_h0) * c->out_w + j * c->out_step_w + c->out_w0) *
        c->out_ld;
    for (; point < row_end; point++, w += c->step_w) {
      uint64_t misses = above | conv_axis_misses(w, c->tap_step_w, c->taps_w, c->in_w);
      conv_places_add(misses & by ? &edge : places, x, at, misses);
      x = conv_address(x, (ptrdiff_t)c->step_w * c->in_ld);
      at += (ptrdiff_t)c->out_step_w * c->out_ld;
    }
  }
  for (uint64_t now = 0, next; places->count < end - begin; now = next) {
    next = UINT64_MAX;
    for (int p = 0; p < edge.count; p++) {
      uint64_t misses = edge.misses[p] & by;
      if (misses == now)
        conv_places_add(places, edge.x[p], edge.at[p], edge.misses[p]);
      else if (misses > now && misses < next)
        next = misses;
    }
  }
}

/* The taps that any of the pixels [p, p + count) sees. */
static inline ConvReach conv_common_reach(const ConvGrid *c, const ConvPlaces *places, int p, int count) {
  const uint64_t *misses = places->misses + p;
  ConvReach all = conv_tap_reach(c, misses[0]);
  for (int r = 1; r < count; r++) {
    if (misses[r] == misses[r - 1])
      continue;
    ConvReach one = conv_tap_reach(c, misses[r]);
    if (!conv_reach_taps(&all))
      all = one;
    else if (conv_reach_taps(&one))
      all = (ConvReach){one.u0 < all.u0 ? one.u0 : all.u0, one.u1 > all.u1 ? one.u1 : all.u1,
                        one.v0 < all.v0 ? one.v0 : all.v0, one.v1 > all.v1 ? one.v1 : all.v1};
  }
  return all;
}

/* A tile of pixels [begin, begin + count), and the taps that any of them sees. */
typedef struct ConvPlacesTile {
  int begin, count;
  ConvReach reach;
} ConvPlacesTile;

/* The tile from p on: as many pixels as it takes, or only those that are alike, whichever costs a pixel
 * less. */
static inline ConvPlacesTile conv_places_next(const ConvGrid *c, const ConvPlaces *places, int p,
                                              uint64_t by) {
  const uint64_t *misses = places->misses + p;
  int left = places->count - p, most = left < TILE_ROWS ? left : TILE_ROWS, alike = 1;
  ConvReach all = conv_common_reach(c, places, p, most);
  if (((misses[most - 1] ^ misses[0]) & by) == 0)
    return (ConvPlacesTile){p, most, all};
  while (((misses[alike] ^ misses[0]) & by) == 0)
    alike++;
  ConvReach own = conv_common_reach(c, places, p, alike);
  return conv_reach_taps(&own) * (tile_height(alike, TILE_COLUMNS) + 1) * most <
                 conv_reach_taps(&all) * (tile_height(most, TILE_COLUMNS) + 1) * alike
             ? (ConvPlacesTile){p, alike, own}
             : (ConvPlacesTile){p, most, all};
}

/* Where taps `part` of the tile's pixels are read: a[taps][TILE_ROWS]. */
static void conv_tap_pointers(const ConvGrid *c, const uintptr_t *x, const uint64_t *misses, int count,
                              const ConvReach *part, const float *zero, const float **a) {
  ptrdiff_t row = (ptrdiff_t)c->tap_step_h * c->in_w * c->in_ld, column = (ptrdiff_t)c->tap_step_w * c->in_ld;
  const float **to = a;
  for (int u = part->u0; u < part->u1; u++)
    for (int v = part->v0; v < part->v1; v++, to += TILE_ROWS)
      for (int r = 0; r < TILE_ROWS; r++)
        to[r] = (const float *)conv_address(x[r], u * row + v * column);
  for (int r = 0; r < TILE_ROWS; r++) {
    ConvReach reach = conv_tap_reach(c, misses[r < count ? r : 0]);
    if (reach.u0 <= part->u0 && reach.u1 >= part->u1 && reach.v0 <= part->v0 && reach.v1 >= part->v1)
      continue;
    to = a + r;
    for (int u = part->u0; u < part->u1; u++)
      for (int v = part->v0; v < part->v1; v++, to += TILE_ROWS)
        if (u < reach.u0 || u >= reach.u1 || v < reach.v0 || v >= reach.v1)
          *to = zero;
  }
}

/* Channels [k, k_end) of a tile. */
static void conv_places_tile(const ConvTiles *t, const ConvPlaces *places, const ConvPlacesTile *tile,
                             const float *zero, TileFetch *fetch, int k, int k_end) {
  const ConvGrid *c = t->grid;
  const float *a[TILE_TAPS * TILE_ROWS];
  int p = tile->begin, count = tile->count;
  uintptr_t x[TILE_ROWS];
  ptrdiff_t at[TILE_ROWS];
  for (int r = 0; r < TILE_ROWS; r++) {
    x[r] = places->x[r < count ? p + r : p];
    at[r] = places->at[r < count ? p + r : p];
  }
  const ConvReach all = tile->reach;
  /* Taps of a call lie side by side among the weights: whole kernel rows, or a part of one. */
  bool whole = all.v1 - all.v0 == c->taps_w && c->taps_w > 0 && c->taps_w <= TILE_TAPS;
  int rows = whole ? TILE_TAPS / c->taps_w : 1;
  ConvReach part = {.u0 = all.u0, .v0 = all.v0};
  ConvPixels now = {
      .a = a, .at = at, .pixels = count, .depth = c->depth, .first = true, .asks = conv_asks(c)};
  do { /* once even where no tap reaches the image */
    part.u1 = part.u0 + rows < all.u1 ? part.u0 + rows : all.u1;
    part.v1 = part.v0 + TILE_TAPS > all.v1 ? all.v1 : part.v0 + TILE_TAPS;
    now.taps = conv_reach_taps(&part);
    now.last = part.u1 == all.u1 && part.v1 == all.v1;
    conv_tap_pointers(c, x, places->misses + p, count, &part, zero, a);
    conv_taps_sums(t, &now, part.u0 * c->taps_w + part.v0, k, k_end, fetch);
    now.first = now.asks = false;
    part.v0 = part.v1;
    if (part.v0 == all.v1) {
      part.v0 = all.v0;
      part.u0 = part.u1;
    }
  } while (!now.last);
}

/* zero: a pixel of zeros. */
static void conv_taps_task(const ConvTiles *t, const ConvTask *task, const float *zero) {
  const ConvGrid *c = t->grid;
  ConvPlaces places;
  uint64_t by = conv_sorted_by(c, task);
  int group = conv_channel_group(c, task), lines = c->taps_h * c->taps_w * c->depth;
  for (int k = task->k0; k < task->k1; k += group) {
    int k_end = k + group < task->k1 ? k + group : task->k1;
    TileFetch ahead = conv_ahead(c, task, k_end, lines * conv_ceil(k_end - k, TILE_COLUMNS), t->packed);
    for (int64_t begin = task->begin, end; begin < task->end; begin = end) {
      end = begin + CONV_SORTED < task->end ? begin + CONV_SORTED : task->end;
      conv_places_find(t, begin, end, by, &places);
      for (int p = 0; p < places.count;) {
        ConvPlacesTile tile = conv_places_next(c, &places, p, by);
        conv_places_tile(t, &places, &tile, zero, &ahead, k, k_end);
        p += tile.count;
      }
    }
  }
}
#endif
