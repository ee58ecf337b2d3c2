#include "loaders/bpe.h"

#include <string.h>

#include "loaders/utf8.h"

#define NONE UINT32_MAX

/* Up to so many symbols a scan for the lowest rank beats a heap. */
#define SHORT 48

/* A symbol of the piece, in a doubly linked list by index. rank and merged are what its merge with
 * the next one would be: NONE if there is no such merge, or no next one. */
typedef struct symbol {
    uint32_t id, previous, next;
    uint32_t rank, merged;
} symbol;

/* A candidate: the merge of the symbol at `at` with its next. Outdated once that symbol's rank is
 * another. */
typedef struct candidate {
    uint32_t rank, at;
} candidate;

plens__bpe_scratch plens__bpe_scratch_none(const plens_allocator *allocator) {
    plens__buffer empty = {allocator, NULL, 0, 0};
    plens__bpe_scratch scratch = {empty, empty, empty};
    return scratch;
}

void plens__bpe_scratch_free(plens__bpe_scratch *scratch) {
    plens__buffer_free(&scratch->symbols);
    plens__buffer_free(&scratch->heap);
    plens__buffer_free(&scratch->spelling);
}

/* ---- From text to symbols ---- */

typedef struct spelling {
    const plens__bpe *bpe;
    plens__bpe_scratch *scratch;
    int waiting; /* an unk that fuse_unk may still make longer; it is written before the next
                    known character (not before bytes: so does the reference) */
} spelling;

static int add_symbol(plens__bpe_scratch *scratch, int32_t id) {
    symbol new_symbol = {(uint32_t)id, 0, 0, NONE, 0};
    return plens__buffer_append(&scratch->symbols, (const char *)&new_symbol, sizeof new_symbol);
}

/* The character text[0 .. n) as a token is spelled: with the prefix unless it is the first one of
 * the piece, with the suffix if it is the last. NULL if there is no memory. */
static const char *spell(const plens__bpe *bpe, plens__buffer *out, const char *text, size_t *n,
                         int first, int last) {
    size_t n_prefix = first ? 0 : bpe->n_prefix, n_suffix = last ? bpe->n_suffix : 0;
    if (n_prefix + n_suffix == 0)
        return text;
    out->count = 0;
    if (!plens__buffer_append(out, bpe->prefix, n_prefix) || !plens__buffer_append(out, text, *n) ||
        !plens__buffer_append(out, bpe->suffix, n_suffix))
        return NULL;
    *n = out->count;
    return out->data;
}

static int32_t find_id(const plens__bpe *bpe, const char *text, size_t n) {
    uint32_t c;
    if (n <= 2 && plens__utf8_decode(text, n, &c) == n && c < PLENS__BPE_DIRECT)
        return bpe->character_ids[c];
    const plens__token *token = plens__vocabulary_find(bpe->vocabulary, text, n);
    return token == NULL ? -1 : token->id;
}

/* 1: added as bytes; 0: not all bytes are tokens; -1: no memory. */
static int add_bytes(spelling *s, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (s->bpe->byte_ids[(unsigned char)text[i]] < 0)
            return 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (!add_symbol(s->scratch, s->bpe->byte_ids[(unsigned char)text[i]]))
            return -1;
    }
    return 1;
}

/* A character that is no token. 0 if there is no memory. */
static int add_unknown(spelling *s, const char *text, size_t n) {
    int as_bytes = s->bpe->byte_fallback ? add_bytes(s, text, n) : 0;
    if (as_bytes != 0)
        return as_bytes > 0;
    if (s->bpe->unk_token == NULL)
        return 1;
    if (s->waiting && !s->bpe->fuse_unk && !add_symbol(s->scratch, s->bpe->unk_id))
        return 0;
    s->waiting = 1;
    return 1;
}

/* The piece as symbols that are not linked yet. */
static int spell_piece(spelling *s, const char *text, size_t n) {
    s->scratch->symbols.count = 0;
    for (size_t i = 0; i < n;) {
        uint32_t c;
        size_t length = plens__utf8_decode(text + i, n - i, &c), n_spelled = length;
        const char *spelled =
            spell(s->bpe, &s->scratch->spelling, text + i, &n_spelled, i == 0, i + length == n);
        if (spelled == NULL)
            return 0;
        int32_t id = find_id(s->bpe, spelled, n_spelled);
        if (id < 0) {
            if (!add_unknown(s, spelled, n_spelled))
                return 0;
        } else {
            if (s->waiting && !add_symbol(s->scratch, s->bpe->unk_id))
                return 0;
            s->waiting = 0;
            if (!add_symbol(s->scratch, id))
                return 0;
        }
        i += length;
    }
    return !s->waiting || add_symbol(s->scratch, s->bpe->unk_id);
}

/* ---- Merging ---- */

static void set_rank(const plens__bpe *bpe, symbol *symbols, uint32_t at) {
    symbol *left = &symbols[at];
    left->rank = NONE;
    if (left->next == NONE)
        return;
    const plens__pair_slot *merge =
        plens__pair_table_get(&bpe->merges, left->id, symbols[left->next].id);
    if (merge == NULL)
        return;
    left->rank = merge->x;
    left->merged = merge->y;
}

