#include "loaders/unigram.h"

#include <string.h>

/* What an unknown character costs beyond the worst token (SentencePiece, unigram_model.cc). */
#define UNKNOWN_PENALTY 10.0

/* ---- Reading ---- */

/* One entry of the vocabulary: [text, score]. Ids are positions. */
static plens_status read_entry(const plens__part *part, const plens__json *entry, size_t id,
                               plens__vocabulary *vocabulary, plens__unigram *u) {
    const plens__json *text = entry->type == PLENS__JSON_ARRAY ? entry->first : NULL;
    if (text == NULL || entry->count != 2 || text->type != PLENS__JSON_STRING ||
        !plens__json_double(text->next, &u->scores[id]))
        return plens__part_expected(part, entry, "a token and its score");
    const char *copy;
    size_t n;
    plens_status status = plens__part_copy(part, text, &copy, &n);
    if (status != PLENS_OK)
        return status;
    plens__vocabulary_add(vocabulary, copy, n, (int32_t)id);
    if (n > 0 && !plens__trie_add(&u->trie, copy, n, (int32_t)id, 1))
        return plens__part_no_memory(part);
    return PLENS_OK;
}

static plens_status read_vocabulary(const plens__part *part, const plens__json *json,
                                    plens__vocabulary *vocabulary, plens__unigram *u) {
    const plens__json *list = plens__json_get(json, "vocab");
    if (list == NULL || list->type != PLENS__JSON_ARRAY || list->count == 0 ||
        list->count > (size_t)PLENS__MAX_TOKEN_ID + 1)
        return plens__part_expected(part, list == NULL ? json : list,
                                    "\"vocab\": 1 to 16777216 tokens with their scores");
    u->scores = plens__alloc_array(part->arena->allocator, list->count, sizeof *u->scores);
    if (u->scores == NULL || !plens__trie_create(part->arena->allocator, &u->trie) ||
        !plens__vocabulary_create(part->arena->allocator, list->count, (int32_t)list->count - 1,
                                  vocabulary))
        return plens__part_no_memory(part);
    size_t id = 0;
    double lowest = 0;
    for (const plens__json *entry = list->first; entry != NULL; entry = entry->next, id++) {
        plens_status status = read_entry(part, entry, id, vocabulary, u);
        if (status != PLENS_OK)
            return status;
        if (id == 0 || u->scores[id] < lowest)
            lowest = u->scores[id];
    }
    u->unk_score = lowest - UNKNOWN_PENALTY;
    return PLENS_OK;
}

plens_status plens__unigram_read(const plens__part *part, const plens__json *json,
                                 plens__vocabulary *vocabulary, plens__unigram *u) {
    memset(u, 0, sizeof *u);
    u->allocator = part->arena->allocator;
    u->vocabulary = vocabulary;
    u->unk_id = -1;
    plens_status status = plens__part_bool(part, json, "byte_fallback", 0, &u->byte_fallback);
    if (status == PLENS_OK)
        status = read_vocabulary(part, json, vocabulary, u);
    const plens__json *unk = plens__json_get(json, "unk_id");
    if (status == PLENS_OK && unk != NULL && unk->type != PLENS__JSON_NULL) {
        uint64_t id;
        if (!plens__json_u64(unk, &id) || id >= vocabulary->n_tokens)
            return plens__part_expected(part, unk, "\"unk_id\" to be the id of a token");
        u->unk_id = (int32_t)id;
    }
    if (status == PLENS_OK)
        plens__vocabulary_bytes(vocabulary, u->byte_ids);
    return status;
}

void plens__unigram_free(plens__unigram *u) {
    if (u->allocator == NULL)
        return;
    plens__free(u->allocator, u->scores);
    plens__trie_free(&u->trie);
}

/* ---- Encoding ---- */

/* The best segmentation of text[0 .. here). */
typedef struct node {
    double score;
    size_t start; /* where its last token begins; SIZE_MAX while there is none */
    size_t next;  /* on the best path: where the token that begins here ends */
    int32_t id;   /* of its last token */
} node;

