/* The optimizers: one pass over gradient, weight and state.  Formulas: Keras's keras.optimizers, named at
 * each. */
#ifndef NETC_KERNELS_UPDATE_H
#define NETC_KERNELS_UPDATE_H
#include "vec_math.h"
#include "work.h"
#include <stdbool.h>

typedef enum UpdateKind {
  UPDATE_SGD,     /* slots: momentum, if it is not 0 */
  UPDATE_RMSPROP, /* mean square; momentum, if it is not 0; mean gradient, if centered (in the next free slot)
                   */
  UPDATE_ADAM,    /* first moment, second moment, largest second moment if amsgrad */
  UPDATE_ADAGRAD, /* sum of squares, without the initial accumulator */
  UPDATE_ADADELTA, /* mean square of the gradient, of the steps */
  UPDATE_ADAMAX,   /* first moment, infinity norm */
  UPDATE_NADAM,    /* first moment, second moment */
  UPDATE_LION,     /* momentum */
  UPDATE_FTRL,     /* sum of squares without the initial accumulator, linear */
} UpdateKind;

/* The optimizer's arguments, with Keras's names; what a kind does not know stays 0.  All slots start at zero:
 * the initial accumulator of adagrad and ftrl is added when the slot is read. */
typedef struct UpdateConfig {
  UpdateKind kind;
  float momentum, rho, beta_1, beta_2, epsilon, weight_decay;
  float initial_accumulator, learning_rate_power, l1, l2, l2_shrinkage, beta;
  bool nesterov, amsgrad, centered;
} UpdateConfig;

/* The same for one step: with the learning rate and what is the same for all weights worked in. */
typedef struct Update {
  UpdateConfig config;
  float rate;        /* the learning rate */
  float keep;        /* 1 - weight_decay * learning rate: every weight is multiplied with it first */
  float step_size;   /* adam, adamax: the learning rate with its bias corrections */
  float second_root; /* nadam: 1 / (1 - beta_2^t) */
  float first_share, grad_share; /* nadam: what the first moment and the gradient count */
} Update;

/* Of optimizer step `step` (from 0). */
static void update_begin(Update *u, const UpdateConfig *config, double learning_rate, int64_t step) {
  double t = (double)step + 1, beta_1 = (double)config->beta_1, beta_2 = (double)config->beta_2;
  *u = (Update){.config = *config, .rate = (float)learning_rate, .keep = 1};
  if (config->weight_decay != 0)
    u->keep = (float)(1 - (double)config->weight_decay * learning_rate);
  if (config->kind == UPDATE_ADAM)
    u->step_size = (float)(learning_rate * sqrt(1 - pow(beta_2, t)) / (1 - pow(beta_1, t)));
  if (config->kind == UPDATE_ADAMAX)
    u->step_size = (float)(learning_rate / (1 - pow(beta_1, t)));
  if (config->kind ==
      UPDATE_NADAM) { /* the schedule mu_i = beta_1 (1 - 0.96^i / 2) and its running product */
    double product = 1, fade = 1;
    int64_t listed = step + 1 < 1000 ? step + 1 : 1000; /* 0.96^1000 is nothing */
    for (int64_t i = 1; i <= listed; i++)
      product *= beta_1 * (1 - 0.5 * (fade *= 0.96));
    product *= pow(beta_1, t - (double)listed);
    double now = beta_1 * (1 - 0.5 * pow(0.96, t)), next = beta_1 * (1 - 0.5 * pow(0.96, t + 1));
    u->first_share = (float)(next / (1 - product * next));
    u->grad_share = (float)((1 - now) / (1 - product));
    u->second_root = (float)(1 / (1 - pow(beta_2, t)));
  }
}

/* How many slots the kind keeps. */
static inline int update_slots(const UpdateConfig *config) {
  switch (config->kind) {
  case UPDATE_SGD:
    return config->momentum != 0;
  case UPDATE_RMSPROP:
    return 1 + (config->momentum != 0) + config->centered;
  case UPDATE_ADAM:
    return 2 + config->amsgrad;
  case UPDATE_ADAGRAD:
  case UPDATE_LION:
    return 1;
  default:
    return 2;
  }
}

/* a + (b - a) * share */
VEC_INLINE Vec update_towards(Vec a, Vec b, float share) {
  return vec_fma(vec_sub(b, a), vec_set(share), a);
}

