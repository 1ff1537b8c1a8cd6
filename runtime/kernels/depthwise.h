/* Depthwise convolution: out_c = in_c * m, output channel c * m + j = sum over the window of x channel c
 * times w[r][s][c][j].  Conv2d.groups is not looked at.  w is Keras's (R, S, C, M); x, y and gradients NHWC.
 */
#ifndef NETC_KERNELS_DEPTHWISE_H
#define NETC_KERNELS_DEPTHWISE_H
#include "channel_map.h"
#include "depthwise_run.h"
#include "work.h"
#include <string.h>

/* Gradients of weights are summed in this many parts of the output rows, whatever the number of threads. */
enum { DEPTHWISE_PARTS = 8 };
enum { DEPTHWISE_NEAR_FLOATS = 131072 }; /* 512 KiB */

static inline size_t depthwise_weights(const Conv2d *g) {
  return (size_t)g->kernel_h * (size_t)g->kernel_w * (size_t)g->out_c;
}
static inline size_t depthwise_conv2d_fwd_scratch_floats(const Conv2d *g) {
  return (size_t)g->in_w * (size_t)g->out_c * (size_t)g->kernel_h * (g->out_c > g->in_c);
}
static inline size_t depthwise_conv2d_bwd_x_scratch_floats(const Conv2d *g) {
  (void)g;
  return 0;
}
static inline size_t depthwise_conv2d_bwd_w_scratch_floats(const Conv2d *g) {
  size_t parts = DEPTHWISE_PARTS * ((depthwise_weights(g) + 15) / 16 * 16);
  return parts + (size_t)g->in_w * (size_t)g->out_c * (size_t)g->kernel_h * (g->out_c > g->in_c);
}

/* A depth multiplier is worked off by repeating the rows of x that one output row reads, once per output
 * channel: `to` [rows][in_w][out_c]. */
static void depthwise_spread(const Conv2d *g, const float *image, int top, int rows, float *to) {
  int multiplier = g->out_c / g->in_c;
  for (int r = 0; r < rows; r++)
    for (int j = 0; j < g->in_w; j++) {
      const float *from = image + ((int64_t)(top + r * g->dilation_h) * g->in_w + j) * g->in_ld;
      for (int k = 0; k < g->out_c; k++)
        *to++ = from[k / multiplier];
    }
}

/* Whether x of n images is more than a core's own cache keeps from one kernel to the next. */
static inline bool depthwise_is_far(const Conv2d *g, int64_t n) {
  return n * g->in_h * g->in_w * g->in_ld >= DEPTHWISE_NEAR_FLOATS;
}

/* Input rows under `rows` output rows. */
static inline int depthwise_input_rows(const Conv2d *g, int rows) {
  return (rows - 1) * g->stride_h + (g->kernel_h - 1) * g->dilation_h + 1;
}

/* Whether y, or dx, of so many pixels is streamed where it is read late. */
static inline bool depthwise_streams(const float *y, int ld, int64_t pixels) {
  return VEC_WIDTH == 16 && pixels * ld >= VEC_FAR_FLOATS && vec_streams(y, ld);
}

/* The first row of x that output rows row, row + 1, ... `rows` do not see and the next does; there may be
 * none, for it is only asked for. */
static inline const float *depthwise_next_row(const Conv2d *g, int64_t row, int rows, const float *x) {
  int64_t h = row / g->out_h * g->in_h + row % g->out_h * g->stride_h - g->pad_top;
  return x + (h + depthwise_input_rows(g, rows)) * g->in_w * g->in_ld;
}

/* ---- x that is read through a ChannelMap: mapped a strip of rows at a time, in the second-level cache ----
 */

enum { DEPTHWISE_MAPPED_FLOATS = 49152 }; /* of a strip, about: 192 KiB */

/* No multiplier. */
static inline bool depthwise_conv2d_maps(const Conv2d *g) {
  return g->out_c == g->in_c;
}

/* Output rows of a strip. */
static inline int depthwise_mapped_rows(const Conv2d *g) {
  int64_t most = DEPTHWISE_MAPPED_FLOATS / ((int64_t)g->in_w * g->in_c);
  int64_t rows = (most - depthwise_input_rows(g, 1)) / g->stride_h + 1;
  return rows < 2 ? 2 : rows > g->out_h ? g->out_h : (int)rows;
}

