/* Random numbers without state: a draw is a pure function of a seed and a counter, so that results do not depend on
 * the order or the number of threads in which they are taken.  The mixer is splitmix64 (Steele, Lea and Flood 2014). */
#ifndef NETC_RUNTIME_DRAWS_H
#define NETC_RUNTIME_DRAWS_H
#include <math.h>
#include <stdint.h>

static uint64_t draws_mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* The stream `stream` of a seed, as a seed of its own. */
static uint64_t draws_stream(uint64_t seed, uint64_t stream) {
  return draws_mix(draws_mix(seed) ^ (stream * 0xd1342543de82ef95u + 1));
}

/* Draw number `index`: 64 random bits. */
static uint64_t draws_bits(uint64_t seed, uint64_t index) {
  return draws_mix(seed + index * 0x9e3779b97f4a7c15u);
}

/* 0 <= result < 1, 53 bits. */
static double draws_uniform(uint64_t seed, uint64_t index) {
  return (double)(draws_bits(seed, index) >> 11) * 0x1p-53;
}

/* Standard normal, by Box and Muller's transform of draws 2 * index and 2 * index + 1. */
static double draws_normal(uint64_t seed, uint64_t index) {
  double radius = sqrt(-2 * log(1 - draws_uniform(seed, 2 * index)));
  return radius * cos(6.283185307179586476925 * draws_uniform(seed, 2 * index + 1));
}

/* Puts the numbers in an order that depends on the seed and the count alone (Fisher and Yates). */
static void draws_shuffle(uint64_t seed, int64_t count, int64_t *numbers) {
  for (int64_t i = count - 1; i > 0; i--) {
    int64_t j = (int64_t)(draws_uniform(seed, (uint64_t)i) * (double)(i + 1));
    int64_t swapped = numbers[i];
    numbers[i] = numbers[j];
    numbers[j] = swapped;
  }
}

/* ---- hashes ---- */

/* 64 bits of the bytes and of `seed`, eight bytes at a time; not for use against an adversary. */
static uint64_t draws_hash(uint64_t seed, const void *bytes, size_t length) {
  const unsigned char *p = bytes;
  uint64_t h = seed ^ (length * 0x9e3779b97f4a7c15u);
  for (; length >= 8; length -= 8, p += 8) {
    uint64_t word = 0;
    for (int i = 0; i < 8; i++)
      word |= (uint64_t)p[i] << (8 * i);
    h = (h ^ word) * 0xff51afd7ed558ccdu;
    h ^= h >> 32;
  }
  uint64_t word = 0;
  for (size_t i = 0; i < length; i++)
    word |= (uint64_t)p[i] << (8 * i);
  return draws_mix((h ^ word) * 0xc4ceb9fe1a85ec53u);
}
#endif
