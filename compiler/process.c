#define _POSIX_C_SOURCE 200809L
#include "process.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;
static volatile pid_t running; /* the program at work, for the handler; 0: none.  Leads a group of its own */

static void stop(int signal) {
  interrupted = signal;
  /* All that it started too: a compiler driver ends and lets its compiler run on. */
  if (running > 0)
    kill(-running, SIGTERM);
}

static const int caught[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
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

/* Both ends close by themselves when a program starts; `inherited`: but for the one to write. */
static bool make_pipe(int *ends, bool inherited) {
  if (pipe(ends)) {
    ends[0] = ends[1] = -1;
    return false;
  }
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  if (!inherited)
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  return true;
}

static void close_pipe(const int *ends) {
  for (int i = 0; i < 2; i++)
    if (ends[i] >= 0)
      close(ends[i]);
}

/* Whether all that hold the other end of `alive` have closed it, which they do when they end, within the
 * time. */
static bool all_ended(int alive, int milliseconds) {
  struct pollfd end = {.fd = alive, .events = POLLIN};
  int found;
  while ((found = poll(&end, 1, milliseconds)) < 0 && errno == EINTR)
    continue;
  return found != 0;
}

/* After the leader of a group that was asked to end: waits for the others, and ends those that do not listen.
 */
static void end_group(pid_t group, int alive) {
  if (all_ended(alive, 2000))
    return;
  kill(-group, SIGKILL);
  all_ended(alive, 2000);
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
  setpgid(0, 0);
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
  int out[2] = {-1, -1}, alive[2] = {-1, -1}, failure[2] = {-1, -1}, status = 0, error = 0;
  if (interrupted)
    return PROCESS_INTERRUPTED;
  if (!make_pipe(failure, false) || !make_pipe(alive, true) || (take && !make_pipe(out, false))) {
    error = errno;
    close_pipe(failure);
    close_pipe(alive);
    errno = error;
    return PROCESS_NOT_STARTED;
  }
  fflush(NULL);
  catch_signals(before);
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &mask); /* until `running` says whom to end */
  pid_t child = fork();
  if (!child)
    become(argv, &mask, out[1], failure[1]);
  error = child < 0 ? errno : 0;
  if (child > 0)
    setpgid(child, child); /* the child does so too: whoever is first */
  running = child;
  sigprocmask(SIG_SETMASK, &mask, NULL);
  close(failure[1]);
  close(alive[1]);
  if (take) {
    close(out[1]);
    if (child > 0)
      read_lines(out[0], take, context);
    close(out[0]);
  }
  while (child > 0 && waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      error = errno, child = -1;
  if (interrupted && child > 0)
    end_group(child, alive[0]);
  running = 0;
  release_signals(before);
  ssize_t got = error ? 0 : read(failure[0], &error, sizeof error);
  close(failure[0]);
  close(alive[0]);
  if (interrupted)
    return PROCESS_INTERRUPTED;
  errno = error;
  return error || got > 0 ? PROCESS_NOT_STARTED : code_of(status);
}
