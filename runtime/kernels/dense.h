/* Dense layers: y = act(x w + bias + residual), x [n, in], w [in, out] as Keras stores it, y [n, out], and
 * gradients.
 *
 * Weights may be far larger than any cache (160000 x 120), so nothing repacks them: forward, gradient of x
 * and gradient of w with the optimizer's update each pass over w once, in row order. */
#ifndef NETC_KERNELS_DENSE_H
#define NETC_KERNELS_DENSE_H
#include "epilogue.h"
#include "tile.h"
#include "update.h"
#include "work.h"

#define DENSE_LINES 128 /* lines of w (inputs) taken at once: few enough to stay in cache */
#define DENSE_GROUP 256 /* outputs per task where there are many */
#define DENSE_TASKS 16  /* tasks wanted; fixed, so that sums do not depend on the number of threads */
#define DENSE_SLICE 112 /* inputs per step of the backward kernels */
#define DENSE_FEW   16  /* images that long lines of w are taken to as below */
/* A single image, and a few where there are many outputs: */
#if VEC_ISA == ISA_AVX2
#define DENSE_VECS 15 /* vectors of outputs at once: lines of up to so many are read from end to end */
#define DENSE_ASKS 0  /* whether those are asked for ahead (Zen 3: 1.2 times as slow) */
#else
#define DENSE_VECS 8
#define DENSE_ASKS 1
#endif
#define DENSE_AHEAD     2048 /* floats of w that are asked for ahead there */
#define DENSE_LINE      8    /* lines of w at once where they are longer, */
#define DENSE_LONG      2048 /* and where they have so many outputs */
#define DENSE_LONG_LINE 4

static inline int dense_least(int a, int b) {
  return a < b ? a : b;
}
static inline int dense_ceil(int a, int b) {
  return (a + b - 1) / b;
}
static inline size_t dense_round(size_t floats) {
  return (floats + 15) / 16 * 16;
}

/* ---- forward ---- */

/* How outputs are split into groups and inputs into parts; each part has sums of its own. */
static inline int dense_groups(int out) {
  return out <= 2 * DENSE_GROUP ? 1 : dense_ceil(out, DENSE_GROUP);
}
/* Whether lines of w are read from end to end: of a single image, whose sums fit the first-level cache. */
static inline bool dense_whole_lines(int n, int out) {
  return n == 1 && out >= DENSE_LONG;
}
static inline int dense_parts(int n, int in, int out) {
  int groups = dense_whole_lines(n, out) ? 1 : dense_groups(out);
  int parts = dense_least(dense_ceil(DENSE_TASKS, groups), dense_ceil(in, 4 * DENSE_LINES));
  return parts > 1 ? parts : 1;
}

/* Lines at the end of w whose last block of 16 outputs would be read past the end of w. */
static inline int dense_tail(int in, int out) {
  int excess = dense_ceil(out, TILE_BLOCK) * TILE_BLOCK - out;
  return dense_least(in, dense_ceil(excess, out));
}

static inline size_t dense_part_floats(int n, int in, int out) {
  int parts = dense_parts(n, in, out);
  return parts > 1 ? dense_round((size_t)parts * (size_t)n * (size_t)out) : 0;
}

/* Scratch per thread, for calls of up to n images. */
static size_t dense_fwd_scratch_floats(int n, int in, int out) {
  size_t all = dense_part_floats(n, in, out), one = dense_part_floats(1, in, out);
  return (all > one ? all : one) + TILE_BLOCK * 2 * TILE_BLOCK;
}

/* `lines` inputs of one image for vecs * VEC_WIDTH outputs, of which out->columns are stored; where it asks,
 * w is asked for `ahead` floats ahead. */
