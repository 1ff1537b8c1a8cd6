/* The emitted program as a whole: head, runtime parts, the instance, layers, tables, main. */
#include "emit.h"
#include "header.h"
#include "plans.h"
#include "sets.h"
#include "stitch.h"
#include "../summary.h"
#include "../tuning.h"
#include "../version.h"
#include "../weights/weights.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t most(const Module *module, int64_t (*of)(const Function *)) {
  int64_t best = 0;
  for (int f = 0; f < module->function_count; f++)
    if (of(module->functions[f]) > best)
      best = of(module->functions[f]);
  return best;
}

static bool in_parts(const Function *function) {
  return function->kind == FUNCTION_FORWARD || function->kind == FUNCTION_FEATURES ||
         function->kind == FUNCTION_VARIED;
}

static int64_t batch_of(const Function *function) {
  return in_parts(function) ? 0 : function->batch_floats;
}

static int64_t part_of(const Function *function) {
  return in_parts(function) ? function->batch_floats : 0;
}

static int64_t micro_of(const Function *function) {
  return function->micro_floats;
}

static int64_t fixed_of(const Function *function) {
  return function->fixed_floats;
}

/* Without `prepare`, which an instance on prepared weights never calls. */
static int64_t fixed_in_place_of(const Function *function) {
  return function->kind == FUNCTION_PREPARE ? 0 : function->fixed_floats;
}

static int64_t scratch_of(const Function *function) {
  return function->scratch_floats;
}

static int64_t scratch_batch_of(const Function *function) {
  return function->scratch_batch_floats;
}

/* Declared in summary.h, which describes them. */
int64_t emit_rest_bytes(const Module *module, int batch, int threads) {
  int64_t scratch = most(module, scratch_of) + (batch + 15) / 16 * 16 * most(module, scratch_batch_of);
  return 4 * (module->param_floats + module->slot_count * module->slot_floats + module->constant_floats +
              threads * scratch);
}

int64_t emit_bytes(const Module *module, int batch, int threads) {
  int images = function_images(FUNCTION_FORWARD, batch);
  int64_t part =
      images * most(module, part_of) + module_microbatch(module, images, threads) * most(module, micro_of);
  int64_t pool = batch * most(module, batch_of) > part ? batch * most(module, batch_of) : part;
  return emit_rest_bytes(module, batch, threads) + 4 * (most(module, fixed_of) + pool);
}

MemorySizes emit_sizes(const Module *module) {
  MemorySizes sizes = {
      .weights = module->param_floats + module->slot_count * module->slot_floats + module->constant_floats,
      .fixed = most(module, fixed_of),
      .fixed_in_place = most(module, fixed_in_place_of),
      .batch = most(module, batch_of),
      .part = most(module, part_of),
      .micro = most(module, micro_of),
      .scratch = most(module, scratch_of),
      .scratch_batch = most(module, scratch_batch_of),
  };
  for (int p = 0; module->graph->train.loss && p < module->graph->train.phase_count; p++)
    if (module->features[p] && module->cuts[p].feature_floats > sizes.features)
      sizes.features = module->cuts[p].feature_floats;
  return sizes;
}

/* The first lines: what this is and how it is compiled. */
static void emit_head(const Module *module, const EmitOptions *options, StrBuf *out) {
  const Graph *graph = module->graph;
  const char *source = strrchr(graph->path, '/') ? strrchr(graph->path, '/') + 1 : graph->path;
  char upper[256], mixed[256];
  stitch_names(graph->name, upper, mixed);
  strbuf_printf(out, "/* %s.c: a network that %s, made from %s by netc %s.\n *\n", graph->name,
                options->infer ? "predicts" : "trains and predicts", source, NETC_VERSION);
  if (module->tuning) {
    StrBuf machine = {0};
    for (const char *p = tuning_machine(module->tuning, module->arena); *p; p++)
      strbuf_add(&machine, *p == '*' || *p == '\\' ? "?" : p, 1); /* no end of this comment */
    strbuf_printf(out, " * Its convolutions are computed as was measured to be fastest on %s.\n *\n",
                  machine.text);
    strbuf_free(&machine);
  }
  if (options->infer)
    strbuf_printf(out, " *   cc -O3 -fopenmp -c %s.c          (then link with -lm)\n *\n", graph->name);
  else
    strbuf_printf(out,
                  " *   cc -O3 -fopenmp %s.c -o %s -lhdf5 -ljpeg -lpng -lz -lpthread -lm\n *\n"
                  " * (on Debian with `pkg-config --cflags --libs hdf5`).  -D%s_NO_MAIN leaves out the "
                  "command line and\n"
                  " * with it all libraries but libm.\n *\n",
                  graph->name, graph->name, upper);
  if (!options->isa)
    strbuf_puts(
        out,
        " * On x86-64 the kernels are compiled for AVX-512, AVX2 and plain C, and the processor is asked\n"
        " * when an instance is made; -march=native (or another that names a set) compiles one of them.\n"
        " * With clang's OpenMP, threads then share the work of convolutions and dense layers only,\n"
        " * unless -march names a set.\n");
  strbuf_puts(
      out,
      " * OpenMP is optional; -DNETC_PORTABLE takes no vector instructions.  This file may be used, changed\n"
      " * and passed on without conditions (MIT-0).\n */\n");
}

