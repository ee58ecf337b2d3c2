#include "loaders/vocabulary.h"

#include <string.h>

struct plens__vocabulary_slot {
    uint32_t hash;
    uint32_t token; /* index + 1; 0: empty */
};

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/, folded to 32 bits. */
static uint32_t hash(const char *text, size_t n) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)text[i]) * 0x100000001B3u;
    return (uint32_t)(h ^ h >> 32);
}

int plens__vocabulary_create(const plens_allocator *allocator, size_t capacity, int32_t max_id,
                             plens__vocabulary *vocabulary) {
    size_t n_slots = 16;
    memset(vocabulary, 0, sizeof *vocabulary);
    vocabulary->allocator = allocator;
    while (n_slots / 2 < capacity) {
        if (!plens__mul(n_slots, 2, &n_slots))
            return 0;
    }
    vocabulary->capacity = capacity;
    vocabulary->mask = n_slots - 1;
    vocabulary->n_ids = (size_t)max_id + 1;
    vocabulary->tokens = plens__alloc_array(allocator, capacity, sizeof *vocabulary->tokens);
    vocabulary->slots = plens__alloc_array(allocator, n_slots, sizeof *vocabulary->slots);
    vocabulary->by_id = plens__alloc_array(allocator, vocabulary->n_ids, sizeof *vocabulary->by_id);
    return vocabulary->tokens != NULL && vocabulary->slots != NULL && vocabulary->by_id != NULL;
}

void plens__vocabulary_free(plens__vocabulary *vocabulary) {
    if (vocabulary->allocator == NULL)
        return;
    plens__free(vocabulary->allocator, vocabulary->tokens);
    plens__free(vocabulary->allocator, vocabulary->slots);
    plens__free(vocabulary->allocator, vocabulary->by_id);
    memset(vocabulary, 0, sizeof *vocabulary);
}

/* The slot that holds the text, or the empty one where it belongs. */
static plens__vocabulary_slot *find_slot(const plens__vocabulary *vocabulary, const char *text,
                                         size_t n, uint32_t h) {
    for (size_t i = h & vocabulary->mask;; i = (i + 1) & vocabulary->mask) {
        plens__vocabulary_slot *slot = &vocabulary->slots[i];
        if (slot->token == 0)
            return slot;
        const plens__token *token = &vocabulary->tokens[slot->token - 1];
        if (slot->hash == h && token->n == n && memcmp(token->text, text, n) == 0)
            return slot;
    }
}

const plens__token *plens__vocabulary_add(plens__vocabulary *vocabulary, const char *text, size_t n,
                                          int32_t id) {
    uint32_t h = hash(text, n);
    plens__vocabulary_slot *slot = find_slot(vocabulary, text, n, h);
    const plens__token *before = slot->token == 0 ? NULL : &vocabulary->tokens[slot->token - 1];
    plens__token *token = &vocabulary->tokens[vocabulary->n_tokens++];
    token->text = text;
    token->n = n;
    token->id = id;
    slot->hash = h;
    slot->token = (uint32_t)vocabulary->n_tokens;
    if (vocabulary->by_id[id] != 0)
        return before != NULL ? before : plens__vocabulary_by_id(vocabulary, id);
    vocabulary->by_id[id] = slot->token;
    return before;
}

const plens__token *plens__vocabulary_find(const plens__vocabulary *vocabulary, const char *text,
                                           size_t n) {
    const plens__vocabulary_slot *slot = find_slot(vocabulary, text, n, hash(text, n));
    return slot->token == 0 ? NULL : &vocabulary->tokens[slot->token - 1];
}

const plens__token *plens__vocabulary_by_id(const plens__vocabulary *vocabulary, int32_t id) {
    if (id < 0 || (size_t)id >= vocabulary->n_ids || vocabulary->by_id[id] == 0)
        return NULL;
    return &vocabulary->tokens[vocabulary->by_id[id] - 1];
}

void plens__vocabulary_bytes(const plens__vocabulary *vocabulary, int32_t ids[256]) {
    static const char hex[] = "0123456789ABCDEF";
    for (size_t byte = 0; byte < 256; byte++) {
        char name[6] = {'<', '0', 'x', hex[byte >> 4], hex[byte & 15], '>'};
        const plens__token *token = plens__vocabulary_find(vocabulary, name, sizeof name);
        ids[byte] = token == NULL ? -1 : token->id;
    }
}
