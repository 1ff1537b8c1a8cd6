/* Weights as bytes: a head of 64 bytes, then numbers.
 *
 *   0  "netcwts" and a zero          32 checksum of the numbers
 *   8  version (32 bits)             40 hash of how prepared weights were made, or 0
 *  12  kind (32 bits, see below)     48 floats of prepared weights, or 0
 *  16  hash of the network           56 checksum of the bytes before
 *  24  floats of all weights
 *
 * Kinds 1 and 2: the weights in the network's order, one after another, as 32-bit or 16-bit floats.  Kind 3,
 * to be used in place: first the prepared (packed and folded) weights, then the weights as an instance holds
 * them, with gaps that align each to 64 bytes.  All numbers are little-endian; on other machines they are
 * turned around, and kind 3 can be loaded there but not used in place. */
#ifndef NETC_API_BLOB_H
#define NETC_API_BLOB_H
#include <stdbool.h>
#include <string.h>

#include "../model.h"
#include "public.h"

enum { BLOB_HEAD = 64, BLOB_VERSION = 2, BLOB_FLOAT = 1, BLOB_HALF = 2, BLOB_PREPARED = 3 };

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

static bool blob_little_endian(void) {
  const uint16_t one = 1;
  unsigned char first;
  memcpy(&first, &one, 1);
  return first;
}

/* Eight bytes, little-endian. */
static uint64_t blob_word(const unsigned char *at) {
  uint64_t word;
  if (!blob_little_endian())
    return blob_get(at, 8);
  memcpy(&word, at, 8);
  return word;
}

