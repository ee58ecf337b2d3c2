#include "tests/harness/overlap.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"

enum { RUN_WORDS = 3 };

static char *lower_case(const char *text) {
    char *lower = join(text, NULL);
    for (char *at = lower; *at != '\0'; at++) {
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    }
    return lower;
}

static int compare(const void *a, const void *b) {
    return memcmp(((const gram *)a)->words, ((const gram *)b)->words,
                  sizeof((const gram *)a)->words);
}

/* Writes a text's different runs of words, ordered, to grams; returns how many. */
static size_t list_grams(const word_texts *w, size_t text, gram *grams) {
    size_t first = w->first[text], end = w->first[text + 1], count = 0, n = 0;
    size_t length = end - first < RUN_WORDS ? end - first : RUN_WORDS;
    for (size_t at = first; at < end && at + length <= end; at++) {
        memset(&grams[count], 0, sizeof *grams);
        memcpy(grams[count++].words, w->words + at, length * sizeof *w->words);
    }
    if (count > 0)
        qsort(grams, count, sizeof *grams, compare);
    for (size_t i = 0; i < count; i++) {
        if (n == 0 || !gram_same_words(&grams[n - 1], &grams[i]))
            grams[n++] = grams[i];
    }
    return n;
}

void overlap_make(overlap *o, const char *const *texts, size_t n_texts) {
    char **lower = allocate(n_texts, sizeof *lower);
    span *spans = allocate(n_texts, sizeof *spans);
    word_texts w;
    for (size_t i = 0; i < n_texts; i++) {
        lower[i] = lower_case(texts[i]);
        spans[i] = (span){lower[i], strlen(lower[i])};
    }
    words_make(&w, spans, n_texts);
    o->grams = allocate(w.first[n_texts], sizeof *o->grams);
    o->first = allocate(n_texts + 1, sizeof *o->first);
    for (size_t i = 0; i < n_texts; i++)
        o->first[i + 1] = o->first[i] + list_grams(&w, i, o->grams + o->first[i]);
    words_free(&w);
    for (size_t i = 0; i < n_texts; i++)
        free(lower[i]);
    free(lower);
    free(spans);
}

void overlap_free(overlap *o) {
    free(o->grams);
    free(o->first);
}

int overlap_reaches(const overlap *o, size_t one, size_t other, plens_ratio most) {
    size_t a = o->first[one], b = o->first[other], shared = 0;
    size_t n_one = o->first[one + 1] - a, n_other = o->first[other + 1] - b;
    while (a < o->first[one + 1] && b < o->first[other + 1]) {
        int order = compare(&o->grams[a], &o->grams[b]);
        shared += order == 0;
        a += order <= 0;
        b += order >= 0;
    }
    size_t fewer = n_one < n_other ? n_one : n_other;
    return fewer > 0 && shared * most.denominator >= fewer * most.numerator;
}
