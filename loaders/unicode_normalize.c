/* The normalization forms, Unicode Standard Annex #15: full decomposition, canonical ordering of
 * combining marks, composition. Hangul syllables by arithmetic (The Unicode Standard, 3.12). */
#include "loaders/unicode.h"
#include "loaders/unicode_tables.h"
#include "loaders/utf8.h"

enum {
    HANGUL_S = 0xAC00, /* syllables */
    HANGUL_L = 0x1100, /* leading consonants */
    HANGUL_V = 0x1161, /* vowels */
    HANGUL_T = 0x11A7, /* one before the first trailing consonant */
    L_COUNT = 19,
    V_COUNT = 21,
    T_COUNT = 28,
    S_COUNT = L_COUNT * V_COUNT * T_COUNT
};

/* One character waiting in the queue. */
typedef struct marked {
    uint32_t c, combining_class;
} marked;

/* The queue is what has been decomposed since the last starter, it included. Everything before can
 * no longer change and is in out. */
typedef struct normalizer {
    int compatibility, composes;
    plens__buffer queue, sorted; /* of marked */
    plens__buffer *out;
} normalizer;

static uint32_t combining_class(uint32_t c) {
    if (c < 0x300)
        return 0;
    size_t low = 0, high = plens__n_class_runs;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const uint32_t *run = plens__class_runs + 3 * middle; /* first, last, class */
        if (c > run[1])
            low = middle + 1;
        else if (c < run[0])
            high = middle;
        else
            return run[2];
    }
    return 0;
}

/* One step of decomposition: the parts and their number, or 0 if c stays as it is. */
static size_t decomposition(uint32_t c, int compatibility, const uint32_t **parts) {
    size_t low = 0, high = plens__n_decomposition_ranges;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const uint32_t *range = plens__decomposition_ranges + 3 * middle; /* first, count, index */
        if (c >= range[0] + range[1]) {
            low = middle + 1;
        } else if (c < range[0]) {
            high = middle;
        } else {
            const uint16_t *offset = plens__decomposition_offsets + range[2] + (c - range[0]);
            if ((offset[0] & 1) && !compatibility)
                return 0;
            *parts = plens__decomposition_pool + (offset[0] >> 1);
            return (size_t)(offset[1] >> 1) - (size_t)(offset[0] >> 1);
        }
    }
    return 0;
}

/* The character that a followed by b composes to, or 0. */
static uint32_t composition(uint32_t a, uint32_t b) {
    if (a - HANGUL_L < L_COUNT && b - HANGUL_V < V_COUNT)
        return HANGUL_S + ((a - HANGUL_L) * V_COUNT + (b - HANGUL_V)) * T_COUNT;
    if (a - HANGUL_S < S_COUNT && (a - HANGUL_S) % T_COUNT == 0 && b - HANGUL_T - 1 < T_COUNT - 1)
        return a + (b - HANGUL_T);
    size_t low = 0, high = plens__n_compositions;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const uint32_t *entry = plens__compositions + 3 * middle; /* first, second, composite */
        if (a > entry[0] || (a == entry[0] && b > entry[1]))
            low = middle + 1;
        else if (a < entry[0] || b < entry[1])
            high = middle;
        else
            return entry[2];
    }
    return 0;
}

/* Canonical ordering: the queue's marks, stably by class. Counting, because a text may hold a
 * hundred thousand marks in a row. */
static int sort_marks(normalizer *n) {
    size_t starts[257] = {0};
    n->sorted.count = 0;
    if (!plens__buffer_append(&n->sorted, n->queue.data, n->queue.count))
        return 0;
    marked *queue = (marked *)(void *)n->queue.data;
    const marked *from = (const marked *)(const void *)n->sorted.data;
    size_t count = n->queue.count / sizeof *queue;
    for (size_t i = 0; i < count; i++)
        starts[from[i].combining_class + 1]++;
    for (size_t i = 1; i < 257; i++)
        starts[i] += starts[i - 1];
    for (size_t i = 0; i < count; i++)
        queue[starts[from[i].combining_class]++] = from[i];
    return 1;
}

/* Composes the queue in place where its first character is a starter; returns its new length. A
 * mark is blocked from the starter by one of the same or a higher class in between. */
