/* Everything that a run shows of every prompt, kept in plain arrays, so that tests can compare runs
 * with goldens and with each other. */
#ifndef PLENS_TESTS_CAPTURE_H
#define PLENS_TESTS_CAPTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plens.h"

#define CAPTURE_TOP 5

/* The lens of one layer at the prompt's last position. */
typedef struct capture_lens {
    plens_lens_token top[CAPTURE_TOP], target, final_top;
    size_t n_top;
    float entropy;
    int finite;
} capture_lens;

typedef struct capture_prompt {
    plens_prompt prompt;
    float *states;      /* [n_layers + 1, n_ids, d_model]: EMBED, then RESID_POST of each block */
    float *logits;      /* [n_ids, vocab_size] */
    capture_lens *lens; /* [n_layers] */
    int *seen;          /* how often each row came: [n_layers + 2, n_ids], then [n_layers] lenses */
} capture_prompt;

typedef struct captures {
    plens_model_info model;
    size_t n_prompts;
    capture_prompt *prompts;
    int wrong_shape; /* a callback got a width, row or layer that cannot be */
} captures;

static inline void *capture_memory(size_t count, size_t size) {
    void *block = calloc(count, size);
    if (block == NULL) {
        printf("out of memory\n");
        exit(1);
    }
    return block;
}

/* Makes room for a run of these prompts (which must outlive the capture). */
static inline void capture_begin(captures *capture, const plens_model *model,
                                 const plens_prompt *prompts, size_t n_prompts) {
    memset(capture, 0, sizeof *capture);
    plens_model_describe(model, &capture->model);
    size_t n_layers = capture->model.n_layers;
    capture->n_prompts = n_prompts;
    capture->prompts = capture_memory(n_prompts, sizeof *capture->prompts);
    for (size_t i = 0; i < n_prompts; i++) {
        capture_prompt *kept = &capture->prompts[i];
        size_t n = prompts[i].n_ids;
        kept->prompt = prompts[i];
        kept->states = capture_memory((n_layers + 1) * n * capture->model.d_model, sizeof(float));
        kept->logits = capture_memory(n * capture->model.vocab_size, sizeof(float));
        kept->lens = capture_memory(n_layers, sizeof(capture_lens));
        kept->seen = capture_memory((n_layers + 2) * n + n_layers, sizeof(int));
    }
}

static inline void capture_free(captures *capture) {
    for (size_t i = 0; i < capture->n_prompts; i++) {
        free(capture->prompts[i].states);
        free(capture->prompts[i].logits);
        free(capture->prompts[i].lens);
        free(capture->prompts[i].seen);
    }
    free(capture->prompts);
    memset(capture, 0, sizeof *capture);
}

static inline int capture_hook(void *user, const plens_activations *activations) {
    captures *to = user;
    int logits = activations->point == PLENS_LOGITS;
    size_t width = logits ? to->model.vocab_size : to->model.d_model;
    size_t level = logits ? to->model.n_layers + 1 : activations->layer;
    if (activations->width != width || level > to->model.n_layers + 1) {
        to->wrong_shape = 1;
        return 0;
    }
    for (size_t r = 0; r < activations->n_rows; r++) {
        const plens_row *row = &activations->rows[r];
        for (size_t i = 0; i < row->n_prompts; i++) {
            size_t prompt = row->prompts[i];
            if (prompt >= to->n_prompts || row->position >= to->prompts[prompt].prompt.n_ids) {
                to->wrong_shape = 1;
                return 0;
            }
            capture_prompt *kept = &to->prompts[prompt];
            size_t n = kept->prompt.n_ids;
            float *place = logits ? kept->logits + row->position * width
                                  : kept->states + (level * n + row->position) * width;
            memcpy(place, activations->values + r * width, width * sizeof(float));
            kept->seen[level * n + row->position]++;
        }
    }
    return 0;
}

static inline int capture_lens_result(void *user, const plens_lens_result *result) {
    captures *to = user;
    if (result->prompt >= to->n_prompts || result->layer < 1 ||
        result->layer > to->model.n_layers || result->n_top > CAPTURE_TOP) {
        to->wrong_shape = 1;
        return 0;
    }
    capture_prompt *kept = &to->prompts[result->prompt];
    if (result->position != kept->prompt.n_ids - 1 || result->n_targets != kept->prompt.n_targets) {
        to->wrong_shape = 1;
        return 0;
    }
    capture_lens *lens = &kept->lens[result->layer - 1];
    memset(lens, 0, sizeof *lens); /* padding too: captures are compared as bytes */
    lens->n_top = result->n_top;
    memcpy(lens->top, result->top, result->n_top * sizeof *lens->top);
    if (result->n_targets > 0)
        lens->target = result->targets[0];
    lens->final_top = result->final_top;
    lens->entropy = result->entropy;
    lens->finite = result->finite;
    kept->seen[(to->model.n_layers + 2) * kept->prompt.n_ids + result->layer - 1]++;
    return 0;
}

/* The options under which a run fills the capture. hooks: [3], lens: [1], kept by the caller. */
static inline plens_run_options capture_options(captures *capture, plens_hook *hooks,
                                                plens_lens *lens) {
    const plens_point points[3] = {PLENS_EMBED, PLENS_RESID_POST, PLENS_LOGITS};
    for (size_t i = 0; i < 3; i++)
        hooks[i] = (plens_hook){.point = points[i], .fn = capture_hook, .user = capture};
    *lens = (plens_lens){.fn = capture_lens_result,
                         .user = capture,
                         .positions = PLENS_POSITIONS_LAST,
                         .top_k = CAPTURE_TOP};
    return (plens_run_options){.hooks = hooks, .n_hooks = 3, .lens = lens};
}

/* Whether every row and every lens came exactly once. */
static inline int capture_complete(const captures *capture) {
    size_t n_layers = capture->model.n_layers;
    for (size_t i = 0; i < capture->n_prompts; i++) {
        const capture_prompt *kept = &capture->prompts[i];
        for (size_t j = 0; j < (n_layers + 2) * kept->prompt.n_ids + n_layers; j++) {
            if (kept->seen[j] != 1)
                return 0;
        }
    }
    return !capture->wrong_shape;
}

/* Runs the prompts into a new capture. */
static inline plens_status capture_run(plens_context *context, const plens_model *model,
                                       const plens_prompt *prompts, size_t n_prompts,
                                       int no_sharing, captures *capture, plens_error *error) {
    plens_hook hooks[3];
    plens_lens lens;
    capture_begin(capture, model, prompts, n_prompts);
    plens_run_options options = capture_options(capture, hooks, &lens);
    options.no_sharing = no_sharing;
    plens_status status = plens_run(context, model, prompts, n_prompts, &options, error);
    if (status == PLENS_OK && !capture_complete(capture)) {
        snprintf(error->message, sizeof error->message,
                 "a row or a lens did not come exactly once, or in a shape that cannot be");
        status = PLENS_ERROR_ARGUMENT;
    }
    if (status != PLENS_OK)
        capture_free(capture);
    return status;
}

/* Whether two captures of one prompt are the same bits. */
static inline int capture_same(const plens_model_info *model, const capture_prompt *a,
                               const capture_prompt *b) {
    size_t n = a->prompt.n_ids;
    return memcmp(a->states, b->states, (model->n_layers + 1) * n * model->d_model * 4) == 0 &&
           memcmp(a->logits, b->logits, n * model->vocab_size * 4) == 0 &&
           memcmp(a->lens, b->lens, model->n_layers * sizeof(capture_lens)) == 0;
}

#endif
