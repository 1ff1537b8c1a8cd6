/* The emitted header: the library interface of runtime/api/public*.h under the network's own name, its sizes,
 * and an example; and that interface's place in the C file. */
#include "emit.h"
#include "header.h"
#include "../version.h"
#include <ctype.h>
#include <string.h>

/* The parts of the interface: all, all, and one of the last two. */
static const char *const public_parts[] = {"api/public.h", "api/public_files.h", "api/public_train.h",
                                           "api/public_place.h"};

static const char *public_part(int part, bool trains) {
  return public_parts[part == 2 && !trains ? 3 : part];
}

static bool word_part(char c) {
  return isalnum((unsigned char)c) || c == '_';
}

/* Text with model_, Model, MODEL_ and the bare word `model` of comments exchanged for the network's name. */
static void add_named(const char *p, const char *end, const char *name, StrBuf *out) {
  char upper[256], camel[256];
  stitch_names(name, upper, camel);
  while (p < end) {
    const char *word = p;
    while (p < end && word_part(*p))
      p++;
    size_t length = (size_t)(p - word);
    if (length > 6 && !strncmp(word, "model_", 6))
      strbuf_printf(out, "%s%.*s", name, (int)length - 5, word + 5);
    else if (length > 6 && !strncmp(word, "MODEL_", 6))
      strbuf_printf(out, "%s%.*s", upper, (int)length - 5, word + 5);
    else if (length >= 5 && !strncmp(word, "Model", 5) && (length == 5 || isupper((unsigned char)word[5])))
      strbuf_printf(out, "%s%.*s", camel, (int)length - 5, word + 5);
    else
      strbuf_add(out, word, length);
    if (p < end)
      strbuf_add(out, p++, 1);
  }
}

/* The declarations of a part: without its head comment, its guard and its includes. */
static void add_declarations(const EmbeddedFile *file, const char *name, StrBuf *out) {
  const char *p = (const char *)file->bytes, *end = p + file->length, *line;
  bool inside = false;
  for (line = p; line < end; line = p) {
    const char *stop = memchr(line, '\n', (size_t)(end - line));
    p = stop ? stop + 1 : end;
    bool directive = *line == '#';
    if (directive)
      inside = true; /* what stands before the guard describes the file, not the interface */
    else if (inside)
      add_named(line, p, name, out);
  }
}

/* Every function that the part declares is kept in the C file. */
static void keep_functions(Stitch *stitch, const EmbeddedFile *file) {
  const char *p = (const char *)file->bytes, *end = p + file->length;
  while (p < end) {
    if (end - p > 2 && p[0] == '/' && p[1] == '*') {
      while (end - p > 1 && !(p[0] == '*' && p[1] == '/'))
        p++;
    }
    const char *word = p;
    while (p < end && word_part(*p))
      p++;
    char name[128];
    size_t length = (size_t)(p - word);
    if (length > 6 && length < sizeof name && !strncmp(word, "model_", 6) && p < end && *p == '(') {
      memcpy(name, word, length);
      name[length] = 0;
      stitch_root(stitch, name);
    }
    if (p < end)
      p++;
  }
}

void emit_api(Stitch *stitch, bool trains) {
  for (int part = 0; part < 3; part++)
    keep_functions(stitch, embedded_find(runtime_files, public_part(part, trains)));
  stitch_file(stitch, "api/api.h");
  stitch_file(stitch, trains ? "api/train.h" : "api/place.h");
  stitch_text(stitch, "\n#ifndef MODEL_NO_FILES");
  stitch_file(stitch, "api/files.h");
  if (!trains)
    stitch_file(stitch, "api/place_files.h");
  stitch_text(stitch, "#endif");
}

