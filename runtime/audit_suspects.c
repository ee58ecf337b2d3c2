/* The list. Each group hands out its suspects by number; the order is the order of preference when
 * several explain a departure equally well. */
#include "runtime/fp.h"

#include "runtime/audit_suspects.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

plens__answer plens__suspect_put(plens__suspect *s, const char *part, const char *text) {
    s->part = part;
    s->mlp_only = strcmp(part, PLENS__PART_MLP) == 0;
    snprintf(s->text, sizeof s->text, "%s", text);
    return PLENS__HERE;
}

static const plens__linear *linear(const plens__case *c, size_t slot) {
    const plens__block *b = c->reference.block;
    const plens__linear *all[] = {&b->q, &b->k, &b->v, &b->o, &b->gate, &b->up, &b->down};
    return all[slot];
}

static int same_shape(const plens__case *c, size_t a, size_t b) {
    return linear(c, a)->matrix.n_in == linear(c, b)->matrix.n_in &&
           linear(c, a)->matrix.n_out == linear(c, b)->matrix.n_out;
}

/* Biases left out, added twice, or subtracted. */
static plens__answer biases(const plens__case *c, size_t i, plens__suspect *s) {
    static const double factors[] = {0, 2, -1};
    static const char *const ways[] = {"missing", "added twice", "subtracted"};
    static const char *const groups[] = {"q, k and v", "q, k, v and o", "gate, up and down",
                                         "q and k", "all"};
    static const int first[] = {0, 0, 4, 0, 0}, last[] = {2, 3, 6, 1, 6};
    size_t n_each = PLENS__N_LINEAR + sizeof first / sizeof *first, way = i / n_each;
    char text[96];
    if (i == 3 * n_each) {
        if (linear(c, PLENS__SLOT_K)->bias == NULL || linear(c, PLENS__SLOT_V)->bias == NULL)
            return PLENS__NOT_HERE;
        s->variant.exchange_biases = 1;
        return plens__suspect_put(s, PLENS__PART_ATTENTION,
                                  "the bias of k_proj and the bias of v_proj are exchanged");
    }
    i %= n_each;
    if (way >= 3)
        return PLENS__NO_MORE;
    if (i < PLENS__N_LINEAR) {
        if (linear(c, i)->bias == NULL)
            return PLENS__NOT_HERE;
        s->variant.bias[i] = factors[way];
        snprintf(text, sizeof text, "the bias of %.*s is %s",
                 (int)strcspn(plens__slot_name((plens__slot)i), "."),
                 plens__slot_name((plens__slot)i), ways[way]);
        return plens__suspect_put(s, plens__slot_part((plens__slot)i), text);
    }
    size_t g = i - PLENS__N_LINEAR;
    for (int slot = first[g]; slot <= last[g]; slot++) {
        if (linear(c, (size_t)slot)->bias == NULL && g != 4)
            return PLENS__NOT_HERE;
        s->variant.bias[slot] = factors[way];
    }
    if (g == 4 && (linear(c, 0)->bias == NULL || linear(c, 6)->bias == NULL))
        return PLENS__NOT_HERE;
    snprintf(text, sizeof text, "the biases of %s are %s", groups[g], ways[way]);
    return plens__suspect_put(s,
                              g == 2   ? PLENS__PART_MLP
                              : g == 4 ? PLENS__PART_BOTH
                                       : PLENS__PART_ATTENTION,
                              text);
}

static plens__answer epsilons(const plens__case *c, size_t i, plens__suspect *s) {
    static const double values[] = {1e-6, 1e-5, 1e-12, 0, 1e-8, 1e-7, 1e-4, 1e-3};
    static const char *const names[] = {"the attention norm (input_layernorm)",
                                        "the MLP norm (post_attention_layernorm)", "both norms",
                                        "the q and k norms", "all norms"};
    static const char *const parts[] = {PLENS__PART_ATTENTION, PLENS__PART_MLP, PLENS__PART_BOTH,
                                        PLENS__PART_ATTENTION, PLENS__PART_BOTH};
    size_t which = i / (sizeof values / sizeof *values);
    double value = values[i % (sizeof values / sizeof *values)], config = s->variant.attn_eps;
    char text[160], shown[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT];
    if (which >= 5)
        return PLENS__NO_MORE;
    if (fabs(value - config) <= 1e-6 * config || (which > 2 && c->reference.block->q_norm == NULL))
        return PLENS__NOT_HERE;
    if (which == 0 || which == 2 || which == 4)
        s->variant.attn_eps = value;
    if (which == 1 || which == 2 || which == 4)
        s->variant.mlp_eps = value;
    if (which >= 3)
        s->variant.qk_eps = value;
    snprintf(text, sizeof text, "the epsilon of %s is %s, expected %s", names[which],
             plens__show_number(value, shown), plens__show_number(config, expected));
    return plens__suspect_put(s, parts[which], text);
}

