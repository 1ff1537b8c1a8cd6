/* From layers to operations.  Builds, without gradients yet:
 *   forward      image -> output, inference mode
 *   features_p   image -> features, where phase p has a frozen prefix
 *   varied_p     the same with random layers at work, where variants are kept
 *   head_p       features -> output, inference mode
 *   step_p       features (or image) and target -> output and loss, training mode */
#include "passes.h"
#include "../ops/lowering.h"
#include <string.h>

typedef struct Lowering {
  Builder builder;
  Value **outputs; /* by Layer.index */
} Lowering;

static Lowering begin(Module *module, Function *function, bool training) {
  Lowering lowering = {
      .builder = {.module = module, .function = function, .training = training, .phase = function->phase}};
  lowering.outputs = arena_array(module->arena, Value *, module->graph->layer_count);
  return lowering;
}

static void lower_layer(Lowering *lowering, const Layer *layer) {
  Builder *builder = &lowering->builder;
  Value **inputs = arena_array(builder->module->arena, Value *, layer->input_count + 1);
  for (int k = 0; k < layer->input_count; k++)
    inputs[k] = lowering->outputs[layer->inputs[k]->index];
  builder->layer = layer;
  lowering->outputs[layer->index] = layer->op->lower(builder, layer, inputs);
  builder->layer = NULL;
}

/* Layers that nothing leads from to the output are not part of the network, as in Keras. */
static bool *reachable(Module *module) {
  bool *reached = arena_array(module->arena, bool, module->graph->layer_count);
  reached[module->graph->output->index] = true;
  for (int i = module->graph->layer_count - 1; i >= 0; i--)
    for (int k = 0; reached[i] && k < module->graph->layers[i]->input_count; k++)
      reached[module->graph->layers[i]->inputs[k]->index] = true;
  return reached;
}

static Value **one_result(Module *module, Value *value, int room) {
  Value **results = arena_array(module->arena, Value *, room);
  results[0] = value;
  return results;
}

static void lower_whole(Module *module, Function *function, const bool *reached, bool training) {
  const Graph *graph = module->graph;
  Lowering lowering = begin(module, function, training);
  function->input = ir_argument(function, VALUE_INPUT, graph->input->shape, "x");
  lowering.outputs[graph->input->index] = function->input;
  for (int i = 0; i < graph->layer_count; i++)
    if (reached[i])
      lower_layer(&lowering, graph->layers[i]);
  function->results = one_result(module, lowering.outputs[graph->output->index], 2);
  function->result_count = 1;
}

static void lower_features(Module *module, Function *function, const bool *reached, bool draws) {
  const PhaseCut *cut = &module->cuts[function->phase];
  const Graph *graph = module->graph;
  Lowering lowering = begin(module, function, draws);
  function->input = ir_argument(function, VALUE_INPUT, graph->input->shape, "x");
  lowering.outputs[graph->input->index] = function->input;
  for (int i = 0; i < graph->layer_count; i++)
    if (reached[i] && cut->in_prefix[i])
      lower_layer(&lowering, graph->layers[i]);
  Value **parts = arena_array(module->arena, Value *, cut->layer_count + 1);
  for (int i = 0; i < cut->layer_count; i++) {
    Value *value = lowering.outputs[cut->layers[i]->index];
    parts[i] = value->shape.rank == 1
                   ? value
                   : lower_reshape(&lowering.builder, value, (Shape){1, {(int)value_floats(value)}});
  }
  Value *record = parts[0];
  if (cut->layer_count > 1)
    record = lower_concat(&lowering.builder, parts, cut->layer_count, 0);
  function->results = one_result(module, record, 1);
  function->result_count = 1;
}

/* The part after the cut, from a batch of feature records. */
static void lower_rest(Module *module, Function *function, const bool *reached, bool training) {
  const PhaseCut *cut = &module->cuts[function->phase];
  const Graph *graph = module->graph;
  Lowering lowering = begin(module, function, training);
  int offset = 0;
  function->input = ir_argument(function, VALUE_INPUT, (Shape){1, {(int)cut->feature_floats}}, "features");
  for (int i = 0; i < cut->layer_count; i++) {
    const Layer *layer = cut->layers[i];
    Value *part = function->input;
    int count = (int)shape_count(layer->shape);
    if (cut->layer_count > 1)
      part = lower_slice(&lowering.builder, part, 0, offset, count);
    offset += count;
    if (layer->shape.rank != 1)
      part = lower_reshape(&lowering.builder, part, layer->shape);
    lowering.outputs[layer->index] = part;
  }
  for (int i = 0; i < graph->layer_count; i++)
    if (reached[i] && !cut->in_prefix[i])
      lower_layer(&lowering, graph->layers[i]);
  function->results = one_result(module, lowering.outputs[graph->output->index], 2);
  function->result_count = 1;
}

void pass_lower(Module *module) {
  const Graph *graph = module->graph;
  const bool *reached = reachable(module);
  module->prepare = ir_function(module, FUNCTION_PREPARE, "prepare", 0);
  module->forward = ir_function(module, FUNCTION_FORWARD, "forward", -1);
  lower_whole(module, module->forward, reached, false);
  if (!graph->train.loss)
    return;
  for (int p = 0; p < graph->train.phase_count; p++) {
    const char *suffix = graph->train.phase_count > 1 ? arena_printf(module->arena, "_%d", p + 1) : "";
    module->step[p] = ir_function(module, FUNCTION_STEP, arena_printf(module->arena, "step%s", suffix), p);
    if (!module->cuts[p].layer_count) {
      lower_whole(module, module->step[p], reached, true);
      continue;
    }
    lower_rest(module, module->step[p], reached, true);
    module->features[p] =
        ir_function(module, FUNCTION_FEATURES, arena_printf(module->arena, "features%s", suffix), p);
    lower_features(module, module->features[p], reached, false);
    if (module->cuts[p].variants) {
      module->varied[p] =
          ir_function(module, FUNCTION_VARIED, arena_printf(module->arena, "varied%s", suffix), p);
      lower_features(module, module->varied[p], reached, true);
    }
    module->head[p] = ir_function(module, FUNCTION_HEAD, arena_printf(module->arena, "head%s", suffix), p);
    lower_rest(module, module->head[p], reached, false);
  }
}
