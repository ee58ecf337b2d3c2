/* What the pictures show of bytes, for every code point: against the tables of loaders/unicode.h
 * and loaders/utf8.h, which are another implementation. The program's files are compiled in here.
 */
#include "tests/harness/code_points.c"
#include "tests/harness/text_cell.c"

#include "loaders/unicode.h"
#include "loaders/utf8.h"
#include "tests/test.h"

static const uint32_t highest = 0x10FFFF;

static int is_surrogate(uint32_t code) {
    return code >= 0xD800 && code <= 0xDFFF;
}

/* The decoders agree on every character, cut anywhere, and on every two bytes before two others: a
 * lenient one would let overlong forms of "<" or surrogates through. */
static void test_decoder(void) {
    uint32_t expected = 0;
    unsigned long code = 0;
    size_t n_wrong = 0;
    for (uint32_t c = 0; c <= highest; c++) {
        char text[4];
        size_t length = is_surrogate(c) ? 0 : plens__utf8_encode(c, text);
        for (size_t n = 0; n <= length && length > 0; n++)
            n_wrong += code_point_read(text, n, &code) != (n == length ? n : 0);
        n_wrong += length > 0 && code != c;
    }
    for (unsigned i = 0; i < 0x10000; i++) {
        const char text[4] = {(char)(i >> 8), (char)(i & 0xFF), (char)0x80, (char)0x80};
        size_t length = code_point_read(text, 4, &code);
        n_wrong += length != plens__utf8_decode(text, 4, &expected);
        n_wrong += length > 0 && code != expected;
    }
    CHECK(n_wrong == 0);
}

/* The table of marks is Unicode's, but for code points that are not assigned: a mark that is not
 * known would stand on its neighbour. */
static void test_marks(void) {
    for (uint32_t c = 0; c <= highest; c++) {
        plens__category category = plens__unicode_category(c);
        int is_mark = category == PLENS__MN || category == PLENS__MC || category == PLENS__ME;
        CHECK_THAT(category == PLENS__CN || code_point_is_mark(c) == is_mark, "U+%04lX",
                   (unsigned long)c);
    }
}

/* May a sign be shown as it is? Visible, no turn of direction, legal in XML 1.0. */
static int is_harmless(uint32_t c) {
    plens__category category = plens__unicode_category(c);
    int is_bidi = c == 0x61C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
                  (c >= 0x2066 && c <= 0x2069);
    return category != PLENS__CC && category != PLENS__ZL && category != PLENS__ZP &&
           category != PLENS__CO && (category != PLENS__ZS || c == ' ') && !is_bidi &&
           !is_surrogate(c) && (c & 0xFFFE) != 0xFFFE;
}

static int all_harmless(const char *text) {
    uint32_t code = 0;
    size_t length;
    for (; *text != '\0'; text += length) {
        length = plens__utf8_decode(text, strlen(text), &code);
        if (length == 0 || !is_harmless(code))
            return 0;
    }
    return 1;
}

/* Every sign that comes of a token is harmless, its character alone or after a letter: one that is
 * not could break the XML, turn the line around or reach the terminal as a command. */
static void test_signs_are_harmless(void) {
    for (uint32_t c = 0; c <= highest; c++) {
        char bytes[5] = "a";
        size_t length = is_surrogate(c) ? 0 : 1 + plens__utf8_encode(c, bytes + 1);
        for (size_t from = 0; from < 2 && length > 0; from++) {
            text_cell cell = text_cell_of(bytes + from, length - from, 1);
            sign s;
            while (text_cell_next(&cell, &s))
                CHECK_THAT(s.text[0] != '\0' && all_harmless(s.text), "U+%04lX", (unsigned long)c);
        }
    }
}

/* Everything that comes of some bytes, stand-ins in brackets. */
static const char *shown(const char *bytes, size_t n_bytes) {
    static char text[256];
    text_cell cell = text_cell_of(bytes, n_bytes, 1);
    sign s;
    text[0] = '\0';
    while (text_cell_next(&cell, &s)) {
        strcat(text, s.is_stand_in ? "[" : "");
        strcat(text, s.text);
        strcat(text, s.is_stand_in ? "]" : "");
    }
    return text;
}

