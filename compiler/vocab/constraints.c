/* What is done to a weight after each update.  Keras: constraints. */
#include "vocab.h"

#define AXIS                                                                                                 \
  { "axis", P_INT, "0", .doc = "along which norms are taken" }

static const Signature table[] = {
    {.kind = SIG_CONSTRAINT,
     .name = "max_norm",
     .keras_class = "MaxNorm",
     .doc = "norms are scaled down to a limit",
     .formula = "w * min(norm, max_value) / (1e-7 + norm)",
     .params = {{"max_value", P_FLOAT, "2.0", .doc = "largest norm", .range = ">= 0"}, AXIS}},
    {.kind = SIG_CONSTRAINT,
     .name = "min_max_norm",
     .keras_class = "MinMaxNorm",
     .doc = "norms are brought between two limits",
     .params = {{"min_value", P_FLOAT, "0.0", .doc = "least norm", .range = ">= 0"},
                {"max_value", P_FLOAT, "1.0", .doc = "largest norm", .range = ">= 0"},
                {"rate", P_FLOAT, "1.0", .doc = "how far each step goes there", .range = ">= 0"},
                AXIS}},
    {.kind = SIG_CONSTRAINT, .name = "non_neg", .keras_class = "NonNeg", .doc = "negative values become 0"},
    {.kind = SIG_CONSTRAINT,
     .name = "unit_norm",
     .keras_class = "UnitNorm",
     .doc = "norms become 1",
     .formula = "w / (1e-7 + norm)",
     .params = {AXIS}},
};

const Signature *vocab_constraints(int *count) {
  VOCAB_END(table);
}
