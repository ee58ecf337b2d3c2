/* Goldens of hooks and interventions as tests/make_hook_goldens.py writes them, with their models;
 * and all points of one prompt in plain arrays. */
#ifndef PLENS_TESTS_HOOK_GOLDEN_H
#define PLENS_TESTS_HOOK_GOLDEN_H

#include <math.h>

#include "loaders/checkpoint.h"
#include "tests/heap.h"
#include "tests/test.h"

#define HOOK_TOLERANCE 5e-5 /* ||a - b|| / ||b|| */

enum { N_POINTS = PLENS_LOGITS + 1 };

typedef struct hook_golden {
    const char *name; /* of the model */
    plens_precision precision;
    plens_context *context;
    plens_model *model;
    plens_model_info info;
    plens__file file;
    plens__arena arena;
    plens__tensor *tensors;
    size_t n_tensors;
    plens_prompt a, b;
    size_t step; /* every step-th value is there; above 1: of logits the last position's */
} hook_golden;

static const char *const hook_golden_names[] = {
    "llama-biases", "llama3-rope-shards", "mistral-window", "qwen2-layer-types",
    "qwen2-window", "qwen3-biases",       "smollm2"};
enum { N_HOOK_GOLDENS = sizeof hook_golden_names / sizeof *hook_golden_names };

/* The tensor's bytes (maybe unaligned) and its number of elements; NULL if there is none. */
static inline const char *hook_golden_tensor(const hook_golden *g, const char *name, size_t *n) {
    *n = 0;
    for (size_t i = 0; i < g->n_tensors; i++) {
        if (strcmp(g->tensors[i].name, name) == 0) {
            *n = (size_t)g->tensors[i].n_bytes / 4;
            return g->file.bytes + g->tensors[i].offset;
        }
    }
    return NULL;
}

/* A tensor of integers, copied; the arena owns it. */
static inline int32_t *hook_golden_ints(hook_golden *g, const char *name, size_t *n) {
    const char *bytes = hook_golden_tensor(g, name, n);
    int32_t *copy = plens__arena_alloc(&g->arena, *n * sizeof *copy);
    if (*n > 0)
        memcpy(copy, bytes, *n * sizeof *copy);
    return copy;
}

static inline void hook_golden_close(hook_golden *g) {
    if (g->tensors != NULL)
        plens__free(&heap, g->tensors);
    plens__file_close(&g->file);
    plens__arena_free(&g->arena);
    plens_model_close(g->model);
    plens_context_destroy(g->context);
    memset(g, 0, sizeof *g);
}

/* NULL, or why this golden cannot be compared here; *absent if its model is not on this machine. */
static inline const char *hook_golden_open(const char *name, plens_precision precision,
                                           hook_golden *g, int *absent) {
    const plens_options options = {.precision = precision};
    static plens_error error;
    char folder[512], path[512];
    const char *smollm2 = getenv("PLENS_SMOLLM2");
    int large = strcmp(name, "smollm2") == 0;
    memset(g, 0, sizeof *g);
    g->arena.allocator = &heap;
    g->name = name;
    g->precision = precision;
    *absent = large && smollm2 == NULL;
    if (*absent)
        return "set PLENS_SMOLLM2 to a folder with SmolLM2-135M";
    snprintf(folder, sizeof folder, large ? "%s" : "tests/fixtures/models/%s",
             large ? smollm2 : name);
    snprintf(path, sizeof path, "tests/fixtures/hooks/%s.safetensors", name);
    plens_status status = plens_context_create(&options, &g->context, &error);
    if (status == PLENS_OK)
        status = plens_model_open(g->context, folder, &g->model, &error);
    if (status == PLENS_OK)
        status = plens__file_open(&heap, path, &g->file, &error);
    if (status == PLENS_OK)
        status = plens__file_map(&g->file, &error);
    if (status == PLENS_OK)
        status =
            plens__safetensors_parse(&g->arena, &g->file, 0, &g->tensors, &g->n_tensors, &error);
    if (status != PLENS_OK)
        return error.message;
    size_t n;
    plens_model_describe(g->model, &g->info);
    g->a.ids = hook_golden_ints(g, "a.ids", &g->a.n_ids);
    g->b.ids = hook_golden_ints(g, "b.ids", &g->b.n_ids);
    g->step = (size_t)hook_golden_ints(g, "step", &n)[0];
    return NULL;
}

