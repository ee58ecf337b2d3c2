/* plens__matmul with every product of every precision, number of threads and cut of the rows. */
#include "sets.h"

#include <fenv.h>

#include "runtime/matmul.h"
#include "runtime/widen.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

static void *reallocate(void *user, void *old, size_t old_size, size_t new_size) {
    (void)user, (void)old_size;
    if (new_size == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, new_size);
}

static const plens_allocator allocator = {reallocate, NULL};

enum { MOST_THREADS = 3 };

typedef struct problem {
    plens__matrix w;
    float *bias, *x; /* x [n_rows, ldx] */
    size_t n_rows, ldx, ldy;
} problem;

/* Weights at an odd address, of any finite value where they are halves. */
static problem make_problem(plens_dtype dtype, size_t n_out, size_t n_in, size_t n_rows,
                            test_kind kind) {
    size_t size = dtype == PLENS_F32 ? 4 : 2;
    problem p = {{NULL, dtype, n_out, n_in}, NULL, NULL, n_rows, n_in + 3, n_out + 2};
    char *data = malloc(n_out * n_in * size + 1);
    p.x = malloc(n_rows * p.ldx * sizeof(float));
    p.bias = malloc(n_out * sizeof(float));
    test_fill(p.x, n_rows * p.ldx, kind);
    test_fill(p.bias, n_out, kind);
    for (size_t i = 0; i < n_out * n_in; i++) {
        float value = test_value(kind);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        uint16_t half = (uint16_t)(dtype == PLENS_BF16 ? bits >> 16 : test_below(0x7C00));
        memcpy(data + 1 + i * size, dtype == PLENS_F32 ? (void *)&value : (void *)&half, size);
    }
    p.w.data = data + 1;
    return p;
}

static void free_problem(problem *p) {
    free((char *)(uintptr_t)p->w.data - 1);
    free(p->x);
    free(p->bias);
}

static float weight(const problem *p, size_t o, size_t k) {
    size_t size = p->w.dtype == PLENS_F32 ? 4 : 2;
    float value;
    plens__widen(p->w.dtype, (const char *)p->w.data + (o * p->w.n_in + k) * size, 1, &value);
    return value;
}

/* An engine that has scratch for this product, whatever it would choose itself. */
static void open_engine(const plens__product *product, int n_threads, plens__engine *engine) {
    static plens__share shares[MOST_THREADS];
    plens_options options = {0};
    options.threads = n_threads;
    if (plens__engine_open(&allocator, &options, engine, NULL) != PLENS_OK)
        abort();
    plens__free(&allocator, engine->scratch_block);
    engine->scratch_bytes = plens__matmul_scratch(product);
    engine->scratch_block = engine->scratch =
        plens__alloc(&allocator, (size_t)engine->n_threads * engine->scratch_bytes);
    engine->shares = shares;
}

/* y as a product and a number of threads make it, in memory of [n_rows, ldy] that is filled with 7
 * beforehand. */
static float *solve_rows(const problem *p, const plens__rows *rows, const plens__product *product,
                         int n_threads, int with_bias) {
    plens__engine engine;
    open_engine(product, n_threads, &engine);
    float *y = malloc(p->n_rows * p->ldy * sizeof(float));
    char *packed = malloc(plens__operand_bytes(product, p->n_rows, p->w.n_in) + 1);
    for (size_t i = 0; i < p->n_rows * p->ldy; i++)
        y[i] = 7;
    plens__operand x = plens__operand_make(&engine, product, rows, packed);
    plens__matmul(&engine, &p->w, with_bias ? p->bias : NULL, &x, y, p->ldy);
    plens__engine_close(&engine);
    free(packed);
    return y;
}

static plens__rows rows_of(const problem *p) {
    plens__rows rows = {.x = p->x, .ldx = p->ldx, .n_rows = p->n_rows, .n_in = p->w.n_in};
    return rows;
}

static float *solve(const problem *p, const plens__product *product, int n_threads, int with_bias) {
    plens__rows rows = rows_of(p);
    return solve_rows(p, &rows, product, n_threads, with_bias);
}

