/* What the emitted part of a program (layers, plan, tables) and the written part (training loop, data,
 * command line) know of each other.
 *
 * Every file under runtime/ is a header of `static` functions that includes what it uses.  The compiler's
 * stitcher expands the includes, keeps what is reachable, and renames the prefix `model_`/`Model`/`MODEL_` to
 * the network's name, so that two emitted models live in one program.  Tests include the same files directly.
 */
#ifndef NETC_RUNTIME_MODEL_H
#define NETC_RUNTIME_MODEL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/resize_source.h"
#include "kernels/work.h"

typedef struct Model Model; /* one instance; its fields are emitted (struct Model below the tables) */

/* How targets are handed to a step: float [n, target_floats]. */
typedef enum ModelTarget {
  MODEL_TARGET_ONE_HOT, /* [n, classes]: categorical cross-entropy and all losses on vectors */
  MODEL_TARGET_INDEX,   /* [n, 1], a class number: sparse categorical cross-entropy */
  MODEL_TARGET_BINARY,  /* [n, 1], 0 or 1: one sigmoid unit */
} ModelTarget;

typedef enum ModelInit {
  MODEL_INIT_CONSTANT,         /* a */
  MODEL_INIT_UNIFORM,          /* a .. b */
  MODEL_INIT_NORMAL,           /* mean a, standard deviation b */
  MODEL_INIT_TRUNCATED_NORMAL, /* the same, redrawn beyond two deviations */
  MODEL_INIT_ORTHOGONAL,       /* gain a */
  MODEL_INIT_IDENTITY,         /* gain a */
} ModelInit;

typedef struct ModelWeight {
  const char *name; /* "kernel" */
  int layer;        /* index into ModelInfo.layers */
  int rank;
  int dim[4];         /* Keras's layout */
  size_t count;       /* floats */
  size_t offset;      /* floats, from model_params() */
  size_t slot_offset; /* floats, from each of model_slots()'s arrays; meaningless where phases == 0 */
  bool trainable;     /* false: a moving statistic */
  uint32_t phases;    /* bit p: updated by the optimizer in phase p */
  ModelInit init;     /* fans are already worked into a and b */
  double a, b;
  bool seeded; /* draws come from `seed`, whatever the training seed and the weight's place */
  uint64_t seed;
} ModelWeight;

/* Keras's model.layers order, layers without weights included. */
typedef struct ModelLayer {
  const char *name, *keras_class; /* "block1_conv1", "Conv2D" */
  int first_weight, weight_count;
} ModelLayer;

/* What functions are made of, in their order: the work of one layer, forward or backward. */
typedef struct ModelPiece {
  const char *layer;              /* or the function's name, for what belongs to none (the loss) */
  const char *pass;               /* "", "backward" or "once more" (computed again, to save memory) */
  const char *operators;          /* "conv2d, maxpool" */
  double image_flops, call_flops; /* operations, by direct sums, per image and besides per call */
} ModelPiece;

/* weights BASE from "file": loaded before training unless --weights says otherwise. */
typedef struct ModelWeightSource {
  const char *part, *path;
  bool by_name;
  /* Indices into ModelInfo.layers, in the part's own Keras order.  Those of ModelInfo.layer_count and more
   * name layers that the file has and the network lacks: the part was cut. */
  const int *layers;
  int layer_count;
} ModelWeightSource;

typedef struct ModelPhase {
  const char *name; /* or NULL */
  int epochs;
  /* The frozen prefix, a pure function of the image: floats per image of what it hands to `step`, or 0 where
   * there is none worth keeping (then `step` takes the input itself and `features` is NULL). */
  size_t feature_floats;
  void (*features)(Model *model, int n, const float *input, float *features);
  /* One training step on n images: forward, loss, backward, update.  `x` is the input or the features,
   * `sample_weight` [n] or NULL.  Returns the loss as Keras reports it (regularization included); *y_pred
   * points at the outputs [n, output_floats], valid until the next call. */
  float (*step)(Model *model, int n, const float *x, const float *target, const float *sample_weight,
                const float **y_pred);
  /* From the features to the output in inference mode (what predict does after `features`). */
  void (*head)(Model *model, int n, const float *x, float *y_pred);
  /* The learning rate of optimizer step t (from 0); callbacks may scale it by Model's own factor. */
  double (*learning_rate)(int64_t step);
  const char *recipe; /* one line for --help and the report: "adam(learning_rate = 1e-05)" */
  /* What `features` depends on besides the image: indices into ModelInfo.weights (NULL: every weight of the
   * layers that this phase does not train), and a hash of its structure and constants (0:
   * ModelInfo.prefix_hash). */
  const int *prefix_weights;
  int prefix_weight_count;
  uint64_t prefix_hash;
  /* Where random layers stand in the prefix (else 0, NULL): so many variants of each training image are kept.
   * `varied` is `features` with these layers at work, image i by ModelState.draws[i]; its hash covers their
   * settings. */
  int variants;
  void (*varied)(Model *model, int n, const float *input, float *features);
  uint64_t varied_hash;
  /* Before the phase's first step: fresh optimizer state (NULL: zeros).  After its last: averaged weights
   * take their place (NULL: nothing to do). */
  void (*begin)(Model *model);
  void (*finish)(Model *model);
} ModelPhase;

