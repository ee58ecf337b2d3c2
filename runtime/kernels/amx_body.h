/* multiply_directly of bf16 and bf16x3 over tiles of AMX: blocks, edges and the order of
 * accumulation. amx.c includes it with the instructions, tests/unit/amx.c with tiles in software,
 * so that machines without AMX test it too. The includer names:
 *
 *     INLINE, KERNEL                 static functions compiled for the instruction set
 *     tiles_begin(), tiles_end()     all eight tiles are 16 rows of 64 bytes between the two; the
 *                                    tiles' numbers below are literals
 *     tile_zero(t)
 *     tile_load(t, p)                16 rows of 64 bytes, one after the other
 *     tile_pass(t, p)                the same of what should not displace what is used again
 *     tile_store(t, p, step)         `step` bytes apart
 *     tile_dot(c, a, b)              TDPBF16PS: c[m, n] += the block of a[m, 2 i + j] and
 *                                    b[i, 2 n + j], i < 16, j < 2, even and odd k being j
 *     pack_tile(dtype, w, row_bytes, n_rows, n, to)   16 outputs, of which n_rows are there, by 32
 *                                    k, of which n are there: b
 *     put_sums(from, n, to)          n <= 16 floats
 *     ask_near(p, to_write)          asks for a line, into the first-level cache
 * None of those between begin and end may call a function that is not of this file.
 *
 * The activations are a, rows of 32 bf16 as they are: a strip is [K / 32, parts, 2, 16, 32]. The
 * weights are b, pairs of k of 16 outputs side by side: a panel is [K / 32, 2, 16 pairs, 16, 2]. A
 * strip and a panel use all eight tiles: four of c, and four loads to four multiplications.
 *
 * What limits is where operands come from. A tile comes from the first-level cache in 2.9 ns, from
 * the second in 6, from beyond it in 34; a multiplication takes 5 (bench/kernels, Granite Rapids).
 * So one operand of each must be in the first level, and what comes from beyond the second must
 * meet hundreds of rows or outputs. K is cut into parts of 18 blocks at most: a strip's part, 36
 * KiB, is in the first level while the panels pass by. An item's panels of one part are packed into
 * the second level, where its sums are too, in tiles; the strips come past once for each part,
 * asked for a few lines with each step. The next part's weights are not: they would displace the
 * sums. Sums in rows of y would not stay in the cache, as such rows are often multiples of a power
 * of two apart; the last part's go straight there, and their lines are asked for meanwhile.
 *
 * With few rows what limits is reading the weights: panels are packed one by one, and each asks for
 * the next. */

#include "runtime/kernels/ahead.h"
#include "runtime/kernels/constants.h"

enum {
    TILE = 16,         /* rows, floats in a row */
    TILE_BYTES = 1024, /* 16 rows of 64 bytes */
    PAIR = 2 * TILE,   /* rows in a strip, outputs in a panel */
    PAIR_BYTES = 2 * TILE_BYTES,
    QUAD_BYTES = 4 * TILE_BYTES, /* a strip's sums of a panel: [2 of its rows, 2 of outputs] */
    MOST_BLOCKS = 18             /* in a part of k */
};

typedef struct product_item {
    size_t n_rows, n_out, k;
    const char *x, *w;
    size_t x_step, row_bytes, weight_bytes; /* of a strip, of a row of w, of a weight */
    size_t n_strips, n_panels, n_blocks;    /* of 32 k */
    size_t at_once;                         /* panels that are packed at once */
    int asks_for_weights; /* of the next group: not where they would displace the sums */
    char *panels;         /* [at_once, blocks, PAIR_BYTES] */
    char *sums;           /* [n_strips, n_panels, QUAD_BYTES] */
    float *c;
    size_t ldc;
} product_item;

/* Panels [panel, panel_end), of which one part of k is in hand, n_blocks from `block` on. */
typedef struct product_group {
    size_t panel, panel_end, block, n_blocks;
    plens__ahead weights; /* of the group that follows, to be asked for */
} product_group;

static inline size_t pairs(size_t n) {
    return (n + PAIR - 1) / PAIR;
}

