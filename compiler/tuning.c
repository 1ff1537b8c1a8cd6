#include "tuning.h"
#include "ast.h"
#include "kernel_sizes.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const place_names[] = {
    [FUNCTION_FORWARD] = "prediction", [FUNCTION_FEATURES] = "features", [FUNCTION_VARIED] = "features",
    [FUNCTION_HEAD] = "head",          [FUNCTION_STEP] = "step",         [FUNCTION_PREPARE] = "prepare",
};
enum { PLACE_COUNT = sizeof place_names / sizeof *place_names };

/* ---- words ---- */

const char *tuning_path(Arena *arena, const char *net_path) {
  size_t length = strlen(net_path);
  if (length > 4 && !strcmp(net_path + length - 4, ".net"))
    length -= 4;
  return arena_printf(arena, "%.*s.tune", (int)length, net_path);
}

const char *tuning_key(Arena *arena, const ConvPiece *piece) {
  const Conv2d *c = &piece->conv;
  StrBuf text = {0};
  bool frozen = piece->place == FUNCTION_STEP && piece->settled && piece->op != OP_conv2d_bwd_w;
  strbuf_printf(&text, "%s%s %s %dx%dx%d to %dx%dx%d window %dx%d", place_names[piece->place],
                frozen ? " frozen" : "",
                piece->op == OP_conv2d         ? "convolution"
                : piece->op == OP_conv2d_bwd_x ? "input gradient"
                                               : "weight gradient",
                c->in_h, c->in_w, c->in_c, c->out_h, c->out_w, c->out_c, c->kernel_h, c->kernel_w);
  if (c->stride_h != 1 || c->stride_w != 1)
    strbuf_printf(&text, " stride %dx%d", c->stride_h, c->stride_w);
  if (c->pad_top || c->pad_left)
    strbuf_printf(&text, " pad %dx%d", c->pad_top, c->pad_left);
  if (c->dilation_h != 1 || c->dilation_w != 1)
    strbuf_printf(&text, " dilation %dx%d", c->dilation_h, c->dilation_w);
  if (c->groups != 1)
    strbuf_printf(&text, " groups %d", c->groups);
  if (piece->residual)
    strbuf_puts(&text, " residual");
  if (piece->pool)
    strbuf_puts(&text, " pool");
  if (piece->reads_pool)
    strbuf_puts(&text, " from pool");
  if (piece->masks)
    strbuf_puts(&text, " mask");
  const char *key = arena_strdup(arena, text.text);
  strbuf_free(&text);
  return key;
}

const char *tuning_choice_text(Arena *arena, ConvChoice choice) {
  const char *name = conv_algorithm_names[choice.algorithm];
  return choice.few_below
             ? arena_printf(arena, "%s %s below %d", name, conv_algorithm_names[choice.few], choice.few_below)
             : name;
}

bool tuning_choice_pools(ConvChoice choice) {
  return kernel_conv2d_pools(choice.algorithm) && (!choice.few_below || kernel_conv2d_pools(choice.few));
}

const char *tuning_machine(const Tuning *tuning, Arena *arena) {
  StrBuf text = {0};
  if (*tuning->processor)
    strbuf_printf(&text, ", %s", tuning->processor);
  if (*tuning->isa)
    strbuf_printf(&text, ", %s", tuning->isa);
  if (tuning->threads)
    strbuf_printf(&text, ", %d thread%s", tuning->threads, tuning->threads == 1 ? "" : "s");
  if (tuning->batch)
    strbuf_printf(&text, ", batch %d", tuning->batch);
  const char *words = arena_strdup(arena, text.text ? text.text + 2 : "an unknown machine");
  strbuf_free(&text);
  return words;
}

/* ---- reading ---- */

typedef struct Reader {
  Tuning *tuning;
  Diag *diag;
  const Source *source;
  int begin, end; /* of the line at work, without comment and blanks around */
} Reader;

static bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

static Span span(const Reader *reader, int begin, int end) {
  return (Span){reader->source, begin, end};
}

/* The words of a range with single blanks between them; what no terminal should be sent becomes `?`. */
static char *words_between(const Reader *reader, int begin, int end) {
  char *words = arena_alloc(reader->tuning->arena, (size_t)(end - begin) + 1), *to = words;
  for (int i = begin; i < end; i++) {
    char c = reader->source->text[i];
    if (!blank(c))
      *to++ = (unsigned char)c < 32 || c == 127 ? '?' : c;
    else if (to > words && to[-1] != ' ')
      *to++ = ' ';
  }
  if (to > words && to[-1] == ' ')
    to--;
  *to = 0;
  return words;
}

