#include "runtime/fp.h"

#include "runtime/attention.h"

#include <math.h>
#include <string.h>

/* n slots from `slot` of a selection: row r of q and z is slot + r. */
typedef struct attention {
    plens__pass *pass;
    const plens__selection *selection;
    size_t slot;
    size_t window;                 /* 0: full */
    size_t first_piece, end_piece; /* of the selection, that hold the slots */
    /* of the piece in hand, where hooks look on: */
    const plens__piece *piece;
    size_t first, n_rows; /* its rows whose scores are in pass->scores */
    size_t n_keys;        /* floats of a head there */
    int stops;            /* a hook may have stopped all of a query's keys */
} attention;

/* ---- keys and values ---- */

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
static head_view view_head(const plens__pass *pass, size_t branch, size_t first, size_t end,
                           size_t kv_head, float *scratch) {
    const plens__config *config = &pass->model->config;
    const plens__branch *b = &pass->batch.branches[branch];
    size_t width = config->n_kv_heads * config->head_dim, column = kv_head * config->head_dim;
    if (first >= b->depth) {
        size_t at = (b->row + (first - b->depth)) * width + column;
        return (head_view){pass->k + at, pass->v + at, width};
    }
    float *k = scratch, *v = scratch + pass->batch.size.longest * config->head_dim;
    gather_path(pass, branch, first, end - first, column, k, v);
    return (head_view){k, v, config->head_dim};
}

/* The position of a piece's first row, and the first that a query sees. */
static size_t piece_start(const attention *a, const plens__piece *piece) {
    const plens__branch *branch = &a->pass->batch.branches[piece->branch];
    return branch->depth + (piece->row - branch->row);
}

static size_t first_key(const attention *a, size_t position) {
    return plens__first_key(position + 1, a->window);
}

static float scale_of(const plens__config *config) {
    return (float)(1.0 / sqrt((double)config->head_dim));
}

/* A thread's scratch: K and V of a head, [2, longest, head_dim]; then the kernel's. */
static float *scratch_of(const plens__pass *pass, int thread) {
    return (float *)(void *)(pass->attention + (size_t)thread * pass->attention_bytes);
}

/* ---- all at once ---- */

/* Item: one piece of consecutive rows, one KV head; all query heads that share it. */
static void attend_task(void *arg, size_t item, int thread) {
    const attention *a = arg;
    const plens__pass *pass = a->pass;
    const plens__config *config = &pass->model->config;
    size_t head_dim = config->head_dim, kv_head = item % config->n_kv_heads;
    const plens__piece *piece = &a->selection->pieces[a->first_piece + item / config->n_kv_heads];
    float *scratch = scratch_of(pass, thread);
    size_t start = piece_start(a, piece), first = first_key(a, start);
    float *k = scratch, *v = k + pass->batch.size.longest * head_dim;
    /* Also where they lie in one branch: rows of all heads are far apart for the caches. */
    gather_path(pass, piece->branch, first, start + piece->n_rows - first, kv_head * head_dim, k,
                v);
    plens__queries queries = {.n_rows = piece->n_rows, .head_dim = head_dim, .window = a->window};
    queries.n_heads = config->n_heads / config->n_kv_heads;
    queries.row_stride = config->n_heads * head_dim;
    size_t at = (piece->slot - a->slot) * queries.row_stride + kv_head * queries.n_heads * head_dim;
    queries.q = pass->q + at;
    queries.out = pass->z + at;
    queries.first = start - first;
    queries.k = k;
    queries.v = v;
    queries.stride = head_dim;
    queries.scale = scale_of(config);
    pass->engine->kernels->attend_rows(&queries, v + pass->batch.size.longest * head_dim);
}

/* ---- step by step, for hooks between the steps ---- */

/* One row and one KV head of the rows in hand. */
typedef struct open_item {
    size_t from, position; /* the first and the last key */
    head_view view;        /* of keys from.. */
    size_t head, row;      /* the first query head; the row of q and z, times n_heads */
    float *scores;         /* [group, n_keys] */
} open_item;

static open_item open_at(const attention *a, size_t item, int thread) {
    const plens__pass *pass = a->pass;
    const plens__config *config = &pass->model->config;
    size_t r = item / config->n_kv_heads, kv_head = item % config->n_kv_heads;
    open_item o;
    o.position = piece_start(a, a->piece) + a->first + r;
    o.from = first_key(a, o.position);
    o.view = view_head(pass, a->piece->branch, o.from, o.position + 1, kv_head,
                       scratch_of(pass, thread));
    o.head = kv_head * (config->n_heads / config->n_kv_heads);
    o.row = (a->piece->slot - a->slot + a->first + r) * config->n_heads + o.head;
    o.scores = pass->scores + (r * config->n_heads + o.head) * a->n_keys;
    return o;
}

