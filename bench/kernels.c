/* Matrix products against the machine's roof: shapes of real models, from one row to thousands.
 *
 * usage: kernels [--threads N] [--isa SET] [--precision P] [--rows R,R…] [--out FILE.tsv]
 *   SET   the most that may be used (scalar, avx2, avx512, avx512bf16, amx, neon); the fastest
 *   P     f32, bf16, bf16x3; all three
 *
 * First the machine's own peaks are measured: the arithmetic of each product's instruction, and
 * reading memory. A product cannot take less time than its roof, max(bytes of the weights / read
 * bandwidth, FLOP / peak): its figures are GFLOP/s and the share of what the roof allows. Weights
 * are bf16 and come from memory, the activations' packing is counted. FILE.tsv gets all figures,
 * for bench/roofline.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peak.h"
#include "runtime/huge_pages.h"
#include "runtime/matmul.h"

/* As a run's buffers lie. */
static void *take(size_t bytes, void **block) {
    *block = plens__alloc(&bench_allocator, plens__huge_bytes(bytes));
    if (*block == NULL) {
        fprintf(stderr, "no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return plens__huge_begin(*block, bytes);
}

/* ---- one measurement ---- */

typedef struct matrix_shape {
    size_t n_out, n_in;
} matrix_shape;

/* A model's weights are read once and then not again for a long time: as many copies of a small
 * matrix as fill FLUSH bytes are taken in turn, so that they do not stay in the caches. */
enum { FLUSH = 128 << 20, MOST_COPIES = 96 };

/* Weights and activations of a shape, and where its results go. */
typedef struct job {
    matrix_shape shape;
    size_t n_rows, n_copies;
    uint16_t *w;
    float *x, *y;
    void *packed, *blocks[4]; /* the blocks in which these lie */
} job;

static job make_job(const plens__product *product, matrix_shape shape, size_t n_rows) {
    size_t count = shape.n_out * shape.n_in, copies = FLUSH / (count * 2) + 1;
    job j = {shape, n_rows, copies < MOST_COPIES ? copies : MOST_COPIES, NULL, NULL, NULL,
             NULL,  {NULL}};
    j.w = take(j.n_copies * count * sizeof *j.w, &j.blocks[0]);
    j.x = take(n_rows * shape.n_in * sizeof *j.x, &j.blocks[1]);
    j.y = take(n_rows * shape.n_out * sizeof *j.y, &j.blocks[2]);
    j.packed = take(plens__operand_bytes(product, n_rows, shape.n_in) + 1, &j.blocks[3]);
    for (size_t i = 0; i < j.n_copies * count; i++)
        j.w[i] = (uint16_t)(0x3F00 + i % 251);
    for (size_t i = 0; i < n_rows * shape.n_in; i++)
        j.x[i] = (float)(i % 17) - 8;
    memset(j.y, 0, n_rows * shape.n_out * sizeof *j.y);
    return j;
}

static void free_job(job *j) {
    for (int i = 0; i < 4; i++)
        plens__free(&bench_allocator, j->blocks[i]);
}

/* Seconds: the best of several runs, which together take half a second at least. */
static double measure(const plens__engine *engine, const plens__product *product,
                      matrix_shape shape, size_t n_rows) {
    job j = make_job(product, shape, n_rows);
    double best = 0, begin = bench_now();
    for (size_t run = 0; run < 2 || bench_now() - begin < 0.5; run++) {
        const uint16_t *w = j.w + run % j.n_copies * shape.n_out * shape.n_in;
        plens__matrix matrix = {w, PLENS_BF16, shape.n_out, shape.n_in};
        double start = bench_now();
        plens__rows rows = {.x = j.x, .ldx = shape.n_in, .n_rows = n_rows, .n_in = shape.n_in};
        plens__operand operand = plens__operand_make(engine, product, &rows, j.packed);
        plens__matmul(engine, &matrix, NULL, &operand, j.y, shape.n_out);
        double seconds = bench_now() - start;
        best = run == 0 || seconds < best ? seconds : best;
    }
    free_job(&j);
    return best;
}

/* ---- tables ---- */

enum { MOST_ROWS = 16 };

typedef struct options {
    plens_options context;
    size_t rows[MOST_ROWS], n_rows;
    FILE *out;
} options;

static const matrix_shape shapes[] = {
    {14336, 4096}, {4096, 14336}, {4096, 4096}, {128256, 4096}, {1536, 576}};

/* The least seconds that a product could take. */
static double roof(matrix_shape shape, size_t n_rows, double peak, double bandwidth) {
    double count = (double)shape.n_out * (double)shape.n_in;
    double reading = bandwidth > 0 ? 2 * count / bandwidth : 0;
    double computing = peak > 0 ? 2 * count * (double)n_rows / peak : 0;
    return reading > computing ? reading : computing;
}

static void print_table(const options *o, const plens__engine *engine,
                        const plens__product *product, double bandwidth) {
    const char *precision = plens_precision_name(product->precision);
    const char *isa = plens_isa_name(product->isa);
    double peak = bench_peak(engine, product);
    if (product->isa == PLENS_ISA_AMX && product->precision == PLENS_PRECISION_BF16)
        printf(
            "\none core loads a tile from 16 KiB in %.1f ns, from 512 KiB in %.1f, from 48 MiB in "
            "%.1f, multiplies one in %.1f\n",
            1e9 * bench_tile_load(engine, 16 << 10), 1e9 * bench_tile_load(engine, 512 << 10),
            1e9 * bench_tile_load(engine, 48 << 20), 16384e9 * engine->n_threads / peak);
    printf("\n%s by %s, peak %.0f GFLOP/s (%s%s): GFLOP/s (share of the roof)\n  n_out   n_in",
           precision, isa, peak * 1e-9, bench_instruction(product),
           product->precision == PLENS_PRECISION_BF16X3 ? ", a third" : "");
    for (size_t r = 0; r < o->n_rows; r++)
        printf("%9zu row%s", o->rows[r], o->rows[r] == 1 ? " " : "s");
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        printf("\n%7zu %6zu", shapes[s].n_out, shapes[s].n_in);
        for (size_t r = 0; r < o->n_rows; r++) {
            double seconds = measure(engine, product, shapes[s], o->rows[r]);
            double least = roof(shapes[s], o->rows[r], peak, bandwidth);
            double flops = 2.0 * (double)(shapes[s].n_out * shapes[s].n_in * o->rows[r]);
            printf("%7.1f (%3.0f%%)", flops / seconds * 1e-9, 100 * least / seconds);
            fflush(stdout);
            if (o->out != NULL)
                fprintf(o->out, "%s\t%s\t%d\t%zu\t%zu\t%zu\t%.9g\t%.9g\t%.9g\n", precision, isa,
                        engine->n_threads, shapes[s].n_out, shapes[s].n_in, o->rows[r], seconds,
                        peak, bandwidth);
        }
    }
    printf("\n");
}

/* ---- the command line ---- */

static int number_of(const char *name, const char *(*name_of)(int), int from) {
    for (int i = from; name_of(i) != NULL; i++)
        if (strcmp(name_of(i), name) == 0)
            return i;
    fprintf(stderr, "unknown: %s\n", name);
    exit(2);
}

static const char *isa_name(int isa) {
    return plens_isa_name((plens_isa)isa);
}

static const char *precision_name(int precision) {
    return plens_precision_name((plens_precision)precision);
}

static void read_rows(const char *text, options *o) {
    for (o->n_rows = 0; *text != '\0' && o->n_rows < MOST_ROWS;) {
        char *end;
        o->rows[o->n_rows++] = strtoul(text, &end, 10);
        text = *end == ',' ? end + 1 : "";
    }
}

static options read_options(int argc, char **argv) {
    options o = {{0}, {1, 16, 64, 256, 1024, 4096}, 6, NULL};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--threads") == 0)
            o.context.threads = atoi(value);
        else if (strcmp(argv[i], "--isa") == 0)
            o.context.isa_limit = (plens_isa)number_of(value, isa_name, 1);
        else if (strcmp(argv[i], "--precision") == 0)
            o.context.precision = (plens_precision)number_of(value, precision_name, 1);
        else if (strcmp(argv[i], "--rows") == 0)
            read_rows(value, &o);
        else if (strcmp(argv[i], "--out") == 0)
            o.out = fopen(value, "a");
    }
    return o;
}

int main(int argc, char **argv) {
    options o = read_options(argc, argv);
    plens__engine engine;
    plens_error error;
    if (plens__engine_open(&bench_allocator, &o.context, &engine, &error) != PLENS_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    double bandwidth = bench_bandwidth(&engine);
    printf("%d thread(s); memory is read at %.1f GB/s\n", engine.n_threads, bandwidth * 1e-9);
    for (int p = PLENS_PRECISION_F32; p <= PLENS_PRECISION_BF16X3; p++)
        if (o.context.precision == PLENS_PRECISION_DEFAULT || (int)o.context.precision == p)
            print_table(&o, &engine, engine.products[p], bandwidth);
    if (o.out != NULL)
        fclose(o.out);
    plens__engine_close(&engine);
    return 0;
}