VEC_INLINE void dense_fwd_vecs(int vecs, bool asks, int lines, const float *x, const float *w, int line,
                               ptrdiff_t ahead, const TileOut *out) {
  Vec sum[DENSE_VECS], low = vec_set(out->low), high = vec_set(out->high);
  VEC_UNROLL
  for (int v = 0; v < vecs; v++) {
    sum[v] = out->accumulate ? tile_load_columns(out->y, v, out->columns) : vec_zero();
    if (out->bias)
      sum[v] = tile_load_columns(out->bias, v, out->columns);
    if (out->residual)
      sum[v] = vec_add(sum[v], tile_load_columns(out->residual, v, out->columns));
  }
  for (int i = 0; i < lines; i++, w += line) {
    Vec input = vec_set(x[i]);
    VEC_UNROLL
    for (int v = 0; v < vecs; v++) {
      sum[v] = vec_fma(input, vec_load(w + v * VEC_WIDTH), sum[v]);
      if (asks)
        VEC_FETCH(w + ahead + v * VEC_WIDTH);
    }
  }
  VEC_UNROLL
  for (int v = 0; v < vecs; v++)
    if (out->columns > v * VEC_WIDTH)
      vec_store_upto(out->y + v * VEC_WIDTH, vec_min(high, vec_max(low, sum[v])),
                     out->columns - v * VEC_WIDTH);
}

/* As dense_fwd_vecs for outputs [k, k + out->columns), as many as there is a loop for; how many.  Whole
 * blocks of w are read at most. */
VEC_INLINE int dense_fwd_outputs(bool asks, int lines, const float *x, const float *w, int line,
                                 ptrdiff_t ahead, const TileOut *out) {
  int left = dense_ceil(out->columns, VEC_WIDTH), vecs = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
  if (left > 8 && left <= DENSE_VECS)
    vecs = left < 15 ? (left + 1) / 2 * 2 : left;
  switch (vecs) {
#define DENSE_CASE(count)                                                                                    \
  case count:                                                                                                \
    if (count <= DENSE_VECS)                                                                                 \
      dense_fwd_vecs(count, asks, lines, x, w, line, ahead, out);                                            \
    break;
    DENSE_CASE(1)
    DENSE_CASE(2)
    DENSE_CASE(4)
    DENSE_CASE(8)
    DENSE_CASE(10)
    DENSE_CASE(12)
    DENSE_CASE(14)
    DENSE_CASE(15)
#undef DENSE_CASE
  }
  return vecs * VEC_WIDTH;
}

/* Inputs [i0, i1) of images [n0, n1) for outputs [k0, k1), as dense_fwd_task, for few images.  w comes from
 * memory: it is read once and as it lies there, a few lines at a time where they are long. */
static void dense_fwd_few(int in, int line, int i0, int i1, int k0, int k1, int n0, int n1, const float *x,
                          const float *w, const Epilogue *e, float low, float high, float *y) {
  bool long_lines = k1 - k0 > DENSE_VECS * VEC_WIDTH;
  int step = !long_lines ? i1 - i0 : k1 - k0 < DENSE_LONG ? DENSE_LINE : DENSE_LONG_LINE;
  ptrdiff_t ahead = (ptrdiff_t)(long_lines ? step : dense_ceil(DENSE_AHEAD, k1 - k0)) * line;
  for (int i = i0; i < i1; i += step) {
    int count = dense_least(step, i1 - i);
    bool first = i == i0, last = i + count == i1;
    for (int image = n0; image < n1; image++) {
      const float *from = x + (ptrdiff_t)image * in + i, *b = w + (ptrdiff_t)i * line;
      ptrdiff_t at = (ptrdiff_t)image * line;
      for (int k = k0, done; k < k1; k += done) {
        TileOut out = {.y = y + at + k,
                       .columns = k1 - k,
                       .accumulate = !first,
                       .low = last ? low : -INFINITY,
                       .high = last ? high : INFINITY};
        out.bias = first && e && e->bias ? e->bias + k : NULL;
        out.residual = first && e && e->residual ? e->residual + at + k : NULL;
        done = image == n0 && (long_lines || DENSE_ASKS)
                   ? dense_fwd_outputs(true, count, from, b + k, line, ahead, &out)
                   : dense_fwd_outputs(false, count, from, b + k, line, ahead, &out);
      }
    }
  }
}

/* Whether images are few enough for that. */
static inline bool dense_few(int n, int out) {
  return n == 1 || (n <= DENSE_FEW && dense_groups(out) > 1);
}

/* Inputs [i0, i1) for outputs [k0, k1) and images [n0, n1): sums (of `start`, then clamped, where they are
 * whole) into y.  `tail` holds lines of 2 * TILE_BLOCK floats. */
