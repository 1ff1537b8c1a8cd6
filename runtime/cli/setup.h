/* What the commands have in common: the model with its weights, threads, batch size. */
#ifndef NETC_CLI_SETUP_H
#define NETC_CLI_SETUP_H
#include "../train/checkpoint.h"
#include "../weights/init.h"
#include "../weights/load.h"
#include "options.h"
#ifdef _OPENMP
#include <omp.h>
#endif

/* --threads, else OMP_NUM_THREADS, else all processors. */
static int setup_threads(const Options *options) {
  int threads = system_processors();
#ifdef _OPENMP
  threads = omp_get_max_threads();
  if (options->threads > 0)
    omp_set_num_threads((int)options->threads);
#endif
  return options->threads > 0 ? (int)options->threads : threads;
}

static int setup_batch(const Options *options, const ModelInfo *info) {
  return options->batch > 0 ? (int)options->batch : info->batch > 0 ? info->batch : 32;
}

static Model *setup_model(const Options *options, const ModelInfo *info, int batch, Fault *fault) {
  int threads = setup_threads(options);
  Model *model = model_new(NULL, batch, threads);
  if (!model)
    fault_set(fault, "not enough memory: the network `%s` needs %s for batches of %d", info->name,
              console_bytes((double)model_bytes(batch, threads)), batch);
  return model;
}

static bool setup_load(const ModelInfo *info, float *params, const char *path, const LoadOptions *how,
                       bool quiet, Fault *fault) {
  LoadResult result;
  if (!load_weights(info, params, path, how, &result, fault))
    return false;
  if (how->by_name && !result.matched)
    return fault_set(fault, "%s: no layer of the file has the name of one wanted; nothing was loaded", path);
  if (result.extra && !how->by_name)
    console_note("%s: its last %d layers with weights are no part of `%s` and were left out", path,
                 result.extra, how->part && *how->part ? how->part : info->name);
  if (result.matched < result.wanted)
    console_warn("%s: %d of %d layers loaded; the others keep their starting values", path, result.matched,
                 result.wanted);
  else if (!quiet)
    console_note("%s: %d layers loaded%s", path, result.matched,
                 result.names_differ ? ", paired by order (their names differ)" : "");
  return true;
}

/* A file in the program's own folder, in fresh memory, or NULL where there is none of that name. */
static char *setup_beside_program(const char *program, const char *name) {
  const char *slash = strrchr(program, '/');
  if (!slash)
    return NULL;
  char *folder = system_copy_text(program);
  folder[slash - program] = 0;
  char *path = system_join(*folder ? folder : "/", name);
  free(folder);
  if (system_is_file(path))
    return path;
  free(path);
  return NULL;
}

/* A file among the published weights that Keras has fetched, in fresh memory, or NULL. */
static char *setup_among_keras(const char *name) {
  const char *keras = getenv("KERAS_HOME"), *home = getenv("HOME");
  if (!keras && !home)
    return NULL;
  char *own = keras ? system_copy_text(keras) : system_join(home, ".keras");
  char *folder = system_join(own, "models"), *path = system_join(folder, name);
  free(own);
  free(folder);
  if (system_is_file(path))
    return path;
  free(path);
  return NULL;
}

/* Where a weights file of the .net file is now: at its own path, else a file of its name here, beside the
 * program or where Keras keeps such files. */
static char *setup_source_path(const char *path, const char *program) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  char *beside;
  if (system_is_file(path))
    return system_copy_text(path);
  if (path[0] != '/' && (beside = setup_beside_program(program, path)))
    return beside;
  if (system_is_file(name))
    return system_copy_text(name);
  beside = setup_beside_program(program, name);
  if (!beside)
    beside = setup_among_keras(name);
  return beside ? beside : system_copy_text(path);
}

/* The files that the network names, then --weights; what no file holds starts from the seed. */
static bool setup_weights(const Options *options, const ModelInfo *info, Model *model, uint64_t seed,
                          const char *program, Fault *fault) {
  float *params = model_params(model);
  bool good = true, *loaded = system_allocate((size_t)info->weight_count * sizeof *loaded);
  for (int s = 0; good && s < info->source_count && !(options->weights && !options->by_name); s++) {
    const ModelWeightSource *source = &info->sources[s];
    char *path = setup_source_path(source->path, program);
    LoadOptions how = {.by_name = source->by_name,
                       .layers = source->layers,
                       .layer_count = source->layer_count,
                       .part = source->part,
                       .extra_allowed = true,
                       .loaded = loaded};
    if (access(path, F_OK) && errno == ENOENT)
      good = fault_set(fault, "%s: no such file, here, beside the program or among Keras's (~/.keras/models)",
                       path);
    else
      good = setup_load(info, params, path, &how, options->quiet, fault);
    free(path);
  }
  if (good && options->weights) {
    LoadOptions how = {.by_name = options->by_name, .loaded = loaded};
    good = setup_load(info, params, options->weights, &how, options->quiet, fault);
  }
  if (good && !init_missing(info, seed, params, loaded))
    good = fault_set(fault, "not enough memory for orthogonal starting weights");
  free(loaded);
  model_weights_changed(model);
  return good;
}

/* All weights from --weights, nothing else (eval, predict). */
static bool setup_trained(const Options *options, const ModelInfo *info, Model *model, Fault *fault) {
  bool *loaded = system_allocate((size_t)info->weight_count * sizeof *loaded);
  LoadOptions how = {.by_name = options->by_name, .loaded = loaded};
  bool good = setup_load(info, model_params(model), options->weights, &how, true, fault);
  if (good && !init_missing(info, 0, model_params(model), loaded))
    good = fault_set(fault, "not enough memory for orthogonal starting weights");
  free(loaded);
  model_weights_changed(model);
  return good;
}

/* Whether a file can be written where `path` says, before hours of work. */
static bool setup_writable(const char *path, Fault *fault) {
  char *folder = system_copy_text(path), *slash = strrchr(folder, '/');
  if (slash)
    slash[slash == folder] = 0;
  bool good = true;
  if (system_is_folder(path))
    good = fault_set(fault, "%s: is a folder", path);
  else if (access(slash ? folder : ".", W_OK))
    good = fault_set(fault, "%s: cannot be written: %s", path, strerror(errno));
  free(folder);
  return good;
}
#endif
