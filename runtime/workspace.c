#include "runtime/workspace.h"

void *plens__carve(plens__carver *carver, size_t count, size_t size) {
    size_t bytes, end;
    if (!plens__mul(count, size, &bytes) || !plens__add(bytes, 63, &bytes) ||
        !plens__add(carver->used, bytes / 64 * 64, &end)) {
        carver->overflow = 1;
        return NULL;
    }
    char *block = carver->base == NULL ? NULL : carver->base + carver->used;
    carver->used = end;
    return block;
}
