/* From written arguments to a checked Call. */
#ifndef NETC_BIND_H
#define NETC_BIND_H
#include "datum.h"

/* Binds arguments to the signature's parameters and converts them.  Positional numbers, tuples and lists fill
 * the parameters in order; a bare word goes to the one parameter that knows it.  Every error is reported at
 * the argument; returns NULL after one. */
Call *bind_call(Arena *arena, Diag *diag, const Signature *signature, const Argument *arguments, int count,
                Span span);
/* A word or call out of one table: `adam`, `adam(1e-3)`, "adam".  NULL after an error. */
Call *bind_word(Arena *arena, Diag *diag, SignatureKind kind, const Datum *datum);
/* Converts one value to a parameter's kind; false after an error. */
bool bind_value(Arena *arena, Diag *diag, const Param *param, const Datum *datum, Attr *attr);
#endif
