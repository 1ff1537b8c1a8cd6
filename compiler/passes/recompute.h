/* Making forward values of a training step again: how the function is rewritten, tried and restored. */
#ifndef NETC_RECOMPUTE_H
#define NETC_RECOMPUTE_H
#include "passes.h"

typedef struct Rewrite {
  Function *function;
  Node **nodes; /* as they stood */
  Value ***inputs;
  int node_count, value_count;
  Value **made; /* by Value.id: its second self, while a plan is applied */
} Rewrite;

/* Takes down a function whose updates stand at its end, before any plan is applied. */
void rewrite_begin(Rewrite *rewrite, Function *function);
void rewrite_end(Rewrite *rewrite);
/* The value whose memory this one is a view of. */
Value *rewrite_root(Value *value);
/* Fills `candidates` (room for all values) with the forward values that gradients use and that can be made
 * again; sets `keep` for every value that gradients use.  Returns how many candidates. */
int rewrite_candidates(const Rewrite *rewrite, Value **candidates, bool *keep);
/* Lets gradients read second selves of the values that are not kept.  Returns the cost: FLOPs per image,
 * memory traffic included. */
double rewrite_apply(Rewrite *rewrite, const bool *keep);
/* The function as rewrite_begin found it. */
void rewrite_undo(Rewrite *rewrite);
/* The cost of making one value again from what is kept, and of its operation alone. */
double rewrite_cost(const Rewrite *rewrite, Value *value, const bool *keep);
double rewrite_own_cost(const Node *node);
#endif
