/* Trains the network on images it draws itself (a bright spot in one of the four corners), then predicts: the
 * whole life of a model inside another program. */
#include "digits.h"
#include <stdio.h>
#include <string.h>

enum { IMAGES = 64, STEPS = 60, BATCH = 16 };

static void draw(int corner, int brightness, uint8_t *image) {
  memset(image, 10, DIGITS_INPUTS);
  for (int y = 0; y < 3; y++)
    for (int x = 0; x < 3; x++)
      image[((corner / 2) * 5 + y) * DIGITS_WIDTH + (corner % 2) * 5 + x] = (uint8_t)brightness;
}

int main(void) {
  static uint8_t pixels[IMAGES][DIGITS_INPUTS];
  static float corners[IMAGES], y[IMAGES][DIGITS_OUTPUTS];
  for (int i = 0; i < IMAGES; i++) {
    draw(i % 4, 120 + i, pixels[i]);
    corners[i] = (float)(i % 4);
  }
  Digits *model;
  DigitsStatus status = digits_create(&model, NULL, 0, BATCH, 1);
  if (status == DIGITS_OK)
    status = digits_initialize(model, 1);
  float loss = 0;
  for (int step = 0; step < STEPS && status == DIGITS_OK; step++) {
    int first = step * BATCH % IMAGES;
    status = digits_train_step_pixels(model, BATCH, pixels[first], corners + first, NULL, &loss);
  }
  if (status == DIGITS_OK)
    status = digits_predict_pixels(model, IMAGES, pixels[0], y[0]);
  if (status != DIGITS_OK) {
    fprintf(stderr, "%s\n", digits_status_text(status));
    return 1;
  }
  int right = 0;
  for (int i = 0; i < IMAGES; i++) {
    int best = 0;
    for (int k = 1; k < DIGITS_OUTPUTS; k++)
      if (y[i][k] > y[i][best])
        best = k;
    right += best == i % 4;
  }
  digits_destroy(model);
  printf("loss %.4f, %d of %d right\n", (double)loss, right, IMAGES);
  return right < IMAGES * 9 / 10;
}
