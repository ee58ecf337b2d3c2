/* The report's tables as LaTeX, to be \input; they need the package booktabs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness/report_files.h"

/* Text of the world outside: TeX's special characters, and spaces for control bytes. */
static void put_text(output *out, const char *text) {
    static const char specials[] = "\\{}$&#^_~%";
    static const char *const replacements[] = {
        "\\textbackslash{}",  "\\{", "\\}", "\\$", "\\&", "\\#", "\\textasciicircum{}", "\\_",
        "\\textasciitilde{}", "\\%"};
    for (; *text != '\0'; text++) {
        const char *special = strchr(specials, *text);
        if (special != NULL)
            output_format(out, "%s", replacements[special - specials]);
        else if ((unsigned char)*text < 0x20 || *text == 0x7F)
            output_format(out, " ");
        else
            output_bytes(out, text, 1);
    }
}

static void put_number(output *out, double number) {
    if (isnan(number))
        output_format(out, "--");
    else
        output_format(out, number <= -0.0005 ? "$-$%.3f" : "%.3f", fabs(number));
}

static void put_p(output *out, double p) {
    if (isnan(p))
        output_format(out, "--");
    else if (p < 0.001)
        output_format(out, "$<$0.001");
    else
        output_format(out, "%.3f", p);
}

static void put_start(output *out, const results *found, const char *about) {
    output_format(out,
                  "%% Made by plens report %s. Needs \\usepackage{booktabs}.\n%% %s\n"
                  "%% Bootstrap: %zu resamples of the questions; sign flips: %zu; seed %llu.\n",
                  PLENS_VERSION, about, found->settings.n_resamples, found->settings.n_flips,
                  (unsigned long long)found->settings.seed);
}

/* ---- Table 1 ---- */

/* A value with a mark where the persona made it better or worse. */
static void put_marked(output *out, double value, double without, int is_marked) {
    output_format(out, " & ");
    put_number(out, value);
    if (is_marked && value != without)
        output_format(out, value > without ? "\\,$\\uparrow$" : "\\,$\\downarrow$");
}

static void put_table1_cells(output *out, const results *found, size_t run, reading from) {
    const report *r = found->report;
    for (size_t task = 0; task < r->n_tasks; task++) {
        const statistics_row *row = results_find(found, run, task, from, r->whole, POSITIVE);
        const stats *s = &row->found,
                    *o = &results_find(found, run, task, WITHOUT, r->whole, POSITIVE)->found;
        int is_marked = from == WITH && s->n > 0 && o->n > 0;
        output_format(out, " & %zu", s->n);
        put_marked(out, s->n == 0 ? NAN : s->min, o->min, is_marked);
        put_marked(out, s->n == 0 ? NAN : s->mean, o->mean, is_marked);
        put_marked(out, s->n == 0 ? NAN : s->median, o->median, is_marked);
        put_marked(out, s->n == 0 ? NAN : s->max, o->max, is_marked);
    }
    output_format(out, " \\\\\n");
}

static void put_paper_cells(output *out, const results *found, size_t run, reading from) {
    const report *r = found->report;
    for (size_t task = 0; task < r->n_tasks; task++) {
        const paper_values *v = results_find(found, run, task, from, r->whole, POSITIVE)->paper;
        output_format(out, " & ");
        put_marked(out, v == NULL ? NAN : v->min, 0, 0);
        put_marked(out, v == NULL ? NAN : v->mean, 0, 0);
        put_marked(out, v == NULL ? NAN : v->median, 0, 0);
        put_marked(out, v == NULL ? NAN : v->max, 0, 0);
    }
    output_format(out, " \\\\\n");
}

