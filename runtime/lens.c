#include "runtime/fp.h"

#include "runtime/lens.h"

#include <math.h>

#include "runtime/kernels/ahead.h"
#include "runtime/numeric.h"
#include "runtime/pass.h"

enum { MOST_GROUPED = 8, GROUPS_PER_THREAD = 4 };

/* ---- one site and one block of the vocabulary ---- */

/* Moves the sums to a larger maximum, which is `by` >= 0 above the old one. */
static void raise_maximum(plens__lens_site *site, double by) {
    double factor = plens__exp(-by);
    site->weighted = factor * (site->weighted - by * site->sum);
    site->sum = factor * site->sum;
    site->max = site->max + by;
}

static void add_block(plens__lens_site *site, const plens__vocab_sums *sums, int first) {
    site->finite &= sums->finite;
    if (!site->finite)
        return;
    plens__lens_site block = {.max = (double)sums->max, .sum = sums->sum};
    block.weighted = sums->weighted;
    if (first) {
        site->max = block.max;
        site->sum = block.sum;
        site->weighted = block.weighted;
        return;
    }
    if (block.max > site->max)
        raise_maximum(site, block.max - site->max);
    else
        raise_maximum(&block, site->max - block.max);
    site->sum = site->sum + block.sum;
    site->weighted = site->weighted + block.weighted;
}

/* Puts a token into the list by falling logit, after equal ones (they have lower ids). A NaN goes
 * below everything. */
static void insert_top(plens_lens_token *top, size_t *n_top, size_t top_k, int32_t id,
                       float logit) {
    size_t at = *n_top < top_k ? (*n_top)++ : top_k - 1;
    for (; at > 0 && (logit > top[at - 1].logit || top[at - 1].logit != top[at - 1].logit); at--)
        top[at] = top[at - 1];
    top[at] = (plens_lens_token){id, logit, 0, 0};
}

/* A site's logits of one tile, and the largest: most tiles hold nothing above a threshold. */
typedef struct tile_logits {
    const float *logits;
    size_t n;
    float max;
} tile_logits;

static void update_top(const plens__kernels *kernels, plens__lens_site *site, plens_lens_token *top,
                       size_t top_k, int32_t first_id, const tile_logits *tile) {
    size_t i = 0;
    for (; i < tile->n && site->n_top < top_k; i++)
        insert_top(top, &site->n_top, top_k, first_id + (int32_t)i, tile->logits[i]);
    for (; tile->max > top[top_k - 1].logit; i++) {
        i = kernels->find_greater(tile->logits, i, tile->n, top[top_k - 1].logit);
        if (i >= tile->n)
            return;
        insert_top(top, &site->n_top, top_k, first_id + (int32_t)i, tile->logits[i]);
    }
}

static void count_ranks(const plens__kernels *kernels, plens_lens_token *tokens, size_t n_tokens,
                        const tile_logits *tile) {
    for (size_t t = 0; t < n_tokens; t++) {
        if (tile->max > tokens[t].logit)
            tokens[t].rank +=
                (uint32_t)kernels->count_greater(tile->logits, tile->n, tokens[t].logit);
    }
}

/* ---- the unembedding of many sites ---- */

/* Sites [first, first + n) of the early ones, or of the final ones, at one tile. */
typedef struct tile_sites {
    plens__pass *pass;
    int final;
    size_t first, n, group; /* sites in hand, and of them in one item */
    size_t first_id, n_ids;
} tile_sites;

/* The row and the layer's index of a site. */
static size_t site_row(const tile_sites *t, size_t item, size_t *layer) {
    const plens__lens *lens = &t->pass->lens;
    size_t site = t->first + item;
    *layer = t->final ? lens->n_early : lens->from + site % lens->n_held;
    return t->final ? site : site / lens->n_held;
}

/* The cross sum of a site and a row of lens->powers, block after block. */
static void add_cross(const tile_sites *t, plens__lens_site *site, size_t in_hand,
                      const float *logits) {
    const plens__lens *lens = &t->pass->lens;
    const float *powers = lens->powers + in_hand * PLENS__TILE_IDS;
    for (size_t from = 0; from < t->n_ids; from += PLENS__VOCAB_BLOCK) {
        size_t n = t->n_ids - from < PLENS__VOCAB_BLOCK ? t->n_ids - from : PLENS__VOCAB_BLOCK;
        double block = t->pass->engine->kernels->dot_double(powers + from, logits + from, n);
        site->cross += lens->scale[in_hand][from / PLENS__VOCAB_BLOCK] * block;
    }
}

