/* What the checks of lint_*.c share. */
#ifndef NETC_LINT_INTERNAL_H
#define NETC_LINT_INTERNAL_H
#include "lint.h"

typedef struct LintContext {
  const Graph *graph;
  Arena *arena;
  Diag *diag;
  const char *code; /* of the check at work */
  bool *pretrained; /* by Layer.index: weights come from a file */
  Layer **users;    /* by Layer.index: the first layer that takes it, or NULL */
} LintContext;

/* A network of the zoo, known by the name of one of its layers. */
typedef struct KnownBase {
  const char *marker, *name, *preprocess;
} KnownBase;

/* Reports under the code of the check at work, unless the file silences it; false where it is silenced. */
bool lint_warn(LintContext *context, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool lint_is(const Layer *layer, const char *op);
const Call *lint_optimizer(const Graph *graph, int phase);
/* The learning rate where it is a plain number or a schedule that says where it begins, else -1. */
double lint_learning_rate(const Graph *graph, int phase);
/* Some weight of the layer is trained in the phase. */
bool lint_trains(const Layer *layer, int phase);
int64_t lint_weight_count(const Layer *layer);
/* What stands last: its activation's name ("softmax", "linear"). */
const char *lint_output_activation(const Graph *graph, const Layer **at);

/* lint_transfer.c: pretrained bases and freezing. */
void lint_preprocess(LintContext *context);
void lint_live_batchnorm(LintContext *context);
void lint_slow_head(LintContext *context);
void lint_fast_base(LintContext *context);
void lint_nothing_left(LintContext *context);
void lint_frozen_regularizer(LintContext *context);
void lint_channels(LintContext *context);
void lint_cache_off(LintContext *context);
void lint_random_prefix(LintContext *context);
void lint_nothing_trains(LintContext *context);
/* lint_head.c: output, loss, sizes. */
void lint_one_softmax(LintContext *context);
void lint_sigmoid_categorical(LintContext *context);
void lint_no_probabilities(LintContext *context);
void lint_logits_twice(LintContext *context);
void lint_flatten_head(LintContext *context);
void lint_monitor(LintContext *context);
void lint_small_batch(LintContext *context);
void lint_loose(LintContext *context);
void lint_idle_variants(LintContext *context);
#endif
