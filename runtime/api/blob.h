/* Weights as bytes: a head of 64 bytes, then the floats in the order of the network's weights.
 *
 *   0  "netcwts" and a zero     24 floats in all (64 bits)
 *   8  version (32 bits)        32 checksum of the payload
 *  12  1: 32-bit floats, 2: 16  40 zeros
 *  16  hash of the network      56 checksum of the bytes before
 *
 * All numbers are little-endian; on other machines they are turned around. */
#ifndef NETC_API_BLOB_H
#define NETC_API_BLOB_H
#include <stdbool.h>
#include <string.h>

#include "../model.h"
#include "public.h"

enum { BLOB_HEAD = 64, BLOB_VERSION = 1, BLOB_FLOAT = 1, BLOB_HALF = 2 };

static uint64_t blob_get(const unsigned char *at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++)
    value |= (uint64_t)at[i] << (8 * i);
  return value;
}

static void blob_put(unsigned char *at, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++)
    at[i] = (unsigned char)(value >> (8 * i));
}

/* Eight bytes at a time; the same on every machine. */
static uint64_t blob_checksum(const unsigned char *bytes, size_t length, uint64_t seed) {
  uint64_t hash = seed ^ (length * 0x9e3779b97f4a7c15u);
  for (; length >= 8; length -= 8, bytes += 8) {
    hash = (hash ^ blob_get(bytes, 8)) * 0x9fb21c651e98df25u;
    hash ^= hash >> 32;
  }
  hash = (hash ^ blob_get(bytes, (int)length)) * 0xd6e8feb86659fd93u;
  return hash ^ (hash >> 32);
}

/* What two networks must share to share weights: layers, weight names, shapes. */
static uint64_t blob_network(const ModelInfo *info) {
  uint64_t hash = 0;
  for (int w = 0; w < info->weight_count; w++) {
    const ModelWeight *weight = &info->weights[w];
    const char *layer = info->layers[weight->layer].name;
    unsigned char shape[20];
    hash = blob_checksum((const unsigned char *)layer, strlen(layer), hash);
    hash = blob_checksum((const unsigned char *)weight->name, strlen(weight->name), hash);
    blob_put(shape, (uint64_t)weight->rank, 4);
    for (int d = 0; d < 4; d++)
      blob_put(shape + 4 + 4 * d, d < weight->rank ? (uint64_t)weight->dim[d] : 0, 4);
    hash = blob_checksum(shape, sizeof shape, hash);
  }
  return hash;
}

/* IEEE 754 half from single precision, rounded to nearest even; what is too large becomes infinite. */
static unsigned blob_half(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000)
    return sign | (magnitude > 0x7f800000 ? 0x7e00u : 0x7c00u);
  if (magnitude >= 0x477ff000)
    return sign | 0x7c00u;
  int shift = 13;
  uint32_t mantissa = magnitude;
  if (magnitude < 0x38800000) { /* a subnormal half: multiples of 2^-24 */
    int exponent = (int)(magnitude >> 23);
    if (exponent < 102)
      return sign;
    mantissa = (magnitude & 0x7fffff) | 0x800000;
    shift = 126 - exponent;
  } else {
    mantissa -= 0x38000000;
  }
  uint32_t half = mantissa >> shift, rest = mantissa & ((1u << shift) - 1), middle = 1u << (shift - 1);
  return sign | (half + (rest > middle || (rest == middle && (half & 1))));
}

