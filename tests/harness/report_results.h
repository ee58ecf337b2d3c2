/* What a report finds: all its numbers, which the tables, the page and the LaTeX only write. */
#ifndef PLENS_HARNESS_REPORT_RESULTS_H
#define PLENS_HARNESS_REPORT_RESULTS_H

#include "tests/harness/bootstrap.h"
#include "tests/harness/report.h"
#include "tests/harness/statistics.h"
#include "tests/harness/stats.h"

typedef struct report_settings {
    uint64_t seed;
    size_t n_resamples, n_flips;
} report_settings;

/* All prompts, or those with S > 0. */
typedef enum population { ALL_PROMPTS, POSITIVE, N_REPORT_POPULATIONS } population;

/* The statistics of S for a run, task, reading, share of the layers and population. */
typedef struct statistics_row {
    size_t run, task, ratio;
    reading from;
    population over;
    stats found;
    interval mean, median;
    const paper_values *paper; /* NULL: the paper has none */
} statistics_row;

/* S with a persona minus S without, over the questions that have both. */
typedef struct paired_row {
    size_t run, task;
    reading against; /* WITHOUT: the paper's definition; WITHOUT_DATA: the same gold in both */
    stats found;     /* of the differences */
    size_t n_higher, n_lower;
    interval mean, median;
    int is_tested; /* at least FEWEST_VALUES differences are not zero; else no p is a number */
    wilcoxon signed_rank;
    double signed_rank_holm, flips, flips_holm;
} paired_row;

/* What the lens says at a layer, over the prompts of a run, task and reading. */
typedef struct depth_row {
    size_t run, task, layer;
    reading from;
    size_t n;
    double top_share;            /* of prompts whose gold is the top token */
    double gold_prob, gold_rank; /* means; NaN for WITH_OWN */
} depth_row;

/* The layer from which an answer is there: the first where gold is the top token, or the first from
 * which on it stays so to the end. */
typedef enum formation { FORMATION_FIRST, FORMATION_STABLE, N_FORMATIONS } formation;

typedef struct formation_row {
    size_t run, task;
    formation kind;
    reading from;
    int is_difference; /* 1: `from` minus `against`, where both have such a layer */
    reading against;
    size_t n;    /* prompts, or pairs of them */
    stats found; /* over those that have such a layer */
    interval mean, median;
} formation_row;

typedef enum claim {
    CLAIM_PERSONA,     /* a persona raises S */
    CLAIM_RISE,        /* S rises from R = 20 % to 40 % */
    CLAIM_NO_FURTHER,  /* and no further */
    CLAIM_CHECKPOINTS, /* S hardly changes over checkpoints */
    CLAIM_SIZE,        /* the 13 B model is above the 7.2 B one */
    N_CLAIMS
} claim;

typedef enum verdict { SUPPORTED, NOT_SUPPORTED, UNDECIDED, TOO_FEW, NOT_TESTED } verdict;

typedef struct claim_row {
    claim claim;
    size_t run, other; /* the difference is run's S minus other's, where they are two */
    size_t task;
    reading from; /* CLAIM_PERSONA: what it is held against */
    size_t n;
    double difference; /* of means, prompt by prompt */
    interval interval;
    double p;      /* CLAIM_PERSONA: Wilcoxon's, after Holm; else NaN */
    double margin; /* what counts as no change; NaN: none is needed */
    verdict verdict;
} claim_row;

/* A tenth of the S that it starts from: how much a change may be and still be "hardly". */
#define CLAIM_MARGIN 0.1

extern const char *const claim_names[N_CLAIMS],
    *const claim_statements[N_CLAIMS], *const claim_needs[N_CLAIMS],
                                           *const verdict_names[],
                                               *const report_populations[N_REPORT_POPULATIONS],
                                                   *const formation_names[N_FORMATIONS];

typedef struct results {
    const report *report;
    report_settings settings;
    boot_options *boots; /* [n_tasks] */
    statistics_row *statistics;
    size_t n_statistics;
    paired_row *pairs;
    size_t n_pairs;
    depth_row *depths;
    size_t n_depths;
    formation_row *formations;
    size_t n_formations;
    claim_row *claims;
    size_t n_claims;
} results;

/* Computes everything. EXIT_DONE, or the exit status after a signal. */
int results_make(results *found, const report *r, const report_settings *settings);
void results_free(results *found);

/* The same in parts; each needs those before it. */
void results_statistics(results *found, size_t run);
void results_pairs(results *found);
void results_depths(results *found);
void results_formations(results *found);
void results_claims(results *found);

/* The row of a run, task, reading, share and population. */
const statistics_row *results_find(const results *found, size_t run, size_t task, reading from,
                                   size_t ratio, population over);

/* Differences a - b [n] of two columns of values; NaN where one has none. */
void results_differ(const double *a, const double *b, size_t n, double *differences);

/* S of a task's questions in their order, [n of the task]; from malloc(). */
double *results_scores(const results *found, size_t run, size_t task, reading from, size_t ratio);

/* Statistics of the values that are there. */
stats results_stats(const double *values, size_t n);

#endif
