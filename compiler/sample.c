#include "sample.h"
#include "ast.h"
#include "elaborate.h"
#include <string.h>

static int64_t product(const char *shape) {
  int64_t count = 1, number = 0;
  for (;; shape++) {
    if (*shape >= '0' && *shape <= '9') {
      number = 10 * number + (*shape - '0');
      continue;
    }
    count *= number;
    number = 0;
    if (!*shape)
      return count;
  }
}

Graph *sample_graph(Arena *arena, Diag *diag, const OpSample *sample) {
  const char *text = "network sample {\n", *names = "";
  const char *open = strchr(sample->call, '(');
  int count = 0;
  int sizes = 1; /* what an input can be: flat, or an image */
  for (const char *at = sample->inputs; *at; at++)
    sizes += *at == 'x';
  if (!strchr(sample->inputs, ' ') && (sizes == 1 || sizes == 3)) {
    text = arena_printf(arena, "%s  input(%s)\n  %s\n}\n", text, sample->inputs, sample->call);
  } else {
    text = arena_printf(arena, "%s  flat = input(4)\n", text);
    for (const char *at = sample->inputs; *at;) {
      size_t length = strcspn(at, " ");
      const char *shape = arena_strndup(arena, at, length);
      text = arena_printf(arena, "%s  at%d = flat -> dense(%lld)%s%s%s\n", text, count,
                          (long long)product(shape), strchr(shape, 'x') ? " -> reshape(" : "",
                          strchr(shape, 'x') ? shape : "", strchr(shape, 'x') ? ")" : "");
      names = arena_printf(arena, "%s%sat%d", names, count ? ", " : "", count);
      count++;
      at += length + strspn(at + length, " ");
    }
    text = arena_printf(arena, "%s  %.*s(%s%s%s\n}\n", text, (int)(open - sample->call), sample->call, names,
                        open[1] == ')' ? "" : ", ", open + 1);
  }
  return elaborate_source(arena, diag, source_make(arena, "<sample>", text, strlen(text)), NULL);
}
