/* Geometry of a pooling window, per image. */
#ifndef NETC_KERNELS_POOL2D_H
#define NETC_KERNELS_POOL2D_H
#include <stddef.h>

typedef struct Pool2d {
  int in_h, in_w, channels;
  int out_h, out_w;
  int pool_h, pool_w, stride_h, stride_w;
  int pad_top, pad_left;
  int in_ld;  /* floats from one pixel of x (or dx) to the next */
  int out_ld; /* the same of y (or dy) */
} Pool2d;

/* Bytes per image of where in their windows the maxima of a pooling were: one for each output, a multiple of
 * 4. */
static inline size_t pool_places_bytes(int out_h, int out_w, int channels) {
  return ((size_t)out_h * (size_t)out_w * (size_t)channels + 3) / 4 * 4;
}
#endif
