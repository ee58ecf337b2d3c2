/* Pattern to steps. See regex.h for what is known. */
#include <stdio.h>
#include <string.h>

#include "loaders/regex.h"
#include "loaders/unicode.h"
#include "loaders/utf8.h"

#define DEPTH 8
#define SHOWN 600 /* how much of a pattern a message quotes */

typedef struct compiler {
    plens__arena *arena;
    const char *pattern; /* [n] */
    size_t n, at;
    int ignore_case;
    const char *problem; /* why it is not known; NULL so far */
    int no_memory;
    plens__regex_step steps[PLENS__REGEX_STEPS];
    size_t n_steps;
    plens__buffer ranges;  /* of uint32_t pairs: of the class in hand */
    plens__buffer literal; /* the pattern's text, as long as it is nothing but characters */
    int plain;
} compiler;

static int problem(compiler *k, const char *what) {
    if (k->problem == NULL)
        k->problem = what;
    return 0;
}

static int peek(const compiler *k, size_t ahead) {
    return ahead < k->n - k->at ? (unsigned char)k->pattern[k->at + ahead] : -1;
}

static int eat(compiler *k, const char *text) {
    size_t length = strlen(text);
    if (k->n - k->at < length || memcmp(k->pattern + k->at, text, length) != 0)
        return 0;
    k->at += length;
    return 1;
}

static int next_character(compiler *k, uint32_t *c) {
    size_t length = plens__utf8_decode(k->pattern + k->at, k->n - k->at, c);
    k->at += length;
    return length > 0 ? 1 : problem(k, "it ends too early");
}

static plens__regex_step *emit(compiler *k, plens__regex_op op) {
    if (k->n_steps == PLENS__REGEX_STEPS) {
        problem(k, "it is too long");
        return NULL;
    }
    plens__regex_step *step = &k->steps[k->n_steps++];
    memset(step, 0, sizeof *step);
    step->op = op;
    return step;
}

/* ---- Sets ---- */

static void set_ascii(plens__char_set *set, uint32_t c) {
    set->ascii[c >> 5] |= (uint32_t)1 << (c & 31);
}

