/* The syntax tree of a .net file: what was written, with no meaning yet.
 *
 * Built by grammar/net.y, read by elaborate.c.  Nodes live in the session's arena and are not changed once
 * parsing is over.  Lists are linked by `next`, in the order of the text. */
#ifndef NETC_AST_H
#define NETC_AST_H
#include "diag.h"
#include <stdint.h>

typedef struct Expr Expr;
typedef struct ArgExpr ArgExpr;
typedef struct Stmt Stmt;
typedef struct Decl Decl;

typedef enum ExprKind {
  EXPR_ERROR, /* was reported by the parser */
  EXPR_NONE,
  EXPR_BOOL,   /* integer: 0 or 1 */
  EXPR_INT,    /* integer; 512MB is one of 512 * 2^20 */
  EXPR_FLOAT,  /* number */
  EXPR_STRING, /* items: pieces, EXPR_TEXT or any expression that stood in {} */
  EXPR_TEXT,   /* text, escapes already replaced; only inside EXPR_STRING */
  EXPR_NAME,   /* text */
  EXPR_IN,     /* `in`, the input of a block */
  EXPR_SHAPE,  /* 100x100x3: items, EXPR_INT each */
  EXPR_LIST,   /* [a, b]: items */
  EXPR_TUPLE,  /* (a, b): items */
  EXPR_MAP,    /* {k: v, k: v}: items, keys and values in turn */
  EXPR_UNARY,  /* op a */
  EXPR_BINARY, /* a op b */
  EXPR_CHOOSE, /* a if c else b */
  EXPR_CALL,   /* text(arguments); name_span is the callee's */
  EXPR_INDEX,  /* a[b] */
  EXPR_SLICE,  /* a[b:c:step], each of b, c, step may be NULL */
  EXPR_RANGE,  /* a .. b, both ends in; only in `for` and inside [] */
  EXPR_FIELD,  /* a.text; name_span is the field's */
  EXPR_ARROW,  /* a -> b */
  EXPR_UPTO,   /* a up to b */
  EXPR_ALL,    /* `all`; only in freeze and unfreeze */
  EXPR_BUT,    /* a but b; only in freeze and unfreeze; b may be a tuple */
} ExprKind;

typedef enum Operator {
  OPERATOR_ADD,
  OPERATOR_SUB, /* unary: minus */
  OPERATOR_MUL,
  OPERATOR_DIV,     /* always a float, as in Python */
  OPERATOR_INT_DIV, /* rounds down, as in Python */
  OPERATOR_MOD,
  OPERATOR_POWER,
  OPERATOR_EQ,
  OPERATOR_NE,
  OPERATOR_LT,
  OPERATOR_LE,
  OPERATOR_GT,
  OPERATOR_GE,
  OPERATOR_AND,
  OPERATOR_OR,
  OPERATOR_NOT,
} Operator;

struct Expr {
  ExprKind kind;
  Operator op;
  Span span, name_span;
  int depth; /* of the tree below; the parser keeps it under AST_DEPTH_LIMIT */
  int64_t integer;
  double number;
  const char *text;
  Expr *a, *b, *c, *step;
  Expr *items; /* first of a list linked by `next` */
  ArgExpr *arguments;
  Expr *next;
};

/* An argument of a call, or a parameter of a block or network. */
struct ArgExpr {
  const char *name; /* NULL: positional */
  Span name_span, span;
  Expr *value;   /* parameter: the default, or NULL: must be given */
  Expr *choices; /* parameter `pooling = none | avg | max`: what is allowed (the default first), else NULL */
  ArgExpr *next;
};

typedef enum StmtKind {
  STMT_ERROR,
  STMT_EXPR,    /* value */
  STMT_BIND,    /* name = value */
  STMT_FOR,     /* for name in value { body } */
  STMT_IF,      /* if value { body } else { otherwise } */
  STMT_WEIGHTS, /* weights value from source [by name]; value NULL: `weights from "..."`, the whole network */
  STMT_FREEZE,  /* freeze items: selectors */
  STMT_UNFREEZE,
  STMT_REQUIRE, /* require value, source: an error with the text `source` where value is false */
  STMT_SETTING, /* in a train section: name items, as in `validation split 0.2 stratified` */
  STMT_PHASE,   /* phase [value] { body } */
} StmtKind;

struct Stmt {
  StmtKind kind;
  Span span, name_span;
  const char *name; /* BIND, FOR, SETTING; WEIGHTS: the word after `by`, or NULL */
  Expr *value, *source;
  Expr *items; /* linked by `next` */
  Stmt *body, *otherwise;
  Stmt *next;
};

typedef enum DeclKind {
  DECL_IMPORT,  /* import value */
  DECL_NETWORK, /* network name(parameters) { body } */
  DECL_BLOCK,
  DECL_TRAIN, /* train [name] { body } */
  DECL_BIND,  /* name = value, for the whole file */
} DeclKind;

struct Decl {
  DeclKind kind;
  Span span, name_span;
  const char *name; /* TRAIN: the network's name or NULL */
  ArgExpr *parameters;
  Expr *value; /* IMPORT: the path, BIND */
  Stmt *body;
  Decl *next;
};

typedef struct File {
  const Source *source;
  Decl *decls;
} File;

enum { AST_DEPTH_LIMIT = 400 };

/* Parses a whole file.  Errors are reported through `diag`; what could be read is returned all the same. */
File *ast_parse(Arena *arena, Diag *diag, const Source *source);

/* Reads a file into the arena; on failure reports at `at` and returns NULL.  `shown` is its name in messages.
 */
Source *source_read(Arena *arena, Diag *diag, const char *path, const char *shown, Span at);
/* A source whose text is already in memory (built in, or made up); the text is not copied. */
Source *source_make(Arena *arena, const char *path, const char *text, size_t length);

/* From the begin of the first to the end of the last. */
Span span_join(Span first, Span last);
#endif
