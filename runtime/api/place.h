/* Instances on weights that are used in place: public_place.h. */
#ifndef NETC_API_PLACE_H
#define NETC_API_PLACE_H
#include "api.h"
#include "public_place.h"
#ifdef __linux__
#include <sys/mman.h>
#endif

/* Touches fresh memory, so that the first prediction need not wait for each of its pages. */
static void api_touch(char *memory, size_t bytes) {
  enum { PAGE = 4096 };
#ifdef __linux__
  enum { POPULATE_WRITE = 23 }; /* MADV_POPULATE_WRITE, Linux 5.14: all at once; others go without */
  size_t skip = (PAGE - (uintptr_t)memory % PAGE) % PAGE;
  if (bytes > skip + PAGE)
    madvise(memory + skip, (bytes - skip) / PAGE * PAGE, POPULATE_WRITE);
#endif
  for (size_t at = 0; at < bytes; at += PAGE)
    ((volatile char *)memory)[at] = 0;
}

size_t model_size_in_place(int batch, int threads) {
  return model_size(batch, threads) ? api_before(batch) + api_round(model_place_bytes(batch, threads)) : 0;
}

ModelStatus model_create_in_place(Model **model, void *memory, size_t memory_bytes, int batch, int threads,
                                  const void *weights, size_t length) {
  size_t size = model_size_in_place(batch, threads);
  BlobHead head;
  if (!model || !weights)
    return MODEL_ERROR_NULL;
  *model = NULL;
  if ((uintptr_t)weights % MODEL_ALIGNMENT)
    return MODEL_ERROR_ALIGNMENT;
  ModelStatus status = blob_check_head(&model_info, weights, length, &head);
  if (status != MODEL_OK)
    return status;
  if (head.kind != BLOB_PREPARED || !blob_prepared(&model_info, weights) || !blob_little_endian())
    return MODEL_ERROR_VERSION;
  char *start;
  status = api_memory(memory, memory_bytes, size, &start);
  if (status != MODEL_OK)
    return status;
  const unsigned char *bytes = weights;
  size_t before = api_before(batch);
  api_touch(start + api_round(sizeof(ApiHead)),
            before - api_round(sizeof(ApiHead)) + model_first_bytes(batch, threads));
  *model =
      model_new_in_place(start + before, batch, threads, (const float *)(const void *)(bytes + head.weights),
                         (const float *)(const void *)(bytes + BLOB_HEAD));
  return MODEL_OK;
}

ModelStatus model_check_weights(const void *weights, size_t length) {
  BlobHead head;
  return weights ? blob_check(&model_info, weights, length, &head) : MODEL_ERROR_NULL;
}
#endif
