#include "diag.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH_MAX = 110, TAB_WIDTH = 4 };

bool diag_full(const Diag *diag) {
  return diag->errors >= DIAG_ERROR_LIMIT;
}

static bool coloured(void) {
  return isatty(STDERR_FILENO) && !getenv("NO_COLOR");
}

/* Bytes of the UTF-8 sequence at `text`; a broken one counts byte by byte. */
static int sequence_bytes(const char *text, int left) {
  unsigned char first = (unsigned char)*text;
  int bytes = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF8 ? 4 : 1;
  if (bytes > left)
    return 1;
  for (int i = 1; i < bytes; i++)
    if (((unsigned char)text[i] & 0xC0) != 0x80)
      return 1;
  return bytes;
}

/* Columns on the screen: East Asian wide letters take two, marks that combine with the letter before none. */
static int screen_columns(const char *text, int bytes) {
  unsigned code = (unsigned char)*text;
  if (bytes > 1) {
    code &= 0xFFu >> (bytes + 1);
    for (int i = 1; i < bytes; i++)
      code = code << 6 | ((unsigned char)text[i] & 0x3F);
  }
  if ((code >= 0x300 && code <= 0x36F) || code == 0x200B || code == 0x200D ||
      (code >= 0xFE00 && code <= 0xFE0F))
    return 0;
  bool wide = (code >= 0x1100 && code <= 0x115F) || (code >= 0x2E80 && code <= 0xA4CF) ||
              (code >= 0xAC00 && code <= 0xD7A3) || (code >= 0xF900 && code <= 0xFAFF) ||
              (code >= 0xFE30 && code <= 0xFE6F) || (code >= 0xFF00 && code <= 0xFF60) ||
              (code >= 0x1F300 && code <= 0x1FAFF);
  return wide ? 2 : 1;
}

/* The line of the span and a caret range below it.  A long line is cut around the range; tabs become blanks.
 */
static void print_source(Span at, const char *colour) {
  const char *text = at.source->text;
  int length = (int)at.source->length;
  int begin = at.begin > length ? length : at.begin, first = begin, last = begin;
  while (first > 0 && text[first - 1] != '\n')
    first--;
  while (last < length && text[last] != '\n')
    last++;
  int end = at.end > last ? last : at.end;
  bool cut_left = last - first > WIDTH_MAX && begin - first > WIDTH_MAX * 2 / 3;
  int from = cut_left ? begin - WIDTH_MAX / 3 : first;
  while (from > first && ((unsigned char)text[from] & 0xC0) == 0x80)
    from--;
  int line, column;
  source_position(at.source, begin, &line, &column);
  int margin = fprintf(stderr, "%5d | ", line) - 2;
  int shown = cut_left ? fprintf(stderr, "...") : 0, before = shown, range = 0;
  int i = from;
  for (; i < last && shown < WIDTH_MAX;) {
    int bytes = sequence_bytes(text + i, last - i), columns = screen_columns(text + i, bytes);
    unsigned char byte = (unsigned char)text[i];
    if (byte == '\t') {
      columns = TAB_WIDTH - shown % TAB_WIDTH;
      fprintf(stderr, "%*s", columns, "");
    } else if (byte < ' ' || byte == 127 || (bytes == 1 && byte >= 0x80)) {
      fputc(byte == '\r' ? ' ' : '?', stderr);
      columns = 1;
    } else {
      fwrite(text + i, 1, (size_t)bytes, stderr);
    }
    shown += columns;
    if (i < begin)
      before += columns;
    else if (i < end)
      range += columns;
    i += bytes;
  }
  if (i < last)
    fprintf(stderr, "...");
  fprintf(stderr, "\n%*s| %*s%s", margin, "", before, "", coloured() ? colour : "");
  for (int k = 0; k < (range ? range : 1); k++)
    fputc('^', stderr);
  fprintf(stderr, "%s\n", coloured() ? "\033[0m" : "");
}

static void print(const Diag *diag, Span at, const char *colour, const char *what, const char *format,
                  va_list args) {
  if (diag->quiet)
    return;
  bool colours = coloured();
  if (at.source) {
    int line, column;
    source_position(at.source, at.begin, &line, &column);
    fprintf(stderr, "%s:%d:%d: ", at.source->path, line, column);
  } else {
    fprintf(stderr, "netc: ");
  }
  fprintf(stderr, "%s%s:%s ", colours ? colour : "", what, colours ? "\033[0m" : "");
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  if (at.source)
    print_source(at, colour);
}

