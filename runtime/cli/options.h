/* The program's command line: one table of options, from which parsing, --help and "did you mean" follow. */
#ifndef NETC_CLI_OPTIONS_H
#define NETC_CLI_OPTIONS_H
#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "console.h"

/* Commands as bits. */
enum {
  OPTIONS_TRAIN = 1,
  OPTIONS_EVAL = 2,
  OPTIONS_PREDICT = 4,
  OPTIONS_BENCH = 8,
  OPTIONS_INFO = 16,
};

typedef struct Options {
  unsigned command;
  char **places; /* positional arguments, pointers into argv */
  int place_count;
  const char *val, *weights, *save, *log, *report, *cache, *cache_file, *out;
  int64_t epochs, batch, seed, threads, top; /* -1: not given */
  bool by_name, no_shuffle, resume, strict, check_grad, json, worker, layers, train, quiet, help;
} Options;

typedef enum OptionKind { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER } OptionKind;

typedef struct Option {
  const char *name, *value; /* "--epochs", "N" */
  OptionKind kind;
  unsigned commands;
  size_t offset; /* in Options */
  int64_t least, most;
  const char *help;
} Option;

static const Option options_table[] = {
    {"--val", "DATA", OPTION_TEXT, OPTIONS_TRAIN, offsetof(Options, val), 0, 0,
     "validate with these images instead of a part of DATA"},
    {"--weights", "W.h5", OPTION_TEXT, OPTIONS_TRAIN | OPTIONS_EVAL | OPTIONS_PREDICT | OPTIONS_BENCH,
     offsetof(Options, weights), 0, 0, "weights to start from: Keras .h5, .weights.h5 or .keras"},
    {"--by-name", NULL, OPTION_FLAG, OPTIONS_TRAIN | OPTIONS_EVAL | OPTIONS_PREDICT,
     offsetof(Options, by_name), 0, 0, "pair layers by name instead of by order"},
    {"--epochs", "N", OPTION_NUMBER, OPTIONS_TRAIN, offsetof(Options, epochs), 0, INT_MAX,
     "epochs of each phase, instead of what the .net file says"},
    {"--batch", "N", OPTION_NUMBER,
     OPTIONS_TRAIN | OPTIONS_EVAL | OPTIONS_PREDICT | OPTIONS_BENCH | OPTIONS_INFO, offsetof(Options, batch),
     1, 1 << 20, "images per step"},
    {"--seed", "S", OPTION_NUMBER, OPTIONS_TRAIN, offsetof(Options, seed), 0, INT64_MAX,
     "of starting weights, shuffling, dropout and augmentation"},
    {"--threads", "N", OPTION_NUMBER,
     OPTIONS_TRAIN | OPTIONS_EVAL | OPTIONS_PREDICT | OPTIONS_BENCH | OPTIONS_INFO,
     offsetof(Options, threads), 1, 1024, "threads; results are the same bits for any number"},
    {"--no-shuffle", NULL, OPTION_FLAG, OPTIONS_TRAIN, offsetof(Options, no_shuffle), 0, 0,
     "take the images in the order of DATA"},
    {"--resume", NULL, OPTION_FLAG, OPTIONS_TRAIN, offsetof(Options, resume), 0, 0,
     "go on where a run stopped that was interrupted (Ctrl-C or a signal: it saves its state and exits with "
     "130)"},
    {"--save", "OUT.h5", OPTION_TEXT, OPTIONS_TRAIN, offsetof(Options, save), 0, 0,
     "where the trained weights go; a name ending in .weights.h5 has Keras 3's layout"},
    {"--log", "LOG.csv", OPTION_TEXT, OPTIONS_TRAIN, offsetof(Options, log), 0, 0,
     "a row for every step and every epoch"},
    {"--report", "R.html", OPTION_TEXT, OPTIONS_TRAIN, offsetof(Options, report), 0, 0,
     "curves, confusion matrix and settings as one page"},
    {"--strict", NULL, OPTION_FLAG, OPTIONS_TRAIN | OPTIONS_EVAL | OPTIONS_PREDICT, offsetof(Options, strict),
     0, 0, "an image that cannot be read is an error"},
    {"--cache", "MODE", OPTION_TEXT, OPTIONS_TRAIN, offsetof(Options, cache), 0, 0,
     "features of the frozen part: auto, off, memory or file"},
    {"--cache-file", "F", OPTION_TEXT, OPTIONS_TRAIN, offsetof(Options, cache_file), 0, 0,
     "where they are kept (OUT.h5.features)"},
    {"--check-grad", NULL, OPTION_FLAG, OPTIONS_TRAIN, offsetof(Options, check_grad), 0, 0,
     "compare gradients with finite differences and stop"},
    {"--quiet", NULL, OPTION_FLAG, OPTIONS_TRAIN | OPTIONS_EVAL | OPTIONS_PREDICT, offsetof(Options, quiet),
     0, 0, "say only what goes wrong"},
    {"--out", "P.h5", OPTION_TEXT, OPTIONS_PREDICT, offsetof(Options, out), 0, 0,
     "write dataset y (N, K) instead of lines"},
    {"--top", "K", OPTION_NUMBER, OPTIONS_PREDICT, offsetof(Options, top), 1, 1 << 20,
     "name the K likeliest classes"},
    {"--train", NULL, OPTION_FLAG, OPTIONS_BENCH, offsetof(Options, train), 0, 0,
     "time training steps, not predictions"},
    {"--layers", NULL, OPTION_FLAG, OPTIONS_BENCH, offsetof(Options, layers), 0, 0,
     "say how long each layer takes"},
    {"--worker", NULL, OPTION_FLAG, OPTIONS_BENCH, offsetof(Options, worker), 0, 0,
     "take `run N` lines from standard input, answer in JSON"},
    {"--json", NULL, OPTION_FLAG, OPTIONS_EVAL | OPTIONS_PREDICT | OPTIONS_BENCH | OPTIONS_INFO,
     offsetof(Options, json), 0, 0, "answer in JSON"},
    {"--help", NULL, OPTION_FLAG, 31, offsetof(Options, help), 0, 0, "this text"},
};

