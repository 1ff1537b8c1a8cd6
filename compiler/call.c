/* Calls: layers, blocks, words of the vocabulary, functions. */
#include "elaborate_internal.h"
#include "translate.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const OpDef *find_op(const char *name) {
  const Signature *signature = signature_find(SIG_LAYER, name);
  for (int i = 0; signature && i < OP_COUNT; i++)
    if (&op_table[i]->signature == signature)
      return op_table[i];
  return NULL;
}

const Decl *find_definition(const Elaborator *elaborator, DeclKind kind, const char *name) {
  for (const Definition *at = elaborator->definitions; at; at = at->next)
    if (at->decl->kind == kind && at->decl->name && !strcmp(at->decl->name, name))
      return at->decl;
  return NULL;
}

const Decl *find_block(const Elaborator *elaborator, const char *name, Span from) {
  for (const Definition *at = elaborator->definitions; at; at = at->next)
    if (at->decl->kind == DECL_BLOCK && at->decl->name_span.source == from.source &&
        !strcmp(at->decl->name, name))
      return at->decl;
  return find_definition(elaborator, DECL_BLOCK, name);
}

void note_callers(Elaborator *elaborator, const Scope *scope) {
  enum { SHOWN = 4 };
  for (int shown = 0; scope && scope->caller && shown < SHOWN; scope = scope->caller, shown++)
    diag_note(elaborator->diag, scope->call_span, "in this call of `%s`", scope->decl->name);
}

/* Things other than layers that can be called by this name; -1: none. */
static int vocabulary_kind(const char *name) {
  for (int kind = SIG_ACTIVATION; kind <= SIG_CALLBACK; kind++)
    if (signature_find((SignatureKind)kind, name))
      return kind;
  return -1;
}

/* ---- arguments ---- */

static bool takes_word(ParamKind kind) {
  return kind == P_ACTIVATION || kind == P_INITIALIZER || kind == P_REGULARIZER || kind == P_CONSTRAINT ||
         kind == P_SCHEDULE;
}

/* Some names are layers and activations: relu(), softmax().  As an argument they are activations where the
 * callee has such a parameter, and layers where it has not.  `signature` NULL: arguments of a block, which
 * are activations. */
static bool is_word_call(const Elaborator *elaborator, const Signature *signature, const ArgExpr *argument) {
  const Expr *value = argument->value;
  if (value->kind != EXPR_CALL || vocabulary_kind(value->text) < 0 ||
      find_block(elaborator, value->text, value->span))
    return false;
  if (!find_op(value->text) || !signature)
    return true;
  for (const Param *param = signature->params; param->name; param++)
    if (takes_word(param->kind) && (!argument->name || !strcmp(argument->name, param->name)))
      return true;
  return false;
}

typedef struct Arguments {
  Argument *items;
  int count, capacity;
  bool bad; /* a value is poison */
} Arguments;

static Arguments evaluate_arguments(Elaborator *elaborator, Scope *scope, const Signature *signature,
                                    const ArgExpr *written) {
  Arguments arguments = {0};
  for (; written; written = written->next) {
    Argument argument = {.name = written->name, .name_span = written->name_span};
    argument.value = is_word_call(elaborator, signature, written)
                         ? evaluate_word(elaborator, scope, written->value)
                         : evaluate(elaborator, scope, written->value);
    arguments.bad = arguments.bad || argument.value.kind == DATUM_POISON;
    arena_push(elaborator->arena, arguments.items, arguments.count, arguments.capacity, argument);
  }
  return arguments;
}

Datum evaluate_word(Elaborator *elaborator, Scope *scope, const Expr *expr) {
  if (expr->kind != EXPR_CALL)
    return evaluate(elaborator, scope, expr);
  Datum word = {.kind = DATUM_WORD, .text = expr->text, .span = expr->span, .called = true};
  int kind = vocabulary_kind(expr->text);
  if (kind < 0)
    return word; /* whoever wants it knows what to say */
  Arguments arguments =
      evaluate_arguments(elaborator, scope, signature_find((SignatureKind)kind, expr->text), expr->arguments);
  word.arguments = arguments.items;
  word.count = arguments.count;
  return arguments.bad ? datum_poison(expr->span) : word;
}

/* ---- names of layers ---- */

