/* Transcendental functions of our own, in double: libm's differ between systems. Used for rotary
 * tables and to combine the vocabulary's blocks. Only +, -, *, /, fma and bit operations, so the
 * same bits everywhere; call them inside a task (engine.h). */
#ifndef PLENS_RUNTIME_NUMERIC_H
#define PLENS_RUNTIME_NUMERIC_H

double plens__exp(double x);                                /* error below 1 ulp; under- and
                                                               overflow to 0 and infinity */
double plens__log(double x);                                /* x > 0; error below 1 ulp */
void plens__sincos(double x, double *sine, double *cosine); /* |x| <= 2^27; error below 1 ulp */

#endif
