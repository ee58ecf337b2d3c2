/* Which tensor plays which part: the checkpoint's tensors resolved against the config. */
#ifndef PLENS_LOADERS_LAYOUT_H
#define PLENS_LOADERS_LAYOUT_H

#include "loaders/checkpoint.h"
#include "loaders/config.h"

/* Matrices are [out, in], row-major; norms and biases [out]. NULL where the config has none. */
typedef struct plens__block_tensors {
    const plens__tensor *attn_norm, *mlp_norm; /* input_layernorm, post_attention_layernorm */
    const plens__tensor *q, *k, *v, *o;
    const plens__tensor *q_bias, *k_bias, *v_bias, *o_bias;
    const plens__tensor *q_norm, *k_norm; /* [head_dim] */
    const plens__tensor *gate, *up, *down;
    const plens__tensor *gate_bias, *up_bias, *down_bias;
} plens__block_tensors;

typedef struct plens__layout {
    const plens__tensor *embed;      /* [vocab_size, d_model] */
    const plens__tensor *final_norm; /* [d_model] */
    const plens__tensor *unembed;    /* [vocab_size, d_model]; == embed when tied */
    plens__block_tensors *blocks;    /* [n_layers] */
} plens__layout;

/* Finds every tensor that the config calls for and checks shape and dtype. A tensor that nobody
 * uses is ERROR_UNSUPPORTED and named (rotary_emb.inv_freq aside, and an lm_head.weight that equals
 * the embedding it is tied to byte for byte). */
plens_status plens__layout_resolve(const plens_allocator *allocator, const plens__config *config,
                                   const plens__checkpoint *checkpoint, plens__layout *layout,
                                   plens_error *error);
void plens__layout_free(const plens_allocator *allocator, plens__layout *layout);

#endif
