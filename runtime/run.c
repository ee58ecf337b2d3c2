#include "runtime/fp.h"

#include "runtime/run.h"

#include <string.h>

#include "runtime/pass.h"
#include "runtime/rotary.h"

/* ---- what the caller asks for ---- */

static plens_status check_prompts(const plens_model *model, const plens_prompt *prompts,
                                  size_t n_prompts, plens_error *error) {
    size_t vocab = model->config.vocab_size;
    if (prompts == NULL || n_prompts == 0)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "no prompts to run");
    for (size_t i = 0; i < n_prompts; i++) {
        const plens_prompt *prompt = &prompts[i];
        if (prompt->ids == NULL || prompt->n_ids == 0)
            return plens__fail(error, PLENS_ERROR_ARGUMENT, "prompt %zu has no tokens", i);
        if (prompt->targets == NULL && prompt->n_targets > 0)
            return plens__fail(error, PLENS_ERROR_ARGUMENT, "prompt %zu: targets is NULL", i);
        for (size_t p = 0; p < prompt->n_ids + prompt->n_targets; p++) {
            int target = p >= prompt->n_ids;
            int32_t id = target ? prompt->targets[p - prompt->n_ids] : prompt->ids[p];
            if (id < 0 || (size_t)id >= vocab)
                return plens__fail(error, PLENS_ERROR_ARGUMENT,
                                   "prompt %zu, %s %zu: token id %ld, expected 0 to %zu (the "
                                   "model's vocabulary)",
                                   i, target ? "target" : "position",
                                   target ? p - prompt->n_ids : p, (long)id, vocab - 1);
        }
    }
    return PLENS_OK;
}

static plens_status check_layers(size_t first, size_t last, size_t n_layers, const char *who,
                                 plens_error *error) {
    if ((first == 0 && last == 0) || (first >= 1 && first <= last && last <= n_layers))
        return PLENS_OK;
    return plens__fail(error, PLENS_ERROR_ARGUMENT,
                       "%s asks for layers %zu to %zu, expected them within 1 to %zu", who, first,
                       last, n_layers);
}

static plens_status check_options(const plens_model *model, const plens_run_options *options,
                                  plens_error *error) {
    size_t n_layers = model->config.n_layers;
    if (options->hooks == NULL && options->n_hooks > 0)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "hooks is NULL");
    for (size_t i = 0; i < options->n_hooks; i++) {
        const plens_hook *hook = &options->hooks[i];
        if (hook->fn == NULL || hook->point < PLENS_EMBED || hook->point > PLENS_LOGITS)
            return plens__fail(error, PLENS_ERROR_ARGUMENT,
                               "hook %zu has no function or an unknown point (%d)", i,
                               (int)hook->point);
        plens_status status =
            check_layers(hook->first_layer, hook->last_layer, n_layers, "a hook", error);
        if (status != PLENS_OK)
            return status;
    }
    if (options->lens == NULL)
        return PLENS_OK;
    if (options->lens->fn == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "the lens has no function");
    return check_layers(options->lens->first_layer, options->lens->last_layer, n_layers, "the lens",
                        error);
}

/* 1 if something looks at all positions after the last block, not only at the prompts' ends. */
static int needs_all_rows(const plens_run_options *options, size_t n_layers) {
    if (options->lens != NULL && options->lens->positions == PLENS_POSITIONS_ALL)
        return 1;
    for (size_t i = 0; i < options->n_hooks; i++) {
        plens_run_options one = {.hooks = &options->hooks[i], .n_hooks = 1};
        if (one.hooks->positions == PLENS_POSITIONS_ALL &&
            (plens__pass_wants(&one, PLENS_RESID_MID, n_layers) ||
             plens__pass_wants(&one, PLENS_RESID_POST, n_layers) ||
             plens__pass_wants(&one, PLENS_FINAL_NORM, 0) ||
             plens__pass_wants(&one, PLENS_LOGITS, 0)))
            return 1;
    }
    return 0;
}

/* ---- memory ---- */