static void dense_fwd_task(int in, int out, int i0, int i1, int k0, int k1, int n0, int n1, const float *x,
                           const float *w, const Epilogue *e, float low, float high, float *y, float *tail) {
  const float *a[TILE_ROWS];
  ptrdiff_t at[TILE_ROWS];
  int direct_end = in - dense_tail(in, out);
  int begin = i0, calls = dense_ceil(k1 - k0, TILE_COLUMNS) * tile_calls(n1 - n0);
  if (dense_few(n1 - n0, out) && direct_end > i0) {
    begin = dense_least(i1, direct_end);
    bool all = begin == i1;
    dense_fwd_few(in, out, i0, begin, k0, k1, n0, n1, x, w, e, all ? low : -INFINITY, all ? high : INFINITY,
                  y);
    if (all)
      return;
  }
  do {
    /* The last lines are copied, so that whole blocks can be read. */
    bool copied = begin >= direct_end && begin < i1;
    int limit = copied ? dense_least(i1, begin + TILE_BLOCK) : dense_least(i1, direct_end);
    int end = dense_least(limit, begin + DENSE_LINES);
    TileFetch fetch = tile_fetch(w + (ptrdiff_t)end * out, (end - begin) * out, (end - begin) * calls);
    for (int k = k0; k < k1; k += TILE_COLUMNS) {
      TileOut o = {.at = at,
                   .y = y + k,
                   .columns = dense_least(k1 - k, TILE_COLUMNS),
                   .accumulate = begin > i0,
                   .low = end == i1 ? low : -INFINITY,
                   .high = end == i1 ? high : INFINITY};
      o.bias = e && e->bias ? e->bias + k : NULL;
      o.residual = e && e->residual ? e->residual + k : NULL;
      const float *b = w + (ptrdiff_t)begin * out + k;
      if (copied) {
        for (int i = 0; i < end - begin; i++)
          for (int c = 0; c < TILE_COLUMNS; c++)
            tail[i * TILE_COLUMNS + c] = c < o.columns ? b[(ptrdiff_t)i * out + c] : 0.0f;
        b = tail;
      }
      for (int row = n0, rows; row < n1; row += rows) {
        rows = tile_share(n1 - row);
        for (int r = 0; r < TILE_ROWS; r++) {
          int image = row + (r < rows ? r : 0);
          a[r] = x + (ptrdiff_t)image * in + begin;
          at[r] = (ptrdiff_t)image * out;
        }
        tile_multiply_lines(rows, 1, end - begin, a, b, copied ? TILE_COLUMNS : out, TILE_BLOCK,
                            k1 - k0 == out ? &fetch : NULL, &o);
        fetch.place += (end - begin) * fetch.step;
      }
    }
    begin = end;
  } while (begin < i1);
}

/* Outputs of a task for a few images: long runs of each line of w, as many tasks as keep the threads busy.
 */
static int dense_columns(int out, int parts, int threads) {
  int wanted = dense_ceil(2 * threads, parts), columns = out;
  if (dense_groups(out) > 1)
    columns = dense_ceil(out, DENSE_GROUP * wanted) * DENSE_GROUP;
  return columns;
}

/* y[count] = sum of parts + bias + residual, at image i's output o: elements [begin, end) of n * out. */
static void dense_fwd_join(int parts, int64_t stride, int64_t begin, int64_t end, int out, const float *sums,
                           const Epilogue *e, float *y) {
  for (int64_t j = begin; j < end;) {
    int k = (int)(j % out), width = dense_least(VEC_WIDTH, out - k);
    width = width < end - j ? width : (int)(end - j);
    Vec sum = vec_load_upto(sums + j, width);
    for (int part = 1; part < parts; part++)
      sum = vec_add(sum, vec_load_upto(sums + part * stride + j, width));
    if (e && e->bias)
      sum = vec_add(sum, vec_load_upto(e->bias + k, width));
    if (e && e->residual)
      sum = vec_add(sum, vec_load_upto(e->residual + j, width));
    vec_store_upto(y + j, sum, width);
    j += width;
  }
}

