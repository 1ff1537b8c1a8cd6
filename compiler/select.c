/* Which layers `freeze`, `unfreeze`, `weights` and `up to` mean. */
#include "elaborate_internal.h"
#include "order.h"
#include <stdlib.h>
#include <string.h>

int part_order(Elaborator *elaborator, Part *part, Layer ***layers) {
  if (!part->order)
    part->count = order_layers(elaborator->arena, part->input, part->output, &part->order);
  *layers = part->order;
  return part->count;
}

static void set_add(Elaborator *elaborator, LayerSet *set, Layer *layer) {
  if (layer->created >= set->member_count) {
    int count = elaborator->layer_count > layer->created ? elaborator->layer_count : layer->created + 1;
    bool *member = arena_array(elaborator->arena, bool, count);
    for (int i = 0; i < set->member_count; i++)
      member[i] = set->member[i];
    set->member = member;
    set->member_count = count;
  }
  if (set->member[layer->created])
    return;
  set->member[layer->created] = true;
  arena_push(elaborator->arena, set->layers, set->count, set->capacity, layer);
}

/* The part's own layers: its input is another's. */
static bool is_own(const Part *part, const Layer *layer) {
  return layer != part->input && layer->op->kind != OP_input;
}

/* * any text, ? one character. */
static bool glob_matches(const char *pattern, const char *text) {
  const char *star = NULL, *retry = NULL;
  while (*text) {
    if (*pattern == '*') {
      star = ++pattern;
      retry = text;
    } else if (*pattern == '?' || *pattern == *text) {
      pattern++;
      text++;
    } else if (star) {
      pattern = star;
      text = ++retry;
    } else {
      return false;
    }
  }
  while (*pattern == '*')
    pattern++;
  return !*pattern;
}

enum { NAMES_MAX = 4096 };

static void no_layer_named(Elaborator *elaborator, Layer *const *layers, int count, const char *name,
                           const char *where, Span span) {
  const char *names[NAMES_MAX];
  int n = 0;
  for (int i = 0; i < count && n < NAMES_MAX; i++)
    names[n++] = layers[i]->name;
  diag_error(elaborator->diag, span, "no layer of %s is called `%s`", where, name);
  const char *near = diag_nearest(name, names, n);
  if (near)
    diag_help(elaborator->diag, "did you mean `%s`?", near);
}

/* All layers whose names match; none: an error. */
static void select_name(Elaborator *elaborator, Layer *const *layers, int count, const Part *part,
                        const Datum *name, LayerSet *set) {
  const char *where = part ? arena_printf(elaborator->arena, "`%s`", part->name) : "the network";
  int before = set->count;
  bool already = false;
  for (int i = 0; i < count; i++)
    if ((!part || is_own(part, layers[i])) && glob_matches(name->text, layers[i]->name)) {
      set_add(elaborator, set, layers[i]);
      already = true;
    }
  if (set->count > before || already)
    return;
  set->bad = true;
  if (strpbrk(name->text, "*?"))
    diag_error(elaborator->diag, name->span, "no layer of %s matches `%s`", where, name->text);
  else
    no_layer_named(elaborator, layers, count, name->text, where, name->span);
}

/* Position of one end of a range: an index, or a layer's name.  -1 after an error. */
static int64_t position(Elaborator *elaborator, Scope *scope, Part *part, const Expr *expr, LayerSet *set) {
  Layer **layers;
  int count = part_order(elaborator, part, &layers);
  Datum at = evaluate(elaborator, scope, expr);
  set->bad = true;
  if (at.kind == DATUM_INT) {
    int64_t index = at.integer < 0 ? at.integer + count : at.integer;
    set->bad = index < 0 || index >= count;
    if (set->bad)
      diag_error(elaborator->diag, at.span, "index %lld is outside the %d layers of `%s`",
                 (long long)at.integer, count, part->name);
    return index;
  }
  if (at.kind == DATUM_STRING || (at.kind == DATUM_WORD && !at.called)) {
    for (int i = 0; i < count; i++)
      if (!strcmp(layers[i]->name, at.text)) {
        set->bad = false;
        return i;
      }
    no_layer_named(elaborator, layers, count, at.text, arena_printf(elaborator->arena, "`%s`", part->name),
                   at.span);
  } else if (at.kind != DATUM_POISON) {
    diag_error(elaborator->diag, at.span, "expected an index or a layer's name, got %s",
               datum_kind_text(&at));
  }
  return -1;
}

