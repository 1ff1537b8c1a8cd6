/* The CSV log: kind,epoch,step,loss,<metrics>,learning_rate,val_loss,val_<metrics>.  Rows of kind `step` hold
 * that step's own values, rows of kind `epoch` what Keras's history shows.  Epochs and steps count from 1
 * over all phases. */
#ifndef NETC_TRAIN_LOG_H
#define NETC_TRAIN_LOG_H
#include <inttypes.h>

#include "../model.h"
#include "../system.h"

typedef struct Log {
  FILE *file; /* NULL: no log is wanted */
  const ModelInfo *info;
  const char *path;
} Log;

static void log_header(const Log *log) {
  fputs("kind,epoch,step,loss", log->file);
  for (int m = 0; m < log->info->metric_count; m++)
    fprintf(log->file, ",%s", log->info->metrics[m].name);
  fputs(",learning_rate,val_loss", log->file);
  for (int m = 0; m < log->info->metric_count; m++)
    fprintf(log->file, ",val_%s", log->info->metrics[m].name);
  fputc('\n', log->file);
}

/* Whether a row of an earlier run lies beyond the point where this run goes on. */
static bool log_beyond(const char *row, int64_t step) {
  int64_t row_epoch = 0, row_step = 0;
  char kind[16];
  return sscanf(row, "%15[^,],%" SCNd64 ",%" SCNd64, kind, &row_epoch, &row_step) == 3 && row_step > step;
}

/* Opens the log; with keep_until >= 0 the rows of an interrupted run up to that step stay. */
static bool log_open(Log *log, const ModelInfo *info, const char *path, int64_t keep_until, Fault *fault) {
  *log = (Log){NULL, info, path};
  if (!path)
    return true;
  unsigned char *old = NULL;
  size_t length = 0;
  Fault ignored;
  if (keep_until >= 0 && system_is_file(path))
    old = system_read_file(path, &length, &ignored);
  log->file = fopen(path, "w");
  if (!log->file) {
    free(old);
    return fault_set(fault, "%s: %s", path, strerror(errno));
  }
  log_header(log);
  bool first = true;
  for (size_t at = 0; old && at < length;) {
    size_t end = at;
    while (end < length && old[end] != '\n')
      end++;
    char row[64] = "";
    memcpy(row, old + at, end - at < sizeof row - 1 ? end - at : sizeof row - 1);
    if (!first && end < length && !log_beyond(row, keep_until))
      fwrite(old + at, 1, end - at + 1, log->file);
    first = false;
    at = end + 1;
  }
  free(old);
  return true;
}

/* values: loss, then the metrics; val the same or NULL. */
static void log_row(const Log *log, const char *kind, int64_t epoch, int64_t step, const double *values,
                    double rate, const double *val) {
  if (!log->file)
    return;
  fprintf(log->file, "%s,%" PRId64 ",%" PRId64, kind, epoch, step);
  for (int m = 0; m <= log->info->metric_count; m++)
    fprintf(log->file, ",%.9g", values[m]);
  fprintf(log->file, ",%.9g", rate);
  for (int m = 0; m <= log->info->metric_count; m++)
    if (val)
      fprintf(log->file, ",%.9g", val[m]);
    else
      fputc(',', log->file);
  fputc('\n', log->file);
}

static void log_flush(const Log *log) {
  if (log->file)
    fflush(log->file);
}

/* False: something could not be written. */
static bool log_close(Log *log, Fault *fault) {
  if (!log->file)
    return true;
  bool good = !ferror(log->file);
  good = !fclose(log->file) && good;
  log->file = NULL;
  return good || fault_set(fault, "%s: %s", log->path, strerror(errno));
}
#endif
