/* Expressions: compile-time arithmetic and layers alike. */
#include "elaborate_internal.h"
#include <math.h>
#include <string.h>

Datum datum_poison(Span span) {
  return (Datum){.kind = DATUM_POISON, .span = span};
}

Datum datum_tensor(Layer *layer, Part *part, Span span) {
  return (Datum){.kind = DATUM_TENSOR, .layer = layer, .part = part, .span = span};
}

static Datum make_int(int64_t value, Span span) {
  return (Datum){.kind = DATUM_INT, .integer = value, .span = span};
}

static Datum make_float(double value, Span span) {
  return (Datum){.kind = DATUM_FLOAT, .number = value, .span = span};
}

static Datum make_bool(bool value, Span span) {
  return (Datum){.kind = DATUM_BOOL, .boolean = value, .span = span};
}

static bool is_number(const Datum *datum) {
  return datum->kind == DATUM_INT || datum->kind == DATUM_FLOAT;
}

static double number_of(const Datum *datum) {
  return datum->kind == DATUM_INT ? (double)datum->integer : datum->number;
}

static bool is_sequence(const Datum *datum) {
  return datum->kind == DATUM_LIST || datum->kind == DATUM_TUPLE;
}

bool spend(Elaborator *elaborator, int64_t steps, Span at) {
  elaborator->steps += steps;
  if (elaborator->steps <= STEP_LIMIT || elaborator->stopped)
    return !elaborator->stopped;
  diag_error(elaborator->diag, at, "the file does not come to an end: over %d steps", (int)STEP_LIMIT);
  elaborator->stopped = true;
  return false;
}

/* ---- names ---- */

const Binding *scope_find(const Scope *scope, const char *name) {
  for (; scope; scope = scope->outer)
    for (const Binding *binding = scope->bindings; binding; binding = binding->next)
      if (!strcmp(binding->name, name))
        return binding;
  return NULL;
}

void scope_bind(Elaborator *elaborator, Scope *scope, const char *name, Datum value, Span span,
                const Stmt *stmt, const Stmt *level) {
  Binding *binding = scope->bindings;
  while (binding && strcmp(binding->name, name))
    binding = binding->next;
  if (!binding) {
    binding = arena_new(elaborator->arena, Binding);
    binding->name = name;
    binding->next = scope->bindings;
    scope->bindings = binding;
  }
  binding->value = value;
  binding->span = span;
  binding->stmt = stmt;
  binding->level = level;
}

enum { NAMES_MAX = 2048 };

static int visible_names(const Elaborator *elaborator, const Scope *scope, bool callable,
                         const char **names) {
  int count = 0;
  for (const Scope *at = scope; at && !callable; at = at->outer)
    for (const Binding *binding = at->bindings; binding && count < NAMES_MAX; binding = binding->next)
      names[count++] = binding->name;
  for (const Definition *at = elaborator->definitions; at && callable && count < NAMES_MAX; at = at->next)
    if (at->decl->kind == DECL_BLOCK)
      names[count++] = at->decl->name;
  return count;
}

Datum evaluate_unknown(Elaborator *elaborator, Scope *scope, const char *name, Span span) {
  if (find_op(name) || find_definition(elaborator, DECL_BLOCK, name)) {
    diag_error(elaborator->diag, span, "`%s` is a %s and wants parentheses", name,
               find_op(name) ? "layer" : "block");
    diag_help(elaborator->diag, "write `%s()`", name);
    return datum_poison(span);
  }
  const char *names[NAMES_MAX];
  int count = visible_names(elaborator, scope, false, names);
  diag_error(elaborator->diag, span, "unknown name `%s`", name);
  const char *near = diag_nearest(name, names, count);
  if (near)
    diag_help(elaborator->diag, "did you mean `%s`?", near);
  note_callers(elaborator, scope);
  return datum_poison(span);
}

/* A name that is no variable is a word: `same`, `relu`, `avg`.  Whether anything knows it shows where it is
 * used. */
