/* Finds, for each training phase, the part of the network that is a pure function of the image: frozen
 * weights, nothing random, BatchNorm on moving statistics.  It is computed once per image and its outputs are
 * kept.
 *
 * A prefix that holds no weights (preprocessing, pooling) is cheaper to run again than to keep: no cut then.
 */
#include "passes.h"

static bool trains(const Layer *layer, int phase) {
  if (layer->frozen[phase])
    return false;
  for (int i = 0; i < layer->weight_count; i++)
    if (layer->weights[i].trainable)
      return true;
  return false;
}

static void cut_phase(Module *module, int phase) {
  const Graph *graph = module->graph;
  PhaseCut *cut = &module->cuts[phase];
  cut->in_prefix = arena_array(module->arena, bool, graph->layer_count);
  bool worth = false;
  for (int i = 0; i < graph->layer_count; i++) {
    const Layer *layer = graph->layers[i];
    bool pure = !layer->op->random && !trains(layer, phase);
    if (layer->op->batch_statistics && !layer->frozen[phase])
      pure = false;
    for (int k = 0; k < layer->input_count; k++)
      pure = pure && cut->in_prefix[layer->inputs[k]->index];
    cut->in_prefix[i] = pure;
    worth = worth || (pure && layer->weight_count > 0);
  }
  cut->layers = arena_array(module->arena, const Layer *, graph->layer_count);
  if (!worth || cut->in_prefix[graph->output->index])
    return;
  for (int i = 0; i < graph->layer_count; i++) {
    const Layer *layer = graph->layers[i];
    bool crosses = false;
    for (int j = 0; j < graph->layer_count && cut->in_prefix[i] && !crosses; j++)
      for (int k = 0; k < graph->layers[j]->input_count && !cut->in_prefix[j]; k++)
        crosses = crosses || graph->layers[j]->inputs[k] == layer;
    if (crosses) {
      cut->layers[cut->layer_count++] = layer;
      cut->feature_floats += shape_count(layer->shape);
    }
  }
}

void pass_freeze(Module *module) {
  if (module->graph->train.cache_variants)
    diag_error(
        module->diag, module->graph->train.span,
        "augmented variants of features cannot be kept: leave `variants` out, what depends on a random layer "
        "is computed in every epoch");
  for (int p = 0; p < module->graph->train.phase_count; p++)
    cut_phase(module, p);
}
