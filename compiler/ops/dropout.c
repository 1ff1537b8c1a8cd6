#include "infer.h"

/* While training, each value is zero with probability `rate`, else divided by 1 - rate.  Keras: Dropout. */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  return infer_between(layer, "rate", 0, 1, diag) && infer_keep(layer, arena, diag);
}

const OpDef op_dropout = {
    .kind = OP_dropout,
    .name = "dropout",
    .signature =
        {
            .kind = SIG_LAYER,
            .name = "dropout",
            .keras_class = "Dropout",
            .doc = "while training, sets a random part of the values to zero",
            .formula = "y = x * keep / (1 - rate), keep is 0 with probability rate; prediction: y = x",
            .params = {{"rate", P_FLOAT, NULL, NULL, "part that is dropped, 0 <= rate < 1"},
                       {"seed", P_INT, "none", NULL, "own random draws; none: from the training seed"}},
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .random = true,
    .samples = (const OpSample[]){{"dropout(0.25)", "10"}, {"dropout(0.5)", "4x4x3"}, {NULL, NULL}},
};
