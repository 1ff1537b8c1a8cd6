/* Puts one C file together from the parts of runtime/ that it uses.
 *
 * Parts are read from the files embedded in netc (runtime_files): includes of siblings are expanded once
 * each, text is cut at top-level definitions, and only definitions that something kept refers to are kept.
 * Names that start with model_, Model or MODEL_ take the network's own prefix; strings are left alone.
 *
 * Files that are added while stitch_repeat is on are compiled once per instruction set: the functions among
 * them, and types and macros that depend on vectors.  They stand together, between two given texts;
 * everything that was added before the last of them stands before, the rest after.  Where ISA_SEVERAL holds,
 * each of their names is a macro that adds the instruction set's. */
#ifndef NETC_STITCH_H
#define NETC_STITCH_H
#include "../strbuf.h"
#include <stdbool.h>

typedef struct EmbeddedFile {
  const char *path; /* "kernels/dense.h" */
  const unsigned char *bytes;
  unsigned long length;
} EmbeddedFile;

/* Made by the build from runtime/ and examples/zoo/; ends at path == NULL. */
extern const EmbeddedFile runtime_files[];
extern const EmbeddedFile zoo_files[];

const EmbeddedFile *embedded_find(const EmbeddedFile *files, const char *path); /* or NULL */

typedef struct Stitch Stitch;

Stitch *stitch_new(void);
/* The text of a runtime file and of what it includes, at this place of the output. */
void stitch_file(Stitch *stitch, const char *path);
/* Text that is kept whole and whose identifiers are roots. */
void stitch_text(Stitch *stitch, const char *text);
/* Generated C: cut at definitions and kept where needed, like a runtime file. */
void stitch_source(Stitch *stitch, const char *text);
/* What is added from here on is compiled once per instruction set, or once. */
void stitch_repeat(Stitch *stitch, bool repeating);
/* The texts before and after what is repeated. */
void stitch_around(Stitch *stitch, const char *before, const char *after);
/* A definition that is kept whether or not something refers to it. */
void stitch_root(Stitch *stitch, const char *identifier);
/* What MODEL_ and Model become: NAME in capitals and NameInCamelCase, 256 characters each. */
void stitch_names(const char *prefix, char *upper, char *mixed);
/* Writes all that is reachable to `out` and frees the stitch.  `prefix` is the network's name, a C
 * identifier. */
void stitch_finish(Stitch *stitch, const char *prefix, StrBuf *out);
#endif
