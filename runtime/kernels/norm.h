/* Normalisation within one image: Keras's GroupNormalization and LayerNormalization.
 *
 * x [n, pixels, channels] dense; each of the `groups` stretches of channels / groups channels is brought to
 * mean 0 and variance 1 over all pixels, then scaled by gamma and shifted by beta [channels] (either may be
 * NULL).  Statistics are taken in two passes, runs of values in single precision, what they add up to in
 * double.  save_mean and save_invstd [n * groups] are kept for the gradient. */
#ifndef NETC_KERNELS_NORM_H
#define NETC_KERNELS_NORM_H
#include "vec.h"
#include "work.h"
#include <math.h>
#include <stdint.h>

enum {
  NORM_RUN = 64,   /* vectors, or rows, that are added up in single precision */
  NORM_PARTS = 16, /* of the rows, at most, for the gradients by gamma and beta */
  NORM_BLOCK = 256 /* channels of a task of theirs */
};

/* One group of one image: `pixels` stretches of `width` floats, `ld` apart, of x, y (or dx) and dy. */
typedef struct NormUnit {
  int64_t pixels;
  int width, ld;
  const float *x, *dy;
  const float *gamma, *beta; /* [width], or NULL */
} NormUnit;

typedef enum NormTerm { NORM_DEVIATION, NORM_SQUARE, NORM_SLOPE } NormTerm;

VEC_INLINE Vec norm_slope(const NormUnit *u, int64_t pixel, int i) {
  Vec dy = vec_load_upto(u->dy + pixel * u->ld + i, u->width - i);
  return u->gamma ? vec_mul(dy, vec_load_upto(u->gamma + i, u->width - i)) : dy;
}

/* The sum over a unit of x - mean, of its square, or of the slope g = dy gamma; with the slope, *tilt is that
 * of g (x - mean) invstd.  `term` is a constant where this is called. */
VEC_INLINE double norm_sum(const NormUnit *u, NormTerm term, float mean, float invstd, double *tilt) {
  float means[VEC_WIDTH];
  for (int i = 0; i < VEC_WIDTH; i++)
    means[i] = mean;
  int whole = u->width / VEC_WIDTH * VEC_WIDTH, run = 0;
  /* In a part of a vector what lies beyond is 0, and its mean too. */
  Vec centre = vec_set(mean), last = vec_load_upto(means, u->width - whole), scale = vec_set(invstd);
  Vec sum = vec_zero(), along = vec_zero();
  double total = 0;
  *tilt = 0;
  for (int64_t pixel = 0; pixel < u->pixels; pixel++)
    for (int i = 0; i < u->width; i += VEC_WIDTH) {
      Vec away = vec_sub(vec_load_upto(u->x + pixel * u->ld + i, u->width - i), i < whole ? centre : last);
      Vec added = term == NORM_SLOPE ? norm_slope(u, pixel, i) : away;
      if (term == NORM_SQUARE)
        sum = vec_fma(away, away, sum);
      else
        sum = vec_add(sum, added);
      if (term == NORM_SLOPE)
        along = vec_fma(added, vec_mul(away, scale), along);
      if (++run == NORM_RUN) {
        total += (double)vec_sum(sum);
        *tilt += (double)vec_sum(along);
        sum = along = vec_zero();
        run = 0;
      }
    }
  *tilt += (double)vec_sum(along);
  return total + (double)vec_sum(sum);
}

/* Unit number `unit` of x, and of dy where there is one. */
static NormUnit norm_unit(int64_t unit, int64_t pixels, int channels, int groups, const float *x,
                          const float *dy, const float *gamma, const float *beta, int64_t *base) {
  int width = channels / groups, first = (int)(unit % groups) * width;
  *base = unit / groups * pixels * channels + first;
  return (NormUnit){.pixels = pixels,
                    .width = width,
                    .ld = channels,
                    .x = x + *base,
                    .dy = dy ? dy + *base : NULL,
                    .gamma = gamma ? gamma + first : NULL,
                    .beta = beta ? beta + first : NULL};
}