/* One element of the definition: a row and an output, all of k at once. */
static float define_element(const problem *p, const plens__product *scalar, size_t r, size_t o) {
    size_t size = p->w.dtype == PLENS_F32 ? 4 : 2, blocks = (p->w.n_in + 31) / 32;
    char *panel = malloc(blocks * scalar->panel_block);
    char *strip = malloc(blocks * scalar->strip_block + 1);
    const float *x = p->x + r * p->ldx;
    float sum;
    scalar->pack_w(p->w.dtype, (const char *)p->w.data + o * p->w.n_in * size, p->w.n_in * size, 1,
                   p->w.n_in, panel);
    if (scalar->strip_block > 0)
        scalar->pack_x(x, p->ldx, 1, p->w.n_in, strip);
    scalar->multiply(1, p->w.n_in, scalar->strip_block > 0 ? (const void *)strip : x, 0, panel, 1,
                     0, &sum, 1);
    free(panel);
    free(strip);
    return sum;
}

/* The definition, one element after the other; what lies between the rows stays 7. */
static float *define(const problem *p, plens_precision precision, int with_bias) {
    const plens__product *scalar = plens__product_scalar(precision);
    float *y = malloc(p->n_rows * p->ldy * sizeof(float));
    for (size_t i = 0; i < p->n_rows * p->ldy; i++) {
        size_t r = i / p->ldy, o = i % p->ldy;
        y[i] = 7;
        if (o < p->w.n_out)
            y[i] = define_element(p, scalar, r, o) + (with_bias ? p->bias[o] : -0.0f);
    }
    return y;
}

#define FOR_EACH_PRODUCT(product, precision)                                                       \
    for (size_t i_ = 0; test_product_at(i_, precision) != NULL; i_++)                              \
        for (const plens__product *product = test_product_at(i_, precision); product != NULL;      \
             product = NULL)

/* With a bias on one to three threads, without one on two. */
static void check_problem(const problem *p, plens_precision precision) {
    for (int bias = 0; bias < 2; bias++) {
        float *expected = define(p, precision, bias);
        FOR_EACH_PRODUCT(product, precision)
        for (int threads = bias ? 1 : 2; threads <= (bias ? MOST_THREADS : 2); threads++) {
            float *y = solve(p, product, threads, bias);
            size_t n = p->n_rows * p->ldy, at = test_difference(y, expected, n);
            CHECK_THAT(
                at == n, "%s, %s, dtype %d, %zu x %zu, %zu rows, %d threads: y[%zu] is %a not %a",
                plens_precision_name(precision), plens_isa_name(product->isa), (int)p->w.dtype,
                p->w.n_out, p->w.n_in, p->n_rows, threads, at, (double)y[at], (double)expected[at]);
            free(y);
        }
        free(expected);
    }
}

/* A cut at the wrong row, output or k, a bias added twice or before the last block of k, an element
 * touched that is not there. Sizes around every blocking. */
static void every_product_and_number_of_threads_gives_the_definition(void) {
    static const size_t sizes[][3] = {/* n_out, n_in, n_rows */
                                      {1, 1, 1},     {3, 5, 2},     {48, 256, 8},  {49, 257, 9},
                                      {16, 512, 6},  {100, 513, 3}, {64, 17, 530}, {1, 300, 1100},
                                      {700, 40, 13}, {47, 255, 7},  {97, 64, 64},  {800, 3, 1},
                                      {33, 95, 1},   {130, 33, 4},  {70, 600, 5},  {17, 64, 16},
                                      {53, 290, 33}, {90, 130, 49}, {35, 96, 65},  {300, 1200, 70}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int dtype = PLENS_F32; dtype <= PLENS_BF16 && !test_bad; dtype++) {
            problem p = make_problem((plens_dtype)dtype, sizes[i][0], sizes[i][1], sizes[i][2],
                                     i % 4 == 3 ? EDGE : (test_kind)(i % 4));
            check_problem(&p, PLENS_PRECISION_F32);
            check_problem(&p, PLENS_PRECISION_BF16);
            if (dtype == PLENS_BF16)
                check_problem(&p, PLENS_PRECISION_BF16X3);
            free_problem(&p);
        }
}