static Datum evaluate_name(const Scope *scope, const Expr *expr) {
  const Binding *binding = scope_find(scope, expr->text);
  if (binding) {
    Datum value = binding->value;
    value.span = expr->span;
    return value;
  }
  return (Datum){.kind = DATUM_WORD, .text = expr->text, .span = expr->span};
}

/* ---- operators ---- */

static const char *operator_text(Operator op) {
  static const char *const texts[] = {
      [OPERATOR_ADD] = "+",      [OPERATOR_SUB] = "-",   [OPERATOR_MUL] = "*",    [OPERATOR_DIV] = "/",
      [OPERATOR_INT_DIV] = "//", [OPERATOR_MOD] = "%",   [OPERATOR_POWER] = "**", [OPERATOR_EQ] = "==",
      [OPERATOR_NE] = "!=",      [OPERATOR_LT] = "<",    [OPERATOR_LE] = "<=",    [OPERATOR_GT] = ">",
      [OPERATOR_GE] = ">=",      [OPERATOR_AND] = "and", [OPERATOR_OR] = "or",    [OPERATOR_NOT] = "not",
  };
  return texts[op];
}

/* A word where a number was wanted is most likely a name with a slip in it. */
static Datum wrong_operand(Elaborator *elaborator, Scope *scope, Operator op, const Datum *datum) {
  if (datum->kind == DATUM_POISON)
    return *datum;
  if (datum->kind == DATUM_WORD && !datum->called)
    return evaluate_unknown(elaborator, scope, datum->text, datum->span);
  diag_error(elaborator->diag, datum->span, "`%s` does not work with %s", operator_text(op),
             datum_kind_text(datum));
  note_callers(elaborator, scope);
  return datum_poison(datum->span);
}

static Datum failed(Elaborator *elaborator, Scope *scope, Span span, const char *message) {
  diag_error(elaborator->diag, span, "%s", message);
  note_callers(elaborator, scope);
  return datum_poison(span);
}

static int64_t floor_divide(int64_t a, int64_t b) {
  return a / b - ((a % b != 0) && ((a < 0) != (b < 0)));
}

static bool int_power(int64_t base, int64_t exponent, int64_t *result) {
  *result = 1;
  for (int64_t i = 0; i < exponent; i++) {
    if (__builtin_mul_overflow(*result, base, result))
      return false;
    if (*result == 0 || (*result == 1 && base == 1))
      return true;
    if (base == -1 && i == 0 && exponent > 2)
      exponent = 2 + exponent % 2;
  }
  return true;
}

static Datum int_arithmetic(Elaborator *elaborator, Scope *scope, Operator op, int64_t a, int64_t b,
                            Span span) {
  int64_t result = 0;
  bool overflow = false;
  if ((op == OPERATOR_DIV || op == OPERATOR_INT_DIV || op == OPERATOR_MOD) && b == 0)
    return failed(elaborator, scope, span, "division by zero");
  switch (op) {
  case OPERATOR_ADD:
    overflow = __builtin_add_overflow(a, b, &result);
    break;
  case OPERATOR_SUB:
    overflow = __builtin_sub_overflow(a, b, &result);
    break;
  case OPERATOR_MUL:
    overflow = __builtin_mul_overflow(a, b, &result);
    break;
  case OPERATOR_DIV:
    return make_float((double)a / (double)b, span);
  case OPERATOR_POWER:
    if (b < 0)
      return make_float(pow((double)a, (double)b), span);
    overflow = !int_power(a, b, &result);
    break;
  default:
    overflow = a == INT64_MIN && b == -1;
    if (!overflow)
      result = op == OPERATOR_INT_DIV ? floor_divide(a, b) : a - floor_divide(a, b) * b;
  }
  if (overflow)
    return failed(elaborator, scope, span, "the result is too large for an int");
  return make_int(result, span);
}

