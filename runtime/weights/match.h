/* Which weight of a file belongs to which weight of the network.
 *
 * By order, as Keras does: layers that have weights are paired in sequence; a Keras 3 file is numbered per
 * class.  A model nested in the file is taken apart first.  By name: layers of equal name.  Every shape is
 * checked; what does not fit is listed, and then nothing is loaded. */
#ifndef NETC_WEIGHTS_MATCH_H
#define NETC_WEIGHTS_MATCH_H
#include <ctype.h>

#include "../model.h"
#include "table.h"

/* A weighted layer of the file in the form used for matching: nested groups are split into their inner
 * layers. */
typedef struct MatchLayer {
  char *name;
  const char *key;
  int nest;
  TableWeight **weights;
  int weight_count;
} MatchLayer;

typedef struct Match {
  const WeightsTable *table;
  const ModelInfo *info;
  MatchLayer *file; /* weighted layers of the file, in its order */
  int file_count;
  int *target; /* weighted layers wanted, indices into info->layers */
  char **keys; /* per target: Keras 3's "conv2d_1" */
  int target_count;
  bool extra_allowed;  /* the file may go on after the part's last layer */
  TableWeight **found; /* [info->weight_count] */
  int extra;           /* layers of the file that were left over */
  int matched;         /* layers */
  bool names_differ;   /* matched by order although names are different */
  char problems[2800]; /* one line each */
  int problem_count;
} Match;

static void match_problem(Match *match, const char *format, ...) {
  va_list args;
  size_t used = strlen(match->problems);
  va_start(args, format);
  if (match->problem_count++ < 12 && used + 4 < sizeof match->problems) {
    used += (size_t)snprintf(match->problems + used, sizeof match->problems - used, "\n  ");
    vsnprintf(match->problems + used, sizeof match->problems - used, format, args);
  }
  va_end(args);
}

/* Keras's to_snake_case: "MaxPooling2D" -> "max_pooling2d", "ReLU" -> "re_lu". */
static char *match_snake_case(const char *name) {
  char *snake = system_allocate(2 * strlen(name) + 2), *out = snake;
  for (int i = 0; name[i]; i++) {
    bool upper = isupper((unsigned char)name[i]);
    bool word = upper && i && islower((unsigned char)name[i + 1]);
    bool edge = upper && i && islower((unsigned char)name[i - 1]);
    if (word || edge)
      *out++ = '_';
    *out++ = (char)tolower((unsigned char)name[i]);
  }
  return snake;
}

/* The keys of layers in a Keras 3 file: numbered per class in the order given.  `keys` gets one fresh string
 * per layer. */
static void match_number_classes(const ModelInfo *info, const int *layers, int count, char **keys) {
  for (int i = 0; i < count; i++) {
    const char *keras_class = info->layers[layers ? layers[i] : i].keras_class;
    char *snake = match_snake_case(keras_class);
    int before = 0;
    for (int k = 0; k < i; k++)
      before += !strcmp(info->layers[layers ? layers[k] : k].keras_class, keras_class);
    keys[i] = system_allocate(strlen(snake) + 16);
    sprintf(keys[i], before ? "%s_%d" : "%s", snake, before);
    free(snake);
  }
}

static MatchLayer *match_add(Match *match, const char *name, size_t length, const TableLayer *layer) {
  MatchLayer *grown = system_allocate(((size_t)match->file_count + 1) * sizeof *grown);
  if (match->file)
    memcpy(grown, match->file, (size_t)match->file_count * sizeof *grown);
  free(match->file);
  match->file = grown;
  MatchLayer *added = &grown[match->file_count++];
  *added = (MatchLayer){system_allocate(length + 1), layer->key, layer->nest,
                        system_allocate((size_t)layer->weight_count * sizeof(TableWeight *)), 0};
  memcpy(added->name, name, length);
  return added;
}

/* The inner layer's name within a weight's name: "block1_conv1/kernel:0" -> 12 characters; 0 where there is
 * none. */
static size_t match_inner_length(const char *weight) {
  const char *slash = strrchr(weight, '/');
  return slash ? (size_t)(slash - weight) : 0;
}

