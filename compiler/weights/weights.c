#include "prepare.h"
#include "weights.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../runtime/api/blob.h"
#include "../../runtime/train/checkpoint.h"
#include "../../runtime/weights/load.h"

/* The tables that the emitted program will have, as far as loading needs them. */
static ModelInfo network_info(const Module *module, Arena *arena) {
  const Graph *graph = module->graph;
  ModelLayer *layers = arena_array(arena, ModelLayer, graph->layer_count + 1);
  ModelWeight *weights = arena_array(arena, ModelWeight, module->weight_count + 1);
  int first = 0;
  for (int i = 0; i < graph->layer_count; i++) {
    const Layer *layer = graph->keras_order[i];
    layers[i] = (ModelLayer){layer->name, layer->call.signature->keras_class, first, layer->weight_count};
    for (int k = 0; k < layer->weight_count; k++, first++) {
      const Weight *weight = &module->weights[first];
      weights[first] = (ModelWeight){.name = weight->spec->name,
                                     .layer = i,
                                     .rank = weight->spec->shape.rank,
                                     .count = (size_t)weight->count,
                                     .offset = (size_t)weight->offset,
                                     .trainable = weight->spec->trainable,
                                     .phases = weight->phases};
      for (int d = 0; d < 4; d++)
        weights[first].dim[d] = weight->spec->shape.dim[d];
    }
  }
  return (ModelInfo){.name = graph->name,
                     .layers = layers,
                     .layer_count = graph->layer_count,
                     .weights = weights,
                     .weight_count = module->weight_count,
                     .param_floats = (size_t)module->param_floats,
                     .constant_floats = (size_t)module->constant_floats,
                     .prepared_hash = prepare_possible(module) ? prepare_hash(module) : 0};
}

static double half_error(const ModelInfo *info, const float *params) {
  double worst = 0;
  for (int w = 0; w < info->weight_count; w++) {
    const float *values = params + info->weights[w].offset;
    double most = 0, change = 0;
    for (size_t i = 0; i < info->weights[w].count; i++) {
      most = fmax(most, fabs((double)values[i]));
      change = fmax(change, fabs((double)values[i] - (double)blob_single(blob_half(values[i]))));
    }
    worst = fmax(worst, most > 0 ? change / most : 0);
  }
  return worst;
}

static void take_class_names(const char *path, Arena *arena, WeightBlob *blob) {
  H5Texts names = {0};
  checkpoint_class_names(path, &names);
  if (names.count) {
    blob->class_names = arena_array(arena, const char *, names.count);
    for (int i = 0; i < names.count; i++)
      blob->class_names[i] = arena_strdup(arena, names.texts[i]);
    blob->class_count = names.count;
  }
  h5_texts_free(&names);
}

/* Kind 3 of blob.h: prepared weights, then all weights as an instance holds them. */
static bool write_prepared(const Module *module, const ModelInfo *info, const float *params,
                           WeightBlob *blob) {
  size_t before = blob_prepared_before(info->constant_floats);
  float *constants = calloc(info->constant_floats + 1, sizeof *constants);
  blob->length = before + info->param_floats * 4;
  blob->bytes = calloc(blob->length, 1);
  bool good = constants && blob->bytes && prepare_run(module, params, constants);
  if (good) {
    blob_put_floats(blob->bytes + BLOB_HEAD, constants, info->constant_floats, false);
    blob_put_floats(blob->bytes + before, params, info->param_floats, false);
    blob_finish(info, BLOB_PREPARED, blob->bytes, blob->length);
  }
  free(constants);
  return good;
}

static bool write_plain(const ModelInfo *info, const float *params, bool half, WeightBlob *blob) {
  blob->length = blob_bytes(info, half);
  blob->bytes = malloc(blob->length);
  if (blob->bytes)
    blob_write(info, params, half, blob->bytes);
  return blob->bytes;
}

bool weights_blob(const Module *module, const char *path, WeightKind kind, Arena *arena, WeightBlob *blob) {
  *blob = (WeightBlob){0};
  ModelInfo info = network_info(module, arena);
  float *params = calloc(info.param_floats + 1, sizeof *params);
  Fault fault = {"out of memory"};
  LoadResult result;
  bool good = params && load_weights(&info, params, path, &(LoadOptions){.by_name = false}, &result, &fault);
  if (good) {
    blob->half_error = kind == WEIGHTS_HALF ? half_error(&info, params) : 0;
    fault_set(&fault, "out of memory");
    good = kind == WEIGHTS_PREPARED && info.prepared_hash
               ? write_prepared(module, &info, params, blob)
               : write_plain(&info, params, kind == WEIGHTS_HALF, blob);
    take_class_names(path, arena, blob);
  }
  if (!good) {
    fprintf(stderr, "netc: %s\n", fault.text);
    weights_free(blob);
  }
  free(params);
  return good;
}

void weights_free(WeightBlob *blob) {
  free(blob->bytes);
  blob->bytes = NULL;
}
