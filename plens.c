/* The public entry points: loaders and runtime put together; gold tokens and the score. */
#include "runtime/fp.h"

#include "plens.h"

#include <stdlib.h>
#include <string.h>

#include "loaders/gold.h"
#include "loaders/json.h"
#include "loaders/model.h"
#include "loaders/table.h"
#include "loaders/tokenizer.h"
#include "runtime/attribution.h"
#include "runtime/audit.h"
#include "runtime/audit_dump.h"
#include "runtime/engine.h"
#include "runtime/run.h"
#include "runtime/selftest.h"

struct plens_context {
    plens_allocator allocator;
    plens__engine engine;
    plens_isa isa_limit;
    uint64_t memory;
};

static plens_status null_argument(plens_error *error, const char *function) {
    return plens__fail(error, PLENS_ERROR_ARGUMENT, "%s: an argument is NULL", function);
}

const char *plens_status_name(plens_status status) {
    switch (status) {
    case PLENS_OK:
        return "PLENS_OK";
    case PLENS_ERROR_ARGUMENT:
        return "PLENS_ERROR_ARGUMENT";
    case PLENS_ERROR_MEMORY:
        return "PLENS_ERROR_MEMORY";
    case PLENS_ERROR_IO:
        return "PLENS_ERROR_IO";
    case PLENS_ERROR_FORMAT:
        return "PLENS_ERROR_FORMAT";
    case PLENS_ERROR_UNSUPPORTED:
        return "PLENS_ERROR_UNSUPPORTED";
    case PLENS_CANCELLED:
        return "PLENS_CANCELLED";
    }
    return "unknown status";
}

/* ---- context ---- */

static void *default_reallocate(void *user, void *old, size_t old_size, size_t new_size) {
    (void)user;
    (void)old_size;
    if (new_size == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, new_size);
}

plens_status plens_context_create(const plens_options *options, plens_context **context,
                                  plens_error *error) {
    if (context == NULL)
        return null_argument(error, "plens_context_create");
    plens_options chosen = {0};
    if (options != NULL)
        chosen = *options;
    if (chosen.allocator.reallocate == NULL)
        chosen.allocator = (plens_allocator){default_reallocate, NULL};
    plens_context *made = plens__alloc_array(&chosen.allocator, 1, sizeof *made);
    if (made == NULL)
        return plens__fail_memory(error, sizeof *made, "a context");
    made->allocator = chosen.allocator;
    made->memory = chosen.memory;
    made->isa_limit = chosen.isa_limit;
    plens_status status = plens__engine_open(&made->allocator, &chosen, &made->engine, error);
    if (status != PLENS_OK) {
        plens__free(&chosen.allocator, made);
        return status;
    }
    *context = made;
    return PLENS_OK;
}

void plens_context_destroy(plens_context *context) {
    if (context == NULL)
        return;
    plens_allocator allocator = context->allocator;
    plens__engine_close(&context->engine);
    plens__free(&allocator, context);
}

void plens_context_describe(const plens_context *context, plens_context_info *info) {
    const plens__engine *engine = &context->engine;
    memset(info, 0, sizeof *info);
    info->isa = engine->kernels->isa;
    info->precision = engine->precision;
    for (int precision = 1; precision <= PLENS_PRECISION_BF16X3; precision++)
        info->products[precision] = engine->products[precision]->isa;
    info->threads = engine->n_threads;
    info->processors = engine->n_processors;
#ifdef _OPENMP
    info->openmp = 1;
#endif
    info->memory = context->memory;
    info->n_kernels = engine->n_choices;
    for (size_t i = 0; i < engine->n_choices; i++)
        info->kernels[i] = engine->choices[i];
}

plens_status plens_selftest(plens_context *context, plens_selftest_fn *fn, void *user,
                            plens_error *error) {
    if (context == NULL || fn == NULL)
        return null_argument(error, "plens_selftest");
    return plens__selftest(&context->allocator, context->isa_limit, fn, user, error);
}

/* ---- model ---- */