static plens__answer activations(const plens__case *c, size_t i, plens__suspect *s) {
    static const plens__activation kinds[] = {PLENS__GELU, PLENS__GELU_TANH,  PLENS__GELU_QUICK,
                                              PLENS__RELU, PLENS__SIGMOID,    PLENS__RELU_SQUARED,
                                              PLENS__TANH, PLENS__HARD_SWISH, PLENS__IDENTITY};
    static const char *const names[] = {"gelu",
                                        "gelu (tanh approximation)",
                                        "gelu (sigmoid approximation)",
                                        "relu",
                                        "a sigmoid",
                                        "the square of relu",
                                        "tanh",
                                        "hard swish",
                                        "missing"};
    char text[96];
    (void)c;
    if (i == 0) {
        s->variant.matrix[PLENS__SLOT_GATE] = PLENS__SLOT_UP;
        s->variant.matrix[PLENS__SLOT_UP] = PLENS__SLOT_GATE;
        return plens__suspect_put(s, PLENS__PART_MLP,
                                  "gate_proj and up_proj are swapped (the activation is on up)");
    }
    if (i > sizeof kinds / sizeof *kinds) {
        i -= 1 + sizeof kinds / sizeof *kinds;
        s->variant.no_up = 1;
        s->variant.matrix[PLENS__SLOT_GATE] = i == 0 ? PLENS__SLOT_GATE : PLENS__SLOT_UP;
        if (i >= 2)
            return PLENS__NO_MORE;
        return plens__suspect_put(s, PLENS__PART_MLP,
                                  i == 0 ? "up_proj is missing: the MLP is down(silu(gate))"
                                         : "gate_proj is missing: the MLP is down(silu(up))");
    }
    s->variant.activation = kinds[i - 1];
    snprintf(text, sizeof text, "the activation is %s, expected silu", names[i - 1]);
    return plens__suspect_put(s, PLENS__PART_MLP, text);
}

static plens__answer norms(const plens__case *c, size_t i, plens__suspect *s) {
    static const plens__norm_kind kinds[] = {
        PLENS__NORM_NO_WEIGHT, PLENS__NORM_NONE, PLENS__NORM_WEIGHT_PLUS_ONE,
        PLENS__NORM_OTHER,     PLENS__NORM_MEAN, PLENS__NORM_SUM};
    static const char *const names[] = {
        "weight is missing",
        "itself is missing",
        "weight is used as 1 + weight",
        "weight is that of the block's other norm",
        "subtracts the mean (LayerNorm)",
        "divides by the root of the sum of squares, expected of their mean"};
    char text[128];
    if (i < 18) {
        size_t where = i % 3;
        if (where != 1)
            s->variant.attn_norm = kinds[i / 3];
        if (where != 0)
            s->variant.mlp_norm = kinds[i / 3];
        snprintf(text, sizeof text, "the %s %s",
                 where == 0   ? "attention norm (input_layernorm)"
                 : where == 1 ? "MLP norm (post_attention_layernorm)"
                              : "attention norm's and MLP norm's",
                 names[i / 3]);
        return plens__suspect_put(s,
                                  where == 0   ? PLENS__PART_ATTENTION
                                  : where == 1 ? PLENS__PART_MLP
                                               : PLENS__PART_BOTH,
                                  text);
    }
    static const char *const qk[] = {"the norm of queries and keys is missing",
                                     "the norm of queries is missing",
                                     "the norm of keys is missing",
                                     "the norm of queries and keys comes after the rotation",
                                     "the weights of the norms of queries and keys are missing",
                                     "the weight of the norm of queries (q_norm) is missing",
                                     "the weight of the norm of keys (k_norm) is missing",
                                     "q_norm.weight and k_norm.weight are exchanged"};
    i -= 18;
    if (i >= 8)
        return PLENS__NO_MORE;
    if (c->reference.block->q_norm == NULL)
        return PLENS__NOT_HERE;
    s->variant.no_q_norm = i == 0 || i == 1;
    s->variant.no_k_norm = i == 0 || i == 2;
    s->variant.norm_after_rope = i == 3;
    plens__norm_kind kind = i == 7 ? PLENS__NORM_OTHER : PLENS__NORM_NO_WEIGHT;
    s->variant.q_norm = i == 4 || i == 5 || i == 7 ? kind : PLENS__NORM_RMS;
    s->variant.k_norm = i == 4 || i == 6 || i == 7 ? kind : PLENS__NORM_RMS;
    return plens__suspect_put(s, PLENS__PART_ATTENTION, qk[i]);
}

