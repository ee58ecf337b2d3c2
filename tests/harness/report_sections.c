/* The page's tables. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/markup.h"
#include "tests/harness/message.h"
#include "tests/harness/report_page.h"

/* ---- tables and cells ---- */

void page_table_open(output *out, const char *caption, const page_column *columns, size_t n) {
    output_format(out,
                  "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s\">\n"
                  "<table class=\"sortable\"><caption>%s</caption>\n<thead><tr>",
                  caption, caption);
    for (size_t c = 0; c < n; c++)
        output_format(out, "<th scope=\"col\"%s>%s</th>",
                      columns[c].is_number ? " class=\"n\"" : "", columns[c].head);
    output_format(out, "</tr></thead>\n<tbody>\n");
}

void page_table_close(output *out) {
    output_format(out, "</tbody>\n</table>\n</div>\n");
}

void page_text(output *out, const char *text) {
    output_format(out, "<td>");
    markup_text(out, text, NULL);
    output_format(out, "</td>");
}

void page_count(output *out, size_t number) {
    output_format(out, "<td class=\"n\" data-v=\"%zu\">%zu</td>", number, number);
}

/* A number with a minus sign as it should be; one too small for the digits by its power of ten. */
static void put_number(output *out, double number, int digits) {
    double least = 0.5;
    for (int i = 0; i < digits; i++)
        least /= 10;
    output_format(out, number < 0 ? "\xE2\x88\x92" : "");
    if (number != 0 && fabs(number) < least)
        output_format(out, "%.0e", fabs(number));
    else
        output_format(out, "%.*f", digits, fabs(number));
}

void page_number(output *out, double number, int digits) {
    if (isnan(number)) {
        output_format(out, "<td class=\"n none\">\xE2\x80\x93</td>");
        return;
    }
    output_format(out, "<td class=\"n\" data-v=\"%.9g\">", number);
    put_number(out, number, digits);
    output_format(out, "</td>");
}

void page_interval(output *out, interval i, int digits) {
    if (isnan(i.low)) {
        output_format(out, "<td class=\"n none\">too few</td>");
        return;
    }
    output_format(out, "<td class=\"n\" data-v=\"%.9g\">", i.low);
    put_number(out, i.low, digits);
    output_format(out, " to ");
    put_number(out, i.high, digits);
    output_format(out, "</td>");
}

void page_p(output *out, double p) {
    if (isnan(p))
        output_format(out, "<td class=\"n none\">too few</td>");
    else if (p < 0.0001)
        output_format(out, "<td class=\"n\" data-v=\"%.9g\">%.1e</td>", p, p);
    else
        output_format(out, "<td class=\"n\" data-v=\"%.9g\">%.4f</td>", p, p);
}

/* ---- claims ---- */

static const char *const verdict_classes[] = {"yes", "no", "open", "few", "few"};

static void put_verdict(output *out, verdict v) {
    output_format(out, "<td><span class=\"verdict %s\">%s</span></td>", verdict_classes[v],
                  verdict_names[v]);
}

static void put_claim_row(output *out, const results *found, const claim_row *row) {
    const report *r = found->report;
    output_format(out, "<tr>");
    if (row->other == row->run) {
        page_text(out, r->runs[row->run].label);
    } else {
        char *text =
            join(r->runs[row->run].label, " \xE2\x88\x92 ", r->runs[row->other].label, NULL);
        page_text(out, text);
        free(text);
    }
    page_text(out, r->tasks[row->task].name);
    if (row->claim == CLAIM_PERSONA)
        page_text(out, row->from == WITHOUT ? "own answer" : "data's gold");
    else
        page_text(out, reading_titles[row->from]);
    page_count(out, row->n);
    page_number(out, row->difference, 3);
    page_interval(out, row->interval, 3);
    if (row->claim == CLAIM_PERSONA)
        page_p(out, row->p);
    if (!isnan(row->margin))
        page_number(out, row->margin, 3);
    put_verdict(out, row->verdict);
    output_format(out, "</tr>\n");
}

