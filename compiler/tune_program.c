/* The program of `netc tune`: kernels out of the runtime, tables of pieces and candidates,
 * runtime/tune/measure.h. */
#include "tune.h"
#include "emit/emit.h"
#include "emit/sets.h"
#include "emit/stitch.h"
#include "kernel_sizes.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* More than the caches hold, where the system says how much that is; no more than is quickly read. */
static int64_t push_out_bytes(void) {
  const int64_t most = (int64_t)64 << 20;
  int64_t cache = 0;
#ifdef _SC_LEVEL3_CACHE_SIZE
  cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
  cache = cache > 0 ? cache + cache / 2 : most;
  return cache < most ? cache : most;
}

typedef struct KernelKey {
  OpKind op;
  ConvAlgorithm algorithm;
} KernelKey;

enum { MOST_KERNELS = 3 * CONV_ALGORITHMS };

static bool takes_packed(OpKind op, ConvAlgorithm algorithm) {
  return op != OP_conv2d_bwd_w && !conv_is_raw(algorithm);
}

/* Functions that call one algorithm's kernels, number k of the table, and its row. */
static void add_kernel(Arena *arena, int k, KernelKey key, StrBuf *functions, StrBuf *rows) {
  bool winograd = conv_tile(key.algorithm), packs = takes_packed(key.op, key.algorithm);
  const char *call = conv_call(key.algorithm, "", arena),
             *what = key.op == OP_conv2d         ? "fwd"
                     : key.op == OP_conv2d_bwd_x ? "bwd_x"
                                                 : "bwd_w",
             *kind = key.op == OP_conv2d         ? "forward"
                     : key.op == OP_conv2d_bwd_x ? "input_gradient"
                                                 : "weight_gradient";
  const char *parameters = "const float *x, const float *w, const Epilogue *e, float *y",
             *arguments = "x, w, e, y";
  if (key.op == OP_conv2d_bwd_x) {
    parameters = "const float *dy, const float *w, const unsigned char *places, const Epilogue *e, float *dx";
    arguments = winograd ? "dy, w, places, e, dx" : "dy, w, e, dx";
  } else if (key.op == OP_conv2d_bwd_w) {
    parameters = "const float *x, const float *dy, const unsigned char *places, float *dw, float *workspace";
    arguments = winograd ? "x, dy, places, dw, workspace" : "x, dy, dw, workspace";
  }
  const char *unused = winograd || key.op == OP_conv2d ? "" : "  (void)places;\n";
  strbuf_printf(
      functions,
      "static void kernel_%d(const Conv2d *g, int n, %s,\n                     const Work *work) {\n"
      "%s  conv2d_%s_%sg, n, %s, work);\n}\n\n",
      k, parameters, unused, what, call, arguments);
  if (packs)
    strbuf_printf(functions,
                  "static void pack_%d(const Conv2d *g, const float *w, float *packed, const Work *work) {\n"
                  "  conv2d_%s_%sg, w, packed, work);\n}\n\n",
                  k, what, conv_call(key.algorithm, "_pack", arena));
  strbuf_printf(rows, "    {.%s = kernel_%d, .through = %s, .pack = %s},\n", kind, k,
                winograd ? "true" : "false", packs ? arena_printf(arena, "pack_%d", k) : "NULL");
}

/* The table of kernels that some candidate needs. */
static void add_kernels(TuneWork *work, StrBuf *out) {
  KernelKey keys[MOST_KERNELS];
  int count = 0;
  StrBuf rows = {0};
  for (int p = 0; p < work->piece_count; p++)
    for (int c = 0; c < work->pieces[p].count; c++) {
      TuneCandidate *candidate = &work->pieces[p].candidates[c];
      KernelKey key = {work->pieces[p].found->piece.op, candidate->algorithm};
      int k = 0;
      while (k < count && (keys[k].op != key.op || keys[k].algorithm != key.algorithm))
        k++;
      candidate->kernel = k;
      if (k == count) {
        keys[count++] = key;
        add_kernel(work->arena, k, key, out, &rows);
      }
    }
  strbuf_printf(out, "static const TuneKernel kernels[] = {\n%s};\n\n", rows.text);
  strbuf_free(&rows);
}

static void add_candidates(const TuneWork *work, StrBuf *out) {
  strbuf_puts(out, "static const TuneCandidate candidates[] = {\n");
  for (int p = 0; p < work->piece_count; p++)
    for (int c = 0; c < work->pieces[p].count; c++) {
      const TuneCandidate *candidate = &work->pieces[p].candidates[c];
      strbuf_printf(out, "    {%d, %s, %s},\n", candidate->kernel, candidate->fused ? "true" : "false",
                    candidate->models ? "false" : "true");
    }
  strbuf_puts(out, "};\n\n");
}

