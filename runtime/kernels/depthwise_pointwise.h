/* A depthwise convolution and the 1x1 convolution that reads it, together, and before them, where there is
 * one, the 1x1 convolution that only the depthwise one reads (the expansion of MobileNetV2's blocks): the
 * values in between stay in the second level cache, a band of rows at a time, and never reach memory.
 *
 * Sums are those of depthwise.h and conv2d_direct.h, to the bit. */
#ifndef NETC_KERNELS_DEPTHWISE_POINTWISE_H
#define NETC_KERNELS_DEPTHWISE_POINTWISE_H
#include "conv2d_direct.h"
#include "depthwise.h"

/* Of the second-level cache that a band may fill beside the 1x1 weights: 256 KiB. */
#define DEPTHWISE_BAND_FLOATS 65536
/* An image whose expansion has at least so many floats is expanded band by band.  Smaller ones are better off
 * with the tiles of many images side by side. */
#define DEPTHWISE_EXPANSION_FLOATS 65536
/* Pixels of all images that are more than a core's own cache holds. */
#define DEPTHWISE_FAR_FLOATS 524288

/* The 1x1 convolution before the depthwise one; packed: conv2d_fwd_direct_pack of its weights; e: no
 * residual. */
typedef struct Expansion {
  const Conv2d *conv;
  const float *packed;
  const Epilogue *e;
} Expansion;

static inline bool depthwise_is_pointwise(const Conv2d *g) {
  return g->kernel_h == 1 && g->kernel_w == 1 && g->stride_h == 1 && g->stride_w == 1 && !g->pad_top &&
         !g->pad_left && g->groups == 1 && g->in_h == g->out_h && g->in_w == g->out_w;
}

/* Whether `pointwise` is a 1x1 convolution of the depthwise convolution's pixels as they lie. */
static inline bool depthwise_pointwise_fits(const Conv2d *depthwise, const Conv2d *pointwise) {
  return depthwise_is_pointwise(pointwise) && pointwise->in_h == depthwise->out_h &&
         pointwise->in_w == depthwise->out_w && pointwise->in_c == depthwise->out_c;
}

/* Whether `expand` makes the depthwise convolution's pixels as they lie, and so many that it pays. */
static inline bool depthwise_expansion_fits(const Conv2d *expand, const Conv2d *depthwise) {
  return depthwise_is_pointwise(expand) && expand->out_h == depthwise->in_h &&
         expand->out_w == depthwise->in_w && expand->out_c == depthwise->in_c &&
         depthwise->out_c == depthwise->in_c &&
         (int64_t)depthwise->in_h * depthwise->in_w * depthwise->in_c >= DEPTHWISE_EXPANSION_FLOATS;
}

/* Floats from one pixel of a band to the next: an odd number of cache lines, so that the pixels of a tile do
 * not share a set of the first-level cache. */
static inline int depthwise_band_ld(const Conv2d *depthwise) {
  int lines = conv_ceil(depthwise->out_c, 16);
  return (lines % 2 ? lines : lines + 1) * 16;
}

/* The most output rows of a band. */
static inline int depthwise_band_rows(const Conv2d *depthwise, bool expands) {
  int64_t row = (int64_t)depthwise_band_ld(depthwise) * depthwise->out_w;
  if (expands)
    row += (int64_t)depthwise->stride_h * depthwise->in_w * depthwise->in_c;
  int64_t rows = DEPTHWISE_BAND_FLOATS / row;
  return rows < 1 ? 1 : rows > depthwise->out_h && expands ? depthwise->out_h : (int)rows;
}

static inline size_t depthwise_band_floats(const Conv2d *depthwise, bool expands) {
  return (size_t)depthwise_band_rows(depthwise, expands) * (size_t)depthwise->out_w *
         (size_t)depthwise_band_ld(depthwise);
}

/* Per thread. */
static inline size_t depthwise_pointwise_fwd_scratch_floats(const Conv2d *depthwise, bool expands) {
  size_t band = depthwise_band_floats(depthwise, expands);
  if (!expands)
    return band + (depthwise_conv2d_fwd_scratch_floats(depthwise) + 15) / 16 * 16;
  size_t rows = (size_t)depthwise_input_rows(depthwise, depthwise_band_rows(depthwise, true));
  return band + (rows * (size_t)depthwise->in_w * (size_t)depthwise->in_c + 15) / 16 * 16;
}

/* The 1x1 convolution of the task's pixels as they lie; near: x was made just before. */
static void depthwise_flat(const Conv2d *g, int in_ld, int out_ld, const ConvTask *task, bool near,
                           const float *x, const float *packed, const Epilogue *e, float *y) {
  ConvGrid grid = {.in_ld = in_ld,
                   .depth = g->in_c,
                   .step_h = 1,
                   .step_w = 1,
                   .taps_h = 1,
                   .taps_w = 1,
                   .out_ld = out_ld,
                   .channels = g->out_c,
                   .out_step_h = 1,
                   .out_step_w = 1};
  const ConvTiles tiles = {.grid = &grid, .x = x, .packed = packed, .end = epilogue_end(e), .y = y};
  conv_flat_task(&tiles, task, near);
}

