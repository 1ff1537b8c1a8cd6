/* The training loop: phases, epochs, steps, validation, callbacks, log, checkpoints.  What Keras's `fit`
 * does, and what it shows; formulas of running values and callbacks are in metrics.h and callbacks.h.
 *
 * Everything that decides the result is a function of the seed and of counters (order of images, dropout), so
 * that a run that was interrupted and resumed ends with the same bits. */
#ifndef NETC_TRAIN_LOOP_H
#define NETC_TRAIN_LOOP_H
#include "../cli/options.h"
#include "../data/open.h"
#include "checkpoint.h"
#include "evaluate.h"
#include "history.h"
#include "log.h"
#include "stop.h"

/* A checkpoint is written when the last one is older, so that a crash costs little. */
#define LOOP_SAVE_SECONDS 120.0

typedef struct Loop {
  const ModelInfo *info;
  Model *model;
  const Options *options;
  Dataset *data, *val_data; /* val_data may be the same as data, or NULL */
  const int64_t *train_items, *val_items;
  int64_t train_count, val_count;
  int batch;
  uint64_t seed;
  bool shuffle;
  const char *save;
  FILE *out; /* for the person; NULL: quiet */
  /* the loop's own */
  CheckpointState state;
  Metrics *metrics, *step_metrics, *val_metrics;
  float *best;
  Features features, val_features;
  bool cached;
  Log log;
  History history;
  double saved_at;
} Loop;

typedef enum LoopEnd { LOOP_DONE, LOOP_STOPPED, LOOP_FAILED } LoopEnd;

/* "loss 0.1234 accuracy 0.9000 val_loss ..." */
static void loop_text(const ModelInfo *info, const double *values, const double *val, char *text,
                      size_t size) {
  size_t used = 0;
  text[0] = 0;
  for (int part = 0; part < (val ? 2 : 1); part++)
    for (int m = 0; m <= info->metric_count && used < size; m++) {
      double value = part ? val[m] : values[m];
      used += (size_t)snprintf(text + used, size - used, "%s%s%s %.*f", used ? "  " : "", part ? "val_" : "",
                               m ? info->metrics[m - 1].name : "loss", fabs(value) < 1000 ? 4 : 1, value);
    }
}

static int64_t loop_epochs(const Loop *loop, int64_t phase) {
  return loop->options->epochs >= 0 ? loop->options->epochs : loop->info->phases[phase].epochs;
}

static bool loop_save(Loop *loop, Fault *fault) {
  loop->state.draw = model_state(loop->model)->draw;
  loop->state.rate_scale = model_state(loop->model)->rate_scale;
  Checkpoint checkpoint = {.info = loop->info,
                           .state = loop->state,
                           .metrics = loop->metrics,
                           .slots = model_slots(loop->model),
                           .best = loop->best,
                           .class_names = loop->data->class_names,
                           .class_count = loop->data->class_count};
  loop->saved_at = system_seconds();
  return save_weights(loop->info, model_params(loop->model), loop->save, checkpoint_write, &checkpoint,
                      fault);
}

/* Where the features of a phase are kept: beside the weights; phases after the first have a number. */
static char *loop_cache_path(const Loop *loop, int64_t phase) {
  const char *base = loop->options->cache_file ? loop->options->cache_file : loop->save;
  const char *ending = loop->options->cache_file ? "" : ".features";
  size_t size = strlen(base) + 48;
  char *path = system_allocate(size), number[24] = "";
  if (phase)
    snprintf(number, sizeof number, "%lld", (long long)phase + 1);
  snprintf(path, size, "%s%s%s", base, ending, number);
  return path;
}

