/* The tables of tests/make_lens_goldens.py, and the prompts that they are about. */
#ifndef PLENS_TESTS_LENS_GOLDEN_H
#define PLENS_TESTS_LENS_GOLDEN_H

#include "tests/test.h"

#include "plens.h"

enum { LENS_PROMPTS = 2 };

static const int32_t lens_first_ids[] = {1, 9, 30, 7, 9, 22, 11, 40},
                     lens_second_ids[] = {5, 17, 2};
static const plens_prompt lens_prompts[LENS_PROMPTS] = {{lens_first_ids, 8, NULL, 0},
                                                        {lens_second_ids, 3, NULL, 0}};

/* Valid until the next call. */
static inline const char *lens_model_folder(const char *name) {
    static char folder[256];
    int tiny = strcmp(name, "persona-world") != 0;
    snprintf(folder, sizeof folder, "tests/fixtures/%s%s", tiny ? "models/" : "", name);
    return folder;
}

/* A model of the goldens and the context that it runs in. All zero: none is open. */
typedef struct lens_opened {
    plens_context *context;
    plens_model *model;
    plens_model_info info;
} lens_opened;

static inline plens_status lens_open(lens_opened *o, const char *name, const plens_options *options,
                                     plens_error *error) {
    memset(o, 0, sizeof *o);
    plens_status status = plens_context_create(options, &o->context, error);
    if (status == PLENS_OK)
        status = plens_model_open(o->context, lens_model_folder(name), &o->model, error);
    if (status == PLENS_OK)
        plens_model_describe(o->model, &o->info);
    return status;
}

static inline void lens_close(lens_opened *o) {
    plens_model_close(o->model);
    plens_context_destroy(o->context);
    memset(o, 0, sizeof *o);
}

/* A table outlives the context that read it. */
static inline plens_status lens_golden_open(const char *file, plens_table **table,
                                            plens_error *error) {
    char path[256];
    plens_context *context = NULL;
    snprintf(path, sizeof path, "tests/fixtures/lens/%s", file);
    plens_status status = plens_context_create(NULL, &context, error);
    if (status == PLENS_OK)
        status = plens_table_open(context, path, table, error);
    plens_context_destroy(context);
    return status;
}

static inline const char *lens_golden_cell(const plens_table *table, size_t row, const char *name) {
    size_t column, n_bytes;
    if (plens_table_column(table, name, &column, NULL) != PLENS_OK)
        return "no such column";
    return plens_table_cell(table, row, column, &n_bytes);
}

static inline double lens_golden_double(const plens_table *table, size_t row, const char *name) {
    return strtod(lens_golden_cell(table, row, name), NULL);
}

static inline size_t lens_golden_size(const plens_table *table, size_t row, const char *name) {
    return (size_t)strtoul(lens_golden_cell(table, row, name), NULL, 10);
}

#endif
