/* Texts as words: runs of letters and digits, and every other character by itself; white space only
 * parts them. Case is kept.
 *
 * Letters and digits are ASCII's, and all characters beyond ASCII but for the blocks of spaces,
 * punctuation and symbols listed in words.c: whoever needs more cuts the text before. So a text in
 * a script without spaces is one long word. */
#ifndef PLENS_HARNESS_WORDS_H
#define PLENS_HARNESS_WORDS_H

#include <stddef.h>
#include <stdint.h>

typedef struct span { /* bytes of a text that somebody else owns */
    const char *bytes;
    size_t n_bytes;
} span;

/* Takes the next word off the text, which is UTF-8. Returns 0 when none is left. */
int word_next(span *text, span *word);

/* Texts whose words are numbers from 1 on: equal words have equal numbers. */
typedef struct word_texts {
    size_t n_texts;
    size_t *first;   /* [n_texts + 1] where a text's words begin */
    uint32_t *words; /* [first[n_texts]] */
} word_texts;

void words_make(word_texts *w, const span *texts, size_t n_texts);
void words_free(word_texts *w);

/* n words in a row (unused ones are 0), and the text they stand in. */
enum { GRAM_MOST = 4 };
typedef struct gram {
    uint32_t words[GRAM_MOST];
    uint32_t text;
} gram;

/* All grams of n words of all texts, ordered by their words, equal ones by their text; *count of
 * them. A text of fewer words has none. Free with free(). */
gram *words_grams(const word_texts *w, size_t n, size_t *count);

int gram_same_words(const gram *one, const gram *other);

#endif
