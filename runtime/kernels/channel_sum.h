/* Gradient of a bias: sums over all but the last axis.
 *
 * Rows are summed in a number of parts that follows from theirs alone, and the parts are added in order: the
 * same bits for any number of threads. */
#ifndef NETC_KERNELS_CHANNEL_SUM_H
#define NETC_KERNELS_CHANNEL_SUM_H
#include "vec.h"
#include "work.h"

enum {
  CHANNEL_SUM_ROWS = 128,  /* rows summed before they join the next level, to keep rounding small */
  CHANNEL_SUM_PARTS = 16,  /* at most */
  CHANNEL_SUM_BLOCK = 256, /* channels of a task */
  CHANNEL_SUM_VECTORS = 4  /* vectors of channels that are summed side by side */
};

/* Scratch, shared by the threads. */
static inline size_t channel_sum_scratch_floats(int channels) {
  return CHANNEL_SUM_PARTS * (((size_t)channels + 15) / 16 * 16);
}

/* sum[c] += rows [begin, end) of `vectors` vectors of columns, a constant where this is called; only with one
 * vector may `width`, the columns there are, be less. */
VEC_INLINE void channel_sum_rows(int64_t begin, int64_t end, int ld, const float *dy, int vectors, int width,
                                 float *sum) {
  Vec even[CHANNEL_SUM_VECTORS], odd[CHANNEL_SUM_VECTORS];
  ptrdiff_t ahead = vec_rows_ahead(ld);
  VEC_UNROLL
  for (int v = 0; v < vectors; v++)
    even[v] = odd[v] = vec_zero();
  int64_t row = begin;
  for (; row + 1 < end; row += 2) {
    const float *from = dy + row * ld, *below = from + ld;
    VEC_UNROLL
    for (int v = 0; v < vectors; v++) {
      if (v * VEC_WIDTH % VEC_LINE == 0) {
        VEC_FETCH_FAR(from + v * VEC_WIDTH + ahead);
        VEC_FETCH_FAR(below + v * VEC_WIDTH + ahead);
      }
      even[v] = vec_add(even[v], vec_load_upto(from + v * VEC_WIDTH, width));
      odd[v] = vec_add(odd[v], vec_load_upto(below + v * VEC_WIDTH, width));
    }
  }
  VEC_UNROLL
  for (int v = 0; v < vectors; v++) {
    if (row < end)
      even[v] = vec_add(even[v], vec_load_upto(dy + row * ld + v * VEC_WIDTH, width));
    Vec before = vec_load_upto(sum + v * VEC_WIDTH, width);
    vec_store_upto(sum + v * VEC_WIDTH, vec_add(before, vec_add(even[v], odd[v])), width);
  }
}

/* sum[c] = rows [begin, end) of columns [c, c_end). */
static void channel_sum_part(int64_t begin, int64_t end, int c, int c_end, int ld, const float *dy,
                             float *sum) {
  for (int i = c; i < c_end; i++)
    sum[i] = 0;
  for (int64_t row = begin, stop; row < end; row = stop) {
    int i = c;
    stop = row + CHANNEL_SUM_ROWS < end ? row + CHANNEL_SUM_ROWS : end;
    for (; i + CHANNEL_SUM_VECTORS * VEC_WIDTH <= c_end; i += CHANNEL_SUM_VECTORS * VEC_WIDTH)
      channel_sum_rows(row, stop, ld, dy + i, CHANNEL_SUM_VECTORS, VEC_WIDTH, sum + i);
    for (; i + CHANNEL_SUM_VECTORS / 2 * VEC_WIDTH <= c_end; i += CHANNEL_SUM_VECTORS / 2 * VEC_WIDTH)
      channel_sum_rows(row, stop, ld, dy + i, CHANNEL_SUM_VECTORS / 2, VEC_WIDTH, sum + i);
    for (; i < c_end; i += VEC_WIDTH)
      channel_sum_rows(row, stop, ld, dy + i, 1, c_end - i, sum + i);
  }
}

/* db[c] = sum over rows of dy[row * ld + c], db overwritten.  Scratch. */
static void channel_sum_bwd_b(int64_t rows, int channels, int ld, const float *dy, float *db,
                              const Work *work) {
  int parts =
      rows < CHANNEL_SUM_PARTS * CHANNEL_SUM_ROWS ? (int)(rows / CHANNEL_SUM_ROWS) : CHANNEL_SUM_PARTS;
  parts = parts > 1 ? parts : 1;
  int blocks = (channels + CHANNEL_SUM_BLOCK - 1) / CHANNEL_SUM_BLOCK;
  WORK_PARALLEL_CALLS(work)
  for (int task = 0; task < parts * blocks; task++) {
    int part = task / blocks, c = task % blocks * CHANNEL_SUM_BLOCK,
        c_end = c + CHANNEL_SUM_BLOCK < channels ? c + CHANNEL_SUM_BLOCK : channels;
    channel_sum_part(rows * part / parts, rows * (part + 1) / parts, c, c_end, ld, dy,
                     work->scratch + (ptrdiff_t)part * channels);
  }
  for (int c = 0; c < channels; c++)
    db[c] = work->scratch[c];
  for (int part = 1; part < parts; part++)
    for (int c = 0; c < channels; c++)
      db[c] += work->scratch[(ptrdiff_t)part * channels + c];
}
#endif
