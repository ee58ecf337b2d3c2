/* A text in pieces: what passes between the stages of a tokenizer, in both directions. The pieces'
 * bytes lie one after the other in one buffer. */
#ifndef PLENS_LOADERS_PIECES_H
#define PLENS_LOADERS_PIECES_H

#include "loaders/base.h"

typedef struct plens__piece {
    size_t start, n; /* text.data[start .. start + n) */
    int first;       /* it begins where the original text begins */
} plens__piece;

typedef struct plens__pieces {
    plens__buffer text;
    plens__buffer list; /* of plens__piece */
} plens__pieces;

plens__pieces plens__pieces_none(const plens_allocator *allocator);
void plens__pieces_clear(plens__pieces *pieces); /* keeps the memory */
void plens__pieces_free(plens__pieces *pieces);

size_t plens__pieces_count(const plens__pieces *pieces);
const plens__piece *plens__pieces_get(const plens__pieces *pieces, size_t i);
const char *plens__pieces_text(const plens__pieces *pieces, const plens__piece *piece);

/* Adds a piece; 0 if there is no memory. */
int plens__pieces_add(plens__pieces *pieces, const char *bytes, size_t n, int first);
/* Makes a piece of what was appended to pieces->text from `start` on. */
int plens__pieces_close(plens__pieces *pieces, size_t start, int first);

#endif
