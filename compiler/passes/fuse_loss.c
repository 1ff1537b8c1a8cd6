/* A cross-entropy of probabilities and the gradient of the softmax or sigmoid that made them are one kernel:
 * the gradient by the logits is p - t, while the product of both derivatives divides by p and multiplies with
 * it again.  Metrics still see the probabilities, and clipping is Keras's: probabilities below 1e-7 or above
 * 1 - 1e-7 count as these, and their gradient is zero. */
#include "passes.h"
#include "fuse.h"
#include <string.h>

static bool from_logits(const Call *loss) {
  for (int i = 0; loss->signature->params[i].name; i++)
    if (!strcmp(loss->signature->params[i].name, "from_logits"))
      return loss->attrs[i].boolean;
  return false;
}

/* Whether the loss's gradient can be taken through `node`, the gradient of what made the probabilities. */
static bool belongs(const Node *loss, const Node *node) {
  const char *name = loss->attr.call->signature->name;
  if (node_is(node, OP_softmax_bwd))
    return !strcmp(name, "categorical_crossentropy") || !strcmp(name, "sparse_categorical_crossentropy");
  return node_is(node, OP_activation_bwd) && node->attr.act.kind == ACT_SIGMOID && !node->attr.ints[0] &&
         !strcmp(name, "binary_crossentropy");
}

bool fuse_loss(Function *function, Node *node) {
  Value *dy = node->in[0];
  Node *loss = dy->kind == VALUE_TEMP ? dy->def : NULL;
  if (!node_is(loss, OP_loss) || dy->def_output != 1 || dy->use_count != 1 || node->in[1] != loss->in[0] ||
      !belongs(loss, node) || from_logits(loss->attr.call))
    return false;
  loss->attr.ints[0] = 1;
  ir_replace(function, node->out[0], dy);
  ir_remove(node);
  return true;
}
