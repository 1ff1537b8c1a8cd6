/* Resizing as Pillow's Image.resize does it with 8-bit images, to the byte: what Keras's load_img,
 * flow_from_directory and ImageDataGenerator call.  Filters and their widths are those of Pillow's "Concepts:
 * filters"; where an image shrinks a filter widens with it.  Columns first, then rows, 8 bits between,
 * weights with 22 binary digits. */
#ifndef NETC_DATA_RESIZE_PILLOW_H
#define NETC_DATA_RESIZE_PILLOW_H
#include "resize_table.h"

enum { PILLOW_BITS = 22 };

typedef struct PillowFilter {
  double (*value)(double x);
  double support; /* it is zero from there on */
} PillowFilter;

static double pillow_box(double x) {
  return x > -0.5 && x <= 0.5 ? 1 : 0;
}

RESIZE_EXACT static double pillow_triangle(double x) {
  RESIZE_ROUNDED
  x = fabs(x);
  return x < 1 ? 1 - x : 0;
}

static double pillow_sinc(double x) {
  const double turn = 3.14159265358979323846 * x;
  return x == 0 ? 1 : sin(turn) / turn;
}

/* Its constants are single-precision ones there. */
RESIZE_EXACT static double pillow_hamming(double x) {
  RESIZE_ROUNDED
  x = fabs(x);
  return x >= 1 ? 0 : pillow_sinc(x) * ((double)0.54f + (double)0.46f * cos(3.14159265358979323846 * x));
}

/* Keys's cubic convolution with a = -1/2. */
RESIZE_EXACT static double pillow_cubic(double x) {
  RESIZE_ROUNDED
  const double a = -0.5;
  x = fabs(x);
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

RESIZE_EXACT static double pillow_lanczos(double x) {
  RESIZE_ROUNDED
  return x >= -3 && x < 3 ? pillow_sinc(x) * pillow_sinc(x / 3) : 0;
}

/* Weights of one axis: `part` entries from `start` on, out of `in`, become `out`.  Entries beside the part
 * are looked at where the filter reaches them. */
RESIZE_EXACT static void pillow_weights(const PillowFilter *filter, int in, int start, int part, int out,
                                        ResizeTable *table) {
  RESIZE_ROUNDED
  double scale = (double)part / out, wide = scale < 1 ? 1 : scale, reach = filter->support * wide;
  for (int i = 0; i < out; i++) {
    double centre = start + (i + 0.5) * scale, total = 0, weights;
    int first = (int)(centre - reach + 0.5), end = (int)(centre + reach + 0.5);
    first = first < 0 ? 0 : first;
    end = end > in ? in : end;
    int32_t *to = table->integer + (size_t)i * (size_t)table->taps;
    for (int k = first; k < end; k++)
      total += filter->value((k - centre + 0.5) * (1 / wide));
    for (int k = first; k < end; k++) {
      weights = filter->value((k - centre + 0.5) * (1 / wide));
      weights = (total != 0 ? weights / total : weights) * (1 << PILLOW_BITS);
      to[k - first] = (int32_t)(weights < 0 ? weights - 0.5 : weights + 0.5);
    }
    table->first[i] = first;
    table->count[i] = end - first;
  }
}

/* A rounded sum as a pixel. */
static inline int32_t pillow_pixel(int32_t sum) {
  int32_t value = sum >> PILLOW_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

static void resize_pillow(const ResizeSource *source, const PillowFilter *filter, int height, int width,
                          void *scratch, float *y) {
  size_t channels = (size_t)source->channels, line = (size_t)width * channels;
  ResizeTable across = resize_table(source->width, width, &scratch);
  ResizeTable down = resize_table(source->height, height, &scratch);
  /* An axis that neither changes its size nor is cut is left alone. */
  bool same_width = source->columns == width && source->width == width;
  bool same_height = source->rows == height && source->height == height;
  pillow_weights(filter, source->width, source->left, source->columns, width, &across);
  pillow_weights(filter, source->height, source->top, source->rows, height, &down);
  int32_t *between = scratch;
  int end = same_height ? height : down.first[height - 1] + down.count[height - 1];
  for (int i = same_height ? 0 : down.first[0]; i < end; i++)
    for (int j = 0; j < width; j++) {
      const uint8_t *x =
          source->pixels +
          ((size_t)i * (size_t)source->width + (size_t)(same_width ? j : across.first[j])) * channels;
      const int32_t *weight = across.integer + (size_t)j * (size_t)across.taps;
      int32_t *to = between + (size_t)i * line + (size_t)j * channels;
      for (size_t c = 0; c < channels; c++) {
        int32_t sum = 1 << (PILLOW_BITS - 1);
        for (int t = 0; !same_width && t < across.count[j]; t++)
          sum += x[(size_t)t * channels + c] * weight[t];
        to[c] = same_width ? x[c] : pillow_pixel(sum);
      }
    }
  for (int i = 0; i < height; i++) {
    const int32_t *x = between + (size_t)(same_height ? i : down.first[i]) * line;
    const int32_t *weight = down.integer + (size_t)i * (size_t)down.taps;
    for (size_t k = 0; k < line; k++) {
      int32_t sum = 1 << (PILLOW_BITS - 1);
      for (int t = 0; !same_height && t < down.count[i]; t++)
        sum += x[(size_t)t * line + k] * weight[t];
      y[(size_t)i * line + k] = (float)(same_height ? x[k] : pillow_pixel(sum));
    }
  }
}

static void resize_pillow_box(const ResizeSource *source, int height, int width, void *scratch, float *y) {
  resize_pillow(source, &(PillowFilter){pillow_box, 0.5}, height, width, scratch, y);
}

static void resize_pillow_bilinear(const ResizeSource *source, int height, int width, void *scratch,
                                   float *y) {
  resize_pillow(source, &(PillowFilter){pillow_triangle, 1}, height, width, scratch, y);
}

static void resize_pillow_hamming(const ResizeSource *source, int height, int width, void *scratch,
                                  float *y) {
  resize_pillow(source, &(PillowFilter){pillow_hamming, 1}, height, width, scratch, y);
}

static void resize_pillow_bicubic(const ResizeSource *source, int height, int width, void *scratch,
                                  float *y) {
  resize_pillow(source, &(PillowFilter){pillow_cubic, 2}, height, width, scratch, y);
}

static void resize_pillow_lanczos(const ResizeSource *source, int height, int width, void *scratch,
                                  float *y) {
  resize_pillow(source, &(PillowFilter){pillow_lanczos, 3}, height, width, scratch, y);
}

/* The pixel that the centre of an output pixel falls on.  Positions are summed up step by step, as Pillow
 * does, for where they meet an edge between pixels. */
RESIZE_EXACT static void pillow_nearest_places(int start, int part, int in, int out, int *place) {
  RESIZE_ROUNDED
  double step = (double)part / out, at = start + step * 0.5;
  for (int i = 0; i < out; i++, at += step)
    place[i] = at < 0 ? 0 : (int)at > in - 1 ? in - 1 : (int)at;
}

static void resize_pillow_nearest(const ResizeSource *source, int height, int width, void *scratch,
                                  float *y) {
  int *row = scratch, *column = row + height;
  pillow_nearest_places(source->top, source->rows, source->height, height, row);
  pillow_nearest_places(source->left, source->columns, source->width, width, column);
  for (int i = 0; i < height; i++)
    for (int j = 0; j < width; j++)
      for (int c = 0; c < source->channels; c++)
        *y++ = source->pixels[((size_t)row[i] * (size_t)source->width + (size_t)column[j]) *
                                  (size_t)source->channels +
                              (size_t)c];
}
#endif