static unsigned hash_name(const char *name) {
  unsigned hash = 2166136261u;
  for (; *name; name++)
    hash = (hash ^ (unsigned char)*name) * 16777619u;
  return hash % NAME_TABLE_SIZE;
}

static Layer *layer_named(const Elaborator *elaborator, const char *name) {
  Layer *layer = elaborator->named[hash_name(name)];
  while (layer && strcmp(layer->name, name))
    layer = layer->note;
  return layer;
}

/* Keras: "MaxPooling2D" -> "max_pooling2d", "ReLU" -> "re_lu": an underscore before a capital that begins a
 * word and between a small letter and a capital. */
static const char *snake_case(Arena *arena, const char *name) {
  size_t length = strlen(name), n = 0;
  char *snake = arena_alloc(arena, 2 * length + 1);
  for (size_t i = 0; i < length; i++) {
    bool capital = isupper((unsigned char)name[i]);
    bool begins = capital && islower((unsigned char)name[i + 1]);
    if (i && capital && (begins || islower((unsigned char)name[i - 1])))
      snake[n++] = '_';
    snake[n++] = (char)tolower((unsigned char)name[i]);
  }
  return snake;
}

/* conv2d, conv2d_1, ...: counted per class as in a fresh Keras session, over names that the user has not
 * taken. */
static const char *automatic_name(Elaborator *elaborator, const char *keras_class) {
  const char *base = snake_case(elaborator->arena, keras_class);
  NameCount *entry = elaborator->name_counts;
  while (entry && strcmp(entry->name, base))
    entry = entry->next;
  if (!entry) {
    entry = arena_new(elaborator->arena, NameCount);
    entry->name = base;
    entry->next = elaborator->name_counts;
    elaborator->name_counts = entry;
  }
  for (;;) {
    const char *name = entry->count ? arena_printf(elaborator->arena, "%s_%d", base, entry->count) : base;
    entry->count++;
    if (!layer_named(elaborator, name))
      return name;
  }
}

/* ---- layers ---- */

typedef struct LayerCall {
  const char *name; /* or NULL */
  Span name_span;
  bool trainable, bad;
  Layer **inputs;
  int input_count, input_capacity;
  Argument *arguments;
  int count, capacity;
} LayerCall;

static void add_input(Elaborator *elaborator, LayerCall *call, const Datum *tensor) {
  arena_push(elaborator->arena, call->inputs, call->input_count, call->input_capacity, tensor->layer);
}

/* Tensors, or lists of them, are inputs. */
static bool take_inputs(Elaborator *elaborator, LayerCall *call, const Datum *value) {
  if (value->kind == DATUM_TENSOR) {
    add_input(elaborator, call, value);
    return true;
  }
  if ((value->kind != DATUM_LIST && value->kind != DATUM_TUPLE) || !value->count)
    return false;
  for (int i = 0; i < value->count; i++)
    if (value->items[i].kind != DATUM_TENSOR)
      return false;
  for (int i = 0; i < value->count; i++)
    add_input(elaborator, call, &value->items[i]);
  return true;
}

static void take_name(Elaborator *elaborator, LayerCall *call, const Datum *value) {
  if (value->kind == DATUM_NONE)
    return;
  if (value->kind != DATUM_STRING && (value->kind != DATUM_WORD || value->called)) {
    diag_error(elaborator->diag, value->span, "`name` wants a string, got %s", datum_kind_text(value));
    call->bad = true;
  } else if (!*value->text || strchr(value->text, '/') || strchr(value->text, '\n')) {
    diag_error(elaborator->diag, value->span, "a layer's name is not empty and has no `/`");
    call->bad = true;
  } else {
    call->name = value->text;
    call->name_span = value->span;
  }
}

static LayerCall sort_arguments(Elaborator *elaborator, Arguments arguments) {
  LayerCall call = {.trainable = true, .bad = arguments.bad};
  for (int i = 0; i < arguments.count; i++) {
    const Argument *argument = &arguments.items[i];
    if (argument->name && !strcmp(argument->name, "name") && argument->value.kind != DATUM_POISON) {
      take_name(elaborator, &call, &argument->value);
    } else if (argument->name && !strcmp(argument->name, "trainable")) {
      call.trainable = argument->value.boolean;
      if (argument->value.kind != DATUM_BOOL && argument->value.kind != DATUM_POISON) {
        diag_error(elaborator->diag, argument->value.span, "`trainable` wants `true` or `false`, got %s",
                   datum_kind_text(&argument->value));
        call.bad = true;
      }
    } else if (argument->name || !take_inputs(elaborator, &call, &argument->value)) {
      arena_push(elaborator->arena, call.arguments, call.count, call.capacity, *argument);
    }
  }
  return call;
}