/* 1 / sqrt(v), exactly rounded root. */
VEC_INLINE Vec update_inverse_root(Vec v) {
  return vec_div(vec_set(1.0f), vec_sqrt(v));
}

/* v to the power of -learning_rate_power (v > 0). */
VEC_INLINE Vec update_power(const Update *u, Vec v) {
  if (u->config.learning_rate_power == -0.5f)
    return vec_sqrt(v);
  return vec_exp(vec_mul(vec_set(-u->config.learning_rate_power), vec_log(v)));
}

/* Keras's Ftrl.update_step. */
VEC_INLINE Vec update_ftrl(const Update *u, Vec w, Vec g, Vec *squares, Vec *linear) {
  const UpdateConfig *c = &u->config;
  Vec inverse_rate = vec_set(1.0f / u->rate), old = vec_add(*squares, vec_set(c->initial_accumulator));
  *squares = vec_fma(g, g, *squares);
  Vec new_power = update_power(u, vec_add(*squares, vec_set(c->initial_accumulator)));
  Vec shrunk = vec_fma(vec_set(2 * c->l2_shrinkage), w, g);
  Vec sigma = vec_mul(vec_sub(new_power, update_power(u, old)), inverse_rate);
  *linear = vec_add(*linear, vec_fnma(sigma, w, shrunk));
  Vec quadratic = vec_fma(new_power, inverse_rate, vec_set(2 * c->l2 + c->beta / u->rate));
  Vec clipped = vec_max(vec_set(-c->l1), vec_min(vec_set(c->l1), *linear));
  return vec_div(vec_sub(clipped, *linear), quadratic);
}

/* The new weights from w and the gradient g; slots s0, s1, s2 in place (those the kind keeps). */
VEC_INLINE Vec update_vec(const Update *u, Vec w, Vec g, Vec *s0, Vec *s1, Vec *s2) {
  const UpdateConfig *c = &u->config;
  Vec rate = vec_set(u->rate), epsilon = vec_set(c->epsilon);
  w = vec_mul(w, vec_set(u->keep));
  switch (c->kind) {
  case UPDATE_SGD: {
    if (c->momentum == 0.0f)
      return vec_fnma(rate, g, w);
    Vec momentum = vec_set(c->momentum), step = vec_mul(rate, g);
    *s0 = vec_sub(vec_mul(momentum, *s0), step);
    return vec_add(w, c->nesterov ? vec_sub(vec_mul(momentum, *s0), step) : *s0);
  }
  case UPDATE_RMSPROP: {
    *s0 = update_towards(*s0, vec_mul(g, g), 1 - c->rho);
    Vec spread = *s0, *mean = c->momentum == 0.0f ? s1 : s2;
    if (c->centered) {
      *mean = update_towards(*mean, g, 1 - c->rho);
      spread = vec_fnma(*mean, *mean, spread);
    }
    Vec step = vec_mul(vec_mul(rate, g), update_inverse_root(vec_add(spread, epsilon)));
    if (c->momentum == 0.0f)
      return vec_sub(w, step);
    *s1 = vec_fma(vec_set(c->momentum), *s1, step);
    return vec_sub(w, *s1);
  }
  case UPDATE_ADAM: {
    *s0 = update_towards(*s0, g, 1 - c->beta_1);
    *s1 = update_towards(*s1, vec_mul(g, g), 1 - c->beta_2);
    Vec spread = *s1;
    if (c->amsgrad)
      spread = *s2 = vec_max(*s2, *s1);
    return vec_sub(w, vec_div(vec_mul(*s0, vec_set(u->step_size)), vec_add(vec_sqrt(spread), epsilon)));
  }
  case UPDATE_ADAGRAD: {
    *s0 = vec_fma(g, g, *s0);
    Vec sum = vec_add(*s0, vec_set(c->initial_accumulator));
    return vec_sub(w, vec_div(vec_mul(rate, g), vec_sqrt(vec_add(sum, epsilon))));
  }
  case UPDATE_ADADELTA: {
    *s0 = update_towards(*s0, vec_mul(g, g), 1 - c->rho);
    Vec ratio = vec_div(vec_sqrt(vec_add(*s1, epsilon)), vec_sqrt(vec_add(*s0, epsilon)));
    Vec step = vec_mul(ratio, g);
    *s1 = update_towards(*s1, vec_mul(step, step), 1 - c->rho);
    return vec_fnma(rate, step, w);
  }
  case UPDATE_ADAMAX: {
    *s0 = update_towards(*s0, g, 1 - c->beta_1);
    *s1 = vec_max(vec_mul(vec_set(c->beta_2), *s1), vec_abs(g));
    return vec_sub(w, vec_div(vec_mul(vec_set(u->step_size), *s0), vec_add(*s1, epsilon)));
  }
  case UPDATE_NADAM: {
    *s0 = update_towards(*s0, g, 1 - c->beta_1);
    *s1 = update_towards(*s1, vec_mul(g, g), 1 - c->beta_2);
    Vec first = vec_fma(vec_set(u->first_share), *s0, vec_mul(vec_set(u->grad_share), g));
    Vec root = vec_sqrt(vec_mul(*s1, vec_set(u->second_root)));
    return vec_sub(w, vec_div(vec_mul(first, rate), vec_add(root, epsilon)));
  }
  case UPDATE_LION: {
    Vec ahead = update_towards(g, *s0, c->beta_1), zero = vec_zero();
    Vec sign = vec_select_eq(ahead, zero, zero, vec_copysign(rate, ahead));
    *s0 = update_towards(g, *s0, c->beta_2);
    return vec_sub(w, sign);
  }
  case UPDATE_FTRL:
    return update_ftrl(u, w, g, s0, s1);
  }
  return w;
}