static void reduce_site(const tile_sites *t, size_t in_hand) {
    plens__lens *lens = &t->pass->lens;
    const plens__kernels *kernels = t->pass->engine->kernels;
    size_t layer, row = site_row(t, in_hand, &layer), index = row * lens->n_layers + layer;
    plens__lens_site *site = &lens->sites[index];
    const float *logits = lens->logits + in_hand * PLENS__TILE_IDS;
    tile_logits tile = {logits, t->n_ids, -INFINITY};
    for (size_t from = 0; from < t->n_ids; from += PLENS__VOCAB_BLOCK) {
        size_t n = t->n_ids - from < PLENS__VOCAB_BLOCK ? t->n_ids - from : PLENS__VOCAB_BLOCK;
        plens__vocab_sums sums;
        kernels->vocab_sums(logits + from, n, &sums);
        tile.max = sums.max > tile.max ? sums.max : tile.max;
        add_block(site, &sums, t->first_id + from == 0);
    }
    if (!t->final && lens->options->kl)
        add_cross(t, site, row - t->first / lens->n_held, logits);
    plens__groups_pick(&lens->groups, index, t->first_id, logits, t->n_ids);
    update_top(kernels, site, lens->top + index * lens->top_k, lens->top_k, (int32_t)t->first_id,
               &tile);
    if (!t->final)
        count_ranks(kernels, &lens->final_top[index], 1, &tile);
    for (size_t e = lens->first_entry[row]; e != SIZE_MAX; e = lens->entries[e].next) {
        size_t n_targets = lens->prompts[lens->entries[e].prompt].n_targets;
        count_ranks(kernels, lens->targets + lens->entries[e].targets + layer * n_targets,
                    n_targets, &tile);
    }
}

/* Item: sites in hand. Each asks for the next one's logits: another processor may have made them.
 */
static void reduce_task(void *arg, size_t item, int thread) {
    const tile_sites *t = arg;
    const float *logits = t->pass->lens.logits;
    size_t end = (item + 1) * t->group < t->n ? (item + 1) * t->group : t->n;
    (void)thread;
    for (size_t in_hand = item * t->group; in_hand < end; in_hand++) {
        const size_t bytes = PLENS__TILE_IDS * sizeof *logits;
        plens__ahead next =
            plens__ahead_begin((uintptr_t)(logits + (in_hand + 1) * PLENS__TILE_IDS), bytes, bytes);
        if (in_hand + 1 < end)
            plens__ahead_ask(&next, next.lines);
        reduce_site(t, in_hand);
    }
}

/* Item: a row in hand. Its final logits of the tile, which lie in powers, become powers. */
static void power_task(void *arg, size_t item, int thread) {
    const tile_sites *t = arg;
    const plens__lens *lens = &t->pass->lens;
    const plens__kernels *kernels = t->pass->engine->kernels;
    size_t row = t->first / lens->n_held + item;
    const plens__lens_site *final = &lens->sites[row * lens->n_layers + lens->n_early];
    (void)thread;
    for (size_t from = 0; from < t->n_ids; from += PLENS__VOCAB_BLOCK) {
        float *block = lens->powers + item * PLENS__TILE_IDS + from, below[PLENS__VOCAB_BLOCK];
        size_t n = t->n_ids - from < PLENS__VOCAB_BLOCK ? t->n_ids - from : PLENS__VOCAB_BLOCK;
        plens__vocab_sums sums;
        kernels->vocab_sums(block, n, &sums);
        for (size_t i = 0; i < n; i++)
            below[i] = block[i] - sums.max;
        kernels->exp(below, n, block);
        lens->scale[item][from / PLENS__VOCAB_BLOCK] = plens__exp((double)sums.max - final->max);
    }
}

/* The powers of the rows that n early sites from t->first on belong to. The logits of layer L are
 * computed once more, with the bits they had: nothing of the size of the vocabulary is kept.
 * Returns how many rows there are. */
