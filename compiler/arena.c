#include "arena.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ArenaBlock {
  ArenaBlock *next;
  size_t used, size;
  max_align_t data[];
};

enum { BLOCK_BYTES = 64 * 1024 };

void *arena_alloc(Arena *arena, size_t bytes) {
  const size_t align = sizeof(max_align_t);
  bytes = (bytes + align - 1) / align * align;
  ArenaBlock *block = arena->block;
  if (!block || block->size - block->used < bytes) {
    size_t size = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES;
    ArenaBlock *fresh = calloc(1, sizeof *fresh + size);
    if (!fresh) {
      fprintf(stderr, "netc: out of memory\n");
      exit(1);
    }
    fresh->size = size;
    arena->total_bytes += size;
    if (size == bytes && block) { /* a big object: keep filling the current block */
      fresh->next = block->next;
      block->next = fresh;
    } else {
      fresh->next = block;
      arena->block = fresh;
    }
    block = fresh;
  }
  void *p = (char *)block->data + block->used;
  block->used += bytes;
  return p;
}

char *arena_strndup(Arena *arena, const char *text, size_t length) {
  char *copy = arena_alloc(arena, length + 1);
  memcpy(copy, text, length);
  return copy;
}

char *arena_strdup(Arena *arena, const char *text) {
  return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(Arena *arena, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  char *text = arena_alloc(arena, (size_t)length + 1);
  vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  return text;
}

void *arena_grow(Arena *arena, void *items, int count, int *capacity, size_t item_bytes) {
  if (count < *capacity)
    return items;
  *capacity = *capacity ? *capacity * 2 : 8;
  void *grown = arena_alloc(arena, (size_t)*capacity * item_bytes);
  if (count)
    memcpy(grown, items, (size_t)count * item_bytes);
  return grown;
}

void arena_free(Arena *arena) {
  for (ArenaBlock *block = arena->block; block;) {
    ArenaBlock *next = block->next;
    free(block);
    block = next;
  }
  *arena = (Arena){0};
}
