/* The model's tokens: text to id and back. */
#ifndef PLENS_LOADERS_VOCABULARY_H
#define PLENS_LOADERS_VOCABULARY_H

#include "loaders/base.h"

/* Ids index a table, so a file must not be able to ask for any size: 16 million and no more. */
#define PLENS__MAX_TOKEN_ID ((int32_t)0xFFFFFF)

typedef struct plens__token {
    const char *text; /* [n], not owned */
    size_t n;
    int32_t id;
} plens__token;

typedef struct plens__vocabulary_slot plens__vocabulary_slot;
typedef struct plens__vocabulary {
    const plens_allocator *allocator;
    plens__token *tokens; /* [n_tokens] in the order in which they were added */
    size_t n_tokens, capacity;
    plens__vocabulary_slot *slots; /* [mask + 1] open addressing by the text's hash */
    size_t mask;
    uint32_t *by_id; /* [n_ids] index of the token + 1; 0: none */
    size_t n_ids;
} plens__vocabulary;

/* Room for `capacity` tokens with ids up to max_id (at most PLENS__MAX_TOKEN_ID); 0 if there is no
 * memory. A vocabulary that this failed to make, or an all-zero one, may be freed. */
int plens__vocabulary_create(const plens_allocator *allocator, size_t capacity, int32_t max_id,
                             plens__vocabulary *vocabulary);
void plens__vocabulary_free(plens__vocabulary *vocabulary);

/* Adds a token within capacity and max_id; text must outlive the vocabulary. Returns the token
 * that had this text before or, failing that, this id (NULL as a rule); the text now finds the new
 * one, an id that was taken keeps the old one. */
const plens__token *plens__vocabulary_add(plens__vocabulary *vocabulary, const char *text, size_t n,
                                          int32_t id);

/* NULL if there is none. */
const plens__token *plens__vocabulary_find(const plens__vocabulary *vocabulary, const char *text,
                                           size_t n);
const plens__token *plens__vocabulary_by_id(const plens__vocabulary *vocabulary, int32_t id);

/* Ids of the tokens <0x00> to <0xFF>, -1 for those that are missing. */
void plens__vocabulary_bytes(const plens__vocabulary *vocabulary, int32_t ids[256]);

#endif
