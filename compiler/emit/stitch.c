/* The stitcher: what is kept, in which part of the file, and writing it. */
#include "stitch_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const EmbeddedFile *embedded_find(const EmbeddedFile *files, const char *path) {
  for (; files->path; files++)
    if (!strcmp(files->path, path))
      return files;
  return NULL;
}

static void need(Stitch *stitch, const char *word, const char *end) {
  if (names_add(&stitch->needed, word, (size_t)(end - word)))
    stitch->grew = true;
}

/* ---- interface ---- */

Stitch *stitch_new(void) {
  return stitch_must(calloc(1, sizeof(Stitch)));
}

void stitch_file(Stitch *stitch, const char *path) {
  for (int i = 0; i < stitch->included_count; i++)
    if (!strcmp(stitch->included[i], path))
      return;
  const EmbeddedFile *file = embedded_find(runtime_files, path);
  if (!file || stitch->included_count == STITCH_FILES) {
    fprintf(stderr, "netc: bug: runtime part `%s` is not embedded\n", path);
    abort();
  }
  int index = stitch->included_count++;
  stitch->included[index] = file->path;
  char folder[512];
  snprintf(folder, sizeof folder, "%s", path);
  char *slash = strrchr(folder, '/');
  *(slash ? slash + 1 : folder) = 0;
  stitch_parse(stitch, (const char *)file->bytes, file->length, index, folder);
}

void stitch_text(Stitch *stitch, const char *text) {
  size_t length = strlen(text);
  char *own = stitch_copy(text, length);
  stitch_add(stitch, CHUNK_FIXED, own, own + length, STITCH_FILES);
}

void stitch_source(Stitch *stitch, const char *text) {
  size_t length = strlen(text);
  if (stitch->owned_count == sizeof stitch->owned / sizeof *stitch->owned) {
    fprintf(stderr, "netc: bug: too many generated parts\n");
    abort();
  }
  char *own = stitch->owned[stitch->owned_count++] = stitch_copy(text, length);
  stitch_parse(stitch, own, length, STITCH_FILES, "");
}

void stitch_root(Stitch *stitch, const char *identifier) {
  need(stitch, identifier, identifier + strlen(identifier));
}

void stitch_repeat(Stitch *stitch, bool repeating) {
  stitch->repeating = repeating;
}

void stitch_around(Stitch *stitch, const char *before, const char *after) {
  stitch->before = stitch_copy(before, strlen(before));
  stitch->after = stitch_copy(after, strlen(after));
}

/* ---- what is kept ---- */

static void keep(Stitch *stitch, Chunk *chunk) {
  chunk->kept = true;
  stitch->file_used[chunk->file] = true;
  const char *p = chunk->text, *end = p + chunk->length, *after;
  for (const char *word; (word = stitch_word(p, end, &after)); p = after)
    need(stitch, word, after);
}

/* What decides a conditional around something kept is needed as well: a macro that is missing there counts as
 * 0, and the other branch would be taken without a word. */
static void need_conditions(Stitch *stitch) {
  for (int i = 0; i < stitch->count; i++) {
    if (stitch->chunks[i].kind != CHUNK_IF)
      continue;
    int depth = 0, end = i;
    bool used = false;
    for (; end < stitch->count; end++) {
      ChunkKind kind = stitch->chunks[end].kind;
      depth += (kind == CHUNK_IF) - (kind == CHUNK_ENDIF);
      used = used || (stitch->chunks[end].kept && kind == CHUNK_DEFINITION);
      if (!depth)
        break;
    }
    for (int m = i; used && m < end; m++) {
      const Chunk *chunk = &stitch->chunks[m];
      depth += (chunk->kind == CHUNK_IF) - (chunk->kind == CHUNK_ENDIF);
      if (depth == 1 && (chunk->kind == CHUNK_IF || chunk->kind == CHUNK_ELSE)) {
        const char *p = chunk->text, *stop = p + chunk->length, *after;
        for (const char *word; (word = stitch_word(p, stop, &after)); p = after)
          need(stitch, word, after);
      }
    }
  }
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
        wanted = wanted || names_have(&stitch->needed, chunk->names[k], strlen(chunk->names[k]));
      if (wanted) {
        keep(stitch, chunk);
        stitch->grew = true;
      }
    }
    need_conditions(stitch);
  } while (stitch->grew);
  for (int i = 0; i < stitch->count; i++) /* plain includes of a used file */
    if (stitch->chunks[i].kind == CHUNK_INCLUDE)
      stitch->chunks[i].kept = stitch->file_used[stitch->chunks[i].file];
}

/* ---- in which part ---- */

