/* Images, datasets, splits and the loader. */
#include <criterion/criterion.h>

#include "../../runtime/data/loader.h"
#include "../../runtime/data/open.h"
#include "pictures.h"

static char *path_in(const char *folder, const char *name) {
  static char paths[8][512];
  static int turn;
  char *path = paths[turn++ & 7];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static bool read_picture(const char *path, Image *image, bool *damaged, Fault *fault) {
  size_t length;
  unsigned char *bytes = system_read_file(path, &length, fault);
  if (!bytes)
    return false;
  bool good = picture_check(bytes, length, fault) && picture_decode(bytes, length, image, damaged, fault);
  free(bytes);
  return good;
}

static void expect_picture(const char *path, int width, int height, int channels, const uint8_t *right,
                           int tolerance) {
  Image image = {0};
  Fault fault = {""};
  bool damaged = false;
  cr_assert(read_picture(path, &image, &damaged, &fault), "%s: %s", path, fault.text);
  cr_assert(image.width == width && image.height == height && image.channels == channels,
            "%s is %d x %d x %d", path, image.width, image.height, image.channels);
  cr_expect(!damaged);
  for (int i = 0; i < width * height * channels; i++)
    cr_assert(abs(image.pixels[i] - right[i]) <= tolerance, "%s: pixel %d is %d, not %d", path, i,
              image.pixels[i], right[i]);
  image_free(&image);
}

enum { W = 19, H = 13 };

Test(image, every_kind_of_png) {
  const char *folder = pictures_folder();
  uint8_t samples[W * H * 8], right[W * H * 3];
  for (int interlaced = 0; interlaced < 2; interlaced++) {
    char *path = path_in(folder, "x.png");
    pictures_paint(samples, W, H, 1, 1);
    pictures_png(path, W, H, PNG_COLOR_TYPE_GRAY, 8, interlaced, samples, W);
    expect_picture(path, W, H, 1, samples, 0);
    pictures_paint(samples, W, H, 3, 2);
    pictures_png(path, W, H, PNG_COLOR_TYPE_RGB, 8, interlaced, samples, W * 3);
    expect_picture(path, W, H, 3, samples, 0);
    pictures_paint(samples, W, H, 4, 3);
    pictures_png(path, W, H, PNG_COLOR_TYPE_RGB_ALPHA, 8, interlaced, samples, W * 4);
    for (int i = 0; i < W * H; i++)
      memcpy(right + 3 * i, samples + 4 * i, 3);
    expect_picture(path, W, H, 3, right, 0);
    pictures_paint(samples, W, H, 2, 4);
    for (int i = 0; i < W * H; i++)
      right[i] = samples[2 * i];
    pictures_png(path, W, H, PNG_COLOR_TYPE_GRAY_ALPHA, 8, interlaced, samples, W * 2);
    expect_picture(path, W, H, 1, right, 0);
    pictures_png(path, W, H, PNG_COLOR_TYPE_GRAY, 16, interlaced, samples,
                 W * 2); /* the upper byte comes first */
    expect_picture(path, W, H, 1, right, 0);
    pictures_paint(samples, W, H, 6, 5);
    for (int i = 0; i < W * H * 3; i++)
      right[i] = samples[2 * i];
    pictures_png(path, W, H, PNG_COLOR_TYPE_RGB, 16, interlaced, samples, W * 6);
    expect_picture(path, W, H, 3, right, 0);
    pictures_paint(samples, W, H, 1, 6);
    for (int i = 0; i < W * H; i++) {
      right[3 * i] = samples[i];
      right[3 * i + 1] = (uint8_t)(255 - samples[i]);
      right[3 * i + 2] = samples[i] / 2;
    }
    pictures_png(path, W, H, PNG_COLOR_TYPE_PALETTE, 8, interlaced, samples, W);
    expect_picture(path, W, H, 3, right, 0);
    pictures_paint(samples, 3, H, 1, 7); /* 19 pixels are 3 bytes of bits */
    for (int y = 0; y < H; y++)
      for (int x = 0; x < W; x++)
        right[y * W + x] = samples[y * 3 + x / 8] >> (7 - x % 8) & 1 ? 255 : 0;
    pictures_png(path, W, H, PNG_COLOR_TYPE_GRAY, 1, interlaced, samples, 3);
    expect_picture(path, W, H, 1, right, 0);
  }
}

Test(image, every_kind_of_jpeg) {
  const char *folder = pictures_folder();
  char *path = path_in(folder, "x.jpg");
  uint8_t pixels[W * H * 4], right[W * H * 3];
  for (int progressive = 0; progressive < 2; progressive++) {
    pictures_paint(pixels, W, H, 1, 1);
    pictures_jpeg(path, W, H, 1, 0, progressive, pixels);
    expect_picture(path, W, H, 1, pixels, 3);
    pictures_paint(pixels, W, H, 3, 2);
    pictures_jpeg(path, W, H, 3, 0, progressive, pixels);
    expect_picture(path, W, H, 3, pixels, 4);
    /* Adobe's CMYK: 255 is no ink. */
    pictures_paint(pixels, W, H, 4, 3);
    for (int i = 0; i < W * H; i++)
      for (int c = 0; c < 3; c++)
        right[3 * i + c] = (uint8_t)(pixels[4 * i + c] * pixels[4 * i + 3] / 255);
    pictures_jpeg(path, W, H, 4, 0, progressive, pixels);
    expect_picture(path, W, H, 3, right, 6);
  }
}

/* Where the stored pixel (x, y) belongs, by the Exif standard: the names of the sides row 0 and column 0
 * show. */
Test(image, exif_orientation) {
  const char *folder = pictures_folder();
  char *path = path_in(folder, "x.jpg");
  uint8_t pixels[W * H], right[W * H];
  pictures_paint(pixels, W, H, 1, 1);
  for (int orientation = 1; orientation <= 8; orientation++) {
    bool turned = orientation > 4;
    int width = turned ? H : W;
    for (int y = 0; y < H; y++)
      for (int x = 0; x < W; x++) {
        int mx = W - 1 - x, my = H - 1 - y, at_x = 0, at_y = 0;
        switch (orientation) {
        case 1:
          at_x = x, at_y = y;
          break; /* top, left */
        case 2:
          at_x = mx, at_y = y;
          break; /* top, right */
        case 3:
          at_x = mx, at_y = my;
          break; /* bottom, right */
        case 4:
          at_x = x, at_y = my;
          break; /* bottom, left */
        case 5:
          at_x = y, at_y = x;
          break; /* left, top */
        case 6:
          at_x = my, at_y = x;
          break; /* right, top */
        case 7:
          at_x = my, at_y = mx;
          break; /* right, bottom */
        case 8:
          at_x = y, at_y = mx;
          break; /* left, bottom */
        }
        right[at_y * width + at_x] = pixels[y * W + x];
      }
    pictures_jpeg(path, W, H, 1, orientation, false, pixels);
    expect_picture(path, width, turned ? W : H, 1, right, 3);
  }
}

/* Cut anywhere, a file is refused; with any byte changed it is refused or decoded, and nothing else happens.
 */
Test(image, truncated_and_damaged_files) {
  const char *folder = pictures_folder();
  uint8_t pixels[W * H * 3];
  pictures_paint(pixels, W, H, 3, 1);
  pictures_png(path_in(folder, "a.png"), W, H, PNG_COLOR_TYPE_RGB, 8, false, pixels, W * 3);
  pictures_jpeg(path_in(folder, "b.jpg"), W, H, 3, 6, false, pixels);
  pictures_jpeg(path_in(folder, "c.jpg"), W, H, 3, 0, true, pixels);
  static const char *const names[] = {"a.png", "b.jpg", "c.jpg"};
  for (int k = 0; k < 3; k++) {
    size_t length;
    Fault fault;
    unsigned char *bytes = system_read_file(path_in(folder, names[k]), &length, &fault);
    cr_assert(picture_check(bytes, length, &fault), "%s: %s", names[k], fault.text);
    for (size_t cut = 0; cut < length; cut++) {
      unsigned char *part = malloc(cut ? cut : 1); /* its own block: reading past the end is seen */
      memcpy(part, bytes, cut);
      cr_assert(!picture_check(part, cut, &fault), "%s cut to %zu bytes was accepted", names[k], cut);
      cr_assert_gt(strlen(fault.text), 0);
      free(part);
    }
    for (size_t at = 0; at < length; at++) {
      Image image = {0};
      bool damaged;
      bytes[at] ^= (unsigned char)(1 + at % 255);
      if (picture_check(bytes, length, &fault) && picture_decode(bytes, length, &image, &damaged, &fault))
        image_free(&image);
      if (k == 0) { /* every byte of a PNG file is under a checksum, the signature apart */
        cr_assert(!picture_check(bytes, length, &fault), "byte %zu", at);
      }
      bytes[at] ^= (unsigned char)(1 + at % 255);
    }
    free(bytes);
  }
}

Test(image, luma_as_pillow_rounds_it) {
  static const uint8_t colors[][4] = {{255, 0, 0, 76},      {0, 255, 0, 150}, {0, 0, 255, 29},
                                      {255, 255, 255, 255}, {1, 2, 3, 2},     {200, 100, 50, 124}};
  for (size_t i = 0; i < sizeof colors / sizeof *colors; i++)
    cr_expect_eq(pixel_luma(colors[i]), colors[i][3]);
}

/* Against a plain double-precision statement of the rule. */
Test(resize, bilinear_with_half_pixel_centres) {
  static const int sizes[][4] = {{13, 19, 5, 7}, {5, 7, 13, 19}, {1, 1, 4, 3},
                                 {8, 8, 8, 8},   {3, 50, 9, 4},  {2, 3, 1, 1}};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    int in_h = sizes[k][0], in_w = sizes[k][1], out_h = sizes[k][2], out_w = sizes[k][3];
    uint8_t x[1000];
    float y[1000];
    for (int i = 0; i < in_h * in_w * 3; i++)
      x[i] = (uint8_t)(i * 37 % 251);
    resize_bilinear(&(ResizeSource){x, in_h, in_w, 3, 0, 0, in_h, in_w}, out_h, out_w, NULL, y);
    for (int p = 0; p < out_h; p++)
      for (int q = 0; q < out_w; q++)
        for (int c = 0; c < 3; c++) {
          double at_y = (p + .5) * in_h / out_h - .5, at_x = (q + .5) * in_w / out_w - .5, sum = 0;
          for (int r = 0; r < 2; r++)
            for (int s = 0; s < 2; s++) {
              int row = (int)floor(at_y) + r, column = (int)floor(at_x) + s;
              double weight = (r ? at_y - floor(at_y) : 1 - at_y + floor(at_y)) *
                              (s ? at_x - floor(at_x) : 1 - at_x + floor(at_x));
              row = row < 0 ? 0 : row >= in_h ? in_h - 1 : row;
              column = column < 0 ? 0 : column >= in_w ? in_w - 1 : column;
              sum += weight * x[(row * in_w + column) * 3 + c];
            }
          cr_assert_float_eq(y[(p * out_w + q) * 3 + c], sum, 2e-4);
        }
  }
}

