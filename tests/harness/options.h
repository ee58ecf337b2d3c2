/* Command-line options: a table says what there is, one function reads them all. */
#ifndef PLENS_HARNESS_OPTIONS_H
#define PLENS_HARNESS_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

typedef enum option_kind {
    OPTION_FLAG,   /* target int *: 1 if given */
    OPTION_TEXT,   /* target const char ** */
    OPTION_TEXTS,  /* target option_texts *: may be given several times */
    OPTION_COUNT,  /* target size_t *, 1..INT_MAX */
    OPTION_BYTES,  /* target uint64_t *: 4096, 512K, 8G (powers of 1,024) */
    OPTION_CHOICE, /* target int *: the value of one of `choices` */
    OPTION_LATER   /* known, but not in this version */
} option_kind;

typedef struct option_texts {
    const char **items; /* free with free() */
    size_t count;
} option_texts;

typedef struct option_choice {
    const char *name; /* NULL ends the list */
    int value;
} option_choice;

typedef struct option {
    const char *name; /* "--model"; "" for arguments that do not begin with a dash */
    option_kind kind;
    void *target;
    const option_choice *choices;
} option;

enum { OPTIONS_READ = -1 };

/* Reads the arguments after a command's name into the targets. Returns OPTIONS_READ, or the exit
 * status to leave with: help was asked for and printed, or there is a mistake and it was said. */
int options_read(const char *command, const char *usage, const option *options, size_t n_options,
                 int argc, char **argv);

/* Decimal digits only, at most `most`: 1, or 0 if the text is anything else. */
int parse_number(const char *text, uint64_t most, uint64_t *number);

/* "3-9", or "5" for 5-5: 1, or 0 if the text is anything else or runs backwards. */
int parse_range(const char *text, size_t most, size_t *first, size_t *last);

#endif
