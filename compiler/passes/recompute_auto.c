/* What is made again where no limit is set: as much as saves memory at little cost.
 *
 * A plan is judged by both, as log(bytes + GROUND) + WORTH * (time it adds / time of the step), the times
 * predicted: one percent of time must save WORTH percent of the memory of an instance and of the ground, what
 * a process has anyway and nobody asks for.  Values are dropped cheapest first, as many as are worth it; then
 * runs of them, in that order and in the network's, are dropped or kept again where that is better.  (What is
 * cheap is what moves through memory once: activations and normalizations with known statistics, padding,
 * dropout, first layers.) */
#include "recompute.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX_TRIALS = 16, FLIP_TRIALS = 250, FLIP_WORK = 500000 };

static const double worth = 6, most_time = .06, ground = 400e6 /* bytes */;

typedef struct Worth {
  Search *search;
  double step_cost, bytes; /* of the plan that keeps everything */
  double best;             /* of the plan in search->best */
  int trials;
} Worth;

/* FLOPs per image of the whole step, memory traffic included. */
static double cost_of_step(const Search *search) {
  double cost = 0;
  for (int i = 0; i < search->rewrite.node_count; i++) {
    const Node *node = search->rewrite.nodes[i];
    bool batched = false;
    for (int k = 0; k < node->in_count; k++)
      batched = batched || node->in[k]->batched;
    cost += batched ? rewrite_own_cost(node) : 0;
  }
  return cost;
}

/* Judges a plan, and remembers it where it is better than the best so far. */
static bool improves(Worth *w, const bool *keep) {
  Verdict verdict = recompute_measure(w->search, keep, false);
  double time = verdict.cost / w->step_cost;
  double value = log((ground + (double)verdict.bytes) / (ground + w->bytes)) + worth * time;
  w->trials--;
  if (time > most_time || value > w->best - 1e-5)
    return false;
  w->best = value;
  w->search->best_verdict = verdict;
  memcpy(w->search->best, keep, (size_t)w->search->rewrite.value_count * sizeof *keep);
  return true;
}

static void try_prefixes(Worth *w, const bool *all, const Ranked *ranked, bool *keep) {
  int count = w->search->candidate_count, last = 0;
  for (int step = 1; step <= PREFIX_TRIALS; step++) {
    int dropped = (int)((int64_t)count * step / PREFIX_TRIALS);
    if (dropped == last)
      continue;
    last = dropped;
    memcpy(keep, all, (size_t)w->search->rewrite.value_count * sizeof *keep);
    for (int i = 0; i < dropped; i++)
      keep[ranked[i].value->id] = false;
    improves(w, keep);
  }
  memcpy(keep, w->search->best, (size_t)w->search->rewrite.value_count * sizeof *keep);
}

/* Flips whether the values ranked[begin..end) are kept where that is better, else tries each half. */
static void flip(Worth *w, bool *keep, const Ranked *ranked, int begin, int end) {
  if (begin >= end || w->trials <= 0)
    return;
  for (int i = begin; i < end; i++)
    keep[ranked[i].value->id] ^= true;
  if (improves(w, keep))
    return;
  for (int i = begin; i < end; i++)
    keep[ranked[i].value->id] ^= true;
  if (end - begin > 1) {
    flip(w, keep, ranked, begin, (begin + end) / 2);
    flip(w, keep, ranked, (begin + end) / 2, end);
  }
}

bool recompute_worthwhile(Search *search, const bool *all) {
  int count = search->candidate_count, nodes = search->rewrite.node_count;
  if (!count)
    return false;
  size_t size = (size_t)search->rewrite.value_count;
  Verdict whole = recompute_measure(search, all, false);
  search->fixed_floats = search->rewrite.function->fixed_floats; /* of the plan just measured */
  Worth w = {search, cost_of_step(search), (double)whole.bytes, 0, PREFIX_TRIALS};
  bool *keep = malloc(size + 1);
  memcpy(search->best, all, size * sizeof *all);
  search->best_verdict = whole;
  Ranked *ranked = recompute_rank(search, all);
  try_prefixes(&w, all, ranked, keep);
  /* Each trial takes time in proportion to the step: fewer for the longest. */
  int most = FLIP_WORK / nodes < FLIP_TRIALS ? FLIP_WORK / nodes : FLIP_TRIALS;
  w.trials = most;
  flip(&w, keep, ranked, 0, count);
  for (int i = 0; i < count; i++) /* in the order of the network */
    ranked[i] = (Ranked){search->candidates[i], 0};
  w.trials = most;
  flip(&w, keep, ranked, 0, count);
  search->fixed_floats = 0;
  free(ranked);
  free(keep);
  return w.best < 0;
}
