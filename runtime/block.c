/* One Transformer block over the rows of a batch, in two sweeps over chunks of rows: K and V of
 * every row, then the rest for the rows that are to be finished. */
#include "runtime/fp.h"

#include "runtime/attention.h"
#include "runtime/work.h"

#include <string.h>

/* Rows in one item of row-wise work. */
#define ROW_GROUP 16

/* What the tasks below share: n rows from slot `slot` of `selection`. */
typedef struct sweep {
    plens__pass *pass;
    const plens__block *block;
    const plens__selection *selection;
    size_t layer;
    size_t slot, n;
    const float *x;      /* [n, d_model] the rows' residual stream */
    plens_status status; /* of the hooks so far */
    plens_error *error;
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
    plens__clock_lap(s->pass->clock, PLENS_WORK_ROWS);
}

/* ---- row-wise tasks, one group of rows each ---- */

/* plens__rows.make: whole rows of pass->norm. */
static void make_norm(void *arg, size_t first, size_t n, size_t k, size_t n_k) {
    const sweep *s = arg;
    const plens__config *config = &s->pass->model->config;
    size_t d = config->d_model;
    (void)k, (void)n_k;
    for (size_t r = first; r < first + n; r++)
        s->pass->engine->kernels->rms_norm(s->x + r * d, s->weight, d, (float)config->rms_norm_eps,
                                           s->pass->norm + r * d);
}