/* Gets the features of all images ready where the phase has a frozen prefix. */
static bool loop_prepare_features(Loop *loop, Fault *fault) {
  int64_t phase = loop->state.phase;
  const ModelPhase *own = &loop->info->phases[phase];
  const char *mode = loop->options->cache ? loop->options->cache
                     : loop->info->cache  ? loop->info->cache
                                          : "auto";
  features_free(&loop->features);
  features_free(&loop->val_features);
  loop->cached = own->feature_floats && own->features && own->head && strcmp(mode, "off");
  if (!loop->cached)
    return true;
  char *path = loop_cache_path(loop, phase);
  uint64_t key = features_key(loop->info, (int)phase, model_params(loop->model));
  FeaturesWork work = {loop->model, loop->info,        own,
                       loop->data,  loop->batch,       loop->out,
                       &stop_asked, own->variants > 0, features_group(own, loop->seed)};
  int64_t rows, val_rows = 0, epochs = loop_epochs(loop, phase) - loop->state.epoch;
  FeaturesRow *wanted = features_rows(&work, loop->seed, loop->state.total_epoch, epochs, loop->train_items,
                                      loop->train_count, &rows);
  bool good = features_prepare(&loop->features, &work, mode, path, key, wanted, rows, fault);
  free(wanted);
  if (good && loop->val_data) {
    work.dataset = loop->val_data;
    work.varied = false;
    wanted = features_rows(&work, loop->seed, 0, 1, loop->val_items, loop->val_count, &val_rows);
    good = features_prepare(&loop->val_features, &work, mode, path, key, wanted, val_rows, fault);
    free(wanted);
  }
  if (good && loop->out) {
    const Features *train = &loop->features, *val = &loop->val_features;
    char variants[64] = "";
    if (own->variants)
      snprintf(variants, sizeof variants, ", up to %d variants of a training image", own->variants);
    fprintf(loop->out, "features of the frozen part: %lld computed, %lld found%s%s, %s (%s)\n",
            (long long)(train->computed + val->computed), (long long)(train->found + val->found),
            train->damaged + val->damaged ? ", damaged ones made anew" : "", variants, train->note,
            console_bytes((double)own->feature_floats * 4 * (double)(rows + val_rows)));
  }
  free(path);
  return good;
}

/* Fresh optimizer state and callbacks. */
static void loop_begin_phase(Loop *loop) {
  const ModelInfo *info = loop->info;
  const ModelPhase *phase = &info->phases[loop->state.phase];
  ModelState *state = model_state(loop->model);
  state->step = 0;
  state->rate_scale = 1;
  if (phase->begin)
    phase->begin(loop->model);
  else if (info->slot_count && info->slot_floats)
    memset(model_slots(loop->model), 0, (size_t)info->slot_count * info->slot_floats * sizeof(float));
  loop->state.epoch = loop->state.batch_index = loop->state.phase_step = 0;
  loop->state.early = early_begin(&info->early_stopping);
  loop->state.plateau = plateau_begin(&info->reduce_on_plateau);
  loop->state.has_best = 0;
  loop->state.loss_sum = loop->state.loss_count = 0;
  metrics_reset(loop->metrics);
}

static double loop_rate(const Loop *loop) {
  const ModelState *state = model_state(loop->model);
  return loop->info->phases[loop->state.phase].learning_rate(state->step) * state->rate_scale;
}

/* The features of a batch where none are kept: the same numbers. */
static void loop_features(Loop *loop, const FeedBatch *batch, float *features) {
  const ModelPhase *phase = &loop->info->phases[loop->state.phase];
  if (!phase->variants) {
    forward_features(loop->model, loop->info, phase, batch->n, batch->x, features);
    return;
  }
  int64_t *draws = system_allocate((size_t)batch->n * sizeof *draws);
  for (int i = 0; i < batch->n; i++) {
    uint64_t image = loop->data->items[batch->items[i]].hash;
    draws[i] = features_draw(image, features_variant(phase, loop->seed, image, loop->state.total_epoch));
  }
  forward_varied(loop->model, loop->info, phase, batch->n, batch->x, draws, features);
  free(draws);
}

/* One step on a batch.  values: the step's own loss and metrics.  False where the loss is not a number. */
static bool loop_step(Loop *loop, const FeedBatch *batch, float *features, double *values, double *rate) {
  const ModelInfo *info = loop->info;
  const ModelPhase *phase = &info->phases[loop->state.phase];
  ModelState *state = model_state(loop->model);
  const float *x = batch->x, *y_pred = NULL;
  *rate = loop_rate(loop);
  if (phase->feature_floats && !loop->cached) {
    loop_features(loop, batch, features);
    x = features;
  }
  values[0] = (double)phase->step(loop->model, batch->n, x, batch->target, batch->weight, &y_pred);
  state->step = ++loop->state.phase_step;
  loop->state.total_step++;
  loop->state.batch_index++;
  if (!isfinite(values[0]))
    return false;
  loop->state.loss_sum += values[0] * batch->n;
  loop->state.loss_count += batch->n;
  metrics_update(loop->metrics, batch->n, batch->target, y_pred);
  if (loop->log.file) {
    metrics_reset(loop->step_metrics);
    metrics_update(loop->step_metrics, batch->n, batch->target, y_pred);
    for (int m = 0; m < info->metric_count; m++)
      values[1 + m] = metrics_value(loop->step_metrics, m);
  }
  return true;
}

