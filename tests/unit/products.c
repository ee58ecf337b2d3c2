/* Every product of every precision against the definition, and the definition against integers. */
#include "sets.h"

#include "runtime/fpstate.h"
#include "runtime/widen.h"

enum { FIELD = 8192, MARGIN = 21, MOST_ROWS = 72, MOST_K = 160, MOST_OUT = 100 };

static const plens_precision precisions[] = {PLENS_PRECISION_F32, PLENS_PRECISION_BF16,
                                             PLENS_PRECISION_BF16X3};
enum { N_PRECISIONS = 3 };

/* ---- Calling a product ----------------------------------------------------------------------- */

typedef struct problem {
    plens_dtype dtype;
    const char *w; /* [n_out, k], row_bytes between rows */
    size_t row_bytes, n_out, k;
    const float *x; /* [n_rows, k], ldx floats between rows */
    size_t ldx, n_rows;
    int resume;
    size_t ldc;
} problem;

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Memory with canaries on both sides, a byte off any alignment but float's. */
static char *guarded(size_t n_bytes) {
    char *block = malloc(n_bytes + 8);
    memset(block, 0x5A, n_bytes + 8);
    return block + 4;
}

static int release(char *inside, size_t n_bytes) {
    static const char canary[4] = {0x5A, 0x5A, 0x5A, 0x5A};
    int intact = memcmp(inside - 4, canary, 4) == 0 && memcmp(inside + n_bytes, canary, 4) == 0;
    free(inside - 4);
    return intact;
}

/* All of k, by a product that knows no other way. */
static int solve_directly(const plens__product *product, const problem *p, float *c) {
    size_t step = (p->k + 31) / 32 * product->strip_block;
    size_t strip_bytes = (p->n_rows + product->strip - 1) / product->strip * step;
    size_t scratch_bytes = product->direct_scratch(p->n_rows, p->k, p->n_out);
    char *strips = guarded(strip_bytes), *scratch = guarded(scratch_bytes);
    for (size_t r = 0; r < p->n_rows; r += product->strip)
        product->pack_x(p->x + r * p->ldx, p->ldx, smaller(product->strip, p->n_rows - r), p->k,
                        strips + r / product->strip * step);
    product->multiply_directly(p->dtype, p->n_rows, p->k, strips, step, p->w, p->row_bytes,
                               p->n_out, c, p->ldc, scratch);
    int intact = release(strips, strip_bytes);
    return release(scratch, scratch_bytes) && intact;
}

/* c [n_rows, n_out], with k cut into parts of `part`. Returns 0 if a byte too many was written in
 * packing. */
static int solve(const plens__product *product, const problem *p, size_t part, float *c) {
    if (product->multiply == NULL)
        return solve_directly(product, p, c);
    size_t size = p->dtype == PLENS_F32 ? 4 : 2, strip_bytes = 0, intact = 1;
    size_t n_strips = (p->n_rows + product->strip - 1) / product->strip;
    for (size_t k0 = 0; k0 < p->k; k0 += part) {
        size_t n_k = smaller(part, p->k - k0), blocks = (n_k + 31) / 32, step = p->ldx * 4;
        char *strips = NULL, *panel = guarded(blocks * product->panel_block);
        const void *x = p->x + k0;
        if (product->strip_block > 0) {
            step = blocks * product->strip_block;
            strip_bytes = n_strips * step;
            strips = guarded(strip_bytes);
            for (size_t r = 0; r < p->n_rows; r += product->strip)
                product->pack_x(p->x + k0 + r * p->ldx, p->ldx,
                                smaller(product->strip, p->n_rows - r), n_k,
                                strips + r / product->strip * step);
            x = strips;
        }
        for (size_t o = 0; o < p->n_out; o += product->panel) {
            size_t n_out = smaller(product->panel, p->n_out - o);
            product->pack_w(p->dtype, p->w + o * p->row_bytes + k0 * size, p->row_bytes, n_out, n_k,
                            panel);
            plens__fpstate saved;
            plens__fpstate_enter(&saved, product->flushes);
            product->multiply(p->n_rows, n_k, x, step, panel, n_out, p->resume || k0 > 0, c + o,
                              p->ldc);
            plens__fpstate_leave(&saved);
        }
        intact &= (size_t)release(panel, blocks * product->panel_block);
        intact &= strips == NULL || release(strips, strip_bytes);
    }
    return (int)intact;
}

