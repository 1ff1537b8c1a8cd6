/* Moves what depends on unchanging weights alone (packing, folding) out of predictions and steps into
 * `prepare`, which runs once after the weights were set.  Equal computations of several functions are made
 * once. */
#include "passes.h"
#include <string.h>

static bool movable(const Function *function, const Node *node) {
  if (node->op->has_effect || node->op->random || !node->in_count)
    return false;
  for (int i = 0; i < node->in_count; i++)
    if (!ir_unchanging(function, node->in[i]))
      return false;
  return true;
}

/* The value in `prepare` that stands for an unchanging value of another function. */
static Value *in_prepare(Builder *builder, Value *value) {
  return value->kind == VALUE_CONSTANT ? value->constant
                                       : ir_weight(builder, value->weight->layer, value->weight->spec->name);
}

static Node *equal_node(const Function *prepare, const Node *node, Value *const *in) {
  for (Node *other = prepare->first; other; other = other->next)
    if (other->op == node->op && other->in_count == node->in_count &&
        !memcmp(&other->attr, &node->attr, sizeof node->attr) &&
        !memcmp(other->in, in, sizeof *in * (size_t)node->in_count))
      return other;
  return NULL;
}

static void hoist_node(Module *module, Function *function, Node *node) {
  Builder builder = {.module = module, .function = module->prepare, .layer = node->layer};
  Value *in[8];
  for (int i = 0; i < node->in_count; i++)
    in[i] = in_prepare(&builder, node->in[i]);
  Node *made = equal_node(module->prepare, node, in);
  if (!made) {
    made = ir_node(&builder, node->op->kind, node->in_count, in);
    made->attr = node->attr;
    for (int i = 0; i < node->out_count; i++)
      ir_output(made, node->out[i]->shape, false, node->out[i]->name);
  }
  for (int i = 0; i < node->out_count; i++) {
    Value *constant = ir_argument(function, VALUE_CONSTANT, node->out[i]->shape, node->out[i]->name);
    constant->constant = made->out[i];
    ir_replace(function, node->out[i], constant);
  }
  ir_remove(node);
}

/* What other functions use is a result of `prepare`: it gets memory of its own. */
static void collect_results(Module *module) {
  Function *prepare = module->prepare;
  prepare->results = arena_array(module->arena, Value *, prepare->value_count + 1);
  for (int f = 0; f < module->function_count; f++)
    for (Node *node = module->functions[f]->first; node; node = node->next)
      for (int i = 0; i < node->in_count; i++) {
        Value *value = node->in[i]->kind == VALUE_CONSTANT ? node->in[i]->constant : NULL;
        bool known = !value;
        for (int r = 0; r < prepare->result_count && !known; r++)
          known = prepare->results[r] == value;
        if (!known)
          prepare->results[prepare->result_count++] = value;
      }
}

void pass_hoist(Module *module) {
  for (int f = 0; f < module->function_count; f++) {
    Function *function = module->functions[f];
    if (function == module->prepare)
      continue;
    for (Node *node = function->first, *next; node; node = next) {
      next = node->next;
      if (movable(function, node))
        hoist_node(module, function, node);
    }
  }
  collect_results(module);
}