static float blob_single(unsigned half) {
  uint32_t sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31, mantissa = half & 0x3ffu, bits;
  float value;
  if (exponent == 0) { /* zero or subnormal */
    value = (float)mantissa * 0x1p-24f;
    return sign ? -value : value;
  }
  bits = sign | (exponent == 31 ? 0x7f800000 : (exponent + 112) << 23) | mantissa << 13;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static bool blob_little_endian(void) {
  const uint16_t one = 1;
  unsigned char first;
  memcpy(&first, &one, 1);
  return first;
}

/* Floats of all weights, without the gaps that align them in an instance. */
static size_t blob_floats(const ModelInfo *info) {
  size_t floats = 0;
  for (int w = 0; w < info->weight_count; w++)
    floats += info->weights[w].count;
  return floats;
}

static size_t blob_bytes(const ModelInfo *info, bool half) {
  return BLOB_HEAD + blob_floats(info) * (half ? 2 : 4);
}

/* bytes [blob_bytes]: the weights of params, weight after weight. */
static void blob_write(const ModelInfo *info, const float *params, bool half, unsigned char *bytes) {
  unsigned char *at = bytes + BLOB_HEAD;
  for (int w = 0; w < info->weight_count; w++) {
    const ModelWeight *weight = &info->weights[w];
    const float *values = params + weight->offset;
    if (!half && blob_little_endian()) {
      memcpy(at, values, weight->count * 4);
      at += weight->count * 4;
      continue;
    }
    for (size_t i = 0; i < weight->count; i++) {
      uint32_t bits;
      memcpy(&bits, &values[i], sizeof bits);
      blob_put(at, half ? blob_half(values[i]) : bits, half ? 2 : 4);
      at += half ? 2 : 4;
    }
  }
  memset(bytes, 0, BLOB_HEAD);
  memcpy(bytes, "netcwts", 8);
  blob_put(bytes + 8, BLOB_VERSION, 4);
  blob_put(bytes + 12, half ? BLOB_HALF : BLOB_FLOAT, 4);
  blob_put(bytes + 16, blob_network(info), 8);
  blob_put(bytes + 24, blob_floats(info), 8);
  blob_put(bytes + 32, blob_checksum(bytes + BLOB_HEAD, (size_t)(at - bytes) - BLOB_HEAD, 0), 8);
  blob_put(bytes + 56, blob_checksum(bytes, 56, 0), 8);
}

/* Whether the bytes are whole, of this version and of this network. */
static ModelStatus blob_check(const ModelInfo *info, const unsigned char *bytes, size_t length) {
  if (length < BLOB_HEAD || memcmp(bytes, "netcwts", 8))
    return MODEL_ERROR_DAMAGED;
  if (blob_get(bytes + 8, 4) != BLOB_VERSION)
    return MODEL_ERROR_VERSION;
  if (blob_get(bytes + 56, 8) != blob_checksum(bytes, 56, 0))
    return MODEL_ERROR_DAMAGED;
  if (blob_get(bytes + 16, 8) != blob_network(info) || blob_get(bytes + 24, 8) != blob_floats(info))
    return MODEL_ERROR_FOREIGN;
  uint64_t kind = blob_get(bytes + 12, 4);
  if (kind != BLOB_FLOAT && kind != BLOB_HALF)
    return MODEL_ERROR_VERSION;
  size_t wanted = blob_bytes(info, kind == BLOB_HALF);
  if (length < wanted || blob_get(bytes + 32, 8) != blob_checksum(bytes + BLOB_HEAD, wanted - BLOB_HEAD, 0))
    return MODEL_ERROR_DAMAGED;
  return MODEL_OK;
}

/* Checks everything first: on an error params are as they were. */
static ModelStatus blob_read(const ModelInfo *info, const unsigned char *bytes, size_t length,
                             float *params) {
  ModelStatus status = blob_check(info, bytes, length);
  if (status != MODEL_OK)
    return status;
  bool half = blob_get(bytes + 12, 4) == BLOB_HALF;
  const unsigned char *at = bytes + BLOB_HEAD;
  for (int w = 0; w < info->weight_count; w++) {
    const ModelWeight *weight = &info->weights[w];
    float *values = params + weight->offset;
    if (!half && blob_little_endian()) {
      memcpy(values, at, weight->count * 4);
      at += weight->count * 4;
      continue;
    }
    for (size_t i = 0; i < weight->count; i++, at += half ? 2 : 4) {
      uint32_t bits = (uint32_t)blob_get(at, half ? 2 : 4);
      if (half)
        values[i] = blob_single(bits);
      else
        memcpy(&values[i], &bits, sizeof bits);
    }
  }
  return MODEL_OK;
}
#endif
