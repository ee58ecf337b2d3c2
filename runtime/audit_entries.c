/* A wrong weight among millions, a row, a column, or several of a kind in one matrix: the best of a
 * ranking are fitted to the block itself. */
#include "runtime/fp.h"

#include "runtime/audit_rank.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define N_FITTED 16 /* entries that are fitted in one round */
#define N_LINES  6  /* rows and columns that are fitted */
#define N_LOOKED 64 /* candidates of one matrix that are looked at exactly */

#define N_EXCHANGED 8 /* rows or columns of one matrix that are exchanged with each other */

/* ---- telling it ---- */

/* The value in the file of what an edit changes. */
static double value_in_file(const plens__case *c, const plens__edit *edit) {
    const plens__block *b = c->reference.block;
    if (edit->slot >= PLENS__SLOT_Q_NORM)
        return (double)(edit->slot == PLENS__SLOT_Q_NORM ? b->q_norm : b->k_norm)[edit->row];
    if (edit->slot == PLENS__SLOT_ATTN_NORM)
        return (double)b->attn_norm[edit->row];
    if (edit->slot == PLENS__SLOT_MLP_NORM)
        return (double)b->mlp_norm[edit->row];
    if (edit->slot >= PLENS__SLOT_BIAS)
        return (double)plens__linear_at(c, (int)edit->slot - PLENS__SLOT_BIAS)->bias[edit->row];
    const plens__matrix *matrix = &plens__linear_at(c, (int)edit->slot)->matrix;
    return plens__matrix_at(matrix, edit->row, edit->column);
}

/* A row or a column. */
static void tell_line(const plens__edit *edit, char *text, size_t capacity) {
    char factor[PLENS__NUMBER_TEXT];
    int is_row = edit->row != PLENS__WHOLE_COLUMN, missing = fabs(1 + edit->value) < 0.01;
    snprintf(text, capacity, "%s %zu of %s is %s%s", is_row ? "row" : "column",
             is_row ? edit->row : edit->column, plens__slot_name(edit->slot),
             missing ? "missing (all zeros)" : "multiplied by about ",
             missing ? "" : plens__show_number(1 + edit->value, factor));
}

static void tell_edit(const plens__case *c, const plens__edit *edit, char *text, size_t capacity) {
    if (edit->row == PLENS__WHOLE_COLUMN || edit->column == PLENS__WHOLE_ROW) {
        tell_line(edit, text, capacity);
        return;
    }
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
    const char *what = edits[0].row == PLENS__WHOLE_COLUMN   ? "columns"
                       : edits[0].column == PLENS__WHOLE_ROW ? "rows"
                                                             : "entries";
    int entries = strcmp(what, "entries") == 0 && edits[0].slot < PLENS__N_LINEAR;
    tell_edit(c, &edits[0], first, sizeof first);
    finding->part = plens__slot_part(edits[0].slot);
    if (variant->n_edits == 1)
        snprintf(finding->text, sizeof finding->text, "%s", first);
    else
        snprintf(finding->text, sizeof finding->text, "%zu %s of %s%s%s: %s, and others",
                 variant->n_edits, what, plens__slot_name(edits[0].slot),
                 entries && same_row ? ", all in one row" : "",
                 entries && same_column ? ", all in one column" : "", first);
    if (edits[0].slot == PLENS__SLOT_UP && edits[0].column == PLENS__WHOLE_ROW)
        add_text(finding->text, sizeof finding->text, "; or the same columns of down_proj.weight");
    if (edits[0].slot == PLENS__SLOT_DOWN && edits[0].row == PLENS__WHOLE_COLUMN)
        add_text(finding->text, sizeof finding->text, "; or the same rows of up_proj.weight");
    if ((edits[0].slot == PLENS__SLOT_UP && edits[0].column == PLENS__WHOLE_ROW) ||
        (edits[0].slot == PLENS__SLOT_DOWN && edits[0].row == PLENS__WHOLE_COLUMN))
        add_text(finding->text, sizeof finding->text,
                 fabs(1 + edits[0].value) < 0.01 ? " or gate_proj.weight" : "");
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
            if (i != 1 && row_seen(r->best, i) != (round == 2))
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
        tell_choice(c, explained, n_explained, finding);
    }
    return n_explained > 0;
}

