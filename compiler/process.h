/* Programs that netc starts: the C compiler, and what it made. */
#ifndef NETC_PROCESS_H
#define NETC_PROCESS_H
#include <stdbool.h>

enum { PROCESS_NOT_STARTED = 127, PROCESS_INTERRUPTED = 130 };

/* Runs argv[0], found by PATH, and waits for it.  `take`, unless NULL, gets every line that it prints,
 * without its end.  Returns its exit code, 128 + the number of the signal that ended it, PROCESS_NOT_STARTED
 * with errno set, or PROCESS_INTERRUPTED where netc was asked to stop (SIGINT, SIGQUIT, SIGTERM, SIGHUP):
 * the program and all that it started are ended then, and later calls start nothing. */
int process_run(char *const *argv, void (*take)(void *context, const char *line), void *context);
bool process_interrupted(void);
#endif
