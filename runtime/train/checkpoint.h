/* What a run needs to go on as if it had not been interrupted: group /netc of the weights file.  The weights
 * themselves are the Keras part of the same file.
 *
 *   integers, numbers   position, callbacks and settings (CheckpointState)
 *   metrics             the running metrics of an epoch that is not over
 *   slots               optimizer state [slot_count][slot_floats]
 *   best                the best weights so far, where they are to be restored
 *   @class_names        also in finished files, for predict */
#ifndef NETC_TRAIN_CHECKPOINT_H
#define NETC_TRAIN_CHECKPOINT_H
#include "../weights/save.h"
#include "callbacks.h"
#include "metrics.h"

enum { CHECKPOINT_VERSION = 1 };

typedef struct CheckpointState {
  /* position: phase, epoch and batch are those to go on with, from 0; total_* count over all phases */
  int64_t phase, epoch, batch_index, total_epoch, total_step, phase_step, draw;
  /* settings that must be the same again */
  int64_t seed, batch, train_count, val_count, shuffle;
  int64_t has_best, finished;
  EarlyState early;
  PlateauState plateau;
  double rate_scale, loss_sum, loss_count;
} CheckpointState;

typedef struct Checkpoint {
  const ModelInfo *info;
  CheckpointState state;
  Metrics *metrics;
  const float *slots, *best; /* best may be NULL */
  char *const *class_names;  /* or NULL */
  int class_count;
} Checkpoint;

enum { CHECKPOINT_INTEGERS = 19, CHECKPOINT_NUMBERS = 5 };

static void checkpoint_pack(const CheckpointState *state, int64_t *integers, double *numbers) {
  const int64_t whole[CHECKPOINT_INTEGERS] = {CHECKPOINT_VERSION,
                                              state->phase,
                                              state->epoch,
                                              state->batch_index,
                                              state->total_epoch,
                                              state->total_step,
                                              state->phase_step,
                                              state->draw,
                                              state->seed,
                                              state->batch,
                                              state->train_count,
                                              state->val_count,
                                              state->shuffle,
                                              state->has_best,
                                              state->finished,
                                              state->early.wait,
                                              state->early.best_epoch,
                                              state->plateau.wait,
                                              state->plateau.cooldown};
  const double real[CHECKPOINT_NUMBERS] = {state->early.best, state->plateau.best, state->rate_scale,
                                           state->loss_sum, state->loss_count};
  memcpy(integers, whole, sizeof whole);
  memcpy(numbers, real, sizeof real);
}

static void checkpoint_unpack(CheckpointState *state, const int64_t *integers, const double *numbers) {
  *state = (CheckpointState){.phase = integers[1],
                             .epoch = integers[2],
                             .batch_index = integers[3],
                             .total_epoch = integers[4],
                             .total_step = integers[5],
                             .phase_step = integers[6],
                             .draw = integers[7],
                             .seed = integers[8],
                             .batch = integers[9],
                             .train_count = integers[10],
                             .val_count = integers[11],
                             .shuffle = integers[12],
                             .has_best = integers[13],
                             .finished = integers[14],
                             .early = {numbers[0], integers[15], integers[16]},
                             .plateau = {numbers[1], integers[17], integers[18]},
                             .rate_scale = numbers[2],
                             .loss_sum = numbers[3],
                             .loss_count = numbers[4]};
}

static bool checkpoint_write_doubles(hid_t netc, const char *name, const double *values, size_t count) {
  hsize_t dim = count;
  return h5_write_dataset(netc, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, &dim, values);
}

