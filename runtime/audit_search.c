/* The search through the suspects, and for single numbers. */
#include "runtime/fp.h"

#include "runtime/audit_suspects.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/numeric.h"

/* ---- fitting one number ---- */

typedef struct line { /* weighted products of the departure r and the derivative j */
    const plens__noise *noise;
    const double *departure, *moved, *output;
    double step;
    double rj, jj, rr;
} line;

static void line_task(void *arg, size_t item, int thread) {
    line *s = arg;
    (void)item;
    (void)thread;
    s->rj = s->jj = s->rr = 0;
    for (size_t t = 0; t < s->noise->n; t++) {
        for (size_t i = 0; i < s->noise->d; i++) {
            size_t at = t * s->noise->d + i;
            double unit = s->noise->position[t] * s->noise->column[i];
            double j = (s->moved[at] - s->output[at]) / s->step / unit;
            double r = s->departure[at] / unit;
            s->rj += r * j;
            s->jj += j * j;
            s->rr += r * r;
        }
    }
}

void plens__slope_begin(plens__case *c, const plens__variant *variant, int mlp_only) {
    memcpy(c->slope_output, plens__case_output(c, variant, mlp_only),
           c->reference.n * c->reference.config->d_model * sizeof(double));
}

static plens__slope slope_of(plens__case *c, const double *moved, double step,
                             const double *departure) {
    line s = {.noise = &c->noise, .departure = departure, .output = c->slope_output, .step = step};
    s.moved = moved;
    plens__guarded(line_task, &s);
    plens__slope slope = {0, 0, 0};
    if (s.jj > 0 && s.rr > 0) {
        slope.step = s.rj / s.jj;
        slope.significance = fabs(s.rj) / sqrt(s.jj);
        slope.alignment = s.rj * s.rj / (s.jj * s.rr);
    }
    return slope;
}

plens__slope plens__slope_towards(plens__case *c, const plens__variant *moved, double step,
                                  int mlp_only, const double *departure) {
    return slope_of(c, plens__case_output(c, moved, mlp_only), step, departure);
}

typedef struct number_entry {
    const char *what, *part;
    size_t n; /* how many doubles of the variant it stands for */
    size_t at[3];
} number_entry;

#define AT(field) offsetof(plens__variant, field)

static const number_entry numbers[] = {
    {"the epsilon of the attention norm (input_layernorm)", "attention", 1, {AT(attn_eps)}},
    {"the epsilon of the MLP norm (post_attention_layernorm)", "MLP", 1, {AT(mlp_eps)}},
    {"the epsilon of both norms", "attention and MLP", 2, {AT(attn_eps), AT(mlp_eps)}},
    {"the epsilon of the q and k norms", "attention", 1, {AT(qk_eps)}},
    {"the attention scale", "attention", 1, {AT(scale)}},
    {"the rotary embedding's base (rope theta)", "attention", 1, {AT(config.rope_theta)}},
    {"the rotary embedding's factor", "attention", 1, {AT(config.rope_factor)}},
    {"what positions are divided by before the rotation", "attention", 1, {AT(rope_stretch)}},
    {"the rotary embedding's low_freq_factor", "attention", 1, {AT(config.rope_low_freq_factor)}},
    {"the rotary embedding's high_freq_factor", "attention", 1, {AT(config.rope_high_freq_factor)}},
    {"the rotary embedding's original_max_position_embeddings",
     "attention",
     1,
     {AT(config.rope_original_positions)}},
    {"the factor of v_proj.weight", "attention", 1, {AT(factor[PLENS__SLOT_V])}},
    {"the factor of o_proj.weight", "attention", 1, {AT(factor[PLENS__SLOT_O])}},
    {"the factor of gate_proj.weight", "MLP", 1, {AT(factor[PLENS__SLOT_GATE])}},
    {"the factor of up_proj.weight", "MLP", 1, {AT(factor[PLENS__SLOT_UP])}},
    {"the factor of down_proj.weight", "MLP", 1, {AT(factor[PLENS__SLOT_DOWN])}},
    {"the factor of q_proj.weight", "attention", 1, {AT(factor[PLENS__SLOT_Q])}},
    {"the factor of k_proj.weight", "attention", 1, {AT(factor[PLENS__SLOT_K])}},
    {"the factor of what attention adds", "attention", 1, {AT(attn_out)}},
    {"the factor of what the MLP adds", "MLP", 1, {AT(mlp_out)}},
    {"the factor of the residual stream past attention", "attention", 1, {AT(skip_attn)}},
    {"the factor of the residual stream past the MLP", "MLP", 1, {AT(skip_mlp)}},
    {"the factor of the attention norm's output", "attention", 1, {AT(attn_norm_out)}},
    {"the factor of the MLP norm's output", "MLP", 1, {AT(mlp_norm_out)}},
    {"the factor of the block's output", "attention and MLP", 2, {AT(skip_mlp), AT(mlp_out)}},
};

