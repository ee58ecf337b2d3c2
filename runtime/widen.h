/* bf16 and f16 to float, exactly: bit operations alone, so no floating-point state matters. */
#ifndef PLENS_RUNTIME_WIDEN_H
#define PLENS_RUNTIME_WIDEN_H

#include <string.h>

#include "plens.h"

static inline float plens__float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t plens__bits_of_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline uint32_t plens__widen_bf16_bits(uint16_t half) {
    return (uint32_t)half << 16;
}

/* IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. */
static inline uint32_t plens__widen_f16_bits(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = (half >> 10) & 31;
    uint32_t fraction = half & 0x3FF;
    if (exponent == 31) /* infinite or NaN */
        return sign | 0x7F800000 | fraction << 13;
    if (exponent == 0) {
        if (fraction == 0)
            return sign;
        exponent = 1; /* denormal: shift the leading one into place */
        while ((fraction & 0x400) == 0) {
            fraction <<= 1;
            exponent--;
        }
        fraction &= 0x3FF;
    }
    return sign | (exponent + 112) << 23 | fraction << 13;
}

/* to[i] = from[i] for n elements; from need not be aligned. */
static inline void plens__widen(plens_dtype dtype, const void *from, size_t n, float *to) {
    if (dtype == PLENS_F32) {
        memcpy(to, from, n * sizeof(float));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, (const char *)from + 2 * i, sizeof half);
        uint32_t bits =
            dtype == PLENS_BF16 ? plens__widen_bf16_bits(half) : plens__widen_f16_bits(half);
        memcpy(to + i, &bits, sizeof bits);
    }
}

#endif
