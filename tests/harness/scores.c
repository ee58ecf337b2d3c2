#include "tests/harness/scores.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"
#include "tests/harness/plan.h"

const char *const population_names[N_POPULATIONS] = {"all", "positive"};

/* Reads one share [length] of the list into the next item. */
static int parse_ratio(ratio_list *ratios, const char *text, size_t length) {
    plens_error error;
    char digits[32];
    ratio *next = &ratios->items[ratios->count];
    if (length >= sizeof digits)
        return fail_usage("score", "--ratios: '%.*s' has too many digits", (int)length, text);
    memcpy(digits, text, length);
    digits[length] = '\0';
    if (plens_ratio_parse(digits, &next->share, &error) != PLENS_OK)
        return fail_usage("score", "--ratios: %s", error.message);
    double numerator = (double)next->share.numerator, denominator = (double)next->share.denominator;
    snprintf(next->text, sizeof next->text, "%g", numerator / denominator);
    snprintf(next->percent, sizeof next->percent, "%g", 100 * numerator / denominator);
    for (size_t i = 0; i < ratios->count; i++) {
        if (strcmp(ratios->items[i].percent, next->percent) == 0)
            return fail_usage("score", "--ratios: two shares would be the column S%s",
                              next->percent);
    }
    ratios->count++;
    return EXIT_DONE;
}

int ratios_parse(ratio_list *ratios, const char *list) {
    ratios->items = NULL;
    ratios->count = 0;
    for (;; list++) {
        size_t length = strcspn(list, ",");
        ratios->items = reallocate(ratios->items, ratios->count + 1, sizeof *ratios->items);
        int code = parse_ratio(ratios, list, length);
        list += length;
        if (code != EXIT_DONE || *list == '\0')
            return code;
    }
}

void ratios_free(ratio_list *ratios) {
    free(ratios->items);
}

/* A plens_lens_fn: keeps one layer of one job. */
static int keep_layer(void *user, const plens_lens_result *found) {
    scores *r = user;
    const job *j = &r->jobs->items[found->prompt];
    size_t at = found->prompt * r->n_layers + found->layer - 1;
    if (!found->finite) {
        r->bad_job = found->prompt;
        r->bad_layer = found->layer;
        return 1;
    }
    r->top_ids[at] = found->top[0].id;
    r->top_probs[at] = found->top[0].prob;
    layer_result *layer = &r->layers[at];
    double sum = 0;
    layer->entropy = found->entropy;
    layer->ref_rank = UINT32_MAX;
    for (size_t i = 0; i < found->n_targets; i++) {
        sum += (double)found->targets[i].prob;
        if (found->targets[i].rank < layer->ref_rank)
            layer->ref_rank = found->targets[i].rank;
    }
    layer->ref_prob = (float)sum;
    int own = j->condition == CONDITION_WITHOUT;
    layer->gold_prob = own ? found->final_top.prob : layer->ref_prob;
    layer->gold_rank = own ? found->final_top.rank : layer->ref_rank;
    return 0;
}

const int32_t *scores_gold(const scores *r, size_t i, size_t *n_gold) {
    if (r->jobs->items[i].condition == CONDITION_WITH) {
        *n_gold = r->jobs->items[i].n_gold;
        return r->jobs->items[i].gold_ids;
    }
    *n_gold = 1;
    return &r->top_ids[(i + 1) * r->n_layers - 1];
}

static void compute_scores(scores *r) {
    size_t n_gold, n_ratios = r->ratios->count;
    for (size_t i = 0; i < r->jobs->count; i++) {
        const job *j = &r->jobs->items[i];
        const int32_t *gold = scores_gold(r, i, &n_gold);
        const int32_t *top_ids = r->top_ids + i * r->n_layers;
        const float *top_probs = r->top_probs + i * r->n_layers;
        for (size_t k = 0; k < n_ratios; k++) {
            size_t counted = plens_ratio_layers(r->ratios->items[k].share, r->n_layers);
            r->s[i * n_ratios + k] =
                plens_score(top_ids, top_probs, r->n_layers, counted, gold, n_gold);
            r->ref_s[i * n_ratios + k] =
                plens_score(top_ids, top_probs, r->n_layers, counted, j->gold_ids, j->n_gold);
        }
    }
}

/* The lens that a score looks through: the last position, its top token. */
static void set_lens(plens_run_options *options, plens_lens *lens, scores *r) {
    memset(lens, 0, sizeof *lens);
    memset(options, 0, sizeof *options);
    lens->fn = keep_layer;
    lens->user = r;
    lens->positions = PLENS_POSITIONS_LAST;
    lens->top_k = 1;
    options->lens = lens;
}

