#include "loaders/tokenizer.h"

#include <string.h>

#include "loaders/bpe.h"
#include "loaders/file.h"
#include "loaders/postprocessor.h"
#include "loaders/pretokenizer.h"
#include "loaders/token_table.h"
#include "loaders/unigram.h"
#include "loaders/utf8.h"

struct plens__tokenizer {
    plens_allocator allocator; /* a copy: the tokenizer outlives the context */
    plens__arena arena;        /* texts and steps; its allocator is the copy above */
    int is_unigram;
    plens__vocabulary vocabulary;
    plens__bpe bpe;
    plens__unigram unigram;
    plens__added_tokens added;
    plens__normalizer normalizer;
    plens__pretokenizer pretokenizer;
    plens__postprocessor postprocessor;
    plens__decoder decoder;
    plens__token_table table;
};

/* ---- Opening ---- */

/* "model" says what it is; files older than that are told apart as the reference does. */
static plens_status read_model(const plens__part *part, const plens__json *json,
                               plens__tokenizer *t) {
    if (json == NULL || json->type != PLENS__JSON_OBJECT)
        return plens__fail(part->error, PLENS_ERROR_FORMAT,
                           "%s: expected \"model\" to be an object", part->file);
    const plens__json *type = plens__json_get(json, "type");
    const plens__json *vocab = plens__json_get(json, "vocab");
    int untyped = type == NULL && vocab != NULL;
    if (plens__json_is_string(type, "BPE") ||
        (untyped && vocab->type == PLENS__JSON_OBJECT && plens__json_get(json, "merges") != NULL))
        return plens__bpe_read(part, json, &t->vocabulary, &t->bpe);
    t->is_unigram = 1;
    if (plens__json_is_string(type, "Unigram") || (untyped && vocab->type == PLENS__JSON_ARRAY))
        return plens__unigram_read(part, json, &t->vocabulary, &t->unigram);
    if (type == NULL)
        return plens__part_expected(part, json, "a \"type\"");
    return plens__part_unknown(part, "type", type);
}

/* The reference would cut or fill up every encoding; whoever reads residuals does not want that
 * unasked. */
static plens_status refuse_shaping(const plens__part *part, const plens__json *root) {
    static const char *const keys[] = {"truncation", "padding"};
    const plens__json *version = plens__json_get(root, "version");
    if (version != NULL && !plens__json_is_string(version, "1.0"))
        return plens__part_unknown(part, "version", version);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const plens__json *value = plens__json_get(root, keys[i]);
        if (value != NULL && value->type != PLENS__JSON_NULL)
            return plens__fail(part->error, PLENS_ERROR_UNSUPPORTED,
                               "%s: expected \"%s\" to be null: it would change the encodings",
                               part->file, keys[i]);
    }
    return PLENS_OK;
}

static plens_status read_parts(plens__tokenizer *t, const char *path, const plens__json *root,
                               plens_error *error) {
    plens__part part = {path, "tokenizer", &t->arena, error};
    if (root->type != PLENS__JSON_OBJECT)
        return plens__part_expected(&part, root, "an object");
    plens_status status = refuse_shaping(&part, root);
    part.name = "model";
    if (status == PLENS_OK)
        status = read_model(&part, plens__json_get(root, part.name), t);
    part.name = "normalizer";
    if (status == PLENS_OK)
        status = plens__normalizer_read(&part, plens__json_get(root, part.name), &t->normalizer);
    part.name = "pre_tokenizer";
    if (status == PLENS_OK)
        status =
            plens__pretokenizer_read(&part, plens__json_get(root, part.name), &t->pretokenizer);
    part.name = "added_tokens";
    if (status == PLENS_OK)
        status = plens__added_tokens_read(&part, plens__json_get(root, part.name), &t->vocabulary,
                                          &t->normalizer, &t->added);
    part.name = "decoder";
    if (status == PLENS_OK)
        status = plens__decoder_read(&part, plens__json_get(root, part.name), &t->decoder);
    if (status == PLENS_OK &&
        !plens__token_table_build(&t->allocator, &t->vocabulary, &t->added, &t->decoder, &t->table))
        status = plens__part_no_memory(&part);
    part.name = "post_processor";
    if (status == PLENS_OK)
        status = plens__postprocessor_read(&part, plens__json_get(root, part.name), &t->table,
                                           &t->postprocessor);
    return status;
}

static plens_status read_file(plens__tokenizer *t, const char *path, plens_error *error) {
    plens__arena arena = {&t->allocator, NULL}; /* of the JSON, for a while */
    const plens__json *root = NULL;
    plens_status status = plens__json_load(&arena, path, &root, error);
    if (status == PLENS_OK)
        status = plens__json_no_duplicates(&t->allocator, path, root, error);
    if (status == PLENS_OK)
        status = read_parts(t, path, root, error);
    plens__arena_free(&arena);
    return status;
}

