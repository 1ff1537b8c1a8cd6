/* Sets of names, and the network's prefix in place of `model`. */
#include "stitch_internal.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *stitch_must(void *p) {
  if (!p) {
    fprintf(stderr, "netc: out of memory\n");
    exit(1);
  }
  return p;
}

char *stitch_copy(const char *text, size_t length) {
  char *fresh = stitch_must(malloc(length + 1));
  memcpy(fresh, text, length);
  fresh[length] = 0;
  return fresh;
}

/* ---- sets ---- */

static size_t hash(const char *text, size_t length) {
  size_t h = 1469598103934665603u;
  for (size_t i = 0; i < length; i++)
    h = (h ^ (unsigned char)text[i]) * 1099511628211u;
  return h;
}

static char **place_of(const NameSet *set, const char *text, size_t length) {
  size_t at = hash(text, length) & (set->size - 1);
  while (set->names[at] && (strncmp(set->names[at], text, length) || set->names[at][length]))
    at = (at + 1) & (set->size - 1);
  return &set->names[at];
}

bool names_add(NameSet *set, const char *text, size_t length) {
  if (set->count * 2 >= set->size) {
    NameSet old = *set;
    set->size = old.size ? old.size * 2 : 1024;
    set->names = stitch_must(calloc(set->size, sizeof *set->names));
    for (size_t i = 0; i < old.size; i++)
      if (old.names[i])
        *place_of(set, old.names[i], strlen(old.names[i])) = old.names[i];
    free(old.names);
  }
  char **place = place_of(set, text, length);
  if (*place)
    return false;
  *place = stitch_copy(text, length);
  set->count++;
  return true;
}

bool names_have(const NameSet *set, const char *text, size_t length) {
  return set->size && *place_of(set, text, length);
}

void names_free(NameSet *set) {
  for (size_t i = 0; i < set->size; i++)
    free(set->names[i]);
  free(set->names);
  *set = (NameSet){0};
}

/* ---- the prefix ---- */

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

static bool begins_name(const char *word, const char *end, const char *prefix, bool mixed) {
  size_t length = strlen(prefix);
  if (!stitch_starts(word, end, prefix))
    return false;
  return word + length == end || (mixed ? isupper((unsigned char)word[length]) != 0 : word[length] == '_');
}

/* A name of the runtime that the network's own names could be taken for (a network called `act`, the type
 * `Act`). */
static bool collides(const Prefix *prefix, const char *word, const char *end) {
  if (!begins_name(word, end, prefix->lower, false) && !begins_name(word, end, prefix->upper, false) &&
      !begins_name(word, end, prefix->mixed, true))
    return false;
  return names_have(&prefix->defined, word, (size_t)(end - word));
}

static void add_word(const Prefix *prefix, const char *word, const char *end, StrBuf *out) {
  int length = (int)(end - word);
  if (stitch_starts(word, end, "model_"))
    strbuf_printf(out, "%s_%.*s", prefix->lower, length - 6, word + 6);
  else if (stitch_starts(word, end, "MODEL_"))
    strbuf_printf(out, "%s_%.*s", prefix->upper, length - 6, word + 6);
  else if (stitch_starts(word, end, "Model") && (length == 5 || isupper((unsigned char)word[5])))
    strbuf_printf(out, "%s%.*s", prefix->mixed, length - 5, word + 5);
  else
    strbuf_printf(out, "%s%.*s", collides(prefix, word, end) ? "netc_" : "", length, word);
}

void prefix_add(const Prefix *prefix, const char *text, size_t length, StrBuf *out) {
  const char *p = text, *end = text + length, *word, *after;
  while ((word = stitch_word(p, end, &after))) {
    strbuf_add(out, p, (size_t)(word - p));
    add_word(prefix, word, after, out);
    p = after;
  }
  strbuf_add(out, p, (size_t)(end - p));
}

Prefix prefix_make(const char *name, const Stitch *stitch) {
  Prefix prefix = {.lower = name};
  stitch_names(name, prefix.upper, prefix.mixed);
  for (int i = 0; i < stitch->count; i++)
    for (int k = 0; k < stitch->chunks[i].name_count; k++)
      names_add(&prefix.defined, stitch->chunks[i].names[k], strlen(stitch->chunks[i].names[k]));
  return prefix;
}

void prefix_free(Prefix *prefix) {
  names_free(&prefix->defined);
}
