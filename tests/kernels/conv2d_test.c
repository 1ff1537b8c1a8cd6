/* Convolutions, their gradients and depthwise ones against reference.h, over shapes that divide by nothing.
 */
#define VEC_FAR_FLOATS 2000 /* that large results are streamed */
#include "kernels/channel_sum.h"
#include "kernels/conv2d_direct.h"
#include "kernels/conv2d_direct_w.h"
#include "kernels/depthwise.h"
#include "kernels/depthwise_pointwise.h"
#include "kernels/reference.h"
#include "kernel_test.h"
#include <stdio.h>

/* {in_h, in_w, in_c, out_c, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, groups, same} */
static const int conv_shapes[][12] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0},       {1, 1, 3, 4, 3, 3, 1, 1, 1, 1, 1, 1},
    {7, 8, 3, 5, 3, 3, 1, 1, 1, 1, 1, 1},       {7, 8, 3, 5, 3, 3, 1, 1, 1, 1, 1, 0},
    {9, 11, 1, 32, 3, 3, 1, 1, 1, 1, 1, 1},     {30, 31, 1, 32, 3, 3, 1, 1, 1, 1, 1, 1},
    {15, 16, 3, 64, 7, 7, 2, 2, 1, 1, 1, 1},    {12, 13, 16, 17, 3, 3, 1, 1, 1, 1, 1, 1},
    {5, 33, 3, 16, 3, 3, 1, 1, 1, 1, 1, 1},     {20, 61, 3, 48, 3, 3, 2, 2, 1, 1, 1, 1},
    {9, 47, 2, 32, 5, 3, 1, 1, 2, 1, 1, 0},     {6, 30, 1, 16, 35, 3, 1, 1, 1, 1, 1, 1},
    {6, 6, 31, 33, 3, 3, 1, 1, 1, 1, 1, 1},     {5, 29, 17, 48, 3, 3, 1, 1, 1, 1, 1, 1},
    {14, 14, 64, 64, 3, 3, 1, 1, 1, 1, 1, 1},   {9, 9, 20, 24, 3, 3, 2, 2, 1, 1, 1, 1},
    {8, 10, 5, 7, 5, 5, 2, 2, 1, 1, 1, 1},      {8, 9, 4, 6, 2, 2, 3, 3, 1, 1, 1, 1},
    {8, 9, 4, 6, 2, 2, 1, 1, 1, 1, 1, 1},       {7, 7, 6, 10, 1, 1, 1, 1, 1, 1, 1, 0},
    {13, 17, 40, 72, 1, 1, 1, 1, 1, 1, 1, 0},   {14, 15, 24, 16, 1, 1, 2, 2, 1, 1, 1, 1},
    {8, 8, 8, 12, 1, 7, 1, 1, 1, 1, 1, 1},      {8, 8, 8, 12, 7, 1, 1, 1, 1, 1, 1, 1},
    {9, 8, 3, 4, 3, 2, 2, 1, 1, 1, 1, 1},       {11, 12, 5, 6, 3, 3, 1, 1, 2, 2, 1, 1},
    {11, 12, 5, 6, 3, 3, 1, 1, 2, 2, 1, 0},     {11, 12, 5, 6, 3, 3, 2, 1, 2, 3, 1, 1},
    {8, 9, 4, 6, 3, 3, 1, 1, 1, 1, 2, 1},       {8, 9, 4, 8, 3, 3, 2, 2, 1, 1, 4, 0},
    {6, 7, 34, 38, 3, 3, 1, 1, 1, 1, 2, 1},     {3, 3, 2, 3, 5, 5, 1, 1, 1, 1, 1, 1},
    {3, 5, 1024, 40, 1, 1, 1, 1, 1, 1, 1, 0},   {2, 3, 2048, 18, 1, 1, 1, 1, 1, 1, 1, 1},
    {3, 4, 1024, 64, 1, 1, 1, 1, 1, 1, 2, 0},   {4, 4, 3, 2, 1, 1, 3, 3, 1, 1, 1, 0},
    {2, 100, 6, 20, 3, 3, 1, 1, 1, 1, 1, 1},    {96, 3, 20, 18, 7, 7, 1, 1, 1, 1, 1, 1},
    {30, 2, 1024, 5, 3, 2, 1, 1, 1, 1, 1, 1},   {34, 6, 512, 36, 1, 1, 2, 2, 1, 1, 1, 1},
    {15, 17, 1024, 72, 1, 1, 1, 1, 1, 1, 1, 0}, {13, 11, 3072, 20, 1, 1, 1, 1, 1, 1, 4, 0},
    {31, 29, 5, 40, 1, 1, 1, 1, 1, 1, 1, 0},    {23, 21, 18, 88, 1, 1, 1, 1, 1, 1, 1, 0},
    {14, 19, 5, 36, 8, 7, 1, 1, 1, 1, 1, 1},    {10, 13, 12, 64, 3, 3, 1, 2, 2, 1, 4, 1},
    {17, 12, 3, 16, 5, 4, 2, 3, 1, 1, 1, 0},    {13, 14, 9, 21, 3, 5, 1, 1, 1, 1, 1, 1},
};
enum { CONV_SHAPES = sizeof conv_shapes / sizeof conv_shapes[0] };

