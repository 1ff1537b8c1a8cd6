#define _POSIX_C_SOURCE 200809L
#include "process.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;
static volatile pid_t running; /* the program at work, for the handler; 0: none */

static void stop(int signal) {
  interrupted = signal;
  if (running > 0)
    kill(running, SIGTERM);
}

static const int caught[] = {SIGINT, SIGTERM, SIGHUP};
enum { CAUGHT = sizeof caught / sizeof *caught };

/* Signals that were ignored when netc was started stay so. */
static void catch_signals(struct sigaction *before) {
  struct sigaction own = {.sa_handler = stop};
  sigemptyset(&own.sa_mask);
  for (int i = 0; i < CAUGHT; i++) {
    sigaction(caught[i], NULL, &before[i]);
    if (before[i].sa_handler != SIG_IGN)
      sigaction(caught[i], &own, NULL);
  }
}

static void release_signals(const struct sigaction *before) {
  for (int i = 0; i < CAUGHT; i++)
    sigaction(caught[i], &before[i], NULL);
}

bool process_interrupted(void) {
  return interrupted;
}

/* Both ends close by themselves when a program starts. */
static bool make_pipe(int *ends) {
  if (pipe(ends))
    return false;
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  return true;
}

/* Hands over whole lines; a last one without its end is dropped: the program did not finish it. */
static void read_lines(int from, void (*take)(void *context, const char *line), void *context) {
  char line[1024];
  size_t length = 0;
  for (;;) {
    ssize_t got = read(from, line + length, sizeof line - 1 - length);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return;
    length += (size_t)got;
    line[length] = 0;
    for (char *end; (end = strchr(line, '\n'));) {
      *end = 0;
      take(context, line);
      length -= (size_t)(end + 1 - line);
      memmove(line, end + 1, length + 1);
    }
    if (length == sizeof line - 1)
      length = 0;
  }
}

/* The child's side: never returns. */
static void become(char *const *argv, const sigset_t *mask, int out, int failure) {
  if (out >= 0)
    dup2(out, STDOUT_FILENO);
  sigprocmask(SIG_SETMASK, mask, NULL);
  execvp(argv[0], argv);
  int error = errno;
  ssize_t written = write(failure, &error, sizeof error);
  _exit(written == sizeof error ? PROCESS_NOT_STARTED : 1);
}

/* What `wait` says, as an exit code. */
static int code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + (WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

int process_run(char *const *argv, void (*take)(void *context, const char *line), void *context) {
  struct sigaction before[CAUGHT];
  sigset_t all, mask;
  int out[2] = {-1, -1}, failure[2], status = 0, error = 0;
  if (interrupted)
    return PROCESS_INTERRUPTED;
  if (!make_pipe(failure))
    return PROCESS_NOT_STARTED;
  if (take && !make_pipe(out)) {
    close(failure[0]);
    close(failure[1]);
    return PROCESS_NOT_STARTED;
  }
  fflush(NULL);
  catch_signals(before);
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &mask); /* until `running` says whom to end */
  pid_t child = fork();
  if (!child)
    become(argv, &mask, out[1], failure[1]);
  running = child;
  sigprocmask(SIG_SETMASK, &mask, NULL);
  close(failure[1]);
  if (take) {
    close(out[1]);
    if (child > 0)
      read_lines(out[0], take, context);
    close(out[0]);
  }
  error = child < 0 ? errno : 0;
  while (child > 0 && waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      error = errno, child = -1;
  running = 0;
  release_signals(before);
  ssize_t got = error ? 0 : read(failure[0], &error, sizeof error);
  close(failure[0]);
  if (interrupted)
    return PROCESS_INTERRUPTED;
  errno = error;
  return error || got > 0 ? PROCESS_NOT_STARTED : code_of(status);
}
