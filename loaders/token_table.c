#include "loaders/token_table.h"

#include <string.h>

/* An added token stands over the model's token of the same id. */
static void set_text(plens__token_table *table, int32_t id, const char *text, size_t n) {
    if (table->by_id[id] == 0)
        table->by_id[id] = (uint32_t)++table->n_tokens;
    plens__known_token *token = &table->tokens[table->by_id[id] - 1];
    token->text = text;
    token->n = n;
    if ((size_t)id >= table->n_ids)
        table->n_ids = (size_t)id + 1;
}

static int set_bytes(plens__token_table *table, const plens__decoder *decoder, int32_t id,
                     plens__buffer *scratch) {
    plens__known_token *token = &table->tokens[table->by_id[id] - 1];
    token->start = table->bytes.count;
    int ok = decoder == NULL
                 ? plens__buffer_append(&table->bytes, token->text, token->n)
                 : plens__decoder_token(decoder, token->text, token->n, &table->bytes, scratch);
    token->n_bytes = table->bytes.count - token->start;
    return ok;
}

int plens__token_table_build(const plens_allocator *allocator, const plens__vocabulary *vocabulary,
                             const plens__added_tokens *added, const plens__decoder *decoder,
                             plens__token_table *table) {
    size_t n_ids = vocabulary->n_ids > added->n_ids ? vocabulary->n_ids : added->n_ids;
    plens__buffer scratch = {allocator, NULL, 0, 0};
    memset(table, 0, sizeof *table);
    table->allocator = table->bytes.allocator = allocator;
    table->tokens = plens__alloc_array(allocator, vocabulary->n_tokens + added->n_tokens,
                                       sizeof *table->tokens);
    table->by_id = plens__alloc_array(allocator, n_ids, sizeof *table->by_id);
    if (table->tokens == NULL || table->by_id == NULL)
        return 0;
    int ok = 1;
    for (size_t i = 0; i < vocabulary->n_tokens && ok; i++) {
        const plens__token *token = &vocabulary->tokens[i];
        set_text(table, token->id, token->text, token->n);
        ok = set_bytes(table, decoder, token->id, &scratch);
    }
    for (size_t i = 0; i < added->n_tokens && ok; i++) { /* their content as it stands */
        const plens__added_token *token = &added->tokens[i];
        set_text(table, token->id, token->content, token->n);
        ok = set_bytes(table, NULL, token->id, &scratch);
    }
    plens__buffer_free(&scratch);
    return ok;
}

void plens__token_table_free(plens__token_table *table) {
    if (table->allocator == NULL)
        return;
    plens__free(table->allocator, table->tokens);
    plens__free(table->allocator, table->by_id);
    plens__buffer_free(&table->bytes);
}

const plens__known_token *plens__token_table_find(const plens__token_table *table, int32_t id) {
    if (id < 0 || (size_t)id >= table->n_ids || table->by_id[id] == 0)
        return NULL;
    return &table->tokens[table->by_id[id] - 1];
}
