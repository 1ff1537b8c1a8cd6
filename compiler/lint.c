#include "lint_internal.h"
#include <stdio.h>
#include <string.h>

typedef struct Lint {
  const char *code, *title;
  void (*check)(LintContext *context);
  const char *text;
} Lint;

static const Lint lints[] = {
    {"NT001", "preprocessing is not the one that the pretrained base was trained with", lint_preprocess,
     "A pretrained network has learnt from pixels on one scale and in one order of channels.  VGG and ResNet "
     "want\n"
     "`caffe` (BGR, channel means subtracted, no scaling), Inception, Xception and the MobileNets want `tf` "
     "(-1 to 1),\n"
     "DenseNet wants `torch`.  With others (1/255 in front of ResNet50 is the classic) every feature is "
     "wrong and\n"
     "accuracy stays near guessing, without any error.\n"
     "Write `input(..., preprocess = caffe)`, or whichever the base was trained with."},
    {"NT002", "a BatchNorm with pretrained statistics goes on learning among frozen layers",
     lint_live_batchnorm,
     "While it trains, a BatchNorm uses the statistics of its batch and lets its moving statistics follow.  "
     "In a base\n"
     "that is otherwise frozen, and with few images, both get worse than what was loaded, and training and "
     "prediction\n"
     "differ.  Slices such as `base[:-4]` leave one alive without saying so (conv5_block3_3_bn on "
     "ResNet50).\n"
     "Freeze them by name: `freeze \"*_bn\"`.  A frozen BatchNorm runs on its moving statistics, as in "
     "Keras."},
    {"NT003", "the learning rate is very small for a head that starts from random weights", lint_slow_head,
     "A fresh layer has to travel far; at 1e-5 it hardly moves in the epochs of a small job, and accuracy "
     "stays low\n"
     "although nothing is wrong.  Small rates are for pretrained layers.\n"
     "Train the head first at the optimizer's default (adam 1e-3, sgd 1e-2), then unfreeze at the small "
     "rate: two\n"
     "phases of one train section."},
    {"NT004", "the learning rate is large for pretrained layers that go on learning", lint_fast_base,
     "Pretrained weights are good already; steps of adam's default 1e-3 destroy them within an epoch, and "
     "the network\n"
     "is worse than with the base frozen.  Use about 1e-5 for adam and rmsprop, at most 1e-3 for sgd."},
    {"NT005", "the unfrozen rest of a base has nothing that can be trained", lint_nothing_left,
     "The slice reads as `the last layers go on learning`, but the layers it leaves have no weights: on "
     "InceptionV3\n"
     "`base[:-4]` leaves mixed9_1, concatenate_1, activation_93 and mixed10.  Layers count in Keras's order, "
     "and\n"
     "activations and joins are layers.  Freeze up to a name: `base[..]` with the names of `netc summary`."},
    {"NT006", "a regularizer stands on weights that are never trained", lint_frozen_regularizer,
     "Frozen weights get no gradient and no decay, so the penalty changes nothing but the loss that is "
     "printed."},
    {"NT007", "a pretrained base gets images that have not three channels", lint_channels,
     "The published weights were trained on colour; their first convolution has three input channels, and "
     "loading\n"
     "them into another number fails.  Make the input HxWx3: gray images are then repeated in all three "
     "channels."},
    {"NT008", "one softmax unit", lint_one_softmax,
     "A softmax over one unit is 1 whatever happens: the loss has no gradient and accuracy is that of "
     "guessing.\n"
     "Two classes: `dense(1, sigmoid)` with binary_crossentropy, or `dense(2, softmax)` with categorical."},
    {"NT009", "the loss does not fit the output's activation", lint_sigmoid_categorical,
     "categorical_crossentropy is for one class out of several and wants a softmax: with sigmoids the wrong "
     "classes\n"
     "are never pushed down.  binary_crossentropy is for independent yes-or-no outputs and wants sigmoids: "
     "with a\n"
     "softmax its accuracy is counted per output and looks far better than it is."},
    {"NT010", "a cross-entropy of values that are not probabilities", lint_no_probabilities,
     "The last layer has no softmax or sigmoid, so its values may be negative or above 1; they are cut to "
     "[1e-7, 1]\n"
     "and most of them give no gradient.  Add the activation, or write `from_logits = true`."},
    {"NT011", "`from_logits` after an activation that already gives probabilities", lint_logits_twice,
     "The loss applies softmax or sigmoid once more: gradients become small and the loss cannot get near "
     "zero.\n"
     "Remove the activation or the argument."},
    {"NT012", "a flattened image feeds a very large dense layer", lint_flatten_head,
     "Each pixel of each channel gets a weight of its own to every unit: many millions of weights that a "
     "thousand\n"
     "images cannot determine, most of the file's size and of the time of a step.  Pool first: "
     "`global_avgpool()`\n"
     "instead of `flatten()`, or one more `maxpool`."},
    {"NT013", "`cache off` although a frozen part could be computed once", lint_cache_off,
     "The frozen layers in front give the same numbers for an image in every epoch.  netc computes them once "
     "and keeps\n"
     "them; `cache off` computes them again each epoch.  Leave the setting out."},
    {"NT014", "random layers in front of frozen ones: their results cannot be kept", lint_random_prefix,
     "Augmentation draws anew for every image and epoch, so what the frozen layers make of it changes and "
     "has to be\n"
     "computed every time.  `cache auto variants 8` draws that many variants of each training image, "
     "computes "
     "each once\n"
     "and takes them in turn, one per epoch; without augmentation the features are computed once."},
    {"NT015", "a callback watches validation values, but nothing is held back for validation", lint_monitor,
     "`monitor = \"val_loss\"` exists only with `validation split 0.2` in the train section or --val on the "
     "command line;\n"
     "without, the callback never acts."},
    {"NT016", "nothing is trained", lint_nothing_trains,
     "Every weight is frozen in this phase: its epochs change nothing.  `unfreeze` a part, or remove the "
     "phase."},
    {"NT017", "a BatchNorm trains on a very small batch", lint_small_batch,
     "The mean and variance of a handful of images are noise, and so is what the layer passes on.  Use a "
     "batch of at\n"
     "least 8, freeze the layer, or use group_normalization."},
    {"NT018", "a layer leads nowhere", lint_loose,
     "Its result is taken by no other layer and is not the last, so it is not part of the network: Keras "
     "leaves such\n"
     "layers out too.  Most often an `add` or a `concat` was forgotten, or a name was bound and never used."},
    {"NT019", "`variants` although nothing random stands in front of frozen layers", lint_idle_variants,
     "The feature cache keeps augmented variants of an image where random layers feed frozen ones.  Here "
     "none "
     "do:\n"
     "without augmentation one row per image is exact, and random layers behind the frozen part draw anew "
     "anyway."},
};
enum { LINT_COUNT = sizeof lints / sizeof *lints };

