#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "elaborate.h"
#include "emit/stitch.h"
#include "graphviz.h"
#include "help.h"
#include "lint.h"
#include "show.h"
#include "summary.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- options ---- */

typedef enum OptionKind { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER, OPTION_LIST } OptionKind;

typedef struct Option {
  const char *name, *commands; /* those it goes with, space separated; "" = all */
  OptionKind kind;
  size_t place;
  const char *doc;
} Option;

#define PLACE(field) offsetof(CommandLine, field)
static const Option options[] = {
    {"-o", "build emit tune", OPTION_TEXT, PLACE(output), "where to: the executable, the folder, the file"},
    {"--infer", "emit", OPTION_FLAG, PLACE(infer), "prediction only: libc and libm, nothing else"},
    {"--weights", "emit", OPTION_TEXT, PLACE(weights), "a Keras file: M.weights.bin is written beside"},
    {"--embed", "emit", OPTION_FLAG, PLACE(embed), "the program carries the weights itself"},
    {"--half", "emit", OPTION_FLAG, PLACE(half), "keep the weights as 16-bit floats"},
    {"--isa", "build emit tune", OPTION_TEXT, PLACE(isa),
     "avx512, avx2, neon, portable, or auto: chosen when it runs (build, tune: otherwise this machine's)"},
    {"--portable", "build tune", OPTION_FLAG, PLACE(portable), "the same as --isa portable"},
    {"--cc", "build tune compare", OPTION_TEXT, PLACE(cc), "the C compiler (otherwise $CC, otherwise cc)"},
    {"--cflags", "build tune compare", OPTION_TEXT, PLACE(cflags), "flags of the C compiler (otherwise -O3)"},
    {"--exact", "", OPTION_FLAG, PLACE(exact), "no Winograd: every convolution is a direct sum"},
    {"--data", "compare", OPTION_TEXT, PLACE(data), "a folder of images or an HDF5 file"},
    {"--html", "compare", OPTION_TEXT, PLACE(html), "also write the table and the curves as a page"},
    {"--after", "dump graph", OPTION_TEXT, PLACE(after), "the pass after which to look"},
    {"--tune", "build emit summary graph dump", OPTION_TEXT, PLACE(tune),
     "the file of `netc tune` to use (otherwise M.tune, where it is there)"},
    {"--no-tune", "build emit summary graph dump compare", OPTION_FLAG, PLACE(no_tune),
     "algorithms by the compiler's model, whatever M.tune says"},
    {"--threads", "summary compare tune", OPTION_NUMBER, PLACE(threads), "number of threads"},
    {"--batch", "tune", OPTION_NUMBER, PLACE(batch), "images (otherwise the train section's batch)"},
    {"--seconds", "tune", OPTION_NUMBER, PLACE(seconds),
     "how long it may take, about (otherwise 60); one round is made in any case"},
    {"--network", "", OPTION_TEXT, PLACE(network), "which network of the file (otherwise the last)"},
    {"--set", "", OPTION_LIST, PLACE(parameters), "a parameter of the network, NAME=VALUE"},
    {"--silence", "", OPTION_TEXT, PLACE(silenced), "warning codes not to show, separated by commas"},
    {"--disable-pass", "", OPTION_TEXT, PLACE(passes.disabled), "passes to leave out, separated by commas"},
    {"--verify-each", "", OPTION_FLAG, PLACE(passes.verify_each), "check the IR after every pass"},
    {"--time-passes", "", OPTION_FLAG, PLACE(passes.time), "print what each pass took"},
};
enum { OPTION_COUNT = sizeof options / sizeof *options };

const char *command_options_help(void) {
  static char text[4096];
  int at = snprintf(text, sizeof text, "options\n");
  for (int i = 0; i < OPTION_COUNT; i++)
    at += snprintf(text + at, sizeof text - (size_t)at, "  %-16s %s%s%s%s\n", options[i].name, options[i].doc,
                   *options[i].commands ? " (" : "", options[i].commands, *options[i].commands ? ")" : "");
  return text;
}

static bool goes_with(const Option *option, const char *command) {
  size_t length = strlen(command);
  const char *at = strstr(option->commands, command);
  return !*option->commands || (at && (at[length] == ' ' || !at[length]));
}

static int unknown_option(const char *command, const char *word) {
  const char *names[OPTION_COUNT];
  int count = 0;
  for (int i = 0; i < OPTION_COUNT; i++)
    if (goes_with(&options[i], command))
      names[count++] = options[i].name;
  const char *near = diag_nearest(word, names, count);
  fprintf(stderr, "netc: `%s` does not know `%s`%s%s%s\n", command, word, near ? "; did you mean `" : "",
          near ? near : "", near ? "`?" : "");
  return 2;
}

