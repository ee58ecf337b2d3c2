/* config.json of a Hugging Face folder, in the styles of Transformers 4.x and 5.x. */
#ifndef PLENS_LOADERS_CONFIG_H
#define PLENS_LOADERS_CONFIG_H

#include "loaders/base.h"

typedef enum plens__architecture {
    PLENS__LLAMA, /* LlamaForCausalLM */
    PLENS__MISTRAL,
    PLENS__QWEN2,
    PLENS__QWEN3
} plens__architecture;

typedef enum plens__rope_type {
    PLENS__ROPE_DEFAULT,
    PLENS__ROPE_LINEAR,
    PLENS__ROPE_LLAMA3
} plens__rope_type;

typedef struct plens__config {
    plens__architecture architecture;
    size_t n_layers, d_model, d_ff, vocab_size;
    size_t n_heads, n_kv_heads, head_dim; /* n_heads % n_kv_heads == 0; head_dim even */
    size_t
        max_positions; /* that the model was made for, 0: not said. Longer prompts run as well. */
    double rms_norm_eps;
    double rope_theta;
    plens__rope_type rope_type;
    double rope_factor;                                 /* linear, llama3 */
    double rope_low_freq_factor, rope_high_freq_factor; /* llama3 */
    double rope_original_positions;                     /* llama3 */
    int tied_embeddings;
    int qkv_bias, o_bias, mlp_bias; /* q, k, v; o; gate, up and down */
    int qk_norm;
    size_t *windows; /* [n_layers] sliding window of each block, 0: full attention. Position i sees
                        j with i - window < j <= i. */
} plens__config;

/* Reads folder/config.json. Whatever would change the result and is not known here is
 * ERROR_UNSUPPORTED and named with the value found; sizes must be positive integers below 2^31,
 * the number of layers at most 65536. */
plens_status plens__config_load(const plens_allocator *allocator, const char *folder,
                                plens__config *config, plens_error *error);
void plens__config_free(const plens_allocator *allocator, plens__config *config);

/* "LlamaForCausalLM", … and "default", "linear", "llama3". */
const char *plens__architecture_name(plens__architecture architecture);
const char *plens__rope_type_name(plens__rope_type type);

#endif
