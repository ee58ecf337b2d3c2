/* Gold tokens against tests/fixtures/gold.tsv (made by tests/make_gold_fixture.py with Hugging
 * Face's tokenizers), ratios and the score against sums done by hand. */
#include "plens.h"
#include "tests/test.h"

static plens_error error;

typedef struct gold_table {
    plens_context *context;
    plens_table *table;
    size_t column[8];
} gold_table;

static const char *cell(const gold_table *t, size_t row, int column, size_t *n) {
    return plens_table_cell(t->table, row, t->column[column], n);
}

static int check_row(const gold_table *t, const plens_tokenizer *tokenizer, size_t row) {
    size_t n_text, n_gold;
    const char *text = cell(t, row, 1, &n_text), *gold = cell(t, row, 2, &n_gold);
    plens_gold found;
    if (plens_gold_token(t->context, tokenizer, text, n_text, gold, n_gold,
                         (plens_gold_form)atoi(cell(t, row, 3, NULL)), &found,
                         &error) != PLENS_OK) {
        printf("line %zu: %s\n", plens_table_line(t->table, row), error.message);
        return 0;
    }
    char ids[64];
    int used = snprintf(ids, sizeof ids, "%ld", (long)found.ids[0]);
    if (found.n_ids == 2)
        snprintf(ids + used, sizeof ids - (size_t)used, "|%ld", (long)found.ids[1]);
    int good = strcmp(ids, cell(t, row, 4, NULL)) == 0 &&
               found.n_tokens == (size_t)atoi(cell(t, row, 5, NULL)) &&
               found.merged == atoi(cell(t, row, 6, NULL)) &&
               found.bare_space == atoi(cell(t, row, 7, NULL));
    if (!good)
        printf("line %zu: found ids %s, %zu tokens, merged %d, bare space %d\n",
               plens_table_line(t->table, row), ids, found.n_tokens, found.merged,
               found.bare_space);
    return good;
}

/* Guards against gold taken from " " + gold alone, merges across the boundary that go unnoticed,
 * and a space where Han, kana or Thai follow. */
static void check_tokenizer(const char *name, const char *folder) {
    static const char *const columns[] = {"tokenizer", "text",     "gold",   "form",
                                          "ids",       "n_tokens", "merged", "bare_space"};
    gold_table t;
    plens_tokenizer *tokenizer;
    CHECK_OK(plens_context_create(NULL, &t.context, &error), error);
    CHECK_OK(plens_table_open(t.context, "tests/fixtures/gold.tsv", &t.table, &error), error);
    for (size_t i = 0; i < 8; i++)
        CHECK_OK(plens_table_column(t.table, columns[i], &t.column[i], &error), error);
    CHECK_OK(plens_tokenizer_open(t.context, folder, &tokenizer, &error), error);
    size_t rows = 0, good = 0;
    for (size_t row = 0; row < plens_table_rows(t.table); row++) {
        if (strcmp(cell(&t, row, 0, NULL), name) != 0)
            continue;
        rows++;
        good += (size_t)check_row(&t, tokenizer, row);
    }
    CHECK(rows > 100);
    CHECK_INT(good, rows);
    plens_tokenizer_close(tokenizer);
    plens_table_close(t.table);
    plens_context_destroy(t.context);
}

static void gold_follows_the_text_persona_world(void) {
    check_tokenizer("persona-world", "tests/fixtures/persona-world");
}

static void check_shared(const char *parent, const char *name) {
    char folder[4096];
    if (test_shared() == NULL)
        SKIP("no shared folder with the tokenizer of %s", name);
    snprintf(folder, sizeof folder, "%s/%s/%s", test_shared(), parent, name);
    check_tokenizer(name, folder);
}

static void gold_follows_the_text_llama(void) {
    check_shared("tokenizers", "llama-3.1");
}

static void gold_follows_the_text_qwen(void) {
    check_shared("tokenizers", "qwen2.5");
}

static void gold_follows_the_text_llmjp(void) {
    check_shared("tokenizers", "llm-jp-3");
}

