#include "passes.h"
#include "../summary.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

const Pass pass_table[] = {
    {"freeze", "find the largest part that is a pure function of the image, to be computed once", pass_freeze,
     false},
    {"lower", "write layers as operations: prediction, features, head and training step", pass_lower, true},
    {"autodiff", "append loss, gradients where needed, and updates to every training step", pass_autodiff,
     true},
    {"fold", "multiply BatchNorm on moving statistics into the convolution before it", pass_fold, false},
    {"fuse", "put bias, residual, activation and update into the operation they follow", pass_fuse, false},
    {"dce", "drop operations whose results nobody uses", pass_dce, false},
    {"select", "choose an algorithm for each convolution and pack its weights", pass_select, true},
    {"pair", "compute a depthwise convolution and the 1x1 convolution after it a band of rows at a time",
     pass_pair, false},
    {"defer", "let convolutions of a training step normalise what they read, rather than keep it", pass_defer,
     false},
    {"hoist", "compute what depends on unchanging weights once, before the first step", pass_hoist, false},
    {"microbatch", "compute layers of large values a few images at a time in predictions", pass_microbatch,
     false},
    {"recompute", "make forward values a second time where the step would exceed its memory limit",
     pass_recompute, false},
    {"schedule", "order operations so that few values are alive at a time", pass_schedule, false},
    {"plan", "give every value its place in the arena", pass_plan, false},
};
const int pass_count = sizeof pass_table / sizeof *pass_table;

const Pass *pass_find(const char *name) {
  for (int i = 0; i < pass_count; i++)
    if (!strcmp(pass_table[i].name, name))
      return &pass_table[i];
  return NULL;
}

static bool listed(const char *names, const char *name) {
  size_t length = strlen(name);
  for (const char *p = names; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
    if (!strncmp(p, name, length) && (p[length] == ',' || !p[length]))
      return true;
  return false;
}

static double milliseconds(void) {
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* Weights in Keras's order: the order of the parameter block, of files and of the optimizer's state. */
static void collect_weights(Module *module) {
  const Graph *graph = module->graph;
  int count = 0;
  for (int i = 0; i < graph->layer_count; i++)
    count += graph->keras_order[i]->weight_count;
  module->weights = arena_array(module->arena, Weight, count + 1);
  const int64_t align = 16; /* floats: every weight starts on a cache line */
  for (int i = 0; i < graph->layer_count; i++) {
    const Layer *layer = graph->keras_order[i];
    for (int k = 0; k < layer->weight_count; k++) {
      Weight *weight = &module->weights[module->weight_count];
      *weight = (Weight){.index = module->weight_count++, .layer = layer, .spec = &layer->weights[k]};
      weight->count = shape_count(weight->spec->shape);
      weight->offset = module->param_floats;
      module->param_floats += (weight->count + align - 1) / align * align;
      for (int p = 0; p < graph->train.phase_count; p++)
        if (weight->spec->trainable && !layer->frozen[p])
          weight->phases |= 1u << p;
      if (weight->phases) {
        weight->slot_offset = module->slot_floats;
        module->slot_floats += (weight->count + align - 1) / align * align;
      }
    }
  }
}

/* A size in the words of the language, rounded up, so that it can be written into the file. */
static const char *size_words(Arena *arena, int64_t bytes) {
  bool small = bytes < 16 << 20;
  int shift = small ? 10 : 20;
  return arena_printf(arena, "%lld%s", (long long)((bytes + ((int64_t)1 << shift) - 1) >> shift),
                      small ? "KB" : "MB");
}

/* `memory` in the train section: an instance that would need more is refused before it runs, with what would
 * do. */
static void check_memory_limit(const Module *module) {
  const TrainSpec *train = &module->graph->train;
  int64_t needed = emit_bytes(module, train->batch, MEMORY_THREADS);
  if (!train->memory_limit || needed <= train->memory_limit)
    return;
  int batch = train->batch;
  while (batch > 0 && emit_bytes(module, batch, MEMORY_THREADS) > train->memory_limit)
    batch--;
  const char *words = size_words(module->arena, needed);
  diag_error(module->diag, train->memory_span,
             "`%s` needs %s at batch %d on %d threads, also where values are made again instead of kept; the "
             "limit is %s",
             module->graph->name, words, train->batch, MEMORY_THREADS,
             size_words(module->arena, train->memory_limit));
  if (batch)
    diag_help(module->diag, "`memory %s` would do, or `batch %d` with this limit", words, batch);
  else
    diag_help(module->diag, "`memory %s` would do, or at `batch 1` %s", words,
              size_words(module->arena, emit_bytes(module, 1, MEMORY_THREADS)));
}

Module *passes_run(const Graph *graph, Arena *arena, Diag *diag, const PassOptions *options, bool exact,
                   StrBuf *dump) {
  Module *module = arena_new(arena, Module);
  module->arena = arena;
  module->diag = diag;
  module->graph = graph;
  module->exact = exact;
  module->narrow = options->narrow;
  module->tuning = options->tuning;
  collect_weights(module);
  bool planned = false;
  for (int i = 0; i < pass_count; i++) {
    const Pass *pass = &pass_table[i];
    bool off = !pass->required && listed(options->disabled, pass->name);
    double start = milliseconds();
    if (!off)
      pass->run(module);
    planned |= !off && pass->run == pass_plan;
    if (options->time)
      fprintf(stderr, "%-10s %8.2f ms%s\n", pass->name, milliseconds() - start, off ? "  (off)" : "");
    if (options->verify_each)
      ir_verify(module, pass->name);
    if (options->dump_after && !strcmp(options->dump_after, pass->name)) {
      ir_print(module, dump);
      return module;
    }
  }
  if (!planned)
    plan_without_reuse(module);
  check_memory_limit(module);
  if (!options->verify_each)
    ir_verify(module, "plan");
  return module;
}
