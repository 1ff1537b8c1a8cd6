#include "infer.h"
#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"
#include <string.h>

/* y = activation(x kernel + bias) along the last axis.  Keras: Dense.  kernel (features, units). */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  if (!infer_at_least(layer, "units", 1, diag))
    return false;
  const Call *call = &layer->call;
  Shape in = layer->inputs[0]->shape;
  int64_t units = call_int(call, "units"), out[SHAPE_MAX_RANK];
  for (int i = 0; i < in.rank; i++)
    out[i] = in.dim[i];
  out[in.rank - 1] = units;
  if (!infer_set(layer, in.rank, out, arena, diag))
    return false;
  int features = in.dim[in.rank - 1];
  if (features > INT32_MAX / units) {
    diag_error(diag, layer->span, "the kernel of `dense` would be %d x %lld: too large", features,
               (long long)units);
    infer_note_input(layer, 0, arena, diag);
    return false;
  }
  layer_add_weight(layer, "kernel", (Shape){2, {features, (int)units}}, true,
                   call_call(call, "kernel_initializer"), call_call(call, "kernel_regularizer"),
                   call_call(call, "kernel_constraint"));
  if (call_bool(call, "use_bias"))
    layer_add_weight(layer, "bias", (Shape){1, {(int)units}}, true, call_call(call, "bias_initializer"),
                     call_call(call, "bias_regularizer"), call_call(call, "bias_constraint"));
  return true;
}

/* ---- IR: dense(x, w [, bias] [, residual]) over the last axis, its gradients, and the fused update ---- */

static int64_t rows_per_image(const Value *value) {
  return value_floats(value) / value->shape.dim[value->shape.rank - 1];
}

static int width(const Value *value) {
  return value->shape.dim[value->shape.rank - 1];
}

/* "n" or "n * rows" */
static const char *row_count(Emitter *e, const Value *value) {
  int64_t rows = rows_per_image(value);
  return rows == 1 ? "n" : arena_printf(e->arena, "n * %lld", (long long)rows);
}

static Value *dense_lower(Builder *builder, const Layer *layer, Value **inputs) {
  Value *y = ir_binary(builder, OP_dense, inputs[0], ir_weight(builder, layer, "kernel"), layer->shape);
  return lower_activation(builder, layer, lower_bias(builder, layer, y));
}

static void dense_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  if (needed[0]) {
    dx[0] = ir_binary(builder, OP_dense_bwd_x, dy[0], node->in[1], node->in[0]->shape);
    dx[0]->name = node->in[0]->name;
  }
  if (needed[1]) {
    Node *grad = ir_node(builder, OP_dense_bwd_w, 2, (Value *[]){node->in[0], dy[0]});
    dx[1] = ir_output(grad, node->in[1]->shape, false, node->in[1]->name);
  }
}

/* The layer's input and output, or what has their shapes. */
static const Value *dense_x(const Node *node) {
  return node_is(node, OP_dense_bwd_x) ? node->out[0] : node->in[node_is(node, OP_dense_update)];
}
static const Value *dense_y(const Node *node) {
  return node_is(node, OP_dense)          ? node->out[0]
         : node_is(node, OP_dense_bwd_x)  ? node->in[0]
         : node_is(node, OP_dense_update) ? node->in[2]
                                          : node->in[1];
}

static int64_t dense_flops(const Node *node) {
  int products = node_is(node, OP_dense_update) && node->out_count ? 2 : 1;
  return 2 * products * rows_per_image(dense_x(node)) * width(dense_x(node)) * width(dense_y(node));
}

static void dense_emit(Emitter *e, const Node *node) {
  emit_line(e, "dense_fwd(%s, %d, %d, %s, %s, %s, %s, &m->work);", row_count(e, node->in[0]),
            width(node->in[0]), width(node->out[0]), emit_value(e, node->in[0]), emit_value(e, node->in[1]),
            emit_epilogue(e, node, 2), emit_value(e, node->out[0]));
}

static void dense_bwd_x_emit(Emitter *e, const Node *node) {
  emit_line(e, "dense_bwd_x(%s, %d, %d, %s, %s, %s, &m->work);", row_count(e, node->in[0]),
            width(node->out[0]), width(node->in[0]), emit_value(e, node->in[0]), emit_value(e, node->in[1]),
            emit_value(e, node->out[0]));
}

