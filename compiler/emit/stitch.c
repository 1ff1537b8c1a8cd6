#include "stitch.h"
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
  char **names;
  int name_count;
} Chunk;

struct Stitch {
  Chunk *chunks;
  int count, capacity;
  const char *included[256];
  int included_count;
  bool file_used[257];
  /* needed identifiers: an open-addressing set */
  char **needed;
  size_t needed_count, needed_size;
  bool grew;
  char *owned[16]; /* generated texts */
  int owned_count;
};

static void *must(void *p) {
  if (!p) {
    fprintf(stderr, "netc: out of memory\n");
    exit(1);
  }
  return p;
}

static char *copy(const char *text, size_t length) {
  char *fresh = must(malloc(length + 1));
  memcpy(fresh, text, length);
  fresh[length] = 0;
  return fresh;
}

const EmbeddedFile *embedded_find(const EmbeddedFile *files, const char *path) {
  for (; files->path; files++)
    if (!strcmp(files->path, path))
      return files;
  return NULL;
}

/* ---- the set of needed identifiers ---- */

static size_t hash(const char *text, size_t length) {
  size_t h = 1469598103934665603u;
  for (size_t i = 0; i < length; i++)
    h = (h ^ (unsigned char)text[i]) * 1099511628211u;
  return h;
}

static char **slot(Stitch *stitch, const char *text, size_t length) {
  size_t at = hash(text, length) & (stitch->needed_size - 1);
  while (stitch->needed[at] && (strncmp(stitch->needed[at], text, length) || stitch->needed[at][length]))
    at = (at + 1) & (stitch->needed_size - 1);
  return &stitch->needed[at];
}

static void need(Stitch *stitch, const char *text, size_t length) {
  if (stitch->needed_count * 2 >= stitch->needed_size) {
    char **old = stitch->needed;
    size_t size = stitch->needed_size;
    stitch->needed_size = size ? size * 2 : 1024;
    stitch->needed = must(calloc(stitch->needed_size, sizeof *stitch->needed));
    for (size_t i = 0; i < size; i++)
      if (old[i])
        *slot(stitch, old[i], strlen(old[i])) = old[i];
    free(old);
  }
  char **place = slot(stitch, text, length);
  if (*place)
    return;
  *place = copy(text, length);
  stitch->needed_count++;
  stitch->grew = true;
}

static bool is_needed(Stitch *stitch, const char *name) {
  return stitch->needed_size && *slot(stitch, name, strlen(name));
}

/* ---- scanning C ---- */

static bool word_start(char c) {
  return isalpha((unsigned char)c) || c == '_';
}

static bool word_part(char c) {
  return isalnum((unsigned char)c) || c == '_';
}

/* The end of a comment or literal that starts at p, or p itself where none does. */
static const char *skip_opaque(const char *p, const char *end) {
  if (p + 1 < end && p[0] == '/' && p[1] == '*') {
    for (p += 2; p + 1 < end && !(p[0] == '*' && p[1] == '/'); p++) {
    }
    return p + 2 < end ? p + 2 : end;
  }
  if (p + 1 < end && p[0] == '/' && p[1] == '/') {
    while (p < end && *p != '\n')
      p++;
    return p;
  }
  if (*p == '"' || *p == '\'') {
    char quote = *p;
    for (p++; p < end && *p != quote; p++)
      if (*p == '\\')
        p++;
    return p < end ? p + 1 : end;
  }
  return p;
}

static void need_words(Stitch *stitch, const char *p, const char *end) {
  while (p < end) {
    const char *after = skip_opaque(p, end);
    if (after != p) {
      p = after;
    } else if (word_start(*p)) {
      const char *start = p;
      while (p < end && word_part(*p))
        p++;
      need(stitch, start, (size_t)(p - start));
    } else if (isdigit((unsigned char)*p)) {
      while (p < end && (word_part(*p) || *p == '.'))
        p++;
    } else {
      p++;
    }
  }
}

static Chunk *add_chunk(Stitch *stitch, ChunkKind kind, const char *begin, const char *end, int file) {
  if (stitch->count == stitch->capacity) {
    stitch->capacity = stitch->capacity ? stitch->capacity * 2 : 256;
    stitch->chunks = must(realloc(stitch->chunks, sizeof *stitch->chunks * (size_t)stitch->capacity));
  }
  Chunk *chunk = &stitch->chunks[stitch->count++];
  *chunk = (Chunk){.kind = kind, .text = begin, .length = (size_t)(end - begin), .file = file};
  return chunk;
}

