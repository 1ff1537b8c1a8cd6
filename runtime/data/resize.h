/* Resizing as tf.image.resize(antialias = False) does it, which image_dataset_from_directory calls:
 * half-pixel centres, real results that are not rounded.  And cutting or padding to the network's aspect
 * ratio before any method. */
#ifndef NETC_DATA_RESIZE_H
#define NETC_DATA_RESIZE_H
#include <stdbool.h>
#include <string.h>

#include "../model.h"
#include "resize_opencv.h"
#include "resize_pillow.h"

typedef struct ResizeTap {
  int low, high; /* the two source rows or columns */
  float part;    /* of the second */
} ResizeTap;

/* Output position i of `out` looks at source position (i + 0.5) * in / out - 0.5; edges are repeated. */
static ResizeTap resize_tap(int i, int in, int out) {
  float scale = (float)in / (float)out;
  float at = ((float)i + 0.5f) * scale - 0.5f, below = floorf(at);
  int low = (int)below, high = low + 1;
  ResizeTap tap = {low < 0 ? 0 : low, high > in - 1 ? in - 1 : high, at - below};
  return tap;
}

/* Needs no scratch; equal sizes copy. */
static void resize_bilinear(const ResizeSource *source, int height, int width, void *scratch, float *y) {
  (void)scratch;
  int channels = source->channels;
  if (source->rows == height && source->columns == width) {
    size_t line = (size_t)width * (size_t)channels;
    for (int p = 0; p < height; p++)
      for (size_t k = 0; k < line; k++)
        *y++ = (float)resize_row(source, p)[k];
    return;
  }
  for (int p = 0; p < height; p++) {
    ResizeTap row = resize_tap(p, source->rows, height);
    const uint8_t *top = resize_row(source, row.low), *bottom = resize_row(source, row.high);
    for (int q = 0; q < width; q++) {
      ResizeTap column = resize_tap(q, source->columns, width);
      for (int k = 0; k < channels; k++) {
        float a = (float)top[column.low * channels + k], b = (float)top[column.high * channels + k];
        float d = (float)bottom[column.low * channels + k], e = (float)bottom[column.high * channels + k];
        float upper = a + (b - a) * column.part, lower = d + (e - d) * column.part;
        *y++ = upper + (lower - upper) * row.part;
      }
    }
  }
}

static int resize_nearest_place(int i, int in, int out) {
  int at = (int)(((float)i + 0.5f) * ((float)in / (float)out));
  return at < in - 1 ? at : in - 1;
}

static void resize_nearest(const ResizeSource *source, int height, int width, void *scratch, float *y) {
  (void)scratch;
  int channels = source->channels;
  for (int i = 0; i < height; i++) {
    const uint8_t *x = resize_row(source, resize_nearest_place(i, source->rows, height));
    for (int j = 0; j < width; j++) {
      int column = resize_nearest_place(j, source->columns, width);
      for (int c = 0; c < channels; c++)
        *y++ = (float)x[column * channels + c];
    }
  }
}

/* Scales the weights of one entry to the sum 1, unless they vanish. */
static void resize_normalize(float *weight, int count) {
  float total = 0;
  for (int t = 0; t < count; t++)
    total += weight[t];
  for (int t = 0; t < count && fabsf(total) > 1e-35f; t++)
    weight[t] /= total;
}

/* The convolution of Keys with a = -1/2; taps outside the image count nothing, positions are rounded to
 * 1/1024. */
static void resize_bicubic_weights(int in, int out, ResizeTable *table) {
  const float a = -0.5f, scale = (float)in / (float)out;
  for (int i = 0; i < out; i++) {
    float at = ((float)i + 0.5f) * scale - 0.5f, below = floorf(at);
    float part = rintf((at - below) * 1024) / 1024;
    int centre = (int)below, first = centre - 1 < 0 ? 0 : centre - 1,
        last = centre + 2 > in - 1 ? in - 1 : centre + 2;
    float *weight = table->weight + (size_t)i * (size_t)table->taps;
    for (int k = first; k <= last; k++) {
      float x = fabsf((float)(k - centre) - part);
      weight[k - first] = k == centre || k == centre + 1 ? ((a + 2) * x - (a + 3)) * x * x + 1
                                                         : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    }
    table->first[i] = first;
    table->count[i] = last - first + 1;
    resize_normalize(weight, table->count[i]);
  }
}

