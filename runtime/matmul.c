/* The work of one matmul is cut into items, blocks of y of [rows, panels]; each item packs the
 * panels it needs, one part of k after the other. The order of operations in an element of y is
 * that of its product wherever it lies, so no cut changes a bit [Goto & van de Geijn 2008 for the
 * blocking].
 *
 * Panels pay off by the rows that they meet. Where there are few, x is packed in their place, once,
 * and w goes by in strips, which takes no transposing; or w is not packed at all but read as it
 * lies (product.h, from pack_w_strip on). */
#include "runtime/fp.h"

#include "runtime/matmul.h"

#include "runtime/fpstate.h"
#include "runtime/kernels/ahead.h"

enum {
    ITEMS_PER_THREAD = 2, /* more would cut small matrices too finely */
    MOST_OUTPUTS = 256,   /* in an item of few rows */
    TURNED_OUTPUTS = 512, /* by multiply_turned */
    DIRECT_OUTPUTS = 16,
    LONG_K = 1 << 20 /* of many parts; more parts take no more scratch */
};

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* ---- The product ---- */

typedef struct matmul {
    const plens__engine *engine;
    const plens__matrix *w;
    const float *bias;
    const plens__operand *x;
    float *y;
    size_t ldy;
    size_t rows_per_item, row_items, panels_per_item;
    size_t outputs_per_item; /* of few rows, or where w is multiplied directly */
} matmul;

/* Outputs that few rows meet at once: their strips should stay in the first-level cache. */
static size_t group_of(const plens__product *product) {
    return product->strip * (product->strip < 6 ? 4 : 2);
}

/* Bytes of one strip of w, n_k long, and from one to the next what `multiply` wants. */
static size_t strip_bytes(const plens__product *product, size_t n_k) {
    return product->strip_block > 0 ? plens__blocks(n_k) * product->strip_block
                                    : product->strip * n_k * sizeof(float);
}

/* A group's strips, then its c, transposed. */
static size_t group_bytes(const plens__product *product) {
    size_t group = group_of(product);
    return group / product->strip * strip_bytes(product, product->k_part) +
           group * PLENS__FEW_ROWS * sizeof(float);
}

/* What a direct product wants for its largest item. */
static size_t direct_bytes(const plens__product *product) {
    return larger(
        product->direct_scratch(product->item_rows, LONG_K, product->item_panels * product->panel),
        product->direct_scratch(product->turned_rows, LONG_K, TURNED_OUTPUTS));
}

size_t plens__matmul_scratch(const plens__product *product) {
    if (product->direct_scratch != NULL)
        return direct_bytes(product);
    size_t panel = plens__blocks(product->k_part) * product->panel_block;
    return product->pack_w_strip != NULL ? larger(panel, group_bytes(product)) : panel;
}

static size_t row_bytes(const matmul *m) {
    return m->w->n_in * (m->w->dtype == PLENS_F32 ? 4 : 2);
}

/* How far into w element (o, k) lies. */
static size_t weight_offset(const matmul *m, size_t o, size_t k) {
    return o * row_bytes(m) + k * (m->w->dtype == PLENS_F32 ? 4 : 2);
}

static const char *weight_at(const matmul *m, size_t o, size_t k) {
    return (const char *)m->w->data + weight_offset(m, o, k);
}

