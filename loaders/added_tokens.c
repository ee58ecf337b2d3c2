#include "loaders/added_tokens.h"

#include <string.h>

#include "loaders/unicode.h"
#include "loaders/utf8.h"

/* ---- Reading ---- */

static plens_status read_token(const plens__part *part, const plens__json *json,
                               plens__added_token *token, uint64_t *id) {
    const plens__json *content;
    if (json->type != PLENS__JSON_OBJECT || !plens__json_u64(plens__json_get(json, "id"), id))
        return plens__part_expected(part, json, "an object with an \"id\" from 0");
    plens_status status = plens__part_string(part, json, "content", &content);
    if (status == PLENS_OK)
        status = plens__part_bool(part, json, "single_word", -1, &token->single_word);
    if (status == PLENS_OK)
        status = plens__part_bool(part, json, "lstrip", -1, &token->lstrip);
    if (status == PLENS_OK)
        status = plens__part_bool(part, json, "rstrip", -1, &token->rstrip);
    if (status == PLENS_OK)
        status = plens__part_bool(part, json, "normalized", -1, &token->normalized);
    if (status == PLENS_OK)
        status = plens__part_bool(part, json, "special", -1, &token->special);
    return status != PLENS_OK ? status
                              : plens__part_copy(part, content, &token->content, &token->n);
}

/* The reference gives a token that the model knows the model's id, and all others ids that count
 * on from the vocabulary's size or the largest added id. Where the file has another id its author
 * and the reference disagree on what the token is: neither is taken. */
static plens_status give_id(const plens__part *part, const plens__json *json,
                            const plens__vocabulary *vocabulary, uint64_t file_id, size_t *next_id,
                            plens__added_token *token) {
    const plens__token *known = plens__vocabulary_find(vocabulary, token->content, token->n);
    uint64_t id = known != NULL ? (uint64_t)known->id : (uint64_t)*next_id;
    if (id != file_id)
        return plens__fail(part->error, PLENS_ERROR_FORMAT,
                           "%s: %s: byte %zu: token \"%s\": expected id %llu, found %llu",
                           part->file, part->name, json->offset, token->content,
                           (unsigned long long)id, (unsigned long long)file_id);
    if (id > (uint64_t)PLENS__MAX_TOKEN_ID)
        return plens__part_expected(part, json, "a token id up to 16777215");
    if (known == NULL && plens__vocabulary_by_id(vocabulary, (int32_t)id) != NULL)
        return plens__part_expected(part, json, "a token with an id that the model does not use");
    if (known == NULL)
        ++*next_id;
    token->id = (int32_t)id;
    return PLENS_OK;
}

/* A token may stand in the list twice (*skip = 1: the reference ignores the second one), but not
 * with other flags: the reference would take them for both. `seen` holds the tokens before. */
static plens_status check_twin(const plens__part *part, const plens__json *json, uint64_t file_id,
                               const plens__added_tokens *added, plens__trie *seen, int *skip) {
    const plens__added_token *token = &added->tokens[added->n_tokens];
    int32_t found = plens__trie_find(seen, token->content, token->n);
    *skip = found >= 0;
    if (!*skip)
        return plens__trie_add(seen, token->content, token->n, (int32_t)added->n_tokens, 0)
                   ? PLENS_OK
                   : plens__part_no_memory(part);
    const plens__added_token *twin = &added->tokens[found];
    if (twin->single_word == token->single_word && twin->lstrip == token->lstrip &&
        twin->rstrip == token->rstrip && twin->normalized == token->normalized &&
        twin->special == token->special && (uint64_t)twin->id == file_id)
        return PLENS_OK;
    return plens__fail(part->error, PLENS_ERROR_FORMAT,
                       "%s: %s: byte %zu: token \"%s\": expected the id and the flags that it has "
                       "further above, found others",
                       part->file, part->name, json->offset, token->content);
}

static plens_status read_tokens(const plens__part *part, const plens__json *json,
                                const plens__vocabulary *vocabulary, plens__trie *seen,
                                plens__added_tokens *added) {
    size_t next_id = vocabulary->n_tokens;
    for (const plens__json *entry = json->first; entry != NULL; entry = entry->next) {
        plens__added_token *token = &added->tokens[added->n_tokens];
        uint64_t id;
        plens_status status = read_token(part, entry, token, &id);
        if (status != PLENS_OK)
            return status;
        if (token->n == 0) /* the reference ignores these */
            continue;
        int skip;
        status = check_twin(part, entry, id, added, seen, &skip);
        if (status == PLENS_OK && skip)
            continue;
        if (status == PLENS_OK)
            status = give_id(part, entry, vocabulary, id, &next_id, token);
        if (status != PLENS_OK)
            return status;
        if ((size_t)token->id >= added->n_ids)
            added->n_ids = (size_t)token->id + 1;
        added->n_tokens++;
    }
    return PLENS_OK;
}

/* Puts the tokens that are special, or those that are not, into the tries. Of two that look alike
 * after normalization the first stays, and special ones come first. */
