/* Attention alone, a piece of 64 queries and the keys before it, against the peak of float FMA.
 *
 * usage: attention [SET]     the most that may be used (avx512, avx2, neon); the fastest
 *
 * One thread. FLOPs are two for each product of q.k and of the weighted values; exponentials and
 * divisions of the softmax are not counted but take their time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peak.h"
#include "runtime/fpstate.h"

static float *floats(size_t n) {
    float *values = plens__alloc(&bench_allocator, n * sizeof *values);
    if (values == NULL) {
        fprintf(stderr, "no memory\n");
        exit(1);
    }
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(i * 7 % 19) / 19 - 0.5f;
    return values;
}

typedef struct attempt {
    const plens__kernels *kernels;
    plens__queries queries;
    float *scratch;
} attempt;

static void attend(void *arg, size_t item, int thread) {
    attempt *a = arg;
    (void)item, (void)thread;
    a->kernels->attend_rows(&a->queries, a->scratch);
}

/* FLOP/s of the last n_rows of n_keys positions of n_heads heads over one KV head. */
static double rate(const plens__kernels *kernels, size_t n_keys, size_t n_rows, size_t n_heads,
                   size_t head_dim) {
    size_t width = n_heads * head_dim, first = n_keys - n_rows;
    float *q = floats(n_rows * width), *out = floats(n_rows * width);
    float *k = floats(n_keys * head_dim), *v = floats(n_keys * head_dim);
    attempt a = {kernels,
                 {q, out, n_rows, n_heads, width, first, 0, k, v, head_dim, head_dim, 0.1f},
                 floats(PLENS__ATTEND_FLOATS(n_keys, head_dim))};
    double pairs = (double)n_rows * ((double)first + ((double)n_rows + 1) / 2) * (double)n_heads;
    double best = 0, begin = bench_now();
    for (size_t run = 0; run < 3 || bench_now() - begin < 0.2; run++) {
        double start = bench_now();
        plens__guarded(attend, &a);
        double seconds = bench_now() - start;
        best = run == 0 || seconds < best ? seconds : best;
    }
    float *all[] = {q, out, k, v, a.scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        plens__free(&bench_allocator, all[i]);
    return 4 * pairs * (double)head_dim / best;
}

int main(int argc, char **argv) {
    static const size_t lengths[] = {16, 64, 256, 1024, 2048};
    plens_options options = {.threads = 1};
    for (int isa = 1; argc > 1 && plens_isa_name((plens_isa)isa) != NULL; isa++)
        if (strcmp(plens_isa_name((plens_isa)isa), argv[1]) == 0)
            options.isa_limit = (plens_isa)isa;
    plens__engine engine;
    plens_error error;
    if (plens__engine_open(&bench_allocator, &options, &engine, &error) != PLENS_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    double peak = bench_peak(&engine, engine.products[PLENS_PRECISION_F32]);
    printf("attention by %s, 1 thread, peak %.0f GFLOP/s (FMA)\n",
           plens_isa_name(engine.kernels->isa), peak * 1e-9);
    printf("   keys  3 heads of 64  4 heads of 128\n");
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t n = lengths[i], rows = n < 64 ? n : 64;
        double small = rate(engine.kernels, n, rows, 3, 64);
        double large = rate(engine.kernels, n, rows, 4, 128);
        printf("  %5zu  %6.1f  (%3.0f%%)  %6.1f  (%3.0f%%)\n", n, small * 1e-9, 100 * small / peak,
               large * 1e-9, 100 * large / peak);
    }
    plens__engine_close(&engine);
    return 0;
}
