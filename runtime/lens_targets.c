/* The logits of the lens's targets, and of layer L's top tokens, at the states in hand: many rows
 * and tokens in one product, since each has few. The same bits as the tiles give: an output's bits
 * do not depend on its neighbours. */
#include "runtime/fp.h"

#include "runtime/pass.h"

/* Tokens whose logits are wanted, each at one row, rows ascending. */
typedef struct picks {
    plens__pass *pass;
    int final;           /* layer L's states, or those of the early layers that are kept */
    size_t from, layers; /* which they are, by their index */
    size_t n, first_row, last_row;
    int32_t ids[PLENS__LENS_TARGETS];
    struct {
        size_t row;
        plens_lens_token *to; /* its place at the first layer in hand, and from layer to layer */
        size_t stride;
    } at[PLENS__LENS_TARGETS];
} picks;

static picks start(plens__pass *pass, int final) {
    const plens__lens *lens = &pass->lens;
    picks p = {.pass = pass,
               .final = final,
               .from = final ? lens->n_early : lens->from,
               .layers = final ? 1 : lens->n_held};
    return p;
}

/* Computes what has been asked for. */
static plens_status flush(picks *p, plens_error *error) {
    plens__pass *pass = p->pass;
    plens__lens *lens = &pass->lens;
    plens__matrix matrix;
    if (p->n == 0)
        return PLENS_OK;
    plens_status status = plens__weights_unembed_ids(&pass->weights, p->ids, p->n, &matrix, error);
    plens__clock_lap(pass->clock, PLENS_WORK_READ);
    if (status != PLENS_OK)
        return status;
    size_t d = matrix.n_in, n_states = (p->last_row - p->first_row + 1) * p->layers;
    const float *states = (p->final ? lens->final : lens->early) + p->first_row * p->layers * d;
    plens__operand x = plens__pass_operand(pass, states, d, n_states, d);
    plens__matmul(pass->engine, &matrix, NULL, &x, lens->target_logits, p->n);
    plens__clock_lap(pass->clock, PLENS_WORK_UNEMBED);
    for (size_t i = 0; i < p->n; i++) {
        const float *logits =
            lens->target_logits + (p->at[i].row - p->first_row) * p->layers * p->n + i;
        for (size_t layer = 0; layer < p->layers; layer++)
            p->at[i].to[layer * p->at[i].stride] =
                (plens_lens_token){p->ids[i], logits[layer * p->n], 0, 0};
    }
    p->n = 0;
    return PLENS_OK;
}

static plens_status add(picks *p, size_t row, int32_t id, plens_lens_token *to, size_t stride,
                        plens_error *error) {
    plens_status status = PLENS_OK;
    if (p->n == PLENS__LENS_TARGETS ||
        (p->n > 0 && (row - p->first_row + 1) * p->layers > PLENS__LENS_ROWS))
        status = flush(p, error);
    if (p->n == 0)
        p->first_row = row;
    p->last_row = row;
    p->ids[p->n] = id;
    p->at[p->n].row = row;
    p->at[p->n].to = to;
    p->at[p->n].stride = stride;
    p->n++;
    return status;
}

plens_status plens__pass_targets(plens__pass *pass, int final, plens_error *error) {
    plens__lens *lens = &pass->lens;
    picks p = start(pass, final);
    plens_status status = PLENS_OK;
    for (size_t row = 0; row < lens->rows->count; row++) {
        for (size_t e = lens->first_entry[row]; e != SIZE_MAX; e = lens->entries[e].next) {
            const plens_prompt *prompt = &lens->prompts[lens->entries[e].prompt];
            size_t n = prompt->n_targets;
            plens_lens_token *to = lens->targets + lens->entries[e].targets + p.from * n;
            for (size_t i = 0; i < n && status == PLENS_OK; i++)
                status = add(&p, row, prompt->targets[i], to + i, n, error);
        }
    }
    return status == PLENS_OK ? flush(&p, error) : status;
}

plens_status plens__pass_final_tops(plens__pass *pass, int final, plens_error *error) {
    plens__lens *lens = &pass->lens;
    picks p = start(pass, final);
    plens_status status = PLENS_OK;
    for (size_t row = 0; row < lens->rows->count && status == PLENS_OK; row++) {
        size_t first = row * lens->n_layers;
        int32_t id = lens->top[(first + lens->n_early) * lens->top_k].id;
        status = add(&p, row, id, lens->final_top + first + p.from, 1, error);
    }
    return status == PLENS_OK ? flush(&p, error) : status;
}
