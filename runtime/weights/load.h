/* Loading a Keras weights file into the network's weights: all that fits, or nothing. */
#ifndef NETC_WEIGHTS_LOAD_H
#define NETC_WEIGHTS_LOAD_H
#include "match.h"

typedef struct LoadOptions {
  bool by_name;
  const int *layers; /* the part of the network that the file is for, in Keras's order; NULL: all of it */
  int layer_count;
  const char *part; /* its name for messages, or NULL */
  bool extra_allowed;
  bool *loaded; /* [info->weight_count], or NULL: set for every weight that was loaded */
} LoadOptions;

typedef struct LoadResult {
  int matched, wanted, extra; /* layers */
  bool names_differ;          /* paired by order although names are different */
} LoadResult;

static bool load_refuse(const Match *match, const LoadOptions *options, Fault *fault) {
  const char *part = options->part && *options->part ? options->part : match->info->name;
  const char *hint = "";
  if (!options->by_name && match->file_count > match->target_count && match->matched == match->target_count)
    hint = "\n  the file has more layers than are wanted, but those match: load it by name";
  else if (!options->by_name && match->file_count < match->target_count &&
           match->matched == match->file_count)
    hint = "\n  all layers of the file match: it holds the first part of the network; load it by name";
  int more = match->problem_count - 12;
  char rest[64] = "";
  if (more > 0)
    snprintf(rest, sizeof rest, "\n  and %d more", more);
  return fault_set(fault, "%s: does not fit `%s`; nothing was loaded%s%s%s", match->table->path, part,
                   match->problems, rest, hint);
}

/* Loads `path` into params ([info->param_floats]).  The fault lists every mismatch. */
static bool load_weights(const ModelInfo *info, float *params, const char *path, const LoadOptions *options,
                         LoadResult *result, Fault *fault) {
  WeightsTable table;
  Match match;
  if (!table_open(&table, path, fault))
    return false;
  match_start(&match, &table, info, options->layers, options->layer_count);
  match.extra_allowed = options->extra_allowed;
  bool good = options->by_name ? match_by_name(&match) : match_by_order(&match);
  if (!good)
    load_refuse(&match, options, fault);
  for (int w = 0; good && w < info->weight_count; w++)
    if (match.found[w]) {
      good = table_read_weight(&table, match.found[w], params + info->weights[w].offset, fault);
      if (options->loaded)
        options->loaded[w] = true;
    }
  *result = (LoadResult){match.matched, match.target_count, match.extra, match.names_differ};
  match_free(&match);
  table_close(&table);
  return good;
}
#endif
