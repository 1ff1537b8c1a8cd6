/* What watches the training.  Keras: callbacks. */
#include "vocab.h"

#define MONITOR                                                                                              \
  { "monitor", P_STRING, "val_loss", .doc = "the number that is watched" }
#define MODE                                                                                                 \
  {                                                                                                          \
    "mode", P_CHOICE, "auto", "auto min max",                                                                \
        .doc = "whether smaller or larger is better; auto: by the name"                                      \
  }

static const Signature table[] = {
    {.kind = SIG_CALLBACK,
     .name = "early_stopping",
     .keras_class = "EarlyStopping",
     .doc = "ends a phase that no longer gets better",
     .params = {MONITOR,
                {"min_delta", P_FLOAT, "0.0", .doc = "smaller changes do not count", .range = ">= 0"},
                {"patience", P_INT, "0", .doc = "epochs without progress that are allowed", .range = ">= 0"},
                MODE,
                {"baseline", P_FLOAT, "none", .doc = "must be better than this"},
                {"restore_best_weights", P_BOOL, "false", .doc = "end with the best epoch's weights"},
                {"start_from_epoch", P_INT, "0", .doc = "epochs before watching begins", .range = ">= 0"}}},
    {.kind = SIG_CALLBACK,
     .name = "reduce_on_plateau",
     .aliases = "reduce_lr_on_plateau",
     .keras_class = "ReduceLROnPlateau",
     .doc = "lowers the learning rate when progress stops",
     .params = {MONITOR,
                {"factor", P_FLOAT, "0.1", .doc = "on the learning rate", .range = "[0, 1)"},
                {"patience", P_INT, "10", .doc = "epochs without progress before that", .range = ">= 0"},
                MODE,
                {"min_delta", P_FLOAT, "0.0001", .doc = "smaller changes do not count", .range = ">= 0"},
                {"cooldown", P_INT, "0", .doc = "epochs of rest after lowering", .range = ">= 0"},
                {"min_lr", P_FLOAT, "0.0", .doc = "never below this", .range = ">= 0"}}},
};

const Signature *vocab_callbacks(int *count) {
  VOCAB_END(table);
}
