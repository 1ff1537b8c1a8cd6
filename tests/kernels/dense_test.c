/* Dense layers, their gradients and the fused updates against reference.h. */
#include "kernels/dense.h"
#include "kernels/reference.h"
#include "kernel_test.h"

/* {images, in, out} */
static const int shapes[][3] = {
    {1, 1, 1},      {1, 5, 3},     {3, 17, 5},     {32, 100, 3},    {2, 1500, 120},  {32, 2100, 120},
    {15, 300, 700}, {33, 513, 16}, {4, 40, 2100},  {1, 9000, 31},   {7, 2000, 15},   {32, 160, 4},
    {17, 20, 600},  {1, 4096, 1},  {2, 1100, 257}, {1, 700, 300},   {1, 1100, 2500}, {1, 43, 1030},
    {1, 1500, 120}, {1, 3, 17},    {5, 210, 1300}, {16, 33, 3000},  {1, 50, 66},     {1, 1300, 84},
    {1, 90, 97},    {1, 61, 113},  {1, 700, 121},  {1, 2053, 2049}, {1, 517, 4100},  {1, 9, 2100},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static double tolerance(int terms) {
  return 2e-6 + 3e-7 * sqrt((double)terms);
}

Test(dense, forward) {
  const Act acts[] = {{.kind = ACT_LINEAR}, {.kind = ACT_RELU, .a = INFINITY}, {.kind = ACT_TANH}};
  for (int i = 0; i < SHAPES; i++) {
    int n = shapes[i][0], in = shapes[i][1], out = shapes[i][2];
    int64_t count = (int64_t)n * out;
    float *x = test_tensor((int64_t)n * in), *w = test_tensor((int64_t)in * out), *bias = test_tensor(out),
          *first = NULL;
    float *residual = test_tensor(count);
    /* Weights of the size that Keras draws, so that tanh is not all ones. */
    for (int64_t j = 0; j < (int64_t)in * out; j++)
      w[j] *= (float)(1 / sqrt((double)in));
    const float *used_bias = i % 4 ? bias : NULL, *used_residual = i % 2 ? residual : NULL;
    Epilogue e = {used_bias, used_residual, acts[i % 3], .max_pool = false};
    double *want = test_doubles(count);
    for (int64_t j = 0; j < count; j++) {
      double sum = (used_bias ? (double)bias[j % out] : 0) + (used_residual ? (double)residual[j] : 0);
      for (int c = 0; c < in; c++)
        sum += (double)x[j / out * in + c] * (double)w[(int64_t)c * out + j % out];
      want[j] = reference_act(&e.act, sum);
    }
    for (int threads = 1; threads <= 3; threads++) {
      /* Scratch is for so many images or fewer. */
      Work work = test_work(threads, dense_fwd_scratch_floats(threads == 2 ? n + 3 : n, in, out));
      float *y = test_blank(count);
      dense_fwd(n, in, out, x, w, &e, y, &work);
      if (first)
        test_same_bits("dense_fwd", count, y, first);
      else
        test_close("dense_fwd", count, y, want, tolerance(in));
      TEST_FREE(work.scratch, first);
      first = y;
    }
    TEST_FREE(x, w, bias, residual, first, want);
  }
}

Test(dense, gradients) {
  for (int i = 0; i < SHAPES; i++) {
    int n = shapes[i][0], in = shapes[i][1], out = shapes[i][2];
    int64_t inputs = (int64_t)n * in, weights = (int64_t)in * out;
    float *x = test_tensor(inputs), *w = test_tensor(weights), *dy = test_tensor((int64_t)n * out);
    float *first_dx = NULL, *first_dw = NULL;
    double *want_dx = test_doubles(inputs), *want_dw = test_doubles(weights);
    reference_dense_bwd_x(n, in, out, dy, w, want_dx);
    reference_dense_bwd_w(n, in, out, x, dy, want_dw);
    for (int threads = 1; threads <= 3; threads++) {
      Work work = test_work(threads, dense_bwd_scratch_floats(n, in, out));
      float *dx = test_blank(inputs), *dw = test_blank(weights);
      dense_bwd_x(n, in, out, dy, w, dx, &work);
      dense_bwd_w(n, in, out, x, dy, dw, &work);
      if (first_dx) {
        test_same_bits("dense_bwd_x", inputs, dx, first_dx);
        test_same_bits("dense_bwd_w", weights, dw, first_dw);
      } else {
        test_close("dense_bwd_x", inputs, dx, want_dx, tolerance(out));
        test_close("dense_bwd_w", weights, dw, want_dw, tolerance(n));
      }
      TEST_FREE(work.scratch, first_dx, first_dw);
      first_dx = dx;
      first_dw = dw;
    }
    TEST_FREE(x, w, dy, first_dx, first_dw, want_dx, want_dw);
  }
}

/* The fused kernels do what dense_bwd_w and update_apply do one after the other, to the bit. */
Test(dense, fused_updates) {
  const UpdateConfig adam = {.kind = UPDATE_ADAM, .beta_1 = 0.9f, .beta_2 = 0.999f, .epsilon = 1e-7f};
  for (int i = 0; i < SHAPES; i++) {
    int n = shapes[i][0], in = shapes[i][1], out = shapes[i][2];
    int64_t inputs = (int64_t)n * in, weights = (int64_t)in * out;
    float *x = test_tensor(inputs), *w = test_tensor(weights), *dy = test_tensor((int64_t)n * out);
    float *slot0 = test_tensor(weights), *slot1 = test_tensor(weights), *dw = test_blank(weights);
    float *dx = test_blank(inputs), *fused_dx = test_blank(inputs);
    for (int64_t j = 0; j < weights; j++)
      slot1[j] = fabsf(slot1[j]);
    float *w1 = test_copy(w, weights), *m1 = test_copy(slot0, weights), *v1 = test_copy(slot1, weights);
    float *w2 = test_copy(w, weights), *m2 = test_copy(slot0, weights), *v2 = test_copy(slot1, weights);
    Work work = test_work(2, dense_bwd_scratch_floats(n, in, out));
    Update update;
    update_begin(&update, &adam, 0.01, 4);
    dense_bwd_x(n, in, out, dy, w, dx, &work);
    dense_bwd_w(n, in, out, x, dy, dw, &work);
    update_apply(&update, weights, dw, w, slot0, slot1, NULL, &work);
    dense_bwd_w_update(n, in, out, x, dy, &update, w1, m1, v1, NULL, &work);
    dense_bwd_x_w_update(n, in, out, x, dy, &update, w2, m2, v2, NULL, fused_dx, &work);
    test_same_bits("dense_bwd_w_update w", weights, w1, w);
    test_same_bits("dense_bwd_w_update m", weights, m1, slot0);
    test_same_bits("dense_bwd_w_update v", weights, v1, slot1);
    test_same_bits("dense_bwd_x_w_update w", weights, w2, w);
    test_same_bits("dense_bwd_x_w_update v", weights, v2, slot1);
    test_same_bits("dense_bwd_x_w_update dx", inputs, fused_dx, dx);
    TEST_FREE(x, w, dy, slot0, slot1, dw, dx, fused_dx, w1, m1, v1, w2, m2, v2, work.scratch);
  }
}
