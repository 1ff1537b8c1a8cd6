/* Saving weights so that Keras's load_weights reads them: legacy .h5, or Keras 3's layout where the name ends
 * in .weights.h5.  A group /netc beside them holds what Keras does not know (class names, how to resume).
 *
 * The new file is written beside the old one, put on disk and renamed: a failing write leaves the old file as
 * it was. */
#ifndef NETC_WEIGHTS_SAVE_H
#define NETC_WEIGHTS_SAVE_H
#include "match.h"

static bool save_weight(hid_t file, const char *path, const ModelWeight *weight, const float *params) {
  hsize_t dim[4];
  for (int d = 0; d < weight->rank; d++)
    dim[d] = (hsize_t)weight->dim[d];
  return h5_write_floats(file, path, weight->rank, dim, params + weight->offset);
}

/* A group that may exist already. */
static hid_t save_group(hid_t file, const char *path) {
  hid_t links = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(links, 1);
  hid_t group = h5_has(file, path) ? H5Gopen2(file, path, H5P_DEFAULT)
                                   : H5Gcreate2(file, path, links, H5P_DEFAULT, H5P_DEFAULT);
  H5Pclose(links);
  return group;
}

static bool save_legacy_layer(hid_t file, const ModelInfo *info, const ModelLayer *layer,
                              const float *params) {
  char **names = system_allocate((size_t)layer->weight_count * sizeof *names);
  hid_t group = save_group(file, layer->name);
  bool good = group >= 0;
  for (int w = 0; good && w < layer->weight_count; w++) {
    const ModelWeight *weight = &info->weights[layer->first_weight + w];
    names[w] = system_join(layer->name, weight->name);
    good = save_weight(group, names[w], weight, params);
  }
  good = good && h5_write_texts(group, "weight_names", names, layer->weight_count);
  for (int w = 0; w < layer->weight_count; w++)
    free(names[w]);
  free(names);
  if (group >= 0)
    H5Gclose(group);
  return good;
}

static bool save_legacy(hid_t file, const ModelInfo *info, const float *params) {
  char **names = system_allocate((size_t)info->layer_count * sizeof *names);
  bool good = h5_write_text(file, "backend", "tensorflow", H5T_CSET_ASCII) &&
              h5_write_text(file, "keras_version", "3.0.0", H5T_CSET_ASCII);
  for (int i = 0; i < info->layer_count; i++)
    names[i] = system_copy_text(info->layers[i].name);
  good = good && h5_write_texts(file, "layer_names", names, info->layer_count);
  for (int i = 0; good && i < info->layer_count; i++)
    good = save_legacy_layer(file, info, &info->layers[i], params);
  hid_t top = save_group(file, "top_level_model_weights");
  good = good && top >= 0 && h5_write_texts(top, "weight_names", NULL, 0);
  if (top >= 0)
    H5Gclose(top);
  for (int i = 0; i < info->layer_count; i++)
    free(names[i]);
  free(names);
  return good;
}

static bool save_keras3(hid_t file, const ModelInfo *info, const float *params) {
  char **keys = system_allocate((size_t)info->layer_count * sizeof *keys);
  bool good = true;
  match_number_classes(info, NULL, info->layer_count, keys);
  for (int i = 0; good && i < info->layer_count; i++) {
    const ModelLayer *layer = &info->layers[i];
    char *path = system_allocate(strlen(keys[i]) + 32), number[16];
    sprintf(path, "layers/%s/vars", keys[i]);
    hid_t vars = save_group(file, path);
    good = vars >= 0 && h5_write_text(vars, "name", layer->name, H5T_CSET_UTF8);
    for (int w = 0; good && w < layer->weight_count; w++) {
      snprintf(number, sizeof number, "%d", w);
      good = save_weight(vars, number, &info->weights[layer->first_weight + w], params);
    }
    if (vars >= 0)
      H5Gclose(vars);
    free(path);
  }
  hid_t vars = save_group(file, "vars");
  good = good && vars >= 0 && h5_write_text(vars, "name", info->name, H5T_CSET_UTF8);
  if (vars >= 0)
    H5Gclose(vars);
  for (int i = 0; i < info->layer_count; i++)
    free(keys[i]);
  free(keys);
  return good;
}

/* Writes more into the file under construction: a group /netc. */
typedef bool (*SaveExtra)(hid_t netc, void *context);

static bool save_fill(hid_t file, const char *path, const ModelInfo *info, const float *params,
                      SaveExtra extra, void *context) {
  bool keras3 = system_ends_with(path, ".weights.h5");
  if (!(keras3 ? save_keras3(file, info, params) : save_legacy(file, info, params)))
    return false;
  hid_t netc = save_group(file, "netc");
  bool good = netc >= 0 && (!extra || extra(netc, context));
  if (netc >= 0)
    H5Gclose(netc);
  return good;
}

/* Saves params ([info->param_floats]) as `path`. */
static bool save_weights(const ModelInfo *info, const float *params, const char *path, SaveExtra extra,
                         void *context, Fault *fault) {
  char *part = system_beside(path);
  h5_quiet();
  errno = 0;
  hid_t file = H5Fcreate(part, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  bool good = file >= 0 && save_fill(file, path, info, params, extra, context);
  if (file >= 0 && (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0 || H5Fclose(file) < 0))
    good = false;
  if (!good)
    fault_set(fault, "%s: cannot be written%s%s; an older file of that name is untouched", path,
              errno ? ": " : "", errno ? strerror(errno) : "");
  good = good && system_replace(part, path, fault);
  if (!good)
    unlink(part);
  free(part);
  return good;
}
#endif
