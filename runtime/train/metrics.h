/* Metrics as Keras's `fit` and `evaluate` show them: running values over the samples seen since the last
 * reset.
 *
 * The definitions are those of keras.metrics (CategoricalAccuracy, AUC with 200 thresholds, F1Score, R2Score,
 * ...). All state is one array of doubles, so that a checkpoint can keep it.  Targets come as ModelTarget
 * says. */
#ifndef NETC_TRAIN_METRICS_H
#define NETC_TRAIN_METRICS_H
#include <math.h>

#include "../model.h"
#include "../system.h"
#include "metrics_curve.h"
#include "metrics_mean.h"

typedef struct Metrics {
  const ModelInfo *info;
  size_t *start;   /* of each metric's own numbers; [metric_count + 1] */
  double *numbers; /* [start[metric_count]] */
  double *one_hot; /* [output_floats], one sample's target spread out */
} Metrics;

static size_t metrics_numbers(const ModelInfo *info, const ModelMetric *metric) {
  switch (metric->kind) {
  case MODEL_METRIC_F1:
  case MODEL_METRIC_R2:
    return 4 * info->output_floats + 1;
  case MODEL_METRIC_AUC:
    return 2 * metrics_thresholds(metric) * metrics_curve_labels(info, metric);
  case MODEL_METRIC_PRECISION_AT_RECALL:
  case MODEL_METRIC_RECALL_AT_PRECISION:
  case MODEL_METRIC_SENSITIVITY_AT_SPECIFICITY:
  case MODEL_METRIC_SPECIFICITY_AT_SENSITIVITY:
    return 2 * metrics_thresholds(metric);
  default:
    return 4;
  }
}

static void metrics_reset(Metrics *metrics) {
  memset(metrics->numbers, 0, metrics->start[metrics->info->metric_count] * sizeof *metrics->numbers);
}

static Metrics *metrics_new(const ModelInfo *info) {
  Metrics *metrics = system_allocate(sizeof *metrics);
  metrics->info = info;
  metrics->start = system_allocate(((size_t)info->metric_count + 1) * sizeof *metrics->start);
  for (int i = 0; i < info->metric_count; i++)
    metrics->start[i + 1] = metrics->start[i] + metrics_numbers(info, &info->metrics[i]);
  metrics->numbers = system_allocate((metrics->start[info->metric_count] + 1) * sizeof *metrics->numbers);
  metrics->one_hot = system_allocate(info->output_floats * sizeof *metrics->one_hot);
  return metrics;
}

static void metrics_delete(Metrics *metrics) {
  if (!metrics)
    return;
  free(metrics->start);
  free(metrics->numbers);
  free(metrics->one_hot);
  free(metrics);
}

/* The first of the largest values, as argmax. */
static size_t metrics_argmax(const float *values, size_t count) {
  size_t best = 0;
  for (size_t i = 1; i < count; i++)
    if (values[i] > values[best])
      best = i;
  return best;
}

/* The class that a target names: its number, or the place of the largest value. */
static size_t metrics_target_class(const ModelInfo *info, const float *target) {
  if (info->target == MODEL_TARGET_ONE_HOT)
    return metrics_argmax(target, info->target_floats);
  return *target > 0 ? (size_t)(*target + 0.5f) : 0;
}

/* The class that an output names; one unit says class 1 from 0.5 on. */
static size_t metrics_output_class(const ModelInfo *info, const float *y_pred) {
  if (info->output_floats == 1)
    return y_pred[0] > 0.5f;
  return metrics_argmax(y_pred, info->output_floats);
}

/* The target as one number per output. */
static void metrics_spread(Metrics *metrics, const float *target) {
  const ModelInfo *info = metrics->info;
  for (size_t c = 0; c < info->output_floats; c++)
    metrics->one_hot[c] = info->target == MODEL_TARGET_INDEX
                              ? (double)((float)c == target[0])
                              : (double)target[c < info->target_floats ? c : 0];
}

/* Whether fewer than k outputs are larger than that of class `own`. */
static double metrics_in_top(const float *y_pred, size_t count, size_t own, double k) {
  size_t larger = 0;
  if (own >= count)
    return 0;
  for (size_t c = 0; c < count; c++)
    larger += y_pred[c] > y_pred[own];
  return (double)larger < k;
}

/* Whether output c is among the k largest; of equal ones the first are. */
static bool metrics_among(const float *y_pred, size_t count, size_t c, double k) {
  size_t before = 0;
  for (size_t i = 0; i < count; i++)
    before += y_pred[i] > y_pred[c] || (y_pred[i] == y_pred[c] && i < c);
  return (double)before < k;
}

/* numbers: true positives, false positives, true negatives, false negatives; each output is a decision of its
 * own. */
static void metrics_count_decisions(const ModelMetric *metric, const double *truth, const float *y_pred,
                                    size_t count, double *numbers) {
  for (size_t c = 0; c < count; c++) {
    if (metric->c > 0 && (double)(c + 1) != metric->c)
      continue;
    bool said = (double)y_pred[c] > metric->a, is = truth[c] != 0;
    if (metric->b > 0)
      said = said && metrics_among(y_pred, count, c, metric->b);
    numbers[said ? (is ? 0 : 1) : (is ? 3 : 2)]++;
  }
}

