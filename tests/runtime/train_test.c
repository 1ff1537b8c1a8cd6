/* Metrics and callbacks against Keras's numbers (golden/metrics.h5, histories of `fit`), the feature cache,
 * the log. */
#include <criterion/criterion.h>

#include "fake_model.h"
#include "../../runtime/cli/main.h"

/* ---- metrics ---- */

typedef struct MetricCase {
  const char *group; /* in golden/metrics.h5 */
  ModelMetric metric;
} MetricCase;

static const MetricCase metric_cases[] = {
    {"auc", {"auc", MODEL_METRIC_AUC, 0, 0, NULL, 0, 0}},
    {"binary_accuracy", {"m", MODEL_METRIC_BINARY_ACCURACY, 0.5, 0, NULL, 0, 0}},
    {"binary_accuracy_at_threshold", {"m", MODEL_METRIC_BINARY_ACCURACY, 0.5, 0, NULL, 0, 0}},
    {"binary_accuracy_threshold0.7", {"m", MODEL_METRIC_BINARY_ACCURACY, 0.7, 0, NULL, 0, 0}},
    {"binary_crossentropy", {"m", MODEL_METRIC_BINARY_CROSSENTROPY, 0, 0, NULL, 0, 0}},
    {"categorical_accuracy", {"m", MODEL_METRIC_CATEGORICAL_ACCURACY, 0, 0, NULL, 0, 0}},
    {"categorical_accuracy_ties", {"m", MODEL_METRIC_CATEGORICAL_ACCURACY, 0, 0, NULL, 0, 0}},
    {"categorical_crossentropy", {"m", MODEL_METRIC_CATEGORICAL_CROSSENTROPY, 0, 0, NULL, 0, 0}},
    {"f1_macro", {"m", MODEL_METRIC_F1, 0, 0, "macro", 0, 0}},
    {"false_positives", {"m", MODEL_METRIC_FALSE_POSITIVES, 0.5, 0, NULL, 0, 0}},
    {"mean_absolute_error", {"m", MODEL_METRIC_MEAN_ABSOLUTE_ERROR, 0, 0, NULL, 0, 0}},
    {"mean_squared_error", {"m", MODEL_METRIC_MEAN_SQUARED_ERROR, 0, 0, NULL, 0, 0}},
    {"precision", {"m", MODEL_METRIC_PRECISION, 0.5, 0, NULL, 0, 0}},
    {"precision_multiclass", {"m", MODEL_METRIC_PRECISION, 0.5, 0, NULL, 0, 0}},
    {"r2_score", {"m", MODEL_METRIC_R2, 0, 0, NULL, 0, 0}},
    {"recall", {"m", MODEL_METRIC_RECALL, 0.5, 0, NULL, 0, 0}},
    {"recall_multiclass", {"m", MODEL_METRIC_RECALL, 0.5, 0, NULL, 0, 0}},
    {"root_mean_squared_error", {"m", MODEL_METRIC_ROOT_MEAN_SQUARED_ERROR, 0, 0, NULL, 0, 0}},
    {"sparse_categorical_accuracy", {"m", MODEL_METRIC_SPARSE_CATEGORICAL_ACCURACY, 0, 0, NULL, 0, 0}},
    {"top_2_categorical_accuracy", {"m", MODEL_METRIC_TOP_K, 2, 0, NULL, 0, 0}},
    {"true_positives", {"m", MODEL_METRIC_TRUE_POSITIVES, 0.5, 0, NULL, 0, 0}},
};

static float *read_floats(hid_t file, const char *group, const char *name, H5Shape *shape) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", group, name);
  *shape = h5_shape(file, path);
  cr_assert_gt(shape->rank, 0, "%s", path);
  size_t count = 1;
  for (int d = 0; d < shape->rank; d++)
    count *= shape->dim[d];
  float *data = system_allocate(count * sizeof *data);
  cr_assert(h5_read_dataset(file, path, H5T_NATIVE_FLOAT, data), "%s", path);
  return data;
}

