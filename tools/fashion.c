/* Folders of clothing images from Debian's package dataset-fashion-mnist, for the demo.
 *
 *   fashion [--from DIR] --classes A,B,C --train N --test M [--size S] [--channels 1|3] OUT
 *
 * writes OUT/train/<class>/ and OUT/test/<class>/ with N and M images in all, spread evenly over the classes,
 * taken from the training and the test half of the data set in its own order.  The 28x28 originals are scaled
 * up to SxS (bilinear); files alternate between PNG and JPEG.  Exit codes: 0 done, 1 input wrong, 2 command
 * line wrong. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

enum { SIDE = 28, CLASSES = 10 };

static const char *const class_names[CLASSES] = {"tshirt", "trouser", "pullover", "dress", "coat",
                                                 "sandal", "shirt",   "sneaker",  "bag",   "boot"};

typedef struct Options {
  const char *from, *out;
  int class_of[CLASSES], class_count; /* the chosen ones */
  int train, test, size, channels;
} Options;

static void die(const char *path, const char *reason) {
  fprintf(stderr, "fashion: %s: %s\n", path, reason);
  exit(1);
}

/* One IDX file (LeCun's format), unpacked: big-endian magic with the rank in its last byte, sizes, then
 * bytes. */
static unsigned char *read_idx(const char *folder, const char *name, unsigned rank, size_t *count) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  gzFile file = gzopen(path, "rb");
  if (!file)
    die(path, "cannot be opened; is the package dataset-fashion-mnist installed?");
  unsigned char head[16];
  int head_bytes = (int)(4 + 4 * rank);
  if (gzread(file, head, (unsigned)head_bytes) != head_bytes || head[2] != 8 || head[3] != rank)
    die(path, "is not an IDX file of bytes");
  size_t sizes[3] = {1, 1, 1};
  for (unsigned d = 0; d < rank; d++) {
    const unsigned char *at = head + 4 + 4 * d;
    sizes[d] = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
  }
  size_t bytes = sizes[0] * sizes[1] * sizes[2];
  unsigned char *data = bytes < (size_t)1 << 30 ? malloc(bytes + 1) : NULL;
  if (!data || gzread(file, data, (unsigned)bytes) != (int)bytes)
    die(path, "is truncated");
  if (rank == 3 && (sizes[1] != SIDE || sizes[2] != SIDE))
    die(path, "does not hold 28x28 images");
  gzclose(file);
  *count = sizes[0];
  return data;
}

/* small [28][28] -> pixels [size][size][channels], bilinear with half-pixel centres, rounded. */
static void scale_up(const unsigned char *small, int size, int channels, unsigned char *pixels) {
  for (int y = 0; y < size; y++)
    for (int x = 0; x < size; x++) {
      double at_y = (y + 0.5) * SIDE / size - 0.5, at_x = (x + 0.5) * SIDE / size - 0.5;
      at_y = at_y < 0 ? 0 : at_y > SIDE - 1 ? SIDE - 1 : at_y;
      at_x = at_x < 0 ? 0 : at_x > SIDE - 1 ? SIDE - 1 : at_x;
      int top = (int)at_y, left = (int)at_x, bottom = top + (top < SIDE - 1),
          right = left + (left < SIDE - 1);
      double down = at_y - top, over = at_x - left;
      double upper = small[top * SIDE + left] * (1 - over) + small[top * SIDE + right] * over;
      double lower = small[bottom * SIDE + left] * (1 - over) + small[bottom * SIDE + right] * over;
      for (int c = 0; c < channels; c++)
        *pixels++ = (unsigned char)(upper * (1 - down) + lower * down + 0.5);
    }
}

static void write_png(const char *path, const unsigned char *pixels, int size, int channels) {
  png_image image = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)size,
                     .height = (png_uint_32)size,
                     .format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB};
  if (!png_image_write_to_file(&image, path, 0, pixels, 0, NULL))
    die(path, image.message);
}

static void write_jpeg(const char *path, const unsigned char *pixels, int size, int channels) {
  struct jpeg_compress_struct info;
  struct jpeg_error_mgr errors;
  FILE *file = fopen(path, "wb");
  if (!file)
    die(path, strerror(errno));
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  jpeg_stdio_dest(&info, file);
  info.image_width = info.image_height = (JDIMENSION)size;
  info.input_components = channels;
  info.in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 92, TRUE);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + (size_t)info.next_scanline * (size_t)(size * channels));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  if (fclose(file))
    die(path, strerror(errno));
}

