/* loaders/json.c and loaders/decimal.c. What is valid and what is not follows RFC 8259. */
#include "loaders/json.h"

#include "tests/faults.h"
#include "tests/heap.h"
#include "tests/test.h"

typedef struct document {
    plens__arena arena;
    const plens__json *root;
    plens_error error;
} document;

/* Parses text [n] from a block of exactly its size, so that a sanitizer sees one byte too many. */
static plens_status parse(document *d, const char *text, size_t n) {
    char *exact = malloc(n > 0 ? n : 1);
    memcpy(exact, text, n);
    memset(d, 0, sizeof *d);
    d->arena.allocator = &heap;
    plens_status status = plens__json_parse(&d->arena, "f.json", exact, n, &d->root, &d->error);
    free(exact);
    return status;
}

static plens_status parse_text(document *d, const char *text) {
    return parse(d, text, strlen(text));
}

/* Guards the shape of the tree: order, keys, counts, types, offsets. */
static void tree_has_the_texts_shape(void) {
    document d;
    CHECK_OK(parse_text(&d, " {\"a\":[1, true ,null],\"\":{\"b\":\"x\"},\"c\":false} "), d.error);
    CHECK_INT(d.root->type, PLENS__JSON_OBJECT);
    CHECK_INT(d.root->offset, 1);
    CHECK_INT(d.root->count, 3);
    const plens__json *a = d.root->first;
    CHECK_STRING(a->key, "a");
    CHECK_INT(a->type, PLENS__JSON_ARRAY);
    CHECK_INT(a->count, 3);
    CHECK_STRING(a->first->text, "1");
    CHECK_INT(a->first->next->type, PLENS__JSON_TRUE);
    CHECK_INT(a->first->next->offset, 10);
    CHECK_INT(a->first->next->next->type, PLENS__JSON_NULL);
    CHECK(a->first->key == NULL && a->first->next->next->next == NULL);
    CHECK_INT(a->next->key_length, 0);
    CHECK(plens__json_is_string(plens__json_get(a->next, "b"), "x"));
    CHECK_INT(plens__json_get(d.root, "c")->type, PLENS__JSON_FALSE);
    CHECK(plens__json_get(d.root, "b") == NULL && plens__json_get(a, "a") == NULL);
    CHECK(plens__json_get(NULL, "a") == NULL);
    plens__arena_free(&d.arena);
}

/* Guards against values that a lax parser drops or invents. */
static void valid_texts_are_accepted(void) {
    static const char *const texts[] = {
        "null",
        "0",
        "-0",
        "-0.0e-0",
        "1E+2",
        "\"\"",
        "[]",
        "{}",
        "[[],{}]",
        "\t\r\n []\n",
        "{\"a\":1,\"a\":2}",
        "[0.5,1e5]",
        "\"\\u0000\"",
        "\"\x7f\"",
        "123456789012345678901234567890",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        document d;
        CHECK_THAT(parse_text(&d, texts[i]) == PLENS_OK, "%s: %s", texts[i], d.error.message);
        plens__arena_free(&d.arena);
    }
}

