/* The report's tables as TSV. */
#include <math.h>
#include <string.h>

#include "tests/harness/report_files.h"

static void put_text(output *out, const char *text) {
    output_cell(out, text, strlen(text));
}

/* A cell with the tab in front of it. */
static void put_number(output *out, double number) {
    if (isnan(number))
        output_format(out, "\tNA");
    else
        output_format(out, "\t%.17g", number);
}

static void put_interval(output *out, interval i) {
    put_number(out, i.low);
    put_number(out, i.high);
}

/* min, mean, median, max. */
static void put_stats(output *out, const stats *found) {
    put_number(out, found->n == 0 ? NAN : found->min);
    put_number(out, found->n == 0 ? NAN : found->mean);
    put_number(out, found->n == 0 ? NAN : found->median);
    put_number(out, found->n == 0 ? NAN : found->max);
}

/* label and task. */
static void put_key(output *out, const results *found, size_t run, size_t task) {
    put_text(out, found->report->runs[run].label);
    output_format(out, "\t");
    put_text(out, found->report->tasks[task].name);
}

void report_models_tsv(output *out, const void *user) {
    const report *r = ((const results *)user)->report;
    output_format(out, "label\trun\tmodel\tarchitecture\tn_layers\tseries\ttokens\tpaper_model\n");
    for (size_t i = 0; i < r->n_runs; i++) {
        const report_run *run = &r->runs[i];
        const char *cells[] = {run->label, run->folder, run->model, run->architecture};
        for (size_t c = 0; c < 4; c++) {
            put_text(out, cells[c]);
            output_format(out, "\t");
        }
        output_format(out, "%zu\t", run->n_layers);
        put_text(out, run->series == NULL ? "NA" : run->series);
        put_number(out, run->tokens > 0 ? run->tokens : NAN);
        output_format(out, "\t%s\n", run->paper == NULL ? "NA" : run->paper->name);
    }
}

void report_statistics_tsv(output *out, const void *user) {
    const results *found = user;
    output_format(out,
                  "label\ttask\tcondition\tgold\tratio\tpopulation\tn\tmin\tmean\tmedian\tmax\t"
                  "mean_low\tmean_high\tmedian_low\tmedian_high\tpaper_min\tpaper_mean\t"
                  "paper_median\tpaper_max\n");
    for (size_t i = 0; i < found->n_statistics; i++) {
        const statistics_row *row = &found->statistics[i];
        put_key(out, found, row->run, row->task);
        output_format(out, "\t%s\t%s\t%s\t%s\t%zu", reading_conditions[row->from],
                      reading_golds[row->from], found->report->ratios[row->ratio].text,
                      report_populations[row->over], row->found.n);
        put_stats(out, &row->found);
        put_interval(out, row->mean);
        put_interval(out, row->median);
        put_number(out, row->paper == NULL ? NAN : row->paper->min);
        put_number(out, row->paper == NULL ? NAN : row->paper->mean);
        put_number(out, row->paper == NULL ? NAN : row->paper->median);
        put_number(out, row->paper == NULL ? NAN : row->paper->max);
        output_format(out, "\n");
    }
}

void report_tests_tsv(output *out, const void *user) {
    const results *found = user;
    output_format(out,
                  "label\ttask\tratio\tgold\tn\tn_higher\tn_lower\tmin\tmean\tmedian\tmax\tmean_low"
                  "\tmean_high\tmedian_low\tmedian_high\tw_plus\tw_minus\tmethod\trank_biserial\t"
                  "p_wilcoxon\tp_wilcoxon_holm\tp_flips\tp_flips_holm\n");
    for (size_t i = 0; i < found->n_pairs; i++) {
        const paired_row *row = &found->pairs[i];
        const wilcoxon *w = &row->signed_rank;
        put_key(out, found, row->run, row->task);
        output_format(out, "\t%s\t%s\t%zu\t%zu\t%zu",
                      found->report->ratios[found->report->whole].text, reading_golds[row->against],
                      row->found.n, row->n_higher, row->n_lower);
        put_stats(out, &row->found);
        put_interval(out, row->mean);
        put_interval(out, row->median);
        put_number(out, row->is_tested ? w->plus : NAN);
        put_number(out, row->is_tested ? w->minus : NAN);
        output_format(out, "\t%s", !row->is_tested ? "NA" : w->exact ? "exact" : "normal");
        put_number(out, row->is_tested ? w->rank_biserial : NAN);
        put_number(out, row->is_tested ? w->p : NAN);
        put_number(out, row->signed_rank_holm);
        put_number(out, row->flips);
        put_number(out, row->flips_holm);
        output_format(out, "\n");
    }
}