static void norm_unit_fwd(const NormUnit *u, float epsilon, float *save_mean, float *save_invstd, float *y) {
  double count = (double)u->pixels * u->width, unused, from = (double)u->x[0];
  double middle = from + norm_sum(u, NORM_DEVIATION, u->x[0], 1.0f, &unused) / count;
  float mean = (float)middle;
  double off = middle - (double)mean, squares = norm_sum(u, NORM_SQUARE, mean, 1.0f, &unused);
  float invstd = (float)(1 / sqrt(fmax(squares / count - off * off, 0) + (double)epsilon));
  if (save_mean)
    *save_mean = mean;
  if (save_invstd)
    *save_invstd = invstd;
  Vec centre = vec_set(mean), scale = vec_set(invstd);
  for (int64_t pixel = 0; pixel < u->pixels; pixel++)
    for (int i = 0; i < u->width; i += VEC_WIDTH) {
      int left = u->width - i;
      Vec even = vec_mul(vec_sub(vec_load_upto(u->x + pixel * u->ld + i, left), centre), scale);
      if (u->gamma)
        even = vec_mul(even, vec_load_upto(u->gamma + i, left));
      if (u->beta)
        even = vec_add(even, vec_load_upto(u->beta + i, left));
      vec_store_upto(y + pixel * u->ld + i, even, left);
    }
}

/* In place allowed.  save_mean and save_invstd may be NULL where no gradient follows. */
static void group_norm_fwd(int n, int64_t pixels, int channels, int groups, const float *x,
                           const float *gamma, const float *beta, float epsilon, float *save_mean,
                           float *save_invstd, float *y, const Work *work) {
  (void)work;
  WORK_PARALLEL_CALLS(work)
  for (int64_t unit = 0; unit < (int64_t)n * groups; unit++) {
    int64_t base;
    NormUnit u = norm_unit(unit, pixels, channels, groups, x, NULL, gamma, beta, &base);
    norm_unit_fwd(&u, epsilon, save_mean ? save_mean + unit : NULL, save_invstd ? save_invstd + unit : NULL,
                  y + base);
  }
}

static void norm_unit_bwd(const NormUnit *u, float mean, float invstd, float *dx) {
  double count = (double)u->pixels * u->width, tilt, sum = norm_sum(u, NORM_SLOPE, mean, invstd, &tilt);
  Vec level = vec_set((float)(sum / count)), turn = vec_set((float)(tilt / count)), centre = vec_set(mean),
      scale = vec_set(invstd);
  for (int64_t pixel = 0; pixel < u->pixels; pixel++)
    for (int i = 0; i < u->width; i += VEC_WIDTH) {
      int left = u->width - i;
      Vec even = vec_mul(vec_sub(vec_load_upto(u->x + pixel * u->ld + i, left), centre), scale);
      Vec slope = vec_sub(norm_slope(u, pixel, i), level);
      vec_store_upto(dx + pixel * u->ld + i, vec_mul(scale, vec_fnma(even, turn, slope)), left);
    }
}

/* Scratch of group_norm_bwd, shared by the threads. */
static inline size_t group_norm_scratch_floats(int channels) {
  return NORM_PARTS * 2 * (((size_t)channels + 15) / 16 * 16);
}

/* What the gradients by gamma and beta are sums over. */
typedef struct NormRows {
  int64_t pixels;
  int channels, groups;
  const float *x, *dy, *mean, *invstd;
} NormRows;

/* mean and scale of channels [c, c + count) of an image. */
static void norm_spread(const NormRows *r, int64_t image, int c, int count, float *mean, float *scale) {
  int width = r->channels / r->groups;
  for (int i = 0; i < count;) {
    int group = (c + i) / width, end = (group + 1) * width - c < count ? (group + 1) * width - c : count;
    float of_group = r->mean[image * r->groups + group], its = r->invstd[image * r->groups + group];
    for (; i < end; i++) {
      mean[i] = of_group;
      scale[i] = its;
    }
  }
}