static inline size_t depthwise_mapped_floats(const Conv2d *g) {
  return ((size_t)depthwise_input_rows(g, depthwise_mapped_rows(g)) * (size_t)g->in_w * (size_t)g->in_c +
          15) /
         16 * 16;
}

/* Rows [from, to) of an image, dense, made of it by a map or a convolution: a strip that moves down. */
typedef struct DepthwiseStrip {
  float *rows;
  int from, to;
} DepthwiseStrip;

/* Moves the strip down to the rows that output rows [begin, begin + rows) see; it is empty, or was moved to
 * what rows above in the same image see.  Rows [*missing, strip->to) are to be made, where the result points;
 * `part` is the convolution of the strip as an image of its own. */
static float *depthwise_strip_move(const Conv2d *g, int begin, int rows, DepthwiseStrip *strip, int *missing,
                                   Conv2d *part) {
  ptrdiff_t line = (ptrdiff_t)g->in_w * g->in_c;
  int top = begin * g->stride_h - g->pad_top, to = top + depthwise_input_rows(g, rows);
  to = to < 0 ? 0 : to < g->in_h ? to : g->in_h;
  int from = top < 0 ? 0 : top < to ? top : to, known = strip->to > from ? strip->to : from;
  if (known > from)
    memmove(strip->rows, strip->rows + (from - strip->from) * line,
            (size_t)((known - from) * line) * sizeof *strip->rows);
  strip->from = from;
  strip->to = to;
  *missing = known;
  *part = *g;
  part->in_h = to - from;
  part->in_ld = g->in_c;
  part->pad_top = from - top;
  part->out_h = rows;
  return strip->rows + (known - from) * line;
}

/* The same, with the rows mapped.  Returns the convolution of the strip. */
static Conv2d depthwise_mapped_take(const Conv2d *g, const ChannelMap *map, const float *image, int begin,
                                    int rows, DepthwiseStrip *strip) {
  int missing;
  Conv2d part;
  float *to = depthwise_strip_move(g, begin, rows, strip, &missing, &part);
  channel_map_pixels(map, (int64_t)(strip->to - missing) * g->in_w, g->in_c,
                     image + (ptrdiff_t)missing * g->in_w * g->in_ld, g->in_ld, to, g->in_c);
  return part;
}

/* The row of the image that is asked for while row `row` of a strip is worked on: one of the strip below. */
static inline const float *depthwise_mapped_next(const Conv2d *g, const float *image, int row,
                                                 const DepthwiseStrip *strip) {
  return g->in_ld == g->in_c ? image + (ptrdiff_t)(strip->to + row * g->stride_h) * g->in_w * g->in_ld : NULL;
}

/* Per thread. */
static inline size_t depthwise_conv2d_fwd_mapped_scratch_floats(const Conv2d *g) {
  return depthwise_mapped_floats(g);
}
static inline size_t depthwise_conv2d_bwd_w_mapped_scratch_floats(const Conv2d *g) {
  return DEPTHWISE_PARTS * ((depthwise_weights(g) + 15) / 16 * 16) + depthwise_mapped_floats(g);
}

/* Where the run of output row `row` finds x: rows of taps that lie inside, spread if there is a multiplier.
 */
static const float *depthwise_rows(const Conv2d *g, int64_t row, const float *x, float *spread,
                                   DepthwiseRun *run, int *first) {
  int top = (int)(row % g->out_h) * g->stride_h - g->pad_top, end;
  depthwise_taps(top, g->dilation_h, g->kernel_h, g->in_h, first, &end);
  run->rows = end - *first;
  const float *image = x + row / g->out_h * g->in_h * g->in_w * g->in_ld;
  ptrdiff_t pixel = g->in_ld, line = (ptrdiff_t)g->dilation_h * g->in_w * g->in_ld;
  const float *from = image + (ptrdiff_t)(top + *first * g->dilation_h) * g->in_w * g->in_ld;
  if (g->out_c > g->in_c) {
    depthwise_spread(g, image, top + *first * g->dilation_h, run->rows, spread);
    pixel = g->out_c;
    line = (ptrdiff_t)g->in_w * g->out_c;
    from = spread;
  }
  run->x_row = line;
  run->x_column = g->dilation_w * pixel;
  run->x_step = g->stride_w * pixel;
  run->w_row = (ptrdiff_t)g->kernel_w * g->out_c;
  run->w_column = g->out_c;
  run->y_step = g->out_ld;
  run->channels = g->out_c;
  run->first = 0;
  run->end = INT_MAX;
  run->two = false;
  run->y_row = (ptrdiff_t)g->out_w * g->out_ld;
  run->next = NULL;
  return from;
}

