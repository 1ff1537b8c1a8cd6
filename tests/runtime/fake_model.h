/* A network written by hand that implements runtime/model.h, to test the runtime without a compiler:
 * image 8x6xC -> pixels / 255 -> dense `base` of 10 relu units -> dense `head` of 3 softmax units,
 * categorical cross-entropy, SGD with momentum.  Two phases: `head` with the base frozen, then `tune` with
 * everything. FAKE_BINARY makes it one sigmoid unit, FAKE_PLAIN a single phase without a frozen prefix. */
#ifndef NETC_TESTS_FAKE_MODEL_H
#define NETC_TESTS_FAKE_MODEL_H
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../runtime/model.h"

#ifndef FAKE_CHANNELS
#define FAKE_CHANNELS 1
#endif
#ifdef FAKE_BINARY
#define FAKE_CLASSES 1
#else
#define FAKE_CLASSES 3
#endif
#ifndef FAKE_EPOCHS
#define FAKE_EPOCHS 3
#endif
#define FAKE_INPUT       (8 * 6 * FAKE_CHANNELS)
#define FAKE_HIDDEN      10
#define FAKE_BASE_KERNEL 0
#define FAKE_BASE_BIAS   (FAKE_INPUT * FAKE_HIDDEN)
#define FAKE_HEAD_KERNEL (FAKE_BASE_BIAS + FAKE_HIDDEN)
#define FAKE_HEAD_BIAS   (FAKE_HEAD_KERNEL + FAKE_HIDDEN * FAKE_CLASSES)
#define FAKE_PARAMS      (FAKE_HEAD_BIAS + FAKE_CLASSES)

struct Model {
  ModelState state;
  int batch;
  bool own;
  float *hidden, *y_pred, *dy, *dhidden;
  float params[FAKE_PARAMS], slots[FAKE_PARAMS], gradient[FAKE_PARAMS];
};

static float *fake_buffer(Model *m, int index) {
  float *first = (float *)(void *)(m + 1);
  return first + (size_t)index * (size_t)m->batch * FAKE_HIDDEN;
}

static size_t model_bytes(int batch, int threads) {
  (void)threads;
  return sizeof(Model) + 4 * (size_t)batch * FAKE_HIDDEN * sizeof(float);
}

static const char *model_isa(void) {
  return "portable";
}

static bool model_in_place(const Model *m) {
  (void)m;
  return false;
}

static void model_prepare_now(Model *m) {
  (void)m;
}

static Model *model_new(void *memory, int batch, int threads) {
  Model *m = memory ? memory : malloc(model_bytes(batch, threads));
  if (!m)
    return NULL;
  memset(m, 0, model_bytes(batch, threads));
  m->batch = batch;
  m->own = !memory;
  m->state.rate_scale = 1;
  m->hidden = fake_buffer(m, 0);
  m->y_pred = fake_buffer(m, 1);
  m->dy = fake_buffer(m, 2);
  m->dhidden = fake_buffer(m, 3);
  return m;
}

static void model_delete(Model *m) {
  if (m && m->own)
    free(m);
}

static float *model_params(Model *m) {
  return m->params;
}

static float *model_slots(Model *m) {
  return m->slots;
}

static void model_weights_changed(Model *m) {
  (void)m;
}

static int model_batch(const Model *m) {
  return m->batch;
}

static ModelState *model_state(Model *m) {
  return &m->state;
}

static void fake_dense(int n, int in, int out, const float *x, float scale, const float *w, const float *b,
                       float *y) {
  for (int i = 0; i < n; i++)
    for (int k = 0; k < out; k++) {
      float sum = b[k];
      for (int c = 0; c < in; c++)
        sum += x[i * in + c] * scale * w[c * out + k];
      y[i * out + k] = sum;
    }
}

static void fake_features(Model *m, int n, const float *input, float *features) {
  fake_dense(n, FAKE_INPUT, FAKE_HIDDEN, input, 1.0f / 255, m->params + FAKE_BASE_KERNEL,
             m->params + FAKE_BASE_BIAS, features);
  for (int i = 0; i < n * FAKE_HIDDEN; i++)
    features[i] = features[i] > 0 ? features[i] : 0;
}