/* The model's variant with a number multiplied by e^s. */
static double set_number(const plens__case *c, const number_entry *number, double s,
                         plens__variant *variant) {
    double value = 0;
    *variant = c->model;
    for (size_t i = 0; i < number->n; i++) {
        memcpy(&value, (char *)variant + number->at[i], sizeof value);
        value *= plens__exp(s);
        memcpy((char *)variant + number->at[i], &value, sizeof value);
    }
    return value;
}

/* Gauss-Newton on the logarithm of one number; gives up where the departure does not point along
 * its derivative. */
static int fit_number(plens__case *c, const number_entry *number, plens__suspect *suspect,
                      plens__excess *excess) {
    const double h = 1e-4;
    double s = 0;
    char shown[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT];
    plens__variant moved;
    suspect->mlp_only = strcmp(number->part, "MLP") == 0;
    suspect->part = number->part;
    for (int i = 0; i < 20; i++) {
        set_number(c, number, s, &suspect->variant);
        plens__case_measure(c, &suspect->variant, suspect->mlp_only);
        memcpy(c->samples, c->departure,
               c->reference.n * c->reference.config->d_model * sizeof(double));
        set_number(c, number, s + h, &moved);
        plens__slope_begin(c, &suspect->variant, suspect->mlp_only);
        plens__slope slope = plens__slope_towards(c, &moved, h, suspect->mlp_only, c->samples);
        if ((i == 0 && slope.alignment < 0.3) || !(fabs(slope.step) < 1e300))
            return 0;
        if (fabs(slope.step) < 1e-7)
            break;
        s += slope.step > 1.5 ? 1.5 : slope.step < -1.5 ? -1.5 : slope.step;
    }
    double value = set_number(c, number, s, &suspect->variant);
    double model = set_number(c, number, 0, &moved);
    *excess = plens__case_try(c, &suspect->variant, suspect->mlp_only);
    snprintf(suspect->text, sizeof suspect->text, "%s is about %s, expected %s", number->what,
             plens__show_number(value, shown), plens__show_number(model, expected));
    return 1;
}

/* How many imitated departures tell how far rounding alone goes along a derivative. */
#define IMITATED 8

double plens__significance(plens__case *c) {
    const double h = 1e-4;
    static const size_t which[] = {0, 1, 4};
    size_t bytes = c->reference.n * c->reference.config->d_model * sizeof(double);
    double most = 0;
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        plens__variant moved;
        double square = 0;
        if (!(set_number(c, &numbers[which[i]], h, &moved) > 0))
            continue;
        int mlp_only = strcmp(numbers[which[i]].part, "MLP") == 0;
        memcpy(c->slope_output, c->base_output, bytes);
        plens__slope slope = plens__slope_towards(c, &moved, h, mlp_only, c->base_departure);
        memcpy(c->trial_output, plens__case_output(c, &moved, mlp_only), bytes);
        for (uint64_t seed = 1; seed <= IMITATED; seed++) {
            plens__case_imitate(c, seed);
            square += pow(slope_of(c, c->trial_output, h, c->departure).significance, 2);
        }
        double limit = plens__noise_limit(1) * sqrt(square / IMITATED) + 1e-300;
        most = slope.significance / limit > most ? slope.significance / limit : most;
    }
    return most;
}

int plens__fit_numbers(plens__case *c, plens__suspect *best, plens__excess *excess) {
    int found = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        plens__suspect suspect;
        plens__excess after;
        double value;
        memcpy(&value, (char *)&c->model + numbers[i].at[0], sizeof value);
        int of_output = numbers[i].at[0] == AT(skip_mlp) && numbers[i].n == 2;
        int of_rope = numbers[i].at[0] == AT(config.rope_factor);
        if (!(value > 0) || (i == 3 && c->reference.block->q_norm == NULL) ||
            (of_rope && c->reference.config->rope_type == PLENS__ROPE_DEFAULT) ||
            (of_output && c->final_norm != NULL)) /* the norm takes it out */
            continue;
        if (!fit_number(c, &numbers[i], &suspect, &after))
            continue;
        /* One that explains it gives way only to a clearly better one: the list is in order. */
        if (!(after.all < excess->all * (found && excess->worst <= 1 ? 0.8 : 1)))
            continue;
        *best = suspect;
        *excess = after;
        found = 1;
    }
    return found;
}

/* ---- everything ---- */

static void set_finding(plens__finding *finding, const plens__suspect *suspect,
                        plens__excess after) {
    finding->after = after;
    finding->explained = after.worst <= 1;
    finding->part = suspect->part;
    snprintf(finding->text, sizeof finding->text, "%s", suspect->text);
}

static void add_other(plens__finding *finding, const plens__suspect *suspect) {
    plens__append(finding->text, sizeof finding->text, "; or %s: %s", suspect->part, suspect->text);
}

/* Others that explain as much are named too: a dump of one position cannot tell some apart. */
#define OTHERS 2

void plens__consider(plens__case *c, const plens__suspect *suspect, plens__finding *finding) {
    plens__excess after = plens__case_try(c, &suspect->variant, suspect->mlp_only);
    if (!(after.all < finding->after.all * (finding->explained ? 1.25 : 1)))
        return;
    int tie = finding->explained && after.worst <= 1 && after.all > 0.8 * finding->after.all;
    if (!tie) {
        set_finding(finding, suspect, after);
        finding->n_others = 0;
    } else if (finding->n_others++ < OTHERS) {
        add_other(finding, suspect);
    }
}

