/* What each key means, which are read and what stands in for an absent one follows Transformers
 * 5.23: models/{llama,mistral,qwen2,qwen3}/{configuration,modeling}_*.py, modeling_rope_utils.py.
 * One difference: a size that its classes would make up (hidden_size 4096, …) must be there. */
#include "loaders/config.h"

#include <inttypes.h>
#include <string.h>

#include "loaders/file.h"
#include "loaders/json.h"

#define MAX_SIZE   INT32_MAX
#define MAX_LAYERS 65536 /* so that a hostile file cannot make `windows` large */

/* What a class of Transformers does without being told. */
typedef struct family {
    const char *architecture, *model_type;
    size_t n_kv_heads; /* where the key is absent; 0: as n_heads */
    size_t head_dim;   /* likewise; 0: d_model / n_heads */
    int reads_attention_bias, reads_mlp_bias;
} family;

static const family families[] = {
    [PLENS__LLAMA] = {"LlamaForCausalLM", "llama", 0, 0, 1, 1},
    [PLENS__MISTRAL] = {"MistralForCausalLM", "mistral", 8, 0, 0, 0},
    [PLENS__QWEN2] = {"Qwen2ForCausalLM", "qwen2", 32, 0, 0, 0},
    [PLENS__QWEN3] = {"Qwen3ForCausalLM", "qwen3", 32, 128, 1, 0},
};

static const char *const rope_types[] = {
    [PLENS__ROPE_DEFAULT] = "default",
    [PLENS__ROPE_LINEAR] = "linear",
    [PLENS__ROPE_LLAMA3] = "llama3",
};

#define N_FAMILIES   (sizeof families / sizeof families[0])
#define N_ROPE_TYPES (sizeof rope_types / sizeof rope_types[0])

typedef struct reader {
    const char *path;
    const plens__json *root;
    const family *family;
    plens__config *config; /* being filled */
    plens_error *error;
} reader;

/* ---- Values -------------------------------------------------------------------------------- */

static plens_status fail_key(const reader *r, plens_status status, const char *key,
                             const char *expected, const plens__json *found) {
    char shown[PLENS__JSON_SHOWN];
    return plens__fail(r->error, status, "%s: %s: expected %s, found %s", r->path, key, expected,
                       plens__json_show(found, shown));
}

static int is_given(const plens__json *value) {
    return value != NULL && value->type != PLENS__JSON_NULL;
}

/* An integer from `least` on. Absent: `fallback`, or an error where that is 0. */
static plens_status read_size(const reader *r, const char *key, size_t least, size_t fallback,
                              size_t *size) {
    const plens__json *value = plens__json_get(r->root, key);
    uint64_t number;
    if (value == NULL && fallback > 0) {
        *size = fallback;
        return PLENS_OK;
    }
    if (!plens__json_u64(value, &number) || number < least || number > MAX_SIZE)
        return fail_key(r, PLENS_ERROR_FORMAT, key,
                        least > 0 ? "an integer from 1 to 2147483647"
                                  : "an integer from 0 to 2147483647",
                        value);
    *size = (size_t)number;
    return PLENS_OK;
}

static plens_status read_flag(const reader *r, const char *key, int fallback, int *flag) {
    const plens__json *value = plens__json_get(r->root, key);
    if (value != NULL && value->type != PLENS__JSON_TRUE && value->type != PLENS__JSON_FALSE)
        return fail_key(r, PLENS_ERROR_FORMAT, key, "true or false", value);
    *flag = value != NULL ? value->type == PLENS__JSON_TRUE : fallback;
    return PLENS_OK;
}

static plens_status check_positive(const reader *r, const char *key, const plens__json *value,
                                   double *number) {
    double x;
    if (!plens__json_double(value, &x) || !(x > 0))
        return fail_key(r, PLENS_ERROR_FORMAT, key, "a number above 0", value);
    *number = x;
    return PLENS_OK;
}

/* ---- Architecture -------------------------------------------------------------------------- */

