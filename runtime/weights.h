/* Weights on their way from the checkpoint to the kernels: read with plain reads into planned
 * buffers, so that a file cut short under a run is an error and not a signal. With two buffers of
 * each kind and a reader the next block, or tile of the unembedding, is read while this one is in
 * use. */
#ifndef PLENS_RUNTIME_WEIGHTS_H
#define PLENS_RUNTIME_WEIGHTS_H

#include "loaders/model.h"
#include "runtime/matmul.h"
#include "runtime/reader.h"
#include "runtime/workspace.h"

/* Ids of the unembedding that are in memory at a time: whole vocabulary blocks. */
#define PLENS__TILE_IDS (2 * PLENS__VOCAB_BLOCK)

/* Rows of the unembedding for chosen ids that are in memory at a time. */
#define PLENS__ROW_IDS 64

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

/* Something to read: a block, or a tile of the unembedding. */
typedef struct plens__load {
    enum { PLENS__LOAD_NOTHING, PLENS__LOAD_BLOCK, PLENS__LOAD_TILE } kind;
    size_t first, n; /* the block from 0, and 1; or the tile's ids */
    size_t slot;     /* where to */
    plens_status status;
    plens_error error;
} plens__load;

typedef struct plens__weights {
    const plens_model *model;
    size_t first_block;    /* that plens__weights_begin begins with, from 0 */
    size_t end_block;      /* none is read ahead from here on */
    size_t n_slots;        /* 0 or 1: nothing is read ahead; 2 */
    plens__reader *reader; /* NULL: nothing is read ahead */
    int forget;            /* 1: the system need not keep in its cache what has been read */
    char *matrices[2];     /* one block's matrices as they lie in the file */
    float *vectors[2];     /* one block's norms and biases, widened */
    plens__block blocks[2];
    char *tiles[2];               /* of the unembedding */
    char *raw_vector;             /* a norm or bias as it lies in the file */
    char *rows;                   /* rows of the embedding and the unembedding */
    float *final_norm;            /* [d_model] */
    size_t block_slot, tile_slot; /* in use */
    plens__load ahead;            /* under way, or done and not yet asked for */
} plens__weights;

/* n_slots is set before; first_block and end_block before plens__weights_begin. */
void plens__weights_carve(plens__weights *weights, const plens_model *model, plens__carver *carver);

/* Reads what every part needs, the final norm, and begins with the first block. */
plens_status plens__weights_begin(plens__weights *weights, plens_error *error);

/* Returns once nothing is being read: before the buffers move. */
void plens__weights_rest(plens__weights *weights);

/* Block `index` (from 0), which replaces the one before. */
plens_status plens__weights_block(plens__weights *weights, size_t index, plens__block *block,
                                  plens_error *error);

/* x[r, :] = the embedding of tokens[r], for n_rows rows of d_model floats. */
plens_status plens__weights_embed(plens__weights *weights, const int32_t *tokens, size_t n_rows,
                                  float *x, plens_error *error);

/* Rows [first, first + n) of the unembedding, n <= PLENS__TILE_IDS, which replace the tile before.
 */
plens_status plens__weights_unembed(plens__weights *weights, size_t first, size_t n,
                                    plens__matrix *tile, plens_error *error);

/* The unembedding's rows of n <= PLENS__ROW_IDS chosen ids. */
plens_status plens__weights_unembed_ids(plens__weights *weights, const int32_t *ids, size_t n,
                                        plens__matrix *rows, plens_error *error);

/* A matrix of the model, the unembedding included, that is not BF16; NULL if all of them are. */
const plens__tensor *plens__weights_not_bf16(const plens_model *model);

/* Bytes that are read from the checkpoint for all blocks, and for the unembedding. */
uint64_t plens__weights_block_bytes(const plens_model *model);

#endif
