/* loaders/config*.c: any bytes as config.json. What is accepted can be computed with: no size is 0,
 * none wraps around, no number is NaN. */
#include "tests/fuzz/fuzz.h"

#include "loaders/config.h"

static int is_size(size_t size) {
    return size >= 1 && size <= INT32_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    plens__config c;
    plens_error error;
    fuzz_write("config.json", data, n);
    if (!fuzz_ok(plens__config_load(&heap, fuzz_folder(), &c, &error), &error))
        return 0;
    FUZZ_CHECK(is_size(c.n_layers) && is_size(c.d_model) && is_size(c.d_ff));
    FUZZ_CHECK(is_size(c.vocab_size) && is_size(c.n_heads) && is_size(c.n_kv_heads));
    FUZZ_CHECK(is_size(c.head_dim) && c.head_dim % 2 == 0 && c.n_heads % c.n_kv_heads == 0);
    FUZZ_CHECK(is_size(c.n_heads * c.head_dim));
    FUZZ_CHECK(c.rms_norm_eps >= 0 && c.rope_theta > 0);
    FUZZ_CHECK(c.rope_type == PLENS__ROPE_DEFAULT || c.rope_factor > 0);
    FUZZ_CHECK(c.rope_type != PLENS__ROPE_LLAMA3 ||
               (c.rope_low_freq_factor > 0 && c.rope_low_freq_factor < c.rope_high_freq_factor &&
                c.rope_original_positions > 0));
    FUZZ_CHECK(plens__architecture_name(c.architecture) != NULL);
    FUZZ_CHECK(plens__rope_type_name(c.rope_type) != NULL);
    for (size_t l = 0; l < c.n_layers; l++)
        FUZZ_CHECK(c.windows[l] <= INT32_MAX);
    plens__config_free(&heap, &c);
    return 0;
}
