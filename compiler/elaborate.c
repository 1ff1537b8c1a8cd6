/* Files, imports, definitions, and the graph that comes of a network. */
#include "elaborate.h"
#include "elaborate_internal.h"
#include "order.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- files and imports ---- */

static LoadedFile *load(Elaborator *elaborator, const Source *source, Span imported_at, LoadedFile *importer);

static bool file_exists(const char *path) {
  struct stat status;
  return !stat(path, &status) && S_ISREG(status.st_mode);
}

static const char *folder_of(Arena *arena, const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? arena_strndup(arena, path, (size_t)(slash - path + 1)) : "";
}

/* An import is looked for beside the file, in the given folders, then among the files that netc carries. */
static const Source *find_import(Elaborator *elaborator, const Source *from, const char *path, Span at) {
  Arena *arena = elaborator->arena;
  const ElaborateOptions *options = elaborator->options;
  const char *beside =
      path[0] == '/' ? path : arena_printf(arena, "%s%s", folder_of(arena, from->path), path);
  if (file_exists(beside))
    return source_read(arena, elaborator->diag, beside, beside, at);
  for (int i = 0; path[0] != '/' && i < options->folder_count; i++) {
    const char *candidate = arena_printf(arena, "%s/%s", options->folders[i], path);
    if (file_exists(candidate))
      return source_read(arena, elaborator->diag, candidate, candidate, at);
  }
  size_t length = 0;
  const char *text = options->builtin_file ? options->builtin_file(path, &length) : NULL;
  if (text)
    return source_make(arena, path, text, length);
  diag_error(elaborator->diag, at, "there is no file `%s` to import", path);
  const char *list = options->folder_count || options->builtin_file ? " and in netc's own zoo" : "";
  diag_note(elaborator->diag, at, "looked for beside this file%s", list);
  return NULL;
}

static LoadedFile *loaded_file(const Elaborator *elaborator, const char *path) {
  for (LoadedFile *at = elaborator->files; at; at = at->next)
    if (!strcmp(at->path, path))
      return at;
  return NULL;
}

static void report_cycle(Elaborator *elaborator, const LoadedFile *importer, const LoadedFile *again,
                         Span at) {
  const char *chain = again->path;
  for (const LoadedFile *file = importer; file; file = file == again ? NULL : file->importer)
    chain = arena_printf(elaborator->arena, "%s -> %s", file->path, chain);
  diag_error(elaborator->diag, at, "imports go in a circle: %s", chain);
}

static void import(Elaborator *elaborator, LoadedFile *file, const Decl *decl) {
  const char *path = NULL;
  if (decl->value && decl->value->kind == EXPR_STRING) {
    Datum text = evaluate(elaborator, &elaborator->globals, decl->value);
    path = text.kind == DATUM_STRING ? text.text : NULL;
  }
  if (!path)
    return;
  Span at = decl->value->span;
  if (!*path) {
    diag_error(elaborator->diag, at, "the path is empty");
    return;
  }
  const Source *source = find_import(elaborator, file->file->source, path, at);
  if (!source)
    return;
  LoadedFile *known = loaded_file(elaborator, source->path);
  if (!known)
    load(elaborator, source, at, file);
  else if (!known->done)
    report_cycle(elaborator, file, known, at);
}

/* ---- definitions ---- */

static const char *kind_text(DeclKind kind) {
  return kind == DECL_BLOCK ? "block" : kind == DECL_NETWORK ? "network" : "training";
}

