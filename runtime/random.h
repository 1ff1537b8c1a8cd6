/* Counter-based random numbers: a draw is a pure function of (seed, stream, counter), so that results do not
 * depend on the order or the thread in which they are asked for. */
#ifndef NETC_RUNTIME_RANDOM_H
#define NETC_RUNTIME_RANDOM_H
#include <math.h>
#include <stdint.h>

/* The output function of splitmix64 (Steele, Lea, Flood 2014): a bijection of 64 bits that mixes well. */
static inline uint64_t random_mix(uint64_t bits) {
  bits += 0x9e3779b97f4a7c15u;
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
  return bits ^ (bits >> 31);
}

static inline uint64_t random_bits(uint64_t seed, uint64_t stream, uint64_t counter) {
  return random_mix(random_mix(random_mix(seed) ^ stream) + counter);
}

/* Uniform in [0, 1) with 53 bits. */
static inline double random_uniform(uint64_t seed, uint64_t stream, uint64_t counter) {
  return (double)(random_bits(seed, stream, counter) >> 11) * 0x1p-53;
}

/* Standard normal by Box and Muller, from the two uniforms at 2 * counter. */
static inline double random_normal(uint64_t seed, uint64_t stream, uint64_t counter) {
  double radius = sqrt(-2 * log(1 - random_uniform(seed, stream, 2 * counter)));
  return radius * cos(6.283185307179586 * random_uniform(seed, stream, 2 * counter + 1));
}
#endif
