/* Pattern to steps. See regex.h for what is known. */
#include <stdio.h>
#include <string.h>

#include "loaders/regex_compiler.h"

#define DEPTH 8   /* of groups in groups */
#define SHOWN 600 /* how much of a pattern a message quotes */

static plens__regex_step *emit(plens__regex_compiler *k, plens__regex_op op) {
    if (k->n_steps == PLENS__REGEX_STEPS) {
        plens__regex_problem(k, "it is too long");
        return NULL;
    }
    plens__regex_step *step = &k->steps[k->n_steps++];
    memset(step, 0, sizeof *step);
    step->op = op;
    return step;
}

/* ---- Repetition and groups ---- */

static int parse_number(plens__regex_compiler *k, size_t *value) {
    size_t digits = 0;
    for (*value = 0; plens__regex_peek(k, 0) >= '0' && plens__regex_peek(k, 0) <= '9' && digits < 6;
         digits++)
        *value = *value * 10 + (size_t)(k->pattern[k->at++] - '0');
    return digits > 0;
}

static int parse_braces(plens__regex_compiler *k, plens__regex_step *step) {
    if (!parse_number(k, &step->min))
        return plens__regex_problem(k, "a { without a number");
    step->max = step->min;
    if (plens__regex_eat(k, ",") && !parse_number(k, &step->max))
        step->max = SIZE_MAX;
    if (!plens__regex_eat(k, "}") || step->max < step->min)
        return plens__regex_problem(k, "a bad {n,m}");
    return 1;
}

/* A set and what follows it: how often, and whether it gives back. */
static int parse_run(plens__regex_compiler *k) {
    plens__regex_step *step = emit(k, PLENS__REGEX_RUN);
    if (step == NULL || !plens__regex_parse_set(k, &step->set))
        return 0;
    step->min = step->max = 1;
    int braces = 0;
    if (plens__regex_eat(k, "?")) {
        step->min = 0;
    } else if (plens__regex_eat(k, "*")) {
        step->min = 0;
        step->max = SIZE_MAX;
    } else if (plens__regex_eat(k, "+")) {
        step->max = SIZE_MAX;
    } else if (plens__regex_eat(k, "{")) {
        braces = 1;
        if (!parse_braces(k, step))
            return 0;
    } else {
        return 1;
    }
    k->plain = 0;
    if (!braces)
        step->possessive = plens__regex_eat(k, "+");
    if (plens__regex_peek(k, 0) >= 0 && strchr("?*+{", plens__regex_peek(k, 0)) != NULL)
        return plens__regex_problem(k, "a repetition that is lazy or repeated");
    return 1;
}

/* Finds the end of the group or pattern in hand (its parenthesis, or n) and whether a bar stands
 * at this level on the way. */
static size_t level_end(const plens__regex_compiler *k, int *bar) {
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

static int parse_alternatives(plens__regex_compiler *k, int depth);

static int parse_look(plens__regex_compiler *k, plens__regex_op op, size_t wanted) {
    plens__regex_step *step = emit(k, op);
    if (step == NULL || !plens__regex_parse_set(k, &step->set))
        return 0;
    step->min = wanted;
    return plens__regex_eat(k, ")")
               ? 1
               : plens__regex_problem(k, "lookaround on more than one character");
}

/* After "(" of a group that takes characters. */
static int parse_group(plens__regex_compiler *k, int depth) {
    int bar, outer_case = k->ignore_case;
    if (plens__regex_eat(k, "?i:"))
        k->ignore_case = 1;
    else if (!plens__regex_eat(k, "?:") && plens__regex_peek(k, 0) == '?')
        return plens__regex_problem(k, "an unknown kind of group");
    size_t end = level_end(k, &bar), split = k->n_steps;
    int optional = end + 1 < k->n && k->pattern[end + 1] == '?';
    if (optional && emit(k, PLENS__REGEX_SPLIT) == NULL)
        return 0;
    if (!parse_alternatives(k, depth + 1))
        return 0;
    if (!plens__regex_eat(k, ")"))
        return plens__regex_problem(k, "a group that does not end");
    k->ignore_case = outer_case;
    if (optional) {
        k->at++;
        k->steps[split].target = k->n_steps;
    }
    if (plens__regex_peek(k, 0) >= 0 && strchr("?*+{", plens__regex_peek(k, 0)) != NULL)
        return plens__regex_problem(k, "a repeated group");
    return 1;
}

static int parse_item(plens__regex_compiler *k, int depth) {
    if (plens__regex_peek(k, 0) != '(' && plens__regex_peek(k, 0) != '^' &&
        plens__regex_peek(k, 0) != '$')
        return parse_run(k);
    k->plain = 0;
    if (plens__regex_eat(k, "^"))
        return emit(k, PLENS__REGEX_LINE_START) != NULL;
    if (plens__regex_eat(k, "$"))
        return emit(k, PLENS__REGEX_LINE_END) != NULL;
    if (plens__regex_eat(k, "(?!"))
        return parse_look(k, PLENS__REGEX_AHEAD, 0);
    if (plens__regex_eat(k, "(?="))
        return parse_look(k, PLENS__REGEX_AHEAD, 1);
    if (plens__regex_eat(k, "(?<!"))
        return parse_look(k, PLENS__REGEX_BEHIND, 0);
    if (plens__regex_eat(k, "(?<="))
        return parse_look(k, PLENS__REGEX_BEHIND, 1);
    k->at++;
    return parse_group(k, depth);
}

/* a|b|c: split to b, a, jump to the end; split to c, b, jump to the end; c. The jumps are chained
 * through their targets until the end is known. */
static int parse_alternatives(plens__regex_compiler *k, int depth) {
    size_t jumps = SIZE_MAX;
    if (depth > DEPTH)
        return plens__regex_problem(k, "groups too deep");
    for (;;) {
        int bar;
        size_t split = k->n_steps;
        level_end(k, &bar);
        if (bar && emit(k, PLENS__REGEX_SPLIT) == NULL)
            return 0;
        while (k->at < k->n && plens__regex_peek(k, 0) != '|' && plens__regex_peek(k, 0) != ')') {
            if (!parse_item(k, depth))
                return 0;
        }
        if (!bar)
            break;
        plens__regex_step *jump = emit(k, PLENS__REGEX_JUMP);
        if (jump == NULL || !plens__regex_eat(k, "|"))
            return plens__regex_problem(k, "an unbalanced bracket");
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

static int keep(plens__regex_compiler *k, plens__regex *regex) {
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
    plens__regex_compiler *k = plens__alloc_array(arena->allocator, 1, sizeof *k);
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
        ok = plens__regex_problem(k, "an unbalanced )");
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
