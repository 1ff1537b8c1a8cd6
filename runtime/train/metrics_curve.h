/* Metrics over all thresholds: areas under curves, and the best of one rate where another is high enough. The
 * definitions are those of keras.metrics.AUC, PrecisionAtRecall and their kin.
 *
 * Numbers: for each label of its own (or once for all) the truths, then the others, that lie in each bucket
 * (threshold i, threshold i + 1] of evenly spread thresholds from 0 to 1. */
#ifndef NETC_TRAIN_METRICS_CURVE_H
#define NETC_TRAIN_METRICS_CURVE_H
#include <math.h>

#include "../model.h"

/* How many thresholds there are: 200 as in Keras unless the metric says otherwise. */
static size_t metrics_thresholds(const ModelMetric *metric) {
  return metric->a >= 2 ? (size_t)metric->a : 200;
}

static size_t metrics_curve_labels(const ModelInfo *info, const ModelMetric *metric) {
  return metric->d != 0 ? info->output_floats : 1;
}

static void metrics_count_curve(const ModelInfo *info, const ModelMetric *metric, const double *truth,
                                const float *y_pred, double *numbers) {
  size_t thresholds = metrics_thresholds(metric);
  bool apart = metrics_curve_labels(info, metric) > 1;
  for (size_t c = 0; c < info->output_floats; c++) {
    double value = metric->c != 0 ? 1 / (1 + exp(-(double)y_pred[c])) : (double)y_pred[c];
    value = value < 0 ? 0 : value > 1 ? 1 : value;
    double bucket = ceil(value * (double)(thresholds - 1)) - 1;
    size_t at = bucket > 0 ? (size_t)bucket : 0;
    numbers[(apart ? 2 * thresholds * c : 0) + (truth[c] != 0 ? at : thresholds + at)]++;
  }
}

static double metrics_ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

/* What lies above a threshold (hit: truths, wrong: others), of how many. */
typedef struct MetricsPoint {
  double hit, wrong, truths, others;
} MetricsPoint;

/* Recall against false positive rate, precision against recall, or the gains of Flach and Kull (2015). */
static void metrics_curve_place(const char *curve, const MetricsPoint *p, double *x, double *y) {
  double recall = metrics_ratio(p->hit, p->truths);
  if (curve && !strcmp(curve, "PR")) {
    *x = recall;
    *y = metrics_ratio(p->hit, p->hit + p->wrong);
  } else if (curve && !strcmp(curve, "PRGAIN")) {
    double odds = metrics_ratio(p->truths, p->others);
    *x = p->hit > 0 ? 1 - odds * (p->truths - p->hit) / p->hit : 0;
    *x = *x > 0 ? *x : 0;
    *y = p->hit > 0 ? 1 - odds * p->wrong / p->hit : 1;
  } else {
    *x = metrics_ratio(p->wrong, p->others);
    *y = recall;
  }
}

/* The area between two neighbouring thresholds of a precision-recall curve: the formula of Davis and Goadrich
 * (2006) that Keras's documentation names. */
static double metrics_davis_goadrich(const MetricsPoint *above, const MetricsPoint *below) {
  double said = below->hit + below->wrong, next_said = above->hit + above->wrong,
         more = below->hit - above->hit;
  double slope = metrics_ratio(more, said - next_said), intercept = above->hit - slope * next_said;
  double ratio = said > 0 && next_said > 0 ? said / next_said : 1;
  return metrics_ratio(slope * (more + intercept * log(ratio)), below->truths);
}

/* b: 0 interpolation, 1 minoring, 2 majoring. */
static double metrics_area(const ModelMetric *metric, const double *numbers) {
  size_t thresholds = metrics_thresholds(metric);
  bool davis = metric->option && !strcmp(metric->option, "PR") && metric->b == 0;
  MetricsPoint above = {0, 0, 0, 0};
  for (size_t t = 0; t < thresholds; t++) {
    above.truths += numbers[t];
    above.others += numbers[thresholds + t];
  }
  above.hit = numbers[thresholds - 1];
  above.wrong = numbers[2 * thresholds - 1];
  double area = 0, x, y, next_x, next_y;
  metrics_curve_place(metric->option, &above, &next_x, &next_y);
  for (size_t t = thresholds - 1; t-- > 0;) {
    MetricsPoint below = above;
    below.hit += numbers[t];
    below.wrong += numbers[thresholds + t];
    metrics_curve_place(metric->option, &below, &x, &y);
    double height = metric->b == 0 ? (y + next_y) / 2 : (metric->b == 1) == (y < next_y) ? y : next_y;
    area += davis ? metrics_davis_goadrich(&above, &below) : (x - next_x) * height;
    above = below;
    next_x = x;
    next_y = y;
  }
  return area;
}

static double metrics_auc_value(const ModelInfo *info, const ModelMetric *metric, const double *numbers) {
  size_t labels = metrics_curve_labels(info, metric);
  double sum = 0;
  for (size_t label = 0; label < labels; label++)
    sum += metrics_area(metric, numbers + 2 * metrics_thresholds(metric) * label);
  return sum / (double)labels;
}

/* The largest of one rate among the thresholds at which the other is at least b; 0 where there is none. */
static double metrics_best_at(const ModelMetric *metric, const double *numbers) {
  size_t thresholds = metrics_thresholds(metric);
  MetricsPoint p = {0, 0, 0, 0};
  double best = 0;
  for (size_t t = 0; t < thresholds; t++) {
    p.truths += numbers[t];
    p.others += numbers[thresholds + t];
  }
  for (size_t t = thresholds; t-- > 0;) {
    p.hit += numbers[t];
    p.wrong += numbers[thresholds + t];
    double recall = metrics_ratio(p.hit, p.truths), precision = metrics_ratio(p.hit, p.hit + p.wrong);
    double specificity = metrics_ratio(p.others - p.wrong, p.others);
    bool by_precision = metric->kind == MODEL_METRIC_RECALL_AT_PRECISION;
    bool by_recall = metric->kind == MODEL_METRIC_PRECISION_AT_RECALL ||
                     metric->kind == MODEL_METRIC_SPECIFICITY_AT_SENSITIVITY;
    double asked = by_precision ? precision : by_recall ? recall : specificity;
    double given = metric->kind == MODEL_METRIC_PRECISION_AT_RECALL          ? precision
                   : metric->kind == MODEL_METRIC_SPECIFICITY_AT_SENSITIVITY ? specificity
                                                                             : recall;
    best = asked >= metric->b && given > best ? given : best;
  }
  return best;
}
#endif
