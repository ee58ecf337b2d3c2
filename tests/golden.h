/* Goldens beside a model: golden.json and golden.safetensors as tests/make_fixtures.py writes them,
 * read with the library's own loaders; and the folders that hold some. */
#ifndef PLENS_TESTS_GOLDEN_H
#define PLENS_TESTS_GOLDEN_H

#include <dirent.h>

#include "loaders/checkpoint.h"
#include "loaders/json.h"
#include "tests/heap.h"
#include "tests/test.h"

#define GOLDEN_RATIOS 5
static const char *const golden_ratios[GOLDEN_RATIOS] = {"0.2", "0.4", "0.6", "0.8", "1.0"};

/* ---- folders ---- */

#define GOLDEN_FOLDERS 64
static char golden_folders[GOLDEN_FOLDERS][512];
static size_t n_golden_folders;

static inline int golden_file_exists(const char *folder, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file != NULL)
        fclose(file);
    return file != NULL;
}

static inline void golden_add_folder(const char *parent, const char *name) {
    char folder[512];
    snprintf(folder, sizeof folder, "%s/%s", parent, name);
    if (n_golden_folders < GOLDEN_FOLDERS && golden_file_exists(folder, "golden.json") &&
        golden_file_exists(folder, "golden.safetensors"))
        strcpy(golden_folders[n_golden_folders++], folder);
}

static inline int golden_compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

static inline void golden_add_folders(const char *parent) {
    DIR *directory = opendir(parent);
    if (directory == NULL)
        return;
    size_t first = n_golden_folders;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        golden_add_folder(parent, entry->d_name);
    closedir(directory);
    qsort(golden_folders[first], n_golden_folders - first, sizeof golden_folders[0],
          golden_compare_names);
}

/* Fills golden_folders: the fixtures, and the shared models where they are present. */
static inline void golden_find_folders(void) {
    golden_add_folders("tests/fixtures/models");
    golden_add_folder("tests/fixtures", "persona-world");
    if (test_shared() != NULL) {
        char parent[512];
        snprintf(parent, sizeof parent, "%s/models", test_shared());
        golden_add_folders(parent);
    }
}

/* 1 if all the folder's matrices are BF16, so that bf16 is its default and bf16x3 takes it. */
static inline int golden_is_bf16(const char *folder) {
    plens_context *context = NULL;
    plens_model *model = NULL;
    int is = plens_context_create(NULL, &context, NULL) == PLENS_OK &&
             plens_model_open(context, folder, &model, NULL) == PLENS_OK &&
             plens_run_precision(context, model) == PLENS_PRECISION_BF16;
    plens_model_close(model);
    plens_context_destroy(context);
    return is;
}

/* ---- one prompt's golden ---- */

typedef struct golden_layer { /* float64, at the last position */
    int32_t top;
    double top_prob, margin, entropy, gold_prob;
    uint32_t gold_rank;
} golden_layer;

typedef struct golden_prompt {
    plens_prompt prompt; /* its one target is the gold token */
    int32_t *ids;
    int32_t gold, gold_none;
    golden_layer *layers; /* [n_layers] */
    double score_gold[GOLDEN_RATIOS], score_none[GOLDEN_RATIOS];
    const char *states, *logits; /* floats, maybe unaligned: [n_layers + 1, n_ids, d_model],
                                    [n_ids, vocab_size] */
} golden_prompt;

typedef struct goldens {
    size_t n_prompts, n_layers;
    golden_prompt *prompts;
    plens_prompt *inputs; /* [n_prompts] the prompts, as plens_run takes them */
    plens__file file;
    plens__arena arena;
    plens__tensor *tensors;
} goldens;

/* The i-th member of an array, or NULL. */
static inline const plens__json *golden_item(const plens__json *array, size_t i) {
    const plens__json *item = array == NULL ? NULL : array->first;
    while (item != NULL && i-- > 0)
        item = item->next;
    return item;
}

/* Numbers of the golden file. A missing one is a broken golden: NaN and -1 compare as wrong. */
static inline double golden_double(const plens__json *value) {
    double number = 0;
    return plens__json_double(value, &number) ? number : strtod("nan", NULL);
}

static inline int32_t golden_int(const plens__json *value) {
    int64_t number = 0;
    return plens__json_i64(value, &number) ? (int32_t)number : -1;
}

static inline void golden_read_layers(golden_prompt *to, const plens__json *from, size_t n_layers) {
    for (size_t l = 0; l < n_layers; l++) {
        golden_layer *layer = &to->layers[l];
        layer->top = golden_int(golden_item(plens__json_get(from, "top"), l));
        layer->top_prob = golden_double(golden_item(plens__json_get(from, "top_prob"), l));
        layer->margin = golden_double(golden_item(plens__json_get(from, "margin"), l));
        layer->entropy = golden_double(golden_item(plens__json_get(from, "entropy"), l));
        layer->gold_prob = golden_double(golden_item(plens__json_get(from, "gold_prob"), l));
        layer->gold_rank = (uint32_t)golden_int(golden_item(plens__json_get(from, "gold_rank"), l));
    }
}

