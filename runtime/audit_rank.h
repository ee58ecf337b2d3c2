/* Single weights ranked as explanations of a departure. To first order a departure r is explained
 * by adding v to one entry (i, j) of a matrix if r = v J_ij, J_ij the derivative of the block's
 * output. One backward sweep from r gives <r, J_ij> for all entries at once: the sum over positions
 * of the adjoint at output i times the input j. |J_ij|^2 comes the same way from random signs s as
 * seeds: the mean of <s, J_ij>^2 [Hutchinson 1990]. cos^2 of r and J_ij ranks the entries. All
 * products have weights 1 / noise. */
#ifndef PLENS_RUNTIME_AUDIT_RANK_H
#define PLENS_RUNTIME_AUDIT_RANK_H

#include "runtime/audit_suspects.h"

#define PLENS__N_PROBES 16
#define PLENS__N_BEST   512 /* entries that are kept by their estimates */
#define PLENS__N_LOOKED 64  /* candidates of one matrix that are looked at exactly */

typedef enum plens__kind { PLENS__ENTRIES, PLENS__ROWS, PLENS__COLUMNS } plens__kind;

/* A small step for an entry: its derivative is then exact to many digits. */
#define PLENS__SMALL_STEP 1e-5

typedef struct plens__candidate {
    double score; /* estimated cos^2, then exact */
    double step;
    plens__slot slot;
    size_t row, column;
} plens__candidate;

typedef struct plens__ranking {
    plens__case *c;
    plens__adjoint adjoints[1 + PLENS__N_PROBES]; /* of the departure, then of random signs */
    double *seed;                                 /* [n, d_model] */
    double *rest; /* [n, d_model] what the variant fitted last leaves of the departure */
    double *attn_unit, *mlp_unit; /* [n, d_model] the norms' outputs before their weight */
    double *q_unit, *k_unit;      /* [n, n_heads or n_kv_heads, head_dim] the same of the heads' */
    double *backs;                /* [1 + PLENS__N_PROBES, n, d_model] scratch of exchanges */
    double *jacobian;             /* [PLENS__EDITS, n, d_model] scratch of a fit */
    double *rows;                 /* [n_threads, 1 + PLENS__N_PROBES, widest] */
    size_t row_width;
    plens__candidate *best; /* [n_threads, PLENS__N_BEST] by falling score */
    plens__slot slot;
    int only;                  /* a slot, or -1 */
    size_t n_left;             /* how many changes may still be tried from a start */
    size_t n_left_all;         /* and from all starts */
    plens__kind kind;          /* what is ranked: entries, or whole rows or columns of matrices */
    const double *departure;   /* of the last sweep */
    const plens__trace *trace; /* of the run that it is the departure of */
    int probe;
} plens__ranking;

/* Memory for a ranking of c: base, to be freed. */
plens_status plens__rank_open(plens__ranking *r, plens__case *c, char **base, plens_error *error);

/* The sweeps back from a departure [n, d_model], that of `variant`; NULL: the model's own. */
void plens__rank_sweep(plens__ranking *r, const plens__variant *variant, const double *departure);

/* The same without the random signs, whose adjoints stay as they are. */
void plens__rank_sweep_once(plens__ranking *r, const plens__variant *variant,
                            const double *departure);

/* The best entries to r->best[0 .. PLENS__N_BEST) by their estimates; row SIZE_MAX ends them. */
void plens__rank(plens__ranking *r);

/* A ranking of something else: judge, between begin and end, keeps what ranks high. sums[0] is
 * <r, J>, the others, `stride` apart, <s, J>. */
void plens__rank_begin(plens__ranking *r);
void plens__rank_judge(plens__ranking *r, int thread, const double *sums, size_t stride, size_t row,
                       size_t column);
void plens__rank_end(plens__ranking *r);

/* What a matrix multiplies in the model's own block [n, n_in]; and element `row` of the product at
 * position t: the output without the bias. */
const double *plens__input_of(const plens__case *c, plens__slot slot);
double plens__output_of(const plens__case *c, plens__slot slot, size_t t, size_t row);

/* Exact alignments with the departure of the sweep, that of `variant`, in place of the estimates;
 * of so many at most. */
void plens__rank_exactly(plens__ranking *r, const plens__variant *variant, size_t at_most);

/* The same for all entries of the best one's row, where that is cheap: their derivatives are much
 * alike, so that the estimates may leave the right one out. */
void plens__rank_row(plens__ranking *r, const plens__variant *variant);

void plens__add_edit(plens__variant *variant, const plens__candidate *found, double value);

/* Fits the values of the variant's edits, all of one slot, to the departure; what they do not
 * explain becomes r->rest (audit_fit.c). */
plens__excess plens__fit_edits(plens__ranking *r, plens__variant *variant);

/* The same in few steps, to tell which change is the best to add; r->rest is then of no use. */
plens__excess plens__fit_roughly(plens__ranking *r, plens__variant *variant);

/* Tries exchanges of two rows or columns of a matrix (audit_exchange.c). */
int plens__fit_exchange(plens__ranking *r, plens__finding *finding);

/* Fits several changes of one kind in one matrix or vector (audit_pursuit.c). */
void plens__fit_several(plens__ranking *r, plens__finding *finding);

/* Fits whole rows and columns, whatever is wrong in them (audit_line.c). MEMORY if there is none.
 */
plens_status plens__fit_line(plens__ranking *r, plens__finding *finding, plens_error *error);

/* 1 if an entry of the same row of the same matrix comes before the i-th. */
int plens__row_seen(const plens__candidate *best, size_t i);

/* ---- in words (audit_tell.c) ---- */

void plens__tell_edit(const plens__case *c, const plens__edit *edit, char *text, size_t capacity);

/* Several single entries each explain the departure: what they have in common is what is known. The
 * smallest change stands for them. */
void plens__tell_choice(const plens__case *c, const plens__edit *edits, size_t n,
                        plens__finding *finding);

/* A change that explains the departure: it becomes the finding, or where it is not the `first` of
 * its kind it is named beside the others. */
void plens__name_too(plens__finding *finding, int first, const char *part, const char *text,
                     plens__excess after);

/* The variant's edits together. */
void plens__tell_several(const plens__case *c, const plens__variant *variant,
                         plens__finding *finding);

int plens__has_slot(const plens__case *c, plens__slot slot);
const plens__linear *plens__linear_at(const plens__case *c, int slot);

#endif
