/* Micro-batches: where the values of a run of layers outgrow the caches, a prediction computes the run a few
 * images at a time.  Each thread takes images of its own from the run's first layer to its last, and only
 * then the next few: what the layers hand on inside the run is still in the thread's cache when it is read,
 * takes the memory of a few images instead of all, and threads wait for each other once.  Later layers,
 * small of value and rich in weights, take all images of the call at once, on all threads, so that a weight
 * is fetched once for all of them.
 *
 * The runs are what a dynamic program over the nodes finds cheapest, by what conv_cost says of weights at so
 * many images and by how far the values are; the number of images is the cheapest of a few for predictions,
 * and features take the same. */
#include "passes.h"
#include "../conv_cost.h"
#include <math.h>
#include <stdlib.h>

/* Measured with two threads on an Intel Xeon (Sapphire Rapids), where a layer's input and output of 12 MB
 * cost nothing on the way and from 100 MB on as much as memory does, in between a like part for each
 * doubling. */
static const double NEAR_BYTES = 12e6, DOUBLINGS = 3;
/* Of what values from memory cost others, Winograd's transforms, which wait for the products, show so much.
 */
static const double WINOGRAD_SHOWS = 0.15;
/* Of a call, in the units of conv_cost: threads that start, and wait for the last of them, about 10 us, which
 * they do once for a run of micro-batches; and what Winograd's blocks of tiles lose where they are few. */
static const double CALL = 2e6, RUN = 4e6, WINOGRAD_CALL = 10e6;
/* Of a call that all threads share, the part in which some have nothing left to do. */
static const double CALL_WAITS = 0.02;
/* What micro-batches must save to be taken, and what twice as many images must save: they need twice the
 * memory. */
static const double LEAST_GAIN = 0.003, LEAST_GAIN_OF_DOUBLE = 0.002;

/* How far values are that take so many floats together: 0 in the caches of the cores, 1 in memory. */
static double distance(double floats) {
  double doublings = log2(4 * floats / NEAR_BYTES) / DOUBLINGS;
  return doublings < 0 ? 0 : doublings > 1 ? 1 : doublings;
}

/* Of all values of a batch that the node reads and makes, floats per image. */
static double batched_floats(const Node *node) {
  double sum = 0;
  for (int i = 0; i < node->in_count; i++)
    sum += node->in[i]->batched ? (double)value_floats(node->in[i]) : 0;
  for (int i = 0; i < node->out_count; i++)
    sum += node->out[i]->batched ? (double)value_floats(node->out[i]) : 0;
  return sum;
}

/* What weights and products cost a call; of other operators only the weights differ with the number of
 * images. */
static double compute_cost(const Node *node, int images) {
  const NodeAttr *attr = &node->attr;
  if (node_is(node, OP_conv2d))
    return conv_cost(node->function->module, &attr->conv, OP_conv2d, attr->algorithm, images, true);
  if (node_is(node, OP_depthwise_pointwise)) {
    double expand =
        attr->expands ? conv_cost(node->function->module, &attr->expand, OP_conv2d, CONV_DIRECT, images, true)
                      : 0;
    return expand + conv_cost(node->function->module, &attr->conv, OP_conv2d, CONV_DIRECT, images, true);
  }
  double weights = 0;
  for (int i = 0; i < node->in_count; i++)
    weights += node->in[i]->batched ? 0 : (double)value_floats(node->in[i]);
  return conv_pass_cost(node->function->module, weights);
}

/* Per image of a call on so many images: all of a batch, which the threads share, or those of a micro-batch,
 * of which each thread has its own at work. */
static double node_cost(const Node *node, int images, bool shared) {
  if (node->op->view || node_is(node, OP_concat))
    return 0; /* branches write where the concatenation lies */
  bool winograd = node_is(node, OP_conv2d) && conv_tile(node->attr.algorithm);
  int at_once = shared ? images : COST_THREADS * images;
  double floats = batched_floats(node), far = floats * distance(floats * at_once);
  double call = winograd ? WINOGRAD_CALL : shared ? CALL : 0;
  return compute_cost(node, images) / images * (shared ? 1 + CALL_WAITS : 1) + call / at_once +
         conv_pass_cost(node->function->module, winograd ? WINOGRAD_SHOWS * far : far);
}

