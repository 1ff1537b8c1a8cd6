/* Every way of resizing under its name in the .net language, for preprocess.py. */
#include <stdlib.h>

#include "data/image.h"
#include "data/resize.h"

#define WAY(name)                                                                                            \
  { #name, resize_##name, false, false, false }
static const ModelResize ways[] = {{"bilinear", NULL, false, false, false},
                                   WAY(nearest),
                                   WAY(bicubic),
                                   WAY(area),
                                   WAY(lanczos3),
                                   WAY(lanczos5),
                                   WAY(gaussian),
                                   WAY(mitchellcubic),
                                   WAY(pillow_nearest),
                                   WAY(pillow_box),
                                   WAY(pillow_bilinear),
                                   WAY(pillow_hamming),
                                   WAY(pillow_bicubic),
                                   WAY(pillow_lanczos),
                                   WAY(opencv_nearest),
                                   WAY(opencv_linear),
                                   WAY(opencv_area),
                                   WAY(opencv_cubic)};

int resize_by_name(const char *name, int crop, int pad, const uint8_t *x, int height, int width, int channels,
                   int out_height, int out_width, float *y);
void gray_of(int opencv, const uint8_t *x, size_t count, uint8_t *y);

/* 0: done; 1: no such way. */
int resize_by_name(const char *name, int crop, int pad, const uint8_t *x, int height, int width, int channels,
                   int out_height, int out_width, float *y) {
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
    if (!strcmp(ways[i].method, name)) {
      ModelResize rule = {ways[i].method, ways[i].run, crop, pad, false};
      void *scratch = malloc(resize_image_bytes(&rule, height, width, channels, out_height, out_width) + 1);
      resize_image(&rule, x, height, width, channels, out_height, out_width, scratch, y);
      free(scratch);
      return 0;
    }
  return 1;
}

void gray_of(int opencv, const uint8_t *x, size_t count, uint8_t *y) {
  pixels_set_channels(x, count, 3, 1, opencv, y);
}
