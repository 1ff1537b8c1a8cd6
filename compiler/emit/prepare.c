/* What `prepare` makes: constants, and which functions need them. */
#include "prepare.h"

/* Kept in ints[7] of the nodes of `prepare`, which has no other use for it. */
uint64_t prepare_users(const Node *node) {
  return (uint64_t)node->attr.ints[7];
}

static uint64_t users_of(const Module *module, const Node *node) {
  uint64_t users = 0;
  for (int f = 0; f < module->function_count; f++)
    for (const Node *other = module->functions[f]->first; other; other = other->next)
      for (int i = 0; i < other->in_count; i++)
        for (int o = 0; o < node->out_count; o++)
          if (other->in[i]->kind == VALUE_CONSTANT && other->in[i]->constant == node->out[o])
            users |= (uint64_t)1 << f;
  for (const Node *other = node->next; other; other = other->next)
    for (int i = 0; i < other->in_count; i++)
      if (other->in[i]->def == node)
        users |= prepare_users(other);
  return users;
}

/* Later nodes first: others ask for their users. */
void prepare_mark_users(const Module *module) {
  for (Node *node = module->prepare->last; node; node = node->prev)
    node->attr.ints[7] = (int64_t)users_of(module, node);
}

/* Whether a step of `phase` changes what the node is made of. */
static bool changed_by(const Node *node, int phase) {
  for (int i = 0; i < node->in_count; i++) {
    const Value *value = node->in[i];
    if (value->kind == VALUE_TEMP && changed_by(value->def, phase))
      return true;
    if (value->kind != VALUE_WEIGHT)
      continue;
    const Weight *weight = value->weight;
    bool moving = !weight->spec->trainable && weight->layer->op->batch_statistics;
    if (moving ? !weight->layer->frozen[phase] : weight->phases >> phase & 1)
      return true;
  }
  return false;
}

uint64_t prepare_stale_after(const Module *module, int phase) {
  uint64_t stale = 0;
  for (const Node *node = module->prepare->first; node; node = node->next)
    if (changed_by(node, phase))
      stale |= prepare_users(node);
  return stale;
}

static uint64_t prepared_functions(const Module *module) {
  uint64_t all = 0;
  for (const Node *node = module->prepare->first; node; node = node->next)
    all |= prepare_users(node);
  return all;
}

static int function_index(const Function *function) {
  int index = 0;
  while (function->module->functions[index] != function)
    index++;
  return index;
}

bool prepare_emit_refresh(const Function *function, StrBuf *out) {
  int index = function_index(function);
  bool needed = prepared_functions(function->module) >> index & 1;
  if (needed)
    strbuf_printf(out, "  if (m->stale & 0x%llxu)\n    model_prepare_%s(m);\n", 1ull << index,
                  function->name);
  return needed;
}
