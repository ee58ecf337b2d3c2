#include "loaders/trie.h"

#include <string.h>

static int add_node(plens__trie *trie) {
    const int32_t none = -1;
    return plens__buffer_append(&trie->values, (const char *)&none, sizeof none);
}

int plens__trie_create(const plens_allocator *allocator, plens__trie *trie) {
    memset(trie, 0, sizeof *trie);
    trie->values.allocator = allocator;
    return plens__pair_table_create(allocator, 0, &trie->edges) && add_node(trie);
}

void plens__trie_free(plens__trie *trie) {
    plens__pair_table_free(&trie->edges);
    if (trie->values.allocator != NULL)
        plens__buffer_free(&trie->values);
}

int plens__trie_add(plens__trie *trie, const char *bytes, size_t n, int32_t value, int replace) {
    uint32_t node = 0;
    trie->begins[(unsigned char)bytes[0]] = 1;
    for (size_t i = 0; i < n; i++) {
        uint32_t child = plens__trie_step(trie, node, bytes[i]);
        if (child == 0) {
            size_t count = trie->values.count / sizeof value;
            if (count >= UINT32_MAX - 1)
                return 0;
            child = (uint32_t)count;
            if (!add_node(trie) ||
                !plens__pair_table_put(&trie->edges, node, (unsigned char)bytes[i], child, 0))
                return 0;
        }
        node = child;
    }
    int32_t *slot = (int32_t *)(void *)trie->values.data + node;
    if (*slot < 0 || replace)
        *slot = value;
    return 1;
}

int32_t plens__trie_find(const plens__trie *trie, const char *bytes, size_t n) {
    uint32_t node = 0;
    for (size_t i = 0; i < n; i++) {
        node = plens__trie_step(trie, node, bytes[i]);
        if (node == 0)
            return -1;
    }
    return plens__trie_value(trie, node);
}
