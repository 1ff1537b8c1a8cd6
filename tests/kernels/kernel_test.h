/* What the kernel tests share: random tensors on exact allocations, comparisons, thread counts.
 *
 * Tensors are allocated to the last float, so that the sanitizer build catches a kernel that steps outside.
 */
#ifndef NETC_KERNEL_TEST_H
#define NETC_KERNEL_TEST_H
#include "kernels/work.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t test_state = 1;

/* Uniform in [-1, 1). */
static inline float test_uniform(void) {
  test_state = test_state * 6364136223846793005u + 1442695040888963407u;
  return (float)(int32_t)(test_state >> 32) / 2147483648.0f;
}

static inline float *test_blank(int64_t count) {
  float *x = malloc((size_t)(count > 0 ? count : 1) * sizeof(float));
  for (int64_t i = 0; i < count; i++)
    x[i] = NAN;
  return x;
}

static inline float *test_tensor(int64_t count) {
  float *x = test_blank(count);
  for (int64_t i = 0; i < count; i++)
    x[i] = test_uniform();
  return x;
}

static inline float *test_copy(const float *x, int64_t count) {
  return memcpy(test_blank(count), x, (size_t)count * sizeof(float));
}

static inline double *test_doubles(int64_t count) {
  return calloc((size_t)(count > 0 ? count : 1), sizeof(double));
}

static inline Work test_work(int threads, size_t scratch_floats) {
  scratch_floats = (scratch_floats + 15) / 16 * 16;
  size_t bytes = (size_t)threads * scratch_floats * sizeof(float);
  Work work = {.threads = threads, .scratch_floats = scratch_floats};
  work.scratch = aligned_alloc(64, bytes > 0 ? bytes : 64);
  for (size_t i = 0; i < bytes / sizeof(float); i++)
    work.scratch[i] = NAN;
  return work;
}

static inline void test_free(int count, void *const *pointers) {
  for (int i = 0; i < count; i++)
    free(pointers[i]);
}
#define TEST_FREE(...)                                                                                       \
  test_free((int)(sizeof((void *[]){__VA_ARGS__}) / sizeof(void *)), (void *[]){__VA_ARGS__})

/* Rows of `width` floats, `ld` apart, against dense doubles: within `tolerance` of the largest magnitude. */
static inline void test_rows_close(const char *what, int64_t rows, int64_t width, const float *got,
                                   int64_t ld, const double *want, double tolerance) {
  double most = 1e-30, worst = 0;
  int64_t at = 0;
  for (int64_t i = 0; i < rows * width; i++) {
    double error = fabs((double)got[i / width * ld + i % width] - want[i]);
    most = fabs(want[i]) > most ? fabs(want[i]) : most;
    if (!(error <= worst)) {
      worst = error;
      at = i;
    }
    if (isnan(worst)) /* no later error may take its place */
      break;
  }
  cr_assert(worst <= tolerance * most, "%s: off by %g (of %g) at row %lld, column %lld", what, worst, most,
            (long long)(at / width), (long long)(at % width));
}

static inline void test_close(const char *what, int64_t count, const float *got, const double *want,
                              double tolerance) {
  test_rows_close(what, 1, count, got, count, want, tolerance);
}

static inline void test_close_floats(const char *what, int64_t count, const float *got, const float *want,
                                     double tolerance) {
  double *wide = test_doubles(count);
  for (int64_t i = 0; i < count; i++)
    wide[i] = (double)want[i];
  test_close(what, count, got, wide, tolerance);
  free(wide);
}

static inline void test_same_bits(const char *what, int64_t count, const float *got, const float *want) {
  cr_assert(memcmp(got, want, (size_t)count * sizeof(float)) == 0, "%s: not the same bits", what);
}

/* What lies between the rows of a tensor whose ld is more than its width: still as test_blank left it. */
static inline void test_gaps_untouched(const char *what, int64_t rows, int64_t width, const float *x,
                                       int64_t ld) {
  for (int64_t row = 0; row + 1 < rows; row++)
    for (int64_t i = width; i < ld; i++)
      cr_assert(isnan(x[row * ld + i]), "%s: wrote between rows, at row %lld", what, (long long)row);
}

/* Floats of rows that are ld apart, the last one only as long as it is wide. */
static inline int64_t test_span(int64_t rows, int64_t width, int64_t ld) {
  return (rows - 1) * ld + width;
}
#endif
