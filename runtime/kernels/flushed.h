/* Float arithmetic that flushes denormals as product.h defines it for bf16 and bf16x3, in plain C
 * and under any mode of the processor: what the definition is made of, and what stands in where a
 * processor's own flushing is of another kind. */
#ifndef PLENS_RUNTIME_KERNELS_FLUSHED_H
#define PLENS_RUNTIME_KERNELS_FLUSHED_H

#include <math.h>

#include "runtime/kernels/product.h"
#include "runtime/widen.h"

/* Denormals become a zero of their sign. */
static inline float plens__flushed(float x) {
    uint32_t bits = plens__bits_of_float(x);
    return (bits & 0x7F800000) == 0 ? plens__float_of_bits(bits & 0x80000000) : x;
}

/* a b + c. In double a b is exact, and so is the sum where it is small enough to be flushed (a b
 * has 16 bits, c is 0 or at least 2^-126). What rounds to 2^-126 or more stays: 2^-126 less half of
 * the distance to the next float below it, were exponents without end. That last step is not left
 * to fmaf: AArch64's flushes before it rounds, if the caller's mode is to flush. */
static inline float plens__flushed_step(float a, float b, float c) {
    a = plens__flushed(a);
    b = plens__flushed(b);
    double sum = (double)a * (double)b + (double)c;
    if (sum != 0 && fabs(sum) <= 0x1p-126) {
        float magnitude = fabs(sum) < 0x1.ffffffp-127 ? 0.0f : 0x1p-126f;
        return sum < 0 ? -magnitude : magnitude;
    }
    return fmaf(a, b, c);
}

/* a + b. A denormal sum of floats is exact. */
static inline float plens__flushed_sum(float a, float b) {
    return plens__flushed(plens__flushed(a) + plens__flushed(b));
}

/* c + (e + o) over one block of 32 k of one element; successive k of w lie w_step floats apart. */
static inline float plens__flushed_block(const float *x, const float *w, size_t w_step, float c) {
    float chain[2] = {0, 0};
    for (size_t i = 0; i < PLENS__BLOCK_K; i++)
        chain[i % 2] = plens__flushed_step(x[i], w[i * w_step], chain[i % 2]);
    return plens__flushed_sum(c, plens__flushed_sum(chain[0], chain[1]));
}

#endif
