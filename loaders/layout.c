/* Names as Transformers 5.23 gives them: models/{llama,mistral,qwen2,qwen3}/modeling_*.py. */
#include "loaders/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 128 /* of the longest name asked for, with room to spare */

typedef struct resolver {
    const plens__config *config;
    const plens__checkpoint *checkpoint;
    unsigned char *used; /* [n_tensors] 1 where a tensor has its part */
    plens_error *error;
} resolver;

/* ---- One tensor ---------------------------------------------------------------------------- */

/* "[2, 3]"; a long shape ends in "…". */
static void show_shape(const uint64_t *shape, size_t rank, char out[96]) {
    size_t at = (size_t)snprintf(out, 96, "[");
    for (size_t i = 0; i < rank && at < 64; i++)
        at += (size_t)snprintf(out + at, 96 - at, "%s%" PRIu64, i > 0 ? ", " : "", shape[i]);
    snprintf(out + at, 96 - at, at < 64 ? "]" : ", …]");
}

static const char *path_of(const resolver *r, const plens__tensor *tensor) {
    return r->checkpoint->shards[tensor->shard].path;
}

static plens_status fail_missing(const resolver *r, const char *name, const char *shape) {
    const plens__checkpoint *checkpoint = r->checkpoint;
    const char *first = checkpoint->n_shards > 0 ? checkpoint->shards[0].path : "";
    return plens__fail(r->error, PLENS_ERROR_FORMAT,
                       "%s%s: tensor \"%s\": expected one of shape %s, found none", first,
                       checkpoint->n_shards > 1 ? " and the other shards" : "", name, shape);
}

/* Finds name with shape [rows, columns], or [rows] where columns is 0. */
static plens_status find(const resolver *r, const char *name, size_t rows, size_t columns,
                         const plens__tensor **found) {
    uint64_t shape[2] = {rows, columns};
    size_t rank = columns > 0 ? 2 : 1;
    char expected[96], actual[96];
    show_shape(shape, rank, expected);
    const plens__tensor *tensor = plens__checkpoint_find(r->checkpoint, name);
    if (tensor == NULL)
        return fail_missing(r, name, expected);
    if (tensor->rank != rank || memcmp(tensor->shape, shape, rank * sizeof shape[0]) != 0) {
        show_shape(tensor->shape, tensor->rank, actual);
        return plens__fail(r->error, PLENS_ERROR_FORMAT,
                           "%s: tensor \"%s\": expected shape %s, found %s", path_of(r, tensor),
                           name, expected, actual);
    }
    if (tensor->dtype == 0)
        return plens__fail(r->error, PLENS_ERROR_UNSUPPORTED,
                           "%s: tensor \"%s\": expected dtype F32, F16 or BF16, found %s",
                           path_of(r, tensor), name, tensor->dtype_name);
    r->used[tensor - r->checkpoint->tensors] = 1;
    *found = tensor;
    return PLENS_OK;
}

/* ---- Blocks -------------------------------------------------------------------------------- */

/* One part of block l: model.layers.{l - 1}.{name}; skipped where the config has none. */
typedef struct part {
    const char *name;
    int present;
    size_t rows, columns;
    const plens__tensor **place;
} part;

static plens_status find_parts(const resolver *r, size_t l, const part *parts, size_t n) {
    plens_status status = PLENS_OK;
    for (size_t i = 0; i < n && status == PLENS_OK; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "model.layers.%zu.%s", l - 1, parts[i].name);
        if (parts[i].present)
            status = find(r, name, parts[i].rows, parts[i].columns, parts[i].place);
    }
    return status;
}

