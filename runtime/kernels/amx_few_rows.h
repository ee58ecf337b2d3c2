/* amx_body.h: few rows. What limits is reading the weights, so they are read once, as they lie:
 * they are a, and the activations b. 16 outputs at a time meet all rows. Sums come out with outputs
 * for rows and are turned at the end.
 *
 * The weights of 16 outputs are as many streams of memory, which the processor foresees. Asking for
 * them would take the places in which tiles arrive from the second-level cache: 64 rows of 128,256
 * outputs of 4,096 reached 840 to 900 GFLOP/s with it and 1,610 to 1,660 without (bench/kernels).
 * Only streams too short to be foreseen are asked for. K is cut only where the activations would
 * not stay in that cache. */

#ifndef NEAR_BYTES
#define NEAR_BYTES (768 << 10) /* of activations */
#endif

enum {
    AT_ONCE = 4,          /* tiles of rows */
    LONGEST = 256,        /* part of k, in blocks: packed weights should stay near, too */
    SHORT_BYTES = 2 << 10 /* of a row of weights */
};

/* Blocks in a part of k. */
static inline size_t few_rows_part(size_t n_rows, size_t n_blocks, size_t n_parts) {
    size_t near = NEAR_BYTES / (pairs(n_rows) * n_parts * PAIR_BYTES);
    return equal_part(n_blocks, near < LONGEST ? near : LONGEST);
}

/* ---- Operands ---- */

/* 16 rows of bf16, `step` bytes apart. */
typedef struct weight_rows {
    const char *at;
    size_t step;
} weight_rows;

/* Outputs from o on into item->packed, whatever their type; what is not there is zero. */
INLINE weight_rows pack_rows(plens_dtype dtype, const product_item *item, const product_part *part,
                             size_t o) {
    char *to = item->packed;
    weight_rows rows = {to, part->n_blocks * PLENS__LINE};
    for (size_t r = 0; r < TILE; r++)
        for (size_t b = 0; b < part->n_blocks; b++, to += PLENS__LINE) {
            size_t k = (part->block + b) * PLENS__BLOCK_K, there = o + r < item->n_out;
            const char *w = item->w + (there ? o + r : o) * item->row_bytes;
            pack_words(dtype, w + k * weight_bytes(dtype), there ? item->k - k : 0, to);
        }
    return rows;
}

/* Tiles can be loaded from w itself if each of their rows is a line of the cache. */
INLINE weight_rows rows_of(plens_dtype dtype, const product_item *item, const product_part *part,
                           size_t o) {
    size_t lines = (size_t)(uintptr_t)item->w | item->row_bytes | item->k * weight_bytes(dtype);
    if (dtype != PLENS_BF16 || lines % PLENS__LINE != 0 || item->n_out - o < TILE)
        return pack_rows(dtype, item, part, o);
    weight_rows rows = {item->w + o * item->row_bytes + part->block * PLENS__LINE, item->row_bytes};
    return rows;
}

/* ---- The product ---- */

/* sums [n_tiles of rows, 16 outputs, 16] += a part of 16 outputs times that of the rows, whose
 * strips are x_step apart. Asks for lines of what is next with each block. n_tiles and n_parts are
 * constants. */
