#include "runtime/fp.h"

#include "runtime/run.h"

#include <string.h>

#include "runtime/huge_pages.h"
#include "runtime/plan.h"
#include "runtime/rotary.h"
#include "runtime/work.h"

/* ---- what the caller asks for ---- */

plens_status plens__prompts_check(const plens_model *model, const plens_prompt *prompts,
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

static plens_status check_options(const plens__engine *engine, const plens_model *model,
                                  const plens_prompt *prompts, size_t n_prompts,
                                  const plens_run_options *options, plens_error *error) {
    plens_status status = plens__hooks_check(&model->config, prompts, n_prompts, options, error);
    if (status != PLENS_OK || options->lens == NULL)
        return status;
    status = plens__positions_check(options->lens->positions, "the lens", error);
    return status != PLENS_OK
               ? status
               : plens__lens_check(&engine->allocator, options->lens, &model->config, error);
}

/* ---- the pass ---- */

/* The prompts as the caller has them. */
typedef struct caller {
    const plens_prompt *prompts;
    size_t n_prompts;
} caller;

plens__operand plens__pass_operand(const plens__pass *pass, const float *x, size_t ldx,
                                   size_t n_rows, size_t n_in) {
    plens__rows rows = {.x = x, .ldx = ldx, .n_rows = n_rows, .n_in = n_in};
    return plens__pass_operand_of(pass, &rows);
}

plens__operand plens__pass_operand_of(const plens__pass *pass, const plens__rows *rows) {
    plens__operand operand = plens__operand_make(pass->engine, pass->product, rows, pass->packed);
    plens__clock_lap(pass->clock, PLENS_WORK_PACK);
    return operand;
}

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
    plens__clock_lap(pass->clock, PLENS_WORK_READ);
    if (status == PLENS_OK)
        status = plens__pass_block(pass, &block, pass->layer, error);
    if (status != PLENS_OK)
        return status;
    status = show_all(pass, PLENS_RESID_POST, pass->layer, error);
    if (status == PLENS_OK) /* the lens reads what hooks leave */
        plens__pass_capture(pass, pass->layer);
    plens__clock_lap(pass->clock, PLENS_WORK_ROWS);
    return status;
}

/* Reads ahead from block first + 1 on, up to block last. */
static plens_status begin_blocks(plens__pass *pass, size_t first, size_t last, plens_error *error) {
    pass->weights.first_block = first;
    pass->weights.end_block = last;
    return plens__weights_begin(&pass->weights, error);
}

static plens_status embed(plens__pass *pass, plens_error *error) {
    plens_status status = plens__weights_embed(&pass->weights, pass->batch.tokens,
                                               pass->batch.size.n_rows, pass->x, error);
    return status == PLENS_OK ? show_all(pass, PLENS_EMBED, 0, error) : status;
}

/* The rows as they are before the first block that is still to come. */
static plens_status begin_rows(plens__pass *pass, const plens__standing *standing,
                               plens_error *error) {
    size_t n_layers = pass->model->config.n_layers;
    plens_status status = begin_blocks(pass, standing->layer, n_layers, error);
    if (status != PLENS_OK)
        return status;
    if (standing->layer == 0)
        return embed(pass, error);
    status = plens__resume_rows(pass, standing, error);
    if (status == PLENS_OK && standing->layer == n_layers && !standing->again)
        plens__pass_capture(pass, standing->layer); /* of x, as it was */
    return status;
}

/* Takes the rows to the end of block `last`. */
static plens_status run_layers(plens__pass *pass, const caller *c, plens__standing *standing,
                               size_t last, plens_error *error) {
    plens_status status = PLENS_OK;
    while (standing->layer < last && status == PLENS_OK) {
        pass->layer = ++standing->layer;
        status = run_layer(pass, error);
        if (status == PLENS_OK && !standing->again)
            plens__resume_save(pass, c->prompts, c->n_prompts, standing);
        plens__clock_lap(pass->clock, PLENS_WORK_REST);
    }
    return status;
}

/* The blocks once more, up to the last early layer of the lens, which are unembedded as they come.
 * standing->layer are done: 0, or all up to a layer that was the last in hand. */
static plens_status run_again(plens__pass *pass, const caller *c, plens__standing *standing,
                              plens_error *error) {
    plens__lens *lens = &pass->lens;
    size_t done = standing->layer < lens->first_layer ? 0 : standing->layer - lens->first_layer + 1;
    plens_status status = standing->layer == 0 ? embed(pass, error) : PLENS_OK;
    while (done < lens->n_early && status == PLENS_OK) {
        plens__lens_hold(lens, done);
        done += lens->n_held;
        size_t last = lens->first_layer + done - 1;
        status = begin_blocks(pass, standing->layer, last, error);
        if (status == PLENS_OK)
            status = run_layers(pass, c, standing, last, error);
        if (status == PLENS_OK)
            status = plens__pass_lens_held(pass, error);
        if (status == PLENS_OK)
            plens__resume_save(pass, c->prompts, c->n_prompts, standing);
    }
    return status;
}