static int add_range(compiler *k, plens__char_set *set, uint32_t first, uint32_t last) {
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
static int add_word(compiler *k, plens__char_set *set, int in_class) {
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
static int add_property(compiler *k, plens__char_set *set, int complement) {
    if (!eat(k, "{"))
        return problem(k, "\\p without {");
    const char *name = k->pattern + k->at;
    const char *close = memchr(name, '}', k->n - k->at);
    uint32_t mask = close == NULL ? 0 : plens__unicode_category_mask(name, (size_t)(close - name));
    if (mask == 0)
        return problem(k, "a \\p{...} that is no general category");
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
static int parse_escape(compiler *k, plens__char_set *set, int in_class, int *is_class,
                        uint32_t *c) {
    int x = peek(k, 0);
    if (x < 0)
        return problem(k, "it ends in a backslash");
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
            return problem(k, "\\S or \\W in a class");
        if (x == 'S' ? !add_spaces(set) : !add_word(k, set, 0))
            return 0;
        negate(set);
        return 1;
    default:
        *is_class = 0;
        *c = escaped_character(x);
        return *c != 0 ? 1 : problem(k, "an unknown escape");
    }
}

/* One end of a range in a class, or a class such as \s. */
static int parse_class_item(compiler *k, plens__char_set *set, int *is_class, uint32_t *c) {
    *is_class = 0;
    if (eat(k, "\\"))
        return parse_escape(k, set, 1, is_class, c);
    return next_character(k, c);
}

/* The inside of [...], after the bracket and ^. Nested brackets are unions. */
static int parse_class(compiler *k, plens__char_set *set, int depth) {
    if (peek(k, 0) == ']' || depth > DEPTH)
        return problem(k, "an empty class, or classes too deep");
    while (!eat(k, "]")) {
        uint32_t first, last;
        int is_class;
        if (peek(k, 0) == '&' && peek(k, 1) == '&')
            return problem(k, "an intersection of classes");
        if (eat(k, "[")) {
            if (peek(k, 0) == '^' || peek(k, 0) == ':')
                return problem(k, "a negated or named class in a class");
            if (!parse_class(k, set, depth + 1))
                return 0;
            continue;
        }
        if (!parse_class_item(k, set, &is_class, &first))
            return 0;
        if (is_class)
            continue;
        last = first;
        if (peek(k, 0) == '-' && peek(k, 1) != ']' && peek(k, 1) != '[') {
            k->at++;
            if (!parse_class_item(k, set, &is_class, &last))
                return 0;
            if (is_class || last < first)
                return problem(k, "a range that ends before it begins");
        }
        if (!add_range(k, set, first, last))
            return 0;
    }
    return 1;
}

/* Under (?i: the other case of ASCII letters, and the two characters beyond ASCII that fold to
 * them: long s and the Kelvin sign (CaseFolding.txt). */
static int add_cases(compiler *k, plens__char_set *set) {
    if (set->categories != 0 || set->spaces || k->ranges.count > 0)
        return problem(k, "(?i:...) on more than ASCII letters");
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
static int keep_ranges(compiler *k, plens__char_set *set) {
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

/* One character, escape or class: what may repeat. */
static int parse_set(compiler *k, plens__char_set *set) {
    uint32_t c = 0;
    int is_class = 0, negated = 0;
    memset(set, 0, sizeof *set);
    k->ranges.count = 0;
    if (eat(k, "[")) {
        negated = eat(k, "^");
        is_class = 1;
        if (!parse_class(k, set, 0))
            return 0;
    } else if (eat(k, "\\")) {
        if (!parse_escape(k, set, 0, &is_class, &c))
            return 0;
    } else if (peek(k, 0) >= 0 && strchr(".*+?{}[]()|^$", peek(k, 0)) != NULL) {
        return problem(k, "a special character where one character was expected");
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

/* ---- Repetition and groups ---- */

static int parse_number(compiler *k, size_t *value) {
    size_t digits = 0;
    for (*value = 0; peek(k, 0) >= '0' && peek(k, 0) <= '9' && digits < 6; digits++)
        *value = *value * 10 + (size_t)(k->pattern[k->at++] - '0');
    return digits > 0;
}

static int parse_braces(compiler *k, plens__regex_step *step) {
    if (!parse_number(k, &step->min))
        return problem(k, "a { without a number");
    step->max = step->min;
    if (eat(k, ",") && !parse_number(k, &step->max))
        step->max = SIZE_MAX;
    if (!eat(k, "}") || step->max < step->min)
        return problem(k, "a bad {n,m}");
    return 1;
}

/* A set and what follows it: how often, and whether it gives back. */
static int parse_run(compiler *k) {
    plens__regex_step *step = emit(k, PLENS__REGEX_RUN);
    if (step == NULL || !parse_set(k, &step->set))
        return 0;
    step->min = step->max = 1;
    int braces = 0;
    if (eat(k, "?")) {
        step->min = 0;
    } else if (eat(k, "*")) {
        step->min = 0;
        step->max = SIZE_MAX;
    } else if (eat(k, "+")) {
        step->max = SIZE_MAX;
    } else if (eat(k, "{")) {
        braces = 1;
        if (!parse_braces(k, step))
            return 0;
    } else {
        return 1;
    }
    k->plain = 0;
    if (!braces)
        step->possessive = eat(k, "+");
    if (peek(k, 0) >= 0 && strchr("?*+{", peek(k, 0)) != NULL)
        return problem(k, "a repetition that is lazy or repeated");
    return 1;
}

/* Finds the end of the group or pattern in hand (its parenthesis, or n) and whether a bar stands
 * at this level on the way. */
static size_t level_end(const compiler *k, int *bar) {
    int depth = 0, in_class = 0;
    size_t i = k->at;
    *bar = 0;
    for (; i < k->n; i++) {
        char c = k->pattern[i];
        if (c == '\\')
            i++;
        else if (c == '[')
            in_class++;
        else if (c == ']' && in_class > 0)
            in_class--;
        else if (in_class > 0)
            continue;
        else if (c == '(')
            depth++;
        else if (c == ')' && depth-- == 0)
            return i;
        else if (c == '|' && depth == 0)
            *bar = 1;
    }
    return k->n;
}

static int parse_alternatives(compiler *k, int depth);

static int parse_look(compiler *k, plens__regex_op op, size_t wanted) {
    plens__regex_step *step = emit(k, op);
    if (step == NULL || !parse_set(k, &step->set))
        return 0;
    step->min = wanted;
    return eat(k, ")") ? 1 : problem(k, "lookaround on more than one character");
}

/* After "(" of a group that takes characters. */
static int parse_group(compiler *k, int depth) {
    int bar, outer_case = k->ignore_case;
    if (eat(k, "?i:"))
        k->ignore_case = 1;
    else if (!eat(k, "?:") && peek(k, 0) == '?')
        return problem(k, "an unknown kind of group");
    size_t end = level_end(k, &bar), split = k->n_steps;
    int optional = end + 1 < k->n && k->pattern[end + 1] == '?';
    if (optional && emit(k, PLENS__REGEX_SPLIT) == NULL)
        return 0;
    if (!parse_alternatives(k, depth + 1))
        return 0;
    if (!eat(k, ")"))
        return problem(k, "a group that does not end");
    k->ignore_case = outer_case;
    if (optional) {
        k->at++;
        k->steps[split].target = k->n_steps;
    }
    if (peek(k, 0) >= 0 && strchr("?*+{", peek(k, 0)) != NULL)
        return problem(k, "a repeated group");
    return 1;
}

static int parse_item(compiler *k, int depth) {
    if (peek(k, 0) != '(' && peek(k, 0) != '^' && peek(k, 0) != '$')
        return parse_run(k);
    k->plain = 0;
    if (eat(k, "^"))
        return emit(k, PLENS__REGEX_LINE_START) != NULL;
    if (eat(k, "$"))
        return emit(k, PLENS__REGEX_LINE_END) != NULL;
    if (eat(k, "(?!"))
        return parse_look(k, PLENS__REGEX_AHEAD, 0);
    if (eat(k, "(?="))
        return parse_look(k, PLENS__REGEX_AHEAD, 1);
    if (eat(k, "(?<!"))
        return parse_look(k, PLENS__REGEX_BEHIND, 0);
    if (eat(k, "(?<="))
        return parse_look(k, PLENS__REGEX_BEHIND, 1);
    k->at++;
    return parse_group(k, depth);
}

/* a|b|c: split to b, a, jump to the end; split to c, b, jump to the end; c. The jumps are chained
 * through their targets until the end is known. */
static int parse_alternatives(compiler *k, int depth) {
    size_t jumps = SIZE_MAX;
    if (depth > DEPTH)
        return problem(k, "groups too deep");
    for (;;) {
        int bar;
        size_t split = k->n_steps;
        level_end(k, &bar);
        if (bar && emit(k, PLENS__REGEX_SPLIT) == NULL)
            return 0;
        while (k->at < k->n && peek(k, 0) != '|' && peek(k, 0) != ')') {
            if (!parse_item(k, depth))
                return 0;
        }
        if (!bar)
            break;
        plens__regex_step *jump = emit(k, PLENS__REGEX_JUMP);
        if (jump == NULL || !eat(k, "|"))
            return problem(k, "an unbalanced bracket");
        k->plain = 0;
        jump->target = jumps;
        jumps = k->n_steps - 1;
        k->steps[split].target = k->n_steps;
    }
    while (jumps != SIZE_MAX) {
        size_t next = k->steps[jumps].target;
        k->steps[jumps].target = k->n_steps;
        jumps = next;
    }
    return 1;
}

/* ---- Entry ---- */

static int keep(compiler *k, plens__regex *regex) {
    plens__regex_step *steps = plens__arena_alloc(k->arena, k->n_steps * sizeof *steps);
    char *literal = NULL;
    if (k->plain && k->literal.count > 0)
        literal = plens__arena_copy(k->arena, k->literal.data, k->literal.count);
    if (steps == NULL || (k->plain && k->literal.count > 0 && literal == NULL))
        return 0;
    memcpy(steps, k->steps, k->n_steps * sizeof *steps);
    regex->steps = steps;
    regex->literal = literal;
    regex->n_literal = k->literal.count;
    return 1;
}

plens_status plens__regex_compile(plens__arena *arena, const char *place, const char *pattern,
                                  size_t n, plens__regex *regex, plens_error *error) {
    compiler *k = plens__alloc_array(arena->allocator, 1, sizeof *k);
    if (k == NULL)
        return plens__fail_memory(error, sizeof *k, "a regular expression");
    plens__buffer empty = {arena->allocator, NULL, 0, 0};
    k->arena = arena;
    k->pattern = pattern;
    k->n = n;
    k->plain = 1;
    k->ranges = k->literal = empty;
    int ok = parse_alternatives(k, 0);
    if (ok && k->at < k->n)
        ok = problem(k, "an unbalanced )");
    ok = ok && emit(k, PLENS__REGEX_MATCH) != NULL && keep(k, regex);
    plens_status status = PLENS_OK;
    if (!ok && k->problem != NULL)
        status = plens__fail(error, PLENS_ERROR_UNSUPPORTED,
                             "%s: regular expression \"%.*s\" is not known: byte %zu: %s", place,
                             n < SHOWN ? (int)n : SHOWN, pattern, k->at, k->problem);
    else if (!ok)
        status = plens__fail_memory(error, n, "a regular expression");
    plens__buffer_free(&k->ranges);
    plens__buffer_free(&k->literal);
    plens__free(arena->allocator, k);
    return status;
}