static void trim(const char *text, int *begin, int *end) {
  while (*begin < *end && blank(text[*begin]))
    ++*begin;
  while (*end > *begin && blank(text[*end - 1]))
    --*end;
}

/* A whole number from 1 on that is all of `text`; 0: it is something else. */
static int whole_number(const char *text) {
  char *end;
  long number = *text >= '0' && *text <= '9' ? strtol(text, &end, 10) : 0;
  return number < 1 || number > 1 << 20 || *end ? 0 : (int)number;
}

/* The algorithm of that name; CONV_UNCHOSEN, with an error at `begin`: there is none. */
static ConvAlgorithm read_algorithm(Reader *reader, const char *name, int begin) {
  for (int i = CONV_DIRECT; i < CONV_ALGORITHMS; i++)
    if (!strcmp(name, conv_algorithm_names[i]))
      return (ConvAlgorithm)i;
  const char *near = diag_nearest(name, conv_algorithm_names + CONV_DIRECT, CONV_ALGORITHMS - CONV_DIRECT);
  diag_error(reader->diag, span(reader, begin, begin + (int)strlen(name)), "there is no algorithm `%s`%s%s%s",
             name, near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
  diag_help(reader->diag, "they are %s", conv_algorithm_list(reader->tuning->arena));
  return CONV_UNCHOSEN;
}

/* ALGORITHM [ALGORITHM below N] */
static bool read_choice(Reader *reader, int begin, int end, ConvChoice *choice) {
  static const char below[] = " below ";
  char *words = words_between(reader, begin, end), *rest = strchr(words, ' ');
  if (!*words) {
    diag_error(reader->diag, span(reader, reader->begin, reader->end),
               "the line ends before the algorithm: `KEY = ALGORITHM`");
    return false;
  }
  if (rest)
    *rest++ = 0;
  choice->algorithm = read_algorithm(reader, words, begin);
  if (choice->algorithm == CONV_UNCHOSEN)
    return false;
  if (!rest)
    return true;
  int few_at = begin + (int)(rest - words);
  char *after = strstr(rest, below);
  if (after)
    choice->few_below = whole_number(after + sizeof below - 1);
  if (!choice->few_below) {
    diag_error(reader->diag, span(reader, begin, end),
               "after the algorithm nothing or `ALGORITHM below N` is expected, not `%s`", rest);
    return false;
  }
  *after = 0;
  choice->few = read_algorithm(reader, rest, few_at);
  return choice->few != CONV_UNCHOSEN;
}

static void add_line(Reader *reader, TuningLine line) {
  Tuning *tuning = reader->tuning;
  for (int i = 0; i < tuning->line_count; i++)
    if (!strcmp(tuning->lines[i].key, line.key)) {
      diag_error(reader->diag, line.key_span, "this piece of work has a line already");
      diag_note(reader->diag, tuning->lines[i].key_span, "here");
      return;
    }
  arena_push(tuning->arena, tuning->lines, tuning->line_count, tuning->line_capacity, line);
}

/* KEY = ALGORITHM */
static void read_work(Reader *reader, int equals) {
  Tuning *tuning = reader->tuning;
  const char *text = reader->source->text;
  int key_end = equals, begin = equals + 1, end = reader->end, first = reader->begin;
  trim(text, &first, &key_end);
  trim(text, &begin, &end);
  TuningLine line = {.key = words_between(reader, reader->begin, key_end),
                     .key_span = span(reader, reader->begin, key_end),
                     .choice_span = span(reader, begin, end)};
  int length = (int)strcspn(line.key, " ");
  bool known = false;
  for (int i = 0; i < PLACE_COUNT; i++)
    known = known || (i != FUNCTION_PREPARE && (int)strlen(place_names[i]) == length &&
                      !strncmp(line.key, place_names[i], (size_t)length));
  if (!known)
    diag_error(reader->diag, line.key_span,
               "work stands in `prediction`, `features`, `head` or `step`, not in `%.*s`", length, line.key);
  else if (!*tuning->network)
    diag_error(reader->diag, line.key_span, "a line `network NAME` must come before the first choice");
  else if (read_choice(reader, begin, end, &line.choice))
    add_line(reader, line);
}

/* WORD VALUE in front of the choices. */
static void read_head(Reader *reader, int word_end) {
  static const char *const names[] = {"network", "processor", "isa", "threads", "batch", "netc", "date"};
  enum { NAME_COUNT = sizeof names / sizeof *names };
  Tuning *tuning = reader->tuning;
  const char **texts[] = {&tuning->network, &tuning->processor, &tuning->isa};
  int *numbers[] = {&tuning->threads, &tuning->batch};
  char *word = words_between(reader, reader->begin, word_end);
  const char *value = words_between(reader, word_end, reader->end);
  int index = 0;
  while (index < NAME_COUNT && strcmp(word, names[index]))
    index++;
  if (index == NAME_COUNT)
    diag_error(reader->diag, span(reader, reader->begin, reader->end),
               "expected `KEY = ALGORITHM`: this line has no `=`, and `%s` is none of the words in front",
               word);
  else if (!*value)
    diag_error(reader->diag, span(reader, reader->begin, reader->end), "`%s` without what it is", word);
  else if (index < 3 && **texts[index])
    diag_error(reader->diag, span(reader, reader->begin, word_end), "`%s` is given twice", word);
  else if (index < 3)
    *texts[index] = value;
  else if (index < 5 && !(*numbers[index - 3] = whole_number(value)))
    diag_error(reader->diag, span(reader, reader->begin, reader->end),
               "`%s` is a whole number from 1 on, not `%s`", word, value);
}

/* The first line; false: not a file to read on. */
static bool read_version(Reader *reader, int word_end) {
  const char *version = words_between(reader, word_end, reader->end);
  if (strcmp(words_between(reader, reader->begin, word_end), "netc-tune")) {
    diag_error(reader->diag, span(reader, reader->begin, reader->end),
               "not a file of `netc tune`: it does not begin with `netc-tune %d`", TUNING_FORMAT);
    return false;
  }
  if (whole_number(version) == TUNING_FORMAT)
    return true;
  diag_warn(reader->diag, span(reader, reader->begin, reader->end), "tune",
            "format %s is not the one of this netc, %d: the file is not used; `netc tune` writes it anew",
            *version ? version : "(none)", TUNING_FORMAT);
  return false;
}

static void read_line(Reader *reader) {
  const char *text = reader->source->text;
  int equals = reader->begin, word_end = reader->begin;
  while (equals < reader->end && text[equals] != '=')
    equals++;
  while (word_end < reader->end && !blank(text[word_end]))
    word_end++;
  if (equals < reader->end)
    read_work(reader, equals);
  else
    read_head(reader, word_end);
}

static Tuning *tuning_new(Arena *arena, const char *path) {
  Tuning *tuning = arena_new(arena, Tuning);
  *tuning = (Tuning){.arena = arena, .path = path, .network = "", .processor = "", .isa = ""};
  return tuning;
}

Tuning *tuning_collector(Arena *arena) {
  Tuning *tuning = tuning_new(arena, "");
  tuning->collects = true;
  return tuning;
}

Tuning *tuning_read(Arena *arena, Diag *diag, const char *path) {
  const Source *source = source_read(arena, diag, path, path, (Span){0});
  if (!source)
    return NULL;
  Reader reader = {.tuning = tuning_new(arena, source->path), .diag = diag, .source = source};
  int before = diag->errors, length = (int)source->length;
  bool versioned = false;
  for (int begin = 0, end; begin < length; begin = end + 1) {
    end = begin;
    while (end < length && source->text[end] != '\n')
      end++;
    reader.begin = reader.end = begin;
    while (reader.end < end && source->text[reader.end] != '#')
      reader.end++;
    trim(source->text, &reader.begin, &reader.end);
    if (reader.begin == reader.end)
      continue;
    if (versioned) {
      read_line(&reader);
      continue;
    }
    int word_end = reader.begin;
    while (word_end < reader.end && !blank(source->text[word_end]))
      word_end++;
    if (!read_version(&reader, word_end))
      return NULL;
    versioned = true;
  }
  if (!versioned)
    diag_error(diag, span(&reader, 0, 0), "the file is empty: it should begin with `netc-tune %d`",
               TUNING_FORMAT);
  return diag->errors > before ? NULL : reader.tuning;
}

/* ---- choosing ---- */

bool tuning_fits(const ConvPiece *piece, ConvChoice choice, const char **why) {
  ConvAlgorithm algorithm = choice.algorithm;
  bool raw = conv_is_raw(algorithm);
  ConvAlgorithm few = choice.few_below ? choice.few : algorithm;
  if (piece->op != OP_conv2d && (algorithm == CONV_WINOGRAD2 || few == CONV_WINOGRAD2))
    *why = "tiles of 2x2 compute no gradients";
  else if (!kernel_conv2d_fits(&piece->conv, algorithm, piece->op) ||
           !kernel_conv2d_fits(&piece->conv, few, piece->op))
    *why = "it wants 3x3 windows, stride 1, no dilation, one group and 16 channels or more";
  else if (raw && piece->op == OP_conv2d_bwd_w)
    *why = "gradients of weights have no weights to take unpacked";
  else if (raw && kernel_conv2d_raw(&piece->conv, conv_packed(algorithm), piece->op) != algorithm)
    *why = "weights are taken unpacked only where there are very many";
  else if (choice.few_below && (piece->op != OP_conv2d || piece->place != FUNCTION_FORWARD))
    *why = "only the convolutions of predictions choose by the number of images";
  else if (choice.few_below && few == algorithm)
    *why = "`below` wants another algorithm for the other numbers";
  else if (choice.few_below && conv_is_raw(few))
    *why = "few images want packed weights";
  else if (choice.few_below > FORWARD_BATCH)
    *why = "predictions are computed in parts of 16 images";
  else
    return true;
  return false;
}

/* Remembers the piece, and that the node's function has one more of it. */
static void collect(Tuning *tuning, const ConvPiece *piece, const char *key, const Node *node,
                    ConvChoice choice) {
  int i = 0, f = 0;
  while (i < tuning->piece_count && strcmp(tuning->pieces[i].key, key))
    i++;
  if (i == tuning->piece_count) {
    TuningPiece made = {.piece = *piece, .model = choice, .key = key, .node = node};
    arena_push(tuning->arena, tuning->pieces, tuning->piece_count, tuning->piece_capacity, made);
  }
  TuningPiece *found = &tuning->pieces[i];
  while (f < found->function_count && found->function[f] != node->function)
    f++;
  if (f == found->function_count)
    found->function[found->function_count++] = node->function;
  found->uses[f]++;
}

void tuning_choose(Tuning *tuning, Diag *diag, const ConvPiece *piece, const Node *node, ConvChoice *choice) {
  const char *key = tuning_key(tuning->arena, piece), *why;
  if (tuning->collects)
    collect(tuning, piece, key, node, *choice);
  for (int i = 0; i < tuning->line_count; i++) {
    TuningLine *line = &tuning->lines[i];
    if (strcmp(line->key, key))
      continue;
    line->used = true;
    if (tuning_fits(piece, line->choice, &why)) {
      *choice = line->choice;
    } else if (!line->refused) {
      line->refused = true;
      diag_error(diag, line->choice_span, "`%s` cannot compute this: %s",
                 tuning_choice_text(tuning->arena, line->choice), why);
      diag_note(diag, node->layer ? node->layer->span : (Span){0}, "the first such convolution is here");
    }
    return;
  }
}

void tuning_warn_stale(const Tuning *tuning, Diag *diag, const Module *module) {
  const TuningLine *first = NULL;
  int others = 0;
  for (int i = 0; i < tuning->line_count; i++) {
    const TuningLine *line = &tuning->lines[i];
    size_t length = strcspn(line->key, " ");
    bool here = false; /* emitted for prediction only, a network has no steps */
    for (int f = 0; f < module->function_count && !here; f++) {
      const char *place = place_names[module->functions[f]->kind];
      here = strlen(place) == length && !strncmp(place, line->key, length);
    }
    if (line->used || !here)
      continue;
    others += first != NULL;
    first = first ? first : line;
  }
  if (first && others)
    diag_warn(diag, first->key_span, "tune",
              "`%s` has no such convolution any more, nor those of %d more lines; `netc tune` measures again",
              module->graph->name, others);
  else if (first)
    diag_warn(diag, first->key_span, "tune",
              "`%s` has no such convolution any more; `netc tune` measures again", module->graph->name);
}
