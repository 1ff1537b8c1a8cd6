/* Resizing as OpenCV's cv::resize does it with 8-bit images, to the byte of its portable code: nearest,
 * linear, area and cubic, as its documentation of InterpolationFlags describes them.  Linear and cubic
 * weights have 11 binary digits; linear sums drop 4 of them between the passes. */
#ifndef NETC_DATA_RESIZE_OPENCV_H
#define NETC_DATA_RESIZE_OPENCV_H
#include <stdbool.h>
#include <string.h>

#include "resize_table.h"

enum { OPENCV_ONE = 2048 };

/* Equal sizes are copied; true where that was done. */
static bool opencv_copy(const ResizeSource *source, int height, int width, float *y) {
  if (source->rows != height || source->columns != width)
    return false;
  size_t line = (size_t)width * (size_t)source->channels;
  for (int i = 0; i < height; i++)
    for (size_t k = 0; k < line; k++)
      *y++ = resize_row(source, i)[k];
  return true;
}

/* Input entries per output entry; computed as the reciprocal, whose last bit decides floors. */
static double opencv_scale(int in, int out) {
  return 1 / ((double)out / in);
}

RESIZE_EXACT static void resize_opencv_nearest(const ResizeSource *source, int height, int width,
                                               void *scratch, float *y) {
  RESIZE_ROUNDED(void) scratch;
  size_t channels = (size_t)source->channels;
  double down = opencv_scale(source->rows, height), across = opencv_scale(source->columns, width);
  for (int i = 0; i < height; i++) {
    int row = (int)(i * down);
    const uint8_t *x = resize_row(source, row < source->rows ? row : source->rows - 1);
    for (int j = 0; j < width; j++) {
      int column = (int)(j * across);
      column = column < source->columns ? column : source->columns - 1;
      for (size_t c = 0; c < channels; c++)
        *y++ = x[(size_t)column * channels + c];
    }
  }
}

/* Two weights per entry.  `area`: an enlarged image keeps the input's pixels as plateaus where they cover an
 * output pixel.  `stop`: positions beyond the edge stand on it (columns; rows repeat the edge row instead,
 * which rounds otherwise). */
RESIZE_EXACT static void opencv_linear_weights(int in, int out, bool area, bool stop, ResizeTable *table) {
  RESIZE_ROUNDED
  double inverse = (double)out / in, scale = 1 / inverse;
  for (int i = 0; i < out; i++) {
    float part = (float)((i + 0.5) * scale - 0.5);
    int first = (int)floorf(part);
    part -= (float)first;
    if (area) {
      first = (int)floor(i * scale);
      part = (float)((i + 1) - (first + 1) * inverse);
      part = part <= 0 ? 0 : part - floorf(part);
    }
    if (stop && (first < 0 || first >= in - 1)) {
      first = first < 0 ? 0 : in - 1;
      part = 0;
    }
    table->first[i] = first;
    table->integer[(size_t)i * (size_t)table->taps] = (int32_t)lrintf((1 - part) * OPENCV_ONE);
    table->integer[(size_t)i * (size_t)table->taps + 1] = (int32_t)lrintf(part * OPENCV_ONE);
  }
}

/* The cubic convolution with a = -3/4; the fourth weight is what is missing from one. */
RESIZE_EXACT static void opencv_cubic_weights(int in, int out, ResizeTable *table) {
  RESIZE_ROUNDED
  const float a = -0.75f;
  double scale = opencv_scale(in, out);
  for (int i = 0; i < out; i++) {
    float at = (float)((i + 0.5) * scale - 0.5), below = floorf(at), x = at - below, w[4];
    w[0] = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
    w[1] = ((a + 2) * x - (a + 3)) * x * x + 1;
    w[2] = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1;
    w[3] = 1 - w[0] - w[1] - w[2];
    table->first[i] = (int)below - 1;
    for (int t = 0; t < 4; t++)
      table->integer[(size_t)i * (size_t)table->taps + (size_t)t] = (int32_t)lrintf(w[t] * OPENCV_ONE);
  }
}

static int opencv_inside(int index, int count) {
  return index < 0 ? 0 : index >= count ? count - 1 : index;
}

/* Rows of the part across to `width` columns: between [rows][width][channels], scaled by 2048. */
static void opencv_across(const ResizeSource *source, const ResizeTable *across, int taps, int width,
                          int32_t *between) {
  size_t channels = (size_t)source->channels;
  for (int i = 0; i < source->rows; i++)
    for (int j = 0; j < width; j++)
      for (size_t c = 0; c < channels; c++) {
        int32_t sum = 0;
        for (int t = 0; t < taps; t++)
          sum += resize_row(source,
                            i)[(size_t)opencv_inside(across->first[j] + t, source->columns) * channels + c] *
                 across->integer[(size_t)j * (size_t)across->taps + (size_t)t];
        *between++ = sum;
      }
}

/* Linear, where `area` in the way in which cv::resize enlarges by area. */
static void opencv_linear(const ResizeSource *source, bool area, int height, int width, void *scratch,
                          float *y) {
  size_t line = (size_t)width * (size_t)source->channels;
  ResizeTable across = resize_table(source->columns, width, &scratch),
              down = resize_table(source->rows, height, &scratch);
  opencv_linear_weights(source->columns, width, area, true, &across);
  opencv_linear_weights(source->rows, height, area, false, &down);
  int32_t *between = scratch;
  opencv_across(source, &across, 2, width, between);
  for (int i = 0; i < height; i++) {
    const int32_t *weight = down.integer + (size_t)i * (size_t)down.taps;
    const int32_t *upper = between + (size_t)opencv_inside(down.first[i], source->rows) * line;
    const int32_t *lower = between + (size_t)opencv_inside(down.first[i] + 1, source->rows) * line;
    for (size_t k = 0; k < line; k++)
      *y++ = (float)(((weight[0] * (upper[k] >> 4) >> 16) + (weight[1] * (lower[k] >> 4) >> 16) + 2) >> 2);
  }
}

