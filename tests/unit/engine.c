#include "sets.h"

#include "runtime/engine.h"
#include "runtime/selfcheck.h"

#ifdef _OPENMP
#include <omp.h>
#endif

/* Allocations still allowed, and blocks not yet given back. */
static int allowed = 1000, held;

static void *reallocate(void *user, void *old, size_t old_size, size_t new_size) {
    (void)user, (void)old_size;
    if (new_size == 0) {
        free(old);
        held--;
        return NULL;
    }
    if (allowed-- <= 0)
        return NULL;
    held += old == NULL;
    return realloc(old, new_size);
}

static const plens_allocator allocator = {reallocate, NULL};

static plens_status open_engine(plens_isa limit, int threads, plens__engine *engine,
                                plens_error *error) {
    plens_options options = {0};
    options.isa_limit = limit;
    options.threads = threads;
    return plens__engine_open(&allocator, &options, engine, error);
}

/* A limit that is not kept, kernels chosen that the processor lacks. */
static void the_limit_is_kept(void) {
    for (int limit = PLENS_ISA_SCALAR; plens_isa_name((plens_isa)limit) != NULL; limit++) {
        plens__engine engine;
        if (!test_of_family((plens_isa)limit))
            continue;
        CHECK_INT(open_engine((plens_isa)limit, 1, &engine, NULL), PLENS_OK);
        CHECK(engine.kernels->isa <= (plens_isa)limit);
        const plens__kernels *best = NULL;
        for (size_t i = 0; test_set(i) != NULL; i++)
            if (test_set(i)->isa <= (plens_isa)limit)
                best = test_set(i);
        CHECK(engine.kernels == best);
        for (int p = PLENS_PRECISION_F32; plens_precision_name((plens_precision)p) != NULL; p++) {
            CHECK(engine.products[p]->isa <= (plens_isa)limit);
            CHECK(engine.products[p]->precision == (plens_precision)p);
        }
        plens__engine_close(&engine);
    }
}

/* A line missing, doubled or untrue in what `plens info` prints. */
static void the_choices_are_told(void) {
    plens__engine engine;
    CHECK_INT(open_engine(PLENS_ISA_SCALAR, 1, &engine, NULL), PLENS_OK);
    for (size_t i = 0; i + 1 < engine.n_choices; i++)
        CHECK_CONTAINS(engine.choices[i], ": above the limit");
    CHECK_STRING(engine.choices[engine.n_choices - 1],
                 "scalar: chosen for rows, f32, bf16, bf16x3");
    plens__engine_close(&engine);
    CHECK_INT(plens__engine_open(&allocator, NULL, &engine, NULL), PLENS_OK);
    int chosen = 0;
    for (size_t i = 0; i < engine.n_choices; i++) {
        size_t length = strcspn(engine.choices[i], ":");
        const char *name = plens_isa_name(engine.kernels->isa);
        chosen += strncmp(engine.choices[i], name, length) == 0 && name[length] == '\0' &&
                  strstr(engine.choices[i], ": chosen for rows") != NULL;
    }
    CHECK_INT(chosen, 1);
    plens__engine_close(&engine);
}

/* Options out of range that are taken, or an engine half made from them. */
static void bad_options_are_refused(void) {
    plens_error error;
    plens__engine engine = {0}, before = engine;
    CHECK_INT(open_engine(PLENS_ISA_DEFAULT, -1, &engine, &error), PLENS_ERROR_ARGUMENT);
    CHECK_CONTAINS(error.message, "threads is -1, expected 0 to");
    CHECK_INT(open_engine(PLENS_ISA_DEFAULT, 1000000, &engine, &error), PLENS_ERROR_ARGUMENT);
    CHECK_INT(open_engine((plens_isa)77, 1, &engine, &error), PLENS_ERROR_ARGUMENT);
    CHECK_CONTAINS(error.message, "isa_limit is 77");
    plens_options options = {0};
    plens_isa foreign = test_of_family(PLENS_ISA_NEON) ? PLENS_ISA_AVX2 : PLENS_ISA_NEON;
    CHECK_INT(open_engine(foreign, 1, &engine, &error), PLENS_ERROR_ARGUMENT);
    CHECK_CONTAINS(error.message, "another family of processors");
    options.precision = (plens_precision)9;
    CHECK_INT(plens__engine_open(&allocator, &options, &engine, &error), PLENS_ERROR_ARGUMENT);
    CHECK_CONTAINS(error.message, "precision is 9");
    CHECK(memcmp(&engine, &before, sizeof engine) == 0);
    CHECK(plens_isa_name((plens_isa)77) == NULL && plens_isa_name(PLENS_ISA_DEFAULT) == NULL);
}

/* Scratch that leaks, or a failed allocation that goes unnoticed. */
static void memory_is_asked_for_and_given_back(void) {
    plens_error error;
    plens__engine engine = {0};
    held = allowed = 0;
    CHECK_INT(open_engine(PLENS_ISA_DEFAULT, 3, &engine, &error), PLENS_ERROR_MEMORY);
    CHECK(engine.kernels == NULL);
    CHECK_INT(held, 0);
    allowed = 1000;
    CHECK_INT(open_engine(PLENS_ISA_DEFAULT, 3, &engine, &error), PLENS_OK);
    plens__engine_close(&engine);
    plens__engine_close(NULL);
    CHECK_INT(held, 0);
}

/* ---- The start-up check ------------------------------------------------------------------------
 */

static void careless_add(float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] += y[i] * 1.0000001f;
}