Test(metrics, running_values_are_keras) {
  hid_t file = H5Fopen("tests/parity/golden/metrics.h5", H5F_ACC_RDONLY, H5P_DEFAULT);
  cr_assert_geq(file, 0, "run from the repository's root");
  for (size_t i = 0; i < sizeof metric_cases / sizeof *metric_cases; i++) {
    const MetricCase *one = &metric_cases[i];
    ModelInfo info = {.metrics = &one->metric, .metric_count = 1};
    Metrics *metrics = NULL;
    H5Shape shape;
    float *expected = read_floats(file, one->group, "result", &shape);
    for (int batch = 0; batch < 2; batch++) {
      char name[32];
      H5Shape true_shape;
      snprintf(name, sizeof name, "y_pred%d", batch);
      float *y_pred = read_floats(file, one->group, name, &shape);
      snprintf(name, sizeof name, "y_true%d", batch);
      float *y_true = read_floats(file, one->group, name, &true_shape);
      info.output_floats = (size_t)shape.dim[1];
      info.target_floats = true_shape.rank > 1 ? (size_t)true_shape.dim[1] : 1;
      info.target = true_shape.rank > 1 ? MODEL_TARGET_ONE_HOT : MODEL_TARGET_INDEX;
      if (!metrics)
        metrics = metrics_new(&info);
      metrics_update(metrics, (int)shape.dim[0], y_true, y_pred);
      cr_expect_float_eq(metrics_value(metrics, 0), (double)expected[batch], 2e-6,
                         "%s, batch %d: %.9g, Keras has %.9g", one->group, batch, metrics_value(metrics, 0),
                         (double)expected[batch]);
      free(y_pred);
      free(y_true);
    }
    metrics_delete(metrics);
    free(expected);
  }
  H5Fclose(file);
}

/* A perfect and a worthless ranking, by the definition of the two curves. */
Test(metrics, areas_at_their_ends) {
  const float good[4] = {0.1f, 0.2f, 0.8f, 0.9f}, target[4] = {0, 0, 1, 1};
  for (int kind = 0; kind < 2; kind++) {
    ModelMetric metric = {"auc", MODEL_METRIC_AUC, 0, 0, kind ? "PR" : "ROC", 0, 0};
    ModelInfo info = {.metrics = &metric,
                      .metric_count = 1,
                      .output_floats = 1,
                      .target_floats = 1,
                      .target = MODEL_TARGET_BINARY};
    Metrics *metrics = metrics_new(&info);
    metrics_update(metrics, 4, target, good);
    cr_expect_float_eq(metrics_value(metrics, 0), 1, 1e-9);
    metrics_delete(metrics);
  }
}

Test(confusion, precision_and_recall_per_class) {
  Confusion confusion = confusion_new(2);
  ModelInfo info = {.output_floats = 2, .target_floats = 2, .target = MODEL_TARGET_ONE_HOT};
  const float target[8] = {1, 0, 1, 0, 1, 0, 0, 1},
              y_pred[8] = {0.9f, 0.1f, 0.8f, 0.2f, 0.3f, 0.7f, 0.4f, 0.6f};
  confusion_update(&confusion, &info, 4, target, y_pred);
  ConfusionClass first = confusion_class(&confusion, 0), second = confusion_class(&confusion, 1);
  cr_expect_float_eq(first.precision, 1, 1e-12);
  cr_expect_float_eq(first.recall, 2.0 / 3, 1e-12);
  cr_expect_float_eq(second.precision, 0.5, 1e-12);
  cr_expect_float_eq(second.recall, 1, 1e-12);
  confusion_free(&confusion);
}

/* ---- callbacks: the histories of golden/fit_extras.h5 ---- */

Test(callbacks, early_stopping_stops_where_keras_does) {
  const double val_loss[] = {1.50725079, 1.26319885, 1.19724822, 1.17993188, 1.23122048, 1.18422997};
  ModelEarlyStopping early = {.present = true, .monitor = "val_loss", .patience = 2, .restore_best = true};
  EarlyState state = early_begin(&early);
  int count = (int)(sizeof val_loss / sizeof *val_loss);
  for (int epoch = 0; epoch < count; epoch++) {
    EarlyVerdict verdict = early_epoch(&early, &state, epoch, val_loss[epoch]);
    cr_expect_eq(verdict.stop, epoch == count - 1, "epoch %d", epoch);
  }
  cr_expect_eq(state.best_epoch, 3);
}

Test(callbacks, early_stopping_by_a_baseline) {
  ModelEarlyStopping early = {
      .present = true, .maximize = true, .patience = 2, .has_baseline = true, .baseline = 0.9};
  EarlyState state = early_begin(&early);
  cr_expect(early_epoch(&early, &state, 0, 0.5).keep);
  cr_expect(
      early_epoch(&early, &state, 1, 0.6).keep); /* better, but below the baseline: the waiting goes on */
  cr_expect(early_epoch(&early, &state, 2, 0.6).stop);
}

