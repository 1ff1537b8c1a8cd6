#include "help.h"
#include "elaborate.h"
#include "lint.h"
#include "op.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_titles[] = {
    [SIG_LAYER] = "Layers",
    [SIG_ACTIVATION] = "Activations",
    [SIG_LOSS] = "Losses",
    [SIG_METRIC] = "Metrics",
    [SIG_OPTIMIZER] = "Optimizers",
    [SIG_SCHEDULE] = "Learning rate schedules",
    [SIG_INITIALIZER] = "Initializers",
    [SIG_REGULARIZER] = "Regularizers",
    [SIG_CONSTRAINT] = "Constraints",
    [SIG_CALLBACK] = "Callbacks",
};
enum { KIND_COUNT = sizeof kind_titles / sizeof *kind_titles, LINE_WIDTH = 100 };

static const char *param_kind_text(ParamKind kind) {
  switch (kind) {
  case P_INT:
    return "int";
  case P_FLOAT:
    return "number";
  case P_BOOL:
    return "true or false";
  case P_PAIR:
    return "int or HxW";
  case P_PADDING:
    return "same or valid";
  case P_PADDING_SIZES:
    return "int, (v, h) or ((t, b), (l, r))";
  case P_CHOICE:
    return "word";
  case P_ACTIVATION:
    return "activation";
  case P_SHAPE:
    return "shape";
  case P_INTS:
    return "ints";
  case P_FLOATS:
    return "number or list";
  case P_STRING:
    return "string";
  case P_INITIALIZER:
    return "initializer";
  case P_REGULARIZER:
    return "regularizer";
  case P_CONSTRAINT:
    return "constraint";
  case P_SCHEDULE:
    return "number or schedule";
  }
  return "";
}

/* `conv2d(filters, kernel_size, strides = 1, ...)`, broken into lines of `width`; 0: one line. */
static void print_call(StrBuf *out, const Signature *signature, int width) {
  size_t line = out->length;
  strbuf_printf(out, "%s(", signature->name);
  size_t indent = out->length - line;
  for (const Param *param = signature->params; param->name; param++) {
    StrBuf text = {0};
    strbuf_printf(&text, "%s%s%s%s", param->name, param->fallback ? " = " : "",
                  param->fallback ? param->fallback : "", param[1].name ? ", " : "");
    if (width && out->length - line + text.length > (size_t)width) {
      strbuf_printf(out, "\n%*s", (int)indent, "");
      line = out->length - indent;
    }
    strbuf_puts(out, text.text);
    strbuf_free(&text);
  }
  strbuf_puts(out, ")");
}

/* What a layer makes of an input, told by running its shape rule on its own samples. */
static void print_shapes(StrBuf *out, const OpDef *op) {
  int shown = 0;
  for (const OpSample *sample = op->samples; sample && sample->call; sample++) {
    if (op->max_inputs != 1 || strchr(sample->inputs, ' '))
      continue;
    Arena arena = {0};
    Diag diag = {.arena = &arena, .quiet = true};
    const char *text =
        arena_printf(&arena, "network sample {\ninput(%s)\n%s\n}\n", sample->inputs, sample->call);
    Source source = {.path = "sample", .text = text, .length = strlen(text)};
    const Graph *graph = elaborate_source(&arena, &diag, &source, NULL);
    if (graph) {
      strbuf_puts(out, shown++ ? "" : "\nshapes, without the batch:\n");
      strbuf_printf(out, "  %-56s [", sample->call);
      for (int i = 0; i < graph->input->shape.rank; i++)
        strbuf_printf(out, "%s%d", i ? ", " : "", graph->input->shape.dim[i]);
      strbuf_puts(out, "] -> [");
      for (int i = 0; i < graph->output->shape.rank; i++)
        strbuf_printf(out, "%s%d", i ? ", " : "", graph->output->shape.dim[i]);
      strbuf_puts(out, "]\n");
    }
    arena_free(&arena);
  }
}