static plens_status read_architecture(reader *r) {
    const plens__json *list = plens__json_get(r->root, "architectures");
    if (list == NULL || list->type != PLENS__JSON_ARRAY || list->count != 1)
        return fail_key(r, PLENS_ERROR_FORMAT, "architectures", "an array of one name", list);
    size_t i = 0;
    while (i < N_FAMILIES && !plens__json_is_string(list->first, families[i].architecture))
        i++;
    if (i == N_FAMILIES)
        return fail_key(
            r, PLENS_ERROR_UNSUPPORTED, "architectures",
            "LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM or Qwen3ForCausalLM",
            list->first);
    r->config->architecture = (plens__architecture)i;
    r->family = &families[i];
    const plens__json *type = plens__json_get(r->root, "model_type");
    if (is_given(type) && !plens__json_is_string(type, r->family->model_type))
        return fail_key(r, PLENS_ERROR_UNSUPPORTED, "model_type", r->family->model_type, type);
    return PLENS_OK;
}

/* Keys that Transformers acts on and plens does not. */
static plens_status refuse_unknown(const reader *r) {
    static const char *const keys[] = {"quantization_config", "per_layer_config"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const plens__json *value = plens__json_get(r->root, keys[i]);
        if (is_given(value))
            return fail_key(r, PLENS_ERROR_UNSUPPORTED, keys[i], "none", value);
    }
    const plens__json *causal = plens__json_get(r->root, "is_causal");
    if (is_given(causal) && causal->type != PLENS__JSON_TRUE)
        return fail_key(r, PLENS_ERROR_UNSUPPORTED, "is_causal", "true", causal);
    const plens__json *act = plens__json_get(r->root, "hidden_act"); /* "swish" is SiLU too */
    if (act != NULL && !plens__json_is_string(act, "silu") && !plens__json_is_string(act, "swish"))
        return fail_key(r, PLENS_ERROR_UNSUPPORTED, "hidden_act", "\"silu\"", act);
    return PLENS_OK;
}

/* ---- Sizes --------------------------------------------------------------------------------- */

static plens_status read_head_dim(const reader *r) {
    plens__config *c = r->config;
    const plens__json *value = plens__json_get(r->root, "head_dim");
    plens_status status = PLENS_OK;
    if (is_given(value))
        status = read_size(r, "head_dim", 1, 0, &c->head_dim);
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
    if ((uint64_t)c->n_heads * c->head_dim > MAX_SIZE)
        return plens__fail(r->error, PLENS_ERROR_FORMAT,
                           "%s: num_attention_heads: expected num_attention_heads x head_dim below "
                           "2^31, found %zu x %zu",
                           r->path, c->n_heads, c->head_dim);
    return PLENS_OK;
}

static plens_status read_sizes(const reader *r) {
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
        status = read_size(r, required[i].key, 1, 0, required[i].size);
    if (status != PLENS_OK)
        return status;
    if (c->n_layers > MAX_LAYERS)
        return fail_key(r, PLENS_ERROR_FORMAT, "num_hidden_layers", "at most 65536",
                        plens__json_get(r->root, "num_hidden_layers"));
    const plens__json *kv = plens__json_get(r->root, "num_key_value_heads");
    size_t fallback = kv == NULL && r->family->n_kv_heads > 0 ? r->family->n_kv_heads : c->n_heads;
    c->n_kv_heads = fallback;
    if (is_given(kv))
        status = read_size(r, "num_key_value_heads", 1, 0, &c->n_kv_heads);
    if (status == PLENS_OK && c->n_heads % c->n_kv_heads != 0)
        status = plens__fail(r->error, PLENS_ERROR_FORMAT,
                             "%s: num_key_value_heads: expected a divisor of num_attention_heads "
                             "(%zu), found %zu",
                             r->path, c->n_heads, c->n_kv_heads);
    return status == PLENS_OK ? read_head_dim(r) : status;
}

/* ---- Norms, biases, tying ------------------------------------------------------------------ */