static plens_status open_model(plens_model *model, const char *folder, plens_error *error) {
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

plens_status plens_model_open(plens_context *context, const char *folder, plens_model **model,
                              plens_error *error) {
    if (context == NULL || folder == NULL || model == NULL)
        return null_argument(error, "plens_model_open");
    const plens_allocator *allocator = &context->allocator;
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
        status = open_model(made, folder, error);
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
        return null_argument(error, "plens_model_fingerprint");
    plens_status status = hash_file(model, "config.json", &hash, error);
    if (status == PLENS_OK)
        status = hash_file(model, "tokenizer.json", &hash, error);
    if (status == PLENS_OK)
        status = plens__checkpoint_fingerprint(&model->checkpoint, &hash, error);
    if (status == PLENS_OK)
        *fingerprint = hash;
    return status;
}

static void view_tensor(const plens_model *model, const plens__tensor *from, plens_tensor *to) {
    const plens__file *shard = &model->checkpoint.shards[from->shard];
    *to = (plens_tensor){
        from->name,   from->dtype, from->rank, from->shape, shard->bytes + from->offset,
        from->n_bytes};
}

plens_status plens_model_tensor(const plens_model *model, size_t i, plens_tensor *tensor,
                                plens_error *error) {
    if (model == NULL || tensor == NULL)
        return null_argument(error, "plens_model_tensor");
    if (i >= model->checkpoint.n_tensors)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "%s: tensor %zu, expected it below %zu",
                           model->folder, i, model->checkpoint.n_tensors);
    view_tensor(model, &model->checkpoint.tensors[i], tensor);
    return PLENS_OK;
}

plens_status plens_model_find_tensor(const plens_model *model, const char *name,
                                     plens_tensor *tensor, plens_error *error) {
    if (model == NULL || name == NULL || tensor == NULL)
        return null_argument(error, "plens_model_find_tensor");
    const plens__tensor *found = plens__checkpoint_find(&model->checkpoint, name);
    if (found == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "%s: no tensor named %s", model->folder,
                           name);
    view_tensor(model, found, tensor);
    return PLENS_OK;
}

/* ---- tokenizer ---- */

void plens_ids_free(plens_context *context, plens_ids *ids) {
    if (context == NULL || ids == NULL)
        return;
    plens__free(&context->allocator, ids->data);
    *ids = (plens_ids){NULL, 0};
}

void plens_text_free(plens_context *context, plens_text *text) {
    if (context == NULL || text == NULL)
        return;
    plens__free(&context->allocator, text->data);
    *text = (plens_text){NULL, 0};
}

/* plens_tokenizer is plens__tokenizer under its public name. */
static const plens__tokenizer *inner(const plens_tokenizer *tokenizer) {
    return (const plens__tokenizer *)(const void *)tokenizer;
}

plens_status plens_tokenizer_open(plens_context *context, const char *folder,
                                  plens_tokenizer **tokenizer, plens_error *error) {
    if (context == NULL || folder == NULL || tokenizer == NULL)
        return null_argument(error, "plens_tokenizer_open");
    plens__tokenizer *made;
    plens_status status = plens__tokenizer_open(&context->allocator, folder, &made, error);
    if (status == PLENS_OK)
        *tokenizer = (plens_tokenizer *)(void *)made;
    return status;
}

void plens_tokenizer_close(plens_tokenizer *tokenizer) {
    plens__tokenizer_close((plens__tokenizer *)(void *)tokenizer);
}

size_t plens_tokenizer_size(const plens_tokenizer *tokenizer) {
    return plens__tokenizer_size(inner(tokenizer));
}

plens_status plens_tokenizer_encode(plens_context *context, const plens_tokenizer *tokenizer,
                                    const char *text, size_t n_bytes, int special, plens_ids *ids,
                                    plens_error *error) {
    if (context == NULL || tokenizer == NULL || (text == NULL && n_bytes > 0) || ids == NULL)
        return null_argument(error, "plens_tokenizer_encode");
    return plens__tokenizer_encode(&context->allocator, inner(tokenizer), text, n_bytes, special,
                                   ids, error);
}

