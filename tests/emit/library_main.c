/* library_main FILE: the emitted prediction library as a caller that makes every mistake, as a hundred
 * threads, and as one that counts allocations (linked with --wrap=malloc and so on). */
#include "probe.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef THREADS
#define THREADS 100
#endif
enum { IMAGES = 2 };
static int wrong;

static void expect(int line, int good, const char *what) {
  if (!good) {
    fprintf(stderr, "line %d: %s\n", line, what);
    wrong++;
  }
}
#define EXPECT(condition)    expect(__LINE__, (condition), #condition)
#define STATUS(call, status) expect(__LINE__, (call) == (status), #call " is not " #status)

/* ---- allocations ---- */

#ifdef COUNT_ALLOCATIONS
static int allocations;
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size) {
  allocations++;
  return __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
  allocations++;
  return __real_calloc(count, size);
}
void *__wrap_realloc(void *old, size_t size) {
  allocations++;
  return __real_realloc(old, size);
}
void *__wrap_aligned_alloc(size_t alignment, size_t size) {
  allocations++;
  return __real_aligned_alloc(alignment, size);
}
#else
static const int allocations = 0;
#endif

/* ---- the caller's mistakes ---- */

static uint8_t pixels[IMAGES * PROBE_INPUTS];
static float x[PROBE_INPUTS], y[IMAGES * PROBE_OUTPUTS];

static void make_mistakes(const unsigned char *weights, size_t length) {
  static _Alignas(64) unsigned char memory[PROBE_BYTES(2, 1) + 64];
  Probe *model = (Probe *)(void *)memory;
  size_t size = probe_size(2, 1);
  EXPECT(size && size <= sizeof memory - 64);
  EXPECT(probe_size(0, 1) == 0 && probe_size(1, 0) == 0 && probe_size(-1, 1) == 0 &&
         probe_size(1 << 30, 1) == 0);
  STATUS(probe_create(NULL, NULL, 0, 1, 1), PROBE_ERROR_NULL);
  STATUS(probe_create(&model, memory, size, 0, 1), PROBE_ERROR_RANGE);
  EXPECT(!model);
  STATUS(probe_create(&model, memory + 8, size, 2, 1), PROBE_ERROR_ALIGNMENT);
  STATUS(probe_create(&model, memory, size - 1, 2, 1), PROBE_ERROR_SHORT);
  STATUS(probe_create(&model, memory, size, 2, 1), PROBE_OK);
  STATUS(probe_predict(NULL, 1, x, y), PROBE_ERROR_NULL);
  STATUS(probe_predict(model, 1, NULL, y), PROBE_ERROR_NULL);
  STATUS(probe_predict(model, 1, x, NULL), PROBE_ERROR_NULL);
  STATUS(probe_predict(model, -1, x, y), PROBE_ERROR_RANGE);
  STATUS(probe_predict_pixels(model, 1, NULL, y), PROBE_ERROR_NULL);
  STATUS(probe_predict_pixels(model, -5, pixels, y), PROBE_ERROR_RANGE);
  STATUS(probe_predict_pixels(model, 0, pixels, y), PROBE_OK);
  STATUS(probe_preprocess(1, NULL, x), PROBE_ERROR_NULL);
  STATUS(probe_prepare(NULL), PROBE_ERROR_NULL);
  STATUS(probe_initialize(NULL, 1), PROBE_ERROR_NULL);
  STATUS(probe_tensor(-1, NULL), PROBE_ERROR_NULL);
  ProbeTensor tensor;
  STATUS(probe_tensor(-1, &tensor), PROBE_ERROR_RANGE);
  STATUS(probe_tensor(probe_tensor_count(), &tensor), PROBE_ERROR_RANGE);
  EXPECT(probe_find_tensor("head", "nothing") == -1 && probe_find_tensor(NULL, "kernel") == -1);
  int bias = probe_find_tensor("head", "bias");
  float five[5] = {1, 2, 3, 4, 5}, again[5] = {0};
  STATUS(probe_tensor(bias, &tensor), PROBE_OK);
  EXPECT(tensor.count == 5 && tensor.rank == 1 && tensor.dim[0] == 5 && tensor.trainable);
  STATUS(probe_set_tensor(model, bias, five, 4), PROBE_ERROR_SHORT);
  STATUS(probe_set_tensor(model, 99, five, 5), PROBE_ERROR_RANGE);
  STATUS(probe_set_tensor(model, bias, five, 5), PROBE_OK);
  STATUS(probe_get_tensor(model, bias, again, 5), PROBE_OK);
  EXPECT(!memcmp(five, again, sizeof five));
  STATUS(probe_load_bytes(model, NULL, 0), PROBE_ERROR_NULL);
  STATUS(probe_load_file(model, "/nowhere/at/all"), PROBE_ERROR_FILE);
  STATUS(probe_load_file(model, "/tmp"), PROBE_ERROR_FILE);
  STATUS(probe_save_file(model, 0, "/nowhere/at/all"), PROBE_ERROR_FILE);
  STATUS(probe_save_bytes(model, 0, y, 3), PROBE_ERROR_SHORT);
  STATUS(probe_load_bytes(model, weights, length), PROBE_OK);
  for (int status = PROBE_OK; status <= PROBE_ERROR_PROCESSOR; status++)
    EXPECT(strcmp(probe_status_text((ProbeStatus)status), "unknown status"));
  EXPECT(!strcmp(probe_class_name(1), "bee") && !probe_class_name(-1) && !probe_class_name(5));
  probe_destroy(model);
  probe_destroy(NULL);
}

