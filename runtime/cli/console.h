/* Lines for the person at the terminal.  Results go to standard output, everything else to standard error. */
#ifndef NETC_CLI_CONSOLE_H
#define NETC_CLI_CONSOLE_H
#include "../system.h"

static void console_line(const char *kind, const char *format, va_list args) {
  fflush(stdout);
  fputs(kind, stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
}

static void console_warn(const char *format, ...) {
  va_list args;
  va_start(args, format);
  console_line("warning: ", format, args);
  va_end(args);
}

static void console_note(const char *format, ...) {
  va_list args;
  va_start(args, format);
  console_line("", format, args);
  va_end(args);
}

/* Says "error: ..." and returns exit code 1. */
static int console_fail(const Fault *fault) {
  fflush(stdout);
  fprintf(stderr, "error: %s\n", fault->text);
  return 1;
}

/* "1.5 GB", in one of four rotating buffers. */
static const char *console_bytes(double bytes) {
  static char texts[4][32];
  static int turn;
  char *text = texts[turn++ & 3];
  const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
  int unit = 0;
  for (; bytes >= 1000 && unit < 4; unit++)
    bytes /= 1000;
  snprintf(text, sizeof texts[0], unit && bytes < 100 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
  return text;
}

/* "3:20" or "12 s", in one of four rotating buffers. */
static const char *console_duration(double seconds) {
  static char texts[4][32];
  static int turn;
  char *text = texts[turn++ & 3];
  long whole = (long)(seconds + .5);
  if (seconds < 10)
    snprintf(text, sizeof texts[0], "%.1f s", seconds);
  else if (whole < 100)
    snprintf(text, sizeof texts[0], "%ld s", whole);
  else if (whole < 3600)
    snprintf(text, sizeof texts[0], "%ld:%02ld", whole / 60, whole % 60);
  else
    snprintf(text, sizeof texts[0], "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  return text;
}

/* A JSON string with its quotes. */
static void console_json_text(FILE *out, const char *text) {
  fputc('"', out);
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\')
      fprintf(out, "\\%c", c);
    else if (c < 32)
      fprintf(out, "\\u%04x", c);
    else
      fputc(c, out);
  }
  fputc('"', out);
}
#endif
