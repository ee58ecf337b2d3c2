/* Byte strings in a trie: which of them begin at a place of a text, in one walk. */
#ifndef PLENS_LOADERS_TRIE_H
#define PLENS_LOADERS_TRIE_H

#include "loaders/pair_table.h"

typedef struct plens__trie {
    plens__pair_table edges;   /* (node, byte) to (child, 0) */
    plens__buffer values;      /* [node] int32_t, -1 where no string ends */
    unsigned char begins[256]; /* 1 for bytes that some string begins with */
} plens__trie;

/* 0 if there is no memory. A trie that this failed to make, or an all-zero one, may be freed. */
int plens__trie_create(const plens_allocator *allocator, plens__trie *trie);
void plens__trie_free(plens__trie *trie);

/* Gives bytes [n > 0] a value >= 0. Of two values for one string `replace` says which stays: 1 the
 * later. 0 if there is no memory. */
int plens__trie_add(plens__trie *trie, const char *bytes, size_t n, int32_t value, int replace);

/* The value of bytes [n > 0], or -1. */
int32_t plens__trie_find(const plens__trie *trie, const char *bytes, size_t n);

/* The child of node (0: the root) by byte, or 0. */
static inline uint32_t plens__trie_step(const plens__trie *trie, uint32_t node, char byte) {
    const plens__pair_slot *slot = plens__pair_table_get(&trie->edges, node, (unsigned char)byte);
    return slot == NULL ? 0 : slot->x;
}

static inline int32_t plens__trie_value(const plens__trie *trie, uint32_t node) {
    return ((const int32_t *)(const void *)trie->values.data)[node];
}

#endif