/* Parts are as equal as can be. */
static inline size_t blocks_in_part(size_t n_blocks) {
    size_t n_parts = (n_blocks + MOST_BLOCKS - 1) / MOST_BLOCKS;
    return (n_blocks + n_parts - 1) / n_parts;
}

static inline size_t panels_at_once(size_t n_rows, size_t n_out) {
    return n_rows > PLENS__FEW_ROWS ? pairs(n_out) : 1;
}

static size_t direct_scratch(size_t n_rows, size_t k, size_t n_out) {
    return panels_at_once(n_rows, n_out) * blocks_in_part(pairs(k)) * PAIR_BYTES +
           pairs(n_rows) * pairs(n_out) * QUAD_BYTES;
}

/* ---- Packing ---- */

/* The next group's weights, if they are, are asked for evenly while this one is packed and
 * multiplied: packing takes about as long as multiplying with a strip. */
INLINE void pack_group(plens_dtype dtype, const product_item *item, product_group *group) {
    const size_t size = dtype == PLENS_F32 ? 4 : 2;
    size_t lines = TILE * PLENS__BLOCK_K * size / PLENS__LINE / (1 + item->n_strips);
    if (!item->asks_for_weights)
        lines = 0;
    char *panel = item->panels;
    for (size_t p = group->panel; p < group->panel_end; p++, panel += group->n_blocks * PAIR_BYTES)
        for (size_t o = p * PAIR; o < (p + 1) * PAIR && o < item->n_out; o += TILE)
            for (size_t b = 0; b < group->n_blocks; b++) {
                size_t k = (group->block + b) * PLENS__BLOCK_K;
                plens__ahead_ask(&group->weights, lines);
                pack_tile(dtype, item->w + o * item->row_bytes + k * size, item->row_bytes,
                          item->n_out - o, item->k - k,
                          panel + b * PAIR_BYTES + o % PAIR / TILE * TILE_BYTES);
            }
}

/* ---- Sums ---- */

/* Where the four tiles of a pair lie: rows of a tile `step` bytes apart. */
typedef struct product_tiles {
    char *at;
    size_t step, right, down; /* from one tile to its neighbours */
} product_tiles;

INLINE product_tiles tiles_of_sums(const product_item *item, size_t strip, size_t panel) {
    char *at = item->sums + (strip * item->n_panels + panel) * QUAD_BYTES;
    product_tiles tiles = {at, TILE * sizeof(float), TILE_BYTES, PAIR_BYTES};
    return tiles;
}

/* c itself where all of the pair is there. */
INLINE product_tiles tiles_of_result(const product_item *item, size_t strip, size_t panel) {
    size_t row_bytes = item->ldc * sizeof(float);
    float *at = item->c + strip * PAIR * item->ldc + panel * PAIR;
    product_tiles tiles = {(char *)at, row_bytes, TILE * sizeof(float), TILE * row_bytes};
    return tiles;
}

/* Of a pair that is not whole, from its sums to c. */
INLINE void deliver(const product_item *item, size_t strip, size_t panel) {
    product_tiles from = tiles_of_sums(item, strip, panel),
                  to = tiles_of_result(item, strip, panel);
    for (size_t r = 0; r < PAIR && strip * PAIR + r < item->n_rows; r++)
        for (size_t o = 0; o < PAIR && panel * PAIR + o < item->n_out; o += TILE) {
            size_t left = item->n_out - panel * PAIR - o;
            const char *sums =
                from.at + r / TILE * from.down + r % TILE * from.step + o / TILE * from.right;
            put_sums((const float *)(const void *)sums, left < TILE ? left : TILE,
                     (float *)(void *)(to.at + r * to.step + o * sizeof(float)));
        }
}

/* ---- The product ---- */

#define START_TILE(t)                                                                              \
    do {                                                                                           \
        if (resume)                                                                                \
            tile_pass(t, sums + (t)*TILE_BYTES);                                                   \
        else                                                                                       \
            tile_zero(t);                                                                          \
    } while (0)

/* What one call of multiply_pair asks for, with each step. */
typedef struct product_asks {
    plens__ahead *weights, *strip;
    size_t weight_lines, strip_lines;
    const char *near; /* lines in pairs, for the first-level cache */
    size_t near_step;
    int to_write;
} product_asks;

