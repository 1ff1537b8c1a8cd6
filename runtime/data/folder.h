/* Datasets from image files: class folders, or files given one by one. */
#ifndef NETC_DATA_FOLDER_H
#define NETC_DATA_FOLDER_H
#include "dataset.h"

typedef struct FolderNames {
  char **names;
  int count, capacity;
} FolderNames;

static void folder_names_add(FolderNames *list, char *name) {
  if (list->count == list->capacity) {
    list->capacity = list->capacity ? 2 * list->capacity : 64;
    char **grown = system_allocate((size_t)list->capacity * sizeof *grown);
    if (list->names)
      memcpy(grown, list->names, (size_t)list->count * sizeof *grown);
    free(list->names);
    list->names = grown;
  }
  list->names[list->count++] = name;
}

static void folder_names_free(FolderNames *list) {
  for (int i = 0; i < list->count; i++)
    free(list->names[i]);
  free(list->names);
  *list = (FolderNames){0};
}

static int folder_compare(const void *left, const void *right) {
  return strcmp(*(char *const *)left, *(char *const *)right);
}

/* The entries of a folder by byte order of their names, hidden ones left out: sub-folders and files apart. */
static bool folder_list(const char *path, FolderNames *folders, FolderNames *files, Fault *fault) {
  DIR *directory = opendir(path);
  if (!directory)
    return fault_set(fault, "%s: %s", path, strerror(errno));
  for (struct dirent *entry; (entry = readdir(directory));) {
    if (entry->d_name[0] == '.')
      continue;
    char *full = system_join(path, entry->d_name);
    folder_names_add(system_is_folder(full) ? folders : files, system_copy_text(entry->d_name));
    free(full);
  }
  closedir(directory);
  if (folders->count)
    qsort(folders->names, (size_t)folders->count, sizeof *folders->names, folder_compare);
  if (files->count)
    qsort(files->names, (size_t)files->count, sizeof *files->names, folder_compare);
  return true;
}

typedef struct FolderSurvey {
  int64_t others;    /* files that are no images by name */
  char *first_other; /* one of them */
  int depth;
} FolderSurvey;

/* Adds the images in a folder and below it under one label. */
static bool folder_add_images(Dataset *dataset, const char *path, int label, FolderSurvey *survey,
                              Fault *fault) {
  FolderNames folders = {0}, files = {0};
  bool good = folder_list(path, &folders, &files, fault);
  for (int i = 0; good && i < files.count; i++) {
    char *full = system_join(path, files.names[i]);
    PictureName kind = picture_name(files.names[i]);
    if (kind == PICTURE_OTHER) {
      survey->others++;
      if (!survey->first_other)
        survey->first_other = system_copy_text(full);
      free(full);
      continue;
    }
    dataset_add(dataset, full, label);
  }
  for (int i = 0; good && i < folders.count && survey->depth < 32; i++) {
    char *full = system_join(path, folders.names[i]);
    survey->depth++;
    good = folder_add_images(dataset, full, label, survey, fault);
    survey->depth--;
    free(full);
  }
  folder_names_free(&folders);
  folder_names_free(&files);
  return good;
}

/* Up to this many bytes of files are decoded at once, by all threads; more are decoded beside the training.
 */
enum { FOLDER_DECODE_BYTES = 1 << 26 };

static bool folder_decode_now(const Dataset *dataset) {
  size_t bytes = 0;
  struct stat status;
  for (int64_t i = 0; i < dataset->count; i++)
    bytes += stat(dataset->items[i].path, &status) ? 0 : (size_t)status.st_size;
  return bytes <= FOLDER_DECODE_BYTES;
}