static void define(Elaborator *elaborator, const Decl *decl) {
  for (const Definition *at = elaborator->definitions; at && decl->name; at = at->next) {
    if (at->decl->kind != decl->kind || !at->decl->name || strcmp(at->decl->name, decl->name))
      continue;
    /* Each file may have helpers of its own: a call means the one of its file first. */
    if (decl->kind == DECL_BLOCK && at->decl->name_span.source != decl->name_span.source)
      continue;
    diag_error(elaborator->diag, decl->name_span, "the %s `%s` is defined twice", kind_text(decl->kind),
               decl->name);
    diag_note(elaborator->diag, at->decl->name_span, "first defined here");
    return;
  }
  if (decl->kind == DECL_BLOCK && (find_op(decl->name) || is_function(decl->name))) {
    diag_error(elaborator->diag, decl->name_span, "`%s` is the name of a %s and cannot be a block's",
               decl->name, find_op(decl->name) ? "layer" : "function");
    return;
  }
  for (const ArgExpr *parameter = decl->parameters; parameter; parameter = parameter->next)
    for (const ArgExpr *other = decl->parameters; other != parameter; other = other->next)
      if (!strcmp(other->name, parameter->name)) {
        diag_error(elaborator->diag, parameter->name_span, "the parameter `%s` is named twice",
                   parameter->name);
        diag_note(elaborator->diag, other->name_span, "first named here");
      }
  Definition *definition = arena_new(elaborator->arena, Definition);
  definition->decl = decl;
  definition->next = elaborator->definitions;
  elaborator->definitions = definition;
}

static void bind_global(Elaborator *elaborator, const Decl *decl) {
  const Binding *old = scope_find(&elaborator->globals, decl->name);
  if (old) {
    diag_error(elaborator->diag, decl->name_span, "the name `%s` is used twice", decl->name);
    diag_note(elaborator->diag, old->span, "first defined here");
    return;
  }
  Datum value = evaluate(elaborator, &elaborator->globals, decl->value);
  if (value.kind == DATUM_TENSOR) {
    diag_error(elaborator->diag, value.span, "a layer stands in a network or a block");
    value = datum_poison(value.span);
  }
  scope_bind(elaborator, &elaborator->globals, decl->name, value, decl->name_span, NULL, NULL);
}

static LoadedFile *load(Elaborator *elaborator, const Source *source, Span imported_at,
                        LoadedFile *importer) {
  LoadedFile *file = arena_new(elaborator->arena, LoadedFile);
  file->path = source->path;
  file->imported_at = imported_at;
  file->importer = importer;
  file->next = elaborator->files;
  elaborator->files = file;
  file->file = ast_parse(elaborator->arena, elaborator->diag, source);
  for (const Decl *decl = file->file->decls; decl && !diag_full(elaborator->diag); decl = decl->next)
    if (decl->kind == DECL_IMPORT)
      import(elaborator, file, decl);
    else if (decl->kind == DECL_BIND)
      bind_global(elaborator, decl);
    else if (decl->kind == DECL_BLOCK || !importer)
      define(elaborator, decl); /* networks and trainings of an imported file stay its own */
  file->done = true;
  return file;
}

/* ---- which network ---- */

static bool has_blocks(const Elaborator *elaborator) {
  for (const Definition *at = elaborator->definitions; at; at = at->next)
    if (at->decl->kind == DECL_BLOCK)
      return true;
  return false;
}

static const Decl *choose_network(Elaborator *elaborator, const Source *source) {
  const char *wanted = elaborator->options->network;
  const Decl *network = NULL;
  const char *names[256];
  int count = 0;
  for (const Definition *at = elaborator->definitions; at; at = at->next) {
    if (at->decl->kind != DECL_NETWORK)
      continue;
    if (count < 256)
      names[count++] = at->decl->name;
    if (!network && (!wanted || !strcmp(wanted, at->decl->name)))
      network = at->decl; /* the newest definition comes first */
  }
  if (network)
    return network;
  if (!wanted && elaborator->options->blocks_only && has_blocks(elaborator))
    return NULL;
  Span whole = {source, 0, 0};
  if (wanted) {
    diag_error(elaborator->diag, whole, "the file has no network `%s`", wanted);
    const char *near = diag_nearest(wanted, names, count);
    if (near)
      diag_help(elaborator->diag, "did you mean `%s`?", near);
  } else if (!elaborator->diag->errors) { /* else it may be what could not be read */
    diag_error(elaborator->diag, whole, "the file has no network");
    diag_help(elaborator->diag, "write `network NAME { input(100x100x1) ... }`");
  }
  return NULL;
}

