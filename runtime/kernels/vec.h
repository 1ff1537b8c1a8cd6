/* The thin vector layer: the one file with intrinsics.
 *
 * Vec holds VEC_WIDTH floats of the instruction set VEC_ISA (isa.h); plain C agrees with the others within
 * rounding.  VEC_REGISTERS is how many vector registers kernels may count on.  Loads and stores assume no
 * alignment. */
#ifndef NETC_KERNELS_VEC_H
#define NETC_KERNELS_VEC_H
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "isa.h"

/* Without optimization inlining gains nothing, and a program takes three times as long to compile. */
#if (defined(__GNUC__) || defined(__clang__)) && defined(__OPTIMIZE__)
#define VEC_INLINE static inline __attribute__((always_inline))
#else
#define VEC_INLINE static inline
#endif
/* Whether Vec is a register: not in the portable build, where unrolled loops only cost compile time. */
#if VEC_ISA != ISA_PORTABLE
#define VEC_NATIVE 1
#else
#define VEC_NATIVE 0
#endif
/* For functions of many vector operations: inlined only where a vector is a register. */
#if VEC_NATIVE
#define VEC_FUNCTION VEC_INLINE
#else
#define VEC_FUNCTION static inline
#endif
#define VEC_LINE  16   /* floats of a cache line */
#define VEC_AHEAD 1024 /* floats that loops over long runs of values ask for ahead */
/* Asks for a cache line ahead of its use; any address will do, one that is not there as well.  VEC_FETCH_FAR:
 * into the second-level cache, for what is used only after more than the first holds. */
#if VEC_NATIVE && defined(__GNUC__)
#define VEC_FETCH(place)          __builtin_prefetch(place)
#define VEC_FETCH_FAR(place)      __builtin_prefetch(place, 0, 2)
#define VEC_FETCH_TO_WRITE(place) __builtin_prefetch(place, 1)
#else
#define VEC_FETCH(place)          ((void)(place))
#define VEC_FETCH_FAR(place)      ((void)(place))
#define VEC_FETCH_TO_WRITE(place) ((void)(place))
#endif
/* In a loop over values from `place` on that come from memory, at number i: asks for what lies VEC_AHEAD
 * floats further on.  What processors ask for by themselves is too little for two cores to reach what memory
 * can do (1.1 to 1.3 times as fast so, measured on a Xeon). */
#define VEC_ASK(place, i)                                                                                    \
  do {                                                                                                       \
    if ((i) % VEC_LINE == 0)                                                                                 \
      VEC_FETCH((place) + (i) + VEC_AHEAD);                                                                  \
  } while (0)
/* What loops that sum over rows, `ld` floats apart, ask for ahead, in floats: so many, and so many rows. */
static inline ptrdiff_t vec_rows_ahead(ptrdiff_t ld) {
  enum { FLOATS = 4096, ROWS = 16 };
  return ROWS * ld > FLOATS ? ROWS * ld : FLOATS;
}
/* After `pointer += stride` in an unrolled loop: the compiler forgets how the pointer came about, and adds a
 * stride at a time instead of keeping all its multiples, for which there are not enough registers. */
#if VEC_NATIVE && defined(__GNUC__)
#define VEC_ADDED(pointer) __asm__("" : "+r"(pointer))
#else
#define VEC_ADDED(pointer) ((void)(pointer))
#endif
/* Before a loop of constant length over an array of Vec, so that the array lives in registers. */
#if !VEC_NATIVE && defined(__GNUC__) && !defined(__clang__)
#define VEC_UNROLL _Pragma("GCC unroll 1")
#elif !VEC_NATIVE
#define VEC_UNROLL
#elif defined(__clang__)
#define VEC_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define VEC_UNROLL _Pragma("GCC unroll 32")
#else
#define VEC_UNROLL
#endif

#if VEC_ISA == ISA_AVX512
#define VEC_WIDTH     16
#define VEC_REGISTERS 32
typedef __m512 Vec;

