/* Starting weights (Keras's initializers) from a seed: the same numbers for any thread count and order. */
#ifndef NETC_WEIGHTS_INIT_H
#define NETC_WEIGHTS_INIT_H
#include "../model.h"
#include "../random.h"
#include <stdbool.h>
#include <stdlib.h>

/* Rows are made orthonormal one after another by Gram and Schmidt, twice for rounding.  a [rows][columns],
 * rows <= columns. */
static void init_orthonormalize(double *a, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++) {
    double *row = a + r * columns, squares = 0;
    for (int turn = 0; turn < 2; turn++) {
      for (size_t k = 0; k < r; k++) {
        const double *other = a + k * columns;
        double along = 0;
        for (size_t c = 0; c < columns; c++)
          along += row[c] * other[c];
        for (size_t c = 0; c < columns; c++)
          row[c] -= along * other[c];
      }
    }
    for (size_t c = 0; c < columns; c++)
      squares += row[c] * row[c];
    double scale = squares > 0 ? 1 / sqrt(squares) : 0;
    for (size_t c = 0; c < columns; c++)
      row[c] *= scale;
  }
}

/* Keras's Orthogonal: the weight as a matrix of (all but the last dimension) x last, with orthonormal rows or
 * columns, whichever are fewer, times the gain.  False: no memory. */
static bool init_orthogonal(const ModelWeight *weight, uint64_t seed, uint64_t stream, float *w) {
  size_t columns = weight->rank ? (size_t)weight->dim[weight->rank - 1] : 1, rows = weight->count / columns;
  bool wide = rows <= columns;
  size_t few = wide ? rows : columns, many = wide ? columns : rows;
  double *a = malloc(few * many * sizeof *a);
  if (!a)
    return false;
  for (size_t i = 0; i < few * many; i++)
    a[i] = random_normal(seed, stream, i);
  init_orthonormalize(a, few, many);
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++)
      w[r * columns + c] = (float)(weight->a * (wide ? a[r * many + c] : a[c * many + r]));
  free(a);
  return true;
}

static float init_draw(const ModelWeight *weight, uint64_t seed, uint64_t stream, uint64_t i) {
  switch (weight->init) {
  case MODEL_INIT_UNIFORM:
    return (float)(weight->a + (weight->b - weight->a) * random_uniform(seed, stream, i));
  case MODEL_INIT_NORMAL:
    return (float)(weight->a + weight->b * random_normal(seed, stream, i));
  case MODEL_INIT_TRUNCATED_NORMAL:
    for (uint64_t turn = 0;; turn++) {
      double z = random_normal(seed, stream + (turn << 32), i);
      if (z >= -2 && z <= 2)
        return (float)(weight->a + weight->b * z);
    }
  default:
    return (float)weight->a;
  }
}

/* Fills `params` ([info->param_floats]) as the .net file says; weights marked in `loaded` ([weight_count], or
 * NULL) are left alone.  False: no memory. */
static bool init_missing(const ModelInfo *info, uint64_t seed, float *params, const bool *loaded) {
  for (int k = 0; k < info->weight_count; k++) {
    const ModelWeight *weight = &info->weights[k];
    float *w = params + weight->offset;
    uint64_t stream = 0x696e6974u + (weight->seeded ? 0 : (uint64_t)k),
             own = weight->seeded ? weight->seed : seed;
    if (loaded && loaded[k])
      continue;
    if (weight->init == MODEL_INIT_ORTHOGONAL) {
      if (!init_orthogonal(weight, own, stream, w))
        return false;
      continue;
    }
    if (weight->init == MODEL_INIT_IDENTITY) {
      size_t columns = weight->rank ? (size_t)weight->dim[weight->rank - 1] : 1;
      for (size_t i = 0; i < weight->count; i++)
        w[i] = i / columns == i % columns ? (float)weight->a : 0;
      continue;
    }
#ifdef _OPENMP
#pragma omp parallel for schedule(static) if (weight->count > 100000)
#endif
    for (size_t i = 0; i < weight->count; i++)
      w[i] = init_draw(weight, own, stream, i);
  }
  return true;
}

static bool init_weights(const ModelInfo *info, uint64_t seed, float *params) {
  return init_missing(info, seed, params, NULL);
}
#endif
