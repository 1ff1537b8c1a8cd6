/* The weights of a separable filter along one axis, and the scratch memory that two passes need. */
#ifndef NETC_DATA_RESIZE_TABLE_H
#define NETC_DATA_RESIZE_TABLE_H
#include <math.h>

#include "resize_source.h"

/* A function in which every product is rounded before it is added: multiply-adds in one step would move some
 * sums across the middle between two pixel values.  RESIZE_ROUNDED stands first in its body. */
#if defined(__clang__)
#define RESIZE_EXACT
#define RESIZE_ROUNDED _Pragma("clang fp contract(off)")
#elif defined(__GNUC__)
#define RESIZE_EXACT __attribute__((optimize("fp-contract=off")))
#define RESIZE_ROUNDED
#else
#define RESIZE_EXACT
#define RESIZE_ROUNDED
#endif

/* Entry i of the output is the sum over t < count[i] of weight[i * taps + t] times entry first[i] + t of the
 * input. */
typedef struct ResizeTable {
  int taps;
  int *first, *count;
  float *weight;    /* one of the two, in the same memory: */
  int32_t *integer; /* fixed-point weights */
} ResizeTable;

/* The most weights per entry that any method uses: lanczos with 3 lobes over all pixels that one entry stands
 * for, 5 lobes over neighbours. */
static size_t resize_taps(int in, int out) {
  size_t wide = 2 * (3 * ((size_t)in / (size_t)out + 1)) + 1;
  return wide < 13 ? 13 : wide;
}

/* Scratch bytes for an image of in_height x in_width pixels: a table for each axis and a 4-byte number for
 * each pixel between the passes. */
static size_t resize_bytes(int in_height, int in_width, int channels, int out_height, int out_width) {
  return 4 * ((size_t)out_height * (resize_taps(in_height, out_height) + 2) +
              (size_t)out_width * (resize_taps(in_width, out_width) + 2) +
              (size_t)in_height * (size_t)out_width * (size_t)channels);
}

/* Takes a table for in -> out entries from *scratch and moves that on. */
static ResizeTable resize_table(int in, int out, void **scratch) {
  ResizeTable table = {.taps = (int)resize_taps(in, out), .first = *scratch};
  table.count = table.first + out;
  table.integer = (int32_t *)(void *)(table.count + out);
  table.weight = *scratch = (void *)table.integer;
  *scratch = table.integer + (size_t)out * (size_t)table.taps;
  return table;
}

/* Row i of the part: its first pixel. */
static inline const uint8_t *resize_row(const ResizeSource *source, int i) {
  return source->pixels + ((size_t)(source->top + i) * (size_t)source->width + (size_t)source->left) *
                              (size_t)source->channels;
}

/* Sums of real numbers: columns first, then rows; y [height][width][channels]. */
RESIZE_EXACT static void resize_real_passes(const ResizeSource *source, const ResizeTable *down,
                                            const ResizeTable *across, int height, int width, float *between,
                                            float *y) {
  RESIZE_ROUNDED
  size_t channels = (size_t)source->channels, line = (size_t)width * channels;
  for (int i = 0; i < source->rows; i++)
    for (int j = 0; j < width; j++) {
      const uint8_t *x = resize_row(source, i) + (size_t)across->first[j] * channels;
      const float *weight = across->weight + (size_t)j * (size_t)across->taps;
      for (size_t c = 0; c < channels; c++) {
        float sum = 0;
        for (int t = 0; t < across->count[j]; t++)
          sum += weight[t] * (float)x[(size_t)t * channels + c];
        between[(size_t)i * line + (size_t)j * channels + c] = sum;
      }
    }
  for (int i = 0; i < height; i++) {
    const float *x = between + (size_t)down->first[i] * line;
    const float *weight = down->weight + (size_t)i * (size_t)down->taps;
    for (size_t k = 0; k < line; k++) {
      float sum = 0;
      for (int t = 0; t < down->count[i]; t++)
        sum += weight[t] * x[(size_t)t * line + k];
      y[(size_t)i * line + k] = sum;
    }
  }
}
#endif
