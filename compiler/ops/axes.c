#include "axes.h"
#include <string.h>

static bool axes_add(Axes *axes, int axis) {
  int at = axes->count;
  for (int i = 0; i < axes->count; i++)
    if (axes->axis[i] == axis)
      return false;
  for (; at && axes->axis[at - 1] > axis; at--)
    axes->axis[at] = axes->axis[at - 1];
  axes->axis[at] = axis;
  axes->count++;
  return true;
}

bool axes_of(const Layer *layer, const char *param, Arena *arena, Diag *diag, Axes *axes) {
  const Attr *attr = call_attr(&layer->call, param);
  Shape in = layer->inputs[0]->shape;
  int count = attr->kind == ATTR_INT ? 1 : attr->count;
  *axes = (Axes){.size = 1};
  for (int i = 0; i < count; i++) {
    int axis = infer_axis(layer, param, attr->kind == ATTR_INT ? attr->integer : attr->ints[i], arena, diag);
    if (axis < 0)
      return false;
    if (!axes_add(axes, axis)) {
      diag_error(diag, infer_span(layer, param), "`%s` names an axis twice", param);
      infer_note_input(layer, 0, arena, diag);
      return false;
    }
    axes->size *= in.dim[axis];
  }
  return true;
}

Axes axes_checked(const Layer *layer, const char *param) {
  Axes axes;
  axes_of(layer, param, NULL, NULL, &axes);
  return axes;
}

/* The axes of a shape with the chosen ones last; true where they are so already. */
static bool axes_order(Axes axes, int rank, int *order) {
  bool chosen[SHAPE_MAX_RANK] = {false}, same = true;
  int count = 0;
  for (int i = 0; i < axes.count; i++)
    chosen[axes.axis[i]] = true;
  for (int pass = 0; pass < 2; pass++)
    for (int a = 0; a < rank; a++)
      if (chosen[a] == (pass == 1)) {
        same = same && a == count;
        order[count++] = a;
      }
  return same;
}

Value *axes_permute(Builder *builder, Value *x, const int *order) {
  Shape shape = {.rank = x->shape.rank};
  int front = SHAPE_MAX_RANK - shape.rank; /* axes of length 1 in front */
  for (int a = 0; a < shape.rank; a++)
    shape.dim[a] = x->shape.dim[order[a]];
  Value *y = ir_unary(builder, OP_permute, x, shape);
  for (int a = 0; a < SHAPE_MAX_RANK; a++)
    y->def->attr.ints[a] = a < front ? a : order[a - front] + front;
  return y;
}

Value *axes_to_end(Builder *builder, Value *x, Axes axes) {
  int order[SHAPE_MAX_RANK], rank = x->shape.rank, rest = rank - axes.count;
  if (!axes_order(axes, rank, order))
    x = axes_permute(builder, x, order);
  if (axes.count == 1)
    return x;
  Shape shape = {.rank = rest + 1};
  memcpy(shape.dim, x->shape.dim, (size_t)rest * sizeof *shape.dim);
  shape.dim[rest] = (int)axes.size;
  return lower_reshape(builder, x, shape);
}

Value *axes_restore(Builder *builder, Value *y, Axes axes, Shape shape) {
  int order[SHAPE_MAX_RANK], back[SHAPE_MAX_RANK];
  bool same = axes_order(axes, shape.rank, order);
  Shape moved = {.rank = shape.rank};
  for (int a = 0; a < shape.rank; a++) {
    moved.dim[a] = shape.dim[order[a]];
    back[order[a]] = a;
  }
  if (axes.count > 1)
    y = lower_reshape(builder, y, moved);
  return same ? y : axes_permute(builder, y, back);
}
