/* The BPE model of a tokenizer.json. */
#include <string.h>

#include "loaders/bpe.h"
#include "loaders/unicode.h"
#include "loaders/utf8.h"

/* ---- Vocabulary ---- */

static plens_status largest_id(const plens__part *part, const plens__json *vocab, int32_t *max) {
    *max = 0;
    for (const plens__json *entry = vocab->first; entry != NULL; entry = entry->next) {
        uint64_t id;
        if (!plens__json_u64(entry, &id) || id > (uint64_t)PLENS__MAX_TOKEN_ID)
            return plens__part_expected(part, entry, "a token id from 0 to 16777215");
        if ((int32_t)id > *max)
            *max = (int32_t)id;
    }
    return PLENS_OK;
}

static plens_status read_vocabulary(const plens__part *part, const plens__json *json,
                                    plens__vocabulary *vocabulary) {
    const plens__json *vocab = plens__json_get(json, "vocab");
    int32_t max_id;
    if (vocab == NULL || vocab->type != PLENS__JSON_OBJECT)
        return plens__part_expected(part, vocab == NULL ? json : vocab,
                                    "\"vocab\": an object of tokens and ids");
    plens_status status = largest_id(part, vocab, &max_id);
    if (status != PLENS_OK)
        return status;
    if (!plens__vocabulary_create(part->arena->allocator, vocab->count, max_id, vocabulary))
        return plens__part_no_memory(part);
    for (const plens__json *entry = vocab->first; entry != NULL; entry = entry->next) {
        uint64_t id = 0;
        plens__json_u64(entry, &id);
        const char *text = plens__arena_copy(part->arena, entry->key, entry->key_length);
        if (text == NULL)
            return plens__part_no_memory(part);
        if (plens__vocabulary_add(vocabulary, text, entry->key_length, (int32_t)id) != NULL)
            return plens__part_expected(part, entry, "a token and an id not used before");
    }
    return PLENS_OK;
}

/* ---- Merges ---- */

typedef struct halves {
    const char *left, *right; /* [n_left], [n_right] */
    size_t n_left, n_right;
} halves;

/* A merge is "left right" or ["left", "right"]. */
static plens_status read_halves(const plens__part *part, const plens__json *merge, int as_pairs,
                                halves *h) {
    if (as_pairs) {
        const plens__json *left = merge->type == PLENS__JSON_ARRAY ? merge->first : NULL;
        const plens__json *right = left == NULL ? NULL : left->next;
        if (right == NULL || merge->count != 2 || left->type != PLENS__JSON_STRING ||
            right->type != PLENS__JSON_STRING)
            return plens__part_expected(part, merge, "a merge as two strings, like the first");
        *h = (halves){left->text, right->text, left->length, right->length};
        return PLENS_OK;
    }
    const char *space =
        merge->type == PLENS__JSON_STRING ? memchr(merge->text, ' ', merge->length) : NULL;
    if (space == NULL)
        return plens__part_expected(part, merge, "a merge as \"left right\"");
    size_t n_left = (size_t)(space - merge->text);
    *h = (halves){merge->text, space + 1, n_left, merge->length - n_left - 1};
    if (memchr(h->right, ' ', h->n_right) != NULL)
        return plens__part_expected(part, merge, "a merge with one space");
    return PLENS_OK;
}

/* Puts the merge into the table. The merged token is left + right without the right one's
 * continuing_subword_prefix. */
static plens_status add_merge(const plens__part *part, const plens__json *merge, const halves *h,
                              uint32_t rank, plens__bpe *bpe, plens__buffer *merged) {
    const plens__token *left = plens__vocabulary_find(bpe->vocabulary, h->left, h->n_left);
    const plens__token *right = plens__vocabulary_find(bpe->vocabulary, h->right, h->n_right);
    const plens__token *both = NULL;
    merged->count = 0;
    if (left != NULL && right != NULL && h->n_right >= bpe->n_prefix) {
        if (!plens__buffer_append(merged, h->left, h->n_left) ||
            !plens__buffer_append(merged, h->right + bpe->n_prefix, h->n_right - bpe->n_prefix))
            return plens__part_no_memory(part);
        both = plens__vocabulary_find(bpe->vocabulary, merged->data, merged->count);
    }
    if (both == NULL)
        return plens__part_expected(part, merge, "a merge of two tokens into a third one");
    if (!plens__pair_table_put(&bpe->merges, (uint32_t)left->id, (uint32_t)right->id, rank,
                               (uint32_t)both->id))
        return plens__part_no_memory(part);
    return PLENS_OK;
}

static int is_version_line(const plens__json *merge) {
    return merge->type == PLENS__JSON_STRING && merge->length >= 8 &&
           memcmp(merge->text, "#version", 8) == 0;
}

