/* How the direct convolutions, forward and each phase of the gradient of the input, share a grid among
 * threads.  1x1 convolutions without stride are handed to conv2d_flat.h, few channels to conv2d_narrow.h, all
 * others to conv2d_taps.h. */
#ifndef NETC_KERNELS_CONV2D_GRID_H
#define NETC_KERNELS_CONV2D_GRID_H
#include "conv2d_flat.h"
#include "conv2d_narrow.h"
#include "conv2d_taps.h"
#include "work.h"
#include <string.h>

static size_t conv_grid_scratch_floats(const ConvGrid *c) {
  if (conv_takes_narrow(c))
    return conv_narrow_scratch_floats(c);
  return (size_t)(c->depth + 15) / 16 * 16; /* a pixel of zeros, for what lies outside the image */
}

/* zero: a pixel of zeros. */
static void conv_grid_task(const ConvTiles *t, const ConvTask *task, const float *zero) {
  if (conv_grid_flat(t->grid))
    conv_flat_task(t, task, false);
  else
    conv_taps_task(t, task, zero);
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
  if (conv_takes_narrow(c)) {
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
      conv_narrow_task(&of_image, i0, i1, work_scratch(work));
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

static inline size_t conv_packed_channels(int channels) {
  return (size_t)conv_ceil(channels, TILE_BLOCK) * TILE_BLOCK;
}

/* Floats of the packed weights of a group. */
static inline size_t conv_grid_packed_floats(const ConvGrid *c) {
  return conv_packed_channels(c->channels) * (size_t)(c->taps_h * c->taps_w) * (size_t)c->depth;
}

/* A grid of each of `groups` groups of channels, side by side in x and in y; their weights one after the
 * other. */
static void conv_grid_each(const ConvGrid *c, int groups, int n, const float *x, const float *packed,
                           const Epilogue *e, float *y, const Work *work) {
  for (int group = 0; group < groups; group++) {
    Epilogue own;
    if (e)
      own = epilogue_from(e, 0, group * c->channels);
    conv_grid_run(c, n, x + group * c->depth, packed + (size_t)group * conv_grid_packed_floats(c),
                  e ? &own : NULL, y + group * c->channels, work);
  }
}

/* The same; of several groups each thread takes whole images, which then stay in its cache from group to
 * group. */
static void conv_grid_groups(const ConvGrid *c, int groups, int n, const float *x, const float *packed,
                             const Epilogue *e, float *y, const Work *work) {
  if (groups == 1 || n < work->threads) {
    conv_grid_each(c, groups, n, x, packed, e, y, work);
    return;
  }
  WORK_TASKS(work, turn, n) {
    Work own = {.threads = 1, .scratch = work_scratch(work), .scratch_floats = work->scratch_floats};
    ptrdiff_t y_image = (ptrdiff_t)turn.task * c->out_h * c->out_w * c->out_ld;
    Epilogue its;
    if (e)
      its = epilogue_from(e, y_image, 0);
    conv_grid_each(c, groups, 1, x + (ptrdiff_t)turn.task * c->in_h * c->in_w * c->in_ld, packed,
                   e ? &its : NULL, y + y_image, &own);
  }
}
#endif
