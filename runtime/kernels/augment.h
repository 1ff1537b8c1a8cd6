/* Random changes of images while training: flips, rotation, zoom, translation, contrast, brightness, crop,
 * with the pixels that Keras's layers of these names give for the same draw.
 *
 * Draws come from dropout.h's counter-based generator: number k of image i in step `draw` is a pure function
 * of (seed, draw, layer, i, k), whatever the threads do.  x, y: [n, height, width, channels]; y must not be x
 * unless a function says so.  All functions overwrite y. */
#ifndef NETC_KERNELS_AUGMENT_H
#define NETC_KERNELS_AUGMENT_H
#include "dropout.h"
#include "work.h"
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef enum AugmentFill { AUGMENT_REFLECT, AUGMENT_CONSTANT, AUGMENT_WRAP, AUGMENT_NEAREST } AugmentFill;
typedef enum AugmentKind { AUGMENT_ROTATION, AUGMENT_ZOOM, AUGMENT_TRANSLATION } AugmentKind;

/* A random affine map: the ranges of its one or two numbers, and how pixels outside and between are made. */
typedef struct AugmentAffine {
  AugmentKind kind;
  float low, high;             /* rotation: parts of a full turn; zoom, translation: of the height */
  float width_low, width_high; /* zoom, translation */
  bool square;                 /* zoom: the width's factor is the height's */
  AugmentFill fill;
  bool nearest; /* else bilinear */
  float fill_value;
} AugmentAffine;

enum { AUGMENT_DRAWS = 4 }; /* numbers set aside per image */

/* Number k of image i, uniform in [0, 1). */
static inline float augment_uniform(uint64_t key, int64_t i, int k) {
  return (float)(dropout_bits(key, i * AUGMENT_DRAWS + k) >> 40) * (1.0f / 16777216.0f);
}

static inline float augment_between(uint64_t key, int64_t i, int k, float low, float high) {
  return low + (high - low) * augment_uniform(key, i, k);
}

/* One image [height, width, channels], mirrored along either axis. */
static void augment_flip_image(int height, int width, int channels, bool left_right, bool up_down,
                               const float *x, float *y) {
  for (int i = 0; i < height; i++)
    for (int j = 0; j < width; j++) {
      int from_i = up_down ? height - 1 - i : i, from_j = left_right ? width - 1 - j : j;
      memcpy(y + ((size_t)i * width + j) * channels, x + ((size_t)from_i * width + from_j) * channels,
             (size_t)channels * sizeof *y);
    }
}

/* One draw mirrors along all axes that are asked for, as Keras 3 does it. */
static void random_flip_fwd(int n, int height, int width, int channels, bool horizontal, bool vertical,
                            uint64_t seed, int64_t draw, int layer, const float *x, float *y,
                            const Work *work) {
  (void)work;
  uint64_t key = dropout_key(seed, draw, layer);
  size_t size = (size_t)height * width * channels;
  WORK_PARALLEL_FOR(work)
  for (int i = 0; i < n; i++) {
    bool mirrored = augment_uniform(key, i, 0) <= 0.5f;
    augment_flip_image(height, width, channels, horizontal && mirrored, vertical && mirrored, x + i * size,
                       y + i * size);
  }
}

/* Where an index outside [0, size) reads from; -1: nowhere, the fill value stands there.
 * reflect: d c b a | a b c d | d c b a; wrap: a b c d | a b c d; nearest: a a a | a b c d | d d d. */
static inline int augment_index(int64_t index, int size, AugmentFill fill) {
  if (index >= 0 && index < size)
    return (int)index;
  if (fill == AUGMENT_CONSTANT)
    return -1;
  if (fill == AUGMENT_NEAREST)
    return index < 0 ? 0 : size - 1;
  int64_t period = fill == AUGMENT_WRAP ? size : 2 * (int64_t)size, rest = index % period;
  rest = rest < 0 ? rest + period : rest;
  return (int)(rest < size ? rest : period - 1 - rest);
}

static inline void augment_tap(int height, int width, int channels, const AugmentAffine *affine,
                               const float *x, float row, float column, float weight, float *pixel) {
  int i = augment_index((int64_t)row, height, affine->fill),
      j = augment_index((int64_t)column, width, affine->fill);
  for (int c = 0; c < channels; c++)
    pixel[c] += weight * (i < 0 || j < 0 ? affine->fill_value : x[((size_t)i * width + j) * channels + c]);
}

