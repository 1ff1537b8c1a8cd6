/* JPEG: a structural check without decoding, and decoding by libjpeg(-turbo). */
#ifndef NETC_DATA_JPEG_H
#define NETC_DATA_JPEG_H
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>

#include "image.h"

/* Walks the markers of the file: its size must be sane, and an end-of-image marker must follow the pixels. */
static bool jpeg_check(const uint8_t *bytes, size_t length, Fault *fault) {
  size_t at = 2;
  bool size_seen = false, scan_seen = false;
  if (length < 4 || bytes[0] != 0xff || bytes[1] != 0xd8)
    return fault_set(fault, "is not a JPEG file");
  while (at + 2 <= length) {
    if (bytes[at] != 0xff) {
      if (!scan_seen)
        return fault_set(fault, "is a damaged JPEG file (no marker at byte %zu)", at);
      at++;
      continue;
    }
    int marker = bytes[at + 1];
    if (marker == 0xff) {
      at++;
      continue;
    }
    if (marker == 0 || (marker >= 0xd0 && marker <= 0xd7) || marker == 0x01) {
      at += 2; /* inside the pixels: an escaped 255 or a restart marker */
      continue;
    }
    if (marker == 0xd9 || at + 4 > length)
      break;
    size_t segment = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
    bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame && at + 9 <= length) {
      size_seen = true;
      if (!image_size_good((uint64_t)bytes[at + 7] << 8 | bytes[at + 8],
                           (uint64_t)bytes[at + 5] << 8 | bytes[at + 6], fault))
        return false;
    }
    scan_seen = scan_seen || marker == 0xda;
    at += 2 + segment;
  }
  if (!size_seen || !scan_seen)
    return fault_set(fault, "is a truncated JPEG file (it ends before the pixels)");
  if (at + 2 > length || bytes[at] != 0xff || bytes[at + 1] != 0xd9)
    return fault_set(fault, "is a truncated JPEG file (its end marker is missing)");
  return true;
}

typedef struct JpegError {
  struct jpeg_error_mgr manager;
  jmp_buf back;
} JpegError;

static void jpeg_fail(j_common_ptr common) {
  longjmp(((JpegError *)(void *)common->err)->back, 1);
}

/* Warnings are counted by libjpeg and looked at afterwards. */
static void jpeg_stay_quiet(j_common_ptr common) {
  (void)common;
}

static unsigned jpeg_exif_number(const uint8_t *at, int bytes, bool little) {
  unsigned number = 0;
  for (int i = 0; i < bytes; i++)
    number |= (unsigned)at[i] << 8 * (little ? i : bytes - 1 - i);
  return number;
}

/* The orientation (1 to 8) in an Exif segment; 1 where there is none or it makes no sense. */
static int jpeg_orientation(const uint8_t *exif, size_t length) {
  if (length < 14 || memcmp(exif, "Exif\0\0", 6))
    return 1;
  const uint8_t *tiff = exif + 6;
  size_t size = length - 6;
  bool little = tiff[0] == 'I';
  size_t at = jpeg_exif_number(tiff + 4, 4, little);
  if (at > size - 2)
    return 1;
  unsigned entries = jpeg_exif_number(tiff + at, 2, little);
  for (at += 2; entries-- && at + 12 <= size; at += 12)
    if (jpeg_exif_number(tiff + at, 2, little) == 0x112) {
      unsigned value = jpeg_exif_number(tiff + at + 8, 2, little);
      return value >= 1 && value <= 8 ? (int)value : 1;
    }
  return 1;
}

/* Turns the image as its Exif orientation says: 2 mirrored, 3 upside down, 4 both, 5 to 8 the same
 * transposed. */
