/* Reverse-mode differentiation, symbol to symbol: every operator's rule adds operations that compute the
 * gradients of its inputs, so backward code goes through the same passes, planner and printer as forward
 * code.
 *
 * Only what leads to a trained weight is differentiated: a value needs a gradient if a trained weight is
 * among its ancestors.  Frozen layers between trained ones pass gradients through and get none themselves. */
#include "passes.h"
#include "../ops/lowering.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Autodiff {
  Builder builder;
  bool *needed;  /* by Value.id: a trained weight is an ancestor */
  Value **grads; /* by Value.id: the sum so far, NULL: none */
  int ids;
} Autodiff;

static void mark_needed(Autodiff *diff, Function *function) {
  for (int w = 0; w < diff->builder.module->weight_count; w++) {
    Value *value = function->weight_values[w];
    if (value && ir_weight_trained(&diff->builder, value))
      diff->needed[value->id] = true;
  }
  for (Node *node = function->first; node; node = node->next) {
    bool needed = false;
    for (int i = 0; i < node->in_count; i++)
      needed = needed || diff->needed[node->in[i]->id];
    for (int i = 0; i < node->out_count; i++)
      diff->needed[node->out[i]->id] = needed;
  }
}

static void accumulate(Autodiff *diff, const Value *value, Value *grad) {
  Value **sum = &diff->grads[value->id];
  *sum = *sum ? lower_add(&diff->builder, (Value *[]){*sum, grad}, 2) : grad;
}

static void differentiate(Autodiff *diff, Node *node) {
  Value *out_grads[NODE_MAX_OUTPUTS];
  Value **in_grads = arena_array(diff->builder.module->arena, Value *, node->in_count + 1);
  bool *in_needed = arena_array(diff->builder.module->arena, bool, node->in_count + 1);
  bool any = false, wanted = false;
  for (int i = 0; i < node->out_count; i++) {
    out_grads[i] = diff->grads[node->out[i]->id];
    any = any || out_grads[i];
  }
  for (int i = 0; i < node->in_count; i++) {
    in_needed[i] = diff->needed[node->in[i]->id];
    wanted = wanted || in_needed[i];
  }
  if (!any || !wanted)
    return;
  if (!node->op->gradient) {
    if (node->op->not_differentiable)
      return;
    fprintf(stderr, "netc: bug: `%s` has no gradient rule\n", node->op->name);
    abort();
  }
  diff->builder.layer = node->layer;
  node->op->gradient(&diff->builder, node, out_grads, in_needed, in_grads);
  for (int i = 0; i < node->in_count; i++) {
    if (!in_needed[i] || !in_grads[i])
      continue;
    if (value_floats(in_grads[i]) != value_floats(node->in[i]) ||
        in_grads[i]->batched != node->in[i]->batched) {
      fprintf(stderr, "netc: bug: the gradient of input %d of `%s` has the wrong shape\n", i, node->op->name);
      abort();
    }
    accumulate(diff, node->in[i], in_grads[i]);
  }
}

/* Adds the loss node; its second output is the gradient of the outputs. */
static Node *add_loss(Builder *builder, Function *function) {
  const Call *loss = builder->module->graph->train.loss;
  Value *y = function->results[0];
  Shape target = y->shape;
  if (strstr(loss->signature->name, "sparse"))
    target.dim[target.rank - 1] = 1;
  function->target = ir_argument(function, VALUE_TARGET, target, "target");
  function->sample_weight = ir_argument(function, VALUE_SAMPLE_WEIGHT, (Shape){1, {1}}, "sample_weight");
  Node *node = ir_node(builder, OP_loss, 3, (Value *[]){y, function->target, function->sample_weight});
  node->attr.call = loss;
  ir_output(node, (Shape){1, {1}}, false, "loss");
  ir_output(node, y->shape, true, "d_output");
  function->results[1] = node->out[0];
  function->result_count = 2;
  return node;
}

/* Penalties on activations join the loss, their gradients those of the values they are of. */
static void add_activity_penalties(Autodiff *diff, Function *function, const Node *last) {
  for (Node *node = function->first; node; node = node == last ? NULL : node->next) {
    if (!node_is(node, OP_activity_penalty))
      continue;
    function->results[1] = lower_add(&diff->builder, (Value *[]){function->results[1], node->out[0]}, 2);
    if (diff->needed[node->in[0]->id])
      accumulate(diff, node->in[0], node->out[1]);
  }
}

static void differentiate_step(Module *module, Function *function) {
  Autodiff diff = {.builder = {.module = module,
                               .function = function,
                               .training = true,
                               .backward = true,
                               .phase = function->phase}};
  Node *last = function->last;
  Node *loss = add_loss(&diff.builder, function);
  /* Backward nodes get ids beyond these; grads are only asked of forward values. */
  diff.ids = function->value_count;
  diff.needed = calloc((size_t)diff.ids + 1, sizeof *diff.needed);
  diff.grads = calloc((size_t)diff.ids + 1, sizeof *diff.grads);
  mark_needed(&diff, function);
  diff.grads[function->results[0]->id] = loss->out[1];
  add_activity_penalties(&diff, function, last);
  for (Node *node = last; node; node = node->prev)
    differentiate(&diff, node);
  Value **norm_inputs = arena_array(module->arena, Value *, module->weight_count + 1);
  int trained = 0;
  for (int w = 0; w < module->weight_count; w++) {
    Value *weight = function->weight_values[w];
    if (weight && weight->id < diff.ids && diff.grads[weight->id])
      norm_inputs[trained++] = weight;
  }
  diff.builder.layer = NULL;
  lower_updates(&diff.builder, norm_inputs, diff.grads, trained);
  free(diff.needed);
  free(diff.grads);
}

void pass_autodiff(Module *module) {
  for (int p = 0; p < module->graph->train.phase_count; p++)
    if (module->step[p])
      differentiate_step(module, module->step[p]);
}
