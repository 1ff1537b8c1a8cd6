/* Random changes of images: exact cases, and properties of the draws. */
#include "kernel_test.h"
#include "kernels/augment.h"

enum { ROWS = 5, COLUMNS = 7, CHANNELS = 2, SIZE = ROWS * COLUMNS * CHANNELS };

static void numbered(float *x, int count) {
  for (int i = 0; i < count; i++)
    x[i] = (float)(i * 7 % 31);
}

static float at(const float *x, int row, int column, int channel) {
  return x[(row * COLUMNS + column) * CHANNELS + channel];
}

Test(augment, flip_mirrors_rows_and_columns) {
  float x[SIZE], y[SIZE];
  numbered(x, SIZE);
  augment_flip_image(ROWS, COLUMNS, CHANNELS, true, true, x, y);
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < COLUMNS; j++)
      for (int c = 0; c < CHANNELS; c++)
        cr_assert_eq(at(y, i, j, c), at(x, ROWS - 1 - i, COLUMNS - 1 - j, c));
}

Test(augment, indices_outside_follow_the_fill_mode) {
  /* d c b a | a b c d | d c b a, by hand for a row of four */
  static const int reflect[] = {3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0};
  static const int wrap[] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
  for (int i = -4; i < 8; i++) {
    cr_assert_eq(augment_index(i, 4, AUGMENT_REFLECT), reflect[i + 4]);
    cr_assert_eq(augment_index(i, 4, AUGMENT_WRAP), wrap[i + 4]);
    cr_assert_eq(augment_index(i, 4, AUGMENT_NEAREST), i < 0 ? 0 : i > 3 ? 3 : i);
    cr_assert_eq(augment_index(i, 4, AUGMENT_CONSTANT), i < 0 || i > 3 ? -1 : i);
  }
  cr_assert_eq(augment_index(-1000001, 1, AUGMENT_REFLECT), 0);
}

Test(augment, quarter_turn_moves_pixels_exactly) {
  enum { SIDE = 4 };
  float x[SIDE * SIDE], y[SIDE * SIDE], map[6];
  numbered(x, SIDE * SIDE);
  AugmentAffine affine = {
      .kind = AUGMENT_ROTATION, .fill = AUGMENT_CONSTANT, .fill_value = -1, .nearest = true};
  augment_affine_map(SIDE, SIDE, &affine, 0.25f, 0, map);
  augment_affine_image(SIDE, SIDE, 1, &affine, map, x, y);
  /* column' = -i + 3, row' = j */
  for (int i = 0; i < SIDE; i++)
    for (int j = 0; j < SIDE; j++)
      cr_assert_eq(y[i * SIDE + j], x[j * SIDE + (SIDE - 1 - i)]);
}

Test(augment, translation_moves_down_and_right) {
  float x[SIZE], y[SIZE], map[6];
  numbered(x, SIZE);
  AugmentAffine affine = {.kind = AUGMENT_TRANSLATION, .fill = AUGMENT_CONSTANT, .fill_value = 9};
  augment_affine_map(ROWS, COLUMNS, &affine, 1.0f / ROWS, 2.0f / COLUMNS, map);
  augment_affine_image(ROWS, COLUMNS, CHANNELS, &affine, map, x, y);
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < COLUMNS; j++)
      for (int c = 0; c < CHANNELS; c++)
        cr_assert_float_eq(at(y, i, j, c), i < 1 || j < 2 ? 9 : at(x, i - 1, j - 2, c), 1e-4f);
}

Test(augment, zoom_in_by_half_reads_between_pixels) {
  /* A ramp stays a ramp of half the slope about the middle. */
  float x[ROWS * COLUMNS], y[ROWS * COLUMNS], map[6];
  for (int i = 0; i < ROWS * COLUMNS; i++)
    x[i] = (float)(i % COLUMNS);
  AugmentAffine affine = {.kind = AUGMENT_ZOOM, .fill = AUGMENT_REFLECT};
  augment_affine_map(ROWS, COLUMNS, &affine, -0.5f, -0.5f, map);
  augment_affine_image(ROWS, COLUMNS, 1, &affine, map, x, y);
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < COLUMNS; j++)
      cr_assert_float_eq(y[i * COLUMNS + j], 3 + 0.5f * (float)(j - 3), 1e-5f);
}

Test(augment, constant_fill_blends_at_the_edge) {
  float x[2] = {10, 20}, y[2], map[6] = {1, 0, -0.5f, 0, 1, 0};
  AugmentAffine affine = {.kind = AUGMENT_TRANSLATION, .fill = AUGMENT_CONSTANT, .fill_value = 4};
  augment_affine_image(1, 2, 1, &affine, map, x, y);
  cr_assert_float_eq(y[0], 7, 1e-6f);
  cr_assert_float_eq(y[1], 15, 1e-6f);
}

