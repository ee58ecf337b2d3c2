/* loaders/tokenizer.c and the parts behind it, against encodings by Hugging Face's own library
 * (tests/make_tokenizer_fixtures.py), and against files that are no tokenizer. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "loaders/tokenizer.h"

#include "loaders/json.h"
#include "tests/faults.h"
#include "tests/folder.h"
#include "tests/heap.h"
#include "tests/test.h"

static const char *const fixtures[] = {"llama3-bpe",    "qwen-bpe",         "gpt2-digits-bpe",
                                       "llama2-bpe",    "mistral-bpe",      "words-bpe",
                                       "llmjp-unigram", "metaspace-unigram"};
#define N_FIXTURES (sizeof fixtures / sizeof *fixtures)

static const char *fixture(size_t i) {
    static char path[256];
    snprintf(path, sizeof path, "tests/fixtures/tokenizers/%s", fixtures[i]);
    return path;
}

/* ---- Goldens ---- */

/* Does the array of integers hold these ids? */
static int same_ids(const plens__json *expected, const plens_ids *ids) {
    if (expected == NULL || expected->type != PLENS__JSON_ARRAY || expected->count != ids->count)
        return 0;
    size_t i = 0;
    for (const plens__json *id = expected->first; id != NULL; id = id->next) {
        int64_t value;
        if (!plens__json_i64(id, &value) || value != ids->data[i++])
            return 0;
    }
    return 1;
}

/* One line of a golden.jsonl: NULL if all three agree, else which does not. */
static const char *check_line(const plens__tokenizer *t, const plens__json *line) {
    const plens__json *text = plens__json_get(line, "text");
    const plens__json *decoded = plens__json_get(line, "decoded");
    plens_ids ids = {NULL, 0}, special = {NULL, 0};
    plens_text back = {NULL, 0};
    plens_error error;
    const char *wrong = NULL;
    if (plens__tokenizer_encode(&heap, t, text->text, text->length, 0, &ids, &error) != PLENS_OK ||
        !same_ids(plens__json_get(line, "ids"), &ids))
        wrong = "ids";
    else if (plens__tokenizer_encode(&heap, t, text->text, text->length, 1, &special, &error) !=
                 PLENS_OK ||
             !same_ids(plens__json_get(line, "ids_special"), &special))
        wrong = "ids_special";
    else if (plens__tokenizer_decode(&heap, t, ids.data, ids.count, &back, &error) != PLENS_OK ||
             back.count != decoded->length || memcmp(back.data, decoded->text, back.count) != 0)
        wrong = "decoded";
    plens__free(&heap, ids.data);
    plens__free(&heap, special.data);
    plens__free(&heap, back.data);
    return wrong;
}

static size_t wrong_lines; /* of the goldens checked so far */

/* Checks folder's tokenizer against path; returns the number of lines, 0 if something is absent. */
static size_t check_golden(const char *folder, const char *path) {
    plens__tokenizer *t = NULL;
    plens_error error;
    FILE *file = fopen(path, "rb");
    if (file == NULL || plens__tokenizer_open(&heap, folder, &t, &error) != PLENS_OK) {
        printf("%s: %s\n", path, file == NULL ? "cannot be opened" : error.message);
        if (file != NULL)
            fclose(file);
        return 0;
    }
    size_t n_lines = 0;
    static char line[1 << 20];
    while (fgets(line, sizeof line, file) != NULL) {
        plens__arena arena = {&heap, NULL};
        const plens__json *golden = NULL;
        n_lines++;
        const char *wrong = "JSON";
        if (plens__json_parse(&arena, path, line, strlen(line), &golden, &error) == PLENS_OK)
            wrong = check_line(t, golden);
        plens__arena_free(&arena);
        if (wrong != NULL && ++wrong_lines <= 10)
            printf("%s:%zu: %s is wrong\n", path, n_lines, wrong);
    }
    fclose(file);
    plens__tokenizer_close(t);
    return n_lines;
}

/* Guards against any difference from the reference in components that models at hand use. */
static void fixtures_encode_as_the_reference(void) {
    wrong_lines = 0;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/golden.jsonl", fixture(i));
        CHECK(check_golden(fixture(i), path) > 100);
    }
    CHECK(check_golden("tests/fixtures/persona-world",
                       "tests/fixtures/persona-world/golden.jsonl") > 100);
    CHECK_INT(wrong_lines, 0);
}