/* A row whose bits depend on the rows beside it. */
static void a_row_alone_has_the_same_bits(void) {
    problem p = make_problem(PLENS_BF16, 130, 300, 23, PLAIN);
    for (int precision = PLENS_PRECISION_F32; precision <= PLENS_PRECISION_BF16X3; precision++)
        FOR_EACH_PRODUCT(product, (plens_precision)precision) {
            float *batch = solve(&p, product, 2, 1);
            for (size_t r = 0; r < p.n_rows; r++) {
                problem one = p;
                one.x += r * p.ldx;
                one.n_rows = 1;
                float *alone = solve(&one, product, 2, 1);
                CHECK_INT(test_difference(alone, batch + r * p.ldy, p.w.n_out), p.w.n_out);
                free(alone);
            }
            free(batch);
        }
    free_problem(&p);
}

/* plens__rows.make: halves what is there, so each element must be made once. */
static void halve(void *arg, size_t r, size_t n, size_t k, size_t n_k) {
    const problem *p = arg;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n_k; j++)
            p->x[(r + i) * p->ldx + k + j] *= 0.5f;
}

/* Rows that are packed before they are made, made twice or not at all. */
static void rows_are_made_on_the_way(void) {
    static const size_t sizes[][2] = {{1, 40}, {3, 1300}, {9, 600}, {30, 40}, {70, 1100}};
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        problem p = make_problem(PLENS_BF16, 50, sizes[i / 2][1], sizes[i / 2][0], PLAIN);
        plens__rows rows = rows_of(&p);
        size_t n_x = p.n_rows * p.ldx, n = p.n_rows * p.ldy;
        rows.make = halve;
        rows.arg = &p;
        rows.by_columns = (int)(i % 2);
        for (int precision = PLENS_PRECISION_F32; precision <= PLENS_PRECISION_BF16X3; precision++)
            FOR_EACH_PRODUCT(product, (plens_precision)precision) {
                float *expected = solve(&p, product, 2, 0);
                for (size_t at = 0; at < n_x; at++)
                    p.x[at] *= 2;
                float *y = solve_rows(&p, &rows, product, 2, 0);
                CHECK_INT(test_difference(y, expected, n), n);
                free(y);
                free(expected);
            }
        free_problem(&p);
    }
}

/* The definition computing something else than a product. */
static void the_result_is_within_its_bound(void) {
    problem p = make_problem(PLENS_F32, 60, 700, 11, PLAIN);
    FOR_EACH_PRODUCT(product, PLENS_PRECISION_F32) {
        float *y = solve(&p, product, 2, 1);
        for (size_t r = 0; r < p.n_rows; r++)
            for (size_t o = 0; o < p.w.n_out; o++) {
                double sum = (double)p.bias[o], size = fabs(sum);
                for (size_t k = 0; k < p.w.n_in; k++) {
                    double term = (double)p.x[r * p.ldx + k] * (double)weight(&p, o, k);
                    sum += term;
                    size += fabs(term);
                }
                /* n_in fused steps and one addition, each 2^-24 of what is summed so far. */
                double bound = (double)(p.w.n_in + 1) * 0x1.02p-24 * size;
                CHECK(fabs((double)y[r * p.ldy + o] - sum) <= bound);
            }
        free(y);
    }
    free_problem(&p);
}

/* No rows or no outputs: nothing is read or written. */
static void empty_products_do_nothing(void) {
    problem p = make_problem(PLENS_F32, 4, 4, 2, PLAIN);
    p.n_rows = 0;
    free(solve(&p, plens__product_scalar(PLENS_PRECISION_BF16), 2, 1));
    p.n_rows = 2;
    p.w.n_out = 0;
    float *y = solve(&p, plens__product_scalar(PLENS_PRECISION_F32), 2, 0);
    for (size_t i = 0; i < p.n_rows * p.ldy; i++)
        CHECK(y[i] == 7);
    free(y);
    free_problem(&p);
}

/* ---- The caller's floating-point modes --------------------------------------------------------
 */

#if defined(__x86_64__)
#define FLUSHING 0x8040u /* MXCSR: flush to zero, denormals are zero, as -ffast-math sets them */

