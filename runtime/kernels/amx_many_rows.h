/* amx_body.h: many rows. Activations are a, weights b: panels of [K / 32, pair].
 *
 * One operand of each multiplication must be in the first-level cache: K is cut into parts of which
 * a strip's, 36 KiB, is there while panels go by. And what comes from beyond the second level must
 * meet hundreds of rows or outputs. An item's panels of one part of k are packed into the second
 * level, where its sums are too, in tiles, [n_strips, n_panels, QUAD_BYTES]; the strips come past
 * once for each part, asked for a few lines with each step. The next part's weights are not: they
 * would displace the sums. Sums in rows of y would not stay in the cache, as such rows are often
 * multiples of a power of two apart; the last part's go straight there, and their lines are asked
 * for meanwhile. */

enum { MOST_BLOCKS = 18 };

/* Blocks in a part of k. */
static inline size_t many_rows_part(size_t n_blocks) {
    return equal_part(n_blocks, MOST_BLOCKS);
}

/* Lines to ask for with each of so many steps. */
static inline size_t share(size_t lines, size_t steps) {
    return (lines + steps - 1) / steps;
}

/* ---- Packing ---- */

INLINE void pack_panels(plens_dtype dtype, const product_item *item, const product_part *part,
                        plens__ahead *next, size_t lines) {
    char *to = item->packed;
    for (size_t p = 0; p < item->n_panels; p++, to += part->n_blocks * PAIR_BYTES)
        for (size_t o = p * PAIR; o < (p + 1) * PAIR && o < item->n_out; o += TILE)
            for (size_t b = 0; b < part->n_blocks; b++) {
                size_t k = (part->block + b) * PLENS__BLOCK_K;
                plens__ahead_ask(next, lines);
                pack_tile(dtype, item->w + o * item->row_bytes + k * weight_bytes(dtype),
                          item->row_bytes, item->n_out - o, item->k - k,
                          to + b * PAIR_BYTES + o % PAIR / TILE * TILE_BYTES);
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
                              const product_part *part, size_t strip, size_t p, const char *x,
                              product_asks asks) {
    size_t n = part->n_blocks, rows = item->n_rows - strip * PAIR, out = item->n_out - p * PAIR;
    const char *panel = item->packed + p * n * PAIR_BYTES;
    product_tiles sums = tiles_of_sums(item, strip, p), to = sums;
    int resume = part->block > 0;
    asks.near = sums.at + QUAD_BYTES; /* of the call that follows */
    asks.near_step = 2 * PLENS__LINE;
    asks.to_write = 0;
    if (part->last && rows >= PAIR && out >= PAIR) {
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
    if (part->last && to.at == sums.at)
        deliver(item, strip, p);
}

/* The weights of an item that follows, where K is so short that its one part leaves room. They are
 * asked for evenly: packing a panel takes about as long as multiplying it with a strip. */
static inline plens__ahead next_weights(plens_dtype dtype, const product_item *item,
                                        size_t *lines) {
    size_t n_bytes = item->k * weight_bytes(dtype);
    plens__ahead next = plens__ahead_begin((uintptr_t)item->w + item->n_out * item->row_bytes,
                                           item->row_bytes, n_bytes);
    int there = item->n_blocks <= MOST_BLOCKS;
    *lines = there ? share(PAIR * next.lines, item->n_blocks * (1 + item->n_strips)) : 0;
    return next;
}

/* One part of k. dtype and n_parts are constants. */
INLINE void multiply_part(plens_dtype dtype, const size_t n_parts, const product_item *item,
                          const product_part *part) {
    size_t strip_bytes = part->n_blocks * n_parts * PAIR_BYTES;
    const char *x = item->x + part->block * n_parts * PAIR_BYTES;
    product_asks asks = {NULL, NULL, 0, 0, NULL, 0, 0};
    plens__ahead weights = next_weights(dtype, item, &asks.weight_lines), strip_ahead;
    asks.weights = &weights;
    asks.strip = &strip_ahead;
    asks.strip_lines = share(strip_bytes / PLENS__LINE, item->n_panels * part->n_blocks);
    pack_panels(dtype, item, part, &weights, asks.weight_lines / 2);
    for (size_t strip = 0; strip < item->n_strips; strip++, x += item->x_step) {
        const char *after = strip + 1 < item->n_strips ? x + item->x_step : item->x + strip_bytes;
        strip_ahead = plens__ahead_begin((uintptr_t)after, strip_bytes, strip_bytes);
        for (size_t p = 0; p < item->n_panels; p++)
            multiply_any_pair(n_parts, item, part, strip, p, x, asks);
    }
}

/* dtype and n_parts are constants. */
INLINE void multiply_many_rows(plens_dtype dtype, const size_t n_parts, const product_item *item) {
    size_t most = many_rows_part(item->n_blocks);
    product_part part;
    for (size_t block = 0; block < item->n_blocks; block += part.n_blocks) {
        part = part_from(item, block, most);
        multiply_part(dtype, n_parts, item, &part);
    }
}
