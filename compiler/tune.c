/* `netc tune`: finds the distinct pieces of convolution work of a network, lets a program time the algorithms
 * that could compute each on this machine, and writes what is fastest beside the .net file, for `build` to
 * use. */
#define _POSIX_C_SOURCE 200809L
#include "tune.h"
#include "commands.h"
#include "emit/sets.h"
#include "kernel_sizes.h"
#include "process.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A choice takes the place of the model's where it saves so much: less is within what two measurements of the
 * same thing differ by. */
static const double LEAST_GAIN = 0.02;

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- candidates ---- */

/* Memory that an algorithm takes besides the operands, in floats. */
static int64_t extra_floats(const ConvPiece *piece, ConvAlgorithm algorithm, int threads) {
  int64_t floats = threads * kernel_conv2d_scratch_floats(&piece->conv, algorithm, piece->op);
  if (piece->op == OP_conv2d_bwd_w)
    return floats + kernel_conv2d_workspace_floats(&piece->conv, algorithm);
  return conv_is_raw(algorithm) ? floats
                                : floats + kernel_conv2d_packed_floats(&piece->conv, algorithm, piece->op);
}

/* Features keep no packed copy that the model might not keep, and a network with a memory limit takes nothing
 * that needs more than the model's choice. */
static bool affordable(const TuneWork *work, const TuningPiece *found, ConvAlgorithm algorithm) {
  const ConvPiece *piece = &found->piece;
  bool features = piece->place == FUNCTION_FEATURES || piece->place == FUNCTION_VARIED;
  if (features && !kernel_conv2d_pack_pays(&piece->conv, algorithm, piece->op,
                                           function_images(piece->place, work->batch)))
    return false;
  return !work->module->graph->train.memory_limit ||
         extra_floats(piece, algorithm, MEMORY_THREADS) <=
             extra_floats(piece, found->model.algorithm, MEMORY_THREADS);
}

static void add_candidate(TunePiece *piece, ConvAlgorithm algorithm, bool fused, bool models) {
  piece->candidates[piece->count++] = (TuneCandidate){algorithm, fused, models, 0, {0}};
}

static void add_candidates(const TuneWork *work, TunePiece *piece) {
  const TuningPiece *found = piece->found;
  ConvChoice model = found->model;
  const char *why;
  for (int i = CONV_DIRECT; i < CONV_ALGORITHMS; i++) {
    ConvChoice choice = {.algorithm = (ConvAlgorithm)i};
    bool models = model.algorithm == choice.algorithm || (model.few_below && model.few == choice.algorithm);
    if (!tuning_fits(&found->piece, choice, &why) || (!models && !affordable(work, found, choice.algorithm)))
      continue;
    bool fuses = found->piece.pool && kernel_conv2d_pools(choice.algorithm);
    bool pools = found->piece.pool && tuning_choice_pools(model);
    if (fuses)
      add_candidate(piece, choice.algorithm, true, models && pools);
    /* Also beside one that pools apart. */
    if (!fuses || found->piece.place == FUNCTION_FORWARD)
      add_candidate(piece, choice.algorithm, false, models && !pools);
  }
}

/* One image and parts of a batch for predictions, otherwise what a call gets. */
static void set_images(const TuneWork *work, TunePiece *piece) {
  FunctionKind place = piece->found->piece.place;
  int part = function_images(place, work->batch);
  if (place == FUNCTION_FORWARD) {
    const int images[] = {1, 4, part};
    for (int i = 0; i < TUNE_MOST_IMAGES; i++)
      if (i == 2 ? !piece->image_count || part > piece->images[piece->image_count - 1] : images[i] < part)
        piece->images[piece->image_count++] = images[i];
  } else {
    piece->images[piece->image_count++] = part;
  }
}

/* Weights with what is made of them, optimizer state in steps, values; without the piece's own. */
static void set_rest(const TuneWork *work, TunePiece *piece) {
  const Module *module = work->module;
  const Function *function = piece->found->function[0];
  const Conv2d *g = &piece->found->piece.conv;
  int64_t own = (int64_t)g->in_h * g->in_w * g->in_c + (int64_t)g->out_h * g->out_w * g->out_c;
  for (int i = 0; i < piece->image_count; i++) {
    int64_t floats = module->param_floats + module->constant_floats + function->fixed_floats -
                     extra_floats(&piece->found->piece, piece->found->model.algorithm, 0);
    if (function->kind == FUNCTION_STEP)
      floats += module->slot_count * module->slot_floats;
    floats += piece->images[i] * (function->batch_floats - own) +
              function->micro_floats * module_microbatch(module, piece->images[i], work->threads);
    piece->rest_bytes[i] = floats > 0 ? 4 * floats : 0;
  }
}

