/* Batch normalisation over the last axis: x [rows][c], dense.  Formulas: Keras's BatchNormalization.
 *
 * Sums over rows are taken in a fixed number of parts, each in double over short runs of float, and added in
 * order: the same bits for any number of threads.  Kernels that say "scratch" use batchnorm_scratch_floats(c)
 * of it. */
#ifndef NETC_KERNELS_BATCHNORM_H
#define NETC_KERNELS_BATCHNORM_H
#include "vec.h"
#include "work.h"
#include <stdbool.h>

enum {
  BATCHNORM_PARTS = 8,
  BATCHNORM_RUN = 64,    /* rows that are summed in float */
  BATCHNORM_SAMPLES = 16 /* rows that give the shift of the variance */
};

static inline size_t batchnorm_scratch_floats(int c) {
  size_t wide = ((size_t)c + 15) / 16 * 16;
  return wide * 2 * (2 * BATCHNORM_PARTS + 1); /* two double sums of each part, two floats */
}

/* Two sums per channel over the rows of one part, taken run by run. */
typedef struct BatchnormSums {
  double *first, *second; /* [c] */
} BatchnormSums;

static inline BatchnormSums batchnorm_part(const Work *work, int c, int part) {
  size_t wide = ((size_t)c + 15) / 16 * 16;
  double *base = (double *)(void *)work->scratch;
  return (BatchnormSums){base + (size_t)part * 2 * wide, base + ((size_t)part * 2 + 1) * wide};
}
/* Two float arrays [c] behind the sums. */
static inline float *batchnorm_floats(const Work *work, int c, int which) {
  size_t wide = ((size_t)c + 15) / 16 * 16;
  return work->scratch + wide * (size_t)(4 * BATCHNORM_PARTS + which);
}

VEC_INLINE void batchnorm_add(double *sum, Vec v, int count) {
  float lanes[VEC_WIDTH];
  vec_store(lanes, v);
  for (int i = 0; i < VEC_WIDTH && i < count; i++)
    sum[i] += (double)lanes[i];
}

/* first = sum of (a - shift) and second = sum of (a - shift) b, over this part's rows; b == NULL: (a -
 * shift)^2. For the gradient a = x and b = dy, where first = sum of b instead. */
static void batchnorm_sum_part(int64_t rows, int c, const float *a, const float *b, const float *shift,
                               int part, BatchnormSums sums) {
  for (int i = 0; i < c; i++)
    sums.first[i] = sums.second[i] = 0;
  int64_t begin = rows * part / BATCHNORM_PARTS, end = rows * (part + 1) / BATCHNORM_PARTS;
  for (int64_t run = begin; run < end; run += BATCHNORM_RUN) {
    int64_t stop = run + BATCHNORM_RUN < end ? run + BATCHNORM_RUN : end;
    for (int i = 0; i < c; i += VEC_WIDTH) {
      int left = c - i;
      Vec centre = vec_load_upto(shift + i, left), first = vec_zero(), second = vec_zero();
      for (int64_t row = run; row < stop; row++) {
        Vec away = vec_sub(vec_load_upto(a + row * c + i, left), centre);
        Vec other = b ? vec_load_upto(b + row * c + i, left) : away;
        first = vec_add(first, other);
        second = vec_fma(away, other, second);
      }
      batchnorm_add(sums.first + i, first, left);
      batchnorm_add(sums.second + i, second, left);
    }
  }
}

/* The sums of all rows, in part 0. */
static void batchnorm_sum(int64_t rows, int c, const float *a, const float *b, const float *shift,
                          const Work *work) {
  WORK_PARALLEL_FOR(work)
  for (int part = 0; part < BATCHNORM_PARTS; part++)
    batchnorm_sum_part(rows, c, a, b, shift, part, batchnorm_part(work, c, part));
  BatchnormSums total = batchnorm_part(work, c, 0);
  for (int part = 1; part < BATCHNORM_PARTS; part++) {
    BatchnormSums sums = batchnorm_part(work, c, part);
    for (int i = 0; i < c; i++) {
      total.first[i] += sums.first[i];
      total.second[i] += sums.second[i];
    }
  }
}

