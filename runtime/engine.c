/* Which kernels, how many threads. */
#include "runtime/engine.h"

#include "runtime/cpu.h"
#include "runtime/matmul.h"
#include "runtime/selfcheck.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#define MAX_THREADS 4096 /* OpenMP ends the process when the system has no more threads */

const char *plens_isa_name(plens_isa isa) {
    switch (isa) {
    case PLENS_ISA_SCALAR:
        return "scalar";
    case PLENS_ISA_AVX2:
        return "avx2";
    case PLENS_ISA_AVX512:
        return "avx512";
    case PLENS_ISA_DEFAULT:
        break;
    }
    return NULL;
}

/* ---- The choice ---------------------------------------------------------------------------- */

typedef enum verdict {
    CHOSEN,
    NOT_NEEDED,
    ABOVE_LIMIT,
    NOT_BUILT,
    NO_PROCESSOR,
    FAILED_CHECK,
    N_VERDICTS
} verdict;

typedef struct candidate {
    plens_isa isa;
    const plens__kernels *kernels; /* NULL: not in this build */
    int supported;
    const char *const *texts; /* [N_VERDICTS] */
} candidate;

#define TEXTS(name)                                                                                \
    {                                                                                              \
        name ": chosen", name ": not needed", name ": above the limit",                            \
            name ": not in this build", name ": this processor has none",                          \
            name ": failed the bit check"                                                          \
    }

static verdict judge(const candidate *c, plens_isa limit, const plens__kernels *chosen) {
    if (chosen != NULL)
        return NOT_NEEDED;
    if (limit != PLENS_ISA_DEFAULT && c->isa > limit)
        return ABOVE_LIMIT;
    if (c->kernels == NULL)
        return NOT_BUILT;
    if (!c->supported)
        return NO_PROCESSOR;
    return plens__selfcheck(c->kernels) ? CHOSEN : FAILED_CHECK;
}

/* The best first; scalar, which defines the bits, is always there. */
static void choose_kernels(plens_isa limit, plens__engine *engine) {
    static const char *const texts[][N_VERDICTS] = {TEXTS("avx512"), TEXTS("avx2"),
                                                    TEXTS("scalar")};
    plens__cpu cpu = plens__cpu_detect();
    const candidate candidates[] = {
        {PLENS_ISA_AVX512, plens__kernels_avx512(), cpu.avx512, texts[0]},
        {PLENS_ISA_AVX2, plens__kernels_avx2(), cpu.avx2, texts[1]},
        {PLENS_ISA_SCALAR, &plens__kernels_scalar, 1, texts[2]},
    };
    engine->kernels = NULL;
    engine->n_choices = sizeof candidates / sizeof *candidates;
    for (size_t i = 0; i < engine->n_choices; i++) {
        verdict v = judge(&candidates[i], limit, engine->kernels);
        if (v == CHOSEN)
            engine->kernels = candidates[i].kernels;
        engine->choices[i] = candidates[i].texts[v];
    }
}

/* ---- Opening ------------------------------------------------------------------------------- */

static plens_status check_options(const plens_options *options, plens_error *error) {
    if (options->threads < 0 || options->threads > MAX_THREADS)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "options: threads is %d, expected 0 to %d",
                           options->threads, MAX_THREADS);
    if (options->precision != PLENS_PRECISION_DEFAULT && options->precision != PLENS_PRECISION_F32)
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "options: precision is %d, expected %d (f32) or 0",
                           (int)options->precision, (int)PLENS_PRECISION_F32);
    if (options->isa_limit != PLENS_ISA_DEFAULT && plens_isa_name(options->isa_limit) == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "options: isa_limit is %d, expected 0 to %d", (int)options->isa_limit,
                           (int)PLENS_ISA_AVX512);
    return PLENS_OK;
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
    made.precision = PLENS_PRECISION_F32;
    count_threads(options->threads, &made);
    choose_kernels(options->isa_limit, &made);
    made.scratch_bytes = plens__matmul_scratch(made.kernels);
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
