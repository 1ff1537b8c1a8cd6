/* Gradient of a bias: sums over all but the last axis. */
#ifndef NETC_KERNELS_CHANNEL_SUM_H
#define NETC_KERNELS_CHANNEL_SUM_H
#include "vec.h"
#include "work.h"

#define CHANNEL_SUM_ROWS 128 /* rows summed before they join the next level, to keep rounding small */

/* Vec columns [c, c + width) of rows [begin, end). */
VEC_INLINE Vec channel_sum_rows(int64_t begin, int64_t end, int ld, const float *dy, int width) {
  Vec even = vec_zero(), odd = vec_zero();
  int64_t row = begin;
  for (; row + 1 < end; row += 2) {
    even = vec_add(even, vec_load_upto(dy + row * ld, width));
    odd = vec_add(odd, vec_load_upto(dy + (row + 1) * ld, width));
  }
  if (row < end)
    even = vec_add(even, vec_load_upto(dy + row * ld, width));
  return vec_add(even, odd);
}

/* db[c] = sum over rows of dy[row * ld + c], db overwritten. */
static void channel_sum_bwd_b(int64_t rows, int channels, int ld, const float *dy, float *db,
                              const Work *work) {
  (void)work;
  int tasks = (channels + VEC_WIDTH - 1) / VEC_WIDTH;
  WORK_PARALLEL_FOR(work)
  for (int task = 0; task < tasks; task++) {
    int c = task * VEC_WIDTH, width = channels - c;
    Vec total = vec_zero(), middle = vec_zero();
    int blocks = 0;
    for (int64_t row = 0; row < rows; row += CHANNEL_SUM_ROWS) {
      int64_t end = row + CHANNEL_SUM_ROWS < rows ? row + CHANNEL_SUM_ROWS : rows;
      middle = vec_add(middle, channel_sum_rows(row, end, ld, dy + c, width));
      if (++blocks % CHANNEL_SUM_ROWS == 0) {
        total = vec_add(total, middle);
        middle = vec_zero();
      }
    }
    vec_store_upto(db + c, vec_add(total, middle), width);
  }
}
#endif
