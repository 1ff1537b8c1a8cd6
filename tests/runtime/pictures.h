/* Writes image files of every kind for the tests. */
#ifndef NETC_TESTS_PICTURES_H
#define NETC_TESTS_PICTURES_H
#include "../../runtime/data/picture.h"

/* A fresh folder, removed by nobody: under TMPDIR or /tmp. */
static const char *pictures_folder(void) {
  static char folder[200];
  snprintf(folder, sizeof folder, "%s/netc_data_XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  return mkdtemp(folder);
}

static void pictures_write(const char *path, const void *bytes, size_t length) {
  FILE *file = fopen(path, "wb");
  if (file) {
    fwrite(bytes, 1, length, file);
    fclose(file);
  }
}

/* samples: rows of channels * depth / 8 bytes per pixel (one bit each for depth 1). */
static void pictures_png(const char *path, int width, int height, int color, int depth, bool interlaced,
                         const uint8_t *samples, size_t stride) {
  FILE *file = fopen(path, "wb");
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(png);
  png_init_io(png, file);
  png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, depth, color,
               interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (color == PNG_COLOR_TYPE_PALETTE) {
    png_color palette[256];
    for (int i = 0; i < 256; i++)
      palette[i] = (png_color){(png_byte)i, (png_byte)(255 - i), (png_byte)(i / 2)};
    png_set_PLTE(png, info, palette, 256);
  }
  png_write_info(png, info);
  png_bytep *rows = malloc((size_t)height * sizeof *rows);
  for (int y = 0; y < height; y++) {
    rows[y] = malloc(stride);
    memcpy(rows[y], samples + (size_t)y * stride, stride);
  }
  png_write_image(png, rows);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  for (int y = 0; y < height; y++)
    free(rows[y]);
  free(rows);
  fclose(file);
}

/* pixels [height][width][channels], channels 1, 3 or 4 (CMYK); orientation 0: no Exif segment. */
static void pictures_jpeg(const char *path, int width, int height, int channels, int orientation,
                          bool progressive, const uint8_t *pixels) {
  struct jpeg_compress_struct info;
  struct jpeg_error_mgr error;
  FILE *file = fopen(path, "wb");
  info.err = jpeg_std_error(&error);
  jpeg_create_compress(&info);
  jpeg_stdio_dest(&info, file);
  info.image_width = (JDIMENSION)width;
  info.image_height = (JDIMENSION)height;
  info.input_components = channels;
  info.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&info);
  if (channels == 4)
    jpeg_set_colorspace(&info, JCS_YCCK);
  jpeg_set_quality(&info, 100, TRUE);
  for (int i = 0; i < info.num_components; i++)
    info.comp_info[i].h_samp_factor = info.comp_info[i].v_samp_factor = 1;
  if (progressive)
    jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  if (orientation) {
    uint8_t exif[] = {'E', 'x', 'i', 'f', 0,    0, 'M', 'M', 0, 42, 0, 0, 0,
                      8,   0,   1,   1,   0x12, 0, 3,   0,   0, 0,  1, 0, (uint8_t)orientation,
                      0,   0,   0,   0,   0,    0};
    jpeg_write_marker(&info, JPEG_APP0 + 1, exif, sizeof exif);
  }
  for (int y = 0; y < height; y++) {
    uint8_t row[4096];
    JSAMPROW rows[1] = {row};
    memcpy(row, pixels + (size_t)y * (size_t)(width * channels), (size_t)(width * channels));
    jpeg_write_scanlines(&info, rows, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  fclose(file);
}

/* A smooth test picture that JPEG keeps well: [height][width][channels]. */
static void pictures_paint(uint8_t *pixels, int width, int height, int channels, int seed) {
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < channels; c++)
        *pixels++ = (uint8_t)((x * 7 + y * (3 + 2 * c) + seed * 31) % 220 + 10);
}
#endif
