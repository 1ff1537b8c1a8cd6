/* The augmentation kernels and their draws, for augment.py. */
#include "kernels/augment.h"

static const Work work = {1, NULL, 0};

float draw_of(uint64_t seed, int64_t draw, int layer, int64_t image, int number);
void flip(int n, int h, int w, int c, int horizontal, int vertical, uint64_t seed, const float *x, float *y);
void affine(int n, int h, int w, int c, int kind, const float *range, int square, int fill, int nearest,
            float value, uint64_t seed, const float *x, float *y);
void affine_given(int h, int w, int c, int kind, int fill, int nearest, float value, float first,
                  float second, const float *x, float *y);
void contrast(int n, int h, int w, int c, const float *range, uint64_t seed, const float *x, float *y);
void brightness(int n, int h, int w, int c, const float *range, uint64_t seed, const float *x, float *y);
void crop(int n, int h, int w, int c, int to_h, int to_w, uint64_t seed, const float *x, float *y);
void middle(int n, int h, int w, int c, int to_h, int to_w, const float *x, float *y);

/* Number `number` of an image, in [0, 1). */
float draw_of(uint64_t seed, int64_t draw, int layer, int64_t image, int number) {
  return augment_uniform(dropout_key(seed, draw, layer), image, number);
}

void flip(int n, int h, int w, int c, int horizontal, int vertical, uint64_t seed, const float *x, float *y) {
  random_flip_fwd(n, h, w, c, horizontal, vertical, seed, 0, 1, x, y, &work);
}

void affine(int n, int h, int w, int c, int kind, const float *range, int square, int fill, int nearest,
            float value, uint64_t seed, const float *x, float *y) {
  AugmentAffine rule = {(AugmentKind)kind, range[0],     range[1], range[2], range[3], square,
                        (AugmentFill)fill, nearest != 0, value};
  random_affine_fwd(n, h, w, c, &rule, seed, 0, 1, x, y, &work);
}

void affine_given(int h, int w, int c, int kind, int fill, int nearest, float value, float first,
                  float second, const float *x, float *y) {
  AugmentAffine rule = {
      .kind = (AugmentKind)kind, .fill = (AugmentFill)fill, .nearest = nearest != 0, .fill_value = value};
  float map[6];
  augment_affine_map(h, w, &rule, first, second, map);
  augment_affine_image(h, w, c, &rule, map, x, y);
}

void contrast(int n, int h, int w, int c, const float *range, uint64_t seed, const float *x, float *y) {
  random_contrast_fwd(n, h * w, c, range[0], range[1], range[2], range[3], seed, 0, 1, x, y, &work);
}

void brightness(int n, int h, int w, int c, const float *range, uint64_t seed, const float *x, float *y) {
  random_brightness_fwd(n, h * w * c, range[0], range[1], range[2], range[3], seed, 0, 1, x, y, &work);
}

void crop(int n, int h, int w, int c, int to_h, int to_w, uint64_t seed, const float *x, float *y) {
  random_crop_fwd(n, h, w, c, to_h, to_w, seed, 0, 1, x, y, &work);
}

void middle(int n, int h, int w, int c, int to_h, int to_w, const float *x, float *y) {
  center_crop_fwd(n, h, w, c, to_h, to_w, x, y, &work);
}