/* How many rows from `row` on, below `end`, are best made at once: 2 where both see all of 3 x 3 neighbouring
 * taps. */
static inline int depthwise_rows_at_once(const Conv2d *g, int64_t row, int64_t end) {
  int p = (int)(row % g->out_h), top = p - g->pad_top;
  bool neighbours = g->stride_h == 1 && g->stride_w == 1 && g->dilation_h == 1 && g->dilation_w == 1;
  return VEC_NATIVE && neighbours && g->kernel_h == 3 && g->kernel_w == 3 && g->out_c == g->in_c &&
                 row + 1 < end && p + 1 < g->out_h && top >= 0 && top + 1 + g->kernel_h <= g->in_h
             ? 2
             : 1;
}

/* `rows` rows, as depthwise_rows_at_once has it, from row `row` of the n * out_h output rows on, written to
 * y [rows, out_w, out_ld]; e->residual is of these rows too.  spread: depthwise_conv2d_fwd_scratch_floats.
 * next_row: of x, asked for meanwhile, or NULL.  e->late: y is streamed. */
static void depthwise_fwd_rows(const Conv2d *g, int64_t row, int rows, const float *x, const float *next_row,
                               const float *w, const Epilogue *e, float *spread, float *y) {
  DepthwiseRun run;
  DepthwiseEnd end;
  end.far = e->late;
  bool clamp = act_is_clamp(&e->act, &end.low, &end.high);
  int r, s, s_end;
  const float *from = depthwise_rows(g, row, x, spread, &run, &r);
  bool whole = g->dilation_w == 1 && g->stride_w <= 2; /* the row is one run */
  run.two = rows == 2;
  for (int q = 0, next; q < g->out_w; q = next) {
    if (whole) {
      next = g->out_w;
      s = 0;
      s_end = g->kernel_w;
      run.first = g->pad_left;
      run.end = g->pad_left + g->in_w;
    } else {
      next = depthwise_same_taps(q, g->out_w, g->stride_w, g->pad_left, g->dilation_w, g->kernel_w, g->in_w,
                                 &s, &s_end);
    }
    run.pixels = next - q;
    run.columns = s_end - s;
    const float *place = from + q * run.x_step - g->pad_left * (run.x_step / g->stride_w) + s * run.x_column;
    ptrdiff_t at = (ptrdiff_t)q * g->out_ld;
    run.next = next_row ? next_row + (place - from) : NULL;
    run.x = place;
    run.w = w + r * run.w_row + s * run.w_column;
    end.bias = e->bias;
    end.residual = e->residual ? e->residual + at : NULL;
    if (run.next || end.far)
      depthwise_sum_late(&run, &end, y + at);
    else
      depthwise_sum(&run, &end, y + at);
  }
  if (end.far)
    vec_stream_end();
  for (int q = 0; !clamp && q < rows * g->out_w; q++)
    act_run(&e->act, g->out_c, y + (ptrdiff_t)q * g->out_ld, y + (ptrdiff_t)q * g->out_ld);
}

/* y [n, out_h, out_w, out_c] = act(depthwise(x, w) + bias + residual). */
static void depthwise_conv2d_fwd(const Conv2d *g, int n, const float *x, const float *w, const Epilogue *e,
                                 float *y, const Work *work) {
  /* Rows 0, 1 and 2, 3 and 4, ...: with one row of padding all but the edges are two. */
  int pairs = g->out_h / 2 + 1;
  bool far = depthwise_is_far(g, n) && g->out_c == g->in_c,
       late = e->late && depthwise_streams(y, g->out_ld, (int64_t)n * g->out_h * g->out_w);
  WORK_PARALLEL_CALLS(work)
  for (int64_t pair = 0; pair < (int64_t)n * pairs; pair++) {
    int64_t image = pair / pairs * g->out_h, first = pair % pairs * 2 - 1;
    int64_t row = image + (first > 0 ? first : 0),
            end = image + (first + 2 < g->out_h ? first + 2 : g->out_h);
    for (int rows; row < end; row += rows) {
      ptrdiff_t at = (ptrdiff_t)row * g->out_w * g->out_ld;
      Epilogue moved = *e;
      moved.late = late;
      if (moved.residual)
        moved.residual += at;
      rows = depthwise_rows_at_once(g, row, end);
      depthwise_fwd_rows(g, row, rows, x, far ? depthwise_next_row(g, row, rows, x) : NULL, w, &moved,
                         work_scratch(work), y + at);
    }
  }
}