/* A complete program; `@` stands for the network's name.  Tests take it out of the header and run it. */
static void add_example(const char *name, bool trains, StrBuf *out) {
  static const char start[] = " *   #include \"@.h\"\n"
                              " *   #include <stdio.h>\n *\n"
                              " *   int main(void) {\n"
                              " *     static uint8_t image[MODEL_INPUTS];\n"
                              " *     float y[MODEL_OUTPUTS];\n";
  static const char predicts[] =
      " *     const void *weights = NULL;\n"
      " *     size_t length = 0;\n"
      " *     Model *model = NULL;\n"
      " *     ModelStatus status = model_map_file(\"@.weights.bin\", &weights, &length);\n"
      " *     if (status == MODEL_OK)\n"
      " *       status = model_create_in_place(&model, NULL, 0, 1, 1, weights, length);\n"
      " *     if (status == MODEL_OK)\n"
      " *       status = model_predict_pixels(model, 1, image, y);\n";
  static const char learns[] =
      " *     float target[MODEL_TARGETS] = {1}, loss = 0;\n"
      " *     Model *model = NULL;\n"
      " *     ModelStatus status = model_create(&model, NULL, 0, 1, 1);\n"
      " *     if (status == MODEL_OK)\n"
      " *       status = model_initialize(model, 1); // or model_load_file(model, \"@.weights.bin\")\n"
      " *     if (status == MODEL_OK)\n"
      " *       status = model_train_step_pixels(model, 1, image, target, NULL, &loss);\n"
      " *     if (status == MODEL_OK)\n"
      " *       status = model_save_file(model, 0, \"@.weights.bin\");\n"
      " *     if (status == MODEL_OK)\n"
      " *       status = model_predict_pixels(model, 1, image, y);\n";
  static const char end[] = " *     if (status == MODEL_OK)\n"
                            " *       printf(\"%g\\n\", (double)y[0]);\n"
                            " *     else\n"
                            " *       fprintf(stderr, \"%s\\n\", model_status_text(status));\n"
                            " *     model_destroy(model);\n";
  static const char unmap[] = " *     model_unmap_file(weights, length);\n";
  static const char last[] = " *     return status != MODEL_OK;\n"
                             " *   }\n */\n";
  StrBuf text = {0}, filled = {0};
  strbuf_printf(&text, " * A complete program that %s one image of raw pixels:\n *\n",
                trains ? "trains on and predicts" : "predicts");
  const char *const parts[] = {start, trains ? learns : predicts, end, trains ? "" : unmap, last};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    strbuf_puts(&text, parts[i]);
  for (const char *p = text.text; *p; p++) {
    if (*p == '@')
      strbuf_puts(&filled, name);
    else
      strbuf_add(&filled, p, 1);
  }
  add_named(filled.text, filled.text + filled.length, name, out);
  strbuf_free(&filled);
  strbuf_free(&text);
}

/* Sizes of instances as constant expressions, for memory that is reserved when a program is compiled. */
static void add_memory(const Module *module, const char *upper, StrBuf *out) {
  MemorySizes sizes = emit_sizes(module);
  bool trains = module->graph->train.loss;
  const char *images =
      arena_printf(module->arena, "(size_t)((batch) < %d ? (batch) : %d)", FORWARD_BATCH, FORWARD_BATCH);
  const char *part = arena_printf(module->arena, "%s * %lld", images, (long long)sizes.part);
  if (module->microbatch) {
    const char *most = arena_printf(module->arena, "%d * (size_t)(threads)", module->microbatch);
    part = arena_printf(module->arena, "(%s + (%s < %s ? %s : %s) * %lld)", part, images, most, images, most,
                        (long long)sizes.micro);
  }
  strbuf_printf(out,
                "/* Enough bytes for an instance (model_size may ask for a little less), as a constant: for\n"
                " *   static _Alignas(64) unsigned char memory[%s_BYTES(batch, threads)];\n"
                " * batch and threads as for the functions, both at least 1. */\n",
                upper);
  strbuf_printf(out,
                "#define %s_BYTES_WITH(floats, batch, threads) \\\n"
                "  ((size_t)%d + 4 * ((size_t)(floats) + (size_t)(batch) * %lld + 32 + \\\n"
                "   ((size_t)(batch) * %lld > %s ? (size_t)(batch) * %lld : %s) + \\\n"
                "   (size_t)(threads) * (%lld + ((size_t)(batch) + 15) / 16 * 16 * %lld)))\n",
                upper, INSTANCE_BYTES + 256,
                (long long)(shape_count(module->graph->input->shape) + sizes.features),
                (long long)sizes.batch, part, (long long)sizes.batch, part, (long long)sizes.scratch,
                (long long)sizes.scratch_batch);
  strbuf_printf(out, "#define %s_BYTES(batch, threads) %s_BYTES_WITH(%lld, batch, threads)\n", upper, upper,
                (long long)(sizes.weights + sizes.fixed));
  if (!trains)
    strbuf_printf(out,
                  "/* The same for model_create_in_place. */\n"
                  "#define %s_BYTES_IN_PLACE(batch, threads) %s_BYTES_WITH(%lld, batch, threads)\n",
                  upper, upper, (long long)sizes.fixed_in_place);
  strbuf_puts(out, "\n");
}

