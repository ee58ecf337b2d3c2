#define _DEFAULT_SOURCE /* madvise */

#include "runtime/huge_pages.h"

#include <stdint.h>
#include <sys/mman.h>

#include "loaders/base.h"

enum { HUGE_PAGE = 2 << 20, LEAST = 4 * HUGE_PAGE, LINE = 64 };

static size_t alignment(size_t bytes) {
    return bytes < LEAST ? LINE : HUGE_PAGE;
}

/* A sum that does not fit is more than any allocator has. */
size_t plens__huge_bytes(size_t bytes) {
    size_t more = SIZE_MAX;
    plens__add(bytes, alignment(bytes), &more);
    return more;
}

char *plens__huge_begin(char *block, size_t bytes) {
    size_t to = alignment(bytes);
    char *begin = block + (to - (uintptr_t)block % to) % to;
#ifdef MADV_HUGEPAGE
    if (to == HUGE_PAGE)
        (void)madvise(begin, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return begin;
}