/* ---- Values ---------------------------------------------------------------------------------- */

static float x[MOST_ROWS * (MOST_K + 5)];
static char w[MOST_OUT * (MOST_K * 4 + 6) + 1];

static void store_weight(plens_dtype dtype, float value, char *to) {
    uint32_t bits = plens__bits_of_float(value);
    uint16_t half = (uint16_t)(bits >> 16);
    if (dtype == PLENS_F16) /* of every kind, and often small */
        half = (uint16_t)(test_random() & (value > 1 ? 0xFFFF : 0xBFFF));
    memcpy(to, dtype == PLENS_F32 ? (void *)&bits : (void *)&half, dtype == PLENS_F32 ? 4 : 2);
}

/* Fills x and w and makes a problem of random sizes; rows of w are at odd addresses. */
static problem make_problem(plens_dtype dtype, test_kind kind, size_t most_rows) {
    problem p = {.dtype = dtype, .w = w + 1, .x = x + 1};
    size_t size = dtype == PLENS_F32 ? 4 : 2;
    p.n_rows = 1 + test_below(most_rows);
    p.k = 1 + test_below(MOST_K);
    p.n_out = 1 + test_below(MOST_OUT);
    p.ldx = p.k + test_below(5);
    p.ldc = p.n_out + test_below(5);
    p.row_bytes = p.k * size + 2 * test_below(3);
    p.resume = (int)test_below(2);
    test_fill(x, sizeof x / sizeof *x, kind);
    for (size_t o = 0; o < p.n_out; o++)
        for (size_t k = 0; k < p.k; k++)
            store_weight(dtype, test_value(kind), w + 1 + o * p.row_bytes + k * size);
    return p;
}

/* The same fixed values in both, and values of the kind where sums go on. */
static void fill_c(const problem *p, test_kind kind, float *left, float *right) {
    for (size_t i = 0; i < FIELD; i++)
        left[i] = (float)i + 0.25f;
    for (size_t i = 0; i < p->n_rows * p->ldc && p->resume; i++)
        left[MARGIN + i] = test_value(kind);
    memcpy(right, left, FIELD * sizeof *right);
}

/* ---- Every product against the definition ---------------------------------------------------- */

static void compare(const plens__product *product, plens_dtype dtype, test_kind kind) {
    static float left[FIELD], right[FIELD];
    problem p = make_problem(dtype, kind, smaller(MOST_ROWS, FIELD / (MOST_OUT + 5)));
    size_t part = test_below(3) == 0 ? 32 * (1 + test_below(3)) : p.k;
    if (product->multiply == NULL)
        p.resume = 0;
    fill_c(&p, kind, left, right);
    solve(plens__product_scalar(product->precision), &p, p.k, left + MARGIN);
    CHECK(solve(product, &p, part, right + MARGIN));
    size_t at = test_difference(left, right, FIELD);
    CHECK_THAT(at == FIELD,
               "%s, %s, dtype %d, kind %d, %zu rows, k %zu, %zu outputs, ldc %zu: element %td is "
               "%a, expected %a",
               plens_isa_name(product->isa), plens_precision_name(product->precision), (int)dtype,
               (int)kind, p.n_rows, p.k, p.n_out, p.ldc, (ptrdiff_t)at - MARGIN, right[at],
               left[at]);
}

/* Other chains, an unfused or unflushed step, a lane or tail in the wrong place, a half not widened
 * exactly, rubbish in unused lanes, a byte too many written anywhere. */
