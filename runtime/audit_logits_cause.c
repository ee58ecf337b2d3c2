/* What is wrong with the logits: ways of making them that engines have. */
#include "runtime/fp.h"

#include "runtime/audit_logits.h"

#include <math.h>
#include <stdio.h>

#include "runtime/numeric.h"

/* A cause leaves of the squared departure no more than this share, or what rounding makes of it,
 * which in 16 bits is more. */
#define LEFT          1e-6
#define LEFT_ROUNDING 0.02

static int is_little(const plens__audit *a, const plens__logits_sums *s, double left) {
    double limit = plens__noise_limit(a->model->config.vocab_size);
    double rounding = limit * limit * (s->rounding + s->found_rounding);
    return left < LEFT * s->departed || (left < LEFT_ROUNDING * s->departed && left < rounding);
}

/* 1 if what departs is a constant of each position. */
static int is_constant(const plens__audit *a, const plens__logits_sums *s) {
    double vocab = (double)a->model->config.vocab_size, left = 0;
    for (size_t t = 0; t < a->states->n_ids; t++)
        left += s->departed_at[t] - s->shift_at[t] * s->shift_at[t] / vocab;
    return is_little(a, s, left);
}

/* 1 if what is found at each position is not negative and sums to 1. */
static int is_distribution(const plens__audit *a, const plens__logits_sums *s) {
    size_t n = a->states->n_ids, t = 0;
    while (t < n && fabs(s->sum_at[t] - 1) < 0.01)
        t++;
    return s->smallest >= 0 && t == n;
}

/* What logits are that are no logits. */
static const char *other_than_logits(const plens__audit *a, const plens__logits_sums *s) {
    return is_constant(a, s)       ? "a constant is added to all logits of a position: are they "
                                     "log-probabilities?"
           : is_distribution(a, s) ? "they are probabilities, after the softmax"
           : a->states->n_ids > 1 && is_little(a, s, s->varied)
               ? "the same is added at all positions: a bias"
               : NULL;
}

/* Few ids are rows of the unembedding; one factor for all is told too. */
static void explain_ids(const plens__audit *a, const plens__logits_sums *s,
                        plens__finding *finding) {
    size_t vocab = a->model->config.vocab_size;
    char factor[PLENS__NUMBER_TEXT];
    double scale = s->alike / (s->size > 0 ? s->size : 1);
    double left = s->departed - (scale - 1) * (scale - 1) * s->size;
    const char *other = other_than_logits(a, s);
    if (other != NULL)
        plens__explain(finding, "%s", other);
    else if (s->n_wrong > 0 && s->n_wrong <= 1 + vocab / 50)
        plens__explain(finding,
                       "the logits of %zu of %zu token ids, the first is %zu: its row of %s",
                       s->n_wrong, vocab, s->first_wrong,
                       a->model->config.tied_embeddings ? "the tied embedding" : "lm_head.weight");
    else if (left < 1e-4 * s->departed || is_little(a, s, left))
        plens__explain(finding, "the logits are multiplied by %s",
                       plens__show_number(scale, factor));
    else
        snprintf(finding->text, sizeof finding->text, "%zu of %zu token ids", s->n_wrong, vocab);
}

/* A state that is normed already tells of one mistake only: that it is normed again. */
static plens_status try_norm_again(plens__audit *a, plens__finding *finding, plens_error *error) {
    plens__logits_way way = plens__logits_way_of_model(a);
    way.normed = 0;
    return plens__try_logits(a, &way, "the final norm is applied twice", finding, error);
}

static plens_status try_norms(plens__audit *a, plens__finding *finding, plens_error *error) {
    plens__logits_way way = plens__logits_way_of_model(a), wrong = way;
    char text[PLENS__NORM_MISTAKE_TEXT];
    plens_status status = PLENS_OK;
    for (size_t i = 0; status == PLENS_OK && !finding->explained &&
                       plens__norm_mistake(i, way.eps, &wrong.kind, &wrong.eps, text);
         i++)
        status = plens__try_logits(a, &wrong, text, finding, error);
    if (status != PLENS_OK || finding->explained)
        return status;
    plens_audit_row row;
    plens__logits_sums sums; /* again: what the trials left is another way's */
    status = plens__run_logits(a, &way, &row, &sums, error);
    if (status != PLENS_OK)
        return status;
    return plens__explain_norm_by_logits(a, &way, sums.alike_at, sums.size_at, finding, error);
}