static void select_between(Elaborator *elaborator, Part *part, int64_t begin, int64_t end, int64_t step,
                           LayerSet *set) {
  Layer **layers;
  int count = part_order(elaborator, part, &layers);
  begin = begin < 0 ? 0 : begin >= count && step < 0 ? count - 1 : begin;
  end = end > count ? count : end < -1 ? -1 : end;
  for (int64_t i = begin; step > 0 ? i < end : i > end; i += step)
    if (is_own(part, layers[i]))
      set_add(elaborator, set, layers[i]);
}

static bool int_or(Elaborator *elaborator, Scope *scope, const Expr *expr, int64_t absent, int64_t *value) {
  *value = absent;
  if (!expr)
    return true;
  Datum datum = evaluate(elaborator, scope, expr);
  *value = datum.integer;
  if (datum.kind == DATUM_INT)
    return true;
  if (datum.kind != DATUM_POISON) {
    diag_error(elaborator->diag, datum.span, "a slice wants ints, got %s", datum_kind_text(&datum));
    if (datum.kind == DATUM_STRING)
      diag_help(elaborator->diag, "between names stands `..`: [\"first\"..\"last\"], both included");
  }
  return false;
}

/* Python: a negative bound counts from the end, then both are cut to what there is. */
static int64_t clamp(int64_t bound, int64_t low, int64_t high, int64_t count) {
  bound = bound < 0 ? bound + count : bound;
  return bound < low ? low : bound > high ? high : bound;
}

static void select_slice(Elaborator *elaborator, Scope *scope, Part *part, const Expr *expr, LayerSet *set) {
  Layer **layers;
  int64_t count = part_order(elaborator, part, &layers), begin, end, step;
  set->bad = true;
  if (!int_or(elaborator, scope, expr->step, 1, &step))
    return;
  if (!step) {
    diag_error(elaborator->diag, expr->step->span, "the step of a slice cannot be 0");
    return;
  }
  bool up = step > 0;
  if (!int_or(elaborator, scope, expr->b, up ? 0 : count - 1, &begin) ||
      !int_or(elaborator, scope, expr->c, up ? count : -1 - count, &end))
    return;
  begin = clamp(begin, up ? 0 : -1, up ? count : count - 1, count);
  end = clamp(end, up ? 0 : -1, up ? count : count - 1, count);
  if (step > count)
    step = count + 1;
  if (step < -count)
    step = -count - 1;
  set->bad = false;
  select_between(elaborator, part, begin, end, step, set);
}

static void select_expr(Elaborator *elaborator, Scope *scope, const Expr *expr, LayerSet *set);

/* `base.layers` as in Keras: the same as `base`. */
static const Expr *without_layers(const Expr *expr) {
  return expr->kind == EXPR_FIELD && !strcmp(expr->text, "layers") ? expr->a : expr;
}

/* The part that `a` of a[...] names. */
static Part *indexed_part(Elaborator *elaborator, Scope *scope, const Expr *expr, LayerSet *set) {
  expr = without_layers(expr);
  Datum base = evaluate(elaborator, scope, expr);
  set->bad = true;
  if (base.kind == DATUM_WORD && !base.called)
    base = evaluate_unknown(elaborator, scope, base.text, base.span);
  if (base.kind == DATUM_POISON)
    return NULL;
  if (base.kind == DATUM_TENSOR && base.part) {
    set->bad = false;
    return base.part;
  }
  if (base.kind == DATUM_TENSOR)
    diag_error(elaborator->diag, base.span,
               "this is one layer, `%s`: only the result of a block has layers to choose from",
               base.layer->name);
  else
    diag_error(elaborator->diag, base.span, "expected the result of a block, got %s", datum_kind_text(&base));
  return NULL;
}

static void select_indexed(Elaborator *elaborator, Scope *scope, const Expr *expr, LayerSet *set) {
  Part *part = indexed_part(elaborator, scope, expr->a, set);
  if (!part)
    return;
  if (expr->kind == EXPR_SLICE) {
    select_slice(elaborator, scope, part, expr, set);
    return;
  }
  const Expr *inside = expr->b;
  if (inside->kind == EXPR_RANGE) {
    int64_t from = position(elaborator, scope, part, inside->a, set);
    if (set->bad)
      return;
    int64_t to = position(elaborator, scope, part, inside->b, set);
    if (!set->bad)
      select_between(elaborator, part, from, to + 1, 1, set);
    return;
  }
  Datum at = evaluate(elaborator, scope, inside);
  if (at.kind == DATUM_STRING || (at.kind == DATUM_WORD && !at.called)) {
    Layer **layers;
    int count = part_order(elaborator, part, &layers);
    select_name(elaborator, layers, count, part, &at, set);
    return;
  }
  if (at.kind == DATUM_POISON) {
    set->bad = true;
    return;
  }
  int64_t index = position(elaborator, scope, part, inside, set);
  if (!set->bad)
    select_between(elaborator, part, index, index + 1, 1, set);
}