/* Floats in the buffer of logits for the LOGITS hook, and of rows picked for hooks. */
#define LOGITS_FLOATS   ((size_t)16 << 20)
#define GATHERED_FLOATS ((size_t)1 << 18)

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Buffers whose size does not depend on the number of rows beyond one chunk. */
static void carve_chunk(plens__pass *pass, plens__carver *carver) {
    const plens__config *config = &pass->model->config;
    const plens__batch_size *size = &pass->batch.size;
    size_t rows = size->n_rows < PLENS__CHUNK_ROWS ? size->n_rows : PLENS__CHUNK_ROWS;
    size_t heads = config->n_heads * config->head_dim, widest = config->d_model;
    pass->active = plens__carve(carver, rows, config->d_model * sizeof(float));
    pass->norm = plens__carve(carver, rows, config->d_model * sizeof(float));
    pass->q = plens__carve(carver, rows, heads * sizeof(float));
    pass->z = plens__carve(carver, rows, heads * sizeof(float));
    pass->gate = plens__carve(carver, rows, config->d_ff * sizeof(float));
    pass->up = plens__carve(carver, rows, config->d_ff * sizeof(float));
    if (plens__pass_wants(pass->options, PLENS_LOGITS, 0)) {
        widest = larger(widest, config->vocab_size);
        pass->logit_rows = larger(1, LOGITS_FLOATS / config->vocab_size);
        if (pass->logit_rows > rows)
            pass->logit_rows = rows;
        pass->logits = plens__carve(carver, pass->logit_rows, config->vocab_size * sizeof(float));
    }
    pass->gathered_floats = larger(widest, pass->options->n_hooks > 0 ? GATHERED_FLOATS : 0);
    pass->gathered = plens__carve(carver, pass->gathered_floats, sizeof(float));
    plens__carver attention = {NULL, 0, 0}; /* of one thread: scores, then K and V of a head */
    plens__carve(&attention, size->longest * (1 + 2 * config->head_dim), sizeof(float));
    pass->attention_bytes = attention.used;
    pass->attention = plens__carve(carver, (size_t)pass->engine->n_threads, pass->attention_bytes);
}

/* Lays a pass out for a batch of this size. */
static void carve_pass(plens__pass *pass, const plens_prompt *prompts,
                       const plens__batch_size *size, plens__carver *carver) {
    const plens_model *model = pass->model;
    const plens__config *config = &model->config;
    size_t kv = config->n_kv_heads * config->head_dim;
    plens__weights_carve(&pass->weights, model, carver);
    plens__batch_carve(&pass->batch, size, carver);
    carve_chunk(pass, carver);
    pass->cosine = plens__carve(carver, size->longest, config->head_dim / 2 * sizeof(float));
    pass->sine = plens__carve(carver, size->longest, config->head_dim / 2 * sizeof(float));
    pass->x = plens__carve(carver, size->n_rows, config->d_model * sizeof(float));
    pass->k = plens__carve(carver, size->n_rows, kv * sizeof(float));
    pass->v = plens__carve(carver, size->n_rows, kv * sizeof(float));
    plens__lens_carve(&pass->lens, pass->options->lens, prompts, config->n_layers, config->d_model,
                      config->vocab_size, &pass->batch, carver);
}

/* The bytes of a part of this size; 0 if they do not fit a size_t. */
static size_t part_bytes(const plens__pass *like, const plens_prompt *prompts,
                         const plens__batch_size *size) {
    plens__pass pass = *like;
    plens__carver carver = {NULL, 0, 0};
    carve_pass(&pass, prompts, size, &carver);
    return carver.overflow ? 0 : carver.used;
}

/* ---- parts ---- */

typedef struct part {
    size_t first; /* leaf */
    plens__batch_size size;
} part;

typedef struct run_plan {
    plens_allocator allocator;
    plens__leaf *leaves; /* [n_prompts] sorted */
    part *parts;         /* [n_parts] */
    size_t n_parts;
    size_t n_bytes; /* of the largest part */
} run_plan;

static void free_plan(run_plan *plan) {
    plens__free(&plan->allocator, plan->leaves);
    plens__free(&plan->allocator, plan->parts);
}

static int fits(const plens__pass *pass, const plens_prompt *prompts, const plens__batch_size *size,
                uint64_t memory, size_t *bytes) {
    *bytes = part_bytes(pass, prompts, size);
    return *bytes != 0 && (memory == 0 || *bytes <= memory);
}

/* Leaves go into the part in hand as long as it fits; neighbours share prefixes, so no other cut
 * needs fewer parts by much. */
static plens_status cut_parts(const plens__pass *pass, uint64_t memory, const plens_prompt *prompts,
                              size_t n_prompts, run_plan *plan, plens_error *error) {
    int share = !pass->options->no_sharing;
    part *last = NULL;
    for (size_t i = 0; i < n_prompts; i++) {
        size_t bytes, n_targets = prompts[plan->leaves[i].prompt].n_targets;
        if (last != NULL) {
            plens__batch_size grown = last->size;
            plens__batch_size_add(&grown, plan->leaves, i, 0, n_targets, share);
            if (fits(pass, prompts, &grown, memory, &bytes)) {
                last->size = grown;
                plan->n_bytes = larger(plan->n_bytes, bytes);
                continue;
            }
        }
        last = &plan->parts[plan->n_parts++];
        last->first = i;
        plens__batch_size_add(&last->size, plan->leaves, i, 1, n_targets, share);
        if (!fits(pass, prompts, &last->size, memory, &bytes))
            return plens__fail(error, PLENS_ERROR_MEMORY,
                               "the memory budget is %llu bytes, prompt %zu (%zu tokens) alone "
                               "needs %zu",
                               (unsigned long long)memory, plan->leaves[i].prompt,
                               plan->leaves[i].n_ids, bytes);
        plan->n_bytes = larger(plan->n_bytes, bytes);
    }
    return PLENS_OK;
}

