#include "ast.h"
#include "../grammar/parser.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What bison and flex make of grammar/net.y and net.l. */
struct yy_buffer_state;
int net_parse(NetParser *parser);
int net_scan_lex_init_extra(NetParser *parser, void **scanner);
struct yy_buffer_state *net_scan__scan_bytes(const char *bytes, int count, void *scanner);
void net_scan__delete_buffer(struct yy_buffer_state *buffer, void *scanner);
int net_scan_lex_destroy(void *scanner);

Span span_join(Span first, Span last) {
  if (!first.source)
    return last;
  return (Span){first.source, first.begin, last.end > first.end ? last.end : first.end};
}

Span parser_span(const NetParser *parser, int begin, int end) {
  return (Span){parser->source, begin, end};
}

static int depth_of(const Expr *expr) {
  return expr ? expr->depth : 0;
}

static void raise(int *depth, const Expr *expr) {
  if (depth_of(expr) >= *depth)
    *depth = depth_of(expr) + 1;
}

/* Stages after this one walk the tree by recursion: its depth is kept within what any stack holds. */
static Expr *finish(NetParser *parser, Expr *expr) {
  raise(&expr->depth, expr->a);
  raise(&expr->depth, expr->b);
  raise(&expr->depth, expr->c);
  raise(&expr->depth, expr->step);
  for (const Expr *item = expr->items; item; item = item->next)
    raise(&expr->depth, item);
  for (const ArgExpr *argument = expr->arguments; argument; argument = argument->next)
    raise(&expr->depth, argument->value);
  if (expr->depth <= AST_DEPTH_LIMIT)
    return expr;
  if (!parser->too_deep)
    diag_error(parser->diag, expr->span, "this expression is nested too deeply: over %d levels",
               AST_DEPTH_LIMIT);
  parser->too_deep = true;
  Expr *flat = arena_new(parser->arena, Expr);
  flat->kind = EXPR_ERROR;
  flat->span = expr->span;
  return flat;
}

Expr *parser_node(NetParser *parser, ExprKind kind, Expr *a, Expr *b, Expr *c, Span span) {
  Expr *expr = arena_new(parser->arena, Expr);
  *expr = (Expr){.kind = kind, .span = span, .a = a, .b = b, .c = c};
  return finish(parser, expr);
}

Expr *parser_operation(NetParser *parser, ExprKind kind, Operator op, Expr *a, Expr *b, Span span) {
  Expr *expr = parser_node(parser, kind, a, b, NULL, span);
  expr->op = op;
  return expr;
}

Expr *parser_sequence(NetParser *parser, ExprKind kind, ExprList items, Span span) {
  Expr *expr = arena_new(parser->arena, Expr);
  *expr = (Expr){.kind = kind, .span = span, .items = items.first};
  return finish(parser, expr);
}

Expr *parser_text(NetParser *parser, ExprKind kind, const char *text, Span span) {
  Expr *expr = parser_node(parser, kind, NULL, NULL, NULL, span);
  expr->text = text;
  return expr;
}

Expr *parser_int(NetParser *parser, int64_t integer, Span span) {
  Expr *expr = parser_node(parser, integer == INT64_MIN ? EXPR_ERROR : EXPR_INT, NULL, NULL, NULL, span);
  expr->integer = integer;
  return expr;
}

Expr *parser_float(NetParser *parser, double number, Span span) {
  Expr *expr = parser_node(parser, isnan(number) ? EXPR_ERROR : EXPR_FLOAT, NULL, NULL, NULL, span);
  expr->number = number;
  return expr;
}

Expr *parser_call(NetParser *parser, const char *callee, Span callee_span, ArgList arguments, Span span) {
  Expr *expr = arena_new(parser->arena, Expr);
  *expr = (Expr){.kind = EXPR_CALL, .span = span, .name_span = callee_span, .text = callee};
  expr->arguments = arguments.first;
  return finish(parser, expr);
}

ArgExpr *parser_argument(NetParser *parser, const char *name, Span name_span, Expr *value, Span span) {
  ArgExpr *argument = arena_new(parser->arena, ArgExpr);
  *argument = (ArgExpr){.name = name, .name_span = name_span, .span = span, .value = value};
  return argument;
}

Stmt *parser_stmt(NetParser *parser, StmtKind kind, Span span) {
  Stmt *stmt = arena_new(parser->arena, Stmt);
  stmt->kind = kind;
  stmt->span = span;
  stmt->name_span = span;
  return stmt;
}

void parser_field_is_set(NetParser *parser, const Expr *object, const char *field, Span span) {
  diag_error(parser->diag, span, "`.%s` cannot be set", field);
  const char *name = object->kind == EXPR_NAME ? object->text : "base";
  if (!strcmp(field, "trainable"))
    diag_help(parser->diag,
              "`freeze %s` keeps weights as they are, `freeze %s[:-4]` all but those of the last layers",
              name, name);
}

Decl *parser_decl(NetParser *parser, DeclKind kind, const char *name, Span name_span, Span span) {
  Decl *decl = arena_new(parser->arena, Decl);
  decl->kind = kind;
  decl->name = name;
  decl->name_span = name_span;
  decl->span = span;
  return decl;
}

Expr *parser_shape(NetParser *parser, const char *text, Span span) {
  ExprList items = {0};
  int begin = span.begin;
  for (const char *at = text; *at;) {
    char *end;
    long long size = strtoll(at, &end, 10);
    Span part = parser_span(parser, begin, begin + (int)(end - at));
    if (size > INT32_MAX) {
      diag_error(parser->diag, part, "this number is too large");
      size = 1;
    }
    items = expr_list(items, parser_int(parser, size, part));
    begin += (int)(end - at) + 1;
    at = *end ? end + 1 : end;
  }
  return parser_sequence(parser, EXPR_SHAPE, items, span);
}

#define APPEND(list, item)                                                                                   \
  if (!(item))                                                                                               \
    return list;                                                                                             \
  if ((list).last)                                                                                           \
    (list).last->next = item;                                                                                \
  else                                                                                                       \
    (list).first = item;                                                                                     \
  (list).last = item;                                                                                        \
  return list

ExprList expr_list(ExprList list, Expr *item) {
  APPEND(list, item);
}

ArgList arg_list(ArgList list, ArgExpr *item) {
  APPEND(list, item);
}

StmtList stmt_list(StmtList list, Stmt *item) {
  APPEND(list, item);
}

DeclList decl_list(DeclList list, Decl *item) {
  APPEND(list, item);
}

File *ast_parse(Arena *arena, Diag *diag, const Source *source) {
  NetParser parser = {.arena = arena, .diag = diag, .source = source};
  File *file = arena_new(arena, File);
  file->source = source;
  if (net_scan_lex_init_extra(&parser, &parser.scanner)) {
    diag_error(diag, (Span){source, 0, 0}, "out of memory");
    return file;
  }
  struct yy_buffer_state *buffer = net_scan__scan_bytes(source->text, (int)source->length, parser.scanner);
  /* 2: the parser's stack is at its limit; 1: it gave up after an error that was reported. */
  net_parse(&parser);
  file->decls = parser.decls.first;
  net_scan__delete_buffer(buffer, parser.scanner);
  net_scan_lex_destroy(parser.scanner);
  return file;
}
