#include "tests/harness/report_results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"
#include "tests/harness/random.h"

const char *const report_populations[N_REPORT_POPULATIONS] = {"all", "positive"};

/* Sequences of random numbers, by their number under the user's seed: one for the resamples of each
 * task, from 0, and one for the flips of each, from here. */
static const uint64_t first_flips = (uint64_t)1 << 32;

double *results_scores(const results *found, size_t run, size_t task, reading from, size_t ratio) {
    const report_task *t = &found->report->tasks[task];
    double *values = allocate(t->n, sizeof *values);
    for (size_t i = 0; i < t->n; i++)
        values[i] = report_score(found->report, run, from, t->questions[i], ratio);
    return values;
}

void results_differ(const double *a, const double *b, size_t n, double *differences) {
    for (size_t i = 0; i < n; i++)
        differences[i] = a[i] - b[i];
}

/* Moves the values that are there to the front of a copy. */
static double *present(const double *values, size_t n, size_t *n_present) {
    double *copy = allocate(n, sizeof *copy);
    *n_present = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isnan(values[i]))
            copy[(*n_present)++] = values[i];
    }
    return copy;
}

stats results_stats(const double *values, size_t n) {
    size_t n_present;
    double *copy = present(values, n, &n_present);
    stats result = stats_of(copy, n_present);
    free(copy);
    return result;
}

/* ---- Table 1 and Figure 2 ---- */

/* One row without its intervals; *values are what they are over. */
static statistics_row make_row(const results *found, const statistics_row *key, double **values) {
    const report *r = found->report;
    const report_run *run = &r->runs[key->run];
    statistics_row row = *key;
    size_t n = r->tasks[row.task].n;
    *values = results_scores(found, row.run, row.task, row.from, row.ratio);
    for (size_t i = 0; i < n; i++) {
        if (row.over == POSITIVE && !((*values)[i] > 0))
            (*values)[i] = NAN;
    }
    row.found = results_stats(*values, n);
    row.paper = NULL;
    if (row.over == POSITIVE && row.from != WITHOUT_DATA &&
        strcmp(r->ratios[row.ratio].text, "1") == 0)
        row.paper = paper_find(run->paper, r->tasks[row.task].name, row.from != WITH);
    return row;
}

/* All rows of a run and a task. */
static void task_statistics(results *found, size_t run, size_t task) {
    const size_t n = N_SCORED * found->report->n_ratios * N_REPORT_POPULATIONS;
    statistics_row *rows = found->statistics + found->n_statistics;
    double **values = allocate(n, sizeof *values);
    boot_sample *samples = allocate(n, sizeof *samples);
    for (size_t i = 0; i < n; i++) {
        statistics_row key = {.run = run, .task = task};
        key.over = (population)(i % N_REPORT_POPULATIONS);
        key.ratio = i / N_REPORT_POPULATIONS % found->report->n_ratios;
        key.from = (reading)(i / N_REPORT_POPULATIONS / found->report->n_ratios);
        rows[i] = make_row(found, &key, &values[i]);
        samples[i].values = values[i];
    }
    bootstrap(&found->boots[task], samples, n);
    for (size_t i = 0; i < n; i++) {
        rows[i].mean = samples[i].mean;
        rows[i].median = samples[i].median;
        free(values[i]);
    }
    free(samples);
    free(values);
    found->n_statistics += n;
}

void results_statistics(results *found, size_t run) {
    for (size_t task = 0; task < found->report->n_tasks; task++)
        task_statistics(found, run, task);
}

const statistics_row *results_find(const results *found, size_t run, size_t task, reading from,
                                   size_t ratio, population over) {
    const report *r = found->report;
    size_t at = ((run * r->n_tasks + task) * N_SCORED + (size_t)from) * r->n_ratios + ratio;
    return &found->statistics[at * N_REPORT_POPULATIONS + (size_t)over];
}

/* ---- with against without ---- */