static plens_status make_plan(const plens__pass *pass, uint64_t memory, const plens_prompt *prompts,
                              size_t n_prompts, run_plan *plan, plens_error *error) {
    memset(plan, 0, sizeof *plan);
    plan->allocator = pass->engine->allocator;
    plan->leaves = plens__alloc_array(&plan->allocator, n_prompts, sizeof *plan->leaves);
    plan->parts = plens__alloc_array(&plan->allocator, n_prompts, sizeof *plan->parts);
    plens_status status = PLENS_OK;
    if (plan->leaves == NULL || plan->parts == NULL) {
        status = plens__fail_memory(error, n_prompts * sizeof(part), "the list of prompts");
    } else {
        for (size_t i = 0; i < n_prompts; i++)
            plan->leaves[i] = (plens__leaf){prompts[i].ids, prompts[i].n_ids, i, 0, 0};
        plens__leaves_sort(plan->leaves, n_prompts);
        status = cut_parts(pass, memory, prompts, n_prompts, plan, error);
    }
    if (status != PLENS_OK)
        free_plan(plan);
    return status;
}

/* Multiply-adds of a part, as the steps report them to plens__pass_progress. */
static double part_work(const plens__pass *pass, const plens__batch_size *size) {
    const plens__config *config = &pass->model->config;
    double d = (double)config->d_model, head = (double)config->head_dim;
    double unembed = d * (double)config->vocab_size, layers = (double)config->n_layers;
    int all = needs_all_rows(pass->options, config->n_layers);
    double rows = (double)size->n_rows, finished = all ? rows : (double)size->n_ends;
    double kv = 2 * d * (double)config->n_kv_heads * head;
    double rest = 2 * d * (double)config->n_heads * head + 3 * d * (double)config->d_ff;
    double work = rows * (layers * kv + (layers - 1) * rest) + finished * rest;
    if (plens__pass_wants(pass->options, PLENS_LOGITS, 0))
        work += finished * unembed;
    if (pass->options->lens != NULL) {
        size_t from, to;
        plens__layer_range(pass->options->lens->first_layer, pass->options->lens->last_layer,
                           config->n_layers, &from, &to);
        int every = pass->options->lens->positions == PLENS_POSITIONS_ALL;
        double sites = (every ? rows : (double)size->n_ends) *
                       (double)(to - from + 1 + (to < config->n_layers));
        work += sites * unembed;
    }
    return work;
}

/* ---- the pass ---- */

static void rotary_task(void *arg, size_t item, int thread) {
    plens__pass *pass = arg;
    (void)item;
    (void)thread;
    plens__rotary_tables(&pass->model->config, pass->batch.size.longest, pass->cosine, pass->sine);
}

static plens_status show_all(plens__pass *pass, plens_point point, size_t layer,
                             plens_error *error) {
    return plens__pass_hooks(pass, point, layer, &pass->batch.all, 0, pass->batch.all.count,
                             pass->x, pass->model->config.d_model, error);
}

static plens_status run_layer(plens__pass *pass, plens_error *error) {
    plens__block block;
    plens_status status = show_all(pass, PLENS_RESID_PRE, pass->layer, error);
    if (status == PLENS_OK)
        status = plens__weights_block(&pass->weights, pass->layer - 1, &block, error);
    if (status == PLENS_OK)
        status = plens__pass_block(pass, &block, pass->layer, error);
    if (status != PLENS_OK)
        return status;
    plens__pass_capture(pass, pass->layer);
    return show_all(pass, PLENS_RESID_POST, pass->layer, error);
}