plens_status plens_tokenizer_decode(plens_context *context, const plens_tokenizer *tokenizer,
                                    const int32_t *ids, size_t n_ids, plens_text *text,
                                    plens_error *error) {
    if (context == NULL || tokenizer == NULL || (ids == NULL && n_ids > 0) || text == NULL)
        return null_argument(error, "plens_tokenizer_decode");
    return plens__tokenizer_decode(&context->allocator, inner(tokenizer), ids, n_ids, text, error);
}

const char *plens_tokenizer_token(const plens_tokenizer *tokenizer, int32_t id, size_t *n_bytes) {
    return plens__tokenizer_token(inner(tokenizer), id, n_bytes);
}

plens_status plens_gold_token(plens_context *context, const plens_tokenizer *tokenizer,
                              const char *text, size_t n_text, const char *gold, size_t n_gold,
                              plens_gold_form form, plens_gold *result, plens_error *error) {
    if (context == NULL || tokenizer == NULL || text == NULL || gold == NULL || result == NULL)
        return null_argument(error, "plens_gold_token");
    return plens__gold_token(&context->allocator, inner(tokenizer), text, n_text, gold, n_gold,
                             form, result, error);
}

/* ---- run ---- */

plens_precision plens_run_precision(const plens_context *context, const plens_model *model) {
    return plens__run_precision(&context->engine, model);
}

plens_status plens_run(plens_context *context, const plens_model *model,
                       const plens_prompt *prompts, size_t n_prompts,
                       const plens_run_options *options, plens_error *error) {
    static const plens_run_options defaults;
    if (context == NULL || model == NULL)
        return null_argument(error, "plens_run");
    return plens__run(&context->engine, context->memory, model, prompts, n_prompts,
                      options == NULL ? &defaults : options, error);
}

plens_status plens_run_plan(plens_context *context, const plens_model *model,
                            const plens_prompt *prompts, size_t n_prompts,
                            const plens_run_options *options, plens_plan *plan,
                            plens_error *error) {
    static const plens_run_options defaults;
    if (context == NULL || model == NULL || plan == NULL)
        return null_argument(error, "plens_run_plan");
    return plens__run_plan(&context->engine, context->memory, model, prompts, n_prompts,
                           options == NULL ? &defaults : options, plan, error);
}

plens_status plens_attribute(plens_context *context, const plens_model *model,
                             const plens_prompt *prompts, size_t n_prompts,
                             const plens_attribution *options, plens_error *error) {
    if (context == NULL || model == NULL || options == NULL)
        return null_argument(error, "plens_attribute");
    return plens__attribute(&context->engine, context->memory, model, prompts, n_prompts, options,
                            error);
}

/* ---- text formats ---- */

plens_status plens_table_open(plens_context *context, const char *path, plens_table **table,
                              plens_error *error) {
    if (context == NULL || path == NULL || table == NULL)
        return null_argument(error, "plens_table_open");
    return plens__table_open(&context->allocator, path, table, error);
}

plens_status plens_json_to_text(plens_context *context, const char *json, size_t n_bytes,
                                plens_text *text, plens_error *error) {
    if (context == NULL || json == NULL || text == NULL)
        return null_argument(error, "plens_json_to_text");
    return plens__json_to_text(&context->allocator, json, n_bytes, text, error);
}

plens_status plens_json_to_ids(plens_context *context, const char *json, size_t n_bytes,
                               plens_ids *ids, plens_error *error) {
    if (context == NULL || json == NULL || ids == NULL)
        return null_argument(error, "plens_json_to_ids");
    return plens__json_to_ids(&context->allocator, json, n_bytes, ids, error);
}

plens_status plens_json_find(plens_context *context, const char *json, size_t n_bytes,
                             const char *path, plens_json_kind *kind, plens_text *text,
                             plens_error *error) {
    if (context == NULL || json == NULL || path == NULL || kind == NULL || text == NULL)
        return null_argument(error, "plens_json_find");
    return plens__json_find_text(&context->allocator, json, n_bytes, path, kind, text, error);
}

