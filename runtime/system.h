/* What the runtime asks of POSIX: time, memory size, files as a whole, files replaced without a moment of
 * damage. */
#ifndef NETC_RUNTIME_SYSTEM_H
#define NETC_RUNTIME_SYSTEM_H
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"

/* Seconds of a clock that never jumps. */
static double system_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Bytes of physical memory, 0 where unknown. */
static size_t system_memory_bytes(void) {
  long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? (size_t)pages * (size_t)size : 0;
}

/* The most memory this process has held so far, in bytes. */
static size_t system_peak_bytes(void) {
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) ? 0 : (size_t)usage.ru_maxrss * 1024;
}

static int system_processors(void) {
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (int)count : 1;
}

/* Memory or the end of the program: only for small tables, whose loss nothing could be done about. */
static void *system_allocate(size_t bytes) {
  void *memory = calloc(1, bytes ? bytes : 1);
  if (!memory) {
    fprintf(stderr, "error: out of memory (%zu bytes)\n", bytes);
    exit(1);
  }
  return memory;
}

static char *system_copy_text(const char *text) {
  size_t length = strlen(text) + 1;
  return memcpy(system_allocate(length), text, length);
}

/* "folder/name" in fresh memory. */
static char *system_join(const char *folder, const char *name) {
  size_t length = strlen(folder);
  char *path = system_allocate(length + strlen(name) + 2);
  memcpy(path, folder, length);
  while (length > 1 && path[length - 1] == '/')
    length--;
  if (length && path[length - 1] != '/')
    path[length++] = '/';
  strcpy(path + length, name);
  return path;
}

static bool system_is_folder(const char *path) {
  struct stat status;
  return !stat(path, &status) && S_ISDIR(status.st_mode);
}

static bool system_is_file(const char *path) {
  struct stat status;
  return !stat(path, &status) && S_ISREG(status.st_mode);
}

static bool system_ends_with(const char *text, const char *end) {
  size_t length = strlen(text), tail = strlen(end);
  return length >= tail && !strcmp(text + length - tail, end);
}

/* The whole file in fresh memory, `*length` bytes. */
static unsigned char *system_read_file(const char *path, size_t *length, Fault *fault) {
  FILE *file = fopen(path, "rb");
  struct stat status;
  if (!file || fstat(fileno(file), &status)) {
    fault_set(fault, "%s: %s", path, strerror(errno));
    if (file)
      fclose(file);
    return NULL;
  }
  if (S_ISDIR(status.st_mode)) {
    fault_set(fault, "%s: is a folder", path);
    fclose(file);
    return NULL;
  }
  size_t size = (size_t)status.st_size;
  unsigned char *bytes = malloc(size ? size : 1);
  if (!bytes) {
    fault_set(fault, "%s: no memory for its %zu bytes", path, size);
  } else if (fread(bytes, 1, size, file) != size) {
    fault_set(fault, "%s: cannot be read to its end", path);
    free(bytes);
    bytes = NULL;
  }
  fclose(file);
  *length = size;
  return bytes;
}

/* The name under which the new version of `path` is written, in fresh memory. */
static char *system_beside(const char *path) {
  char *name = system_allocate(strlen(path) + 32);
  sprintf(name, "%s.%ld.part", path, (long)getpid());
  return name;
}

static bool system_sync(const char *path, Fault *fault) {
  int descriptor = open(path, O_RDONLY);
  bool good = descriptor >= 0 && !fsync(descriptor);
  int reason = errno;
  if (descriptor >= 0)
    close(descriptor);
  return good || fault_set(fault, "%s: %s", path, strerror(reason));
}

/* Puts the finished file `part` in the place of `path`: on disk before it takes the name, and the name on
 * disk too. */
static bool system_replace(const char *part, const char *path, Fault *fault) {
  if (!system_sync(part, fault))
    return false;
  if (rename(part, path))
    return fault_set(fault, "%s: %s", path, strerror(errno));
  char *folder = system_copy_text(path), *slash = strrchr(folder, '/');
  if (slash)
    slash[slash == folder] = 0;
  Fault ignored; /* some file systems do not sync folders; the file itself is safe */
  system_sync(slash ? folder : ".", &ignored);
  free(folder);
  return true;
}
#endif
