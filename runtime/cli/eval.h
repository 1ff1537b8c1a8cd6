/* EXE eval DATA --weights W.h5 */
#ifndef NETC_CLI_EVAL_H
#define NETC_CLI_EVAL_H
#include "../data/open.h"
#include "../train/evaluate.h"
#include "setup.h"

static void eval_print_json(const ModelInfo *info, const Dataset *data, const double *values,
                            const Confusion *confusion) {
  char name[32];
  printf("{\"images\": %lld, \"loss\": %.9g", (long long)data->count, values[0]);
  for (int m = 0; m < info->metric_count; m++) {
    fputs(", ", stdout);
    console_json_text(stdout, info->metrics[m].name);
    printf(": %.9g", values[1 + m]);
  }
  fputs(", \"classes\": [", stdout);
  for (int c = 0; confusion->count && c < confusion->classes; c++) {
    ConfusionClass row = confusion_class(confusion, c);
    fputs(c ? ", {\"name\": " : "{\"name\": ", stdout);
    console_json_text(stdout, dataset_class_name(data, c, name, sizeof name));
    printf(", \"images\": %lld, \"precision\": %.9g, \"recall\": %.9g, \"f1\": %.9g}", (long long)row.truth,
           row.precision, row.recall, row.f1);
  }
  fputs("], \"confusion\": [", stdout);
  for (int c = 0; confusion->count && c < confusion->classes; c++) {
    fputs(c ? ", [" : "[", stdout);
    for (int k = 0; k < confusion->classes; k++)
      printf("%s%lld", k ? ", " : "", (long long)confusion->count[c * confusion->classes + k]);
    fputc(']', stdout);
  }
  puts("]}");
}

static void eval_print(const ModelInfo *info, const Dataset *data, const double *values,
                       const Confusion *confusion) {
  printf("%lld images\nloss %.9g\n", (long long)data->count, values[0]);
  for (int m = 0; m < info->metric_count; m++)
    printf("%s %.9g\n", info->metrics[m].name, values[1 + m]);
  if (confusion->count)
    confusion_print(stdout, confusion, data->class_names);
}

static bool eval_run(const Options *options, const ModelInfo *info, Model *model, Dataset *data,
                     Fault *fault) {
  H5Texts names;
  OpenSplit all;
  checkpoint_class_names(options->weights, &names);
  bool named = names.count == confusion_classes(info);
  if (!open_labelled(data, info, options->places[0], named ? names.texts : NULL, named ? names.count : 0,
                     options->strict, fault)) {
    h5_texts_free(&names);
    return false;
  }
  h5_texts_free(&names);
  open_split(data, 0, false, false, 0, &all);
  Metrics *metrics = metrics_new(info);
  double *values = system_allocate(((size_t)info->metric_count + 1) * sizeof *values);
  Confusion confusion = {0};
  if (info->output_floats > 1 || info->target == MODEL_TARGET_BINARY)
    confusion = confusion_new(confusion_classes(info));
  Evaluation what = {.dataset = data,
                     .items = all.train,
                     .count = all.train_count,
                     .batch = model_batch(model),
                     .progress = options->quiet || options->json ? NULL : stderr};
  bool good =
      evaluate_run(model, info, &what, metrics, values, confusion.count ? &confusion : NULL, NULL, fault);
  if (good && options->json)
    eval_print_json(info, data, values, &confusion);
  else if (good)
    eval_print(info, data, values, &confusion);
  confusion_free(&confusion);
  metrics_delete(metrics);
  free(values);
  open_split_free(&all);
  return good;
}

static int eval_main(const Options *options) {
  const ModelInfo *info = &model_info;
  Fault fault = {""};
  Dataset data = {0};
  Model *model = setup_model(options, info, setup_batch(options, info), &fault);
  bool good =
      model && setup_trained(options, info, model, &fault) && eval_run(options, info, model, &data, &fault);
  dataset_free(&data);
  model_delete(model);
  return good ? 0 : console_fail(&fault);
}
#endif
