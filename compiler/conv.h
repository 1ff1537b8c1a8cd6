/* Convolutions apart from the IR: their algorithms, and what follows from their geometry. */
#ifndef NETC_CONV_H
#define NETC_CONV_H
#include "arena.h"
#include "strbuf.h"
#include "../runtime/kernels/conv2d.h"
#include <stdint.h>

/* WINOGRADm: output tiles of m x m pixels.  _RAW: from Keras's weights, with nothing packed before. */
typedef enum ConvAlgorithm {
  CONV_UNCHOSEN,
  CONV_DIRECT,
  CONV_WINOGRAD2,
  CONV_WINOGRAD4,
  CONV_WINOGRAD4_RAW,
  CONV_WINOGRAD5,
  CONV_WINOGRAD5_RAW,
  CONV_WINOGRAD6,
  CONV_WINOGRAD6_RAW,
} ConvAlgorithm;
enum { CONV_ALGORITHMS = CONV_WINOGRAD6_RAW + 1 };

/* As in M.tune; not chosen is direct. */
extern const char *const conv_algorithm_names[CONV_ALGORITHMS];
/* "direct, winograd2, ..." */
const char *conv_algorithm_list(Arena *arena);
/* Pixels along a side of Winograd's output tiles; 0: direct sums. */
int conv_tile(ConvAlgorithm algorithm);
bool conv_is_raw(ConvAlgorithm algorithm);
/* The same from Keras's weights, and from packed ones; what has no such variant stays as it is. */
ConvAlgorithm conv_raw(ConvAlgorithm algorithm);
ConvAlgorithm conv_packed(ConvAlgorithm algorithm);
/* "direct(", "winograd(6, ", "winograd_raw(6, ": what follows conv2d_fwd_, conv2d_bwd_x_ or conv2d_bwd_w_ in
 * a call of the algorithm's kernel; `what` is "" or as "_pack". */
const char *conv_call(ConvAlgorithm algorithm, const char *what, Arena *arena);

/* Pixels from the first of a window's taps to the last, both included. */
static inline int64_t conv_reach(int64_t taps, int64_t dilation) {
  return (taps - 1) * dilation + 1;
}
/* Of one image, by direct sums: a product and an addition each. */
int64_t conv_flops(const Conv2d *conv);
/* "3x3, stride 1x1, pad 1,1, dilation 1x1" */
void conv_print(const Conv2d *conv, StrBuf *out);
#endif
