#include "summary.h"
#include "emit/emit.h"
#include <stdio.h>
#include <string.h>

static void shape_text(Shape shape, char *text, size_t size) {
  int at = snprintf(text, size, "(");
  for (int i = 0; i < shape.rank; i++)
    at += snprintf(text + at, size - (size_t)at, "%s%d", i ? ", " : "", shape.dim[i]);
  snprintf(text + at, size - (size_t)at, ")");
}

static const char *count_text(char *text, size_t size, double count, const char *unit) {
  const char *prefix = count >= 1e9 ? " G" : count >= 1e6 ? " M" : count >= 1e3 ? " k" : " ";
  double scale = count >= 1e9 ? 1e9 : count >= 1e6 ? 1e6 : count >= 1e3 ? 1e3 : 1;
  snprintf(text, size, "%.*f%s%s", scale == 1 ? 0 : 1, count / scale, prefix, unit);
  return text;
}

static const char *grouped(char *text, size_t size, int64_t count) {
  char digits[32];
  int length = snprintf(digits, sizeof digits, "%lld", (long long)count), at = 0;
  for (int i = 0; i < length && at < (int)size - 2; i++) {
    if (i && (length - i) % 3 == 0)
      text[at++] = ',';
    text[at++] = digits[i];
  }
  text[at] = 0;
  return text;
}

static int64_t layer_flops(const Function *function, const Layer *layer) {
  int64_t flops = 0;
  for (const Node *node = function->first; node; node = node->next)
    if (node_is(node, OP_depthwise_pointwise))
      flops += depthwise_pointwise_flops(node, layer);
    else if (node->layer == layer)
      flops += node_flops(node);
  return flops;
}

static int64_t function_flops(const Function *function) {
  int64_t flops = 0;
  for (const Node *node = function ? function->first : NULL; node; node = node->next)
    flops += node_flops(node);
  return flops;
}

/* Whether a step makes the layer's value a second time. */
static bool made_again(const Function *step, const Layer *layer) {
  for (const Node *node = step ? step->first : NULL; node; node = node->next)
    if (node->again && node->layer == layer && !node->op->view)
      return true;
  return false;
}

/* "winograd 4x4". */
static void add_convolution(ConvAlgorithm algorithm, char *text, size_t size) {
  int tile = conv_tile(algorithm);
  if (tile)
    snprintf(text, size, "winograd %dx%d", tile, tile);
  else
    snprintf(text, size, "direct");
}

/* Whether predictions compute the layer a few images at a time. */
static bool in_microbatches(const Function *forward, const Layer *layer) {
  for (const Node *node = forward->first; node; node = node->next)
    if (node->microbatch && node->layer == layer && !node->op->view)
      return true;
  return false;
}

/* How the layer's main operation is computed, and what runs with it. */
static const char *algorithm(const Function *function, const Layer *layer) {
  static char text[128];
  text[0] = 0;
  for (const Node *node = function->first; node; node = node->next) {
    if (node_is(node, OP_depthwise_pointwise) && node->layer != layer &&
        (node->attr.depthwise_layer == layer || node->attr.expand_layer == layer))
      snprintf(text, sizeof text, "with %s", node->layer->name);
    if (node->layer != layer || node->op->view)
      continue;
    if (node_is(node, OP_conv2d)) {
      add_convolution(node->attr.algorithm, text, sizeof text);
      if (node->attr.few_below) {
        char few[32];
        add_convolution(node->attr.few, few, sizeof few);
        snprintf(text + strlen(text), sizeof text - strlen(text), "; %s below %d images", few,
                 node->attr.few_below);
      }
    } else if (node_is(node, OP_depthwise_pointwise))
      snprintf(text, sizeof text, "direct, band by band");
    else if (!text[0])
      snprintf(text, sizeof text, "%s", node->op->name);
  }
  return text[0] ? text : "-";
}

/* Whether steps change the layer's weights: "yes", "frozen", "phase 2", "no" where it has none that could be
 * trained, "" where it has none at all. */
static const char *training_state(const Module *module, const Layer *layer, char *text, size_t size) {
  int phases = module->graph->train.phase_count, trained = 0;
  bool trainable = false;
  size_t used = 0;
  for (int k = 0; k < layer->weight_count; k++)
    trainable = trainable || layer->weights[k].trainable;
  if (!trainable)
    return layer->weight_count ? "no" : "";
  for (int p = 0; p < phases; p++)
    if (!layer->frozen[p] && used < size) {
      used += (size_t)snprintf(text + used, size - used, "%s%d", trained ? "," : "phase ", p + 1);
      trained++;
    }
  return trained == phases ? "yes" : trained ? text : "frozen";
}

