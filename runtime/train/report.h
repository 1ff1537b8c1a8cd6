/* --report: one HTML page with curves, confusion matrix and settings; nothing is loaded from anywhere. */
#ifndef NETC_TRAIN_REPORT_H
#define NETC_TRAIN_REPORT_H
#include "../data/dataset.h"
#include "confusion.h"
#include "history.h"

typedef struct ReportSettings {
  const char *data, *val, *save; /* val may be NULL */
  int64_t train_count, val_count;
  int64_t seed;
  int batch, threads;
  double seconds;
  size_t peak_bytes;
  const char *ended; /* "finished", "stopped early", "interrupted" */
} ReportSettings;

static void report_text(FILE *out, const char *text) {
  for (; *text; text++) {
    if (*text == '&')
      fputs("&amp;", out);
    else if (*text == '<')
      fputs("&lt;", out);
    else if (*text == '"')
      fputs("&quot;", out);
    else
      fputc(*text, out);
  }
}

static void report_row(FILE *out, const char *name, const char *format, ...) {
  char value[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(value, sizeof value, format, args);
  va_end(args);
  fputs("<tr><th>", out);
  report_text(out, name);
  fputs("</th><td>", out);
  report_text(out, value);
  fputs("</td></tr>\n", out);
}

static void report_settings(FILE *out, const ModelInfo *info, const ReportSettings *settings) {
  int64_t trainable = 0, frozen = 0;
  for (int w = 0; w < info->weight_count; w++)
    *(info->weights[w].phases ? &trainable : &frozen) += (int64_t)info->weights[w].count;
  fputs("<table class=settings>\n", out);
  report_row(out, "network", "%s (%s), netc %s", info->name, info->source, info->version);
  if (info->height)
    report_row(out, "input", "%d x %d x %d", info->height, info->width, info->channels);
  report_row(out, "parameters", "%lld trained, %lld not", (long long)trainable, (long long)frozen);
  report_row(out, "training data", "%s, %lld images", settings->data, (long long)settings->train_count);
  if (settings->val_count)
    report_row(out, "validation data", "%s, %lld images",
               settings->val ? settings->val : "a part of the same", (long long)settings->val_count);
  report_row(out, "loss", "%s", info->loss ? info->loss : "none");
  for (int p = 0; p < info->phase_count; p++)
    report_row(out, info->phases[p].name ? info->phases[p].name : "optimizer", "%s", info->phases[p].recipe);
  report_row(out, "batch, seed, threads", "%d, %lld, %d", settings->batch, (long long)settings->seed,
             settings->threads);
  report_row(out, "time, peak memory", "%s, %s", console_duration(settings->seconds),
             console_bytes((double)settings->peak_bytes));
  report_row(out, "weights", "%s", settings->save);
  report_row(out, "ended", "%s", settings->ended);
  fputs("</table>\n", out);
}

enum { REPORT_WIDTH = 560, REPORT_HEIGHT = 220, REPORT_LEFT = 60, REPORT_BOTTOM = 24 };

typedef struct ReportRange {
  double low, high;
} ReportRange;

static void report_extend(ReportRange *range, double value) {
  if (!isfinite(value))
    return;
  range->low = value < range->low ? value : range->low;
  range->high = value > range->high ? value : range->high;
}

static double report_x(const History *history, int i) {
  int count = history->count > 1 ? history->count - 1 : 1;
  return REPORT_LEFT + (double)(REPORT_WIDTH - REPORT_LEFT - 8) * i / count;
}

static double report_y(ReportRange range, double value) {
  return 8 + (REPORT_HEIGHT - REPORT_BOTTOM - 8) * (range.high - value) / (range.high - range.low);
}

static void report_line(FILE *out, const History *history, int column, ReportRange range, const char *kind) {
  fprintf(out, "<polyline class=%s points='", kind);
  for (int i = 0; i < history->count; i++) {
    const HistoryEpoch *epoch = &history->epochs[i];
    if (isfinite(epoch->values[column]) && (column < history->values || epoch->validated))
      fprintf(out, "%.1f,%.1f ", report_x(history, i), report_y(range, epoch->values[column]));
  }
  fputs("'/>\n", out);
  for (int i = 0; i < history->count; i++) { /* the numbers under the pointer */
    const HistoryEpoch *epoch = &history->epochs[i];
    if (isfinite(epoch->values[column]) && (column < history->values || epoch->validated))
      fprintf(out, "<circle class=%s cx=%.1f cy=%.1f r=3><title>epoch %lld: %.6g</title></circle>\n", kind,
              report_x(history, i), report_y(range, epoch->values[column]), (long long)epoch->epoch,
              epoch->values[column]);
  }
}

/* Training and validation of one value over the epochs. */
static void report_curve(FILE *out, const History *history, int value, const char *name) {
  ReportRange range = {INFINITY, -INFINITY};
  bool validated = false;
  for (int i = 0; i < history->count; i++) {
    const HistoryEpoch *epoch = &history->epochs[i];
    report_extend(&range, epoch->values[value]);
    if (epoch->validated)
      report_extend(&range, epoch->values[history->values + value]);
    validated = validated || epoch->validated;
  }
  if (!(range.low <= range.high))
    return;
  if (range.high - range.low < 1e-9) {
    range.high += .5;
    range.low -= .5;
  }
  fputs("<h3>", out);
  report_text(out, name);
  fprintf(out, "</h3>\n<svg viewBox='0 0 %d %d'>\n", REPORT_WIDTH, REPORT_HEIGHT);
  for (int k = 0; k <= 4; k++) {
    double at = range.low + (range.high - range.low) * k / 4, y = report_y(range, at);
    fprintf(out, "<path class=grid d='M%d %.1fH%d'/><text x=%d y=%.1f text-anchor=end>%.4g</text>\n",
            REPORT_LEFT, y, REPORT_WIDTH - 8, REPORT_LEFT - 6, y + 4, at);
  }
  for (int i = 0; i < history->count; i++) {
    const HistoryEpoch *epoch = &history->epochs[i];
    int step = history->count > 12 ? (history->count + 11) / 12 : 1;
    if (i % step == 0)
      fprintf(out, "<text x=%.1f y=%d text-anchor=middle>%lld</text>\n", report_x(history, i),
              REPORT_HEIGHT - 6, (long long)epoch->epoch);
    if (i && epoch->phase != history->epochs[i - 1].phase)
      fprintf(out, "<path class=phase d='M%.1f 8V%d'/>\n",
              (report_x(history, i) + report_x(history, i - 1)) / 2, REPORT_HEIGHT - REPORT_BOTTOM);
  }
  report_line(out, history, value, range, "train");
  if (validated)
    report_line(out, history, history->values + value, range, "val");
  fputs("</svg>\n", out);
}

static void report_confusion(FILE *out, const Confusion *confusion, const Dataset *dataset) {
  char name[32];
  fputs("<h2>Confusion matrix</h2>\n<p>Rows are the truth, columns the prediction.</p>\n<table "
        "class=matrix>\n<tr><th></th>",
        out);
  for (int c = 0; c < confusion->classes; c++) {
    fputs("<th>", out);
    report_text(out, dataset_class_name(dataset, c, name, sizeof name));
    fputs("</th>", out);
  }
  fputs("<th>precision</th><th>recall</th><th>F1</th></tr>\n", out);
  for (int c = 0; c < confusion->classes; c++) {
    ConfusionClass row = confusion_class(confusion, c);
    fputs("<tr><th>", out);
    report_text(out, dataset_class_name(dataset, c, name, sizeof name));
    fputs("</th>", out);
    for (int k = 0; k < confusion->classes; k++) {
      int64_t count = confusion->count[c * confusion->classes + k];
      double share = row.truth ? (double)count / (double)row.truth : 0;
      fprintf(out, "<td style='background:rgba(%s,%.2f)'>%lld</td>", c == k ? "40,140,70" : "200,60,40",
              share * .7, (long long)count);
    }
    fprintf(out, "<td>%.3f</td><td>%.3f</td><td>%.3f</td></tr>\n", row.precision, row.recall, row.f1);
  }
  fputs("</table>\n", out);
}

static void report_epochs(FILE *out, const ModelInfo *info, const History *history) {
  fputs("<h2>Epochs</h2>\n<table>\n<tr><th>epoch</th><th>steps</th>", out);
  for (int part = 0; part < 2; part++)
    for (int m = 0; m <= info->metric_count; m++) {
      fprintf(out, "<th>%s", part ? "val_" : "");
      report_text(out, m ? info->metrics[m - 1].name : "loss");
      fputs("</th>", out);
    }
  fputs("<th>rate</th><th>seconds</th></tr>\n", out);
  for (int i = 0; i < history->count; i++) {
    const HistoryEpoch *epoch = &history->epochs[i];
    fprintf(out, "<tr><td>%lld</td><td>%lld</td>", (long long)epoch->epoch, (long long)epoch->step);
    for (int k = 0; k < 2 * history->values; k++) {
      if (k < history->values || epoch->validated)
        fprintf(out, "<td>%.5g</td>", epoch->values[k]);
      else
        fputs("<td></td>", out);
    }
    fprintf(out, "<td>%.4g</td><td>%.2f</td></tr>\n", epoch->rate, epoch->seconds);
  }
  fputs("</table>\n", out);
}

static const char report_style[] =
    "<style>\n"
    "body{font:15px/1.45 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 "
    "1em;color:#222;background:#fff}\n"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.2em .7em;text-align:right;border-bottom:1px solid #ddd}\n"
    ".settings th{text-align:left;color:#666;font-weight:normal}.settings td{text-align:left}\n"
    "svg{width:100%;max-width:44em;height:auto}svg text{font-size:11px;fill:#666}\n"
    "polyline{fill:none;stroke-width:2}polyline.train{stroke:#1f5fa8}polyline.val{stroke:#d07818}\n"
    "circle.train{fill:#1f5fa8}circle.val{fill:#d07818}\n"
    ".grid{stroke:#e4e4e4;fill:none}.phase{stroke:#999;stroke-dasharray:4 3;fill:none}\n"
    ".key b{font-weight:600}.key .t{color:#1f5fa8}.key .v{color:#d07818}\n"
    "@media(prefers-color-scheme:dark){body{background:#17191c;color:#ddd}th,td{border-color:#3a3d42}"
    ".grid{stroke:#33363b}}\n"
    "</style>\n";

/* Writes the page beside `path` and renames it.  `confusion` may be NULL; `dataset` gives the classes their
 * names. */
static bool report_write(const char *path, const ModelInfo *info, const History *history,
                         const Confusion *confusion, const Dataset *dataset, const ReportSettings *settings,
                         Fault *fault) {
  char *part = system_beside(path);
  FILE *out = fopen(part, "w");
  if (!out) {
    free(part);
    return fault_set(fault, "%s: %s", path, strerror(errno));
  }
  fputs("<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport "
        "content='width=device-width'>\n<title>",
        out);
  report_text(out, info->name);
  fprintf(out, ": training report</title>\n%s<h1>", report_style);
  report_text(out, info->name);
  fputs("</h1>\n", out);
  report_settings(out, info, settings);
  fputs("<h2>Curves</h2>\n<p class=key><b class=t>training</b>, <b class=v>validation</b>; dashed lines "
        "separate "
        "phases.</p>\n",
        out);
  for (int m = 0; m <= info->metric_count; m++)
    report_curve(out, history, m, m ? info->metrics[m - 1].name : "loss");
  if (confusion)
    report_confusion(out, confusion, dataset);
  report_epochs(out, info, history);
  fputs("</html>\n", out);
  bool good = !ferror(out);
  good = !fclose(out) && good;
  good = good ? system_replace(part, path, fault) : fault_set(fault, "%s: cannot be written", path);
  if (!good)
    unlink(part);
  free(part);
  return good;
}
#endif
