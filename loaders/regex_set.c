/* Characters, escapes and classes of a pattern, to sets of characters. */
#include <string.h>

#include "loaders/regex_compiler.h"
#include "loaders/unicode.h"
#include "loaders/utf8.h"

#define DEPTH 8 /* of classes in classes */

int plens__regex_problem(plens__regex_compiler *k, const char *what) {
    if (k->problem == NULL)
        k->problem = what;
    return 0;
}

int plens__regex_peek(const plens__regex_compiler *k, size_t ahead) {
    return ahead < k->n - k->at ? (unsigned char)k->pattern[k->at + ahead] : -1;
}

int plens__regex_eat(plens__regex_compiler *k, const char *text) {
    size_t length = strlen(text);
    if (k->n - k->at < length || memcmp(k->pattern + k->at, text, length) != 0)
        return 0;
    k->at += length;
    return 1;
}

static int next_character(plens__regex_compiler *k, uint32_t *c) {
    size_t length = plens__utf8_decode(k->pattern + k->at, k->n - k->at, c);
    k->at += length;
    return length > 0 ? 1 : plens__regex_problem(k, "it ends too early");
}

static void set_ascii(plens__char_set *set, uint32_t c) {
    set->ascii[c >> 5] |= (uint32_t)1 << (c & 31);
}

static int add_range(plens__regex_compiler *k, plens__char_set *set, uint32_t first,
                     uint32_t last) {
    for (uint32_t c = first; c <= last && c < 128; c++)
        set_ascii(set, c);
    if (last < 128)
        return 1;
    uint32_t range[2] = {first, last};
    if (!plens__buffer_append(&k->ranges, (const char *)range, sizeof range)) {
        k->no_memory = 1;
        return 0;
    }
    return 1;
}

static void add_categories(plens__char_set *set, uint32_t mask) {
    for (uint32_t c = 0; c < 128; c++) {
        if (mask >> plens__unicode_category(c) & 1)
            set_ascii(set, c);
    }
    set->categories |= mask;
}

static int add_spaces(plens__char_set *set) {
    for (uint32_t c = 0; c < 128; c++) {
        if (plens__unicode_is_space(c))
            set_ascii(set, c);
    }
    set->spaces = 1;
    return 1;
}

/* \w as Oniguruma has it: alphabetic, marks, decimal digits, connectors; no joiners (unlike UTS
 * #18). Outside of a class also the superscripts and fractions of Latin-1. */
static int add_word(plens__regex_compiler *k, plens__char_set *set, int in_class) {
    add_categories(
        set, plens__unicode_category_mask("L", 1) | plens__unicode_category_mask("M", 1) |
                 plens__unicode_category_mask("Nd", 2) | plens__unicode_category_mask("Nl", 2) |
                 plens__unicode_category_mask("Pc", 2));
    int ok = add_range(k, set, 0x24B6, 0x24E9) && add_range(k, set, 0x1F130, 0x1F149) &&
             add_range(k, set, 0x1F150, 0x1F169) && add_range(k, set, 0x1F170, 0x1F189);
    if (in_class)
        return ok;
    return ok && add_range(k, set, 0xB2, 0xB3) && add_range(k, set, 0xB9, 0xB9) &&
           add_range(k, set, 0xBC, 0xBE);
}

static void negate(plens__char_set *set) {
    for (size_t i = 0; i < 4; i++)
        set->ascii[i] = ~set->ascii[i];
    set->negated = !set->negated;
}

/* \p{Name} or \P{Name}, after the p. */
static int add_property(plens__regex_compiler *k, plens__char_set *set, int complement) {
    if (!plens__regex_eat(k, "{"))
        return plens__regex_problem(k, "\\p without {");
    const char *name = k->pattern + k->at;
    const char *close = memchr(name, '}', k->n - k->at);
    uint32_t mask = close == NULL ? 0 : plens__unicode_category_mask(name, (size_t)(close - name));
    if (mask == 0)
        return plens__regex_problem(k, "a \\p{...} that is no general category");
    k->at += (size_t)(close - name) + 1;
    add_categories(set, complement ? ~mask : mask);
    return 1;
}

/* The character that \x stands for where x is no class; 0 for one not known. */
static uint32_t escaped_character(int x) {
    static const char marks[] = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ";
    switch (x) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'f':
        return '\f';
    default: /* \. \/ \- …: a punctuation mark stands for itself */
        return x > 0 && strchr(marks, x) != NULL ? (uint32_t)x : 0;
    }
}

/* After a backslash: a class of its own goes into the set (*is_class = 1), a character to *c. */
static int parse_escape(plens__regex_compiler *k, plens__char_set *set, int in_class, int *is_class,
                        uint32_t *c) {
    int x = plens__regex_peek(k, 0);
    if (x < 0)
        return plens__regex_problem(k, "it ends in a backslash");
    k->at++;
    *is_class = 1;
    uint32_t digits = plens__unicode_category_mask("Nd", 2);
    switch (x) {
    case 's':
        return add_spaces(set);
    case 'w':
        return add_word(k, set, in_class);
    case 'd':
    case 'D':
        add_categories(set, x == 'd' ? digits : ~digits);
        return 1;
    case 'p':
    case 'P':
        return add_property(k, set, x == 'P');
    case 'S':
    case 'W':
        if (in_class)
            return plens__regex_problem(k, "\\S or \\W in a class");
        if (x == 'S' ? !add_spaces(set) : !add_word(k, set, 0))
            return 0;
        negate(set);
        return 1;
    default:
        *is_class = 0;
        *c = escaped_character(x);
        return *c != 0 ? 1 : plens__regex_problem(k, "an unknown escape");
    }
}

