/* Winograd convolutions, forward and both gradients, against reference.h.  The tolerances are the accuracy
 * that the heads of conv2d_winograd2.h, conv2d_winograd4.h and conv2d_winograd6.h promise. */
#include "kernels/conv2d_winograd2.h"
#include "kernels/conv2d_winograd4.h"
#include "kernels/conv2d_winograd6.h"
#include "kernels/pool.h"
#include "kernels/reference.h"
#include "kernel_test.h"
#include <stdio.h>

/* What a family does not compute is NULL. */
typedef struct Family {
  const char *name;
  double tolerance;
  bool (*fits)(const Conv2d *g);
  size_t (*fwd_packed_floats)(const Conv2d *g), (*fwd_scratch_floats)(const Conv2d *g);
  void (*fwd_pack)(const Conv2d *g, const float *w, float *packed, const Work *work);
  void (*fwd)(const Conv2d *g, int n, const float *x, const float *packed, const Epilogue *e, float *y,
              const Work *work);
  size_t (*fwd_raw_scratch_floats)(const Conv2d *g);
  void (*fwd_raw)(const Conv2d *g, int n, const float *x, const float *w, const Epilogue *e, float *y,
                  const Work *work);
  size_t (*bwd_x_packed_floats)(const Conv2d *g), (*bwd_x_scratch_floats)(const Conv2d *g);
  void (*bwd_x_pack)(const Conv2d *g, const float *w, float *packed, const Work *work);
  void (*bwd_x)(const Conv2d *g, int n, const float *dy, const float *packed, float *dx, const Work *work);
  size_t (*bwd_x_raw_scratch_floats)(const Conv2d *g);
  void (*bwd_x_raw)(const Conv2d *g, int n, const float *dy, const float *w, float *dx, const Work *work);
  size_t (*bwd_w_workspace_floats)(const Conv2d *g), (*bwd_w_scratch_floats)(const Conv2d *g);
  void (*bwd_w)(const Conv2d *g, int n, const float *x, const float *dy, float *dw, float *workspace,
                const Work *work);
  void (*bwd_x_through)(const Conv2d *g, int n, const float *dy, const float *packed,
                        const unsigned char *places, const Epilogue *e, float *dx, const Work *work);
  void (*bwd_x_raw_through)(const Conv2d *g, int n, const float *dy, const float *w,
                            const unsigned char *places, const Epilogue *e, float *dx, const Work *work);
  void (*bwd_w_through)(const Conv2d *g, int n, const float *x, const float *dy, const unsigned char *places,
                        float *dw, float *workspace, const Work *work);
} Family;

