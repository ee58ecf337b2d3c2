/* The Unigram model (Kudo 2018, https://arxiv.org/abs/1804.10959): the segmentation of a piece
 * whose tokens' log probabilities add up to the most, as SentencePiece and the reference find it.
 */
#ifndef PLENS_LOADERS_UNIGRAM_H
#define PLENS_LOADERS_UNIGRAM_H

#include "loaders/component.h"
#include "loaders/trie.h"
#include "loaders/vocabulary.h"

typedef struct plens__unigram {
    const plens_allocator *allocator;
    const plens__vocabulary *vocabulary;
    plens__trie trie; /* of the tokens; values are ids */
    double *scores;   /* [id] */
    double unk_score;
    int32_t unk_id; /* -1: none */
    int byte_fallback;
    int32_t byte_ids[256];
} plens__unigram;

/* Reads the model and fills *vocabulary (all-zero before). On failure both may be freed, as may an
 * all-zero model. */
plens_status plens__unigram_read(const plens__part *part, const plens__json *json,
                                 plens__vocabulary *vocabulary, plens__unigram *unigram);
void plens__unigram_free(plens__unigram *unigram);

/* Appends the ids (int32_t) of text [n]. scratch is memory to be used again; error as in
 * plens_tokenizer_encode. */
plens_status plens__unigram_encode(const plens__unigram *unigram, const char *text, size_t n,
                                   plens__buffer *scratch, plens__buffer *ids, plens_error *error);

#endif