static void products_have_the_definitions_bits(void) {
    for (int precision = 0; precision < N_PRECISIONS; precision++)
        for (size_t i = 1; test_product_at(i, precisions[precision]) != NULL; i++)
            for (int round = 0; round < 60 * N_KINDS && !test_bad; round++) {
                plens_dtype dtype = (plens_dtype)(PLENS_F32 + round / N_KINDS % 3);
                if (precisions[precision] == PLENS_PRECISION_BF16X3)
                    dtype = PLENS_BF16;
                compare(test_product_at(i, precisions[precision]), dtype,
                        (test_kind)(round % N_KINDS));
            }
}

/* Which products ran, for whoever reads the log of another machine. */
static void vector_products_are_here(void) {
    if (test_product_at(1, PLENS_PRECISION_BF16) == NULL)
        SKIP("this processor or build has no vector products");
}

/* ---- The definition against integers ---------------------------------------------------------
 *
 * A number is sign * m * 2^e with an integer m. Sums are made on 62 bits, what lies below them is
 * or-ed into the last one, which rounds as the exact sum would (as in Hauser's SoftFloat). */

typedef struct number {
    int negative;
    uint64_t m;
    int e;
} number;

static number number_of(float value) {
    uint32_t bits = plens__bits_of_float(value), exponent = bits >> 23 & 255;
    number n = {(int)(bits >> 31), bits & 0x7FFFFF, (int)exponent - 150};
    if (exponent == 0)
        n.m = 0; /* denormals are zeros */
    else
        n.m |= 0x800000;
    return n;
}

static number times(number a, number b) {
    number n = {a.negative ^ b.negative, a.m * b.m, a.e + b.e};
    return n;
}

static int top_bit(uint64_t m) {
    int n = -1;
    for (; m != 0; m >>= 1)
        n++;
    return n;
}

/* m 2^e in units of 2^base; a remainder becomes the last bit. */
static int64_t in_units(number n, int base) {
    int down = base - n.e;
    uint64_t m = n.m;
    if (m == 0)
        return 0;
    if (down >= 64)
        m = m != 0;
    else if (down > 0)
        m = m >> down | ((m & (((uint64_t)1 << down) - 1)) != 0);
    else
        m = n.m << -down;
    return n.negative ? -(int64_t)m : (int64_t)m;
}

/* a + b rounded to 24 bits with unbounded exponent, then 0 below 2^-126, infinite above the
 * largest float. */
static float sum_of(number a, number b) {
    if (a.m == 0 && b.m == 0)
        return a.negative && b.negative ? -0.0f : 0.0f;
    int top_a = a.m != 0 ? a.e + top_bit(a.m) : -10000, top_b = -10000;
    if (b.m != 0)
        top_b = b.e + top_bit(b.m);
    int base = (top_a > top_b ? top_a : top_b) - 60;
    int64_t sum = in_units(a, base) + in_units(b, base);
    if (sum == 0)
        return 0;
    uint64_t m = (uint64_t)(sum < 0 ? -sum : sum);
    int drop = top_bit(m) - 23;
    if (drop > 0) {
        uint64_t rest = m & (((uint64_t)1 << drop) - 1), half = (uint64_t)1 << (drop - 1);
        m >>= drop;
        m += rest > half || (rest == half && (m & 1));
        base += drop;
    }
    double value = ldexp((double)m, base); /* exact: m has 24 bits */
    float result = value < 0x1p-126 ? 0 : value >= 0x1p128 ? INFINITY : (float)value;
    return sum < 0 ? -result : result;
}

static int is_finite(float a) {
    return fabsf(a) < INFINITY;
}

static float flushed_sum(float a, float b) {
    return is_finite(a) && is_finite(b) ? sum_of(number_of(a), number_of(b)) : a + b;
}

static float flushed_step(float a, float b, float c) {
    if (is_finite(a) && is_finite(b) && is_finite(c))
        return sum_of(times(number_of(a), number_of(b)), number_of(c));
    float first = number_of(a).m == 0 ? 0 : a, second = number_of(b).m == 0 ? 0 : b;
    return is_finite(a) && is_finite(b) ? c : first * second + (is_finite(c) ? 0 : c);
}

