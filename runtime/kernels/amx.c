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
#define tile_load(t, p)                                                                            \
    __asm__ volatile("tileloadd (%0,%1), %%tmm" #t : : "r"(p), "r"((size_t)64) : "memory")
#define tile_pass(t, p)                                                                            \
    __asm__ volatile("tileloaddt1 (%0,%1), %%tmm" #t : : "r"(p), "r"((size_t)64) : "memory")
#define tile_pass_rows(t, p, step)                                                                 \
    __asm__ volatile("tileloaddt1 (%0,%1), %%tmm" #t : : "r"(p), "r"((size_t)(step)) : "memory")
#define tile_store(t, p, step)                                                                     \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1)" : : "r"(p), "r"((size_t)(step)) : "memory")
#define tile_dot(c, a, b) __asm__ volatile("tdpbf16ps %tmm" #b ", %tmm" #a ", %tmm" #c)

INLINE void ask_near(const char *p, int to_write) {
    if (to_write)
        __asm__ volatile("prefetchw %0" : : "m"(*p));
    else
        _mm_prefetch(p, _MM_HINT_T0);
}

#include "runtime/kernels/amx_pack.h"

#include "runtime/kernels/amx_body.h"

/* ---- The tables ------------------------------------------------------------------------------
 *
 * An item's sums and its packed panels of one part should lie in a second-level cache of 2 MiB: 1
 * MiB and 288 KiB at most. */

static const plens__product bf16 = {
    .isa = PLENS_ISA_AMX,
    .precision = PLENS_PRECISION_BF16,
    .strip = PAIR,
    .panel = PAIR,
    .strip_block = PAIR_BYTES,
    .item_rows = 1024,
    .item_panels = 8,
    .pack_x = pack_x_bf16,
    .multiply_directly = multiply_bf16,
    .direct_rows = SIZE_MAX,
    .direct_scratch = direct_scratch,
    .pack_x_turned = turn_x_bf16,
    .multiply_turned = turned_bf16,
    .turned_rows = FEW_ROWS,
};

static const plens__product bf16x3 = {
    .isa = PLENS_ISA_AMX,
    .precision = PLENS_PRECISION_BF16X3,
    .strip = PAIR,
    .panel = PAIR,
    .strip_block = 3 * PAIR_BYTES,
    .item_rows = 1024,
    .item_panels = 8,
    .pack_x = pack_x_bf16x3,
    .multiply_directly = multiply_bf16x3,
    .direct_rows = SIZE_MAX,
    .direct_scratch = direct_scratch,
    .pack_x_turned = turn_x_bf16x3,
    .multiply_turned = turned_bf16x3,
    .turned_rows = FEW_ROWS,
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