/* Parts of the file, in its order: once before, once per instruction set, once after. */
enum { PART_FIRST = 1, PART_EACH = 2, PART_LAST = 4 };

/* A type or constant: it may be the same for all instruction sets, unlike every function. */
static bool may_be_shared(const Chunk *chunk) {
  static const char *const begins[] = {"typedef", "struct", "enum", "union", "#define"};
  const char *last = chunk->text + chunk->length - 1;
  for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
    if (stitch_starts(chunk->text, chunk->text + chunk->length, begins[i]))
      return *last == ';' || *chunk->text == '#';
  return false;
}

static bool mentions(const Chunk *chunk, const NameSet *names) {
  const char *p = chunk->text, *end = p + chunk->length, *after;
  for (const char *word; (word = stitch_word(p, end, &after)); p = after)
    if (names_have(names, word, (size_t)(after - word)))
      return true;
  return false;
}

static void add_names(NameSet *set, const Chunk *chunk) {
  for (int k = 0; k < chunk->name_count; k++)
    names_add(set, chunk->names[k], strlen(chunk->names[k]));
}

/* Puts definitions of the repeated part that depend on no instruction set into the first part; `each` gets
 * the names of the others. */
static void share(const Stitch *stitch, unsigned char *part, NameSet *each) {
  int depth = 0;
  for (int i = 0; i < stitch->count; i++) {
    const Chunk *chunk = &stitch->chunks[i];
    depth += (chunk->kind == CHUNK_IF) - (chunk->kind == CHUNK_ENDIF);
    if (!chunk->kept || !chunk->repeated || chunk->kind != CHUNK_DEFINITION)
      continue;
    part[i] = depth || !may_be_shared(chunk) ? PART_EACH : PART_FIRST;
    if (part[i] == PART_EACH)
      add_names(each, chunk);
  }
  for (bool moved = true; moved;) {
    moved = false;
    for (int i = 0; i < stitch->count; i++) {
      const Chunk *chunk = &stitch->chunks[i];
      if (chunk->kept && chunk->repeated && part[i] == PART_FIRST && chunk->kind == CHUNK_DEFINITION &&
          mentions(chunk, each)) {
        part[i] = PART_EACH;
        add_names(each, chunk);
        moved = true;
      }
    }
  }
}

/* Conditionals stand in every part that something inside them stands in. */
static void place_conditionals(const Stitch *stitch, unsigned char *part) {
  for (int i = 0; i < stitch->count; i++) {
    if (stitch->chunks[i].kind != CHUNK_IF)
      continue;
    int depth = 0, end = i;
    unsigned char parts = 0;
    for (; end < stitch->count; end++) {
      ChunkKind kind = stitch->chunks[end].kind;
      depth += (kind == CHUNK_IF) - (kind == CHUNK_ENDIF);
      if (stitch->chunks[end].kept)
        parts |= part[end];
      if (!depth)
        break;
    }
    depth = 0;
    for (int m = i; m <= end && m < stitch->count; m++) {
      ChunkKind kind = stitch->chunks[m].kind;
      depth += kind == CHUNK_IF;
      if (depth == 1 && (kind == CHUNK_IF || kind == CHUNK_ELSE || kind == CHUNK_ENDIF))
        part[m] = parts;
      depth -= kind == CHUNK_ENDIF;
    }
  }
}

static unsigned char *find_parts(const Stitch *stitch, NameSet *each) {
  unsigned char *part = stitch_must(calloc((size_t)stitch->count + 1, 1));
  int last = 0;
  for (int i = 0; i < stitch->count; i++)
    if (stitch->chunks[i].repeated)
      last = i;
  for (int i = 0; i < stitch->count; i++)
    if (stitch->chunks[i].kept)
      part[i] = !stitch->before || i <= last ? PART_FIRST : PART_LAST;
  if (stitch->before)
    share(stitch, part, each);
  for (int i = 0; i < stitch->count; i++) /* a name cannot mean two things */
    if (stitch->chunks[i].kept && part[i] == PART_FIRST && mentions(&stitch->chunks[i], each)) {
      fprintf(stderr, "netc: bug: shared text needs what depends on the instruction set:\n%.*s\n",
              (int)stitch->chunks[i].length, stitch->chunks[i].text);
      abort();
    }
  place_conditionals(stitch, part);
  return part;
}

/* ---- writing ---- */