static int conv_output(int in, int kernel, int stride, int dilation, int same, int *pad) {
  int reach = (kernel - 1) * dilation + 1;
  if (!same) {
    *pad = 0;
    return (in - reach) / stride + 1;
  }
  int out = (in + stride - 1) / stride, total = (out - 1) * stride + reach - in;
  *pad = total > 0 ? total / 2 : 0;
  return out;
}

/* `gap` floats between the pixels of x and y. */
static Conv2d conv_geometry(const int *s, int gap) {
  Conv2d g = {.in_h = s[0],
              .in_w = s[1],
              .in_c = s[2],
              .out_c = s[3],
              .kernel_h = s[4],
              .kernel_w = s[5],
              .stride_h = s[6],
              .stride_w = s[7],
              .dilation_h = s[8],
              .dilation_w = s[9],
              .groups = s[10]};
  g.out_h = conv_output(g.in_h, g.kernel_h, g.stride_h, g.dilation_h, s[11], &g.pad_top);
  g.out_w = conv_output(g.in_w, g.kernel_w, g.stride_w, g.dilation_w, s[11], &g.pad_left);
  g.in_ld = g.in_c + gap;
  g.out_ld = g.out_c + 2 * gap;
  return g;
}

typedef struct ConvCase {
  Conv2d g;
  int n;
  int64_t in_pixels, out_pixels, x_span, y_span, w_count;
  float *x, *w, *bias, *residual, *dy;
  char name[120];
} ConvCase;

static ConvCase conv_case(const int *shape, int n, int gap) {
  ConvCase t = {.g = conv_geometry(shape, gap), .n = n};
  const Conv2d *g = &t.g;
  t.in_pixels = (int64_t)n * g->in_h * g->in_w;
  t.out_pixels = (int64_t)n * g->out_h * g->out_w;
  t.x_span = test_span(t.in_pixels, g->in_c, g->in_ld);
  t.y_span = test_span(t.out_pixels, g->out_c, g->out_ld);
  t.w_count = (int64_t)g->kernel_h * g->kernel_w * (g->in_c / g->groups) * g->out_c;
  t.x = test_tensor(t.x_span);
  t.w = test_tensor(t.w_count);
  t.bias = test_tensor(g->out_c);
  t.residual = test_tensor(t.y_span);
  t.dy = test_tensor(t.y_span);
  snprintf(t.name, sizeof t.name, "n%d %dx%dx%d -> %dx%dx%d, %dx%d/%dx%d dilation %dx%d groups %d gap %d", n,
           g->in_h, g->in_w, g->in_c, g->out_h, g->out_w, g->out_c, g->kernel_h, g->kernel_w, g->stride_h,
           g->stride_w, g->dilation_h, g->dilation_w, g->groups, gap);
  return t;
}

/* Rounding of a chain of `terms` products grows with its root. */
static double conv_tolerance(int64_t terms) {
  return 2e-6 + 3e-7 * sqrt((double)terms);
}
static int64_t conv_window(const Conv2d *g) {
  return (int64_t)g->kernel_h * g->kernel_w * g->in_c / g->groups;
}

static void conv_case_free(ConvCase *t) {
  TEST_FREE(t->x, t->w, t->bias, t->residual, t->dy);
}