static int take_option(CommandLine *line, const Option *option, const char *value) {
  void *place = (char *)line + option->place;
  if (option->kind == OPTION_FLAG) {
    *(bool *)place = true;
  } else if (option->kind == OPTION_TEXT) {
    *(const char **)place = value;
  } else if (option->kind == OPTION_NUMBER) {
    char *end;
    long number = strtol(value, &end, 10);
    if (*end || number < 1 || number > 4096) {
      fprintf(stderr, "netc: `%s` wants a number from 1 to 4096, not `%s`\n", option->name, value);
      return 2;
    }
    *(int *)place = (int)number;
  } else if (line->parameter_count < COMMAND_MOST_FILES) {
    line->parameters[line->parameter_count++] = value;
  }
  return 0;
}

static int check_passes(const char *names) {
  char copy[512];
  snprintf(copy, sizeof copy, "%s", names);
  for (char *save = NULL, *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
    const Pass *pass = pass_find(name);
    if (!pass || pass->required) {
      fprintf(stderr, pass ? "netc: pass `%s` cannot be left out\n" : "netc: there is no pass `%s`\n", name);
      for (int i = 0; i < pass_count; i++)
        fprintf(stderr, "  %-10s %s%s\n", pass_table[i].name, pass_table[i].doc,
                pass_table[i].required ? " (always)" : "");
      return 2;
    }
  }
  return 0;
}

int command_run(const Command *command, int argc, char **argv) {
  CommandLine line = {0};
  for (int i = 0; i < argc; i++) {
    const char *word = argv[i];
    if (!strcmp(word, "--")) {
      for (i++; i < argc && line.rest_count < COMMAND_MOST_FILES; i++)
        line.rest[line.rest_count++] = argv[i];
      break;
    }
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
      printf("usage: netc %s %s\n  %s\n%s%s%s\n", command->name, command->arguments, command->doc,
             command->more ? "\n" : "", command->more ? command->more : "", command->more ? "\n" : "");
      for (int k = 0; k < OPTION_COUNT; k++)
        if (goes_with(&options[k], command->name))
          printf("  %-16s %s\n", options[k].name, options[k].doc);
      return 0;
    }
    if (*word != '-' || !word[1]) {
      if (line.file_count == COMMAND_MOST_FILES) {
        fprintf(stderr, "netc: too many files\n");
        return 2;
      }
      line.files[line.file_count++] = word;
      continue;
    }
    const Option *option = NULL;
    size_t length = strcspn(word, "=");
    for (int k = 0; k < OPTION_COUNT; k++)
      if (strlen(options[k].name) == length && !strncmp(options[k].name, word, length) &&
          goes_with(&options[k], command->name))
        option = &options[k];
    if (!option)
      return unknown_option(command->name, word);
    const char *value = word[length] ? word + length + 1 : NULL;
    if (option->kind != OPTION_FLAG && !value && ++i < argc)
      value = argv[i];
    if ((option->kind == OPTION_FLAG) == (value != NULL)) {
      fprintf(stderr, "netc: `%s` %s\n", option->name, value ? "takes no value" : "wants a value");
      return 2;
    }
    int status = take_option(&line, option, value);
    if (status)
      return status;
  }
  if (line.passes.disabled && check_passes(line.passes.disabled))
    return 2;
  if (line.after && !pass_find(line.after)) {
    fprintf(stderr, "netc: there is no pass `%s`\n", line.after);
    return 2;
  }
  return command->run(&line);
}

static int one_file(const CommandLine *line, const char *command) {
  if (line->file_count == 1)
    return 0;
  fprintf(stderr, "netc: `%s` wants one .net file, got %d\n", command, line->file_count);
  return 2;
}

/* ---- sessions ---- */

static const char *carried_file(const char *path, size_t *length) {
  const EmbeddedFile *file = embedded_find(zoo_files, path);
  if (file)
    *length = file->length;
  return file ? (const char *)file->bytes : NULL;
}

bool session_open(Session *session, const CommandLine *line, const char *path) {
  memset(session, 0, sizeof *session);
  session->diag = (Diag){.arena = &session->arena, .silenced = line->silenced};
  ElaborateOptions elaborate = {.network = line->network,
                                .builtin_file = carried_file,
                                .parameters = line->parameters,
                                .parameter_count = line->parameter_count,
                                .blocks_only = line->blocks_only};
  session->graph = elaborate_file(&session->arena, &session->diag, path, &elaborate);
  if (session->graph)
    lint_graph(session->graph, &session->arena, &session->diag);
  return session->graph && !session->diag.errors;
}

/* The file of `netc tune` that the command line names or that lies beside the .net file, in *tuning, or NULL.
 * A file beside that is for something else is left aside with a note; one that is named is an error then. */
static bool open_tuning(Session *session, const CommandLine *line, Tuning **tuning) {
  const char *path = line->tune ? line->tune : tuning_path(&session->arena, session->graph->path),
             *other = NULL;
  *tuning = NULL;
  if (line->no_tune || (!line->tune && access(path, F_OK)))
    return true;
  if (line->exact) {
    fprintf(stderr, "netc: not using %s: --exact leaves nothing to choose\n", path);
    return true;
  }
  Tuning *found = tuning_read(&session->arena, &session->diag, path);
  if (!found)
    return !session->diag.errors;
  const char *isa = command_named_isa(line);
  if (*found->network && strcmp(found->network, session->graph->name))
    other = arena_printf(&session->arena, "it is of network `%s`", found->network);
  else if (!line->tune && isa && *found->isa && strcmp(found->isa, isa))
    other = arena_printf(&session->arena, "it was measured with %s", found->isa);
  if (other && line->tune) {
    diag_error(&session->diag, (Span){0}, "cannot use `%s`: %s", path, other);
    return false;
  }
  fprintf(stderr, other ? "netc: not using %s: %s\n" : "netc: using %s (%s)\n", path,
          other ? other : tuning_machine(found, &session->arena));
  *tuning = other ? NULL : found;
  return true;
}

