#include "plans.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is(const Call *call, const char *name) {
  return !strcmp(call->signature->name, name);
}

static bool has_param(const Call *call, const char *name) {
  for (const Param *param = call->signature->params; param->name; param++)
    if (!strcmp(param->name, name))
      return true;
  return false;
}

static void fans(Shape s, double *in, double *out) {
  double window = 1;
  for (int i = 0; i < s.rank - 2; i++)
    window *= s.dim[i];
  if (s.rank < 1) {
    *in = *out = 1;
  } else if (s.rank == 1) {
    *in = *out = s.dim[0];
  } else {
    *in = s.dim[s.rank - 2] * window;
    *out = s.dim[s.rank - 1] * window;
  }
}

/* Keras's VarianceScaling: variance scale / max(1, fan).  The truncated normal is widened so that its
 * deviation after truncation is right (0.8796... is the deviation of a unit normal cut at two). */
static InitPlan variance_scaling(double scale, const char *mode, const char *distribution, Shape shape) {
  double in, out;
  fans(shape, &in, &out);
  double fan = !strcmp(mode, "fan_in") ? in : !strcmp(mode, "fan_out") ? out : (in + out) / 2;
  double variance = scale / fmax(1, fan);
  if (!strcmp(distribution, "uniform"))
    return (InitPlan){"MODEL_INIT_UNIFORM", -sqrt(3 * variance), sqrt(3 * variance)};
  if (!strcmp(distribution, "untruncated_normal"))
    return (InitPlan){"MODEL_INIT_NORMAL", 0, sqrt(variance)};
  return (InitPlan){"MODEL_INIT_TRUNCATED_NORMAL", 0, sqrt(variance) / .87962566103423978};
}

InitPlan plan_initializer(const Call *call, const Layer *layer, const LayerWeight *weight) {
  (void)layer;
  static const struct {
    const char *name;
    double scale;
    const char *mode, *distribution;
  } scaled[] = {
      {"glorot_uniform", 1, "fan_avg", "uniform"}, {"glorot_normal", 1, "fan_avg", "truncated_normal"},
      {"he_uniform", 2, "fan_in", "uniform"},      {"he_normal", 2, "fan_in", "truncated_normal"},
      {"lecun_uniform", 1, "fan_in", "uniform"},   {"lecun_normal", 1, "fan_in", "truncated_normal"},
  };
  if (!call || is(call, "zeros"))
    return (InitPlan){"MODEL_INIT_CONSTANT", 0, 0};
  if (is(call, "ones"))
    return (InitPlan){"MODEL_INIT_CONSTANT", 1, 0};
  if (is(call, "constant"))
    return (InitPlan){"MODEL_INIT_CONSTANT", call_float(call, "value"), 0};
  for (size_t i = 0; i < sizeof scaled / sizeof *scaled; i++)
    if (is(call, scaled[i].name))
      return variance_scaling(scaled[i].scale, scaled[i].mode, scaled[i].distribution, weight->shape);
  if (is(call, "variance_scaling"))
    return variance_scaling(call_float(call, "scale"), call_text(call, "mode"),
                            call_text(call, "distribution"), weight->shape);
  if (is(call, "random_uniform"))
    return (InitPlan){"MODEL_INIT_UNIFORM", call_float(call, "minval"), call_float(call, "maxval")};
  if (is(call, "random_normal"))
    return (InitPlan){"MODEL_INIT_NORMAL", call_float(call, "mean"), call_float(call, "stddev")};
  if (is(call, "truncated_normal"))
    return (InitPlan){"MODEL_INIT_TRUNCATED_NORMAL", call_float(call, "mean"), call_float(call, "stddev")};
  if (is(call, "orthogonal"))
    return (InitPlan){"MODEL_INIT_ORTHOGONAL", call_float(call, "gain"), 0};
  if (is(call, "identity"))
    return (InitPlan){"MODEL_INIT_IDENTITY", call_float(call, "gain"), 0};
  fprintf(stderr, "netc: bug: initializer `%s` has no plan\n", call->signature->name);
  abort();
}

