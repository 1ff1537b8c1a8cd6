/* EXE train DATA */
#ifndef NETC_CLI_TRAIN_H
#define NETC_CLI_TRAIN_H
#include "../train/gradient_check.h"
#include "../train/lints.h"
#include "../train/loop.h"
#include "../train/report.h"
#include "setup.h"

typedef struct TrainData {
  Dataset train, val;
  OpenSplit split, val_split;
  bool has_val; /* a dataset of its own */
} TrainData;

static void train_data_free(TrainData *data) {
  dataset_free(&data->train);
  open_split_free(&data->split);
  if (data->has_val) {
    dataset_free(&data->val);
    open_split_free(&data->val_split);
  }
}

/* Opens DATA and --val and splits. */
static bool train_open(TrainData *data, const Options *options, const ModelInfo *info, bool shuffle,
                       uint64_t seed, Fault *fault) {
  *data = (TrainData){0};
  if (!open_labelled(&data->train, info, options->places[0], NULL, 0, options->strict, fault))
    return false;
  if (options->val) {
    if (!open_labelled(&data->val, info, options->val, data->train.class_names,
                       data->train.class_names ? data->train.class_count : 0, options->strict, fault)) {
      dataset_free(&data->val);
      return false;
    }
    data->has_val = true;
    open_split(&data->val, 0, false, false, seed, &data->val_split);
  }
  open_split(&data->train, options->val ? 0 : info->validation_split, info->stratified, shuffle, seed,
             &data->split);
  if (!data->split.train_count)
    return fault_set(fault, "%s: no image is left to train on after the validation part (%g) is split off",
                     options->places[0], info->validation_split);
  return true;
}

static void train_describe(const Loop *loop, const TrainData *data) {
  char name[32];
  fprintf(loop->out, "%s: %lld images to train, %lld to validate, %d classes", loop->info->name,
          (long long)loop->train_count, (long long)loop->val_count, data->train.class_count);
  for (int c = 0; c < data->train.class_count && c < 12; c++)
    fprintf(loop->out, "%s%s", c ? ", " : " (", dataset_class_name(&data->train, c, name, sizeof name));
  fprintf(loop->out, "%s%s\n", data->train.class_count > 12 ? ", ..." : "",
          data->train.class_count ? ")" : "");
}

/* The confusion matrix over the validation images. */
static bool train_confusion(Loop *loop, Confusion *confusion, Fault *fault) {
  size_t values_bytes = ((size_t)loop->info->metric_count + 1) * sizeof(double);
  double *values = system_allocate(values_bytes);
  Evaluation what = {.dataset = loop->val_data,
                     .items = loop->val_items,
                     .count = loop->val_count,
                     .features = loop->cached ? &loop->val_features : NULL, /* of the last phase */
                     .phase = loop->info->phase_count - 1,
                     .batch = loop->batch};
  *confusion = confusion_new(confusion_classes(loop->info));
  bool good = evaluate_run(loop->model, loop->info, &what, loop->val_metrics, values, confusion, NULL, fault);
  free(values);
  return good;
}

static void train_say_stopped(const Loop *loop, const Options *options) {
  fprintf(stderr,
          "interrupted after step %lld; state saved in %s\n  go on with: the same command and --resume%s%s\n",
          (long long)loop->state.total_step, loop->save, options->save ? "" : " --save ",
          options->save ? "" : loop->save);
}

static bool train_report(const Loop *loop, const Options *options, const TrainData *data,
                         const Confusion *confusion, double start, const char *ended, Fault *fault) {
  ReportSettings settings = {.data = options->places[0],
                             .val = options->val,
                             .save = loop->save,
                             .train_count = loop->train_count,
                             .val_count = loop->val_count,
                             .seed = (int64_t)loop->seed,
                             .batch = loop->batch,
                             .threads = setup_threads(options),
                             .seconds = system_seconds() - start,
                             .peak_bytes = system_peak_bytes(),
                             .ended = ended};
  if (!options->report)
    return true;
  return report_write(options->report, loop->info, &loop->history, confusion, &data->train, &settings, fault);
}

static int train_finish(Loop *loop, const Options *options, const TrainData *data, double start,
                        Fault *fault) {
  Confusion confusion = {0};
  bool classifier =
      loop->val_data && (loop->info->output_floats > 1 || loop->info->target == MODEL_TARGET_BINARY);
  if (loop->history.count)
    lints_after(loop->info, loop->history.count, loop->history.epochs[0].values[0],
                loop->history.epochs[loop->history.count - 1].values[0]);
  if (classifier && (loop->out || options->report)) {
    if (!train_confusion(loop, &confusion, fault))
      return console_fail(fault);
    if (loop->out)
      confusion_print(loop->out, &confusion, data->train.class_names);
  }
  bool good =
      train_report(loop, options, data, confusion.count ? &confusion : NULL, start, "finished", fault);
  confusion_free(&confusion);
  if (!good)
    return console_fail(fault);
  if (loop->out)
    fprintf(loop->out, "\nsaved %s; %s, most memory %s\n", loop->save,
            console_duration(system_seconds() - start), console_bytes((double)system_peak_bytes()));
  return 0;
}

