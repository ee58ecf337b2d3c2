/* A run of the reference block under way: what audit_block.c and audit_attention.c share. */
#ifndef PLENS_RUNTIME_AUDIT_STEP_H
#define PLENS_RUNTIME_AUDIT_STEP_H

#include "runtime/audit_block.h"

typedef struct plens__step {
    const plens__reference *reference;
    const plens__variant *variant;
    const plens__arithmetic *arithmetic;
    const double *x;
    plens__trace *trace;
    /* of a norm */
    const double *from;
    const float *weight, *other;
    plens__norm_kind norm;
    double eps;
    /* of a rotation; also where a step writes to */
    double *to;
    size_t n_heads;
    int is_query;
    /* of an addition */
    const double *added;
    double skip, out;
} plens__step;

/* The result of an operation, the at-th that the run rounds, in its arithmetic. */
double plens__round_result(const plens__step *s, size_t at, double x);

/* s->norm of one row x [n] to y [n]; y may be x. Call it inside a task. */
void plens__norm_row(const plens__step *s, plens__slot slot, const double *x, size_t n, size_t at,
                     double *y);

/* trace->q and k to q_rotated and k_rotated: their norm where there is one, and the rotation. */
void plens__step_rotate(plens__step *s);

/* trace->q_rotated, k_rotated and v to z. */
void plens__step_attend(plens__step *s);

#endif