/* Symbol `at` takes in its next one; the ranks of the pairs around it are set anew. */
static void merge_at(const plens__bpe *bpe, symbol *symbols, uint32_t at) {
    symbol *left = &symbols[at], *right = &symbols[left->next];
    left->id = left->merged;
    left->next = right->next;
    if (left->next != NONE)
        symbols[left->next].previous = at;
    right->rank = NONE;
    set_rank(bpe, symbols, at);
    if (left->previous != NONE)
        set_rank(bpe, symbols, left->previous);
}

static void merge_by_scan(const plens__bpe *bpe, symbol *symbols) {
    for (;;) {
        uint32_t best = 0;
        for (uint32_t i = symbols[0].next; i != NONE; i = symbols[i].next) {
            if (symbols[i].rank < symbols[best].rank)
                best = i;
        }
        if (symbols[best].rank == NONE)
            return;
        merge_at(bpe, symbols, best);
    }
}

static int comes_first(candidate a, candidate b) {
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static int push(plens__buffer *heap, candidate new_candidate) {
    if (!plens__buffer_append(heap, (const char *)&new_candidate, sizeof new_candidate))
        return 0;
    candidate *items = (candidate *)(void *)heap->data;
    size_t i = heap->count / sizeof *items - 1;
    while (i > 0 && comes_first(new_candidate, items[(i - 1) / 2])) {
        items[i] = items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    items[i] = new_candidate;
    return 1;
}

static candidate pop(plens__buffer *heap) {
    candidate *items = (candidate *)(void *)heap->data;
    candidate top = items[0];
    heap->count -= sizeof *items;
    size_t n = heap->count / sizeof *items, i = 0;
    candidate last = items[n];
    for (size_t child = 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && comes_first(items[child + 1], items[child]))
            child++;
        if (!comes_first(items[child], last))
            break;
        items[i] = items[child];
        i = child;
    }
    items[i] = last;
    return top;
}

static int push_pair(plens__buffer *heap, const symbol *symbols, uint32_t at) {
    candidate pair = {symbols[at].rank, at};
    return pair.rank == NONE || push(heap, pair);
}

static int merge_by_heap(const plens__bpe *bpe, symbol *symbols, size_t n, plens__buffer *heap) {
    heap->count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!push_pair(heap, symbols, (uint32_t)i))
            return 0;
    }
    while (heap->count > 0) {
        candidate best = pop(heap);
        if (symbols[best.at].rank != best.rank)
            continue;
        merge_at(bpe, symbols, best.at);
        uint32_t previous = symbols[best.at].previous;
        if (!push_pair(heap, symbols, best.at) ||
            (previous != NONE && !push_pair(heap, symbols, previous)))
            return 0;
    }
    return 1;
}

/* Links the symbols, merges them, and appends the ids of what is left. 0: no memory. */
static int merge_all(const plens__bpe *bpe, plens__bpe_scratch *scratch, plens__buffer *ids) {
    symbol *symbols = (symbol *)(void *)scratch->symbols.data;
    size_t n = scratch->symbols.count / sizeof *symbols;
    if (n >= NONE)
        return 0;
    if (n == 0)
        return 1;
    for (size_t i = 0; i < n; i++) {
        symbols[i].previous = i == 0 ? NONE : (uint32_t)i - 1;
        symbols[i].next = i + 1 == n ? NONE : (uint32_t)i + 1;
    }
    for (size_t i = 0; i < n; i++)
        set_rank(bpe, symbols, (uint32_t)i);
    if (n <= SHORT)
        merge_by_scan(bpe, symbols);
    else if (!merge_by_heap(bpe, symbols, n, &scratch->heap))
        return 0;
    for (uint32_t i = 0; i != NONE; i = symbols[i].next) {
        if (!plens__buffer_append(ids, (const char *)&symbols[i].id, sizeof symbols[i].id))
            return 0;
    }
    return 1;
}

/* 1 if an unknown character got unk_token's id and there is none. */
static int lacks_unk(const plens__bpe *bpe, const plens__bpe_scratch *scratch) {
    const symbol *symbols = (const symbol *)(const void *)scratch->symbols.data;
    if (bpe->unk_id >= 0 || bpe->unk_token == NULL)
        return 0;
    for (size_t i = 0; i < scratch->symbols.count / sizeof *symbols; i++) {
        if (symbols[i].id == NONE)
            return 1;
    }
    return 0;
}

plens_status plens__bpe_encode(const plens__bpe *bpe, const char *text, size_t n,
                               plens__bpe_scratch *scratch, plens__buffer *ids,
                               plens_error *error) {
    if (bpe->ignore_merges) {
        const plens__token *whole = plens__vocabulary_find(bpe->vocabulary, text, n);
        if (whole != NULL)
            return plens__buffer_append(ids, (const char *)&whole->id, sizeof whole->id)
                       ? PLENS_OK
                       : plens__fail_memory(error, sizeof whole->id, "token ids");
    }
    spelling s = {bpe, scratch, 0};
    if (!spell_piece(&s, text, n))
        return plens__fail_memory(error, n, "the symbols of a text");
    if (lacks_unk(bpe, scratch))
        return plens__fail(error, PLENS_ERROR_UNSUPPORTED,
                           "a character that is no token, and unk_token \"%s\" is none either",
                           bpe->unk_token);
    if (!merge_all(bpe, scratch, ids))
        return plens__fail_memory(error, n, "the merges of a text");
    return PLENS_OK;
}
