/* loaders/regex*.c: a pattern, a zero byte, and a text. Matches lie on whole characters, ascend and
 * do not overlap, and the search ends. */
#include "tests/fuzz/fuzz.h"

#include "loaders/regex.h"

static int is_boundary(const char *text, size_t n, size_t at) {
    return at == n || (at < n && ((unsigned char)text[at] & 0xC0) != 0x80);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    plens__arena arena = {&heap, NULL};
    plens__regex regex;
    plens_error error;
    const char *text;
    size_t n_text, n_pattern = fuzz_halves(data, n, &text, &n_text);
    const char *pattern = (const char *)data;
    if (plens__utf8_check(pattern, n_pattern) == n_pattern &&
        plens__utf8_check(text, n_text) == n_text &&
        fuzz_ok(plens__regex_compile(&arena, "place", pattern, n_pattern, &regex, &error),
                &error)) {
        plens__regex_matches matches = {&regex, text, n_text, 0, 0, 0};
        size_t start, end, last = 0;
        while (plens__regex_next(&matches, &start, &end)) {
            FUZZ_CHECK(last <= start && start <= end && end <= n_text);
            FUZZ_CHECK(is_boundary(text, n_text, start) && is_boundary(text, n_text, end));
            last = end;
        }
    }
    plens__arena_free(&arena);
    return 0;
}
