/* PReLU: y = x where x >= 0, else alpha x.  x [n, d0, d1, d2]; alpha [e0, e1, e2], each e is d or 1 (a shared
 * axis). */
#ifndef NETC_KERNELS_PRELU_H
#define NETC_KERNELS_PRELU_H
#include "work.h"
#include <stdint.h>

/* Where alpha's row for row i, column j begins. */
static inline int64_t prelu_offset(const int *e, int64_t i, int64_t j) {
  return ((e[0] > 1 ? i : 0) * e[1] + (e[1] > 1 ? j : 0)) * e[2];
}

/* In place allowed. */
static void prelu_fwd(int n, const int *d, const int *e, const float *x, const float *alpha, float *y,
                      const Work *work) {
  (void)work;
  int step = e[2] > 1;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < (int64_t)n * d[0] * d[1]; row++) {
    const float *slope = alpha + prelu_offset(e, row / d[1] % d[0], row % d[1]), *from = x + row * d[2];
    for (int c = 0; c < d[2]; c++)
      y[row * d[2] + c] = from[c] >= 0 ? from[c] : from[c] * slope[c * step];
  }
}

/* dx = dy where x >= 0, else alpha dy; may be dy. */
static void prelu_bwd_x(int n, const int *d, const int *e, const float *x, const float *alpha,
                        const float *dy, float *dx, const Work *work) {
  (void)work;
  int step = e[2] > 1;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < (int64_t)n * d[0] * d[1]; row++) {
    const float *slope = alpha + prelu_offset(e, row / d[1] % d[0], row % d[1]), *from = x + row * d[2];
    for (int c = 0; c < d[2]; c++)
      dx[row * d[2] + c] = from[c] >= 0 ? dy[row * d[2] + c] : dy[row * d[2] + c] * slope[c * step];
  }
}

/* dalpha = sum of x dy where x < 0, over the images and the shared axes (overwritten).  One alpha is summed
 * by one thread, in double. */
static void prelu_bwd_alpha(int n, const int *d, const int *e, const float *x, const float *dy, float *dalpha,
                            const Work *work) {
  (void)work;
  int64_t pixel = d[2], line = (int64_t)d[1] * d[2], image = d[0] * line;
  WORK_PARALLEL_FOR(work)
  for (int64_t unit = 0; unit < (int64_t)e[0] * e[1] * e[2]; unit++) {
    int64_t at[3] = {unit / e[2] / e[1], unit / e[2] % e[1], unit % e[2]};
    int64_t end[3];
    for (int axis = 0; axis < 3; axis++)
      end[axis] = e[axis] > 1 ? at[axis] + 1 : d[axis];
    double sum = 0;
    for (int64_t m = 0; m < n; m++)
      for (int64_t i = at[0]; i < end[0]; i++)
        for (int64_t j = at[1]; j < end[1]; j++)
          for (int64_t c = at[2]; c < end[2]; c++) {
            int64_t k = m * image + i * line + j * pixel + c;
            sum += x[k] < 0 ? (double)x[k] * (double)dy[k] : 0;
          }
    dalpha[unit] = (float)sum;
  }
}
#endif
