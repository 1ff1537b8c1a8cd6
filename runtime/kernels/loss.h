/* Losses with their gradients, as keras.losses defines them.
 *
 * Every loss has the same form:
 *   float loss_<name>(const LossConfig *config, int n, int c, const float *y_true, const float *y_pred,
 *                     const float *sample_weight, float *dy_pred)
 * y_true and y_pred are [n][c] (the sparse ones: y_true [n], a class number); sample_weight [n] or NULL;
 * dy_pred [n][c] is overwritten with the gradient of what is returned, unless it is NULL.  Returned is the
 * mean over the n rows, sum(weight * loss) / n, or their sum where the config says so.  Rows are summed in
 * double, in order. */
#ifndef NETC_KERNELS_LOSS_H
#define NETC_KERNELS_LOSS_H
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Keras's arguments, with its names; 0 where a loss does not know one. */
typedef struct LossConfig {
  float label_smoothing;
  float alpha, gamma; /* of the focal losses */
  float delta;        /* of huber */
  bool from_logits;
  bool apply_class_balancing; /* of binary_focal_crossentropy */
  bool sum;                   /* reduction = "sum" instead of the mean over rows */
  bool by_logits;             /* the gradient is by what the softmax (of the categorical cross-entropies) or
                                 the sigmoid (of the binary one) was given that made y_pred */
  bool hinge_labels;          /* set inside: the targets are 0 and 1 and count as -1 and 1 */
} LossConfig;

/* The loss of one row; `dy` (or NULL) is overwritten with its gradient times `share`. */
typedef double LossRow(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                       double share, float *dy);

#define LOSS_EPSILON 1e-7f /* keras.config.epsilon(), at which probabilities are clipped */

static float loss_over_rows(const LossConfig *config, int n, int c, int target_floats, LossRow *row,
                            const float *y_true, const float *y_pred, const float *sample_weight,
                            float *dy_pred) {
  double sum = 0, share = config->sum ? 1 : 1 / (double)n;
  for (int i = 0; i < n; i++) {
    double weight = share * (sample_weight ? (double)sample_weight[i] : 1);
    float *dy = dy_pred ? dy_pred + (size_t)i * (size_t)c : NULL;
    sum += weight * row(config, c, y_true + (size_t)i * (size_t)target_floats, y_pred + (size_t)i * (size_t)c,
                        weight, dy);
  }
  return (float)sum;
}

/* A probability inside [epsilon, 1 - epsilon]; *inside says whether it was there already (else its gradient
 * is 0). */
static inline double loss_clip(double p, bool *inside) {
  double low = (double)LOSS_EPSILON, high = (double)(1 - LOSS_EPSILON);
  *inside = p >= low && p <= high;
  return p < low ? low : p > high ? high : p;
}

