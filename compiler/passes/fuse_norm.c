/* What stands around a BatchNorm of a training step goes into it: the sum with a residual and the activation
 * after it into the pass that normalises, the activation's gradient into that of the BatchNorm, which makes
 * what it needs of the activation from its own input again.  So the activation's result is kept only where
 * something else reads it, and passes/recompute can make it again from what the gradient reads anyway.  A
 * bias before it has no gradient. */
#include "passes.h"
#include "fuse.h"

/* The normalisation that makes input k of `user`, if it can take on more work. */
static Node *norm_feeding(const Function *function, const Node *user, int k) {
  Value *value = user->in[k];
  if (value->kind != VALUE_TEMP || !node_is(value->def, OP_batchnorm_train) || value->def_output ||
      ir_is_result(function, value) || value->def->attr.act.kind != ACT_LINEAR)
    return NULL;
  return value->def;
}

bool fuse_norm_residual(Function *function, Node *add) {
  if (add->in_count != 2 || add->in[0] == add->in[1] || !shape_equal(add->in[0]->shape, add->in[1]->shape))
    return false;
  for (int k = 1; k >= 0; k--) {
    Node *norm = norm_feeding(function, add, k);
    if (!norm || norm->attr.has_residual || add->in[k]->use_count != 1)
      continue;
    ir_add_input(norm, add->in[1 - k]);
    norm->attr.has_residual = true;
    fuse_take_over(function, norm, add);
    return true;
  }
  return false;
}

/* activation_bwd(dy, known) -> batchnorm_train_bwd where that is all that becomes of it; else NULL. */
static Node *gradient_behind(const Node *norm, const Node *slope) {
  Value *through = slope->out[0];
  Node *back = through->use_count == 1 ? through->uses[0] : NULL;
  return node_is(back, OP_batchnorm_train_bwd) && back->in[0] == through && back->in[2] == norm->out[1] &&
                 back->attr.act.kind == ACT_LINEAR
             ? back
             : NULL;
}

static void fuse_slope(Node *norm, Node *slope, Node *back) {
  back->in[0] = slope->in[0];
  back->attr.act = slope->attr.act;
  if (norm->attr.ints[1]) {
    ir_add_input(back, norm->in[1 + norm->attr.ints[0]]);
    back->attr.ints[2] = 1;
  }
  ir_remove(slope);
}

bool fuse_norm_activation(Function *function, Node *activation) {
  Node *norm = norm_feeding(function, activation, 0);
  if (!norm)
    return false;
  Value *before = norm->out[0], *after = activation->out[0];
  Node *slope = NULL;
  for (const Value *known = after;; known = before) { /* gradients know the activation's result or input */
    for (int i = 0; i < known->use_count; i++)
      if (node_is(known->uses[i], OP_activation_bwd) && known->uses[i]->in[1] == known &&
          (known->uses[i]->attr.ints[0] != 0) == (known == before))
        slope = known->uses[i];
    if (known == before)
      break;
  }
  Node *back = slope && !norm->attr.has_residual ? gradient_behind(norm, slope) : NULL;
  /* What the activation sees is not made any more: nobody else may read it. */
  if (before->use_count != 1 + (back && slope->in[1] == before))
    return false;
  if (back)
    fuse_slope(norm, slope, back);
  norm->attr.act = activation->attr.act;
  fuse_take_over(function, norm, activation);
  return true;
}

/* channel_sum(dx of batchnorm_train_bwd) -> zeros: the mean takes back whatever is added to a channel, so the
 * loss does not depend on a bias before it.  What a sum of rounded terms gives instead is noise, which
 * optimizers that divide by its size would follow. */
bool fuse_norm_bias(Function *function, Node *sum) {
  const Value *dx = sum->in[0];
  if (dx->kind != VALUE_TEMP || !node_is(dx->def, OP_batchnorm_train_bwd) || dx->def_output ||
      !shape_equal(dx->shape, dx->def->in[1]->shape))
    return false;
  Builder builder = ir_builder_before(sum);
  Node *zeros = ir_node(&builder, OP_zeros, 0, NULL);
  ir_replace(function, sum->out[0], ir_output(zeros, sum->out[0]->shape, false, sum->out[0]->name));
  ir_remove(sum);
  return true;
}