static void fake_head(Model *m, int n, const float *x, float *y_pred) {
  fake_dense(n, FAKE_HIDDEN, FAKE_CLASSES, x, 1, m->params + FAKE_HEAD_KERNEL, m->params + FAKE_HEAD_BIAS,
             y_pred);
  for (int i = 0; i < n; i++, y_pred += FAKE_CLASSES) {
    float sum = 0, largest = y_pred[0];
    for (int k = 0; k < FAKE_CLASSES; k++)
      largest = y_pred[k] > largest ? y_pred[k] : largest;
    for (int k = 0; k < FAKE_CLASSES; k++)
      sum += FAKE_CLASSES == 1 ? 0 : (y_pred[k] = expf(y_pred[k] - largest));
    for (int k = 0; k < FAKE_CLASSES; k++)
      y_pred[k] = FAKE_CLASSES == 1 ? 1 / (1 + expf(-y_pred[k])) : y_pred[k] / sum;
  }
}

static void model_forward(Model *m, int n, const float *input, float *y_pred) {
  fake_features(m, n, input, m->hidden);
  fake_head(m, n, m->hidden, y_pred);
}

static float model_loss(Model *m, int n, const float *y_pred, const float *target,
                        const float *sample_weight) {
  double total = 0;
  (void)m;
  for (int i = 0; i < n; i++)
    for (int k = 0; k < FAKE_CLASSES; k++) {
      double p = fmin(fmax((double)y_pred[i * FAKE_CLASSES + k], 1e-7), 1 - 1e-7),
             t = (double)target[i * FAKE_CLASSES + k];
      double own = -t * log(p) - (FAKE_CLASSES == 1 ? (1 - t) * log(1 - p) : 0);
      total += own * (sample_weight ? (double)sample_weight[i] : 1);
    }
  return (float)(total / n);
}

static float model_regularization(Model *m) {
  (void)m;
  return 0;
}

static void fake_update(Model *m, double rate, int from) {
  if (m->state.probe) {
    for (int i = from; i < FAKE_PARAMS; i++)
      m->params[i] -= (float)m->state.probe_rate * m->gradient[i];
    return;
  }
  for (int i = from; i < FAKE_PARAMS; i++) {
    m->slots[i] = 0.9f * m->slots[i] - (float)rate * m->gradient[i];
    m->params[i] += m->slots[i];
  }
  m->state.step++;
  m->state.draw++;
}

static double fake_rate(int64_t step) {
  return 0.2 / (1 + 0.001 * (double)step);
}

/* Forward from the hidden units, loss, and the gradient of the head and of the hidden units. */
static float fake_backward(Model *m, int n, const float *hidden, const float *target,
                           const float *sample_weight) {
  fake_head(m, n, hidden, m->y_pred);
  memset(m->gradient, 0, sizeof m->gradient);
  for (int i = 0; i < n; i++)
    for (int k = 0; k < FAKE_CLASSES; k++) {
      float dy = (m->y_pred[i * FAKE_CLASSES + k] - target[i * FAKE_CLASSES + k]) / (float)n;
      dy *= sample_weight ? sample_weight[i] : 1;
      m->dy[i * FAKE_CLASSES + k] = dy;
      m->gradient[FAKE_HEAD_BIAS + k] += dy;
      for (int c = 0; c < FAKE_HIDDEN; c++)
        m->gradient[FAKE_HEAD_KERNEL + c * FAKE_CLASSES + k] += dy * hidden[i * FAKE_HIDDEN + c];
    }
  return model_loss(m, n, m->y_pred, target, sample_weight);
}

static float fake_step_head(Model *m, int n, const float *x, const float *target, const float *sample_weight,
                            const float **y_pred) {
  float loss = fake_backward(m, n, x, target, sample_weight);
  fake_update(m, fake_rate(m->state.step) * m->state.rate_scale, FAKE_HEAD_KERNEL);
  *y_pred = m->y_pred;
  return loss;
}

static float fake_step_all(Model *m, int n, const float *x, const float *target, const float *sample_weight,
                           const float **y_pred) {
  fake_features(m, n, x, m->hidden);
  float loss = fake_backward(m, n, m->hidden, target, sample_weight);
  for (int i = 0; i < n; i++)
    for (int c = 0; c < FAKE_HIDDEN; c++) {
      float d = 0;
      for (int k = 0; k < FAKE_CLASSES; k++)
        d += m->dy[i * FAKE_CLASSES + k] * m->params[FAKE_HEAD_KERNEL + c * FAKE_CLASSES + k];
      d = m->hidden[i * FAKE_HIDDEN + c] > 0 ? d : 0;
      m->gradient[FAKE_BASE_BIAS + c] += d;
      for (int p = 0; p < FAKE_INPUT; p++)
        m->gradient[p * FAKE_HIDDEN + c] += d * x[i * FAKE_INPUT + p] / 255;
    }
  fake_update(m, fake_rate(m->state.step) * m->state.rate_scale, 0);
  *y_pred = m->y_pred;
  return loss;
}

