/* The whole command line of an emitted program.  Exit codes: 0 done, 1 the input is wrong, 2 the command line
 * is wrong, 130 interrupted (and saved). */
#ifndef NETC_CLI_MAIN_H
#define NETC_CLI_MAIN_H
#include "bench.h"
#include "eval.h"
#include "info.h"
#include "predict.h"
#include "train.h"

static void main_usage(FILE *out, const char *program) {
  fprintf(out, "usage: %s COMMAND ... (network `%s` of %s)\n\n", program, model_info.name, model_info.source);
  for (int i = 0; i < OPTIONS_COMMANDS; i++) {
    char left[64];
    snprintf(left, sizeof left, "%s %s", options_commands[i].name, options_commands[i].places);
    fprintf(out, "  %-24s %s\n", left, options_commands[i].help);
  }
  fprintf(
      out,
      "\n%s COMMAND --help lists the options of a command; --version names the compiler.\n"
      "exit status: 0 done, 1 the input is wrong, 2 the command line is wrong, 130 interrupted and saved\n",
      program);
}

static int main_wrong(const char *program, const char *text) {
  fprintf(stderr, "error: %s\n%s --help says more\n", text, program);
  return 2;
}

static int main_command(int argc, char **argv) {
  const char *program = argc ? argv[0] : "model", *word = argc > 1 ? argv[1] : "--help";
  const OptionsCommand *command = NULL;
  Options options;
  Fault fault = {""};
  if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
    main_usage(argc > 1 ? stdout : stderr, program);
    return argc > 1 ? 0 : 2;
  }
  if (!strcmp(word, "--version")) {
    printf("%s, compiled by netc %s from %s\n", model_info.name, model_info.version, model_info.source);
    return 0;
  }
  for (int i = 0; i < OPTIONS_COMMANDS; i++)
    if (!strcmp(options_commands[i].name, word))
      command = &options_commands[i];
  if (!command) {
    char suggestion[96], text[512];
    options_suggest(word, 0, suggestion, sizeof suggestion);
    snprintf(text, sizeof text, "unknown command `%.200s`%s", word, suggestion);
    return main_wrong(program, text);
  }
  if (!options_parse(&options, command->bit, argc, argv, &fault))
    return main_wrong(program, fault.text);
  if (options.help) {
    options_help(stdout, program, command);
    return 0;
  }
  if (!model_isa()) {
    fprintf(stderr, "error: %s was compiled for an instruction set that this processor lacks\n", program);
    return 1;
  }
  switch (command->bit) {
  case OPTIONS_TRAIN:
    return train_main(&options, program);
  case OPTIONS_EVAL:
    return eval_main(&options);
  case OPTIONS_PREDICT:
    return predict_main(&options);
  case OPTIONS_BENCH:
    return bench_main(&options, program);
  default:
    return info_main(&options);
  }
}

/* What was printed may have nowhere to go, on a full disk: that is no success. */
static int model_main(int argc, char **argv) {
  int status = main_command(argc, argv);
  bool lost = ferror(stdout), late = fflush(stdout) != 0;
  if (status || (!lost && !late))
    return status;
  Fault fault;
  fault_set(&fault, "cannot write to standard output%s%s", late ? ": " : "", late ? strerror(errno) : "");
  return console_fail(&fault);
}
#endif