static void add_pieces(const TuneWork *work, StrBuf *out) {
  Emitter emitter = {.arena = work->arena};
  strbuf_puts(out, "static const TunePiece pieces[] = {\n");
  for (int p = 0; p < work->piece_count; p++) {
    const TunePiece *piece = &work->pieces[p];
    const ConvPiece *is = &piece->found->piece;
    const char *conv = strchr(emit_conv2d(&emitter, &is->conv), '{');
    const char *act = strchr(emit_act(&emitter, piece->found->node->attr.act), '{');
    strbuf_printf(out,
                  "    {.conv = %s, .act = %s, .residual = %d, .pool = %d, .reads_pool = %d, .masks = %d, "
                  ".packs = %d, .first = %d, "
                  ".count = %d, .image_count = %d",
                  conv, act, is->residual, is->pool, is->reads_pool, is->masks, !is->settled, piece->first,
                  piece->count, piece->image_count);
    for (int i = 0; i < piece->image_count; i++)
      strbuf_printf(out, ", .images[%d] = %d, .rest_bytes[%d] = %lld", i, piece->images[i], i,
                    (long long)piece->rest_bytes[i]);
    strbuf_puts(out, "},\n");
  }
  strbuf_puts(out, "};\n\n");
}

/* Floats of every buffer: the most that a piece wants. */
static void add_plan(const TuneWork *work, StrBuf *out) {
  int64_t input = 0, second = 0, output = 0, apart = 0, weights = 0, packed = 0, workspace = 0, scratch = 0;
  bool pools = false, reads_pools = false;
  for (int p = 0; p < work->piece_count; p++) {
    const TunePiece *piece = &work->pieces[p];
    const ConvPiece *is = &piece->found->piece;
    const Conv2d *g = &is->conv;
    int64_t n = piece->images[piece->image_count - 1];
    int64_t x = n * g->in_h * g->in_w * g->in_c, y = n * g->out_h * g->out_w * g->out_c;
    int64_t w = (int64_t)g->kernel_h * g->kernel_w * (g->in_c / g->groups) * g->out_c;
    input = larger(input, is->op == OP_conv2d ? x : y);
    output = larger(output, is->op == OP_conv2d ? y : is->op == OP_conv2d_bwd_x ? x : w);
    second = larger(second, is->op == OP_conv2d_bwd_w || is->masks ? x
                            : is->residual && is->op == OP_conv2d  ? y
                                                                   : 0);
    apart = larger(apart, is->reads_pool ? y : is->pool ? y / 4 : 0);
    reads_pools = reads_pools || is->reads_pool;
    weights = larger(weights, w);
    pools = pools || is->pool;
    for (int c = 0; c < piece->count; c++) {
      ConvAlgorithm algorithm = piece->candidates[c].algorithm;
      scratch = larger(scratch, kernel_conv2d_scratch_floats(g, algorithm, is->op));
      if (is->op == OP_conv2d_bwd_w)
        workspace = larger(workspace, kernel_conv2d_workspace_floats(g, algorithm));
      else if (takes_packed(is->op, algorithm))
        packed = larger(packed, kernel_conv2d_packed_floats(g, algorithm, is->op));
    }
  }
  strbuf_printf(out,
                "static const TunePlan plan = {\n    .kernels = kernels, .candidates = candidates, .pieces = "
                "pieces,\n    .candidate_count = %d, .piece_count = %d, .isa = VEC_ISA,\n    .input = %lld, "
                ".second = %lld, .output = %lld, .apart = %lld, .weights = %lld,\n    .packed = %lld, "
                ".workspace = %lld, "
                ".scratch = %lld, .flush = %lld,\n    .pool = %s, .unpool = %s,\n};\n",
                work->candidate_count, work->piece_count, (long long)input, (long long)second,
                (long long)output, (long long)apart, (long long)weights, (long long)packed,
                (long long)workspace, (long long)scratch, (long long)push_out_bytes() / 4,
                pools ? "maxpool_fwd" : "NULL", reads_pools ? "maxpool_bwd_places" : "NULL");
}

void tune_program(TuneWork *work, StrBuf *out) {
  static const char *const parts[] = {"kernels/conv2d_direct.h", "kernels/conv2d_direct_w.h",
                                      "kernels/conv2d_winograd.h", "kernels/pool.h"};
  StrBuf tables = {0}, before = {0}, after = {0};
  Stitch *stitch = stitch_new();
  stitch_text(stitch, "#ifndef MODEL_AGAIN\n#define _POSIX_C_SOURCE 200809L\n#define _DEFAULT_SOURCE\n"
                      "#include <math.h>\n#include <stdbool.h>\n#include <stdint.h>\n#include <stdlib.h>\n"
                      "#include <string.h>");
  stitch_text(stitch, arena_printf(work->arena, "\n#define ISA_ONLY %s", set_macro(work->isa)));
  stitch_file(stitch, "kernels/isa.h");
  stitch_file(stitch, "kernels/work.h");
  stitch_file(stitch, "kernels/pages.h");
  stitch_repeat(stitch, true);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    stitch_file(stitch, parts[i]);
  stitch_repeat(stitch, false);
  stitch_file(stitch, "tune/measure.h");
  add_kernels(work, &tables);
  add_candidates(work, &tables);
  add_pieces(work, &tables);
  add_plan(work, &tables);
  stitch_source(stitch, tables.text);
  stitch_text(stitch,
              "\nint main(int argc, char **argv) {\n  return tune_main(&plan, argc, argv);\n}\n#endif");
  emit_set_around("tune", &before, &after);
  stitch_around(stitch, before.text, after.text);
  stitch_finish(stitch, "tune", out);
  strbuf_free(&before);
  strbuf_free(&after);
  strbuf_free(&tables);
}
