/* Starting values of weights, by counter: value i of weight w depends on the seed, w and i alone. */
#ifndef NETC_RUNTIME_INIT_H
#define NETC_RUNTIME_INIT_H
#include <stdlib.h>
#include <string.h>

#include "draws.h"
#include "model.h"

/* Standard normal within two deviations; redrawn beyond, as Keras's truncated normal. */
static double init_truncated(uint64_t seed, uint64_t index) {
  for (uint64_t attempt = 0;; attempt++) {
    double value = draws_normal(draws_stream(seed, attempt), index);
    if (fabs(value) <= 2)
      return value;
  }
}

/* An orthogonal matrix times `gain`, [rows, columns] with rows = count / last dimension: modified Gram-Schmidt over a
 * normal matrix, done twice for accuracy, signs as a QR decomposition with a positive diagonal has them.  Falls back
 * to a scaled normal draw where memory is short. */
static void init_orthogonal(uint64_t seed, int rows, int columns, double gain, float *values) {
  int length = rows > columns ? rows : columns, vectors = rows > columns ? columns : rows;
  double *basis = malloc(sizeof *basis * (size_t)length * (size_t)vectors);
  for (int v = 0; basis && v < vectors; v++) {
    double *own = basis + (size_t)v * (size_t)length;
    for (int i = 0; i < length; i++)
      own[i] = draws_normal(seed, (uint64_t)v * (uint64_t)length + (uint64_t)i);
    for (int pass = 0; pass < 2; pass++) {
      for (int u = 0; u < v; u++) {
        const double *other = basis + (size_t)u * (size_t)length;
        double dot = 0;
        for (int i = 0; i < length; i++)
          dot += own[i] * other[i];
        for (int i = 0; i < length; i++)
          own[i] -= dot * other[i];
      }
      double norm = 0;
      for (int i = 0; i < length; i++)
        norm += own[i] * own[i];
      norm = sqrt(norm);
      for (int i = 0; i < length; i++)
        own[i] /= norm;
    }
  }
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < columns; c++) {
      size_t at = (size_t)r * (size_t)columns + (size_t)c;
      if (!basis)
        values[at] = (float)(gain * draws_normal(seed, at) / sqrt(length));
      else if (rows > columns)
        values[at] = (float)(gain * basis[(size_t)c * (size_t)length + (size_t)r]);
      else
        values[at] = (float)(gain * basis[(size_t)r * (size_t)length + (size_t)c]);
    }
  free(basis);
}

/* Fills all weights of a model with their starting values.  `params` [param_floats]. */
static void init_weights(const ModelInfo *info, uint64_t seed, float *params) {
  for (int w = 0; w < info->weight_count; w++) {
    const ModelWeight *weight = &info->weights[w];
    uint64_t own = draws_stream(seed, (uint64_t)w + 1);
    float *values = params + weight->offset;
    int columns = weight->rank ? weight->dim[weight->rank - 1] : 1;
    int rows = columns ? (int)(weight->count / (size_t)columns) : 0;
    if (weight->init == MODEL_INIT_ORTHOGONAL) {
      init_orthogonal(own, rows, columns, weight->a, values);
      continue;
    }
    for (size_t i = 0; i < weight->count; i++) {
      switch (weight->init) {
      case MODEL_INIT_UNIFORM:
        values[i] = (float)(weight->a + (weight->b - weight->a) * draws_uniform(own, i));
        break;
      case MODEL_INIT_NORMAL:
        values[i] = (float)(weight->a + weight->b * draws_normal(own, i));
        break;
      case MODEL_INIT_TRUNCATED_NORMAL:
        values[i] = (float)(weight->a + weight->b * init_truncated(own, i));
        break;
      case MODEL_INIT_IDENTITY:
        values[i] = (float)(i / (size_t)columns == i % (size_t)columns ? weight->a : 0);
        break;
      default:
        values[i] = (float)weight->a;
        break;
      }
    }
  }
}
#endif
