/* The loop that the direct convolutions share: forward, and each phase of the gradient of the input.  1x1
 * convolutions without stride are handed to conv2d_flat.h. */
#ifndef NETC_KERNELS_CONV2D_GRID_H
#define NETC_KERNELS_CONV2D_GRID_H
#include "conv2d_flat.h"
#include "conv2d_task.h"
#include "work.h"
#include <string.h>

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

/* The products of `taps` taps from first_tap on, for channels [k, k_end), k a multiple of TILE_COLUMNS. */
static void conv_grid_tile(const ConvTiles *t, int pixels, int first_tap, int taps, const float *const *a,
                           const ptrdiff_t *at, TileFetch *fetch, int k, int k_end) {
  int depth = t->grid->depth, all_taps = t->grid->taps_h * t->grid->taps_w;
  ptrdiff_t block = (ptrdiff_t)all_taps * depth * TILE_BLOCK;
  const ConvPixels now = {.a = a,
                          .at = at,
                          .pixels = pixels,
                          .taps = taps,
                          .depth = depth,
                          .first = first_tap == 0,
                          .last = first_tap + taps == all_taps,
                          .asks = first_tap == 0 && all_taps * depth > CONV_SHORT_SUM};
  const float *b = t->packed + k / TILE_BLOCK * block + (ptrdiff_t)first_tap * depth * TILE_BLOCK;
  conv_tile_sums(t, &now, k, k_end, b, block, fetch);
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
