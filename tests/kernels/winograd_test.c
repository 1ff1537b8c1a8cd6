/* Winograd convolutions, forward and both gradients, against reference.h.  The tolerances are the accuracy
 * that the head of conv2d_winograd.h promises. */
#include "kernels/conv2d_winograd.h"
#include "kernels/pool.h"
#include "kernels/reference.h"
#include "kernel_test.h"
#include <stdio.h>

/* Output tiles of m x m pixels; 2: forward only. */
typedef struct Family {
  const char *name;
  int m;
  double tolerance;
} Family;

static const Family families[] = {
    {"winograd2", 2, 5e-6}, {"winograd4", 4, 2e-5}, {"winograd5", 5, 3e-5}, {"winograd6", 6, 4e-5}};

/* {images, in_h, in_w, in_c, out_c, padding, floats between pixels}.  The last two have so many tiles, and on
 * one side so many groups of channels, that the larger tiles make raw weights a row of positions at a time
 * (more than WINOGRAD_RAW_TILES tiles to a task), forward in one and for the gradient by x in the other. */
static const int shapes[][7] = {
    {1, 3, 3, 16, 16, 0, 0},   {1, 1, 1, 16, 17, 1, 0},   {2, 6, 7, 17, 33, 1, 3},
    {1, 12, 12, 64, 48, 1, 0}, {3, 9, 13, 31, 20, 1, 0},  {1, 14, 5, 40, 64, 0, 5},
    {2, 25, 25, 16, 16, 1, 0}, {1, 7, 30, 33, 16, 2, 1},  {1, 40, 41, 16, 32, 1, 0},
    {1, 8, 8, 16, 150, 1, 0},  {3, 41, 37, 16, 16, 1, 0}, {2, 9, 8, 290, 260, 1, 0},
    {15, 7, 8, 17, 200, 1, 3}, {15, 8, 7, 200, 17, 1, 0},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0], FAMILIES = sizeof families / sizeof families[0] };

static Conv2d geometry(const int *s) {
  return (Conv2d){s[1], s[2], s[3], s[1] + 2 * s[5] - 2, s[2] + 2 * s[5] - 2, s[4], 3, 3, 1, 1, s[5], s[5],
                  1,    1,    1,    s[3] + s[6],         s[4] + s[6]};
}

/* Dense doubles from rows of floats that are ld apart. */
static double *dense_doubles(int64_t rows, int width, const float *x, int ld) {
  double *wide = test_doubles(rows * width);
  for (int64_t i = 0; i < rows * width; i++)
    wide[i] = (double)x[i / width * ld + i % width];
  return wide;
}

static void check_fwd(const Family *f, const Conv2d *g, int n, int threads, const float *x, const float *w,
                      const Epilogue *e, float *y) {
  int64_t pixels = (int64_t)n * g->out_h * g->out_w, span = test_span(pixels, g->out_c, g->out_ld);
  Work work = test_work(threads, conv2d_fwd_winograd_scratch_floats(f->m, g, false));
  float *packed = test_blank((int64_t)conv2d_fwd_winograd_packed_floats(f->m, g)), *want = test_blank(span);
  conv2d_fwd_winograd_pack(f->m, g, w, packed, &work);
  conv2d_fwd_winograd(f->m, g, n, x, packed, e, y, &work);
  reference_conv2d_fwd(g, n, x, w, e, want);
  double *wide = dense_doubles(pixels, g->out_c, want, g->out_ld);
  test_rows_close(f->name, pixels, g->out_c, y, g->out_ld, wide, f->tolerance);
  test_gaps_untouched(f->name, pixels, g->out_c, y, g->out_ld);
  if (f->m > 2) {
    Work raw_work = test_work(threads, conv2d_fwd_winograd_scratch_floats(f->m, g, true));
    float *raw = test_blank(span);
    conv2d_fwd_winograd_raw(f->m, g, n, x, w, e, raw, &raw_work);
    test_same_bits(f->name, span, raw, y);
    TEST_FREE(raw_work.scratch, raw);
  }
  TEST_FREE(work.scratch, packed, want, wide);
}

