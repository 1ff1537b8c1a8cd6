/* Losses, softmax, optimizers, dropout: gradients against central differences, formulas against plain ones in
 * double, draws against their statistics. */
#include "kernels/dropout.h"
#include "kernels/eltwise.h"
#include "kernels/loss.h"
#include "kernels/prelu.h"
#include "kernels/softmax.h"
#include "kernels/update.h"
#include "kernel_test.h"

typedef float Loss(const LossConfig *config, int n, int c, const float *y_true, const float *y_pred,
                   const float *sample_weight, float *dy_pred);

typedef enum LossData { PROBABILITIES, BITS, REALS, POSITIVE, LABELS, LOGITS } LossData;

typedef struct LossCase {
  const char *name;
  Loss *loss;
  LossConfig config;
  LossData data;
} LossCase;

static const LossCase loss_cases[] = {
    {"categorical", loss_categorical_crossentropy, {.sum = false}, PROBABILITIES},
    {"categorical smoothed", loss_categorical_crossentropy, {.label_smoothing = 0.1f}, PROBABILITIES},
    {"categorical logits", loss_categorical_crossentropy, {.from_logits = true}, LOGITS},
    {"sparse", loss_sparse_categorical_crossentropy, {.sum = false}, LABELS},
    {"categorical focal", loss_categorical_focal_crossentropy, {.alpha = 0.25f, .gamma = 2}, PROBABILITIES},
    {"categorical focal logits",
     loss_categorical_focal_crossentropy,
     {.alpha = 0.25f, .gamma = 3, .from_logits = true},
     LOGITS},
    {"binary", loss_binary_crossentropy, {.label_smoothing = 0.2f}, BITS},
    {"binary logits", loss_binary_crossentropy, {.from_logits = true}, LOGITS},
    {"binary focal",
     loss_binary_focal_crossentropy,
     {.alpha = 0.25f, .gamma = 2, .apply_class_balancing = true},
     BITS},
    {"binary focal logits",
     loss_binary_focal_crossentropy,
     {.alpha = 0.25f, .gamma = 2, .from_logits = true},
     LOGITS},
    {"squared", loss_mean_squared_error, {.sum = false}, REALS},
    {"squared sum", loss_mean_squared_error, {.sum = true}, REALS},
    {"absolute", loss_mean_absolute_error, {.sum = false}, REALS},
    {"percentage", loss_mean_absolute_percentage_error, {.sum = false}, REALS},
    {"logarithmic", loss_mean_squared_logarithmic_error, {.sum = false}, POSITIVE},
    {"huber", loss_huber, {.delta = 0.5f}, REALS},
    {"log cosh", loss_log_cosh, {.sum = false}, REALS},
    {"divergence", loss_kl_divergence, {.sum = false}, PROBABILITIES},
    {"poisson", loss_poisson, {.sum = false}, POSITIVE},
    {"hinge", loss_hinge, {.sum = false}, BITS},
    {"squared hinge", loss_squared_hinge, {.sum = false}, BITS},
    {"categorical hinge", loss_categorical_hinge, {.sum = false}, PROBABILITIES},
    {"cosine", loss_cosine_similarity, {.sum = false}, REALS},
};

Test(train, loss_gradients) {
  enum { N = 4, C = 5 };
  for (size_t k = 0; k < sizeof loss_cases / sizeof loss_cases[0]; k++) {
    const LossCase *t = &loss_cases[k];
    float *y_true = test_tensor(N * C), *y_pred = test_tensor(N * C), *weight = test_tensor(N);
    float *dy = test_blank(N * C);
    for (int i = 0; i < N * C; i++) {
      bool one = t->data == BITS ? i % 3 == 0 : i % C == i / C % C;
      if (t->data != REALS)
        y_true[i] = one;
      if (t->data == POSITIVE)
        y_true[i] = 0.3f + (float)(i % 4);
      if (t->data == LABELS && i < N)
        y_true[i] = (float)(i % C);
      if (t->data == LOGITS)
        y_pred[i] *= 3;
      else if (t->data != REALS)
        y_pred[i] = 0.5f + 0.45f * y_pred[i];
    }
    for (int i = 0; i < N; i++)
      weight[i] = 1 + 0.5f * weight[i];
    const float *weights = k % 2 ? weight : NULL;
    float loss = t->loss(&t->config, N, C, y_true, y_pred, weights, dy);
    cr_assert(loss == t->loss(&t->config, N, C, y_true, y_pred, weights, NULL), "%s", t->name);
    for (int i = 0; i < N * C; i++) {
      float kept = y_pred[i], step = 0.004f;
      y_pred[i] = kept + step;
      double up = (double)t->loss(&t->config, N, C, y_true, y_pred, weights, NULL), high = (double)y_pred[i];
      y_pred[i] = kept - step;
      double down = (double)t->loss(&t->config, N, C, y_true, y_pred, weights, NULL), slope = up - down;
      slope /= high - (double)y_pred[i];
      y_pred[i] = kept;
      cr_assert(fabs((double)dy[i] - slope) <= 6e-3 * (0.05 + fabs(slope)) + 1e-4 * fabs((double)loss),
                "%s: [%d] %g not %g", t->name, i, (double)dy[i], slope);
    }
    TEST_FREE(y_true, y_pred, weight, dy);
  }
}

