/* The checked network: a directed graph of layers with shapes, as Keras would build it.
 *
 * Made by elaborate.c from the AST; read-only afterwards.  Everything lives in the session's arena. */
#ifndef NETC_GRAPH_H
#define NETC_GRAPH_H
#include "op.h"

typedef struct LayerWeight {
  const char *name; /* "kernel": Keras's own; order within a layer: trainable, then not */
  Shape shape;      /* Keras's layout: (kh, kw, in, out), (in, out), (kh, kw, in, multiplier) */
  bool trainable;   /* moving statistics are not */
  const Call *initializer;
  const Call *regularizer; /* or NULL */
  const Call *constraint;  /* or NULL */
} LayerWeight;

enum { LAYER_MAX_WEIGHTS = 6, MAX_PHASES = 15 /* functions of all phases fit into 64 bits */ };

struct Layer {
  const char
      *name; /* unique in the network; Keras's automatic name where none was given (conv2d, conv2d_1) */
  const OpDef *op;
  Call call; /* call.signature == &op->signature */
  Layer **inputs;
  int input_count;
  Shape shape; /* of the output, without the batch */
  LayerWeight weights[LAYER_MAX_WEIGHTS];
  int weight_count;
  bool frozen[MAX_PHASES]; /* Keras's trainable = False, per training phase */
  Span span;               /* the call */
  Span name_span;          /* where the name was given, or the call */
  int index; /* in Graph.layers, creation order; -1: not part of the network (nothing leads to the output) */
  int created;   /* number of the call that made it, counted also over layers that are not used */
  bool cut_away; /* by `up to` */
  void *note;    /* scratch of the pass at work */
};

/* weights BASE from "file" [by name | by order] */
typedef struct WeightSource {
  /* In Keras's model.layers order of the named part.  Of a part that is cut (`up to`) all that the uncut part
   * has, as the file does: layers that were cut away have index -1. */
  Layer **layers;
  int layer_count;
  const char *part; /* the user's name for it, "" = the whole network */
  const char *path; /* as resolved against the .net file's folder */
  bool by_name;
  Span span;
} WeightSource;

typedef struct Phase {
  const char *name; /* or NULL */
  int epochs;
  Call *optimizer;
  Span span;
} Phase;

typedef struct TrainSpec {
  bool present; /* a `train` section exists; otherwise all below are defaults and `loss` may be NULL */
  Call *loss;
  Call *optimizer;
  Call **metrics;
  int metric_count;
  int batch; /* default 32 */
  double validation_split;
  bool stratified;
  Call **callbacks;
  int callback_count;
  const double *class_weights; /* by class index, or NULL */
  int class_weight_count;
  int64_t seed;
  bool shuffle;
  const char *cache;     /* auto | off | memory | file */
  int cache_variants;    /* augmented variants kept per image, 0 = none */
  int64_t memory_limit;  /* bytes, 0 = none */
  Span memory_span;      /* where it is set */
  bool memory_unlimited; /* nothing is made again to save memory */
  Phase phases[MAX_PHASES];
  int phase_count; /* at least 1 */
  Span span;
} TrainSpec;

struct Graph {
  const char *name; /* a C identifier */
  Layer **layers;   /* creation order: inputs before users */
  int layer_count;
  Layer *input, *output;
  Layer **loose; /* ends of branches that do not lead to the output and were not cut away: not part of the
                    network */
  int loose_count;
  Layer **keras_order; /* Keras's model.layers: descending depth, ties by first visit depth-first */
  WeightSource *weight_sources;
  int weight_source_count;
  TrainSpec train;
  const char *path;      /* the .net file */
  const char **silenced; /* lint codes that the file silences */
  int silenced_count;
  Span span;
};

/* Sorts `count` layers that end in `output` the way Keras orders model.layers; returns the number written to
 * `sorted` (input included).  Only layers reachable from `output` are listed. */
int graph_keras_order(Arena *arena, Layer *output, Layer ***sorted);
Layer *graph_find(const Graph *graph, const char *layer_name); /* or NULL */
#endif
