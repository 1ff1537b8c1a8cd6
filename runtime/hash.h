/* A 64-bit hash of bytes, for cache keys and checksums (not against adversaries).  Two lanes of multiply and
 * rotate over 16 bytes a turn, about memory speed; the same on every machine of the same byte order. */
#ifndef NETC_RUNTIME_HASH_H
#define NETC_RUNTIME_HASH_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t hash_finish(uint64_t bits) {
  bits = (bits ^ (bits >> 32)) * 0xd6e8feb86659fd93u;
  bits = (bits ^ (bits >> 32)) * 0xd6e8feb86659fd93u;
  return bits ^ (bits >> 32);
}

static uint64_t hash_bytes(const void *data, size_t length, uint64_t seed) {
  const unsigned char *bytes = data;
  uint64_t a = seed ^ 0x8ebc6af09c88c6e3u, b = seed + 0x589965cc75374cc3u + (uint64_t)length;
  size_t left = length;
  for (; left >= 16; left -= 16, bytes += 16) {
    uint64_t word[2];
    memcpy(word, bytes, 16);
    a = (a ^ word[0]) * 0x9fb21c651e98df25u;
    b = (b ^ word[1]) * 0xc2b2ae3d27d4eb4fu;
    a ^= a >> 29;
    b ^= b >> 31;
  }
  uint64_t tail[2] = {0, 0};
  memcpy(tail, bytes, left);
  a = (a ^ tail[0]) * 0x9fb21c651e98df25u;
  b = (b ^ tail[1]) * 0xc2b2ae3d27d4eb4fu;
  return hash_finish(hash_finish(a) + 3 * hash_finish(b));
}

static uint64_t hash_text(const char *text, uint64_t seed) {
  return hash_bytes(text, strlen(text), seed);
}
#endif