static const char *emit_microbatch(const Module *module) {
  if (!module->microbatch)
    return "";
  return arena_printf(module->arena,
                      "\n/* Of n images so many are at once in layers that take few at a time. */\n"
                      "static int model_microbatch(int n, int threads) {\n"
                      "  int most = %d * threads;\n"
                      "  return n < most ? n : most;\n}\n",
                      module->microbatch);
}

static void emit_instance(const Module *module, StrBuf *out) {
  long long batch = (long long)most(module, batch_of), fixed = (long long)most(module, fixed_of),
            scratch = (long long)most(module, scratch_of), params = (long long)module->param_floats,
            slots = (long long)(module->slot_count * module->slot_floats),
            constants = (long long)module->constant_floats;
  bool trains = module->graph->train.loss != NULL;
  const char *micro =
      module->microbatch
          ? "  float *micro_pool;\n"
            "  int images, image; /* of the call at work, and the first of the micro-batch */\n"
          : "";
  strbuf_printf(out, "\n#define NETC_VERSION \"%s\"\n", NETC_VERSION);
  strbuf_printf(
      out,
      "\n/* The arena of an instance, in floats: weights %lld, optimizer state %lld, packed and folded "
      "weights %lld,\n"
      " * values of a step %lld per image, other values %lld, scratch of a thread %lld and more. */\n"
      "struct Model {\n"
      "  const ModelCode *code;\n"
      "  Work work;\n"
      "  float *params, *slots, *constants, *fixed_pool, *batch_pool;\n%s"
      "  const float *x, *target, *sample_weight; /* of the call at work */\n"
      "  float *out;\n"
      "  int batch;\n"
      "  bool in_place; /* params and constants are somebody else's, and only read */\n"
      "  uint64_t stale; /* bit by function: its packed and folded weights must be made anew */\n"
      "  ModelState state;\n%s"
      "  void *memory; /* to free, or NULL */\n"
      "};\n_Static_assert(sizeof(Model) <= %d, \"MODEL_BYTES counts too little\");\n",
      params, slots, constants, batch, fixed, scratch, micro, trains ? "  Update update;\n" : "",
      INSTANCE_BYTES);
  strbuf_puts(out, "\n/* Told of each piece of a function that has been computed: see ModelState.done. */\n"
                   "static inline void model_done(Model *m, int piece) {\n"
                   "  if (m->state.done)\n    m->state.done(m->state.watcher, piece);\n}\n");
  strbuf_printf(
      out,
      "\n/* Scratch of one thread: grows with the batch, rounded up to 16 images. */\n"
      "static size_t model_scratch_floats(int batch) {\n"
      "  return (size_t)%lld + ((size_t)batch + 15) / 16 * 16 * %lld;\n}\n"
      "%s"
      "\n/* Values of a batch: steps take it whole, predictions in parts of %d. */\n"
      "static size_t model_pool_floats(int batch, int threads) {\n"
      "  int images = batch < %d ? batch : %d;\n"
      "  size_t whole = (size_t)batch * %lld, part = (size_t)images * %lld;\n"
      "%s"
      "  return whole > part ? whole : part;\n}\n"
      "\n/* An instance of so many floats besides what grows with the batch. */\n"
      "static size_t model_bytes_with(size_t floats, int batch, int threads) {\n"
      "  floats += model_pool_floats(batch, threads) + (size_t)threads * model_scratch_floats(batch);\n"
      "  return (sizeof(Model) + 127) / 64 * 64 + floats * sizeof(float);\n}\n"
      "\nstatic size_t model_bytes(int batch, int threads) {\n"
      "  return model_bytes_with(%lld, batch, threads);\n}\n"
      "\nstatic size_t model_place_bytes(int batch, int threads) {\n"
      "  return model_bytes_with(%lld, batch, threads);\n}\n",
      scratch, (long long)most(module, scratch_batch_of), emit_microbatch(module), FORWARD_BATCH,
      FORWARD_BATCH, FORWARD_BATCH, batch, (long long)most(module, part_of),
      module->microbatch
          ? arena_printf(module->arena, "  part += (size_t)model_microbatch(images, threads) * %lld;\n",
                         (long long)most(module, micro_of))
          : "  (void)threads;\n",
      fixed + params + slots + constants, (long long)most(module, fixed_in_place_of));
  strbuf_printf(
      out,
      "\n/* An instance but for what lies behind its values of a batch. */\n"
      "static Model *model_start(void *memory, size_t bytes, int batch, int threads) {\n"
      "  void *own = memory ? NULL : aligned_alloc(64, (bytes + 63) / 64 * 64);\n"
      "  Model *m = memory ? memory : own;\n"
      "  if (!m)\n    return NULL;\n"
      "  if (own)\n    pages_prefer_large(own, bytes);\n"
      "  memset(m, 0, sizeof *m);\n"
      "  m->memory = own;\n"
      "  m->code = model_code_here();\n"
      "  m->batch = batch;\n"
      "  m->stale = ~(uint64_t)0;\n"
      "  m->state.rate_scale = 1;\n"
      "  float *next = (float *)(void *)((char *)m + (sizeof(Model) + 63) / 64 * 64);\n"
      "  m->work = (Work){threads, next, model_scratch_floats(batch)};\n"
      "  next += (size_t)threads * m->work.scratch_floats;\n"
      "  m->batch_pool = next;\n"
      "  return m;\n}\n"
      "\nstatic Model *model_new(void *memory, int batch, int threads) {\n"
      "  Model *m = model_start(memory, model_bytes(batch, threads), batch, threads);\n"
      "  if (!m)\n    return NULL;\n"
      "  m->params = m->batch_pool + model_pool_floats(batch, threads);\n"
      "  m->slots = m->params + %lld;\n"
      "  m->constants = m->slots + %lld;\n"
      "  m->fixed_pool = m->constants + %lld;\n"
      "  memset(m->params, 0, (size_t)%lld * sizeof(float));\n"
      "  return m;\n}\n"
      "\nstatic Model *model_new_in_place(void *memory, int batch, int threads, const float *params,\n"
      "                                 const float *constants) {\n"
      "  Model *m = model_start(memory, model_place_bytes(batch, threads), batch, threads);\n"
      "  if (!m)\n    return NULL;\n"
      "  m->params = (float *)(uintptr_t)params; /* only read: nothing here is trained */\n"
      "  m->constants = (float *)(uintptr_t)constants;\n"
      "  m->fixed_pool = m->batch_pool + model_pool_floats(batch, threads);\n"
      "  m->in_place = true;\n"
      "  m->stale = 0;\n"
      "  return m;\n}\n"
      "\nstatic bool model_in_place(const Model *m) {\n  return m->in_place;\n}\n"
      "\nstatic size_t model_first_bytes(int batch, int threads) {\n"
      "  return sizeof(Model) + 64 +\n"
      "         (model_pool_floats(1, threads) + (size_t)threads * model_scratch_floats(batch)) * "
      "sizeof(float);\n}\n",
      params, slots, constants, params + slots);
  strbuf_puts(out, "\nstatic void model_delete(Model *m) {\n  if (m)\n    free(m->memory);\n}\n"
                   "\nstatic float *model_params(Model *m) {\n  return m->params;\n}\n"
                   "\nstatic float *model_slots(Model *m) {\n  return m->slots;\n}\n"
                   "\nstatic void model_weights_changed(Model *m) {\n  m->stale = ~(uint64_t)0;\n}\n"
                   "\nstatic int model_batch(const Model *m) {\n  return m->batch;\n}\n"
                   "\nstatic ModelState *model_state(Model *m) {\n  return &m->state;\n}\n");
}