static bool jpeg_turn(Image *image, int orientation, Fault *fault) {
  if (orientation <= 1)
    return true;
  int width = image->width, height = image->height, channels = image->channels;
  bool transposed = orientation >= 5;
  int out_w = transposed ? height : width, out_h = transposed ? width : height;
  Image turned;
  if (!image_allocate(&turned, (uint64_t)out_w, (uint64_t)out_h, channels, fault))
    return false;
  for (int y = 0; y < out_h; y++)
    for (int x = 0; x < out_w; x++) {
      int from_x = transposed ? y : x, from_y = transposed ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
        from_x = width - 1 - from_x;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
        from_y = height - 1 - from_y;
      memcpy(turned.pixels + ((size_t)y * (size_t)out_w + (size_t)x) * (size_t)channels,
             image->pixels + ((size_t)from_y * (size_t)width + (size_t)from_x) * (size_t)channels,
             (size_t)channels);
    }
  image_free(image);
  *image = turned;
  return true;
}

/* A row of CMYK to RGB.  Adobe's files hold the inverse: 255 is no ink. */
static void jpeg_row_from_cmyk(const uint8_t *cmyk, int width, bool inverted, uint8_t *rgb) {
  for (int x = 0; x < width; x++, cmyk += 4, rgb += 3)
    for (int c = 0; c < 3; c++) {
      int ink = inverted ? 255 - cmyk[c] : cmyk[c], black = inverted ? 255 - cmyk[3] : cmyk[3];
      rgb[c] = (uint8_t)((255 - ink) * (255 - black) / 255);
    }
}

/* Decodes to gray or RGB, upright.  *damaged: libjpeg had to guess at some of the pixels. */
static bool jpeg_decode(const uint8_t *bytes, size_t length, Image *image, bool *damaged, Fault *fault) {
  struct jpeg_decompress_struct info;
  JpegError error;
  uint8_t *volatile row = NULL;
  Image *volatile made = image;
  image->pixels = NULL;
  info.err = jpeg_std_error(&error.manager);
  error.manager.error_exit = jpeg_fail;
  error.manager.output_message = jpeg_stay_quiet;
  if (setjmp(error.back)) {
    char text[JMSG_LENGTH_MAX];
    error.manager.format_message((j_common_ptr)&info, text);
    jpeg_destroy_decompress(&info);
    free(row);
    image_free(made);
    return fault_set(fault, "cannot be decoded: %s", text);
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes, (unsigned long)length);
  jpeg_save_markers(&info, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&info, TRUE);
  bool cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  bool gray = info.jpeg_color_space == JCS_GRAYSCALE;
  info.out_color_space = cmyk ? JCS_CMYK : gray ? JCS_GRAYSCALE : JCS_RGB;
  int orientation = 1;
  for (jpeg_saved_marker_ptr marker = info.marker_list; marker; marker = marker->next)
    if (marker->marker == JPEG_APP0 + 1 && orientation == 1)
      orientation = jpeg_orientation(marker->data, marker->data_length);
  jpeg_start_decompress(&info);
  if (!image_allocate(image, info.output_width, info.output_height, gray ? 1 : 3, fault)) {
    jpeg_destroy_decompress(&info);
    return false;
  }
  size_t stride = (size_t)image->width * (size_t)image->channels;
  if (cmyk)
    row = malloc((size_t)image->width * 4);
  if (cmyk && !row) {
    jpeg_destroy_decompress(&info);
    image_free(image);
    return fault_set(fault, "no memory for its pixels");
  }
  while (info.output_scanline < info.output_height) {
    uint8_t *target = image->pixels + (size_t)info.output_scanline * stride;
    JSAMPROW rows[1] = {cmyk ? row : target};
    jpeg_read_scanlines(&info, rows, 1);
    if (cmyk)
      jpeg_row_from_cmyk(row, image->width, info.saw_Adobe_marker, target);
  }
  jpeg_finish_decompress(&info);
  *damaged = error.manager.num_warnings > 0;
  jpeg_destroy_decompress(&info);
  free(row);
  if (!jpeg_turn(image, orientation, fault)) {
    image_free(image);
    return false;
  }
  return true;
}
#endif
