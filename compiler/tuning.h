/* Measured choices of convolution algorithms: the file M.tune beside M.net, written by `netc tune` and asked
 * by the select pass.
 *
 *   netc-tune 1
 *   network vgg16
 *   processor AMD EPYC
 *   isa avx512
 *   threads 2
 *   batch 32
 *   prediction convolution 12x12x256 to 12x12x512 window 3x3 pad 1x1 = winograd6 direct below 3
 *
 * A `#` begins a comment.  The first line is the version of the format; `network` must come before the
 * choices; the other words in front say what the measurements are of.  One line per distinct piece of work:
 * where it stands, what it computes, the algorithm.  What has no line is chosen by the compiler's model. */
#ifndef NETC_TUNING_H
#define NETC_TUNING_H
#include "ir.h"

enum { TUNING_FORMAT = 1 };

/* A distinct piece of convolution work: all that decides how long an algorithm takes. */
typedef struct ConvPiece {
  OpKind op;          /* OP_conv2d, OP_conv2d_bwd_x or OP_conv2d_bwd_w */
  FunctionKind place; /* of the function it stands in */
  Conv2d conv;
  bool settled;    /* packed weights would be made once, in `prepare` */
  bool pool;       /* a 2 x 2 pooling follows that Winograd's kernels can do */
  bool residual;   /* added before the activation */
  bool reads_pool; /* dy is the gradient of a 2 x 2 pooling, which Winograd's kernels read instead */
  bool masks;      /* the gradient of a clamp is done on the way */
} ConvPiece;

/* How to compute it. */
typedef struct ConvChoice {
  ConvAlgorithm algorithm;
  ConvAlgorithm few; /* as NodeAttr's */
  int few_below;
} ConvChoice;

typedef struct TuningLine {
  const char *key;
  ConvChoice choice;
  Span key_span, choice_span;
  bool used, refused;
} TuningLine;

/* A piece of the module at hand, with what the model chose: kept for `netc tune`. */
typedef struct TuningPiece {
  ConvPiece piece;
  ConvChoice model;
  const char *key;
  const Node *node; /* the first that is such */
  const Function *function[2 + 4 * MAX_PHASES];
  int uses[2 + 4 * MAX_PHASES]; /* nodes like it in that function */
  int function_count;
} TuningPiece;

typedef struct Tuning {
  Arena *arena;
  const char *path;
  const char *network, *processor, *isa; /* "" where the file does not say */
  int threads, batch;                    /* 0 where it does not */
  TuningLine *lines;
  int line_count, line_capacity;
  bool collects; /* keep the pieces */
  TuningPiece *pieces;
  int piece_count, piece_capacity;
} Tuning;

/* Reads a file.  NULL: errors were reported, or (without an error) it is of another version of netc and is
 * left aside with a warning. */
Tuning *tuning_read(Arena *arena, Diag *diag, const char *path);
/* One without lines that keeps the pieces it is asked about. */
Tuning *tuning_collector(Arena *arena);
/* The file's choice for a piece in *choice, which holds the model's; unchanged where there is none.  A choice
 * that the piece's kernels cannot follow is an error at its line. */
void tuning_choose(Tuning *tuning, Diag *diag, const ConvPiece *piece, const Node *node, ConvChoice *choice);
/* Warns about lines that no piece of the module asked for. */
void tuning_warn_stale(const Tuning *tuning, Diag *diag, const Module *module);
/* "AMD EPYC, avx512, 2 threads, batch 32": what the file says it was measured for. */
const char *tuning_machine(const Tuning *tuning, Arena *arena);
/* The piece in words, as in the file. */
const char *tuning_key(Arena *arena, const ConvPiece *piece);
/* Whether a 2 x 2 pooling that follows can be worked in, at any number of images. */
bool tuning_choice_pools(ConvChoice choice);
/* "winograd6 direct below 3". */
const char *tuning_choice_text(Arena *arena, ConvChoice choice);
/* Whether a choice is one that the piece's kernels can follow; where not, *why says what they want. */
bool tuning_fits(const ConvPiece *piece, ConvChoice choice, const char **why);
/* "M.net" -> "M.tune". */
const char *tuning_path(Arena *arena, const char *net_path);
#endif
