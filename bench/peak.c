#define _POSIX_C_SOURCE 199309L

#include "bench/peak.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/huge_pages.h"

/* On a machine that is busy with other work, CFLAGS='-O2 -DBENCH_CLOCK=CLOCK_PROCESS_CPUTIME_ID'
 * and one thread give figures that mean something. */
#ifndef BENCH_CLOCK
#define BENCH_CLOCK CLOCK_MONOTONIC
#endif

static void *reallocate(void *user, void *old, size_t old_size, size_t new_size) {
    (void)user, (void)old_size;
    if (new_size == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, new_size);
}

const plens_allocator bench_allocator = {reallocate, NULL};

double bench_now(void) {
    struct timespec now;
    clock_gettime(BENCH_CLOCK, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- Arithmetic ------------------------------------------------------------------------------ */

/* An instruction that multiplies: what one pass through its loop's body does. */
typedef struct instruction {
    const char *name;
    plens__task *burn; /* ROUNDS passes */
    double flops;      /* of one pass, multiply-adds count two */
} instruction;

enum { ROUNDS = 2000000, AMX_ROUNDS = 200000 };

/* What is multiplied: bf16 numbers between 0.5 and 2 of both signs, or floats of pairs of them.
 * Zeros, or the same tiles again and again, would not do: a processor whose clock follows its power
 * then is a quarter faster. */
enum { NUMBERS = 8192, QUAD = 2048 }; /* 16 KiB; four tiles */

/* At a cache line. */
static const uint16_t *numbers(void) {
    static uint16_t block[NUMBERS + 32];
    uint16_t *made = block + (64 - (uintptr_t)block % 64) / sizeof *block;
    uint32_t random = 1;
    for (size_t i = 0; i < NUMBERS && made[NUMBERS - 1] == 0; i++) {
        random = random * 1664525 + 1013904223;
        made[i] = (uint16_t)((random >> 16 & 0x80FF) | 0x3F00);
    }
    return made;
}

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

/* Twelve chains hide a latency of 4 to 6 cycles. The assembly does not say that it changes the
 * registers' values, only that it may not vanish. */
#define STEP(op, r, to) op " %%" r "12, %%" r "13, %%" r #to "\n\t"
#define TWELVE(op, r)                                                                              \
    __asm__ volatile(STEP(op, r, 0) STEP(op, r, 1) STEP(op, r, 2) STEP(op, r, 3) STEP(op, r, 4)    \
                         STEP(op, r, 5) STEP(op, r, 6) STEP(op, r, 7) STEP(op, r, 8)               \
                             STEP(op, r, 9) STEP(op, r, 10) STEP(op, r, 11)                        \
                     :                                                                             \
                     :                                                                             \
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",     \
                       "xmm9", "xmm10", "xmm11")

#define BURN(name, op, r)                                                                          \
    static void name(void *arg, size_t item, int thread) {                                         \
        (void)arg, (void)item, (void)thread;                                                       \
        __asm__ volatile("vzeroall\n\tvmovups (%0), %%" r "12\n\tvmovups 64(%0), %%" r "13"        \
                         :                                                                         \
                         : "r"(numbers())                                                          \
                         : "memory", "xmm12", "xmm13");                                            \
        for (int i = 0; i < ROUNDS; i++)                                                           \
            TWELVE(op, r);                                                                         \
        __asm__ volatile("vzeroupper" ::: "memory");                                               \
    }
BURN(burn_fma_512, "vfmadd231ps", "zmm")
BURN(burn_fma_256, "vfmadd231ps", "ymm")
BURN(burn_dp, "vdpbf16ps", "zmm")

static void begin_tiles(void) {
    static const struct {
        unsigned char palette, start, reserved[14];
        unsigned short row_bytes[16];
        unsigned char rows[16];
    } tiles = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    __asm__ volatile(".byte 0xC4,0xE2,0x78,0x49,0x00" ::"a"(&tiles), "m"(tiles)); /* ldtilecfg */
}

static void end_tiles(void) {
    __asm__ volatile(".byte 0xC4,0xE2,0x78,0x49,0xC0"); /* tilerelease */
}

typedef struct loads {
    const char *from;
    size_t n_bytes, rounds;
} loads;

/* Item: one core's. */
static void load_tiles(void *arg, size_t item, int thread) {
    const loads *l = arg;
    (void)item, (void)thread;
    begin_tiles();
    for (size_t round = 0; round < l->rounds; round++)
        for (size_t at = 0; at < l->n_bytes; at += 4096)
            __asm__ volatile(
                ".byte 0xC4,0xE2,0x7B,0x4B,0x24,0x08\n\t" /* tileloadd (rax,rcx), tmm4 */
                ".byte 0xC4,0xE2,0x7B,0x4B,0x34,0x0A\n\t" /* … (rdx,rcx), tmm6 */
                ".byte 0xC4,0xE2,0x7B,0x4B,0x3C,0x0E\n\t" /* … (rsi,rcx), tmm7 */
                ".byte 0xC4,0xE2,0x7B,0x4B,0x2C,0x0F"     /* … (rdi,rcx), tmm5 */
                :
                : "a"(l->from + at), "d"(l->from + at + 1024), "S"(l->from + at + 2048),
                  "D"(l->from + at + 3072), "c"((size_t)64)
                : "memory");
    end_tiles();
}

double bench_tile_load(const plens__engine *engine, size_t n_bytes) {
    char *block = plens__alloc(&bench_allocator, plens__huge_bytes(n_bytes));
    double best = 0;
    if (block == NULL)
        return 0;
    loads l = {plens__huge_begin(block, n_bytes), n_bytes, (256 << 20) / n_bytes};
    memset((char *)(uintptr_t)l.from, 1, n_bytes);
    for (int run = 0; run < 5; run++) {
        double begin = bench_now();
        plens__parallel(engine, 1, load_tiles, &l);
        double seconds = (bench_now() - begin) / (double)(l.rounds * n_bytes / 1024);
        best = run == 0 || seconds < best ? seconds : best;
    }
    plens__free(&bench_allocator, block);
    return best;
}

/* Four tiles of sums, as TDPBF16PS has a latency of 52 cycles and begins every 16; the operands
 * come from the first-level cache meanwhile. In bytes, as assemblers older than AMX do not know it.
 */
static void burn_amx(void *arg, size_t item, int thread) {
    (void)arg, (void)item, (void)thread;
    begin_tiles();
    for (size_t i = 0; i < AMX_ROUNDS; i++) {
        const uint16_t *from = numbers() + i * QUAD % NUMBERS;
        __asm__ volatile(".byte 0xC4,0xE2,0x7B,0x4B,0x24,0x08\n\t" /* tileloadd (rax,rcx), tmm4 */
                         ".byte 0xC4,0xE2,0x7B,0x4B,0x34,0x0A\n\t" /* … (rdx,rcx), tmm6 */
                         ".byte 0xC4,0xE2,0x4A,0x5C,0xC4\n\t"      /* tdpbf16ps tmm6, tmm4, tmm0 */
                         ".byte 0xC4,0xE2,0x7B,0x4B,0x3C,0x0E\n\t" /* … (rsi,rcx), tmm7 */
                         ".byte 0xC4,0xE2,0x42,0x5C,0xCC\n\t"      /* … tmm7, tmm4, tmm1 */
                         ".byte 0xC4,0xE2,0x7B,0x4B,0x2C,0x0F\n\t" /* … (rdi,rcx), tmm5 */
                         ".byte 0xC4,0xE2,0x4A,0x5C,0xD5\n\t"      /* … tmm6, tmm5, tmm2 */
                         ".byte 0xC4,0xE2,0x42,0x5C,0xDD"          /* … tmm7, tmm5, tmm3 */
                         :
                         : "a"(from), "d"(from + 512), "S"(from + 1024), "D"(from + 1536),
                           "c"((size_t)64)
                         : "memory");
    }
    end_tiles();
}

static instruction instruction_of(const plens__product *product) {
    static const instruction fma_512 = {"FMA, 512 bits", burn_fma_512, 12 * 16 * 2};
    static const instruction fma_256 = {"FMA, 256 bits", burn_fma_256, 12 * 8 * 2};
    static const instruction dp = {"VDPBF16PS", burn_dp, 12 * 16 * 4};
    static const instruction amx = {"TDPBF16PS", burn_amx,
                                    4.0 * 16 * 16 * 32 * 2 * AMX_ROUNDS / ROUNDS};
    static const instruction none = {"portable C", NULL, 0};
    return product->isa == PLENS_ISA_AVX2         ? fma_256
           : product->isa == PLENS_ISA_AVX512     ? fma_512
           : product->isa == PLENS_ISA_AVX512BF16 ? dp
           : product->isa == PLENS_ISA_AMX        ? amx
                                                  : none;
}

#else

static instruction instruction_of(const plens__product *product) {
    static const instruction none = {"", NULL, 0};
    (void)product;
    return none;
}

double bench_tile_load(const plens__engine *engine, size_t n_bytes) {
    (void)engine, (void)n_bytes;
    return 0;
}

#endif

const char *bench_instruction(const plens__product *product) {
    return instruction_of(product).name;
}

double bench_peak(const plens__engine *engine, const plens__product *product) {
    instruction of = instruction_of(product);
    double best = 0;
    numbers(); /* made before the threads begin */
    for (int run = 0; run < 7 && of.burn != NULL; run++) {
        double begin = bench_now();
        plens__parallel(engine, (size_t)engine->n_threads, of.burn, NULL);
        double rate = of.flops * ROUNDS * engine->n_threads / (bench_now() - begin);
        best = rate > best ? rate : best;
    }
    return product->precision == PLENS_PRECISION_BF16X3 ? best / 3 : best;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

enum { PART = 1 << 20, PARTS = 1 << 9 }; /* half a gigabyte */

typedef struct reading {
    const uint64_t *from;
    volatile uint64_t sum;
} reading;

/* Four streams within a part, as the fastest of our own loops have: one alone reads less. */
static void read_part(void *arg, size_t item, int thread) {
    reading *r = arg;
    const uint64_t *p = r->from + item * (PART / sizeof *p);
    enum { STREAMS = 4, LENGTH = PART / sizeof *p / STREAMS };
    uint64_t sum[STREAMS] = {0};
    (void)thread;
    for (size_t i = 0; i < LENGTH; i += 8)
        for (size_t s = 0; s < STREAMS; s++) {
            const uint64_t *line = p + s * LENGTH + i;
            sum[s] += line[0] + line[1] + line[2] + line[3] + line[4] + line[5] + line[6] + line[7];
        }
    for (size_t s = 1; s < STREAMS; s++)
        sum[0] += sum[s];
    r->sum = sum[0]; /* a race of no consequence, but for the compiler */
}

double bench_bandwidth(const plens__engine *engine) {
    const size_t n_bytes = (size_t)PART * PARTS;
    void *block = plens__alloc(&bench_allocator, plens__huge_bytes(n_bytes));
    double best = 0;
    if (block == NULL)
        return 0;
    char *memory = plens__huge_begin(block, n_bytes);
    memset(memory, 1, n_bytes);
    for (int run = 0; run < 7; run++) {
        reading r = {(const uint64_t *)(const void *)memory, 0};
        double begin = bench_now();
        plens__parallel(engine, PARTS, read_part, &r);
        double rate = (double)n_bytes / (bench_now() - begin);
        best = rate > best ? rate : best;
    }
    plens__free(&bench_allocator, block);
    return best;
}
