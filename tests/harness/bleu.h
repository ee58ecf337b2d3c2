/* Self-BLEU [Zhu et al. 2018, "Texygen"]: BLEU [Papineni et al. 2002] of each text against all the
 * others, as NLTK's sentence_bleu computes it: n-grams of 1 to 4 words with weights of one quarter,
 * counts clipped at the largest in one other text, the brevity penalty of the closest length. */
#ifndef PLENS_HARNESS_BLEU_H
#define PLENS_HARNESS_BLEU_H

#include "tests/harness/words.h"

typedef struct bleu {
    double plain;   /* without smoothing: NLTK's method0 */
    double method1; /* 0.1 for a count of 0: NLTK's method1, which Texygen uses */
} bleu;

/* The mean over the texts, at least 2 of them. Time n log n in the number of words; memory of some
 * 40 bytes a word. */
bleu self_bleu(const word_texts *w);

#endif
