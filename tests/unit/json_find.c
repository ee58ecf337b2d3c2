/* loaders/json_find.c: values of a JSON text by their path. */
#include "loaders/json.h"

#include "tests/faults.h"
#include "tests/test.h"

static plens_context *context;

static const char line[] =
    "{\"id\":\"x\",\"choices\":[{\"text\":\"caf\\u00e9\\n\"},{\"n\":-1.50e2}],\"\":{\"\":1},"
    "\"yes\":true,\"no\":false,\"nothing\":null,\"empty\":\"\",\"0\":7}";

static int finds(const char *json, const char *path, plens_json_kind kind, const char *expected) {
    plens_json_kind found = (plens_json_kind)77;
    plens_text text = {NULL, 0};
    plens_error error;
    if (plens_json_find(context, json, strlen(json), path, &found, &text, &error) != PLENS_OK) {
        printf("%s\n", error.message);
        return 0;
    }
    int same = found == kind && text.count == strlen(expected) &&
               memcmp(text.data, expected, text.count + 1) == 0;
    plens_text_free(context, &text);
    return same;
}

/* Guards every kind of value, escapes resolved, numbers as written. */
static void values_are_found(void) {
    CHECK(finds(line, "", PLENS_JSON_OBJECT, ""));
    CHECK(finds(line, "id", PLENS_JSON_STRING, "x"));
    CHECK(finds(line, "choices", PLENS_JSON_ARRAY, ""));
    CHECK(finds(line, "choices/0", PLENS_JSON_OBJECT, ""));
    CHECK(finds(line, "choices/0/text", PLENS_JSON_STRING, "caf\xc3\xa9\n"));
    CHECK(finds(line, "choices/1/n", PLENS_JSON_NUMBER, "-1.50e2"));
    CHECK(finds(line, "yes", PLENS_JSON_TRUE, ""));
    CHECK(finds(line, "no", PLENS_JSON_FALSE, ""));
    CHECK(finds(line, "nothing", PLENS_JSON_NULL, ""));
    CHECK(finds(line, "empty", PLENS_JSON_STRING, ""));
    CHECK(finds(line, "0", PLENS_JSON_NUMBER, "7"));
    CHECK(finds("[[1,2],[3]]", "1/0", PLENS_JSON_NUMBER, "3"));
    CHECK(finds(" \"alone\" ", "", PLENS_JSON_STRING, "alone"));
}

/* Guards against a value that is not there: null and missing are not the same. */
static void missing_is_not_null(void) {
    static const char *const paths[] = {"i",
                                        "idd",
                                        "id/x",
                                        "id/0",
                                        "choices/2",
                                        "choices/00",
                                        "choices/-1",
                                        "choices/+1",
                                        "choices/x",
                                        "choices/0/t",
                                        "nothing/x",
                                        "choices//text",
                                        "choices/18446744073709551616",
                                        "yes/0",
                                        "/x"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        CHECK_THAT(finds(line, paths[i], PLENS_JSON_MISSING, ""), "%s", paths[i]);
}

/* Guards outputs and messages where the text is broken, or says two things at once. */
static void broken_texts_are_refused(void) {
    static const char *const texts[] = {"",
                                        "{",
                                        "{\"a\":1,}",
                                        "{\"a\":1}{",
                                        "{\"a\":1,\"a\":2}",
                                        "[{\"b\":{\"a\":1,\"a\":1}}]",
                                        "{\"a\":\"\\ud800\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        plens_json_kind kind = (plens_json_kind)77;
        plens_text text = {NULL, 99};
        plens_error error;
        plens_status status =
            plens_json_find(context, texts[i], strlen(texts[i]), "a", &kind, &text, &error);
        CHECK_THAT(status == PLENS_ERROR_FORMAT, "%s: status %d", texts[i], (int)status);
        CHECK_CONTAINS(error.message, "JSON");
        CHECK(kind == (plens_json_kind)77 && text.data == NULL && text.count == 99);
    }
    plens_json_kind kind;
    plens_text text;
    CHECK_INT(plens_json_find(context, line, 1, NULL, &kind, &text, NULL), PLENS_ERROR_ARGUMENT);
    CHECK_INT(plens_json_find(NULL, line, 1, "", &kind, &text, NULL), PLENS_ERROR_ARGUMENT);
}

static plens_status find_once(const plens_allocator *allocator, void *data, plens_error *error) {
    plens_json_kind kind;
    plens_text text;
    plens_status status = plens__json_find_text(allocator, line, sizeof line - 1, "choices/0/text",
                                                &kind, &text, error);
    (void)data;
    if (status == PLENS_OK)
        plens__free(allocator, text.data);
    return status;
}

/* Guards every path on which memory runs out. */
static void no_memory_no_leak(void) {
    const char *problem = faults_sweep(find_once, NULL);
    CHECK_THAT(problem == NULL, "%s", problem);
}

/* Guards against messages that look past the text's end: it need not be zero-terminated. */
static void the_text_ends_where_it_is_said_to(void) {
    static const char text[] = {'[', '1', ']', '!'}, string[] = {'"', 'a', '"', '!'};
    plens_error error;
    plens_text found = {NULL, 0};
    plens_ids ids = {NULL, 0};
    CHECK_INT(plens_json_to_text(context, text, 3, &found, &error), PLENS_ERROR_FORMAT);
    CHECK_STRING(error.message, "JSON: byte 0: expected a string, found an array of 1");
    CHECK_INT(plens_json_to_ids(context, string, 3, &ids, &error), PLENS_ERROR_FORMAT);
    CHECK_STRING(error.message, "JSON: byte 0: expected an array of token ids, found \"a\"");
    CHECK_INT(plens_json_to_ids(context, text, 2, &ids, &error), PLENS_ERROR_FORMAT);
    CHECK_OK(plens_json_to_text(context, string, 3, &found, &error), error);
    CHECK(found.count == 1 && found.data[0] == 'a');
    plens_text_free(context, &found);
}

int main(void) {
    plens_error error;
    if (plens_context_create(NULL, &context, &error) != PLENS_OK) {
        printf("%s\n", error.message);
        return 1;
    }
    RUN(values_are_found);
    RUN(missing_is_not_null);
    RUN(broken_texts_are_refused);
    RUN(the_text_ends_where_it_is_said_to);
    RUN(no_memory_no_leak);
    plens_context_destroy(context);
    return test_finish();
}