static void emit_loss(const Module *module, StrBuf *out) {
  const Call *loss = module->graph->train.loss;
  Arena arena = {0};
  Emitter emitter = {.module = module, .arena = &arena};
  Shape y = module->graph->output->shape;
  int channels = y.dim[y.rank - 1];
  strbuf_puts(out,
              "\nstatic float model_run_loss(Model *m, int n, const float *y_pred, const float *target,\n"
              "                        const float *sample_weight) {\n  (void)m;\n");
  strbuf_printf(out, "  return loss_%s(%s, n * %lld, %d, target, y_pred, sample_weight, NULL);\n}\n",
                loss->signature->name, emit_loss_config(&emitter, loss),
                (long long)(shape_count(y) / channels), channels);
  strbuf_puts(out, "\nstatic float model_run_regularization(Model *m) {\n  (void)m;\n  float sum = 0;\n");
  for (int w = 0; w < module->weight_count; w++) {
    const Weight *weight = &module->weights[w];
    if (!weight->spec->regularizer)
      continue;
    Shape s = weight->spec->shape;
    const char *place = arena_printf(&arena, "m->params + %lld", (long long)weight->offset);
    strbuf_printf(out, "  sum += %s;\n",
                  emit_penalty(&emitter, weight->spec->regularizer, place, weight->count, s.dim[s.rank - 1]));
  }
  strbuf_puts(out, "  return sum;\n}\n");
  arena_free(&arena);
}

