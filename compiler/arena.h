/* Memory that is freed all at once.
 *
 * Ownership law: whatever a function returns "from the arena" lives until arena_free of that arena; nobody
 * frees single objects.  The session owns one arena for sources, AST and the checked graph; a Module owns one
 * for the IR. */
#ifndef NETC_ARENA_H
#define NETC_ARENA_H
#include <stdarg.h>
#include <stddef.h>

typedef struct ArenaBlock ArenaBlock;
typedef struct Arena {
  ArenaBlock *block;
  size_t total_bytes;
} Arena;

/* Zeroed memory, aligned for any type.  Never returns NULL: running out of memory ends netc with a message.
 */
void *arena_alloc(Arena *arena, size_t bytes);
char *arena_strdup(Arena *arena, const char *text);
char *arena_strndup(Arena *arena, const char *text, size_t length);
char *arena_printf(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_free(Arena *arena);

#define arena_new(arena, Type)          ((Type *)arena_alloc((arena), sizeof(Type)))
#define arena_array(arena, Type, count) ((Type *)arena_alloc((arena), sizeof(Type) * (size_t)(count)))

/* Appends to a pointer/count/capacity triple kept in the arena (old storage stays until the arena goes). */
void *arena_grow(Arena *arena, void *items, int count, int *capacity, size_t item_bytes);
#define arena_push(arena, items, count, capacity, item)                                                      \
  ((items) = arena_grow((arena), (items), (count), &(capacity), sizeof *(items)), (items)[(count)++] = (item))
#endif
