/* A report over the folders of several scores: what was read. The runs answered the same questions
 * under the same conditions, so that prompt by prompt they can be compared. */
#ifndef PLENS_HARNESS_REPORT_H
#define PLENS_HARNESS_REPORT_H

#include "plens.h"
#include "tests/harness/options.h"
#include "tests/harness/paper.h"

/* A condition and the gold it is judged against: "data" is the data set's, "own" the model's own
 * final token. The paper's scores are WITH and WITHOUT; WITH_OWN has no scores, only layers. */
typedef enum reading {
    WITH,         /* with a persona, the data's gold */
    WITHOUT,      /* without one, the model's own final token */
    WITHOUT_DATA, /* without one, the data's gold all the same */
    WITH_OWN,     /* with one, the model's own final token */
    N_SCORED = WITH_OWN,
    N_READINGS = WITH_OWN + 1
} reading;

extern const char *const reading_conditions[N_READINGS]; /* "with" or "without" */
extern const char *const reading_golds[N_READINGS];      /* "data" or "own" */
extern const char *const reading_titles[N_READINGS];     /* for people */

typedef struct report_question {
    char *id;
    size_t task;
    int conditions[2]; /* asked with, asked without */
} report_question;

typedef struct report_task {
    char *name;
    size_t *questions; /* [n] their indices */
    size_t n;
} report_task;

typedef struct report_ratio {
    char text[24];    /* "0.2" */
    char percent[24]; /* "20", as in the column S20 */
    plens_ratio share;
} report_ratio;

/* What must be the same in all runs. */
enum { N_TERMS = 7 };

typedef struct report_run {
    char *folder, *label, *model, *architecture;
    char *series;             /* NULL: none */
    double tokens;            /* that the model was trained on; 0: not known */
    const paper_model *paper; /* NULL: none of the paper's */
    char *terms[N_TERMS];
    size_t n_layers;
    double *s[N_SCORED];          /* [n_questions, n_ratios]; NaN: no such prompt or no gold */
    signed char *top[N_READINGS]; /* [n_questions, n_layers] gold is the top token: 1, 0; -1: NaN */
    float *gold_prob[N_SCORED];   /* [n_questions, n_layers] */
    uint32_t *gold_rank[N_SCORED]; /* [n_questions, n_layers] from 0 */
} report_run;

typedef struct report {
    report_run *runs; /* [n_runs] */
    size_t n_runs;
    report_question *questions; /* [n_questions] in the order of the data */
    size_t n_questions;
    report_task *tasks; /* [n_tasks] by first appearance */
    size_t n_tasks;
    report_ratio *ratios; /* [n_ratios] */
    size_t n_ratios;
    size_t whole; /* the largest share's index: 1 if there is it. The tests are made there */
} report;

/* Which folders there are and what they are called: from the arguments and from --runs F.tsv (NULL:
 * none). Fills in runs and n_runs with their names. EXIT_DONE or the exit status. */
int report_list_runs(report *r, plens_context *context, const option_texts *folders,
                     const char *runs_path);

/* Reads the folders. EXIT_DONE, or EXIT_INPUT with what is wrong or does not belong together. */
int report_read(report *r, plens_context *context);

/* Parts of it: a run's run.json, checked against the first run's; and the shares. */
int report_read_about(report *r, size_t run, plens_context *context);
int report_read_ratios(report *r);

void report_free(report *r);

/* S of a question; NaN: none. */
double report_score(const report *r, size_t run, reading from, size_t question, size_t ratio);

/* The index of a share by its text, n_ratios if the runs do not have it. */
size_t report_find_ratio(const report *r, const char *text);

#endif
