/* Image files of any kind that is read: told apart by their first bytes, not by their names. */
#ifndef NETC_DATA_PICTURE_H
#define NETC_DATA_PICTURE_H
#include <ctype.h>

#include "../system.h"
#include "jpeg.h"
#include "png.h"

/* Whether a name looks like an image: jpg, jpeg, png are read; bmp, gif, webp, tiff are images we do not
 * read. */
typedef enum PictureName { PICTURE_OTHER, PICTURE_READ, PICTURE_NOT_READ } PictureName;

static PictureName picture_name(const char *name) {
  static const char *const read[] = {"jpg", "jpeg", "png"};
  static const char *const not_read[] = {"bmp", "gif", "webp", "tif", "tiff", "heic", "avif"};
  const char *dot = strrchr(name, '.');
  char lower[8] = "";
  if (!dot || strlen(dot + 1) >= sizeof lower)
    return PICTURE_OTHER;
  for (int i = 0; dot[i + 1]; i++)
    lower[i] = (char)tolower((unsigned char)dot[i + 1]);
  for (size_t i = 0; i < sizeof read / sizeof *read; i++)
    if (!strcmp(lower, read[i]))
      return PICTURE_READ;
  for (size_t i = 0; i < sizeof not_read / sizeof *not_read; i++)
    if (!strcmp(lower, not_read[i]))
      return PICTURE_NOT_READ;
  return PICTURE_OTHER;
}

static bool picture_is_png(const uint8_t *bytes, size_t length) {
  return length >= 4 && !memcmp(bytes, "\x89PNG", 4);
}

static bool picture_is_jpeg(const uint8_t *bytes, size_t length) {
  return length >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

/* Why these bytes cannot be an image we read. */
static bool picture_refuse(const uint8_t *bytes, size_t length, Fault *fault) {
  if (!length)
    return fault_set(fault, "is empty");
  if (length >= 6 && !memcmp(bytes, "GIF8", 4))
    return fault_set(fault, "is a GIF image, which is not read (convert it to PNG)");
  if (length >= 2 && !memcmp(bytes, "BM", 2))
    return fault_set(fault, "is a BMP image, which is not read (convert it to PNG)");
  if (length >= 12 && !memcmp(bytes, "RIFF", 4) && !memcmp(bytes + 8, "WEBP", 4))
    return fault_set(fault, "is a WebP image, which is not read (convert it to PNG)");
  size_t printable = 0, looked = length < 256 ? length : 256;
  for (size_t i = 0; i < looked; i++)
    printable += isprint(bytes[i]) || isspace(bytes[i]);
  if (printable == looked)
    return fault_set(fault, "is text, not an image");
  return fault_set(fault, "is neither a JPEG nor a PNG image");
}

/* A cheap look at the whole file: finds other formats, wrong sizes, truncation and (PNG) damage. */
static bool picture_check(const uint8_t *bytes, size_t length, Fault *fault) {
  if (picture_is_png(bytes, length))
    return png_check(bytes, length, fault);
  if (picture_is_jpeg(bytes, length))
    return jpeg_check(bytes, length, fault);
  return picture_refuse(bytes, length, fault);
}

/* Decodes; `fault` gets a reason without the file's name.  *damaged as jpeg_decode. */
static bool picture_decode(const uint8_t *bytes, size_t length, Image *image, bool *damaged, Fault *fault) {
  *damaged = false;
  if (picture_is_png(bytes, length))
    return png_decode(bytes, length, image, fault);
  if (picture_is_jpeg(bytes, length))
    return jpeg_decode(bytes, length, image, damaged, fault);
  return picture_refuse(bytes, length, fault);
}
#endif
