/* Statements of networks and blocks. */
#include "elaborate_internal.h"
#include <string.h>

/* True where the expression reads the variable: `size = size // 2` is an update, not a second definition. */
static bool mentions(const Expr *expr, const char *name) {
  if (!expr)
    return false;
  if (expr->kind == EXPR_NAME && !strcmp(expr->text, name))
    return true;
  if (mentions(expr->a, name) || mentions(expr->b, name) || mentions(expr->c, name))
    return true;
  for (const Expr *item = expr->items; item; item = item->next)
    if (mentions(item, name))
      return true;
  for (const ArgExpr *argument = expr->arguments; argument; argument = argument->next)
    if (mentions(argument->value, name))
      return true;
  return false;
}

static Datum run_bind(Elaborator *elaborator, Scope *scope, const Stmt *stmt, const Stmt *level) {
  Datum value = evaluate(elaborator, scope, stmt->value);
  const Binding *old = scope->bindings;
  while (old && strcmp(old->name, stmt->name))
    old = old->next;
  /* A second definition on the same level hides the first: most likely a slip. */
  if (old && old->stmt != stmt && (old->level == level || !old->stmt) && !mentions(stmt->value, stmt->name)) {
    diag_error(elaborator->diag, stmt->name_span, "the name `%s` is used twice", stmt->name);
    diag_note(elaborator->diag, old->span, old->stmt ? "first defined here" : "it is a parameter");
  }
  if (value.kind == DATUM_WORD && !value.called && stmt->value->kind == EXPR_NAME && find_op(value.text))
    value = evaluate_unknown(elaborator, scope, value.text, value.span);
  scope_bind(elaborator, scope, stmt->name, value, stmt->name_span, stmt, level);
  if (value.kind == DATUM_TENSOR || value.kind == DATUM_POISON)
    scope->current = value;
  return value;
}

static Datum run_expression(Elaborator *elaborator, Scope *scope, const Stmt *stmt) {
  Datum value = evaluate(elaborator, scope, stmt->value);
  if (value.kind == DATUM_TENSOR || value.kind == DATUM_POISON) {
    scope->current = value;
    return value;
  }
  if (value.kind == DATUM_WORD && !value.called)
    return evaluate_unknown(elaborator, scope, value.text, value.span);
  /* In a block it may be the block's value. */
  if (scope->is_network || stmt->next) {
    diag_error(elaborator->diag, stmt->span, "a statement is a layer, got %s", datum_kind_text(&value));
    note_callers(elaborator, scope);
    return datum_poison(stmt->span);
  }
  return value;
}

static Datum run_for(Elaborator *elaborator, Scope *scope, const Stmt *stmt) {
  Datum list = evaluate(elaborator, scope, stmt->value), value = {.kind = DATUM_NONE, .span = stmt->span};
  if (list.kind == DATUM_POISON)
    return scope->current = list;
  if (list.kind == DATUM_WORD && !list.called)
    return scope->current = evaluate_unknown(elaborator, scope, list.text, list.span);
  if (list.kind != DATUM_LIST && list.kind != DATUM_TUPLE) {
    diag_error(elaborator->diag, list.span, "`for` goes over a range or a list, got %s",
               datum_kind_text(&list));
    diag_help(elaborator->diag, "write `for %s in 1..4`", stmt->name);
    return scope->current = datum_poison(stmt->span);
  }
  int errors = elaborator->diag->errors;
  for (int i = 0; i < list.count && !elaborator->stopped; i++) {
    Datum item = list.items[i];
    item.span = stmt->name_span;
    scope_bind(elaborator, scope, stmt->name, item, stmt->name_span, stmt, stmt);
    value = run_statements(elaborator, scope, stmt->body);
    if (elaborator->diag->errors > errors) /* the next round would say the same again */
      return scope->current = datum_poison(stmt->span);
  }
  return value.kind == DATUM_NONE ? scope->current : value;
}

static Datum run_require(Elaborator *elaborator, Scope *scope, const Stmt *stmt) {
  bool good;
  if (!evaluate_bool(elaborator, scope, stmt->value, &good))
    return datum_poison(stmt->span);
  if (good)
    return scope->current;
  Datum text = evaluate(elaborator, scope, stmt->source);
  Span at = scope->caller ? scope->call_span : stmt->span;
  if (text.kind != DATUM_POISON)
    diag_error(elaborator->diag, at, "%s", datum_text(elaborator->arena, &text));
  if (scope->caller) {
    diag_note(elaborator->diag, stmt->span, "`%s` requires it here", scope->decl->name);
    note_callers(elaborator, scope->caller);
  }
  return scope->current = datum_poison(stmt->span);
}

static Datum run_statement(Elaborator *elaborator, Scope *scope, const Stmt *stmt, const Stmt *level) {
  bool chosen;
  switch (stmt->kind) {
  case STMT_ERROR:
    return scope->current = datum_poison(stmt->span);
  case STMT_EXPR:
    return run_expression(elaborator, scope, stmt);
  case STMT_BIND:
    return run_bind(elaborator, scope, stmt, level);
  case STMT_FOR:
    return run_for(elaborator, scope, stmt);
  case STMT_IF:
    if (!evaluate_bool(elaborator, scope, stmt->value, &chosen))
      return scope->current = datum_poison(stmt->span);
    if (!(chosen ? stmt->body : stmt->otherwise))
      return scope->current;
    return run_statements(elaborator, scope, chosen ? stmt->body : stmt->otherwise);
  case STMT_WEIGHTS:
    run_weights(elaborator, scope, stmt);
    return scope->current;
  case STMT_FREEZE:
  case STMT_UNFREEZE:
    run_freeze(elaborator, scope, stmt);
    return scope->current;
  case STMT_REQUIRE:
    return run_require(elaborator, scope, stmt);
  case STMT_SETTING:
  case STMT_PHASE:
    break;
  }
  diag_error(elaborator->diag, stmt->span, "this belongs into a `train` section");
  return scope->current;
}

Datum run_statements(Elaborator *elaborator, Scope *scope, const Stmt *stmts) {
  Datum value = scope->current;
  for (const Stmt *stmt = stmts; stmt && !elaborator->stopped && !diag_full(elaborator->diag);
       stmt = stmt->next) {
    if (!spend(elaborator, 1, stmt->span))
      break;
    value = run_statement(elaborator, scope, stmt, stmts);
  }
  return elaborator->stopped ? datum_poison(value.span) : value;
}
