/* Rates of the convolution and dense kernels on the layers of well-known networks.
 *
 *   bench_kernels [--cpu] [-t THREADS] [-b SECONDS] [-n IMAGES] [-k KERNEL] [SET...]     sets: vgg resnet
 * naive mobilenet dense
 *
 * --cpu measures the processor time of one thread (with -t 1), for a machine that does other things as well.
 *
 * One line per layer and kernel: milliseconds, GFLOP/s by the direct count of operations, percent of the
 * multiply-add rate measured at the start (so that Winograd may exceed 100), and bytes per second for what
 * memory bounds. */
#include "../../runtime/kernels/channel_sum.h"
#include "../../runtime/kernels/conv2d_direct.h"
#include "../../runtime/kernels/conv2d_direct_w.h"
#include "../../runtime/kernels/conv2d_winograd.h"
#include "../../runtime/kernels/dense.h"
#include "bench.h"

typedef struct Layer {
  const char *set, *name;
  int images, size, in_c, out_c, kernel, stride;
  bool valid; /* no padding; else Keras's same */
} Layer;

static const Layer layers[] = {
    {"vgg", "conv1_1", 32, 100, 3, 64, 3, 1, false},
    {"vgg", "conv1_2", 32, 100, 64, 64, 3, 1, false},
    {"vgg", "conv2_1", 32, 50, 64, 128, 3, 1, false},
    {"vgg", "conv2_2", 32, 50, 128, 128, 3, 1, false},
    {"vgg", "conv3_1", 32, 25, 128, 256, 3, 1, false},
    {"vgg", "conv3_2", 32, 25, 256, 256, 3, 1, false},
    {"vgg", "conv4_1", 32, 12, 256, 512, 3, 1, false},
    {"vgg", "conv4_2", 32, 12, 512, 512, 3, 1, false},
    {"vgg", "conv5_1", 32, 6, 512, 512, 3, 1, false},
    {"resnet", "conv1", 16, 230, 3, 64, 7, 2, true},
    {"resnet", "conv2_reduce", 16, 56, 256, 64, 1, 1, false},
    {"resnet", "conv2_3x3", 16, 56, 64, 64, 3, 1, false},
    {"resnet", "conv2_expand", 16, 56, 64, 256, 1, 1, false},
    {"resnet", "conv3_down", 16, 56, 256, 512, 1, 2, false},
    {"resnet", "conv3_3x3", 16, 28, 128, 128, 3, 1, false},
    {"resnet", "conv3_expand", 16, 28, 128, 512, 1, 1, false},
    {"resnet", "conv4_reduce", 16, 14, 1024, 256, 1, 1, false},
    {"resnet", "conv4_3x3", 16, 14, 256, 256, 3, 1, false},
    {"resnet", "conv5_reduce", 16, 7, 2048, 512, 1, 1, false},
    {"resnet", "conv5_3x3", 16, 7, 512, 512, 3, 1, false},
    {"resnet", "conv5_expand", 16, 7, 512, 2048, 1, 1, false},
    {"naive", "conv1", 32, 100, 1, 64, 3, 1, true},
    {"mobilenet", "conv1", 16, 224, 3, 32, 3, 2, false},
    {"mobilenet", "pw1", 16, 112, 32, 64, 1, 1, false},
    {"mobilenet", "pw4", 16, 28, 256, 256, 1, 1, false},
    {"mobilenet", "pw7", 16, 14, 512, 512, 1, 1, false},
    {"mobilenet", "pw13", 16, 7, 1024, 1024, 1, 1, false},
};

/* One of the convolutions' kernels; m: Winograd's tiles, 0: direct sums. */
typedef enum Pass { FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT } Pass;
typedef struct Kernel {
  const char *name;
  Pass pass;
  int m;
  bool raw; /* from Keras's weights */
  bool sum; /* with another gradient that is added, and a mask: 1x1 convolutions where branches meet */
} Kernel;

