/* An image as it came out of its file: 8-bit pixels, row after row. */
#ifndef NETC_DATA_IMAGE_H
#define NETC_DATA_IMAGE_H
#include <stdint.h>
#include <stdlib.h>

#include "../fault.h"
#include "pixels.h"

/* More pixels than this (16384 x 16384) is taken for a broken or hostile file. */
enum { IMAGE_MAX_PIXELS = 1 << 28 };

typedef struct Image {
  int width, height;
  int channels;    /* 1 gray, 3 RGB */
  uint8_t *pixels; /* [height][width][channels], from malloc */
} Image;

static bool image_size_good(uint64_t width, uint64_t height, Fault *fault) {
  if (!width || !height)
    return fault_set(fault, "has no pixels (%llu x %llu)", (unsigned long long)width,
                     (unsigned long long)height);
  if (width > IMAGE_MAX_PIXELS || height > IMAGE_MAX_PIXELS || width * height > IMAGE_MAX_PIXELS)
    return fault_set(fault, "claims %llu x %llu pixels, more than the limit of %d million",
                     (unsigned long long)width, (unsigned long long)height, IMAGE_MAX_PIXELS / 1000000);
  return true;
}

static bool image_allocate(Image *image, uint64_t width, uint64_t height, int channels, Fault *fault) {
  if (!image_size_good(width, height, fault))
    return false;
  image->width = (int)width;
  image->height = (int)height;
  image->channels = channels;
  image->pixels = malloc((size_t)width * (size_t)height * (size_t)channels);
  return image->pixels || fault_set(fault, "no memory for its pixels");
}

static void image_free(Image *image) {
  free(image->pixels);
  image->pixels = NULL;
}

/* Changes the pixels to 1 or 3 channels in place (gray is repeated); `opencv`: colour to gray as OpenCV
 * rounds it. */
static bool image_set_channels(Image *image, int channels, bool opencv, Fault *fault) {
  size_t count = (size_t)image->width * (size_t)image->height;
  uint8_t *pixels = image->pixels;
  if (channels > image->channels && !(pixels = malloc(count * (size_t)channels)))
    return fault_set(fault, "no memory for its pixels");
  pixels_set_channels(image->pixels, count, image->channels, channels, opencv, pixels);
  if (pixels != image->pixels)
    free(image->pixels);
  image->pixels = pixels;
  image->channels = channels;
  return true;
}
#endif
