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

/* What a plan needs and costs. */
typedef struct Verdict {
  int64_t bytes; /* of an instance whose step this is */
  double cost;   /* FLOPs per image, memory traffic included */
} Verdict;

/* recompute.c: the search for a plan, a set of values that are kept (by Value.id). */
typedef struct Search {
  Rewrite rewrite;
  int64_t batch, other_fixed, other_pool, rest_bytes; /* what an instance needs besides this step */
  int64_t limit;
  int64_t fixed_floats; /* what the step needs that does not depend on the plan, about; 0: to be found anew */
  Value **candidates;   /* forward values that gradients use and that can be made again */
  int candidate_count;
  bool *best, *least; /* plans */
  Verdict best_verdict, least_verdict;
  bool found;
  bool seek_least; /* at work on the plan of least memory */
} Search;

typedef struct Ranked {
  Value *value;
  double cost; /* per float */
} Ranked;

/* Applies a plan, measures, and leaves the function as it was; `pack`: with places, else by the bytes alive.
 */
Verdict recompute_measure(Search *search, const bool *keep, bool pack);
/* The candidates by the cost of making each again where all others are kept, cheapest first; to be freed. */
Ranked *recompute_rank(const Search *search, const bool *all);

/* recompute_auto.c: leaves in search->best the plan that is worth its time where no limit is set; false where
 * that is to keep everything. */
bool recompute_worthwhile(Search *search, const bool *all);
#endif
