/* Which values share memory, ahead of the plan: a view lies where its source lies, an in-place result where
 * an input dies, a branch that is concatenated in its channels of the concatenation.  And where a value has
 * memory of its own, how far its pixels lie apart. */
#include "storage.h"
#include "../kernel_sizes.h"

bool storage_is_outside(const Function *function, const Value *root) {
  return root->kind != VALUE_TEMP || (function->kind != FUNCTION_STEP && value_holds_result(function, root));
}

/* last[id]: the position of the last node that reads or makes a value; one past the nodes for results. */
static void find_last_uses(const Function *function, int *last) {
  int positions = function->last ? function->last->position + 1 : 0;
  for (int i = 0; i < function->value_count; i++)
    last[i] = -1;
  for (const Node *node = function->first; node; node = node->next) {
    for (int i = 0; i < node->in_count; i++)
      last[node->in[i]->id] = node->position;
    for (int i = 0; i < node->out_count; i++)
      last[node->out[i]->id] = node->position;
  }
  for (int i = 0; i < function->result_count; i++)
    last[function->results[i]->id] = positions;
}

/* `value` takes the memory of `source`, which lives as long as both. */
static void share(Value *value, Value *source, int *last) {
  Value *root = value_root(source);
  value->storage = source;
  if (last[value->id] > last[root->id])
    last[root->id] = last[value->id];
}

/* ---- concatenations: branches write straight into their run of channels ---- */

/* Operators that read input 0 with any distance between pixels, and write so. */
static bool takes_rows(const Node *node) {
  return node_is(node, OP_conv2d) || node_is(node, OP_depthwise_conv2d) ||
         node_is(node, OP_depthwise_pointwise) || node_is(node, OP_maxpool) || node_is(node, OP_avgpool) ||
         node_is(node, OP_concat);
}

static bool of_images(const Node *concat) {
  return node_is(concat, OP_concat) && concat->out[0]->shape.rank == 3 && concat->attr.ints[0] == 2;
}

/* Whether input k of a concatenation may be written where the concatenation stands. */
static bool may_slice(const Function *function, const Node *concat, int k) {
  const Value *value = concat->in[k];
  if (value->kind != VALUE_TEMP || value->storage != value || !value->batched || !takes_rows(value->def) ||
      value->def->attr.has_residual || (node_is(value->def, OP_concat) && !of_images(value->def)) ||
      ir_is_result(function, value))
    return false;
  for (const Node *node = value->def->next; node; node = node->next)
    for (int i = 0; i < node->in_count; i++)
      if (node->in[i] == value && (node == concat ? i != k
                                                  : !takes_rows(node) || (i && !node_is(node, OP_concat)) ||
                                                        (node_is(node, OP_concat) && !of_images(node))))
        return false;
  return true;
}

/* Only where most of the copying goes: the concatenation's memory is taken as soon as its first branch is
 * made. */
static bool worth_slicing(const Function *function, const Node *concat) {
  int there = 0;
  for (int k = 0; k < concat->in_count; k++)
    there += may_slice(function, concat, k) ? concat->in[k]->shape.dim[2] : 0;
  return 2 * there >= concat->out[0]->shape.dim[2];
}

static void share_slices(Function *function, int *born, int *last) {
  for (Node *node = function->last; node; node = node->prev) { /* outer concatenations first */
    int begin = 0;
    if (!of_images(node) || !worth_slicing(function, node))
      continue;
    for (int k = 0; k < node->in_count; begin += node->in[k++]->shape.dim[2]) {
      Value *value = node->in[k];
      if (!may_slice(function, node, k))
        continue;
      const Value *root = value_root(node->out[0]);
      share(value, node->out[0], last);
      value->sliced = true;
      value->slice = begin;
      if (value->def->position < born[root->id])
        born[root->id] = value->def->position;
    }
  }
}

/* ---- pixels that would push each other out of a cache are set apart ---- */

enum { LINE_FLOATS = 16 };

/* Whether the node reads input i, a value whose root is `root`, with any distance between pixels.  A residual
 * is read by the distance of the output. */
static bool reads_apart(const Node *node, int i, const Value *root) {
  if (node_is(node, OP_concat))
    return of_images(node);
  if (i == 0)
    return takes_rows(node) || node_is(node, OP_global_avgpool);
  return takes_rows(node) && node->attr.has_residual && node->in[i]->batched &&
         value_root(node->out[0])->row == root->row && !node->out[0]->sliced && !node->in[i]->sliced;
}

/* Whether the node sums over windows of pixels as they lie: it keeps several rows of them in the first-level
 * cache. */
static bool reads_windows(const Node *node) {
  return node_is(node, OP_depthwise_conv2d) ||
         (node_is(node, OP_depthwise_pointwise) && !node->attr.expands) ||
         (node_is(node, OP_conv2d) && !conv_tile(node->attr.algorithm) &&
          node->attr.conv.kernel_h * node->attr.conv.kernel_w > 1);
}

