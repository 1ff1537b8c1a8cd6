#include "vocab.h"

const Signature *const *vocab_table(SignatureKind kind, int *count) {
  static const Signature *(*const sources[])(int *) = {
      [SIG_ACTIVATION] = vocab_activations,   [SIG_LOSS] = vocab_losses,
      [SIG_METRIC] = vocab_metrics,           [SIG_OPTIMIZER] = vocab_optimizers,
      [SIG_SCHEDULE] = vocab_schedules,       [SIG_INITIALIZER] = vocab_initializers,
      [SIG_REGULARIZER] = vocab_regularizers, [SIG_CONSTRAINT] = vocab_constraints,
      [SIG_CALLBACK] = vocab_callbacks,
  };
  enum { TABLE_MAX = 64 };
  static const Signature *tables[SIG_CALLBACK + 1][TABLE_MAX];
  const Signature *first = sources[kind](count);
  for (int i = 0; i < *count && i < TABLE_MAX; i++)
    tables[kind][i] = &first[i];
  return tables[kind];
}
