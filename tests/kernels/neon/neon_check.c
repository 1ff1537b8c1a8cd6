/* The kernels on another processor, run under an emulator: what needs no test framework there.  Prints the
 * worst error of each family against reference.h and fails where one is more than rounding. */
#include "kernels/conv2d_direct.h"
#include "kernels/conv2d_direct_w.h"
#include "kernels/conv2d_winograd.h"
#include "kernels/depthwise.h"
#include "kernels/reference.h"
#include "kernels/softmax.h"
#include <stdio.h>
#include <stdlib.h>

static int failures;

static void report(const char *what, double error, double limit) {
  printf("%-32s %.3g%s\n", what, error, error <= limit ? "" : "  TOO MUCH");
  failures += !(error <= limit);
}

static float *numbers(int64_t count, uint32_t seed) {
  float *x = malloc((size_t)count * sizeof(float));
  for (int64_t i = 0; x && i < count; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = (float)(seed >> 8) / 8388608.0f - 1;
  }
  if (!x)
    exit(2);
  return x;
}

/* The largest difference over the largest magnitude. */
static double distance(int64_t count, const float *got, const double *want) {
  double worst = 0, most = 1e-30;
  for (int64_t i = 0; i < count; i++) {
    worst = fmax(worst, fabs((double)got[i] - want[i]));
    most = fmax(most, fabs(want[i]));
  }
  return worst / most;
}

static double distance_floats(int64_t count, const float *got, const float *want) {
  double *wide = malloc((size_t)count * sizeof(double));
  for (int64_t i = 0; wide && i < count; i++)
    wide[i] = (double)want[i];
  double result = wide ? distance(count, got, wide) : HUGE_VAL;
  free(wide);
  return result;
}

static void check_activations(void) {
  double worst = 0;
  for (int kind = ACT_LINEAR; kind <= ACT_MISH; kind++)
    for (float x = -8; x < 8; x += 0.013f) {
      Act act = {.kind = (ActKind)kind, .a = kind == ACT_RELU ? INFINITY : 1};
      float in[3] = {x, x, x}, y[3];
      act_run(&act, 3, in, y);
      double want = reference_act(&act, (double)x);
      worst = fmax(worst, fabs((double)y[2] - want) / (1e-3 + fabs(want)));
    }
  report("activations", worst, 1e-6);
}

