/* The definition: the kernels in plain C, one operation after the other as kernels.h and product.h
 * have them. */
#include "runtime/fp.h"

#include <math.h>

#include "runtime/kernels/exp.h"
#include "runtime/kernels/flushed.h"
#include "runtime/kernels/attend_each.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/product.h"
#include "runtime/widen.h"

enum { PANEL = 16, K_PART = 512, ITEM_ROWS = 256, ITEM_PANELS = 8 };

/* ---- The product, f32 ----------------------------------------------------------------------- */

static void pack_f32(plens_dtype dtype, const void *w, size_t row_bytes, size_t n_out, size_t k,
                     void *to) {
    float *panel = to;
    size_t size = dtype == PLENS_F32 ? 4 : 2;
    for (size_t o = 0; o < PANEL; o++) {
        const char *row = (const char *)w + o * row_bytes;
        for (size_t i = 0; i < k; i++) {
            float value = 0;
            if (o < n_out)
                plens__widen(dtype, row + i * size, 1, &value);
            panel[i * PANEL + o] = value;
        }
    }
}

static void multiply_f32(size_t n_rows, size_t k, const void *x, size_t x_step, const void *w,
                         size_t n_out, int resume, float *c, size_t ldc) {
    const float *panel = w;
    for (size_t r = 0; r < n_rows; r++) {
        const float *row = (const float *)(const void *)((const char *)x + r * x_step);
        float sum[PANEL] = {0};
        for (size_t o = 0; o < n_out && resume; o++)
            sum[o] = c[r * ldc + o];
        for (size_t i = 0; i < k; i++)
            for (size_t o = 0; o < n_out; o++)
                sum[o] = fmaf(row[i], panel[i * PANEL + o], sum[o]);
        for (size_t o = 0; o < n_out; o++)
            c[r * ldc + o] = sum[o];
    }
}

/* ---- The product, bf16 and bf16x3 ------------------------------------------------------------
 *
 * All of it is independent of the processor's flush modes (flushed.h). A strip is one row: [K / 32,
 * parts, 32] floats. A panel is [K, PANEL] floats. */

static size_t padded(size_t k) {
    return (k + PLENS__BLOCK_K - 1) / PLENS__BLOCK_K * PLENS__BLOCK_K;
}

/* A NaN by its bits, not by x != x: gcc 12 takes `x != x ? bits : bits & mask` for `bits`. */
static int is_nan(uint32_t bits) {
    return (bits & 0x7FFFFFFF) > 0x7F800000;
}

/* Without the bits that bf16 does not have. */
static float cut(float x) {
    uint32_t bits = plens__bits_of_float(x);
    return plens__float_of_bits((is_nan(bits) ? bits | 0x400000 : bits) & 0xFFFF0000);
}

