/* Checks of pretrained bases, freezing and the feature cache. */
#include "lint_internal.h"
#include <string.h>

static const KnownBase known_bases[] = {
    {"block1_conv1", "VGG", "caffe"},
    {"conv2_block1_out", "ResNet", "caffe"},
    {"conv2_block1_concat", "DenseNet", "torch"},
    {"mixed0", "InceptionV3", "tf"},
    {"conv_dw_1", "MobileNet", "tf"},
    {"expanded_conv_depthwise", "MobileNetV2", "tf"},
    {"block14_sepconv2", "Xception", "tf"},
    {"stem_conv", "EfficientNet", "none"},
};

/* Xception also has a block1_conv1, so the later rows win. */
static const KnownBase *known_base(const WeightSource *source) {
  const KnownBase *found = NULL;
  for (size_t i = 0; i < sizeof known_bases / sizeof *known_bases; i++)
    for (int k = 0; k < source->layer_count; k++)
      if (!strcmp(source->layers[k]->name, known_bases[i].marker))
        found = &known_bases[i];
  return found;
}

static bool near(double a, double b) {
  return a - b < 1e-6 && b - a < 1e-6;
}

/* What is done to the pixels before the first layer with weights, as one of the preprocessing words; "other"
 * where it is none of them.  `at` is the layer that does it. */
static const char *effective_preprocess(const LintContext *context, const Layer **at) {
  const Layer *layer = context->graph->input;
  const char *mode = call_text(&layer->call, "preprocess");
  *at = layer;
  mode = mode ? mode : "none";
  for (layer = context->users[layer->index]; layer && !layer->weight_count;
       layer = context->users[layer->index]) {
    const char *step = NULL;
    if (lint_is(layer, "preprocess")) {
      step = call_text(&layer->call, "mode");
    } else if (lint_is(layer, "rescaling")) {
      const Attr *scale = call_attr(&layer->call, "scale"), *offset = call_attr(&layer->call, "offset");
      bool single = scale->count == 1 && offset->count == 1;
      step = single && near(scale->floats[0], 1 / 255.) && near(offset->floats[0], 0)     ? "unit"
             : single && near(scale->floats[0], 1 / 127.5) && near(offset->floats[0], -1) ? "tf"
                                                                                          : "other";
    }
    if (step) {
      mode = !strcmp(mode, "none") ? step : "other";
      *at = layer;
    }
  }
  return mode;
}

void lint_preprocess(LintContext *context) {
  const Graph *graph = context->graph;
  for (int i = 0; i < graph->weight_source_count; i++) {
    const WeightSource *source = &graph->weight_sources[i];
    const KnownBase *base = known_base(source);
    const Layer *at;
    const char *mode = base ? effective_preprocess(context, &at) : NULL;
    if (!base || !strcmp(mode, base->preprocess) || !strcmp(mode, "other"))
      continue;
    lint_warn(context, at->span,
              "the weights of %s were trained with `%s` preprocessing, here the pixels go in with `%s`",
              base->name, base->preprocess, mode);
    diag_note(context->diag, source->span, "the weights are named here");
    return;
  }
}

void lint_live_batchnorm(LintContext *context) {
  const Graph *graph = context->graph;
  for (int phase = 0; phase < graph->train.phase_count; phase++)
    for (int s = 0; s < graph->weight_source_count; s++) {
      const WeightSource *source = &graph->weight_sources[s];
      const Layer *live = NULL;
      int count = 0, frozen = 0;
      for (int i = 0; i < source->layer_count; i++) {
        const Layer *layer = source->layers[i];
        if (layer->index < 0 || !layer->weight_count)
          continue;
        frozen += layer->frozen[phase];
        if (lint_is(layer, "batchnorm") && !layer->frozen[phase]) {
          live = live ? live : layer;
          count++;
        }
      }
      if (!live || !frozen)
        continue;
      lint_warn(context,
                graph->train.phases[phase].span.source ? graph->train.phases[phase].span : source->span,
                "`%s`%s goes on learning with its batch's statistics while %d layers of the base are frozen",
                live->name,
                count > 1 ? arena_printf(context->arena, " and %d more BatchNorm", count - 1) : "", frozen);
      return;
    }
}