static Datum float_arithmetic(Elaborator *elaborator, Scope *scope, Operator op, double a, double b,
                              Span span) {
  if ((op == OPERATOR_DIV || op == OPERATOR_INT_DIV || op == OPERATOR_MOD) && b == 0)
    return failed(elaborator, scope, span, "division by zero");
  double result = op == OPERATOR_ADD       ? a + b
                  : op == OPERATOR_SUB     ? a - b
                  : op == OPERATOR_MUL     ? a * b
                  : op == OPERATOR_DIV     ? a / b
                  : op == OPERATOR_INT_DIV ? floor(a / b)
                  : op == OPERATOR_MOD     ? a - floor(a / b) * b
                                           : pow(a, b);
  if (!isfinite(result))
    return failed(elaborator, scope, span, "the result is no finite number");
  return make_float(result, span);
}

static Datum add_sequences(Elaborator *elaborator, const Datum *a, const Datum *b, Span span) {
  Datum sum = {.kind = a->kind, .span = span, .count = a->count + b->count};
  if (sum.count > LIST_LIMIT) {
    diag_error(elaborator->diag, span, "the list is too long: over %d entries", (int)LIST_LIMIT);
    return datum_poison(span);
  }
  if (!spend(elaborator, sum.count, span))
    return datum_poison(span);
  sum.items = arena_array(elaborator->arena, Datum, sum.count + 1);
  for (int i = 0; i < sum.count; i++)
    sum.items[i] = i < a->count ? a->items[i] : b->items[i - a->count];
  return sum;
}

static Datum compare(Elaborator *elaborator, Scope *scope, Operator op, const Datum *a, const Datum *b,
                     Span span) {
  if (op == OPERATOR_EQ || op == OPERATOR_NE)
    return make_bool(datum_equal(a, b) == (op == OPERATOR_EQ), span);
  if (!is_number(a) || !is_number(b))
    return wrong_operand(elaborator, scope, op, is_number(a) ? b : a);
  double x = number_of(a), y = number_of(b);
  bool result = op == OPERATOR_LT ? x < y : op == OPERATOR_LE ? x <= y : op == OPERATOR_GT ? x > y : x >= y;
  return make_bool(result, span);
}

static Datum logic(Elaborator *elaborator, Scope *scope, const Expr *expr) {
  bool a, b;
  if (!evaluate_bool(elaborator, scope, expr->a, &a))
    return datum_poison(expr->span);
  if (a == (expr->op == OPERATOR_OR)) /* the right side does not matter */
    return make_bool(a, expr->span);
  return evaluate_bool(elaborator, scope, expr->b, &b) ? make_bool(b, expr->span) : datum_poison(expr->span);
}

static Datum evaluate_binary(Elaborator *elaborator, Scope *scope, const Expr *expr) {
  if (expr->op == OPERATOR_AND || expr->op == OPERATOR_OR)
    return logic(elaborator, scope, expr);
  Datum a = evaluate(elaborator, scope, expr->a), b = evaluate(elaborator, scope, expr->b);
  if (a.kind == DATUM_POISON || b.kind == DATUM_POISON)
    return datum_poison(expr->span);
  if (expr->op >= OPERATOR_EQ)
    return compare(elaborator, scope, expr->op, &a, &b, expr->span);
  if (expr->op == OPERATOR_ADD && is_sequence(&a) && a.kind == b.kind)
    return add_sequences(elaborator, &a, &b, expr->span);
  if (!is_number(&a) || !is_number(&b)) {
    if (a.kind == DATUM_TENSOR && b.kind == DATUM_TENSOR &&
        (expr->op == OPERATOR_ADD || expr->op == OPERATOR_SUB || expr->op == OPERATOR_MUL)) {
      Datum poison = wrong_operand(elaborator, scope, expr->op, &a);
      diag_help(elaborator->diag, "write `%s(%s, %s)`",
                expr->op == OPERATOR_ADD   ? "add"
                : expr->op == OPERATOR_SUB ? "subtract"
                                           : "multiply",
                expr->a->kind == EXPR_NAME ? expr->a->text : "a",
                expr->b->kind == EXPR_NAME ? expr->b->text : "b");
      return poison;
    }
    return wrong_operand(elaborator, scope, expr->op, is_number(&a) ? &b : &a);
  }
  if (a.kind == DATUM_INT && b.kind == DATUM_INT)
    return int_arithmetic(elaborator, scope, expr->op, a.integer, b.integer, expr->span);
  return float_arithmetic(elaborator, scope, expr->op, number_of(&a), number_of(&b), expr->span);
}

