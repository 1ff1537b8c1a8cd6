/* What the files of `netc tune` share: the pieces of work of a network with their candidates and times. */
#ifndef NETC_TUNE_H
#define NETC_TUNE_H
#include "tuning.h"

enum { TUNE_CANDIDATES = 2 * CONV_ALGORITHMS, TUNE_MOST_IMAGES = 3 };

/* An algorithm that could compute a piece; TUNE_CANDIDATES: each of them, pooling on the way and apart. */
typedef struct TuneCandidate {
  ConvAlgorithm algorithm;
  bool fused;                       /* with the pooling that follows */
  bool models;                      /* the model's choice needs it */
  int kernel;                       /* in the program's table */
  double seconds[TUNE_MOST_IMAGES]; /* 0: not timed */
} TuneCandidate;

typedef struct TunePiece {
  const TuningPiece *found;
  TuneCandidate candidates[TUNE_CANDIDATES];
  int first, count; /* `first`: the number of the first among those of all pieces */
  int images[TUNE_MOST_IMAGES], image_count;
  int64_t rest_bytes[TUNE_MOST_IMAGES]; /* that the network goes through besides, from one call to the next */
  ConvChoice choice;
  bool timed; /* the model's choice and those compared with it */
} TunePiece;

typedef struct TuneWork {
  Arena *arena;
  const Module *module;
  const char *isa; /* as --isa has it */
  int threads, batch;
  TunePiece *pieces;
  int piece_count, candidate_count, rounds;
} TuneWork;

/* The C text of the program that times all candidates; sets TuneCandidate.kernel. */
void tune_program(TuneWork *work, StrBuf *out);
/* Seconds that a choice takes at the number of images of that index; 0: not timed. */
double tune_seconds(const TunePiece *piece, ConvChoice choice, int index);
/* Chooses for every piece from the times. */
void tune_choose(TuneWork *work);
/* The file, and the report for the terminal. */
void tune_file(const TuneWork *work, StrBuf *out);
void tune_report(const TuneWork *work, StrBuf *out);
#endif