/* to = sums + a part of a strip times that of a panel. n_tiles (of 16 rows in the strip), n_halves
 * (of the panel) and n_parts are constants. */
INLINE void multiply_pair(const size_t n_tiles, const size_t n_halves, const size_t n_parts,
                          size_t n_blocks, const char *x, const char *panel, int resume,
                          const char *sums, product_tiles to, product_asks asks) {
    START_TILE(0);
    if (n_halves == 2)
        START_TILE(1);
    if (n_tiles == 2)
        START_TILE(2);
    if (n_tiles == 2 && n_halves == 2)
        START_TILE(3);
    for (size_t block = 0; block < n_blocks; block++, panel += PAIR_BYTES) {
        tile_pass(6, panel);
        if (n_halves == 2)
            tile_pass(7, panel + TILE_BYTES);
        for (size_t part = 0; part < n_parts; part++, x += PAIR_BYTES) {
            tile_load(4, x);
            tile_dot(0, 4, 6);
            if (n_halves == 2)
                tile_dot(1, 4, 7);
            if (n_tiles == 2) {
                tile_load(5, x + TILE_BYTES);
                tile_dot(2, 5, 6);
            }
            if (n_tiles == 2 && n_halves == 2)
                tile_dot(3, 5, 7);
        }
        for (size_t row = 0; row < 2; row++, asks.near += asks.near_step) {
            ask_near(asks.near, asks.to_write);
            ask_near(asks.near + PLENS__LINE, asks.to_write);
        }
        plens__ahead_ask(asks.weights, asks.weight_lines);
        plens__ahead_ask(asks.strip, asks.strip_lines);
    }
    tile_store(0, to.at, to.step);
    if (n_halves == 2)
        tile_store(1, to.at + to.right, to.step);
    if (n_tiles == 2)
        tile_store(2, to.at + to.down, to.step);
    if (n_tiles == 2 && n_halves == 2)
        tile_store(3, to.at + to.down + to.right, to.step);
}

/* n_parts is a constant. */
INLINE void multiply_any_pair(const size_t n_parts, const product_item *item,
                              const product_group *group, size_t strip, size_t p, const char *x,
                              product_asks asks) {
    size_t n = group->n_blocks, rows = item->n_rows - strip * PAIR, out = item->n_out - p * PAIR;
    const char *panel = item->panels + (p - group->panel) * n * PAIR_BYTES;
    product_tiles sums = tiles_of_sums(item, strip, p), to = sums;
    int resume = group->block > 0, last = group->block + n == item->n_blocks;
    asks.near = sums.at + QUAD_BYTES; /* of the call that follows */
    asks.near_step = 2 * PLENS__LINE;
    asks.to_write = 0;
    if (last && rows >= PAIR && out >= PAIR) {
        to = tiles_of_result(item, strip, p);
        asks.near = to.at;
        asks.near_step = to.step;
        asks.to_write = 1;
    }
    if (rows > TILE && out > TILE)
        multiply_pair(2, 2, n_parts, n, x, panel, resume, sums.at, to, asks);
    else if (rows > TILE)
        multiply_pair(2, 1, n_parts, n, x, panel, resume, sums.at, to, asks);
    else if (out > TILE)
        multiply_pair(1, 2, n_parts, n, x, panel, resume, sums.at, to, asks);
    else
        multiply_pair(1, 1, n_parts, n, x, panel, resume, sums.at, to, asks);
    if (last && to.at == sums.at)
        deliver(item, strip, p);
}

static inline size_t share(size_t lines, size_t steps) {
    return (lines + steps - 1) / steps;
}

