/* Chooses an algorithm for each convolution, as M.tune says or else by a model, and lets it read packed
 * weights: conv2d(x, conv2d_pack(w)).  Winograd's output tiles hold whole 2 x 2 blocks, so a pooling that
 * follows is done before they are stored. Packing of weights that do not change is moved to `prepare` by the
 * next pass. */
#include "passes.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"
#include "../tuning.h"
#include <string.h>

/* Below this many FLOPs per image the transforms cost about what the multiplications save, and direct sums
 * are the more accurate ones. */
enum { WINOGRAD_LEAST_FLOPS = 30000000 };

/* Multiplications per channel pair by F(m x m, 3x3): whole tiles of m x m outputs take (m + 2)^2 each. */
static double winograd_products(const Conv2d *conv, int m) {
  double rows = (conv->out_h + m - 1) / m, columns = (conv->out_w + m - 1) / m;
  return rows * columns * (m + 2) * (m + 2);
}

/* Winograd where it saves enough multiplications.  The larger tile takes twice the memory for weights and
 * rounds more coarsely: only where it saves a quarter more, or a seventh with weights so few that they stay
 * in cache, which is where its transforms weigh least. */
static ConvAlgorithm best_algorithm(const Module *module, const Node *node) {
  const Conv2d *conv = &node->attr.conv;
  double direct = 9.0 * conv->out_h * conv->out_w;
  if (module->exact || node_flops(node) < WINOGRAD_LEAST_FLOPS || !kernel_conv2d_fits(conv, CONV_WINOGRAD4))
    return CONV_DIRECT;
  double by_4 = winograd_products(conv, 4), by_6 = winograd_products(conv, 6);
  bool few_weights = (int64_t)conv->in_c * conv->out_c <= 128 * 128 && !node_is(node, OP_conv2d_bwd_w);
  if (by_6 < (few_weights ? .86 : .75) * by_4 && by_6 < .6 * direct)
    return CONV_WINOGRAD6;
  return by_4 < .6 * direct ? CONV_WINOGRAD4 : CONV_DIRECT;
}

/* The fewest images for which Winograd, which makes its weights from the layer's own for each call, is faster
 * than direct sums: few small images do not pay for that.  A position of a kernel takes as long to make as so
 * many FLOPs (262144 kernels of 36 positions: 1 ms on two threads that do 430 FLOPs per nanosecond); a float
 * takes memory as long to deliver as 60 on two to four cores of today. */
static int fewest_images(const Conv2d *conv, ConvAlgorithm algorithm) {
  const double flops_per_position = 45, flops_per_float = 60;
  int m = algorithm == CONV_WINOGRAD6 ? 6 : 4, positions = (m + 2) * (m + 2);
  double products = winograd_products(conv, m), direct = 9.0 * conv->out_h * conv->out_w;
  double weights = 9 * flops_per_float;
  for (int n = 1; n < 16; n++)
    if (2 * products * n + flops_per_position * positions <
        (2 * direct * n > weights ? 2 * direct * n : weights))
      return n;
  return 16;
}

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
      !kernel_conv2d_fits(&node->attr.conv, CONV_WINOGRAD4))
    return NULL;
  const Pool2d *window = &pool->attr.pool;
  bool apart = window->pool_h == 2 && window->pool_w == 2 && window->stride_h == 2 && window->stride_w == 2 &&
               !window->pad_top && !window->pad_left && window->out_h == window->in_h / 2 &&
               window->out_w == window->in_w / 2;
  return apart ? pool : NULL;
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
  Builder builder = {.module = module,
                     .function = node->function,
                     .layer = node->layer,
                     .backward = node->backward,
                     .before = node};
  Node *pack = ir_node(&builder, OP_conv2d_pack, 1, &w);
  pack->attr.conv = node->attr.conv;
  pack->attr.algorithm = algorithm;
  pack->attr.ints[0] = node_is(node, OP_conv2d_bwd_x);
  int64_t floats = kernel_conv2d_packed_floats(&node->attr.conv, algorithm, node->op->kind);
  return ir_output(pack, (Shape){1, {(int)floats}}, false,
                   arena_printf(module->arena, "%s.packed", node->layer ? node->layer->name : "conv"));
}

/* What the model says. */
static ConvChoice model_choice(const Module *module, const Node *node) {
  const Conv2d *conv = &node->attr.conv;
  ConvChoice choice = {.algorithm = best_algorithm(module, node)};
  if (node_is(node, OP_conv2d_bwd_w))
    return choice;
  /* Large weights are not packed: Winograd's are four to seven times as many, and take longer to come from
   * memory than to be made beside their use. */
  ConvAlgorithm raw = kernel_conv2d_raw(conv, choice.algorithm, node->op->kind);
  if (raw != choice.algorithm && node->function->kind == FUNCTION_FORWARD && node_is(node, OP_conv2d))
    choice.direct_below = fewest_images(conv, choice.algorithm);
  if (choice.direct_below <= 1)
    choice.direct_below = 0;
  choice.algorithm = raw;
  return choice;
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
                       .residual = node->attr.has_residual};
    tuning_choose(module->tuning, module->diag, &piece, node, &choice);
  }
  node->attr.algorithm = choice.algorithm;
  node->attr.direct_below = choice.direct_below;
  if (node_is(node, OP_conv2d_bwd_w)) {
    int64_t workspace = kernel_conv2d_workspace_floats(&node->attr.conv, node->attr.algorithm);
    if (workspace)
      ir_output(node, (Shape){1, {(int)workspace}}, false, "workspace");
    return;
  }
  if (pool && !choice.direct_below && choice.algorithm != CONV_DIRECT)
    take_pool(node, pool);
  Value *w = node->in[1];
  if (choice.algorithm != CONV_WINOGRAD4_RAW && choice.algorithm != CONV_WINOGRAD6_RAW)
    node->in[1] = add_pack(node, w, choice.algorithm);
  if (choice.direct_below) {
    Value **in = arena_array(module->arena, Value *, node->in_count + 2);
    memcpy(in, node->in, sizeof *in * (size_t)node->in_count);
    in[node->in_count++] = add_pack(node, w, CONV_DIRECT);
    node->in = in;
  }
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
