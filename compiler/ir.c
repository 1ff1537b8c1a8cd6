#include "ir.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Builder ir_builder_before(Node *node) {
  return (Builder){.module = node->function->module,
                   .function = node->function,
                   .layer = node->layer,
                   .backward = node->backward,
                   .phase = node->function->phase,
                   .before = node};
}

Function *ir_function(Module *module, FunctionKind kind, const char *name, int phase) {
  Function *function = arena_new(module->arena, Function);
  function->kind = kind;
  function->name = name;
  function->module = module;
  function->phase = phase;
  function->weight_values = arena_array(module->arena, Value *, module->weight_count + 1);
  module->functions[module->function_count++] = function;
  return function;
}

static Value *new_value(Function *function, ValueKind kind, Shape shape, bool batched, const char *name) {
  Value *value = arena_new(function->module->arena, Value);
  value->id = function->value_count++;
  value->kind = kind;
  value->shape = shape;
  value->batched = batched;
  value->name = name;
  value->storage = value;
  return value;
}

Node *ir_node(Builder *builder, OpKind op, int in_count, Value *const *in) {
  Arena *arena = builder->module->arena;
  Node *node = arena_new(arena, Node);
  node->op = op_table[op];
  node->function = builder->function;
  node->layer = builder->layer;
  node->backward = builder->backward;
  node->in_count = in_count;
  node->in = arena_array(arena, Value *, in_count + 1);
  if (in_count)
    memcpy(node->in, in, sizeof *in * (size_t)in_count);
  Function *function = builder->function;
  node->next = builder->before;
  node->prev = builder->before ? builder->before->prev : function->last;
  *(node->prev ? &node->prev->next : &function->first) = node;
  *(node->next ? &node->next->prev : &function->last) = node;
  return node;
}

Value *ir_output(Node *node, Shape shape, bool batched, const char *name) {
  if (node->out_count == NODE_MAX_OUTPUTS) {
    fprintf(stderr, "netc: bug: %s has too many outputs\n", node->op->name);
    abort();
  }
  Value *value = new_value(node->function, VALUE_TEMP, shape, batched, name);
  value->def = node;
  value->def_output = node->out_count;
  node->out[node->out_count++] = value;
  return value;
}

Value *ir_unary(Builder *builder, OpKind op, Value *in, Shape shape) {
  Node *node = ir_node(builder, op, 1, &in);
  return ir_output(node, shape, true, builder->layer ? builder->layer->name : NULL);
}

Value *ir_binary(Builder *builder, OpKind op, Value *a, Value *b, Shape shape) {
  Node *node = ir_node(builder, op, 2, (Value *[]){a, b});
  return ir_output(node, shape, true, builder->layer ? builder->layer->name : NULL);
}

Value *ir_argument(Function *function, ValueKind kind, Shape shape, const char *name) {
  return new_value(function, kind, shape, kind != VALUE_WEIGHT && kind != VALUE_CONSTANT, name);
}

int module_weight_index(const Module *module, const Layer *layer, const LayerWeight *weight) {
  for (int i = 0; i < module->weight_count; i++)
    if (module->weights[i].layer == layer && module->weights[i].spec == weight)
      return i;
  fprintf(stderr, "netc: bug: weight %s of %s is not in the module\n", weight->name, layer->name);
  abort();
}

Value *ir_weight(Builder *builder, const Layer *layer, const char *name) {
  for (int i = 0; i < layer->weight_count; i++) {
    if (strcmp(layer->weights[i].name, name))
      continue;
    Function *function = builder->function;
    int index = module_weight_index(builder->module, layer, &layer->weights[i]);
    if (!function->weight_values[index]) {
      Value *value = new_value(function, VALUE_WEIGHT, layer->weights[i].shape, false,
                               arena_printf(builder->module->arena, "%s.%s", layer->name, name));
      value->weight = &builder->module->weights[index];
      function->weight_values[index] = value;
    }
    return function->weight_values[index];
  }
  return NULL;
}

bool ir_weight_trained(const Builder *builder, const Value *weight) {
  return weight && weight->weight && (weight->weight->phases >> builder->phase & 1);
}

