/* What happens to gradients at the end of a training step, in Keras's order: regularization joins the
 * gradient (it is part of the loss), clipping by value, by norm or by global norm, the optimizer's update,
 * the constraint. */
#include "lowering.h"
#include "../emit/emit.h"
#include "../emit/plans.h"
#include <string.h>

static double attr_number(const Call *call, const char *name) {
  for (int i = 0; call && call->signature->params[i].name; i++)
    if (!strcmp(call->signature->params[i].name, name))
      return call->attrs[i].kind == ATTR_NONE  ? 0
             : call->attrs[i].kind == ATTR_INT ? (double)call->attrs[i].integer
                                               : call->attrs[i].number;
  return 0;
}

static Value *with_shape_of(Node *node, const Value *value) {
  return ir_output(node, value->shape, false, value->name);
}

/* dw plus the gradient of the weight's own regularizer; the penalty joins the loss. */
static Value *regularized(Builder *builder, Value *weight, Value *grad) {
  const Call *call = weight->weight->spec->regularizer;
  if (!call)
    return grad;
  Node *node = ir_node(builder, OP_regularize, 2, (Value *[]){weight, grad});
  node->attr.call = call;
  return with_shape_of(node, grad);
}

/* Keras's gradient_accumulation_steps: the mean over several steps, given to the update of the last. */
static Value *accumulated(Builder *builder, const Call *optimizer, Value *weight, Value *grad) {
  if (plan_accumulation(optimizer) == 1)
    return grad;
  Node *node = ir_node(builder, OP_accumulate, 2, (Value *[]){weight, grad});
  node->attr.call = optimizer;
  return with_shape_of(node, grad);
}

static Value *clipped(Builder *builder, const Call *optimizer, Value *grad) {
  double by_value = attr_number(optimizer, "clipvalue"), by_norm = attr_number(optimizer, "clipnorm");
  if (by_norm > 0) {
    Node *node = ir_node(builder, OP_clip_norm, 1, &grad);
    node->attr.floats[0] = by_norm;
    return with_shape_of(node, grad);
  }
  if (by_value > 0) {
    Node *node = ir_node(builder, OP_clip_value, 1, &grad);
    node->attr.floats[0] = by_value;
    return with_shape_of(node, grad);
  }
  return grad;
}

/* Penalties are of the weights as they stood when the step began: before any update. */
static void add_penalties(Builder *builder) {
  Function *function = builder->function;
  for (int w = 0; w < builder->module->weight_count; w++) {
    const Weight *weight = &builder->module->weights[w];
    if (!weight->spec->regularizer)
      continue;
    Value *value = ir_weight(builder, weight->layer, weight->spec->name);
    Node *node = ir_node(builder, OP_penalty, 1, &value);
    node->attr.call = weight->spec->regularizer;
    Value *penalty = ir_output(node, (Shape){1, {1}}, false, "penalty");
    function->results[1] = lower_add(builder, (Value *[]){function->results[1], penalty}, 2);
  }
}

void lower_updates(Builder *builder, Value **weights, Value **grads, int count) {
  Module *module = builder->module;
  const Call *optimizer = plan_phase_optimizer(module->graph, builder->phase);
  int slots = plan_all_slots(optimizer);
  module->slot_count = slots > module->slot_count ? slots : module->slot_count;
  add_penalties(builder);
  Value **ready = arena_array(module->arena, Value *, count + 1);
  for (int i = 0; i < count; i++) {
    builder->layer = weights[i]->weight->layer;
    ready[i] =
        accumulated(builder, optimizer, weights[i], regularized(builder, weights[i], grads[weights[i]->id]));
  }
  double global = attr_number(optimizer, "global_clipnorm");
  if (global > 0 && count) {
    builder->layer = NULL;
    Node *norm = ir_node(builder, OP_global_norm, count, ready);
    norm->attr.floats[0] = global;
    Value *scale = ir_output(norm, (Shape){1, {1}}, false, "clip_scale");
    for (int i = 0; i < count; i++)
      ready[i] = with_shape_of(ir_node(builder, OP_scale, 2, (Value *[]){ready[i], scale}), ready[i]);
  }
  for (int i = 0; i < count; i++) {
    builder->layer = weights[i]->weight->layer;
    Value *grad = clipped(builder, optimizer, ready[i]);
    Node *update = ir_node(builder, OP_update, 2, (Value *[]){weights[i], grad});
    update->attr.call = optimizer;
    if (weights[i]->weight->spec->constraint) {
      Node *constrain = ir_node(builder, OP_constrain, 1, &weights[i]);
      constrain->attr.call = weights[i]->weight->spec->constraint;
    }
  }
}