/* y = x * scale + offset, per channel. */
static void batchnorm_affine(int64_t rows, int c, const float *x, const float *scale, const float *offset,
                             float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < rows; row++)
    for (int i = 0; i < c; i += VEC_WIDTH) {
      int left = c - i;
      Vec v = vec_load_upto(x + row * c + i, left);
      v = vec_fma(v, vec_load_upto(scale + i, left), vec_load_upto(offset + i, left));
      vec_store_upto(y + row * c + i, v, left);
    }
}

/* y = gamma (x - mean) / sqrt(var + epsilon) + beta; gamma and beta may be NULL.  In place allowed.  Scratch.
 */
static void batchnorm_infer(int64_t rows, int c, const float *x, const float *gamma, const float *beta,
                            const float *mean, const float *var, float epsilon, float *y, const Work *work) {
  float *scale = batchnorm_floats(work, c, 0), *offset = scale + c;
  for (int i = 0; i < c; i++) {
    scale[i] = (gamma ? gamma[i] : 1) / sqrtf(var[i] + epsilon);
    offset[i] = (beta ? beta[i] : 0) - mean[i] * scale[i];
  }
  batchnorm_affine(rows, c, x, scale, offset, y, work);
}

/* y = gamma (x - save_mean) save_invstd + beta: what batchnorm_train_fwd ends with, and what makes its y
 * again to the bit.  gamma and beta may be NULL.  In place allowed.  Scratch. */
static void batchnorm_train_apply(int64_t rows, int c, const float *x, const float *gamma, const float *beta,
                                  const float *save_mean, const float *save_invstd, float *y,
                                  const Work *work) {
  float *scale = batchnorm_floats(work, c, 0), *offset = scale + c;
  for (int i = 0; i < c; i++) {
    double slope = (gamma ? (double)gamma[i] : 1) * (double)save_invstd[i];
    scale[i] = (float)slope;
    offset[i] = (float)((beta ? (double)beta[i] : 0) - (double)save_mean[i] * slope);
  }
  batchnorm_affine(rows, c, x, scale, offset, y, work);
}

/* On the batch's own statistics: save_mean and save_invstd [c] are kept for the gradient; the moving ones
 * become moving * momentum + batch * (1 - momentum), with the population variance.  The variance is taken
 * around the mean of a few rows, so that a mean far from zero does not drown it.  In place allowed.  Scratch.
 */
static void batchnorm_train_fwd(int64_t rows, int c, const float *x, const float *gamma, const float *beta,
                                float epsilon, float momentum, float *moving_mean, float *moving_var,
                                float *save_mean, float *save_invstd, float *y, const Work *work) {
  int64_t samples = rows < BATCHNORM_SAMPLES ? rows : BATCHNORM_SAMPLES;
  float *shift = batchnorm_floats(work, c, 0);
  for (int i = 0; i < c; i++)
    shift[i] = 0;
  for (int64_t k = 0; k < samples; k++)
    for (int i = 0; i < c; i++)
      shift[i] += x[rows * k / samples * c + i] / (float)samples;
  batchnorm_sum(rows, c, x, NULL, shift, work);
  BatchnormSums total = batchnorm_part(work, c, 0);
  for (int i = 0; i < c; i++) {
    double away = total.first[i] / (double)rows, mean = (double)shift[i] + away;
    double var = total.second[i] / (double)rows - away * away;
    var = var > 0 ? var : 0;
    save_mean[i] = (float)mean;
    save_invstd[i] = (float)(1 / sqrt(var + (double)epsilon));
    moving_mean[i] = moving_mean[i] * momentum + (float)mean * (1 - momentum);
    moving_var[i] = moving_var[i] * momentum + (float)var * (1 - momentum);
  }
  batchnorm_train_apply(rows, c, x, gamma, beta, save_mean, save_invstd, y, work);
}

/* dgamma = sum dy (x - mean) invstd, dbeta = sum dy (either may be NULL);
 * dx = gamma invstd (dy - dbeta / rows - (x - mean) invstd dgamma / rows), NULL if not wanted, may be dy.
 * Scratch. */
