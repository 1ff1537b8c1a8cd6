/* Cuts C text at its top-level definitions and directives. */
#include "stitch_internal.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool word_start(char c) {
  return isalpha((unsigned char)c) || c == '_';
}

static bool word_part(char c) {
  return isalnum((unsigned char)c) || c == '_';
}

const char *stitch_opaque(const char *p, const char *end) {
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

const char *stitch_word(const char *p, const char *end, const char **after) {
  while (p < end) {
    const char *opaque = stitch_opaque(p, end);
    if (opaque != p) {
      p = opaque;
    } else if (word_start(*p)) {
      const char *start = p;
      while (p < end && word_part(*p))
        p++;
      *after = p;
      return start;
    } else if (isdigit((unsigned char)*p)) {
      while (p < end && (word_part(*p) || *p == '.'))
        p++;
    } else {
      p++;
    }
  }
  return NULL;
}

Chunk *stitch_add(Stitch *stitch, ChunkKind kind, const char *begin, const char *end, int file) {
  if (stitch->count == stitch->capacity) {
    stitch->capacity = stitch->capacity ? stitch->capacity * 2 : 256;
    stitch->chunks = stitch_must(realloc(stitch->chunks, sizeof *stitch->chunks * (size_t)stitch->capacity));
  }
  Chunk *chunk = &stitch->chunks[stitch->count++];
  *chunk = (Chunk){.kind = kind,
                   .text = begin,
                   .length = (size_t)(end - begin),
                   .file = file,
                   .repeated = stitch->repeating};
  return chunk;
}

static void add_name(Chunk *chunk, const char *text, size_t length) {
  chunk->names = stitch_must(realloc(chunk->names, sizeof *chunk->names * (size_t)(chunk->name_count + 1)));
  chunk->names[chunk->name_count++] = stitch_copy(text, length);
}

/* The names a top-level declaration defines: the word before the first outer `(`, `[`, `=` or `;`, a tag, a
 * typedef name, enumerators. */
static void find_names(Chunk *chunk) {
  const char *p = chunk->text, *end = p + chunk->length, *word = NULL, *body_end = p;
  size_t word_length = 0;
  int depth = 0;
  bool named = false, enumeration = false, tag_next = false, aggregate = false, expect = false;
  bool is_typedef = !strncmp(p, "typedef", 7);
  while (p < end) {
    const char *after = stitch_opaque(p, end);
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
      if (!--depth && aggregate && !named)
        body_end = p;
    } else if (*p == ',' && depth == 1) {
      expect = true;
    } else if ((*p == '=' || *p == ';') && !depth && !named && word) {
      if (word >= body_end) /* what follows the body, if anything does */
        add_name(chunk, word, word_length);
      named = true;
    }
    p++;
  }
}

bool stitch_starts(const char *p, const char *end, const char *with) {
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
  if (stitch_starts(word, stop, "include \"")) {
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
  } else if (stitch_starts(word, stop, "include")) {
    *made = stitch_add(stitch, CHUNK_INCLUDE, p, stop, file);
  } else if (stitch_starts(word, stop, "define")) {
    const char *name = word + 6;
    while (*name == ' ')
      name++;
    const char *after = name;
    while (word_part(*after))
      after++;
    *made = stitch_add(stitch, CHUNK_DEFINITION, p, stop, file);
    add_name(*made, name, (size_t)(after - name));
  } else if (stitch_starts(word, stop, "if")) {
    *made = stitch_add(stitch, CHUNK_IF, p, stop, file);
  } else if (stitch_starts(word, stop, "el")) {
    *made = stitch_add(stitch, CHUNK_ELSE, p, stop, file);
  } else if (stitch_starts(word, stop, "endif")) {
    *made = stitch_add(stitch, CHUNK_ENDIF, p, stop, file);
  } else {
    *made = stitch_add(stitch, CHUNK_INCLUDE, p, stop, file); /* #pragma, #undef: with its file */
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
    const char *after = stitch_opaque(p, end);
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

void stitch_parse(Stitch *stitch, const char *text, size_t length, int file, const char *folder) {
  const char *p = text, *end = text + length, *comment = NULL, *comment_end = NULL;
  bool guard = false; /* the #ifndef X / #define X pair at the top, and its #endif */
  int guard_first = stitch->count, seen = 0;
  while (p < end) {
    if (isspace((unsigned char)*p)) {
      p++;
      continue;
    }
    if (stitch_starts(p, end, "/*") || stitch_starts(p, end, "//")) {
      comment = p;
      p = comment_end = stitch_opaque(p, end);
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
      chunk = stitch_add(stitch, CHUNK_DEFINITION, begin, p, file);
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