/* ---- emission ---- */

const char *update_slots_text(Emitter *e, const Weight *weight) {
  int slots = plan_slots(plan_phase_optimizer(e->module->graph, e->function->phase));
  const char *text[3] = {"NULL", "NULL", "NULL"};
  for (int i = 0; i < slots && i < 3; i++)
    text[i] = arena_printf(e->arena, "m->slots + %lld",
                           (long long)(i * e->module->slot_floats + weight->slot_offset));
  return arena_printf(e->arena, "%s, %s, %s", text[0], text[1], text[2]);
}

static const char *extra_slot(Emitter *e, const Weight *weight, int slot) {
  return arena_printf(e->arena, "m->slots + %lld",
                      (long long)(slot * e->module->slot_floats + weight->slot_offset));
}

void emit_average(Emitter *e, const Value *weight) {
  const Call *optimizer = plan_phase_optimizer(e->module->graph, e->function->phase);
  int steps = plan_accumulation(optimizer);
  if (!plan_average(optimizer))
    return;
  emit_line(e, "if (!m->state.probe)");
  emit_line(e, "  update_average(%lld, m->state.step < %d ? 0 : %s, %s, %s, &m->work);",
            (long long)value_floats(weight), steps, emit_float(e, attr_number(optimizer, "ema_momentum")),
            emit_value(e, weight), extra_slot(e, weight->weight, plan_all_slots(optimizer) - 1));
  int64_t every = (int64_t)attr_number(optimizer, "ema_overwrite_frequency");
  if (every > 0) {
    emit_line(e, "if (!m->state.probe && (m->state.step / %d + 1) %% %lld == 0)", steps, (long long)every);
    emit_line(e, "  memcpy(%s, %s, %lld * sizeof(float));", emit_value(e, weight),
              extra_slot(e, weight->weight, plan_all_slots(optimizer) - 1), (long long)value_floats(weight));
  }
}

static void accumulate_emit(Emitter *e, const Node *node) {
  const Call *optimizer = node->attr.call;
  emit_line(e, "update_accumulate(%lld, m->state.probe ? 1 : %d, m->state.step, %s, %s, %s, &m->work);",
            (long long)value_floats(node->out[0]), plan_accumulation(optimizer), emit_value(e, node->in[1]),
            extra_slot(e, node->in[0]->weight, plan_slots(optimizer)), emit_value(e, node->out[0]));
}

static void update_emit(Emitter *e, const Node *node) {
  const Value *weight = node->in[0];
  int steps = plan_accumulation(plan_phase_optimizer(e->module->graph, e->function->phase));
  if (steps > 1)
    emit_line(e, "if (m->state.probe || m->state.step %% %d == %d)", steps, steps - 1);
  emit_line(e, "%supdate_apply(&m->update, %lld, %s, %s, %s, &m->work);", steps > 1 ? "  " : "",
            (long long)value_floats(weight), emit_value(e, node->in[1]), emit_value(e, weight),
            update_slots_text(e, weight->weight));
  emit_average(e, weight);
}

/* l1 and l2 factors of l1(..), l2(..), l1_l2(..). */
static void l1_l2(const Call *call, double *l1, double *l2) {
  *l1 = attr_number(call, "l1");
  *l2 = attr_number(call, "l2");
}

