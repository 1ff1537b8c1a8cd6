/* Normalisations: values against double sums, gradients against central differences of those. */
#include "kernels/batchnorm.h"
#include "kernels/norm.h"
#include "kernel_test.h"

/* sum of y * dy with y normalised over `rows` by the batch's own statistics: what the gradients are gradients
 * of. */
static double batch_objective(int rows, int c, const double *x, const double *gamma, const double *beta,
                              double epsilon, const float *dy) {
  double total = 0;
  for (int k = 0; k < c; k++) {
    double mean = 0, var = 0;
    for (int i = 0; i < rows; i++)
      mean += x[i * c + k] / rows;
    for (int i = 0; i < rows; i++)
      var += (x[i * c + k] - mean) * (x[i * c + k] - mean) / rows;
    for (int i = 0; i < rows; i++)
      total += (gamma[k] * (x[i * c + k] - mean) / sqrt(var + epsilon) + beta[k]) * (double)dy[i * c + k];
  }
  return total;
}

/* The same for groups of channels of one image. */
static double group_objective(int n, int pixels, int c, int groups, const double *x, const double *gamma,
                              const double *beta, double epsilon, const float *dy) {
  double total = 0;
  int width = c / groups;
  for (int unit = 0; unit < n * groups; unit++) {
    const double *base = x + unit / groups * pixels * c + unit % groups * width;
    double mean = 0, var = 0, count = pixels * width;
    for (int i = 0; i < pixels * width; i++)
      mean += base[i / width * c + i % width] / count;
    for (int i = 0; i < pixels * width; i++) {
      double away = base[i / width * c + i % width] - mean;
      var += away * away / count;
    }
    for (int i = 0; i < pixels * width; i++) {
      int k = unit % groups * width + i % width;
      int at = (unit / groups * pixels + i / width) * c + k;
      total += (gamma[k] * (x[at] - mean) / sqrt(var + epsilon) + beta[k]) * (double)dy[at];
    }
  }
  return total;
}

typedef struct NormCase {
  int rows, c, groups, pixels; /* groups == 0: over the batch */
  double *x, *gamma, *beta;
  float *dy;
} NormCase;

static double objective(const NormCase *t) {
  if (t->groups == 0)
    return batch_objective(t->rows, t->c, t->x, t->gamma, t->beta, 1e-3, t->dy);
  return group_objective(t->rows / t->pixels, t->pixels, t->c, t->groups, t->x, t->gamma, t->beta, 1e-3,
                         t->dy);
}

static void check_gradient(const char *what, NormCase *t, double *argument, int64_t count, const float *got) {
  double *want = test_doubles(count);
  for (int64_t i = 0; i < count; i++) {
    double kept = argument[i], step = 1e-5;
    argument[i] = kept + step;
    double up = objective(t);
    argument[i] = kept - step;
    double down = objective(t);
    argument[i] = kept;
    want[i] = (up - down) / (2 * step);
  }
  test_close(what, count, got, want, 3e-5);
  free(want);
}

static double *widened(const float *x, int64_t count) {
  double *wide = test_doubles(count);
  for (int64_t i = 0; i < count; i++)
    wide[i] = (double)x[i];
  return wide;
}

static const int norm_shapes[][2] = {{6, 1},  {5, 3},  {16, 17}, {33, 5}, {70, 31},
                                     {4, 40}, {9, 64}, {5, 83},  {7, 128}};
static const Act linear = {.kind = ACT_LINEAR};

