/* What Keras and PyTorch, or older versions of them, write otherwise: for the help below an error. */
#ifndef NETC_TRANSLATE_H
#define NETC_TRANSLATE_H
#include "diag.h"
#include "signature.h"

/* The help for a setting that a `train` section does not have, or for an argument that a call of that kind
 * does not (blocks are called as layers are): how it is said here, or which of `names` may be meant.  Returns
 * false, and says nothing, where neither is known. */
bool translate_setting(Diag *diag, const char *name, const char *const *names, int count);
bool translate_argument(Diag *diag, SignatureKind kind, const char *name, const char *const *names,
                        int count);

/* The one of `names` that is called `name` elsewhere, or the nearest (diag_nearest), or NULL. */
const char *translate_name(const char *name, const char *const *names, int count);
#endif
