/* Single numbers fitted to a departure: epsilons, scales, bases, factors. */
#include "runtime/fp.h"

#include "runtime/audit_suspects.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "runtime/numeric.h"

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

plens__slope plens__slope_of(plens__case *c, const double *moved, double step,
                             const double *departure) {
    line s = {.noise = &c->noise, .departure = departure, .output = c->slope_output, .step = step};
    s.moved = moved;
    plens__guarded(line_task, &s);
    plens__slope slope = {0, 0, 0, s.jj};
    if (s.jj > 0 && s.rr > 0) {
        slope.step = s.rj / s.jj;
        slope.significance = fabs(s.rj) / sqrt(s.jj);
        slope.alignment = s.rj * s.rj / (s.jj * s.rr);
    }
    return slope;
}

plens__slope plens__slope_towards(plens__case *c, const plens__variant *moved, double step,
                                  int mlp_only, const double *departure) {
    return plens__slope_of(c, plens__case_output(c, moved, mlp_only), step, departure);
}

typedef struct number_entry {
    const char *what, *part;
    size_t n; /* how many doubles of the variant it stands for */
    size_t at[2];
} number_entry;

#define FIRST_CAP 50 /* where the fit of a cap begins: the model has none */

#define AT(field) offsetof(plens__variant, field)

/* In order of preference; the first PLENS__N_SLIGHT are those of plens__slight_number. */
static const number_entry numbers[] = {
    {"the epsilon of the attention norm (input_layernorm)", "attention", 1, {AT(attn_eps)}},
    {"the epsilon of the MLP norm (post_attention_layernorm)", "MLP", 1, {AT(mlp_eps)}},
    {"the attention scale", "attention", 1, {AT(scale)}},
    {"the epsilon of both norms", "attention and MLP", 2, {AT(attn_eps), AT(mlp_eps)}},
    {"the epsilon of the q and k norms", "attention", 1, {AT(qk_eps)}},
    {"the cap of the scores before the softmax", "attention", 1, {AT(score_cap)}},
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

static double number_of(const plens__variant *variant, const number_entry *number) {
    double value;
    memcpy(&value, (const char *)variant + number->at[0], sizeof value);
    return value;
}

/* The model's variant with a number e^s times what the fit starts from. */
static double set_number(const plens__case *c, const number_entry *number, double s,
                         plens__variant *variant) {
    double value = 0;
    *variant = c->model;
    for (size_t i = 0; i < number->n; i++) {
        memcpy(&value, (char *)variant + number->at[i], sizeof value);
        value = (value > 0 ? value : FIRST_CAP) * plens__exp(s);
        memcpy((char *)variant + number->at[i], &value, sizeof value);
    }
    return value;
}

double plens__slight_number(const plens__case *c, size_t i, double s, plens__variant *variant) {
    return number_of(&c->model, &numbers[i]) > 0 ? set_number(c, &numbers[i], s, variant) : 0;
}

const char *plens__slight_name(size_t i) {
    return numbers[i].what;
}

const char *plens__slight_part(size_t i) {
    return numbers[i].part;
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
    double model = number_of(&c->model, number);
    *excess = plens__case_try(c, &suspect->variant, suspect->mlp_only);
    plens__show_both(value, model, shown, expected);
    snprintf(suspect->text, sizeof suspect->text, "%s is about %s, expected %s", number->what,
             shown, model > 0 ? expected : "none");
    return 1;
}

/* How many imitated departures tell how far rounding alone goes along a derivative. */
#define IMITATED 8

double plens__significance(plens__case *c) {
    const double h = 1e-4;
    size_t bytes = c->reference.n * c->reference.config->d_model * sizeof(double);
    double most = 0;
    for (size_t i = 0; i < PLENS__N_SLIGHT; i++) {
        plens__variant moved;
        double square = 0;
        if (!(set_number(c, &numbers[i], h, &moved) > 0))
            continue;
        int mlp_only = strcmp(numbers[i].part, "MLP") == 0;
        memcpy(c->slope_output, c->base_output, bytes);
        plens__slope slope = plens__slope_towards(c, &moved, h, mlp_only, c->base_departure);
        memcpy(c->trial_output, plens__case_output(c, &moved, mlp_only), bytes);
        for (uint64_t seed = 1; seed <= IMITATED; seed++) {
            plens__case_imitate(c, seed);
            double along = plens__slope_of(c, c->trial_output, h, c->departure).significance;
            square += along * along;
        }
        double limit = plens__noise_limit(1) * sqrt(square / IMITATED) + 1e-300;
        most = slope.significance / limit > most ? slope.significance / limit : most;
    }
    return most;
}

/* 1 if the block has such a number, and the dump can tell it. */
static int applies(const plens__case *c, const number_entry *number) {
    double value = number_of(&c->model, number);
    if (number->at[0] == AT(qk_eps) && c->reference.block->q_norm == NULL)
        return 0;
    if (number->at[0] == AT(config.rope_factor) &&
        c->reference.config->rope_type == PLENS__ROPE_DEFAULT)
        return 0;
    if (number->at[0] == AT(skip_mlp) && number->n == 2 && c->final_norm != NULL)
        return 0; /* the norm takes it out */
    return value > 0 || number->at[0] == AT(score_cap);
}

int plens__fit_numbers(plens__case *c, plens__suspect *best, plens__excess *excess) {
    int found = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        plens__suspect suspect;
        plens__excess after;
        if (!applies(c, &numbers[i]) || !fit_number(c, &numbers[i], &suspect, &after))
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