static const ModelLayer fake_layers[] = {{"image", "InputLayer", 0, 0},
                                         {"rescaling", "Rescaling", 0, 0},
                                         {"flatten", "Flatten", 0, 0},
                                         {"base", "Dense", 0, 2},
                                         {"head", "Dense", 2, 2}};

static const ModelWeight fake_weights[] = {{"kernel",
                                            3,
                                            2,
                                            {FAKE_INPUT, FAKE_HIDDEN},
                                            FAKE_INPUT *FAKE_HIDDEN,
                                            FAKE_BASE_KERNEL,
                                            FAKE_BASE_KERNEL,
                                            true,
                                            2,
                                            MODEL_INIT_UNIFORM,
                                            -0.3,
                                            0.3,
                                            false,
                                            0},
                                           {"bias",
                                            3,
                                            1,
                                            {FAKE_HIDDEN},
                                            FAKE_HIDDEN,
                                            FAKE_BASE_BIAS,
                                            FAKE_BASE_BIAS,
                                            true,
                                            2,
                                            MODEL_INIT_CONSTANT,
                                            0,
                                            0,
                                            false,
                                            0},
                                           {"kernel",
                                            4,
                                            2,
                                            {FAKE_HIDDEN, FAKE_CLASSES},
                                            FAKE_HIDDEN *FAKE_CLASSES,
                                            FAKE_HEAD_KERNEL,
                                            FAKE_HEAD_KERNEL,
                                            true,
                                            3,
                                            MODEL_INIT_UNIFORM,
                                            -0.6,
                                            0.6,
                                            false,
                                            0},
                                           {"bias",
                                            4,
                                            1,
                                            {FAKE_CLASSES},
                                            FAKE_CLASSES,
                                            FAKE_HEAD_BIAS,
                                            FAKE_HEAD_BIAS,
                                            true,
                                            3,
                                            MODEL_INIT_CONSTANT,
                                            0,
                                            0,
                                            false,
                                            0}};

static const int fake_prefix_weights[] = {0, 1};

static const ModelPhase fake_phases[] = {
#ifndef FAKE_PLAIN
    {.name = "head",
     .epochs = FAKE_EPOCHS,
     .feature_floats = FAKE_HIDDEN,
     .features = fake_features,
     .step = fake_step_head,
     .head = fake_head,
     .learning_rate = fake_rate,
     .recipe = "sgd(momentum = 0.9)",
     .prefix_weights = fake_prefix_weights,
     .prefix_weight_count = 2,
     .prefix_hash = 77},
#endif
    {.name = "tune",
     .epochs = FAKE_EPOCHS,
     .step = fake_step_all,
     .learning_rate = fake_rate,
     .recipe = "sgd(momentum = 0.9)"}};

static const ModelMetric fake_metrics[] = {
    {"accuracy", FAKE_CLASSES == 1 ? MODEL_METRIC_BINARY_ACCURACY : MODEL_METRIC_CATEGORICAL_ACCURACY, 0.5, 0,
     NULL, 0, 0}};

static const ModelInfo model_info = {
    .name = "fake",
    .source = "fake.net",
    .version = "test",
    .height = 8,
    .width = 6,
    .channels = FAKE_CHANNELS,
    .input_floats = FAKE_INPUT,
    .output_floats = FAKE_CLASSES,
    .target_floats = FAKE_CLASSES,
    .target = FAKE_CLASSES == 1 ? MODEL_TARGET_BINARY : MODEL_TARGET_ONE_HOT,
    .loss = FAKE_CLASSES == 1 ? "binary_crossentropy" : "categorical_crossentropy",
    .layers = fake_layers,
    .layer_count = 5,
    .weights = fake_weights,
    .weight_count = 4,
    .param_floats = FAKE_PARAMS,
    .slot_count = 1,
    .slot_floats = FAKE_PARAMS,
    .phases = fake_phases,
    .phase_count = (int)(sizeof fake_phases / sizeof *fake_phases),
    .metrics = fake_metrics,
    .metric_count = 1,
    .batch = 8,
    .forward_batch = 3,
    .validation_split = 0.2,
    .stratified = true,
    .shuffle = true,
    .seed = 1,
    .cache = "auto",
#ifdef FAKE_STOP
    .early_stopping = {.present = true, .restore_best = true, .monitor = "val_loss", .patience = 3},
    .reduce_on_plateau =
        {.present = true, .monitor = "val_loss", .factor = 0.5, .min_delta = 1e-4, .patience = 2},
#endif
};
#endif
