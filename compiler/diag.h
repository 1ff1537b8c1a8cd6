/* Source texts and messages about them.
 *
 * A Span is a range of bytes in one source; line and column are worked out only when a message is printed.
 *
 *   mlp.net:12:7: error: `dense` wants a flat input, got [8, 8, 4]
 *   12 |   y = dense(512)
 *      |       ^^^^^^^^^^
 *   mlp.net:9:3: note: this shape was inferred here
 *   help: put `flatten()` before it
 *
 * Style: lower case, no full stop, backticks around code.  After about 20 errors checking stops. */
#ifndef NETC_DIAG_H
#define NETC_DIAG_H
#include "arena.h"
#include <stdbool.h>

typedef struct Source {
  const char *path; /* as shown in messages */
  const char *text; /* NUL-terminated */
  size_t length;
  int id;
} Source;

typedef struct Span {
  const Source *source; /* NULL: no place (built in) */
  int begin, end;       /* byte offsets, end exclusive */
} Span;

enum { DIAG_ERROR_LIMIT = 20 };

typedef struct Diag {
  Arena *arena;
  int errors, warnings;
  bool quiet;           /* count, print nothing (tests, trial runs) */
  const char *silenced; /* lint codes silenced on the command line or in the file, comma-separated, or NULL */
  bool muted;           /* the message before was not shown: its notes are not either */
} Diag;

/* Each prints at once to stderr.  A note or a help belongs to the error or warning before it. */
void diag_error(Diag *diag, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_warn(Diag *diag, Span at, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void diag_note(Diag *diag, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_help(Diag *diag, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* True once the limit is reached; the caller unwinds. */
bool diag_full(const Diag *diag);

/* The nearest of `names` to `word`, or NULL if none is near: by edit distance (transpositions count once), or
 * the first that has the word as a part or as its initials where none is but a letter away. */
const char *diag_nearest(const char *word, const char *const *names, int count);

/* Line and column of a byte offset, both from 1; columns count code points, a tab is one. */
void source_position(const Source *source, int offset, int *line, int *column);
#endif