static bool loop_not_a_number(const Loop *loop, double loss, double rate, Fault *fault) {
  return fault_set(
      fault,
      "the loss became %s in step %lld (epoch %lld, learning rate %g); nothing was saved from here on\n"
      "  usual reasons: a learning rate that is too large, pixels that are not scaled, targets out of range",
      isnan(loss) ? "not a number" : "infinite", (long long)loop->state.total_step,
      (long long)loop->state.total_epoch + 1, rate);
}

static void loop_values(const Loop *loop, double *values) {
  values[0] = metrics_ratio(loop->state.loss_sum, loop->state.loss_count);
  for (int m = 0; m < loop->info->metric_count; m++)
    values[1 + m] = metrics_value(loop->metrics, m);
}

/* The steps of one epoch from state.batch_index on.  order: all training images in this epoch's order. */
static LoopEnd loop_steps(Loop *loop, const int64_t *order, Progress *progress, double *rate, Fault *fault) {
  const ModelPhase *phase = &loop->info->phases[loop->state.phase];
  Feed feed;
  FeedBatch batch;
  char text[512];
  LoopEnd end = LOOP_DONE;
  size_t values_bytes = ((size_t)loop->info->metric_count + 1) * sizeof(double);
  double *values = system_allocate(values_bytes);
  float *features = NULL;
  int64_t first = loop->state.batch_index * loop->batch, done = first;
  fault->text[0] = 0;
  if (phase->feature_floats && !loop->cached)
    features = system_allocate((size_t)loop->batch * phase->feature_floats * sizeof(float));
  if (!feed_start(&feed, loop->info, loop->data, loop->cached ? &loop->features : NULL, order, first,
                  loop->train_count, loop->batch, true, fault)) {
    free(features);
    free(values);
    return LOOP_FAILED;
  }
  feed.phase = phase;
  feed.seed = loop->seed;
  feed.epoch = loop->state.total_epoch;
  while (end == LOOP_DONE && feed_next(&feed, &batch, fault)) {
    if (!loop_step(loop, &batch, features, values, rate)) {
      loop_not_a_number(loop, values[0], *rate, fault);
      end = LOOP_FAILED;
      break;
    }
    log_row(&loop->log, "step", loop->state.total_epoch + 1, loop->state.total_step, values, *rate, NULL);
    done += batch.n;
    if (progress->terminal) {
      loop_values(loop, values);
      loop_text(loop->info, values, NULL, text, sizeof text);
      progress_show(progress, done, text);
    }
    if (stop_asked)
      end = LOOP_STOPPED;
  }
  feed_stop(&feed);
  if (end == LOOP_DONE && done < loop->train_count)
    end = LOOP_FAILED; /* an image could not be read: the fault says which */
  if (end == LOOP_STOPPED && done == loop->train_count)
    end = LOOP_DONE; /* the epoch is whole; the stop is seen after it */
  free(features);
  free(values);
  return end;
}

static bool loop_validate(Loop *loop, double *values, Fault *fault) {
  Evaluation what = {.dataset = loop->val_data,
                     .items = loop->val_items,
                     .count = loop->val_count,
                     .features = loop->cached ? &loop->val_features : NULL,
                     .phase = (int)loop->state.phase,
                     .batch = loop->batch};
  return evaluate_run(loop->model, loop->info, &what, loop->val_metrics, values, NULL, NULL, fault);
}

/* The value a callback watches: "val_loss", "accuracy", ...; false where there is none. */
static bool loop_monitored(const ModelInfo *info, const char *monitor, const double *values,
                           const double *val, double *value) {
  bool of_val = !strncmp(monitor, "val_", 4);
  const char *name = of_val ? monitor + 4 : monitor;
  const double *from = of_val ? val : values;
  for (int m = 0; from && m <= info->metric_count; m++)
    if (!strcmp(name, m ? info->metrics[m - 1].name : "loss")) {
      *value = from[m];
      return true;
    }
  return false;
}

