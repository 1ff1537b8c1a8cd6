/* Functions of the emitted program: one per layer and direction, and one per IR function that calls them in
 * order. */
#include "emit.h"
#include "plans.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t node_flops(const Node *node) {
  return node->op->flops ? node->op->flops(node) : 0;
}

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

const char *emit_identifier(Arena *arena, const char *name) {
  char *identifier = arena_printf(arena, "%s%s", isdigit((unsigned char)*name) ? "_" : "", name);
  for (char *c = identifier; *c; c++)
    if (!isalnum((unsigned char)*c))
      *c = '_';
  return identifier;
}

const char *emit_string(Arena *arena, const char *text) {
  StrBuf buf = {0};
  strbuf_puts(&buf, "\"");
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\')
      strbuf_printf(&buf, "\\%c", c);
    else if (c < 32 || c == '?' || c > 126)
      strbuf_printf(&buf, "\\%03o", c);
    else
      strbuf_add(&buf, text, 1);
  }
  strbuf_puts(&buf, "\"");
  const char *literal = arena_strdup(arena, buf.text);
  strbuf_free(&buf);
  return literal;
}

const char *emit_float(Emitter *emitter, double number) {
  if (number > 3.4e38)
    return "INFINITY";
  if (number < -3.4e38)
    return "-INFINITY";
  char *text = arena_printf(emitter->arena, "%.9g", number);
  bool plain = !strpbrk(text, ".en");
  return arena_printf(emitter->arena, "%s%sf", text, plain ? ".0" : "");
}

const char *emit_optional(Emitter *emitter, const Node *node, bool present, int index) {
  return present ? emit_value(emitter, node->in[index]) : "NULL";
}

const char *emit_conv2d(Emitter *emitter, const Conv2d *c) {
  return arena_printf(
      emitter->arena,
      "&(const Conv2d){.in_h = %d, .in_w = %d, .in_c = %d, .out_h = %d, .out_w = %d, .out_c = %d, "
      ".kernel_h = %d, .kernel_w = %d, .stride_h = %d, .stride_w = %d, .pad_top = %d, "
      ".pad_left = %d, .dilation_h = %d, .dilation_w = %d, .groups = %d, .in_ld = %d, .out_ld = %d}",
      c->in_h, c->in_w, c->in_c, c->out_h, c->out_w, c->out_c, c->kernel_h, c->kernel_w, c->stride_h,
      c->stride_w, c->pad_top, c->pad_left, c->dilation_h, c->dilation_w, c->groups, c->in_ld, c->out_ld);
}

const char *emit_pool2d(Emitter *emitter, const Pool2d *p) {
  return arena_printf(
      emitter->arena,
      "&(const Pool2d){.in_h = %d, .in_w = %d, .channels = %d, .out_h = %d, .out_w = %d, .pool_h = %d, "
      ".pool_w = %d, .stride_h = %d, .stride_w = %d, .pad_top = %d, .pad_left = %d, .in_ld = %d, "
      ".out_ld = %d}",
      p->in_h, p->in_w, p->channels, p->out_h, p->out_w, p->pool_h, p->pool_w, p->stride_h, p->stride_w,
      p->pad_top, p->pad_left, p->in_ld, p->out_ld);
}

static const char *act_name(ActKind kind) {
  static const char *const names[] = {
      [ACT_LINEAR] = "ACT_LINEAR",
      [ACT_RELU] = "ACT_RELU",
      [ACT_RELU6] = "ACT_RELU6",
      [ACT_SIGMOID] = "ACT_SIGMOID",
      [ACT_TANH] = "ACT_TANH",
      [ACT_SWISH] = "ACT_SWISH",
      [ACT_ELU] = "ACT_ELU",
      [ACT_SELU] = "ACT_SELU",
      [ACT_GELU] = "ACT_GELU",
      [ACT_GELU_TANH] = "ACT_GELU_TANH",
      [ACT_SOFTPLUS] = "ACT_SOFTPLUS",
      [ACT_SOFTSIGN] = "ACT_SOFTSIGN",
      [ACT_HARD_SIGMOID] = "ACT_HARD_SIGMOID",
      [ACT_HARD_SWISH] = "ACT_HARD_SWISH",
      [ACT_EXPONENTIAL] = "ACT_EXPONENTIAL",
      [ACT_MISH] = "ACT_MISH",
  };
  return names[kind];
}

static const char *act_fields(Emitter *emitter, Act act) {
  if (act.a == 0 && act.b == 0 && act.c == 0)
    return act_name(act.kind);
  return arena_printf(emitter->arena, "%s, %s, %s, %s", act_name(act.kind),
                      emit_float(emitter, (double)act.a), emit_float(emitter, (double)act.b),
                      emit_float(emitter, (double)act.c));
}

