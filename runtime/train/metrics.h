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

/* Keras's epsilon. */
#define METRICS_EPSILON 1e-7

typedef struct Metrics {
  const ModelInfo *info;
  size_t *start;   /* of each metric's own numbers; [metric_count + 1] */
  double *numbers; /* [start[metric_count]] */
  double *one_hot; /* [output_floats], one sample's target spread out */
} Metrics;

/* How many thresholds an AUC has: 200 as in Keras unless the metric says otherwise. */
static size_t metrics_thresholds(const ModelMetric *metric) {
  return metric->a >= 2 ? (size_t)metric->a : 200;
}

static size_t metrics_numbers(const ModelInfo *info, const ModelMetric *metric) {
  switch (metric->kind) {
  case MODEL_METRIC_F1:
  case MODEL_METRIC_R2:
    return 4 * info->output_floats + 1;
  case MODEL_METRIC_AUC:
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

/* numbers: true positives, false positives, true negatives, false negatives; each output is a decision of its
 * own. */
static void metrics_count_decisions(const double *truth, const float *y_pred, size_t count, double threshold,
                                    double *numbers) {
  for (size_t c = 0; c < count; c++) {
    bool said = (double)y_pred[c] > threshold, is = truth[c] != 0;
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

/* numbers: per threshold the truths and the others that lie in its bucket (threshold i, threshold i + 1]. */
static void metrics_count_auc(const ModelMetric *metric, const double *truth, const float *y_pred,
                              size_t count, double *numbers) {
  size_t thresholds = metrics_thresholds(metric);
  for (size_t c = 0; c < count; c++) {
    double value = y_pred[c] < 0 ? 0 : y_pred[c] > 1 ? 1 : (double)y_pred[c];
    double bucket = ceil(value * (double)(thresholds - 1)) - 1;
    size_t at = bucket > 0 ? (size_t)bucket : 0;
    numbers[truth[c] != 0 ? at : thresholds + at]++;
  }
}

static double metrics_categorical_crossentropy(const double *truth, const float *y_pred, size_t count) {
  double sum = 0, loss = 0;
  for (size_t c = 0; c < count; c++)
    sum += (double)y_pred[c];
  for (size_t c = 0; c < count; c++) {
    double p = (double)y_pred[c] / sum;
    p = p < METRICS_EPSILON ? METRICS_EPSILON : p > 1 - METRICS_EPSILON ? 1 - METRICS_EPSILON : p;
    loss -= truth[c] * log(p);
  }
  return loss;
}

static double metrics_binary_crossentropy(const double *truth, const float *y_pred, size_t count) {
  double loss = 0;
  for (size_t c = 0; c < count; c++) {
    double p = (double)y_pred[c];
    p = p < METRICS_EPSILON ? METRICS_EPSILON : p > 1 - METRICS_EPSILON ? 1 - METRICS_EPSILON : p;
    loss -= truth[c] * log(p) + (1 - truth[c]) * log(1 - p);
  }
  return loss / (double)count;
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
  case MODEL_METRIC_MEAN_SQUARED_ERROR:
    for (size_t c = 0; c < count; c++)
      value += ((double)y_pred[c] - truth[c]) * ((double)y_pred[c] - truth[c]) / (double)count;
    break;
  case MODEL_METRIC_ROOT_MEAN_SQUARED_ERROR:
    weight = (double)count;
    for (size_t c = 0; c < count; c++)
      value += ((double)y_pred[c] - truth[c]) * ((double)y_pred[c] - truth[c]);
    break;
  case MODEL_METRIC_MEAN_ABSOLUTE_ERROR:
    for (size_t c = 0; c < count; c++)
      value += fabs((double)y_pred[c] - truth[c]) / (double)count;
    break;
  case MODEL_METRIC_CATEGORICAL_CROSSENTROPY:
    value = metrics_categorical_crossentropy(truth, y_pred, count);
    break;
  case MODEL_METRIC_BINARY_CROSSENTROPY:
    value = metrics_binary_crossentropy(truth, y_pred, count);
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
        metrics_count_decisions(metrics->one_hot, y_pred, count, metric->a, numbers);
        break;
      case MODEL_METRIC_F1:
        metrics_count_f1(metric, metrics->one_hot, y_pred, count, numbers);
        break;
      case MODEL_METRIC_AUC:
        metrics_count_auc(metric, metrics->one_hot, y_pred, count, numbers);
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

static double metrics_ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

static double metrics_f1_value(const ModelMetric *metric, const double *numbers, size_t count) {
  const double *hit = numbers, *wrong = numbers + count, *missed = numbers + 2 * count,
               *truths = numbers + 3 * count;
  bool micro = metric->option && !strcmp(metric->option, "micro");
  bool weighted = metric->option && !strcmp(metric->option, "weighted");
  double all_hit = 0, all_wrong = 0, all_missed = 0, all_truths = 0, sum = 0;
  for (size_t c = 0; c < count; c++) {
    double precision = hit[c] / (hit[c] + wrong[c] + METRICS_EPSILON);
    double recall = hit[c] / (hit[c] + missed[c] + METRICS_EPSILON);
    double f1 = 2 * precision * recall / (precision + recall + METRICS_EPSILON);
    sum += weighted ? f1 * truths[c] : f1;
    all_hit += hit[c];
    all_wrong += wrong[c];
    all_missed += missed[c];
    all_truths += truths[c];
  }
  if (micro) {
    double precision = all_hit / (all_hit + all_wrong + METRICS_EPSILON);
    double recall = all_hit / (all_hit + all_missed + METRICS_EPSILON);
    return 2 * precision * recall / (precision + recall + METRICS_EPSILON);
  }
  return weighted ? sum / (all_truths + METRICS_EPSILON) : sum / (double)count;
}

/* The area under the curve of Keras's AUC, summation "interpolation": trapezoids for ROC; for PR the formula
 * of Davis and Goadrich (2006) that Keras's documentation names. */
static double metrics_auc_value(const ModelMetric *metric, const double *numbers) {
  size_t thresholds = metrics_thresholds(metric);
  bool precision_recall = metric->option && !strcmp(metric->option, "PR");
  double truths = 0, others = 0, area = 0;
  for (size_t t = 0; t < thresholds; t++) {
    truths += numbers[t];
    others += numbers[thresholds + t];
  }
  /* from the highest threshold down: `next_` stands for the one above */
  double next_hit = numbers[thresholds - 1], next_wrong = numbers[2 * thresholds - 1];
  for (size_t t = thresholds - 1; t-- > 0;) {
    double hit = next_hit + numbers[t], wrong = next_wrong + numbers[thresholds + t];
    if (precision_recall) {
      double said = hit + wrong, next_said = next_hit + next_wrong, more = hit - next_hit;
      double slope = metrics_ratio(more, said - next_said), intercept = next_hit - slope * next_said;
      double ratio = said > 0 && next_said > 0 ? said / next_said : 1;
      area += metrics_ratio(slope * (more + intercept * log(ratio)), truths);
    } else {
      double width = metrics_ratio(wrong, others) - metrics_ratio(next_wrong, others);
      area += width * (metrics_ratio(hit, truths) + metrics_ratio(next_hit, truths)) / 2;
    }
    next_hit = hit;
    next_wrong = wrong;
  }
  return area;
}

static double metrics_r2_value(const double *numbers, size_t count) {
  double samples = numbers[4 * count], sum = 0;
  for (size_t c = 0; c < count; c++) {
    double mean = metrics_ratio(numbers[c], samples);
    double total = numbers[count + c] - numbers[c] * mean, score = 1 - numbers[2 * count + c] / total;
    sum += isfinite(score) ? score : 0;
  }
  return sum / (double)count;
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
    return metrics_auc_value(metric, numbers);
  case MODEL_METRIC_R2:
    return metrics_r2_value(numbers, metrics->info->output_floats);
  case MODEL_METRIC_ROOT_MEAN_SQUARED_ERROR:
    return sqrt(metrics_ratio(numbers[0], numbers[1]));
  default:
    return metrics_ratio(numbers[0], numbers[1]);
  }
}
#endif
