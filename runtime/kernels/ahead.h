/* Asking memory for weights before they are needed. Packing reads short pieces of many rows, which
 * the processor does not foresee; so the lines of a later piece are asked for while this one is
 * packed, row after row, as memory is fastest (27 GB/s on a core that reads 35 in one stream, where
 * asking in the order of packing gave 18). They go to the second-level cache: rows often lie at
 * distances that share the first level's few places. An address without memory does no harm. */
#ifndef PLENS_RUNTIME_KERNELS_AHEAD_H
#define PLENS_RUNTIME_KERNELS_AHEAD_H

#include <stddef.h>
#include <stdint.h>

enum { PLENS__LINE = 64 };

typedef struct plens__ahead {
    uintptr_t at;
    size_t skip;        /* bytes from the end of a row's piece to the next row's */
    size_t lines, left; /* of a piece, and of the one in hand */
} plens__ahead;

/* Pieces of n_bytes of rows that lie row_bytes apart, from `row` on. */
static inline plens__ahead plens__ahead_begin(uintptr_t row, size_t row_bytes, size_t n_bytes) {
    size_t lines = (n_bytes + PLENS__LINE - 1) / PLENS__LINE;
    plens__ahead ahead = {row, row_bytes - lines * PLENS__LINE, lines, lines};
    return ahead;
}

/* Asks for the next n lines. */
static inline void plens__ahead_ask(plens__ahead *ahead, size_t n) {
#if defined(__GNUC__) || defined(__clang__)
    for (size_t i = 0; i < n; i++) {
        __builtin_prefetch((const void *)ahead->at, 0, 2);
        __asm__ volatile(""); /* gcc drops calls that do nothing but ask */
        ahead->at += PLENS__LINE;
        if (--ahead->left == 0) {
            ahead->at += ahead->skip;
            ahead->left = ahead->lines;
        }
    }
#else
    (void)ahead, (void)n;
#endif
}

#endif
