/* loaders/json.c through plens.h: any bytes as JSON; what was read is written and read again. */
#include "tests/fuzz/fuzz.h"

static void write_and_read(plens_context *context, const plens_text *text) {
    size_t n = plens_json_escape(text->data, text->count, NULL, 0);
    char *json = malloc(n + 3);
    plens_text again = {NULL, 0};
    plens_error error;
    json[0] = '"';
    FUZZ_CHECK(plens_json_escape(text->data, text->count, json + 1, n + 1) == n);
    json[n + 1] = '"';
    FUZZ_CHECK(plens_json_to_text(context, json, n + 2, &again, &error) == PLENS_OK);
    FUZZ_CHECK(again.count == text->count && memcmp(again.data, text->data, text->count) == 0);
    plens_text_free(context, &again);
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const char *const paths[] = {"", "a", "0", "a/b", "choices/0/message/content", "1/1/1"};
    static plens_context *context;
    const char *json = (const char *)data;
    plens_error error;
    plens_ids ids = {NULL, 0};
    plens_text text = {NULL, 0};
    plens_json_kind kind;
    if (context == NULL && plens_context_create(NULL, &context, &error) != PLENS_OK)
        abort();
    if (fuzz_ok(plens_json_to_ids(context, json, n, &ids, &error), &error))
        plens_ids_free(context, &ids);
    if (fuzz_ok(plens_json_to_text(context, json, n, &text, &error), &error)) {
        write_and_read(context, &text);
        plens_text_free(context, &text);
    }
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (fuzz_ok(plens_json_find(context, json, n, paths[i], &kind, &text, &error), &error)) {
            FUZZ_CHECK(plens__utf8_check(text.data, text.count) == text.count);
            plens_text_free(context, &text);
        }
    }
    return 0;
}
