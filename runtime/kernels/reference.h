/* Plain versions of the kernels with sums in double, for tests only: as short as the definitions they stand
 * for. */
#ifndef NETC_KERNELS_REFERENCE_H
#define NETC_KERNELS_REFERENCE_H
#include "conv2d.h"
#include "pool2d.h"
#include <math.h>
#include <stdint.h>

static double reference_act(const Act *act, double x) {
  switch (act->kind) {
  case ACT_LINEAR:
    return x;
  case ACT_RELU:
    x = x >= (double)act->c ? x : (double)act->b * (x - (double)act->c);
    return x < (double)act->a ? x : (double)act->a;
  case ACT_RELU6:
    return x < 0 ? 0 : x > 6 ? 6 : x;
  case ACT_SIGMOID:
    return 1 / (1 + exp(-x));
  case ACT_TANH:
    return tanh(x);
  case ACT_SWISH:
    return x / (1 + exp(-x));
  case ACT_ELU:
    return x > 0 ? x : (double)act->a * expm1(x);
  case ACT_SELU:
    return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x));
  case ACT_GELU:
    return x / 2 * erfc(-x * 0.70710678118654752);
  case ACT_GELU_TANH:
    return x / 2 * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
  case ACT_SOFTPLUS:
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
  case ACT_SOFTSIGN:
    return x / (1 + fabs(x));
  case ACT_HARD_SIGMOID:
    return x < -3 ? 0 : x > 3 ? 1 : x / 6 + 0.5;
  case ACT_HARD_SWISH:
    return x * (x < -3 ? 0 : x > 3 ? 1 : x / 6 + 0.5);
  case ACT_EXPONENTIAL:
    return exp(x);
  case ACT_MISH:
    return x * tanh(log1p(exp(x)));
  }
  return x;
}

/* Input position that output position `at` reads at tap `tap`. */
static int reference_place(int at, int stride, int pad, int tap, int dilation) {
  return at * stride - pad + tap * dilation;
}

/* y as conv2d.h defines it; w (R, S, C / groups, K). */
static void reference_conv2d_fwd(const Conv2d *g, int n, const float *x, const float *w, const Epilogue *e,
                                 float *y) {
  int depth = g->in_c / g->groups, width = g->out_c / g->groups;
  for (int64_t pixel = 0; pixel < (int64_t)n * g->out_h * g->out_w; pixel++)
    for (int k = 0; k < g->out_c; k++) {
      int q = (int)(pixel % g->out_w), p = (int)(pixel / g->out_w % g->out_h);
      const float *image = x + pixel / g->out_w / g->out_h * g->in_h * g->in_w * g->in_ld;
      double sum = e->bias ? (double)e->bias[k] : 0;
      sum += e->residual ? (double)e->residual[pixel * g->out_ld + k] : 0;
      for (int r = 0; r < g->kernel_h; r++)
        for (int s = 0; s < g->kernel_w; s++) {
          int i = reference_place(p, g->stride_h, g->pad_top, r, g->dilation_h);
          int j = reference_place(q, g->stride_w, g->pad_left, s, g->dilation_w);
          for (int c = 0; c < depth && i >= 0 && i < g->in_h && j >= 0 && j < g->in_w; c++)
            sum += (double)image[((int64_t)i * g->in_w + j) * g->in_ld + k / width * depth + c] *
                   (double)w[((int64_t)(r * g->kernel_w + s) * depth + c) * g->out_c + k];
        }
      y[pixel * g->out_ld + k] = (float)reference_act(&e->act, sum);
    }
}

/* dx [n, in_h, in_w, in_c] in double, dense. */
static void reference_conv2d_bwd_x(const Conv2d *g, int n, const float *dy, const float *w, double *dx) {
  int depth = g->in_c / g->groups, width = g->out_c / g->groups;
  int64_t image = (int64_t)g->in_h * g->in_w * g->in_c;
  for (int64_t i = 0; i < n * image; i++)
    dx[i] = 0;
  for (int64_t pixel = 0; pixel < (int64_t)n * g->out_h * g->out_w; pixel++)
    for (int k = 0; k < g->out_c; k++) {
      int q = (int)(pixel % g->out_w), p = (int)(pixel / g->out_w % g->out_h);
      double *to = dx + pixel / g->out_w / g->out_h * image;
      for (int r = 0; r < g->kernel_h; r++)
        for (int s = 0; s < g->kernel_w; s++) {
          int i = reference_place(p, g->stride_h, g->pad_top, r, g->dilation_h);
          int j = reference_place(q, g->stride_w, g->pad_left, s, g->dilation_w);
          for (int c = 0; c < depth && i >= 0 && i < g->in_h && j >= 0 && j < g->in_w; c++)
            to[((int64_t)i * g->in_w + j) * g->in_c + k / width * depth + c] +=
                (double)dy[pixel * g->out_ld + k] *
                (double)w[((int64_t)(r * g->kernel_w + s) * depth + c) * g->out_c + k];
        }
    }
}