/* ---- what checks share ---- */

bool lint_warn(LintContext *context, Span at, const char *format, ...) {
  for (int i = 0; i < context->graph->silenced_count; i++)
    if (!strcmp(context->graph->silenced[i], context->code)) {
      context->diag->muted = true;
      return false;
    }
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  char *text = arena_alloc(context->arena, (size_t)length + 1);
  vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  diag_warn(context->diag, at, context->code, "%s", text);
  return true;
}

bool lint_is(const Layer *layer, const char *op) {
  return !strcmp(layer->op->name, op);
}

const Call *lint_optimizer(const Graph *graph, int phase) {
  const Call *own = phase < graph->train.phase_count ? graph->train.phases[phase].optimizer : NULL;
  return own ? own : graph->train.optimizer;
}

double lint_learning_rate(const Graph *graph, int phase) {
  const Call *optimizer = lint_optimizer(graph, phase);
  if (!optimizer)
    return -1;
  const Attr *rate = call_attr(optimizer, "learning_rate");
  if (rate->kind == ATTR_CALL) {
    const Signature *schedule = rate->call->signature;
    for (int i = 0; schedule->params[i].name; i++)
      if (!strcmp(schedule->params[i].name, "initial_learning_rate") &&
          rate->call->attrs[i].kind == ATTR_FLOAT && rate->call->attrs[i].number > 0)
        return rate->call->attrs[i].number;
    return -1;
  }
  return rate->kind == ATTR_INT ? (double)rate->integer : rate->kind == ATTR_FLOAT ? rate->number : -1;
}

