#include "infer.h"
#include "../conv.h"
#include <limits.h>
#include <string.h>

Span infer_span(const Layer *layer, const char *param) {
  const Attr *attr = call_attr(&layer->call, param);
  return attr->given ? attr->span : layer->span;
}

const char *infer_shape_text(Arena *arena, Shape shape) {
  const char *text = "[";
  for (int i = 0; i < shape.rank; i++)
    text = arena_printf(arena, "%s%s%d", text, i ? ", " : "", shape.dim[i]);
  return arena_printf(arena, "%s]", text);
}

void infer_note_input(const Layer *layer, int index, Arena *arena, Diag *diag) {
  const Layer *input = layer->inputs[index];
  diag_note(diag, input->span, "`%s` has shape %s, inferred here", input->name,
            infer_shape_text(arena, input->shape));
}

bool infer_image(const Layer *layer, Arena *arena, Diag *diag) {
  Shape shape = layer->inputs[0]->shape;
  if (shape.rank == 3)
    return true;
  diag_error(diag, layer->span, "`%s` wants an image [height, width, channels], got %s",
             layer->op->signature.name, infer_shape_text(arena, shape));
  infer_note_input(layer, 0, arena, diag);
  if (shape.rank == 1)
    diag_help(diag, "put it before `flatten`, or give the values a shape with `reshape`");
  return false;
}

bool infer_at_least(const Layer *layer, const char *param, int64_t least, Diag *diag) {
  const Attr *attr = call_attr(&layer->call, param);
  if (attr->kind == ATTR_NONE)
    return true;
  int64_t lowest = attr->kind == ATTR_INT ? attr->integer : INT64_MAX,
          highest = attr->kind == ATTR_INT ? attr->integer : 0;
  for (int i = 0; attr->kind == ATTR_INTS && i < attr->count; i++) {
    lowest = attr->ints[i] < lowest ? attr->ints[i] : lowest;
    highest = attr->ints[i] > highest ? attr->ints[i] : highest;
  }
  if (lowest < least) {
    diag_error(diag, infer_span(layer, param), "`%s` must be at least %lld, got %lld", param,
               (long long)least, (long long)lowest);
    return false;
  }
  if (highest > INT_MAX) {
    diag_error(diag, infer_span(layer, param), "`%s` is too large: %lld", param, (long long)highest);
    return false;
  }
  return true;
}

bool infer_between(const Layer *layer, const char *param, double low, double high, Diag *diag) {
  double value = call_float(&layer->call, param);
  if (value >= low && value < high)
    return true;
  diag_error(diag, infer_span(layer, param), "`%s` must be at least %g and below %g, got %g", param, low,
             high, value);
  return false;
}

bool infer_steps(const Layer *layer, Diag *diag) {
  const int64_t *stride = call_ints(&layer->call, "strides"),
                *dilation = call_ints(&layer->call, "dilation_rate");
  if ((stride[0] == 1 && stride[1] == 1) || (dilation[0] == 1 && dilation[1] == 1))
    return true;
  diag_error(diag, infer_span(layer, "dilation_rate"),
             "strides and dilation cannot both be above 1, as in Keras");
  return false;
}

bool infer_same(const Layer *layer) {
  return !strcmp(call_text(&layer->call, "padding"), "same");
}

bool infer_window(const Layer *layer, const char *window_param, const int64_t *stride,
                  const int64_t *dilation, Arena *arena, Diag *diag, int64_t out[2]) {
  static const char *const side[] = {"height", "width"};
  const int64_t *window = call_ints(&layer->call, window_param);
  bool same = infer_same(layer);
  for (int i = 0; i < 2; i++) {
    int64_t in = layer->inputs[0]->shape.dim[i];
    int64_t reach = conv_reach(window[i], dilation ? dilation[i] : 1);
    if (same) {
      out[i] = (in + stride[i] - 1) / stride[i];
      continue;
    }
    if (reach > in) {
      diag_error(diag, infer_span(layer, window_param),
                 "the window's %s of %lld does not fit into an input of %s %lld", side[i], (long long)reach,
                 side[i], (long long)in);
      infer_note_input(layer, 0, arena, diag);
      diag_help(diag, "use `same` padding, a smaller window, or a larger input");
      return false;
    }
    out[i] = (in - reach) / stride[i] + 1;
  }
  return true;
}

bool infer_set(Layer *layer, int rank, const int64_t *dims, Arena *arena, Diag *diag) {
  int64_t count = 1;
  const char *text = "[";
  bool fits = true;
  for (int i = 0; i < rank; i++) {
    text = arena_printf(arena, "%s%s%lld", text, i ? ", " : "", (long long)dims[i]);
    fits = fits && dims[i] >= 1 && dims[i] <= INT_MAX && count <= INT_MAX / dims[i];
    if (fits)
      count *= dims[i];
  }
  if (!fits) {
    bool empty = false;
    for (int i = 0; i < rank; i++)
      empty = empty || dims[i] < 1;
    diag_error(diag, layer->span, "the output of `%s` would be %s]: %s", layer->op->signature.name, text,
               empty ? "nothing is left" : "too large");
    if (layer->input_count)
      infer_note_input(layer, 0, arena, diag);
    return false;
  }
  layer->shape.rank = rank;
  for (int i = 0; i < rank; i++)
    layer->shape.dim[i] = (int)dims[i];
  return true;
}

bool infer_keep(Layer *layer, Arena *arena, Diag *diag) {
  (void)arena, (void)diag;
  layer->shape = layer->inputs[0]->shape;
  return true;
}

int infer_axis(const Layer *layer, const char *param, int64_t axis, Arena *arena, Diag *diag) {
  int rank = layer->inputs[0]->shape.rank;
  int64_t index = axis < 0 ? axis + rank : axis - 1;
  if (index >= 0 && index < rank)
    return (int)index;
  diag_error(diag, infer_span(layer, param), "`%s` %lld is outside an input of shape %s", param,
             (long long)axis, infer_shape_text(arena, layer->inputs[0]->shape));
  diag_help(diag, "axis 0 is the batch, 1 the first of the shape, -1 the last");
  return -1;
}

const int64_t *infer_pool_strides(const Layer *layer) {
  const int64_t *strides = call_ints(&layer->call, "strides");
  return strides ? strides : call_ints(&layer->call, "pool_size");
}
