#include "show.h"
#include "datum.h"
#include "order.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

static void show_float(double number, StrBuf *out) {
  Arena arena = {0};
  strbuf_puts(out, datum_float_text(&arena, number));
  arena_free(&arena);
}

static void show_string(const char *text, StrBuf *out) {
  strbuf_puts(out, "\"");
  for (; *text; text++) {
    if (*text == '\n')
      strbuf_puts(out, "\\n");
    else if (*text == '\t')
      strbuf_puts(out, "\\t");
    else
      strbuf_printf(out, "%s%c", strchr("\"\\{}", *text) ? "\\" : "", *text);
  }
  strbuf_puts(out, "\"");
}

static void show_ints(const Param *param, const Attr *attr, StrBuf *out) {
  const int64_t *ints = attr->ints;
  bool shape = param->kind == P_PAIR || param->kind == P_SHAPE;
  for (int i = 0; i < attr->count; i++)
    shape = shape && ints[i] >= 0;
  if (param->kind == P_PADDING_SIZES) {
    strbuf_printf(out, "((%lld, %lld), (%lld, %lld))", (long long)ints[0], (long long)ints[1],
                  (long long)ints[2], (long long)ints[3]);
    return;
  }
  bool single = shape || (param->kind == P_INTS && attr->count == 1);
  strbuf_puts(out, single ? "" : "(");
  for (int i = 0; i < attr->count; i++)
    strbuf_printf(out, "%s%lld", !i ? "" : shape ? "x" : ", ", (long long)ints[i]);
  strbuf_puts(out, single ? "" : attr->count == 1 ? ",)" : ")");
}

void show_attr(const Param *param, const Attr *attr, StrBuf *out) {
  switch (attr->kind) {
  case ATTR_NONE:
    strbuf_puts(out, "none");
    break;
  case ATTR_BOOL:
    strbuf_puts(out, attr->boolean ? "true" : "false");
    break;
  case ATTR_INT:
    strbuf_printf(out, "%lld", (long long)attr->integer);
    break;
  case ATTR_FLOAT:
    show_float(attr->number, out);
    break;
  case ATTR_TEXT:
    if (param->kind == P_STRING)
      show_string(attr->text, out);
    else
      strbuf_puts(out, attr->text);
    break;
  case ATTR_INTS:
    show_ints(param, attr, out);
    break;
  case ATTR_FLOATS:
    for (int i = 0; i < attr->count; i++) {
      strbuf_puts(out, i ? ", " : attr->count > 1 ? "[" : "");
      show_float(attr->floats[i], out);
    }
    strbuf_puts(out, attr->count > 1 ? "]" : "");
    break;
  case ATTR_CALL:
    show_call(attr->call, true, out);
    break;
  }
}

/* The arguments without parentheses; returns how many there were. */
static int show_arguments(const Call *call, bool all, int before, StrBuf *out) {
  int count = before;
  for (int i = 0; call->signature->params[i].name; i++) {
    if (!all && !call->attrs[i].given)
      continue;
    strbuf_printf(out, "%s%s = ", count++ ? ", " : "", call->signature->params[i].name);
    show_attr(&call->signature->params[i], &call->attrs[i], out);
  }
  return count;
}

void show_call(const Call *call, bool all, StrBuf *out) {
  StrBuf arguments = {0};
  int count = show_arguments(call, all, 0, &arguments);
  strbuf_printf(out, count ? "%s(%s)" : "%s", call->signature->name, count ? arguments.text : "");
  strbuf_free(&arguments);
}

/* ---- names of variables ---- */

typedef struct Shown {
  const Layer *layer;
  const char *variable; /* or NULL where nothing refers to it by name */
  int part;             /* the block it stands in, or -1 */
  bool needs_variable;
} Shown;

typedef struct ShownPart {
  const WeightSource *source;
  const char *variable, *block;
  const Layer *input, *output; /* of the uncut part */
  bool printed;
} ShownPart;

typedef struct Show {
  Arena arena;
  const Graph *graph;
  StrBuf *out;
  Shown *shown; /* by Layer.created */
  int shown_count;
  ShownPart *parts;
  int part_count;
} Show;