/* After an epoch; true: training stops early. */
static bool loop_callbacks(Loop *loop, const double *values, const double *val, double rate) {
  const ModelInfo *info = loop->info;
  const ModelEarlyStopping *early = &info->early_stopping;
  const ModelReduceOnPlateau *plateau = &info->reduce_on_plateau;
  double value;
  bool stop = false;
  if (early->present && loop_monitored(info, early->monitor, values, val, &value)) {
    EarlyVerdict verdict = early_epoch(early, &loop->state.early, loop->state.epoch, value);
    if (verdict.keep && early->restore_best) {
      memcpy(loop->best, model_params(loop->model), info->param_floats * sizeof(float));
      loop->state.has_best = 1;
    }
    stop = verdict.stop;
    if (stop && loop->out)
      fprintf(loop->out, "early stopping: no better %s since epoch %lld\n", early->monitor,
              (long long)(loop->state.total_epoch + 1 - (loop->state.epoch - loop->state.early.best_epoch)));
  }
  if (plateau->present && loop_monitored(info, plateau->monitor, values, val, &value)) {
    double factor = plateau_epoch(plateau, &loop->state.plateau, value, rate);
    if (factor != 1) {
      model_state(loop->model)->rate_scale *= factor;
      if (loop->out)
        fprintf(loop->out, "no better %s: learning rate is now %g\n", plateau->monitor, rate * factor);
    }
  }
  return stop;
}

/* One epoch, or what is left of it. */
static LoopEnd loop_epoch(Loop *loop, int64_t *order, double *values, double *val, bool *early,
                          Fault *fault) {
  Progress progress;
  char head[64], text[512];
  double start = system_seconds(), rate = loop_rate(loop);
  memcpy(order, loop->train_items, (size_t)loop->train_count * sizeof *order);
  if (loop->shuffle)
    random_shuffle(order, loop->train_count, loop->seed, 0x65706f6368u + (uint64_t)loop->state.total_epoch);
  snprintf(head, sizeof head, "epoch %lld/%lld", (long long)loop->state.epoch + 1,
           (long long)loop_epochs(loop, loop->state.phase));
  progress_begin(&progress, loop->out, loop->train_count, loop->state.batch_index * loop->batch, head);
  LoopEnd end = loop_steps(loop, order, &progress, &rate, fault);
  if (end != LOOP_DONE) {
    if (progress.terminal)
      fputc('\n', progress.out);
    return end;
  }
  loop_values(loop, values);
  if (loop->val_data && !loop_validate(loop, val, fault))
    return LOOP_FAILED;
  const double *val_or_none = loop->val_data ? val : NULL;
  loop_text(loop->info, values, val_or_none, text, sizeof text);
  progress_end(&progress, loop->train_count, text);
  log_row(&loop->log, "epoch", loop->state.total_epoch + 1, loop->state.total_step, values, rate,
          val_or_none);
  log_flush(&loop->log);
  history_add(&loop->history,
              (HistoryEpoch){.phase = (int)loop->state.phase,
                             .epoch = loop->state.total_epoch + 1,
                             .step = loop->state.total_step,
                             .rate = rate,
                             .seconds = system_seconds() - start},
              values, val_or_none);
  *early = loop_callbacks(loop, values, val_or_none, rate);
  loop->state.epoch++;
  loop->state.total_epoch++;
  loop->state.batch_index = 0;
  loop->state.loss_sum = loop->state.loss_count = 0;
  metrics_reset(loop->metrics);
  return LOOP_DONE;
}

/* After a phase's last epoch: averaged or best weights take their place. */
static void loop_end_phase(Loop *loop) {
  const ModelPhase *phase = &loop->info->phases[loop->state.phase];
  if (phase->finish)
    phase->finish(loop->model);
  if (loop->state.has_best) {
    memcpy(model_params(loop->model), loop->best, loop->info->param_floats * sizeof(float));
    model_weights_changed(loop->model);
    if (loop->out)
      fprintf(loop->out, "best weights restored (epoch %lld of this phase)\n",
              (long long)loop->state.early.best_epoch + 1);
  }
}

