/* Packed and folded weights, made by the compiler for weights files that are used in place. */
#ifndef NETC_PREPARE_H
#define NETC_PREPARE_H
#include "../ir.h"

/* Whether prepare_run knows every operation of the network's function `prepare`. */
bool prepare_possible(const Module *module);
/* What prepared weights must have in common with a program: version, operations, places.  Never 0. */
uint64_t prepare_hash(const Module *module);
/* params [param_floats] -> constants [constant_floats]; false: no memory. */
bool prepare_run(const Module *module, const float *params, float *constants);
#endif
