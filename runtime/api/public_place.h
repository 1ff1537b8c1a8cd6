/* Weights that are used where they lie. */
#ifndef NETC_API_PUBLIC_PLACE_H
#define NETC_API_PUBLIC_PLACE_H
#include "public.h"

/* ---- weights used in place ----
 *
 * `netc emit --infer --weights W.h5` writes weights as the network computes with them.  An instance on such
 * bytes is made at once and has no copy of them: any number of instances share one file that is mapped, or
 * one array.  The bytes start at a multiple of 64 and stay as they are for as long as an instance uses them.
 * Only the head, the network and the length are looked at; model_check_weights reads everything.
 * model_set_tensor, model_initialize and model_load_* answer MODEL_ERROR_READ_ONLY for such an instance. */
ModelStatus model_create_in_place(Model **model, void *memory, size_t memory_bytes, int batch, int threads,
                                  const void *weights, size_t length);

/* Bytes of such an instance, as model_size. */
size_t model_size_in_place(int batch, int threads);

/* Whether weights (of any kind) are whole, undamaged and of this network. */
ModelStatus model_check_weights(const void *weights, size_t length);

/* Maps a file of weights into memory (reads it where there is no mmap) and unmaps it again, after the last
 * instance on it was destroyed. */
ModelStatus model_map_file(const char *path, const void **weights, size_t *length);
void model_unmap_file(const void *weights, size_t length);
#endif