/* Output rows [begin, end) of the n * out_h; `middle` takes what the depthwise convolution makes.  Of `task`
 * the channels of the 1x1 convolution are looked at, and what is asked for meanwhile.  near: x was made just
 * before; otherwise the products of the band before have left little of it in the thread's own cache, and
 * rows are asked for. */
static void depthwise_pointwise_band(const Conv2d *depthwise, const Conv2d *pointwise, int64_t begin,
                                     int64_t end, const ConvTask *task, bool near, const float *x,
                                     const float *w, const Epilogue *between, const float *packed,
                                     const Epilogue *e, float *middle, float *spread, float *y) {
  Conv2d band = *depthwise;
  band.out_ld = depthwise_band_ld(depthwise);
  ptrdiff_t row_floats = (ptrdiff_t)band.out_w * band.out_ld;
  for (int64_t row = begin, rows; row < end; row += rows) {
    rows = depthwise_rows_at_once(&band, row, end);
    depthwise_fwd_rows(&band, row, (int)rows, x, near ? NULL : depthwise_next_row(&band, row, (int)rows, x),
                       w, between, spread, middle + (ptrdiff_t)(row - begin) * row_floats);
  }
  ptrdiff_t at = (ptrdiff_t)begin * pointwise->out_w * pointwise->out_ld;
  Epilogue moved = *e;
  if (moved.residual)
    moved.residual += at;
  ConvTask own = *task;
  own.begin = 0;
  own.end = (end - begin) * pointwise->out_w;
  depthwise_flat(pointwise, band.out_ld, pointwise->out_ld, &own, true, middle, packed, &moved, y + at);
}

/* Output rows [begin, end) of one image: bands one after the other, each with the expanded rows that the one
 * before has made already. */
static void depthwise_expanded_rows(const Conv2d *depthwise, const Conv2d *pointwise,
                                    const Expansion *expansion, int begin, int end, const float *image,
                                    const float *w, const Epilogue *between, const float *packed,
                                    const Epilogue *e, float *scratch, float *y) {
  const Conv2d *expand = expansion->conv;
  int size = depthwise_band_rows(depthwise, true);
  DepthwiseStrip wide = {.rows = scratch + depthwise_band_floats(depthwise, true)};
  for (int p = begin; p < end; p += size) {
    int rows = end - p < size ? end - p : size, missing;
    Conv2d part;
    float *to = depthwise_strip_move(depthwise, p, rows, &wide, &missing, &part);
    depthwise_flat(expand, expand->in_ld, expand->out_c,
                   &(ConvTask){.end = (int64_t)(wide.to - missing) * expand->in_w, .k1 = expand->out_c},
                   false, image + (ptrdiff_t)missing * expand->in_w * expand->in_ld, expansion->packed,
                   expansion->e, to);
    ptrdiff_t at = (ptrdiff_t)p * pointwise->out_w * pointwise->out_ld;
    Epilogue moved = *e;
    if (moved.residual)
      moved.residual += at;
    depthwise_pointwise_band(&part, pointwise, 0, rows, &(ConvTask){.k1 = pointwise->out_c}, true, wide.rows,
                             w, between, packed, &moved, scratch, NULL, y + at);
  }
}

static void depthwise_expanded(const Conv2d *depthwise, const Conv2d *pointwise, int n, const float *x,
                               const Expansion *expansion, const float *w, const Epilogue *between,
                               const float *packed, const Epilogue *e, float *y, const Work *work) {
  /* Whole images, or parts of them where images are few: no more than there are threads, for a part makes the
   * rows at its edges for itself. */
  int parts = 1, most = conv_ceil(depthwise->out_h, depthwise->kernel_h);
  while (work->threads > 1 && (int64_t)n * parts < work->threads && 2 * parts <= most)
    parts *= 2;
  ptrdiff_t x_image = (ptrdiff_t)expansion->conv->in_h * expansion->conv->in_w * expansion->conv->in_ld;
  ptrdiff_t y_image = (ptrdiff_t)pointwise->out_h * pointwise->out_w * pointwise->out_ld;
  WORK_TASKS(work, turn, (int64_t)n * parts) {
    ptrdiff_t image = (ptrdiff_t)(turn.task / parts);
    int part = (int)(turn.task % parts);
    Epilogue moved = *e;
    if (moved.residual)
      moved.residual += image * y_image;
    depthwise_expanded_rows(depthwise, pointwise, expansion, depthwise->out_h * part / parts,
                            depthwise->out_h * (part + 1) / parts, x + image * x_image, w, between, packed,
                            &moved, work_scratch(work), y + image * y_image);
  }
}