static bool adaptive(const Call *optimizer) {
  return strcmp(optimizer->signature->name, "sgd") != 0;
}

/* Layers that start from random values, in the first phase that trains them. */
void lint_slow_head(LintContext *context) {
  const Graph *graph = context->graph;
  if (!graph->weight_source_count)
    return;
  bool *trained = arena_array(context->arena, bool, graph->layer_count + 1);
  for (int phase = 0; phase < graph->train.phase_count; phase++) {
    double rate = lint_learning_rate(graph, phase);
    const Call *optimizer = lint_optimizer(graph, phase);
    for (int i = 0; i < graph->layer_count; i++) {
      const Layer *layer = graph->layers[i];
      if (context->pretrained[i] || trained[i] || !lint_trains(layer, phase))
        continue;
      trained[i] = true;
      if (!optimizer || rate <= 0 || rate >= (adaptive(optimizer) ? 5e-5 : 5e-4))
        continue;
      const Attr *attr = call_attr(optimizer, "learning_rate");
      lint_warn(context, attr->given && attr->span.source ? attr->span : optimizer->span,
                "a learning rate of %g is very small for `%s`, which starts from random weights", rate,
                layer->name);
      diag_note(context->diag, layer->span, "`%s` is here", layer->name);
      return;
    }
  }
}

void lint_fast_base(LintContext *context) {
  const Graph *graph = context->graph;
  for (int phase = 0; phase < graph->train.phase_count; phase++) {
    double rate = lint_learning_rate(graph, phase);
    const Call *optimizer = lint_optimizer(graph, phase);
    if (!optimizer || rate <= (adaptive(optimizer) ? 1.5e-4 : 5e-3))
      continue;
    for (int i = 0; i < graph->layer_count; i++) {
      if (!context->pretrained[i] || !lint_trains(graph->layers[i], phase))
        continue;
      const Attr *attr = call_attr(optimizer, "learning_rate");
      lint_warn(context, attr->given && attr->span.source ? attr->span : optimizer->span,
                "a learning rate of %g is large for pretrained layers such as `%s`", rate,
                graph->layers[i]->name);
      return;
    }
  }
}

void lint_nothing_left(LintContext *context) {
  const Graph *graph = context->graph;
  for (int phase = 0; phase < graph->train.phase_count; phase++)
    for (int s = 0; s < graph->weight_source_count; s++) {
      const WeightSource *source = &graph->weight_sources[s];
      int frozen = 0, loose = 0, trained = 0;
      const Layer *first = NULL;
      for (int i = 0; i < source->layer_count; i++) {
        const Layer *layer = source->layers[i];
        if (layer->index < 0 || lint_is(layer, "input"))
          continue;
        frozen += layer->frozen[phase] && layer->weight_count;
        loose += !layer->frozen[phase];
        trained += lint_trains(layer, phase);
        first = !layer->frozen[phase] && !first ? layer : first;
      }
      if (!frozen || !loose || trained)
        continue;
      lint_warn(context, source->span,
                "of `%s` %d layers are not frozen, from `%s` on, but none of them has weights",
                *source->part ? source->part : graph->name, loose, first->name);
      return;
    }
}

void lint_frozen_regularizer(LintContext *context) {
  const Graph *graph = context->graph;
  for (int i = 0; i < graph->layer_count; i++) {
    const Layer *layer = graph->layers[i];
    bool penalty = false, trains = false;
    for (int k = 0; k < layer->weight_count; k++)
      penalty = penalty || layer->weights[k].regularizer;
    for (int phase = 0; phase < graph->train.phase_count; phase++)
      trains = trains || lint_trains(layer, phase);
    if (penalty && !trains) {
      lint_warn(context, layer->span, "the regularizer of `%s` has no effect: the layer is always frozen",
                layer->name);
      return;
    }
  }
}

