/* Attention of many queries at once, over the registers of one instruction set: those that
 * vector_gemm.h asks for, and
 *
 *     plus_lanes times_lanes         a register of VECTOR floats
 *     ATTEND_STRIP                   queries of a tile: 4, or 3 where registers are few
 *
 * Keys are packed like weights, [head_dim, PANEL] for every PANEL of them, so a register holds as
 * many keys and no lane is ever moved: each of the 16 virtual lanes of a dot product is a chain of
 * its own, over every sixteenth element, and the tree adds whole registers. Values stay as they
 * are. Queries go in blocks: their scores of all keys, the softmax of each, then the values. */

#include "runtime/kernels/attend_each.h"

enum {
    ATTEND_BLOCK = 16,   /* queries whose scores are kept together */
    ATTEND_COLUMNS = 4,  /* registers of values in a tile */
    ATTEND_VALUES = 128, /* keys whose values serve a whole block while they are near */
    ATTEND_APART = 16,   /* floats more after each row of scores: a vector may begin anywhere, and
                          * rows should not fall on one cache set */
};

/* Queries `stride` floats apart: the first one attends to keys [.., end), each further one to
 * `step` keys more (0: the heads of one position; 1: positions of one head). */
typedef struct block_of_queries {
    const plens__queries *all;
    const float *q;
    float *out;
    size_t n, stride, end, step;
    float *scores; /* [n, ldp] */
    size_t ldp;
} block_of_queries;

INLINE size_t earlier(size_t a, size_t b) {
    return a < b ? a : b;
}

INLINE size_t later(size_t a, size_t b) {
    return a > b ? a : b;
}

INLINE size_t end_of(const block_of_queries *b, size_t query) {
    return b->end + query * b->step;
}

INLINE size_t from_of(const block_of_queries *b, size_t query) {
    return plens__first_key(end_of(b, query), b->all->window);
}

/* ---- scores ---- */

/* One lane of the dot products, and the one 8 further on, added. */
INLINE void score_lane(const size_t rows, const size_t vectors, size_t lane, size_t head_dim,
                       const float *q, size_t stride, const float *keys,
                       lanes sum[ATTEND_STRIP * VECTORS]) {
    lanes half[2][ATTEND_STRIP][VECTORS];
    UNROLL
    for (size_t side = 0; side < 2; side++) {
        UNROLL
        for (size_t i = 0; i < rows * vectors; i++)
            half[side][i / vectors][i % vectors] = all_lanes(0);
        for (size_t i = lane + 8 * side; i < head_dim; i += PLENS__LANES) {
            lanes k[VECTORS];
            UNROLL
            for (size_t v = 0; v < vectors; v++)
                k[v] = load_lanes(keys + i * PANEL + v * VECTOR);
            UNROLL
            for (size_t r = 0; r < rows; r++) {
                lanes value = all_lanes(q[r * stride + i]);
                UNROLL
                for (size_t v = 0; v < vectors; v++)
                    half[side][r][v] = fused_lanes(value, k[v], half[side][r][v]);
            }
        }
    }
    UNROLL
    for (size_t i = 0; i < rows * vectors; i++)
        sum[i] = plus_lanes(half[0][i / vectors][i % vectors], half[1][i / vectors][i % vectors]);
}

/* Scores of `rows` queries and vectors * VECTOR keys of one panel; both are constants. */
INLINE void score_tile(const size_t rows, const size_t vectors, size_t head_dim, float scale,
                       const float *q, size_t stride, const float *keys, float *scores,
                       size_t ldp) {
    lanes sum[8][ATTEND_STRIP * VECTORS];
    for (size_t lane = 0; lane < 8; lane++)
        score_lane(rows, vectors, lane, head_dim, q, stride, keys, sum[lane]);
    UNROLL
    for (size_t i = 0; i < rows * vectors; i++) {
        lanes a = plus_lanes(plus_lanes(sum[0][i], sum[4][i]), plus_lanes(sum[2][i], sum[6][i]));
        lanes b = plus_lanes(plus_lanes(sum[1][i], sum[5][i]), plus_lanes(sum[3][i], sum[7][i]));
        store_lanes(scores + i / vectors * ldp + i % vectors * VECTOR,
                    times_lanes(plus_lanes(a, b), all_lanes(scale)));
    }
}

/* All queries of a strip with the keys of a panel; vectors is a constant. */
INLINE void score_strip(const size_t vectors, size_t rows, size_t head_dim, float scale,
                        const float *q, size_t stride, const float *keys, float *scores,
                        size_t ldp) {
#define SCORE_TILE(n)                                                                              \
    case n:                                                                                        \
        score_tile(n, vectors, head_dim, scale, q, stride, keys, scores, ldp);                     \
        break
    switch (rows) {
        SCORE_TILE(1);
        SCORE_TILE(2);
        SCORE_TILE(3);
#if ATTEND_STRIP == 4
        SCORE_TILE(4);
#endif
    default:
        break;
    }
#undef SCORE_TILE
}