/* numbers: per class true positives, false positives, false negatives, and how often the class is the truth.
 */
static void metrics_count_f1(const ModelMetric *metric, const double *truth, const float *y_pred,
                             size_t count, double *numbers) {
  double largest = (double)y_pred[metrics_argmax(y_pred, count)];
  for (size_t c = 0; c < count; c++) {
    double value = (double)y_pred[c];
    bool said = metric->b != 0 ? value > metric->a : value >= largest && fabs(value) > 1e-9;
    numbers[c] += said ? truth[c] : 0;
    numbers[count + c] += said ? 1 - truth[c] : 0;
    numbers[2 * count + c] += said ? 0 : truth[c];
    numbers[3 * count + c] += truth[c];
  }
}

/* numbers of a mean: sum and how many. */
static void metrics_count_mean(const ModelInfo *info, const ModelMetric *metric, const double *truth,
                               const float *target, const float *y_pred, double *numbers) {
  size_t count = info->output_floats;
  double value = 0, weight = 1;
  switch (metric->kind) {
  case MODEL_METRIC_BINARY_ACCURACY:
    for (size_t c = 0; c < count; c++)
      value += ((double)y_pred[c] > metric->a) == truth[c];
    value /= (double)count;
    break;
  case MODEL_METRIC_TOP_K:
  case MODEL_METRIC_SPARSE_TOP_K:
    value = metrics_in_top(y_pred, count, metrics_target_class(info, target), metric->a);
    break;
  case MODEL_METRIC_ROOT_MEAN_SQUARED_ERROR:
    weight = (double)count;
    for (size_t c = 0; c < count; c++)
      value += metrics_error(metric->kind, truth[c], (double)y_pred[c]);
    break;
  case MODEL_METRIC_KL_DIVERGENCE: /* a sum over the outputs */
    for (size_t c = 0; c < count; c++)
      value += metrics_error(metric->kind, truth[c], (double)y_pred[c]);
    break;
  case MODEL_METRIC_MEAN_SQUARED_ERROR:
  case MODEL_METRIC_MEAN_ABSOLUTE_ERROR:
  case MODEL_METRIC_MEAN_ABSOLUTE_PERCENTAGE_ERROR:
  case MODEL_METRIC_MEAN_SQUARED_LOGARITHMIC_ERROR:
  case MODEL_METRIC_LOG_COSH:
  case MODEL_METRIC_POISSON:
  case MODEL_METRIC_HINGE:
  case MODEL_METRIC_SQUARED_HINGE:
    for (size_t c = 0; c < count; c++)
      value += metrics_error(metric->kind, truth[c], (double)y_pred[c]) / (double)count;
    break;
  case MODEL_METRIC_COSINE_SIMILARITY:
    value = metrics_cosine(truth, y_pred, count);
    break;
  case MODEL_METRIC_CATEGORICAL_HINGE:
    value = metrics_categorical_hinge(truth, y_pred, count);
    break;
  case MODEL_METRIC_CATEGORICAL_CROSSENTROPY:
    value = metrics_categorical_crossentropy(metric, truth, y_pred, count);
    break;
  case MODEL_METRIC_SPARSE_CATEGORICAL_CROSSENTROPY:
    value = metrics_sparse_crossentropy(metric, metrics_target_class(info, target), y_pred, count);
    break;
  case MODEL_METRIC_BINARY_CROSSENTROPY:
    value = metrics_binary_crossentropy(metric, truth, y_pred, count);
    break;
  default: /* the categorical accuracies */
    value = metrics_target_class(info, target) == metrics_argmax(y_pred, count);
    break;
  }
  numbers[0] += value;
  numbers[1] += weight;
}

/* Takes in n samples: target [n, target_floats], y_pred [n, output_floats]. */
static void metrics_update(Metrics *metrics, int n, const float *target, const float *y_pred) {
  const ModelInfo *info = metrics->info;
  size_t count = info->output_floats;
  for (int i = 0; info->metric_count && i < n; i++, target += info->target_floats, y_pred += count) {
    metrics_spread(metrics, target);
    for (int m = 0; m < info->metric_count; m++) {
      const ModelMetric *metric = &info->metrics[m];
      double *numbers = metrics->numbers + metrics->start[m];
      switch (metric->kind) {
      case MODEL_METRIC_PRECISION:
      case MODEL_METRIC_RECALL:
      case MODEL_METRIC_TRUE_POSITIVES:
      case MODEL_METRIC_FALSE_POSITIVES:
      case MODEL_METRIC_TRUE_NEGATIVES:
      case MODEL_METRIC_FALSE_NEGATIVES:
        metrics_count_decisions(metric, metrics->one_hot, y_pred, count, numbers);
        break;
      case MODEL_METRIC_F1:
        metrics_count_f1(metric, metrics->one_hot, y_pred, count, numbers);
        break;
      case MODEL_METRIC_AUC:
      case MODEL_METRIC_PRECISION_AT_RECALL:
      case MODEL_METRIC_RECALL_AT_PRECISION:
      case MODEL_METRIC_SENSITIVITY_AT_SPECIFICITY:
      case MODEL_METRIC_SPECIFICITY_AT_SENSITIVITY:
        metrics_count_curve(info, metric, metrics->one_hot, y_pred, numbers);
        break;
      case MODEL_METRIC_R2:
        for (size_t c = 0; c < count; c++) {
          double truth = metrics->one_hot[c], error = truth - (double)y_pred[c];
          numbers[c] += truth;
          numbers[count + c] += truth * truth;
          numbers[2 * count + c] += error * error;
        }
        numbers[4 * count]++;
        break;
      default:
        metrics_count_mean(info, metric, metrics->one_hot, target, y_pred, numbers);
        break;
      }
    }
  }
}

