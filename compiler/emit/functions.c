/* Functions of the emitted program: one per layer and direction, and one per IR function that calls them in
 * order. */
#include "emit.h"
#include "plans.h"
#include "prepare.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void emit_line(Emitter *emitter, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  char *line = arena_array(emitter->arena, char, length + 1); /* a merge may name thousands of inputs */
  vsnprintf(line, (size_t)length + 1, format, again);
  va_end(again);
  strbuf_printf(emitter->out, "  %s\n", line);
}

/* ---- where values live ---- */

/* Where the images at work begin in a value of all images of the call, which lies at `place`. */
static const char *place_of_image(Emitter *emitter, const Value *root, const char *place) {
  return emitter->microbatch ? arena_printf(emitter->arena, "%s + (size_t)m->image * %lld", place,
                                            (long long)value_memory_floats(root))
                             : place;
}

static const char *place_of_root(Emitter *emitter, const Value *root) {
  Arena *arena = emitter->arena;
  switch (root->kind) {
  case VALUE_INPUT:
    return place_of_image(emitter, root, "m->x");
  case VALUE_TARGET:
    return "m->target";
  case VALUE_SAMPLE_WEIGHT:
    return "m->sample_weight";
  case VALUE_WEIGHT:
    return arena_printf(arena, "m->params + %lld", (long long)root->weight->offset);
  case VALUE_CONSTANT:
    return arena_printf(arena, "m->constants + %lld", (long long)root->constant->offset);
  case VALUE_TEMP:
    break;
  }
  if (emitter->function->kind != FUNCTION_STEP && value_holds_result(emitter->function, root))
    return emitter->function->kind == FUNCTION_PREPARE
               ? arena_printf(arena, "m->constants + %lld", (long long)root->offset)
               : place_of_image(emitter, root, "m->out");
  if (root->micro)
    return arena_printf(arena, "m->micro_pool + (size_t)n * %lld", (long long)root->offset);
  if (root->batched)
    return place_of_image(emitter, root,
                          arena_printf(arena, "m->batch_pool + (size_t)%s * %lld",
                                       emitter->microbatch ? "m->images" : "n", (long long)root->offset));
  return arena_printf(arena, "m->fixed_pool + %lld", (long long)root->offset);
}

static const char *place_of(Emitter *emitter, const Value *value) {
  const char *place = place_of_root(emitter, value_root(value));
  int64_t slice = value_slice_floats(value);
  return slice ? arena_printf(emitter->arena, "%s + %lld", place, (long long)slice) : place;
}

/* ---- one C function for the nodes of a layer ---- */

static bool name_taken(Emitter *emitter, const char *name) {
  for (int i = 0; i < emitter->function->value_count; i++)
    if (emitter->names[i] && !strcmp(emitter->names[i], name))
      return true;
  return false;
}

static const char *local_name(Emitter *emitter, const Value *value) {
  Arena *arena = emitter->arena;
  const char *base = emit_identifier(arena, value->name  ? value->name
                                            : value->def ? value->def->op->name
                                                         : "t");
  if (value->kind == VALUE_INPUT)
    base = "x";
  /* Gradients are called d_..., and a name may not hide the arguments or a keyword-like type. */
  if (value->kind == VALUE_TEMP && value->def->backward && strncmp(base, "d_", 2))
    base = arena_printf(arena, "d_%s", base);
  if (!strcmp(base, "m") || !strcmp(base, "n"))
    base = arena_printf(arena, "%s_", base);
  const char *name = base;
  for (int i = 2; name_taken(emitter, name); i++)
    name = arena_printf(arena, "%s_%d", base, i);
  return name;
}

const char *emit_value(Emitter *emitter, const Value *value) {
  if (!emitter->names[value->id])
    emitter->names[value->id] = local_name(emitter, value);
  return emitter->names[value->id];
}

const char *emit_images(const Emitter *emitter) {
  return emitter->each_image ? "1" : "n";
}

const char *emit_draw(const Emitter *emitter) {
  return emitter->each_image ? "m->state.draws[image]" : "m->state.draw";
}

