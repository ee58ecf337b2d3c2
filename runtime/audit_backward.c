/* The adjoint of a block: what <seed, out> would gain from a change anywhere inside. One backward
 * sweep so weighs every single weight of the block as an explanation of a departure. */
#include "runtime/fp.h"

#include "runtime/audit_block.h"

#include <math.h>
#include <string.h>

#include "runtime/audit_math.h"
#include "runtime/numeric.h"

typedef struct sweep {
    const plens__reference *reference;
    const plens__variant *variant;
    const double *x;
    const plens__trace *trace;
    plens__adjoint *adjoint;
    /* of a norm: adds the gradient with respect to its input to `to` */
    const double *from, *gradient;
    const float *weight;
    size_t width, n_heads;
    double eps;
    int is_query;
    double *to;
} sweep;

static double *scratch_of(const sweep *s, int thread) {
    return s->reference->scratch + (size_t)thread * s->reference->scratch_width;
}

/* r = (sum x^2 / n + eps)^(-1/2): dx = r (g w) - x r^3 <g w, x> / n. */
void plens__norm_back_row(const double *x, const double *gradient, const float *weight, size_t n,
                          double eps, double *to) {
    double square = 0, inner = 0;
    for (size_t i = 0; i < n; i++) {
        square += x[i] * x[i];
        inner += gradient[i] * (double)weight[i] * x[i];
    }
    double r = 1 / sqrt(square / (double)n + eps), shared = r * r * r * inner / (double)n;
    for (size_t i = 0; i < n; i++)
        to[i] += r * gradient[i] * (double)weight[i] - x[i] * shared;
}

static void norm_back_task(void *arg, size_t item, int thread) {
    const sweep *s = arg;
    size_t at = item * s->width;
    (void)thread;
    plens__norm_back_row(s->from + at, s->gradient + at, s->weight, s->width, s->eps, s->to + at);
}

static void activate_back_task(void *arg, size_t item, int thread) {
    const sweep *s = arg;
    size_t d_ff = s->reference->config->d_ff;
    (void)thread;
    for (size_t i = item * d_ff; i < (item + 1) * d_ff; i++) {
        double gate = s->trace->gate[i], hidden = s->adjoint->hidden[i];
        s->adjoint->linear[PLENS__SLOT_UP][i] = hidden * plens__activate(PLENS__SILU, gate);
        s->adjoint->linear[PLENS__SLOT_GATE][i] =
            hidden * s->trace->up[i] * plens__silu_slope(gate);
    }
}

/* to += reference->product. */
static void gather_task(void *arg, size_t item, int thread) {
    const sweep *s = arg;
    (void)thread;
    for (size_t i = item * s->width; i < (item + 1) * s->width; i++)
        s->to[i] += s->reference->product[i];
}

/* Adds gradient W to `to` [n, n_in]. */
static void back(sweep *s, const plens__matrix *matrix, const double *gradient, double *to) {
    plens__reference_multiply_back(s->reference, matrix, gradient, s->reference->n,
                                   s->reference->product);
    s->width = matrix->n_in;
    s->to = to;
    plens__parallel(s->reference->engine, s->reference->n, gather_task, s);
}

static void clear(const sweep *s, double *to, size_t width) {
    memset(to, 0, s->reference->n * width * sizeof *to);
}

/* ---- attention ---- */

/* One query t of head h: from dz to dv, dq and dk. p [n], dp [n] are scratch. */
static void attend_back_row(const sweep *s, size_t t, size_t h, double *p, double *dp) {
    const plens__config *config = s->reference->config;
    size_t head_dim = config->head_dim, kv = h / (config->n_heads / config->n_kv_heads);
    size_t width = config->n_heads * head_dim, stride = config->n_kv_heads * head_dim, first, end;
    const double *dz = s->adjoint->linear[PLENS__SLOT_Q] + t * width + h * head_dim;
    const double *q = s->trace->q_rotated + t * width + h * head_dim;
    double *dq = s->adjoint->q_rotated + t * width + h * head_dim;
    double max = -(double)INFINITY, sum = 0, mean = 0;
    plens__visible(s->variant, s->reference->n, t, &first, &end);
    for (size_t j = first; j < end; j++) {
        const double *k = s->trace->k_rotated + j * stride + kv * head_dim;
        const double *v = s->trace->v + j * stride + kv * head_dim;
        p[j] = dp[j] = 0;
        for (size_t i = 0; i < head_dim; i++) {
            p[j] += q[i] * k[i] * s->variant->scale;
            dp[j] += dz[i] * v[i];
        }
        max = p[j] > max ? p[j] : max;
    }
    for (size_t j = first; j < end; j++)
        sum += p[j] = plens__exp(p[j] - max);
    for (size_t j = first; j < end; j++) {
        p[j] /= sum;
        mean += p[j] * dp[j];
    }
    for (size_t j = first; j < end; j++) {
        size_t at = j * stride + kv * head_dim;
        double score = p[j] * (dp[j] - mean) * s->variant->scale;
        for (size_t i = 0; i < head_dim; i++) {
            s->adjoint->linear[PLENS__SLOT_V][at + i] += p[j] * dz[i];
            s->adjoint->k_rotated[at + i] += score * q[i];
            dq[i] += score * s->trace->k_rotated[at + i];
        }
    }
}

/* Item: one KV head and the query heads that it serves. */
static void attend_back_task(void *arg, size_t item, int thread) {
    const sweep *s = arg;
    const plens__config *config = s->reference->config;
    size_t group = config->n_heads / config->n_kv_heads, n = s->reference->n;
    double *p = scratch_of(s, thread);
    for (size_t h = item * group; h < (item + 1) * group; h++) {
        for (size_t t = 0; t < n; t++)
            attend_back_row(s, t, h, p, p + n);
    }
}

