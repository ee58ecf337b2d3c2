/* Runs of a few prompts with hooks, for tests of them: the model in hand, what hooks do, and what a
 * run leaves behind. */
#ifndef PLENS_TESTS_HOOK_RUNS_H
#define PLENS_TESTS_HOOK_RUNS_H

#include "tests/hook_golden.h"

static plens_error error;
static hook_golden now;

static inline void opens(void) {
    int absent;
    const char *name = now.name, *problem = hook_golden_open(name, now.precision, &now, &absent);
    if (absent)
        SKIP("%s: %s", name, problem);
    CHECK_THAT(problem == NULL, "%s: %s", name, problem);
}

/* Prompts with common beginnings, one of them twice, one the beginning of others; one stands apart.
 */
static const int32_t ids_a[] = {1, 7, 5, 9, 30, 2, 11}, ids_b[] = {1, 7, 5, 9, 3}, ids_c[] = {1, 7},
                     ids_d[] = {4, 7, 5};
static const plens_prompt prompts[] = {
    {ids_a, 7, NULL, 0}, {ids_b, 5, NULL, 0}, {ids_c, 2, NULL, 0}, {ids_d, 3, NULL, 0},
    {ids_a, 7, NULL, 0}, {ids_b, 5, NULL, 0}, {ids_a, 5, NULL, 0}};
enum { N_PROMPTS = 7, LONGEST = 7, N_ROWS = 11, N_TOKENS = 34, MOST_VOCAB = 80 };

/* Every logit of every prompt. */
typedef struct logits {
    float values[N_PROMPTS][LONGEST][MOST_VOCAB];
    size_t n_rows;
} logits;

static inline int keep_logits(void *user, const plens_activations *a) {
    logits *kept = user;
    kept->n_rows += a->n_rows;
    for (size_t r = 0; r < a->n_rows; r++) {
        for (size_t i = 0; i < a->rows[r].n_prompts; i++)
            memcpy(kept->values[a->rows[r].prompts[i]][a->rows[r].position],
                   a->values + r * a->width, a->width * sizeof(float));
    }
    return 0;
}

/* Runs n prompts with the hook given, if any, and what it leaves behind in *kept. */
static inline plens_status run_with(plens_context *context, const plens_hook *hooks, size_t n_hooks,
                                    const plens_prompt *some, size_t n, int no_sharing,
                                    logits *kept) {
    plens_hook all[N_POINTS + 1];
    memset(kept, 0, sizeof *kept);
    if (n_hooks > 0)
        memcpy(all, hooks, n_hooks * sizeof *hooks);
    all[n_hooks] = (plens_hook){.point = PLENS_LOGITS, .fn = keep_logits, .user = kept};
    plens_run_options options = {.hooks = all, .n_hooks = n_hooks + 1, .no_sharing = no_sharing};
    return plens_run(context, now.model, some, n, &options, &error);
}

static inline int look(void *user, const plens_activations *a) {
    float *sum = user;
    for (size_t i = 0; i < a->n_rows * a->width; i++)
        *sum += a->values[i];
    return 0;
}

/* x_i (0.5 + 0.25 (i mod 3)) along the last axis: what make_hook_goldens.py writes. */
static inline int write_ramp(void *user, const plens_activations *a) {
    size_t width = a->n_heads == 0 ? a->width : a->width / a->n_heads;
    (void)user;
    for (size_t i = 0; i < a->n_rows * a->width; i++)
        a->values[i] *= 0.5f + 0.25f * (float)(i % a->width % width % 3);
    return 0;
}

#endif
