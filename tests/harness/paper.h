/* Table 1 of the paper: min, mean, median and max of S over the prompts with S > 0. */
#ifndef PLENS_HARNESS_PAPER_H
#define PLENS_HARNESS_PAPER_H

#include <stddef.h>

enum { N_PAPER_MODELS = 9, N_PAPER_TASKS = 3 };

typedef struct paper_values {
    double min, mean, median, max;
} paper_values;

typedef struct paper_model {
    const char *name;
    paper_values values[2][N_PAPER_TASKS]; /* with and without a persona */
} paper_model;

extern const char *const paper_tasks[N_PAPER_TASKS];
extern const paper_model paper_models[N_PAPER_MODELS];

/* By its name in the paper, or that of its folder on Hugging Face; NULL: not there. */
const paper_model *paper_find_model(const char *name);

/* What the paper has for a model, a task and a condition (0 with, 1 without); NULL: nothing. */
const paper_values *paper_find(const paper_model *model, const char *task, int condition);

#endif
