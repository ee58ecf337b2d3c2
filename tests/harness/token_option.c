#include "tests/harness/token_option.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"

static int is_text_of(const session *s, int32_t id, const char *text, size_t n) {
    size_t n_bytes;
    const char *bytes = plens_tokenizer_token(s->tokenizer, id, &n_bytes);
    return bytes != NULL && n_bytes == n && memcmp(bytes, text, n) == 0;
}

/* How the tokenizer reads a text that is no token: its number of tokens, 0 if that fails. */
static size_t count_tokens(session *s, const char *text) {
    plens_ids ids = {NULL, 0};
    if (plens_tokenizer_encode(s->context, s->tokenizer, text, strlen(text), 0, &ids, NULL))
        return 0;
    size_t n = ids.count;
    plens_ids_free(s->context, &ids);
    return n;
}

int token_find(session *s, const char *place, const char *text, int32_t *id) {
    if (s->tokenizer == NULL)
        return fail_input("%s/tokenizer.json: not found, so %s cannot name a token by its text",
                          s->options.model, place);
    size_t n = strlen(text), size = plens_tokenizer_size(s->tokenizer);
    int32_t first = -1;
    if (size > s->info.vocab_size)
        size = s->info.vocab_size;
    for (size_t i = 0; i < size; i++) {
        if (!is_text_of(s, (int32_t)i, text, n))
            continue;
        if (first >= 0)
            return fail_input("%s: '%s' is the text of two tokens, %ld and %zu: name one by its id",
                              place, text, (long)first, i);
        first = (int32_t)i;
    }
    if (first < 0)
        return fail_input("%s: no token has the text '%s' (as a text it is %zu tokens; a space "
                          "before a word belongs to its token)",
                          place, text, count_tokens(s, text));
    *id = first;
    return EXIT_DONE;
}

/* Alone, " Tokyo" may be a bare space and then Tokyo (of a tokenizer that puts a space before every
 * text); after a word it is what it would be in a sentence. */
int token_first(session *s, const char *place, const char *text, int32_t *id, size_t *n_tokens) {
    plens_error error;
    plens_gold found;
    const char *before = text[0] == ' ' ? "a" : "";
    if (s->tokenizer == NULL)
        return fail_input("%s/tokenizer.json: not found, so %s cannot be read as tokens",
                          s->options.model, place);
    if (text[0] == '\0')
        return fail_input("%s: no text", place);
    if (plens_gold_token(s->context, s->tokenizer, before, strlen(before), text, strlen(text),
                         PLENS_GOLD_NONE, &found, &error))
        return fail_input("%s: %s", place, error.message);
    *id = found.ids[0];
    *n_tokens = found.n_tokens;
    return session_check_ids(s, place, id, 1);
}

int token_list(session *s, const char *place, const char *list, int32_t **ids, size_t *n_ids) {
    plens_ids read = {NULL, 0};
    char *json = join("[", list, "]", NULL);
    plens_status status = plens_json_to_ids(s->context, json, strlen(json), &read, NULL);
    free(json);
    if (status != PLENS_OK || read.count == 0)
        return fail_input("%s: expected token ids joined by commas, found '%s'", place, list);
    *n_ids = read.count;
    *ids = allocate(read.count, sizeof **ids);
    memcpy(*ids, read.data, read.count * sizeof **ids);
    plens_ids_free(s->context, &read);
    return session_check_ids(s, place, *ids, *n_ids);
}