bool session_compile(Session *session, const CommandLine *line, StrBuf *dump) {
  if (line->infer) /* nothing is trained: all weights are constants */
    session->graph->train = (TrainSpec){0};
  PassOptions passes = line->passes;
  passes.dump_after = line->after;
  passes.tuning = session->collector;
  bool known = command_named_isa(line) || (!session->anywhere && !line->isa);
  passes.narrow = known && strcmp(command_isa(line), "avx512");
  if (!session->collector && !open_tuning(session, line, &passes.tuning))
    return false;
  session->module = passes_run(session->graph, &session->arena, &session->diag, &passes, line->exact, dump);
  bool selected = !line->after || pass_find(line->after) >= pass_find("select");
  if (passes.tuning && selected && !passes.disabled && !session->diag.errors)
    tuning_warn_stale(passes.tuning, &session->diag, session->module);
  return !session->diag.errors;
}

void session_close(Session *session) {
  arena_free(&session->arena);
}

static int print_and_free(StrBuf *text) {
  bool good = !text->text || fputs(text->text, stdout) >= 0;
  good = !fflush(stdout) && good;
  if (!good)
    fprintf(stderr, "netc: cannot write: %s\n", strerror(errno));
  strbuf_free(text);
  return good ? 0 : 1;
}

/* ---- commands ---- */

int command_check(const CommandLine *line) {
  if (one_file(line, "check"))
    return 2;
  Session session;
  CommandLine own = *line;
  own.blocks_only = true;
  bool good = session_open(&session, &own, line->files[0]);
  if (!good && !session.graph && !session.diag.errors) {
    printf("%s: blocks, no network: read, and checked where a network uses them\n", line->files[0]);
    good = true;
  }
  session_close(&session);
  return good ? 0 : 1;
}

int command_summary(const CommandLine *line) {
  if (one_file(line, "summary"))
    return 2;
  Session session;
  StrBuf out = {0};
  bool good = session_open(&session, line, line->files[0]) && session_compile(&session, line, NULL);
  if (good)
    summary_print(session.module, line->threads ? line->threads : (int)sysconf(_SC_NPROCESSORS_ONLN), &out);
  session_close(&session);
  return print_and_free(&out) || !good;
}

int command_show(const CommandLine *line) {
  if (one_file(line, "show"))
    return 2;
  Session session;
  StrBuf out = {0};
  bool good = session_open(&session, line, line->files[0]);
  if (good)
    show_graph(session.graph, &out);
  session_close(&session);
  return print_and_free(&out) || !good;
}

int command_graph(const CommandLine *line) {
  if (one_file(line, "graph"))
    return 2;
  Session session;
  StrBuf out = {0}, dump = {0};
  bool good = session_open(&session, line, line->files[0]);
  if (good && !line->after) {
    graphviz_network(session.graph, &out);
  } else if (good) {
    good = session_compile(&session, line, &dump);
    graphviz_ir(session.module, &out);
  }
  strbuf_free(&dump);
  session_close(&session);
  return print_and_free(&out) || !good;
}

int command_dump(const CommandLine *line) {
  if (one_file(line, "dump"))
    return 2;
  if (!line->after) {
    fprintf(stderr, "netc: `dump` wants --after PASS, one of:\n");
    for (int i = 0; i < pass_count; i++)
      fprintf(stderr, "  %-10s %s\n", pass_table[i].name, pass_table[i].doc);
    return 2;
  }
  Session session;
  StrBuf out = {0};
  bool good = session_open(&session, line, line->files[0]) && session_compile(&session, line, &out);
  session_close(&session);
  return print_and_free(&out) || !good;
}

int command_help(const CommandLine *line) {
  StrBuf out = {0};
  if (!line->file_count) {
    help_index(&out);
    return print_and_free(&out);
  }
  if (line->file_count == 1 && !strcmp(line->files[0], "markdown")) { /* the reference of LANGUAGE.md */
    help_markdown(&out);
    lint_markdown(&out);
    return print_and_free(&out);
  }
  for (int i = 0; i < line->file_count; i++)
    if (!help_entry(line->files[i], &out)) {
      strbuf_free(&out);
      return 1;
    }
  return print_and_free(&out);
}

int command_explain(const CommandLine *line) {
  StrBuf out = {0};
  if (line->file_count != 1) {
    lint_index(&out);
    return print_and_free(&out) || line->file_count > 1 ? 2 : 0;
  }
  if (!lint_explain(line->files[0], &out)) {
    strbuf_free(&out);
    return 1;
  }
  return print_and_free(&out);
}
