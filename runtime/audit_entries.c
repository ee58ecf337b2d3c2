/* A wrong weight among millions: the best of a ranking are fitted to the block itself, which need
 * not be linear; one entry, a row, or several entries of one matrix. */
#include "runtime/fp.h"

#include "runtime/audit_rank.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define N_FITTED 16 /* entries that are fitted in one round */
#define N_ROWS   6  /* rows that are fitted */

/* ---- fitting ---- */

/* Gauss-Newton, one edit after the other; leaves the departure in c->samples. */
static plens__excess fit(plens__case *c, plens__variant *variant) {
    size_t bytes = c->reference.n * c->reference.config->d_model * sizeof(double);
    int mlp_only = plens__slot_is_mlp(variant->edits[0].slot);
    plens__excess excess = plens__case_try(c, variant, mlp_only);
    size_t n_steps = variant->n_edits == 1 ? 12 : 6 * variant->n_edits;
    for (size_t i = 0; i < n_steps; i++) {
        plens__variant moved = *variant;
        size_t e = i % variant->n_edits;
        double least = 1e-9 * fabs(variant->edits[e].value);
        memcpy(c->samples, c->departure, bytes);
        moved.edits[e].value += PLENS__SMALL_STEP;
        plens__slope_begin(c, variant, mlp_only);
        plens__slope slope =
            plens__slope_towards(c, &moved, PLENS__SMALL_STEP, mlp_only, c->samples);
        moved = *variant;
        moved.edits[e].value += slope.step;
        plens__excess after = plens__case_try(c, &moved, mlp_only);
        for (int halvings = 0; halvings < 4 && !(after.all <= excess.all); halvings++) {
            slope.step /= 2;
            moved.edits[e].value = variant->edits[e].value + slope.step;
            after = plens__case_try(c, &moved, mlp_only);
        }
        if (!(after.all < excess.all))
            break;
        *variant = moved;
        excess = after;
        if (fabs(slope.step) <= least)
            break;
    }
    excess = plens__case_try(c, variant, mlp_only);
    memcpy(c->samples, c->departure, bytes);
    return excess;
}

/* ---- telling it ---- */

/* The value in the file of what an edit changes. */
static double value_in_file(const plens__case *c, const plens__edit *edit) {
    const plens__block *b = c->reference.block;
    if (edit->slot == PLENS__SLOT_ATTN_NORM)
        return (double)b->attn_norm[edit->row];
    if (edit->slot == PLENS__SLOT_MLP_NORM)
        return (double)b->mlp_norm[edit->row];
    if (edit->slot >= PLENS__SLOT_BIAS)
        return (double)plens__linear_at(c, (int)edit->slot - PLENS__SLOT_BIAS)->bias[edit->row];
    const plens__matrix *matrix = &plens__linear_at(c, (int)edit->slot)->matrix;
    return plens__matrix_at(matrix, edit->row, edit->column);
}

static void tell_edit(const plens__case *c, const plens__edit *edit, char *text, size_t capacity) {
    char found[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT], column[32] = "";
    double value = value_in_file(c, edit);
    if (edit->slot < PLENS__N_LINEAR)
        snprintf(column, sizeof column, ", %zu", edit->column);
    snprintf(text, capacity, "%s[%zu%s] is about %s, expected %s", plens__slot_name(edit->slot),
             edit->row, column, plens__show_number(value + edit->value, found),
             plens__show_number(value, expected));
}

static void add_text(char *text, size_t capacity, const char *more) {
    size_t used = strlen(text);
    snprintf(text + used, capacity - used, "%s", more);
}

/* Several single entries each explain the departure: what they have in common is what is known. The
 * smallest change stands for them. */
static void tell_choice(const plens__case *c, const plens__edit *edits, size_t n,
                        plens__finding *finding) {
    int same_row = 1, same_column = 1, same_part = 1;
    char where[32] = "", names[160] = "", first[160];
    size_t least = 0;
    unsigned told = 0;
    for (size_t i = 0; i < n; i++) {
        same_row &= edits[i].row == edits[0].row;
        same_column &= edits[i].column == edits[0].column;
        same_part &= plens__slot_part(edits[i].slot) == plens__slot_part(edits[0].slot);
        if (fabs(edits[i].value) < fabs(edits[least].value))
            least = i;
        if ((told & 1u << edits[i].slot) == 0) {
            add_text(names, sizeof names, told == 0 ? "" : " or ");
            add_text(names, sizeof names, plens__slot_name(edits[i].slot));
        }
        told |= 1u << edits[i].slot;
    }
    finding->part = same_part ? plens__slot_part(edits[0].slot) : "attention or MLP";
    tell_edit(c, &edits[least], first, sizeof first);
    if (same_row || same_column)
        snprintf(where, sizeof where, " in %s %zu", same_row ? "row" : "column",
                 same_row ? edits[0].row : edits[0].column);
    if (n == 1)
        snprintf(finding->text, sizeof finding->text, "%s", first);
    else
        snprintf(finding->text, sizeof finding->text,
                 "one entry of %s%s; perhaps %s (these positions cannot tell)", names, where,
                 first);
}

static void tell_several(const plens__case *c, const plens__variant *variant,
                         plens__finding *finding) {
    char first[160];
    const plens__edit *edits = variant->edits;
    int same_row = 1, same_column = 1;
    for (size_t i = 1; i < variant->n_edits; i++) {
        same_row &= edits[i].row == edits[0].row;
        same_column &= edits[i].column == edits[0].column;
    }
    tell_edit(c, &edits[0], first, sizeof first);
    finding->part = plens__slot_part(edits[0].slot);
    if (variant->n_edits == 1)
        snprintf(finding->text, sizeof finding->text, "%s", first);
    else
        snprintf(finding->text, sizeof finding->text, "%zu entries of %s%s%s: %s, and others",
                 variant->n_edits, plens__slot_name(edits[0].slot),
                 same_row ? ", all in one row" : "", same_column ? ", all in one column" : "",
                 first);
}