static void check_output(const ConvCase *t, const Epilogue *e, const float *y) {
  float *want = test_blank(t->y_span);
  reference_conv2d_fwd(&t->g, t->n, t->x, t->w, e, want);
  double *dense = test_doubles(t->out_pixels * t->g.out_c);
  for (int64_t i = 0; i < t->out_pixels * t->g.out_c; i++)
    dense[i] = (double)want[i / t->g.out_c * t->g.out_ld + i % t->g.out_c];
  test_rows_close(t->name, t->out_pixels, t->g.out_c, y, t->g.out_ld, dense,
                  conv_tolerance(conv_window(&t->g)));
  test_gaps_untouched(t->name, t->out_pixels, t->g.out_c, y, t->g.out_ld);
  TEST_FREE(want, dense);
}

/* A map of the channels of x, and what it makes of x. */
typedef struct MappedCase {
  float *scale, *offset, *x;
  ChannelMap map;
} MappedCase;

static MappedCase mapped_case(const ConvCase *t, ActKind act) {
  const Conv2d *g = &t->g;
  MappedCase m = {.scale = test_tensor(g->in_c), .offset = test_tensor(g->in_c), .x = test_blank(t->x_span)};
  m.map = (ChannelMap){m.scale, m.offset, {.kind = act}};
  channel_map_pixels(&m.map, t->in_pixels, g->in_c, t->x, g->in_ld, m.x, g->in_ld);
  float low, high;
  act_is_clamp(&m.map.act, &low, &high);
  double *want = test_doubles(t->in_pixels * g->in_c);
  for (int64_t i = 0; i < t->in_pixels * g->in_c; i++) {
    int c = (int)(i % g->in_c);
    double value = (double)t->x[i / g->in_c * g->in_ld + c] * (double)m.scale[c] + (double)m.offset[c];
    want[i] = fmin((double)high, fmax((double)low, value));
  }
  test_rows_close(t->name, t->in_pixels, g->in_c, m.x, g->in_ld, want, 1e-6);
  test_gaps_untouched(t->name, t->in_pixels, g->in_c, m.x, g->in_ld);
  free(want);
  return m;
}

/* What reads x through a map computes the bits that it computes of values that were mapped before. */
static void check_mapped(const ConvCase *t, int threads) {
  const Conv2d *g = &t->g;
  MappedCase m = mapped_case(t, g->in_c % 2 ? ACT_RELU6 : ACT_LINEAR);
  size_t by_w = conv2d_bwd_w_direct_scratch_floats(g), fwd = conv2d_fwd_direct_scratch_floats(g);
  Work work = test_work(threads, by_w > fwd ? by_w : fwd);
  float *workspace = test_blank((int64_t)conv2d_bwd_w_direct_workspace_floats(g));
  float *want = test_blank(t->w_count), *dw = test_blank(t->w_count);
  conv2d_bwd_w_direct(g, t->n, m.x, t->dy, want, workspace, &work);
  conv2d_bwd_w_direct_mapped(g, t->n, t->x, &m.map, t->dy, dw, workspace, &work);
  test_same_bits(t->name, t->w_count, dw, want);
  if (conv2d_fwd_direct_maps(g)) {
    float *packed = test_blank((int64_t)conv2d_fwd_direct_packed_floats(g));
    float *want_y = test_blank(t->y_span), *y = test_blank(t->y_span);
    conv2d_fwd_direct_pack(g, t->w, packed, &work);
    conv2d_fwd_direct(g, t->n, m.x, packed, NULL, want_y, &work);
    conv2d_fwd_direct_mapped(g, t->n, t->x, &m.map, packed, NULL, y, &work);
    test_same_bits(t->name, t->y_span, y, want_y);
    TEST_FREE(packed, want_y, y);
  }
  TEST_FREE(workspace, want, dw, work.scratch, m.scale, m.offset, m.x);
}

static void check_fwd(const ConvCase *t, const Epilogue *e) {
  float *first = NULL;
  for (int threads = 1; threads <= 3; threads++) {
    Work work = test_work(threads, conv2d_fwd_direct_scratch_floats(&t->g));
    float *packed = test_blank((int64_t)conv2d_fwd_direct_packed_floats(&t->g)), *y = test_blank(t->y_span);
    conv2d_fwd_direct_pack(&t->g, t->w, packed, &work);
    conv2d_fwd_direct(&t->g, t->n, t->x, packed, e, y, &work);
    if (first)
      test_same_bits(t->name, t->y_span, y, first);
    else
      check_output(t, e, y);
    TEST_FREE(packed, work.scratch, first);
    first = y;
  }
  free(first);
}