static const Kernel kernels[] = {
    {.name = "fwd", .pass = FORWARD},
    {.name = "fwd_w2", .pass = FORWARD, .m = 2},
    {.name = "fwd_w4", .pass = FORWARD, .m = 4},
    {.name = "fwd_w4_raw", .pass = FORWARD, .m = 4, .raw = true},
    {.name = "fwd_w5", .pass = FORWARD, .m = 5},
    {.name = "fwd_w5_raw", .pass = FORWARD, .m = 5, .raw = true},
    {.name = "fwd_w6", .pass = FORWARD, .m = 6},
    {.name = "fwd_w6_raw", .pass = FORWARD, .m = 6, .raw = true},
    {.name = "bwd_x", .pass = INPUT_GRADIENT},
    {.name = "bwd_x_sum", .pass = INPUT_GRADIENT, .sum = true},
    {.name = "bwd_x_w4", .pass = INPUT_GRADIENT, .m = 4},
    {.name = "bwd_x_w5", .pass = INPUT_GRADIENT, .m = 5},
    {.name = "bwd_x_w6", .pass = INPUT_GRADIENT, .m = 6},
    {.name = "bwd_w", .pass = WEIGHT_GRADIENT},
    {.name = "bwd_w_w4", .pass = WEIGHT_GRADIENT, .m = 4},
    {.name = "bwd_w_w5", .pass = WEIGHT_GRADIENT, .m = 5},
    {.name = "bwd_w_w6", .pass = WEIGHT_GRADIENT, .m = 6},
};

typedef struct Bench {
  Conv2d g;
  const Kernel *kernel;
  int n;
  Work work;
  float *x, *w, *y, *packed, *bias, *dw, *workspace, *mask;
  Epilogue epilogue;
  Update update;
  int in, out;
} Bench;

static bool kernel_fits(const Kernel *k, const Conv2d *g) {
  return (!k->m || conv2d_winograd_fits(g)) && (!k->raw || conv2d_fwd_winograd_takes_raw(k->m, g)) &&
         (k->pass != INPUT_GRADIENT || g->in_c > 3) && (!k->sum || g->kernel_h * g->kernel_w == 1);
}

static size_t kernel_packed(const Kernel *k, const Conv2d *g) {
  if (k->pass == FORWARD)
    return k->m ? conv2d_fwd_winograd_packed_floats(k->m, g) : conv2d_fwd_direct_packed_floats(g);
  return k->m ? conv2d_bwd_x_winograd_packed_floats(k->m, g) : conv2d_bwd_x_direct_packed_floats(g);
}

static void kernel_pack(const Bench *b) {
  int m = b->kernel->m;
  if (b->kernel->pass == FORWARD && m)
    conv2d_fwd_winograd_pack(m, &b->g, b->w, b->packed, &b->work);
  else if (b->kernel->pass == FORWARD)
    conv2d_fwd_direct_pack(&b->g, b->w, b->packed, &b->work);
  else if (m)
    conv2d_bwd_x_winograd_pack(m, &b->g, b->w, b->packed, &b->work);
  else
    conv2d_bwd_x_direct_pack(&b->g, b->w, b->packed, &b->work);
}

static size_t kernel_scratch(const Kernel *k, const Conv2d *g) {
  if (k->raw)
    return conv2d_fwd_winograd_scratch_floats(k->m, g, true);
  if (k->pass == FORWARD)
    return k->m ? conv2d_fwd_winograd_scratch_floats(k->m, g, false) : conv2d_fwd_direct_scratch_floats(g);
  if (k->pass == INPUT_GRADIENT)
    return k->m ? conv2d_bwd_x_winograd_scratch_floats(k->m, g, false)
                : conv2d_bwd_x_direct_scratch_floats(g);
  return k->m ? conv2d_bwd_w_winograd_scratch_floats(k->m, g) : conv2d_bwd_w_direct_scratch_floats(g);
}

static size_t kernel_workspace(const Kernel *k, const Conv2d *g) {
  if (k->pass != WEIGHT_GRADIENT)
    return 0;
  return k->m ? conv2d_bwd_w_winograd_workspace_floats(k->m, g) : conv2d_bwd_w_direct_workspace_floats(g);
}

static void run_kernel(void *p) {
  Bench *b = p;
  int m = b->kernel->m;
  const Epilogue sum = {.residual = b->x, .mask = b->mask, .act = b->epilogue.act};
  switch (b->kernel->pass) {
  case FORWARD:
    if (b->kernel->raw)
      conv2d_fwd_winograd_raw(m, &b->g, b->n, b->x, b->w, &b->epilogue, b->y, &b->work);
    else if (m)
      conv2d_fwd_winograd(m, &b->g, b->n, b->x, b->packed, &b->epilogue, b->y, &b->work);
    else
      conv2d_fwd_direct(&b->g, b->n, b->x, b->packed, &b->epilogue, b->y, &b->work);
    break;
  case INPUT_GRADIENT:
    if (m)
      conv2d_bwd_x_winograd(m, &b->g, b->n, b->y, b->packed, NULL, NULL, b->x, &b->work);
    else
      conv2d_bwd_x_direct(&b->g, b->n, b->y, b->packed, b->kernel->sum ? &sum : NULL, b->x, &b->work);
    break;
  case WEIGHT_GRADIENT:
    if (m)
      conv2d_bwd_w_winograd(m, &b->g, b->n, b->x, b->y, NULL, b->dw, b->workspace, &b->work);
    else
      conv2d_bwd_w_direct(&b->g, b->n, b->x, b->y, b->dw, b->workspace, &b->work);
    break;
  }
}

