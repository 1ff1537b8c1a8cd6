#define _POSIX_C_SOURCE 200809L
#include "help.h"
#include "elaborate.h"
#include "op.h"
#include "sample.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const headings[] = {
    [SIG_LAYER] = "Layers",
    [SIG_ACTIVATION] = "Activations",
    [SIG_LOSS] = "Losses",
    [SIG_METRIC] = "Metrics",
    [SIG_OPTIMIZER] = "Optimizers",
    [SIG_SCHEDULE] = "Schedules",
    [SIG_INITIALIZER] = "Initializers",
    [SIG_REGULARIZER] = "Regularizers",
    [SIG_CONSTRAINT] = "Constraints",
    [SIG_CALLBACK] = "Callbacks",
};

static const char *kind_text(ParamKind kind) {
  static const char *const texts[] = {
      [P_INT] = "int",
      [P_FLOAT] = "number",
      [P_BOOL] = "true | false",
      [P_PAIR] = "size",
      [P_PADDING] = "same | valid",
      [P_DATA_FORMAT] = "channels_last",
      [P_PADDING_SIZES] = "sizes",
      [P_CHOICE] = "word",
      [P_ACTIVATION] = "activation",
      [P_SHAPE] = "shape",
      [P_INTS] = "ints",
      [P_FLOATS] = "numbers",
      [P_STRING] = "string",
      [P_INITIALIZER] = "initializer",
      [P_REGULARIZER] = "regularizer",
      [P_CONSTRAINT] = "constraint",
      [P_SCHEDULE] = "number or schedule",
  };
  return texts[kind];
}

/* "nearest bilinear" -> "nearest | bilinear". */
static void type_text(const Param *param, StrBuf *out) {
  if (param->kind != P_CHOICE) {
    strbuf_puts(out, kind_text(param->kind));
    return;
  }
  for (const char *at = param->choices; *at; at++)
    strbuf_printf(out, "%s%c", *at == ' ' ? " |" : "", *at);
}

static const OpDef *op_of(const Signature *signature) {
  for (int i = 0; i < OP_COUNT; i++)
    if (&op_table[i]->signature == signature)
      return op_table[i];
  return NULL;
}

static void shape_text(Shape shape, StrBuf *out) {
  for (int i = 0; i < shape.rank; i++)
    strbuf_printf(out, "%s%d", i ? ", " : "[", shape.dim[i]);
  strbuf_puts(out, "]");
}

/* What the samples make of their inputs' shapes, one line each. */
static void sample_lines(const OpDef *op, const char *before, const char *after, StrBuf *out) {
  for (const OpSample *sample = op->samples; sample && sample->call; sample++) {
    Arena arena = {0};
    Diag diag = {.arena = &arena, .quiet = true};
    const Graph *graph = sample_graph(&arena, &diag, sample);
    if (graph) {
      strbuf_puts(out, before);
      for (int i = 0; i < graph->output->input_count; i++) {
        strbuf_puts(out, i ? ", " : "");
        shape_text(graph->output->inputs[i]->shape, out);
      }
      strbuf_puts(out, " -> ");
      shape_text(graph->output->shape, out);
      strbuf_printf(out, "  %s%s", sample->call, after);
    }
    arena_free(&arena);
  }
}

/* ---- netc help ---- */

static void section(SignatureKind kind, StrBuf *out) {
  int count;
  const Signature *const *table = signature_table(kind, &count);
  strbuf_printf(out, "%s\n", headings[kind]);
  for (int i = 0; i < count; i++)
    strbuf_printf(out, "  %-28s %s\n", table[i]->name, table[i]->doc ? table[i]->doc : "");
}

void help_index(StrBuf *out) {
  for (int kind = 0; kind <= SIG_CALLBACK; kind++) {
    strbuf_puts(out, kind ? "\n" : "");
    section((SignatureKind)kind, out);
  }
  strbuf_puts(out, "\nSettings of a train section\n");
  train_settings_text(out);
  strbuf_puts(out,
              "\n`netc help NAME` prints one of them, `netc help losses` that list, `netc help train` the "
              "settings.\n");
}

enum { TYPE_WIDTH = 20, LINE_WIDTH = 110, CHOICE_INDENT = 31 };

/* The words of a parameter that knows many, on lines of their own. */
static void choice_lines(const char *choices, StrBuf *out) {
  int column = 0;
  while (*choices) {
    int length = (int)strcspn(choices, " ");
    if (column && column + 3 + length > LINE_WIDTH) {
      strbuf_puts(out, " |\n");
      column = 0;
    }
    strbuf_printf(out, "%*s%s%.*s", column ? 0 : CHOICE_INDENT, "", column ? " | " : "", length, choices);
    column = (column ? column + 3 : CHOICE_INDENT) + length;
    choices += length + (int)strspn(choices + length, " ");
  }
  strbuf_puts(out, "\n");
}