/* The same for the tokenizers of real models. */
static void real_tokenizers_encode_as_the_reference(void) {
    static const char *const names[] = {"tokenizers/llama-3.1", "tokenizers/qwen2.5",
                                        "tokenizers/llm-jp-3", "models/stories260k"};
    if (test_shared() == NULL)
        SKIP("the shared goldens of real tokenizers are absent");
    wrong_lines = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char folder[1024], path[1100];
        snprintf(folder, sizeof folder, "%s/%s", test_shared(), names[i]);
        snprintf(path, sizeof path, "%s/golden.jsonl", folder);
        CHECK(check_golden(folder, path) > 100);
    }
    CHECK_INT(wrong_lines, 0);
}

/* ---- Single tokens ---- */

/* The bytes of the last token that text [n] is encoded as; "?" if there is none. */
static const char *token_bytes(const plens__tokenizer *t, const char *text, size_t n,
                               size_t *n_out) {
    plens_ids ids;
    plens_error error;
    const char *bytes = "?";
    *n_out = 1;
    if (plens__tokenizer_encode(&heap, t, text, n, 0, &ids, &error) == PLENS_OK) {
        if (ids.count > 0)
            bytes = plens__tokenizer_token(t, ids.data[ids.count - 1], n_out);
        plens__free(&heap, ids.data);
    }
    return bytes;
}

/* Is the last token of text these bytes? */
static int token_is(const plens__tokenizer *t, const char *text, const char *expected) {
    size_t n;
    const char *bytes = token_bytes(t, text, strlen(text), &n);
    return n == strlen(expected) && memcmp(bytes, expected, n) == 0;
}

/* Guards against tokens shown as the vocabulary spells them: Ġ, ▁, <0xNN>. */
static void a_token_is_its_bytes(void) {
    plens__tokenizer *t;
    plens_error error;
    CHECK_OK(plens__tokenizer_open(&heap, fixture(0), &t, &error), error); /* byte level */
    CHECK(token_is(t, " the", " the") && token_is(t, "\n", "\n") &&
          token_is(t, "\xC2\x80", "\x80"));
    CHECK(token_is(t, "<|eot|>", "<|eot|>"));
    plens__tokenizer_close(t);
    CHECK_OK(plens__tokenizer_open(&heap, fixture(3), &t, &error), error); /* SentencePiece style */
    CHECK(token_is(t, "\xE6\x97\xA5\xE6\x9C\xAC\xE3\x81\xAE",
                   " \xE6\x97\xA5\xE6\x9C\xAC\xE3\x81\xAE"));
    CHECK(token_is(t, "\xF0\x9F\x98\x80", "\x80") && token_is(t, "</s>", "</s>"));
    size_t n = 7;
    CHECK(plens__tokenizer_token(t, -1, &n) == NULL && n == 0);
    CHECK(plens__tokenizer_token(t, (int32_t)plens__tokenizer_size(t), &n) == NULL && n == 0);
    CHECK(plens__tokenizer_token(t, (int32_t)plens__tokenizer_size(t) - 1, &n) != NULL && n > 0);
    CHECK(plens__tokenizer_token(t, -1, NULL) == NULL); /* the length is not asked for */
    CHECK(plens__tokenizer_token(t, 0, NULL) != NULL);
    plens__tokenizer_close(t);
    CHECK_OK(plens__tokenizer_open(&heap, fixture(6), &t, &error), error); /* llm-jp's Unigram */
    CHECK(token_is(t, "it is", " is") && token_is(t, "\x01", "\x01"));
    plens__tokenizer_close(t);
}

/* ---- Bad calls ---- */

/* Guards against text that is no UTF-8 being encoded as something, and ids of no token. */
static void bad_text_and_ids_are_refused(void) {
    static const char *const texts[] = {"ab\xFF", "ab\xC3", "ab\xC0\x80", "ab\xED\xA0\x80",
                                        "ab\xF4\x90\x80\x80"};
    plens__tokenizer *t;
    plens_error error;
    CHECK_OK(plens__tokenizer_open(&heap, fixture(0), &t, &error), error);
    plens_ids ids = {(int32_t *)(void *)&error, 42};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        CHECK_INT(plens__tokenizer_encode(&heap, t, texts[i], strlen(texts[i]), 0, &ids, &error),
                  PLENS_ERROR_FORMAT);
        CHECK_CONTAINS(error.message, "byte 2");
    }
    CHECK(ids.data == (int32_t *)(void *)&error && ids.count == 42); /* untouched */
    const int32_t bad[] = {0, -1, 100000, INT32_MAX};
    plens_text text = {(char *)&error, 42};
    for (size_t i = 1; i < 4; i++) {
        int32_t two[2] = {bad[0], bad[i]};
        CHECK_INT(plens__tokenizer_decode(&heap, t, two, 2, &text, &error), PLENS_ERROR_ARGUMENT);
        CHECK_CONTAINS(error.message, "position 1");
    }
    CHECK(text.data == (char *)&error && text.count == 42);
    plens__tokenizer_close(t);
}

