#include "datum.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *datum_kind_text(const Datum *datum) {
  switch (datum->kind) {
  case DATUM_POISON:
    return "an error";
  case DATUM_NONE:
    return "`none`";
  case DATUM_BOOL:
    return "a truth value";
  case DATUM_INT:
    return "an int";
  case DATUM_FLOAT:
    return "a float";
  case DATUM_STRING:
    return "a string";
  case DATUM_WORD:
    return datum->called ? "a call" : "a word";
  case DATUM_LIST:
    return "a list";
  case DATUM_TUPLE:
    return "a tuple";
  case DATUM_MAP:
    return "a map";
  case DATUM_TENSOR:
    return "a layer";
  }
  return "a value";
}

const char *datum_float_text(Arena *arena, double number) {
  char text[40];
  if (number == floor(number) && fabs(number) < 1e15)
    return arena_printf(arena, "%.1f", number);
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, number);
    if (strtod(text, NULL) == number)
      break;
  }
  return arena_printf(arena, "%s%s", text, strpbrk(text, ".en") ? "" : ".0");
}

static const char *joined(Arena *arena, const Datum *datum, const char *open, const char *close) {
  const char *text = open;
  for (int i = 0; i < datum->count; i++)
    text = arena_printf(arena, "%s%s%s", text,
                        !i                                  ? ""
                        : datum->kind == DATUM_MAP && i % 2 ? ": "
                                                            : ", ",
                        datum_text(arena, &datum->items[i]));
  return arena_printf(arena, "%s%s%s", text, datum->kind == DATUM_TUPLE && datum->count == 1 ? "," : "",
                      close);
}

const char *datum_text(Arena *arena, const Datum *datum) {
  switch (datum->kind) {
  case DATUM_POISON:
    return "?";
  case DATUM_NONE:
    return "none";
  case DATUM_BOOL:
    return datum->boolean ? "true" : "false";
  case DATUM_INT:
    return arena_printf(arena, "%lld", (long long)datum->integer);
  case DATUM_FLOAT:
    return datum_float_text(arena, datum->number);
  case DATUM_STRING:
    return datum->text;
  case DATUM_WORD: {
    const char *text = datum->text;
    if (!datum->called)
      return text;
    for (int i = 0; i < datum->count; i++) {
      const Argument *argument = &datum->arguments[i];
      text = arena_printf(arena, "%s%s%s%s%s", text, i ? ", " : "(", argument->name ? argument->name : "",
                          argument->name ? " = " : "", datum_text(arena, &argument->value));
    }
    return arena_printf(arena, datum->count ? "%s)" : "%s()", text);
  }
  case DATUM_LIST:
    return joined(arena, datum, "[", "]");
  case DATUM_TUPLE:
    return joined(arena, datum, "(", ")");
  case DATUM_MAP:
    return joined(arena, datum, "{", "}");
  case DATUM_TENSOR:
    return datum->layer->name;
  }
  return "?";
}

static bool numeric(const Datum *datum) {
  return datum->kind == DATUM_INT || datum->kind == DATUM_FLOAT;
}

static double as_number(const Datum *datum) {
  return datum->kind == DATUM_INT ? (double)datum->integer : datum->number;
}

static bool textual(const Datum *datum) {
  return datum->kind == DATUM_STRING || (datum->kind == DATUM_WORD && !datum->called);
}

bool datum_equal(const Datum *a, const Datum *b) {
  if (numeric(a) && numeric(b))
    return a->kind == b->kind && a->kind == DATUM_INT ? a->integer == b->integer
                                                      : as_number(a) == as_number(b);
  if (textual(a) && textual(b))
    return !strcmp(a->text, b->text);
  if (a->kind != b->kind)
    return false;
  if (a->kind == DATUM_BOOL)
    return a->boolean == b->boolean;
  if (a->kind == DATUM_TENSOR)
    return a->layer == b->layer;
  if (a->kind == DATUM_WORD || a->count != b->count)
    return false;
  for (int i = 0; i < a->count; i++)
    if (!datum_equal(&a->items[i], &b->items[i]))
      return false;
  return true;
}