/* The section that names the network; else the one that names none, for the last network. */
static const Decl *choose_train(Elaborator *elaborator, const Decl *network) {
  const Decl *unnamed = NULL, *last = NULL;
  for (const Definition *at = elaborator->definitions; at; at = at->next) {
    if (at->decl->kind == DECL_NETWORK && !last)
      last = at->decl;
    if (at->decl->kind != DECL_TRAIN)
      continue;
    if (at->decl->name && !strcmp(at->decl->name, network->name))
      return at->decl;
    if (!at->decl->name)
      unnamed = at->decl;
  }
  return network == last ? unnamed : NULL;
}

static void check_train_names(Elaborator *elaborator) {
  const Decl *unnamed = NULL;
  for (const Definition *at = elaborator->definitions; at; at = at->next) {
    if (at->decl->kind != DECL_TRAIN)
      continue;
    if (!at->decl->name && unnamed) {
      diag_error(elaborator->diag, unnamed->name_span, "two `train` sections without a name");
      diag_note(elaborator->diag, at->decl->name_span, "the first is here");
    }
    unnamed = at->decl->name ? unnamed : at->decl;
    if (!at->decl->name || find_definition(elaborator, DECL_NETWORK, at->decl->name))
      continue;
    const char *names[256];
    int count = 0;
    for (const Definition *other = elaborator->definitions; other && count < 256; other = other->next)
      if (other->decl->kind == DECL_NETWORK)
        names[count++] = other->decl->name;
    diag_error(elaborator->diag, at->decl->name_span, "there is no network `%s` to train", at->decl->name);
    const char *near = diag_nearest(at->decl->name, names, count);
    if (near)
      diag_help(elaborator->diag, "did you mean `%s`?", near);
  }
}

/* ---- the graph ---- */

/* Keeps the layers that lead to the output; the others get index -1. */
static void collect_layers(Elaborator *elaborator, Graph *graph) {
  int count = order_layers(elaborator->arena, NULL, graph->output, &graph->keras_order);
  bool *used = arena_array(elaborator->arena, bool, elaborator->layer_count + 1);
  for (int i = 0; i < count; i++)
    used[graph->keras_order[i]->index] = true;
  bool *taken = arena_array(elaborator->arena, bool, elaborator->layer_count + 1);
  for (int i = 0; i < elaborator->layer_count; i++)
    for (int k = 0; k < elaborator->layers[i]->input_count; k++)
      taken[elaborator->layers[i]->inputs[k]->index] = true;
  graph->loose = arena_array(elaborator->arena, Layer *, elaborator->layer_count - count + 1);
  for (int i = 0; i < elaborator->layer_count; i++)
    if (!used[i] && !taken[i] && !elaborator->layers[i]->cut_away)
      graph->loose[graph->loose_count++] = elaborator->layers[i];
  graph->layers = arena_array(elaborator->arena, Layer *, count + 1);
  for (int i = 0; i < elaborator->layer_count; i++) {
    Layer *layer = elaborator->layers[i];
    layer->note = NULL;
    layer->index = used[i] ? graph->layer_count : -1;
    if (used[i])
      graph->layers[graph->layer_count++] = layer;
  }
}

static void resolve_weights(Elaborator *elaborator, Graph *graph) {
  graph->weight_sources = arena_array(elaborator->arena, WeightSource, elaborator->weight_count + 1);
  for (int i = 0; i < elaborator->weight_count; i++) {
    WeightRequest *request = &elaborator->weights[i];
    WeightSource source = request->source;
    if (source.layers) {
      /* chosen one by one */
    } else if (request->part) {
      Part *part = request->part->whole ? request->part->whole : (Part *)request->part;
      source.layer_count = part_order(elaborator, part, &source.layers) - 1;
      source.layers++; /* the first is what the part takes, not its own */
    } else if (request->layer) {
      source.layers = arena_array(elaborator->arena, Layer *, 1);
      source.layers[0] = (Layer *)request->layer;
      source.layer_count = 1;
    } else {
      source.layers = graph->keras_order;
      source.layer_count = graph->layer_count;
    }
    graph->weight_sources[graph->weight_source_count++] = source;
  }
}

