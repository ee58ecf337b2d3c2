/* What the parts of the regular expressions' compiler share: the pattern and the place in it. */
#ifndef PLENS_LOADERS_REGEX_COMPILER_H
#define PLENS_LOADERS_REGEX_COMPILER_H

#include "loaders/regex.h"

typedef struct plens__regex_compiler {
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
} plens__regex_compiler;

/* Why the pattern is not known; the first reason stays. Returns 0. */
int plens__regex_problem(plens__regex_compiler *k, const char *what);

/* The byte `ahead` of the place, -1 behind the end. */
int plens__regex_peek(const plens__regex_compiler *k, size_t ahead);

/* Goes past text and returns 1 if it stands here. */
int plens__regex_eat(plens__regex_compiler *k, const char *text);

/* One character, escape or class: what may repeat. 0 where there is a problem or no memory. */
int plens__regex_parse_set(plens__regex_compiler *k, plens__char_set *set);

#endif