static bool match_is_nested(const TableLayer *layer) {
  size_t first = layer->weight_count ? match_inner_length(layer->weights[0].name) : 0;
  for (int w = 1; w < layer->weight_count; w++) {
    size_t length = match_inner_length(layer->weights[w].name);
    if (length != first || strncmp(layer->weights[w].name, layer->weights[0].name, length))
      return true;
  }
  return false;
}

/* Splits a nested model's group: weights of one inner layer go together, layers in the order they first
 * appear. */
static void match_add_nested(Match *match, TableLayer *layer, int nest) {
  int first = match->file_count;
  for (int w = 0; w < layer->weight_count; w++) {
    const char *name = layer->weights[w].name;
    size_t length = match_inner_length(name);
    MatchLayer *inner = NULL;
    for (int i = first; i < match->file_count && !inner; i++)
      if (!strncmp(match->file[i].name, name, length) && !match->file[i].name[length])
        inner = &match->file[i];
    if (!inner)
      inner = match_add(match, name, length, layer);
    inner->nest = nest;
    inner->weights[inner->weight_count++] = &layer->weights[w];
  }
}

static void match_free(Match *match) {
  for (int i = 0; i < match->file_count; i++) {
    free(match->file[i].name);
    free(match->file[i].weights);
  }
  for (int i = 0; i < match->target_count; i++)
    free(match->keys[i]);
  free(match->file);
  free(match->keys);
  free(match->target);
  free(match->found);
}

/* `layers` (NULL: all) in Keras's order are the part of the network that the file is for. */
static void match_start(Match *match, const WeightsTable *table, const ModelInfo *info, const int *layers,
                        int count) {
  *match = (Match){.table = table, .info = info};
  if (!layers)
    count = info->layer_count;
  char **keys = system_allocate((size_t)count * sizeof *keys);
  match->target = system_allocate((size_t)count * sizeof *match->target);
  match->keys = system_allocate((size_t)count * sizeof *match->keys);
  match->found = system_allocate((size_t)info->weight_count * sizeof *match->found);
  match_number_classes(info, layers, count, keys);
  for (int i = 0; i < count; i++) {
    int layer = layers ? layers[i] : i;
    if (info->layers[layer].weight_count) {
      match->target[match->target_count] = layer;
      match->keys[match->target_count++] = keys[i];
    } else {
      free(keys[i]);
    }
  }
  free(keys);
  for (int i = 0, nests = 0; i < table->layer_count; i++) {
    TableLayer *layer = &table->layers[i];
    if (!layer->weight_count)
      continue;
    if (table->kind == TABLE_LEGACY && match_is_nested(layer)) {
      match_add_nested(match, layer, ++nests);
      continue;
    }
    MatchLayer *flat = match_add(match, layer->name, strlen(layer->name), layer);
    for (int w = 0; w < layer->weight_count; w++)
      flat->weights[flat->weight_count++] = &layer->weights[w];
  }
}

static void match_shape_text(int rank, const int64_t *dim, char *text, size_t size) {
  size_t used = (size_t)snprintf(text, size, "(");
  for (int d = 0; d < rank && used < size; d++)
    used += (size_t)snprintf(text + used, size - used, "%s%lld", d ? ", " : "", (long long)dim[d]);
  if (used < size)
    snprintf(text + used, size - used, ")");
}

/* The last part of a weight's name without Keras 2's ":0": "dense/kernel:0" -> "kernel". */
static bool match_same_weight(const char *file_name, const char *name) {
  const char *slash = strrchr(file_name, '/'), *start = slash ? slash + 1 : file_name;
  size_t length = strcspn(start, ":");
  return length == strlen(name) && !strncmp(start, name, length);
}

static bool match_shape_fits(const ModelWeight *weight, const TableWeight *file) {
  bool fits = file->is_float && file->rank == weight->rank;
  for (int d = 0; fits && d < weight->rank; d++)
    fits = file->dim[d] == weight->dim[d];
  return fits;
}

/* The file's weight for the w-th one of a layer: the one of its name where the file has such names, else by
 * position. */
