/* NEON of AArch64, little-endian. Every such processor has it.
 *
 * Flushing. FPCR.FZ differs from the definition in one thing: a result is judged before it is
 * rounded, so one just below 2^-126 that would round up to it becomes zero [Arm ARM, FPCR.FZ].
 * Whatever it flushes raises FPSR.UFC; a tile that did is computed again in software. BFDOT and
 * BFMMLA are not used: their order of operations is another. */
#include "runtime/fp.h"

#include "runtime/kernels/kernels.h"
#include "runtime/kernels/product.h"

#if defined(__aarch64__) && defined(__ARM_NEON) && !defined(__ARM_BIG_ENDIAN) &&                   \
    (defined(__GNUC__) || defined(__clang__))

#include <arm_neon.h>
#include <string.h>

#include "runtime/kernels/exp.h"
#include "runtime/kernels/flushed.h"
#include "runtime/kernels/unroll.h"

#define KERNEL __attribute__((noinline)) static /* its arithmetic stays between looks at FPSR */
#define INLINE __attribute__((always_inline)) static inline

#include "runtime/kernels/neon_vector.h"
#include "runtime/kernels/vector_body.h"

/* ---- Packing: transposes of 4 x 4 elements of 32 bits ---------------------------------------- */

#define BLOCK 4
typedef uint32x4_t block_row;

INLINE block_row load_row(const void *p) {
    return vreinterpretq_u32_u8(vld1q_u8(p)); /* any alignment */
}

INLINE block_row zero_row(void) {
    return vdupq_n_u32(0);
}

INLINE block_row halves_joined(uint32x2_t low, uint32x2_t high) {
    return vcombine_u32(low, high);
}

INLINE void transpose(block_row r[BLOCK]) {
    block_row a = vtrn1q_u32(r[0], r[1]), b = vtrn2q_u32(r[0], r[1]); /* 00 10 02 12, 01 11 03 13 */
    block_row c = vtrn1q_u32(r[2], r[3]), d = vtrn2q_u32(r[2], r[3]);
    r[0] = halves_joined(vget_low_u32(a), vget_low_u32(c));
    r[1] = halves_joined(vget_low_u32(b), vget_low_u32(d));
    r[2] = halves_joined(vget_high_u32(a), vget_high_u32(c));
    r[3] = halves_joined(vget_high_u32(b), vget_high_u32(d));
}

INLINE void put(float *p, block_row r) {
    vst1q_f32(p, vreinterpretq_f32_u32(r));
}

/* The even and odd elements of pairs of 16 bits, widened. */
INLINE block_row even_bf16(block_row r) {
    return vshlq_n_u32(r, 16);
}

INLINE block_row odd_bf16(block_row r) {
    return vandq_u32(r, vdupq_n_u32(0xFFFF0000));
}

INLINE block_row even_f16(block_row r) {
    return vreinterpretq_u32_f32(vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(r))));
}

INLINE block_row odd_f16(block_row r) {
    return even_f16(vshrq_n_u32(r, 16));
}

/* ---- The product, f32: 8 rows times 3 vectors of outputs, 24 of the 32 registers ------------- */

#define VECTORS      3
#define VECTOR       4
#define STRIP        8
#define DIRECT_STRIP 8
typedef float32x4_t lanes;

INLINE lanes as_lanes(block_row r) {
    return vreinterpretq_f32_u32(r);
}

INLINE lanes load_lanes(const float *p) {
    return vld1q_f32(p);
}

INLINE lanes load_lanes_part(const float *p, size_t n) {
    float padded[VECTOR] = {0};
    memcpy(padded, p, n * sizeof *p);
    return vld1q_f32(padded);
}

INLINE void store_lanes(float *p, lanes v) {
    vst1q_f32(p, v);
}

INLINE void store_lanes_part(float *p, size_t n, lanes v) {
    float padded[VECTOR];
    vst1q_f32(padded, v);
    memcpy(p, padded, n * sizeof *p);
}

INLINE lanes all_lanes(float x) {
    return vdupq_n_f32(x);
}

INLINE lanes fused_lanes(lanes a, lanes b, lanes c) {
    return vfmaq_f32(c, a, b);
}

#include "runtime/kernels/vector_gemm.h"

/* ---- The product, bf16 and bf16x3 ------------------------------------------------------------ */

#define UNITS      32
#define PERIOD     2
#define BF16_STRIP 4
typedef float unit;
typedef float32x4_t unit_lanes;

INLINE unit_lanes load_units(const unit *p) {
    return vld1q_f32(p);
}

INLINE unit_lanes all_units(const unit *p) {
    return vld1q_dup_f32(p);
}

