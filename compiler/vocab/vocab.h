/* Everything that can be called in a .net file and is not a layer: one table per kind, one file per table.
 * Names, arguments and defaults are Keras's. */
#ifndef NETC_VOCAB_H
#define NETC_VOCAB_H
#include "../signature.h"

/* The table of a kind other than SIG_LAYER. */
const Signature *const *vocab_table(SignatureKind kind, int *count);

/* One array of signatures per file; `count` is set. */
const Signature *vocab_activations(int *count);
const Signature *vocab_losses(int *count);
const Signature *vocab_metrics(int *count);
const Signature *vocab_optimizers(int *count);
const Signature *vocab_schedules(int *count);
const Signature *vocab_initializers(int *count);
const Signature *vocab_regularizers(int *count);
const Signature *vocab_constraints(int *count);
const Signature *vocab_callbacks(int *count);

#define VOCAB_END(table)                                                                                     \
  *count = (int)(sizeof(table) / sizeof *(table));                                                           \
  return table
#endif