static void put_claim_table(output *out, const results *found, claim which) {
    static const page_column columns[] = {{"model", 0}, {"task", 0},       {"prompts", 0},
                                          {"n", 1},     {"difference", 1}, {"95 %", 1}};
    enum { N_COLUMNS = sizeof columns / sizeof columns[0] };
    page_column all[N_COLUMNS + 2];
    size_t n = N_COLUMNS;
    memcpy(all, columns, sizeof columns);
    if (which == CLAIM_PERSONA) {
        all[2].head = "gold without";
        all[n++] = (page_column){"p (Holm)", 1};
    } else if (which == CLAIM_NO_FURTHER || which == CLAIM_CHECKPOINTS) {
        all[n++] = (page_column){"margin", 1};
    }
    all[n++] = (page_column){"verdict", 0};
    page_table_open(out, claim_statements[which], all, n);
    for (size_t i = 0; i < found->n_claims; i++) {
        if (found->claims[i].claim == which)
            put_claim_row(out, found, &found->claims[i]);
    }
    page_table_close(out);
}

static size_t count_verdicts(const results *found, claim which, verdict v) {
    size_t n = 0;
    for (size_t i = 0; i < found->n_claims; i++)
        n += found->claims[i].claim == which && found->claims[i].verdict == v;
    return n;
}

static void put_claim(output *out, const results *found, claim which) {
    if (count_verdicts(found, which, NOT_TESTED) > 0) {
        output_format(out,
                      "<p class=\"claim\"><b>%s</b> <span class=\"verdict few\">not tested</span> "
                      "needs %s</p>\n",
                      claim_statements[which], claim_needs[which]);
        return;
    }
    output_format(out, "<details>\n<summary class=\"claim\"><b>%s</b>", claim_statements[which]);
    for (int v = 0; v < NOT_TESTED; v++) {
        size_t n = count_verdicts(found, which, (verdict)v);
        if (n > 0)
            output_format(out, " <span class=\"verdict %s\">%s %zu</span>", verdict_classes[v],
                          verdict_names[v], n);
    }
    output_format(out, "</summary>\n");
    put_claim_table(out, found, which);
    output_format(out, "</details>\n");
}

void page_claims(output *out, const results *found) {
    output_format(out,
                  "<section id=\"claims\">\n<h2>The paper's claims</h2>\n<p>For every model and "
                  "task. A persona: supported if Wilcoxon's test, after Holm, has p &lt; 0.05 and "
                  "S is higher with it, not supported if it is lower. Trends: by the 95 %% "
                  "interval of the difference of means over all prompts. \xE2\x80\x9CHardly\xE2\x80"
                  "\x9D and \xE2\x80\x9Cno further\xE2\x80\x9D mean less than a tenth of the mean "
                  "S that the change starts from.</p>\n");
    for (int which = 0; which < N_CLAIMS; which++)
        put_claim(out, found, (claim)which);
    output_format(out, "</section>\n");
}

/* ---- Table 1 ---- */

/* A value of the row with a persona, marked better or worse than that without. */
static void put_marked(output *out, double value, double without, int is_marked) {
    if (!is_marked || value == without) {
        page_number(out, value, 3);
        return;
    }
    int better = value > without;
    output_format(out,
                  "<td class=\"n %s\" data-v=\"%.9g\"><span title=\"%s than without\">%s</span> ",
                  better ? "up" : "down", value, better ? "better" : "worse",
                  better ? "\xE2\x96\xB2" : "\xE2\x96\xBC");
    put_number(out, value, 3);
    output_format(out, "</td>");
}

static void put_table1_row(output *out, const results *found, const statistics_row *row,
                           int with_paper) {
    const report *r = found->report;
    const stats *s = &row->found,
                *o = &results_find(found, row->run, row->task, WITHOUT, row->ratio, row->over)
                          ->found;
    int is_marked = row->from == WITH && s->n > 0 && o->n > 0;
    output_format(out, "<tr>");
    page_text(out, r->runs[row->run].label);
    page_text(out, r->tasks[row->task].name);
    page_text(out, reading_titles[row->from]);
    page_count(out, s->n);
    put_marked(out, s->n == 0 ? NAN : s->min, o->min, is_marked);
    put_marked(out, s->n == 0 ? NAN : s->mean, o->mean, is_marked);
    page_interval(out, row->mean, 3);
    put_marked(out, s->n == 0 ? NAN : s->median, o->median, is_marked);
    page_interval(out, row->median, 3);
    put_marked(out, s->n == 0 ? NAN : s->max, o->max, is_marked);
    if (with_paper) {
        page_number(out, row->paper == NULL ? NAN : row->paper->min, 3);
        page_number(out, row->paper == NULL ? NAN : row->paper->mean, 3);
        page_number(out, row->paper == NULL ? NAN : row->paper->median, 3);
        page_number(out, row->paper == NULL ? NAN : row->paper->max, 3);
    }
    output_format(out, "</tr>\n");
}

