/* Warnings about files that are right but train badly: the mistakes that users of Keras report again and
 * again.
 *
 * Each has a code, a check and a paragraph behind `netc explain CODE`; `silence CODE` in a train section, or
 * --silence, turns it off. */
#ifndef NETC_LINT_H
#define NETC_LINT_H
#include "graph.h"
#include "strbuf.h"

/* Runs every check; warnings go through `diag`. */
void lint_graph(const Graph *graph, Arena *arena, Diag *diag);
/* Appends what a code means and what to do; an unknown code is reported to stderr and gives false. */
bool lint_explain(const char *code, StrBuf *out);
/* Appends the list of codes, one line each. */
void lint_index(StrBuf *out);
/* True where `code` names a lint. */
bool lint_exists(const char *code);
/* The nearest code, or NULL. */
const char *lint_nearest(const char *code);
/* Appends the table of LANGUAGE.md. */
void lint_markdown(StrBuf *out);
#endif
