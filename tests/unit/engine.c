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
    for (int limit = PLENS_ISA_SCALAR; limit <= PLENS_ISA_AVX512; limit++) {
        plens__engine engine;
        CHECK_INT(open_engine((plens_isa)limit, 1, &engine, NULL), PLENS_OK);
        CHECK(engine.kernels->isa <= (plens_isa)limit);
        const plens__kernels *best = NULL;
        for (size_t i = 0; test_set(i) != NULL; i++)
            if (test_set(i)->isa <= (plens_isa)limit)
                best = test_set(i);
        CHECK(engine.kernels == best);
        plens__engine_close(&engine);
    }
}

/* A line missing, doubled or untrue in what `plens info` prints. */
static void the_choices_are_told(void) {
    plens__engine engine;
    CHECK_INT(open_engine(PLENS_ISA_SCALAR, 1, &engine, NULL), PLENS_OK);
    CHECK_INT(engine.n_choices, 3);
    CHECK_STRING(engine.choices[0], "avx512: above the limit");
    CHECK_STRING(engine.choices[1], "avx2: above the limit");
    CHECK_STRING(engine.choices[2], "scalar: chosen");
    plens__engine_close(&engine);
    CHECK_INT(plens__engine_open(&allocator, NULL, &engine, NULL), PLENS_OK);
    int chosen = 0;
    for (size_t i = 0; i < engine.n_choices; i++)
        if (strstr(engine.choices[i], ": chosen") != NULL) {
            CHECK(strncmp(engine.choices[i], plens_isa_name(engine.kernels->isa), 4) == 0);
            chosen++;
        }
    CHECK_INT(chosen, 1);
    CHECK(engine.precision == PLENS_PRECISION_F32);
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

static void unfused_gemm(size_t rows, size_t k, const float *x, size_t ldx, const float *panel,
                         size_t n_out, int resume, float *c, size_t ldc) {
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < n_out; o++) {
            float sum = resume ? c[r * ldc + o] : 0;
            for (size_t i = 0; i < k; i++)
                sum += x[r * ldx + i] * panel[i * plens__kernels_scalar.panel + o];
            c[r * ldc + o] = sum;
        }
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
    for (size_t i = 0; test_set(i) != NULL; i++)
        CHECK(plens__selfcheck(test_set(i)));
    plens__kernels wrong = plens__kernels_scalar;
    wrong.add = careless_add;
    CHECK(!plens__selfcheck(&wrong));
    wrong = plens__kernels_scalar;
    wrong.gemm = unfused_gemm;
    CHECK(!plens__selfcheck(&wrong));
    wrong = plens__kernels_scalar;
    wrong.exp = careless_exp;
    CHECK(!plens__selfcheck(&wrong));
    wrong = plens__kernels_scalar;
    wrong.find_greater = careless_find;
    CHECK(!plens__selfcheck(&wrong));
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
    RUN(threads_are_counted);
    return test_finish();
}