static const char *const kernel_parts[] = {
    "kernels/conv2d_direct.h",
    "kernels/conv2d_direct_w.h",
    "kernels/channel_sum.h",
    "kernels/conv2d_winograd.h",
    "kernels/dropout.h",
    "kernels/augment.h",
    "kernels/upsample.h",
    "kernels/norm.h",
    "kernels/prelu.h",
    "kernels/depthwise.h",
    "kernels/depthwise_pointwise.h",
    "kernels/pool.h",
    "kernels/dense.h",
    "kernels/batchnorm.h",
    "kernels/eltwise.h",
    "kernels/merge.h",
    "kernels/softmax.h",
    "kernels/loss.h",
    "kernels/gradient.h",
    "kernels/update.h",
};

/* The instance and what it needs. */
static void emit_shared(const Module *module, StrBuf *out) {
  emit_set_type(module, out);
  emit_instance(module, out);
  for (int p = 0; module->graph->train.loss && p < module->graph->train.phase_count; p++)
    plan_optimizer(module, p, out);
}

/* The layers. */
static void emit_layers(const Module *module, StrBuf *out, StrBuf *pieces) {
  emit_functions(module, out, pieces);
  if (module->graph->train.loss)
    emit_loss(module, out);
  else
    strbuf_puts(out,
                "\nstatic float model_run_loss(Model *m, int n, const float *y_pred, const float *target,\n"
                "                        const float *sample_weight) {\n"
                "  (void)m, (void)n, (void)y_pred, (void)target, (void)sample_weight;\n  return 0;\n}\n"
                "\nstatic float model_run_regularization(Model *m) {\n  (void)m;\n  return 0;\n}\n");
  emit_set_table(module, out);
}

/* Weights inside the program: text where they are few, else the file beside by the assembler's .incbin. */
static void emit_blob(const Module *module, const WeightBlob *blob, StrBuf *out) {
  const char *name = module->graph->name;
  if (blob->length <= EMBED_TEXT_BYTES) {
    strbuf_puts(out, "\nstatic const unsigned char model_blob[] = {");
    for (size_t i = 0; i < blob->length; i++)
      strbuf_printf(out, "%s%u,", i % 24 ? "" : "\n    ", blob->bytes[i]);
    strbuf_puts(out, "\n};\n");
    return;
  }
  strbuf_printf(out,
                "\n/* The weights: %s.weights.bin, which the assembler looks for in the folder that the "
                "compiler is started\n"
                " * in and in those named by -I. */\n"
                "__asm__(\".section .rodata\\n.balign 64\\n%s_blob:\\n.incbin \\\"%s.weights.bin\\\"\\n.byte "
                "0\\n.previous\\n\");\n"
                "extern const unsigned char model_blob[];\n",
                name, name, name);
}

static void emit_class_names(const WeightBlob *blob, Arena *arena, StrBuf *out) {
  strbuf_puts(out, "\nstatic const char *const model_class_names[] = {");
  for (int i = 0; i < blob->class_count; i++)
    strbuf_printf(out, "%s%s", i ? ", " : "", emit_string(arena, blob->class_names[i]));
  strbuf_puts(out, "};\n");
}

static void stitch_and_free(Stitch *stitch, StrBuf *text) {
  stitch_source(stitch, text->text);
  strbuf_free(text);
}

