/* Memory for time: forward values are not kept for their gradients but made a second time when the gradients
 * need them, where the train section sets a limit that the step's plan exceeds, and without one where that
 * saves much memory and takes little time (recompute_auto.c).
 *
 * A plan is the set of forward values that are kept.  A value that is not kept is made again just before its
 * first backward user, from the nearest kept values (a chain of operations, each made again once); the
 * second computation is the same kernel on the same operands, random draws are functions of a counter and
 * BatchNorm takes the statistics it found, so every bit is the same.
 *
 * For a limit two kinds of plans are tried, both judged by the bytes alive and by what they cost:
 *   - values one by one, cheapest first: least cost per byte (activations, normalizations, pooling, merges);
 *   - segments between checkpoints, which keep the values alive at a few places of the forward pass (Chen,
 * Xu, Zhang, Guestrin 2016: Training Deep Nets with Sublinear Memory Cost), for several numbers of segments.
 * The best that fits is then relaxed: values are kept again, dearest first, as long as it still fits. */
#include "passes.h"
#include "recompute.h"
#include "../emit/emit.h"
#include "../summary.h"
#include <stdlib.h>
#include <string.h>

enum { RELAX_TRIALS = 160, TIGHTEN_TRIALS = 200, PACK_TRIALS = 6 };

static bool fits(const Search *search, Verdict verdict) {
  return verdict.bytes <= search->limit;
}

static int64_t instance_bytes(const Search *search) {
  const Function *function = search->rewrite.function;
  int64_t fixed = search->fixed_floats ? search->fixed_floats : function->fixed_floats,
          pool = function->batch_floats * search->batch;
  fixed = fixed > search->other_fixed ? fixed : search->other_fixed;
  pool = pool > search->other_pool ? pool : search->other_pool;
  return search->rest_bytes + 4 * (fixed + pool);
}

Verdict recompute_measure(Search *search, const bool *keep, bool pack) {
  Rewrite *rewrite = &search->rewrite;
  Module *module = rewrite->function->module;
  Arena scratch = {0}, *own = module->arena;
  module->arena = &scratch; /* of the nodes that come and go */
  Verdict verdict = {0, rewrite_apply(rewrite, keep)};
  if (search->fixed_floats)
    schedule_updates_of_batches(rewrite->function);
  else
    schedule_updates(rewrite->function);
  if (pack)
    plan_function(rewrite->function);
  else
    plan_bounds(rewrite->function);
  verdict.bytes = instance_bytes(search);
  rewrite_undo(rewrite);
  module->arena = own;
  arena_free(&scratch);
  return verdict;
}

/* Judges a plan, and remembers it where it is the best so far. */
static Verdict judge(Search *search, const bool *keep) {
  size_t size = (size_t)search->rewrite.value_count * sizeof *keep;
  Verdict verdict = recompute_measure(search, keep, false);
  if (fits(search, verdict) && (!search->found || verdict.cost < search->best_verdict.cost)) {
    search->found = true;
    search->best_verdict = verdict;
    memcpy(search->best, keep, size);
  }
  return verdict;
}

/* The plan of least memory: made of plans that do not depend on the limit, so that what a message says would
 * do does. */
static bool note_least(Search *search, const bool *keep, Verdict verdict) {
  if (verdict.bytes >= search->least_verdict.bytes)
    return false;
  search->least_verdict = verdict;
  memcpy(search->least, keep, (size_t)search->rewrite.value_count * sizeof *keep);
  return true;
}

/* ---- one by one ---- */

static int cheaper_first(const void *a, const void *b) {
  const Ranked *x = a, *y = b;
  if (x->cost != y->cost)
    return x->cost < y->cost ? -1 : 1;
  return x->value->id - y->value->id;
}

