/* The matcher. The compiler is regex_compile.c. */
#include "loaders/regex.h"

#include <string.h>

#include "loaders/unicode.h"

/* Decodes the character at text (valid UTF-8, so no bounds are checked); its length. */
static size_t decode(const char *text, uint32_t *c) {
    const unsigned char *b = (const unsigned char *)text;
    if (b[0] < 0x80) {
        *c = b[0];
        return 1;
    }
    if (b[0] < 0xE0) {
        *c = (b[0] & 0x1Fu) << 6 | (b[1] & 0x3Fu);
        return 2;
    }
    if (b[0] < 0xF0) {
        *c = (b[0] & 0x0Fu) << 12 | (b[1] & 0x3Fu) << 6 | (b[2] & 0x3Fu);
        return 3;
    }
    *c = (b[0] & 0x07u) << 18 | (b[1] & 0x3Fu) << 12 | (b[2] & 0x3Fu) << 6 | (b[3] & 0x3Fu);
    return 4;
}

/* Where the character that ends at `at` > 0 begins. */
static size_t before(const char *text, size_t at) {
    at--;
    while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
        at--;
    return at;
}

int plens__char_set_has(const plens__char_set *set, uint32_t c) {
    if (c < 128)
        return (int)(set->ascii[c >> 5] >> (c & 31) & 1);
    int found = set->spaces && plens__unicode_is_space(c);
    if (!found && set->categories != 0)
        found = (int)(set->categories >> plens__unicode_category(c) & 1);
    for (size_t i = 0; i < set->n_ranges && !found; i++)
        found = c >= set->ranges[2 * i] && c <= set->ranges[2 * i + 1];
    return found != set->negated;
}

/* A way not taken yet: go on with `step` at position `at`; a run may also give back characters
 * down to `floor`. */
typedef struct way {
    size_t step, at, floor;
} way;

/* How far a run reaches from at; 0 if there are fewer than its minimum. *floor: its shortest. */
static int run(const plens__regex_step *step, const char *text, size_t n, size_t *at,
               size_t *floor) {
    size_t count = 0;
    *floor = *at;
    while (count < step->max && *at < n) {
        uint32_t c;
        size_t length = decode(text + *at, &c);
        if (!plens__char_set_has(&step->set, c))
            break;
        *at += length;
        if (++count <= step->min)
            *floor = *at;
    }
    return count >= step->min;
}

/* What the steps that take no characters say of position at. */
static int holds(const plens__regex_step *step, const char *text, size_t n, size_t at) {
    uint32_t c;
    switch (step->op) {
    case PLENS__REGEX_AHEAD:
        if (at == n)
            return step->min == 0;
        decode(text + at, &c);
        return plens__char_set_has(&step->set, c) == (int)step->min;
    case PLENS__REGEX_BEHIND:
        if (at == 0)
            return step->min == 0;
        decode(text + before(text, at), &c);
        return plens__char_set_has(&step->set, c) == (int)step->min;
    case PLENS__REGEX_LINE_START: /* not after a newline that ends the text */
        return at == 0 || (text[at - 1] == '\n' && at < n);
    case PLENS__REGEX_LINE_END:
        return at == n || text[at] == '\n';
    default:
        return 1;
    }
}

/* Matches at exactly `at`. Steps only lead forward, so there is at most one way for each. */
static int match(const plens__regex_step *steps, const char *text, size_t n, size_t at,
                 size_t *end) {
    way ways[PLENS__REGEX_STEPS];
    size_t n_ways = 0, i = 0;
    for (;;) {
        const plens__regex_step *step = steps + i;
        int ok = 1;
        size_t floor;
        switch (step->op) {
        case PLENS__REGEX_MATCH:
            *end = at;
            return 1;
        case PLENS__REGEX_RUN:
            ok = run(step, text, n, &at, &floor);
            if (ok && at > floor && !step->possessive)
                ways[n_ways++] = (way){i + 1, at, floor};
            i++;
            break;
        case PLENS__REGEX_SPLIT:
            ways[n_ways++] = (way){step->target, at, at};
            i++;
            break;
        case PLENS__REGEX_JUMP:
            i = step->target;
            break;
        default:
            ok = holds(step, text, n, at);
            i++;
        }
        if (ok)
            continue;
        if (n_ways == 0)
            return 0;
        way *last = &ways[n_ways - 1];
        if (last->at > last->floor)
            last->at = before(text, last->at);
        i = last->step;
        at = last->at;
        if (last->at == last->floor)
            n_ways--;
    }
}

static int find_literal(const plens__regex *regex, const char *text, size_t n, size_t from,
                        size_t *start, size_t *end) {
    size_t length = regex->n_literal;
    while (n - from >= length) {
        const char *hit = memchr(text + from, regex->literal[0], n - from - length + 1);
        if (hit == NULL)
            return 0;
        if (memcmp(hit, regex->literal, length) == 0) {
            *start = (size_t)(hit - text);
            *end = *start + length;
            return 1;
        }
        from = (size_t)(hit - text) + 1;
    }
    return 0;
}

int plens__regex_find(const plens__regex *regex, const char *text, size_t n, size_t from,
                      size_t *start, size_t *end) {
    if (regex->literal != NULL)
        return find_literal(regex, text, n, from, start, end);
    for (;;) {
        if (match(regex->steps, text, n, from, end)) {
            *start = from;
            return 1;
        }
        if (from >= n)
            return 0;
        uint32_t c;
        from += decode(text + from, &c);
    }
}

plens__regex plens__regex_literal(const char *text, size_t n) {
    plens__regex regex = {text, n, NULL};
    return regex;
}

int plens__regex_next(plens__regex_matches *m, size_t *start, size_t *end) {
    while (m->at <= m->n && plens__regex_find(m->regex, m->text, m->n, m->at, start, end)) {
        if (*start != *end || !m->any || m->last_end != *end) {
            m->at = m->last_end = *end;
            m->any = 1;
            return 1;
        }
        uint32_t c;
        m->at += m->at < m->n ? decode(m->text + m->at, &c) : 1;
    }
    return 0;
}
