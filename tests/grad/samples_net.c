/* samples_net PART PARTS: prints a network in which samples of the operators are branches with weights before
 * them, so that one gradient check sees the gradients of many.  Each part takes every PARTS-th sample. */
#include "op.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Layers that change images before anything is trained: no gradient goes through them. */
static bool is_augmentation(const OpDef *op) {
  return !strncmp(op->name, "random_", 7);
}

static long long numbers_of(const char *shape, int *dimensions) {
  long long product = 1, number = 0;
  *dimensions = 1;
  for (; *shape && *shape != ' '; shape++) {
    if (*shape == 'x') {
      product *= number;
      number = 0;
      ++*dimensions;
    } else {
      number = 10 * number + (*shape - '0');
    }
  }
  return product * number;
}

static void print_branch(const OpSample *sample, int index) {
  char inputs[512] = "";
  int count = 0;
  for (const char *shape = sample->inputs; *shape;) {
    int length = (int)strcspn(shape, " "), dimensions;
    long long size = numbers_of(shape, &dimensions);
    printf("  at%d_%d = x -> dense(%lld, tanh, use_bias = false, kernel_initializer = random_normal(stddev = "
           "0.7))",
           index, count, size);
    if (dimensions > 1)
      printf(" -> reshape(%.*s)", length, shape);
    printf("\n");
    snprintf(inputs + strlen(inputs), sizeof inputs - strlen(inputs), "%sat%d_%d", count ? ", " : "", index,
             count);
    count++;
    shape += length + (int)strspn(shape + length, " ");
  }
  const char *open = strchr(sample->call, '(');
  printf("  branch%d = %.*s(%s%s%s -> flatten() -> dense(3, name = \"head%d\", trainable = false)  # %s\n",
         index, (int)(open - sample->call), sample->call, inputs, open[1] == ')' ? "" : ", ", open + 1, index,
         sample->call);
}

int main(int argc, char **argv) {
  int part = argc > 2 ? atoi(argv[1]) : 0, parts = argc > 2 ? atoi(argv[2]) : 1, seen = 0, count = 0;
  printf("network samples {\n  x = input(6)\n");
  for (int i = 0; i < OP_COUNT; i++)
    for (const OpSample *sample = op_table[i]->samples; sample && sample->call; sample++)
      if (op_table[i]->signature.name && !is_augmentation(op_table[i]) && seen++ % parts == part)
        print_branch(sample, count++);
  printf("  average(");
  for (int i = 0; i < count; i++)
    printf("%sbranch%d", i ? ", " : "", i);
  printf(")\n  softmax()\n}\n\ntrain samples {\n  loss categorical_crossentropy\n  optimizer sgd(0.1)\n  "
         "batch 5\n}\n");
  return 0;
}
