#include "tests/harness/bleu.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "tests/harness/message.h"

typedef struct matches { /* of one text: how many of its grams of n + 1 words others have */
    size_t clipped[GRAM_MOST];
} matches;

/* How often a gram stands in the text that has it most often, and in the next one. */
typedef struct peak {
    size_t best, second;
    uint32_t text; /* of best */
} peak;

/* The end of the run of grams that agree with grams[first] in words, and in the text if so asked.
 */
static size_t run_end(const gram *grams, size_t count, size_t first, int same_text) {
    size_t end = first + 1;
    while (end < count && gram_same_words(&grams[first], &grams[end]) &&
           (!same_text || grams[first].text == grams[end].text))
        end++;
    return end;
}

static peak find_peak(const gram *grams, size_t first, size_t end) {
    peak p = {0, 0, 0};
    for (size_t at = first, next; at < end; at = next) {
        next = run_end(grams, end, at, 1);
        size_t times = next - at;
        if (times > p.best) {
            p.second = p.best;
            p.best = times;
            p.text = grams[at].text;
        } else if (times > p.second) {
            p.second = times;
        }
    }
    return p;
}

/* Adds to each text min(its own count, the largest count in one other text) of every gram. */
static void count_matches(const word_texts *w, size_t n, matches *m) {
    size_t count;
    gram *grams = words_grams(w, n, &count);
    for (size_t first = 0, end; first < count; first = end) {
        end = run_end(grams, count, first, 0);
        peak p = find_peak(grams, first, end);
        for (size_t at = first, next; at < end; at = next) {
            next = run_end(grams, end, at, 1);
            size_t times = next - at, most = grams[at].text == p.text ? p.second : p.best;
            m[grams[at].text].clipped[n - 1] += times < most ? times : most;
        }
    }
    free(grams);
}

static int compare_lengths(const void *a, const void *b) {
    size_t one = *(const size_t *)a, other = *(const size_t *)b;
    return (one > other) - (one < other);
}

/* Of sorted lengths [n], without one that equals `length`: the closest to it, the shorter of two.
 */
static size_t closest_length(const size_t *lengths, size_t n, size_t length) {
    size_t low = 0, high = n; /* the first that is not below length */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (lengths[middle] < length)
            low = middle + 1;
        else
            high = middle;
    }
    size_t above = low + 1; /* lengths[low] is the text's own */
    if (above == n)
        return lengths[low - 1];
    if (low == 0 || lengths[above] - length < length - lengths[low - 1])
        return lengths[above];
    return lengths[low - 1];
}

static double score(const matches *m, size_t length, size_t closest, int smooth) {
    double sum = 0;
    if (m->clipped[0] == 0)
        return 0;
    for (size_t n = 1; n <= GRAM_MOST; n++) {
        double count = length < n ? 1 : (double)(length - n + 1), part = (double)m->clipped[n - 1];
        sum += log(part > 0 ? part / count : smooth ? 0.1 / count : DBL_MIN) / GRAM_MOST;
    }
    double penalty = length > closest ? 1 : exp(1 - (double)closest / (double)length);
    return penalty * exp(sum);
}

bleu self_bleu(const word_texts *w) {
    bleu sum = {0, 0};
    matches *m = allocate(w->n_texts, sizeof *m);
    size_t *lengths = allocate(w->n_texts, sizeof *lengths);
    for (size_t n = 1; n <= GRAM_MOST; n++)
        count_matches(w, n, m);
    for (size_t i = 0; i < w->n_texts; i++)
        lengths[i] = w->first[i + 1] - w->first[i];
    qsort(lengths, w->n_texts, sizeof *lengths, compare_lengths);
    for (size_t i = 0; i < w->n_texts; i++) {
        size_t length = w->first[i + 1] - w->first[i];
        size_t closest = closest_length(lengths, w->n_texts, length);
        sum.plain += score(&m[i], length, closest, 0);
        sum.method1 += score(&m[i], length, closest, 1);
    }
    free(lengths);
    free(m);
    sum.plain /= (double)w->n_texts;
    sum.method1 /= (double)w->n_texts;
    return sum;
}
