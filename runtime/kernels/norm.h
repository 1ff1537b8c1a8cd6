/* Normalisation within one image: Keras's GroupNormalization and LayerNormalization.
 *
 * x [n, pixels, channels] dense; each of the `groups` stretches of channels / groups channels is brought to
 * mean 0 and variance 1 over all pixels, then scaled by gamma and shifted by beta [channels] (either may be
 * NULL).  Statistics are taken in double, in two passes.  save_mean and save_invstd [n * groups] are kept for
 * the gradient. */
#ifndef NETC_KERNELS_NORM_H
#define NETC_KERNELS_NORM_H
#include "work.h"
#include <math.h>
#include <stdint.h>

/* In place allowed.  save_mean and save_invstd may be NULL where no gradient follows. */
static void group_norm_fwd(int n, int64_t pixels, int channels, int groups, const float *x,
                           const float *gamma, const float *beta, float epsilon, float *save_mean,
                           float *save_invstd, float *y, const Work *work) {
  (void)work;
  int width = channels / groups;
  WORK_PARALLEL_FOR(work)
  for (int64_t unit = 0; unit < (int64_t)n * groups; unit++) {
    int first = (int)(unit % groups) * width;
    int64_t base = unit / groups * pixels * channels + first;
    double sum = 0, squares = 0, count = (double)pixels * width;
    for (int64_t pixel = 0; pixel < pixels; pixel++)
      for (int i = 0; i < width; i++)
        sum += (double)x[base + pixel * channels + i];
    double mean = sum / count;
    for (int64_t pixel = 0; pixel < pixels; pixel++)
      for (int i = 0; i < width; i++) {
        double away = (double)x[base + pixel * channels + i] - mean;
        squares += away * away;
      }
    double invstd = 1 / sqrt(squares / count + (double)epsilon);
    if (save_mean)
      save_mean[unit] = (float)mean;
    if (save_invstd)
      save_invstd[unit] = (float)invstd;
    for (int64_t pixel = 0; pixel < pixels; pixel++)
      for (int i = 0; i < width; i++) {
        int64_t at = base + pixel * channels + i;
        float even = (x[at] - (float)mean) * (float)invstd;
        y[at] = even * (gamma ? gamma[first + i] : 1) + (beta ? beta[first + i] : 0);
      }
  }
}

/* With e = (x - mean) invstd: dgamma = sum dy e, dbeta = sum dy (overwritten, NULL if not wanted) and
 * dx = invstd (g - mean(g) - e mean(g e)), g = dy gamma (NULL if not wanted; may be dy). */
static void group_norm_bwd(int n, int64_t pixels, int channels, int groups, const float *x,
                           const float *gamma, const float *save_mean, const float *save_invstd,
                           const float *dy, float *dx, float *dgamma, float *dbeta, const Work *work) {
  (void)work;
  int width = channels / groups;
  if (dgamma || dbeta) {
    WORK_PARALLEL_FOR(work)
    for (int c = 0; c < channels; c++) {
      double by_gamma = 0, by_beta = 0;
      for (int64_t row = 0; row < n * pixels; row++) {
        int64_t unit = row / pixels * groups + c / width;
        double slope = (double)dy[row * channels + c];
        by_beta += slope;
        by_gamma += slope * (double)((x[row * channels + c] - save_mean[unit]) * save_invstd[unit]);
      }
      if (dgamma)
        dgamma[c] = (float)by_gamma;
      if (dbeta)
        dbeta[c] = (float)by_beta;
    }
  }
  if (!dx)
    return;
  WORK_PARALLEL_FOR(work)
  for (int64_t unit = 0; unit < (int64_t)n * groups; unit++) {
    int first = (int)(unit % groups) * width;
    int64_t base = unit / groups * pixels * channels + first;
    float mean = save_mean[unit], invstd = save_invstd[unit];
    double sum = 0, tilt = 0, count = (double)pixels * width;
    for (int64_t pixel = 0; pixel < pixels; pixel++)
      for (int i = 0; i < width; i++) {
        int64_t at = base + pixel * channels + i;
        double slope = (double)(dy[at] * (gamma ? gamma[first + i] : 1));
        sum += slope;
        tilt += slope * (double)((x[at] - mean) * invstd);
      }
    float level = (float)(sum / count), turn = (float)(tilt / count);
    for (int64_t pixel = 0; pixel < pixels; pixel++)
      for (int i = 0; i < width; i++) {
        int64_t at = base + pixel * channels + i;
        float slope = dy[at] * (gamma ? gamma[first + i] : 1);
        dx[at] = invstd * (slope - level - (x[at] - mean) * invstd * turn);
      }
  }
}

/* Over the last axis of x [rows][c]; save_mean and save_invstd [rows].  The rest as group_norm_fwd. */
static void layer_norm_fwd(int64_t rows, int c, const float *x, const float *gamma, const float *beta,
                           float epsilon, float *save_mean, float *save_invstd, float *y, const Work *work) {
  group_norm_fwd((int)rows, 1, c, 1, x, gamma, beta, epsilon, save_mean, save_invstd, y, work);
}

static void layer_norm_bwd(int64_t rows, int c, const float *x, const float *gamma, const float *save_mean,
                           const float *save_invstd, const float *dy, float *dx, float *dgamma, float *dbeta,
                           const Work *work) {
  group_norm_bwd((int)rows, 1, c, 1, x, gamma, save_mean, save_invstd, dy, dx, dgamma, dbeta, work);
}

/* 1 / max(norm of x [c], 1e-12): Keras's UnitNormalization. */
static inline double unit_norm_scale(int c, const float *x) {
  double squares = 0;
  for (int i = 0; i < c; i++)
    squares += (double)x[i] * (double)x[i];
  return 1 / fmax(sqrt(squares), 1e-12);
}

/* y = x / max(norm of the row, 1e-12), x [rows][c].  In place allowed. */
static void unit_norm_fwd(int64_t rows, int c, const float *x, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < rows; row++) {
    double scale = unit_norm_scale(c, x + row * c);
    for (int i = 0; i < c; i++)
      y[row * c + i] = (float)((double)x[row * c + i] * scale);
  }
}

/* dx = (dy - u sum(u dy)) / norm, u = x / norm; below 1e-12 the norm is a constant: dx = dy / 1e-12.  dx may
 * be dy. */
static void unit_norm_bwd(int64_t rows, int c, const float *x, const float *dy, float *dx, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < rows; row++) {
    const float *from = x + row * c, *slope = dy + row * c;
    double scale = unit_norm_scale(c, from), along = 0;
    for (int i = 0; i < c && scale < 1e12; i++)
      along += (double)from[i] * scale * (double)slope[i];
    for (int i = 0; i < c; i++)
      dx[row * c + i] = (float)(((double)slope[i] - (double)from[i] * scale * along) * scale);
  }
}
#endif
