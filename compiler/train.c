/* The `train` section. */
#include "elaborate_internal.h"
#include "lint.h"
#include "translate.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

typedef struct Training {
  Elaborator *elaborator;
  Scope *scope; /* of the network: its names can be used */
  Graph *graph;
  TrainSpec *train;
  Phase *phase; /* being read, or NULL */
  int epochs;   /* of the whole section */
  const Stmt *seen[32];
  int seen_count, metric_capacity, callback_capacity;
} Training;

typedef struct Setting {
  const char *name;
  void (*read)(Training *training, const Stmt *stmt);
  bool in_phase, repeats;
  const char *example, *doc;
} Setting;

static Diag *diag_of(const Training *training) {
  return training->elaborator->diag;
}

static void wrong(Training *training, Span span, const char *name, const char *wanted, const Datum *got) {
  if (got && got->kind == DATUM_POISON)
    return;
  diag_error(diag_of(training), span, "`%s` wants %s%s%s", name, wanted, got ? ", got " : "",
             got ? datum_kind_text(got) : "");
}

/* The value of a setting that has exactly one; `batch (2 * n)` reads as a call with one argument. */
static Datum only_value(Training *training, const Stmt *stmt, const char *wanted) {
  const Expr *item = stmt->items;
  if (item && item->kind == EXPR_CALL && !strcmp(item->text, stmt->name) && item->arguments &&
      !item->arguments->name)
    item = item->arguments->value;
  if (!item || item->next) {
    Span at = item ? item->next->span : stmt->span;
    wrong(training, at, stmt->name, wanted, NULL);
    return datum_poison(stmt->span);
  }
  return item->kind == EXPR_CALL ? evaluate_word(training->elaborator, training->scope, item)
                                 : evaluate(training->elaborator, training->scope, item);
}

static bool int_value(Training *training, const Stmt *stmt, int64_t least, int64_t most, int64_t *value) {
  Datum datum = only_value(training, stmt, "an int");
  *value = datum.integer;
  if (datum.kind != DATUM_INT) {
    wrong(training, datum.span, stmt->name, "an int", &datum);
    return false;
  }
  if (datum.integer >= least && datum.integer <= most)
    return true;
  diag_error(diag_of(training), datum.span, "`%s` must be between %lld and %lld, got %lld", stmt->name,
             (long long)least, (long long)most, (long long)datum.integer);
  return false;
}

static bool bool_value(Training *training, const Stmt *stmt, bool *value) {
  if (!stmt->items) {
    *value = true;
    return true;
  }
  Datum datum = only_value(training, stmt, "`true` or `false`");
  *value = datum.boolean;
  if (datum.kind == DATUM_BOOL)
    return true;
  wrong(training, datum.span, stmt->name, "`true` or `false`", &datum);
  return false;
}

static Call *word_value(Training *training, const Stmt *stmt, SignatureKind kind) {
  Datum datum = only_value(training, stmt,
                           arena_printf(training->elaborator->arena, "the name of a%s %s",
                                        kind == SIG_OPTIMIZER ? "n" : "", signature_kind_name(kind)));
  return bind_word(training->elaborator->arena, diag_of(training), kind, &datum);
}

static void read_loss(Training *training, const Stmt *stmt) {
  training->train->loss = word_value(training, stmt, SIG_LOSS);
}

static void read_optimizer(Training *training, const Stmt *stmt) {
  Call *call = word_value(training, stmt, SIG_OPTIMIZER);
  if (training->phase)
    training->phase->optimizer = call;
  else
    training->train->optimizer = call;
}

static void read_metrics(Training *training, const Stmt *stmt) {
  TrainSpec *train = training->train;
  Elaborator *elaborator = training->elaborator;
  if (!stmt->items)
    wrong(training, stmt->span, stmt->name, "names of metrics", NULL);
  for (const Expr *item = stmt->items; item; item = item->next) {
    Datum datum = item->kind == EXPR_CALL ? evaluate_word(elaborator, training->scope, item)
                                          : evaluate(elaborator, training->scope, item);
    const Datum *words = datum.kind == DATUM_LIST ? datum.items : &datum;
    int count = datum.kind == DATUM_LIST ? datum.count : 1;
    for (int i = 0; i < count; i++) {
      Call *call = bind_word(elaborator->arena, diag_of(training), SIG_METRIC, &words[i]);
      if (call)
        arena_push(elaborator->arena, train->metrics, train->metric_count, training->metric_capacity, call);
    }
  }
}

static void read_batch(Training *training, const Stmt *stmt) {
  int64_t value;
  if (int_value(training, stmt, 1, 1 << 20, &value))
    training->train->batch = (int)value;
}

