/* Constant tables of the emitted program: layers, weights, phases, metrics, and the ModelInfo that names them
 * all. */
#include "emit.h"
#include "plans.h"
#include "../weights/prepare.h"
#include "../weights/weights.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static int keras_index(const Graph *graph, const Layer *layer) {
  for (int i = 0; i < graph->layer_count; i++)
    if (graph->keras_order[i] == layer)
      return i;
  return -1;
}

/* The k-th layer that a base cut by `up to` has lost but whose weights its file still holds, or NULL. */
static const Layer *absent_layer(const Graph *graph, int k) {
  for (int s = 0; s < graph->weight_source_count; s++)
    for (int i = 0; i < graph->weight_sources[s].layer_count; i++) {
      const Layer *layer = graph->weight_sources[s].layers[i];
      if (keras_index(graph, layer) < 0 && k-- == 0)
        return layer;
    }
  return NULL;
}

/* A layer's place in the table: absent ones follow the network's own. */
static int table_index(const Graph *graph, const Layer *layer) {
  int index = keras_index(graph, layer);
  for (int k = 0; index < 0; k++)
    if (absent_layer(graph, k) == layer)
      index = graph->layer_count + k;
  return index;
}

static void emit_layers(const Module *module, Arena *arena, StrBuf *out) {
  const Graph *graph = module->graph;
  strbuf_puts(out, "\nstatic const ModelLayer model_layers[] = {\n");
  int first = 0;
  for (int i = 0; i < graph->layer_count; i++) {
    const Layer *layer = graph->keras_order[i];
    strbuf_printf(out, "    {%s, %s, %d, %d},\n", emit_string(arena, layer->name),
                  emit_string(arena, layer->call.signature->keras_class), first, layer->weight_count);
    first += layer->weight_count;
  }
  const Layer *absent;
  for (int k = 0; (absent = absent_layer(graph, k)); k++)
    strbuf_printf(out, "    {%s, %s, -1, %d}, /* cut away */\n", emit_string(arena, absent->name),
                  emit_string(arena, absent->call.signature->keras_class), absent->weight_count);
  strbuf_puts(out, "};\n");
}

/* The seed that an initializer was given, or NULL. */
static const Attr *own_seed(const Call *initializer) {
  if (!initializer || signature_param(initializer->signature, "seed") < 0)
    return NULL;
  const Attr *seed = call_attr(initializer, "seed");
  return seed->kind == ATTR_NONE ? NULL : seed;
}

static void emit_weights(const Module *module, Arena *arena, StrBuf *out) {
  if (!module->weight_count)
    return;
  strbuf_puts(out, "\n/* name, layer, rank, shape, floats, place, place of optimizer state, trainable, "
                   "phases, start value */\n"
                   "static const ModelWeight model_weights[] = {\n");
  for (int w = 0; w < module->weight_count; w++) {
    const Weight *weight = &module->weights[w];
    Shape s = weight->spec->shape;
    const Attr *seed = own_seed(weight->spec->initializer);
    InitPlan init = plan_initializer(weight->spec->initializer, weight->layer, weight->spec);
    strbuf_printf(out,
                  "    {%s, %d, %d, {%d, %d, %d, %d}, %lld, %lld, %lld, %s, 0x%xu, %s, %.17g, %.17g, "
                  "%s, %lluu},\n",
                  emit_string(arena, weight->spec->name), keras_index(module->graph, weight->layer), s.rank,
                  s.dim[0], s.dim[1], s.dim[2], s.dim[3], (long long)weight->count, (long long)weight->offset,
                  (long long)weight->slot_offset, weight->spec->trainable ? "true" : "false", weight->phases,
                  init.kind, init.a, init.b, seed ? "true" : "false",
                  seed ? (unsigned long long)seed->integer : 0);
  }
  strbuf_puts(out, "};\n");
}

static void emit_sources(const Module *module, Arena *arena, StrBuf *out) {
  const Graph *graph = module->graph;
  for (int s = 0; s < graph->weight_source_count; s++) {
    const WeightSource *source = &graph->weight_sources[s];
    strbuf_printf(out, "\nstatic const int model_source_%d[] = {", s + 1);
    int column = 0;
    for (int i = 0; i < source->layer_count; i++)
      strbuf_printf(out, "%s%d", i ? (column++ % 16 == 15 ? ",\n    " : ", ") : "",
                    table_index(graph, source->layers[i]));
    strbuf_puts(out, "};\n");
  }
  if (!graph->weight_source_count)
    return;
  strbuf_puts(out, "\nstatic const ModelWeightSource model_sources[] = {\n");
  for (int s = 0; s < graph->weight_source_count; s++) {
    const WeightSource *source = &graph->weight_sources[s];
    strbuf_printf(out, "    {%s, %s, %s, model_source_%d, %d},\n", emit_string(arena, source->part),
                  emit_string(arena, source->path), source->by_name ? "true" : "false", s + 1,
                  source->layer_count);
  }
  strbuf_puts(out, "};\n");
}

