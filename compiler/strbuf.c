#define _POSIX_C_SOURCE 200809L
#include "strbuf.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void reserve(StrBuf *buf, size_t more) {
  if (buf->length + more + 1 <= buf->capacity)
    return;
  size_t capacity = buf->capacity ? buf->capacity : 256;
  while (capacity < buf->length + more + 1)
    capacity *= 2;
  char *grown = realloc(buf->text, capacity);
  if (!grown) {
    fprintf(stderr, "netc: out of memory\n");
    exit(1);
  }
  buf->text = grown;
  buf->capacity = capacity;
}

void strbuf_add(StrBuf *buf, const char *text, size_t length) {
  reserve(buf, length);
  memcpy(buf->text + buf->length, text, length);
  buf->length += length;
  buf->text[buf->length] = 0;
}

void strbuf_puts(StrBuf *buf, const char *text) {
  strbuf_add(buf, text, strlen(text));
}

void strbuf_printf(StrBuf *buf, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  reserve(buf, (size_t)length);
  vsnprintf(buf->text + buf->length, (size_t)length + 1, format, again);
  va_end(again);
  buf->length += (size_t)length;
}

void strbuf_free(StrBuf *buf) {
  free(buf->text);
  *buf = (StrBuf){0};
}

int strbuf_write_file(const StrBuf *buf, const char *path) {
  StrBuf beside = {0};
  strbuf_printf(&beside, "%s.%ld.tmp", path, (long)getpid());
  FILE *file = fopen(beside.text, "wb");
  int error = file ? 0 : errno;
  if (file) {
    if (fwrite(buf->text ? buf->text : "", 1, buf->length, file) != buf->length || fflush(file) ||
        fsync(fileno(file)))
      error = errno ? errno : EIO;
    if (fclose(file) && !error)
      error = errno;
    if (!error && rename(beside.text, path))
      error = errno;
    if (error)
      remove(beside.text);
  }
  strbuf_free(&beside);
  return error;
}