static double metrics_f1_value(const ModelMetric *metric, const double *numbers, size_t count) {
  const double *hit = numbers, *wrong = numbers + count, *missed = numbers + 2 * count,
               *truths = numbers + 3 * count;
  bool micro = metric->option && !strcmp(metric->option, "micro");
  bool weighted = metric->option && !strcmp(metric->option, "weighted");
  double beta = metric->c != 0 ? metric->c * metric->c : 1; /* squared */
  double all_hit = 0, all_wrong = 0, all_missed = 0, all_truths = 0, sum = 0;
  for (size_t c = 0; c < count; c++) {
    double precision = hit[c] / (hit[c] + wrong[c] + METRICS_EPSILON);
    double recall = hit[c] / (hit[c] + missed[c] + METRICS_EPSILON);
    double f1 = (1 + beta) * precision * recall / (beta * precision + recall + METRICS_EPSILON);
    sum += weighted ? f1 * truths[c] : f1;
    all_hit += hit[c];
    all_wrong += wrong[c];
    all_missed += missed[c];
    all_truths += truths[c];
  }
  if (micro) {
    double precision = all_hit / (all_hit + all_wrong + METRICS_EPSILON);
    double recall = all_hit / (all_hit + all_missed + METRICS_EPSILON);
    return (1 + beta) * precision * recall / (beta * precision + recall + METRICS_EPSILON);
  }
  return weighted ? sum / (all_truths + METRICS_EPSILON) : sum / (double)count;
}

/* The mean of the outputs' scores, or their mean by variance; adjusted for regressors where there are some.
 */
static double metrics_r2_value(const ModelMetric *metric, const double *numbers, size_t count) {
  bool by_variance = metric->option && !strcmp(metric->option, "variance_weighted_average");
  double samples = numbers[4 * count], sum = 0, weights = 0;
  for (size_t c = 0; c < count; c++) {
    double mean = metrics_ratio(numbers[c], samples);
    double total = numbers[count + c] - numbers[c] * mean, score = 1 - numbers[2 * count + c] / total;
    double weight = by_variance ? total : 1;
    sum += isfinite(score) ? weight * score : 0;
    weights += weight;
  }
  double score = sum / weights, free = samples - metric->a - 1;
  return metric->a > 0 && free > 0 ? 1 - (1 - score) * (samples - 1) / free : score;
}

/* Metric m's value over what was taken in since the reset. */
static double metrics_value(const Metrics *metrics, int m) {
  const ModelMetric *metric = &metrics->info->metrics[m];
  const double *numbers = metrics->numbers + metrics->start[m];
  switch (metric->kind) {
  case MODEL_METRIC_PRECISION:
    return metrics_ratio(numbers[0], numbers[0] + numbers[1]);
  case MODEL_METRIC_RECALL:
    return metrics_ratio(numbers[0], numbers[0] + numbers[3]);
  case MODEL_METRIC_TRUE_POSITIVES:
    return numbers[0];
  case MODEL_METRIC_FALSE_POSITIVES:
    return numbers[1];
  case MODEL_METRIC_TRUE_NEGATIVES:
    return numbers[2];
  case MODEL_METRIC_FALSE_NEGATIVES:
    return numbers[3];
  case MODEL_METRIC_F1:
    return metrics_f1_value(metric, numbers, metrics->info->output_floats);
  case MODEL_METRIC_AUC:
    return metrics_auc_value(metrics->info, metric, numbers);
  case MODEL_METRIC_PRECISION_AT_RECALL:
  case MODEL_METRIC_RECALL_AT_PRECISION:
  case MODEL_METRIC_SENSITIVITY_AT_SPECIFICITY:
  case MODEL_METRIC_SPECIFICITY_AT_SENSITIVITY:
    return metrics_best_at(metric, numbers);
  case MODEL_METRIC_R2:
    return metrics_r2_value(metric, numbers, metrics->info->output_floats);
  case MODEL_METRIC_ROOT_MEAN_SQUARED_ERROR:
    return sqrt(metrics_ratio(numbers[0], numbers[1]));
  default:
    return metrics_ratio(numbers[0], numbers[1]);
  }
}
#endif