/* y[i, j] = x at column map[0] j + map[1] i + map[2], row map[3] j + map[4] i + map[5].  One image.
 * Keras: ops.image.affine_transform. */
static void augment_affine_image(int height, int width, int channels, const AugmentAffine *affine,
                                 const float *map, const float *x, float *y) {
  for (int i = 0; i < height; i++)
    for (int j = 0; j < width; j++) {
      float column = map[0] * (float)j + map[1] * (float)i + map[2];
      float row = map[3] * (float)j + map[4] * (float)i + map[5];
      float *pixel = y + ((size_t)i * width + j) * channels;
      memset(pixel, 0, (size_t)channels * sizeof *pixel);
      if (affine->nearest) {
        augment_tap(height, width, channels, affine, x, roundf(row), roundf(column), 1, pixel);
        continue;
      }
      float top = floorf(row), left = floorf(column), down = row - top, right = column - left;
      augment_tap(height, width, channels, affine, x, top, left, (1 - down) * (1 - right), pixel);
      augment_tap(height, width, channels, affine, x, top, left + 1, (1 - down) * right, pixel);
      augment_tap(height, width, channels, affine, x, top + 1, left, down * (1 - right), pixel);
      augment_tap(height, width, channels, affine, x, top + 1, left + 1, down * right, pixel);
    }
}

/* The map of one draw: `first` of [low, high], `second` of [width_low, width_high].  Keras turns and zooms
 * about the middle of the image; a positive translation moves the image down and to the right. */
static void augment_affine_map(int height, int width, const AugmentAffine *affine, float first, float second,
                               float *map) {
  float last_row = (float)(height - 1), last_column = (float)(width - 1);
  switch (affine->kind) {
  case AUGMENT_ROTATION: {
    float c = cosf(first * 6.2831853071795865f), s = sinf(first * 6.2831853071795865f);
    map[0] = c;
    map[1] = -s;
    map[2] = (last_column - (c * last_column - s * last_row)) / 2;
    map[3] = s;
    map[4] = c;
    map[5] = (last_row - (s * last_column + c * last_row)) / 2;
    break;
  }
  case AUGMENT_ZOOM: {
    float zoom_rows = 1 + first, zoom_columns = 1 + second;
    map[0] = zoom_columns;
    map[1] = map[3] = 0;
    map[2] = last_column / 2 * (1 - zoom_columns);
    map[4] = zoom_rows;
    map[5] = last_row / 2 * (1 - zoom_rows);
    break;
  }
  case AUGMENT_TRANSLATION:
    map[0] = map[4] = 1;
    map[1] = map[3] = 0;
    map[2] = -second * (float)width;
    map[5] = -first * (float)height;
    break;
  }
}

static void random_affine_fwd(int n, int height, int width, int channels, const AugmentAffine *affine,
                              uint64_t seed, int64_t draw, int layer, const float *x, float *y,
                              const Work *work) {
  (void)work;
  uint64_t key = dropout_key(seed, draw, layer);
  size_t size = (size_t)height * width * channels;
  WORK_PARALLEL_FOR(work)
  for (int i = 0; i < n; i++) {
    float map[6], first = augment_between(key, i, 0, affine->low, affine->high);
    float second = affine->square ? first : augment_between(key, i, 1, affine->width_low, affine->width_high);
    augment_affine_map(height, width, affine, first, second, map);
    augment_affine_image(height, width, channels, affine, map, x + i * size, y + i * size);
  }
}

static inline float augment_clip(float value, float least, float most) {
  return value < least ? least : value > most ? most : value;
}

/* y = (x - mean) * factor + mean, clipped; the mean is each channel's own over the image.  y may be x. */
static void augment_contrast_image(int pixels, int channels, float factor, float least, float most,
                                   const float *x, float *y) {
  for (int c = 0; c < channels; c++) {
    double sum = 0;
    for (int i = 0; i < pixels; i++)
      sum += x[(size_t)i * channels + c];
    float mean = (float)(sum / pixels);
    for (int i = 0; i < pixels; i++)
      y[(size_t)i * channels + c] =
          augment_clip((x[(size_t)i * channels + c] - mean) * factor + mean, least, most);
  }
}

