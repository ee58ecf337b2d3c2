#include "tests/harness/words.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"

typedef enum character { CHARACTER_SPACE, CHARACTER_LETTER, CHARACTER_OTHER } character;

/* The character at the text's beginning and how many bytes it has. The text is known to be UTF-8;
 * the check of the length only keeps a broken one from leading beyond its end. */
static uint32_t decode(const span *text, size_t *n_bytes) {
    const unsigned char *bytes = (const unsigned char *)text->bytes;
    size_t n = bytes[0] < 0xC0 ? 1 : bytes[0] < 0xE0 ? 2 : bytes[0] < 0xF0 ? 3 : 4;
    if (n > text->n_bytes)
        n = text->n_bytes;
    uint32_t code = n == 1 ? bytes[0] : bytes[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++)
        code = code << 6 | (bytes[i] & 0x3Fu);
    *n_bytes = n;
    return code;
}

static int is_space(uint32_t code) {
    return code == ' ' || (code >= 0x09 && code <= 0x0D) || code == 0x85 || code == 0xA0 ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

/* Beyond ASCII: blocks that hold punctuation and symbols, and the letters that stray into them. */
static int is_other(uint32_t code) {
    static const uint32_t blocks[][2] = {
        {0x80, 0xBF},     /* Latin-1's controls and punctuation */
        {0xD7, 0xD7},     /* times */
        {0xF7, 0xF7},     /* divided by */
        {0x2000, 0x206F}, /* general punctuation */
        {0x20A0, 0x20CF}, /* currencies */
        {0x2190, 0x2BFF}, /* arrows to miscellaneous symbols */
        {0x3000, 0x3004}, /* CJK punctuation; then 々 〆 〇 */
        {0x3008, 0x3020}, /* brackets */
        {0x3030, 0x3030}, /* wavy dash */
        {0x30FB, 0x30FB}, /* middle dot */
        {0xFE10, 0xFE6F}, /* vertical, half and small forms */
        {0xFF01, 0xFF0F}, /* full-width forms of ASCII's punctuation */
        {0xFF1A, 0xFF20}, {0xFF3B, 0xFF40},   {0xFF5B, 0xFF65},
        {0xFFE0, 0xFFFF}, {0x1F000, 0x1FAFF}, /* tiles, cards, pictures */
    };
    if (code == 0xAA || code == 0xB2 || code == 0xB3 || code == 0xB5 || code == 0xB9 ||
        code == 0xBA || (code >= 0xBC && code <= 0xBE))
        return 0;
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        if (code >= blocks[i][0] && code <= blocks[i][1])
            return 1;
    }
    return 0;
}

static character classify(uint32_t code) {
    if (is_space(code))
        return CHARACTER_SPACE;
    if (code < 0x80)
        return (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
                       (code >= 'a' && code <= 'z')
                   ? CHARACTER_LETTER
                   : CHARACTER_OTHER;
    return is_other(code) ? CHARACTER_OTHER : CHARACTER_LETTER;
}

static void skip(span *text, size_t n_bytes) {
    text->bytes += n_bytes;
    text->n_bytes -= n_bytes;
}

int word_next(span *text, span *word) {
    size_t n_bytes;
    character first = CHARACTER_SPACE;
    for (; text->n_bytes > 0; skip(text, n_bytes)) {
        first = classify(decode(text, &n_bytes));
        if (first != CHARACTER_SPACE)
            break;
    }
    if (text->n_bytes == 0)
        return 0;
    *word = (span){text->bytes, n_bytes};
    skip(text, n_bytes);
    while (first == CHARACTER_LETTER && text->n_bytes > 0 &&
           classify(decode(text, &n_bytes)) == CHARACTER_LETTER) {
        word->n_bytes += n_bytes;
        skip(text, n_bytes);
    }
    return 1;
}

typedef struct found_word {
    span word;
    size_t index; /* among all words of all texts */
} found_word;

static int compare_words(const void *a, const void *b) {
    const span *one = &((const found_word *)a)->word, *other = &((const found_word *)b)->word;
    size_t shorter = one->n_bytes < other->n_bytes ? one->n_bytes : other->n_bytes;
    int order = memcmp(one->bytes, other->bytes, shorter);
    return order != 0 ? order : (one->n_bytes > other->n_bytes) - (one->n_bytes < other->n_bytes);
}

void words_make(word_texts *w, const span *texts, size_t n_texts) {
    size_t n_words = 0, capacity = 0;
    found_word *found = NULL;
    w->n_texts = n_texts;
    w->first = allocate(n_texts + 1, sizeof *w->first);
    for (size_t i = 0; i < n_texts; i++) {
        span rest = texts[i], word;
        while (word_next(&rest, &word)) {
            if (n_words == capacity)
                found = reallocate(found, capacity = 2 * capacity + 64, sizeof *found);
            found[n_words] = (found_word){word, n_words};
            n_words++;
        }
        w->first[i + 1] = n_words;
    }
    if (n_words > 0)
        qsort(found, n_words, sizeof *found, compare_words);
    w->words = allocate(n_words, sizeof *w->words);
    uint32_t number = 0; /* of the first word: 1, so that 0 is free for no word */
    for (size_t i = 0; i < n_words; i++) {
        number += i == 0 || compare_words(&found[i - 1], &found[i]) != 0;
        w->words[found[i].index] = number;
    }
    free(found);
}

void words_free(word_texts *w) {
    free(w->first);
    free(w->words);
}

int gram_same_words(const gram *one, const gram *other) {
    return memcmp(one->words, other->words, sizeof one->words) == 0;
}

static int compare_grams(const void *a, const void *b) {
    const gram *one = a, *other = b;
    for (size_t i = 0; i < GRAM_MOST; i++) {
        if (one->words[i] != other->words[i])
            return one->words[i] < other->words[i] ? -1 : 1;
    }
    return (one->text > other->text) - (one->text < other->text);
}

gram *words_grams(const word_texts *w, size_t n, size_t *count) {
    gram *grams = allocate(w->first[w->n_texts], sizeof *grams);
    *count = 0;
    for (size_t i = 0; i < w->n_texts; i++) {
        for (size_t at = w->first[i]; at + n <= w->first[i + 1]; at++) {
            gram *g = &grams[(*count)++];
            memcpy(g->words, w->words + at, n * sizeof *w->words);
            g->text = (uint32_t)i;
        }
    }
    qsort(grams, *count, sizeof *grams, compare_grams);
    return grams;
}
