/* openmp_main FILE: a caller that is parallel itself, by OpenMP, with an instance per thread: one with
 * threads of its own, the others without.  The same bits from all. */
#include "probe.h"
#include <stdio.h>
#include <string.h>

enum { CALLERS = 8, IMAGES = 2 };

int main(int argc, char **argv) {
  static uint8_t pixels[IMAGES * PROBE_INPUTS];
  static float y[CALLERS][IMAGES * PROBE_OUTPUTS];
  const void *weights;
  size_t length;
  int wrong = 0;
  for (size_t i = 0; i < sizeof pixels; i++)
    pixels[i] = (uint8_t)(i * 13 >> 2);
  if (argc < 2 || probe_map_file(argv[1], &weights, &length) != PROBE_OK)
    return 2;
#pragma omp parallel for num_threads(4) schedule(static, 1) reduction(+ : wrong)
  for (int i = 0; i < CALLERS; i++) {
    Probe *model = NULL;
    ProbeStatus status = i % 2 ? probe_create(&model, NULL, 0, IMAGES, 1 + i % 3)
                               : probe_create_in_place(&model, NULL, 0, 1, 1 + i % 3, weights, length);
    if (status == PROBE_OK && i % 2)
      status = probe_load_bytes(model, weights, length);
    if (status == PROBE_OK)
      status = probe_predict_pixels(model, IMAGES, pixels, y[i]);
    wrong += status != PROBE_OK;
    probe_destroy(model);
  }
  for (int i = 2; i < CALLERS; i++)
    wrong += memcmp(y[i], y[i % 2], sizeof y[i]) != 0;
  probe_unmap_file(weights, length);
  printf("%d wrong\n", wrong);
  return wrong != 0;
}
