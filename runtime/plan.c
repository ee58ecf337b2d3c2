#include "runtime/fp.h"

#include "runtime/plan.h"
#include "runtime/work.h"

#include <string.h>

/* 1 if something looks at all positions after the last block, not only at the prompts' ends. */
int plens__plan_needs_all_rows(const plens_run_options *options, size_t n_layers) {
    if (options->lens != NULL && options->lens->positions == PLENS_POSITIONS_ALL)
        return 1;
    for (size_t i = 0; i < options->n_hooks; i++) {
        const plens_hook *hook = &options->hooks[i];
        size_t layer = plens__point_in_block(hook->point) ? n_layers : 0;
        if (hook->positions == PLENS_POSITIONS_ALL && !plens__point_of_every_row(hook->point) &&
            plens__hook_wants(hook, hook->point, layer))
            return 1;
    }
    return 0;
}

/* ---- memory ---- */

/* Floats in the buffers for hooks (one row, if that is more): logits, for whose every filling the
 * unembedding is read, and heads' outputs; attention scores; rows that are picked. */
#define WIDE_FLOATS     ((size_t)16 << 20)
#define SCORE_FLOATS    ((size_t)1 << 20)
#define GATHERED_FLOATS ((size_t)1 << 18)

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* How many of `rows` rows of `width` floats are shown to hooks together, in about n_floats. */
static size_t rows_together(size_t rows, size_t width, size_t n_floats) {
    size_t most = larger(1, n_floats / width);
    return rows < most ? rows : most;
}

/* Buffers that only hooks need; `rows` are those of a chunk. */
static void carve_hooks(plens__pass *pass, size_t rows, plens__carver *carver) {
    const plens_run_options *options = pass->options;
    const plens__config *config = &pass->model->config;
    size_t longest = pass->batch.size.longest, widest = 0;
    for (size_t i = 0; i < options->n_hooks; i++)
        widest = larger(widest, plens__point_width(config, options->hooks[i].point, longest));
    if (options->n_hooks > 0) {
        pass->gathered_floats = larger(widest, GATHERED_FLOATS);
        pass->gathered = plens__carve(carver, pass->gathered_floats, sizeof(float));
        pass->gathered_rows = plens__carve(carver, PLENS__GATHERED_ROWS, sizeof(plens_row));
        pass->gathered_from = plens__carve(carver, PLENS__GATHERED_ROWS, sizeof(size_t));
    }
    if (plens__pass_wants(options, PLENS_LOGITS, 0)) {
        pass->logit_rows = rows_together(rows, config->vocab_size, WIDE_FLOATS);
        pass->logits = plens__carve(carver, pass->logit_rows, config->vocab_size * sizeof(float));
    }
    if (plens__pass_writes(options, PLENS_ATTN_NORM, 0))
        pass->attn_norm =
            plens__carve(carver, pass->batch.size.n_rows, config->d_model * sizeof(float));
    if (plens__pass_wants(options, PLENS_ATTN_SCORES, 0) ||
        plens__pass_wants(options, PLENS_ATTN_PATTERN, 0)) {
        size_t width = plens__point_width(config, PLENS_ATTN_SCORES, longest);
        pass->score_rows = rows_together(rows, width, SCORE_FLOATS);
        pass->scores = plens__carve(carver, pass->score_rows, width * sizeof(float));
    }
    if (plens__pass_wants(options, PLENS_HEAD_OUT, 0)) {
        size_t width = plens__point_width(config, PLENS_HEAD_OUT, 0);
        pass->head_rows = rows_together(rows, width, WIDE_FLOATS);
        pass->head_out = plens__carve(carver, pass->head_rows, width * sizeof(float));
        if (plens__pass_writes(options, PLENS_HEAD_OUT, 0))
            pass->head_kept = plens__carve(carver, pass->head_rows, width * sizeof(float));
        pass->head_weights =
            plens__carve(carver, config->d_model, config->head_dim * sizeof(float));
    }
}

