/* The reference block's attention: rotations, scores, patterns [n_heads, n, n] and what they read,
 * in float64, with what engines do otherwise. */
#include "runtime/fp.h"

#include "runtime/audit_step.h"

#include <math.h>
#include <string.h>

#include "runtime/audit_math.h"
#include "runtime/numeric.h"

/* ---- rotation ---- */

static double frequency(const plens__variant *variant, size_t i) {
    static const double two_pi = 6.283185307179586476925;
    const plens__config *config = &variant->config;
    double exponent = (double)(2 * i) / (double)variant->rope_dims;
    double f = plens__exp(-exponent * plens__log(config->rope_theta));
    if (config->rope_type == PLENS__ROPE_LINEAR)
        return f / config->rope_factor / variant->rope_stretch;
    if (config->rope_type != PLENS__ROPE_LLAMA3)
        return f / variant->rope_stretch;
    double low = config->rope_low_freq_factor, high = config->rope_high_freq_factor;
    double smooth = (config->rope_original_positions * f / two_pi - low) / (high - low);
    smooth = smooth < 0 ? 0 : smooth > 1 ? 1 : smooth;
    return ((1 - smooth) * (f / config->rope_factor) + smooth * f) / variant->rope_stretch;
}

/* Sine and cosine of pair i at a position. Exactly as Transformers has it the frequency and the
 * angle are floats; engines differ in that, so an imitated arithmetic has them exact. */
static void angle_of(const plens__step *s, size_t i, double position, double *sine,
                     double *cosine) {
    double f = frequency(s->variant, i), angle = position * f;
    if (s->arithmetic->results == PLENS__EXACT)
        angle = (double)((float)position * (float)f);
    plens__sincos(angle, sine, cosine);
    if (s->variant->rope_reversed)
        *sine = -*sine;
    *sine = plens__round_result(s, 2 * i, *sine);
    *cosine = plens__round_result(s, 2 * i + 1, *cosine);
}

static void rotate_head(const plens__step *s, double position, size_t at, double *head) {
    size_t half = s->variant->rope_dims / 2;
    int interleaved = s->variant->rope_interleaved;
    for (size_t i = 0; i < half; i++) {
        double *a = head + (interleaved ? 2 * i : i), *b = a + (interleaved ? 1 : half);
        double sine, cosine, x = *a, y = *b;
        angle_of(s, i, position, &sine, &cosine);
        at += 6;
        *a = plens__round_result(s, at,
                                 plens__round_result(s, at + 1, x * cosine) -
                                     plens__round_result(s, at + 2, y * sine));
        *b = plens__round_result(s, at + 3,
                                 plens__round_result(s, at + 4, y * cosine) +
                                     plens__round_result(s, at + 5, x * sine));
    }
}

void plens__rotate_back(const plens__config *config, double position, double *head) {
    static const plens__arithmetic exact;
    plens__variant variant = {
        .config = *config, .rope_reversed = 1, .rope_dims = config->head_dim, .rope_stretch = 1};
    plens__reference reference = {.config = config};
    plens__step s = {.reference = &reference, .variant = &variant, .arithmetic = &exact};
    rotate_head(&s, position, 0, head);
}

/* The elements of a head in another order: see permute_q. */
static void permute(int way, double *scratch, size_t head_dim, double *head) {
    size_t half = head_dim / 2;
    memcpy(scratch, head, head_dim * sizeof *head);
    for (size_t i = 0; i < 2 * half; i++) {
        size_t apart = i / 2 + (i % 2) * half;
        *(way > 0 ? &head[apart] : &head[i]) = scratch[way > 0 ? i : apart];
    }
}

/* The q/k norm where there is one, and the rotation, of all heads at position `item`. */
static void rotate_task(void *arg, size_t item, int thread) {
    plens__step s = *(plens__step *)arg;
    const plens__variant *variant = s.variant;
    size_t head_dim = s.reference->config->head_dim;
    plens__slot slot = s.is_query ? PLENS__SLOT_Q_NORM : PLENS__SLOT_K_NORM;
    double position = (double)item + (s.is_query ? variant->shift_q : variant->shift_k);
    int rotated = s.is_query ? !variant->no_rope_q : !variant->no_rope_k;
    int normed = s.weight != NULL && !(s.is_query ? variant->no_q_norm : variant->no_k_norm);
    int way = s.is_query ? variant->permute_q : variant->permute_k;
    double *scratch = s.reference->scratch + (size_t)thread * s.reference->scratch_width;
    for (size_t h = 0; h < s.n_heads; h++) {
        size_t at = (item * s.n_heads + h) * head_dim;
        double *head = s.to + at;
        memcpy(head, s.from + at, head_dim * sizeof *head);
        if (way != 0)
            permute(way, scratch, head_dim, head);
        if (normed && !variant->norm_after_rope)
            plens__norm_row(&s, slot, head, head_dim, at, head);
        if (rotated)
            rotate_head(&s, position, at, head);
        if (normed && variant->norm_after_rope)
            plens__norm_row(&s, slot, head, head_dim, at, head);
        for (size_t i = 0; i < head_dim; i++)
            head[i] = plens__round_to(s.arithmetic->operands, 0, 0, head[i]);
    }
}