/* ---- datasets ---- */

static ModelInfo network(int height, int width, int channels, int classes) {
  return (ModelInfo){.name = "test",
                     .height = height,
                     .width = width,
                     .channels = channels,
                     .input_floats = (size_t)(height * width * channels),
                     .output_floats = (size_t)classes,
                     .target_floats = (size_t)classes,
                     .target = MODEL_TARGET_ONE_HOT};
}

/* Three classes of `each` small pictures, gray and colour, PNG and JPEG. */
static const char *make_classes(int each) {
  const char *folder = pictures_folder();
  static const char *const names[] = {"shoe", "bag", "coat"};
  for (int c = 0; c < 3; c++) {
    char name[64];
    mkdir(path_in(folder, names[c]), 0777);
    for (int i = 0; i < each; i++) {
      uint8_t pixels[W * H * 3];
      int channels = i % 2 ? 3 : 1;
      pictures_paint(pixels, W, H, channels, 10 * c + i);
      snprintf(name, sizeof name, "%s/%02d.%s", names[c], i, i % 3 ? "png" : "JPG");
      if (i % 3)
        pictures_png(path_in(folder, name), W, H, channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, 8,
                     false, pixels, (size_t)(W * channels));
      else
        pictures_jpeg(path_in(folder, name), W, H, channels, 0, false, pixels);
    }
  }
  return folder;
}

