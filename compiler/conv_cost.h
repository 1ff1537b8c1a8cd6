/* What algorithms for convolutions cost: a model, for choosing among them without measuring. */
#ifndef NETC_CONV_COST_H
#define NETC_CONV_COST_H
#include "ir.h"

/* For so many threads that share the caches: of Winograd's tiles a weight made on the way serves all of
 * theirs. */
enum { COST_THREADS = 2 };

/* The time of a call on n images in units of one multiply-add at the processor's full rate: products, the
 * transforms of Winograd's tiles, weights from memory, and for weights that change between calls (not
 * `settled`) their packing.  A multiply-add takes longer, and memory counts less, where Module.narrow.  `op`
 * is OP_conv2d, OP_conv2d_bwd_x or OP_conv2d_bwd_w; Winograd only where it fits. */
double conv_cost(const Module *module, const Conv2d *conv, OpKind op, ConvAlgorithm algorithm, int n,
                 bool settled);
/* Of one pass over so many floats in memory, in the same units. */
double conv_pass_cost(const Module *module, double floats);
#endif