Test(norm, batch_training) {
  for (size_t s = 0; s < sizeof norm_shapes / sizeof norm_shapes[0]; s++) {
    int rows = norm_shapes[s][0], c = norm_shapes[s][1], count = rows * c;
    float *x = test_tensor(count), *gamma = test_tensor(c), *beta = test_tensor(c), *dy = test_tensor(count);
    for (int i = 0; i < count; i++)
      x[i] += (float)(i % c % 40); /* means away from zero */
    float *y1 = NULL, *dx1 = NULL;
    for (int threads = 1; threads <= 3; threads++) {
      Work work = test_work(threads, batchnorm_scratch_floats(c));
      float *y = test_blank(count), *dx = test_blank(count), *dgamma = test_blank(c), *dbeta = test_blank(c);
      float *mean = test_blank(c), *invstd = test_blank(c), *moving_mean = test_tensor(c),
            *moving_var = test_tensor(c);
      float *old_mean = test_copy(moving_mean, c), *old_var = test_copy(moving_var, c);
      batchnorm_train_fwd(rows, c, x, gamma, beta, 1e-3f, 0.9f, moving_mean, moving_var, mean, invstd,
                          &linear, NULL, y, &work);
      batchnorm_train_bwd(rows, c, x, gamma, beta, mean, invstd, &linear, dy, dx, dgamma, dbeta, &work);
      for (int k = 0; k < c; k++) {
        double m = 0, v = 0;
        for (int i = 0; i < rows; i++)
          m += (double)x[i * c + k] / rows;
        for (int i = 0; i < rows; i++)
          v += ((double)x[i * c + k] - m) * ((double)x[i * c + k] - m) / rows;
        cr_assert(fabs((double)moving_mean[k] - (0.9 * (double)old_mean[k] + 0.1 * m)) < 1e-5);
        cr_assert(fabs((double)moving_var[k] - (0.9 * (double)old_var[k] + 0.1 * v)) < 1e-6);
        for (int i = 0; i < rows; i++) {
          double want = (double)gamma[k] * ((double)x[i * c + k] - m) / sqrt(v + 1e-3) + (double)beta[k];
          cr_assert(fabs((double)y[i * c + k] - want) < 2e-5, "y[%d][%d]", i, k);
        }
      }
      if (threads == 1) {
        NormCase t = {rows, c, 0, 1, widened(x, count), widened(gamma, c), widened(beta, c), dy};
        check_gradient("dx", &t, t.x, count, dx);
        check_gradient("dgamma", &t, t.gamma, c, dgamma);
        check_gradient("dbeta", &t, t.beta, c, dbeta);
        TEST_FREE(t.x, t.gamma, t.beta);
      } else {
        test_same_bits("batchnorm y", count, y, y1);
        test_same_bits("batchnorm dx", count, dx, dx1);
      }
      TEST_FREE(y1, dx1, dgamma, dbeta, mean, invstd, moving_mean, moving_var, old_mean, old_var,
                work.scratch);
      y1 = y, dx1 = dx;
    }
    TEST_FREE(x, gamma, beta, dy, y1, dx1);
  }
}

/* With an activation and a residual: forward the same bits as one after the other, backward the gradient of
 * the activation made from what the forward pass saw. */
Test(norm, batch_training_with_activation) {
  const Act acts[] = {{.kind = ACT_LINEAR},         {.kind = ACT_RELU, .a = INFINITY},
                      {.kind = ACT_RELU6},          {ACT_RELU, 0.7f, 0, 0},
                      {ACT_RELU, INFINITY, .2f, 0}, {.kind = ACT_SWISH},
                      {.kind = ACT_TANH},           {ACT_ELU, 1, 0, 0}};
  for (size_t s = 0; s < sizeof norm_shapes / sizeof norm_shapes[0]; s++)
    for (size_t a = 0; a < sizeof acts / sizeof acts[0]; a++) {
      int rows = norm_shapes[s][0], c = norm_shapes[s][1], count = rows * c;
      float *x = test_tensor(count), *gamma = test_tensor(c), *beta = test_tensor(c),
            *dy = test_tensor(count), *residual = test_tensor(count), *plain = test_blank(count),
            *y = test_blank(count), *mean = test_blank(c), *invstd = test_blank(c),
            *moving = test_tensor(2 * c), *dz = test_blank(count), *dx = test_blank(count),
            *want_dx = test_blank(count), *sums = test_blank(4 * c);
      for (int threads = 1; threads <= 3; threads++) {
        Work work = test_work(threads, batchnorm_scratch_floats(c));
        batchnorm_train_fwd(rows, c, x, gamma, beta, 1e-3f, 0.9f, moving, moving + c, mean, invstd, &linear,
                            NULL, plain, &work);
        memcpy(dz, plain, (size_t)count * sizeof(float)); /* before the activation */
        for (int i = 0; i < count; i++)
          plain[i] += residual[i];
        act_run(&acts[a], count, plain, plain);
        batchnorm_train_fwd(rows, c, x, gamma, beta, 1e-3f, 0.9f, moving, moving + c, mean, invstd, &acts[a],
                            residual, y, &work);
        for (int i = 0; i < count; i++) /* a clamp may give 0 where the activation gives -0 */
          cr_assert(y[i] == plain[i], "act %d, %d x %d: forward at %d", acts[a].kind, rows, c, i);
        batchnorm_train_apply(rows, c, x, gamma, beta, mean, invstd, &acts[a], residual, residual, &work);
        test_same_bits("batchnorm again, in place of its residual", count, residual, y);
        for (int i = 0; i < count; i++)
          residual[i] = test_uniform();
        act_run(&acts[a], count, dz, y);
        act_run_bwd(&acts[a], count, dz, y, dy, dz);
        batchnorm_train_bwd(rows, c, x, gamma, beta, mean, invstd, &linear, dz, want_dx, sums, sums + c,
                            &work);
        memcpy(dx, dy, (size_t)count * sizeof(float));
        batchnorm_train_bwd(rows, c, x, gamma, beta, mean, invstd, &acts[a], dx, dx, sums + 2 * c,
                            sums + 3 * c, &work);
        test_same_bits("dx through the activation", count, dx, want_dx);
        test_same_bits("dgamma, dbeta through the activation", 2 * c, sums + 2 * c, sums);
        TEST_FREE(work.scratch);
      }
      TEST_FREE(x, gamma, beta, dy, residual, plain, y, mean, invstd, moving, dz, dx, want_dx, sums);
    }
}