/* names: the members that hold the gold token and the scores with it. */
static inline void golden_read_prompt(goldens *golden, golden_prompt *to, const plens__json *from,
                                      const char *gold_name, const char *score_name) {
    const plens__json *ids = plens__json_get(from, "ids");
    size_t n_ids = ids->count;
    to->ids = plens__arena_alloc(&golden->arena, n_ids * sizeof *to->ids);
    to->layers = plens__arena_alloc(&golden->arena, golden->n_layers * sizeof *to->layers);
    for (size_t i = 0; i < n_ids; i++)
        to->ids[i] = golden_int(golden_item(ids, i));
    to->gold = golden_int(plens__json_get(from, gold_name));
    to->gold_none = golden_int(plens__json_get(from, "gold_none"));
    to->prompt = (plens_prompt){to->ids, n_ids, &to->gold, 1};
    golden_read_layers(to, from, golden->n_layers);
    for (size_t r = 0; r < GOLDEN_RATIOS; r++) {
        to->score_gold[r] =
            golden_double(plens__json_get(plens__json_get(from, score_name), golden_ratios[r]));
        to->score_none[r] =
            golden_double(plens__json_get(plens__json_get(from, "score_none"), golden_ratios[r]));
    }
}

static inline void golden_close(goldens *golden) {
    plens__free(&heap, golden->tensors);
    plens__file_close(&golden->file);
    plens__arena_free(&golden->arena);
    memset(golden, 0, sizeof *golden);
}

/* Reads folder/golden.json. */
static inline plens_status golden_open_json(const char *folder, const char *gold_name,
                                            const char *score_name, goldens *golden,
                                            plens_error *error) {
    char path[1024];
    const plens__json *root = NULL;
    memset(golden, 0, sizeof *golden);
    golden->arena.allocator = &heap;
    snprintf(path, sizeof path, "%.511s/golden.json", folder);
    plens_status status = plens__json_load(&golden->arena, path, &root, error);
    const plens__json *prompts = plens__json_get(status == PLENS_OK ? root : NULL, "prompts");
    if (status == PLENS_OK && (prompts == NULL || prompts->count == 0))
        status = plens__fail(error, PLENS_ERROR_FORMAT, "%s: no prompts", path);
    if (status != PLENS_OK) {
        golden_close(golden);
        return status;
    }
    golden->n_prompts = prompts->count;
    golden->n_layers = plens__json_get(prompts->first, "top")->count;
    golden->prompts = plens__arena_alloc(&golden->arena, prompts->count * sizeof(golden_prompt));
    golden->inputs = plens__arena_alloc(&golden->arena, prompts->count * sizeof(plens_prompt));
    memset(golden->prompts, 0, prompts->count * sizeof(golden_prompt));
    size_t i = 0;
    for (const plens__json *from = prompts->first; from != NULL; from = from->next, i++) {
        golden_read_prompt(golden, &golden->prompts[i], from, gold_name, score_name);
        golden->inputs[i] = golden->prompts[i].prompt;
    }
    return PLENS_OK;
}

/* The bytes of tensor "N.what", or NULL unless they are n_floats floats. */
static inline const char *golden_tensor(const goldens *golden, size_t n_tensors, size_t prompt,
                                        const char *what, size_t n_floats) {
    char name[64];
    snprintf(name, sizeof name, "%zu.%s", prompt, what);
    for (size_t i = 0; i < n_tensors; i++) {
        const plens__tensor *tensor = &golden->tensors[i];
        if (strcmp(tensor->name, name) == 0 && tensor->dtype == PLENS_F32 &&
            tensor->n_bytes == n_floats * sizeof(float))
            return golden->file.bytes + tensor->offset;
    }
    return NULL;
}

/* Opens both files; d_model and vocab_size are what the states and logits must have. */
static inline plens_status golden_open(const char *folder, size_t d_model, size_t vocab_size,
                                       goldens *golden, plens_error *error) {
    char path[1024];
    size_t n_tensors = 0;
    plens_status status = golden_open_json(folder, "gold", "score_gold", golden, error);
    if (status != PLENS_OK)
        return status;
    snprintf(path, sizeof path, "%.511s/golden.safetensors", folder);
    status = plens__file_open(&heap, path, &golden->file, error);
    if (status == PLENS_OK)
        status = plens__file_map(&golden->file, error);
    if (status == PLENS_OK)
        status = plens__safetensors_parse(&golden->arena, &golden->file, 0, &golden->tensors,
                                          &n_tensors, error);
    for (size_t i = 0; i < golden->n_prompts && status == PLENS_OK; i++) {
        golden_prompt *prompt = &golden->prompts[i];
        size_t n = prompt->prompt.n_ids;
        prompt->states =
            golden_tensor(golden, n_tensors, i, "resid", (golden->n_layers + 1) * n * d_model);
        prompt->logits = golden_tensor(golden, n_tensors, i, "logits", n * vocab_size);
        if (prompt->states == NULL || prompt->logits == NULL)
            status =
                plens__fail(error, PLENS_ERROR_FORMAT, "%s: prompt %zu is incomplete", path, i);
    }
    if (status != PLENS_OK)
        golden_close(golden);
    return status;
}

#endif