Test(dataset, class_folders_are_sorted_and_labelled) {
  const char *folder = make_classes(5);
  ModelInfo info = network(6, 8, 1, 3);
  Dataset dataset;
  Fault fault;
  float x[48], target[3];
  cr_assert(open_labelled(&dataset, &info, folder, NULL, 0, true, &fault), "%s", fault.text);
  cr_assert_eq(dataset.count, 15);
  cr_expect_str_eq(dataset.class_names[0], "bag");
  cr_expect_str_eq(dataset.class_names[2], "shoe");
  for (int64_t i = 0; i < 15; i++) {
    cr_expect_eq(dataset.items[i].label, (int)(i / 5));
    cr_assert(dataset_read(&dataset, i, x, &fault), "%s", fault.text);
    dataset_target(&dataset, &info, i, target);
    for (int c = 0; c < 3; c++)
      cr_expect_eq(target[c], c == i / 5 ? 1 : 0);
  }
  info.target = MODEL_TARGET_INDEX;
  info.target_floats = 1;
  dataset_target(&dataset, &info, 14, target);
  cr_expect_eq(target[0], 2);
  dataset_free(&dataset);
}

/* Kept or decoded again, as bytes or as floats: the same numbers. */
Test(dataset, keeping_pixels_changes_nothing) {
  const char *folder = make_classes(4);
  for (int size = 0; size < 2; size++) {
    ModelInfo info = network(size ? 40 : 3, size ? 30 : 4, 3, 3);
    Dataset kept, fresh;
    Fault fault;
    float *a = malloc(info.input_floats * sizeof *a), *b = malloc(info.input_floats * sizeof *b);
    cr_assert(open_labelled(&kept, &info, folder, NULL, 0, true, &fault), "%s", fault.text);
    cr_assert(open_labelled(&fresh, &info, folder, NULL, 0, true, &fault), "%s", fault.text);
    cr_expect_gt(kept.kept_bytes, 0);
    for (int64_t i = 0; i < 12; i++) {
      free(fresh.items[i].kept);
      fresh.items[i].kept = NULL;
    }
    fresh.kept_limit = fresh.kept_bytes = 0;
    for (int64_t i = 0; i < 12; i++) {
      cr_assert(dataset_read(&kept, i, a, &fault) && dataset_read(&fresh, i, b, &fault));
      cr_assert(!memcmp(a, b, info.input_floats * sizeof *a));
      cr_assert_null(fresh.items[i].kept);
    }
    free(a);
    free(b);
    dataset_free(&kept);
    dataset_free(&fresh);
  }
}