static plens_status resolve_attention(const resolver *r, size_t l, plens__block_tensors *b) {
    const plens__config *c = r->config;
    size_t d = c->d_model, dq = c->n_heads * c->head_dim, dk = c->n_kv_heads * c->head_dim;
    const part parts[] = {
        {"input_layernorm.weight", 1, d, 0, &b->attn_norm},
        {"self_attn.q_proj.weight", 1, dq, d, &b->q},
        {"self_attn.k_proj.weight", 1, dk, d, &b->k},
        {"self_attn.v_proj.weight", 1, dk, d, &b->v},
        {"self_attn.o_proj.weight", 1, d, dq, &b->o},
        {"self_attn.q_proj.bias", c->qkv_bias, dq, 0, &b->q_bias},
        {"self_attn.k_proj.bias", c->qkv_bias, dk, 0, &b->k_bias},
        {"self_attn.v_proj.bias", c->qkv_bias, dk, 0, &b->v_bias},
        {"self_attn.o_proj.bias", c->o_bias, d, 0, &b->o_bias},
        {"self_attn.q_norm.weight", c->qk_norm, c->head_dim, 0, &b->q_norm},
        {"self_attn.k_norm.weight", c->qk_norm, c->head_dim, 0, &b->k_norm},
    };
    return find_parts(r, l, parts, sizeof parts / sizeof parts[0]);
}

static plens_status resolve_mlp(const resolver *r, size_t l, plens__block_tensors *b) {
    const plens__config *c = r->config;
    size_t d = c->d_model, ff = c->d_ff;
    const part parts[] = {
        {"post_attention_layernorm.weight", 1, d, 0, &b->mlp_norm},
        {"mlp.gate_proj.weight", 1, ff, d, &b->gate},
        {"mlp.up_proj.weight", 1, ff, d, &b->up},
        {"mlp.down_proj.weight", 1, d, ff, &b->down},
        {"mlp.gate_proj.bias", c->mlp_bias, ff, 0, &b->gate_bias},
        {"mlp.up_proj.bias", c->mlp_bias, ff, 0, &b->up_bias},
        {"mlp.down_proj.bias", c->mlp_bias, d, 0, &b->down_bias},
    };
    return find_parts(r, l, parts, sizeof parts / sizeof parts[0]);
}

/* ---- What is left over --------------------------------------------------------------------- */

#define CHUNK ((size_t)1 << 20)

/* *equal: whether two tensors of one size hold the same bytes. buffer is [2 * CHUNK]. */
static plens_status compare_bytes(const resolver *r, const plens__tensor *a, const plens__tensor *b,
                                  char *buffer, int *equal) {
    *equal = 1;
    for (uint64_t from = 0; from < a->n_bytes && *equal; from += CHUNK) {
        size_t n = a->n_bytes - from < CHUNK ? (size_t)(a->n_bytes - from) : CHUNK;
        plens_status status = plens__tensor_read(r->checkpoint, a, from, n, buffer, r->error);
        if (status == PLENS_OK)
            status = plens__tensor_read(r->checkpoint, b, from, n, buffer + CHUNK, r->error);
        if (status != PLENS_OK)
            return status;
        *equal = memcmp(buffer, buffer + CHUNK, n) == 0;
    }
    return PLENS_OK;
}

/* Some tied checkpoints hold lm_head.weight all the same. A copy of the embedding changes nothing;
 * anything else contradicts the config. */
static plens_status check_tied_head(const plens_allocator *allocator, const resolver *r,
                                    const plens__tensor *embed) {
    const plens__tensor *head;
    if (plens__checkpoint_find(r->checkpoint, "lm_head.weight") == NULL)
        return PLENS_OK;
    plens_status status =
        find(r, "lm_head.weight", r->config->vocab_size, r->config->d_model, &head);
    if (status != PLENS_OK)
        return status;
    char *buffer = plens__alloc(allocator, 2 * CHUNK);
    if (buffer == NULL)
        return plens__fail_memory(r->error, 2 * CHUNK, "lm_head.weight");
    int equal = 0;
    if (head->dtype == embed->dtype)
        status = compare_bytes(r, head, embed, buffer, &equal);
    plens__free(allocator, buffer);
    if (status == PLENS_OK && !equal)
        status = plens__fail(r->error, PLENS_ERROR_UNSUPPORTED,
                             "%s: tensor \"lm_head.weight\": expected none, or a copy of "
                             "model.embed_tokens.weight (tie_word_embeddings is true), found "
                             "another one",
                             path_of(r, head));
    return status;
}

