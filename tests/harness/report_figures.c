/* Figure 2, S against the share of the layers, and what the layers say. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/markup.h"
#include "tests/harness/message.h"
#include "tests/harness/plot.h"
#include "tests/harness/report_page.h"

static void put_legend(output *out, const plot_line *lines, size_t n) {
    output_format(out, "<ul class=\"legend\">\n");
    for (size_t k = 0; k < n; k++) {
        output_format(out, "<li>");
        plot_swatch(out, &lines[k].style);
        output_format(out, " ");
        markup_text(out, lines[k].name, NULL);
        output_format(out, "</li>\n");
    }
    output_format(out, "</ul>\n");
}

static void open_panels(output *out, const report *r) {
    output_format(out, "<div class=\"panels\" style=\"--n:%zu\">\n",
                  r->n_tasks < 3 ? r->n_tasks : (size_t)3);
}

/* ---- Figure 2 ---- */

/* Runs that share a figure: the checkpoints of a series by their tokens, or all runs of none. */
typedef struct family {
    const char *series; /* NULL: none */
    size_t *runs;       /* [n] */
    size_t n;
} family;

static int in_family(const family *f, const report_run *run) {
    return f->series == NULL ? run->series == NULL
                             : run->series != NULL && strcmp(run->series, f->series) == 0;
}

/* The family of a run; n is 0 if an earlier run has shown it. */
static family family_of(const report *r, size_t run) {
    family f = {r->runs[run].series, allocate(r->n_runs, sizeof *f.runs), 0};
    for (size_t i = 0; i < run; i++) {
        if (in_family(&f, &r->runs[i]))
            return f;
    }
    for (size_t i = run; i < r->n_runs; i++) {
        if (!in_family(&f, &r->runs[i]))
            continue;
        size_t at = f.n++;
        for (; at > 0 && f.series != NULL && r->runs[f.runs[at - 1]].tokens > r->runs[i].tokens;
             at--)
            f.runs[at] = f.runs[at - 1];
        f.runs[at] = i;
    }
    return f;
}

static double share_of(const report_ratio *k) {
    return (double)k->share.numerator / (double)k->share.denominator;
}

/* The shares' indices by their size. */
static void sort_ratios(const report *r, size_t *order) {
    for (size_t k = 0; k < r->n_ratios; k++) {
        size_t at = k;
        for (; at > 0 && share_of(&r->ratios[order[at - 1]]) > share_of(&r->ratios[k]); at--)
            order[at] = order[at - 1];
        order[at] = k;
    }
}

/* Fills in the points [n of the family, n_ratios] and the lines of a panel. */
static void make_lines(const results *found, const family *f, size_t task, reading from,
                       population over, plot_point *points, plot_line *lines) {
    const report *r = found->report;
    size_t *order = allocate(r->n_ratios, sizeof *order);
    sort_ratios(r, order);
    for (size_t i = 0; i < f->n; i++) {
        plot_point *line = &points[i * r->n_ratios];
        for (size_t k = 0; k < r->n_ratios; k++) {
            const statistics_row *row = results_find(found, f->runs[i], task, from, order[k], over);
            line[k] = (plot_point){share_of(&r->ratios[order[k]]),
                                   row->found.n == 0 ? NAN : row->found.mean, row->mean.low,
                                   row->mean.high};
        }
        int is_series = f->series != NULL;
        lines[i] = (plot_line){r->runs[f->runs[i]].label,
                               {(int)(i % PLOT_KINDS), is_series || f->n > PLOT_KINDS,
                                f->n < 2 ? 0 : (double)i / (double)(f->n - 1)},
                               line,
                               r->n_ratios};
    }
    free(order);
}

static void put_figure2_panel(output *out, const results *found, const family *f, size_t task,
                              reading from, population over, double y_max) {
    const report *r = found->report;
    plot_point *points = allocate(f->n * r->n_ratios, sizeof *points);
    plot_line *lines = allocate(f->n, sizeof *lines);
    make_lines(found, f, task, from, over, points, lines);
    char *title = join(r->tasks[task].name, ", ", reading_titles[from], NULL);
    char *about = join("Mean of S against the share R of the layers: ", title, NULL);
    const plot p = {title,       about, "R, share of the layers from the last",
                    "mean of S", 1,     y_max,
                    0.2,         1,     0,
                    0,           1,     lines,
                    f->n};
    plot_write(out, &p);
    free(title);
    free(about);
    free(lines);
    free(points);
}