static void read_epochs(Training *training, const Stmt *stmt) {
  int64_t value;
  if (!int_value(training, stmt, 1, 1 << 20, &value))
    return;
  if (training->phase)
    training->phase->epochs = (int)value;
  else
    training->epochs = (int)value;
}

static void read_seed(Training *training, const Stmt *stmt) {
  int64_t value;
  if (int_value(training, stmt, 0, INT64_MAX, &value))
    training->train->seed = value;
}

static void read_shuffle(Training *training, const Stmt *stmt) {
  bool_value(training, stmt, &training->train->shuffle);
}

static bool is_word(const Expr *expr, const char *word) {
  return expr && expr->kind == EXPR_NAME && !strcmp(expr->text, word);
}

/* validation [split] 0.2 [stratified] */
static void read_validation(Training *training, const Stmt *stmt) {
  const Expr *item = stmt->items;
  if (is_word(item, "split"))
    item = item->next;
  if (!item) {
    wrong(training, stmt->span, stmt->name, "a part of the images: `validation split 0.2`", NULL);
    return;
  }
  Datum part = evaluate(training->elaborator, training->scope, item);
  if (part.kind != DATUM_FLOAT && part.kind != DATUM_INT) {
    wrong(training, part.span, stmt->name, "a part of the images: `validation split 0.2`", &part);
    return;
  }
  double split = part.kind == DATUM_INT ? (double)part.integer : part.number;
  if (split < 0 || split >= 1) {
    diag_error(diag_of(training), part.span, "a part of the images is at least 0 and below 1, got %g", split);
    return;
  }
  training->train->validation_split = split;
  item = item->next;
  if (is_word(item, "stratified")) {
    training->train->stratified = true;
    item = item->next;
  }
  if (!item)
    return;
  static const char *const words[] = {"stratified"};
  const char *near = item->kind == EXPR_NAME ? diag_nearest(item->text, words, 1) : NULL;
  diag_error(diag_of(training), item->span, "expected `stratified` or the end of the line");
  if (near)
    diag_help(diag_of(training), "did you mean `%s`?", near);
}

/* cache off | memory | file | auto [variants K] */
static void read_cache(Training *training, const Stmt *stmt) {
  static const char *const words[] = {"auto", "off", "memory", "file"};
  const Expr *item = stmt->items;
  int found = -1;
  for (int i = 0; i < 4; i++)
    if (is_word(item, words[i]))
      found = i;
  if (found < 0) {
    Span at = item ? item->span : stmt->span;
    diag_error(diag_of(training), at, "`cache` is one of `auto`, `off`, `memory`, `file`");
    const char *near = item && item->kind == EXPR_NAME ? diag_nearest(item->text, words, 4) : NULL;
    if (near)
      diag_help(diag_of(training), "did you mean `%s`?", near);
    return;
  }
  training->train->cache = words[found];
  item = item->next;
  if (!item)
    return;
  if (!is_word(item, "variants") || !item->next || item->next->next) {
    diag_error(diag_of(training), item->span, "expected `variants` and a number");
    return;
  }
  Datum count = evaluate(training->elaborator, training->scope, item->next);
  if (count.kind != DATUM_INT || count.integer < 1 || count.integer > 1000)
    diag_error(diag_of(training), count.span, "`variants` must be an int from 1 to 1000");
  else
    training->train->cache_variants = (int)count.integer;
}

/* memory auto | unlimited | BYTES */
static void read_memory(Training *training, const Stmt *stmt) {
  static const char *const words[] = {"auto", "unlimited"};
  const Expr *item = stmt->items;
  int64_t value;
  for (int i = 0; i < 2; i++)
    if (is_word(item, words[i]) && !item->next) {
      training->train->memory_unlimited = i == 1;
      training->train->memory_limit = 0;
      return;
    }
  const char *near = item && item->kind == EXPR_NAME ? diag_nearest(item->text, words, 2) : NULL;
  if (near) {
    diag_error(diag_of(training), item->span, "`memory` is `auto`, `unlimited` or a number of bytes");
    diag_help(diag_of(training), "did you mean `%s`?", near);
    return;
  }
  training->train->memory_unlimited = false;
  training->train->memory_span = stmt->span;
  if (int_value(training, stmt, 1, INT64_MAX, &value))
    training->train->memory_limit = value;
}