static Conv2d layer_geometry(const Layer *l) {
  int out = l->valid ? (l->size - l->kernel) / l->stride + 1 : (l->size + l->stride - 1) / l->stride;
  int padding = l->valid ? 0 : (out - 1) * l->stride + l->kernel - l->size;
  padding = padding > 0 ? padding / 2 : 0;
  return (Conv2d){l->size,   l->size, l->in_c, out, out, l->out_c, l->kernel, l->kernel, l->stride,
                  l->stride, padding, padding, 1,   1,   1,        l->in_c,   l->out_c};
}

static void bench_layer(const Layer *l, int images, int threads, const char *only, double budget) {
  Bench b = {.g = layer_geometry(l), .n = images > 0 ? images : l->images, .work = {.threads = threads}};
  size_t w_floats = (size_t)(l->kernel * l->kernel) * (size_t)l->in_c * (size_t)l->out_c;
  b.x = bench_floats((size_t)b.n * (size_t)(l->size * l->size) * (size_t)l->in_c);
  b.y = bench_floats((size_t)b.n * (size_t)(b.g.out_h * b.g.out_w) * (size_t)l->out_c);
  b.w = bench_floats(w_floats);
  b.dw = bench_floats(w_floats);
  b.bias = bench_floats((size_t)l->out_c);
  b.epilogue = (Epilogue){b.bias, NULL, {ACT_RELU, INFINITY, 0.0f, 0.0f}, .max_pool = false};
  double flops = 2.0 * b.n * b.g.out_h * b.g.out_w * (double)w_floats;
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
    const Kernel *k = b.kernel = &kernels[i];
    if ((only && strcmp(only, k->name) != 0) || !kernel_fits(k, &b.g))
      continue;
    bool packs = k->pass != WEIGHT_GRADIENT && !k->raw;
    b.work.scratch_floats = (kernel_scratch(k, &b.g) + 31) / 16 * 16;
    b.work.scratch = bench_floats(b.work.scratch_floats * (size_t)threads);
    b.workspace = bench_floats(kernel_workspace(k, &b.g) + 16);
    b.packed = packs ? bench_floats(kernel_packed(k, &b.g)) : NULL;
    b.mask = k->sum ? bench_floats((size_t)b.n * (size_t)(l->size * l->size) * (size_t)l->in_c) : NULL;
    if (packs)
      kernel_pack(&b);
    BenchTime time = bench_run(run_kernel, &b, threads, budget);
    double rate = flops / time.median;
    printf("%-10s%-14s%-11s%9.3f ms%8.1f GFLOP/s%6.0f %%\n", l->set, l->name, k->name, time.median * 1e3,
           rate * 1e-9, 100.0 * rate / time.peak);
    fflush(stdout);
    free(b.packed);
    free(b.mask);
    free(b.workspace);
    free(b.work.scratch);
  }
  free(b.x);
  free(b.y);
  free(b.w);
  free(b.dw);
  free(b.bias);
}

/* ---- dense ---- */

static void run_dense_fwd(void *p) {
  Bench *b = p;
  dense_fwd(b->n, b->in, b->out, b->x, b->w, &b->epilogue, b->y, &b->work);
}
static void run_dense_bwd_x(void *p) {
  Bench *b = p;
  dense_bwd_x(b->n, b->in, b->out, b->y, b->w, b->x, &b->work);
}
static void run_dense_bwd_w(void *p) {
  Bench *b = p;
  dense_bwd_w(b->n, b->in, b->out, b->x, b->y, b->dw, &b->work);
}
static void run_dense_update(void *p) {
  Bench *b = p;
  size_t count = (size_t)b->in * (size_t)b->out;
  dense_bwd_w_update(b->n, b->in, b->out, b->x, b->y, &b->update, b->w, b->dw, b->dw + count, NULL, &b->work);
}
static void run_dense_both(void *p) {
  Bench *b = p;
  size_t count = (size_t)b->in * (size_t)b->out;
  dense_bwd_x_w_update(b->n, b->in, b->out, b->x, b->y, &b->update, b->w, b->dw, b->dw + count, NULL,
                       b->packed, &b->work);
}

