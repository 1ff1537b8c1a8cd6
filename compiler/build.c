/* `netc emit` and `netc build`: the C file, and the executable made of it. */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "emit/sets.h"
#include "process.h"
#include "weights/weights.h"
#include "../runtime/kernels/isa.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(const char *what, const char *path, int error) {
  fprintf(stderr, "netc: cannot %s `%s`: %s\n", what, path, strerror(error));
  return 1;
}

/* Makes a folder and those above it. */
static int make_folder(const char *path) {
  char part[PATH_MAX];
  snprintf(part, sizeof part, "%s", path);
  for (char *slash = part + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
    *slash = 0;
    if (mkdir(part, 0777) && errno != EEXIST)
      return errno;
  }
  if (mkdir(path, 0777) && errno != EEXIST)
    return errno;
  struct stat status;
  return stat(path, &status) ? errno : S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
}

static int write_text(const StrBuf *text, const char *path) {
  int error = strbuf_write_file(text, path);
  return error ? failed("write", path, error) : 0;
}

/* The C file, the header and, where weights go with them, M.weights.bin. */
static int emit_files(Session *session, const CommandLine *line, const char *folder) {
  const char *name = session->graph->name;
  WeightBlob blob = {0};
  StrBuf c_file = {0}, h_file = {0};
  int error = make_folder(folder), status;
  if (error)
    return failed("make the folder", folder, error);
  WeightKind kind = line->half                    ? WEIGHTS_HALF
                    : line->infer && !line->embed ? WEIGHTS_PREPARED
                                                  : WEIGHTS_FLOAT;
  if (line->weights && !weights_blob(session->module, line->weights, kind, &session->arena, &blob))
    return 1;
  if (line->half)
    printf("weights as 16-bit floats: %zu bytes; the largest change is %.2g of the largest weight of its "
           "array\n",
           blob.length, blob.half_error);
  EmitOptions options = {.infer = line->infer,
                         .isa = line->isa ? set_macro(line->isa) : NULL, /* NULL for auto */
                         .weights = blob.bytes ? &blob : NULL,
                         .embed = line->embed};
  emit_program(session->module, &options, &c_file, &h_file);
  status = write_text(&c_file, arena_printf(&session->arena, "%s/%s.c", folder, name));
  if (!status && h_file.length)
    status = write_text(&h_file, arena_printf(&session->arena, "%s/%s.h", folder, name));
  if (!status && blob.bytes && (!line->embed || blob.length > EMBED_TEXT_BYTES)) {
    StrBuf bytes = {(char *)blob.bytes, blob.length, blob.length};
    status = write_text(&bytes, arena_printf(&session->arena, "%s/%s.weights.bin", folder, name));
  }
  weights_free(&blob);
  strbuf_free(&c_file);
  strbuf_free(&h_file);
  return status;
}

int command_check_isa(const CommandLine *line) {
  if (!line->isa || !strcmp(line->isa, "auto") || set_macro(line->isa))
    return 0;
  fprintf(stderr, "netc: --isa wants auto, avx512, avx2, neon or portable, not `%s`\n", line->isa);
  return 2;
}

const char *command_named_isa(const CommandLine *line) {
  if (line->portable)
    return "portable";
  return line->isa && strcmp(line->isa, "auto") ? line->isa : NULL;
}

const char *command_isa(const CommandLine *line) {
  const char *named = command_named_isa(line);
  return named                  ? named
         : isa_here(ISA_AVX512) ? isa_name(ISA_AVX512)
         : isa_here(ISA_AVX2)   ? isa_name(ISA_AVX2)
                                : isa_name(ISA_FLAGS);
}

int command_emit(const CommandLine *line) {
  if (line->file_count != 1 || !line->output) {
    fprintf(stderr, "netc: `emit` wants one .net file and -o DIR\n");
    return 2;
  }
  if ((line->embed || line->half) && !line->weights) {
    fprintf(stderr, "netc: --%s wants --weights W.h5\n", line->embed ? "embed" : "half");
    return 2;
  }
  if (command_check_isa(line))
    return 2;
  Session session;
  int status = 1;
  bool good = session_open(&session, line, line->files[0]);
  session.anywhere = true;
  if (good && session_compile(&session, line, NULL))
    status = emit_files(&session, line, line->output);
  session_close(&session);
  return status;
}