Ranked *recompute_rank(const Search *search, const bool *all) {
  Ranked *ranked = calloc((size_t)search->candidate_count + 1, sizeof *ranked);
  bool *keep = malloc((size_t)search->rewrite.value_count + 1);
  memcpy(keep, all, (size_t)search->rewrite.value_count);
  for (int i = 0; i < search->candidate_count; i++) {
    Value *value = search->candidates[i];
    keep[value->id] = false;
    ranked[i] = (Ranked){value, rewrite_cost(&search->rewrite, value, keep) / (double)value_floats(value)};
    keep[value->id] = true;
  }
  free(keep);
  qsort(ranked, (size_t)search->candidate_count, sizeof *ranked, cheaper_first);
  return ranked;
}

static Verdict judge_without(Search *search, const bool *all, const Ranked *ranked, int count) {
  bool *keep = malloc((size_t)search->rewrite.value_count + 1);
  memcpy(keep, all, (size_t)search->rewrite.value_count);
  for (int i = 0; i < count; i++)
    keep[ranked[i].value->id] = false;
  Verdict verdict = judge(search, keep);
  if (search->seek_least)
    note_least(search, keep, verdict);
  free(keep);
  return verdict;
}

/* Drops the cheapest values, as few as will do.  The more are dropped the less is needed, up to a point. */
static void try_one_by_one(Search *search, const bool *all) {
  Ranked *ranked = recompute_rank(search, all);
  int count = search->candidate_count, low = 0, high = -1;
  for (int step = 1; step <= 16 && high < 0; step++) {
    int dropped = (int)((int64_t)count * step / 16);
    if (!fits(search, judge_without(search, all, ranked, dropped)))
      low = dropped;
    else if (!search->seek_least)
      high = dropped;
  }
  while (high - low > 1) {
    int middle = (low + high) / 2;
    if (fits(search, judge_without(search, all, ranked, middle)))
      high = middle;
    else
      low = middle;
  }
  free(ranked);
}

/* ---- segments ---- */

/* Where the forward pass may be cut: after each node, the floats that later forward nodes still read. */
typedef struct Cuts {
  Node **nodes;
  int count;
  int64_t *alive;  /* floats per image that cross */
  int64_t *passed; /* floats of candidates made so far */
} Cuts;

static Cuts find_cuts(const Search *search) {
  const Rewrite *rewrite = &search->rewrite;
  Cuts cuts = {0};
  ir_number(rewrite->function);
  int nodes = rewrite->node_count;
  cuts.nodes = malloc(((size_t)nodes + 1) * sizeof(Node *));
  cuts.alive = calloc((size_t)nodes + 2, sizeof *cuts.alive);
  cuts.passed = calloc((size_t)nodes + 2, sizeof *cuts.passed);
  int *last = malloc(((size_t)rewrite->value_count + 1) * sizeof *last);
  for (int i = 0; i < rewrite->value_count; i++)
    last[i] = -1;
  while (cuts.count < nodes && !rewrite->nodes[cuts.count]->backward) {
    cuts.nodes[cuts.count] = rewrite->nodes[cuts.count];
    for (int i = 0; i < cuts.nodes[cuts.count]->in_count; i++)
      last[rewrite_root(cuts.nodes[cuts.count]->in[i])->id] = cuts.count;
    cuts.count++;
  }
  for (int p = 0; p < cuts.count; p++)
    for (int o = 0; o < cuts.nodes[p]->out_count; o++) {
      const Value *value = cuts.nodes[p]->out[o];
      if (rewrite_root(cuts.nodes[p]->out[o]) != value || !value->batched)
        continue;
      for (int q = p; q < last[value->id]; q++)
        cuts.alive[q] += value_floats(value);
    }
  for (int i = 0; i < search->candidate_count; i++)
    cuts.passed[search->candidates[i]->def->position] += value_floats(search->candidates[i]);
  for (int p = 1; p < cuts.count; p++)
    cuts.passed[p] += cuts.passed[p - 1];
  free(last);
  return cuts;
}

/* Keeps what crosses the cut after node `at`. */
static void keep_crossing(const Cuts *cuts, int at, bool *keep) {
  for (int p = at + 1; p < cuts->count; p++)
    for (int i = 0; i < cuts->nodes[p]->in_count; i++) {
      const Value *root = rewrite_root(cuts->nodes[p]->in[i]);
      if (root->kind == VALUE_TEMP && root->batched && root->def->position <= at)
        keep[root->id] = true;
    }
}

