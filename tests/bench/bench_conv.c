/* Convolutions: forward and both gradients, by direct sums and by Winograd. */
#include "../../runtime/kernels/channel_sum.h"
#include "../../runtime/kernels/conv2d_direct.h"
#include "../../runtime/kernels/conv2d_direct_w.h"
#include "../../runtime/kernels/conv2d_winograd.h"
#include "bench.h"
#include "onednn.h"

typedef struct Layer {
  const char *set, *name;
  int images, size, in_c, out_c, kernel, stride;
  bool valid; /* no padding; else Keras's same */
  int dilation, groups;
} Layer;

static const Layer layers[] = {
    {"vgg", "conv1_1", 32, 100, 3, 64, 3, 1, false, 1, 1},
    {"vgg", "conv1_2", 32, 100, 64, 64, 3, 1, false, 1, 1},
    {"vgg", "conv2_1", 32, 50, 64, 128, 3, 1, false, 1, 1},
    {"vgg", "conv2_2", 32, 50, 128, 128, 3, 1, false, 1, 1},
    {"vgg", "conv3_1", 32, 25, 128, 256, 3, 1, false, 1, 1},
    {"vgg", "conv3_2", 32, 25, 256, 256, 3, 1, false, 1, 1},
    {"vgg", "conv4_1", 32, 12, 256, 512, 3, 1, false, 1, 1},
    {"vgg", "conv4_2", 32, 12, 512, 512, 3, 1, false, 1, 1},
    {"vgg", "conv5_1", 32, 6, 512, 512, 3, 1, false, 1, 1},
    {"resnet", "conv1", 16, 230, 3, 64, 7, 2, true, 1, 1},
    {"resnet", "conv2_reduce", 16, 56, 256, 64, 1, 1, false, 1, 1},
    {"resnet", "conv2_3x3", 16, 56, 64, 64, 3, 1, false, 1, 1},
    {"resnet", "conv2_expand", 16, 56, 64, 256, 1, 1, false, 1, 1},
    {"resnet", "conv3_down", 16, 56, 256, 512, 1, 2, false, 1, 1},
    {"resnet", "conv3_3x3", 16, 28, 128, 128, 3, 1, false, 1, 1},
    {"resnet", "conv3_expand", 16, 28, 128, 512, 1, 1, false, 1, 1},
    {"resnet", "conv4_reduce", 16, 14, 1024, 256, 1, 1, false, 1, 1},
    {"resnet", "conv4_3x3", 16, 14, 256, 256, 3, 1, false, 1, 1},
    {"resnet", "conv5_reduce", 16, 7, 2048, 512, 1, 1, false, 1, 1},
    {"resnet", "conv5_3x3", 16, 7, 512, 512, 3, 1, false, 1, 1},
    {"resnet", "conv5_expand", 16, 7, 512, 2048, 1, 1, false, 1, 1},
    {"naive", "conv1", 32, 100, 1, 64, 3, 1, true, 1, 1},
    {"mobilenet", "conv1", 16, 224, 3, 32, 3, 2, false, 1, 1},
    {"mobilenet", "pw1", 16, 112, 32, 64, 1, 1, false, 1, 1},
    {"mobilenet", "pw4", 16, 28, 256, 256, 1, 1, false, 1, 1},
    {"mobilenet", "pw7", 16, 14, 512, 512, 1, 1, false, 1, 1},
    {"mobilenet", "pw13", 16, 7, 1024, 1024, 1, 1, false, 1, 1},
    {"other", "3x3 stride 2", 16, 56, 64, 128, 3, 2, false, 1, 1},
    {"other", "3x3 dilation 2", 16, 28, 128, 128, 3, 1, false, 2, 1},
    {"other", "3x3 32 groups", 16, 28, 256, 256, 3, 1, false, 1, 32},
    {"other", "5x5", 16, 28, 64, 64, 5, 1, false, 1, 1},
};

/* m: Winograd's tiles, 0: direct sums. */
typedef struct Kernel {
  const char *name;
  Pass pass;
  int m;
  bool raw;    /* from Keras's weights */
  bool sum;    /* with another gradient that is added, and a mask: 1x1 convolutions where branches meet */
  bool pooled; /* with the 2x2 maximum pooling after it */
  bool late;   /* results that outgrow the caches are streamed, as in a training step */
} Kernel;