/* y overwritten; `e` may be NULL. */
static void dense_fwd(int n, int in, int out, const float *x, const float *w, const Epilogue *e, float *y,
                      const Work *work) {
  int groups = dense_groups(out), parts = dense_parts(n, in, out), columns = groups > 1 ? DENSE_GROUP : out;
  if (dense_few(n, out)) {
    columns = dense_columns(out, parts, work->threads);
    groups = dense_ceil(out, columns);
  }
  int images = groups * parts >= DENSE_TASKS / 2 || dense_few(n, out) ? n : TILE_ROWS,
      splits = dense_ceil(n, images);
  int64_t count = (int64_t)n * out;
  float low = -INFINITY, high = INFINITY;
  bool clamp = !e || parts > 1 || act_is_clamp(&e->act, &low, &high);
  float *sums = work->scratch;
  size_t shared = dense_part_floats(n, in, out);
  WORK_TASKS(work, turn, (int64_t)parts * groups * splits) {
    int task = (int)turn.task, part = task / (groups * splits), group = task / splits % groups,
        n0 = task % splits * images;
    int i0 = (int)((int64_t)in * part / parts), i1 = (int)((int64_t)in * (part + 1) / parts);
    int k0 = group * columns, k1 = dense_least(k0 + columns, out), n1 = dense_least(n0 + images, n);
    float *tail = work->scratch + shared +
                  (work_scratch(work) - work->scratch) / (ptrdiff_t)work->scratch_floats *
                      (TILE_BLOCK * 2 * TILE_BLOCK);
    dense_fwd_task(in, out, i0, i1, k0, k1, n0, n1, x, w, parts > 1 ? NULL : e, low, high,
                   parts > 1 ? sums + part * count : y, tail);
  }
  if (parts == 1 && clamp)
    return;
  int64_t chunks = (count + 1023) / 1024;
  WORK_PARALLEL_FOR(work)
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    int64_t begin = chunk * 1024, end = begin + 1024 < count ? begin + 1024 : count;
    ptrdiff_t at = (ptrdiff_t)begin;
    if (parts > 1)
      dense_fwd_join(parts, count, begin, end, out, sums, e, y);
    if (e)
      epilogue_activate(&e->act, y, &at, 1, (int)(end - begin));
  }
}

/* ---- backward ---- */

/* What the backward kernels share in scratch: dy once as [blocks of 16 outputs][n][16] for the gradient of w
 * and once as [blocks of 16 images][out][16] for the gradient of x; then per thread a slice of x, of dw and
 * of dx. */
static inline size_t dense_dy_floats(int n, int out) {
  return (size_t)dense_ceil(out, TILE_BLOCK) * TILE_BLOCK * (size_t)n;
}
static inline size_t dense_dy_across_floats(int n, int out) {
  return (size_t)dense_ceil(n, TILE_BLOCK) * TILE_BLOCK * (size_t)out;
}
/* Inputs per step: fewer where a line of w is long, so that a slice of dw stays in cache. */
static inline int dense_slice(int out) {
  return out <= 512 ? DENSE_SLICE : (out <= 2048 ? 28 : 14);
}
static inline size_t dense_private_floats(int n, int out) {
  size_t slice = (size_t)dense_slice(out);
  size_t x_floats = dense_round(slice * (size_t)n + 16), dw_floats = dense_round(slice * (size_t)out);
  return x_floats + dw_floats + 32 * 32;
}

/* Scratch per thread of any of dense_bwd_x, dense_bwd_w, dense_bwd_w_update, dense_bwd_x_w_update. */
static size_t dense_bwd_scratch_floats(int n, int in, int out) {
  (void)in;
  return dense_dy_floats(n, out) + dense_dy_across_floats(n, out) + dense_private_floats(n, out);
}
static size_t dense_bwd_x_scratch_floats(int n, int in, int out) {
  return dense_bwd_scratch_floats(n, in, out);
}
static size_t dense_bwd_w_scratch_floats(int n, int in, int out) {
  return dense_bwd_scratch_floats(n, in, out);
}

static void dense_pack_dy(int n, int out, const float *dy, float *packed, const Work *work) {
  (void)work;
  int blocks = dense_ceil(out, TILE_BLOCK);
  WORK_PARALLEL_FOR(work)
  for (int block = 0; block < blocks; block++)
    for (int i = 0; i < n; i++)
      for (int k = 0; k < TILE_BLOCK; k++) {
        int o = block * TILE_BLOCK + k;
        packed[((ptrdiff_t)block * n + i) * TILE_BLOCK + k] = o < out ? dy[(ptrdiff_t)i * out + o] : 0.0f;
      }
}

