#include "axes.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"
#include <string.h>

/* y = gamma (x - mean) / sqrt(variance + epsilon) + beta, per entry of `axis`.  Keras: BatchNormalization.
 * Batch statistics only where the step trains and the layer is not frozen; moving ones otherwise. */
static bool infer(Layer *layer, Arena *arena, Diag *diag) {
  const Call *call = &layer->call;
  Shape in = layer->inputs[0]->shape;
  int axis = infer_axis(layer, "axis", call_int(call, "axis"), arena, diag);
  if (axis < 0)
    return false;
  if (call_bool(call, "renorm")) {
    diag_error(diag, infer_span(layer, "renorm"), "batch renormalization is not done here");
    diag_help(diag, "`group_normalization` or `layer_normalization` do not depend on the batch");
    return false;
  }
  if (!infer_between(layer, "momentum", 0, 1.0000001, diag) || !infer_between(layer, "epsilon", 0, 1, diag))
    return false;
  layer->shape = in;
  Shape shape = {1, {in.dim[axis]}};
  if (call_bool(call, "scale"))
    layer_add_weight(layer, "gamma", shape, true, call_call(call, "gamma_initializer"),
                     call_call(call, "gamma_regularizer"), call_call(call, "gamma_constraint"));
  if (call_bool(call, "center"))
    layer_add_weight(layer, "beta", shape, true, call_call(call, "beta_initializer"),
                     call_call(call, "beta_regularizer"), call_call(call, "beta_constraint"));
  layer_add_weight(layer, "moving_mean", shape, false, call_call(call, "moving_mean_initializer"), NULL,
                   NULL);
  layer_add_weight(layer, "moving_variance", shape, false, call_call(call, "moving_variance_initializer"),
                   NULL, NULL);
  return true;
}

/* ---- IR ----
 * batchnorm_infer(x [, gamma] [, beta], mean, variance); batchnorm_train the same, which also moves the
 * statistics and hands the batch's own to batchnorm_train_bwd.  ints[0], ints[1]: gamma, beta present;
 * floats[0]: epsilon, floats[1]: momentum.  passes/fuse_norm.c adds to batchnorm_train an activation (act)
 * and a residual, its last input, that is added before it; and the activation to batchnorm_train_bwd. */

typedef struct NormInputs {
  const char *gamma, *beta, *mean, *variance;
} NormInputs;

/* Gradients do not read beta: what is named here is declared in the emitted function. */
static NormInputs norm_inputs(Emitter *e, const Node *node, int first, bool with_beta) {
  int gamma = (int)node->attr.ints[0], beta = (int)node->attr.ints[1];
  return (NormInputs){
      emit_optional(e, node, gamma, first), emit_optional(e, node, beta && with_beta, first + gamma),
      emit_value(e, node->in[first + gamma + beta]), emit_value(e, node->in[first + gamma + beta + 1])};
}

static long long norm_rows(const Value *x) {
  return (long long)(value_floats(x) / x->shape.dim[x->shape.rank - 1]);
}

static int norm_channels(const Value *x) {
  return x->shape.dim[x->shape.rank - 1];
}

static Value *batchnorm_lower(Builder *builder, const Layer *layer, Value **inputs) {
  Axes axes = axes_checked(layer, "axis");
  Value *in[5] = {axes_to_end(builder, inputs[0], axes)}, *gamma = ir_weight(builder, layer, "gamma"),
        *beta = ir_weight(builder, layer, "beta");
  int count = 1;
  if (gamma)
    in[count++] = gamma;
  if (beta)
    in[count++] = beta;
  in[count++] = ir_weight(builder, layer, "moving_mean");
  in[count++] = ir_weight(builder, layer, "moving_variance");
  bool train = builder->training && !layer->frozen[builder->phase];
  Node *node = ir_node(builder, train ? OP_batchnorm_train : OP_batchnorm_infer, count, in);
  node->attr.ints[0] = gamma != NULL;
  node->attr.ints[1] = beta != NULL;
  node->attr.floats[0] = call_float(&layer->call, "epsilon");
  node->attr.floats[1] = call_float(&layer->call, "momentum");
  Value *y = ir_output(node, in[0]->shape, true, layer->name);
  Shape channels = {1, {norm_channels(in[0])}};
  if (train) {
    ir_output(node, channels, false, arena_printf(builder->module->arena, "%s.batch_mean", layer->name));
    ir_output(node, channels, false, arena_printf(builder->module->arena, "%s.batch_invstd", layer->name));
  }
  return axes_restore(builder, y, axes, layer->shape);
}