typedef enum ModelMetricKind {
  MODEL_METRIC_CATEGORICAL_ACCURACY,
  MODEL_METRIC_SPARSE_CATEGORICAL_ACCURACY,
  MODEL_METRIC_BINARY_ACCURACY, /* a: threshold */
  MODEL_METRIC_TOP_K,           /* a: k */
  MODEL_METRIC_SPARSE_TOP_K,
  /* a: threshold; b > 0: only the b largest outputs count as positive, whatever the threshold; c > 0: only
   * class c - 1 is looked at.  So for all that count positives. */
  MODEL_METRIC_PRECISION,
  MODEL_METRIC_RECALL,
  MODEL_METRIC_F1, /* b != 0: a is the threshold, else the largest output counts; c: beta, 1 where 0; option:
                      macro, micro, weighted */
  /* a: number of thresholds (200 where below 2); b: 0 interpolation, 1 minoring, 2 majoring; c != 0: from
   * logits; d != 0: each label by itself; option: ROC, PR, PRGAIN */
  MODEL_METRIC_AUC,
  MODEL_METRIC_PRECISION_AT_RECALL, /* a: number of thresholds; b: what the other rate must reach */
  MODEL_METRIC_RECALL_AT_PRECISION,
  MODEL_METRIC_SENSITIVITY_AT_SPECIFICITY,
  MODEL_METRIC_SPECIFICITY_AT_SENSITIVITY,
  MODEL_METRIC_TRUE_POSITIVES,
  MODEL_METRIC_FALSE_POSITIVES,
  MODEL_METRIC_TRUE_NEGATIVES,
  MODEL_METRIC_FALSE_NEGATIVES,
  MODEL_METRIC_MEAN_SQUARED_ERROR,
  MODEL_METRIC_ROOT_MEAN_SQUARED_ERROR,
  MODEL_METRIC_MEAN_ABSOLUTE_ERROR,
  MODEL_METRIC_MEAN_ABSOLUTE_PERCENTAGE_ERROR,
  MODEL_METRIC_MEAN_SQUARED_LOGARITHMIC_ERROR,
  MODEL_METRIC_LOG_COSH,
  MODEL_METRIC_COSINE_SIMILARITY,
  MODEL_METRIC_KL_DIVERGENCE,
  MODEL_METRIC_POISSON,
  MODEL_METRIC_HINGE,
  MODEL_METRIC_SQUARED_HINGE,
  MODEL_METRIC_CATEGORICAL_HINGE,
  MODEL_METRIC_CATEGORICAL_CROSSENTROPY, /* a != 0: from logits; b: label smoothing */
  MODEL_METRIC_SPARSE_CATEGORICAL_CROSSENTROPY,
  MODEL_METRIC_BINARY_CROSSENTROPY,
  MODEL_METRIC_R2, /* a: regressors of the adjusted score; option: uniform_average, variance_weighted_average
                    */
} ModelMetricKind;

typedef struct ModelMetric {
  const char *name; /* the column's name: "accuracy" */
  ModelMetricKind kind;
  double a, b;
  const char *option; /* "macro", "PR", ... or NULL */
  double c, d;
} ModelMetric;

typedef struct ModelEarlyStopping {
  bool present, restore_best, maximize;
  const char *monitor; /* "val_loss" */
  double min_delta;
  int patience, start_from_epoch;
  bool has_baseline;
  double baseline;
} ModelEarlyStopping;

typedef struct ModelReduceOnPlateau {
  bool present, maximize;
  const char *monitor;
  double factor, min_delta, min_lr;
  int patience, cooldown;
} ModelReduceOnPlateau;

/* From 8-bit pixels (image files, uint8 HDF5) to what the network takes; float data go in as they are:
 * y[c] = pixel[reverse ? channels - 1 - c : c] * scale[c] + offset[c], after resizing.  One input channel
 * repeats the first entry. */
typedef struct ModelPreprocess {
  const char *mode; /* none | unit | tf | caffe | torch */
  bool reverse;
  float scale[4], offset[4];
} ModelPreprocess;

/* How images of another size become the network's: before the preprocessing, on 8-bit pixels. */
typedef struct ModelResize {
  const char *method;  /* "pillow_lanczos", ...; NULL: bilinear */
  ResizeFunction *run; /* NULL: resize_bilinear */
  bool crop, pad;      /* cut, or fill up with zeros, to the network's aspect ratio first */
  bool opencv_gray;    /* colour to one channel as OpenCV rounds it; else as Pillow */
} ModelResize;

