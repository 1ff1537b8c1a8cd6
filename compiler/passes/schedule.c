/* Orders the operations.  Forward and backward stand in a good order already (depth first, and its reverse);
 * what is left is to run every update as soon as its gradient is there and nobody reads the old weight any
 * more, so that gradients share memory instead of all living to the end of the step. */
#include "passes.h"

static void move_before(Function *function, Node *node, Node *place) {
  ir_remove(node);
  node->next = place;
  node->prev = place ? place->prev : function->last;
  *(node->prev ? &node->prev->next : &function->first) = node;
  *(node->next ? &node->next->prev : &function->last) = node;
}

/* The last node before `node` that it must stay behind. */
static Node *last_obstacle(const Node *node) {
  for (Node *other = node->prev; other; other = other->prev) {
    for (int i = 0; i < node->in_count; i++) {
      if (node->in[i]->def == other)
        return other;
      for (int k = 0; k < other->in_count; k++)
        if (other->in[k] == node->in[i] && node->in[i]->kind == VALUE_WEIGHT)
          return other;
    }
  }
  return NULL;
}

static void schedule(Function *function, bool of_batches_only) {
  for (Node *node = function->first, *next; node; node = next) {
    next = node->next;
    if (!node_is(node, OP_dense_update) && (of_batches_only || !node_is(node, OP_update)))
      continue;
    Node *obstacle = last_obstacle(node);
    Node *place = obstacle ? obstacle->next : function->first;
    if (place != node)
      move_before(function, node, place);
  }
}

void schedule_updates(Function *function) {
  schedule(function, false);
}

void schedule_updates_of_batches(Function *function) {
  schedule(function, true);
}

void pass_schedule(Module *module) {
  for (int f = 0; f < module->function_count; f++)
    if (module->functions[f]->kind == FUNCTION_STEP)
      schedule_updates(module->functions[f]);
}
