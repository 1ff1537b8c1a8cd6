/* `netc show`: the checked network as a .net file with everything written out; and how values read in one. */
#ifndef NETC_SHOW_H
#define NETC_SHOW_H
#include "graph.h"
#include "strbuf.h"

/* Appends the network fully expanded: no block, loop or default is left, layers have their names.  What is
 * printed parses to the same graph.  Parts that have a weights file of their own stay blocks, as the file
 * belongs to them. */
void show_graph(const Graph *graph, StrBuf *out);
/* Appends the value of one argument as it is written in a .net file. */
void show_attr(const Param *param, const Attr *attr, StrBuf *out);
/* Appends `name(argument = value, ...)`, every argument or only those that were given; no parentheses where
 * none. */
void show_call(const Call *call, bool all, StrBuf *out);
#endif
