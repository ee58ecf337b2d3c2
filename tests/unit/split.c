/* loaders/pretokenizer.c and regex.c against the pieces that Hugging Face's library makes
 * (tests/make_tokenizer_fixtures.py). */
#include "loaders/pretokenizer.h"

#include "tests/faults.h"
#include "tests/heap.h"
#include "tests/test.h"

/* NULL if the pieces are those of the array, else which one is not. */
static const char *compare(const plens__pieces *pieces, const plens__json *expected) {
    static char wrong[64];
    size_t i = 0;
    for (const plens__json *piece = expected->first; piece != NULL; piece = piece->next, i++) {
        snprintf(wrong, sizeof wrong, "piece %zu of %zu, %zu expected", i,
                 plens__pieces_count(pieces), expected->count);
        if (i >= plens__pieces_count(pieces))
            return wrong;
        const plens__piece *found = plens__pieces_get(pieces, i);
        if (found->n != piece->length ||
            memcmp(plens__pieces_text(pieces, found), piece->text, found->n) != 0)
            return wrong;
    }
    return i == plens__pieces_count(pieces) ? NULL : "there are more pieces";
}

/* One line: {"component": …, "text": …, "pieces": […]}. NULL if it agrees. */
static const char *check_line(const plens__json *line) {
    static plens_error error;
    plens__arena arena = {&heap, NULL};
    plens__part part = {"f", "pre_tokenizer", &arena, &error};
    plens__pretokenizer pretokenizer;
    plens__pieces pieces = plens__pieces_none(&heap), scratch = pieces;
    const plens__json *text = plens__json_get(line, "text");
    const char *wrong = "no memory";
    if (plens__pretokenizer_read(&part, plens__json_get(line, "component"), &pretokenizer) !=
        PLENS_OK)
        wrong = error.message;
    else if (plens__pieces_add(&pieces, text->text, text->length, 1) &&
             plens__pretokenizer_apply(&pretokenizer, &pieces, &scratch))
        wrong = compare(&pieces, plens__json_get(line, "pieces"));
    plens__pieces_free(&pieces);
    plens__pieces_free(&scratch);
    plens__arena_free(&arena);
    return wrong;
}

/* Guards the regular expressions (order of alternatives, giving back, classes, lookaround) and what
 * becomes of matches under each behaviour, inverted or not. */
static void pieces_are_the_references(void) {
    static const char path[] = "tests/fixtures/tokenizers/splits.jsonl";
    static char line[1 << 16];
    size_t n_lines = 0, n_wrong = 0;
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        plens__arena arena = {&heap, NULL};
        const plens__json *root = NULL;
        plens_error error;
        const char *wrong = error.message;
        n_lines++;
        if (plens__json_parse(&arena, path, line, strlen(line), &root, &error) == PLENS_OK)
            wrong = check_line(root);
        if (wrong != NULL && ++n_wrong <= 5)
            printf("%s:%zu: %s\n", path, n_lines, wrong);
        plens__arena_free(&arena);
    }
    fclose(file);
    CHECK(n_lines > 500);
    CHECK_INT(n_wrong, 0);
}

/* Guards the limits of a program: alternatives up to the last step it has room for. */
static void long_patterns_end(void) {
    char pattern[2001];
    plens_error error;
    plens__regex regex;
    size_t start, end;
    for (size_t i = 0; i < 2000; i++)
        pattern[i] = i % 2 == 0 ? 'a' : '|';
    for (size_t n = 1; n <= 2000; n = n * 2 + 1) {
        plens__arena arena = {&heap, NULL};
        plens_status status = plens__regex_compile(&arena, "f", pattern, n, &regex, &error);
        int found = status == PLENS_OK && plens__regex_find(&regex, "bba", 3, 0, &start, &end);
        plens__arena_free(&arena);
        CHECK_INT(status, n < 128 ? PLENS_OK : PLENS_ERROR_UNSUPPORTED);
        CHECK(status != PLENS_OK || (found && start == 2 && end == 3));
    }
}

int main(void) {
    RUN(pieces_are_the_references);
    RUN(long_patterns_end);
    return test_finish();
}
