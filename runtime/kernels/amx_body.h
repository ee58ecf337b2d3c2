/* multiply_directly and multiply_turned of bf16 and bf16x3 over tiles of AMX. amx.c includes it
 * with the instructions, tests/unit/amx.c with tiles in software, so that machines without AMX test
 * it too. The includer names:
 *
 *     INLINE, KERNEL                 static functions compiled for the instruction set
 *     tiles_begin(), tiles_end()     all eight tiles are 16 rows of 64 bytes between the two; the
 *                                    tiles' numbers below are literals
 *     tile_zero(t)
 *     tile_load(t, p)                16 rows of 64 bytes, one after the other
 *     tile_pass(t, p)                the same of what should not displace what is used again
 *     tile_pass_rows(t, p, step)     the same of rows `step` bytes apart
 *     tile_store(t, p, step)         likewise
 *     tile_dot(c, a, b)              TDPBF16PS: c[m, n] += the block of a[m, 2 i + j] and
 *                                    b[i, 2 n + j], i < 16, j < 2, even and odd k being j
 *     pack_tile(dtype, w, row_bytes, n_rows, n, to)   16 outputs, of which n_rows are there, by 32
 *                                    k, of which n are there: b
 *     pack_words(dtype, w, n, to)    one output, likewise: a row of a
 *     turn_tile(from, to)            16 rows by 32 k, packed as a: b
 *     put_sums(from, n, to)          n <= 16 floats
 *     put_turned(from, n_rows, n_out, to, ldc)   sums [16 outputs, 16 rows] as rows of outputs, of
 *                                    either of which so many are there
 *     ask_near(p, to_write)          asks for a line, into the first-level cache
 * None of those between begin and end may call a function that is not of this file.
 *
 * Both operands of a product are cut into pairs of tiles. As `a` a pair is 32 rows of 32 k as they
 * are, [2, 16, 32]; as `b` it is pairs of k of 32 rows side by side, [2, 16 pairs, 16, 2]. A pair
 * of each uses all eight tiles: four of c, and four loads to four multiplications. A strip of
 * activations is [K / 32, parts, pair] as a.
 *
 * What limits is where operands come from. A tile comes from the first-level cache in 2.9 ns, from
 * the second in 6, from beyond it in 34; a multiplication takes 5 (bench/kernels, Granite Rapids).
 */

#include "runtime/kernels/ahead.h"
#include "runtime/kernels/constants.h"

enum {
    TILE = 16,         /* rows, floats in a row */
    TILE_BYTES = 1024, /* 16 rows of 64 bytes */
    PAIR = 2 * TILE,   /* rows in a strip, outputs in a panel */
    PAIR_BYTES = 2 * TILE_BYTES,
    QUAD_BYTES = 4 * TILE_BYTES, /* the sums of two pairs */
    FEW_ROWS = 128               /* that are few, at most */
};

typedef struct product_item {
    size_t n_rows, n_out, k;
    const char *x, *w;
    size_t x_step, row_bytes;            /* of a strip, of a row of w */
    size_t n_strips, n_panels, n_blocks; /* of 32 k */
    char *sums;
    char *packed; /* weights of a part of k */
    float *c;
    size_t ldc;
} product_item;

/* A part of k in hand. */
typedef struct product_part {
    size_t block, n_blocks; /* the first, and how many */
    int last;
} product_part;

static inline size_t tiles(size_t n) {
    return (n + TILE - 1) / TILE;
}

static inline size_t pairs(size_t n) {
    return (n + PAIR - 1) / PAIR;
}

static inline size_t weight_bytes(plens_dtype dtype) {
    return dtype == PLENS_F32 ? 4 : 2;
}

/* Blocks in parts of at most so many, as equal as can be. */
static inline size_t equal_part(size_t n_blocks, size_t most) {
    size_t n_parts = (n_blocks + most - 1) / most;
    return (n_blocks + n_parts - 1) / n_parts;
}

static inline product_part part_from(const product_item *item, size_t block, size_t most) {
    size_t left = item->n_blocks - block;
    product_part part = {block, left < most ? left : most, left <= most};
    return part;
}

#define START_TILE(t)                                                                              \
    do {                                                                                           \
        if (resume)                                                                                \
            tile_pass(t, sums + (t)*TILE_BYTES);                                                   \
        else                                                                                       \
            tile_zero(t);                                                                          \
    } while (0)

#include "runtime/kernels/amx_few_rows.h"
#include "runtime/kernels/amx_many_rows.h"

/* ---- The products ---- */

static inline size_t sums_bytes(size_t n_rows, size_t n_out) {
    return pairs(n_rows) * pairs(n_out) * QUAD_BYTES;
}

/* For many rows and for few. */
static size_t direct_scratch(size_t n_rows, size_t k, size_t n_out) {
    size_t many = pairs(n_out) * many_rows_part(pairs(k)) * PAIR_BYTES;
    size_t few = few_rows_part(1, pairs(k), 1) * TILE_BYTES;
    return sums_bytes(n_rows, n_out) + (many > few ? many : few);
}

static inline product_item item_of(size_t n_rows, size_t k, const void *x, size_t x_step,
                                   const void *w, size_t row_bytes, size_t n_out, float *c,
                                   size_t ldc, void *scratch) {
    product_item item = {n_rows, n_out, k, x, w, x_step, row_bytes, 0, 0, 0, NULL, NULL, c, ldc};
    item.n_strips = pairs(n_rows);
    item.n_panels = pairs(n_out);
    item.n_blocks = pairs(k);
    item.sums = scratch;
    item.packed = item.sums + sums_bytes(n_rows, n_out);
    return item;
}

/* plens__direct, by multiply(dtype, n_parts, item). */
#define PRODUCT(name, multiply, n_parts, for_dtype)                                                \
    KERNEL void name(plens_dtype dtype, size_t n_rows, size_t k, const void *x, size_t x_step,     \
                     const void *w, size_t row_bytes, size_t n_out, float *c, size_t ldc,          \
                     void *scratch) {                                                              \
        product_item item = item_of(n_rows, k, x, x_step, w, row_bytes, n_out, c, ldc, scratch);   \
        tiles_begin();                                                                             \
        for_dtype(dtype, multiply, n_parts, &item);                                                \
        tiles_end();                                                                               \
    }

/* Other weights are not for bf16x3. */
#define FOR_BF16(dtype, function, ...)                                                             \
    do {                                                                                           \
        (void)(dtype);                                                                             \
        function(PLENS_BF16, __VA_ARGS__);                                                         \
    } while (0)

PRODUCT(multiply_bf16, multiply_many_rows, 1, FOR_DTYPE)
PRODUCT(turned_bf16, multiply_few_rows, 1, FOR_DTYPE)
PRODUCT(multiply_bf16x3, multiply_many_rows, 3, FOR_BF16)
PRODUCT(turned_bf16x3, multiply_few_rows, 3, FOR_BF16)
