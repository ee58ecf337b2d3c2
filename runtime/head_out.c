/* Each head's output: its columns of o_proj times its z. The residual stream gets o_proj's product
 * over all heads at once; these are computed beside it, when a hook asks. */
#include "runtime/fp.h"

#include "runtime/pass.h"

#include <string.h>

/* Rows [first, first + n) of the chunk, whose heads' outputs are in pass->head_out. */
typedef struct heads {
    plens__pass *pass;
    const float *bias;
    size_t first, n;
} heads;

/* W_o [d_model, n_heads * head_dim], the columns of one head: [d_model, head_dim]. */
static plens__matrix columns_of(const plens__pass *pass, const plens__matrix *o, size_t head) {
    size_t head_dim = pass->model->config.head_dim, size = o->dtype == PLENS_F32 ? 4 : 2;
    char *to = pass->head_weights;
    for (size_t row = 0; row < o->n_out; row++)
        memcpy(to + row * head_dim * size,
               (const char *)o->data + (row * o->n_in + head * head_dim) * size, head_dim * size);
    plens__matrix columns = *o;
    columns.data = to;
    columns.n_in = head_dim;
    return columns;
}

static void multiply(const heads *h, const plens__matrix *o) {
    const plens__pass *pass = h->pass;
    const plens__config *config = &pass->model->config;
    size_t d = config->d_model, head_dim = config->head_dim, n_heads = config->n_heads;
    for (size_t head = 0; head < n_heads; head++) {
        plens__matrix columns = columns_of(pass, o, head);
        plens__operand z =
            plens__pass_operand(pass, pass->z + (h->first * n_heads + head) * head_dim,
                                n_heads * head_dim, h->n, head_dim);
        plens__matmul(pass->engine, &columns, NULL, &z, pass->head_out + head * d, n_heads * d);
    }
}

/* Item: a row. Its attn_out is the sum of its heads if a hook changed any of them. */
static void sum_task(void *arg, size_t item, int thread) {
    const heads *h = arg;
    const plens__pass *pass = h->pass;
    const plens__kernels *kernels = pass->engine->kernels;
    size_t d = pass->model->config.d_model, n_heads = pass->model->config.n_heads;
    const float *found = pass->head_out + item * n_heads * d;
    float *sum = pass->norm + (h->first + item) * d;
    (void)thread;
    if (memcmp(found, pass->head_kept + item * n_heads * d, n_heads * d * sizeof(float)) == 0)
        return;
    memcpy(sum, found, d * sizeof(float));
    for (size_t head = 1; head < n_heads; head++)
        kernels->add(sum, found + head * d, d);
    if (h->bias != NULL)
        kernels->add(sum, h->bias, d);
}

plens_status plens__pass_head_out(plens__pass *pass, const plens__linear *o, size_t layer,
                                  const plens__selection *selection, size_t slot, size_t n,
                                  plens_error *error) {
    if (!plens__pass_wants(pass->options, PLENS_HEAD_OUT, layer))
        return PLENS_OK;
    int writes = plens__pass_writes(pass->options, PLENS_HEAD_OUT, layer);
    size_t width = plens__point_width(&pass->model->config, PLENS_HEAD_OUT, 0);
    heads h = {pass, o->bias, 0, 0};
    for (; h.first < n; h.first += h.n) {
        h.n = n - h.first < pass->head_rows ? n - h.first : pass->head_rows;
        multiply(&h, &o->matrix);
        if (writes)
            memcpy(pass->head_kept, pass->head_out, h.n * width * sizeof(float));
        plens_status status = plens__pass_hooks(pass, PLENS_HEAD_OUT, layer, selection,
                                                slot + h.first, h.n, pass->head_out, width, error);
        if (status != PLENS_OK)
            return status;
        if (writes)
            plens__parallel(pass->engine, h.n, sum_task, &h);
    }
    return PLENS_OK;
}

double plens__head_out_work(const plens__pass *pass, size_t layer) {
    const plens__config *config = &pass->model->config;
    if (!plens__pass_wants(pass->options, PLENS_HEAD_OUT, layer))
        return 0;
    return (double)config->d_model * (double)config->n_heads * (double)config->head_dim;
}
