/* What the files of the stitcher share: stitch_scan.c cuts texts into chunks, stitch_names.c keeps sets of
 * names and renames, stitch.c decides what is kept and writes it. */
#ifndef NETC_STITCH_INTERNAL_H
#define NETC_STITCH_INTERNAL_H
#include "stitch.h"
#include <stdbool.h>

typedef enum ChunkKind {
  CHUNK_DEFINITION, /* kept where one of its names is needed */
  CHUNK_FIXED,      /* generated text: always kept */
  CHUNK_INCLUDE,    /* #include <...>: kept where its file has something kept */
  CHUNK_IF,         /* #if, #ifdef, #ifndef */
  CHUNK_ELSE,       /* #else, #elif */
  CHUNK_ENDIF,
} ChunkKind;

typedef struct Chunk {
  ChunkKind kind;
  const char *text;
  size_t length;
  const char *comment; /* before it, or NULL */
  size_t comment_length;
  int file;
  bool kept;
  bool repeated; /* belongs to the part that is compiled once per instruction set */
  char **names;
  int name_count;
} Chunk;

/* An open-addressing set of strings that it owns. */
typedef struct NameSet {
  char **names;
  size_t count, size;
} NameSet;

bool names_add(NameSet *set, const char *text, size_t length); /* true: it is new */
bool names_have(const NameSet *set, const char *text, size_t length);
void names_free(NameSet *set);

enum { STITCH_FILES = 256 /* also the file number of generated text */ };

struct Stitch {
  Chunk *chunks;
  int count, capacity;
  const char *included[STITCH_FILES];
  int included_count;
  bool file_used[STITCH_FILES + 1];
  bool repeating;
  char *before, *after; /* texts around the repeated part, NULL: nothing is repeated */
  NameSet needed;
  bool grew;
  char *owned[16]; /* generated texts */
  int owned_count;
};

/* ---- stitch_scan.c ---- */

Chunk *stitch_add(Stitch *stitch, ChunkKind kind, const char *begin, const char *end, int file);
/* Cuts a text into chunks; includes of siblings are expanded in place. */
void stitch_parse(Stitch *stitch, const char *text, size_t length, int file, const char *folder);
/* The next identifier in [p, end) outside comments and literals: its start, *after behind it; NULL: none. */
const char *stitch_word(const char *p, const char *end, const char **after);
/* The end of a comment or literal that starts at p, or p itself where none does. */
const char *stitch_opaque(const char *p, const char *end);
bool stitch_starts(const char *p, const char *end, const char *with);

/* ---- stitch_names.c ---- */

void *stitch_must(void *p); /* memory or the end */
char *stitch_copy(const char *text, size_t length);

/* The network's name in the three ways it stands before names, and the names that the runtime itself defines.
 */
typedef struct Prefix {
  const char *lower;
  char upper[256], mixed[256];
  NameSet defined;
} Prefix;

Prefix prefix_make(const char *name, const Stitch *stitch);
void prefix_free(Prefix *prefix);
/* Text with model_, Model and MODEL_ exchanged for the network's prefix, outside strings. */
void prefix_add(const Prefix *prefix, const char *text, size_t length, StrBuf *out);
#endif
