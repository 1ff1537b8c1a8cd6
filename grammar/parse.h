/* What the scanner and the parser of .net files share.  Private to grammar/; the way in is ast_parse (ast.h). */
#ifndef NETC_PARSE_H
#define NETC_PARSE_H
#include "../compiler/ast.h"

enum { BRACKET_MAX = 1024 };

typedef struct Parse {
  Arena *arena;
  Diag *diag;
  const Source *source;
  File *file;
  int offset;                 /* of the next byte to scan */
  char brackets[BRACKET_MAX]; /* the open ones: ( [ { and " for {} inside a string */
  int bracket_count;
  int last;         /* the token handed out before, 0 at the start */
  bool has_pending; /* a token read ahead to judge a line's end */
  int pending;
  void *pending_value; /* a NETSTYPE */
  Span pending_span;
  bool too_deep; /* reported already */
} Parse;

Span parse_span(const Parse *parse, int begin, int end);
#endif
