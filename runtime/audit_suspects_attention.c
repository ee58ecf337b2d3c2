/* The list's groups within attention: the scale, the rotary embedding, masks, heads. */
#include "runtime/fp.h"

#include "runtime/audit_suspects.h"

#include <math.h>
#include <stdio.h>

plens__answer plens__suspect_scales(const plens__case *c, size_t i, plens__suspect *s) {
    const plens__config *config = c->reference.config;
    double head = (double)config->head_dim, d = (double)config->d_model;
    const double values[] = {1,
                             1 / head,
                             1 / sqrt(d),
                             sqrt(head),
                             1 / sqrt(d / (double)config->n_heads),
                             1 / sqrt(2 * head),
                             1 / sqrt(head / 2)};
    static const char *const names[] = {"missing",
                                        "1/head_dim",
                                        "1/sqrt(d_model)",
                                        "sqrt(head_dim)",
                                        "1/sqrt(d_model/n_heads)",
                                        "1/sqrt(2 head_dim)",
                                        "1/sqrt(head_dim/2)"};
    char text[96];
    if (i >= sizeof values / sizeof *values)
        return PLENS__NO_MORE;
    if (fabs(values[i] / s->variant.scale - 1) < 1e-6)
        return PLENS__NOT_HERE;
    s->variant.scale = values[i];
    snprintf(text, sizeof text, "the attention scale is %s, expected 1/sqrt(head_dim)", names[i]);
    return plens__suspect_put(s, PLENS__PART_ATTENTION, text);
}

/* Part of a head rotated; positions divided; Llama 3's scaling for another context. */
static plens__answer stretched(const plens__config *model, size_t i, plens__suspect *s) {
    static const double divisors[] = {4, 8, 2, 0.5}, contexts[] = {8192, 4096, 2048};
    char text[128], shown[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT];
    plens__config *config = &s->variant.config;
    if (i < 2) {
        size_t share = i == 0 ? 2 : 4;
        if (config->head_dim % (2 * share) != 0)
            return PLENS__NOT_HERE;
        s->variant.rope_dims = config->head_dim / share;
        snprintf(text, sizeof text, "only the first %zu of a head's %zu dimensions are rotated",
                 s->variant.rope_dims, config->head_dim);
    } else if (i < 6) {
        s->variant.rope_stretch = divisors[i - 2];
        snprintf(text, sizeof text,
                 "positions are divided by %s before the rotation (linear scaling)",
                 plens__show_number(divisors[i - 2], shown));
    } else if (i < 9) {
        if (model->rope_type != PLENS__ROPE_LLAMA3 ||
            contexts[i - 6] == model->rope_original_positions)
            return PLENS__NOT_HERE;
        config->rope_original_positions = contexts[i - 6];
        snprintf(text, sizeof text,
                 "the rotary embedding's original_max_position_embeddings is %s, expected %s",
                 plens__show_number(contexts[i - 6], shown),
                 plens__show_number(model->rope_original_positions, expected));
    } else {
        return PLENS__NO_MORE;
    }
    return plens__suspect_put(s, PLENS__PART_ATTENTION, text);
}

plens__answer plens__suspect_rotations(const plens__case *c, size_t i, plens__suspect *s) {
    static const double bases[] = {10000, 1e6, 500000, 100000, 1e7, 5e6, 1000, 8e6};
    static const char *const names[] = {
        "the rotary embedding is missing",
        "queries are not rotated",
        "keys are not rotated",
        "the rotary embedding pairs neighbours (2i, 2i + 1), expected halves (i, i + head_dim/2)",
        "the rotary embedding turns the wrong way",
        "the rotary embedding's scaling is missing",
        "the rotary embedding's frequencies are all divided by the factor (linear scaling)",
        "the values are rotated too",
        "the rows of q_proj are permuted (even ones of a head, then odd ones)",
        "the rows of q_proj are permuted (a head's first half to even places)",
        "the rows of k_proj are permuted (even ones of a head, then odd ones)",
        "the rows of k_proj are permuted (a head's first half to even places)",
        "the rows of q_proj and k_proj are permuted (a head's first half to even places)"};
    char text[192], shown[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT];
    plens__config *config = &s->variant.config;
    int scaled = c->reference.config->rope_type != PLENS__ROPE_DEFAULT;
    if (i < 13) {
        s->variant.no_rope_q = i == 0 || i == 1;
        s->variant.no_rope_k = i == 0 || i == 2;
        s->variant.rope_interleaved = i == 3;
        s->variant.rope_reversed = i == 4;
        s->variant.rope_v = i == 7;
        s->variant.permute_q = i == 8 ? 1 : i == 9 || i == 12 ? -1 : 0;
        s->variant.permute_k = i == 10 ? 1 : i == 11 || i == 12 ? -1 : 0;
        if (i == 5 || i == 6)
            config->rope_type = i == 5 ? PLENS__ROPE_DEFAULT : PLENS__ROPE_LINEAR;
        if ((i == 5 || i == 6) && (!scaled || config->rope_type == c->reference.config->rope_type))
            return PLENS__NOT_HERE;
        return plens__suspect_put(s, PLENS__PART_ATTENTION, names[i]);
    }
    i -= 13;
    size_t n_bases = sizeof bases / sizeof *bases;
    if (i >= 2 * n_bases)
        return stretched(c->reference.config, i - 2 * n_bases, s);
    double base = bases[i % n_bases];
    int unscaled = i >= n_bases;
    if (base == config->rope_theta || (unscaled && !scaled))
        return PLENS__NOT_HERE;
    snprintf(text, sizeof text, "the rotary embedding's base (rope theta) is %s, expected %s%s",
             plens__show_number(base, shown), plens__show_number(config->rope_theta, expected),
             unscaled ? ", and its scaling is missing" : "");
    config->rope_theta = base;
    if (unscaled)
        config->rope_type = PLENS__ROPE_DEFAULT;
    return plens__suspect_put(s, PLENS__PART_ATTENTION, text);
}