static plens_status read_parts(const reader *r) {
    plens__config *c = r->config;
    int attention_bias = 0;
    plens_status status = read_flag(r, "tie_word_embeddings", 0, &c->tied_embeddings);
    if (status == PLENS_OK && r->family->reads_attention_bias)
        status = read_flag(r, "attention_bias", 0, &attention_bias);
    if (status == PLENS_OK && r->family->reads_mlp_bias)
        status = read_flag(r, "mlp_bias", 0, &c->mlp_bias);
    c->qkv_bias = attention_bias || c->architecture == PLENS__QWEN2; /* there always, by no key */
    c->o_bias = attention_bias;
    c->qk_norm = c->architecture == PLENS__QWEN3;
    c->rms_norm_eps = 1e-6;
    const plens__json *eps = plens__json_get(r->root, "rms_norm_eps");
    if (status == PLENS_OK && eps != NULL &&
        (!plens__json_double(eps, &c->rms_norm_eps) || !(c->rms_norm_eps >= 0)))
        status = fail_key(r, PLENS_ERROR_FORMAT, "rms_norm_eps", "a number from 0 on", eps);
    return status;
}

/* ---- Rotary embedding ---------------------------------------------------------------------- */

static int is_equal(const plens__json *a, const plens__json *b) {
    double x, y;
    if (plens__json_double(a, &x) && plens__json_double(b, &y))
        return x == y;
    return a->type == PLENS__JSON_STRING && plens__json_is_string(b, a->text);
}

/* A setting may stand in rope_scaling (4.x), in rope_parameters (5.x), and some beside them, under
 * up to two names. *found is NULL where none gives it; those that do must agree. */
static plens_status find_rope(const reader *r, const char *key, const char *older_key,
                              int also_outside, const plens__json **found) {
    const plens__json *places[3] = {plens__json_get(r->root, "rope_scaling"),
                                    plens__json_get(r->root, "rope_parameters"),
                                    also_outside ? r->root : NULL};
    *found = NULL;
    for (int i = 0; i < 6; i++) {
        const char *name = i % 2 == 0 ? key : older_key;
        const plens__json *value = name != NULL ? plens__json_get(places[i / 2], name) : NULL;
        if (!is_given(value))
            continue;
        if (*found != NULL && !is_equal(*found, value)) {
            char first[PLENS__JSON_SHOWN], second[PLENS__JSON_SHOWN];
            return plens__fail(r->error, PLENS_ERROR_FORMAT,
                               "%s: %s: expected one value, found %s and %s", r->path, key,
                               plens__json_show(*found, first), plens__json_show(value, second));
        }
        *found = value;
    }
    return PLENS_OK;
}

/* fallback is used where the setting is absent; 0: it must be there. */
static plens_status read_rope_number(const reader *r, const char *key, int also_outside,
                                     double fallback, double *number) {
    const plens__json *value;
    plens_status status = find_rope(r, key, NULL, also_outside, &value);
    if (status != PLENS_OK)
        return status;
    if (value == NULL && fallback > 0) {
        *number = fallback;
        return PLENS_OK;
    }
    return check_positive(r, key, value, number);
}

static plens_status read_rope_type(const reader *r) {
    const plens__json *type, *factor;
    plens_status status = find_rope(r, "rope_type", "type", 0, &type);
    if (status == PLENS_OK)
        status = find_rope(r, "factor", NULL, 0, &factor);
    if (status != PLENS_OK)
        return status;
    if (type == NULL && factor != NULL)
        return fail_key(r, PLENS_ERROR_FORMAT, "rope_type", "a type where there is a factor", type);
    size_t i = 0;
    while (type != NULL && i < N_ROPE_TYPES && !plens__json_is_string(type, rope_types[i]))
        i++;
    if (i == N_ROPE_TYPES)
        return fail_key(r, PLENS_ERROR_UNSUPPORTED, "rope_type",
                        "\"default\", \"linear\" or \"llama3\"", type);
    r->config->rope_type = (plens__rope_type)i;
    return PLENS_OK;
}

