/* Writes what e2e.sh trains on and stumbles over: make_data OUT.
 *
 *   OUT/train, OUT/test        class folders ape, bee, cat of PNG and JPEG images of several sizes, gray and
 * RGB OUT/bytes.h5, OUT/floats.h5  the kind of data HDF5 files hold OUT/bad/...                what must be
 * refused or skipped */
#include "pictures.h"
#include "../../runtime/random.h"
#include "../../runtime/weights/h5.h"

enum { PER_CLASS = 30, CLASSES = 3 };

static const char *const classes[CLASSES] = {"ape", "bee", "cat"};

/* A stripe pattern per class under noise: 8-bit gray. */
static void draw(int label, int number, int width, int height, uint8_t *pixels) {
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++) {
      int at = label == 0 ? x * 255 / width : label == 1 ? y * 255 / height : 255 - x * 255 / width;
      int noise = (int)(random_bits(7, (uint64_t)(label * 1000 + number), (uint64_t)(y * width + x)) % 80);
      pixels[y * width + x] = (uint8_t)(at * 175 / 255 + noise);
    }
}

static void widen(const uint8_t *gray, int count, uint8_t *rgb) {
  for (int i = 0; i < 3 * count; i++)
    rgb[i] = gray[i / 3];
}

static char *in_folder(const char *folder, const char *name) {
  char *path = system_join(folder, name);
  return path;
}

static char *make_folder(const char *parent, const char *name) {
  char *path = in_folder(parent, name);
  mkdir(path, 0777);
  return path;
}

static void write_image(const char *folder, int label, int number) {
  static uint8_t gray[32 * 32], rgb[3 * 32 * 32];
  int width = 8 + number % 5, height = 9 + number % 4;
  char name[32];
  bool color = number % 3 == 0, jpeg = number % 2;
  draw(label, number, width, height, gray);
  widen(gray, width * height, rgb);
  snprintf(name, sizeof name, "%03d.%s", number, jpeg ? "jpg" : "png");
  char *path = in_folder(folder, name);
  if (jpeg)
    pictures_jpeg(path, width, height, color ? 3 : 1, 0, false, color ? rgb : gray);
  else
    pictures_png(path, width, height, color ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, 8, false,
                 color ? rgb : gray, (size_t)width * (color ? 3 : 1));
  free(path);
}

static void write_classes(const char *out, const char *name, int count, int from, int first_number) {
  char *folder = make_folder(out, name);
  for (int c = 0; c < count; c++) {
    char *own = make_folder(folder, classes[c]);
    for (int i = 0; i < from; i++)
      write_image(own, c, first_number + i);
    free(own);
  }
  free(folder);
}

static void write_text(const char *folder, const char *name, const char *text, size_t length) {
  char *path = in_folder(folder, name);
  pictures_write(path, text, length);
  free(path);
}

/* x of the given type and rank, y as class numbers or (kind 'f') as floats [n][columns]. */
static void write_table(const char *folder, const char *name, hid_t x_type, int rank, const hsize_t *dim,
                        char y_kind, int columns, int y_count) {
  char *path = in_folder(folder, name);
  size_t row = 1;
  for (int d = 1; d < rank; d++)
    row *= dim[d];
  uint8_t *bytes = system_allocate((size_t)dim[0] * row);
  float *floats = system_allocate((size_t)dim[0] * row * sizeof *floats),
        *y = system_allocate((size_t)y_count * 8 * sizeof *y);
  int64_t *numbers = system_allocate((size_t)y_count * sizeof *numbers);
  for (size_t i = 0; i < (size_t)dim[0]; i++) {
    draw((int)(i % CLASSES), (int)i, rank > 2 ? (int)dim[2] : (int)row, rank > 2 ? (int)dim[1] : 1,
         bytes + i * row);
    for (size_t k = 0; k < row; k++)
      floats[i * row + k] = bytes[i * row + k];
  }
  for (int i = 0; i < y_count; i++) {
    numbers[i] = i % CLASSES;
    if (i % CLASSES < columns)
      y[i * columns + i % CLASSES] = 1;
  }
  hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  bool is_byte = H5Tget_size(x_type) == 1;
  h5_write_dataset(file, "x", x_type, is_byte ? H5T_NATIVE_UINT8 : H5T_NATIVE_FLOAT, rank, dim,
                   is_byte ? (void *)bytes : (void *)floats);
  hsize_t y_dim[2] = {(hsize_t)y_count, (hsize_t)columns};
  if (y_kind == 'i')
    h5_write_dataset(file, "y", H5T_STD_I64LE, H5T_NATIVE_INT64, 1, y_dim, numbers);
  else if (y_kind == 'f')
    h5_write_floats(file, "y", 2, y_dim, y);
  H5Fclose(file);
  free(bytes);
  free(floats);
  free(y);
  free(numbers);
  free(path);
}