typedef struct ModelInfo {
  const char *name;            /* of the network */
  const char *source;          /* the .net file's base name */
  const char *version;         /* of netc */
  int height, width, channels; /* of the input image; height == 0: a flat input of `channels` floats */
  ModelPreprocess preprocess;
  ModelResize resize;
  size_t input_floats, output_floats, target_floats;
  ModelTarget target;
  const char *loss; /* "categorical_crossentropy" */
  const ModelLayer *layers;
  int layer_count;
  const ModelWeight *weights;
  int weight_count;
  size_t param_floats; /* of all weights */
  int slot_count;      /* optimizer state arrays per weight, the most of any phase */
  size_t slot_floats;  /* of one such array: the weights that are trained in some phase */
  const ModelWeightSource *sources;
  int source_count;
  const ModelPhase *phases;
  int phase_count;
  const ModelMetric *metrics;
  int metric_count;
  ModelEarlyStopping early_stopping;
  ModelReduceOnPlateau reduce_on_plateau;
  int batch;
  int forward_batch; /* the most images per call of `features` and model_forward; 0: as many as model_batch */
  double validation_split;
  bool stratified, shuffle;
  const double *class_weights; /* or NULL */
  int class_weight_count;
  int64_t seed;
  const char *cache;              /* auto | off | memory | file */
  uint64_t prefix_hash;           /* of the frozen prefix's structure and constants, for the cache's key */
  const char *const *class_names; /* of the embedded weights, or NULL */
  int class_count;
  const void *blob; /* weights inside the program (api/blob.h), or NULL */
  size_t blob_bytes;
  uint64_t prepared_hash;   /* of weights that can be used in place (api/place.h), or 0 */
  size_t constant_floats;   /* packed and folded weights of an instance */
  const ModelPiece *pieces; /* of all functions */
  int piece_count;
} ModelInfo;

/* ---- emitted for each network ---- */

static const ModelInfo model_info;
/* The name of the instruction set that instances compute with; NULL: the processor lacks it. */
static const char *model_isa(void);
/* Bytes an instance needs for steps and predictions of up to `batch` images: weights, optimizer state,
 * activations. */
static size_t model_bytes(int batch, int threads);
/* The same without weights: of an instance that uses prepared weights in place. */
static size_t model_place_bytes(int batch, int threads);
/* An instance on prepared weights, which it only reads; see model_new. */
static Model *model_new_in_place(void *memory, int batch, int threads, const float *params,
                                 const float *constants);
/* Bytes from the instance on that a prediction of one image touches. */
static size_t model_first_bytes(int batch, int threads);
/* Whether it is one. */
static bool model_in_place(const Model *model);
/* Makes the packed and folded weights that prediction needs now, not at the next prediction. */
static void model_prepare_now(Model *model);
/* Heap or caller's memory (64-byte aligned, model_bytes long) when `memory` is not NULL.  NULL: out of
 * memory. */
static Model *model_new(void *memory, int batch, int threads);
static void model_delete(Model *model);
static float *
model_params(Model *model); /* [param_floats], Keras's layout; call model_weights_changed after writing */
static float *model_slots(Model *model); /* [slot_count][slot_floats], optimizer state */
static void
model_weights_changed(Model *model);        /* packed and folded copies are made anew before they are used */
static int model_batch(const Model *model); /* the most images per call */
/* Whole network in inference mode: input [n, H, W, C] -> y_pred [n, output_floats]. n <= model_batch. */
static void model_forward(Model *model, int n, const float *input, float *y_pred);
/* The loss of given outputs, as evaluate() reports it without regularization: mean over n (weighted). */
static float model_loss(Model *model, int n, const float *y_pred, const float *target,
                        const float *sample_weight);
/* Regularization terms that Keras adds to the loss it reports. */
static float model_regularization(Model *model);

/* Training state that a step reads: set by the loop. */
typedef struct ModelState {
  uint64_t seed;        /* of dropout, noise, augmentation */
  int64_t step;         /* optimizer steps done in this phase */
  int64_t draw;         /* steps done in all: the counter of random draws */
  const int64_t *draws; /* of ModelPhase.varied, one per image, in place of `draw` */
  double rate_scale;    /* 1, or what callbacks made of it */
  int phase;
  /* Gradient checks: the step updates by w -= probe_rate * gradient and by nothing else (no momentum, decay,
   * clipping or constraint); optimizer state is left alone. */
  bool probe;
  double probe_rate;
  /* Called with `watcher` after each piece, an index into ModelInfo.pieces, or NULL. */
  void (*done)(void *watcher, int piece);
  void *watcher;
} ModelState;
static ModelState *model_state(Model *model);
#endif
