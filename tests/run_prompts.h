/* Some prompts with common beginnings, their model, and what the lens hands out of them: for tests
 * of plens_run. */
#ifndef PLENS_TESTS_RUN_PROMPTS_H
#define PLENS_TESTS_RUN_PROMPTS_H

#include "tests/test.h"

#include "plens.h"

#define FOLDER "tests/fixtures/models/llama3-rope-shards"

static const int32_t ids_a[] = {1, 7, 5, 9}, ids_b[] = {1, 7, 5, 3, 2}, ids_c[] = {1, 7},
                     ids_d[] = {4};
static const int32_t targets[] = {3, 0, 3};
/* Seven distinct prefixes: 1, 17, 175, 1759, 1753, 17532, 4. c is a prefix of a; e equals a. */
static const plens_prompt prompts[] = {{ids_a, 4, targets, 3},
                                       {ids_b, 5, NULL, 0},
                                       {ids_c, 2, targets, 1},
                                       {ids_d, 1, NULL, 0},
                                       {ids_a, 4, targets + 1, 1}};
enum { N_PROMPTS = 5, N_ROWS = 7, N_TOKENS = 16, N_ENDS = 4 };

static plens_error error;

typedef struct opened {
    plens_context *context;
    plens_model *model;
    plens_model_info info;
} opened;

static inline plens_status open_all(opened *o, const plens_options *options) {
    memset(o, 0, sizeof *o);
    plens_status status = plens_context_create(options, &o->context, &error);
    if (status == PLENS_OK)
        status = plens_model_open(o->context, FOLDER, &o->model, &error);
    if (status == PLENS_OK)
        plens_model_describe(o->model, &o->info);
    return status;
}

static inline void close_all(opened *o) {
    plens_model_close(o->model);
    plens_context_destroy(o->context);
}

typedef struct results {
    size_t n, last_prompt, last_position, last_layer, in_order;
    size_t stop_at;
    float target_prob[N_PROMPTS][3], final_prob[N_PROMPTS];
} results;

static inline int collect(void *user, const plens_lens_result *r) {
    results *all = user;
    if (++all->n == all->stop_at)
        return 1;
    int after = r->prompt != all->last_prompt       ? r->prompt > all->last_prompt
                : r->position != all->last_position ? r->position > all->last_position
                                                    : r->layer > all->last_layer;
    all->in_order += (size_t)(all->n == 1 || after);
    all->last_prompt = r->prompt;
    all->last_position = r->position;
    all->last_layer = r->layer;
    for (size_t i = 0; i < r->n_targets; i++) {
        all->target_prob[r->prompt][i] = r->targets[i].prob;
        if (r->targets[i].id != prompts[r->prompt].targets[i])
            test_bad = 1;
    }
    for (size_t i = 0; i < r->n_top; i++) {
        if (r->top[i].rank > i || (i > 0 && r->top[i].logit > r->top[i - 1].logit))
            test_bad = 1;
    }
    all->final_prob[r->prompt] = r->final_top.prob;
    return 0;
}

#endif
