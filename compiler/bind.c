#include "bind.h"
#include "translate.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static SignatureKind kind_of_param(ParamKind kind) {
  switch (kind) {
  case P_ACTIVATION:
    return SIG_ACTIVATION;
  case P_INITIALIZER:
    return SIG_INITIALIZER;
  case P_REGULARIZER:
    return SIG_REGULARIZER;
  case P_CONSTRAINT:
    return SIG_CONSTRAINT;
  default:
    return SIG_SCHEDULE;
  }
}

/* Splits "a b c" into words. */
static int split_words(Arena *arena, const char *list, const char **words, int room) {
  int count = 0;
  while (list && *list && count < room) {
    size_t length = strcspn(list, " ");
    words[count++] = arena_strndup(arena, list, length);
    list += length + strspn(list + length, " ");
  }
  return count;
}

enum { WORDS_MAX = 128 };

/* The words that a parameter knows. */
static int param_words(Arena *arena, const Param *param, const char **words) {
  switch (param->kind) {
  case P_PADDING:
    return split_words(arena, "same valid", words, WORDS_MAX);
  case P_DATA_FORMAT:
    return split_words(arena, "channels_last", words, WORDS_MAX);
  case P_CHOICE:
    return split_words(arena, param->choices, words, WORDS_MAX);
  case P_ACTIVATION:
  case P_INITIALIZER:
  case P_REGULARIZER:
  case P_CONSTRAINT:
  case P_SCHEDULE:
    return signature_names(kind_of_param(param->kind), true, words, WORDS_MAX);
  default:
    return 0;
  }
}

static bool param_knows(Arena *arena, const Param *param, const char *word) {
  const char *words[WORDS_MAX];
  int count = param_words(arena, param, words);
  for (int i = 0; i < count; i++)
    if (!strcmp(words[i], word))
      return true;
  return false;
}

static const char *wanted_text(const Param *param) {
  switch (param->kind) {
  case P_INT:
    return "an int";
  case P_FLOAT:
    return "a number";
  case P_BOOL:
    return "`true` or `false`";
  case P_PAIR:
    return "a size such as 3 or 3x3";
  case P_PADDING:
    return "`same` or `valid`";
  case P_DATA_FORMAT:
    return "`channels_last`";
  case P_PADDING_SIZES:
    return "a size: 1, (1, 2) or ((0, 1), (2, 3))";
  case P_CHOICE:
    return "one of its words";
  case P_ACTIVATION:
    return "an activation such as `relu`";
  case P_SHAPE:
    return "a shape such as 100x100x3";
  case P_INTS:
    return "ints such as (3, 1, 2)";
  case P_FLOATS:
    return "a number or a list of numbers";
  case P_STRING:
    return "a string";
  case P_INITIALIZER:
    return "an initializer such as `he_normal`";
  case P_REGULARIZER:
    return "a regularizer such as `l2(0.01)`";
  case P_CONSTRAINT:
    return "a constraint such as `max_norm(2)`";
  case P_SCHEDULE:
    return "a number or a schedule";
  }
  return "a value";
}

static bool wrong_kind(Diag *diag, const Param *param, const Datum *datum) {
  diag_error(diag, datum->span, "`%s` wants %s, got %s", param->name, wanted_text(param),
             datum_kind_text(datum));
  if (param->kind == P_INT && datum->kind == DATUM_FLOAT && datum->number == floor(datum->number))
    diag_help(diag, "`/` gives a float, as in Python; `//` divides ints, `int()` converts");
  return false;
}