/* A mean 1e4 deviations away keeps the variance. */
Test(norm, batch_large_mean) {
  enum { ROWS = 1000, C = 20 };
  float *x = test_tensor(ROWS * C), *mean = test_blank(C), *invstd = test_blank(C), *y = test_blank(ROWS * C);
  float moving_mean[C] = {0}, moving_var[C] = {0};
  for (int i = 0; i < ROWS * C; i++)
    x[i] = 1000.0f + 0.1f * x[i];
  Work work = test_work(2, batchnorm_scratch_floats(C));
  batchnorm_train_fwd(ROWS, C, x, NULL, NULL, 1e-5f, 0.99f, moving_mean, moving_var, mean, invstd, &linear,
                      NULL, y, &work);
  for (int k = 0; k < C; k++) {
    double m = 0, v = 0;
    for (int i = 0; i < ROWS; i++)
      m += (double)x[i * C + k] / ROWS;
    for (int i = 0; i < ROWS; i++)
      v += ((double)x[i * C + k] - m) * ((double)x[i * C + k] - m) / ROWS;
    double want = 1 / sqrt(v + 1e-5);
    cr_assert(fabs((double)invstd[k] - want) < 1e-5 * want, "channel %d: %g not %g", k, (double)invstd[k],
              want);
  }
  TEST_FREE(x, mean, invstd, y, work.scratch);
}

Test(norm, batch_inference_and_folding) {
  enum { ROWS = 13, C = 37 };
  for (int with = 0; with < 4; with++) {
    float *x = test_tensor(ROWS * C), *mean = test_tensor(C), *var = test_tensor(C),
          *dy = test_tensor(ROWS * C);
    float *gamma = with & 1 ? test_tensor(C) : NULL, *beta = with & 2 ? test_tensor(C) : NULL,
          *bias = test_tensor(C);
    double *want = test_doubles(ROWS * C), *want_dx = test_doubles(ROWS * C),
           *want_w = test_doubles(ROWS * C);
    double *by_gamma = test_doubles(C), *by_beta = test_doubles(C), *want_bias = test_doubles(C);
    for (int k = 0; k < C; k++)
      var[k] = fabsf(var[k]);
    for (int i = 0; i < ROWS * C; i++) {
      int k = i % C;
      double invstd = 1 / sqrt((double)var[k] + 1e-3), scale = gamma ? (double)gamma[k] * invstd : invstd;
      want[i] = ((double)x[i] - (double)mean[k]) * scale + (beta ? (double)beta[k] : 0);
      want_dx[i] = (double)dy[i] * scale;
      want_w[i] = (double)x[i] * scale;
      by_beta[k] += (double)dy[i];
      by_gamma[k] += (double)dy[i] * ((double)x[i] - (double)mean[k]) * invstd;
      want_bias[k] = ((double)bias[k] - (double)mean[k]) * scale + (beta ? (double)beta[k] : 0);
    }
    Work work = test_work(2, batchnorm_scratch_floats(C));
    float *y = test_blank(ROWS * C), *dx = test_blank(ROWS * C), *dgamma = test_blank(C),
          *dbeta = test_blank(C);
    batchnorm_infer(ROWS, C, x, gamma, beta, mean, var, 1e-3f, y, &work);
    batchnorm_infer_bwd(ROWS, C, x, gamma, mean, var, 1e-3f, dy, dx, dgamma, dbeta, &work);
    test_close("inference", ROWS * C, y, want, 1e-6);
    test_close("inference dx", ROWS * C, dx, want_dx, 1e-6);
    test_close("inference dgamma", C, dgamma, by_gamma, 1e-5);
    test_close("inference dbeta", C, dbeta, by_beta, 1e-5);
    batchnorm_fold(ROWS, C, x, bias, gamma, beta, mean, var, 1e-3f, y, dbeta, &work);
    test_close("folded weights", ROWS * C, y, want_w, 1e-6);
    test_close("folded bias", C, dbeta, want_bias, 1e-6);
    TEST_FREE(x, mean, var, dy, gamma, beta, bias, want, want_dx, want_w, by_gamma, by_beta, want_bias, y, dx,
              dgamma, dbeta, work.scratch);
  }
}