static void expect_refused(const char *path, ModelInfo info, bool strict, const char *reason) {
  Dataset dataset;
  Fault fault = {""};
  bool good = open_labelled(&dataset, &info, path, NULL, 0, strict, &fault);
  cr_expect(!good, "%s was accepted", path);
  cr_expect(strstr(fault.text, reason), "expected `%s` in: %s", reason, fault.text);
  dataset_free(&dataset);
}

Test(dataset, bad_images_are_skipped_or_refused) {
  const char *folder = make_classes(3);
  ModelInfo info = network(6, 8, 1, 3);
  Dataset dataset;
  Fault fault;
  size_t length;
  unsigned char *bytes = system_read_file(path_in(folder, "bag/00.JPG"), &length, &fault);
  pictures_write(path_in(folder, "bag/cut.jpg"), bytes, length / 2);
  pictures_write(path_in(folder, "bag/text.png"), "hello, world", 12);
  pictures_write(path_in(folder, "bag/old.gif"), "GIF89a......", 12);
  pictures_write(path_in(folder, "bag/empty.png"), "", 0);
  pictures_write(path_in(folder, "bag/notes.txt"), "hello", 5);
  free(bytes);
  cr_assert(open_labelled(&dataset, &info, folder, NULL, 0, false, &fault), "%s", fault.text);
  cr_expect_eq(dataset.count, 9);
  cr_expect_eq(dataset.skipped, 4);
  dataset_free(&dataset);
  expect_refused(folder, info, true, "bag/cut.jpg: is a truncated JPEG");
  remove(path_in(folder, "coat/00.JPG"));
  remove(path_in(folder, "coat/01.png"));
  pictures_write(path_in(folder, "coat/02.png"), "not an image", 12);
  expect_refused(folder, info, false, "coat: holds no image that can be read");
  remove(path_in(folder, "coat/02.png"));
  expect_refused(folder, info, false, "coat: class folder holds no images");
}

