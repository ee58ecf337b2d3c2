/* The allocator hook over malloc, for tests that need no faults. */
#ifndef PLENS_TESTS_HEAP_H
#define PLENS_TESTS_HEAP_H

#include <stdlib.h>

#include "plens.h"

static inline void *heap_reallocate(void *user, void *old, size_t old_size, size_t new_size) {
    (void)user;
    (void)old_size;
    if (new_size > 0)
        return realloc(old, new_size);
    free(old);
    return NULL;
}

static const plens_allocator heap = {heap_reallocate, NULL};

#endif