/* To the nearest bf16, ties to even. */
static float round_to_bf16(float x) {
    uint32_t bits = plens__bits_of_float(plens__flushed(x));
    return is_nan(bits) ? cut(x)
                        : plens__float_of_bits((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000);
}

static void pack_rounded(plens_dtype dtype, const void *w, size_t row_bytes, size_t n_out, size_t k,
                         void *to) {
    float *panel = to;
    pack_f32(dtype, w, row_bytes, n_out, k, panel);
    for (size_t i = 0; i < k * PANEL && dtype != PLENS_BF16; i++)
        panel[i] = round_to_bf16(panel[i]);
    for (size_t i = k * PANEL; i < padded(k) * PANEL; i++)
        panel[i] = 0;
}

static void pack_x_bf16(const float *x, size_t ldx, size_t n_rows, size_t k, void *to) {
    float *strip = to;
    (void)ldx, (void)n_rows; /* one row */
    for (size_t i = 0; i < padded(k); i++)
        strip[i] = i < k ? round_to_bf16(x[i]) : 0.0f;
}

static void pack_x_bf16x3(const float *x, size_t ldx, size_t n_rows, size_t k, void *to) {
    float *strip = to;
    (void)ldx, (void)n_rows;
    for (size_t i = 0; i < padded(k); i++) {
        float value = i < k ? x[i] : 0.0f, high = cut(value), middle = 0, low = 0;
        if (fabsf(value) < INFINITY) {
            middle = cut(value - high);
            low = cut(value - high - middle);
        }
        float *at = strip + i / PLENS__BLOCK_K * 3 * PLENS__BLOCK_K + i % PLENS__BLOCK_K;
        at[0] = low;
        at[PLENS__BLOCK_K] = middle;
        at[2 * PLENS__BLOCK_K] = high;
    }
}

static void multiply_parts(size_t n_parts, size_t n_rows, size_t k, const void *x, size_t x_step,
                           const void *w, size_t n_out, int resume, float *c, size_t ldc) {
    for (size_t r = 0; r < n_rows; r++)
        for (size_t o = 0; o < n_out; o++) {
            const float *row = (const float *)(const void *)((const char *)x + r * x_step);
            float sum = resume ? c[r * ldc + o] : 0;
            for (size_t i = 0; i < k; i += PLENS__BLOCK_K)
                for (size_t part = 0; part < n_parts; part++, row += PLENS__BLOCK_K)
                    sum = plens__flushed_block(row, (const float *)w + i * PANEL + o, PANEL, sum);
            c[r * ldc + o] = sum;
        }
}

static void multiply_bf16(size_t n_rows, size_t k, const void *x, size_t x_step, const void *w,
                          size_t n_out, int resume, float *c, size_t ldc) {
    multiply_parts(1, n_rows, k, x, x_step, w, n_out, resume, c, ldc);
}

static void multiply_bf16x3(size_t n_rows, size_t k, const void *x, size_t x_step, const void *w,
                            size_t n_out, int resume, float *c, size_t ldc) {
    multiply_parts(3, n_rows, k, x, x_step, w, n_out, resume, c, ldc);
}

const plens__product *plens__product_scalar(plens_precision precision) {
    static const plens__product products[] = {
        {.isa = PLENS_ISA_SCALAR,
         .precision = PLENS_PRECISION_F32,
         .strip = 4,
         .panel = PANEL,
         .panel_block = PLENS__BLOCK_K * PANEL * sizeof(float),
         .k_part = K_PART,
         .item_rows = ITEM_ROWS,
         .item_panels = ITEM_PANELS,
         .pack_w = pack_f32,
         .multiply = multiply_f32},
        {.isa = PLENS_ISA_SCALAR,
         .precision = PLENS_PRECISION_BF16,
         .strip = 1,
         .panel = PANEL,
         .strip_block = PLENS__BLOCK_K * sizeof(float),
         .panel_block = PLENS__BLOCK_K * PANEL * sizeof(float),
         .k_part = K_PART,
         .item_rows = ITEM_ROWS,
         .item_panels = ITEM_PANELS,
         .pack_w = pack_rounded,
         .pack_x = pack_x_bf16,
         .multiply = multiply_bf16},
        {.isa = PLENS_ISA_SCALAR,
         .precision = PLENS_PRECISION_BF16X3,
         .strip = 1,
         .panel = PANEL,
         .strip_block = 3 * PLENS__BLOCK_K * sizeof(float),
         .panel_block = PLENS__BLOCK_K * PANEL * sizeof(float),
         .k_part = K_PART,
         .item_rows = ITEM_ROWS,
         .item_panels = ITEM_PANELS,
         .pack_w = pack_rounded,
         .pack_x = pack_x_bf16x3,
         .multiply = multiply_bf16x3},
    };
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (products[i].precision == precision)
            return &products[i];
    return NULL;
}

/* ---- Rows ---------------------------------------------------------------------------------- */

static float lane_tree(float lane[PLENS__LANES]) {
    for (size_t width = PLENS__LANES / 2; width > 0; width /= 2)
        for (size_t j = 0; j < width; j++)
            lane[j] += lane[j + width];
    return lane[0];
}

/* The lane sum of a_i b_i by fma. */
static float dot(const float *a, const float *b, size_t n) {
    float lane[PLENS__LANES] = {0};
    for (size_t i = 0; i < n; i++)
        lane[i % PLENS__LANES] = fmaf(a[i], b[i], lane[i % PLENS__LANES]);
    return lane_tree(lane);
}

static float sum(const float *a, size_t n) {
    float lane[PLENS__LANES] = {0};
    for (size_t i = 0; i < n; i++)
        lane[i % PLENS__LANES] += a[i];
    return lane_tree(lane);
}

/* e^x; see exp.h. */
static float exponential(float x) {
    x = PLENS__EXP_HIGH < x ? PLENS__EXP_HIGH : x;
    x = PLENS__EXP_LOW > x ? PLENS__EXP_LOW : x;
    float t = fmaf(x, PLENS__EXP_LOG2E, PLENS__EXP_SHIFT);
    float n = t - PLENS__EXP_SHIFT;
    float r = fmaf(n, -PLENS__EXP_LN2_HIGH, x);
    r = fmaf(n, -PLENS__EXP_LN2_LOW, r);
    float p = fmaf(PLENS__EXP_C6, r, PLENS__EXP_C5);
    p = fmaf(p, r, PLENS__EXP_C4);
    p = fmaf(p, r, PLENS__EXP_C3);
    p = fmaf(p, r, PLENS__EXP_C2);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    uint32_t bits;
    memcpy(&bits, &t, sizeof bits);
    uint32_t shifted = bits & PLENS__EXP_MASK, half = shifted >> 1;
    float first = plens__float_of_bits((half - 1) << 23);
    float second = plens__float_of_bits((shifted - half - 1) << 23);
    return (p * first) * second;
}

static void rms_norm(const float *x, const float *weight, size_t n, float eps, float *y) {
    float r = 1.0f / sqrtf(dot(x, x, n) / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] * r) * weight[i];
}