/* The loss of one row as a function of the logits z, in double: of their softmax or sigmoid. */
static double loss_of_logits(bool binary, const LossConfig *config, int c, const float *y_true,
                             const double *z) {
  double sum = 0, loss = 0, smooth = (double)config->label_smoothing;
  for (int i = 0; i < c; i++)
    sum += exp(z[i]);
  for (int i = 0; i < c; i++) {
    double t = (double)y_true[i] * (1 - smooth) + smooth / (binary ? 2 : c);
    loss -= binary ? (t * -log1p(exp(-z[i])) + (1 - t) * -log1p(exp(z[i]))) / c : t * (z[i] - log(sum));
  }
  return loss;
}

/* The gradient through the softmax or sigmoid: central differences of the whole, and zero for clipped ones.
 */
Test(train, loss_by_logits) {
  enum { ROWS = 5 };
  const int widths[] = {1, 2, 3, 17, 100};
  for (int k = 0; k < 5 * 4; k++) {
    int c = widths[k / 4];
    bool binary = k % 2;
    LossConfig config = {.label_smoothing = k / 2 % 2 ? 0.1f : 0, .by_logits = true};
    float *z = test_tensor(ROWS * c), *p = test_blank(ROWS * c), *t = test_tensor(ROWS * c),
          *weight = test_tensor(ROWS), *dz = test_blank(ROWS * c);
    double *want = test_doubles(ROWS * c), *wide = test_doubles(c);
    Work work = test_work(2, 0);
    for (int i = 0; i < ROWS * c; i++) {
      z[i] *= 3;
      t[i] = fabsf(t[i]) / (binary ? 1 : (float)c);
    }
    if (binary)
      act_fwd(&(const Act){.kind = ACT_SIGMOID}, ROWS * c, z, p, &work);
    else
      softmax_fwd(ROWS, c, z, p, &work);
    (binary ? loss_binary_crossentropy : loss_categorical_crossentropy)(&config, ROWS, c, t, p, weight, dz);
    for (int row = 0; row < ROWS && (binary || c > 1); row++)
      for (int i = 0; i < c; i++) {
        for (int j = 0; j < c; j++)
          wide[j] = (double)z[row * c + j];
        wide[i] += 1e-5;
        double up = loss_of_logits(binary, &config, c, t + row * c, wide);
        wide[i] -= 2e-5;
        double down = loss_of_logits(binary, &config, c, t + row * c, wide);
        want[row * c + i] = (double)weight[row] / ROWS * (up - down) / 2e-5;
      }
    if (binary || c > 1)
      test_close(binary ? "binary by logits" : "categorical by logits", ROWS * c, dz, want, 1e-5);
    TEST_FREE(z, p, t, weight, dz, want, wide, work.scratch);
  }
  /* A right probability of 1 counts as 1 - 1e-7 and has no gradient; a wrong one of 0 none by itself. */
  const float hard[] = {1, 0, 0}, truth[] = {0, 1, 0}, label[] = {1};
  float dz[3];
  LossConfig config = {.by_logits = true};
  loss_sparse_categorical_crossentropy(&config, 1, 3, label, hard, NULL, dz);
  cr_assert(dz[0] == 0 && dz[1] == 0 && dz[2] == 0);
  loss_binary_crossentropy(&config, 1, 3, truth, hard, NULL, dz);
  cr_assert(dz[0] == 0 && dz[1] == 0 && dz[2] == 0);
}

