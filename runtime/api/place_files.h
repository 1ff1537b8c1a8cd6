/* Files of weights that are used in place: public_place.h. */
#ifndef NETC_API_PLACE_FILES_H
#define NETC_API_PLACE_FILES_H
#include "map.h"
#include "place.h"

ModelStatus model_map_file(const char *path, const void **weights, size_t *length) {
  BlobHead head;
  if (!path || !weights || !length)
    return MODEL_ERROR_NULL;
  *weights = map_open(path, length);
  if (!*weights)
    return MODEL_ERROR_FILE;
  if (blob_check_head(&model_info, *weights, *length, &head) == MODEL_OK && head.kind == BLOB_PREPARED)
    map_fetch(*weights, head.weights);
  return MODEL_OK;
}

void model_unmap_file(const void *weights, size_t length) {
  if (weights)
    map_close(weights, length);
}
#endif