Test(conv2d, forward) {
  const Act acts[] = {
      {.kind = ACT_LINEAR}, {.kind = ACT_RELU, .a = INFINITY}, {.kind = ACT_RELU6}, {.kind = ACT_SWISH}};
  for (int i = 0; i < CONV_SHAPES; i++)
    for (int n = 1; n <= 3; n += 2) {
      ConvCase t = conv_case(conv_shapes[i], n, n == 3 ? i % 3 : 0);
      Epilogue e = {i % 4 ? t.bias : NULL, i % 3 == 1 ? t.residual : NULL, acts[i % 4], .max_pool = false};
      check_fwd(&t, &e);
      conv_case_free(&t);
    }
}

Test(conv2d, gradient_by_input) {
  for (int i = 0; i < CONV_SHAPES; i++)
    for (int n = 1; n <= 3; n += 2) {
      ConvCase t = conv_case(conv_shapes[i], n, n == 3 ? i % 3 : 0);
      double *want = test_doubles(t.in_pixels * t.g.in_c);
      reference_conv2d_bwd_x(&t.g, n, t.dy, t.w, want);
      float *first = NULL;
      for (int threads = 1; threads <= 3; threads++) {
        Work work = test_work(threads, conv2d_bwd_x_direct_scratch_floats(&t.g));
        float *packed = test_blank((int64_t)conv2d_bwd_x_direct_packed_floats(&t.g)),
              *dx = test_blank(t.x_span);
        conv2d_bwd_x_direct_pack(&t.g, t.w, packed, &work);
        conv2d_bwd_x_direct(&t.g, n, t.dy, packed, NULL, dx, &work);
        test_rows_close(t.name, t.in_pixels, t.g.in_c, dx, t.g.in_ld, want,
                        conv_tolerance(conv_window(&t.g)));
        test_gaps_untouched(t.name, t.in_pixels, t.g.in_c, dx, t.g.in_ld);
        if (first)
          test_same_bits(t.name, t.x_span, dx, first);
        TEST_FREE(packed, work.scratch, first);
        first = dx;
      }
      TEST_FREE(first, want);
      conv_case_free(&t);
    }
}

/* The gradient of the input with what may follow it: a sum with another gradient and the mask of the clamp
 * that made x, in place of the former; or bias and activation, as a transposed convolution has them. */
Test(conv2d, gradient_by_input_epilogue) {
  const Act clamps[] = {
      {.kind = ACT_RELU, .a = INFINITY}, {.kind = ACT_RELU6}, {.kind = ACT_RELU, .a = 0.5f}};
  for (int i = 0; i < 4 * CONV_SHAPES; i++) {
    int n = 1 + i % 2, form = i % 4;
    ConvCase t = conv_case(conv_shapes[i / 4], n, i % 3);
    int c = t.g.in_c, ld = t.g.in_ld;
    int64_t terms = (int64_t)t.g.kernel_h * t.g.kernel_w * t.g.out_c / t.g.groups; /* of a sum */
    float *bias = test_tensor(c), *other = test_tensor(t.x_span);
    Epilogue e = {.act = clamps[i % 3]};
    double *want = test_doubles(t.in_pixels * c);
    reference_conv2d_bwd_x(&t.g, n, t.dy, t.w, want);
    double sums = 0, left = 1e-30; /* the largest before and after the clamp: rounding is that of the sums */
    for (int64_t k = 0; k < t.in_pixels * c; k++) {
      int64_t at = k / c * ld + k % c;
      float low, high;
      act_is_clamp(&e.act, &low, &high);
      want[k] += form == 3 ? (double)bias[k % c] : form ? (double)other[at] : 0;
      sums = fmax(sums, fabs(want[k]));
      if (form == 3)
        want[k] = fmin((double)high, fmax((double)low, want[k]));
      else if (form != 1 && !(t.x[at] > low && t.x[at] < high))
        want[k] = 0;
      left = fmax(left, fabs(want[k]));
    }
    double tolerance = conv_tolerance(terms) * (form == 3 ? fmax(sums / left, 1) : 1);
    float *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
      Work work = test_work(threads, conv2d_bwd_x_direct_scratch_floats(&t.g));
      float *packed = test_blank((int64_t)conv2d_bwd_x_direct_packed_floats(&t.g)), *dx;
      conv2d_bwd_x_direct_pack(&t.g, t.w, packed, &work);
      bool sum = form == 1 || form == 2;
      dx = sum ? test_copy(other, t.x_span) : test_blank(t.x_span);
      e.residual = sum ? dx : NULL;
      e.mask = form == 0 || form == 2 ? t.x : NULL;
      e.bias = form == 3 ? bias : NULL;
      e.act = form == 1 ? (Act){.kind = ACT_LINEAR} : clamps[i % 3];
      conv2d_bwd_x_direct(&t.g, n, t.dy, packed, &e, dx, &work);
      test_rows_close(t.name, t.in_pixels, c, dx, ld, want, tolerance);
      if (!sum)
        test_gaps_untouched(t.name, t.in_pixels, c, dx, ld);
      if (first)
        test_same_bits(t.name, t.x_span, dx, first);
      TEST_FREE(packed, work.scratch, first);
      first = dx;
    }
    TEST_FREE(first, want, bias, other);
    conv_case_free(&t);
  }
}

