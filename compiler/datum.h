/* Compile-time values: what an expression of a .net file evaluates to.
 *
 * Ownership: everything lives in the session's arena; a Datum is passed by value and never changed once made.
 */
#ifndef NETC_DATUM_H
#define NETC_DATUM_H
#include "graph.h"

typedef enum DatumKind {
  DATUM_POISON, /* an error was reported; everything made of it is poison too, silently */
  DATUM_NONE,
  DATUM_BOOL,
  DATUM_INT,
  DATUM_FLOAT,
  DATUM_STRING, /* "..." */
  DATUM_WORD,   /* a bare name that is no variable, or a call of such: same, l2(0.01) */
  DATUM_LIST,   /* [1, 2] */
  DATUM_TUPLE,  /* (1, 2) or 3x3 */
  DATUM_MAP,    /* {0: 1.0, 1: 2.0}: items are key, value, key, value */
  DATUM_TENSOR, /* the output of a layer, perhaps with the part of the network that made it */
} DatumKind;

typedef struct Argument Argument;
typedef struct Part Part; /* elaborate_internal.h */

typedef struct Datum {
  DatumKind kind;
  Span span;
  bool boolean;
  int64_t integer;
  double number;
  const char *text;    /* STRING, WORD */
  struct Datum *items; /* LIST, TUPLE, MAP */
  int count;           /* of items, or of arguments (WORD) */
  Argument *arguments; /* WORD, where it was written as a call */
  bool called;         /* WORD: with parentheses */
  Layer *layer;        /* TENSOR */
  Part *part;          /* TENSOR: the block instance whose output it is, or NULL */
} Datum;

struct Argument {
  const char *name; /* NULL: positional */
  Span name_span;
  Datum value;
};

/* "an int", "a list", for messages. */
const char *datum_kind_text(const Datum *datum);
/* How a value reads in a .net file, for messages and for string interpolation. */
const char *datum_text(Arena *arena, const Datum *datum);
bool datum_equal(const Datum *a, const Datum *b);
/* Reads the text of a default ("1", "none", "3x3", "l2(0.01)", "[0.1, 1]"): a bug in netc where it cannot be
 * read. */
Datum datum_read(Arena *arena, const char *text, Span span);
/* Shortest text that reads back as the same double, with a point or an exponent in it. */
const char *datum_float_text(Arena *arena, double number);
#endif