static bool list_has(const char *list, const char *name) {
  size_t length = strlen(name);
  for (const char *at = list; at && *at; at += strcspn(at, " "), at += strspn(at, " "))
    if (strcspn(at, " ") == length && !memcmp(at, name, length))
      return true;
  return false;
}

/* Words that a variable would hide. */
static bool is_taken_word(const char *name) {
  static const char reserved[] =
      "import network block train for in if else and or not true false none weights freeze "
      "unfreeze from by up to all but require phase same valid";
  if (list_has(reserved, name))
    return true;
  for (int kind = SIG_LAYER; kind <= SIG_CALLBACK; kind++) {
    int count;
    const Signature *const *table = signature_table((SignatureKind)kind, &count);
    if (kind != SIG_LAYER && signature_find((SignatureKind)kind, name))
      return true;
    for (int i = 0; i < count; i++)
      for (const Param *param = table[i]->params; param->name; param++)
        if (list_has(param->choices, name))
          return true;
  }
  return false;
}

static bool variable_used(const Show *show, const char *name) {
  for (int i = 0; i < show->shown_count; i++)
    if (show->shown[i].variable && !strcmp(show->shown[i].variable, name))
      return true;
  for (int i = 0; i < show->part_count; i++)
    if (show->parts[i].variable && !strcmp(show->parts[i].variable, name))
      return true;
  return false;
}

static const char *make_variable(Show *show, const char *name) {
  char *text = arena_printf(&show->arena, "%s%s", isdigit((unsigned char)*name) ? "_" : "", name);
  for (char *c = text; *c; c++)
    if (!isalnum((unsigned char)*c) || (unsigned char)*c > 127)
      *c = '_';
  const char *variable = is_taken_word(text) ? arena_printf(&show->arena, "%s_", text) : text;
  for (int i = 2; variable_used(show, variable); i++)
    variable = arena_printf(&show->arena, "%s_%d", text, i);
  return variable;
}

/* ---- which layers are shown, and where ---- */

static void collect_layer(Show *show, const Layer *layer, int part) {
  Shown *shown = &show->shown[layer->created];
  if (!shown->layer || part >= 0)
    *shown = (Shown){.layer = layer, .part = part};
}

static bool overlaps(const Show *show, const WeightSource *source) {
  for (int i = 0; i < source->layer_count; i++)
    if (show->shown[source->layers[i]->created].layer && show->shown[source->layers[i]->created].part >= 0)
      return true;
  return false;
}

/* True where the layers are all that lies between one layer and the last of them, in Keras's order: what a
 * block made. */
static bool is_part(Show *show, const WeightSource *source) {
  Layer **order;
  const Layer *first = source->layer_count ? source->layers[0] : NULL;
  if (!first || first->input_count != 1)
    return false;
  int count = order_layers(&show->arena, first->inputs[0], source->layers[source->layer_count - 1], &order);
  for (int i = 1; i < count; i++)
    if (count != source->layer_count + 1 || order[i] != source->layers[i - 1])
      return false;
  return count > 1;
}

/* A part with a weights file becomes a block: the file's order is that of the whole part, also where it is
 * cut. */
static void collect_parts(Show *show) {
  const Graph *graph = show->graph;
  show->parts = arena_array(&show->arena, ShownPart, graph->weight_source_count + 1);
  for (int i = 0; i < graph->weight_source_count; i++) {
    const WeightSource *source = &graph->weight_sources[i];
    if (!*source->part || source->layers == graph->keras_order || overlaps(show, source) ||
        !is_part(show, source))
      continue;
    ShownPart *part = &show->parts[show->part_count++];
    part->source = source;
    part->input = source->layers[0]->inputs[0];
    part->output = source->layers[source->layer_count - 1];
    for (int k = 0; k < source->layer_count; k++)
      collect_layer(show, source->layers[k], show->part_count - 1);
  }
  for (int i = 0; i < show->part_count; i++) {
    show->parts[i].variable = make_variable(show, show->parts[i].source->part);
    show->parts[i].block = arena_printf(&show->arena, "%s_layers", show->parts[i].variable);
  }
}

