/* `netc help`, and the tables of grammar/LANGUAGE.md: both are made from the signature tables. */
#ifndef NETC_HELP_H
#define NETC_HELP_H
#include "strbuf.h"
#include <stdbool.h>

/* Appends all names, by kind. */
void help_index(StrBuf *out);
/* Appends what is known of a name, once for each kind that has it; an unknown one is reported to stderr:
 * false. */
bool help_entry(const char *name, StrBuf *out);
/* Appends the reference as Markdown: a table per kind, a row per name. */
void help_markdown(StrBuf *out);
#endif
