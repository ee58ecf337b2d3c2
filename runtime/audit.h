/* The audit: plens_audit of plens.h. */
#ifndef PLENS_RUNTIME_AUDIT_H
#define PLENS_RUNTIME_AUDIT_H

#include "loaders/model.h"
#include "runtime/audit_suspects.h"

/* A way in which states can have been made, and what its rounding explains. */
typedef struct plens__making {
    const char *name;
    plens__arithmetic arithmetic;
} plens__making;

#define PLENS__MAKINGS 3

typedef struct plens__audit {
    const plens__engine *engine;
    const plens_model *model;
    const plens_states *states;
    const plens_audit_options *options; /* never NULL */
    plens__weights weights;
    plens__block block;
    plens__case c;
    float *tokens_embedded;       /* [n, d_model] */
    const plens__making *makings; /* [n_makings] that the states' values allow, least noise first */
    size_t n_makings, making;     /* the chosen one */
    plens__format logits_stored;  /* of 16 bits, if the logits are; else EXACT */
    plens_audit_row *rows;        /* [n_layers + 2] */
    plens__excess *excess;        /* [n_layers, PLENS__MAKINGS] */
    double *rounding;             /* [n_layers, PLENS__MAKINGS] */
    double *logits_departure, *logits_made, *logits_noise; /* [n, PLENS__TILE_IDS] */
    double *logits_sums_at;                                /* [PLENS__LOGITS_SUMS_AT, n] */
    plens__noise logits_scale;
    double *alike;         /* [2, n] */
    plens__finding slight; /* explained where steps depart in their sum only, */
    int slight_at_norm;    /* and by the final norm */
} plens__audit;

/* plens_audit of plens.h; options are never NULL. */
plens_status plens__audit_run(const plens__engine *engine, const plens_model *model,
                              const plens_states *states, const plens_audit_options *options,
                              plens_audit_result *result, plens_error *error);

/* ---- the steps ---- */

/* State l of the dump to `to` [n, d_model]. */
void plens__audit_load(const plens__audit *a, size_t l, double *to);
/* Sets a->c up for a block (1..L) and runs the model's own. */
plens_status plens__audit_begin(plens__audit *a, size_t layer, plens_error *error);

/* ---- in what precision (audit_making.c) ---- */

/* Checks that all is finite and finds the makings that the values allow. */
plens_status plens__choose_makings(plens__audit *a, plens_error *error);
/* The making that explains the departures. */
size_t plens__choose_making(const plens__audit *a);
/* Makes it the chosen one: the rows' excess and rounding are then in its terms. */
void plens__set_making(plens__audit *a, size_t making);
plens_status plens__doubt_making(plens__audit *a, plens_error *error);
int plens__as_float(const plens__audit *a); /* 1: the values fill float32 */
const char *plens__making_name(const plens__audit *a);

/* Where each step by itself agrees within the rounding of 16 bits: whether a number that is wrong
 * in all blocks, or the final norm's epsilon, shows in their sum (audit_slight.c). Then a->slight
 * says so and the rows' excess is above 1. */
plens_status plens__find_slight(plens__audit *a, plens_error *error);

/* ---- the verdict (audit_verdict.c) ---- */

plens_status plens__conclude(plens__audit *a, size_t n_rows, plens_audit_result *result,
                             plens_error *error);

/* ---- the ends (audit_embedding.c, audit_logits.c, audit_final_norm.c) ---- */

/* The format in which states are kept, or were stored. */
plens__format plens__format_of(const plens__arithmetic *arithmetic);

/* Fills the row of the embedding; a->c.target holds state 0. */
plens_status plens__audit_embedding(plens__audit *a, plens_audit_row *row, plens_error *error);
/* Says what is wrong with it. */
plens_status plens__explain_embedding(plens__audit *a, plens__finding *finding, plens_error *error);

/* Fills the row of the logits, judged from the last state, which a->c.target holds. */
plens_status plens__audit_logits(plens__audit *a, plens_audit_row *row, plens_error *error);
/* Says what is wrong with them; *at_norm: it is the final norm. */
plens_status plens__explain_logits(plens__audit *a, plens__finding *finding, int *at_norm,
                                   plens_error *error);

/* The epsilon with which position t of states x [n, d] is normed if its norm is `factor` times what
 * it is with the model's; of the position that tells it best: factors [n] = alike / sizes. */
double plens__epsilon_of(const plens__case *c, const double *x, const double *alike,
                         const double *sizes);

/* The i-th mistake that engines make with the final norm: its kind, its epsilon, and what it is, as
 * of "it"; 0 if there is none. */
int plens__norm_mistake(size_t i, double model_eps, plens__norm_kind *kind, double *eps,
                        char *text);
#define PLENS__NORM_MISTAKE_TEXT 96

/* Block L and the final norm as one step, begun in a->c: what mistake of the norm would explain
 * it. */
void plens__explain_final_norm(plens__audit *a, plens__finding *finding);

/* Distances of [n, d] departures from `made`; change is left 0. Call it outside tasks. */
void plens__row_measure(plens_audit_row *row, const double *departure, const double *made,
                        const plens__noise *noise, size_t n, size_t d);

#endif