static void print_entry(StrBuf *out, SignatureKind kind, const Signature *signature) {
  print_call(out, signature, LINE_WIDTH);
  strbuf_printf(out, "\n\n%s: %s", signature_kind_name(kind), signature->doc ? signature->doc : "");
  if (signature->keras_class)
    strbuf_printf(out, " (Keras: %s)", signature->keras_class);
  strbuf_puts(out, "\n");
  if (signature->aliases)
    strbuf_printf(out, "also called: %s\n", signature->aliases);
  if (signature->formula)
    strbuf_printf(out, "\n  %s\n", signature->formula);
  if (signature->params[0].name)
    strbuf_puts(out, "\n");
  for (const Param *param = signature->params; param->name; param++) {
    strbuf_printf(out, "  %-24s %-20s %s", param->name, param_kind_text(param->kind),
                  param->doc ? param->doc : "");
    if (param->choices)
      strbuf_printf(out, " (%s)", param->choices);
    if (param->range)
      strbuf_printf(out, "; %s%s", isdigit((unsigned char)*param->range) || *param->range == '[' ? "in " : "",
                    param->range);
    if (param->fallback)
      strbuf_printf(out, "; default %s", param->fallback);
    strbuf_puts(out, "\n");
  }
  if (kind != SIG_LAYER)
    return;
  strbuf_printf(out, "%s  %-24s %-20s %s\n  %-24s %-20s %s\n", signature->params[0].name ? "" : "\n", "name",
                "string", "default: Keras's automatic name", "trainable", "true or false",
                "default true; false: frozen from the start");
  for (int i = 0; i < OP_COUNT; i++)
    if (&op_table[i]->signature == signature)
      print_shapes(out, op_table[i]);
}

bool help_entry(const char *name, StrBuf *out) {
  int found = 0;
  for (int kind = 0; kind < KIND_COUNT; kind++) {
    const Signature *signature = signature_find((SignatureKind)kind, name);
    if (!signature)
      continue;
    strbuf_puts(out, found++ ? "\n----\n\n" : "");
    print_entry(out, (SignatureKind)kind, signature);
  }
  if (found)
    return true;
  enum { NAMES_MAX = 512 };
  const char *names[NAMES_MAX];
  int count = 0;
  for (int kind = 0; kind < KIND_COUNT; kind++)
    count += signature_names((SignatureKind)kind, true, names + count, NAMES_MAX - count);
  const char *near = diag_nearest(name, names, count);
  fprintf(stderr, "netc: there is no layer, loss, metric, optimizer ... called `%s`%s%s%s\n", name,
          near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
  return false;
}

void help_index(StrBuf *out) {
  strbuf_puts(out, "`netc help NAME` shows one entry: arguments, defaults, formula.\n");
  for (int kind = 0; kind < KIND_COUNT; kind++) {
    int count;
    const Signature *const *table = signature_table((SignatureKind)kind, &count);
    strbuf_printf(out, "\n%s:\n", kind_titles[kind]);
    size_t line = out->length;
    for (int i = 0; i < count; i++) {
      if (i && out->length - line + strlen(table[i]->name) > LINE_WIDTH) {
        strbuf_puts(out, "\n");
        line = out->length;
      }
      strbuf_printf(out, "%s%s", out->length == line ? "  " : " ", table[i]->name);
    }
    strbuf_puts(out, "\n");
  }
}

/* A cell of a table: its bars would end it. */
static void print_cell(StrBuf *out, const char *text) {
  for (const char *at = text; at && *at; at++)
    strbuf_printf(out, *at == '|' ? "\\%c" : "%c", *at);
}

void help_markdown(StrBuf *out) {
  for (int kind = 0; kind < KIND_COUNT; kind++) {
    int count;
    const Signature *const *table = signature_table((SignatureKind)kind, &count);
    strbuf_printf(out, "### %s\n\n| call | does |\n| --- | --- |\n", kind_titles[kind]);
    for (int i = 0; i < count; i++) {
      strbuf_puts(out, "| `");
      print_call(out, table[i], 0);
      strbuf_puts(out, "` | ");
      print_cell(out, table[i]->doc);
      if (table[i]->formula) {
        strbuf_puts(out, ": `");
        print_cell(out, table[i]->formula);
        strbuf_puts(out, "`");
      }
      strbuf_puts(out, " |\n");
    }
    strbuf_puts(out, "\n");
  }
  strbuf_puts(out, "### Warnings\n\n");
  lint_markdown(out);
}