/* ---- audit ---- */

plens_status plens_dump_open(plens_context *context, const plens_model *model, const char *path,
                             plens_dump **dump, plens_error *error) {
    if (context == NULL || model == NULL || path == NULL || dump == NULL)
        return null_argument(error, "plens_dump_open");
    return plens__dump_open(&context->allocator, model, path, dump, error);
}

void plens_dump_close(plens_dump *dump) {
    plens__dump_close(dump);
}

const plens_states *plens_dump_states(const plens_dump *dump) {
    return plens__dump_states(dump);
}

plens_status plens_audit(plens_context *context, const plens_model *model,
                         const plens_states *states, const plens_audit_options *options,
                         plens_audit_result *result, plens_error *error) {
    static const plens_audit_options defaults;
    if (context == NULL || model == NULL || states == NULL || result == NULL)
        return null_argument(error, "plens_audit");
    return plens__audit_run(&context->engine, model, states, options != NULL ? options : &defaults,
                            result, error);
}

/* ---- score ---- */

/* Digits with at most one point: 0 if it is anything else, or longer than plens.h allows. */
static int parse_decimal(const char *text, plens_ratio *ratio) {
    plens_ratio value = {0, 1};
    int digits = 0, decimals = -1;
    for (const char *c = text; *c != 0; c++) {
        if (*c == '.' && decimals < 0) {
            decimals = 0;
        } else if (*c >= '0' && *c <= '9' && digits < 18 && decimals < 9) {
            value.numerator = value.numerator * 10 + (uint64_t)(*c - '0');
            value.denominator *= decimals >= 0 ? 10 : 1;
            decimals += decimals >= 0;
            digits++;
        } else {
            return 0;
        }
    }
    *ratio = value;
    return digits > 0;
}

plens_status plens_ratio_parse(const char *text, plens_ratio *ratio, plens_error *error) {
    plens_ratio value;
    if (text == NULL || ratio == NULL)
        return null_argument(error, "plens_ratio_parse");
    if (!parse_decimal(text, &value) || value.numerator == 0 || value.numerator > value.denominator)
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "expected a share of the layers above 0 and up to 1 with at most 9 "
                           "decimals, found \"%s\"",
                           text);
    *ratio = value;
    return PLENS_OK;
}

size_t plens_ratio_layers(plens_ratio ratio, size_t n_layers) {
    /* L = q d + r: floor(L n / d) = q n + floor(r n / d), where r n < d^2 <= 10^18. */
    uint64_t whole = n_layers / ratio.denominator, rest = n_layers % ratio.denominator;
    return (size_t)(whole * ratio.numerator + rest * ratio.numerator / ratio.denominator);
}

typedef struct score_sum {
    const int32_t *top_ids, *gold_ids;
    const float *top_probs;
    size_t n_layers, n_counted, n_gold;
    double score;
} score_sum;

static void score_task(void *arg, size_t item, int thread) {
    score_sum *s = arg;
    size_t first = s->n_counted < s->n_layers ? s->n_layers - s->n_counted + 1 : 1;
    (void)item;
    (void)thread;
    for (size_t l = first; l <= s->n_layers; l++) {
        int hit = 0;
        for (size_t g = 0; g < s->n_gold; g++)
            hit |= s->top_ids[l - 1] == s->gold_ids[g];
        double weight = 1 - (double)(l - 1) / (double)s->n_layers;
        if (hit)
            s->score = s->score + (double)s->top_probs[l - 1] * weight;
    }
}

double plens_score(const int32_t *top_ids, const float *top_probs, size_t n_layers,
                   size_t n_counted, const int32_t *gold_ids, size_t n_gold) {
    score_sum sum = {top_ids, gold_ids, top_probs, n_layers, n_counted, n_gold, 0};
    plens__guarded(score_task, &sum);
    return sum.score;
}