/* Splits a text at blanks into argv. */
static void add_words(char **argv, int *argc, char *text) {
  for (char *save = NULL, *word = strtok_r(text, " ", &save); word && *argc < 60;
       word = strtok_r(NULL, " ", &save))
    argv[(*argc)++] = word;
}

int build_run_compiler(Arena *arena, const CommandLine *line, const char *c_path, const char *exe,
                       bool libraries) {
  const char *cc = line->cc ? line->cc : getenv("CC") && *getenv("CC") ? getenv("CC") : "cc";
  char *argv[64];
  int argc = 0;
  add_words(argv, &argc, arena_strdup(arena, cc));
  add_words(argv, &argc, arena_strdup(arena, "-std=c11 -fopenmp"));
  add_words(argv, &argc, arena_strdup(arena, line->cflags ? line->cflags : "-O3"));
  if (line->portable)
    argv[argc++] = arena_strdup(arena, "-DNETC_PORTABLE");
  else if (!line->isa) /* with --isa the file itself says what it is compiled for */
    argv[argc++] = arena_strdup(arena, "-march=native");
  if (libraries)
    add_words(argv, &argc, arena_strdup(arena, NETC_HDF5_CFLAGS));
  argv[argc++] = arena_strdup(arena, c_path);
  argv[argc++] = arena_strdup(arena, "-o");
  argv[argc++] = arena_strdup(arena, exe);
  if (libraries)
    add_words(argv, &argc, arena_strdup(arena, NETC_HDF5_LIBS " -ljpeg -lpng -lz -lpthread"));
  argv[argc++] = arena_strdup(arena, "-lm");
  argv[argc] = NULL;
  int status = process_run(argv, NULL, NULL);
  if (status == PROCESS_NOT_STARTED)
    fprintf(stderr, "netc: cannot start the C compiler `%s`: %s\n", argv[0], strerror(errno));
  else if (status && status != PROCESS_INTERRUPTED)
    fprintf(stderr, "netc: the C compiler failed on `%s`\n", c_path);
  return status == PROCESS_INTERRUPTED ? status : status != 0;
}

int build_executable(Session *session, const CommandLine *line, const char *folder, const char *exe) {
  int status = emit_files(session, line, folder);
  if (status)
    return status;
  const char *c_path = arena_printf(&session->arena, "%s/%s.c", folder, session->graph->name);
  const char *beside = arena_printf(&session->arena, "%s.%ld.tmp", exe, (long)getpid());
  /* Said before the C compiler runs, and by us: its linker would say it at the end, of a file of ours. */
  FILE *place = fopen(beside, "wb");
  if (!place)
    return failed("write", exe, errno);
  fclose(place);
  remove(beside);
  status = build_run_compiler(&session->arena, line, c_path, beside, true);
  if (status || rename(beside, exe)) {
    if (!status)
      status = failed("write", exe, errno);
    remove(beside);
  }
  return status;
}

const char *folder_make_temporary(Arena *arena) {
  const char *temporary = getenv("TMPDIR") && *getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
  char *folder = arena_printf(arena, "%s/netc-XXXXXX", temporary);
  if (mkdtemp(folder))
    return folder;
  failed("make the folder", folder, errno);
  return NULL;
}

void folder_empty(const char *folder, Arena *arena) {
  DIR *listing = opendir(folder);
  for (const struct dirent *entry; listing && (entry = readdir(listing));)
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
      remove(arena_printf(arena, "%s/%s", folder, entry->d_name));
  if (listing)
    closedir(listing);
}

int command_build(const CommandLine *line) {
  if (line->file_count != 1) {
    fprintf(stderr, "netc: `build` wants one .net file, got %d\n", line->file_count);
    return 2;
  }
  if (command_check_isa(line))
    return 2;
  Session session;
  int status = 1;
  if (session_open(&session, line, line->files[0]) && session_compile(&session, line, NULL)) {
    const char *folder = folder_make_temporary(&session.arena);
    status = 1;
    if (folder) {
      const char *exe = line->output ? line->output : session.graph->name;
      status = build_executable(&session, line, folder, exe);
      folder_empty(folder, &session.arena);
      rmdir(folder);
    }
  }
  session_close(&session);
  return status;
}