static void damage_weights(const unsigned char *weights, size_t length) {
  unsigned char *bytes = aligned_alloc(64, (length + 191) / 64 * 64);
  Probe *model, *other;
  const void *mapped;
  size_t mapped_length;
  STATUS(probe_create(&model, NULL, 0, 1, 1), PROBE_OK);
  memcpy(bytes, weights, length);
  STATUS(probe_check_weights(bytes, length), PROBE_OK);
  for (size_t at = 0; at < length; at += at < 64 ? 1 : length / 50) { /* any changed bit is found */
    bytes[at] ^= 4;
    EXPECT(probe_load_bytes(model, bytes, length) != PROBE_OK);
    EXPECT(probe_check_weights(bytes, length) != PROBE_OK);
    if (at < 64)
      EXPECT(probe_create_in_place(&other, NULL, 0, 1, 1, bytes, length) != PROBE_OK);
    bytes[at] ^= 4;
  }
  static const size_t shorter[] = {0, 1, 63, 64, 65, 1000};
  for (size_t i = 0; i < 6; i++) {
    STATUS(probe_load_bytes(model, bytes, shorter[i]), PROBE_ERROR_DAMAGED);
    STATUS(probe_create_in_place(&other, NULL, 0, 1, 1, bytes, shorter[i]), PROBE_ERROR_DAMAGED);
  }
  STATUS(probe_create_in_place(&other, NULL, 0, 1, 1, bytes, length - 1), PROBE_ERROR_DAMAGED);
  STATUS(probe_create_in_place(&other, NULL, 0, 1, 1, bytes + 4, length - 4), PROBE_ERROR_ALIGNMENT);
  STATUS(probe_create_in_place(&other, NULL, 0, 1, 1, NULL, length), PROBE_ERROR_NULL);
  STATUS(probe_create_in_place(&other, NULL, 0, 0, 1, bytes, length), PROBE_ERROR_RANGE);
  STATUS(probe_map_file(NULL, &mapped, &mapped_length), PROBE_ERROR_NULL);
  STATUS(probe_map_file("/nowhere/at/all", &mapped, &mapped_length), PROBE_ERROR_FILE);
  bytes[8] = 77;
  STATUS(probe_load_bytes(model, bytes, length), PROBE_ERROR_VERSION);
  /* Bytes without prepared weights can be loaded, not used in place. */
  STATUS(probe_load_bytes(model, weights, length), PROBE_OK);
  STATUS(probe_save_bytes(model, 0, bytes, length), PROBE_OK);
  STATUS(probe_check_weights(bytes, probe_saved_bytes(0)), PROBE_OK);
  STATUS(probe_create_in_place(&other, NULL, 0, 1, 1, bytes, probe_saved_bytes(0)), PROBE_ERROR_VERSION);
  probe_destroy(model);
  free(bytes);
}

/* ---- in place ---- */