typedef struct OptionsCommand {
  const char *name, *places;
  unsigned bit;
  const char *help;
} OptionsCommand;

static const OptionsCommand options_commands[] = {
    {"train", "DATA", OPTIONS_TRAIN, "train on a folder of class folders, or an HDF5 file with x and y"},
    {"eval", "DATA", OPTIONS_EVAL, "loss, metrics and confusion matrix of trained weights"},
    {"predict", "IMAGE|DATA...", OPTIONS_PREDICT, "the class of each image"},
    {"bench", "", OPTIONS_BENCH, "time the network on this machine"},
    {"info", "", OPTIONS_INFO, "layers, parameters, memory, phases"},
};

enum {
  OPTIONS_COUNT = sizeof options_table / sizeof *options_table,
  OPTIONS_COMMANDS = sizeof options_commands / sizeof *options_commands,
};

/* Edits (insert, delete, replace, swap of neighbours not counted apart) between two short words. */
static int options_distance(const char *a, const char *b) {
  int row[64];
  int length = (int)strlen(b);
  if (length > 62 || strlen(a) > 62)
    return 99;
  for (int j = 0; j <= length; j++)
    row[j] = j;
  for (int i = 0; a[i]; i++) {
    int diagonal = row[0];
    row[0] = i + 1;
    for (int j = 0; j < length; j++) {
      int replaced = diagonal + (a[i] != b[j]), other = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
      diagonal = row[j + 1];
      row[j + 1] = replaced < other ? replaced : other;
    }
  }
  return row[length];
}

/* " (did you mean `X`?)" for the nearest option of the command, or "". */
static void options_suggest(const char *word, unsigned command, char *text, size_t size) {
  const char *best = NULL;
  int least = 4;
  text[0] = 0;
  for (int i = 0; command && i < OPTIONS_COUNT; i++) {
    int distance = options_distance(word, options_table[i].name);
    if ((options_table[i].commands & command) && distance < least) {
      least = distance;
      best = options_table[i].name;
    }
  }
  for (int i = 0; !command && i < OPTIONS_COMMANDS; i++) {
    int distance = options_distance(word, options_commands[i].name);
    if (distance < least) {
      least = distance;
      best = options_commands[i].name;
    }
  }
  if (best)
    snprintf(text, size, " (did you mean `%s`?)", best);
}