Test(conv2d, gradient_by_weights) {
  for (int i = 0; i < CONV_SHAPES; i++)
    for (int n = 1; n <= 3; n += 2) {
      ConvCase t = conv_case(conv_shapes[i], n, n == 3 ? i % 3 : 0);
      double *want = test_doubles(t.w_count);
      reference_conv2d_bwd_w(&t.g, n, t.x, t.dy, want);
      float *first = NULL;
      for (int threads = 1; threads <= 3; threads++) {
        Work work = test_work(threads, conv2d_bwd_w_direct_scratch_floats(&t.g));
        float *workspace = test_blank((int64_t)conv2d_bwd_w_direct_workspace_floats(&t.g));
        float *dw = test_blank(t.w_count);
        conv2d_bwd_w_direct(&t.g, n, t.x, t.dy, dw, workspace, &work);
        test_close(t.name, t.w_count, dw, want, conv_tolerance(t.out_pixels));
        if (first)
          test_same_bits(t.name, t.w_count, dw, first);
        TEST_FREE(workspace, work.scratch, first);
        first = dw;
      }
      TEST_FREE(first, want);
      conv_case_free(&t);
    }
}

Test(conv2d, mapped) {
  int forward = 0;
  for (int i = 0; i < CONV_SHAPES; i++)
    for (int n = 1; n <= 3; n += 2) {
      ConvCase t = conv_case(conv_shapes[i], n, n == 3 ? i % 3 : 0);
      for (int threads = 1; threads <= 3 && t.g.groups == 1; threads++)
        check_mapped(&t, threads);
      forward += conv2d_fwd_direct_maps(&t.g);
      conv_case_free(&t);
    }
  cr_assert_geq(forward, 8);
}

/* {in_h, in_w, in_c, multiplier, kernel, stride, dilation, same} */
static const int depthwise_shapes[][8] = {
    {1, 1, 1, 1, 3, 1, 1, 1},    {7, 8, 4, 1, 3, 1, 1, 1},    {7, 8, 4, 1, 3, 2, 1, 0},
    {8, 9, 17, 1, 3, 2, 1, 1},   {9, 8, 5, 2, 3, 1, 1, 1},    {10, 9, 3, 1, 5, 2, 1, 1},
    {12, 11, 33, 1, 3, 1, 2, 1}, {6, 6, 64, 1, 3, 1, 1, 1},   {13, 14, 32, 1, 3, 1, 1, 1},
    {6, 7, 2, 3, 3, 2, 1, 1},    {15, 15, 40, 1, 5, 1, 1, 1}, {3, 2, 16, 1, 5, 1, 1, 1},
    {30, 3, 48, 1, 3, 2, 1, 1},  {4, 28, 16, 1, 3, 2, 1, 0},  {40, 60, 70, 1, 3, 1, 1, 1},
    {61, 50, 72, 1, 3, 2, 1, 1}, {37, 64, 96, 1, 5, 1, 2, 1}, {9, 10, 34, 1, 3, 1, 1, 0},
    {3, 9, 16, 1, 3, 1, 1, 1},
};

