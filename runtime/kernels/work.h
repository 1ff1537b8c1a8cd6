/* What a kernel may use besides its operands, and how loops are spread over threads. */
#ifndef NETC_KERNELS_WORK_H
#define NETC_KERNELS_WORK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
 * WORK_PARALLEL_CALLS(work), and WORK_TASKS below. */
#ifdef _OPENMP
#define WORK_PRAGMA(text) _Pragma(#text)
#define WORK_PARALLEL_CALLS(work) WORK_PRAGMA(omp parallel for schedule(static) num_threads((work)->threads))
#define WORK_TEAM(work) WORK_PRAGMA(omp parallel num_threads((work)->threads))
#else
#define WORK_PARALLEL_CALLS(work)
#define WORK_TEAM(work)
#endif
#if defined(__clang__) && (ISA_SEVERAL || ISA_CHOSEN > ISA_FLAGS)
#define WORK_PARALLEL_FOR(work)
#else
#define WORK_PARALLEL_FOR(work) WORK_PARALLEL_CALLS(work)
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
/* Tasks whose lengths differ, or whose threads are held up: the list is cut into a run for each thread, and
 * who is done with its own takes tasks from the others'.  Kernels list their tasks by pixels, so that a
 * thread has the same part of an image in one kernel after the other and finds in its cache what it wrote
 * there. */
enum { WORK_RUNS = 64, WORK_LINE = 8 }; /* a counter to a line of the cache */

typedef struct WorkQueue {
  int runs;
  int64_t tasks;
  int64_t next[WORK_RUNS * WORK_LINE]; /* of each run */
} WorkQueue;

/* What a thread is at. */
typedef struct WorkTurn {
  int64_t task, first; /* the task, and the first of the run it comes from */
  int run, left;       /* that run, and how many runs may have tasks left */
  int64_t taken;       /* tasks that the thread has had, this one among them */
} WorkTurn;

static inline int64_t work_run_begin(const WorkQueue *queue, int run) {
  return queue->tasks * run / queue->runs;
}

static inline void work_queue(const Work *work, int64_t tasks, WorkQueue *queue) {
  queue->runs = work->threads < WORK_RUNS ? work->threads : WORK_RUNS;
  queue->tasks = tasks;
  for (int run = 0; run < queue->runs; run++)
    queue->next[run * WORK_LINE] = work_run_begin(queue, run);
}

static inline WorkTurn work_turn(const Work *work, const WorkQueue *queue) {
  return (WorkTurn){.run = work_thread(work) % queue->runs, .left = queue->runs};
}

/* The thread's next task; false when there is none. */
static inline bool work_take(WorkQueue *queue, WorkTurn *turn) {
  while (turn->left > 0) {
    turn->first = work_run_begin(queue, turn->run);
    int64_t *next = &queue->next[turn->run * WORK_LINE];
#ifdef _OPENMP
#pragma omp atomic capture
#endif
    turn->task = (*next)++;
    if (turn->task < work_run_begin(queue, turn->run + 1)) {
      turn->taken++;
      return true;
    }
    turn->run = (turn->run + 1) % queue->runs;
    turn->left--;
  }
  return false;
}

/* The next number of tasks from `tasks` on that makes runs of one length. */
static inline int64_t work_even(const Work *work, int64_t tasks) {
  return (tasks + work->threads - 1) / work->threads * work->threads;
}

/* WORK_TASKS(work, turn, tasks) before a statement: all threads run it for turn.task in [0, tasks). */
#define WORK_TASKS(work, turn, count)                                                                        \
  WorkQueue turn##_queue;                                                                                    \
  work_queue(work, count, &turn##_queue);                                                                    \
  WORK_TEAM(work)                                                                                            \
  for (WorkTurn turn = work_turn(work, &turn##_queue); work_take(&turn##_queue, &turn);)
#endif
