/* The library interface of public.h over model.h: instances, prediction, weights.
 *
 * An instance is one block: ApiHead, a buffer for a batch of preprocessed images, one for a batch of
 * features, and the model itself, to which the caller's pointer points.  Both buffers are sized by the batch,
 * which the model knows; so the head is found from the model. */
#ifndef NETC_API_API_H
#define NETC_API_API_H
#include <limits.h>
#include <stdlib.h>

#include "../data/pixels.h"
#include "../data/resize.h"
#include "../kernels/pages.h"
#include "../train/forward.h"
#include "../weights/init.h"
#include "blob.h"

typedef struct ApiHead {
  void *own; /* from the heap, or NULL: the caller's memory */
} ApiHead;

static size_t api_round(size_t bytes) {
  return (bytes + MODEL_ALIGNMENT - 1) / MODEL_ALIGNMENT * MODEL_ALIGNMENT;
}

static size_t api_feature_floats(void) {
  size_t most = 0;
  for (int p = 0; p < model_info.phase_count; p++)
    most = model_info.phases[p].feature_floats > most ? model_info.phases[p].feature_floats : most;
  return most;
}

static size_t api_input_bytes(int batch) {
  return api_round((size_t)batch * model_info.input_floats * sizeof(float));
}

/* Bytes before the model. */
static size_t api_before(int batch) {
  return api_round(sizeof(ApiHead)) + api_input_bytes(batch) +
         api_round((size_t)batch * api_feature_floats() * sizeof(float));
}

static ApiHead *api_head(Model *model) {
  return (ApiHead *)(void *)((char *)model - api_before(model_batch(model)));
}

static float *api_input(Model *model) {
  return (float *)(void *)((char *)api_head(model) + api_round(sizeof(ApiHead)));
}

static float *api_features(Model *model) {
  return (float *)(void *)((char *)api_input(model) + api_input_bytes(model_batch(model)));
}

const char *model_status_text(ModelStatus status) {
  switch (status) {
  case MODEL_OK:
    return "done";
  case MODEL_ERROR_NULL:
    return "a pointer that is needed is NULL";
  case MODEL_ERROR_RANGE:
    return "a number is out of range";
  case MODEL_ERROR_ALIGNMENT:
    return "the memory does not start at a multiple of 64";
  case MODEL_ERROR_SHORT:
    return "the memory or buffer is too short";
  case MODEL_ERROR_MEMORY:
    return "there is not enough memory";
  case MODEL_ERROR_FILE:
    return "the file cannot be read or written";
  case MODEL_ERROR_DAMAGED:
    return "the weights are truncated or damaged";
  case MODEL_ERROR_VERSION:
    return "the weights have a format of another version";
  case MODEL_ERROR_FOREIGN:
    return "the weights belong to another network";
  case MODEL_ERROR_NOT_FINITE:
    return "the loss is not a finite number";
  case MODEL_ERROR_READ_ONLY:
    return "the instance uses its weights in place and cannot change them";
  case MODEL_ERROR_PROCESSOR:
    return "the processor lacks the instruction set that the network was compiled for";
  }
  return "unknown status";
}

const char *model_instruction_set(void) {
  return model_isa();
}

size_t model_size(int batch, int threads) {
  if (batch < 1 || batch > 1 << 20 || threads < 1 || threads > 4096)
    return 0;
  return api_before(batch) + api_round(model_bytes(batch, threads));
}

/* Where an instance of `size` bytes begins: the caller's memory, or the heap's; the head says which. */
static ModelStatus api_memory(void *memory, size_t memory_bytes, size_t size, char **start) {
  if (!size)
    return MODEL_ERROR_RANGE;
  if ((uintptr_t)memory % MODEL_ALIGNMENT)
    return MODEL_ERROR_ALIGNMENT;
  if (memory && memory_bytes < size)
    return MODEL_ERROR_SHORT;
  if (!model_isa())
    return MODEL_ERROR_PROCESSOR;
  void *own = memory ? NULL : aligned_alloc(MODEL_ALIGNMENT, size);
  if (!memory && !own)
    return MODEL_ERROR_MEMORY;
  if (own)
    pages_prefer_large(own, size);
  *start = memory ? memory : own;
  ((ApiHead *)(void *)*start)->own = own;
  return MODEL_OK;
}