bool lint_trains(const Layer *layer, int phase) {
  if (layer->frozen[phase])
    return false;
  for (int i = 0; i < layer->weight_count; i++)
    if (layer->weights[i].trainable)
      return true;
  return false;
}

int64_t lint_weight_count(const Layer *layer) {
  int64_t count = 0;
  for (int i = 0; i < layer->weight_count; i++)
    count += shape_count(layer->weights[i].shape);
  return count;
}

const char *lint_output_activation(const Graph *graph, const Layer **at) {
  const Layer *layer = graph->output;
  while (layer->input_count == 1 && (lint_is(layer, "reshape") || lint_is(layer, "flatten")))
    layer = layer->inputs[0];
  *at = layer;
  const Signature *signature = layer->call.signature;
  for (int i = 0; signature->params[i].name; i++)
    if (signature->params[i].kind == P_ACTIVATION)
      return layer->call.attrs[i].kind == ATTR_CALL ? layer->call.attrs[i].call->signature->name : "linear";
  return signature->name;
}

/* ---- the table ---- */

void lint_graph(const Graph *graph, Arena *arena, Diag *diag) {
  LintContext context = {.graph = graph, .arena = arena, .diag = diag};
  context.pretrained = arena_array(arena, bool, graph->layer_count + 1);
  context.users = arena_array(arena, Layer *, graph->layer_count + 1);
  for (int i = 0; i < graph->layer_count; i++)
    for (int k = 0; k < graph->layers[i]->input_count; k++) {
      Layer **user = &context.users[graph->layers[i]->inputs[k]->index];
      *user = *user ? *user : graph->layers[i];
    }
  for (int i = 0; i < graph->weight_source_count; i++)
    for (int k = 0; k < graph->weight_sources[i].layer_count; k++) {
      const Layer *layer = graph->weight_sources[i].layers[k];
      if (layer->index >= 0 && layer->weight_count)
        context.pretrained[layer->index] = true;
    }
  for (int i = 0; i < LINT_COUNT; i++) {
    context.code = lints[i].code;
    int before = diag->warnings;
    lints[i].check(&context);
    if (diag->warnings > before) /* after the notes of the warning */
      diag_help(diag, "`netc explain %s` says more; `silence %s` in the train section turns it off",
                context.code, context.code);
  }
}

static const Lint *find(const char *code) {
  for (int i = 0; i < LINT_COUNT; i++)
    if (!strcmp(lints[i].code, code))
      return &lints[i];
  return NULL;
}

bool lint_exists(const char *code) {
  return find(code) != NULL;
}

const char *lint_nearest(const char *code) {
  const char *codes[LINT_COUNT];
  for (int i = 0; i < LINT_COUNT; i++)
    codes[i] = lints[i].code;
  return diag_nearest(code, codes, LINT_COUNT);
}

bool lint_explain(const char *code, StrBuf *out) {
  const Lint *lint = find(code);
  if (!lint) {
    const char *near = lint_nearest(code);
    fprintf(stderr, "netc: there is no warning `%s`%s%s%s\n", code, near ? "; did you mean `" : "",
            near ? near : "", near ? "`?" : "");
    return false;
  }
  strbuf_printf(out, "%s: %s\n\n%s\n", lint->code, lint->title, lint->text);
  return true;
}

void lint_index(StrBuf *out) {
  for (int i = 0; i < LINT_COUNT; i++)
    strbuf_printf(out, "%s  %s\n", lints[i].code, lints[i].title);
}

void lint_markdown(StrBuf *out) {
  strbuf_puts(out, "### Warnings\n\n| code | warns that |\n| --- | --- |\n");
  for (int i = 0; i < LINT_COUNT; i++)
    strbuf_printf(out, "| %s | %s |\n", lints[i].code, lints[i].title);
}