/* Puts what stands before an arrow, or above, among the inputs.  False: there is none, and that is an error.
 */
static bool complete_inputs(Elaborator *elaborator, Scope *scope, const OpDef *op, LayerCall *call,
                            const Datum *piped, Span span) {
  if (!op->max_inputs)
    return true;
  const Datum *first = piped ? piped : call->input_count < op->min_inputs ? &scope->current : NULL;
  if (!first)
    return true;
  if (first->kind == DATUM_POISON)
    return false;
  if (first->kind != DATUM_TENSOR) {
    diag_error(elaborator->diag, span, "`%s` has no input", op->signature.name);
    diag_help(elaborator->diag, scope->is_network ? "a network begins with `input(...)`"
                                                  : "the block was called where nothing stands above");
    note_callers(elaborator, scope);
    return false;
  }
  add_input(elaborator, call, first);
  for (int i = call->input_count - 1; i > 0; i--)
    call->inputs[i] = call->inputs[i - 1];
  call->inputs[0] = first->layer;
  return true;
}

static bool check_input_count(Elaborator *elaborator, Scope *scope, const OpDef *op, const LayerCall *call,
                              Span span) {
  int count = call->input_count;
  if (count >= op->min_inputs && (op->max_inputs < 0 || count <= op->max_inputs))
    return true;
  const char *name = op->signature.name;
  if (!op->max_inputs)
    diag_error(elaborator->diag, span, "`%s` takes no layer as its input", name);
  else
    diag_error(elaborator->diag, span, "`%s` wants %s%d input%s, got %d", name,
               op->max_inputs == op->min_inputs ? "" : "at least ", op->min_inputs,
               op->min_inputs == 1 ? "" : "s", count);
  if (count < op->min_inputs)
    diag_help(elaborator->diag, "name them: `%s(a, b)`", name);
  note_callers(elaborator, scope);
  return false;
}

static Layer *new_layer(Elaborator *elaborator, const OpDef *op, const LayerCall *written, Call *call,
                        Span span) {
  if (elaborator->layer_count == LAYER_LIMIT) {
    diag_error(elaborator->diag, span, "the network has too many layers: over %d", (int)LAYER_LIMIT);
    elaborator->stopped = true;
    return NULL;
  }
  Layer *layer = arena_new(elaborator->arena, Layer);
  layer->op = op;
  layer->call = *call;
  layer->inputs = written->inputs;
  layer->input_count = written->input_count;
  layer->span = layer->name_span = span;
  layer->index = layer->created = elaborator->layer_count;
  for (int phase = 0; phase < MAX_PHASES; phase++)
    layer->frozen[phase] = !written->trainable;
  layer->name = written->name ? written->name : automatic_name(elaborator, op->signature.keras_class);
  if (written->name) {
    layer->name_span = written->name_span;
    const Layer *other = layer_named(elaborator, written->name);
    if (other) {
      diag_error(elaborator->diag, written->name_span, "the name `%s` is used twice", written->name);
      diag_note(elaborator->diag, other->name_span,
                other->name_span.begin == other->span.begin ? "this layer has it already"
                                                            : "first used here");
    }
  }
  unsigned slot = hash_name(layer->name);
  layer->note = elaborator->named[slot];
  elaborator->named[slot] = layer;
  return layer;
}