static void set_modes(void) {
    fesetround(FE_UPWARD);
    _mm_setcsr(_mm_getcsr() | FLUSHING);
}

static int modes_are_set(void) {
    return fegetround() == FE_UPWARD && (_mm_getcsr() & FLUSHING) == FLUSHING;
}

static void clear_modes(void) {
    fesetround(FE_TONEAREST);
    _mm_setcsr(_mm_getcsr() & ~FLUSHING);
}
#else
static void set_modes(void) {
    fesetround(FE_UPWARD);
}

static int modes_are_set(void) {
    return fegetround() == FE_UPWARD;
}

static void clear_modes(void) {
    fesetround(FE_TONEAREST);
}
#endif

/* Calls fn on those threads that OpenMP keeps for the next parallel region. */
static void on_threads(int n, void (*fn)(void)) {
#ifdef _OPENMP
#pragma omp parallel num_threads(n)
#else
    (void)n;
#endif
    fn();
}

/* Modes set within a region: GNU's OpenMP leaves them on each thread; LLVM's gives the caller back
 * its own when the region ends, and hands those to the others when the next begins. */
static void change_modes(int n, void (*fn)(void)) {
    fn();
    on_threads(n, fn);
}

static int count_set;
static void count_modes(void) {
    int set = modes_are_set();
#ifdef _OPENMP
#pragma omp atomic
#endif
    count_set += set;
}

static void check_modes(const problem *p, const plens__product *product, int threads) {
    float *expected = solve(p, product, threads, 1);
    change_modes(threads, set_modes);
    float *y = solve(p, product, threads, 1);
    count_set = 0;
    on_threads(threads, count_modes);
    change_modes(threads, clear_modes);
    size_t n = p->n_rows * p->ldy, at = test_difference(y, expected, n);
    CHECK_THAT(at == n, "%s, %s: y[%zu] is %a not %a", plens_precision_name(product->precision),
               plens_isa_name(product->isa), at, (double)y[at], (double)expected[at]);
#ifdef _OPENMP
    CHECK_INT(count_set, threads);
#else
    CHECK_INT(count_set, 1);
#endif
    free(y);
    free(expected);
}

/* A caller's flush-to-zero or rounding mode that reaches the kernels, or that we take away. */
static void the_callers_modes_neither_matter_nor_change(void) {
    problem p = make_problem(PLENS_BF16, 200, 90, 40, TINY);
    for (int precision = PLENS_PRECISION_F32; precision <= PLENS_PRECISION_BF16X3; precision++)
        FOR_EACH_PRODUCT(product, (plens_precision)precision)
    for (int threads = 1; threads <= MOST_THREADS; threads++)
        check_modes(&p, product, threads);
    free_problem(&p);
}

/* A bias that is flushed as the sums of bf16 are. */
static void a_denormal_bias_is_kept(void) {
    problem p = make_problem(PLENS_BF16, 60, 40, 5, TINY);
    for (size_t o = 0; o < p.w.n_out; o++)
        p.bias[o] = (float)(1 + o) * 0x1p-140f;
    memset(p.x, 0, p.n_rows * p.ldx * sizeof *p.x);
    for (int precision = PLENS_PRECISION_F32; precision <= PLENS_PRECISION_BF16X3; precision++)
        FOR_EACH_PRODUCT(product, (plens_precision)precision) {
            float *y = solve(&p, product, 2, 1);
            for (size_t i = 0; i < p.n_rows * p.w.n_out; i++)
                CHECK(y[i / p.w.n_out * p.ldy + i % p.w.n_out] == p.bias[i % p.w.n_out]);
            free(y);
        }
    free_problem(&p);
}

int main(void) {
    RUN(every_product_and_number_of_threads_gives_the_definition);
    RUN(a_row_alone_has_the_same_bits);
    RUN(rows_are_made_on_the_way);
    RUN(the_result_is_within_its_bound);
    RUN(empty_products_do_nothing);
    RUN(the_callers_modes_neither_matter_nor_change);
    RUN(a_denormal_bias_is_kept);
    return test_finish();
}