static MetricPlan accuracy(const Graph *graph, const char *name) {
  const char *loss = graph->train.loss ? graph->train.loss->signature->name : "";
  Shape y = graph->output->shape;
  bool binary = y.dim[y.rank - 1] == 1;
  if (binary)
    return (MetricPlan){name, "MODEL_METRIC_BINARY_ACCURACY", .5, 0, NULL, 0, 0};
  if (strstr(loss, "sparse"))
    return (MetricPlan){name, "MODEL_METRIC_SPARSE_CATEGORICAL_ACCURACY", 0, 0, NULL, 0, 0};
  return (MetricPlan){name, "MODEL_METRIC_CATEGORICAL_ACCURACY", 0, 0, NULL, 0, 0};
}

/* "none" and a parameter that the metric lacks count as `otherwise`. */
static double number_of(const Call *call, const char *param, double otherwise) {
  if (!has_param(call, param))
    return otherwise;
  const Attr *attr = call_attr(call, param);
  return attr->kind == ATTR_BOOL ? (double)attr->boolean : call_number(call, param, otherwise);
}

/* Of all that count positives: without a threshold it is one half, or nothing where the largest outputs
 * count. */
static MetricPlan decisions(const Call *call, MetricPlan plan) {
  plan.b = number_of(call, "top_k", 0);
  plan.c = number_of(call, "class_id", -1) + 1;
  plan.a = number_of(call, "thresholds", plan.b > 0 ? -1e10 : 0.5);
  return plan;
}

static MetricPlan area(const Call *call, MetricPlan plan) {
  const char *method = call_text(call, "summation_method");
  plan.a = number_of(call, "num_thresholds", 200);
  plan.b = !strcmp(method, "minoring") ? 1 : !strcmp(method, "majoring") ? 2 : 0;
  plan.c = number_of(call, "from_logits", 0);
  plan.d = number_of(call, "multi_label", 0);
  return plan;
}

static MetricPlan f_score(const Call *call, MetricPlan plan) {
  plan.a = number_of(call, "threshold", 0);
  plan.b = call_attr(call, "threshold")->kind != ATTR_NONE;
  plan.c = number_of(call, "beta", 1);
  return plan;
}