static void find_pieces(TuneWork *work, const Tuning *found) {
  work->pieces = arena_array(work->arena, TunePiece, found->piece_count + 1);
  work->piece_count = found->piece_count;
  for (int p = 0; p < found->piece_count; p++) {
    TunePiece *piece = &work->pieces[p];
    piece->found = &found->pieces[p];
    piece->choice = piece->found->model;
    piece->first = work->candidate_count;
    add_candidates(work, piece);
    set_images(work, piece);
    set_rest(work, piece);
    work->candidate_count += piece->count;
  }
}

/* ---- choosing ---- */

double tune_seconds(const TunePiece *piece, ConvChoice choice, int index) {
  ConvAlgorithm algorithm = piece->images[index] < choice.few_below ? choice.few : choice.algorithm;
  bool fused = piece->found->piece.pool && tuning_choice_pools(choice);
  for (int c = 0; c < piece->count; c++) {
    const TuneCandidate *candidate = &piece->candidates[c];
    if (candidate->algorithm == algorithm && candidate->fused == fused)
      return candidate->seconds[index];
  }
  return 0;
}

/* One image and a whole part weigh the same: the sum of both times, each in units of the best. */
static double penalty(const TunePiece *piece, ConvChoice choice) {
  double sum = 0;
  for (int i = 0; i<piece->image_count; i += piece->image_count> 1 ? piece->image_count - 1 : 1) {
    double best = 0, own = tune_seconds(piece, choice, i);
    for (int c = 0; c < piece->count; c++) {
      double t = piece->candidates[c].seconds[i];
      best = t > 0 && (t < best || best <= 0) ? t : best;
    }
    if (own <= 0)
      return 0;
    sum += own / best;
  }
  return sum;
}

/* From how many images on an algorithm is faster than `few`; 0: always or never.  Between two numbers that
 * were timed, times are taken to lie on a line. */
static int fewest_images(const TunePiece *piece, ConvAlgorithm algorithm, ConvAlgorithm few) {
  double before = 0;
  for (int i = 0; i < piece->image_count; i++) {
    double fews = tune_seconds(piece, (ConvChoice){algorithm, few, FORWARD_BATCH + 1}, i);
    double other = tune_seconds(piece, (ConvChoice){algorithm, few, 1}, i), lead = fews - other;
    if (fews <= 0 || other <= 0 || (!i && lead >= 0))
      return 0;
    if (lead >= 0) {
      double at = (piece->images[i] - piece->images[i - 1]) * before / (before - lead);
      int images = piece->images[i - 1] + (int)at + 1;
      return images < FORWARD_BATCH ? images : FORWARD_BATCH;
    }
    before = lead;
  }
  return 0;
}

static void choose_piece(TunePiece *piece) {
  static const ConvAlgorithm fews[] = {CONV_UNCHOSEN, CONV_DIRECT, CONV_WINOGRAD2};
  ConvChoice model = piece->found->model, best = model;
  double models = penalty(piece, model), least = models;
  piece->timed = models > 0;
  for (int c = 0; c < piece->count && piece->timed; c++)
    for (size_t i = 0; i < sizeof fews / sizeof *fews; i++) {
      ConvChoice choice = {piece->candidates[c].algorithm, fews[i], 0};
      const char *why;
      if (i && choice.algorithm != choice.few)
        choice.few_below = fewest_images(piece, choice.algorithm, choice.few);
      if ((i && !choice.few_below) || !tuning_fits(&piece->found->piece, choice, &why))
        continue;
      double own = penalty(piece, choice);
      if (own > 0 && own < least) {
        least = own;
        best = choice;
      }
    }
  piece->choice = least < (1 - LEAST_GAIN) * models ? best : model;
}

void tune_choose(TuneWork *work) {
  for (int p = 0; p < work->piece_count; p++)
    choose_piece(&work->pieces[p]);
}

/* ---- measuring ---- */

typedef struct Listener {
  TuneWork *work;
  bool terminal, done;
} Listener;

static void show_progress(bool terminal, const char *what) {
  if (terminal) {
    fprintf(stderr, "\r\033[Knetc tune: %s", what);
    fflush(stderr);
  }
}