static bool unknown_word(Arena *arena, Diag *diag, const Param *param, const Datum *datum) {
  if (param->kind == P_DATA_FORMAT && !strcmp(datum->text, "channels_first")) {
    diag_error(diag, datum->span, "images are height x width x channels here: `channels_last`");
    diag_help(diag, "leave `data_format` out; weight files are the same for both layouts, and "
                    "`permute((2, 3, 1))` turns data that have their channels first");
    return false;
  }
  const char *words[WORDS_MAX];
  int count = param_words(arena, param, words);
  diag_error(diag, datum->span, "`%s` does not know `%s`", param->name, datum->text);
  const char *near = diag_nearest(datum->text, words, count);
  if (near) {
    diag_help(diag, "did you mean `%s`?", near);
  } else if (count && count <= 8) {
    const char *list = "";
    for (int i = 0; i < count; i++)
      list = arena_printf(arena, "%s%s`%s`", list, i ? ", " : "", words[i]);
    diag_help(diag, "it is one of %s", list);
  }
  return false;
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

/* Ints of a value that is one int or a sequence of ints; -1: something else is in it. */
static int ints_of(Arena *arena, const Datum *datum, int64_t **ints) {
  int count = is_sequence(datum) ? datum->count : 1;
  const Datum *items = is_sequence(datum) ? datum->items : datum;
  *ints = arena_array(arena, int64_t, count + 1);
  for (int i = 0; i < count; i++) {
    if (items[i].kind != DATUM_INT)
      return -1;
    (*ints)[i] = items[i].integer;
  }
  return count;
}

/* n, (rows, columns) or ((top, bottom), (left, right)). */
static bool padding_sizes(const Datum *datum, int64_t *sizes) {
  if (datum->kind == DATUM_INT) {
    sizes[0] = sizes[1] = sizes[2] = sizes[3] = datum->integer;
    return true;
  }
  if (!is_sequence(datum) || datum->count != 2)
    return false;
  for (int i = 0; i < 2; i++) {
    const Datum *side = &datum->items[i];
    if (side->kind == DATUM_INT) {
      sizes[2 * i] = sizes[2 * i + 1] = side->integer;
    } else if (is_sequence(side) && side->count == 2 && side->items[0].kind == DATUM_INT &&
               side->items[1].kind == DATUM_INT) {
      sizes[2 * i] = side->items[0].integer;
      sizes[2 * i + 1] = side->items[1].integer;
    } else {
      return false;
    }
  }
  return true;
}

static bool bind_numbers(Arena *arena, Diag *diag, const Param *param, const Datum *datum, Attr *attr) {
  int count = is_sequence(datum) ? datum->count : 1;
  const Datum *items = is_sequence(datum) ? datum->items : datum;
  attr->kind = ATTR_FLOATS;
  attr->floats = arena_array(arena, double, count + 1);
  attr->count = count;
  for (int i = 0; i < count; i++) {
    if (!is_number(&items[i]))
      return wrong_kind(diag, param, &items[i]);
    attr->floats[i] = number_of(&items[i]);
  }
  if (count)
    return true;
  diag_error(diag, datum->span, "`%s` is empty", param->name);
  return false;
}

static bool bind_call_kind(Arena *arena, Diag *diag, const Param *param, const Datum *datum, Attr *attr) {
  if (param->kind == P_SCHEDULE && is_number(datum)) {
    attr->kind = ATTR_FLOAT;
    attr->number = number_of(datum);
    return true;
  }
  if (datum->kind != DATUM_WORD && datum->kind != DATUM_STRING)
    return wrong_kind(diag, param, datum);
  if (!signature_find(kind_of_param(param->kind), datum->text))
    return unknown_word(arena, diag, param, datum);
  attr->kind = ATTR_CALL;
  attr->call = bind_word(arena, diag, kind_of_param(param->kind), datum);
  return attr->call != NULL;
}

/* Param.range: "> 0", ">= 0", "< 0" or an interval "[0, 1)". */
static bool number_in_range(const char *range, double x) {
  double low, high;
  if (range[0] == '[' || range[0] == '(') {
    char *end;
    low = strtod(range + 1, &end);
    high = strtod(end + 1, &end);
    return (range[0] == '[' ? x >= low : x > low) && (*end == ']' ? x <= high : x < high);
  }
  bool equal = range[1] == '=';
  double limit = strtod(range + 1 + equal, NULL);
  return (equal && x == limit) || (range[0] == '>' ? x > limit : x < limit);
}

static bool check_range(Arena *arena, Diag *diag, const Param *param, const Attr *attr) {
  if (!param->range)
    return true;
  int count = attr->kind == ATTR_INTS || attr->kind == ATTR_FLOATS ? attr->count : 1;
  for (int i = 0; i < count; i++) {
    double x = attr->kind == ATTR_INT      ? (double)attr->integer
               : attr->kind == ATTR_FLOAT  ? attr->number
               : attr->kind == ATTR_INTS   ? (double)attr->ints[i]
               : attr->kind == ATTR_FLOATS ? attr->floats[i]
                                           : NAN;
    if (isnan(x) || number_in_range(param->range, x))
      continue;
    const char *text =
        x == floor(x) && fabs(x) < 1e15 ? arena_printf(arena, "%.0f", x) : datum_float_text(arena, x);
    diag_error(diag, attr->span, "`%s` must be %s%s, got %s", param->name,
               strchr("[(", param->range[0]) ? "in " : "", param->range, text);
    return false;
  }
  return true;
}

static bool convert(Arena *arena, Diag *diag, const Param *param, const Datum *datum, Attr *attr);

bool bind_value(Arena *arena, Diag *diag, const Param *param, const Datum *datum, Attr *attr) {
  return convert(arena, diag, param, datum, attr) && check_range(arena, diag, param, attr);
}

static bool convert(Arena *arena, Diag *diag, const Param *param, const Datum *datum, Attr *attr) {
  attr->span = datum->span;
  if (datum->kind == DATUM_POISON)
    return false;
  if (datum->kind == DATUM_NONE) {
    if (param->kind == P_ACTIVATION) { /* Keras: no activation is the linear one */
      Datum linear = {.kind = DATUM_WORD, .text = "linear", .span = datum->span};
      return bind_value(arena, diag, param, &linear, attr);
    }
    /* `none` is no value where the parameter neither defaults to it nor is something that can be left out. */
    bool optional = (param->fallback && !strcmp(param->fallback, "none")) || param->kind == P_INITIALIZER ||
                    param->kind == P_REGULARIZER || param->kind == P_CONSTRAINT;
    attr->kind = ATTR_NONE;
    return optional || wrong_kind(diag, param, datum);
  }
  bool word = datum->kind == DATUM_STRING || (datum->kind == DATUM_WORD && !datum->called);
  switch (param->kind) {
  case P_INT:
    attr->kind = ATTR_INT;
    attr->integer = datum->integer;
    return datum->kind == DATUM_INT || wrong_kind(diag, param, datum);
  case P_FLOAT:
    attr->kind = ATTR_FLOAT;
    attr->number = number_of(datum);
    return is_number(datum) || wrong_kind(diag, param, datum);
  case P_BOOL:
    attr->kind = ATTR_BOOL;
    attr->boolean = datum->boolean;
    return datum->kind == DATUM_BOOL || wrong_kind(diag, param, datum);
  case P_PAIR:
    attr->kind = ATTR_INTS;
    attr->count = ints_of(arena, datum, &attr->ints);
    if (attr->count == 1 && datum->kind == DATUM_INT) {
      attr->ints[1] = attr->ints[0];
      attr->count = 2;
    }
    return attr->count == 2 || wrong_kind(diag, param, datum);
  case P_PADDING_SIZES:
    attr->kind = ATTR_INTS;
    attr->ints = arena_array(arena, int64_t, 4);
    attr->count = 4;
    return padding_sizes(datum, attr->ints) || wrong_kind(diag, param, datum);
  case P_SHAPE:
  case P_INTS:
    attr->kind = ATTR_INTS;
    attr->count = ints_of(arena, datum, &attr->ints);
    return attr->count >= 1 || wrong_kind(diag, param, datum);
  case P_FLOATS:
    return bind_numbers(arena, diag, param, datum, attr);
  case P_STRING:
    attr->kind = ATTR_TEXT;
    attr->text = datum->text;
    return word || wrong_kind(diag, param, datum);
  case P_PADDING:
  case P_DATA_FORMAT:
  case P_CHOICE:
    if (!word)
      return wrong_kind(diag, param, datum);
    attr->kind = ATTR_TEXT;
    attr->text = datum->text;
    return param_knows(arena, param, datum->text) || unknown_word(arena, diag, param, datum);
  case P_ACTIVATION:
  case P_INITIALIZER:
  case P_REGULARIZER:
  case P_CONSTRAINT:
  case P_SCHEDULE:
    return bind_call_kind(arena, diag, param, datum, attr);
  }
  return false;
}

Call *bind_word(Arena *arena, Diag *diag, SignatureKind kind, const Datum *datum) {
  if (datum->kind == DATUM_POISON)
    return NULL;
  const char *what = signature_kind_name(kind);
  if (datum->kind != DATUM_WORD && datum->kind != DATUM_STRING) {
    diag_error(diag, datum->span, "expected the name of a %s, got %s", what, datum_kind_text(datum));
    return NULL;
  }
  const Signature *signature = signature_find(kind, datum->text);
  if (!signature) {
    const char *names[WORDS_MAX];
    int count = signature_names(kind, true, names, WORDS_MAX);
    diag_error(diag, datum->span, "unknown %s `%s`", what, datum->text);
    const char *near = diag_nearest(datum->text, names, count);
    if (near)
      diag_help(diag, "did you mean `%s`?", near);
    return NULL;
  }
  return bind_call(arena, diag, signature, datum->arguments, datum->count, datum->span);
}

/* ---- which parameter an argument is for ---- */

typedef struct Binding {
  Arena *arena;
  Diag *diag;
  const Signature *signature;
  Call *call;
  bool *filled;
  int next; /* where the next positional number goes */
  bool good;
} Binding;

static void fill(Binding *binding, int index, const Datum *value) {
  binding->filled[index] = true;
  Attr *attr = &binding->call->attrs[index];
  attr->given = true;
  if (!bind_value(binding->arena, binding->diag, &binding->signature->params[index], value, attr))
    binding->good = false;
}

static bool takes_words_only(ParamKind kind) {
  return kind == P_PADDING || kind == P_DATA_FORMAT || kind == P_CHOICE || kind == P_ACTIVATION ||
         kind == P_INITIALIZER || kind == P_REGULARIZER || kind == P_CONSTRAINT;
}

static void bind_named(Binding *binding, const Argument *argument) {
  const Param *params = binding->signature->params;
  const char *names[WORDS_MAX];
  int count = 0;
  for (int i = 0; params[i].name; i++) {
    names[count++] = params[i].name;
    if (strcmp(params[i].name, argument->name))
      continue;
    if (binding->filled[i]) {
      diag_error(binding->diag, argument->name_span, "`%s` is given twice", argument->name);
      diag_note(binding->diag, binding->call->attrs[i].span, "first given here");
      binding->good = false;
      return;
    }
    fill(binding, i, &argument->value);
    return;
  }
  diag_error(binding->diag, argument->name_span, "`%s` has no argument `%s`", binding->signature->name,
             argument->name);
  if (binding->signature->kind == SIG_LAYER) {
    names[count++] = "name";
    names[count++] = "trainable";
  }
  if (!translate_argument(binding->diag, binding->signature->kind, argument->name, names, count)) {
    if (!count)
      diag_help(binding->diag, "it takes no arguments");
    else
      diag_help(binding->diag, "`netc help %s` lists them", binding->signature->name);
  }
  binding->good = false;
}

/* A bare word goes to the only parameter that knows it. */
static void bind_bare_word(Binding *binding, const Datum *value) {
  const Param *params = binding->signature->params;
  int found = -1, first = -1, others = 0, strings = -1;
  const char *candidates = "", *words[8 * WORDS_MAX];
  int word_count = 0;
  for (int i = 0; params[i].name; i++) {
    const char *known[WORDS_MAX];
    int count = param_words(binding->arena, &params[i], known);
    for (int k = 0; k < count && word_count < 8 * WORDS_MAX; k++)
      words[word_count++] = known[k];
    if (params[i].kind == P_STRING && strings < 0 && !binding->filled[i])
      strings = i;
    if (!param_knows(binding->arena, &params[i], value->text))
      continue;
    if (binding->filled[i]) {
      others = others ? others : -1 - i;
      continue;
    }
    candidates =
        arena_printf(binding->arena, "%s%s`%s`", candidates, found >= 0 ? " or " : "", params[i].name);
    others = others > 0 ? others + 1 : 1;
    found = found >= 0 ? found : i; /* the first is the one most likely meant */
    first = first < 0 ? i : first;
  }
  if (found >= 0 && others == 1) {
    fill(binding, found, value);
    return;
  }
  binding->good = false;
  if (found >= 0) {
    diag_error(binding->diag, value->span, "`%s` may be %s", value->text, candidates);
    diag_help(binding->diag, "write the argument's name: `%s = %s`", params[first].name,
              datum_text(binding->arena, value));
    return;
  }
  if (others < 0) {
    int taken = -1 - others;
    diag_error(binding->diag, value->span, "`%s` is given twice", params[taken].name);
    diag_note(binding->diag, binding->call->attrs[taken].span, "first given here");
    return;
  }
  if (strings >= 0) {
    binding->good = true;
    fill(binding, strings, value);
    return;
  }
  diag_error(binding->diag, value->span, "`%s` does not know the word `%s`", binding->signature->name,
             value->text);
  const char *near = diag_nearest(value->text, words, word_count);
  if (strcmp(value->text, "input") == 0)
    diag_help(binding->diag, "a block works on `in`; in a network, give its input a name: `x = input(...)`");
  else if (near)
    diag_help(binding->diag, "did you mean `%s`?", near);
}

static void bind_positional(Binding *binding, const Datum *value) {
  const Param *params = binding->signature->params;
  if (value->kind == DATUM_POISON) {
    binding->good = false;
    binding->next++; /* its place is taken */
    return;
  }
  if (value->kind == DATUM_WORD) {
    bind_bare_word(binding, value);
    return;
  }
  int i = binding->next;
  while (params[i].name && (binding->filled[i] || (takes_words_only(params[i].kind) &&
                                                   value->kind != DATUM_STRING && value->kind != DATUM_NONE)))
    i++;
  if (!params[i].name) {
    diag_error(binding->diag, value->span, "too many arguments for `%s`", binding->signature->name);
    int count = signature_param_count(binding->signature);
    if (!count)
      diag_help(binding->diag, "it takes none");
    else
      diag_help(binding->diag, "`netc help %s` lists them", binding->signature->name);
    binding->good = false;
    return;
  }
  binding->next = i + 1;
  fill(binding, i, value);
}

static void bind_default(Binding *binding, int index) {
  const Param *param = &binding->signature->params[index];
  Attr *attr = &binding->call->attrs[index];
  if (!param->fallback) {
    diag_error(binding->diag, binding->call->span, "`%s` needs `%s`: %s", binding->signature->name,
               param->name, param->doc);
    binding->good = false;
    return;
  }
  Datum value = datum_read(binding->arena, param->fallback, binding->call->span);
  if (!bind_value(binding->arena, binding->diag, param, &value, attr))
    binding->good = false;
  attr->given = false;
}

Call *bind_call(Arena *arena, Diag *diag, const Signature *signature, const Argument *arguments, int count,
                Span span) {
  int params = signature_param_count(signature);
  Call *call = arena_new(arena, Call);
  call->signature = signature;
  call->span = span;
  call->attrs = arena_array(arena, Attr, params + 1);
  Binding binding = {arena, diag, signature, call, arena_array(arena, bool, params + 1), 0, true};
  for (int i = 0; i < count; i++)
    if (arguments[i].name)
      bind_named(&binding, &arguments[i]);
    else
      bind_positional(&binding, &arguments[i].value);
  for (int i = 0; i < params; i++)
    if (!binding.filled[i] && (binding.good || signature->params[i].fallback))
      bind_default(&binding, i);
  if (binding.good && signature->check)
    binding.good = signature->check(call, diag);
  return binding.good ? call : NULL;
}

const Call *call_builtin(const char *text) {
  static const SignatureKind kinds[] = {SIG_INITIALIZER, SIG_ACTIVATION, SIG_REGULARIZER, SIG_OPTIMIZER,
                                        SIG_LOSS,        SIG_METRIC,     SIG_CONSTRAINT};
  static Arena arena; /* kept until netc ends */
  Diag diag = {.arena = &arena};
  Datum datum = datum_read(&arena, text, (Span){0});
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (signature_find(kinds[i], datum.text))
      return bind_word(&arena, &diag, kinds[i], &datum);
  return NULL;
}