plens_status plens__tokenizer_open(const plens_allocator *allocator, const char *folder,
                                   plens__tokenizer **tokenizer, plens_error *error) {
    plens__tokenizer *t = plens__alloc_array(allocator, 1, sizeof *t);
    char *path = plens__path_join(allocator, folder, "tokenizer.json");
    plens_status status = PLENS_OK;
    if (t == NULL || path == NULL) {
        status = plens__fail_memory(error, sizeof *t, "a tokenizer");
        plens__free(allocator, t);
    } else {
        t->allocator = *allocator;
        t->arena.allocator = &t->allocator;
        status = read_file(t, path, error);
        if (status == PLENS_OK)
            *tokenizer = t;
        else
            plens__tokenizer_close(t);
    }
    plens__free(allocator, path);
    return status;
}

void plens__tokenizer_close(plens__tokenizer *t) {
    if (t == NULL)
        return;
    plens__token_table_free(&t->table);
    plens__added_tokens_free(&t->added);
    plens__unigram_free(&t->unigram);
    plens__bpe_free(&t->bpe);
    plens__vocabulary_free(&t->vocabulary);
    plens__arena_free(&t->arena);
    plens_allocator allocator = t->allocator;
    plens__free(&allocator, t);
}

size_t plens__tokenizer_size(const plens__tokenizer *t) {
    return t->table.n_ids;
}

const char *plens__tokenizer_token(const plens__tokenizer *t, int32_t id, size_t *n_bytes) {
    const plens__known_token *token = plens__token_table_find(&t->table, id);
    if (n_bytes != NULL)
        *n_bytes = token == NULL ? 0 : token->n_bytes;
    if (token == NULL)
        return NULL;
    return token->n_bytes == 0 ? "" : t->table.bytes.data + token->start;
}

/* ---- Encoding ---- */

/* The memory of one encoding. */
typedef struct encoder {
    const plens__tokenizer *t;
    plens__buffer spans, inner_spans; /* of plens__span: of the text; of a normalized segment */
    plens__buffer normalized, scratch;
    plens__pieces pieces, other_pieces;
    plens__bpe_scratch bpe;
    plens__buffer unigram;
    plens__buffer ids; /* of int32_t */
    plens_error *error;
} encoder;

static plens_status no_memory(const encoder *e, size_t n) {
    return plens__fail_memory(e->error, n, "the encoding of a text");
}

static plens_status add_id(encoder *e, int32_t id) {
    return plens__buffer_append(&e->ids, (const char *)&id, sizeof id) ? PLENS_OK
                                                                       : no_memory(e, sizeof id);
}

/* Normalized text without added tokens: cut up, each piece through the model. */
static plens_status encode_normalized(encoder *e, const char *text, size_t n, int first) {
    plens__pieces_clear(&e->pieces);
    if (!plens__pieces_add(&e->pieces, text, n, first) ||
        !plens__pretokenizer_apply(&e->t->pretokenizer, &e->pieces, &e->other_pieces))
        return no_memory(e, n);
    for (size_t i = 0; i < plens__pieces_count(&e->pieces); i++) {
        const plens__piece *piece = plens__pieces_get(&e->pieces, i);
        const char *bytes = plens__pieces_text(&e->pieces, piece);
        plens_status status =
            e->t->is_unigram
                ? plens__unigram_encode(&e->t->unigram, bytes, piece->n, &e->unigram, &e->ids,
                                        e->error)
                : plens__bpe_encode(&e->t->bpe, bytes, piece->n, &e->bpe, &e->ids, e->error);
        if (status != PLENS_OK)
            return status;
    }
    return PLENS_OK;
}

/* A segment between added tokens, as it stands in the text. */
static plens_status encode_segment(encoder *e, const char *text, size_t n, int first) {
    if (!plens__normalizer_apply(&e->t->normalizer, text, n, &e->normalized, &e->scratch, &first))
        return no_memory(e, n);
    e->inner_spans.count = 0;
    if (!plens__added_tokens_split(&e->t->added, &e->t->added.normalized, e->normalized.data,
                                   e->normalized.count, &e->inner_spans))
        return no_memory(e, n);
    plens_status status = PLENS_OK;
    const plens__span *spans = (const plens__span *)(const void *)e->inner_spans.data;
    for (size_t i = 0; i < e->inner_spans.count / sizeof *spans && status == PLENS_OK; i++)
        status = spans[i].token != NULL ? add_id(e, spans[i].token->id)
                                        : encode_normalized(e, e->normalized.data + spans[i].start,
                                                            spans[i].end - spans[i].start,
                                                            first && spans[i].start == 0);
    return status;
}