bool ir_unchanging(const Function *function, const Value *value) {
  if (value->kind == VALUE_CONSTANT)
    return true;
  if (value->kind != VALUE_WEIGHT)
    return false;
  if (function->kind != FUNCTION_STEP)
    return true;
  const Weight *weight = value->weight;
  bool moving = !weight->spec->trainable && weight->layer->op->batch_statistics;
  return moving ? weight->layer->frozen[function->phase] : !(weight->phases >> function->phase & 1);
}

void ir_remove(Node *node) {
  *(node->prev ? &node->prev->next : &node->function->first) = node->next;
  *(node->next ? &node->next->prev : &node->function->last) = node->prev;
  node->prev = node->next = NULL;
}

void ir_insert_input(Node *node, int index, Value *value) {
  Value **in = arena_array(node->function->module->arena, Value *, node->in_count + 1);
  for (int i = 0; i < node->in_count; i++)
    in[i + (i >= index)] = node->in[i];
  in[index] = value;
  node->in = in;
  node->in_count++;
}

void ir_add_input(Node *node, Value *value) {
  ir_insert_input(node, node->in_count, value);
}

void ir_replace(Function *function, Value *from, Value *to) {
  for (Node *node = function->first; node; node = node->next)
    for (int i = 0; i < node->in_count; i++)
      if (node->in[i] == from)
        node->in[i] = to;
  for (int i = 0; i < function->result_count; i++)
    if (function->results[i] == from)
      function->results[i] = to;
}

static void each_input(Function *function, bool record) {
  Arena *arena = function->module->arena;
  for (Node *node = function->first; node; node = node->next)
    for (int i = 0; i < node->in_count; i++) {
      Value *value = node->in[i];
      if (record) {
        if (!value->uses)
          value->uses = arena_array(arena, Node *, value->use_count);
        int at = 0;
        while (at < value->use_count && value->uses[at])
          at++;
        value->uses[at] = node;
      } else {
        value->use_count++;
      }
    }
}

bool ir_is_result(const Function *function, const Value *value) {
  for (int i = 0; i < function->result_count; i++)
    if (function->results[i] == value)
      return true;
  return false;
}

void ir_count_uses(Function *function) {
  for (Node *node = function->first; node; node = node->next) {
    for (int i = 0; i < node->in_count; i++) {
      node->in[i]->use_count = 0;
      node->in[i]->uses = NULL;
    }
    for (int i = 0; i < node->out_count; i++) {
      node->out[i]->use_count = 0;
      node->out[i]->uses = NULL;
    }
  }
  each_input(function, false);
  each_input(function, true);
}

void ir_number(Function *function) {
  int position = 0;
  for (Node *node = function->first; node; node = node->next)
    node->position = position++;
}

int64_t node_flops(const Node *node) {
  return node->op->flops ? node->op->flops(node) : 0;
}

int function_images(FunctionKind kind, int images) {
  bool in_parts = kind == FUNCTION_FORWARD || kind == FUNCTION_FEATURES || kind == FUNCTION_VARIED;
  return in_parts && images > FORWARD_BATCH ? FORWARD_BATCH : images;
}

int module_microbatch(const Module *module, int images, int threads) {
  int most = module->microbatch * threads;
  return images < most ? images : most;
}

Value *value_root(const Value *value) {
  while (value->storage != value)
    value = value->storage;
  return value->storage;
}

bool value_holds_result(const Function *function, const Value *root) {
  for (int i = 0; i < function->result_count; i++)
    if (value_root(function->results[i]) == root)
      return true;
  return false;
}

int value_row_floats(const Value *value) {
  while (value->sliced)
    value = value->storage;
  return value->row ? value->row : value->shape.dim[value->shape.rank - 1];
}

int64_t value_memory_floats(const Value *root) {
  return root->row ? value_floats(root) / root->shape.dim[root->shape.rank - 1] * root->row
                   : value_floats(root);
}

int64_t value_slice_floats(const Value *value) {
  int64_t floats = 0;
  for (; value->storage != value; value = value->storage)
    floats += value->sliced ? value->slice : 0;
  return floats;
}

Value *node_input(const Node *node, int index) {
  if (index < 0 || index >= node->in_count) {
    fprintf(stderr, "netc: bug: %s has no input %d\n", node->op->name, index);
    abort();
  }
  return node->in[index];
}

bool node_is(const Node *node, OpKind op) {
  return node && node->op->kind == op;
}

int node_trailing(const Node *node) {
  return 2 + (node->attr.max_pool && !node_is(node, OP_conv2d)); /* gradients read the places of maxima */
}
