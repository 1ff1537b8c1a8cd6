/* Chooses an algorithm for each convolution, as M.tune says or else by a model, and lets it read packed
 * weights: conv2d(x, conv2d_pack(w)).  Winograd's output tiles hold whole 2 x 2 blocks, so a pooling that
 * follows is done before they are stored. Packing of weights that do not change is moved to `prepare` by the
 * next pass. */
#include "passes.h"
#include "../conv_cost.h"
#include "../kernel_sizes.h"
#include "../tuning.h"

/* What Winograd must save to be taken, and what its larger tiles must save over 4x4: direct sums round less,
 * and smaller tiles round less than larger ones.  And what two sets of packed weights must save. */
static const double LEAST_GAIN = 0.1, LEAST_GAIN_OF_LARGE = 0.03, LEAST_GAIN_OF_TWO = 0.05;
/* Predictions of a few images, beside those of one and of a whole part: between them lies what a second set
 * of weights would be kept for. */
enum { FEW_IMAGES = 4 };

/* Whether a value will be made once, in `prepare`. */
static bool settled(const Function *function, const Value *value) {
  if (value->kind != VALUE_TEMP)
    return ir_unchanging(function, value);
  const Node *def = value->def;
  if (def->op->has_effect || def->op->random || !def->in_count)
    return false;
  for (int i = 0; i < def->in_count; i++)
    if (!settled(function, def->in[i]))
      return false;
  return true;
}

/* The pooling that Winograd's kernels could do with the convolution: maxpool(conv2d(x, w)) with windows of 2
 * x 2 side by side and no other reader in between; or NULL. */
static Node *pool_to_take(const Node *node) {
  const Value *y = node->out[0];
  Node *pool = node_is(node, OP_conv2d) && y->use_count == 1 ? y->uses[0] : NULL;
  if (!pool || !node_is(pool, OP_maxpool) || !kernel_act_is_clamp(node->attr.act) ||
      node->attr.has_residual || ir_is_result(node->function, y) ||
      !kernel_conv2d_fits(&node->attr.conv, CONV_WINOGRAD4, OP_conv2d))
    return NULL;
  return pool_is_pairs(&pool->attr.pool) ? pool : NULL;
}

/* Whether dy of a gradient is that of a pooling which Winograd's kernels could read instead. */
static bool reads_pool(const Node *node) {
  const Value *dy = node->in[node_is(node, OP_conv2d_bwd_w)];
  const Node *pool = dy->kind == VALUE_TEMP && node->backward ? dy->def : NULL;
  return node_is(pool, OP_maxpool_bwd) && pool->in_count == 2 && pool_is_pairs(&pool->attr.pool);
}

static void take_pool(Node *node, Node *pool) {
  Value *y = node->out[0];
  node->attr.max_pool = true;
  y->shape = pool->out[0]->shape;
  y->name = pool->out[0]->name;
  ir_replace(node->function, pool->out[0], y);
  if (pool->out_count > 1) /* where the maxima were */
    ir_replace(node->function, pool->out[1], ir_output(node, pool->out[1]->shape, true, pool->out[1]->name));
  ir_remove(pool);
}

static Value *add_pack(Node *node, Value *w, ConvAlgorithm algorithm) {
  Module *module = node->function->module;
  Builder builder = ir_builder_before(node);
  Node *pack = ir_node(&builder, OP_conv2d_pack, 1, &w);
  pack->attr.conv = node->attr.conv;
  pack->attr.algorithm = algorithm;
  pack->attr.ints[0] = node_is(node, OP_conv2d_bwd_x);
  int64_t floats = kernel_conv2d_packed_floats(&node->attr.conv, algorithm, node->op->kind);
  return ir_output(pack, (Shape){1, {(int)floats}}, false,
                   arena_printf(module->arena, "%s.packed", node->layer ? node->layer->name : "conv"));
}

/* ---- the model ---- */

/* Cost of a choice at n images, with what an algorithm that rounds more must save, and with what its kernels
 * do not do on the way: a pooling, pooled gradients written out and read. */
static double choice_cost(const Node *node, ConvChoice choice, int n, bool is_settled) {
  ConvAlgorithm algorithm = n < choice.few_below ? choice.few : choice.algorithm;
  double cost = conv_cost(node->function->module, &node->attr.conv, node->op->kind, algorithm, n, is_settled);
  const Conv2d *conv = &node->attr.conv;
  double y = (double)conv->out_h * conv->out_w * conv->out_c, floats = 0;
  if (node_is(node, OP_conv2d))
    floats = pool_to_take(node) && !tuning_choice_pools(choice) ? 2 * y : 0;
  else if (algorithm == CONV_DIRECT)
    floats = reads_pool(node) ? 2 * y : 0;
  cost += n * conv_pass_cost(node->function->module, floats);
  cost /= algorithm == CONV_DIRECT ? 1 : 1 - LEAST_GAIN;
  return conv_tile(algorithm) > 4 ? cost / (1 - LEAST_GAIN_OF_LARGE) : cost;
}

/* From how many images on `few` no longer saves LEAST_GAIN over an algorithm; FORWARD_BATCH where not before;
 * 0: nowhere. */