VEC_INLINE Vec vec_set(float value) {
  return _mm512_set1_ps(value);
}
VEC_INLINE Vec vec_load(const float *from) {
  return _mm512_loadu_ps(from);
}
VEC_INLINE void vec_store(float *to, Vec v) {
  _mm512_storeu_ps(to, v);
}
VEC_INLINE void vec_stream(float *to, Vec v) {
  _mm512_stream_ps(to, v);
}
/* The first `count` lanes, 0 <= count <= VEC_WIDTH; the others read as zero. */
VEC_INLINE Vec vec_load_part(const float *from, int count) {
  return _mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
}
VEC_INLINE void vec_store_part(float *to, Vec v, int count) {
  _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), v);
}
VEC_INLINE Vec vec_add(Vec a, Vec b) {
  return _mm512_add_ps(a, b);
}
VEC_INLINE Vec vec_sub(Vec a, Vec b) {
  return _mm512_sub_ps(a, b);
}
VEC_INLINE Vec vec_mul(Vec a, Vec b) {
  return _mm512_mul_ps(a, b);
}
VEC_INLINE Vec vec_div(Vec a, Vec b) {
  return _mm512_div_ps(a, b);
}
/* a * b + c and c - a * b. */
VEC_INLINE Vec vec_fma(Vec a, Vec b, Vec c) {
  return _mm512_fmadd_ps(a, b, c);
}
VEC_INLINE Vec vec_fnma(Vec a, Vec b, Vec c) {
  return _mm512_fnmadd_ps(a, b, c);
}
/* a > b ? a : b, so that a NaN in either gives b. */
VEC_INLINE Vec vec_max(Vec a, Vec b) {
  return _mm512_max_ps(a, b);
}
VEC_INLINE Vec vec_min(Vec a, Vec b) {
  return _mm512_min_ps(a, b);
}
VEC_INLINE Vec vec_sqrt(Vec a) {
  return _mm512_sqrt_ps(a);
}
VEC_INLINE Vec vec_abs(Vec a) {
  return _mm512_abs_ps(a);
}
/* a > b ? yes : no, lane by lane (NaN: no). */
VEC_INLINE Vec vec_select_gt(Vec a, Vec b, Vec yes, Vec no) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), no, yes);
}
VEC_INLINE Vec vec_select_ge(Vec a, Vec b, Vec yes, Vec no) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GE_OQ), no, yes);
}
VEC_INLINE Vec vec_select_eq(Vec a, Vec b, Vec yes, Vec no) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), no, yes);
}
/* Nearest whole number, ties to even. */
VEC_INLINE Vec vec_round(Vec a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT);
}
/* 2 to the power of a whole number in [-126, 127]. */
VEC_INLINE Vec vec_exp2_whole(Vec whole) {
  __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(whole), _mm512_set1_epi32(127));
  return _mm512_castsi512_ps(_mm512_slli_epi32(biased, 23));
}
/* The magnitude of a with the sign of b. */
VEC_INLINE Vec vec_copysign(Vec a, Vec b) {
  __m512i sign = _mm512_set1_epi32(INT32_MIN);
  return _mm512_castsi512_ps(_mm512_or_epi32(_mm512_andnot_epi32(sign, _mm512_castps_si512(a)),
                                             _mm512_and_epi32(sign, _mm512_castps_si512(b))));
}
/* Positive normal a = m * 2^e with m in [1, 2): e, and m in *mantissa. */
VEC_INLINE Vec vec_split_exponent(Vec a, Vec *mantissa) {
  __m512i bits = _mm512_castps_si512(a);
  *mantissa = _mm512_castsi512_ps(
      _mm512_or_epi32(_mm512_and_epi32(bits, _mm512_set1_epi32(0x007fffff)), _mm512_set1_epi32(0x3f800000)));
  return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_srli_epi32(bits, 23), _mm512_set1_epi32(127)));
}

#elif VEC_ISA == ISA_AVX2
#define VEC_WIDTH     8
#define VEC_REGISTERS 16
typedef __m256 Vec;

