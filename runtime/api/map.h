/* A file's bytes in memory: mapped where there is mmap, else read. */
#ifndef NETC_API_MAP_H
#define NETC_API_MAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#if defined(__unix__) || defined(__APPLE__)
#define MAP_POSIX 1
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#else
#define MAP_POSIX 0
#endif

#if MAP_POSIX
/* *length bytes, starting at a page; NULL: no such file, or an empty one. */
static const void *map_open(const char *path, size_t *length) {
  struct stat status;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  void *bytes = MAP_FAILED;
  if (file < 0)
    return NULL;
  if (!fstat(file, &status) && S_ISREG(status.st_mode) && status.st_size > 0 &&
      (unsigned long long)status.st_size <= (size_t)-1 / 2) {
    *length = (size_t)status.st_size;
    bytes = mmap(NULL, *length, PROT_READ, MAP_SHARED, file, 0);
  }
  close(file);
  return bytes == MAP_FAILED ? NULL : bytes;
}

static void map_close(const void *bytes, size_t length) {
  munmap((void *)(size_t)bytes, length);
}

/* Has the first `length` bytes at hand: without it their first use would wait for each page. */
static void map_fetch(const void *bytes, size_t length) {
#if defined(__linux__)
  enum { POPULATE_READ = 22 }; /* MADV_POPULATE_READ, Linux 5.14; older systems refuse it */
  if (!madvise((void *)(size_t)bytes, length, POPULATE_READ))
    return;
#endif
  posix_madvise((void *)(size_t)bytes, length, POSIX_MADV_WILLNEED);
}
#else
static const void *map_open(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  long size = file && !fseek(file, 0, SEEK_END) ? ftell(file) : 0;
  void *bytes = NULL;
  if (size > 0 && !fseek(file, 0, SEEK_SET))
    bytes = aligned_alloc(64, ((size_t)size + 63) / 64 * 64);
  if (bytes && fread(bytes, 1, (size_t)size, file) != (size_t)size) {
    free(bytes);
    bytes = NULL;
  }
  if (file)
    fclose(file);
  *length = (size_t)size;
  return bytes;
}

static void map_close(const void *bytes, size_t length) {
  (void)length;
  free((void *)(size_t)bytes);
}

static void map_fetch(const void *bytes, size_t length) {
  (void)bytes, (void)length;
}
#endif
#endif