static void add_name(Chunk *chunk, const char *text, size_t length) {
  chunk->names = must(realloc(chunk->names, sizeof *chunk->names * (size_t)(chunk->name_count + 1)));
  chunk->names[chunk->name_count++] = copy(text, length);
}

/* The names a top-level declaration defines: the word before the first outer `(`, `[`, `=` or `;`, a tag, a
 * typedef name, enumerators. */
static void find_names(Chunk *chunk) {
  const char *p = chunk->text, *end = p + chunk->length, *word = NULL;
  size_t word_length = 0;
  int depth = 0;
  bool named = false, enumeration = false, tag_next = false, aggregate = false, expect = false;
  bool is_typedef = !strncmp(p, "typedef", 7);
  while (p < end) {
    const char *after = skip_opaque(p, end);
    if (after != p) {
      p = after;
      continue;
    }
    if (word_start(*p)) {
      word = p;
      while (p < end && word_part(*p))
        p++;
      word_length = (size_t)(p - word);
      if (!depth && (!strncmp(word, "struct", word_length) || !strncmp(word, "union", word_length) ||
                     !strncmp(word, "enum", word_length))) {
        enumeration = word[0] == 'e';
        tag_next = true;
        continue;
      }
      if (!depth && tag_next) { /* a tag, defined here only if a body follows */
        const char *q = p;
        while (q < end && isspace((unsigned char)*q))
          q++;
        if (*q == '{' || (*q == ';' && !is_typedef) || is_typedef)
          add_name(chunk, word, word_length);
      }
      tag_next = false;
      if (enumeration && depth == 1 && expect) {
        add_name(chunk, word, word_length);
        expect = false;
      }
      continue;
    }
    tag_next = tag_next && *p != '{';
    if (*p == '{') {
      aggregate = aggregate || (!depth && !named);
      expect = ++depth == 1;
    } else if (*p == '(' || *p == '[') {
      if (!depth && !named && word && !is_typedef) {
        add_name(chunk, word, word_length);
        named = true;
      } else if (!depth && is_typedef && !named && *p == '(' && p + 1 < end && p[1] == '*') {
        const char *q = p + 2;
        while (q < end && word_part(*q))
          q++;
        add_name(chunk, p + 2, (size_t)(q - p - 2));
        named = true;
      } else if (!depth && is_typedef && !named && word) {
        add_name(chunk, word, word_length);
        named = true;
      }
      depth++;
    } else if (*p == '}' || *p == ')' || *p == ']') {
      depth--;
    } else if (*p == ',' && depth == 1) {
      expect = true;
    } else if ((*p == '=' || *p == ';') && !depth && !named && word) {
      if (!(aggregate && word < chunk->text))
        add_name(chunk, word, word_length);
      named = true;
    }
    p++;
  }
}

static bool starts(const char *p, const char *end, const char *with) {
  size_t length = strlen(with);
  return (size_t)(end - p) >= length && !memcmp(p, with, length);
}

static const char *line_end(const char *p, const char *end) {
  while (p < end && *p != '\n')
    p += *p == '\\' && p + 1 < end ? 2 : 1;
  return p < end ? p : end;
}

/* One directive at p; returns its end.  Guards and sibling includes leave nothing behind. */
static const char *take_directive(Stitch *stitch, const char *p, const char *end, int file,
                                  const char *folder, Chunk **made) {
  const char *stop = line_end(p, end), *word = p + 1;
  *made = NULL;
  while (*word == ' ')
    word++;
  if (starts(word, stop, "include \"")) {
    const char *name = word + 9, *quote = memchr(name, '"', (size_t)(stop - name));
    char path[512], parts[512];
    snprintf(parts, sizeof parts, "%s%.*s", folder, (int)(quote - name), name);
    /* "train/../data/x.h" -> "data/x.h" */
    path[0] = 0;
    for (char *part = strtok(parts, "/"); part; part = strtok(NULL, "/")) {
      if (!strcmp(part, "..")) {
        char *slash = strrchr(path, '/');
        *(slash ? slash : path) = 0;
      } else if (strcmp(part, ".")) {
        snprintf(path + strlen(path), sizeof path - strlen(path), "%s%s", *path ? "/" : "", part);
      }
    }
    stitch_file(stitch, path);
  } else if (starts(word, stop, "include")) {
    *made = add_chunk(stitch, CHUNK_INCLUDE, p, stop, file);
  } else if (starts(word, stop, "define")) {
    const char *name = word + 6;
    while (*name == ' ')
      name++;
    const char *after = name;
    while (word_part(*after))
      after++;
    *made = add_chunk(stitch, CHUNK_DEFINITION, p, stop, file);
    add_name(*made, name, (size_t)(after - name));
  } else if (starts(word, stop, "if")) {
    *made = add_chunk(stitch, CHUNK_IF, p, stop, file);
  } else if (starts(word, stop, "el")) {
    *made = add_chunk(stitch, CHUNK_ELSE, p, stop, file);
  } else if (starts(word, stop, "endif")) {
    *made = add_chunk(stitch, CHUNK_ENDIF, p, stop, file);
  } else {
    *made = add_chunk(stitch, CHUNK_INCLUDE, p, stop, file); /* #pragma, #undef: with its file */
  }
  return stop;
}

