/* Instruction sets: the one that kernels are compiled for, and those that the processor has.
 *
 * VEC_ISA is the set that vec.h writes in.  Without more it follows the compiler's flags (ISA_FLAGS).
 * ISA_ONLY asks for one set whatever the flags; ISA_SEVERAL is 1 where neither names one and this compiler
 * can aim single functions at a processor: an emitted file then compiles its kernels once per set, and
 * chooses in model_create. NETC_PORTABLE forces plain C. */
#ifndef NETC_KERNELS_ISA_H
#define NETC_KERNELS_ISA_H
#include <stdbool.h>

#define ISA_PORTABLE 0
#define ISA_NEON     1
#define ISA_AVX2     2 /* and FMA */
#define ISA_AVX512   3 /* F, BW, DQ, VL, as every processor with more than F has them */

#if defined(NETC_PORTABLE)
#define ISA_FLAGS ISA_PORTABLE
#elif defined(__AVX512F__)
#define ISA_FLAGS ISA_AVX512
#elif defined(__AVX2__) && defined(__FMA__)
#define ISA_FLAGS ISA_AVX2
#elif defined(__ARM_NEON) && defined(__aarch64__)
#define ISA_FLAGS ISA_NEON
#else
#define ISA_FLAGS ISA_PORTABLE
#endif

#if defined(__GNUC__) && defined(__x86_64__) && !defined(NETC_PORTABLE)
#define ISA_TARGETS 1
#include <cpuid.h>
#include <immintrin.h>
#else
#define ISA_TARGETS 0
#endif
#if ISA_FLAGS == ISA_NEON
#include <arm_neon.h>
#endif

#if defined(ISA_ONLY) && !defined(NETC_PORTABLE)
#define ISA_SEVERAL 0
#define ISA_CHOSEN  ISA_ONLY
#else
#define ISA_SEVERAL (ISA_TARGETS && ISA_FLAGS == ISA_PORTABLE)
#define ISA_CHOSEN  ISA_FLAGS
#endif
#if (ISA_CHOSEN >= ISA_AVX2 && !ISA_TARGETS) || (ISA_CHOSEN == ISA_NEON && ISA_FLAGS != ISA_NEON)
#error "made for another processor: compile with -DNETC_PORTABLE, or emit it again with --isa auto"
#endif
#ifndef VEC_ISA
#define VEC_ISA ISA_CHOSEN
#endif

#if ISA_TARGETS
/* Which vector registers the operating system saves: extended control register 0. */
static unsigned isa_saved_registers(void) {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}
#endif

/* Whether this processor, and the system on it, has an instruction set that this file can hold.  Asks the
 * processor itself (Intel's manual, volume 2, CPUID): nothing global is read or written. */
static inline bool isa_here(int isa) {
  if (isa < ISA_AVX2)
    return true;
#if ISA_TARGETS
  unsigned a, b, c, d;
  const unsigned fma = 1u << 12, xsave = 1u << 27, avx = 1u << 28, avx2 = 1u << 5;
  const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (fma | xsave | avx)) != (fma | xsave | avx))
    return false;
  unsigned saved = isa_saved_registers();
  if ((saved & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & avx2))
    return false;
  return isa == ISA_AVX2 || ((saved & 0xe6) == 0xe6 && (b & avx512) == avx512);
#else
  return false;
#endif
}

/* The name that --isa knows it by. */
static inline const char *isa_name(int isa) {
  return isa == ISA_AVX512 ? "avx512" : isa == ISA_AVX2 ? "avx2" : isa == ISA_NEON ? "neon" : "portable";
}
#endif
