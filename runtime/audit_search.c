/* The search for what explains a departure, from the commonest mistakes to single weights; and what
 * is known where it finds nothing. */
#include "runtime/fp.h"

#include "runtime/audit_suspects.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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
