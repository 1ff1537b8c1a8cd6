/* embed NAME ROOT FILE...: prints C that defines `const EmbeddedFile NAME[]` with the bytes of each FILE
 * under the path relative to ROOT. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_bytes(FILE *file, int index) {
  printf("static const unsigned char file_%d[] = {", index);
  int c, column = 0;
  while ((c = getc(file)) != EOF)
    printf("%s%d,", column++ % 24 ? "" : "\n", c);
  printf("\n0};\n");
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: embed NAME ROOT FILE...\n");
    return 2;
  }
  printf("#include \"emit/stitch.h\"\n");
  for (int i = 3; i < argc; i++) {
    FILE *file = fopen(argv[i], "rb");
    if (!file) {
      perror(argv[i]);
      return 1;
    }
    print_bytes(file, i);
    fclose(file);
  }
  printf("const EmbeddedFile %s[] = {\n", argv[1]);
  for (int i = 3; i < argc; i++) {
    const char *path = argv[i];
    size_t root = strlen(argv[2]);
    if (!strncmp(path, argv[2], root))
      path += root + (path[root] == '/');
    printf("    {\"%s\", file_%d, sizeof file_%d - 1},\n", path, i, i);
  }
  printf("    {0}};\n");
  return 0;
}