plens__answer plens__suspect_positions(const plens__case *c, size_t i, plens__suspect *s) {
    static const int shifts[] = {1, -1, 2, -2};
    char text[128];
    (void)c;
    if (i < 4) {
        s->variant.shift_q = shifts[i];
        snprintf(text, sizeof text,
                 "positions off by %s in the queries only (q %+d; or k %+d, which is the same)",
                 i < 2 ? "one" : "two", shifts[i], -shifts[i]);
        return plens__suspect_put(s, PLENS__PART_ATTENTION, text);
    }
    return PLENS__NO_MORE;
}

plens__answer plens__suspect_masks(const plens__case *c, size_t i, plens__suspect *s) {
    size_t n = c->reference.n, window = s->variant.window;
    char text[112];
    if (i < 9) {
        static const char *const names[] = {
            "the softmax is taken before the causal mask, over later positions too",
            "the first position is hidden from all others (taken for padding)",
            "the softmax's denominator has a term too many (a sink of score 0)",
            "the scores are capped at 50 before the softmax",
            "the scores are capped at 30 before the softmax",
            "scores fall with the distance (ALiBi), besides the rotation",
            "scores fall with the distance (ALiBi), in place of the rotary embedding",
            "the softmax is missing: scores are divided by their number",
            "the softmax is missing: values are multiplied by the scores"};
        s->variant.mask_late = i == 0;
        s->variant.hide_first = i == 1;
        s->variant.sink = i == 2;
        s->variant.score_cap = i == 3 ? 50 : i == 4 ? 30 : 0;
        s->variant.alibi = i == 5 || i == 6;
        s->variant.no_rope_q = s->variant.no_rope_k = i == 6;
        s->variant.weighting = i == 7 ? PLENS__DIVIDED : i == 8 ? PLENS__SCORES : PLENS__SOFTMAX;
        return plens__suspect_put(s, PLENS__PART_ATTENTION, names[i]);
    }
    i -= 9;
    if (i < 3) {
        static const char *const names[] = {"the causal mask is missing",
                                            "the causal mask lets one later position through",
                                            "the causal mask hides the position itself"};
        s->variant.look_ahead = i == 0 ? (int)n : i == 1 ? 1 : -1;
        return plens__suspect_put(s, PLENS__PART_ATTENTION, names[i]);
    }
    if (i == 3) {
        if (window == 0)
            return PLENS__NOT_HERE;
        s->variant.window = 0;
        return plens__suspect_put(s, PLENS__PART_ATTENTION, "the sliding window is ignored");
    }
    if (i - 4 >= (n < 96 ? n : 96))
        return PLENS__NO_MORE;
    size_t found = window == 0 ? i - 3 : i - 4 < 2 ? window + 1 - 2 * (i - 4) : i - 5;
    int again = i - 4 >= 2 && (found == window + 1 || found + 1 == window);
    if (found == 0 || found == window || (window != 0 && again) || (window == 0 && found >= n))
        return PLENS__NOT_HERE;
    s->variant.window = found;
    if (window == 0)
        snprintf(text, sizeof text, "a sliding window of %zu positions is applied, expected none",
                 found);
    else
        snprintf(text, sizeof text, "the sliding window is %zu positions, expected %zu", found,
                 window);
    return plens__suspect_put(s, PLENS__PART_ATTENTION, text);
}