typedef struct cap_search {
    double made, found, cap;
} cap_search;

/* cap * tanh(made / cap) = found: tanh(u) / u falls from 1 as u = made / cap grows. */
static void find_cap_task(void *arg, size_t item, int thread) {
    cap_search *s = arg;
    double low = 1e-3, high = 1e3, share = s->found / s->made;
    (void)item;
    (void)thread;
    for (int i = 0; i < 100; i++) {
        double u = 0.5 * (low + high), tanh_u = 1 - 2 / (plens__exp(2 * u) + 1);
        *(tanh_u > share * u ? &low : &high) = u;
    }
    s->cap = fabs(s->made) / low;
}

/* A cap is a round number, or what the largest logit says. */
static plens_status try_caps(plens__audit *a, const plens__logits_sums *model,
                             plens__finding *finding, plens_error *error) {
    cap_search search = {model->largest, model->largest_found, 0};
    char text[96], shown[PLENS__NUMBER_TEXT];
    plens__logits_way way = plens__logits_way_of_model(a);
    if (!(search.found / search.made > 0.01 && search.found / search.made < 0.9999))
        return PLENS_OK;
    plens__guarded(find_cap_task, &search);
    double half = 0.5 * floor(2 * search.cap + 0.5);
    for (int i = 0; i < 2 && !finding->explained; i++) {
        way.cap = i == 0 ? half : search.cap;
        if (!(way.cap > 0))
            continue;
        snprintf(text, sizeof text, "the logits are capped: %s tanh(logits / %s)",
                 plens__show_number(way.cap, shown), shown);
        plens_status status = plens__try_logits(a, &way, text, finding, error);
        if (status != PLENS_OK)
            return status;
    }
    return PLENS_OK;
}

static plens_status try_rows(plens__audit *a, plens__finding *finding, plens_error *error) {
    static const struct {
        int shift, tied, later;
        const char *text;
    } ways[] = {
        {0, 1, 0, "the embedding is used in place of lm_head.weight"},
        {1, 0, 0, "each token id has the row of the id before it"},
        {-1, 0, 0, "each token id has the row of the id after it"},
        {0, 0, -1, "each position has the logits of the position before it"},
        {0, 0, 1, "each position has the logits of the position after it"},
    };
    const plens__layout *layout = &a->model->layout;
    plens_status status = PLENS_OK;
    for (size_t i = 0; i < sizeof ways / sizeof *ways && !finding->explained; i++) {
        plens__logits_way way = plens__logits_way_of_model(a);
        way.shift = ways[i].shift;
        way.tied = ways[i].tied;
        way.later = ways[i].later;
        if (way.later != 0 && a->states->n_ids < 2)
            continue;
        if (way.tied &&
            (layout->embed == layout->unembed || layout->embed->dtype != layout->unembed->dtype))
            continue;
        status = plens__try_logits(a, &way, ways[i].text, finding, error);
        if (status != PLENS_OK)
            break;
    }
    return status;
}

plens_status plens__explain_logits(plens__audit *a, plens__finding *finding, int *at_norm,
                                   plens_error *error) {
    plens_audit_row row;
    plens__logits_sums found;
    plens__logits_way way = plens__logits_way_of_model(a);
    *finding = (plens__finding){.part = ""};
    *at_norm = 0;
    plens_status status = plens__run_logits(a, &way, &row, &found, error);
    if (status == PLENS_OK)
        explain_ids(a, &found, finding);
    if (status == PLENS_OK && !finding->explained) {
        status = (way.normed ? try_norm_again : try_norms)(a, finding, error);
        *at_norm = finding->explained && !way.normed;
    }
    if (status == PLENS_OK && !finding->explained)
        status = try_rows(a, finding, error);
    if (status == PLENS_OK && !finding->explained)
        status = try_caps(a, &found, finding, error);
    if (status == PLENS_OK && !finding->explained && !way.normed)
        plens__append(finding->text, sizeof finding->text,
                      "; the final norm could explain it as well");
    return status;
}