static void take_line(void *context, const char *line) {
  Listener *listener = context;
  TuneWork *work = listener->work;
  int number, index;
  double seconds;
  char text[64];
  if (sscanf(line, "progress %d", &number) == 1) {
    snprintf(text, sizeof text, "measuring, %d %%", number);
    show_progress(listener->terminal, text);
  } else if (sscanf(line, "rounds %d", &number) == 1) {
    work->rounds = number;
    listener->done = true;
  } else if (sscanf(line, "time %d %d %lf", &number, &index, &seconds) == 3) {
    for (int p = 0; p < work->piece_count; p++) {
      TunePiece *piece = &work->pieces[p];
      if (number >= piece->first && number < piece->first + piece->count && index >= 0 &&
          index < piece->image_count)
        piece->candidates[number - piece->first].seconds[index] = seconds;
    }
  }
}

/* Compiles and runs; returns an exit code. */
static int measure(TuneWork *work, const CommandLine *line, const char *folder) {
  Arena *arena = work->arena;
  Listener listener = {.work = work, .terminal = isatty(STDERR_FILENO)};
  const char *c_path = arena_printf(arena, "%s/tune.c", folder),
             *exe = arena_printf(arena, "%s/tune", folder);
  double begin = seconds_now();
  StrBuf text = {0};
  tune_program(work, &text);
  int error = strbuf_write_file(&text, c_path);
  strbuf_free(&text);
  if (error) {
    fprintf(stderr, "netc: cannot write `%s`: %s\n", c_path, strerror(error));
    return 1;
  }
  show_progress(listener.terminal, "compiling");
  int status = build_run_compiler(arena, line, c_path, exe, false);
  if (!status) {
    double left = (line->seconds ? line->seconds : 60) - (seconds_now() - begin);
    char *argv[] = {arena_strdup(arena, exe), arena_printf(arena, "%d", work->threads),
                    arena_printf(arena, "%.1f", left > 1 ? left : 1), NULL};
    show_progress(listener.terminal, "measuring");
    status = process_run(argv, take_line, &listener);
    if (status != PROCESS_INTERRUPTED && (status || !listener.done)) {
      show_progress(listener.terminal, "");
      fprintf(stderr, "netc: the program that measures failed (exit code %d)\n", status);
      status = 1;
    }
  }
  show_progress(listener.terminal, "");
  if (listener.terminal)
    fprintf(stderr, "\r\033[K");
  if (status == PROCESS_INTERRUPTED)
    fprintf(stderr, "netc: stopped; nothing was written\n");
  return status;
}

/* ---- the command ---- */

/* Writes the file where it belongs and reports; returns an exit code. */
static int finish(TuneWork *work, const char *path) {
  StrBuf text = {0}, report = {0};
  tune_choose(work);
  tune_file(work, &text);
  int error = strbuf_write_file(&text, path);
  strbuf_free(&text);
  if (error) {
    fprintf(stderr, "netc: cannot write `%s`: %s\n", path, strerror(error));
    return 1;
  }
  tune_report(work, &report);
  strbuf_printf(&report, "\nwritten to %s\n", path);
  bool good = fputs(report.text, stdout) >= 0 && !fflush(stdout);
  strbuf_free(&report);
  if (!good)
    fprintf(stderr, "netc: cannot write: %s\n", strerror(errno));
  return !good;
}

static int tune(Session *session, const CommandLine *line) {
  const Graph *graph = session->graph;
  TuneWork work = {.arena = &session->arena,
                   .module = session->module,
                   .isa = command_isa(line),
                   .threads = line->threads ? line->threads : (int)sysconf(_SC_NPROCESSORS_ONLN),
                   .batch = line->batch          ? line->batch
                            : graph->train.batch ? graph->train.batch
                                                 : 32};
  find_pieces(&work, session->collector);
  if (work.candidate_count == work.piece_count) {
    printf("`%s` has no convolution that more than one algorithm computes: nothing to tune\n", graph->name);
    return 0;
  }
  const char *folder = folder_make_temporary(&session->arena);
  if (!folder)
    return 1;
  int status = measure(&work, line, folder);
  folder_empty(folder, &session->arena);
  rmdir(folder);
  return status ? status
                : finish(&work, line->output ? line->output : tuning_path(&session->arena, graph->path));
}

int command_tune(const CommandLine *line) {
  if (line->file_count != 1) {
    fprintf(stderr, "netc: `tune` wants one .net file, got %d\n", line->file_count);
    return 2;
  }
  if (line->exact) {
    fprintf(stderr, "netc: --exact leaves `tune` nothing to choose\n");
    return 2;
  }
  if (command_check_isa(line))
    return 2;
  Session session;
  int status = 1;
  if (session_open(&session, line, line->files[0])) {
    session.collector = tuning_collector(&session.arena);
    if (session_compile(&session, line, NULL))
      status = tune(&session, line);
  }
  session_close(&session);
  return status;
}