/* Kernels and layers are repeated; the instance stands before them, tables and everything else after. */
static void stitch_network(Stitch *stitch, const Module *module, const EmitOptions *options) {
  StrBuf shared = {0}, layers = {0}, pieces = {0}, rest = {0}, before = {0}, after = {0};
  stitch_file(stitch, "kernels/isa.h");
  stitch_file(stitch, "kernels/work.h");
  stitch_file(stitch, "kernels/pages.h");
  stitch_repeat(stitch, true);
  for (size_t i = 0; i < sizeof kernel_parts / sizeof *kernel_parts; i++)
    stitch_file(stitch, kernel_parts[i]);
  stitch_repeat(stitch, false);
  stitch_file(stitch, "model.h");
  emit_shared(module, &shared);
  stitch_and_free(stitch, &shared);
  stitch_repeat(stitch, true);
  emit_layers(module, &layers, &pieces);
  stitch_and_free(stitch, &layers);
  stitch_repeat(stitch, false);
  stitch_file(stitch, "data/resize.h"); /* tables point to the way that the network resizes */
  emit_set_calls(module, &rest);
  if (options->weights && options->weights->class_count)
    emit_class_names(options->weights, module->arena, &rest);
  strbuf_puts(&rest, pieces.text);
  strbuf_free(&pieces);
  emit_tables(module, options, &rest);
  stitch_and_free(stitch, &rest);
  emit_set_around(module->graph->name, &before, &after);
  stitch_around(stitch, before.text, after.text);
  strbuf_free(&before);
  strbuf_free(&after);
}

/* That of a node with a depthwise convolution; else NULL. */
static const Conv2d *depthwise_window(const Node *node) {
  switch (node->op->kind) {
  case OP_depthwise_conv2d:
  case OP_depthwise_conv2d_bwd_x:
  case OP_depthwise_conv2d_bwd_w:
    return &node->attr.conv;
  case OP_depthwise_pointwise:
    return &node->attr.depthwise;
  default:
    return NULL;
  }
}

/* What kernels need not be compiled for: WINOGRAD_ONLY of kernels/winograd.h, the sizes of tiles in use, and
 * DEPTHWISE_ONLY of kernels/depthwise_run.h, where no window is larger than 3x3. */
static void stitch_only(Stitch *stitch, const Module *module) {
  unsigned tiles = 0;
  int taps = 0;
  for (int f = 0; f < module->function_count; f++)
    for (const Node *node = module->functions[f]->first; node; node = node->next) {
      tiles |= 1u << conv_tile(node->attr.algorithm) | 1u << conv_tile(node->attr.few);
      const Conv2d *window = depthwise_window(node);
      if (window && window->kernel_h > taps)
        taps = window->kernel_h;
      if (window && window->kernel_w > taps)
        taps = window->kernel_w;
    }
  tiles &= ~1u;
  if (tiles)
    stitch_text(stitch, arena_printf(module->arena, "\n#define WINOGRAD_ONLY %u", tiles));
  if (taps && taps <= 3)
    stitch_text(stitch, "\n#define DEPTHWISE_ONLY 3");
}

void emit_program(const Module *module, const EmitOptions *options, StrBuf *c_file, StrBuf *h_file) {
  emit_head(module, options, c_file);
  Stitch *stitch = stitch_new();
  stitch_text(stitch, "#ifndef MODEL_AGAIN\n"
                      "#ifndef _POSIX_C_SOURCE\n#define _POSIX_C_SOURCE 200809L\n#endif\n"
                      "#ifndef _DEFAULT_SOURCE\n#define _DEFAULT_SOURCE\n#endif\n"
                      "#include <math.h>\n#include <stdbool.h>\n#include <stdint.h>\n#include "
                      "<stdlib.h>\n#include <string.h>");
  if (options->isa)
    stitch_text(stitch, arena_printf(module->arena, "\n#define ISA_ONLY %s", options->isa));
  stitch_only(stitch, module);
  if (options->embed) {
    StrBuf blob = {0};
    emit_blob(module, options->weights, &blob);
    stitch_text(stitch, blob.text);
    strbuf_free(&blob);
  }
  stitch_network(stitch, module, options);
  emit_api(stitch, module->graph->train.loss != NULL);
  if (!options->infer) {
    stitch_text(stitch, "\n#ifndef MODEL_NO_MAIN");
    stitch_file(stitch, "cli/main.h");
    stitch_text(stitch, "\nint main(int argc, char **argv) {\n  return model_main(argc, argv);\n}\n#endif");
  }
  stitch_text(stitch, "#endif");
  emit_header(module, h_file);
  stitch_finish(stitch, module->graph->name, c_file);
}
