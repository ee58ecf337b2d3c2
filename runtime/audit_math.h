/* Activations in double, and what the audit's files share of the block's geometry. */
#ifndef PLENS_RUNTIME_AUDIT_MATH_H
#define PLENS_RUNTIME_AUDIT_MATH_H

#include "runtime/audit_block.h"

/* The activation of one value, error below 1e-12; call it inside a task. */
double plens__activate(plens__activation activation, double x);
double plens__silu_slope(double x); /* the derivative of x / (1 + e^-x) */

/* Which query, key and value heads make up head `head` of z. */
void plens__heads_of(const plens__config *config, const plens__variant *variant, size_t head,
                     size_t *query, size_t *key, size_t *value);

/* The positions [first, end) that a query at `position` attends to, at least one. */
void plens__visible(const plens__variant *variant, size_t n, size_t position, size_t *first,
                    size_t *end);

/* Turns the head of one position back: the adjoint of its rotation. Call it inside a task. */
void plens__rotate_back(const plens__config *config, double position, double *head);

/* The adjoint of y = x r weight, r = 1 / rms(x): adds the gradient with respect to x [n] to `to`.
 */
void plens__norm_back_row(const double *x, const double *gradient, const float *weight, size_t n,
                          double eps, double *to);

#endif