static void bench_dense(int in, int out, int n, int threads, double budget) {
  static const struct {
    const char *name;
    void (*run)(void *);
    double products, w_passes, x_passes;
  } steps[] = {{"fwd", run_dense_fwd, 1, 1, 1},
               {"bwd_x", run_dense_bwd_x, 1, 1, 1},
               {"bwd_w", run_dense_bwd_w, 1, 1, 1},
               {"w+adam", run_dense_update, 1, 6, 1},
               {"x+w+adam", run_dense_both, 2, 6, 2}};
  size_t count = (size_t)in * (size_t)out;
  Bench b = {.n = n, .in = in, .out = out, .work = {.threads = threads}};
  UpdateConfig adam = {.kind = UPDATE_ADAM, .beta_1 = 0.9f, .beta_2 = 0.999f, .epsilon = 1e-7f};
  update_begin(&b.update, &adam, 1e-5, 3);
  size_t fwd = dense_fwd_scratch_floats(n, in, out), bwd = dense_bwd_scratch_floats(n, in, out);
  b.work.scratch_floats = ((fwd > bwd ? fwd : bwd) + 15) / 16 * 16;
  b.work.scratch = bench_floats(b.work.scratch_floats * (size_t)threads);
  b.x = bench_floats((size_t)n * (size_t)in);
  b.packed = bench_floats((size_t)n * (size_t)in);
  b.y = bench_floats((size_t)n * (size_t)out);
  b.w = bench_floats(count);
  b.dw = bench_floats(2 * count);
  for (size_t i = 0; i < 2 * count; i++)
    b.dw[i] *= b.dw[i];
  b.bias = bench_floats((size_t)out);
  b.epilogue = (Epilogue){b.bias, NULL, {ACT_RELU, INFINITY, 0.0f, 0.0f}, .max_pool = false};
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    BenchTime time = bench_run(steps[i].run, &b, threads, budget);
    double rate = 2.0 * steps[i].products * n * (double)count / time.median;
    double bytes = 4 * (steps[i].w_passes * (double)count + steps[i].x_passes * n * (double)in);
    printf("dense     %6dx%-6d b%-4d%-10s%8.3f ms%8.1f GFLOP/s%6.0f %%%8.1f GB/s  best%9.3f ms%8.1f GB/s\n",
           in, out, n, steps[i].name, time.median * 1e3, rate * 1e-9, 100.0 * rate / time.peak,
           bytes / time.median * 1e-9, time.least * 1e3, bytes / time.least * 1e-9);
    fflush(stdout);
  }
  free(b.work.scratch);
  free(b.x);
  free(b.packed);
  free(b.y);
  free(b.w);
  free(b.dw);
  free(b.bias);
}

int main(int argc, char **argv) {
  int threads = 2, images = 0, first = argc;
  double budget = 0.25;
  const char *only = NULL;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--cpu") == 0) {
      bench_clock = CLOCK_THREAD_CPUTIME_ID;
      continue;
    }
    if (argv[i][0] != '-' || i + 1 == argc) {
      first = i;
      break;
    }
    const char *value = argv[++i];
    switch (argv[i - 1][1]) {
    case 't':
      threads = atoi(value);
      break;
    case 'b':
      budget = atof(value);
      break;
    case 'n':
      images = atoi(value);
      break;
    default:
      only = value;
    }
  }
  double peaks[BENCH_ROUNDS];
  for (int i = 0; i < BENCH_ROUNDS; i++)
    peaks[i] = bench_peak(threads);
  printf("%d threads, vectors of %d floats, %.1f GFLOP/s of multiply-adds\n"
         "%% are of such multiply-adds, timed in turn with the kernel\n",
         threads, VEC_WIDTH, bench_median(peaks, BENCH_ROUNDS) * 1e-9);
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
    for (int s = first; s <= argc; s++)
      if (s == argc ? first == argc : strcmp(argv[s], layers[i].set) == 0) {
        bench_layer(&layers[i], images, threads, only, budget);
        break;
      }
  for (int s = first; s <= argc; s++)
    if (s == argc ? first == argc : strcmp(argv[s], "dense") == 0) {
      bench_dense(160000, 120, images > 0 ? images : 32, threads, budget);
      bench_dense(4608, 1024, images > 0 ? images : 32, threads, budget);
      bench_dense(25088, 4096, images > 0 ? images : 1, threads, budget);
      break;
    }
  return 0;
}
