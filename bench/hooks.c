/* What hooks cost: runs without them, and runs that read the residual stream after every block at
 * every position, in turn on the same rows. The linker lets us take the library's hooks out of the
 * way (--wrap): that is what a run would cost if there were none at all.
 *
 * usage: hooks MODEL [PROMPTS [TOKENS [ROUNDS [THREADS]]]]    (16 prompts of 64 tokens, 5 rounds)
 *
 * Prints for each kind of run the median of its seconds, and the median over the rounds of its time
 * over that of the run without hooks next to it. A run that nobody looks at takes only the last
 * position of each prompt through the rest of the last block; reading all positions takes all of
 * them, so that of L blocks one costs more. "ends" reads the last positions only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peak.h"
#include "runtime/pass.h"

enum { BARE, FREE, ENDS, READ, N_KINDS, MOST_ROUNDS = 99 };

static const char *const names[N_KINDS] = {"without the hooks' code", "no hooks",
                                           "resid_post, last positions", "resid_post, everywhere"};

static int bare; /* 1: the library's hooks are out of the way */

/* The names are the linker's. */
plens_status __real_plens__pass_hooks(plens__pass *, plens_point, size_t, const plens__selection *,
                                      size_t, size_t, float *, size_t, plens_error *);
plens_status __wrap_plens__pass_hooks(plens__pass *, plens_point, size_t, const plens__selection *,
                                      size_t, size_t, float *, size_t, plens_error *);
int __real_plens__pass_wants(const plens_run_options *, plens_point, size_t);
int __wrap_plens__pass_wants(const plens_run_options *, plens_point, size_t);

plens_status __wrap_plens__pass_hooks(plens__pass *pass, plens_point point, size_t layer,
                                      const plens__selection *selection, size_t slot, size_t n,
                                      float *values, size_t width, plens_error *error) {
    return bare ? PLENS_OK
                : __real_plens__pass_hooks(pass, point, layer, selection, slot, n, values, width,
                                           error);
}

int __wrap_plens__pass_wants(const plens_run_options *options, plens_point point, size_t layer) {
    return bare ? 0 : __real_plens__pass_wants(options, point, layer);
}

/* ---- the runs ---- */

typedef struct bench {
    plens_context *context;
    plens_model *model;
    plens_prompt *prompts;
    size_t n_prompts;
    float *kept; /* [rows of a call, d_model] what a hook reads goes here */
    double seconds[N_KINDS][MOST_ROUNDS];
} bench;

static void stop(const char *message) {
    fprintf(stderr, "hooks: %s\n", message);
    exit(1);
}

/* A plens_hook_fn. */
static int keep(void *user, const plens_activations *a) {
    bench *b = user;
    for (size_t r = 0; r < a->n_rows; r++)
        memcpy(b->kept, a->values + r * a->width, a->width * sizeof(float));
    return 0;
}

static double run(bench *b, int kind) {
    plens_error error;
    plens_hook hook = {.point = PLENS_RESID_POST, .fn = keep, .user = b};
    plens_run_options options = {.hooks = &hook, .n_hooks = kind >= ENDS};
    if (kind == ENDS)
        hook.positions = PLENS_POSITIONS_LAST;
    bare = kind == BARE;
    double start = bench_now();
    if (plens_run(b->context, b->model, b->prompts, b->n_prompts, &options, &error) != PLENS_OK)
        stop(error.message);
    return bench_now() - start;
}

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(const double *values, size_t n) {
    double sorted[MOST_ROUNDS];
    memcpy(sorted, values, n * sizeof *values);
    qsort(sorted, n, sizeof *sorted, compare);
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

static void report(const bench *b, size_t n_rounds) {
    printf("%-28s %9s %9s\n", "run", "seconds", "of none");
    for (int kind = 0; kind < N_KINDS; kind++) {
        double ratios[MOST_ROUNDS];
        for (size_t i = 0; i < n_rounds; i++)
            ratios[i] = b->seconds[kind][i] / b->seconds[FREE][i];
        printf("%-28s %9.4f %9.4f\n", names[kind], median(b->seconds[kind], n_rounds),
               median(ratios, n_rounds));
    }
}

static size_t argument(int argc, char **argv, int i, size_t otherwise) {
    size_t value = argc > i ? (size_t)strtoul(argv[i], NULL, 10) : otherwise;
    if (value == 0)
        stop("expected numbers above 0");
    return value;
}

int main(int argc, char **argv) {
    if (argc < 2)
        stop("usage: hooks MODEL [PROMPTS [TOKENS [ROUNDS [THREADS]]]]");
    bench b = {.n_prompts = argument(argc, argv, 2, 16)};
    size_t n_ids = argument(argc, argv, 3, 64), n_rounds = argument(argc, argv, 4, 5);
    plens_options how = {.precision = PLENS_PRECISION_F32};
    plens_model_info info;
    plens_error error;
    how.threads = argc > 5 ? (int)argument(argc, argv, 5, 1) : 0;
    if (plens_context_create(&how, &b.context, &error) != PLENS_OK ||
        plens_model_open(b.context, argv[1], &b.model, &error) != PLENS_OK)
        stop(error.message);
    plens_model_describe(b.model, &info);
    int32_t *ids = malloc(b.n_prompts * n_ids * sizeof *ids);
    b.prompts = calloc(b.n_prompts, sizeof *b.prompts);
    b.kept = malloc(info.d_model * sizeof *b.kept);
    if (ids == NULL || b.prompts == NULL || b.kept == NULL)
        stop("no memory");
    for (size_t i = 0; i < b.n_prompts * n_ids; i++) /* no two prompts begin alike */
        ids[i] = (int32_t)((i % n_ids == 0 ? i / n_ids : i * 7919) % info.vocab_size);
    for (size_t i = 0; i < b.n_prompts; i++)
        b.prompts[i] = (plens_prompt){ids + i * n_ids, n_ids, NULL, 0};
    n_rounds = n_rounds < MOST_ROUNDS ? n_rounds : MOST_ROUNDS;
    run(&b, FREE); /* the file's pages are there now */
    for (size_t i = 0; i < n_rounds; i++) {
        for (int k = 0; k < N_KINDS; k++) { /* none is always the first */
            int kind = (k + (int)i) % N_KINDS;
            b.seconds[kind][i] = run(&b, kind);
        }
    }
    printf("%zu prompts of %zu tokens, %zu blocks, %zu wide, %zu rounds\n", b.n_prompts, n_ids,
           info.n_layers, info.d_model, n_rounds);
    report(&b, n_rounds);
    free(ids);
    free(b.prompts);
    free(b.kept);
    plens_model_close(b.model);
    plens_context_destroy(b.context);
    return 0;
}