/* A row or column left out, doubled, of the wrong sign or scale; a row of gate_proj that is left
 * out is one of up_proj and a column of down_proj: all are named. The sweeps are those of the
 * departure. */
static int fit_line(plens__ranking *r, plens__finding *finding) {
    plens__case *c = r->c;
    char text[160];
    int found = 0;
    for (r->kind = PLENS__ROWS; r->kind <= PLENS__COLUMNS; r->kind++) {
        plens__rank(r);
        memcpy(c->samples, c->base_departure, c->noise.n * c->noise.d * sizeof(double));
        plens__rank_exactly(r, &c->model, N_LOOKED);
        for (size_t i = 0; i < N_LINES && r->best[i].row != SIZE_MAX; i++) {
            plens__variant variant = c->model;
            plens__add_edit(&variant, &r->best[i], 0);
            plens__excess after = plens__fit_edits(r, &variant);
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
            tell_edit(c, &variant.edits[0], text, sizeof text);
            add_text(finding->text, sizeof finding->text, text);
        }
    }
    r->kind = PLENS__ENTRIES;
    return found;
}

/* ---- two lines exchanged ---- */

/* Two rows or columns that are exchanged are both among the best of their matrix. */
static int fit_exchange(plens__ranking *r, plens__finding *finding) {
    plens__case *c = r->c;
    plens__suspect suspect;
    for (r->kind = PLENS__ROWS; r->kind <= PLENS__COLUMNS; r->kind++) {
        int is_column = r->kind == PLENS__COLUMNS;
        for (r->only = 0; r->only < PLENS__N_LINEAR; r->only++) {
            plens__slot slot = (plens__slot)r->only;
            plens__rank(r);
            for (size_t i = 0; i < N_EXCHANGED * N_EXCHANGED; i++) {
                const plens__candidate *x = &r->best[i / N_EXCHANGED];
                const plens__candidate *y = &r->best[i % N_EXCHANGED];
                if (x >= y || x->row == SIZE_MAX || y->row == SIZE_MAX)
                    continue;
                suspect.variant = c->model;
                suspect.variant.exchange =
                    (plens__exchange){slot, is_column, is_column ? x->column : x->row,
                                      is_column ? y->column : y->row};
                snprintf(suspect.text, sizeof suspect.text, "%s %zu and %zu of %s are exchanged",
                         is_column ? "columns" : "rows", suspect.variant.exchange.a,
                         suspect.variant.exchange.b, plens__slot_name(slot));
                suspect.part = plens__slot_part(slot);
                suspect.mlp_only = plens__slot_is_mlp(slot);
                plens__consider(c, &suspect, finding);
            }
        }
    }
    r->kind = PLENS__ENTRIES;
    r->only = -1;
    return finding->explained;
}

/* ---- several ---- */

/* The first of several changes of one kind in one slot. */
typedef struct start {
    plens__candidate first;
    plens__kind kind;
} start;

#define N_STARTS (PLENS__N_SLOTS + 2 * PLENS__N_LINEAR)

/* A first change explains this share of the squared departure, and each that is added lowers what
 * is left to this share: sixteen alike lower it by a thirtieth. */
#define FIRST_SHARE 0.05
#define NEXT        0.97

/* Choices are made again where they explained this much more than the first. */
#define PROMISING    0.7
#define N_OTHER_ROWS 10
#define EFFORT       6e7 /* multiply-adds of a block, times changes that are tried in all */
#define LEAST_TRIED  16
#define N_TRIED      20 /* changes that are tried from one start: a right one leads to few */