static TableWeight *match_weight(const MatchLayer *file, const ModelWeight *weight, int w) {
  for (int i = 0; i < file->weight_count; i++)
    if (match_same_weight(file->weights[i]->name, weight->name))
      return file->weights[i];
  return file->weights[w];
}

/* A layer that a cut base has lost: its place in the file counts, its weights do not. */
static bool match_is_absent(const Match *match, int target) {
  return target >= match->info->layer_count;
}

/* Pairs one layer of the file with one of the network.  With `report`, says what does not fit. */
static bool match_pair(Match *match, const MatchLayer *file, int target, bool report) {
  if (match_is_absent(match, target))
    return true;
  const ModelLayer *layer = &match->info->layers[target];
  if (file->weight_count != layer->weight_count) {
    if (report)
      match_problem(match, "layer `%s` has %d weights, the file's `%s` has %d", layer->name,
                    layer->weight_count, file->name, file->weight_count);
    return false;
  }
  bool good = true;
  for (int w = 0; w < layer->weight_count; w++) {
    int index = layer->first_weight + w;
    const ModelWeight *weight = &match->info->weights[index];
    TableWeight *from = match_weight(file, weight, w);
    if (match_shape_fits(weight, from)) {
      match->found[index] = from;
      continue;
    }
    good = false;
    if (report) {
      char want[100], have[100];
      int64_t dim[4];
      for (int d = 0; d < weight->rank; d++)
        dim[d] = weight->dim[d];
      match_shape_text(weight->rank, dim, want, sizeof want);
      match_shape_text(from->rank, from->dim, have, sizeof have);
      match_problem(match, "%s/%s wants shape %s, the file's %s%s%s has %s%s", layer->name, weight->name,
                    want, file->name, match->table->kind == TABLE_KERAS3 ? "/" : ", ", from->name, have,
                    from->is_float ? "" : " and is not of a float type");
    }
  }
  if (good && strcmp(file->name, layer->name))
    match->names_differ = true;
  match->matched += good;
  return good;
}

static void match_forget(Match *match) {
  memset(match->found, 0, (size_t)match->info->weight_count * sizeof *match->found);
  match->matched = match->problem_count = match->extra = 0;
  match->names_differ = false;
  match->problems[0] = 0;
}

/* In sequence. */
static bool match_sequence(Match *match, bool report) {
  match_forget(match);
  bool fewer = match->file_count < match->target_count;
  bool good = match->file_count == match->target_count || (match->extra_allowed && !fewer);
  int shared = fewer ? match->file_count : match->target_count;
  if (!good && report)
    match_problem(match, "%d layers with weights are wanted, the file has %d", match->target_count,
                  match->file_count);
  for (int i = 0; i < shared && (good || report); i++)
    good = match_pair(match, &match->file[i], match->target[i], report) && good;
  match->extra = fewer ? 0 : match->file_count - match->target_count;
  return good;
}

/* Each wanted layer by the file's layer of its name (file names are unique where this is used). */
static bool match_all_names(Match *match) {
  match_forget(match);
  if (match->file_count < match->target_count ||
      (match->file_count > match->target_count && !match->extra_allowed))
    return false;
  for (int t = 0; t < match->target_count; t++) {
    const char *name = match->info->layers[match->target[t]].name;
    const MatchLayer *file = NULL;
    for (int i = 0; i < match->file_count; i++)
      if (!strcmp(match->file[i].name, name)) {
        if (file)
          return false;
        file = &match->file[i];
      }
    if (!file || !match_pair(match, file, match->target[t], false))
      return false;
  }
  match->extra = match->file_count - match->target_count;
  return true;
}

/* How many of the earlier entries are of the same class: the k-th "conv2d..." of the network. */
static int match_rank(char *const *keys, int t) {
  long number;
  size_t length = table_base(keys[t], &number);
  int rank = 0;
  for (int k = 0; k < t; k++)
    rank += table_base(keys[k], &number) == length && !strncmp(keys[k], keys[t], length);
  return rank;
}

/* Each wanted layer by class and number: the k-th layer of a class in the network is the k-th of that class
 * in the file, where nested models count before the layers around them.  Classes are told by the file's keys
 * or by its names. */