/* Output rows [begin, end) of one image, which x, y and e->residual are of. */
static void depthwise_fwd_mapped_rows(const Conv2d *g, int begin, int end, const float *x,
                                      const ChannelMap *map, const float *w, const Epilogue *e,
                                      float *scratch, float *y) {
  DepthwiseStrip strip = {scratch, 0, 0};
  for (int p = begin, size; p < end; p += size) {
    size = depthwise_mapped_rows(g) < end - p ? depthwise_mapped_rows(g) : end - p;
    Conv2d part = depthwise_mapped_take(g, map, x, p, size, &strip);
    for (int row = 0, rows; row < size; row += rows) {
      ptrdiff_t at = (ptrdiff_t)(p + row) * g->out_w * g->out_ld;
      Epilogue moved = *e;
      if (moved.residual)
        moved.residual += at;
      rows = depthwise_rows_at_once(&part, row, size);
      depthwise_fwd_rows(&part, row, rows, strip.rows, depthwise_mapped_next(g, x, row, &strip), w, &moved,
                         NULL, y + at);
    }
  }
}

/* depthwise_conv2d_fwd of map(x); depthwise_conv2d_maps. */
static void depthwise_conv2d_fwd_mapped(const Conv2d *g, int n, const float *x, const ChannelMap *map,
                                        const float *w, const Epilogue *e, float *y, const Work *work) {
  /* Parts of an image where images are few: each maps the rows at its edges for itself. */
  int parts = n < 2 * work->threads ? (2 * work->threads + n - 1) / (n > 0 ? n : 1) : 1,
      most = g->out_h / g->kernel_h + 1;
  parts = parts < most ? parts : most;
  ptrdiff_t x_image = (ptrdiff_t)g->in_h * g->in_w * g->in_ld,
            y_image = (ptrdiff_t)g->out_h * g->out_w * g->out_ld;
  WORK_TASKS(work, turn, (int64_t)n * parts) {
    ptrdiff_t image = (ptrdiff_t)(turn.task / parts);
    int part = (int)(turn.task % parts);
    Epilogue moved = *e;
    moved.late = e->late && depthwise_streams(y, g->out_ld, (int64_t)n * g->out_h * g->out_w);
    if (moved.residual)
      moved.residual += image * y_image;
    depthwise_fwd_mapped_rows(g, g->out_h * part / parts, g->out_h * (part + 1) / parts, x + image * x_image,
                              map, w, &moved, work_scratch(work), y + image * y_image);
  }
}

/* One axis of the gradient by x: which dy and which taps position `at` (in x) sees.  With d = at + pad, the
 * taps are those t with (d - t * dilation) divisible by the stride; along them t goes up by `tap_step` and
 * dy's place down by `step`. */
typedef struct DepthwiseBack {
  int first_tap, tap_step, taps; /* taps that exist */
  int place, step;               /* dy's place of the first, and how far it goes down with each */
} DepthwiseBack;

static DepthwiseBack depthwise_back(int at, int pad, int stride, int dilation, int kernel, int size) {
  DepthwiseBack b = {0, stride, 0, 0, dilation};
  int d = at + pad, first = 0, period = stride;
  for (int common = 2; common <= stride; common++) /* tap_step = stride / gcd(stride, dilation) */
    while (period % common == 0 && b.step % common == 0) {
      period /= common;
      b.step /= common;
    }
  b.tap_step = period;
  while (first < period && (d - first * dilation) % stride != 0)
    first++;
  if (first == period)
    return b;
  int place = (d - first * dilation) / stride, taps = first < kernel ? (kernel - 1 - first) / period + 1 : 0;
  while (taps > 0 && place >= size) {
    place -= b.step;
    first += period;
    taps--;
  }
  while (taps > 0 && place - (taps - 1) * b.step < 0)
    taps--;
  b.first_tap = first;
  b.taps = taps;
  b.place = place;
  return b;
}

