/* From a .net file to a checked Graph. */
#ifndef NETC_ELABORATE_H
#define NETC_ELABORATE_H
#include "graph.h"
#include "strbuf.h"

typedef struct ElaborateOptions {
  const char *network;        /* which network of the file; NULL: the last one */
  const char *const *folders; /* where imports are looked for after the file's own folder */
  int folder_count;
  /* A file that netc carries ("zoo/vgg16.net"): its text and length, or NULL.  May itself be NULL. */
  const char *(*builtin_file)(const char *path, size_t *length);
  const char *const *parameters; /* "alpha = 0.5": parameters of the network, given on the command line */
  int parameter_count;
  bool blocks_only; /* a file of blocks for others to import is no error: NULL is returned, and no error
                       reported */
} ElaborateOptions;

/* Reads, parses and checks a file.  Returns NULL where there were errors, all reported through `diag`.
 * `options` may be NULL. */
Graph *elaborate_file(Arena *arena, Diag *diag, const char *path, const ElaborateOptions *options);
/* The same for a text in memory; its path is used in messages and to find imports and weights. */
Graph *elaborate_source(Arena *arena, Diag *diag, const Source *source, const ElaborateOptions *options);
/* Appends the settings of a `train` section, a line each: how one is written, what it says. */
void train_settings_text(StrBuf *out); /* train.c */
#endif
