/* What the shape rules of several operators share.  Every check reports at the argument at fault, adds a note
 * at the layer whose shape is in the way, and returns false. */
#ifndef NETC_OPS_INFER_H
#define NETC_OPS_INFER_H
#include "../graph.h"

/* The place of an argument: where it was written, or the whole call where it is a default. */
Span infer_span(const Layer *layer, const char *param);
/* "[8, 8, 4]" */
const char *infer_shape_text(Arena *arena, Shape shape);
/* "`h` has shape [8, 8, 4], inferred here" */
void infer_note_input(const Layer *layer, int index, Arena *arena, Diag *diag);
/* The input must be an image [height, width, channels]. */
bool infer_image(const Layer *layer, Arena *arena, Diag *diag);
/* An integer argument, or both of a pair, must be at least `least`. */
bool infer_at_least(const Layer *layer, const char *param, int64_t least, Diag *diag);
/* A float argument must lie in [low, high). */
bool infer_between(const Layer *layer, const char *param, double low, double high, Diag *diag);
/* A window's strides and dilation must not both be above 1. */
bool infer_steps(const Layer *layer, Diag *diag);
/* Whether the layer's `padding` is `same` rather than `valid`. */
bool infer_same(const Layer *layer);
/* Output size of a window that slides over the input image.  `same`: ceil(in / stride); `valid`: only whole
 * windows. `window`, `stride` and `dilation` are {height, width}; `dilation` may be NULL. */
bool infer_window(const Layer *layer, const char *window_param, const int64_t *stride,
                  const int64_t *dilation, Arena *arena, Diag *diag, int64_t out[2]);
/* Sets layer->shape; a dimension below 1 or a tensor of more than 2^31 - 1 floats is an error at the call. */
bool infer_set(Layer *layer, int rank, const int64_t *dims, Arena *arena, Diag *diag);
/* The shape rule of layers that keep the shape. */
bool infer_keep(Layer *layer, Arena *arena, Diag *diag);
/* Converts an axis argument (batch = 0, negative from the end) to an index into the shape, or -1 after an
 * error. */
int infer_axis(const Layer *layer, const char *param, int64_t axis, Arena *arena, Diag *diag);
/* Strides, or the window itself where `strides` is none. */
const int64_t *infer_pool_strides(const Layer *layer);

/* Parameters that many layers have in common, in Keras's words. */
#define PARAM_FILTERS                                                                                        \
  { "filters", P_INT, NULL, .doc = "number of output channels", .range = "> 0" }
#define PARAM_KERNEL_SIZE                                                                                    \
  { "kernel_size", P_PAIR, NULL, .doc = "height and width of the window", .range = "> 0" }
#define PARAM_STRIDES                                                                                        \
  { "strides", P_PAIR, "1", .doc = "step of the window", .range = "> 0" }
#define PARAM_DATA_FORMAT                                                                                    \
  { "data_format", P_DATA_FORMAT, "channels_last", .doc = "the one layout there is" }
#define PARAM_PADDING(value)                                                                                 \
  {                                                                                                          \
    "padding", P_PADDING, value,                                                                             \
        .doc = "`same`: zeros around, output ceil(input / stride); `valid`: whole windows only"              \
  }
#define PARAM_DILATION                                                                                       \
  { "dilation_rate", P_PAIR, "1", .doc = "distance between the window's taps", .range = "> 0" }
#define PARAM_ACTIVATION                                                                                     \
  { "activation", P_ACTIVATION, "linear", .doc = "applied to the result" }
#define PARAM_USE_BIAS                                                                                       \
  { "use_bias", P_BOOL, "true", .doc = "add a bias per output channel" }
#define PARAM_INITIALIZER(weight, value)                                                                     \
  { weight "_initializer", P_INITIALIZER, value, .doc = "first values of the " weight }
#define PARAM_REGULARIZER(weight)                                                                            \
  { weight "_regularizer", P_REGULARIZER, "none", .doc = "penalty on the " weight }
#define PARAM_CONSTRAINT(weight)                                                                             \
  { weight "_constraint", P_CONSTRAINT, "none", .doc = "applied to the " weight " after each update" }
#define PARAM_ACTIVITY_REGULARIZER                                                                           \
  { "activity_regularizer", P_REGULARIZER, "none", .doc = "penalty on the output" }
#endif
