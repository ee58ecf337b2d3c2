/* plens__matmul against the machine's peak: shapes of real models, from one row to a batch.
 * usage: kernels [THREADS [ISA]]     ISA: scalar, avx2, avx512 (the most that may be used) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peak.h"
#include "runtime/matmul.h"

static void *reallocate(void *user, void *old, size_t old_size, size_t new_size) {
    (void)user, (void)old_size;
    if (new_size == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, new_size);
}

static const plens_allocator allocator = {reallocate, NULL};

/* A model's weights are read once and then not again for a long time: as many copies of a small
 * matrix as fill FLUSH bytes are taken in turn, so that they do not stay in the caches. */
enum { FLUSH = 128 << 20, MOST_COPIES = 64 };

/* GFLOP/s: the best of several runs, half a second in all. */
static double measure(const plens__engine *engine, size_t n_out, size_t n_in, size_t n_rows) {
    size_t count = n_out * n_in, copies = FLUSH / (count * 2) + 1;
    copies = copies < MOST_COPIES ? copies : MOST_COPIES;
    uint16_t *w = malloc(copies * count * sizeof *w);
    float *x = malloc(n_rows * n_in * sizeof *x), *y = malloc(n_rows * n_out * sizeof *y);
    if (w == NULL || x == NULL || y == NULL) {
        fprintf(stderr, "no memory for %zu x %zu, %zu rows\n", n_out, n_in, n_rows);
        exit(1);
    }
    for (size_t i = 0; i < copies * count; i++)
        w[i] = (uint16_t)(0x3F00 + i % 251);
    for (size_t i = 0; i < n_rows * n_in; i++)
        x[i] = (float)(i % 17) - 8;
    memset(y, 0, n_rows * n_out * sizeof *y);
    double best = 0, begin = bench_now();
    for (size_t run = 0; run < 3 || bench_now() - begin < 0.5; run++) {
        plens__matrix matrix = {w + run % copies * count, PLENS_BF16, n_out, n_in};
        double start = bench_now();
        plens__operand operand = plens__operand_make(engine, engine->products[PLENS_PRECISION_F32],
                                                     x, n_in, n_rows, n_in, NULL);
        plens__matmul(engine, &matrix, NULL, &operand, y, n_out);
        double flops = 2.0 * (double)count * (double)n_rows;
        double rate = flops / (bench_now() - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    free(w);
    free(x);
    free(y);
    return best;
}

static plens_isa isa_of(const char *name) {
    for (int isa = PLENS_ISA_SCALAR; plens_isa_name((plens_isa)isa) != NULL; isa++)
        if (strcmp(plens_isa_name((plens_isa)isa), name) == 0)
            return (plens_isa)isa;
    return PLENS_ISA_DEFAULT;
}

int main(int argc, char **argv) {
    static const size_t shapes[][2] = {/* [n_out, n_in] */
                                       {14336, 4096}, {4096, 14336}, {4096, 4096},
                                       {1536, 576},   {576, 1536},   {49152, 576}};
    static const size_t rows[] = {1, 16, 64, 256, 1024};
    plens_options options = {0};
    plens__engine engine;
    plens_error error;
    options.threads = argc > 1 ? atoi(argv[1]) : 0;
    options.isa_limit = argc > 2 ? isa_of(argv[2]) : PLENS_ISA_DEFAULT;
    if (plens__engine_open(&allocator, &options, &engine, &error) != PLENS_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    double peak = bench_peak(&engine);
    printf("%s, %d thread(s), peak %.0f GFLOP/s\n", plens_isa_name(engine.kernels->isa),
           engine.n_threads, peak);
    printf("bf16 weights, GFLOP/s (share of the peak)\n  n_out   n_in");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        printf("%9zu row%s", rows[r], rows[r] == 1 ? " " : "s");
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        printf("\n%7zu %6zu", shapes[s][0], shapes[s][1]);
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            double rate = measure(&engine, shapes[s][0], shapes[s][1], rows[r]);
            printf("%7.1f (%2.0f%%)", rate, peak > 0 ? 100 * rate / peak : 0);
            fflush(stdout);
        }
    }
    printf("\n");
    plens__engine_close(&engine);
    return 0;
}