/* Keys and values in fewer bits than the states. */
plens__answer plens__suspect_caches(const plens__case *c, size_t i, plens__suspect *s) {
    static const struct {
        plens__keeping kept;
        const char *text;
    } ways[] = {
        {PLENS__KEPT_IN_8_BITS_A_ROW, "kept in 8 bits, one scale for a head at a position"},
        {PLENS__KEPT_IN_8_BITS_OF_32, "kept in 8 bits, one scale for 32 numbers of a head"},
        {PLENS__KEPT_IN_HALF, "rounded to f16"},
        {PLENS__KEPT_IN_BFLOAT, "rounded to bf16"},
        {PLENS__KEPT_CUT_TO_BFLOAT, "cut to bf16"},
    };
    static const char *const whose[] = {"keys and values are", "keys are", "values are"};
    char text[96];
    size_t way = i / 3, which = i % 3;
    if (way >= sizeof ways / sizeof *ways)
        return PLENS__NO_MORE;
    if (way >= 2 && c->arithmetic->operands != PLENS__FLOAT)
        return PLENS__NOT_HERE;
    s->variant.k_kept = which != 2 ? ways[way].kept : PLENS__KEPT_AS_IS;
    s->variant.v_kept = which != 1 ? ways[way].kept : PLENS__KEPT_AS_IS;
    snprintf(text, sizeof text, "%s %s", whose[which], ways[way].text);
    return plens__suspect_put(s, PLENS__PART_ATTENTION, text);
}

/* Heads that are all in the wrong place. */
#define N_LAYOUTS 6

static plens__answer layouts(const plens__config *config, size_t i, plens__suspect *s) {
    static const char *const texts[N_LAYOUTS] = {
        "query head h uses key/value head h mod n_kv_heads, expected h / (n_heads / n_kv_heads)",
        "all query heads use key/value head 0, expected h / (n_heads / n_kv_heads)",
        "each head has the query of the head after it",
        "each head has the query of the head before it",
        "the heads' outputs lie as [head_dim, n_heads], expected the layout [n_heads, head_dim]",
        "the heads' outputs are not transposed: their layout is [n_heads, T, head_dim]"};
    if ((i == 0 && config->n_kv_heads == config->n_heads) || (i < 2 && config->n_kv_heads == 1) ||
        config->n_heads == 1)
        return PLENS__NOT_HERE;
    s->variant.kv_map = i == 0 ? PLENS__KV_MODULO : i == 1 ? PLENS__KV_FIRST : PLENS__KV_GROUPS;
    s->variant.roll_queries = i == 2 ? 1 : i == 3 ? -1 : 0;
    s->variant.gathering = i == 4   ? PLENS__GATHER_ELEMENTS
                           : i == 5 ? PLENS__GATHER_NOTHING
                                    : PLENS__GATHER_HEADS;
    return plens__suspect_put(s, PLENS__PART_ATTENTION, texts[i]);
}

/* All pairs of heads, for each way of swapping them. */
plens__answer plens__suspect_heads(const plens__case *c, size_t i, plens__suspect *s) {
    static const struct {
        plens__swap swap;
        const char *what;
    } ways[] = {{PLENS__SWAP_OUTPUTS, "heads"},
                {PLENS__SWAP_QUERIES, "query heads"},
                {PLENS__SWAP_KEYS_VALUES, "key and value heads"},
                {PLENS__SWAP_KEYS, "key heads"},
                {PLENS__SWAP_VALUES, "value heads"}};
    const plens__config *config = c->reference.config;
    char text[96];
    if (i < N_LAYOUTS)
        return layouts(config, i, s);
    i -= N_LAYOUTS;
    if (i < config->n_heads) {
        s->variant.silent_head = i + 1;
        snprintf(text, sizeof text, "the output of head %zu is missing", i);
        return plens__suspect_put(s, PLENS__PART_ATTENTION, text);
    }
    i -= config->n_heads;
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        size_t n = w < 2 ? config->n_heads : config->n_kv_heads, n_pairs = n * (n - 1) / 2;
        if (n > 16)
            n_pairs = n - 1; /* neighbours only */
        if (i >= n_pairs) {
            i -= n_pairs;
            continue;
        }
        size_t a = 0;
        for (; n <= 16 && i >= n - 1 - a; a++)
            i -= n - 1 - a;
        s->variant.swap = ways[w].swap;
        s->variant.swap_a = n <= 16 ? a : i;
        s->variant.swap_b = n <= 16 ? a + 1 + i : i + 1;
        snprintf(text, sizeof text, "%s %zu and %zu are swapped", ways[w].what, s->variant.swap_a,
                 s->variant.swap_b);
        return plens__suspect_put(s, PLENS__PART_ATTENTION, text);
    }
    return PLENS__NO_MORE;
}
