/* What every epoch brought, for the report. */
#ifndef NETC_TRAIN_HISTORY_H
#define NETC_TRAIN_HISTORY_H
#include "../model.h"
#include "../system.h"

typedef struct HistoryEpoch {
  int phase;
  int64_t epoch, step; /* from 1 over all phases; steps done at its end */
  double rate, seconds;
  double *values; /* [1 + metric_count]: loss and metrics of training, then those of validation */
  bool validated;
} HistoryEpoch;

typedef struct History {
  HistoryEpoch *epochs;
  int count, capacity;
  int values; /* 1 + metric_count */
} History;

static void history_add(History *history, HistoryEpoch epoch, const double *values, const double *val) {
  if (history->count == history->capacity) {
    history->capacity = history->capacity ? 2 * history->capacity : 32;
    HistoryEpoch *grown = system_allocate((size_t)history->capacity * sizeof *grown);
    if (history->epochs)
      memcpy(grown, history->epochs, (size_t)history->count * sizeof *grown);
    free(history->epochs);
    history->epochs = grown;
  }
  size_t bytes = (size_t)history->values * sizeof *values;
  epoch.values = system_allocate(2 * bytes);
  memcpy(epoch.values, values, bytes);
  if (val)
    memcpy(epoch.values + history->values, val, bytes);
  epoch.validated = val;
  history->epochs[history->count++] = epoch;
}

static void history_free(History *history) {
  for (int i = 0; i < history->count; i++)
    free(history->epochs[i].values);
  free(history->epochs);
  *history = (History){0};
}
#endif
