/* Reading the parts of tokenizer.json: an object with a "type" and typed members, or a Sequence of
 * such objects. Every message names the file and the part. */
#ifndef PLENS_LOADERS_COMPONENT_H
#define PLENS_LOADERS_COMPONENT_H

#include "loaders/json.h"
#include "loaders/regex.h"

typedef struct plens__part {
    const char *file;    /* path of the tokenizer.json */
    const char *name;    /* "normalizer", "pre_tokenizer", … */
    plens__arena *arena; /* where what is read lives: the tokenizer's */
    plens_error *error;
} plens__part;

/* FORMAT: "FILE: NAME: byte N: expected WHAT". */
plens_status plens__part_expected(const plens__part *part, const plens__json *at, const char *what);
/* UNSUPPORTED: "FILE: NAME: KEY "VALUE" is not known". */
plens_status plens__part_unknown(const plens__part *part, const char *key,
                                 const plens__json *value);
plens_status plens__part_no_memory(const plens__part *part);

/* The component's "type"; FORMAT unless it is an object that has one. */
plens_status plens__part_type(const plens__part *part, const plens__json *component,
                              const plens__json **type);

/* A member true or false. fallback: 0 or 1 where it is absent or null, -1 if it must be there. */
plens_status plens__part_bool(const plens__part *part, const plens__json *component,
                              const char *key, int fallback, int *value);
plens_status plens__part_string(const plens__part *part, const plens__json *component,
                                const char *key, const plens__json **value);
plens_status plens__part_size(const plens__part *part, const plens__json *component,
                              const char *key, size_t *value);
/* A string of exactly one character. */
plens_status plens__part_character(const plens__part *part, const plens__json *component,
                                   const char *key, const plens__json **value);
/* "pattern": {"String": …} or {"Regex": …}. */
plens_status plens__part_pattern(const plens__part *part, const plens__json *component,
                                 plens__regex *pattern);
/* Copies the string into the arena: *text [*n]. */
plens_status plens__part_copy(const plens__part *part, const plens__json *string, const char **text,
                              size_t *n);
/* What finds just this string, which is not empty. */
plens_status plens__part_literal(const plens__part *part, const plens__json *string,
                                 plens__regex *pattern);

/* Metaspace, which is a pre-tokenizer and a decoder. */
typedef enum plens__prepend {
    PLENS__PREPEND_ALWAYS,
    PLENS__PREPEND_FIRST,
    PLENS__PREPEND_NEVER
} plens__prepend;
typedef struct plens__metaspace {
    const char *replacement; /* one character */
    size_t n;
    plens__prepend prepend;
    int split;
} plens__metaspace;
plens_status plens__part_metaspace(const plens__part *part, const plens__json *component,
                                   plens__metaspace *metaspace);

/* Flattens nested Sequences, whose members stand under `members` ("normalizers", …): calls visit
 * for each component in order. null is no component at all. */
typedef plens_status plens__part_visit(const plens__part *part, const plens__json *component,
                                       const plens__json *type, void *user);
plens_status plens__part_walk(const plens__part *part, const plens__json *component,
                              const char *members, plens__part_visit *visit, void *user);
/* How many components plens__part_walk visits at most. */
size_t plens__part_count(const plens__json *component, const char *members);

#endif
