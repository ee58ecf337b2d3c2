/* One step of a dump under suspicion: what went in, what came out, what rounding would explain, and
 * how well a variant of the block explains the rest. */
#ifndef PLENS_RUNTIME_AUDIT_CASE_H
#define PLENS_RUNTIME_AUDIT_CASE_H

#include "runtime/audit_block.h"

/* What rounding alone would do to the entries of a departure [n, d]: entry (t, j) is of the size
 * position[t] * column[j]. */
typedef struct plens__noise {
    size_t n, d;
    size_t distinct;  /* positions whose errors are their own: like states are rounded alike */
    double *position; /* [n] */
    double *column;   /* [d] 1 for an ordinary one, larger for a noisier one */
} plens__noise;

/* A departure measured against what rounding explains. */
typedef struct plens__excess {
    double all; /* the root of the mean square of entry / noise */
    /* the largest of these, each divided by its limit: `all`; the same of one position, of one
     * column; one entry. Above 1 rounding does not explain it. */
    double worst;
} plens__excess;

/* The block (or the block and the final norm) whose output departs. */
typedef struct plens__case {
    plens__reference reference;
    double *x, *target;      /* [n, d_model] the dump's input and output: to be filled */
    const float *final_norm; /* NULL: the target is the raw output */
    plens__norm_kind final_kind;
    double final_eps;
    const plens__arithmetic *arithmetic; /* in which the dump was made */
    plens__variant model;                /* the block as the model says */
    plens__trace base;                   /* its run, exact */
    plens__trace trial;                  /* of the variant in hand */
    double *base_output;                 /* [n, d_model] the model's own, final norm included */
    double *normed;                      /* [n, d_model] what final_norm makes of the trial */
    double *departure;                   /* [n, d_model] target - output, of the variant in hand */
    double *base_departure;              /* of the model's own block */
    double *blurred, *samples, *trial_output, *slope_output; /* [n, d_model] scratch of the noise */
    plens__noise noise, trial_noise;
    int (*poll)(void *user); /* asked before each trial: not 0 stops the search; NULL: none */
    void *poll_user;
    int stopped; /* what trials give is then worth nothing; they cost nothing either */
} plens__case;

void plens__case_carve(plens__case *c, const plens__engine *engine, const plens__config *config,
                       size_t n, plens__carver *carver);

/* Runs the model's own block on c->x: base, base_departure, and the noise of c->arithmetic. */
void plens__case_begin(plens__case *c);

/* Multiply-adds of one run of the block, as far as its matrices go. */
double plens__case_effort(const plens__case *c);

/* Estimates the noise of c->arithmetic again, after it has changed. */
void plens__case_estimate(plens__case *c);

/* A departure that rounding in c->arithmetic alone makes, to c->departure: at random, another for
 * each seed; seed 0: to nearest. */
void plens__case_imitate(plens__case *c, uint64_t seed);

/* What a stored state [n, d_model] may have been before it was rounded, to c->blurred. */
void plens__case_blur(plens__case *c, const double *state, uint64_t seed);

/* The output of a variant, final norm included: [n, d_model], valid until the next run. mlp_only:
 * its attention is the model's. */
const double *plens__case_output(plens__case *c, const plens__variant *variant, int mlp_only);

/* Runs a variant: fills departure and measures it against the model's noise. */
plens__excess plens__case_measure(plens__case *c, const plens__variant *variant, int mlp_only);

/* The same to the last: where it brings the departure down far, the
 * noise is estimated anew from the variant itself. */
plens__excess plens__case_try(plens__case *c, const plens__variant *variant, int mlp_only);

/* The departure of the model's own block against the rounding of an arithmetic in attention and of
 * one in the rest; and how likely such rounding is to have this pattern over positions and columns,
 * whatever its size. */
plens__excess plens__case_try_rounding(plens__case *c, const plens__arithmetic *attention,
                                       const plens__arithmetic *rest, double *log_likelihood);

/* Sets noise->distinct for the rows [n, d] that it is the noise of; call it inside a task. */
void plens__count_distinct(plens__noise *noise, const double *rows);

/* How large the root of the mean square of k entries / noise may be if all is rounding. */
double plens__noise_limit(size_t k);

plens__excess plens__excess_of(const plens__noise *noise, const double *departure);

#endif