static Datum call_layer(Elaborator *elaborator, Scope *scope, const OpDef *op, const Expr *expr,
                        const Datum *piped) {
  if (op->kind == OP_input && !scope->is_network) {
    diag_error(elaborator->diag, expr->span, "a block has no `input`: it works on `in`");
    note_callers(elaborator, scope);
    return datum_poison(expr->span);
  }
  LayerCall written =
      sort_arguments(elaborator, evaluate_arguments(elaborator, scope, &op->signature, expr->arguments));
  int errors = elaborator->diag->errors;
  Call *call = bind_call(elaborator->arena, elaborator->diag, &op->signature, written.arguments,
                         written.count, expr->span);
  if (elaborator->diag->errors > errors)
    note_callers(elaborator, scope);
  if (!complete_inputs(elaborator, scope, op, &written, piped, expr->name_span) || !call || written.bad ||
      !check_input_count(elaborator, scope, op, &written, expr->span))
    return datum_poison(expr->span);
  if (op->kind == OP_input && elaborator->input) {
    diag_error(elaborator->diag, expr->span, "a network has one `input`");
    diag_note(elaborator->diag, elaborator->input->span, "the first is here");
    return datum_poison(expr->span);
  }
  Layer *layer = new_layer(elaborator, op, &written, call, expr->span);
  if (!layer)
    return datum_poison(expr->span);
  if (!op->infer(layer, elaborator->arena, elaborator->diag)) {
    note_callers(elaborator, scope);
    return datum_poison(expr->span);
  }
  if (op->kind == OP_input)
    elaborator->input = layer;
  arena_push(elaborator->arena, elaborator->layers, elaborator->layer_count, elaborator->layer_capacity,
             layer);
  return datum_tensor(layer, NULL, expr->span);
}

/* ---- blocks ---- */

static const ArgExpr *find_parameter(const Decl *decl, const char *name) {
  for (const ArgExpr *parameter = decl->parameters; parameter; parameter = parameter->next)
    if (!strcmp(parameter->name, name))
      return parameter;
  return NULL;
}

static bool unknown_parameter(Elaborator *elaborator, const Decl *decl, const Argument *argument) {
  const char *names[256];
  int count = 0;
  for (const ArgExpr *at = decl->parameters; at && count < 256; at = at->next)
    names[count++] = at->name;
  diag_error(elaborator->diag, argument->name_span, "`%s` has no parameter `%s`", decl->name, argument->name);
  translate_argument(elaborator->diag, SIG_LAYER, argument->name, names, count);
  diag_note(elaborator->diag, decl->name_span, "`%s` is defined here", decl->name);
  return false;
}

static bool check_choice(Elaborator *elaborator, Scope *scope, const ArgExpr *parameter, const Datum *value) {
  if (!parameter->choices)
    return true;
  const char *names[64], *list = "";
  int count = 0;
  for (const Expr *choice = parameter->choices; choice && count < 64; choice = choice->next) {
    Datum allowed = evaluate(elaborator, scope, choice);
    if (datum_equal(&allowed, value))
      return true;
    names[count++] = datum_text(elaborator->arena, &allowed);
    list = arena_printf(elaborator->arena, "%s%s`%s`", list, count > 1 ? ", " : "", names[count - 1]);
  }
  const char *got = datum_text(elaborator->arena, value), *near = diag_nearest(got, names, count);
  diag_error(elaborator->diag, value->span, "`%s` cannot be `%s`", parameter->name, got);
  if (near)
    diag_help(elaborator->diag, "did you mean `%s`?", near);
  else
    diag_help(elaborator->diag, "it is one of %s", list);
  diag_note(elaborator->diag, parameter->span, "the parameter is declared here");
  return false;
}

static bool bind_parameter(Elaborator *elaborator, Scope *scope, const ArgExpr *parameter,
                           const Datum *value) {
  scope_bind(elaborator, scope, parameter->name, *value, parameter->name_span, NULL, NULL);
  return check_choice(elaborator, scope, parameter, value);
}

static bool is_bound(const Scope *scope, const char *name) {
  for (const Binding *binding = scope->bindings; binding; binding = binding->next)
    if (!strcmp(binding->name, name))
      return true;
  return false;
}

static bool bind_parameters(Elaborator *elaborator, Scope *scope, const Decl *decl, const Argument *arguments,
                            int count, Span span) {
  const ArgExpr *next = decl->parameters;
  bool good = true;
  for (int i = 0; i < count; i++) {
    const Argument *argument = &arguments[i];
    const ArgExpr *parameter = argument->name ? find_parameter(decl, argument->name) : next;
    if (!parameter && argument->name) {
      good = unknown_parameter(elaborator, decl, argument);
    } else if (!parameter) {
      diag_error(elaborator->diag, argument->value.span, "too many arguments for `%s`", decl->name);
      diag_note(elaborator->diag, decl->name_span, "`%s` is defined here", decl->name);
      return false;
    } else if (is_bound(scope, parameter->name)) {
      diag_error(elaborator->diag, argument->name ? argument->name_span : argument->value.span,
                 "`%s` is given twice", parameter->name);
      good = false;
    } else {
      good = bind_parameter(elaborator, scope, parameter, &argument->value) && good;
    }
    if (!argument->name)
      next = next->next;
  }
  for (const ArgExpr *parameter = decl->parameters; parameter && good; parameter = parameter->next) {
    if (is_bound(scope, parameter->name))
      continue;
    if (!parameter->value) {
      diag_error(elaborator->diag, span, "`%s` needs `%s`", decl->name, parameter->name);
      diag_note(elaborator->diag, parameter->span, "the parameter is declared here");
      return false;
    }
    Datum value = evaluate(elaborator, scope, parameter->value);
    scope_bind(elaborator, scope, parameter->name, value, parameter->name_span, NULL, NULL);
  }
  return good;
}

