/* How much two texts share: of their different runs of three words (of all their words, where they
 * have fewer), the part of the text with fewer that the other has too. Case is ignored (ASCII). */
#ifndef PLENS_HARNESS_OVERLAP_H
#define PLENS_HARNESS_OVERLAP_H

#include "plens.h"
#include "tests/harness/words.h"

typedef struct overlap {
    gram *grams;   /* of all texts, one text after the other, each in order and once */
    size_t *first; /* [n_texts + 1] where a text's begin */
} overlap;

void overlap_make(overlap *o, const char *const *texts, size_t n_texts);
void overlap_free(overlap *o);

/* Whether the part that texts one and other share is at least `most`. */
int overlap_reaches(const overlap *o, size_t one, size_t other, plens_ratio most);

#endif
