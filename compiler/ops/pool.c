#include "infer.h"

/* Keras: MaxPooling2D, AveragePooling2D.  `same` average pooling divides by the count of valid pixels. */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  if (!infer_image(layer, arena, diag) || !infer_at_least(layer, "pool_size", 1, diag) ||
      !infer_at_least(layer, "strides", 1, diag))
    return false;
  int64_t out[3];
  if (!infer_window(layer, "pool_size", infer_pool_strides(layer), NULL, arena, diag, out))
    return false;
  out[2] = layer->inputs[0]->shape.dim[2];
  return infer_set(layer, 3, out, arena, diag);
}

/* Keras: GlobalMaxPooling2D, GlobalAveragePooling2D. */
static bool infer_global(Layer *layer, Arena *arena, Diag *diag) {
  if (!infer_image(layer, arena, diag))
    return false;
  int64_t channels = layer->inputs[0]->shape.dim[2];
  if (call_bool(&layer->call, "keepdims"))
    return infer_set(layer, 3, (int64_t[]){1, 1, channels}, arena, diag);
  return infer_set(layer, 1, &channels, arena, diag);
}

#define POOL_PARAMS                                                                                          \
  {                                                                                                          \
    {"pool_size", P_PAIR, "2", NULL, "height and width of the window"},                                      \
        {"strides", P_PAIR, "none", NULL, "step of the window; none: the window's size"},                    \
        PARAM_PADDING("valid"),                                                                              \
  }
#define GLOBAL_PARAMS                                                                                        \
  { {"keepdims", P_BOOL, "false", NULL, "keep height and width as 1x1"}, }

const OpDef op_maxpool = {
    .kind = OP_maxpool,
    .name = "maxpool",
    .signature = {.kind = SIG_LAYER,
                  .name = "maxpool",
                  .aliases = "max_pooling2d maxpool2d maxpooling2d",
                  .keras_class = "MaxPooling2D",
                  .doc = "largest value of each window",
                  .formula = "y[i, j, c] = max over u, v of x[i*stride + u, j*stride + v, c]",
                  .params = POOL_PARAMS},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .samples =
        (const OpSample[]){
            {"maxpool(2x2)", "6x8x3"},
            {"maxpool(3x3, strides = 2, padding = same)", "7x6x2"},
            {"maxpool(3x3, strides = 1)", "5x6x4"},
            {NULL, NULL},
        },
};

const OpDef op_avgpool = {
    .kind = OP_avgpool,
    .name = "avgpool",
    .signature = {.kind = SIG_LAYER,
                  .name = "avgpool",
                  .aliases = "average_pooling2d avgpool2d averagepooling2d avg_pooling2d",
                  .keras_class = "AveragePooling2D",
                  .doc = "mean of each window; padding is not counted",
                  .formula = "y[i, j, c] = mean over the valid u, v of x[i*stride + u, j*stride + v, c]",
                  .params = POOL_PARAMS},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .samples =
        (const OpSample[]){
            {"avgpool(2x2)", "6x8x3"},
            {"avgpool(3x3, strides = 1, padding = same)", "5x6x2"},
            {"avgpool(3x3, strides = 2)", "7x7x4"},
            {NULL, NULL},
        },
};

const OpDef op_global_avgpool = {
    .kind = OP_global_avgpool,
    .name = "global_avgpool",
    .signature = {.kind = SIG_LAYER,
                  .name = "global_avgpool",
                  .aliases = "global_average_pooling2d global_avgpool2d globalaveragepooling2d",
                  .keras_class = "GlobalAveragePooling2D",
                  .doc = "mean over all pixels of each channel",
                  .formula = "y[c] = mean over i, j of x[i, j, c]",
                  .params = GLOBAL_PARAMS},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_global,
    .samples = (const OpSample[]){{"global_avgpool()", "5x6x3"},
                                  {"global_avgpool(keepdims = true)", "4x3x2"},
                                  {NULL, NULL}},
};

const OpDef op_global_maxpool = {
    .kind = OP_global_maxpool,
    .name = "global_maxpool",
    .signature = {.kind = SIG_LAYER,
                  .name = "global_maxpool",
                  .aliases = "global_max_pooling2d global_maxpool2d globalmaxpooling2d",
                  .keras_class = "GlobalMaxPooling2D",
                  .doc = "largest value of each channel over all pixels",
                  .formula = "y[c] = max over i, j of x[i, j, c]",
                  .params = GLOBAL_PARAMS},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_global,
    .samples = (const OpSample[]){{"global_maxpool()", "5x6x3"},
                                  {"global_maxpool(keepdims = true)", "4x3x2"},
                                  {NULL, NULL}},
};