static size_t make_powers(const tile_sites *t, size_t n, const plens__matrix *tile) {
    plens__pass *pass = t->pass;
    plens__lens *lens = &pass->lens;
    size_t d = tile->n_in, first = t->first / lens->n_held;
    size_t rows = (t->first + n - 1) / lens->n_held - first + 1;
    plens__operand x = plens__pass_operand(pass, lens->final + first * d, d, rows, d);
    plens__matmul(pass->engine, tile, NULL, &x, lens->powers, PLENS__TILE_IDS);
    plens__clock_lap(pass->clock, PLENS_WORK_UNEMBED);
    plens__parallel(pass->engine, rows, power_task, (void *)t);
    return rows;
}

/* Few sites must not leave threads without work. */
static size_t group_of(const plens__engine *engine, size_t n_sites) {
    size_t group = n_sites / (GROUPS_PER_THREAD * (size_t)engine->n_threads) + 1;
    return group < MOST_GROUPED ? group : MOST_GROUPED;
}

/* Takes all early sites in hand, or all final ones, past one tile of the unembedding. */
static plens_status pass_tile(plens__pass *pass, int final, size_t n_sites,
                              const plens__matrix *tile, size_t first_id, plens_error *error) {
    plens__lens *lens = &pass->lens;
    size_t d = tile->n_in;
    const float *states = final ? lens->final : lens->early;
    tile_sites t = {pass, final, 0, 0, 0, first_id, tile->n_out};
    for (; t.first < n_sites; t.first += PLENS__LENS_ROWS) {
        size_t n = n_sites - t.first;
        if (n > PLENS__LENS_ROWS)
            n = PLENS__LENS_ROWS;
        t.n = n;
        t.group = group_of(pass->engine, n);
        size_t again = !final && lens->options->kl ? make_powers(&t, n, tile) : 0;
        plens__operand x = plens__pass_operand(pass, states + t.first * d, d, n, d);
        plens__matmul(pass->engine, tile, NULL, &x, lens->logits, PLENS__TILE_IDS);
        plens__clock_lap(pass->clock, PLENS_WORK_UNEMBED);
        plens__parallel(pass->engine, (n + t.group - 1) / t.group, reduce_task, &t);
        plens__clock_lap(pass->clock, PLENS_WORK_REDUCE);
        plens_status status = plens__pass_progress(
            pass, (double)(n + again) * (double)tile->n_out * (double)d, error);
        if (status != PLENS_OK)
            return status;
    }
    return PLENS_OK;
}

static plens_status unembed(plens__pass *pass, int final, plens_error *error) {
    const plens__lens *lens = &pass->lens;
    size_t vocab = pass->model->config.vocab_size;
    size_t n_sites = lens->rows->count * (final ? 1 : lens->n_held);
    if (n_sites == 0)
        return PLENS_OK;
    for (size_t first = 0; first < vocab; first += PLENS__TILE_IDS) {
        size_t n = vocab - first < PLENS__TILE_IDS ? vocab - first : PLENS__TILE_IDS;
        plens__matrix tile;
        plens_status status = plens__weights_unembed(&pass->weights, first, n, &tile, error);
        plens__clock_lap(pass->clock, PLENS_WORK_READ);
        if (status == PLENS_OK)
            status = pass_tile(pass, final, n_sites, &tile, first, error);
        if (status != PLENS_OK)
            return status;
    }
    return PLENS_OK;
}

/* ---- results ---- */

static float probability(const plens__lens_site *site, float logit) {
    return (float)(plens__exp((double)logit - site->max) / site->sum);
}

/* KL(f || x) = (log-sum-exp of x - the mean of x under f) - the entropy of f. */
static float divergence(const plens__lens_site *site, const plens__lens_site *final) {
    if (site == final)
        return 0;
    if (!final->finite)
        return NAN;
    double entropy = plens__log(final->sum) - final->weighted / final->sum;
    double kl = site->max + plens__log(site->sum) - site->cross / final->sum - entropy;
    return kl > 0 ? (float)kl : 0; /* rounding may take it below */
}

