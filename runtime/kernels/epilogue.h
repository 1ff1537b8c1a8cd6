/* How a convolution or dense layer ends where its activation is no clamp: clamps (act_is_clamp) are done by
 * the tile as it stores its sums. */
#ifndef NETC_KERNELS_EPILOGUE_H
#define NETC_KERNELS_EPILOGUE_H
#include "act.h"
#include "conv2d.h"
#include "tile.h"

/* Applies an activation that is no clamp, in place, to `columns` floats of each of `rows` rows of a stored
 * tile. */
static void epilogue_activate(const Act *act, float *y, const ptrdiff_t *at, int rows, int columns) {
  for (int r = 0; r < rows; r++)
    act_run(act, columns, y + at[r], y + at[r]);
}
#endif