static LoopEnd loop_phase(Loop *loop, bool fresh, double *values, double *val, int64_t *order, Fault *fault) {
  const ModelPhase *phase = &loop->info->phases[loop->state.phase];
  int64_t epochs = loop_epochs(loop, loop->state.phase);
  LoopEnd end = LOOP_DONE;
  bool early = false;
  if (fresh)
    loop_begin_phase(loop);
  model_state(loop->model)->phase = (int)loop->state.phase;
  loop->cached = false;
  if (loop->out && (loop->info->phase_count > 1 || phase->name))
    fprintf(loop->out, "phase %lld/%d%s%s%s: %s\n", (long long)loop->state.phase + 1, loop->info->phase_count,
            phase->name ? " `" : "", phase->name ? phase->name : "", phase->name ? "`" : "", phase->recipe);
  if (loop->state.epoch < epochs && !loop_prepare_features(loop, fault))
    return stop_asked ? LOOP_STOPPED : LOOP_FAILED;
  while (end == LOOP_DONE && !early && loop->state.epoch < epochs) {
    end = loop_epoch(loop, order, values, val, &early, fault);
    if (end == LOOP_DONE && stop_asked && !early && loop->state.epoch < epochs)
      end = LOOP_STOPPED;
    else if (end == LOOP_DONE && !early && loop->state.epoch < epochs &&
             system_seconds() - loop->saved_at > LOOP_SAVE_SECONDS && !loop_save(loop, fault))
      end = LOOP_FAILED;
  }
  if (end == LOOP_DONE)
    loop_end_phase(loop);
  return end;
}

/* Allocates what the loop keeps; before loop_resume and loop_run. */
static void loop_start(Loop *loop) {
  const ModelInfo *info = loop->info;
  loop->metrics = metrics_new(info);
  loop->step_metrics = metrics_new(info);
  loop->val_metrics = metrics_new(info);
  loop->history.values = 1 + info->metric_count;
  loop->saved_at = system_seconds();
  if (info->early_stopping.present && info->early_stopping.restore_best)
    loop->best = system_allocate(info->param_floats * sizeof(float));
  loop->state.seed = (int64_t)loop->seed;
  loop->state.batch = loop->batch;
  loop->state.train_count = loop->train_count;
  loop->state.val_count = loop->val_count;
  loop->state.shuffle = loop->shuffle;
  ModelState *state = model_state(loop->model);
  state->seed = loop->seed;
  state->draw = 0;
}

static void loop_end(Loop *loop) {
  metrics_delete(loop->metrics);
  metrics_delete(loop->step_metrics);
  metrics_delete(loop->val_metrics);
  history_free(&loop->history);
  features_free(&loop->features);
  features_free(&loop->val_features);
  free(loop->best);
}

/* Takes up the state of the interrupted run in loop->save, whose weights are loaded already. */
static bool loop_resume(Loop *loop, Fault *fault) {
  CheckpointState was;
  if (!checkpoint_read(loop->info, loop->save, &was, loop->metrics, model_slots(loop->model), loop->best,
                       fault))
    return false;
  const struct {
    const char *what;
    int64_t was, is;
  } settings[] = {{"--seed", was.seed, loop->state.seed},
                  {"--batch", was.batch, loop->state.batch},
                  {"the number of training images", was.train_count, loop->state.train_count},
                  {"the number of validation images", was.val_count, loop->state.val_count},
                  {"shuffling", was.shuffle, loop->state.shuffle}};
  for (size_t i = 0; !was.finished && i < sizeof settings / sizeof *settings; i++)
    if (settings[i].was != settings[i].is)
      return fault_set(fault, "%s: cannot be resumed: %s was %lld there and is %lld now", loop->save,
                       settings[i].what, (long long)settings[i].was, (long long)settings[i].is);
  loop->state = was;
  ModelState *state = model_state(loop->model);
  state->step = was.phase_step;
  state->draw = was.draw;
  state->rate_scale = was.rate_scale;
  return true;
}

/* Trains from loop->state on.  LOOP_STOPPED: a signal came; the state is saved. */
static LoopEnd loop_run(Loop *loop, bool resumed, Fault *fault) {
  size_t values_bytes = ((size_t)loop->info->metric_count + 1) * sizeof(double);
  double *values = system_allocate(values_bytes), *val = system_allocate(values_bytes);
  int64_t *order = system_allocate((size_t)loop->train_count * sizeof *order);
  LoopEnd end = LOOP_DONE;
  bool fresh = !resumed;
  while (end == LOOP_DONE && loop->state.phase < loop->info->phase_count) {
    end = loop_phase(loop, fresh, values, val, order, fault);
    if (end == LOOP_DONE) {
      loop->state.phase++;
      fresh = true;
      if (stop_asked && loop->state.phase < loop->info->phase_count) {
        loop_begin_phase(loop);
        end = LOOP_STOPPED;
      }
    }
  }
  loop->state.finished = end == LOOP_DONE;
  if (end != LOOP_FAILED && !loop_save(loop, fault))
    end = LOOP_FAILED;
  free(values);
  free(val);
  free(order);
  return end;
}
#endif
