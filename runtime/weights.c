#include "runtime/fp.h"

#include "runtime/weights.h"

#include <string.h>

#include "runtime/widen.h"

/* ---- sizes ---- */

#define N_MATRICES 7
#define N_VECTORS  11

static void matrices_of(const plens__block_tensors *block, const plens__tensor *out[N_MATRICES]) {
    const plens__tensor *all[N_MATRICES] = {block->q,    block->k,  block->v,   block->o,
                                            block->gate, block->up, block->down};
    memcpy(out, all, sizeof all);
}

static void vectors_of(const plens__block_tensors *block, const plens__tensor *out[N_VECTORS]) {
    const plens__tensor *all[N_VECTORS] = {block->q_bias,    block->k_bias,    block->v_bias,
                                           block->o_bias,    block->gate_bias, block->up_bias,
                                           block->down_bias, block->attn_norm, block->mlp_norm,
                                           block->q_norm,    block->k_norm};
    memcpy(out, all, sizeof all);
}

static size_t align64(uint64_t n) {
    return (size_t)((n + 63) / 64 * 64);
}

/* The number of elements of a vector, a multiple of 16 so that each begins on a cache line. */
static size_t vector_length(const plens__tensor *tensor) {
    return tensor == NULL ? 0 : ((size_t)tensor->shape[0] + 15) / 16 * 16;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t embed_row_bytes(const plens__tensor *matrix) {
    return (size_t)(matrix->n_bytes / matrix->shape[0]);
}

void plens__weights_carve(plens__weights *weights, const plens_model *model,
                          plens__carver *carver) {
    size_t matrix_bytes = 0, vector_floats = 0, longest = (size_t)model->layout.final_norm->n_bytes;
    for (size_t l = 0; l < model->config.n_layers; l++) {
        const plens__tensor *matrices[N_MATRICES], *vectors[N_VECTORS];
        matrices_of(&model->layout.blocks[l], matrices);
        vectors_of(&model->layout.blocks[l], vectors);
        size_t bytes = 0, floats = 0;
        for (int i = 0; i < N_MATRICES; i++)
            bytes += align64(matrices[i]->n_bytes);
        for (int i = 0; i < N_VECTORS; i++) {
            floats += vector_length(vectors[i]);
            if (vectors[i] != NULL)
                longest = larger(longest, (size_t)vectors[i]->n_bytes);
        }
        matrix_bytes = larger(matrix_bytes, bytes);
        vector_floats = larger(vector_floats, floats);
    }
    size_t tile = PLENS__TILE_IDS * embed_row_bytes(model->layout.unembed);
    weights->model = model;
    weights->matrices = plens__carve(carver, matrix_bytes, 1);
    weights->vectors = plens__carve(carver, vector_floats, sizeof(float));
    weights->bytes = plens__carve(
        carver, larger(larger(longest, tile), embed_row_bytes(model->layout.embed)), 1);
    weights->final_norm = plens__carve(carver, model->config.d_model, sizeof(float));
}

const plens__tensor *plens__weights_not_bf16(const plens_model *model) {
    for (size_t l = 0; l < model->config.n_layers; l++) {
        const plens__tensor *matrices[N_MATRICES];
        matrices_of(&model->layout.blocks[l], matrices);
        for (int i = 0; i < N_MATRICES; i++)
            if (matrices[i]->dtype != PLENS_BF16)
                return matrices[i];
    }
    return model->layout.unembed->dtype == PLENS_BF16 ? NULL : model->layout.unembed;
}

uint64_t plens__weights_block_bytes(const plens_model *model) {
    uint64_t bytes = 0;
    for (size_t l = 0; l < model->config.n_layers; l++) {
        const plens__tensor *matrices[N_MATRICES], *vectors[N_VECTORS];
        matrices_of(&model->layout.blocks[l], matrices);
        vectors_of(&model->layout.blocks[l], vectors);
        for (int i = 0; i < N_MATRICES; i++)
            bytes += matrices[i]->n_bytes;
        for (int i = 0; i < N_VECTORS; i++)
            bytes += vectors[i] == NULL ? 0 : vectors[i]->n_bytes;
    }
    return bytes;
}

/* ---- reading ---- */

static plens_status read_tensor(const plens__weights *weights, const plens__tensor *tensor,
                                uint64_t from, size_t n, void *to, plens_error *error) {
    return plens__tensor_read(&weights->model->checkpoint, tensor, from, n, to, error);
}

/* Reads and widens a norm or bias to *at, which moves on; *vector is NULL if there is none. */
static plens_status read_vector(plens__weights *weights, const plens__tensor *tensor, float **at,
                                const float **vector, plens_error *error) {
    *vector = NULL;
    if (tensor == NULL)
        return PLENS_OK;
    plens_status status =
        read_tensor(weights, tensor, 0, (size_t)tensor->n_bytes, weights->bytes, error);
    if (status != PLENS_OK)
        return status;
    plens__widen(tensor->dtype, weights->bytes, (size_t)tensor->shape[0], *at);
    *vector = *at;
    *at += vector_length(tensor);
    return PLENS_OK;
}

static plens_status read_matrix(plens__weights *weights, const plens__tensor *tensor, char **at,
                                plens__matrix *matrix, plens_error *error) {
    plens_status status = read_tensor(weights, tensor, 0, (size_t)tensor->n_bytes, *at, error);
    if (status != PLENS_OK)
        return status;
    *matrix =
        (plens__matrix){*at, tensor->dtype, (size_t)tensor->shape[0], (size_t)tensor->shape[1]};
    *at += align64(tensor->n_bytes);
    return PLENS_OK;
}

plens_status plens__weights_begin(plens__weights *weights, plens_error *error) {
    float *at = weights->final_norm;
    const float *vector;
    return read_vector(weights, weights->model->layout.final_norm, &at, &vector, error);
}

plens_status plens__weights_block(plens__weights *weights, size_t index, plens__block *block,
                                  plens_error *error) {
    const plens__tensor *matrices[N_MATRICES], *vectors[N_VECTORS];
    matrices_of(&weights->model->layout.blocks[index], matrices);
    vectors_of(&weights->model->layout.blocks[index], vectors);
    plens__matrix *matrix_of[N_MATRICES] = {
        &block->q.matrix,    &block->k.matrix,  &block->v.matrix,   &block->o.matrix,
        &block->gate.matrix, &block->up.matrix, &block->down.matrix};
    const float **vector_of[N_VECTORS] = {&block->q.bias,    &block->k.bias,    &block->v.bias,
                                          &block->o.bias,    &block->gate.bias, &block->up.bias,
                                          &block->down.bias, &block->attn_norm, &block->mlp_norm,
                                          &block->q_norm,    &block->k_norm};
    char *bytes = weights->matrices;
    float *floats = weights->vectors;
    plens_status status = PLENS_OK;
    for (int i = 0; i < N_MATRICES && status == PLENS_OK; i++)
        status = read_matrix(weights, matrices[i], &bytes, matrix_of[i], error);
    for (int i = 0; i < N_VECTORS && status == PLENS_OK; i++)
        status = read_vector(weights, vectors[i], &floats, vector_of[i], error);
    return status;
}

plens_status plens__weights_embed(plens__weights *weights, const int32_t *tokens, size_t n_rows,
                                  float *x, plens_error *error) {
    const plens__tensor *embed = weights->model->layout.embed;
    size_t row_bytes = embed_row_bytes(embed), d_model = weights->model->config.d_model;
    for (size_t r = 0; r < n_rows; r++) {
        plens_status status = read_tensor(weights, embed, (uint64_t)tokens[r] * row_bytes,
                                          row_bytes, weights->bytes, error);
        if (status != PLENS_OK)
            return status;
        plens__widen(embed->dtype, weights->bytes, d_model, x + r * d_model);
    }
    return PLENS_OK;
}

plens_status plens__weights_unembed(plens__weights *weights, size_t first, size_t n,
                                    plens__matrix *tile, plens_error *error) {
    const plens__tensor *unembed = weights->model->layout.unembed;
    size_t row_bytes = embed_row_bytes(unembed);
    plens_status status = read_tensor(weights, unembed, (uint64_t)first * row_bytes, n * row_bytes,
                                      weights->bytes, error);
    if (status == PLENS_OK)
        *tile = (plens__matrix){weights->bytes, unembed->dtype, n, weights->model->config.d_model};
    return status;
}

plens_status plens__weights_unembed_ids(plens__weights *weights, const int32_t *ids, size_t n,
                                        plens__matrix *rows, plens_error *error) {
    const plens__tensor *unembed = weights->model->layout.unembed;
    size_t row_bytes = embed_row_bytes(unembed);
    for (size_t i = 0; i < n; i++) {
        plens_status status = read_tensor(weights, unembed, (uint64_t)ids[i] * row_bytes, row_bytes,
                                          weights->bytes + i * row_bytes, error);
        if (status != PLENS_OK)
            return status;
    }
    *rows = (plens__matrix){weights->bytes, unembed->dtype, n, weights->model->config.d_model};
    return PLENS_OK;
}