static plens_status add_to_tries(const plens__part *part, const plens__normalizer *normalizer,
                                 int special, plens__added_tokens *added) {
    plens__buffer text = {part->arena->allocator, NULL, 0, 0}, scratch = text;
    plens_status status = PLENS_OK;
    for (size_t i = 0; i < added->n_tokens && status == PLENS_OK; i++) {
        const plens__added_token *token = &added->tokens[i];
        int first = 1, ok = 1;
        if (token->special != special)
            continue;
        if (!token->normalized) {
            ok = plens__trie_add(&added->raw, token->content, token->n, (int32_t)i, 0);
        } else if (!plens__normalizer_apply(normalizer, token->content, token->n, &text, &scratch,
                                            &first)) {
            ok = 0;
        } else if (text.count == 0) {
            status = plens__fail(part->error, PLENS_ERROR_UNSUPPORTED,
                                 "%s: %s: token \"%s\" is nothing once it is normalized",
                                 part->file, part->name, token->content);
        } else {
            ok = plens__trie_add(&added->normalized, text.data, text.count, (int32_t)i, 0);
        }
        if (!ok)
            status = plens__part_no_memory(part);
    }
    plens__buffer_free(&text);
    plens__buffer_free(&scratch);
    return status;
}

plens_status plens__added_tokens_read(const plens__part *part, const plens__json *json,
                                      const plens__vocabulary *vocabulary,
                                      const plens__normalizer *normalizer,
                                      plens__added_tokens *added) {
    size_t bytes, count = 0;
    if (json != NULL && json->type != PLENS__JSON_NULL) {
        if (json->type != PLENS__JSON_ARRAY)
            return plens__part_expected(part, json, "an array");
        count = json->count;
    }
    if (!plens__trie_create(part->arena->allocator, &added->raw) ||
        !plens__trie_create(part->arena->allocator, &added->normalized) ||
        !plens__mul(count, sizeof *added->tokens, &bytes))
        return plens__part_no_memory(part);
    added->tokens = plens__arena_alloc(part->arena, bytes);
    if (added->tokens == NULL)
        return plens__part_no_memory(part);
    plens_status status = PLENS_OK;
    plens__trie seen;
    if (!plens__trie_create(part->arena->allocator, &seen))
        status = plens__part_no_memory(part);
    else if (count > 0)
        status = read_tokens(part, json, vocabulary, &seen, added);
    plens__trie_free(&seen);
    if (status == PLENS_OK)
        status = add_to_tries(part, normalizer, 1, added);
    if (status == PLENS_OK)
        status = add_to_tries(part, normalizer, 0, added);
    return status;
}

void plens__added_tokens_free(plens__added_tokens *added) {
    plens__trie_free(&added->raw);
    plens__trie_free(&added->normalized);
}

/* ---- Splitting ---- */

/* The longest token that begins at `at`, and its end; NULL if none does. */
static const plens__added_token *longest_at(const plens__added_tokens *added,
                                            const plens__trie *trie, const char *text, size_t n,
                                            size_t at, size_t *end) {
    int32_t best = -1;
    uint32_t node = 0;
    for (size_t i = at; i < n; i++) {
        node = plens__trie_step(trie, node, text[i]);
        if (node == 0)
            break;
        if (plens__trie_value(trie, node) >= 0) {
            best = plens__trie_value(trie, node);
            *end = i + 1;
        }
    }
    return best < 0 ? NULL : &added->tokens[best];
}

static size_t character_before(const char *text, size_t at, uint32_t *c) {
    size_t start = at - 1;
    while (start > 0 && ((unsigned char)text[start] & 0xC0) == 0x80)
        start--;
    plens__utf8_decode(text + start, at - start, c);
    return start;
}

static int is_single_word(const char *text, size_t n, size_t start, size_t end) {
    uint32_t c = 0;
    if (start > 0) {
        character_before(text, start, &c);
        if (plens__unicode_is_word(c))
            return 0;
    }
    return end == n || plens__utf8_decode(text + end, n - end, &c) == 0 ||
           !plens__unicode_is_word(c);
}

/* Where the white space that ends at `at` begins, but not before `floor`. */
static size_t spaces_before(const char *text, size_t at, size_t floor) {
    while (at > floor) {
        uint32_t c = 0;
        size_t start = character_before(text, at, &c);
        if (!plens__unicode_is_space(c))
            break;
        at = start;
    }
    return at;
}

static size_t spaces_after(const char *text, size_t n, size_t at) {
    uint32_t c = 0;
    size_t length;
    while ((length = plens__utf8_decode(text + at, n - at, &c)) > 0 && plens__unicode_is_space(c))
        at += length;
    return at;
}

static int add_span(plens__buffer *spans, size_t start, size_t end,
                    const plens__added_token *token) {
    plens__span span = {start, end, token};
    return start >= end || plens__buffer_append(spans, (const char *)&span, sizeof span);
}

/* As the reference's AddedVocabulary::find_matches. A match goes on from the token's own end, not
 * from that of the white space it took in: a token that is white space may match in there, and
 * then `done` goes back. */
int plens__added_tokens_split(const plens__added_tokens *added, const plens__trie *trie,
                              const char *text, size_t n, plens__buffer *spans) {
    size_t done = 0, at = 0;
    while (at < n) {
        size_t end = 0;
        const plens__added_token *token = NULL;
        if (trie->begins[(unsigned char)text[at]])
            token = longest_at(added, trie, text, n, at, &end);
        if (token == NULL) {
            at++;
            continue;
        }
        size_t start = at, stop = end;
        at = end;
        if (token->single_word && !is_single_word(text, n, start, stop))
            continue;
        if (token->lstrip)
            start = start > done ? spaces_before(text, start, done) : done;
        if (token->rstrip)
            stop = spaces_after(text, n, stop);
        if (!add_span(spans, done, start, NULL) || !add_span(spans, start, stop, token))
            return 0;
        done = stop;
    }
    return add_span(spans, done, n, NULL);
}
