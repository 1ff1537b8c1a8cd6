/* The loss at the end of a training step: loss(y_pred, target, sample_weight) -> mean loss, its gradient by
 * y_pred.
 *
 * Keras's sum_over_batch_size: the mean over all entries of every axis but the last, weighted by sample. */
#include "lowering.h"
#include "../emit/emit.h"
#include <string.h>

/* `.from_logits = true, .label_smoothing = 0.1f`: the arguments of the call that the kernels know. */
static const char *config_text(Emitter *e, const Call *call) {
  StrBuf text = {0};
  strbuf_puts(&text, ".axis = -1");
  for (int i = 0; call->signature->params[i].name; i++) {
    const Param *param = &call->signature->params[i];
    const Attr *attr = &call->attrs[i];
    if (!strcmp(param->name, "reduction")) {
      if (attr->kind == ATTR_TEXT && !strcmp(attr->text, "sum"))
        strbuf_puts(&text, ", .sum = true");
    } else if (attr->kind == ATTR_BOOL) {
      strbuf_printf(&text, ", .%s = %s", param->name, attr->boolean ? "true" : "false");
    } else if (attr->kind == ATTR_FLOAT) {
      strbuf_printf(&text, ", .%s = %s", param->name, emit_float(e, attr->number));
    }
  }
  const char *copy = arena_strdup(e->arena, text.text + (text.length > 10 ? 12 : 10));
  strbuf_free(&text);
  return copy;
}

const char *emit_loss_config(Emitter *emitter, const Call *loss) {
  const char *fields = config_text(emitter, loss);
  return *fields ? arena_printf(emitter->arena, "&(const LossConfig){%s}", fields) : "&(const LossConfig){0}";
}

/* ints[0]: the gradient is by what the softmax or sigmoid that made y_pred was given (passes/fuse_loss.c) */
static const char *node_config(Emitter *e, const Node *node) {
  const char *fields = config_text(e, node->attr.call);
  if (!node->attr.ints[0])
    return emit_loss_config(e, node->attr.call);
  return arena_printf(e->arena, "&(const LossConfig){%s%s.by_logits = true}", fields, *fields ? ", " : "");
}

static void loss_emit(Emitter *e, const Node *node) {
  Shape y = node->in[0]->shape;
  int channels = y.dim[y.rank - 1];
  int64_t rows = shape_count(y) / channels;
  emit_line(e, "*%s = loss_%s(%s, n%s, %d, %s, %s, %s, %s);", emit_value(e, node->out[0]),
            node->attr.call->signature->name, node_config(e, node),
            rows == 1 ? "" : arena_printf(e->arena, " * %lld", (long long)rows), channels,
            emit_value(e, node->in[1]), emit_value(e, node->in[0]), emit_value(e, node->in[2]),
            emit_value(e, node->out[1]));
}

static void loss_print(const Node *node, void *out) {
  strbuf_printf(out, "%s%s", node->attr.call->signature->name, node->attr.ints[0] ? ", by logits" : "");
}

const OpDef op_loss = {
    .kind = OP_loss,
    .name = "loss",
    .not_differentiable = true, /* its gradient is its own second output */
    .emit = loss_emit,
    .print_attrs = loss_print,
};