static int fewest_images(const Module *module, const Conv2d *conv, ConvAlgorithm few,
                         ConvAlgorithm algorithm) {
  int n = 1;
  while (n < FORWARD_BATCH && conv_cost(module, conv, OP_conv2d, few, n, true) <
                                  (1 - LEAST_GAIN) * conv_cost(module, conv, OP_conv2d, algorithm, n, true))
    n++;
  return n > 1 ? n : 0;
}

/* What the model says.  Predictions of one image, of a few and of a whole part weigh the same, each in units
 * of what direct sums cost; where packed weights are so many that a few images do not pay for them, a second
 * algorithm is kept beside. */
static ConvChoice model_choice(const Module *module, const Node *node) {
  const Conv2d *conv = &node->attr.conv;
  static const ConvAlgorithm tiles[] = {CONV_WINOGRAD2, CONV_WINOGRAD4, CONV_WINOGRAD5, CONV_WINOGRAD6},
                             fews[] = {CONV_UNCHOSEN, CONV_DIRECT, CONV_WINOGRAD2};
  enum { TILES = sizeof tiles / sizeof *tiles, FEWS = sizeof fews / sizeof *fews };
  ConvChoice direct = {.algorithm = CONV_DIRECT}, best = direct;
  OpKind op = node->op->kind;
  if (module->exact || !kernel_conv2d_fits(conv, CONV_WINOGRAD4, op))
    return direct;
  FunctionKind place = node->function->kind;
  bool gradient = op == OP_conv2d_bwd_w, one = place == FUNCTION_FORWARD;
  bool is_settled = !gradient && settled(node->function, node->in[1]);
  /* Winograd's packed weights are four to seven times as many as the layer's own.  Predictions keep them.
   * Steps make them anew each time, and features are computed once per image and many images at a time: there
   * memory is worth more than the time that making them on the way takes, unless it is little. */
  bool keeps_packed = is_settled && place != FUNCTION_FEATURES && place != FUNCTION_VARIED;
  int batch = function_images(place, module->graph->train.batch ? module->graph->train.batch : 32);
  const int images[] = {batch, 1, FEW_IMAGES};
  int counts = !one ? 1 : batch > FEW_IMAGES ? 3 : 2;
  double least = counts;
  for (int i = 0; i < TILES * FEWS * 2; i++) {
    ConvChoice choice = {tiles[i / 2 / FEWS], fews[i / 2 % FEWS], 0};
    if (!kernel_conv2d_fits(conv, choice.algorithm, op))
      continue;
    ConvAlgorithm raw = gradient ? choice.algorithm : kernel_conv2d_raw(conv, choice.algorithm, op);
    bool is_raw = i % 2;
    if (is_raw ? keeps_packed || raw == choice.algorithm
               : !keeps_packed && !kernel_conv2d_pack_pays(conv, choice.algorithm, op, batch))
      continue;
    if (choice.few != CONV_UNCHOSEN) {
      if (one && op == OP_conv2d)
        choice.few_below = fewest_images(module, conv, choice.few, choice.algorithm);
      if (!choice.few_below)
        continue;
    }
    if (is_raw)
      choice.algorithm = raw;
    double cost = 0;
    for (int k = 0; k < counts; k++)
      cost +=
          choice_cost(node, choice, images[k], is_settled) / choice_cost(node, direct, images[k], is_settled);
    if (choice.few_below)
      cost /= 1 - LEAST_GAIN_OF_TWO;
    if (cost < least) {
      least = cost;
      best = choice;
    }
  }
  return best;
}

static void select_node(Module *module, Node *node) {
  ConvChoice choice = model_choice(module, node);
  Node *pool = pool_to_take(node);
  if (module->tuning && !module->exact) {
    ConvPiece piece = {.op = node->op->kind,
                       .place = node->function->kind,
                       .conv = node->attr.conv,
                       .settled = !node_is(node, OP_conv2d_bwd_w) && settled(node->function, node->in[1]),
                       .pool = pool != NULL,
                       .residual = node->attr.has_residual,
                       .reads_pool = !node_is(node, OP_conv2d) && reads_pool(node),
                       .masks = node->attr.masked};
    tuning_choose(module->tuning, module->diag, &piece, node, &choice);
  }
  node->attr.algorithm = choice.algorithm;
  node->attr.few = choice.few;
  node->attr.few_below = choice.few_below;
  if (node_is(node, OP_conv2d_bwd_w)) {
    int64_t workspace = kernel_conv2d_workspace_floats(&node->attr.conv, node->attr.algorithm);
    if (workspace)
      ir_output(node, (Shape){1, {(int)workspace}}, false, "workspace");
    return;
  }
  if (pool && tuning_choice_pools(choice))
    take_pool(node, pool);
  Value *w = node->in[1];
  if (!conv_is_raw(choice.algorithm))
    node->in[1] = add_pack(node, w, choice.algorithm);
  if (choice.few_below)
    ir_add_input(node, add_pack(node, w, choice.few));
}

void pass_select(Module *module) {
  for (int f = 0; f < module->function_count; f++) {
    ir_count_uses(module->functions[f]);
    for (Node *node = module->functions[f]->first; node; node = node->next)
      if (node_is(node, OP_conv2d) || node_is(node, OP_conv2d_bwd_x) || node_is(node, OP_conv2d_bwd_w))
        select_node(module, node);
    select_through(module->functions[f]);
  }
}
