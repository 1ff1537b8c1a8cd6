/* EXE bench: how long the network takes here, on made-up images.
 *
 * As a worker (--worker) the program loads, runs once and prints {"ready": true, "load_ms", "first_ms",
 * "out", "info"}; for each line "run N" on standard input it answers {"ms": [N times]}, for training also
 * prefix_ms and head_ms (the frozen part and the rest of each step); "quit" or the end of input ends it. */
#ifndef NETC_CLI_BENCH_H
#define NETC_CLI_BENCH_H
#include "../train/forward.h"
#include "setup.h"

typedef struct Bench {
  const ModelInfo *info;
  Model *model;
  int batch;
  bool train;
  float *x, *target, *y, *features;
  double prefix_ms, head_ms; /* of the last run */
  float loss;
} Bench;

static bool bench_start(Bench *bench, const Options *options, const char *program, Fault *fault) {
  const ModelInfo *info = &model_info;
  *bench = (Bench){.info = info, .train = options->train};
  bench->batch = options->batch > 0 ? (int)options->batch : options->train ? setup_batch(options, info) : 1;
  if (bench->train && !info->phase_count)
    return fault_set(fault, "the network `%s` has no `train` section, so there is no step to time",
                     info->name);
  if (!(bench->model = setup_model(options, info, bench->batch, fault)))
    return false;
  if (options->weights) {
    if (!setup_weights(options, info, bench->model, 1, program, fault))
      return false;
  } else {
    init_weights(info, 1, model_params(bench->model));
    model_weights_changed(bench->model);
  }
  size_t n = (size_t)bench->batch, feature_floats = bench->train ? info->phases[0].feature_floats : 0;
  bench->x = system_allocate(n * info->input_floats * sizeof(float));
  bench->target = system_allocate(n * info->target_floats * sizeof(float));
  bench->y = system_allocate(n * info->output_floats * sizeof(float));
  bench->features = system_allocate(n * feature_floats * sizeof(float));
  for (size_t i = 0; i < n * info->input_floats; i++)
    bench->x[i] = (float)random_uniform(3, 0, i);
  size_t classes = info->output_floats > 1 ? info->output_floats : 2;
  for (size_t i = 0; i < n; i++) {
    size_t label = (size_t)(random_bits(3, 1, i) % classes);
    if (info->target == MODEL_TARGET_ONE_HOT && info->target_floats > 1)
      bench->target[i * info->target_floats + label] = 1;
    else
      bench->target[i * info->target_floats] = (float)label;
  }
  if (bench->train) {
    ModelState *state = model_state(bench->model);
    state->seed = 1;
    state->rate_scale = 1;
    if (info->phases[0].begin)
      info->phases[0].begin(bench->model);
  }
  return true;
}

static void bench_end(Bench *bench) {
  model_delete(bench->model);
  free(bench->x);
  free(bench->target);
  free(bench->y);
  free(bench->features);
}

/* One prediction or training step; milliseconds. */
static double bench_once(Bench *bench) {
  double start = system_seconds(), middle = start;
  if (!bench->train) {
    forward_all(bench->model, bench->info, bench->batch, bench->x, bench->y);
    return (system_seconds() - start) * 1e3;
  }
  const ModelPhase *phase = &bench->info->phases[0];
  const float *x = bench->x, *y_pred;
  if (phase->feature_floats) {
    forward_features(bench->model, bench->info, phase, bench->batch, x, bench->features);
    x = bench->features;
    middle = system_seconds();
  }
  bench->loss = phase->step(bench->model, bench->batch, x, bench->target, NULL, &y_pred);
  double end = system_seconds();
  bench->prefix_ms = (middle - start) * 1e3;
  bench->head_ms = (end - middle) * 1e3;
  return (end - start) * 1e3;
}

static void bench_print_list(const char *name, const double *values, int64_t count) {
  printf("\"%s\": [", name);
  for (int64_t i = 0; i < count; i++)
    printf("%s%.6g", i ? ", " : "", values[i]);
  putchar(']');
}

