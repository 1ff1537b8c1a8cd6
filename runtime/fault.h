/* How runtime functions say what went wrong: false (or NULL) and one line of text that names the file and the
 * reason. */
#ifndef NETC_RUNTIME_FAULT_H
#define NETC_RUNTIME_FAULT_H
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct Fault {
  char text[4096];
} Fault;

/* Writes the text and returns false, so that `return fault_set(...)` reads well. */
static bool fault_set(Fault *fault, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(fault->text, sizeof fault->text, format, args);
  va_end(args);
  return false;
}
#endif