/* The objects that hold the settings: nothing in them may be unknown (settings for each type of
 * layer, say). */
static plens_status check_rope_keys(const reader *r, const char *place) {
    static const char *const known[] = {"rope_type",       "type",
                                        "rope_theta",      "partial_rotary_factor",
                                        "factor",          "original_max_position_embeddings",
                                        "low_freq_factor", "high_freq_factor"};
    const plens__json *object = plens__json_get(r->root, place);
    if (is_given(object) && object->type != PLENS__JSON_OBJECT)
        return fail_key(r, PLENS_ERROR_FORMAT, place, "an object or null", object);
    for (const plens__json *member = object != NULL ? object->first : NULL; member != NULL;
         member = member->next) {
        size_t i = 0;
        while (i < sizeof known / sizeof known[0] && strcmp(member->key, known[i]) != 0)
            i++;
        char shown[PLENS__JSON_SHOWN];
        if (i == sizeof known / sizeof known[0])
            return plens__fail(r->error, PLENS_ERROR_UNSUPPORTED,
                               "%s: %s: expected no key \"%s\", found %s", r->path, place,
                               member->key, plens__json_show(member, shown));
    }
    return PLENS_OK;
}

/* [Llama 3.1's scaling: modeling_rope_utils.py, _compute_llama3_parameters] */
static plens_status read_llama3(const reader *r) {
    plens__config *c = r->config;
    plens_status status = read_rope_number(r, "low_freq_factor", 0, 0, &c->rope_low_freq_factor);
    if (status == PLENS_OK)
        status = read_rope_number(r, "high_freq_factor", 0, 0, &c->rope_high_freq_factor);
    if (status != PLENS_OK)
        return status;
    if (!(c->rope_low_freq_factor < c->rope_high_freq_factor)) {
        const plens__json *high;
        status = find_rope(r, "high_freq_factor", NULL, 0, &high);
        return status != PLENS_OK ? status
                                  : fail_key(r, PLENS_ERROR_FORMAT, "high_freq_factor",
                                             "more than low_freq_factor", high);
    }
    const char *key = "original_max_position_embeddings";
    const plens__json *original;
    status = find_rope(r, key, NULL, 1, &original);
    if (status != PLENS_OK)
        return status;
    if (original == NULL) {
        key = "max_position_embeddings";
        original = plens__json_get(r->root, key);
    }
    return check_positive(r, key, original, &c->rope_original_positions);
}

static plens_status read_rope(const reader *r) {
    plens__config *c = r->config;
    const plens__json *partial;
    double share;
    plens_status status = read_rope_type(r);
    if (status == PLENS_OK)
        status = check_rope_keys(r, "rope_scaling");
    if (status == PLENS_OK)
        status = check_rope_keys(r, "rope_parameters");
    if (status == PLENS_OK)
        status = find_rope(r, "partial_rotary_factor", NULL, 1, &partial);
    if (status != PLENS_OK)
        return status;
    if (partial != NULL && (!plens__json_double(partial, &share) || share != 1))
        return fail_key(r, PLENS_ERROR_UNSUPPORTED, "partial_rotary_factor", "1", partial);
    status = read_rope_number(r, "rope_theta", 1, 10000, &c->rope_theta);
    if (status == PLENS_OK && c->rope_type != PLENS__ROPE_DEFAULT)
        status = read_rope_number(r, "factor", 0, 0, &c->rope_factor);
    if (status == PLENS_OK && c->rope_type == PLENS__ROPE_LLAMA3)
        status = read_llama3(r);
    return status;
}

/* ---- Sliding windows ----------------------------------------------------------------------- */

/* The window of blocks that have one (0: none has), and the first such block as long as
 * layer_types does not say otherwise. Llama's code reads neither key. */