/* Room for the widest rows that plens__pass_operand packs. */
static void carve_packed(plens__pass *pass, size_t rows, plens__carver *carver) {
    const plens__config *config = &pass->model->config;
    size_t widest = larger(config->d_model, config->n_heads * config->head_dim);
    size_t bytes = plens__operand_bytes(pass->product, rows, larger(widest, config->d_ff));
    if (pass->options->lens != NULL) { /* its states together, or all of a row */
        size_t early = plens__lens_early(pass->options->lens, config);
        size_t states = larger(PLENS__LENS_ROWS, early);
        bytes = larger(bytes, plens__operand_bytes(pass->product, states, config->d_model));
    }
    pass->packed = plens__carve(carver, bytes, 1);
}

/* Buffers whose size does not depend on the number of rows beyond one chunk. */
static void carve_chunk(plens__pass *pass, plens__carver *carver) {
    const plens__config *config = &pass->model->config;
    const plens__batch_size *size = &pass->batch.size;
    size_t rows = size->n_rows < PLENS__CHUNK_ROWS ? size->n_rows : PLENS__CHUNK_ROWS;
    size_t heads = config->n_heads * config->head_dim;
    pass->active = plens__carve(carver, rows, config->d_model * sizeof(float));
    pass->norm = plens__carve(carver, rows, config->d_model * sizeof(float));
    pass->q = plens__carve(carver, rows, heads * sizeof(float));
    pass->z = plens__carve(carver, rows, heads * sizeof(float));
    pass->gate = plens__carve(carver, rows, config->d_ff * sizeof(float));
    pass->up = plens__carve(carver, rows, config->d_ff * sizeof(float));
    carve_packed(pass, rows, carver);
    carve_hooks(pass, rows, carver);
    plens__carver attention = {NULL, 0, 0}; /* of one thread: K and V of a head, the kernel's */
    plens__carve(&attention, 2 * size->longest, config->head_dim * sizeof(float));
    plens__carve(&attention, PLENS__ATTEND_FLOATS(size->longest, config->head_dim), sizeof(float));
    pass->attention_bytes = attention.used;
    pass->attention = plens__carve(carver, (size_t)pass->engine->n_threads, pass->attention_bytes);
}

/* Lays a pass out for a batch of this size. */
void plens__plan_carve(plens__pass *pass, const plens_prompt *prompts,
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
    plens__lens_carve(&pass->lens, pass->options->lens, prompts, config, pass->held, &pass->batch,
                      carver);
}

/* The bytes of a part of this size; 0 if they do not fit a size_t. */
static size_t part_bytes(const plens__pass *like, const plens_prompt *prompts,
                         const plens__batch_size *size) {
    plens__pass pass = *like;
    plens__carver carver = {NULL, 0, 0};
    plens__plan_carve(&pass, prompts, size, &carver);
    return carver.overflow ? 0 : carver.used;
}

/* ---- parts ---- */

void plens__plan_free(plens__plan *plan) {
    plens__free(&plan->allocator, plan->leaves);
    plens__free(&plan->allocator, plan->parts);
}

/* Bytes of a part and of what the engine has already: 0 if they are too many to count. */
static size_t needed_bytes(const plens__pass *pass, const plens_prompt *prompts,
                           const plens__batch_size *size, size_t *bytes) {
    size_t scratch = (size_t)pass->engine->n_threads * pass->engine->scratch_bytes, needed;
    *bytes = part_bytes(pass, prompts, size);
    return *bytes != 0 && plens__add(*bytes, scratch, &needed) ? needed : 0;
}

static int fits(const plens__pass *pass, const plens_prompt *prompts, const plens__batch_size *size,
                uint64_t memory, size_t *bytes) {
    size_t needed = needed_bytes(pass, prompts, size, bytes);
    return needed != 0 && (memory == 0 || needed <= memory);
}