Test(callbacks, plateau_halves_the_rate_where_keras_does) {
  const double val_loss[] = {1.41885924, 1.27052689, 1.23609173, 1.21215618,
                             1.1939193,  1.19765246, 1.19200158, 1.19649184};
  const double rates[] = {0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1};
  ModelReduceOnPlateau plateau = {.present = true,
                                  .monitor = "val_loss",
                                  .factor = 0.5,
                                  .patience = 1,
                                  .min_lr = 0.01,
                                  .min_delta = 1e-4};
  PlateauState state = plateau_begin(&plateau);
  double rate = rates[0];
  for (size_t epoch = 0; epoch < sizeof val_loss / sizeof *val_loss; epoch++) {
    cr_expect_float_eq(rate, rates[epoch], 1e-9, "epoch %zu", epoch);
    rate *= plateau_epoch(&plateau, &state, val_loss[epoch], rate);
  }
  cr_expect_float_eq(rate, 0.05, 1e-9);
}

/* ---- options ---- */

Test(options, values_and_places) {
  char *argv[] = {"exe", "train", "data", "--epochs=7", "--batch", "4", "--no-shuffle", NULL};
  Options options;
  Fault fault;
  cr_assert(options_parse(&options, OPTIONS_TRAIN, 7, argv, &fault), "%s", fault.text);
  cr_expect_eq(options.epochs, 7);
  cr_expect_eq(options.batch, 4);
  cr_expect(options.no_shuffle);
  cr_expect_eq(options.place_count, 1);
  cr_expect_str_eq(options.places[0], "data");
}

Test(options, what_is_wrong_is_named) {
  const struct {
    char *argv[4];
    unsigned command;
    const char *text;
  } cases[] = {
      {{"exe", "train", "data", "--bacth"}, OPTIONS_TRAIN, "did you mean `--batch`?"},
      {{"exe", "train", "data", "--batch"}, OPTIONS_TRAIN, "--batch wants a value"},
      {{"exe", "train", "data", "--batch=0"}, OPTIONS_TRAIN, "--batch must lie between"},
      {{"exe", "train", "data", "--batch=99999999999999999999"}, OPTIONS_TRAIN, "wants a whole number"},
      {{"exe", "train", "data", "--resume=yes"}, OPTIONS_TRAIN, "--resume takes no value"},
      {{"exe", "train", "data", "more"}, OPTIONS_TRAIN, "one DATA is wanted, 2 are given"},
      {{"exe", "eval", "data", "--top=1"}, OPTIONS_EVAL, "unknown option `--top=1`"},
      {{"exe", "eval", "data", "--json"}, OPTIONS_EVAL, "--weights W.h5 is missing"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *argv[5] = {NULL};
    Options options;
    Fault fault = {""};
    memcpy(argv, cases[i].argv, sizeof cases[i].argv);
    cr_expect_not(options_parse(&options, cases[i].command, 4, argv, &fault), "case %zu", i);
    cr_expect(strstr(fault.text, cases[i].text), "case %zu: %s", i, fault.text);
  }
}

/* ---- log ---- */

Test(log, a_resumed_run_drops_what_came_after) {
  ModelInfo info = {.metric_count = 0};
  char path[] = "/tmp/netc_log_XXXXXX";
  int file = mkstemp(path);
  cr_assert_geq(file, 0);
  close(file);
  Log log;
  Fault fault;
  double value = 0.5;
  cr_assert(log_open(&log, &info, path, -1, &fault));
  for (int step = 1; step <= 4; step++)
    log_row(&log, "step", 1, step, &value, 0.1, NULL);
  cr_assert(log_close(&log, &fault));
  cr_assert(log_open(&log, &info, path, 2, &fault));
  log_row(&log, "epoch", 1, 2, &value, 0.1, &value);
  cr_assert(log_close(&log, &fault));
  size_t length;
  char *text = (char *)system_read_file(path, &length, &fault);
  const char *expected = "kind,epoch,step,loss,learning_rate,val_loss\nstep,1,1,0.5,0.1,\nstep,1,2,0.5,0.1,\n"
                         "epoch,1,2,0.5,0.1,0.5\n";
  cr_assert_eq(length, strlen(expected));
  cr_expect_arr_eq(text, expected, length);
  free(text);
  unlink(path);
}