static plens_prompt *make_prompts(const jobs *j) {
    plens_prompt *prompts = allocate(j->count, sizeof *prompts);
    for (size_t i = 0; i < j->count; i++) {
        prompts[i].ids = j->items[i].ids.data;
        prompts[i].n_ids = j->items[i].ids.count;
        prompts[i].targets = j->items[i].gold_ids;
        prompts[i].n_targets = j->items[i].n_gold;
    }
    return prompts;
}

int scores_plan(output *out, session *s, const jobs *j, int no_sharing) {
    plens_lens lens;
    plens_run_options options;
    set_lens(&options, &lens, NULL);
    options.no_sharing = no_sharing;
    options.memory = session_budget(s);
    plens_prompt *prompts = make_prompts(j);
    int code = plan_print(out, s, prompts, j->count, &options);
    free(prompts);
    return code;
}

static int run(scores *r, session *s, const plens_prompt *prompts, const plens_saver *saver) {
    plens_error error;
    plens_lens lens;
    plens_run_options options;
    set_lens(&options, &lens, r);
    options.saver = saver;
    options.no_sharing = r->no_sharing;
    if (r->jobs->count == 0) { /* an empty shard */
        if (!s->options.quiet)
            say("no prompts fall to this shard");
        return EXIT_DONE;
    }
    if (!s->options.quiet)
        say("%zu prompts, %zu layers; %s, %s, threads: %d", r->jobs->count, r->n_layers,
            session_precision(s), session_product(s), s->machine.threads);
    plens_status status = session_run(s, prompts, r->jobs->count, &options, &r->seconds, &error);
    if (r->bad_layer != 0) {
        const job *j = &r->jobs->items[r->bad_job];
        return fail_input("%s:%zu: id '%s' %s a persona: the logits of layer %zu are infinite or "
                          "not numbers",
                          j->question->path, j->question->line, j->question->id,
                          condition_names[j->condition], r->bad_layer);
    }
    return status != PLENS_OK ? fail_error(&error) : EXIT_DONE;
}

void scores_make(scores *r, const session *s, const jobs *j, const ratio_list *ratios) {
    size_t n_layers = s->info.n_layers;
    memset(r, 0, sizeof *r);
    r->jobs = j;
    r->ratios = ratios;
    r->n_layers = n_layers;
    r->top_ids = allocate(j->count * n_layers, sizeof *r->top_ids);
    r->top_probs = allocate(j->count * n_layers, sizeof *r->top_probs);
    r->layers = allocate(j->count * n_layers, sizeof *r->layers);
    r->s = allocate(j->count * ratios->count, sizeof *r->s);
    r->ref_s = allocate(j->count * ratios->count, sizeof *r->ref_s);
}

int scores_run(scores *r, session *s, const plens_saver *saver) {
    plens_prompt *prompts = make_prompts(r->jobs);
    int code = run(r, s, prompts, saver);
    free(prompts);
    if (code == EXIT_DONE)
        compute_scores(r);
    return code;
}

void scores_free(scores *r) {
    free(r->top_ids);
    free(r->top_probs);
    free(r->layers);
    free(r->s);
    free(r->ref_s);
}

/* Which of a task's values a statistic is over. */
typedef int wanted_fn(const job *j, double value);

static int any(const job *j, double value) {
    (void)j;
    (void)value;
    return 1;
}

static int positive(const job *j, double value) {
    (void)j;
    return value > 0;
}

static int has_gold(const job *j, double value) {
    (void)value;
    return j->n_gold > 0;
}

/* values: [n_jobs, n_ratios] */
static stats summarize(const scores *r, const double *values, const summary_group *group,
                       wanted_fn *wanted) {
    double *chosen = allocate(r->jobs->count, sizeof *chosen);
    size_t n = 0;
    for (size_t i = 0; i < r->jobs->count; i++) {
        const job *j = &r->jobs->items[i];
        double value = values[i * r->ratios->count + group->ratio];
        if (j->question->task_index == group->task && (int)j->condition == group->condition &&
            wanted(j, value))
            chosen[n++] = value;
    }
    stats result = stats_of(chosen, n);
    free(chosen);
    return result;
}

stats scores_summary(const scores *r, const summary_group *group, int population) {
    return summarize(r, r->s, group, population == POPULATION_ALL ? any : positive);
}

stats scores_ref_summary(const scores *r, const summary_group *group) {
    return summarize(r, r->ref_s, group, has_gold);
}
