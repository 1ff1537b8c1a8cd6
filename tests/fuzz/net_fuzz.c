/* Feeds damaged .net files to the front end: whatever a file holds, it is refused with messages or accepted,
 * and what is accepted shows as a file that is accepted again.  Run under the sanitizers.
 *
 *   net_fuzz ROUNDS SEED FILE...    mutates the files; the same seed gives the same texts
 *   net_fuzz 0 0 FILE...            tries the files as they are (a corpus of what once failed)
 *
 * With -DNET_FUZZ_LIBFUZZER it is a libFuzzer target instead. */
#include "elaborate.h"
#include "lint.h"
#include "show.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 16 };

static bool accepted(const char *text, size_t length, StrBuf *shown) {
  Arena arena = {0};
  Diag diag = {.arena = &arena, .quiet = true};
  char *copy = arena_strndup(&arena, text, length);
  Source source = {.path = "examples/fuzz.net", .text = copy, .length = strlen(copy)};
  const Graph *graph = elaborate_source(&arena, &diag, &source, NULL);
  if (!graph && !diag.errors) {
    fprintf(stderr, "refused without a message:\n%s\n", copy);
    abort();
  }
  if (graph) {
    lint_graph(graph, &arena, &diag);
    show_graph(graph, shown);
  }
  arena_free(&arena);
  return graph != NULL;
}

static bool try_text(const char *text, size_t length) {
  StrBuf once = {0}, twice = {0};
  bool good = accepted(text, length, &once);
  if (good && once.text && once.length < TEXT_MAX &&
      (!accepted(once.text, once.length, &twice) || strcmp(once.text, twice.text))) {
    fprintf(stderr, "shows as something else:\n%.*s\n---- once\n%s\n---- twice\n%s\n", (int)length, text,
            once.text, twice.text ? twice.text : "(refused)");
    abort();
  }
  strbuf_free(&once);
  strbuf_free(&twice);
  return good;
}

#ifdef NET_FUZZ_LIBFUZZER
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
  try_text((const char *)data, size);
  return 0;
}
#else
static unsigned long long state;

static size_t draw(size_t below) { /* xorshift64 */
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return below ? (size_t)(state % below) : 0;
}

/* Pieces that mean something to the language. */
static const char *const pieces[] = {
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ";",
    "\n",
    "->",
    "..",
    ":",
    "=",
    "==",
    "\"",
    "\\",
    "#",
    "-",
    "/",
    "//",
    "**",
    "%",
    "in",
    "for i in 1..3 {",
    "if ",
    "else ",
    "not ",
    "up to ",
    "freeze all\n",
    "unfreeze ",
    "all but ",
    "weights ",
    "from ",
    "none",
    "true",
    "0",
    "1",
    "-1",
    "3x3",
    "0x0",
    "99999999999",
    "1e308",
    "512MB",
    "conv2d(4, 3x3)\n",
    "relu()\n",
    "input(4x4x3)\n",
    "dense(3)\n",
    "flatten()\n",
    "add(a, b)\n",
    "x = ",
    "name = \"a\"",
    "block b(n) {",
    "network n {",
    "train {",
    "phase \"p\" {",
    "import \"zoo/vgg16.net\"\n",
    "\xc3\xa9",
    "\xff",
    "\t",
    "{x}",
    "same",
    "reshape((-1, 2))\n",
    "strides = 2",
    "require ",
};

static size_t mutate(char *text, size_t length) {
  for (size_t times = 1 + draw(4); times > 0; times--) {
    size_t at = draw(length + 1), count = draw(12), from = draw(length + 1);
    switch (draw(5)) {
    case 0: /* cut */
      count = count > length - at ? length - at : count;
      memmove(text + at, text + at + count, length - at - count);
      length -= count;
      break;
    case 1: /* another byte */
      if (at < length)
        text[at] = (char)(1 + draw(255));
      break;
    case 2: /* move a stretch elsewhere */
      count = draw(60) > length - from ? length - from : draw(60);
      if (from + count > length)
        count = length - from;
      if (length + count < TEXT_MAX) {
        char stretch[64];
        memcpy(stretch, text + from, count);
        memmove(text + at + count, text + at, length - at);
        memcpy(text + at, stretch, count);
        length += count;
      }
      break;
    default: { /* a piece of the language */
      const char *piece = pieces[draw(sizeof pieces / sizeof *pieces)];
      size_t bytes = strlen(piece);
      if (length + bytes < TEXT_MAX) {
        memmove(text + at + bytes, text + at, length - at);
        memcpy(text + at, piece, bytes);
        length += bytes;
      }
    }
    }
  }
  return length;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: net_fuzz ROUNDS SEED FILE...\n");
    return 2;
  }
  long rounds = atol(argv[1]), good = 0, tried = 0;
  state = strtoull(argv[2], NULL, 10) * 2654435761u + 88172645463325252u;
  static char original[TEXT_MAX], text[TEXT_MAX + 64];
  for (int i = 3; i < argc; i++) {
    FILE *file = fopen(argv[i], "rb");
    size_t length = file ? fread(original, 1, TEXT_MAX / 2, file) : 0;
    if (!file) {
      fprintf(stderr, "net_fuzz: cannot read %s\n", argv[i]);
      return 2;
    }
    fclose(file);
    good += try_text(original, length);
    tried++;
    for (long round = 0; round < rounds; round++) {
      memcpy(text, original, length);
      size_t bytes = mutate(text, length);
      good += try_text(text, bytes);
      tried++;
    }
  }
  printf("%ld texts, %ld accepted\n", tried, good);
  return 0;
}
#endif