/* Guards against accepting what RFC 8259 does not have, and against messages without a place. */
static void broken_texts_are_refused_with_their_place(void) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "f.json: byte 0: expected a JSON value, found the end of the text"},
        {"  ", "byte 2: expected a JSON value, found the end"},
        {"[1,]", "byte 3: expected a JSON value, found ']'"},
        {"[,1]", "byte 1: expected a JSON value, found ','"},
        {"[1 2]", "byte 3: expected ',' or ']', found '2'"},
        {"[1", "byte 2: expected ',' or ']', found the end"},
        {"[1}", "byte 2: expected ',' or ']', found '}'"},
        {"{\"a\":1,}", "byte 7: expected a key in double quotes, found '}'"},
        {"{a:1}", "byte 1: expected a key in double quotes, found 'a'"},
        {"{\"a\" 1}", "byte 5: expected ':', found '1'"},
        {"{\"a\":}", "byte 5: expected a JSON value, found '}'"},
        {"{\"a\"", "byte 4: expected ':', found the end"},
        {"{", "byte 1: expected a key in double quotes, found the end"},
        {"1 1", "byte 2: expected the end of the text, found '1'"},
        {"nul", "byte 0: expected a JSON value, found 'n'"},
        {"True", "byte 0: expected a JSON value, found 'T'"},
        {"NaN", "byte 0: expected a JSON value, found 'N'"},
        {"-Infinity", "byte 1: expected a digit, found 'I'"},
        {"01", "byte 1: expected the end of the text, found '1'"},
        {"+1", "byte 0: expected a JSON value, found '+'"},
        {".5", "byte 0: expected a JSON value, found '.'"},
        {"1.", "byte 2: expected a digit, found the end"},
        {"1.e5", "byte 2: expected a digit, found 'e'"},
        {"1e", "byte 2: expected a digit, found the end"},
        {"1e+", "byte 3: expected a digit, found the end"},
        {"-", "byte 1: expected a digit, found the end"},
        {"0x10", "byte 1: expected the end of the text, found 'x'"},
        {"'a'", "byte 0: expected a JSON value, found '''"},
        {"[1] // no", "byte 4: expected the end of the text, found '/'"},
        {"\"a", "byte 2: expected a character or '\"' in a string, found the end"},
        {"\"a\n\"", "byte 2: expected a character or '\"' in a string, found byte 0x0A"},
        {"\"\\x41\"", "byte 2: expected one of \"\\/bfnrtu after a backslash, found 'x'"},
        {"\"\\", "byte 2: expected one of \"\\/bfnrtu after a backslash, found the end"},
        {"\"\\u12G4\"", "byte 5: expected four hexadecimal digits after \\u, found 'G'"},
        {"\"\\u12", "byte 5: expected four hexadecimal digits after \\u, found the end"},
        {"\"\\uD800\"", "byte 1: expected a pair of surrogates, found \\uD800 alone"},
        {"\"\\uDC00\"", "byte 1: expected a pair of surrogates, found \\uDC00 alone"},
        {"\"\\uD800\\u0041\"", "byte 1: expected a pair of surrogates, found \\uD800 alone"},
        {"\"\\uD800\\n\"", "byte 1: expected a pair of surrogates, found \\uD800 alone"},
        {"\"\xff\"", "byte 1: expected valid UTF-8, found byte 0xFF"},
        {"\"\xc0\x80\"", "byte 1: expected valid UTF-8, found byte 0xC0"},
        {"\"\xed\xa0\x80\"", "byte 1: expected valid UTF-8, found byte 0xED"},
        {"\"\xe3\x81", "byte 1: expected valid UTF-8, found byte 0xE3"},
        {"\xef\xbb\xbf{}", "byte 0: expected a JSON value, found byte 0xEF"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        document d;
        CHECK_THAT(parse_text(&d, cases[i].text) == PLENS_ERROR_FORMAT, "%s", cases[i].text);
        CHECK_CONTAINS(d.error.message, cases[i].message);
        CHECK(d.root == NULL);
        plens__arena_free(&d.arena);
    }
    document d;
    CHECK_INT(parse(&d, "[\0]", 3), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(d.error.message, "byte 1: expected a JSON value, found byte 0x00");
    plens__arena_free(&d.arena);
}

/* Guards the decoding of escapes, and lengths where a string holds a zero byte. */
static void escapes_are_decoded(void) {
    static const char text[] =
        "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"\\u0041\\u00e9\\u3042\\uD83D\\ude00\","
        "\"a\\u0000b\",\"\xe3\x81\x82\xf0\x9f\x98\x80z\"]";
    static const struct {
        const char *bytes;
        size_t n;
    } expected[] = {{"\"\\/\b\f\n\r\t", 8},
                    {"A\xc3\xa9\xe3\x81\x82\xf0\x9f\x98\x80", 10},
                    {"a\0b", 3},
                    {"\xe3\x81\x82\xf0\x9f\x98\x80z", 8}};
    document d;
    CHECK_OK(parse_text(&d, text), d.error);
    size_t i = 0;
    for (const plens__json *s = d.root->first; s != NULL; s = s->next, i++) {
        CHECK_INT(s->length, expected[i].n);
        CHECK(memcmp(s->text, expected[i].bytes, s->length + 1) == 0);
    }
    CHECK_INT(i, 4);
    CHECK(!plens__json_is_string(d.root->first->next->next, "a"));
    plens__arena_free(&d.arena);
}