static void infer_emit(Emitter *e, const Node *node) {
  NormInputs in = norm_inputs(e, node, 1, true);
  emit_line(e, "batchnorm_infer((int64_t)n * %lld, %d, %s, %s, %s, %s, %s, %s, %s, &m->work);",
            norm_rows(node->in[0]), norm_channels(node->in[0]), emit_value(e, node->in[0]), in.gamma, in.beta,
            in.mean, in.variance, emit_float(e, node->attr.floats[0]), emit_value(e, node->out[0]));
}

/* The gradients of gamma and beta on fixed statistics go through one node; where nobody wants them, dce
 * leaves dx. */
static void infer_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  int gamma = (int)node->attr.ints[0], beta = (int)node->attr.ints[1];
  Value *in[7] = {dy[0]};
  for (int i = 1; i < node->in_count; i++)
    in[i] = node->in[i];
  int count = node->in_count;
  bool affine = (gamma && needed[1]) || (beta && needed[1 + gamma]);
  if (affine)
    in[count++] = node->in[0];
  Node *grad = ir_node(builder, OP_batchnorm_infer_bwd, count, in);
  grad->attr = node->attr;
  grad->attr.ints[2] = affine;
  dx[0] = ir_output(grad, node->in[0]->shape, true, node->in[0]->name);
  if (!affine)
    return;
  Shape channels = {1, {norm_channels(node->in[0])}};
  Value *dgamma = ir_output(grad, channels, false, "gamma"),
        *dbeta = ir_output(grad, channels, false, "beta");
  if (gamma)
    dx[1] = dgamma;
  if (beta)
    dx[1 + gamma] = dbeta;
}

static void infer_bwd_emit(Emitter *e, const Node *node) {
  NormInputs in = norm_inputs(e, node, 1, false);
  bool affine = node->attr.ints[2];
  emit_line(e, "batchnorm_infer_bwd((int64_t)n * %lld, %d, %s, %s, %s, %s, %s, %s, %s, %s, %s, &m->work);",
            norm_rows(node->in[0]), norm_channels(node->in[0]),
            affine ? emit_value(e, node->in[node->in_count - 1]) : "NULL", in.gamma, in.mean, in.variance,
            emit_float(e, node->attr.floats[0]), emit_value(e, node->in[0]), emit_value(e, node->out[0]),
            affine ? emit_value(e, node->out[1]) : "NULL", affine ? emit_value(e, node->out[2]) : "NULL");
}

static const char *norm_residual(Emitter *e, const Node *node) {
  return emit_optional(e, node, node->attr.has_residual, node->in_count - 1);
}

static void train_emit(Emitter *e, const Node *node) {
  NormInputs in = norm_inputs(e, node, 1, true);
  emit_line(e,
            "batchnorm_train_fwd((int64_t)n * %lld, %d, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, "
            "&m->work);",
            norm_rows(node->in[0]), norm_channels(node->in[0]), emit_value(e, node->in[0]), in.gamma, in.beta,
            emit_float(e, node->attr.floats[0]), emit_float(e, node->attr.floats[1]), in.mean, in.variance,
            emit_value(e, node->out[1]), emit_value(e, node->out[2]), emit_act(e, node->attr.act),
            norm_residual(e, node), emit_value(e, node->out[0]));
}

/* batchnorm_again(x [, gamma] [, beta], batch mean, batch invstd [, residual]): the y of batchnorm_train once
 * more, without moving the statistics again. */
static void again_emit(Emitter *e, const Node *node) {
  NormInputs in = norm_inputs(e, node, 1, true);
  emit_line(e, "batchnorm_train_apply((int64_t)n * %lld, %d, %s, %s, %s, %s, %s, %s, %s, %s, &m->work);",
            norm_rows(node->in[0]), norm_channels(node->in[0]), emit_value(e, node->in[0]), in.gamma, in.beta,
            in.mean, in.variance, emit_act(e, node->attr.act), norm_residual(e, node),
            emit_value(e, node->out[0]));
}