/* A part, from where it stands. */
static plens_status run_part(plens__pass *pass, const caller *c, plens__leaf *leaves,
                             plens__standing standing, plens_error *error) {
    size_t n_layers = pass->model->config.n_layers;
    int all = plens__plan_needs_all_rows(pass->options, n_layers);
    plens__batch_build(&pass->batch, leaves, !pass->options->no_sharing);
    pass->finished = all ? &pass->batch.all : &pass->batch.ends;
    if (pass->lens.options != NULL)
        plens__lens_begin(&pass->lens, &pass->batch);
    int again = plens__lens_as_they_come(&pass->lens);
    if (again && !standing.again)
        plens__lens_hold_none(&pass->lens);
    plens__guarded(rotary_task, pass);
    plens_status status = begin_rows(pass, &standing, error);
    plens__clock_lap(pass->clock, PLENS_WORK_REST);
    standing.n_rows = pass->batch.size.n_rows;
    if (status == PLENS_OK && !standing.again) {
        status = run_layers(pass, c, &standing, n_layers, error);
        pass->layer = n_layers + 1;
        if (status == PLENS_OK)
            status = plens__pass_output(pass, error);
        if (status == PLENS_OK)
            status = plens__pass_lens_final(pass, error);
        standing.again = 1;
        standing.layer = 0;
    }
    if (status == PLENS_OK)
        status = again ? run_again(pass, c, &standing, error) : plens__pass_lens_held(pass, error);
    pass->layer = n_layers + 1;
    return status == PLENS_OK ? plens__pass_lens_deliver(pass, error) : status;
}

/* What a saved run has done already counts as done. */
static void count_work(plens__pass *pass, const plens__plan *plan, const plens__standing *standing,
                       const plens_prompt *prompts) {
    plens__batch_size done = {.window = plens__window(&pass->model->config)};
    for (size_t i = 0; i < standing->first; i++)
        plens__batch_size_add(&done, plan->leaves, i, i == 0,
                              prompts[plan->leaves[i].prompt].n_targets,
                              !pass->options->no_sharing);
    pass->work_done = pass->work_all = plens__part_work(pass, &done);
    for (size_t i = 0; i < plan->n_parts; i++)
        pass->work_all += plens__part_work(pass, &plan->parts[i].size);
    if (plan->resumed) { /* about: the lens weighs as much as a block here */
        size_t n_layers = pass->model->config.n_layers, steps = n_layers + 1;
        size_t at = standing->layer + (standing->again ? steps : 0);
        steps *= pass->held > 0 ? 2 : 1;
        pass->work_done +=
            plens__part_work(pass, &plan->parts[0].size) * (double)at / (double)steps;
    }
}

static plens_status run_parts(plens__pass *pass, const caller *c, plens__plan *plan,
                              const plens__standing *standing, plens_error *error) {
    char *block = plens__alloc(&plan->allocator, plens__huge_bytes(plan->n_bytes));
    if (block == NULL)
        return plens__fail_memory(error, plan->n_bytes, "the run's workspace");
    char *base = plens__huge_begin(block, plan->n_bytes);
    plens_status status = plan->n_slots < 2
                              ? PLENS_OK
                              : plens__reader_open(&plan->allocator, &pass->weights.reader, error);
    pass->n_parts = plan->n_parts;
    count_work(pass, plan, standing, c->prompts);
    for (size_t i = 0; i < plan->n_parts && status == PLENS_OK; i++) {
        const plens__part *part = &plan->parts[i];
        plens__standing at = {.first = part->first, .count = part->size.n_prompts};
        plens__carver carver = {base, 0, 0};
        plens__weights_rest(&pass->weights);
        plens__plan_carve(pass, c->prompts, &part->size, &carver);
        pass->part = i + 1;
        pass->layer = 1;
        if (i == 0 && plan->resumed)
            at = *standing;
        else if (part->first > 0)
            plens__resume_save(pass, c->prompts, c->n_prompts, &at);
        status = run_part(pass, c, plan->leaves + part->first, at, error);
    }
    plens__reader_close(pass->weights.reader);
    plens__free(&plan->allocator, block);
    return status;
}

/* ---- entry ---- */

plens_precision plens__run_precision(const plens__engine *engine, const plens_model *model) {
    if (engine->precision != PLENS_PRECISION_DEFAULT)
        return engine->precision;
    return plens__weights_not_bf16(model) == NULL ? PLENS_PRECISION_BF16 : PLENS_PRECISION_F32;
}