static void entry(const Signature *signature, StrBuf *out) {
  const char *kind = signature_kind_name(signature->kind);
  strbuf_printf(out, "%s: %s%s%s%s\n  %s\n", signature->name, kind,
                signature->keras_class ? ", Keras's `" : "",
                signature->keras_class ? signature->keras_class : "", signature->keras_class ? "`" : "",
                signature->doc);
  if (signature->aliases)
    strbuf_printf(out, "  also written: %s\n", signature->aliases);
  if (signature->formula)
    strbuf_printf(out, "\n  %s\n", signature->formula);
  const OpDef *op = signature->kind == SIG_LAYER ? op_of(signature) : NULL;
  if (op && op->max_inputs != 1 && op->max_inputs != 0) {
    if (op->max_inputs < 0)
      strbuf_printf(out, "\n  inputs: %d or more\n", op->min_inputs);
    else
      strbuf_printf(out, "\n  inputs: %d\n", op->max_inputs);
  }
  if (signature->params[0].name || op)
    strbuf_puts(out, "\n");
  for (const Param *param = signature->params; param->name; param++) {
    StrBuf type = {0};
    type_text(param, &type);
    bool wide = type.length > TYPE_WIDTH;
    strbuf_printf(out, "  %-28s %-*s %-16s %s", param->name, TYPE_WIDTH, wide ? "word" : type.text,
                  param->fallback ? param->fallback : "(needed)", param->doc);
    if (param->range)
      strbuf_printf(out, " (%s%s)", strchr("[(", param->range[0]) ? "in " : "", param->range);
    strbuf_puts(out, "\n");
    if (wide)
      choice_lines(param->choices, out);
    strbuf_free(&type);
  }
  if (op) {
    strbuf_printf(out, "  %-28s %-20s %-16s %s\n", "name", "string", "as Keras's",
                  "must be unique in the network");
    strbuf_printf(out, "  %-28s %-20s %-16s %s\n", "trainable", "true | false", "true",
                  "false: frozen from the start");
    if (op->samples && op->samples->call) {
      strbuf_puts(out, "\n");
      sample_lines(op, "  ", "\n", out);
    }
  }
}

/* Whether `name` is that list's: `losses`, or `loss`. */
static bool names_section(SignatureKind kind, const char *name) {
  return !strcasecmp(name, headings[kind]) || !strcasecmp(name, signature_kind_name(kind));
}

bool help_entry(const char *name, StrBuf *out) {
  int found = 0;
  if (!strcmp(name, "train")) {
    strbuf_puts(out, "train NETWORK { ... }: how a network is trained, a setting per line\n\n");
    train_settings_text(out);
    return true;
  }
  for (int kind = 0; kind <= SIG_CALLBACK; kind++) {
    const Signature *signature = signature_find((SignatureKind)kind, name);
    if (!signature)
      continue;
    strbuf_puts(out, found++ ? "\n" : "");
    entry(signature, out);
  }
  for (int kind = 0; kind <= SIG_CALLBACK && !found; kind++)
    if (names_section((SignatureKind)kind, name)) {
      section((SignatureKind)kind, out);
      found = 1;
    }
  if (found)
    return true;
  const char *names[1024] = {"train"};
  int count = 1;
  for (int kind = 0; kind <= SIG_CALLBACK; kind++) {
    names[count++] = signature_kind_name((SignatureKind)kind);
    count += signature_names((SignatureKind)kind, true, names + count, 1000 - count);
  }
  const char *near = diag_nearest(name, names, count);
  fprintf(stderr, "netc: nothing is called `%s`%s%s%s\n", name, near ? "; did you mean `" : "",
          near ? near : "", near ? "`?" : "");
  return false;
}

/* ---- Markdown ---- */

/* A bar would end the table's cell. */
static void cell(const char *text, StrBuf *out) {
  for (; *text; text++)
    strbuf_printf(out, "%s%c", *text == '|' ? "\\" : "", *text);
}

/* One row: how it is written with every default, what it does. */
static void row_markdown(const Signature *signature, StrBuf *out) {
  strbuf_printf(out, "| `%s(", signature->name);
  for (const Param *param = signature->params; param->name; param++)
    strbuf_printf(out, "%s%s%s%s", param->name, param->fallback ? " = " : "",
                  param->fallback ? param->fallback : "", param[1].name ? ", " : "");
  strbuf_puts(out, ")` | ");
  cell(signature->doc, out);
  if (signature->formula) {
    strbuf_puts(out, ": `");
    cell(signature->formula, out);
    strbuf_puts(out, "`");
  }
  if (signature->aliases)
    strbuf_printf(out, "; also `%s`", signature->aliases);
  strbuf_puts(out, " |\n");
}

void help_markdown(StrBuf *out) {
  for (int kind = 0; kind <= SIG_CALLBACK; kind++) {
    int count;
    const Signature *const *table = signature_table((SignatureKind)kind, &count);
    strbuf_printf(out, "### %s\n\n| | |\n| --- | --- |\n", headings[kind]);
    for (int i = 0; i < count; i++)
      row_markdown(table[i], out);
    strbuf_puts(out, "\n");
  }
}
