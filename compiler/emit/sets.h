/* Instruction sets of an emitted file: its kernels and layers are compiled for one or for several (--isa). */
#ifndef NETC_EMIT_SETS_H
#define NETC_EMIT_SETS_H
#include "../ir.h"

/* "avx2" -> "ISA_AVX2" of runtime/kernels/isa.h; NULL: there is no set of that name. */
const char *set_macro(const char *name);

/* ModelCode, the table of a set's functions, before struct Model; its value, among what is compiled per set;
 * and the choice with the calls through it, after that. */
void emit_set_type(const Module *module, StrBuf *out);
void emit_set_table(const Module *module, StrBuf *out);
void emit_set_calls(const Module *module, StrBuf *out);
/* What stands before and after the repeated part of the file called `name`.c. */
void emit_set_around(const char *name, StrBuf *before, StrBuf *after);
#endif
