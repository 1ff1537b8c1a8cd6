/* Batch normalisation over the last axis: x [rows][c], dense.  Formulas: Keras's BatchNormalization.
 *
 * An activation, and in the forward direction a sum with another tensor of the same shape before it, are done
 * where the normalised values are made; the gradient makes the values that the activation saw again from x,
 * so that neither they nor the activation's results are kept.  x is read twice forward and twice backward.
 *
 * Sums over rows are taken in a fixed number of parts, each in double over short runs of float, and added in
 * order: the same bits for any number of threads.  Kernels that say "scratch" use batchnorm_scratch_floats(c)
 * of it. */
#ifndef NETC_KERNELS_BATCHNORM_H
#define NETC_KERNELS_BATCHNORM_H
#include "act.h"
#include "work.h"
#include <stdbool.h>

enum {
  BATCHNORM_PARTS = 8,
  BATCHNORM_RUN = 64,       /* rows that are summed in float */
  BATCHNORM_SAMPLES = 16,   /* rows that give the shift of the variance */
  BATCHNORM_FLOATS = 5,     /* arrays [c] besides the sums */
  BATCHNORM_BLOCK = 262144, /* floats that a thread maps before it goes back to those in front of them */
  BATCHNORM_STRETCH = 256   /* floats of an activation that is no clamp */
};
/* Vectors of channels that are summed side by side. */
#if VEC_REGISTERS >= 32
#define BATCHNORM_VECTORS 4
#else
#define BATCHNORM_VECTORS 2
#endif