static const char *optimizer_text(const Phase *phase, const Graph *graph, Arena *arena) {
  const Call *call = phase->optimizer ? phase->optimizer : graph->train.optimizer;
  StrBuf text = {0};
  plan_call_text(call, &text);
  const char *copy = arena_strdup(arena, text.text);
  strbuf_free(&text);
  return copy;
}

/* The cache's key changes with the structure of the prefix and every constant in it (weights are hashed when
 * the program runs): FNV-1a over the operations of the features function. */
static uint64_t prefix_hash(const Function *features) {
  uint64_t hash = 1469598103934665603u;
  StrBuf text = {0};
  for (const Node *node = features ? features->first : NULL; node; node = node->next) {
    strbuf_printf(&text, "%s(", node->op->name);
    for (int i = 0; i < node->in_count; i++)
      strbuf_printf(&text, "%d ", node->in[i]->id);
    strbuf_puts(&text, ")");
    if (node->op->print_attrs)
      node->op->print_attrs(node, &text);
  }
  for (size_t i = 0; i < text.length; i++)
    hash = (hash ^ (unsigned char)text.text[i]) * 1099511628211u;
  strbuf_free(&text);
  return hash;
}

/* Indices of the weights that the features of a phase depend on; returns how many. */
static int emit_prefix_weights(const Module *module, int phase, StrBuf *out) {
  if (!module->features[phase])
    return 0;
  strbuf_printf(out, "\nstatic const int model_prefix_weights_%d[] = {", phase + 1);
  int count = 0;
  for (int w = 0; w < module->weight_count; w++)
    if (module->cuts[phase].in_prefix[module->weights[w].layer->index])
      strbuf_printf(out, "%s%d", !count++ ? "" : count % 20 == 1 ? ",\n    " : ", ", w);
  strbuf_puts(out, "};\n");
  return count;
}

static void emit_phases(const Module *module, Arena *arena, StrBuf *out) {
  const Graph *graph = module->graph;
  if (!graph->train.loss)
    return;
  int prefix_weights[MAX_PHASES];
  for (int p = 0; p < graph->train.phase_count; p++)
    prefix_weights[p] = emit_prefix_weights(module, p, out);
  strbuf_puts(out, "\nstatic const ModelPhase model_phases[] = {\n");
  for (int p = 0; p < graph->train.phase_count; p++) {
    const Phase *phase = &graph->train.phases[p];
    strbuf_printf(
        out, "    {.name = %s, .epochs = %d, .step = model_%s, .learning_rate = model_learning_rate_%d,\n",
        phase->name ? emit_string(arena, phase->name) : "NULL", phase->epochs, module->step[p]->name, p + 1);
    if (module->features[p])
      strbuf_printf(out,
                    "     .feature_floats = %lld, .features = model_%s, .head = model_%s,\n"
                    "     .prefix_weights = model_prefix_weights_%d, .prefix_weight_count = %d, .prefix_hash "
                    "= 0x%016llxu,\n",
                    (long long)module->cuts[p].feature_floats, module->features[p]->name,
                    module->head[p]->name, p + 1, prefix_weights[p],
                    (unsigned long long)prefix_hash(module->features[p]));
    else
      strbuf_puts(out, "     .feature_floats = 0, .features = NULL, .head = NULL,\n");
    if (module->varied[p])
      strbuf_printf(out, "     .variants = %d, .varied = model_%s, .varied_hash = 0x%016llxu,\n",
                    module->cuts[p].variants, module->varied[p]->name,
                    (unsigned long long)prefix_hash(module->varied[p]));
    if (plan_average(plan_phase_optimizer(graph, p)))
      strbuf_printf(out, "     .finish = model_finish_%d,\n", p + 1);
    strbuf_printf(out, "     .recipe = %s},\n", emit_string(arena, optimizer_text(phase, graph, arena)));
  }
  strbuf_puts(out, "};\n");
}

static void emit_metrics(const Module *module, Arena *arena, StrBuf *out) {
  const Graph *graph = module->graph;
  if (!graph->train.metric_count)
    return;
  strbuf_puts(out, "\nstatic const ModelMetric model_metrics[] = {\n");
  for (int i = 0; i < graph->train.metric_count; i++) {
    MetricPlan plan = plan_metric(graph->train.metrics[i], graph);
    strbuf_printf(out, "    {%s, %s, %.17g, %.17g, %s, %.17g, %.17g},\n", emit_string(arena, plan.name),
                  plan.kind, plan.a, plan.b, plan.option ? emit_string(arena, plan.option) : "NULL", plan.c,
                  plan.d);
  }
  strbuf_puts(out, "};\n");
}

