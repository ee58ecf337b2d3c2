/* loaders/escape.c: text that may hold anything, written into TSV cells and JSON strings. */
#include "plens.h"

#include "tests/test.h"

typedef size_t escape_fn(const char *bytes, size_t n_bytes, char *out, size_t capacity);

static int gives(escape_fn *escape, const char *bytes, size_t n, const char *expected) {
    char out[256];
    memset(out, '#', sizeof out);
    return escape(bytes, n, out, sizeof out) == strlen(expected) && strcmp(out, expected) == 0;
}

/* Guards cells against tabs and line breaks, readers against bytes that are no text. */
static void tsv_cells_are_escaped(void) {
    CHECK(gives(plens_tsv_escape, "", 0, ""));
    CHECK(gives(plens_tsv_escape, "a \"b'\xe3\x81\x82\xf0\x9f\x98\x80", 12,
                "a \"b'\xe3\x81\x82\xf0\x9f\x98\x80"));
    CHECK(gives(plens_tsv_escape, "\t\n\r\\", 4, "\\t\\n\\r\\\\"));
    CHECK(gives(plens_tsv_escape, "\0\x01\x1f\x7f", 4, "\\x00\\x01\\x1F\\x7F"));
    CHECK(gives(plens_tsv_escape, "a\xff\xe3\x81 b", 6, "a\\xFF\\xE3\\x81 b"));
    CHECK(gives(plens_tsv_escape, "\xe3\x81", 2, "\\xE3\\x81"));
    CHECK(gives(plens_tsv_escape, "\xc0\x80\xed\xa0\x80", 5, "\\xC0\\x80\\xED\\xA0\\x80"));
}

/* Guards JSON strings: RFC 8259's escapes, one U+FFFD for each maximal part of a broken character
 * (as Python's bytes.decode("utf-8", "replace")). */
static void json_strings_are_escaped(void) {
    CHECK(gives(plens_json_escape, "", 0, ""));
    CHECK(gives(plens_json_escape, "a/\xe3\x81\x82\x7f", 6, "a/\xe3\x81\x82\x7f"));
    CHECK(gives(plens_json_escape, "\"\\\b\f\n\r\t", 7, "\\\"\\\\\\b\\f\\n\\r\\t"));
    CHECK(gives(plens_json_escape, "\0\x01\x1f", 3, "\\u0000\\u0001\\u001F"));
    CHECK(gives(plens_json_escape, "a\xff\xe3\x81 b", 6, "a\xef\xbf\xbd\xef\xbf\xbd b"));
    CHECK(gives(plens_json_escape, "\xf0\x9f\x98", 3, "\xef\xbf\xbd"));
    CHECK(gives(plens_json_escape, "\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"));
}

/* Guards the snprintf contract: the full length, never a byte past the capacity, a closing zero. */
static void what_does_not_fit_is_cut(void) {
    escape_fn *const escapes[] = {plens_tsv_escape, plens_json_escape};
    for (int i = 0; i < 2; i++) {
        CHECK_INT(escapes[i]("a\tbc", 4, NULL, 0), 5);
        for (size_t capacity = 1; capacity < 8; capacity++) {
            char out[8];
            memset(out, '#', sizeof out);
            CHECK_INT(escapes[i]("a\tbc", 4, out, capacity), 5);
            size_t n = capacity < 6 ? capacity - 1 : 5;
            CHECK(memcmp(out, "a\\tbc", n) == 0 && out[n] == 0);
            for (size_t j = n + 1; j < sizeof out; j++)
                CHECK(out[j] == '#');
        }
    }
}

int main(void) {
    RUN(tsv_cells_are_escaped);
    RUN(json_strings_are_escaped);
    RUN(what_does_not_fit_is_cut);
    return test_finish();
}