static void use_in_place(const unsigned char *weights, size_t length) {
  static _Alignas(64) unsigned char memory[PROBE_BYTES_IN_PLACE(2, 1)];
  Probe *model;
  size_t size = probe_size_in_place(2, 1);
  float bias[5];
  EXPECT(size && size <= sizeof memory && size < probe_size(2, 1));
  STATUS(probe_create_in_place(&model, memory, size - 1, 2, 1, weights, length), PROBE_ERROR_SHORT);
  int before = allocations;
  STATUS(probe_create_in_place(&model, memory, size, 2, 1, weights, length), PROBE_OK);
  STATUS(probe_predict_pixels(model, IMAGES, pixels, y), PROBE_OK);
  STATUS(probe_get_tensor(model, probe_find_tensor("head", "bias"), bias, 5), PROBE_OK);
  STATUS(probe_set_tensor(model, probe_find_tensor("head", "bias"), bias, 5), PROBE_ERROR_READ_ONLY);
  STATUS(probe_initialize(model, 1), PROBE_ERROR_READ_ONLY);
  STATUS(probe_load_bytes(model, weights, length), PROBE_ERROR_READ_ONLY);
  EXPECT(allocations == before);
  probe_destroy(model);
}

/* Nothing but probe_create takes memory. */
static void count_allocations(const unsigned char *weights, size_t length) {
  Probe *model;
  static unsigned char saved[1 << 20];
  static float values[1 << 18];
  STATUS(probe_create(&model, NULL, 0, 2, 1), PROBE_OK);
  int before = allocations;
  STATUS(probe_load_bytes(model, weights, length), PROBE_OK);
  STATUS(probe_prepare(model), PROBE_OK);
  STATUS(probe_predict_pixels(model, IMAGES, pixels, y), PROBE_OK);
  STATUS(probe_predict(model, 1, x, y), PROBE_OK);
  EXPECT(probe_saved_bytes(1) < sizeof saved);
  STATUS(probe_save_bytes(model, 1, saved, sizeof saved), PROBE_OK);
  for (int i = 0; i < probe_tensor_count(); i++) {
    STATUS(probe_get_tensor(model, i, values, sizeof values / sizeof *values), PROBE_OK);
    STATUS(probe_set_tensor(model, i, values, sizeof values / sizeof *values), PROBE_OK);
  }
  EXPECT(allocations == before);
  probe_destroy(model);
}

/* ---- threads ---- */

typedef struct Job {
  pthread_t thread;
  const void *weights;
  size_t length;
  int in_place, good;
  float y[IMAGES * PROBE_OUTPUTS];
} Job;

static void *run_job(void *argument) {
  Job *job = argument;
  Probe *model = NULL;
  ProbeStatus status;
  if (job->in_place) {
    status = probe_create_in_place(&model, NULL, 0, 1, 1, job->weights, job->length);
  } else {
    status = probe_create(&model, NULL, 0, 1, 1);
    if (status == PROBE_OK)
      status = probe_load_bytes(model, job->weights, job->length);
  }
  for (int turn = 0; turn < 2 && status == PROBE_OK; turn++)
    status = probe_predict_pixels(model, IMAGES, pixels, job->y);
  probe_destroy(model);
  job->good = status == PROBE_OK;
  return NULL;
}

static void run_threads(const void *weights, size_t length) {
  static Job alone[2], jobs[THREADS];
  for (int i = 0; i < 2; i++) {
    alone[i] = (Job){.weights = weights, .length = length, .in_place = i};
    run_job(&alone[i]);
  }
  for (int i = 0; i < THREADS; i++) {
    jobs[i] = (Job){.weights = weights, .length = length, .in_place = i % 2};
    EXPECT(!pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]));
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(jobs[i].thread, NULL);
    EXPECT(jobs[i].good && !memcmp(jobs[i].y, alone[i % 2].y, sizeof jobs[i].y));
  }
}

int main(int argc, char **argv) {
  const void *weights;
  size_t length;
  for (size_t i = 0; i < sizeof pixels; i++)
    pixels[i] = (uint8_t)(i * i >> 3);
  probe_preprocess(1, pixels, x);
  if (argc < 2 || probe_map_file(argv[1], &weights, &length) != PROBE_OK)
    return 2;
  run_threads(weights, length);
  if (argc < 3) {
    make_mistakes(weights, length);
    damage_weights(weights, length);
    use_in_place(weights, length);
    count_allocations(weights, length);
  }
  probe_unmap_file(weights, length);
  return wrong != 0;
}
