/* What Keras and PyTorch, or older versions of them, write otherwise: for the help below an error. */
#ifndef NETC_TRANSLATE_H
#define NETC_TRANSLATE_H
#include "signature.h"

/* How a `train` section has what Keras gives to compile() or fit() as `name`; NULL where there is no such
 * name. */
const char *translate_setting(const char *name);

/* Where what a call of that kind is given elsewhere as `name` is said here, though not by an argument; or
 * NULL. Blocks are called as layers are. */
const char *translate_argument(SignatureKind kind, const char *name);

/* The one of `names` that is called `name` elsewhere, or the nearest (diag_nearest), or NULL. */
const char *translate_name(const char *name, const char *const *names, int count);
#endif
