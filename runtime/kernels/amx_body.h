/* multiply of bf16 and bf16x3 over tiles of AMX: blocks, edges and the order of accumulation. amx.c
 * includes it with the instructions, tests/unit/amx.c with tiles in software, so that machines
 * without AMX test it too. The includer names:
 *
 *     INLINE, KERNEL                 static functions compiled for the instruction set
 *     tiles_begin(), tiles_end()     all eight tiles are 16 rows of 64 bytes between the two; the
 *                                    tiles' numbers below are literals
 *     tile_zero(t)
 *     tile_load(t, p, step)          16 rows of 64 bytes, `step` bytes apart
 *     tile_store(t, p, step)
 *     tile_dot(c, a, b)              TDPBF16PS: c[m, n] += the block of a[m, 2 i + j] and
 *                                    b[i, 2 n + j], i < 16, j < 2, even and odd k being j
 *     copy_part(rows, n, from, ld_from, to, ld_to)    n <= 16 floats of each row. No call: none is
 *                                    allowed while tiles are live
 *
 * The activations are a, rows of 32 bf16 as they are: a strip is [K / 32, parts, 16, 32]. The
 * weights are b, pairs of k of 16 outputs side by side: a panel is [K / 32, 2, 16 pairs, 16, 2].
 * So c's tiles lie in memory as they are in registers, and long K can be cut without transposing
 * them; the weights are transposed once for each item's rows, hundreds of them. Had they been a,
 * straight from the file, c would come out transposed: twice for every part of K.
 *
 * Two strips by two tiles of outputs use all eight tiles: four of c, and four loads to four
 * multiplications. With few rows there is one strip, and what limits is reading the weights. */

enum {
    TILE = 16,         /* rows, floats in a row */
    TILE_BYTES = 1024, /* 16 rows of 64 bytes */
    TILE_STEP = 64,
    AMX_PANEL = 2 * TILE,
    AMX_PANEL_BLOCK = 2 * TILE_BYTES
};

/* A tile of c: where it is loaded from and stored to. An incomplete one goes by way of `spare`. */
typedef struct window {
    float *c, *at;
    size_t ldc, rows, n;
    size_t step; /* bytes between the rows of `at` */
} window;

INLINE window window_of(float *c, size_t ldc, size_t rows, size_t n, float *spare) {
    int whole = rows >= TILE && n >= TILE;
    window w = {c, whole ? c : spare, ldc, rows < TILE ? rows : TILE, n < TILE ? n : TILE, 0};
    w.step = whole ? ldc * sizeof *c : TILE_STEP;
    return w;
}

INLINE void fetch(const window *w) {
    if (w->at != w->c)
        copy_part(w->rows, w->n, w->c, w->ldc, w->at, TILE);
}

INLINE void deliver(const window *w) {
    if (w->at != w->c)
        copy_part(w->rows, w->n, w->at, TILE, w->c, w->ldc);
}

#define START_TILE(t)                                                                              \
    do {                                                                                           \
        if (resume) {                                                                              \
            fetch(&c[t]);                                                                          \
            tile_load(t, c[t].at, c[t].step);                                                      \
        } else {                                                                                   \
            tile_zero(t);                                                                          \
        }                                                                                          \
    } while (0)

#define FINISH_TILE(t)                                                                             \
    do {                                                                                           \
        tile_store(t, c[t].at, c[t].step);                                                         \
        deliver(&c[t]);                                                                            \
    } while (0)

/* c tiles 0 and 1 are the first strip's, 2 and 3 the second's, which is x_step bytes further on.
 * n_strips, n_halves and n_parts are constants. */
INLINE void multiply_tiles(const size_t n_strips, const size_t n_halves, const size_t n_parts,
                           size_t n_blocks, const char *x, size_t x_step, const char *panel,
                           int resume, const window c[4]) {
    START_TILE(0);
    if (n_halves == 2)
        START_TILE(1);
    if (n_strips == 2)
        START_TILE(2);
    if (n_strips == 2 && n_halves == 2)
        START_TILE(3);
    for (size_t block = 0; block < n_blocks; block++, panel += AMX_PANEL_BLOCK) {
        tile_load(6, panel, TILE_STEP);
        if (n_halves == 2)
            tile_load(7, panel + TILE_BYTES, TILE_STEP);
        for (size_t part = 0; part < n_parts; part++, x += TILE_BYTES) {
            tile_load(4, x, TILE_STEP);
            tile_dot(0, 4, 6);
            if (n_halves == 2)
                tile_dot(1, 4, 7);
            if (n_strips == 2) {
                tile_load(5, x + x_step, TILE_STEP);
                tile_dot(2, 5, 6);
            }
            if (n_strips == 2 && n_halves == 2)
                tile_dot(3, 5, 7);
        }
    }
    FINISH_TILE(0);
    if (n_halves == 2)
        FINISH_TILE(1);
    if (n_strips == 2)
        FINISH_TILE(2);
    if (n_strips == 2 && n_halves == 2)
        FINISH_TILE(3);
}

/* All rows; n_halves and n_parts are constants. */
INLINE void multiply_rows(const size_t n_halves, const size_t n_parts, size_t n_rows, size_t k,
                          const char *x, size_t x_step, const char *panel, size_t n_out, int resume,
                          float *c, size_t ldc, float spare[4][TILE * TILE]) {
    size_t n_blocks = (k + PLENS__BLOCK_K - 1) / PLENS__BLOCK_K;
    for (size_t r = 0; r < n_rows; r += 2 * TILE, x += 2 * x_step) {
        size_t rows = n_rows - r;
        window tiles[4];
        for (size_t t = 0; t < 4; t++) {
            size_t row = t / 2 * TILE, o = t % 2 * TILE;
            if (row < rows && o < n_out)
                tiles[t] = window_of(c + (r + row) * ldc + o, ldc, rows - row, n_out - o, spare[t]);
        }
        if (rows > TILE)
            multiply_tiles(2, n_halves, n_parts, n_blocks, x, x_step, panel, resume, tiles);
        else
            multiply_tiles(1, n_halves, n_parts, n_blocks, x, x_step, panel, resume, tiles);
    }
}

INLINE void multiply_parts(const size_t n_parts, size_t n_rows, size_t k, const void *x,
                           size_t x_step, const void *panel, size_t n_out, int resume, float *c,
                           size_t ldc) {
    float spare[4][TILE * TILE] = {{0}};
    tiles_begin();
    if (n_out > TILE)
        multiply_rows(2, n_parts, n_rows, k, x, x_step, panel, n_out, resume, c, ldc, spare);
    else
        multiply_rows(1, n_parts, n_rows, k, x, x_step, panel, n_out, resume, c, ldc, spare);
    tiles_end();
}

KERNEL void multiply_bf16(size_t n_rows, size_t k, const void *x, size_t x_step, const void *panel,
                          size_t n_out, int resume, float *c, size_t ldc) {
    multiply_parts(1, n_rows, k, x, x_step, panel, n_out, resume, c, ldc);
}

KERNEL void multiply_bf16x3(size_t n_rows, size_t k, const void *x, size_t x_step,
                            const void *panel, size_t n_out, int resume, float *c, size_t ldc) {
    multiply_parts(3, n_rows, k, x, x_step, panel, n_out, resume, c, ldc);
}