static const Kernel kernels[] = {
    {.name = "fwd", .pass = FORWARD},
    {.name = "fwd_late", .pass = FORWARD, .late = true},
    {.name = "fwd_w2", .pass = FORWARD, .m = 2},
    {.name = "fwd_w4", .pass = FORWARD, .m = 4},
    {.name = "fwd_w4_raw", .pass = FORWARD, .m = 4, .raw = true},
    {.name = "fwd_w4_pool", .pass = FORWARD, .m = 4, .pooled = true},
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

typedef struct Conv {
  Conv2d g;
  const Kernel *kernel;
  int n;
  Work work;
  float *x, *w, *y, *packed, *bias, *dw, *workspace, *mask;
  Epilogue epilogue;
} Conv;

static bool kernel_fits(const Kernel *k, const Conv2d *g, int n) {
  return (!k->late || (int64_t)n * g->out_h * g->out_w * g->out_ld >= VEC_FAR_FLOATS) &&
         (!k->m || conv2d_winograd_fits(g)) && (!k->raw || conv2d_fwd_winograd_takes_raw(k->m, g)) &&
         (!k->pooled || (conv2d_fwd_winograd_pools(k->m) && g->out_h % 2 == 0 && g->out_w % 2 == 0)) &&
         (k->pass != INPUT_GRADIENT || g->in_c > 3) && (!k->sum || g->kernel_h * g->kernel_w == 1);
}

static size_t kernel_packed(const Kernel *k, const Conv2d *g) {
  if (k->pass == FORWARD)
    return k->m ? conv2d_fwd_winograd_packed_floats(k->m, g) : conv2d_fwd_direct_packed_floats(g);
  return k->m ? conv2d_bwd_x_winograd_packed_floats(k->m, g) : conv2d_bwd_x_direct_packed_floats(g);
}

static void kernel_pack(const Conv *b) {
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

static void run_kernel(void *context) {
  Conv *b = context;
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

static void bench_kernel(Conv *b, const Layer *l, const Kernel *k, const BenchOptions *options) {
  int threads = options->threads;
  bool packs = k->pass != WEIGHT_GRADIENT && !k->raw;
  b->kernel = k;
  b->work = bench_work(threads, kernel_scratch(k, &b->g));
  b->workspace = bench_floats(kernel_workspace(k, &b->g) + 16);
  b->packed = packs ? bench_floats(kernel_packed(k, &b->g)) : NULL;
  b->mask = k->sum ? bench_floats((size_t)b->n * (size_t)(l->size * l->size) * (size_t)l->in_c) : NULL;
  b->epilogue.max_pool = k->pooled;
  b->epilogue.late = k->late;
  if (packs)
    kernel_pack(b);
  /* Beside the peer's own kernel of this kind, and only once. */
  OneDnnConv *conv = k->raw || k->sum || k->pooled || bench_clock != CLOCK_MONOTONIC
                         ? NULL
                         : onednn_conv(&b->g, b->n, k->pass, k->m, threads);
  BenchTask task = {run_kernel, b}, peer = {onednn_run, conv};
  BenchTime time = bench_run(&task, conv ? &peer : NULL, bench_multiply_adds, threads, options->budget);
  double operations = 2.0 * b->n * b->g.out_h * b->g.out_w * (double)(l->kernel * l->kernel) *
                      (b->g.in_c / b->g.groups) * b->g.out_c;
  bench_print(l->set, l->name, k->name, &time, operations, 0, operations);
  onednn_free(conv);
  free(b->packed);
  free(b->mask);
  free(b->workspace);
  bench_work_end(&b->work);
}

static void bench_layer(const Layer *l, const BenchOptions *options) {
  Conv b = {
      .g = bench_geometry(l->size, l->in_c, l->out_c, l->kernel, l->stride, l->dilation, l->groups, l->valid),
      .n = options->images > 0 ? options->images : l->images};
  size_t w_floats = (size_t)(l->kernel * l->kernel) * (size_t)(l->in_c / b.g.groups) * (size_t)l->out_c;
  b.x = bench_floats((size_t)b.n * (size_t)(l->size * l->size) * (size_t)l->in_c);
  b.y = bench_floats((size_t)b.n * (size_t)(b.g.out_h * b.g.out_w) * (size_t)l->out_c);
  b.w = bench_floats(w_floats);
  b.dw = bench_floats(w_floats);
  b.bias = bench_floats((size_t)l->out_c);
  b.epilogue = (Epilogue){.bias = b.bias, .act = {.kind = ACT_RELU, .a = INFINITY}};
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
    if (bench_wants_kernel(options, kernels[i].name) && kernel_fits(&kernels[i], &b.g, b.n))
      bench_kernel(&b, l, &kernels[i], options);
  free(b.x);
  free(b.y);
  free(b.w);
  free(b.dw);
  free(b.bias);
}

void bench_convolutions(const BenchOptions *options) {
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
    if (bench_wants_set(options, layers[i].set))
      bench_layer(&layers[i], options);
}