/* Rows r0.. (n_rows of them) times the panel of outputs o0.. over k in [k0, k0 + n_k). */
static void multiply_block(const matmul *m, void *panel, size_t r0, size_t n_rows, size_t o0,
                           size_t n_out, size_t k0, size_t n_k) {
    const plens__product *product = m->x->product;
    size_t from, step;
    if (product->strip_block == 0) {
        from = (r0 * m->x->ldx + k0) * sizeof(float);
        step = m->x->ldx * sizeof(float);
    } else {
        from = plens__operand_at(m->x, r0, k0);
        step = plens__operand_step(m->x, n_k);
    }
    product->pack_w(m->w->dtype, weight_at(m, o0, k0), row_bytes(m), n_out, n_k, panel);
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

/* One way to cut a product into items: of rows, of panels. */
typedef struct item_cut {
    size_t rows, panels, n_items;
    size_t cost; /* until the last thread has finished, by the row and panel */
} item_cut;

/* What an item costs besides multiplying: its panels are packed in the time of so many rows, and
 * its rows pass by in that of so many panels. */
enum { PACKING_ROWS = 64, PASSING_PANELS = 1 };

static item_cut cut_into(const matmul *m, size_t rows, size_t panels) {
    size_t n_panels = plens__ceil_divide(m->w->n_out, m->x->product->panel);
    size_t n_threads = (size_t)m->engine->n_threads;
    item_cut cut = {rows, panels, 0, 0};
    cut.n_items = plens__ceil_divide(m->x->n_rows, rows) * plens__ceil_divide(n_panels, panels);
    cut.cost = plens__ceil_divide(cut.n_items, n_threads) * (rows + PACKING_ROWS) *
               (panels + PASSING_PANELS);
    return cut;
}

/* Large items use the caches well; enough of them, of one size, keep every thread busy. Returns how
 * many there are. */
static size_t cut(matmul *m) {
    const plens__product *product = m->x->product;
    size_t n_strips = plens__ceil_divide(m->x->n_rows, product->strip);
    size_t n_panels = plens__ceil_divide(m->w->n_out, product->panel);
    item_cut best = {0, 0, 0, SIZE_MAX};
    for (size_t parts = plens__ceil_divide(m->x->n_rows, product->item_rows); parts <= n_strips;
         parts *= 2) {
        size_t rows = plens__ceil_divide(n_strips, parts) * product->strip;
        for (size_t panels = smaller(product->item_panels, n_panels); panels > 0; panels--) {
            item_cut cut = cut_into(m, rows, panels);
            best = cut.cost < best.cost ? cut : best;
        }
    }
    m->rows_per_item = best.rows;
    m->row_items = plens__ceil_divide(m->x->n_rows, best.rows);
    m->panels_per_item = best.panels;
    return best.n_items;
}

/* ---- Few rows ---- */

/* Asks memory for the strip of w at (o, k0), or of the group below where k is at its end. */
static void ask_for_strip(const matmul *m, size_t o, size_t k0) {
    const plens__product *product = m->x->product;
    size_t n_in = m->x->n_in, at = k0 < n_in ? k0 : 0;
    size_t n_k = smaller(product->k_part, n_in - at);
    size_t below = weight_offset(m, k0 < n_in ? o : o + group_of(product), at);
    size_t lines = plens__ceil_divide(n_k * row_bytes(m) / n_in, PLENS__LINE);
    plens__ahead ahead = plens__ahead_begin((uintptr_t)m->w->data + below, row_bytes(m),
                                            lines * PLENS__LINE); /* maybe past w's end */
    plens__ahead_ask(&ahead, product->strip * lines);
}

/* c [n, n_rows], transposed, of n outputs from o0 on, all of k. While one part of k is multiplied
 * memory is asked for the next. */
static void multiply_group(const matmul *m, char *strips, float *c, size_t o0, size_t n) {
    const plens__operand *x = m->x;
    const plens__product *product = x->product;
    size_t strip = product->strip;
    for (size_t k0 = 0; k0 < x->n_in; k0 += product->k_part) {
        size_t n_k = smaller(product->k_part, x->n_in - k0), bytes = strip_bytes(product, n_k);
        size_t step = product->strip_block > 0 ? bytes : n_k * sizeof(float);
        for (size_t o = 0; o < n; o += strip)
            product->pack_w_strip(m->w->dtype, weight_at(m, o0 + o, k0), row_bytes(m),
                                  smaller(strip, n - o), n_k, strips + o / strip * bytes);
        for (size_t o = 0; o < n; o += strip) {
            ask_for_strip(m, o0 + o, k0 + n_k);
            for (size_t r = 0; r < x->n_rows; r += product->panel)
                product->multiply(smaller(strip, n - o), n_k, strips + o / strip * bytes, step,
                                  (const char *)x->data + plens__operand_at(x, r, k0),
                                  smaller(product->panel, x->n_rows - r), k0 > 0,
                                  c + o * x->n_rows + r, x->n_rows);
        }
    }
}

/* Item: outputs, with x in panels. */
static void turned_item(void *arg, size_t item, int thread) {
    const matmul *m = arg;
    const plens__product *product = m->x->product;
    size_t group = group_of(product), n_rows = m->x->n_rows;
    size_t begin = item * m->outputs_per_item;
    size_t end = smaller(begin + m->outputs_per_item, m->w->n_out);
    char *strips = m->engine->scratch + (size_t)thread * m->engine->scratch_bytes;
    size_t n_strips = group / product->strip;
    float *c = (float *)(void *)(strips + n_strips * strip_bytes(product, product->k_part));
    for (size_t o0 = begin; o0 < end; o0 += group) {
        size_t n = smaller(group, end - o0);
        multiply_group(m, strips, c, o0, n);
        for (size_t r = 0; r < n_rows; r++)
            for (size_t o = 0; o < n; o++)
                m->y[r * m->ldy + o0 + o] = c[o * n_rows + r];
    }
    if (m->bias != NULL)
        add_bias(m, 0, n_rows, begin, end - begin);
}

/* Item: outputs of a block of rows, with w as it lies in memory. */
static void direct_item(void *arg, size_t item, int thread) {
    const matmul *m = arg;
    const plens__operand *x = m->x;
    const plens__product *product = x->product;
    size_t r = item % m->row_items * m->rows_per_item,
           o = item / m->row_items * m->outputs_per_item;
    size_t n_rows = smaller(m->rows_per_item, x->n_rows - r);
    size_t n = smaller(m->outputs_per_item, m->w->n_out - o);
    size_t step = x->ldx * sizeof(float), from = r * step;
    if (product->strip_block > 0) {
        step = plens__operand_step(x, x->n_in);
        from = plens__operand_at(x, r, 0);
    }
    plens__direct *multiply =
        x->packing == PLENS__STRIPS_TURNED ? product->multiply_turned : product->multiply_directly;
    multiply(m->w->dtype, n_rows, x->n_in, (const char *)x->data + from, step, weight_at(m, o, 0),
             row_bytes(m), n, m->y + r * m->ldy + o, m->ldy,
             m->engine->scratch + (size_t)thread * m->engine->scratch_bytes);
    if (m->bias != NULL)
        add_bias(m, r, n_rows, o, n);
}

/* Multiples of what a product does at once, and of a line of y's rows. */
static size_t cut_few(matmul *m, size_t at_once, size_t most) {
    size_t wanted = ITEMS_PER_THREAD * (size_t)m->engine->n_threads;
    size_t n = plens__ceil_divide(m->w->n_out, wanted);
    m->rows_per_item = m->x->n_rows;
    m->row_items = 1;
    n = smaller(n, most);
    m->outputs_per_item = plens__ceil_divide(n, at_once) * at_once;
    return plens__ceil_divide(m->w->n_out, m->outputs_per_item);
}

static size_t cut_directly(matmul *m) {
    const plens__product *product = m->x->product;
    if (product->direct_rows != SIZE_MAX)
        return cut_few(m, DIRECT_OUTPUTS, MOST_OUTPUTS);
    if (m->x->packing == PLENS__STRIPS_TURNED)
        return cut_few(m, product->panel, TURNED_OUTPUTS);
    size_t n_items = cut(m);
    m->outputs_per_item = m->panels_per_item * product->panel;
    return n_items;
}

void plens__matmul(const plens__engine *engine, const plens__matrix *w, const float *bias,
                   const plens__operand *x, float *y, size_t ldy) {
    const plens__product *product = x->product;
    matmul m = {engine, w, bias, x, y, ldy, 0, 0, 0, 0};
    if (x->n_rows == 0 || w->n_out == 0)
        return;
    if (x->packing == PLENS__PANELS)
        plens__parallel_flush(engine, product->flushes,
                              cut_few(&m, group_of(product), MOST_OUTPUTS), turned_item, &m);
    else if (plens__is_whole(x->packing))
        plens__parallel_flush(engine, product->flushes, cut_directly(&m), direct_item, &m);
    else
        plens__parallel_flush(engine, product->flushes, cut(&m), multiply_item, &m);
}
