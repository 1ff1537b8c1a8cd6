/* PNG: a structural check without decoding, and decoding by libpng. */
#ifndef NETC_DATA_PNG_H
#define NETC_DATA_PNG_H
#include <png.h>
#include <setjmp.h>
#include <string.h>
#include <zlib.h>

#include "image.h"

static uint32_t png_number(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Walks the chunks: size sane, every checksum right, the end chunk there. */
static bool png_check(const uint8_t *bytes, size_t length, Fault *fault) {
  static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  if (length < 8 || memcmp(bytes, signature, 8))
    return fault_set(fault, "is not a PNG file");
  size_t at = 8;
  bool pixels = false;
  for (int count = 0; at + 12 <= length; count++) {
    uint32_t size = png_number(bytes + at);
    const uint8_t *type = bytes + at + 4;
    if (size > 0x7fffffffu || size > length - at - 12)
      break;
    if (crc32(crc32(0, Z_NULL, 0), type, size + 4) != png_number(type + 4 + size))
      return fault_set(fault, "is a damaged PNG file (checksum of chunk %.4s at byte %zu)",
                       (const char *)type, at);
    if (!count && (memcmp(type, "IHDR", 4) || size != 13))
      return fault_set(fault, "is a damaged PNG file (no header)");
    if (!count && !image_size_good(png_number(type + 4), png_number(type + 8), fault))
      return false;
    pixels = pixels || !memcmp(type, "IDAT", 4);
    if (!memcmp(type, "IEND", 4))
      return pixels || fault_set(fault, "is a PNG file without pixels");
    at += 12 + size;
  }
  return fault_set(fault, "is a truncated PNG file (it ends within or before a chunk at byte %zu)", at);
}

typedef struct PngSource {
  const uint8_t *bytes;
  size_t length, at;
} PngSource;

static void png_take(png_structp png, png_bytep out, png_size_t count) {
  PngSource *source = png_get_io_ptr(png);
  if (count > source->length - source->at)
    png_error(png, "the file ends early");
  memcpy(out, source->bytes + source->at, count);
  source->at += count;
}

static void png_fail(png_structp png, png_const_charp text) {
  Fault *fault = png_get_error_ptr(png);
  fault_set(fault, "cannot be decoded: %s", text);
  longjmp(png_jmpbuf(png), 1);
}

static void png_stay_quiet(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

/* Decodes to 8-bit gray or RGB: palettes expanded, 16 bits cut to the upper eight, alpha dropped (as
 * image_dataset_from_directory does when it asks for three channels). */
static bool png_decode(const uint8_t *bytes, size_t length, Image *image, Fault *fault) {
  PngSource source = {bytes, length, 0};
  png_bytep *volatile rows = NULL;
  Image *volatile made = image;
  png_infop info = NULL;
  image->pixels = NULL;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, fault, png_fail, png_stay_quiet);
  if (!png || !(info = png_create_info_struct(png))) {
    png_destroy_read_struct(&png, NULL, NULL);
    return fault_set(fault, "cannot be decoded: no memory");
  }
  if (setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, NULL);
    free(rows);
    image_free(made);
    return false;
  }
  png_set_user_limits(png, IMAGE_MAX_PIXELS, IMAGE_MAX_PIXELS);
  png_set_read_fn(png, &source, png_take);
  png_read_info(png, info);
  png_set_expand(png);
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  int channels = png_get_channels(png, info) == 1 ? 1 : 3;
  if (!image_allocate(image, png_get_image_width(png, info), png_get_image_height(png, info), channels,
                      fault)) {
    png_destroy_read_struct(&png, &info, NULL);
    return false;
  }
  size_t stride = (size_t)image->width * (size_t)image->channels;
  if (png_get_rowbytes(png, info) != stride)
    png_error(png, "unexpected pixel format");
  rows = malloc((size_t)image->height * sizeof *rows);
  if (!rows)
    png_error(png, "no memory");
  for (int y = 0; y < image->height; y++)
    rows[y] = image->pixels + (size_t)y * stride;
  png_read_image(png, rows);
  png_read_end(png, NULL);
  png_destroy_read_struct(&png, &info, NULL);
  free(rows);
  return true;
}
#endif