/* How threads share the work: bands of so many rows, and so many parts of the output channels, each with
 * depthwise sums of its own. */
typedef struct DepthwiseSplit {
  int64_t size;
  int parts;
} DepthwiseSplit;

/* Bands as large as the cache takes; where there are few, those sizes and parts that keep all threads busy to
 * the end: what the longest takes, in multiply-adds, is the least. */
static DepthwiseSplit depthwise_split(const Conv2d *depthwise, const Conv2d *pointwise, int64_t rows,
                                      int threads) {
  enum { WEIGHT = 30, TAP = 4, MANY = 4 }; /* a weight's way into the cache, a product outside the tile */
  int64_t most = depthwise_band_rows(depthwise, false), bands = (rows + most - 1) / most;
  DepthwiseSplit split = {most, 1};
  if (threads == 1 || bands >= (int64_t)MANY * threads)
    return split;
  int column_tiles = conv_ceil(pointwise->out_c, TILE_COLUMNS);
  double least = INFINITY, taps = depthwise->kernel_h * depthwise->kernel_w * TAP;
  for (; bands <= rows && bands <= (int64_t)MANY * threads; bands++)
    for (int parts = 1; parts <= column_tiles && parts <= threads; parts++) {
      int64_t size = (rows + bands - 1) / bands, rounds = (bands * parts + threads - 1) / threads;
      double columns = conv_ceil(column_tiles, parts) * TILE_COLUMNS;
      double tiles = conv_ceil((int)(size * pointwise->out_w), TILE_ROWS);
      double cost =
          (double)rounds * (columns * (tiles * TILE_ROWS + WEIGHT) + (double)size * pointwise->out_w * taps);
      if (cost < least) {
        least = cost;
        split = (DepthwiseSplit){size, parts};
      }
    }
  return split;
}

/* What `size` output rows from row `begin` of the n * out_h on see of x and no row before has seen: the
 * products of the band before take long enough to bring it from memory, and the sums would wait for it. */
static void depthwise_next_band(const Conv2d *g, int n, int64_t begin, int64_t size, const float *x,
                                ConvTask *task) {
  int64_t rows = (int64_t)n * g->in_h, first = begin / g->out_h * g->in_h;
  if (begin % g->out_h)
    first += begin % g->out_h * g->stride_h - g->pad_top + (int64_t)(g->kernel_h - 1) * g->dilation_h + 1 -
             g->stride_h;
  int64_t line = (int64_t)g->in_w * g->in_ld, count = size * g->stride_h;
  count = count < rows - first ? count : rows - first;
  if (rows * line < DEPTHWISE_FAR_FLOATS || first < 0 || count <= 0 || count * line > INT_MAX)
    return;
  task->soon = x + first * line;
  task->soon_floats = (int)(count * line);
}

/* y [n, out_h, out_w, pointwise->out_c] = act(conv1x1(act(depthwise(x, w) + bias)) + bias + residual), x
 * being act(conv1x1(x) + bias) first where `expansion` is not NULL. between: what follows the depthwise sums
 * (no residual); packed: conv2d_fwd_direct_pack of the last weights. y must not be x; it may be e->residual.
 */
static void depthwise_pointwise_fwd(const Conv2d *depthwise, const Conv2d *pointwise, int n, const float *x,
                                    const Expansion *expansion, const float *w, const Epilogue *between,
                                    const float *packed, const Epilogue *e, float *y, const Work *work) {
  if (expansion) {
    depthwise_expanded(depthwise, pointwise, n, x, expansion, w, between, packed, e, y, work);
    return;
  }
  int64_t rows = (int64_t)n * depthwise->out_h;
  DepthwiseSplit split = depthwise_split(depthwise, pointwise, rows, work->threads);
  int64_t size = split.size, bands = (rows + size - 1) / size;
  int column_tiles = conv_ceil(pointwise->out_c, TILE_COLUMNS), parts = split.parts;
  WORK_TASKS(work, turn, bands * parts) {
    int64_t begin = turn.task / parts * size, end = begin + size < rows ? begin + size : rows;
    int part = (int)(turn.task % parts), k1 = column_tiles * (part + 1) / parts * TILE_COLUMNS;
    ConvTask task = {.k0 = column_tiles * part / parts * TILE_COLUMNS,
                     .k1 = k1 < pointwise->out_c ? k1 : pointwise->out_c};
    if (parts == 1)
      depthwise_next_band(depthwise, n, end, size, x, &task);
    float *middle = work_scratch(work);
    depthwise_pointwise_band(depthwise, pointwise, begin, end, &task, false, x, w, between, packed, e, middle,
                             middle + depthwise_band_floats(depthwise, false), y);
  }
}
#endif