Test(winograd, forward) {
  const Act acts[] = {{.kind = ACT_LINEAR},
                      {.kind = ACT_RELU, .a = INFINITY},
                      {.kind = ACT_RELU6},
                      {.kind = ACT_ELU, .a = 1}};
  for (int i = 0; i < SHAPES * FAMILIES; i++) {
    const int *s = shapes[i / FAMILIES];
    const Family *f = &families[i % FAMILIES];
    Conv2d g = geometry(s);
    cr_assert(conv2d_winograd_fits(&g));
    int64_t in = test_span((int64_t)s[0] * g.in_h * g.in_w, g.in_c, g.in_ld);
    int64_t out = test_span((int64_t)s[0] * g.out_h * g.out_w, g.out_c, g.out_ld);
    float *x = test_tensor(in), *w = test_tensor(9 * g.in_c * g.out_c), *bias = test_tensor(g.out_c);
    float *residual = test_tensor(out), *first = NULL;
    /* ReLU6 falls to shapes with few channels: errors are measured against the largest output, and it would
     * cut that down. */
    int shape = i / FAMILIES;
    Epilogue e = {(shape + i % FAMILIES) % 3 ? bias : NULL, shape % 2 ? residual : NULL, acts[shape % 4],
                  .max_pool = false};
    for (int threads = 1; threads <= 3; threads++) {
      float *y = test_blank(out);
      check_fwd(f, &g, s[0], threads, x, w, &e, y);
      if (first)
        test_same_bits(f->name, out, y, first);
      free(first);
      first = y;
    }
    TEST_FREE(x, w, bias, residual, first);
  }
}

/* Pooling before tiles are stored gives the bits and places of pooling afterwards. */
Test(winograd, max_pool) {
  for (int i = 0; i < SHAPES * FAMILIES; i++) {
    const int *s = shapes[i / FAMILIES];
    const Family *f = &families[i % FAMILIES];
    Conv2d g = geometry(s);
    int ph = g.out_h / 2, pw = g.out_w / 2;
    if (!ph || !pw || !conv2d_fwd_winograd_pools(f->m))
      continue;
    float *x = test_tensor(test_span((int64_t)s[0] * g.in_h * g.in_w, g.in_c, g.in_ld));
    float *w = test_tensor(9 * g.in_c * g.out_c), *bias = test_tensor(g.out_c);
    int64_t span = test_span((int64_t)s[0] * g.out_h * g.out_w, g.out_c, g.out_ld);
    int64_t pooled_span = test_span((int64_t)s[0] * ph * pw, g.out_c, g.out_ld);
    float *y = test_blank(span), *want = test_blank(pooled_span), *pooled = test_blank(pooled_span);
    float *packed = test_blank((int64_t)conv2d_fwd_winograd_packed_floats(f->m, &g));
    int v = i / FAMILIES + i % FAMILIES;
    Epilogue e = {v % 3 ? bias : NULL, NULL, {.kind = v % 2 ? ACT_RELU6 : ACT_LINEAR}, .max_pool = false};
    Work work = test_work(2, conv2d_fwd_winograd_scratch_floats(f->m, &g, false));
    conv2d_fwd_winograd_pack(f->m, &g, w, packed, &work);
    conv2d_fwd_winograd(f->m, &g, s[0], x, packed, &e, y, &work);
    Pool2d pool = {g.out_h, g.out_w, g.out_c, ph, pw, 2, 2, 2, 2, 0, 0, g.out_ld, g.out_ld};
    size_t bytes = pool_places_bytes(ph, pw, g.out_c) * (size_t)s[0];
    unsigned char *places = malloc(bytes), *noted = malloc(bytes);
    memset(places, 9, bytes);
    memset(noted, 9, bytes);
    maxpool_fwd_places(&pool, s[0], y, want, places, &work);
    e.max_pool = true;
    e.places = noted;
    conv2d_fwd_winograd(f->m, &g, s[0], x, packed, &e, pooled, &work);
    test_same_bits(f->name, pooled_span, pooled, want);
    if (e.act.kind == ACT_LINEAR)
      cr_assert(!memcmp(places, noted, bytes), "%s: other places", f->name);
    TEST_FREE(x, w, bias, y, want, pooled, packed, work.scratch, places, noted);
  }
}

