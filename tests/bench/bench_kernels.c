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
#include "../../runtime/kernels/conv2d_winograd2.h"
#include "../../runtime/kernels/conv2d_winograd4.h"
#include "../../runtime/kernels/conv2d_winograd6.h"
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

typedef struct Bench {
  Conv2d g;
  int n;
  Work work;
  float *x, *w, *y, *packed, *bias, *dw, *workspace;
  Epilogue epilogue;
  Update update;
  int in, out;
} Bench;

typedef struct Kernel {
  const char *name;
  void (*run)(void *bench);
  bool (*fits)(const Conv2d *g);
  size_t (*packed)(const Conv2d *g);
  void (*pack)(const Conv2d *g, const float *w, float *packed, const Work *work);
  size_t (*scratch)(const Conv2d *g);
} Kernel;

static void run_fwd(void *p) {
  Bench *b = p;
  conv2d_fwd_direct(&b->g, b->n, b->x, b->packed, &b->epilogue, b->y, &b->work);
}
static void run_fwd2(void *p) {
  Bench *b = p;
  conv2d_fwd_winograd2(&b->g, b->n, b->x, b->packed, &b->epilogue, b->y, &b->work);
}
static void run_fwd4(void *p) {
  Bench *b = p;
  conv2d_fwd_winograd4(&b->g, b->n, b->x, b->packed, &b->epilogue, b->y, &b->work);
}
static void run_fwd4_raw(void *p) {
  Bench *b = p;
  conv2d_fwd_winograd4_raw(&b->g, b->n, b->x, b->w, &b->epilogue, b->y, &b->work);
}
static void run_fwd6_raw(void *p) {
  Bench *b = p;
  conv2d_fwd_winograd6_raw(&b->g, b->n, b->x, b->w, &b->epilogue, b->y, &b->work);
}
static void run_fwd6(void *p) {
  Bench *b = p;
  conv2d_fwd_winograd6(&b->g, b->n, b->x, b->packed, &b->epilogue, b->y, &b->work);
}
static void run_bwd_x(void *p) {
  Bench *b = p;
  conv2d_bwd_x_direct(&b->g, b->n, b->y, b->packed, b->x, &b->work);
}
static void run_bwd_x4(void *p) {
  Bench *b = p;
  conv2d_bwd_x_winograd4(&b->g, b->n, b->y, b->packed, b->x, &b->work);
}
static void run_bwd_x6(void *p) {
  Bench *b = p;
  conv2d_bwd_x_winograd6(&b->g, b->n, b->y, b->packed, b->x, &b->work);
}
static void run_bwd_w(void *p) {
  Bench *b = p;
  conv2d_bwd_w_direct(&b->g, b->n, b->x, b->y, b->dw, b->workspace, &b->work);
}

static void run_bwd_w4(void *p) {
  Bench *b = p;
  conv2d_bwd_w_winograd4(&b->g, b->n, b->x, b->y, b->dw, b->workspace, &b->work);
}
static void run_bwd_w6(void *p) {
  Bench *b = p;
  conv2d_bwd_w_winograd6(&b->g, b->n, b->x, b->y, b->dw, b->workspace, &b->work);
}