/* One end of a range in a class, or a class such as \s. */
static int parse_class_item(plens__regex_compiler *k, plens__char_set *set, int *is_class,
                            uint32_t *c) {
    *is_class = 0;
    if (plens__regex_eat(k, "\\"))
        return parse_escape(k, set, 1, is_class, c);
    return next_character(k, c);
}

/* The inside of [...], after the bracket and ^. Nested brackets are unions. */
static int parse_class(plens__regex_compiler *k, plens__char_set *set, int depth) {
    if (plens__regex_peek(k, 0) == ']' || depth > DEPTH)
        return plens__regex_problem(k, "an empty class, or classes too deep");
    while (!plens__regex_eat(k, "]")) {
        uint32_t first, last;
        int is_class;
        if (plens__regex_peek(k, 0) == '&' && plens__regex_peek(k, 1) == '&')
            return plens__regex_problem(k, "an intersection of classes");
        if (plens__regex_eat(k, "[")) {
            if (plens__regex_peek(k, 0) == '^' || plens__regex_peek(k, 0) == ':')
                return plens__regex_problem(k, "a negated or named class in a class");
            if (!parse_class(k, set, depth + 1))
                return 0;
            continue;
        }
        if (!parse_class_item(k, set, &is_class, &first))
            return 0;
        if (is_class)
            continue;
        last = first;
        if (plens__regex_peek(k, 0) == '-' && plens__regex_peek(k, 1) != ']' &&
            plens__regex_peek(k, 1) != '[') {
            k->at++;
            if (!parse_class_item(k, set, &is_class, &last))
                return 0;
            if (is_class || last < first)
                return plens__regex_problem(k, "a range that ends before it begins");
        }
        if (!add_range(k, set, first, last))
            return 0;
    }
    return 1;
}

/* Under (?i: the other case of ASCII letters, and the two characters beyond ASCII that fold to
 * them: long s and the Kelvin sign (CaseFolding.txt). */
static int add_cases(plens__regex_compiler *k, plens__char_set *set) {
    if (set->categories != 0 || set->spaces || k->ranges.count > 0)
        return plens__regex_problem(k, "(?i:...) on more than ASCII letters");
    for (uint32_t c = 'a'; c <= 'z'; c++) {
        uint32_t big = c - 32;
        uint32_t bits = (set->ascii[c >> 5] >> (c & 31) | set->ascii[big >> 5] >> (big & 31)) & 1;
        if (bits == 0)
            continue;
        set_ascii(set, c);
        set_ascii(set, big);
        if ((c == 's' && !add_range(k, set, 0x17F, 0x17F)) ||
            (c == 'k' && !add_range(k, set, 0x212A, 0x212A)))
            return 0;
    }
    return 1;
}

/* Moves the ranges of the class in hand into the set. */
static int keep_ranges(plens__regex_compiler *k, plens__char_set *set) {
    if (k->ranges.count == 0)
        return 1;
    uint32_t *ranges = plens__arena_alloc(k->arena, k->ranges.count);
    if (ranges == NULL) {
        k->no_memory = 1;
        return 0;
    }
    memcpy(ranges, k->ranges.data, k->ranges.count);
    set->ranges = ranges;
    set->n_ranges = k->ranges.count / (2 * sizeof *ranges);
    return 1;
}

int plens__regex_parse_set(plens__regex_compiler *k, plens__char_set *set) {
    uint32_t c = 0;
    int is_class = 0, negated = 0;
    memset(set, 0, sizeof *set);
    k->ranges.count = 0;
    if (plens__regex_eat(k, "[")) {
        negated = plens__regex_eat(k, "^");
        is_class = 1;
        if (!parse_class(k, set, 0))
            return 0;
    } else if (plens__regex_eat(k, "\\")) {
        if (!parse_escape(k, set, 0, &is_class, &c))
            return 0;
    } else if (plens__regex_peek(k, 0) >= 0 &&
               strchr(".*+?{}[]()|^$", plens__regex_peek(k, 0)) != NULL) {
        return plens__regex_problem(k, "a special character where one character was expected");
    } else if (!next_character(k, &c)) {
        return 0;
    }
    if (!is_class && !add_range(k, set, c, c))
        return 0;
    if (is_class)
        k->plain = 0;
    else if (k->plain && !plens__append_character(&k->literal, c))
        k->no_memory = 1;
    if (k->ignore_case && !add_cases(k, set))
        return 0;
    if (negated)
        negate(set);
    return !k->no_memory && keep_ranges(k, set);
}