/* Whether pixels of a value push each other out: all share a set, or half of them where windows are read. */
static bool shares_sets(const Node *node, const Value *value) {
  int channels = value->shape.dim[2];
  if (channels % CONV_SAME_SET_FLOATS == 0)
    return true;
  for (; node && channels % (CONV_SAME_SET_FLOATS / 2) == 0; node = node->next)
    if (node->in_count && node->in[0] == value && reads_windows(node))
      return true;
  return false;
}

/* Whether a value is written with any distance between pixels, and lies nowhere else. */
static bool may_set_apart(const Function *function, const Node *node, const Value *value) {
  return value->storage == value && value->batched && value->shape.rank == 3 && node->out_count == 1 &&
         !storage_is_outside(function, value) &&
         (node_is(node, OP_concat) ? of_images(node) : takes_rows(node)) && shares_sets(node, value);
}

/* The root whose pixels cannot be apart because of this node, or NULL. */
static Value *not_apart(const Node *node) {
  Value *y = node->out_count ? value_root(node->out[0]) : NULL;
  for (int i = 0; i < node->in_count; i++) {
    Value *root = value_root(node->in[i]);
    if (root->row && !reads_apart(node, i, root))
      return root;
    if (i && y && y->row && takes_rows(node) && !node_is(node, OP_concat) && node->in[i]->batched &&
        root->row != y->row)
      return y;
  }
  return NULL;
}

static void set_pixels_apart(Function *function) {
  for (Node *node = function->first; node; node = node->next)
    for (int i = 0; i < node->out_count; i++) {
      Value *value = node->out[i];
      if (may_set_apart(function, node, value))
        value->row = value->shape.dim[2] + LINE_FLOATS;
    }
  for (Node *node = function->first; node;) {
    Value *root = not_apart(node);
    if (root)
      root->row = 0;
    node = root ? function->first : node->next;
  }
}

/* Tells the operators how far pixels lie apart. */
static void set_rows(Function *function) {
  for (Node *node = function->first; node; node = node->next) {
    if (!takes_rows(node) || node_is(node, OP_concat))
      continue;
    bool pool = node_is(node, OP_maxpool) || node_is(node, OP_avgpool);
    Conv2d *reader = node->attr.expands                      ? &node->attr.expand
                     : node_is(node, OP_depthwise_pointwise) ? &node->attr.depthwise
                                                             : &node->attr.conv;
    *(pool ? &node->attr.pool.in_ld : &reader->in_ld) = value_row_floats(node->in[0]);
    *(pool ? &node->attr.pool.out_ld : &node->attr.conv.out_ld) = value_row_floats(node->out[0]);
  }
}

/* Whether input k may become the output's memory: it dies here, and no other input lies in it. */
static bool dies_into(const Function *function, const Node *node, int k, const int *last) {
  const Value *root = value_root(node->in[k]);
  if (value_floats(node->in[k]) != value_floats(node->out[0]) ||
      node->in[k]->batched != node->out[0]->batched || storage_is_outside(function, root) ||
      last[root->id] != node->position)
    return false;
  for (int i = 0; i < node->in_count; i++)
    if (i != k && value_root(node->in[i]) == root)
      return false;
  return true;
}

/* Of a convolution: the number of the input that its output may take the place of, though it is not the
 * first: what is added to it, or with Winograd the mask; or -1. */
static int written_over(const Node *node) {
  if (!node_is(node, OP_conv2d) && !node_is(node, OP_conv2d_bwd_x))
    return -1;
  if (node->attr.has_residual)
    return node_trailing(node) + node->attr.has_bias;
  return node->attr.masked && conv_tile(node->attr.algorithm) ? node->in_count - 1 : -1;
}

void storage_share(Function *function, bool in_place, int *born, int *last) {
  find_last_uses(function, last);
  for (Node *node = function->first; node; node = node->next)
    for (int i = 0; i < node->out_count; i++) {
      node->out[i]->storage = node->out[i];
      node->out[i]->sliced = false;
      node->out[i]->row = 0;
      born[node->out[i]->id] = node->position;
    }
  for (Node *node = function->last; node;
       node = node->prev) /* users first: lives reach back through chains */
    if (node->op->view)
      share(node->out[0], node->in[0], last);
  if (in_place) {
    share_slices(function, born, last);
    set_pixels_apart(function);
  }
  set_rows(function);
  if (!in_place)
    return;
  for (Node *node = function->first; node; node = node->next) {
    if (!node->op->in_place || !node->in_count)
      continue;
    if (node->in_count == 2 && (node_is(node, OP_add) || node_is(node, OP_multiply)) &&
        !dies_into(function, node, 0, last) && dies_into(function, node, 1, last)) {
      Value *first = node->in[0];
      node->in[0] = node->in[1];
      node->in[1] = first;
    }
    if (dies_into(function, node, 0, last))
      share(node->out[0], node->in[0], last);
  }
  for (Node *node = function->first; node; node = node->next)
    if (node_is(node, OP_maxpool_bwd) && node->in_count == 3 && kernel_pool_windows_apart(&node->attr.pool) &&
        dies_into(function, node, 1, last))
      share(node->out[0], node->in[1], last);
  for (Node *node = function->first; node; node = node->next) {
    int over = written_over(node);
    if (over >= 0 && dies_into(function, node, over, last))
      share(node->out[0], node->in[over], last);
  }
}