Datum call_block(Elaborator *elaborator, Scope *caller, const Decl *decl, const Argument *arguments,
                 int count, Datum in, Span span, Scope **made) {
  Scope *scope = arena_new(elaborator->arena, Scope);
  *scope = (Scope){.outer = &elaborator->globals, .in = in, .current = in, .decl = decl, .call_span = span};
  scope->is_network = decl->kind == DECL_NETWORK;
  scope->caller = caller;
  scope->depth = caller ? caller->depth + 1 : 0;
  if (made)
    *made = scope;
  if (scope->depth > BLOCK_DEPTH_LIMIT) {
    diag_error(elaborator->diag, span, "blocks call each other without end: over %d deep",
               (int)BLOCK_DEPTH_LIMIT);
    diag_note(elaborator->diag, decl->name_span, "`%s` is defined here", decl->name);
    elaborator->stopped = true;
    return datum_poison(span);
  }
  if (!bind_parameters(elaborator, scope, decl, arguments, count, span)) {
    note_callers(elaborator, caller);
    return datum_poison(span);
  }
  int before = elaborator->layer_count;
  Datum value = run_statements(elaborator, scope, decl->body);
  if (value.kind == DATUM_TENSOR && value.layer->index >= before) {
    Part *part = arena_new(elaborator->arena, Part);
    part->name = decl->name;
    part->input = in.kind == DATUM_TENSOR ? in.layer : NULL;
    part->output = value.layer;
    value.part = part;
  }
  value.span = span;
  return value;
}

/* ---- any call ---- */

static Datum unknown_callee(Elaborator *elaborator, Scope *scope, const Expr *expr) {
  const char *names[1024];
  int count = signature_names(SIG_LAYER, true, names, 512);
  for (const Definition *at = elaborator->definitions; at && count < 900; at = at->next)
    if (at->decl->kind == DECL_BLOCK)
      names[count++] = at->decl->name;
  count += function_names(names + count, 100);
  bool variable = scope_find(scope, expr->text) != NULL;
  diag_error(elaborator->diag, expr->name_span,
             variable ? "`%s` is a variable and cannot be called" : "unknown layer or block `%s`",
             expr->text);
  const char *near = translate_name(expr->text, names, count);
  if (near && !variable)
    diag_help(elaborator->diag, "did you mean `%s`?", near);
  note_callers(elaborator, scope);
  return datum_poison(expr->span);
}

Datum evaluate_call(Elaborator *elaborator, Scope *scope, const Expr *expr, const Datum *piped) {
  const Decl *block = find_block(elaborator, expr->text, expr->span);
  if (block) {
    Arguments arguments = evaluate_arguments(elaborator, scope, NULL, expr->arguments);
    Datum in = piped ? *piped : scope->current;
    if (in.kind == DATUM_POISON)
      return datum_poison(expr->span);
    return call_block(elaborator, scope, block, arguments.items, arguments.count, in, expr->span, NULL);
  }
  const OpDef *op = find_op(expr->text);
  if (op)
    return call_layer(elaborator, scope, op, expr, piped);
  if (is_function(expr->text)) {
    Arguments arguments = evaluate_arguments(elaborator, scope, NULL, expr->arguments);
    return call_function(elaborator, expr->text, arguments.items, arguments.count, expr->span);
  }
  if (vocabulary_kind(expr->text) >= 0 && !piped)
    return evaluate_word(elaborator, scope, expr);
  evaluate_arguments(elaborator, scope, NULL, expr->arguments); /* for their own errors */
  return unknown_callee(elaborator, scope, expr);
}