INLINE lanes step_lanes(unit_lanes x, unit_lanes w, lanes sum) {
    return vfmaq_f32(sum, x, w);
}

INLINE lanes plus_lanes(lanes a, lanes b) {
    return vaddq_f32(a, b);
}

#include "runtime/kernels/vector_bf16.h"

#define FPSR_UFC ((uint64_t)1 << 3)

INLINE uint64_t read_flags(void) {
    uint64_t flags;
    __asm__ volatile("mrs %0, fpsr" : "=r"(flags) : : "memory");
    return flags;
}

INLINE void clear_flags(void) {
    __asm__ volatile("msr fpsr, xzr" : : : "memory");
}

/* multiply_bf16 or multiply_bf16x3, which are right as long as UFC stays clear. */
typedef void fast_multiply(size_t n_rows, size_t k, const void *x, size_t x_step, const void *panel,
                           size_t n_out, int resume, float *c, size_t ldc);

/* The same as product.h defines it. */
static void multiply_exactly(size_t n_parts, size_t n_rows, size_t k, const float *strip,
                             const float *panel, size_t n_out, int resume, float *c) {
    for (size_t r = 0; r < n_rows; r++)
        for (size_t o = 0; o < n_out; o++) {
            const float *x = strip + r * UNITS;
            float sum = resume ? c[r * PANEL + o] : 0;
            for (size_t i = 0; i < k; i += PLENS__BLOCK_K)
                for (size_t part = 0; part < n_parts; part++, x += BF16_STRIP * UNITS)
                    sum = plens__flushed_block(x, panel + i * PANEL + o, PANEL, sum);
            c[r * PANEL + o] = sum;
        }
}

static void copy_rows(size_t n_rows, size_t n, const float *from, size_t ld_from, float *to,
                      size_t ld_to) {
    for (size_t r = 0; r < n_rows; r++)
        memcpy(to + r * ld_to, from + r * ld_from, n * sizeof *from);
}

/* One strip. Its sums stay apart from c until the flags say that they are right. */
static void multiply_strip(fast_multiply *fast, size_t n_parts, size_t n_rows, size_t k,
                           const void *strip, const void *panel, size_t n_out, int resume, float *c,
                           size_t ldc) {
    float sums[BF16_STRIP * PANEL];
    if (resume)
        copy_rows(n_rows, n_out, c, ldc, sums, PANEL);
    fast(n_rows, k, strip, 0, panel, n_out, resume, sums, PANEL);
    if (read_flags() & FPSR_UFC) {
        if (resume)
            copy_rows(n_rows, n_out, c, ldc, sums, PANEL);
        multiply_exactly(n_parts, n_rows, k, strip, panel, n_out, resume, sums);
        clear_flags();
    }
    copy_rows(n_rows, n_out, sums, PANEL, c, ldc);
}

static void multiply_strips(fast_multiply *fast, size_t n_parts, size_t n_rows, size_t k,
                            const void *x, size_t x_step, const void *panel, size_t n_out,
                            int resume, float *c, size_t ldc) {
    const char *strip = x;
    clear_flags();
    for (size_t r = 0; r < n_rows; r += BF16_STRIP, strip += x_step)
        multiply_strip(fast, n_parts, n_rows - r < BF16_STRIP ? n_rows - r : BF16_STRIP, k, strip,
                       panel, n_out, resume, c + r * ldc, ldc);
}

static void checked_bf16(size_t n_rows, size_t k, const void *x, size_t x_step, const void *panel,
                         size_t n_out, int resume, float *c, size_t ldc) {
    multiply_strips(multiply_bf16, 1, n_rows, k, x, x_step, panel, n_out, resume, c, ldc);
}

static void checked_bf16x3(size_t n_rows, size_t k, const void *x, size_t x_step, const void *panel,
                           size_t n_out, int resume, float *c, size_t ldc) {
    multiply_strips(multiply_bf16x3, 3, n_rows, k, x, x_step, panel, n_out, resume, c, ldc);
}

/* ---- Packing, bf16 and bf16x3 ---------------------------------------------------------------- */

INLINE uint32x4_t bits_of_four(float32x4_t x) {
    return vreinterpretq_u32_f32(x);
}

/* A NaN becomes quiet: the bits that are cut off may be all that makes it one. */
INLINE float32x4_t cut_four(float32x4_t x) {
    uint32x4_t quiet = vorrq_u32(bits_of_four(x), vdupq_n_u32(0x400000));
    uint32x4_t bits = vbslq_u32(vceqq_f32(x, x), bits_of_four(x), quiet);
    return vreinterpretq_f32_u32(vandq_u32(bits, vdupq_n_u32(0xFFFF0000)));
}