/* dw (R, S, C / groups, K) in double. */
static void reference_conv2d_bwd_w(const Conv2d *g, int n, const float *x, const float *dy, double *dw) {
  int depth = g->in_c / g->groups, width = g->out_c / g->groups;
  for (int64_t i = 0; i < (int64_t)g->kernel_h * g->kernel_w * depth * g->out_c; i++)
    dw[i] = 0;
  for (int64_t pixel = 0; pixel < (int64_t)n * g->out_h * g->out_w; pixel++)
    for (int k = 0; k < g->out_c; k++) {
      int q = (int)(pixel % g->out_w), p = (int)(pixel / g->out_w % g->out_h);
      const float *image = x + pixel / g->out_w / g->out_h * g->in_h * g->in_w * g->in_ld;
      for (int r = 0; r < g->kernel_h; r++)
        for (int s = 0; s < g->kernel_w; s++) {
          int i = reference_place(p, g->stride_h, g->pad_top, r, g->dilation_h);
          int j = reference_place(q, g->stride_w, g->pad_left, s, g->dilation_w);
          for (int c = 0; c < depth && i >= 0 && i < g->in_h && j >= 0 && j < g->in_w; c++)
            dw[((int64_t)(r * g->kernel_w + s) * depth + c) * g->out_c + k] +=
                (double)dy[pixel * g->out_ld + k] *
                (double)image[((int64_t)i * g->in_w + j) * g->in_ld + k / width * depth + c];
        }
    }
}

/* Pooling of one window: the maximum or the mean of what lies inside; the place of the first maximum in
 * *first. */
static double reference_pool(const Pool2d *g, const float *image, int p, int q, int c, int largest,
                             int64_t *first, int *inside) {
  double most = -HUGE_VAL, sum = 0;
  *inside = 0;
  *first = -1;
  for (int r = 0; r < g->pool_h; r++)
    for (int s = 0; s < g->pool_w; s++) {
      int i = p * g->stride_h - g->pad_top + r, j = q * g->stride_w - g->pad_left + s;
      if (i < 0 || i >= g->in_h || j < 0 || j >= g->in_w)
        continue;
      int64_t at = ((int64_t)i * g->in_w + j) * g->in_ld + c;
      ++*inside;
      sum += (double)image[at];
      if ((double)image[at] > most) {
        most = (double)image[at];
        *first = at;
      }
    }
  return largest ? most : sum / *inside;
}

/* y [n][out] = x [n][in] w [in][out]; the other two gradients likewise.  All in double. */
static void reference_dense_fwd(int n, int in, int out, const float *x, const float *w, const float *bias,
                                double *y) {
  for (int i = 0; i < n; i++)
    for (int k = 0; k < out; k++) {
      double sum = bias ? (double)bias[k] : 0;
      for (int c = 0; c < in; c++)
        sum += (double)x[(int64_t)i * in + c] * (double)w[(int64_t)c * out + k];
      y[(int64_t)i * out + k] = sum;
    }
}

static void reference_dense_bwd_x(int n, int in, int out, const float *dy, const float *w, double *dx) {
  for (int i = 0; i < n; i++)
    for (int c = 0; c < in; c++) {
      double sum = 0;
      for (int k = 0; k < out; k++)
        sum += (double)dy[(int64_t)i * out + k] * (double)w[(int64_t)c * out + k];
      dx[(int64_t)i * in + c] = sum;
    }
}

static void reference_dense_bwd_w(int n, int in, int out, const float *x, const float *dy, double *dw) {
  for (int c = 0; c < in; c++)
    for (int k = 0; k < out; k++) {
      double sum = 0;
      for (int i = 0; i < n; i++)
        sum += (double)x[(int64_t)i * in + c] * (double)dy[(int64_t)i * out + k];
      dw[(int64_t)c * out + k] = sum;
    }
}
#endif
