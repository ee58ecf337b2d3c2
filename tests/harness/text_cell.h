/* The bytes of a token or a text as something to look at, whatever they are: every sign that comes
 * out is visible UTF-8 that may stand in XML, and none changes what is around it. */
#ifndef PLENS_HARNESS_TEXT_CELL_H
#define PLENS_HARNESS_TEXT_CELL_H

#include "plens.h"

typedef struct text_cell {
    const char *at, *end; /* what is left */
    int is_token;         /* 1: a space is shown as a middle dot, for a token's spaces matter */
    int has_base;         /* a mark can stand on what came before */
} text_cell;

/* One sign of it. A stand-in says what the bytes are where they cannot be shown as themselves: "·"
 * for a token's space, "\n" for a line's end, "\xE3" for a byte of a cut character, "U+200B" for
 * what cannot be seen. */
typedef struct sign {
    char text[16];      /* UTF-8, zero-terminated; a combining mark may follow its dotted circle */
    int is_stand_in;    /* to be set apart from a text that reads the same */
    size_t columns;     /* in a terminal */
    unsigned long code; /* the character; 0 for other stand-ins than the space's */
} sign;

text_cell text_cell_of(const char *bytes, size_t n_bytes, int is_token);

/* A token's. An id without one, or with an empty one, is "[N]", for which `name` is room; so is any
 * if tokenizer is NULL. */
text_cell text_cell_of_token(const plens_tokenizer *tokenizer, int32_t id, char name[16]);

/* The next sign: 1, or 0 at the end. */
int text_cell_next(text_cell *cell, sign *s);

/* 1 if its first letter is of a script that is written from right to left: then its spaces, signs
 * and stand-ins stand in that direction too (UAX 9, rule P2). */
int text_cell_is_leftward(text_cell cell);

#endif