/* What is below 2^-126 need not become zero here: FZ reads it so. */
INLINE float32x4_t round_four(float32x4_t x) {
    uint32x4_t bits = bits_of_four(x), odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    uint32x4_t up = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7FFF)), odd);
    uint32x4_t changed = vcgeq_f32(vabsq_f32(x), vdupq_n_f32(FLT_MIN));
    up = vandq_u32(up, vdupq_n_u32(0xFFFF0000));
    return vbslq_f32(changed, vreinterpretq_f32_u32(up), cut_four(x));
}

INLINE float32x4_t four_where_finite(float32x4_t a, float32x4_t b) {
    uint32x4_t finite = vcltq_f32(vabsq_f32(a), vdupq_n_f32(INFINITY));
    return vbslq_f32(finite, b, vdupq_n_f32(0));
}

LANEWISE_1(cut, cut_four)
LANEWISE_1(rounded, round_four)
LANEWISE_2(where_finite, four_where_finite)

/* Of eight halves each. */
INLINE vec widen_bf16(const void *p) {
    const uint8_t *bytes = p;
    vec v;
    UNROLL
    for (int i = 0; i < 4; i++) {
        uint16x4_t halves = vreinterpret_u16_u8(vld1_u8(bytes + 8 * i));
        v.part[i] = vreinterpretq_f32_u32(vshll_n_u16(halves, 16));
    }
    return v;
}

INLINE vec widen_f16(const void *p) {
    const uint8_t *bytes = p;
    vec v;
    UNROLL
    for (int i = 0; i < 4; i++)
        v.part[i] = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(bytes + 8 * i)));
    return v;
}

#include "runtime/kernels/vector_widened.h"

/* ---- Tables ---------------------------------------------------------------------------------- */

INLINE lanes times_lanes(lanes a, lanes b) {
    return vmulq_f32(a, b);
}

#define ATTEND_STRIP 4
#include "runtime/kernels/vector_attention.h"

static const plens__kernels table = {
    PLENS_ISA_NEON, rms_norm,      rope,         attend,  attend_rows, attend_scores,
    attend_softmax, attend_values, silu_mul,     silu,    multiply,    add,
    vocab_sums,     count_greater, find_greater, exp_all, dot_double,
};

/* Panels of 24 KiB stay in the first cache while the item's rows go by. */
enum { K_PART = 512, ITEM_ROWS = 256, ITEM_PANELS = 16 };

static const plens__product products[] = {
    {.isa = PLENS_ISA_NEON,
     .precision = PLENS_PRECISION_F32,
     .strip = STRIP,
     .panel = PANEL,
     .panel_block = PLENS__BLOCK_K * PANEL * sizeof(float),
     .k_part = K_PART,
     .item_rows = ITEM_ROWS,
     .item_panels = ITEM_PANELS,
     .pack_w = pack,
     .multiply = gemm,
     .pack_w_strip = pack_strip_f32,
     .multiply_directly = gemm_directly,
     .direct_rows = 8},
    {.isa = PLENS_ISA_NEON,
     .precision = PLENS_PRECISION_BF16,
     .flushes = 1,
     .strip = BF16_STRIP,
     .panel = PANEL,
     .strip_block = UNITS * BF16_STRIP * sizeof(unit),
     .panel_block = PLENS__BLOCK_K * PANEL * sizeof(float),
     .k_part = K_PART,
     .item_rows = ITEM_ROWS,
     .item_panels = ITEM_PANELS,
     .pack_w = pack_w_bf16,
     .pack_x = pack_x_bf16,
     .multiply = checked_bf16,
     .pack_w_strip = pack_strip_bf16},
    {.isa = PLENS_ISA_NEON,
     .precision = PLENS_PRECISION_BF16X3,
     .flushes = 1,
     .strip = BF16_STRIP,
     .panel = PANEL,
     .strip_block = 3 * UNITS * BF16_STRIP * sizeof(unit),
     .panel_block = PLENS__BLOCK_K * PANEL * sizeof(float),
     .k_part = K_PART,
     .item_rows = ITEM_ROWS,
     .item_panels = ITEM_PANELS,
     .pack_w = pack_w_bf16,
     .pack_x = pack_x_bf16x3,
     .multiply = checked_bf16x3},
};

const plens__kernels *plens__kernels_neon(void) {
    return &table;
}

const plens__product *plens__product_neon(plens_precision precision) {
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (products[i].precision == precision)
            return &products[i];
    return NULL;
}

#else

const plens__kernels *plens__kernels_neon(void) {
    return NULL;
}

const plens__product *plens__product_neon(plens_precision precision) {
    (void)precision;
    return NULL;
}

#endif