ModelStatus model_create(Model **model, void *memory, size_t memory_bytes, int batch, int threads) {
  if (!model)
    return MODEL_ERROR_NULL;
  *model = NULL;
  char *start;
  ModelStatus status = api_memory(memory, memory_bytes, model_size(batch, threads), &start);
  if (status != MODEL_OK)
    return status;
  Model *made = model_new(start + api_before(batch), batch, threads);
  if (model_info.blob) {
    status = blob_read(&model_info, model_info.blob, model_info.blob_bytes, model_params(made));
    if (status != MODEL_OK) {
      free(((ApiHead *)(void *)start)->own);
      return status;
    }
    model_weights_changed(made);
  }
  *model = made;
  return MODEL_OK;
}

void model_destroy(Model *model) {
  if (!model)
    return;
  void *own = api_head(model)->own;
  model_delete(model);
  free(own);
}

ModelStatus model_prepare(Model *model) {
  if (!model)
    return MODEL_ERROR_NULL;
  model_prepare_now(model);
  return MODEL_OK;
}

ModelStatus model_preprocess(int n, const uint8_t *pixels, float *x) {
  const ModelPreprocess *rule = &model_info.preprocess;
  if (!pixels || !x)
    return MODEL_ERROR_NULL;
  if (n < 0)
    return MODEL_ERROR_RANGE;
  bool plain = !rule->mode || !strcmp(rule->mode, "none") || !model_info.height;
  size_t channels = model_info.height ? (size_t)model_info.channels : 1,
         count = (size_t)n * model_info.input_floats;
  for (size_t i = 0; i < count; i += channels)
    for (size_t c = 0; c < channels; c++) {
      float pixel = pixels[i + (rule->reverse && !plain ? channels - 1 - c : c)];
      x[i + c] = plain ? pixel : pixel * rule->scale[c & 3] + rule->offset[c & 3];
    }
  return MODEL_OK;
}

size_t model_image_bytes(int height, int width, int channels) {
  if (!model_info.height || height < 1 || width < 1 || (channels != 1 && channels != 3) ||
      (int64_t)height * width > 1 << 28)
    return 0;
  size_t changed = ((size_t)height * (size_t)width * (size_t)model_info.channels + 3) / 4 * 4;
  return changed + resize_image_bytes(&model_info.resize, height, width, model_info.channels,
                                      model_info.height, model_info.width);
}

ModelStatus model_preprocess_image(const uint8_t *pixels, int height, int width, int channels, void *memory,
                                   size_t memory_bytes, float *x) {
  size_t size = model_image_bytes(height, width, channels);
  if (!pixels || !x)
    return MODEL_ERROR_NULL;
  if (!size)
    return MODEL_ERROR_RANGE;
  if ((uintptr_t)memory % 4)
    return MODEL_ERROR_ALIGNMENT;
  if (memory && memory_bytes < size)
    return MODEL_ERROR_SHORT;
  uint8_t *own = memory ? memory : malloc(size);
  if (!own)
    return MODEL_ERROR_MEMORY;
  size_t count = (size_t)height * (size_t)width * (size_t)model_info.channels;
  pixels_set_channels(pixels, (size_t)height * (size_t)width, channels, model_info.channels,
                      model_info.resize.opencv_gray, own);
  resize_image(&model_info.resize, own, height, width, model_info.channels, model_info.height,
               model_info.width, own + (count + 3) / 4 * 4, x);
  pixels_preprocess(&model_info.preprocess, model_info.channels, model_info.input_floats, x);
  if (!memory)
    free(own);
  return MODEL_OK;
}

ModelStatus model_predict(Model *model, int n, const float *x, float *y) {
  if (!model || !x || !y)
    return MODEL_ERROR_NULL;
  if (n < 0)
    return MODEL_ERROR_RANGE;
  forward_all(model, &model_info, n, x, y);
  return MODEL_OK;
}

