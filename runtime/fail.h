/* A reason why something did not work, for the person at the terminal.  Functions that can fail take a Fail, fill it
 * with one sentence that names file and reason, and return false (or NULL). */
#ifndef NETC_RUNTIME_FAIL_H
#define NETC_RUNTIME_FAIL_H
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct Fail {
  char text[4096];
} Fail;

/* Sets the text as printf does; always false, so that `return fail_set(...)` reads well.  `fail` may be NULL. */
static bool fail_set(Fail *fail, const char *format, ...) {
  if (fail) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fail->text, sizeof fail->text, format, arguments);
    va_end(arguments);
  }
  return false;
}
#endif
