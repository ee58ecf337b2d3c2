/* The vector of vector_body.h for NEON: four registers. Included by neon.c, which defines INLINE
 * and UNROLL. */

typedef struct vec {
    float32x4_t part[4];
} vec;

typedef struct vecd {
    float64x2_t part[8];
} vecd;

INLINE vec load(const float *p) {
    vec v;
    UNROLL
    for (int i = 0; i < 4; i++)
        v.part[i] = vld1q_f32(p + 4 * i);
    return v;
}

INLINE void store(float *p, vec v) {
    UNROLL
    for (int i = 0; i < 4; i++)
        vst1q_f32(p + 4 * i, v.part[i]);
}

INLINE vec all(float x) {
    vec v;
    UNROLL
    for (int i = 0; i < 4; i++)
        v.part[i] = vdupq_n_f32(x);
    return v;
}

/* There are no masked loads and stores: the ends of arrays go through memory of full length. */
INLINE vec load_part(const float *p, size_t n, float fill) {
    float padded[PLENS__LANES];
    store(padded, all(fill));
    memcpy(padded, p, n * sizeof *p);
    return load(padded);
}

INLINE void store_part(float *p, size_t n, vec v) {
    float padded[PLENS__LANES];
    store(padded, v);
    memcpy(p, padded, n * sizeof *p);
}

INLINE vec keep(vec v, size_t n) {
    float padded[PLENS__LANES];
    store(padded, all(0));
    store_part(padded, n, v);
    return load(padded);
}

/* One instruction on each of the four registers. */
#define LANEWISE_1(name, instruction)                                                              \
    INLINE vec name(vec a) {                                                                       \
        UNROLL                                                                                     \
        for (int i = 0; i < 4; i++)                                                                \
            a.part[i] = instruction(a.part[i]);                                                    \
        return a;                                                                                  \
    }
#define LANEWISE_2(name, instruction)                                                              \
    INLINE vec name(vec a, vec b) {                                                                \
        UNROLL                                                                                     \
        for (int i = 0; i < 4; i++)                                                                \
            a.part[i] = instruction(a.part[i], b.part[i]);                                         \
        return a;                                                                                  \
    }

/* Not vmaxq and vminq, which return a NaN if either is one. */
INLINE float32x4_t larger_four(float32x4_t a, float32x4_t b) {
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

INLINE float32x4_t smaller_four(float32x4_t a, float32x4_t b) {
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

INLINE float32x4_t power(uint32x4_t exponent) {
    return vreinterpretq_f32_u32(vshlq_n_u32(exponent, 23));
}

INLINE float32x4_t scale_four(float32x4_t p, float32x4_t t) {
    uint32x4_t shifted = vandq_u32(vreinterpretq_u32_f32(t), vdupq_n_u32(PLENS__EXP_MASK));
    uint32x4_t a = vsubq_u32(vshrq_n_u32(shifted, 1), vdupq_n_u32(1));
    uint32x4_t b = vsubq_u32(vsubq_u32(shifted, a), vdupq_n_u32(2));
    return vmulq_f32(vmulq_f32(p, power(a)), power(b));
}

LANEWISE_2(plus, vaddq_f32)
LANEWISE_2(minus, vsubq_f32)
LANEWISE_2(times, vmulq_f32)
LANEWISE_2(over, vdivq_f32)
LANEWISE_1(root, vsqrtq_f32)
LANEWISE_1(negative, vnegq_f32)
LANEWISE_2(larger, larger_four)
LANEWISE_2(smaller, smaller_four)
LANEWISE_2(scale_by, scale_four)

INLINE vec fused(vec a, vec b, vec c) {
    UNROLL
    for (int i = 0; i < 4; i++)
        c.part[i] = vfmaq_f32(c.part[i], a.part[i], b.part[i]);
    return c;
}

/* Masks of lanes as 16 bits: lane i of register p keeps bit 4 p + i, then all are added. */
INLINE unsigned bits_of(const uint32x4_t mask[4]) {
    const uint32_t first[4] = {1, 2, 4, 8};
    uint32x4_t weight = vld1q_u32(first), bits = vandq_u32(mask[0], weight);
    bits = vorrq_u32(bits, vandq_u32(mask[1], vshlq_n_u32(weight, 4)));
    bits = vorrq_u32(bits, vandq_u32(mask[2], vshlq_n_u32(weight, 8)));
    bits = vorrq_u32(bits, vandq_u32(mask[3], vshlq_n_u32(weight, 12)));
    return vaddvq_u32(bits);
}

INLINE unsigned greater(vec a, vec b) {
    uint32x4_t mask[4];
    UNROLL
    for (int i = 0; i < 4; i++)
        mask[i] = vcgtq_f32(a.part[i], b.part[i]);
    return bits_of(mask);
}

/* The steps + 8 and + 4 of the tree. */
INLINE float32x4_t tree_to_four(vec v) {
    return vaddq_f32(vaddq_f32(v.part[0], v.part[2]), vaddq_f32(v.part[1], v.part[3]));
}

INLINE float32x4_t low_halves(float32x4_t a, float32x4_t b) {
    return vcombine_f32(vget_low_f32(a), vget_low_f32(b));
}

INLINE float32x4_t high_halves(float32x4_t a, float32x4_t b) {
    return vcombine_f32(vget_high_f32(a), vget_high_f32(b));
}

INLINE float tree(vec v) {
    float32x4_t four = tree_to_four(v);
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vpadds_f32(two);
}

INLINE float largest(vec v) {
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(v.part[0], v.part[2]), vmaxq_f32(v.part[1], v.part[3])));
}

/* The steps + 2 and + 1 of four trees at once. */
INLINE vec tree_each(const vec v[16]) {
    vec sums;
    UNROLL
    for (int i = 0; i < 4; i++) {
        float32x4_t a = tree_to_four(v[4 * i]), b = tree_to_four(v[4 * i + 1]);
        float32x4_t c = tree_to_four(v[4 * i + 2]), d = tree_to_four(v[4 * i + 3]);
        sums.part[i] = vpaddq_f32(vaddq_f32(low_halves(a, b), high_halves(a, b)),
                                  vaddq_f32(low_halves(c, d), high_halves(c, d)));
    }
    return sums;
}

INLINE vecd no_doubles(void) {
    vecd d;
    UNROLL
    for (int i = 0; i < 8; i++)
        d.part[i] = vdupq_n_f64(0);
    return d;
}

INLINE vecd widen(vec v) {
    vecd d;
    UNROLL
    for (int i = 0; i < 4; i++) {
        d.part[2 * i] = vcvt_f64_f32(vget_low_f32(v.part[i]));
        d.part[2 * i + 1] = vcvt_high_f64_f32(v.part[i]);
    }
    return d;
}

INLINE vecd plus_double(vecd d, vec a) {
    vecd wide = widen(a);
    UNROLL
    for (int i = 0; i < 8; i++)
        d.part[i] = vaddq_f64(d.part[i], wide.part[i]);
    return d;
}

INLINE vecd plus_product(vecd d, vec a, vec b) {
    vecd x = widen(a), y = widen(b);
    UNROLL
    for (int i = 0; i < 8; i++)
        d.part[i] = vfmaq_f64(d.part[i], x.part[i], y.part[i]);
    return d;
}

INLINE double tree_double(vecd v) {
    UNROLL
    for (int width = 4; width > 0; width /= 2) {
        UNROLL
        for (int i = 0; i < width; i++)
            v.part[i] = vaddq_f64(v.part[i], v.part[i + width]);
    }
    return vpaddd_f64(v.part[0]);
}