Test(conv2d, depthwise) {
  for (size_t i = 0; i < sizeof depthwise_shapes / sizeof depthwise_shapes[0]; i++)
    for (int n = 1; n <= 3; n += 2) {
      const int *s = depthwise_shapes[i];
      int as_groups[12] = {s[0], s[1], s[2], s[2] * s[3], s[4], s[4], s[5], s[5], s[6], s[6], s[2], s[7]};
      ConvCase t = conv_case(as_groups, n, n == 3 ? (int)i % 3 : 0);
      Epilogue e = {i % 2 ? t.bias : NULL,
                    i % 3 == 1 ? t.residual : NULL,
                    {.kind = i % 2 ? ACT_RELU6 : ACT_LINEAR},
                    .max_pool = false};
      double *want_x = test_doubles(t.in_pixels * t.g.in_c), *want_w = test_doubles(t.w_count);
      reference_conv2d_bwd_x(&t.g, n, t.dy, t.w, want_x);
      reference_conv2d_bwd_w(&t.g, n, t.x, t.dy, want_w);
      float *y1 = NULL, *dx1 = NULL, *dw1 = NULL;
      for (int threads = 1; threads <= 3; threads++) {
        size_t scratch = depthwise_conv2d_fwd_scratch_floats(&t.g);
        size_t by_x = depthwise_conv2d_bwd_x_scratch_floats(&t.g),
               by_w = depthwise_conv2d_bwd_w_scratch_floats(&t.g);
        scratch = by_x > scratch ? by_x : scratch;
        Work work = test_work(threads, by_w > scratch ? by_w : scratch);
        float *y = test_blank(t.y_span), *dx = test_blank(t.x_span), *dw = test_blank(t.w_count);
        depthwise_conv2d_fwd(&t.g, n, t.x, t.w, &e, y, &work);
        check_output(&t, &e, y);
        depthwise_conv2d_bwd_x(&t.g, n, t.dy, t.w, dx, &work);
        test_rows_close(t.name, t.in_pixels, t.g.in_c, dx, t.g.in_ld, want_x,
                        conv_tolerance(conv_window(&t.g)));
        test_gaps_untouched(t.name, t.in_pixels, t.g.in_c, dx, t.g.in_ld);
        depthwise_conv2d_bwd_w(&t.g, n, t.x, t.dy, dw, &work);
        test_close(t.name, t.w_count, dw, want_w, conv_tolerance(t.out_pixels));
        if (y1) {
          test_same_bits(t.name, t.y_span, y, y1);
          test_same_bits(t.name, t.x_span, dx, dx1);
          test_same_bits(t.name, t.w_count, dw, dw1);
        }
        TEST_FREE(y1, dx1, dw1, work.scratch);
        y1 = y, dx1 = dx, dw1 = dw;
      }
      TEST_FREE(y1, dx1, dw1, want_x, want_w);
      conv_case_free(&t);
    }
}

Test(conv2d, depthwise_mapped) {
  for (size_t i = 0; i < sizeof depthwise_shapes / sizeof depthwise_shapes[0]; i++)
    for (int n = 1; n <= 4; n++) {
      const int *s = depthwise_shapes[i];
      int as_groups[12] = {s[0], s[1], s[2], s[2] * s[3], s[4], s[4], s[5], s[5], s[6], s[6], s[2], s[7]};
      ConvCase t = conv_case(as_groups, n, n == 3 ? (int)i % 3 : 0);
      if (!depthwise_conv2d_maps(&t.g)) {
        conv_case_free(&t);
        continue;
      }
      MappedCase m = mapped_case(&t, n % 2 ? ACT_RELU6 : ACT_LINEAR);
      Epilogue e = {.bias = i % 2 ? t.bias : NULL, .residual = i % 3 == 1 ? t.residual : NULL};
      float *want = test_blank(t.y_span), *want_dw = test_blank(t.w_count);
      Work plain = test_work(1, depthwise_conv2d_bwd_w_scratch_floats(&t.g));
      depthwise_conv2d_fwd(&t.g, n, m.x, t.w, &e, want, &plain);
      depthwise_conv2d_bwd_w(&t.g, n, m.x, t.dy, want_dw, &plain);
      for (int threads = 1; threads <= 3; threads++) {
        Work fwd = test_work(threads, depthwise_conv2d_fwd_mapped_scratch_floats(&t.g)),
             bwd = test_work(threads, depthwise_conv2d_bwd_w_mapped_scratch_floats(&t.g));
        float *y = test_blank(t.y_span), *dw = test_blank(t.w_count);
        depthwise_conv2d_fwd_mapped(&t.g, n, t.x, &m.map, t.w, &e, y, &fwd);
        test_same_bits(t.name, t.y_span, y, want);
        depthwise_conv2d_bwd_w_mapped(&t.g, n, t.x, &m.map, t.dy, dw, &bwd);
        test_same_bits(t.name, t.w_count, dw, want_dw);
        TEST_FREE(y, dw, fwd.scratch, bwd.scratch);
      }
      TEST_FREE(want, want_dw, plain.scratch, m.scale, m.offset, m.x);
      conv_case_free(&t);
    }
}

