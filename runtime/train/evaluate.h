/* Loss, metrics and confusion matrix over images, in inference mode, as Keras's evaluate. */
#ifndef NETC_TRAIN_EVALUATE_H
#define NETC_TRAIN_EVALUATE_H
#include "confusion.h"
#include "feed.h"
#include "forward.h"

typedef struct Evaluation {
  Dataset *dataset;
  const int64_t *items; /* [count] */
  int64_t count;
  const Features *features; /* of `phase`, or NULL: the whole network runs */
  int phase, batch;
  FILE *progress; /* or NULL */
} Evaluation;

/* values: loss (regularization included) and the metrics, [1 + metric_count]; confusion and y_pred ([count]
 * [output_floats]) may be NULL. */
static bool evaluate_run(Model *model, const ModelInfo *info, const Evaluation *what, Metrics *metrics,
                         double *values, Confusion *confusion, float *y_pred, Fault *fault) {
  Feed feed;
  FeedBatch batch;
  Progress progress;
  double loss = 0;
  int64_t done = 0;
  float *own = y_pred ? NULL : system_allocate((size_t)what->batch * info->output_floats * sizeof(float));
  fault->text[0] = 0;
  if (!feed_start(&feed, info, what->dataset, what->features, what->items, 0, what->count, what->batch, false,
                  fault)) {
    free(own);
    return false;
  }
  metrics_reset(metrics);
  progress_begin(&progress, what->progress, what->count, 0, "evaluate");
  while (feed_next(&feed, &batch, fault)) {
    float *out = y_pred ? y_pred + (size_t)done * info->output_floats : own;
    if (what->features)
      info->phases[what->phase].head(model, batch.n, batch.x, out);
    else
      forward_all(model, info, batch.n, batch.x, out);
    if (info->loss)
      loss += (double)model_loss(model, batch.n, out, batch.target, batch.weight) * batch.n;
    metrics_update(metrics, batch.n, batch.target, out);
    if (confusion)
      confusion_update(confusion, info, batch.n, batch.target, out);
    done += batch.n;
    progress_show(&progress, done, "");
  }
  feed_stop(&feed);
  free(own);
  if (done < what->count)
    return false;
  if (progress.terminal)
    fprintf(what->progress, "\r\033[K");
  values[0] = metrics_ratio(loss, (double)done) + (info->loss ? (double)model_regularization(model) : 0);
  for (int m = 0; m < info->metric_count; m++)
    values[1 + m] = metrics_value(metrics, m);
  return true;
}
#endif