/* How many of the positions at, at + stride, ... below `end` see the same taps as `at`, of which `b` tells.
 */
static int depthwise_back_run(const DepthwiseBack *b, int at, int end, int pad, int stride, int dilation,
                              int kernel, int size) {
  int most = (end - 1 - at) / stride + 1, count = 1;
  bool whole = b->first_tap < b->tap_step && b->taps == (kernel - 1 - b->first_tap) / b->tap_step + 1;
  if (whole && b->taps > 0) /* all there are, up to the last place of dy */
    return size - b->place < most ? size - b->place : most;
  for (; count < most; count++) {
    DepthwiseBack other = depthwise_back(at + count * stride, pad, stride, dilation, kernel, size);
    if (other.first_tap != b->first_tap || other.taps != b->taps)
      break;
  }
  return count;
}

/* One input pixel of a convolution with a multiplier. */
static void depthwise_back_pixel(const Conv2d *g, const DepthwiseRun *run, const float *dy, const float *w,
                                 float *dx) {
  int multiplier = g->out_c / g->in_c;
  for (int c = 0; c < g->in_c; c++) {
    float sum = 0;
    for (int r = 0; r < run->rows; r++)
      for (int s = 0; s < run->columns; s++)
        for (int j = c * multiplier; j < (c + 1) * multiplier; j++)
          sum += dy[r * run->x_row + s * run->x_column + j] * w[r * run->w_row + s * run->w_column + j];
    dx[c] = sum;
  }
}

/* dx [n, in_h, in_w, in_c] (overwritten) from dy [n, out_h, out_w, out_c]: each input pixel gathers from the
 * windows that hold it.  Pixels `stride_w` apart see the same taps. */
static void depthwise_conv2d_bwd_x(const Conv2d *g, int n, const float *dy, const float *w, float *dx,
                                   const Work *work) {
  (void)work;
  bool far = depthwise_is_far(g, n);
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < (int64_t)n * g->in_h; row++) {
    DepthwiseBack v =
        depthwise_back((int)(row % g->in_h), g->pad_top, g->stride_h, g->dilation_h, g->kernel_h, g->out_h);
    DepthwiseRun run = {.rows = v.taps,
                        .x_step = g->out_ld,
                        .y_step = (ptrdiff_t)g->stride_w * g->in_ld,
                        .channels = g->in_c,
                        .end = INT_MAX};
    DepthwiseEnd end = {NULL, NULL, -INFINITY, INFINITY,
                        depthwise_streams(dx, g->in_ld, (int64_t)n * g->in_h * g->in_w)};
    run.x_row = -(ptrdiff_t)v.step * g->out_w * g->out_ld;
    run.w_row = (ptrdiff_t)v.tap_step * g->kernel_w * g->out_c;
    for (int phase = 0; phase < g->stride_w; phase++)
      for (int j = phase, next; j < g->in_w; j = next) {
        DepthwiseBack u = depthwise_back(j, g->pad_left, g->stride_w, g->dilation_w, g->kernel_w, g->out_w);
        run.pixels = depthwise_back_run(&u, j, g->in_w, g->pad_left, g->stride_w, g->dilation_w, g->kernel_w,
                                        g->out_w);
        next = j + run.pixels * g->stride_w;
        run.columns = u.taps;
        run.rows = u.taps > 0 ? v.taps : 0;
        run.x_column = -(ptrdiff_t)u.step * g->out_ld;
        run.w_column = (ptrdiff_t)u.tap_step * g->out_c;
        bool any = run.rows > 0 && run.columns > 0;
        const float *from = dy, *taps = w;
        if (any) {
          from += ((row / g->in_h * g->out_h + v.place) * g->out_w + u.place) * g->out_ld;
          taps += ((ptrdiff_t)v.first_tap * g->kernel_w + u.first_tap) * g->out_c;
        }
        float *to = dx + (row * g->in_w + j) * g->in_ld;
        if (g->out_c > g->in_c) {
          for (int pixel = 0; pixel < run.pixels; pixel++)
            depthwise_back_pixel(g, &run, from + (any ? pixel * run.x_step : 0), taps,
                                 to + pixel * run.y_step);
          continue;
        }
        run.x = from;
        run.next = far ? from - run.x_row : NULL; /* the row below gathers from one row further */
        run.w = taps;
        if (run.x_column < 0) { /* taps from the other end, so that neighbours share columns */
          int last = run.columns - 1;
          run.x += last * run.x_column;
          run.w += last * run.w_column;
          run.next = far ? run.next + last * run.x_column : NULL;
          run.x_column = -run.x_column;
          run.w_column = -run.w_column;
        }
        depthwise_sum_late(&run, &end, to);
      }
    if (end.far)
      vec_stream_end();
  }
}