/* Whether the node may take part of a batch: each image by itself, and nothing that is no image's. */
static bool may_split(const Node *node) {
  bool batched = node->in_count && !node->op->random && !node->op->has_effect;
  for (int i = 0; i < node->out_count; i++)
    batched = batched && node->out[i]->batched;
  return batched;
}

/* handed[i]: floats per image of values that are made before node i and read by it or later. */
static void find_handed_on(const Function *function, int count, double *handed) {
  int *last = calloc((size_t)function->value_count + 1, sizeof *last);
  for (const Node *node = function->first; node; node = node->next)
    for (int i = 0; i < node->in_count; i++)
      last[node->in[i]->id] = node->position;
  for (int i = 0; i <= count; i++)
    handed[i] = 0;
  for (const Node *node = function->first; node; node = node->next)
    for (int o = 0; o < node->out_count; o++)
      for (int i = node->position + 1; node->out[o]->batched && i <= last[node->out[o]->id]; i++)
        handed[i] += (double)value_floats(node->out[o]);
  free(last);
}

typedef struct Split {
  double cost[2]; /* of the nodes up to this one, which takes [1] micro-batches, [0] all images of a call */
  int from[2];    /* what the node before does then */
} Split;

/* The least cost per image of the function in micro-batches where that pays; marks the nodes. */
static double split(Function *function, const double *handed, int count, int images, int all) {
  Split *splits = calloc((size_t)count + 1, sizeof *splits);
  Node *node = function->first;
  for (int i = 0; i < count; i++, node = node->next) {
    double change = conv_pass_cost(function->module, 2 * handed[i] * distance(handed[i] * all));
    for (int micro = 0; micro < 2; micro++) {
      double start = micro ? RUN / all : 0;
      double own = !micro            ? node_cost(node, all, true)
                   : may_split(node) ? node_cost(node, images, false)
                                     : INFINITY;
      const Split *before = i ? &splits[i - 1] : &(const Split){{0, INFINITY}, {0, 1}};
      bool changes = before->cost[!micro] + change + start < before->cost[micro];
      splits[i].from[micro] = changes ? !micro : micro;
      splits[i].cost[micro] = own + before->cost[splits[i].from[micro]] + (changes ? change + start : 0);
    }
  }
  const Split *end = &splits[count - 1];
  int micro = end->cost[1] < end->cost[0];
  double cost = end->cost[micro];
  node = function->last;
  for (int i = count - 1; i >= 0; i--, node = node->prev) {
    node->microbatch = micro;
    micro = splits[i].from[micro];
  }
  free(splits);
  return cost;
}

/* Of the candidate numbers of images, none (0) included, the cheapest for a function, whose nodes are left
 * marked for it. */
static int cheapest(Function *function, const int *candidates, int candidate_count, int all) {
  ir_number(function);
  int count = function->last ? function->last->position + 1 : 0, best = 0;
  if (!count)
    return 0;
  double *handed = malloc(sizeof *handed * ((size_t)count + 1)), whole = 0, least;
  find_handed_on(function, count, handed);
  for (Node *node = function->first; node; node = node->next)
    whole += node_cost(node, all, true);
  least = (1 - LEAST_GAIN) * whole;
  for (int i = 0; i < candidate_count && candidates[i] < all; i++) {
    double cost = split(function, handed, count, candidates[i], all);
    if (cost < least) {
      least = (1 - LEAST_GAIN_OF_DOUBLE) * cost;
      best = candidates[i];
    }
  }
  if (best)
    split(function, handed, count, best, all);
  else
    for (Node *node = function->first; node; node = node->next)
      node->microbatch = false;
  free(handed);
  return best;
}

void pass_microbatch(Module *module) {
  const int candidates[] = {1, 2, 4};
  int batch = module->graph->train.batch ? module->graph->train.batch : FORWARD_BATCH;
  int all = function_images(FUNCTION_FORWARD, batch);
  module->microbatch = cheapest(module->forward, candidates, sizeof candidates / sizeof *candidates, all);
  for (int p = 0; module->microbatch && p < MAX_PHASES; p++) {
    if (module->features[p])
      cheapest(module->features[p], &module->microbatch, 1, all);
    if (module->varied[p])
      cheapest(module->varied[p], &module->microbatch, 1, all);
  }
}
