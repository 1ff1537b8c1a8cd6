/* The passes, in the order of the table in passes.c.  Each works on the whole module. */
#ifndef NETC_PASSES_H
#define NETC_PASSES_H
#include "../ir.h"

typedef struct Pass {
  const char *name;
  const char *doc; /* one line */
  void (*run)(Module *module);
  bool required; /* cannot be switched off */
} Pass;

/* The plan is made without knowing the machine: limits are checked for so many threads. */
enum { MEMORY_THREADS = 2 };

extern const Pass pass_table[];
extern const int pass_count;

typedef struct PassOptions {
  const char *disabled;   /* comma-separated names, or NULL */
  const char *dump_after; /* print the IR after this pass and stop, or NULL */
  bool verify_each;
  bool time;
  bool narrow;           /* Module.narrow */
  struct Tuning *tuning; /* measured choices of algorithms (tuning.h), or NULL */
} PassOptions;

/* The whole way from checked graph to planned IR.  Names in `options` were checked by pass_find. */
Module *passes_run(const Graph *graph, Arena *arena, Diag *diag, const PassOptions *options, bool exact,
                   StrBuf *dump);
const Pass *pass_find(const char *name); /* or NULL */

void pass_freeze(Module *module);     /* freeze.c */
void pass_lower(Module *module);      /* lower.c */
void pass_autodiff(Module *module);   /* autodiff.c */
void pass_fold(Module *module);       /* fold.c */
void pass_fuse(Module *module);       /* fuse.c */
void pass_dce(Module *module);        /* dce.c */
void pass_select(Module *module);     /* select.c */
void pass_pair(Module *module);       /* pair.c */
void pass_defer(Module *module);      /* defer.c */
void pass_hoist(Module *module);      /* hoist.c */
void pass_microbatch(Module *module); /* microbatch.c */
void pass_recompute(Module *module);  /* recompute.c */
void pass_schedule(Module *module);   /* schedule.c */
/* select_pool.c: lets the gradients of Winograd convolutions read through the pooling between them. */
void select_through(Function *function);
/* Windows of 2 x 2 pixels side by side. */
bool pool_is_pairs(const Pool2d *pool);
/* Moves the updates of one training step forward. */
void schedule_updates(Function *function);
/* Only those that read values of a batch. */
void schedule_updates_of_batches(Function *function);
void pass_plan(Module *module); /* plan.c */
void plan_without_reuse(Module *module);
/* One function: sets batch_floats, micro_floats, fixed_floats and the bounds; offsets too.  plan_bounds
 * leaves the floats at the bounds and packs nothing. */
void plan_function(Function *function);
void plan_bounds(Function *function);
/* Places for what `prepare` makes. */
void plan_constants(Module *module);
#endif