/* Through a pooling and a clamp: the bits of one after the other. */
Test(winograd, through_pooling_and_activation) {
  for (int i = 0; i < SHAPES * FAMILIES; i++) {
    const int *s = shapes[i / FAMILIES];
    const Family *f = &families[i % FAMILIES];
    if (f->m == 2)
      continue;
    Conv2d g = geometry(s);
    int n = s[0], ph = g.out_h / 2, pw = g.out_w / 2, ld = g.out_ld;
    if (!ph || !pw)
      continue;
    const Act act = i % 2 ? (Act){.kind = ACT_RELU6} : (Act){.kind = ACT_RELU, .a = 0.6f};
    int64_t in = test_span((int64_t)n * g.in_h * g.in_w, g.in_c, g.in_ld), weights = 9 * g.in_c * g.out_c;
    int64_t out = test_span((int64_t)n * g.out_h * g.out_w, g.out_c, ld);
    int64_t pooled = test_span((int64_t)n * ph * pw, g.out_c, ld);
    float *x = test_tensor(in), *w = test_tensor(weights), *dy = test_tensor(pooled), *y = test_blank(out),
          *tops = test_blank(pooled), *spread = test_blank(out), *same = test_blank(pooled);
    act_run(&act, in, x, x);
    Pool2d pool = {g.out_h, g.out_w, g.out_c, ph, pw, 2, 2, 2, 2, 0, 0, ld, ld};
    size_t bytes = pool_places_bytes(ph, pw, g.out_c) * (size_t)n;
    unsigned char *places = malloc(bytes), *noted = malloc(bytes);
    memset(places, 9, bytes);
    memset(noted, 9, bytes);
    for (int threads = 1; threads <= 3; threads++) {
      size_t most = conv2d_fwd_winograd_scratch_floats(f->m, &g, false);
      most = conv2d_bwd_x_winograd_scratch_floats(f->m, &g, false) > most
                 ? conv2d_bwd_x_winograd_scratch_floats(f->m, &g, false)
                 : most;
      most = conv2d_bwd_x_winograd_scratch_floats(f->m, &g, true) > most
                 ? conv2d_bwd_x_winograd_scratch_floats(f->m, &g, true)
                 : most;
      Work work = test_work(threads, most);
      float *packed = test_blank((int64_t)conv2d_fwd_winograd_packed_floats(f->m, &g)),
            *back = test_blank((int64_t)conv2d_bwd_x_winograd_packed_floats(f->m, &g)),
            *workspace = test_blank((int64_t)conv2d_bwd_w_winograd_workspace_floats(f->m, &g));
      conv2d_fwd_winograd_pack(f->m, &g, w, packed, &work);
      conv2d_bwd_x_winograd_pack(f->m, &g, w, back, &work);
      Epilogue e = {.act = {.kind = ACT_LINEAR}};
      conv2d_fwd_winograd(f->m, &g, n, x, packed, &e, y, &work);
      maxpool_fwd_places(&pool, n, y, tops, places, &work);
      if (conv2d_fwd_winograd_pools(f->m)) {
        e.max_pool = true;
        e.places = noted;
        conv2d_fwd_winograd(f->m, &g, n, x, packed, &e, same, &work);
        test_same_bits("maxima", pooled, same, tops);
        cr_assert(!memcmp(places, noted, bytes), "%s: other places", f->name);
      }
      maxpool_bwd_places(&pool, n, places, dy, spread, &work);
      float *dw = test_blank(weights), *want_dw = test_blank(weights), *dx = test_blank(in),
            *want_dx = test_blank(in), *raw = test_copy(x, in);
      conv2d_bwd_w_winograd(f->m, &g, n, x, spread, NULL, want_dw, workspace, &work);
      conv2d_bwd_w_winograd(f->m, &g, n, x, dy, places, dw, workspace, &work);
      test_same_bits("weights through a pooling", weights, dw, want_dw);
      conv2d_bwd_x_winograd(f->m, &g, n, spread, back, NULL, NULL, want_dx, &work);
      conv2d_bwd_x_winograd(f->m, &g, n, dy, back, places, NULL, dx, &work);
      test_same_bits("input through a pooling", in, dx, want_dx);
      for (int64_t at = 0; at < in; at++)
        if (!isnan(want_dx[at]))
          act_run_bwd(&act, 1, x + at, x + at, want_dx + at, want_dx + at);
        else
          want_dx[at] = x[at];
      const Epilogue masked = {.act = act, .mask = raw};
      conv2d_bwd_x_winograd_raw(f->m, &g, n, dy, w, places, &masked, raw, &work);
      for (int64_t at = 0; at < in; at++)
        cr_assert(raw[at] == want_dx[at], "%s: masked at %lld", f->name, (long long)at);
      TEST_FREE(work.scratch, packed, back, workspace, dw, want_dw, dx, want_dx, raw);
    }
    TEST_FREE(x, w, dy, y, tops, spread, same, places, noted);
  }
}

