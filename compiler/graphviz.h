/* `netc graph`: the network or the IR as Graphviz. */
#ifndef NETC_GRAPHVIZ_H
#define NETC_GRAPHVIZ_H
#include "ir.h"

void graphviz_network(const Graph *graph, StrBuf *out);
/* One cluster per function; solid edges carry values, weights are left out. */
void graphviz_ir(const Module *module, StrBuf *out);
#endif