static void rotate_values_task(void *arg, size_t item, int thread) {
    const plens__step *s = arg;
    const plens__config *config = s->reference->config;
    (void)thread;
    for (size_t h = 0; h < config->n_kv_heads; h++) {
        size_t at = (item * config->n_kv_heads + h) * config->head_dim;
        rotate_head(s, (double)item, at, s->trace->v + at);
    }
}

static void rotate(plens__step *s, int is_query, const double *from, double *to) {
    const plens__config *config = s->reference->config;
    s->is_query = is_query;
    const plens__block *other =
        s->variant->from[is_query ? PLENS__SLOT_Q_NORM : PLENS__SLOT_K_NORM];
    const plens__block *block = other != NULL ? other : s->reference->block;
    s->weight = is_query ? block->q_norm : block->k_norm;
    s->other = is_query ? block->k_norm : block->q_norm;
    s->norm = is_query ? s->variant->q_norm : s->variant->k_norm;
    s->eps = s->variant->qk_eps;
    s->n_heads = is_query ? config->n_heads : config->n_kv_heads;
    s->from = from;
    s->to = to;
    plens__parallel(s->reference->engine, s->reference->n, rotate_task, s);
}

void plens__step_rotate(plens__step *s) {
    rotate(s, 1, s->trace->q, s->trace->q_rotated);
    rotate(s, 0, s->trace->k, s->trace->k_rotated);
    if (s->variant->rope_v)
        plens__parallel(s->reference->engine, s->reference->n, rotate_values_task, s);
}

/* ---- attention ---- */

static size_t swapped(const plens__variant *variant, size_t head, int this_kind) {
    if (!this_kind)
        return head;
    return head == variant->swap_a   ? variant->swap_b
           : head == variant->swap_b ? variant->swap_a
                                     : head;
}

void plens__heads_of(const plens__config *config, const plens__variant *variant, size_t head,
                     size_t *query, size_t *key, size_t *value) {
    plens__swap swap = variant->swap;
    size_t group = config->n_heads / config->n_kv_heads;
    *query = swapped(variant, head, swap == PLENS__SWAP_QUERIES || swap == PLENS__SWAP_OUTPUTS);
    if (variant->roll_queries != 0)
        *query = (head + (variant->roll_queries > 0 ? 1 : config->n_heads - 1)) % config->n_heads;
    size_t served = swap == PLENS__SWAP_OUTPUTS ? *query : head;
    size_t kv = variant->kv_map == PLENS__KV_GROUPS   ? served / group
                : variant->kv_map == PLENS__KV_MODULO ? served % config->n_kv_heads
                                                      : 0;
    *key = swapped(variant, kv, swap == PLENS__SWAP_KEYS || swap == PLENS__SWAP_KEYS_VALUES);
    *value = swapped(variant, kv, swap == PLENS__SWAP_VALUES || swap == PLENS__SWAP_KEYS_VALUES);
}

void plens__visible(const plens__variant *variant, size_t n, size_t position, size_t *first,
                    size_t *end) {
    long long last = (long long)position + variant->look_ahead;
    *end = last < 0 ? 1 : last + 1 > (long long)n ? n : (size_t)last + 1;
    *first =
        variant->window > 0 && position + 1 > variant->window ? position + 1 - variant->window : 0;
    if (variant->hide_first && *first == 0 && *end > 1)
        *first = 1;
    if (*first >= *end)
        *first = *end - 1;
}

/* ALiBi [Press, Smith & Lewis 2022]; the distance's part that is the query's own is left out: the
 * softmax takes it out. */
static double alibi_slope(const plens__step *s, size_t head) {
    static const double ln2 = 0.693147180559945309417;
    double share = (double)(head + 1) / (double)s->reference->config->n_heads;
    return s->variant->alibi ? plens__exp(-8 * ln2 * share) : 0;
}

/* A pattern without softmax: scores p [n] as they are, or divided by their number. */
static void weigh_scores(const plens__step *s, double *p, size_t n) {
    double share = s->variant->weighting == PLENS__DIVIDED ? 1 / (double)n : 1;
    for (size_t j = 0; j < n; j++)
        p[j] *= share;
}