/* {0: 1.0, 1: 2.0}, or a list by class number. */
static void read_class_weight(Training *training, const Stmt *stmt) {
  const char *wanted = "weights by class: {0: 1.0, 1: 2.5} or [1.0, 2.5]";
  Datum datum = only_value(training, stmt, wanted);
  if (!training->graph->output) /* the network has errors */
    return;
  Shape output = training->graph->output->shape;
  int classes = output.dim[output.rank - 1] == 1 ? 2 : output.dim[output.rank - 1];
  bool map = datum.kind == DATUM_MAP;
  if (datum.kind == DATUM_POISON)
    return;
  if (!map && datum.kind != DATUM_LIST && datum.kind != DATUM_TUPLE) {
    wrong(training, datum.span, stmt->name, wanted, &datum);
    return;
  }
  double *weights = arena_array(training->elaborator->arena, double, classes);
  bool *given = arena_array(training->elaborator->arena, bool, classes);
  for (int i = 0; i < classes; i++)
    weights[i] = 1;
  for (int i = 0; i < datum.count; i += map ? 2 : 1) {
    const Datum *key = &datum.items[i], *value = &datum.items[map ? i + 1 : i];
    int64_t index = map ? key->integer : i;
    if ((map && key->kind != DATUM_INT) || index < 0 || index >= classes) {
      diag_error(diag_of(training), key->span, "there is no class %s: the network has %d, counted from 0",
                 map ? datum_text(training->elaborator->arena, key)
                     : arena_printf(training->elaborator->arena, "%d", i),
                 classes);
      return;
    }
    double weight = value->kind == DATUM_INT ? (double)value->integer : value->number;
    if ((value->kind != DATUM_INT && value->kind != DATUM_FLOAT) || weight < 0) {
      diag_error(diag_of(training), value->span, "a class weight is a number, at least 0");
      return;
    }
    if (given[index]) {
      diag_error(diag_of(training), key->span, "class %lld has two weights", (long long)index);
      return;
    }
    given[index] = true;
    weights[index] = weight;
  }
  training->train->class_weights = weights;
  training->train->class_weight_count = classes;
}

/* silence NT003, NT007 */
static void read_silence(Training *training, const Stmt *stmt) {
  Elaborator *elaborator = training->elaborator;
  if (!stmt->items)
    wrong(training, stmt->span, stmt->name, "codes of warnings", NULL);
  for (const Expr *item = stmt->items; item; item = item->next) {
    if (item->kind != EXPR_NAME) {
      diag_error(diag_of(training), item->span, "expected the code of a warning, as NT003");
    } else if (!lint_exists(item->text)) {
      diag_error(diag_of(training), item->span, "there is no warning `%s`", item->text);
      const char *near = lint_nearest(item->text);
      if (near)
        diag_help(diag_of(training), "did you mean `%s`?", near);
    } else {
      arena_push(elaborator->arena, elaborator->silenced, elaborator->silenced_count,
                 elaborator->silenced_capacity, item->text);
    }
  }
}

static const Setting settings[] = {
    {"loss", read_loss, .example = "loss categorical_crossentropy", .doc = "one loss"},
    {"optimizer", read_optimizer, .in_phase = true, .example = "optimizer adam(1e-3)",
     .doc = "one optimizer; its learning rate is a number or a schedule"},
    {"metrics", read_metrics, .example = "metrics accuracy, auc", .doc = "any number of metrics"},
    {"batch", read_batch, .example = "batch 32", .doc = "images per step"},
    {"epochs", read_epochs, .in_phase = true, .example = "epochs 10", .doc = "passes over the images"},
    {"validation", read_validation, .example = "validation split 0.2",
     .doc = "held back from the end of the list; `stratified`: from every class"},
    {"seed", read_seed, .example = "seed 1", .doc = "of starting weights, order, dropout and augmentation"},
    {"shuffle", read_shuffle, .example = "shuffle false", .doc = "keep the order of the images"},
    {"cache", read_cache, .example = "cache auto",
     .doc = "what frozen layers compute: auto, off, memory, file"},
    {"class_weight", read_class_weight, .example = "class_weight {0: 1.0, 2: 0.5}",
     .doc = "or a list; classes not named count 1"},
    {"memory", read_memory, .example = "memory 512MB", .doc = "the most to take; or auto, unlimited"},
    {"silence", read_silence, .repeats = true, .example = "silence NT003, NT012",
     .doc = "warnings not to show"},
};

enum { SETTING_COUNT = sizeof settings / sizeof *settings };

