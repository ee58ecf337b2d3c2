/* Logits made from the last state in some way, and compared with the dump's: what the judgement of
 * the logits (audit_logits.c) and the search for a cause (audit_logits_cause.c) share. */
#ifndef PLENS_RUNTIME_AUDIT_LOGITS_H
#define PLENS_RUNTIME_AUDIT_LOGITS_H

#include "runtime/audit.h"

/* One way of making logits from the last state. */
typedef struct plens__logits_way {
    int normed; /* the state is through the final norm already; else: */
    plens__norm_kind kind;
    const float *weight; /* of the norm; NULL: the model's */
    double eps;
    int shift;  /* the row of id i is taken for id i + shift */
    int tied;   /* the embedding's rows are used for an untied unembedding */
    int later;  /* position t has the logits of position t + this, in a circle: -1, 0, 1 */
    double cap; /* cap * tanh(logits / cap); 0: none */
} plens__logits_way;

/* What a way's logits, `made`, and the dump's, `found`, say. */
typedef struct plens__logits_sums {
    plens__excess worst;           /* of any tile of the vocabulary */
    size_t n_wrong, first_wrong;   /* token ids whose logits depart */
    double departed, size, alike;  /* (found - made)^2, made^2, found * made */
    double rounding;               /* what rounding makes of departed */
    double found_rounding;         /* what storing what was found adds to it */
    double varied;                 /* departures less each id's mean over positions, squared */
    double largest, largest_found; /* made, in absolute value, and what was found there */
    double smallest;               /* found */
    double *departed_at, *size_at; /* [n_ids] the sums of each position */
    double *alike_at, *shift_at, *sum_at; /* [n_ids] found * made, found - made, found */
} plens__logits_sums;

#define PLENS__LOGITS_SUMS_AT 5 /* sums of each position */

/* As the model says. */
plens__logits_way plens__logits_way_of_model(const plens__audit *a);

/* Makes logits and compares them; the row gets the distances and the excess. */
plens_status plens__run_logits(plens__audit *a, const plens__logits_way *way, plens_audit_row *row,
                               plens__logits_sums *sums, plens_error *error);

/* Tries a way; if it agrees with the logits, the text is the finding. */
plens_status plens__try_logits(plens__audit *a, const plens__logits_way *way, const char *text,
                               plens__finding *finding, plens_error *error);

/* Rows [first, first + n) of the way's matrix. */
plens_status plens__read_unembed(plens__audit *a, const plens__logits_way *way, size_t first,
                                 size_t n, plens__matrix *rows, plens_error *error);

/* Logits by `way` (which says what the model does) from a raw state: is it the final norm's epsilon
 * or its weight? alike [n] and sizes [n]: <found, made> and <made, made> of each position's logits.
 * (audit_norm_by_logits.c) */
plens_status plens__explain_norm_by_logits(plens__audit *a, const plens__logits_way *way,
                                           const double *alike, const double *sizes,
                                           plens__finding *finding, plens_error *error);

#endif
