/* Keras's order of a model's layers. */
#ifndef NETC_ORDER_H
#define NETC_ORDER_H
#include "graph.h"

/* The layers between `input` and `output`, both included, in the order of Keras's model.layers; nothing is
 * looked for beyond `input` (NULL: beyond layers without inputs).  Returns their number. */
int order_layers(Arena *arena, Layer *input, Layer *output, Layer ***sorted);
#endif