static int largest_created(const Graph *graph) {
  int largest = 0;
  for (int i = 0; i < graph->layer_count; i++)
    largest = graph->layers[i]->created > largest ? graph->layers[i]->created : largest;
  for (int i = 0; i < graph->weight_source_count; i++)
    for (int k = 0; k < graph->weight_sources[i].layer_count; k++)
      if (graph->weight_sources[i].layers[k]->created > largest)
        largest = graph->weight_sources[i].layers[k]->created;
  return largest;
}

/* Marks what other lines than the next take by name: needs a variable.  Follows the order in which show_graph
 * prints. */
static void find_variables(Show *show) {
  const Layer **above =
      arena_array(&show->arena, const Layer *, show->part_count + 1); /* last: the network's own */
  bool *called = arena_array(&show->arena, bool, show->part_count + 1);
  int network = show->part_count;
  for (int i = 0; i < show->part_count; i++)
    above[i] = show->parts[i].input;
  for (int i = 0; i < show->shown_count; i++) {
    const Layer *layer = show->shown[i].layer;
    if (!layer)
      continue;
    int part = show->shown[i].part, place = part < 0 ? network : part;
    if (part >= 0 && !called[part]) {
      called[part] = true;
      if (show->parts[part].input != above[network])
        show->shown[show->parts[part].input->created].needs_variable = true;
      above[network] = show->parts[part].output;
    }
    for (int k = 0; k < layer->input_count; k++)
      if (layer->input_count > 1 || layer->inputs[k] != above[place])
        show->shown[layer->inputs[k]->created].needs_variable = true;
    above[place] = layer;
  }
  for (int i = 0; i < show->part_count; i++)
    if (above[i] != show->parts[i].output)
      show->shown[show->parts[i].output->created].needs_variable = true;
  if (above[network] != show->graph->output)
    show->shown[show->graph->output->created].needs_variable = true;
  for (int i = 0; i < show->shown_count; i++) {
    Shown *shown = &show->shown[i];
    if (shown->layer && shown->needs_variable)
      shown->variable = make_variable(show, shown->layer->name);
  }
}

/* ---- statements ---- */

/* How `layer` is called from within block `part` (-1: the network). */
static const char *reference(Show *show, const Layer *layer, int part) {
  const Shown *shown = &show->shown[layer->created];
  if (part >= 0 && layer == show->parts[part].input)
    return "in";
  if (shown->part == part || shown->part < 0)
    return shown->variable ? shown->variable : layer->name;
  const ShownPart *other = &show->parts[shown->part];
  if (layer == other->output)
    return other->variable;
  StrBuf name = {0};
  show_string(layer->name, &name);
  const char *text = arena_printf(&show->arena, "(%s up to %s)", other->variable, name.text);
  strbuf_free(&name);
  return text;
}

static void show_shape_comment(const Layer *layer, StrBuf *out) {
  strbuf_puts(out, "  # ");
  for (int i = 0; i < layer->shape.rank; i++)
    strbuf_printf(out, "%s%d", i ? "x" : "", layer->shape.dim[i]);
  strbuf_puts(out, "\n");
}

static void show_layer(Show *show, const Layer *layer, const Layer *above, int part) {
  StrBuf *out = show->out;
  const Shown *shown = &show->shown[layer->created];
  strbuf_puts(out, "  ");
  if (shown->variable)
    strbuf_printf(out, "%s = ", shown->variable);
  int count = 0;
  if (layer->input_count == 1 && layer->inputs[0] != above)
    strbuf_printf(out, "%s -> ", reference(show, layer->inputs[0], part));
  strbuf_printf(out, "%s(", layer->call.signature->name);
  for (int i = 0; layer->input_count > 1 && i < layer->input_count; i++)
    strbuf_printf(out, "%s%s", count++ ? ", " : "", reference(show, layer->inputs[i], part));
  count = show_arguments(&layer->call, true, count, out);
  strbuf_puts(out, count ? ", name = " : "name = ");
  show_string(layer->name, out);
  strbuf_puts(out, ")");
  show_shape_comment(layer, out);
}