static void check_convolution(const Conv2d *g, bool depthwise, bool winograd) {
  enum { N = 2 };
  int64_t in = (int64_t)N * g->in_h * g->in_w * g->in_c, out = (int64_t)N * g->out_h * g->out_w * g->out_c;
  int64_t weights = (int64_t)g->kernel_h * g->kernel_w * (g->in_c / g->groups) * g->out_c;
  Work work = {.threads = 1, .scratch_floats = 1 << 22};
  work.scratch = aligned_alloc(64, work.scratch_floats * sizeof(float));
  float *x = numbers(in, 1), *w = numbers(weights, 2), *dy = numbers(out, 3), *packed = numbers(1 << 21, 4);
  float *y = numbers(out, 5), *want_y = numbers(out, 5), *dx = numbers(in, 6), *dw = numbers(weights, 7);
  float *space = numbers(1 << 21, 8);
  double *want_x = malloc((size_t)in * sizeof(double)), *want_w = malloc((size_t)weights * sizeof(double));
  if (!work.scratch || !want_x || !want_w)
    exit(2);
  Epilogue e = {.act.kind = ACT_SWISH};
  reference_conv2d_fwd(g, N, x, w, &e, want_y);
  reference_conv2d_bwd_x(g, N, dy, w, want_x);
  reference_conv2d_bwd_w(g, N, x, dy, want_w);
  if (depthwise) {
    depthwise_conv2d_fwd(g, N, x, w, &e, y, &work);
    depthwise_conv2d_bwd_x(g, N, dy, w, dx, &work);
    depthwise_conv2d_bwd_w(g, N, x, dy, dw, &work);
  } else {
    conv2d_fwd_direct_pack(g, w, packed, &work);
    conv2d_fwd_direct(g, N, x, packed, &e, y, &work);
    conv2d_bwd_x_direct_pack(g, w, packed, &work);
    conv2d_bwd_x_direct(g, N, dy, packed, NULL, dx, &work);
    conv2d_bwd_w_direct(g, N, x, dy, dw, space, &work);
  }
  const char *name = depthwise ? "depthwise" : "direct";
  char what[64];
  snprintf(what, sizeof what, "%s %dx%dx%d forward", name, g->in_h, g->in_w, g->in_c);
  report(what, distance_floats(out, y, want_y), 1e-5);
  snprintf(what, sizeof what, "%s gradient by input", name);
  report(what, distance(in, dx, want_x), 1e-5);
  snprintf(what, sizeof what, "%s gradient by weights", name);
  report(what, distance(weights, dw, want_w), 1e-5);
  for (int m = 2; m <= 6 && winograd && conv2d_winograd_fits(g); m++) {
    if (m == 3)
      continue;
    snprintf(what, sizeof what, "winograd %dx%d", m, m);
    conv2d_fwd_winograd_pack(m, g, w, packed, &work);
    conv2d_fwd_winograd(m, g, N, x, packed, &e, y, &work);
    report(what, distance_floats(out, y, want_y), 1e-4);
    if (m == 2)
      continue;
    conv2d_bwd_x_winograd_pack(m, g, w, packed, &work);
    conv2d_bwd_x_winograd(m, g, N, dy, packed, NULL, NULL, dx, &work);
    report(what, distance(in, dx, want_x), 1e-4);
    conv2d_bwd_w_winograd(m, g, N, x, dy, NULL, dw, space, &work);
    report(what, distance(weights, dw, want_w), 1e-4);
  }
  free(work.scratch), free(x), free(w), free(dy), free(packed), free(y), free(want_y), free(dx), free(dw);
  free(space), free(want_x), free(want_w);
}

int main(void) {
  const Conv2d plain = {.in_h = 9,
                        .in_w = 11,
                        .in_c = 19,
                        .out_h = 9,
                        .out_w = 11,
                        .out_c = 37,
                        .kernel_h = 3,
                        .kernel_w = 3,
                        .stride_h = 1,
                        .stride_w = 1,
                        .pad_top = 1,
                        .pad_left = 1,
                        .dilation_h = 1,
                        .dilation_w = 1,
                        .groups = 1,
                        .in_ld = 19,
                        .out_ld = 37};
  const Conv2d strided = {.in_h = 12,
                          .in_w = 13,
                          .in_c = 3,
                          .out_h = 6,
                          .out_w = 7,
                          .out_c = 20,
                          .kernel_h = 3,
                          .kernel_w = 3,
                          .stride_h = 2,
                          .stride_w = 2,
                          .pad_top = 0,
                          .pad_left = 1,
                          .dilation_h = 1,
                          .dilation_w = 1,
                          .groups = 1,
                          .in_ld = 3,
                          .out_ld = 20};
  const Conv2d deep = {.in_h = 10,
                       .in_w = 9,
                       .in_c = 21,
                       .out_h = 5,
                       .out_w = 5,
                       .out_c = 21,
                       .kernel_h = 3,
                       .kernel_w = 3,
                       .stride_h = 2,
                       .stride_w = 2,
                       .pad_top = 0,
                       .pad_left = 1,
                       .dilation_h = 1,
                       .dilation_w = 1,
                       .groups = 21,
                       .in_ld = 21,
                       .out_ld = 21};
  check_activations();
  check_convolution(&plain, false, true);
  check_convolution(&strided, false, false);
  check_convolution(&deep, true, false);
  printf("vectors of %d: %s\n", VEC_WIDTH, failures ? "failed" : "all within rounding");
  return failures != 0;
}
