/* A wrong weight among millions, a row or a column: the best of a ranking are fitted to the block
 * itself. */
#include "runtime/fp.h"

#include "runtime/audit_rank.h"

#include <stdio.h>
#include <string.h>

#define N_FITTED 16 /* entries that are fitted in one round */
#define N_LINES  6  /* rows and columns that are fitted */

int plens__row_seen(const plens__candidate *best, size_t i) {
    for (size_t k = 0; k < i; k++) {
        if (best[k].slot == best[i].slot && best[k].row == best[i].row)
            return 1;
    }
    return 0;
}

/* Fits the best entries one by one: in the first round one of each row and the best's runner-up, in
 * the second the others (an activation bends the ranking), until some explain the departure.
 */
static int fit_single(plens__ranking *r, plens__finding *finding) {
    plens__case *c = r->c;
    plens__edit explained[2 * N_FITTED];
    size_t n_explained = 0, n_fitted = 0;
    plens__excess least = {1e300, 1e300};
    for (size_t round = 1; round <= 2 && n_explained == 0; round++) {
        for (size_t i = 0;
             i < PLENS__N_BEST && r->best[i].row != SIZE_MAX && n_fitted < round * N_FITTED; i++) {
            plens__variant variant = c->model;
            if (i != 1 && plens__row_seen(r->best, i) != (round == 2))
                continue;
            n_fitted++;
            plens__add_edit(&variant, &r->best[i], 0);
            plens__excess after = plens__fit_edits(r, &variant);
            if (after.worst <= 1)
                explained[n_explained++] = variant.edits[0];
            if (after.all < least.all)
                least = after;
        }
    }
    if (n_explained > 0) {
        finding->explained = 1;
        finding->after = least;
        plens__tell_choice(c, explained, n_explained, finding);
    }
    return n_explained > 0;
}

/* The row of gate_proj that makes the element of an edit of a row of up_proj or a column of
 * down_proj: where that leaves the element out, so may this, though the activation bends its
 * derivative away. */
static void name_gate_row(plens__ranking *r, const plens__edit *edit, plens__finding *finding) {
    plens__variant variant = r->c->model;
    int is_row = edit->slot == PLENS__SLOT_UP && edit->column == PLENS__WHOLE_ROW;
    char text[160];
    if (!is_row && (edit->slot != PLENS__SLOT_DOWN || edit->row != PLENS__WHOLE_COLUMN))
        return;
    variant.edits[variant.n_edits++] =
        (plens__edit){PLENS__SLOT_GATE, is_row ? edit->row : edit->column, PLENS__WHOLE_ROW, -1};
    plens__excess after = plens__case_try(r->c, &variant, 1);
    plens__tell_edit(r->c, &variant.edits[0], text, sizeof text);
    if (after.worst <= 1 && strstr(finding->text, text) == NULL)
        plens__name_too(finding, 0, PLENS__PART_MLP, text, after);
}

/* A row or column left out, doubled, of the wrong sign or scale; a row of gate_proj that is left
 * out is one of up_proj and a column of down_proj: all are named. The sweeps are those of the
 * departure. */
static int fit_scaled_line(plens__ranking *r, plens__finding *finding) {
    plens__case *c = r->c;
    plens__edit first = {PLENS__SLOT_Q, 0, 0, 0};
    char text[160];
    int found = 0;
    for (r->kind = PLENS__ROWS; r->kind <= PLENS__COLUMNS; r->kind++) {
        plens__rank(r);
        plens__rank_exactly(r, &c->model, PLENS__N_LOOKED);
        for (size_t i = 0; i < N_LINES && r->best[i].row != SIZE_MAX; i++) {
            plens__variant variant = c->model;
            plens__add_edit(&variant, &r->best[i], 0);
            plens__excess after = plens__fit_edits(r, &variant);
            if (after.worst > 1)
                continue;
            plens__tell_edit(c, &variant.edits[0], text, sizeof text);
            plens__name_too(finding, !found, plens__slot_part(variant.edits[0].slot), text, after);
            first = found ? first : variant.edits[0];
            found = 1;
        }
    }
    if (found)
        name_gate_row(r, &first, finding);
    r->kind = PLENS__ENTRIES;
    return found;
}

plens_status plens__fit_entries(plens__case *c, plens__finding *finding, plens_error *error) {
    plens__ranking r;
    char *base;
    plens_status status = plens__rank_open(&r, c, &base, error);
    if (status != PLENS_OK)
        return status;
    plens__rank_sweep(&r, NULL, c->base_departure);
    plens__rank(&r);
    plens__rank_exactly(&r, &c->model, PLENS__N_BEST);
    if (r.best[0].row != SIZE_MAX && !fit_single(&r, finding) && !fit_scaled_line(&r, finding) &&
        !plens__fit_exchange(&r, finding))
        plens__fit_several(&r, finding);
    if (!finding->explained)
        status = plens__fit_line(&r, finding, error);
    plens__free(&c->reference.engine->allocator, base);
    return status;
}