/* NaN, at the start of a cache line. */
static float *aligned_blank(int64_t count) {
  float *x = aligned_alloc(64, (size_t)(count + 15) / 16 * 64);
  for (int64_t i = 0; i < count; i++)
    x[i] = NAN;
  return x;
}

/* Results that outgrow the caches and are read late are streamed: the same bits. */
Test(conv2d, streamed) {
  static const int shapes[][12] = {
      {13, 17, 40, 64, 1, 1, 1, 1, 1, 1, 1, 0}, {31, 30, 3, 32, 3, 3, 2, 2, 1, 1, 1, 1},
      {9, 11, 33, 48, 3, 3, 1, 1, 1, 1, 1, 1},  {12, 7, 600, 32, 1, 1, 1, 1, 1, 1, 1, 0},
      {10, 9, 48, 16, 7, 7, 1, 1, 1, 1, 1, 1},  {15, 14, 32, 32, 3, 3, 1, 1, 1, 1, 32, 1},
      {16, 15, 64, 64, 3, 3, 2, 2, 1, 1, 64, 1}};
  int streamed = 0;
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
    for (int threads = 1; threads <= 3; threads++) {
      ConvCase t = conv_case(shapes[i], 3, 0);
      const Conv2d *g = &t.g;
      Epilogue e = {.bias = t.bias, .act.kind = ACT_RELU6}, late = e;
      late.late = true;
      size_t scratch = conv2d_fwd_direct_scratch_floats(g), back = conv2d_bwd_x_direct_scratch_floats(g);
      Work work = test_work(threads, scratch > back ? scratch : back);
      float *packed = test_blank((int64_t)conv2d_fwd_direct_packed_floats(g)),
            *packed_back = test_blank((int64_t)conv2d_bwd_x_direct_packed_floats(g));
      float *y = aligned_blank(t.y_span), *want = test_blank(t.y_span + 1), *dx = aligned_blank(t.x_span),
            *want_dx = test_blank(t.x_span + 1);
      if (g->groups == 1) {
        conv2d_fwd_direct_pack(g, t.w, packed, &work);
        conv2d_fwd_direct(g, 3, t.x, packed, &e, want + 1, &work);
        conv2d_fwd_direct(g, 3, t.x, packed, &late, y, &work);
        conv2d_bwd_x_direct_pack(g, t.w, packed_back, &work);
        conv2d_bwd_x_direct(g, 3, t.dy, packed_back, NULL, want_dx + 1, &work);
        conv2d_bwd_x_direct(g, 3, t.dy, packed_back, NULL, dx, &work);
      } else {
        depthwise_conv2d_fwd(g, 3, t.x, t.w, &e, want + 1, &work);
        depthwise_conv2d_fwd(g, 3, t.x, t.w, &late, y, &work);
        depthwise_conv2d_bwd_x(g, 3, t.dy, t.w, want_dx + 1, &work);
        depthwise_conv2d_bwd_x(g, 3, t.dy, t.w, dx, &work);
      }
      streamed += t.y_span >= VEC_FAR_FLOATS && vec_streams(y, g->out_ld);
      test_same_bits(t.name, t.y_span, y, want + 1);
      test_same_bits(t.name, t.x_span, dx, want_dx + 1);
      TEST_FREE(packed, packed_back, y, want, dx, want_dx, work.scratch);
      conv_case_free(&t);
    }
  cr_assert_eq(streamed, 21);
}