static void make_folder(const char *path) {
  if (mkdir(path, 0777) && errno != EEXIST)
    die(path, strerror(errno));
}

/* One half of the data set: `total` images over the chosen classes, the first of each class. */
static void write_half(const Options *options, const char *half, const char *images_name,
                       const char *labels_name, int total) {
  size_t count, label_count;
  unsigned char *images = read_idx(options->from, images_name, 3, &count);
  unsigned char *labels = read_idx(options->from, labels_name, 1, &label_count);
  if (count != label_count)
    die(labels_name, "does not have a label per image");
  char folder[4096], path[4200];
  snprintf(folder, sizeof folder, "%s/%s", options->out, half);
  make_folder(folder);
  unsigned char *pixels = malloc((size_t)options->size * (size_t)options->size * (size_t)options->channels);
  if (!pixels)
    die(half, "out of memory");
  for (int k = 0; k < options->class_count; k++) {
    int wanted = total / options->class_count + (k < total % options->class_count), written = 0;
    const char *name = class_names[options->class_of[k]];
    snprintf(folder, sizeof folder, "%s/%s/%s", options->out, half, name);
    make_folder(folder);
    for (size_t i = 0; i < count && written < wanted; i++) {
      if (labels[i] != options->class_of[k])
        continue;
      bool jpeg = written % 2;
      scale_up(images + i * SIDE * SIDE, options->size, options->channels, pixels);
      snprintf(path, sizeof path, "%s/%s_%04d.%s", folder, name, written++, jpeg ? "jpg" : "png");
      if (jpeg)
        write_jpeg(path, pixels, options->size, options->channels);
      else
        write_png(path, pixels, options->size, options->channels);
    }
    if (written < wanted)
      die(name, "the data set has fewer images of this class than asked for");
  }
  free(pixels);
  free(images);
  free(labels);
}

static void usage(const char *reason) {
  fprintf(stderr,
          "fashion: %s\nusage: fashion [--from DIR] --classes A,B,... --train N --test M [--size S] "
          "[--channels 1|3] OUT\nclasses:",
          reason);
  for (int c = 0; c < CLASSES; c++)
    fprintf(stderr, " %s", class_names[c]);
  fprintf(stderr, "\n");
  exit(2);
}

static void parse_classes(Options *options, char *list) {
  for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
    int found = -1;
    for (int c = 0; c < CLASSES; c++)
      found = strcmp(class_names[c], name) ? found : c;
    if (found < 0 || options->class_count == CLASSES)
      usage("unknown class");
    options->class_of[options->class_count++] = found;
  }
}

static int parse_number(const char *text, int lowest, int highest) {
  char *end;
  long number = strtol(text, &end, 10);
  if (*end || end == text || number < lowest || number > highest)
    usage("a number is out of range");
  return (int)number;
}

int main(int argc, char **argv) {
  Options options = {.from = "/usr/share/datasets/fashion-mnist", .size = 100, .channels = 1};
  for (int i = 1; i < argc; i++) {
    bool value = i + 1 < argc;
    if (value && !strcmp(argv[i], "--from"))
      options.from = argv[++i];
    else if (value && !strcmp(argv[i], "--classes"))
      parse_classes(&options, argv[++i]);
    else if (value && !strcmp(argv[i], "--train"))
      options.train = parse_number(argv[++i], 0, 60000);
    else if (value && !strcmp(argv[i], "--test"))
      options.test = parse_number(argv[++i], 0, 10000);
    else if (value && !strcmp(argv[i], "--size"))
      options.size = parse_number(argv[++i], 1, 1024);
    else if (value && !strcmp(argv[i], "--channels"))
      options.channels = parse_number(argv[++i], 1, 3) == 1 ? 1 : 3;
    else if (argv[i][0] == '-' || options.out)
      usage(argv[i]);
    else
      options.out = argv[i];
  }
  if (!options.out || !options.class_count || options.train + options.test == 0)
    usage("OUT, --classes and --train or --test are needed");
  make_folder(options.out);
  if (options.train)
    write_half(&options, "train", "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", options.train);
  if (options.test)
    write_half(&options, "test", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", options.test);
  return 0;
}
