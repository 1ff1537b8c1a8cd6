/* What is resized, and the shape of a function that does it: model.h names one per network. */
#ifndef NETC_DATA_RESIZE_SOURCE_H
#define NETC_DATA_RESIZE_SOURCE_H
#include <stddef.h>
#include <stdint.h>

/* A part of an 8-bit image.  Most methods know nothing but the part; Pillow's look at pixels around it. */
typedef struct ResizeSource {
  const uint8_t *pixels;        /* [height][width][channels] */
  int height, width, channels;  /* of the image */
  int top, left, rows, columns; /* the part */
} ResizeSource;

/* The part to y [height][width][source->channels], values from 0 to 255.  `scratch`: resize_bytes, aligned
 * to 4. */
typedef void ResizeFunction(const ResizeSource *source, int height, int width, void *scratch, float *y);
#endif