static void select_datum(Elaborator *elaborator, Scope *scope, const Datum *datum, LayerSet *set) {
  if (datum->kind == DATUM_TENSOR && datum->part) {
    select_between(elaborator, datum->part, 0, INT32_MAX, 1, set);
  } else if (datum->kind == DATUM_TENSOR) {
    set_add(elaborator, set, datum->layer);
  } else if (datum->kind == DATUM_STRING) {
    select_name(elaborator, elaborator->layers, elaborator->layer_count, NULL, datum, set);
  } else if (datum->kind == DATUM_LIST || datum->kind == DATUM_TUPLE) {
    for (int i = 0; i < datum->count; i++)
      select_datum(elaborator, scope, &datum->items[i], set);
  } else if (datum->kind == DATUM_WORD && !datum->called) {
    evaluate_unknown(elaborator, scope, datum->text, datum->span);
    set->bad = true;
  } else {
    if (datum->kind != DATUM_POISON)
      diag_error(elaborator->diag, datum->span, "expected layers, got %s", datum_kind_text(datum));
    set->bad = true;
  }
}

static void select_expr(Elaborator *elaborator, Scope *scope, const Expr *expr, LayerSet *set) {
  expr = without_layers(expr);
  switch (expr->kind) {
  case EXPR_ALL:
    for (int i = 0; i < elaborator->layer_count; i++)
      if (elaborator->layers[i]->op->kind != OP_input)
        set_add(elaborator, set, elaborator->layers[i]);
    return;
  case EXPR_BUT: {
    LayerSet all = {0}, without = {0};
    select_expr(elaborator, scope, expr->a, &all);
    select_expr(elaborator, scope, expr->b, &without);
    set->bad = set->bad || all.bad || without.bad;
    for (int i = 0; i < all.count; i++) {
      int created = all.layers[i]->created;
      if (created >= without.member_count || !without.member[created])
        set_add(elaborator, set, all.layers[i]);
    }
    return;
  }
  case EXPR_INDEX:
  case EXPR_SLICE:
    select_indexed(elaborator, scope, expr, set);
    return;
  case EXPR_TUPLE:
  case EXPR_LIST:
    for (const Expr *item = expr->items; item; item = item->next)
      select_expr(elaborator, scope, item, set);
    return;
  default: {
    Datum datum = evaluate(elaborator, scope, expr);
    select_datum(elaborator, scope, &datum, set);
  }
  }
}

LayerSet select_layers(Elaborator *elaborator, Scope *scope, const Expr *selectors) {
  LayerSet all = {0};
  for (const Expr *expr = selectors; expr; expr = expr->next) {
    LayerSet set = {0};
    select_expr(elaborator, scope, expr, &set);
    if (!set.count && !set.bad) {
      diag_error(elaborator->diag, expr->span, "this matches no layer");
      if (expr->kind == EXPR_SLICE)
        diag_help(elaborator->diag,
                  "slices count as in Python, over Keras's `model.layers`, the input first");
      set.bad = true;
    }
    all.bad = all.bad || set.bad;
    for (int i = 0; i < set.count; i++)
      set_add(elaborator, &all, set.layers[i]);
  }
  return all;
}

void run_freeze(Elaborator *elaborator, Scope *scope, const Stmt *stmt) {
  LayerSet set = select_layers(elaborator, scope, stmt->items);
  if (set.bad)
    note_callers(elaborator, scope);
  for (int i = 0; i < set.count; i++)
    for (int phase = elaborator->phase_first; phase < MAX_PHASES; phase++)
      set.layers[i]->frozen[phase] = stmt->kind == STMT_FREEZE;
}

/* Paths are relative to the .net file that names them. */
static const char *resolve_path(Elaborator *elaborator, const Source *source, const char *path) {
  const char *slash = source ? strrchr(source->path, '/') : NULL;
  if (path[0] == '/' || !slash)
    return path;
  return arena_printf(elaborator->arena, "%.*s/%s", (int)(slash - source->path), source->path, path);
}

