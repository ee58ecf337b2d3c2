/* One block of memory for a whole run, cut up by the same code that measures it: carve with base
 * NULL to learn the size, allocate that, carve again. So the plan and the run cannot disagree, and
 * the pass itself allocates nothing. */
#ifndef PLENS_RUNTIME_WORKSPACE_H
#define PLENS_RUNTIME_WORKSPACE_H

#include "loaders/base.h"

typedef struct plens__carver {
    char *base; /* NULL while measuring */
    size_t used;
    int overflow; /* the sizes do not fit a size_t */
} plens__carver;

/* The next count * size bytes, aligned to 64; NULL while measuring or after an overflow. */
void *plens__carve(plens__carver *carver, size_t count, size_t size);

#endif
