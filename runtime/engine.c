/* Which kernels, how many threads. */
#include "runtime/engine.h"

#include <string.h>

#include "runtime/huge_pages.h"
#include "runtime/matmul.h"
#include "runtime/selfcheck.h"
#include "runtime/sets.h"

#ifdef _OPENMP
#include <omp.h>
#endif

enum { PAGE = 4096 };

#define MAX_THREADS 4096 /* OpenMP ends the process when the system has no more threads */

const char *plens_isa_name(plens_isa isa) {
    static const char *const names[] = {NULL,         "scalar", "avx2", "avx512",
                                        "avx512bf16", "amx",    "neon"};
    return (unsigned)isa < sizeof names / sizeof *names ? names[isa] : NULL;
}

const char *plens_precision_name(plens_precision precision) {
    static const char *const names[] = {NULL, "f32", "bf16", "bf16x3"};
    return (unsigned)precision < sizeof names / sizeof *names ? names[precision] : NULL;
}

/* ---- The choice ---------------------------------------------------------------------------- */

static int passes_check(const plens__set *s, int role) {
    return role == 0 ? plens__selfcheck_rows(s->rows)
                     : plens__selfcheck_product(s->product((plens_precision)role));
}

static int is_filled(const plens__engine *engine, int role) {
    return role == 0 ? engine->kernels != NULL : engine->products[role] != NULL;
}

/* Adds text to a line of PLENS__CHOICE_BYTES, as far as it fits. */
static void append(char *line, const char *text) {
    size_t used = strlen(line), length = strlen(text), room = PLENS__CHOICE_BYTES - 1 - used;
    length = length < room ? length : room;
    memcpy(line + used, text, length);
    line[used + length] = '\0';
}

/* Gives a set the roles that are still free and whose bits it has right; says so in its line. */
static void fill_roles(const plens__set *s, plens__engine *engine, char *line) {
    char failed[PLENS__CHOICE_BYTES] = "";
    int n_chosen = 0;
    for (int role = 0; role < PLENS__N_ROLES; role++) {
        const char *name = role == 0 ? "rows" : plens_precision_name((plens_precision)role);
        if (is_filled(engine, role) || !plens__set_offers(s, role))
            continue;
        if (!passes_check(s, role)) {
            append(failed, failed[0] == '\0' ? "failed the bit check of " : ", ");
            append(failed, name);
            continue;
        }
        append(line, n_chosen++ == 0 ? "chosen for " : ", ");
        append(line, name);
        if (role == 0)
            engine->kernels = s->rows;
        else
            engine->products[role] = s->product((plens_precision)role);
    }
    if (n_chosen > 0 && failed[0] != '\0')
        append(line, "; ");
    append(line, n_chosen == 0 && failed[0] == '\0' ? "not needed" : failed);
}

static void choose_kernels(plens_isa limit, plens__engine *engine) {
    plens__set sets[PLENS__MOST_SETS];
    engine->n_choices = plens__sets(sets);
    for (size_t i = 0; i < engine->n_choices; i++) {
        char *line = engine->choices[i];
        const char *why = plens__set_unusable(&sets[i], limit, engine->precision);
        append(line, plens_isa_name(sets[i].isa));
        append(line, ": ");
        if (why != NULL)
            append(line, why);
        else
            fill_roles(&sets[i], engine, line);
    }
}

static size_t scratch_bytes(const plens__engine *engine) {
    size_t most = 0;
    for (int precision = 1; precision < PLENS__N_ROLES; precision++) {
        size_t bytes = plens__matmul_scratch(engine->products[precision]);
        most = bytes > most ? bytes : most;
    }
    return (most + PAGE - 1) / PAGE * PAGE;
}

/* ---- Opening ------------------------------------------------------------------------------- */

/* The sets that this family of processors may have. */
static int is_of_family(plens_isa isa) {
#if defined(__x86_64__)
    return isa != PLENS_ISA_NEON;
#elif defined(__aarch64__)
    return isa == PLENS_ISA_NEON || isa == PLENS_ISA_SCALAR;
#else
    return isa == PLENS_ISA_SCALAR;
#endif
}

static plens_status check_limit(plens_isa limit, plens_error *error) {
    if (limit == PLENS_ISA_DEFAULT)
        return PLENS_OK;
    if (plens_isa_name(limit) == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "options: isa_limit is %d, expected 0 to %d", (int)limit,
                           (int)PLENS_ISA_NEON);
    if (!is_of_family(limit))
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "options: isa_limit is %s, which is of another family of processors",
                           plens_isa_name(limit));
    return PLENS_OK;
}

static plens_status check_options(const plens_options *options, plens_error *error) {
    if (options->threads < 0 || options->threads > MAX_THREADS)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "options: threads is %d, expected 0 to %d",
                           options->threads, MAX_THREADS);
    if (options->precision != PLENS_PRECISION_DEFAULT &&
        plens_precision_name(options->precision) == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "options: precision is %d, expected 0 to %d", (int)options->precision,
                           (int)PLENS_PRECISION_BF16X3);
    return check_limit(options->isa_limit, error);
}

static void count_threads(int wanted, plens__engine *engine) {
#ifdef _OPENMP
    engine->n_processors = omp_get_num_procs();
    engine->n_threads = wanted > 0 ? wanted : engine->n_processors;
#else
    (void)wanted;
    engine->n_processors = engine->n_threads = 1;
#endif
}

plens_status plens__engine_open(const plens_allocator *allocator, const plens_options *options,
                                plens__engine *engine, plens_error *error) {
    static const plens_options defaults;
    if (options == NULL)
        options = &defaults;
    plens_status status = check_options(options, error);
    if (status != PLENS_OK)
        return status;
    plens__engine made = {0};
    made.allocator = *allocator;
    made.precision = options->precision;
    count_threads(options->threads, &made);
    choose_kernels(options->isa_limit, &made);
    made.scratch_bytes = scratch_bytes(&made);
    size_t bytes = (size_t)made.n_threads * (made.scratch_bytes + sizeof *made.shares);
    made.scratch_block = plens__alloc(&made.allocator, plens__huge_bytes(bytes));
    if (made.scratch_block == NULL)
        return plens__fail_memory(error, bytes, "the threads' scratch");
    made.scratch = plens__huge_begin(made.scratch_block, bytes);
    made.shares =
        (plens__share *)(void *)(made.scratch + (size_t)made.n_threads * made.scratch_bytes);
    *engine = made;
    return PLENS_OK;
}

void plens__engine_close(plens__engine *engine) {
    if (engine == NULL)
        return;
    plens__free(&engine->allocator, engine->scratch_block);
    engine->scratch_block = engine->scratch = NULL;
}