/* The largest value of all panels of a task: they can then be compared by eye. */
static double task_highest(const results *found, const family *f, size_t task, population over) {
    const report *r = found->report;
    plot_point *points = allocate(f->n * r->n_ratios, sizeof *points);
    plot_line *lines = allocate(f->n, sizeof *lines);
    double most = 0;
    for (int from = 0; from < N_SCORED; from++) {
        make_lines(found, f, task, (reading)from, over, points, lines);
        double highest = plot_highest(lines, f->n);
        most = highest > most ? highest : most;
    }
    free(points);
    free(lines);
    return most > 0 ? plot_round_up(most) : 1;
}

static void put_figure2_legend(output *out, const results *found, const family *f) {
    const report *r = found->report;
    plot_point *points = allocate(f->n * r->n_ratios, sizeof *points);
    plot_line *lines = allocate(f->n, sizeof *lines);
    make_lines(found, f, 0, WITH, ALL_PROMPTS, points, lines);
    put_legend(out, lines, f->n);
    free(points);
    free(lines);
}

static void put_family(output *out, const results *found, const family *f, population over) {
    const report *r = found->report;
    output_format(out, "<h3>");
    if (f->series != NULL)
        markup_text(out, f->series, NULL);
    else
        output_format(out, f->n > 1 ? "Models" : "The model");
    output_format(out,
                  over == ALL_PROMPTS ? ", all prompts</h3>\n" : ", prompts with S &gt; 0</h3>\n");
    put_figure2_legend(out, found, f);
    open_panels(out, r);
    for (int from = 0; from < N_SCORED; from++) {
        for (size_t task = 0; task < r->n_tasks; task++)
            put_figure2_panel(out, found, f, task, (reading)from, over,
                              task_highest(found, f, task, over));
    }
    output_format(out, "</div>\n");
}

static void put_families(output *out, const results *found, population over) {
    for (size_t run = 0; run < found->report->n_runs; run++) {
        family f = family_of(found->report, run);
        if (f.n > 0)
            put_family(out, found, &f, over);
        free(f.runs);
    }
}

void page_figure2(output *out, const results *found) {
    output_format(out, "<section id=\"figure2\">\n<h2>S against the share of the layers (the "
                       "paper's Figure 2)</h2>\n<p>Mean of S when the last R of the layers count, "
                       "with 95 %% bootstrap intervals as bands. The panels of a task have one "
                       "scale. S can only rise with R: it is a sum.</p>\n");
    put_families(out, found, ALL_PROMPTS);
    output_format(out, "<details>\n<summary>The same over the prompts with S &gt; 0</summary>\n");
    put_families(out, found, POSITIVE);
    output_format(out, "</details>\n</section>\n");
}

/* ---- layers ---- */

typedef enum measure { TOP_SHARE, GOLD_PROB, GOLD_RANK, N_MEASURES } measure;

static const char *const measure_names[N_MEASURES] = {
    "gold is the top token", "mean probability of gold", "mean rank of gold, from 1"};

/* The rows of a run, task and reading stand together: the first of them. */
static const depth_row *first_row(const results *found, size_t run, size_t task, reading from) {
    const depth_row *row = found->depths;
    while (row->run != run || row->task != task || row->from != from)
        row++;
    return row;
}

static double measured(const depth_row *row, measure what) {
    return what == TOP_SHARE   ? row->top_share
           : what == GOLD_PROB ? row->gold_prob
                               : row->gold_rank + 1;
}

/* The lines of a panel, one for each reading that has the measure: points [N_READINGS, n_layers].
 * Returns how many. */
static size_t make_depth_lines(const results *found, size_t run, size_t task, measure what,
                               plot_point *points, plot_line *lines) {
    size_t n_layers = found->report->runs[run].n_layers;
    size_t n = what == TOP_SHARE ? N_READINGS : N_SCORED;
    for (size_t from = 0; from < n; from++) {
        const depth_row *row = first_row(found, run, task, (reading)from);
        plot_point *line = &points[from * n_layers];
        for (size_t layer = 0; layer < n_layers; layer++)
            line[layer] = (plot_point){(double)(layer + 1), measured(&row[layer], what), NAN, NAN};
        lines[from] = (plot_line){reading_titles[from], {(int)from, 0, 0}, line, n_layers};
    }
    return n;
}

static double layer_step(size_t n_layers) {
    double step = 1;
    while ((double)n_layers / step > 8)
        step *= 2;
    return step;
}

