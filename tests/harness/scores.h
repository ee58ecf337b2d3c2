/* The run of a score: the lens of every job at its last position, and S from it. */
#ifndef PLENS_HARNESS_SCORES_H
#define PLENS_HARNESS_SCORES_H

#include "tests/harness/jobs.h"
#include "tests/harness/output.h"
#include "tests/harness/session.h"
#include "tests/harness/stats.h"

/* A share of the layers, with its two names: "0.2" in the summary, "20" as in the column S20. */
typedef struct ratio {
    plens_ratio share;
    char text[24], percent[24];
} ratio;

typedef struct ratio_list {
    ratio *items;
    size_t count;
} ratio_list;

/* Reads "0.2,0.4,1". Returns EXIT_DONE, or EXIT_USAGE and the mistake said. Free in either case. */
int ratios_parse(ratio_list *ratios, const char *list);
void ratios_free(ratio_list *ratios);

/* One layer of one job beside its top token. "Gold" is what the condition is judged against, the
 * data's with a persona, the model's own final token without; "ref" is the data's in both. */
typedef struct layer_result {
    float entropy, gold_prob, ref_prob; /* probabilities summed over the alternatives */
    uint32_t gold_rank, ref_rank;       /* of the best alternative */
} layer_result;

typedef struct scores {
    const jobs *jobs;
    const ratio_list *ratios;
    size_t n_layers;
    int32_t *top_ids;          /* [n_jobs, n_layers] */
    float *top_probs;          /* [n_jobs, n_layers] */
    layer_result *layers;      /* [n_jobs, n_layers] */
    double *s, *ref_s;         /* [n_jobs, n_ratios]; ref_s only where the data has a gold */
    int no_sharing;            /* 1: run without sharing beginnings; set before */
    double seconds;            /* of the run */
    size_t bad_job, bad_layer; /* bad_layer 0: every number was finite */
} scores;

/* Room for the results of all jobs, zero. */
void scores_make(scores *r, const session *s, const jobs *j, const ratio_list *ratios);

/* Runs the jobs; saver may be NULL. Returns EXIT_DONE or the exit status, the mistake said. */
int scores_run(scores *r, session *s, const plens_saver *saver);
void scores_free(scores *r);

/* Prints what the jobs would take instead. */
int scores_plan(output *out, session *s, const jobs *j, int no_sharing);

/* The ids that the condition of job i is judged against. */
const int32_t *scores_gold(const scores *r, size_t i, size_t *n_gold);

enum { POPULATION_ALL = 0, POPULATION_POSITIVE = 1, N_POPULATIONS = 2 };

extern const char *const population_names[N_POPULATIONS];

/* The jobs of a task (by its index) and a condition, scored over a share of the layers (by its
 * index). */
typedef struct summary_group {
    size_t task;
    int condition;
    size_t ratio;
} summary_group;

/* Statistics of S over the jobs of a group; and of ref_S over those whose data has a gold. */
stats scores_summary(const scores *r, const summary_group *group, int population);
stats scores_ref_summary(const scores *r, const summary_group *group);

#endif
