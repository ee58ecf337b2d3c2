#include "loaders/json.h"

#include <string.h>

#include "loaders/file.h"
#include "loaders/utf8.h"

/* Recursive descent; the recursion is as deep as the text's nesting, at most PLENS__JSON_DEPTH. */
typedef struct parser {
    plens__arena *arena;
    const char *file, *text; /* text [n] */
    size_t n, at;
    char *pool; /* where the next string is decoded to; see plens__json_parse */
    plens_error *error;
} parser;

/* ---- Characters ---------------------------------------------------------------------------- */

/* The byte at hand, -1 at the end. */
static int peek(const parser *p) {
    return p->at < p->n ? (unsigned char)p->text[p->at] : -1;
}

static int is_digit(int c) {
    return c >= '0' && c <= '9';
}

static void skip_space(parser *p) {
    while (p->at < p->n && (p->text[p->at] == ' ' || p->text[p->at] == '\n' ||
                            p->text[p->at] == '\r' || p->text[p->at] == '\t'))
        p->at++;
}

/* Fails at the byte at hand. */
static plens_status fail_expected(const parser *p, const char *expected) {
    int found = peek(p);
    if (found < 0)
        return plens__fail(p->error, PLENS_ERROR_FORMAT,
                           "%s: byte %zu: expected %s, found the end of the text", p->file, p->at,
                           expected);
    if (found > 0x20 && found < 0x7F)
        return plens__fail(p->error, PLENS_ERROR_FORMAT, "%s: byte %zu: expected %s, found '%c'",
                           p->file, p->at, expected, found);
    return plens__fail(p->error, PLENS_ERROR_FORMAT, "%s: byte %zu: expected %s, found byte 0x%02X",
                       p->file, p->at, expected, (unsigned)found);
}

/* ---- Strings ------------------------------------------------------------------------------- */

/* The value of \uXXXX's four digits, which begin at hand. */
static plens_status parse_hex4(parser *p, uint32_t *value) {
    *value = 0;
    for (int i = 0; i < 4; i++) {
        int c = peek(p);
        int letter = c | 0x20;
        if (!is_digit(c) && !(letter >= 'a' && letter <= 'f'))
            return fail_expected(p, "four hexadecimal digits after \\u");
        *value = *value << 4 | (uint32_t)(is_digit(c) ? c - '0' : letter - 'a' + 10);
        p->at++;
    }
    return PLENS_OK;
}