/* Reads one file and looks at its structure; `decode` also keeps its pixels.  NULL, or the reason why not. */
static char *folder_check_image(Dataset *dataset, DatasetItem *item, bool decode) {
  Fault reason, full;
  size_t length = 0;
  unsigned char *bytes = system_read_file(item->path, &length, &reason);
  if (!bytes)
    return system_copy_text(reason.text);
  bool good = picture_check(bytes, length, &reason);
  item->hash = hash_bytes(bytes, length, 0);
  if (good && decode) {
    float *x = malloc(dataset->input_floats * sizeof *x);
    good = x ? dataset_decode(dataset, item, bytes, length, x, &reason)
             : fault_set(&reason, "no memory for its pixels");
    free(x);
  }
  free(bytes);
  if (good)
    return NULL;
  fault_set(&full, "%s: %.1000s", item->path, reason.text);
  return system_copy_text(full.text);
}

/* Large folders take a while: says so on a terminal. */
typedef struct FolderWatch {
  double shown_at;
  int64_t done, total;
  bool terminal, shown;
} FolderWatch;

static void folder_watch(FolderWatch *watch) {
#ifdef _OPENMP
#pragma omp critical(folder_watch)
#endif
  {
    watch->done++;
    if (watch->terminal && watch->done % 16 == 0 && system_seconds() - watch->shown_at > .5) {
      watch->shown_at = system_seconds();
      watch->shown = true;
      fprintf(stderr, "\rlooking at the images: %lld of %lld\033[K", (long long)watch->done,
              (long long)watch->total);
    }
  }
}

/* Reads every file once: those that cannot be images are left out, the others get their hash.  With `strict`
 * a single bad file is an error. */
static bool folder_check_images(Dataset *dataset, bool strict, Fault *fault) {
  FolderWatch watch = {system_seconds(), 0, dataset->count, isatty(STDERR_FILENO), false};
  char **reasons = system_allocate((size_t)dataset->count * sizeof *reasons);
  bool decode = folder_decode_now(dataset), good = true;
  int64_t kept = 0, damaged = 0;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 8)
#endif
  for (int64_t i = 0; i < dataset->count; i++) {
    reasons[i] = folder_check_image(dataset, &dataset->items[i], decode);
    folder_watch(&watch);
  }
  if (watch.shown)
    fprintf(stderr, "\r\033[K");
  for (int64_t i = 0; i < dataset->count; i++) {
    if (dataset->items[i].damaged && damaged++ < 5)
      console_warn("%s: the JPEG data are damaged; the decoder guessed a part", dataset->items[i].path);
    if (!reasons[i]) {
      dataset->items[kept++] = dataset->items[i];
      continue;
    }
    if (strict && good)
      good = fault_set(fault, "%.3000s", reasons[i]);
    else if (!strict && dataset->skipped < 20)
      console_warn("%s: skipped", reasons[i]);
    dataset->skipped++;
    free(dataset->items[i].path);
    free(reasons[i]);
  }
  free(reasons);
  if (dataset->skipped && !strict)
    console_warn("%s: %lld unreadable image%s skipped, %lld left", dataset->path, (long long)dataset->skipped,
                 dataset->skipped == 1 ? "" : "s", (long long)kept);
  dataset->count = kept;
  return good;
}

static int folder_find_name(char *const *names, int count, const char *name) {
  for (int i = 0; i < count; i++)
    if (!strcmp(names[i], name))
      return i;
  return -1;
}

/* Class names from the folders, or the given ones, among which every folder must be. */
static bool folder_set_classes(Dataset *dataset, const FolderNames *folders, char *const *known,
                               int known_count, Fault *fault) {
  for (int i = 0; known && i < folders->count; i++)
    if (folder_find_name(known, known_count, folders->names[i]) < 0)
      return fault_set(
          fault, "%s: holds a class folder `%s`, which the network was not trained on (its first: `%s`)",
          dataset->path, folders->names[i], known[0]);
  dataset->class_count = known ? known_count : folders->count;
  dataset->class_names = system_allocate((size_t)dataset->class_count * sizeof *dataset->class_names);
  for (int i = 0; i < dataset->class_count; i++)
    dataset->class_names[i] = system_copy_text(known ? known[i] : folders->names[i]);
  return true;
}