void diag_error(Diag *diag, Span at, const char *format, ...) {
  if (diag_full(diag)) {
    diag->muted = true;
    return;
  }
  diag->muted = false;
  va_list args;
  va_start(args, format);
  print(diag, at, "\033[1;31m", "error", format, args);
  va_end(args);
  if (++diag->errors == DIAG_ERROR_LIMIT && !diag->quiet)
    fprintf(stderr, "netc: stopped after %d errors\n", DIAG_ERROR_LIMIT);
}

/* True where `code` is one of the comma-separated codes of a list. */
static bool listed(const char *list, const char *code) {
  size_t length = strlen(code);
  for (const char *at = list; at && *at;) {
    at += strspn(at, ", ");
    size_t word = strcspn(at, ", ");
    if (word == length && !strncmp(at, code, length))
      return true;
    at += word;
  }
  return false;
}

void diag_warn(Diag *diag, Span at, const char *code, const char *format, ...) {
  diag->muted = diag_full(diag) || (diag->silenced && listed(diag->silenced, code));
  if (diag->muted)
    return;
  char what[64];
  snprintf(what, sizeof what, "warning %s", code);
  va_list args;
  va_start(args, format);
  print(diag, at, "\033[1;35m", what, format, args);
  va_end(args);
  diag->warnings++;
}

void diag_note(Diag *diag, Span at, const char *format, ...) {
  if (diag->muted)
    return;
  va_list args;
  va_start(args, format);
  print(diag, at, "\033[1;36m", "note", format, args);
  va_end(args);
}

void diag_help(Diag *diag, const char *format, ...) {
  if (diag->muted || diag->quiet)
    return;
  va_list args;
  va_start(args, format);
  fprintf(stderr, "%shelp:%s ", coloured() ? "\033[1;32m" : "", coloured() ? "\033[0m" : "");
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
}

/* Edit distance with transpositions of neighbours (optimal string alignment), for words up to WORD_MAX
 * letters. */
static int edit_distance(const char *a, const char *b) {
  enum { WORD_MAX = 40 };
  int n = (int)strlen(a), m = (int)strlen(b);
  if (n > WORD_MAX || m > WORD_MAX)
    return WORD_MAX;
  int cost[WORD_MAX + 1][WORD_MAX + 1];
  for (int i = 0; i <= n; i++)
    cost[i][0] = i;
  for (int k = 0; k <= m; k++)
    cost[0][k] = k;
  for (int i = 1; i <= n; i++)
    for (int k = 1; k <= m; k++) {
      int best = cost[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
      best = best < cost[i - 1][k] + 1 ? best : cost[i - 1][k] + 1;
      best = best < cost[i][k - 1] + 1 ? best : cost[i][k - 1] + 1;
      if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] && cost[i - 2][k - 2] + 1 < best)
        best = cost[i - 2][k - 2] + 1;
      cost[i][k] = best;
    }
  return cost[n][m];
}

/* Whether `word` begins a part of `name` between underscores (`init`, `kernel_initializer`), or is one but
 * for a letter (`dilations`, `dilation_rate`). */
static bool begins_part(const char *word, const char *name) {
  enum { SHORTEST = 3, PART_MAX = 40 };
  size_t length = strlen(word);
  if (length < SHORTEST)
    return false;
  for (size_t size; *name; name += size + (name[size] == '_')) {
    char part[PART_MAX];
    size = strcspn(name, "_");
    if (!strncmp(word, name, length))
      return true;
    if (size < PART_MAX && size > SHORTEST) {
      memcpy(part, name, size);
      part[size] = '\0';
      if (edit_distance(word, part) <= 1)
        return true;
    }
  }
  return false;
}

/* `lr`, `learning_rate` */
static bool is_initials(const char *word, const char *name) {
  if (!strchr(name, '_'))
    return false;
  for (;; name += strcspn(name, "_") + 1, word++) {
    if (!*word || *word != *name)
      return false;
    if (!strchr(name, '_'))
      return !word[1];
  }
}

const char *diag_nearest(const char *word, const char *const *names, int count) {
  const char *nearest = NULL, *part = NULL;
  int length = (int)strlen(word), limit = length <= 2 ? 1 : length <= 5 ? 2 : 3, best = limit + 1;
  for (int i = 0; i < count; i++) {
    int distance = edit_distance(word, names[i]);
    if (distance < best && distance < (int)strlen(names[i])) {
      best = distance;
      nearest = names[i];
    }
    if (!part && (begins_part(word, names[i]) || is_initials(word, names[i])))
      part = names[i];
  }
  return best <= 1 || !part ? nearest : part;
}
