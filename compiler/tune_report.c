/* What `netc tune` says: the file M.tune, and the table on the terminal. */
#include "tune.h"
#include "emit/emit.h"
#include "version.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The processor's name where the system tells it (Linux: /proc/cpuinfo), else "unknown". */
static const char *processor_name(Arena *arena) {
  char line[512];
  const char *name = NULL;
  FILE *file = fopen("/proc/cpuinfo", "r");
  while (file && !name && fgets(line, sizeof line, file)) {
    char *colon = strchr(line, ':');
    if (colon && (!strncmp(line, "model name", 10) || !strncmp(line, "Hardware", 8))) {
      colon[strcspn(colon, "\n#=")] = 0;
      name = arena_strdup(arena, colon + 1 + strspn(colon + 1, " \t"));
    }
  }
  if (file)
    fclose(file);
  return name && *name ? name : "unknown";
}

static void add_times(const TunePiece *piece, ConvChoice choice, StrBuf *out) {
  for (int i = 0; i < piece->image_count; i++)
    strbuf_printf(out, " %.3g", 1e3 * tune_seconds(piece, choice, i));
}

static bool same(ConvChoice a, ConvChoice b) {
  return a.algorithm == b.algorithm && a.few_below == b.few_below && (!a.few_below || a.few == b.few);
}

/* KEY = CHOICE # ms of it, the model's, the others */
static void add_piece(const TuneWork *work, const TunePiece *piece, StrBuf *out) {
  ConvChoice model = piece->found->model;
  strbuf_printf(out, "%s = %s  # ms:", piece->found->key, tuning_choice_text(work->arena, piece->choice));
  add_times(piece, piece->choice, out);
  if (!same(piece->choice, model)) {
    strbuf_printf(out, "; the model's %s:", tuning_choice_text(work->arena, model));
    add_times(piece, model, out);
  } else {
    strbuf_puts(out, ", the model's too");
  }
  for (int c = 0; c < piece->count; c++) {
    const TuneCandidate *candidate = &piece->candidates[c];
    ConvChoice choice = {.algorithm = candidate->algorithm};
    bool apart = piece->found->piece.pool && candidate->algorithm != CONV_DIRECT && !candidate->fused;
    if (apart || same(choice, piece->choice) || same(choice, model) || candidate->seconds[0] <= 0)
      continue;
    strbuf_printf(out, "; %s:", tuning_choice_text(work->arena, choice));
    add_times(piece, choice, out);
  }
  strbuf_puts(out, "\n");
}

static void add_images(const TuneWork *work, StrBuf *out) {
  int part = function_images(FUNCTION_FORWARD, work->batch);
  strbuf_printf(out,
                "# Milliseconds of a call: predictions of 1%s%s image%s, features of %d, the others of %d.\n",
                part > 4 ? ", 4" : "", part > 1 ? arena_printf(work->arena, " and %d", part) : "",
                part > 1 ? "s" : "", part, work->batch);
}

void tune_file(const TuneWork *work, StrBuf *out) {
  char date[32];
  time_t now = time(NULL);
  const struct tm *day = localtime(&now);
  if (!day || !strftime(date, sizeof date, "%Y-%m-%d", day))
    snprintf(date, sizeof date, "unknown");
  strbuf_printf(out, "netc-tune %d\n", TUNING_FORMAT);
  strbuf_printf(
      out,
      "# Which algorithm computes which convolution, as `netc tune` measured.  `netc build` and the other\n"
      "# commands read this file where it lies beside the .net file; --no-tune ignores it.  Lines may be\n"
      "# changed or taken out: what has no line is chosen by netc's own model.  Algorithms are\n"
      "# %s\n"
      "# (_raw: from weights that are not packed before); predictions may add another, as `direct below N`,\n"
      "# for calls of fewer than N images.\n",
      conv_algorithm_list(work->arena));
  strbuf_printf(out, "network %s\nprocessor %s\nisa %s\nthreads %d\nbatch %d\nnetc %s\ndate %s\n\n",
                work->module->graph->name, processor_name(work->arena), work->isa, work->threads, work->batch,
                NETC_VERSION, date);
  add_images(work, out);
  for (int p = 0; p < work->piece_count; p++)
    if (work->pieces[p].count > 1 && work->pieces[p].timed)
      add_piece(work, &work->pieces[p], out);
}

/* ---- the report ---- */