/* batchnorm_deferred(x [, gamma] [, beta], mean, variance) -> the batch's mean and invstd, scale, offset:
 * batchnorm_train whose y its readers make (passes/defer.c). */
static void deferred_emit(Emitter *e, const Node *node) {
  NormInputs in = norm_inputs(e, node, 1, true);
  emit_line(e,
            "batchnorm_train_deferred((int64_t)n * %lld, %d, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, "
            "&m->work);",
            norm_rows(node->in[0]), norm_channels(node->in[0]), emit_value(e, node->in[0]), in.gamma, in.beta,
            emit_float(e, node->attr.floats[0]), emit_float(e, node->attr.floats[1]), in.mean, in.variance,
            emit_value(e, node->out[0]), emit_value(e, node->out[1]), emit_value(e, node->out[2]),
            emit_value(e, node->out[3]));
}

/* batchnorm_train_bwd(dy, x, batch mean, batch invstd [, gamma] [, beta]): beta with an activation only;
 * ints[2]: it is there */
static void train_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)needed;
  int gamma = (int)node->attr.ints[0], beta = (int)node->attr.ints[1];
  Value *in[5] = {dy[0], node->in[0], node->out[1], node->out[2], gamma ? node->in[1] : NULL};
  Node *grad = ir_node(builder, OP_batchnorm_train_bwd, 4 + gamma, in);
  grad->attr = node->attr;
  Shape channels = {1, {norm_channels(node->in[0])}};
  dx[0] = ir_output(grad, node->in[0]->shape, true, node->in[0]->name);
  Value *dgamma = ir_output(grad, channels, false, "gamma"),
        *dbeta = ir_output(grad, channels, false, "beta");
  if (gamma)
    dx[1] = dgamma;
  if (beta)
    dx[1 + gamma] = dbeta;
}

static void train_bwd_emit(Emitter *e, const Node *node) {
  emit_line(e,
            "batchnorm_train_bwd((int64_t)n * %lld, %d, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, &m->work);",
            norm_rows(node->in[0]), norm_channels(node->in[0]), emit_value(e, node->in[1]),
            emit_optional(e, node, node->attr.ints[0], 4),
            emit_optional(e, node, node->attr.ints[2], node->in_count - 1), emit_value(e, node->in[2]),
            emit_value(e, node->in[3]), emit_act(e, node->attr.act), emit_value(e, node->in[0]),
            emit_value(e, node->out[0]), emit_value(e, node->out[1]), emit_value(e, node->out[2]));
}

/* fold_batchnorm(w [, bias] [, gamma] [, beta], mean, variance) -> w', b'; ints[2]: bias present, ints[3]:
 * depthwise */
static void fold_emit(Emitter *e, const Node *node) {
  int bias = (int)node->attr.ints[2];
  NormInputs in = norm_inputs(e, node, 1 + bias, true);
  Shape w = node->in[0]->shape;
  int channels = node->out[1]->shape.dim[0];
  emit_line(e, "batchnorm_fold(%lld, %d, %s, %s, %s, %s, %s, %s, %s, %s, %s, &m->work);",
            (long long)(shape_count(w) / channels), channels, emit_value(e, node->in[0]),
            emit_optional(e, node, bias, 1), in.gamma, in.beta, in.mean, in.variance,
            emit_float(e, node->attr.floats[0]), emit_value(e, node->out[0]), emit_value(e, node->out[1]));
}

static int64_t norm_scratch(const Node *node, int batch) {
  (void)batch;
  const Value *x = node->out[0]; /* or what else has its channels */
  return kernel_batchnorm_scratch_floats(norm_channels(x));
}

static void norm_print(const Node *node, void *out) {
  strbuf_printf(out, "epsilon %g, momentum %g, act %d%s", node->attr.floats[0], node->attr.floats[1],
                node->attr.act.kind, node->attr.has_residual ? ", residual" : "");
}