/* "alpha = 0.5" from the command line, read by the same parser. */
static Argument *command_line_arguments(Elaborator *elaborator, int *count) {
  const ElaborateOptions *options = elaborator->options;
  Argument *arguments = arena_array(elaborator->arena, Argument, options->parameter_count + 1);
  for (int i = 0; i < options->parameter_count; i++) {
    const char *text = arena_printf(elaborator->arena, "%s\n", options->parameters[i]);
    const Source *source = source_make(elaborator->arena, "<command line>", text, strlen(text));
    const File *file = ast_parse(elaborator->arena, elaborator->diag, source);
    if (!file->decls || file->decls->kind != DECL_BIND || file->decls->next) {
      diag_error(elaborator->diag, (Span){source, 0, (int)strlen(text) - 1}, "expected `name = value`");
      continue;
    }
    Argument *argument = &arguments[(*count)++];
    argument->name = file->decls->name;
    argument->name_span = file->decls->name_span;
    argument->value = evaluate(elaborator, &elaborator->globals, file->decls->value);
  }
  return arguments;
}

static Graph *build(Elaborator *elaborator, const Source *source) {
  int errors = elaborator->diag->errors, count = 0;
  const Decl *network = choose_network(elaborator, source);
  if (!network || diag_full(elaborator->diag))
    return NULL;
  check_train_names(elaborator);
  Argument *arguments = command_line_arguments(elaborator, &count);
  Scope *scope = NULL;
  Datum none = {.kind = DATUM_NONE, .span = network->span};
  Datum output = call_block(elaborator, NULL, network, arguments, count, none, network->name_span, &scope);
  Graph *graph = arena_new(elaborator->arena, Graph);
  graph->name = network->name;
  graph->path = source->path;
  graph->span = network->name_span;
  output = scope->current.kind == DATUM_TENSOR ? scope->current : output;
  if (output.kind != DATUM_TENSOR) {
    if (output.kind != DATUM_POISON && elaborator->diag->errors == errors) {
      diag_error(elaborator->diag, network->name_span, "the network is empty");
      diag_help(elaborator->diag,
                "it begins with `input(100x100x1)` for gray images, `input(100x100x3)` for colour");
    }
    run_train(elaborator, scope, choose_train(elaborator, network), graph); /* for its own errors */
    return NULL;
  }
  graph->output = output.layer;
  graph->input = elaborator->input;
  run_train(elaborator, scope, choose_train(elaborator, network), graph);
  if (elaborator->diag->errors)
    return NULL;
  collect_layers(elaborator, graph);
  resolve_weights(elaborator, graph);
  graph->silenced = elaborator->silenced;
  graph->silenced_count = elaborator->silenced_count;
  return graph;
}

Graph *elaborate_source(Arena *arena, Diag *diag, const Source *source, const ElaborateOptions *options) {
  static const ElaborateOptions defaults;
  Elaborator *elaborator = arena_new(arena, Elaborator);
  elaborator->arena = arena;
  elaborator->diag = diag;
  elaborator->options = options ? options : &defaults;
  load(elaborator, source, (Span){0}, NULL);
  return diag_full(diag) ? NULL : build(elaborator, source);
}

Graph *elaborate_file(Arena *arena, Diag *diag, const char *path, const ElaborateOptions *options) {
  const Source *source = source_read(arena, diag, path, path, (Span){0});
  return source ? elaborate_source(arena, diag, source, options) : NULL;
}