/* To the nearest of 8 bits, ties to even, by quotient and remainder. */
static float nearest_bf16(float value) {
    number n = number_of(value);
    if (!is_finite(value))
        return value;
    uint64_t m = n.m / 65536, rest = n.m % 65536;
    m += rest > 32768 || (rest == 32768 && m % 2 == 1);
    float result = (float)ldexp((double)m, n.e + 16);
    return n.negative ? -result : result;
}

/* The first 8 bits of a value; fewer of a denormal one. */
static float first_bits(float value) {
    uint32_t bits = plens__bits_of_float(value), exponent = bits >> 23 & 255;
    return exponent == 255 ? value : plens__float_of_bits(bits / 65536 * 65536);
}

static float weight_at(const problem *p, size_t o, size_t k) {
    float value;
    size_t size = p->dtype == PLENS_F32 ? 4 : 2;
    plens__widen(p->dtype, p->w + o * p->row_bytes + k * size, 1, &value);
    return value;
}

/* c + one block of 32 k of a row's part and an output. */
static float add_block(const problem *p, const float *part, size_t o, size_t k0, float c) {
    float chain[2] = {0, 0};
    for (size_t k = k0; k < k0 + 32; k++) {
        float weight = k < p->k ? nearest_bf16(weight_at(p, o, k)) : 0;
        chain[k & 1] = flushed_step(part[k], weight, chain[k & 1]);
    }
    return flushed_sum(c, flushed_sum(chain[0], chain[1]));
}

/* The parts of a row in the order in which a block adds them; how many. */
static size_t parts_of(plens_precision precision, const float *row, size_t k,
                       float part[3][MOST_K + 32]) {
    memset(part, 0, 3 * sizeof part[0]);
    for (size_t i = 0; i < k; i++) {
        if (precision == PLENS_PRECISION_BF16) {
            part[0][i] = nearest_bf16(row[i]);
            continue;
        }
        part[2][i] = first_bits(row[i]);
        part[1][i] = is_finite(row[i]) ? first_bits(row[i] - part[2][i]) : 0;
        part[0][i] = is_finite(row[i]) ? first_bits(row[i] - part[2][i] - part[1][i]) : 0;
    }
    return precision == PLENS_PRECISION_BF16 ? 1 : 3;
}

static void model(plens_precision precision, const problem *p, float *c) {
    static float part[3][MOST_K + 32];
    for (size_t r = 0; r < p->n_rows; r++) {
        size_t n_parts = parts_of(precision, p->x + r * p->ldx, p->k, part);
        for (size_t o = 0; o < p->n_out; o++) {
            float *sum = c + r * p->ldc + o;
            *sum = p->resume ? *sum : 0;
            for (size_t k = 0; k < p->k && precision == PLENS_PRECISION_F32; k++)
                *sum = fmaf(p->x[r * p->ldx + k], weight_at(p, o, k), *sum);
            for (size_t k = 0; k < p->k && precision != PLENS_PRECISION_F32; k += 32)
                for (size_t i = 0; i < n_parts; i++)
                    *sum = add_block(p, part[i], o, k, *sum);
        }
    }
}

/* A definition that rounds twice at 2^-126, flushes before it rounds, forgets a zero's sign, or has
 * another order than the contract. */
static void the_definition_is_exact_arithmetic_rounded(void) {
    static float left[FIELD], right[FIELD];
    for (int round = 0; round < 30 * N_KINDS * N_PRECISIONS && !test_bad; round++) {
        plens_precision precision = precisions[round % N_PRECISIONS];
        test_kind kind = (test_kind)(round / N_PRECISIONS % N_KINDS);
        plens_dtype dtype = (plens_dtype)(PLENS_F32 + test_below(3));
        problem p = make_problem(precision == PLENS_PRECISION_BF16X3 ? PLENS_BF16 : dtype, kind, 5);
        fill_c(&p, kind, left, right);
        model(precision, &p, left + MARGIN);
        solve(plens__product_scalar(precision), &p, p.k, right + MARGIN);
        size_t at = test_difference(left, right, FIELD);
        CHECK_THAT(at == FIELD, "%s, dtype %d, kind %d, k %zu: element %td is %a, expected %a",
                   plens_precision_name(precision), (int)p.dtype, (int)kind, p.k,
                   (ptrdiff_t)at - MARGIN, right[at], left[at]);
    }
}

