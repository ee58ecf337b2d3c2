#include "runtime/fp.h"

#include "runtime/trial.h"

#include <string.h>

#include "runtime/fpstate.h"

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static void solve_part(const plens__product *product, const plens__trial *t, size_t k0, size_t k,
                       void *strips, void *panel, float *c, size_t ldc) {
    size_t size = t->dtype == PLENS_F32 ? 4 : 2, step = t->ldx * sizeof(float);
    const char *w = (const char *)t->w + k0 * size;
    const void *x = t->x + k0;
    plens__fpstate saved;
    if (product->strip_block > 0) {
        x = strips;
        step = (k + PLENS__BLOCK_K - 1) / PLENS__BLOCK_K * product->strip_block;
        for (size_t r = 0; r < t->n_rows; r += product->strip)
            product->pack_x(t->x + k0 + r * t->ldx, t->ldx, smaller(product->strip, t->n_rows - r),
                            k, (char *)strips + r / product->strip * step);
    }
    for (size_t o = 0; o < t->n_out; o += product->panel) {
        size_t n_out = smaller(product->panel, t->n_out - o);
        product->pack_w(t->dtype, w + o * t->row_bytes, t->row_bytes, n_out, k, panel);
        plens__fpstate_enter(&saved, product->flushes);
        product->multiply(t->n_rows, k, x, step, panel, n_out, t->resume || k0 > 0, c + o, ldc);
        plens__fpstate_leave(&saved);
    }
}

void plens__trial_solve(const plens__product *product, const plens__trial *trial, void *strips,
                        void *panel, float *c, size_t ldc) {
    for (size_t k = 0; k < trial->k; k += trial->k_part)
        solve_part(product, trial, k, smaller(trial->k_part, trial->k - k), strips, panel, c, ldc);
}

size_t plens__trial_difference(const float *a, const float *b, size_t n) {
    size_t i = 0;
    while (i < n && (memcmp(a + i, b + i, sizeof *a) == 0 || (a[i] != a[i] && b[i] != b[i])))
        i++;
    return i;
}
