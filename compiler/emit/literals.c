/* C text of names, numbers, geometry and epilogues. */
#include "emit.h"
#include <ctype.h>
#include <string.h>

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

static bool has_parameters(Act act) {
  return act.a != 0 || act.b != 0 || act.c != 0;
}

static const char *act_fields(Emitter *emitter, Act act) {
  return arena_printf(emitter->arena, "%s, %s, %s, %s", act_name(act.kind),
                      emit_float(emitter, (double)act.a), emit_float(emitter, (double)act.b),
                      emit_float(emitter, (double)act.c));
}

const char *emit_act(Emitter *emitter, Act act) {
  return arena_printf(emitter->arena, "&(const Act){%s}",
                      has_parameters(act) ? act_fields(emitter, act)
                                          : arena_printf(emitter->arena, ".kind = %s", act_name(act.kind)));
}

/* As a field of a struct. */
static const char *act_field(Emitter *emitter, Act act) {
  return has_parameters(act) ? arena_printf(emitter->arena, ".act = {%s}", act_fields(emitter, act))
                             : arena_printf(emitter->arena, ".act.kind = %s", act_name(act.kind));
}

const char *emit_mapped(const Node *node) {
  return node->attr.mapped ? "_mapped" : "";
}

const char *emit_channel_map(Emitter *emitter, const Node *node) {
  if (!node->attr.mapped)
    return "";
  return arena_printf(emitter->arena, ", &(const ChannelMap){.scale = %s, .offset = %s, %s}",
                      emit_value(emitter, node->in[node->in_count - 2]),
                      emit_value(emitter, node->in[node->in_count - 1]),
                      act_field(emitter, node->attr.map_act));
}

static const char *epilogue(Emitter *emitter, const char *bias, const char *residual, Act act,
                            const char *more) {
  const char *fields = act_field(emitter, act);
  return arena_printf(emitter->arena, "&(const Epilogue){.bias = %s, .residual = %s, %s%s}", bias, residual,
                      fields, more);
}

const char *emit_epilogue(Emitter *emitter, const Node *node, int first) {
  bool late = node->function->kind == FUNCTION_STEP && !node_is(node, OP_dense);
  const char *more = late ? ", .late = true" : "";
  if (node->attr.masked)
    more = arena_printf(emitter->arena, ", .mask = %s", emit_value(emitter, node->in[node->in_count - 1]));
  else if (node->attr.max_pool && node_is(node, OP_conv2d))
    more = node->out_count == 1
               ? ", .max_pool = true"
               : arena_printf(emitter->arena, ", .max_pool = true, .places = (unsigned char *)%s",
                              emit_value(emitter, node->out[1]));
  return epilogue(emitter, emit_optional(emitter, node, node->attr.has_bias, first),
                  emit_optional(emitter, node, node->attr.has_residual, first + node->attr.has_bias),
                  node->attr.act, more);
}

const char *emit_bias_and_act(Emitter *emitter, const Node *node, bool has_bias, int index, Act act) {
  return epilogue(emitter, emit_optional(emitter, node, has_bias, index), "NULL", act, "");
}
