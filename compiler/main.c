/* netc: the command line.  main() reads as the table of contents. */
#include "commands.h"
#include "version.h"
#include <stdio.h>
#include <string.h>

static const Command commands[] = {
    {"build", "M.net [-o EXE]", "compile to an executable", command_build, NULL},
    {"emit", "M.net -o DIR [--infer] [--weights W.h5 --embed]", "write the C file and its header",
     command_emit, NULL},
    {"check", "M.net", "check the file and look for well-known mistakes", command_check, NULL},
    {"summary", "M.net", "layers, parameters, FLOPs, what is cached, memory", command_summary, NULL},
    {"show", "M.net", "the network fully expanded, as .net", command_show, NULL},
    {"graph", "M.net [--after PASS]", "the network, or the IR after a pass, as Graphviz", command_graph,
     NULL},
    {"dump", "M.net --after PASS", "the IR as text", command_dump, NULL},
    {"help", "[NAME]", "a layer, loss, metric, optimizer, ...", command_help, NULL},
    {"explain", "CODE", "what a warning means and what to do", command_explain, NULL},
    {"tune", "M.net [--batch B] [--threads T] [--seconds S]",
     "measure algorithms here, write M.tune for `build`", command_tune,
     "Times the algorithms that could compute each distinct convolution (direct sums, Winograd's with tiles "
     "of 4x4\n"
     "or 6x6 pixels, from packed weights or not): for predictions of 1, 4 and 16 images, features, and "
     "training\n"
     "steps of a batch.  The fastest are written into M.tune beside M.net (-o names another file); build, "
     "emit,\n"
     "summary, dump and compare use that file where it is there, --no-tune ignores it.  It is short text, to "
     "be\n"
     "read and changed: `man netc` describes it.  The report compares with the choices of the compiler's "
     "own\n"
     "model.  Nothing else should run meanwhile; interrupted, it writes nothing."},
    {"compare", "A.net B.net ... --data DIR", "train each on one split, one table", command_compare, NULL},
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
  for (const Command *command = commands; argc == 3 && !strcmp(argv[1], "help") && command->name; command++)
    if (!strcmp(command->name, argv[2]))
      return command_run(command, 1, (char *[]){"--help"});
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
