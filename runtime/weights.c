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
    size_t row_bytes = embed_row_bytes(model->layout.unembed);
    weights->model = model;
    for (size_t slot = 0; slot < larger(weights->n_slots, 1); slot++) {
        weights->matrices[slot] = plens__carve(carver, matrix_bytes, 1);
        weights->vectors[slot] = plens__carve(carver, vector_floats, sizeof(float));
        weights->tiles[slot] = plens__carve(carver, PLENS__TILE_IDS, row_bytes);
    }
    weights->raw_vector = plens__carve(carver, longest, 1);
    weights->rows = plens__carve(
        carver, larger(PLENS__ROW_IDS * row_bytes, embed_row_bytes(model->layout.embed)), 1);
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

/* Bytes that are read at a time: between two such steps a reader may be told to give up. */
#define STEP_BYTES ((size_t)8 << 20)

static void forget(const plens__weights *weights, const plens__tensor *tensor, uint64_t from,
                   size_t n) {
    plens__tensor_forget(&weights->model->checkpoint, tensor, from, n);
}

/* What has been read is forgotten step by step; and once more when all of it has been, for pages
 * that the system was still busy with. */
static plens_status read_tensor(const plens__weights *weights, const plens__tensor *tensor,
                                uint64_t from, size_t n, char *to, plens_error *error) {
    const plens__checkpoint *checkpoint = &weights->model->checkpoint;
    plens_status status = PLENS_OK;
    for (size_t done = 0, step; done < n && status == PLENS_OK; done += step) {
        step = n - done < STEP_BYTES ? n - done : STEP_BYTES;
        if (done > 0 && weights->reader != NULL && plens__reader_stopping(weights->reader))
            return plens__fail(error, PLENS_CANCELLED, "reading was stopped");
        status = plens__tensor_read(checkpoint, tensor, from + done, step, to + done, error);
        if (status == PLENS_OK && weights->forget)
            forget(weights, tensor, from + done, step);
    }
    if (weights->forget)
        forget(weights, tensor, from, n);
    return status;
}

