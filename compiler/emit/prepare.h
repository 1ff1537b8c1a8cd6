/* Constants (packed and folded weights) are made by the nodes of Module.prepare, for each function that reads
 * them by a C function of its own, model_prepare_NAME; they are made anew once a step has changed weights
 * they come from.  Functions are bits here, by their place in Module.functions. */
#ifndef NETC_PREPARE_H
#define NETC_PREPARE_H
#include "../ir.h"

/* Finds the users of all nodes of `prepare`; before the others here. */
void prepare_mark_users(const Module *module);
/* Functions that read what a node of `prepare` makes, themselves or through others of its nodes. */
uint64_t prepare_users(const Node *node);
/* Functions whose constants a step of `phase` leaves behind the weights. */
uint64_t prepare_stale_after(const Module *module, int phase);
/* Appends the statements that make stale constants of a function anew; false: it reads none, and nothing is
 * appended. */
bool prepare_emit_refresh(const Function *function, StrBuf *out);
#endif