Test(train, softmax) {
  const int widths[] = {1, 2, 3, 16, 17, 40};
  for (size_t s = 0; s < sizeof widths / sizeof widths[0]; s++) {
    enum { ROWS = 5 };
    int c = widths[s], count = ROWS * c;
    float *x = test_tensor(count), *dy = test_tensor(count), *y = test_blank(count), *dx = test_blank(count);
    double *want = test_doubles(count), *want_dx = test_doubles(count), *log_y = test_doubles(count),
           *log_dx = test_doubles(count);
    for (int row = 0; row < ROWS; row++) {
      double most = -HUGE_VAL, sum = 0, dot = 0, total = 0;
      for (int i = row * c; i < (row + 1) * c; i++) {
        x[i] *= row == 0 ? 200 : 5;
        most = fmax(most, (double)x[i]);
      }
      for (int i = row * c; i < (row + 1) * c; i++)
        sum += exp((double)x[i] - most);
      for (int i = row * c; i < (row + 1) * c; i++) {
        want[i] = exp((double)x[i] - most) / sum;
        log_y[i] = (double)x[i] - most - log(sum);
        dot += want[i] * (double)dy[i];
        total += (double)dy[i];
      }
      for (int i = row * c; i < (row + 1) * c; i++) {
        want_dx[i] = want[i] * ((double)dy[i] - dot);
        log_dx[i] = (double)dy[i] - want[i] * total;
      }
    }
    Work work = test_work(2, 0);
    softmax_fwd(ROWS, c, x, y, &work);
    test_close("softmax", count, y, want, 1e-6);
    softmax_bwd(ROWS, c, y, dy, dx, &work);
    if (c > 1)
      test_close("softmax gradient", count, dx, want_dx, 2e-5);
    log_softmax_fwd(ROWS, c, x, y, &work);
    test_close("log softmax", count, y, log_y, 1e-6);
    log_softmax_bwd(ROWS, c, y, dy, dx, &work);
    if (c > 1)
      test_close("log softmax gradient", count, dx, log_dx, 2e-5);
    TEST_FREE(x, dy, y, dx, want, want_dx, log_y, log_dx, work.scratch);
  }
}

/* One weight through one step, in double: Keras's formulas once more, written plainly. */
static double plain_update(const UpdateConfig *c, double lr, int step, double w, double g, double *s) {
  double t = step + 1, b1 = (double)c->beta_1, b2 = (double)c->beta_2, eps = (double)c->epsilon,
         rho = (double)c->rho;
  double mu = (double)c->momentum;
  w -= w * (double)c->weight_decay * lr;
  switch (c->kind) {
  case UPDATE_SGD:
    if (mu == 0)
      return w - lr * g;
    s[0] = mu * s[0] - lr * g;
    return w + (c->nesterov ? mu * s[0] - lr * g : s[0]);
  case UPDATE_RMSPROP: {
    s[0] = rho * s[0] + (1 - rho) * g * g;
    double *mean = mu == 0 ? &s[1] : &s[2], below = s[0];
    if (c->centered) {
      *mean = rho * *mean + (1 - rho) * g;
      below -= *mean * *mean;
    }
    double move = lr * g / sqrt(below + eps);
    if (mu == 0)
      return w - move;
    s[1] = mu * s[1] + move;
    return w - s[1];
  }
  case UPDATE_ADAM: {
    s[0] += (g - s[0]) * (1 - b1);
    s[1] += (g * g - s[1]) * (1 - b2);
    s[2] = fmax(s[2], s[1]);
    double second = c->amsgrad ? s[2] : s[1];
    return w - lr * sqrt(1 - pow(b2, t)) / (1 - pow(b1, t)) * s[0] / (sqrt(second) + eps);
  }
  case UPDATE_ADAGRAD:
    s[0] += g * g;
    return w - lr * g / sqrt(s[0] + (double)c->initial_accumulator + eps);
  case UPDATE_ADADELTA: {
    s[0] = rho * s[0] + (1 - rho) * g * g;
    double move = sqrt(s[1] + eps) / sqrt(s[0] + eps) * g;
    s[1] = rho * s[1] + (1 - rho) * move * move;
    return w - lr * move;
  }
  case UPDATE_ADAMAX:
    s[0] += (g - s[0]) * (1 - b1);
    s[1] = fmax(b2 * s[1], fabs(g));
    return w - lr / (1 - pow(b1, t)) * s[0] / (s[1] + eps);
  case UPDATE_NADAM: {
    double product = 1;
    for (int i = 1; i <= step + 1; i++)
      product *= b1 * (1 - 0.5 * pow(0.96, i));
    double now = b1 * (1 - 0.5 * pow(0.96, t)), next = b1 * (1 - 0.5 * pow(0.96, t + 1));
    s[0] += (g - s[0]) * (1 - b1);
    s[1] += (g * g - s[1]) * (1 - b2);
    double first = next * s[0] / (1 - product * next) + (1 - now) * g / (1 - product);
    return w - lr * first / (sqrt(s[1] / (1 - pow(b2, t))) + eps);
  }
  case UPDATE_LION: {
    double ahead = s[0] * b1 + g * (1 - b1);
    s[0] = s[0] * b2 + g * (1 - b2);
    return w - lr * ((ahead > 0) - (ahead < 0));
  }
  case UPDATE_FTRL: {
    double power = -(double)c->learning_rate_power, old = s[0] + (double)c->initial_accumulator,
           sum = old + g * g;
    s[0] += g * g;
    s[1] += g + 2 * (double)c->l2_shrinkage * w - (pow(sum, power) - pow(old, power)) / lr * w;
    double below = pow(sum, power) / lr + 2 * ((double)c->l2 + (double)c->beta / (2 * lr));
    return (fmax(-(double)c->l1, fmin((double)c->l1, s[1])) - s[1]) / below;
  }
  }
  return w;
}