void run_weights(Elaborator *elaborator, Scope *scope, const Stmt *stmt) {
  WeightRequest request = {.source = {.part = "", .span = stmt->span}};
  if (stmt->value) {
    Datum base = evaluate(elaborator, scope, stmt->value);
    if (base.kind == DATUM_WORD && !base.called)
      base = evaluate_unknown(elaborator, scope, base.text, base.span);
    if (base.kind == DATUM_POISON)
      return;
    if (base.kind == DATUM_LIST || base.kind == DATUM_TUPLE || base.kind == DATUM_STRING) {
      LayerSet set = {0};
      select_datum(elaborator, scope, &base, &set);
      if (set.bad)
        return;
      request.source.layers = set.layers;
      request.source.layer_count = set.count;
      base.layer = set.layers[0];
    } else if (base.kind != DATUM_TENSOR) {
      diag_error(elaborator->diag, base.span, "weights belong to layers, got %s", datum_kind_text(&base));
      return;
    }
    request.part = base.part;
    request.layer = base.layer;
    request.source.part = stmt->value->kind == EXPR_NAME ? stmt->value->text
                          : base.part                    ? base.part->name
                                                         : base.layer->name;
  }
  Datum path = evaluate(elaborator, scope, stmt->source);
  if (path.kind == DATUM_POISON)
    return;
  if ((path.kind == DATUM_STRING || path.kind == DATUM_WORD) && !strcmp(path.text, "imagenet")) {
    diag_error(elaborator->diag, path.span, "what Keras calls `imagenet` is a file here, named as it is");
    diag_help(elaborator->diag,
              "as \"vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5\"; those that Keras has "
              "fetched are found in ~/.keras/models");
    return;
  }
  if (path.kind != DATUM_STRING || !*path.text) {
    diag_error(elaborator->diag, path.span, "expected the path of a weights file in quotes, got %s",
               path.kind == DATUM_STRING ? "an empty string" : datum_kind_text(&path));
    return;
  }
  if (stmt->name && strcmp(stmt->name, "name") && strcmp(stmt->name, "order")) {
    diag_error(elaborator->diag, stmt->name_span, "weights are loaded by `name` or by `order`, not by `%s`",
               stmt->name);
    return;
  }
  request.source.by_name = stmt->name && !strcmp(stmt->name, "name");
  request.source.path = resolve_path(elaborator, stmt->span.source, path.text);
  arena_push(elaborator->arena, elaborator->weights, elaborator->weight_count, elaborator->weight_capacity,
             request);
}

/* Keras: Model(base.input, base.get_layer(name).output). */
Datum evaluate_up_to(Elaborator *elaborator, Scope *scope, const Expr *expr) {
  Datum base = evaluate(elaborator, scope, expr->a), name = evaluate(elaborator, scope, expr->b);
  if (base.kind == DATUM_WORD && !base.called)
    base = evaluate_unknown(elaborator, scope, base.text, base.span);
  if (base.kind == DATUM_POISON || name.kind == DATUM_POISON)
    return datum_poison(expr->span);
  if (base.kind != DATUM_TENSOR) {
    diag_error(elaborator->diag, base.span, "expected the result of a block, got %s", datum_kind_text(&base));
    return datum_poison(expr->span);
  }
  if (name.kind != DATUM_STRING && (name.kind != DATUM_WORD || name.called)) {
    diag_error(elaborator->diag, name.span, "expected a layer's name, got %s", datum_kind_text(&name));
    return datum_poison(expr->span);
  }
  Part *part = base.part;
  if (!part) {
    part = arena_new(elaborator->arena, Part);
    *part = (Part){.name = base.layer->name, .input = elaborator->input, .output = base.layer};
  }
  Layer **layers;
  int count = part_order(elaborator, part, &layers);
  for (int i = 0; i < count; i++) {
    if (!is_own(part, layers[i]) || strcmp(layers[i]->name, name.text))
      continue;
    Part *cut = arena_new(elaborator->arena, Part);
    *cut = (Part){.name = part->name,
                  .input = part->input,
                  .output = layers[i],
                  .whole = part->whole ? part->whole : part};
    Layer **kept;
    int kept_count = part_order(elaborator, cut, &kept);
    for (int k = 0; k < count; k++)
      layers[k]->cut_away = true;
    for (int k = 0; k < kept_count; k++)
      kept[k]->cut_away = false;
    return datum_tensor(layers[i], cut, expr->span);
  }
  no_layer_named(elaborator, layers, count, name.text,
                 base.part ? arena_printf(elaborator->arena, "`%s`", part->name) : "the network", name.span);
  note_callers(elaborator, scope);
  return datum_poison(expr->span);
}
