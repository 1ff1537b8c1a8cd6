/* Finds, for each training phase, the part of the network that is a pure function of the image: frozen
 * weights, nothing random, BatchNorm on moving statistics.  It is computed once per image and its outputs are
 * kept.
 *
 * With `cache ... variants K` random layers may stand in it: then it is a pure function of the image and one
 * of K draws.  Validation and prediction use what it gives without drawing.
 *
 * A prefix without convolutions and dense layers (preprocessing, normalization, pooling) is cheaper to run
 * again than to keep: no cut then.
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

/* Convolutions and dense layers: what is worth keeping the result of. */
static bool heavy(const Layer *layer) {
  for (int i = 0; i < layer->weight_count; i++)
    if (layer->weights[i].shape.rank > 1)
      return true;
  return false;
}

/* Marks what is a pure function of the image, and with `variants` of the image and a draw.  Returns whether
 * it holds anything heavy. */
static bool mark_prefix(const Graph *graph, int phase, bool variants, bool *in_prefix) {
  bool worth = false;
  for (int i = 0; i < graph->layer_count; i++) {
    const Layer *layer = graph->layers[i];
    bool pure = (variants || !layer->op->random) && !trains(layer, phase);
    if (layer->op->batch_statistics && !layer->frozen[phase])
      pure = false;
    for (int k = 0; k < layer->input_count; k++)
      pure = pure && in_prefix[layer->inputs[k]->index];
    in_prefix[i] = pure;
    worth = worth || (pure && heavy(layer));
  }
  return worth;
}

/* Random layers that lead to no frozen weights (dropout after the last of them) are left to the steps, with
 * what follows them: they cost nothing and should draw anew. */
static void leave_last_draws(Module *module, bool *in_prefix) {
  const Graph *graph = module->graph;
  /* Leads to frozen weights, or has them. */
  bool *useful = arena_array(module->arena, bool, graph->layer_count);
  for (int i = graph->layer_count - 1; i >= 0; i--) {
    const Layer *layer = graph->layers[i];
    useful[i] = in_prefix[i] && (useful[i] || heavy(layer));
    for (int k = 0; useful[i] && k < layer->input_count; k++)
      useful[layer->inputs[k]->index] = true;
  }
  for (int i = 0; i < graph->layer_count; i++) {
    const Layer *layer = graph->layers[i];
    if (layer->op->random && !useful[i])
      in_prefix[i] = false;
    for (int k = 0; k < layer->input_count; k++)
      in_prefix[i] = in_prefix[i] && in_prefix[layer->inputs[k]->index];
  }
}

static void cut_phase(Module *module, int phase) {
  const Graph *graph = module->graph;
  PhaseCut *cut = &module->cuts[phase];
  cut->in_prefix = arena_array(module->arena, bool, graph->layer_count);
  bool worth = mark_prefix(graph, phase, graph->train.cache_variants > 0, cut->in_prefix);
  if (graph->train.cache_variants)
    leave_last_draws(module, cut->in_prefix);
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
  for (int i = 0; i < graph->layer_count; i++)
    if (cut->in_prefix[i] && graph->layers[i]->op->random)
      cut->variants = graph->train.cache_variants;
}

void pass_freeze(Module *module) {
  for (int p = 0; p < module->graph->train.phase_count; p++)
    cut_phase(module, p);
}