static plens_status read_window(const reader *r, size_t *window, size_t *first) {
    *window = *first = 0;
    int used = r->config->architecture == PLENS__MISTRAL;
    plens_status status = PLENS_OK;
    if (r->config->architecture == PLENS__QWEN2 || r->config->architecture == PLENS__QWEN3) {
        status = read_flag(r, "use_sliding_window", 0, &used);
        if (status == PLENS_OK)
            status = read_size(r, "max_window_layers", 0, 28, first);
    }
    const plens__json *value = plens__json_get(r->root, "sliding_window");
    if (status == PLENS_OK && used && (value == NULL || is_given(value)))
        status = read_size(r, "sliding_window", 1, 4096, window);
    return status;
}

/* One entry of layer_types. Qwen's code follows it; Llama's and Mistral's do not read it, so there
 * it must say what they do. */
static plens_status apply_layer_type(const reader *r, const plens__json *type, size_t window,
                                     size_t *layer_window) {
    int sliding = plens__json_is_string(type, "sliding_attention");
    if (!sliding && !plens__json_is_string(type, "full_attention") &&
        !plens__json_is_string(type, "attention"))
        return fail_key(r, PLENS_ERROR_UNSUPPORTED, "layer_types",
                        "\"full_attention\" or \"sliding_attention\"", type);
    if (sliding && window == 0)
        return fail_key(r, PLENS_ERROR_UNSUPPORTED, "layer_types",
                        "\"full_attention\" where no sliding_window is in use", type);
    if (r->config->architecture == PLENS__MISTRAL && !sliding && window > 0)
        return fail_key(r, PLENS_ERROR_UNSUPPORTED, "layer_types",
                        "\"sliding_attention\" (MistralForCausalLM has its window in every layer)",
                        type);
    *layer_window = sliding ? window : 0;
    return PLENS_OK;
}

static plens_status read_windows(const plens_allocator *allocator, const reader *r) {
    plens__config *c = r->config;
    size_t window, first;
    plens_status status = read_window(r, &window, &first);
    if (status != PLENS_OK)
        return status;
    const plens__json *types = plens__json_get(r->root, "layer_types");
    if (is_given(types) && (types->type != PLENS__JSON_ARRAY || types->count != c->n_layers))
        return fail_key(r, PLENS_ERROR_FORMAT, "layer_types",
                        "an array with one entry for each of num_hidden_layers", types);
    c->windows = plens__alloc_array(allocator, c->n_layers, sizeof *c->windows);
    if (c->windows == NULL)
        return plens__fail_memory(r->error, c->n_layers * sizeof *c->windows, r->path);
    const plens__json *type = is_given(types) ? types->first : NULL;
    for (size_t l = 0; l < c->n_layers && status == PLENS_OK; l++) {
        c->windows[l] = l >= first ? window : 0;
        if (type != NULL) {
            status = apply_layer_type(r, type, window, &c->windows[l]);
            type = type->next;
        }
    }
    return status;
}

/* ---- All of it ----------------------------------------------------------------------------- */

static plens_status read_all(const plens_allocator *allocator, reader *r) {
    if (r->root->type != PLENS__JSON_OBJECT)
        return fail_key(r, PLENS_ERROR_FORMAT, "its text", "an object", r->root);
    plens_status status = plens__json_no_duplicates(allocator, r->path, r->root, r->error);
    if (status == PLENS_OK)
        status = read_architecture(r);
    if (status == PLENS_OK)
        status = refuse_unknown(r);
    if (status == PLENS_OK)
        status = read_sizes(r);
    if (status == PLENS_OK)
        status = read_parts(r);
    if (status == PLENS_OK)
        status = read_rope(r);
    if (status == PLENS_OK)
        status = read_windows(allocator, r);
    return status;
}

static plens_status load_file(const plens_allocator *allocator, const char *path,
                              plens__config *config, plens_error *error) {
    plens__arena nodes = {allocator, NULL};
    plens__config read;
    memset(&read, 0, sizeof read);
    reader r = {path, NULL, NULL, &read, error};
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

const char *plens__rope_type_name(plens__rope_type type) {
    return rope_types[type];
}