static void dense_pack_dy_across(int n, int out, const float *dy, float *packed, const Work *work) {
  (void)work;
  int blocks = dense_ceil(n, TILE_BLOCK);
  for (int block = 0; block < blocks; block++) {
    WORK_PARALLEL_FOR(work)
    for (int o = 0; o < out; o++)
      for (int k = 0; k < TILE_BLOCK; k++) {
        int i = block * TILE_BLOCK + k;
        packed[((ptrdiff_t)block * out + o) * TILE_BLOCK + k] = i < n ? dy[(ptrdiff_t)i * out + o] : 0.0f;
      }
  }
}

/* dx[.., i0 .. i1) = dy w^T: tiles of lines of w times images, stored across; the lines that follow are asked
 * for meanwhile. */
static void dense_slice_bwd_x(int n, int in, int out, int i0, int i1, const float *across, const float *w,
                              float *dx, float *tile) {
  const float *a[TILE_ROWS];
  ptrdiff_t at[TILE_ROWS];
  for (int r = 0; r < TILE_ROWS; r++)
    at[r] = (ptrdiff_t)r * TILE_COLUMNS;
  TileOut o = {.at = at, .y = tile, .low = -INFINITY, .high = INFINITY};
  int calls = dense_ceil(i1 - i0, TILE_ROWS) * dense_ceil(n, TILE_COLUMNS);
  TileFetch fetch = tile_fetch(w + (ptrdiff_t)i1 * out, (i1 - i0) * out, calls * out);
  for (int i = i0; i < i1; i += TILE_ROWS) {
    int rows = dense_least(i1 - i, TILE_ROWS);
    for (int r = 0; r < TILE_ROWS; r++)
      a[r] = w + (ptrdiff_t)(i + (r < rows ? r : 0)) * out;
    for (int image = 0; image < n; image += TILE_COLUMNS) {
      o.columns = dense_least(n - image, TILE_COLUMNS);
      for (int c = 0; c < o.columns; c++)
        VEC_FETCH_TO_WRITE(dx + (ptrdiff_t)(image + c) * in + i);
      tile_multiply(rows, 1, out, a, across + (ptrdiff_t)image * out, (ptrdiff_t)out * TILE_BLOCK, &fetch,
                    &o);
      fetch.place += out * fetch.step;
      for (int c = 0; c < o.columns; c++) {
        float *to = dx + (ptrdiff_t)(image + c) * in + i;
        for (int r = 0; r < rows; r++)
          to[r] = tile[r * TILE_COLUMNS + c];
      }
    }
  }
}

/* dw lines [i0, i1), `dw` at line i0.  x_slice: room for a copy of these inputs of all images.  next, then:
 * as many floats each that are read afterwards and asked for meanwhile, as are the inputs of the next slice;
 * or NULL. */
static void dense_slice_bwd_w(int n, int in, int out, int i0, int i1, const float *x, const float *dy_packed,
                              const float *next, const float *then, float *x_slice, float *dw) {
  ptrdiff_t at[TILE_ROWS];
  for (int r = 0; r < TILE_ROWS; r++)
    at[r] = (ptrdiff_t)r * out;
  int width = i1 - i0;
  for (int image = 0; image < n; image++)
    for (int i = 0; i < width; i += VEC_WIDTH)
      vec_store_upto(x_slice + (ptrdiff_t)image * width + i,
                     vec_load_upto(x + (ptrdiff_t)image * in + i0 + i, width - i), width - i);
  TileOut o = {.at = at, .low = -INFINITY, .high = INFINITY};
  int calls = dense_ceil(width, TILE_ROWS) * dense_ceil(out, TILE_COLUMNS), call = 0;
  int share = width * out / calls;
  TileFetch fetch = tile_fetch(next, width * out, calls * n);
  for (int k = 0; k < out; k += TILE_COLUMNS) {
    o.columns = dense_least(out - k, TILE_COLUMNS);
    for (int i = 0; i < width; i += TILE_ROWS, call++) {
      o.y = dw + (ptrdiff_t)i * out + k;
      TileSegment all = {0, 0, n};
      TilePanel products = {.a = x_slice + i,
                            .b = dy_packed + (ptrdiff_t)k * n,
                            .a_line = width,
                            .line = TILE_BLOCK,
                            .block = (ptrdiff_t)n * TILE_BLOCK,
                            .segments = 1,
                            .segment = &all,
                            .ahead = TILE_PANEL_AHEAD,
                            .fetch = fetch};
      for (int image = n * call / calls; image < n * (call + 1) / calls; image++)
        for (int c = i1; c < i1 + width + TILE_BLOCK; c += TILE_BLOCK)
          VEC_FETCH(x + (ptrdiff_t)image * in + c);
      for (int c = 0; then && c < share + TILE_BLOCK; c += TILE_BLOCK)
        VEC_FETCH_FAR(then + call * share + c);
      tile_multiply_panel(dense_least(width - i, TILE_ROWS), &products, &o);
      if (next)
        fetch.place += n * fetch.step;
    }
  }
}

