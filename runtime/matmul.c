/* The work of one matmul is cut into items, blocks of y of [rows, panels]; each item packs the
 * panels it needs, one block of k after the other. Every element of y is one chain of fma over k
 * ascending wherever it lies, so no cut changes a bit [Goto & van de Geijn 2008 for the blocking].
 */
#include "runtime/fp.h"

#include "runtime/matmul.h"

/* A panel of [K_BLOCK, panel] floats (96 KiB with AVX-512), the block of x that all panels of an
 * item meet, [ROWS_PER_ITEM, K_BLOCK] floats (512 KiB), and what they add to, some [ROWS_PER_ITEM,
 * 8 panels], share the second-level cache. More rows per item would pack less often, in vain. */
enum { K_BLOCK = 512, ROWS_PER_ITEM = 256, PANELS_PER_ITEM = 8, ITEMS_PER_THREAD = 4 };

typedef struct product {
    const plens__engine *engine;
    const plens__matrix *w;
    const float *bias, *x;
    float *y;
    size_t ldx, ldy, n_rows;
    size_t rows_per_item, panels_per_item, row_items;
} product;

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t ceil_divide(size_t a, size_t b) {
    return a / b + (a % b != 0);
}

size_t plens__matmul_scratch(const plens__kernels *kernels) {
    return K_BLOCK * kernels->panel * sizeof(float);
}

/* Rows r0.. (n_rows of them) times the panel of outputs o0.. over k in [k0, k0 + n_k). */
static void multiply_block(const product *p, float *panel, size_t r0, size_t n_rows, size_t o0,
                           size_t n_out, size_t k0, size_t n_k) {
    const plens__kernels *kernels = p->engine->kernels;
    size_t size = p->w->dtype == PLENS_F32 ? 4 : 2, row_bytes = p->w->n_in * size;
    const char *w = (const char *)p->w->data + o0 * row_bytes + k0 * size;
    kernels->pack(p->w->dtype, w, row_bytes, n_out, n_k, panel);
    float *y = p->y + r0 * p->ldy + o0;
    kernels->gemm(n_rows, n_k, p->x + r0 * p->ldx + k0, p->ldx, panel, n_out, k0 > 0, y, p->ldy);
    if (p->bias != NULL && k0 + n_k == p->w->n_in)
        for (size_t r = 0; r < n_rows; r++)
            kernels->add(y + r * p->ldy, p->bias + o0, n_out);
}

static void multiply_item(void *arg, size_t item, int thread) {
    const product *p = arg;
    size_t width = p->engine->kernels->panel, n_out = p->w->n_out, n_in = p->w->n_in;
    float *panel =
        (float *)(void *)(p->engine->scratch + (size_t)thread * p->engine->scratch_bytes);
    size_t r0 = item % p->row_items * p->rows_per_item;
    size_t n_rows = smaller(p->rows_per_item, p->n_rows - r0);
    size_t begin = item / p->row_items * p->panels_per_item * width;
    size_t end = smaller(begin + p->panels_per_item * width, n_out);
    for (size_t k0 = 0; k0 < n_in; k0 += K_BLOCK)
        for (size_t o0 = begin; o0 < end; o0 += width)
            multiply_block(p, panel, r0, n_rows, o0, smaller(width, end - o0), k0,
                           smaller(K_BLOCK, n_in - k0));
}

/* Large items use the caches well; enough of them keep every thread busy. */
static size_t cut(product *p) {
    const plens__kernels *kernels = p->engine->kernels;
    size_t n_panels = ceil_divide(p->w->n_out, kernels->panel);
    size_t wanted = p->engine->n_threads > 1 ? ITEMS_PER_THREAD * (size_t)p->engine->n_threads : 1;
    p->row_items = ceil_divide(p->n_rows, ROWS_PER_ITEM);
    size_t rows = ceil_divide(p->n_rows, p->row_items);
    p->rows_per_item = ceil_divide(rows, kernels->strip) * kernels->strip;
    p->row_items = ceil_divide(p->n_rows, p->rows_per_item);
    p->panels_per_item = PANELS_PER_ITEM;
    while (p->panels_per_item > 1 &&
           p->row_items * ceil_divide(n_panels, p->panels_per_item) < wanted)
        p->panels_per_item /= 2;
    return p->row_items * ceil_divide(n_panels, p->panels_per_item);
}

void plens__matmul(const plens__engine *engine, const plens__matrix *w, const float *bias,
                   const float *x, size_t ldx, size_t n_rows, float *y, size_t ldy) {
    product p = {engine, w, bias, x, y, ldx, ldy, n_rows, 0, 0, 0};
    if (n_rows > 0 && w->n_out > 0)
        plens__parallel(engine, cut(&p), multiply_item, &p);
}