static plens_status check_precision(plens_precision precision, const plens_model *model,
                                    plens_error *error) {
    const plens__tensor *other = plens__weights_not_bf16(model);
    if (precision != PLENS_PRECISION_BF16X3 || other == NULL)
        return PLENS_OK;
    return plens__fail(error, PLENS_ERROR_UNSUPPORTED,
                       "%s: tensor %s is %s, expected BF16 (precision bf16x3 takes no other "
                       "weights; f32 takes them)",
                       model->folder, other->name, other->dtype_name);
}

static plens_status begin(const plens__engine *engine, uint64_t memory, const plens_model *model,
                          const plens_prompt *prompts, size_t n_prompts,
                          const plens_run_options *options, plens__pass *pass,
                          plens__standing *standing, plens__plan *plan, plens_error *error) {
    plens_status status = plens__prompts_check(model, prompts, n_prompts, error);
    if (status == PLENS_OK)
        status = check_options(engine, model, prompts, n_prompts, options, error);
    plens_precision precision = plens__run_precision(engine, model);
    if (status == PLENS_OK)
        status = check_precision(precision, model, error);
    if (status != PLENS_OK)
        return status;
    memset(pass, 0, sizeof *pass);
    pass->product = engine->products[precision];
    pass->engine = engine;
    pass->model = model;
    pass->options = options;
    if (options->memory != 0)
        memory = options->memory;
    status = plens__resume_begin(pass, prompts, n_prompts, standing, error);
    if (status == PLENS_OK)
        status = plens__plan_make(pass, memory, prompts, n_prompts, standing, plan, error);
    if (status != PLENS_OK)
        return status;
    pass->weights.n_slots = plan->n_slots;
    pass->held = plan->held;
    pass->weights.forget = memory != 0 && model->checkpoint.n_bytes + plan->n_bytes > memory;
    return PLENS_OK;
}

plens_status plens__run(const plens__engine *engine, uint64_t memory, const plens_model *model,
                        const plens_prompt *prompts, size_t n_prompts,
                        const plens_run_options *options, plens_error *error) {
    plens__pass pass;
    plens__plan plan;
    plens__standing standing;
    plens__clock clock;
    const caller c = {prompts, n_prompts};
    plens__clock_start(&clock, options->profile);
    plens_status status =
        begin(engine, memory, model, prompts, n_prompts, options, &pass, &standing, &plan, error);
    if (status != PLENS_OK)
        return status;
    pass.clock = &clock;
    if (plan.n_parts > 0) /* else the saved run had nothing left to do */
        status = run_parts(&pass, &c, &plan, &standing, error);
    plens__clock_lap(&clock, PLENS_WORK_REST);
    plens__plan_free(&plan);
    return status;
}

plens_status plens__run_plan(const plens__engine *engine, uint64_t memory, const plens_model *model,
                             const plens_prompt *prompts, size_t n_prompts,
                             const plens_run_options *options, plens_plan *out,
                             plens_error *error) {
    plens__pass pass;
    plens__plan plan;
    plens__standing standing;
    plens_run_options whole = *options;
    whole.saver = NULL; /* what all of the run takes */
    plens_status status =
        begin(engine, memory, model, prompts, n_prompts, &whole, &pass, &standing, &plan, error);
    if (status != PLENS_OK)
        return status;
    plens__carver staging = {NULL, 0, 0}, states = {NULL, 0, 0};
    const plens__batch_size *largest = &plan.parts[plan.largest].size;
    plens__weights_carve(&pass.weights, model, &staging);
    pass.batch.size = *largest;
    plens__lens_carve(&pass.lens, options->lens, prompts, &model->config, plan.held, &pass.batch,
                      &states);
    memset(out, 0, sizeof *out);
    out->precision = pass.product->precision;
    out->n_parts = plan.n_parts;
    out->scratch_bytes = (uint64_t)engine->n_threads * engine->scratch_bytes;
    out->staging_bytes = staging.used + out->scratch_bytes;
    out->activation_bytes = plan.n_bytes - staging.used;
    const plens__tensor *unembed = model->layout.unembed;
    out->tile_bytes = plan.n_slots * PLENS__TILE_IDS * (unembed->n_bytes / unembed->shape[0]);
    out->kv_bytes = (uint64_t)largest->n_rows * model->config.n_kv_heads * model->config.head_dim *
                    2 * sizeof(float);
    out->lens_bytes = states.used;
    out->reads_ahead = plan.n_slots > 1;
    out->lens_layers = pass.lens.most_held + (options->lens != NULL);
    out->computes_twice = plan.held > 0;
    for (size_t i = 0; i < plan.n_parts; i++) {
        out->n_tokens += plan.parts[i].size.n_tokens;
        out->n_rows += plan.parts[i].size.n_rows;
        out->weight_bytes_read += plens__part_reads(&pass, &plan.parts[i].size);
        out->flops += 2 * plens__part_work(&pass, &plan.parts[i].size);
    }
    plens__plan_free(&plan);
    return PLENS_OK;
}
