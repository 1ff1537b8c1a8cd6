/* One member of a zip archive (a .keras file is one; PKWARE's APPNOTE describes the records). */
#ifndef NETC_WEIGHTS_ARCHIVE_H
#define NETC_WEIGHTS_ARCHIVE_H
#include <zlib.h>

#include "../system.h"

static uint32_t archive_number(const unsigned char *at, int bytes) {
  uint32_t number = 0;
  for (int i = bytes - 1; i >= 0; i--)
    number = number << 8 | at[i];
  return number;
}

/* Unpacks the member at its local header into fresh memory; NULL where it does not fit in the archive or is
 * damaged. */
static unsigned char *archive_unpack(unsigned char *zip, size_t length, const unsigned char *entry) {
  size_t at = archive_number(entry + 42, 4), packed = archive_number(entry + 20, 4),
         size = archive_number(entry + 24, 4);
  int method = (int)archive_number(entry + 10, 2);
  if (at + 30 > length || memcmp(zip + at, "PK\3\4", 4))
    return NULL;
  at += 30 + archive_number(zip + at + 26, 2) + archive_number(zip + at + 28, 2);
  if (at > length || packed > length - at || (method == 0 && packed != size))
    return NULL;
  unsigned char *bytes = malloc(size ? size : 1);
  bool good = bytes && (method == 0 || method == 8);
  if (good && method == 0) {
    memcpy(bytes, zip + at, size);
  } else if (good) {
    z_stream stream = {
        .next_in = zip + at, .avail_in = (uInt)packed, .next_out = bytes, .avail_out = (uInt)size};
    good = inflateInit2(&stream, -MAX_WBITS) == Z_OK;
    if (good) {
      good = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == size;
      inflateEnd(&stream);
    }
  }
  if (good && crc32(crc32(0, Z_NULL, 0), bytes, (uInt)size) == archive_number(entry + 16, 4))
    return bytes;
  free(bytes);
  return NULL;
}

/* The member called `name` of the archive `path`, *size bytes in fresh memory. */
static unsigned char *archive_read(const char *path, const char *name, size_t *size, Fault *fault) {
  size_t length, end;
  unsigned char *zip = system_read_file(path, &length, fault), *bytes = NULL;
  if (!zip)
    return NULL;
  fault_set(fault, "%s: is a damaged archive (no directory at its end)", path);
  for (end = length < 22 ? 0 : length - 21; end-- > 0 && length - end < 66000;)
    if (!memcmp(zip + end, "PK\5\6", 4)) {
      size_t count = archive_number(zip + end + 10, 2), at = archive_number(zip + end + 16, 4);
      fault_set(fault, "%s: has no member %s", path, name);
      while (count-- && at + 46 <= length && !memcmp(zip + at, "PK\1\2", 4)) {
        size_t name_length = archive_number(zip + at + 28, 2);
        if (at + 46 + name_length > length)
          break;
        if (name_length == strlen(name) && !memcmp(zip + at + 46, name, name_length)) {
          *size = archive_number(zip + at + 24, 4);
          bytes = archive_unpack(zip, length, zip + at);
          if (!bytes)
            fault_set(fault, "%s: its member %s is damaged or packed in an unknown way", path, name);
          break;
        }
        at += 46 + name_length + archive_number(zip + at + 30, 2) + archive_number(zip + at + 32, 2);
      }
      break;
    }
  free(zip);
  return bytes;
}
#endif
