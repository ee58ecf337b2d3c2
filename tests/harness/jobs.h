/* Questions turned into prompts: the text by the template, its token ids, the gold tokens. */
#ifndef PLENS_HARNESS_JOBS_H
#define PLENS_HARNESS_JOBS_H

#include "tests/harness/questions.h"

typedef enum condition { CONDITION_WITH = 0, CONDITION_WITHOUT = 1, N_CONDITIONS = 2 } condition;

extern const char *const condition_names[N_CONDITIONS];

/* The text given to the model; {persona} and {prompt} stand for the question's cells. */
typedef struct prompt_template {
    char *texts[N_CONDITIONS];
} prompt_template;

/* path NULL: "({persona}) {prompt}" and "{prompt}". Otherwise a TSV file with the columns
 * condition and template and a row for each condition. Free in either case. */
int template_read(prompt_template *t, const session *s, const char *path);
void template_free(prompt_template *t);

typedef struct job {
    size_t index; /* among the jobs of all shards */
    const question *question;
    condition condition;
    plens_ids ids;
    int32_t *gold_ids; /* distinct, of all alternatives in the data's gold, in its order */
    size_t n_gold;     /* 0: the data has no gold */
    int merged, bare_space, multi_token; /* of any alternative */
} job;

typedef struct jobs {
    job *items; /* [n_all] those to run first; in the order of the questions, with before without */
    size_t count; /* to run */
    size_t n_all; /* of all shards */
    prompt_template template;
} jobs;

typedef struct job_options {
    int conditions[N_CONDITIONS]; /* which to run */
    int gold_form;                /* plens_gold_form */
    const char *template_path;
} job_options;

/* Returns EXIT_DONE or the exit status, the mistake said. Free in either case. */
int jobs_make(jobs *j, session *s, const questions *q, const job_options *options);
void jobs_free(jobs *j, const session *s);

#endif