/* A declaration or definition at p; returns its end: a `;` outside braces, or the brace that closes a
 * function. */
static const char *take_declaration(const char *p, const char *end) {
  int depth = 0;
  bool function = false;
  char last = 0;
  while (p < end) {
    const char *after = skip_opaque(p, end);
    if (after != p) {
      p = after;
      continue;
    }
    if (*p == '#' && (last == 0 || p[-1] == '\n')) { /* a directive inside a body */
      p = line_end(p, end);
      continue;
    }
    if (*p == '{' && !depth)
      function = last == ')';
    if (*p == '{' || *p == '(' || *p == '[')
      depth++;
    if (*p == '}' || *p == ')' || *p == ']')
      depth--;
    if (!depth && (*p == ';' || (*p == '}' && function)))
      return p + 1;
    if (!isspace((unsigned char)*p))
      last = *p;
    p++;
  }
  return end;
}

static void parse(Stitch *stitch, const char *text, size_t length, int file, const char *folder) {
  const char *p = text, *end = text + length, *comment = NULL, *comment_end = NULL;
  bool guard = false; /* the #ifndef X / #define X pair at the top, and its #endif */
  int guard_first = stitch->count, seen = 0;
  while (p < end) {
    if (isspace((unsigned char)*p)) {
      p++;
      continue;
    }
    if (starts(p, end, "/*") || starts(p, end, "//")) {
      comment = p;
      p = comment_end = skip_opaque(p, end);
      continue;
    }
    Chunk *chunk = NULL;
    if (*p == '#') {
      p = take_directive(stitch, p, end, file, folder, &chunk);
      if (!seen && chunk && chunk->kind == CHUNK_IF) {
        guard = true;
        guard_first = stitch->count - 1;
      } else if (seen == 1 && guard && chunk && chunk->kind == CHUNK_DEFINITION) {
        stitch->count = guard_first; /* drop the guard pair */
        chunk = NULL;
      }
      seen++;
    } else {
      const char *begin = p;
      p = take_declaration(p, end);
      chunk = add_chunk(stitch, CHUNK_DEFINITION, begin, p, file);
      find_names(chunk);
      seen += 2;
    }
    if (chunk && comment) {
      chunk->comment = comment;
      chunk->comment_length = (size_t)(comment_end - comment);
    }
    if (seen > 2 || chunk)
      comment = NULL;
  }
  if (guard && stitch->count && stitch->chunks[stitch->count - 1].kind == CHUNK_ENDIF)
    stitch->count--;
}

/* ---- interface ---- */

Stitch *stitch_new(void) {
  return must(calloc(1, sizeof(Stitch)));
}

void stitch_file(Stitch *stitch, const char *path) {
  for (int i = 0; i < stitch->included_count; i++)
    if (!strcmp(stitch->included[i], path))
      return;
  const EmbeddedFile *file = embedded_find(runtime_files, path);
  if (!file || stitch->included_count == 256) {
    fprintf(stderr, "netc: bug: runtime part `%s` is not embedded\n", path);
    abort();
  }
  int index = stitch->included_count++;
  stitch->included[index] = file->path;
  char folder[512];
  snprintf(folder, sizeof folder, "%s", path);
  char *slash = strrchr(folder, '/');
  *(slash ? slash + 1 : folder) = 0;
  parse(stitch, (const char *)file->bytes, file->length, index, folder);
}

void stitch_text(Stitch *stitch, const char *text) {
  size_t length = strlen(text);
  char *own = copy(text, length);
  add_chunk(stitch, CHUNK_FIXED, own, own + length, 256);
}