static int has_paper(const report *r) {
    for (size_t i = 0; i < r->n_runs; i++) {
        if (r->runs[i].paper != NULL)
            return 1;
    }
    return 0;
}

static void put_table1(output *out, const results *found, population over) {
    static const page_column columns[] = {{"model", 0},
                                          {"task", 0},
                                          {"prompts", 0},
                                          {"n", 1},
                                          {"min", 1},
                                          {"mean", 1},
                                          {"95 %", 1},
                                          {"median", 1},
                                          {"95 %", 1},
                                          {"max", 1},
                                          {"paper\xE2\x80\x99s min", 1},
                                          {"mean", 1},
                                          {"median", 1},
                                          {"max", 1}};
    enum { N_COLUMNS = sizeof columns / sizeof columns[0], N_PAPER = 4 };
    const report *r = found->report;
    int with_paper = over == POSITIVE && has_paper(r);
    page_table_open(out,
                    over == POSITIVE ? "S over the prompts with S &gt; 0" : "S over all prompts",
                    columns, with_paper ? N_COLUMNS : N_COLUMNS - N_PAPER);
    for (size_t run = 0; run < r->n_runs; run++) {
        for (size_t task = 0; task < r->n_tasks; task++) {
            for (int from = 0; from < N_SCORED; from++)
                put_table1_row(out, found,
                               results_find(found, run, task, (reading)from, r->whole, over),
                               with_paper);
        }
    }
    page_table_close(out);
}

void page_table1(output *out, const results *found) {
    const report *r = found->report;
    output_format(out,
                  "<section id=\"table1\">\n<h2>Persona consistency S (the paper's Table 1)</h2>\n"
                  "<p>R = %s. \xE2\x96\xB2 better and \xE2\x96\xBC worse with the persona than "
                  "without, as the paper judges it: without a persona against the model's own "
                  "final token, so that S &gt; 0 always.</p>\n",
                  r->ratios[r->whole].text);
    if (has_paper(r))
        output_format(
            out,
            "<p>The paper heads its columns mean and median the wrong way round (0.055, "
            "0.107, 0.081, 0.107 can only be two values whose mean is 0.081 and whose "
            "upper median is 0.107); here its values stand under the right heads, so "
            "that like is compared with like. It seems to take the upper of two middle values as "
            "the median, where we take their mean.</p>\n");
    put_table1(out, found, POSITIVE);
    output_format(out, "<details>\n<summary>The same over all prompts</summary>\n");
    put_table1(out, found, ALL_PROMPTS);
    output_format(out, "</details>\n</section>\n");
}

/* ---- tests ---- */

static void put_test(output *out, const results *found, const paired_row *row) {
    const report *r = found->report;
    output_format(out, "<tr>");
    page_text(out, r->runs[row->run].label);
    page_text(out, r->tasks[row->task].name);
    page_text(out, row->against == WITHOUT ? "own answer" : "data's gold");
    page_count(out, row->found.n);
    page_count(out, row->n_higher);
    page_count(out, row->n_lower);
    page_number(out, row->found.n == 0 ? NAN : row->found.mean, 3);
    page_interval(out, row->mean, 3);
    page_number(out, row->is_tested ? row->signed_rank.rank_biserial : NAN, 3);
    page_p(out, row->is_tested ? row->signed_rank.p : NAN);
    page_p(out, row->signed_rank_holm);
    page_p(out, row->flips);
    page_p(out, row->flips_holm);
    page_text(out, !row->is_tested ? "\xE2\x80\x93" : row->signed_rank.exact ? "exact" : "normal");
    output_format(out, "</tr>\n");
}