/* All backward kernels: for each slice of inputs, dx (if asked for) from the old weights, then dw, either
 * stored or, with `update`, applied to w and its slots while it is in cache. */
static void dense_bwd_all(int n, int in, int out, const float *x, const float *dy, float *dw,
                          const Update *update, float *w_new, float *slot0, float *slot1, float *slot2,
                          const float *w, float *dx, const Work *work) {
  float *packed = work->scratch, *across = packed + dense_dy_floats(n, out);
  float *own = across + dense_dy_across_floats(n, out);
  int slice = dense_slice(out), slices = dense_ceil(in, slice);
  ptrdiff_t private_floats = (ptrdiff_t)dense_private_floats(n, out);
  bool with_w = dw || update;
  if (with_w)
    dense_pack_dy(n, out, dy, packed, work);
  if (dx)
    dense_pack_dy_across(n, out, dy, across, work);
  WORK_PARALLEL_CALLS(work)
  for (int task = 0; task < slices; task++) {
    int i0 = task * slice, i1 = dense_least(i0 + slice, in);
    ptrdiff_t thread = (work_scratch(work) - work->scratch) / (ptrdiff_t)work->scratch_floats;
    float *x_slice = own + thread * private_floats;
    float *dw_slice = x_slice + dense_round((size_t)slice * (size_t)n + 16);
    float *tile = dw_slice + dense_round((size_t)slice * (size_t)out);
    ptrdiff_t first = (ptrdiff_t)i0 * out;
    if (dx)
      dense_slice_bwd_x(n, in, out, i0, i1, across, w, dx, tile);
    if (with_w)
      dense_slice_bwd_w(n, in, out, i0, i1, x, packed, update && slot0 ? slot0 + first : NULL,
                        update && slot1 ? slot1 + first : NULL, x_slice, dw ? dw + first : dw_slice);
    if (update)
      update_run(update, (int64_t)(i1 - i0) * out, dw_slice, w_new + first, slot0 ? slot0 + first : NULL,
                 slot1 ? slot1 + first : NULL, slot2 ? slot2 + first : NULL);
  }
}

/* dx [n, in] = dy w^T, overwritten. */
static void dense_bwd_x(int n, int in, int out, const float *dy, const float *w, float *dx,
                        const Work *work) {
  dense_bwd_all(n, in, out, NULL, dy, NULL, NULL, NULL, NULL, NULL, NULL, w, dx, work);
}

/* dw [in, out] = x^T dy, overwritten. */
static void dense_bwd_w(int n, int in, int out, const float *x, const float *dy, float *dw,
                        const Work *work) {
  dense_bwd_all(n, in, out, x, dy, dw, NULL, NULL, NULL, NULL, NULL, NULL, NULL, work);
}

/* dense_bwd_w followed at once by the optimizer's update of w (update.h says what the slots are; NULL where
 * there is none): the gradient never goes to memory. */
static void dense_bwd_w_update(int n, int in, int out, const float *x, const float *dy, const Update *update,
                               float *w, float *slot0, float *slot1, float *slot2, const Work *work) {
  dense_bwd_all(n, in, out, x, dy, NULL, update, w, slot0, slot1, slot2, NULL, NULL, work);
}

/* The same, and dx from the weights as they were before: each weight is read once for both. */
static void dense_bwd_x_w_update(int n, int in, int out, const float *x, const float *dy,
                                 const Update *update, float *w, float *slot0, float *slot1, float *slot2,
                                 float *dx, const Work *work) {
  dense_bwd_all(n, in, out, x, dy, NULL, update, w, slot0, slot1, slot2, w, dx, work);
}
#endif