static void show_block(Show *show, int index) {
  ShownPart *part = &show->parts[index];
  strbuf_printf(show->out, "block %s() {\n", part->block);
  const Layer *above = part->input;
  for (int i = 0; i < show->shown_count; i++)
    if (show->shown[i].layer && show->shown[i].part == index) {
      show_layer(show, show->shown[i].layer, above, index);
      above = show->shown[i].layer;
    }
  if (above != part->output)
    strbuf_printf(show->out, "  %s\n", reference(show, part->output, index));
  strbuf_puts(show->out, "}\n\n");
}

static const Layer *show_part_call(Show *show, int index, const Layer *above) {
  ShownPart *part = &show->parts[index];
  part->printed = true;
  strbuf_printf(show->out, "  %s = ", part->variable);
  if (part->input != above)
    strbuf_printf(show->out, "%s -> ", reference(show, part->input, -1));
  strbuf_printf(show->out, "%s()\n", part->block);
  return part->output;
}

/* ---- freezing ---- */

static void show_names(const Graph *graph, bool (*wanted)(const Layer *, int), int phase, const char *verb,
                       const char *indent, StrBuf *out) {
  int count = 0, others = 0;
  for (int i = 0; i < graph->layer_count; i++) {
    if (graph->layers[i]->op->kind == OP_input)
      continue;
    if (wanted(graph->layers[i], phase))
      count++;
    else
      others++;
  }
  if (!count)
    return;
  bool but = others < count;
  strbuf_printf(out, "%s%s %s", indent, verb, but && !others ? "all" : but ? "all but (" : "(");
  int n = 0;
  for (int i = 0; i < graph->layer_count; i++) {
    const Layer *layer = graph->layers[i];
    if (layer->op->kind == OP_input || wanted(layer, phase) == but)
      continue;
    strbuf_puts(out, n++ ? n % 4 == 1 ? ",\n      " : ", " : "");
    show_string(layer->name, out);
  }
  strbuf_puts(out, but && !others ? "\n" : n == 1 ? ",)\n" : ")\n");
}

static bool is_frozen(const Layer *layer, int phase) {
  return layer->frozen[phase];
}

static bool becomes_frozen(const Layer *layer, int phase) {
  return layer->frozen[phase] && !layer->frozen[phase - 1];
}

static bool becomes_free(const Layer *layer, int phase) {
  return !layer->frozen[phase] && layer->frozen[phase - 1];
}

/* ---- training ---- */

static void show_setting(const char *name, const char *indent, const Call *call, StrBuf *out) {
  if (!call)
    return;
  strbuf_printf(out, "%s%s ", indent, name);
  show_call(call, true, out);
  strbuf_puts(out, "\n");
}

static void show_phases(const Graph *graph, StrBuf *out) {
  const TrainSpec *train = &graph->train;
  if (train->phase_count == 1 && !train->phases[0].name && !train->phases[0].optimizer) {
    strbuf_printf(out, "  epochs %d\n", train->phases[0].epochs);
    return;
  }
  for (int i = 0; i < train->phase_count; i++) {
    const Phase *phase = &train->phases[i];
    strbuf_puts(out, "  phase ");
    if (phase->name) {
      show_string(phase->name, out);
      strbuf_puts(out, " ");
    }
    strbuf_puts(out, "{\n");
    if (i) {
      show_names(graph, becomes_frozen, i, "freeze", "    ", out);
      show_names(graph, becomes_free, i, "unfreeze", "    ", out);
    }
    strbuf_printf(out, "    epochs %d\n", phase->epochs);
    show_setting("optimizer", "    ", phase->optimizer, out);
    strbuf_puts(out, "  }\n");
  }
}

