/* The commands of netc.  Exit codes: 0 done, 1 the input is wrong, 2 the command line is wrong. */
#ifndef NETC_COMMANDS_H
#define NETC_COMMANDS_H
#include "diag.h"
#include "emit/emit.h"
#include "passes/passes.h"
#include "tuning.h"

enum { COMMAND_MOST_FILES = 64 };

/* Options of all commands; each command uses those that concern it and refuses the others. */
typedef struct CommandLine {
  const char *files[COMMAND_MOST_FILES];
  int file_count;
  const char *output, *weights, *data, *after, *network, *cc, *cflags, *html, *isa, *tune;
  bool infer, embed, half, exact, portable, werror, keep, blocks_only, no_tune;
  int threads, batch, seconds;
  PassOptions passes;
  const char *parameters[COMMAND_MOST_FILES];
  int parameter_count;
  const char *silenced;
  const char *rest[COMMAND_MOST_FILES]; /* after `--`, for the program that compare runs */
  int rest_count;
} CommandLine;

typedef struct Command {
  const char *name, *arguments, *doc;
  int (*run)(const CommandLine *line);
  const char *more; /* for its help, or NULL */
} Command;

int command_run(const Command *command, int argc, char **argv);
const char *command_options_help(void);

int command_build(const CommandLine *line);
int command_emit(const CommandLine *line);
int command_check(const CommandLine *line);
int command_summary(const CommandLine *line);
int command_show(const CommandLine *line);
int command_graph(const CommandLine *line);
int command_dump(const CommandLine *line);
int command_help(const CommandLine *line);
int command_explain(const CommandLine *line);
int command_compare(const CommandLine *line); /* compare.c */
int command_tune(const CommandLine *line);    /* tune.c */

/* A file from text to planned IR; NULL after errors, which were reported. */
typedef struct Session {
  Arena arena;
  Diag diag;
  Graph *graph;
  Module *module;
  Tuning *collector; /* tune.c: asked instead of a file */
  bool anywhere;     /* emit: for a processor that is not known, unless the command line names its set */
} Session;

bool session_open(Session *session, const CommandLine *line, const char *path); /* graph, lints */
bool session_compile(Session *session, const CommandLine *line, StrBuf *dump);  /* module */
void session_close(Session *session);
/* --isa names a set, or `auto`; returns an exit code. */
int command_check_isa(const CommandLine *line);
/* The instruction set that --portable or --isa names; NULL: none, or `auto`. */
const char *command_named_isa(const CommandLine *line);
/* The set that programs are built for: that one, or the best of this machine's. */
const char *command_isa(const CommandLine *line);
/* A fresh folder under $TMPDIR, or /tmp, in the arena; NULL: a message was printed. */
const char *folder_make_temporary(Arena *arena);
/* Removes the files in a folder. */
void folder_empty(const char *folder, Arena *arena);
/* Emits into `folder` (made where missing) and compiles to `exe`; returns an exit code. */
int build_executable(Session *session, const CommandLine *line, const char *folder, const char *exe);
/* Calls the C compiler as the command line says; `libraries`: with all that whole programs need, else libm.
 * Returns an exit code. */
int build_run_compiler(Arena *arena, const CommandLine *line, const char *c_path, const char *exe,
                       bool libraries);
#endif