static const Family families[] = {
    {.name = "winograd2",
     .tolerance = 5e-6,
     .fits = conv2d_winograd2_fits,
     .fwd_packed_floats = conv2d_fwd_winograd2_packed_floats,
     .fwd_scratch_floats = conv2d_fwd_winograd2_scratch_floats,
     .fwd_pack = conv2d_fwd_winograd2_pack,
     .fwd = conv2d_fwd_winograd2},
    {"winograd4",
     2e-5,
     conv2d_winograd4_fits,
     conv2d_fwd_winograd4_packed_floats,
     conv2d_fwd_winograd4_scratch_floats,
     conv2d_fwd_winograd4_pack,
     conv2d_fwd_winograd4,
     conv2d_fwd_winograd4_raw_scratch_floats,
     conv2d_fwd_winograd4_raw,
     conv2d_bwd_x_winograd4_packed_floats,
     conv2d_bwd_x_winograd4_scratch_floats,
     conv2d_bwd_x_winograd4_pack,
     conv2d_bwd_x_winograd4,
     conv2d_bwd_x_winograd4_raw_scratch_floats,
     conv2d_bwd_x_winograd4_raw,
     conv2d_bwd_w_winograd4_workspace_floats,
     conv2d_bwd_w_winograd4_scratch_floats,
     conv2d_bwd_w_winograd4,
     conv2d_bwd_x_winograd4_through,
     conv2d_bwd_x_winograd4_raw_through,
     conv2d_bwd_w_winograd4_through},
    {"winograd6",
     4e-5,
     conv2d_winograd6_fits,
     conv2d_fwd_winograd6_packed_floats,
     conv2d_fwd_winograd6_scratch_floats,
     conv2d_fwd_winograd6_pack,
     conv2d_fwd_winograd6,
     conv2d_fwd_winograd6_raw_scratch_floats,
     conv2d_fwd_winograd6_raw,
     conv2d_bwd_x_winograd6_packed_floats,
     conv2d_bwd_x_winograd6_scratch_floats,
     conv2d_bwd_x_winograd6_pack,
     conv2d_bwd_x_winograd6,
     conv2d_bwd_x_winograd6_raw_scratch_floats,
     conv2d_bwd_x_winograd6_raw,
     conv2d_bwd_w_winograd6_workspace_floats,
     conv2d_bwd_w_winograd6_scratch_floats,
     conv2d_bwd_w_winograd6,
     conv2d_bwd_x_winograd6_through,
     conv2d_bwd_x_winograd6_raw_through,
     conv2d_bwd_w_winograd6_through},
};

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
  Work work = test_work(threads, f->fwd_scratch_floats(g));
  float *packed = test_blank((int64_t)f->fwd_packed_floats(g)), *want = test_blank(span);
  f->fwd_pack(g, w, packed, &work);
  f->fwd(g, n, x, packed, e, y, &work);
  reference_conv2d_fwd(g, n, x, w, e, want);
  double *wide = dense_doubles(pixels, g->out_c, want, g->out_ld);
  test_rows_close(f->name, pixels, g->out_c, y, g->out_ld, wide, f->tolerance);
  test_gaps_untouched(f->name, pixels, g->out_c, y, g->out_ld);
  if (f->fwd_raw) {
    Work raw_work = test_work(threads, f->fwd_raw_scratch_floats(g));
    float *raw = test_blank(span);
    f->fwd_raw(g, n, x, w, e, raw, &raw_work);
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
    cr_assert(f->fits(&g));
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
    if (!ph || !pw)
      continue;
    float *x = test_tensor(test_span((int64_t)s[0] * g.in_h * g.in_w, g.in_c, g.in_ld));
    float *w = test_tensor(9 * g.in_c * g.out_c), *bias = test_tensor(g.out_c);
    int64_t span = test_span((int64_t)s[0] * g.out_h * g.out_w, g.out_c, g.out_ld);
    int64_t pooled_span = test_span((int64_t)s[0] * ph * pw, g.out_c, g.out_ld);
    float *y = test_blank(span), *want = test_blank(pooled_span), *pooled = test_blank(pooled_span);
    float *packed = test_blank((int64_t)f->fwd_packed_floats(&g));
    int v = i / FAMILIES + i % FAMILIES;
    Epilogue e = {v % 3 ? bias : NULL, NULL, {.kind = v % 2 ? ACT_RELU6 : ACT_LINEAR}, .max_pool = false};
    Work work = test_work(2, f->fwd_scratch_floats(&g));
    f->fwd_pack(&g, w, packed, &work);
    f->fwd(&g, s[0], x, packed, &e, y, &work);
    Pool2d pool = {g.out_h, g.out_w, g.out_c, ph, pw, 2, 2, 2, 2, 0, 0, g.out_ld, g.out_ld};
    size_t bytes = pool_places_bytes(ph, pw, g.out_c) * (size_t)s[0];
    unsigned char *places = malloc(bytes), *noted = malloc(bytes);
    memset(places, 9, bytes);
    memset(noted, 9, bytes);
    maxpool_fwd_places(&pool, s[0], y, want, places, &work);
    e.max_pool = true;
    e.places = noted;
    f->fwd(&g, s[0], x, packed, &e, pooled, &work);
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
    if (!f->bwd_x)
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
      size_t most = f->fwd_scratch_floats(&g);
      most = f->bwd_x_scratch_floats(&g) > most ? f->bwd_x_scratch_floats(&g) : most;
      most = f->bwd_x_raw_scratch_floats(&g) > most ? f->bwd_x_raw_scratch_floats(&g) : most;
      Work work = test_work(threads, most);
      float *packed = test_blank((int64_t)f->fwd_packed_floats(&g)),
            *back = test_blank((int64_t)f->bwd_x_packed_floats(&g)),
            *workspace = test_blank((int64_t)f->bwd_w_workspace_floats(&g));
      f->fwd_pack(&g, w, packed, &work);
      f->bwd_x_pack(&g, w, back, &work);
      Epilogue e = {.act = {.kind = ACT_LINEAR}};
      f->fwd(&g, n, x, packed, &e, y, &work);
      maxpool_fwd_places(&pool, n, y, tops, places, &work);
      e.max_pool = true;
      e.places = noted;
      f->fwd(&g, n, x, packed, &e, same, &work);
      test_same_bits("maxima", pooled, same, tops);
      cr_assert(!memcmp(places, noted, bytes), "%s: other places", f->name);
      maxpool_bwd_places(&pool, n, places, dy, spread, &work);
      float *dw = test_blank(weights), *want_dw = test_blank(weights), *dx = test_blank(in),
            *want_dx = test_blank(in), *raw = test_copy(x, in);
      f->bwd_w(&g, n, x, spread, want_dw, workspace, &work);
      f->bwd_w_through(&g, n, x, dy, places, dw, workspace, &work);
      test_same_bits("weights through a pooling", weights, dw, want_dw);
      f->bwd_x(&g, n, spread, back, want_dx, &work);
      f->bwd_x_through(&g, n, dy, back, places, NULL, dx, &work);
      test_same_bits("input through a pooling", in, dx, want_dx);
      for (int64_t at = 0; at < in; at++)
        if (!isnan(want_dx[at]))
          act_run_bwd(&act, 1, x + at, x + at, want_dx + at, want_dx + at);
        else
          want_dx[at] = x[at];
      const Epilogue masked = {.act = act, .mask = raw};
      f->bwd_x_raw_through(&g, n, dy, w, places, &masked, raw, &work);
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
    if (!f->bwd_x)
      continue;
    Conv2d g = geometry(s);
    int64_t pixels = (int64_t)s[0] * g.in_h * g.in_w, in = test_span(pixels, g.in_c, g.in_ld);
    int64_t out = test_span((int64_t)s[0] * g.out_h * g.out_w, g.out_c, g.out_ld);
    float *dy = test_tensor(out), *w = test_tensor(9 * g.in_c * g.out_c), *first = NULL;
    double *want = test_doubles(pixels * g.in_ld);
    reference_conv2d_bwd_x(&g, s[0], dy, w, want);
    for (int threads = 1; threads <= 3; threads++) {
      Work work = test_work(threads, f->bwd_x_scratch_floats(&g));
      float *packed = test_blank((int64_t)f->bwd_x_packed_floats(&g)), *dx = test_blank(in);
      f->bwd_x_pack(&g, w, packed, &work);
      f->bwd_x(&g, s[0], dy, packed, dx, &work);
      if (first)
        test_same_bits(f->name, in, dx, first);
      else
        test_rows_close(f->name, pixels, g.in_c, dx, g.in_ld, want, f->tolerance);
      test_gaps_untouched(f->name, pixels, g.in_c, dx, g.in_ld);
      Work raw_work = test_work(threads, f->bwd_x_raw_scratch_floats(&g));
      float *raw = test_blank(in);
      f->bwd_x_raw(&g, s[0], dy, w, raw, &raw_work);
      test_same_bits(f->name, in, raw, dx);
      TEST_FREE(work.scratch, raw_work.scratch, packed, first, raw);
      first = dx;
    }
    TEST_FREE(dy, w, first, want);
  }
}