/* Undoes the rotation of the gradients of position `item`, then the q/k norm: from is what went
 * into the norm, gradient [n, heads, head_dim] in place of what came out of the rotation. */
static void rotate_back_task(void *arg, size_t item, int thread) {
    const sweep *s = arg;
    const plens__config *config = s->reference->config;
    size_t head_dim = config->head_dim;
    double *rotated = s->is_query ? s->adjoint->q_rotated : s->adjoint->k_rotated;
    (void)thread;
    for (size_t h = 0; h < s->n_heads; h++) {
        size_t at = (item * s->n_heads + h) * head_dim;
        plens__rotate_back(config, (double)item, rotated + at);
        if (s->weight == NULL)
            memcpy(s->to + at, rotated + at, head_dim * sizeof *s->to);
        else
            plens__norm_back_row(s->from + at, rotated + at, s->weight, head_dim, s->eps,
                                 s->to + at);
    }
}

static void rotate_back(sweep *s, int is_query) {
    const plens__config *config = s->reference->config;
    s->is_query = is_query;
    s->n_heads = is_query ? config->n_heads : config->n_kv_heads;
    s->weight = is_query ? s->reference->block->q_norm : s->reference->block->k_norm;
    s->from = is_query ? s->trace->q : s->trace->k;
    s->eps = s->variant->qk_eps;
    s->to = s->adjoint->linear[is_query ? PLENS__SLOT_Q : PLENS__SLOT_K];
    clear(s, s->to, s->n_heads * config->head_dim);
    plens__parallel(s->reference->engine, s->reference->n, rotate_back_task, s);
}

static void attention_back(sweep *s) {
    const plens__config *config = s->reference->config;
    const plens__block *block = s->reference->block;
    plens__adjoint *adjoint = s->adjoint;
    size_t q_width = config->n_heads * config->head_dim;
    size_t kv_width = config->n_kv_heads * config->head_dim;
    double *dz = adjoint->linear[PLENS__SLOT_Q]; /* until rotate_back */
    clear(s, dz, q_width);
    back(s, &block->o.matrix, adjoint->linear[PLENS__SLOT_O], dz);
    clear(s, adjoint->q_rotated, q_width);
    clear(s, adjoint->k_rotated, kv_width);
    clear(s, adjoint->linear[PLENS__SLOT_V], kv_width);
    plens__parallel(s->reference->engine, config->n_kv_heads, attend_back_task, s);
    memcpy(adjoint->z, dz, s->reference->n * q_width * sizeof *dz);
    rotate_back(s, 1);
    rotate_back(s, 0);
    clear(s, adjoint->attn_normed, config->d_model);
    back(s, &block->q.matrix, adjoint->linear[PLENS__SLOT_Q], adjoint->attn_normed);
    back(s, &block->k.matrix, adjoint->linear[PLENS__SLOT_K], adjoint->attn_normed);
    back(s, &block->v.matrix, adjoint->linear[PLENS__SLOT_V], adjoint->attn_normed);
}

/* ---- the whole ---- */

void plens__adjoint_carve(const plens__config *config, size_t n, plens__adjoint *adjoint,
                          plens__carver *carver) {
    size_t q_width = config->n_heads * config->head_dim;
    size_t kv_width = config->n_kv_heads * config->head_dim;
    size_t widths[PLENS__N_LINEAR] = {q_width,      kv_width,     kv_width,       config->d_model,
                                      config->d_ff, config->d_ff, config->d_model};
    for (int slot = 0; slot < PLENS__N_LINEAR; slot++)
        adjoint->linear[slot] = plens__carve(carver, n, widths[slot] * sizeof(double));
    adjoint->attn_normed = plens__carve(carver, n, config->d_model * sizeof(double));
    adjoint->mlp_normed = plens__carve(carver, n, config->d_model * sizeof(double));
    adjoint->z = plens__carve(carver, n, q_width * sizeof(double));
    adjoint->q_rotated = plens__carve(carver, n, q_width * sizeof(double));
    adjoint->k_rotated = plens__carve(carver, n, kv_width * sizeof(double));
    adjoint->hidden = plens__carve(carver, n, config->d_ff * sizeof(double));
}

void plens__block_backward(const plens__reference *reference, const plens__variant *variant,
                           const double *x, const plens__trace *trace, const double *seed,
                           plens__adjoint *adjoint) {
    const plens__config *config = reference->config;
    const plens__block *block = reference->block;
    size_t n = reference->n, d = config->d_model;
    sweep s = {.reference = reference, .variant = variant, .x = x};
    s.trace = trace;
    s.adjoint = adjoint;
    memcpy(adjoint->linear[PLENS__SLOT_DOWN], seed, n * d * sizeof *seed);
    clear(&s, adjoint->hidden, config->d_ff);
    back(&s, &block->down.matrix, seed, adjoint->hidden);
    plens__parallel(reference->engine, n, activate_back_task, &s);
    clear(&s, adjoint->mlp_normed, d);
    back(&s, &block->gate.matrix, adjoint->linear[PLENS__SLOT_GATE], adjoint->mlp_normed);
    back(&s, &block->up.matrix, adjoint->linear[PLENS__SLOT_UP], adjoint->mlp_normed);
    memcpy(adjoint->linear[PLENS__SLOT_O], seed, n * d * sizeof *seed);
    s.from = trace->mid;
    s.gradient = adjoint->mlp_normed;
    s.weight = block->mlp_norm;
    s.eps = variant->mlp_eps;
    s.width = d;
    s.to = adjoint->linear[PLENS__SLOT_O];
    plens__parallel(reference->engine, n, norm_back_task, &s);
    attention_back(&s);
}