/* The narrowest cut near the place where `target` floats were passed, within `reach` of it. */
static int narrowest(const Cuts *cuts, int64_t target, int64_t reach) {
  int best = -1;
  for (int p = 0; p + 1 < cuts->count; p++) {
    int64_t off = cuts->passed[p] > target ? cuts->passed[p] - target : target - cuts->passed[p];
    if (off <= reach && (best < 0 || cuts->alive[p] < cuts->alive[best]))
      best = p;
  }
  return best;
}

static void try_segments(Search *search) {
  static const int counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 64, 96};
  Cuts cuts = find_cuts(search);
  int64_t total = cuts.count ? cuts.passed[cuts.count - 1] : 0;
  bool *keep = malloc((size_t)search->rewrite.value_count + 1);
  for (size_t c = 0; c < sizeof counts / sizeof *counts && total; c++) {
    memset(keep, 0, (size_t)search->rewrite.value_count);
    for (int i = 1; i < counts[c]; i++) {
      int at = narrowest(&cuts, total / counts[c] * i, total / counts[c] / 2);
      if (at >= 0)
        keep_crossing(&cuts, at, keep);
    }
    Verdict verdict = judge(search, keep);
    if (search->seek_least)
      note_least(search, keep, verdict);
  }
  free(keep);
  free(cuts.nodes);
  free(cuts.alive);
  free(cuts.passed);
}

/* ---- relaxing ---- */

/* Keeps the values ranked[begin..end) again where that fits, else each half. */
static void relax_range(Search *search, bool *keep, const Ranked *ranked, int begin, int end, int *trials) {
  if (begin >= end || *trials >= RELAX_TRIALS)
    return;
  ++*trials;
  for (int i = begin; i < end; i++)
    keep[ranked[i].value->id] = true;
  if (fits(search, judge(search, keep)))
    return;
  for (int i = begin; i < end; i++)
    keep[ranked[i].value->id] = false;
  if (end - begin > 1) {
    relax_range(search, keep, ranked, begin, (begin + end) / 2, trials);
    relax_range(search, keep, ranked, (begin + end) / 2, end, trials);
  }
}

static void relax(Search *search) {
  if (!search->found)
    return;
  bool *keep = malloc((size_t)search->rewrite.value_count + 1);
  memcpy(keep, search->best, (size_t)search->rewrite.value_count);
  Ranked *ranked = calloc((size_t)search->candidate_count + 1, sizeof *ranked);
  int count = 0, trials = 0;
  for (int i = 0; i < search->candidate_count; i++) {
    Value *value = search->candidates[i];
    if (!keep[value->id]) /* dearest first */
      ranked[count++] = (Ranked){value, -rewrite_own_cost(value->def) / (double)value_floats(value)};
  }
  qsort(ranked, (size_t)count, sizeof *ranked, cheaper_first);
  relax_range(search, keep, ranked, 0, count, &trials);
  free(ranked);
  free(keep);
}

/* Flips whether the values ranked[begin..end) are kept where that takes less memory, else tries each half. */
static void tighten_range(Search *search, bool *keep, const Ranked *ranked, int begin, int end, int *trials) {
  if (begin >= end || *trials >= TIGHTEN_TRIALS)
    return;
  ++*trials;
  for (int i = begin; i < end; i++)
    keep[ranked[i].value->id] ^= true;
  if (note_least(search, keep, recompute_measure(search, keep, false)))
    return;
  for (int i = begin; i < end; i++)
    keep[ranked[i].value->id] ^= true;
  if (end - begin > 1) {
    tighten_range(search, keep, ranked, begin, (begin + end) / 2, trials);
    tighten_range(search, keep, ranked, (begin + end) / 2, end, trials);
  }
}

