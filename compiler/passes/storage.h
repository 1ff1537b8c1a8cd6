/* Which values share memory: storage.c, ahead of plan.c. */
#ifndef NETC_STORAGE_H
#define NETC_STORAGE_H
#include "../ir.h"

/* Sets the values' storage, sliced and slice, row, and what operators are told of distances between pixels.
 * Without `in_place` only views share.  By Value.id, for the roots: born and last, the positions of the first
 * and the last node that need the memory; for results of the function last is one past its nodes.  Nodes must
 * be numbered.  The two inputs of a sum or product may change places, so that one can be the result's memory:
 * the result is the same. */
void storage_share(Function *function, bool in_place, int *born, int *last);
/* Roots that live outside the arena: arguments, and what the caller gives memory for. */
bool storage_is_outside(const Function *function, const Value *root);
#endif
