/* Copies of an INLINE function for the values that one of its arguments can have, so that it is a
 * constant in each of them. */
#ifndef PLENS_RUNTIME_KERNELS_CONSTANTS_H
#define PLENS_RUNTIME_KERNELS_CONSTANTS_H

#include "runtime/kernels/product.h"

/* function(dtype, ...) */
#define FOR_DTYPE(dtype, function, ...)                                                            \
    do {                                                                                           \
        if ((dtype) == PLENS_BF16)                                                                 \
            function(PLENS_BF16, __VA_ARGS__);                                                     \
        else if ((dtype) == PLENS_F16)                                                             \
            function(PLENS_F16, __VA_ARGS__);                                                      \
        else                                                                                       \
            function(PLENS_F32, __VA_ARGS__);                                                      \
    } while (0)

/* function(rows, ...), 1 <= rows <= PLENS__DIRECT_ROWS */
#define FOR_DIRECT_ROWS(rows, function, ...)                                                       \
    do {                                                                                           \
        if ((rows) == 1)                                                                           \
            function(1, __VA_ARGS__);                                                              \
        else if ((rows) == 2)                                                                      \
            function(2, __VA_ARGS__);                                                              \
        else if ((rows) == 3)                                                                      \
            function(3, __VA_ARGS__);                                                              \
        else                                                                                       \
            function(PLENS__DIRECT_ROWS, __VA_ARGS__);                                             \
    } while (0)

#endif