Test(train, updates) {
  const UpdateConfig configs[] = {
      {.kind = UPDATE_SGD},
      {.kind = UPDATE_SGD, .weight_decay = 0.1f},
      {.kind = UPDATE_SGD, .momentum = 0.9f},
      {.kind = UPDATE_SGD, .momentum = 0.9f, .nesterov = true},
      {.kind = UPDATE_RMSPROP, .rho = 0.9f, .epsilon = 1e-7f},
      {.kind = UPDATE_RMSPROP, .rho = 0.8f, .epsilon = 1e-7f, .momentum = 0.5f},
      {.kind = UPDATE_RMSPROP, .rho = 0.8f, .epsilon = 1e-3f, .centered = true},
      {.kind = UPDATE_RMSPROP, .rho = 0.8f, .epsilon = 1e-3f, .centered = true, .momentum = 0.5f},
      {.kind = UPDATE_ADAM, .beta_1 = 0.9f, .beta_2 = 0.999f, .epsilon = 1e-7f},
      {.kind = UPDATE_ADAM,
       .beta_1 = 0.8f,
       .beta_2 = 0.9f,
       .epsilon = 1e-3f,
       .amsgrad = true,
       .weight_decay = 0.02f},
      {.kind = UPDATE_ADAGRAD, .epsilon = 1e-7f, .initial_accumulator = 0.1f},
      {.kind = UPDATE_ADADELTA, .rho = 0.95f, .epsilon = 1e-7f},
      {.kind = UPDATE_ADAMAX, .beta_1 = 0.9f, .beta_2 = 0.999f, .epsilon = 1e-7f},
      {.kind = UPDATE_NADAM, .beta_1 = 0.9f, .beta_2 = 0.999f, .epsilon = 1e-7f},
      {.kind = UPDATE_LION, .beta_1 = 0.9f, .beta_2 = 0.99f},
      {.kind = UPDATE_FTRL, .learning_rate_power = -0.5f, .initial_accumulator = 0.1f},
      {.kind = UPDATE_FTRL,
       .learning_rate_power = -0.4f,
       .initial_accumulator = 0.1f,
       .l1 = 0.01f,
       .l2 = 0.02f,
       .l2_shrinkage = 0.03f,
       .beta = 0.1f},
  };
  enum { COUNT = 5003, STEPS = 4 };
  for (size_t k = 0; k < sizeof configs / sizeof configs[0]; k++) {
    const UpdateConfig *c = &configs[k];
    float *start = test_tensor(COUNT), *grads = test_tensor(COUNT * STEPS), *kept = NULL;
    double *want = test_doubles(COUNT), *state = test_doubles(3 * COUNT);
    for (int i = 0; i < COUNT; i++) {
      want[i] = (double)start[i];
      for (int step = 0; step < STEPS; step++)
        want[i] = plain_update(c, 0.01, step, want[i], (double)grads[step * COUNT + i], state + 3 * i);
    }
    for (int threads = 1; threads <= 3; threads++) {
      Work work = test_work(threads, 0);
      float *w = test_copy(start, COUNT), *s[3] = {NULL, NULL, NULL};
      for (int i = 0; i < update_slots(c); i++) {
        s[i] = test_blank(COUNT);
        memset(s[i], 0, COUNT * sizeof(float));
      }
      for (int step = 0; step < STEPS; step++) {
        Update u;
        update_begin(&u, c, 0.01, step);
        update_apply(&u, COUNT, grads + step * COUNT, w, s[0], s[1], s[2], &work);
      }
      test_close("update", COUNT, w, want, 2e-6);
      if (kept)
        test_same_bits("update", COUNT, w, kept);
      TEST_FREE(kept, s[0], s[1], s[2], work.scratch);
      kept = w;
    }
    TEST_FREE(start, grads, kept, want, state);
  }
}