ModelStatus model_predict_pixels(Model *model, int n, const uint8_t *pixels, float *y) {
  if (!model || !pixels || !y)
    return MODEL_ERROR_NULL;
  if (n < 0)
    return MODEL_ERROR_RANGE;
  int part = forward_part(&model_info, model);
  for (int at = 0; at < n; at += part) {
    int own = n - at < part ? n - at : part;
    model_preprocess(own, pixels + (size_t)at * model_info.input_floats, api_input(model));
    model_forward(model, own, api_input(model), y + (size_t)at * model_info.output_floats);
  }
  return MODEL_OK;
}

const char *model_class_name(int index) {
  if (!model_info.class_names || index < 0 || index >= model_info.class_count)
    return NULL;
  return model_info.class_names[index];
}

int model_tensor_count(void) {
  return model_info.weight_count;
}

ModelStatus model_tensor(int index, ModelTensor *tensor) {
  if (!tensor)
    return MODEL_ERROR_NULL;
  if (index < 0 || index >= model_info.weight_count)
    return MODEL_ERROR_RANGE;
  const ModelWeight *weight = &model_info.weights[index];
  *tensor = (ModelTensor){.layer = model_info.layers[weight->layer].name,
                          .name = weight->name,
                          .rank = weight->rank,
                          .count = weight->count,
                          .trainable = weight->trainable};
  memcpy(tensor->dim, weight->dim, sizeof tensor->dim);
  return MODEL_OK;
}

int model_find_tensor(const char *layer, const char *name) {
  for (int w = 0; layer && name && w < model_info.weight_count; w++)
    if (!strcmp(model_info.weights[w].name, name) &&
        !strcmp(model_info.layers[model_info.weights[w].layer].name, layer))
      return w;
  return -1;
}

static ModelStatus api_tensor_call(const Model *model, int index, const void *values, size_t count) {
  if (!model || !values)
    return MODEL_ERROR_NULL;
  if (index < 0 || index >= model_info.weight_count)
    return MODEL_ERROR_RANGE;
  return count < model_info.weights[index].count ? MODEL_ERROR_SHORT : MODEL_OK;
}

ModelStatus model_get_tensor(Model *model, int index, float *values, size_t count) {
  ModelStatus status = api_tensor_call(model, index, values, count);
  if (status == MODEL_OK)
    memcpy(values, model_params(model) + model_info.weights[index].offset,
           model_info.weights[index].count * sizeof(float));
  return status;
}

ModelStatus model_set_tensor(Model *model, int index, const float *values, size_t count) {
  ModelStatus status = api_tensor_call(model, index, values, count);
  if (status == MODEL_OK && model_in_place(model))
    status = MODEL_ERROR_READ_ONLY;
  if (status != MODEL_OK)
    return status;
  memcpy(model_params(model) + model_info.weights[index].offset, values,
         model_info.weights[index].count * sizeof(float));
  model_weights_changed(model);
  return MODEL_OK;
}

ModelStatus model_initialize(Model *model, uint64_t seed) {
  if (!model)
    return MODEL_ERROR_NULL;
  if (model_in_place(model))
    return MODEL_ERROR_READ_ONLY;
  if (!init_weights(&model_info, seed, model_params(model)))
    return MODEL_ERROR_MEMORY;
  model_weights_changed(model);
  return MODEL_OK;
}

size_t model_saved_bytes(int half) {
  return blob_bytes(&model_info, half);
}

ModelStatus model_save_bytes(Model *model, int half, void *bytes, size_t length) {
  if (!model || !bytes)
    return MODEL_ERROR_NULL;
  if (length < blob_bytes(&model_info, half))
    return MODEL_ERROR_SHORT;
  blob_write(&model_info, model_params(model), half, bytes);
  return MODEL_OK;
}

ModelStatus model_load_bytes(Model *model, const void *bytes, size_t length) {
  if (!model || !bytes)
    return MODEL_ERROR_NULL;
  if (model_in_place(model))
    return MODEL_ERROR_READ_ONLY;
  ModelStatus status = blob_read(&model_info, bytes, length, model_params(model));
  if (status == MODEL_OK)
    model_weights_changed(model);
  return status;
}
#endif
