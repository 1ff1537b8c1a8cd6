/* Invariants that hold between passes.  A violation is a bug in netc: it names the pass and stops. */
#include "ir.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static _Noreturn void fail(const Function *function, const Node *node, const char *pass, const char *format,
                           ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "netc: bug: after pass `%s`, in `%s`, at `%s`%s%s: ", pass, function->name,
          node ? node->op->name : "the results", node && node->layer ? " of " : "",
          node && node->layer ? node->layer->name : "");
  vfprintf(stderr, format, args);
  va_end(args);
  StrBuf text = {0};
  ir_print(function->module, &text);
  fprintf(stderr, "\n%s", getenv("NETC_DUMP_ON_BUG") ? text.text : "");
  strbuf_free(&text);
  abort();
}

static void verify_value(const Function *function, const Node *node, const char *pass, const Value *value,
                         const bool *defined) {
  if (!value)
    fail(function, node, pass, "a missing input");
  if (value->kind == VALUE_TEMP && !defined[value->id])
    fail(function, node, pass, "%%%d is used before it is defined", value->id);
  if (value->kind == VALUE_WEIGHT && function->weight_values[value->weight->index] != value)
    fail(function, node, pass, "a weight of another function");
  if (value->kind == VALUE_CONSTANT && !value->constant)
    fail(function, node, pass, "a constant without its definition");
  for (int i = 0; i < value->shape.rank; i++)
    if (value->shape.dim[i] < 1)
      fail(function, node, pass, "an empty shape");
}

static void verify_function(const Function *function, const char *pass) {
  bool *defined = calloc((size_t)function->value_count + 1, sizeof *defined);
  bool *updated = calloc((size_t)function->value_count + 1, sizeof *updated); /* weights */
  for (const Node *node = function->first; node; node = node->next) {
    if (node->function != function)
      fail(function, node, pass, "a node of another function");
    if (node->next ? node->next->prev != node : function->last != node)
      fail(function, node, pass, "a broken node list");
    for (int i = 0; i < node->in_count; i++)
      verify_value(function, node, pass, node->in[i], defined);
    for (int i = 0; i < node->in_count && !node->op->has_effect; i++)
      if (updated[node->in[i]->id])
        fail(function, node, pass, "a weight is read after its update");
    if (node_is(node, OP_update) || node_is(node, OP_dense_update))
      updated[node->in[0]->id] = true;
    for (int i = 0; i < node->out_count; i++) {
      if (node->out[i]->def != node || node->out[i]->def_output != i)
        fail(function, node, pass, "an output that does not know its node");
      defined[node->out[i]->id] = true;
    }
    if (!node->out_count && !node->op->has_effect)
      fail(function, node, pass, "a node without output or effect");
    if (node->op->view && value_floats(node->in[0]) != value_floats(node->out[0]))
      fail(function, node, pass, "a view that changes the number of floats");
  }
  for (int i = 0; i < function->result_count; i++)
    verify_value(function, NULL, pass, function->results[i], defined);
  free(defined);
  free(updated);
}

void ir_verify(const Module *module, const char *pass) {
  for (int i = 0; i < module->function_count; i++)
    verify_function(module->functions[i], pass);
}