MetricPlan plan_metric(const Call *call, const Graph *graph) {
  static const struct {
    const char *name, *kind;
    const char *a, *b, *option; /* parameters */
    MetricPlan (*more)(const Call *call, MetricPlan plan);
  } metrics[] = {
      {"categorical_accuracy", "CATEGORICAL_ACCURACY", NULL, NULL, NULL, NULL},
      {"sparse_categorical_accuracy", "SPARSE_CATEGORICAL_ACCURACY", NULL, NULL, NULL, NULL},
      {"binary_accuracy", "BINARY_ACCURACY", "threshold", NULL, NULL, NULL},
      {"top_k_categorical_accuracy", "TOP_K", "k", NULL, NULL, NULL},
      {"sparse_top_k_categorical_accuracy", "SPARSE_TOP_K", "k", NULL, NULL, NULL},
      {"precision", "PRECISION", NULL, NULL, NULL, decisions},
      {"recall", "RECALL", NULL, NULL, NULL, decisions},
      {"f1_score", "F1", NULL, NULL, "average", f_score},
      {"fbeta_score", "F1", NULL, NULL, "average", f_score},
      {"auc", "AUC", NULL, NULL, "curve", area},
      {"precision_at_recall", "PRECISION_AT_RECALL", "num_thresholds", "recall", NULL, NULL},
      {"recall_at_precision", "RECALL_AT_PRECISION", "num_thresholds", "precision", NULL, NULL},
      {"sensitivity_at_specificity", "SENSITIVITY_AT_SPECIFICITY", "num_thresholds", "specificity", NULL,
       NULL},
      {"specificity_at_sensitivity", "SPECIFICITY_AT_SENSITIVITY", "num_thresholds", "sensitivity", NULL,
       NULL},
      {"true_positives", "TRUE_POSITIVES", NULL, NULL, NULL, decisions},
      {"false_positives", "FALSE_POSITIVES", NULL, NULL, NULL, decisions},
      {"true_negatives", "TRUE_NEGATIVES", NULL, NULL, NULL, decisions},
      {"false_negatives", "FALSE_NEGATIVES", NULL, NULL, NULL, decisions},
      {"mean_squared_error", "MEAN_SQUARED_ERROR", NULL, NULL, NULL, NULL},
      {"root_mean_squared_error", "ROOT_MEAN_SQUARED_ERROR", NULL, NULL, NULL, NULL},
      {"mean_absolute_error", "MEAN_ABSOLUTE_ERROR", NULL, NULL, NULL, NULL},
      {"mean_absolute_percentage_error", "MEAN_ABSOLUTE_PERCENTAGE_ERROR", NULL, NULL, NULL, NULL},
      {"mean_squared_logarithmic_error", "MEAN_SQUARED_LOGARITHMIC_ERROR", NULL, NULL, NULL, NULL},
      {"log_cosh", "LOG_COSH", NULL, NULL, NULL, NULL},
      {"cosine_similarity", "COSINE_SIMILARITY", NULL, NULL, NULL, NULL},
      {"kl_divergence", "KL_DIVERGENCE", NULL, NULL, NULL, NULL},
      {"poisson", "POISSON", NULL, NULL, NULL, NULL},
      {"hinge", "HINGE", NULL, NULL, NULL, NULL},
      {"squared_hinge", "SQUARED_HINGE", NULL, NULL, NULL, NULL},
      {"categorical_hinge", "CATEGORICAL_HINGE", NULL, NULL, NULL, NULL},
      {"categorical_crossentropy", "CATEGORICAL_CROSSENTROPY", "from_logits", "label_smoothing", NULL, NULL},
      {"sparse_categorical_crossentropy", "SPARSE_CATEGORICAL_CROSSENTROPY", "from_logits", NULL, NULL, NULL},
      {"binary_crossentropy", "BINARY_CROSSENTROPY", "from_logits", "label_smoothing", NULL, NULL},
      {"r2_score", "R2", "num_regressors", NULL, "class_aggregation", NULL},
  };
  const char *name = call->signature->name;
  if (!strcmp(name, "accuracy"))
    return accuracy(graph, name);
  for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
    if (strcmp(metrics[i].name, name))
      continue;
    static char kinds[sizeof metrics / sizeof *metrics][64];
    snprintf(kinds[i], sizeof kinds[i], "MODEL_METRIC_%s", metrics[i].kind);
    MetricPlan plan = {.name = name, .kind = kinds[i]};
    plan.a = metrics[i].a ? number_of(call, metrics[i].a, 0) : 0;
    plan.b = metrics[i].b ? number_of(call, metrics[i].b, 0) : 0;
    plan.option = metrics[i].option ? call_text(call, metrics[i].option) : NULL;
    return metrics[i].more ? metrics[i].more(call, plan) : plan;
  }
  fprintf(stderr, "netc: bug: metric `%s` has no plan\n", name);
  abort();
}

static void attr_text(const Attr *attr, StrBuf *out) {
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
    strbuf_printf(out, "%g", attr->number);
    break;
  case ATTR_TEXT:
    strbuf_puts(out, attr->text);
    break;
  case ATTR_INTS:
  case ATTR_FLOATS:
    strbuf_puts(out, "[");
    for (int i = 0; i < attr->count; i++) {
      strbuf_puts(out, i ? ", " : "");
      if (attr->kind == ATTR_INTS)
        strbuf_printf(out, "%lld", (long long)attr->ints[i]);
      else
        strbuf_printf(out, "%g", attr->floats[i]);
    }
    strbuf_puts(out, "]");
    break;
  case ATTR_CALL:
    plan_call_text(attr->call, out);
    break;
  }
}

void plan_call_text(const Call *call, StrBuf *out) {
  strbuf_puts(out, call->signature->name);
  int given = 0;
  for (int i = 0; call->signature->params[i].name; i++) {
    if (!call->attrs[i].given)
      continue;
    strbuf_printf(out, "%s%s = ", given++ ? ", " : "(", call->signature->params[i].name);
    attr_text(&call->attrs[i], out);
  }
  if (given)
    strbuf_puts(out, ")");
}

const Call *plan_phase_optimizer(const Graph *graph, int phase) {
  const Call *own = graph->train.phases[phase].optimizer;
  return own ? own : graph->train.optimizer;
}

static double float_or(const Call *call, const char *name, double otherwise) {
  if (!has_param(call, name))
    return otherwise;
  const Attr *attr = call_attr(call, name);
  return attr->kind == ATTR_NONE ? otherwise : attr->kind == ATTR_INT ? (double)attr->integer : attr->number;
}