/* Reads and widens a norm or bias to *at, which moves on; *vector is NULL if there is none. */
static plens_status read_vector(plens__weights *weights, const plens__tensor *tensor, float **at,
                                const float **vector, plens_error *error) {
    *vector = NULL;
    if (tensor == NULL)
        return PLENS_OK;
    plens_status status =
        read_tensor(weights, tensor, 0, (size_t)tensor->n_bytes, weights->raw_vector, error);
    if (status != PLENS_OK)
        return status;
    plens__widen(tensor->dtype, weights->raw_vector, (size_t)tensor->shape[0], *at);
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

/* The matrices as they lie in the files: what the system reads ahead, behind one of them, is wanted
 * next, and has not been forgotten with the one in front. */
static void file_order(const plens__tensor *const matrices[N_MATRICES], int order[N_MATRICES]) {
    for (int i = 0; i < N_MATRICES; i++) {
        const plens__tensor *t = matrices[i];
        int at = i;
        for (; at > 0; at--) {
            const plens__tensor *before = matrices[order[at - 1]];
            if (before->shard < t->shard ||
                (before->shard == t->shard && before->offset < t->offset))
                break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
}

static plens_status read_block(plens__weights *weights, size_t index, size_t slot,
                               plens_error *error) {
    const plens__tensor *matrices[N_MATRICES], *vectors[N_VECTORS];
    matrices_of(&weights->model->layout.blocks[index], matrices);
    vectors_of(&weights->model->layout.blocks[index], vectors);
    plens__block *block = &weights->blocks[slot];
    plens__matrix *matrix_of[N_MATRICES] = {
        &block->q.matrix,    &block->k.matrix,  &block->v.matrix,   &block->o.matrix,
        &block->gate.matrix, &block->up.matrix, &block->down.matrix};
    const float **vector_of[N_VECTORS] = {&block->q.bias,    &block->k.bias,    &block->v.bias,
                                          &block->o.bias,    &block->gate.bias, &block->up.bias,
                                          &block->down.bias, &block->attn_norm, &block->mlp_norm,
                                          &block->q_norm,    &block->k_norm};
    char *bytes = weights->matrices[slot];
    float *floats = weights->vectors[slot];
    plens_status status = PLENS_OK;
    int order[N_MATRICES];
    file_order(matrices, order);
    for (int i = 0; i < N_VECTORS && status == PLENS_OK; i++)
        status = read_vector(weights, vectors[i], &floats, vector_of[i], error);
    for (int i = 0; i < N_MATRICES && status == PLENS_OK; i++)
        status = read_matrix(weights, matrices[order[i]], &bytes, matrix_of[order[i]], error);
    for (int i = 0; i < N_MATRICES && weights->forget; i++)
        forget(weights, matrices[i], 0, (size_t)matrices[i]->n_bytes);
    return status;
}

/* ---- reading ahead ---- */

/* Does what weights->ahead asks for; a job of the reader. */
static void load(void *arg) {
    plens__weights *weights = arg;
    plens__load *ahead = &weights->ahead;
    const plens__tensor *unembed = weights->model->layout.unembed;
    size_t row_bytes = embed_row_bytes(unembed);
    if (ahead->kind == PLENS__LOAD_BLOCK)
        ahead->status = read_block(weights, ahead->first, ahead->slot, &ahead->error);
    else
        ahead->status =
            read_tensor(weights, unembed, (uint64_t)ahead->first * row_bytes, ahead->n * row_bytes,
                        weights->tiles[ahead->slot], &ahead->error);
}

static void read_ahead(plens__weights *weights, const plens__load *what) {
    if (weights->reader == NULL || weights->n_slots < 2)
        return;
    weights->ahead = *what;
    plens__reader_start(weights->reader, load, weights);
}

void plens__weights_rest(plens__weights *weights) {
    if (weights->reader != NULL)
        plens__reader_wait(weights->reader);
}

/* Waits for a block or tile that was read ahead, or reads it now. *slot is the one in use, and then
 * the one where it lies. */
static plens_status take(plens__weights *weights, plens__load what, size_t *slot,
                         plens_error *error) {
    plens__load *ahead = &weights->ahead;
    what.slot = weights->n_slots < 2 ? 0 : 1 - *slot;
    plens__weights_rest(weights);
    if (ahead->kind != what.kind || ahead->first != what.first || ahead->n != what.n) {
        *ahead = what;
        load(weights);
    }
    ahead->kind = PLENS__LOAD_NOTHING;
    if (ahead->status != PLENS_OK) {
        if (error != NULL)
            *error = ahead->error;
        return ahead->status;
    }
    *slot = what.slot;
    return PLENS_OK;
}

plens_status plens__weights_begin(plens__weights *weights, plens_error *error) {
    float *at = weights->final_norm;
    const float *vector;
    plens__load first = {.kind = PLENS__LOAD_BLOCK, .first = weights->first_block, .n = 1};
    plens__weights_rest(weights);
    plens_status status =
        read_vector(weights, weights->model->layout.final_norm, &at, &vector, error);
    first.slot = weights->n_slots < 2 ? 0 : 1 - weights->block_slot;
    if (status == PLENS_OK && first.first < weights->end_block)
        read_ahead(weights, &first);
    return status;
}

plens_status plens__weights_block(plens__weights *weights, size_t index, plens__block *block,
                                  plens_error *error) {
    plens__load what = {.kind = PLENS__LOAD_BLOCK, .first = index, .n = 1};
    plens_status status = take(weights, what, &weights->block_slot, error);
    if (status != PLENS_OK)
        return status;
    *block = weights->blocks[weights->block_slot];
    what.first = index + 1;
    what.slot = 1 - weights->block_slot;
    if (what.first < weights->end_block)
        read_ahead(weights, &what);
    return PLENS_OK;
}

plens_status plens__weights_unembed(plens__weights *weights, size_t first, size_t n,
                                    plens__matrix *tile, plens_error *error) {
    const plens__config *config = &weights->model->config;
    plens__load what = {.kind = PLENS__LOAD_TILE, .first = first, .n = n};
    plens_status status = take(weights, what, &weights->tile_slot, error);
    if (status != PLENS_OK)
        return status;
    *tile = (plens__matrix){weights->tiles[weights->tile_slot],
                            weights->model->layout.unembed->dtype, n, config->d_model};
    what.first = first + n;
    what.n = config->vocab_size - what.first < n ? config->vocab_size - what.first : n;
    what.slot = 1 - weights->tile_slot;
    if (what.n > 0)
        read_ahead(weights, &what);
    return PLENS_OK;
}

/* ---- chosen rows ---- */

static plens_status read_row(plens__weights *weights, const plens__tensor *matrix, int32_t row,
                             char *to, plens_error *error) {
    size_t bytes = embed_row_bytes(matrix);
    return plens__tensor_read(&weights->model->checkpoint, matrix, (uint64_t)row * bytes, bytes, to,
                              error);
}

plens_status plens__weights_embed(plens__weights *weights, const int32_t *tokens, size_t n_rows,
                                  float *x, plens_error *error) {
    const plens__tensor *embed = weights->model->layout.embed;
    size_t d_model = weights->model->config.d_model;
    for (size_t r = 0; r < n_rows; r++) {
        plens_status status = read_row(weights, embed, tokens[r], weights->rows, error);
        if (status != PLENS_OK)
            return status;
        plens__widen(embed->dtype, weights->rows, d_model, x + r * d_model);
    }
    if (weights->forget) /* only now: prompts have many tokens in common */
        forget(weights, embed, 0, (size_t)embed->n_bytes);
    return PLENS_OK;
}

plens_status plens__weights_unembed_ids(plens__weights *weights, const int32_t *ids, size_t n,
                                        plens__matrix *rows, plens_error *error) {
    const plens__tensor *unembed = weights->model->layout.unembed;
    size_t row_bytes = embed_row_bytes(unembed);
    for (size_t i = 0; i < n; i++) {
        plens_status status =
            read_row(weights, unembed, ids[i], weights->rows + i * row_bytes, error);
        if (status != PLENS_OK)
            return status;
    }
    *rows = (plens__matrix){weights->rows, unembed->dtype, n, weights->model->config.d_model};
    return PLENS_OK;
}