/* Two or three convolutions together give the bits that one after the other gives. */
static void check_together(size_t i, int n, bool expands) {
  const int *s = depthwise_shapes[i];
  int gap = (int)i % 3, middle_c = s[2] * s[3], filters = i % 2 ? 5 : 2 * TILE_COLUMNS + 7;
  ConvCase before = conv_case((int[12]){s[0], s[1], 6, s[2], 1, 1, 1, 1, 1, 1, 1, 0}, n, gap);
  ConvCase first = conv_case(
      (int[12]){s[0], s[1], s[2], middle_c, s[4], s[4], s[5], s[5], s[6], s[6], s[2], s[7]}, n, gap);
  ConvCase second =
      conv_case((int[12]){first.g.out_h, first.g.out_w, middle_c, filters, 1, 1, 1, 1, 1, 1, 1, 0}, n, gap);
  Conv2d expand = before.g, depthwise = first.g, pointwise = second.g;
  depthwise.out_ld = pointwise.in_ld = middle_c;
  if (expands)
    depthwise.in_ld = expand.out_ld = s[2];
  Epilogue wide_e = {
      i % 2 ? before.bias : NULL, NULL, {.kind = i % 4 == 1 ? ACT_SWISH : ACT_LINEAR}, .max_pool = false};
  Epilogue between = {
      i % 3 ? first.bias : NULL, NULL, {.kind = i % 4 == 3 ? ACT_SWISH : ACT_RELU6}, .max_pool = false};
  Epilogue e = {i % 2 ? second.bias : NULL,
                i % 3 == 1 ? second.residual : NULL,
                {.kind = i % 4 == 2 ? ACT_TANH : ACT_LINEAR},
                .max_pool = false};
  cr_assert(depthwise_pointwise_fits(&depthwise, &pointwise));
  size_t scratch = depthwise_conv2d_fwd_scratch_floats(&depthwise) +
                   conv2d_fwd_direct_scratch_floats(&pointwise) + conv2d_fwd_direct_scratch_floats(&expand);
  Work work = test_work(1, scratch);
  float *packed_before = test_blank((int64_t)conv2d_fwd_direct_packed_floats(&expand));
  float *packed = test_blank((int64_t)conv2d_fwd_direct_packed_floats(&pointwise));
  float *wide = test_blank(first.in_pixels * s[2]), *middle = test_blank(first.out_pixels * middle_c),
        *want = test_blank(second.y_span);
  conv2d_fwd_direct_pack(&expand, before.w, packed_before, &work);
  conv2d_fwd_direct_pack(&pointwise, second.w, packed, &work);
  if (expands)
    conv2d_fwd_direct(&expand, n, before.x, packed_before, &wide_e, wide, &work);
  depthwise_conv2d_fwd(&depthwise, n, expands ? wide : first.x, first.w, &between, middle, &work);
  conv2d_fwd_direct(&pointwise, n, middle, packed, &e, want, &work);
  TEST_FREE(work.scratch);
  Expansion expansion = {&expand, packed_before, &wide_e};
  for (int threads = 1; threads <= 3; threads++) {
    work = test_work(threads, depthwise_pointwise_fwd_scratch_floats(&depthwise, expands));
    float *y = test_blank(second.y_span);
    depthwise_pointwise_fwd(&depthwise, &pointwise, n, expands ? before.x : first.x,
                            expands ? &expansion : NULL, first.w, &between, packed, &e, y, &work);
    test_same_bits(second.name, second.y_span, y, want);
    TEST_FREE(y, work.scratch);
  }
  TEST_FREE(packed_before, packed, wide, middle, want);
  conv_case_free(&before);
  conv_case_free(&first);
  conv_case_free(&second);
}

Test(conv2d, depthwise_pointwise) {
  for (size_t i = 0; i < sizeof depthwise_shapes / sizeof depthwise_shapes[0]; i++)
    for (int n = 1; n <= 9; n += 4) {
      check_together(i, n, false);
      if (depthwise_shapes[i][3] == 1)
        check_together(i, n, true);
    }
}

Test(conv2d, bias_gradient) {
  const int shapes[][3] = {{1, 1, 1},      {7, 3, 5},    {100, 17, 17},   {1000, 64, 70},
                           {33, 200, 200}, {5000, 2, 2}, {2100, 300, 301}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    int rows = shapes[i][0], c = shapes[i][1], ld = shapes[i][2];
    int64_t span = test_span(rows, c, ld);
    float *dy = test_tensor(span), *first = NULL;
    double *want = test_doubles(c);
    for (int row = 0; row < rows; row++)
      for (int k = 0; k < c; k++)
        want[k] += (double)dy[(int64_t)row * ld + k];
    for (int threads = 1; threads <= 3; threads++) {
      Work work = test_work(threads, channel_sum_scratch_floats(c));
      float *db = test_blank(c);
      channel_sum_bwd_b(rows, c, ld, dy, db, &work);
      test_close("bias gradient", c, db, want, 1e-5);
      if (first)
        test_same_bits("bias gradient", c, db, first);
      TEST_FREE(first, work.scratch);
      first = db;
    }
    TEST_FREE(dy, first, want);
  }
}
