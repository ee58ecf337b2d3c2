/* As Transformers reads it (config_reader.h), with one difference: a size that its classes would
 * make up (hidden_size 4096, …) must be there. */
#include "loaders/config.h"

#include <inttypes.h>
#include <string.h>

#include "loaders/config_reader.h"
#include "loaders/file.h"

#define MAX_LAYERS 65536 /* so that a hostile file cannot make `windows` large */

static const plens__config_family families[] = {
    [PLENS__LLAMA] = {"LlamaForCausalLM", "llama", 0, 0, 1, 1},
    [PLENS__MISTRAL] = {"MistralForCausalLM", "mistral", 8, 0, 0, 0},
    [PLENS__QWEN2] = {"Qwen2ForCausalLM", "qwen2", 32, 0, 0, 0},
    [PLENS__QWEN3] = {"Qwen3ForCausalLM", "qwen3", 32, 128, 1, 0},
};

#define N_FAMILIES (sizeof families / sizeof families[0])

/* ---- Architecture -------------------------------------------------------------------------- */

/* The family whose architecture or model_type (by_type 1) is `name`; N_FAMILIES if there is none.
 */
static size_t find_family(const plens__json *name, int by_type) {
    size_t i = 0;
    while (i < N_FAMILIES && !plens__json_is_string(name, by_type ? families[i].model_type
                                                                  : families[i].architecture))
        i++;
    return i;
}

/* By "architectures"; where that is absent by model_type, as Transformers' AutoModelForCausalLM. */
static plens_status read_architecture(plens__config_reader *r) {
    const plens__json *list = plens__json_get(r->root, "architectures");
    const plens__json *type = plens__json_get(r->root, "model_type");
    int by_type = !plens__config_is_given(list) && plens__config_is_given(type);
    if (!by_type && (list == NULL || list->type != PLENS__JSON_ARRAY || list->count != 1))
        return plens__config_fail(r, PLENS_ERROR_FORMAT, "architectures", "an array of one name",
                                  list);
    size_t i = find_family(by_type ? type : list->first, by_type);
    if (i == N_FAMILIES && by_type)
        return plens__config_fail(r, PLENS_ERROR_UNSUPPORTED, "model_type",
                                  "llama, mistral, qwen2 or qwen3", type);
    if (i == N_FAMILIES)
        return plens__config_fail(
            r, PLENS_ERROR_UNSUPPORTED, "architectures",
            "LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM or Qwen3ForCausalLM",
            list->first);
    r->config->architecture = (plens__architecture)i;
    r->family = &families[i];
    if (plens__config_is_given(type) && !plens__json_is_string(type, r->family->model_type))
        return plens__config_fail(r, PLENS_ERROR_UNSUPPORTED, "model_type", r->family->model_type,
                                  type);
    return PLENS_OK;
}

/* ---- Sizes --------------------------------------------------------------------------------- */

static plens_status read_head_dim(const plens__config_reader *r) {
    plens__config *c = r->config;
    const plens__json *value = plens__json_get(r->root, "head_dim");
    plens_status status = PLENS_OK;
    if (plens__config_is_given(value))
        status = plens__config_size(r, "head_dim", 1, 0, &c->head_dim);
    else if (r->family->head_dim > 0)
        c->head_dim = r->family->head_dim;
    else if (c->d_model % c->n_heads == 0)
        c->head_dim = c->d_model / c->n_heads;
    else
        status = plens__fail(r->error, PLENS_ERROR_FORMAT,
                             "%s: hidden_size: expected a multiple of num_attention_heads (%zu) "
                             "where there is no head_dim, found %zu",
                             r->path, c->n_heads, c->d_model);
    if (status != PLENS_OK)
        return status;
    if (c->head_dim % 2 != 0)
        return plens__fail(r->error, PLENS_ERROR_FORMAT,
                           "%s: head_dim: expected an even number (rotary embedding), found %zu",
                           r->path, c->head_dim);
    if ((uint64_t)c->n_heads * c->head_dim > PLENS__CONFIG_MAX)
        return plens__fail(r->error, PLENS_ERROR_FORMAT,
                           "%s: num_attention_heads: expected num_attention_heads x head_dim below "
                           "2^31, found %zu x %zu",
                           r->path, c->n_heads, c->head_dim);
    return PLENS_OK;
}

