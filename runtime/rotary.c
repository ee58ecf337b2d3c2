#include "runtime/fp.h"

#include "runtime/rotary.h"

#include "runtime/numeric.h"

static const double two_pi = 6.283185307179586476925;

/* Llama 3.1's scaling of one frequency f with wavelength 2 pi / f. */
static double scale_llama3(const plens__config *config, double f) {
    double wavelength = two_pi / f;
    double low = config->rope_low_freq_factor, high = config->rope_high_freq_factor;
    if (wavelength < config->rope_original_positions / high)
        return f;
    if (wavelength > config->rope_original_positions / low)
        return f / config->rope_factor;
    double smooth = (config->rope_original_positions / wavelength - low) / (high - low);
    return (1 - smooth) * (f / config->rope_factor) + smooth * f;
}

/* Frequency i of head_dim / 2, base^(-2 i / head_dim), scaled. */
static float inverse_frequency(const plens__config *config, size_t i) {
    double exponent = (double)(2 * i) / (double)config->head_dim;
    double f = plens__exp(-exponent * plens__log(config->rope_theta));
    if (config->rope_type == PLENS__ROPE_LINEAR)
        f = f / config->rope_factor;
    if (config->rope_type == PLENS__ROPE_LLAMA3)
        f = scale_llama3(config, f);
    return (float)f;
}

void plens__rotary_tables(const plens__config *config, size_t n_positions, float *cosine,
                          float *sine) {
    size_t half = config->head_dim / 2;
    for (size_t i = 0; i < half; i++) {
        float frequency = inverse_frequency(config, i);
        for (size_t p = 0; p < n_positions; p++) {
            float angle = (float)p * frequency;
            double s, c;
            plens__sincos((double)angle, &s, &c);
            sine[p * half + i] = (float)s;
            cosine[p * half + i] = (float)c;
        }
    }
}