static size_t character_length(char lead) {
    unsigned char byte = (unsigned char)lead;
    return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/* Strictly better only: of equal segmentations the one whose last token begins earlier stays. */
static void offer(node *end, double score, size_t start, int32_t id) {
    if (end->start == SIZE_MAX || score > end->score) {
        end->score = score;
        end->start = start;
        end->id = id;
    }
}

/* Viterbi over nodes [n + 1]. Returns the position of a character that no token and no unk covers,
 * or n. */
static size_t find_best(const plens__unigram *u, const char *text, size_t n, node *nodes) {
    nodes[0].score = 0;
    for (size_t i = 0; i <= n; i++)
        nodes[i].start = SIZE_MAX;
    for (size_t at = 0; at < n;) {
        size_t length = character_length(text[at]);
        int single = 0;
        uint32_t edge = 0;
        for (size_t i = at; i < n; i++) {
            edge = plens__trie_step(&u->trie, edge, text[i]);
            if (edge == 0)
                break;
            int32_t id = plens__trie_value(&u->trie, edge);
            if (id < 0)
                continue;
            offer(&nodes[i + 1], u->scores[id] + nodes[at].score, at, id);
            single |= i + 1 == at + length;
        }
        if (!single && u->unk_id < 0)
            return at;
        if (!single)
            offer(&nodes[at + length], u->unk_score + nodes[at].score, at, u->unk_id);
        at += length;
    }
    return n;
}

static int append_id(plens__buffer *ids, int32_t id) {
    return plens__buffer_append(ids, (const char *)&id, sizeof id);
}

/* A run of adjacent unknowns: the token that it happens to be, or its bytes if all of them are
 * tokens, or one unk. */
static int append_unknown(const plens__unigram *u, const char *text, size_t n, plens__buffer *ids) {
    const plens__token *token = plens__vocabulary_find(u->vocabulary, text, n);
    if (token != NULL)
        return append_id(ids, token->id);
    int all = u->byte_fallback;
    for (size_t i = 0; i < n && all; i++)
        all = u->byte_ids[(unsigned char)text[i]] >= 0;
    if (!all)
        return append_id(ids, u->unk_id);
    for (size_t i = 0; i < n; i++) {
        if (!append_id(ids, u->byte_ids[(unsigned char)text[i]]))
            return 0;
    }
    return 1;
}

static int append_path(const plens__unigram *u, const char *text, size_t n, node *nodes,
                       plens__buffer *ids) {
    for (size_t end = n; end > 0; end = nodes[end].start)
        nodes[nodes[end].start].next = end;
    for (size_t at = 0, end; at < n; at = end) {
        end = nodes[at].next;
        if (nodes[end].id != u->unk_id) {
            if (!append_id(ids, nodes[end].id))
                return 0;
            continue;
        }
        while (end < n && nodes[nodes[end].next].id == u->unk_id)
            end = nodes[end].next;
        if (!append_unknown(u, text + at, end - at, ids))
            return 0;
    }
    return 1;
}

plens_status plens__unigram_encode(const plens__unigram *u, const char *text, size_t n,
                                   plens__buffer *scratch, plens__buffer *ids, plens_error *error) {
    size_t bytes;
    if (!plens__add(n, 1, &bytes) || !plens__mul(bytes, sizeof(node), &bytes))
        return plens__fail_memory(error, SIZE_MAX, "a text");
    if (scratch->capacity < bytes) {
        plens__buffer_free(scratch);
        scratch->data = plens__alloc(scratch->allocator, bytes);
        if (scratch->data == NULL)
            return plens__fail_memory(error, bytes, "the segmentation of a text");
        scratch->capacity = bytes;
    }
    node *nodes = (node *)(void *)scratch->data;
    size_t reached = find_best(u, text, n, nodes);
    if (reached < n)
        return plens__fail(error, PLENS_ERROR_UNSUPPORTED,
                           "no token covers \"%.*s\" and the tokenizer has no unk_id",
                           (int)character_length(text[reached]), text + reached);
    if (!append_path(u, text, n, nodes, ids))
        return plens__fail_memory(error, n, "token ids");
    return PLENS_OK;
}
