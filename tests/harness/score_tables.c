/* prompts.tsv, layers.tsv, summary.tsv and shard.tsv: floats as %.9g, doubles as %.17g, NA for
 * nothing. */
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

typedef void group_fn(void *user, const score_report *r, const summary_group *group);

/* Calls fn for every group: by task, condition, ratio. */
static void each_group(const score_report *r, group_fn *fn, void *user) {
    summary_group group;
    for (group.task = 0; group.task < r->questions->n_tasks; group.task++) {
        for (group.condition = 0; group.condition < N_CONDITIONS; group.condition++) {
            if (!r->options->conditions[group.condition])
                continue;
            for (group.ratio = 0; group.ratio < r->ratios->count; group.ratio++)
                fn(user, r, &group);
        }
    }
}

static void write_group(void *user, const score_report *r, const summary_group *group) {
    output *out = user;
    for (int population = 0; population < N_POPULATIONS; population++) {
        stats found = scores_summary(r->scores, group, population);
        write_text(out, r->questions->tasks[group->task], "\t");
        output_format(out, "%s\t%s\t%s\t%zu", condition_names[group->condition],
                      r->ratios->items[group->ratio].text, population_names[population], found.n);
        if (found.n == 0)
            output_format(out, "\tNA\tNA\tNA\tNA\n");
        else
            output_format(out, "\t%.17g\t%.17g\t%.17g\t%.17g\n", found.min, found.mean,
                          found.median, found.max);
    }
}

void write_summary(output *out, const score_report *r) {
    output_format(out, "task\tcondition\tratio\tpopulation\tn\tmin\tmean\tmedian\tmax\n");
    if (r->jobs->count == 0) /* an empty shard */
        return;
    each_group(r, write_group, out);
}

void write_shard(output *out, const score_report *r) {
    const int *conditions = r->options->conditions;
    output_format(out, "key\tvalue\nshard\t%zu/%zu\nlayers\t%zu\n", r->shard->index,
                  r->shard->count, r->session->info.n_layers);
    for (int c = 0; c < N_CONDITIONS; c++) {
        if (conditions[c])
            output_format(out, "condition\t%s\n", condition_names[c]);
    }
    for (size_t k = 0; k < r->ratios->count; k++)
        output_format(out, "ratio\t%s\n", r->ratios->items[k].text);
    for (size_t t = 0; t < r->questions->n_tasks; t++) {
        output_format(out, "task\t");
        write_text(out, r->questions->tasks[t], "\n");
    }
    for (size_t i = 0; i < r->jobs->count; i++)
        output_format(out, "prompt\t%zu\n", r->jobs->items[i].index);
}

static void view_number(view *v, const stats *over, double number) {
    if (over->n == 0)
        view_add(v, "-");
    else
        view_add(v, "%.4f", number);
}

static void view_group(void *user, const score_report *r, const summary_group *group) {
    view *v = user;
    stats all = scores_summary(r->scores, group, POPULATION_ALL);
    stats positive = scores_summary(r->scores, group, POPULATION_POSITIVE);
    stats ref = scores_ref_summary(r->scores, group);
    int first = group->ratio == 0; /* cells that repeat the row above stay empty */
    view_add_text(v, first ? r->questions->tasks[group->task] : "");
    view_add(v, "%s", first ? condition_names[group->condition] : "");
    view_add(v, "%s", r->ratios->items[group->ratio].text);
    view_add(v, "%zu", all.n);
    view_number(v, &all, all.min);
    view_number(v, &all, all.mean);
    view_number(v, &all, all.median);
    view_number(v, &all, all.max);
    view_add(v, "%zu", positive.n);
    view_number(v, &positive, positive.mean);
    view_number(v, &ref, ref.mean);
}

void print_summary(output *out, const score_report *r) {
    static const view_column columns[] = {{0, 0}, {0, 2}, {1, 2}, {1, 2}, {1, 3}, {1, 2},
                                          {1, 2}, {1, 2}, {1, 3}, {1, 2}, {1, 3}};
    static const char *const names[] = {"task",  "condition", "layers",     "n",
                                        "min",   "mean",      "median",     "max",
                                        "S > 0", "mean",      "data's gold"};
    const size_t n_columns = sizeof columns / sizeof columns[0];
    view v = {columns, n_columns, NULL, 0};
    output_format(out,
                  "Persona consistency S: how surely, over the last share of the %zu layers, the "
                  "lens says gold.\nWith a persona gold is the data's, without one the model's own "
                  "answer; the last column is\nthe mean of S when the data's gold is asked for in "
                  "both.\n\n",
                  r->scores->n_layers);
    for (size_t c = 0; c < n_columns; c++)
        view_add(&v, "%s", names[c]);
    each_group(r, view_group, &v);
    view_print(&v, out, view_width(), n_columns, 1);
}
