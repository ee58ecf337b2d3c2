/* The regular expressions of tokenizer.json files: Oniguruma's Ruby syntax, as far as known
 * tokenizers use it. The meaning is the reference's (leftmost match, alternatives in order, greedy
 * or possessive repetition with backtracking).
 *
 * Known: literal characters; \s \S \d \D \w \W \r \n \t \p{L} \P{Lu} … (general categories);
 * [classes] with ranges, negation and unions; ^ and $ (of lines); ? * + {n} {n,} {n,m} and the
 * possessive ?+ *+ ++, all on one character or class; alternation; groups (…) (?:…) (?i:…), at
 * most optional; lookaround (?!x) (?=x) (?<!x) (?<=x) on one character or class. Since only single
 * characters repeat, a match needs no more memory than the program is long. */
#ifndef PLENS_LOADERS_REGEX_H
#define PLENS_LOADERS_REGEX_H

#include "loaders/base.h"

/* A set of characters. */
typedef struct plens__char_set {
    uint32_t ascii[4];   /* bits of 0..127; final: negation is already in */
    uint32_t categories; /* of the others: bits 1 << plens__category */
    int spaces;          /* White_Space is in it */
    int negated;         /* for c >= 128 */
    size_t n_ranges;
    const uint32_t *ranges; /* first, last */
} plens__char_set;

typedef enum plens__regex_op {
    PLENS__REGEX_RUN,    /* min..max characters of set */
    PLENS__REGEX_SPLIT,  /* first try what follows, then target */
    PLENS__REGEX_JUMP,   /* to target, which lies ahead */
    PLENS__REGEX_AHEAD,  /* the next character is of set (min 1), or is not or is none (min 0) */
    PLENS__REGEX_BEHIND, /* the same of the character before */
    PLENS__REGEX_LINE_START,
    PLENS__REGEX_LINE_END,
    PLENS__REGEX_MATCH
} plens__regex_op;

typedef struct plens__regex_step {
    plens__regex_op op;
    int possessive;
    size_t min, max;
    size_t target;
    plens__char_set set;
} plens__regex_step;

#define PLENS__REGEX_STEPS 192

typedef struct plens__regex {
    const char *literal; /* not NULL: the pattern is just these bytes [n_literal > 0] */
    size_t n_literal;
    const plens__regex_step *steps; /* at most PLENS__REGEX_STEPS */
} plens__regex;

/* Compiles pattern [n] into arena. UNSUPPORTED naming `place` and the pattern if it is outside of
 * what is known. */
plens_status plens__regex_compile(plens__arena *arena, const char *place, const char *pattern,
                                  size_t n, plens__regex *regex, plens_error *error);

/* The regex that matches text [n > 0] itself; text must outlive it. */
plens__regex plens__regex_literal(const char *text, size_t n);

/* The leftmost match in text [n] (valid UTF-8) that begins at `from` or later; 0 if none. */
int plens__regex_find(const plens__regex *regex, const char *text, size_t n, size_t from,
                      size_t *start, size_t *end);

/* Iterates over the matches as the reference does: without overlap, and without an empty match
 * directly after the last one. Starts as {regex, text, n, 0, 0, 0}. */
typedef struct plens__regex_matches {
    const plens__regex *regex;
    const char *text;
    size_t n, at;
    size_t last_end;
    int any;
} plens__regex_matches;

int plens__regex_next(plens__regex_matches *matches, size_t *start, size_t *end);

int plens__char_set_has(const plens__char_set *set, uint32_t c);

#endif
