/* predict_main FILE [place]: loads a file of weights (or uses it in place), predicts three images of raw
 * pixels that are the same everywhere, and prints the instruction set and every output: with nine digits, and
 * as bits. */
#include "probe.h"
#include <stdio.h>
#include <string.h>

static void fail(const char *what, ProbeStatus status) {
  fprintf(stderr, "%s: %s\n", what, probe_status_text(status));
}

static void draw(uint8_t *pixels, size_t count) {
  uint32_t state = 12345;
  for (size_t i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    pixels[i] = (uint8_t)(state >> 24);
  }
}

int main(int argc, char **argv) {
  enum { IMAGES = 3 };
  static uint8_t pixels[IMAGES * PROBE_INPUTS];
  static float y[IMAGES * PROBE_OUTPUTS];
  const void *weights = NULL;
  size_t length = 0;
  Probe *model = NULL;
  ProbeStatus status;
  if (argc > 2 && !strcmp(argv[2], "place")) {
    status = probe_map_file(argv[1], &weights, &length);
    if (status == PROBE_OK)
      status = probe_create_in_place(&model, NULL, 0, 2, 1, weights, length);
  } else {
    status = probe_create(&model, NULL, 0, 2, 1);
    if (status == PROBE_OK && argc > 1 && strcmp(argv[1], "inside"))
      status = probe_load_file(model, argv[1]);
  }
  draw(pixels, sizeof pixels);
  if (status == PROBE_OK)
    status = probe_predict_pixels(model, IMAGES, pixels, y);
  if (status != PROBE_OK)
    fail(argc > 1 ? argv[1] : "", status);
  else
    printf("%s\n", probe_instruction_set());
  for (int i = 0; status == PROBE_OK && i < IMAGES * PROBE_OUTPUTS; i++) {
    uint32_t bits;
    memcpy(&bits, &y[i], sizeof bits);
    printf("%.9g %08lx\n", (double)y[i], (unsigned long)bits);
  }
  probe_destroy(model);
  probe_unmap_file(weights, length);
  return (int)status;
}