static Datum evaluate_unary(Elaborator *elaborator, Scope *scope, const Expr *expr) {
  if (expr->op == OPERATOR_NOT) {
    bool value;
    return evaluate_bool(elaborator, scope, expr->a, &value) ? make_bool(!value, expr->span)
                                                             : datum_poison(expr->span);
  }
  Datum a = evaluate(elaborator, scope, expr->a);
  if (a.kind == DATUM_INT && a.integer != INT64_MIN)
    return make_int(-a.integer, expr->span);
  if (a.kind == DATUM_FLOAT)
    return make_float(-a.number, expr->span);
  return wrong_operand(elaborator, scope, OPERATOR_SUB, &a);
}

bool evaluate_bool(Elaborator *elaborator, Scope *scope, const Expr *expr, bool *value) {
  Datum datum = evaluate(elaborator, scope, expr);
  *value = datum.boolean;
  if (datum.kind == DATUM_BOOL)
    return true;
  if (datum.kind == DATUM_WORD && !datum.called) {
    evaluate_unknown(elaborator, scope, datum.text, datum.span);
  } else if (datum.kind != DATUM_POISON) {
    diag_error(elaborator->diag, datum.span, "expected `true` or `false`, got %s", datum_kind_text(&datum));
    note_callers(elaborator, scope);
  }
  return false;
}

/* ---- lists, strings, fields ---- */

static Datum evaluate_items(Elaborator *elaborator, Scope *scope, const Expr *expr, DatumKind kind) {
  Datum datum = {.kind = kind, .span = expr->span};
  int capacity = 0;
  bool bad = false;
  for (const Expr *item = expr->items; item; item = item->next) {
    Datum value = evaluate(elaborator, scope, item);
    bad = bad || value.kind == DATUM_POISON;
    arena_push(elaborator->arena, datum.items, datum.count, capacity, value);
  }
  return bad ? datum_poison(expr->span) : datum;
}

static Datum evaluate_string(Elaborator *elaborator, Scope *scope, const Expr *expr) {
  const char *text = "";
  for (const Expr *piece = expr->items; piece; piece = piece->next) {
    const char *more = piece->text;
    if (piece->kind != EXPR_TEXT) {
      Datum value = evaluate(elaborator, scope, piece);
      if (value.kind == DATUM_POISON)
        return datum_poison(expr->span);
      if (value.kind == DATUM_WORD && !value.called && piece->kind == EXPR_NAME)
        return evaluate_unknown(elaborator, scope, value.text, value.span);
      more = datum_text(elaborator->arena, &value);
    }
    text = *text ? arena_printf(elaborator->arena, "%s%s", text, more) : more;
    size_t length = strlen(text);
    if (length > STRING_LIMIT)
      return failed(elaborator, scope, expr->span, "the string is too long");
    if (!spend(elaborator, (int64_t)length / 64, expr->span))
      return datum_poison(expr->span);
  }
  return (Datum){.kind = DATUM_STRING, .text = text, .span = expr->span};
}

