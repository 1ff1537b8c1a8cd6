/* Orders drawn by counter, as random.h draws numbers. */
#ifndef NETC_RUNTIME_SHUFFLE_H
#define NETC_RUNTIME_SHUFFLE_H
#include "random.h"

/* Shuffles `order` (count numbers) after Fisher and Yates. */
static void random_shuffle(int64_t *order, int64_t count, uint64_t seed, uint64_t stream) {
  for (int64_t i = count - 1; i > 0; i--) {
    int64_t j = (int64_t)(random_bits(seed, stream, (uint64_t)i) % (uint64_t)(i + 1));
    int64_t kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
}
#endif