/* ---- Long texts ---- */

static size_t encoded_length(const plens__tokenizer *t, const char *text, size_t n) {
    plens_ids ids;
    plens_error error;
    if (plens__tokenizer_encode(&heap, t, text, n, 0, &ids, &error) != PLENS_OK)
        return 0;
    plens__free(&heap, ids.data);
    return ids.count;
}

/* Guards against merging in quadratic time: with these lengths a test would not end. */
static void long_pieces_end(void) {
    const size_t n = 3000000;
    char *text = malloc(n);
    memset(text, 'a', n);
    for (size_t i = 0; i < N_FIXTURES; i++) {
        plens__tokenizer *t;
        plens_error error;
        CHECK_OK(plens__tokenizer_open(&heap, fixture(i), &t, &error), error);
        size_t count = encoded_length(t, text, n);
        plens__tokenizer_close(t);
        CHECK(count > 0 && count <= n + 1);
    }
    for (size_t i = 0; i < n; i += 2) /* combining marks out of order */
        memcpy(text + i, i / 2 % 2 == 0 ? "\xCC\x81" : "\xCC\xA3", 2);
    plens__tokenizer *t;
    plens_error error;
    CHECK_OK(plens__tokenizer_open(&heap, fixture(1), &t, &error), error);
    size_t count = encoded_length(t, text, n);
    plens__tokenizer_close(t);
    free(text);
    CHECK(count > 0);
}

/* ---- Files that are no tokenizer ---- */

#define TOKEN(id, text)                                                                            \
    "{\"id\":" id ",\"content\":" text ",\"single_word\":false,\"lstrip\":false,"                  \
    "\"rstrip\":false,\"normalized\":false,\"special\":true}"
#define AB "{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}"
#define BPE(vocab, merges)                                                                         \
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[" merges "]}}"
#define PART(name, part) "{\"" name "\":" part ",\"model\":" AB "}"
#define SPLIT(pattern)                                                                             \
    PART("pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" pattern                  \
                          "\"},\"behavior\":\"Isolated\",\"invert\":false}")

