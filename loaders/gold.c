#include "loaders/gold.h"

#include "loaders/unicode.h"
#include "loaders/utf8.h"

typedef struct range {
    uint32_t first, last;
} range;

static int in_ranges(const range *ranges, size_t n, uint32_t c) {
    for (size_t i = 0; i < n; i++) {
        if (c >= ranges[i].first && c <= ranges[i].last)
            return 1;
    }
    return 0;
}

/* Scripts Han, Hiragana, Katakana (with the prolonged sound mark) and Thai: no space precedes
 * them. [Unicode 16, Scripts.txt] */
static int writes_without_spaces(uint32_t c) {
    static const range scripts[] = {
        {0x0E01, 0x0E3A},   {0x0E40, 0x0E5B},  {0x2E80, 0x2FD5},   {0x3005, 0x3007},
        {0x3021, 0x3029},   {0x3031, 0x3035},  {0x3038, 0x303B},   {0x3041, 0x3096},
        {0x309D, 0x309F},   {0x30A1, 0x30FA},  {0x30FC, 0x30FF},   {0x31F0, 0x31FF},
        {0x32D0, 0x32FE},   {0x3300, 0x3357},  {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},
        {0xF900, 0xFAD9},   {0xFF66, 0xFF9D},  {0x16FE2, 0x16FF1}, {0x1AFF0, 0x1B167},
        {0x1F200, 0x1F200}, {0x20000, 0x323AF}};
    return in_ranges(scripts, sizeof scripts / sizeof *scripts, c);
}

/* The last character of valid UTF-8, n > 0. */
static uint32_t last_character(const char *text, size_t n) {
    size_t i = n - 1;
    while (i > 0 && ((unsigned char)text[i] & 0xC0) == 0x80)
        i--;
    uint32_t c = 0;
    plens__utf8_decode(text + i, n - i, &c);
    return c;
}

static int all_spaces(const char *bytes, size_t n) {
    size_t i = 0;
    while (i < n) {
        uint32_t c;
        size_t length = plens__utf8_decode(bytes + i, n - i, &c);
        if (length == 0 || !plens__unicode_is_space(c))
            return 0;
        i += length;
    }
    return n > 0;
}

static int needs_space(const char *text, size_t n_text, const char *gold, size_t n_gold) {
    uint32_t first = 0;
    plens__utf8_decode(gold, n_gold, &first);
    return !(n_text > 0 && plens__unicode_is_space(last_character(text, n_text))) &&
           !writes_without_spaces(first);
}

static size_t common_prefix(const plens_ids *a, const plens_ids *b) {
    size_t i = 0;
    while (i < a->count && i < b->count && a->data[i] == b->data[i])
        i++;
    return i;
}

typedef struct gold_input {
    const plens_allocator *allocator;
    const plens__tokenizer *tokenizer;
    const char *text, *gold;
    size_t n_text, n_gold;
    plens_ids text_ids;
} gold_input;

/* ids(text[0..n_text) + sep + gold). */
static plens_status encode_joined(const gold_input *in, size_t n_text, int space, plens_ids *ids,
                                  plens_error *error) {
    plens__buffer joined = {in->allocator, NULL, 0, 0};
    plens_status status;
    if (plens__buffer_append(&joined, in->text, n_text) &&
        plens__buffer_append(&joined, " ", space ? 1 : 0) &&
        plens__buffer_append(&joined, in->gold, in->n_gold))
        status = plens__tokenizer_encode(in->allocator, in->tokenizer, joined.data, joined.count, 0,
                                         ids, error);
    else
        status = plens__fail_memory(error, n_text + in->n_gold + 1, "a text with its gold");
    plens__buffer_free(&joined);
    return status;
}

/* Adds the gold token for one separator to result. */
static plens_status add_form(const gold_input *in, int space, plens_gold *result,
                             plens_error *error) {
    plens_ids ids;
    plens_status status = encode_joined(in, in->n_text, space, &ids, error);
    if (status != PLENS_OK)
        return status;
    size_t first = common_prefix(&in->text_ids, &ids);
    if (first < in->text_ids.count) {
        plens__free(in->allocator, ids.data);
        status = encode_joined(in, 0, space, &ids, error);
        if (status != PLENS_OK)
            return status;
        first = 0;
        result->merged = 1;
    }
    if (first < ids.count) {
        int32_t id = ids.data[first];
        size_t n_bytes, n_tokens = ids.count - first;
        const char *bytes = plens__tokenizer_token(in->tokenizer, id, &n_bytes);
        result->bare_space |= bytes != NULL && all_spaces(bytes, n_bytes);
        if (n_tokens > result->n_tokens)
            result->n_tokens = n_tokens;
        if (result->n_ids == 0 || result->ids[0] != id)
            result->ids[result->n_ids++] = id;
    } else {
        status = plens__fail(error, PLENS_ERROR_ARGUMENT, "gold \"%.*s\" adds no token to the text",
                             (int)(in->n_gold < 100 ? in->n_gold : 100), in->gold);
    }
    plens__free(in->allocator, ids.data);
    return status;
}

plens_status plens__gold_token(const plens_allocator *allocator, const plens__tokenizer *tokenizer,
                               const char *text, size_t n_text, const char *gold, size_t n_gold,
                               plens_gold_form form, plens_gold *result, plens_error *error) {
    if (n_gold == 0)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "the gold answer is empty");
    if ((int)form < PLENS_GOLD_AUTO || (int)form > PLENS_GOLD_EITHER)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "unknown gold form %d", (int)form);
    gold_input in = {allocator, tokenizer, text, gold, n_text, n_gold, {NULL, 0}};
    plens_status status =
        plens__tokenizer_encode(allocator, tokenizer, text, n_text, 0, &in.text_ids, error);
    if (status != PLENS_OK)
        return status;
    plens_gold found = {{0, 0}, 0, 0, 0, 0};
    int space = form == PLENS_GOLD_AUTO ? needs_space(text, n_text, gold, n_gold)
                                        : form == PLENS_GOLD_SPACE;
    status = add_form(&in, space, &found, error);
    if (status == PLENS_OK && form == PLENS_GOLD_EITHER)
        status = add_form(&in, 1, &found, error);
    plens__free(allocator, in.text_ids.data);
    if (status == PLENS_OK)
        *result = found;
    return status;
}
