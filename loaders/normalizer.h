/* The "normalizer" of tokenizer.json: a text to the text that is cut up and looked up.
 * NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Prepend, Replace, ByteLevel, Sequence.
 *
 * Unicode 16 throughout. The reference's normal forms and StripAccents know an older Unicode: they
 * leave some characters added since then as they are (of the canonical ones 21, as U+11938 and
 * U+16121). */
#ifndef PLENS_LOADERS_NORMALIZER_H
#define PLENS_LOADERS_NORMALIZER_H

#include "loaders/component.h"

typedef struct plens__normalizer_step plens__normalizer_step;
typedef struct plens__normalizer {
    plens__normalizer_step *steps;
    size_t n_steps;
} plens__normalizer;

/* json may be NULL or null: no steps. */
plens_status plens__normalizer_read(const plens__part *part, const plens__json *json,
                                    plens__normalizer *normalizer);

/* Normalizes text [n] into *out (emptied first), with *scratch as a second buffer. *first says on
 * entry whether it begins where the original text begins, on return whether it still does (what
 * stood there may have been taken away). 0 if there is no memory. */
int plens__normalizer_apply(const plens__normalizer *normalizer, const char *text, size_t n,
                            plens__buffer *out, plens__buffer *scratch, int *first);

#endif