static bool flag(const Call *call, const char *name) {
  return has_param(call, name) && call_bool(call, name);
}

static const struct {
  const char *name, *kind;
  int slots;
} optimizers[] = {
    {"sgd", "UPDATE_SGD", 0},       {"rmsprop", "UPDATE_RMSPROP", 1}, {"adam", "UPDATE_ADAM", 2},
    {"adamw", "UPDATE_ADAM", 2},    {"adagrad", "UPDATE_ADAGRAD", 1}, {"adadelta", "UPDATE_ADADELTA", 2},
    {"adamax", "UPDATE_ADAMAX", 2}, {"nadam", "UPDATE_NADAM", 2},     {"lion", "UPDATE_LION", 1},
    {"ftrl", "UPDATE_FTRL", 2},
};

static int optimizer_index(const Call *call) {
  for (size_t i = 0; i < sizeof optimizers / sizeof *optimizers; i++)
    if (is(call, optimizers[i].name))
      return (int)i;
  fprintf(stderr, "netc: bug: optimizer `%s` has no plan\n", call->signature->name);
  abort();
}

int plan_slots(const Call *call) {
  int slots = optimizers[optimizer_index(call)].slots;
  if (float_or(call, "momentum", 0) != 0)
    slots++;
  return slots + flag(call, "amsgrad") + flag(call, "centered");
}

int plan_accumulation(const Call *call) {
  double steps = float_or(call, "gradient_accumulation_steps", 1);
  return steps > 1 ? (int)steps : 1;
}

bool plan_average(const Call *call) {
  return flag(call, "use_ema");
}

int plan_all_slots(const Call *call) {
  return plan_slots(call) + (plan_accumulation(call) > 1) + plan_average(call);
}

static void schedule_body(const Call *schedule, StrBuf *out) {
#define F(name) call_float(schedule, name)
  if (is(schedule, "exponential_decay")) {
    strbuf_printf(out, "  double p = (double)step / %.17g;\n  return %.17g * pow(%.17g, %s);\n",
                  F("decay_steps"), F("initial_learning_rate"), F("decay_rate"),
                  call_bool(schedule, "staircase") ? "floor(p)" : "p");
  } else if (is(schedule, "inverse_time_decay")) {
    strbuf_printf(out, "  double p = (double)step / %.17g;\n  return %.17g / (1 + %.17g * %s);\n",
                  F("decay_steps"), F("initial_learning_rate"), F("decay_rate"),
                  call_bool(schedule, "staircase") ? "floor(p)" : "p");
  } else if (is(schedule, "polynomial_decay")) {
    strbuf_printf(out, "  double t = (double)step, steps = %.17g;\n", F("decay_steps"));
    strbuf_puts(out, call_bool(schedule, "cycle") ? "  steps *= t == 0 ? 1 : ceil(t / steps);\n"
                                                  : "  t = t < steps ? t : steps;\n");
    strbuf_printf(out, "  return %.17g * pow(1 - t / steps, %.17g) + %.17g;\n",
                  F("initial_learning_rate") - F("end_learning_rate"), F("power"), F("end_learning_rate"));
  } else if (is(schedule, "piecewise_constant_decay")) {
    const Attr *boundaries = call_attr(schedule, "boundaries"), *values = call_attr(schedule, "values");
    for (int i = 0; i < boundaries->count; i++)
      strbuf_printf(out, "  if (step <= %.17g)\n    return %.17g;\n",
                    boundaries->kind == ATTR_INTS ? (double)boundaries->ints[i] : boundaries->floats[i],
                    values->floats[i]);
    strbuf_printf(out, "  return %.17g;\n", values->floats[values->count - 1]);
  } else if (is(schedule, "cosine_decay")) {
    double initial = F("initial_learning_rate"), warm = F("warmup_steps");
    const Attr *target = call_attr(schedule, "warmup_target");
    double top = target->kind == ATTR_NONE ? initial : target->number;
    strbuf_puts(out, "  double t = (double)step;\n");
    if (target->kind != ATTR_NONE && warm > 0)
      strbuf_printf(out, "  if (t < %.17g)\n    return %.17g * t / %.17g + %.17g;\n  t -= %.17g;\n", warm,
                    top - initial, warm, initial, warm);
    strbuf_printf(out,
                  "  t = t < %.17g ? t : %.17g;\n"
                  "  double cosine = 0.5 * (1 + cos(3.14159265358979323846 * t / %.17g));\n"
                  "  return %.17g * (%.17g * cosine + %.17g);\n",
                  F("decay_steps"), F("decay_steps"), F("decay_steps"), top, 1 - F("alpha"), F("alpha"));
  } else if (is(schedule, "cosine_decay_restarts")) {
    strbuf_printf(
        out,
        "  double done = (double)step / %.17g, length = 1, height = 1;\n"
        "  while (done >= length) {\n    done -= length;\n    length *= %.17g;\n    height *= %.17g;\n  }\n"
        "  double cosine = 0.5 * height * (1 + cos(3.14159265358979323846 * done / length));\n"
        "  return %.17g * (%.17g * cosine + %.17g);\n",
        F("first_decay_steps"), F("t_mul"), F("m_mul"), F("initial_learning_rate"), 1 - F("alpha"),
        F("alpha"));
  } else {
    fprintf(stderr, "netc: bug: schedule `%s` has no plan\n", schedule->signature->name);
    abort();
  }
#undef F
}

