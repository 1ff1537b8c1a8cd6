/* EXE bench: how long the network takes here, on made-up images.
 *
 * As a worker (--worker) the program loads, runs once and prints {"ready": true, "load_ms", "first_ms",
 * "out", "info"}; for each line "run N" on standard input it answers {"ms": [N times]}, for training also
 * prefix_ms and head_ms (the frozen part and the rest of each step); "quit" or the end of input ends it.
 *
 * --layers adds what each layer takes, in the order of the work: medians over runs that are watched piece by
 * piece, apart from those that the other figures are of. */
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

/* ---- layers ---- */

enum { BENCH_RUNS = 1000 }; /* at most */

/* Seconds of each piece in each run, and the pieces that were computed, in the order of the first run. */
typedef struct BenchWatch {
  double *seconds; /* [runs][piece_count] */
  bool *seen;
  int *order;
  int piece_count, count, run;
  double last; /* when the piece before was done */
} BenchWatch;

/* Layers of micro-batches are done several times in a run; of the threads that take images of their own
 * through them the first one tells, which is at them as long as the others are. */
static void bench_piece_done(void *watcher, int piece) {
  BenchWatch *watch = watcher;
  double now = system_seconds();
  watch->seconds[(size_t)watch->run * (size_t)watch->piece_count + (size_t)piece] += now - watch->last;
  watch->last = now;
  if (!watch->seen[piece])
    watch->order[watch->count++] = piece;
  watch->seen[piece] = true;
}

/* What a layer takes: median milliseconds of its piece, and operations. */
typedef struct BenchLayer {
  const ModelPiece *piece;
  double ms, flops;
} BenchLayer;

/* The layers of a prediction or step, in the order of the work; to be freed. */
static BenchLayer *bench_layers(Bench *bench, int *count) {
  size_t pieces = (size_t)bench->info->piece_count;
  BenchWatch watch = {.seconds = system_allocate(BENCH_RUNS * pieces * sizeof(double)),
                      .seen = system_allocate(pieces * sizeof(bool)),
                      .order = system_allocate(pieces * sizeof(int)),
                      .piece_count = (int)pieces};
  ModelState *state = model_state(bench->model);
  state->done = bench_piece_done;
  state->watcher = &watch;
  double start = system_seconds(), *times = system_allocate(BENCH_RUNS * sizeof *times);
  for (; watch.run < BENCH_RUNS && (watch.run < 3 || system_seconds() - start < 2); watch.run++) {
    watch.last = system_seconds();
    bench_once(bench);
  }
  state->done = NULL;
  BenchLayer *layers = system_allocate((size_t)watch.count * sizeof *layers);
  for (int i = 0; i < watch.count; i++) {
    const ModelPiece *piece = &bench->info->pieces[watch.order[i]];
    for (int run = 0; run < watch.run; run++)
      times[run] = watch.seconds[(size_t)run * pieces + (size_t)watch.order[i]];
    qsort(times, (size_t)watch.run, sizeof *times, bench_compare);
    layers[i] = (BenchLayer){piece, times[watch.run / 2] * 1e3,
                             piece->image_flops * bench->batch + piece->call_flops};
  }
  *count = watch.count;
  free(times);
  free(watch.order);
  free(watch.seen);
  free(watch.seconds);
  return layers;
}

static void bench_layers_json(const BenchLayer *layers, int count) {
  fputs(", \"layers\": [", stdout);
  for (int i = 0; i < count; i++) {
    const ModelPiece *piece = layers[i].piece;
    printf("%s\n  {\"layer\": ", i ? "," : "");
    console_json_text(stdout, piece->layer);
    printf(", \"pass\": \"%s\", \"operators\": \"%s\", \"ms\": %.6g, \"flops\": %.6g}",
           *piece->pass ? piece->pass : "forward", piece->operators, layers[i].ms, layers[i].flops);
  }
  putchar(']');
}

static void bench_layers_text(const BenchLayer *layers, int count) {
  int width = 5;
  double sum = 0;
  for (int i = 0; i < count; i++) {
    const ModelPiece *piece = layers[i].piece;
    int length = (int)(strlen(piece->layer) + (*piece->pass ? 2 + strlen(piece->pass) : 0));
    width = length > width ? length : width;
    sum += layers[i].ms;
  }
  printf("\n%-*s %10s %6s %9s  operators\n", width, "layer", "ms", "share", "GFLOP/s");
  for (int i = 0; i < count; i++) {
    const ModelPiece *piece = layers[i].piece;
    double ms = layers[i].ms;
    int length = printf("%s%s%s", piece->layer, *piece->pass ? ", " : "", piece->pass);
    printf("%*s %10.3f %5.1f%%", width - length, "", ms, sum > 0 ? 100 * ms / sum : 0);
    if (layers[i].flops > 0 && ms > 0)
      printf(" %9.1f", layers[i].flops / ms * 1e-6);
    else
      printf(" %9s", "");
    printf("  %s\n", piece->operators);
  }
  printf("%-*s %10.3f\n", width, "sum", sum);
}

/* ---- the report ---- */

/* About two seconds of runs, their median and spread. */
static void bench_report(Bench *bench, bool json, bool by_layer, double load_ms, double first_ms) {
  double *times = system_allocate(BENCH_RUNS * sizeof *times),
         *prefix = system_allocate(BENCH_RUNS * sizeof *prefix);
  double start = system_seconds();
  int count = 0;
  while (count < BENCH_RUNS && (count < 3 || system_seconds() - start < 2)) {
    times[count] = bench_once(bench);
    prefix[count++] = bench->prefix_ms;
  }
  qsort(times, (size_t)count, sizeof *times, bench_compare);
  qsort(prefix, (size_t)count, sizeof *prefix, bench_compare);
  double median = times[count / 2];
  int layer_count = 0;
  BenchLayer *layers = by_layer ? bench_layers(bench, &layer_count) : NULL;
  const char *what = bench->train ? "training step" : "prediction";
  if (json)
    printf("{\"what\": \"%s\", \"batch\": %d, \"runs\": %d, \"median_ms\": %.6g, \"min_ms\": %.6g, "
           "\"max_ms\": %.6g, "
           "\"prefix_ms\": %.6g, \"load_ms\": %.6g, \"first_ms\": %.6g, \"images_per_s\": %.6g, "
           "\"memory_bytes\": %zu",
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
  if (json && layers)
    bench_layers_json(layers, layer_count);
  else if (layers)
    bench_layers_text(layers, layer_count);
  if (json)
    puts("}");
  free(layers);
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
      bench_report(&bench, options->json, options->layers, load_ms, first_ms);
    }
  }
  bench_end(&bench);
  return good ? 0 : console_fail(&fault);
}
#endif