static bool folder_refuse_layout(const char *path, const FolderNames *files, Fault *fault) {
  int images = 0;
  for (int i = 0; i < files->count; i++)
    images += picture_name(files->names[i]) != PICTURE_OTHER;
  if (images)
    return fault_set(fault, "%s: holds %d images but no class folders; make one folder per class", path,
                     images);
  return fault_set(fault, "%s: holds no class folders", path);
}

static bool folder_count_classes(const Dataset *dataset, const ModelInfo *info, bool strict_classes,
                                 Fault *fault) {
  int classes = dataset_head_classes(info);
  if (dataset->class_count != classes)
    return fault_set(fault, "%s: has %d class folder%s, the network's head tells %d classes apart",
                     dataset->path, dataset->class_count, dataset->class_count == 1 ? "" : "s", classes);
  if (!strict_classes)
    return true;
  int64_t *counts = system_allocate((size_t)classes * sizeof *counts);
  bool good = true;
  for (int64_t i = 0; i < dataset->count; i++)
    counts[dataset->items[i].label]++;
  for (int c = 0; good && c < classes; c++)
    if (!counts[c])
      good =
          fault_set(fault, "%s/%s: holds no image that can be read", dataset->path, dataset->class_names[c]);
  free(counts);
  return good;
}

/* A folder with one sub-folder per class.  `known` (or NULL) are the class names the network was trained on.
 */
static bool folder_open(Dataset *dataset, const ModelInfo *info, const char *path, char *const *known,
                        int known_count, bool strict, Fault *fault) {
  FolderNames folders = {0}, files = {0};
  FolderSurvey survey = {0};
  dataset_start(dataset, info, path);
  dataset->shuffled_split = true;
  bool good = !info->height
                  ? fault_set(fault, "%s: the network takes %zu numbers, not images; give it an HDF5 file",
                              path, info->input_floats)
                  : folder_list(path, &folders, &files, fault);
  if (good && !folders.count)
    good = folder_refuse_layout(path, &files, fault);
  good = good && folder_set_classes(dataset, &folders, known, known_count, fault);
  for (int c = 0; good && c < folders.count; c++) {
    char *full = system_join(path, folders.names[c]);
    int64_t before = dataset->count;
    good = folder_add_images(dataset, full,
                             folder_find_name(dataset->class_names, dataset->class_count, folders.names[c]),
                             &survey, fault);
    if (good && dataset->count == before)
      good = fault_set(fault, "%s: class folder holds no images", full);
    free(full);
  }
  if (good && survey.others)
    console_warn("%s: %lld file%s not an image by name (%s): skipped", path, (long long)survey.others,
                 survey.others == 1 ? " is" : "s are", survey.first_other);
  good = good && folder_check_images(dataset, strict, fault) &&
         folder_count_classes(dataset, info, !known, fault);
  if (good && !dataset->count)
    good = fault_set(fault, "%s: no image could be read", path);
  free(survey.first_other);
  folder_names_free(&folders);
  folder_names_free(&files);
  return good;
}

/* Images without labels: files, and folders with whatever images are in them or below.  A file that cannot be
 * read is left out with a warning, or an error with `strict` and where nothing is left. */
static bool folder_open_list(Dataset *dataset, const ModelInfo *info, char *const *paths, int count,
                             bool strict, Fault *fault) {
  FolderSurvey survey = {0};
  bool good = true;
  dataset_start(dataset, info, count == 1 ? paths[0] : "images");
  if (!info->height)
    return fault_set(fault, "the network takes %zu numbers, not images; give it an HDF5 file",
                     info->input_floats);
  for (int i = 0; good && i < count; i++) {
    if (system_is_folder(paths[i]))
      good = folder_add_images(dataset, paths[i], -1, &survey, fault);
    else
      dataset_add(dataset, system_copy_text(paths[i]), -1);
  }
  free(survey.first_other);
  /* One file alone: its own reason is the message. */
  good = good && folder_check_images(dataset, strict || (dataset->count == 1 && count == 1), fault);
  if (good && !dataset->count)
    good = fault_set(fault, "%s: no image could be read", dataset->path);
  return good;
}
#endif