/* Test values that miss the edge: results must be found just below, at and just above 2^-126. */
static void the_edge_is_tested(void) {
    static float c[FIELD];
    size_t zeros = 0, smallest = 0, small = 0;
    for (int round = 0; round < 30; round++) {
        problem p = make_problem(PLENS_BF16, EDGE, 5);
        p.resume = 0;
        p.k = smaller(p.k, 32);
        solve(plens__product_scalar(PLENS_PRECISION_BF16), &p, p.k, c);
        for (size_t i = 0; i < p.n_rows * p.n_out; i++) {
            float found = fabsf(c[i / p.n_out * p.ldc + i % p.n_out]);
            zeros += found == 0;
            smallest += found == 0x1p-126f;
            small += found > 0x1p-126f && found < 0x1.1p-126f;
        }
    }
    CHECK_THAT(zeros > 20 && smallest > 5 && small > 5, "%zu zeros, %zu times 2^-126, %zu above",
               zeros, smallest, small);
}

/* ---- Accuracy --------------------------------------------------------------------------------
 *
 * u = 2^-24. In a block an element goes through at most 16 steps and e + o, then through one
 * addition for each block and part after it. bf16: (17 + K / 32) u of the sum of |x w|, of rounded
 * x and w. bf16x3: (17 + 3 K / 32) u of the sum over the parts, 1 + 2^-7 + 2^-14 times |x w|. */

static void sums_are_within_their_bound(void) {
    static float c[FIELD];
    for (int round = 0; round < 40; round++) {
        plens_precision precision = precisions[1 + round % 2];
        double parts = precision == PLENS_PRECISION_BF16 ? 1 : 3;
        problem p = make_problem(PLENS_BF16, PLAIN, 6);
        p.resume = 0;
        solve(plens__product_scalar(precision), &p, p.k, c);
        for (size_t i = 0; i < p.n_rows * p.n_out; i++) {
            size_t r = i / p.n_out, o = i % p.n_out;
            double sum = 0, size = 0;
            for (size_t k = 0; k < p.k; k++) {
                float value = p.x[r * p.ldx + k];
                if (precision == PLENS_PRECISION_BF16)
                    value = nearest_bf16(value);
                sum += (double)value * (double)weight_at(&p, o, k);
                size += fabs((double)value * (double)weight_at(&p, o, k));
            }
            double steps = 17 + parts * ceil((double)p.k / 32);
            double bound = steps * 0x1.01p-24 * size * (parts > 1 ? 1.0079 : 1);
            CHECK_THAT(fabs((double)c[r * p.ldc + o] - sum) <= bound, "%s: %g off, bound %g",
                       plens_precision_name(precision), (double)c[r * p.ldc + o] - sum, bound);
        }
    }
}

/* A number of 24 bits that loses some when it is cut into three. */
static void three_parts_are_the_whole(void) {
    const plens__product *product = plens__product_scalar(PLENS_PRECISION_BF16X3);
    float strip[3 * 32];
    for (int i = 0; i < 20000; i++) {
        float value = test_value(ANY_BITS);
        if (!is_finite(value) || fabsf(value) < 0x1p-102f)
            continue;
        product->pack_x(&value, 1, 1, 1, strip);
        CHECK((double)strip[0] + (double)strip[32] + (double)strip[64] == (double)value);
        for (int part = 0; part < 3; part++)
            CHECK((plens__bits_of_float(strip[32 * part]) & 0xFFFF) == 0);
    }
}

int main(void) {
    RUN(vector_products_are_here);
    RUN(the_definition_is_exact_arithmetic_rounded);
    RUN(the_edge_is_tested);
    RUN(products_have_the_definitions_bits);
    RUN(sums_are_within_their_bound);
    RUN(three_parts_are_the_whole);
    return test_finish();
}