/* Stand-ins for what cannot be shown, and nothing else; a mark has something to stand on. */
static void test_stand_ins(void) {
    static const struct {
        const char *bytes;
        size_t n_bytes;
        const char *expected;
    } cases[] = {
        {" the", 4, "[\xC2\xB7]the"},
        {"\xC2\xB7", 2, "\xC2\xB7"}, /* a middle dot of the text */
        {"\\n", 2, "\\n"},
        {"a\n\t\r", 4, "a[\\n][\\t][\\r]"},
        {"\0\x1B", 2, "[\\x00][\\x1B]"},
        {"\xE3\x81", 2, "[\\xE3][\\x81]"},              /* a cut character */
        {"\xE3\x81\x82\xE3", 4, "\xE3\x81\x82[\\xE3]"}, /* the next one begins */
        {"\xC0\x80\xED\xA0\x80", 5, "[\\xC0][\\x80][\\xED][\\xA0][\\x80]"},
        {"\xCC\x81", 2, "\xE2\x97\x8C\xCC\x81"}, /* acute on a dotted circle */
        {"e\xCC\x81", 3, "e\xCC\x81"},
        {" \xCC\x81", 3, "[\xC2\xB7]\xE2\x97\x8C\xCC\x81"},
        {"\xE2\x80\xAE", 3, "[U+202E]"}, /* turns the direction */
        {"\xE2\x80\x8D", 3, "[U+200D]"}, /* joins nothing */
        {"a\xE2\x80\x8D", 4, "a[U+200D]"},
        {"a\xE2\x80\x8D"
         "b",
         5,
         "a\xE2\x80\x8D"
         "b"},
        {"\xE2\x80\x8D"
         "b",
         4, "[U+200D]b"},
        {"\xEF\xBF\xBE\xF4\x8F\xBF\xBF", 7, "[U+FFFE][U+10FFFF]"}, /* not in XML */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *found = shown(cases[i].bytes, cases[i].n_bytes);
        CHECK_STRING(found, cases[i].expected);
    }
}

/* Unicode's letters settle a direction, its digits and what is punctuation up to the Arabic block
 * do not: a full stop or a quotation mark in front would turn a prompt around. */
static void test_letters(void) {
    for (uint32_t c = 0; c <= highest; c++) {
        plens__category category = plens__unicode_category(c);
        int is_letter = category >= PLENS__LU && category <= PLENS__LO;
        int is_other = category == PLENS__ND || (category >= PLENS__PC && category <= PLENS__PO) ||
                       category == PLENS__ZS;
        int is_modifier = c >= 0x2B9 && c <= 0x2DF; /* neutral or strong */
        CHECK_THAT(!is_letter || is_modifier || code_point_is_letter(c), "U+%04lX",
                   (unsigned long)c);
        CHECK_THAT(!is_other || c >= 0x590 || c == 0x37E || c == 0x387 || c == 0x55A ||
                       (c >= 0x55B && c <= 0x58A) || !code_point_is_letter(c),
                   "U+%04lX", (unsigned long)c);
    }
}

/* The first letter decides: stand-ins and spaces have letters that are none of the text's. */
static void test_directions(void) {
    static const struct {
        const char *text;
        int expected;
    } cases[] = {{"", 0},
                 {" the", 0},
                 {"\xD7\x95", 1},
                 {" \xD7\x95", 1},
                 {"\xD7\x95\xD7", 1}, /* a Hebrew letter and a cut one */
                 {"\xD7", 0},
                 {"\xD7\xD7\x95", 1},
                 {"123. \xD8\xA7", 1}, /* digits, then Arabic */
                 {"the \xD8\xA7", 0},
                 {"\xD8\xA7 the", 1},
                 {"\xE3\x80\x8C\xD8\xA7", 1}, /* after a Japanese bracket */
                 {"\xE6\x97\xA5\xD8\xA7", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *text = cases[i].text;
        CHECK_THAT(text_cell_is_leftward(text_cell_of(text, strlen(text), 1)) == cases[i].expected,
                   "case %zu", i);
    }
}

int main(void) {
    RUN(test_decoder);
    RUN(test_marks);
    RUN(test_signs_are_harmless);
    RUN(test_stand_ins);
    RUN(test_letters);
    RUN(test_directions);
    return test_finish();
}