Test(winograd, gradient_of_weights) {
  for (int i = 0; i < SHAPES * FAMILIES; i++) {
    const int *s = shapes[i / FAMILIES];
    const Family *f = &families[i % FAMILIES];
    if (!f->bwd_x)
      continue;
    Conv2d g = geometry(s);
    int64_t in = test_span((int64_t)s[0] * g.in_h * g.in_w, g.in_c, g.in_ld), count = 9 * g.in_c * g.out_c;
    int64_t out = test_span((int64_t)s[0] * g.out_h * g.out_w, g.out_c, g.out_ld);
    float *x = test_tensor(in), *dy = test_tensor(out), *first = NULL;
    double *want = test_doubles(count);
    reference_conv2d_bwd_w(&g, s[0], x, dy, want);
    for (int threads = 1; threads <= 3; threads++) {
      Work work = test_work(threads, f->bwd_w_scratch_floats(&g));
      float *workspace = test_blank((int64_t)f->bwd_w_workspace_floats(&g)), *dw = test_blank(count);
      f->bwd_w(&g, s[0], x, dy, dw, workspace, &work);
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
  cr_assert(conv2d_winograd4_fits(&g));
  g.stride_h = 2;
  cr_assert_not(conv2d_winograd4_fits(&g));
  g.stride_h = 1;
  g.dilation_w = 2;
  cr_assert_not(conv2d_winograd6_fits(&g));
  g.dilation_w = 1;
  g.in_c = 3;
  cr_assert_not(conv2d_winograd6_fits(&g));
}