/* One row out of four, weighed with `weight`.  Sums of whole groups of 8 numbers are single-precision ones
 * that go to the even neighbour where they lie in the middle, those of the rest are integers: so cv::resize
 * does it with the vectors of SSE2. */
RESIZE_EXACT static void opencv_cubic_row(const int32_t *const row[4], const int32_t *weight, size_t count,
                                          float *y) {
  RESIZE_ROUNDED
  const float scale = 1.f / (OPENCV_ONE * OPENCV_ONE);
  size_t k = 0;
  for (; k < count / 8 * 8; k++) {
    float sum = (float)row[3][k] * ((float)weight[3] * scale);
    for (int t = 2; t >= 0; t--)
      sum = (float)row[t][k] * ((float)weight[t] * scale) + sum;
    sum = rintf(sum);
    y[k] = sum < 0 ? 0 : sum > 255 ? 255 : sum;
  }
  for (; k < count; k++) {
    int32_t sum = 1 << 21;
    for (int t = 0; t < 4; t++)
      sum += row[t][k] * weight[t];
    sum >>= 22;
    y[k] = (float)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
  }
}

static void resize_opencv_cubic(const ResizeSource *source, int height, int width, void *scratch, float *y) {
  if (opencv_copy(source, height, width, y))
    return;
  size_t line = (size_t)width * (size_t)source->channels;
  ResizeTable across = resize_table(source->columns, width, &scratch),
              down = resize_table(source->rows, height, &scratch);
  opencv_cubic_weights(source->columns, width, &across);
  opencv_cubic_weights(source->rows, height, &down);
  int32_t *between = scratch;
  opencv_across(source, &across, 4, width, between);
  for (int i = 0; i < height; i++) {
    const int32_t *row[4];
    for (int t = 0; t < 4; t++)
      row[t] = between + (size_t)opencv_inside(down.first[i] + t, source->rows) * line;
    opencv_cubic_row(row, down.integer + (size_t)i * (size_t)down.taps, line, y + (size_t)i * line);
  }
}

/* The parts of input entries that an output entry covers, as parts of it; slivers below a thousandth are
 * left out. */
RESIZE_EXACT static void opencv_area_weights(int in, int out, ResizeTable *table) {
  RESIZE_ROUNDED
  double scale = opencv_scale(in, out);
  for (int i = 0; i < out; i++) {
    double start = i * scale, end = start + scale, width = scale < in - start ? scale : in - start;
    int whole = (int)ceil(start), last = (int)floor(end), count = 0;
    float *to = table->weight + (size_t)i * (size_t)table->taps;
    last = last < in - 1 ? last : in - 1;
    whole = whole < last ? whole : last;
    table->first[i] = whole;
    if (whole - start > 1e-3) {
      table->first[i] = whole - 1;
      to[count++] = (float)((whole - start) / width);
    }
    for (int k = whole; k < last; k++)
      to[count++] = (float)(1 / width);
    if (end - last > 1e-3) {
      double rest = end - last < 1 ? end - last : 1;
      to[count++] = (float)((rest < width ? rest : width) / width);
    }
    table->count[i] = count;
  }
}

/* Means of whole blocks of pixels. */
static void opencv_blocks(const ResizeSource *source, int height, int width, float *y) {
  int down = source->rows / height, across = source->columns / width;
  size_t channels = (size_t)source->channels;
  float scale = 1.f / (float)(down * across);
  for (int i = 0; i < height; i++)
    for (int j = 0; j < width; j++)
      for (size_t c = 0; c < channels; c++) {
        int sum = 0;
        for (int u = 0; u < down; u++)
          for (int v = 0; v < across; v++)
            sum += resize_row(source, i * down + u)[(size_t)(j * across + v) * channels + c];
        *y++ = down == 2 && across == 2 ? (float)((sum + 2) >> 2) : rintf((float)sum * scale);
      }
}

static void resize_opencv_area(const ResizeSource *source, int height, int width, void *scratch, float *y) {
  if (opencv_copy(source, height, width, y))
    return;
  if (source->rows < height || source->columns < width) {
    opencv_linear(source, true, height, width, scratch, y);
    return;
  }
  if (source->rows % height == 0 && source->columns % width == 0) {
    opencv_blocks(source, height, width, y);
    return;
  }
  ResizeTable across = resize_table(source->columns, width, &scratch),
              down = resize_table(source->rows, height, &scratch);
  opencv_area_weights(source->columns, width, &across);
  opencv_area_weights(source->rows, height, &down);
  resize_real_passes(source, &down, &across, height, width, scratch, y);
  size_t count = (size_t)height * (size_t)width * (size_t)source->channels;
  for (size_t k = 0; k < count; k++)
    y[k] = y[k] < 0 ? 0 : y[k] > 255 ? 255 : rintf(y[k]);
}

/* Half the size both ways is the mean of blocks for linear too, as cv::resize does it. */
static void resize_opencv_linear(const ResizeSource *source, int height, int width, void *scratch, float *y) {
  if (opencv_copy(source, height, width, y))
    return;
  if (source->rows == 2 * height && source->columns == 2 * width)
    opencv_blocks(source, height, width, y);
  else
    opencv_linear(source, false, height, width, scratch, y);
}
#endif
