/* What the program can see in the data before it trains: each of these is a mistake that users of Keras
 * report again and again.  One line each; nothing stops. */
#ifndef NETC_TRAIN_LINTS_H
#define NETC_TRAIN_LINTS_H
#include "../data/open.h"

enum { LINTS_IMBALANCE = 3 }; /* the largest class against the smallest */

/* Classes of very different size, or without an image on one side of the split. */
static void lints_classes(const ModelInfo *info, const Dataset *dataset, const int64_t *items, int64_t count,
                          const char *part) {
  int classes = dataset->class_count, most = 0, least = 0, missing = 0, first_missing = -1;
  char a[32], b[32];
  if (classes < 2 || classes > 1 << 20)
    return;
  int64_t *images = system_allocate((size_t)classes * sizeof *images);
  for (int64_t i = 0; i < count; i++)
    if (dataset->items[items[i]].label >= 0 && dataset->items[items[i]].label < classes)
      images[dataset->items[items[i]].label]++;
  for (int c = 0; c < classes; c++) {
    most = images[c] > images[most] ? c : most;
    least = images[c] < images[least] ? c : least;
    if (!images[c] && !missing++)
      first_missing = c;
  }
  const char *name = dataset_class_name(dataset, missing ? first_missing : least, a, sizeof a);
  if (missing)
    console_warn("the %s images hold none of class %s%s", part, name,
                 missing > 1 ? " and of others"
                 : !info->stratified && !strcmp(part, "validation")
                     ? "; `validation split ... stratified` takes the same part of every class"
                     : "");
  else if (images[most] > LINTS_IMBALANCE * images[least] && !info->class_weights &&
           !strcmp(part, "training"))
    console_warn("classes are unbalanced: %lld images of %s, %lld of %s; class weights would even them out",
                 (long long)images[most], dataset_class_name(dataset, most, b, sizeof b),
                 (long long)images[least], name);
  free(images);
}

typedef struct LintsHash {
  uint64_t hash;
  int64_t item;
} LintsHash;

static int lints_compare(const void *left, const void *right) {
  const LintsHash *a = left, *b = right;
  if (a->hash != b->hash)
    return a->hash < b->hash ? -1 : 1;
  return (a->item > b->item) - (a->item < b->item);
}

/* The same image on both sides makes validation look better than it is. */
static void lints_leak(const Dataset *train, const int64_t *train_items, int64_t train_count,
                       const Dataset *val, const int64_t *val_items, int64_t val_count) {
  LintsHash *sorted = system_allocate((size_t)train_count * sizeof *sorted);
  int64_t shared = 0, first_train = 0, first_val = 0;
  char a[64], b[64];
  for (int64_t i = 0; i < train_count; i++)
    sorted[i] = (LintsHash){train->items[train_items[i]].hash, train_items[i]};
  qsort(sorted, (size_t)train_count, sizeof *sorted, lints_compare);
  for (int64_t i = 0; i < val_count; i++) {
    uint64_t hash = val->items[val_items[i]].hash;
    int64_t low = 0, high = train_count;
    while (low < high) {
      int64_t middle = low + (high - low) / 2;
      if (sorted[middle].hash < hash)
        low = middle + 1;
      else
        high = middle;
    }
    if (low < train_count && sorted[low].hash == hash && !shared++) {
      first_train = sorted[low].item;
      first_val = val_items[i];
    }
  }
  if (shared)
    console_warn(
        "%lld of %lld validation images are also training images (%s is %s); validation will look too good",
        (long long)shared, (long long)val_count, dataset_item_name(val, first_val, a, sizeof a),
        dataset_item_name(train, first_train, b, sizeof b));
  free(sorted);
}

/* The same picture under two labels cannot be learnt. */
static void lints_contradictions(const Dataset *dataset, const int64_t *items, int64_t count) {
  LintsHash *sorted = system_allocate((size_t)count * sizeof *sorted);
  int64_t pairs = 0, first = 0;
  char a[64], b[64];
  for (int64_t i = 0; i < count; i++)
    sorted[i] = (LintsHash){dataset->items[items[i]].hash, items[i]};
  qsort(sorted, (size_t)count, sizeof *sorted, lints_compare);
  for (int64_t i = 1; i < count; i++)
    if (sorted[i].hash == sorted[i - 1].hash &&
        dataset->items[sorted[i].item].label != dataset->items[sorted[i - 1].item].label && !pairs++)
      first = i;
  if (pairs)
    console_warn("%lld image%s in two classes at once (%s is %s)", (long long)pairs,
                 pairs == 1 ? " is" : "s are", dataset_item_name(dataset, sorted[first].item, a, sizeof a),
                 dataset_item_name(dataset, sorted[first - 1].item, b, sizeof b));
  free(sorted);
}

/* Gray images in a network with three channels, or 8-bit looking floats. */
static void lints_pixels(const ModelInfo *info, const Dataset *dataset) {
  int64_t gray = 0, read = 0;
  if (info->channels == 3 && dataset->bytes && dataset->row_channels == 1)
    gray = read = dataset->count;
  for (int64_t i = 0; !dataset->bytes && i < dataset->count; i++) {
    read += dataset->items[i].decoded;
    gray += dataset->items[i].gray;
  }
  if (info->channels == 3 && read && gray == read)
    console_warn(
        "the images are gray, the network has three channels: each is repeated; pretrained weights expect "
        "colour");
  else if (info->channels == 3 && gray)
    console_warn("%lld of %lld images are gray among colour ones", (long long)gray, (long long)read);
}

/* Before training.  `val` may be NULL; it may be the same dataset as `train`, of which other items are taken.
 */
static void lints_before(const ModelInfo *info, const Dataset *train, const int64_t *train_items,
                         int64_t train_count, const Dataset *val, const int64_t *val_items,
                         int64_t val_count) {
  lints_classes(info, train, train_items, train_count, "training");
  lints_contradictions(train, train_items, train_count);
  lints_pixels(info, train);
  if (train_count < (int64_t)info->batch)
    console_warn("there are only %lld training images, fewer than one batch of %d", (long long)train_count,
                 info->batch);
  if (val && val_count) {
    lints_classes(info, val, val_items, val_count, "validation");
    lints_leak(train, train_items, train_count, val, val_items, val_count);
  }
}

/* After training, from the first and the last epoch's training loss: a cross-entropy that stayed where
 * guessing leaves it. */
static void lints_after(const ModelInfo *info, int epochs, double first_loss, double last_loss) {
  double guess = info->target == MODEL_TARGET_BINARY ? log(2) : log((double)dataset_head_classes(info));
  bool entropy = info->loss && strstr(info->loss, "crossentropy");
  if (epochs >= 3 && entropy && fabs(last_loss - guess) < .02 * guess &&
      fabs(first_loss - guess) < .1 * guess)
    console_warn(
        "the loss stayed at %.3f, what guessing gives: is the learning rate too small or too large, is the "
        "preprocessing what the pretrained weights expect?",
        last_loss);
}
#endif
