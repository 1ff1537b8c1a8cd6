/* Element-wise kernels: linear maps against their gradients (<f(x), dy> = <x, f'(dy)>), copies against plain
 * loops. */
#include "kernels/eltwise.h"
#include "kernels/reference.h"
#include "kernels/upsample.h"
#include "kernel_test.h"

static double dot(int64_t count, const float *a, const float *b) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++)
    sum += (double)a[i] * (double)b[i];
  return sum;
}

static void check_adjoint(const char *what, int64_t inputs, const float *x, const float *dx, int64_t outputs,
                          const float *y, const float *dy) {
  double forward = dot(outputs, y, dy), backward = dot(inputs, x, dx);
  cr_assert(fabs(forward - backward) < 1e-5 * (1 + fabs(forward)), "%s: %g and %g", what, forward, backward);
}

Test(eltwise, activation_blocks) {
  const int counts[] = {1, 15, 16, 17, 4095, 4096, 4097, 10001};
  for (size_t s = 0; s < sizeof counts / sizeof counts[0]; s++)
    for (int threads = 1; threads <= 3; threads++) {
      int count = counts[s];
      Act act = {.kind = ACT_TANH};
      float *x = test_tensor(count), *dy = test_tensor(count), *y = test_blank(count),
            *dx = test_blank(count);
      double *want = test_doubles(count), *want_dx = test_doubles(count);
      Work work = test_work(threads, 0);
      for (int i = 0; i < count; i++) {
        want[i] = tanh((double)x[i]);
        want_dx[i] = (double)dy[i] * (1 - want[i] * want[i]);
      }
      act_fwd(&act, count, x, y, &work);
      act_bwd(&act, count, NULL, y, dy, dx, &work);
      test_close("tanh", count, y, want, 1e-6);
      test_close("tanh gradient", count, dx, want_dx, 1e-6);
      TEST_FREE(x, dy, y, dx, want, want_dx, work.scratch);
    }
}

Test(eltwise, padding_and_cropping) {
  enum { N = 2, H = 4, W = 5, C = 3, TOP = 1, LEFT = 2, OUT_H = 7, OUT_W = 8 };
  int64_t small = N * H * W * C, large = N * OUT_H * OUT_W * C;
  float *x = test_tensor(small), *dy = test_tensor(large), *y = test_blank(large), *dx = test_blank(small);
  Work work = test_work(2, 0);
  pad_fwd(N, H, W, C, TOP, LEFT, OUT_H, OUT_W, x, y, &work);
  crop_fwd(N, OUT_H, OUT_W, C, TOP, LEFT, H, W, dy, dx, &work);
  check_adjoint("padding", small, x, dx, large, y, dy);
  crop_fwd(N, OUT_H, OUT_W, C, TOP, LEFT, H, W, y, dx, &work);
  test_same_bits("what was padded", small, dx, x);
  TEST_FREE(x, dy, y, dx, work.scratch);
}

Test(eltwise, permutation) {
  enum { N = 2 };
  const int d[4] = {3, 2, 2, 5}, orders[][4] = {{0, 1, 2, 3}, {2, 0, 1, 3}, {3, 1, 2, 0}, {3, 2, 1, 0},
                                                {0, 2, 3, 1}, {1, 3, 0, 2}, {0, 1, 3, 2}, {1, 0, 2, 3}};
  float *x = test_tensor(N * 60), *y = test_blank(N * 60), *back = test_blank(N * 60);
  Work work = test_work(2, 0);
  for (size_t s = 0; s < sizeof orders / sizeof orders[0]; s++) {
    const int *order = orders[s];
    int e[4] = {d[order[0]], d[order[1]], d[order[2]], d[order[3]]}, inverse[4];
    for (int axis = 0; axis < 4; axis++)
      inverse[order[axis]] = axis;
    permute4(N, d, order, x, y, &work);
    for (int i = 0; i < N * 60; i++) {
      int at[4] = {i / 20 % 3, i / 10 % 2, i / 5 % 2, i % 5};
      int to = (((i / 60 * e[0] + at[order[0]]) * e[1] + at[order[1]]) * e[2] + at[order[2]]) * e[3] +
               at[order[3]];
      cr_assert(y[to] == x[i]);
    }
    permute4(N, e, inverse, y, back, &work);
    test_same_bits("there and back", N * 60, back, x);
  }
  TEST_FREE(x, y, back, work.scratch);
}

Test(eltwise, channels) {
  enum { ROWS = 6, GROUP = 3, C = 5, COUNT = ROWS * C };
  float *x = test_tensor(COUNT), *scale = test_tensor(C), *offset = test_tensor(C), *dy = test_tensor(COUNT);
  float *y = test_blank(COUNT), *dx = test_blank(COUNT), *gate = test_tensor(ROWS / GROUP * C);
  float *dgate = test_blank(ROWS / GROUP * C), zero[C] = {0};
  Work work = test_work(2, 0);
  affine_channels_fwd(ROWS, C, scale, offset, true, x, y, &work);
  for (int i = 0; i < COUNT; i++)
    cr_assert(fabsf(y[i] - (x[i / C * C + C - 1 - i % C] * scale[i % C] + offset[i % C])) < 1e-6f);
  for (int reverse = 0; reverse < 2; reverse++) {
    affine_channels_fwd(ROWS, C, scale, zero, reverse, x, y, &work);
    affine_channels_bwd(ROWS, C, scale, reverse, dy, dx, &work);
    check_adjoint("affine channels", COUNT, x, dx, COUNT, y, dy);
  }
  scale_channels_fwd(ROWS, GROUP, C, x, gate, y, &work);
  scale_channels_bwd_scale(ROWS, GROUP, C, x, dy, dgate, &work);
  check_adjoint("scaled channels by the scale", ROWS / GROUP * C, gate, dgate, COUNT, y, dy);
  scale_channels_fwd(ROWS, GROUP, C, dy, gate, dx, &work);
  check_adjoint("scaled channels by x", COUNT, x, dx, COUNT, y, dy);
  TEST_FREE(x, scale, offset, dy, y, dx, gate, dgate, work.scratch);
}

Test(eltwise, upsampling) {
  enum { N = 2, H = 3, W = 4, C = 5 };
  for (int factor_h = 1; factor_h <= 3; factor_h++)
    for (int factor_w = 1; factor_w <= 3; factor_w++) {
      int64_t small = N * H * W * C, large = small * factor_h * factor_w;
      float *x = test_tensor(small), *dy = test_tensor(large), *y = test_blank(large),
            *dx = test_blank(small);
      Work work = test_work(3, 0);
      upsample_nearest_fwd(N, H, W, C, factor_h, factor_w, x, y, &work);
      upsample_nearest_bwd(N, H, W, C, factor_h, factor_w, dy, dx, &work);
      check_adjoint("nearest", small, x, dx, large, y, dy);
      upsample_bilinear_fwd(N, H, W, C, factor_h, factor_w, x, y, &work);
      upsample_bilinear_bwd(N, H, W, C, factor_h, factor_w, dy, dx, &work);
      check_adjoint("bilinear", small, x, dx, large, y, dy);
      TEST_FREE(x, dy, y, dx, work.scratch);
    }
}