/* Whether mode `auto` of a callback waits for larger values: of accuracies and rates; errors, losses and
 * counts of mistakes are to become small. */
static bool grows(const char *monitor) {
  static const char *const shrink[] = {"loss",    "error",   "crossentropy", "divergence", "hinge",
                                       "poisson", "logcosh", "log_cosh",     "false_"};
  for (size_t i = 0; i < sizeof shrink / sizeof *shrink; i++)
    if (strstr(monitor, shrink[i]))
      return false;
  return true;
}

static void emit_callbacks(const Module *module, Arena *arena, StrBuf *out) {
  const Graph *graph = module->graph;
  for (int i = 0; i < graph->train.callback_count; i++) {
    const Call *call = graph->train.callbacks[i];
    const char *monitor = call_text(call, "monitor"), *mode = call_text(call, "mode");
    bool maximize = !strcmp(mode, "max") || (!strcmp(mode, "auto") && grows(monitor));
    if (!strcmp(call->signature->name, "early_stopping")) {
      const Attr *baseline = call_attr(call, "baseline");
      strbuf_printf(
          out,
          "    .early_stopping = {.present = true, .restore_best = %s, .maximize = %s, .monitor = %s, "
          ".min_delta = %.17g, .patience = %lld, .start_from_epoch = %lld, .has_baseline = %s, .baseline = "
          "%.17g},\n",
          call_bool(call, "restore_best_weights") ? "true" : "false", maximize ? "true" : "false",
          emit_string(arena, monitor), call_float(call, "min_delta"), (long long)call_int(call, "patience"),
          (long long)call_int(call, "start_from_epoch"), baseline->kind == ATTR_NONE ? "false" : "true",
          baseline->kind == ATTR_NONE ? 0 : baseline->number);
    } else if (!strcmp(call->signature->name, "reduce_on_plateau")) {
      strbuf_printf(
          out,
          "    .reduce_on_plateau = {.present = true, .maximize = %s, .monitor = %s, .factor = %.17g, "
          ".min_delta = %.17g, .min_lr = %.17g, .patience = %lld, .cooldown = %lld},\n",
          maximize ? "true" : "false", emit_string(arena, monitor), call_float(call, "factor"),
          call_float(call, "min_delta"), call_float(call, "min_lr"), (long long)call_int(call, "patience"),
          (long long)call_int(call, "cooldown"));
    }
  }
}

/* keras.applications.imagenet_utils.preprocess_input by mode; `unit` is x / 255. */
static void emit_preprocess(const Graph *graph, StrBuf *out) {
  static const struct {
    const char *mode, *text;
  } modes[] = {
      {"none", "{1, 1, 1, 1}, {0, 0, 0, 0}"},
      {"unit", "{1 / 255.f, 1 / 255.f, 1 / 255.f, 1 / 255.f}, {0, 0, 0, 0}"},
      {"tf", "{1 / 127.5f, 1 / 127.5f, 1 / 127.5f, 1 / 127.5f}, {-1, -1, -1, -1}"},
      {"caffe", "{1, 1, 1, 1}, {-103.939f, -116.779f, -123.68f, 0}"},
      {"torch", "{1 / (255 * .229f), 1 / (255 * .224f), 1 / (255 * .225f), 1}, {-.485f / .229f, -.456f / "
                ".224f, -.406f / .225f, 0}"},
  };
  const char *mode = call_text(&graph->input->call, "preprocess");
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    if (!strcmp(modes[i].mode, mode ? mode : "none"))
      strbuf_printf(out, "    .preprocess = {\"%s\", %s, %s},\n", modes[i].mode, i == 3 ? "true" : "false",
                    modes[i].text);
}

/* How images of other sizes become the network's; nothing where it is the bilinear way of
 * image_dataset_from_directory. */
static void emit_resize(const Graph *graph, StrBuf *out) {
  const Call *call = &graph->input->call;
  const char *method = call_text(call, "interpolation"), *gray = call_text(call, "grayscale");
  bool plain = !strcmp(method, "bilinear"), crop = call_bool(call, "crop_to_aspect_ratio"),
       pad = call_bool(call, "pad_to_aspect_ratio"), opencv = !strcmp(gray, "opencv");
  if (plain && !crop && !pad && !opencv)
    return;
  strbuf_puts(out, "    .resize = {");
  if (!plain)
    strbuf_printf(out, ".method = \"%s\", .run = resize_%s, ", method, method);
  strbuf_printf(out, ".crop = %s, .pad = %s, .opencv_gray = %s},\n", crop ? "true" : "false",
                pad ? "true" : "false", opencv ? "true" : "false");
}

