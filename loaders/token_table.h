/* All tokens by id, added ones included: the text that the decoder starts from, and the bytes that
 * a token contributes in the middle of a text. */
#ifndef PLENS_LOADERS_TOKEN_TABLE_H
#define PLENS_LOADERS_TOKEN_TABLE_H

#include "loaders/added_tokens.h"
#include "loaders/decoder.h"

typedef struct plens__known_token {
    const char *text; /* [n] */
    size_t n;
    size_t start, n_bytes; /* table.bytes [start .. start + n_bytes) */
} plens__known_token;

typedef struct plens__token_table {
    const plens_allocator *allocator;
    plens__known_token *tokens; /* by_id - 1 */
    size_t n_tokens;
    uint32_t *by_id; /* [n_ids] index + 1; 0: no token */
    size_t n_ids;    /* one more than the largest id that has a token */
    plens__buffer bytes;
} plens__token_table;

/* The texts stay where they are and must outlive the table. 0 if there is no memory; the table may
 * then be freed all the same. */
int plens__token_table_build(const plens_allocator *allocator, const plens__vocabulary *vocabulary,
                             const plens__added_tokens *added, const plens__decoder *decoder,
                             plens__token_table *table);
void plens__token_table_free(plens__token_table *table);

/* NULL if the id has no token. */
const plens__known_token *plens__token_table_find(const plens__token_table *table, int32_t id);

#endif