Test(norm, groups_and_layers) {
  const int shapes[][4] = {
      {2, 5, 6, 3},    {3, 1, 17, 1},  {1, 9, 32, 8},  {2, 7, 4, 4},  {4, 1, 3, 1},
      {1100, 1, 5, 1}, {2, 3, 300, 1}, {2, 70, 40, 2}, {300, 5, 2, 1}}; /* n, pixels, c, groups */
  for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
    int n = shapes[s][0], pixels = shapes[s][1], c = shapes[s][2], groups = shapes[s][3],
        count = n * pixels * c;
    float *x = test_tensor(count), *gamma = test_tensor(c), *beta = test_tensor(c), *dy = test_tensor(count);
    float *y = test_blank(count), *dx = test_blank(count), *dgamma = test_blank(c), *dbeta = test_blank(c);
    float *mean = test_blank(n * groups), *invstd = test_blank(n * groups);
    float *once[4] = {NULL};
    for (int threads = 3; threads >= 1; threads--) {
      Work work = test_work(threads, group_norm_scratch_floats(c));
      float *results[] = {y, dx, dgamma, dbeta};
      group_norm_fwd(n, pixels, c, groups, x, gamma, beta, 1e-3f, mean, invstd, y, &work);
      group_norm_bwd(n, pixels, c, groups, x, gamma, mean, invstd, dy, dx, dgamma, dbeta, &work);
      for (int i = 0; i < 4; i++) {
        int64_t size = i < 2 ? count : c;
        if (once[i])
          test_same_bits("group norm", size, results[i], once[i]);
        else
          memcpy(once[i] = test_blank(size), results[i], (size_t)size * sizeof(float));
      }
      TEST_FREE(work.scratch);
    }
    NormCase t = {n * pixels, c, groups, pixels, widened(x, count), widened(gamma, c), widened(beta, c), dy};
    double got = 0, want = objective(&t);
    for (int i = 0; i < count; i++)
      got += (double)y[i] * (double)dy[i];
    cr_assert(fabs(got - want) < 1e-5 * (1 + fabs(want)), "group norm: %g not %g", got, want);
    check_gradient("group dx", &t, t.x, count, dx);
    check_gradient("group dgamma", &t, t.gamma, c, dgamma);
    check_gradient("group dbeta", &t, t.beta, c, dbeta);
    TEST_FREE(x, gamma, beta, dy, y, dx, dgamma, dbeta, mean, invstd, t.x, t.gamma, t.beta);
    TEST_FREE(once[0], once[1], once[2], once[3]);
  }
}

/* Values far from 0: their variance comes from what they differ by. */
Test(norm, groups_of_large_mean) {
  enum { PIXELS = 500, C = 20, GROUPS = 2 };
  float *x = test_tensor(PIXELS * C), *y = test_blank(PIXELS * C);
  Work work = test_work(1, 0);
  for (int i = 0; i < PIXELS * C; i++)
    x[i] = 1000.0f + x[i];
  group_norm_fwd(1, PIXELS, C, GROUPS, x, NULL, NULL, 1e-5f, NULL, NULL, y, &work);
  for (int group = 0; group < GROUPS; group++) {
    double sum = 0, squares = 0, count = PIXELS * C / GROUPS;
    for (int pass = 0; pass < 2; pass++)
      for (int i = 0; i < PIXELS * C; i++)
        if (i % C / (C / GROUPS) == group) {
          double away = (double)x[i] - sum / count * pass;
          if (pass)
            squares += away * away;
          else
            sum += away;
        }
    for (int i = 0; i < PIXELS * C; i++)
      if (i % C / (C / GROUPS) == group) {
        double want = ((double)x[i] - sum / count) / sqrt(squares / count + 1e-5);
        cr_assert(fabs((double)y[i] - want) < 2e-4, "group norm at %d: %g not %g", i, (double)y[i], want);
      }
  }
  TEST_FREE(x, y, work.scratch);
}