static void emit_info(const Module *module, const EmitOptions *options, Arena *arena, StrBuf *out) {
  const Graph *graph = module->graph;
  const WeightBlob *weights = options->weights;
  const TrainSpec *train = &graph->train;
  Shape in = graph->input->shape, y = graph->output->shape;
  const char *source = strrchr(graph->path, '/') ? strrchr(graph->path, '/') + 1 : graph->path;
  const char *loss = train->loss ? train->loss->signature->name : NULL;
  bool sparse = loss && strstr(loss, "sparse");
  int last = y.dim[y.rank - 1];
  const char *target = sparse                ? "MODEL_TARGET_INDEX"
                       : shape_count(y) == 1 ? "MODEL_TARGET_BINARY"
                                             : "MODEL_TARGET_ONE_HOT";
  strbuf_printf(
      out,
      "\nstatic const ModelInfo model_info = {\n    .name = %s, .source = %s, .version = NETC_VERSION,\n",
      emit_string(arena, graph->name), emit_string(arena, source));
  if (in.rank == 3)
    strbuf_printf(out, "    .height = %d, .width = %d, .channels = %d,\n", in.dim[0], in.dim[1], in.dim[2]);
  else
    strbuf_printf(out, "    .height = 0, .width = 0, .channels = %lld,\n", (long long)shape_count(in));
  if (options->embed)
    strbuf_printf(out, "    .blob = model_blob, .blob_bytes = %zu,\n", weights->length);
  if (weights && weights->class_count)
    strbuf_printf(out, "    .class_names = model_class_names, .class_count = %d,\n", weights->class_count);
  emit_preprocess(graph, out);
  emit_resize(graph, out);
  strbuf_printf(out,
                "    .input_floats = %lld, .output_floats = %lld, .target_floats = %lld, .target = %s,\n",
                (long long)shape_count(in), (long long)shape_count(y),
                (long long)(sparse ? shape_count(y) / last : shape_count(y)), target);
  strbuf_printf(out, "    .loss = %s,\n", loss ? emit_string(arena, loss) : "NULL");
  strbuf_printf(out, "    .layers = model_layers, .layer_count = %d, .weights = %s, .weight_count = %d,\n",
                graph->layer_count, module->weight_count ? "model_weights" : "NULL", module->weight_count);
  strbuf_printf(out, "    .param_floats = %lld, .slot_count = %d, .slot_floats = %lld,\n",
                (long long)module->param_floats, module->slot_count, (long long)module->slot_floats);
  strbuf_printf(out, "    .constant_floats = %lld, .prepared_hash = 0x%016llxu,\n",
                (long long)module->constant_floats,
                (unsigned long long)(train->loss || !prepare_possible(module) ? 0 : prepare_hash(module)));
  if (graph->weight_source_count)
    strbuf_printf(out, "    .sources = model_sources, .source_count = %d,\n", graph->weight_source_count);
  if (train->loss)
    strbuf_printf(out, "    .phases = model_phases, .phase_count = %d,\n", train->phase_count);
  if (train->metric_count)
    strbuf_printf(out, "    .metrics = model_metrics, .metric_count = %d,\n", train->metric_count);
  emit_callbacks(module, arena, out);
  if (train->class_weight_count)
    strbuf_printf(out, "    .class_weights = model_class_weights, .class_weight_count = %d,\n",
                  train->class_weight_count);
  strbuf_printf(out,
                "    .pieces = model_pieces, .piece_count = MODEL_PIECES,\n"
                "    .batch = %d, .validation_split = %.17g, .stratified = %s, .shuffle = %s, .seed = %lld,\n"
                "    .cache = %s, .forward_batch = %d,\n};\n",
                train->batch, train->validation_split, train->stratified ? "true" : "false",
                train->shuffle ? "true" : "false", (long long)train->seed,
                emit_string(arena, train->cache ? train->cache : "auto"), FORWARD_BATCH);
}

static void emit_class_weights(const Module *module, StrBuf *out) {
  const TrainSpec *train = &module->graph->train;
  if (!train->class_weight_count)
    return;
  strbuf_puts(out, "\nstatic const double model_class_weights[] = {");
  for (int i = 0; i < train->class_weight_count; i++)
    strbuf_printf(out, "%s%.17g", i ? ", " : "", train->class_weights[i]);
  strbuf_puts(out, "};\n");
}

void emit_tables(const Module *module, const EmitOptions *options, StrBuf *out) {
  Arena arena = {0};
  emit_layers(module, &arena, out);
  emit_weights(module, &arena, out);
  emit_sources(module, &arena, out);
  emit_phases(module, &arena, out);
  emit_metrics(module, &arena, out);
  emit_class_weights(module, out);
  emit_info(module, options, &arena, out);
  arena_free(&arena);
}