Test(augment, contrast_keeps_the_mean_and_clips) {
  float x[] = {1, 10, 3, 30}, y[4]; /* two pixels, two channels */
  augment_contrast_image(2, 2, 2, 0, 35, x, y);
  cr_assert_float_eq(y[0], 0, 1e-6f);
  cr_assert_float_eq(y[2], 4, 1e-6f);
  cr_assert_float_eq(y[1], 0, 1e-6f);
  cr_assert_float_eq(y[3], 35, 1e-6f);
}

Test(augment, draws_lie_in_their_range_and_fill_it) {
  Work work = {.threads = 1};
  enum { IMAGES = 2000 };
  static float x[IMAGES], y[IMAGES];
  float least = 1, most = -1;
  double sum = 0;
  random_brightness_fwd(IMAGES, 1, -0.2f, 0.4f, -100, 100, 3, 5, 7, x, y, &work);
  for (int i = 0; i < IMAGES; i++) {
    float delta = y[i] / 200;
    least = delta < least ? delta : least;
    most = delta > most ? delta : most;
    sum += delta;
  }
  cr_assert_geq(least, -0.2f);
  cr_assert_leq(most, 0.4f);
  cr_assert_lt(least, -0.19f);
  cr_assert_gt(most, 0.39f);
  cr_assert_float_eq(sum / IMAGES, 0.1, 0.015);
}

Test(augment, threads_and_steps_decide_as_they_should) {
  enum { IMAGES = 9 };
  static float x[IMAGES * SIZE], one[IMAGES * SIZE], three[IMAGES * SIZE], other[IMAGES * SIZE];
  numbered(x, IMAGES * SIZE);
  Work single = {.threads = 1}, several = {.threads = 3};
  random_flip_fwd(IMAGES, ROWS, COLUMNS, CHANNELS, true, true, 1, 4, 2, x, one, &single);
  random_flip_fwd(IMAGES, ROWS, COLUMNS, CHANNELS, true, true, 1, 4, 2, x, three, &several);
  random_flip_fwd(IMAGES, ROWS, COLUMNS, CHANNELS, true, true, 1, 5, 2, x, other, &single);
  cr_assert_arr_eq(one, three, sizeof one);
  cr_assert_neq(memcmp(one, other, sizeof one), 0);
}

Test(augment, crop_takes_a_window_of_the_image) {
  enum { IMAGES = 40, HIGH = 3, WIDE = 4 };
  static float x[IMAGES * SIZE], y[IMAGES * HIGH * WIDE * CHANNELS];
  for (int i = 0; i < IMAGES * SIZE; i++)
    x[i] = (float)(i % SIZE);
  Work work = {.threads = 1};
  random_crop_fwd(IMAGES, ROWS, COLUMNS, CHANNELS, HIGH, WIDE, 1, 2, 3, x, y, &work);
  bool seen[ROWS - HIGH + 1][COLUMNS - WIDE + 1] = {{false}};
  for (int i = 0; i < IMAGES; i++) {
    const float *window = y + i * HIGH * WIDE * CHANNELS;
    int first = (int)window[0] / CHANNELS, top = first / COLUMNS, left = first % COLUMNS;
    cr_assert_leq(top, ROWS - HIGH);
    cr_assert_leq(left, COLUMNS - WIDE);
    seen[top][left] = true;
    for (int row = 0; row < HIGH; row++)
      for (int column = 0; column < WIDE; column++)
        cr_assert_eq(window[(row * WIDE + column) * CHANNELS + 1], at(x, top + row, left + column, 1));
  }
  int places = 0;
  for (int i = 0; i <= ROWS - HIGH; i++)
    for (int j = 0; j <= COLUMNS - WIDE; j++)
      places += seen[i][j];
  cr_assert_geq(places, 8); /* of twelve */
}

Test(augment, prediction_crops_the_middle) {
  enum { SIDE = 6 };
  float x[SIDE * 10], y[SIDE * SIDE];
  numbered(x, SIDE * 10);
  Work work = {.threads = 1};
  center_crop_fwd(1, SIDE, 10, 1, SIDE, SIDE, x, y, &work); /* as high as the image: nothing is resized */
  for (int i = 0; i < SIDE; i++)
    for (int j = 0; j < SIDE; j++)
      cr_assert_float_eq(y[i * SIDE + j], x[i * 10 + 2 + j], 1e-5f);
}