static const struct {
    const char *json;
    plens_status status;
    const char *message; /* a part of it */
} bad_files[] = {
    {"", PLENS_ERROR_FORMAT, "tokenizer.json"},
    {"[]", PLENS_ERROR_FORMAT, "object"},
    {"{}", PLENS_ERROR_FORMAT, "model"},
    {"{\"model\":" AB ",\"model\":" AB "}", PLENS_ERROR_FORMAT, "model"},
    {"{\"model\":{}}", PLENS_ERROR_FORMAT, "type"},
    {"{\"version\":\"2.0\",\"model\":" AB "}", PLENS_ERROR_UNSUPPORTED, "2.0"},
    {"{\"truncation\":{\"max_length\":8},\"model\":" AB "}", PLENS_ERROR_UNSUPPORTED, "truncation"},
    {"{\"padding\":{},\"model\":" AB "}", PLENS_ERROR_UNSUPPORTED, "padding"},
    {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", PLENS_ERROR_UNSUPPORTED, "WordPiece"},
    {"{\"model\":{\"vocab\":{\"a\":0}}}", PLENS_ERROR_FORMAT, "type"},
    {"{\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{},\"merges\":[]}}",
     PLENS_ERROR_UNSUPPORTED, "dropout 0.1"},
    /* vocabularies */
    {"{\"model\":{\"type\":\"BPE\",\"merges\":[]}}", PLENS_ERROR_FORMAT, "vocab"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":[],\"merges\":[]}}", PLENS_ERROR_FORMAT, "vocab"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{}}}", PLENS_ERROR_FORMAT, "merges"},
    {BPE("\"a\":0,\"a\":1", ""), PLENS_ERROR_FORMAT, "\"a\""},
    {BPE("\"a\":0,\"b\":0", ""), PLENS_ERROR_FORMAT, "not used before"},
    {BPE("\"a\":-1", ""), PLENS_ERROR_FORMAT, "16777215"},
    {BPE("\"a\":1.5", ""), PLENS_ERROR_FORMAT, "16777215"},
    {BPE("\"a\":\"0\"", ""), PLENS_ERROR_FORMAT, "16777215"},
    {BPE("\"a\":2147483648", ""), PLENS_ERROR_FORMAT, "16777215"},
    {BPE("\"a\":18446744073709551616", ""), PLENS_ERROR_FORMAT, "16777215"},
    /* merges */
    {BPE("\"a\":0,\"b\":1,\"ab\":2", "\"a b\",[\"a\",\"b\"]"), PLENS_ERROR_FORMAT, "merge"},
    {BPE("\"a\":0,\"b\":1,\"ab\":2", "[\"a\",\"b\"],\"a b\""), PLENS_ERROR_FORMAT, "merge"},
    {BPE("\"a\":0,\"b\":1", "\"a b\""), PLENS_ERROR_FORMAT, "merge"},
    {BPE("\"a\":0,\"ac\":1", "\"a c\""), PLENS_ERROR_FORMAT, "merge"},
    {BPE("\"a\":0", "\"a\""), PLENS_ERROR_FORMAT, "left right"},
    {BPE("\"a\":0", "\"a  a\""), PLENS_ERROR_FORMAT, "one space"},
    {BPE("\"a\":0", "[\"a\"]"), PLENS_ERROR_FORMAT, "merge"},
    {BPE("\"a\":0", "7"), PLENS_ERROR_FORMAT, "merge"},
    /* Unigram */
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", PLENS_ERROR_FORMAT, "vocab"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", PLENS_ERROR_FORMAT, "score"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",\"b\"]]}}", PLENS_ERROR_FORMAT, "score"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",1e999]]}}", PLENS_ERROR_FORMAT, "score"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]],\"unk_id\":1}}", PLENS_ERROR_FORMAT,
     "unk_id"},
    /* added tokens */
    {PART("added_tokens", "{}"), PLENS_ERROR_FORMAT, "array"},
    {PART("added_tokens", "[{}]"), PLENS_ERROR_FORMAT, "id"},
    {PART("added_tokens", "[{\"id\":3,\"content\":\"x\"}]"), PLENS_ERROR_FORMAT, "single_word"},
    {PART("added_tokens", "[" TOKEN("3", "7") "]"), PLENS_ERROR_FORMAT, "content"},
    {PART("added_tokens", "[" TOKEN("1", "\"a\"") "]"), PLENS_ERROR_FORMAT, "expected id 0"},
    {PART("added_tokens", "[" TOKEN("9", "\"x\"") "]"), PLENS_ERROR_FORMAT, "expected id 3"},
    {PART("added_tokens", "[" TOKEN("4294967299", "\"x\"") "]"), PLENS_ERROR_FORMAT,
     "expected id 3"},
    {PART("added_tokens", "[" TOKEN("3", "\"x\"") "," TOKEN("4", "\"x\"") "]"), PLENS_ERROR_FORMAT,
     "further above"},
    {PART("added_tokens",
          "[" TOKEN(
              "0",
              "\"a\"") ",{\"id\":0,\"content\":\"a\",\"single_word\":false,"
                       "\"lstrip\":true,\"rstrip\":false,\"normalized\":false,\"special\":true}]"),
     PLENS_ERROR_FORMAT, "token \"a\": expected the id and the flags that it has further above"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":2},\"merges\":[]},\"post_processor\":{"
     "\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}},{"
     "\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{\"x\":{\"id\":"
     "\"x\","
     "\"ids\":[1],\"tokens\":[\"x\"]}}}}",
     PLENS_ERROR_FORMAT, "the id of a token"}, /* 1 lies below 2 and has no token */
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":2},\"merges\":[]},\"added_tokens\":"
     "[" TOKEN("2", "\"x\"") "]}",
     PLENS_ERROR_FORMAT, "an id that the model does not use"}, /* counting on, 2 is taken */
    /* components and what they hold */
    {PART("normalizer", "{\"type\":\"Nmt\"}"), PLENS_ERROR_UNSUPPORTED, "normalizer: type \"Nmt\""},
    {PART("normalizer", "{}"), PLENS_ERROR_FORMAT, "normalizer"},
    {PART("normalizer", "[]"), PLENS_ERROR_FORMAT, "normalizer"},
    {PART("normalizer", "{\"type\":\"Sequence\"}"), PLENS_ERROR_FORMAT, "normalizers"},
    {PART("normalizer", "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},7]}"),
     PLENS_ERROR_FORMAT, "normalizer"},
    {PART("normalizer", "{\"type\":\"Strip\",\"strip_left\":true}"), PLENS_ERROR_FORMAT,
     "strip_right"},
    {PART("normalizer", "{\"type\":\"Replace\",\"content\":\"\"}"), PLENS_ERROR_FORMAT, "pattern"},
    {PART("pre_tokenizer", "{\"type\":\"UnicodeScripts\"}"), PLENS_ERROR_UNSUPPORTED,
     "UnicodeScripts"},
    {PART("pre_tokenizer",
          "{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"Odd\","
          "\"invert\":false}"),
     PLENS_ERROR_UNSUPPORTED, "Odd"},
    {PART("pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"ab\"}"), PLENS_ERROR_FORMAT,
     "one character"},
    {PART("pre_tokenizer",
          "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"x\"}"),
     PLENS_ERROR_UNSUPPORTED, "prepend_scheme"},
    {PART("pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"_\","
                           "\"prepend_scheme\":\"always\",\"add_prefix_space\":false}"),
     PLENS_ERROR_FORMAT, "add_prefix_space"},
    {PART("pre_tokenizer", "{\"type\":\"ByteLevel\"}"), PLENS_ERROR_FORMAT, "add_prefix_space"},
    {SPLIT("(a+)+"), PLENS_ERROR_UNSUPPORTED, "(a+)+"},
    {SPLIT("a+?"), PLENS_ERROR_UNSUPPORTED, "lazy"},
    {SPLIT("(a"), PLENS_ERROR_UNSUPPORTED, "(a"},
    {SPLIT("a)"), PLENS_ERROR_UNSUPPORTED, "a)"},
    {SPLIT("[a"), PLENS_ERROR_UNSUPPORTED, "[a"},
    {SPLIT("[z-a]"), PLENS_ERROR_UNSUPPORTED, "range"},
    {SPLIT("\\\\p{Greek}"), PLENS_ERROR_UNSUPPORTED, "Greek"},
    {SPLIT("\\\\p{L"), PLENS_ERROR_UNSUPPORTED, "category"},
    {SPLIT("(?=ab)"), PLENS_ERROR_UNSUPPORTED, "one character"},
    {SPLIT("a{2,1}"), PLENS_ERROR_UNSUPPORTED, "{n,m}"},
    {SPLIT("(((((((((((a)))))))))))"), PLENS_ERROR_UNSUPPORTED, "deep"},
    {SPLIT("a\\\\"), PLENS_ERROR_UNSUPPORTED, "backslash"},
    {PART("post_processor",
          "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
          "\"<s>\"}}],\"special_tokens\":{}}"),
     PLENS_ERROR_FORMAT, "special_tokens"},
    {PART("post_processor",
          "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
          "\"a\"}}],\"special_tokens\":{\"a\":{\"ids\":[3]}}}"),
     PLENS_ERROR_FORMAT, "id of a token"},
    {PART("post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":"
                            "\"B\"}}],\"special_tokens\":{}}"),
     PLENS_ERROR_FORMAT, "\"A\""},
    {PART("post_processor", "{\"type\":\"BertProcessing\",\"sep\":[\"a\",0]}"), PLENS_ERROR_FORMAT,
     "cls"},
    {PART("post_processor", "{\"type\":\"Other\"}"), PLENS_ERROR_UNSUPPORTED, "Other"},
    {PART("decoder", "{\"type\":\"CTC\"}"), PLENS_ERROR_UNSUPPORTED, "CTC"},
    {PART("decoder", "{\"type\":\"Strip\",\"content\":\" \",\"start\":-1,\"stop\":0}"),
     PLENS_ERROR_FORMAT, "start"},
};