/* 0 for the keys that the row does not attend to. */
static void clear_masked(const attention *a, const open_item *o, float *scores) {
    memset(scores, 0, o->from * sizeof(float));
    memset(scores + o->position + 1, 0, (a->n_keys - o->position - 1) * sizeof(float));
}

static void scores_task(void *arg, size_t item, int thread) {
    const attention *a = arg;
    const plens__config *config = &a->pass->model->config;
    open_item o = open_at(a, item, thread);
    size_t group = config->n_heads / config->n_kv_heads;
    for (size_t h = 0; h < group; h++) {
        float *scores = o.scores + h * a->n_keys;
        a->pass->engine->kernels->attend_scores(
            a->pass->q + (o.row + h) * config->head_dim, o.view.k, o.view.stride,
            o.position + 1 - o.from, config->head_dim, scale_of(config), scores + o.from);
        clear_masked(a, &o, scores);
    }
}

static int all_stopped(const float *scores, size_t n) {
    size_t i = 0;
    while (i < n && scores[i] == -INFINITY)
        i++;
    return i == n;
}

static void pattern_task(void *arg, size_t item, int thread) {
    const attention *a = arg;
    const plens__config *config = &a->pass->model->config;
    open_item o = open_at(a, item, thread);
    size_t group = config->n_heads / config->n_kv_heads, n = o.position + 1 - o.from;
    for (size_t h = 0; h < group; h++) {
        float *scores = o.scores + h * a->n_keys;
        if (a->stops && all_stopped(scores + o.from, n))
            memset(scores + o.from, 0, n * sizeof(float));
        else
            a->pass->engine->kernels->attend_softmax(scores + o.from, n);
        clear_masked(a, &o, scores);
    }
}

static void values_task(void *arg, size_t item, int thread) {
    const attention *a = arg;
    const plens__config *config = &a->pass->model->config;
    open_item o = open_at(a, item, thread);
    size_t group = config->n_heads / config->n_kv_heads;
    for (size_t h = 0; h < group; h++)
        a->pass->engine->kernels->attend_values(
            o.scores + h * a->n_keys + o.from, o.view.v, o.view.stride, o.position + 1 - o.from,
            config->head_dim, a->pass->z + (o.row + h) * config->head_dim);
}

/* Shows the rows in hand, [n_rows, n_heads, n_keys], to the hooks. */
static plens_status show(const attention *a, plens_point point, size_t layer, plens_error *error) {
    plens__pass *pass = a->pass;
    return plens__pass_hooks(pass, point, layer, a->selection, a->piece->slot + a->first, a->n_rows,
                             pass->scores,
                             plens__point_width(&pass->model->config, point, a->n_keys), error);
}

/* Attention of the rows in hand. */
static plens_status attend_rows(attention *a, size_t layer, plens_error *error) {
    const plens__pass *pass = a->pass;
    size_t n_items = a->n_rows * pass->model->config.n_kv_heads;
    a->n_keys = piece_start(a, a->piece) + a->first + a->n_rows;
    plens__parallel(pass->engine, n_items, scores_task, a);
    plens_status status = show(a, PLENS_ATTN_SCORES, layer, error);
    if (status != PLENS_OK)
        return status;
    plens__parallel(pass->engine, n_items, pattern_task, a);
    status = show(a, PLENS_ATTN_PATTERN, layer, error);
    if (status == PLENS_OK)
        plens__parallel(pass->engine, n_items, values_task, a);
    return status;
}

static plens_status attend_openly(attention *a, size_t layer, plens_error *error) {
    a->stops = plens__pass_writes(a->pass->options, PLENS_ATTN_SCORES, layer);
    for (size_t i = a->first_piece; i < a->end_piece; i++) {
        a->piece = &a->selection->pieces[i];
        for (a->first = 0; a->first < a->piece->n_rows; a->first += a->n_rows) {
            size_t left = a->piece->n_rows - a->first;
            a->n_rows = left < a->pass->score_rows ? left : a->pass->score_rows;
            plens_status status = attend_rows(a, layer, error);
            if (status != PLENS_OK)
                return status;
        }
    }
    return PLENS_OK;
}

/* ---- entry ---- */

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

plens_status plens__pass_attend(plens__pass *pass, size_t layer, const plens__selection *selection,
                                size_t slot, size_t n, plens_error *error) {
    const plens__config *config = &pass->model->config;
    attention a = {.pass = pass, .selection = selection, .slot = slot};
    a.window = config->windows[layer - 1];
    a.first_piece = piece_at(selection, slot);
    a.end_piece = piece_at(selection, slot + n);
    if (plens__pass_wants(pass->options, PLENS_ATTN_SCORES, layer) ||
        plens__pass_wants(pass->options, PLENS_ATTN_PATTERN, layer))
        return attend_openly(&a, layer, error);
    plens__parallel(pass->engine, (a.end_piece - a.first_piece) * config->n_kv_heads, attend_task,
                    &a);
    return PLENS_OK;
}