/* The best candidate of each kind in each slot, by falling alignment with the departure. */
static size_t find_starts(plens__ranking *r, start *starts) {
    plens__case *c = r->c;
    size_t n = 0;
    for (r->kind = PLENS__ENTRIES; r->kind <= PLENS__COLUMNS; r->kind++) {
        int n_slots = r->kind == PLENS__ENTRIES ? PLENS__N_SLOTS : PLENS__N_LINEAR;
        for (r->only = 0; r->only < n_slots; r->only++) {
            if (!plens__has_slot(c, (plens__slot)r->only))
                continue;
            plens__rank(r);
            memcpy(c->samples, c->base_departure, c->noise.n * c->noise.d * sizeof(double));
            plens__rank_exactly(r, &c->model, N_LOOKED);
            plens__rank_row(r, &c->model);
            size_t at = n;
            if (r->best[0].row == SIZE_MAX || !(r->best[0].score > FIRST_SHARE))
                continue;
            for (; at > 0 && starts[at - 1].first.score < r->best[0].score; at--)
                starts[at] = starts[at - 1];
            starts[at] = (start){r->best[0], r->kind};
            n++;
        }
    }
    r->kind = PLENS__ENTRIES;
    r->only = -1;
    return n;
}

/* k entries of one row are told by 2k positions at least: k of them explain whatever happened to
 * the row's output at k positions. */
static int is_crowded(const plens__case *c, const plens__variant *variant,
                      const plens__candidate *found) {
    size_t in_row = 1;
    if (found->row == PLENS__WHOLE_COLUMN || found->column == PLENS__WHOLE_ROW)
        return 0;
    for (size_t e = 0; e < variant->n_edits; e++)
        in_row += variant->edits[e].row == found->row;
    return in_row > 1 && 2 * in_row > c->noise.distinct;
}

/* Adds the change that explains most of the rest, which is in c->samples, and fits all values
 * again. */
static plens__excess add_best(plens__ranking *r, plens__variant *variant) {
    plens__case *c = r->c;
    size_t bytes = c->noise.n * c->noise.d * sizeof(double);
    memcpy(r->current, c->samples, bytes);
    plens__rank_sweep(r, variant, r->current);
    plens__rank(r);
    memcpy(c->samples, r->current, bytes);
    plens__rank_exactly(r, variant, N_LOOKED);
    plens__rank_row(r, variant);
    size_t i = 0;
    while (i < PLENS__N_BEST && r->best[i].row != SIZE_MAX && is_crowded(c, variant, &r->best[i]))
        i++;
    if (i < PLENS__N_BEST && r->best[i].row != SIZE_MAX)
        plens__add_edit(variant, &r->best[i], 0);
    r->n_left -= r->n_left > 0;
    r->n_left_all -= r->n_left_all > 0;
    return plens__fit_edits(r, variant);
}

/* Takes each change back in turn and adds the best in its place, while that helps: a first choice
 * is made when little is known. */
static plens__excess reconsider(plens__ranking *r, plens__variant *variant, plens__excess excess) {
    int failed = 0;
    while (r->n_left > 0 && failed < (int)variant->n_edits && excess.worst > 1) {
        plens__variant other = *variant;
        size_t last = other.n_edits - 1;
        memmove(other.edits, other.edits + 1, last * sizeof *other.edits);
        other.edits[last] = variant->edits[0]; /* the oldest becomes the newest, if it stays */
        *variant = other;
        other.n_edits--;
        plens__fit_edits(r, &other);
        plens__excess after = add_best(r, &other);
        failed++;
        if (!(after.all < NEXT * excess.all))
            continue;
        *variant = other;
        excess = after;
        failed = 0;
    }
    return excess;
}

/* Adds changes while that helps: what explains most of the rest, then all values are fitted again
 * [orthogonal matching pursuit: Pati, Rezaiifar & Krishnaprasad 1993]. */