static int last_axis(const Value *value) {
  return value->shape.dim[value->shape.rank - 1];
}

static void regularize_emit(Emitter *e, const Node *node) {
  const Value *w = node->in[0];
  if (!strcmp(node->attr.call->signature->name, "orthogonal_regularizer")) {
    emit_line(e, "regularize_orthogonal(%lld, %d, %s, %s, %s, %s, %s);",
              (long long)(value_floats(w) / last_axis(w)), last_axis(w),
              emit_float(e, attr_number(node->attr.call, "factor")),
              !strcmp(call_text(node->attr.call, "mode"), "rows") ? "true" : "false", emit_value(e, w),
              emit_value(e, node->in[1]), emit_value(e, node->out[0]));
    return;
  }
  double l1, l2;
  l1_l2(node->attr.call, &l1, &l2);
  emit_line(e, "regularize_l1_l2(%lld, %s, %s, %s, %s, %s, &m->work);", (long long)value_floats(w),
            emit_float(e, l1), emit_float(e, l2), emit_value(e, w), emit_value(e, node->in[1]),
            emit_value(e, node->out[0]));
}

const char *emit_penalty(Emitter *e, const Call *call, const char *weight, int64_t count, int columns) {
  if (!strcmp(call->signature->name, "orthogonal_regularizer"))
    return arena_printf(e->arena, "penalty_orthogonal(%lld, %d, %s, %s, %s)", (long long)(count / columns),
                        columns, emit_float(e, attr_number(call, "factor")),
                        !strcmp(call_text(call, "mode"), "rows") ? "true" : "false", weight);
  double l1, l2;
  l1_l2(call, &l1, &l2);
  return arena_printf(e->arena, "penalty_l1_l2(%lld, %s, %s, %s)", (long long)count, emit_float(e, l1),
                      emit_float(e, l2), weight);
}

static void penalty_emit(Emitter *e, const Node *node) {
  const Value *w = node->in[0];
  emit_line(e, "*%s = %s;", emit_value(e, node->out[0]),
            emit_penalty(e, node->attr.call, emit_value(e, w), value_floats(w), last_axis(w)));
}

/* Gradient checks (ModelState.probe) see the gradient as it is. */
static const char *limit_text(Emitter *e, const Node *node) {
  return arena_printf(e->arena, "m->state.probe ? INFINITY : %s", emit_float(e, node->attr.floats[0]));
}

static void activity_penalty_emit(Emitter *e, const Node *node) {
  double l1, l2;
  l1_l2(node->attr.call, &l1, &l2);
  emit_line(e, "*%s = activity_l1_l2((int64_t)n * %lld, %s, %s, %s, %s);", emit_value(e, node->out[0]),
            (long long)value_floats(node->in[0]), emit_float(e, l1), emit_float(e, l2),
            emit_value(e, node->in[0]), emit_value(e, node->out[1]));
}

