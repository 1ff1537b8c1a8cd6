/* The library interface of an emitted program. */
#ifndef NETC_EMIT_HEADER_H
#define NETC_EMIT_HEADER_H
#include "../ir.h"
#include "stitch.h"

/* The text of NAME.h. */
void emit_header(const Module *module, StrBuf *out);
/* The functions behind it, at this place of the C file.  `trains`: with training steps. */
void emit_api(Stitch *stitch, bool trains);
#endif