/* The next power of ten. */
static double decade_above(double y) {
    double decade = 10;
    while (decade < y)
        decade *= 10;
    return decade;
}

static void put_depth_panel(output *out, const results *found, size_t run, size_t task,
                            measure what) {
    const report *r = found->report;
    size_t n_layers = r->runs[run].n_layers;
    plot_point *points = allocate(N_READINGS * n_layers, sizeof *points);
    plot_line lines[N_READINGS];
    size_t n = make_depth_lines(found, run, task, what, points, lines);
    double highest = plot_highest(lines, n);
    char *title = join(r->tasks[task].name, ": ", measure_names[what], NULL);
    char *about = join(r->runs[run].label, ", ", title, ", layer by layer", NULL);
    const plot p = {title,
                    about,
                    "layer (its output)",
                    what == TOP_SHARE   ? "share of prompts"
                    : what == GOLD_PROB ? "probability"
                                        : "rank",
                    (double)n_layers,
                    what == GOLD_RANK ? decade_above(highest) : 1,
                    layer_step(n_layers),
                    0,
                    what == TOP_SHARE,
                    what == GOLD_RANK,
                    0,
                    lines,
                    n};
    plot_write(out, &p);
    free(title);
    free(about);
    free(points);
}

static void put_depth_legend(output *out) {
    plot_line lines[N_READINGS];
    for (int from = 0; from < N_READINGS; from++)
        lines[from] = (plot_line){reading_titles[from], {from, 0, 0}, NULL, 0};
    put_legend(out, lines, N_READINGS);
}

static void put_formation_row(output *out, const results *found, const formation_row *row) {
    const report *r = found->report;
    output_format(out, "<tr>");
    page_text(out, r->runs[row->run].label);
    page_text(out, r->tasks[row->task].name);
    page_text(out, row->kind == FORMATION_FIRST ? "first on top" : "on top to the end");
    if (row->is_difference) {
        char *text =
            join(reading_titles[row->from], " \xE2\x88\x92 ", reading_titles[row->against], NULL);
        page_text(out, text);
        free(text);
    } else {
        page_text(out, reading_titles[row->from]);
    }
    page_count(out, row->n);
    page_count(out, row->found.n);
    page_number(out, row->found.n == 0 ? NAN : row->found.mean, 2);
    page_interval(out, row->mean, 2);
    page_number(out, row->found.n == 0 ? NAN : row->found.median, 1);
    page_number(out, (double)r->runs[row->run].n_layers, 0);
    output_format(out, "</tr>\n");
}

static void put_formation_table(output *out, const results *found, int differences) {
    static const page_column columns[] = {
        {"model", 0},     {"task", 0}, {"layer", 0}, {"prompts", 0}, {"n", 1},
        {"n with it", 1}, {"mean", 1}, {"95 %", 1},  {"median", 1},  {"of layers", 1}};
    page_table_open(out,
                    differences ? "With a persona minus without, prompt by prompt, in layers"
                                : "The layer from which the answer is there",
                    columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < found->n_formations; i++) {
        if (found->formations[i].is_difference == differences)
            put_formation_row(out, found, &found->formations[i]);
    }
    page_table_close(out);
}

void page_layers(output *out, const results *found) {
    const report *r = found->report;
    output_format(out,
                  "<section id=\"layers\">\n<h2>Where in the layers the answer is formed</h2>\n"
                  "<p>The lens of every layer at the prompt's last position. A layer's number is "
                  "that of the block whose output is read, from 1; the last one is the model's "
                  "output. Own answer: the last layer's top token.</p>\n");
    put_depth_legend(out);
    for (size_t run = 0; run < r->n_runs; run++) {
        output_format(out, r->n_runs > 1 ? "<details%s>\n<summary>" : "<h3>%s",
                      r->n_runs > 1 && run == 0 ? " open=\"open\"" : "");
        markup_text(out, r->runs[run].label, NULL);
        output_format(out, r->n_runs > 1 ? "</summary>\n" : "</h3>\n");
        open_panels(out, r);
        for (int what = 0; what < N_MEASURES; what++) {
            for (size_t task = 0; task < r->n_tasks; task++)
                put_depth_panel(out, found, run, task, (measure)what);
        }
        output_format(out, r->n_runs > 1 ? "</div>\n</details>\n" : "</div>\n");
    }
    put_formation_table(out, found, 1);
    put_formation_table(out, found, 0);
    output_format(out, "</section>\n");
}