/* Old checkpoints hold the rotary frequencies, which are computed from the config. */
static int is_rotary_buffer(const char *name) {
    static const char suffix[] = ".rotary_emb.inv_freq";
    size_t length = strlen(name), end = sizeof suffix - 1;
    return length >= end && strcmp(name + length - end, suffix) == 0;
}

static plens_status check_all_used(const resolver *r) {
    for (size_t i = 0; i < r->checkpoint->n_tensors; i++) {
        const plens__tensor *tensor = &r->checkpoint->tensors[i];
        if (r->used[i] || is_rotary_buffer(tensor->name))
            continue;
        char shape[96];
        show_shape(tensor->shape, tensor->rank, shape);
        return plens__fail(r->error, PLENS_ERROR_UNSUPPORTED,
                           "%s: tensor \"%s\": expected only tensors that %s with this config.json "
                           "uses, found this one, %s %s",
                           path_of(r, tensor), tensor->name,
                           plens__architecture_name(r->config->architecture), tensor->dtype_name,
                           shape);
    }
    return PLENS_OK;
}

/* ---- All of it ----------------------------------------------------------------------------- */

static plens_status resolve_ends(const plens_allocator *allocator, const resolver *r,
                                 plens__layout *layout) {
    const plens__config *c = r->config;
    plens_status status =
        find(r, "model.embed_tokens.weight", c->vocab_size, c->d_model, &layout->embed);
    if (status == PLENS_OK)
        status = find(r, "model.norm.weight", c->d_model, 0, &layout->final_norm);
    if (status != PLENS_OK)
        return status;
    if (!c->tied_embeddings)
        return find(r, "lm_head.weight", c->vocab_size, c->d_model, &layout->unembed);
    layout->unembed = layout->embed;
    return check_tied_head(allocator, r, layout->embed);
}

static plens_status resolve_all(const plens_allocator *allocator, const resolver *r,
                                plens__layout *layout) {
    size_t n_layers = r->config->n_layers;
    plens_status status = resolve_ends(allocator, r, layout);
    if (status != PLENS_OK)
        return status;
    layout->blocks = plens__alloc_array(allocator, n_layers, sizeof *layout->blocks);
    if (layout->blocks == NULL)
        return plens__fail_memory(r->error, n_layers * sizeof *layout->blocks, "the blocks");
    for (size_t l = 1; l <= n_layers && status == PLENS_OK; l++) {
        status = resolve_attention(r, l, &layout->blocks[l - 1]);
        if (status == PLENS_OK)
            status = resolve_mlp(r, l, &layout->blocks[l - 1]);
    }
    return status == PLENS_OK ? check_all_used(r) : status;
}

plens_status plens__layout_resolve(const plens_allocator *allocator, const plens__config *config,
                                   const plens__checkpoint *checkpoint, plens__layout *layout,
                                   plens_error *error) {
    plens__layout resolved;
    memset(&resolved, 0, sizeof resolved);
    resolver r = {config, checkpoint, plens__alloc_array(allocator, checkpoint->n_tensors, 1),
                  error};
    if (r.used == NULL)
        return plens__fail_memory(error, checkpoint->n_tensors, "the list of tensors");
    plens_status status = resolve_all(allocator, &r, &resolved);
    plens__free(allocator, r.used);
    if (status == PLENS_OK)
        *layout = resolved;
    else
        plens__layout_free(allocator, &resolved);
    return status;
}

void plens__layout_free(const plens_allocator *allocator, plens__layout *layout) {
    plens__free(allocator, layout->blocks);
    layout->blocks = NULL;
}
