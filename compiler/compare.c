#include "commands.h"
int command_compare(const CommandLine *line) {
  (void)line;
  return 2;
}
