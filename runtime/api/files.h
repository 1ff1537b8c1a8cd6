/* Weights in files: public_files.h. */
#ifndef NETC_API_FILES_H
#define NETC_API_FILES_H
#include <stdio.h>

#include "api.h"
#include "map.h"
#include "public_files.h"

ModelStatus model_save_file(Model *model, int half, const char *path) {
  if (!model || !path)
    return MODEL_ERROR_NULL;
  size_t length = model_saved_bytes(half), path_length = strlen(path);
  unsigned char *bytes = malloc(length);
  char *part = malloc(path_length + 6);
  ModelStatus status = bytes && part ? model_save_bytes(model, half, bytes, length) : MODEL_ERROR_MEMORY;
  if (status == MODEL_OK) {
    memcpy(part, path, path_length);
    memcpy(part + path_length, ".part", 6);
    FILE *file = fopen(part, "wb");
    bool good = file && fwrite(bytes, 1, length, file) == length;
    if (file && fclose(file))
      good = false;
    if (!good || rename(part, path)) {
      remove(part);
      status = MODEL_ERROR_FILE;
    }
  }
  free(part);
  free(bytes);
  return status;
}

ModelStatus model_load_file(Model *model, const char *path) {
  if (!model || !path)
    return MODEL_ERROR_NULL;
  size_t length;
  const void *bytes = map_open(path, &length);
  if (!bytes)
    return MODEL_ERROR_FILE;
  ModelStatus status = model_load_bytes(model, bytes, length);
  map_close(bytes, length);
  return status;
}
#endif
