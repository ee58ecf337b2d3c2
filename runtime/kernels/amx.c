/* AMX: products of bf16 and bf16x3 by TDPBF16PS, whose order of operations and whose flushing are
 * the contract's own, whatever MXCSR says [Intel SDM, volume 2; volume 1, 18]. The processor is not
 * asked here, nor the system for its permission: see runtime/engine.c. Processors with AMX have
 * AVX-512 BF16, which packs. */
#include "runtime/fp.h"

#include "runtime/kernels/product.h"

/* The compilers that know AMX; Linux, as it takes its permission. */
#if defined(__x86_64__) && defined(__linux__) &&                                                   \
    ((defined(__clang__) && __clang_major__ >= 12) ||                                              \
     (!defined(__clang__) && defined(__GNUC__) && __GNUC__ >= 11))

#include <immintrin.h>
#include <stdint.h>

#include "runtime/kernels/constants.h"
#include "runtime/kernels/unroll.h"

#define TARGET                                                                                     \
    target("amx-tile,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,f16c")
#define KERNEL __attribute__((TARGET)) static
#define INLINE __attribute__((always_inline, TARGET)) static inline

#include "runtime/kernels/avx512_registers.h"
#include "runtime/kernels/avx512_words.h"

/* ---- The product: see amx_body.h ------------------------------------------------------------- */

/* The operand of LDTILECFG. Inline assembly says that all of it is read; gcc 12's intrinsic says 8
 * bytes, and the rest may not be there yet. */