static void bench_ready(const Bench *bench, double load_ms, double first_ms) {
  const ModelInfo *info = bench->info;
  size_t shown = (size_t)bench->batch * info->output_floats;
  printf("{\"ready\": true, \"load_ms\": %.6g, \"first_ms\": %.6g, \"out\": [", load_ms, first_ms);
  if (bench->train)
    printf("%.9g", (double)bench->loss);
  for (size_t i = 0; !bench->train && i < shown && i < 8; i++)
    printf("%s%.9g", i ? ", " : "", (double)bench->y[i]);
  fputs("], \"info\": ", stdout);
  char text[256];
  snprintf(text, sizeof text, "netc %s, %s, batch %d", info->version, info->name, bench->batch);
  console_json_text(stdout, text);
  printf(", \"memory_bytes\": %zu}\n", system_peak_bytes());
  fflush(stdout);
}

static void bench_worker(Bench *bench) {
  char line[256];
  while (fgets(line, sizeof line, stdin)) {
    long count = 0;
    if (sscanf(line, "run %ld", &count) != 1 || count < 1 || count > 1000000) {
      if (!strncmp(line, "quit", 4))
        return;
      continue;
    }
    double *times = system_allocate(3 * (size_t)count * sizeof *times);
    for (long i = 0; i < count; i++) {
      times[i] = bench_once(bench);
      times[count + i] = bench->prefix_ms;
      times[2 * count + i] = bench->head_ms;
    }
    putchar('{');
    bench_print_list("ms", times, count);
    if (bench->train) {
      fputs(", ", stdout);
      bench_print_list("prefix_ms", times + count, count);
      fputs(", ", stdout);
      bench_print_list("head_ms", times + 2 * count, count);
    }
    puts("}");
    fflush(stdout);
    free(times);
  }
}

static int bench_compare(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

/* About two seconds of runs, their median and spread. */
static void bench_report(Bench *bench, bool json, double load_ms, double first_ms) {
  enum { MOST = 1000 };
  double *times = system_allocate(MOST * sizeof *times), *prefix = system_allocate(MOST * sizeof *prefix);
  double start = system_seconds();
  int count = 0;
  while (count < MOST && (count < 3 || system_seconds() - start < 2)) {
    times[count] = bench_once(bench);
    prefix[count++] = bench->prefix_ms;
  }
  qsort(times, (size_t)count, sizeof *times, bench_compare);
  qsort(prefix, (size_t)count, sizeof *prefix, bench_compare);
  double median = times[count / 2];
  const char *what = bench->train ? "training step" : "prediction";
  if (json)
    printf("{\"what\": \"%s\", \"batch\": %d, \"runs\": %d, \"median_ms\": %.6g, \"min_ms\": %.6g, "
           "\"max_ms\": %.6g, "
           "\"prefix_ms\": %.6g, \"load_ms\": %.6g, \"first_ms\": %.6g, \"images_per_s\": %.6g, "
           "\"memory_bytes\": %zu}\n",
           what, bench->batch, count, median, times[0], times[count - 1], prefix[count / 2], load_ms,
           first_ms, bench->batch * 1e3 / median, system_peak_bytes());
  else
    printf("%s, batch %d: median %.3f ms (%.3f to %.3f, %d runs), %.1f images/s\nload %.1f ms, first %.1f "
           "ms, most "
           "memory %s\n",
           what, bench->batch, median, times[0], times[count - 1], count, bench->batch * 1e3 / median,
           load_ms, first_ms, console_bytes((double)system_peak_bytes()));
  if (!json && bench->train && bench->info->phases[0].feature_floats)
    printf("of this the frozen part, which a run computes once per image: %.3f ms\n", prefix[count / 2]);
  free(times);
  free(prefix);
}

static int bench_main(const Options *options, const char *program) {
  Bench bench = {0};
  Fault fault = {""};
  double start = system_seconds();
  bool good = bench_start(&bench, options, program, &fault);
  if (good) {
    double load_ms = (system_seconds() - start) * 1e3, first_ms = bench_once(&bench);
    if (options->worker) {
      bench_ready(&bench, load_ms, first_ms);
      bench_worker(&bench);
    } else {
      bench_report(&bench, options->json, load_ms, first_ms);
    }
  }
  bench_end(&bench);
  return good ? 0 : console_fail(&fault);
}
#endif
