/* WORK_TASKS of work.h: every task once, whatever the numbers of tasks and threads. */
#include "kernel_test.h"
#include "kernels/work.h"

static void do_task(const WorkTurn *turn, int *times) {
#ifdef _OPENMP
#pragma omp atomic
#endif
  times[turn->task]++;
}

Test(work, every_task_once) {
  const int tasks[] = {0, 1, 2, 5, 64, 1000}, threads[] = {1, 2, 3, 7, WORK_RUNS + 6};
  for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
    for (size_t j = 0; j < sizeof threads / sizeof *threads; j++) {
      Work work = {.threads = threads[j]};
      int times[1001] = {0};
      WORK_TASKS(&work, turn, tasks[i])
        do_task(&turn, times);
      for (int task = 0; task < 1001; task++)
        cr_assert(times[task] == (task < tasks[i]), "%d threads, %d tasks: task %d done %d times", threads[j],
                  tasks[i], task, times[task]);
    }
}

/* A thread that is held up keeps its task, the others take the rest of its run. */
Test(work, runs_of_the_slow_are_taken) {
  Work work = {.threads = 2};
  WorkQueue queue;
  work_queue(&work, 10, &queue);
  WorkTurn slow = {.left = 2}, fast = {.run = 1, .left = 2};
  cr_assert(work_take(&queue, &slow) && slow.task == 0 && slow.first == 0);
  for (int i = 0; i < 9; i++) {
    cr_assert(work_take(&queue, &fast));
    cr_assert(fast.task == (i < 5 ? 5 + i : i - 4) && fast.first == (i < 5 ? 5 : 0));
  }
  cr_assert(!work_take(&queue, &fast) && !work_take(&queue, &slow));
}