/* Guards the stack against "[[[[…": 64 levels are read, 65 refused. */
static void depth_is_bounded(void) {
    char text[200001];
    document d;
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    CHECK_OK(parse(&d, text, 128), d.error);
    plens__arena_free(&d.arena);
    memset(text, '[', sizeof text);
    CHECK_INT(parse(&d, text, sizeof text), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(d.error.message, "byte 64: expected at most 64");
    plens__arena_free(&d.arena);
}

/* Guards against two readers of one file seeing two different values. */
static void duplicate_keys_are_found(void) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{\"a\":1,\"b\":2,\"a\":3}",
         "byte 17: expected each key once, found \"a\" again (first at byte 5)"},
        {"[{\"x\":{\"k\":1,\"\\u006b\":2}}]", "found \"k\" again"},
        {"{\"a\":1,\"b\":{\"a\":1},\"aa\":1,\"a\\u0000\":1,\"\":1}", NULL},
        {"[]", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        document d;
        CHECK_OK(parse_text(&d, cases[i].text), d.error);
        plens_status status = plens__json_no_duplicates(&heap, "f.json", d.root, &d.error);
        CHECK_INT(status, cases[i].message ? PLENS_ERROR_FORMAT : PLENS_OK);
        if (cases[i].message)
            CHECK_CONTAINS(d.error.message, cases[i].message);
        plens__arena_free(&d.arena);
    }
}

