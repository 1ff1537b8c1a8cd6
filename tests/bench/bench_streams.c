/* Kernels that pass over many values with few operations each: memory decides. */
#include "../../runtime/kernels/batchnorm.h"
#include "../../runtime/kernels/channel_sum.h"
#include "../../runtime/kernels/eltwise.h"
#include "../../runtime/kernels/loss.h"
#include "../../runtime/kernels/merge.h"
#include "../../runtime/kernels/norm.h"
#include "../../runtime/kernels/pool.h"
#include "../../runtime/kernels/softmax.h"
#include "../../runtime/kernels/update.h"
#include "bench.h"

/* Values [n, size, size, c], n * size * size rows of c. */
typedef struct Stream {
  int n, size, c;
  int64_t rows, count;
  float *x, *y, *dx, *dy; /* [count] each */
  float *per_channel[7];  /* [c] each */
  float *per_row[2];      /* [rows] each */
  unsigned char *places;  /* of maxima */
  Act act;
  UpdateConfig update;
  Work work;
} Stream;

static void batchnorm_forward(void *context) {
  Stream *s = context;
  float **p = s->per_channel;
  batchnorm_train_fwd(s->rows, s->c, s->x, p[0], p[1], 1e-3f, 0.99f, p[2], p[3], p[4], p[5], &s->act, NULL,
                      s->y, &s->work);
}
static void batchnorm_backward(void *context) {
  Stream *s = context;
  float **p = s->per_channel;
  batchnorm_train_bwd(s->rows, s->c, s->x, p[0], p[1], p[4], p[5], &s->act, s->dy, s->dx, p[2], p[3],
                      &s->work);
}
static void batchnorm_inference(void *context) {
  Stream *s = context;
  float **p = s->per_channel;
  batchnorm_infer(s->rows, s->c, s->x, p[0], p[1], p[2], p[5], 1e-3f, s->y, &s->work);
}
static void layer_norm_forward(void *context) {
  Stream *s = context;
  layer_norm_fwd(s->rows, s->c, s->x, s->per_channel[0], s->per_channel[1], 1e-3f, s->per_row[0],
                 s->per_row[1], s->y, &s->work);
}
static void layer_norm_backward(void *context) {
  Stream *s = context;
  layer_norm_bwd(s->rows, s->c, s->x, s->per_channel[0], s->per_row[0], s->per_row[1], s->dy, s->dx,
                 s->per_channel[2], s->per_channel[3], &s->work);
}
static void bias_gradient(void *context) {
  Stream *s = context;
  channel_sum_bwd_b(s->rows, s->c, s->c, s->dy, s->per_channel[2], &s->work);
}

static Pool2d pool_of(const Stream *s) {
  return (Pool2d){.in_h = s->size,
                  .in_w = s->size,
                  .channels = s->c,
                  .out_h = s->size / 2,
                  .out_w = s->size / 2,
                  .pool_h = 2,
                  .pool_w = 2,
                  .stride_h = 2,
                  .stride_w = 2,
                  .in_ld = s->c,
                  .out_ld = s->c};
}
static void maxpool_forward(void *context) {
  Stream *s = context;
  Pool2d g = pool_of(s);
  maxpool_fwd_places(&g, s->n, s->x, s->y, s->places, &s->work);
}
static void maxpool_backward(void *context) {
  Stream *s = context;
  Pool2d g = pool_of(s);
  maxpool_bwd_places(&g, s->n, s->places, s->dy, s->dx, &s->work);
}
static void avgpool_forward(void *context) {
  Stream *s = context;
  Pool2d g = pool_of(s);
  avgpool_fwd(&g, s->n, s->x, s->y, &s->work);
}
static void avgpool_backward(void *context) {
  Stream *s = context;
  Pool2d g = pool_of(s);
  avgpool_bwd(&g, s->n, s->dy, s->dx, &s->work);
}
static void global_average(void *context) {
  Stream *s = context;
  global_avgpool_fwd(s->n, s->size * s->size, s->c, s->c, s->x, s->y, &s->work);
}

static void activation_forward(void *context) {
  Stream *s = context;
  act_fwd(&s->act, s->count, s->x, s->y, &s->work);
}
static void activation_backward(void *context) {
  Stream *s = context;
  act_bwd(&s->act, s->count, s->x, s->y, s->dy, s->dx, &s->work);
}
static void residual_sum(void *context) {
  Stream *s = context;
  const float *both[] = {s->x, s->dy};
  merge_add_fwd(s->count, 2, both, s->y, &s->work);
}

static void softmax_forward(void *context) {
  Stream *s = context;
  softmax_fwd(s->rows, s->c, s->x, s->y, &s->work);
}
/* The gradient through the softmax too, in one pass. */
static void cross_entropy(void *context) {
  Stream *s = context;
  const LossConfig config = {.by_logits = true};
  loss_categorical_crossentropy(&config, (int)s->rows, s->c, s->dy, s->y, NULL, s->dx);
}

static void optimizer_step(void *context) {
  Stream *s = context;
  Update u;
  update_begin(&u, &s->update, 1e-6, 7);
  update_apply(&u, s->count, s->x, s->y, s->dx, s->dy, NULL, &s->work);
}

typedef enum Shape { IMAGES, ROWS } Shape;

/* passes: over `count` values, read or written. */
typedef struct Kernel {
  const char *name;
  void (*run)(void *);
  Shape shape;
  double passes;
  ActKind act;
  UpdateConfig update;
} Kernel;

#define ADAM_CONFIG .beta_1 = 0.9f, .beta_2 = 0.999f, .epsilon = 1e-7f

