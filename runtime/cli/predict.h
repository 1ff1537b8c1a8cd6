/* EXE predict IMAGE|DATA... --weights W.h5 */
#ifndef NETC_CLI_PREDICT_H
#define NETC_CLI_PREDICT_H
#include "../data/open.h"
#include "../train/feed.h"
#include "../train/forward.h"
#include "../train/metrics.h"
#include "setup.h"

/* Images and folders of images, or one HDF5 file with x. */
static bool predict_open(const Options *options, const ModelInfo *info, Dataset *data, Fault *fault) {
  for (int i = 0; i < options->place_count; i++) {
    struct stat status;
    if (stat(options->places[i], &status))
      return fault_set(fault, "%s: %s", options->places[i], strerror(errno));
  }
  h5_quiet();
  if (!system_is_folder(options->places[0]) && H5Fis_hdf5(options->places[0]) > 0) {
    if (options->place_count > 1)
      return fault_set(fault, "%s: is an HDF5 file; give it alone", options->places[0]);
    return table_file_open(data, info, options->places[0], false, fault);
  }
  return folder_open_list(data, info, options->places, options->place_count, options->strict, fault);
}

/* y [count][output_floats] as dataset `y` of a new file, put in place when it is whole. */
static bool predict_write(const char *path, const ModelInfo *info, const H5Texts *names, int64_t count,
                          const float *y, Fault *fault) {
  char *part = system_beside(path);
  hsize_t dim[2] = {(hsize_t)count, info->output_floats};
  errno = 0;
  hid_t file = H5Fcreate(part, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  bool good = file >= 0 && h5_write_floats(file, "y", 2, dim, y);
  if (good && names->count)
    good = h5_write_texts(file, "class_names", names->texts, names->count);
  if (file >= 0 && H5Fclose(file) < 0)
    good = false;
  if (!good)
    fault_set(fault, "%s: cannot be written%s%s", path, errno ? ": " : "", errno ? strerror(errno) : "");
  good = good && system_replace(part, path, fault);
  if (!good)
    unlink(part);
  free(part);
  return good;
}

static double predict_probability(const ModelInfo *info, const float *y, size_t c) {
  if (info->output_floats > 1)
    return (double)y[c];
  return c ? (double)y[0] : 1 - (double)y[0];
}

/* The classes by falling probability, the first `top` of them in order. */
static void predict_rank(const ModelInfo *info, const float *y, size_t classes, size_t top, size_t *ranked) {
  for (size_t k = 0; k < top; k++) {
    size_t best = classes;
    for (size_t c = 0; c < classes; c++) {
      bool taken = false;
      for (size_t j = 0; j < k; j++)
        taken = taken || ranked[j] == c;
      if (!taken && (best == classes || predict_probability(info, y, c) > predict_probability(info, y, best)))
        best = c;
    }
    ranked[k] = best;
  }
}

/* One image as a line of text or a JSON object. */
static void predict_print(const Options *options, const ModelInfo *info, const Dataset *data,
                          const H5Texts *names, int64_t i, const float *y, size_t *ranked) {
  size_t classes = info->output_floats > 1 ? info->output_floats : 2;
  size_t top = options->top > 0 ? (size_t)options->top : 1;
  char name[512], number[32];
  top = top > classes ? classes : top;
  predict_rank(info, y, classes, top, ranked);
  dataset_item_name(data, i, name, sizeof name);
  const char *shown = data->items[i].path ? data->items[i].path : name;
  if (options->json) {
    fputs(i ? ",\n  {\"file\": " : "\n  {\"file\": ", stdout);
    console_json_text(stdout, shown);
    fputs(", \"top\": [", stdout);
  } else {
    printf("%s", shown);
  }
  for (size_t k = 0; k < top; k++) {
    snprintf(number, sizeof number, "%zu", ranked[k]);
    const char *class_name = ranked[k] < (size_t)names->count ? names->texts[ranked[k]] : number;
    if (!options->json) {
      printf("%s%s %.4f", k ? "  " : "\t", class_name, predict_probability(info, y, ranked[k]));
      continue;
    }
    fputs(k ? ", {\"class\": " : "{\"class\": ", stdout);
    console_json_text(stdout, class_name);
    printf(", \"index\": %zu, \"probability\": %.9g}", ranked[k], predict_probability(info, y, ranked[k]));
  }
  if (!options->json) {
    putchar('\n');
    return;
  }
  fputs("], \"y\": [", stdout);
  for (size_t c = 0; c < info->output_floats; c++)
    printf("%s%.9g", c ? ", " : "", (double)y[c]);
  fputs("]}", stdout);
}

static bool predict_compute(const ModelInfo *info, Model *model, Dataset *data, float *y, Fault *fault) {
  int64_t *order = system_allocate((size_t)data->count * sizeof *order), done = 0;
  for (int64_t i = 0; i < data->count; i++)
    order[i] = i;
  Loader loader;
  bool good = loader_start(&loader, data, order, data->count, model_batch(model), fault);
  while (good && done < data->count) {
    const LoaderBatch *batch = loader_next(&loader, fault);
    good = batch;
    if (good) {
      forward_all(model, info, batch->n, batch->x, y + (size_t)done * info->output_floats);
      done += batch->n;
    }
  }
  if (done || good)
    loader_stop(&loader);
  free(order);
  return good;
}

static bool predict_run(const Options *options, const ModelInfo *info, Model *model, Dataset *data,
                        Fault *fault) {
  H5Texts names;
  size_t classes = info->output_floats > 1 ? info->output_floats : 2;
  float *y = system_allocate((size_t)data->count * info->output_floats * sizeof *y);
  checkpoint_class_names(options->weights, &names);
  if ((size_t)names.count != classes)
    h5_texts_free(&names);
  bool good = predict_compute(info, model, data, y, fault);
  if (good && options->out)
    good = predict_write(options->out, info, &names, data->count, y, fault);
  if (good && (!options->out || options->json)) {
    size_t *ranked = system_allocate(classes * sizeof *ranked);
    if (options->json)
      fputs("[", stdout);
    for (int64_t i = 0; i < data->count; i++)
      predict_print(options, info, data, &names, i, y + (size_t)i * info->output_floats, ranked);
    if (options->json)
      fputs("\n]\n", stdout);
    free(ranked);
  }
  h5_texts_free(&names);
  free(y);
  return good;
}

static int predict_main(const Options *options) {
  const ModelInfo *info = &model_info;
  Fault fault = {""};
  Dataset data = {0};
  Model *model = NULL;
  bool good = predict_open(options, info, &data, &fault);
  int batch = setup_batch(options, info);
  if (good) /* no more memory than the images need */
    model = setup_model(options, info, data.count < batch ? (int)data.count : batch, &fault);
  good = model && setup_trained(options, info, model, &fault) &&
         predict_run(options, info, model, &data, &fault);
  dataset_free(&data);
  model_delete(model);
  return good ? 0 : console_fail(&fault);
}
#endif