static Datum evaluate_range(Elaborator *elaborator, Scope *scope, const Expr *expr) {
  Datum from = evaluate(elaborator, scope, expr->a), to = evaluate(elaborator, scope, expr->b);
  if (from.kind == DATUM_POISON || to.kind == DATUM_POISON)
    return datum_poison(expr->span);
  if (from.kind != DATUM_INT || to.kind != DATUM_INT) {
    const Datum *wrong = from.kind != DATUM_INT ? &from : &to;
    if (wrong->kind == DATUM_WORD && !wrong->called)
      return evaluate_unknown(elaborator, scope, wrong->text, wrong->span);
    diag_error(elaborator->diag, wrong->span, "a range goes from an int to an int, got %s",
               datum_kind_text(wrong));
    return datum_poison(expr->span);
  }
  Datum list = {.kind = DATUM_LIST, .span = expr->span};
  if (to.integer < from.integer)
    return list;
  if ((uint64_t)to.integer - (uint64_t)from.integer >= LIST_LIMIT)
    return failed(elaborator, scope, expr->span, "the range is too long");
  list.count = (int)(to.integer - from.integer + 1);
  if (!spend(elaborator, list.count, expr->span))
    return datum_poison(expr->span);
  list.items = arena_array(elaborator->arena, Datum, list.count);
  for (int i = 0; i < list.count; i++)
    list.items[i] = make_int(from.integer + i, expr->span);
  return list;
}

static Datum evaluate_index(Elaborator *elaborator, Scope *scope, const Expr *expr) {
  Datum list = evaluate(elaborator, scope, expr->a), index = evaluate(elaborator, scope, expr->b);
  if (list.kind == DATUM_POISON || index.kind == DATUM_POISON)
    return datum_poison(expr->span);
  if (list.kind == DATUM_WORD && !list.called)
    return evaluate_unknown(elaborator, scope, list.text, list.span);
  if (list.kind == DATUM_MAP) {
    for (int i = 0; i < list.count; i += 2)
      if (datum_equal(&list.items[i], &index)) {
        Datum value = list.items[i + 1];
        value.span = expr->span;
        return value;
      }
    return failed(elaborator, scope, index.span, "the map has no such key");
  }
  if (!is_sequence(&list)) {
    diag_error(elaborator->diag, list.span, "%s has no entries to index", datum_kind_text(&list));
    if (list.kind == DATUM_TENSOR)
      diag_help(elaborator->diag, "layers of a block are chosen so in `freeze` and `unfreeze` only");
    return datum_poison(expr->span);
  }
  if (index.kind != DATUM_INT) {
    diag_error(elaborator->diag, index.span, "an index is an int, got %s", datum_kind_text(&index));
    return datum_poison(expr->span);
  }
  int64_t at = index.integer < 0 ? index.integer + list.count : index.integer;
  if (at < 0 || at >= list.count) {
    diag_error(elaborator->diag, index.span, "index %lld is outside a list of %d", (long long)index.integer,
               list.count);
    note_callers(elaborator, scope);
    return datum_poison(expr->span);
  }
  Datum value = list.items[at];
  value.span = expr->span;
  return value;
}

/* One bound of a slice: a default where it is left out. */
static bool slice_bound(Elaborator *elaborator, Scope *scope, const Expr *expr, int64_t absent,
                        int64_t *value) {
  *value = absent;
  if (!expr)
    return true;
  Datum datum = evaluate(elaborator, scope, expr);
  *value = datum.integer;
  if (datum.kind == DATUM_INT)
    return true;
  if (datum.kind != DATUM_POISON)
    diag_error(elaborator->diag, datum.span, "a slice wants ints, got %s", datum_kind_text(&datum));
  return false;
}