static void try_suspects(plens__case *c, plens__finding *finding) {
    plens__suspect_cursor cursor = {0, 0};
    plens__suspect suspect;
    while (plens__suspect_next(c, &cursor, &suspect))
        plens__consider(c, &suspect, finding);
}

void plens__accuse(plens__case *c, plens__finding *finding) {
    *finding = (plens__finding){.part = ""};
    finding->before = finding->after = plens__excess_of(&c->noise, c->base_departure);
    try_suspects(c, finding);
    if (finding->explained)
        return;
    plens__suspect suspect;
    plens__excess after = finding->after;
    if (plens__fit_numbers(c, &suspect, &after))
        set_finding(finding, &suspect, after);
}

/* ---- what is left ---- */

#define ROUGH(format)                                                                              \
    { format, format, format, PLENS__FLOAT, PLENS__EXACT, 0, 0 }
#define PRODUCTS(format)                                                                           \
    { format, format, PLENS__FLOAT, PLENS__FLOAT, PLENS__EXACT, 0, 0 }
#define CORE(format)                                                                               \
    { PLENS__FLOAT, format, PLENS__FLOAT, PLENS__FLOAT, PLENS__EXACT, 1, 0 }

/* One of two parts is named if its rounding makes the pattern found that much likelier, in
 * logarithms for each position: a rounded weight errs alike at all positions, so that they count as
 * one. */
#define CLEAR 4

/* One part of one block in a rougher arithmetic than the rest of the states. Such a departure has
 * the size of that rounding everywhere, neither much more nor much less. */
static void try_rounding(plens__case *c, plens__finding *finding) {
    static const struct {
        plens__arithmetic arithmetic;
        const char *text;
    } ways[] = {
        {CORE(PLENS__BFLOAT), "bf16 or 8 bits of queries, keys and values"},
        {PRODUCTS(PLENS__BFLOAT), "bf16 or 8 bits in products"},
        {ROUGH(PLENS__BFLOAT), "bf16 or 8 bits"},
        {PRODUCTS(PLENS__HALF), "f16 in products"},
        {ROUGH(PLENS__HALF), "f16"},
    };
    double likeliest[2] = {-1e300, -1e300};
    size_t way[2] = {0, 0};
    for (size_t i = 0; i < 2 * (sizeof ways / sizeof *ways); i++) {
        plens__arithmetic rough = ways[i / 2].arithmetic;
        int in_mlp = i % 2 == 1;
        double likelihood;
        rough.stored = c->arithmetic->stored;
        if (rough.core_only && in_mlp)
            continue;
        plens__excess excess = plens__case_try_rounding(
            c, in_mlp ? c->arithmetic : &rough, in_mlp ? &rough : c->arithmetic, &likelihood);
        if (excess.worst > 1 || excess.all < 0.2 || !(likelihood > likeliest[in_mlp]))
            continue;
        likeliest[in_mlp] = likelihood;
        way[in_mlp] = i / 2;
    }
    int in_mlp = likeliest[1] > likeliest[0];
    if (!(fabs(likeliest[0] - likeliest[1]) > CLEAR * (double)c->noise.n))
        return;
    plens__append(finding->text, sizeof finding->text,
                  "; its size is that of rounding to %s in %s alone", ways[way[in_mlp]].text,
                  in_mlp ? "the MLP" : "attention");
}

/* Where a guess leaves much of the departure: whether the first position, which attends to itself
 * alone, departs. */
static void tell_first_position(const plens__case *c, plens__finding *finding) {
    static const char text[] =
        "position 0, which attends to itself alone, agrees, so it is in what "
        "attention does between positions";
    plens__noise first = c->noise;
    first.n = first.distinct = 1;
    if (c->noise.n < 2 || c->model.window == 1 ||
        plens__excess_of(&first, c->base_departure).worst > 1)
        return;
    if (strcmp(finding->part, PLENS__PART_ATTENTION) != 0)
        finding->text[0] = '\0';
    plens__append(finding->text, sizeof finding->text, "%s%s", finding->text[0] != '\0' ? "; " : "",
                  text);
    finding->part = PLENS__PART_ATTENTION;
}

void plens__describe_rest(plens__case *c, plens__finding *finding) {
    int poor = !finding->explained && finding->after.all > 0.5 * finding->before.all;
    if (poor)
        tell_first_position(c, finding);
    if (poor && c->arithmetic->operands == PLENS__FLOAT)
        try_rounding(c, finding);
}

plens_status plens__investigate(const plens_model *model, size_t layer, plens__case *c,
                                plens__finding *finding, plens_error *error) {
    plens_status status = PLENS_OK;
    plens__accuse(c, finding);
    if (!finding->explained)
        status = plens__try_neighbours(model, layer, c, finding, error);
    if (status == PLENS_OK && !finding->explained)
        status = plens__fit_entries(c, finding, error);
    return status;
}