static void clip_value_emit(Emitter *e, const Node *node) {
  emit_line(e, "gradient_clip_value(%lld, %s, %s, %s, &m->work);", (long long)value_floats(node->in[0]),
            limit_text(e, node), emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

static void clip_norm_emit(Emitter *e, const Node *node) {
  emit_line(e, "gradient_clip_norm(%lld, %s, %s, %s, &m->work);", (long long)value_floats(node->in[0]),
            limit_text(e, node), emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

/* The factor that brings the norm over all gradients down to the limit: min(1, limit / norm). */
static void global_norm_emit(Emitter *e, const Node *node) {
  const char *scale = emit_value(e, node->out[0]);
  emit_line(e, "double squares = 0;");
  for (int i = 0; i < node->in_count; i++)
    emit_line(e, "squares += gradient_sum_squares(%lld, %s);", (long long)value_floats(node->in[i]),
              emit_value(e, node->in[i]));
  emit_line(e, "*%s = gradient_clip_scale(squares, %s);", scale, limit_text(e, node));
}

static void scale_emit(Emitter *e, const Node *node) {
  emit_line(e, "gradient_scale(%lld, *%s, %s, %s, &m->work);", (long long)value_floats(node->in[0]),
            emit_value(e, node->in[1]), emit_value(e, node->in[0]), emit_value(e, node->out[0]));
}

/* Keras's constraints: `axis` counts the weight's axes; the norm runs over it. */
static void constrain_emit(Emitter *e, const Node *node) {
  const Call *call = node->attr.call;
  const Value *w = node->in[0];
  const char *name = call->signature->name, *place = emit_value(e, w);
  if (!strcmp(name, "non_neg")) {
    emit_line(e, "if (!m->state.probe)");
    emit_line(e, "  constrain_non_negative(%lld, %s);", (long long)value_floats(w), place);
    return;
  }
  int64_t outer = 1, inner = 1;
  bool reduced[SHAPE_MAX_RANK] = {false};
  const Attr *axis = call_attr(call, "axis");
  for (int i = 0; i < (axis->kind == ATTR_INTS ? axis->count : 1); i++) {
    int64_t a = axis->kind == ATTR_INTS ? axis->ints[i] : axis->integer;
    reduced[a < 0 ? a + w->shape.rank : a] = true;
  }
  int64_t length = 1;
  int first = -1, last = -1;
  for (int i = 0; i < w->shape.rank; i++)
    if (reduced[i]) {
      first = first < 0 ? i : first;
      last = i;
    }
  for (int i = 0; i < w->shape.rank; i++)
    *(i < first ? &outer : i > last ? &inner : &length) *= w->shape.dim[i];
  bool unit = !strcmp(name, "unit_norm"), range = !strcmp(name, "min_max_norm");
  emit_line(e, "if (!m->state.probe)");
  emit_line(e, "  constrain_norm(%lld, %lld, %lld, %s, %s, %s, %s);", (long long)outer, (long long)length,
            (long long)inner,
            emit_float(e, unit    ? 1
                          : range ? attr_number(call, "min_value")
                                  : 0),
            emit_float(e, unit ? 1 : attr_number(call, "max_value")),
            emit_float(e, unit || range ? (unit ? 1 : attr_number(call, "rate")) : 1), place);
}

static void update_print(const Node *node, void *out) {
  strbuf_puts(out, node->attr.call->signature->name);
}

static void limit_print(const Node *node, void *out) {
  strbuf_printf(out, "limit %g", node->attr.floats[0]);
}

#define GRADIENT_OP(op, emitter, printer)                                                                    \
  .kind = OP_##op, .name = #op, .not_differentiable = true, .emit = emitter, .print_attrs = printer

const OpDef op_update = {GRADIENT_OP(update, update_emit, update_print), .has_effect = true};
const OpDef op_constrain = {GRADIENT_OP(constrain, constrain_emit, update_print), .has_effect = true};
const OpDef op_regularize = {GRADIENT_OP(regularize, regularize_emit, update_print)};
const OpDef op_activity_penalty = {GRADIENT_OP(activity_penalty, activity_penalty_emit, update_print)};
const OpDef op_penalty = {GRADIENT_OP(penalty, penalty_emit, update_print)};
const OpDef op_accumulate = {GRADIENT_OP(accumulate, accumulate_emit, update_print), .has_effect = true};
const OpDef op_clip_value = {GRADIENT_OP(clip_value, clip_value_emit, limit_print), .in_place = true};
const OpDef op_clip_norm = {GRADIENT_OP(clip_norm, clip_norm_emit, limit_print), .in_place = true};
const OpDef op_global_norm = {GRADIENT_OP(global_norm, global_norm_emit, limit_print)};
const OpDef op_scale = {GRADIENT_OP(scale, scale_emit, NULL), .in_place = true};
