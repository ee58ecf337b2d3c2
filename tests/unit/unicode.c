/* loaders/unicode.c and unicode_normalize.c against Unicode 16 as others have computed it. */
#include "loaders/unicode.h"

#include "loaders/json.h"
#include "loaders/utf8.h"
#include "tests/faults.h"
#include "tests/heap.h"
#include "tests/test.h"

/* Guards against tables of another Unicode version, or cut short: the published totals. */
static void categories_have_the_right_counts(void) {
    size_t letters = 0, numbers = 0, marks = 0, unassigned = 0;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        uint32_t bit = (uint32_t)1 << plens__unicode_category(c);
        letters += (bit & plens__unicode_category_mask("L", 1)) != 0;
        numbers += (bit & plens__unicode_category_mask("N", 1)) != 0;
        marks += (bit & plens__unicode_category_mask("M", 1)) != 0;
        unassigned += (bit & plens__unicode_category_mask("Cn", 2)) != 0;
    }
    CHECK_INT(letters, 141028);
    CHECK_INT(numbers, 1911);
    CHECK_INT(marks, 2501);
    CHECK_INT(unassigned, 0x110000 - 154998 - 65 - 2048 - 137468); /* graphic and format, control,
                                                                      surrogate, private use */
}

/* Guards against runs that begin or end one off, at the ends of pages among others. */
static void categories_of_single_characters(void) {
    static const struct {
        uint32_t c;
        plens__category category;
    } cases[] = {
        {0x00, PLENS__CC},     {0x1F, PLENS__CC},    {0x20, PLENS__ZS},    {'$', PLENS__SC},
        {'0', PLENS__ND},      {'9', PLENS__ND},     {':', PLENS__PO},     {'A', PLENS__LU},
        {'_', PLENS__PC},      {'z', PLENS__LL},     {0xAA, PLENS__LO},    {0xB2, PLENS__NO},
        {0xFF, PLENS__LL},     {0x100, PLENS__LU},   {0x1C5, PLENS__LT},   {0x2B0, PLENS__LM},
        {0x300, PLENS__MN},    {0x903, PLENS__MC},   {0x488, PLENS__ME},   {0x2160, PLENS__NL},
        {0x2028, PLENS__ZL},   {0x2029, PLENS__ZP},  {0x200D, PLENS__CF},  {0x3000, PLENS__ZS},
        {0x4DFF, PLENS__SO},   {0x4E00, PLENS__LO},  {0x9FFF, PLENS__LO},  {0xA000, PLENS__LO},
        {0xABFF, PLENS__CN},   {0xAC00, PLENS__LO},  {0xD7A3, PLENS__LO},  {0xD7A4, PLENS__CN},
        {0xD800, PLENS__CS},   {0xE000, PLENS__CO},  {0xFFFD, PLENS__SO},  {0xFFFF, PLENS__CN},
        {0x10D50, PLENS__LU},  {0x1F600, PLENS__SO}, {0x20000, PLENS__LO}, {0x2A6DF, PLENS__LO},
        {0x2A6E0, PLENS__CN},  {0xE0001, PLENS__CF}, {0xE0100, PLENS__MN}, {0x10FFFD, PLENS__CO},
        {0x10FFFF, PLENS__CN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_THAT(plens__unicode_category(cases[i].c) == cases[i].category, "U+%04lX",
                   (unsigned long)cases[i].c);
    CHECK_INT(plens__unicode_category_mask("Lu", 2), 1u << PLENS__LU);
    CHECK_INT(plens__unicode_category_mask("Latin", 5), 0);
    CHECK_INT(plens__unicode_category_mask("l", 1), 0);
}

/* Guards the exact set of White_Space: 1C..1F, 200B and FEFF are not in it, 3000 and 85 are. */
static void white_space_is_25_characters(void) {
    static const uint32_t outside[] = {0x08, 0x0E, 0x1C, 0x1F, 0x180E, 0x200B, 0x2060, 0xFEFF};
    size_t count = 0;
    for (uint32_t c = 0; c <= 0x10FFFF; c++)
        count += plens__unicode_is_space(c) != 0;
    CHECK_INT(count, 25);
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        CHECK(!plens__unicode_is_space(outside[i]));
    CHECK(plens__unicode_is_space(0x3000) && plens__unicode_is_space(0x85));
}

/* Guards the case mappings: ranges with every or every other character, and the one that grows. */
static void lower_case(void) {
    static const uint32_t pairs[][2] = {
        {'A', 'a'},         {'a', 'a'},       {0xC0, 0xE0},       {0xD7, 0xD7},
        {0xDF, 0xDF},       {0x100, 0x101},   {0x101, 0x101},     {0x178, 0xFF},
        {0x1C4, 0x1C6},     {0x1C5, 0x1C6},   {0x3A3, 0x3C3},     {0x410, 0x430},
        {0x13A0, 0xAB70},   {0x1E9E, 0xDF},   {0x212A, 'k'},      {0x2160, 0x2170},
        {0xA7DC, 0x19B},    {0xFF21, 0xFF41}, {0x10400, 0x10428}, {0x10D50, 0x10D70},
        {0x1E921, 0x1E943}, {0x4E00, 0x4E00},
    };
    uint32_t out[2];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        CHECK_THAT(plens__unicode_lower(pairs[i][0], out) == 1 && out[0] == pairs[i][1], "U+%04lX",
                   (unsigned long)pairs[i][0]);
    CHECK_INT(plens__unicode_lower(0x130, out), 2);
    CHECK(out[0] == 'i' && out[1] == 0x307);
}

/* ---- Normal forms ---- */

static const char *const forms[] = {"NFC", "NFD", "NFKC", "NFKD"}; /* as plens__normal_form */

static int normalizes_to(plens__normal_form form, const plens__json *text,
                         const plens__json *expected) {
    plens__buffer out = {&heap, NULL, 0, 0};
    int ok = plens__unicode_normalize(form, text->text, text->length, &out) &&
             out.count == expected->length && memcmp(out.data, expected->text, out.count) == 0;
    plens__buffer_free(&out);
    return ok;
}

/* Guards ordering, blocking, exclusions and Hangul: texts that another implementation normalized.
 */
static void texts_normalize_as_elsewhere(void) {
    static const char path[] = "tests/fixtures/unicode/normal.jsonl";
    static char line[1 << 16];
    size_t n_lines = 0, wrong = 0;
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        plens__arena arena = {&heap, NULL};
        const plens__json *root = NULL;
        plens_error error;
        n_lines++;
        if (plens__json_parse(&arena, path, line, strlen(line), &root, &error) != PLENS_OK)
            wrong++;
        for (int form = 0; form < 4 && root != NULL; form++) {
            if (!normalizes_to((plens__normal_form)form, plens__json_get(root, "text"),
                               plens__json_get(root, forms[form])) &&
                ++wrong <= 5)
                printf("%s:%zu: %s is wrong\n", path, n_lines, forms[form]);
        }
        plens__arena_free(&arena);
    }
    fclose(file);
    CHECK_INT(n_lines, 300);
    CHECK_INT(wrong, 0);
}

/* Guards what the normal forms must be whatever the tables say: NFC of NFD is NFC, and doing it
 * twice changes nothing, for every character with a mark after it. */
static void forms_are_stable(void) {
    for (uint32_t c = 1; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 7) {
        plens__buffer text = {&heap, NULL, 0, 0}, nfc = text, nfd = text, again = text;
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        CHECK(plens__append_character(&text, c) && plens__append_character(&text, 0x327));
        CHECK(plens__unicode_normalize(PLENS__NFC, text.data, text.count, &nfc) &&
              plens__unicode_normalize(PLENS__NFD, text.data, text.count, &nfd) &&
              plens__unicode_normalize(PLENS__NFC, nfd.data, nfd.count, &again));
        int same = nfc.count == again.count && memcmp(nfc.data, again.data, nfc.count) == 0;
        again.count = 0;
        CHECK(plens__unicode_normalize(PLENS__NFC, nfc.data, nfc.count, &again));
        same = same && nfc.count == again.count && memcmp(nfc.data, again.data, nfc.count) == 0;
        plens__buffer_free(&text);
        plens__buffer_free(&nfc);
        plens__buffer_free(&nfd);
        plens__buffer_free(&again);
        CHECK_THAT(same, "U+%04lX", (unsigned long)c);
    }
}

int main(void) {
    RUN(categories_have_the_right_counts);
    RUN(categories_of_single_characters);
    RUN(white_space_is_25_characters);
    RUN(lower_case);
    RUN(texts_normalize_as_elsewhere);
    RUN(forms_are_stable);
    return test_finish();
}