void report_table1_tex(output *out, const void *user) {
    static const char *const names[N_SCORED] = {"with", "without", "without, data's gold"};
    const results *found = user;
    const report *r = found->report;
    put_start(out, found,
              "Table 1: S over the prompts with S > 0. Arrows: better or worse with the persona.");
    output_format(out, "\\begin{tabular}{ll");
    for (size_t task = 0; task < r->n_tasks; task++)
        output_format(out, "rrrrr");
    output_format(out, "}\n\\toprule\n &");
    for (size_t task = 0; task < r->n_tasks; task++) {
        output_format(out, " & \\multicolumn{5}{c}{");
        put_text(out, r->tasks[task].name);
        output_format(out, "}");
    }
    output_format(out, " \\\\\nmodel & persona");
    for (size_t task = 0; task < r->n_tasks; task++)
        output_format(out, " & $n$ & min & mean & median & max");
    output_format(out, " \\\\\n\\midrule\n");
    for (size_t run = 0; run < r->n_runs; run++) {
        for (int from = 0; from < N_SCORED; from++) {
            if (from == 0)
                put_text(out, r->runs[run].label);
            output_format(out, " & %s", names[from]);
            put_table1_cells(out, found, run, (reading)from);
            if (r->runs[run].paper == NULL || from == WITHOUT_DATA)
                continue;
            output_format(out, " & \\quad the paper's");
            put_paper_cells(out, found, run, (reading)from);
        }
        output_format(out, run + 1 < r->n_runs ? "\\addlinespace\n" : "");
    }
    output_format(out, "\\bottomrule\n\\end{tabular}\n");
}

/* ---- tests and claims ---- */

void report_tests_tex(output *out, const void *user) {
    const results *found = user;
    const report *r = found->report;
    put_start(out, found,
              "S with a persona minus S without: means with 95 % intervals, Wilcoxon's test and "
              "sign flips, both after Holm.");
    output_format(out,
                  "\\begin{tabular}{lllrrrrrr}\n\\toprule\nmodel & task & gold without & $n$ & "
                  "mean & 95\\,\\%% & $r$ & $p$ (Wilcoxon) & $p$ (flips) \\\\\n\\midrule\n");
    for (size_t i = 0; i < found->n_pairs; i++) {
        const paired_row *row = &found->pairs[i];
        put_text(out, r->runs[row->run].label);
        output_format(out, " & ");
        put_text(out, r->tasks[row->task].name);
        output_format(out, " & %s & %zu & ", row->against == WITHOUT ? "own" : "the data's",
                      row->found.n);
        put_number(out, row->found.n == 0 ? NAN : row->found.mean);
        output_format(out, " & ");
        put_number(out, row->mean.low);
        output_format(out, " to ");
        put_number(out, row->mean.high);
        output_format(out, " & ");
        put_number(out, row->is_tested ? row->signed_rank.rank_biserial : NAN);
        output_format(out, " & ");
        put_p(out, row->signed_rank_holm);
        output_format(out, " & ");
        put_p(out, row->flips_holm);
        output_format(out, " \\\\\n");
    }
    output_format(out, "\\bottomrule\n\\end{tabular}\n");
}

static void put_claim(output *out, const report *r, const claim_row *row) {
    put_text(out, claim_statements[row->claim]);
    output_format(out, " & ");
    if (row->verdict == NOT_TESTED) {
        output_format(out, " & & & & & & %s \\\\\n", verdict_names[row->verdict]);
        return;
    }
    put_text(out, r->runs[row->run].label);
    if (row->other != row->run) {
        output_format(out, " $-$ ");
        put_text(out, r->runs[row->other].label);
    }
    output_format(out, " & ");
    put_text(out, r->tasks[row->task].name);
    output_format(
        out, " & %s & ",
        row->claim == CLAIM_PERSONA
            ? (row->from == WITHOUT ? "with $-$ without" : "with $-$ without, data's gold")
        : row->from == WITH    ? "with"
        : row->from == WITHOUT ? "without"
                               : "without, data's gold");
    put_number(out, row->difference);
    output_format(out, " & ");
    put_number(out, row->interval.low);
    output_format(out, " to ");
    put_number(out, row->interval.high);
    output_format(out, " & ");
    put_p(out, row->p);
    output_format(out, " & %s \\\\\n", verdict_names[row->verdict]);
}

void report_claims_tex(output *out, const void *user) {
    const results *found = user;
    put_start(out, found, "The paper's claims.");
    output_format(out, "\\begin{tabular}{llllrrrl}\n\\toprule\nclaim & model & task & persona & "
                       "difference & 95\\,\\%% & $p$ & \\\\\n\\midrule\n");
    for (int which = 0; which < N_CLAIMS; which++) {
        for (size_t i = 0; i < found->n_claims; i++) {
            if (found->claims[i].claim == (claim)which)
                put_claim(out, found->report, &found->claims[i]);
        }
    }
    output_format(out, "\\bottomrule\n\\end{tabular}\n");
}