/* Guards against a form that is none being taken for one, and gold that is no text. */
static void bad_gold_is_refused(void) {
    plens_context *context;
    plens_tokenizer *tokenizer;
    plens_gold gold = {{7, 7}, 7, 7, 7, 7};
    CHECK_OK(plens_context_create(NULL, &context, &error), error);
    CHECK_OK(plens_tokenizer_open(context, "tests/fixtures/persona-world", &tokenizer, &error),
             error);
    for (int form = -1; form <= 4; form += 5) {
        CHECK_INT(plens_gold_token(context, tokenizer, "a", 1, "b", 1, (plens_gold_form)form, &gold,
                                   &error),
                  PLENS_ERROR_ARGUMENT);
        CHECK_CONTAINS(error.message, form < 0 ? "unknown gold form -1" : "unknown gold form 4");
    }
    CHECK_INT(plens_gold_token(context, tokenizer, "a", 1, "", 0, PLENS_GOLD_AUTO, &gold, &error),
              PLENS_ERROR_ARGUMENT);
    CHECK_INT(
        plens_gold_token(context, tokenizer, "a", 1, "\xFF", 1, PLENS_GOLD_AUTO, &gold, &error),
        PLENS_ERROR_FORMAT);
    CHECK(gold.n_ids == 7 && gold.ids[0] == 7); /* untouched */
    plens_tokenizer_close(tokenizer);
    plens_context_destroy(context);
}

static void gold_follows_the_text_stories(void) {
    check_shared("models", "stories260k");
}

static size_t layers(const char *text, size_t n_layers) {
    plens_ratio ratio;
    if (plens_ratio_parse(text, &ratio, &error) != PLENS_OK)
        return 9999;
    return plens_ratio_layers(ratio, n_layers);
}

/* Guards against floor(L R) in binary floating point: 5 * 0.6 and 10 * 0.7 come out short there,
 * 0.29 * 100 is 28.999…. */
static void shares_are_exact_decimals(void) {
    CHECK_INT(layers("0.2", 5), 1);
    CHECK_INT(layers("0.6", 5), 3);
    CHECK_INT(layers("0.7", 10), 7);
    CHECK_INT(layers("0.29", 100), 29);
    CHECK_INT(layers("1", 32), 32);
    CHECK_INT(layers("1.000", 48), 48);
    CHECK_INT(layers(".5", 3), 1);
    CHECK_INT(layers("0.999999999", 1000000), 999999);
    CHECK_INT(layers("0.1", 3), 0);
}

/* Guards against shares that mean nothing being read as something. */
static void bad_shares_are_refused(void) {
    static const char *const bad[] = {"",     "0", "0.0",          "1.1",  "-0.2", "0.2x", "1e-1",
                                      "0..2", ".", "0.0000000001", " 0.2", "nan",  "0,2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_THAT(layers(bad[i], 10) == 9999, "\"%s\" was accepted", bad[i]);
    CHECK_CONTAINS(error.message, "0,2");
}

/* S by hand: L = 4, gold {7, 9}; layers 1..4 have tokens 7 3 9 7, p 0.5 0.5 0.25 0.125 and weights
 * 1, 3/4, 1/2, 1/4. All are exact in binary. Guards against weights counted from the wrong end. */
static void the_score_is_the_papers_sum(void) {
    static const int32_t top[] = {7, 3, 9, 7}, gold[] = {7, 9};
    static const float prob[] = {0.5f, 0.5f, 0.25f, 0.125f};
    CHECK(plens_score(top, prob, 4, 4, gold, 2) == 0.5 + 0.125 + 0.03125);
    CHECK(plens_score(top, prob, 4, 2, gold, 2) == 0.125 + 0.03125);
    CHECK(plens_score(top, prob, 4, 1, gold, 2) == 0.03125);
    CHECK(plens_score(top, prob, 4, 4, gold, 1) == 0.5 + 0.03125);
    CHECK(plens_score(top, prob, 4, 0, gold, 2) == 0);
    CHECK(plens_score(top, prob, 4, 4, gold, 0) == 0);
}

int main(void) {
    RUN(gold_follows_the_text_persona_world);
    RUN(gold_follows_the_text_llama);
    RUN(gold_follows_the_text_qwen);
    RUN(gold_follows_the_text_llmjp);
    RUN(gold_follows_the_text_stories);
    RUN(bad_gold_is_refused);
    RUN(shares_are_exact_decimals);
    RUN(bad_shares_are_refused);
    RUN(the_score_is_the_papers_sum);
    return test_finish();
}