/* All strips by the panels that are packed. n_parts is a constant. */
INLINE void multiply_group(const size_t n_parts, const product_item *item, product_group *group) {
    size_t n = group->n_blocks, n_panels = group->panel_end - group->panel;
    size_t strip_bytes = n * n_parts * PAIR_BYTES;
    const char *x = item->x + group->block * n_parts * PAIR_BYTES;
    plens__ahead next;
    product_asks asks = {&group->weights, &next, 0, 0, NULL, 0, 0};
    if (item->asks_for_weights)
        asks.weight_lines = share(PAIR * group->weights.lines, n * (1 + item->n_strips));
    if (item->at_once > 1)
        asks.strip_lines = share(strip_bytes / PLENS__LINE, n_panels * n);
    for (size_t strip = 0; strip < item->n_strips; strip++, x += item->x_step) {
        const char *after = strip + 1 < item->n_strips ? x + item->x_step : item->x + strip_bytes;
        next = plens__ahead_begin((uintptr_t)after, strip_bytes, strip_bytes);
        for (size_t p = group->panel; p < group->panel_end; p++)
            multiply_any_pair(n_parts, item, group, strip, p, x, asks);
    }
}

/* ---- An item ---- */

/* The weights that follow those of a group: the next panels', or the next part's. */
static inline plens__ahead following(const product_item *item, const product_group *group) {
    size_t o = group->panel_end * PAIR, k = group->block * PLENS__BLOCK_K;
    if (group->panel_end == item->n_panels && group->block + group->n_blocks < item->n_blocks) {
        o = 0;
        k += group->n_blocks * PLENS__BLOCK_K;
    }
    return plens__ahead_begin((uintptr_t)item->w + o * item->row_bytes + k * item->weight_bytes,
                              item->row_bytes,
                              group->n_blocks * PLENS__BLOCK_K * item->weight_bytes);
}

/* n_parts and dtype are constants. */
INLINE void multiply_as(plens_dtype dtype, const size_t n_parts, const product_item *item) {
    size_t part = blocks_in_part(item->n_blocks);
    for (size_t block = 0; block < item->n_blocks; block += part)
        for (size_t p = 0; p < item->n_panels; p += item->at_once) {
            size_t left = item->n_blocks - block;
            product_group group = {
                p, p + item->at_once, block, left < part ? left : part, {0, 0, 0, 0}};
            group.weights = following(item, &group);
            pack_group(dtype, item, &group);
            multiply_group(n_parts, item, &group);
        }
}

INLINE product_item item_of(plens_dtype dtype, size_t n_rows, size_t k, const void *x,
                            size_t x_step, const void *w, size_t row_bytes, size_t n_out, float *c,
                            size_t ldc, void *scratch) {
    product_item item = {.n_rows = n_rows, .n_out = n_out, .k = k};
    item.x = x;
    item.x_step = x_step;
    item.w = w;
    item.row_bytes = row_bytes;
    item.weight_bytes = dtype == PLENS_F32 ? 4 : 2;
    item.c = c;
    item.ldc = ldc;
    item.n_strips = pairs(n_rows);
    item.n_panels = pairs(n_out);
    item.n_blocks = pairs(k);
    item.at_once = panels_at_once(n_rows, n_out);
    item.asks_for_weights = item.at_once == 1 || item.n_blocks <= MOST_BLOCKS;
    item.panels = scratch;
    item.sums = item.panels + item.at_once * blocks_in_part(item.n_blocks) * PAIR_BYTES;
    return item;
}

KERNEL void multiply_bf16(plens_dtype dtype, size_t n_rows, size_t k, const void *x, size_t x_step,
                          const void *w, size_t row_bytes, size_t n_out, float *c, size_t ldc,
                          void *scratch) {
    product_item item = item_of(dtype, n_rows, k, x, x_step, w, row_bytes, n_out, c, ldc, scratch);
    tiles_begin();
    FOR_DTYPE(dtype, multiply_as, 1, &item);
    tiles_end();
}

KERNEL void multiply_bf16x3(plens_dtype dtype, size_t n_rows, size_t k, const void *x,
                            size_t x_step, const void *w, size_t row_bytes, size_t n_out, float *c,
                            size_t ldc, void *scratch) {
    product_item item =
        item_of(PLENS_BF16, n_rows, k, x, x_step, w, row_bytes, n_out, c, ldc, scratch);
    (void)dtype; /* others are not packed */
    tiles_begin();
    multiply_as(PLENS_BF16, 3, &item);
    tiles_end();
}
