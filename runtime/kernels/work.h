/* What a kernel may use besides its operands, and how loops are spread over threads. */
#ifndef NETC_KERNELS_WORK_H
#define NETC_KERNELS_WORK_H
#include <stddef.h>

#include "isa.h"
#ifdef _OPENMP
#include <omp.h>
#endif

typedef struct Work {
  int threads;           /* at least 1 */
  float *scratch;        /* threads * scratch_floats, 64-byte aligned */
  size_t scratch_floats; /* per thread, a multiple of 16 */
} Work;

/* WORK_PARALLEL_FOR(work) before a for loop: iterations are split among the threads.  Results never depend on
 * the number of threads: an output element is summed by one iteration, in one order.
 *
 * Clang makes a function of the body of a parallel loop and does not aim it at the instruction set of the
 * function around it.  Where the compiler's own flags (-march) do not name the set, such loops are therefore
 * run by one thread, but for those whose bodies have no vectors and only call functions that do:
 * WORK_PARALLEL_CALLS(work). */
#ifdef _OPENMP
#define WORK_PRAGMA(text) _Pragma(#text)
#define WORK_PARALLEL_CALLS(work) WORK_PRAGMA(omp parallel for schedule(static) num_threads((work)->threads))
#define WORK_PARALLEL_CALLS_DYNAMIC(work) WORK_PRAGMA(omp parallel for schedule(dynamic) num_threads((work)->threads))
#else
#define WORK_PARALLEL_CALLS(work)
#define WORK_PARALLEL_CALLS_DYNAMIC(work)
#endif
#if defined(__clang__) && (ISA_SEVERAL || ISA_CHOSEN > ISA_FLAGS)
#define WORK_PARALLEL_FOR(work)
#define WORK_PARALLEL_FOR_DYNAMIC(work)
#else
#define WORK_PARALLEL_FOR(work)         WORK_PARALLEL_CALLS(work)
#define WORK_PARALLEL_FOR_DYNAMIC(work) WORK_PARALLEL_CALLS_DYNAMIC(work)
#endif

/* The number of the calling thread, below `threads`, inside or outside a parallel loop.  Outside, the thread
 * may have any number in a team of the caller's own. */
static inline int work_thread(const Work *work) {
#ifdef _OPENMP
  return omp_get_thread_num() % work->threads;
#else
  (void)work;
  return 0;
#endif
}

/* The calling thread's own scratch. */
static inline float *work_scratch(const Work *work) {
  return work->scratch + (size_t)work_thread(work) * work->scratch_floats;
}
#endif
