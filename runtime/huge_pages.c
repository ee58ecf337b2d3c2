#define _DEFAULT_SOURCE /* madvise */

#include "runtime/huge_pages.h"

#include <stdint.h>
#include <sys/mman.h>

#include "loaders/base.h"

enum { HUGE_PAGE = 2 << 20, LEAST = 4 * HUGE_PAGE };

/* A sum that does not fit is more than any allocator has. */
size_t plens__huge_bytes(size_t bytes) {
    size_t more = SIZE_MAX;
    if (bytes < LEAST)
        return bytes;
    plens__add(bytes, HUGE_PAGE, &more);
    return more;
}

char *plens__huge_begin(char *block, size_t bytes) {
    if (bytes < LEAST)
        return block;
    char *begin = block + (HUGE_PAGE - (uintptr_t)block % HUGE_PAGE) % HUGE_PAGE;
#ifdef MADV_HUGEPAGE
    (void)madvise(begin, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return begin;
}
