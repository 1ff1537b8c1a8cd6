/* Dense layers: forward, both gradients, and those that hand the gradient to the optimizer at once. */
#include "../../runtime/kernels/dense.h"
#include "bench.h"

typedef struct Dense {
  int n, in, out;
  Work work;
  float *x, *dx, *w, *y, *dw;
  Epilogue epilogue;
  Update update;
} Dense;

static void run_fwd(void *context) {
  Dense *b = context;
  dense_fwd(b->n, b->in, b->out, b->x, b->w, &b->epilogue, b->y, &b->work);
}
static void run_bwd_x(void *context) {
  Dense *b = context;
  dense_bwd_x(b->n, b->in, b->out, b->y, b->w, b->dx, &b->work);
}
static void run_bwd_w(void *context) {
  Dense *b = context;
  dense_bwd_w(b->n, b->in, b->out, b->x, b->y, b->dw, &b->work);
}
static void run_update(void *context) {
  Dense *b = context;
  size_t count = (size_t)b->in * (size_t)b->out;
  dense_bwd_w_update(b->n, b->in, b->out, b->x, b->y, &b->update, b->w, b->dw, b->dw + count, NULL, &b->work);
}
static void run_both(void *context) {
  Dense *b = context;
  size_t count = (size_t)b->in * (size_t)b->out;
  dense_bwd_x_w_update(b->n, b->in, b->out, b->x, b->y, &b->update, b->w, b->dw, b->dw + count, NULL, b->dx,
                       &b->work);
}

/* products: of the size of the layer's; passes over weights (and what is as large) and over images. */
static const struct {
  const char *name;
  void (*run)(void *);
  double products, w_passes, x_passes;
} kernels[] = {{"fwd", run_fwd, 1, 1, 1},
               {"bwd_x", run_bwd_x, 1, 1, 1},
               {"bwd_w", run_bwd_w, 1, 1, 1},
               {"w+adam", run_update, 1, 6, 1},
               {"x+w+adam", run_both, 2, 6, 2}};

static void bench_layer(int in, int out, int n, const BenchOptions *options) {
  size_t count = (size_t)in * (size_t)out;
  size_t fwd = dense_fwd_scratch_floats(n, in, out), bwd = dense_bwd_scratch_floats(n, in, out);
  Dense b = {.n = n, .in = in, .out = out, .work = bench_work(options->threads, fwd > bwd ? fwd : bwd)};
  UpdateConfig adam = {.kind = UPDATE_ADAM, .beta_1 = 0.9f, .beta_2 = 0.999f, .epsilon = 1e-7f};
  update_begin(&b.update, &adam, 1e-5, 3);
  b.x = bench_floats((size_t)n * (size_t)in);
  b.dx = bench_floats((size_t)n * (size_t)in);
  b.y = bench_floats((size_t)n * (size_t)out);
  b.w = bench_floats(count);
  b.dw = bench_floats(2 * count);
  for (size_t i = 0; i < 2 * count; i++) /* Adam's second moments are no less than 0 */
    b.dw[i] *= b.dw[i];
  float *bias = bench_floats((size_t)out);
  b.epilogue = (Epilogue){.bias = bias, .act = {.kind = ACT_RELU, .a = INFINITY}};
  char name[32];
  snprintf(name, sizeof name, "%dx%d b%d", in, out, n);
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
    if (!bench_wants_kernel(options, kernels[i].name))
      continue;
    BenchTask task = {kernels[i].run, &b};
    double operations = 2.0 * kernels[i].products * n * (double)count;
    double bytes = 4 * (kernels[i].w_passes * (double)count + kernels[i].x_passes * n * (double)in);
    bool products_bound = n >= 64; /* fewer images: memory is what they wait for */
    BenchTime time = bench_run(&task, NULL, products_bound ? bench_multiply_adds : bench_reads,
                               options->threads, options->budget);
    bench_print("dense", name, kernels[i].name, &time, operations, bytes,
                products_bound ? operations : bytes);
  }
  bench_work_end(&b.work);
  free(b.x);
  free(b.dx);
  free(b.y);
  free(b.w);
  free(b.dw);
  free(bias);
}

void bench_dense(const BenchOptions *options) {
  int images = options->images;
  if (!bench_wants_set(options, "dense"))
    return;
  bench_layer(160000, 120, images > 0 ? images : 32, options);
  bench_layer(4608, 1024, images > 0 ? images : 32, options);
  bench_layer(4608, 1024, images > 0 ? images : 256, options);
  bench_layer(25088, 4096, images > 0 ? images : 1, options);
}
