/* The score of persona consistency, and shares of the layers in exact decimals. */
#include "runtime/fp.h"

#include "loaders/base.h"
#include "runtime/engine.h"

/* Digits with at most one point: 0 if it is anything else, or longer than plens.h allows. */
static int parse_decimal(const char *text, plens_ratio *ratio) {
    plens_ratio value = {0, 1};
    int digits = 0, decimals = -1;
    for (const char *c = text; *c != 0; c++) {
        if (*c == '.' && decimals < 0) {
            decimals = 0;
        } else if (*c >= '0' && *c <= '9' && digits < 18 && decimals < 9) {
            value.numerator = value.numerator * 10 + (uint64_t)(*c - '0');
            value.denominator *= decimals >= 0 ? 10 : 1;
            decimals += decimals >= 0;
            digits++;
        } else {
            return 0;
        }
    }
    *ratio = value;
    return digits > 0;
}

plens_status plens_ratio_parse(const char *text, plens_ratio *ratio, plens_error *error) {
    plens_ratio value;
    if (text == NULL || ratio == NULL)
        return plens__fail_null(error, "plens_ratio_parse");
    if (!parse_decimal(text, &value) || value.numerator == 0 || value.numerator > value.denominator)
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "expected a share of the layers above 0 and up to 1 with at most 9 "
                           "decimals, found \"%s\"",
                           text);
    *ratio = value;
    return PLENS_OK;
}

size_t plens_ratio_layers(plens_ratio ratio, size_t n_layers) {
    /* L = q d + r: floor(L n / d) = q n + floor(r n / d), where r n < d^2 <= 10^18. */
    uint64_t whole = n_layers / ratio.denominator, rest = n_layers % ratio.denominator;
    return (size_t)(whole * ratio.numerator + rest * ratio.numerator / ratio.denominator);
}

typedef struct score_sum {
    const int32_t *top_ids, *gold_ids;
    const float *top_probs;
    size_t n_layers, n_counted, n_gold;
    double score;
} score_sum;

static void score_task(void *arg, size_t item, int thread) {
    score_sum *s = arg;
    size_t first = s->n_counted < s->n_layers ? s->n_layers - s->n_counted + 1 : 1;
    (void)item;
    (void)thread;
    for (size_t l = first; l <= s->n_layers; l++) {
        int hit = 0;
        for (size_t g = 0; g < s->n_gold; g++)
            hit |= s->top_ids[l - 1] == s->gold_ids[g];
        double weight = 1 - (double)(l - 1) / (double)s->n_layers;
        if (hit)
            s->score = s->score + (double)s->top_probs[l - 1] * weight;
    }
}

double plens_score(const int32_t *top_ids, const float *top_probs, size_t n_layers,
                   size_t n_counted, const int32_t *gold_ids, size_t n_gold) {
    score_sum sum = {top_ids, gold_ids, top_probs, n_layers, n_counted, n_gold, 0};
    plens__guarded(score_task, &sum);
    return sum.score;
}