static void batchnorm_train_bwd(int64_t rows, int c, const float *x, const float *gamma,
                                const float *save_mean, const float *save_invstd, const float *dy, float *dx,
                                float *dgamma, float *dbeta, const Work *work) {
  batchnorm_sum(rows, c, x, dy, save_mean, work);
  BatchnormSums total = batchnorm_part(work, c, 0);
  /* dx = slope dy + tilt (x - mean) + level: three factors for each channel. */
  float *slope = batchnorm_floats(work, c, 0), *tilt = slope + c;
  float *level = (float *)(void *)batchnorm_part(work, c, 1).first;
  for (int i = 0; i < c; i++) {
    double invstd = (double)save_invstd[i], by_gamma = total.second[i] * invstd, by_beta = total.first[i];
    double factor = (gamma ? (double)gamma[i] : 1) * invstd,
           per_x = -factor * invstd * by_gamma / (double)rows;
    if (dgamma)
      dgamma[i] = (float)by_gamma;
    if (dbeta)
      dbeta[i] = (float)by_beta;
    slope[i] = (float)factor;
    tilt[i] = (float)per_x;
    level[i] = (float)(-factor * by_beta / (double)rows);
  }
  if (!dx)
    return;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < rows; row++)
    for (int i = 0; i < c; i += VEC_WIDTH) {
      int left = c - i;
      Vec away = vec_sub(vec_load_upto(x + row * c + i, left), vec_load_upto(save_mean + i, left));
      Vec v = vec_fma(away, vec_load_upto(tilt + i, left), vec_load_upto(level + i, left));
      v = vec_fma(vec_load_upto(dy + row * c + i, left), vec_load_upto(slope + i, left), v);
      vec_store_upto(dx + row * c + i, v, left);
    }
}

/* The gradient where the moving statistics were used: dx = dy gamma / sqrt(var + epsilon) (NULL if not
 * wanted, may be dy); dgamma = sum dy (x - mean) / sqrt(var + epsilon), dbeta = sum dy (NULL if not wanted;
 * with both NULL x may be too).  Scratch. */
static void batchnorm_infer_bwd(int64_t rows, int c, const float *x, const float *gamma, const float *mean,
                                const float *var, float epsilon, const float *dy, float *dx, float *dgamma,
                                float *dbeta, const Work *work) {
  if (dgamma || dbeta) {
    batchnorm_sum(rows, c, x, dy, mean, work);
    BatchnormSums total = batchnorm_part(work, c, 0);
    for (int i = 0; i < c; i++) {
      if (dgamma)
        dgamma[i] = (float)(total.second[i] / sqrt((double)var[i] + (double)epsilon));
      if (dbeta)
        dbeta[i] = (float)total.first[i];
    }
  }
  if (!dx)
    return;
  float *scale = batchnorm_floats(work, c, 0), *offset = scale + c;
  for (int i = 0; i < c; i++) {
    scale[i] = (gamma ? gamma[i] : 1) / sqrtf(var[i] + epsilon);
    offset[i] = 0;
  }
  batchnorm_affine(rows, c, dy, scale, offset, dx, work);
}

/* Works a normalisation on moving statistics into the weights before it: w [rows][k] of a convolution (rows =
 * R S C), a dense layer (rows = inputs) or, with k = C * multiplier, a depthwise convolution (rows = R S).
 * w_out = w * scale, bias_out = (bias - mean) * scale + beta, scale = gamma / sqrt(var + epsilon); bias,
 * gamma and beta may be NULL.  In place allowed. */
static void batchnorm_fold(int64_t rows, int k, const float *w, const float *bias, const float *gamma,
                           const float *beta, const float *mean, const float *var, float epsilon,
                           float *w_out, float *bias_out, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t row = 0; row < rows; row++)
    for (int i = 0; i < k; i++)
      w_out[row * k + i] = w[row * k + i] * ((gamma ? gamma[i] : 1) / sqrtf(var[i] + epsilon));
  for (int i = 0; i < k; i++) {
    float scale = (gamma ? gamma[i] : 1) / sqrtf(var[i] + epsilon);
    bias_out[i] = ((bias ? bias[i] : 0) - mean[i]) * scale + (beta ? beta[i] : 0);
  }
}
#endif
