/* Metrics that are means over the samples: each function gives one sample's value, as the loss of the same
 * name in keras.losses.  truth, y_pred [count]. */
#ifndef NETC_TRAIN_METRICS_MEAN_H
#define NETC_TRAIN_METRICS_MEAN_H
#include <math.h>

#include "../model.h"

/* Keras's epsilon. */
#define METRICS_EPSILON 1e-7

static double metrics_clip(double value, double least, double most) {
  return value < least ? least : value > most ? most : value;
}

/* log(sum exp(y)) */
static double metrics_log_sum(const float *y_pred, size_t count) {
  double most = (double)y_pred[0], sum = 0;
  for (size_t c = 1; c < count; c++)
    most = (double)y_pred[c] > most ? (double)y_pred[c] : most;
  for (size_t c = 0; c < count; c++)
    sum += exp((double)y_pred[c] - most);
  return most + log(sum);
}

/* a: from logits, b: label smoothing. */
static double metrics_categorical_crossentropy(const ModelMetric *metric, const double *truth,
                                               const float *y_pred, size_t count) {
  double sum = 0, loss = 0, shift = metric->a != 0 ? metrics_log_sum(y_pred, count) : 0;
  for (size_t c = 0; c < count; c++)
    sum += (double)y_pred[c];
  for (size_t c = 0; c < count; c++) {
    double wanted = truth[c] * (1 - metric->b) + metric->b / (double)count;
    double log_p = metric->a != 0
                       ? (double)y_pred[c] - shift
                       : log(metrics_clip((double)y_pred[c] / sum, METRICS_EPSILON, 1 - METRICS_EPSILON));
    loss -= wanted * log_p;
  }
  return loss;
}

static double metrics_sparse_crossentropy(const ModelMetric *metric, size_t own, const float *y_pred,
                                          size_t count) {
  if (own >= count)
    return NAN;
  if (metric->a != 0)
    return metrics_log_sum(y_pred, count) - (double)y_pred[own];
  return -log(metrics_clip((double)y_pred[own], METRICS_EPSILON, 1 - METRICS_EPSILON));
}

static double metrics_binary_crossentropy(const ModelMetric *metric, const double *truth, const float *y_pred,
                                          size_t count) {
  double loss = 0;
  for (size_t c = 0; c < count; c++) {
    double wanted = truth[c] * (1 - metric->b) + 0.5 * metric->b, x = (double)y_pred[c];
    double p = metrics_clip(x, METRICS_EPSILON, 1 - METRICS_EPSILON);
    loss += metric->a != 0 ? (x > 0 ? x : 0) - x * wanted + log1p(exp(-fabs(x)))
                           : -(wanted * log(p) + (1 - wanted) * log(1 - p));
  }
  return loss / (double)count;
}

/* The cosine of the angle between target and prediction. */
static double metrics_cosine(const double *truth, const float *y_pred, size_t count) {
  double both = 0, t = 0, p = 0;
  for (size_t c = 0; c < count; c++) {
    both += truth[c] * (double)y_pred[c];
    t += truth[c] * truth[c];
    p += (double)y_pred[c] * (double)y_pred[c];
  }
  return both / (fmax(sqrt(t), METRICS_EPSILON) * fmax(sqrt(p), METRICS_EPSILON));
}

static double metrics_categorical_hinge(const double *truth, const float *y_pred, size_t count) {
  double own = 0, other = -INFINITY;
  for (size_t c = 0; c < count; c++) {
    own += truth[c] * (double)y_pred[c];
    other = fmax(other, (1 - truth[c]) * (double)y_pred[c]);
  }
  return fmax(0, other - own + 1);
}

/* One output's part of a mean over all outputs; t: target, p: prediction. */
static double metrics_error(ModelMetricKind kind, double t, double p) {
  double side = t == 0 ? -1 : t; /* hinges take 0 for -1 */
  double away = p - t, clipped = metrics_clip(t, METRICS_EPSILON, 1);
  switch (kind) {
  case MODEL_METRIC_MEAN_SQUARED_ERROR:
  case MODEL_METRIC_ROOT_MEAN_SQUARED_ERROR:
    return away * away;
  case MODEL_METRIC_MEAN_ABSOLUTE_ERROR:
    return fabs(away);
  case MODEL_METRIC_MEAN_ABSOLUTE_PERCENTAGE_ERROR:
    return 100 * fabs(away) / fmax(fabs(t), METRICS_EPSILON);
  case MODEL_METRIC_MEAN_SQUARED_LOGARITHMIC_ERROR:
    away = log1p(fmax(p, METRICS_EPSILON)) - log1p(fmax(t, METRICS_EPSILON));
    return away * away;
  case MODEL_METRIC_LOG_COSH:
    return fabs(away) + log1p(exp(-2 * fabs(away))) - log(2);
  case MODEL_METRIC_KL_DIVERGENCE:
    return clipped * log(clipped / metrics_clip(p, METRICS_EPSILON, 1));
  case MODEL_METRIC_POISSON:
    return p - t * log(p + METRICS_EPSILON);
  case MODEL_METRIC_HINGE:
    return fmax(0, 1 - side * p);
  case MODEL_METRIC_SQUARED_HINGE:
    return fmax(0, 1 - side * p) * fmax(0, 1 - side * p);
  default:
    return 0;
  }
}
#endif