/* Guards against files taken for tokenizers that they are not, and messages that do not help. */
static void bad_files_are_refused(void) {
    char folder[1024];
    folder_make(folder);
    const char *wrong = NULL;
    plens_error error = {PLENS_OK, ""};
    plens__tokenizer *const untouched = (plens__tokenizer *)(void *)&error;
    for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files && wrong == NULL; i++) {
        plens__tokenizer *t = untouched;
        folder_write_text(folder, "tokenizer.json", bad_files[i].json);
        plens_status status = plens__tokenizer_open(&heap, folder, &t, &error);
        if (status != bad_files[i].status || t != untouched ||
            strstr(error.message, bad_files[i].message) == NULL)
            wrong = bad_files[i].json;
    }
    folder_remove(folder);
    CHECK_THAT(wrong == NULL, "%s: %s", wrong, error.message);
    CHECK_INT(plens__tokenizer_open(&heap, folder, &(plens__tokenizer *){NULL}, &error),
              PLENS_ERROR_IO);
}

/* Guards the reading of what the reference accepts and goldens do not show. */
static void odd_files_are_read(void) {
    static const struct {
        const char *json, *text;
        size_t n_ids;
        int32_t ids[4];
    } cases[] = {
        {"{\"model\":" AB "}", "abba", 3, {2, 1, 0}},
        /* no type; a version line; on a duplicate the last rank wins */
        {"{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"ba\":3},\"merges\":"
         "[\"#version: 0.2\",\"a b\",\"b a\",\"a b\"]}}",
         "aba",
         2,
         {0, 3}},
        {"{\"model\":{\"vocab\":[[\"<unk>\",0],[\"a\",-1],[\"aa\",-1.5]],\"unk_id\":0}}",
         "aaax",
         3,
         {1, 2, 0}},
        /* unknown characters without unk_token are dropped; ids may have holes */
        {BPE("\"a\":7,\"b\":1000000", ""), "axb", 2, {7, 1000000}},
        {PART("added_tokens", "[" TOKEN("3", "\"ba\"") "," TOKEN("4", "\"bab\"") "]"),
         "babab",
         2,
         {4, 2}},
        {PART("pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"_\","
                               "\"add_prefix_space\":false}"),
         "ab",
         1,
         {2}},
    };
    char folder[1024];
    folder_make(folder);
    const char *wrong = NULL;
    plens_error error = {PLENS_OK, ""};
    for (size_t i = 0; i < sizeof cases / sizeof *cases && wrong == NULL; i++) {
        plens__tokenizer *t = NULL;
        plens_ids ids = {NULL, 0};
        folder_write_text(folder, "tokenizer.json", cases[i].json);
        if (plens__tokenizer_open(&heap, folder, &t, &error) != PLENS_OK ||
            plens__tokenizer_encode(&heap, t, cases[i].text, strlen(cases[i].text), 1, &ids,
                                    &error) != PLENS_OK ||
            ids.count != cases[i].n_ids ||
            memcmp(ids.data, cases[i].ids, ids.count * sizeof *ids.data) != 0)
            wrong = cases[i].json;
        plens__free(&heap, ids.data);
        plens__tokenizer_close(t);
    }
    folder_remove(folder);
    CHECK_THAT(wrong == NULL, "%s: %s", wrong, error.message);
}