static const Kernel kernels[] = {
    {.name = "bn_fwd", .run = batchnorm_forward, .passes = 3, .act = ACT_RELU6},
    {.name = "bn_bwd", .run = batchnorm_backward, .passes = 5, .act = ACT_RELU6},
    {.name = "bn_infer", .run = batchnorm_inference, .passes = 2},
    {.name = "ln_fwd", .run = layer_norm_forward, .passes = 2},
    {.name = "ln_bwd", .run = layer_norm_backward, .passes = 3},
    {.name = "bwd_b", .run = bias_gradient, .passes = 1},
    {.name = "maxpool_fwd", .run = maxpool_forward, .passes = 1.3125},
    {.name = "maxpool_bwd", .run = maxpool_backward, .passes = 1.3125},
    {.name = "avgpool_fwd", .run = avgpool_forward, .passes = 1.25},
    {.name = "avgpool_bwd", .run = avgpool_backward, .passes = 1.25},
    {.name = "global_avg", .run = global_average, .passes = 1},
    {.name = "add", .run = residual_sum, .passes = 3},
    {.name = "relu", .run = activation_forward, .passes = 2, .act = ACT_RELU6},
    {.name = "relu_bwd", .run = activation_backward, .passes = 3, .act = ACT_RELU6},
    {.name = "sigmoid", .run = activation_forward, .passes = 2, .act = ACT_SIGMOID},
    {.name = "tanh", .run = activation_forward, .passes = 2, .act = ACT_TANH},
    {.name = "swish", .run = activation_forward, .passes = 2, .act = ACT_SWISH},
    {.name = "swish_bwd", .run = activation_backward, .passes = 3, .act = ACT_SWISH},
    {.name = "gelu", .run = activation_forward, .passes = 2, .act = ACT_GELU},
    {.name = "gelu_bwd", .run = activation_backward, .passes = 3, .act = ACT_GELU},
    {.name = "exp", .run = activation_forward, .passes = 2, .act = ACT_EXPONENTIAL},
    {.name = "softmax", .run = softmax_forward, .shape = ROWS, .passes = 2},
    {.name = "softmax+ce", .run = cross_entropy, .shape = ROWS, .passes = 3},
    {.name = "sgd", .run = optimizer_step, .passes = 3, .update = {.kind = UPDATE_SGD}},
    {.name = "momentum",
     .run = optimizer_step,
     .passes = 5,
     .update = {.kind = UPDATE_SGD, .momentum = 0.9f}},
    {.name = "rmsprop",
     .run = optimizer_step,
     .passes = 5,
     .update = {.kind = UPDATE_RMSPROP, .rho = 0.9f, .epsilon = 1e-7f}},
    {.name = "adam", .run = optimizer_step, .passes = 7, .update = {.kind = UPDATE_ADAM, ADAM_CONFIG}},
    {.name = "adamw",
     .run = optimizer_step,
     .passes = 7,
     .update = {.kind = UPDATE_ADAM, .weight_decay = 4e-3f, ADAM_CONFIG}},
};

static void bench_shape(Shape shape, int n, int size, int c, const BenchOptions *options) {
  int64_t rows = (int64_t)n * size * size, count = rows * c;
  size_t scratch = batchnorm_scratch_floats(c), sums = channel_sum_scratch_floats(c),
         norm = group_norm_scratch_floats(c);
  scratch = scratch > sums ? scratch : sums;
  Stream s = {.n = n, .size = size, .c = c, .rows = rows, .count = count};
  char name[32];
  float **values[] = {&s.x, &s.y, &s.dx, &s.dy};
  s.work = bench_work(options->threads, scratch > norm ? scratch : norm);
  s.places = calloc((size_t)n, pool_places_bytes(size / 2, size / 2, c) + 1);
  for (int i = 0; i < 4; i++) { /* none below 0: second moments, probabilities and variances are not */
    *values[i] = bench_floats((size_t)count);
    for (int64_t k = 0; k < count; k++)
      (*values[i])[k] = 0.51f + 0.49f * (*values[i])[k];
  }
  for (int i = 0; i < 7; i++)
    s.per_channel[i] = bench_floats((size_t)c);
  for (int i = 0; i < c; i++)
    s.per_channel[5][i] = 1.0f;
  for (int i = 0; i < 2; i++)
    s.per_row[i] = bench_floats((size_t)rows);
  if (shape == IMAGES)
    snprintf(name, sizeof name, "%dx%dx%dx%d", n, size, size, c);
  else
    snprintf(name, sizeof name, "%dx%d", n, c);
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
    const Kernel *k = &kernels[i];
    if (k->shape != shape || !bench_wants_kernel(options, k->name))
      continue;
    s.act = (Act){.kind = k->act};
    s.update = k->update;
    BenchTask task = {k->run, &s};
    BenchTime time = bench_run(&task, NULL, bench_reads, options->threads, options->budget);
    double bytes = 4.0 * k->passes * (double)count;
    bench_print("streams", name, k->name, &time, 0, bytes, bytes);
  }
  bench_work_end(&s.work);
  free(s.places);
  for (int i = 0; i < 4; i++)
    free(*values[i]);
  for (int i = 0; i < 7; i++)
    free(s.per_channel[i]);
  for (int i = 0; i < 2; i++)
    free(s.per_row[i]);
}

void bench_streams(const BenchOptions *options) {
  int images = options->images;
  if (!bench_wants_set(options, "streams"))
    return;
  bench_shape(IMAGES, images > 0 ? images : 32, 112, 64, options);
  bench_shape(IMAGES, images > 0 ? images : 32, 14, 512, options);
  bench_shape(ROWS, 64, 1, 1000, options);
  bench_shape(ROWS, 65536, 1, 10, options);
}
