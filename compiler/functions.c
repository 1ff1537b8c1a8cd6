/* Functions of compile-time values: min, max, len ... */
#include "elaborate_internal.h"
#include <math.h>
#include <string.h>

typedef enum FunctionId {
  FUNCTION_ABS,
  FUNCTION_CEIL,
  FUNCTION_FLOAT,
  FUNCTION_FLOOR,
  FUNCTION_INT,
  FUNCTION_LEN,
  FUNCTION_MAX,
  FUNCTION_MIN,
  FUNCTION_ROUND,
  FUNCTION_SHAPE,
  FUNCTION_SQRT,
  FUNCTION_STR,
  FUNCTION_SUM,
} FunctionId;

static const struct {
  const char *name;
  int least, most; /* arguments; most -1: any number */
} functions[] = {
    [FUNCTION_ABS] = {"abs", 1, 1},     [FUNCTION_CEIL] = {"ceil", 1, 1}, [FUNCTION_FLOAT] = {"float", 1, 1},
    [FUNCTION_FLOOR] = {"floor", 1, 1}, [FUNCTION_INT] = {"int", 1, 1},   [FUNCTION_LEN] = {"len", 1, 1},
    [FUNCTION_MAX] = {"max", 1, -1},    [FUNCTION_MIN] = {"min", 1, -1},  [FUNCTION_ROUND] = {"round", 1, 1},
    [FUNCTION_SHAPE] = {"shape", 1, 4}, [FUNCTION_SQRT] = {"sqrt", 1, 1}, [FUNCTION_STR] = {"str", 1, 1},
    [FUNCTION_SUM] = {"sum", 1, -1},
};

enum { FUNCTION_COUNT = sizeof functions / sizeof *functions };

static int find(const char *name) {
  for (int i = 0; i < FUNCTION_COUNT; i++)
    if (!strcmp(functions[i].name, name))
      return i;
  return -1;
}

bool is_function(const char *name) {
  return find(name) >= 0;
}

int function_names(const char **names, int room) {
  int count = 0;
  for (int i = 0; i < FUNCTION_COUNT && count < room; i++)
    names[count++] = functions[i].name;
  return count;
}

static Datum number_wanted(Elaborator *elaborator, const char *name, const Datum *datum) {
  if (datum->kind != DATUM_POISON)
    diag_error(elaborator->diag, datum->span, "`%s` wants numbers, got %s", name, datum_kind_text(datum));
  return datum_poison(datum->span);
}

static Datum to_int(Elaborator *elaborator, double number, Span span) {
  if (number >= -9.2e18 && number <= 9.2e18)
    return (Datum){.kind = DATUM_INT, .integer = (int64_t)number, .span = span};
  diag_error(elaborator->diag, span, "the result is too large for an int");
  return datum_poison(span);
}

static bool numeric(const Datum *datum) {
  return datum->kind == DATUM_INT || datum->kind == DATUM_FLOAT;
}

static double value_of(const Datum *datum) {
  return datum->kind == DATUM_INT ? (double)datum->integer : datum->number;
}

/* min, max, sum of several numbers or of one list. */
static Datum fold(Elaborator *elaborator, int id, const Datum *items, int count, Span span) {
  if (!count) {
    diag_error(elaborator->diag, span, "`%s` of nothing", functions[id].name);
    return datum_poison(span);
  }
  for (int i = 0; i < count; i++)
    if (!numeric(&items[i]))
      return number_wanted(elaborator, functions[id].name, &items[i]);
  Datum result = items[0];
  for (int i = 1; i < count; i++) {
    double a = value_of(&result), b = value_of(&items[i]);
    if (id == FUNCTION_SUM) {
      if (result.kind == DATUM_INT && items[i].kind == DATUM_INT) {
        if (__builtin_add_overflow(result.integer, items[i].integer, &result.integer))
          return to_int(elaborator, INFINITY, span);
      } else {
        result = (Datum){.kind = DATUM_FLOAT, .number = a + b};
      }
    } else if (id == FUNCTION_MAX ? b > a : b < a) {
      result = items[i];
    }
  }
  result.span = span;
  return result;
}

static Datum apply(Elaborator *elaborator, int id, const Datum *x, Span span) {
  if (id == FUNCTION_STR)
    return (Datum){.kind = DATUM_STRING, .text = datum_text(elaborator->arena, x), .span = span};
  if (id == FUNCTION_LEN) {
    if (x->kind == DATUM_LIST || x->kind == DATUM_TUPLE || x->kind == DATUM_MAP)
      return (Datum){
          .kind = DATUM_INT, .integer = x->kind == DATUM_MAP ? x->count / 2 : x->count, .span = span};
    if (x->kind == DATUM_STRING)
      return (Datum){.kind = DATUM_INT, .integer = (int64_t)strlen(x->text), .span = span};
    diag_error(elaborator->diag, x->span, "`len` wants a list, got %s", datum_kind_text(x));
    return datum_poison(span);
  }
  if (!numeric(x))
    return number_wanted(elaborator, functions[id].name, x);
  double number = value_of(x);
  Datum result = *x;
  result.span = span;
  switch (id) {
  case FUNCTION_ABS:
    if (x->kind == DATUM_INT && x->integer != INT64_MIN)
      result.integer = x->integer < 0 ? -x->integer : x->integer;
    result.number = fabs(x->number);
    return result;
  case FUNCTION_FLOAT:
    return (Datum){.kind = DATUM_FLOAT, .number = number, .span = span};
  case FUNCTION_SQRT:
    if (number < 0) {
      diag_error(elaborator->diag, x->span, "the root of a negative number");
      return datum_poison(span);
    }
    return (Datum){.kind = DATUM_FLOAT, .number = sqrt(number), .span = span};
  default:
    if (x->kind == DATUM_INT)
      return result;
    return to_int(elaborator,
                  id == FUNCTION_CEIL    ? ceil(number)
                  : id == FUNCTION_FLOOR ? floor(number)
                  : id == FUNCTION_ROUND ? nearbyint(number) /* halves to even, as Python */
                                         : trunc(number),
                  span);
  }
}

Datum call_function(Elaborator *elaborator, const char *name, const Argument *arguments, int count,
                    Span span) {
  int id = find(name);
  Datum *values = arena_array(elaborator->arena, Datum, count + 1);
  for (int i = 0; i < count; i++) {
    values[i] = arguments[i].value;
    if (values[i].kind == DATUM_POISON)
      return datum_poison(span);
    if (arguments[i].name) {
      diag_error(elaborator->diag, arguments[i].name_span, "`%s` takes no named arguments", name);
      return datum_poison(span);
    }
  }
  if (count < functions[id].least || (functions[id].most >= 0 && count > functions[id].most)) {
    diag_error(elaborator->diag, span, "`%s` takes %s%d argument%s, got %d", name,
               functions[id].most < 0 ? "at least " : "", functions[id].least,
               functions[id].least == 1 ? "" : "s", count);
    return datum_poison(span);
  }
  bool list = count == 1 && (values[0].kind == DATUM_LIST || values[0].kind == DATUM_TUPLE);
  switch (id) {
  case FUNCTION_MAX:
  case FUNCTION_MIN:
  case FUNCTION_SUM:
    return list ? fold(elaborator, id, values[0].items, values[0].count, span)
                : fold(elaborator, id, values, count, span);
  case FUNCTION_SHAPE:
    return (Datum){.kind = DATUM_TUPLE, .items = values, .count = count, .span = span};
  default:
    return apply(elaborator, id, &values[0], span);
  }
}