/* ---- Faults ---- */

static plens_status use_tokenizer(const plens_allocator *allocator, void *data,
                                  plens_error *error) {
    static const char text[] =
        "I'm at Tokyo 123  e\xCC\x81 <s> \xE6\x9D\xB1\xE4\xBA\xAC <mask> XYZ [NEW] "
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    plens__tokenizer *t = NULL;
    plens_ids ids = {NULL, 0};
    plens_text back = {NULL, 0};
    plens_status status = plens__tokenizer_open(allocator, data, &t, error);
    if (status == PLENS_OK)
        status = plens__tokenizer_encode(allocator, t, text, strlen(text), 1, &ids, error);
    if (status == PLENS_OK)
        status = plens__tokenizer_decode(allocator, t, ids.data, ids.count, &back, error);
    plens__free(allocator, ids.data);
    plens__free(allocator, back.data);
    plens__tokenizer_close(t);
    return status;
}

/* Guards against leaks and crashes when there is no memory. */
static void faults_leak_nothing(void) {
    for (size_t i = 0; i < N_FIXTURES; i++) {
        char folder[256];
        snprintf(folder, sizeof folder, "%s", fixture(i));
        const char *problem = faults_sweep(use_tokenizer, folder);
        CHECK_THAT(problem == NULL, "%s: %s", folder, problem);
    }
}

int main(void) {
    RUN(fixtures_encode_as_the_reference);
    RUN(real_tokenizers_encode_as_the_reference);
    RUN(a_token_is_its_bytes);
    RUN(bad_text_and_ids_are_refused);
    RUN(long_pieces_end);
    RUN(bad_files_are_refused);
    RUN(odd_files_are_read);
    RUN(faults_leak_nothing);
    return test_finish();
}
