/* From calls of the vocabulary (initializers, metrics, optimizers, schedules) to what the runtime wants. */
#ifndef NETC_EMIT_PLANS_H
#define NETC_EMIT_PLANS_H
#include "emit.h"

typedef struct InitPlan {
  const char *kind; /* a ModelInit enumerator */
  double a, b;
} InitPlan;

/* Fans as Keras: from shape[-2] and shape[-1], times the window for kernels of convolutions. */
InitPlan plan_initializer(const Call *initializer, const Layer *layer, const LayerWeight *weight);

typedef struct MetricPlan {
  const char *name;
  const char *kind; /* a ModelMetricKind enumerator */
  double a, b;
  const char *option;
  double c, d; /* a to d: as model.h says of the kind */
} MetricPlan;

/* `accuracy` becomes one of its three kinds by the loss and the width of the output, as in Keras's compile.
 */
MetricPlan plan_metric(const Call *metric, const Graph *graph);

/* "adam(learning_rate = 0.001)": the call as .net text, arguments that were given only. */
void plan_call_text(const Call *call, StrBuf *out);

/* How many state arrays per weight an optimizer keeps. */
int plan_slots(const Call *optimizer);
/* State arrays beside those: the mean gradient of several steps, then the average of the weights. */
int plan_accumulation(const Call *optimizer); /* steps per update, at least 1 */
bool plan_average(const Call *optimizer);     /* Keras's use_ema */
int plan_all_slots(const Call *optimizer);
/* `static const UpdateConfig model_optimizer_P = {...};` and `static double model_learning_rate_P(int64_t
 * step)`. */
void plan_optimizer(const Module *module, int phase, StrBuf *out);
/* The optimizer of a phase, its own or the train section's. */
const Call *plan_phase_optimizer(const Graph *graph, int phase);
#endif
