#define _POSIX_C_SOURCE 199309L

#include "bench/peak.h"

#include <time.h>

double bench_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

enum { CHAINS = 12, ROUNDS = 4000000 }; /* chains enough to hide a latency of 4 to 5 cycles */

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

/* The assembly does not say that it changes the registers' values, only that it may not vanish. */
#define TWELVE_FMA(r)                                                                              \
    __asm__ volatile("vfmadd231ps %%" r "12, %%" r "13, %%" r "0\n\t"                              \
                     "vfmadd231ps %%" r "12, %%" r "13, %%" r "1\n\t"                              \
                     "vfmadd231ps %%" r "12, %%" r "13, %%" r "2\n\t"                              \
                     "vfmadd231ps %%" r "12, %%" r "13, %%" r "3\n\t"                              \
                     "vfmadd231ps %%" r "12, %%" r "13, %%" r "4\n\t"                              \
                     "vfmadd231ps %%" r "12, %%" r "13, %%" r "5\n\t"                              \
                     "vfmadd231ps %%" r "12, %%" r "13, %%" r "6\n\t"                              \
                     "vfmadd231ps %%" r "12, %%" r "13, %%" r "7\n\t"                              \
                     "vfmadd231ps %%" r "12, %%" r "13, %%" r "8\n\t"                              \
                     "vfmadd231ps %%" r "12, %%" r "13, %%" r "9\n\t"                              \
                     "vfmadd231ps %%" r "12, %%" r "13, %%" r "10\n\t"                             \
                     "vfmadd231ps %%" r "12, %%" r "13, %%" r "11"                                 \
                     :                                                                             \
                     :                                                                             \
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",     \
                       "xmm9", "xmm10", "xmm11")

static void burn_512(void *arg, size_t item, int thread) {
    (void)arg, (void)item, (void)thread;
    __asm__ volatile("vzeroall" ::: "memory");
    for (int i = 0; i < ROUNDS; i++)
        TWELVE_FMA("zmm");
    __asm__ volatile("vzeroupper" ::: "memory");
}

static void burn_256(void *arg, size_t item, int thread) {
    (void)arg, (void)item, (void)thread;
    __asm__ volatile("vzeroall" ::: "memory");
    for (int i = 0; i < ROUNDS; i++)
        TWELVE_FMA("ymm");
    __asm__ volatile("vzeroupper" ::: "memory");
}

static plens__task *burner(plens_isa isa) {
    return isa == PLENS_ISA_AVX512 ? burn_512 : isa == PLENS_ISA_AVX2 ? burn_256 : NULL;
}

static double floats_in_vector(plens_isa isa) {
    return isa == PLENS_ISA_AVX512 ? 16 : 8;
}

#else

static plens__task *burner(plens_isa isa) {
    (void)isa;
    return NULL;
}

static double floats_in_vector(plens_isa isa) {
    (void)isa;
    return 0;
}

#endif

double bench_peak(const plens__engine *engine) {
    plens__task *task = burner(engine->kernels->isa);
    double best = 0;
    for (int run = 0; run < 5 && task != NULL; run++) {
        double begin = bench_now();
        plens__parallel(engine, (size_t)engine->n_threads, task, NULL);
        double flops = 2.0 * CHAINS * ROUNDS * floats_in_vector(engine->kernels->isa);
        double rate = flops * engine->n_threads / (bench_now() - begin) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}
