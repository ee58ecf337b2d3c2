/* Weights on their way from the checkpoint to the kernels: read with plain reads into planned
 * buffers, so that a file cut short under a run is an error and not a signal. */
#ifndef PLENS_RUNTIME_WEIGHTS_H
#define PLENS_RUNTIME_WEIGHTS_H

#include "loaders/model.h"
#include "runtime/matmul.h"
#include "runtime/workspace.h"

/* Ids of the unembedding that are in memory at a time: whole vocabulary blocks. */
#define PLENS__TILE_IDS (2 * PLENS__VOCAB_BLOCK)

/* A linear layer in memory. bias is [n_out] or NULL. */
typedef struct plens__linear {
    plens__matrix matrix;
    const float *bias;
} plens__linear;

/* One block's weights. Norms are NULL where the architecture has none. */
typedef struct plens__block {
    plens__linear q, k, v, o, gate, up, down;
    const float *attn_norm, *mlp_norm; /* [d_model] */
    const float *q_norm, *k_norm;      /* [head_dim] */
} plens__block;

typedef struct plens__weights {
    const plens_model *model;
    char *matrices;    /* one block's matrices as they lie in the file */
    float *vectors;    /* one block's norms and biases, widened */
    char *bytes;       /* staging for vectors, embedding rows and unembedding tiles */
    float *final_norm; /* [d_model] */
} plens__weights;

void plens__weights_carve(plens__weights *weights, const plens_model *model, plens__carver *carver);

/* Reads what every part needs: the final norm. */
plens_status plens__weights_begin(plens__weights *weights, plens_error *error);

/* Reads block `index` (from 0), which replaces the one before. */
plens_status plens__weights_block(plens__weights *weights, size_t index, plens__block *block,
                                  plens_error *error);

/* x[r, :] = the embedding of tokens[r], for n_rows rows of d_model floats. */
plens_status plens__weights_embed(plens__weights *weights, const int32_t *tokens, size_t n_rows,
                                  float *x, plens_error *error);

/* Rows [first, first + n) of the unembedding, n <= PLENS__TILE_IDS. */
plens_status plens__weights_unembed(plens__weights *weights, size_t first, size_t n,
                                    plens__matrix *tile, plens_error *error);

/* The unembedding's rows of n <= PLENS__TILE_IDS chosen ids. */
plens_status plens__weights_unembed_ids(plens__weights *weights, const int32_t *ids, size_t n,
                                        plens__matrix *rows, plens_error *error);

/* A matrix of the model, the unembedding included, that is not BF16; NULL if all of them are. */
const plens__tensor *plens__weights_not_bf16(const plens_model *model);

/* Bytes that are read from the checkpoint for all blocks, and for the unembedding. */
uint64_t plens__weights_block_bytes(const plens_model *model);

#endif