static bool written(const Node *first, const Node *end, const Value *value) {
  if (value->kind == VALUE_TEMP)
    for (const Node *node = first; node != end; node = node->next)
      for (int i = 0; i < node->out_count; i++)
        if (node->out[i] == value)
          return true;
  if (value->kind == VALUE_WEIGHT)
    for (const Node *node = first; node != end; node = node->next)
      for (int i = 0; i < node->in_count && node->op->has_effect; i++)
        if (node->in[i] == value)
          return true;
  return false;
}

static void shape_text(StrBuf *out, const Value *value) {
  strbuf_puts(out, value->batched ? "[n" : "[");
  for (int i = 0; i < value->shape.rank; i++)
    strbuf_printf(out, "%s%d", i || value->batched ? ", " : "", value->shape.dim[i]);
  strbuf_puts(out, "]");
}

static void flops_text(StrBuf *out, int64_t flops) {
  if (flops >= 10000000)
    strbuf_printf(out, "%.1f MFLOP", (double)flops * 1e-6);
  else if (flops >= 10000)
    strbuf_printf(out, "%.1f kFLOP", (double)flops * 1e-3);
  else
    strbuf_printf(out, "%lld FLOP", (long long)flops);
}

/* Views, and concatenations whose branches write where they belong. */
static bool emits_nothing(const Node *node) {
  bool nothing = node->op->view || node_is(node, OP_concat);
  for (int i = 0; nothing && !node->op->view && i < node->in_count; i++)
    nothing = node->in[i]->sliced && node->in[i]->storage == node->out[0];
  return nothing;
}

/* Declarations of the locals that were named while the body was written. */
static void declare_locals(Emitter *emitter, const Node *first, const Node *end, const Value **seen,
                           int count, StrBuf *out) {
  for (int i = 0; i < count; i++) {
    const Value *value = seen[i];
    strbuf_printf(out, "  %sfloat *%s = %s; /* ", written(first, end, value) ? "" : "const ",
                  emitter->names[value->id], place_of(emitter, value));
    shape_text(out, value);
    strbuf_puts(out, " */\n");
  }
}

/* What the nodes of a group compute. */
typedef struct GroupWork {
  const char *layer, *pass, *operators; /* "block1_conv1"; "", "backward" or "once more"; "conv2d, maxpool" */
  int64_t per_image, once;              /* FLOP */
} GroupWork;

static GroupWork group_work(const Emitter *emitter, const Node *first, const Node *end) {
  GroupWork work = {.layer = first->layer ? first->layer->name : emitter->function->name,
                    .pass = first->backward ? "backward"
                            : first->again  ? "once more"
                                            : ""};
  StrBuf operators = {0};
  for (const Node *node = first; node != end; node = node->next) {
    strbuf_printf(&operators, "%s%s", node == first ? "" : ", ", node->op->name);
    bool batched = !node->out_count || node->out[0]->batched || (node->in_count && node->in[0]->batched);
    *(batched ? &work.per_image : &work.once) += node_flops(node);
  }
  work.operators = arena_strdup(emitter->arena, operators.text);
  strbuf_free(&operators);
  return work;
}

static void function_comment(const GroupWork *work, StrBuf *out) {
  strbuf_printf(out, "\n/* %s%s%s: %s", work->layer, *work->pass ? ", " : "", work->pass, work->operators);
  if (work->per_image) {
    strbuf_puts(out, "; ");
    flops_text(out, work->per_image);
    strbuf_puts(out, " per image");
  }
  if (work->once) {
    strbuf_puts(out, "; ");
    flops_text(out, work->once);
  }
  strbuf_puts(out, " */\n");
}

/* The row of a group in the table of pieces. */
static void piece_row(Emitter *emitter, const GroupWork *work) {
  emitter->piece_count++;
  strbuf_printf(emitter->pieces, "    {%s, \"%s\", \"%s\", %lld, %lld},\n",
                emit_string(emitter->arena, work->layer), work->pass, work->operators,
                (long long)work->per_image, (long long)work->once);
}

