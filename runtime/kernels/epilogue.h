/* How a convolution or dense layer ends: the part of Epilogue that the tile does by clamping its sums, and
 * the rest. */
#ifndef NETC_KERNELS_EPILOGUE_H
#define NETC_KERNELS_EPILOGUE_H
#include "act.h"
#include "conv2d.h"
#include "tile.h"

/* Whether the activation is a clamp; *low and *high are set either way (to no clamp where it is not). */
static inline bool epilogue_is_clamp(const Act *act, float *low, float *high) {
  *low = -INFINITY;
  *high = INFINITY;
  if (act->kind == ACT_LINEAR)
    return true;
  if (act->kind == ACT_RELU && act->b == 0.0f && act->c == 0.0f) {
    *low = 0.0f;
    *high = act->a;
    return true;
  }
  if (act->kind == ACT_RELU6) {
    *low = 0.0f;
    *high = 6.0f;
    return true;
  }
  return false;
}

/* Applies an activation that is no clamp, in place, to `columns` floats of each of `rows` rows of a stored
 * tile. */
static void epilogue_activate(const Act *act, float *y, const ptrdiff_t *at, int rows, int columns) {
  for (int r = 0; r < rows; r++)
    act_run(act, columns, y + at[r], y + at[r]);
}
#endif
