/* Checks of the output, the loss and sizes. */
#include "lint_internal.h"
#include <string.h>

static bool starts(const char *text, const char *with) {
  return !strncmp(text, with, strlen(with));
}

static bool loss_is(const LintContext *context, const char *name) {
  const Call *loss = context->graph->train.loss;
  return loss && !strcmp(loss->signature->name, name);
}

/* Cross-entropies of any kind. */
static bool is_crossentropy(const LintContext *context) {
  const Call *loss = context->graph->train.loss;
  return loss && strstr(loss->signature->name, "crossentropy");
}

static bool from_logits(const LintContext *context) {
  const Call *loss = context->graph->train.loss;
  for (int i = 0; loss->signature->params[i].name; i++)
    if (!strcmp(loss->signature->params[i].name, "from_logits"))
      return loss->attrs[i].boolean;
  return false;
}

static int output_units(const LintContext *context) {
  Shape shape = context->graph->output->shape;
  return shape.dim[shape.rank - 1];
}

void lint_one_softmax(LintContext *context) {
  const Layer *at;
  const char *activation = lint_output_activation(context->graph, &at);
  if (output_units(context) != 1)
    return;
  if (!strcmp(activation, "softmax"))
    lint_warn(context, at->span, "a softmax over one unit is always 1");
  else if (loss_is(context, "categorical_crossentropy") ||
           loss_is(context, "sparse_categorical_crossentropy"))
    lint_warn(context, at->span, "`%s` of one unit is always 0", context->graph->train.loss->signature->name);
}

void lint_sigmoid_categorical(LintContext *context) {
  const Layer *at;
  const char *activation = lint_output_activation(context->graph, &at);
  bool categorical = loss_is(context, "categorical_crossentropy") ||
                     loss_is(context, "sparse_categorical_crossentropy") ||
                     loss_is(context, "categorical_focal_crossentropy");
  bool binary = loss_is(context, "binary_crossentropy") || loss_is(context, "binary_focal_crossentropy");
  if (output_units(context) < 2)
    return;
  if (categorical && !strcmp(activation, "sigmoid"))
    lint_warn(context, at->span, "`%s` wants a softmax, got a sigmoid",
              context->graph->train.loss->signature->name);
  else if (binary && !strcmp(activation, "softmax"))
    lint_warn(context, at->span, "`%s` wants sigmoids, got a softmax over %d classes",
              context->graph->train.loss->signature->name, output_units(context));
  else
    return;
  diag_note(context->diag, context->graph->train.loss->span, "the loss is chosen here");
}

void lint_no_probabilities(LintContext *context) {
  const Layer *at;
  const char *activation = lint_output_activation(context->graph, &at);
  if (!is_crossentropy(context) || from_logits(context) || !strcmp(activation, "softmax") ||
      !strcmp(activation, "sigmoid") || !strcmp(activation, "hard_sigmoid"))
    return;
  lint_warn(context, at->span, "`%s` wants probabilities, but `%s` ends without softmax or sigmoid",
            context->graph->train.loss->signature->name, at->name);
  diag_note(context->diag, context->graph->train.loss->span, "the loss is chosen here");
}

void lint_logits_twice(LintContext *context) {
  const Layer *at;
  const char *activation = lint_output_activation(context->graph, &at);
  if (!is_crossentropy(context) || !from_logits(context) ||
      (strcmp(activation, "softmax") && strcmp(activation, "sigmoid")))
    return;
  lint_warn(context, at->span, "`from_logits` applies %s to values that already went through %s",
            starts(context->graph->train.loss->signature->name, "binary") ? "sigmoid" : "softmax",
            activation);
  diag_note(context->diag, context->graph->train.loss->span, "the loss is chosen here");
}

void lint_flatten_head(LintContext *context) {
  enum { MANY = 5000000 };
  const Graph *graph = context->graph;
  for (int i = 0; i < graph->layer_count; i++) {
    const Layer *layer = graph->layers[i], *from = layer->input_count ? layer->inputs[0] : NULL;
    while (from && from->input_count && (lint_is(from, "dropout") || lint_is(from, "batchnorm")))
      from = from->inputs[0];
    bool trains = false;
    for (int phase = 0; phase < graph->train.phase_count; phase++)
      trains = trains || lint_trains(layer, phase);
    if (!from || !lint_is(layer, "dense") || !lint_is(from, "flatten") || !trains || context->pretrained[i] ||
        lint_weight_count(layer) < MANY)
      continue;
    lint_warn(context, layer->span, "`%s` has %.1f million weights, one for each pixel, channel and unit",
              layer->name, (double)lint_weight_count(layer) / 1e6);
    diag_note(context->diag, from->span, "%lld numbers come out of `%s`", (long long)shape_count(from->shape),
              from->name);
    return;
  }
}

void lint_monitor(LintContext *context) {
  const TrainSpec *train = &context->graph->train;
  if (train->validation_split > 0)
    return;
  for (int i = 0; i < train->callback_count; i++) {
    const Call *call = train->callbacks[i];
    const char *monitor = NULL;
    for (int k = 0; call->signature->params[k].name; k++)
      if (!strcmp(call->signature->params[k].name, "monitor"))
        monitor = call->attrs[k].text;
    if (!monitor || !starts(monitor, "val_"))
      continue;
    lint_warn(context, call->span,
              "`%s` watches `%s`, but the train section holds nothing back for validation",
              call->signature->name, monitor);
    return;
  }
}

void lint_small_batch(LintContext *context) {
  enum { FEW = 8 };
  const Graph *graph = context->graph;
  if (!graph->train.present || graph->train.batch >= FEW)
    return;
  for (int i = 0; i < graph->layer_count; i++)
    for (int phase = 0; phase < graph->train.phase_count; phase++)
      if (lint_is(graph->layers[i], "batchnorm") && !graph->layers[i]->frozen[phase]) {
        lint_warn(context, graph->layers[i]->span, "`%s` trains on the statistics of %d images",
                  graph->layers[i]->name, graph->train.batch);
        return;
      }
}

void lint_loose(LintContext *context) {
  const Graph *graph = context->graph;
  for (int i = 0; i < graph->loose_count; i++)
    if (!lint_warn(context, graph->loose[i]->span, "`%s` leads nowhere: it is not part of the network",
                   graph->loose[i]->name))
      return;
}