/* The panel of keys from `first` on against the queries that attend to any of them. */
INLINE void score_panel(const block_of_queries *b, size_t first, size_t n_keys, const float *keys) {
    size_t head_dim = b->all->head_dim, vectors = (n_keys + VECTOR - 1) / VECTOR;
    float scale = b->all->scale;
    for (size_t i = 0; i < b->n; i += ATTEND_STRIP) {
        size_t rows = earlier(b->n - i, ATTEND_STRIP);
        const float *q = b->q + i * b->stride;
        float *scores = b->scores + i * b->ldp + first;
        if (first >= end_of(b, i + rows - 1) || first + n_keys <= from_of(b, i))
            continue;
        if (vectors == 1)
            score_strip(1, rows, head_dim, scale, q, b->stride, keys, scores, b->ldp);
        else if (vectors == 2)
            score_strip(2, rows, head_dim, scale, q, b->stride, keys, scores, b->ldp);
#if VECTORS == 3
        else
            score_strip(3, rows, head_dim, scale, q, b->stride, keys, scores, b->ldp);
#endif
    }
}

/* ---- values ---- */

INLINE void load_columns(const size_t columns, size_t last, const float *from,
                         lanes to[ATTEND_COLUMNS]) {
    UNROLL
    for (size_t c = 0; c + 1 < columns; c++)
        to[c] = load_lanes(from + c * VECTOR);
    from += (columns - 1) * VECTOR;
    to[columns - 1] = last == VECTOR ? load_lanes(from) : load_lanes_part(from, last);
}

INLINE void store_columns(const size_t columns, size_t last, const lanes from[ATTEND_COLUMNS],
                          float *to) {
    UNROLL
    for (size_t c = 0; c + 1 < columns; c++)
        store_lanes(to + c * VECTOR, from[c]);
    to += (columns - 1) * VECTOR;
    if (last == VECTOR)
        store_lanes(to, from[columns - 1]);
    else
        store_lanes_part(to, last, from[columns - 1]);
}

/* sum [first.., rows) += p of key j, times its values. */
INLINE void value_step(const size_t first, const size_t rows, const size_t columns, const float *p,
                       size_t ldp, const lanes value[ATTEND_COLUMNS],
                       lanes sum[ATTEND_STRIP][ATTEND_COLUMNS]) {
    UNROLL
    for (size_t r = first; r < rows; r++) {
        lanes weight = all_lanes(p[r * ldp]);
        UNROLL
        for (size_t c = 0; c < columns; c++)
            sum[r][c] = fused_lanes(weight, value[c], sum[r][c]);
    }
}

/* What the tiles below share: keys [from, end) for all queries, then `more` keys of which query r
 * sees the first r. p and v are those of key 0; out holds the sums so far. */
typedef struct value_range {
    const float *p, *v;
    size_t ldp, ldv, from, end, more;
    float *out;
    size_t stride;
} value_range;

