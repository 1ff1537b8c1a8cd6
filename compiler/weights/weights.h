/* A Keras weights file as the bytes that emitted programs carry or read beside them (runtime/api/blob.h). */
#ifndef NETC_WEIGHTS_H
#define NETC_WEIGHTS_H
#include "../ir.h"

typedef struct WeightBlob {
  unsigned char *bytes; /* freed by weights_free */
  size_t length;
  double half_error;        /* with 16-bit floats: the largest |change| / largest |weight| of any array */
  const char **class_names; /* from the file, in the arena, or NULL */
  int class_count;
} WeightBlob;

typedef enum WeightKind {
  WEIGHTS_FLOAT,
  WEIGHTS_HALF,     /* 16-bit floats */
  WEIGHTS_PREPARED, /* to be used in place: packed and folded as well, where prepare.h can */
} WeightKind;

/* Pairs the file's layers with the network's, by order or by name as the file has them; every mismatch is
 * reported on stderr and false returned. */
bool weights_blob(const Module *module, const char *path, WeightKind kind, Arena *arena, WeightBlob *blob);
void weights_free(WeightBlob *blob);
#endif
