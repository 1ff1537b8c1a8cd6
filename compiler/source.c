#include "ast.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCE_MAX_BYTES = 16 << 20 };

Source *source_make(Arena *arena, const char *path, const char *text, size_t length) {
  static int last_id;
  Source *source = arena_new(arena, Source);
  *source = (Source){.path = path, .text = text, .length = length, .id = ++last_id};
  return source;
}

Source *source_read(Arena *arena, Diag *diag, const char *path, const char *shown, Span at) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    diag_error(diag, at, "cannot read `%s`: %s", shown, strerror(errno));
    return NULL;
  }
  size_t capacity = 1 << 12, length = 0;
  char *text = malloc(capacity);
  while (text) {
    length += fread(text + length, 1, capacity - 1 - length, file);
    if (length < capacity - 1 || capacity > SOURCE_MAX_BYTES)
      break;
    char *grown = realloc(text, capacity *= 2);
    if (!grown)
      free(text);
    text = grown;
  }
  int failure = ferror(file) ? errno : text ? 0 : ENOMEM;
  fclose(file);
  Source *source = NULL;
  if (failure)
    diag_error(diag, at, "cannot read `%s`: %s", shown, strerror(failure));
  else if (length > SOURCE_MAX_BYTES)
    diag_error(diag, at, "`%s` is over %d MB: not a .net file", shown, SOURCE_MAX_BYTES >> 20);
  else if (memchr(text, 0, length))
    diag_error(diag, at, "`%s` holds zero bytes: not a text file", shown);
  else
    source = source_make(arena, arena_strdup(arena, shown), arena_strndup(arena, text, length), length);
  free(text);
  return source;
}

void source_position(const Source *source, int offset, int *line, int *column) {
  *line = 1;
  *column = 1;
  for (int i = 0; i < offset && (size_t)i < source->length; i++) {
    unsigned char byte = (unsigned char)source->text[i];
    if (byte == '\n') {
      ++*line;
      *column = 1;
    } else if ((byte & 0xC0) != 0x80) { /* not inside a UTF-8 sequence */
      ++*column;
    }
  }
}