static paired_row make_pair(const results *found, size_t run, size_t task, reading against) {
    const report *r = found->report;
    paired_row row = {.run = run, .task = task, .against = against};
    size_t n = r->tasks[task].n, n_pairs;
    double *with = results_scores(found, run, task, WITH, r->whole);
    double *without = results_scores(found, run, task, against, r->whole);
    results_differ(with, without, n, with);
    boot_sample sample = {.values = with};
    bootstrap(&found->boots[task], &sample, 1);
    row.mean = sample.mean;
    row.median = sample.median;
    double *differences = present(with, n, &n_pairs);
    for (size_t i = 0; i < n_pairs; i++) {
        row.n_higher += differences[i] > 0;
        row.n_lower += differences[i] < 0;
    }
    row.signed_rank = wilcoxon_signed_rank(differences, n_pairs);
    row.is_tested = row.signed_rank.n >= FEWEST_VALUES;
    row.signed_rank_holm = row.flips = row.flips_holm = NAN;
    if (row.is_tested) {
        uint64_t seed = random_number(found->settings.seed, first_flips + task);
        row.signed_rank_holm = row.signed_rank.p;
        row.flips = row.flips_holm =
            sign_flips(differences, n_pairs, seed, found->settings.n_flips);
    }
    row.found = stats_of(differences, n_pairs);
    free(differences);
    free(without);
    free(with);
    return row;
}

/* Corrects the p-values of one definition over all runs and tasks. */
static void correct(results *found, reading against) {
    double *ranks = allocate(found->n_pairs, sizeof *ranks);
    double *flips = allocate(found->n_pairs, sizeof *flips);
    for (size_t i = 0; i < found->n_pairs; i++) {
        int is_one = found->pairs[i].against == against;
        ranks[i] = is_one ? found->pairs[i].signed_rank_holm : NAN;
        flips[i] = is_one ? found->pairs[i].flips_holm : NAN;
    }
    holm(ranks, found->n_pairs);
    holm(flips, found->n_pairs);
    for (size_t i = 0; i < found->n_pairs; i++) {
        if (found->pairs[i].against != against)
            continue;
        found->pairs[i].signed_rank_holm = ranks[i];
        found->pairs[i].flips_holm = flips[i];
    }
    free(ranks);
    free(flips);
}

void results_pairs(results *found) {
    const report *r = found->report;
    found->pairs = allocate(r->n_runs * r->n_tasks * 2, sizeof *found->pairs);
    for (size_t run = 0; run < r->n_runs; run++) {
        for (size_t task = 0; task < r->n_tasks; task++) {
            found->pairs[found->n_pairs++] = make_pair(found, run, task, WITHOUT);
            found->pairs[found->n_pairs++] = make_pair(found, run, task, WITHOUT_DATA);
        }
    }
    correct(found, WITHOUT);
    correct(found, WITHOUT_DATA);
}

/* ---- all ---- */

int results_make(results *found, const report *r, const report_settings *settings) {
    memset(found, 0, sizeof *found);
    found->report = r;
    found->settings = *settings;
    found->boots = allocate(r->n_tasks, sizeof *found->boots);
    for (size_t t = 0; t < r->n_tasks; t++)
        found->boots[t] =
            (boot_options){random_number(settings->seed, t), r->tasks[t].n, settings->n_resamples};
    found->statistics =
        allocate(r->n_runs * r->n_tasks * N_SCORED * r->n_ratios * N_REPORT_POPULATIONS,
                 sizeof *found->statistics);
    int code = EXIT_DONE;
    for (size_t run = 0; run < r->n_runs && code == EXIT_DONE; run++) {
        results_statistics(found, run);
        code = fail_stopped();
    }
    if (code == EXIT_DONE) {
        results_pairs(found);
        results_depths(found);
        results_formations(found);
        results_claims(found);
        code = fail_stopped();
    }
    return code;
}

void results_free(results *found) {
    free(found->boots);
    free(found->statistics);
    free(found->pairs);
    free(found->depths);
    free(found->formations);
    free(found->claims);
}