/* factor: 1 + a number between low and high. */
static void random_contrast_fwd(int n, int pixels, int channels, float low, float high, float least,
                                float most, uint64_t seed, int64_t draw, int layer, const float *x, float *y,
                                const Work *work) {
  (void)work;
  uint64_t key = dropout_key(seed, draw, layer);
  size_t size = (size_t)pixels * channels;
  WORK_PARALLEL_FOR(work)
  for (int i = 0; i < n; i++)
    augment_contrast_image(pixels, channels, 1 + augment_between(key, i, 0, low, high), least, most,
                           x + i * size, y + i * size);
}

/* y = x + delta, clipped to [least, most]; delta is a number between low and high times (most - least).  y
 * may be x. */
static void random_brightness_fwd(int n, int floats, float low, float high, float least, float most,
                                  uint64_t seed, int64_t draw, int layer, const float *x, float *y,
                                  const Work *work) {
  (void)work;
  uint64_t key = dropout_key(seed, draw, layer);
  WORK_PARALLEL_FOR(work)
  for (int i = 0; i < n; i++) {
    float delta = augment_between(key, i, 0, low, high) * (most - least);
    for (int k = 0; k < floats; k++)
      y[(size_t)i * floats + k] = augment_clip(x[(size_t)i * floats + k] + delta, least, most);
  }
}

/* y [n, out_height, out_width, channels]: a window at a random place. */
static void random_crop_fwd(int n, int height, int width, int channels, int out_height, int out_width,
                            uint64_t seed, int64_t draw, int layer, const float *x, float *y,
                            const Work *work) {
  (void)work;
  uint64_t key = dropout_key(seed, draw, layer);
  WORK_PARALLEL_FOR(work)
  for (int i = 0; i < n; i++) {
    int top = (int)(augment_uniform(key, i, 0) * (float)(height - out_height + 1));
    int left = (int)(augment_uniform(key, i, 1) * (float)(width - out_width + 1));
    for (int row = 0; row < out_height; row++)
      memcpy(y + ((size_t)i * out_height + row) * out_width * channels,
             x + (((size_t)i * height + top + row) * width + left) * channels,
             (size_t)out_width * channels * sizeof *y);
  }
}

/* The crop of a prediction: the largest window in the middle with the output's aspect, resized bilinearly
 * with the centres of pixels at half.  y [n, out_height, out_width, channels]. */
static void center_crop_fwd(int n, int height, int width, int channels, int out_height, int out_width,
                            const float *x, float *y, const Work *work) {
  (void)work;
  int crop_height = (int)((double)width * out_height / out_width),
      crop_width = (int)((double)height * out_width / out_height);
  crop_height = crop_height < 1 ? 1 : crop_height > height ? height : crop_height;
  crop_width = crop_width < 1 ? 1 : crop_width > width ? width : crop_width;
  int top = (height - crop_height) / 2, left = (width - crop_width) / 2;
  WORK_PARALLEL_FOR(work)
  for (int image = 0; image < n; image++)
    for (int i = 0; i < out_height; i++)
      for (int j = 0; j < out_width; j++) {
        float row = ((float)i + 0.5f) * (float)crop_height / (float)out_height - 0.5f;
        float column = ((float)j + 0.5f) * (float)crop_width / (float)out_width - 0.5f;
        row = augment_clip(row, 0, (float)(crop_height - 1));
        column = augment_clip(column, 0, (float)(crop_width - 1));
        int i0 = (int)row, j0 = (int)column;
        int i1 = i0 + 1 < crop_height ? i0 + 1 : i0, j1 = j0 + 1 < crop_width ? j0 + 1 : j0;
        float down = row - (float)i0, right = column - (float)j0;
        const float *in = x + (((size_t)image * height + top) * width + left) * channels;
        float *out = y + (((size_t)image * out_height + i) * out_width + j) * channels;
        for (int c = 0; c < channels; c++) {
          float a = in[((size_t)i0 * width + j0) * channels + c],
                b = in[((size_t)i0 * width + j1) * channels + c];
          float d = in[((size_t)i1 * width + j0) * channels + c],
                e = in[((size_t)i1 * width + j1) * channels + c];
          out[c] = (a + (b - a) * right) * (1 - down) + (d + (e - d) * right) * down;
        }
      }
}
#endif