VEC_INLINE __m256i vec_lane_mask(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
VEC_INLINE Vec vec_set(float value) {
  return _mm256_set1_ps(value);
}
VEC_INLINE Vec vec_load(const float *from) {
  return _mm256_loadu_ps(from);
}
VEC_INLINE void vec_store(float *to, Vec v) {
  _mm256_storeu_ps(to, v);
}
VEC_INLINE void vec_stream(float *to, Vec v) {
  _mm256_stream_ps(to, v);
}
VEC_INLINE Vec vec_load_part(const float *from, int count) {
  return _mm256_maskload_ps(from, vec_lane_mask(count));
}
VEC_INLINE void vec_store_part(float *to, Vec v, int count) {
  _mm256_maskstore_ps(to, vec_lane_mask(count), v);
}
VEC_INLINE Vec vec_add(Vec a, Vec b) {
  return _mm256_add_ps(a, b);
}
VEC_INLINE Vec vec_sub(Vec a, Vec b) {
  return _mm256_sub_ps(a, b);
}
VEC_INLINE Vec vec_mul(Vec a, Vec b) {
  return _mm256_mul_ps(a, b);
}
VEC_INLINE Vec vec_div(Vec a, Vec b) {
  return _mm256_div_ps(a, b);
}
VEC_INLINE Vec vec_fma(Vec a, Vec b, Vec c) {
  return _mm256_fmadd_ps(a, b, c);
}
VEC_INLINE Vec vec_fnma(Vec a, Vec b, Vec c) {
  return _mm256_fnmadd_ps(a, b, c);
}
VEC_INLINE Vec vec_max(Vec a, Vec b) {
  return _mm256_max_ps(a, b);
}
VEC_INLINE Vec vec_min(Vec a, Vec b) {
  return _mm256_min_ps(a, b);
}
VEC_INLINE Vec vec_sqrt(Vec a) {
  return _mm256_sqrt_ps(a);
}
VEC_INLINE Vec vec_abs(Vec a) {
  return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
VEC_INLINE Vec vec_select_gt(Vec a, Vec b, Vec yes, Vec no) {
  return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
}
VEC_INLINE Vec vec_select_ge(Vec a, Vec b, Vec yes, Vec no) {
  return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_GE_OQ));
}
VEC_INLINE Vec vec_select_eq(Vec a, Vec b, Vec yes, Vec no) {
  return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_EQ_OQ));
}
VEC_INLINE Vec vec_round(Vec a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VEC_INLINE Vec vec_exp2_whole(Vec whole) {
  __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}
VEC_INLINE Vec vec_copysign(Vec a, Vec b) {
  Vec sign = _mm256_set1_ps(-0.0f);
  return _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, b));
}
VEC_INLINE Vec vec_split_exponent(Vec a, Vec *mantissa) {
  __m256i bits = _mm256_castps_si256(a);
  *mantissa = _mm256_castsi256_ps(
      _mm256_or_si256(_mm256_and_si256(bits, _mm256_set1_epi32(0x007fffff)), _mm256_set1_epi32(0x3f800000)));
  return _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(127)));
}

#elif VEC_ISA == ISA_NEON
#define VEC_WIDTH     4
#define VEC_REGISTERS 32
typedef float32x4_t Vec;

