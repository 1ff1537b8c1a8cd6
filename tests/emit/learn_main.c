/* learn_main: the emitted training library inside memory that was reserved when it was compiled; the same
 * bits from a hundred threads as from one; no allocation after the instance was made; weights out and in
 * without HDF5. */
#include "learn.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 8, IMAGES = 16, STEPS = 5 };
#ifndef THREADS
#define THREADS 100
#endif
static int wrong, allocations;

static void expect(int line, int good, const char *what) {
  if (!good) {
    fprintf(stderr, "line %d: %s\n", line, what);
    wrong++;
  }
}
#define EXPECT(condition) expect(__LINE__, (condition), #condition)
#define DONE(call)        expect(__LINE__, (call) == LEARN_OK, #call)

#ifdef COUNT_ALLOCATIONS
void *__real_malloc(size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size) {
  allocations++;
  return __real_malloc(size);
}
void *__wrap_aligned_alloc(size_t alignment, size_t size) {
  allocations++;
  return __real_aligned_alloc(alignment, size);
}
#endif

static uint8_t pixels[IMAGES][LEARN_INPUTS];
static float target[IMAGES], first_y[IMAGES * LEARN_OUTPUTS];

static void train(Learn *model, float *y) {
  float loss = 0, before = 0;
  int taken = allocations;
  DONE(learn_initialize(model, 3));
  DONE(learn_begin_phase(model, 0, 7));
  for (int step = 0; step < STEPS; step++)
    DONE(learn_train_step_pixels(model, BATCH, pixels[step % 2 * BATCH], target + step % 2 * BATCH, NULL,
                                 step ? &loss : &before));
  EXPECT(learn_begin_phase(model, 1, 7) == LEARN_OK); /* the frozen part's outputs are computed once */
  static _Thread_local float features[BATCH * 600];
  size_t per_image = learn_feature_floats(1);
  EXPECT(per_image && per_image <= 600);
  DONE(learn_preprocess(BATCH, pixels[0], features)); /* room enough for the images too */
  static _Thread_local float x[BATCH * LEARN_INPUTS];
  DONE(learn_preprocess(BATCH, pixels[0], x));
  DONE(learn_extract_features(model, BATCH, x, features));
  double rate = learn_learning_rate(model);
  DONE(learn_scale_learning_rate(model, 0.5));
  EXPECT(rate > 0 && learn_learning_rate(model) == rate / 2);
  for (int step = 0; step < STEPS; step++)
    DONE(learn_train_step_features(model, BATCH, features, target, NULL, &loss));
  DONE(learn_predict_pixels(model, IMAGES, pixels[0], y));
  EXPECT(allocations == taken);
}

static void *run(void *argument) {
  Learn *model = NULL;
  float *y = argument;
  if (learn_create(&model, NULL, 0, BATCH, 1) == LEARN_OK) {
#ifdef COUNT_ALLOCATIONS
    (void)y; /* threads allocate at the same time */
#endif
    float loss;
    DONE(learn_initialize(model, 3));
    DONE(learn_begin_phase(model, 0, 7));
    for (int step = 0; step < STEPS; step++)
      DONE(learn_train_step_pixels(model, BATCH, pixels[step % 2 * BATCH], target + step % 2 * BATCH, NULL,
                                   &loss));
    DONE(learn_predict_pixels(model, IMAGES, pixels[0], y));
  }
  learn_destroy(model);
  return NULL;
}

int main(void) {
  static _Alignas(LEARN_ALIGNMENT) unsigned char memory[LEARN_BYTES(BATCH, 1)];
  static float alone[IMAGES * LEARN_OUTPUTS], each[THREADS][IMAGES * LEARN_OUTPUTS];
  static pthread_t threads[THREADS];
  static unsigned char saved[1 << 20];
  Learn *model, *other;
  for (int i = 0; i < IMAGES; i++) {
    target[i] = (float)(i % 4);
    for (int k = 0; k < LEARN_INPUTS; k++)
      pixels[i][k] = (uint8_t)(k * (i % 4 + 1) * 5 + i);
  }
  size_t size = learn_size(BATCH, 1);
  EXPECT(size <= sizeof memory && sizeof memory < size + 2048);
  EXPECT(learn_size(1, 1) <= LEARN_BYTES(1, 1) && learn_size(33, 3) <= LEARN_BYTES(33, 3));
  DONE(learn_create(&model, memory, sizeof memory, BATCH, 1));
  train(model, first_y);
  EXPECT(learn_saved_bytes(0) < sizeof saved);
  DONE(learn_save_bytes(model, 0, saved, sizeof saved));
  DONE(learn_create(&other, NULL, 0, IMAGES, 1));
  DONE(learn_load_bytes(other, saved, learn_saved_bytes(0)));
  static float again[IMAGES * LEARN_OUTPUTS];
  DONE(learn_predict_pixels(other, IMAGES, pixels[0], again));
  EXPECT(!memcmp(first_y, again, sizeof again));
  learn_destroy(other);
  learn_destroy(model);
  run(alone);
  for (int i = 0; i < THREADS; i++)
    EXPECT(!pthread_create(&threads[i], NULL, run, each[i]));
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    EXPECT(!memcmp(each[i], alone, sizeof alone));
  }
  return wrong != 0;
}
