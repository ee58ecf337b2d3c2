/* Where in the layers the answer is formed. */
#include <math.h>
#include <stdlib.h>

#include "tests/harness/message.h"
#include "tests/harness/report_results.h"

const char *const formation_names[N_FORMATIONS] = {"first", "stable"};

static const signed char *tops_of(const report *r, size_t run, reading from, size_t question) {
    return &r->runs[run].top[from][question * r->runs[run].n_layers];
}

static depth_row make_depth(const report *r, size_t run, size_t task, reading from, size_t layer) {
    depth_row row = {run, task, layer, from, 0, 0, 0, 0};
    const report_run *one = &r->runs[run];
    size_t n_top = 0;
    for (size_t i = 0; i < r->tasks[task].n; i++) {
        size_t question = r->tasks[task].questions[i];
        size_t at = question * one->n_layers + layer - 1;
        if (one->top[from][at] < 0)
            continue;
        row.n++;
        n_top += one->top[from][at] == 1;
        if (from != WITH_OWN) {
            row.gold_prob += (double)one->gold_prob[from][at];
            row.gold_rank += (double)one->gold_rank[from][at];
        }
    }
    double n = row.n == 0 ? NAN : (double)row.n;
    row.top_share = (double)n_top / n;
    row.gold_prob = from == WITH_OWN ? NAN : row.gold_prob / n;
    row.gold_rank = from == WITH_OWN ? NAN : row.gold_rank / n;
    return row;
}

void results_depths(results *found) {
    const report *r = found->report;
    size_t n = 0;
    for (size_t run = 0; run < r->n_runs; run++)
        n += r->n_tasks * N_READINGS * r->runs[run].n_layers;
    found->depths = allocate(n, sizeof *found->depths);
    for (size_t run = 0; run < r->n_runs; run++) {
        for (size_t task = 0; task < r->n_tasks; task++) {
            for (int from = 0; from < N_READINGS; from++) {
                for (size_t layer = 1; layer <= r->runs[run].n_layers; layer++)
                    found->depths[found->n_depths++] =
                        make_depth(r, run, task, (reading)from, layer);
            }
        }
    }
}

/* The layer where a prompt's answer is formed; NaN: nowhere, or no such prompt. */
static double formed_at(const signed char *tops, size_t n_layers, formation kind) {
    size_t layer;
    if (kind == FORMATION_FIRST) {
        for (layer = 1; layer <= n_layers; layer++) {
            if (tops[layer - 1] == 1)
                return (double)layer;
        }
        return NAN;
    }
    for (layer = n_layers; layer > 0 && tops[layer - 1] == 1; layer--)
        continue;
    return layer == n_layers ? NAN : (double)(layer + 1);
}

/* The layers of a task's questions [n of the task], and how many have the reading. */
static double *layers_of(const report *r, const formation_row *row, reading from, size_t *n) {
    const report_task *task = &r->tasks[row->task];
    double *layers = allocate(task->n, sizeof *layers);
    *n = 0;
    for (size_t i = 0; i < task->n; i++) {
        const signed char *tops = tops_of(r, row->run, from, task->questions[i]);
        *n += tops[0] >= 0;
        layers[i] = formed_at(tops, r->runs[row->run].n_layers, row->kind);
    }
    return layers;
}

/* How many questions have both readings. */
static size_t count_pairs(const report *r, const formation_row *row) {
    size_t n = 0;
    for (size_t i = 0; i < r->tasks[row->task].n; i++) {
        size_t question = r->tasks[row->task].questions[i];
        n += tops_of(r, row->run, row->from, question)[0] >= 0 &&
             tops_of(r, row->run, row->against, question)[0] >= 0;
    }
    return n;
}

static void add_row(results *found, formation_row row) {
    const report *r = found->report;
    size_t n = r->tasks[row.task].n, n_against;
    double *layers = layers_of(r, &row, row.from, &row.n);
    if (row.is_difference) {
        double *others = layers_of(r, &row, row.against, &n_against);
        results_differ(layers, others, n, layers);
        free(others);
        row.n = count_pairs(r, &row);
    }
    row.found = results_stats(layers, n);
    boot_sample sample = {.values = layers};
    bootstrap(&found->boots[row.task], &sample, 1);
    row.mean = sample.mean;
    row.median = sample.median;
    found->formations[found->n_formations++] = row;
    free(layers);
}

void results_formations(results *found) {
    static const reading pairs[][2] = {{WITH, WITHOUT}, {WITH, WITHOUT_DATA}, {WITH_OWN, WITHOUT}};
    enum { N_PAIRS = 3, N_ROWS = (N_READINGS + N_PAIRS) * N_FORMATIONS };
    const report *r = found->report;
    found->formations = allocate(r->n_runs * r->n_tasks * N_ROWS, sizeof *found->formations);
    for (size_t i = 0; i < r->n_runs * r->n_tasks * N_FORMATIONS; i++) {
        formation_row row = {.kind = (formation)(i % N_FORMATIONS)};
        row.task = i / N_FORMATIONS % r->n_tasks;
        row.run = i / N_FORMATIONS / r->n_tasks;
        for (int from = 0; from < N_READINGS; from++) {
            row.from = row.against = (reading)from;
            add_row(found, row);
        }
        row.is_difference = 1;
        for (size_t k = 0; k < N_PAIRS; k++) {
            row.from = pairs[k][0];
            row.against = pairs[k][1];
            add_row(found, row);
        }
    }
}
