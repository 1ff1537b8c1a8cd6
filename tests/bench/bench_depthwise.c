/* Depthwise convolutions with their gradients, and the runs of convolutions around them that stay in cache.
 */
#include "../../runtime/kernels/depthwise.h"
#include "../../runtime/kernels/depthwise_pointwise.h"
#include "bench.h"

/* before: channels that a 1x1 convolution expands (0: there is none); after: those that one makes of the
 * sums.
 */
typedef struct Layer {
  int size, channels, kernel, stride, before, after;
} Layer;

static const Layer layers[] = {{112, 32, 3, 1, 0, 64},  {112, 64, 3, 2, 0, 128},   {56, 128, 3, 1, 0, 128},
                               {28, 256, 3, 1, 0, 256}, {14, 512, 3, 1, 0, 512},   {7, 1024, 3, 1, 0, 1024},
                               {56, 144, 3, 1, 24, 24}, {28, 192, 3, 2, 32, 64},   {14, 576, 3, 1, 96, 96},
                               {56, 144, 5, 2, 24, 40}, {14, 672, 5, 1, 112, 112}, {7, 1152, 5, 1, 192, 192}};

typedef struct Depthwise {
  Conv2d before, depthwise, after;
  int n;
  Work work;
  float *input, *x, *y, *output, *w, *dw, *packed_before, *packed;
  Expansion expansion;
  Epilogue clamp, last;
} Depthwise;

static void run_fwd(void *context) {
  Depthwise *b = context;
  depthwise_conv2d_fwd(&b->depthwise, b->n, b->x, b->w, &b->clamp, b->y, &b->work);
}
static void run_bwd_x(void *context) {
  Depthwise *b = context;
  depthwise_conv2d_bwd_x(&b->depthwise, b->n, b->y, b->w, b->x, &b->work);
}
static void run_bwd_w(void *context) {
  Depthwise *b = context;
  depthwise_conv2d_bwd_w(&b->depthwise, b->n, b->x, b->y, b->dw, &b->work);
}
static void run_pointwise(void *context) {
  Depthwise *b = context;
  depthwise_pointwise_fwd(&b->depthwise, &b->after, b->n, b->x, NULL, b->w, &b->clamp, b->packed, &b->last,
                          b->output, &b->work);
}
static void run_expanded(void *context) {
  Depthwise *b = context;
  depthwise_pointwise_fwd(&b->depthwise, &b->after, b->n, b->input, &b->expansion, b->w, &b->clamp, b->packed,
                          &b->last, b->output, &b->work);
}

static size_t values(int n, const Conv2d *g, bool of_output) {
  return (size_t)n * (size_t)(of_output ? g->out_h * g->out_w * g->out_c : g->in_h * g->in_w * g->in_c);
}

static double products(int n, const Conv2d *g) {
  return (double)values(n, g, true) * g->kernel_h * g->kernel_w * g->in_c / g->groups;
}

static size_t most(size_t a, size_t b) {
  return a > b ? a : b;
}

/* By memory: a depthwise convolution has as few as 9 products a value.  By multiply-adds with 1x1
 * convolutions around it. */
static void bench_one(Depthwise *b, const char *layer, const char *kernel, void (*run)(void *),
                      double operations, double bytes, const BenchOptions *options) {
  if (!bench_wants_kernel(options, kernel))
    return;
  BenchTask task = {run, b};
  BenchTime time = bench_run(&task, NULL, bytes > 0 ? bench_reads : bench_multiply_adds, options->threads,
                             options->budget);
  bench_print("depthwise", layer, kernel, &time, operations, bytes, bytes > 0 ? bytes : operations);
}

static void bench_layer(const Layer *l, const BenchOptions *options) {
  Depthwise b = {.before = bench_geometry(l->size, l->before, l->channels, 1, 1, 1, 1, false),
                 .depthwise = bench_geometry(l->size, l->channels, l->channels, l->kernel, l->stride, 1,
                                             l->channels, false),
                 .n = options->images > 0 ? options->images : 16};
  b.after = bench_geometry(b.depthwise.out_h, l->channels, l->after, 1, 1, 1, 1, false);
  const Conv2d *g = &b.depthwise;
  bool expands = l->before > 0 && depthwise_expansion_fits(&b.before, g);
  size_t scratch = most(depthwise_conv2d_fwd_scratch_floats(g), depthwise_conv2d_bwd_x_scratch_floats(g));
  scratch = most(scratch, depthwise_conv2d_bwd_w_scratch_floats(g));
  scratch = most(scratch, most(conv2d_fwd_direct_scratch_floats(&b.after),
                               depthwise_pointwise_fwd_scratch_floats(g, false)));
  if (expands)
    scratch = most(scratch, depthwise_pointwise_fwd_scratch_floats(g, true));
  b.work = bench_work(options->threads, scratch);
  b.input = bench_floats(values(b.n, &b.before, false) + 16);
  b.x = bench_floats(values(b.n, g, false));
  b.y = bench_floats(values(b.n, g, true));
  b.output = bench_floats(values(b.n, &b.after, true));
  size_t w_floats = (size_t)(l->kernel * l->kernel * l->channels);
  b.w = bench_floats(w_floats);
  b.dw = bench_floats(w_floats);
  b.packed = bench_floats(conv2d_fwd_direct_packed_floats(&b.after));
  b.packed_before = bench_floats(conv2d_fwd_direct_packed_floats(&b.before) + 16);
  float *bias = bench_floats((size_t)most((size_t)l->channels, (size_t)l->after));
  b.clamp = (Epilogue){.bias = bias, .act = {.kind = ACT_RELU6}};
  b.last = (Epilogue){.bias = bias, .act = {.kind = l->before ? ACT_LINEAR : ACT_RELU6}};
  b.expansion = (Expansion){&b.before, b.packed_before, &b.clamp};
  char name[32];
  snprintf(name, sizeof name, "%dx%d %d %dx%d/%d", l->size, l->size, l->channels, l->kernel, l->kernel,
           l->stride);
  double own = 2 * products(b.n, g), bytes = 4.0 * (double)(values(b.n, g, false) + values(b.n, g, true)),
         after = 2 * products(b.n, &b.after);
  bench_one(&b, name, "fwd", run_fwd, own, bytes, options);
  bench_one(&b, name, "bwd_x", run_bwd_x, own, bytes, options);
  bench_one(&b, name, "bwd_w", run_bwd_w, own, bytes, options);
  bench_one(&b, name, "fwd+1x1", run_pointwise, own + after, 0, options);
  if (expands)
    bench_one(&b, name, "1x1+fwd+1x1", run_expanded, 2 * products(b.n, &b.before) + own + after, 0, options);
  bench_work_end(&b.work);
  free(b.input);
  free(b.x);
  free(b.y);
  free(b.output);
  free(b.w);
  free(b.dw);
  free(b.packed);
  free(b.packed_before);
  free(bias);
}

void bench_depthwise(const BenchOptions *options) {
  for (size_t i = 0; bench_wants_set(options, "depthwise") && i < sizeof layers / sizeof *layers; i++)
    bench_layer(&layers[i], options);
}