static plens__answer residuals(const plens__case *c, size_t i, plens__suspect *s) {
    static const char *const names[] = {
        "attention is missing (nothing is added)",
        "the MLP is missing (nothing is added)",
        "the residual connection around attention is missing",
        "the residual connection around the MLP is missing",
        "the MLP reads the block's input, expected what attention made of it",
        "the whole block is missing",
        "attention is added twice",
        "the MLP is added twice",
        "the block is applied twice",
        "the residual connection around attention carries the norm's output",
        "the residual connection around the MLP carries the norm's output",
        "each position has the output of the position before it",
        "each position has the output of the position after it",
    };
    if (i >= sizeof names / sizeof *names)
        return PLENS__NO_MORE;
    if (i >= 11 && c->reference.n < 2)
        return PLENS__NOT_HERE;
    plens__variant *v = &s->variant;
    v->attn_out = i == 0 || i == 5 ? 0 : i == 6 ? 2 : 1;
    v->mlp_out = i == 1 || i == 5 ? 0 : i == 7 ? 2 : 1;
    v->skip_attn = i != 2;
    v->skip_mlp = i != 3;
    v->parallel_mlp = i == 4;
    v->twice = i == 8;
    v->carry_attn = i == 9;
    v->carry_mlp = i == 10;
    v->later = i == 11 ? -1 : i == 12 ? 1 : 0;
    int in_mlp = i == 1 || i == 3 || i == 4 || i == 7 || i == 10;
    return plens__suspect_put(s,
                              i == 5 || i == 8 || i >= 11 ? PLENS__PART_BOTH
                              : in_mlp                    ? PLENS__PART_MLP
                                                          : PLENS__PART_ATTENTION,
                              names[i]);
}

