/* Ctrl-C and SIGTERM: the first asks the loop to finish its step and save, the second ends the program at
 * once. */
#ifndef NETC_TRAIN_STOP_H
#define NETC_TRAIN_STOP_H
#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop_asked; /* how many signals so far */

static void stop_take(int number) {
  stop_asked = stop_asked + 1;
  if (stop_asked > 1)
    _exit(128 + number);
}

static void stop_watch(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = stop_take;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}
#endif