static void note_bytes(plens__plan *plan, size_t bytes) {
    if (bytes <= plan->n_bytes)
        return;
    plan->n_bytes = bytes;
    plan->largest = plan->n_parts - 1;
}

static plens__part part_from(const plens__pass *pass, size_t first) {
    plens__part part = {.first = first};
    part.size.window = plens__window(&pass->model->config);
    return part;
}

/* Makes the part in which a saved run stood the first one. */
static int cut_as_before(const plens__pass *pass, uint64_t memory, const plens_prompt *prompts,
                         const plens__standing *standing, plens__plan *plan) {
    plens__part *part = plan->parts;
    size_t bytes;
    if (standing->layer == 0 || standing->count == 0 || standing->as_they_come != (pass->held > 0))
        return 0;
    *part = part_from(pass, standing->first);
    for (size_t i = part->first; i < part->first + standing->count; i++)
        plens__batch_size_add(&part->size, plan->leaves, i, i == part->first,
                              prompts[plan->leaves[i].prompt].n_targets,
                              !pass->options->no_sharing);
    if (part->size.n_rows != standing->n_rows || !fits(pass, prompts, &part->size, memory, &bytes))
        return 0;
    plan->n_parts = 1;
    note_bytes(plan, bytes);
    return 1;
}

/* Leaves go into the part in hand as long as it fits; neighbours share prefixes, so no other cut
 * needs fewer parts by much. */
static plens_status cut_parts(const plens__pass *pass, uint64_t memory, const plens_prompt *prompts,
                              size_t n_prompts, const plens__standing *standing, plens__plan *plan,
                              plens_error *error) {
    int share = !pass->options->no_sharing;
    plens__part *last = NULL;
    plan->n_parts = plan->n_bytes = plan->largest = 0;
    plan->resumed = cut_as_before(pass, memory, prompts, standing, plan);
    for (size_t i = standing->first + (plan->resumed ? standing->count : 0); i < n_prompts; i++) {
        size_t bytes, n_targets = prompts[plan->leaves[i].prompt].n_targets;
        if (last != NULL) {
            plens__batch_size grown = last->size;
            plens__batch_size_add(&grown, plan->leaves, i, 0, n_targets, share);
            if (fits(pass, prompts, &grown, memory, &bytes)) {
                last->size = grown;
                note_bytes(plan, bytes);
                continue;
            }
        }
        last = &plan->parts[plan->n_parts++];
        *last = part_from(pass, i);
        plens__batch_size_add(&last->size, plan->leaves, i, 1, n_targets, share);
        if (!fits(pass, prompts, &last->size, memory, &bytes))
            return plens__fail(error, PLENS_ERROR_MEMORY,
                               "the memory budget is %llu bytes, prompt %zu (%zu tokens) alone "
                               "needs %zu",
                               (unsigned long long)memory, plan->leaves[i].prompt,
                               plan->leaves[i].n_ids,
                               needed_bytes(pass, prompts, &last->size, &bytes));
        note_bytes(plan, bytes);
    }
    return PLENS_OK;
}

/* With buffers for two blocks the next one is read while this one computes; with one there may be
 * room for fewer parts, or for any at all. */
static plens_status cut_slots(plens__pass *like, uint64_t memory, const plens_prompt *prompts,
                              size_t n_prompts, const plens__standing *standing, plens__plan *plan,
                              plens_error *error) {
    plan->held = like->held;
    like->weights.n_slots = plan->n_slots = 2;
    plens_status status = cut_parts(like, memory, prompts, n_prompts, standing, plan, NULL);
    if (status == PLENS_OK && plan->n_parts <= 1)
        return status;
    size_t n_parts = plan->n_parts;
    like->weights.n_slots = plan->n_slots = 1;
    plens_status single = cut_parts(like, memory, prompts, n_prompts, standing, plan, error);
    if (status != PLENS_OK || plan->n_parts < n_parts)
        return single;
    like->weights.n_slots = plan->n_slots = 2;
    return cut_parts(like, memory, prompts, n_prompts, standing, plan, error);
}