static Datum evaluate_slice(Elaborator *elaborator, Scope *scope, const Expr *expr) {
  Datum list = evaluate(elaborator, scope, expr->a);
  int64_t step, begin, end;
  if (list.kind == DATUM_POISON || !slice_bound(elaborator, scope, expr->step, 1, &step))
    return datum_poison(expr->span);
  if (!is_sequence(&list)) {
    diag_error(elaborator->diag, list.span, "%s cannot be sliced", datum_kind_text(&list));
    return datum_poison(expr->span);
  }
  if (step < 1)
    return failed(elaborator, scope, expr->step->span, "the step of a slice must be at least 1");
  if (!slice_bound(elaborator, scope, expr->b, 0, &begin) ||
      !slice_bound(elaborator, scope, expr->c, list.count, &end))
    return datum_poison(expr->span);
  begin = begin < 0 ? begin + list.count : begin;
  end = end < 0 ? end + list.count : end;
  Datum part = {.kind = list.kind, .span = expr->span};
  int capacity = 0;
  if (!spend(elaborator, list.count, expr->span))
    return datum_poison(expr->span);
  for (int64_t i = begin < 0 ? 0 : begin; i < end && i < list.count; i += step) {
    arena_push(elaborator->arena, part.items, part.count, capacity, list.items[i]);
    if (step > list.count)
      break;
  }
  return part;
}

static Datum evaluate_field(Elaborator *elaborator, Scope *scope, const Expr *expr) {
  static const char *const fields[] = {"height", "width", "channels", "features", "shape", "name"};
  Datum a = evaluate(elaborator, scope, expr->a);
  if (a.kind == DATUM_POISON)
    return datum_poison(expr->span);
  if (a.kind == DATUM_WORD && !a.called)
    return evaluate_unknown(elaborator, scope, a.text, a.span);
  if (a.kind != DATUM_TENSOR) {
    diag_error(elaborator->diag, a.span, "%s has no `.%s`: only layers have", datum_kind_text(&a),
               expr->text);
    return datum_poison(expr->span);
  }
  Shape shape = a.layer->shape;
  if (!strcmp(expr->text, "name"))
    return (Datum){.kind = DATUM_STRING, .text = a.layer->name, .span = expr->span};
  if (!strcmp(expr->text, "shape")) {
    Datum tuple = {.kind = DATUM_TUPLE, .span = expr->span, .count = shape.rank};
    tuple.items = arena_array(elaborator->arena, Datum, shape.rank + 1);
    for (int i = 0; i < shape.rank; i++)
      tuple.items[i] = make_int(shape.dim[i], expr->span);
    return tuple;
  }
  if (!strcmp(expr->text, "features"))
    return make_int(shape_count(shape), expr->span);
  for (int i = 0; i < 3; i++) {
    if (strcmp(expr->text, fields[i]))
      continue;
    if (shape.rank == 3)
      return make_int(shape.dim[i], expr->span);
    if (i == 2)
      return make_int(shape.dim[shape.rank - 1], expr->span);
    diag_error(elaborator->diag, expr->name_span, "`%s` is no image and has no %s", a.layer->name, fields[i]);
    diag_note(elaborator->diag, a.layer->span, "`%s` comes from here", a.layer->name);
    return datum_poison(expr->span);
  }
  diag_error(elaborator->diag, expr->name_span, "a layer has no `.%s`", expr->text);
  const char *near = diag_nearest(expr->text, fields, 6);
  if (near)
    diag_help(elaborator->diag, "did you mean `.%s`?", near);
  return datum_poison(expr->span);
}

/* ---- arrows ---- */

static Datum evaluate_arrow(Elaborator *elaborator, Scope *scope, const Expr *expr) {
  Datum left = evaluate(elaborator, scope, expr->a);
  if (left.kind == DATUM_WORD && !left.called)
    left = evaluate_unknown(elaborator, scope, left.text, left.span);
  if (left.kind != DATUM_POISON && left.kind != DATUM_TENSOR) {
    diag_error(elaborator->diag, left.span, "an arrow takes a layer to the next, got %s",
               datum_kind_text(&left));
    left = datum_poison(left.span);
  }
  Datum before = scope->current;
  scope->current = left;
  Datum right = expr->b->kind == EXPR_CALL ? evaluate_call(elaborator, scope, expr->b, &left)
                                           : evaluate(elaborator, scope, expr->b);
  scope->current = before;
  if (right.kind == DATUM_TENSOR || right.kind == DATUM_POISON) {
    right.span = expr->span;
    return right;
  }
  if (right.kind == DATUM_WORD && !right.called)
    return evaluate_unknown(elaborator, scope, right.text, right.span);
  diag_error(elaborator->diag, right.span, "after an arrow stands a layer, got %s", datum_kind_text(&right));
  return datum_poison(expr->span);
}