static plens_status encode_text(encoder *e, const char *text, size_t n) {
    if (!plens__added_tokens_split(&e->t->added, &e->t->added.raw, text, n, &e->spans))
        return no_memory(e, n);
    plens_status status = PLENS_OK;
    const plens__span *spans = (const plens__span *)(const void *)e->spans.data;
    for (size_t i = 0; i < e->spans.count / sizeof *spans && status == PLENS_OK; i++)
        status = spans[i].token != NULL
                     ? add_id(e, spans[i].token->id)
                     : encode_segment(e, text + spans[i].start, spans[i].end - spans[i].start,
                                      spans[i].start == 0);
    return status;
}

static encoder new_encoder(const plens_allocator *allocator, const plens__tokenizer *t,
                           plens_error *error) {
    plens__buffer empty = {allocator, NULL, 0, 0};
    plens__pieces none = plens__pieces_none(allocator);
    encoder e = {t,     empty, empty, empty, empty, none, none, plens__bpe_scratch_none(allocator),
                 empty, empty, error};
    return e;
}

static void free_encoder(encoder *e) {
    plens__buffer_free(&e->spans);
    plens__buffer_free(&e->inner_spans);
    plens__buffer_free(&e->normalized);
    plens__buffer_free(&e->scratch);
    plens__pieces_free(&e->pieces);
    plens__pieces_free(&e->other_pieces);
    plens__bpe_scratch_free(&e->bpe);
    plens__buffer_free(&e->unigram);
    plens__buffer_free(&e->ids);
}

plens_status plens__tokenizer_encode(const plens_allocator *allocator, const plens__tokenizer *t,
                                     const char *text, size_t n_bytes, int special, plens_ids *ids,
                                     plens_error *error) {
    size_t good = plens__utf8_check(text, n_bytes);
    if (good < n_bytes)
        return plens__fail(error, PLENS_ERROR_FORMAT,
                           "text: byte %zu: expected UTF-8, found byte 0x%02X", good,
                           (unsigned)(unsigned char)text[good]);
    encoder e = new_encoder(allocator, t, error);
    plens__buffer all = {allocator, NULL, 0, 0};
    plens_status status = encode_text(&e, text, n_bytes);
    if (status == PLENS_OK &&
        (!plens__buffer_append(&all, "", 0) ||
         !plens__postprocessor_apply(&t->postprocessor, (const int32_t *)(const void *)e.ids.data,
                                     e.ids.count / sizeof(int32_t), special, &all)))
        status = no_memory(&e, n_bytes);
    free_encoder(&e);
    if (status != PLENS_OK) {
        plens__buffer_free(&all);
        return status;
    }
    ids->data = (int32_t *)(void *)all.data;
    ids->count = all.count / sizeof(int32_t);
    return PLENS_OK;
}

/* ---- Decoding ---- */

static plens_status collect_tokens(const plens__tokenizer *t, const int32_t *ids, size_t n_ids,
                                   plens__pieces *pieces, plens_error *error) {
    for (size_t i = 0; i < n_ids; i++) {
        const plens__known_token *token = plens__token_table_find(&t->table, ids[i]);
        if (token == NULL)
            return plens__fail(error, PLENS_ERROR_ARGUMENT,
                               "id %ld at position %zu: no token; the tokenizer has ids below %zu",
                               (long)ids[i], i, t->table.n_ids);
        if (!plens__pieces_add(pieces, token->text, token->n, 0))
            return plens__fail_memory(error, token->n, "the decoding of ids");
    }
    return PLENS_OK;
}

plens_status plens__tokenizer_decode(const plens_allocator *allocator, const plens__tokenizer *t,
                                     const int32_t *ids, size_t n_ids, plens_text *text,
                                     plens_error *error) {
    plens__pieces pieces = plens__pieces_none(allocator), other = pieces;
    plens_status status = collect_tokens(t, ids, n_ids, &pieces, error);
    if (status == PLENS_OK && (!plens__decoder_apply(&t->decoder, &pieces, &other) ||
                               !plens__buffer_append(&pieces.text, "", 0)))
        status = plens__fail_memory(error, n_ids, "the decoding of ids");
    if (status == PLENS_OK) {
        text->data = pieces.text.data;
        text->count = pieces.text.count;
        pieces.text.data = NULL;
    }
    plens__pieces_free(&pieces);
    plens__pieces_free(&other);
    return status;
}