static void write_bad(const char *out) {
  char *bad = make_folder(out, "bad");
  /* a class folder without images */
  write_classes(bad, "empty_class", 3, 4, 0);
  char *folder = make_folder(bad, "empty_class"), *own = make_folder(folder, "dog");
  free(own);
  free(folder);
  write_classes(bad, "one_class", 1, 4, 0);
  write_classes(bad, "two", 2, 8, 0);
  write_classes(bad, "some_bad", 3, 8, 0);
  folder = in_folder(bad, "some_bad/ape");
  write_text(folder, "text.png", "this is no image\n", 17);
  write_text(folder, "empty.jpg", "", 0);
  size_t length;
  Fault fault;
  char *whole = in_folder(folder, "001.jpg");
  unsigned char *bytes = system_read_file(whole, &length, &fault);
  write_text(folder, "truncated.jpg", (const char *)bytes, length / 2);
  free(bytes);
  free(whole);
  whole = in_folder(folder, "000.png");
  bytes = system_read_file(whole, &length, &fault);
  write_text(folder, "truncated.png", (const char *)bytes, length - 20);
  memset(bytes + 16, 0, 4); /* width 0; the checksum is wrong as well */
  write_text(folder, "nothing.png", (const char *)bytes, length);
  free(bytes);
  free(whole);
  free(folder);
  free(make_folder(bad, "no_class"));
  const hsize_t shape[4] = {30, 8, 6, 1}, wrong[4] = {30, 7, 6, 1}, flat[2] = {30, 48};
  write_table(bad, "no_y.h5", H5T_STD_U8LE, 4, shape, 0, 1, 30);
  write_table(bad, "short_y.h5", H5T_STD_U8LE, 4, shape, 'i', 1, 20);
  write_table(bad, "wide_y.h5", H5T_STD_U8LE, 4, shape, 'f', 5, 30);
  write_table(bad, "wrong_floats.h5", H5T_IEEE_F32LE, 4, wrong, 'i', 1, 30);
  write_table(bad, "wrong_type.h5", H5T_STD_I32LE, 2, flat, 'i', 1, 30);
  write_text(bad, "text.h5", "not HDF5\n", 9);
  char *path = in_folder(bad, "not_finite.h5");
  float *x = system_allocate(30 * 48 * sizeof *x);
  int64_t y[30] = {0};
  float weights[30] = {[20] = INFINITY};
  hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  h5_write_floats(file, "x", 4, shape, x);
  h5_write_dataset(file, "y", H5T_STD_I64LE, H5T_NATIVE_INT64, 1, shape, y);
  h5_write_floats(file, "sample_weight", 1, shape, weights);
  H5Fclose(file);
  free(x);
  free(path);
  free(bad);
}

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  mkdir(argv[1], 0777);
  write_classes(argv[1], "train", CLASSES, PER_CLASS, 0);
  write_classes(argv[1], "test", CLASSES, 10, 500);
  const hsize_t bytes[4] = {60, 8, 6, 1}, bigger[4] = {60, 16, 13, 1};
  write_table(argv[1], "bytes.h5", H5T_STD_U8LE, 4, bytes, 'i', 1, 60);
  write_table(argv[1], "bigger.h5", H5T_STD_U8LE, 4, bigger, 'f', 3, 60);
  write_table(argv[1], "floats.h5", H5T_IEEE_F32LE, 4, bytes, 'f', 3, 60);
  write_bad(argv[1]);
  return 0;
}