/* True where C text mentions `n`, the number of images. */
static bool mentions_n(const char *text) {
  for (const char *p = text; p && (p = strchr(p, 'n')); p++)
    if ((p == text || !(isalnum((unsigned char)p[-1]) || p[-1] == '_' || p[-1] == '.')) &&
        !(isalnum((unsigned char)p[1]) || p[1] == '_'))
      return true;
  return false;
}

static bool uses_batch(const Emitter *emitter, const Node *first, const Node *end) {
  return emitter->function->kind != FUNCTION_PREPARE && first != end;
}

/* A random node of variants: a loop over the images, each by its own draw. */
static void emit_each_image(Emitter *emitter, const Node *node) {
  const Value *values[] = {node->in[0], node->out[0]};
  const char *names[2];
  for (int i = 0; i < 2; i++)
    names[i] = emit_value(emitter, values[i]);
  for (int i = 0; i < 2; i++)
    emitter->names[values[i]->id] = arena_printf(emitter->arena, "%s + (size_t)image * %lld", names[i],
                                                 (long long)value_floats(values[i]));
  emitter->each_image = true;
  emit_line(emitter, "for (int image = 0; image < n; image++) {");
  node->op->emit(emitter, node);
  emit_line(emitter, "}");
  emitter->each_image = false;
  for (int i = 0; i < 2; i++)
    emitter->names[values[i]->id] = names[i];
}

/* The nodes [first, end) as a C function called `name`. */
static void emit_group(Emitter *emitter, const char *name, const Node *first, const Node *end, StrBuf *out) {
  StrBuf body = {0};
  emitter->names = arena_array(emitter->arena, const char *, emitter->function->value_count + 1);
  emitter->out = &body;
  emitter->microbatch = first->microbatch;
  for (const Node *node = first; node != end; node = node->next)
    if (emitter->function->kind == FUNCTION_VARIED && node->op->random)
      emit_each_image(emitter, node);
    else if (!emits_nothing(node))
      node->op->emit(emitter, node);
  int room = 0, count = 0;
  for (const Node *node = first; node != end; node = node->next)
    room += node->in_count + node->out_count;
  const Value **seen = arena_array(emitter->arena, const Value *, room + 1);
  for (const Node *node = first; node != end; node = node->next) {
    for (int k = 0; k < node->in_count + node->out_count; k++) {
      const Value *value = k < node->in_count ? node->in[k] : node->out[k - node->in_count];
      bool known = !emitter->names[value->id];
      for (int i = 0; i < count && !known; i++)
        known = seen[i] == value;
      if (!known)
        seen[count++] = value;
    }
  }
  GroupWork work = group_work(emitter, first, end);
  function_comment(&work, out);
  if (emitter->function->kind != FUNCTION_PREPARE)
    piece_row(emitter, &work);
  bool batch = uses_batch(emitter, first, end);
  strbuf_printf(out, "static void %s(Model *m%s) {\n", name, batch ? ", int n" : "");
  size_t start = out->length;
  declare_locals(emitter, first, end, seen, count, out);
  if (batch && !mentions_n(body.text) && !strstr(out->text + start, "(size_t)n"))
    strbuf_puts(out, "  (void)n;\n");
  strbuf_puts(out, body.text ? body.text : "");
  strbuf_puts(out, "}\n");
  strbuf_free(&body);
  emitter->microbatch = false;
}

static bool same_group(const Node *a, const Node *b) {
  return a->layer == b->layer && a->backward == b->backward && a->again == b->again;
}

/* ---- functions ---- */

static bool in_one_group(const Function *function, const Node *a, const Node *b) {
  return same_group(a, b) && a->microbatch == b->microbatch &&
         (function->kind != FUNCTION_PREPARE || prepare_users(a) == prepare_users(b));
}

/* The layers of a run of micro-batches as a function, called where they stood. */
static void emit_run(Emitter *emitter, int run, StrBuf *layers, StrBuf *out, StrBuf *call) {
  const char *name = arena_printf(emitter->arena, "model_%s_run_%d", emitter->function->name, run);
  strbuf_printf(out, "\nstatic void %s(Model *m, int n) {\n%s}\n", name, layers->text);
  strbuf_printf(call, "  model_in_parts(m, n, %s);\n", name);
  strbuf_free(layers);
}

