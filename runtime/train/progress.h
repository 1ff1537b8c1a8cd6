/* What a person sees of the work: on a terminal one line that is redrawn, elsewhere (a file, a pipe) only the
 * finished lines. */
#ifndef NETC_TRAIN_PROGRESS_H
#define NETC_TRAIN_PROGRESS_H
#include <sys/ioctl.h>

#include "../cli/console.h"

typedef struct Progress {
  FILE *out; /* NULL: say nothing */
  bool terminal;
  double start, drawn;
  int64_t total, first; /* `first`: already done when the clock started */
  char head[64];
} Progress;

static void progress_begin(Progress *progress, FILE *out, int64_t total, int64_t done, const char *head) {
  *progress = (Progress){.out = out, .total = total, .first = done, .start = system_seconds()};
  progress->terminal = out && isatty(fileno(out));
  snprintf(progress->head, sizeof progress->head, "%s", head);
}

static int progress_columns(const Progress *progress) {
  struct winsize size;
  if (!ioctl(fileno(progress->out), TIOCGWINSZ, &size) && size.ws_col > 20)
    return size.ws_col;
  return 80;
}

/* Redraws the line, at most ten times a second. */
static void progress_show(Progress *progress, int64_t done, const char *values) {
  double now = system_seconds();
  if (!progress->terminal || (done < progress->total && now - progress->drawn < 0.1))
    return;
  progress->drawn = now;
  char bar[21], line[512];
  int filled = progress->total ? (int)(20 * done / progress->total) : 20;
  for (int i = 0; i < 20; i++)
    bar[i] = i < filled ? '=' : i == filled ? '>' : '.';
  bar[20] = 0;
  double spent = now - progress->start;
  double speed = spent > 0 ? (double)(done - progress->first) / spent : 0;
  double left = speed > 0 ? (double)(progress->total - done) / speed : 0;
  snprintf(line, sizeof line, "%s %lld/%lld [%s] %s left, %.0f images/s%s%s", progress->head, (long long)done,
           (long long)progress->total, bar, console_duration(left), speed, *values ? "  " : "", values);
  int columns = progress_columns(progress);
  if ((int)strlen(line) >= columns)
    line[columns - 1] = 0;
  fprintf(progress->out, "\r%s\033[K", line);
  fflush(progress->out);
}

/* The finished line that stays. */
static void progress_end(Progress *progress, int64_t done, const char *values) {
  if (!progress->out)
    return;
  double spent = system_seconds() - progress->start;
  double speed = spent > 0 ? (double)(done - progress->first) / spent : 0;
  fprintf(progress->out, "%s%s%s %s, %.0f images/s%s%s\n", progress->terminal ? "\r" : "", progress->head,
          progress->terminal ? "\033[K" : "", console_duration(spent), speed, *values ? "  " : "", values);
  fflush(progress->out);
}
#endif