INLINE void multiply_tiles(const size_t n_tiles, const size_t n_parts, size_t n_blocks,
                           weight_rows w, const char *x, size_t x_step, int resume, char *sums,
                           plens__ahead *next, size_t lines) {
    START_TILE(0);
    if (n_tiles > 1)
        START_TILE(1);
    if (n_tiles > 2)
        START_TILE(2);
    if (n_tiles > 3)
        START_TILE(3);
    for (size_t block = 0; block < n_blocks; block++) {
        tile_pass_rows(6, w.at + block * PLENS__LINE, w.step);
        for (size_t part = 0; part < n_parts; part++, x += PAIR_BYTES) {
            tile_load(4, x);
            tile_dot(0, 6, 4);
            if (n_tiles > 1) {
                tile_load(5, x + TILE_BYTES);
                tile_dot(1, 6, 5);
            }
            if (n_tiles > 2) {
                tile_load(4, x + x_step);
                tile_dot(2, 6, 4);
            }
            if (n_tiles > 3) {
                tile_load(5, x + x_step + TILE_BYTES);
                tile_dot(3, 6, 5);
            }
        }
        plens__ahead_ask(next, lines);
    }
    tile_store(0, sums, PLENS__LINE);
    if (n_tiles > 1)
        tile_store(1, sums + TILE_BYTES, PLENS__LINE);
    if (n_tiles > 2)
        tile_store(2, sums + 2 * TILE_BYTES, PLENS__LINE);
    if (n_tiles > 3)
        tile_store(3, sums + 3 * TILE_BYTES, PLENS__LINE);
}

/* n_parts is a constant. */
INLINE void multiply_any_tiles(size_t n_tiles, const size_t n_parts, size_t n_blocks, weight_rows w,
                               const char *x, size_t x_step, int resume, char *sums,
                               plens__ahead *next, size_t lines) {
    if (n_tiles >= 4)
        multiply_tiles(4, n_parts, n_blocks, w, x, x_step, resume, sums, next, lines);
    else if (n_tiles == 3)
        multiply_tiles(3, n_parts, n_blocks, w, x, x_step, resume, sums, next, lines);
    else if (n_tiles == 2)
        multiply_tiles(2, n_parts, n_blocks, w, x, x_step, resume, sums, next, lines);
    else
        multiply_tiles(1, n_parts, n_blocks, w, x, x_step, resume, sums, next, lines);
}

/* Where the sums of outputs from o on are: those of all outputs only if they are taken up again. */
static inline char *sums_at(const product_item *item, const product_part *part, size_t o) {
    size_t slot = part->n_blocks < item->n_blocks ? o / TILE : 0;
    return item->sums + slot * tiles(item->n_rows) * TILE_BYTES;
}

/* The weights of the outputs after those from o on; `lines` to ask for with each block. */
static inline plens__ahead outputs_after(const product_item *item, size_t o, size_t *lines) {
    *lines = item->row_bytes < SHORT_BYTES ? TILE : 0;
    return plens__ahead_begin((uintptr_t)item->w + (o + TILE) * item->row_bytes, item->row_bytes,
                              item->row_bytes);
}

/* Outputs from o on, one part of k. dtype and n_parts are constants. */
INLINE void multiply_outputs(plens_dtype dtype, const size_t n_parts, const product_item *item,
                             const product_part *part, size_t o) {
    const char *x = item->x + part->block * n_parts * PAIR_BYTES;
    weight_rows w = rows_of(dtype, item, part, o);
    size_t n_tiles = tiles(item->n_rows), lines;
    plens__ahead next = outputs_after(item, o, &lines);
    char *sums = sums_at(item, part, o);
    for (size_t t = 0; t < n_tiles; t += AT_ONCE)
        multiply_any_tiles(n_tiles - t, n_parts, part->n_blocks, w, x + t / 2 * item->x_step,
                           item->x_step, part->block > 0, sums + t * TILE_BYTES, &next,
                           t == 0 ? lines : 0);
    for (size_t t = 0; t < n_tiles && part->last; t++)
        put_turned(sums + t * TILE_BYTES, item->n_rows - t * TILE, item->n_out - o,
                   item->c + t * TILE * item->ldc + o, item->ldc);
}

/* dtype and n_parts are constants. */
INLINE void multiply_few_rows(plens_dtype dtype, const size_t n_parts, const product_item *item) {
    size_t most = few_rows_part(item->n_rows, item->n_blocks, n_parts);
    product_part part;
    for (size_t block = 0; block < item->n_blocks; block += part.n_blocks) {
        part = part_from(item, block, most);
        for (size_t o = 0; o < item->n_out; o += TILE)
            multiply_outputs(dtype, n_parts, item, &part, o);
    }
}