void plan_optimizer(const Module *module, int phase, StrBuf *out) {
  const Call *call = plan_phase_optimizer(module->graph, phase);
  int index = optimizer_index(call);
  Emitter emitter = {.arena = module->arena};
  strbuf_printf(out, "\nstatic const UpdateConfig model_optimizer_%d = {\n    .kind = %s", phase + 1,
                optimizers[index].kind);
  static const struct {
    const char *field, *param;
    double absent;
  } numbers[] = {
      {"momentum", "momentum", 0},
      {"rho", "rho", 0},
      {"beta_1", "beta_1", 0},
      {"beta_2", "beta_2", 0},
      {"epsilon", "epsilon", 0},
      {"weight_decay", "weight_decay", 0},
      {"initial_accumulator", "initial_accumulator_value", 0},
      {"learning_rate_power", "learning_rate_power", 0},
      {"l1", "l1_regularization_strength", 0},
      {"l2", "l2_regularization_strength", 0},
      {"l2_shrinkage", "l2_shrinkage_regularization_strength", 0},
      {"beta", "beta", 0},
  };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    double number = float_or(call, numbers[i].param, numbers[i].absent);
    if (number != numbers[i].absent)
      strbuf_printf(out, ", .%s = %s", numbers[i].field, emit_float(&emitter, number));
  }
  static const char *const flags[] = {"nesterov", "amsgrad", "centered"};
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
    if (flag(call, flags[i]))
      strbuf_printf(out, ", .%s = true", flags[i]);
  strbuf_puts(out, "};\n");
  const Attr *rate = call_attr(call, "learning_rate");
  strbuf_printf(out, "\nstatic double model_learning_rate_%d(int64_t step) {\n", phase + 1);
  if (plan_accumulation(call) > 1)
    strbuf_printf(out, "  step /= %d; /* updates */\n", plan_accumulation(call));
  if (rate->kind == ATTR_CALL)
    schedule_body(rate->call, out);
  else
    strbuf_printf(out, "  (void)step;\n  return %.17g;\n",
                  rate->kind == ATTR_INT ? (double)rate->integer : rate->number);
  strbuf_puts(out, "}\n");
  if (!plan_average(call))
    return;
  strbuf_printf(
      out,
      "\n/* The averages of the weights take their place. */\nstatic void model_finish_%d(Model *m) {\n"
      "  if (!m->state.step)\n    return;\n",
      phase + 1);
  for (int w = 0; w < module->weight_count; w++) {
    const Weight *weight = &module->weights[w];
    if (weight->phases >> phase & 1)
      strbuf_printf(out, "  memcpy(m->params + %lld, m->slots + %lld, %lld * sizeof(float));\n",
                    (long long)weight->offset,
                    (long long)((plan_all_slots(call) - 1) * module->slot_floats + weight->slot_offset),
                    (long long)weight->count);
  }
  strbuf_puts(out, "  model_weights_changed(m);\n}\n");
}
