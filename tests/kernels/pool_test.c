/* Pooling against reference.h: windows that hang over the edge, ties, gaps between pixels. */
#include "kernels/pool.h"
#include "kernels/reference.h"
#include "kernel_test.h"
#include <stdio.h>

/* {in_h, in_w, channels, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, out_h, out_w} */
static const int shapes[][11] = {
    {2, 2, 1, 2, 2, 2, 2, 0, 0, 1, 1},     {7, 8, 3, 2, 2, 2, 2, 0, 0, 3, 4},
    {7, 8, 3, 2, 2, 2, 2, 0, 0, 4, 4},     {7, 8, 17, 3, 3, 2, 2, 1, 0, 4, 4},
    {7, 8, 31, 3, 3, 1, 1, 1, 1, 7, 8},    {9, 9, 64, 3, 3, 2, 2, 0, 0, 4, 4},
    {6, 5, 5, 2, 3, 1, 2, 0, 1, 6, 3},     {11, 7, 2, 5, 5, 3, 3, 1, 2, 4, 3},
    {1, 1, 4, 3, 3, 2, 2, 1, 1, 1, 1},     {12, 12, 32, 2, 2, 2, 2, 0, 0, 6, 6},
    {10, 33, 16, 2, 2, 2, 2, 0, 0, 5, 16}, {5, 6, 48, 3, 3, 3, 3, 0, 0, 1, 2},
    {8, 8, 24, 3, 3, 2, 2, 0, 0, 4, 4},
};

typedef struct PoolCase {
  Pool2d g;
  int n;
  int64_t in_pixels, out_pixels, x_span, y_span;
  float *x, *dy;
  char name[100];
} PoolCase;

/* Every third case holds few different values, so that maxima tie. */
static PoolCase pool_case(int which, int n, int gap) {
  const int *s = shapes[which];
  PoolCase t = {.g = {.in_h = s[0],
                      .in_w = s[1],
                      .channels = s[2],
                      .pool_h = s[3],
                      .pool_w = s[4],
                      .stride_h = s[5],
                      .stride_w = s[6],
                      .pad_top = s[7],
                      .pad_left = s[8],
                      .out_h = s[9],
                      .out_w = s[10],
                      .in_ld = s[2] + gap,
                      .out_ld = s[2] + 2 * gap},
                .n = n};
  t.in_pixels = (int64_t)n * s[0] * s[1];
  t.out_pixels = (int64_t)n * s[9] * s[10];
  t.x_span = test_span(t.in_pixels, s[2], t.g.in_ld);
  t.y_span = test_span(t.out_pixels, s[2], t.g.out_ld);
  t.x = test_tensor(t.x_span);
  t.dy = test_tensor(t.y_span);
  for (int64_t i = 0; which % 3 == 1 && i < t.x_span; i++)
    t.x[i] = roundf(t.x[i] * 2);
  snprintf(t.name, sizeof t.name, "shape %d, n %d, gap %d", which, n, gap);
  return t;
}

static void pool_want(const PoolCase *t, int largest, double *y, double *dx) {
  const Pool2d *g = &t->g;
  for (int64_t o = 0; o < t->out_pixels; o++)
    for (int c = 0; c < g->channels; c++) {
      int p = (int)(o / g->out_w % g->out_h), q = (int)(o % g->out_w), inside;
      int64_t image = o / g->out_w / g->out_h * g->in_h * g->in_w, first;
      y[o * g->channels + c] = reference_pool(g, t->x + image * g->in_ld, p, q, c, largest, &first, &inside);
      double give = (double)t->dy[o * g->out_ld + c];
      if (largest) {
        dx[(image + first / g->in_ld) * g->channels + c] += give;
        continue;
      }
      for (int i = p * g->stride_h - g->pad_top; i < p * g->stride_h - g->pad_top + g->pool_h; i++)
        for (int j = q * g->stride_w - g->pad_left; j < q * g->stride_w - g->pad_left + g->pool_w; j++)
          if (i >= 0 && i < g->in_h && j >= 0 && j < g->in_w)
            dx[(image + (int64_t)i * g->in_w + j) * g->channels + c] += give / inside;
    }
}