static plens_status read_sizes(const plens__config_reader *r) {
    plens__config *c = r->config;
    const struct {
        const char *key;
        size_t *size;
    } required[] = {
        {"num_hidden_layers", &c->n_layers},  {"hidden_size", &c->d_model},
        {"intermediate_size", &c->d_ff},      {"vocab_size", &c->vocab_size},
        {"num_attention_heads", &c->n_heads},
    };
    plens_status status = PLENS_OK;
    for (size_t i = 0; i < sizeof required / sizeof required[0] && status == PLENS_OK; i++)
        status = plens__config_size(r, required[i].key, 1, 0, required[i].size);
    if (status != PLENS_OK)
        return status;
    if (c->n_layers > MAX_LAYERS)
        return plens__config_fail(r, PLENS_ERROR_FORMAT, "num_hidden_layers", "at most 65536",
                                  plens__json_get(r->root, "num_hidden_layers"));
    const plens__json *kv = plens__json_get(r->root, "num_key_value_heads");
    size_t fallback = kv == NULL && r->family->n_kv_heads > 0 ? r->family->n_kv_heads : c->n_heads;
    c->n_kv_heads = fallback;
    if (plens__config_is_given(kv))
        status = plens__config_size(r, "num_key_value_heads", 1, 0, &c->n_kv_heads);
    if (status == PLENS_OK && c->n_heads % c->n_kv_heads != 0)
        status = plens__fail(r->error, PLENS_ERROR_FORMAT,
                             "%s: num_key_value_heads: expected a divisor of num_attention_heads "
                             "(%zu), found %zu",
                             r->path, c->n_heads, c->n_kv_heads);
    return status == PLENS_OK ? read_head_dim(r) : status;
}

/* ---- Norms, biases, tying, length ---------------------------------------------------------- */

static plens_status read_parts(const plens__config_reader *r) {
    plens__config *c = r->config;
    int attention_bias = 0;
    plens_status status = plens__config_flag(r, "tie_word_embeddings", 0, &c->tied_embeddings);
    if (status == PLENS_OK && r->family->reads_attention_bias)
        status = plens__config_flag(r, "attention_bias", 0, &attention_bias);
    if (status == PLENS_OK && r->family->reads_mlp_bias)
        status = plens__config_flag(r, "mlp_bias", 0, &c->mlp_bias);
    if (status == PLENS_OK &&
        plens__config_is_given(plens__json_get(r->root, "max_position_embeddings")))
        status = plens__config_size(r, "max_position_embeddings", 1, 0, &c->max_positions);
    c->qkv_bias = attention_bias || c->architecture == PLENS__QWEN2; /* there always, by no key */
    c->o_bias = attention_bias;
    c->qk_norm = c->architecture == PLENS__QWEN3;
    c->rms_norm_eps = 1e-6;
    const plens__json *eps = plens__json_get(r->root, "rms_norm_eps");
    if (status == PLENS_OK && eps != NULL &&
        (!plens__json_double(eps, &c->rms_norm_eps) || !(c->rms_norm_eps >= 0)))
        status =
            plens__config_fail(r, PLENS_ERROR_FORMAT, "rms_norm_eps", "a number from 0 on", eps);
    return status;
}

/* ---- All of it ----------------------------------------------------------------------------- */

static plens_status read_all(const plens_allocator *allocator, plens__config_reader *r) {
    if (r->root->type != PLENS__JSON_OBJECT)
        return plens__config_fail(r, PLENS_ERROR_FORMAT, "its text", "an object", r->root);
    plens_status status = plens__json_no_duplicates(allocator, r->path, r->root, r->error);
    if (status == PLENS_OK)
        status = read_architecture(r);
    if (status == PLENS_OK)
        status = plens__config_refuse(r);
    if (status == PLENS_OK)
        status = read_sizes(r);
    if (status == PLENS_OK)
        status = read_parts(r);
    if (status == PLENS_OK)
        status = plens__config_rope(r);
    if (status == PLENS_OK)
        status = plens__config_windows(allocator, r);
    return status;
}

static plens_status load_file(const plens_allocator *allocator, const char *path,
                              plens__config *config, plens_error *error) {
    plens__arena nodes = {allocator, NULL};
    plens__config read;
    memset(&read, 0, sizeof read);
    plens__config_reader r = {path, NULL, NULL, &read, error};
    plens_status status = plens__json_load(&nodes, path, &r.root, error);
    if (status == PLENS_OK)
        status = read_all(allocator, &r);
    plens__arena_free(&nodes);
    if (status == PLENS_OK)
        *config = read;
    else
        plens__config_free(allocator, &read);
    return status;
}

plens_status plens__config_load(const plens_allocator *allocator, const char *folder,
                                plens__config *config, plens_error *error) {
    plens_status status = plens__folder_check(folder, error);
    if (status != PLENS_OK)
        return status;
    char *path = plens__path_join(allocator, folder, "config.json");
    if (path == NULL)
        return plens__fail_memory(error, strlen(folder), folder);
    status = load_file(allocator, path, config, error);
    plens__free(allocator, path);
    return status;
}

void plens__config_free(const plens_allocator *allocator, plens__config *config) {
    plens__free(allocator, config->windows);
    config->windows = NULL;
}

const char *plens__architecture_name(plens__architecture architecture) {
    return families[architecture].architecture;
}
