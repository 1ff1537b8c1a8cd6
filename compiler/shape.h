/* Tensor shapes without the batch dimension: [H, W, C] for images, [features] for flat values. */
#ifndef NETC_SHAPE_H
#define NETC_SHAPE_H
#include <stdbool.h>
#include <stdint.h>

enum { SHAPE_MAX_RANK = 4 };

typedef struct Shape {
  int rank;
  int dim[SHAPE_MAX_RANK];
} Shape;

static inline int64_t shape_count(Shape s) {
  int64_t n = 1;
  for (int i = 0; i < s.rank; i++)
    n *= s.dim[i];
  return n;
}

static inline bool shape_equal(Shape a, Shape b) {
  if (a.rank != b.rank)
    return false;
  for (int i = 0; i < a.rank; i++)
    if (a.dim[i] != b.dim[i])
      return false;
  return true;
}
#endif
