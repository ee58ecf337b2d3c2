#include "runtime/fp.h"

#include "runtime/operand.h"

enum {
    COLUMNS = 512,    /* that are made at once: those of a strip fit a second-level cache */
    ROWS_AT_ONCE = 16 /* of rows that are not packed */
};

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* What an operand is packed in: strips of rows, or panels of few. */
typedef struct packing_unit {
    size_t rows, block; /* of one, and its bytes for 32 k */
} packing_unit;

static packing_unit unit_of(const plens__product *product, plens__packing packing) {
    return packing == PLENS__PANELS ? (packing_unit){product->panel, product->panel_block}
                                    : (packing_unit){product->strip, product->strip_block};
}

static plens__packing packing_of(const plens__product *product, size_t n_rows) {
    if (n_rows <= product->turned_rows)
        return PLENS__STRIPS_TURNED;
    if (n_rows <= product->direct_rows)
        return PLENS__STRIPS_WHOLE;
    int few = n_rows > PLENS__DIRECT_ROWS && n_rows <= PLENS__FEW_ROWS;
    return product->pack_w_strip != NULL && few ? PLENS__PANELS : PLENS__STRIPS;
}

static size_t packed_bytes(const plens__product *product, plens__packing packing, size_t n_rows,
                           size_t n_in) {
    packing_unit unit = unit_of(product, packing);
    return plens__ceil_divide(n_rows, unit.rows) * plens__blocks(n_in) * unit.block;
}

size_t plens__operand_bytes(const plens__product *product, size_t n_rows, size_t n_in) {
    size_t bytes = packed_bytes(product, PLENS__STRIPS, n_rows, n_in); /* whole ones no less */
    size_t few = packed_bytes(product, PLENS__PANELS, smaller(n_rows, PLENS__FEW_ROWS), n_in);
    return product->pack_w_strip != NULL && few > bytes ? few : bytes;
}

size_t plens__operand_at(const plens__operand *x, size_t r, size_t k0) {
    packing_unit unit = unit_of(x->product, x->packing);
    size_t index = r / unit.rows, before = k0 / PLENS__BLOCK_K;
    if (plens__is_whole(x->packing))
        return (index * plens__blocks(x->n_in) + before) * unit.block;
    size_t n_k = smaller(x->product->k_part, x->n_in - k0);
    return (before * plens__ceil_divide(x->n_rows, unit.rows) + index * plens__blocks(n_k)) *
           unit.block;
}

size_t plens__operand_step(const plens__operand *x, size_t n_k) {
    return plens__blocks(plens__is_whole(x->packing) ? x->n_in : n_k) *
           unit_of(x->product, x->packing).block;
}

typedef struct packing {
    const plens__operand *operand;
    const plens__rows *rows;
    char *to;
} packing;

/* What is made and packed at once: parts of k, but any columns of strips that have all of them. */
static size_t columns_at_once(const packing *p) {
    if (!plens__is_whole(p->operand->packing))
        return p->operand->product->k_part;
    return p->rows->make != NULL && p->rows->by_columns ? COLUMNS : p->rows->n_in;
}

/* Item: a strip or a panel. */
static void pack_unit(void *arg, size_t item, int thread) {
    const packing *p = arg;
    const plens__operand *x = p->operand;
    const plens__rows *rows = p->rows;
    const plens__product *product = x->product;
    size_t most = unit_of(product, x->packing).rows, r = item * most;
    size_t n_rows = smaller(most, x->n_rows - r), columns = columns_at_once(p);
    (void)thread;
    if (rows->make != NULL && !rows->by_columns)
        rows->make(rows->arg, r, n_rows, 0, rows->n_in);
    for (size_t k = 0; k < x->n_in; k += columns) {
        size_t n_k = smaller(columns, x->n_in - k);
        const float *from = rows->x + r * rows->ldx + k;
        char *to = p->to + plens__operand_at(x, r, k);
        if (rows->make != NULL && rows->by_columns)
            rows->make(rows->arg, r, n_rows, k, n_k);
        if (x->packing == PLENS__PANELS)
            product->pack_w(PLENS_F32, from, rows->ldx * sizeof(float), n_rows, n_k, to);
        else if (x->packing == PLENS__STRIPS_TURNED)
            product->pack_x_turned(from, rows->ldx, n_rows, n_k, to);
        else
            product->pack_x(from, rows->ldx, n_rows, n_k, to);
    }
}

/* Item: rows that stay as they are. */
static void make_rows(void *arg, size_t item, int thread) {
    const plens__rows *rows = arg;
    size_t r = item * ROWS_AT_ONCE;
    (void)thread;
    rows->make(rows->arg, r, smaller(ROWS_AT_ONCE, rows->n_rows - r), 0, rows->n_in);
}

plens__operand plens__operand_make(const plens__engine *engine, const plens__product *product,
                                   const plens__rows *rows, void *buffer) {
    plens__operand operand = {product,      rows->x,    rows->ldx,
                              rows->n_rows, rows->n_in, packing_of(product, rows->n_rows)};
    packing_unit unit = unit_of(product, operand.packing);
    if (unit.block > 0) {
        packing p = {&operand, rows, buffer};
        operand.data = buffer;
        plens__parallel(engine, plens__ceil_divide(rows->n_rows, unit.rows), pack_unit, &p);
    } else if (rows->make != NULL) {
        plens__parallel(engine, plens__ceil_divide(rows->n_rows, ROWS_AT_ONCE), make_rows,
                        (void *)rows);
    }
    return operand;
}