VEC_INLINE Vec vec_set(float value) {
  return vdupq_n_f32(value);
}
VEC_INLINE Vec vec_load(const float *from) {
  return vld1q_f32(from);
}
VEC_INLINE void vec_store(float *to, Vec v) {
  vst1q_f32(to, v);
}
VEC_INLINE Vec vec_load_part(const float *from, int count) {
  float lanes[4] = {0};
  memcpy(lanes, from, (size_t)count * sizeof(float));
  return vld1q_f32(lanes);
}
VEC_INLINE void vec_store_part(float *to, Vec v, int count) {
  float lanes[4];
  vst1q_f32(lanes, v);
  memcpy(to, lanes, (size_t)count * sizeof(float));
}
VEC_INLINE Vec vec_add(Vec a, Vec b) {
  return vaddq_f32(a, b);
}
VEC_INLINE Vec vec_sub(Vec a, Vec b) {
  return vsubq_f32(a, b);
}
VEC_INLINE Vec vec_mul(Vec a, Vec b) {
  return vmulq_f32(a, b);
}
VEC_INLINE Vec vec_div(Vec a, Vec b) {
  return vdivq_f32(a, b);
}
VEC_INLINE Vec vec_fma(Vec a, Vec b, Vec c) {
  return vfmaq_f32(c, a, b);
}
VEC_INLINE Vec vec_fnma(Vec a, Vec b, Vec c) {
  return vfmsq_f32(c, a, b);
}
VEC_INLINE Vec vec_max(Vec a, Vec b) {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}
VEC_INLINE Vec vec_min(Vec a, Vec b) {
  return vbslq_f32(vcltq_f32(a, b), a, b);
}
VEC_INLINE Vec vec_sqrt(Vec a) {
  return vsqrtq_f32(a);
}
VEC_INLINE Vec vec_abs(Vec a) {
  return vabsq_f32(a);
}
VEC_INLINE Vec vec_select_gt(Vec a, Vec b, Vec yes, Vec no) {
  return vbslq_f32(vcgtq_f32(a, b), yes, no);
}
VEC_INLINE Vec vec_select_ge(Vec a, Vec b, Vec yes, Vec no) {
  return vbslq_f32(vcgeq_f32(a, b), yes, no);
}
VEC_INLINE Vec vec_select_eq(Vec a, Vec b, Vec yes, Vec no) {
  return vbslq_f32(vceqq_f32(a, b), yes, no);
}
VEC_INLINE Vec vec_round(Vec a) {
  return vrndnq_f32(a);
}
VEC_INLINE Vec vec_exp2_whole(Vec whole) {
  return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(whole), vdupq_n_s32(127)), 23));
}
VEC_INLINE Vec vec_copysign(Vec a, Vec b) {
  return vbslq_f32(vdupq_n_u32(0x80000000u), b, a);
}
VEC_INLINE Vec vec_split_exponent(Vec a, Vec *mantissa) {
  uint32x4_t bits = vreinterpretq_u32_f32(a);
  *mantissa =
      vreinterpretq_f32_u32(vorrq_u32(vandq_u32(bits, vdupq_n_u32(0x007fffff)), vdupq_n_u32(0x3f800000)));
  return vcvtq_f32_s32(vsubq_s32(vreinterpretq_s32_u32(vshrq_n_u32(bits, 23)), vdupq_n_s32(127)));
}

#else
#ifndef VEC_WIDTH /* tests ask for 16: the tiles of AVX-512 on any processor */
#define VEC_WIDTH 8
#endif
#define VEC_REGISTERS (2 * VEC_WIDTH)
typedef struct Vec {
  float lane[VEC_WIDTH];
} Vec;