/* \uXXXX, or a pair of them for a character beyond U+FFFF; the first \u is already read. */
static plens_status parse_unicode_escape(parser *p, char **out) {
    size_t start = p->at - 2;
    uint32_t c;
    plens_status status = parse_hex4(p, &c);
    if (status != PLENS_OK)
        return status;
    if (c >= 0xD800 && c <= 0xDBFF && p->n - p->at >= 2 && p->text[p->at] == '\\' &&
        p->text[p->at + 1] == 'u') {
        uint32_t low;
        p->at += 2;
        status = parse_hex4(p, &low);
        if (status != PLENS_OK)
            return status;
        if (low >= 0xDC00 && low <= 0xDFFF)
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    if (c >= 0xD800 && c <= 0xDFFF)
        return plens__fail(p->error, PLENS_ERROR_FORMAT,
                           "%s: byte %zu: expected a pair of surrogates, found \\u%04X alone",
                           p->file, start, (unsigned)c);
    *out += plens__utf8_encode(c, *out);
    return PLENS_OK;
}

static plens_status parse_escape(parser *p, char **out) {
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    p->at++;
    int c = peek(p);
    const char *letter = c > 0 ? strchr(letters, c) : NULL;
    if (letter != NULL) {
        p->at++;
        *(*out)++ = bytes[letter - letters];
        return PLENS_OK;
    }
    if (c != 'u')
        return fail_expected(p, "one of \"\\/bfnrtu after a backslash");
    p->at++;
    return parse_unicode_escape(p, out);
}

/* Copies one character of more than one byte. */
static plens_status parse_multibyte(parser *p, char **out) {
    uint32_t c;
    size_t length = plens__utf8_decode(p->text + p->at, p->n - p->at, &c);
    if (length == 0)
        return fail_expected(p, "valid UTF-8");
    memcpy(*out, p->text + p->at, length);
    *out += length;
    p->at += length;
    return PLENS_OK;
}

/* The string at hand, decoded into the pool. */
static plens_status parse_string(parser *p, const char **text, size_t *length) {
    char *out = p->pool;
    p->at++;
    for (;;) {
        size_t start = p->at, i = start;
        while (i < p->n && (unsigned char)p->text[i] >= 0x20 && (unsigned char)p->text[i] < 0x80 &&
               p->text[i] != '"' && p->text[i] != '\\')
            i++;
        memcpy(out, p->text + start, i - start);
        out += i - start;
        p->at = i;
        int c = peek(p);
        if (c == '"')
            break;
        plens_status status = c == '\\'   ? parse_escape(p, &out)
                              : c >= 0x80 ? parse_multibyte(p, &out)
                                          : fail_expected(p, "a character or '\"' in a string");
        if (status != PLENS_OK)
            return status;
    }
    p->at++;
    *text = p->pool;
    *length = (size_t)(out - p->pool);
    *out = 0;
    p->pool = out + 1;
    return PLENS_OK;
}

/* ---- Values -------------------------------------------------------------------------------- */

static plens_status parse_digits(parser *p) {
    if (!is_digit(peek(p)))
        return fail_expected(p, "a digit");
    while (is_digit(peek(p)))
        p->at++;
    return PLENS_OK;
}

/* -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
static plens_status parse_number(parser *p, plens__json *node) {
    size_t start = p->at;
    plens_status status = PLENS_OK;
    if (peek(p) == '-')
        p->at++;
    if (peek(p) == '0')
        p->at++;
    else
        status = parse_digits(p);
    if (status == PLENS_OK && peek(p) == '.') {
        p->at++;
        status = parse_digits(p);
    }
    if (status == PLENS_OK && (peek(p) == 'e' || peek(p) == 'E')) {
        p->at++;
        if (peek(p) == '+' || peek(p) == '-')
            p->at++;
        status = parse_digits(p);
    }
    if (status != PLENS_OK)
        return status;
    node->type = PLENS__JSON_NUMBER;
    node->text = p->pool;
    node->length = p->at - start;
    memcpy(p->pool, p->text + start, node->length);
    p->pool[node->length] = 0;
    p->pool += node->length + 1;
    return PLENS_OK;
}

static plens_status parse_word(parser *p, plens__json *node) {
    static const struct {
        const char *word;
        plens__json_type type;
    } words[] = {
        {"null", PLENS__JSON_NULL}, {"false", PLENS__JSON_FALSE}, {"true", PLENS__JSON_TRUE}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i].word);
        if (p->n - p->at >= length && memcmp(p->text + p->at, words[i].word, length) == 0) {
            p->at += length;
            node->type = words[i].type;
            return PLENS_OK;
        }
    }
    return fail_expected(p, "a JSON value");
}

static plens_status parse_members(parser *p, plens__json *parent, int depth);

/* The value at hand; depth is how many arrays and objects lie around it. */
static plens_status parse_value(parser *p, plens__json *node, int depth) {
    node->offset = p->at;
    int c = peek(p);
    if (c == '"') {
        node->type = PLENS__JSON_STRING;
        return parse_string(p, &node->text, &node->length);
    }
    if (c == '-' || is_digit(c))
        return parse_number(p, node);
    if (c != '[' && c != '{')
        return parse_word(p, node);
    if (depth == PLENS__JSON_DEPTH)
        return plens__fail(p->error, PLENS_ERROR_FORMAT,
                           "%s: byte %zu: expected at most %d arrays and objects inside each "
                           "other, found more",
                           p->file, p->at, PLENS__JSON_DEPTH);
    node->type = c == '{' ? PLENS__JSON_OBJECT : PLENS__JSON_ARRAY;
    return parse_members(p, node, depth + 1);
}

/* One member of an array or (with its key) of an object; white space before it is skipped. */
static plens_status parse_member(parser *p, int in_object, int depth, plens__json **member) {
    plens__json *node = plens__arena_alloc(p->arena, sizeof *node);
    if (node == NULL)
        return plens__fail_memory(p->error, sizeof *node, p->file);
    memset(node, 0, sizeof *node);
    skip_space(p);
    if (in_object) {
        if (peek(p) != '"')
            return fail_expected(p, "a key in double quotes");
        plens_status status = parse_string(p, &node->key, &node->key_length);
        if (status != PLENS_OK)
            return status;
        skip_space(p);
        if (peek(p) != ':')
            return fail_expected(p, "':'");
        p->at++;
        skip_space(p);
    }
    *member = node;
    return parse_value(p, node, depth);
}

static plens_status parse_members(parser *p, plens__json *parent, int depth) {
    int in_object = parent->type == PLENS__JSON_OBJECT;
    char close = in_object ? '}' : ']';
    const plens__json **link = &parent->first;
    p->at++;
    skip_space(p);
    int more = peek(p) != close;
    while (more) {
        plens__json *member;
        plens_status status = parse_member(p, in_object, depth, &member);
        if (status != PLENS_OK)
            return status;
        *link = member;
        link = &member->next;
        parent->count++;
        skip_space(p);
        more = peek(p) == ',';
        if (!more && peek(p) != close)
            return fail_expected(p, in_object ? "',' or '}'" : "',' or ']'");
        p->at += (size_t)more;
    }
    p->at++;
    return PLENS_OK;
}

/* All strings and numbers are decoded into one block of n_bytes + 1: a string loses its quotes and
 * gains a zero, an escape only shrinks, and something stands between any two numbers. */
plens_status plens__json_parse(plens__arena *arena, const char *file, const char *text,
                               size_t n_bytes, const plens__json **root, plens_error *error) {
    size_t pool_bytes;
    parser p = {arena, file, text, n_bytes, 0, NULL, error};
    if (plens__add(n_bytes, 1, &pool_bytes))
        p.pool = plens__arena_alloc(arena, pool_bytes);
    if (p.pool == NULL)
        return plens__fail_memory(error, n_bytes, file);
    plens__json *node;
    plens_status status = parse_member(&p, 0, 0, &node);
    if (status != PLENS_OK)
        return status;
    skip_space(&p);
    if (p.at < n_bytes)
        return fail_expected(&p, "the end of the text");
    *root = node;
    return PLENS_OK;
}

plens_status plens__json_load(plens__arena *arena, const char *path, const plens__json **root,
                              plens_error *error) {
    char *text;
    size_t n_bytes;
    plens_status status = plens__file_load(arena->allocator, path, &text, &n_bytes, error);
    if (status != PLENS_OK)
        return status;
    status = plens__json_parse(arena, path, text, n_bytes, root, error);
    plens__free(arena->allocator, text);
    return status;
}