static plens_status read_merges(const plens__part *part, const plens__json *json, plens__bpe *bpe) {
    const plens__json *merges = plens__json_get(json, "merges");
    if (merges == NULL || merges->type != PLENS__JSON_ARRAY)
        return plens__part_expected(part, merges == NULL ? json : merges, "\"merges\": an array");
    if (merges->count >= UINT32_MAX ||
        !plens__pair_table_create(part->arena->allocator, merges->count, &bpe->merges))
        return plens__part_no_memory(part);
    int as_pairs = merges->first != NULL && merges->first->type == PLENS__JSON_ARRAY;
    plens__buffer merged = {part->arena->allocator, NULL, 0, 0};
    plens_status status = PLENS_OK;
    uint32_t rank = 0;
    const plens__json *merge = merges->first;
    for (; merge != NULL && status == PLENS_OK; merge = merge->next) {
        halves h = {NULL, NULL, 0, 0};
        if (is_version_line(merge) && !as_pairs)
            continue;
        status = read_halves(part, merge, as_pairs, &h);
        if (status == PLENS_OK)
            status = add_merge(part, merge, &h, rank++, bpe, &merged);
    }
    plens__buffer_free(&merged);
    return status;
}

/* ---- Options ---- */

/* A string or null; *text is NULL for null. */
static plens_status read_optional(const plens__part *part, const plens__json *json, const char *key,
                                  const char **text, size_t *n) {
    const plens__json *value = plens__json_get(json, key);
    *text = NULL;
    *n = 0;
    if (value == NULL || value->type == PLENS__JSON_NULL)
        return PLENS_OK;
    if (value->type != PLENS__JSON_STRING)
        return plens__part_expected(part, value, "a string or null");
    return plens__part_copy(part, value, text, n);
}

/* Dropout makes encodings random; only none and 0 mean something here. */
static plens_status refuse_dropout(const plens__part *part, const plens__json *json) {
    const plens__json *dropout = plens__json_get(json, "dropout");
    double value = 0;
    if (dropout == NULL || dropout->type == PLENS__JSON_NULL)
        return PLENS_OK;
    if (!plens__json_double(dropout, &value))
        return plens__part_expected(part, dropout, "\"dropout\" to be null or a number");
    if (value != 0)
        return plens__fail(part->error, PLENS_ERROR_UNSUPPORTED,
                           "%s: %s: dropout %s is not known: encodings would be random", part->file,
                           part->name, dropout->text);
    return PLENS_OK;
}

static plens_status read_options(const plens__part *part, const plens__json *json,
                                 plens__bpe *bpe) {
    size_t n_unk;
    plens_status status = refuse_dropout(part, json);
    if (status == PLENS_OK)
        status = read_optional(part, json, "unk_token", &bpe->unk_token, &n_unk);
    if (status == PLENS_OK)
        status =
            read_optional(part, json, "continuing_subword_prefix", &bpe->prefix, &bpe->n_prefix);
    if (status == PLENS_OK)
        status = read_optional(part, json, "end_of_word_suffix", &bpe->suffix, &bpe->n_suffix);
    if (status == PLENS_OK)
        status = plens__part_bool(part, json, "fuse_unk", 0, &bpe->fuse_unk);
    if (status == PLENS_OK)
        status = plens__part_bool(part, json, "byte_fallback", 0, &bpe->byte_fallback);
    if (status == PLENS_OK)
        status = plens__part_bool(part, json, "ignore_merges", 0, &bpe->ignore_merges);
    if (status == PLENS_OK && bpe->unk_token != NULL) {
        const plens__token *unk = plens__vocabulary_find(bpe->vocabulary, bpe->unk_token, n_unk);
        bpe->unk_id = unk == NULL ? -1 : unk->id;
    }
    return status;
}

plens_status plens__bpe_read(const plens__part *part, const plens__json *json,
                             plens__vocabulary *vocabulary, plens__bpe *bpe) {
    memset(bpe, 0, sizeof *bpe);
    bpe->vocabulary = vocabulary;
    bpe->unk_id = -1;
    plens_status status = read_vocabulary(part, json, vocabulary);
    if (status == PLENS_OK)
        status = read_options(part, json, bpe);
    if (status == PLENS_OK)
        status = read_merges(part, json, bpe);
    if (status != PLENS_OK)
        return status;
    plens__vocabulary_bytes(vocabulary, bpe->byte_ids);
    for (uint32_t c = 0; c < PLENS__BPE_DIRECT; c++) {
        char text[4];
        const plens__token *token =
            plens__vocabulary_find(vocabulary, text, plens__utf8_encode(c, text));
        bpe->character_ids[c] = token == NULL ? -1 : token->id;
    }
    return PLENS_OK;
}

void plens__bpe_free(plens__bpe *bpe) {
    plens__pair_table_free(&bpe->merges);
}