/* ---- the reader of defaults ---- */

typedef struct Reader {
  Arena *arena;
  const char *text, *at;
  Span span;
} Reader;

static Datum read_value(Reader *reader);

static void read_fail(const Reader *reader) {
  fprintf(stderr, "netc: bug: default `%s` cannot be read\n", reader->text);
  abort();
}

static void skip_blanks(Reader *reader) {
  while (*reader->at == ' ')
    reader->at++;
}

static bool take(Reader *reader, char c) {
  skip_blanks(reader);
  if (*reader->at != c)
    return false;
  reader->at++;
  return true;
}

static Datum read_items(Reader *reader, DatumKind kind, char close) {
  Datum datum = {.kind = kind, .span = reader->span};
  int capacity = 0;
  while (!take(reader, close)) {
    if (datum.count && !take(reader, ','))
      read_fail(reader);
    arena_push(reader->arena, datum.items, datum.count, capacity, read_value(reader));
  }
  return datum;
}

static Datum read_number(Reader *reader) {
  char *end;
  Datum datum = {.kind = DATUM_INT, .span = reader->span};
  datum.integer = strtoll(reader->at, &end, 10);
  if (*end == '.' || *end == 'e' || *end == 'E') {
    datum.kind = DATUM_FLOAT;
    datum.number = strtod(reader->at, &end);
  }
  reader->at = end;
  if (*end != 'x')
    return datum;
  Datum shape = {.kind = DATUM_TUPLE, .span = reader->span};
  int capacity = 0;
  arena_push(reader->arena, shape.items, shape.count, capacity, datum);
  while (*reader->at == 'x') {
    datum.integer = strtoll(reader->at + 1, &end, 10);
    reader->at = end;
    arena_push(reader->arena, shape.items, shape.count, capacity, datum);
  }
  return shape;
}

static Datum read_word(Reader *reader) {
  const char *begin = reader->at;
  while (isalnum((unsigned char)*reader->at) || *reader->at == '_')
    reader->at++;
  if (reader->at == begin)
    read_fail(reader);
  Datum datum = {.kind = DATUM_WORD, .span = reader->span};
  datum.text = arena_strndup(reader->arena, begin, (size_t)(reader->at - begin));
  if (!strcmp(datum.text, "none"))
    datum.kind = DATUM_NONE;
  if (!strcmp(datum.text, "true") || !strcmp(datum.text, "false")) {
    datum.kind = DATUM_BOOL;
    datum.boolean = datum.text[0] == 't';
  }
  if (datum.kind != DATUM_WORD || *reader->at != '(')
    return datum;
  reader->at++;
  datum.called = true;
  int capacity = 0;
  while (!take(reader, ')')) {
    if (datum.count && !take(reader, ','))
      read_fail(reader);
    Argument argument = {.name_span = reader->span, .value = read_value(reader)};
    if (argument.value.kind == DATUM_WORD && take(reader, '=')) {
      argument.name = argument.value.text;
      argument.value = read_value(reader);
    }
    arena_push(reader->arena, datum.arguments, datum.count, capacity, argument);
  }
  return datum;
}

static Datum read_value(Reader *reader) {
  if (take(reader, '('))
    return read_items(reader, DATUM_TUPLE, ')');
  if (take(reader, '['))
    return read_items(reader, DATUM_LIST, ']');
  if (isdigit((unsigned char)*reader->at) || *reader->at == '-')
    return read_number(reader);
  return read_word(reader);
}

Datum datum_read(Arena *arena, const char *text, Span span) {
  Reader reader = {.arena = arena, .text = text, .at = text, .span = span};
  Datum datum = read_value(&reader);
  skip_blanks(&reader);
  if (*reader.at)
    read_fail(&reader);
  return datum;
}