Test(dataset, folders_that_do_not_fit) {
  const char *folder = make_classes(2);
  expect_refused(folder, network(6, 8, 1, 4), false,
                 "has 3 class folders, the network's head tells 4 classes apart");
  expect_refused(path_in(folder, "bag"), network(6, 8, 1, 3), false, "no class folders");
  expect_refused(path_in(folder, "none"), network(6, 8, 1, 3), false, "No such file");
  expect_refused(path_in(folder, "bag/00.JPG"), network(6, 8, 1, 3), false,
                 "neither a folder nor an HDF5 file");
  ModelInfo flat = network(0, 0, 10, 3);
  flat.input_floats = 10;
  expect_refused(folder, flat, false, "not images");
  /* Names a network was trained on decide the numbers of classes. */
  char *const known[] = {"shoe", "coat", "bag"}, *const others[] = {"shoe", "coat", "hat"};
  ModelInfo info = network(6, 8, 1, 3);
  Dataset dataset;
  Fault fault;
  cr_assert(open_labelled(&dataset, &info, folder, known, 3, true, &fault), "%s", fault.text);
  cr_expect_eq(dataset.items[0].label, 2);
  dataset_free(&dataset);
  cr_expect(!open_labelled(&dataset, &info, folder, others, 3, true, &fault));
  cr_expect(strstr(fault.text, "class folder `bag`"), "%s", fault.text);
  dataset_free(&dataset);
}

static char *write_table(const char *name, int rank, const hsize_t *dim, hid_t x_type, const void *x,
                         int y_rank, const hsize_t *y_dim, hid_t y_type, const void *y) {
  char *path = path_in(pictures_folder(), name);
  hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  if (x)
    h5_write_dataset(file, "x", x_type, x_type, rank, dim, x);
  if (y)
    h5_write_dataset(file, "y", y_type, y_type, y_rank, y_dim, y);
  H5Fclose(file);
  return path;
}

