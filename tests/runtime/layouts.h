/* The small networks whose weight files are in tests/runtime/layouts, as ModelInfo tables. */
#ifndef NETC_TESTS_LAYOUTS_H
#define NETC_TESTS_LAYOUTS_H
#include "../../runtime/model.h"

typedef struct LayoutLayer {
  const char *name, *keras_class;
  struct {
    const char *name;
    int rank, dim[4];
  } weights[4];
} LayoutLayer;

enum { LAYOUT_MAX = 64 };

typedef struct Layout {
  ModelInfo info;
  ModelLayer layers[LAYOUT_MAX];
  ModelWeight weights[LAYOUT_MAX];
} Layout;

static void layout_build(Layout *layout, const char *name, const LayoutLayer *layers, int count) {
  *layout = (Layout){.info = {.name = name}};
  ModelInfo *info = &layout->info;
  for (int i = 0; i < count; i++) {
    layout->layers[i] = (ModelLayer){layers[i].name, layers[i].keras_class, info->weight_count, 0};
    for (int w = 0; w < 4 && layers[i].weights[w].name; w++) {
      ModelWeight *weight = &layout->weights[info->weight_count++];
      *weight = (ModelWeight){.name = layers[i].weights[w].name,
                              .layer = i,
                              .rank = layers[i].weights[w].rank,
                              .count = 1,
                              .offset = info->param_floats,
                              .trainable = true,
                              .phases = 1,
                              .init = MODEL_INIT_UNIFORM,
                              .a = -1,
                              .b = 1};
      for (int d = 0; d < weight->rank; d++) {
        weight->dim[d] = layers[i].weights[w].dim[d];
        weight->count *= (size_t)weight->dim[d];
      }
      info->param_floats += weight->count;
      layout->layers[i].weight_count++;
    }
  }
  info->layers = layout->layers;
  info->layer_count = count;
  info->weights = layout->weights;
}

#define LAYOUT_BASE                                                                                          \
  {"block1_conv1", "Conv2D", {{"kernel", 4, {3, 3, 3, 4}}, {"bias", 1, {4}}}},                               \
      {"block1_pool", "MaxPooling2D", {{0}}},                                                                \
      {"block2_dw", "DepthwiseConv2D", {{"kernel", 4, {3, 3, 4, 1}}}},                                       \
      {"block2_bn",                                                                                          \
       "BatchNormalization",                                                                                 \
       {{"gamma", 1, {4}}, {"beta", 1, {4}}, {"moving_mean", 1, {4}}, {"moving_variance", 1, {4}}}},         \
  {                                                                                                          \
    "block2_relu", "ReLU", {                                                                                 \
      { 0 }                                                                                                  \
    }                                                                                                        \
  }

static const LayoutLayer layout_tiny[] = {
    {"input_1", "InputLayer", {{0}}}, LAYOUT_BASE,
    {"flatten", "Flatten", {{0}}},    {"dense", "Dense", {{"kernel", 2, {64, 5}}, {"bias", 1, {5}}}},
    {"dropout", "Dropout", {{0}}},    {"dense_1", "Dense", {{"kernel", 2, {5, 3}}, {"bias", 1, {3}}}},
};

/* The base is flat here, nested in the files. */
static const LayoutLayer layout_nested_functional[] = {
    {"image", "InputLayer", {{0}}},
    LAYOUT_BASE,
    {"global_average_pooling2d", "GlobalAveragePooling2D", {{0}}},
    {"dense", "Dense", {{"kernel", 2, {4, 1}}, {"bias", 1, {1}}}},
};

static const LayoutLayer layout_nested_sequential[] = {
    {"input_1", "InputLayer", {{0}}},
    LAYOUT_BASE,
    {"flatten", "Flatten", {{0}}},
    {"dense", "Dense", {{"kernel", 2, {64, 3}}, {"bias", 1, {3}}}},
};

static const LayoutLayer layout_auto_named[] = {
    {"input_layer", "InputLayer", {{0}}},
    {"conv2d_1", "Conv2D", {{"kernel", 4, {3, 3, 3, 2}}, {"bias", 1, {2}}}},
    {"batch_normalization",
     "BatchNormalization",
     {{"beta", 1, {2}}, {"moving_mean", 1, {2}}, {"moving_variance", 1, {2}}}},
    {"activation", "Activation", {{0}}},
    {"conv2d_2", "Conv2D", {{"kernel", 4, {3, 3, 2, 3}}}},
    {"conv2d", "Conv2D", {{"kernel", 4, {1, 1, 3, 3}}}},
    {"batch_normalization_1",
     "BatchNormalization",
     {{"beta", 1, {3}}, {"moving_mean", 1, {3}}, {"moving_variance", 1, {3}}}},
    {"add", "Add", {{0}}},
    {"separable_conv2d",
     "SeparableConv2D",
     {{"depthwise_kernel", 4, {3, 3, 3, 1}}, {"pointwise_kernel", 4, {1, 1, 3, 4}}, {"bias", 1, {4}}}},
    {"concatenate", "Concatenate", {{0}}},
    {"global_average_pooling2d", "GlobalAveragePooling2D", {{0}}},
    {"dense", "Dense", {{"kernel", 2, {7, 2}}, {"bias", 1, {2}}}},
};
#define LAYOUT_COUNT(table) ((int)(sizeof(table) / sizeof *(table)))
#endif