/* The part of each pixel that an output pixel covers. */
static void resize_area_weights(int in, int out, ResizeTable *table) {
  float scale = (float)in / (float)out;
  for (int i = 0; i < out; i++) {
    float start = (float)i * scale, end = (float)(i + 1) * scale;
    int first = (int)floorf(start), last = (int)ceilf(end) - 1;
    last = last > in - 1 ? in - 1 : last;
    float *weight = table->weight + (size_t)i * (size_t)table->taps;
    for (int k = first; k <= last; k++) {
      float from = (float)k < start ? start : (float)k, to = (float)(k + 1) > end ? end : (float)(k + 1);
      weight[k - first] = (to - from) / scale;
    }
    table->first[i] = first;
    table->count[i] = last - first + 1;
  }
}

typedef struct ResizeKernel {
  float (*value)(float distance, float radius);
  float radius;
} ResizeKernel;

static float resize_lanczos(float x, float radius) {
  const float pi = 3.14159265358979323846f;
  if (x > radius)
    return 0;
  return x <= 1e-3f ? 1 : radius * sinf(pi * x) * sinf(pi * x / radius) / (pi * pi * x * x);
}

/* Deviation: a third of the radius. */
static float resize_bell(float x, float radius) {
  float deviations = x * 3 / radius;
  return x < radius ? expf(-deviations * deviations / 2) : 0;
}

/* The filter of Mitchell and Netravali with B = C = 1/3. */
static float resize_mitchell(float x, float radius) {
  if (x >= radius)
    return 0;
  if (x >= 1)
    return ((-7.f / 18 * x + 2) * x - 10.f / 3) * x + 16.f / 9;
  return (7.f / 6 * x - 2) * x * x + 8.f / 9;
}

static void resize_kernel_weights(const ResizeKernel *kernel, int in, int out, ResizeTable *table) {
  float scale = (float)in / (float)out;
  for (int i = 0; i < out; i++) {
    float at = ((float)i + 0.5f) * scale;
    int first = (int)ceilf(at - kernel->radius - 0.5f), last = (int)floorf(at + kernel->radius - 0.5f);
    first = first < 0 ? 0 : first;
    last = last > in - 1 ? in - 1 : last;
    float *weight = table->weight + (size_t)i * (size_t)table->taps;
    for (int k = first; k <= last; k++)
      weight[k - first] = kernel->value(fabsf((float)k + 0.5f - at), kernel->radius);
    table->first[i] = first;
    table->count[i] = last - first + 1;
    resize_normalize(weight, table->count[i]);
  }
}

static void resize_bicubic(const ResizeSource *source, int height, int width, void *scratch, float *y) {
  ResizeTable across = resize_table(source->columns, width, &scratch),
              down = resize_table(source->rows, height, &scratch);
  resize_bicubic_weights(source->columns, width, &across);
  resize_bicubic_weights(source->rows, height, &down);
  resize_real_passes(source, &down, &across, height, width, scratch, y);
}

static void resize_area(const ResizeSource *source, int height, int width, void *scratch, float *y) {
  ResizeTable across = resize_table(source->columns, width, &scratch),
              down = resize_table(source->rows, height, &scratch);
  resize_area_weights(source->columns, width, &across);
  resize_area_weights(source->rows, height, &down);
  resize_real_passes(source, &down, &across, height, width, scratch, y);
}

static void resize_kernel(const ResizeSource *source, const ResizeKernel *kernel, int height, int width,
                          void *scratch, float *y) {
  ResizeTable across = resize_table(source->columns, width, &scratch),
              down = resize_table(source->rows, height, &scratch);
  resize_kernel_weights(kernel, source->columns, width, &across);
  resize_kernel_weights(kernel, source->rows, height, &down);
  resize_real_passes(source, &down, &across, height, width, scratch, y);
}