/* Four sums side by side, 32 bytes at a time: about memory speed, and the same on every machine. */
static uint64_t blob_checksum(const unsigned char *bytes, size_t length, uint64_t seed) {
  uint64_t lane[4], hash = seed ^ (length * 0x9e3779b97f4a7c15u);
  for (uint64_t k = 0; k < 4; k++)
    lane[k] = hash + k * 0xc2b2ae3d27d4eb4fu;
  for (; length >= 32; length -= 32, bytes += 32)
    for (int k = 0; k < 4; k++) {
      lane[k] = (lane[k] ^ blob_word(bytes + 8 * k)) * 0x9fb21c651e98df25u;
      lane[k] ^= lane[k] >> 32;
    }
  for (int k = 0; k < 4; k++)
    hash = ((hash ^ lane[k]) * 0xd6e8feb86659fd93u) ^ (hash >> 29);
  while (length) {
    size_t part = length < 8 ? length : 8;
    hash = (hash ^ blob_get(bytes, (int)part)) * 0x9fb21c651e98df25u;
    hash ^= hash >> 32;
    bytes += part;
    length -= part;
  }
  hash *= 0xd6e8feb86659fd93u;
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

/* Bytes of kind 3 before its weights. */
static size_t blob_prepared_before(size_t constant_floats) {
  return BLOB_HEAD + (constant_floats * 4 + 63) / 64 * 64;
}

static void blob_put_floats(unsigned char *at, const float *values, size_t count, bool half) {
  if (!half && blob_little_endian()) {
    memcpy(at, values, count * 4);
    return;
  }
  for (size_t i = 0; i < count; i++, at += half ? 2 : 4) {
    uint32_t bits;
    memcpy(&bits, &values[i], sizeof bits);
    blob_put(at, half ? blob_half(values[i]) : bits, half ? 2 : 4);
  }
}

static void blob_get_floats(const unsigned char *at, float *values, size_t count, bool half) {
  if (!half && blob_little_endian()) {
    memcpy(values, at, count * 4);
    return;
  }
  for (size_t i = 0; i < count; i++, at += half ? 2 : 4) {
    uint32_t bits = (uint32_t)blob_get(at, half ? 2 : 4);
    if (half)
      values[i] = blob_single(bits);
    else
      memcpy(&values[i], &bits, sizeof bits);
  }
}

/* The head of bytes whose numbers, up to `length`, are there already. */
static void blob_finish(const ModelInfo *info, int kind, unsigned char *bytes, size_t length) {
  memset(bytes, 0, BLOB_HEAD);
  memcpy(bytes, "netcwts", 8);
  blob_put(bytes + 8, BLOB_VERSION, 4);
  blob_put(bytes + 12, (uint64_t)kind, 4);
  blob_put(bytes + 16, blob_network(info), 8);
  blob_put(bytes + 24, blob_floats(info), 8);
  blob_put(bytes + 32, blob_checksum(bytes + BLOB_HEAD, length - BLOB_HEAD, 0), 8);
  if (kind == BLOB_PREPARED) {
    blob_put(bytes + 40, info->prepared_hash, 8);
    blob_put(bytes + 48, info->constant_floats, 8);
  }
  blob_put(bytes + 56, blob_checksum(bytes, 56, 0), 8);
}

/* bytes [blob_bytes]: the weights of params, weight after weight. */
static void blob_write(const ModelInfo *info, const float *params, bool half, unsigned char *bytes) {
  unsigned char *at = bytes + BLOB_HEAD;
  for (int w = 0; w < info->weight_count; w++) {
    const ModelWeight *weight = &info->weights[w];
    blob_put_floats(at, params + weight->offset, weight->count, half);
    at += weight->count * (half ? 2 : 4);
  }
  blob_finish(info, half ? BLOB_HALF : BLOB_FLOAT, bytes, (size_t)(at - bytes));
}

/* What a head says: its kind, where the weights begin, where they end. */
typedef struct BlobHead {
  int kind;
  size_t weights, end;
} BlobHead;

/* Whether the bytes are long enough, of this version and of this network. */
static ModelStatus blob_check_head(const ModelInfo *info, const unsigned char *bytes, size_t length,
                                   BlobHead *head) {
  if (length < BLOB_HEAD || memcmp(bytes, "netcwts", 8))
    return MODEL_ERROR_DAMAGED;
  if (blob_get(bytes + 8, 4) != BLOB_VERSION)
    return MODEL_ERROR_VERSION;
  if (blob_get(bytes + 56, 8) != blob_checksum(bytes, 56, 0))
    return MODEL_ERROR_DAMAGED;
  if (blob_get(bytes + 16, 8) != blob_network(info) || blob_get(bytes + 24, 8) != blob_floats(info))
    return MODEL_ERROR_FOREIGN;
  uint64_t prepared = blob_get(bytes + 48, 8);
  head->kind = (int)blob_get(bytes + 12, 4);
  head->weights = BLOB_HEAD;
  if (head->kind == BLOB_PREPARED) {
    if (prepared > length / 4)
      return MODEL_ERROR_DAMAGED;
    head->weights = blob_prepared_before((size_t)prepared);
    head->end = head->weights + info->param_floats * 4;
  } else if (head->kind == BLOB_FLOAT || head->kind == BLOB_HALF) {
    head->end = blob_bytes(info, head->kind == BLOB_HALF);
  } else {
    return MODEL_ERROR_VERSION;
  }
  return length < head->end ? MODEL_ERROR_DAMAGED : MODEL_OK;
}

/* Whether bytes of kind 3 hold what this very program would prepare. */
static bool blob_prepared(const ModelInfo *info, const unsigned char *bytes) {
  return info->prepared_hash && blob_get(bytes + 40, 8) == info->prepared_hash &&
         blob_get(bytes + 48, 8) == info->constant_floats;
}

/* blob_check_head, and whether the numbers are what the checksum says. */
static ModelStatus blob_check(const ModelInfo *info, const unsigned char *bytes, size_t length,
                              BlobHead *head) {
  ModelStatus status = blob_check_head(info, bytes, length, head);
  if (status == MODEL_OK &&
      blob_get(bytes + 32, 8) != blob_checksum(bytes + BLOB_HEAD, head->end - BLOB_HEAD, 0))
    return MODEL_ERROR_DAMAGED;
  return status;
}

/* Checks everything first: on an error params are as they were. */
static ModelStatus blob_read(const ModelInfo *info, const unsigned char *bytes, size_t length,
                             float *params) {
  BlobHead head;
  ModelStatus status = blob_check(info, bytes, length, &head);
  if (status != MODEL_OK)
    return status;
  const unsigned char *at = bytes + head.weights;
  bool half = head.kind == BLOB_HALF;
  for (int w = 0; w < info->weight_count; w++) {
    const ModelWeight *weight = &info->weights[w];
    if (head.kind == BLOB_PREPARED)
      at = bytes + head.weights + weight->offset * 4;
    blob_get_floats(at, params + weight->offset, weight->count, half);
    at += weight->count * (half ? 2 : 4);
  }
  return MODEL_OK;
}
#endif