/* Milliseconds at the fewest and at the most images. */
static const char *times_text(const TuneWork *work, const TunePiece *piece, ConvChoice choice) {
  const char *first = arena_printf(work->arena, "%.3g", 1e3 * tune_seconds(piece, choice, 0));
  return piece->image_count == 1 ? first
                                 : arena_printf(work->arena, "%s, %.3g", first,
                                                1e3 * tune_seconds(piece, choice, piece->image_count - 1));
}

static void report_pieces(const TuneWork *work, StrBuf *out) {
  int width = 0;
  for (int p = 0; p < work->piece_count; p++) {
    int length = (int)strlen(work->pieces[p].found->key);
    width = work->pieces[p].count > 1 && length > width ? length : width;
  }
  strbuf_printf(out, "%-*s  times  %-24s %-12s  %s\n", width, "convolution", "the model's choice", "ms",
                "tuned");
  for (int p = 0; p < work->piece_count; p++) {
    const TunePiece *piece = &work->pieces[p];
    ConvChoice model = piece->found->model;
    int uses = 0;
    for (int f = 0; f < piece->found->function_count; f++)
      uses += piece->found->uses[f];
    if (piece->count == 1)
      continue;
    strbuf_printf(out, "%-*s  %5d  %-24s ", width, piece->found->key, uses,
                  tuning_choice_text(work->arena, model));
    if (!piece->timed)
      strbuf_puts(out, "no time was left for it\n");
    else if (same(model, piece->choice))
      strbuf_printf(out, "%-12s  the same\n", times_text(work, piece, model));
    else
      strbuf_printf(out, "%-12s  %s %s\n", times_text(work, piece, model),
                    tuning_choice_text(work->arena, piece->choice), times_text(work, piece, piece->choice));
  }
}

/* Of all convolutions of a function at one of the numbers of images (`last`: the largest). */
static bool sum_function(const TuneWork *work, const Function *function, bool last, double *model,
                         double *tuned) {
  bool whole = true;
  *model = *tuned = 0;
  for (int p = 0; p < work->piece_count; p++) {
    const TunePiece *piece = &work->pieces[p];
    int index = last ? piece->image_count - 1 : 0;
    for (int f = 0; f < piece->found->function_count; f++)
      if (piece->found->function[f] == function) {
        whole = whole && piece->timed;
        *model += piece->found->uses[f] * tune_seconds(piece, piece->found->model, index);
        *tuned += piece->found->uses[f] * tune_seconds(piece, piece->choice, index);
      }
  }
  return whole && *model > 0;
}

static void report_sum(const TuneWork *work, const Function *function, bool last, StrBuf *out) {
  const char *name = function->kind == FUNCTION_FORWARD    ? "prediction"
                     : function->kind == FUNCTION_FEATURES ? "features"
                     : function->kind == FUNCTION_VARIED   ? "features, varied"
                     : function->kind == FUNCTION_HEAD     ? "validation from features"
                                                           : "step";
  double model, tuned;
  int images = !last ? 1 : work->batch;
  double calls = last ? (double)work->batch / function_images(function->kind, work->batch) : 1;
  if (!sum_function(work, function, last, &model, &tuned))
    return;
  const char *phase = work->module->graph->train.phase_count > 1 && function->kind != FUNCTION_FORWARD
                          ? arena_printf(work->arena, ", phase %d", function->phase + 1)
                          : "";
  strbuf_printf(out, "%s%s, %d image%s: model's choices %.2f ms, tuned %.2f ms: %.1f %% %s\n", name, phase,
                images, images == 1 ? "" : "s", 1e3 * calls * model, 1e3 * calls * tuned,
                100 * (tuned > model ? 1 - model / tuned : model / tuned - 1),
                tuned > model ? "faster" : "slower");
}

void tune_report(const TuneWork *work, StrBuf *out) {
  const Module *module = work->module;
  report_pieces(work, out);
  strbuf_printf(out, "\nconvolutions of `%s` on %d thread%s, %s, the fastest eighth of %d round%s:\n",
                module->graph->name, work->threads, work->threads == 1 ? "" : "s", work->isa, work->rounds,
                work->rounds == 1 ? "" : "s");
  for (int f = 0; f < module->function_count; f++) {
    const Function *function = module->functions[f];
    if (function->kind == FUNCTION_FORWARD)
      report_sum(work, function, false, out);
    if (function->kind != FUNCTION_PREPARE && (function->kind != FUNCTION_FORWARD || work->batch > 1))
      report_sum(work, function, true, out);
  }
}
