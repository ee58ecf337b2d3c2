/* The list. Each group hands out its suspects by number; the order is the order of preference when
 * several explain a departure equally well. */
#include "runtime/fp.h"

#include "runtime/audit_suspects.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char attention[] = "attention", mlp[] = "MLP", both[] = "attention and MLP";

typedef struct slot_entry {
    const char *name, *part;
} slot_entry;

static const slot_entry slots[PLENS__N_SLOTS] = {
    {"q_proj.weight", attention},
    {"k_proj.weight", attention},
    {"v_proj.weight", attention},
    {"o_proj.weight", attention},
    {"gate_proj.weight", mlp},
    {"up_proj.weight", mlp},
    {"down_proj.weight", mlp},
    {"q_proj.bias", attention},
    {"k_proj.bias", attention},
    {"v_proj.bias", attention},
    {"o_proj.bias", attention},
    {"gate_proj.bias", mlp},
    {"up_proj.bias", mlp},
    {"down_proj.bias", mlp},
    {"input_layernorm.weight", attention},
    {"post_attention_layernorm.weight", mlp},
    {"q_norm.weight", attention},
    {"k_norm.weight", attention},
};

const char *plens__slot_name(plens__slot slot) {
    return slots[slot].name;
}

const char *plens__slot_part(plens__slot slot) {
    return slots[slot].part;
}

int plens__slot_is_mlp(plens__slot slot) {
    return slots[slot].part == mlp;
}

/* |x| = digits * 10^(exponent - 3), 1000 <= digits < 10000. */
static unsigned four_digits(double x, int *exponent) {
    double scaled = fabs(x);
    for (*exponent = 3; scaled >= 9999.5 && *exponent < 400; ++*exponent)
        scaled /= 10;
    for (; scaled < 999.95; --*exponent)
        scaled *= 10;
    return (unsigned)(scaled + 0.5);
}

/* No printf of doubles: its decimal point is the locale's. */
const char *plens__show_number(double x, char *text) {
    int exponent, n_digits = 4;
    if (x == 0 || !(fabs(x) < 1e300)) {
        snprintf(text, PLENS__NUMBER_TEXT, "%s", x == 0 ? "0" : "not finite");
        return text;
    }
    unsigned digits = four_digits(x, &exponent);
    for (; n_digits > 1 && digits % 10 == 0; n_digits--)
        digits /= 10;
    char all[8];
    snprintf(all, sizeof all, "%u", digits);
    const char *sign = x < 0 ? "-" : "";
    if (exponent < -4 || exponent > 7)
        snprintf(text, PLENS__NUMBER_TEXT, "%s%c%s%se%c%02d", sign, all[0], n_digits > 1 ? "." : "",
                 all + 1, exponent < 0 ? '-' : '+', exponent < 0 ? -exponent : exponent);
    else if (exponent < 0)
        snprintf(text, PLENS__NUMBER_TEXT, "%s0.%.*s%s", sign, -exponent - 1, "000", all);
    else if (n_digits <= exponent + 1)
        snprintf(text, PLENS__NUMBER_TEXT, "%s%s%.*s", sign, all, exponent + 1 - n_digits,
                 "0000000");
    else
        snprintf(text, PLENS__NUMBER_TEXT, "%s%.*s.%s", sign, exponent + 1, all,
                 all + exponent + 1);
    return text;
}

/* ---- helpers ---- */

