/* The public entry points that need a context: loaders and runtime put together. (Those that need
 * none are where their subject is: loaders/model.c, loaders/table.c, runtime/score.c ...) */
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
        return plens__fail_null(error, "plens_context_create");
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
        return plens__fail_null(error, "plens_selftest");
    return plens__selftest(&context->allocator, context->isa_limit, fn, user, error);
}

/* ---- model ---- */

plens_status plens_model_open(plens_context *context, const char *folder, plens_model **model,
                              plens_error *error) {
    if (context == NULL || folder == NULL || model == NULL)
        return plens__fail_null(error, "plens_model_open");
    return plens__model_open(&context->allocator, folder, model, error);
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
        return plens__fail_null(error, "plens_tokenizer_open");
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
        return plens__fail_null(error, "plens_tokenizer_encode");
    return plens__tokenizer_encode(&context->allocator, inner(tokenizer), text, n_bytes, special,
                                   ids, error);
}

plens_status plens_tokenizer_decode(plens_context *context, const plens_tokenizer *tokenizer,
                                    const int32_t *ids, size_t n_ids, plens_text *text,
                                    plens_error *error) {
    if (context == NULL || tokenizer == NULL || (ids == NULL && n_ids > 0) || text == NULL)
        return plens__fail_null(error, "plens_tokenizer_decode");
    return plens__tokenizer_decode(&context->allocator, inner(tokenizer), ids, n_ids, text, error);
}

const char *plens_tokenizer_token(const plens_tokenizer *tokenizer, int32_t id, size_t *n_bytes) {
    return plens__tokenizer_token(inner(tokenizer), id, n_bytes);
}

plens_status plens_gold_token(plens_context *context, const plens_tokenizer *tokenizer,
                              const char *text, size_t n_text, const char *gold, size_t n_gold,
                              plens_gold_form form, plens_gold *result, plens_error *error) {
    if (context == NULL || tokenizer == NULL || text == NULL || gold == NULL || result == NULL)
        return plens__fail_null(error, "plens_gold_token");
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
        return plens__fail_null(error, "plens_run");
    return plens__run(&context->engine, context->memory, model, prompts, n_prompts,
                      options == NULL ? &defaults : options, error);
}

plens_status plens_run_plan(plens_context *context, const plens_model *model,
                            const plens_prompt *prompts, size_t n_prompts,
                            const plens_run_options *options, plens_plan *plan,
                            plens_error *error) {
    static const plens_run_options defaults;
    if (context == NULL || model == NULL || plan == NULL)
        return plens__fail_null(error, "plens_run_plan");
    return plens__run_plan(&context->engine, context->memory, model, prompts, n_prompts,
                           options == NULL ? &defaults : options, plan, error);
}

plens_status plens_attribute(plens_context *context, const plens_model *model,
                             const plens_prompt *prompts, size_t n_prompts,
                             const plens_attribution *options, plens_error *error) {
    if (context == NULL || model == NULL || options == NULL)
        return plens__fail_null(error, "plens_attribute");
    return plens__attribute(&context->engine, context->memory, model, prompts, n_prompts, options,
                            error);
}

/* ---- text formats ---- */

plens_status plens_table_open(plens_context *context, const char *path, plens_table **table,
                              plens_error *error) {
    if (context == NULL || path == NULL || table == NULL)
        return plens__fail_null(error, "plens_table_open");
    return plens__table_open(&context->allocator, path, table, error);
}

plens_status plens_json_to_text(plens_context *context, const char *json, size_t n_bytes,
                                plens_text *text, plens_error *error) {
    if (context == NULL || json == NULL || text == NULL)
        return plens__fail_null(error, "plens_json_to_text");
    return plens__json_to_text(&context->allocator, json, n_bytes, text, error);
}

plens_status plens_json_to_ids(plens_context *context, const char *json, size_t n_bytes,
                               plens_ids *ids, plens_error *error) {
    if (context == NULL || json == NULL || ids == NULL)
        return plens__fail_null(error, "plens_json_to_ids");
    return plens__json_to_ids(&context->allocator, json, n_bytes, ids, error);
}

plens_status plens_json_find(plens_context *context, const char *json, size_t n_bytes,
                             const char *path, plens_json_kind *kind, plens_text *text,
                             plens_error *error) {
    if (context == NULL || json == NULL || path == NULL || kind == NULL || text == NULL)
        return plens__fail_null(error, "plens_json_find");
    return plens__json_find_text(&context->allocator, json, n_bytes, path, kind, text, error);
}

/* ---- audit ---- */

plens_status plens_dump_open(plens_context *context, const plens_model *model, const char *path,
                             plens_dump **dump, plens_error *error) {
    if (context == NULL || model == NULL || path == NULL || dump == NULL)
        return plens__fail_null(error, "plens_dump_open");
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
        return plens__fail_null(error, "plens_audit");
    return plens__audit_run(&context->engine, model, states, options != NULL ? options : &defaults,
                            result, error);
}