static plens_status run_part(plens__pass *pass, plens__leaf *leaves, plens_error *error) {
    size_t n_layers = pass->model->config.n_layers;
    int all = needs_all_rows(pass->options, n_layers);
    plens__batch_build(&pass->batch, leaves, !pass->options->no_sharing);
    pass->finished = all ? &pass->batch.all : &pass->batch.ends;
    if (pass->lens.options != NULL)
        plens__lens_begin(&pass->lens, &pass->batch);
    plens__guarded(rotary_task, pass);
    plens_status status = plens__weights_begin(&pass->weights, error);
    if (status == PLENS_OK)
        status = plens__weights_embed(&pass->weights, pass->batch.tokens, pass->batch.size.n_rows,
                                      pass->x, error);
    if (status == PLENS_OK)
        status = show_all(pass, PLENS_EMBED, 0, error);
    for (pass->layer = 1; pass->layer <= n_layers && status == PLENS_OK; pass->layer++)
        status = run_layer(pass, error);
    if (status == PLENS_OK)
        status = plens__pass_output(pass, error);
    if (status == PLENS_OK)
        status = plens__pass_lens(pass, error);
    return status;
}

static plens_status run_parts(plens__pass *pass, const plens_prompt *prompts, run_plan *plan,
                              plens_error *error) {
    char *base = plens__alloc(&plan->allocator, plan->n_bytes);
    if (base == NULL)
        return plens__fail_memory(error, plan->n_bytes, "the run's workspace");
    plens_status status = PLENS_OK;
    pass->n_parts = plan->n_parts;
    for (size_t i = 0; i < plan->n_parts; i++)
        pass->work_all += part_work(pass, &plan->parts[i].size);
    for (size_t i = 0; i < plan->n_parts && status == PLENS_OK; i++) {
        plens__carver carver = {base, 0, 0};
        carve_pass(pass, prompts, &plan->parts[i].size, &carver);
        pass->part = i + 1;
        status = run_part(pass, plan->leaves + plan->parts[i].first, error);
    }
    plens__free(&plan->allocator, base);
    return status;
}

/* ---- entry ---- */

static plens_status begin(const plens__engine *engine, uint64_t memory, const plens_model *model,
                          const plens_prompt *prompts, size_t n_prompts,
                          const plens_run_options *options, plens__pass *pass, run_plan *plan,
                          plens_error *error) {
    plens_status status = check_prompts(model, prompts, n_prompts, error);
    if (status == PLENS_OK)
        status = check_options(model, options, error);
    if (status != PLENS_OK)
        return status;
    memset(pass, 0, sizeof *pass);
    pass->engine = engine;
    pass->model = model;
    pass->options = options;
    return make_plan(pass, memory, prompts, n_prompts, plan, error);
}

plens_status plens__run(const plens__engine *engine, uint64_t memory, const plens_model *model,
                        const plens_prompt *prompts, size_t n_prompts,
                        const plens_run_options *options, plens_error *error) {
    plens__pass pass;
    run_plan plan;
    plens_status status =
        begin(engine, memory, model, prompts, n_prompts, options, &pass, &plan, error);
    if (status != PLENS_OK)
        return status;
    status = run_parts(&pass, prompts, &plan, error);
    free_plan(&plan);
    return status;
}

/* What a part reads of the checkpoint. */
static uint64_t part_read_bytes(const plens__pass *pass, const plens__batch_size *size) {
    const plens__tensor *embed = pass->model->layout.embed;
    uint64_t unembed = pass->model->layout.unembed->n_bytes;
    uint64_t bytes = plens__weights_block_bytes(pass->model);
    bytes += embed->n_bytes / embed->shape[0] * size->n_rows;
    bytes += pass->options->lens != NULL ? 2 * unembed : 0;
    return bytes + (plens__pass_wants(pass->options, PLENS_LOGITS, 0) ? unembed : 0);
}

plens_status plens__run_plan(const plens__engine *engine, uint64_t memory, const plens_model *model,
                             const plens_prompt *prompts, size_t n_prompts,
                             const plens_run_options *options, plens_plan *out,
                             plens_error *error) {
    plens__pass pass;
    run_plan plan;
    plens_status status =
        begin(engine, memory, model, prompts, n_prompts, options, &pass, &plan, error);
    if (status != PLENS_OK)
        return status;
    plens__carver staging = {NULL, 0, 0};
    plens__weights_carve(&pass.weights, model, &staging);
    memset(out, 0, sizeof *out);
    out->n_parts = plan.n_parts;
    out->staging_bytes = staging.used;
    out->activation_bytes = plan.n_bytes - staging.used;
    for (size_t i = 0; i < plan.n_parts; i++) {
        out->n_tokens += plan.parts[i].size.n_tokens;
        out->n_rows += plan.parts[i].size.n_rows;
        out->weight_bytes_read += part_read_bytes(&pass, &plan.parts[i].size);
        out->flops += 2 * part_work(&pass, &plan.parts[i].size);
    }
    free_plan(&plan);
    return PLENS_OK;
}