Test(train, dropout) {
  enum { COUNT = 100001 };
  float *x = test_tensor(COUNT), *y = test_blank(COUNT), *again = test_blank(COUNT);
  for (int i = 0; i < COUNT; i++)
    x[i] += x[i] < 0 ? -0.1f : 0.1f;
  Work one = test_work(1, 0), three = test_work(3, 0);
  dropout_fwd(COUNT, 0.25f, 7, 3, 2, x, y, &one);
  dropout_bwd(COUNT, 0.25f, 7, 3, 2, x, again, &three);
  test_same_bits("dropout", COUNT, y, again);
  int dropped = 0, both = 0;
  for (int i = 0; i < COUNT; i++) {
    dropped += y[i] == 0;
    both += i > 0 && y[i] == 0 && y[i - 1] == 0;
    cr_assert(y[i] == 0 || fabsf(y[i] - x[i] / 0.75f) < 1e-6f);
  }
  cr_assert(abs(dropped - COUNT / 4) < 700 && abs(both - COUNT / 16) < 500, "%d dropped, %d pairs", dropped,
            both);
  dropout_fwd(COUNT, 0.25f, 7, 4, 2, x, again, &one);
  int same = 0;
  for (int i = 0; i < COUNT; i++)
    same += (y[i] == 0) == (again[i] == 0);
  cr_assert(abs(same - COUNT * 5 / 8) < 800, "steps are not independent: %d alike", same);
  double mean = 0, squares = 0;
  for (int i = 0; i < COUNT; i++)
    x[i] = 0;
  gaussian_noise_fwd(COUNT, 2, 1, 0, 0, x, y, &three);
  for (int i = 0; i < COUNT; i++) {
    mean += (double)y[i] / COUNT;
    squares += (double)y[i] * (double)y[i] / COUNT;
  }
  cr_assert(fabs(mean) < 0.03 && fabs(squares - 4) < 0.08, "noise: mean %g, variance %g", mean, squares);
  TEST_FREE(x, y, again, one.scratch, three.scratch);
}

Test(train, prelu) {
  const int d[3] = {3, 4, 5}, shared[][3] = {{3, 4, 5}, {1, 1, 5}, {3, 1, 1}, {1, 1, 1}};
  enum { N = 3, COUNT = N * 60 };
  for (size_t s = 0; s < sizeof shared / sizeof shared[0]; s++) {
    const int *e = shared[s];
    int alphas = e[0] * e[1] * e[2];
    float *x = test_tensor(COUNT), *alpha = test_tensor(alphas), *dy = test_tensor(COUNT);
    float *y = test_blank(COUNT), *dx = test_blank(COUNT), *dalpha = test_blank(alphas);
    double *want = test_doubles(alphas);
    Work work = test_work(2, 0);
    prelu_fwd(N, d, e, x, alpha, y, &work);
    prelu_bwd_x(N, d, e, x, alpha, dy, dx, &work);
    prelu_bwd_alpha(N, d, e, x, dy, dalpha, &work);
    for (int i = 0; i < COUNT; i++) {
      int at[3] = {i / 20 % 3, i / 5 % 4, i % 5}, k = 0;
      for (int axis = 0; axis < 3; axis++)
        k = k * e[axis] + (e[axis] > 1 ? at[axis] : 0);
      cr_assert(y[i] == (x[i] >= 0 ? x[i] : x[i] * alpha[k]) &&
                dx[i] == (x[i] >= 0 ? dy[i] : dy[i] * alpha[k]));
      want[k] += x[i] < 0 ? (double)x[i] * (double)dy[i] : 0;
    }
    test_close("dalpha", alphas, dalpha, want, 1e-6);
    TEST_FREE(x, alpha, dy, y, dx, dalpha, want, work.scratch);
  }
}
