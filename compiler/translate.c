#include "translate.h"
#include <string.h>

typedef struct Translation {
  const char *there, *here;
} Translation;

static const Translation settings[] = {
    {"batch_size", "`batch 32`"},
    {"callbacks", "a setting each, as `early_stopping(patience = 3)`"},
    {"learning_rate", "the optimizer's, as `optimizer adam(1e-3)`"},
    {"lr", "the optimizer's, as `optimizer adam(1e-3)`"},
    {"steps_per_epoch", "all images of an epoch, in steps of `batch` images"},
    {"validation_data", "`MODEL train DATA --val DATA`, when the model is trained"},
    {"validation_split", "`validation split 0.2`"},
    {"verbose", "`MODEL train DATA --quiet`, when the model is trained"},
};

static const char input_statement[] = "the network's first statement, as `input(100x100x3)`";
static const Translation layer_arguments[] = {
    {"weights", "a statement after the call, as `weights base from \"FILE.h5\"`"},
    {"input_shape", input_statement},
    {"input_dim", input_statement},
    {"input_tensor", input_statement},
    {"batch_input_shape", input_statement},
};
static const Translation optimizer_arguments[] = {
    {"decay", "a schedule, as `adam(inverse_time_decay(1e-3, decay_steps = 1, decay_rate = 1e-4))`"},
};

/* Keras 1, then PyTorch. */
static const Translation names_elsewhere[] = {
    {"border_mode", "padding"},  {"nb_filter", "filters"},  {"subsample", "strides"}, {"output_dim", "units"},
    {"out_channels", "filters"}, {"out_features", "units"}, {"dim", "axis"},          {"p", "rate"},
    {"eps", "epsilon"},          {"fc", "dense"},
};

static const char *find(const Translation *table, size_t count, const char *there) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(table[i].there, there))
      return table[i].here;
  return NULL;
}
#define FIND(table, there) find(table, sizeof(table) / sizeof *(table), there)

const char *translate_name(const char *name, const char *const *names, int count) {
  const char *here = FIND(names_elsewhere, name);
  for (int i = 0; here && i < count; i++)
    if (!strcmp(names[i], here))
      return here;
  return diag_nearest(name, names, count);
}

static bool help(Diag *diag, const char *name, const char *here, const char *near) {
  if (here)
    diag_help(diag, "Keras's `%s` is %s", name, here);
  else if (near)
    diag_help(diag, "did you mean `%s`?", near);
  return here || near;
}

bool translate_setting(Diag *diag, const char *name, const char *const *names, int count) {
  return help(diag, name, FIND(settings, name), diag_nearest(name, names, count));
}

bool translate_argument(Diag *diag, SignatureKind kind, const char *name, const char *const *names,
                        int count) {
  const char *here = kind == SIG_LAYER       ? FIND(layer_arguments, name)
                     : kind == SIG_OPTIMIZER ? FIND(optimizer_arguments, name)
                                             : NULL;
  return help(diag, name, here, translate_name(name, names, count));
}
