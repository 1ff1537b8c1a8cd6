/* The confusion matrix and what follows from it: precision, recall and F1 per class. */
#ifndef NETC_TRAIN_CONFUSION_H
#define NETC_TRAIN_CONFUSION_H
#include "metrics.h"

typedef struct Confusion {
  int classes;
  int64_t *count; /* [classes, true][classes, predicted] */
} Confusion;

/* How many classes the outputs can tell apart. */
static int confusion_classes(const ModelInfo *info) {
  return info->output_floats == 1 ? 2 : (int)info->output_floats;
}

static Confusion confusion_new(int classes) {
  return (Confusion){classes, system_allocate((size_t)classes * (size_t)classes * sizeof(int64_t))};
}

static void confusion_free(Confusion *confusion) {
  free(confusion->count);
  *confusion = (Confusion){0};
}

static void confusion_update(Confusion *confusion, const ModelInfo *info, int n, const float *target,
                             const float *y_pred) {
  for (int i = 0; i < n; i++, target += info->target_floats, y_pred += info->output_floats) {
    size_t is = info->target == MODEL_TARGET_ONE_HOT && info->target_floats == 1
                    ? *target > 0.5f
                    : metrics_target_class(info, target);
    size_t said = metrics_output_class(info, y_pred), classes = (size_t)confusion->classes;
    if (is < classes && said < classes)
      confusion->count[is * classes + said]++;
  }
}

typedef struct ConfusionClass {
  int64_t hit, said, truth; /* truth: images of the class; said: called so; hit: both */
  double precision, recall, f1;
} ConfusionClass;

static ConfusionClass confusion_class(const Confusion *confusion, int c) {
  ConfusionClass result = {confusion->count[c * confusion->classes + c], 0, 0, 0, 0, 0};
  for (int k = 0; k < confusion->classes; k++) {
    result.truth += confusion->count[c * confusion->classes + k];
    result.said += confusion->count[k * confusion->classes + c];
  }
  result.precision = metrics_ratio((double)result.hit, (double)result.said);
  result.recall = metrics_ratio((double)result.hit, (double)result.truth);
  result.f1 = metrics_ratio(2 * result.precision * result.recall, result.precision + result.recall);
  return result;
}

/* A table for the terminal: a row per true class, a column per predicted one.  `names` may be NULL. */
static void confusion_print(FILE *out, const Confusion *confusion, char *const *names) {
  int widest = 5, classes = confusion->classes, shown = classes > 30 ? 0 : classes;
  char number[16];
  for (int c = 0; names && c < classes; c++)
    widest = (int)strlen(names[c]) > widest ? (int)strlen(names[c]) : widest;
  widest = widest > 24 ? 24 : widest;
  fprintf(out, "\nconfusion matrix (rows: truth, columns: prediction)\n%*s", widest, "");
  for (int c = 0; c < shown; c++) {
    snprintf(number, sizeof number, "%d", c);
    fprintf(out, " %8.8s", names ? names[c] : number);
  }
  fprintf(out, " | precision recall     f1  images\n");
  for (int c = 0; c < classes; c++) {
    ConfusionClass row = confusion_class(confusion, c);
    snprintf(number, sizeof number, "%d", c);
    fprintf(out, "%-*.*s", widest, widest, names ? names[c] : number);
    for (int k = 0; k < shown; k++)
      fprintf(out, " %8lld", (long long)confusion->count[c * classes + k]);
    fprintf(out, " |    %.4f %.4f %.4f %7lld\n", row.precision, row.recall, row.f1, (long long)row.truth);
  }
}
#endif