/* The products of output row `row`, which dy is of: added to sums [R][S][out_c]. */
static void depthwise_gather_row(const Conv2d *g, int64_t row, const float *x, const float *next_row,
                                 const float *dy, float *spread, float *sums) {
  DepthwiseRun run;
  int r, s, s_end;
  const float *from = depthwise_rows(g, row, x, spread, &run, &r);
  for (int q = 0, next; q < g->out_w; q = next) {
    next = depthwise_same_taps(q, g->out_w, g->stride_w, g->pad_left, g->dilation_w, g->kernel_w, g->in_w, &s,
                               &s_end);
    run.pixels = next - q;
    run.columns = s_end - s;
    ptrdiff_t place = q * run.x_step - g->pad_left * (run.x_step / g->stride_w) + s * run.x_column;
    run.x = from + place;
    run.next = next_row ? next_row + place : NULL;
    depthwise_gather(&run, dy + (ptrdiff_t)q * g->out_ld, sums + r * run.w_row + s * run.w_column);
  }
}

/* The share of one part of the output rows: sums [R][S][out_c], overwritten.  own: of the thread. */
static void depthwise_part(const Conv2d *g, int n, int part, const float *x, const ChannelMap *map,
                           const float *dy, float *own, float *sums) {
  int64_t all = (int64_t)n * g->out_h, begin = all * part / DEPTHWISE_PARTS,
          end = all * (part + 1) / DEPTHWISE_PARTS;
  ptrdiff_t line = (ptrdiff_t)g->out_w * g->out_ld;
  bool far = depthwise_is_far(g, n) && g->out_c == g->in_c;
  memset(sums, 0, depthwise_weights(g) * sizeof(float));
  for (int64_t row = begin; !map && row < end; row++)
    depthwise_gather_row(g, row, x, far ? depthwise_next_row(g, row, 1, x) : NULL, dy + row * line, own,
                         sums);
  DepthwiseStrip strip = {own, 0, 0};
  for (int64_t row = begin, rows; map && row < end; row += rows) {
    int p = (int)(row % g->out_h);
    rows = depthwise_mapped_rows(g);
    rows = rows < g->out_h - p ? rows : g->out_h - p;
    rows = rows < end - row ? rows : end - row;
    if (p == 0)
      strip.from = strip.to = 0;
    const float *image = x + row / g->out_h * g->in_h * g->in_w * g->in_ld;
    Conv2d piece = depthwise_mapped_take(g, map, image, p, (int)rows, &strip);
    for (int r = 0; r < rows; r++)
      depthwise_gather_row(&piece, r, strip.rows, depthwise_mapped_next(g, image, r, &strip),
                           dy + (row + r) * line, NULL, sums);
  }
}

/* dw (R, S, C, M), overwritten, for map(x); `map` may be NULL, and is where depthwise_conv2d_maps is not. */
static void depthwise_conv2d_bwd_w_mapped(const Conv2d *g, int n, const float *x, const ChannelMap *map,
                                          const float *dy, float *dw, const Work *work) {
  size_t count = depthwise_weights(g), pitch = (count + 15) / 16 * 16;
  WORK_PARALLEL_FOR(work)
  for (int part = 0; part < DEPTHWISE_PARTS; part++)
    depthwise_part(g, n, part, x, map, dy, work_scratch(work) + DEPTHWISE_PARTS * pitch,
                   work->scratch + (size_t)part * pitch);
  for (size_t i = 0; i < count; i++) {
    float sum = work->scratch[i];
    for (size_t part = 1; part < DEPTHWISE_PARTS; part++)
      sum += work->scratch[part * pitch + i];
    dw[i] = sum;
  }
}

static void depthwise_conv2d_bwd_w(const Conv2d *g, int n, const float *x, const float *dy, float *dw,
                                   const Work *work) {
  depthwise_conv2d_bwd_w_mapped(g, n, x, NULL, dy, dw, work);
}
#endif
