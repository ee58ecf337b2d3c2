/* Which kernels, how many threads. */
#include "runtime/engine.h"

#include <string.h>

#include "runtime/amx_permission.h"
#include "runtime/cpu.h"
#include "runtime/matmul.h"
#include "runtime/selfcheck.h"

#ifdef _OPENMP
#include <omp.h>
#endif

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

/* An instruction set: what this build has for it, and whether the processor has it. */
typedef struct set {
    plens_isa isa;
    const plens__kernels *rows; /* NULL: none of its own */
    const plens__product *(*product)(plens_precision precision);
    int supported;
    const char *(*permission)(void); /* NULL: none is needed; returns why there is none, or NULL */
} set;

enum { MOST_SETS = 8 };

/* The fastest first, as measured. Scalar, which defines the bits, is always there. */
static size_t list_sets(set sets[MOST_SETS]) {
    size_t n = 0;
#if defined(__x86_64__)
    plens__cpu cpu = plens__cpu_detect();
    set bf16 = {PLENS_ISA_AVX512BF16, NULL, plens__product_avx512bf16, cpu.avx512bf16, NULL};
    sets[n++] = (set){PLENS_ISA_AMX, NULL, plens__product_amx, cpu.amx, plens__amx_permission};
    if (cpu.fast_dpbf16)
        sets[n++] = bf16;
    sets[n++] =
        (set){PLENS_ISA_AVX512, plens__kernels_avx512(), plens__product_avx512, cpu.avx512, NULL};
    if (!cpu.fast_dpbf16)
        sets[n++] = bf16;
    sets[n++] = (set){PLENS_ISA_AVX2, plens__kernels_avx2(), plens__product_avx2, cpu.avx2, NULL};
#elif defined(__aarch64__)
    sets[n++] = (set){PLENS_ISA_NEON, plens__kernels_neon(), plens__product_neon, 1, NULL};
#endif
    sets[n++] = (set){PLENS_ISA_SCALAR, &plens__kernels_scalar, plens__product_scalar, 1, NULL};
    return n;
}

/* What a set may be chosen for: rows (0) and the product of each precision. */
enum { N_ROLES = PLENS_PRECISION_BF16X3 + 1 };

static int offers(const set *s, int role) {
    return role == 0 ? s->rows != NULL : s->product((plens_precision)role) != NULL;
}

static int passes_check(const set *s, int role) {
    return role == 0 ? plens__selfcheck_rows(s->rows)
                     : plens__selfcheck_product(s->product((plens_precision)role));
}

static int is_filled(const plens__engine *engine, int role) {
    return role == 0 ? engine->kernels != NULL : engine->products[role] != NULL;
}

/* Why a set can serve for nothing at all, or NULL. Permission is asked for last, and not for a
 * context whose precision the set does not have. */
static const char *unusable(const set *s, plens_isa limit, plens_precision precision) {
    int built = 0;
    for (int role = 0; role < N_ROLES; role++)
        built |= offers(s, role);
    if (limit != PLENS_ISA_DEFAULT && s->isa > limit)
        return "above the limit";
    if (!built)
        return "not in this build";
    if (!s->supported)
        return "this processor has none";
    if (s->permission == NULL)
        return NULL;
    if (precision != PLENS_PRECISION_DEFAULT && s->product(precision) == NULL)
        return "not needed";
    return s->permission();
}

/* Adds text to a line of PLENS__CHOICE_BYTES, as far as it fits. */
static void append(char *line, const char *text) {
    size_t used = strlen(line), length = strlen(text), room = PLENS__CHOICE_BYTES - 1 - used;
    length = length < room ? length : room;
    memcpy(line + used, text, length);
    line[used + length] = '\0';
}

/* Gives a set the roles that are still free and whose bits it has right; says so in its line. */
static void fill_roles(const set *s, plens__engine *engine, char *line) {
    char failed[PLENS__CHOICE_BYTES] = "";
    int n_chosen = 0;
    for (int role = 0; role < N_ROLES; role++) {
        const char *name = role == 0 ? "rows" : plens_precision_name((plens_precision)role);
        if (is_filled(engine, role) || !offers(s, role))
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
    set sets[MOST_SETS];
    engine->n_choices = list_sets(sets);
    for (size_t i = 0; i < engine->n_choices; i++) {
        char *line = engine->choices[i];
        const char *why = unusable(&sets[i], limit, engine->precision);
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
    for (int precision = 1; precision < N_ROLES; precision++) {
        size_t bytes = plens__matmul_scratch(engine->products[precision]);
        most = bytes > most ? bytes : most;
    }
    return most;
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
    made.precision =
        options->precision == PLENS_PRECISION_DEFAULT ? PLENS_PRECISION_F32 : options->precision;
    count_threads(options->threads, &made);
    choose_kernels(options->isa_limit, &made);
    made.scratch_bytes = scratch_bytes(&made);
    size_t bytes = (size_t)made.n_threads * made.scratch_bytes;
    made.scratch = plens__alloc(&made.allocator, bytes);
    if (made.scratch == NULL)
        return plens__fail_memory(error, bytes, "the threads' scratch");
    *engine = made;
    return PLENS_OK;
}

void plens__engine_close(plens__engine *engine) {
    if (engine == NULL)
        return;
    plens__free(&engine->allocator, engine->scratch);
    engine->scratch = NULL;
}
