/* The operator table: a hook that was forgotten fails here, not at a user's. */
#include "sample.h"
#include "show.h"
#include <stdio.h>
#include <string.h>

static int passed, failed;

static void expect(bool good, const char *name, const char *what) {
  if (good) {
    passed++;
    return;
  }
  failed++;
  printf("FAIL %s: %s\n", name, what);
}

/* What the sample makes shows as a file that makes the same. */
static void check_sample(const OpDef *op, const OpSample *sample) {
  Arena arena = {0};
  Diag diag = {.arena = &arena};
  const Graph *graph = sample_graph(&arena, &diag, sample);
  expect(graph != NULL, op->name, sample->call);
  if (graph) {
    const Signature *signature = graph->output->call.signature;
    expect(signature == &op->signature, op->name, "its sample is another layer");
    for (int i = 0; signature->params[i].name; i++)
      if (signature->params[i].fallback && strcmp(signature->params[i].fallback, "none"))
        expect(graph->output->call.attrs[i].kind != ATTR_NONE, op->name, signature->params[i].name);
    for (int w = 0; w < graph->output->weight_count; w++)
      expect(shape_count(graph->output->weights[w].shape) > 0, op->name, "a weight without numbers");
    StrBuf text = {0};
    show_graph(graph, &text);
    expect(text.length > 0, op->name, "nothing to show");
    strbuf_free(&text);
  }
  arena_free(&arena);
}

static void check_language(const OpDef *op) {
  const Signature *signature = &op->signature;
  expect(signature->kind == SIG_LAYER, op->name, "its signature is no layer's");
  expect(signature->keras_class && *signature->keras_class, op->name, "no Keras class");
  expect(signature->doc && *signature->doc, op->name, "no description");
  expect(op->infer != NULL, op->name, "no shape rule");
  expect(op->lower != NULL, op->name, "no lowering");
  expect(op->max_inputs < 0 || op->max_inputs >= op->min_inputs, op->name, "impossible numbers of inputs");
  for (const Param *param = signature->params; param->name; param++) {
    expect(param->doc && *param->doc, op->name, param->name);
    expect((param->kind == P_CHOICE) == (param->choices != NULL), op->name, param->name);
  }
  expect(op->kind == OP_input || (op->samples && op->samples->call), op->name, "no sample");
  for (const OpSample *sample = op->samples; sample && sample->call; sample++)
    check_sample(op, sample);
}

/* Defaults of everything that is no layer can be bound. */
static void check_vocabulary(void) {
  for (int kind = SIG_ACTIVATION; kind <= SIG_CALLBACK; kind++)
    for (int i = 0; signature_at((SignatureKind)kind, i); i++) {
      const Signature *signature = signature_at((SignatureKind)kind, i);
      expect((int)signature->kind == kind, signature->name, "stands in the wrong table");
      expect(signature->doc && *signature->doc, signature->name, "no description");
      expect(signature_find((SignatureKind)kind, signature->name) == signature, signature->name,
             "its name is taken");
    }
}

int main(void) {
  for (int i = 0; i < OP_COUNT; i++) {
    const OpDef *op = op_table[i];
    expect((int)op->kind == i, op->name, "it stands in another's place");
    expect(op->not_differentiable || op->gradient || op->signature.name, op->name,
           "neither a gradient nor word that there is none");
    expect(op->emit || op->signature.name, op->name, "no way to print it");
    if (op->signature.name)
      check_language(op);
  }
  check_vocabulary();
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
