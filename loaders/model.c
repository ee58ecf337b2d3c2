#include "loaders/model.h"

#include <string.h>

/* ---- open and close ---- */

static plens_status open_parts(plens_model *model, const char *folder, plens_error *error) {
    const plens_allocator *allocator = &model->allocator;
    plens_status status = plens__config_load(allocator, folder, &model->config, error);
    if (status != PLENS_OK)
        return status;
    status = plens__checkpoint_open(allocator, folder, &model->checkpoint, error);
    if (status == PLENS_OK) {
        status = plens__layout_resolve(allocator, &model->config, &model->checkpoint,
                                       &model->layout, error);
        if (status == PLENS_OK)
            return PLENS_OK;
        plens__checkpoint_close(&model->checkpoint);
    }
    plens__config_free(allocator, &model->config);
    return status;
}

plens_status plens__model_open(const plens_allocator *allocator, const char *folder,
                               plens_model **model, plens_error *error) {
    plens_model *made = plens__alloc_array(allocator, 1, sizeof *made);
    size_t length = strlen(folder) + 1;
    char *copy = plens__alloc(allocator, length);
    plens_status status = PLENS_OK;
    if (made == NULL || copy == NULL) {
        status = plens__fail_memory(error, sizeof *made + length, "a model");
    } else {
        memcpy(copy, folder, length);
        made->allocator = *allocator;
        made->folder = copy;
        status = open_parts(made, folder, error);
    }
    if (status != PLENS_OK) {
        plens__free(allocator, copy);
        plens__free(allocator, made);
        return status;
    }
    *model = made;
    return PLENS_OK;
}

void plens_model_close(plens_model *model) {
    if (model == NULL)
        return;
    plens_allocator allocator = model->allocator;
    plens__layout_free(&allocator, &model->layout);
    plens__checkpoint_close(&model->checkpoint);
    plens__config_free(&allocator, &model->config);
    plens__free(&allocator, model->folder);
    plens__free(&allocator, model);
}

/* ---- describe ---- */

/* The largest window of any block: 0 if all attend to everything. */
static size_t sliding_window(const plens__config *config) {
    size_t window = 0;
    for (size_t l = 0; l < config->n_layers; l++) {
        if (config->windows[l] > window)
            window = config->windows[l];
    }
    return window;
}

void plens_model_describe(const plens_model *model, plens_model_info *info) {
    const plens__config *config = &model->config;
    const plens__checkpoint *checkpoint = &model->checkpoint;
    memset(info, 0, sizeof *info);
    info->folder = model->folder;
    info->architecture = plens__architecture_name(config->architecture);
    info->n_layers = config->n_layers;
    info->d_model = config->d_model;
    info->d_ff = config->d_ff;
    info->n_heads = config->n_heads;
    info->n_kv_heads = config->n_kv_heads;
    info->head_dim = config->head_dim;
    info->vocab_size = config->vocab_size;
    info->max_positions = config->max_positions;
    info->sliding_window = sliding_window(config);
    info->rope_theta = config->rope_theta;
    info->rms_norm_eps = config->rms_norm_eps;
    info->rope_scaling = plens__rope_type_name(config->rope_type);
    info->tied_embeddings = config->tied_embeddings;
    info->qkv_bias = config->qkv_bias;
    info->o_bias = config->o_bias;
    info->mlp_bias = config->mlp_bias;
    info->qk_norm = config->qk_norm;
    info->dtype = model->layout.embed->dtype;
    info->n_bytes = checkpoint->n_bytes;
    info->n_shards = checkpoint->n_shards;
    info->n_tensors = checkpoint->n_tensors;
    for (size_t i = 0; i < checkpoint->n_tensors; i++) {
        const plens__tensor *tensor = &checkpoint->tensors[i];
        uint64_t width = tensor->dtype == PLENS_F32 ? 4 : 2;
        info->n_parameters += tensor->n_bytes / width;
    }
}

/* ---- fingerprint ---- */

/* Mixes a file of the folder into *hash; nothing if it is not there. */
static plens_status hash_file(const plens_model *model, const char *name, uint64_t *hash,
                              plens_error *error) {
    const plens_allocator *allocator = &model->allocator;
    char *path = plens__path_join(allocator, model->folder, name), *bytes;
    size_t n_bytes;
    if (path == NULL)
        return plens__fail_memory(error, strlen(model->folder), "a path");
    plens_status status = PLENS_OK;
    if (plens__file_exists(path)) {
        status = plens__file_load(allocator, path, &bytes, &n_bytes, error);
        if (status == PLENS_OK) {
            *hash = plens__hash(*hash, bytes, n_bytes);
            plens__free(allocator, bytes);
        }
    }
    plens__free(allocator, path);
    return status;
}

plens_status plens_model_fingerprint(const plens_model *model, uint64_t *fingerprint,
                                     plens_error *error) {
    uint64_t hash = PLENS__HASH;
    if (model == NULL || fingerprint == NULL)
        return plens__fail_null(error, "plens_model_fingerprint");
    plens_status status = hash_file(model, "config.json", &hash, error);
    if (status == PLENS_OK)
        status = hash_file(model, "tokenizer.json", &hash, error);
    if (status == PLENS_OK)
        status = plens__checkpoint_fingerprint(&model->checkpoint, &hash, error);
    if (status == PLENS_OK)
        *fingerprint = hash;
    return status;
}

/* ---- tensors ---- */

static void view_tensor(const plens_model *model, const plens__tensor *from, plens_tensor *to) {
    const plens__file *shard = &model->checkpoint.shards[from->shard];
    *to = (plens_tensor){
        from->name,   from->dtype, from->rank, from->shape, shard->bytes + from->offset,
        from->n_bytes};
}

plens_status plens_model_tensor(const plens_model *model, size_t i, plens_tensor *tensor,
                                plens_error *error) {
    if (model == NULL || tensor == NULL)
        return plens__fail_null(error, "plens_model_tensor");
    if (i >= model->checkpoint.n_tensors)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "%s: tensor %zu, expected it below %zu",
                           model->folder, i, model->checkpoint.n_tensors);
    view_tensor(model, &model->checkpoint.tensors[i], tensor);
    return PLENS_OK;
}

plens_status plens_model_find_tensor(const plens_model *model, const char *name,
                                     plens_tensor *tensor, plens_error *error) {
    if (model == NULL || name == NULL || tensor == NULL)
        return plens__fail_null(error, "plens_model_find_tensor");
    const plens__tensor *found = plens__checkpoint_find(&model->checkpoint, name);
    if (found == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "%s: no tensor named %s", model->folder,
                           name);
    view_tensor(model, found, tensor);
    return PLENS_OK;
}
