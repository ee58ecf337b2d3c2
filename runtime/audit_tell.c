/* Wrong entries, rows and columns of a block's matrices and vectors, in words. */
#include "runtime/fp.h"

#include "runtime/audit_rank.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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
    char factor[PLENS__NUMBER_TEXT], one[PLENS__NUMBER_TEXT];
    int is_row = edit->row != PLENS__WHOLE_COLUMN, missing = fabs(1 + edit->value) < 0.01;
    plens__show_both(1 + edit->value, 1, factor, one);
    snprintf(text, capacity, "%s %zu of %s is %s%s", is_row ? "row" : "column",
             is_row ? edit->row : edit->column, plens__slot_name(edit->slot),
             missing ? "missing (all zeros)" : "multiplied by about ", missing ? "" : factor);
}

void plens__tell_edit(const plens__case *c, const plens__edit *edit, char *text, size_t capacity) {
    if (edit->row == PLENS__WHOLE_COLUMN || edit->column == PLENS__WHOLE_ROW) {
        tell_line(edit, text, capacity);
        return;
    }
    char found[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT], column[32] = "";
    double value = value_in_file(c, edit);
    if (edit->slot < PLENS__N_LINEAR)
        snprintf(column, sizeof column, ", %zu", edit->column);
    plens__show_both(value + edit->value, value, found, expected);
    snprintf(text, capacity, "%s[%zu%s] is about %s, expected %s", plens__slot_name(edit->slot),
             edit->row, column, found, expected);
}

void plens__tell_choice(const plens__case *c, const plens__edit *edits, size_t n,
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
            plens__append(names, sizeof names, "%s%s", told == 0 ? "" : " or ",
                          plens__slot_name(edits[i].slot));
        }
        told |= 1u << edits[i].slot;
    }
    finding->part = same_part ? plens__slot_part(edits[0].slot) : "attention or MLP";
    plens__tell_edit(c, &edits[least], first, sizeof first);
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

void plens__name_too(plens__finding *finding, int first, const char *part, const char *text,
                     plens__excess after) {
    if (first || after.all < finding->after.all)
        finding->after = after;
    if (first)
        finding->text[0] = '\0';
    finding->part = first || strcmp(part, finding->part) == 0 ? part : "attention or MLP";
    finding->explained = 1;
    plens__append(finding->text, sizeof finding->text, "%s%s", first ? "" : "; or ", text);
}

/* A row that makes an element which a column alone reads: what happens to the one may have happened
 * to the other, and to gate_proj's row where the element is 0. */
static void tell_mirror(const plens__case *c, const plens__edit *edit, plens__finding *finding) {
    const plens__config *config = c->reference.config;
    int is_row = edit->column == PLENS__WHOLE_ROW, missing = fabs(1 + edit->value) < 0.01;
    plens__slot row = PLENS__SLOT_UP, column = PLENS__SLOT_DOWN;
    if (edit->slot == PLENS__SLOT_V || edit->slot == PLENS__SLOT_O) {
        row = PLENS__SLOT_V;
        column = PLENS__SLOT_O;
    }
    if (edit->slot != (is_row ? row : column) || (!is_row && edit->row != PLENS__WHOLE_COLUMN) ||
        (row == PLENS__SLOT_V && config->n_kv_heads != config->n_heads))
        return;
    plens__append(finding->text, sizeof finding->text, "; or the same %s of %s%s",
                  is_row ? "columns" : "rows", plens__slot_name(is_row ? column : row),
                  missing && row == PLENS__SLOT_UP ? " or gate_proj.weight" : "");
}

void plens__tell_several(const plens__case *c, const plens__variant *variant,
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
    plens__tell_edit(c, &edits[0], first, sizeof first);
    finding->part = plens__slot_part(edits[0].slot);
    finding->n_fitted = variant->n_edits;
    if (variant->n_edits == 1)
        snprintf(finding->text, sizeof finding->text, "%s", first);
    else
        snprintf(finding->text, sizeof finding->text, "%zu %s of %s%s%s: %s, and others",
                 variant->n_edits, what, plens__slot_name(edits[0].slot),
                 entries && same_row ? ", all in one row" : "",
                 entries && same_column ? ", all in one column" : "", first);
    tell_mirror(c, &edits[0], finding);
}