/* rows queries, columns registers, of which the last has `last` floats; all constants but that. */
INLINE void value_tile(const size_t rows, const size_t columns, size_t last,
                       const value_range *range, size_t column) {
    const float *p = range->p, *v = range->v + column;
    float *out = range->out + column;
    size_t ldp = range->ldp, ldv = range->ldv, end = range->end;
    lanes sum[ATTEND_STRIP][ATTEND_COLUMNS], value[ATTEND_COLUMNS];
    UNROLL
    for (size_t r = 0; r < rows; r++)
        load_columns(columns, last, out + r * range->stride, sum[r]);
    for (size_t j = range->from; j < end; j++) {
        load_columns(columns, last, v + j * ldv, value);
        value_step(0, rows, columns, p + j, ldp, value, sum);
    }
    UNROLL
    for (size_t t = 0; t + 1 < rows; t++) {
        if (t < range->more) {
            load_columns(columns, last, v + (end + t) * ldv, value);
            value_step(t + 1, rows, columns, p + end + t, ldp, value, sum);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++)
        store_columns(columns, last, sum[r], out + r * range->stride);
}

/* All columns; rows is a constant. */
INLINE void value_row(const size_t rows, const value_range *range, size_t head_dim) {
    size_t column = 0;
    for (; column + ATTEND_COLUMNS * VECTOR <= head_dim; column += ATTEND_COLUMNS * VECTOR)
        value_tile(rows, ATTEND_COLUMNS, VECTOR, range, column);
    for (; column < head_dim; column += VECTOR)
        value_tile(rows, 1, earlier(head_dim - column, VECTOR), range, column);
}

INLINE void value_strip(size_t rows, const value_range *range, size_t head_dim) {
#define VALUE_ROW(n)                                                                               \
    case n:                                                                                        \
        value_row(n, range, head_dim);                                                             \
        break
    switch (rows) {
        VALUE_ROW(1);
        VALUE_ROW(2);
        VALUE_ROW(3);
#if ATTEND_STRIP == 4
        VALUE_ROW(4);
#endif
    default:
        break;
    }
#undef VALUE_ROW
}

INLINE value_range range_of(const block_of_queries *b, size_t query, size_t from, size_t end) {
    value_range range = {
        b->scores + query * b->ldp, b->all->v, b->ldp, b->all->stride, from, end, 0,
        b->out + query * b->stride, b->stride};
    return range;
}

/* Adds the values of keys [first, first + ATTEND_VALUES) to queries [i, i + rows): those that only
 * some see one by one, where a window has passed them by, then those that all of them see. */
KERNEL void add_values(const block_of_queries *b, size_t i, size_t rows, size_t first) {
    size_t head_dim = b->all->head_dim, stop = first + ATTEND_VALUES;
    size_t end = end_of(b, i), all_from = from_of(b, i + rows - 1);
    int together = all_from < end; /* or the window is shorter than the strip */
    for (size_t r = 0; r < rows; r++) {
        size_t to = together ? all_from : end_of(b, i + r);
        value_range range = range_of(b, i + r, later(from_of(b, i + r), first), earlier(to, stop));
        if (range.from < range.end)
            value_strip(1, &range, head_dim);
    }
    value_range range = range_of(b, i, later(all_from, first), earlier(end, stop));
    if (together && range.from < range.end) {
        range.more = end <= stop ? b->step * (rows - 1) : 0;
        value_strip(rows, &range, head_dim);
    }
}

/* ---- a block, and all of them ---- */

INLINE void attend_block(const block_of_queries *b, size_t n_keys, const float *keys) {
    size_t head_dim = b->all->head_dim;
    for (size_t first = 0; first < n_keys; first += PANEL)
        score_panel(b, first, earlier(n_keys - first, PANEL), keys + first * head_dim);
    for (size_t i = 0; i < b->n; i++) {
        size_t from = from_of(b, i);
        softmax_of(1, b->scores + i * b->ldp + from, end_of(b, i) - from);
    }
    for (size_t i = 0; i < b->n; i++)
        for (size_t c = 0; c < head_dim; c++)
            b->out[i * b->stride + c] = 0;
    for (size_t first = 0; first < n_keys; first += ATTEND_VALUES)
        for (size_t i = 0; i < b->n; i += ATTEND_STRIP)
            add_values(b, i, earlier(b->n - i, ATTEND_STRIP), first);
}

/* n queries of consecutive positions (step 1) or heads (step 0). */
INLINE void attend_blocks(block_of_queries b, size_t n, size_t n_keys, const float *keys) {
    for (size_t left = n; left > 0; left -= b.n) {
        b.n = earlier(left, ATTEND_BLOCK);
        attend_block(&b, n_keys, keys);
        b.q += b.n * b.stride;
        b.out += b.n * b.stride;
        b.end += b.n * b.step;
    }
}

KERNEL void attend_rows(const plens__queries *a, float *scratch) {
    size_t n_keys = a->first + a->n_rows, head_dim = a->head_dim;
    if (a->n_rows * a->n_heads < ATTEND_STRIP) { /* not worth the packing of keys */
        plens__attend_each(a, attend, scratch);
        return;
    }
    size_t n_panels = (n_keys + PANEL - 1) / PANEL;
    for (size_t i = 0; i < n_panels; i++) {
        size_t first = i * PANEL, n = earlier(n_keys - first, PANEL);
        pack(PLENS_F32, a->k + first * a->stride, a->stride * sizeof(float), n, head_dim,
             scratch + first * head_dim);
    }
    block_of_queries b = {.all = a, .ldp = n_panels * PANEL + ATTEND_APART};
    b.scores = scratch + n_panels * PANEL * head_dim;
    int by_heads = a->n_rows < ATTEND_STRIP;
    b.step = !by_heads;
    b.stride = by_heads ? head_dim : a->row_stride;
    for (size_t i = 0; i < (by_heads ? a->n_rows : a->n_heads); i++) {
        size_t at = i * (by_heads ? a->row_stride : head_dim);
        b.q = a->q + at;
        b.out = a->out + at;
        b.end = a->first + 1 + (by_heads ? i : 0);
        attend_blocks(b, by_heads ? a->n_heads : a->n_rows, n_keys, scratch);
    }
}
