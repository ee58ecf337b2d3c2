/* attend_rows as it is defined: attend for one query after the other. */
#ifndef PLENS_RUNTIME_ATTEND_EACH_H
#define PLENS_RUNTIME_ATTEND_EACH_H

#include "runtime/kernels/kernels.h"

typedef void plens__attend(const float *q, const float *k, size_t ldk, const float *v, size_t ldv,
                           size_t n, size_t head_dim, float scale, float *scores, float *out);

static inline void plens__attend_each(const plens__queries *a, plens__attend *one, float *scores) {
    for (size_t r = 0; r < a->n_rows; r++) {
        size_t end = a->first + r + 1, from = plens__first_key(end, a->window);
        for (size_t h = 0; h < a->n_heads; h++) {
            size_t at = r * a->row_stride + h * a->head_dim;
            one(a->q + at, a->k + from * a->stride, a->stride, a->v + from * a->stride, a->stride,
                end - from, a->head_dim, a->scale, scores, a->out + at);
        }
    }
}

#endif
