/* Penalties on weights or outputs, added to the loss.  Keras: regularizers. */
#include "vocab.h"

#define FACTOR(letter)                                                                                       \
  { letter, P_FLOAT, "0.01", .doc = "weight of the penalty" }

static const Signature table[] = {
    {.kind = SIG_REGULARIZER,
     .name = "l1",
     .keras_class = "L1",
     .doc = "penalty on sizes",
     .formula = "l1 * sum of |w|",
     .params = {FACTOR("l1")}},
    {.kind = SIG_REGULARIZER,
     .name = "l2",
     .keras_class = "L2",
     .doc = "penalty on squares",
     .formula = "l2 * sum of w^2",
     .params = {FACTOR("l2")}},
    {.kind = SIG_REGULARIZER,
     .name = "l1_l2",
     .aliases = "l1l2",
     .keras_class = "L1L2",
     .doc = "both",
     .formula = "l1 * sum of |w| + l2 * sum of w^2",
     .params = {{"l1", P_FLOAT, "0.0", .doc = "weight of the sizes", .range = ">= 0"},
                {"l2", P_FLOAT, "0.0", .doc = "weight of the squares", .range = ">= 0"}}},
    {.kind = SIG_REGULARIZER,
     .name = "orthogonal_regularizer",
     .aliases = "orthogonal",
     .keras_class = "OrthogonalRegularizer",
     .doc = "penalty on rows or columns that are not orthogonal",
     .formula = "factor * sum of |off-diagonal entries of the normalized gram matrix| / (2 * pairs)",
     .params = {FACTOR("factor"),
                {"mode", P_CHOICE, "rows", "rows columns", .doc = "which are to be orthogonal"}}},
};

const Signature *vocab_regularizers(int *count) {
  VOCAB_END(table);
}