/* Emits the groups of a function; calls[f] gets the statements that run what function f needs of `prepare`,
 * calls[0] those of any other function. */
static void emit_groups(Emitter *emitter, StrBuf *out, StrBuf *calls) {
  const Function *function = emitter->function;
  bool prepare = function->kind == FUNCTION_PREPARE;
  StrBuf layers = {0}; /* calls of the micro-batches at hand */
  int runs = 0;
  for (const Node *first = function->first, *end; first; first = end) {
    bool silent = true;
    for (end = first; end && in_one_group(function, first, end); end = end->next)
      silent = silent && emits_nothing(end);
    if (layers.length && !first->microbatch)
      emit_run(emitter, ++runs, &layers, out, &calls[0]);
    if (silent)
      continue;
    char *name = arena_printf(emitter->arena, "model_%s_%s%s", function->name,
                              first->layer ? emit_identifier(emitter->arena, first->layer->name) : "end",
                              first->backward ? "_backward"
                              : first->again  ? "_again"
                                              : "");
    /* A layer whose operations do not stand together gets numbered functions. */
    int twins = 0;
    for (const Node *node = function->first; node != first; node = node->next)
      if (same_group(node, first) && (!node->next || !in_one_group(function, node->next, node)))
        twins++;
    if (twins)
      name = arena_printf(emitter->arena, "%s_%d", name, twins + 1);
    int piece = emitter->piece_count;
    emit_group(emitter, name, first, end, out);
    for (int f = 0; prepare && f < emitter->module->function_count; f++)
      if (prepare_users(first) >> f & 1)
        strbuf_printf(&calls[f], "  %s(m);\n", name);
    if (!prepare)
      strbuf_printf(first->microbatch ? &layers : &calls[0], "  %s(m, n);\n  model_done(m, %d);\n", name,
                    piece);
  }
  if (layers.length)
    emit_run(emitter, ++runs, &layers, out, &calls[0]);
}

static bool in_microbatches(const Function *function) {
  bool any = false;
  for (const Node *node = function->first; node; node = node->next)
    any = any || (node->microbatch && !emits_nothing(node));
  return any;
}

static void emit_function(Emitter *emitter, StrBuf *out) {
  const Function *function = emitter->function;
  StrBuf calls[64] = {{0}};
  emit_groups(emitter, out, calls);
  emitter->names = arena_array(emitter->arena, const char *, function->value_count + 1);
  const char *body = calls[0].text ? calls[0].text : "";
  if (function->kind == FUNCTION_STEP) {
    strbuf_printf(
        out,
        "\nstatic float model_run_%s(Model *m, int n, const float *x, const float *target, const float "
        "*sample_weight,\n                        const float **y_pred) {\n",
        function->name);
    prepare_emit_refresh(function, out);
    int accumulated = plan_accumulation(plan_phase_optimizer(function->module->graph, function->phase));
    const char *updates = accumulated > 1 ? arena_printf(emitter->arena, " / %d", accumulated) : "";
    strbuf_printf(
        out,
        "  m->x = x;\n  m->target = target;\n  m->sample_weight = sample_weight;\n"
        "  if (m->state.probe)\n"
        "    update_begin(&m->update, &(const UpdateConfig){.kind = UPDATE_SGD}, m->state.probe_rate, 0);\n"
        "  else\n"
        "    update_begin(&m->update, &model_optimizer_%d,\n"
        "                 model_learning_rate_%d(m->state.step) * m->state.rate_scale, m->state.step%s);\n%s",
        function->phase + 1, function->phase + 1, updates, body);
    strbuf_printf(out, "  m->state.step++;\n  m->state.draw++;\n");
    uint64_t stale = prepare_stale_after(function->module, function->phase);
    if (stale)
      strbuf_printf(out, "  m->stale |= 0x%llxu; /* made of weights that just changed */\n",
                    (unsigned long long)stale);
    strbuf_printf(out, "  *y_pred = %s;\n", place_of(emitter, function->results[0]));
    strbuf_printf(out, "  return *(%s);\n}\n", place_of(emitter, function->results[1]));
  } else {
    strbuf_printf(out, "\nstatic void model_run_%s(Model *m, int n, const float *x, float *out) {\n",
                  function->name);
    prepare_emit_refresh(function, out);
    strbuf_puts(out, "  m->x = x;\n  m->out = out;\n");
    if (in_microbatches(function))
      strbuf_printf(out, "  m->micro_pool = m->batch_pool + (size_t)n * %lld;\n",
                    (long long)function->batch_floats);
    strbuf_puts(out, body);
    const Value *root = value_root(function->results[0]);
    if (root->kind != VALUE_TEMP)
      strbuf_printf(out, "  memcpy(out, %s, (size_t)n * %lld * sizeof(float));\n",
                    place_of(emitter, function->results[0]), (long long)value_floats(root));
    strbuf_puts(out, "}\n");
  }
  strbuf_free(&calls[0]);
}