void lint_channels(LintContext *context) {
  const Graph *graph = context->graph;
  for (int s = 0; s < graph->weight_source_count; s++) {
    const WeightSource *source = &graph->weight_sources[s];
    const KnownBase *base = known_base(source);
    for (int i = 0; base && i < source->layer_count; i++) {
      const Layer *layer = source->layers[i];
      if (!layer->weight_count || !layer->input_count || layer->inputs[0]->shape.rank != 3)
        continue;
      int channels = layer->inputs[0]->shape.dim[2];
      if (channels != 3) {
        lint_warn(context, graph->input->span,
                  "the published weights of %s want three channels, `%s` gets %d", base->name, layer->name,
                  channels);
        return;
      }
      break;
    }
  }
}

/* Counts the layers with weights that only frozen, deterministic layers feed; `random` is the first random
 * layer that stands before a frozen one with weights. */
static int frozen_prefix(const LintContext *context, int phase, const Layer **random, const Layer **behind) {
  const Graph *graph = context->graph;
  bool *pure = arena_array(context->arena, bool, graph->layer_count + 1);
  const Layer **cause = arena_array(context->arena, const Layer *, graph->layer_count + 1);
  int count = 0;
  *random = *behind = NULL;
  for (int i = 0; i < graph->layer_count; i++) {
    const Layer *layer = graph->layers[i];
    bool fed = true;
    for (int k = 0; k < layer->input_count; k++) {
      int from = layer->inputs[k]->index;
      fed = fed && pure[from];
      cause[i] = cause[i] ? cause[i] : cause[from];
    }
    bool frozen = !layer->weight_count || layer->frozen[phase];
    if (layer->op->random && fed)
      cause[i] = layer;
    if (!frozen)
      cause[i] = NULL; /* it would have to be computed anyway */
    pure[i] = fed && frozen && !layer->op->random;
    count += pure[i] && layer->weight_count;
    if (cause[i] && cause[i] != layer && layer->weight_count && layer->frozen[phase] && !*behind) {
      *random = cause[i];
      *behind = layer;
    }
  }
  return count;
}

void lint_cache_off(LintContext *context) {
  const Graph *graph = context->graph;
  const Layer *random, *behind;
  if (!graph->train.cache || strcmp(graph->train.cache, "off"))
    return;
  int count = frozen_prefix(context, 0, &random, &behind);
  if (count)
    lint_warn(context, graph->train.span,
              "the cache is off, so %d frozen layers are computed again in every epoch", count);
}

void lint_random_prefix(LintContext *context) {
  const Graph *graph = context->graph;
  if (graph->train.cache_variants > 0)
    return;
  for (int phase = 0; phase < graph->train.phase_count; phase++) {
    const Layer *random, *behind;
    frozen_prefix(context, phase, &random, &behind);
    if (!behind)
      continue;
    lint_warn(context, random->span,
              "`%s` draws anew each time, so what `%s` and the frozen layers behind it compute "
              "cannot be kept",
              random->name, behind->name);
    return;
  }
}

void lint_idle_variants(LintContext *context) {
  const Graph *graph = context->graph;
  if (!graph->train.cache_variants)
    return;
  for (int phase = 0; phase < graph->train.phase_count; phase++) {
    const Layer *random, *behind;
    frozen_prefix(context, phase, &random, &behind);
    if (behind)
      return;
  }
  lint_warn(context, graph->train.span,
            "`variants %d` changes nothing: no random layer stands in front of frozen ones",
            graph->train.cache_variants);
}

void lint_nothing_trains(LintContext *context) {
  const Graph *graph = context->graph;
  if (!graph->train.present)
    return;
  for (int phase = 0; phase < graph->train.phase_count; phase++) {
    bool trains = false;
    for (int i = 0; i < graph->layer_count; i++)
      trains = trains || lint_trains(graph->layers[i], phase);
    if (!trains) {
      const Phase *at = &graph->train.phases[phase];
      lint_warn(context, at->span.source ? at->span : graph->train.span,
                "every weight is frozen%s%s%s: nothing is trained", at->name ? " in phase `" : "",
                at->name ? at->name : "", at->name ? "`" : "");
      return;
    }
  }
}
