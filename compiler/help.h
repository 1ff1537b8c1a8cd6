/* `netc help` and the reference part of LANGUAGE.md, both from the tables that check arguments. */
#ifndef NETC_HELP_H
#define NETC_HELP_H
#include "strbuf.h"
#include <stdbool.h>

/* Everything that has an entry, by kind. */
void help_index(StrBuf *out);
/* One entry by name or alias (several, where a layer and an activation share it).  Unknown: a message on
 * stderr with the nearest name, and false. */
bool help_entry(const char *name, StrBuf *out);
/* The reference tables of grammar/LANGUAGE.md. */
void help_markdown(StrBuf *out);
#endif