static void read_callback(Training *training, const Stmt *stmt, const Expr *call) {
  Elaborator *elaborator = training->elaborator;
  TrainSpec *train = training->train;
  if (training->phase) {
    diag_error(diag_of(training), stmt->span, "`%s` belongs to the whole training, not to a phase",
               call->text);
    return;
  }
  Datum word = evaluate_word(elaborator, training->scope, call);
  Call *bound = bind_word(elaborator->arena, diag_of(training), SIG_CALLBACK, &word);
  for (int i = 0; bound && i < train->callback_count; i++)
    if (train->callbacks[i]->signature == bound->signature) {
      diag_error(diag_of(training), stmt->span, "`%s` is given twice", bound->signature->name);
      diag_note(diag_of(training), train->callbacks[i]->span, "first given here");
      return;
    }
  if (bound)
    arena_push(elaborator->arena, train->callbacks, train->callback_count, training->callback_capacity,
               bound);
}

void train_settings_text(StrBuf *out) {
  for (int i = 0; i < SETTING_COUNT; i++)
    strbuf_printf(out, "  %-32s %s%s\n", settings[i].example, settings[i].doc,
                  settings[i].in_phase ? "; also in a phase" : "");
  int callbacks;
  const Signature *const *callback = signature_table(SIG_CALLBACK, &callbacks);
  for (int i = 0; i < callbacks; i++)
    strbuf_printf(out, "  %s(...)%*s%s\n", callback[i]->name, (int)(28 - strlen(callback[i]->name)), "",
                  callback[i]->doc);
  strbuf_printf(out, "  %-32s %s\n", "phase \"head\" { ... }",
                "epochs with an optimizer and frozen layers of their own");
  strbuf_printf(out, "  %-32s %s\n", "freeze base[:-4]", "in a phase; also `unfreeze`");
}

static void unknown_setting(Training *training, const char *name, Span span) {
  const char *names[64];
  int count = 0;
  for (int i = 0; i < SETTING_COUNT; i++)
    if (!training->phase || settings[i].in_phase)
      names[count++] = settings[i].name;
  names[count++] = "phase";
  names[count++] = "freeze";
  names[count++] = "unfreeze";
  if (!training->phase)
    count += signature_names(SIG_CALLBACK, true, names + count, 16);
  diag_error(diag_of(training), span, "a %s has no setting `%s`",
             training->phase ? "phase" : "`train` section", name);
  if (!translate_setting(diag_of(training), name, names, count))
    diag_help(diag_of(training), "`netc help train` lists the settings");
}

static bool seen_before(Training *training, const Stmt *stmt) {
  for (int i = 0; i < training->seen_count; i++)
    if (!strcmp(training->seen[i]->name, stmt->name)) {
      diag_error(diag_of(training), stmt->name_span, "`%s` is set twice", stmt->name);
      diag_note(diag_of(training), training->seen[i]->name_span, "first set here");
      return true;
    }
  if (training->seen_count < 32)
    training->seen[training->seen_count++] = stmt;
  return false;
}

static void read_setting(Training *training, const Stmt *stmt) {
  for (int i = 0; i < SETTING_COUNT; i++) {
    if (strcmp(settings[i].name, stmt->name))
      continue;
    if (training->phase && !settings[i].in_phase)
      diag_error(diag_of(training), stmt->name_span, "`%s` belongs to the whole training, not to a phase",
                 stmt->name);
    else if (settings[i].repeats || !seen_before(training, stmt))
      settings[i].read(training, stmt);
    return;
  }
  if (signature_find(SIG_CALLBACK, stmt->name)) {
    Expr call = {
        .kind = EXPR_CALL, .text = stmt->name, .span = stmt->name_span, .name_span = stmt->name_span};
    if (stmt->items && stmt->items->kind != EXPR_CALL)
      diag_error(diag_of(training), stmt->items->span, "arguments of `%s` stand in parentheses", stmt->name);
    else
      read_callback(training, stmt, stmt->items ? stmt->items : &call);
    return;
  }
  unknown_setting(training, stmt->name, stmt->name_span);
}

static void read_statements(Training *training, const Stmt *stmts);

static void read_phase(Training *training, const Stmt *stmt) {
  TrainSpec *train = training->train;
  if (training->phase) {
    diag_error(diag_of(training), stmt->span, "a phase cannot stand in a phase");
    return;
  }
  if (train->phase_count == MAX_PHASES) {
    diag_error(diag_of(training), stmt->span, "a training has at most %d phases", (int)MAX_PHASES);
    return;
  }
  Phase *phase = &train->phases[train->phase_count];
  *phase = (Phase){.span = stmt->span};
  if (stmt->value) {
    Datum name = stmt->value->kind == EXPR_NAME
                     ? (Datum){.kind = DATUM_WORD, .text = stmt->value->text, .span = stmt->value->span}
                     : evaluate(training->elaborator, training->scope, stmt->value);
    phase->name = name.kind == DATUM_STRING || name.kind == DATUM_WORD ? name.text : NULL;
    for (int i = 0; phase->name && i < train->phase_count; i++)
      if (train->phases[i].name && !strcmp(train->phases[i].name, phase->name)) {
        diag_error(diag_of(training), name.span, "the name `%s` is used twice", phase->name);
        diag_note(diag_of(training), train->phases[i].span, "first used here");
      }
  }
  const Stmt *seen[32];
  int count = training->seen_count;
  memcpy(seen, training->seen, sizeof seen);
  training->seen_count = 0;
  training->phase = phase;
  training->elaborator->phase_first = train->phase_count; /* and all later ones */
  train->phase_count++;
  read_statements(training, stmt->body);
  training->phase = NULL;
  training->elaborator->phase_first = 0;
  training->seen_count = count;
  memcpy(training->seen, seen, sizeof seen);
}