const OpDef op_batchnorm = {
    .kind = OP_batchnorm,
    .name = "batchnorm",
    .signature =
        {
            .kind = SIG_LAYER,
            .name = "batchnorm",
            .aliases = "batch_normalization batch_norm",
            .keras_class = "BatchNormalization",
            .doc = "normalizes each channel by the batch's mean and variance while it trains, by moving ones "
                   "otherwise",
            .formula = "y = gamma * (x - mean) / sqrt(variance + epsilon) + beta",
            .params =
                {
                    {"axis", P_INT, "-1",
                     .doc = "each of its entries is normalized by itself: 1 is the first axis, -1 the last"},
                    {"momentum", P_FLOAT, "0.99",
                     .doc = "moving = momentum * moving + (1 - momentum) * batch"},
                    {"epsilon", P_FLOAT, "0.001", .doc = "added to the variance"},
                    {"center", P_BOOL, "true", .doc = "add beta"},
                    {"scale", P_BOOL, "true", .doc = "multiply by gamma"},
                    PARAM_INITIALIZER("beta", "zeros"),
                    PARAM_INITIALIZER("gamma", "ones"),
                    PARAM_INITIALIZER("moving_mean", "zeros"),
                    PARAM_INITIALIZER("moving_variance", "ones"),
                    PARAM_REGULARIZER("beta"),
                    PARAM_REGULARIZER("gamma"),
                    PARAM_CONSTRAINT("beta"),
                    PARAM_CONSTRAINT("gamma"),
                    {"renorm", P_BOOL, "false", .doc = "batch renormalization: only false"},
                    {"synchronized", P_BOOL, "false",
                     .doc = "over all devices: there is one, so both mean the same"},
                },
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .lower = batchnorm_lower,
    .batch_statistics = true,
    .not_differentiable = true /* lowered to batchnorm_train or batchnorm_infer */,
    .samples =
        (const OpSample[]){
            {"batchnorm()", "4x5x3"},
            {"batchnorm(momentum = 0.9, epsilon = 1e-5)", "3x3x6"},
            {"batchnorm(scale = false)", "4x4x2"},
            {"batchnorm(center = false)", "7"},
            {"batchnorm(axis = 1)", "4x5x3"},
            {NULL, NULL},
        },
};

const OpDef op_batchnorm_infer = {
    .kind = OP_batchnorm_infer,
    .name = "batchnorm_infer",
    .in_place = true,
    .scratch_floats = norm_scratch,
    .gradient = infer_gradient,
    .emit = infer_emit,
    .print_attrs = norm_print,
};

const OpDef op_batchnorm_infer_bwd = {
    .kind = OP_batchnorm_infer_bwd,
    .name = "batchnorm_infer_bwd",
    .not_differentiable = true,
    .in_place = true,
    .scratch_floats = norm_scratch,
    .emit = infer_bwd_emit,
    .print_attrs = norm_print,
};

const OpDef op_batchnorm_train = {
    .kind = OP_batchnorm_train,
    .name = "batchnorm_train",
    .has_effect = true,
    .gradient = train_gradient,
    .scratch_floats = norm_scratch,
    .emit = train_emit,
    .print_attrs = norm_print,
};

const OpDef op_batchnorm_again = {
    .kind = OP_batchnorm_again,
    .name = "batchnorm_again",
    .not_differentiable = true,
    .in_place = true,
    .scratch_floats = norm_scratch,
    .emit = again_emit,
    .print_attrs = norm_print,
};

const OpDef op_batchnorm_deferred = {
    .kind = OP_batchnorm_deferred,
    .name = "batchnorm_deferred",
    .has_effect = true,
    .not_differentiable = true,
    .scratch_floats = norm_scratch,
    .emit = deferred_emit,
    .print_attrs = norm_print,
};

const OpDef op_batchnorm_train_bwd = {
    .kind = OP_batchnorm_train_bwd,
    .name = "batchnorm_train_bwd",
    .not_differentiable = true,
    .in_place = true,
    .scratch_floats = norm_scratch,
    .emit = train_bwd_emit,
    .print_attrs = norm_print,
};

const OpDef op_fold_batchnorm = {
    .kind = OP_fold_batchnorm,
    .name = "fold_batchnorm",
    .not_differentiable = true,
    .emit = fold_emit,
    .print_attrs = norm_print,
};