void page_tests(output *out, const results *found) {
    static const page_column columns[] = {
        {"model", 0}, {"task", 0},    {"gold without", 0}, {"n", 1},        {"higher", 1},
        {"lower", 1}, {"mean", 1},    {"95 %", 1},         {"effect r", 1}, {"p Wilcoxon", 1},
        {"Holm", 1},  {"p flips", 1}, {"Holm", 1},         {"Wilcoxon", 0}};
    output_format(out,
                  "<section id=\"tests\">\n<h2>With against without, prompt by prompt</h2>\n"
                  "<p>S with a persona minus S without, at R = %s, over the questions that have "
                  "both. By the paper's definition the prompts without a persona are judged "
                  "against the model's own answer, which favours <em>without</em> by construction; "
                  "with the data's gold in both, only the persona differs.</p>\n",
                  found->report->ratios[found->report->whole].text);
    page_table_open(out, "Paired tests", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < found->n_pairs; i++)
        put_test(out, found, &found->pairs[i]);
    page_table_close(out);
    output_format(out, "</section>\n");
}

/* ---- runs and notes ---- */

void page_runs(output *out, const results *found) {
    static const page_column columns[] = {{"label", 0},        {"model\xE2\x80\x99s folder", 0},
                                          {"architecture", 0}, {"layers", 1},
                                          {"series", 0},       {"tokens", 1},
                                          {"in the paper", 0}, {"run", 0}};
    const report *r = found->report;
    output_format(out, "<section id=\"runs\">\n<h2>Runs</h2>\n");
    page_table_open(out, "Runs", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < r->n_runs; i++) {
        const report_run *run = &r->runs[i];
        output_format(out, "<tr>");
        page_text(out, run->label);
        page_text(out, run->model);
        page_text(out, run->architecture);
        page_count(out, run->n_layers);
        page_text(out, run->series == NULL ? "\xE2\x80\x93" : run->series);
        if (run->tokens > 0)
            output_format(out, "<td class=\"n\" data-v=\"%.9g\">%.4g</td>", run->tokens,
                          run->tokens);
        else
            page_number(out, NAN, 0);
        page_text(out, run->paper == NULL ? "\xE2\x80\x93" : run->paper->name);
        page_text(out, run->folder);
        output_format(out, "</tr>\n");
    }
    page_table_close(out);
    output_format(out, "</section>\n");
}

void page_notes(output *out, const results *found) {
    output_format(
        out,
        "<section id=\"notes\">\n<h2>How it is computed</h2>\n<ul>\n"
        "<li>S = \xCE\xA3 p<sub>l</sub> w<sub>l</sub> 1(token<sub>l</sub> = gold) over the last "
        "\xE2\x8C\x8AL R\xE2\x8C\x8B of the L layers, w<sub>l</sub> = 1 \xE2\x88\x92 (l \xE2\x88"
        "\x92 1)/L; token<sub>l</sub> is the top token of layer l\xE2\x80\x99s logit lens at the "
        "last position, p<sub>l</sub> its probability.</li>\n"
        "<li>Intervals: percentile bootstrap, 2.5 %% to 97.5 %% of %zu resamples of a task\xE2\x80"
        "\x99s questions, with all that belongs to a question; the same resamples for all models. "
        "Not given for fewer than %d values.</li>\n"
        "<li>Wilcoxon\xE2\x80\x99s signed-rank test, two-sided: zeros dropped; exact for at most "
        "%d differences without zeros and ties, else by the normal approximation with the "
        "correction for ties and none for continuity. Not made for fewer than %d differences that "
        "are not zero: then no signs at all would give p &lt; 0.05.</li>\n"
        "<li>Sign flips: the sum of the differences against %zu sums with random signs, "
        "p = (1 + k)/(1 + %zu).</li>\n"
        "<li>Effect: matched rank-biserial correlation, from \xE2\x88\x92"
        "1 (always lower with "
        "the persona) to 1. Holm: over all models and tasks, for each definition of gold.</li>\n"
        "<li>Seed %llu. The numbers themselves are in the TSV files beside this page, with all "
        "their digits.</li>\n</ul>\n</section>\n",
        found->settings.n_resamples, FEWEST_VALUES, WILCOXON_MOST_EXACT, FEWEST_VALUES,
        found->settings.n_flips, found->settings.n_flips, (unsigned long long)found->settings.seed);
}