const char *emit_act(Emitter *emitter, Act act) {
  return arena_printf(emitter->arena, "&(const Act){%s}",
                      act.a == 0 && act.b == 0 && act.c == 0
                          ? arena_printf(emitter->arena, ".kind = %s", act_name(act.kind))
                          : act_fields(emitter, act));
}

static const char *epilogue(Emitter *emitter, const char *bias, const char *residual, Act act,
                            const char *more) {
  const char *fields = act.a == 0 && act.b == 0 && act.c == 0
                           ? arena_printf(emitter->arena, ".act.kind = %s", act_name(act.kind))
                           : arena_printf(emitter->arena, ".act = {%s}", act_fields(emitter, act));
  return arena_printf(emitter->arena, "&(const Epilogue){.bias = %s, .residual = %s, %s%s}", bias, residual,
                      fields, more);
}

const char *emit_epilogue(Emitter *emitter, const Node *node, int first) {
  const char *more = "";
  if (node->attr.masked)
    more = arena_printf(emitter->arena, ", .mask = %s", emit_value(emitter, node->in[node->in_count - 1]));
  else if (node->attr.max_pool && node->out_count > 1)
    more = arena_printf(emitter->arena, ", .max_pool = true, .places = (unsigned char *)%s",
                        emit_value(emitter, node->out[1]));
  else if (node->attr.max_pool)
    more = ", .max_pool = true";
  return epilogue(emitter, emit_optional(emitter, node, node->attr.has_bias, first),
                  emit_optional(emitter, node, node->attr.has_residual, first + node->attr.has_bias),
                  node->attr.act, more);
}

const char *emit_bias_and_act(Emitter *emitter, const Node *node, bool has_bias, int index, Act act) {
  return epilogue(emitter, emit_optional(emitter, node, has_bias, index), "NULL", act, "");
}

/* ---- where values live ---- */

static const Value *storage_root(const Value *value) {
  while (value->storage != value)
    value = value->storage;
  return value;
}

static bool is_result(const Function *function, const Value *root) {
  for (int i = 0; i < function->result_count; i++)
    if (storage_root(function->results[i]) == root)
      return true;
  return false;
}

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
  if (emitter->function->kind != FUNCTION_STEP && is_result(emitter->function, root))
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
  const char *place = place_of_root(emitter, storage_root(value));
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

