#include "ast.h"

Expr *ast_expr(Arena *arena, ExprKind kind, Span span) {
  Expr *expr = arena_new(arena, Expr);
  expr->kind = kind;
  expr->span = expr->name_span = span;
  return expr;
}

Expr *ast_node(Arena *arena, ExprKind kind, Expr *a, Expr *b, Expr *c, Span span) {
  Expr *expr = ast_expr(arena, kind, span);
  expr->a = a;
  expr->b = b;
  expr->c = c;
  return expr;
}