static plens__excess pursue(plens__ranking *r, const start *from, plens__variant *variant) {
    plens__case *c = r->c;
    *variant = c->model;
    r->n_left = N_TRIED < r->n_left_all ? N_TRIED : r->n_left_all;
    plens__add_edit(variant, &from->first, 0);
    plens__excess first = plens__fit_edits(r, variant), excess = first;
    r->only = (int)from->first.slot;
    r->kind = from->kind;
    while (excess.worst > 1 && variant->n_edits < PLENS__EDITS && r->n_left > 0 && !c->stopped) {
        plens__variant more = *variant;
        plens__excess after = add_best(r, &more);
        if (!(after.all < NEXT * excess.all))
            break;
        *variant = more;
        excess = after;
    }
    if (excess.all < PROMISING * first.all && variant->n_edits > 1)
        excess = reconsider(r, variant, excess);
    r->kind = PLENS__ENTRIES;
    r->only = -1;
    return excess;
}

/* Pursues from a start; the finding becomes what it leads to if that is better: then 1. */
static int try_start(plens__ranking *r, const start *from, plens__finding *finding) {
    plens__variant variant;
    plens__excess after = pursue(r, from, &variant);
    if (!(after.all < finding->after.all))
        return 0;
    finding->after = after;
    finding->explained = after.worst <= 1;
    tell_several(r->c, &variant, finding);
    return 1;
}

/* Entries of q and k are alike in what they do, and the best first one may be none of the wrong
 * ones: the best of other rows are tried as well. */
static void try_other_rows(plens__ranking *r, plens__slot slot, plens__finding *finding) {
    plens__case *c = r->c;
    start starts[N_OTHER_ROWS];
    size_t n = 0;
    r->only = (int)slot;
    plens__rank_sweep(r, NULL, c->base_departure);
    plens__rank(r);
    memcpy(c->samples, c->base_departure, c->noise.n * c->noise.d * sizeof(double));
    plens__rank_exactly(r, &c->model, PLENS__N_BEST);
    for (size_t i = 0; i < PLENS__N_BEST && r->best[i].row != SIZE_MAX && n < N_OTHER_ROWS; i++) {
        if (!row_seen(r->best, i))
            starts[n++] = (start){r->best[i], PLENS__ENTRIES};
    }
    for (size_t i = 1; i < n && !finding->explained && !c->stopped; i++)
        try_start(r, &starts[i], finding);
    r->only = -1;
}

static void fit_several(plens__ranking *r, plens__finding *finding) {
    plens__case *c = r->c;
    start starts[N_STARTS];
    size_t n = find_starts(r, starts), best = n;
    double tried = EFFORT / plens__case_effort(c);
    r->n_left_all = tried < LEAST_TRIED ? LEAST_TRIED : tried < 1e4 ? (size_t)tried : 10000;
    for (size_t i = 0; i < n && !finding->explained && !c->stopped; i++) {
        if (try_start(r, &starts[i], finding))
            best = i;
    }
    if (best < n && !finding->explained && starts[best].kind == PLENS__ENTRIES &&
        starts[best].first.slot < PLENS__N_LINEAR &&
        finding->after.all < PROMISING * finding->before.all)
        try_other_rows(r, starts[best].first.slot, finding);
}

plens_status plens__fit_entries(plens__case *c, plens__finding *finding, plens_error *error) {
    plens__ranking r;
    char *base;
    size_t bytes = c->noise.n * c->noise.d * sizeof(double);
    plens_status status = plens__rank_open(&r, c, &base, error);
    if (status != PLENS_OK)
        return status;
    plens__rank_sweep(&r, NULL, c->base_departure);
    plens__rank(&r);
    memcpy(c->samples, c->base_departure, bytes);
    plens__rank_exactly(&r, &c->model, PLENS__N_BEST);
    if (r.best[0].row != SIZE_MAX && !fit_single(&r, finding) && !fit_line(&r, finding) &&
        !fit_exchange(&r, finding))
        fit_several(&r, finding);
    plens__free(&c->reference.engine->allocator, base);
    return PLENS_OK;
}
