/* The work of one matmul is cut into items, blocks of y of [rows, panels]; each item packs the
 * panels it needs, one part of k after the other. The order of operations in an element of y is
 * that of its product wherever it lies, so no cut changes a bit [Goto & van de Geijn 2008 for the
 * blocking]. */
#include "runtime/fp.h"

#include "runtime/matmul.h"

#include "runtime/fpstate.h"

enum { ITEMS_PER_THREAD = 4 };

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t ceil_divide(size_t a, size_t b) {
    return a / b + (a % b != 0);
}

static size_t blocks(size_t k) {
    return ceil_divide(k, PLENS__BLOCK_K);
}

/* ---- The operand ---- */

size_t plens__operand_bytes(const plens__product *product, size_t n_rows, size_t n_in) {
    return ceil_divide(n_rows, product->strip) * blocks(n_in) * product->strip_block;
}

/* Where the strip with row r begins, in the part of k from k0 on. */
static size_t strip_at(const plens__operand *x, size_t r, size_t k0) {
    const plens__product *product = x->product;
    size_t n_k = smaller(product->k_part, x->n_in - k0);
    size_t before = k0 / PLENS__BLOCK_K * ceil_divide(x->n_rows, product->strip);
    return (before + r / product->strip * blocks(n_k)) * product->strip_block;
}

typedef struct packing {
    const plens__operand *operand;
    const float *x;
    char *to;
} packing;

/* Item: a strip. */
static void pack_strip(void *arg, size_t item, int thread) {
    const packing *p = arg;
    const plens__product *product = p->operand->product;
    size_t r = item * product->strip, n_rows = smaller(product->strip, p->operand->n_rows - r);
    size_t ldx = p->operand->ldx;
    (void)thread;
    for (size_t k = 0; k < p->operand->n_in; k += product->k_part)
        product->pack_x(p->x + r * ldx + k, ldx, n_rows,
                        smaller(product->k_part, p->operand->n_in - k),
                        p->to + strip_at(p->operand, r, k));
}

plens__operand plens__operand_make(const plens__engine *engine, const plens__product *product,
                                   const float *x, size_t ldx, size_t n_rows, size_t n_in,
                                   void *buffer) {
    plens__operand operand = {product, x, ldx, n_rows, n_in};
    if (product->strip_block == 0)
        return operand;
    operand.data = buffer;
    packing p = {&operand, x, buffer};
    plens__parallel(engine, ceil_divide(n_rows, product->strip), pack_strip, &p);
    return operand;
}

/* ---- The product ---- */

typedef struct matmul {
    const plens__engine *engine;
    const plens__matrix *w;
    const float *bias;
    const plens__operand *x;
    float *y;
    size_t ldy;
    size_t rows_per_item, panels_per_item, row_items;
} matmul;

size_t plens__matmul_scratch(const plens__product *product) {
    return blocks(product->k_part) * product->panel_block;
}

/* Rows r0.. (n_rows of them) times the panel of outputs o0.. over k in [k0, k0 + n_k). */
static void multiply_block(const matmul *m, void *panel, size_t r0, size_t n_rows, size_t o0,
                           size_t n_out, size_t k0, size_t n_k) {
    const plens__product *product = m->x->product;
    size_t size = m->w->dtype == PLENS_F32 ? 4 : 2, row_bytes = m->w->n_in * size;
    const char *w = (const char *)m->w->data + o0 * row_bytes + k0 * size;
    size_t from, step;
    if (product->strip_block == 0) {
        from = (r0 * m->x->ldx + k0) * sizeof(float);
        step = m->x->ldx * sizeof(float);
    } else {
        from = strip_at(m->x, r0, k0);
        step = blocks(n_k) * product->strip_block;
    }
    product->pack_w(m->w->dtype, w, row_bytes, n_out, n_k, panel);
    product->multiply(n_rows, n_k, (const char *)m->x->data + from, step, panel, n_out, k0 > 0,
                      m->y + r0 * m->ldy + o0, m->ldy);
}

/* To finished elements, and never flushed. */
static void add_bias(const matmul *m, size_t r0, size_t n_rows, size_t o0, size_t n_out) {
    plens__fpstate saved;
    plens__fpstate_enter(&saved, 0);
    for (size_t r = r0; r < r0 + n_rows; r++)
        m->engine->kernels->add(m->y + r * m->ldy + o0, m->bias + o0, n_out);
    plens__fpstate_leave(&saved);
}

static void multiply_item(void *arg, size_t item, int thread) {
    const matmul *m = arg;
    const plens__product *product = m->x->product;
    size_t width = product->panel, n_in = m->w->n_in;
    void *panel = m->engine->scratch + (size_t)thread * m->engine->scratch_bytes;
    size_t r0 = item % m->row_items * m->rows_per_item;
    size_t n_rows = smaller(m->rows_per_item, m->x->n_rows - r0);
    size_t begin = item / m->row_items * m->panels_per_item * width;
    size_t end = smaller(begin + m->panels_per_item * width, m->w->n_out);
    for (size_t k0 = 0; k0 < n_in; k0 += product->k_part)
        for (size_t o0 = begin; o0 < end; o0 += width)
            multiply_block(m, panel, r0, n_rows, o0, smaller(width, end - o0), k0,
                           smaller(product->k_part, n_in - k0));
    if (m->bias != NULL)
        add_bias(m, r0, n_rows, begin, end - begin);
}

/* Large items use the caches well; enough of them keep every thread busy. */
static size_t cut(matmul *m) {
    const plens__product *product = m->x->product;
    size_t n_rows = m->x->n_rows, n_panels = ceil_divide(m->w->n_out, product->panel);
    size_t wanted = m->engine->n_threads > 1 ? ITEMS_PER_THREAD * (size_t)m->engine->n_threads : 1;
    size_t rows = ceil_divide(n_rows, ceil_divide(n_rows, product->item_rows));
    m->rows_per_item = ceil_divide(rows, product->strip) * product->strip;
    m->row_items = ceil_divide(n_rows, m->rows_per_item);
    m->panels_per_item = product->item_panels;
    while (m->panels_per_item > 1 &&
           m->row_items * ceil_divide(n_panels, m->panels_per_item) < wanted)
        m->panels_per_item /= 2;
    return m->row_items * ceil_divide(n_panels, m->panels_per_item);
}

void plens__matmul(const plens__engine *engine, const plens__matrix *w, const float *bias,
                   const plens__operand *x, float *y, size_t ldy) {
    matmul m = {engine, w, bias, x, y, ldy, 0, 0, 0};
    if (x->n_rows > 0 && w->n_out > 0)
        plens__parallel_flush(engine, x->product->flushes, cut(&m), multiply_item, &m);
}