static size_t compose(marked *queue, size_t n) {
    size_t kept = 1;
    for (size_t i = 1; i < n; i++) {
        int blocked = kept > 1 && (queue[kept - 1].combining_class >= queue[i].combining_class);
        uint32_t both = blocked ? 0 : composition(queue[0].c, queue[i].c);
        if (both != 0)
            queue[0].c = both;
        else
            queue[kept++] = queue[i];
    }
    return kept;
}

/* Orders the queue and, where the form composes, composes it. */
static int settle(normalizer *n) {
    size_t count = n->queue.count / sizeof(marked);
    if (count < 2)
        return 1;
    marked *queue = (marked *)(void *)n->queue.data;
    size_t ordered = 1;
    while (ordered < count && queue[ordered - 1].combining_class <= queue[ordered].combining_class)
        ordered++;
    if (ordered < count && !sort_marks(n))
        return 0;
    if (n->composes && queue[0].combining_class == 0)
        n->queue.count = compose(queue, count) * sizeof *queue;
    return 1;
}

/* Settles the queue and writes it out. */
static int flush(normalizer *n) {
    if (!settle(n))
        return 0;
    const marked *queue = (const marked *)(const void *)n->queue.data;
    for (size_t i = 0; i < n->queue.count / sizeof *queue; i++) {
        if (!plens__append_character(n->out, queue[i].c))
            return 0;
    }
    n->queue.count = 0;
    return 1;
}

/* If the queue is one starter that composes with the starter c, makes it that. */
static int join_starters(normalizer *n, uint32_t c) {
    marked *queue = (marked *)(void *)n->queue.data;
    if (!n->composes || n->queue.count != sizeof *queue || queue[0].combining_class != 0)
        return 0;
    uint32_t both = composition(queue[0].c, c);
    if (both != 0)
        queue[0].c = both;
    return both != 0;
}

/* A fully decomposed character joins the queue. A starter closes the run before it: what then
 * stands between is final, save that two adjacent starters may compose themselves. */
static int add_decomposed(normalizer *n, uint32_t c) {
    marked entry = {c, combining_class(c)};
    if (entry.combining_class == 0 && n->queue.count > 0) {
        if (!settle(n))
            return 0;
        if (join_starters(n, c))
            return 1;
        if (!flush(n))
            return 0;
    }
    return plens__buffer_append(&n->queue, (const char *)&entry, sizeof entry);
}

/* Recursion as deep as the tables nest (three steps in Unicode 16). */
static int add(normalizer *n, uint32_t c) {
    if (c - HANGUL_S < S_COUNT) {
        uint32_t s = c - HANGUL_S;
        return add_decomposed(n, HANGUL_L + s / (V_COUNT * T_COUNT)) &&
               add_decomposed(n, HANGUL_V + s % (V_COUNT * T_COUNT) / T_COUNT) &&
               (s % T_COUNT == 0 || add_decomposed(n, HANGUL_T + s % T_COUNT));
    }
    const uint32_t *parts;
    size_t n_parts = c < 0xA0 ? 0 : decomposition(c, n->compatibility, &parts);
    if (n_parts == 0)
        return add_decomposed(n, c);
    for (size_t i = 0; i < n_parts; i++) {
        if (!add(n, parts[i]))
            return 0;
    }
    return 1;
}

/* How much of text is plain ASCII and cannot be touched: the last one may yet take a mark. */
static size_t ascii_run(const char *text, size_t n) {
    size_t i = 0;
    while (i < n && (unsigned char)text[i] < 0x80)
        i++;
    return i > 0 ? i - 1 : 0;
}

int plens__unicode_normalize(plens__normal_form form, const char *text, size_t n,
                             plens__buffer *out) {
    plens__buffer empty = {out->allocator, NULL, 0, 0};
    normalizer state = {form == PLENS__NFKC || form == PLENS__NFKD,
                        form == PLENS__NFC || form == PLENS__NFKC, empty, empty, out};
    int ok = 1;
    size_t i = 0;
    while (ok && i < n) {
        size_t plain = ascii_run(text + i, n - i);
        if (plain > 0) {
            ok = flush(&state) && plens__buffer_append(out, text + i, plain);
            i += plain;
        } else {
            uint32_t c = 0xFFFD;
            size_t length = plens__utf8_decode(text + i, n - i, &c);
            ok = add(&state, c);
            i += length > 0 ? length : 1;
        }
    }
    ok = ok && flush(&state);
    plens__buffer_free(&state.queue);
    plens__buffer_free(&state.sorted);
    return ok;
}