static Datum evaluate_shape(Elaborator *elaborator, const Expr *expr) {
  Datum datum = {.kind = DATUM_TUPLE, .span = expr->span};
  int capacity = 0;
  for (const Expr *item = expr->items; item; item = item->next)
    arena_push(elaborator->arena, datum.items, datum.count, capacity, make_int(item->integer, item->span));
  return datum;
}

static Datum evaluate_choose(Elaborator *elaborator, Scope *scope, const Expr *expr) {
  bool chosen;
  if (!evaluate_bool(elaborator, scope, expr->b, &chosen))
    return datum_poison(expr->span);
  return evaluate(elaborator, scope, chosen ? expr->a : expr->c);
}

Datum evaluate(Elaborator *elaborator, Scope *scope, const Expr *expr) {
  if (elaborator->stopped)
    return datum_poison(expr->span);
  switch (expr->kind) {
  case EXPR_ERROR:
    return datum_poison(expr->span);
  case EXPR_NONE:
    return (Datum){.kind = DATUM_NONE, .span = expr->span};
  case EXPR_BOOL:
    return make_bool(expr->integer != 0, expr->span);
  case EXPR_INT:
    return make_int(expr->integer, expr->span);
  case EXPR_FLOAT:
    return make_float(expr->number, expr->span);
  case EXPR_STRING:
    return evaluate_string(elaborator, scope, expr);
  case EXPR_TEXT:
    return (Datum){.kind = DATUM_STRING, .text = expr->text, .span = expr->span};
  case EXPR_NAME:
    return evaluate_name(scope, expr);
  case EXPR_IN:
    if (scope->is_network || scope->in.kind == DATUM_NONE) {
      diag_error(elaborator->diag, expr->span, "`in` is the input of a block; %s",
                 scope->is_network ? "a network has none" : "this one was called without");
      note_callers(elaborator, scope);
      return datum_poison(expr->span);
    } else {
      Datum in = scope->in;
      in.span = expr->span;
      return in;
    }
  case EXPR_SHAPE:
    return evaluate_shape(elaborator, expr);
  case EXPR_LIST:
    return evaluate_items(elaborator, scope, expr, DATUM_LIST);
  case EXPR_TUPLE:
    return evaluate_items(elaborator, scope, expr, DATUM_TUPLE);
  case EXPR_MAP:
    return evaluate_items(elaborator, scope, expr, DATUM_MAP);
  case EXPR_UNARY:
    return evaluate_unary(elaborator, scope, expr);
  case EXPR_BINARY:
    return evaluate_binary(elaborator, scope, expr);
  case EXPR_CHOOSE:
    return evaluate_choose(elaborator, scope, expr);
  case EXPR_CALL:
    return evaluate_call(elaborator, scope, expr, NULL);
  case EXPR_INDEX:
    return evaluate_index(elaborator, scope, expr);
  case EXPR_SLICE:
    return evaluate_slice(elaborator, scope, expr);
  case EXPR_RANGE:
    return evaluate_range(elaborator, scope, expr);
  case EXPR_FIELD:
    return evaluate_field(elaborator, scope, expr);
  case EXPR_ARROW:
    return evaluate_arrow(elaborator, scope, expr);
  case EXPR_UPTO:
    return evaluate_up_to(elaborator, scope, expr);
  case EXPR_ALL:
  case EXPR_BUT:
    break;
  }
  diag_error(elaborator->diag, expr->span, "this can stand after `freeze` and `unfreeze` only");
  return datum_poison(expr->span);
}