Test(dataset, hdf5_files) {
  ModelInfo info = network(H, W, 1, 3);
  hsize_t dim[4] = {4, H, W, 3}, wide[2] = {4, 3}, gray[4] = {4, H, W, 1};
  uint8_t pixels[4 * H * W * 3];
  float floats[4 * H * W * 3], y_floats[12] = {0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0}, x[H * W], target[3];
  int32_t y[4] = {2, 0, 1, 2}, bad[4] = {0, 1, 3, 0};
  Dataset dataset;
  Fault fault;
  h5_quiet();
  for (int i = 0; i < 4; i++)
    pictures_paint(pixels + i * H * W * 3, W, H, 3, i);
  for (int i = 0; i < 4 * H * W * 3; i++)
    floats[i] = (float)i * .5f - 3;
  char *path = write_table("a.h5", 4, dim, H5T_NATIVE_UINT8, pixels, 1, dim, H5T_NATIVE_INT32, y);
  cr_assert(open_labelled(&dataset, &info, path, NULL, 0, false, &fault), "%s", fault.text);
  cr_assert_eq(dataset.count, 4);
  cr_expect_eq(dataset.items[3].label, 2);
  cr_assert(dataset_read(&dataset, 2, x, &fault));
  for (int i = 0; i < H * W; i++)
    cr_assert_eq(x[i], (float)pixel_luma(pixels + (2 * H * W + i) * 3));
  dataset_free(&dataset);
  path = write_table("b.h5", 4, gray, H5T_NATIVE_FLOAT, floats, 2, wide, H5T_NATIVE_FLOAT, y_floats);
  cr_assert(open_labelled(&dataset, &info, path, NULL, 0, false, &fault), "%s", fault.text);
  cr_assert(dataset_read(&dataset, 3, x, &fault));
  cr_expect(!memcmp(x, floats + 3 * H * W, sizeof x));
  dataset_target(&dataset, &info, 2, target);
  cr_expect(!memcmp(target, y_floats + 6, sizeof target));
  cr_expect_eq(dataset.items[0].label, 1);
  cr_expect_neq(dataset.items[0].hash, dataset.items[1].hash);
  dataset_free(&dataset);

  expect_refused(write_table("c.h5", 4, dim, H5T_NATIVE_FLOAT, floats, 1, dim, H5T_NATIVE_INT32, NULL), info,
                 false, "wanted is (N, 13, 19, 1)");
  expect_refused(write_table("d.h5", 4, gray, H5T_NATIVE_FLOAT, floats, 1, gray, H5T_NATIVE_INT32, NULL),
                 info, false, "has no dataset y");
  expect_refused(write_table("e.h5", 4, gray, H5T_NATIVE_FLOAT, NULL, 1, gray, H5T_NATIVE_INT32, y), info,
                 false, "has no dataset x");
  expect_refused(write_table("f.h5", 4, gray, H5T_NATIVE_FLOAT, floats, 1, gray, H5T_NATIVE_INT32, bad), info,
                 false, "y[2] is class 3");
  hsize_t three = 3;
  expect_refused(write_table("g.h5", 4, gray, H5T_NATIVE_FLOAT, floats, 1, &three, H5T_NATIVE_INT32, y), info,
                 false, "dataset y has shape (3)");
  expect_refused(write_table("h.h5", 4, gray, H5T_NATIVE_INT32, floats, 1, gray, H5T_NATIVE_INT32, y), info,
                 false, "must be uint8");
  hsize_t two[2] = {4, 2};
  expect_refused(write_table("i.h5", 4, gray, H5T_NATIVE_FLOAT, floats, 2, two, H5T_NATIVE_FLOAT, y_floats),
                 info, false, "dataset y has 2 floats per image");
  hsize_t empty[4] = {0, H, W, 1};
  expect_refused(write_table("j.h5", 4, empty, H5T_NATIVE_FLOAT, floats, 1, empty, H5T_NATIVE_INT32, y), info,
                 false, "holds no images");
  path = path_in(pictures_folder(), "k.h5");
  pictures_write(path, "\x89HDF\r\n\x1a\n and then nothing", 25);
  expect_refused(path, info, false, "damaged or truncated HDF5");
}

/* Keras's preprocess_input of the mode "caffe", by hand. */
Test(dataset, eight_bit_pixels_are_preprocessed_floats_are_not) {
  ModelInfo info = network(H, W, 3, 3);
  info.preprocess = (ModelPreprocess){"caffe", true, {1, 1, 1, 1}, {-103.939f, -116.779f, -123.68f, 0}};
  hsize_t dim[4] = {1, H, W, 3};
  uint8_t pixels[H * W * 3];
  float floats[H * W * 3], x[H * W * 3];
  int32_t y = 0;
  Dataset dataset;
  Fault fault;
  pictures_paint(pixels, W, H, 3, 1);
  for (int i = 0; i < H * W * 3; i++)
    floats[i] = (float)i;
  char *path = write_table("a.h5", 4, dim, H5T_NATIVE_UINT8, pixels, 1, dim, H5T_NATIVE_INT32, &y);
  cr_assert(open_labelled(&dataset, &info, path, NULL, 0, false, &fault), "%s", fault.text);
  cr_assert(dataset_read(&dataset, 0, x, &fault));
  for (int i = 0; i < H * W; i++) {
    cr_assert_eq(x[3 * i], (float)pixels[3 * i + 2] - 103.939f);
    cr_assert_eq(x[3 * i + 1], (float)pixels[3 * i + 1] - 116.779f);
    cr_assert_eq(x[3 * i + 2], (float)pixels[3 * i] - 123.68f);
  }
  dataset_free(&dataset);
  path = write_table("b.h5", 4, dim, H5T_NATIVE_FLOAT, floats, 1, dim, H5T_NATIVE_INT32, &y);
  cr_assert(open_labelled(&dataset, &info, path, NULL, 0, false, &fault), "%s", fault.text);
  cr_assert(dataset_read(&dataset, 0, x, &fault));
  cr_expect(!memcmp(x, floats, sizeof x));
  dataset_free(&dataset);
}