static plens__answer matrices(const plens__case *c, size_t i, plens__suspect *s) {
    static const int pairs[][2] = {{0, 1}, {1, 2}, {0, 2}, {0, 3}, {1, 3}, {2, 3}};
    char text[96];
    if (i < 4 * PLENS__N_LINEAR) {
        size_t slot = i % PLENS__N_LINEAR, way = i / PLENS__N_LINEAR;
        int square = linear(c, slot)->matrix.n_in == linear(c, slot)->matrix.n_out;
        static const char *const ways[] = {"is transposed", "is negated",
                                           "has each row in the next one's place",
                                           "has each row in the place of the one before"};
        s->variant.transposed[slot] = way == 0;
        s->variant.factor[slot] = way == 1 ? -1 : 1;
        s->variant.shift[slot] = way == 2 ? 1 : way == 3 ? -1 : 0;
        snprintf(text, sizeof text, "%s %s%s", plens__slot_name((plens__slot)slot), ways[way],
                 way == 0 && !square ? " (read column by column)" : "");
        return plens__suspect_put(s, plens__slot_part((plens__slot)slot), text);
    }
    i -= 4 * PLENS__N_LINEAR;
    if (i < 6 * 3) {
        int a = pairs[i / 3][0], b = pairs[i / 3][1];
        if (!same_shape(c, (size_t)a, (size_t)b))
            return PLENS__NOT_HERE;
        if (i % 3 != 1)
            s->variant.matrix[a] = (plens__slot)b;
        if (i % 3 != 2)
            s->variant.matrix[b] = (plens__slot)a;
        snprintf(text, sizeof text,
                 i % 3 == 0 ? "%s and %s are exchanged" : "%s is used in place of %s",
                 plens__slot_name((plens__slot)(i % 3 == 2 ? b : a)),
                 plens__slot_name((plens__slot)(i % 3 == 2 ? a : b)));
        return plens__suspect_put(s, PLENS__PART_ATTENTION, text);
    }
    i -= 6 * 3;
    if (i == 3 || i == 4) {
        s->variant.fused = i == 3 ? 1 : -1;
        return plens__suspect_put(s, PLENS__PART_MLP,
                                  i == 3 ? "gate_proj and up_proj are fused, then split at every "
                                           "second row, expected in halves"
                                         : "gate_proj and up_proj are fused row by row "
                                           "(interleaved), then split in halves");
    }
    if (i == 2) {
        if (linear(c, PLENS__SLOT_O)->matrix.n_in != linear(c, PLENS__SLOT_O)->matrix.n_out)
            return PLENS__NOT_HERE;
        s->variant.no_o = 1;
        return plens__suspect_put(s, PLENS__PART_ATTENTION, "o_proj is missing");
    }
    if (i > 4)
        return PLENS__NO_MORE;
    s->variant.matrix[i == 0 ? PLENS__SLOT_UP : PLENS__SLOT_GATE] =
        i == 0 ? PLENS__SLOT_GATE : PLENS__SLOT_UP;
    return plens__suspect_put(s, PLENS__PART_MLP,
                              i == 0 ? "gate_proj.weight is used in place of up_proj.weight"
                                     : "up_proj.weight is used in place of gate_proj.weight");
}

/* Matrices in fewer bits than the checkpoint has: one; those of attention, of the MLP; all. */
static plens__answer keepings(const plens__case *c, size_t i, plens__suspect *s) {
    static const char *const names[PLENS__N_KEEPINGS] = {
        "",
        "kept in 8 bits, one scale for a matrix",
        "kept in 8 bits, one scale for a row",
        "kept in 8 bits, one scale for 32 columns of a row",
        "rounded to f16",
        "rounded to bf16",
        "cut to bf16, expected rounded if at all"};
    static const char *const groups[] = {"attention", "the MLP", "the block"};
    static const char *const parts[] = {PLENS__PART_ATTENTION, PLENS__PART_MLP, PLENS__PART_BOTH};
    static const size_t first[] = {0, 4, 0}, end[] = {4, 7, 7};
    const size_t n_each = PLENS__N_LINEAR + sizeof groups / sizeof *groups;
    size_t which = i % n_each;
    plens__keeping kept = (plens__keeping)(1 + i / n_each);
    char text[160];
    (void)c;
    if (kept >= PLENS__N_KEEPINGS)
        return PLENS__NO_MORE;
    if (which < PLENS__N_LINEAR) {
        s->variant.kept[which] = kept;
        snprintf(text, sizeof text, "%s is %s", plens__slot_name((plens__slot)which), names[kept]);
        return plens__suspect_put(s, plens__slot_part((plens__slot)which), text);
    }
    which -= PLENS__N_LINEAR;
    for (size_t slot = first[which]; slot < end[which]; slot++)
        s->variant.kept[slot] = kept;
    snprintf(text, sizeof text, "the matrices of %s are %s", groups[which], names[kept]);
    return plens__suspect_put(s, parts[which], text);
}

int plens__suspect_next(const plens__case *c, plens__suspect_cursor *cursor, plens__suspect *s) {
    static plens__suspects_fn *const groups[] = {biases,
                                                 epsilons,
                                                 plens__suspect_scales,
                                                 activations,
                                                 norms,
                                                 plens__suspect_rotations,
                                                 plens__suspect_positions,
                                                 plens__suspect_masks,
                                                 plens__suspect_caches,
                                                 residuals,
                                                 matrices,
                                                 keepings,
                                                 plens__suspect_heads};
    while (cursor->group < sizeof groups / sizeof *groups) {
        s->variant = c->model;
        plens__answer found = groups[cursor->group](c, cursor->index++, s);
        if (found == PLENS__HERE)
            return 1;
        if (found == PLENS__NO_MORE)
            *cursor = (plens__suspect_cursor){cursor->group + 1, 0};
    }
    return 0;
}