static void norm_task(void *arg, size_t item, int thread) {
    const sweep *s = arg;
    size_t first = item * ROW_GROUP;
    (void)thread;
    make_norm(arg, first, smaller(ROW_GROUP, s->n - first), 0, 0);
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

/* plens__rows.make: gate = silu(gate) up. */
static void make_activated(void *arg, size_t first, size_t n, size_t k, size_t n_k) {
    const sweep *s = arg;
    plens__pass *pass = s->pass;
    size_t d_ff = pass->model->config.d_ff;
    for (size_t r = first; r < first + n; r++)
        pass->engine->kernels->silu_mul(pass->gate + r * d_ff + k, pass->up + r * d_ff + k, n_k,
                                        pass->gate + r * d_ff + k);
}

static void activate_task(void *arg, size_t item, int thread) {
    const sweep *s = arg;
    size_t first = item * ROW_GROUP;
    (void)thread;
    make_activated(arg, first, smaller(ROW_GROUP, s->n - first), 0, s->pass->model->config.d_ff);
}

static void silu_task(void *arg, size_t item, int thread) {
    const sweep *s = arg;
    size_t d_ff = s->pass->model->config.d_ff, end = smaller((item + 1) * ROW_GROUP, s->n);
    (void)thread;
    for (size_t r = item * ROW_GROUP; r < end; r++)
        s->pass->engine->kernels->silu(s->pass->gate + r * d_ff, d_ff);
}

static void multiply_task(void *arg, size_t item, int thread) {
    const sweep *s = arg;
    const plens__pass *pass = s->pass;
    size_t d_ff = pass->model->config.d_ff, end = smaller((item + 1) * ROW_GROUP, s->n);
    (void)thread;
    for (size_t r = item * ROW_GROUP; r < end; r++)
        pass->engine->kernels->multiply(pass->gate + r * d_ff, pass->up + r * d_ff, d_ff);
}

/* ---- the two sweeps ---- */

/* x [n, width] for the products that follow. */
static plens__operand operand(const sweep *s, const float *x, size_t width) {
    return plens__pass_operand(s->pass, x, width, s->n, width);
}

static void apply(const sweep *s, const plens__linear *linear, plens_work work,
                  const plens__operand *x, float *y) {
    plens__matmul(s->pass->engine, &linear->matrix, linear->bias, x, y, linear->matrix.n_out);
    plens__clock_lap(s->pass->clock, work);
}

static void rotate(sweep *s, float *heads, size_t n_heads, const float *head_norm) {
    s->heads = heads;
    s->n_heads = n_heads;
    s->head_norm = head_norm;
    for_rows(s, rotate_task);
}

/* Shows values [n, width] of the sweep's rows to the hooks, unless one has stopped the run. */
static void show(sweep *s, plens_point point, float *values) {
    size_t width = plens__point_width(&s->pass->model->config, point, 0);
    if (s->status == PLENS_OK)
        s->status = plens__pass_hooks(s->pass, point, s->layer, s->selection, s->slot, s->n, values,
                                      width, s->error);
    plens__clock_lap(s->pass->clock, PLENS_WORK_HOOKS);
}

static int wants(const sweep *s, plens_point point) {
    return plens__pass_wants(s->pass->options, point, s->layer);
}

/* The rows' norm, in pass->norm too. */
static plens__operand normalized(sweep *s, const float *weight) {
    size_t d = s->pass->model->config.d_model;
    plens__rows rows = {s->pass->norm, d, s->n, d, make_norm, s, 0};
    s->weight = weight;
    return plens__pass_operand_of(s->pass, &rows);
}

/* The same, shown to the hooks. */
static plens__operand normalized_and_shown(sweep *s, const float *weight, plens_point point) {
    if (!wants(s, point))
        return normalized(s, weight);
    s->weight = weight;
    for_rows(s, norm_task);
    show(s, point, s->pass->norm);
    return operand(s, s->pass->norm, s->pass->model->config.d_model);
}

/* K and V of rows [slot, slot + n) of all. */
static void keys_and_values(sweep *s) {
    plens__pass *pass = s->pass;
    const plens__config *config = &pass->model->config;
    size_t width = config->n_kv_heads * config->head_dim;
    s->x = pass->x + s->slot * config->d_model;
    plens__operand x = normalized_and_shown(s, s->block->attn_norm, PLENS_ATTN_NORM);
    if (pass->attn_norm != NULL) /* queries are made of it in the second sweep */
        memcpy(pass->attn_norm + s->slot * config->d_model, pass->norm,
               s->n * config->d_model * sizeof(float));
    apply(s, &s->block->k, PLENS_WORK_K, &x, pass->k + s->slot * width);
    apply(s, &s->block->v, PLENS_WORK_V, &x, pass->v + s->slot * width);
    show(s, PLENS_K, pass->k + s->slot * width);
    show(s, PLENS_V, pass->v + s->slot * width);
    rotate(s, pass->k + s->slot * width, config->n_kv_heads, s->block->k_norm);
    show(s, PLENS_K_ROT, pass->k + s->slot * width);
}

/* The rows' attn_norm as the first sweep left it. */
static plens__operand normalized_again(sweep *s) {
    plens__pass *pass = s->pass;
    size_t d = pass->model->config.d_model;
    if (pass->attn_norm == NULL)
        return normalized(s, s->block->attn_norm);
    for (size_t i = 0; i < s->n; i++)
        memcpy(pass->norm + i * d, pass->attn_norm + row_at(s->selection, s->slot + i) * d,
               d * sizeof(float));
    return operand(s, pass->norm, d);
}

/* x += what pass->norm holds. */
static void add_to_residual(sweep *s, float *x) {
    s->to = x;
    for_rows(s, add_task);
}

static void attention(sweep *s, float *x) {
    plens__pass *pass = s->pass;
    const plens__config *config = &pass->model->config;
    plens__operand normed = normalized_again(s);
    apply(s, &s->block->q, PLENS_WORK_Q, &normed, pass->q);
    show(s, PLENS_Q, pass->q);
    rotate(s, pass->q, config->n_heads, s->block->q_norm);
    show(s, PLENS_Q_ROT, pass->q);
    if (s->status == PLENS_OK)
        s->status = plens__pass_attend(pass, s->layer, s->selection, s->slot, s->n, s->error);
    plens__clock_lap(pass->clock, PLENS_WORK_ATTENTION);
    show(s, PLENS_Z, pass->z);
    plens__operand z = operand(s, pass->z, config->n_heads * config->head_dim);
    apply(s, &s->block->o, PLENS_WORK_O, &z, pass->norm);
    if (s->status == PLENS_OK)
        s->status = plens__pass_head_out(pass, &s->block->o, s->layer, s->selection, s->slot, s->n,
                                         s->error);
    show(s, PLENS_ATTN_OUT, pass->norm);
    add_to_residual(s, x);
}

/* silu(gate) up, in the place of gate; in two steps if a hook wants to see the first. */
static plens__operand activated(sweep *s) {
    plens__pass *pass = s->pass;
    size_t d_ff = pass->model->config.d_ff;
    plens__rows rows = {pass->gate, d_ff, s->n, d_ff, make_activated, s, 1};
    if (!wants(s, PLENS_MLP_ACT) && !wants(s, PLENS_MLP_POST))
        return plens__pass_operand_of(pass, &rows);
    if (wants(s, PLENS_MLP_ACT)) {
        for_rows(s, silu_task);
        show(s, PLENS_MLP_ACT, pass->gate);
        for_rows(s, multiply_task);
    } else {
        for_rows(s, activate_task);
    }
    show(s, PLENS_MLP_POST, pass->gate);
    return operand(s, pass->gate, d_ff);
}

static void mlp(sweep *s, float *x) {
    plens__pass *pass = s->pass;
    plens__operand normed = normalized_and_shown(s, s->block->mlp_norm, PLENS_MLP_NORM);
    apply(s, &s->block->gate, PLENS_WORK_GATE, &normed, pass->gate);
    show(s, PLENS_MLP_GATE, pass->gate);
    apply(s, &s->block->up, PLENS_WORK_UP, &normed, pass->up);
    show(s, PLENS_MLP_UP, pass->up);
    plens__operand post = activated(s);
    apply(s, &s->block->down, PLENS_WORK_DOWN, &post, pass->norm);
    show(s, PLENS_MLP_OUT, pass->norm);
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
static void finish_rows(sweep *s) {
    plens__pass *pass = s->pass;
    size_t d = pass->model->config.d_model;
    int gathered = s->selection->rows != NULL;
    float *x = gathered ? pass->active : pass->x + s->slot * d;
    if (gathered)
        move_rows(s, 0);
    s->x = x;
    attention(s, x);
    show(s, PLENS_RESID_MID, x);
    mlp(s, x);
    if (gathered)
        move_rows(s, 1);
}

/* Multiply-adds of attention of the sweep's rows. */
static double attention_work(const sweep *s) {
    const plens__config *config = &s->pass->model->config;
    size_t n_pairs = 0;
    for (size_t i = 0; i < s->n; i++) {
        size_t position = s->selection->served[s->slot + i].position;
        n_pairs += plens__pairs_between(position, position + 1, config->windows[s->layer - 1]);
    }
    return plens__pairs_work(config, n_pairs);
}

plens_status plens__pass_block(plens__pass *pass, const plens__block *block, size_t layer,
                               plens_error *error) {
    const plens__config *config = &pass->model->config;
    const plens__selection *finished =
        layer == config->n_layers ? pass->finished : &pass->batch.all;
    sweep s = {.pass = pass, .block = block, .layer = layer, .error = error};
    s.selection = &pass->batch.all;
    for (s.slot = 0; s.slot < s.selection->count; s.slot += s.n) {
        s.n = smaller(PLENS__CHUNK_ROWS, s.selection->count - s.slot);
        keys_and_values(&s);
        if (s.status == PLENS_OK)
            s.status = plens__pass_progress(pass, (double)s.n * plens__kv_work(config), error);
        if (s.status != PLENS_OK)
            return s.status;
    }
    s.selection = finished;
    for (s.slot = 0; s.slot < s.selection->count; s.slot += s.n) {
        s.n = smaller(PLENS__CHUNK_ROWS, s.selection->count - s.slot);
        finish_rows(&s);
        double work = plens__rest_work(config) + plens__head_out_work(pass, layer);
        if (s.status == PLENS_OK)
            s.status = plens__pass_progress(pass, (double)s.n * work + attention_work(&s), error);
        if (s.status != PLENS_OK)
            return s.status;
    }
    return PLENS_OK;
}