static void dense_bwd_w_emit(Emitter *e, const Node *node) {
  emit_line(e, "dense_bwd_w(%s, %d, %d, %s, %s, %s, &m->work);", row_count(e, node->in[0]),
            width(node->in[0]), width(node->in[1]), emit_value(e, node->in[0]), emit_value(e, node->in[1]),
            emit_value(e, node->out[0]));
}

/* dense_update(w, x, dy) [-> dx]: dense_bwd_w, the optimizer's update and, where there is an output,
 * dense_bwd_x in one pass over w and its state. */
static void dense_update_emit(Emitter *e, const Node *node) {
  const Value *x = node->in[1], *dy = node->in[2];
  if (node->out_count) {
    emit_line(e, "dense_bwd_x_w_update(%s, %d, %d, %s, %s, &m->update, %s, %s, %s, &m->work);",
              row_count(e, x), width(x), width(dy), emit_value(e, x), emit_value(e, dy),
              emit_value(e, node->in[0]), update_slots_text(e, node->in[0]->weight),
              emit_value(e, node->out[0]));
    emit_average(e, node->in[0]);
    return;
  }
  emit_line(e, "dense_bwd_w_update(%s, %d, %d, %s, %s, &m->update, %s, %s, &m->work);", row_count(e, x),
            width(x), width(dy), emit_value(e, x), emit_value(e, dy), emit_value(e, node->in[0]),
            update_slots_text(e, node->in[0]->weight));
  emit_average(e, node->in[0]);
}

static int64_t dense_scratch(const Node *node, int batch) {
  const Value *x = dense_x(node), *y = dense_y(node);
  return kernel_dense_scratch_floats(batch * rows_per_image(x), width(x), width(y), node->op->kind);
}

const OpDef op_dense = {
    .kind = OP_dense,
    .name = "dense",
    .signature =
        {
            .kind = SIG_LAYER,
            .name = "dense",
            .keras_class = "Dense",
            .doc = "fully connected layer, along the last axis",
            .formula = "y[u] = activation(bias[u] + sum over k of x[k] * kernel[k, u])",
            .params =
                {
                    {"units", P_INT, NULL, .doc = "number of outputs", .range = "> 0"},
                    PARAM_ACTIVATION,
                    PARAM_USE_BIAS,
                    PARAM_INITIALIZER("kernel", "glorot_uniform"),
                    PARAM_INITIALIZER("bias", "zeros"),
                    PARAM_REGULARIZER("kernel"),
                    PARAM_REGULARIZER("bias"),
                    PARAM_ACTIVITY_REGULARIZER,
                    PARAM_CONSTRAINT("kernel"),
                    PARAM_CONSTRAINT("bias"),
                },
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .lower = dense_lower,
    .gradient = dense_gradient,
    .flops = dense_flops,
    .scratch_floats = dense_scratch,
    .emit = dense_emit,
    .samples =
        (const OpSample[]){
            {"dense(5)", "7"},
            {"dense(3, relu)", "10"},
            {"dense(4, use_bias = false)", "3x3x6"},
            {"dense(3, softmax)", "5"},
            {NULL, NULL},
        },
};

const OpDef op_dense_bwd_x = {
    .kind = OP_dense_bwd_x,
    .name = "dense_bwd_x",
    .not_differentiable = true,
    .flops = dense_flops,
    .scratch_floats = dense_scratch,
    .emit = dense_bwd_x_emit,
};

const OpDef op_dense_bwd_w = {
    .kind = OP_dense_bwd_w,
    .name = "dense_bwd_w",
    .not_differentiable = true,
    .flops = dense_flops,
    .scratch_floats = dense_scratch,
    .emit = dense_bwd_w_emit,
};

const OpDef op_dense_update = {
    .kind = OP_dense_update,
    .name = "dense_update",
    .not_differentiable = true,
    .has_effect = true,
    .flops = dense_flops,
    .scratch_floats = dense_scratch,
    .emit = dense_update_emit,
};