/* The pattern of one query over positions [first, end) to p [end - first]. */
static void softmax_scores(const plens__step *s, const double *q, const double *k, size_t stride,
                           size_t first, size_t end, double slope, size_t at, double *p) {
    size_t head_dim = s->reference->config->head_dim, n = end - first;
    double max = -(double)INFINITY, sum = 0;
    for (size_t j = 0; j < n; j++) {
        double score = 0;
        for (size_t i = 0; i < head_dim; i++)
            score += q[i] * k[(first + j) * stride + i];
        p[j] = plens__round_result(s, at + j,
                                   plens__round_result(s, at + j + n, score) * s->variant->scale);
        if (s->variant->score_cap > 0) /* tanh(x) = 1 - 2 / (e^(2x) + 1) */
            p[j] = s->variant->score_cap *
                   (1 - 2 / (plens__exp(2 * p[j] / s->variant->score_cap) + 1));
        p[j] += slope * (double)(first + j);
        max = p[j] > max ? p[j] : max;
    }
    if (s->variant->weighting != PLENS__SOFTMAX) {
        weigh_scores(s, p, n);
        return;
    }
    for (size_t j = 0; j < n; j++)
        sum += p[j] = plens__exp(p[j] - max);
    sum += s->variant->sink ? plens__exp(-max) : 0;
    for (size_t j = 0; j < n; j++) {
        p[j] = plens__round_result(s, at + j + 2 * n, p[j] / sum);
        p[j] = plens__round_to(s->arithmetic->operands, 0, 0, p[j]);
    }
}

/* Item: one head, all positions. */
static void attend_task(void *arg, size_t item, int thread) {
    const plens__step *s = arg;
    const plens__config *config = s->reference->config;
    size_t head_dim = config->head_dim, n = s->reference->n, first, end, query, key, value;
    size_t width = config->n_heads * head_dim, stride = config->n_kv_heads * head_dim;
    double *p = s->reference->scratch + (size_t)thread * s->reference->scratch_width;
    plens__heads_of(config, s->variant, item, &query, &key, &value);
    for (size_t t = 0; t < n; t++) {
        double *z = s->trace->z + t * width + item * head_dim;
        memset(z, 0, head_dim * sizeof *z);
        if (s->variant->silent_head == item + 1)
            continue;
        plens__visible(s->variant, n, t, &first, &end);
        softmax_scores(s, s->trace->q_rotated + t * width + query * head_dim,
                       s->trace->k_rotated + key * head_dim, stride,
                       s->variant->mask_late ? 0 : first, s->variant->mask_late ? n : end,
                       alibi_slope(s, item), (item * n + t) * n * 3, p);
        const double *weights = s->variant->mask_late ? p + first : p;
        for (size_t j = first; j < end; j++) {
            const double *v = s->trace->v + j * stride + value * head_dim;
            for (size_t i = 0; i < head_dim; i++)
                z[i] += weights[j - first] * plens__round_to(s->arithmetic->operands, 0, 0, v[i]);
        }
        for (size_t i = 0; i < head_dim; i++)
            z[i] = plens__round_to(s->arithmetic->operands, 0, 0,
                                   plens__round_result(s, t * width + i, z[i]));
    }
}

/* Keys and values as the engine keeps them, of position `item`. */
static void keep_task(void *arg, size_t item, int thread) {
    const plens__step *s = arg;
    const plens__config *config = s->reference->config;
    (void)thread;
    for (size_t h = 0; h < config->n_kv_heads; h++) {
        size_t at = (item * config->n_kv_heads + h) * config->head_dim;
        plens__keep(s->variant->k_kept, s->trace->k_rotated + at, config->head_dim);
        plens__keep(s->variant->v_kept, s->trace->v + at, config->head_dim);
    }
}

/* z [n, n_heads, head_dim] as another layout reads it; by way of reference->product. */
static void gather(const plens__step *s) {
    const plens__config *config = s->reference->config;
    size_t n = s->reference->n, heads = config->n_heads, width = heads * config->head_dim;
    double *from = s->reference->product;
    memcpy(from, s->trace->z, n * width * sizeof *from);
    for (size_t t = 0; t < n; t++) {
        for (size_t h = 0; h < heads; h++) {
            for (size_t i = 0; i < config->head_dim; i++) {
                size_t at = s->variant->gathering == PLENS__GATHER_ELEMENTS
                                ? t * width + i * heads + h
                                : (h * n + t) * config->head_dim + i;
                s->trace->z[at] = from[t * width + h * config->head_dim + i];
            }
        }
    }
}

void plens__step_attend(plens__step *s) {
    if (s->variant->k_kept != PLENS__KEPT_AS_IS || s->variant->v_kept != PLENS__KEPT_AS_IS)
        plens__parallel(s->reference->engine, s->reference->n, keep_task, s);
    plens__parallel(s->reference->engine, s->reference->config->n_heads, attend_task, s);
    if (s->variant->gathering != PLENS__GATHER_HEADS)
        gather(s);
}
