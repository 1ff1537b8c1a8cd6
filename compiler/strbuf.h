/* A growing text.  The caller owns it: strbuf_free when done. */
#ifndef NETC_STRBUF_H
#define NETC_STRBUF_H
#include <stddef.h>

typedef struct StrBuf {
  char *text; /* always NUL-terminated once anything was added; NULL before */
  size_t length, capacity;
} StrBuf;

void strbuf_printf(StrBuf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void strbuf_add(StrBuf *buf, const char *text, size_t length);
void strbuf_puts(StrBuf *buf, const char *text);
void strbuf_free(StrBuf *buf);
/* Writes the text beside `path`, syncs it and renames it over `path`: the old file stays until the new one is
 * whole.  Returns 0, or an errno value with nothing left behind. */
int strbuf_write_file(const StrBuf *buf, const char *path);
#endif
