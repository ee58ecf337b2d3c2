/* loaders/tokenizer.c and the parts behind it: a tokenizer.json, a zero byte, and a text to encode.
 * Every id has a token, and ids can be decoded. */
#include "tests/fuzz/fuzz.h"

#include "loaders/tokenizer.h"

static void decode(const plens__tokenizer *tokenizer, const plens_ids *ids) {
    plens_error error;
    plens_text text = {NULL, 0};
    FUZZ_CHECK(plens__tokenizer_decode(&heap, tokenizer, ids->data, ids->count, &text, &error) ==
               PLENS_OK);
    FUZZ_CHECK(plens__utf8_check(text.data, text.count) == text.count);
    plens__free(&heap, text.data);
}

static void encode(const plens__tokenizer *tokenizer, const char *text, size_t n, int special) {
    plens_error error;
    plens_ids ids = {NULL, 0};
    if (!fuzz_ok(plens__tokenizer_encode(&heap, tokenizer, text, n, special, &ids, &error), &error))
        return;
    for (size_t i = 0; i < ids.count; i++) {
        size_t n_bytes;
        FUZZ_CHECK(plens__tokenizer_token(tokenizer, ids.data[i], &n_bytes) != NULL);
    }
    decode(tokenizer, &ids);
    plens__free(&heap, ids.data);
}

/* Some ids of no text. */
static void decode_all(const plens__tokenizer *tokenizer) {
    int32_t list[64];
    plens_ids ids = {list, 0};
    size_t size = plens__tokenizer_size(tokenizer), n_bytes;
    for (size_t id = 0; id < size && ids.count < 64; id++) {
        if (plens__tokenizer_token(tokenizer, (int32_t)id, &n_bytes) != NULL)
            list[ids.count++] = (int32_t)id;
    }
    decode(tokenizer, &ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    plens__tokenizer *tokenizer = NULL;
    plens_error error;
    const char *text;
    size_t n_text, n_json = fuzz_halves(data, n, &text, &n_text);
    fuzz_write("tokenizer.json", data, n_json);
    if (!fuzz_ok(plens__tokenizer_open(&heap, fuzz_folder(), &tokenizer, &error), &error))
        return 0;
    encode(tokenizer, text, n_text, 0);
    encode(tokenizer, text, n_text, 1);
    decode_all(tokenizer);
    plens__tokenizer_close(tokenizer);
    return 0;
}