/* by_gamma and by_beta [count] += rows [begin, end), channels from c on, count <= NORM_BLOCK. */
static void norm_sum_rows(const NormRows *r, int64_t begin, int64_t end, int c, int count, float *by_gamma,
                          float *by_beta) {
  float mean[NORM_BLOCK], scale[NORM_BLOCK], gamma[NORM_BLOCK], beta[NORM_BLOCK];
  for (int i = 0; i < count; i++)
    gamma[i] = beta[i] = 0;
  for (int64_t row = begin; row < end; row++) {
    const float *x = r->x + row * r->channels + c, *dy = r->dy + row * r->channels + c;
    if (row == begin || row % r->pixels == 0)
      norm_spread(r, row / r->pixels, c, count, mean, scale);
    for (int i = 0; i < count; i += VEC_WIDTH) {
      int left = count - i;
      Vec slope = vec_load_upto(dy + i, left),
          even = vec_mul(vec_sub(vec_load_upto(x + i, left), vec_load_upto(mean + i, left)),
                         vec_load_upto(scale + i, left));
      vec_store_upto(gamma + i, vec_fma(slope, even, vec_load_upto(gamma + i, left)), left);
      vec_store_upto(beta + i, vec_add(slope, vec_load_upto(beta + i, left)), left);
    }
  }
  for (int i = 0; i < count; i++) {
    by_gamma[i] += gamma[i];
    by_beta[i] += beta[i];
  }
}

/* The sums of a task: part `part` of `parts` of the rows, NORM_BLOCK channels from c on.  sums: [part][by
 * gamma, by beta][channels]. */
static void norm_sum_part(const NormRows *r, int64_t rows, int part, int parts, int c, float *sums) {
  int count = r->channels - c < NORM_BLOCK ? r->channels - c : NORM_BLOCK;
  float *by_gamma = sums + (ptrdiff_t)part * 2 * r->channels + c, *by_beta = by_gamma + r->channels;
  int64_t begin = rows * part / parts, end = rows * (part + 1) / parts;
  for (int i = 0; i < count; i++)
    by_gamma[i] = by_beta[i] = 0;
  for (int64_t row = begin; row < end; row += NORM_RUN)
    norm_sum_rows(r, row, row + NORM_RUN < end ? row + NORM_RUN : end, c, count, by_gamma, by_beta);
}

/* to[c] (or NULL) = the sum of parts. */
static void norm_add_parts(int parts, int channels, const float *sums, float *to) {
  for (int c = 0; to && c < channels; c++) {
    double sum = 0;
    for (int part = 0; part < parts; part++)
      sum += (double)sums[(ptrdiff_t)part * 2 * channels + c];
    to[c] = (float)sum;
  }
}

/* With e = (x - mean) invstd: dgamma = sum dy e, dbeta = sum dy (overwritten, NULL if not wanted) and
 * dx = invstd (g - mean(g) - e mean(g e)), g = dy gamma (NULL if not wanted; may be dy).  Scratch.  Rows are
 * summed in parts that follow from their number alone: the same bits for any number of threads. */
static void group_norm_bwd(int n, int64_t pixels, int channels, int groups, const float *x,
                           const float *gamma, const float *save_mean, const float *save_invstd,
                           const float *dy, float *dx, float *dgamma, float *dbeta, const Work *work) {
  if (dgamma || dbeta) {
    const NormRows rows = {pixels, channels, groups, x, dy, save_mean, save_invstd};
    int64_t count = n * pixels;
    int parts = count < NORM_PARTS * NORM_RUN ? (int)(count / NORM_RUN) : NORM_PARTS;
    int blocks = (channels + NORM_BLOCK - 1) / NORM_BLOCK;
    parts = parts > 1 ? parts : 1;
    WORK_PARALLEL_CALLS(work)
    for (int task = 0; task < parts * blocks; task++)
      norm_sum_part(&rows, count, task / blocks, parts, task % blocks * NORM_BLOCK, work->scratch);
    norm_add_parts(parts, channels, work->scratch, dgamma);
    norm_add_parts(parts, channels, work->scratch + channels, dbeta);
  }
  if (!dx)
    return;
  WORK_PARALLEL_CALLS(work)
  for (int64_t unit = 0; unit < (int64_t)n * groups; unit++) {
    int64_t base;
    NormUnit u = norm_unit(unit, pixels, channels, groups, x, dy, gamma, NULL, &base);
    norm_unit_bwd(&u, save_mean[unit], save_invstd[unit], dx + base);
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