static void resize_lanczos3(const ResizeSource *source, int height, int width, void *scratch, float *y) {
  resize_kernel(source, &(ResizeKernel){resize_lanczos, 3}, height, width, scratch, y);
}

static void resize_lanczos5(const ResizeSource *source, int height, int width, void *scratch, float *y) {
  resize_kernel(source, &(ResizeKernel){resize_lanczos, 5}, height, width, scratch, y);
}

static void resize_gaussian(const ResizeSource *source, int height, int width, void *scratch, float *y) {
  resize_kernel(source, &(ResizeKernel){resize_bell, 1.5f}, height, width, scratch, y);
}

static void resize_mitchellcubic(const ResizeSource *source, int height, int width, void *scratch, float *y) {
  resize_kernel(source, &(ResizeKernel){resize_mitchell, 2}, height, width, scratch, y);
}

/* ---- images of any size to the network's ---- */

/* The larger of `own` and what `own` must grow to for the aspect ratio, less one where that leaves an odd
 * rest. */
static int resize_padded(int own, int other, int to, int other_to) {
  int64_t wanted = (int64_t)other * to / other_to;
  return wanted > own ? own + (int)((wanted - own) / 2 * 2) : own;
}

/* Bytes of scratch memory for resize_image; 0: none is needed. */
static size_t resize_image_bytes(const ModelResize *rule, int height, int width, int channels, int out_height,
                                 int out_width) {
  size_t canvas = 0;
  if (rule->pad) {
    int high = resize_padded(height, width, out_height, out_width),
        wide = resize_padded(width, height, out_width, out_height);
    height = high;
    width = wide;
    canvas = ((size_t)height * (size_t)width * (size_t)channels + 3) / 4 * 4;
  }
  return canvas + (rule->run ? resize_bytes(height, width, channels, out_height, out_width) : 0);
}

/* An image with zeros around it; *source becomes it.  The memory after it. */
static void *resize_pad(ResizeSource *source, int out_height, int out_width, void *scratch) {
  int height = resize_padded(source->height, source->width, out_height, out_width);
  int width = resize_padded(source->width, source->height, out_width, out_height);
  size_t line = (size_t)source->width * (size_t)source->channels,
         wide = (size_t)width * (size_t)source->channels, size = (size_t)height * wide;
  uint8_t *canvas = scratch;
  uint8_t *first = canvas + (size_t)((height - source->height) / 2) * wide +
                   (size_t)((width - source->width) / 2) * (size_t)source->channels;
  memset(canvas, 0, size);
  for (int i = 0; i < source->height; i++)
    memcpy(first + (size_t)i * wide, source->pixels + (size_t)i * line, line);
  *source = (ResizeSource){canvas, height, width, source->channels, 0, 0, height, width};
  return canvas + (size + 3) / 4 * 4;
}

/* x [height][width][channels] -> y [out_height][out_width][channels], by the rule of the network.  `scratch`:
 * resize_image_bytes, aligned to 4.  Cutting and padding as Keras's crop_to_aspect_ratio and
 * pad_to_aspect_ratio: the middle of the image, rounded towards its start. */
static void resize_image(const ModelResize *rule, const uint8_t *x, int height, int width, int channels,
                         int out_height, int out_width, void *scratch, float *y) {
  ResizeSource source = {x, height, width, channels, 0, 0, height, width};
  if (rule->crop) {
    int64_t rows = (int64_t)width * out_height / out_width,
            columns = (int64_t)height * out_width / out_height;
    source.rows = rows < 1 ? 1 : rows < height ? (int)rows : height;
    source.columns = columns < 1 ? 1 : columns < width ? (int)columns : width;
    source.top = (height - source.rows) / 2;
    source.left = (width - source.columns) / 2;
  } else if (rule->pad) {
    scratch = resize_pad(&source, out_height, out_width, scratch);
  }
  if (rule->run)
    rule->run(&source, out_height, out_width, scratch, y);
  else
    resize_bilinear(&source, out_height, out_width, NULL, y);
}
#endif
