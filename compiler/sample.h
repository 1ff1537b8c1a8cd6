/* The samples of operators as networks: for table-driven tests and for `netc help`. */
#ifndef NETC_SAMPLE_H
#define NETC_SAMPLE_H
#include "graph.h"

/* A network whose output is the sample's call and whose inputs have the sample's shapes: made from one flat
 * `input` by a dense layer and a reshape each where there are several inputs, the network's own input where
 * there is one. Returns NULL after an error. */
Graph *sample_graph(Arena *arena, Diag *diag, const OpSample *sample);
#endif