static inline size_t batchnorm_scratch_floats(int c) {
  size_t wide = ((size_t)c + 15) / 16 * 16;
  return wide * (4 * BATCHNORM_PARTS + BATCHNORM_FLOATS); /* two double sums of each part, then floats */
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
/* The float arrays [c] behind the sums. */
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

/* z = x * scale + offset, per channel, is what the activation sees; where that is a clamp, only gradients at
 * low < z < high pass it. */
typedef struct BatchnormMap {
  const float *scale, *offset;
  float low, high;
  const float *residual; /* [rows][c] that is added to z, or NULL */
  const Act *rest;       /* the activation, where it is no clamp */
} BatchnormMap;

static inline BatchnormMap batchnorm_map(const Act *act, const float *scale, const float *offset) {
  BatchnormMap map = {.scale = scale, .offset = offset};
  map.rest = act_is_clamp(act, &map.low, &map.high) ? NULL : act;
  return map;
}

VEC_INLINE Vec batchnorm_masked(Vec x, Vec dy, Vec scale, Vec offset, Vec low, Vec high) {
  Vec z = vec_fma(x, scale, offset);
  return vec_select_gt(z, low, vec_select_gt(high, z, dy, vec_zero()), vec_zero());
}

/* What is summed.  b == NULL: of a - shift and its square.  Else of the gradient b, and b (a - shift), with
 * `map` where a clamp lets only some of b pass. */
typedef struct BatchnormTerms {
  const float *a, *b, *shift;
  const BatchnormMap *map; /* or NULL */
} BatchnormTerms;

/* Rows [run, stop) of `vectors` vectors of channels from i on; vectors, gradient and masked are constants
 * where this is inlined.  `left`: channels from i on, of which fewer than a vector need vectors == 1. */
VEC_INLINE void batchnorm_sum_run(const BatchnormTerms *terms, int64_t run, int64_t stop, int c, int i,
                                  int left, int vectors, bool gradient, bool masked, BatchnormSums sums) {
  Vec centre[BATCHNORM_VECTORS], scale[BATCHNORM_VECTORS], offset[BATCHNORM_VECTORS],
      first[BATCHNORM_VECTORS], second[BATCHNORM_VECTORS];
  Vec low = vec_set(masked ? terms->map->low : 0), high = vec_set(masked ? terms->map->high : 0);
  VEC_UNROLL
  for (int v = 0; v < vectors; v++) {
    centre[v] = vec_load_upto(terms->shift + i + v * VEC_WIDTH, left);
    scale[v] = masked ? vec_load_upto(terms->map->scale + i + v * VEC_WIDTH, left) : vec_zero();
    offset[v] = masked ? vec_load_upto(terms->map->offset + i + v * VEC_WIDTH, left) : vec_zero();
    first[v] = second[v] = vec_zero();
  }
  const float *a = terms->a + run * c + i, *b = gradient ? terms->b + run * c + i : NULL;
  ptrdiff_t ahead = vec_rows_ahead(c);
  for (int64_t row = run; row < stop; row++, a += c) {
    VEC_UNROLL
    for (int v = 0; v < vectors; v++) {
      Vec value = vec_load_upto(a + v * VEC_WIDTH, left), away = vec_sub(value, centre[v]), other = away;
      if (v * VEC_WIDTH % VEC_LINE == 0) {
        VEC_FETCH_FAR(a + v * VEC_WIDTH + ahead);
        if (gradient)
          VEC_FETCH_FAR(b + v * VEC_WIDTH + ahead);
      }
      if (gradient)
        other = vec_load_upto(b + v * VEC_WIDTH, left);
      if (masked)
        other = batchnorm_masked(value, vec_loaded(other), scale[v], offset[v], low, high);
      first[v] = vec_add(first[v], other);
      second[v] = vec_fma(away, other, second[v]);
    }
    b = gradient ? b + c : NULL;
  }
  VEC_UNROLL
  for (int v = 0; v < vectors; v++) {
    batchnorm_add(sums.first + i + v * VEC_WIDTH, first[v], left);
    batchnorm_add(sums.second + i + v * VEC_WIDTH, second[v], left);
  }
}

VEC_INLINE void batchnorm_sum_rows(const BatchnormTerms *terms, int64_t begin, int64_t end, int c,
                                   bool gradient, bool masked, BatchnormSums sums) {
  for (int64_t run = begin; run < end; run += BATCHNORM_RUN) {
    int64_t stop = run + BATCHNORM_RUN < end ? run + BATCHNORM_RUN : end;
    int i = 0;
    for (; i + BATCHNORM_VECTORS * VEC_WIDTH <= c; i += BATCHNORM_VECTORS * VEC_WIDTH)
      batchnorm_sum_run(terms, run, stop, c, i, VEC_WIDTH, BATCHNORM_VECTORS, gradient, masked, sums);
    for (; i + BATCHNORM_VECTORS / 2 * VEC_WIDTH <= c; i += BATCHNORM_VECTORS / 2 * VEC_WIDTH)
      batchnorm_sum_run(terms, run, stop, c, i, VEC_WIDTH, BATCHNORM_VECTORS / 2, gradient, masked, sums);
    for (; i < c; i += VEC_WIDTH)
      batchnorm_sum_run(terms, run, stop, c, i, c - i, 1, gradient, masked, sums);
  }
}

static void batchnorm_sum_part(const BatchnormTerms *terms, int64_t rows, int c, int part,
                               BatchnormSums sums) {
  for (int i = 0; i < c; i++)
    sums.first[i] = sums.second[i] = 0;
  int64_t begin = rows * part / BATCHNORM_PARTS, end = rows * (part + 1) / BATCHNORM_PARTS;
  if (!terms->b)
    batchnorm_sum_rows(terms, begin, end, c, false, false, sums);
  else if (!terms->map)
    batchnorm_sum_rows(terms, begin, end, c, true, false, sums);
  else
    batchnorm_sum_rows(terms, begin, end, c, true, true, sums);
}

/* The sums of all rows, in part 0. */
static void batchnorm_sum(const BatchnormTerms *terms, int64_t rows, int c, const Work *work) {
  WORK_PARALLEL_CALLS(work)
  for (int part = 0; part < BATCHNORM_PARTS; part++)
    batchnorm_sum_part(terms, rows, c, part, batchnorm_part(work, c, part));
  BatchnormSums total = batchnorm_part(work, c, 0);
  for (int part = 1; part < BATCHNORM_PARTS; part++) {
    BatchnormSums sums = batchnorm_part(work, c, part);
    for (int i = 0; i < c; i++) {
      total.first[i] += sums.first[i];
      total.second[i] += sums.second[i];
    }
  }
}

/* Where values are mapped one by one each thread takes a run of rows, blocks of them from its end to its
 * begin: what it read last for the sums is met first while it is in cache, and what follows finds the first
 * results there. */
static inline int64_t batchnorm_block_begin(int64_t begin, int64_t end, int c) {
  int64_t rows = c < BATCHNORM_BLOCK ? BATCHNORM_BLOCK / c : 1;
  return end - begin > rows ? end - rows : begin;
}
static inline int64_t batchnorm_share(int64_t rows, int thread, const Work *work) {
  return rows * thread / work->threads;
}

static void batchnorm_map_rows(const BatchnormMap *map, int64_t begin, int64_t end, int c, const float *x,
                               float *y) {
  Vec low = vec_set(map->low), high = vec_set(map->high);
  for (int64_t row = begin; row < end; row++) {
    const float *from = x + row * c, *add = map->residual ? map->residual + row * c : NULL;
    float *to = y + row * c;
    for (int i = 0; i < c; i += VEC_WIDTH) {
      int left = c - i;
      VEC_ASK(from, i);
      Vec v = vec_load_upto(from + i, left);
      v = vec_fma(v, vec_load_upto(map->scale + i, left), vec_load_upto(map->offset + i, left));
      if (add) {
        VEC_ASK(add, i);
        v = vec_add(v, vec_load_upto(add + i, left));
      }
      vec_store_upto(to + i, vec_min(high, vec_max(low, v)), left);
    }
    if (map->rest)
      act_run(map->rest, c, to, to);
  }
}

static void batchnorm_map_share(const BatchnormMap *map, int64_t begin, int64_t end, int c, const float *x,
                                float *y) {
  for (int64_t from; end > begin; end = from) {
    from = batchnorm_block_begin(begin, end, c);
    batchnorm_map_rows(map, from, end, c, x, y);
  }
}

/* y = act(x * scale + offset + residual).  y may be x or the residual. */
static void batchnorm_affine(int64_t rows, int c, const BatchnormMap *map, const float *x, float *y,
                             const Work *work) {
  WORK_PARALLEL_CALLS(work)
  for (int thread = 0; thread < work->threads; thread++)
    batchnorm_map_share(map, batchnorm_share(rows, thread, work), batchnorm_share(rows, thread + 1, work), c,
                        x, y);
}

/* y = gamma (x - mean) / sqrt(var + epsilon) + beta; gamma and beta may be NULL.  In place allowed.  Scratch.
 */
static void batchnorm_infer(int64_t rows, int c, const float *x, const float *gamma, const float *beta,
                            const float *mean, const float *var, float epsilon, float *y, const Work *work) {
  float *scale = batchnorm_floats(work, c, 0), *offset = batchnorm_floats(work, c, 1);
  for (int i = 0; i < c; i++) {
    scale[i] = (gamma ? gamma[i] : 1) / sqrtf(var[i] + epsilon);
    offset[i] = (beta ? beta[i] : 0) - mean[i] * scale[i];
  }
  BatchnormMap map = batchnorm_map(&(const Act){.kind = ACT_LINEAR}, scale, offset);
  batchnorm_affine(rows, c, &map, x, y, work);
}

/* gamma (x - mean) invstd + beta as x * scale + offset. */
static void batchnorm_train_factors(int c, const float *gamma, const float *beta, const float *save_mean,
                                    const float *save_invstd, float *scale, float *offset) {
  for (int i = 0; i < c; i++) {
    double slope = (gamma ? (double)gamma[i] : 1) * (double)save_invstd[i];
    scale[i] = (float)slope;
    offset[i] = (float)((beta ? (double)beta[i] : 0) - (double)save_mean[i] * slope);
  }
}

/* The same in scratch. */
static BatchnormMap batchnorm_train_map(int c, const float *gamma, const float *beta, const float *save_mean,
                                        const float *save_invstd, const Act *act, const Work *work) {
  float *scale = batchnorm_floats(work, c, 0), *offset = batchnorm_floats(work, c, 1);
  batchnorm_train_factors(c, gamma, beta, save_mean, save_invstd, scale, offset);
  return batchnorm_map(act, scale, offset);
}

/* y = act(gamma (x - save_mean) save_invstd + beta + residual): what batchnorm_train_fwd ends with, and what
 * makes its y again to the bit.  gamma, beta and residual may be NULL.  y may be x or the residual.  Scratch.
 */
static void batchnorm_train_apply(int64_t rows, int c, const float *x, const float *gamma, const float *beta,
                                  const float *save_mean, const float *save_invstd, const Act *act,
                                  const float *residual, float *y, const Work *work) {
  BatchnormMap map = batchnorm_train_map(c, gamma, beta, save_mean, save_invstd, act, work);
  map.residual = residual;
  batchnorm_affine(rows, c, &map, x, y, work);
}

/* The batch's own statistics: save_mean and save_invstd [c] are kept for the gradient; the moving ones become
 * moving * momentum + batch * (1 - momentum), with the population variance.  Both sums are taken in one
 * reading of x, around the mean of a few rows, so that a mean far from zero does not drown the variance.
 * Scratch. */
static void batchnorm_train_statistics(int64_t rows, int c, const float *x, float epsilon, float momentum,
                                       float *moving_mean, float *moving_var, float *save_mean,
                                       float *save_invstd, const Work *work) {
  int64_t samples = rows < BATCHNORM_SAMPLES ? rows : BATCHNORM_SAMPLES;
  float *shift = batchnorm_floats(work, c, 0);
  for (int i = 0; i < c; i++)
    shift[i] = 0;
  for (int64_t k = 0; k < samples; k++)
    for (int i = 0; i < c; i++)
      shift[i] += x[rows * k / samples * c + i] / (float)samples;
  batchnorm_sum(&(const BatchnormTerms){.a = x, .shift = shift}, rows, c, work);
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
}

/* batchnorm_train_statistics, and y as batchnorm_train_apply. */
static void batchnorm_train_fwd(int64_t rows, int c, const float *x, const float *gamma, const float *beta,
                                float epsilon, float momentum, float *moving_mean, float *moving_var,
                                float *save_mean, float *save_invstd, const Act *act, const float *residual,
                                float *y, const Work *work) {
  batchnorm_train_statistics(rows, c, x, epsilon, momentum, moving_mean, moving_var, save_mean, save_invstd,
                             work);
  batchnorm_train_apply(rows, c, x, gamma, beta, save_mean, save_invstd, act, residual, y, work);
}

/* The same where y is not made: readers of x make it of scale and offset [c] (channel_map.h). */
static void batchnorm_train_deferred(int64_t rows, int c, const float *x, const float *gamma,
                                     const float *beta, float epsilon, float momentum, float *moving_mean,
                                     float *moving_var, float *save_mean, float *save_invstd, float *scale,
                                     float *offset, const Work *work) {
  batchnorm_train_statistics(rows, c, x, epsilon, momentum, moving_mean, moving_var, save_mean, save_invstd,
                             work);
  batchnorm_train_factors(c, gamma, beta, save_mean, save_invstd, scale, offset);
}

/* dy times the slope of an activation that is no clamp, from values made again. */
static void batchnorm_slope_rows(const BatchnormMap *map, int64_t begin, int64_t end, int c, const float *x,
                                 const float *dy, float *dx) {
  for (int64_t row = begin; row < end; row++)
    for (int i = 0; i < c; i += BATCHNORM_STRETCH) {
      float z[BATCHNORM_STRETCH], y[BATCHNORM_STRETCH];
      int count = c - i < BATCHNORM_STRETCH ? c - i : BATCHNORM_STRETCH;
      int64_t at = row * c + i;
      for (int k = 0; k < count; k += VEC_WIDTH) {
        Vec v = vec_load_upto(x + at + k, count - k);
        v = vec_fma(v, vec_load_upto(map->scale + i + k, count - k),
                    vec_load_upto(map->offset + i + k, count - k));
        vec_store_upto(z + k, v, count - k);
      }
      act_run(map->rest, count, z, y);
      act_run_bwd(map->rest, count, z, y, dy + at, dx + at);
    }
}

/* dx = slope g + tilt (x - mean) + level: three factors for each channel; g = dy, or what of it passes the
 * clamp. */
typedef struct BatchnormBack {
  const float *mean, *slope, *tilt, *level;
  const BatchnormMap *map; /* or NULL */
} BatchnormBack;

VEC_INLINE void batchnorm_back_row(const BatchnormBack *back, int c, const float *x, const float *dy,
                                   float *dx, bool masked) {
  for (int i = 0; i < c; i += VEC_WIDTH) {
    int left = c - i;
    VEC_ASK(x, i);
    VEC_ASK(dy, i);
    Vec value = vec_load_upto(x + i, left), g = vec_load_upto(dy + i, left);
    if (masked)
      g = batchnorm_masked(value, vec_loaded(g), vec_load_upto(back->map->scale + i, left),
                           vec_load_upto(back->map->offset + i, left), vec_set(back->map->low),
                           vec_set(back->map->high));
    Vec away = vec_sub(value, vec_load_upto(back->mean + i, left));
    Vec v = vec_fma(away, vec_load_upto(back->tilt + i, left), vec_load_upto(back->level + i, left));
    vec_store_upto(dx + i, vec_fma(g, vec_load_upto(back->slope + i, left), v), left);
  }
}

static void batchnorm_back_rows(const BatchnormBack *back, int64_t begin, int64_t end, int c, const float *x,
                                const float *dy, float *dx) {
  for (int64_t row = begin; row < end; row++)
    if (back->map)
      batchnorm_back_row(back, c, x + row * c, dy + row * c, dx + row * c, true);
    else
      batchnorm_back_row(back, c, x + row * c, dy + row * c, dx + row * c, false);
}

static void batchnorm_back_share(const BatchnormBack *back, int64_t begin, int64_t end, int c, const float *x,
                                 const float *dy, float *dx) {
  for (int64_t from; end > begin; end = from) {
    from = batchnorm_block_begin(begin, end, c);
    batchnorm_back_rows(back, from, end, c, x, dy, dx);
  }
}

/* The gradient of batchnorm_train_fwd without a residual.  g = dy act'(z) with z made again from x and beta
 * (which is not looked at with ACT_LINEAR); dgamma = sum g (x - mean) invstd, dbeta = sum g (either may be
 * NULL); dx = gamma invstd (g - dbeta / rows - (x - mean) invstd dgamma / rows), may be dy; NULL if not
 * wanted and the activation is a clamp.  Scratch. */
static void batchnorm_train_bwd(int64_t rows, int c, const float *x, const float *gamma, const float *beta,
                                const float *save_mean, const float *save_invstd, const Act *act,
                                const float *dy, float *dx, float *dgamma, float *dbeta, const Work *work) {
  BatchnormMap made = batchnorm_train_map(c, gamma, beta, save_mean, save_invstd, act, work);
  const BatchnormMap *map = made.rest || act->kind == ACT_LINEAR ? NULL : &made;
  if (made.rest) {
    WORK_PARALLEL_CALLS(work)
    for (int thread = 0; thread < work->threads; thread++)
      batchnorm_slope_rows(&made, batchnorm_share(rows, thread, work),
                           batchnorm_share(rows, thread + 1, work), c, x, dy, dx);
    dy = dx;
  }
  batchnorm_sum(&(const BatchnormTerms){x, dy, save_mean, map}, rows, c, work);
  BatchnormSums total = batchnorm_part(work, c, 0);
  float *slope = batchnorm_floats(work, c, 2), *tilt = batchnorm_floats(work, c, 3),
        *level = batchnorm_floats(work, c, 4);
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
  const BatchnormBack back = {save_mean, slope, tilt, level, map};
  WORK_PARALLEL_CALLS(work)
  for (int thread = 0; thread < work->threads; thread++)
    batchnorm_back_share(&back, batchnorm_share(rows, thread, work), batchnorm_share(rows, thread + 1, work),
                         c, x, dy, dx);
}

/* The gradient where the moving statistics were used: dx = dy gamma / sqrt(var + epsilon) (NULL if not
 * wanted, may be dy); dgamma = sum dy (x - mean) / sqrt(var + epsilon), dbeta = sum dy (NULL if not wanted;
 * with both NULL x may be too).  Scratch. */
static void batchnorm_infer_bwd(int64_t rows, int c, const float *x, const float *gamma, const float *mean,
                                const float *var, float epsilon, const float *dy, float *dx, float *dgamma,
                                float *dbeta, const Work *work) {
  if (dgamma || dbeta) {
    batchnorm_sum(&(const BatchnormTerms){.a = x, .b = dy, .shift = mean}, rows, c, work);
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
  float *scale = batchnorm_floats(work, c, 0), *offset = batchnorm_floats(work, c, 1);
  for (int i = 0; i < c; i++) {
    scale[i] = (gamma ? gamma[i] : 1) / sqrtf(var[i] + epsilon);
    offset[i] = 0;
  }
  BatchnormMap map = batchnorm_map(&(const Act){.kind = ACT_LINEAR}, scale, offset);
  batchnorm_affine(rows, c, &map, dy, dx, work);
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
