/* The network as a library.  This text becomes the emitted header, with the network's name in place of
 * `model`.
 *
 * Rules.  No function ends the program, prints, or keeps global state; memory is taken in model_create and
 * nowhere else.  Every instance is independent: any number of them, in any threads, one thread at a time
 * each.  Numbers are 32-bit floats, images are height x width x channels, weights have Keras's shapes. */
#ifndef NETC_API_PUBLIC_H
#define NETC_API_PUBLIC_H
#include <stddef.h>
#include <stdint.h>

typedef struct Model Model;

typedef enum ModelStatus {
  MODEL_OK,
  MODEL_ERROR_NULL,       /* a pointer that is needed is NULL */
  MODEL_ERROR_RANGE,      /* a number lies outside what the function takes */
  MODEL_ERROR_ALIGNMENT,  /* the caller's memory does not start at a multiple of 64 */
  MODEL_ERROR_SHORT,      /* the caller's memory or buffer is too short */
  MODEL_ERROR_MEMORY,     /* no memory */
  MODEL_ERROR_FILE,       /* a file cannot be read or written */
  MODEL_ERROR_DAMAGED,    /* weights that are truncated or changed: the checksum is wrong */
  MODEL_ERROR_VERSION,    /* weights in a format of another version */
  MODEL_ERROR_FOREIGN,    /* weights of another network */
  MODEL_ERROR_NOT_FINITE, /* the loss is not a number any more */
  MODEL_ERROR_READ_ONLY,  /* the instance uses its weights in place and cannot change them */
  MODEL_ERROR_PROCESSOR,  /* the processor lacks the one instruction set that this was compiled for */
} ModelStatus;

/* A sentence for a status. */
const char *model_status_text(ModelStatus status);

/* ---- instances ---- */

enum { MODEL_ALIGNMENT = 64 };

/* Bytes of an instance for calls of up to `batch` images on up to `threads` threads; 0: a number is out of
 * range. */
size_t model_size(int batch, int threads);

/* The instruction set that instances compute with: "avx512", "avx2", "neon" or "portable", the widest that
 * was compiled and that the processor has.  NULL: it has none of them, and model_create says so. */
const char *model_instruction_set(void);

/* Makes an instance in the caller's memory (aligned to MODEL_ALIGNMENT, model_size bytes or more), or on the
 * heap where `memory` is NULL.  Weights that are inside the program are loaded; else all weights are zero
 * until they are set, loaded or drawn. */
ModelStatus model_create(Model **model, void *memory, size_t memory_bytes, int batch, int threads);

/* Frees what model_create took from the heap.  NULL is ignored. */
void model_destroy(Model *model);

/* ---- prediction ---- */

/* y [n][outputs] for n images of the network's own input: x [n][height][width][channels], preprocessed as in
 * training. n may be more than the batch. */
ModelStatus model_predict(Model *model, int n, const float *x, float *y);

/* The same from raw 8-bit pixels of the network's size: the preprocessing that training used is applied. */
ModelStatus model_predict_pixels(Model *model, int n, const uint8_t *pixels, float *y);

/* Packs the weights for prediction now; without it the first prediction after weights changed does. */
ModelStatus model_prepare(Model *model);

/* What the preprocessing makes of n images of raw pixels. */
ModelStatus model_preprocess(int n, const uint8_t *pixels, float *x);

/* One image of raw pixels of any size, pixels [height][width][channels] with 1 (gray) or 3 (RGB) channels, as
 * the network takes it: resized by the .net file's interpolation, its channels changed, preprocessed.  Needs
 * model_image_bytes of memory for as long as it works: the caller's (aligned to 4), or from the heap where
 * `memory` is NULL. */
ModelStatus model_preprocess_image(const uint8_t *pixels, int height, int width, int channels, void *memory,
                                   size_t memory_bytes, float *x);
/* 0: a number is out of range, or the network takes no images. */
size_t model_image_bytes(int height, int width, int channels);

/* The name of a class, where the program was emitted with weights that have names; else NULL. */
const char *model_class_name(int index);

/* ---- weights ---- */

typedef struct ModelTensor {
  const char *layer, *name; /* "conv2d", "kernel" */
  int rank;
  int dim[4];
  size_t count; /* floats */
  int trainable;
} ModelTensor;

int model_tensor_count(void);
ModelStatus model_tensor(int index, ModelTensor *tensor);
/* The index of a weight, or -1. */
int model_find_tensor(const char *layer, const char *name);
/* Copies a weight out of or into an instance; `count` is the length of the caller's array in floats. */
ModelStatus model_get_tensor(Model *model, int index, float *values, size_t count);
ModelStatus model_set_tensor(Model *model, int index, const float *values, size_t count);
/* Draws the starting weights that the .net file asks for. */
ModelStatus model_initialize(Model *model, uint64_t seed);

/* All weights as bytes (checksummed, the same on every machine).  `half`: as 16-bit floats. */
size_t model_saved_bytes(int half);
ModelStatus model_save_bytes(Model *model, int half, void *bytes, size_t length);
ModelStatus model_load_bytes(Model *model, const void *bytes, size_t length);
#endif