static void options_help(FILE *out, const char *program, const OptionsCommand *command) {
  fprintf(out, "usage: %s %s%s%s [options]\n%s\n\n", program, command->name, *command->places ? " " : "",
          command->places, command->help);
  for (int i = 0; i < OPTIONS_COUNT; i++) {
    const Option *option = &options_table[i];
    char left[64];
    if (!(option->commands & command->bit))
      continue;
    snprintf(left, sizeof left, "%s%s%s", option->name, option->value ? " " : "",
             option->value ? option->value : "");
    fprintf(out, "  %-20s %s\n", left, option->help);
  }
}

static bool options_number(const Option *option, const char *text, int64_t *number, Fault *fault) {
  char *end;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (errno || end == text || *end)
    return fault_set(fault, "%s wants a whole number, not `%.200s`", option->name, text);
  if (value < option->least || value > option->most)
    return fault_set(fault, "%s must lie between %lld and %lld, not %lld", option->name,
                     (long long)option->least, (long long)option->most, value);
  *number = value;
  return true;
}

/* Takes argv[*at], which starts with "-", and its value. */
static bool options_take(Options *options, int argc, char **argv, int *at, Fault *fault) {
  char *word = argv[*at], *equals = strchr(word, '='), suggestion[96];
  size_t length = equals ? (size_t)(equals - word) : strlen(word);
  const Option *option = NULL;
  for (int i = 0; i < OPTIONS_COUNT; i++)
    if (strlen(options_table[i].name) == length && !strncmp(options_table[i].name, word, length) &&
        (options_table[i].commands & options->command))
      option = &options_table[i];
  if (!option) {
    options_suggest(word, options->command, suggestion, sizeof suggestion);
    return fault_set(fault, "unknown option `%.200s`%s", word, suggestion);
  }
  char *field = (char *)options + option->offset;
  if (option->kind == OPTION_FLAG) {
    bool on = true;
    if (equals)
      return fault_set(fault, "%s takes no value", option->name);
    memcpy(field, &on, sizeof on);
    return true;
  }
  const char *value = equals ? equals + 1 : *at + 1 < argc ? argv[++*at] : NULL;
  if (!value)
    return fault_set(fault, "%s wants a value: %s %s", option->name, option->name, option->value);
  if (option->kind == OPTION_TEXT) {
    memcpy(field, &value, sizeof value);
    return true;
  }
  int64_t number = 0;
  if (!options_number(option, value, &number, fault))
    return false;
  memcpy(field, &number, sizeof number);
  return true;
}

static bool options_check(const Options *options, Fault *fault) {
  static const char *const modes[] = {"auto", "off", "memory", "file"};
  bool known = !options->cache;
  for (int i = 0; options->cache && i < 4; i++)
    known = known || !strcmp(options->cache, modes[i]);
  if (!known)
    return fault_set(fault, "--cache is auto, off, memory or file, not `%.200s`", options->cache);
  if ((options->command & (OPTIONS_TRAIN | OPTIONS_EVAL)) && options->place_count != 1)
    return fault_set(fault, options->place_count ? "one DATA is wanted, %d are given" : "DATA is missing",
                     options->place_count);
  if ((options->command & OPTIONS_PREDICT) && !options->place_count)
    return fault_set(fault, "IMAGE or DATA is missing");
  if ((options->command & (OPTIONS_BENCH | OPTIONS_INFO)) && options->place_count)
    return fault_set(fault, "`%.200s` is not wanted here", options->places[0]);
  if (options->layers && options->worker)
    return fault_set(fault, "--worker answers in its own way: it takes no --layers");
  if ((options->command & (OPTIONS_EVAL | OPTIONS_PREDICT)) && !options->weights)
    return fault_set(fault, "--weights W.h5 is missing");
  return true;
}

/* argv[2..] of the command into *options; positional arguments are gathered at the front of argv + 2. */
static bool options_parse(Options *options, unsigned command, int argc, char **argv, Fault *fault) {
  *options = (Options){.command = command,
                       .places = argv + 2,
                       .epochs = -1,
                       .batch = -1,
                       .seed = -1,
                       .threads = -1,
                       .top = -1};
  bool only_places = false;
  for (int i = 2; i < argc; i++) {
    if (!only_places && !strcmp(argv[i], "--"))
      only_places = true;
    else if (only_places || argv[i][0] != '-' || !argv[i][1])
      options->places[options->place_count++] = argv[i];
    else if (!options_take(options, argc, argv, &i, fault))
      return false;
  }
  return options->help || options_check(options, fault);
}
#endif
