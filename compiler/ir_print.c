/* The IR as text, one node a line, for `netc dump` and for reading diffs of passes. */
#include "ir.h"

static void print_shape(const Value *value, StrBuf *out) {
  strbuf_puts(out, value->batched ? "[n" : "[");
  for (int i = 0; i < value->shape.rank; i++)
    strbuf_printf(out, "%s%d", i || value->batched ? "," : "", value->shape.dim[i]);
  strbuf_puts(out, "]");
}

static void print_value(const Value *value, StrBuf *out) {
  switch (value->kind) {
  case VALUE_TEMP:
    strbuf_printf(out, "%%%d", value->id);
    break;
  case VALUE_CONSTANT:
    strbuf_printf(out, "const(%%%d)", value->constant ? value->constant->id : -1);
    break;
  default:
    strbuf_printf(out, "@%s", value->name ? value->name : "?");
  }
}

static void print_function(const Function *function, StrBuf *out) {
  strbuf_printf(out, "function %s {\n", function->name);
  for (const Node *node = function->first; node; node = node->next) {
    strbuf_puts(out, "  ");
    for (int i = 0; i < node->out_count; i++) {
      strbuf_puts(out, i ? ", " : "");
      print_value(node->out[i], out);
      strbuf_puts(out, " ");
      print_shape(node->out[i], out);
    }
    strbuf_printf(out, "%s%s(", node->out_count ? " = " : "", node->op->name);
    for (int i = 0; i < node->in_count; i++) {
      strbuf_puts(out, i ? ", " : "");
      print_value(node->in[i], out);
    }
    strbuf_puts(out, ")");
    if (node->op->print_attrs) {
      strbuf_puts(out, " {");
      node->op->print_attrs(node, out);
      strbuf_puts(out, "}");
    }
    if (node->layer)
      strbuf_printf(out, "  ; %s%s%s", node->layer->name,
                    node->backward ? " backward"
                    : node->again  ? " again"
                                   : "",
                    node->microbatch ? " (micro-batch)" : "");
    strbuf_puts(out, "\n");
  }
  strbuf_puts(out, "  return");
  for (int i = 0; i < function->result_count; i++) {
    strbuf_puts(out, i ? ", " : " ");
    print_value(function->results[i], out);
  }
  strbuf_puts(out, "\n}\n");
}

void ir_print(const Module *module, StrBuf *out) {
  for (int i = 0; i < module->function_count; i++)
    if (module->functions[i]->first || module->functions[i]->result_count)
      print_function(module->functions[i], out);
}