static void show_train(const Graph *graph, StrBuf *out) {
  const TrainSpec *train = &graph->train;
  if (!train->present)
    return;
  strbuf_printf(out, "\ntrain %s {\n", graph->name);
  show_setting("loss", "  ", train->loss, out);
  show_setting("optimizer", "  ", train->optimizer, out);
  for (int i = 0; i < train->metric_count; i++) {
    strbuf_puts(out, i ? ", " : "  metrics ");
    show_call(train->metrics[i], true, out);
  }
  strbuf_puts(out, train->metric_count ? "\n" : "");
  strbuf_printf(out, "  batch %d\n  validation split ", train->batch);
  show_float(train->validation_split, out);
  strbuf_printf(out, "%s\n  seed %lld\n  shuffle %s\n  cache %s", train->stratified ? " stratified" : "",
                (long long)train->seed, train->shuffle ? "true" : "false", train->cache);
  if (train->cache_variants)
    strbuf_printf(out, " variants %d", train->cache_variants);
  strbuf_puts(out, "\n");
  if (train->memory_limit)
    strbuf_printf(out, "  memory %lld\n", (long long)train->memory_limit);
  if (train->memory_unlimited)
    strbuf_puts(out, "  memory unlimited\n");
  for (int i = 0; i < train->class_weight_count; i++) {
    strbuf_puts(out, i ? ", " : "  class_weight [");
    show_float(train->class_weights[i], out);
  }
  strbuf_puts(out, train->class_weight_count ? "]\n" : "");
  for (int i = 0; i < train->callback_count; i++) {
    strbuf_puts(out, "  ");
    show_call(train->callbacks[i], true, out);
    strbuf_puts(out, "\n");
  }
  for (int i = 0; i < graph->silenced_count; i++)
    strbuf_printf(out, "%s%s", i ? ", " : "  silence ", graph->silenced[i]);
  strbuf_puts(out, graph->silenced_count ? "\n" : "");
  show_phases(graph, out);
  strbuf_puts(out, "}\n");
}

/* ---- weights ---- */

/* Paths were resolved against the file's folder; beside the file they read as they were written. */
static const char *written_path(const Graph *graph, const char *path) {
  const char *slash = strrchr(graph->path, '/');
  size_t folder = slash ? (size_t)(slash - graph->path + 1) : 0;
  return path[0] != '/' && !strncmp(path, graph->path, folder) ? path + folder : path;
}

static void show_weights(Show *show) {
  const Graph *graph = show->graph;
  StrBuf *out = show->out;
  for (int i = 0; i < graph->weight_source_count; i++) {
    const WeightSource *source = &graph->weight_sources[i];
    const char *variable = NULL;
    for (int k = 0; k < show->part_count; k++)
      if (show->parts[k].source == source)
        variable = show->parts[k].variable;
    strbuf_puts(out, "  weights ");
    if (variable) {
      strbuf_printf(out, "%s ", variable);
    } else if (*source->part && source->layers != graph->keras_order) {
      for (int k = 0; k < source->layer_count; k++) {
        strbuf_puts(out, k ? ", " : "(");
        show_string(source->layers[k]->name, out);
      }
      strbuf_puts(out, source->layer_count == 1 ? ",) " : ") ");
    }
    strbuf_puts(out, "from ");
    show_string(written_path(graph, source->path), out);
    strbuf_puts(out, source->by_name ? " by name\n" : "\n");
  }
}

void show_graph(const Graph *graph, StrBuf *out) {
  Show show = {.graph = graph, .out = out};
  show.shown_count = largest_created(graph) + 1;
  show.shown = arena_array(&show.arena, Shown, show.shown_count);
  collect_parts(&show);
  for (int i = 0; i < graph->layer_count; i++)
    collect_layer(&show, graph->layers[i],
                  show.shown[graph->layers[i]->created].layer ? show.shown[graph->layers[i]->created].part
                                                              : -1);
  find_variables(&show);
  for (int i = 0; i < show.part_count; i++)
    show_block(&show, i);
  strbuf_printf(out, "network %s {\n", graph->name);
  const Layer *above = NULL;
  for (int i = 0; i < show.shown_count; i++) {
    const Shown *shown = &show.shown[i];
    if (!shown->layer)
      continue;
    if (shown->part < 0)
      show_layer(&show, shown->layer, above, -1);
    if (shown->part < 0)
      above = shown->layer;
    else if (!show.parts[shown->part].printed)
      above = show_part_call(&show, shown->part, above);
  }
  if (above != graph->output)
    strbuf_printf(out, "  %s\n", reference(&show, graph->output, -1));
  show_weights(&show);
  show_names(graph, is_frozen, 0, "freeze", "  ", out);
  strbuf_puts(out, "}\n");
  show_train(graph, out);
  arena_free(&show.arena);
}
