/* The paper's claims, held against the runs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"
#include "tests/harness/report_results.h"

const char *const claim_names[N_CLAIMS] = {"persona", "rise", "no_further", "checkpoints", "size"};
const char *const claim_statements[N_CLAIMS] = {
    "A persona raises S", "S rises from R = 20 % to 40 %", "S rises no further after R = 40 %",
    "S hardly changes over the checkpoints", "The 13 B model is above the 7.2 B one"};
const char *const claim_needs[N_CLAIMS] = {
    "prompts with and without a persona", "the ratios 0.2 and 0.4", "the ratios 0.4 and 1",
    "a series of checkpoints", "runs with the paper_model llm-jp-3-13b and llm-jp-3-7.2b (2.1T)"};
const char *const verdict_names[] = {"supported", "not supported", "undecided", "too few values",
                                     "not tested"};

static void add_claim(results *found, claim_row row) {
    found->claims = reallocate(found->claims, found->n_claims + 1, sizeof *found->claims);
    found->claims[found->n_claims++] = row;
}

/* Is the difference above zero? */
static verdict judge_above(interval i) {
    return isnan(i.low) ? TOO_FEW : i.low > 0 ? SUPPORTED : i.high < 0 ? NOT_SUPPORTED : UNDECIDED;
}

/* Is it below the margin? */
static verdict judge_below(interval i, double margin) {
    return isnan(i.low)      ? TOO_FEW
           : i.high < margin ? SUPPORTED
           : i.low > margin  ? NOT_SUPPORTED
                             : UNDECIDED;
}

/* Is it within the margin on both sides? */
static verdict judge_within(interval i, double margin) {
    if (isnan(i.low))
        return TOO_FEW;
    if (i.low > -margin && i.high < margin)
        return SUPPORTED;
    return i.low > margin || i.high < -margin ? NOT_SUPPORTED : UNDECIDED;
}

/* Fills in the difference of the mean S of `run` at share k minus that of `other` at share j, and
 * returns the mean of the latter over the same questions. */
static double differ(const results *found, claim_row *row, size_t k, size_t j) {
    size_t n = found->report->tasks[row->task].n;
    double *a = results_scores(found, row->run, row->task, row->from, k);
    double *b = results_scores(found, row->other, row->task, row->from, j);
    for (size_t i = 0; i < n; i++) {
        a[i] -= b[i];
        b[i] = isnan(a[i]) ? NAN : b[i];
    }
    stats differences = results_stats(a, n), start = results_stats(b, n);
    boot_sample sample = {.values = a};
    bootstrap(&found->boots[row->task], &sample, 1);
    row->n = differences.n;
    row->difference = differences.n == 0 ? NAN : differences.mean;
    row->interval = sample.mean;
    free(a);
    free(b);
    return start.mean;
}

static void claim_persona(results *found) {
    for (size_t i = 0; i < found->n_pairs; i++) {
        const paired_row *pair = &found->pairs[i];
        claim_row row = {CLAIM_PERSONA,          pair->run,     pair->run, pair->task,
                         pair->against,          pair->found.n, NAN,       pair->mean,
                         pair->signed_rank_holm, NAN,           TOO_FEW};
        double effect = pair->signed_rank.rank_biserial;
        if (row.n == 0)
            continue;
        row.difference = pair->found.mean;
        if (pair->is_tested)
            row.verdict = !(row.p < 0.05) || effect == 0 ? UNDECIDED
                          : effect > 0                   ? SUPPORTED
                                                         : NOT_SUPPORTED;
        add_claim(found, row);
    }
}

static void claim_ratios(results *found, claim which, const char *from, const char *to) {
    const report *r = found->report;
    size_t low = report_find_ratio(r, from), high = report_find_ratio(r, to);
    if (low == r->n_ratios || high == r->n_ratios)
        return;
    for (size_t i = 0; i < r->n_runs * r->n_tasks * N_SCORED; i++) {
        claim_row row = {.claim = which, .p = NAN, .margin = NAN};
        row.from = (reading)(i % N_SCORED);
        row.task = i / N_SCORED % r->n_tasks;
        row.run = row.other = i / N_SCORED / r->n_tasks;
        double start = differ(found, &row, high, low);
        row.verdict = judge_above(row.interval);
        if (which == CLAIM_NO_FURTHER) {
            row.margin = CLAIM_MARGIN * start;
            row.verdict = judge_below(row.interval, row.margin);
        }
        if (row.n > 0)
            add_claim(found, row);
    }
}

/* Compares two runs over all tasks and readings. */
static void compare_runs(results *found, claim which, size_t run, size_t other) {
    const report *r = found->report;
    for (size_t i = 0; i < r->n_tasks * N_SCORED; i++) {
        claim_row row = {.claim = which, .run = run, .other = other, .p = NAN, .margin = NAN};
        row.from = (reading)(i % N_SCORED);
        row.task = i / N_SCORED;
        double start = differ(found, &row, r->whole, r->whole);
        row.verdict = judge_above(row.interval);
        if (which == CLAIM_CHECKPOINTS) {
            row.margin = CLAIM_MARGIN * start;
            row.verdict = judge_within(row.interval, row.margin);
        }
        if (row.n > 0)
            add_claim(found, row);
    }
}

static int same_series(const report_run *a, const report_run *b) {
    return a->series != NULL && b->series != NULL && strcmp(a->series, b->series) == 0;
}

/* Each series once, its last checkpoint against its first. */
static void claim_checkpoints(results *found) {
    const report *r = found->report;
    for (size_t run = 0; run < r->n_runs; run++) {
        size_t first = run, last = run, earlier = 0;
        for (size_t i = 0; i < r->n_runs; i++) {
            if (!same_series(&r->runs[run], &r->runs[i]))
                continue;
            earlier += i < run;
            first = r->runs[i].tokens < r->runs[first].tokens ? i : first;
            last = r->runs[i].tokens > r->runs[last].tokens ? i : last;
        }
        if (earlier == 0 && first != last)
            compare_runs(found, CLAIM_CHECKPOINTS, last, first);
    }
}

static void claim_size(results *found) {
    const report *r = found->report;
    const paper_model *large = paper_find_model("llm-jp-3-13b");
    const paper_model *small = paper_find_model("llm-jp-3-7.2b");
    for (size_t i = 0; i < r->n_runs; i++) {
        for (size_t k = 0; k < r->n_runs; k++) {
            if (r->runs[i].paper == large && r->runs[k].paper == small)
                compare_runs(found, CLAIM_SIZE, i, k);
        }
    }
}

void results_claims(results *found) {
    claim_persona(found);
    claim_ratios(found, CLAIM_RISE, "0.2", "0.4");
    claim_ratios(found, CLAIM_NO_FURTHER, "0.4", "1");
    claim_checkpoints(found);
    claim_size(found);
    for (int which = 0; which < N_CLAIMS; which++) {
        size_t i = 0;
        while (i < found->n_claims && found->claims[i].claim != (claim)which)
            i++;
        if (i == found->n_claims)
            add_claim(found, (claim_row){.claim = (claim)which,
                                         .difference = NAN,
                                         .interval = {NAN, NAN},
                                         .p = NAN,
                                         .margin = NAN,
                                         .verdict = NOT_TESTED});
    }
}