static void print_layers(const Module *module, int threads, StrBuf *out) {
  const Graph *graph = module->graph;
  strbuf_printf(out, "%-34s %-16s %13s  %-8s %10s  %s\n", "layer", "output", "parameters", "trains", "FLOPs",
                "as");
  for (int i = 0; i < graph->layer_count; i++) {
    const Layer *layer = graph->keras_order[i];
    char shape[64], params[32], flops[32], phases[48];
    int64_t count = 0;
    for (int k = 0; k < layer->weight_count; k++)
      count += shape_count(layer->weights[k].shape);
    shape_text(layer->shape, shape, sizeof shape);
    const char *state = training_state(module, layer, phases, sizeof phases);
    bool cached =
        module->cuts[0].layer_count && module->cuts[0].in_prefix && module->cuts[0].in_prefix[layer->index];
    char micro[48] = "";
    if (in_microbatches(module->forward, layer))
      snprintf(micro, sizeof micro, ", %d at a time", module_microbatch(module, FORWARD_BATCH, threads));
    strbuf_printf(out, "%-34s %-16s %13s  %-8s %10s  %s%s%s%s\n", layer->name, shape,
                  grouped(params, sizeof params, count), state,
                  count_text(flops, sizeof flops, (double)layer_flops(module->forward, layer), ""),
                  algorithm(module->forward, layer), micro, cached ? ", once per image" : "",
                  made_again(module->step[0], layer) ? ", made again" : "");
  }
}

static void print_totals(const Module *module, StrBuf *out) {
  int64_t all = 0, moving = 0;
  char a[32], b[32], c[32];
  for (int w = 0; w < module->weight_count; w++) {
    all += module->weights[w].count;
    moving += module->weights[w].phases ? 0 : module->weights[w].count;
  }
  strbuf_printf(out, "\nparameters    %s: %s trained, %s not\n", grouped(a, sizeof a, all),
                grouped(b, sizeof b, all - moving), grouped(c, sizeof c, moving));
  strbuf_printf(out, "prediction    %s per image\n",
                count_text(a, sizeof a, (double)function_flops(module->forward), "FLOP"));
}

/* What the step makes again to save memory. */
static void print_recomputed(const Module *module, int p, StrBuf *out) {
  const Function *step = module->step[p];
  int64_t again = 0, floats = 0;
  int values = 0, layers = 0;
  char a[32], b[32], c[32];
  for (const Node *node = step->first; node; node = node->next)
    if (node->again && !node->op->view) {
      again += node_flops(node);
      for (int i = 0; i < node->out_count; i++) {
        values += node->out[i]->batched;
        floats += node->out[i]->batched ? value_floats(node->out[i]) : 0;
      }
    }
  if (!values)
    return;
  for (int i = 0; i < module->graph->layer_count; i++)
    layers += made_again(step, module->graph->layers[i]);
  int64_t rest = function_flops(step) - again;
  strbuf_printf(out, "made again    %d values of %d layers (%s per image)", values, layers,
                count_text(a, sizeof a, 4.0 * (double)floats, "B"));
  if (module->graph->train.memory_limit)
    strbuf_printf(out, " for the limit of %s",
                  count_text(b, sizeof b, (double)module->graph->train.memory_limit, "B"));
  strbuf_printf(out, ": %s per image more, %.1f %%\n", count_text(c, sizeof c, (double)again, "FLOP"),
                rest ? 100.0 * (double)again / (double)rest : 0.0);
}