Test(split, the_last_part_is_held_back) {
  ModelInfo info = network(H, W, 1, 3);
  hsize_t count = 22, dim[4] = {22, H, W, 1};
  static float x[22 * H * W];
  int32_t y[22];
  Dataset dataset;
  OpenSplit split;
  Fault fault;
  for (int i = 0; i < 22; i++)
    y[i] = i / 8;
  char *path = write_table("a.h5", 4, dim, H5T_NATIVE_FLOAT, x, 1, &count, H5T_NATIVE_INT32, y);
  cr_assert(open_labelled(&dataset, &info, path, NULL, 0, false, &fault), "%s", fault.text);
  open_split(&dataset, .3, false, true, 1, &split); /* an array is not shuffled: Keras takes its end */
  cr_assert_eq(split.train_count, 15);
  cr_assert_eq(split.validation_count, 7);
  for (int i = 0; i < 15; i++)
    cr_expect_eq(split.train[i], i);
  open_split_free(&split);
  open_split(&dataset, .25, true, true, 1, &split);
  int held[3] = {0};
  for (int64_t i = 0; i < split.validation_count; i++)
    held[dataset.items[split.validation[i]].label]++;
  cr_expect(held[0] == 2 && held[1] == 2 && held[2] == 2, "%d %d %d", held[0], held[1], held[2]);
  open_split_free(&split);
  dataset.shuffled_split = true; /* as a folder */
  OpenSplit again, other;
  open_split(&dataset, .3, false, true, 1, &split);
  open_split(&dataset, .3, false, true, 1, &again);
  open_split(&dataset, .3, false, true, 2, &other);
  cr_expect(!memcmp(split.train, again.train, 15 * sizeof *split.train));
  cr_expect(memcmp(split.train, other.train, 15 * sizeof *split.train));
  bool seen[22] = {false};
  for (int i = 0; i < 15; i++)
    seen[split.train[i]] = true;
  for (int i = 0; i < 7; i++) {
    cr_assert(!seen[split.validation[i]]);
    seen[split.validation[i]] = true;
  }
  for (int i = 0; i < 22; i++)
    cr_assert(seen[i]);
  open_split_free(&split);
  open_split_free(&again);
  open_split_free(&other);
  open_split(&dataset, 0, false, true, 1, &split);
  cr_expect_eq(split.train_count, 22);
  open_split_free(&split);
  dataset_free(&dataset);
}

Test(loader, batches_come_in_the_order_given) {
  const char *folder = make_classes(7);
  ModelInfo info = network(6, 8, 3, 3);
  Dataset dataset;
  Loader loader;
  Fault fault = {""};
  float x[6 * 8 * 3];
  int64_t order[21];
  cr_assert(open_labelled(&dataset, &info, folder, NULL, 0, true, &fault), "%s", fault.text);
  for (int i = 0; i < 21; i++)
    order[i] = i * 8 % 21;
  for (int batch = 1; batch < 30; batch += 7) {
    int64_t at = 0;
    cr_assert(loader_start(&loader, &dataset, order, 21, batch, &fault));
    for (const LoaderBatch *made; (made = loader_next(&loader, &fault));)
      for (int i = 0; i < made->n; i++, at++) {
        cr_assert_eq(made->items[i], order[at]);
        cr_assert(dataset_read(&dataset, order[at], x, &fault));
        cr_assert(!memcmp(x, made->x + (size_t)i * info.input_floats, sizeof x));
      }
    cr_expect_eq(at, 21);
    cr_expect_str_empty(fault.text);
    loader_stop(&loader);
  }
  /* Stopped before its end. */
  cr_assert(loader_start(&loader, &dataset, order, 21, 2, &fault));
  cr_assert_not_null(loader_next(&loader, &fault));
  loader_stop(&loader);
  /* A file that goes bad while training. */
  for (int64_t i = 0; i < 21; i++) {
    free(dataset.items[i].kept);
    dataset.items[i].kept = NULL;
  }
  pictures_write(dataset.items[order[9]].path, "gone", 4);
  cr_assert(loader_start(&loader, &dataset, order, 21, 4, &fault));
  int batches = 0;
  while (loader_next(&loader, &fault))
    batches++;
  cr_expect_eq(batches, 2);
  cr_expect(strstr(fault.text, dataset.items[order[9]].path), "%s", fault.text);
  loader_stop(&loader);
  dataset_free(&dataset);
}
