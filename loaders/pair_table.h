/* A hash table from pairs of numbers to pairs of numbers: the merges of a BPE model, the edges of a
 * trie. Open addressing, at most half full. */
#ifndef PLENS_LOADERS_PAIR_TABLE_H
#define PLENS_LOADERS_PAIR_TABLE_H

#include "loaders/base.h"

typedef struct plens__pair_slot {
    uint32_t a, b; /* the key; a is UINT32_MAX in an empty slot */
    uint32_t x, y; /* what it leads to */
} plens__pair_slot;

typedef struct plens__pair_table {
    const plens_allocator *allocator;
    plens__pair_slot *slots; /* [mask + 1] */
    size_t mask, count;
} plens__pair_table;

/* Room for `count` pairs before it has to grow; 0 if there is no memory. A table that this failed
 * to make, or an all-zero one, may be freed. */
int plens__pair_table_create(const plens_allocator *allocator, size_t count,
                             plens__pair_table *table);
void plens__pair_table_free(plens__pair_table *table);

/* Sets (a, b) to (x, y), whatever it was; a < UINT32_MAX. 0 if there is no memory. */
int plens__pair_table_put(plens__pair_table *table, uint32_t a, uint32_t b, uint32_t x, uint32_t y);

static inline size_t plens__pair_hash(uint32_t a, uint32_t b) {
    uint64_t h = ((uint64_t)a << 32 | b) * 0x9E3779B97F4A7C15u; /* 2^64 / golden ratio */
    return (size_t)(h ^ h >> 32);
}

/* NULL if the pair is not there. */
static inline const plens__pair_slot *plens__pair_table_get(const plens__pair_table *table,
                                                            uint32_t a, uint32_t b) {
    for (size_t i = plens__pair_hash(a, b) & table->mask;; i = (i + 1) & table->mask) {
        const plens__pair_slot *slot = &table->slots[i];
        if (slot->a == a && slot->b == b)
            return slot;
        if (slot->a == UINT32_MAX)
            return NULL;
    }
}

#endif