static void add_sizes(const Module *module, const char *upper, StrBuf *out) {
  Shape in = module->graph->input->shape, y = module->graph->output->shape;
  strbuf_puts(out, "enum {\n");
  if (in.rank == 3)
    strbuf_printf(out, "  %s_HEIGHT = %d,\n  %s_WIDTH = %d,\n  %s_CHANNELS = %d,\n", upper, in.dim[0], upper,
                  in.dim[1], upper, in.dim[2]);
  strbuf_printf(out, "  %s_INPUTS = %lld,  /* numbers per image that go in */\n", upper,
                (long long)shape_count(in));
  strbuf_printf(out, "  %s_OUTPUTS = %lld, /* and come out */\n", upper, (long long)shape_count(y));
  const TrainSpec *train = &module->graph->train;
  bool sparse = train->loss && strstr(train->loss->signature->name, "sparse");
  if (train->loss)
    strbuf_printf(out, "  %s_TARGETS = %lld, /* and the loss is told */\n", upper,
                  (long long)(sparse ? shape_count(y) / y.dim[y.rank - 1] : shape_count(y)));
  strbuf_puts(out, "};\n\n");
}

void emit_header(const Module *module, StrBuf *out) {
  const Graph *graph = module->graph;
  const char *source = strrchr(graph->path, '/') ? strrchr(graph->path, '/') + 1 : graph->path;
  char upper[256], camel[256];
  stitch_names(graph->name, upper, camel);
  strbuf_printf(
      out,
      "/* %s.h: the network of %s as a library, made by netc %s.\n *\n"
      " * Compile %s.c with -D%s_NO_MAIN for the library alone: it then needs libc and libm, and OpenMP "
      "where\n"
      " * more than one thread is wanted.  -D%s_NO_FILES leaves out what needs a file system.  No function "
      "ends\n"
      " * the program, prints, or keeps global state; memory is taken by %s_create, and for the time of a "
      "call "
      "to\n"
      " * save a file or to draw orthogonal weights.  Instances are independent: any number, in any threads, "
      "one\n"
      " * thread at a time each.  This file may be used, changed and passed on without "
      "conditions\n"
      " * (MIT-0).\n *\n",
      graph->name, source, NETC_VERSION, graph->name, upper, upper, graph->name);
  add_example(graph->name, graph->train.loss, out);
  strbuf_printf(out, "#ifndef %s_H\n#define %s_H\n#include <stddef.h>\n#include <stdint.h>\n\n", upper,
                upper);
  strbuf_puts(out, "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
  add_sizes(module, upper, out);
  StrBuf memory = {0};
  add_memory(module, upper, &memory);
  add_named(memory.text, memory.text + memory.length, graph->name, out);
  strbuf_free(&memory);
  for (int part = 0; part < 3; part++)
    add_declarations(embedded_find(runtime_files, public_part(part, graph->train.loss != NULL)), graph->name,
                     out);
  strbuf_puts(out, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
}