static bool match_classes(Match *match, bool by_key, bool report) {
  match_forget(match);
  struct {
    const char *text;
    size_t length;
    long number;
    int nest, rank;
  } *file = system_allocate((size_t)match->file_count * sizeof *file);
  for (int i = 0; i < match->file_count; i++) {
    file[i].text = by_key ? match->file[i].key : match->file[i].name;
    file[i].length = table_base(file[i].text, &file[i].number);
    file[i].nest = match->file[i].nest ? match->file[i].nest : 1 << 20;
  }
  for (int i = 0; i < match->file_count; i++)
    for (int k = 0; k < match->file_count; k++)
      file[i].rank +=
          file[k].length == file[i].length && !strncmp(file[k].text, file[i].text, file[i].length) &&
          (file[k].nest < file[i].nest || (file[k].nest == file[i].nest && file[k].number < file[i].number));
  bool good = true;
  for (int t = 0; (good || report) && t < match->target_count; t++) {
    long number;
    size_t length = table_base(match->keys[t], &number);
    int rank = match_rank(match->keys, t), found = -1;
    for (int i = 0; i < match->file_count && found < 0; i++)
      if (file[i].rank == rank && file[i].length == length && !strncmp(file[i].text, match->keys[t], length))
        found = i;
    if (found < 0 && report)
      match_problem(match, "for layer `%s` (%s) the file has nothing",
                    match->info->layers[match->target[t]].name, match->keys[t]);
    good = found >= 0 && match_pair(match, &match->file[found], match->target[t], report) && good;
  }
  free(file);
  match->extra = match->file_count - match->target_count;
  bool whole = match->extra == 0 || (match->extra_allowed && match->extra > 0);
  if (!whole && report)
    match_problem(match, "%d layers with weights are wanted, the file has %d", match->target_count,
                  match->file_count);
  return good && whole;
}

static bool match_has_nest(const Match *match) {
  for (int i = 0; i < match->file_count; i++)
    if (match->file[i].nest)
      return true;
  return false;
}

/* Takes the layers out that a cut base has lost: for a file that was saved after the cut. */
static bool match_drop_absent(Match *match) {
  int kept = 0;
  for (int t = 0; t < match->target_count; t++) {
    if (match_is_absent(match, match->target[t])) {
      free(match->keys[t]);
      continue;
    }
    match->target[kept] = match->target[t];
    match->keys[kept++] = match->keys[t];
  }
  bool dropped = kept < match->target_count;
  match->target_count = kept;
  return dropped;
}

static bool match_all_by_order(Match *match) {
  if (match->table->kind == TABLE_KERAS3) {
    /* Such a file says nothing of the order of different classes.  Number per class as Keras reads such
     * files; names where that does not come out. */
    return match_classes(match, true, false) || match_all_names(match) || match_classes(match, true, true);
  } else if (match_has_nest(match)) {
    /* A nested group's own order depends on what was trainable when it was saved: names tell, else the
     * numbers in automatic names, else the order of appearance. */
    if (match_all_names(match) || match_classes(match, false, false))
      return true;
  }
  return match_sequence(match, false) || match_sequence(match, true);
}

/* Pairs by order; what does not fit is listed in match->problems. */
static bool match_by_order(Match *match) {
  return match_all_by_order(match) || (match_drop_absent(match) && match_all_by_order(match));
}

/* Pairs layers of equal name; others are left as they are. */
static bool match_by_name(Match *match) {
  bool good = true;
  match_forget(match);
  for (int i = 0; i < match->file_count; i++) {
    bool known = false;
    for (int t = 0; t < match->target_count; t++)
      if (!strcmp(match->file[i].name, match->info->layers[match->target[t]].name)) {
        known = true;
        good = match_pair(match, &match->file[i], match->target[t], true) && good;
      }
    match->extra += !known;
  }
  if (good && !match->matched) {
    match_problem(match,
                  "no layer of the file has the name of a layer of the network (the file's first: `%s`)",
                  match->file_count ? match->file[0].name : "none");
    return false;
  }
  return good;
}
#endif
