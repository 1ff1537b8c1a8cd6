/* Bilinear resizing as tf.image.resize(method = "bilinear", antialias = False), which
 * image_dataset_from_directory uses: half-pixel centres, edges repeated, float result that is not rounded. */
#ifndef NETC_DATA_RESIZE_H
#define NETC_DATA_RESIZE_H
#include <math.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ResizeTap {
  int low, high; /* the two source rows or columns */
  float part;    /* of the second */
} ResizeTap;

/* Output position i of `out` looks at source position (i + 0.5) * in / out - 0.5. */
static ResizeTap resize_tap(int i, int in, int out) {
  float scale = (float)in / (float)out;
  float at = ((float)i + 0.5f) * scale - 0.5f, below = floorf(at);
  int low = (int)below, high = low + 1;
  ResizeTap tap = {low < 0 ? 0 : low, high > in - 1 ? in - 1 : high, at - below};
  return tap;
}

/* x [in_h][in_w][c] -> y [out_h][out_w][c]; equal sizes copy. */
static void resize_bilinear(const uint8_t *x, int in_h, int in_w, int c, int out_h, int out_w, float *y) {
  if (in_h == out_h && in_w == out_w) {
    size_t count = (size_t)in_h * (size_t)in_w * (size_t)c;
    for (size_t i = 0; i < count; i++)
      y[i] = (float)x[i];
    return;
  }
  for (int p = 0; p < out_h; p++) {
    ResizeTap row = resize_tap(p, in_h, out_h);
    const uint8_t *top = x + (size_t)row.low * (size_t)in_w * (size_t)c;
    const uint8_t *bottom = x + (size_t)row.high * (size_t)in_w * (size_t)c;
    for (int q = 0; q < out_w; q++) {
      ResizeTap column = resize_tap(q, in_w, out_w);
      for (int k = 0; k < c; k++) {
        float a = (float)top[column.low * c + k], b = (float)top[column.high * c + k];
        float d = (float)bottom[column.low * c + k], e = (float)bottom[column.high * c + k];
        float upper = a + (b - a) * column.part, lower = d + (e - d) * column.part;
        *y++ = upper + (lower - upper) * row.part;
      }
    }
  }
}
#endif