static void rope(float *x, const float *cosine, const float *sine, size_t half) {
    for (size_t i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = a * cosine[i] - b * sine[i];
        x[i + half] = b * cosine[i] + a * sine[i];
    }
}

static void attend_scores(const float *q, const float *k, size_t ldk, size_t n, size_t head_dim,
                          float scale, float *scores) {
    for (size_t j = 0; j < n; j++)
        scores[j] = dot(q, k + j * ldk, head_dim) * scale;
}

static void attend_softmax(float *scores, size_t n) {
    float max = -INFINITY;
    for (size_t j = 0; j < n; j++)
        max = scores[j] > max ? scores[j] : max;
    /* A NaN among the scores need not become the maximum: its own e_j makes the sum, and so every
     * p_j, a NaN. */
    for (size_t j = 0; j < n; j++)
        scores[j] = exponential(scores[j] - max);
    float total = sum(scores, n);
    for (size_t j = 0; j < n; j++)
        scores[j] /= total;
}

static void attend_values(const float *p, const float *v, size_t ldv, size_t n, size_t head_dim,
                          float *out) {
    for (size_t i = 0; i < head_dim; i++) {
        out[i] = 0;
        for (size_t j = 0; j < n; j++)
            out[i] = fmaf(p[j], v[j * ldv + i], out[i]);
    }
}

static void attend(const float *q, const float *k, size_t ldk, const float *v, size_t ldv, size_t n,
                   size_t head_dim, float scale, float *scores, float *out) {
    attend_scores(q, k, ldk, n, head_dim, scale, scores);
    attend_softmax(scores, n);
    attend_values(scores, v, ldv, n, head_dim, out);
}

static void attend_rows(const plens__queries *queries, float *scratch) {
    plens__attend_each(queries, attend, scratch);
}

static float silu_of(float x) {
    return x / (1.0f + exponential(-x));
}

static void silu(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = silu_of(x[i]);
}

static void multiply(float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] *= y[i];
}

static void silu_mul(const float *gate, const float *up, size_t n, float *out) {
    for (size_t i = 0; i < n; i++)
        out[i] = silu_of(gate[i]) * up[i];
}

static void add(float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

/* ---- Vocabulary ---------------------------------------------------------------------------- */

static double lane_tree_double(double lane[PLENS__LANES]) {
    for (size_t width = PLENS__LANES / 2; width > 0; width /= 2)
        for (size_t j = 0; j < width; j++)
            lane[j] += lane[j + width];
    return lane[0];
}

static void vocab_sums(const float *x, size_t n, plens__vocab_sums *sums) {
    float max = -INFINITY;
    int finite = 1;
    for (size_t i = 0; i < n; i++) {
        max = x[i] > max ? x[i] : max;
        finite &= fabsf(x[i]) < INFINITY; /* false for a NaN */
    }
    double lane[PLENS__LANES] = {0}, weighted[PLENS__LANES] = {0};
    for (size_t i = 0; i < n && finite; i++) {
        float below = x[i] - max, e = exponential(below);
        lane[i % PLENS__LANES] += (double)e;
        if (e > 0) /* below may be -inf where e is 0 */
            weighted[i % PLENS__LANES] += (double)e * (double)below;
    }
    sums->max = max + 0.0f; /* one zero, whichever of +0 and -0 came first */
    sums->finite = finite;
    sums->sum = lane_tree_double(lane);
    sums->weighted = lane_tree_double(weighted);
}

static size_t count_greater(const float *x, size_t n, float threshold) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += x[i] > threshold;
    return count;
}

static size_t find_greater(const float *x, size_t from, size_t n, float threshold) {
    while (from < n && !(x[from] > threshold))
        from++;
    return from < n ? from : n;
}

static void exp_all(const float *x, size_t n, float *y) {
    for (size_t i = 0; i < n; i++)
        y[i] = exponential(x[i]);
}

static double dot_double(const float *a, const float *b, size_t n) {
    double lane[PLENS__LANES] = {0};
    for (size_t i = 0; i < n; i++)
        lane[i % PLENS__LANES] += (double)a[i] * (double)b[i];
    return lane_tree_double(lane);
}

const plens__kernels plens__kernels_scalar = {
    PLENS_ISA_SCALAR, rms_norm,      rope,         attend,  attend_rows, attend_scores,
    attend_softmax,   attend_values, silu_mul,     silu,    multiply,    add,
    vocab_sums,       count_greater, find_greater, exp_all, dot_double,
};
