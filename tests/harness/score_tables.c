/* prompts.tsv, layers.tsv and summary.tsv: floats as %.9g, doubles as %.17g, NA for nothing. */
#include "tests/harness/score_files.h"

#include <string.h>

#include "tests/harness/view.h"

static void write_text(output *out, const char *text, const char *ending) {
    output_cell(out, text, strlen(text));
    output_format(out, "%s", ending);
}

/* "12|7" and " Paris|Paris". */
static void write_ids(output *out, const int32_t *ids, size_t count) {
    for (size_t i = 0; i < count; i++)
        output_format(out, i == 0 ? "%ld" : "|%ld", (long)ids[i]);
}

static void write_tokens(output *out, const session *s, const int32_t *ids, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            output_format(out, "|");
        output_token(out, s->tokenizer, ids[i]);
    }
}

static const char *gold_note(const job *j) {
    if (j->merged)
        return j->bare_space ? "merged,bare_space" : "merged";
    return j->bare_space ? "bare_space" : "NA";
}

static void write_prompt(output *out, const score_report *r, size_t i) {
    const scores *found = r->scores;
    const job *j = &r->jobs->items[i];
    size_t n_gold, n_ratios = r->ratios->count;
    const int32_t *gold = scores_gold(found, i, &n_gold);
    const int32_t *top = &found->top_ids[(i + 1) * found->n_layers - 1];
    write_text(out, j->question->id, "\t");
    write_text(out, j->question->task, "\t");
    output_format(out, "%s\t%zu\t", condition_names[j->condition], j->ids.count);
    write_ids(out, gold, n_gold);
    output_format(out, "\t");
    write_tokens(out, r->session, gold, n_gold);
    output_format(out, "\t%ld\t", (long)*top);
    output_token(out, r->session->tokenizer, *top);
    for (size_t k = 0; k < n_ratios; k++)
        output_format(out, "\t%.17g", found->s[i * n_ratios + k]);
    output_format(out, "\t%s", gold_note(j));
    for (size_t k = 0; k < n_ratios; k++) {
        if (j->n_gold > 0)
            output_format(out, "\t%.17g", found->ref_s[i * n_ratios + k]);
        else
            output_format(out, "\tNA");
    }
    output_format(out, "\n");
}

void write_prompts(output *out, const score_report *r) {
    output_format(out, "id\ttask\tcondition\tn_tokens\tgold_id\tgold\ttop_id\ttop");
    for (size_t k = 0; k < r->ratios->count; k++)
        output_format(out, "\tS%s", r->ratios->items[k].percent);
    output_format(out, "\tgold_note");
    for (size_t k = 0; k < r->ratios->count; k++)
        output_format(out, "\tref_S%s", r->ratios->items[k].percent);
    output_format(out, "\n");
    for (size_t i = 0; i < r->jobs->count; i++)
        write_prompt(out, r, i);
}

static void write_layer(output *out, const score_report *r, size_t i, size_t layer) {
    const job *j = &r->jobs->items[i];
    size_t at = i * r->scores->n_layers + layer - 1;
    const layer_result *found = &r->scores->layers[at];
    write_text(out, j->question->id, "\t");
    output_format(out, "%s\t%zu\t%ld\t", condition_names[j->condition], layer,
                  (long)r->scores->top_ids[at]);
    output_token(out, r->session->tokenizer, r->scores->top_ids[at]);
    output_format(out, "\t%.9g\t%.9g\t%lu\t%.9g", (double)r->scores->top_probs[at],
                  (double)found->gold_prob, (unsigned long)found->gold_rank,
                  (double)found->entropy);
    if (j->n_gold > 0)
        output_format(out, "\t%.9g\t%lu\n", (double)found->ref_prob,
                      (unsigned long)found->ref_rank);
    else
        output_format(out, "\tNA\tNA\n");
}