/* One function per function that reads constants: it makes all of them that this one needs. */
static void emit_prepare(Emitter *emitter, StrBuf *out) {
  const Module *module = emitter->module;
  StrBuf calls[64] = {{0}};
  prepare_mark_users(module);
  emit_groups(emitter, out, calls);
  for (int f = 0; f < module->function_count; f++) {
    if (calls[f].text)
      strbuf_printf(out,
                    "\n/* Packed and folded weights for model_%s, from the weights as they are. */\n"
                    "static void model_prepare_%s(Model *m) {\n%s  m->stale &= ~(uint64_t)0x%llxu;\n}\n",
                    module->functions[f]->name, module->functions[f]->name, calls[f].text, 1ull << f);
    strbuf_free(&calls[f]);
  }
}

/* What runs micro-batches. */
static void emit_in_parts(const Module *module, StrBuf *out) {
  strbuf_printf(out,
                "\n/* A run of layers that takes few images at a time, so that each finds in the cache what "
                "the one before\n"
                " * left.  Each thread takes images of its own through the whole run; those that do not "
                "divide evenly all\n"
                " * threads take together. */\n"
                "static void model_in_parts(Model *m, int n, void (*run)(Model *m, int n)) {\n"
                "  int threads = m->work.threads, each = n / threads, parts = (each + %d) / %d;\n"
                "  m->images = n;\n"
                "  m->image = each * threads;\n"
                "  WORK_TASKS(&m->work, turn, (int64_t)parts * threads) {\n"
                "    int thread = work_thread(&m->work), most = (each + parts - 1) / parts;\n"
                "    Model own = *m;\n"
                "    own.work = (Work){1, work_scratch(&m->work), m->work.scratch_floats};\n"
                "    own.micro_pool += (size_t)(thread * most) * %lld;\n"
                "    own.image = (int)(turn.task * each / parts);\n"
                "    if (thread)\n      own.state.done = NULL; /* one thread tells */\n"
                "    run(&own, (int)((turn.task + 1) * each / parts) - own.image);\n"
                "  }\n"
                "  if (m->image < n)\n    run(m, n - m->image);\n}\n",
                module->microbatch - 1, module->microbatch, (long long)emit_sizes(module).micro);
}

void emit_functions(const Module *module, StrBuf *out, StrBuf *pieces) {
  Arena arena = {0};
  Emitter emitter = {.module = module, .arena = &arena, .pieces = pieces};
  if (module->microbatch)
    emit_in_parts(module, out);
  strbuf_puts(pieces, "\nstatic const ModelPiece model_pieces[] = {\n");
  for (int f = 0; f < module->function_count; f++) {
    emitter.function = module->functions[f];
    if (module->functions[f]->kind == FUNCTION_PREPARE)
      emit_prepare(&emitter, out);
    else
      emit_function(&emitter, out);
  }
  /* C wants an element where a network computes nothing. */
  strbuf_printf(pieces, "%s};\nenum { MODEL_PIECES = %d };\n", emitter.piece_count ? "" : "    {0},\n",
                emitter.piece_count);
  arena_free(&arena);
}