/* One stretch of up to VEC_WIDTH floats: update_vec with its loads and stores. */
VEC_INLINE void update_stretch(const Update *u, int slots, int64_t left, Vec g, float *w, float *s0,
                               float *s1, float *s2) {
  Vec v0 = slots > 0 ? vec_load_upto(s0, left) : vec_zero();
  Vec v1 = slots > 1 ? vec_load_upto(s1, left) : vec_zero();
  Vec v2 = slots > 2 ? vec_load_upto(s2, left) : vec_zero();
  vec_store_upto(w, update_vec(u, vec_load_upto(w, left), g, &v0, &v1, &v2), left);
  if (slots > 0)
    vec_store_upto(s0, v0, left);
  if (slots > 1)
    vec_store_upto(s1, v1, left);
  if (slots > 2)
    vec_store_upto(s2, v2, left);
}

/* `count` weights from one thread: the tail of a fused gradient. */
static void update_run(const Update *u, int64_t count, const float *grad, float *w, float *s0, float *s1,
                       float *s2) {
  int slots = update_slots(&u->config);
  for (int64_t i = 0; i < count; i += VEC_WIDTH) {
    VEC_ASK(w, i);
    if (slots > 0)
      VEC_ASK(s0, i);
    if (slots > 1)
      VEC_ASK(s1, i);
    update_stretch(u, slots, count - i, vec_load_upto(grad + i, count - i), w + i, slots > 0 ? s0 + i : NULL,
                   slots > 1 ? s1 + i : NULL, slots > 2 ? s2 + i : NULL);
  }
}

/* w [count] by its gradient; slots [count] in place, NULL where the kind keeps fewer. */
static void update_apply(const Update *u, int64_t count, const float *grad, float *w, float *s0, float *s1,
                         float *s2, const Work *work) {
  enum { BLOCK = 4096 };
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t block = 0; block < (count + BLOCK - 1) / BLOCK; block++) {
    int64_t begin = block * BLOCK, size = count - begin < BLOCK ? count - begin : BLOCK;
    update_run(u, size, grad + begin, w + begin, s0 ? s0 + begin : NULL, s1 ? s1 + begin : NULL,
               s2 ? s2 + begin : NULL);
  }
}

/* Keras's use_ema after an update: average += (1 - momentum) * (w - average); momentum 0 in the first step.
 */
static void update_average(int64_t count, float momentum, const float *w, float *average, const Work *work) {
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++)
    average[i] = momentum * average[i] + (1 - momentum) * w[i];
}

/* Keras's gradient_accumulation_steps: sum (zero at first) gathers the gradients; out is their mean in every
 * `steps`-th step, after which the sum is zero again, and means nothing in the others.  steps 1: out = grad.
 */
static void update_accumulate(int64_t count, int steps, int64_t step, const float *grad, float *sum,
                              float *out, const Work *work) {
  bool last = step % steps == steps - 1;
  (void)work;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < count; i++) {
    float all = steps > 1 ? sum[i] + grad[i] : grad[i];
    out[i] = last ? all / (float)steps : 0;
    if (steps > 1)
      sum[i] = last ? 0 : all;
  }
}
#endif
