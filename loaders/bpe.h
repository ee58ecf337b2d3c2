/* Byte pair encoding (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909): a piece begins as
 * characters; of all adjacent pairs that may merge the one of lowest rank does, the leftmost first,
 * until none is left. */
#ifndef PLENS_LOADERS_BPE_H
#define PLENS_LOADERS_BPE_H

#include "loaders/component.h"
#include "loaders/pair_table.h"
#include "loaders/vocabulary.h"

#define PLENS__BPE_DIRECT                                                                          \
    0x250 /* characters below are looked up in a table (Latin, byte level)                         \
           */

typedef struct plens__bpe {
    const plens__vocabulary *vocabulary;
    plens__pair_table merges;                 /* (left id, right id) to (rank, merged id) */
    int32_t character_ids[PLENS__BPE_DIRECT]; /* -1: none */
    int32_t byte_ids[256];
    const char *unk_token;       /* NULL: unknown characters are dropped */
    int32_t unk_id;              /* -1: unk_token is no token */
    const char *prefix, *suffix; /* of all characters but the first; of the last one */
    size_t n_prefix, n_suffix;
    int fuse_unk, byte_fallback, ignore_merges;
} plens__bpe;

/* Memory of an encoding that the next piece uses again. Starts all-zero but for the allocators. */
typedef struct plens__bpe_scratch {
    plens__buffer symbols, heap, spelling;
} plens__bpe_scratch;
plens__bpe_scratch plens__bpe_scratch_none(const plens_allocator *allocator);
void plens__bpe_scratch_free(plens__bpe_scratch *scratch);

/* Reads the model and fills *vocabulary (all-zero before). On failure both may be freed, as may an
 * all-zero model. */
plens_status plens__bpe_read(const plens__part *part, const plens__json *json,
                             plens__vocabulary *vocabulary, plens__bpe *bpe);
void plens__bpe_free(plens__bpe *bpe);

/* Appends the ids (int32_t) of text [n > 0]; errors as in plens_tokenizer_encode. */
plens_status plens__bpe_encode(const plens__bpe *bpe, const char *text, size_t n,
                               plens__bpe_scratch *scratch, plens__buffer *ids, plens_error *error);

#endif
