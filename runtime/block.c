/* One Transformer block over the rows of a batch, in two sweeps over chunks of rows: K and V of
 * every row, then the rest for the rows that are to be finished. */
#include "runtime/fp.h"

#include "runtime/pass.h"

#include <math.h>
#include <string.h>

/* Rows in one item of row-wise work. */
#define ROW_GROUP 16

/* What the tasks below share: n rows from slot `slot` of `selection`. */
typedef struct sweep {
    plens__pass *pass;
    const plens__block *block;
    const plens__selection *selection;
    size_t slot, n;
    size_t window;
    size_t first_piece; /* of the selection, within the sweep */
    const float *x;     /* [n, d_model] the rows' residual stream */
    /* operands of the row-wise tasks */
    const float *weight;
    float *heads;
    size_t n_heads;
    const float *head_norm;
    float *to;
} sweep;

static size_t row_at(const plens__selection *selection, size_t slot) {
    return selection->rows == NULL ? slot : selection->rows[slot];
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static void for_rows(const sweep *s, plens__task *task) {
    plens__parallel(s->pass->engine, (s->n + ROW_GROUP - 1) / ROW_GROUP, task, (void *)s);
}

/* ---- row-wise tasks, one group of rows each ---- */

static void norm_task(void *arg, size_t item, int thread) {
    const sweep *s = arg;
    const plens__config *config = &s->pass->model->config;
    size_t d = config->d_model, end = smaller((item + 1) * ROW_GROUP, s->n);
    (void)thread;
    for (size_t r = item * ROW_GROUP; r < end; r++)
        s->pass->engine->kernels->rms_norm(s->x + r * d, s->weight, d, (float)config->rms_norm_eps,
                                           s->to + r * d);
}

/* The q/k norm where there is one, then the rotary embedding, of each head of s->heads. */
static void rotate_task(void *arg, size_t item, int thread) {
    const sweep *s = arg;
    const plens__pass *pass = s->pass;
    const plens__config *config = &pass->model->config;
    const plens__kernels *kernels = pass->engine->kernels;
    size_t head_dim = config->head_dim, half = head_dim / 2;
    size_t end = smaller((item + 1) * ROW_GROUP, s->n);
    (void)thread;
    for (size_t r = item * ROW_GROUP; r < end; r++) {
        size_t position = s->selection->served[s->slot + r].position;
        for (size_t h = 0; h < s->n_heads; h++) {
            float *head = s->heads + (r * s->n_heads + h) * head_dim;
            if (s->head_norm != NULL)
                kernels->rms_norm(head, s->head_norm, head_dim, (float)config->rms_norm_eps, head);
            kernels->rope(head, pass->cosine + position * half, pass->sine + position * half, half);
        }
    }
}

static void add_task(void *arg, size_t item, int thread) {
    const sweep *s = arg;
    size_t d = s->pass->model->config.d_model, end = smaller((item + 1) * ROW_GROUP, s->n);
    (void)thread;
    for (size_t r = item * ROW_GROUP; r < end; r++)
        s->pass->engine->kernels->add(s->to + r * d, s->pass->norm + r * d, d);
}

static void activate_task(void *arg, size_t item, int thread) {
    const sweep *s = arg;
    plens__pass *pass = s->pass;
    size_t d_ff = pass->model->config.d_ff, end = smaller((item + 1) * ROW_GROUP, s->n);
    (void)thread;
    for (size_t r = item * ROW_GROUP; r < end; r++)
        pass->engine->kernels->silu_mul(pass->gate + r * d_ff, pass->up + r * d_ff, d_ff,
                                        pass->gate + r * d_ff);
}

/* ---- attention ---- */

/* K and V of one head for positions first.. of a path: row j at k + j * stride. */
typedef struct head_view {
    const float *k, *v;
    size_t stride;
} head_view;

/* Copies positions [first, first + n) of one head from all along the path to scratch. */
static void gather_path(const plens__pass *pass, size_t branch, size_t first, size_t n,
                        size_t column, float *k, float *v) {
    const plens__config *config = &pass->model->config;
    size_t width = config->n_kv_heads * config->head_dim, end = first + n;
    while (end > first) {
        const plens__branch *b = &pass->batch.branches[branch];
        for (; end > first && end > b->depth; end--) {
            size_t from = (b->row + (end - 1 - b->depth)) * width + column;
            size_t to = (end - 1 - first) * config->head_dim;
            memcpy(k + to, pass->k + from, config->head_dim * sizeof(float));
            memcpy(v + to, pass->v + from, config->head_dim * sizeof(float));
        }
        branch = b->parent;
    }
}

/* Positions [first, end) of one head: in place where they lie in one branch, else gathered. */
static head_view view_head(const plens__pass *pass, const plens__branch *branch, size_t index,
                           size_t first, size_t end, size_t kv_head, float *scratch) {
    const plens__config *config = &pass->model->config;
    size_t width = config->n_kv_heads * config->head_dim, column = kv_head * config->head_dim;
    if (first >= branch->depth) {
        size_t at = (branch->row + (first - branch->depth)) * width + column;
        return (head_view){pass->k + at, pass->v + at, width};
    }
    float *k = scratch, *v = scratch + pass->batch.size.longest * config->head_dim;
    gather_path(pass, index, first, end - first, column, k, v);
    return (head_view){k, v, config->head_dim};
}

/* Item: one piece of consecutive rows, one KV head; all query heads that share it. */
static void attend_task(void *arg, size_t item, int thread) {
    const sweep *s = arg;
    const plens__pass *pass = s->pass;
    const plens__config *config = &pass->model->config;
    size_t head_dim = config->head_dim, group = config->n_heads / config->n_kv_heads;
    size_t kv_head = item % config->n_kv_heads;
    const plens__piece *piece = &s->selection->pieces[s->first_piece + item / config->n_kv_heads];
    const plens__branch *branch = &pass->batch.branches[piece->branch];
    float scale = (float)(1.0 / sqrt((double)head_dim));
    float *scores = (float *)(void *)(pass->attention + (size_t)thread * pass->attention_bytes);
    size_t start = branch->depth + (piece->row - branch->row); /* position of the first query */
    size_t first = s->window > 0 && start + 1 > s->window ? start + 1 - s->window : 0;
    head_view view = view_head(pass, branch, piece->branch, first, start + piece->n_rows, kv_head,
                               scores + pass->batch.size.longest);
    for (size_t r = 0; r < piece->n_rows; r++) {
        size_t position = start + r;
        size_t from = s->window > 0 && position + 1 > s->window ? position + 1 - s->window : 0;
        const float *k = view.k + (from - first) * view.stride;
        const float *v = view.v + (from - first) * view.stride;
        size_t row = (piece->slot - s->slot + r) * config->n_heads + kv_head * group;
        for (size_t h = 0; h < group; h++)
            pass->engine->kernels->attend(pass->q + (row + h) * head_dim, k, view.stride, v,
                                          view.stride, position + 1 - from, head_dim, scale, scores,
                                          pass->z + (row + h) * head_dim);
    }
}

/* The first piece at or after a slot. */
static size_t piece_at(const plens__selection *selection, size_t slot) {
    size_t low = 0, high = selection->n_pieces;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (selection->pieces[middle].slot < slot)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void attend(sweep *s) {
    size_t end = piece_at(s->selection, s->slot + s->n);
    s->first_piece = piece_at(s->selection, s->slot);
    plens__parallel(s->pass->engine, (end - s->first_piece) * s->pass->model->config.n_kv_heads,
                    attend_task, s);
}

/* ---- the two sweeps ---- */

static void apply(const sweep *s, const plens__linear *linear, const float *x, float *y) {
    plens__matmul(s->pass->engine, &linear->matrix, linear->bias, x, linear->matrix.n_in, s->n, y,
                  linear->matrix.n_out);
}

static void normalize(sweep *s, const float *weight) {
    s->weight = weight;
    s->to = s->pass->norm;
    for_rows(s, norm_task);
}

static void rotate(sweep *s, float *heads, size_t n_heads, const float *head_norm) {
    s->heads = heads;
    s->n_heads = n_heads;
    s->head_norm = head_norm;
    for_rows(s, rotate_task);
}

/* K and V of rows [slot, slot + n) of all. */
static void keys_and_values(sweep *s) {
    plens__pass *pass = s->pass;
    const plens__config *config = &pass->model->config;
    size_t width = config->n_kv_heads * config->head_dim;
    s->x = pass->x + s->slot * config->d_model;
    normalize(s, s->block->attn_norm);
    apply(s, &s->block->k, pass->norm, pass->k + s->slot * width);
    apply(s, &s->block->v, pass->norm, pass->v + s->slot * width);
    rotate(s, pass->k + s->slot * width, config->n_kv_heads, s->block->k_norm);
}

/* x += what pass->norm holds. */
static void add_to_residual(sweep *s, float *x) {
    s->to = x;
    for_rows(s, add_task);
}

static void attention(sweep *s, float *x) {
    plens__pass *pass = s->pass;
    normalize(s, s->block->attn_norm);
    apply(s, &s->block->q, pass->norm, pass->q);
    rotate(s, pass->q, pass->model->config.n_heads, s->block->q_norm);
    attend(s);
    apply(s, &s->block->o, pass->z, pass->norm);
    add_to_residual(s, x);
}

static void mlp(sweep *s, float *x) {
    plens__pass *pass = s->pass;
    normalize(s, s->block->mlp_norm);
    apply(s, &s->block->gate, pass->norm, pass->gate);
    apply(s, &s->block->up, pass->norm, pass->up);
    for_rows(s, activate_task);
    apply(s, &s->block->down, pass->gate, pass->norm);
    add_to_residual(s, x);
}

/* Copies the sweep's residual rows out of x (or back into it). */
static void move_rows(const sweep *s, int back) {
    size_t d = s->pass->model->config.d_model;
    for (size_t i = 0; i < s->n; i++) {
        float *in_x = s->pass->x + row_at(s->selection, s->slot + i) * d;
        float *in_active = s->pass->active + i * d;
        memcpy(back ? in_x : in_active, back ? in_active : in_x, d * sizeof(float));
    }
}

/* The rest of the block for slots [slot, slot + n) of s->selection. */
static plens_status finish_rows(sweep *s, size_t layer, plens_error *error) {
    plens__pass *pass = s->pass;
    size_t d = pass->model->config.d_model;
    int gathered = s->selection->rows != NULL;
    float *x = gathered ? pass->active : pass->x + s->slot * d;
    if (gathered)
        move_rows(s, 0);
    s->x = x;
    attention(s, x);
    plens_status status =
        plens__pass_hooks(pass, PLENS_RESID_MID, layer, s->selection, s->slot, s->n, x, d, error);
    if (status != PLENS_OK)
        return status;
    mlp(s, x);
    if (gathered)
        move_rows(s, 1);
    return PLENS_OK;
}

/* Multiply-adds of one row in K and V, and in the rest of a block (attention's pairs aside). */
static double row_work(const plens__config *config, int rest) {
    double d = (double)config->d_model, head = (double)config->head_dim;
    if (!rest)
        return 2 * d * (double)config->n_kv_heads * head;
    return 2 * d * (double)config->n_heads * head + 3 * d * (double)config->d_ff;
}

plens_status plens__pass_block(plens__pass *pass, const plens__block *block, size_t layer,
                               plens_error *error) {
    const plens__config *config = &pass->model->config;
    const plens__selection *finished =
        layer == config->n_layers ? pass->finished : &pass->batch.all;
    sweep s = {.pass = pass, .block = block, .window = config->windows[layer - 1]};
    s.selection = &pass->batch.all;
    for (s.slot = 0; s.slot < s.selection->count; s.slot += s.n) {
        s.n = smaller(PLENS__CHUNK_ROWS, s.selection->count - s.slot);
        keys_and_values(&s);
        plens_status status = plens__pass_progress(pass, (double)s.n * row_work(config, 0), error);
        if (status != PLENS_OK)
            return status;
    }
    s.selection = finished;
    for (s.slot = 0; s.slot < s.selection->count; s.slot += s.n) {
        s.n = smaller(PLENS__CHUNK_ROWS, s.selection->count - s.slot);
        plens_status status = finish_rows(&s, layer, error);
        if (status == PLENS_OK)
            status = plens__pass_progress(pass, (double)s.n * row_work(config, 1), error);
        if (status != PLENS_OK)
            return status;
    }
    return PLENS_OK;
}
