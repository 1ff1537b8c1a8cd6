/* Pixels between the decoder and the network: gray and colour, and the preprocessing of the .net file. */
#ifndef NETC_DATA_PIXELS_H
#define NETC_DATA_PIXELS_H
#include <string.h>

#include "../model.h"

/* Luma of ITU-R BT.601 in 16-bit fixed point, rounded, as Pillow's mode "L". */
static inline uint8_t pixel_luma(const uint8_t *rgb) {
  return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

/* The same with 15 binary digits, as OpenCV's cvtColor. */
static inline uint8_t pixel_luma_opencv(const uint8_t *rgb) {
  return (uint8_t)((rgb[0] * 9798u + rgb[1] * 19235u + rgb[2] * 3735u + 0x4000u) >> 15);
}

/* x [count][from] -> y [count][to]: colour to gray, gray repeated; y may be x where `to` is not larger. */
static void pixels_set_channels(const uint8_t *x, size_t count, int from, int to, bool opencv, uint8_t *y) {
  if (from == to) {
    memmove(y, x, count * (size_t)to);
  } else if (from == 3 && to == 1) {
    for (size_t i = 0; i < count; i++)
      y[i] = opencv ? pixel_luma_opencv(x + 3 * i) : pixel_luma(x + 3 * i);
  } else {
    for (size_t i = 0; i < count; i++)
      memset(y + i * (size_t)to, x[i * (size_t)from], (size_t)to);
  }
}

/* Values from 0 to 255 to what the network takes, in place: x [floats / channels][channels]. */
static void pixels_preprocess(const ModelPreprocess *rule, int channels, size_t floats, float *x) {
  if (!rule->mode || !strcmp(rule->mode, "none") || channels < 1)
    return;
  for (size_t i = 0; i < floats; i += (size_t)channels, x += channels) {
    for (int c = 0; rule->reverse && c < channels / 2; c++) {
      float kept = x[c];
      x[c] = x[channels - 1 - c];
      x[channels - 1 - c] = kept;
    }
    for (int c = 0; c < channels; c++)
      x[c] = x[c] * rule->scale[c & 3] + rule->offset[c & 3];
  }
}
#endif