static int put(plens__suspect *s, const char *part, const char *text) {
    s->part = part;
    s->mlp_only = part == mlp;
    snprintf(s->text, sizeof s->text, "%s", text);
    return 1;
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

typedef enum answer { NO_MORE = 0, HERE = 1, NOT_HERE = 2 } answer;
typedef answer group_fn(const plens__case *c, size_t i, plens__suspect *s);

/* ---- groups ---- */

static answer biases(const plens__case *c, size_t i, plens__suspect *s) {
    char text[96];
    if (i < PLENS__N_LINEAR) {
        if (linear(c, i)->bias == NULL)
            return NOT_HERE;
        s->variant.no_bias[i] = 1;
        snprintf(text, sizeof text, "the bias of %.*s is missing", (int)strcspn(slots[i].name, "."),
                 slots[i].name);
        return (answer)put(s, slots[i].part, text);
    }
    static const char *const groups[] = {"q, k and v", "q, k, v and o", "gate, up and down",
                                         "q and k", "all"};
    static const int first[] = {0, 0, 4, 0, 0}, last[] = {2, 3, 6, 1, 6};
    if (i - PLENS__N_LINEAR >= sizeof first / sizeof *first)
        return NO_MORE;
    size_t g = i - PLENS__N_LINEAR;
    for (int slot = first[g]; slot <= last[g]; slot++) {
        if (linear(c, (size_t)slot)->bias == NULL && g != 4)
            return NOT_HERE;
        s->variant.no_bias[slot] = 1;
    }
    if (g == 4 && (linear(c, 0)->bias == NULL || linear(c, 6)->bias == NULL))
        return NOT_HERE;
    snprintf(text, sizeof text, "the biases of %s are missing", groups[g]);
    return (answer)put(s, g == 2 ? mlp : g == 4 ? both : attention, text);
}

static answer epsilons(const plens__case *c, size_t i, plens__suspect *s) {
    static const double values[] = {1e-6, 1e-5, 1e-12, 0, 1e-8, 1e-7, 1e-4, 1e-3};
    static const char *const names[] = {"attention norm (input_layernorm)",
                                        "MLP norm (post_attention_layernorm)", "both norms",
                                        "q and k norms", "all norms"};
    static const char *const parts[] = {attention, mlp, both, attention, both};
    size_t which = i / (sizeof values / sizeof *values);
    double value = values[i % (sizeof values / sizeof *values)], config = s->variant.attn_eps;
    char text[160], shown[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT];
    if (which >= 5)
        return NO_MORE;
    if (fabs(value - config) <= 1e-6 * config || (which > 2 && c->reference.block->q_norm == NULL))
        return NOT_HERE;
    if (which == 0 || which == 2 || which == 4)
        s->variant.attn_eps = value;
    if (which == 1 || which == 2 || which == 4)
        s->variant.mlp_eps = value;
    if (which >= 3)
        s->variant.qk_eps = value;
    snprintf(text, sizeof text, "the epsilon of the %s is %s, expected %s", names[which],
             plens__show_number(value, shown), plens__show_number(config, expected));
    return (answer)put(s, parts[which], text);
}

static answer scales(const plens__case *c, size_t i, plens__suspect *s) {
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
        return NO_MORE;
    if (fabs(values[i] / s->variant.scale - 1) < 1e-6)
        return NOT_HERE;
    s->variant.scale = values[i];
    snprintf(text, sizeof text, "the attention scale is %s, expected 1/sqrt(head_dim)", names[i]);
    return (answer)put(s, attention, text);
}

static answer activations(const plens__case *c, size_t i, plens__suspect *s) {
    static const plens__activation kinds[] = {PLENS__GELU, PLENS__GELU_TANH, PLENS__GELU_QUICK,
                                              PLENS__RELU, PLENS__SIGMOID,   PLENS__IDENTITY};
    static const char *const names[] = {
        "gelu",   "gelu (tanh approximation)", "gelu (sigmoid approximation)", "relu", "a sigmoid",
        "missing"};
    char text[96];
    (void)c;
    if (i == 0) {
        s->variant.matrix[PLENS__SLOT_GATE] = PLENS__SLOT_UP;
        s->variant.matrix[PLENS__SLOT_UP] = PLENS__SLOT_GATE;
        return (answer)put(s, mlp, "gate_proj and up_proj are swapped (the activation is on up)");
    }
    if (i > sizeof kinds / sizeof *kinds)
        return NO_MORE;
    s->variant.activation = kinds[i - 1];
    snprintf(text, sizeof text, "the activation is %s, expected silu", names[i - 1]);
    return (answer)put(s, mlp, text);
}

static answer norms(const plens__case *c, size_t i, plens__suspect *s) {
    static const plens__norm_kind kinds[] = {PLENS__NORM_NO_WEIGHT, PLENS__NORM_NONE,
                                             PLENS__NORM_WEIGHT_PLUS_ONE, PLENS__NORM_OTHER,
                                             PLENS__NORM_MEAN};
    static const char *const names[] = {
        "weight is missing", "itself is missing", "weight is used as 1 + weight",
        "weight is that of the block's other norm", "subtracts the mean (LayerNorm)"};
    char text[96];
    if (i < 15) {
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
        return (answer)put(s, where == 0 ? attention : where == 1 ? mlp : both, text);
    }
    static const char *const qk[] = {
        "the norm of queries and keys is missing", "the norm of queries is missing",
        "the norm of keys is missing", "the norm of queries and keys comes after the rotation"};
    if (i >= 19)
        return NO_MORE;
    if (c->reference.block->q_norm == NULL)
        return NOT_HERE;
    s->variant.no_q_norm = i == 15 || i == 16;
    s->variant.no_k_norm = i == 15 || i == 17;
    s->variant.norm_after_rope = i == 18;
    return (answer)put(s, attention, qk[i - 15]);
}

static answer rotations(const plens__case *c, size_t i, plens__suspect *s) {
    static const double bases[] = {10000, 1e6, 500000, 100000, 1e7, 5e6, 1000, 8e6};
    static const char *const names[] = {
        "the rotary embedding is missing",
        "queries are not rotated",
        "keys are not rotated",
        "the rotary embedding pairs neighbours (2i, 2i + 1), expected halves (i, i + head_dim/2)",
        "the rotary embedding turns the wrong way",
        "the rotary embedding's scaling is missing",
        "the rotary embedding's frequencies are all divided by the factor (linear scaling)"};
    char text[192], shown[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT];
    plens__config *config = &s->variant.config;
    int scaled = c->reference.config->rope_type != PLENS__ROPE_DEFAULT;
    if (i < 7) {
        s->variant.no_rope_q = i == 0 || i == 1;
        s->variant.no_rope_k = i == 0 || i == 2;
        s->variant.rope_interleaved = i == 3;
        s->variant.rope_reversed = i == 4;
        if (i >= 5)
            config->rope_type = i == 5 ? PLENS__ROPE_DEFAULT : PLENS__ROPE_LINEAR;
        if (i >= 5 && (!scaled || config->rope_type == c->reference.config->rope_type))
            return NOT_HERE;
        return (answer)put(s, attention, names[i]);
    }
    size_t n_bases = sizeof bases / sizeof *bases;
    if (i - 7 >= 2 * n_bases)
        return NO_MORE;
    double base = bases[(i - 7) % n_bases];
    int unscaled = i - 7 >= n_bases;
    if (base == config->rope_theta || (unscaled && !scaled))
        return NOT_HERE;
    snprintf(text, sizeof text, "the rotary embedding's base (rope theta) is %s, expected %s%s",
             plens__show_number(base, shown), plens__show_number(config->rope_theta, expected),
             unscaled ? ", and its scaling is missing" : "");
    config->rope_theta = base;
    if (unscaled)
        config->rope_type = PLENS__ROPE_DEFAULT;
    return (answer)put(s, attention, text);
}

static answer positions(const plens__case *c, size_t i, plens__suspect *s) {
    static const int shifts[] = {1, -1, 2, -2};
    char text[128];
    (void)c;
    if (i < 4) {
        s->variant.shift_q = shifts[i];
        snprintf(text, sizeof text,
                 "positions off by %s in the queries only (q %+d; or k %+d, which is the same)",
                 i < 2 ? "one" : "two", shifts[i], -shifts[i]);
        return (answer)put(s, attention, text);
    }
    return NO_MORE;
}

static answer masks(const plens__case *c, size_t i, plens__suspect *s) {
    size_t n = c->reference.n, window = s->variant.window;
    char text[112];
    if (i < 3) {
        static const char *const names[] = {"the causal mask is missing",
                                            "the causal mask lets one later position through",
                                            "the causal mask hides the position itself"};
        s->variant.look_ahead = i == 0 ? (int)n : i == 1 ? 1 : -1;
        return (answer)put(s, attention, names[i]);
    }
    if (i == 3) {
        if (window == 0)
            return NOT_HERE;
        s->variant.window = 0;
        return (answer)put(s, attention, "the sliding window is ignored");
    }
    if (i - 4 >= (n < 96 ? n : 96))
        return NO_MORE;
    size_t found = window == 0 ? i - 3 : i - 4 < 2 ? window + 1 - 2 * (i - 4) : i - 5;
    int again = i - 4 >= 2 && (found == window + 1 || found + 1 == window);
    if (found == 0 || found == window || (window != 0 && again) || (window == 0 && found >= n))
        return NOT_HERE;
    s->variant.window = found;
    if (window == 0)
        snprintf(text, sizeof text, "a sliding window of %zu positions is applied, expected none",
                 found);
    else
        snprintf(text, sizeof text, "the sliding window is %zu positions, expected %zu", found,
                 window);
    return (answer)put(s, attention, text);
}

static answer residuals(const plens__case *c, size_t i, plens__suspect *s) {
    static const char *const names[] = {
        "attention is missing (nothing is added)",
        "the MLP is missing (nothing is added)",
        "the residual connection around attention is missing",
        "the residual connection around the MLP is missing",
        "the MLP reads the block's input, expected what attention made of it",
        "the whole block is missing",
        "attention is added twice",
        "the MLP is added twice",
    };
    (void)c;
    if (i >= sizeof names / sizeof *names)
        return NO_MORE;
    plens__variant *v = &s->variant;
    v->attn_out = i == 0 || i == 5 ? 0 : i == 6 ? 2 : 1;
    v->mlp_out = i == 1 || i == 5 ? 0 : i == 7 ? 2 : 1;
    v->skip_attn = i != 2;
    v->skip_mlp = i != 3;
    v->parallel_mlp = i == 4;
    return (answer)put(s,
                       i == 5                                 ? both
                       : i == 1 || i == 3 || i == 4 || i == 7 ? mlp
                                                              : attention,
                       names[i]);
}

static answer matrices(const plens__case *c, size_t i, plens__suspect *s) {
    static const int pairs[][2] = {{0, 1}, {1, 2}, {0, 2}, {0, 3}, {1, 3}, {2, 3}};
    char text[96];
    if (i < PLENS__N_LINEAR) {
        if (linear(c, i)->matrix.n_in != linear(c, i)->matrix.n_out)
            return NOT_HERE;
        s->variant.transposed[i] = 1;
        snprintf(text, sizeof text, "%s is transposed", slots[i].name);
        return (answer)put(s, slots[i].part, text);
    }
    i -= PLENS__N_LINEAR;
    if (i < 6 * 3) {
        int a = pairs[i / 3][0], b = pairs[i / 3][1];
        if (!same_shape(c, (size_t)a, (size_t)b))
            return NOT_HERE;
        if (i % 3 != 1)
            s->variant.matrix[a] = (plens__slot)b;
        if (i % 3 != 2)
            s->variant.matrix[b] = (plens__slot)a;
        snprintf(text, sizeof text,
                 i % 3 == 0 ? "%s and %s are exchanged" : "%s is used in place of %s",
                 slots[i % 3 == 2 ? b : a].name, slots[i % 3 == 2 ? a : b].name);
        return (answer)put(s, attention, text);
    }
    i -= 6 * 3;
    if (i >= 2)
        return NO_MORE;
    s->variant.matrix[i == 0 ? PLENS__SLOT_UP : PLENS__SLOT_GATE] =
        i == 0 ? PLENS__SLOT_GATE : PLENS__SLOT_UP;
    return (answer)put(s, mlp,
                       i == 0 ? "gate_proj.weight is used in place of up_proj.weight"
                              : "up_proj.weight is used in place of gate_proj.weight");
}

/* All pairs of heads, for each way of swapping them. */
static answer heads(const plens__case *c, size_t i, plens__suspect *s) {
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
    if (i == 0) {
        if (config->n_kv_heads == config->n_heads || config->n_kv_heads == 1)
            return NOT_HERE;
        s->variant.modulo_heads = 1;
        return (answer)put(s, attention,
                           "query head h uses key/value head h mod n_kv_heads, expected h / "
                           "(n_heads / n_kv_heads)");
    }
    i--;
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
        return (answer)put(s, attention, text);
    }
    return NO_MORE;
}

int plens__suspect_next(const plens__case *c, plens__suspect_cursor *cursor, plens__suspect *s) {
    static group_fn *const groups[] = {biases,    epsilons,  scales,    activations,
                                       norms,     rotations, positions, masks,
                                       residuals, matrices,  heads};
    while (cursor->group < sizeof groups / sizeof *groups) {
        s->variant = c->model;
        answer found = groups[cursor->group](c, cursor->index++, s);
        if (found == HERE)
            return 1;
        if (found == NO_MORE)
            *cursor = (plens__suspect_cursor){cursor->group + 1, 0};
    }
    return 0;
}