static void function_comment(const Emitter *emitter, const Node *first, const Node *end, StrBuf *out) {
  const Layer *layer = first->layer;
  int64_t per_image = 0, once = 0;
  strbuf_printf(out, "\n/* %s%s:", layer ? layer->name : emitter->function->name,
                first->backward ? ", backward"
                : first->again  ? ", once more"
                                : "");
  int listed = 0;
  for (const Node *node = first; node != end; node = node->next) {
    strbuf_printf(out, "%s %s", listed++ ? "," : "", node->op->name);
    *(node->out_count && !node->out[0]->batched && !node->in[0]->batched ? &once : &per_image) +=
        node_flops(node);
  }
  if (per_image) {
    strbuf_puts(out, "; ");
    flops_text(out, per_image);
    strbuf_puts(out, " per image");
  }
  if (once) {
    strbuf_puts(out, "; ");
    flops_text(out, once);
  }
  strbuf_puts(out, " */\n");
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
  function_comment(emitter, first, end, out);
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

/* ---- preparation: constants and who needs them ---- */

/* Functions, as bits by their place in Module.functions, that read a node of `prepare`, themselves or through
 * others. */
static uint64_t users_of(const Module *module, const Node *node) {
  uint64_t users = 0;
  for (int f = 0; f < module->function_count; f++)
    for (const Node *other = module->functions[f]->first; other; other = other->next)
      for (int i = 0; i < other->in_count; i++)
        for (int o = 0; o < node->out_count; o++)
          if (other->in[i]->kind == VALUE_CONSTANT && other->in[i]->constant == node->out[o])
            users |= (uint64_t)1 << f;
  for (const Node *other = node->next; other; other = other->next)
    for (int i = 0; i < other->in_count; i++)
      if (other->in[i]->def == node)
        users |= (uint64_t)other->attr.ints[7];
  return users;
}

/* Kept in ints[7] of the nodes of `prepare`, which has no other use for it; later nodes first. */
static void mark_users(const Module *module) {
  for (Node *node = module->prepare->last; node; node = node->prev)
    node->attr.ints[7] = (int64_t)users_of(module, node);
}

/* Whether a step of `phase` changes what the node is made of. */
static bool changed_by(const Node *node, int phase) {
  for (int i = 0; i < node->in_count; i++) {
    const Value *value = node->in[i];
    if (value->kind == VALUE_TEMP && changed_by(value->def, phase))
      return true;
    if (value->kind != VALUE_WEIGHT)
      continue;
    const Weight *weight = value->weight;
    bool moving = !weight->spec->trainable && weight->layer->op->batch_statistics;
    if (moving ? !weight->layer->frozen[phase] : weight->phases >> phase & 1)
      return true;
  }
  return false;
}

static uint64_t stale_after(const Module *module, int phase) {
  uint64_t stale = 0;
  for (const Node *node = module->prepare->first; node; node = node->next)
    if (changed_by(node, phase))
      stale |= (uint64_t)node->attr.ints[7];
  return stale;
}

static uint64_t prepared_functions(const Module *module) {
  uint64_t all = 0;
  for (const Node *node = module->prepare->first; node; node = node->next)
    all |= (uint64_t)node->attr.ints[7];
  return all;
}

/* ---- functions ---- */

static bool in_one_group(const Function *function, const Node *a, const Node *b) {
  return same_group(a, b) && a->microbatch == b->microbatch &&
         (function->kind != FUNCTION_PREPARE || a->attr.ints[7] == b->attr.ints[7]);
}

/* Emits the groups of a function; calls[f] gets the statements that run what function f needs of `prepare`,
 * calls[0] those of any other function. */
static void emit_groups(Emitter *emitter, StrBuf *out, StrBuf *calls) {
  const Function *function = emitter->function;
  bool prepare = function->kind == FUNCTION_PREPARE, in_loop = false;
  for (const Node *first = function->first, *end; first; first = end) {
    bool silent = true;
    for (end = first; end && in_one_group(function, first, end); end = end->next)
      silent = silent && emits_nothing(end);
    if (in_loop && !first->microbatch) {
      strbuf_puts(&calls[0], "  }\n");
      in_loop = false;
    }
    if (silent)
      continue;
    if (first->microbatch && !in_loop) {
      strbuf_puts(&calls[0], "  for (m->image = 0; m->image < n; m->image += part) {\n"
                             "    int k = n - m->image < part ? n - m->image : part;\n");
      in_loop = true;
    }
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
    emit_group(emitter, name, first, end, out);
    for (int f = 0; f < emitter->module->function_count; f++)
      if (prepare ? (uint64_t)first->attr.ints[7] >> f & 1 : f == 0)
        strbuf_printf(&calls[f], "  %s%s(m%s);\n", in_loop ? "  " : "", name,
                      prepare   ? ""
                      : in_loop ? ", k"
                                : ", n");
  }
  if (in_loop)
    strbuf_puts(&calls[0], "  }\n");
}

bool emit_is_prepared(const Module *module, int function) {
  return prepared_functions(module) >> function & 1;
}

static int function_index(const Function *function) {
  int index = 0;
  while (function->module->functions[index] != function)
    index++;
  return index;
}

/* The statements that make stale constants of a function anew. */
static void emit_refresh(const Function *function, StrBuf *out) {
  int index = function_index(function);
  if (prepared_functions(function->module) >> index & 1)
    strbuf_printf(out, "  if (m->stale & 0x%llxu)\n    model_prepare_%s(m);\n", 1ull << index,
                  function->name);
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
    emit_refresh(function, out);
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
    uint64_t stale = stale_after(function->module, function->phase);
    if (stale)
      strbuf_printf(out, "  m->stale |= 0x%llxu; /* made of weights that just changed */\n",
                    (unsigned long long)stale);
    strbuf_printf(out, "  *y_pred = %s;\n", place_of(emitter, function->results[0]));
    strbuf_printf(out, "  return *(%s);\n}\n", place_of(emitter, function->results[1]));
  } else {
    strbuf_printf(out, "\nstatic void model_run_%s(Model *m, int n, const float *x, float *out) {\n",
                  function->name);
    emit_refresh(function, out);
    strbuf_puts(out, "  m->x = x;\n  m->out = out;\n");
    if (in_microbatches(function))
      strbuf_printf(out,
                    "  int part = model_microbatch(n, m->work.threads), parts = (n + part - 1) / part;\n"
                    "  part = (n + parts - 1) / parts; /* as even as may be */\n"
                    "  m->images = n;\n"
                    "  m->micro_pool = m->batch_pool + (size_t)n * %lld;\n",
                    (long long)function->batch_floats);
    strbuf_puts(out, body);
    const Value *root = storage_root(function->results[0]);
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
  mark_users(module);
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

void emit_functions(const Module *module, StrBuf *out) {
  Arena arena = {0};
  for (int f = 0; f < module->function_count; f++) {
    Emitter emitter = {.module = module, .function = module->functions[f], .arena = &arena};
    if (module->functions[f]->kind == FUNCTION_PREPARE)
      emit_prepare(&emitter, out);
    else
      emit_function(&emitter, out);
  }
  arena_free(&arena);
}