/* Gradients of every phase on the first images; the exit code. */
static int train_check_gradients(Loop *loop, Fault *fault) {
  const ModelInfo *info = loop->info;
  int n = loop->batch < 8 ? loop->batch : 8, wrong = 0;
  n = n < loop->train_count ? n : (int)loop->train_count;
  float *x = system_allocate((size_t)n * info->input_floats * sizeof *x);
  float *target = system_allocate((size_t)n * info->target_floats * sizeof *target);
  for (int i = 0; i < n && !wrong; i++) { /* spread over the data: folders are sorted by class */
    int64_t item = loop->train_items[loop->train_count * i / n];
    dataset_target(loop->data, info, item, target + (size_t)i * info->target_floats);
    if (!dataset_read(loop->data, item, x + (size_t)i * info->input_floats, fault))
      wrong = -1;
  }
  for (int p = 0; p < info->phase_count && wrong >= 0; p++) {
    const ModelPhase *phase = &info->phases[p];
    float *features = NULL;
    model_state(loop->model)->phase = p;
    printf("phase %d%s%s\n", p + 1, phase->name ? ": " : "", phase->name ? phase->name : "");
    if (phase->feature_floats) {
      features = system_allocate((size_t)n * phase->feature_floats * sizeof *features);
      forward_features(loop->model, info, phase, n, x, features);
    }
    int off =
        gradient_check_run(loop->model, info, p, n, features ? features : x, target, NULL, stdout, fault);
    wrong = off < 0 ? -1 : wrong + off;
    free(features);
  }
  free(x);
  free(target);
  if (wrong > 0)
    fault_set(fault, "%d gradients differ from finite differences by more than rounding explains", wrong);
  return wrong ? console_fail(fault) : 0;
}

/* Runs the loop on opened data; the exit code. */
static int train_on(Loop *loop, const Options *options, const TrainData *data, double start, Fault *fault) {
  bool resumed = false;
  loop_start(loop);
  if (options->check_grad)
    return train_check_gradients(loop, fault);
  if (options->resume) {
    if (!loop_resume(loop, fault))
      return console_fail(fault);
    if (loop->state.finished) {
      console_note("%s: that run is finished; nothing to resume (use --weights %s to train on)", loop->save,
                   loop->save);
      return 0;
    }
    resumed = true;
    if (loop->out)
      fprintf(loop->out, "resuming %s after step %lld\n", loop->save, (long long)loop->state.total_step);
  }
  if (!log_open(&loop->log, loop->info, options->log, resumed ? loop->state.total_step : -1, fault))
    return console_fail(fault);
  if (loop->out)
    train_describe(loop, data);
  if (!resumed)
    lints_before(loop->info, loop->data, loop->train_items, loop->train_count, loop->val_data,
                 loop->val_items, loop->val_count);
  LoopEnd end = loop_run(loop, resumed, fault);
  Fault log_fault;
  if (!log_close(&loop->log, &log_fault) && end != LOOP_FAILED) {
    *fault = log_fault;
    end = LOOP_FAILED;
  }
  if (end == LOOP_FAILED)
    return console_fail(fault);
  if (end == LOOP_STOPPED) {
    train_say_stopped(loop, options);
    if (!train_report(loop, options, data, NULL, start, "interrupted", fault))
      return console_fail(fault);
    return 130;
  }
  return train_finish(loop, options, data, start, fault);
}

static int train_main(const Options *options, const char *program) {
  const ModelInfo *info = &model_info;
  Fault fault = {""};
  TrainData data;
  double start = system_seconds();
  char *save = options->save ? system_copy_text(options->save) : system_allocate(strlen(info->name) + 4);
  if (!options->save)
    sprintf(save, "%s.h5", info->name);
  Loop loop = {.info = info,
               .options = options,
               .batch = setup_batch(options, info),
               .seed = options->seed >= 0 ? (uint64_t)options->seed : (uint64_t)info->seed,
               .shuffle = info->shuffle && !options->no_shuffle,
               .save = save,
               .out = options->quiet ? NULL : stdout};
  int code = 1;
  Options how = *options;
  if (options->resume)
    how.weights = save;
  if (!info->phase_count) {
    fault_set(&fault, "the network `%s` has no `train` section, so it cannot be trained", info->name);
  } else if (options->resume && !system_is_file(save)) {
    fault_set(&fault, "%s: does not exist, so there is nothing to resume", save);
  } else if (setup_writable(save, &fault) && (!options->log || setup_writable(options->log, &fault)) &&
             (!options->report || setup_writable(options->report, &fault)) &&
             (loop.model = setup_model(options, info, loop.batch, &fault)) &&
             setup_weights(&how, info, loop.model, loop.seed, program, &fault)) {
    if (train_open(&data, options, info, loop.shuffle, loop.seed, &fault)) {
      loop.data = &data.train;
      loop.train_items = data.split.train;
      loop.train_count = data.split.train_count;
      loop.val_data = data.has_val ? &data.val : data.split.validation_count ? &data.train : NULL;
      loop.val_items = data.has_val ? data.val_split.train : data.split.validation;
      loop.val_count = data.has_val ? data.val_split.train_count : data.split.validation_count;
      stop_watch();
      code = train_on(&loop, options, &data, start, &fault);
      fault.text[0] = 0;
      loop_end(&loop);
    }
    train_data_free(&data);
  }
  if (fault.text[0])
    code = console_fail(&fault);
  model_delete(loop.model);
  free(save);
  return code;
}
#endif
