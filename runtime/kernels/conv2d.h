/* Two-dimensional convolution (cross-correlation, as Keras): geometry shared by all variants.
 *
 * y[n,p,q,k] = act(bias[k] + residual[n,p,q,k] + sum_{r,s,c} x[n, p*stride_h - pad_top + r*dilation_h,
 * ...][c] * w[r,s,c,k]) */
#ifndef NETC_KERNELS_CONV2D_H
#define NETC_KERNELS_CONV2D_H
#include "activation.h"
#include "work.h"
#include <stdbool.h>

typedef struct Conv2d {
  int in_h, in_w, in_c;
  int out_h, out_w, out_c;
  int kernel_h, kernel_w;
  int stride_h, stride_w;
  int pad_top, pad_left; /* bottom and right follow from the output size */
  int dilation_h, dilation_w;
  int groups; /* in_c and out_c are totals */
  int in_ld;  /* floats from one pixel of x (or dx) to the next; in_c, or more inside a concatenation */
  int out_ld; /* the same of y (or dy) */
} Conv2d;

/* Pixels that are a multiple of so many floats apart lie in the same sets of a first-level cache, which have
 * fewer lines than a register tile has pixels: each would push out the other. */
#define CONV_SAME_SET_FLOATS 1024

/* Whether the rows of an image, so many floats long, lie so that pixels one below the other share sets. */
static inline bool conv_rows_share_sets(int64_t row_floats) {
  return row_floats % CONV_SAME_SET_FLOATS == 0;
}

/* What is applied to the sums before they are stored: y = act(sum + bias + residual). */
typedef struct Epilogue {
  const float *bias;     /* [out_c] or NULL */
  const float *residual; /* same shape and out_ld as y, or NULL */
  Act act;
  bool max_pool; /* y is the maximum of each 2 x 2 block, [out_h / 2, out_w / 2]; only Winograd forward
                    convolutions with a clamp as activation and without residual do this */
  unsigned char *places; /* with max_pool: which of each block it was, as maxpool_fwd_places; or NULL */
  bool late;         /* y is read late, as in the steps of training: streamed where it outgrows the caches */
  const float *mask; /* like y, or NULL; gradients of x: what the clamp `act` made of x.  The sum, with the
                        residual, passes where the mask is inside the clamp; y may be the mask with
                        Winograd only */
} Epilogue;
#endif
