/* --check-grad: the gradients of a training step against finite differences of its loss.
 *
 * ModelState.probe makes a step plain gradient descent, so that the gradient is what a step subtracts.  For
 * each weight two directions are tried: its own gradient (is it long enough?) and random signs (is anything
 * missing?). */
#ifndef NETC_TRAIN_GRADIENT_CHECK_H
#define NETC_TRAIN_GRADIENT_CHECK_H
#include "../cli/console.h"
#include "../model.h"
#include "../random.h"

#define GRADIENT_CHECK_TOLERANCE .02

typedef struct GradientCheck {
  Model *model;
  const ModelInfo *info;
  const ModelPhase *phase;
  int n;
  const float *x, *target, *weight; /* a batch as the phase's step takes it; weight may be NULL */
  float *start;                     /* the weights checked at */
  float *gradient;                  /* [param_floats] */
  ModelState state;
} GradientCheck;

/* The loss of a step from the weights in model_params; what the step subtracted stays there. */
static double gradient_check_step(GradientCheck *check, double rate) {
  const float *y_pred;
  *model_state(check->model) = check->state;
  model_state(check->model)->probe = true;
  model_state(check->model)->probe_rate = rate;
  model_weights_changed(check->model);
  return (double)check->phase->step(check->model, check->n, check->x, check->target, check->weight, &y_pred);
}

static void gradient_check_reset(GradientCheck *check) {
  memcpy(model_params(check->model), check->start, check->info->param_floats * sizeof(float));
}

/* The gradient of one weight: what a step of a rate that makes the change about as large as the weight takes
 * away, so that little of it is lost to rounding. */
static void gradient_check_measure(GradientCheck *check, const ModelWeight *weight) {
  const float *now = model_params(check->model) + weight->offset, *start = check->start + weight->offset;
  double rate = 1, largest = 0, size = 1e-3;
  for (size_t i = 0; i < weight->count; i++)
    size = fmax(size, fabs((double)start[i]));
  for (int turn = 0; turn < 2; turn++) {
    gradient_check_reset(check);
    gradient_check_step(check, rate);
    largest = 0;
    for (size_t i = 0; i < weight->count; i++) {
      check->gradient[weight->offset + i] = (float)(((double)start[i] - (double)now[i]) / rate);
      largest = fmax(largest, fabs((double)check->gradient[weight->offset + i]));
    }
    if (largest > 0)
      rate = exp2(floor(log2(size / largest)));
  }
}

/* (loss(w + e d) - loss(w - e d)) / 2e */
static double gradient_check_difference(GradientCheck *check, const ModelWeight *weight,
                                        const float *direction, double e) {
  double loss[2];
  for (int side = 0; side < 2; side++) {
    gradient_check_reset(check);
    float *w = model_params(check->model) + weight->offset;
    for (size_t i = 0; i < weight->count; i++)
      w[i] = (float)((double)w[i] + (side ? -e : e) * (double)direction[i]);
    loss[side] = gradient_check_step(check, 0);
  }
  return (loss[0] - loss[1]) / (2 * e);
}

/* The relative difference between g . d and its finite difference, the best of several steps (large ones
 * bend, small ones drown in rounding).  d has length one. */
static double gradient_check_direction(GradientCheck *check, const ModelWeight *weight,
                                       const float *direction, double loss) {
  static const double parts[] = {1e-2, 1e-3, 3e-2, 3e-3, 3e-4, 1e-4};
  double along = 0, squares = 0, best = INFINITY;
  for (size_t i = 0; i < weight->count; i++) {
    along += (double)check->gradient[weight->offset + i] * (double)direction[i];
    squares += (double)check->start[weight->offset + i] * (double)check->start[weight->offset + i];
  }
  double length = fmax(sqrt(squares), .1);
  for (size_t k = 0; k < sizeof parts / sizeof *parts && best > GRADIENT_CHECK_TOLERANCE / 4; k++) {
    double e = parts[k] * length, numeric = gradient_check_difference(check, weight, direction, e);
    double noise = 4e-7 * fmax(fabs(loss), 1e-3) / e; /* of two float losses */
    double error = fmax(0, fabs(numeric - along) - noise) / fmax(fmax(fabs(numeric), fabs(along)), 1e-12);
    best = fmin(best, error);
  }
  return best;
}

/* The worse of the two directions. */
static double gradient_check_weight(GradientCheck *check, int index, double loss) {
  const ModelWeight *weight = &check->info->weights[index];
  float *direction = system_allocate(weight->count * sizeof *direction);
  double worst = 0;
  gradient_check_measure(check, weight);
  for (int turn = 0; turn < 2; turn++) {
    double squares = 0;
    for (size_t i = 0; i < weight->count; i++) {
      direction[i] = turn ? check->gradient[weight->offset + i]
                     : random_bits(1, (uint64_t)index, (uint64_t)i) >> 63 ? 1.0f
                                                                          : -1.0f;
      squares += (double)direction[i] * (double)direction[i];
    }
    if (squares <= 0) /* no gradient at all: the other direction has looked */
      continue;
    for (size_t i = 0; i < weight->count; i++)
      direction[i] = (float)((double)direction[i] / sqrt(squares));
    worst = fmax(worst, gradient_check_direction(check, weight, direction, loss));
  }
  free(direction);
  return worst;
}

/* Checks every weight that the phase trains, on n images (x: what the phase's step takes).  Prints one line
 * per weight to `out`; returns how many are off, or -1 with a fault where the program cannot be checked.  The
 * model's weights, state and optimizer state are as before afterwards. */
static int gradient_check_run(Model *model, const ModelInfo *info, int phase, int n, const float *x,
                              const float *target, const float *weight, FILE *out, Fault *fault) {
  size_t bytes = info->param_floats * sizeof(float);
  GradientCheck check = {model,         info,          &info->phases[phase], n, x, target, weight,
                         malloc(bytes), malloc(bytes), *model_state(model)};
  int wrong = 0;
  if (!check.start || !check.gradient) {
    fault_set(fault, "no memory for a gradient check");
    wrong = -1;
  } else {
    memcpy(check.start, model_params(model), bytes);
    double loss = gradient_check_step(&check, 0);
    for (int w = 0; w < info->weight_count && !wrong; w++)
      if ((info->weights[w].phases >> phase & 1) &&
          memcmp(check.start + info->weights[w].offset, model_params(model) + info->weights[w].offset,
                 info->weights[w].count * sizeof(float)))
        wrong = -1;
    if (wrong)
      fault_set(fault, "this program updates its weights in a way that gradients cannot be seen through");
    fprintf(out, "%-40s %14s %12s\n", wrong ? "" : "weight", wrong ? "" : "largest",
            wrong ? "" : "difference");
    for (int w = 0; w < info->weight_count && wrong >= 0; w++) {
      const ModelWeight *own = &info->weights[w];
      char name[256];
      if (!(own->phases >> phase & 1))
        continue;
      double error = gradient_check_weight(&check, w, loss), largest = 0;
      for (size_t i = 0; i < own->count; i++)
        largest = fmax(largest, fabs((double)check.gradient[own->offset + i]));
      snprintf(name, sizeof name, "%s/%s", info->layers[own->layer].name, own->name);
      fprintf(out, "%-40s %14.6g %12.2g%s\n", name, largest, error,
              error < GRADIENT_CHECK_TOLERANCE ? "" : "  WRONG");
      wrong += !(error < GRADIENT_CHECK_TOLERANCE);
    }
    gradient_check_reset(&check);
    *model_state(model) = check.state;
    model_weights_changed(model);
  }
  free(check.start);
  free(check.gradient);
  return wrong;
}
#endif
