/* Layers that work along chosen axes: the axes are brought to the end, the work is done on rows, and the
 * order is restored. */
#ifndef NETC_OPS_AXES_H
#define NETC_OPS_AXES_H
#include "infer.h"
#include "lowering.h"

typedef struct Axes {
  int count;
  int axis[SHAPE_MAX_RANK]; /* places in the shape, in rising order */
  int64_t size;             /* entries along all of them */
} Axes;

/* The axes that a parameter names (an int or ints, as Keras counts them: 1 is the first of the shape, -1 the
 * last) of the layer's input.  False: reported. */
bool axes_of(const Layer *layer, const char *param, Arena *arena, Diag *diag, Axes *axes);
/* The same for a layer that was checked. */
Axes axes_checked(const Layer *layer, const char *param);
/* x as [other axes..., size]; a view where the axes stand last already. */
Value *axes_to_end(Builder *builder, Value *x, Axes axes);
/* The way back: y of the shape that axes_to_end made, to `shape`. */
Value *axes_restore(Builder *builder, Value *y, Axes axes, Shape shape);
/* x with its axes in another order: axis a of the result is axis order[a] of x. */
Value *axes_permute(Builder *builder, Value *x, const int *order);
#endif