static void print_phase(const Module *module, int p, StrBuf *out) {
  const Phase *phase = &module->graph->train.phases[p];
  char a[32], b[32], c[32];
  int64_t step = function_flops(module->step[p]), prefix = function_flops(module->features[p]);
  if (module->graph->train.phase_count > 1)
    strbuf_printf(out, "phase %d       %s%s%d epochs\n", p + 1, phase->name ? phase->name : "",
                  phase->name ? ", " : "", phase->epochs);
  if (module->features[p]) {
    const PhaseCut *cut = &module->cuts[p];
    strbuf_printf(out, "once per image %s up to", count_text(a, sizeof a, (double)prefix, "FLOP"));
    for (int i = 0; i < cut->layer_count; i++)
      strbuf_printf(out, "%s `%s`", i ? "," : "", cut->layers[i]->name);
    strbuf_printf(out, "; keeps %s per image",
                  count_text(b, sizeof b, 4.0 * (double)cut->feature_floats, "B"));
    if (cut->variants)
      strbuf_printf(out, ", of training images %d variants", cut->variants);
    strbuf_puts(out, "\n");
  }
  strbuf_printf(out, "training step %s per image%s%s%s\n", count_text(a, sizeof a, (double)step, "FLOP"),
                prefix ? "; without the cache " : "",
                prefix ? count_text(b, sizeof b, (double)(step + prefix), "FLOP") : "", "");
  print_recomputed(module, p, out);
  int updates = 0;
  for (const Node *node = module->step[p]->first; node; node = node->next)
    updates += node_is(node, OP_update) || node_is(node, OP_dense_update);
  strbuf_printf(out, "updates       %d weight arrays per step%s\n", updates, "");
  (void)c;
}

static bool reads_constant(const Function *function, const Value *value) {
  for (const Node *node = function->first; node; node = node->next)
    for (int i = 0; i < node->in_count; i++)
      if (node->in[i]->kind == VALUE_CONSTANT && node->in[i]->constant == value)
        return true;
  return false;
}

/* Packed and folded weights that only whole predictions read.  Where every phase keeps features, validation
 * starts from them too, so training never touches this part. */
static int64_t untouched_by_training(const Module *module) {
  if (!module->graph->train.loss)
    return 0;
  for (int p = 0; p < module->graph->train.phase_count; p++)
    if (!module->features[p])
      return 0;
  int64_t floats = 0;
  for (int i = 0; i < module->prepare->result_count; i++) {
    const Value *value = module->prepare->results[i];
    bool read = false;
    for (int f = 0; f < module->function_count && !read; f++)
      read = module->functions[f]->kind != FUNCTION_FORWARD && module->functions[f] != module->prepare &&
             reads_constant(module->functions[f], value);
    if (!read)
      floats += value_floats(value);
  }
  return floats;
}

static void print_memory(const Module *module, int threads, StrBuf *out) {
  char a[32], b[32];
  int64_t untouched = untouched_by_training(module);
  int batch = module->graph->train.batch;
  strbuf_printf(out, "\nmemory        %-9s weights\n",
                count_text(a, sizeof a, 4.0 * (double)module->param_floats, "B"));
  if (module->slot_count)
    strbuf_printf(out, "              %-9s optimizer state\n",
                  count_text(a, sizeof a, 4.0 * (double)(module->slot_floats * module->slot_count), "B"));
  if (module->constant_floats)
    strbuf_printf(out, "              %-9s packed and folded weights",
                  count_text(a, sizeof a, 4.0 * (double)module->constant_floats, "B"));
  if (untouched)
    strbuf_printf(out, "; %s of them for whole predictions only",
                  count_text(a, sizeof a, 4.0 * (double)untouched, "B"));
  if (module->constant_floats)
    strbuf_puts(out, "\n");
  for (int f = 0; f < module->function_count; f++) {
    const Function *function = module->functions[f];
    int images = function_images(function->kind, batch);
    int64_t micro = module_microbatch(module, images, threads);
    int64_t floats =
        function->batch_floats * images + function->micro_floats * micro + function->fixed_floats;
    int64_t bound = function->batch_bound * images + function->micro_bound * micro + function->fixed_bound;
    if (!floats)
      continue;
    strbuf_printf(out, "              %-9s `%s` at batch %d; %s are alive at once, packing adds %.2f %%\n",
                  count_text(a, sizeof a, 4.0 * (double)floats, "B"), function->name, images,
                  count_text(b, sizeof b, 4.0 * (double)bound, "B"),
                  bound ? 100.0 * (double)(floats - bound) / (double)bound : 0.0);
  }
  strbuf_printf(out, "peak          %lld bytes at batch %d on %d threads, images and libraries apart\n",
                (long long)emit_bytes(module, batch, threads), batch, threads);
  if (untouched)
    strbuf_printf(out, "              %lld bytes of it while training, from cached features\n",
                  (long long)(emit_bytes(module, batch, threads) - 4 * untouched));
}

void summary_print(const Module *module, int threads, StrBuf *out) {
  strbuf_printf(out, "network %s (%s)\n\n", module->graph->name, module->graph->path);
  print_layers(module, threads, out);
  print_totals(module, out);
  for (int p = 0; module->graph->train.loss && p < module->graph->train.phase_count; p++)
    print_phase(module, p, out);
  print_memory(module, threads, out);
}
