/* netc: the command line.  main() reads as the table of contents. */
#include "commands.h"
#include "version.h"
#include <stdio.h>
#include <string.h>

static const Command commands[] = {
    {"build", "M.net [-o EXE]", "compile to an executable", command_build},
    {"emit", "M.net -o DIR [--infer] [--weights W.h5 --embed]", "write the C file and its header",
     command_emit},
    {"check", "M.net", "check the file and look for well-known mistakes", command_check},
    {"summary", "M.net", "layers, parameters, FLOPs, what is cached, memory", command_summary},
    {"show", "M.net", "the network fully expanded, as .net", command_show},
    {"graph", "M.net [--after PASS]", "the network, or the IR after a pass, as Graphviz", command_graph},
    {"dump", "M.net --after PASS", "the IR as text", command_dump},
    {"help", "[NAME]", "a layer, loss, metric, optimizer, ...", command_help},
    {"explain", "CODE", "what a warning means and what to do", command_explain},
    {"compare", "A.net B.net ... --data DIR", "train each on one split, one table", command_compare},
    {0},
};

static void usage(FILE *to) {
  fprintf(to, "usage: netc COMMAND ...\n\n");
  for (const Command *command = commands; command->name; command++)
    fprintf(to, "  %-8s %-48s %s\n", command->name, command->arguments, command->doc);
  fprintf(to, "\n%s", command_options_help());
}

int main(int argc, char **argv) {
  if (argc < 2) {
    usage(stderr);
    return 2;
  }
  if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
    usage(stdout);
    return 0;
  }
  if (!strcmp(argv[1], "--version")) {
    printf("netc %s\n", NETC_VERSION);
    return 0;
  }
  const char *names[sizeof commands / sizeof *commands];
  int count = 0;
  for (const Command *command = commands; command->name; command++) {
    if (!strcmp(command->name, argv[1]))
      return command_run(command, argc - 2, argv + 2);
    names[count++] = command->name;
  }
  const char *near = diag_nearest(argv[1], names, count);
  fprintf(stderr, "netc: there is no command `%s`%s%s%s\n", argv[1], near ? "; did you mean `" : "",
          near ? near : "", near ? "`?" : "");
  return 2;
}
