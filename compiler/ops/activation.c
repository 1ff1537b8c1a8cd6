#include "infer.h"
#include "lowering.h"
#include "../emit/emit.h"
#include "../kernel_sizes.h"
#include <string.h>

/* ---- IR: activation(x) with attr.act, and activation_bwd(dy, x or y) ---- */

/* The layers relu, elu, ... are calls of the activation's own name; `activation(relu)` names it in an
 * argument. */
static Value *activation_lower(Builder *builder, const Layer *layer, Value **inputs) {
  const Call *call = strcmp(layer->call.signature->name, "activation")
                         ? &layer->call
                         : call_call(&layer->call, "activation");
  return lower_activation_call(builder, call, inputs[0]);
}

static void activation_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  (void)needed;
  bool by_x = kernel_act_bwd_needs_x(node->attr.act);
  Value *in[2] = {dy[0], by_x ? node->in[0] : node->out[0]};
  Node *grad = ir_node(builder, OP_activation_bwd, 2, in);
  grad->attr.act = node->attr.act;
  grad->attr.ints[0] = by_x;
  dx[0] = ir_output(grad, node->in[0]->shape, true, node->in[0]->name);
}

static void activation_emit(Emitter *e, const Node *node) {
  emit_line(e, "act_fwd(%s, (int64_t)n * %lld, %s, %s, &m->work);", emit_act(e, node->attr.act),
            (long long)value_floats(node->in[0]), emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

static void activation_bwd_emit(Emitter *e, const Node *node) {
  const char *known = emit_value(e, node->in[1]);
  emit_line(e, "act_bwd(%s, (int64_t)n * %lld, %s, %s, %s, %s, &m->work);", emit_act(e, node->attr.act),
            (long long)value_floats(node->in[0]), node->attr.ints[0] ? known : "NULL",
            node->attr.ints[0] ? "NULL" : known, emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

static void activation_print(const Node *node, void *out) {
  strbuf_printf(out, "act %d, %g, %g, %g", node->attr.act.kind, (double)node->attr.act.a,
                (double)node->attr.act.b, (double)node->attr.act.c);
}

/* Activations as layers of their own.  Keras has classes for some; the others are its Activation("name"). */
#define ACTIVATION(op, class, text, what, ...)                                                               \
  const OpDef op_##op = {                                                                                    \
      .kind = OP_##op,                                                                                       \
      .name = #op,                                                                                           \
      .signature = {.kind = SIG_LAYER,                                                                       \
                    .name = #op,                                                                             \
                    .keras_class = class,                                                                    \
                    .doc = text,                                                                             \
                    .formula = what,                                                                         \
                    .params = {__VA_ARGS__}},                                                                \
      .min_inputs = 1,                                                                                       \
      .max_inputs = 1,                                                                                       \
      .infer = infer_keep,                                                                                   \
      .lower = activation_lower,                                                                             \
      .not_differentiable = true, /* lowered to activation */                                                \
      .samples = (const OpSample[]){{#op "()", "3x4x2"}, {#op "()", "7"}, {NULL, NULL}},                     \
  }
#define NO_PARAMS                                                                                            \
  { .name = NULL }

const OpDef op_activation = {
    .kind = OP_activation,
    .name = "activation",
    .signature = {.kind = SIG_LAYER,
                  .name = "activation",
                  .keras_class = "Activation",
                  .doc = "an activation as a layer of its own",
                  .params = {{"activation", P_ACTIVATION, NULL, .doc = "which one"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_keep,
    .lower = activation_lower,
    .in_place = true,
    .gradient = activation_gradient,
    .emit = activation_emit,
    .print_attrs = activation_print,
    .samples = (const OpSample[]){{"activation(relu)", "3x4x2"}, {"activation(sigmoid)", "6"}, {NULL, NULL}},
};

const OpDef op_relu = {
    .kind = OP_relu,
    .name = "relu",
    .signature = {.kind = SIG_LAYER,
                  .name = "relu",
                  .aliases = "re_lu",
                  .keras_class = "ReLU",
                  .doc = "rectified linear unit",
                  .formula =
                      "y = min(x, max_value) for x >= threshold, else negative_slope * (x - threshold)",
                  .params = {{"max_value", P_FLOAT, "none", .doc = "largest result; none: no limit"},
                             {"negative_slope", P_FLOAT, "0.0", .doc = "slope below the threshold"},
                             {"threshold", P_FLOAT, "0.0", .doc = "where the rising part begins"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_keep,
    .lower = activation_lower,
    .not_differentiable = true, /* lowered to activation */
    .samples = (const OpSample[]){{"relu()", "3x4x2"},
                                  {"relu(6.0)", "7"},
                                  {"relu(max_value = 4, negative_slope = 0.1, threshold = 0.5)", "9"},
                                  {NULL, NULL}},
};

ACTIVATION(relu6, "Activation", "rectified linear unit, at most 6", "y = min(max(x, 0), 6)", NO_PARAMS);
ACTIVATION(sigmoid, "Activation", "logistic function", "y = 1 / (1 + exp(-x))", NO_PARAMS);
ACTIVATION(tanh, "Activation", "hyperbolic tangent", "y = tanh(x)", NO_PARAMS);
ACTIVATION(linear, "Activation", "nothing: the input itself", "y = x", NO_PARAMS);
ACTIVATION(swish, "Activation", "x times its sigmoid, also called silu", "y = x / (1 + exp(-x))", NO_PARAMS);
ACTIVATION(selu, "Activation", "scaled exponential linear unit",
           "y = 1.0507009873554805 * (x for x > 0, else 1.6732632423543772 * (exp(x) - 1))", NO_PARAMS);
ACTIVATION(mish, "Activation", "mish", "y = x * tanh(log(1 + exp(x)))", NO_PARAMS);
ACTIVATION(hard_sigmoid, "Activation", "piecewise linear sigmoid", "y = min(max(x + 3, 0), 6) / 6",
           NO_PARAMS);
ACTIVATION(hard_swish, "Activation", "x times its hard sigmoid, also called hard_silu",
           "y = x * min(max(x + 3, 0), 6) / 6", NO_PARAMS);
ACTIVATION(softplus, "Activation", "smooth rectifier", "y = log(1 + exp(x))", NO_PARAMS);
ACTIVATION(softsign, "Activation", "softsign", "y = x / (1 + |x|)", NO_PARAMS);
ACTIVATION(exponential, "Activation", "exponential function", "y = exp(x)", NO_PARAMS);
ACTIVATION(leaky_relu, "LeakyReLU", "rectifier with a small slope below zero",
           "y = x for x >= 0, else negative_slope * x",
           {"negative_slope", P_FLOAT, "0.3", .doc = "slope below zero"});
ACTIVATION(elu, "ELU", "exponential linear unit", "y = x for x > 0, else alpha * (exp(x) - 1)",
           {"alpha", P_FLOAT, "1.0", .doc = "the limit below is -alpha"});
ACTIVATION(gelu, "Activation", "gaussian error linear unit",
           "y = x * (1 + erf(x / sqrt(2))) / 2; approximate: x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * "
           "x^3))) / 2",
           {"approximate", P_BOOL, "false", .doc = "use the tanh form"});

/* Keras: PReLU.  alpha has the input's shape, with 1 along each shared axis. */
static bool infer_prelu(Layer *layer, Arena *arena, Diag *diag) {
  const Call *call = &layer->call;
  Shape shape = layer->inputs[0]->shape;
  const Attr *shared = call_attr(call, "shared_axes");
  for (int i = 0; i < shared->count; i++) {
    int axis = infer_axis(layer, "shared_axes", shared->ints[i], arena, diag);
    if (axis < 0)
      return false;
    shape.dim[axis] = 1;
  }
  layer_add_weight(layer, "alpha", shape, true, call_call(call, "alpha_initializer"),
                   call_call(call, "alpha_regularizer"), call_call(call, "alpha_constraint"));
  return infer_keep(layer, arena, diag);
}

/* ---- IR: prelu(x, alpha) and its two gradients; alpha has 1 along shared axes ---- */

static Value *prelu_lower(Builder *builder, const Layer *layer, Value **inputs) {
  return ir_binary(builder, OP_prelu, inputs[0], ir_weight(builder, layer, "alpha"), layer->shape);
}

static const char *prelu_dims(Emitter *e, Shape s) {
  int d[3] = {1, 1, 1};
  for (int i = 0; i < s.rank; i++)
    d[3 - s.rank + i] = s.dim[i];
  return arena_printf(e->arena, "(const int[]){%d, %d, %d}", d[0], d[1], d[2]);
}

static void prelu_gradient(Builder *builder, Node *node, Value **dy, const bool *needed, Value **dx) {
  if (needed[0]) {
    Node *grad = ir_node(builder, OP_prelu_bwd_x, 3, (Value *[]){dy[0], node->in[0], node->in[1]});
    dx[0] = ir_output(grad, node->in[0]->shape, true, node->in[0]->name);
  }
  if (needed[1]) {
    Node *grad = ir_node(builder, OP_prelu_bwd_w, 2, (Value *[]){dy[0], node->in[0]});
    dx[1] = ir_output(grad, node->in[1]->shape, false, node->in[1]->name);
  }
}

static void prelu_emit(Emitter *e, const Node *node) {
  emit_line(e, "prelu_fwd(n, %s, %s, %s, %s, %s, &m->work);", prelu_dims(e, node->in[0]->shape),
            prelu_dims(e, node->in[1]->shape), emit_value(e, node->in[0]), emit_value(e, node->in[1]),
            emit_value(e, node->out[0]));
}

static void prelu_bwd_x_emit(Emitter *e, const Node *node) {
  emit_line(e, "prelu_bwd_x(n, %s, %s, %s, %s, %s, %s, &m->work);", prelu_dims(e, node->in[1]->shape),
            prelu_dims(e, node->in[2]->shape), emit_value(e, node->in[1]), emit_value(e, node->in[2]),
            emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

static void prelu_bwd_w_emit(Emitter *e, const Node *node) {
  emit_line(e, "prelu_bwd_alpha(n, %s, %s, %s, %s, %s, &m->work);", prelu_dims(e, node->in[1]->shape),
            prelu_dims(e, node->out[0]->shape), emit_value(e, node->in[1]), emit_value(e, node->in[0]),
            emit_value(e, node->out[0]));
}

const OpDef op_prelu_bwd_x = {
    .kind = OP_prelu_bwd_x,
    .name = "prelu_bwd_x",
    .not_differentiable = true,
    .emit = prelu_bwd_x_emit,
};

const OpDef op_prelu_bwd_w = {
    .kind = OP_prelu_bwd_w,
    .name = "prelu_bwd_w",
    .not_differentiable = true,
    .emit = prelu_bwd_w_emit,
};

const OpDef op_prelu = {
    .kind = OP_prelu,
    .name = "prelu",
    .signature = {.kind = SIG_LAYER,
                  .name = "prelu",
                  .aliases = "p_re_lu",
                  .keras_class = "PReLU",
                  .doc = "rectifier whose slope below zero is trained",
                  .formula = "y = x for x >= 0, else alpha * x",
                  .params = {PARAM_INITIALIZER("alpha", "zeros"),
                             PARAM_REGULARIZER("alpha"),
                             PARAM_CONSTRAINT("alpha"),
                             {"shared_axes", P_INTS, "none",
                              .doc = "axes that share one alpha, counted from 1"}}},
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_prelu,
    .lower = prelu_lower,
    .in_place = true,
    .gradient = prelu_gradient,
    .emit = prelu_emit,
    .samples = (const OpSample[]){{"prelu(alpha_initializer = constant(0.25))", "7"},
                                  {"prelu(alpha_initializer = constant(0.1), shared_axes = (1, 2))", "3x4x2"},
                                  {NULL, NULL}},
};

const OpDef op_activation_bwd = {
    .kind = OP_activation_bwd,
    .name = "activation_bwd",
    .not_differentiable = true,
    .in_place = true,
    .emit = activation_bwd_emit,
    .print_attrs = activation_print,
};