/* Item: a row. Fills probabilities, the ranks of top tokens, entropy and KL of its sites. */
static void finish_task(void *arg, size_t item, int thread) {
    plens__lens *lens = arg;
    (void)thread;
    for (size_t layer = 0; layer < lens->n_layers; layer++) {
        size_t index = item * lens->n_layers + layer;
        plens__lens_site *site = &lens->sites[index];
        plens_lens_token *top = lens->top + index * lens->top_k;
        if (!site->finite)
            continue;
        if (lens->component != 0 && layer < lens->n_early)
            site->sum = NAN; /* shares are no distribution, nor is what is made of their sum */
        site->entropy = (float)(plens__log(site->sum) - site->weighted / site->sum);
        if (lens->options->kl)
            site->kl = divergence(site, &lens->sites[item * lens->n_layers + lens->n_early]);
        plens__groups_finish(&lens->groups, index, site->max, site->sum);
        for (size_t i = 0; i < site->n_top; i++) {
            int tie = i > 0 && top[i].logit == top[i - 1].logit;
            top[i].prob = probability(site, top[i].logit);
            top[i].rank = tie ? top[i - 1].rank : (uint32_t)i;
        }
        lens->final_top[index].prob = probability(site, lens->final_top[index].logit);
        for (size_t e = lens->first_entry[item]; e != SIZE_MAX; e = lens->entries[e].next) {
            size_t n = lens->prompts[lens->entries[e].prompt].n_targets;
            plens_lens_token *targets = lens->targets + lens->entries[e].targets + layer * n;
            for (size_t i = 0; i < n; i++)
                targets[i].prob = probability(site, targets[i].logit);
        }
    }
}

static plens_status deliver(const plens__pass *pass, plens_error *error) {
    const plens__lens *lens = &pass->lens;
    plens_point point = lens->component == 0 ? PLENS_RESID_POST : lens->component;
    size_t n_reported = (lens->last_layer - lens->first_layer + 1) * lens->n_heads;
    for (size_t e = 0; e < lens->n_entries; e++) {
        const plens__lens_entry *entry = &lens->entries[e];
        size_t n_targets = lens->prompts[entry->prompt].n_targets;
        for (size_t at = 0; at < n_reported; at++) {
            size_t index = entry->row * lens->n_layers + at;
            const plens__lens_site *site = &lens->sites[index];
            plens_lens_result result = {entry->prompt,
                                        entry->position,
                                        lens->first_layer + at / lens->n_heads,
                                        lens->top + index * lens->top_k,
                                        site->n_top,
                                        lens->targets + entry->targets + at * n_targets,
                                        n_targets,
                                        lens->final_top[index],
                                        site->entropy,
                                        site->finite,
                                        site->kl,
                                        lens->groups.probs + index * lens->groups.n_groups,
                                        lens->groups.n_groups,
                                        point,
                                        lens->first_head + at % lens->n_heads};
            if (lens->options->fn(lens->options->user, &result) != 0)
                return plens__fail(error, PLENS_CANCELLED, "the lens function stopped the run");
        }
    }
    return PLENS_OK;
}

/* Targets, tiles and layer L's top token of the layers in hand. That token is known once layer L
 * went by the tiles, and must be when the others do. */
static plens_status take_in_hand(plens__pass *pass, int final, plens_error *error) {
    if (!final && pass->lens.n_held == 0)
        return PLENS_OK;
    plens_status status = plens__pass_targets(pass, final, error);
    if (status == PLENS_OK && final)
        status = unembed(pass, final, error);
    if (status == PLENS_OK)
        status = plens__pass_final_tops(pass, final, error);
    if (status == PLENS_OK && !final)
        status = unembed(pass, final, error);
    return status;
}

plens_status plens__pass_lens_final(plens__pass *pass, plens_error *error) {
    return pass->lens.options == NULL ? PLENS_OK : take_in_hand(pass, 1, error);
}

plens_status plens__pass_lens_held(plens__pass *pass, plens_error *error) {
    if (pass->lens.options == NULL)
        return PLENS_OK;
    plens__lens_freeze(pass);
    return take_in_hand(pass, 0, error);
}

plens_status plens__pass_lens_deliver(plens__pass *pass, plens_error *error) {
    plens__lens *lens = &pass->lens;
    if (lens->options == NULL)
        return PLENS_OK;
    plens__parallel(pass->engine, lens->rows->count, finish_task, lens);
    return deliver(pass, error);
}
