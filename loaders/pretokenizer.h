/* The "pre_tokenizer" of tokenizer.json: cuts the normalized text into the pieces that the model
 * sees one at a time. Split, ByteLevel, Metaspace, Digits, Whitespace, WhitespaceSplit,
 * Punctuation, CharDelimiterSplit, Sequence.
 *
 * Categories are those of Unicode 16, as the reference's are but for Punctuation, whose older
 * tables lack 140 punctuation marks (U+061D among them) and have U+166D and U+111C9. */
#ifndef PLENS_LOADERS_PRETOKENIZER_H
#define PLENS_LOADERS_PRETOKENIZER_H

#include "loaders/component.h"
#include "loaders/pieces.h"

typedef struct plens__pretokenizer_step plens__pretokenizer_step;
typedef struct plens__pretokenizer {
    plens__pretokenizer_step *steps;
    size_t n_steps;
} plens__pretokenizer;

/* json may be NULL or null: the text stays whole. */
plens_status plens__pretokenizer_read(const plens__part *part, const plens__json *json,
                                      plens__pretokenizer *pretokenizer);

/* Cuts up the pieces in *pieces, in place; *scratch is a second set of pieces. Empty pieces are
 * dropped. 0 if there is no memory. */
int plens__pretokenizer_apply(const plens__pretokenizer *pretokenizer, plens__pieces *pieces,
                              plens__pieces *scratch);

#endif