static void unfused(size_t n_rows, size_t k, const void *x, size_t x_step, const void *panel,
                    size_t n_out, int resume, float *c, size_t ldc) {
    for (size_t r = 0; r < n_rows; r++)
        for (size_t o = 0; o < n_out; o++) {
            float sum = resume ? c[r * ldc + o] : 0;
            for (size_t i = 0; i < k; i++)
                sum += ((const float *)x)[r * x_step / sizeof(float) + i] *
                       ((const float *)panel)[i * 16 + o];
            c[r * ldc + o] = sum;
        }
}

/* bf16 but for the order, or but for what becomes zero: sums of halves around 2^-126. */
static void in_order(size_t n_rows, size_t k, const void *x, size_t x_step, const void *panel,
                     size_t n_out, int resume, float *c, size_t ldc) {
    plens__product_scalar(PLENS_PRECISION_F32)
        ->multiply(n_rows, k, x, x_step, panel, n_out, resume, c, ldc);
}

static void careless_exp(const float *x, size_t n, float *y) {
    for (size_t i = 0; i < n; i++)
        y[i] = (float)exp((double)x[i]);
}

static size_t careless_find(const float *x, size_t from, size_t n, float threshold) {
    while (from < n && !(x[from] >= threshold - 50))
        from++;
    return from;
}

/* A check that passes kernels with other bits. */
static void the_check_finds_other_bits(void) {
    for (size_t i = 0; test_set(i) != NULL; i++) {
        CHECK(plens__selfcheck_rows(test_set(i)));
        for (int p = PLENS_PRECISION_F32; plens_precision_name((plens_precision)p) != NULL; p++)
            if (test_product(test_set(i), (plens_precision)p) != NULL)
                CHECK(plens__selfcheck_product(test_product(test_set(i), (plens_precision)p)));
    }
    plens__kernels wrong = plens__kernels_scalar;
    wrong.add = careless_add;
    CHECK(!plens__selfcheck_rows(&wrong));
    wrong = plens__kernels_scalar;
    wrong.exp = careless_exp;
    CHECK(!plens__selfcheck_rows(&wrong));
    wrong = plens__kernels_scalar;
    wrong.find_greater = careless_find;
    CHECK(!plens__selfcheck_rows(&wrong));
    plens__product bad = *plens__product_scalar(PLENS_PRECISION_F32);
    bad.multiply = unfused;
    CHECK(!plens__selfcheck_product(&bad));
    bad = *plens__product_scalar(PLENS_PRECISION_BF16);
    bad.multiply = in_order;
    CHECK(!plens__selfcheck_product(&bad));
}

/* ---- Threads -----------------------------------------------------------------------------------
 */

enum { N_ITEMS = 1000 };

typedef struct visits {
    int of_item[N_ITEMS];
    int bad_thread, n_threads;
} visits;

static void visit(void *arg, size_t item, int thread) {
    visits *v = arg;
    v->of_item[item]++;
    if (thread < 0 || thread >= v->n_threads)
        v->bad_thread = 1;
}

/* An item left out or done twice, a thread number that has no scratch. */
static void every_item_runs_once(void) {
    for (int threads = 1; threads <= 5; threads++)
        for (size_t n = 0; n <= N_ITEMS; n = n * 3 + 1) {
            plens__engine engine;
            visits v = {{0}, 0, 0};
            CHECK_INT(open_engine(PLENS_ISA_SCALAR, threads, &engine, NULL), PLENS_OK);
            v.n_threads = engine.n_threads;
            plens__parallel(&engine, n, visit, &v);
            for (size_t i = 0; i < N_ITEMS; i++)
                CHECK_INT(v.of_item[i], i < n);
            CHECK_INT(v.bad_thread, 0);
            plens__engine_close(&engine);
        }
}

#ifdef _OPENMP

enum { PATIENCE = 100 * 1000 * 1000 };

typedef struct waiting {
    size_t n_items, n_done;
    int gave_up;
} waiting;

static size_t done_so_far(waiting *w) {
    size_t n_done;
#pragma omp atomic read
    n_done = w->n_done;
    return n_done;
}

/* The first item of the first share does not end before all others have. */
static void wait_for_others(void *arg, size_t item, int thread) {
    waiting *w = arg;
    (void)thread;
    for (int i = 0; item == 0 && i < PATIENCE && done_so_far(w) + 1 < w->n_items; i++)
        w->gave_up = i + 1 == PATIENCE;
#pragma omp atomic
    w->n_done++;
}

#endif

/* A thread that is done while another has a long way to go. */
static void who_is_done_helps_the_others(void) {
#ifdef _OPENMP
    plens__engine engine;
    waiting w = {40, 0, 0};
    CHECK_INT(open_engine(PLENS_ISA_SCALAR, 2, &engine, NULL), PLENS_OK);
    plens__parallel(&engine, w.n_items, wait_for_others, &w);
    CHECK_INT(w.gave_up, 0);
    CHECK_INT((long)w.n_done, 40);
    plens__engine_close(&engine);
#else
    SKIP("no OpenMP");
#endif
}

/* Threads that exist in the options only. */
static void threads_are_counted(void) {
    plens__engine engine;
    CHECK_INT(open_engine(PLENS_ISA_SCALAR, 0, &engine, NULL), PLENS_OK);
#ifdef _OPENMP
    CHECK_INT(engine.n_threads, omp_get_num_procs());
    CHECK_INT(engine.n_processors, omp_get_num_procs());
#else
    CHECK_INT(engine.n_threads, 1);
#endif
    plens__engine_close(&engine);
}

int main(void) {
    RUN(the_limit_is_kept);
    RUN(the_choices_are_told);
    RUN(bad_options_are_refused);
    RUN(memory_is_asked_for_and_given_back);
    RUN(the_check_finds_other_bits);
    RUN(every_item_runs_once);
    RUN(who_is_done_helps_the_others);
    RUN(threads_are_counted);
    return test_finish();
}