static bool included_before(const Stitch *stitch, int index) {
  const Chunk *chunk = &stitch->chunks[index];
  if (!stitch_starts(chunk->text, chunk->text + chunk->length, "#include"))
    return false;
  int depth = 0; /* conditional includes stay where they are */
  for (int i = index - 1; i >= 0; i--) {
    const Chunk *other = &stitch->chunks[i];
    depth += (other->kind == CHUNK_ENDIF) - (other->kind == CHUNK_IF);
    if (depth < 0 || (depth == 0 && other->kind == CHUNK_ELSE))
      return false;
    if (other->kept && other->kind == CHUNK_INCLUDE && depth == 0 && other->length == chunk->length &&
        !memcmp(other->text, chunk->text, chunk->length))
      return true;
  }
  return false;
}

static void write_chunk(const Stitch *stitch, const Chunk *chunk, const Prefix *prefix, int *file,
                        StrBuf *out) {
  if (chunk->kind == CHUNK_DEFINITION) {
    if (chunk->file != *file && chunk->file < STITCH_FILES)
      strbuf_printf(out, "\n/* ---- %s ---- */\n", stitch->included[chunk->file]);
    *file = chunk->file;
  }
  if (chunk->comment) {
    strbuf_puts(out, "\n");
    strbuf_add(out, chunk->comment, chunk->comment_length);
    strbuf_puts(out, "\n");
  } else if (chunk->kind == CHUNK_DEFINITION && memchr(chunk->text, '\n', chunk->length)) {
    strbuf_puts(out, "\n");
  }
  prefix_add(prefix, chunk->text, chunk->length, out);
  strbuf_puts(out, "\n");
}

static void write_part(const Stitch *stitch, const unsigned char *part, int which, const Prefix *prefix,
                       StrBuf *out) {
  int file = -1;
  for (int i = 0; i < stitch->count; i++)
    if (part[i] & which && !(stitch->chunks[i].kind == CHUNK_INCLUDE && included_before(stitch, i)))
      write_chunk(stitch, &stitch->chunks[i], prefix, &file, out);
}

/* `pattern`, once for every distinct name that the repeated part defines as a macro, or otherwise. */
static void write_names(const Stitch *stitch, const unsigned char *part, bool macros, const char *pattern,
                        const Prefix *prefix, StrBuf *out) {
  NameSet done = {0};
  for (int i = 0; i < stitch->count; i++) {
    const Chunk *chunk = &stitch->chunks[i];
    if (part[i] != PART_EACH || chunk->kind != CHUNK_DEFINITION || (*chunk->text == '#') != macros)
      continue;
    for (int k = 0; k < chunk->name_count; k++) {
      const char *name = chunk->names[k];
      if (!names_add(&done, name, strlen(name)))
        continue;
      StrBuf line = {0};
      for (const char *p = pattern; *p; p++)
        if (*p == '@')
          strbuf_puts(&line, name);
        else
          strbuf_add(&line, p, 1);
      prefix_add(prefix, line.text, line.length, out);
      strbuf_free(&line);
    }
  }
  names_free(&done);
}

static void free_stitch(Stitch *stitch) {
  for (int i = 0; i < stitch->count; i++) {
    for (int k = 0; k < stitch->chunks[i].name_count; k++)
      free(stitch->chunks[i].names[k]);
    free(stitch->chunks[i].names);
    if (stitch->chunks[i].kind == CHUNK_FIXED)
      free((char *)stitch->chunks[i].text);
  }
  for (int i = 0; i < stitch->owned_count; i++)
    free(stitch->owned[i]);
  names_free(&stitch->needed);
  free(stitch->before);
  free(stitch->after);
  free(stitch->chunks);
  free(stitch);
}

void stitch_finish(Stitch *stitch, const char *prefix, StrBuf *out) {
  reach(stitch);
  Prefix names = prefix_make(prefix, stitch);
  NameSet each = {0};
  unsigned char *part = find_parts(stitch, &each);
  write_part(stitch, part, PART_FIRST, &names, out);
  if (stitch->before) {
    strbuf_puts(out, "\n#if ISA_SEVERAL\n");
    write_names(stitch, part, false, "#define @ MODEL_EACH(@)\n", &names, out);
    strbuf_puts(out, "#endif\n");
    prefix_add(&names, stitch->before, strlen(stitch->before), out);
    write_part(stitch, part, PART_EACH, &names, out);
    strbuf_puts(out, "\n#if ISA_SEVERAL /* and once more */\n");
    write_names(stitch, part, true, "#undef @\n", &names, out);
    strbuf_puts(out, "#endif\n");
    prefix_add(&names, stitch->after, strlen(stitch->after), out);
    write_part(stitch, part, PART_LAST, &names, out);
  }
  names_free(&each);
  prefix_free(&names);
  free(part);
  free_stitch(stitch);
}