VEC_INLINE Vec vec_set(float value) {
  Vec v;
  for (int i = 0; i < VEC_WIDTH; i++)
    v.lane[i] = value;
  return v;
}
VEC_INLINE Vec vec_load(const float *from) {
  Vec v;
  memcpy(v.lane, from, sizeof v.lane);
  return v;
}
VEC_INLINE void vec_store(float *to, Vec v) {
  memcpy(to, v.lane, sizeof v.lane);
}
VEC_INLINE Vec vec_load_part(const float *from, int count) {
  Vec v;
  for (int i = 0; i < VEC_WIDTH; i++)
    v.lane[i] = i < count ? from[i] : 0.0f;
  return v;
}
VEC_INLINE void vec_store_part(float *to, Vec v, int count) {
  for (int i = 0; i < count; i++)
    to[i] = v.lane[i];
}
VEC_INLINE Vec vec_add(Vec a, Vec b) {
  for (int i = 0; i < VEC_WIDTH; i++)
    a.lane[i] += b.lane[i];
  return a;
}
VEC_INLINE Vec vec_sub(Vec a, Vec b) {
  for (int i = 0; i < VEC_WIDTH; i++)
    a.lane[i] -= b.lane[i];
  return a;
}
VEC_INLINE Vec vec_mul(Vec a, Vec b) {
  for (int i = 0; i < VEC_WIDTH; i++)
    a.lane[i] *= b.lane[i];
  return a;
}
VEC_INLINE Vec vec_div(Vec a, Vec b) {
  for (int i = 0; i < VEC_WIDTH; i++)
    a.lane[i] /= b.lane[i];
  return a;
}
VEC_INLINE Vec vec_fma(Vec a, Vec b, Vec c) {
  for (int i = 0; i < VEC_WIDTH; i++)
    c.lane[i] += a.lane[i] * b.lane[i];
  return c;
}
VEC_INLINE Vec vec_fnma(Vec a, Vec b, Vec c) {
  for (int i = 0; i < VEC_WIDTH; i++)
    c.lane[i] -= a.lane[i] * b.lane[i];
  return c;
}
VEC_INLINE Vec vec_max(Vec a, Vec b) {
  for (int i = 0; i < VEC_WIDTH; i++)
    a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
  return a;
}
VEC_INLINE Vec vec_min(Vec a, Vec b) {
  for (int i = 0; i < VEC_WIDTH; i++)
    a.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];
  return a;
}
VEC_INLINE Vec vec_sqrt(Vec a) {
  for (int i = 0; i < VEC_WIDTH; i++)
    a.lane[i] = sqrtf(a.lane[i]);
  return a;
}
VEC_INLINE Vec vec_abs(Vec a) {
  for (int i = 0; i < VEC_WIDTH; i++)
    a.lane[i] = fabsf(a.lane[i]);
  return a;
}
VEC_INLINE Vec vec_select_gt(Vec a, Vec b, Vec yes, Vec no) {
  for (int i = 0; i < VEC_WIDTH; i++)
    no.lane[i] = a.lane[i] > b.lane[i] ? yes.lane[i] : no.lane[i];
  return no;
}
VEC_INLINE Vec vec_select_ge(Vec a, Vec b, Vec yes, Vec no) {
  for (int i = 0; i < VEC_WIDTH; i++)
    no.lane[i] = a.lane[i] >= b.lane[i] ? yes.lane[i] : no.lane[i];
  return no;
}
VEC_INLINE Vec vec_select_eq(Vec a, Vec b, Vec yes, Vec no) {
  for (int i = 0; i < VEC_WIDTH; i++)
    no.lane[i] = a.lane[i] == b.lane[i] ? yes.lane[i] : no.lane[i];
  return no;
}
/* Adding and taking away 1.5 * 2^23 rounds magnitudes below 2^22 (all this is used for). */
VEC_INLINE Vec vec_round(Vec a) {
  for (int i = 0; i < VEC_WIDTH; i++) {
    volatile float shifted = a.lane[i] + 12582912.0f;
    a.lane[i] = fabsf(a.lane[i]) < 4194304.0f ? shifted - 12582912.0f : a.lane[i];
  }
  return a;
}
VEC_INLINE Vec vec_exp2_whole(Vec whole) {
  for (int i = 0; i < VEC_WIDTH; i++) {
    uint32_t bits = (uint32_t)((int32_t)whole.lane[i] + 127) << 23;
    memcpy(&whole.lane[i], &bits, sizeof bits);
  }
  return whole;
}
VEC_INLINE Vec vec_copysign(Vec a, Vec b) {
  for (int i = 0; i < VEC_WIDTH; i++)
    a.lane[i] = copysignf(a.lane[i], b.lane[i]);
  return a;
}
VEC_INLINE Vec vec_split_exponent(Vec a, Vec *mantissa) {
  Vec exponent;
  for (int i = 0; i < VEC_WIDTH; i++) {
    uint32_t bits;
    memcpy(&bits, &a.lane[i], sizeof bits);
    exponent.lane[i] = (float)((int32_t)(bits >> 23) - 127);
    bits = (bits & 0x007fffffu) | 0x3f800000u;
    memcpy(&mantissa->lane[i], &bits, sizeof bits);
  }
  return exponent;
}
#endif

