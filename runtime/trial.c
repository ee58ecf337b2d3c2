#include "runtime/fp.h"

#include "runtime/trial.h"

#include <string.h>

#include "runtime/fpstate.h"

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Rows from r0 on, n_rows of them, and k from k0 on. Returns the step from one strip to the next.
 */
static size_t pack_strips(const plens__product *product, const plens__trial *t, size_t r0,
                          size_t n_rows, size_t k0, size_t k, char *strips) {
    size_t step = (k + PLENS__BLOCK_K - 1) / PLENS__BLOCK_K * product->strip_block;
    plens__pack_rows *pack = t->way == PLENS__WAY_TURNED ? product->pack_x_turned : product->pack_x;
    for (size_t r = 0; r < n_rows; r += product->strip)
        pack(t->x + k0 + (r0 + r) * t->ldx, t->ldx, smaller(product->strip, n_rows - r), k,
             strips + r / product->strip * step);
    return step;
}

static void solve_part(const plens__product *product, const plens__trial *t, size_t k0, size_t k,
                       void *strips, void *panel, float *c, size_t ldc) {
    size_t size = t->dtype == PLENS_F32 ? 4 : 2, step = t->ldx * sizeof(float);
    const char *w = (const char *)t->w + k0 * size;
    const void *x = t->x + k0;
    plens__fpstate saved;
    if (product->strip_block > 0) {
        x = strips;
        step = pack_strips(product, t, 0, t->n_rows, k0, k, strips);
    }
    for (size_t o = 0; o < t->n_out; o += product->panel) {
        size_t n_out = smaller(product->panel, t->n_out - o);
        product->pack_w(t->dtype, w + o * t->row_bytes, t->row_bytes, n_out, k, panel);
        plens__fpstate_enter(&saved, product->flushes);
        product->multiply(t->n_rows, k, x, step, panel, n_out, t->resume || k0 > 0, c + o, ldc);
        plens__fpstate_leave(&saved);
    }
}

enum { MOST_STRIP = 16 };

/* Outputs [o, o + n_out) of at most FEW_ROWS rows: one strip of w. c is turned on the way in and on
 * the way out. */
static void solve_turned_strip(const plens__product *product, const plens__trial *t, size_t o,
                               size_t k0, size_t k, void *strip, void *panel, float *c,
                               size_t ldc) {
    size_t size = t->dtype == PLENS_F32 ? 4 : 2, n_out = smaller(product->strip, t->n_out - o);
    float turned[MOST_STRIP * PLENS__FEW_ROWS];
    plens__fpstate saved;
    product->pack_w_strip(t->dtype, (const char *)t->w + o * t->row_bytes + k0 * size, t->row_bytes,
                          n_out, k, strip);
    for (size_t r = 0; r < t->n_rows; r += product->panel) {
        size_t n_rows = smaller(product->panel, t->n_rows - r);
        product->pack_w(PLENS_F32, t->x + r * t->ldx + k0, t->ldx * sizeof(float), n_rows, k,
                        panel);
        for (size_t i = 0; i < n_out * n_rows; i++)
            turned[i] = c[(r + i % n_rows) * ldc + o + i / n_rows];
        plens__fpstate_enter(&saved, product->flushes);
        product->multiply(n_out, k, strip, k * sizeof(float), panel, n_rows, t->resume || k0 > 0,
                          turned, n_rows);
        plens__fpstate_leave(&saved);
        for (size_t i = 0; i < n_out * n_rows; i++)
            c[(r + i % n_rows) * ldc + o + i / n_rows] = turned[i];
    }
}

/* By multiply_directly or multiply_turned, at most so many rows at once. */
static void solve_whole(const plens__product *product, const plens__trial *t,
                        plens__direct *multiply, size_t most_rows, void *strips, void *scratch,
                        float *c, size_t ldc) {
    plens__fpstate saved;
    for (size_t r = 0, n_rows; r < t->n_rows; r += n_rows) {
        size_t step = t->ldx * sizeof(float);
        n_rows = smaller(most_rows, t->n_rows - r);
        const void *x = t->x + r * t->ldx;
        if (product->strip_block > 0) {
            step = pack_strips(product, t, r, n_rows, 0, t->k, strips);
            x = strips;
        }
        plens__fpstate_enter(&saved, product->flushes);
        multiply(t->dtype, n_rows, t->k, x, step, t->w, t->row_bytes, t->n_out, c + r * ldc, ldc,
                 scratch);
        plens__fpstate_leave(&saved);
    }
}

int plens__trial_has_way(const plens__product *product, const plens__trial *trial) {
    switch (trial->way) {
    case PLENS__WAY_TURNED:
        return product->multiply_turned != NULL ||
               (product->pack_w_strip != NULL && trial->n_rows <= PLENS__FEW_ROWS);
    case PLENS__WAY_DIRECT:
        return product->direct_rows > 0;
    default:
        return product->multiply != NULL;
    }
}

int plens__trial_resumes(const plens__product *product, plens__way way) {
    return way == PLENS__WAY_PANELS ||
           (way == PLENS__WAY_TURNED && product->multiply_turned == NULL);
}

void plens__trial_solve(const plens__product *product, const plens__trial *trial, void *strips,
                        void *panel, float *c, size_t ldc) {
    if (trial->way == PLENS__WAY_DIRECT) {
        solve_whole(product, trial, product->multiply_directly, product->direct_rows, strips, panel,
                    c, ldc);
        return;
    }
    if (trial->way == PLENS__WAY_TURNED && product->multiply_turned != NULL) {
        solve_whole(product, trial, product->multiply_turned, product->turned_rows, strips, panel,
                    c, ldc);
        return;
    }
    for (size_t k0 = 0; k0 < trial->k; k0 += trial->k_part) {
        size_t k = smaller(trial->k_part, trial->k - k0);
        if (trial->way == PLENS__WAY_PANELS)
            solve_part(product, trial, k0, k, strips, panel, c, ldc);
        for (size_t o = 0; o < trial->n_out && trial->way != PLENS__WAY_PANELS; o += product->strip)
            solve_turned_strip(product, trial, o, k0, k, strips, panel, c, ldc);
    }
}

size_t plens__trial_difference(const float *a, const float *b, size_t n) {
    size_t i = 0;
    while (i < n && (memcmp(a + i, b + i, sizeof *a) == 0 || (a[i] != a[i] && b[i] != b[i])))
        i++;
    return i;
}