void stitch_source(Stitch *stitch, const char *text) {
  size_t length = strlen(text);
  if (stitch->owned_count == sizeof stitch->owned / sizeof *stitch->owned) {
    fprintf(stderr, "netc: bug: too many generated parts\n");
    abort();
  }
  char *own = stitch->owned[stitch->owned_count++] = copy(text, length);
  parse(stitch, own, length, 256, "");
}

void stitch_root(Stitch *stitch, const char *identifier) {
  need(stitch, identifier, strlen(identifier));
}

static void keep(Stitch *stitch, Chunk *chunk) {
  chunk->kept = true;
  stitch->file_used[chunk->file] = true;
  need_words(stitch, chunk->text, chunk->text + chunk->length);
}

static void reach(Stitch *stitch) {
  for (int i = 0; i < stitch->count; i++)
    if (stitch->chunks[i].kind == CHUNK_FIXED)
      keep(stitch, &stitch->chunks[i]);
  do {
    stitch->grew = false;
    for (int i = 0; i < stitch->count; i++) {
      Chunk *chunk = &stitch->chunks[i];
      if (chunk->kept || chunk->kind != CHUNK_DEFINITION)
        continue;
      bool wanted = false;
      for (int k = 0; k < chunk->name_count; k++)
        wanted = wanted || is_needed(stitch, chunk->names[k]);
      if (wanted) {
        keep(stitch, chunk);
        stitch->grew = true;
      }
    }
  } while (stitch->grew);
  /* Plain includes of a used file; conditionals that have something inside. */
  for (int i = 0; i < stitch->count; i++)
    if (stitch->chunks[i].kind == CHUNK_INCLUDE)
      stitch->chunks[i].kept = stitch->file_used[stitch->chunks[i].file];
  for (int i = 0; i < stitch->count; i++) {
    if (stitch->chunks[i].kind != CHUNK_IF)
      continue;
    int depth = 0, k = i;
    bool inside = false;
    for (; k < stitch->count; k++) {
      ChunkKind kind = stitch->chunks[k].kind;
      depth += (kind == CHUNK_IF) - (kind == CHUNK_ENDIF);
      inside = inside || ((kind == CHUNK_DEFINITION || kind == CHUNK_FIXED || kind == CHUNK_INCLUDE) &&
                          stitch->chunks[k].kept);
      if (!depth)
        break;
    }
    if (!inside)
      continue;
    depth = 0;
    for (int m = i; m <= k && m < stitch->count; m++) {
      ChunkKind kind = stitch->chunks[m].kind;
      if (kind == CHUNK_IF)
        depth++;
      if (depth == 1 && (kind == CHUNK_IF || kind == CHUNK_ELSE || kind == CHUNK_ENDIF))
        stitch->chunks[m].kept = true;
      if (kind == CHUNK_ENDIF)
        depth--;
    }
  }
}

static void camel(const char *name, char *out) {
  bool upper = true;
  for (; *name; name++) {
    if (*name == '_')
      upper = true;
    else {
      *out++ = (char)(upper ? toupper((unsigned char)*name) : *name);
      upper = false;
    }
  }
  *out = 0;
}

void stitch_names(const char *prefix, char *upper, char *mixed) {
  snprintf(upper, 256, "%s", prefix);
  for (char *c = upper; *c; c++)
    *c = (char)toupper((unsigned char)*c);
  camel(prefix, mixed);
}

/* The network's name in the three ways it stands before names. */
typedef struct Prefix {
  const char *lower;
  char upper[256], mixed[256];
  const Stitch *defined; /* its `needed` set is reused: names that the runtime itself defines */
} Prefix;

static bool begins_name(const char *word, const char *end, const char *prefix, bool mixed) {
  size_t length = strlen(prefix);
  if (!starts(word, end, prefix))
    return false;
  return word + length == end || (mixed ? isupper((unsigned char)word[length]) != 0 : word[length] == '_');
}

/* A name of the runtime that the network's own names could be taken for (a network called `act`, the type
 * `Act`). */
static bool collides(const Prefix *prefix, const char *word, const char *end) {
  if (!begins_name(word, end, prefix->lower, false) && !begins_name(word, end, prefix->upper, false) &&
      !begins_name(word, end, prefix->mixed, true))
    return false;
  return prefix->defined->needed_size && *slot((Stitch *)prefix->defined, word, (size_t)(end - word));
}