/* Guards the integers' limits: nothing wraps, nothing is rounded. */
static void integers_fit_or_are_refused(void) {
    static const struct {
        const char *text;
        int fits_u64, fits_i64;
        uint64_t u64;
        int64_t i64;
    } cases[] = {
        {"0", 1, 1, 0, 0},
        {"-0", 0, 1, 0, 0},
        {"-1", 0, 1, 0, -1},
        {"9223372036854775807", 1, 1, INT64_MAX, INT64_MAX},
        {"9223372036854775808", 1, 0, (uint64_t)INT64_MAX + 1, 0},
        {"-9223372036854775808", 0, 1, 0, INT64_MIN},
        {"-9223372036854775809", 0, 0, 0, 0},
        {"18446744073709551615", 1, 0, UINT64_MAX, 0},
        {"18446744073709551616", 0, 0, 0, 0},
        {"99999999999999999999999", 0, 0, 0, 0},
        {"1.0", 0, 0, 0, 0},
        {"1e2", 0, 0, 0, 0},
        {"\"1\"", 0, 0, 0, 0},
        {"true", 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        document d;
        uint64_t u = 77;
        int64_t s = 77;
        CHECK_OK(parse_text(&d, cases[i].text), d.error);
        CHECK_THAT(plens__json_u64(d.root, &u) == cases[i].fits_u64, "%s", cases[i].text);
        CHECK_THAT(plens__json_i64(d.root, &s) == cases[i].fits_i64, "%s", cases[i].text);
        CHECK(u == (cases[i].fits_u64 ? cases[i].u64 : 77));
        CHECK(s == (cases[i].fits_i64 ? cases[i].i64 : 77));
        plens__arena_free(&d.arena);
    }
    uint64_t u;
    CHECK(!plens__json_u64(NULL, &u));
}

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Guards correct rounding: ties, subnormals, the largest and smallest. Bits from CPython's float()
 * (David Gay's strtod): struct.unpack('<Q', struct.pack('<d', float(text))). */
static void decimals_are_correctly_rounded(void) {
    static const struct {
        const char *text;
        uint64_t bits;
    } cases[] = {
        {"0", 0x0000000000000000},
        {"-0", 0x8000000000000000},
        {"0.0", 0x0000000000000000},
        {"-0.0e5", 0x8000000000000000},
        {"1", 0x3ff0000000000000},
        {"-1", 0xbff0000000000000},
        {"10", 0x4024000000000000},
        {"0.1", 0x3fb999999999999a},
        {"0.2", 0x3fc999999999999a},
        {"0.3", 0x3fd3333333333333},
        {"1e-5", 0x3ee4f8b588e368f1},
        {"1e-05", 0x3ee4f8b588e368f1},
        {"1e-06", 0x3eb0c6f7a0b5ed8d},
        {"1e-12", 0x3d719799812dea11},
        {"500000.0", 0x411e848000000000},
        {"10000", 0x40c3880000000000},
        {"1e22", 0x4480f0cf064dd592},
        {"1e23", 0x44b52d02c7e14af6},
        {"9007199254740993", 0x4340000000000000},
        {"9007199254740992", 0x4340000000000000},
        {"9007199254740995", 0x4340000000000002},
        {"8.5", 0x4021000000000000},
        {"123456789012345678", 0x437b69b4ba630f35},
        {"1234567890123456789", 0x43b12210f47de981},
        {"12345678901234567890", 0x43e56a95319d63e1},
        {"18446744073709551615", 0x43f0000000000000},
        {"18446744073709551616", 0x43f0000000000000},
        {"99999999999999974834176", 0x44b52d02c7e14af5},
        {"100000000000000000000001", 0x44b52d02c7e14af7},
        {"2.2250738585072011e-308", 0x000fffffffffffff},
        {"2.2250738585072012e-308", 0x0010000000000000},
        {"2.2250738585072014e-308", 0x0010000000000000},
        {"4.9406564584124654e-324", 0x0000000000000001},
        {"2.4703282292062327e-324", 0x0000000000000000},
        {"2.4703282292062328e-324", 0x0000000000000001},
        {"1.7976931348623157e308", 0x7fefffffffffffff},
        {"1.7976931348623158e308", 0x7fefffffffffffff},
        {"1e-400", 0x0000000000000000},
        {"1e-99999999999999999999", 0x0000000000000000},
        {"0e99999999999999999999", 0x0000000000000000},
        {"3.141592653589793238462643383279", 0x400921fb54442d18},
        {"6.631236846766476e-316", 0x0000000008000000},
        {"3.2378839133029012895883524125015321748630094e-319", 0x000000000000ffff},
        {"-9.123456789012345", 0xc0223f35ba6e8dec},
        {"-13.2741889953613281", 0xc02a8c6280000000},
        {"0.000001", 0x3eb0c6f7a0b5ed8d},
        {"123456.789e-3", 0x405edd3c07ee0b0b},
        {"7.2057594037927933e16", 0x4370000000000000},
        {"1.00000000000000011102230246251565", 0x3ff0000000000000},
        {"1.00000000000000011102230246251566", 0x3ff0000000000001},
        {"1.00000000000000011102230246251564", 0x3ff0000000000000},
        {"1E5", 0x40f86a0000000000},
        {"1e+5", 0x40f86a0000000000},
        {"5e-324", 0x0000000000000001},
        {"1.5e-323", 0x0000000000000003},
        {"0.000000000000000001", 0x3c32725dd1d243ac},
        {"1000000000000000000e-18", 0x3ff0000000000000},
        {"9223372036854775807e-18", 0x4022725dd1d243ac},
        {"1e18", 0x43abc16d674ec800},
        {"1e19", 0x43e158e460913d00},
        {"1e-18", 0x3c32725dd1d243ac},
        {"1e-19", 0x3bfd83c94fb6d2ac},
        {"1.8446744073709551615e1", 0x4032725dd1d243ac},
        {"2.7216092808335446e+276", 0x7953a6f252e6b438},
        {"2.7216092808335445619849982e+276", 0x7953a6f252e6b438},
        {"3.035766360112293e-65", 0x32899387269e0d37},
        {"3.0357663601122928421315842e-65", 0x32899387269e0d37},
        {"6.665830898196862e-279", 0x062e3fe8a6a3a450},
        {"6.6658308981968622809205644e-279", 0x062e3fe8a6a3a450},
        {"2.3558459513947972e+198", 0x691f8412128b2f33},
        {"2.3558459513947972322961985e+198", 0x691f8412128b2f33},
        {"1.2418970069620836e-250", 0x0c0c7408892f902b},
        {"1.2418970069620836320303598e-250", 0x0c0c7408892f902b},
        {"2.319469273766672e+51", 0x4a98cc2e5d9dc9f8},
        {"2.3194692737666720950758701e+51", 0x4a98cc2e5d9dc9f8},
        {"7.873531487934826e+252", 0x74712eca0ed90475},
        {"7.8735314879348264109469657e+252", 0x74712eca0ed90475},
        {"2.6878898238430084e-176", 0x1b7b3ae681e74ef5},
        {"2.6878898238430084104633551e-176", 0x1b7b3ae681e74ef5},
        {"1.086847153644306e-255", 0x0b0051ad099950d8},
        {"1.0868471536443060644773283e-255", 0x0b0051ad099950d8},
        {"7.572358053192185e-51", 0x3586aa4d6f03675a},
        {"7.5723580531921848826601765e-51", 0x3586aa4d6f03675a},
        {"2.6713290337373985e-160", 0x1ece0b9211e20b8f},
        {"2.6713290337373984771341380e-160", 0x1ece0b9211e20b8f},
        {"6.266356115726005e+31", 0x4688b7671738f7d9},
        {"6.2663561157260052369714358e+31", 0x4688b7671738f7d9},
        {"3.13010388235547e-272", 0x0790eedb6cad4a26},
        {"3.1301038823554698206478613e-272", 0x0790eedb6cad4a26},
        {"4.569785438180719e+40", 0x4860c967d3ac94af},
        {"4.5697854381807186076330518e+40", 0x4860c967d3ac94af},
        {"1.5255942855744936e+276", 0x7946082e1fb17c23},
        {"1.5255942855744936177486618e+276", 0x7946082e1fb17c23},
        {"7.218027539944233e+80", 0x50b8599c39263059},
        {"7.2180275399442333941163413e+80", 0x50b8599c39263059},
        {"2.959712980820823e+51", 0x4a9fa478a09f76b5},
        {"2.9597129808208229089515612e+51", 0x4a9fa478a09f76b5},
        {"1.6027751755097824e-270", 0x07eb1878f29d0da9},
        {"1.6027751755097824214976808e-270", 0x07eb1878f29d0da9},
        {"1.1386802021941775e+53", 0x4af3057a93bd04cf},
        {"1.1386802021941774915076476e+53", 0x4af3057a93bd04cf},
        {"4.397094309717868e-278", 0x0658f14e658cda14},
        {"4.3970943097178680936603698e-278", 0x0658f14e658cda14},
        {"2.2972765567901737e-172", 0x1c4c68c8f9ebdacc},
        {"2.2972765567901737384144237e-172", 0x1c4c68c8f9ebdacc},
        {"1.744133597091969e+35", 0x4740cb9f0becd7b0},
        {"1.7441335970919691213369759e+35", 0x4740cb9f0becd7b0},
        {"1.4707130206140743e-226", 0x110bdf56dbc496cb},
        {"1.4707130206140742517318861e-226", 0x110bdf56dbc496cb},
        {"2.9865692316748857e-50", 0x35a659214a23d596},
        {"2.9865692316748856654621241e-50", 0x35a659214a23d596},
        {"2.5623378729646505e+25", 0x453531f624ede6a4},
        {"2.5623378729646504728854528e+25", 0x453531f624ede6a4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double x = 7;
        CHECK(plens__decimal_to_double(cases[i].text, strlen(cases[i].text), &x));
        CHECK_THAT(bits_of(x) == cases[i].bits, "%s is %.17g, expected bits %016llx", cases[i].text,
                   x, (unsigned long long)cases[i].bits);
    }
    static const char *const too_large[] = {"1.7976931348623159e308", "-1e309",
                                            "1e99999999999999999999", "1.797693134862315808e308"};
    for (size_t i = 0; i < sizeof too_large / sizeof too_large[0]; i++) {
        double x = 7;
        CHECK(!plens__decimal_to_double(too_large[i], strlen(too_large[i]), &x));
        CHECK(x == 7);
    }
}

/* Guards the digits beyond any fixed number of them. 2^-1075, half of the smallest double, has 751
 * digits, 5^1075 = 2^-1075 * 10^1075; it rounds to 0, and anything above it to 2^-1074. */
static void digits_far_out_decide_a_tie(void) {
    static char text[2 + 1075 + 2000];
    char *digits = text + 2;
    memset(text, '0', sizeof text);
    text[1] = '.';
    digits[1074] = '1';
    for (int power = 0; power < 1075; power++) {
        int carry = 0;
        for (int i = 1074; i >= 0; i--) {
            carry += (digits[i] - '0') * 5;
            digits[i] = (char)('0' + carry % 10);
            carry /= 10;
        }
    }
    double x = 7;
    CHECK(plens__decimal_to_double(text, 2 + 1075, &x));
    CHECK(bits_of(x) == 0);
    CHECK(plens__decimal_to_double(text, sizeof text, &x));
    CHECK(bits_of(x) == 0);
    text[sizeof text - 1] = '1';
    CHECK(plens__decimal_to_double(text, sizeof text, &x));
    CHECK(bits_of(x) == 1);
    digits[1074]--; /* the last digit, a 5: just below the tie */
    CHECK(plens__decimal_to_double(text, sizeof text, &x));
    CHECK(bits_of(x) == 0);
}

/* Guards against numbers whose cost or result runs away: a million digits, exponents that make up
 * for a million zeros. */
static void long_numbers_are_bounded(void) {
    enum { ZEROS = 1000000 };
    static char text[ZEROS + 32];
    double x = 7;
    memset(text, '0', sizeof text);
    text[0] = '1';
    memcpy(text + 1 + ZEROS, "e-1000000", 9);
    CHECK(plens__decimal_to_double(text, 1 + ZEROS + 9, &x));
    CHECK(x == 1);
    memset(text, '0', sizeof text);
    text[1] = '.';
    memcpy(text + 2 + ZEROS, "25e1000001", 10);
    CHECK(plens__decimal_to_double(text, 2 + ZEROS + 10, &x));
    CHECK(x == 2.5);
    memset(text, '9', sizeof text);
    CHECK(!plens__decimal_to_double(text, sizeof text, &x));
    text[1] = '.';
    CHECK(plens__decimal_to_double(text, sizeof text, &x));
    CHECK(x == 10);
}

static plens_status parse_and_free(const plens_allocator *allocator, void *data,
                                   plens_error *error) {
    plens__arena arena = {allocator, NULL};
    const plens__json *root;
    plens_status status = plens__json_parse(&arena, "f.json", data, strlen(data), &root, error);
    if (status == PLENS_OK)
        status = plens__json_no_duplicates(allocator, "f.json", root, error);
    plens__arena_free(&arena);
    return status;
}

/* Guards against leaks and crashes where memory runs out. */
static void running_out_of_memory_is_an_error(void) {
    static char text[40000];
    text[0] = '[';
    for (size_t i = 1; i + 3 < sizeof text; i += 2)
        memcpy(text + i, "1,", 2);
    memcpy(text + sizeof text - 25, "{\"a\":{\"b\":1,\"c\":2}}]", 21);
    const char *problem = faults_sweep(parse_and_free, text);
    CHECK_THAT(problem == NULL, "%s", problem);
}

/* Guards the tokenizers at hand: every value of a file of megabytes is read. */
static void a_large_file_is_read(void) {
    const char *shared = test_shared();
    if (shared == NULL)
        SKIP("no shared test data");
    char path[4096];
    snprintf(path, sizeof path, "%s/tokenizers/llama-3.1/tokenizer.json", shared);
    document d = {{&heap, NULL}, NULL, {PLENS_OK, ""}};
    CHECK_OK(plens__json_load(&d.arena, path, &d.root, &d.error), d.error);
    const plens__json *model = plens__json_get(d.root, "model");
    CHECK_INT(plens__json_get(model, "vocab")->count, 128000);
    CHECK_INT(plens__json_get(model, "merges")->count, 280147);
    CHECK_OK(plens__json_no_duplicates(&heap, path, d.root, &d.error), d.error);
    plens__arena_free(&d.arena);
}

int main(void) {
    RUN(tree_has_the_texts_shape);
    RUN(valid_texts_are_accepted);
    RUN(broken_texts_are_refused_with_their_place);
    RUN(escapes_are_decoded);
    RUN(depth_is_bounded);
    RUN(duplicate_keys_are_found);
    RUN(integers_fit_or_are_refused);
    RUN(decimals_are_correctly_rounded);
    RUN(digits_far_out_decide_a_tie);
    RUN(long_numbers_are_bounded);
    RUN(running_out_of_memory_is_an_error);
    RUN(a_large_file_is_read);
    return test_finish();
}