static uint64_t reads(const plens__pass *pass, const plens__plan *plan) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < plan->n_parts; i++)
        bytes += plens__part_reads(pass, &plan->parts[i].size);
    return bytes;
}

/* With the lens's states of one early layer at a time a part is largest; then with as many layers
 * as need no more parts than that. */
static plens_status cut_as_they_come(plens__pass *like, uint64_t memory,
                                     const plens_prompt *prompts, size_t n_prompts,
                                     const plens__standing *standing, plens__plan *plan,
                                     plens_error *error) {
    size_t low = 1, high = plens__lens_early(like->options->lens, &like->model->config);
    like->held = 1;
    plens_status status = cut_slots(like, memory, prompts, n_prompts, standing, plan, error);
    size_t n_parts = plan->n_parts, n_slots = plan->n_slots;
    while (status == PLENS_OK && high - low > 1) {
        like->held = low + (high - low) / 2;
        if (cut_slots(like, memory, prompts, n_prompts, standing, plan, NULL) == PLENS_OK &&
            plan->n_parts <= n_parts && plan->n_slots >= n_slots)
            low = like->held;
        else
            high = like->held;
    }
    like->held = low;
    return status == PLENS_OK ? cut_slots(like, memory, prompts, n_prompts, standing, plan, error)
                              : status;
}

/* The states of all lens layers are kept, unless they leave no room, or keeping fewer saves more
 * than half of the reading: the blocks are computed twice then. Hooks are shown each block once,
 * and components are kept at once. */
static plens_status cut_best(const plens__pass *pass, uint64_t memory, const plens_prompt *prompts,
                             size_t n_prompts, const plens__standing *standing, plens__plan *plan,
                             plens_error *error) {
    plens__pass like = *pass;
    size_t n_early = plens__lens_early(pass->options->lens, &pass->model->config);
    like.held = 0;
    plens_status status = cut_slots(&like, memory, prompts, n_prompts, standing, plan, error);
    int once = pass->options->n_hooks > 0 ||
               (n_early > 0 && plens__lens_component(pass->options->lens) != 0);
    if (n_early < 2 || once || (status == PLENS_OK && plan->n_parts <= 1))
        return status;
    uint64_t before = status == PLENS_OK ? reads(&like, plan) : UINT64_MAX;
    plens_status fewer = cut_as_they_come(&like, memory, prompts, n_prompts, standing, plan, error);
    if (status != PLENS_OK || (fewer == PLENS_OK && reads(&like, plan) < before / 2))
        return fewer;
    like.held = 0;
    return cut_slots(&like, memory, prompts, n_prompts, standing, plan, error);
}

plens_status plens__plan_make(const plens__pass *pass, uint64_t memory, const plens_prompt *prompts,
                              size_t n_prompts, const plens__standing *standing, plens__plan *plan,
                              plens_error *error) {
    memset(plan, 0, sizeof *plan);
    plan->allocator = pass->engine->allocator;
    plan->leaves = plens__alloc_array(&plan->allocator, n_prompts, sizeof *plan->leaves);
    plan->parts = plens__alloc_array(&plan->allocator, n_prompts, sizeof *plan->parts);
    plens_status status = PLENS_OK;
    if (plan->leaves == NULL || plan->parts == NULL) {
        status = plens__fail_memory(error, n_prompts * sizeof(plens__part), "the list of prompts");
    } else {
        for (size_t i = 0; i < n_prompts; i++)
            plan->leaves[i] =
                (plens__leaf){prompts[i].ids,
                              prompts[i].n_ids,
                              i,
                              0,
                              0,
                              plens__written_positions(pass->options, i, prompts[i].n_ids)};
        plens__leaves_sort(plan->leaves, n_prompts);
        status = cut_best(pass, memory, prompts, n_prompts, standing, plan, error);
    }
    if (status != PLENS_OK)
        plens__plan_free(plan);
    return status;
}