/* Text with model_, Model and MODEL_ exchanged for the network's prefix, outside strings. */
static void add_renamed(const char *p, size_t length, const Prefix *prefix, StrBuf *out) {
  const char *end = p + length;
  while (p < end) {
    const char *after = skip_opaque(p, end);
    if (after != p) {
      strbuf_add(out, p, (size_t)(after - p));
      p = after;
    } else if (word_start(*p)) {
      const char *word = p;
      while (p < end && word_part(*p))
        p++;
      if (starts(word, p, "model_"))
        strbuf_printf(out, "%s_%.*s", prefix->lower, (int)(p - word - 6), word + 6);
      else if (starts(word, p, "MODEL_"))
        strbuf_printf(out, "%s_%.*s", prefix->upper, (int)(p - word - 6), word + 6);
      else if (starts(word, p, "Model") && (p - word == 5 || isupper((unsigned char)word[5])))
        strbuf_printf(out, "%s%.*s", prefix->mixed, (int)(p - word - 5), word + 5);
      else
        strbuf_printf(out, "%s%.*s", collides(prefix, word, p) ? "netc_" : "", (int)(p - word), word);
    } else {
      strbuf_add(out, p, 1);
      p++;
    }
  }
}

static Prefix make_prefix(const char *name, Stitch *stitch, Stitch *defined) {
  Prefix prefix = {.lower = name, .defined = defined};
  snprintf(prefix.upper, sizeof prefix.upper, "%s", name);
  for (char *c = prefix.upper; *c; c++)
    *c = (char)toupper((unsigned char)*c);
  camel(name, prefix.mixed);
  for (int i = 0; i < stitch->count; i++)
    for (int k = 0; k < stitch->chunks[i].name_count; k++)
      need(defined, stitch->chunks[i].names[k], strlen(stitch->chunks[i].names[k]));
  return prefix;
}

static bool included_before(const Stitch *stitch, int index) {
  const Chunk *chunk = &stitch->chunks[index];
  if (!starts(chunk->text, chunk->text + chunk->length, "#include"))
    return false;
  int depth = 0; /* conditional includes stay where they are */
  for (int i = index - 1; i >= 0; i--) {
    const Chunk *other = &stitch->chunks[i];
    depth += (other->kind == CHUNK_ENDIF) - (other->kind == CHUNK_IF);
    if (depth < 0)
      return false;
    if (other->kept && other->kind == CHUNK_INCLUDE && depth == 0 && other->length == chunk->length &&
        !memcmp(other->text, chunk->text, chunk->length))
      return true;
  }
  return false;
}

void stitch_finish(Stitch *stitch, const char *prefix, StrBuf *out) {
  reach(stitch);
  Stitch defined = {0};
  Prefix names = make_prefix(prefix, stitch, &defined);
  int file = -1;
  for (int i = 0; i < stitch->count; i++) {
    const Chunk *chunk = &stitch->chunks[i];
    if (!chunk->kept || (chunk->kind == CHUNK_INCLUDE && included_before(stitch, i)))
      continue;
    if (chunk->file != file && chunk->file < 256 && chunk->kind == CHUNK_DEFINITION)
      strbuf_printf(out, "\n/* ---- %s ---- */\n", stitch->included[chunk->file]);
    if (chunk->kind == CHUNK_DEFINITION)
      file = chunk->file;
    if (chunk->comment) {
      strbuf_puts(out, "\n");
      strbuf_add(out, chunk->comment, chunk->comment_length);
      strbuf_puts(out, "\n");
    } else if (chunk->kind == CHUNK_DEFINITION && memchr(chunk->text, '\n', chunk->length)) {
      strbuf_puts(out, "\n");
    }
    add_renamed(chunk->text, chunk->length, &names, out);
    strbuf_puts(out, "\n");
  }
  for (int i = 0; i < stitch->count; i++) {
    for (int k = 0; k < stitch->chunks[i].name_count; k++)
      free(stitch->chunks[i].names[k]);
    free(stitch->chunks[i].names);
    if (stitch->chunks[i].kind == CHUNK_FIXED)
      free((char *)stitch->chunks[i].text);
  }
  for (size_t i = 0; i < defined.needed_size; i++)
    free(defined.needed[i]);
  free(defined.needed);
  for (size_t i = 0; i < stitch->needed_size; i++)
    free(stitch->needed[i]);
  for (int i = 0; i < stitch->owned_count; i++)
    free(stitch->owned[i]);
  free(stitch->needed);
  free(stitch->chunks);
  free(stitch);
}