static inline double loss_sigmoid(double x) {
  return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

/* max and log of sum exp(x - max). */
static inline double loss_log_sum_exp(int c, const float *x, double *most) {
  double sum = 0;
  *most = (double)x[0];
  for (int i = 1; i < c; i++)
    *most = (double)x[i] > *most ? (double)x[i] : *most;
  for (int i = 0; i < c; i++)
    sum += exp((double)x[i] - *most);
  return log(sum);
}

/* -sum t log p over p = softmax(y_pred), or y_pred over its sum, clipped.  Where y_true is NULL, `label`
 * stands for a one-hot t.
 *
 * The gradient through the softmax that made p is p sum t - t, over those t whose p is not clipped: what the
 * products of both derivatives come to, without their rounding. */
static double loss_cross_entropy(const LossConfig *config, int c, const float *y_true, int label,
                                 const float *y_pred, double share, float *dy) {
  double smooth = (double)config->label_smoothing, loss = 0, mass = 0, normal = 0, most = 0, log_sum = 0;
  if (config->from_logits)
    log_sum = loss_log_sum_exp(c, y_pred, &most);
  else
    for (int i = 0; i < c; i++)
      normal += (double)y_pred[i];
  for (int i = 0; i < c; i++) {
    double t = y_true ? (double)y_true[i] : label == i;
    t = t * (1 - smooth) + smooth / c;
    if (config->from_logits) {
      loss -= t != 0 ? t * ((double)y_pred[i] - most - log_sum) : 0;
      mass += t;
      continue;
    }
    bool inside;
    double p = loss_clip((double)y_pred[i] / normal, &inside);
    loss -= t != 0 ? t * log(p) : 0;
    mass += inside ? t : 0;
  }
  for (int i = 0; dy && i < c; i++) {
    double t = y_true ? (double)y_true[i] : label == i;
    t = t * (1 - smooth) + smooth / c;
    if (config->from_logits) {
      dy[i] = (float)(share * (mass * exp((double)y_pred[i] - most - log_sum) - t));
    } else {
      bool inside;
      double p = loss_clip((double)y_pred[i] / normal, &inside);
      if (config->by_logits)
        dy[i] = (float)(share * (mass * (double)y_pred[i] / normal - (inside ? t : 0)));
      else
        dy[i] = (float)(share * (mass - (inside ? t / p : 0)) / normal);
    }
  }
  return loss;
}

static double loss_row_categorical(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                                   double share, float *dy) {
  return loss_cross_entropy(config, c, y_true, -1, y_pred, share, dy);
}

static float loss_categorical_crossentropy(const LossConfig *config, int n, int c, const float *y_true,
                                           const float *y_pred, const float *sample_weight, float *dy_pred) {
  return loss_over_rows(config, n, c, c, loss_row_categorical, y_true, y_pred, sample_weight, dy_pred);
}

static double loss_row_sparse(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                              double share, float *dy) {
  return loss_cross_entropy(config, c, NULL, (int)y_true[0], y_pred, share, dy);
}

/* y_true [n]: class numbers. */
static float loss_sparse_categorical_crossentropy(const LossConfig *config, int n, int c, const float *y_true,
                                                  const float *y_pred, const float *sample_weight,
                                                  float *dy_pred) {
  return loss_over_rows(config, n, c, 1, loss_row_sparse, y_true, y_pred, sample_weight, dy_pred);
}

/* sum over classes of alpha (1 - p)^gamma * (-t log p), p clipped. */
static double loss_row_categorical_focal(const LossConfig *config, int c, const float *y_true,
                                         const float *y_pred, double share, float *dy) {
  double smooth = (double)config->label_smoothing, alpha = (double)config->alpha,
         gamma = (double)config->gamma;
  double loss = 0, dot = 0, normal = 0, most = 0, log_sum = 0;
  if (config->from_logits)
    log_sum = loss_log_sum_exp(c, y_pred, &most);
  else
    for (int i = 0; i < c; i++)
      normal += (double)y_pred[i];
  for (int pass = 0; pass < (dy ? 2 : 1); pass++)
    for (int i = 0; i < c; i++) {
      double t = (double)y_true[i] * (1 - smooth) + smooth / c;
      bool inside;
      double raw = config->from_logits ? exp((double)y_pred[i] - most - log_sum) : (double)y_pred[i] / normal;
      double p = loss_clip(raw, &inside), fade = pow(1 - p, gamma - 1);
      double slope = inside ? alpha * t * (gamma * fade * log(p) - fade * (1 - p) / p) : 0;
      if (pass == 0) {
        loss -= alpha * t * fade * (1 - p) * log(p);
        dot += slope * raw;
      } else if (config->from_logits) {
        dy[i] = (float)(share * raw * (slope - dot));
      } else {
        dy[i] = (float)(share * (slope - dot) / normal);
      }
    }
  return loss;
}

static float loss_categorical_focal_crossentropy(const LossConfig *config, int n, int c, const float *y_true,
                                                 const float *y_pred, const float *sample_weight,
                                                 float *dy_pred) {
  return loss_over_rows(config, n, c, c, loss_row_categorical_focal, y_true, y_pred, sample_weight, dy_pred);
}

/* mean of -(t log p + (1 - t) log(1 - p)); the gradient through the sigmoid that made p is p - t, 0 where p
 * is clipped. */
static double loss_row_binary(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                              double share, float *dy) {
  double smooth = (double)config->label_smoothing, loss = 0;
  for (int i = 0; i < c; i++) {
    double t = (double)y_true[i] * (1 - smooth) + 0.5 * smooth, x = (double)y_pred[i], slope;
    if (config->from_logits) {
      loss += (x > 0 ? x : 0) - x * t + log1p(exp(-fabs(x)));
      slope = loss_sigmoid(x) - t;
    } else {
      bool inside;
      double p = loss_clip(x, &inside);
      loss -= t * log(p) + (1 - t) * log(1 - p);
      slope = !inside ? 0 : config->by_logits ? p - t : (p - t) / (p * (1 - p));
    }
    if (dy)
      dy[i] = (float)(share * slope / c);
  }
  return loss / c;
}

static float loss_binary_crossentropy(const LossConfig *config, int n, int c, const float *y_true,
                                      const float *y_pred, const float *sample_weight, float *dy_pred) {
  return loss_over_rows(config, n, c, c, loss_row_binary, y_true, y_pred, sample_weight, dy_pred);
}

/* mean of (1 - p_t)^gamma * binary cross-entropy, p_t = t p + (1 - t)(1 - p); alpha weighs the classes if
 * asked to. */
static double loss_row_binary_focal(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                                    double share, float *dy) {
  double smooth = (double)config->label_smoothing, alpha = (double)config->alpha,
         gamma = (double)config->gamma;
  double loss = 0;
  for (int i = 0; i < c; i++) {
    double t = (double)y_true[i] * (1 - smooth) + 0.5 * smooth, x = (double)y_pred[i];
    double raw = config->from_logits ? loss_sigmoid(x) : x;
    bool inside;
    double p = loss_clip(raw, &inside), entropy = -(t * log(p) + (1 - t) * log(1 - p));
    double miss = 1 - (t * raw + (1 - t) * (1 - raw)), weight = 1;
    if (config->apply_class_balancing)
      weight = t * alpha + (1 - t) * (1 - alpha);
    loss += weight * pow(miss, gamma) * entropy;
    if (!dy)
      continue;
    double slope = gamma * pow(miss, gamma - 1) * (1 - 2 * t) * entropy;
    slope += inside ? pow(miss, gamma) * (p - t) / (p * (1 - p)) : 0;
    slope *= config->from_logits ? raw * (1 - raw) : 1;
    dy[i] = (float)(share * weight * slope / c);
  }
  return loss / c;
}

static float loss_binary_focal_crossentropy(const LossConfig *config, int n, int c, const float *y_true,
                                            const float *y_pred, const float *sample_weight, float *dy_pred) {
  return loss_over_rows(config, n, c, c, loss_row_binary_focal, y_true, y_pred, sample_weight, dy_pred);
}

/* mean of (p - t)^2 */
static double loss_row_squared(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                               double share, float *dy) {
  (void)config;
  double loss = 0;
  for (int i = 0; i < c; i++) {
    double error = (double)y_pred[i] - (double)y_true[i];
    loss += error * error;
    if (dy)
      dy[i] = (float)(share * 2 * error / c);
  }
  return loss / c;
}

static float loss_mean_squared_error(const LossConfig *config, int n, int c, const float *y_true,
                                     const float *y_pred, const float *sample_weight, float *dy_pred) {
  return loss_over_rows(config, n, c, c, loss_row_squared, y_true, y_pred, sample_weight, dy_pred);
}

/* mean of |p - t| */
static double loss_row_absolute(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                                double share, float *dy) {
  (void)config;
  double loss = 0;
  for (int i = 0; i < c; i++) {
    double error = (double)y_pred[i] - (double)y_true[i];
    loss += fabs(error);
    if (dy)
      dy[i] = (float)(share * ((error > 0) - (error < 0)) / c);
  }
  return loss / c;
}

static float loss_mean_absolute_error(const LossConfig *config, int n, int c, const float *y_true,
                                      const float *y_pred, const float *sample_weight, float *dy_pred) {
  return loss_over_rows(config, n, c, c, loss_row_absolute, y_true, y_pred, sample_weight, dy_pred);
}

/* 100 * mean of |(t - p) / max(|t|, epsilon)| */
static double loss_row_percentage(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                                  double share, float *dy) {
  (void)config;
  double loss = 0;
  for (int i = 0; i < c; i++) {
    double error = (double)y_pred[i] - (double)y_true[i], size = fabs((double)y_true[i]);
    size = size > (double)LOSS_EPSILON ? size : (double)LOSS_EPSILON;
    loss += 100 * fabs(error) / size;
    if (dy)
      dy[i] = (float)(share * 100 * ((error > 0) - (error < 0)) / size / c);
  }
  return loss / c;
}

static float loss_mean_absolute_percentage_error(const LossConfig *config, int n, int c, const float *y_true,
                                                 const float *y_pred, const float *sample_weight,
                                                 float *dy_pred) {
  return loss_over_rows(config, n, c, c, loss_row_percentage, y_true, y_pred, sample_weight, dy_pred);
}

/* mean of (log(max(t, epsilon) + 1) - log(max(p, epsilon) + 1))^2 */
static double loss_row_logarithmic(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                                   double share, float *dy) {
  (void)config;
  double loss = 0, least = (double)LOSS_EPSILON;
  for (int i = 0; i < c; i++) {
    double t = (double)y_true[i] > least ? (double)y_true[i] : least;
    double p = (double)y_pred[i] > least ? (double)y_pred[i] : least;
    double error = log1p(p) - log1p(t);
    loss += error * error;
    if (dy)
      dy[i] = (double)y_pred[i] < least ? 0 : (float)(share * 2 * error / (p + 1) / c);
  }
  return loss / c;
}

static float loss_mean_squared_logarithmic_error(const LossConfig *config, int n, int c, const float *y_true,
                                                 const float *y_pred, const float *sample_weight,
                                                 float *dy_pred) {
  return loss_over_rows(config, n, c, c, loss_row_logarithmic, y_true, y_pred, sample_weight, dy_pred);
}

/* mean of e^2 / 2 where |e| <= delta, else delta |e| - delta^2 / 2 */
static double loss_row_huber(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                             double share, float *dy) {
  double loss = 0, delta = (double)config->delta;
  for (int i = 0; i < c; i++) {
    double error = (double)y_pred[i] - (double)y_true[i], size = fabs(error);
    loss += size <= delta ? error * error / 2 : delta * size - delta * delta / 2;
    if (dy)
      dy[i] = (float)(share * (size <= delta ? error : error > 0 ? delta : -delta) / c);
  }
  return loss / c;
}

static float loss_huber(const LossConfig *config, int n, int c, const float *y_true, const float *y_pred,
                        const float *sample_weight, float *dy_pred) {
  return loss_over_rows(config, n, c, c, loss_row_huber, y_true, y_pred, sample_weight, dy_pred);
}

/* mean of log cosh e = |e| + log1p(exp(-2 |e|)) - log 2 */
static double loss_row_log_cosh(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                                double share, float *dy) {
  (void)config;
  double loss = 0;
  for (int i = 0; i < c; i++) {
    double error = (double)y_pred[i] - (double)y_true[i], size = fabs(error);
    loss += size + log1p(exp(-2 * size)) - 0.693147180559945309;
    if (dy)
      dy[i] = (float)(share * tanh(error) / c);
  }
  return loss / c;
}

static float loss_log_cosh(const LossConfig *config, int n, int c, const float *y_true, const float *y_pred,
                           const float *sample_weight, float *dy_pred) {
  return loss_over_rows(config, n, c, c, loss_row_log_cosh, y_true, y_pred, sample_weight, dy_pred);
}

/* sum of t log(t / p), both clipped to [epsilon, 1] */
static double loss_row_divergence(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                                  double share, float *dy) {
  (void)config;
  double loss = 0, low = (double)LOSS_EPSILON;
  for (int i = 0; i < c; i++) {
    double t = (double)y_true[i] < low ? low : (double)y_true[i] > 1 ? 1 : (double)y_true[i];
    double raw = (double)y_pred[i], p = raw < low ? low : raw > 1 ? 1 : raw;
    loss += t * log(t / p);
    if (dy)
      dy[i] = raw < low || raw > 1 ? 0 : (float)(share * -t / p);
  }
  return loss;
}

static float loss_kl_divergence(const LossConfig *config, int n, int c, const float *y_true,
                                const float *y_pred, const float *sample_weight, float *dy_pred) {
  return loss_over_rows(config, n, c, c, loss_row_divergence, y_true, y_pred, sample_weight, dy_pred);
}

/* mean of p - t log(p + epsilon) */
static double loss_row_poisson(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                               double share, float *dy) {
  (void)config;
  double loss = 0;
  for (int i = 0; i < c; i++) {
    double t = (double)y_true[i], p = (double)y_pred[i];
    loss += p - t * log(p + (double)LOSS_EPSILON);
    if (dy)
      dy[i] = (float)(share * (1 - t / (p + (double)LOSS_EPSILON)) / c);
  }
  return loss / c;
}

static float loss_poisson(const LossConfig *config, int n, int c, const float *y_true, const float *y_pred,
                          const float *sample_weight, float *dy_pred) {
  return loss_over_rows(config, n, c, c, loss_row_poisson, y_true, y_pred, sample_weight, dy_pred);
}

/* Keras turns labels into -1 and 1 where all of the batch are 0 or 1. */
static LossConfig loss_hinge_config(const LossConfig *config, int n, int c, const float *y_true) {
  LossConfig hinge = *config;
  hinge.hinge_labels = true;
  for (size_t i = 0; i < (size_t)n * (size_t)c; i++)
    hinge.hinge_labels = hinge.hinge_labels && (y_true[i] == 0 || y_true[i] == 1);
  return hinge;
}

/* mean of max(1 - t p, 0) */
static double loss_row_hinge(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                             double share, float *dy) {
  double loss = 0;
  for (int i = 0; i < c; i++) {
    double t = config->hinge_labels ? 2 * (double)y_true[i] - 1 : (double)y_true[i];
    double gap = 1 - t * (double)y_pred[i];
    loss += gap > 0 ? gap : 0;
    if (dy)
      dy[i] = gap > 0 ? (float)(share * -t / c) : 0;
  }
  return loss / c;
}

static float loss_hinge(const LossConfig *config, int n, int c, const float *y_true, const float *y_pred,
                        const float *sample_weight, float *dy_pred) {
  LossConfig hinge = loss_hinge_config(config, n, c, y_true);
  return loss_over_rows(&hinge, n, c, c, loss_row_hinge, y_true, y_pred, sample_weight, dy_pred);
}

/* mean of max(1 - t p, 0)^2 */
static double loss_row_squared_hinge(const LossConfig *config, int c, const float *y_true,
                                     const float *y_pred, double share, float *dy) {
  double loss = 0;
  for (int i = 0; i < c; i++) {
    double t = config->hinge_labels ? 2 * (double)y_true[i] - 1 : (double)y_true[i];
    double gap = 1 - t * (double)y_pred[i];
    gap = gap > 0 ? gap : 0;
    loss += gap * gap;
    if (dy)
      dy[i] = (float)(share * -2 * t * gap / c);
  }
  return loss / c;
}

static float loss_squared_hinge(const LossConfig *config, int n, int c, const float *y_true,
                                const float *y_pred, const float *sample_weight, float *dy_pred) {
  LossConfig hinge = loss_hinge_config(config, n, c, y_true);
  return loss_over_rows(&hinge, n, c, c, loss_row_squared_hinge, y_true, y_pred, sample_weight, dy_pred);
}

/* max(max((1 - t) p) - sum t p + 1, 0); the gradient of the inner maximum is shared among ties. */
static double loss_row_categorical_hinge(const LossConfig *config, int c, const float *y_true,
                                         const float *y_pred, double share, float *dy) {
  (void)config;
  double right = 0, wrong = -HUGE_VAL;
  int ties = 0;
  for (int i = 0; i < c; i++) {
    double t = (double)y_true[i], p = (double)y_pred[i], other = (1 - t) * p;
    right += t * p;
    ties = other > wrong ? 1 : ties + (other == wrong);
    wrong = other > wrong ? other : wrong;
  }
  double loss = wrong - right + 1;
  for (int i = 0; dy && i < c; i++) {
    double t = (double)y_true[i], slope = -t;
    if ((1 - t) * (double)y_pred[i] == wrong)
      slope += (1 - t) / ties;
    dy[i] = loss > 0 ? (float)(share * slope) : 0;
  }
  return loss > 0 ? loss : 0;
}

static float loss_categorical_hinge(const LossConfig *config, int n, int c, const float *y_true,
                                    const float *y_pred, const float *sample_weight, float *dy_pred) {
  return loss_over_rows(config, n, c, c, loss_row_categorical_hinge, y_true, y_pred, sample_weight, dy_pred);
}

/* -sum t p / (|t| |p|), each norm at least epsilon */
static double loss_row_cosine(const LossConfig *config, int c, const float *y_true, const float *y_pred,
                              double share, float *dy) {
  (void)config;
  double dot = 0, squares_true = 0, squares_pred = 0, least = (double)LOSS_EPSILON;
  for (int i = 0; i < c; i++) {
    dot += (double)y_true[i] * (double)y_pred[i];
    squares_true += (double)y_true[i] * (double)y_true[i];
    squares_pred += (double)y_pred[i] * (double)y_pred[i];
  }
  double norm_true = sqrt(squares_true), norm_pred = sqrt(squares_pred);
  bool fixed = norm_pred < least;
  norm_true = norm_true < least ? least : norm_true;
  norm_pred = fixed ? least : norm_pred;
  double cosine = dot / (norm_true * norm_pred);
  for (int i = 0; dy && i < c; i++) {
    double away = fixed ? 0 : cosine * (double)y_pred[i] / norm_pred;
    dy[i] = (float)(share * -((double)y_true[i] / norm_true - away) / norm_pred);
  }
  return -cosine;
}

static float loss_cosine_similarity(const LossConfig *config, int n, int c, const float *y_true,
                                    const float *y_pred, const float *sample_weight, float *dy_pred) {
  return loss_over_rows(config, n, c, c, loss_row_cosine, y_true, y_pred, sample_weight, dy_pred);
}
#endif