static void check_pool(int largest) {
  for (int which = 0; which < (int)(sizeof shapes / sizeof shapes[0]); which++)
    for (int n = 1; n <= 3; n += 2) {
      PoolCase t = pool_case(which, n, n == 3 ? which % 3 : 0);
      int c = t.g.channels;
      double *want_y = test_doubles(t.out_pixels * c), *want_dx = test_doubles(t.in_pixels * c);
      pool_want(&t, largest, want_y, want_dx);
      for (int threads = 1; threads <= 3; threads++) {
        Work work = test_work(threads, 0);
        float *y = test_blank(t.y_span), *dx = test_blank(t.x_span);
        if (largest) {
          maxpool_fwd(&t.g, n, t.x, y, &work);
          maxpool_bwd(&t.g, n, t.x, y, t.dy, dx, &work);
        } else {
          avgpool_fwd(&t.g, n, t.x, y, &work);
          avgpool_bwd(&t.g, n, t.dy, dx, &work);
        }
        test_rows_close(t.name, t.out_pixels, c, y, t.g.out_ld, want_y, 1e-6);
        test_rows_close(t.name, t.in_pixels, c, dx, t.g.in_ld, want_dx, 1e-6);
        test_gaps_untouched(t.name, t.out_pixels, c, y, t.g.out_ld);
        test_gaps_untouched(t.name, t.in_pixels, c, dx, t.g.in_ld);
        if (largest && pool_windows_apart(&t.g)) { /* over x itself */
          float *over = test_blank(t.x_span);
          memcpy(over, t.x, sizeof *over * (size_t)t.x_span);
          maxpool_bwd(&t.g, n, over, y, t.dy, over, &work);
          test_rows_close(t.name, t.in_pixels, c, over, t.g.in_ld, want_dx, 1e-6);
          TEST_FREE(over);
        }
        if (largest) { /* by places that were noted */
          unsigned char *places = malloc(pool_places_bytes(t.g.out_h, t.g.out_w, t.g.channels) * (size_t)n);
          float *top = test_blank(t.y_span), *given = test_blank(t.x_span);
          maxpool_fwd_places(&t.g, n, t.x, top, places, &work);
          maxpool_bwd_places(&t.g, n, places, t.dy, given, &work);
          test_same_bits(t.name, t.y_span, top, y);
          test_same_bits(t.name, t.x_span, given, dx);
          TEST_FREE(places, top, given);
        }
        TEST_FREE(y, dx, work.scratch);
      }
      TEST_FREE(want_y, want_dx, t.x, t.dy);
    }
}

Test(pool, maximum) {
  check_pool(1);
}

Test(pool, average) {
  check_pool(0);
}

Test(pool, global) {
  const int sizes[][2] = {{1, 1}, {4, 3}, {49, 17}, {9, 64}, {1, 70}};
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
    for (int threads = 1; threads <= 3; threads++) {
      int n = 3, pixels = sizes[s][0], c = sizes[s][1];
      float *x = test_tensor((int64_t)n * pixels * c), *dy = test_tensor(n * c);
      for (int i = 0; i < n * pixels * c; i++)
        x[i] = roundf(x[i] * 4) / 4 - 1;
      double *mean = test_doubles(n * c), *most = test_doubles(n * c);
      double *by_mean = test_doubles((int64_t)n * pixels * c),
             *by_most = test_doubles((int64_t)n * pixels * c);
      for (int i = 0; i < n * c; i++) {
        const float *column = x + i / c * pixels * c + i % c;
        int ties = 0;
        most[i] = -HUGE_VAL;
        for (int k = 0; k < pixels; k++) {
          mean[i] += (double)column[k * c] / pixels;
          most[i] = fmax(most[i], (double)column[k * c]);
        }
        for (int k = 0; k < pixels; k++)
          ties += (double)column[k * c] == most[i];
        for (int k = 0; k < pixels; k++) {
          int64_t at = (int64_t)(i / c) * pixels * c + k * c + i % c;
          by_mean[at] = (double)dy[i] / pixels;
          by_most[at] = (double)x[at] == most[i] ? (double)dy[i] / ties : 0;
        }
      }
      Work work = test_work(threads, 0);
      float *y = test_blank(n * c), *dx = test_blank((int64_t)n * pixels * c);
      global_avgpool_fwd(n, pixels, c, c, x, y, &work);
      global_avgpool_bwd(n, pixels, c, dy, dx, &work);
      float *apart = test_tensor((int64_t)n * pixels * (c + 5)), *same = test_blank(n * c);
      for (int64_t i = 0; i < (int64_t)n * pixels * c; i++)
        apart[i / c * (c + 5) + i % c] = x[i];
      global_avgpool_fwd(n, pixels, c, c + 5, apart, same, &work);
      test_close("global mean of pixels that lie apart", n * c, same, mean, 1e-6);
      TEST_FREE(apart, same);
      test_close("global mean", n * c, y, mean, 1e-6);
      test_close("global mean gradient", (int64_t)n * pixels * c, dx, by_mean, 1e-6);
      global_maxpool_fwd(n, pixels, c, x, y, &work);
      global_maxpool_bwd(n, pixels, c, x, y, dy, dx, &work);
      test_close("global maximum", n * c, y, most, 0);
      test_close("global maximum gradient", (int64_t)n * pixels * c, dx, by_most, 1e-6);
      TEST_FREE(x, dy, mean, most, by_mean, by_most, y, dx, work.scratch);
    }
}