void write_layers(output *out, const score_report *r) {
    output_format(out,
                  "id\tcondition\tlayer\ttoken_id\ttoken\tprob\tgold_prob\tgold_rank\tentropy\t"
                  "ref_prob\tref_rank\n");
    for (size_t i = 0; i < r->jobs->count; i++) {
        for (size_t layer = 1; layer <= r->scores->n_layers; layer++)
            write_layer(out, r, i, layer);
    }
}

/* A row of the summary. */
typedef struct summary_row {
    size_t task;
    int condition;
    size_t ratio;
    int population;
} summary_row;

typedef void summary_fn(void *user, const score_report *r, const summary_row *row,
                        const stats *found);

/* Calls fn for every row: by task, condition, ratio, population. */
static void each_summary(const score_report *r, summary_fn *fn, void *user) {
    summary_row row;
    for (row.task = 0; row.task < r->questions->n_tasks; row.task++) {
        for (row.condition = 0; row.condition < N_CONDITIONS; row.condition++) {
            if (!r->options->conditions[row.condition])
                continue;
            for (row.ratio = 0; row.ratio < r->ratios->count; row.ratio++) {
                for (row.population = 0; row.population < N_POPULATIONS; row.population++) {
                    stats found = scores_summary(r->scores, row.task, row.condition, row.ratio,
                                                 row.population);
                    fn(user, r, &row, &found);
                }
            }
        }
    }
}

static void write_summary_row(void *user, const score_report *r, const summary_row *row,
                              const stats *found) {
    output *out = user;
    write_text(out, r->questions->tasks[row->task], "\t");
    output_format(out, "%s\t%s\t%s\t%zu", condition_names[row->condition],
                  r->ratios->items[row->ratio].text, population_names[row->population], found->n);
    if (found->n == 0)
        output_format(out, "\tNA\tNA\tNA\tNA\n");
    else
        output_format(out, "\t%.17g\t%.17g\t%.17g\t%.17g\n", found->min, found->mean, found->median,
                      found->max);
}

void write_summary(output *out, const score_report *r) {
    output_format(out, "task\tcondition\tratio\tpopulation\tn\tmin\tmean\tmedian\tmax\n");
    each_summary(r, write_summary_row, out);
}

/* Cells that repeat the row above stay empty. */
static void view_summary_row(void *user, const score_report *r, const summary_row *row,
                             const stats *found) {
    view *v = user;
    int first = row->population == POPULATION_ALL, first_ratio = first && row->ratio == 0;
    const double numbers[] = {found->min, found->mean, found->median, found->max};
    view_add_text(v, first_ratio ? r->questions->tasks[row->task] : "");
    view_add(v, "%s", first_ratio ? condition_names[row->condition] : "");
    view_add(v, "%s", first ? r->ratios->items[row->ratio].text : "");
    view_add(v, "%s", first ? "all" : "S > 0");
    view_add(v, "%zu", found->n);
    for (size_t i = 0; i < 4; i++) {
        if (found->n == 0)
            view_add(v, "-");
        else
            view_add(v, "%.4f", numbers[i]);
    }
}

void print_summary(output *out, const score_report *r) {
    static const view_column columns[] = {{0, 0}, {0, 2}, {1, 2}, {0, 2}, {1, 2},
                                          {1, 2}, {1, 2}, {1, 2}, {1, 2}};
    static const char *const names[] = {"task", "condition", "layers", "over", "n",
                                        "min",  "mean",      "median", "max"};
    const size_t n_columns = sizeof columns / sizeof columns[0];
    view v = {columns, n_columns, NULL, 0};
    output_format(out,
                  "Persona consistency S over the last share of the %zu layers: how surely the "
                  "gold answer is\nwhat they would say next. With a persona gold is the data's, "
                  "without one the model's own.\n\n",
                  r->scores->n_layers);
    for (size_t c = 0; c < n_columns; c++)
        view_add(&v, "%s", names[c]);
    each_summary(r, view_summary_row, &v);
    view_print(&v, out, view_width(), n_columns, 1);
}