static void read_statements(Training *training, const Stmt *stmts) {
  for (const Stmt *stmt = stmts; stmt && !diag_full(diag_of(training)); stmt = stmt->next) {
    switch (stmt->kind) {
    case STMT_SETTING:
      read_setting(training, stmt);
      break;
    case STMT_PHASE:
      read_phase(training, stmt);
      break;
    case STMT_FREEZE:
    case STMT_UNFREEZE:
      if (!training->phase && training->train->phase_count)
        diag_error(diag_of(training), stmt->span, "this stands before the first phase, or in one");
      else if (training->graph->output) /* else the network has errors, and lacks layers */
        run_freeze(training->elaborator, training->scope, stmt);
      break;
    case STMT_WEIGHTS:
      if (training->graph->output)
        run_weights(training->elaborator, training->scope, stmt);
      break;
    case STMT_EXPR:
      if (stmt->value->kind == EXPR_CALL && signature_find(SIG_CALLBACK, stmt->value->text)) {
        read_callback(training, stmt, stmt->value);
      } else if (stmt->value->kind == EXPR_CALL) {
        Stmt setting = {
            .kind = STMT_SETTING, .span = stmt->span, .name = stmt->value->text, .items = stmt->value};
        setting.name_span = stmt->value->name_span;
        Stmt *kept = arena_new(training->elaborator->arena, Stmt);
        *kept = setting;
        read_setting(training, kept);
      } else {
        diag_error(diag_of(training), stmt->span, "a `train` section holds settings");
      }
      break;
    case STMT_ERROR:
      break;
    default:
      diag_error(diag_of(training), stmt->span, "this belongs into a network");
    }
  }
}

static void check_complete(Training *training, const Decl *decl) {
  TrainSpec *train = training->train;
  if (!train->loss)
    diag_error(diag_of(training), decl->name_span, "the `train` section has no `loss`");
  bool all = train->phase_count > 0;
  for (int i = 0; i < train->phase_count; i++)
    all = all && train->phases[i].optimizer;
  if (!train->optimizer && !all)
    diag_error(diag_of(training), decl->name_span, "the `train` section has no `optimizer`");
  for (int i = 0; i < train->callback_count; i++) {
    const Attr *monitor = call_attr(train->callbacks[i], "monitor");
    if (!strncmp(monitor->text, "val_", 4) || !monitor->given)
      continue;
    bool known = !strcmp(monitor->text, "loss");
    for (int k = 0; k < train->metric_count; k++)
      known = known || !strcmp(monitor->text, train->metrics[k]->signature->name);
    if (!known)
      diag_error(diag_of(training), monitor->span, "no metric is called `%s`", monitor->text);
  }
}

void run_train(Elaborator *elaborator, Scope *network, const Decl *decl, Graph *graph) {
  TrainSpec *train = &graph->train;
  *train = (TrainSpec){.batch = 32, .shuffle = true, .cache = "auto"};
  train->phases[0] = (Phase){.epochs = 1};
  train->phase_count = 1;
  if (!decl)
    return;
  train->present = true;
  train->span = decl->span;
  train->phase_count = 0;
  Training training = {
      .elaborator = elaborator, .scope = network, .graph = graph, .train = train, .epochs = 0};
  int errors = elaborator->diag->errors;
  elaborator->phase_first = 0;
  read_statements(&training, decl->body);
  if (elaborator->diag->errors == errors)
    check_complete(&training, decl);
  if (!train->phase_count)
    train->phases[train->phase_count++] = (Phase){.span = decl->span};
  for (int i = 0; i < train->phase_count; i++)
    if (!train->phases[i].epochs)
      train->phases[i].epochs = training.epochs ? training.epochs : 1;
  for (int i = train->phase_count; i < MAX_PHASES; i++)
    train->phases[i] = (Phase){0};
}
