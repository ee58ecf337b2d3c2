/* Which blocks attend within a sliding window. */
#include "loaders/config_reader.h"

/* The window of blocks that have one (0: none has), and the first such block as long as
 * layer_types does not say otherwise. Llama's code reads neither key. */
static plens_status read_window(const plens__config_reader *r, size_t *window, size_t *first) {
    *window = *first = 0;
    int used = r->config->architecture == PLENS__MISTRAL;
    plens_status status = PLENS_OK;
    if (r->config->architecture == PLENS__QWEN2 || r->config->architecture == PLENS__QWEN3) {
        status = plens__config_flag(r, "use_sliding_window", 0, &used);
        if (status == PLENS_OK)
            status = plens__config_size(r, "max_window_layers", 0, 28, first);
    }
    const plens__json *value = plens__json_get(r->root, "sliding_window");
    if (status == PLENS_OK && used && (value == NULL || plens__config_is_given(value)))
        status = plens__config_size(r, "sliding_window", 1, 4096, window);
    return status;
}

/* One entry of layer_types. Qwen's code follows it; Llama's and Mistral's do not read it, so there
 * it must say what they do. */
static plens_status apply_layer_type(const plens__config_reader *r, const plens__json *type,
                                     size_t window, size_t *layer_window) {
    int sliding = plens__json_is_string(type, "sliding_attention");
    if (!sliding && !plens__json_is_string(type, "full_attention") &&
        !plens__json_is_string(type, "attention"))
        return plens__config_fail(r, PLENS_ERROR_UNSUPPORTED, "layer_types",
                                  "\"full_attention\" or \"sliding_attention\"", type);
    if (sliding && window == 0)
        return plens__config_fail(r, PLENS_ERROR_UNSUPPORTED, "layer_types",
                                  "\"full_attention\" where no sliding_window is in use", type);
    if (r->config->architecture == PLENS__MISTRAL && !sliding && window > 0)
        return plens__config_fail(
            r, PLENS_ERROR_UNSUPPORTED, "layer_types",
            "\"sliding_attention\" (MistralForCausalLM has its window in every layer)", type);
    *layer_window = sliding ? window : 0;
    return PLENS_OK;
}

plens_status plens__config_windows(const plens_allocator *allocator,
                                   const plens__config_reader *r) {
    plens__config *c = r->config;
    size_t window, first;
    plens_status status = read_window(r, &window, &first);
    if (status != PLENS_OK)
        return status;
    const plens__json *types = plens__json_get(r->root, "layer_types");
    if (plens__config_is_given(types) &&
        (types->type != PLENS__JSON_ARRAY || types->count != c->n_layers))
        return plens__config_fail(r, PLENS_ERROR_FORMAT, "layer_types",
                                  "an array with one entry for each of num_hidden_layers", types);
    c->windows = plens__alloc_array(allocator, c->n_layers, sizeof *c->windows);
    if (c->windows == NULL)
        return plens__fail_memory(r->error, c->n_layers * sizeof *c->windows, r->path);
    const plens__json *type = plens__config_is_given(types) ? types->first : NULL;
    for (size_t l = 0; l < c->n_layers && status == PLENS_OK; l++) {
        c->windows[l] = l >= first ? window : 0;
        if (type != NULL) {
            status = apply_layer_type(r, type, window, &c->windows[l]);
            type = type->next;
        }
    }
    return status;
}