typedef struct tile_configuration {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_configuration;

INLINE void tiles_begin(void) {
    static const tile_configuration eight = {
        1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    __asm__ volatile("ldtilecfg %0" : : "m"(eight));
}

INLINE void tiles_end(void) {
    __asm__ volatile("tilerelease");
}

#define tile_zero(t) __asm__ volatile("tilezero %tmm" #t)
#define tile_load(t, p, step)                                                                      \
    __asm__ volatile("tileloadd (%0,%1), %%tmm" #t : : "r"(p), "r"((size_t)(step)) : "memory")
#define tile_store(t, p, step)                                                                     \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1)" : : "r"(p), "r"((size_t)(step)) : "memory")
#define tile_dot(c, a, b) __asm__ volatile("tdpbf16ps %tmm" #b ", %tmm" #a ", %tmm" #c)

INLINE void copy_part(size_t rows, size_t n, const float *from, size_t ld_from, float *to,
                      size_t ld_to) {
    for (size_t r = 0; r < rows; r++)
        store_lanes_part(to + r * ld_to, n, load_lanes_part(from + r * ld_from, n));
}

#include "runtime/kernels/amx_body.h"

/* ---- Packing -------------------------------------------------------------------------------- */

/* 16 outputs, up to 32 k: a transpose of pairs. dtype is a constant. W comes from memory in short
 * pieces of many rows, too short for the processor to foresee the next, so what follows in them is
 * asked for now (an address without memory does no harm). */
INLINE void pack_tile(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_rows, size_t n,
                      char *to) {
    const size_t ahead = 4 * PLENS__BLOCK_K * (dtype == PLENS_F32 ? 4 : 2);
    block_row r[BLOCK];
    UNROLL
    for (size_t i = 0; i < BLOCK; i++) {
        const char *row = w + i * row_bytes;
        __builtin_prefetch((const void *)((uintptr_t)row + ahead));
        r[i] = i < n_rows ? weight_words(dtype, row, n) : zero_row();
    }
    transpose(r);
    UNROLL
    for (size_t i = 0; i < BLOCK; i++)
        _mm512_storeu_si512(to + i * TILE_STEP, r[i]);
}

INLINE void pack_w_as(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_out, size_t k,
                      char *panel) {
    const size_t size = dtype == PLENS_F32 ? 4 : 2;
    for (size_t i = 0; i < k; i += PLENS__BLOCK_K, panel += AMX_PANEL_BLOCK)
        for (size_t o = 0; o < n_out; o += TILE)
            pack_tile(dtype, w + o * row_bytes + i * size, row_bytes, n_out - o, k - i,
                      panel + o / TILE * TILE_BYTES);
}

KERNEL void pack_w(plens_dtype dtype, const void *w, size_t row_bytes, size_t n_out, size_t k,
                   void *panel) {
    FOR_DTYPE(dtype, pack_w_as, w, row_bytes, n_out, k, panel);
}

/* For few rows: w is a, as it lies in memory. dtype is a constant. */
INLINE void strip_as(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_rows, size_t k,
                     char *strip) {
    const size_t size = dtype == PLENS_F32 ? 4 : 2;
    for (size_t i = 0; i < k; i += PLENS__BLOCK_K, strip += TILE_BYTES)
        for (size_t r = 0; r < TILE; r++) {
            const char *row = w + r * row_bytes + i * size;
            _mm512_storeu_si512(strip + r * TILE_STEP,
                                r < n_rows ? weight_words(dtype, row, k - i) : zero_row());
        }
}

KERNEL void pack_w_strip(plens_dtype dtype, const void *w, size_t row_bytes, size_t n_rows,
                         size_t k, void *strip) {
    FOR_DTYPE(dtype, strip_as, w, row_bytes, n_rows, k, strip);
}

/* The next 32 of a row, of which n are there. */
INLINE void load_floats(const float *p, size_t n, __m512 *low, __m512 *high) {
    *low = floats_at(p, n);
    *high = floats_at(p + 16, n > 16 ? n - 16 : 0);
}

KERNEL void pack_x_bf16(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    char *to = strip;
    for (size_t i = 0; i < k; i += PLENS__BLOCK_K, to += TILE_BYTES)
        for (size_t r = 0; r < TILE; r++) {
            __m512 low, high;
            load_floats(x + r * ldx + i, r < n_rows ? k - i : 0, &low, &high);
            _mm512_storeu_si512(to + r * TILE_STEP, round_words(low, high));
        }
}

KERNEL void pack_x_bf16x3(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    char *to = strip;
    for (size_t i = 0; i < k; i += PLENS__BLOCK_K, to += 3 * TILE_BYTES)
        for (size_t r = 0; r < TILE; r++) {
            __m512 floats[2], low[3], high[3];
            load_floats(x + r * ldx + i, r < n_rows ? k - i : 0, &floats[0], &floats[1]);
            split(floats[0], low);
            split(floats[1], high);
            for (size_t part = 0; part < 3; part++) /* lo first */
                _mm512_storeu_si512(to + part * TILE_BYTES + r * TILE_STEP,
                                    upper_words(low[2 - part], high[2 - part]));
        }
}

/* ---- The tables ------------------------------------------------------------------------------
 *
 * Sized for a second-level cache of 2 MiB, in which the item's activations of one part of k, a
 * panel and the item's c should lie: 1 MiB, 64 KiB and 512 KiB. Every part of k costs a load and a
 * store of c (measured: 63 % of the peak where a part is 256 k, 90 % where K is not cut), every
 * item a transpose of the weights. */

static const plens__product bf16 = {
    .isa = PLENS_ISA_AMX,
    .precision = PLENS_PRECISION_BF16,
    .strip = TILE,
    .panel = AMX_PANEL,
    .strip_block = TILE_BYTES,
    .panel_block = AMX_PANEL_BLOCK,
    .k_part = 1024,
    .item_rows = 512,
    .item_panels = 8,
    .pack_w = pack_w,
    .pack_x = pack_x_bf16,
    .multiply = multiply_bf16,
    .pack_w_strip = pack_w_strip,
};

static const plens__product bf16x3 = {
    .isa = PLENS_ISA_AMX,
    .precision = PLENS_PRECISION_BF16X3,
    .strip = TILE,
    .panel = AMX_PANEL,
    .strip_block = 3 * TILE_BYTES,
    .panel_block = AMX_PANEL_BLOCK,
    .k_part = 768,
    .item_rows = 256,
    .item_panels = 8,
    .pack_w = pack_w,
    .pack_x = pack_x_bf16x3,
    .multiply = multiply_bf16x3,
};

const plens__product *plens__product_amx(plens_precision precision) {
    return precision == PLENS_PRECISION_BF16     ? &bf16
           : precision == PLENS_PRECISION_BF16X3 ? &bf16x3
                                                 : NULL;
}

#else

const plens__product *plens__product_amx(plens_precision precision) {
    (void)precision;
    return NULL;
}

#endif