static const Kernel kernels[] = {
    {"fwd", run_fwd, NULL, conv2d_fwd_direct_packed_floats, conv2d_fwd_direct_pack,
     conv2d_fwd_direct_scratch_floats},
    {"fwd_w2", run_fwd2, conv2d_winograd2_fits, conv2d_fwd_winograd2_packed_floats, conv2d_fwd_winograd2_pack,
     conv2d_fwd_winograd2_scratch_floats},
    {"fwd_w4", run_fwd4, conv2d_winograd4_fits, conv2d_fwd_winograd4_packed_floats, conv2d_fwd_winograd4_pack,
     conv2d_fwd_winograd4_scratch_floats},
    {"fwd_w4_raw", run_fwd4_raw, conv2d_fwd_winograd4_takes_raw, NULL, NULL,
     conv2d_fwd_winograd4_raw_scratch_floats},
    {"fwd_w6", run_fwd6, conv2d_winograd6_fits, conv2d_fwd_winograd6_packed_floats, conv2d_fwd_winograd6_pack,
     conv2d_fwd_winograd6_scratch_floats},
    {"fwd_w6_raw", run_fwd6_raw, conv2d_fwd_winograd6_takes_raw, NULL, NULL,
     conv2d_fwd_winograd6_raw_scratch_floats},
    {"bwd_x", run_bwd_x, NULL, conv2d_bwd_x_direct_packed_floats, conv2d_bwd_x_direct_pack,
     conv2d_bwd_x_direct_scratch_floats},
    {"bwd_x_w4", run_bwd_x4, conv2d_winograd4_fits, conv2d_bwd_x_winograd4_packed_floats,
     conv2d_bwd_x_winograd4_pack, conv2d_bwd_x_winograd4_scratch_floats},
    {"bwd_x_w6", run_bwd_x6, conv2d_winograd6_fits, conv2d_bwd_x_winograd6_packed_floats,
     conv2d_bwd_x_winograd6_pack, conv2d_bwd_x_winograd6_scratch_floats},
    {"bwd_w", run_bwd_w, NULL, NULL, NULL, conv2d_bwd_w_direct_scratch_floats},
    {"bwd_w_w4", run_bwd_w4, conv2d_winograd4_fits, NULL, NULL, conv2d_bwd_w_winograd4_scratch_floats},
    {"bwd_w_w6", run_bwd_w6, conv2d_winograd6_fits, NULL, NULL, conv2d_bwd_w_winograd6_scratch_floats},
};

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
  size_t workspace = conv2d_bwd_w_direct_workspace_floats(&b.g) + 16;
  if (conv2d_winograd6_fits(&b.g)) {
    size_t four = conv2d_bwd_w_winograd4_workspace_floats(&b.g),
           six = conv2d_bwd_w_winograd6_workspace_floats(&b.g);
    workspace = four > workspace ? four : workspace;
    workspace = six > workspace ? six : workspace;
  }
  b.workspace = bench_floats(workspace);
  b.epilogue = (Epilogue){b.bias, NULL, {ACT_RELU, INFINITY, 0.0f, 0.0f}, .max_pool = false};
  double flops = 2.0 * b.n * b.g.out_h * b.g.out_w * (double)w_floats;
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
    const Kernel *k = &kernels[i];
    if ((only && strcmp(only, k->name) != 0) || (k->fits && !k->fits(&b.g)) ||
        (strncmp(k->name, "bwd_x", 5) == 0 && l->in_c <= 3))
      continue;
    b.work.scratch_floats = (k->scratch(&b.g) + 31) / 16 * 16;
    b.work.scratch = bench_floats(b.work.scratch_floats * (size_t)threads);
    b.packed = k->pack ? bench_floats(k->packed(&b.g)) : NULL;
    if (k->pack)
      k->pack(&b.g, b.w, b.packed, &b.work);
    BenchTime time = bench_run(k->run, &b, threads, budget);
    double rate = flops / time.median;
    printf("%-10s%-14s%-11s%9.3f ms%8.1f GFLOP/s%6.0f %%\n", l->set, l->name, k->name, time.median * 1e3,
           rate * 1e-9, 100.0 * rate / time.peak);
    fflush(stdout);
    free(b.packed);
    free(b.work.scratch);
  }
  free(b.x);
  free(b.y);
  free(b.w);
  free(b.dw);
  free(b.bias);
  free(b.workspace);
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
  printf("%d threads, vectors of %d floats, %.1f GFLOP/s of multiply-adds\n"
         "%% are of such multiply-adds, timed in turn with the kernel\n",
         threads, VEC_WIDTH, bench_peak(threads) * 1e-9);
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