/* The distance of every step-th of n floats from the tensor of this name; infinite if it is not
 * there or not of this size. */
static inline double hook_golden_distance(const hook_golden *g, const char *name,
                                          const float *found, size_t n) {
    size_t n_golden = 0;
    const char *golden = hook_golden_tensor(g, name, &n_golden);
    double difference = 0, length = 0;
    if (golden == NULL || n_golden != (n + g->step - 1) / g->step)
        return INFINITY;
    for (size_t i = 0; i < n_golden; i++) {
        float expected;
        memcpy(&expected, golden + i * sizeof expected, sizeof expected);
        double d = (double)found[i * g->step] - (double)expected;
        difference += d * d;
        length += (double)expected * (double)expected;
    }
    return sqrt(difference / length);
}

/* ---- all points of one prompt ---- */

/* In the shapes of `plens dump`: [T, width], or [n_heads, T, T] where there is one float a key. */
typedef struct all_points {
    plens_model_info model;
    plens_point_info info[N_POINTS];
    size_t prompt, n_ids;
    float *values[N_POINTS]; /* [n_layers, ...], or of points outside blocks [1, ...] */
    size_t size[N_POINTS];   /* floats of one layer */
    size_t n_seen;           /* rows */
} all_points;

static inline void all_points_begin(all_points *all, const plens_model *model, size_t prompt,
                                    size_t n_ids) {
    memset(all, 0, sizeof *all);
    plens_model_describe(model, &all->model);
    all->prompt = prompt;
    all->n_ids = n_ids;
    for (int p = PLENS_EMBED; p < N_POINTS; p++) {
        plens_point_describe(model, (plens_point)p, &all->info[p], NULL);
        size_t heads = all->info[p].n_heads == 0 ? 1 : all->info[p].n_heads;
        size_t width = all->info[p].head_width == 0 ? n_ids : all->info[p].head_width;
        all->size[p] = n_ids * heads * width;
        all->values[p] =
            calloc((all->info[p].in_block ? all->model.n_layers : 1) * all->size[p], sizeof(float));
    }
}

static inline void all_points_free(all_points *all) {
    for (int p = 0; p < N_POINTS; p++)
        free(all->values[p]);
}

static inline float *all_points_at(const all_points *all, plens_point point, size_t layer) {
    return all->values[point] + (layer == 0 ? 0 : layer - 1) * all->size[point];
}

static inline void all_points_keep_row(const all_points *all, const plens_activations *a,
                                       size_t position, const float *x) {
    float *to = all_points_at(all, a->point, a->layer);
    if (all->info[a->point].head_width > 0) {
        memcpy(to + position * a->width, x, a->width * sizeof(float));
        return;
    }
    size_t n_keys = a->width / a->n_heads, n = n_keys < all->n_ids ? n_keys : all->n_ids;
    for (size_t h = 0; h < a->n_heads; h++)
        memcpy(to + (h * all->n_ids + position) * all->n_ids, x + h * n_keys, n * sizeof(float));
}

/* A plens_hook_fn for hooks on all heads. */
static inline int all_points_keep(void *user, const plens_activations *a) {
    all_points *all = user;
    for (size_t r = 0; r < a->n_rows; r++) {
        for (size_t i = 0; i < a->rows[r].n_prompts; i++) {
            if (a->rows[r].prompts[i] != all->prompt)
                continue;
            all_points_keep_row(all, a, a->rows[r].position, a->values + r * a->width);
            all->n_seen++;
        }
    }
    return 0;
}

/* Hooks that fill it, one for each point: hooks [N_POINTS - 1]. */
static inline void all_points_hooks(all_points *all, plens_hook *hooks) {
    memset(hooks, 0, (N_POINTS - 1) * sizeof *hooks);
    for (int p = PLENS_EMBED; p < N_POINTS; p++) {
        hooks[p - 1].point = (plens_point)p;
        hooks[p - 1].fn = all_points_keep;
        hooks[p - 1].user = all;
    }
}

#endif
