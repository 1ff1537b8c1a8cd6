#include "signature.h"
#include "op.h"
#include "vocab/vocab.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_texts[] = {
    [SIG_LAYER] = "layer",
    [SIG_ACTIVATION] = "activation",
    [SIG_LOSS] = "loss",
    [SIG_METRIC] = "metric",
    [SIG_OPTIMIZER] = "optimizer",
    [SIG_SCHEDULE] = "schedule",
    [SIG_INITIALIZER] = "initializer",
    [SIG_REGULARIZER] = "regularizer",
    [SIG_CONSTRAINT] = "constraint",
    [SIG_CALLBACK] = "callback",
};

const char *signature_kind_name(SignatureKind kind) {
  return kind_texts[kind];
}

/* Layers live in the operator table, everything else in vocab/. */
static const Signature *const *layer_table(int *count) {
  static const Signature *table[OP_COUNT];
  int n = 0;
  for (int i = 0; i < OP_COUNT; i++)
    if (op_table[i]->signature.name)
      table[n++] = &op_table[i]->signature;
  *count = n;
  return table;
}

const Signature *const *signature_table(SignatureKind kind, int *count) {
  return kind == SIG_LAYER ? layer_table(count) : vocab_table(kind, count);
}

/* True where `name` is one of the words of a space-separated list. */
static bool list_has(const char *list, const char *name) {
  size_t length = strlen(name);
  for (const char *at = list; at && *at;) {
    size_t word = strcspn(at, " ");
    if (word == length && !memcmp(at, name, length))
      return true;
    at += word + strspn(at + word, " ");
  }
  return false;
}

const Signature *signature_find(SignatureKind kind, const char *name) {
  int count;
  const Signature *const *table = signature_table(kind, &count);
  for (int i = 0; i < count; i++)
    if (!strcmp(table[i]->name, name))
      return table[i];
  for (int i = 0; i < count; i++)
    if (list_has(table[i]->aliases, name))
      return table[i];
  for (int i = 0; i < count; i++)
    if (table[i]->keras_class && !strcmp(table[i]->keras_class, name))
      return table[i];
  return NULL;
}

int signature_names(SignatureKind kind, bool aliases, const char **names, int room) {
  static Arena words; /* aliases are split once per call; kept until netc ends */
  int count, n = 0;
  const Signature *const *table = signature_table(kind, &count);
  for (int i = 0; i < count && n < room; i++) {
    names[n++] = table[i]->name;
    for (const char *at = aliases ? table[i]->aliases : NULL; at && *at && n < room;) {
      size_t word = strcspn(at, " ");
      names[n++] = arena_strndup(&words, at, word);
      at += word + strspn(at + word, " ");
    }
  }
  return n;
}

int signature_param_count(const Signature *signature) {
  int n = 0;
  while (signature->params[n].name)
    n++;
  return n;
}

int signature_param(const Signature *signature, const char *name) {
  for (int i = 0; signature->params[i].name; i++)
    if (!strcmp(signature->params[i].name, name))
      return i;
  return -1;
}

const Signature *signature_at(SignatureKind kind, int index) {
  int count;
  const Signature *const *table = signature_table(kind, &count);
  return index < count ? table[index] : NULL;
}

const Attr *call_attr(const Call *call, const char *name) {
  for (int i = 0; call->signature->params[i].name; i++)
    if (!strcmp(call->signature->params[i].name, name))
      return &call->attrs[i];
  fprintf(stderr, "netc: bug: `%s` has no parameter `%s`\n", call->signature->name, name);
  abort();
}

static const Attr *attr_of(const Call *call, const char *name, AttrKind kind) {
  const Attr *attr = call_attr(call, name);
  if (attr->kind == kind || attr->kind == ATTR_NONE)
    return attr;
  fprintf(stderr, "netc: bug: parameter `%s` of `%s` is of another kind\n", name, call->signature->name);
  abort();
}

int64_t call_int(const Call *call, const char *name) {
  return attr_of(call, name, ATTR_INT)->integer;
}

double call_float(const Call *call, const char *name) {
  return attr_of(call, name, ATTR_FLOAT)->number;
}

bool call_bool(const Call *call, const char *name) {
  return attr_of(call, name, ATTR_BOOL)->boolean;
}

const char *call_text(const Call *call, const char *name) {
  const Attr *attr = attr_of(call, name, ATTR_TEXT);
  return attr->kind == ATTR_NONE ? NULL : attr->text;
}

const int64_t *call_ints(const Call *call, const char *name) {
  const Attr *attr = attr_of(call, name, ATTR_INTS);
  return attr->kind == ATTR_NONE ? NULL : attr->ints;
}

const Call *call_call(const Call *call, const char *name) {
  const Attr *attr = attr_of(call, name, ATTR_CALL);
  return attr->kind == ATTR_NONE ? NULL : attr->call;
}

double call_number(const Call *call, const char *name, double absent) {
  const Attr *attr = call_attr(call, name);
  return attr->kind == ATTR_INT ? (double)attr->integer : attr->kind == ATTR_FLOAT ? attr->number : absent;
}
