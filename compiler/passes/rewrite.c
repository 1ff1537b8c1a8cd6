/* Second selves of forward values: see recompute.h. */
#include "recompute.h"
#include <stdlib.h>
#include <string.h>

/* A float that moves through memory takes as long as so many FLOPs, about, on two cores with AVX2. */
enum { FLOPS_PER_FLOAT = 30 };

void rewrite_begin(Rewrite *rewrite, Function *function) {
  *rewrite = (Rewrite){.function = function, .value_count = function->value_count};
  for (Node *node = function->first; node; node = node->next)
    rewrite->node_count++;
  rewrite->nodes = calloc((size_t)rewrite->node_count + 1, sizeof *rewrite->nodes);
  rewrite->inputs = calloc((size_t)rewrite->node_count + 1, sizeof *rewrite->inputs);
  rewrite->made = calloc((size_t)rewrite->value_count + 1, sizeof *rewrite->made);
  int i = 0;
  for (Node *node = function->first; node; node = node->next, i++) {
    rewrite->nodes[i] = node;
    rewrite->inputs[i] = calloc((size_t)node->in_count + 1, sizeof(Value *));
    memcpy(rewrite->inputs[i], node->in, (size_t)node->in_count * sizeof(Value *));
  }
}

void rewrite_end(Rewrite *rewrite) {
  for (int i = 0; i < rewrite->node_count; i++)
    free(rewrite->inputs[i]);
  free(rewrite->inputs);
  free(rewrite->nodes);
  free(rewrite->made);
}

void rewrite_undo(Rewrite *rewrite) {
  Function *function = rewrite->function;
  Node *before = NULL;
  function->first = rewrite->node_count ? rewrite->nodes[0] : NULL;
  for (int i = 0; i < rewrite->node_count; i++) {
    Node *node = rewrite->nodes[i];
    memcpy(node->in, rewrite->inputs[i], (size_t)node->in_count * sizeof(Value *));
    node->prev = before;
    node->next = NULL;
    if (before)
      before->next = node;
    before = node;
  }
  function->last = before;
  function->value_count = rewrite->value_count;
}

Value *rewrite_root(Value *value) {
  while (value->kind == VALUE_TEMP && value->def->op->view)
    value = value->def->in[0];
  return value;
}

static bool is_forward(const Value *value) {
  return value->kind == VALUE_TEMP && !value->def->backward;
}

/* Updates and penalties happen once; BatchNorm's own statistics are kept, its result can be made of them. */
static bool repeatable(const Value *value) {
  if (node_is(value->def, OP_batchnorm_train))
    return value->def_output == 0;
  return !value->def->op->has_effect;
}

int rewrite_candidates(const Rewrite *rewrite, Value **candidates, bool *keep) {
  int count = 0;
  for (const Node *node = rewrite->function->first; node; node = node->next)
    for (int i = 0; node->backward && i < node->in_count; i++) {
      Value *root = rewrite_root(node->in[i]);
      if (!is_forward(root) || keep[root->id])
        continue;
      keep[root->id] = true;
      if (repeatable(root) && root->batched)
        candidates[count++] = root;
    }
  return count;
}

double rewrite_own_cost(const Node *node) {
  double cost = (double)node_flops(node);
  if (node->op->view)
    return 0;
  for (int i = 0; i < node->in_count; i++)
    cost += FLOPS_PER_FLOAT * (node->in[i]->batched ? (double)value_floats(node->in[i]) : 0);
  for (int i = 0; i < node->out_count; i++)
    cost += FLOPS_PER_FLOAT * (node->out[i]->batched ? (double)value_floats(node->out[i]) : 0);
  return cost;
}

/* Whether gradients may read the value itself. */
static bool available(Value *value, const bool *keep) {
  const Value *root = rewrite_root(value);
  return !is_forward(root) || keep[root->id] || !repeatable(root);
}

static double chain_cost(Value *value, const bool *keep, bool *counted) {
  if (available(value, keep) || counted[value->id])
    return 0;
  double cost = rewrite_own_cost(value->def);
  for (int i = 0; i < value->def->out_count; i++)
    counted[value->def->out[i]->id] = true;
  for (int i = 0; i < value->def->in_count; i++)
    cost += chain_cost(value->def->in[i], keep, counted);
  return cost;
}

double rewrite_cost(const Rewrite *rewrite, Value *value, const bool *keep) {
  bool *counted = calloc((size_t)rewrite->value_count + 1, sizeof *counted);
  double cost = chain_cost(value, keep, counted);
  free(counted);
  return cost;
}

static Value *again(Rewrite *rewrite, Value *value, const bool *keep, Node *before, double *cost);

static Node *repeat_node(Rewrite *rewrite, const Node *node, const bool *keep, Node *before, double *cost) {
  Function *function = rewrite->function;
  bool norm = node_is(node, OP_batchnorm_train);
  Value **in = arena_array(function->module->arena, Value *, node->in_count + 1);
  for (int i = 0; i < node->in_count; i++)
    in[i] = again(rewrite, node->in[i], keep, before, cost);
  if (norm) { /* the batch's statistics in place of the moving ones */
    int64_t mean = 1 + node->attr.ints[0] + node->attr.ints[1]; /* behind x, gamma and beta */
    in[mean] = node->out[1];
    in[mean + 1] = node->out[2];
  }
  Builder builder = ir_builder_before(before);
  builder.layer = node->layer;
  builder.backward = false;
  Node *copy = ir_node(&builder, norm ? OP_batchnorm_again : node->op->kind, node->in_count, in);
  copy->attr = node->attr;
  copy->again = true;
  for (int i = 0; i < (norm ? 1 : node->out_count); i++)
    rewrite->made[node->out[i]->id] =
        ir_output(copy, node->out[i]->shape, node->out[i]->batched, node->out[i]->name);
  *cost += rewrite_own_cost(node);
  return copy;
}

static Value *again(Rewrite *rewrite, Value *value, const bool *keep, Node *before, double *cost) {
  if (available(value, keep))
    return value;
  if (!rewrite->made[value->id])
    repeat_node(rewrite, value->def, keep, before, cost);
  return rewrite->made[value->id];
}

double rewrite_apply(Rewrite *rewrite, const bool *keep) {
  double cost = 0;
  memset(rewrite->made, 0, (size_t)rewrite->value_count * sizeof *rewrite->made);
  for (int i = 0; i < rewrite->node_count; i++) {
    Node *node = rewrite->nodes[i];
    for (int k = 0; node->backward && k < node->in_count; k++)
      if (is_forward(node->in[k]))
        node->in[k] = again(rewrite, node->in[k], keep, node, &cost);
  }
  return cost;
}
