/* Bias along the last axis, and its gradient. IR only: layers lower to it and fuse.c puts it into epilogues.
 */
#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"

static int64_t rows_of(const Value *value) {
  return value_floats(value) / value->shape.dim[value->shape.rank - 1];
}

static int channels_of(const Value *value) {
  return value->shape.dim[value->shape.rank - 1];
}

static void bias_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  if (needed[0])
    dx[0] = dy[0];
  if (needed[1]) {
    Node *sum = ir_node(builder, OP_channel_sum, 1, dy);
    dx[1] = ir_output(sum, node->in[1]->shape, false, node->in[1]->name);
  }
}

static void bias_emit(Emitter *e, const Node *node) {
  emit_line(e, "bias_act_fwd((int64_t)n * %lld, %d, %s, %s, &(const Act){.kind = ACT_LINEAR}, %s, &m->work);",
            (long long)rows_of(node->in[0]), channels_of(node->in[0]), emit_value(e, node->in[0]),
            emit_value(e, node->in[1]), emit_value(e, node->out[0]));
}

static void channel_sum_emit(Emitter *e, const Node *node) {
  int channels = channels_of(node->in[0]);
  emit_line(e, "channel_sum_bwd_b((int64_t)n * %lld, %d, %d, %s, %s, &m->work);",
            (long long)rows_of(node->in[0]), channels, channels, emit_value(e, node->in[0]),
            emit_value(e, node->out[0]));
}

static int64_t channel_sum_scratch(const Node *node, int batch) {
  (void)batch;
  return kernel_channel_sum_scratch_floats(channels_of(node->in[0]));
}

/* zeros(): a gradient that is known (passes/fuse_norm.c). */
static void zeros_emit(Emitter *e, const Node *node) {
  emit_line(e, "memset(%s, 0, %lld * sizeof(float));", emit_value(e, node->out[0]),
            (long long)value_floats(node->out[0]));
}

const OpDef op_bias_add = {
    .kind = OP_bias_add,
    .name = "bias_add",
    .in_place = true,
    .gradient = bias_gradient,
    .emit = bias_emit,
};

const OpDef op_channel_sum = {
    .kind = OP_channel_sum,
    .name = "channel_sum",
    .not_differentiable = true,
    .scratch_floats = channel_sum_scratch,
    .emit = channel_sum_emit,
};

const OpDef op_zeros = {
    .kind = OP_zeros,
    .name = "zeros",
    .not_differentiable = true,
    .emit = zeros_emit,
};
