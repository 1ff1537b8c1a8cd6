/* Large pages for large memory.  Kernels write to many places at once (the positions of a Winograd transform,
 * the rows of a tile); with pages of 4 KiB each is a page of its own, and looking pages up takes longer than
 * the arithmetic. */
#ifndef NETC_KERNELS_PAGES_H
#define NETC_KERNELS_PAGES_H
#include <stddef.h>
#include <stdint.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

/* A wish, on Linux; without effect elsewhere and on memory of less than a few megabytes. */
static inline void pages_prefer_large(void *memory, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  enum { LARGE = 1 << 21, PAGE = 1 << 12 };
  uintptr_t begin = ((uintptr_t)memory + PAGE - 1) / PAGE * PAGE,
            end = ((uintptr_t)memory + bytes) / PAGE * PAGE;
  if (bytes >= 2 * (size_t)LARGE && begin < end)
    (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
  (void)memory;
  (void)bytes;
#endif
}
#endif