/* A SaveExtra. */
static bool checkpoint_write(hid_t netc, void *context) {
  const Checkpoint *checkpoint = context;
  const ModelInfo *info = checkpoint->info;
  int64_t integers[CHECKPOINT_INTEGERS];
  double numbers[CHECKPOINT_NUMBERS];
  hsize_t dim[2] = {CHECKPOINT_INTEGERS, 0};
  checkpoint_pack(&checkpoint->state, integers, numbers);
  bool good = h5_write_text(netc, "network", info->name, H5T_CSET_UTF8) &&
              h5_write_text(netc, "version", info->version, H5T_CSET_UTF8);
  if (checkpoint->class_names)
    good = good && h5_write_texts(netc, "class_names", checkpoint->class_names, checkpoint->class_count);
  good = good && h5_write_dataset(netc, "integers", H5T_STD_I64LE, H5T_NATIVE_INT64, 1, dim, integers) &&
         checkpoint_write_doubles(netc, "numbers", numbers, CHECKPOINT_NUMBERS);
  if (checkpoint->state.finished)
    return good;
  good = good && checkpoint_write_doubles(netc, "metrics", checkpoint->metrics->numbers,
                                          checkpoint->metrics->start[info->metric_count]);
  dim[0] = (hsize_t)info->slot_count;
  dim[1] = info->slot_floats;
  if (info->slot_count && info->slot_floats)
    good = good && h5_write_floats(netc, "slots", 2, dim, checkpoint->slots);
  dim[0] = info->param_floats;
  if (checkpoint->best && checkpoint->state.has_best)
    good = good && h5_write_floats(netc, "best", 1, dim, checkpoint->best);
  return good;
}

/* Whether a dataset holds as many values as are wanted, and those values. */
static bool checkpoint_read_values(hid_t netc, const char *name, hid_t type, size_t count, void *values) {
  H5Shape shape = h5_shape(netc, name);
  hsize_t points = shape.rank < 0 ? 0 : 1;
  for (int d = 0; d < shape.rank; d++)
    points *= shape.dim[d];
  return shape.rank >= 0 && points == count && (!count || h5_read_dataset(netc, name, type, values));
}

/* Class names of a weights file; count 0 where it has none. */
static void checkpoint_class_names(const char *path, H5Texts *names) {
  *names = (H5Texts){0};
  h5_quiet();
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  hid_t netc = file >= 0 && h5_has(file, "netc") ? H5Gopen2(file, "netc", H5P_DEFAULT) : -1;
  if (netc >= 0 && !h5_read_texts(netc, "class_names", names))
    *names = (H5Texts){0};
  if (netc >= 0)
    H5Gclose(netc);
  if (file >= 0)
    H5Fclose(file);
}

/* Reads all but the weights: state, metrics, slots and best (all sized by `info`). */
static bool checkpoint_read(const ModelInfo *info, const char *path, CheckpointState *state, Metrics *metrics,
                            float *slots, float *best, Fault *fault) {
  int64_t integers[CHECKPOINT_INTEGERS];
  double numbers[CHECKPOINT_NUMBERS];
  h5_quiet();
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file < 0)
    return fault_set(fault, "%s: cannot be read as an HDF5 file, so there is nothing to resume", path);
  hid_t netc = h5_has(file, "netc") ? H5Gopen2(file, "netc", H5P_DEFAULT) : -1;
  bool good = netc >= 0 &&
              checkpoint_read_values(netc, "integers", H5T_NATIVE_INT64, CHECKPOINT_INTEGERS, integers) &&
              checkpoint_read_values(netc, "numbers", H5T_NATIVE_DOUBLE, CHECKPOINT_NUMBERS, numbers) &&
              integers[0] == CHECKPOINT_VERSION;
  if (good) {
    checkpoint_unpack(state, integers, numbers);
    if (!state->finished) {
      good = checkpoint_read_values(netc, "metrics", H5T_NATIVE_DOUBLE, metrics->start[info->metric_count],
                                    metrics->numbers);
      if (info->slot_count && info->slot_floats)
        good = good && checkpoint_read_values(netc, "slots", H5T_NATIVE_FLOAT,
                                              (size_t)info->slot_count * info->slot_floats, slots);
      if (state->has_best)
        good =
            good && best && checkpoint_read_values(netc, "best", H5T_NATIVE_FLOAT, info->param_floats, best);
      good = good && state->phase >= 0 && state->phase < info->phase_count;
    }
  }
  if (netc >= 0)
    H5Gclose(netc);
  H5Fclose(file);
  return good || fault_set(fault, "%s: holds no state of an interrupted run of this network", path);
}
#endif