VEC_INLINE Vec vec_zero(void) {
  return vec_set(0.0f);
}
/* vec_stream stores past the caches, to an address that is a multiple of the vector's size: a line that is
 * overwritten as a whole need not be read first.  For arrays of VEC_FAR_FLOATS or more, of which nothing
 * would be left in the caches when it is read.  vec_stream_end comes before another thread may read them. */
#ifndef VEC_FAR_FLOATS
#define VEC_FAR_FLOATS 6000000
#endif
#if VEC_ISA == ISA_AVX512 || VEC_ISA == ISA_AVX2
VEC_INLINE void vec_stream_end(void) {
  _mm_sfence();
}
#else
VEC_INLINE void vec_stream(float *to, Vec v) {
  vec_store(to, v);
}
VEC_INLINE void vec_stream_end(void) {
}
#endif
/* Whether rows of c floats each from `to` on can be streamed, vector by vector. */
static inline bool vec_streams(const float *to, int64_t c) {
  return c % VEC_WIDTH == 0 && (uintptr_t)to % (VEC_WIDTH * sizeof(float)) == 0;
}
/* As many lanes as are left, 1 <= count; VEC_WIDTH of them where there are more. */
VEC_INLINE Vec vec_load_upto(const float *from, int64_t count) {
  return count >= VEC_WIDTH ? vec_load(from) : vec_load_part(from, (int)count);
}
VEC_INLINE void vec_store_upto(float *to, Vec v, int64_t count) {
  if (count >= VEC_WIDTH)
    vec_store(to, v);
  else
    vec_store_part(to, v, (int)count);
}
/* A vector that was loaded, as it is: with AVX-512 a compiler may else fold a selection into the load, which
 * then waits until the condition is known and cannot be on its way before. */
VEC_INLINE Vec vec_loaded(Vec v) {
#if VEC_ISA == ISA_AVX512 && (defined(__GNUC__) || defined(__clang__))
  __asm__("" : "+v"(v));
#endif
  return v;
}
/* Lanes that are whole numbers below 256 as bytes: the first `count` lanes, others read as zero. */
VEC_INLINE Vec vec_load_bytes(const unsigned char *from, int64_t count) {
#if VEC_ISA == ISA_AVX512
  if (count >= VEC_WIDTH)
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from)));
#elif VEC_ISA == ISA_AVX2
  if (count >= VEC_WIDTH)
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)from)));
#endif
  float lanes[VEC_WIDTH];
  for (int i = 0; i < VEC_WIDTH; i++)
    lanes[i] = i < count ? (float)from[i] : 0.0f;
  return vec_load(lanes);
}
VEC_INLINE void vec_store_bytes(unsigned char *to, Vec v, int64_t count) {
#if VEC_ISA == ISA_AVX512
  if (count >= VEC_WIDTH) {
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
    return;
  }
#endif
  float lanes[VEC_WIDTH];
  vec_store(lanes, v);
  for (int i = 0; i < VEC_WIDTH && i < count; i++)
    to[i] = (unsigned char)lanes[i];
}
/* Sum of all lanes, pairwise: the same order on every run. */
VEC_INLINE float vec_sum(Vec v) {
  float lanes[VEC_WIDTH];
  vec_store(lanes, v);
  for (int half = VEC_WIDTH / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++)
      lanes[i] += lanes[i + half];
  return lanes[0];
}
VEC_INLINE float vec_max_lane(Vec v) {
  float lanes[VEC_WIDTH];
  vec_store(lanes, v);
  float most = lanes[0];
  for (int i = 1; i < VEC_WIDTH; i++)
    most = lanes[i] > most ? lanes[i] : most;
  return most;
}
#endif
