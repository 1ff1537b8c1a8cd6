/* How a convolution or dense layer ends: the part of Epilogue that the tile does by clamping its sums, and
 * the rest. */
#ifndef NETC_KERNELS_EPILOGUE_H
#define NETC_KERNELS_EPILOGUE_H
#include "act.h"
#include "conv2d.h"
#include "tile.h"

/* As act_is_clamp. */
static inline bool epilogue_is_clamp(const Act *act, float *low, float *high) {
  return act_is_clamp(act, low, high);
}

/* Applies an activation that is no clamp, in place, to `columns` floats of each of `rows` rows of a stored
 * tile. */
static void epilogue_activate(const Act *act, float *y, const ptrdiff_t *at, int rows, int columns) {
  for (int r = 0; r < rows; r++)
    act_run(act, columns, y + at[r], y + at[r]);
}
#endif