void report_layers_tsv(output *out, const void *user) {
    const results *found = user;
    output_format(out, "label\ttask\tcondition\tgold\tlayer\tn\ttop_share\tgold_prob\tgold_rank\n");
    for (size_t i = 0; i < found->n_depths; i++) {
        const depth_row *row = &found->depths[i];
        put_key(out, found, row->run, row->task);
        output_format(out, "\t%s\t%s\t%zu\t%zu", reading_conditions[row->from],
                      reading_golds[row->from], row->layer, row->n);
        put_number(out, row->top_share);
        put_number(out, row->gold_prob);
        put_number(out, row->gold_rank);
        output_format(out, "\n");
    }
}

void report_formation_tsv(output *out, const void *user) {
    const results *found = user;
    output_format(out, "label\ttask\tlayer\tcondition\tgold\tn\tn_formed\tmin\tmean\tmedian\tmax\t"
                       "mean_low\tmean_high\tmedian_low\tmedian_high\n");
    for (size_t i = 0; i < found->n_formations; i++) {
        const formation_row *row = &found->formations[i];
        put_key(out, found, row->run, row->task);
        output_format(out, "\t%s\t%s", formation_names[row->kind], reading_conditions[row->from]);
        if (row->is_difference)
            output_format(out, "-%s\t%s-%s", reading_conditions[row->against],
                          reading_golds[row->from], reading_golds[row->against]);
        else
            output_format(out, "\t%s", reading_golds[row->from]);
        output_format(out, "\t%zu\t%zu", row->n, row->found.n);
        put_stats(out, &row->found);
        put_interval(out, row->mean);
        put_interval(out, row->median);
        output_format(out, "\n");
    }
}

void report_claims_tsv(output *out, const void *user) {
    const results *found = user;
    const report *r = found->report;
    output_format(out, "claim\tstatement\tlabel\tother\ttask\tcondition\tgold\tn\tdifference\tlow\t"
                       "high\tmargin\tp_holm\tverdict\n");
    for (size_t i = 0; i < found->n_claims; i++) {
        const claim_row *row = &found->claims[i];
        int is_pair = row->claim == CLAIM_PERSONA;
        output_format(out, "%s\t%s\t", claim_names[row->claim], claim_statements[row->claim]);
        if (row->verdict == NOT_TESTED) {
            output_format(out, "NA\tNA\tNA\tNA\tNA\t0\tNA\tNA\tNA\tNA\tNA\t%s\n",
                          verdict_names[row->verdict]);
            continue;
        }
        put_text(out, r->runs[row->run].label);
        output_format(out, "\t");
        put_text(out, row->other == row->run ? "NA" : r->runs[row->other].label);
        output_format(out, "\t");
        put_text(out, r->tasks[row->task].name);
        output_format(out, "\t%s\t%s%s\t%zu",
                      is_pair ? "with-without" : reading_conditions[row->from],
                      is_pair ? "data-" : "", reading_golds[row->from], row->n);
        put_number(out, row->difference);
        put_interval(out, row->interval);
        put_number(out, row->margin);
        put_number(out, row->p);
        output_format(out, "\t%s\n", verdict_names[row->verdict]);
    }
}

void report_questions_tsv(output *out, const void *user) {
    const report *r = ((const results *)user)->report;
    output_format(out, "task\tquestion\tid\n");
    for (size_t t = 0; t < r->n_tasks; t++) {
        for (size_t i = 0; i < r->tasks[t].n; i++) {
            put_text(out, r->tasks[t].name);
            output_format(out, "\t%zu\t", i);
            put_text(out, r->questions[r->tasks[t].questions[i]].id);
            output_format(out, "\n");
        }
    }
}

void report_resamples_tsv(output *out, const void *user) {
    const results *found = user;
    output_format(out, "task\tresample\tquestions\n");
    for (size_t t = 0; t < found->report->n_tasks; t++) {
        for (size_t resample = 0; resample < found->settings.n_resamples; resample++) {
            put_text(out, found->report->tasks[t].name);
            output_format(out, "\t%zu\t", resample);
            for (size_t i = 0; i < found->boots[t].n_questions; i++)
                output_format(out, i == 0 ? "%zu" : " %zu",
                              boot_index(&found->boots[t], resample, i));
            output_format(out, "\n");
        }
    }
}
