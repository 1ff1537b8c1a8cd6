/* What lexer, parser and tree builder share; private to grammar/ and compiler/ast.c. */
#ifndef NETC_GRAMMAR_PARSER_H
#define NETC_GRAMMAR_PARSER_H
#include "../compiler/ast.h"

enum { NESTING_LIMIT = 200 };

typedef struct ExprList {
  Expr *first, *last;
} ExprList;
typedef struct ArgList {
  ArgExpr *first, *last;
} ArgList;
typedef struct StmtList {
  Stmt *first, *last;
} StmtList;
typedef struct DeclList {
  Decl *first, *last;
} DeclList;

typedef struct NetParser {
  Arena *arena;
  Diag *diag;
  const Source *source;
  void *scanner;
  int offset;        /* of the next byte that the lexer reads */
  Span string_start; /* the quote of the string being read */
  bool newline;      /* a line ended before the token just read */
  bool close_string; /* the next token closes a string that its line left open */
  bool stopped;      /* nothing more is read: nesting too deep */
  bool too_deep;     /* reported once */
  /* Open brackets: '(' '[' '{', and '"' for a `{` inside a string. */
  char open[NESTING_LIMIT];
  Span open_at[NESTING_LIMIT];
  int open_count;
  int last; /* the token before, for the ends of statements */
  Span last_span;
  int before; /* the token before that */
  Span before_span;
  bool has_held; /* a token waits behind an inserted end of line */
  int held;
  Span held_span;
  DeclList decls;
} NetParser;

Span parser_span(const NetParser *parser, int begin, int end);
Expr *parser_node(NetParser *parser, ExprKind kind, Expr *a, Expr *b, Expr *c, Span span);
Expr *parser_operation(NetParser *parser, ExprKind kind, Operator op, Expr *a, Expr *b, Span span);
/* A node whose children are a list of items. */
Expr *parser_sequence(NetParser *parser, ExprKind kind, ExprList items, Span span);
Expr *parser_text(NetParser *parser, ExprKind kind, const char *text, Span span);
/* INT64_MIN and NAN stand for numbers that the lexer has complained about. */
Expr *parser_int(NetParser *parser, int64_t integer, Span span);
Expr *parser_float(NetParser *parser, double number, Span span);
Expr *parser_call(NetParser *parser, const char *callee, Span callee_span, ArgList arguments, Span span);
ArgExpr *parser_argument(NetParser *parser, const char *name, Span name_span, Expr *value, Span span);
Stmt *parser_stmt(NetParser *parser, StmtKind kind, Span span);
Decl *parser_decl(NetParser *parser, DeclKind kind, const char *name, Span name_span, Span span);
/* Complains about `object.field = value`. */
void parser_field_is_set(NetParser *parser, const Expr *object, const char *field, Span span);
/* "100x100x3" as a node. */
Expr *parser_shape(NetParser *parser, const char *text, Span span);

ExprList expr_list(ExprList list, Expr *item);
ArgList arg_list(ArgList list, ArgExpr *item);
StmtList stmt_list(StmtList list, Stmt *item);
DeclList decl_list(DeclList list, Decl *item);
#endif