Test(winograd, gradient_of_input) {
  for (int i = 0; i < SHAPES * FAMILIES; i++) {
    const int *s = shapes[i / FAMILIES];
    const Family *f = &families[i % FAMILIES];
    if (f->m == 2)
      continue;
    Conv2d g = geometry(s);
    int64_t pixels = (int64_t)s[0] * g.in_h * g.in_w, in = test_span(pixels, g.in_c, g.in_ld);
    int64_t out = test_span((int64_t)s[0] * g.out_h * g.out_w, g.out_c, g.out_ld);
    float *dy = test_tensor(out), *w = test_tensor(9 * g.in_c * g.out_c), *first = NULL;
    double *want = test_doubles(pixels * g.in_ld);
    reference_conv2d_bwd_x(&g, s[0], dy, w, want);
    for (int threads = 1; threads <= 3; threads++) {
      Work work = test_work(threads, conv2d_bwd_x_winograd_scratch_floats(f->m, &g, false));
      float *packed = test_blank((int64_t)conv2d_bwd_x_winograd_packed_floats(f->m, &g)),
            *dx = test_blank(in);
      conv2d_bwd_x_winograd_pack(f->m, &g, w, packed, &work);
      conv2d_bwd_x_winograd(f->m, &g, s[0], dy, packed, NULL, NULL, dx, &work);
      if (first)
        test_same_bits(f->name, in, dx, first);
      else
        test_rows_close(f->name, pixels, g.in_c, dx, g.in_ld, want, f->tolerance);
      test_gaps_untouched(f->name, pixels, g.in_c, dx, g.in_ld);
      Work raw_work = test_work(threads, conv2d_bwd_x_winograd_scratch_floats(f->m, &g, true));
      float *raw = test_blank(in);
      conv2d_bwd_x_winograd_raw(f->m, &g, s[0], dy, w, NULL, NULL, raw, &raw_work);
      test_same_bits(f->name, in, raw, dx);
      /* A sum with what the gradient takes the place of, then a mask. */
      float *other = test_tensor(in), *x = test_tensor(in), *sum = test_copy(other, in);
      const Epilogue e = {.residual = sum, .mask = x, .act = {.kind = ACT_RELU6}};
      conv2d_bwd_x_winograd(f->m, &g, s[0], dy, packed, NULL, &e, sum, &work);
      for (int64_t pixel = 0; pixel < pixels; pixel++)
        for (int64_t at = pixel * g.in_ld; at < pixel * g.in_ld + g.in_c; at++)
          cr_assert(sum[at] == (x[at] > 0 && x[at] < 6 ? dx[at] + other[at] : 0), "%s: sum at %lld", f->name,
                    (long long)at);
      TEST_FREE(work.scratch, raw_work.scratch, packed, first, raw, other, x, sum);
      first = dx;
    }
    TEST_FREE(dy, w, first, want);
  }
}

Test(winograd, gradient_of_weights) {
  for (int i = 0; i < SHAPES * FAMILIES; i++) {
    const int *s = shapes[i / FAMILIES];
    const Family *f = &families[i % FAMILIES];
    if (f->m == 2)
      continue;
    Conv2d g = geometry(s);
    int64_t in = test_span((int64_t)s[0] * g.in_h * g.in_w, g.in_c, g.in_ld), count = 9 * g.in_c * g.out_c;
    int64_t out = test_span((int64_t)s[0] * g.out_h * g.out_w, g.out_c, g.out_ld);
    float *x = test_tensor(in), *dy = test_tensor(out), *first = NULL;
    double *want = test_doubles(count);
    reference_conv2d_bwd_w(&g, s[0], x, dy, want);
    for (int threads = 1; threads <= 3; threads++) {
      Work work = test_work(threads, conv2d_bwd_w_winograd_scratch_floats(f->m, &g));
      float *workspace = test_blank((int64_t)conv2d_bwd_w_winograd_workspace_floats(f->m, &g)),
            *dw = test_blank(count);
      conv2d_bwd_w_winograd(f->m, &g, s[0], x, dy, NULL, dw, workspace, &work);
      if (first)
        test_same_bits(f->name, count, dw, first);
      else
        test_close(f->name, count, dw, want, f->tolerance);
      TEST_FREE(work.scratch, workspace, first);
      first = dw;
    }
    TEST_FREE(x, dy, first, want);
  }
}

Test(winograd, fits_only_what_it_computes) {
  Conv2d g = geometry(shapes[0]);
  cr_assert(conv2d_winograd_fits(&g));
  g.stride_h = 2;
  cr_assert_not(conv2d_winograd_fits(&g));
  g.stride_h = 1;
  g.dilation_w = 2;
  cr_assert_not(conv2d_winograd_fits(&g));
  g.dilation_w = 1;
  g.in_c = 3;
  cr_assert_not(conv2d_winograd_fits(&g));
}
