/* The "added_tokens" of tokenizer.json: strings that become one id wherever they stand in a text,
 * before anything else looks at it. */
#ifndef PLENS_LOADERS_ADDED_TOKENS_H
#define PLENS_LOADERS_ADDED_TOKENS_H

#include "loaders/normalizer.h"
#include "loaders/trie.h"
#include "loaders/vocabulary.h"

typedef struct plens__added_token {
    const char *content; /* [n > 0] */
    size_t n;
    int32_t id;
    int single_word;    /* only where no word character touches it */
    int lstrip, rstrip; /* takes the white space beside it in */
    int normalized;     /* looked for in normalized text, itself normalized */
    int special;
} plens__added_token;

typedef struct plens__added_tokens {
    plens__added_token *tokens; /* [n_tokens] */
    size_t n_tokens;
    plens__trie raw, normalized; /* which ones are looked for before and after normalization */
    size_t n_ids;                /* one more than the largest id */
} plens__added_tokens;

/* json may be NULL or null. Ids are given as the reference does (the vocabulary's, or counting on
 * from it); FORMAT if the file says otherwise. *added may be freed also on failure. */
plens_status plens__added_tokens_read(const plens__part *part, const plens__json *json,
                                      const plens__vocabulary *vocabulary,
                                      const plens__normalizer *normalizer,
                                      plens__added_tokens *added);
void plens__added_tokens_free(plens__added_tokens *added);

/* Part of a text: an added token, or what lies between (token NULL). */
typedef struct plens__span {
    size_t start, end;
    const plens__added_token *token;
} plens__span;

/* Appends the spans (plens__span) of text [n]; trie is added->raw or added->normalized. Empty ones
 * are left out. 0 if there is no memory. */
int plens__added_tokens_split(const plens__added_tokens *added, const plens__trie *trie,
                              const char *text, size_t n, plens__buffer *spans);

#endif