/* ---- the search ---- */

/* 1 if an entry of the same row of the same matrix comes before the i-th. */
static int row_seen(const plens__candidate *best, size_t i) {
    for (size_t k = 0; k < i; k++) {
        if (best[k].slot == best[i].slot && best[k].row == best[i].row)
            return 1;
    }
    return 0;
}

/* Fits the best entries one by one: in the first round one of each row and the best's runner-up, in
 * the second the others (an activation bends the plens__ranking), until some explain the departure.
 * best: the best of them. */
static int fit_single(plens__ranking *r, plens__variant *best, plens__finding *finding) {
    plens__case *c = r->c;
    plens__edit explained[2 * N_FITTED];
    size_t n_explained = 0, n_fitted = 0;
    plens__excess least = {1e300, 1e300};
    for (size_t round = 1; round <= 2 && n_explained == 0; round++) {
        for (size_t i = 0;
             i < PLENS__N_BEST && r->best[i].row != SIZE_MAX && n_fitted < round * N_FITTED; i++) {
            plens__variant variant = c->model;
            if (i != 1 && row_seen(r->best, i) != (round == 2))
                continue;
            n_fitted++;
            plens__add_edit(&variant, &r->best[i], 0);
            plens__excess after = fit(c, &variant);
            if (after.worst <= 1)
                explained[n_explained++] = variant.edits[0];
            if (after.all < least.all) {
                least = after;
                *best = variant;
            }
        }
    }
    if (n_explained > 0) {
        finding->explained = 1;
        finding->after = least;
        tell_choice(c, explained, n_explained, finding);
    }
    return n_explained > 0;
}

static void tell_row(const plens__edit *edit, plens__finding *finding) {
    char factor[PLENS__NUMBER_TEXT], text[128];
    int missing = fabs(1 + edit->value) < 0.01;
    snprintf(text, sizeof text, "row %zu of %s is %s%s", edit->row, plens__slot_name(edit->slot),
             missing ? "missing (all zeros)" : "multiplied by about ",
             missing ? "" : plens__show_number(1 + edit->value, factor));
    add_text(finding->text, sizeof finding->text, text);
}

/* A row left out, doubled, of the wrong sign or scale; a row of gate_proj that is left out is one
 * of up_proj: both are named. The sweeps are those of the departure. */
static int fit_row(plens__ranking *r, plens__finding *finding) {
    plens__case *c = r->c;
    int found = 0;
    r->whole_rows = 1;
    plens__rank(r);
    r->whole_rows = 0;
    memcpy(c->samples, c->base_departure, c->noise.n * c->noise.d * sizeof(double));
    plens__rank_exactly(r, &c->model);
    for (size_t i = 0; i < N_ROWS && r->best[i].row != SIZE_MAX; i++) {
        plens__variant variant = c->model;
        plens__add_edit(&variant, &r->best[i], 0);
        plens__excess after = fit(c, &variant);
        if (after.worst > 1)
            continue;
        const char *part = plens__slot_part(variant.edits[0].slot);
        if (!found || after.all < finding->after.all)
            finding->after = after;
        if (!found)
            finding->text[0] = '\0';
        else
            add_text(finding->text, sizeof finding->text, "; or ");
        finding->part = !found || strcmp(part, finding->part) == 0 ? part : "attention or MLP";
        finding->explained = found = 1;
        tell_row(&variant.edits[0], finding);
    }
    return found;
}

/* Adds entries of the same matrix to the best one while that helps. */
static void fit_several(plens__ranking *r, plens__variant *variant, plens__finding *finding) {
    plens__case *c = r->c;
    plens__excess excess = fit(c, variant);
    r->only = (int)variant->edits[0].slot;
    while (excess.worst > 1 && variant->n_edits < PLENS__EDITS) {
        memcpy(r->current, c->samples, c->noise.n * c->noise.d * sizeof(double));
        plens__rank_sweep(r, r->current);
        plens__rank(r);
        memcpy(c->samples, r->current, c->noise.n * c->noise.d * sizeof(double));
        plens__rank_exactly(r, variant);
        if (r->best[0].row == SIZE_MAX)
            break;
        plens__variant more = *variant;
        plens__add_edit(&more, &r->best[0], 0);
        plens__excess after = fit(c, &more);
        if (!(after.all < 0.9 * excess.all))
            break;
        *variant = more;
        excess = after;
    }
    if (!(excess.all < finding->after.all))
        return;
    finding->after = excess;
    finding->explained = excess.worst <= 1;
    tell_several(c, variant, finding);
}

plens_status plens__fit_entries(plens__case *c, plens__finding *finding, plens_error *error) {
    plens__ranking r;
    char *base;
    size_t bytes = c->noise.n * c->noise.d * sizeof(double);
    plens_status status = plens__rank_open(&r, c, &base, error);
    if (status != PLENS_OK)
        return status;
    plens__rank_sweep(&r, c->base_departure);
    plens__rank(&r);
    memcpy(c->samples, c->base_departure, bytes);
    plens__rank_exactly(&r, &c->model);
    plens__variant best = c->model;
    int found = r.best[0].row == SIZE_MAX || fit_single(&r, &best, finding);
    double score = r.best[0].score;
    if (!found && !fit_row(&r, finding) && score > 0.05)
        fit_several(&r, &best, finding);
    plens__free(&c->reference.engine->allocator, base);
    return PLENS_OK;
}
