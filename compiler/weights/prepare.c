/* Runs the function `prepare` of a network in the compiler, with the kernels that the emitted program would
 * run it with: what a weights file needs to be used in place. */
#include "prepare.h"
#include "../../runtime/hash.h"
#include "../../runtime/kernels/batchnorm.h"
#include "../../runtime/kernels/conv2d_direct.h"
#include "../../runtime/kernels/conv2d_winograd.h"
#include "../version.h"
#include <stdlib.h>

typedef struct Memory {
  const float *params;
  float *constants, *pool;
  Work work;
} Memory;

static const float *input(const Memory *memory, const Function *function, const Value *value) {
  const Value *root = value_root(value);
  if (root->kind == VALUE_WEIGHT)
    return memory->params + root->weight->offset;
  return (value_holds_result(function, root) ? memory->constants : memory->pool) + root->offset;
}

static float *output(const Memory *memory, const Function *function, const Value *value) {
  const Value *root = value_root(value);
  return (value_holds_result(function, root) ? memory->constants : memory->pool) + root->offset;
}

/* fold_batchnorm(w [, bias] [, gamma] [, beta], mean, variance): see ops/batchnorm.c. */
static void run_fold(const Memory *memory, const Node *node) {
  const Function *prepare = node->function;
  const float *in[6];
  for (int i = 0; i < node->in_count; i++)
    in[i] = input(memory, prepare, node->in[i]);
  int gamma = node->attr.ints[0] != 0, beta = node->attr.ints[1] != 0, bias = node->attr.ints[2] != 0;
  int channels = node->out[1]->shape.dim[0];
  batchnorm_fold(shape_count(node->in[0]->shape) / channels, channels, in[0], bias ? in[1] : NULL,
                 gamma ? in[1 + bias] : NULL, beta ? in[1 + bias + gamma] : NULL, in[1 + bias + gamma + beta],
                 in[2 + bias + gamma + beta], (float)node->attr.floats[0],
                 output(memory, prepare, node->out[0]), output(memory, prepare, node->out[1]), &memory->work);
}

static void run_pack(const Memory *memory, const Node *node) {
  const Conv2d *conv = &node->attr.conv;
  const float *w = input(memory, node->function, node->in[0]);
  float *packed = output(memory, node->function, node->out[0]);
  int tile = conv_tile(node->attr.algorithm);
  if (tile)
    conv2d_fwd_winograd_pack(tile, conv, w, packed, &memory->work);
  else
    conv2d_fwd_direct_pack(conv, w, packed, &memory->work);
}

static bool can_run(const Node *node) {
  return node->op->view || node->op->kind == OP_fold_batchnorm ||
         (node->op->kind == OP_conv2d_pack && !node->attr.ints[0]);
}

bool prepare_possible(const Module *module) {
  for (const Node *node = module->prepare->first; node; node = node->next)
    if (!can_run(node))
      return false;
  return true;
}

static void add_place(const Function *prepare, const Value *value, StrBuf *out) {
  const Value *root = value_root(value);
  if (root->kind == VALUE_WEIGHT)
    strbuf_printf(out, " w%lld", (long long)root->weight->offset);
  else
    strbuf_printf(out, " %c%lld", value_holds_result(prepare, root) ? 'c' : 't', (long long)root->offset);
}

uint64_t prepare_hash(const Module *module) {
  const Function *prepare = module->prepare;
  StrBuf text = {0};
  strbuf_printf(&text, "%s %lld %lld\n", NETC_VERSION, (long long)module->param_floats,
                (long long)module->constant_floats);
  for (const Node *node = prepare->first; node; node = node->next) {
    strbuf_puts(&text, node->op->name);
    for (int i = 0; i < node->in_count; i++)
      add_place(prepare, node->in[i], &text);
    strbuf_puts(&text, " to");
    for (int i = 0; i < node->out_count; i++)
      add_place(prepare, node->out[i], &text);
    strbuf_puts(&text, " ");
    if (node->op->print_attrs)
      node->op->print_attrs(node, &text);
    if (node->op->kind == OP_conv2d_pack)
      strbuf_printf(&text, " %d %d %d %d", node->attr.conv.in_c, node->attr.conv.out_c, node->attr.conv.in_ld,
                    node->attr.conv.out_ld);
    strbuf_puts(&text, "\n");
  }
  uint64_t hash = hash_bytes(text.text, text.length, 0);
  strbuf_free(&text);
  return hash ? hash : 1;
}

bool prepare_run(const Module *module, const float *params, float *constants) {
  const Function *prepare = module->prepare;
  size_t scratch = (size_t)(prepare->scratch_floats + 16 * prepare->scratch_batch_floats + 16);
  Memory memory = {.params = params, .constants = constants};
  memory.pool = calloc((size_t)prepare->fixed_floats + scratch + 16, sizeof(float));
  if (!memory.pool)
    return false;
  memory.work = (Work){1, memory.pool + prepare->fixed_floats, scratch};
  for (const Node *node = prepare->first; node; node = node->next) {
    if (node->op->kind == OP_fold_batchnorm)
      run_fold(&memory, node);
    else if (node->op->kind == OP_conv2d_pack)
      run_pack(&memory, node);
  }
  free(memory.pool);
  return true;
}
