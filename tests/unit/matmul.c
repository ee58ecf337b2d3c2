/* plens__matmul on every set of kernels, number of threads and cut of the rows. */
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

/* y as a set of kernels and a number of threads make it, in memory of [n_rows, ldy] that is filled
 * with 7 beforehand. */
static float *solve(const problem *p, const plens__kernels *set, int n_threads, int with_bias) {
    plens__engine engine;
    plens_options options = {0};
    options.threads = n_threads;
    options.isa_limit = set->isa;
    float *y = malloc(p->n_rows * p->ldy * sizeof(float));
    if (plens__engine_open(&allocator, &options, &engine, NULL) != PLENS_OK ||
        engine.kernels != set)
        abort();
    for (size_t i = 0; i < p->n_rows * p->ldy; i++)
        y[i] = 7;
    plens__operand x = plens__operand_make(&engine, engine.products[PLENS_PRECISION_F32], p->x,
                                           p->ldx, p->n_rows, p->w.n_in, NULL);
    plens__matmul(&engine, &p->w, with_bias ? p->bias : NULL, &x, y, p->ldy);
    plens__engine_close(&engine);
    return y;
}

/* The definition, one element after the other; what lies between the rows stays 7. */
static float *define(const problem *p, int with_bias) {
    float *y = malloc(p->n_rows * p->ldy * sizeof(float));
    for (size_t i = 0; i < p->n_rows * p->ldy; i++) {
        size_t r = i / p->ldy, o = i % p->ldy;
        float sum = o < p->w.n_out ? 0.0f : 7.0f;
        for (size_t k = 0; k < p->w.n_in && o < p->w.n_out; k++)
            sum = fmaf(p->x[r * p->ldx + k], weight(p, o, k), sum);
        y[i] = with_bias && o < p->w.n_out ? sum + p->bias[o] : sum;
    }
    return y;
}

static void check_problem(const problem *p, const char *what) {
    for (int bias = 0; bias < 2; bias++) {
        float *expected = define(p, bias);
        for (size_t s = 0; test_set(s) != NULL; s++)
            for (int threads = 1; threads <= 3; threads++) {
                float *y = solve(p, test_set(s), threads, bias);
                size_t n = p->n_rows * p->ldy, at = test_difference(y, expected, n);
                CHECK_THAT(at == n, "%s, %s, %zu x %zu, %zu rows, %d threads: y[%zu] is %a not %a",
                           what, plens_isa_name(test_set(s)->isa), p->w.n_out, p->w.n_in, p->n_rows,
                           threads, at, (double)y[at], (double)expected[at]);
                free(y);
            }
        free(expected);
    }
}

/* A cut at the wrong row, output or k, a bias added twice or before the last block of k, an element
 * touched that is not there. Sizes around every blocking. */
static void every_set_and_number_of_threads_gives_the_definition(void) {
    static const size_t sizes[][3] = {/* n_out, n_in, n_rows */
                                      {1, 1, 1},     {3, 5, 2},     {48, 256, 8},  {49, 257, 9},
                                      {16, 512, 6},  {100, 513, 3}, {64, 17, 530}, {1, 300, 1100},
                                      {700, 40, 13}, {47, 255, 7},  {97, 64, 64},  {800, 3, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int dtype = PLENS_F32; dtype <= PLENS_BF16 && !test_bad; dtype++) {
            problem p = make_problem((plens_dtype)dtype, sizes[i][0], sizes[i][1], sizes[i][2],
                                     (test_kind)(i % 3));
            check_problem(&p, dtype == PLENS_F32 ? "f32" : dtype == PLENS_F16 ? "f16" : "bf16");
            free_problem(&p);
        }
}

/* A row whose bits depend on the rows beside it. */
static void a_row_alone_has_the_same_bits(void) {
    problem p = make_problem(PLENS_BF16, 130, 300, 23, PLAIN);
    for (size_t s = 0; test_set(s) != NULL; s++) {
        float *batch = solve(&p, test_set(s), 2, 1);
        for (size_t r = 0; r < p.n_rows; r++) {
            problem one = p;
            one.x += r * p.ldx;
            one.n_rows = 1;
            float *alone = solve(&one, test_set(s), 2, 1);
            CHECK_INT(test_difference(alone, batch + r * p.ldy, p.w.n_out), p.w.n_out);
            free(alone);
        }
        free(batch);
    }
    free_problem(&p);
}

/* The definition computing something else than a product. */
static void the_result_is_within_its_bound(void) {
    problem p = make_problem(PLENS_F32, 60, 700, 11, PLAIN);
    for (size_t s = 0; test_set(s) != NULL; s++) {
        float *y = solve(&p, test_set(s), 2, 1);
        for (size_t r = 0; r < p.n_rows; r++)
            for (size_t o = 0; o < p.w.n_out; o++) {
                double sum = (double)p.bias[o], size = fabs(sum);
                for (size_t k = 0; k < p.w.n_in; k++) {
                    double product = (double)p.x[r * p.ldx + k] * (double)weight(&p, o, k);
                    sum += product;
                    size += fabs(product);
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
    free(solve(&p, test_set(0), 2, 1));
    p.n_rows = 2;
    p.w.n_out = 0;
    float *y = solve(&p, test_set(0), 2, 0);
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

/* Calls fn on the calling thread and on those that OpenMP keeps for the next parallel region. */
static void on_threads(int n, void (*fn)(void)) {
#ifdef _OPENMP
#pragma omp parallel num_threads(n)
    fn();
#else
    (void)n;
    fn();
#endif
}

static int count_set;
static void count_modes(void) {
    int set = modes_are_set();
#ifdef _OPENMP
#pragma omp atomic
#endif
    count_set += set;
}

/* A caller's flush-to-zero or rounding mode that reaches the kernels, or that we take away. */
static void the_callers_modes_neither_matter_nor_change(void) {
    problem p = make_problem(PLENS_F32, 200, 90, 40, TINY);
    for (size_t s = 0; test_set(s) != NULL; s++)
        for (int threads = 1; threads <= 3; threads++) {
            float *expected = solve(&p, test_set(s), threads, 1);
            on_threads(threads, set_modes);
            set_modes(); /* LLVM's OpenMP undoes it after the region; its workers take ours */
            float *y = solve(&p, test_set(s), threads, 1);
            count_set = 0;
            on_threads(threads, count_modes);
            on_threads(threads, clear_modes);
            clear_modes();
            size_t n = p.n_rows * p.ldy, at = test_difference(y, expected, n);
            CHECK_THAT(at == n, "%s: y[%zu] is %a not %a", plens_isa_name(test_set(s)->isa), at,
                       (double)y[at], (double)expected[at]);
#ifdef _OPENMP
            CHECK_INT(count_set, threads);
#else
            CHECK_INT(count_set, 1);
#endif
            free(y);
            free(expected);
        }
    free_problem(&p);
}

int main(void) {
    RUN(every_set_and_number_of_threads_gives_the_definition);
    RUN(a_row_alone_has_the_same_bits);
    RUN(the_result_is_within_its_bound);
    RUN(empty_products_do_nothing);
    RUN(the_callers_modes_neither_matter_nor_change);
    return test_finish();
}