static void find_least(Search *search, const bool *all) {
  int64_t limit = search->limit;
  int trials = 0;
  search->limit = 0;
  search->seek_least = true;
  search->least_verdict = (Verdict){INT64_MAX, 0};
  note_least(search, all, recompute_measure(search, all, false));
  try_one_by_one(search, all);
  try_segments(search);
  bool *keep = malloc((size_t)search->rewrite.value_count + 1);
  memcpy(keep, search->least, (size_t)search->rewrite.value_count);
  Ranked *ranked = calloc((size_t)search->candidate_count + 1, sizeof *ranked);
  for (int i = 0; i < search->candidate_count; i++) /* in the order of the network */
    ranked[i] = (Ranked){search->candidates[i], search->candidates[i]->def->position};
  qsort(ranked, (size_t)search->candidate_count, sizeof *ranked, cheaper_first);
  tighten_range(search, keep, ranked, 0, search->candidate_count, &trials);
  free(ranked);
  free(keep);
  search->seek_least = false;
  search->limit = limit;
}

/* ---- the pass ---- */

static void search_plan(Search *search, const bool *all) {
  search->found = false;
  judge(search, all);
  if (search->found)
    return;
  try_one_by_one(search, all);
  try_segments(search);
  relax(search);
}

/* A plan that stays within the limit, or takes the least memory. */
static void plan_for_limit(Search *search, const bool *all) {
  int64_t limit = search->limit;
  /* Plans are judged by the bytes alive; what packing adds is taken off the limit of the next attempt. */
  for (int trial = 0; trial < PACK_TRIALS; trial++) {
    search_plan(search, all);
    if (!search->found)
      break;
    int64_t bytes = recompute_measure(search, search->best, true).bytes;
    if (bytes <= limit)
      return;
    search->limit -= bytes - search->best_verdict.bytes + (trial > 1 ? search->limit / 200 : 0);
  }
  find_least(search, all);
  memcpy(search->best, search->least, (size_t)search->rewrite.value_count * sizeof *search->best);
}

static void recompute_step(Module *module, Function *function, int64_t rest_bytes, int64_t other_fixed,
                           int64_t other_pool) {
  const TrainSpec *train = &module->graph->train;
  Search search = {.batch = train->batch,
                   .other_fixed = other_fixed,
                   .other_pool = other_pool,
                   .rest_bytes = rest_bytes,
                   .limit = train->memory_limit};
  rewrite_begin(&search.rewrite, function);
  size_t size = (size_t)function->value_count + 1;
  bool *all = calloc(size, sizeof *all), made_again = true;
  search.best = calloc(size, sizeof *search.best);
  search.least = calloc(size, sizeof *search.least);
  search.candidates = calloc(size, sizeof *search.candidates);
  search.candidate_count = rewrite_candidates(&search.rewrite, search.candidates, all);
  if (train->memory_limit)
    plan_for_limit(&search, all);
  else
    made_again = recompute_worthwhile(&search, all);
  if (made_again)
    rewrite_apply(&search.rewrite, search.best);
  rewrite_end(&search.rewrite);
  free(all);
  free(search.best);
  free(search.least);
  free(search.candidates);
}

void pass_recompute(Module *module) {
  const TrainSpec *train = &module->graph->train;
  if (!train->loss || train->memory_unlimited)
    return;
  int64_t fixed = 0, pool = 0;
  for (int f = 0; f < module->function_count; f++) {
    Function *function = module->functions[f];
    plan_function(function);
    if (function->kind == FUNCTION_STEP)
      continue;
    int images = function_images(function->kind, train->batch);
    int64_t own = function->batch_floats * images +
                  function->micro_floats * module_microbatch(module, images, MEMORY_THREADS);
    fixed = function->fixed_floats > fixed ? function->fixed_floats : fixed;
    pool = own > pool ? own : pool;
  }
  plan_constants(module);
  int64_t rest = emit_rest_bytes(module, train->batch, MEMORY_THREADS);
  for (int p = 0; p < train->phase_count; p++)
    if (module->step[p])
      recompute_step(module, module->step[p], rest, fixed, pool);
}
