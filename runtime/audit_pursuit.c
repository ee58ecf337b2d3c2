/* Several wrong entries, rows or columns of one matrix: changes are added one by one while that
 * helps [orthogonal matching pursuit: Pati, Rezaiifar & Krishnaprasad 1993]. */
#include "runtime/fp.h"

#include "runtime/audit_rank.h"

#include <string.h>

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
#define EFFORT       2e8 /* multiply-adds of a block, times changes that are tried in all */
#define LEAST_TRIED  16
#define MOST_TRIED   1200
#define WIDTH        12 /* changes that are tried beside the first */
#define N_TRIED      60 /* changes that are tried from one start: a right one leads to few */

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
            plens__rank_exactly(r, &c->model, PLENS__N_LOOKED);
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

/* How many changes are fitted before one is chosen as the next to k others: what explains most of
 * the rest by itself need not be what does so beside them, and a wrong second leads nowhere. */
static size_t n_tried_beside(const plens__ranking *r, size_t k) {
    size_t wanted = k < 2 ? WIDTH : k < WIDTH / 2 ? WIDTH / k : 2, affordable = 1 + r->n_left / 4;
    return wanted < affordable ? wanted : affordable;
}

/* Adds the change that explains most of the rest beside the others, all values fitted again. */
static plens__excess add_best(plens__ranking *r, plens__variant *variant) {
    plens__case *c = r->c;
    plens__variant chosen = *variant;
    plens__excess least = {1e300, 1e300};
    size_t n = n_tried_beside(r, variant->n_edits), tried = 0;
    plens__rank_sweep(r, variant, r->rest);
    plens__rank(r);
    plens__rank_exactly(r, variant, PLENS__N_LOOKED);
    plens__rank_row(r, variant);
    for (size_t i = 0; i < PLENS__N_BEST && r->best[i].row != SIZE_MAX && tried < n; i++) {
        plens__variant more = *variant;
        if (is_crowded(c, variant, &r->best[i]))
            continue;
        plens__add_edit(&more, &r->best[i], 0);
        plens__excess after = plens__fit_roughly(r, &more);
        tried++;
        if (!(after.all < least.all))
            continue;
        least = after;
        chosen = more;
    }
    r->n_left = r->n_left > tried ? r->n_left - tried : 0;
    *variant = chosen;
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
    size_t given = N_TRIED < r->n_left_all ? N_TRIED : r->n_left_all;
    r->n_left = given;
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
    r->n_left_all -= given - r->n_left;
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
    plens__tell_several(r->c, &variant, finding);
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
    plens__rank_exactly(r, &c->model, PLENS__N_BEST);
    for (size_t i = 0; i < PLENS__N_BEST && r->best[i].row != SIZE_MAX && n < N_OTHER_ROWS; i++) {
        if (!plens__row_seen(r->best, i))
            starts[n++] = (start){r->best[i], PLENS__ENTRIES};
    }
    for (size_t i = 1; i < n && !finding->explained && !c->stopped; i++)
        try_start(r, &starts[i], finding);
    r->only = -1;
}

void plens__fit_several(plens__ranking *r, plens__finding *finding) {
    plens__case *c = r->c;
    start starts[N_STARTS];
    size_t n = find_starts(r, starts), best = n;
    double tried = EFFORT / plens__case_effort(c);
    r->n_left_all = tried < LEAST_TRIED  ? LEAST_TRIED
                    : tried < MOST_TRIED ? (size_t)tried
                                         : MOST_TRIED;
    for (size_t i = 0; i < n && !finding->explained && !c->stopped; i++) {
        if (try_start(r, &starts[i], finding))
            best = i;
    }
    if (best < n && !finding->explained && starts[best].kind == PLENS__ENTRIES &&
        starts[best].first.slot < PLENS__N_LINEAR &&
        finding->after.all < PROMISING * finding->before.all)
        try_other_rows(r, starts[best].first.slot, finding);
}
